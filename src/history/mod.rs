//! One client's doses → for each measure, the day on which the client met it.
//!
//! That day makes every later question a comparison: by which age, as of which date.

use crate::calendar::add_months;
use crate::measure::{Measures, Requirement};

/// One dose: the day, as a count from 1970-01-01, and the position of its code in the CVX codelist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dose {
    /// Day of vaccination.
    pub day: i32,
    /// Position of the CVX code.
    pub cvx: u16,
}

/// For each measure, the day on which a client born on `birth` met it, if ever. `doses` must be sorted by day.
///
/// A dose of a day counts once, whatever number of rows or codes tell of it; whether a dose was valid is not asked. The
/// age by which a measure is asked for does not matter here: later doses can only come later.
pub fn met(measures: &Measures, birth: i32, doses: &[Dose]) -> Vec<Option<i32>> {
    let mut met: Vec<Option<i32>> = Vec::with_capacity(measures.requirements().len());
    for requirement in measures.requirements() {
        let day = match requirement {
            Requirement::Doses { doses: needed, counts, min_age_months, shorter } => {
                let from = min_age_months.map_or(i32::MIN, |months| add_months(birth, months));
                let qualifying = doses.iter().filter(|dose| counts[usize::from(dose.cvx)] && dose.day >= from);
                day_of_series(qualifying, *needed, shorter.as_ref())
            }
            Requirement::AllOf(parts) => {
                parts.iter().map(|at| met[*at]).try_fold(i32::MIN, |latest, day| Some(latest.max(day?)))
            }
        };
        met.push(day);
    }
    met
}

/// The day on which the last needed distinct date comes.
fn day_of_series<'a>(
    doses: impl Iterator<Item = &'a Dose>,
    needed: u8,
    shorter: Option<&(u8, u8, Vec<bool>)>,
) -> Option<i32> {
    // Each distinct date, and whether every dose of that day is of the products of the shorter series.
    let mut dates: Vec<(i32, bool)> = Vec::with_capacity(usize::from(needed));
    for dose in doses {
        let of_product = shorter.is_some_and(|(_, _, products)| products[usize::from(dose.cvx)]);
        let count = dates.len();
        match dates.last_mut() {
            Some((day, only)) if *day == dose.day => *only &= of_product,
            _ if count == usize::from(needed) => break,
            _ => dates.push((dose.day, of_product)),
        }
    }
    let enough = match shorter {
        Some((doses, first, _)) if dates.iter().take(usize::from(*first)).all(|(_, only)| *only) => *doses,
        _ => needed,
    };
    dates.get(usize::from(enough) - 1).map(|(day, _)| *day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{self, DateFormat};
    use crate::dictionary::{Dictionary, names};

    fn day(text: &str) -> i32 {
        calendar::parse(text.as_bytes(), DateFormat::Iso).unwrap()
    }

    /// The measures met, with their days, by a client with doses written `date code`.
    fn met_by(birth: &str, doses: &[&str], measure: &str) -> Option<String> {
        let dictionary = Dictionary::built_in().unwrap();
        let measures = Measures::built_in(&dictionary).unwrap();
        let cvx = dictionary.field(names::CVX).and_then(|field| dictionary.codelist(field)).unwrap();
        let mut doses: Vec<_> = doses
            .iter()
            .map(|dose| dose.split_once(' ').unwrap())
            .map(|(date, code)| Dose { day: day(date), cvx: cvx.find(code.as_bytes(), false).unwrap() })
            .collect();
        doses.sort_unstable();
        met(&measures, day(birth), &doses)[measures.position(measure).unwrap()]
            .map(|day| calendar::date(day).to_string())
    }

    #[test]
    fn the_day_of_the_last_needed_distinct_date() {
        for (measure, doses, expected) in [
            ("nis.mmr1", &[][..], None),
            ("nis.mmr1", &["2021-02-01 03"], Some("2021-02-01")),
            ("nis.mmr1", &["2021-02-01 94", "2021-01-15 03"], Some("2021-01-15")),
            ("nis.mmr1", &["2021-02-01 05"], None),
            ("nis.dtap4", &["2020-03-01 20", "2020-05-01 110", "2020-07-01 28", "2021-04-01 01"], Some("2021-04-01")),
            ("nis.dtap4", &["2020-03-01 20", "2020-05-01 110", "2020-07-01 115", "2021-04-01 01"], None),
            // Two rows of one day are one dose.
            ("nis.polio3", &["2020-03-01 10", "2020-03-01 110", "2020-05-01 10"], None),
            ("nis.polio3", &["2020-03-01 10", "2020-05-01 178", "2020-05-02 10"], Some("2020-05-02")),
            ("nis.hepb3", &["2020-01-01 08", "2020-03-01 110", "2020-07-01 146"], Some("2020-07-01")),
            // Varicella counts from the first birthday on: the day before, on.
            ("nis.var1", &["2020-12-31 21"], None),
            ("nis.var1", &["2021-01-01 21"], Some("2021-01-01")),
            ("nis.var1", &["2020-12-31 21", "2021-03-01 94"], Some("2021-03-01")),
        ] {
            assert_eq!(met_by("2020-01-01", doses, measure).as_deref(), expected, "{measure} {doses:?}");
        }
    }

    #[test]
    fn hib_needs_three_or_four_dates_by_product() {
        for (doses, expected) in [
            (&["2020-03-01 49", "2020-05-01 49", "2021-01-02 49"][..], Some("2021-01-02")),
            (&["2020-03-01 49", "2020-05-01 51", "2021-01-02 48"], Some("2021-01-02")),
            (&["2020-03-01 49", "2020-05-01 48", "2021-01-02 49"], None),
            (&["2020-03-01 49", "2020-05-01 48", "2021-01-02 49", "2021-02-01 49"], Some("2021-02-01")),
            (&["2020-03-01 48", "2020-05-01 48", "2020-07-01 48", "2021-01-02 48"], Some("2021-01-02")),
            (&["2020-03-01 48", "2020-05-01 48", "2020-07-01 48"], None),
            // Another product on one of the first two days spoils the shorter series.
            (&["2020-03-01 49", "2020-03-01 48", "2020-05-01 49", "2021-01-02 49"], None),
            (&["2020-03-01 49", "2020-05-01 49"], None),
        ] {
            assert_eq!(met_by("2020-01-01", doses, "nis.hib_full").as_deref(), expected, "{doses:?}");
        }
    }

    #[test]
    fn a_combined_series_is_met_when_its_last_part_is() {
        let full = [
            "2020-03-01 146",
            "2020-05-01 146",
            "2020-07-01 146",
            "2020-03-01 215",
            "2020-05-01 215",
            "2020-07-01 215",
            "2021-01-05 94",
            "2021-02-05 215",
            "2021-03-05 48",
            "2021-04-05 20",
        ];
        assert_eq!(met_by("2020-01-01", &full, "nis.4313314").as_deref(), Some("2021-04-05"));
        for left_out in 0..full.len() {
            let doses: Vec<_> =
                full.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, dose)| *dose).collect();
            assert_eq!(met_by("2020-01-01", &doses, "nis.4313314"), None, "without {}", full[left_out]);
        }
    }
}
