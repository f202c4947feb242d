//! Rules across rows: the same row, id or dose twice, a client with two birth dates, an order of doses against the days.
//!
//! Every accepted row leaves a few fixed-size entries of seeded hashes and codes, without a value, in a spill by bucket;
//! entries that belong together meet in one bucket, whatever the order in which the chunks came, and are sorted by their
//! offset when the whole file has been read.
//!
//! Ids are compared by 80 bits of a hash: among 100 million of them, two that differ are taken for the same with a
//! probability of about 1e8² / 2^81 = 4e-9. Rows of one client are compared by 64.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::fields::{NO_CODE, NO_DATE, NO_INTEGER, NO_TEXT, Values};
use super::findings::{Count, FIRST_PLACES, RuleId};
use super::place::Place;
use super::reader::Records;
use super::ruleset::{Kind, Ruleset};
use crate::dictionary::{Dictionary, names};
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::period::ReportingPeriod;
use crate::secret::random_bytes;
use crate::spill::{Spill, u64_at};

/// One dose as the rules about clients need it.
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
    const WIDTH: usize = 42;

    fn write(&self, into: &mut Vec<u8>) {
        let mut bytes = [0; Self::WIDTH];
        for (at, number) in [self.client, self.offset, self.row].into_iter().enumerate() {
            bytes[at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
        for (at, number) in [self.day, self.birth].into_iter().enumerate() {
            bytes[24 + at * 4..][..4].copy_from_slice(&number.to_le_bytes());
        }
        for (at, number) in [self.cvx, self.group, self.sex, self.county, self.ordinal].into_iter().enumerate() {
            bytes[32 + at * 2..][..2].copy_from_slice(&number.to_le_bytes());
        }
        into.extend_from_slice(&bytes);
    }

    fn read(bytes: &[u8]) -> Self {
        let days = |at: usize| i32::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default());
        let short = |at: usize| u16::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default());
        Self {
            client: u64_at(bytes, 0),
            offset: u64_at(bytes, 8),
            row: u64_at(bytes, 16),
            day: days(24),
            birth: days(28),
            cvx: short(32),
            group: short(34),
            sex: short(36),
            county: short(38),
            ordinal: short(40),
        }
    }
}

/// An id with what goes with it, in so many rows of which the first begins at `offset`.
#[derive(Clone, Copy, Debug)]
struct Use {
    /// 80 bits of the id's hash, then 48 bits of the offset: ids sort together, and in the order of the file.
    id: u128,
    with: u64,
    rows: u32,
}

impl Use {
    /// Bytes of an id with which nothing goes, in one row.
    const WIDTH_ALONE: usize = 16;
    const WIDTH: usize = 28;
    const OFFSET_BITS: u32 = 48;

    fn new(hash: u128, with: u64, offset: u64) -> Self {
        Self { id: hash >> Self::OFFSET_BITS << Self::OFFSET_BITS | u128::from(offset), with, rows: 1 }
    }

    fn id(&self) -> u128 {
        self.id >> Self::OFFSET_BITS
    }

    fn offset(&self) -> u64 {
        u64::try_from(self.id & ((1 << Self::OFFSET_BITS) - 1)).unwrap_or(u64::MAX)
    }

    /// Bits of the id by which it is put into a bucket.
    fn hash(&self) -> u64 {
        u64::try_from(self.id() & u128::from(u64::MAX)).unwrap_or(0)
    }

    fn write(&self, alone: bool, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.id.to_le_bytes());
        if !alone {
            into.extend_from_slice(&self.with.to_le_bytes());
            into.extend_from_slice(&self.rows.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let is_alone = bytes.len() == Self::WIDTH_ALONE;
        Self {
            id: u128::from(u64_at(bytes, 0)) | u128::from(u64_at(bytes, 8)) << 64,
            with: if is_alone { 0 } else { u64_at(bytes, 16) },
            rows: if is_alone { 1 } else { u32::from_le_bytes(bytes[24..].first_chunk().copied().unwrap_or_default()) },
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
}

impl IdRule {
    fn width(&self) -> usize {
        if self.by.is_empty() { Use::WIDTH_ALONE } else { Use::WIDTH }
    }
}

/// The hashes of one column's values in a chunk.
enum Hashes<'a> {
    Days(&'a [i32]),
    /// For each row its text, for each different text its hash.
    Texts(&'a [u32], Vec<u128>),
    /// A column that was not read.
    Raw(usize),
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

/// The rules about clients that can be checked, by what they look at.
#[derive(Debug, Default)]
struct ClientRules {
    row_again: Option<RuleId>,
    dose_again: Option<RuleId>,
    birth: Option<RuleId>,
    sex: Option<RuleId>,
    county: Option<RuleId>,
    ordinal: Option<RuleId>,
    many: Option<(RuleId, usize)>,
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
    seed: u64,
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
            match &rule.kind {
                Kind::RowAgain => clients.row_again = Some(id),
                Kind::DoseAgain => clients.dose_again = Some(id),
                Kind::OrdinalOrder => clients.ordinal = Some(id),
                Kind::ManyDoses { most } => clients.many = Some((id, *most)),
                Kind::ClientDiffers { column } if column == names::BIRTH_DATE => clients.birth = Some(id),
                Kind::ClientDiffers { column } if column == names::SEX => clients.sex = Some(id),
                Kind::ClientDiffers { column } if column == names::COUNTY => clients.county = Some(id),
                Kind::IdAgain { column } => ids.push(IdRule { rule: id, id: place(column), by: Vec::new() }),
                Kind::IdDiffers { column, by } => {
                    ids.push(IdRule { rule: id, id: place(column), by: by.iter().map(|name| place(name)).collect() });
                }
                _ => {}
            }
        }
        let at = |name: &str| dictionary.field(name).and_then(|field| dictionary.position(&field.name));
        let width = Dose::WIDTH + ids.iter().map(IdRule::width).sum::<usize>();
        let spill = |width_of: usize| Spill::new(folder, width_of, bytes, memory / width * width_of);
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
            seed: u64::from_le_bytes(random_bytes()?),
            doses: spill(Dose::WIDTH),
            uses: ids.iter().map(|rule| spill(rule.width())).collect(),
            ids,
        })
    }

    /// Sets entries of the accepted rows of a chunk aside. Chunks may come in any order.
    pub fn add(&self, kept: Kept<'_>) -> Result<()> {
        let Kept { rows, records, columns, clients } = kept;
        let [birth, day, cvx, group, sex, county, ordinal] = self.fields.map(|at| at.map(|at| &columns[at]));
        let date = |values: Option<&Values>, row: usize| match values {
            Some(Values::Dates(days)) => days[row],
            _ => NO_DATE,
        };
        let code = |values: Option<&Values>, row: usize| match values {
            Some(Values::Codes(codes)) => codes[row],
            _ => NO_CODE,
        };
        let number = |values: Option<&Values>, row: usize| match values {
            Some(Values::Integers(numbers)) if numbers[row] != NO_INTEGER => {
                u16::try_from(numbers[row]).unwrap_or(NO_CODE)
            }
            _ => NO_CODE,
        };
        let mut hashes = Vec::with_capacity(rows.len());
        let mut entries = Vec::with_capacity(rows.len() * Dose::WIDTH);
        for row in rows.iter().map(|row| *row as usize) {
            let dose = Dose {
                client: clients[row].cast_unsigned(),
                offset: records.places()[row].offset,
                row: xxh3_64_with_seed(records.raw(row), self.seed),
                day: date(day, row),
                birth: date(birth, row),
                cvx: code(cvx, row),
                group: code(group, row),
                sex: code(sex, row),
                county: code(county, row),
                ordinal: number(ordinal, row),
            };
            hashes.push(dose.client);
            dose.write(&mut entries);
        }
        self.doses.add(&hashes, &entries)?;
        for (rule, spill) in self.ids.iter().zip(&self.uses) {
            hashes.clear();
            entries.clear();
            for one in self.uses_of(rule, kept) {
                hashes.push(one.hash());
                one.write(rule.by.is_empty(), &mut entries);
            }
            spill.add(&hashes, &entries)?;
        }
        Ok(())
    }

    fn hashes<'v>(&self, columns: &'v [Values], (column, field): (usize, usize)) -> Hashes<'v> {
        match &columns[field] {
            Values::Dates(days) => Hashes::Days(days),
            Values::Texts(texts) => {
                let hash = |text: Option<&str>| xxh3_128_with_seed(text.unwrap_or_default().as_bytes(), self.seed);
                Hashes::Texts(&texts.ids, texts.different.iter().map(hash).collect())
            }
            _ => Hashes::Raw(column),
        }
    }

    /// The hash of a value that is there.
    fn hash(&self, hashes: &Hashes<'_>, records: &Records<'_>, row: usize) -> Option<u128> {
        match hashes {
            Hashes::Days(days) => Some(u128::from(days[row].cast_unsigned())),
            Hashes::Texts(ids, hashes) => (ids[row] != NO_TEXT).then(|| hashes[ids[row] as usize]),
            Hashes::Raw(column) => {
                let value = records.value(row, *column);
                (!self.dictionary.is_missing(&value)).then(|| xxh3_128_with_seed(&value, self.seed))
            }
        }
    }

    fn uses_of(&self, rule: &IdRule, Kept { rows, records, columns, .. }: Kept<'_>) -> Vec<Use> {
        // Organizations come again and again: uses that have just been seen are counted together.
        const SEEN: usize = 1 << 10;
        let mut seen = [usize::MAX; SEEN];
        let mut uses: Vec<Use> = Vec::with_capacity(if rule.by.is_empty() { rows.len() } else { 0 });
        let ids = self.hashes(columns, rule.id);
        let by: Vec<_> = rule.by.iter().map(|place| self.hashes(columns, *place)).collect();
        'rows: for row in rows.iter().map(|row| *row as usize) {
            let Some(id) = self.hash(&ids, records, row) else { continue };
            let mut with = 0;
            for hashes in &by {
                let Some(hash) = self.hash(hashes, records, row) else { continue 'rows };
                let mut both = [0; 24];
                both[..8].copy_from_slice(&u64::to_le_bytes(with));
                both[8..].copy_from_slice(&hash.to_le_bytes());
                with = xxh3_64_with_seed(&both, self.seed);
            }
            let new = Use::new(id, with, records.places()[row].offset);
            if !rule.by.is_empty() {
                let place = usize::try_from(new.hash() ^ with).unwrap_or(0) % SEEN;
                if let Some(last) = uses.get_mut(seen[place])
                    && last.id() == new.id()
                    && last.with == with
                {
                    last.rows += 1;
                    continue;
                }
                seen[place] = uses.len();
            }
            uses.push(new);
        }
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
            let most = rules.many.map_or(usize::MAX, |(_, most)| most);
            each_history(&bytes, |history| clients.look(history, most));
            Ok(clients)
        })?;
        let mut clients = ClientOutcomes::default();
        for part in parts {
            clients.merge(part);
        }
        found.clients = clients.clients;
        let rows = clients.rows;
        clients.many.count.checked = found.clients;
        outcomes.extend(rules.many.map(|(rule, _)| (rule, clients.many)));
        for (rule, mut outcome) in [
            (rules.row_again, clients.row_again),
            (rules.dose_again, clients.dose_again),
            (rules.birth, clients.birth),
            (rules.sex, clients.sex),
            (rules.county, clients.county),
            (rules.ordinal, clients.ordinal),
        ] {
            outcome.count.checked = rows;
            outcomes.extend(rule.map(|rule| (rule, outcome)));
        }
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

/// Gives the doses of each client of a bucket, in the order of the file.
fn each_history(bytes: &[u8], mut look: impl FnMut(&mut [Dose])) {
    let dose = |number: usize| Dose::read(&bytes[number * Dose::WIDTH..][..Dose::WIDTH]);
    // Clients are brought together by numbers that sort fast: the client above, the number of the entry below.
    let numbers = 0..bytes.len() / Dose::WIDTH;
    let mut order: Vec<u128> =
        numbers.map(|number| u128::from(u64_at(bytes, number * Dose::WIDTH)) << 64 | number as u128).collect();
    order.sort_unstable();
    let mut history = Vec::new();
    for client in order.chunk_by(|one, other| one >> 64 == other >> 64) {
        history.clear();
        history.extend(client.iter().map(|key| dose(usize::try_from(key & u128::from(u64::MAX)).unwrap_or_default())));
        history.sort_unstable_by_key(|dose| dose.offset);
        look(&mut history);
    }
}

/// Rows, different ids and the outcome of one bucket of uses.
fn look_at_uses(rule: &IdRule, bytes: &[u8]) -> (u64, u64, Outcome) {
    let width = rule.width();
    let (mut rows, mut distinct, mut outcome) = (0, 0, Outcome::default());
    // Ids are brought together by numbers that sort fast: the id above, the number of the entry below.
    let mut order: Vec<u128> = bytes
        .chunks_exact(width)
        .enumerate()
        .map(|(number, entry)| Use::read(entry).id() << Use::OFFSET_BITS | number as u128)
        .collect();
    order.sort_unstable();
    let number = |key: &u128| usize::try_from(key & ((1 << Use::OFFSET_BITS) - 1)).unwrap_or_default();
    let mut same = Vec::new();
    for id in order.chunk_by(|one, other| one >> Use::OFFSET_BITS == other >> Use::OFFSET_BITS) {
        same.clear();
        same.extend(id.iter().map(|key| Use::read(&bytes[number(key) * width..][..width])));
        same.sort_unstable_by_key(Use::offset);
        distinct += 1;
        for (at, one) in same.iter().enumerate() {
            rows += u64::from(one.rows);
            let is_other = if rule.by.is_empty() { at > 0 } else { one.with != same[0].with };
            if is_other {
                outcome.failed(one.offset(), one.rows.into());
            }
        }
    }
    outcome.settle();
    (rows, distinct, outcome)
}

/// What the rules about clients come to.
#[derive(Debug, Default)]
struct ClientOutcomes {
    clients: u64,
    rows: u64,
    row_again: Outcome,
    dose_again: Outcome,
    birth: Outcome,
    sex: Outcome,
    county: Outcome,
    ordinal: Outcome,
    many: Outcome,
}

impl ClientOutcomes {
    fn merge(&mut self, other: Self) {
        self.clients += other.clients;
        self.rows += other.rows;
        for (outcome, other) in [
            (&mut self.row_again, other.row_again),
            (&mut self.dose_again, other.dose_again),
            (&mut self.birth, other.birth),
            (&mut self.sex, other.sex),
            (&mut self.county, other.county),
            (&mut self.ordinal, other.ordinal),
            (&mut self.many, other.many),
        ] {
            outcome.merge(other);
        }
    }

    /// Looks at all doses of one client, which come in the order of the file.
    fn look(&mut self, doses: &mut [Dose], most: usize) {
        self.clients += 1;
        self.rows += doses.len() as u64;
        // The row that describes the client in the store: the latest vaccination, of equals the last in the file.
        let Some(used) = doses.iter().copied().max_by_key(|dose| (dose.day, dose.offset)) else { return };
        let first = doses[0].offset;
        for dose in doses.iter() {
            if dose.birth != used.birth {
                self.birth.failed(dose.offset, 1);
            }
            let differs = |one: u16, other: u16| one != other && one != NO_CODE && other != NO_CODE;
            if differs(dose.sex, used.sex) {
                self.sex.failed(dose.offset, 1);
            }
            if differs(dose.county, used.county) {
                self.county.failed(dose.offset, 1);
            }
        }
        if doses.len() == 1 {
            return;
        }
        // A row that is there again is that, and not a dose again.
        doses.sort_unstable_by_key(|dose| (dose.row, dose.offset));
        let mut single = Vec::with_capacity(doses.len());
        for same in doses.chunk_by(|one, other| one.row == other.row) {
            single.push(same[0]);
            for again in &same[1..] {
                self.row_again.failed(again.offset, 1);
            }
        }
        single.sort_unstable_by_key(|dose| (dose.day, dose.cvx, dose.group, dose.offset));
        let dose_of = |dose: &Dose| (dose.day, dose.cvx, dose.group);
        for same in single.chunk_by(|one, other| dose_of(one) == dose_of(other)) {
            for again in same[1..].iter().filter(|dose| dose.cvx != NO_CODE) {
                self.dose_again.failed(again.offset, 1);
            }
        }
        if single.chunk_by(|one, other| (one.day, one.cvx) == (other.day, other.cvx)).count() > most {
            self.many.failed(first, 1);
        }
        single.retain(|dose| dose.ordinal != NO_CODE && dose.group != NO_CODE);
        single.sort_unstable_by_key(|dose| (dose.group, dose.day, dose.ordinal));
        for group in single.chunk_by(|one, other| one.group == other.group) {
            let mut highest = 0;
            for day in group.chunk_by(|one, other| one.day == other.day) {
                for dose in day.iter().filter(|dose| dose.ordinal < highest) {
                    self.ordinal.failed(dose.offset, 1);
                }
                highest = day.last().map_or(highest, |last| highest.max(last.ordinal));
            }
        }
    }
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
