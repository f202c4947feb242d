//! A closed question → a plan → SQL → raw counts that only `disclosure` may look at.

pub mod engine;
#[cfg(test)]
mod oracle;
pub mod plan;
mod sql;

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use crate::calendar::{self, born_by};
use crate::convert::Partition;
use crate::convert::manifest::Table;
use crate::dictionary::{Dictionary, Dimension, FieldType, Level, names, nearest};
use crate::error::{Error, Result};
use crate::measure::{Basis, Cutoff, Measure, Measures, Requirement, age_column};
use engine::Engine;
use plan::{AggregatePlan, Condition, Series, Value};

/// What stands for "not known" in tables and filters.
pub const UNKNOWN: &str = "Unknown";

/// A filter as it was typed: a dimension and one or more of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    /// Id of the dimension.
    pub dimension: String,
    /// Codes or labels.
    pub values: Vec<String>,
}

/// A coverage question whose measure, dimensions and values are known to exist.
#[derive(Clone, Debug)]
pub struct Coverage<'a> {
    dictionary: &'a Dictionary,
    measures: &'a Measures,
    partition: &'a Partition,
    measure: usize,
    by: Vec<&'a Dimension>,
    filters: Vec<Filter<'a>>,
    as_of: NaiveDate,
}

#[derive(Clone, Debug)]
struct Filter<'a> {
    dimension: &'a Dimension,
    values: Vec<Value>,
    unknown: bool,
    /// As the values read in a table.
    labels: Vec<String>,
}

/// Integer counts before disclosure control. Only `disclosure` reads them: the fields are this crate's own, there is no
/// serialisation, and `Debug` shows nothing.
pub struct RawTable {
    /// The ids of the dimensions.
    pub(crate) dimensions: Vec<String>,
    /// One row for each combination of labels that has clients, in the order of the labels.
    pub(crate) rows: BTreeMap<Vec<String>, RawCount>,
}

/// Distinct clients of one group.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawCount {
    /// Those that met the measure.
    pub numerator: u64,
    /// All.
    pub denominator: u64,
}

impl std::fmt::Debug for RawTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawTable")
    }
}

impl<'a> Coverage<'a> {
    /// Binds a question to what is there; every error names the nearest thing that exists.
    pub fn new(
        dictionary: &'a Dictionary,
        measures: &'a Measures,
        partition: &'a Partition,
        measure: &str,
        by: &[String],
        filters: &[Where],
        as_of: Option<NaiveDate>,
    ) -> Result<Self> {
        let manifest = partition.manifest();
        let measure = measures.position(measure)?;
        let same = |id: &str, fingerprint| {
            manifest.measures.iter().any(|loaded| loaded.id == id && loaded.fingerprint == fingerprint)
        };
        if !same(&measures.measures()[measure].id, measures.fingerprints()[measure].clone()) {
            return Err(Error::usage(format!(
                "the month {} was loaded with another definition of `{}`",
                manifest.reporting_period,
                measures.measures()[measure].id
            ))
            .hint("load the month again: histories are evaluated then"));
        }
        if manifest.dictionary != dictionary.edition() {
            return Err(Error::usage(format!(
                "the month {} was loaded with another dictionary",
                manifest.reporting_period
            ))
            .hint("name the same dictionary file in phds.toml, or load the month again"));
        }
        let period_end = manifest.reporting_period.last_day();
        let as_of = as_of.unwrap_or(period_end);
        if as_of > period_end {
            return Err(Error::usage(format!(
                "the as-of date is after the last day of the reporting period, {period_end}"
            )));
        }
        // A free choice of days would let two tables differ by the clients of one day.
        if as_of.checked_add_days(chrono::Days::new(1)).is_none_or(|next| next.day() != 1) {
            return Err(Error::usage("the as-of date must be the last day of a month"));
        }
        if by.is_empty() {
            return Err(
                Error::usage("a table needs at least one dimension in `--by`").hint("`phds dimensions` lists them")
            );
        }
        let by = by.iter().map(|id| dictionary.dimension(id)).collect::<Result<Vec<_>>>()?;
        for (at, dimension) in by.iter().enumerate() {
            if by[..at].iter().any(|earlier| earlier.id == dimension.id) {
                return Err(Error::usage(format!("the dimension `{}` is there twice in `--by`", dimension.id)));
            }
        }
        let mut bound: Vec<Filter> = Vec::new();
        for filter in filters {
            let dimension = dictionary.dimension(&filter.dimension)?;
            if bound.iter().any(|earlier| earlier.dimension.id == dimension.id) {
                return Err(Error::usage(format!("the dimension `{}` is filtered twice", dimension.id))
                    .hint(format!("write `--where {}=A,B`", dimension.id)));
            }
            bound.push(bind(dictionary, dimension, &filter.values)?);
        }
        // The same question is the same release, in whatever order its filters were typed.
        bound.sort_by(|a, b| a.dimension.id.cmp(&b.dimension.id));
        Ok(Self { dictionary, measures, partition, measure, by, filters: bound, as_of })
    }

    /// The measure.
    pub fn measure(&self) -> &'a Measure {
        &self.measures.measures()[self.measure]
    }

    /// The CVX codes that count for the measure.
    pub fn cvx_codes(&self) -> Vec<String> {
        self.measures.cvx_codes(self.measure).into_iter().map(str::to_owned).collect()
    }

    /// Version and fingerprint of the measure.
    pub fn measure_edition(&self) -> (&'a str, &'a crate::knowledge::Fingerprint) {
        (&self.measures.versions()[self.measure], &self.measures.fingerprints()[self.measure])
    }

    /// The month.
    pub fn partition(&self) -> &'a Partition {
        self.partition
    }

    /// The dimensions of the table.
    pub fn by(&self) -> &[&'a Dimension] {
        &self.by
    }

    /// Each filter: dimension and labels.
    pub fn filters(&self) -> impl Iterator<Item = (&'a Dimension, &[String])> {
        self.filters.iter().map(|filter| (filter.dimension, filter.labels.as_slice()))
    }

    /// The last day that counts.
    pub fn as_of(&self) -> NaiveDate {
        self.as_of
    }

    /// What the measure is not, and what must be known of it.
    pub fn measure_caveats(&self) -> Vec<String> {
        let trust = (self.measure().basis == Basis::Memory).then(|| self.measures.trust(self.measure));
        let schedule = self.measures.edition_of_schedule(self.measure);
        let own = self.measures.caveats(self.measure);
        trust.into_iter().chain(schedule).chain(own).map(str::to_owned).collect()
    }

    /// The first day of birth whose doses for the measure are all in the file: those of earlier births are cut off.
    pub fn complete_from(&self) -> NaiveDate {
        let year = self.partition.manifest().first_inclusion_year;
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(NaiveDate::MIN);
        self.measure()
            .history_from_months
            .map_or(first, |months| calendar::date(born_by(calendar::day(first) - 1, months) + 1))
    }

    /// The first day of birth in the cohort.
    pub fn born_from(&self) -> NaiveDate {
        let young = self
            .measure()
            .under_age_months
            .map(|months| calendar::date(born_by(calendar::day(self.as_of), months) + 1));
        young.map_or(self.complete_from(), |young| young.max(self.complete_from()))
    }

    fn plan(&self) -> AggregatePlan {
        let measure = self.measure();
        let born_to = born_by(calendar::day(self.as_of), measure.by_age_months);
        let birth = || names::BIRTH_DATE.to_owned();
        let mut conditions = vec![
            Condition::NotBefore { column: birth(), day: self.born_from() },
            Condition::NotAfter { column: birth(), day: calendar::date(born_to) },
        ];
        conditions.extend(self.filters.iter().map(|filter| Condition::In {
            column: filter.dimension.column().to_owned(),
            values: filter.values.clone(),
            or_null: filter.unknown,
        }));
        let deciding = self.measures.deciding(self.measure).into_iter().map(|part| Series {
            met: self.measures.measures()[part].column(),
            reached: age_column(measure.by_age_months),
            through: measure.cutoff == Cutoff::ThroughBirthday,
        });
        let numerator = match &self.measures.requirements()[self.measure] {
            Requirement::Series(_) | Requirement::AllOf(_) => deciding.map(Condition::Met).collect(),
            Requirement::NoneOf(_) => deciding.map(Condition::NotMet).collect(),
        };
        AggregatePlan {
            group_by: self.by.iter().map(|dimension| dimension.column().to_owned()).collect(),
            conditions,
            numerator,
        }
    }

    /// Counts distinct clients by group.
    pub fn count(&self, engine: &mut dyn Engine) -> Result<RawTable> {
        let groups = engine.aggregate(&self.plan(), &self.partition.files(Table::Clients)?)?;
        let mut rows: BTreeMap<Vec<String>, RawCount> = BTreeMap::new();
        for group in groups {
            let labels =
                self.by.iter().zip(&group.key).map(|(dimension, value)| self.label(dimension, value.as_deref()));
            // A recorded "unknown" and a missing value read the same, so they are one group.
            let count = rows.entry(labels.collect()).or_default();
            count.numerator += group.numerator;
            count.denominator += group.denominator;
        }
        Ok(RawTable { dimensions: self.by.iter().map(|dimension| dimension.id.clone()).collect(), rows })
    }

    fn label(&self, dimension: &Dimension, value: Option<&str>) -> String {
        let Some(value) = value else { return UNKNOWN.to_owned() };
        let codelist = match dimension.level {
            Level::Value => self.dictionary.field(&dimension.field).and_then(|field| self.dictionary.codelist(field)),
            Level::Year | Level::Parent => None,
        };
        let code =
            codelist.and_then(|codelist| Some(&codelist.codes()[usize::from(codelist.find(value.as_bytes(), false)?)]));
        code.map_or(value, |code| &code.label).to_owned()
    }
}

impl Dimension {
    /// The column of `clients` that holds it.
    fn column(&self) -> &str {
        match self.level {
            Level::Value => &self.field,
            Level::Year | Level::Parent => &self.id,
        }
    }
}

/// Typed values → what is stored.
fn bind<'a>(dictionary: &'a Dictionary, dimension: &'a Dimension, typed: &[String]) -> Result<Filter<'a>> {
    let field = dictionary.field(&dimension.field).ok_or_else(|| Error::internal("a dimension without a field"))?;
    let codelist = dictionary.codelist(field);
    let wrong =
        |value: &str, hint: String| Error::usage(format!("`{value}` is no value of `{}`", dimension.id)).hint(hint);
    let mut filter = Filter { dimension, values: Vec::new(), unknown: false, labels: Vec::new() };
    for value in typed.iter().map(|value| value.trim()) {
        let mut label = value.to_owned();
        let is_unknown = value.eq_ignore_ascii_case(UNKNOWN);
        filter.unknown |= is_unknown;
        match (dimension.level, codelist) {
            (Level::Value, Some(codelist)) if field.field_type == FieldType::Code => {
                match codelist.find(value.as_bytes(), true) {
                    Some(at) => {
                        let code = &codelist.codes()[usize::from(at)];
                        filter.values.push(Value::Text(code.code.clone()));
                        label.clone_from(&code.label);
                        filter.unknown |= code.label == UNKNOWN;
                    }
                    None if is_unknown => {}
                    None => {
                        let known = codelist.codes().iter().map(|code| code.label.as_str());
                        return Err(wrong(value, nearest(value, known, "phds dictionary --json")));
                    }
                }
            }
            (Level::Parent, Some(codelist)) => {
                let column = dimension.parent.as_deref().unwrap_or_default();
                let known = (0u16..).take(codelist.codes().len()).map(|at| codelist.value(at, column));
                if known.clone().any(|known| known == value) {
                    filter.values.push(Value::Text(value.to_owned()));
                } else if !is_unknown {
                    return Err(wrong(value, nearest(value, known, "phds dictionary --json")));
                }
            }
            (Level::Year, _) => match value.parse() {
                Ok(year) => filter.values.push(Value::Integer(year)),
                Err(_) if is_unknown => {}
                Err(_) => return Err(wrong(value, "write a year, for example 2021".to_owned())),
            },
            _ if field.has_form(value.as_bytes()) => {
                field.kept(value).clone_into(&mut label);
                filter.values.push(Value::Text(label.clone()));
            }
            _ if is_unknown => {}
            _ => return Err(wrong(value, format!("what the field holds: {}", field.description))),
        }
        filter.labels.push(if is_unknown { UNKNOWN.to_owned() } else { label });
    }
    filter.labels.sort();
    filter.labels.dedup();
    if filter.labels.is_empty() {
        return Err(Error::usage(format!("the filter on `{}` names no value", dimension.id)));
    }
    Ok(filter)
}
