//! Which client is in which row, and what is said of whom.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};

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

/// Numbers keys in their order, equal ones alike: what comes of the numbers does not depend on the order of the clients,
/// who have other keys in every load. Gives how many numbers there are, too.
pub(super) fn in_order<K: Copy + Ord + Hash>(keys: impl Iterator<Item = K>) -> (Vec<u32>, usize) {
    let mut known: Numbers<K, u32> = Numbers::default();
    let mut distinct = Vec::new();
    let mut numbers: Vec<u32> = keys
        .map(|key| {
            let next = u32::try_from(distinct.len()).unwrap_or(NONE);
            *known.entry(key).or_insert_with(|| {
                distinct.push((key, next));
                next
            })
        })
        .collect();
    distinct.sort_unstable();
    let mut places = vec![0; distinct.len()];
    for (place, (_, number)) in (0..).zip(distinct) {
        places[number as usize] = place;
    }
    for number in &mut numbers {
        *number = places[*number as usize];
    }
    (numbers, places.len())
}

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
    /// The families of traits that decide in which row a client is, or whether in any.
    families: Vec<Family>,
}

/// What a family of traits decides in a grouping.
struct Family {
    name: String,
    /// Whether clients were chosen by it.
    is_chosen: bool,
    /// The labels of each row that are of the family, as a number: equal ones have the same.
    own: Vec<u32>,
    /// The other labels of each row.
    rest: Vec<u32>,
    /// The row of the other labels and those of the family.
    rows: Numbers<(u32, u32), u32>,
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

    /// Notes what the labels of each row tell of its clients.
    pub(super) fn label(&mut self, labels: &[Vec<String>]) {
        let told = || self.by.iter().chain(&self.chosen_by).filter_map(|told| told.family.as_ref());
        let names: BTreeSet<&String> = told().collect();
        let families = names.into_iter().map(|name| {
            let is_of = |told: &Trait| told.family.as_ref() == Some(name);
            let number = |of_family: bool| -> Vec<u32> {
                let mut known: HashMap<Vec<&String>, u32> = HashMap::new();
                let each = labels.iter().map(|labels| {
                    let part = self.by.iter().zip(labels).filter(|(told, _)| is_of(told) == of_family);
                    let next = u32::try_from(known.len()).unwrap_or(NONE);
                    *known.entry(part.map(|(_, label)| label).collect()).or_insert(next)
                });
                each.collect()
            };
            let (own, rest) = (number(true), number(false));
            let rows = rest.iter().copied().zip(own.iter().copied()).zip(0..).collect();
            Family { name: name.clone(), is_chosen: self.chosen_by.iter().any(is_of), own, rest, rows }
        });
        self.families = families.collect();
    }

    /// Its family of a name, if that decides anything.
    fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// Whether two rows differ in nothing but traits of a family.
    pub(super) fn differs_in(&self, a: u32, b: u32, family: &str) -> bool {
        self.family(family).is_some_and(|family| family.rest[a as usize] == family.rest[b as usize])
    }

    /// Where clients of each row come to with traits of a family.
    pub(super) fn traits(&self, family: &str) -> Traits<'_> {
        Traits(self.family(family))
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

/// What a family of traits decides in a grouping, if anything.
#[derive(Clone, Copy)]
pub(super) struct Traits<'a>(Option<&'a Family>);

impl Traits<'_> {
    /// The row in which clients of a row would be with the traits of those of another one.
    pub(super) fn row_with(self, row: u32, other: u32) -> Option<u32> {
        let Some(family) = self.0.filter(|_| row != other) else { return Some(row) };
        if row == NONE || other == NONE {
            // Whether the client would be in the table is known only when nothing but this family decides it.
            return (!family.is_chosen && row == NONE).then_some(NONE);
        }
        family.rows.get(&(family.rest[row as usize], family.own[other as usize])).copied()
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
