//! Ages and intervals as CDC's `CDSi` writes them: `24 months`, `4 years - 4 days`, `19 months + 4 weeks`.

use serde::{Deserialize, Serialize};

use crate::calendar::add_months;
use crate::error::{Error, Result};

/// More months, or weeks, or days, than an age has: larger numbers are slips of the keyboard.
pub(super) const LONGEST: u32 = 2_000;

/// A time after a day: whole months are added first, then weeks, then days are added or taken off (`CDSi`, CALCDT-1 to -6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age {
    months: u32,
    weeks: i32,
    days: i32,
}

impl Age {
    /// Whole months.
    pub fn of_months(months: u32) -> Self {
        Self { months, weeks: 0, days: 0 }
    }

    /// The whole months in it; they are added before [`Age::days`].
    pub fn months(self) -> u32 {
        self.months
    }

    /// The days in it besides its months, weeks as seven days each; negative when days are taken off.
    pub fn days(self) -> i32 {
        7 * self.weeks + self.days
    }

    /// The day on which so much time has gone by since a day.
    pub fn after(self, day: i32) -> i32 {
        let month = if self.months == 0 { day } else { add_months(day, self.months) };
        month + self.days()
    }

    fn parse(text: &str) -> Option<Self> {
        let (sum, less) = match text.split_once(" - ") {
            Some((sum, less)) => (sum, Some(less)),
            None => (text, None),
        };
        let counted = |part: &str| {
            let (number, unit) = part.split_once(' ')?;
            let number: u32 = number.parse().ok().filter(|number| *number <= LONGEST)?;
            Some((number, unit.trim_end_matches('s').to_owned()))
        };
        let mut age = Self::of_months(0);
        for part in sum.split(" + ") {
            let (number, unit) = counted(part)?;
            match unit.as_str() {
                "year" => age.months += 12 * number,
                "month" => age.months += number,
                "week" => age.weeks += number.cast_signed(),
                "day" => age.days += number.cast_signed(),
                _ => return None,
            }
        }
        if let Some(less) = less {
            let (number, unit) = counted(less)?;
            if unit != "day" {
                return None;
            }
            age.days -= number.cast_signed();
        }
        Some(age)
    }
}

impl TryFrom<String> for Age {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text).ok_or_else(|| {
            Error::usage("an age is written like `24 months`, `4 years - 4 days` or `19 months + 4 weeks`")
        })
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.to_string()
    }
}

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |number: u32, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
        // Small children are counted in months, as every schedule does.
        let months = match self.months {
            years if years >= 48 && years % 12 == 0 => counted(years / 12, "year"),
            months => counted(months, "month"),
        };
        let parts = [
            (self.months > 0).then_some(months),
            (self.weeks > 0).then(|| counted(self.weeks.unsigned_abs(), "week")),
            (self.days > 0 || (self.months, self.weeks, self.days) == (0, 0, 0))
                .then(|| counted(self.days.unsigned_abs(), "day")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(" + "))?;
        if self.days < 0 { write!(f, " - {}", counted(self.days.unsigned_abs(), "day")) } else { Ok(()) }
    }
}

impl schemars::JsonSchema for Age {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Age".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An age or an interval as CDSi writes it: `24 months`, `4 years - 4 days`, `19 months + 4 weeks`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{self, DateFormat};

    #[test]
    fn ages_are_read_printed_and_added_as_cdsi_does() {
        let day = |text: &str| calendar::parse(text.as_bytes(), DateFormat::Iso).unwrap();
        for (text, printed, from, reached) in [
            ("24 months", "24 months", "2020-02-29", "2022-03-01"),
            ("3 days", "3 days", "2021-12-30", "2022-01-02"),
            ("1 day", "1 day", "2021-12-30", "2021-12-31"),
            ("8 weeks - 4 days", "8 weeks - 4 days", "2021-01-01", "2021-02-22"),
            ("6 weeks", "6 weeks", "2021-01-01", "2021-02-12"),
            ("12 months - 4 days", "12 months - 4 days", "2020-02-29", "2021-02-25"),
            ("6 months - 4 days", "6 months - 4 days", "2000-01-31", "2000-07-27"),
            ("48 months - 4 days", "4 years - 4 days", "2020-01-03", "2023-12-30"),
            ("15 years", "15 years", "2020-02-29", "2035-03-01"),
            ("0 days", "0 days", "2020-02-29", "2020-02-29"),
            ("1 month", "1 month", "2021-01-31", "2021-03-01"),
            ("19 months + 4 weeks", "19 months + 4 weeks", "2021-01-31", "2022-09-28"),
            ("8 months + 1 day", "8 months + 1 day", "2020-06-30", "2021-03-02"),
            ("1 year + 6 months + 2 weeks - 4 days", "18 months + 2 weeks - 4 days", "2020-01-01", "2021-07-11"),
        ] {
            let age = Age::parse(text).unwrap();
            assert_eq!((age.to_string().as_str(), age.after(day(from))), (printed, day(reached)), "{text}");
            assert_eq!(Age::parse(printed), Some(age), "what is printed can be read");
        }
        let age = Age::parse("19 months + 4 weeks - 4 days").unwrap();
        assert_eq!((age.months(), age.days()), (19, 24));
        for text in [
            "",
            "24",
            "24 moons",
            "-1 days",
            "4 days - 1 month",
            "4 days - 1 week",
            "1 month - 1 day - 1 day",
            "1 month + ",
            "1 month + 1 moon",
            "1 month - 1 day + 1 week",
            "2001 days",
        ] {
            assert_eq!(Age::parse(text), None, "{text}");
        }
    }
}
