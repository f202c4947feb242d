//! Tables of one or two dimensions as a network, in which whole numbers are exact.
//!
//! Rows and columns are nodes, and every cell is an edge: an inner cell from its row to its column, a total of a row
//! from the source to the row, a total of a column from the column to the sink, the grand total from the sink back to
//! the source. A table adds up exactly when what flows into each node flows out of it (D. Gusfield, A graph theoretic
//! approach to statistical data security, SIAM J. Comput. 17:3, 1988). Where the labels of one dimension are nested, each
//! row that is a sum has a node in each column, at which its parts flow together. The matrix of a network is totally unimodular,
//! so that the whole numbers between the bounds that max-flow finds are all possible.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cube::Cube;
use super::moves::{Moves, Step};

/// The network of a table of one or two dimensions.
#[derive(Debug)]
pub(super) struct Network {
    /// Cell → the nodes it leads from and to.
    ends: Vec<(usize, usize)>,
    /// Node → the cells at it that may be changed.
    open: Vec<Vec<usize>>,
    /// Node → all cells at it.
    all: Vec<Vec<usize>>,
}

impl Network {
    /// The network of a table, or nothing where it has more than two dimensions, or two with nested levels.
    pub fn of(cube: &Cube) -> Option<Self> {
        let dimensions = cube.dimensions().len();
        let (row_at, column_at) = match ((0..dimensions).filter(|at| cube.is_nested(*at)).count(), dimensions) {
            (_, 1) => (0, None),
            (0 | 1, 2) => (usize::from(cube.is_nested(1)), Some(usize::from(!cube.is_nested(1)))),
            _ => return None,
        };
        let columns = column_at.map_or(0, |at| cube.total(at));
        let rows = column_at.map_or(0, |_| cube.total(row_at));
        let (source, sink) = (0, 1 + rows + columns);
        // Where the parts of a row that is a sum meet, column by column.
        let meeting = |row: usize, column: usize| match (row == cube.total(row_at), column == columns) {
            (true, true) => source,
            (true, false) => 1 + rows + column,
            (false, _) => sink + 1 + row * (columns + 1) + column,
        };
        let ends = |cell: usize| {
            let row = cube.number(cell, row_at);
            let column = column_at.map_or(columns, |at| cube.number(cell, at));
            let own = match cube.is_sum(cell, row_at) {
                true => meeting(row, column),
                false if column_at.is_some() => 1 + row,
                false => sink,
            };
            let above = cube.above(row_at, row).map_or(sink, |above| meeting(above, column));
            // Persons flow from the rows to the columns, and in the column of totals back to the rows.
            if column == columns { (above, own) } else { (own, above) }
        };
        let ends: Vec<_> = (0..cube.len()).map(ends).collect();
        let nodes = ends.iter().map(|(from, to)| 1 + from.max(to)).max().unwrap_or(0);
        let mut all = vec![Vec::new(); nodes.max(sink + 1)];
        for (cell, (from, to)) in ends.iter().enumerate() {
            all[*from].push(cell);
            all[*to].push(cell);
        }
        Some(Self { open: vec![Vec::new(); all.len()], ends, all })
    }

    /// A table between bounds, as the counts of its cells, from counts that do not add up yet; nothing where there is
    /// none. `room` says by how much a cell may change from where it is.
    pub fn balance(&self, counts: &mut [u64], room: impl Fn(usize, u64, bool) -> u64) -> bool {
        let mut excess = self.excess(counts);
        while let Some(start) = excess.iter().position(|excess| *excess > 0) {
            let mut came: Vec<Option<(usize, usize, bool)>> = vec![None; self.all.len()];
            let mut queue = std::collections::VecDeque::from([start]);
            let mut end = None;
            while let Some(node) = queue.pop_front() {
                if excess[node] < 0 {
                    end = Some(node);
                    break;
                }
                for cell in &self.all[node] {
                    let (to, up) = self.across(*cell, node);
                    if to != start && came[to].is_none() && room(*cell, counts[*cell], up) > 0 {
                        came[to] = Some((node, *cell, up));
                        queue.push_back(to);
                    }
                }
            }
            let Some(end) = end else { return false };
            let mut path = Vec::new();
            let mut node = end;
            while let Some((before, cell, up)) = came[node] {
                path.push((cell, up));
                node = before;
            }
            let most = path.iter().map(|(cell, up)| room(*cell, counts[*cell], *up)).min().unwrap_or(0);
            let most = i128::from(most).min(excess[start]).min(-excess[end]);
            let most = u64::try_from(most).unwrap_or(0);
            for (cell, up) in path {
                counts[cell] = if up { counts[cell] + most } else { counts[cell] - most };
            }
            excess[start] -= i128::from(most);
            excess[end] += i128::from(most);
        }
        true
    }

    /// The cheapest table within one step of each cell from counts that do not add up yet; `false` where there is none.
    /// `step` gives the price of a cell's step up or down from a count, or nothing where it has none; the first steps
    /// cost 0 or more, and the way back costs as much less.
    ///
    /// Shortest paths from what is too much to what is too little, by Dijkstra's method with potentials (J. Edmonds and
    /// R. M. Karp, J. ACM 19:2, 1972).
    pub fn balance_cheaply(&self, counts: &mut [u64], step: impl Fn(usize, u64, bool) -> Option<i64>) -> bool {
        let mut excess = self.excess(counts);
        let mut potential = vec![0_i64; self.all.len()];
        while let Some(start) = excess.iter().position(|excess| *excess > 0) {
            let mut best = vec![i64::MAX; self.all.len()];
            let mut came: Vec<Option<(usize, usize, bool)>> = vec![None; self.all.len()];
            let mut queue = BinaryHeap::from([Reverse((0_i64, start))]);
            best[start] = 0;
            let mut end = None;
            while let Some(Reverse((cost, node))) = queue.pop() {
                if cost > best[node] {
                    continue;
                }
                if excess[node] < 0 {
                    end = Some((node, cost));
                    break;
                }
                for cell in &self.all[node] {
                    let (to, up) = self.across(*cell, node);
                    let Some(price) = step(*cell, counts[*cell], up) else { continue };
                    let reached = cost + price + potential[node] - potential[to];
                    if reached < best[to] {
                        best[to] = reached;
                        came[to] = Some((node, *cell, up));
                        queue.push(Reverse((reached, to)));
                    }
                }
            }
            let Some((end, farthest)) = end else { return false };
            for (potential, best) in potential.iter_mut().zip(&best) {
                *potential += best.min(&farthest);
            }
            let mut node = end;
            while let Some((before, cell, up)) = came[node] {
                counts[cell] = if up { counts[cell] + 1 } else { counts[cell] - 1 };
                node = before;
            }
            excess[start] -= 1;
            excess[end] += 1;
        }
        true
    }

    /// Node → what flows into it more than out of it.
    fn excess(&self, counts: &[u64]) -> Vec<i128> {
        let mut excess = vec![0_i128; self.all.len()];
        for (cell, (from, to)) in self.ends.iter().enumerate() {
            excess[*from] -= i128::from(counts[cell]);
            excess[*to] += i128::from(counts[cell]);
        }
        excess
    }

    /// Over a cell from a node: the node behind it, and whether the cell grows by that.
    fn across(&self, cell: usize, node: usize) -> (usize, bool) {
        let (from, to) = self.ends[cell];
        if from == node { (to, true) } else { (from, false) }
    }
}

impl Moves for Network {
    fn set_open(&mut self, cell: usize, is_open: bool) {
        let (from, to) = self.ends[cell];
        for node in [from, to] {
            match self.open[node].binary_search(&cell) {
                Err(at) if is_open => self.open[node].insert(at, cell),
                Ok(at) if !is_open => {
                    self.open[node].remove(at);
                }
                _ => {}
            }
        }
    }

    /// Dijkstra's shortest path from the end of the cell back to its beginning, through what may still change.
    fn cheapest(&self, cell: usize, up: bool, is_free: bool, step: &Step<'_>) -> Option<Vec<(usize, bool)>> {
        let own = step(cell, up)?;
        let (from, to) = self.ends[cell];
        let (start, end) = if up { (to, from) } else { (from, to) };
        let edges = if is_free { &self.open } else { &self.all };
        let mut best = vec![(u64::MAX, u64::MAX); self.all.len()];
        let mut came = vec![None; self.all.len()];
        let mut queue = BinaryHeap::from([Reverse((own, 0_u64, start))]);
        best[start] = (own, 0);
        while let Some(Reverse((cost, length, node))) = queue.pop() {
            if node == end {
                break;
            }
            if best[node] < (cost, length) {
                continue;
            }
            for edge in edges[node].iter().filter(|edge| **edge != cell) {
                let (next, up) = self.across(*edge, node);
                // Before the step is asked: most nodes have been reached already.
                if best[next] <= (cost, length + 1) {
                    continue;
                }
                let Some(price) = step(*edge, up) else { continue };
                let reached = (cost + price, length + 1);
                if reached < best[next] {
                    best[next] = reached;
                    came[next] = Some((node, *edge, up));
                    queue.push(Reverse((reached.0, reached.1, next)));
                }
            }
        }
        came[end]?;
        let mut cells = vec![(cell, up)];
        let mut node = end;
        while node != start {
            let (before, edge, up) = came[node]?;
            cells.push((edge, up));
            node = before;
        }
        Some(cells)
    }
}
