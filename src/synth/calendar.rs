//! Days as numbers, and the days of the file as ready-made text.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Deserializer};

/// A calendar day, counted from 1970-01-01.
pub(super) type Day = i32;

/// The day that chrono numbers from the first day of the year 1.
const EPOCH: i32 = 719_163;

/// The number of a calendar day.
pub(super) fn day_of(date: NaiveDate) -> Day {
    date.num_days_from_ce() - EPOCH
}

/// The calendar day of a number; the epoch itself for a number outside chrono's quarter of a million years.
pub(super) fn date_of(day: Day) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(day.saturating_add(EPOCH)).unwrap_or_default()
}

/// A day as `YYYY-MM-DD`.
pub(super) fn text_of(day: Day) -> String {
    date_of(day).to_string()
}

/// The Monday after a Sunday always, after a Saturday if `no_saturday`; any other day as it is.
pub(super) fn workday(day: Day, no_saturday: bool) -> Day {
    // 1970-01-01 was a Thursday.
    match (day + 3).rem_euclid(7) {
        6 => day + 1,
        5 if no_saturday => day + 2,
        _ => day,
    }
}

/// Reads a TOML date.
pub(super) fn toml_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
    let date = toml::value::Datetime::deserialize(deserializer)?.date;
    date.and_then(|date| NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into()))
        .map(day_of)
        .ok_or_else(|| serde::de::Error::custom("a calendar day is expected"))
}

/// Reads an optional TOML date.
pub(super) fn optional_toml_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Day>, D::Error> {
    toml_day(deserializer).map(Some)
}

/// What whole months are counted from: months since year 0 and the day of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MonthDay {
    months: i32,
    day: u32,
}

impl MonthDay {
    /// Of a calendar day.
    pub(super) fn of(day: Day) -> Self {
        let date = date_of(day);
        Self { months: date.year() * 12 + date.month0().cast_signed(), day: date.day() }
    }

    /// Completed months from `self` to `later`.
    pub(super) fn whole_months_to(self, later: Self) -> i32 {
        later.months - self.months - i32::from(later.day < self.day)
    }
}

/// Every day that a vaccination can have, with its text.
pub(super) struct Calendar {
    first: Day,
    days: Vec<([u8; 10], MonthDay)>,
}

impl Calendar {
    /// The days `first..=last`.
    pub(super) fn new(first: Day, last: Day) -> Self {
        let mut text = String::new();
        let days = (first..=last)
            .map(|day| {
                text.clear();
                let _ = write!(text, "{}", date_of(day));
                let mut bytes = *b"0000-00-00";
                // A year of four digits always gives ten bytes; periods end in 2199.
                bytes.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
                (bytes, MonthDay::of(day))
            })
            .collect();
        Self { first, days }
    }

    /// The text of a day and what its age counts to; the first day for a day that is not in the calendar.
    pub(super) fn get(&self, day: Day) -> &([u8; 10], MonthDay) {
        let index = usize::try_from(day - self.first).unwrap_or(0);
        &self.days[index.min(self.days.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        day_of(text.parse().unwrap())
    }

    #[test]
    fn days_round_trip() {
        for text in ["1890-01-01", "1970-01-01", "2020-02-29", "2199-12-31"] {
            assert_eq!(text_of(day(text)), text);
        }
        let calendar = Calendar::new(day("2018-01-01"), day("2024-12-31"));
        assert_eq!(&calendar.get(day("2020-02-29")).0, b"2020-02-29");
    }

    #[test]
    fn months_are_completed_months() {
        for (birth, later, months) in
            [("2018-01-31", "2018-02-28", 0), ("2018-01-31", "2018-03-31", 2), ("2020-02-29", "2021-03-01", 12)]
        {
            assert_eq!(MonthDay::of(day(birth)).whole_months_to(MonthDay::of(day(later))), months);
        }
    }

    #[test]
    fn clinics_are_closed_on_sundays() {
        assert_eq!(workday(day("2024-12-01"), false), day("2024-12-02"));
        assert_eq!(workday(day("2024-11-30"), false), day("2024-11-30"));
        assert_eq!(workday(day("2024-11-30"), true), day("2024-12-02"));
    }
}
