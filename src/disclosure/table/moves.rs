//! Changes of a table that leave every sum right: what an attacker cannot tell apart from the truth.

use super::cube::Cube;

/// The price of changing a cell by one, up or down; nothing where it cannot be changed.
pub(super) type Step<'a> = dyn Fn(usize, bool) -> Option<u64> + 'a;

/// How the cells of a table can be changed together.
pub(super) trait Moves {
    /// Notes whether a cell may be changed without being paid for.
    fn set_open(&mut self, cell: usize, is_open: bool);

    /// The cheapest change by one of `cell` and of others with it, after which all sums are right again: the cells,
    /// and whether each grows. Nothing that is paid for is touched where `is_free`.
    fn cheapest(&self, cell: usize, up: bool, is_free: bool, step: &Step<'_>) -> Option<Vec<(usize, bool)>>;
}

/// Changes of tables of any number of dimensions.
///
/// A *box* takes for each dimension a second place: another label, whose cells change the other way, or the total,
/// whose cells change the same way. All sums along a dimension are right, because the two places cancel or the
/// total follows. Where labels are nested, the totals between the two places change with the one below them. A
/// *transfer* takes one from an inner cell and gives it to another, and all totals that count one of the two alone follow.
/// These are not all changes there are: what they reach is proved, what they do not reach is protected by more suppression
/// than it may need.
#[derive(Debug)]
pub(super) struct Boxes {
    cube: Cube,
    /// The inner cells, and those of them that may be changed without being paid for.
    inner: Vec<usize>,
    open: Vec<usize>,
    /// Inner cell → itself and all totals that count it, sorted; empty for a total.
    above: Vec<Vec<usize>>,
}

/// Inner cells of a total that are tried as the one that a transfer gives to.
const TRIED: usize = 4;

/// More than any change costs.
const DEAREST: u64 = u64::MAX >> 3;

struct Best {
    cost: u64,
    cells: Vec<(usize, bool)>,
}

impl Boxes {
    pub fn of(cube: &Cube) -> Self {
        let inner = (0..cube.len()).filter(|cell| cube.is_inner(*cell)).collect();
        let above = |cell: usize| {
            let mut above = if cube.is_inner(cell) { cube.with_totals(cell) } else { Vec::new() };
            above.sort_unstable();
            above
        };
        Self { inner, open: Vec::new(), above: (0..cube.len()).map(above).collect(), cube: cube.clone() }
    }

    /// Every box of which `cells` is the beginning, dimension by dimension; a dearer one than the best is left.
    fn boxes(&self, at: usize, cells: &mut Vec<(usize, bool)>, cost: u64, step: &Step<'_>, best: &mut Best) {
        if at == self.cube.dimensions().len() {
            *best = Best { cost, cells: cells.clone() };
            return;
        }
        let cube = &self.cube;
        let here = cube.number(cells[0].0, at);
        let count = cells.len();
        let mut ways = Vec::new();
        for leaf in cube.leaves(at).iter().copied().filter(|leaf| cube.is_within(at, *leaf, here)) {
            let others = cube.leaves(at).iter().copied().filter(|other| !cube.is_within(at, *other, here));
            for other in std::iter::once(None).chain(others.map(Some)) {
                let mut price = cost;
                let is_possible = self.way(at, here, leaf, other).all(|(number, is_opposite)| {
                    cells.iter().all(|(cell, up)| {
                        price += step(cube.moved(*cell, at, number), *up != is_opposite).unwrap_or(best.cost);
                        price < best.cost
                    })
                });
                if is_possible {
                    ways.push((price, other, leaf));
                }
            }
        }
        // The cheapest first, so that the dear ones need not be followed.
        ways.sort_unstable();
        for (price, other, leaf) in ways {
            if price >= best.cost {
                return;
            }
            for member in 0..count {
                let (cell, up) = cells[member];
                let moved = self.way(at, here, leaf, other);
                cells.extend(moved.map(|(number, is_opposite)| (cube.moved(cell, at, number), up != is_opposite)));
            }
            self.boxes(at + 1, cells, price, step, best);
            cells.truncate(count);
        }
    }

    /// The other places that change when one does, from a leaf that counts in it to another leaf, or to the total: each
    /// with whether it changes the other way.
    fn way(
        &self,
        at: usize,
        here: usize,
        leaf: usize,
        other: Option<usize>,
    ) -> impl Iterator<Item = (usize, bool)> + '_ {
        let cube = &self.cube;
        // Most dimensions have no levels, and then it is one place.
        let is_nested = cube.is_nested(at);
        let single = match other {
            Some(other) => (other, true),
            None if here == leaf => (cube.total(at), false),
            None => (leaf, false),
        };
        let one = cube
            .upward(at, leaf)
            .take_while(move |number| is_nested && other.is_none_or(|other| !cube.is_within(at, other, *number)));
        let back = other.into_iter().flat_map(move |other| {
            cube.upward(at, other).take_while(move |number| is_nested && !cube.is_within(at, leaf, *number))
        });
        let path = one.filter(move |number| *number != here).map(|number| (number, false));
        (!is_nested).then_some(single).into_iter().chain(path).chain(back.map(|number| (number, true)))
    }

    /// Every transfer by which `cell` grows (or shrinks, where not `up`).
    fn transfers(&self, cell: usize, up: bool, is_free: bool, step: &Step<'_>, best: &mut Best) {
        let cube = &self.cube;
        let dimensions = 0..cube.dimensions().len();
        let counts_in_cell = |inner: usize| {
            dimensions.clone().all(|at| cube.is_within(at, cube.number(inner, at), cube.number(cell, at)))
        };
        let candidates = if is_free { &self.open } else { &self.inner };
        let mut given: Vec<(u64, usize)> = vec![(0, cell)];
        if self.above[cell].is_empty() {
            let within = candidates.iter().filter(|inner| counts_in_cell(**inner));
            given = within.filter_map(|inner| Some((step(*inner, up)?, *inner))).collect();
            given.sort_unstable();
            given.truncate(TRIED);
        }
        for (_, to) in given {
            // A total that cannot change, or not for less than the best, must count both.
            let is_fixed = |total: &&usize| step(**total, up).is_none_or(|price| price >= best.cost);
            let mut shared: Vec<usize> = dimensions.clone().map(|at| cube.total(at)).collect();
            for total in self.above[to].iter().filter(is_fixed) {
                for (at, shared) in shared.iter_mut().enumerate() {
                    let number = cube.number(*total, at);
                    if cube.is_within(at, number, *shared) {
                        *shared = number;
                    }
                }
            }
            if shared.iter().enumerate().all(|(at, number)| *number == cube.number(to, at)) {
                continue;
            }
            let is_shared = |inner: &usize| {
                shared.iter().enumerate().all(|(at, number)| cube.is_within(at, cube.number(*inner, at), *number))
            };
            for from in candidates.iter().copied().filter(|inner| *inner != to && is_shared(inner)) {
                let Some(price) = step(from, !up).filter(|price| *price < best.cost) else { continue };
                if counts_in_cell(from) {
                    continue;
                }
                let grows = self.above[to].iter().filter(|cell| !self.above[from].contains(cell));
                let shrinks = self.above[from].iter().filter(|cell| **cell != from && !self.above[to].contains(cell));
                let changes = || grows.clone().map(|cell| (*cell, up)).chain(shrinks.clone().map(|cell| (*cell, !up)));
                let mut cost = price;
                let is_cheaper = changes().all(|(cell, up)| {
                    cost += step(cell, up).unwrap_or(best.cost);
                    cost < best.cost
                });
                if is_cheaper {
                    *best = Best { cost, cells: changes().chain([(from, !up)]).collect() };
                    // The cell asked for comes first.
                    best.cells.sort_by_key(|(other, _)| (*other != cell, *other));
                    if cost == 0 {
                        return;
                    }
                }
            }
        }
    }
}

impl Moves for Boxes {
    fn set_open(&mut self, cell: usize, is_open: bool) {
        if !self.above[cell].is_empty() {
            match self.open.binary_search(&cell) {
                Err(at) if is_open => self.open.insert(at, cell),
                Ok(at) if !is_open => {
                    self.open.remove(at);
                }
                _ => {}
            }
        }
    }

    fn cheapest(&self, cell: usize, up: bool, is_free: bool, step: &Step<'_>) -> Option<Vec<(usize, bool)>> {
        let own = step(cell, up)?;
        let mut best = Best { cost: DEAREST, cells: Vec::new() };
        self.boxes(0, &mut vec![(cell, up)], own, step, &mut best);
        if best.cost > 0 {
            self.transfers(cell, up, is_free, step, &mut best);
        }
        if best.cells.is_empty() { None } else { Some(best.cells) }
    }
}
