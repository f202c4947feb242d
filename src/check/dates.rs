//! A column of dates: bytes → days.
//!
//! Most dates of a file lie in few months, and what makes up a month is the same in all of its dates. So the month is read
//! once, and then only the two digits of the day.

use super::memo::place_of;
use super::reader::{RawField, Word};
use crate::calendar::{self, DateFormat};
use crate::dictionary::{Dictionary, Field};

/// The day of a date, and the format that it is written in, one bit each.
pub type Day = (i32, u8);

/// Reads the dates of one column.
#[derive(Debug)]
pub struct DateReader {
    /// In the order in which they are tried.
    formats: Vec<DateFormat>,
    /// Those whose days have two digits at a fixed place. None where another format may read the same, or a date may stand
    /// for no value.
    shapes: Vec<Shape>,
    /// That of the date which was read last from all of its bytes.
    last: Option<Shape>,
    /// The months that were read last. Each has one place, by some bits of its bytes.
    months: Box<[Month; 256]>,
}

/// Where a format has the day.
#[derive(Clone, Copy, Debug)]
struct Shape {
    length: usize,
    /// The bits that are not of the day.
    month: Word,
    /// Which half of the word the day is in, and how many bits stand before it.
    day: (usize, u32),
    /// As in [`Day`].
    format: u8,
}

#[derive(Clone, Copy, Debug)]
struct Month {
    /// What its dates have beside the day.
    word: Word,
    /// The day count of the day before its first.
    before: i32,
    days: u8,
}

impl DateReader {
    /// A reader that has read nothing yet.
    pub fn new(dictionary: &Dictionary, field: &Field) -> Self {
        let formats = field.formats.clone();
        let is_date =
            |value: &String| formats.iter().any(|format| calendar::parse(value.as_bytes(), *format).is_some());
        let shapes = (0..).zip(&formats).map(|(bit, format)| Shape::of(*format, 1 << bit)).collect::<Option<_>>();
        let shapes = shapes.filter(|_| !dictionary.missing_values().iter().any(is_date)).unwrap_or_default();
        let months = Box::new([Month { word: Word::NONE, before: 0, days: 0 }; 256]);
        Self { formats, shapes, last: None, months }
    }

    /// The day of a field, if another of its month was read a short while ago.
    #[inline]
    pub fn known(&self, raw: RawField<'_>) -> Option<Day> {
        let shape = self.last.as_ref().filter(|shape| shape.length == raw.len())?;
        let word = raw.word()?;
        let of_month = word.and(shape.month);
        let month = &self.months[usize::from(place_of(of_month))];
        let day = shape.day_of(word).filter(|day| month.word == of_month && (1..=month.days).contains(day))?;
        Some((month.before.wrapping_add(day.into()), shape.format))
    }

    /// The day of a field that is a date without quotes or blanks around it.
    pub fn read(&mut self, dictionary: &Dictionary, raw: RawField<'_>) -> Option<Day> {
        let (day, format) = self.parse(raw.bytes()).filter(|_| !dictionary.is_missing(raw.bytes()))?;
        self.last = self.shapes.iter().copied().find(|shape| shape.format == format);
        if let Some((shape, word)) = self.last.zip(raw.word()) {
            let (first, days) = calendar::month_of(day);
            let word = word.and(shape.month);
            self.months[usize::from(place_of(word))] = Month { word, before: first - 1, days };
        }
        Some((day, format))
    }

    /// The day of a value.
    pub fn parse(&self, value: &[u8]) -> Option<Day> {
        let mut formats = (0..).zip(&self.formats);
        formats.find_map(|(bit, format)| Some((calendar::parse(value, *format)?, 1_u8 << bit)))
    }
}

impl Shape {
    /// None of a format that another one may read, too.
    fn of(format: DateFormat, bit: u8) -> Option<Self> {
        let (length, at) = format.places()?;
        let mut month = [0; Word::BYTES];
        month[..length].fill(0xff);
        month[at..at + 2].fill(0);
        let bits = if at < 8 { at * 8 } else { (at - 8) * 8 };
        Some(Self { length, month: Word::of(&month), day: (at / 8, u32::try_from(bits).ok()?), format: bit })
    }

    /// The number of the two digits; none, or one that no month has, when they are others.
    #[inline]
    fn day_of(&self, Word(halves): Word) -> Option<u8> {
        let (half, bits) = self.day;
        let [tens, ones, ..] = halves[half % 2].wrapping_shr(bits).to_le_bytes();
        let [tens, ones] = [tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0')];
        (tens <= 3 && ones <= 9).then(|| tens * 10 + ones)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Chunk, Form, Records};
    use super::*;
    use crate::encoding::Encoding;

    /// Every day of two leap years and of one in between in each format, and what is none, with other days of the month read
    /// before: what is known at once is what all bytes would tell.
    #[test]
    fn what_is_known_of_a_month_is_what_its_dates_tell() {
        let dictionary = Dictionary::built_in().unwrap();
        let field = dictionary.field("birth_date").unwrap();
        let written = |year: i32, month: i32, day: &str| {
            [format!("{year}-{month:02}-{day}"), format!("{month:02}/{day}/{year}"), format!("{year}{month:02}{day}")]
        };
        let days: Vec<String> = (0..=40).map(|day| format!("{day:02}")).collect();
        let others = ["3a", "a1", "1 ", " 1", "1", "1-", "//", "/1", ":0", "0:", "\u{e9}", "010"];
        let days: Vec<&str> = days.iter().map(String::as_str).chain(others).collect();
        for format in 0..3 {
            let mut text = String::new();
            for (year, month) in
                [1900, 2023, 2024].into_iter().flat_map(|year| (0..=13).map(move |month| (year, month)))
            {
                // Each month is read from all bytes of a date of the same format, if it has one.
                text.extend(
                    std::iter::once("01")
                        .chain(days.clone())
                        .map(|day| written(year, month, day)[format].clone() + "\n"),
                );
            }
            let bytes = text.into_bytes();
            let chunk = Chunk { first_line: 1, first_offset: 0, bytes, line_end: b'\n', encoding: Encoding::Utf8 };
            let records = Records::split(&chunk, Form { delimiter: b',', width: 1, header: b"" });
            let mut reader = DateReader::new(&dictionary, field);
            let mut known = 0;
            for raw in records.column(0).fields() {
                let all = reader.parse(raw.bytes());
                let day = reader.known(raw);
                assert!(day.is_none() || day == all, "{:?}", raw.bytes().escape_ascii().to_string());
                known += usize::from(day.is_some());
                assert_eq!(day.or_else(|| reader.read(&dictionary, raw)), all);
            }
            // All but the first of each month.
            assert_eq!(known, 365 + 365 + 366, "format {format}");
        }
    }

    #[test]
    fn a_month_is_not_known_where_a_date_may_stand_for_no_value_or_for_two_days() {
        let built_in = Dictionary::built_in().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own.toml");
        std::fs::write(&own, "id = \"own\"\nversion = \"1\"\nmissing_values = [\"01/01/1900\"]\n").unwrap();
        let own = Dictionary::with_overrides(&own).unwrap();
        let shapes = |dictionary: &Dictionary, formats: &[DateFormat]| {
            let mut field = dictionary.field("birth_date").unwrap().clone();
            field.formats = formats.to_vec();
            DateReader::new(dictionary, &field).shapes.len()
        };
        for (formats, expected) in [
            (&[DateFormat::Iso][..], [1, 1]),
            (&[DateFormat::Iso, DateFormat::Us, DateFormat::Compact], [3, 0]),
            (&[DateFormat::Us, DateFormat::DayFirst], [0, 0]),
            (&[DateFormat::Iso, DateFormat::UsShort], [0, 0]),
        ] {
            assert_eq!([&built_in, &own].map(|dictionary| shapes(dictionary, formats)), expected, "{formats:?}");
        }
    }
}
