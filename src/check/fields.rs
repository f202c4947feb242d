//! One column of a chunk at a time: bytes → typed values, with a finding for every value that does not fit.

use std::collections::HashMap;

use arrow::array::{StringArray, StringBuilder};

use super::findings::{Findings, RuleId};
use super::reader::Records;
use super::ruleset::{Kind, Ruleset};
use crate::calendar;
use crate::dictionary::{Dictionary, Field, FieldType, Presence, Role, Unlisted};
use crate::error::Result;

/// No date in [`Values::Dates`].
pub const NO_DATE: i32 = i32::MIN;
/// No whole number in [`Values::Integers`].
pub const NO_INTEGER: i32 = i32::MIN;
/// No code in [`Values::Codes`].
pub const NO_CODE: u16 = u16::MAX;

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
    Texts(StringArray),
    /// The column is an identifier that nothing needs.
    Unread,
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
            FieldType::Code => rules.push(self.code[usize::from(field.unlisted == Unlisted::Review)]),
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
}

/// The spellings of codes that have been looked up, so that a spelling is normalised once and not once a row.
#[derive(Debug, Default)]
pub struct SeenCodes(HashMap<Box<[u8]>, Option<u16>>);

impl SeenCodes {
    /// More spellings than a codelist can have: a column of free text must not fill the memory.
    const LIMIT: usize = 100_000;
}

/// Reads one column of a chunk. `column` is the position of the field in the file, `at` in the dictionary.
pub fn read(
    dictionary: &Dictionary,
    rules: &FieldRules,
    records: &Records<'_>,
    (column, at): (usize, usize),
    seen: &mut SeenCodes,
    findings: &mut Findings,
) -> Values {
    let field = &dictionary.fields()[at];
    let rows = records.len();
    // The value of a row when it is there; its absence is a finding or not, as the field says.
    let present = |row: usize, findings: &mut Findings| {
        let value = records.value(row, column);
        let missing = dictionary.is_missing(&value);
        match field.presence {
            Presence::Required => findings.checked(row, rules.required, at, !missing),
            Presence::Expected => findings.checked(row, rules.expected, at, !missing),
            Presence::Optional => {}
        }
        (!missing).then_some(value)
    };
    match field.field_type {
        FieldType::Date => {
            // For each row the format that its date has, one bit each.
            let mut formats = vec![0_u8; rows];
            let days: Vec<i32> = (0..rows)
                .map(|row| {
                    let Some(value) = present(row, findings) else { return NO_DATE };
                    let mut read = field.formats.iter().enumerate();
                    let day = read.find_map(|(at, format)| Some((at, calendar::parse(&value, *format)?)));
                    findings.checked(row, rules.date, at, day.is_some());
                    day.map_or(NO_DATE, |(at, day)| {
                        formats[row] = 1 << at;
                        day
                    })
                })
                .collect();
            if field.formats.len() > 1 {
                findings.sort_rows(rules.mixed_formats, Some(at), |row| Some(formats[row]).filter(|fit| *fit != 0));
            }
            Values::Dates(days)
        }
        FieldType::Integer => Values::Integers(
            (0..rows)
                .map(|row| {
                    let Some(value) = present(row, findings) else { return NO_INTEGER };
                    let number = whole_number(&value).filter(|number| {
                        field.minimum.is_none_or(|minimum| minimum <= *number)
                            && field.maximum.is_none_or(|maximum| *number <= maximum)
                    });
                    findings.checked(row, rules.integer, at, number.is_some());
                    number.unwrap_or(NO_INTEGER)
                })
                .collect(),
        ),
        FieldType::Code => {
            let codelist = dictionary.codelist(field);
            let rule = rules.code[usize::from(field.unlisted == Unlisted::Review)];
            Values::Codes(
                (0..rows)
                    .map(|row| {
                        let Some(value) = present(row, findings) else { return NO_CODE };
                        let code = seen.0.get(value.as_ref()).copied().unwrap_or_else(|| {
                            let code = codelist.and_then(|codelist| codelist.find(&value, field.labels));
                            if seen.0.len() < SeenCodes::LIMIT {
                                seen.0.insert(value.as_ref().into(), code);
                            }
                            code
                        });
                        findings.checked(row, rule, at, code.is_some());
                        code.unwrap_or(NO_CODE)
                    })
                    .collect(),
            )
        }
        FieldType::Text if field.role == Role::Identifier && field.presence == Presence::Optional => Values::Unread,
        FieldType::Text => {
            let mut texts = StringBuilder::with_capacity(rows, rows * 8);
            for row in 0..rows {
                let value = present(row, findings).filter(|value| {
                    let has_form = field.has_form(value);
                    if field.pattern.is_some() {
                        findings.checked(row, rules.pattern, at, has_form);
                    }
                    let has_length = field.has_length(value);
                    if field.max_length.is_some() {
                        findings.checked(row, rules.length, at, has_length);
                    }
                    has_form && has_length
                });
                let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
                texts.append_option(text.map(|text| field.kept(text)));
            }
            Values::Texts(texts.finish())
        }
    }
}

/// Digits with an optional minus sign, nothing else.
fn whole_number(value: &[u8]) -> Option<i32> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    Some(if digits.len() == value.len() { number } else { -number })
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
