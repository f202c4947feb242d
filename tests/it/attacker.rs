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
    let all = keys(sizes);
    let inner: Vec<&Key> = all.iter().filter(|key| key.iter().all(Option::is_some)).collect();
    let totals: Vec<&Key> = all.iter().filter(|key| key.iter().any(Option::is_none)).collect();
    let mut search = Search {
        ranges: inner.iter().map(|key| knowledge[*key]).collect(),
        limits: totals.iter().map(|key| knowledge[*key]).collect(),
        members: inner.iter().map(|key| (0..totals.len()).filter(|at| is_in(key, totals[*at])).collect()).collect(),
        last: totals.iter().map(|total| (0..inner.len()).rfind(|at| is_in(inner[*at], total)).unwrap()).collect(),
        now: vec![0; inner.len()],
        sums: vec![0; totals.len()],
        seen: vec![BTreeSet::new(); all.len()],
        left: most,
    };
    search.go(0).then(|| {
        let names = inner.iter().chain(&totals).map(|key| (*key).clone());
        names.zip(search.seen).collect()
    })
}

struct Search {
    ranges: Vec<(u64, u64)>,
    limits: Vec<(u64, u64)>,
    members: Vec<Vec<usize>>,
    last: Vec<usize>,
    now: Vec<u64>,
    sums: Vec<u64>,
    seen: Vec<BTreeSet<u64>>,
    left: u64,
}

impl Search {
    fn go(&mut self, at: usize) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if at == self.now.len() {
            for (seen, value) in self.seen.iter_mut().zip(self.now.iter().chain(&self.sums)) {
                seen.insert(*value);
            }
            return true;
        }
        let (low, high) = self.ranges[at];
        for value in low..=high {
            for total in &self.members[at] {
                self.sums[*total] += value;
            }
            self.now[at] = value;
            let is_over = self.members[at].iter().any(|total| self.sums[*total] > self.limits[*total].1);
            let is_under = |total: &usize| self.last[*total] == at && self.sums[*total] < self.limits[*total].0;
            let goes_on = is_over || self.members[at].iter().any(is_under) || self.go(at + 1);
            for total in &self.members[at] {
                self.sums[*total] -= value;
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
