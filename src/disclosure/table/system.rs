//! The sums of a table as rows over its unknown cells.

use std::collections::BTreeMap;
use std::time::Instant;

use microlp::{ComparisonOp, OptimizationDirection, Problem};

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

/// Where a cell should go in a table that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// Anywhere.
    Nowhere,
    /// As low as it can.
    Down,
    /// Up to this count.
    UpTo(u64),
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
        let firsts = (0..cube.len()).filter_map(|cell| {
            (0..cube.dimensions().len()).find(|at| cube.place(cell, *at).is_none()).map(|at| (cell, at))
        });
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

    /// A whole table that is possible as far as a part goes; nothing where none is found in time.
    ///
    /// The solver counts in floating point and may be wrong. What it finds is believed when it has been added up in
    /// whole numbers; that it finds nothing is not believed at all.
    pub fn table(&self, part: &Part, draw: impl Fn(usize) -> Draw, end: Instant) -> Option<Vec<u64>> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        problem.set_time_limit(end.saturating_duration_since(Instant::now()));
        let mut variables = BTreeMap::new();
        for cell in &part.variables {
            let Bounds { low, high } = self.bounds[*cell];
            let bounds = (i32::try_from(low).ok()?, i32::try_from(high).unwrap_or(i32::MAX));
            let variable = match draw(*cell) {
                Draw::Nowhere => vec![problem.add_integer_var(0.0, bounds)],
                Draw::Down => vec![problem.add_integer_var(1.0, bounds)],
                // Two variables: what is worth something, and the rest.
                Draw::UpTo(far) => {
                    let far = i32::try_from(low.max(far).min(high)).ok()?;
                    let rest = problem.add_integer_var(0.0, (0, bounds.1 - far));
                    vec![problem.add_integer_var(-1.0, (bounds.0, far)), rest]
                }
            };
            variables.insert(*cell, variable);
        }
        for row in part.rows.iter().map(|at| &self.rows[*at]) {
            let float = |whole: i128| i32::try_from(whole).map(f64::from).ok();
            let mut terms = Vec::new();
            for (cell, times) in &row.terms {
                let times = float(i128::from(*times))?;
                terms.extend(variables[cell].iter().map(|variable| (*variable, times)));
            }
            problem.add_constraint(terms, ComparisonOp::Eq, float(row.sum)?);
        }
        let solution = problem.solve().ok()?.into_solution().ok()?;
        let mut table: Vec<u64> = self.bounds.iter().map(|bounds| bounds.low).collect();
        for (cell, variable) in &variables {
            let mut sum = 0;
            for variable in variable {
                let value: i64 = format!("{:.0}", solution.var_value(*variable)).parse().ok()?;
                sum += u64::try_from(value).ok()?;
            }
            table[*cell] = sum;
            let Bounds { low, high } = self.bounds[*cell];
            if !(low..=high).contains(&table[*cell]) {
                return None;
            }
        }
        let value = |(cell, times): &(usize, i64)| i128::from(table[*cell]) * i128::from(*times);
        let adds_up = |at: &usize| self.rows[*at].terms.iter().map(value).sum::<i128>() == self.rows[*at].sum;
        part.rows.iter().all(adds_up).then_some(table)
    }

    /// The system of a part, with its variables numbered from 0.
    pub fn solve(&self, part: &Part, end: Instant) -> Result<Simplex, Failure> {
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
        Simplex::new(&part.variables.iter().map(bounds).collect::<Vec<_>>(), &rows, end)
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
