//! The sums of a table as rows over its unknown cells.

use std::collections::BTreeMap;
use std::time::Instant;

use super::attack::{Bounds, UNBOUNDED};
use super::cube::Cube;
use super::simplex::{Failure, Row, Simplex};

/// The sums of a table as rows over its unknown cells.
#[derive(Debug)]
pub(super) struct System<'a> {
    bounds: &'a [Bounds],
    /// Cells with their factors, and what they sum to.
    rows: Vec<Row>,
}

/// Cells that hang together by their sums.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The cells, in order.
    pub variables: Vec<usize>,
    rows: Vec<usize>,
}

impl<'a> System<'a> {
    /// Each total is the sum of its parts along the first dimension in which it is one: the other lines follow.
    pub fn of(cube: &Cube, bounds: &'a [Bounds]) -> Self {
        let mut rows = Vec::new();
        let firsts = (0..cube.len())
            .filter_map(|cell| (0..cube.dimensions().len()).find(|at| cube.is_sum(cell, *at)).map(|at| (cell, at)));
        for (total, at) in firsts {
            let mut row = Row { terms: Vec::new(), sum: 0 };
            for (cell, times) in cube.parts(total, at).map(|part| (part, 1)).chain([(total, -1)]) {
                if bounds[cell].low == bounds[cell].high {
                    row.sum -= i128::from(times) * i128::from(bounds[cell].low);
                } else {
                    row.terms.push((cell, times));
                }
            }
            if !row.terms.is_empty() {
                rows.push(row);
            }
        }
        Self { bounds, rows }
    }

    /// The parts that have nothing to do with each other.
    pub fn parts(&self) -> Vec<Part> {
        let mut leader: Vec<usize> = (0..self.bounds.len()).collect();
        for row in &self.rows {
            for (cell, _) in &row.terms {
                let (one, other) = (find(&mut leader, row.terms[0].0), find(&mut leader, *cell));
                leader[one.max(other)] = one.min(other);
            }
        }
        let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
        for cell in 0..self.bounds.len() {
            if self.bounds[cell].low < self.bounds[cell].high {
                let leader = find(&mut leader, cell);
                parts.entry(leader).or_default().variables.push(cell);
            }
        }
        for (at, row) in self.rows.iter().enumerate() {
            let leader = find(&mut leader, row.terms[0].0);
            parts.entry(leader).or_default().rows.push(at);
        }
        parts.into_values().collect()
    }

    /// The system of a part, with its variables numbered from 0. The search begins with `start`, cell by cell.
    pub fn solve(&self, part: &Part, start: impl Fn(usize) -> u64, end: Instant) -> Result<Simplex, Failure> {
        let number: BTreeMap<usize, usize> = part.variables.iter().enumerate().map(|(at, cell)| (*cell, at)).collect();
        let row = |at: &usize| {
            let row = &self.rows[*at];
            Row { terms: row.terms.iter().map(|(cell, times)| (number[cell], *times)).collect(), sum: row.sum }
        };
        let rows: Vec<Row> = part.rows.iter().map(row).collect();
        let bounds = |cell: &usize| {
            let Bounds { low, high } = self.bounds[*cell];
            (i128::from(low), (high < UNBOUNDED).then_some(i128::from(high)))
        };
        let bounds: Vec<_> = part.variables.iter().map(bounds).collect();
        Simplex::new(&bounds, &rows, part.variables.iter().map(|cell| i128::from(start(*cell))), end)
    }
}

/// The first of those that hang together with one, in an array where each knows somebody nearer to him.
fn find(leader: &mut [usize], mut at: usize) -> usize {
    while leader[at] != at {
        leader[at] = leader[leader[at]];
        at = leader[at];
    }
    at
}
