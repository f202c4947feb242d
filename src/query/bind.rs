//! What is asked → a question about what exists. Every error names the nearest thing that does.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::ask::{Ask, Attribution, AttributionChoice, Denominator, Indicator};
use super::axis::{Axis, Filter};
use super::{Context, People, Question};
use crate::dictionary::{Dimension, Level, names};
use crate::error::{Error, Result};
use crate::measure::{Requirement, season};
use crate::population::Population;

/// So many measures are named where one does not suit.
const LISTED: usize = 12;

/// The dimension of years of birth, which every population file has.
pub(super) const BIRTH_YEAR: &str = "birth_year";

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
            .hint("name the same dictionary file in phds.toml, or load all months again: `phds load --again`"));
        }
        // What is a dose, and when one was due, is of this file and of no measure.
        if manifest.opportunities.as_ref() != Some(context.measures.opportunities().edition()) {
            return Err(Error::usage(format!(
                "the month {} was loaded with other opportunities",
                manifest.reporting_period
            ))
            .hint("histories are evaluated when a month is loaded: `phds load --again`"));
        }
        let period_end = manifest.reporting_period.last_day();
        let as_of = ask.as_of.unwrap_or(period_end);
        if as_of > period_end {
            return Err(Error::usage(format!(
                "the as-of date is after the last day of the reporting period, {period_end}"
            ))
            .hint("name that day or an earlier end of a month, or leave `--as-of` away"));
        }
        let first = NaiveDate::from_ymd_opt(context.dictionary.first_inclusion_year(), 1, 1);
        if let Some(first) = first.filter(|first| as_of < *first) {
            return Err(Error::usage(format!("the as-of date is before the first day of the file, {first}"))
                .hint("name a later end of a month, or leave `--as-of` away"));
        }
        // A free choice of days would let two tables differ by the clients of one day.
        if as_of.checked_add_days(chrono::Days::new(1)).is_none_or(|next| next.day() != 1) {
            let month = crate::period::ReportingPeriod::of(as_of);
            return Err(Error::usage(format!("the as-of date {as_of} is not the last day of a month"))
                .hint(format!("name {}, or the last day of another month", month.last_day())));
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
        let (from, to) = question.born();
        if from > to {
            return Err(Error::usage(format!("nobody is in the cohort: it would be born from {from} to {to}")).hint(
                "doses before the first year of the file are cut off; choose a later as-of date or another measure",
            ));
        }
        question.asks_of_somebody()?;
        Ok(question)
    }

    /// Refuses a filter by which nobody of the cohort can be, because all its years or quarters of birth, or ages, are outside.
    /// A table without a row would look like an answer.
    fn asks_of_somebody(&self) -> Result<()> {
        let is_nobody = |(dimension, labels): &(&Dimension, &[String])| {
            self.outside_of_the_cohort(dimension, labels).len() == labels.len()
        };
        let Some((dimension, labels)) = self.filters().find(is_nobody) else { return Ok(()) };
        if dimension.level == Level::AgeAsOf {
            let (youngest, oldest) = self.ages();
            return Err(Error::usage(format!(
                "nobody of the cohort is of {} on {}: its youngest are of {youngest} months then, its oldest of {oldest}",
                labels.join(", "),
                self.as_of
            ))
            .hint("name other ages, another measure or another as-of date; `phds measures ID` says who is in the cohort"));
        }
        let (first, last) = self.born();
        Err(Error::usage(format!(
            "nobody of the cohort was born in {}: its years of birth are {} to {}",
            labels.join(", "),
            first.year(),
            last.year()
        ))
        .hint("name other years, another measure or another as-of date; `phds measures ID` says who is in the cohort"))
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
        if self.from.is_some() && self.from == self.measure {
            return Err(Error::usage("`--to` is the same measure as `--measure`: nobody drops out between them")
                .hint("name a later dose or series in `--to`, such as nis.dtap4 after nis.dtap3"));
        }
        if let (Some(from), Some(to)) = (self.from, self.measure)
            && self.context.measures.implies(from, to)
        {
            let [from, to] = [from, to].map(|at| &self.measure_at(at).id);
            return Err(Error::usage(format!(
                "nobody can drop out between `{from}` and `{to}`: whoever has the first has the second"
            ))
            .hint("name the earlier dose or series in `--measure`, and the later one in `--to`"));
        }
        if ask.to.is_some() && ask.indicator != Indicator::Dropout {
            return Err(
                Error::usage("`--to` is for dropout only").hint("leave `--to` away, or ask `phds query dropout`")
            );
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
                .hint("histories are evaluated when a month is loaded: `phds load --again`"));
            }
            self.suits(at)?;
        }
        match self.season().filter(|year| *year < manifest.first_inclusion_year) {
            None => Ok(()),
            Some(year) => Err(Error::usage(format!(
                "the season {} of the as-of date began before {}, the first year of the file",
                season::name_of(year),
                manifest.first_inclusion_year
            ))
            .hint(
                if season::year_of(manifest.reporting_period.last_day()) < manifest.first_inclusion_year {
                    "ask a later month: no season of the file has begun in this one".to_owned()
                } else {
                    format!("name an as-of date from {}-07-31 on", manifest.first_inclusion_year)
                },
            )),
        }
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
        if self.indicator != Indicator::Coverage && measures.season(at, self.as_of).is_some() {
            return Some("it asks about a season, and about no age".to_owned());
        }
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
                return Err(Error::usage(format!("the dimension `{id}` is there twice in `--by`"))
                    .hint(format!("name `{id}` once")));
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
        if !denominators.is_empty() && !self.indicator.is_of_shares() {
            return Err(Error::usage(format!("`{}` takes no `--denominator`", self.indicator.name()))
                .hint("leave `--denominator` away: it is for shares of clients, such as `phds query coverage`"));
        }
        if denominators.is_empty() {
            denominators.push(Denominator::Clients);
        }
        if denominators.contains(&Denominator::Resident) {
            let counties = if ask.counties.is_empty() { self.context.counties } else { &ask.counties };
            if counties.is_empty() {
                return Err(Error::usage("the denominator `resident` needs the counties of the department")
                    .hint("set `counties` in the section [query] of phds.toml"));
            }
            self.resident = Some(Axis::find(self.context.dictionary, names::COUNTY)?.filter(counties)?);
        } else if !ask.counties.is_empty() {
            return Err(Error::usage("`counties` says what the denominator `resident` means, which is not asked for")
                .hint("add it to `denominator`, or ask for clients of some counties by `where`"));
        }
        for denominator in &denominators {
            if let Denominator::Population(name) = denominator {
                self.populations.push(self.population(name)?);
            }
        }
        // Years that one file has and another has not would follow from the difference.
        if self.populations.windows(2).any(|pair| pair[0].years != pair[1].years) {
            return Err(Error::usage("the population files have different years of birth of the cohort")
                .hint("ask for them in questions of their own"));
        }
        self.denominators = denominators;
        Ok(())
    }

    /// A population file for the question. Refused is one that has some years for some places alone: its people and the
    /// clients would not be those of the same cells.
    fn population(&self, name: &str) -> Result<People<'a>> {
        if matches!(self.indicator, Indicator::Dropout | Indicator::OneVisit) || self.is_of_those_without() {
            return Err(Error::usage(format!(
                "`population:{name}` is of all people, and the question of those in the file"
            ))
            .hint("leave the denominator away"));
        }
        if self.tells_age() && self.by_year_of_birth().is_none() {
            return Err(Error::usage(format!(
                "`population:{name}` is by year of birth, and this age is of several: a year of age is one on the last day of a year"
            ))
            .hint("add `--as-of YYYY-12-31`, or ask by `birth_year`"));
        }
        let population = Population::open(self.context.store, self.context.dictionary, name)?;
        let (from, to) = self.born();
        let wholly = |year: &i32| {
            let day = |month, day| NaiveDate::from_ymd_opt(*year, month, day);
            day(1, 1).is_some_and(|first| first >= from) && day(12, 31).is_some_and(|last| last <= to)
        };
        let filters = self.labels_by_dimension();
        let of_filter = filters.iter().find(|(dimension, _)| dimension == BIRTH_YEAR).map(|(_, years)| years);
        let is_asked = |year: &i32| of_filter.is_none_or(|years| years.contains(&year.to_string()));
        let years = population.birth_years().into_iter().filter(|year| wholly(year) && is_asked(year));
        let years: BTreeSet<i32> = years.collect();
        if years.is_empty() {
            return Err(Error::usage(format!("`population:{name}` has no year of birth that is wholly in the cohort"))
                .hint(format!("the cohort is born from {from} to {to}; filters must leave one of its years")));
        }
        let mut people = People { population, years, places: Vec::new() };
        // Whether it has the dimensions is known before anything is counted.
        self.people(&people)?;
        for place in [names::COUNTY, names::ZIP] {
            if !people.population.dimensions().iter().any(|dimension| dimension == place) {
                continue;
            }
            let in_cohort = |year| people.years.contains(&year);
            let by = [place.to_owned(), BIRTH_YEAR.to_owned()];
            let cells = people.population.counts(&by, &filters, in_cohort)?;
            let places: BTreeSet<&String> = cells.keys().map(|labels| &labels[0]).collect();
            let lacking = places
                .iter()
                .find(|place| cells.keys().filter(|labels| labels[0] == ***place).count() < people.years.len());
            if let Some(lacking) = lacking {
                return Err(Error::usage(format!(
                    "`population:{name}` lacks a year of birth for {lacking} that it has for others"
                ))
                .hint("add the missing rows, also those of nobody, and take the file in again"));
            }
            let places: Vec<String> = places.into_iter().cloned().collect();
            people.places.push(Axis::find(self.context.dictionary, place)?.filter(&places)?);
        }
        Ok(people)
    }

    fn bind_attribution(&mut self, ask: &Ask) -> Result<()> {
        let used = self.is_attributed();
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
            Some(AttributionChoice::All) if matches!(self.indicator, Indicator::Curve | Indicator::Missing) => {
                return Err(Error::usage(format!("`{}` takes one rule of attribution", self.indicator.name()))
                    .hint("ask once for each rule"));
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
        if !self.indicator.is_of_shares() && (ask.standardize.is_some() || ask.funnel) {
            return Err(Error::usage(format!("`{}` has no rates to standardize or to limit", self.indicator.name()))
                .hint("leave `--standardize` and `--funnel` away"));
        }
        if ask.coarsen && (!self.indicator.is_of_shares() || ask.standardize.is_some() || ask.funnel) {
            return Err(Error::usage("`--coarsen` is for plain shares of clients").hint(
                "leave `--coarsen` away, or ask coverage, late, on-time, dropout, potential, missed or one-visit",
            ));
        }
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
        let of_organizations = matches!(self.by.as_slice(), [axis] if axis.dimension.level == Level::Attributed);
        if self.funnel && !(of_organizations && one_rule) {
            return Err(Error::usage("`--funnel` is for a table of organizations and nothing else")
                .hint("use `--by organization`, with one denominator and one rule of attribution"));
        }
        Ok(())
    }
}
