//! The days that the label of a year, quarter, month or season stands for, and which of them a release covers.

use chrono::{Months, NaiveDate};

use crate::calendar;

/// The built-in columns of such labels.
const BIRTH_YEAR: &str = "birth_year";
const BIRTH_QUARTER: &str = "birth_quarter";
const VACCINATION_YEAR: &str = "vaccination_year";
const VACCINATION_MONTH: &str = "vaccination_month";
const SEASON: &str = "season";

/// The days that a release, or a row of it, covers.
#[derive(Clone, Copy, Debug)]
pub struct Covered {
    /// The first and the last day of birth of a cohort; none where clients of all ages are counted.
    pub born: Option<(NaiveDate, NaiveDate)>,
    /// The last day that counts.
    pub as_of: NaiveDate,
}

impl Covered {
    /// Where what is covered begins or ends within the period that a label of a column names: `to 2023-06-30`. None where the
    /// period is whole, or the column has none.
    pub fn cut(self, column: &str, label: &str) -> Option<String> {
        let (first, last) = days(column, label)?;
        let (from, to) = match self.born.filter(|_| [BIRTH_YEAR, BIRTH_QUARTER].contains(&column)) {
            Some((from, to)) => (Some(from), to),
            // When the doses of a file begin is not in a description.
            None => (None, self.as_of),
        };
        let from = from.filter(|from| *from > first).map(|from| format!("from {from}"));
        let to = (to < last).then(|| format!("to {to}"));
        let cut: Vec<String> = from.into_iter().chain(to).collect();
        (!cut.is_empty()).then(|| cut.join(" "))
    }

    /// A label of a column with what is cut off its period: `2023 (to 06-30)`.
    pub fn label(self, column: &str, label: &str) -> String {
        let year = label.split('-').next().unwrap_or_default();
        match self.cut(column, label) {
            Some(cut) => format!("{label} ({})", cut.replace(&format!("{year}-"), "")),
            None => label.to_owned(),
        }
    }
}

/// The first and the last day of the period that a label of a column names.
fn days(column: &str, label: &str) -> Option<(NaiveDate, NaiveDate)> {
    let (year, rest) = label.split_once('-').unwrap_or((label, ""));
    let (month, months) = match column {
        BIRTH_YEAR | VACCINATION_YEAR if rest.is_empty() => (1, 12),
        BIRTH_QUARTER => (rest.strip_prefix('Q')?.parse::<u32>().ok()?.checked_mul(3)?.checked_sub(2)?, 3),
        VACCINATION_MONTH => (rest.parse().ok()?, 1),
        SEASON => (calendar::SEASON_BEGINS, 12),
        _ => return None,
    };
    let first = NaiveDate::from_ymd_opt(year.parse().ok()?, month, 1)?;
    Some((first, first.checked_add_months(Months::new(months))?.pred_opt()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_of_which_a_part_is_covered_says_so() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let cohort = Covered { born: Some((day("2018-02-01"), day("2020-06-30"))), as_of: day("2024-12-31") };
        let everybody = Covered { born: None, as_of: day("2024-11-30") };
        for (covered, column, label, label_is) in [
            (cohort, BIRTH_YEAR, "2018", "2018 (from 02-01)"),
            (cohort, BIRTH_YEAR, "2019", "2019"),
            (cohort, BIRTH_YEAR, "2020", "2020 (to 06-30)"),
            (cohort, BIRTH_QUARTER, "2018-Q1", "2018-Q1 (from 02-01)"),
            (cohort, BIRTH_QUARTER, "2018-Q2", "2018-Q2"),
            (cohort, BIRTH_QUARTER, "2020-Q2", "2020-Q2"),
            (cohort, BIRTH_QUARTER, "2020-Q5", "2020-Q5"),
            (cohort, VACCINATION_YEAR, "2017", "2017"),
            (cohort, VACCINATION_YEAR, "2024", "2024"),
            (cohort, VACCINATION_MONTH, "2024-12", "2024-12"),
            (cohort, SEASON, "2023-24", "2023-24"),
            (cohort, SEASON, "2024-25", "2024-25 (to 12-31)"),
            (cohort, "county", "2020", "2020"),
            (cohort, BIRTH_YEAR, "Unknown", "Unknown"),
            // Doses are of clients of all ages.
            (everybody, BIRTH_YEAR, "1950", "1950"),
            (everybody, BIRTH_YEAR, "2024", "2024 (to 11-30)"),
            (everybody, VACCINATION_YEAR, "2024", "2024 (to 11-30)"),
            (everybody, SEASON, "2023-24", "2023-24"),
        ] {
            assert_eq!(covered.label(column, label), label_is, "{column}");
        }
        let short = Covered { born: Some((day("2020-02-01"), day("2020-06-30"))), ..cohort };
        assert_eq!(short.cut(BIRTH_YEAR, "2020").as_deref(), Some("from 2020-02-01 to 2020-06-30"));
        assert_eq!(short.label(BIRTH_YEAR, "2020"), "2020 (from 02-01 to 06-30)");
    }
}
