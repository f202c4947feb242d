//! Which client is in which row, and what is said of whom.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::query::Trait;

/// Maps of numbers that this program has made: nobody chooses them, so any hash will do.
pub(super) type Numbers<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// Mixes whole numbers by multiplication.
#[derive(Default)]
pub(super) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio, as Knuth's multiplicative hashing has it (TAOCP 3, 6.4).
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// In no row.
pub(super) const NONE: u32 = u32::MAX;

/// The rows of a table as sets of clients. Tables of the same clients in the same rows have the same grouping.
#[derive(Default)]
pub(super) struct Grouping {
    /// The row of each client, by the client's number; clients beyond the end are in none.
    row_of: Vec<u32>,
    /// The clients of each row.
    members: Vec<Vec<u32>>,
    /// Clients in each row.
    pub sizes: Vec<u64>,
    /// What the labels of a row tell of its clients.
    pub by: Vec<Trait>,
    /// What its clients were chosen by.
    pub chosen_by: Vec<Trait>,
    /// The labels of each row.
    labels: Vec<Vec<String>>,
    /// The same by numbers: equal ones of one dimension have the same.
    codes: Vec<Vec<usize>>,
    /// The row of each combination of labels.
    rows: HashMap<Vec<String>, u32>,
}

impl Grouping {
    /// Puts a client into a row.
    pub(super) fn put(&mut self, client: u32, row: u32) {
        let at = client as usize;
        if self.row_of.len() <= at {
            self.row_of.resize(at + 1, NONE);
        }
        self.row_of[at] = row;
        let row = row as usize;
        if self.members.len() <= row {
            self.members.resize(row + 1, Vec::new());
        }
        self.members[row].push(client);
    }

    /// The row of a client, or [`NONE`].
    pub(super) fn row(&self, client: u32) -> u32 {
        self.row_of.get(client as usize).copied().unwrap_or(NONE)
    }

    /// The clients of a row.
    pub(super) fn clients_of(&self, row: u32) -> &[u32] {
        self.members.get(row as usize).map_or(&[], Vec::as_slice)
    }

    /// The clients in any row that is chosen, row by row.
    pub(super) fn clients_in(&self, chosen: &[bool]) -> Vec<u32> {
        let rows = self.members.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        rows.flat_map(|(members, _)| members).copied().collect()
    }

    /// Names the rows.
    pub(super) fn label(&mut self, labels: Vec<Vec<String>>) {
        self.rows = labels.iter().cloned().zip(0..).collect();
        let mut known: Vec<HashMap<&String, usize>> = Vec::new();
        let codes = labels.iter().map(|labels| {
            known.resize_with(known.len().max(labels.len()), HashMap::new);
            let codes = labels.iter().zip(&mut known).map(|(label, known)| {
                let next = known.len();
                *known.entry(label).or_insert(next)
            });
            codes.collect()
        });
        self.codes = codes.collect();
        self.labels = labels;
    }

    /// What a row is told apart by.
    pub(super) fn labels(&self, row: u32) -> &[String] {
        &self.labels[row as usize]
    }

    /// The same as numbers.
    pub(super) fn codes(&self, row: u32) -> &[usize] {
        &self.codes[row as usize]
    }

    /// The row with these labels.
    pub(super) fn find(&self, labels: &[String]) -> Option<u32> {
        self.rows.get(labels).copied()
    }

    /// Whether two tables have the same clients in the same rows. The last client of both is in a row.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.sizes == other.sizes && self.row_of == other.row_of
    }

    /// For each row of `inner`, and at last for all of its rows together: the row of this grouping that has all of its clients;
    /// the number of this grouping's rows, when several together have them; or [`NONE`].
    pub(super) fn around(&self, inner: &Self) -> Vec<u32> {
        const UNSEEN: u32 = NONE - 1;
        let several = u32::try_from(self.sizes.len()).unwrap_or(UNSEEN);
        let meet = |seen: u32, row: u32| match (seen, row) {
            (UNSEEN, row) => row,
            (NONE, _) | (_, NONE) => NONE,
            (seen, row) if seen == row => row,
            _ => several,
        };
        let mut around = vec![UNSEEN; inner.sizes.len()];
        for (client, row) in (0..).zip(&inner.row_of).filter(|(_, row)| **row != NONE) {
            let seen = &mut around[*row as usize];
            *seen = meet(*seen, self.row(client));
        }
        let all = around.iter().filter(|row| **row != UNSEEN).fold(UNSEEN, |all, row| meet(all, *row));
        around.push(all);
        // A row of nobody is inside of none.
        around.iter().map(|row| if *row == UNSEEN { NONE } else { *row }).collect()
    }
}

/// What one indicator says of each client.
#[derive(Clone)]
pub(super) struct Answers {
    /// The indicator and its measures.
    pub outcome: String,
    /// 0 where it is not known here, 1 for no, 2 for yes.
    of: Vec<u8>,
}

impl Answers {
    pub(super) fn new(outcome: &str) -> Self {
        Self { outcome: outcome.to_owned(), of: Vec::new() }
    }

    /// Notes an answer, and tells whether it is new.
    pub(super) fn set(&mut self, client: u32, yes: bool) -> bool {
        let at = client as usize;
        if self.of.len() <= at {
            self.of.resize(at + 1, 0);
        }
        let answer = 1 + u8::from(yes);
        std::mem::replace(&mut self.of[at], answer) != answer
    }

    /// Whether a client is counted, where it is known.
    pub(super) fn get(&self, client: u32) -> Option<bool> {
        self.of.get(client as usize).filter(|answer| **answer > 0).map(|answer| *answer == 2)
    }

    /// Whether one indicator says something about another: of the four pairs of answers, one has nobody.
    pub(super) fn is_tied_to(&self, other: &Self) -> bool {
        let mut pairs = [0_u64; 9];
        self.of.iter().zip(&other.of).for_each(|(a, b)| pairs[usize::from(a * 3 + b)] += 1);
        [4, 5, 7, 8].iter().any(|pair| pairs[*pair] == 0)
    }
}
