//! Days as 32-bit counts from 1970-01-01 (Arrow's Date32), read from text and moved by months and years.

use chrono::{Datelike, NaiveDate};

use serde::{Deserialize, Serialize};

/// A way of writing a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DateFormat {
    /// `2024-12-31`
    Iso,
    /// `12/31/2024`
    Us,
    /// `20241231`
    Compact,
    /// `1/5/2024`: month and day with one digit or two
    UsShort,
    /// `31-DEC-2024`, `31Dec2024`: English names of months
    DayMonth,
    /// `2024-12-31 00:00:00`, `2024-12-31T00:00`: a time of day stands behind the date. The day counts, and no time
    IsoTime,
    /// `1/5/2024 0:00`, `01/05/2024 12:00:00 AM`: the same behind month, day and year
    UsTime,
    /// `31/12/2024`, `5/1/2024`: day and month with one digit or two
    DayFirst,
    /// `31/12/2024 00:00`, `5/1/2024 12:00:00 AM`: a time of day behind day, month and year
    DayFirstTime,
}

impl DateFormat {
    /// All of them. Of two that read a value, the first is the likelier one.
    pub const ALL: [Self; 9] = [
        Self::Iso,
        Self::Us,
        Self::Compact,
        Self::UsShort,
        Self::DayMonth,
        Self::IsoTime,
        Self::UsTime,
        Self::DayFirst,
        Self::DayFirstTime,
    ];

    /// How many bytes a date has, and at which the two digits of the day begin; none of a format in which that is not fixed.
    #[inline]
    pub fn places(self) -> Option<(usize, usize)> {
        match self {
            Self::Iso => Some((10, 8)),
            Self::Us => Some((10, 3)),
            Self::Compact => Some((8, 6)),
            _ => None,
        }
    }

    /// The last day of 2024 in this format.
    pub fn example(self) -> &'static str {
        match self {
            Self::Iso => "2024-12-31",
            Self::Us => "12/31/2024",
            Self::Compact => "20241231",
            Self::UsShort => "12/31/2024, 1/5/2024",
            Self::DayMonth => "31-DEC-2024",
            Self::IsoTime => "2024-12-31 00:00:00",
            Self::UsTime => "1/5/2024 0:00",
            Self::DayFirst => "31/12/2024",
            Self::DayFirstTime => "31/12/2024 0:00",
        }
    }
}

/// Days from 0001-01-01 (chrono's day 1) to 1970-01-01.
const EPOCH: i32 = 719_163;
/// Eras of 400 years that are put before year 0, so that no number of the calendar is negative.
const ERAS: i32 = 82;

/// The month in which a season begins: that of CDC's coverage of influenza, whose monthly numbers are of all persons
/// vaccinated from July on.
pub const SEASON_BEGINS: u32 = 7;

/// The day count of a date.
pub fn day(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH
}

/// The date of a day count; the end of the calendar on its side where there is none.
pub fn date(day: i32) -> NaiveDate {
    let date = day.checked_add(EPOCH).and_then(NaiveDate::from_num_days_from_ce_opt);
    date.unwrap_or(if day < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

/// Year, month (from 1) and day of month of a day count from the year -32,800 on.
///
/// Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms", Software: Practice and
/// Experience 53 (2023), figure 12: centuries, years of a century and months of a year, which begin in March, each by one
/// multiplication. Several times faster than a calendar type, and the check does it twice a row.
pub fn civil(day: i32) -> (i32, i32, i32) {
    let shifted = day.wrapping_add(719_468 + 146_097 * ERAS).cast_unsigned();
    let quarters = shifted.wrapping_mul(4).wrapping_add(3);
    let (century, of_century) = (quarters / 146_097, quarters % 146_097 / 4);
    let years = u64::from(of_century * 4 + 3) * 2_939_745;
    let [year_of_century, fraction] = [years >> 32, years & u64::from(u32::MAX)];
    let of_year = fraction / 2_939_745 / 4;
    let months = of_year * 2_141 + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2_141);
    let small = |number: u64| i32::try_from(number).unwrap_or_default();
    let is_next_year = of_year >= 306;
    let year = (century * 100).cast_signed() + small(year_of_century) - 400 * ERAS + i32::from(is_next_year);
    (year, small(month) - if is_next_year { 12 } else { 0 }, small(day) + 1)
}

/// A day by its place in the calendar, for differences in months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilDay {
    /// Months since the beginning of year 0.
    months: i32,
    day: i32,
}

impl CivilDay {
    /// The place of a day count.
    pub fn of(day: i32) -> Self {
        let (year, month, day) = civil(day);
        Self { months: year * 12 + month - 1, day }
    }

    /// Completed months to a later day: the month of the 31st of January is over on the 1st of March.
    pub fn whole_months_to(self, later: Self) -> i32 {
        later.months - self.months - i32::from(later.day < self.day)
    }

    /// Months of the calendar to a later day, whatever the days of the months.
    pub fn calendar_months_to(self, later: Self) -> i32 {
        later.months - self.months
    }
}

/// Completed months from one day to a later one.
pub fn whole_months(from: i32, to: i32) -> i32 {
    CivilDay::of(from).whole_months_to(CivilDay::of(to))
}

/// Reads a date in one format; `None` unless it has exactly that form and is a day of the calendar.
#[inline]
pub fn parse(value: &[u8], format: DateFormat) -> Option<i32> {
    match format {
        DateFormat::Iso | DateFormat::Us | DateFormat::Compact => of_fixed_width(value, format),
        DateFormat::UsShort => us_short(value),
        DateFormat::DayMonth => day_month(value),
        DateFormat::IsoTime => of_fixed_width(before_time(value)?, DateFormat::Iso),
        DateFormat::UsTime => us_short(before_time(value)?),
        DateFormat::DayFirst => day_first(value),
        DateFormat::DayFirstTime => day_first(before_time(value)?),
    }
}

/// One of the three formats of which each digit has its place: those of most files.
#[inline]
fn of_fixed_width(value: &[u8], format: DateFormat) -> Option<i32> {
    let template = match format {
        DateFormat::Iso => *b"0000-00-",
        DateFormat::Us => *b"00/00/00",
        _ => *b"00000000",
    };
    let (first, rest) = value.split_first_chunk()?;
    if format.places().is_none_or(|(length, _)| value.len() != length) {
        return None;
    }
    let first = digits(*first, template)?;
    // The last two of ten have no separator among them.
    let last = match rest {
        [tens, ones] => {
            let [tens, ones, ..] = digits([*tens, *ones, b'0', b'0', b'0', b'0', b'0', b'0'], *b"00000000")?;
            [tens, ones]
        }
        _ => [0; 2],
    };
    let two = |[tens, ones]: [u8; 2]| i32::from(tens) * 10 + i32::from(ones);
    let (year, month, day) = match (format, first) {
        (DateFormat::Iso, [y1, y2, y3, y4, _, m1, m2, _]) => ([[y1, y2], [y3, y4]], [m1, m2], last),
        (DateFormat::Us, [m1, m2, _, d1, d2, _, y1, y2]) => ([[y1, y2], last], [m1, m2], [d1, d2]),
        (_, [y1, y2, y3, y4, m1, m2, d1, d2]) => ([[y1, y2], [y3, y4]], [m1, m2], [d1, d2]),
    };
    from_civil(two(year[0]) * 100 + two(year[1]), two(month), two(day))
}

/// A number of so many digits.
fn number(digits: &[u8], lengths: std::ops::RangeInclusive<usize>) -> Option<i32> {
    let is_number = lengths.contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
}

fn us_short(value: &[u8]) -> Option<i32> {
    let [month, day, year] = between_slashes(value)?;
    from_civil(year, month, day)
}

fn day_first(value: &[u8]) -> Option<i32> {
    let [day, month, year] = between_slashes(value)?;
    from_civil(year, month, day)
}

/// Two numbers of one digit or two, and a year.
fn between_slashes(value: &[u8]) -> Option<[i32; 3]> {
    let mut parts = value.split(|byte| *byte == b'/');
    let three = [number(parts.next()?, 1..=2)?, number(parts.next()?, 1..=2)?, number(parts.next()?, 4..=4)?];
    parts.next().is_none().then_some(three)
}

/// The date before a time of day, from which a blank or a `T` takes it apart. A zone is not read: it could be another day.
fn before_time(value: &[u8]) -> Option<&[u8]> {
    let at = value.iter().position(|byte| matches!(byte, b' ' | b'T'))?;
    let (date, time) = value.split_at(at);
    is_time_of_day(&time[1..]).then_some(date)
}

/// Whether a text is a time of day: hours and minutes, seconds and their fraction where they are told; of twelve hours with
/// `AM` or `PM`.
fn is_time_of_day(text: &[u8]) -> bool {
    let halves = [b"AM", b"PM"];
    let (clock, half) = text.split_at(text.len().saturating_sub(2));
    let of_twelve = halves.iter().any(|name| half.eq_ignore_ascii_case(*name));
    let (clock, hours) = if of_twelve { (clock.trim_ascii_end(), 1..=12) } else { (text, 0..=23) };
    let mut parts = clock.split(|byte| *byte == b':');
    let (hour, minute, second) = (parts.next(), parts.next(), parts.next());
    let is_sixtieth = |part: &[u8]| number(part, 2..=2).is_some_and(|number| number < 60);
    let is_second = |second: &[u8]| match second.split_at_checked(2) {
        Some((whole, [])) => is_sixtieth(whole),
        Some((whole, [b'.', fraction @ ..])) => {
            is_sixtieth(whole) && !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    hour.and_then(|hour| number(hour, 1..=2)).is_some_and(|hour| hours.contains(&hour))
        && minute.is_some_and(is_sixtieth)
        && second.is_none_or(is_second)
        && parts.next().is_none()
}

fn day_month(value: &[u8]) -> Option<i32> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"];
    let (day, rest) = value.split_at(value.iter().position(u8::is_ascii_alphabetic)?);
    let (name, year) = rest.split_first_chunk::<3>()?;
    let (day, year) = match (day.strip_suffix(b"-"), year.strip_prefix(b"-")) {
        (Some(day), Some(year)) => (day, year),
        (None, None) => (day, year),
        _ => return None,
    };
    let month = (1..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(*month))?.0;
    from_civil(number(year, 4..=4)?, month, number(day, 1..=2)?)
}

/// The digits of eight bytes that are digits where the template has `0`, and the same as the template elsewhere.
#[inline]
fn digits(bytes: [u8; 8], template: [u8; 8]) -> Option<[u8; 8]> {
    let rest = u64::from_le_bytes(bytes) ^ u64::from_le_bytes(template);
    // What is to be added to a digit, or to an equal byte, without setting the highest bit of it.
    let room = template.map(|byte| if byte == b'0' { 0x7f - 9 } else { 0x7f });
    let over = (rest.wrapping_add(u64::from_le_bytes(room)) | rest) & 0x8080_8080_8080_8080;
    (over == 0).then(|| rest.to_le_bytes())
}

/// The day count of a day of the calendar; `None` when there is no such day. The counterpart of [`civil`].
fn from_civil(year: i32, month: i32, day: i32) -> Option<i32> {
    let (first, days) = (1..=12).contains(&month).then(|| days_of(year, month))?;
    (1..=days).contains(&day).then(|| first + day - 1)
}

/// The day count of the first of a month, and the days that the month has: the inverse of [`civil`], by the same authors
/// (figure 13).
fn days_of(year: i32, month: i32) -> (i32, i32) {
    let is_next_year = month <= 2;
    let year_from_march = (year + 400 * ERAS - i32::from(is_next_year)).cast_unsigned();
    let month_from_zero = (month + if is_next_year { 12 } else { 0 }).cast_unsigned();
    let century = year_from_march / 100;
    let of_years = (year_from_march.wrapping_mul(1_461) / 4).wrapping_sub(century).wrapping_add(century / 4);
    let of_months = (979 * month_from_zero - 2_919) / 32;
    let first = of_years.wrapping_add(of_months).cast_signed() - (719_468 + 146_097 * ERAS);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (first, days)
}

/// The day count of the first day of a day's month, and the days that the month has.
pub fn month_of(day: i32) -> (i32, u8) {
    let (year, month, _) = civil(day);
    let (first, days) = days_of(year, month);
    (first, u8::try_from(days).unwrap_or(0))
}

/// The day on which someone born on `birth` reaches an age in months, up to 200 years.
///
/// CDC's `CDSi` logic specification 4.6, CALCDT-1 to -6: years and months are added first, and a day that the month does
/// not have becomes the first of the next month: 2000-03-31 and 6 months is 2000-10-01; 2020-02-29 and 24 months is
/// 2022-03-01. Whole-number arithmetic, because a load does it for every client and every age.
pub fn add_months(birth: i32, months: u32) -> i32 {
    let (year, from_month, day) = civil(birth);
    let month0 = year * 12 + from_month - 1 + months.min(2_400).cast_signed();
    let (first, days) = days_of(month0.div_euclid(12), month0.rem_euclid(12) + 1);
    first + (day - 1).min(days)
}

/// The last day of birth of those who have reached an age in months by a day. A later birth never reaches it earlier.
pub fn born_by(day: i32, months: u32) -> i32 {
    // A month has 28 days at the least and 31 at the most.
    let months_signed = months.min(2_400).cast_signed();
    let (mut yes, mut no) = (day - 31 * months_signed - 3, day - 28 * months_signed + 1);
    while no - yes > 1 {
        let middle = yes + (no - yes) / 2;
        if add_months(middle, months) <= day {
            yes = middle;
        } else {
            no = middle;
        }
    }
    yes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> i32 {
        parse(text.as_bytes(), DateFormat::Iso).unwrap()
    }

    /// Each format with 2024-02-29, 1970-01-01 and 0001-01-01, and with what is none of its days.
    const FORMATS: [(DateFormat, [&str; 3], &[&str]); 9] = [
        (
            DateFormat::Iso,
            ["2024-02-29", "1970-01-01", "0001-01-01"],
            &[
                "2023-02-29",
                "2024-2-29",
                "2024-13-01",
                "2024/02/29",
                "20240229",
                "2024-02-30",
                "2024-02-00",
                " 024-02-29",
                "",
            ],
        ),
        (
            DateFormat::Us,
            ["02/29/2024", "01/01/1970", "01/01/0001"],
            &[
                "29/02/2024",
                "2/29/2024",
                "02-29-2024",
                "02/30/2024",
                "02/29/24",
                "2024-02-29",
                "13/01/2024",
                "00/01/2024",
                "",
            ],
        ),
        (
            DateFormat::Compact,
            ["20240229", "19700101", "00010101"],
            &["20230229", "2024022", "202402290", "2024-229", "20241301", "20240230", "20240200", "+0240229", ""],
        ),
        (
            DateFormat::UsShort,
            ["2/29/2024", "01/1/1970", "1/01/0001"],
            &["2/29/2023", "2/29/24", "2/29", "2/29/2024/", "13/1/2024", "0/1/2024", "002/9/2024", "2-29-2024", ""],
        ),
        (
            DateFormat::DayMonth,
            ["29-FEB-2024", "01jan1970", "1-Jan-0001"],
            &[
                "29-FEB-2023",
                "29-FEB-24",
                "29FEB-2024",
                "29-FEB2024",
                "29-02-2024",
                "FEB2024",
                "29-FEVR-2024",
                "-FEB-2024",
                "",
            ],
        ),
        (
            DateFormat::IsoTime,
            ["2024-02-29 00:00:00", "1970-01-01T14:30", "0001-01-01 11:59:59.999 PM"],
            &[
                "2024-02-29",
                "2023-02-29 00:00:00",
                "2024-02-29 ",
                "2024-02-29  00:00:00",
                "2024-02-29 24:00:00",
                "2024-02-29 23:60",
                "2024-02-29 23:59:60",
                "2024-02-29 00:00:00.",
                "2024-02-29T00:00:00Z",
                "2024-02-29 00:00:00-06:00",
                "2024-02-29 00",
                "2024-02-29 00:00:00:00",
                "2/29/2024 0:00",
                "",
            ],
        ),
        (
            DateFormat::UsTime,
            ["2/29/2024 0:00", "01/01/1970 12:00:00 AM", "1/1/0001 12:59pm"],
            &[
                "2/29/2024",
                "2/29/2023 0:00",
                "29/2/2024 0:00",
                "2/29/2024 0:0",
                "2/29/2024 000:00",
                "2/29/2024 0:00 AM",
                "2/29/2024 13:00 PM",
                "2/29/2024 AM",
                "2/29/24 0:00",
                "2024-02-29 0:00",
                "",
            ],
        ),
        (
            DateFormat::DayFirst,
            ["29/02/2024", "1/1/1970", "01/1/0001"],
            &[
                "29/02/2023",
                "02/29/2024",
                "31/04/2024",
                "32/01/2024",
                "0/1/2024",
                "29/2/24",
                "29-02-2024",
                "29.02.2024",
                "29/02/2024 0:00",
                "",
            ],
        ),
        (
            DateFormat::DayFirstTime,
            ["29/2/2024 0:00", "01/01/1970 23:59:59", "1/1/0001 12:59 pm"],
            &[
                "29/02/2024",
                "29/02/2023 0:00",
                "02/29/2024 0:00",
                "31/04/2024 0:00",
                "29/02/2024 24:00",
                "29/02/2024 0:60",
                "29/02/2024 0:00 AM",
                "29/02/2024 00:00Z",
                "29/02/2024 ",
                "29/2/24 0:00",
                "2024-02-29 0:00",
                "",
            ],
        ),
    ];

    #[test]
    fn only_days_of_the_calendar_in_their_format_are_read() {
        assert_eq!(FORMATS.map(|(format, ..)| format), DateFormat::ALL);
        for (format, good, bad) in FORMATS {
            assert_eq!(good.map(|text| parse(text.as_bytes(), format)), [Some(19_782), Some(0), Some(-719_162)]);
            for text in bad {
                assert_eq!(parse(text.as_bytes(), format), None, "{text}");
            }
        }
    }

    #[test]
    fn the_calendar_in_whole_numbers_is_the_calendar() {
        for day in (-800_000..800_000).step_by(7).chain(-800..800) {
            let civil = civil(day);
            let date = date(day);
            assert_eq!(civil, (date.year(), date.month().cast_signed(), date.day().cast_signed()), "{date}");
            assert_eq!(from_civil(civil.0, civil.1, civil.2), Some(day));
        }
    }

    #[test]
    fn a_month_is_over_on_the_day_that_adding_it_reaches() {
        for birth in ["2019-01-31", "2020-02-29", "2021-12-15", "2022-08-01"] {
            let birth = iso(birth);
            for months in 1..60 {
                let day = add_months(birth, months);
                assert_eq!(whole_months(birth, day), months.cast_signed());
                assert_eq!(whole_months(birth, day - 1), months.cast_signed() - 1);
            }
        }
    }

    #[test]
    fn months_are_added_as_cdsi_adds_them() {
        for (birth, months, reached) in [
            ("2000-03-31", 6, "2000-10-01"),
            ("2020-02-29", 24, "2022-03-01"),
            ("2020-02-29", 48, "2024-02-29"),
            ("2020-02-28", 24, "2022-02-28"),
            ("2021-12-31", 2, "2022-03-01"),
            ("2022-08-31", 1, "2022-10-01"),
            ("2019-01-15", 24, "2021-01-15"),
            ("2019-01-15", 0, "2019-01-15"),
        ] {
            assert_eq!(add_months(iso(birth), months), iso(reached), "{birth} + {months}");
        }
    }

    #[test]
    fn the_last_birth_that_has_reached_an_age_by_a_day() {
        for (day, months, birth) in [
            ("2024-12-31", 24, "2022-12-31"),
            ("2022-02-28", 24, "2020-02-28"),
            ("2022-03-01", 24, "2020-03-01"),
            ("2024-02-29", 24, "2022-02-28"),
            ("2024-06-30", 0, "2024-06-30"),
            ("2017-12-31", 108, "2008-12-31"),
        ] {
            assert_eq!(born_by(iso(day), months), iso(birth), "{day} {months}");
        }
        for day in iso("2019-12-01")..iso("2021-04-01") {
            assert_eq!(add_months(day, 0), day);
            for months in [1, 8, 24, 35, 204] {
                let birth = born_by(day, months);
                assert!(add_months(birth, months) <= day && add_months(birth + 1, months) > day);
            }
        }
    }
}
