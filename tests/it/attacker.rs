//! An attacker who tries every table: the second author of what can be told of a suppressed cell.
//!
//! It shares no code with the program. A table is a list of sizes; a cell is a label or a total in each dimension; all
//! inner counts are tried one after the other.

use std::collections::{BTreeMap, BTreeSet};

/// A label's number in each dimension, or nothing for the total.
pub type Key = Vec<Option<usize>>;

/// What somebody knows of a cell before he looks at the sums.
pub type Knowledge = BTreeMap<Key, (u64, u64)>;

/// Every cell of a table of these sizes, totals among them.
pub fn keys(sizes: &[usize]) -> Vec<Key> {
    sizes.iter().fold(vec![Vec::new()], |keys, size| {
        let places = || (0..*size).map(Some).chain([None]);
        keys.iter().flat_map(|key: &Key| places().map(move |place| [key.clone(), vec![place]].concat())).collect()
    })
}

/// Whether a cell counts in another one.
pub fn is_in(inner: &Key, cell: &Key) -> bool {
    inner.iter().zip(cell).all(|(one, other)| other.is_none() || one == other)
}

/// All counts of a table from its inner ones.
pub fn with_totals(sizes: &[usize], inner: &BTreeMap<Key, u64>) -> BTreeMap<Key, u64> {
    let sum = |key: &Key| inner.iter().filter(|(cell, _)| is_in(cell, key)).map(|(_, count)| count).sum();
    keys(sizes).into_iter().map(|key| (key.clone(), sum(&key))).collect()
}

/// The values that each cell takes over all tables that somebody holds possible, or nothing where there are too many
/// tables to try.
pub fn values(sizes: &[usize], knowledge: &Knowledge, most: u64) -> Option<BTreeMap<Key, BTreeSet<u64>>> {
    let mut seen = vec![BTreeSet::new(); knowledge.len()];
    let is_whole = tables(sizes, knowledge, most, &mut |table| {
        for (seen, value) in seen.iter_mut().zip(table) {
            seen.insert(*value);
        }
    });
    is_whole.then(|| keys(sizes).into_iter().zip(seen).collect())
}

/// Visits all tables that somebody holds possible, their counts in the order of [`keys`]; `false` where there are too
/// many to try.
pub fn tables(sizes: &[usize], knowledge: &Knowledge, most: u64, visit: &mut dyn FnMut(&[u64])) -> bool {
    let all = keys(sizes);
    let is_inner = |key: &Key| key.iter().all(Option::is_some);
    let sums = all.iter().map(|key| {
        let parts = all.iter().enumerate().filter(|(_, inner)| is_inner(inner) && is_in(inner, key));
        if is_inner(key) { Vec::new() } else { parts.map(|(at, _)| at).collect() }
    });
    sums_of(&sums.collect::<Vec<_>>(), &all.iter().map(|key| knowledge[key]).collect::<Vec<_>>(), most, visit)
}

/// Visits all tables between the limits of their cells. `parts` are the inner cells of each total, and nothing for an
/// inner cell.
pub fn sums_of(parts: &[Vec<usize>], limits: &[(u64, u64)], most: u64, visit: &mut dyn FnMut(&[u64])) -> bool {
    let inner: Vec<usize> = (0..parts.len()).filter(|cell| parts[*cell].is_empty()).collect();
    let totals = |cell: &usize| (0..parts.len()).filter(|total| parts[*total].contains(cell)).collect();
    let last = |cell: usize| inner.iter().position(|inner| Some(inner) == parts[cell].iter().max());
    let mut search = Search {
        limits,
        members: inner.iter().map(totals).collect(),
        last: (0..parts.len()).map(last).collect(),
        now: vec![0; parts.len()],
        inner,
        left: most,
        visit,
    };
    search.go(0)
}

struct Search<'a> {
    limits: &'a [(u64, u64)],
    inner: Vec<usize>,
    /// Inner cell → the totals that count it.
    members: Vec<Vec<usize>>,
    /// Total → which of the inner cells is its last.
    last: Vec<Option<usize>>,
    now: Vec<u64>,
    left: u64,
    visit: &'a mut dyn FnMut(&[u64]),
}

impl Search<'_> {
    fn go(&mut self, at: usize) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if at == self.inner.len() {
            (self.visit)(&self.now);
            return true;
        }
        let (low, high) = self.limits[self.inner[at]];
        for value in low..=high {
            for total in &self.members[at] {
                self.now[*total] += value;
            }
            self.now[self.inner[at]] = value;
            let is_over = self.members[at].iter().any(|total| self.now[*total] > self.limits[*total].1);
            let is_under = |total: &usize| self.last[*total] == Some(at) && self.now[*total] < self.limits[*total].0;
            let goes_on = is_over || self.members[at].iter().any(is_under) || self.go(at + 1);
            for total in &self.members[at] {
                self.now[*total] -= value;
            }
            if !goes_on {
                return false;
            }
            if is_over {
                break;
            }
        }
        true
    }
}

/// Numbers without a pattern that are the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to `below` - 1.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, several: &[T]) -> T {
        several[usize::try_from(self.below(several.len() as u64)).unwrap()]
    }

    /// A table with many zeros and ones.
    pub fn table(&mut self, sizes: &[usize], most: u64) -> BTreeMap<Key, u64> {
        let inner = keys(sizes).into_iter().filter(|key| key.iter().all(Option::is_some));
        let counts = inner.map(|key| {
            let count = match self.below(4) {
                0 => 0,
                1 => 1,
                _ => self.below(most + 1),
            };
            (key, count)
        });
        with_totals(sizes, &counts.collect())
    }
}
