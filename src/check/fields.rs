//! One column of a chunk at a time: bytes → typed values, with a finding for every value that does not fit.

use std::ops::Range;

use arrow::array::{Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::dates::{DateReader, Day};
use super::findings::{Findings, RuleId};
use super::memo::{LongMemo, Memo};
use super::reader::{Column, RawField, Records};
use super::repeats::{self, Repeats};
use super::ruleset::{Kind, Ruleset};
use crate::calendar::{self, DateFormat};
use crate::dictionary::{Codelist, Dictionary, Field, FieldType, Presence, Role, Unlisted};
use crate::error::{Error, Result};
use crate::random::random_bytes;

/// No date in [`Values::Dates`].
pub const NO_DATE: i32 = i32::MIN;
/// No whole number in [`Values::Integers`].
pub const NO_INTEGER: i32 = i32::MIN;
/// No code in [`Values::Codes`].
pub const NO_CODE: u16 = u16::MAX;
/// No text in [`Texts`].
pub const NO_TEXT: u32 = u32::MAX;

/// The values of one column of a chunk, one for each well-formed row.
#[derive(Debug)]
pub enum Values {
    /// Days from 1970-01-01, or [`NO_DATE`].
    Dates(Vec<i32>),
    /// Whole numbers, or [`NO_INTEGER`].
    Integers(Vec<i32>),
    /// Positions in the codelist of the field, or [`NO_CODE`].
    Codes(Vec<u16>),
    /// Trimmed UTF-8, at most `keep_first` characters of it, or none.
    Texts(Texts),
    /// The column is an identifier that nothing needs.
    Unread,
}

impl Values {
    /// The days; none of another type.
    pub fn dates(&self) -> &[i32] {
        if let Self::Dates(days) = self { days } else { &[] }
    }

    /// The whole numbers; none of another type.
    pub fn integers(&self) -> &[i32] {
        if let Self::Integers(numbers) = self { numbers } else { &[] }
    }

    /// The codes; none of another type.
    pub fn codes(&self) -> &[u16] {
        if let Self::Codes(codes) = self { codes } else { &[] }
    }
}

/// The texts of one column of a chunk.
#[derive(Debug)]
pub struct Texts {
    /// For each row the position of its text among the different ones, or [`NO_TEXT`].
    pub ids: Vec<u32>,
    /// The different texts, in the order in which they first came. Two may be equal where only a part is kept.
    pub different: StringArray,
}

impl Texts {
    /// The text of a row, when it has one.
    pub fn get(&self, row: usize) -> Option<&str> {
        let id = self.ids[row];
        (id != NO_TEXT).then(|| self.different.value(id as usize))
    }

    /// The different texts that rows have, each with the number of its rows.
    pub fn rows(&self) -> Vec<(&str, u64)> {
        let mut rows = vec![0; self.different.len()];
        for id in &self.ids {
            // A row without a text has a number beyond all of them.
            if let Some(rows) = rows.get_mut(*id as usize) {
                *rows += 1;
            }
        }
        let texts = self.different.iter().map(Option::unwrap_or_default);
        texts.zip(rows).filter(|(_, rows)| *rows > 0).collect()
    }
}

/// The rules that every field is held to, by position.
#[derive(Debug)]
pub struct FieldRules {
    required: RuleId,
    expected: RuleId,
    date: RuleId,
    integer: RuleId,
    code: [RuleId; 2],
    pattern: RuleId,
    length: RuleId,
    mixed_formats: RuleId,
}

impl FieldRules {
    /// Finds the rules.
    pub fn new(rules: &Ruleset) -> Result<Self> {
        Ok(Self {
            required: rules.position(&Kind::Required)?,
            expected: rules.position(&Kind::Expected)?,
            date: rules.position(&Kind::Date)?,
            integer: rules.position(&Kind::Integer)?,
            code: [
                rules.position(&Kind::Code { unlisted: Unlisted::Reject })?,
                rules.position(&Kind::Code { unlisted: Unlisted::Review })?,
            ],
            pattern: rules.position(&Kind::Pattern)?,
            length: rules.position(&Kind::Length)?,
            mixed_formats: rules.position(&Kind::MixedFormats)?,
        })
    }

    /// The rules that apply to a field.
    pub fn of(&self, field: &Field) -> Vec<RuleId> {
        let mut rules = Vec::new();
        match field.presence {
            Presence::Required => rules.push(self.required),
            Presence::Expected => rules.push(self.expected),
            Presence::Optional => {}
        }
        match field.field_type {
            FieldType::Date => {
                rules.push(self.date);
                if field.formats.len() > 1 {
                    rules.push(self.mixed_formats);
                }
            }
            FieldType::Integer => rules.push(self.integer),
            FieldType::Code => rules.push(self.of_code(field)),
            FieldType::Text => {}
        }
        if field.pattern.is_some() {
            rules.push(self.pattern);
        }
        if field.max_length.is_some() {
            rules.push(self.length);
        }
        rules
    }

    fn of_code(&self, field: &Field) -> RuleId {
        self.code[usize::from(field.unlisted == Unlisted::Review)]
    }
}

/// What is wrong with a value, one bit each; none when it fits.
pub type Faults = u8;
const MISSING: Faults = 1;
/// Not of the field's type or form.
const UNFIT: Faults = 2;
const TOO_LONG: Faults = 4;

/// Values of a date that are in none of its formats, and how many of them each format that there is would read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherFormats {
    unfit: u64,
    read: [u64; DateFormat::ALL.len()],
}

impl OtherFormats {
    #[cold]
    fn add(&mut self, value: &[u8]) {
        self.unfit += 1;
        for (read, format) in self.read.iter_mut().zip(DateFormat::ALL) {
            *read += u64::from(calendar::parse(value, format).is_some());
        }
    }

    /// Adds those of another part of the file.
    pub fn merge(&mut self, other: &Self) {
        self.unfit += other.unfit;
        for (read, other) in self.read.iter_mut().zip(other.read) {
            *read += other;
        }
    }

    /// The format that would read every one of them; the likelier one, where two would.
    pub fn of_all(&self) -> Option<DateFormat> {
        let mut formats = DateFormat::ALL.into_iter().zip(self.read);
        formats.find(|(_, read)| *read > 0 && *read == self.unfit).map(|(format, _)| format)
    }
}

/// Reads columns. One reader goes from chunk to chunk and remembers what came of a field, so that a spelling is normalised
/// once and not once a row.
#[derive(Debug)]
pub struct FieldReader<'a> {
    dictionary: &'a Dictionary,
    rules: &'a FieldRules,
    seed: u64,
    /// By field.
    seen: Vec<Seen>,
    /// Columns of the file that come again together.
    runs: Vec<Range<usize>>,
    rows_seen: repeats::Seen,
    chunks: u64,
}

/// Chunks after which runs of columns are looked for again.
const RUNS_HOLD: u64 = 64;

/// What has been seen of a field.
#[derive(Debug)]
enum Seen {
    Dates(DateReader, OtherFormats),
    Integers(Memo<i32>),
    Codes(Memo<u16>, SeenCodes),
    Texts(Memo<u32>, LongMemo<u32>, SeenTexts),
    Unread,
}

impl Seen {
    fn new(dictionary: &Dictionary, field: &Field) -> Self {
        match field.field_type {
            FieldType::Date => Self::Dates(DateReader::new(dictionary, field), OtherFormats::default()),
            FieldType::Integer => Self::Integers(Memo::new(NO_INTEGER)),
            FieldType::Code => Self::Codes(Memo::new(NO_CODE), SeenCodes::default()),
            FieldType::Text if field.role == Role::Identifier && field.presence == Presence::Optional => Self::Unread,
            FieldType::Text => Self::Texts(Memo::new(NO_TEXT), LongMemo::new(NO_TEXT), SeenTexts::default()),
        }
    }
}

impl<'a> FieldReader<'a> {
    /// A reader that has seen nothing yet. The hashes of its tables are under a secret seed: no file can be made that slows
    /// it down.
    pub fn new(dictionary: &'a Dictionary, rules: &'a FieldRules) -> Result<Self> {
        let seed = u64::from_le_bytes(random_bytes()?);
        let seen = dictionary.fields().iter().map(|field| Seen::new(dictionary, field)).collect();
        let rows_seen = repeats::Seen::default();
        Ok(Self { dictionary, rules, seed, seen, runs: Vec::new(), rows_seen, chunks: 0 })
    }

    /// What was seen of dates that are in none of their formats, by the field's position in the dictionary.
    pub fn other_formats(&self) -> Vec<OtherFormats> {
        let of = |seen: &Seen| if let Seen::Dates(_, others) = seen { *others } else { OtherFormats::default() };
        self.seen.iter().map(of).collect()
    }

    /// Reads the columns of a chunk. `order` says for each of them the position of its field in the dictionary, by which the
    /// values are ordered.
    pub fn read(&mut self, records: &Records<'_>, order: &[usize], findings: &mut Findings) -> Result<Vec<Values>> {
        if self.chunks.is_multiple_of(RUNS_HOLD) {
            let seen = |column: usize| &self.seen[order[column]];
            // Dates are read as fast as rows are compared. What is not read may stand between.
            let may_join = |first, column| {
                !matches!(seen(first), Seen::Dates(..) | Seen::Unread) && !matches!(seen(column), Seen::Dates(..))
            };
            self.runs = repeats::runs(records, self.seed, may_join);
        }
        self.chunks += 1;
        let mut columns: Vec<Values> = self.dictionary.fields().iter().map(|_| Values::Unread).collect();
        for run in self.runs.clone() {
            let repeats = (run.len() > 1).then(|| Repeats::of(records.columns(run.clone()), &mut self.rows_seen));
            for number in run {
                let (column, at) = (records.column(number), order[number]);
                columns[at] = match &repeats {
                    None => self.read_column(column, at, column.fields(), None, findings)?,
                    Some(repeats) => self.read_column(column, at, repeats.fields(column), Some(repeats), findings)?,
                };
            }
        }
        Ok(columns)
    }

    /// Reads one column; `at` is the position of its field in the dictionary. The fields are those of all rows, or of the
    /// rows that differ.
    fn read_column<'c>(
        &mut self,
        column: Column<'c>,
        at: usize,
        fields: impl Iterator<Item = RawField<'c>>,
        repeats: Option<&Repeats>,
        findings: &mut Findings,
    ) -> Result<Values> {
        let (dictionary, rules, seed) = (self.dictionary, self.rules, self.seed);
        let field = &dictionary.fields()[at];
        let (values, faults) = match &mut self.seen[at] {
            Seen::Dates(reader, others) => {
                let read = |raw| {
                    if let Some(day) = reader.known(raw) {
                        return (day, 0);
                    }
                    let (day, faults) = date(dictionary, reader, column, raw);
                    if faults & UNFIT != 0 {
                        others.add(&column.value(raw));
                    }
                    (day, faults)
                };
                let ((days, formats), faults): ((_, Vec<u8>), _) = fields.map(read).unzip();
                if field.formats.len() > 1 {
                    findings.sort_all_rows(rules.mixed_formats, Some(at), &formats);
                }
                (Values::Dates(days), faults)
            }
            Seen::Integers(memo) => {
                let read = |raw| memo.find(raw, || integer(dictionary, field, &column.value(raw)));
                let (numbers, faults) = fields.map(read).unzip();
                (Values::Integers(numbers), faults)
            }
            Seen::Codes(memo, seen) => {
                let codelist = dictionary.codelist(field);
                let read = |raw| {
                    memo.find(raw, || {
                        let value = column.value(raw);
                        if dictionary.is_missing(&value) {
                            return (NO_CODE, MISSING);
                        }
                        seen.find(&value, seed, codelist, field.labels).map_or((NO_CODE, UNFIT), |code| (code, 0))
                    })
                };
                let (codes, faults) = fields.map(read).unzip();
                (Values::Codes(codes), faults)
            }
            Seen::Texts(short, long, seen) => {
                // The numbers of texts are those of one chunk.
                short.clear();
                long.clear();
                seen.clear();
                let read = |raw: RawField<'_>| {
                    let find = || {
                        let value = column.value(raw);
                        if dictionary.is_missing(&value) {
                            return (NO_TEXT, MISSING);
                        }
                        let (id, faults) = seen.find(&value, seed, field);
                        (if faults == 0 { id } else { NO_TEXT }, faults)
                    };
                    if raw.is_short() { short.find(raw, find) } else { long.find(column.bytes(), raw, find) }
                };
                let (ids, faults) = fields.map(read).unzip();
                (Values::Texts(Texts { ids, different: seen.different()? }), faults)
            }
            // An identifier that nothing needs.
            Seen::Unread => return Ok(Values::Unread),
        };
        let mut fields = Fields { values, faults };
        if let Some(repeats) = repeats {
            fields.repeat(repeats);
        }
        Tally { rules, field, at, missing: 0 }.of(&fields.faults, findings);
        Ok(fields.values)
    }
}

/// What came of the fields of a column.
struct Fields {
    values: Values,
    faults: Vec<Faults>,
}

impl Fields {
    /// Those of all rows, of those that differ.
    fn repeat(&mut self, repeats: &Repeats) {
        match &mut self.values {
            Values::Dates(numbers) | Values::Integers(numbers) => *numbers = repeats.for_each_row(numbers),
            Values::Codes(codes) => *codes = repeats.for_each_row(codes),
            Values::Texts(texts) => texts.ids = repeats.for_each_row(&texts.ids),
            Values::Unread => {}
        }
        // Of most columns nothing is wrong.
        let is_sound = self.faults.iter().all(|faults| *faults == 0);
        self.faults = if is_sound { vec![0; repeats.len()] } else { repeats.for_each_row(&self.faults) };
    }
}

/// The day of a field that the reader has not told at once, and what is wrong with it.
#[inline(never)]
fn date(dictionary: &Dictionary, reader: &mut DateReader, column: Column<'_>, raw: RawField<'_>) -> (Day, Faults) {
    // Most dates have no quotes or blanks around them.
    if let Some(day) = reader.read(dictionary, raw) {
        return (day, 0);
    }
    let value = column.value(raw);
    if dictionary.is_missing(&value) {
        return ((NO_DATE, 0), MISSING);
    }
    reader.parse(&value).map_or(((NO_DATE, 0), UNFIT), |day| (day, 0))
}

/// The whole number of a value, and what is wrong with it.
fn integer(dictionary: &Dictionary, field: &Field, value: &[u8]) -> (i32, Faults) {
    if dictionary.is_missing(value) {
        return (NO_INTEGER, MISSING);
    }
    let number = whole_number(value).filter(|number| {
        field.minimum.is_none_or(|minimum| minimum <= *number) && field.maximum.is_none_or(|maximum| *number <= maximum)
    });
    number.map_or((NO_INTEGER, UNFIT), |number| (number, 0))
}

/// Turns the faults of one column into findings.
struct Tally<'a> {
    rules: &'a FieldRules,
    field: &'a Field,
    at: usize,
    missing: u64,
}

impl Tally<'_> {
    fn presence(&self) -> Option<RuleId> {
        match self.field.presence {
            Presence::Required => Some(self.rules.required),
            Presence::Expected => Some(self.rules.expected),
            Presence::Optional => None,
        }
    }

    /// Tells the faults of all rows.
    fn of(mut self, faults: &[Faults], findings: &mut Findings) {
        // Of most columns nothing is wrong: all rows are looked at at once.
        if faults.iter().fold(0, |all, faults| all | faults) != 0 {
            for (row, faults) in faults.iter().enumerate().filter(|(_, faults)| **faults != 0) {
                self.fault(row, *faults, findings);
            }
        }
        self.finish(faults.len(), findings);
    }

    fn fault(&mut self, row: usize, faults: Faults, findings: &mut Findings) {
        let rules = self.rules;
        let fit = match self.field.field_type {
            FieldType::Date => rules.date,
            FieldType::Integer => rules.integer,
            FieldType::Code => rules.of_code(self.field),
            FieldType::Text => rules.pattern,
        };
        if faults & MISSING != 0 {
            self.missing += 1;
        }
        let missing = self.presence().map(|rule| (MISSING, rule));
        for (fault, rule) in missing.into_iter().chain([(UNFIT, fit), (TOO_LONG, rules.length)]) {
            if faults & fault != 0 {
                findings.failed(row, rule, Some(self.at));
            }
        }
    }

    /// Every row was held to the rule on presence, and every value that is there to the others.
    fn finish(self, rows: usize, findings: &mut Findings) {
        let presence = self.presence();
        for rule in self.rules.of(self.field).into_iter().filter(|rule| *rule != self.rules.mixed_formats) {
            let missing = if presence == Some(rule) { 0 } else { self.missing };
            findings.checked(rule, Some(self.at), rows as u64 - missing);
        }
    }
}

/// The spellings of one field's codes that have been looked up.
#[derive(Debug, Default)]
struct SeenCodes(HashTable<(Box<[u8]>, Option<u16>)>);

impl SeenCodes {
    /// More spellings than a codelist can have: a column of free text must not fill the memory.
    const LIMIT: usize = 100_000;

    fn find(&mut self, value: &[u8], seed: u64, codelist: Option<&Codelist>, labels: bool) -> Option<u16> {
        let hash = xxh3_64_with_seed(value, seed);
        if let Some((_, code)) = self.0.find(hash, |(spelling, _)| **spelling == *value) {
            return *code;
        }
        let code = codelist.and_then(|codelist| codelist.find(value, labels));
        if self.0.len() < Self::LIMIT {
            self.0.insert_unique(hash, (value.into(), code), |(spelling, _)| xxh3_64_with_seed(spelling, seed));
        }
        code
    }
}

/// The different values of one text column of a chunk.
#[derive(Debug, Default)]
struct SeenTexts {
    table: HashTable<u32>,
    values: Vec<u8>,
    /// Where each value ends, where the kept part of it does, and its faults.
    seen: Vec<(usize, usize, Faults)>,
}

impl SeenTexts {
    fn clear(&mut self) {
        self.table.clear();
        self.values.clear();
        self.seen.clear();
    }

    fn start(seen: &[(usize, usize, Faults)], id: usize) -> usize {
        id.checked_sub(1).map_or(0, |before| seen[before].0)
    }

    fn find(&mut self, value: &[u8], seed: u64, field: &Field) -> (u32, Faults) {
        let Self { table, values, seen } = self;
        let text = |id: u32| &values[Self::start(seen, id as usize)..seen[id as usize].0];
        let hash = xxh3_64_with_seed(value, seed);
        if let Some(id) = table.find(hash, |id| text(*id) == value) {
            return (*id, seen[*id as usize].2);
        }
        // A chunk has fewer rows than it has bytes, and those are far fewer than 4 GiB.
        let id = u32::try_from(seen.len()).unwrap_or(NO_TEXT);
        table.insert_unique(hash, id, |id| xxh3_64_with_seed(text(*id), seed));
        let kept = match field.keep_first {
            None => value.len(),
            Some(_) => std::str::from_utf8(value).map_or(0, |text| field.kept(text).len()),
        };
        let faults = if field.has_form(value) { 0 } else { UNFIT } | if field.has_length(value) { 0 } else { TOO_LONG };
        seen.push((values.len() + value.len(), values.len() + kept, faults));
        values.extend_from_slice(value);
        (id, faults)
    }

    /// The part of each value that is kept.
    fn different(&self) -> Result<StringArray> {
        let too_much = |_| Error::internal("a chunk has too much text");
        let mut offsets = Vec::with_capacity(self.seen.len() + 1);
        let mut kept = Vec::with_capacity(self.values.len());
        offsets.push(0);
        for (id, (_, end, faults)) in self.seen.iter().enumerate() {
            if *faults == 0 {
                kept.extend_from_slice(&self.values[Self::start(&self.seen, id)..*end]);
            }
            offsets.push(i32::try_from(kept.len()).map_err(too_much)?);
        }
        StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(kept), None)
            .map_err(|_| Error::internal("a text of a row that is text is not"))
    }
}

/// Digits with an optional minus sign, nothing else.
fn whole_number(value: &[u8]) -> Option<i32> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    if digits.len() - zeros > 9 {
        return None;
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    Some(if digits.len() == value.len() { number } else { -number })
}

/// The texts of some rows, for tests.
#[cfg(test)]
impl<S: AsRef<str>> FromIterator<Option<S>> for Texts {
    fn from_iter<I: IntoIterator<Item = Option<S>>>(rows: I) -> Self {
        let mut different: Vec<String> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        let ids = rows.into_iter().map(|text| {
            text.map_or(NO_TEXT, |text| {
                *seen.entry(text.as_ref().to_owned()).or_insert_with(|| {
                    different.push(text.as_ref().to_owned());
                    u32::try_from(different.len() - 1).unwrap()
                })
            })
        });
        let ids = ids.collect();
        Self { ids, different: StringArray::from(different) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::rejecting;
    use super::super::reader::{Chunk, Form, Records};
    use super::*;
    use crate::encoding::Encoding;

    /// Every row read by a reader that has seen nothing, against all rows read by one: what is remembered changes nothing, and
    /// neither does it that columns come again together.
    #[test]
    fn a_field_is_read_the_same_whatever_came_before() {
        const FIELDS: [&str; 32] = [
            "",
            " ",
            "NULL",
            "null ",
            "F",
            "\"M\"",
            "2024-02-29",
            "02/29/2024",
            "20240229",
            "2024-02-01",
            "2024-02-30",
            "2024-02-2a",
            "2024-02-1 ",
            "2023-02-29",
            "\"2024-02-29\"",
            "7",
            "007",
            "48",
            "Travis",
            "Fort Bend",
            "78701",
            " 78701",
            "78701-1234",
            "1234567",
            "a text of 16 byt",
            "a text of 17 byte",
            "a text of 17 bytf",
            "\"a text, between quotes, of more\"",
            "\"a text, with \"\"its own\"\" quotes\"",
            "a text of more bytes that begins as another and ends as another does",
            "a text of more bytes that begins as another one does, ends as another does",
            "É",
        ];
        let dictionary = Dictionary::built_in().unwrap();
        let ruleset = Ruleset::built_in(&dictionary).unwrap();
        let (rules, rejecting) = (FieldRules::new(&ruleset).unwrap(), rejecting(&ruleset));
        let width = dictionary.fields().len();
        let order: Vec<usize> = (0..width).collect();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut some = |fields: usize| -> String {
            let fields: Vec<_> = (0..fields).map(|_| FIELDS[next(FIELDS.len())].replace(',', ";")).collect();
            fields.join(",")
        };
        let read = |reader: &mut FieldReader<'_>, text: &str| {
            let bytes = text.as_bytes().to_vec();
            let chunk = Chunk { first_line: 1, first_offset: 0, bytes, line_end: b'\n', encoding: Encoding::Utf8 };
            let records = Records::split(&chunk, Form { delimiter: b',', width, header: b"" });
            assert!(records.broken.is_empty());
            let mut findings = Findings::new(records.places(), &rejecting, width);
            let columns = reader.read(&records, &order, &mut findings).unwrap();
            let values = |row: usize| -> Vec<String> {
                let value = |values: &Values| match values {
                    Values::Dates(numbers) | Values::Integers(numbers) => numbers[row].to_string(),
                    Values::Codes(codes) => codes[row].to_string(),
                    Values::Texts(texts) => format!("{:?}", texts.get(row)),
                    Values::Unread => String::new(),
                };
                columns.iter().map(value).collect()
            };
            let values: Vec<_> = (0..records.len()).map(values).collect();
            let counts: Vec<_> =
                findings.into_found().counts.iter().map(|count| [count.checked, count.failed]).collect();
            (values, counts)
        };
        let reader = || FieldReader::new(&dictionary, &rules).unwrap();
        for (different, last_run) in [(1_500, width - 1..width), (100, width - 8..width)] {
            let ends: Vec<String> = (0..different).map(|_| some(8)).collect();
            let rows: Vec<String> =
                (0..1_500).map(|row| format!("{},{}\n", some(width - 8), ends[row % different])).collect();
            let mut together = reader();
            // The second time, everything has been seen.
            let first = read(&mut together, &rows.concat());
            assert_eq!(together.runs.last(), Some(&last_run));
            assert!(first == read(&mut together, &rows.concat()));
            let alone: Vec<_> = rows.iter().map(|row| read(&mut reader(), row)).collect();
            let mut sums = vec![[0; 2]; first.1.len()];
            for (number, (values, counts)) in alone.into_iter().enumerate() {
                assert_eq!(values, [first.0[number].clone()], "{}", rows[number]);
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum = [sum[0] + count[0], sum[1] + count[1]];
                }
            }
            assert!(first.1 == sums);
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("-3", Some(-3)),
            ("999999999", Some(999_999_999)),
            ("1000000000", None),
            ("0000000000999999999", Some(999_999_999)),
            ("", None),
            ("-", None),
            ("+1", None),
            ("1.0", None),
            ("1 0", None),
        ] {
            assert_eq!(whole_number(text.as_bytes()), number, "{text}");
        }
    }
}
