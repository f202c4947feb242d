//! Rules across rows: the same row, id or dose twice, a client with two birth dates, an order of doses against the days.
//!
//! Every accepted row leaves a few fixed-size entries of seeded hashes and codes, without a value, in a spill by bucket;
//! entries that belong together meet in one bucket, whatever the order in which the chunks came, and are sorted by their
//! offset when the whole file has been read.
//!
//! Ids are compared by 80 bits of a hash: among 100 million of them, two that differ are taken for the same with a
//! probability of about 1e8² / 2^81 = 4e-9. Rows of one client are compared by 48, and by their CVX codes.

mod doses;
mod ids;

use std::hash::BuildHasher;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use foldhash::quality::FixedState;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use doses::{ClientOutcomes, ClientRules, Dose, OfClients, each_history};
use ids::{IdRule, Use, look_at_uses, lower, mixed, rows_of};

use super::fields::{NO_CODE, NO_DATE, NO_INTEGER, Values};
use super::findings::{Count, FIRST_PLACES, RuleId};
use super::place::Place;
use super::reader::Records;
use super::ruleset::{Kind, Ruleset};
use crate::dictionary::{Dictionary, names};
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::period::ReportingPeriod;
use crate::random::random_bytes;
use crate::spill::{Size, Spill};

/// Bytes of a bucket, about: it is sorted in the second cache.
const BUCKET: u64 = 1 << 20;

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
            clients.take(id, &rule.kind, dictionary, period);
            match &rule.kind {
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
