//! Measures of a season: what was done since the first of July, whatever the age.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{self, DateFormat};
use crate::error::{Error, Result};

/// A day of every year, written `MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayOfYear {
    month: u32,
    day: u32,
}

impl DayOfYear {
    /// The day in a year.
    fn of(self, year: i32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, self.month, self.day).unwrap_or(NaiveDate::MAX)
    }
}

impl TryFrom<String> for DayOfYear {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        // Of a year without a 29th of February.
        let day = calendar::parse(format!("2023-{text}").as_bytes(), DateFormat::Iso).map(calendar::date);
        let day = day.ok_or_else(|| Error::usage("a day of every year is written like `12-31`"))?;
        Ok(Self { month: day.month(), day: day.day() })
    }
}

impl From<DayOfYear> for String {
    fn from(day: DayOfYear) -> Self {
        format!("{:02}-{:02}", day.month, day.day)
    }
}

impl std::fmt::Display for DayOfYear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.of(2023).format("%B %-d"))
    }
}

impl JsonSchema for DayOfYear {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DayOfYear".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{2}-[0-9]{2}$",
            "description": "A day of every year, month and day: `12-31`."
        })
    }
}

/// Who is asked about in a season. Doses count from July 1 to June 30, up to the as-of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// Only clients of so many months or more are in the cohort.
    pub from_age_months: u32,
    /// The day of the season on which clients are of an age; the as-of date where that is earlier.
    pub aged_on: DayOfYear,
}

impl Season {
    /// The day on which clients are of an age, in the season of an as-of date.
    pub(super) fn aged_on(self, as_of: NaiveDate) -> NaiveDate {
        let begins = year_of(as_of);
        let year = if self.aged_on.month < calendar::SEASON_BEGINS { begins + 1 } else { begins };
        self.aged_on.of(year).min(as_of)
    }
}

/// The year in which the season of a day begins.
pub fn year_of(day: NaiveDate) -> i32 {
    if day.month() < calendar::SEASON_BEGINS { day.year() - 1 } else { day.year() }
}

/// The name of the season that begins in a year: `2024-25`.
pub fn name_of(year: i32) -> String {
    format!("{year}-{:02}", (year + 1).rem_euclid(100))
}

/// The first and the last day, as day counts, of the season that begins in a year.
pub fn days_of(year: i32) -> RangeInclusive<i32> {
    let begins =
        |year| calendar::day(NaiveDate::from_ymd_opt(year, calendar::SEASON_BEGINS, 1).unwrap_or(NaiveDate::MAX));
    begins(year)..=begins(year + 1) - 1
}

/// The seasons of a file, by the years in which they begin: the first whose doses are all among those of `first_year` or
/// later, to that of the last day of the file. None of a file that ends before.
pub fn of_file(first_year: i32, last_day: NaiveDate) -> RangeInclusive<i32> {
    first_year..=year_of(last_day)
}
