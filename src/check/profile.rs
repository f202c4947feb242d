//! What the columns of a file hold, as counts: by code, by day, by whole number, by the shape of a text, by organization.
//!
//! A [`Profile`] is added to chunk by chunk and merged with others; what is reported of it is the same for any cut of the
//! file and in any order. Its size has a bound that does not depend on the file. Identifiers have no part in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::RangeInclusive;

use siphasher::sip::SipHasher13;

use arrow::array::Array;

use super::fields::{NO_CODE, NO_DATE, NO_INTEGER, NO_TEXT, OtherFormats, Texts, Values};
use crate::calendar;
use crate::dictionary::{Dictionary, Field, FieldType, Presence, Role, names};

/// Days that are counted one by one: 1890-01-01 to 2099-12-31.
const DAYS: RangeInclusive<i32> = -29_219..=47_481;
/// Whole numbers that are counted one by one, at most.
const NUMBERS: i32 = 1 << 16;
/// Different texts up to which a column is counted exactly.
const SKETCH: usize = 1 << 14;
/// Shapes of a column beyond which they tell nothing.
const SHAPES: usize = 4_096;
/// Characters of a shape.
const SHAPE: usize = 40;
/// Organizations beyond which the column holds something else.
const ORGANIZATIONS: usize = 100_000;
/// Bytes of an organization's id; a longer one is none.
const ID: usize = 256;

/// What is counted, and how: the same for all profiles of a file.
#[derive(Debug)]
pub struct Plan {
    /// By the field's position in the dictionary.
    empty: Vec<Counts>,
    organization: Option<usize>,
    entity: Option<usize>,
    vaccination: Option<usize>,
    /// The expected fields, without the organization itself.
    expected: Vec<usize>,
    /// The responsible entities that the department has named, in the form of [`named`].
    jurisdiction: Vec<String>,
    /// For each day of [`DAYS`], whether it is the 1st or the 15th of its month.
    heaped: Vec<bool>,
    /// Different clients that an organization must have to be shown.
    clients: usize,
}

impl Plan {
    /// The plan for the columns of a file, by the positions of their fields. An organization is shown from `k` clients
    /// on; `jurisdiction` are the responsible entities whose rows are expected.
    pub fn new(dictionary: &Dictionary, order: &[usize], jurisdiction: &[String], k: u64) -> Self {
        let at = |name: &str| dictionary.position(name).filter(|at| order.contains(at));
        let organization = at(names::ORGANIZATION);
        let fields = || dictionary.fields().iter().enumerate().filter(|(at, _)| order.contains(at));
        let is_expected =
            |(at, field): &(usize, &Field)| field.presence == Presence::Expected && Some(*at) != organization;
        Self {
            empty: dictionary.fields().iter().map(|field| Counts::of(dictionary, field)).collect(),
            organization,
            // Without a jurisdiction, nobody asks whose rows they are.
            entity: at(names::RESPONSIBLE_ENTITY).filter(|_| !jurisdiction.is_empty()),
            vaccination: at(names::VACCINATION_DATE),
            expected: fields().filter(is_expected).map(|(at, _)| at).collect(),
            jurisdiction: jurisdiction.iter().map(|name| named(name)).collect(),
            heaped: DAYS.map(|day| matches!(calendar::civil(day).2, 1 | 15)).collect(),
            clients: usize::try_from(k).unwrap_or(usize::MAX),
        }
    }

    /// How many fields count towards the completeness of an organization's rows.
    pub fn expected(&self) -> usize {
        self.expected.len()
    }
}

/// A name as two spellings of it are compared.
fn named(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// What a part of a file holds.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Well-formed rows.
    pub rows: u64,
    /// By the field's position in the dictionary.
    pub columns: Vec<Counts>,
    /// What each organization has sent.
    pub organizations: Organizations,
    /// Rows of the responsible entities that the department has named, and of others.
    pub entities: [u64; 2],
    /// Dates that are in none of their formats, by the field's position in the dictionary.
    pub other_formats: Vec<OtherFormats>,
}

impl Profile {
    /// The profile of no rows.
    pub fn new(plan: &Plan) -> Self {
        Self {
            rows: 0,
            columns: plan.empty.clone(),
            organizations: Organizations::default(),
            entities: [0; 2],
            other_formats: vec![OtherFormats::default(); plan.empty.len()],
        }
    }

    /// Adds the rows of a chunk: `columns` by the field's position in the dictionary, and for each row the key of its
    /// client (0 when it has none) and whether it is rejected.
    pub fn add(&mut self, plan: &Plan, columns: &[Values], clients: &[i64], rejected: &[bool]) {
        self.rows += rejected.len() as u64;
        for (at, (counts, values)) in self.columns.iter_mut().zip(columns).enumerate() {
            let Values::Texts(texts) = values else {
                counts.add(values);
                continue;
            };
            if matches!(counts, Counts::Identifier) {
                continue;
            }
            let rows = texts.rows();
            counts.add_texts(&rows);
            if plan.entity == Some(at) {
                for (text, rows) in &rows {
                    self.entities[usize::from(!plan.jurisdiction.contains(&named(text)))] += rows;
                }
            }
            if plan.organization == Some(at) {
                self.organizations.add(plan, columns, texts, clients, rejected);
            }
        }
    }

    /// Adds the profile of another part of the same file.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (counts, other) in self.columns.iter_mut().zip(other.columns) {
            counts.merge(other);
        }
        self.organizations.merge(&other.organizations);
        for (rows, other) in self.entities.iter_mut().zip(other.entities) {
            *rows += other;
        }
        for (formats, other) in self.other_formats.iter_mut().zip(&other.other_formats) {
            formats.merge(other);
        }
    }
}

/// The values of one column.
#[derive(Clone, Debug)]
pub enum Counts {
    /// An identifier: nothing.
    Identifier,
    /// Rows of each code, by its position; last, those without one.
    Codes(Vec<u64>),
    /// Rows of each day.
    Days(Line),
    /// Rows of each whole number.
    Numbers(Line),
    /// Texts.
    Texts {
        /// Rows with one.
        present: u64,
        /// How many different ones.
        distinct: Distinct,
        /// Rows of each shape.
        shapes: Shapes,
    },
}

impl Counts {
    fn of(dictionary: &Dictionary, field: &Field) -> Self {
        if field.role == Role::Identifier {
            return Self::Identifier;
        }
        match field.field_type {
            FieldType::Date => Self::Days(Line::new(&DAYS)),
            FieldType::Integer => {
                let first = field.minimum.unwrap_or(0);
                let most = first.saturating_add(NUMBERS - 1);
                Self::Numbers(Line::new(&(first..=field.maximum.unwrap_or(most).clamp(first, most))))
            }
            FieldType::Code => {
                Self::Codes(vec![0; dictionary.codelist(field).map_or(0, |list| list.codes().len()) + 1])
            }
            FieldType::Text => Self::Texts { present: 0, distinct: Distinct::default(), shapes: Shapes::default() },
        }
    }

    fn add(&mut self, values: &Values) {
        match (self, values) {
            (Self::Codes(counts), Values::Codes(codes)) => {
                let none = counts.len() - 1;
                for code in codes {
                    counts[usize::from(*code).min(none)] += 1;
                }
            }
            (Self::Days(line), Values::Dates(days)) => line.add(days, NO_DATE),
            (Self::Numbers(line), Values::Integers(numbers)) => line.add(numbers, NO_INTEGER),
            // A column that is not in the file, or an identifier that is not read.
            _ => {}
        }
    }

    fn add_texts(&mut self, texts: &[(&str, u64)]) {
        let Self::Texts { present, distinct, shapes } = self else { return };
        for (text, rows) in texts {
            let hash = SipHasher13::new().hash(text.as_bytes());
            *present += rows;
            distinct.insert(hash);
            shapes.add(hash, text, *rows);
        }
    }

    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Codes(counts), Self::Codes(other)) => add_up(counts, &other),
            (Self::Days(line), Self::Days(other)) | (Self::Numbers(line), Self::Numbers(other)) => {
                line.merge(&other);
            }
            (
                Self::Texts { present, distinct, shapes },
                Self::Texts { present: other_present, distinct: other_distinct, shapes: other_shapes },
            ) => {
                *present += other_present;
                distinct.merge(other_distinct);
                shapes.merge(other_shapes);
            }
            // Both are of one plan.
            _ => {}
        }
    }
}

fn add_up(counts: &mut [u64], other: &[u64]) {
    for (count, other) in counts.iter_mut().zip(other) {
        *count += other;
    }
}

/// Rows by whole numbers of a range.
#[derive(Clone, Debug)]
pub struct Line {
    first: i32,
    /// Rows of each number from the first on.
    inside: Vec<u64>,
    /// Rows with a number below and above them.
    outside: [u64; 2],
}

impl Line {
    fn new(range: &RangeInclusive<i32>) -> Self {
        let width = usize::try_from(i64::from(*range.end()) - i64::from(*range.start()) + 1).unwrap_or(0);
        Self { first: *range.start(), inside: vec![0; width], outside: [0; 2] }
    }

    fn add(&mut self, values: &[i32], none: i32) {
        for value in values {
            // Without its sign, what is below the first is beyond the last.
            let at = value.wrapping_sub(self.first).cast_unsigned() as usize;
            if let Some(rows) = self.inside.get_mut(at) {
                *rows += 1;
            } else if *value != none {
                self.outside[usize::from(*value > self.first)] += 1;
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        add_up(&mut self.inside, &other.inside);
        add_up(&mut self.outside, &other.outside);
    }

    /// The numbers with rows, and those rows.
    pub fn each(&self) -> impl Iterator<Item = (i32, u64)> {
        (self.first..).zip(&self.inside).filter(|(_, rows)| **rows > 0).map(|(value, rows)| (value, *rows))
    }

    /// Rows with a number below and above the range.
    pub fn outside(&self) -> [u64; 2] {
        self.outside
    }
}

/// How many different texts there are: the 16,384 smallest hashes of them. With fewer texts it is exact; with more, the
/// largest hash that is kept tells how densely they lie, with a standard error of 0.8 % (Bar-Yossef et al. 2002).
///
/// The hash is of 64 bits under a fixed key, so that two reports of one file are the same; it stays in memory.
#[derive(Clone, Debug)]
pub struct Distinct {
    /// At least the smallest hashes; at most twice as many as are needed.
    hashes: HashSet<u64, BuildHasherDefault<Itself>>,
    /// No larger hash is among the smallest.
    most: u64,
}

impl Default for Distinct {
    fn default() -> Self {
        Self { hashes: HashSet::default(), most: u64::MAX }
    }
}

impl Distinct {
    /// The relative standard error of an estimate.
    pub const ERROR: f64 = 0.008;

    fn insert(&mut self, hash: u64) {
        if hash <= self.most && self.hashes.insert(hash) && self.hashes.len() > 2 * SKETCH {
            let smallest = self.smallest();
            self.most = smallest.last().copied().unwrap_or(u64::MAX);
            self.hashes = smallest.into_iter().collect();
        }
    }

    fn merge(&mut self, other: Self) {
        for hash in other.hashes {
            self.insert(hash);
        }
    }

    /// The smallest hashes, ascending.
    fn smallest(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.hashes.iter().copied().collect();
        hashes.sort_unstable();
        hashes.truncate(SKETCH);
        hashes
    }

    /// How many, and whether that is exact.
    pub fn count(&self) -> (u64, bool) {
        let smallest = self.smallest();
        match smallest.last() {
            Some(last) if smallest.len() == SKETCH => {
                let kept = SKETCH as u128 - 1;
                (u64::try_from((kept << 64) / u128::from((*last).max(1))).unwrap_or(u64::MAX), false)
            }
            _ => (smallest.len() as u64, true),
        }
    }
}

/// The hash of a hash is the hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Rows by the shape of their text.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    /// Each shape, and the place of its rows.
    places: BTreeMap<String, usize>,
    rows: Vec<u64>,
    /// The shapes of texts that have been seen, by their hashes: a provider's name comes again and again.
    known: HashMap<u64, usize, BuildHasherDefault<Itself>>,
    /// There are so many shapes that they tell nothing.
    too_many: bool,
}

impl Shapes {
    fn add(&mut self, hash: u64, text: &str, rows: u64) {
        if self.too_many {
            return;
        }
        let at = if let Some(at) = self.known.get(&hash) {
            *at
        } else {
            let at = self.place(shape(text));
            if self.known.len() < SKETCH {
                self.known.insert(hash, at);
            }
            at
        };
        self.rows[at] += rows;
        self.bound();
    }

    fn place(&mut self, shape: String) -> usize {
        let next = self.rows.len();
        let at = *self.places.entry(shape).or_insert(next);
        if at == next {
            self.rows.push(0);
        }
        at
    }

    fn merge(&mut self, other: Self) {
        self.too_many |= other.too_many;
        for (shape, at) in other.places {
            let here = self.place(shape);
            self.rows[here] += other.rows[at];
        }
        self.bound();
    }

    fn bound(&mut self) {
        if self.too_many || self.places.len() > SHAPES {
            *self = Self { too_many: true, ..Self::default() };
        }
    }

    /// Each shape with its rows; `None` when there are too many.
    pub fn each(&self) -> Option<impl Iterator<Item = (&str, u64)>> {
        (!self.too_many).then(|| self.places.iter().map(|(shape, at)| (shape.as_str(), self.rows[*at])))
    }
}

/// The shape of a text: each digit is `9`, each run of capitals `A` and of other letters `a`; the first 40 characters of
/// that. A letter of the text is never in it.
pub fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut length = 0;
    for character in text.chars() {
        let class = match character {
            _ if character.is_numeric() => '9',
            _ if character.is_uppercase() => 'A',
            _ if character.is_alphabetic() => 'a',
            ' ' | '!'..='~' => character,
            _ => '?',
        };
        if matches!(class, 'A' | 'a') && shape.ends_with(class) {
            continue;
        }
        if length == SHAPE {
            shape.push('…');
            break;
        }
        shape.push(class);
        length += 1;
    }
    shape
}

/// What one organization has sent.
#[derive(Clone, Debug, Default)]
pub struct Organization {
    /// Well-formed rows.
    pub rows: u64,
    /// Those that are rejected.
    pub rejected: u64,
    /// Values of expected fields that are there and fit.
    pub usable: u64,
    /// Rows with a day of vaccination.
    pub dated: u64,
    /// Rows with the 1st or the 15th of a month.
    pub heaped: u64,
    /// Some of its clients, by their keys: all, or as many as it must have to be shown.
    clients: Vec<i64>,
}

impl Organization {
    /// How many different clients are known, up to those that it must have to be shown.
    pub fn clients(&self) -> u64 {
        self.clients.len() as u64
    }

    fn client(&mut self, key: i64, most: usize) {
        if self.clients.len() < most && key != 0 && !self.clients.contains(&key) {
            self.clients.push(key);
        }
    }

    /// Adds another part of the same organization, or another organization.
    pub fn merge(&mut self, other: &Self, most: usize) {
        self.rows += other.rows;
        self.rejected += other.rejected;
        self.usable += other.usable;
        self.dated += other.dated;
        self.heaped += other.heaped;
        for key in &other.clients {
            self.client(*key, most);
        }
    }
}

/// All organizations of a file.
#[derive(Clone, Debug, Default)]
pub struct Organizations {
    /// By id; empty when there are more than 100,000.
    pub by_id: HashMap<Box<str>, Organization>,
    /// Whether there are too many for the column to hold organizations.
    pub too_many: bool,
    /// Rows without an organization.
    pub without: u64,
    clients: usize,
}

impl Organizations {
    fn add(&mut self, plan: &Plan, columns: &[Values], texts: &Texts, clients: &[i64], rejected: &[bool]) {
        self.clients = plan.clients;
        if self.too_many {
            return;
        }
        let mut of_chunk = vec![Organization::default(); texts.different.len()];
        let mut usable = vec![0_u16; rejected.len()];
        for at in &plan.expected {
            usable_values(&columns[*at], &mut usable);
        }
        let days = plan.vaccination.map(|at| &columns[at]);
        let days = if let Some(Values::Dates(days)) = days { days.as_slice() } else { &[] };
        for (row, id) in texts.ids.iter().enumerate() {
            let Some(organization) = of_chunk.get_mut(*id as usize) else {
                self.without += 1;
                continue;
            };
            organization.rows += 1;
            organization.rejected += u64::from(rejected[row]);
            organization.usable += u64::from(usable[row]);
            organization.client(clients[row], plan.clients);
            if let Some(day) = days.get(row).filter(|day| **day != NO_DATE) {
                let at = usize::try_from(i64::from(*day) - i64::from(*DAYS.start())).ok();
                let is_heaped = at.and_then(|at| plan.heaped.get(at)).copied().unwrap_or(false);
                organization.dated += 1;
                organization.heaped += u64::from(is_heaped);
            }
        }
        for (id, organization) in texts.different.iter().zip(of_chunk).filter(|(_, organization)| organization.rows > 0)
        {
            let id = id.unwrap_or_default();
            if id.len() > ID {
                self.without += organization.rows;
            } else {
                self.put(id, &organization);
            }
        }
        self.bound();
    }

    fn put(&mut self, id: &str, organization: &Organization) {
        if let Some(known) = self.by_id.get_mut(id) {
            known.merge(organization, self.clients);
        } else {
            self.by_id.insert(id.into(), organization.clone());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.clients = self.clients.max(other.clients);
        self.without += other.without;
        self.too_many |= other.too_many;
        for (id, organization) in &other.by_id {
            self.put(id, organization);
        }
        self.bound();
    }

    fn bound(&mut self) {
        self.too_many |= self.by_id.len() > ORGANIZATIONS;
        if self.too_many {
            (self.by_id, self.without) = (HashMap::new(), 0);
        }
    }
}

/// Adds one to each row with a value.
fn usable_values(values: &Values, usable: &mut [u16]) {
    match values {
        Values::Dates(days) => add_ones(usable, days, NO_DATE),
        Values::Integers(numbers) => add_ones(usable, numbers, NO_INTEGER),
        Values::Codes(codes) => add_ones(usable, codes, NO_CODE),
        Values::Texts(texts) => add_ones(usable, &texts.ids, NO_TEXT),
        Values::Unread => {}
    }
}

/// A file has fewer columns than would make a sum too large; that nothing asks for it, many rows are added at once.
fn add_ones<T: Copy + PartialEq>(usable: &mut [u16], values: &[T], none: T) {
    for (sum, value) in usable.iter_mut().zip(values) {
        *sum = sum.wrapping_add((*value != none).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_digits_and_runs_of_letters_and_no_letter_of_the_text() {
        for (text, expected) in [
            ("", ""),
            ("78701", "99999"),
            ("78701-1234", "99999-9999"),
            ("Sunrise Clinic", "Aa Aa"),
            ("McDONALD, José", "AaA, Aa"),
            ("O'Neil\u{2013}Ruiz\t7", "A'Aa?Aa?9"),
            (&"9".repeat(40), &"9".repeat(40)),
            (&"1-".repeat(30), &("9-".repeat(20) + "…")),
            (&"x".repeat(1_000_000), "a"),
        ] {
            assert_eq!(shape(text), expected, "{}", text.len());
        }
    }

    #[test]
    fn a_line_counts_every_number_and_both_sides() {
        let mut line = Line::new(&(-1..=2));
        line.add(&[NO_DATE, -1, 2, 2, 3, i32::MAX, -2, -2, i32::MIN + 1], NO_DATE);
        assert_eq!(line.each().collect::<Vec<_>>(), [(-1, 1), (2, 2)]);
        assert_eq!(line.outside(), [3, 2]);
        let mut days = Line::new(&DAYS);
        days.add(&[*DAYS.start(), *DAYS.end(), *DAYS.start() - 1, *DAYS.end() + 1], NO_DATE);
        let told: Vec<_> = days.each().map(|(day, _)| calendar::date(day).to_string()).collect();
        assert_eq!((told.join(" ").as_str(), days.outside()), ("1890-01-01 2099-12-31", [1, 1]));
    }

    #[test]
    fn distinct_texts_are_exact_until_there_are_many_and_then_near() {
        let of = |texts: std::ops::Range<u32>| {
            let mut distinct = Distinct::default();
            texts.for_each(|number| distinct.insert(SipHasher13::new().hash(number.to_string().as_bytes())));
            distinct
        };
        let mut few = of(0..1_000);
        few.merge(of(500..1_500));
        assert_eq!(few.count(), (1_500, true));
        let mut many = of(0..150_000);
        many.merge(of(100_000..300_000));
        assert_eq!(many.smallest(), of(0..300_000).smallest(), "the same in any order");
        let (count, is_exact) = many.count();
        assert!(!is_exact && count.abs_diff(300_000) < 300_000 * 3 / 100, "{count}");
    }
}
