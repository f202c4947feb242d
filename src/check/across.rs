//! Rules across rows: the same row, id or dose twice, a client with two birth dates, an order of doses against the days.
//!
//! Every accepted row leaves a few fixed-size entries of seeded hashes and codes, without a value, in a spill by bucket;
//! entries that belong together meet in one bucket, whatever the order in which the chunks came, and are sorted by their
//! offset when the whole file has been read.
//!
//! Ids are compared by 80 bits of a hash: among 100 million of them, two that differ are taken for the same with a
//! probability of about 1e8² / 2^81 = 4e-9. Rows of one client are compared by 48, and by their CVX codes.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use foldhash::quality::FixedState;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::fields::{NO_CODE, NO_DATE, NO_INTEGER, Values};
use super::findings::{Count, FIRST_PLACES, RuleId};
use super::place::Place;
use super::reader::Records;
use super::ruleset::{Kind, Ruleset};
use crate::calendar;
use crate::dictionary::{Dictionary, Role, names};
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::period::ReportingPeriod;
use crate::random::random_bytes;
use crate::spill::{Size, Spill, each_heap, u64_at};

/// Bytes of a bucket, about: it is sorted in the second cache.
const BUCKET: u64 = 1 << 20;

/// One dose as the rules about clients need it. Offset and hash of the row have 48 bits.
#[derive(Clone, Copy, Debug)]
struct Dose {
    client: u64,
    offset: u64,
    row: u64,
    day: i32,
    birth: i32,
    cvx: u16,
    group: u16,
    sex: u16,
    county: u16,
    ordinal: u16,
}

impl Dose {
    const WIDTH: usize = 36;
    /// What [`NO_DATE`] becomes in three bytes, in which all days of four-digit years have room.
    const NO_DAY: i32 = -1 << 23;

    /// The day as a number that sorts like it: days before 1970 are negative, so that the sign bit is turned.
    fn by_day(&self) -> u64 {
        u64::from(self.day.cast_unsigned() ^ 1 << 31)
    }

    fn bytes(&self) -> [u8; Self::WIDTH] {
        let mut bytes = [0; Self::WIDTH];
        bytes[..8].copy_from_slice(&self.client.to_le_bytes());
        for (at, number) in [self.offset, self.row].into_iter().enumerate() {
            bytes[8 + at * 6..][..6].copy_from_slice(&number.to_le_bytes()[..6]);
        }
        for (at, days) in [self.day, self.birth].into_iter().enumerate() {
            bytes[20 + at * 3..][..3].copy_from_slice(&days.max(Self::NO_DAY).to_le_bytes()[..3]);
        }
        for (at, number) in [self.cvx, self.group, self.sex, self.county, self.ordinal].into_iter().enumerate() {
            bytes[26 + at * 2..][..2].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Self {
        // Six bytes of eight, and three of four with the sign: the bytes before them are shifted out.
        let six = |at: usize| u64_at(bytes, at - 2) >> 16;
        let days = |at: usize| i32::from_le_bytes(bytes[at - 1..].first_chunk().copied().unwrap_or_default()) >> 8;
        let short = |at: usize| u16::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default());
        Self {
            client: u64_at(bytes, 0),
            offset: six(8),
            row: six(14),
            day: days(20),
            birth: days(23),
            cvx: short(26),
            group: short(28),
            sex: short(30),
            county: short(32),
            ordinal: short(34),
        }
    }
}

/// An id with what goes with it, in so many rows of which the first begins at `offset`.
#[derive(Clone, Copy, Debug)]
struct Use {
    /// 80 bits of the id's hash, then 48 bits of the offset: ids sort together, and in the order of the file.
    id: u128,
    /// The hash of what goes with it, of which 44 bits are kept.
    with: u64,
    rows: u32,
}

impl Use {
    /// Bytes of an id with which nothing goes, in one row.
    const WIDTH_ALONE: usize = 16;
    const WIDTH: usize = 24;
    const OFFSET_BITS: u32 = 48;
    const ROWS_BITS: u32 = 20;
    /// Rows that one use can stand for.
    const MOST_ROWS: u32 = (1 << Self::ROWS_BITS) - 1;

    /// Of so many rows.
    fn new(hash: u128, offset: u64, rows: u32) -> Self {
        let id = hash >> Self::OFFSET_BITS << Self::OFFSET_BITS | u128::from(offset);
        Self { id, with: 0, rows }
    }

    fn id(&self) -> u128 {
        self.id >> Self::OFFSET_BITS
    }

    fn offset(&self) -> u64 {
        u64::try_from(self.id & ((1 << Self::OFFSET_BITS) - 1)).unwrap_or(u64::MAX)
    }

    /// Bits of the id by which it is put into a bucket.
    fn hash(&self) -> u64 {
        lower(self.id())
    }

    /// Into room for an id with which nothing goes, or for one with which something does.
    fn write(&self, into: &mut [u8]) {
        let (id, more) = into.split_at_mut(Self::WIDTH_ALONE);
        id.copy_from_slice(&self.id.to_le_bytes());
        if !more.is_empty() {
            more.copy_from_slice(&(self.with & !u64::from(Self::MOST_ROWS) | u64::from(self.rows)).to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let last = if bytes.len() == Self::WIDTH_ALONE { 1 } else { u64_at(bytes, 16) };
        Self {
            id: u128::from(u64_at(bytes, 0)) | u128::from(u64_at(bytes, 8)) << 64,
            with: last & !u64::from(Self::MOST_ROWS),
            rows: u32::try_from(last & u64::from(Self::MOST_ROWS)).unwrap_or(Self::MOST_ROWS),
        }
    }
}

/// A rule about an id, by columns of the file.
#[derive(Debug)]
struct IdRule {
    rule: RuleId,
    /// Column of the file and field of the dictionary.
    id: (usize, usize),
    /// What must be the same wherever the id is; without any, the id may be there once.
    by: Vec<(usize, usize)>,
    /// Whether it is that of many rows: of an organization, and not of a person or a shot.
    is_shared: bool,
    /// The fields by which rows are compared, where one use can stand for several rows that are alike; none where each row is
    /// looked at.
    alike_by: BTreeSet<usize>,
}

impl IdRule {
    fn new(rule: RuleId, dictionary: &Dictionary, id: (usize, usize), by: Vec<(usize, usize)>) -> Self {
        let is_shared = dictionary.fields()[id.1].role != Role::Identifier;
        let columns = std::iter::once(&id).chain(&by).filter(|_| is_shared && !by.is_empty());
        let alike_by = columns.map(|(_, field)| *field).collect();
        Self { rule, id, by, is_shared, alike_by }
    }

    /// Bytes that a row leaves, about.
    fn of_a_row(&self) -> usize {
        if self.is_shared { 1 } else { self.width() }
    }

    fn width(&self) -> usize {
        if self.by.is_empty() { Use::WIDTH_ALONE } else { Use::WIDTH }
    }
}

/// The rows of a chunk that are kept, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Their positions among the records.
    pub rows: &'a [u32],
    /// The records.
    pub records: &'a Records<'a>,
    /// By field.
    pub columns: &'a [Values],
    /// The key of each record's client.
    pub clients: &'a [i64],
}

/// A rule about clients, by what it looks at.
#[derive(Clone, Copy, Debug)]
enum OfClients {
    RowAgain,
    DoseAgain,
    SoonAgain,
    Birth,
    Sex,
    County,
    Ordinal,
    Many,
    BirthAlone,
}

impl OfClients {
    const COUNT: usize = Self::BirthAlone as usize + 1;
    /// Those that count clients, and not rows.
    const OF_ONE_EACH: [Self; 2] = [Self::Many, Self::BirthAlone];
}

/// The rules about clients that can be checked.
#[derive(Debug)]
struct ClientRules {
    ids: [Option<RuleId>; OfClients::COUNT],
    soon_again: SoonAgain,
    /// How many doses a client may have.
    most: usize,
    birth_alone: Option<BirthAlone>,
}

impl Default for ClientRules {
    fn default() -> Self {
        let ids = [None; OfClients::COUNT];
        Self { ids, soon_again: SoonAgain::default(), most: usize::MAX, birth_alone: None }
    }
}

/// When a dose is too soon after another one.
#[derive(Debug, Default)]
struct SoonAgain {
    /// Of these vaccine groups.
    groups: BTreeSet<u16>,
    /// When fewer days lie between them.
    days: i32,
}

impl SoonAgain {
    fn is(&self, group: u16, days: i32) -> bool {
        days < self.days && self.groups.contains(&group)
    }
}

/// Who has been given nothing since birth.
#[derive(Debug)]
struct BirthAlone {
    /// All doses are of this vaccine group.
    group: u16,
    /// And were given at so many days of age at most.
    days: i32,
    /// The last birth of those who are old enough.
    born_by: i32,
}

impl BirthAlone {
    fn is(&self, birth: i32, doses: &[Dose]) -> bool {
        let at_birth = |dose: &Dose| (0..=self.days).contains(&dose.day.saturating_sub(birth));
        birth != Dose::NO_DAY
            && birth <= self.born_by
            && doses.iter().all(|dose| dose.group == self.group && at_birth(dose))
    }
}

/// What a rule came to.
#[derive(Debug, Default)]
struct Outcome {
    count: Count,
    /// Offsets of rows that broke it; the first of them, once [`Outcome::settle`] was called.
    first: Vec<u64>,
}

impl Outcome {
    fn failed(&mut self, offset: u64, rows: u64) {
        self.count.failed += rows;
        self.first.push(offset);
        if self.first.len() > 1_000 {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.first.sort_unstable();
        self.first.truncate(FIRST_PLACES);
    }

    fn merge(&mut self, other: Self) {
        self.count.checked += other.count.checked;
        self.count.failed += other.count.failed;
        self.first.extend(other.first);
        self.settle();
    }
}

/// Whether an id is a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The field's position in the dictionary.
    pub field: usize,
    /// Accepted rows with a value.
    pub rows: u64,
    /// Different values.
    pub distinct: u64,
}

/// What all rules across rows came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Rule, count, first places.
    pub rules: Vec<(RuleId, Count, Vec<Place>)>,
    /// The identifiers that rules look at.
    pub keys: Vec<Key>,
    /// Different clients.
    pub clients: u64,
}

/// All rules across rows, and what has been set aside for them.
#[derive(Debug)]
pub struct Across<'a> {
    dictionary: &'a Dictionary,
    clients: ClientRules,
    ids: Vec<IdRule>,
    /// Fields by their position in the dictionary: birth date, vaccination date, CVX code, group, sex, county, ordinal.
    fields: [Option<usize>; 7],
    /// The field of the client id.
    client: Option<usize>,
    seed: u64,
    /// Of the hash of whole rows.
    rows: FixedState,
    doses: Spill,
    uses: Vec<Spill>,
}

impl<'a> Across<'a> {
    /// The rules that can be checked on a file of so many bytes. `order` says for each column of the file which field it is;
    /// `folder` is where entries go that are too many for `memory` bytes.
    pub fn new(
        rules: &Ruleset,
        dictionary: &'a Dictionary,
        period: ReportingPeriod,
        order: &[usize],
        (folder, memory): (&Path, usize),
        bytes: u64,
    ) -> Result<Self> {
        let place = |name: &str| {
            let column = order.iter().position(|at| dictionary.fields()[*at].name == name).unwrap_or_default();
            (column, dictionary.position(name).unwrap_or_default())
        };
        let mut clients = ClientRules::default();
        let mut ids = Vec::new();
        for (id, rule) in rules.rules().iter().enumerate() {
            if Ruleset::not_checkable(rule, dictionary, period).is_some() {
                continue;
            }
            let mut of_clients = |of: OfClients| clients.ids[of as usize] = Some(id);
            match &rule.kind {
                Kind::RowAgain => of_clients(OfClients::RowAgain),
                Kind::DoseAgain => of_clients(OfClients::DoseAgain),
                Kind::OrdinalOrder => of_clients(OfClients::Ordinal),
                Kind::ClientDiffers { column } if column == names::BIRTH_DATE => of_clients(OfClients::Birth),
                Kind::ClientDiffers { column } if column == names::SEX => of_clients(OfClients::Sex),
                Kind::ClientDiffers { column } if column == names::COUNTY => of_clients(OfClients::County),
                Kind::ManyDoses { most } => {
                    of_clients(OfClients::Many);
                    clients.most = *most;
                }
                Kind::DoseSoonAgain { groups, days } => {
                    of_clients(OfClients::SoonAgain);
                    let groups = Ruleset::codes_of_groups(groups, dictionary).into_iter().collect();
                    clients.soon_again = SoonAgain { groups, days: i32::from(*days) };
                }
                Kind::BirthDoseAlone { group, days, years } => {
                    of_clients(OfClients::BirthAlone);
                    let born_by = calendar::born_by(calendar::day(period.last_day()), u32::from(*years) * 12);
                    let groups = Ruleset::codes_of_groups(std::slice::from_ref(group), dictionary);
                    let alone = |group: &u16| BirthAlone { group: *group, days: i32::from(*days), born_by };
                    clients.birth_alone = groups.first().map(alone);
                }
                Kind::IdAgain { column } => ids.push(IdRule::new(id, dictionary, place(column), Vec::new())),
                Kind::IdDiffers { column, by } => {
                    let by = by.iter().map(|name| place(name)).collect();
                    ids.push(IdRule::new(id, dictionary, place(column), by));
                }
                _ => {}
            }
        }
        let at = |name: &str| dictionary.field(name).and_then(|field| dictionary.position(&field.name));
        let of_a_row = Dose::WIDTH + ids.iter().map(IdRule::of_a_row).sum::<usize>();
        let size = Size { file_bytes: bytes, bucket: BUCKET };
        let spill = |width, part| Spill::new(folder, width, size, memory / of_a_row * part);
        Ok(Self {
            dictionary,
            clients,
            fields: [
                names::BIRTH_DATE,
                names::VACCINATION_DATE,
                names::CVX,
                names::VACCINE_GROUP,
                names::SEX,
                names::COUNTY,
                names::ORDINAL,
            ]
            .map(at),
            client: at(names::CLIENT),
            seed: u64::from_le_bytes(random_bytes()?),
            rows: FixedState::with_seed(u64::from_le_bytes(random_bytes()?)),
            doses: spill(Dose::WIDTH, Dose::WIDTH),
            uses: ids.iter().map(|rule| spill(rule.width(), rule.of_a_row())).collect(),
            ids,
        })
    }

    /// Sets entries of the accepted rows of a chunk aside. Chunks may come in any order.
    pub fn add(&self, kept: Kept<'_>) -> Result<()> {
        self.add_doses(kept)?;
        // Two rules often look at the same columns.
        let mut rows = Vec::new();
        let mut last: Option<&IdRule> = None;
        for (rule, spill) in self.ids.iter().zip(&self.uses) {
            if last.replace(rule).is_none_or(|last| last.alike_by != rule.alike_by) {
                rows = rows_of(rule, kept);
            }
            let uses = self.uses_of(rule, &rows, kept);
            let hashes: Vec<u64> = uses.iter().map(Use::hash).collect();
            let mut room = spill.room(&hashes);
            for (number, one) in uses.iter().enumerate() {
                one.write(room.entry(number));
            }
            spill.put(room)?;
        }
        Ok(())
    }

    fn add_doses(&self, Kept { rows, records, columns, clients }: Kept<'_>) -> Result<()> {
        // A column that is not there has no values.
        let [birth, day, cvx, group, sex, county, ordinal] =
            self.fields.map(|at| at.map_or(&Values::Unread, |at| &columns[at]));
        let [births, days] = [birth, day].map(Values::dates);
        let [cvx, groups, sexes, counties] = [cvx, group, sex, county].map(Values::codes);
        let ordinals = ordinal.integers();
        let day = |days: &[i32], row: usize| days.get(row).copied().unwrap_or(NO_DATE);
        let code = |codes: &[u16], row: usize| codes.get(row).copied().unwrap_or(NO_CODE);
        let ordinal = |row: usize| {
            let ordinal = ordinals.get(row).copied().unwrap_or(NO_INTEGER);
            u16::try_from(ordinal).unwrap_or(NO_CODE)
        };
        let hashes: Vec<u64> = rows.iter().map(|row| clients[*row as usize].cast_unsigned()).collect();
        let mut room = self.doses.room(&hashes);
        for (number, row) in rows.iter().map(|row| *row as usize).enumerate() {
            let dose = Dose {
                client: hashes[number],
                offset: records.places()[row].offset,
                row: self.rows.hash_one(records.raw(row)),
                day: day(days, row),
                birth: day(births, row),
                cvx: code(cvx, row),
                group: code(groups, row),
                sex: code(sexes, row),
                county: code(counties, row),
                ordinal: ordinal(row),
            };
            room.entry(number).copy_from_slice(&dose.bytes());
        }
        self.doses.put(room)
    }

    /// Gives the hash of a column's value in each of some rows, or none where there is no value, one row after another.
    fn each_hash(
        &self,
        kept: Kept<'_>,
        (column, field): (usize, usize),
        rows: &[(usize, u32)],
        mut each: impl FnMut(usize, Option<u128>),
    ) {
        let rows = rows.iter().map(|(row, _)| *row).enumerate();
        match &kept.columns[field] {
            _ if self.client == Some(field) => {
                rows.for_each(|(at, row)| each(at, Some(kept.clients[row].cast_unsigned().into())));
            }
            Values::Dates(days) => rows.for_each(|(at, row)| each(at, Some(days[row].cast_unsigned().into()))),
            Values::Texts(texts) => {
                let hash = |text: Option<&str>| xxh3_128_with_seed(text.unwrap_or_default().as_bytes(), self.seed);
                let hashes: Vec<u128> = texts.different.iter().map(hash).collect();
                // A row without a text has a number beyond all of them.
                rows.for_each(|(at, row)| each(at, hashes.get(texts.ids[row] as usize).copied()));
            }
            // The column was not read.
            _ => rows.for_each(|(at, row)| {
                let value = kept.records.value(row, column);
                each(at, (!self.dictionary.is_missing(&value)).then(|| xxh3_128_with_seed(&value, self.seed)));
            }),
        }
    }

    /// The ids of a chunk that are there with all that goes with them.
    fn uses_of(&self, rule: &IdRule, rows: &[(usize, u32)], kept: Kept<'_>) -> Vec<Use> {
        let mut uses: Vec<Use> = Vec::with_capacity(rows.len());
        self.each_hash(kept, rule.id, rows, |at, hash| {
            let (row, count) = rows[at];
            let count = if hash.is_some() { count } else { 0 };
            uses.push(Use::new(hash.unwrap_or_default(), kept.records.places()[row].offset, count));
        });
        for by in &rule.by {
            self.each_hash(kept, *by, rows, |at, hash| match hash {
                Some(hash) => uses[at].with = mixed(uses[at].with ^ lower(hash)),
                None => uses[at].rows = 0,
            });
        }
        uses.retain(|one| one.rows > 0);
        uses
    }

    /// Looks at all entries, by so many threads. `starts` are the offset and line on which some records begin, in the order
    /// of the file.
    pub fn finish(self, delivery: &Delivery, line_end: u8, starts: &[(u64, u64)], threads: usize) -> Result<Found> {
        let mut found = Found::default();
        let mut outcomes: Vec<(RuleId, Outcome)> = Vec::new();
        for (rule, spill) in self.ids.iter().zip(self.uses) {
            let mut outcome = Outcome::default();
            let mut key = Key { field: rule.id.1, rows: 0, distinct: 0 };
            let parts = spill.look(threads, |_, bytes| Ok(look_at_uses(rule, &bytes)))?;
            for (rows, distinct, part) in parts {
                key.rows += rows;
                key.distinct += distinct;
                outcome.merge(part);
            }
            outcome.count.checked = key.rows;
            found.keys.push(key);
            outcomes.push((rule.rule, outcome));
        }
        let rules = self.clients;
        let parts = self.doses.look(threads, |_, bytes| {
            let mut clients = ClientOutcomes::default();
            let mut sorted = Vec::new();
            each_history(&bytes, |history| clients.look(history, &rules, &mut sorted));
            Ok(clients)
        })?;
        let mut clients = ClientOutcomes::default();
        for part in parts {
            clients.merge(part);
        }
        found.clients = clients.clients;
        clients.outcomes.iter_mut().for_each(|outcome| outcome.count.checked = clients.rows);
        for of in OfClients::OF_ONE_EACH {
            clients.of(of).count.checked = found.clients;
        }
        let of_clients = rules.ids.into_iter().zip(clients.outcomes);
        outcomes.extend(of_clients.filter_map(|(rule, outcome)| Some((rule?, outcome))));
        let offsets = outcomes.iter().flat_map(|(_, outcome)| outcome.first.clone());
        let lines = lines_of(delivery, line_end, starts, offsets)?;
        found.rules = outcomes
            .into_iter()
            .map(|(rule, outcome)| {
                let places = outcome.first.iter().map(|offset| {
                    let line = lines.binary_search_by_key(offset, |(offset, _)| *offset).map_or(0, |at| lines[at].1);
                    Place { offset: *offset, line, length: 0 }
                });
                (rule, outcome.count, places.collect())
            })
            .collect();
        Ok(found)
    }
}

/// One of the numbers of 64 bits for each of them, by Fibonacci hashing.
#[inline]
fn mixed(number: u64) -> u64 {
    let product = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// The lower half of a hash.
#[inline]
fn lower(hash: u128) -> u64 {
    u64::try_from(hash & u128::from(u64::MAX)).unwrap_or(0)
}

/// The rows of a chunk that a rule about an id looks at, each with the number of rows that it stands for. An id of an
/// organization comes again and again: rows that are alike are mostly one.
fn rows_of(rule: &IdRule, kept: Kept<'_>) -> Vec<(usize, u32)> {
    // The rows that were seen last have a place each, by their texts' numbers in this chunk.
    const PLACES: usize = 1 << 9;
    let rows = kept.rows.iter().map(|row| *row as usize);
    let texts_of = |field: usize| match &kept.columns[field] {
        Values::Texts(texts) => Some(texts.ids.as_slice()),
        _ => None,
    };
    let columns: Option<Vec<&[u32]>> = rule.alike_by.iter().map(|field| texts_of(*field)).collect();
    let Some(columns) = columns.filter(|columns| !columns.is_empty()) else {
        return rows.map(|row| (row, 1)).collect();
    };
    let mut alike: Vec<(usize, u32)> = Vec::new();
    let mut seen = [usize::MAX; PLACES];
    for row in rows {
        let all = columns.iter().fold(0, |sum, column| mixed(sum ^ u64::from(column[row])));
        let place = &mut seen[usize::try_from(all >> 55).unwrap_or(0) % PLACES];
        match alike.get_mut(*place) {
            Some((other, count))
                if *count < Use::MOST_ROWS && columns.iter().all(|column| column[*other] == column[row]) =>
            {
                *count += 1;
            }
            _ => {
                *place = alike.len();
                alike.push((row, 1));
            }
        }
    }
    alike
}

/// Gives the doses of each client of a bucket, in the order of the file.
fn each_history(bytes: &[u8], mut look: impl FnMut(&[Dose])) {
    let mut doses: Vec<Dose> = Vec::new();
    each_heap(
        bytes,
        Dose::WIDTH,
        |entry| u64_at(entry, 0),
        |heap| {
            doses.clear();
            doses.extend(heap.iter().map(|number| Dose::read(&bytes[*number as usize * Dose::WIDTH..][..Dose::WIDTH])));
            doses.sort_unstable_by_key(|dose| (dose.client, dose.offset));
            doses.chunk_by(|one, other| one.client == other.client).for_each(&mut look);
        },
    );
}

/// Rows, different ids and the outcome of one bucket of uses.
fn look_at_uses(rule: &IdRule, bytes: &[u8]) -> (u64, u64, Outcome) {
    let width = rule.width();
    let (mut rows, mut distinct, mut outcome) = (0, 0, Outcome::default());
    let mut uses: Vec<Use> = Vec::new();
    each_heap(
        bytes,
        width,
        |entry| Use::read(entry).hash(),
        |heap| {
            uses.clear();
            uses.extend(heap.iter().map(|number| Use::read(&bytes[*number as usize * width..][..width])));
            uses.sort_unstable_by_key(|one| one.id);
            for same in uses.chunk_by(|one, other| one.id() == other.id()) {
                distinct += 1;
                for (at, one) in same.iter().enumerate() {
                    rows += u64::from(one.rows);
                    let is_other = if rule.by.is_empty() { at > 0 } else { one.with != same[0].with };
                    if is_other {
                        outcome.failed(one.offset(), one.rows.into());
                    }
                }
            }
        },
    );
    outcome.settle();
    (rows, distinct, outcome)
}

/// What the rules about clients come to.
#[derive(Debug, Default)]
struct ClientOutcomes {
    clients: u64,
    rows: u64,
    outcomes: [Outcome; OfClients::COUNT],
}

impl ClientOutcomes {
    fn of(&mut self, rule: OfClients) -> &mut Outcome {
        &mut self.outcomes[rule as usize]
    }

    fn merge(&mut self, other: Self) {
        self.clients += other.clients;
        self.rows += other.rows;
        for (outcome, other) in self.outcomes.iter_mut().zip(other.outcomes) {
            outcome.merge(other);
        }
    }

    /// Looks at all doses of one client, which come in the order of the file. `sorted` is room to sort them in.
    fn look(&mut self, doses: &[Dose], rules: &ClientRules, sorted: &mut Vec<(u64, u32)>) {
        self.clients += 1;
        self.rows += doses.len() as u64;
        // The row that describes the client in the store: the latest vaccination, of equals the last in the file.
        let Some(used) = doses.iter().max_by_key(|dose| (dose.day, dose.offset)) else { return };
        for dose in doses {
            if dose.birth != used.birth {
                self.of(OfClients::Birth).failed(dose.offset, 1);
            }
            let differs = |one: u16, other: u16| one != other && one != NO_CODE && other != NO_CODE;
            if differs(dose.sex, used.sex) {
                self.of(OfClients::Sex).failed(dose.offset, 1);
            }
            if differs(dose.county, used.county) {
                self.of(OfClients::County).failed(dose.offset, 1);
            }
        }
        if rules.birth_alone.as_ref().is_some_and(|alone| alone.is(used.birth, doses)) {
            self.of(OfClients::BirthAlone).failed(doses[0].offset, 1);
        }
        if doses.len() == 1 {
            return;
        }
        sort(sorted, doses, |_, dose| Some(dose.by_day() << 32 | u64::from(dose.cvx) << 16 | u64::from(dose.group)));
        let most = rules.most;
        if doses.len() > most && sorted.chunk_by(|one, other| one.0 >> 16 == other.0 >> 16).count() > most {
            self.of(OfClients::Many).failed(doses[0].offset, 1);
        }
        // A row that is there again is that, and not a dose again.
        let (mut again, mut rows) = (Vec::new(), Vec::new());
        for same in sorted.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
            rows.clear();
            rows.extend(same.iter().map(|(_, at)| (doses[*at as usize].row, *at)));
            rows.sort_unstable();
            for equal in rows.chunk_by(|one, other| one.0 == other.0) {
                let first = &doses[equal[0].1 as usize];
                if equal[0].1 != same[0].1 && first.cvx != NO_CODE {
                    self.of(OfClients::DoseAgain).failed(first.offset, 1);
                }
                for (_, at) in &equal[1..] {
                    self.of(OfClients::RowAgain).failed(doses[*at as usize].offset, 1);
                    again.push(*at);
                }
            }
        }
        again.sort_unstable();
        sort(sorted, doses, |at, dose| {
            let is_of_group = dose.group != NO_CODE && again.binary_search(&at).is_err();
            is_of_group.then(|| u64::from(dose.group) << 48 | dose.by_day() << 16 | u64::from(dose.ordinal))
        });
        for group in sorted.chunk_by(|one, other| one.0 >> 48 == other.0 >> 48) {
            let dose = |(_, at): &(u64, u32)| &doses[*at as usize];
            let (mut highest, mut before) = (0, i32::MIN);
            for day in group.chunk_by(|one, other| one.0 >> 16 == other.0 >> 16) {
                for dose in day.iter().map(dose).filter(|dose| dose.ordinal < highest) {
                    self.of(OfClients::Ordinal).failed(dose.offset, 1);
                }
                let ordinals = day.iter().map(|one| dose(one).ordinal).filter(|ordinal| *ordinal != NO_CODE);
                highest = ordinals.fold(highest, u16::max);
                let Dose { day: today, group, .. } = *dose(&day[0]);
                if before > Dose::NO_DAY && rules.soon_again.is(group, today.saturating_sub(before)) {
                    for one in day {
                        self.of(OfClients::SoonAgain).failed(dose(one).offset, 1);
                    }
                }
                before = today;
            }
        }
    }
}

/// Sorts doses by a number that those have which are to be looked at, and by their order in the file.
fn sort(sorted: &mut Vec<(u64, u32)>, doses: &[Dose], by: impl Fn(u32, &Dose) -> Option<u64>) {
    sorted.clear();
    sorted.extend((0..).zip(doses).filter_map(|(at, dose)| Some((by(at, dose)?, at))));
    sorted.sort_unstable();
}

/// The physical line on which each of some offsets lies, sorted by offset; `starts` are offsets in the order of the file
/// with their lines, and only what follows the last one before an offset is read.
fn lines_of(
    delivery: &Delivery,
    line_end: u8,
    starts: &[(u64, u64)],
    offsets: impl Iterator<Item = u64>,
) -> Result<Vec<(u64, u64)>> {
    let read_failed = |error: std::io::Error| Error::io("read", delivery.path(), &error);
    let mut offsets: Vec<u64> = offsets.collect();
    offsets.sort_unstable();
    offsets.dedup();
    let mut lines: Vec<(u64, u64)> = Vec::with_capacity(offsets.len());
    let mut file = delivery.open()?;
    let mut between = Vec::new();
    for offset in offsets {
        let start = starts.partition_point(|(start, _)| *start <= offset);
        let start = start.checked_sub(1).map_or((0, 1), |start| starts[start]);
        let (from, line) = lines.last().copied().map_or(start, |last| last.max(start));
        between.clear();
        file.seek(SeekFrom::Start(from)).map_err(read_failed)?;
        (&mut file).take(offset - from).read_to_end(&mut between).map_err(read_failed)?;
        lines.push((offset, line + memchr::memchr_iter(line_end, &between).count() as u64));
    }
    Ok(lines)
}
