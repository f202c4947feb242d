//! What of two tables is counted of the same clients, where their rows have the same labels: for tables of different months,
//! whose clients cannot be held to each other one by one.

use std::collections::BTreeSet;

use super::Question;
use super::ask::{Ask, Indicator};
use crate::dictionary::names;
use crate::measure::{Deadline, Measures, Requirement, Season};

/// What can be compared of two rows with the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alike {
    /// All numbers: both are of the same table.
    Table,
    /// All numbers: another measure, and the same answer of each client.
    Answers,
    /// The denominators alone: other answers of the same cohort.
    Cohort,
}

impl Question<'_> {
    /// What can be compared of this table and of one of another month.
    ///
    /// A measure that asks for the same series by the same age is the same answer under another name, if only for clients of
    /// other ages. An answer about another season is another one.
    pub(crate) fn alike(&self, other: &Ask) -> Option<Alike> {
        let own = self.normalized();
        if !has_same_groups(&own, other) {
            return None;
        }
        let is_same = is_same_question(&own, other);
        let measures = self.context.measures;
        let [one, two] = [&own, other].map(|ask| Asked::of(ask, measures));
        // A measure that is not known any more can be compared under its own name alone.
        let Some((one, two)) = one.zip(two) else { return is_same.then_some(Alike::Table) };
        let same_season = one.season == two.season;
        if is_same && same_season {
            return Some(Alike::Table);
        }
        if !(of_a_cohort(own.indicator) && of_a_cohort(other.indicator)) {
            return None;
        }
        if own.indicator == other.indicator && one.answer == two.answer && same_season {
            return Some(Alike::Answers);
        }
        // Of another season, those of an age are others, unless the labels tell when they were born.
        let tells_birth = self.by().any(|dimension| dimension.field == names::BIRTH_DATE);
        (one.cohort == two.cohort && (same_season || tells_birth)).then_some(Alike::Cohort)
    }
}

/// Whether two questions are the same, months and the order of dimensions aside.
pub(crate) fn is_same_question(a: &Ask, b: &Ask) -> bool {
    (a.indicator, &a.measure, &a.to) == (b.indicator, &b.measure, &b.to) && has_same_groups(a, b)
}

/// Whether two questions have the same rows, if they are of the same clients.
fn has_same_groups(a: &Ask, b: &Ask) -> bool {
    // Entries of earlier versions do not say what `resident` meant: the same, as far as anybody knows.
    let same_counties = a.counties == b.counties || a.counties.is_empty() || b.counties.is_empty();
    same_counties
        && (&a.filters, &a.denominators, a.attribution, by(a)) == (&b.filters, &b.denominators, b.attribution, by(b))
}

/// The dimensions of a table, in an order of their own.
pub(crate) fn by(ask: &Ask) -> BTreeSet<&String> {
    ask.by.iter().collect()
}

/// Whether the denominator is the cohort of the measure.
fn of_a_cohort(indicator: Indicator) -> bool {
    use Indicator::{Coverage, Late, Missed, OnTime, Potential};
    [Coverage, Late, OnTime, Potential, Missed].contains(&indicator)
}

/// What the measure of a question asks, whatever it is called.
struct Asked {
    /// Of a client: which series, whether all of them or none, and by which age; none of a season.
    answer: (BTreeSet<usize>, bool, Option<Deadline>),
    /// Who is asked about: from which age on, until which, and from when on doses must be in the file.
    cohort: (u32, Option<Season>, Option<u32>, Option<u32>),
    /// The year in which the season begins, of a measure of a season.
    season: Option<i32>,
}

impl Asked {
    /// Nothing where the measure is not known.
    fn of(ask: &Ask, measures: &Measures) -> Option<Self> {
        let at = measures.position(ask.measure.as_ref()?).ok()?;
        let measure = &measures.measures()[at];
        let deadline = measures.deadline(at);
        let (age, by_age, ages) = match deadline {
            Deadline::Age(months, _) => (months, Some(deadline), None),
            Deadline::Season(season) => (season.from_age_months, None, Some(season)),
        };
        let is_none = matches!(measures.requirements()[at], Requirement::NoneOf(_));
        Some(Self {
            answer: (measures.deciding(at).into_iter().collect(), is_none, by_age),
            cohort: (age, ages, measure.under_age_months, measure.history_from_months),
            season: ask.as_of.and_then(|as_of| measures.season(at, as_of)),
        })
    }
}
