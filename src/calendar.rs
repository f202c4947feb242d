//! Days as 32-bit counts from 1970-01-01 (Arrow's Date32), read from text and moved by months and years.

use chrono::{Datelike, Days, NaiveDate};

use serde::{Deserialize, Serialize};

/// A way of writing a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateFormat {
    /// `2024-12-31`
    Iso,
    /// `12/31/2024`
    Us,
    /// `20241231`
    Compact,
}

impl DateFormat {
    /// The last day of 2024 in this format.
    pub fn example(self) -> &'static str {
        match self {
            Self::Iso => "2024-12-31",
            Self::Us => "12/31/2024",
            Self::Compact => "20241231",
        }
    }
}

/// Days from 0001-01-01 (chrono's day 1) to 1970-01-01.
const EPOCH: i32 = 719_163;

/// The day count of a date.
pub fn day(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH
}

/// The date of a day count; the far end of the calendar where there is none.
pub fn date(day: i32) -> NaiveDate {
    day.checked_add(EPOCH).and_then(NaiveDate::from_num_days_from_ce_opt).unwrap_or(NaiveDate::MAX)
}

/// Year, month (from 1) and day of month of a day count.
///
/// Howard Hinnant's `civil_from_days`: whole-number arithmetic on eras of 400 years that begin in March, several times
/// faster than a calendar type, and the check does it twice a row.
pub fn civil(day: i32) -> (i32, i32, i32) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i32::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
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
pub fn parse(value: &[u8], format: DateFormat) -> Option<i32> {
    let (year, month, day_of_month) = match (format, value) {
        (DateFormat::Iso, [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2])
        | (DateFormat::Us, [m1, m2, b'/', d1, d2, b'/', y1, y2, y3, y4])
        | (DateFormat::Compact, [y1, y2, y3, y4, m1, m2, d1, d2]) => {
            (number([*y1, *y2, *y3, *y4])?, number([*m1, *m2])?, number([*d1, *d2])?)
        }
        _ => return None,
    };
    from_civil(i32::try_from(year).ok()?, i32::try_from(month).ok()?, i32::try_from(day_of_month).ok()?)
}

/// The day count of a day of the calendar; `None` when there is no such day. The counterpart of [`civil`].
fn from_civil(year: i32, month: i32, day: i32) -> Option<i32> {
    const DAYS: [i32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = DAYS.get(usize::try_from(month - 1).ok()?)? + i32::from(month == 2 && is_leap);
    if !(1..=days).contains(&day) {
        return None;
    }
    // Years that begin in March, in eras of 400.
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn number<const N: usize>(digits: [u8; N]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

/// The day on which someone born on `birth` reaches an age in months.
///
/// CDC's `CDSi` logic specification 4.6, CALCDT-1 to -6: years and months are added first, and a day that the month does
/// not have becomes the first of the next month: 2000-03-31 and 6 months is 2000-10-01; 2020-02-29 and 24 months is
/// 2022-03-01.
pub fn add_months(birth: i32, months: u32) -> i32 {
    let from = date(birth);
    let month0 = i64::from(from.year()) * 12 + i64::from(from.month0()) + i64::from(months);
    let year = i32::try_from(month0.div_euclid(12)).unwrap_or(i32::MAX);
    let month = u32::try_from(month0.rem_euclid(12)).unwrap_or(0) + 1;
    NaiveDate::from_ymd_opt(year, month, from.day())
        .or_else(|| {
            // Only the 29th to 31st can be missing, so the 28th is there and the next month begins at most four days on.
            let last_common = NaiveDate::from_ymd_opt(year, month, 28)?;
            (1..=4).map(|days| last_common + Days::new(days)).find(|next| next.day() == 1)
        })
        .map_or(i32::MAX, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> i32 {
        parse(text.as_bytes(), DateFormat::Iso).unwrap()
    }

    #[test]
    fn only_days_of_the_calendar_in_their_format_are_read() {
        for (format, good, bad) in [
            (
                DateFormat::Iso,
                ["2024-02-29", "1970-01-01", "0001-01-01"],
                [
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
                [
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
                ["20230229", "2024022", "202402290", "2024-229", "20241301", "20240230", "20240200", "+0240229", ""],
            ),
        ] {
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
}
