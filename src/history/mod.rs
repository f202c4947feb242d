//! One client's doses → for each series, the day on which the client completed it, and on which it could have been; the
//! visits; the organizations.
//!
//! A day makes every later question a comparison: by which age, as of which date.

pub mod cases;
mod distinct;
mod organizations;

use std::ops::RangeInclusive;

use crate::dictionary::names;
use crate::error::{Error, Result};
use crate::measure::opportunity::Due;
use crate::measure::{Age, Deadline, Given, Measures, Requirement, Rule, season};

pub use distinct::Distinct;
pub use organizations::{Attribution, COLUMNS as ORGANIZATIONS};

/// One row that tells of a dose. (A row may also tell that there was none: see [`crate::measure::Opportunities::doses`].)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dose {
    /// Day of vaccination, as a count from 1970-01-01.
    pub day: i32,
    /// Position of the CVX code in its codelist.
    pub cvx: u16,
    /// Who gave it: a number that two doses share when one organization gave both.
    pub organization: Option<u32>,
}

/// The ways of all series, made ready once, with room for one client that is used again for the next.
///
/// Doses are sorted into the code sets of the measures once; each way then looks at the few distinct days of its set.
#[derive(Clone, Debug)]
pub struct Evaluator {
    columns: Vec<String>,
    /// For every CVX code, the code sets that it is in, one bit each.
    sets_of: Vec<u128>,
    series: Vec<Series>,
    /// The first and the last day of each season of the file.
    seasons: Vec<RangeInclusive<i32>>,
    /// For every measure whose last visit is asked for, its column and the series of its parts.
    combinations: Vec<(usize, Vec<usize>)>,
    /// The ages of all windows, each once.
    ages: Vec<Age>,
    /// This client.
    client: Client,
    /// The days that count for one way with two windows.
    merged: Vec<i32>,
    /// By series, the day from which on it lacks no more than one dose; of those that are part of a combination.
    near: Vec<Option<i32>>,
    /// The answers, by column.
    answers: Vec<Option<i32>>,
}

/// What is asked of one series. Columns are positions in [`Evaluator::columns`].
#[derive(Clone, Debug)]
struct Series {
    ways: Vec<Way>,
    /// Of a measure of a season, the first of so many columns as there are seasons.
    met: usize,
    is_of_season: bool,
    /// And the oldest age by which any measure asks for the series: its place in [`Evaluator::ages`].
    could: Option<(usize, usize)>,
    is_part: bool,
}

/// What the ways look at.
#[derive(Clone, Debug)]
struct Client {
    /// The days on which the client reaches [`Evaluator::ages`].
    reached: Vec<i32>,
    /// For every code set, the distinct days with a code of it.
    days: Vec<Vec<i32>>,
    /// The distinct days with any dose.
    visits: Vec<i32>,
}

/// One way of a series. An age is its place in [`Evaluator::ages`].
#[derive(Clone, Debug)]
struct Way {
    doses: usize,
    given: Window,
    also: Option<Window>,
    without: Option<(usize, Window)>,
    first_from: Option<usize>,
    first_before: Option<usize>,
    last_from: Option<usize>,
    apart: Option<Age>,
    before_season: usize,
    /// When each dose may be given; nothing where that is not asked.
    opportunities: Vec<Opportunity>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    set: usize,
    from: Option<usize>,
    through: Option<usize>,
}

/// A [`Due`]. An age is its place in [`Evaluator::ages`].
#[derive(Clone, Copy, Debug)]
struct Opportunity {
    from: Option<usize>,
    before: Option<usize>,
    after: Option<Age>,
    after_first: Option<Age>,
}

impl Evaluator {
    /// Prepares the series of all measures, and of seasons by the years in which they begin.
    pub fn new(measures: &Measures, seasons: RangeInclusive<i32>) -> Result<Self> {
        let sets = measures.code_sets();
        if sets.len() > 128 {
            return Err(Error::usage("the measures have more than 128 different sets of CVX codes"));
        }
        let codes = sets.first().map_or(0, Vec::len);
        let bits = |cvx: usize| sets.iter().enumerate().fold(0, |bits, (at, set)| bits | u128::from(set[cvx]) << at);
        let mut columns = vec![names::FIRST_VACCINATION.to_owned(), names::LAST_VACCINATION.to_owned()];
        let column = |columns: &mut Vec<String>, name: String| {
            columns.push(name);
            columns.len() - 1
        };
        let mut ages: Vec<Age> = Vec::new();
        let mut series = Vec::new();
        for (at, rules) in measures.series() {
            let dues = |rule: &Rule| measures.opportunities().dues(at, rule).unwrap_or_default();
            let ways = rules.iter().map(|rule| Way::of(rule, &dues(rule), &mut ages)).collect();
            let measure = &measures.measures()[at];
            let is_of_season = matches!(measures.deadline(at), Deadline::Season(_));
            let met = columns.len();
            if is_of_season {
                columns.extend(seasons.clone().map(|year| measure.column_of_season(year)));
            } else {
                columns.push(measure.column());
            }
            let oldest = Age::of_months(measures.oldest_age(at));
            let could = measures.potential(at).map(|name| (column(&mut columns, name), place(oldest, &mut ages)));
            series.push(Series { ways, met, is_of_season, could, is_part: false });
        }
        let mut combinations = Vec::new();
        for (at, requirement) in measures.requirements().iter().enumerate() {
            if let (Requirement::AllOf(parts), Some(near)) = (requirement, measures.near(at)) {
                let parts = measures.series().enumerate().filter(|(_, (part, _))| parts.contains(part));
                let parts: Vec<_> = parts.map(|(place, _)| place).collect();
                for part in &parts {
                    series[*part].is_part = true;
                }
                combinations.push((column(&mut columns, near), parts));
            }
        }
        let client = Client { reached: vec![0; ages.len()], days: vec![Vec::new(); sets.len()], visits: Vec::new() };
        Ok(Self {
            sets_of: (0..codes).map(bits).collect(),
            near: vec![None; series.len()],
            answers: vec![None; columns.len()],
            columns,
            series,
            seasons: seasons.map(season::days_of).collect(),
            combinations,
            ages,
            client,
            merged: Vec::new(),
        })
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The days of a client born on `birth`, in the order of [`Evaluator::columns`]. `doses` must be sorted by day.
    ///
    /// - The first visit and the latest one.
    /// - For each series, when it was complete; of a season, in each season. A dose of a day counts once, whatever number of
    ///   rows or codes tell of it; whether a dose was valid is not asked beyond what a series says. The age by which a
    ///   measure is asked for does not matter: later doses can only come later.
    /// - For some, when it would have been, had no visit been a missed opportunity: never later than it was, and not looked
    ///   for beyond the oldest age by which any measure asks for the series.
    /// - For some combinations, from when on no part lacked more than one dose.
    pub fn days(&mut self, birth: i32, doses: &[Dose]) -> &[Option<i32>] {
        let Self { sets_of, series, seasons, combinations, ages, client, merged, near, answers, .. } = self;
        client.take(sets_of, doses);
        client.reached.iter_mut().zip(ages).for_each(|(day, age)| *day = age.after(birth));
        answers[0] = client.visits.first().copied();
        answers[1] = client.visits.last().copied();
        for (series, near) in series.iter().zip(near.iter_mut()) {
            if series.is_of_season {
                let answers = &mut answers[series.met..][..seasons.len()];
                answers.fill(None);
                for way in &series.ways {
                    let given = way.given(client, merged);
                    if given.is_empty() {
                        continue;
                    }
                    for (answer, season) in answers.iter_mut().zip(seasons.iter()) {
                        *answer = earliest(*answer, way.met_in(season, given, client));
                    }
                }
                continue;
            }
            let (mut met, mut could) = (None, None);
            *near = None;
            for way in &series.ways {
                let given = way.given(client, merged);
                met = earliest(met, way.met(given, client));
                if let Some((_, oldest)) = series.could {
                    could = earliest(could, way.could(given, client, client.reached[oldest]));
                }
                if series.is_part {
                    *near = earliest(*near, way.near(given, client, birth));
                }
            }
            answers[series.met] = met;
            if let Some((column, _)) = series.could {
                answers[column] = earliest(could, met);
            }
        }
        for (column, parts) in combinations {
            let latest = parts.iter().try_fold(birth, |latest, part| near[*part].map(|day| latest.max(day)));
            answers[*column] = latest;
        }
        answers
    }
}

impl Client {
    /// Takes the doses of another client.
    fn take(&mut self, sets_of: &[u128], doses: &[Dose]) {
        let note = |days: &mut Vec<i32>, day: i32| {
            if days.last() != Some(&day) {
                days.push(day);
            }
        };
        self.days.iter_mut().for_each(Vec::clear);
        self.visits.clear();
        for dose in doses {
            note(&mut self.visits, dose.day);
            let mut sets = sets_of[usize::from(dose.cvx)];
            while sets != 0 {
                note(&mut self.days[sets.trailing_zeros() as usize], dose.day);
                sets &= sets - 1;
            }
        }
    }

    /// The day on which the client reaches an age, if one is asked for.
    fn from(&self, age: Option<usize>) -> i32 {
        age.map_or(i32::MIN, |age| self.reached[age])
    }

    /// The same as the end of a time.
    fn until(&self, age: Option<usize>) -> i32 {
        age.map_or(i32::MAX, |age| self.reached[age])
    }
}

impl Way {
    fn of(rule: &Rule, dues: &[Due], ages: &mut Vec<Age>) -> Self {
        let mut place = |age: Option<Age>| age.map(|age| place(age, ages));
        let mut window =
            |given: Given| Window { set: given.set, from: place(given.from), through: place(given.through) };
        Self {
            doses: rule.doses,
            given: window(rule.given),
            also: rule.also.map(&mut window),
            without: rule.without.map(|(first, given)| (first, window(given))),
            first_from: place(rule.first_from),
            first_before: place(rule.first_before),
            last_from: place(rule.last_from),
            apart: rule.apart,
            before_season: rule.before_season,
            opportunities: dues
                .iter()
                .map(|due| Opportunity {
                    from: place(due.from),
                    before: place(due.before),
                    after: due.after,
                    after_first: due.after_first,
                })
                .collect(),
        }
    }

    /// The days on which a vaccine of the way was given in its windows.
    fn given<'a>(&self, client: &'a Client, merged: &'a mut Vec<i32>) -> &'a [i32] {
        let given = self.given.cut(client);
        let Some(also) = self.also else { return given };
        merged.clear();
        merged.extend_from_slice(given);
        merged.extend_from_slice(also.cut(client));
        merged.sort_unstable();
        merged.dedup();
        merged
    }

    /// The day on which this way is complete.
    fn met(&self, given: &[i32], client: &Client) -> Option<i32> {
        self.nth(self.doses, client.from(self.last_from), given, client)
    }

    /// The day on which this way is complete by the doses of a season, where those before it are enough.
    fn met_in(&self, season: &RangeInclusive<i32>, given: &[i32], client: &Client) -> Option<i32> {
        let begin = given.partition_point(|day| day < season.start());
        let end = given.partition_point(|day| day <= season.end());
        if self.before_season > 0 {
            self.nth(self.before_season, i32::MIN, &given[..begin], client)?;
        }
        self.met(&given[begin..end], client)
    }

    /// The day from which on this way lacks no more than one dose, whenever that one is given.
    fn near(&self, given: &[i32], client: &Client, birth: i32) -> Option<i32> {
        if self.doses > 1 {
            return self.nth(self.doses - 1, i32::MIN, given, client);
        }
        // The one dose would be the first, unless there is one that came too early.
        let open = client.from(self.first_from);
        given.first().is_none_or(|first| *first >= open).then_some(birth.max(open))
    }

    /// The first day that is a given number of doses into the way, and no earlier than a floor.
    fn nth(&self, doses: usize, floor: i32, given: &[i32], client: &Client) -> Option<i32> {
        // Most ways fail here, before any date is compared.
        if given.len() < doses {
            return None;
        }
        let mut next = i32::MIN;
        let mut counted = given.iter().copied().filter(|day| {
            let counts = *day >= next;
            if let (true, Some(apart)) = (counts, self.apart) {
                next = apart.after(*day);
            }
            counts
        });
        let first = counted.next().filter(|first| self.may_begin(*first, client))?;
        // A way that asks for a product asks for no interval: every day that was given counts.
        if let Some((firsts, others)) = self.without
            && others.cut(client).first().is_some_and(|other| *other <= given[firsts.min(doses) - 1])
        {
            return None;
        }
        std::iter::once(first).chain(counted).skip(doses - 1).find(|day| *day >= floor)
    }

    fn may_begin(&self, first: i32, client: &Client) -> bool {
        client.from(self.first_from) <= first && first < client.until(self.first_before)
    }

    /// The day on which this way would have been complete, had no visit been a missed opportunity: WHO's coverage had
    /// there been none (VCQI, `RI_QUAL_07B`, crude). Not looked for after a last day: of adults it would be known, and
    /// never asked.
    ///
    /// A dose counts on the day on which it was given, or on an earlier visit on which it might have been.
    fn could(&self, given: &[i32], client: &Client, until: i32) -> Option<i32> {
        let visits = client.visits.as_slice();
        if visits.get(self.doses - 1).is_none_or(|visit| *visit > until) {
            return None;
        }
        let (last_of_product, others) = match self.without {
            // Doses that were not given are taken to be of the product that was given first.
            Some((firsts, others)) => {
                let other = others.cut(client).first();
                let product = given.first().filter(|first| other.is_none_or(|other| *first < other));
                product?;
                (firsts, other.copied())
            }
            None => (0, None),
        };
        let floor = client.from(self.last_from);
        let (mut first, mut counted, mut number) = (i32::MIN, i32::MIN, 0);
        loop {
            number += 1;
            let due = self.opportunities[number.min(self.doses) - 1];
            // What was given counts however early, if the way itself asks for no interval.
            let mut since = i32::MIN;
            let mut from = client.from(due.from).max(client.from(self.given.from));
            if number > 1 {
                since = self.apart.map_or(i32::MIN, |apart| apart.after(counted)).max(counted + 1);
                from = from.max(since);
                from = from.max(due.after.map_or(from, |after| after.after(counted)));
                from = from.max(due.after_first.map_or(from, |after| after.after(first)));
            }
            if number >= self.doses {
                from = from.max(floor);
            }
            let was_given = given[given.partition_point(|day| *day < since)..].first();
            let might_be = visits[visits.partition_point(|day| *day < from)..].first();
            let might_be =
                might_be.filter(|day| **day < client.until(due.before) && **day <= client.until(self.given.through));
            counted = earliest(was_given.copied(), might_be.copied()).filter(|day| *day <= until)?;
            if number == 1 {
                first = counted;
                if !self.may_begin(first, client) {
                    return None;
                }
            }
            if number == last_of_product && others.is_some_and(|other| other <= counted) {
                return None;
            }
            if number >= self.doses && counted >= floor {
                return Some(counted);
            }
        }
    }
}

impl Window {
    /// The days of the set that lie in the window.
    fn cut<'a>(&self, client: &'a Client) -> &'a [i32] {
        let days = client.days[self.set].as_slice();
        let begin = self.from.map_or(0, |age| days.partition_point(|day| *day < client.reached[age]));
        let end = self.through.map_or(days.len(), |age| days.partition_point(|day| *day <= client.reached[age]));
        &days[begin..end.max(begin)]
    }
}

/// The place of an age in a list that has each age once.
fn place(age: Age, ages: &mut Vec<Age>) -> usize {
    ages.iter().position(|known| *known == age).unwrap_or_else(|| {
        ages.push(age);
        ages.len() - 1
    })
}

/// The earlier of two days, of which either may be missing.
fn earliest(one: Option<i32>, other: Option<i32>) -> Option<i32> {
    one.into_iter().chain(other).min()
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
            .map(|(date, code)| Dose {
                day: day(date),
                cvx: cvx.find(code.as_bytes(), false).unwrap(),
                organization: None,
            })
            .collect();
        doses.sort_unstable();
        let column = measures.measures()[measures.position(measure).unwrap()].column();
        let mut evaluator = Evaluator::new(&measures, 2018..=2024).unwrap();
        let at = evaluator.columns().iter().position(|name| *name == column).unwrap();
        // Another client before this one leaves nothing behind.
        let many = (0u16..280).map(|cvx| Dose { day: 19_000 + i32::from(cvx), cvx, organization: None });
        evaluator.days(18_900, &many.collect::<Vec<_>>());
        evaluator.days(day(birth), &doses)[at].map(|day| calendar::date(day).to_string())
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
