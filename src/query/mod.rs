//! A closed question → a plan → SQL → raw counts that only `disclosure` may look at.

mod age;
pub(crate) mod alike;
pub mod ask;
mod axis;
mod bind;
mod coarser;
mod count;
pub mod engine;
mod listing;
#[cfg(test)]
mod oracle;
pub mod plan;
mod sql;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};

use crate::convert::Partition;
use crate::dictionary::{Dictionary, Dimension, Level, names};
use crate::measure::{Basis, Measure, Measures, Requirement};
use crate::population::Population;
use crate::store::Store;
use ask::{Ask, Attribution, AttributionChoice, Denominator, Indicator, Where};
pub use axis::Values;
use axis::{Axis, Filter};

/// The set of missing parts of a client who lacks none.
pub const COMPLETE: &str = "none";

/// A curve ends so many months after the age of its measure: late doses are seen, and a tail of few clients is not.
const CURVE_BEYOND: u32 = 12;

/// What a question is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The dictionary in force.
    pub dictionary: &'a Dictionary,
    /// The measures in force.
    pub measures: &'a Measures,
    /// The month.
    pub partition: &'a Partition,
    /// The store, which has the population files.
    pub store: &'a Store,
    /// The counties of the department, as its settings name them.
    pub counties: &'a [String],
}

/// A question whose measures, dimensions and values are known to exist.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    context: Context<'a>,
    indicator: Indicator,
    /// Position of the measure whose age and cohort are meant: for dropout, of the later one.
    measure: Option<usize>,
    /// For dropout, position of the earlier one.
    from: Option<usize>,
    by: Vec<Axis<'a>>,
    filters: Vec<Filter<'a>>,
    as_of: NaiveDate,
    denominators: Vec<Denominator>,
    populations: Vec<People<'a>>,
    attributions: Vec<Attribution>,
    /// The department's counties, where a denominator needs them.
    resident: Option<Filter<'a>>,
    /// Position in `by` of the dimension to standardize.
    standardize: Option<usize>,
    funnel: bool,
}

/// A population file as a denominator: of which years of birth and places its people are. Clients elsewhere are not counted.
#[derive(Clone, Debug)]
pub struct People<'a> {
    /// The file.
    pub population: Population,
    /// The years that it has and that are wholly in the cohort.
    pub years: BTreeSet<i32>,
    /// By each dimension of places that it has, those places.
    places: Vec<Filter<'a>>,
}

/// Integer counts before disclosure control. Only `disclosure` reads them: the fields are this crate's own, there is no
/// serialisation, and `Debug` shows nothing.
pub struct RawTable {
    /// The names of the label columns.
    pub(crate) columns: Vec<String>,
    /// What was counted.
    pub(crate) counts: RawCounts,
}

/// One entry for each combination of labels that has any, in the order of the labels.
pub(crate) enum RawCounts {
    /// Shares of clients.
    Shares(BTreeMap<Vec<String>, RawShare>),
    /// Sets of missing parts: the groups, and for each set the clients of the group who lack exactly these.
    Sets(BTreeMap<Vec<String>, BTreeMap<String, u64>>),
    /// Doses.
    Doses(BTreeMap<Vec<String>, RawDoses>),
    /// Clients by month of age.
    Curves(BTreeMap<Vec<String>, Vec<RawStep>>),
}

/// Distinct clients of one group.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawShare {
    /// Those of whom the indicator tells.
    pub numerator: u64,
    /// All.
    pub denominator: u64,
    /// Clients in the file among whom the numerator was counted; fewer than all where these are a population's people.
    pub clients: u64,
}

/// The clients of a part of a table of shares, for the audit of tables that are released together. Like [`RawTable`], it is
/// `disclosure`'s alone.
pub(crate) struct Members {
    /// Whether the denominator is of a population's people, which everybody knows.
    pub of_people: bool,
    /// What the first labels of each row tell of a client.
    pub by: Vec<Trait>,
    /// What clients were chosen by.
    pub chosen_by: Vec<Trait>,
    /// Each row: its labels, and its clients by their keys with whether each is in the numerator. The order does not depend on
    /// the order of the dimensions in the question.
    pub rows: Vec<(Vec<String>, Counted)>,
}

/// Clients by their keys, and whether each is counted.
pub(crate) type Counted = Vec<(i64, bool)>;

/// How many of them are counted.
pub(crate) fn numerator(clients: &[(i64, bool)]) -> u64 {
    clients.iter().filter(|(_, yes)| *yes).count() as u64
}

/// The clients of a table that tells more of its groups than a share, or in which a client is in several groups: by the
/// labels of the group, those of each slice, by their keys in rising order.
pub(crate) struct Slices {
    pub groups: BTreeMap<Vec<String>, BTreeMap<Slice, Vec<i64>>>,
    /// Positions of the labels that a client may have several of; where they are the same, every client is in one group.
    pub several: Vec<usize>,
}

/// Clients of a group whom a table tells apart from the others of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slice {
    /// Who lacks exactly these parts.
    Set(String),
    /// Who was up to date before the end of this month of age, followed to its end; 0 is the first.
    Event(usize),
    /// Who was not up to date when this month of age began, and not followed to its end.
    Left(usize),
    /// Who was followed to the end of the curve and not up to date.
    Remaining,
    /// Who is not in the numerator.
    Other,
    /// Who is in the numerator, or had a dose.
    Counted,
}

/// Something that is told of a client by a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trait {
    /// Two traits of one name have the same labels.
    pub name: String,
    /// Traits of one family change together: who moves to another county has another ZIP code, too. None where the indicator
    /// depends on it.
    pub family: Option<String>,
}

/// Doses of one group, and the distinct clients who had them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawDoses {
    pub persons: u64,
    pub doses: u64,
}

/// What happened to the clients of one group in one month of age.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawStep {
    /// Not up to date when the month of age began, and followed to its end.
    pub at_risk: u64,
    /// Of these, up to date before it ended.
    pub events: u64,
    /// Not up to date when it began, and not followed to its end.
    pub censored: u64,
}

impl std::fmt::Debug for RawTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawTable")
    }
}

impl<'a> Question<'a> {
    /// What is told of a client, whatever table it stands in: the same name, the same answer.
    pub(crate) fn outcome(&self) -> String {
        let measures: Vec<_> = self.measures_asked().map(|at| self.measure_at(at).id.as_str()).collect();
        format!("{} {} {}", self.indicator.name(), measures.join(" "), self.as_of)
    }

    /// The question with everything that was left open filled in, in an order of its own.
    pub fn normalized(&self) -> Ask {
        let mut ask = Ask::of(self.indicator);
        let id = |at: Option<usize>| at.map(|at| self.measure_at(at).id.clone());
        (ask.measure, ask.to) =
            if self.from.is_some() { (id(self.from), id(self.measure)) } else { (id(self.measure), None) };
        ask.by = self.by().map(|dimension| dimension.id.clone()).collect();
        let filter = |(dimension, labels): (&Dimension, &[String])| {
            let mut values = labels.to_vec();
            values.sort();
            values.dedup();
            Where { dimension: dimension.id.clone(), values }
        };
        ask.filters = self.filters().map(filter).collect();
        ask.as_of = Some(self.as_of);
        let of_shares = self.indicator.is_of_shares();
        ask.denominators = self.denominators.iter().filter(|_| of_shares).map(Denominator::name).collect();
        ask.counties = self.resident_counties().unwrap_or_default().to_vec();
        ask.attribution = AttributionChoice::of(self.attributions());
        ask.standardize = self.standardize.map(|at| self.by[at].dimension.id.clone());
        ask.funnel = self.funnel;
        ask
    }

    fn measure_at(&self, at: usize) -> &'a Measure {
        &self.context.measures.measures()[at]
    }

    fn axes(&self) -> impl Iterator<Item = &Axis<'a>> {
        self.by.iter().chain(self.filters.iter().map(|filter| &filter.axis))
    }

    fn is_attributed(&self) -> bool {
        self.axes().any(|axis| axis.dimension.level == Level::Attributed)
    }

    /// What the table tells.
    pub fn indicator(&self) -> Indicator {
        self.indicator
    }

    /// The positions of the measures in [`Question::measures`], the one whose age is meant first.
    pub fn measures_asked(&self) -> impl Iterator<Item = usize> {
        self.measure.into_iter().chain(self.from)
    }

    /// Whether the measure counts those who are without a vaccine, so that a low share is the good one.
    pub fn is_of_those_without(&self) -> bool {
        self.measure.is_some_and(|at| matches!(self.context.measures.requirements()[at], Requirement::NoneOf(_)))
    }

    /// The values of a filter by birth or age that nobody of the cohort has, because their years are outside of it.
    pub fn outside_of_the_cohort<'b>(&self, dimension: &Dimension, labels: &'b [String]) -> Vec<&'b str> {
        if dimension.level == Level::AgeAsOf && self.measure.is_some() {
            return self.ages_of_nobody(dimension, labels);
        }
        let (first, last) = self.born();
        let year = |label: &str| label.get(..4)?.parse::<i32>().ok();
        let is_outside = |label: &str| year(label).is_some_and(|year| year < first.year() || year > last.year());
        let of_birth = dimension.field == names::BIRTH_DATE && self.measure.is_some();
        labels.iter().map(String::as_str).filter(|label| of_birth && is_outside(label)).collect()
    }

    /// The measures in force.
    pub fn measures(&self) -> &'a Measures {
        self.context.measures
    }

    /// The month.
    pub fn partition(&self) -> &'a Partition {
        self.context.partition
    }

    /// The dimensions of the table.
    pub fn by(&self) -> impl Iterator<Item = &'a Dimension> {
        self.by.iter().map(|axis| axis.dimension)
    }

    /// The names of the columns whose labels are what senders have typed.
    pub(crate) fn typed_columns(&self) -> impl Iterator<Item = &'a str> {
        self.by.iter().filter(|axis| axis.is_typed()).map(|axis| axis.dimension.id.as_str())
    }

    /// By what a row of the table comes before or behind another one: the labels of its dimensions, each in its order.
    pub fn place(&self, labels: &[String]) -> impl Ord + use<> {
        let axes = self.by.iter().enumerate().filter(|(at, _)| self.standardize != Some(*at));
        axes.zip(labels).map(|((_, axis), label)| axis.place(label)).collect::<Vec<_>>()
    }

    /// Each filter: dimension and labels.
    pub fn filters(&self) -> impl Iterator<Item = (&'a Dimension, &[String])> {
        self.filters.iter().map(|filter| (filter.axis.dimension, filter.labels.as_slice()))
    }

    /// The last day that counts.
    pub fn as_of(&self) -> NaiveDate {
        self.as_of
    }

    /// What the rates are shares of, each one a row.
    pub fn denominators(&self) -> &[Denominator] {
        &self.denominators
    }

    /// The population files among the denominators.
    pub fn populations(&self) -> &[People<'a>] {
        &self.populations
    }

    /// The department's counties, where they matter.
    pub fn resident_counties(&self) -> Option<&[String]> {
        self.resident.as_ref().map(|filter| filter.labels.as_slice())
    }

    /// By which rules clients belong to organizations, where the table is of them.
    pub fn attributions(&self) -> &[Attribution] {
        if self.is_attributed() { &self.attributions } else { &[] }
    }

    /// The position of the dimension whose make-up is to be made alike.
    pub fn standardized(&self) -> Option<usize> {
        self.standardize
    }

    /// Whether limits are wanted between which organizations lie by chance alone.
    pub fn has_funnel(&self) -> bool {
        self.funnel
    }

    /// What the measures are not, and what must be known of them.
    pub fn measure_caveats(&self) -> Vec<String> {
        let measures = self.context.measures;
        let mut caveats: Vec<String> = Vec::new();
        for at in self.measures_asked() {
            let trust = (self.measure_at(at).basis == Basis::Memory).then(|| measures.trust(at));
            let schedule = measures.edition_of_schedule(at);
            for caveat in trust.into_iter().chain(schedule).chain(measures.caveats(at)) {
                if !caveats.iter().any(|known| known == caveat) {
                    caveats.push(caveat.to_owned());
                }
            }
        }
        caveats
    }

    /// The first day of birth whose doses for the measures are all in the file: those of earlier births are cut off. None where
    /// doses of earlier years do not matter.
    pub fn complete_from(&self) -> Option<NaiveDate> {
        let year = self.context.partition.manifest().first_inclusion_year;
        self.measures_asked().filter_map(|at| self.context.measures.complete_from(at, year)).max()
    }

    /// The first and the last day of birth in the cohort.
    pub fn born(&self) -> (NaiveDate, NaiveDate) {
        let complete = self.complete_from();
        // A curve follows everybody from birth on.
        let (young, old) = match self.measure.filter(|_| self.indicator != Indicator::Curve) {
            Some(at) => self.context.measures.born(at, self.as_of),
            None => (None, self.as_of),
        };
        let first_year = || NaiveDate::from_ymd_opt(self.context.partition.manifest().first_inclusion_year, 1, 1);
        (young.max(complete).or_else(first_year).unwrap_or(NaiveDate::MIN), old)
    }

    /// The year in which the season begins that the measure asks about, where it does.
    pub fn season(&self) -> Option<i32> {
        self.measure.and_then(|at| self.context.measures.season(at, self.as_of))
    }

    /// The age in months at which a curve ends.
    pub fn curve_months(&self) -> u32 {
        self.measure.and_then(|at| self.measure_at(at).by_age_months).map_or(0, |age| age + CURVE_BEYOND)
    }
}
