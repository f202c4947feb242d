//! One column of a chunk at a time: bytes → typed values, with a finding for every value that does not fit.

use arrow::array::{Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::findings::{Findings, RuleId};
use super::reader::{Records, Word};
use super::ruleset::{Kind, Ruleset};
use crate::calendar;
use crate::dictionary::{Codelist, Dictionary, Field, FieldType, Presence, Role, Unlisted};
use crate::error::{Error, Result};
use crate::secret::random_bytes;

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
        for id in self.ids.iter().filter(|id| **id != NO_TEXT) {
            rows[*id as usize] += 1;
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
type Faults = u8;
const MISSING: Faults = 1;
/// Not of the field's type or form.
const UNFIT: Faults = 2;
const TOO_LONG: Faults = 4;

/// Reads columns. One reader goes from chunk to chunk and remembers the spellings of codes, so that a spelling is
/// normalised once and not once a row.
#[derive(Debug)]
pub struct FieldReader<'a> {
    dictionary: &'a Dictionary,
    rules: &'a FieldRules,
    seed: u64,
    /// By field.
    codes: Vec<SeenCodes>,
    texts: SeenTexts,
}

impl<'a> FieldReader<'a> {
    /// A reader that has seen nothing yet. The hashes of its tables are under a secret seed: no file can be made that slows
    /// it down.
    pub fn new(dictionary: &'a Dictionary, rules: &'a FieldRules) -> Result<Self> {
        Ok(Self {
            dictionary,
            rules,
            seed: u64::from_le_bytes(random_bytes()?),
            codes: dictionary.fields().iter().map(|_| SeenCodes::default()).collect(),
            texts: SeenTexts::default(),
        })
    }

    /// Reads one column of a chunk. `column` is the position of the field in the file, `at` in the dictionary.
    pub fn read(
        &mut self,
        records: &Records<'_>,
        (column, at): (usize, usize),
        findings: &mut Findings,
    ) -> Result<Values> {
        let field = &self.dictionary.fields()[at];
        let rules = self.rules;
        let is_missing = |value: &[u8]| self.dictionary.is_missing(value);
        let seed = self.seed;
        let mut tally = Tally { rules, field, at, missing: 0 };
        Ok(match field.field_type {
            FieldType::Date => {
                // The day, and the format that it is written in, one bit each.
                let read = |value: &[u8], _| {
                    if is_missing(value) {
                        return ((NO_DATE, 0), MISSING);
                    }
                    let mut formats = (0..).zip(&field.formats);
                    match formats.find_map(|(bit, format)| Some((calendar::parse(value, *format)?, 1_u8 << bit))) {
                        Some(read) => (read, 0),
                        None => ((NO_DATE, 0), UNFIT),
                    }
                };
                let rows = each_row(records, column, read, |row, faults| tally.fault(row, faults, findings));
                tally.finish(&[rules.date], rows.len(), findings);
                if field.formats.len() > 1 {
                    let fit = |row: usize| Some(rows[row].1).filter(|fit| *fit != 0);
                    findings.sort_rows(rules.mixed_formats, Some(at), fit);
                }
                Values::Dates(rows.into_iter().map(|(day, _)| day).collect())
            }
            FieldType::Integer => {
                let read = |value: &[u8], _| {
                    if is_missing(value) {
                        return (NO_INTEGER, MISSING);
                    }
                    let number = whole_number(value).filter(|number| {
                        field.minimum.is_none_or(|minimum| minimum <= *number)
                            && field.maximum.is_none_or(|maximum| *number <= maximum)
                    });
                    number.map_or((NO_INTEGER, UNFIT), |number| (number, 0))
                };
                let numbers = each_row(records, column, read, |row, faults| tally.fault(row, faults, findings));
                tally.finish(&[rules.integer], numbers.len(), findings);
                Values::Integers(numbers)
            }
            FieldType::Code => {
                let codelist = self.dictionary.codelist(field);
                let seen = &mut self.codes[at];
                let look_up = |value: &[u8], seen: &mut SeenCodes| {
                    if is_missing(value) {
                        return (NO_CODE, MISSING);
                    }
                    seen.find(value, seed, codelist, field.labels).map_or((NO_CODE, UNFIT), |code| (code, 0))
                };
                let read = |value: &[u8], word: Option<Word>| match word {
                    Some(word) => seen.find_short(word, |seen| look_up(value, seen)),
                    None => look_up(value, seen),
                };
                let codes = each_row(records, column, read, |row, faults| tally.fault(row, faults, findings));
                tally.finish(&[rules.of_code(field)], codes.len(), findings);
                Values::Codes(codes)
            }
            FieldType::Text if field.role == Role::Identifier && field.presence == Presence::Optional => Values::Unread,
            FieldType::Text => {
                let texts = &mut self.texts;
                texts.clear();
                let read = |value: &[u8], _| {
                    if is_missing(value) {
                        return (NO_TEXT, MISSING);
                    }
                    let (id, faults) = texts.find(value, seed, field);
                    (if faults == 0 { id } else { NO_TEXT }, faults)
                };
                let ids = each_row(records, column, read, |row, faults| tally.fault(row, faults, findings));
                let pattern = field.pattern.as_ref().map(|_| rules.pattern);
                let length = field.max_length.map(|_| rules.length);
                let of_form: Vec<RuleId> = pattern.into_iter().chain(length).collect();
                tally.finish(&of_form, ids.len(), findings);
                Values::Texts(Texts { ids, different: texts.different()? })
            }
        })
    }
}

/// Reads the values of a column one after another and tells the faulty ones. Rows of one client often follow one another:
/// a field of the same bytes as the one before is not read again.
#[inline]
fn each_row<T: Copy>(
    records: &Records<'_>,
    column: usize,
    mut read: impl FnMut(&[u8], Option<Word>) -> (T, Faults),
    mut faulty: impl FnMut(usize, Faults),
) -> Vec<T> {
    let mut rows = Vec::with_capacity(records.len());
    let mut before: Option<Before<'_, T>> = None;
    for (row, field) in records.column(column).enumerate() {
        let word = field.word();
        let (value, faults) = match before {
            Some(Before { word: same, result, .. }) if word.is_some() && same == word => result,
            Some(Before { word: None, bytes, result }) if word.is_none() && bytes == field.bytes() => result,
            _ => {
                let bytes = field.bytes();
                let result = read(&records.value_of(bytes), word);
                before = Some(Before { word, bytes, result });
                result
            }
        };
        if faults != 0 {
            faulty(row, faults);
        }
        rows.push(value);
    }
    rows
}

/// The field that was read last, and what came of it.
struct Before<'a, T> {
    word: Option<Word>,
    bytes: &'a [u8],
    result: (T, Faults),
}

/// Turns the faults of one column into findings and counts.
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
    fn finish(self, others: &[RuleId], rows: usize, findings: &mut Findings) {
        if let Some(rule) = self.presence() {
            findings.checked(rule, Some(self.at), rows as u64);
        }
        for rule in others {
            findings.checked(*rule, Some(self.at), rows as u64 - self.missing);
        }
    }
}

/// The spellings of one field's codes that have been looked up.
#[derive(Debug)]
struct SeenCodes {
    all: HashTable<(Box<[u8]>, Option<u16>)>,
    /// Short fields that were read last, by some bits of their bytes.
    short: Vec<(Word, (u16, Faults))>,
}

impl Default for SeenCodes {
    fn default() -> Self {
        // No field has this length, so nothing is found in an empty place.
        let nothing = Word { bits: [0; 2], length: usize::MAX };
        Self { all: HashTable::new(), short: vec![(nothing, (NO_CODE, 0)); Self::SHORT] }
    }
}

impl SeenCodes {
    const SHORT: usize = 256;

    #[inline]
    fn find_short(&mut self, word: Word, look_up: impl FnOnce(&mut Self) -> (u16, Faults)) -> (u16, Faults) {
        // Fibonacci hashing: the uppermost bits of a product with 2^64 divided by the golden ratio.
        let [low, high] = word.bits;
        let place = usize::from((low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7]);
        let (seen, result) = self.short[place];
        if seen == word {
            return result;
        }
        let result = look_up(self);
        self.short[place] = (word, result);
        result
    }

    /// More spellings than a codelist can have: a column of free text must not fill the memory.
    const LIMIT: usize = 100_000;

    fn find(&mut self, value: &[u8], seed: u64, codelist: Option<&Codelist>, labels: bool) -> Option<u16> {
        let hash = xxh3_64_with_seed(value, seed);
        if let Some((_, code)) = self.all.find(hash, |(spelling, _)| **spelling == *value) {
            return *code;
        }
        let code = codelist.and_then(|codelist| codelist.find(value, labels));
        if self.all.len() < Self::LIMIT {
            self.all.insert_unique(hash, (value.into(), code), |(spelling, _)| xxh3_64_with_seed(spelling, seed));
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
        let kept = std::str::from_utf8(value).map_or(0, |text| field.kept(text).len());
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
    use super::whole_number;

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
