//! The reporting period: the month that a delivery describes.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The month that a delivery describes (not the day on which it arrived), written `YYYY-MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReportingPeriod {
    /// The first day of the month.
    first: NaiveDate,
}

impl ReportingPeriod {
    /// The period of a calendar year and month (1 to 12); years 2000 to 2199.
    pub fn new(year: i32, month: u32) -> Option<Self> {
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        (2000..2200).contains(&year).then_some(Self { first })
    }

    /// The month in which a day lies; the first or the last possible one for a day outside 2000 to 2199.
    pub fn of(day: NaiveDate) -> Self {
        let year = day.year().clamp(2000, 2199);
        Self { first: NaiveDate::from_ymd_opt(year, day.month(), 1).unwrap_or(day) }
    }

    /// The calendar year.
    pub fn year(self) -> i32 {
        self.first.year()
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u32 {
        self.first.month()
    }

    /// The first day of the month.
    pub fn first_day(self) -> NaiveDate {
        self.first
    }

    /// The last day of the month.
    pub fn last_day(self) -> NaiveDate {
        self.next().first - Days::new(1)
    }

    /// The month after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { first: self.first + Months::new(1) }
    }

    /// The month before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self { first: self.first - Months::new(1) }
    }

    /// The day by which the file of this period is due: the second Monday of the following month (DSHS webinar of
    /// July 2024 on data sharing with local health departments).
    pub fn due_date(self) -> NaiveDate {
        let next = self.next();
        NaiveDate::from_weekday_of_month_opt(next.year(), next.month(), Weekday::Mon, 2).unwrap_or(next.first)
    }
}

impl fmt::Display for ReportingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month())
    }
}

impl FromStr for ReportingPeriod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = match text.split_once('-') {
            Some((year, month)) if year.len() == 4 && month.len() == 2 && !text.contains('+') => {
                year.parse().ok().zip(month.parse().ok()).and_then(|(year, month)| Self::new(year, month))
            }
            _ => None,
        };
        parsed.ok_or_else(|| {
            Error::usage("a reporting period is written YYYY-MM, for example 2024-12, from 2000-01 to 2199-12")
        })
    }
}

impl TryFrom<String> for ReportingPeriod {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ReportingPeriod> for String {
    fn from(period: ReportingPeriod) -> Self {
        period.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_month_is_a_period() {
        for good in ["2018-01", "2024-12", "2026-11"] {
            assert_eq!(good.parse::<ReportingPeriod>().unwrap().to_string(), good);
        }
        for bad in ["", "2024", "2024-13", "2024-00", "24-12", "2024-1", "2024-12-01", "1999-12", "2024-+1"] {
            assert!(bad.parse::<ReportingPeriod>().is_err(), "{bad}");
        }
    }

    #[test]
    fn last_day_and_due_date() {
        for (period, last, due) in [
            ("2024-02", "2024-02-29", "2024-03-11"),
            ("2024-12", "2024-12-31", "2025-01-13"),
            ("2026-11", "2026-11-30", "2026-12-14"),
        ] {
            let period: ReportingPeriod = period.parse().unwrap();
            assert_eq!(period.last_day().to_string(), last);
            assert_eq!(period.due_date().to_string(), due);
        }
    }
}
