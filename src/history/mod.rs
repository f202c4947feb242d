//! One client's doses → for each series, the day on which the client completed it.
//!
//! That day makes every later question a comparison: by which age, as of which date.

use crate::error::{Error, Result};
use crate::measure::{Age, Given, Measures, Rule};

/// One dose: the day, as a count from 1970-01-01, and the position of its code in the CVX codelist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dose {
    /// Day of vaccination.
    pub day: i32,
    /// Position of the CVX code.
    pub cvx: u16,
}

/// The ways of all series, made ready once, with room for one client that is used again for the next.
///
/// Doses are sorted into the code sets of the measures once; each way then looks at the few distinct days of its set.
#[derive(Clone, Debug)]
pub struct Evaluator {
    /// For every CVX code, the code sets that it is in, one bit each.
    sets_of: Vec<u64>,
    /// For every series, its ways.
    series: Vec<Vec<Prepared>>,
    /// The ages of all windows, each once.
    ages: Vec<Age>,
    /// The days on which this client reaches them.
    reached: Vec<i32>,
    /// For every code set, the distinct days on which this client had a code of it.
    days: Vec<Vec<i32>>,
    /// The days that count for one way with two windows.
    merged: Vec<i32>,
}

/// Where the ages of a rule are in [`Evaluator::ages`].
#[derive(Clone, Debug)]
struct Prepared {
    /// Bits of the code sets of which at least one must have days.
    sets: u64,
    doses: usize,
    given: Window,
    also: Option<Window>,
    without: Option<(usize, Window)>,
    first_from: Option<usize>,
    first_before: Option<usize>,
    last_from: Option<usize>,
    apart: Option<Age>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    set: usize,
    from: Option<usize>,
    through: Option<usize>,
}

impl Evaluator {
    /// Prepares the series of all measures.
    pub fn new(measures: &Measures) -> Result<Self> {
        let sets = measures.code_sets();
        if sets.len() > 64 {
            return Err(Error::usage("the measures have more than 64 different sets of CVX codes"));
        }
        let codes = sets.first().map_or(0, Vec::len);
        let bits = |cvx: usize| sets.iter().enumerate().fold(0, |bits, (at, set)| bits | u64::from(set[cvx]) << at);
        let mut ages: Vec<Age> = Vec::new();
        let series =
            measures.series().map(|(_, rules)| rules.iter().map(|rule| Prepared::of(rule, &mut ages)).collect());
        let series = series.collect();
        Ok(Self {
            sets_of: (0..codes).map(bits).collect(),
            series,
            reached: vec![0; ages.len()],
            ages,
            days: vec![Vec::new(); sets.len()],
            merged: Vec::new(),
        })
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// For each series, the day on which a client born on `birth` completed it, if ever; in the order of
    /// [`Measures::series`]. `doses` must be sorted by day.
    ///
    /// A dose of a day counts once, whatever number of rows or codes tell of it; whether a dose was valid is not asked
    /// beyond what a series says. The age by which a measure is asked for does not matter here: later doses can only
    /// come later.
    pub fn met<'a>(&'a mut self, birth: i32, doses: &[Dose]) -> impl Iterator<Item = Option<i32>> + use<'a> {
        self.days.iter_mut().for_each(Vec::clear);
        let mut seen = 0;
        for dose in doses {
            let mut sets = self.sets_of[usize::from(dose.cvx)];
            seen |= sets;
            while sets != 0 {
                let days = &mut self.days[sets.trailing_zeros() as usize];
                if days.last() != Some(&dose.day) {
                    days.push(dose.day);
                }
                sets &= sets - 1;
            }
        }
        if seen != 0 {
            self.reached.iter_mut().zip(&self.ages).for_each(|(day, age)| *day = age.after(birth));
        }
        let Self { series, reached, days, merged, .. } = self;
        series.iter().map(move |ways| {
            let ways = ways.iter().filter(|way| way.sets & seen != 0);
            ways.filter_map(|way| way.day(days, reached, merged)).min()
        })
    }
}

impl Prepared {
    fn of(rule: &Rule, ages: &mut Vec<Age>) -> Self {
        let mut place = |age: Option<Age>| {
            age.map(|age| {
                ages.iter().position(|known| *known == age).unwrap_or_else(|| {
                    ages.push(age);
                    ages.len() - 1
                })
            })
        };
        let mut window =
            |given: Given| Window { set: given.set, from: place(given.from), through: place(given.through) };
        Self {
            sets: 1 << rule.given.set | rule.also.map_or(0, |also| 1 << also.set),
            doses: rule.doses,
            given: window(rule.given),
            also: rule.also.map(&mut window),
            without: rule.without.map(|(first, given)| (first, window(given))),
            first_from: place(rule.first_from),
            first_before: place(rule.first_before),
            last_from: place(rule.last_from),
            apart: rule.apart,
        }
    }

    /// The day on which this way is complete.
    fn day(&self, days: &[Vec<i32>], reached: &[i32], merged: &mut Vec<i32>) -> Option<i32> {
        // Most ways fail here, before any date is compared.
        if self.also.is_none() && days[self.given.set].len() < self.doses {
            return None;
        }
        let mut counted = self.given.cut(days, reached);
        if self.also.is_some() || self.apart.is_some() {
            merged.clear();
            merged.extend_from_slice(counted);
            if let Some(also) = self.also {
                merged.extend_from_slice(also.cut(days, reached));
                merged.sort_unstable();
                merged.dedup();
            }
            if let Some(apart) = self.apart {
                let mut next = i32::MIN;
                merged.retain(|day| {
                    let counts = *day >= next;
                    if counts {
                        next = apart.after(*day);
                    }
                    counts
                });
            }
            counted = merged;
        }
        let first = counted.first()?;
        if self.first_from.is_some_and(|age| *first < reached[age])
            || self.first_before.is_some_and(|age| *first >= reached[age])
        {
            return None;
        }
        if let Some((first, others)) = self.without {
            let last_of_first = counted.get(first - 1)?;
            if others.cut(days, reached).first().is_some_and(|other| other <= last_of_first) {
                return None;
            }
        }
        let floor = self.last_from.map_or(i32::MIN, |age| reached[age]);
        counted.get(self.doses - 1..)?.iter().find(|day| **day >= floor).copied()
    }
}

impl Window {
    /// The days of the set that lie in the window.
    fn cut<'a>(&self, days: &'a [Vec<i32>], reached: &[i32]) -> &'a [i32] {
        let days = &days[self.set];
        let begin = self.from.map_or(0, |age| days.partition_point(|day| *day < reached[age]));
        let end = self.through.map_or(days.len(), |age| days.partition_point(|day| *day <= reached[age]));
        &days[begin..end.max(begin)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{self, DateFormat};
    use crate::dictionary::{Dictionary, names};

    fn day(text: &str) -> i32 {
        calendar::parse(text.as_bytes(), DateFormat::Iso).unwrap()
    }

    /// The day on which a client with doses written `date code` completed the series of a measure.
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
        let column = measures.measures()[measures.position(measure).unwrap()].column();
        let at = measures.series().position(|(name, _)| name == column).unwrap();
        let mut evaluator = Evaluator::new(&measures).unwrap();
        // Another client before this one leaves nothing behind.
        let many: Vec<_> = (0u16..280).map(|cvx| Dose { day: 19_000 + i32::from(cvx), cvx }).collect();
        evaluator.met(18_900, &many).for_each(drop);
        let met = evaluator.met(day(birth), &doses).nth(at).unwrap();
        met.map(|day| calendar::date(day).to_string())
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
}
