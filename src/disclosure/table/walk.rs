//! From one table that an attacker holds possible to others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::attack::Bounds;
use super::cube::Cube;
use super::moves::Moves;
use crate::error::{Error, Result};

/// What may be done with a cell: its bounds, and the price of suppressing it (0 where it is suppressed already).
pub(super) type Terms<'a> = dyn Fn(usize) -> Option<(Bounds, u64)> + 'a;

/// One change of a table: by how much each of some cells differs after it is made once, and how often it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub cells: Vec<(usize, i64)>,
    pub times: u64,
}

/// A table that is changed step by step and set back.
#[derive(Debug)]
pub(super) struct Walk {
    start: Vec<u64>,
    now: Vec<u64>,
    changes: Vec<Change>,
    end: Instant,
}

impl Walk {
    pub fn new(start: Vec<u64>, end: Instant) -> Self {
        Self { now: start.clone(), start, changes: Vec::new(), end }
    }

    /// When the work must have ended.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// Goes back to the table of the beginning and gives what had been changed, in order.
    pub fn back(&mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.changes);
        for (cell, _) in changes.iter().flat_map(|change| &change.cells) {
            self.now[*cell] = self.start[*cell];
        }
        changes
    }

    /// Changes a cell by up to `goal` in one direction, others with it, and gives by how much. Free ways are gone
    /// first; where `is_free`, no others. Cells that have to be paid for are added to `paid`, and `terms` is asked
    /// about them no more: they cost nothing from then on.
    pub fn push(
        &mut self,
        moves: &dyn Moves,
        terms: &Terms<'_>,
        cell: usize,
        (up, goal): (bool, u64),
        mut paid: Option<&mut Vec<usize>>,
    ) -> Result<u64> {
        let mut moved = 0;
        while moved < goal {
            if Instant::now() >= self.end {
                return Err(Error::refused("the time limit was reached before the table was proved safe")
                    .hint("use fewer dimensions, or coarser labels"));
            }
            let left = goal - moved;
            let mut found = self.change(moves, terms, (cell, up), left, paid.as_deref(), true);
            if found.is_none() && paid.is_some() {
                found = self.change(moves, terms, (cell, up), left, paid.as_deref(), false);
            }
            let Some(cells) = found else { break };
            let room =
                |(cell, up): &(usize, bool)| terms(*cell).map_or(0, |(bounds, _)| bounds.room(self.now[*cell], *up));
            let most = cells.iter().map(room).min().unwrap_or(0).min(left);
            for (cell, up) in &cells {
                self.now[*cell] = if *up { self.now[*cell] + most } else { self.now[*cell] - most };
                if let Some(paid) = paid.as_deref_mut()
                    && !paid.contains(cell)
                    && terms(*cell).is_some_and(|(_, price)| price > 0)
                {
                    paid.push(*cell);
                }
            }
            let cells = cells.into_iter().map(|(cell, up)| (cell, if up { 1 } else { -1 })).collect();
            self.changes.push(Change { cells, times: most });
            moved += most;
        }
        Ok(moved)
    }

    /// One change of a cell: by `left` at once where that can be, else by 1 or more.
    fn change(
        &self,
        moves: &dyn Moves,
        terms: &Terms<'_>,
        (cell, up): (usize, bool),
        left: u64,
        paid: Option<&Vec<usize>>,
        is_free: bool,
    ) -> Option<Vec<(usize, bool)>> {
        [left, 1].into_iter().find_map(|least| {
            let step = |cell: usize, up: bool| {
                let (bounds, price) = terms(cell)?;
                let price = if price > 0 && paid.is_some_and(|paid| paid.contains(&cell)) { 0 } else { price };
                (bounds.room(self.now[cell], up) >= least && (price == 0 || !is_free)).then_some(price)
            };
            moves.cheapest(cell, up, is_free && paid.is_none_or(Vec::is_empty), &step)
        })
    }
}

/// Follows changes from a table and gives the values that `cell` takes on the way (of those of one change, the first
/// `most` and the last), or nothing where a change breaks a sum or the bounds of a cell. A cell without bounds may not
/// change.
pub(super) fn follow(
    cube: &Cube,
    start: &[u64],
    changes: &[Change],
    cell: usize,
    most: u64,
    bounds: impl Fn(usize) -> Option<Bounds>,
) -> Option<BTreeSet<u64>> {
    let mut values = BTreeSet::from([start[cell]]);
    let mut now: BTreeMap<usize, u64> = BTreeMap::new();
    for Change { cells, times } in changes {
        let mut lines = BTreeMap::new();
        for (changed, by) in cells {
            let before = *now.entry(*changed).or_insert(start[*changed]);
            let after = |times: u64| before.checked_add_signed(by.checked_mul(i64::try_from(times).ok()?)?);
            if *changed == cell {
                values.extend((1..=*times.min(&most)).chain([*times]).map(after).collect::<Option<Vec<_>>>()?);
            }
            let Bounds { low, high } = bounds(*changed)?;
            let value = after(*times).filter(|value| (low..=high).contains(value))?;
            now.insert(*changed, value);
            for at in 0..cube.dimensions().len() {
                // Along a line, the total grows by as much as its parts together.
                if cube.is_sum(*changed, at) {
                    *lines.entry((*changed, at)).or_insert(0_i64) += by;
                }
                if let Some(above) = cube.above(at, cube.number(*changed, at)) {
                    *lines.entry((cube.moved(*changed, at, above), at)).or_insert(0_i64) -= by;
                }
            }
        }
        if lines.values().any(|sum| *sum != 0) {
            return None;
        }
    }
    Some(values)
}
