//! Rules across rows: the same row, id or dose twice, a client with two birth dates, an order of doses against the days.
//!
//! Every accepted row leaves a few fixed-size entries of keyed hashes and codes, without a value, in a spill by bucket;
//! entries that belong together meet in one bucket. A chunk makes its entries on its own ([`Across::entries`]); they
//! are added up in the order of the file ([`Across::add`]), and looked at when the whole file has been read.
//!
//! Ids are compared by 128 bits of a keyed hash: among 100 million of them, two that differ are taken for the same with
//! a probability of 10^-23. Rows of one client are compared by 64.

use std::io::Read;
use std::path::Path;

use siphasher::{sip, sip128};

use super::fields::{NO_CODE, NO_DATE, NO_INTEGER, Values};
use super::findings::{Count, FIRST_PLACES, Place, RuleId};
use super::reader::Records;
use super::ruleset::{Kind, Ruleset};
use super::spill::{Entry, Spill, u64_at};
use crate::dictionary::{Dictionary, names};
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::period::ReportingPeriod;
use crate::secret::random_bytes;

/// Bytes of a row, at the least: for the number of buckets.
const SHORTEST_ROW: u64 = 150;

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

impl Entry for Dose {
    const WIDTH: usize = 42;

    fn hash(&self) -> u64 {
        self.client
    }

    fn write(&self, into: &mut Vec<u8>) {
        for number in [self.client, self.offset, self.row] {
            into.extend(number.to_le_bytes());
        }
        for number in [self.day, self.birth] {
            into.extend(number.to_le_bytes());
        }
        for number in [self.cvx, self.group, self.sex, self.county, self.ordinal] {
            into.extend(number.to_le_bytes());
        }
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
    id: u128,
    with: u64,
    offset: u64,
    rows: u32,
}

impl Entry for Use {
    const WIDTH: usize = 36;

    fn hash(&self) -> u64 {
        // The low half of a hash of 128 bits.
        u64::try_from(self.id & u128::from(u64::MAX)).unwrap_or(0)
    }

    fn write(&self, into: &mut Vec<u8>) {
        into.extend(self.id.to_le_bytes());
        into.extend(self.with.to_le_bytes());
        into.extend(self.offset.to_le_bytes());
        into.extend(self.rows.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            id: u128::from(u64_at(bytes, 0)) | u128::from(u64_at(bytes, 8)) << 64,
            with: u64_at(bytes, 16),
            offset: u64_at(bytes, 24),
            rows: u32::from_le_bytes(bytes[32..].first_chunk().copied().unwrap_or_default()),
        }
    }
}

/// A rule about an id, by columns of the file.
#[derive(Debug)]
struct IdRule {
    rule: RuleId,
    field: usize,
    column: usize,
    /// What must be the same wherever the id is, by column and field; without any, the id may be there once.
    by: Vec<(usize, usize)>,
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

/// The entries of one chunk.
#[derive(Debug)]
pub struct Entries {
    doses: Vec<Dose>,
    uses: Vec<Vec<Use>>,
}

/// What a rule came to.
#[derive(Debug, Default)]
pub struct Outcome {
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
pub struct Across {
    clients: ClientRules,
    ids: Vec<IdRule>,
    /// Fields by their position in the dictionary: birth date, vaccination date, CVX code, group, sex, county, ordinal.
    fields: [Option<usize>; 7],
    rows: sip::SipHasher13,
    values: sip128::SipHasher13,
    doses: Spill,
    uses: Vec<Spill>,
}

impl Across {
    /// The rules that can be checked. `order` says for each column of the file which field it is; `folder` is where
    /// entries go that are too many for memory.
    pub fn new(
        rules: &Ruleset,
        dictionary: &Dictionary,
        period: ReportingPeriod,
        order: &[usize],
        folder: &Path,
        bytes: u64,
    ) -> Result<Self> {
        let column = |name: &str| order.iter().position(|at| dictionary.fields()[*at].name == name).unwrap_or_default();
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
                Kind::IdAgain { column: name } | Kind::IdDiffers { column: name, .. } => {
                    let by = match &rule.kind {
                        Kind::IdDiffers { by, .. } => by
                            .iter()
                            .map(|name| (column(name), dictionary.position(name).unwrap_or_default()))
                            .collect(),
                        _ => Vec::new(),
                    };
                    let field = dictionary.position(name).unwrap_or_default();
                    ids.push(IdRule { rule: id, field, column: column(name), by });
                }
                _ => {}
            }
        }
        let rows = bytes / SHORTEST_ROW;
        let secret = random_bytes()?;
        let at = |name: &str| dictionary.field(name).and_then(|field| dictionary.position(&field.name));
        Ok(Self {
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
            rows: sip::SipHasher13::new_with_key(&secret),
            values: sip128::SipHasher13::new_with_key(&secret),
            doses: Spill::new(folder, rows * Dose::WIDTH as u64),
            uses: ids.iter().map(|_| Spill::new(folder, rows * Use::WIDTH as u64)).collect(),
            ids,
        })
    }

    /// The entries of the accepted rows of a chunk. `columns` are by field, `clients` are the keys of the rows.
    pub fn entries(
        &self,
        records: &Records<'_>,
        columns: &[Values],
        clients: &[i64],
        rejected: &[bool],
        dictionary: &Dictionary,
    ) -> Entries {
        let accepted = || (0..records.len()).filter(|row| !rejected[*row]);
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
        let doses = accepted().map(|row| Dose {
            client: clients[row].cast_unsigned(),
            offset: records.places()[row].offset,
            row: self.rows.hash(records.raw(row)),
            day: date(day, row),
            birth: date(birth, row),
            cvx: code(cvx, row),
            group: code(group, row),
            sex: code(sex, row),
            county: code(county, row),
            ordinal: number(ordinal, row),
        });
        let uses = self.ids.iter().map(|rule| self.uses_of(rule, records, columns, accepted(), dictionary)).collect();
        Entries { doses: doses.collect(), uses }
    }

    fn uses_of(
        &self,
        rule: &IdRule,
        records: &Records<'_>,
        columns: &[Values],
        rows: impl Iterator<Item = usize>,
        dictionary: &Dictionary,
    ) -> Vec<Use> {
        // Organizations come again and again: uses that have just been seen are counted together.
        const SEEN: usize = 1 << 10;
        let mut seen = [usize::MAX; SEEN];
        let mut uses: Vec<Use> = Vec::new();
        let mut text = Vec::new();
        'rows: for row in rows {
            let value = records.value(row, rule.column);
            if dictionary.is_missing(&value) {
                continue;
            }
            let id = self.values.hash(&value).as_u128();
            text.clear();
            for (column, field) in &rule.by {
                if let Values::Dates(days) = &columns[*field] {
                    text.extend(days[row].to_le_bytes());
                } else {
                    let value = records.value(row, *column);
                    if dictionary.is_missing(&value) {
                        continue 'rows;
                    }
                    text.extend_from_slice(&value);
                    text.push(0);
                }
            }
            let with = if rule.by.is_empty() { 0 } else { self.rows.hash(&text) };
            let new = Use { id, with, offset: records.places()[row].offset, rows: 1 };
            let place = usize::try_from(new.hash()).unwrap_or(0) % SEEN;
            match uses.get_mut(seen[place]) {
                Some(last) if !rule.by.is_empty() && last.id == id && last.with == with => last.rows += 1,
                _ => {
                    seen[place] = uses.len();
                    uses.push(new);
                }
            }
        }
        uses
    }

    /// Sets the entries of a chunk aside.
    pub fn add(&mut self, entries: Entries) -> Result<()> {
        self.doses.add(entries.doses)?;
        self.uses.iter_mut().zip(entries.uses).try_for_each(|(spill, uses)| spill.add(uses))
    }

    /// Looks at all entries.
    pub fn finish(self, delivery: &Delivery, line_end: u8) -> Result<Found> {
        let mut found = Found::default();
        let mut outcomes: Vec<(RuleId, Outcome)> = Vec::new();
        for (rule, spill) in self.ids.iter().zip(self.uses) {
            let mut outcome = Outcome::default();
            let mut key = Key { field: rule.field, rows: 0, distinct: 0 };
            spill.look(|mut uses: Vec<Use>| {
                uses.sort_unstable_by_key(|one| (one.id, one.offset));
                for same in uses.chunk_by(|one, other| one.id == other.id) {
                    key.distinct += 1;
                    for (at, one) in same.iter().enumerate() {
                        key.rows += u64::from(one.rows);
                        let is_other = if rule.by.is_empty() { at > 0 } else { one.with != same[0].with };
                        if is_other {
                            outcome.failed(one.offset, one.rows.into());
                        }
                    }
                }
            })?;
            outcome.count.checked = key.rows;
            found.keys.push(key);
            outcomes.push((rule.rule, outcome));
        }
        let mut clients = ClientOutcomes::default();
        let rules = self.clients;
        self.doses.look(|mut doses: Vec<Dose>| {
            doses.sort_unstable_by_key(|dose| (dose.client, dose.offset));
            for history in doses.chunk_by_mut(|one, other| one.client == other.client) {
                clients.look(history, rules.many.map_or(usize::MAX, |(_, most)| most));
            }
        })?;
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
        for (_, outcome) in &mut outcomes {
            outcome.settle();
        }
        let lines = lines_of(delivery, line_end, outcomes.iter().flat_map(|(_, outcome)| outcome.first.clone()))?;
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

/// The physical line on which each of some offsets lies, sorted by offset. Reads the file as far as the last of them.
fn lines_of(delivery: &Delivery, line_end: u8, offsets: impl Iterator<Item = u64>) -> Result<Vec<(u64, u64)>> {
    let mut offsets: Vec<u64> = offsets.collect();
    offsets.sort_unstable();
    offsets.dedup();
    let Some(last) = offsets.last() else { return Ok(Vec::new()) };
    let mut file = delivery.open()?.take(*last);
    let mut buffer = vec![0; 1 << 20];
    let (mut at, mut line) = (0, 1);
    let mut lines = Vec::with_capacity(offsets.len());
    let mut wanted = offsets.iter().copied().peekable();
    loop {
        let read = file.read(&mut buffer).map_err(|error| Error::io("read", delivery.path(), &error))?;
        let end = at + read as u64;
        let mut counted = 0;
        while let Some(offset) = wanted.next_if(|offset| *offset <= end) {
            let upto = usize::try_from(offset - at).unwrap_or(read);
            line += memchr::memchr_iter(line_end, &buffer[counted..upto]).count() as u64;
            counted = upto;
            lines.push((offset, line));
        }
        if read == 0 {
            return Ok(lines);
        }
        line += memchr::memchr_iter(line_end, &buffer[counted..read]).count() as u64;
        at = end;
    }
}
