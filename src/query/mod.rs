//! A closed question → a plan → SQL → raw counts that only `disclosure` may look at.

pub mod ask;
mod axis;
pub mod engine;
#[cfg(test)]
mod oracle;
pub mod plan;
mod sql;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};

use crate::calendar::{self, born_by};
use crate::convert::Partition;
use crate::dictionary::{Dictionary, Dimension, names};
use crate::error::{Error, Result};
use crate::measure::{Basis, Cutoff, Measure, Measures, Requirement, age_column};
use crate::population::Population;
use crate::store::Store;
use ask::{Ask, Attribution, AttributionChoice, Denominator, Indicator};
use axis::{Axis, Filter};
use engine::{Engine, Group};
use plan::{AggregatePlan, Column, Condition, Count, Expression, Rows, Value};

/// What stands for "not known" in tables and filters.
pub const UNKNOWN: &str = "Unknown";

/// A curve ends so many months after the age of its measure: late doses are seen, and a tail of few clients is not.
const CURVE_BEYOND: u32 = 12;

/// So many measures are named where one does not suit.
const LISTED: usize = 12;

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
    /// The population files among the denominators, with the years of birth that are counted.
    populations: Vec<(Population, BTreeSet<i32>)>,
    attributions: Vec<Attribution>,
    /// The department's counties, where a denominator needs them.
    resident: Option<Filter<'a>>,
    /// Position in `by` of the dimension to standardize.
    standardize: Option<usize>,
    funnel: bool,
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
    /// Binds a question to what is there; every error names the nearest thing that exists.
    pub fn bind(ask: &Ask, context: Context<'a>) -> Result<Self> {
        let Context { dictionary, partition, .. } = context;
        let manifest = partition.manifest();
        if manifest.dictionary != dictionary.edition() {
            return Err(Error::usage(format!(
                "the month {} was loaded with another dictionary",
                manifest.reporting_period
            ))
            .hint("name the same dictionary file in phds.toml, or load the month again"));
        }
        // What is a dose, and when one was due, is of this file and of no measure.
        if manifest.opportunities.as_ref() != Some(context.measures.opportunities().edition()) {
            return Err(Error::usage(format!(
                "the month {} was loaded with other opportunities",
                manifest.reporting_period
            ))
            .hint("load the month again: histories are evaluated then"));
        }
        let period_end = manifest.reporting_period.last_day();
        let as_of = ask.as_of.unwrap_or(period_end);
        if as_of > period_end {
            return Err(Error::usage(format!(
                "the as-of date is after the last day of the reporting period, {period_end}"
            )));
        }
        // A free choice of days would let two tables differ by the clients of one day.
        if as_of.checked_add_days(chrono::Days::new(1)).is_none_or(|next| next.day() != 1) {
            return Err(Error::usage("the as-of date must be the last day of a month"));
        }
        let mut question = Self {
            context,
            indicator: ask.indicator,
            measure: None,
            from: None,
            by: Vec::new(),
            filters: Vec::new(),
            as_of,
            denominators: Vec::new(),
            populations: Vec::new(),
            attributions: vec![Attribution::Last],
            resident: None,
            standardize: None,
            funnel: ask.funnel,
        };
        question.bind_measures(ask)?;
        question.bind_dimensions(ask)?;
        question.bind_denominators(ask)?;
        question.bind_attribution(ask)?;
        question.bind_adjustment(ask)?;
        Ok(question)
    }

    fn bind_measures(&mut self, ask: &Ask) -> Result<()> {
        let name = ask.indicator.name();
        let named = |id: &Option<String>, flag: &str| match id {
            Some(id) => self.context.measures.position(id),
            None => {
                Err(Error::usage(format!("`{name}` needs a measure in `{flag}`")).hint("`phds measures` lists them"))
            }
        };
        match ask.indicator {
            Indicator::Doses if ask.measure.is_some() => {
                return Err(Error::usage("doses are counted by vaccine, and not for a measure")
                    .hint("use `--by vaccine_group`, or `--where vaccine_group=…`"));
            }
            Indicator::Doses => {}
            Indicator::Dropout => {
                (self.from, self.measure) = (Some(named(&ask.measure, "--measure")?), Some(named(&ask.to, "--to")?));
            }
            _ => self.measure = Some(named(&ask.measure, "--measure")?),
        }
        if ask.to.is_some() && ask.indicator != Indicator::Dropout {
            return Err(Error::usage("`--to` is for dropout only"));
        }
        let manifest = self.context.partition.manifest();
        for at in self.from.into_iter().chain(self.measure) {
            let measure = self.measure_at(at);
            let fingerprint = &self.context.measures.fingerprints()[at];
            if !manifest.measures.iter().any(|edition| edition.id == measure.id && edition.fingerprint == *fingerprint)
            {
                return Err(Error::usage(format!(
                    "the month {} was loaded with another definition of `{}`",
                    manifest.reporting_period, measure.id
                ))
                .hint("load the month again: histories are evaluated then"));
            }
            self.suits(at)?;
        }
        Ok(())
    }

    /// Whether a measure has what the indicator needs.
    fn suits(&self, at: usize) -> Result<()> {
        let (name, id) = (self.indicator.name(), &self.measure_at(at).id);
        let Some(why) = self.lacking(at) else { return Ok(()) };
        let others = (0..self.context.measures.measures().len()).filter(|other| self.lacking(*other).is_none());
        let others: Vec<_> = others.map(|other| self.measure_at(other).id.as_str()).collect();
        let more = match others.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(", and {more} more of `phds measures`"),
        };
        let listed = others[..others.len().min(LISTED)].join(", ");
        Err(Error::usage(format!("`{name}` cannot be asked of `{id}`: {why}"))
            .hint(format!("it can be asked of {listed}{more}")))
    }

    /// What a measure lacks that the indicator needs.
    fn lacking(&self, at: usize) -> Option<String> {
        let measures = self.context.measures;
        let requirement = &measures.requirements()[at];
        if self.indicator != Indicator::Coverage && matches!(requirement, Requirement::NoneOf(_)) {
            return Some("it counts those without a vaccine".to_owned());
        }
        let without = |has: &dyn Fn(usize) -> bool, what: &str| {
            let parts = measures.deciding(at).into_iter().filter(|part| !has(*part));
            let parts = parts.map(|part| self.measure_at(part).id.clone()).collect::<Vec<_>>().join(", ");
            (!parts.is_empty()).then(|| format!("{what} ({parts})"))
        };
        match self.indicator {
            Indicator::Missing => {
                let combined = matches!(requirement, Requirement::AllOf(parts) if parts.len() > 1);
                (!combined).then(|| "it is no combination of measures".to_owned())
            }
            Indicator::OnTime => {
                without(&|part| self.measure_at(part).late_after.is_some(), "from when on a dose is late is not known")
            }
            Indicator::Potential | Indicator::Missed => {
                without(&|part| measures.potential(part).is_some(), "minimum ages and intervals are not known")
            }
            Indicator::OneVisit if measures.near(at).is_none() => {
                Some("it is no combination of which the last visit is looked for".to_owned())
            }
            _ => None,
        }
    }

    fn bind_dimensions(&mut self, ask: &Ask) -> Result<()> {
        if ask.by.is_empty() {
            return Err(
                Error::usage("a table needs at least one dimension in `--by`").hint("`phds dimensions` lists them")
            );
        }
        let find = |id: &str| {
            let axis = Axis::find(self.context.dictionary, id)?;
            if axis.is_of_doses() && self.indicator != Indicator::Doses {
                let id = &axis.dimension.id;
                return Err(Error::usage(format!(
                    "`{id}` is of doses, and `{}` counts clients",
                    self.indicator.name()
                ))
                .hint("`phds query doses` takes it"));
            }
            Ok(axis)
        };
        let by = ask.by.iter().map(|id| find(id)).collect::<Result<Vec<_>>>()?;
        for (at, axis) in by.iter().enumerate() {
            let id = &axis.dimension.id;
            if by[..at].iter().any(|earlier| earlier.dimension.id == *id) {
                return Err(Error::usage(format!("the dimension `{id}` is there twice in `--by`")));
            }
        }
        let mut filters: Vec<Filter<'a>> = Vec::new();
        for filter in &ask.filters {
            let axis = find(&filter.dimension)?;
            let id = &axis.dimension.id;
            if filters.iter().any(|earlier| earlier.axis.dimension.id == *id) {
                return Err(Error::usage(format!("the dimension `{id}` is filtered twice"))
                    .hint(format!("write `--where {id}=A,B`")));
            }
            filters.push(axis.filter(&filter.values)?);
        }
        // The same question is the same release, in whatever order its filters were typed.
        filters.sort_by(|a, b| a.axis.dimension.id.cmp(&b.axis.dimension.id));
        (self.by, self.filters) = (by, filters);
        Ok(())
    }

    fn bind_denominators(&mut self, ask: &Ask) -> Result<()> {
        let mut denominators =
            ask.denominators.iter().map(|name| Denominator::parse(name)).collect::<Result<Vec<_>>>()?;
        // The widest first: it is the one that is shown when another differs from it by few clients.
        denominators.sort();
        denominators.dedup();
        if !denominators.is_empty()
            && matches!(self.indicator, Indicator::Doses | Indicator::Curve | Indicator::Missing)
        {
            return Err(Error::usage(format!("`{}` takes no `--denominator`", self.indicator.name())));
        }
        if denominators.is_empty() {
            denominators.push(Denominator::Clients);
        }
        if denominators.contains(&Denominator::Resident) {
            if self.context.counties.is_empty() {
                return Err(Error::usage("the denominator `resident` needs the counties of the department")
                    .hint("set `counties` in the section [query] of phds.toml"));
            }
            self.resident = Some(Axis::find(self.context.dictionary, names::COUNTY)?.filter(self.context.counties)?);
        }
        for denominator in &denominators {
            if let Denominator::Population(name) = denominator {
                self.populations.push(self.population(name)?);
            }
        }
        self.denominators = denominators;
        Ok(())
    }

    /// A population file, and the years of birth that it has and that are wholly in the cohort.
    fn population(&self, name: &str) -> Result<(Population, BTreeSet<i32>)> {
        let none_of = |at| matches!(self.context.measures.requirements()[at], Requirement::NoneOf(_));
        if matches!(self.indicator, Indicator::Dropout | Indicator::OneVisit) || self.measure.is_some_and(none_of) {
            return Err(Error::usage(format!(
                "`population:{name}` is of all people, and the question of those in the file"
            ))
            .hint("leave the denominator away"));
        }
        let population = Population::open(self.context.store, self.context.dictionary, name)?;
        let (from, to) = self.born();
        let wholly = |year: &i32| {
            let day = |month, day| NaiveDate::from_ymd_opt(*year, month, day);
            day(1, 1).is_some_and(|first| first >= from) && day(12, 31).is_some_and(|last| last <= to)
        };
        let years: BTreeSet<i32> = population.birth_years().into_iter().filter(wholly).collect();
        if years.is_empty() {
            return Err(Error::usage(format!("`population:{name}` has no year of birth that is wholly in the cohort"))
                .hint(format!("the cohort is born from {from} to {to}")));
        }
        // Whether it has the dimensions is known before anything is counted.
        self.people(&population, &years)?;
        Ok((population, years))
    }

    /// The people of a population file by the labels of the table.
    fn people(&self, population: &Population, years: &BTreeSet<i32>) -> Result<BTreeMap<Vec<String>, u64>> {
        let by: Vec<_> = self.by().map(|dimension| dimension.id.clone()).collect();
        let filters: Vec<_> =
            self.filters().map(|(dimension, labels)| (dimension.id.clone(), labels.to_vec())).collect();
        population.counts(&by, &filters, |year| years.contains(&year))
    }

    fn bind_attribution(&mut self, ask: &Ask) -> Result<()> {
        let used = self.axes().any(|axis| axis.dimension.level == crate::dictionary::Level::Attributed);
        match ask.attribution {
            Some(_) if !used => {
                return Err(
                    Error::usage("`--attribution` is for tables of organizations").hint("add `--by organization`")
                );
            }
            Some(AttributionChoice::Any | AttributionChoice::All) if self.indicator == Indicator::Doses => {
                return Err(Error::usage("a dose is of one organization")
                    .hint("use `--by given_by`, or another rule of attribution"));
            }
            Some(choice) if choice.rules().len() > 1 && self.denominators.len() > 1 => {
                return Err(Error::usage(
                    "several rules of attribution and several denominators are too much for one table",
                )
                .hint("ask twice"));
            }
            Some(choice) => self.attributions = choice.rules().to_vec(),
            None => {}
        }
        Ok(())
    }

    fn bind_adjustment(&mut self, ask: &Ask) -> Result<()> {
        let one_rule = self.attributions.len() == 1 && self.denominators.len() == 1;
        if let Some(id) = &ask.standardize {
            let wrong = |what: &str, hint: &str| Err(Error::usage(what).hint(hint));
            let Some(at) = self.by.iter().position(|axis| axis.dimension.id == *id) else {
                return wrong("`--standardize` takes a dimension of the table", &format!("add `{id}` to `--by`"));
            };
            if self.by.len() < 2 || !one_rule || self.funnel {
                return wrong(
                    "`--standardize` needs another dimension, one denominator and one rule of attribution",
                    "for example `--by county,birth_year --standardize birth_year`",
                );
            }
            self.standardize = Some(at);
        }
        if self.funnel && (self.by.len() != 1 || self.attributions().is_empty() || !one_rule) {
            return Err(Error::usage("`--funnel` is for a table of organizations and nothing else")
                .hint("use `--by organization`, with one denominator and one rule of attribution"));
        }
        Ok(())
    }

    fn measure_at(&self, at: usize) -> &'a Measure {
        &self.context.measures.measures()[at]
    }

    fn axes(&self) -> impl Iterator<Item = &Axis<'a>> {
        self.by.iter().chain(self.filters.iter().map(|filter| &filter.axis))
    }

    /// What the table tells.
    pub fn indicator(&self) -> Indicator {
        self.indicator
    }

    /// The positions of the measures in [`Question::measures`], the one whose age is meant first.
    pub fn measures_asked(&self) -> impl Iterator<Item = usize> {
        self.measure.into_iter().chain(self.from)
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

    /// The population files among the denominators, with the years of birth that are counted.
    pub fn populations(&self) -> &[(Population, BTreeSet<i32>)] {
        &self.populations
    }

    /// The department's counties, where they matter.
    pub fn resident_counties(&self) -> Option<&[String]> {
        self.resident.as_ref().map(|filter| filter.labels.as_slice())
    }

    /// By which rules clients belong to organizations, where the table is of them.
    pub fn attributions(&self) -> &[Attribution] {
        let used = self.axes().any(|axis| axis.dimension.level == crate::dictionary::Level::Attributed);
        if used { &self.attributions } else { &[] }
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

    /// The first day of birth whose doses for the measure are all in the file: those of earlier births are cut off.
    pub fn complete_from(&self) -> NaiveDate {
        let year = self.context.partition.manifest().first_inclusion_year;
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(NaiveDate::MIN);
        let from = self.measures_asked().map(|at| {
            let months = self.measure_at(at).history_from_months;
            months.map_or(first, |months| calendar::date(born_by(calendar::day(first) - 1, months) + 1))
        });
        from.max().unwrap_or(first)
    }

    /// The first and the last day of birth in the cohort.
    pub fn born(&self) -> (NaiveDate, NaiveDate) {
        let complete = self.complete_from();
        let Some(measure) = self.measure.map(|at| self.measure_at(at)) else { return (complete, self.as_of) };
        let of_age = |months| calendar::date(born_by(calendar::day(self.as_of), months));
        let young = measure.under_age_months.filter(|_| self.indicator != Indicator::Curve);
        let from = young.map_or(complete, |months| complete.max(of_age(months) + chrono::Days::new(1)));
        (from, if self.indicator == Indicator::Curve { self.as_of } else { of_age(measure.by_age_months) })
    }

    /// The age in months at which a curve ends.
    pub fn curve_months(&self) -> u32 {
        self.measure.map_or(0, |at| self.measure_at(at).by_age_months + CURVE_BEYOND)
    }

    /// Counts distinct clients, or doses, by group.
    pub fn count(&self, engine: &mut dyn Engine) -> Result<RawTable> {
        let mut columns: Vec<String> = self.by().map(|dimension| dimension.id.clone()).collect();
        let several = (self.attributions.len() > 1, self.denominators.len() > 1);
        columns.extend(several.0.then(|| "attribution".to_owned()));
        columns.extend(several.1.then(|| "denominator_source".to_owned()));
        let mut counts = match self.indicator {
            Indicator::Doses => RawCounts::Doses(BTreeMap::new()),
            Indicator::Curve => RawCounts::Curves(BTreeMap::new()),
            Indicator::Missing => RawCounts::Sets(BTreeMap::new()),
            _ => RawCounts::Shares(BTreeMap::new()),
        };
        for attribution in &self.attributions {
            for group in engine.aggregate(&self.plan(*attribution)?)? {
                let values = self.by.iter().zip(&group.key);
                let mut labels: Vec<_> = values.map(|(axis, value)| axis.label(value.as_deref())).collect();
                labels.extend(several.0.then(|| attribution.name().to_owned()));
                self.add(&mut counts, labels, &group)?;
            }
        }
        if let RawCounts::Shares(shares) = &mut counts {
            for (population, years) in &self.populations {
                for (mut labels, people) in self.people(population, years)? {
                    labels.extend(several.1.then(|| format!("population:{}", population.note().name)));
                    shares.entry(labels).or_default().denominator = people;
                }
            }
        }
        if let RawCounts::Curves(curves) = &mut counts {
            for steps in curves.values_mut() {
                follow(steps);
            }
        }
        Ok(RawTable { columns, counts })
    }

    /// Adds a group to the table. A recorded "unknown" and a missing value read the same, so they are one group.
    fn add(&self, counts: &mut RawCounts, mut labels: Vec<String>, group: &Group) -> Result<()> {
        let wrong = || Error::internal("the embedded query engine answers in another form");
        let further = group.key.get(self.by.len()..).ok_or_else(wrong)?;
        // A dose before birth, were there one, would be of a negative age.
        let number = |value: &Option<String>| {
            let number = value.as_deref().map(str::parse::<i64>).transpose().map_err(|_| wrong())?;
            Ok::<_, Error>(number.map(|number| usize::try_from(number).unwrap_or(0)))
        };
        match counts {
            RawCounts::Shares(shares) => {
                for (denominator, pair) in self.denominators.iter().zip(group.counts.chunks_exact(2)) {
                    let &[all, some] = pair else { return Err(wrong()) };
                    if some > all {
                        return Err(Error::internal("the embedded query engine counts wrongly"));
                    }
                    let mut labels = labels.clone();
                    labels.extend((self.denominators.len() > 1).then(|| denominator.name()));
                    let share = shares.entry(labels).or_default();
                    share.numerator += some;
                    // People of a population file are not among the clients that are counted.
                    share.denominator += if matches!(denominator, Denominator::Population(_)) { 0 } else { all };
                }
            }
            RawCounts::Sets(groups) => {
                let parts = self.measure.map(|at| self.context.measures.deciding(at)).unwrap_or_default();
                let mut missing = Vec::new();
                for (part, value) in parts.into_iter().zip(further) {
                    if number(value)? == Some(0) {
                        missing.push(self.measure_at(part).id.as_str());
                    }
                }
                let set = if missing.is_empty() { "none".to_owned() } else { missing.join(" + ") };
                let count = group.counts.first().ok_or_else(wrong)?;
                *groups.entry(std::mem::take(&mut labels)).or_default().entry(set).or_default() += count;
            }
            RawCounts::Doses(doses) => {
                let &[number, persons] = group.counts.as_slice() else { return Err(wrong()) };
                let count = doses.entry(labels).or_default();
                count.doses += number;
                count.persons += persons;
            }
            RawCounts::Curves(curves) => {
                let [followed, event] = further else { return Err(wrong()) };
                let months = usize::try_from(self.curve_months()).map_err(|_| wrong())?;
                let steps = curves.entry(labels).or_insert_with(|| vec![RawStep::default(); months]);
                let followed = number(followed)?.ok_or_else(wrong)?.min(months);
                let count = group.counts.first().ok_or_else(wrong)?;
                // An event in a month of age that the client has not ended is not yet seen.
                match number(event)?.filter(|event| *event < followed) {
                    Some(event) => steps[event].events += count,
                    None if followed < months => steps[followed].censored += count,
                    // Followed to the end of the curve without an event: at risk in all steps.
                    None => steps.last_mut().ok_or_else(wrong)?.at_risk += count,
                }
            }
        }
        Ok(())
    }

    fn plan(&self, attribution: Attribution) -> Result<AggregatePlan> {
        let mut group_by: Vec<_> = self.by.iter().map(|axis| axis.expression(attribution)).collect();
        let mut conditions: Vec<_> = self.filters.iter().map(|filter| filter.condition(attribution)).collect();
        let (rows, counts) = match self.measure {
            None => {
                let by_group = self.axes().any(Axis::is_vaccine_group);
                conditions.push(Condition::NotAfter(Column::Dose(names::VACCINATION_DATE.to_owned()), self.as_of));
                let counted = if by_group { "group_dose" } else { "dose" };
                conditions.push(Condition::True(Column::Dose(counted.to_owned())));
                let rows = if self.axes().all(Axis::is_of_doses_alone) { Rows::Doses } else { Rows::DosesOfClients };
                (rows, vec![Count::Rows(Vec::new()), Count::Clients])
            }
            Some(measure) => {
                let (from, to) = self.born();
                conditions.push(Condition::NotBefore(birth(), from));
                conditions.push(Condition::NotAfter(birth(), to));
                let of_clients = Rows::Clients;
                let rows = if attribution == Attribution::Any { Rows::ClientsByOrganization } else { of_clients };
                match self.indicator {
                    Indicator::Curve => {
                        group_by.extend(self.times(measure));
                        (rows, vec![Count::Rows(Vec::new())])
                    }
                    Indicator::Missing => {
                        let parts = self.context.measures.deciding(measure);
                        group_by.extend(
                            parts.iter().map(|part| Expression::Holds(Box::new(self.in_time(&[*part], measure)))),
                        );
                        (rows, vec![Count::Rows(Vec::new())])
                    }
                    _ => (rows, self.shares(measure)?),
                }
            }
        };
        Ok(AggregatePlan { rows, group_by, conditions, counts })
    }

    /// Denominator and numerator for each denominator that is asked for.
    fn shares(&self, measure: usize) -> Result<Vec<Count>> {
        let (of_whom, who) = self.share(measure)?;
        let counts = self.denominators.iter().flat_map(|denominator| {
            let among = match denominator {
                Denominator::Clients => None,
                Denominator::Population(name) => {
                    let mut years = self.populations.iter().filter(|(population, _)| population.note().name == *name);
                    years.next().map(|(_, years)| Condition::In {
                        of: Expression::Year(birth()),
                        values: years.iter().map(|year| Value::Integer(*year)).collect(),
                        or_null: false,
                    })
                }
                Denominator::Resident => self.resident.as_ref().map(|filter| filter.condition(Attribution::Last)),
                Denominator::Active(Reverse(years)) => {
                    let since = calendar::born_by(calendar::day(self.as_of), years * 12);
                    let last = Column::Client("last_vaccination".to_owned());
                    Some(Condition::NotBefore(last, calendar::date(since + 1)))
                }
            };
            let all: Vec<_> = of_whom.iter().cloned().chain(among).collect();
            let some = all.iter().cloned().chain([who.clone()]).collect();
            [Count::Rows(all), Count::Rows(some)]
        });
        Ok(counts.collect())
    }

    /// Beyond the cohort, whom the indicator is about; and of these, those whom it counts.
    fn share(&self, measure: usize) -> Result<(Vec<Condition>, Condition)> {
        let measures = self.context.measures;
        let parts = measures.deciding(measure);
        let missing = || Error::internal("a measure lacks what its indicator needs");
        let in_time = self.in_time(&parts, measure);
        let by_now = || {
            let met = parts.iter().map(|part| Condition::NotAfter(self.met(*part), self.as_of));
            Condition::All(met.collect())
        };
        Ok(match self.indicator {
            Indicator::Late => (Vec::new(), Condition::All(vec![by_now(), in_time.not()])),
            Indicator::OnTime => {
                let each = parts.iter().map(|part| {
                    let age = self.measure_at(*part).late_after.ok_or_else(missing)?;
                    let months = i32::try_from(age.months()).map_err(|_| missing())?;
                    let age_then = Expression::Months { birth: birth(), day: self.met(*part), less: age.days() };
                    Ok(Condition::Less(age_then, months))
                });
                (Vec::new(), Condition::All(each.collect::<Result<_>>()?))
            }
            Indicator::Dropout => {
                let from = measures.deciding(self.from.ok_or_else(missing)?);
                (vec![self.in_time(&from, measure)], in_time.not())
            }
            Indicator::Potential | Indicator::Missed => {
                let could = parts.iter().map(|part| {
                    let column = measures.potential(*part).ok_or_else(missing)?;
                    Ok(self.reached(Column::Client(column), measure))
                });
                let could = Condition::All(could.collect::<Result<_>>()?);
                let missed = self.indicator == Indicator::Missed;
                (Vec::new(), if missed { Condition::All(vec![could, in_time.not()]) } else { could })
            }
            Indicator::OneVisit => {
                let near = Column::Client(measures.near(measure).ok_or_else(missing)?);
                (vec![by_now().not()], Condition::NotAfter(near, self.as_of))
            }
            _ => match &measures.requirements()[measure] {
                Requirement::Series(_) | Requirement::AllOf(_) => (Vec::new(), in_time),
                Requirement::NoneOf(_) => {
                    let each = parts.iter().map(|part| self.in_time(&[*part], measure).not());
                    (Vec::new(), Condition::All(each.collect()))
                }
            },
        })
    }

    /// The column with the day on which a series was complete.
    fn met(&self, part: usize) -> Column {
        Column::Client(self.measure_at(part).column())
    }

    /// All of these series are complete by the age and the cutoff of a measure.
    fn in_time(&self, parts: &[usize], measure: usize) -> Condition {
        Condition::All(parts.iter().map(|part| self.reached(self.met(*part), measure)).collect())
    }

    /// A day is in time by the age and the cutoff of a measure.
    fn reached(&self, day: Column, measure: usize) -> Condition {
        let measure = self.measure_at(measure);
        let age = Column::Client(age_column(measure.by_age_months));
        match measure.cutoff {
            Cutoff::BeforeBirthday => Condition::Before(day, age),
            Cutoff::ThroughBirthday => Condition::Through(day, age),
        }
    }

    /// For a curve: the month of age to which a client is followed, and the one in which all parts were complete.
    fn times(&self, measure: usize) -> [Expression; 2] {
        let parts = self.context.measures.deciding(measure);
        let complete = parts.iter().map(|part| Condition::NotAfter(self.met(*part), self.as_of)).collect();
        let months = parts.iter().map(|part| Expression::Months { birth: birth(), day: self.met(*part), less: 0 });
        [
            Expression::MonthsBy { birth: birth(), day: self.as_of },
            Expression::Where(Box::new(Condition::All(complete)), Box::new(Expression::Largest(months.collect()))),
        ]
    }
}

fn birth() -> Column {
    Column::Client(names::BIRTH_DATE.to_owned())
}

/// Who is at risk in each step, from the events and the censored of all steps. The last step holds those who were
/// followed to the end without an event.
fn follow(steps: &mut [RawStep]) {
    let mut later = steps.last_mut().map_or(0, |last| std::mem::take(&mut last.at_risk));
    for step in steps.iter_mut().rev() {
        step.at_risk = later + step.events;
        later = step.at_risk + step.censored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_at_risk_are_all_who_are_seen_in_a_step_and_not_complete_before() {
        let step = |events, censored, at_risk| RawStep { at_risk, events, censored };
        // Ten clients: 2 + 1 complete, 3 not followed to the end of a step, 4 to the end of the curve.
        let mut steps = [step(0, 1, 0), step(2, 2, 0), step(1, 0, 4)];
        follow(&mut steps);
        assert!(steps == [step(0, 1, 9), step(2, 2, 7), step(1, 0, 5)]);
    }
}
