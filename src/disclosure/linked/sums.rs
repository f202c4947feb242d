//! What follows from many shown numbers together: sums and differences of any of them.
//!
//! Clients of one kind are in the same shown rows and have the same answers there. A shown number is a sum over kinds. So
//! every number that follows is a combination of shown ones, and one that tells of few clients is a sum over kinds of few: the
//! combination takes no kind of k clients and more. Those combinations are the null space of the large kinds; what they say of
//! the small ones, brought into echelon form, is looked through for sums of 1 to k - 1 clients.
//!
//! That denominators, numerators and their differences all are sums over kinds, and that a kind that nobody is of does not
//! exist, brings indicators in that say something about each other. Arithmetic is exact, modulo a prime of 61 bits: what is a
//! combination in fractions is one there, too.

use std::collections::BTreeSet;

use super::exchange::Sorting;
use super::grouping::{NONE, Numbers};
use super::{Follows, Linked, Reason};

/// With more shown numbers, only pairs of tables are looked at.
const MOST: usize = 700;

/// The same for runs that should answer at once, and so many clients in so many tables.
const MOST_AT_ONCE: usize = 250;
const MOST_CLIENTS: usize = 2_000_000;

/// Of so many numbers that follow, each two are taken together, too.
const PAIRS: usize = 40;

/// 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let low = u64::try_from(product & u128::from(PRIME)).unwrap_or(0);
    let high = u64::try_from(product >> 61).unwrap_or(0);
    plus(low, high)
}

fn plus(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn minus(a: u64, b: u64) -> u64 {
    plus(a, PRIME - b)
}

/// By Fermat: a^(p - 2).
fn inverse(number: u64) -> u64 {
    let (mut result, mut power, mut left) = (1, number, PRIME - 2);
    while left > 0 {
        if left & 1 == 1 {
            result = times(result, power);
        }
        power = times(power, power);
        left >>= 1;
    }
    result
}

/// Takes so much of one row from another that its entry at `at` is 0.
fn clear(row: &mut [u64], by: &[u64], at: usize) {
    let factor = row[at];
    if factor != 0 {
        row.iter_mut().zip(by).for_each(|(entry, other)| *entry = minus(*entry, times(factor, *other)));
    }
}

/// Divides a row by its entry at `at`.
fn scale(row: &mut [u64], at: usize) {
    let factor = inverse(row[at]);
    for entry in row {
        *entry = times(*entry, factor);
    }
}

/// Rows in reduced echelon form, each with the place of its leading 1.
#[derive(Default)]
struct Echelon(Vec<(usize, Vec<u64>)>);

impl Echelon {
    /// Takes in a row; one that follows from the others changes nothing.
    fn add(&mut self, mut row: Vec<u64>) {
        for (at, known) in &self.0 {
            clear(&mut row, known, *at);
        }
        let Some(at) = row.iter().position(|entry| *entry != 0) else { return };
        scale(&mut row, at);
        for (_, known) in &mut self.0 {
            clear(known, &row, at);
        }
        self.0.push((at, row));
    }

    /// A basis of what is orthogonal to all rows.
    fn null_space(&self, width: usize) -> Vec<Vec<u64>> {
        let leading: BTreeSet<usize> = self.0.iter().map(|(at, _)| *at).collect();
        let free = (0..width).filter(|at| !leading.contains(at));
        let vector = |free: usize| {
            let mut vector = vec![0; width];
            vector[free] = 1;
            for (at, row) in &self.0 {
                vector[*at] = minus(0, row[free]);
            }
            vector
        };
        free.map(vector).collect()
    }
}

impl Linked {
    /// Rows of the newest table with which sums and differences of shown numbers tell of few.
    pub(super) fn sums(&self) -> Vec<(usize, Reason)> {
        let Some(newest) = self.tables.len().checked_sub(1) else { return Vec::new() };
        // For each number that is known, the row of the newest table that shows it, and shows it first.
        let mut shown: Vec<Option<usize>> = Vec::new();
        // Where the numbers of a row, and of all rows together, stand in `shown`.
        let mut sizes: Vec<Vec<Option<usize>>> = Vec::new();
        let mut numerators: Vec<Vec<Option<usize>>> = Vec::new();
        let mut place = |is_shown: bool, of_newest: Option<usize>| {
            is_shown.then(|| {
                shown.push(of_newest);
                shown.len() - 1
            })
        };
        for grouping in 0..self.groupings.len() {
            let before = self.size_is_shown(grouping, newest);
            let now = self.size_is_shown(grouping, newest + 1);
            let rows = now.iter().zip(&before).enumerate();
            let mut places: Vec<_> = rows.map(|(row, (now, before))| place(*now, (!before).then_some(row))).collect();
            places.push(place(self.totals_are_known, None));
            sizes.push(places);
        }
        for (at, table) in self.tables.iter().enumerate() {
            let is_again = |earlier: &super::Table| {
                (earlier.grouping, earlier.answers, &earlier.shown) == (table.grouping, table.answers, &table.shown)
            };
            let is_new = !self.tables[..at].iter().any(is_again);
            let rows = table.shown.iter().enumerate();
            let mut places: Vec<_> =
                rows.map(|(row, shown)| place(*shown && is_new, (at == newest).then_some(row))).collect();
            places.push(place(self.totals_are_known && is_new, None));
            numerators.push(places);
        }
        let most = if self.at_once { MOST_AT_ONCE } else { MOST };
        if shown.len() > most || (self.at_once && self.clients.len() * self.tables.len() > MOST_CLIENTS) {
            return Vec::new();
        }
        let kinds = self.kinds(&sizes, &numerators);
        let mut large = Echelon::default();
        for (_, numbers) in kinds.iter().filter(|(clients, _)| *clients >= self.rule.k) {
            let mut row = vec![0; shown.len()];
            for number in numbers {
                row[*number] = 1;
            }
            large.add(row);
        }
        let combinations = large.null_space(shown.len());
        let small: Vec<_> = kinds.into_iter().filter(|(clients, _)| *clients < self.rule.k).collect();
        let mut follows = Echelon::default();
        for combination in combinations {
            let of_kind = |(_, numbers): &(u64, Vec<usize>)| {
                numbers.iter().fold(0, |sum, number| plus(sum, combination[*number]))
            };
            // Beside what it says of the kinds stands what it is made of.
            let row: Vec<u64> = small.iter().map(of_kind).chain(combination.iter().copied()).collect();
            if row[..small.len()].iter().any(|entry| *entry != 0) {
                follows.add(row);
            }
        }
        let mut hide = Vec::new();
        let mut look = |row: &[u64]| {
            let (says, made_of) = row.split_at(small.len());
            if says.iter().any(|entry| *entry > 1) {
                return;
            }
            let clients: u64 = says.iter().zip(&small).map(|(entry, (clients, _))| entry * clients).sum();
            if self.rule.is_small(clients) {
                let rows = made_of.iter().zip(&shown).filter(|(part, _)| **part != 0);
                let rows = rows.filter_map(|(_, of_newest)| *of_newest);
                let size = |row: &usize| (self.groupings[self.tables[newest].grouping].sizes[*row], *row);
                let release = self.tables[newest].release.clone();
                hide.extend(rows.min_by_key(size).map(|row| (row, Reason { release, rule: Follows::Difference })));
            }
        };
        follows.0.iter().for_each(|(_, row)| look(row));
        // A number that follows need not be in the echelon form itself.
        if follows.0.len() <= PAIRS {
            for (at, (_, a)) in follows.0.iter().enumerate() {
                for (_, b) in &follows.0[..at] {
                    for sum in [plus, minus, |a, b| minus(b, a)] {
                        look(&a.iter().zip(b).map(|(a, b)| sum(*a, *b)).collect::<Vec<_>>());
                    }
                }
            }
        }
        hide
    }

    /// How many clients there are of each kind, and which numbers they are in.
    fn kinds(&self, sizes: &[Vec<Option<usize>>], numerators: &[Vec<Option<usize>>]) -> Vec<(u64, Vec<usize>)> {
        let clients: Vec<u32> = (0..u32::try_from(self.clients.len()).unwrap_or(u32::MAX)).collect();
        let numbers = |client: u32| {
            let of = |places: &[Option<usize>], row: u32| {
                let all = places.last().copied().flatten();
                let one = places.get(row as usize).copied().flatten();
                if row == NONE { [None, None] } else { [one, all] }
            };
            let sizes =
                sizes.iter().zip(&self.groupings).flat_map(move |(places, grouping)| of(places, grouping.row(client)));
            let numerators = numerators.iter().zip(&self.tables).flat_map(move |(places, table)| {
                let is_counted = self.answers[table.answers].get(client) == Some(true);
                of(places, if is_counted { self.groupings[table.grouping].row(client) } else { NONE })
            });
            sizes.chain(numerators).flatten()
        };
        let mut sorting = Sorting::new(&clients);
        for (places, grouping) in sizes.iter().zip(&self.groupings) {
            sorting.by_mark(|client| match grouping.row(client) {
                NONE => NONE,
                row if places[row as usize].is_some() => row,
                _ => NONE - 1,
            });
        }
        for (places, table) in numerators.iter().zip(&self.tables) {
            sorting.by_mark(|client| {
                let row = self.groupings[table.grouping].row(client);
                match self.answers[table.answers].get(client) == Some(true) {
                    true if row != NONE && places[row as usize].is_some() => row,
                    true if row != NONE && self.totals_are_known => NONE - 1,
                    _ => NONE,
                }
            });
        }
        let mut kinds: Numbers<u32, (u64, u32)> = Numbers::default();
        for (client, sort) in sorting.end().of {
            kinds.entry(sort).or_insert((0, client)).0 += 1;
        }
        let mut kinds: Vec<_> = kinds.into_values().collect();
        kinds.sort_unstable_by_key(|(_, first)| *first);
        kinds.into_iter().map(|(count, first)| (count, numbers(first).collect())).collect()
    }
}
