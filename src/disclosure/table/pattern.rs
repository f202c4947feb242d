//! Which cells of a table are suppressed.
//!
//! Primary cells are 1 to k - 1, or 0 below a total of 1 to k - 1: a zero there would tell where the few persons are
//! not. Other zeros are shown and never suppressed. Then every suppressed cell is tried: is there another table with the
//! same shown cells in which it is so much larger, or smaller? Where there is none, the cells of the cheapest change are
//! suppressed too, and tried in their turn.
//!
//! What is chosen must tell little of what it hides. So it is chosen for *typical* counts first: each count stands for
//! all of its size, so that tables whose counts are of the same sizes are treated alike. Then every suppressed cell is
//! tried from the true counts, and more is suppressed where that is not enough. So each has tables in whole numbers that
//! prove that it cannot be told. Nothing is shown again because it turns out not to be needed: that would depend on the
//! counts that are hidden.
//!
//! The price of a suppressed cell is 1 + ⌊√n⌋, between the number of cells lost and the number of persons.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::attack::{Attacker, Bounds, Mark, Need, Rule};
use super::cube::Cube;
use super::moves::{Boxes, Moves};
use super::network::Network;
use super::system::System;
use super::walk::{Change, Walk, follow};
use crate::error::{Error, Result};

/// Which cells are suppressed, and that it is enough for whoever knows the rule.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Cell → what it is.
    pub marks: Vec<Mark>,
    /// Other tables, in whole numbers, that prove that the suppressed cells cannot be told.
    pub proofs: usize,
}

/// The price of suppressing a count: 1 + ⌊√n⌋.
pub fn price(count: u64) -> u64 {
    1 + count.isqrt()
}

/// Suppresses what has to be suppressed in a table with all its margins that adds up.
///
/// `counts` are persons, one for each cell of `cube`. Refuses where even suppressing everything leaves a cell that can be
/// told, or where `end` comes first.
pub(super) fn choose(cube: &Cube, counts: &[u64], rule: Rule, end: Instant) -> Result<Choice> {
    let mut search = Search::new(cube, counts, rule, end);
    let counts_alike: Vec<u64> =
        (0..cube.len()).map(|cell| rule.typical(counts[cell], search.marks[cell] == Mark::Primary)).collect();
    let mut typical = Search::new(cube, &counts_alike, rule, end);
    // They do not add up, and so there are no sums to solve.
    typical.has_simplex = false;
    let mut queue: VecDeque<usize> =
        (0..cube.len()).filter(|cell| typical.is_counted(*cell) && !typical.below_small[*cell]).collect();
    while let Some(cell) = queue.pop_front() {
        for attacker in Attacker::ALL {
            // What is not reached here is left to the true counts.
            typical.secure(cell, attacker, &mut queue)?;
        }
    }
    for (cell, mark) in typical.marks.iter().enumerate() {
        search.set(cell, *mark);
    }
    search.complete()?;
    search.end()
}

/// Proves a pattern that was not chosen for the table; nothing where it is not enough.
pub(super) fn prove(
    cube: &Cube,
    counts: &[u64],
    rule: Rule,
    suppressed: &[bool],
    end: Instant,
) -> Result<Option<Choice>> {
    let mut search = Search::new(cube, counts, rule, end);
    for (cell, is_suppressed) in suppressed.iter().enumerate() {
        match (is_suppressed, search.marks[cell]) {
            (true, Mark::Shown) => search.set(cell, Mark::Secondary),
            (false, Mark::Primary) => search.set(cell, Mark::Shown),
            _ => {}
        }
    }
    for cell in (0..cube.len()).filter(|cell| suppressed[*cell]) {
        for attacker in Attacker::ALL {
            let Some(proof) = search.reach(cell, attacker, ALWAYS_EXACT)?.proof else { return Ok(None) };
            search.proofs[cell][attacker as usize] = proof;
        }
    }
    search.end().map(Some)
}

/// Up to so many unknown cells, all that boxes and transfers do not reach is looked for by the simplex method.
const ALWAYS_EXACT: usize = 160;
/// Up to so many, only where nothing else helps; with more, it would take too long.
const MOST_EXACT: usize = 400;

/// How far a suppressed cell can be changed for nothing.
struct Reach {
    up: u64,
    down: u64,
    /// How, where that is as far as it has to.
    proof: Option<Proof>,
}

/// Ways from the true table to others with the same shown cells.
type Proof = Vec<Vec<Change>>;

fn touched(proof: &Proof) -> impl Iterator<Item = usize> + '_ {
    proof.iter().flatten().flat_map(|change| change.cells.iter().map(|(cell, _)| *cell))
}

struct Search<'a> {
    cube: &'a Cube,
    counts: &'a [u64],
    rule: Rule,
    marks: Vec<Mark>,
    /// Whether one of a cell's totals is 1 to k - 1.
    below_small: Vec<bool>,
    moves: Box<dyn Moves>,
    /// Whether the simplex method may look for what the moves do not reach; those of a network are all that there are.
    has_simplex: bool,
    walk: Walk,
    /// Cell and attacker → what proves that he cannot tell it.
    proofs: Vec<[Proof; 2]>,
}

impl<'a> Search<'a> {
    fn new(cube: &'a Cube, counts: &'a [u64], rule: Rule, end: Instant) -> Self {
        let mut below_small = vec![false; cube.len()];
        for (cell, is_below) in below_small.iter_mut().enumerate() {
            *is_below = cube.with_totals(cell)[1..].iter().any(|total| rule.is_small(counts[*total]));
        }
        let (moves, has_simplex): (Box<dyn Moves>, bool) = match Network::of(cube) {
            Some(network) => (Box::new(network), false),
            None => (Box::new(Boxes::of(cube)), true),
        };
        let mut search = Self {
            cube,
            counts,
            rule,
            marks: vec![Mark::Shown; cube.len()],
            below_small,
            moves,
            has_simplex,
            walk: Walk::new(counts.to_vec(), end),
            proofs: vec![<[Proof; 2]>::default(); cube.len()],
        };
        for cell in 0..cube.len() {
            let count = search.counts[cell];
            if rule.is_small(count) || (count == 0 && search.below_small[cell]) {
                search.set(cell, Mark::Primary);
            }
        }
        search
    }

    fn set(&mut self, cell: usize, mark: Mark) {
        self.marks[cell] = mark;
        self.moves.set_open(cell, mark != Mark::Shown);
    }

    /// Bounds of a cell for an attacker, and its price; nothing for a zero that is shown.
    fn terms(&self, attacker: Attacker, cell: usize) -> Option<(Bounds, u64)> {
        let count = self.counts[cell];
        match self.marks[cell] {
            Mark::Shown if count == 0 => None,
            Mark::Shown => Some((attacker.bounds(Mark::Secondary, self.below_small[cell], self.rule), price(count))),
            mark => Some((attacker.bounds(mark, self.below_small[cell], self.rule), 0)),
        }
    }

    fn push(
        &mut self,
        cell: usize,
        attacker: Attacker,
        way: (bool, u64),
        paid: Option<&mut Vec<usize>>,
    ) -> Result<u64> {
        let mut walk = std::mem::replace(&mut self.walk, Walk::new(Vec::new(), Instant::now()));
        let terms = |cell: usize| self.terms(attacker, cell);
        let moved = walk.push(self.moves.as_ref(), &terms, cell, way, paid);
        self.walk = walk;
        moved
    }

    /// How far a suppressed cell can be changed with what is suppressed now. With up to `most` unknown cells, nothing
    /// is overlooked.
    fn reach(&mut self, cell: usize, attacker: Attacker, most: usize) -> Result<Reach> {
        let need = Need::of(attacker, self.counts[cell], self.rule);
        let up = self.push(cell, attacker, (true, need.up.max(need.others)), None)?;
        let larger = self.walk.back();
        let down = self.push(cell, attacker, (false, need.down.max(need.others.saturating_sub(up))), None)?;
        let smaller = self.walk.back();
        if need.is_met(up, down) {
            return Ok(Reach { up, down, proof: Some(vec![larger, smaller]) });
        }
        let unknown = self.marks.iter().filter(|mark| **mark != Mark::Shown).count();
        let exactly = if unknown <= most { self.reach_exactly(cell, attacker, need) } else { None };
        Ok(exactly.unwrap_or(Reach { up, down, proof: None }))
    }

    /// The same by the simplex method, which finds more than boxes and transfers. A network has been searched to the end.
    fn reach_exactly(&self, cell: usize, attacker: Attacker, need: Need) -> Option<Reach> {
        let count = self.counts[cell];
        if !self.has_simplex {
            return None;
        }
        let bounds = |cell: usize| match self.marks[cell] {
            Mark::Shown => Bounds::exactly(self.counts[cell]),
            mark => attacker.bounds(mark, self.below_small[cell], self.rule),
        };
        let mut bounds: Vec<Bounds> = (0..self.cube.len()).map(bounds).collect();
        // No further than is needed.
        let Bounds { low, high } = bounds[cell];
        bounds[cell] = Bounds {
            low: low.max(count.saturating_sub(need.down.max(need.others))),
            high: high.min(count + need.up.max(need.others)),
        };
        let system = System::of(self.cube, &bounds);
        let part = system.parts().into_iter().find(|part| part.variables.contains(&cell))?;
        let at = part.variables.iter().position(|other| *other == cell)?;
        let mut simplex = system.solve(&part, |cell| self.counts[cell], self.walk.end()).ok()?;
        let mut tables = vec![simplex.extreme(at, true).ok()??, simplex.extreme(at, false).ok()??];
        let (up, down) = (u64::try_from(tables[0][at]).ok()? - count, count - u64::try_from(tables[1][at]).ok()?);
        let mut values: BTreeSet<i128> = tables.iter().map(|table| table[at]).chain([i128::from(count)]).collect();
        for value in tables[1][at]..tables[0][at] {
            if values.len() as u64 <= need.others
                && !values.contains(&value)
                && let Some(table) = simplex.with(at, value).ok()?
            {
                values.insert(value);
                tables.push(table);
            }
        }
        let is_met = need.is_met(up, down) && values.len() as u64 > need.others;
        let way = |table: Vec<i128>| {
            let differs = |(at, value): (usize, i128)| {
                let by = value - i128::from(self.counts[part.variables[at]]);
                (by != 0).then(|| i64::try_from(by).map(|by| (part.variables[at], by)))
            };
            let cells = table.into_iter().enumerate().filter_map(differs).collect::<Result<Vec<_>, _>>().ok()?;
            Some(if cells.is_empty() { Vec::new() } else { vec![Change { cells, times: 1 }] })
        };
        let proof = if is_met { Some(tables.into_iter().map(way).collect::<Option<Proof>>()?) } else { None };
        Some(Reach { up, down, proof })
    }

    /// Makes a suppressed cell safe from an attacker, and adds to `queue` the cells that had to be suppressed for it;
    /// `false` where no change at any price is enough.
    fn secure(&mut self, cell: usize, attacker: Attacker, queue: &mut VecDeque<usize>) -> Result<bool> {
        let need = Need::of(attacker, self.counts[cell], self.rule);
        let mut most = ALWAYS_EXACT;
        // Each turn adds a cell, or tries harder, or is the last.
        loop {
            let reach = self.reach(cell, attacker, most)?;
            if let Some(proof) = reach.proof {
                self.proofs[cell][attacker as usize] = proof;
                return Ok(true);
            }
            if most == MOST_EXACT {
                return Ok(false);
            }
            let others =
                [(true, need.others - reach.down.min(need.others)), (false, need.others - reach.up.min(need.others))];
            let ways = if reach.up < need.up {
                vec![(true, need.up)]
            } else if reach.down < need.down {
                vec![(false, need.down)]
            } else {
                others.to_vec()
            };
            let mut best: Option<(u64, Vec<usize>)> = None;
            for (up, goal) in ways {
                let mut paid = Vec::new();
                let moved = self.push(cell, attacker, (up, goal), Some(&mut paid))?;
                self.walk.back();
                let cost = paid.iter().map(|cell| price(self.counts[*cell])).sum();
                if moved >= goal && best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, paid));
                }
            }
            match best.filter(|(_, paid)| !paid.is_empty()) {
                Some((_, paid)) => {
                    for cell in &paid {
                        self.set(*cell, Mark::Secondary);
                    }
                    queue.extend(paid);
                }
                None => most = MOST_EXACT,
            }
        }
    }

    /// Secures every suppressed count, and those that are suppressed for it.
    fn complete(&mut self) -> Result<()> {
        let mut first: Vec<usize> = (0..self.cube.len()).filter(|cell| self.is_counted(*cell)).collect();
        // Who needs most comes first: what is suppressed for him often serves the others.
        first.sort_by_key(|cell| (self.counts[*cell], *cell));
        self.secure_all(first)?;
        self.settle_zeros()
    }

    fn is_counted(&self, cell: usize) -> bool {
        self.marks[cell] != Mark::Shown && self.counts[cell] > 0
    }

    fn secure_all(&mut self, cells: Vec<usize>) -> Result<()> {
        let mut queue = VecDeque::from(cells);
        while let Some(cell) = queue.pop_front() {
            for attacker in Attacker::ALL {
                let mut distance = 0;
                while !self.secure(cell, attacker, &mut queue)? {
                    distance += 1;
                    queue.extend(self.suppress_around(cell, distance)?);
                }
            }
        }
        Ok(())
    }

    /// The last resort for a cell that no single change makes safe: all counts that differ from it in so many
    /// dimensions are suppressed. With the number of dimensions, that is everything but the zeros.
    fn suppress_around(&mut self, cell: usize, distance: usize) -> Result<Vec<usize>> {
        let dimensions = self.cube.dimensions().len();
        if distance > dimensions {
            return Err(Error::refused("with every count suppressed, one could still be told within the policy")
                .hint("use fewer dimensions, or coarser labels"));
        }
        let differs = |other: usize| {
            (0..dimensions).filter(|at| self.cube.place(cell, *at) != self.cube.place(other, *at)).count()
        };
        let is_meant =
            |other: &usize| self.marks[*other] == Mark::Shown && self.counts[*other] > 0 && differs(*other) <= distance;
        let suppressed: Vec<usize> = (0..self.cube.len()).filter(is_meant).collect();
        for other in &suppressed {
            self.set(*other, Mark::Secondary);
        }
        Ok(suppressed)
    }

    /// Shows the suppressed zeros that could be told: they hide nothing. What leant on them is secured again.
    fn settle_zeros(&mut self) -> Result<()> {
        loop {
            let mut shown = BTreeSet::new();
            for cell in 0..self.cube.len() {
                if self.marks[cell] == Mark::Primary && self.counts[cell] == 0 {
                    for attacker in Attacker::ALL {
                        if self.marks[cell] != Mark::Shown {
                            if let Some(proof) = self.reach(cell, attacker, ALWAYS_EXACT)?.proof {
                                self.proofs[cell][attacker as usize] = proof;
                            } else {
                                self.set(cell, Mark::Shown);
                                shown.insert(cell);
                            }
                        }
                    }
                }
            }
            if shown.is_empty() {
                return Ok(());
            }
            let leant = |cell: &usize| {
                self.is_counted(*cell)
                    && self.proofs[*cell].iter().flat_map(touched).any(|other| shown.contains(&other))
            };
            let again = (0..self.cube.len()).filter(leant).collect();
            self.secure_all(again)?;
        }
    }

    fn end(self) -> Result<Choice> {
        let proofs = self.check()?;
        Ok(Choice { marks: self.marks, proofs })
    }

    /// Follows every proof once more, apart from the search that found it, and gives the number of tables in them.
    fn check(&self) -> Result<usize> {
        let mut tables = 0;
        for cell in (0..self.cube.len()).filter(|cell| self.marks[*cell] != Mark::Shown) {
            for attacker in Attacker::ALL {
                let bounds = |cell: usize| {
                    let mark = self.marks[cell];
                    (mark != Mark::Shown).then(|| attacker.bounds(mark, self.below_small[cell], self.rule))
                };
                let proof = &self.proofs[cell][attacker as usize];
                let ways = proof.iter().map(|way| follow(self.cube, self.counts, way, cell, self.rule.w, bounds));
                let values = ways.collect::<Option<Vec<_>>>().map(|values| values.into_iter().flatten().collect());
                let need = Need::of(attacker, self.counts[cell], self.rule);
                if !values.is_some_and(|values| need.is_met_by(self.counts[cell], &values)) {
                    return Err(Error::internal("a suppressed cell was not proved safe"));
                }
                tables += proof.iter().filter(|way| !way.is_empty()).count();
            }
        }
        Ok(tables)
    }
}
