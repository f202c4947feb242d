//! A table that may leave the program, with everything that is needed to understand it.

use std::cmp::Reverse;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::ledger::Row;
use super::linked::{Follows, Reason};
use super::{POOL, Policy};
use crate::calendar;
use crate::dictionary::{Dimension, Level, names};
use crate::knowledge::Fingerprint;
use crate::measure::{Deadline, Measures, season};
use crate::period::ReportingPeriod;
use crate::provenance::{DeliveryId, Edition, Tool};
use crate::query::ask::{Ask, Attribution, Denominator, Indicator, by_in_words};
use crate::query::{People, Question};
use crate::statistics;
use crate::words::lower_first;

/// The name of a table's description, in its folder.
pub const DESCRIPTION: &str = "release.json";

/// What a cell tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The counts are there.
    Shown,
    /// The counts are withheld.
    Suppressed,
    /// The numerator is 0; the denominator is there.
    Zero,
    /// No client is in the denominator.
    NotApplicable,
    /// The counts are there, and tell too little of a rate.
    Unreliable,
}

impl Status {
    /// All that a row may tell.
    pub const ALL: [Self; 5] = [Self::Shown, Self::Suppressed, Self::Zero, Self::NotApplicable, Self::Unreliable];

    /// The status that a word in a table says.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Suppressed => "suppressed",
            Self::Zero => "zero",
            Self::NotApplicable => "not_applicable",
            Self::Unreliable => "unreliable",
        }
    }
}

/// A number of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Clients, doses, months or a rank.
    Count(u64),
    /// A share: 0 to 1, or more where a population has fewer people than the file has clients.
    Share(f64),
}

/// What the rows of a release tell, and so which numbers they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numerator, denominator, rate and its interval; and a rank, where rules of attribution stand side by side.
    Shares {
        /// Whether there is a rank.
        ranked: bool,
    },
    /// Shares with the limits between which they lie by chance alone.
    Funnel,
    /// Shares as if all groups were made up alike, with the plain one beside.
    Standardized,
    /// Persons and doses.
    Doses,
    /// A share that grows with age: one row for each stretch of months.
    Curve,
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A whole number.
    Count,
    /// A share: 0 to 1, or more where a population has fewer people than the file has clients.
    Share,
}

impl Unit {
    /// The word in the metadata of files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Share => "share",
        }
    }
}

/// A column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberColumn {
    /// Its name in files.
    pub name: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// What its numbers are.
    pub unit: Unit,
}

impl Kind {
    /// The columns of numbers, in their order.
    pub fn columns(self) -> Vec<NumberColumn> {
        let count = |name, title| NumberColumn { name, title, unit: Unit::Count };
        let share = |name, title| NumberColumn { name, title, unit: Unit::Share };
        let rate = [share("rate", "Rate"), share("ci_low", "From"), share("ci_high", "To")];
        let counts = [count("numerator", "Numerator"), count("denominator", "Denominator")];
        let shares = counts.into_iter().chain(rate);
        match self {
            Self::Shares { ranked } => shares.chain(ranked.then(|| count("rank", "Rank"))).collect(),
            Self::Funnel => shares
                .chain([
                    share("limit_998_low", "99.8 % from"),
                    share("limit_95_low", "95 % from"),
                    share("limit_95_high", "95 % to"),
                    share("limit_998_high", "99.8 % to"),
                ])
                .collect(),
            Self::Standardized => shares.chain([share("crude_rate", "Crude rate")]).collect(),
            Self::Doses => vec![count("persons", "Persons"), count("doses", "Doses")],
            Self::Curve => [
                count("age_months", "Age in months"),
                count("at_risk", "At risk"),
                count("events", "Up to date"),
                count("censored", "Left"),
            ]
            .into_iter()
            .chain(rate)
            .collect(),
        }
    }
}

/// One row of a release. A withheld one has no numbers to give.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The labels of its dimensions.
    pub labels: Vec<String>,
    /// What it tells.
    pub status: Status,
    values: Option<Vec<Option<Number>>>,
}

impl Cell {
    pub(super) fn shown(labels: Vec<String>, status: Status, values: Vec<Option<Number>>) -> Self {
        Self { labels, status, values: Some(values) }
    }

    pub(super) fn withheld(labels: Vec<String>, status: Status) -> Self {
        Self { labels, status, values: None }
    }

    /// Takes the numbers away.
    pub(super) fn withhold(&mut self) {
        (self.status, self.values) = (Status::Suppressed, None);
    }

    pub(super) fn add(&mut self, number: Option<Number>) {
        if let Some(values) = &mut self.values {
            values.push(number);
        }
    }

    /// The numbers, in the order of [`Kind::columns`].
    pub fn values(&self) -> Option<&[Option<Number>]> {
        self.values.as_deref()
    }

    /// The first share of the row: its rate.
    pub fn rate(&self) -> Option<f64> {
        self.values.as_ref()?.iter().find_map(|value| match value {
            Some(Number::Share(share)) => Some(*share),
            _ => None,
        })
    }
}

/// For whom a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The department's own staff, who lawfully hold the file.
    Internal,
    /// Everybody.
    Public,
}

impl Audience {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }

    /// The sentence on every page and figure.
    pub fn marking(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL: for the staff of this health department. Not for publication.",
            Self::Public => "PUBLIC: audited together with every table of this store that was published before.",
        }
    }
}

/// The measure of a release.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MeasureNote {
    /// Id.
    pub id: String,
    /// A few words.
    pub title: String,
    /// What counts, in a sentence.
    pub definition: String,
    /// Where the definition comes from.
    pub source: String,
    /// The CVX codes that count for it.
    pub cvx_codes: Vec<String>,
    /// Version of its file.
    pub version: String,
    /// Changes with the definition and its codes.
    pub fingerprint: Fingerprint,
}

/// A part of a combination, which may be missing.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PartNote {
    /// The id of its measure.
    pub id: String,
    /// A few words.
    pub title: String,
}

/// Who is counted.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CohortNote {
    /// In a sentence.
    pub description: String,
    /// The first day of birth; none for doses, which are of clients of all ages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub born_from: Option<NaiveDate>,
    /// The last day of birth; none for doses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub born_to: Option<NaiveDate>,
    /// The age in months that every client has reached by the as-of date; none for curves and doses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_months: Option<u32>,
    /// The season of the as-of date, such as 2024-25, where the measure asks about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<String>,
    /// The last day that counts.
    #[schemars(with = "String")]
    pub as_of: NaiveDate,
}

/// What the rates are shares of.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DenominatorNote {
    /// As `--denominator` names it.
    pub source: String,
    /// In a sentence.
    pub description: String,
    /// The population file, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<crate::population::Note>,
}

/// A rule by which a client belongs to an organization.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttributionNote {
    /// As `--attribution` names it.
    pub rule: Attribution,
    /// In a sentence.
    pub description: String,
}

/// A dimension of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DimensionNote {
    /// Name of its column.
    pub id: String,
    /// A few words.
    pub title: String,
    /// Whether it is the age on the as-of date: a class of it has other clients on another day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_age: bool,
}

impl DimensionNote {
    fn of(dimension: &Dimension) -> Self {
        let is_age = dimension.level == Level::AgeAsOf;
        Self { id: dimension.id.clone(), title: dimension.title.clone(), is_age }
    }
}

/// A filter.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FilterNote {
    /// Id of its dimension.
    pub dimension: String,
    /// The labels that are in.
    pub values: Vec<String>,
}

/// What the limits of organizations come from: shown rows only.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FunnelNote {
    /// The share of all rows together, or of the shown ones where the total would tell a small count; 0 to 1.
    pub target: f64,
    /// How many rows are shown.
    pub organizations: u64,
    /// How much more they differ than by chance, 1 for not at all; the mean square of winsorized z scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdispersion: Option<f64>,
    /// The probability of so much by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The factor by whose root the limits are widened; 1 unless the overdispersion is significant.
    pub factor_applied: f64,
}

/// When the clients of one curve were up to date: the ages in months before which half of them, and nine in ten, were. From
/// shown rows only; none where the curve does not get there.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CurveNote {
    /// The labels of the curve's rows.
    pub labels: Vec<String>,
    /// Before which age half of them were.
    pub half_by_months: Option<u64>,
    /// Before which age 90 % were.
    pub ninety_by_months: Option<u64>,
}

/// How intervals are made.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IntervalNote {
    /// In a sentence.
    pub method: String,
    /// Confidence level, 0 to 1.
    pub level: f64,
}

/// The policy by which cells were treated.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DisclosureNote {
    /// Version of the policy.
    pub version: String,
    /// No count of 1 to k - 1 is shown.
    pub k: u64,
    /// Why k is what it is.
    pub reason: String,
    /// A withheld number has at least so many values for everybody who computes with what is shown.
    pub w: u64,
    /// Why w is what it is.
    pub reason_of_w: String,
    /// Changes with the policy.
    pub fingerprint: Fingerprint,
    /// Releases for whose sake further rows of this one are withheld, with what would follow otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<BesideNote>,
}

impl DisclosureNote {
    /// The releases whose numbers stand for rows that are withheld here: these have changed by few clients since.
    pub fn standing(&self) -> Vec<&str> {
        self.beside.iter().filter(|note| note.is_of_a_change()).map(|note| note.release_id.as_str()).collect()
    }
}

/// Why rows are withheld that are not small themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BesideNote {
    /// The other release, or this one.
    pub release_id: String,
    /// What would follow, in a word; older descriptions have the sentence alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Follows>,
    /// What would follow, in a sentence.
    pub otherwise: String,
}

impl BesideNote {
    pub(super) fn of(reason: &Reason) -> Self {
        Self {
            release_id: reason.release.clone(),
            follows: Some(reason.rule),
            otherwise: reason.rule.sentence().to_owned(),
        }
    }

    /// Whether numbers have changed by few since the other release was published.
    pub(super) fn is_of_a_change(&self) -> bool {
        self.follows.or_else(|| Follows::said(&self.otherwise)) == Some(Follows::Change)
    }
}

/// A finer table of the same question, of which too little could be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FinerNote {
    /// The ids of its dimensions.
    pub dimensions: Vec<String>,
    /// Why it was not published.
    pub because: String,
    /// Releases for whose sake rows of it would have been withheld, with what would have followed otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<BesideNote>,
}

impl FinerNote {
    /// In a sentence.
    pub fn sentence(&self) -> String {
        let beside = self.beside.iter().map(|note| format!(", {} (release {})", note.otherwise, note.release_id));
        format!("{}: {}{}", by_in_words(&self.dimensions), self.because, beside.collect::<String>())
    }
}

/// What a word of the column `status` means, and its codes in the cross-domain code lists of SDMX. All suppressed rows have
/// the same: why one is, is not told.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StatusNote {
    /// The word.
    pub status: Status,
    /// What it means.
    pub meaning: String,
    /// SDMX `CL_OBS_STATUS` 2.1: A normal, M cannot exist, Q suppressed, U of low reliability.
    pub obs_status: String,
    /// SDMX `CL_CONF_STATUS` 1.2: C confidential, F free, N for internal use only.
    pub conf_status: String,
}

impl StatusNote {
    fn of(status: Status, audience: Audience) -> Self {
        let (meaning, obs_status) = match status {
            Status::Shown => ("the numbers are there", "A"),
            Status::Suppressed => ("withheld because it would tell a small count; suppressed is not zero", "Q"),
            Status::Zero => ("the numerator is 0", "A"),
            Status::NotApplicable => {
                ("nobody is in the denominator, or the population's file has nobody for the row", "M")
            }
            Status::Unreliable => ("shown, and of too few clients or too wide an interval to rely on", "U"),
        };
        let conf_status = match (status, audience) {
            (Status::Suppressed, _) => "C",
            (_, Audience::Internal) => "N",
            (_, Audience::Public) => "F",
        };
        let [meaning, obs_status, conf_status] = [meaning, obs_status, conf_status].map(str::to_owned);
        Self { status, meaning, obs_status, conf_status }
    }
}

/// A column of numbers of the table.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NumberNote {
    /// Name of the column.
    pub name: String,
    /// A few words.
    pub title: String,
    /// What its numbers are.
    pub unit: Unit,
}

/// A table file that a release was written to.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableNote {
    /// `txt`, `csv`, `xlsx`, `json`, `parquet`, `arrow`, `md` or `tex`.
    pub format: String,
    /// File name, beside this description.
    pub file: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Rows.
    pub rows: u64,
    /// Names of the columns.
    pub columns: Vec<String>,
}

/// `release.json`: what a release is. The same question to the same month gives the same bytes, so it has no clock time.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Document {
    /// 2.
    pub schema_version: u32,
    /// Changes with the question, the month and every file of knowledge behind it.
    pub release_id: String,
    /// For whom it is.
    pub audience: Audience,
    /// The sentence that goes on every page and figure.
    pub marking: String,
    /// What made it.
    pub tool: Tool,
    /// What the table tells: the name and its definition are in docs/indicators.md.
    pub indicator: Indicator,
    /// The indicator in a sentence.
    pub indicator_definition: String,
    /// What is measured; of dropout, the later measure. Doses have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<MeasureNote>,
    /// Of dropout, the earlier measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_measure: Option<MeasureNote>,
    /// What the ids in the column `missing` stand for, where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartNote>,
    /// Who is counted.
    pub cohort: CohortNote,
    /// What the rates are shares of. With several, each row names its own.
    pub denominators: Vec<DenominatorNote>,
    /// By which rule clients belong to organizations, in tables of organizations. With several, each row names its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributions: Vec<AttributionNote>,
    /// What the rows are told apart by: the first of the label columns.
    pub dimensions: Vec<DimensionNote>,
    /// Finer tables that were asked for before this one, the finest first, where it was asked with `--coarsen`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coarsened_from: Vec<FinerNote>,
    /// The columns of labels, which come first. Behind them is `measure`, except for doses.
    pub labels: Vec<String>,
    /// The columns of numbers, which come next. Behind them are `status` and `audience`.
    pub numbers: Vec<NumberNote>,
    /// What the words of `status` mean, here and in SDMX.
    #[serde(default)]
    pub statuses: Vec<StatusNote>,
    /// The filters.
    #[serde(rename = "where")]
    pub filters: Vec<FilterNote>,
    /// How intervals are made, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<IntervalNote>,
    /// What the limits of organizations come from, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funnel: Option<FunnelNote>,
    /// When the clients of each curve were up to date, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<CurveNote>,
    /// The dimension whose make-up was made alike, where one was: as all shown rows together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standardized_by: Option<DimensionNote>,
    /// The month, `YYYY-MM`.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// The file that the month was made from.
    pub delivery: DeliveryId,
    /// The dictionary.
    pub dictionary: Edition,
    /// The rules that the month was held to.
    pub rules: Edition,
    /// The policy by which cells were treated.
    pub disclosure: DisclosureNote,
    /// What a reader must know.
    pub caveats: Vec<String>,
    /// The table beside this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableNote>,
}

impl Document {
    pub(super) fn of(
        question: &Question<'_>,
        labels: &[String],
        policy: &Policy,
        audience: Audience,
        kind: Kind,
    ) -> Self {
        let manifest = question.partition().manifest();
        let policy_edition = policy.edition();
        let mut measures = question.measures_asked().map(|at| measure_note(question.measures(), at));
        let (measure, from_measure) = (measures.next(), measures.next());
        Self {
            schema_version: 2,
            release_id: String::new(),
            audience,
            marking: audience.marking().to_owned(),
            tool: Tool::this(),
            indicator: question.indicator(),
            indicator_definition: definition(question).to_owned(),
            measure,
            from_measure,
            parts: parts(question),
            cohort: cohort_note(question),
            denominators: match kind {
                Kind::Shares { .. } | Kind::Funnel | Kind::Standardized => {
                    let described = |source: &Denominator| DenominatorNote {
                        source: source.name(),
                        description: denominator_in_words(source, question),
                        population: population_of(source, question).map(|people| people.population.note().clone()),
                    };
                    question.denominators().iter().map(described).collect()
                }
                Kind::Doses | Kind::Curve => Vec::new(),
            },
            attributions: question
                .attributions()
                .iter()
                .map(|rule| AttributionNote { rule: *rule, description: rule.sentence().to_owned() })
                .collect(),
            dimensions: question
                .by()
                .enumerate()
                .filter(|(at, _)| question.standardized() != Some(*at))
                .map(|(_, dimension)| DimensionNote::of(dimension))
                .collect(),
            coarsened_from: Vec::new(),
            labels: labels.to_vec(),
            numbers: kind
                .columns()
                .into_iter()
                .map(|NumberColumn { name, title, unit }| NumberNote {
                    name: name.to_owned(),
                    title: title.to_owned(),
                    unit,
                })
                .collect(),
            statuses: Status::ALL.map(|status| StatusNote::of(status, audience)).to_vec(),
            filters: question
                .filters()
                .map(|(dimension, labels)| FilterNote { dimension: dimension.id.clone(), values: labels.to_vec() })
                .collect(),
            interval: interval_method(kind).map(|method| IntervalNote { method, level: policy.confidence() }),
            funnel: None,
            curves: Vec::new(),
            standardized_by: question.standardized().and_then(|at| question.by().nth(at)).map(DimensionNote::of),
            reporting_period: manifest.reporting_period,
            delivery: DeliveryId {
                bytes: if audience == Audience::Public { 0 } else { manifest.delivery.bytes },
                ..manifest.delivery.clone()
            },
            dictionary: manifest.dictionary.clone(),
            rules: manifest.rules.clone(),
            disclosure: DisclosureNote {
                version: policy_edition.version,
                k: policy.k(),
                reason: policy.reason().to_owned(),
                w: policy.w(),
                reason_of_w: policy.reason_of_w().to_owned(),
                fingerprint: policy_edition.fingerprint,
                beside: Vec::new(),
            },
            caveats: caveats(question, policy, audience, kind),
            table: None,
        }
    }

    /// What the column `measure` has.
    pub fn measure_label(&self) -> Option<String> {
        let measure = self.measure.as_ref()?;
        Some(match &self.from_measure {
            Some(from) => format!("{} to {}", from.id, measure.id),
            None => measure.id.clone(),
        })
    }

    /// The id of a release: of the question, the month, the knowledge behind it, and which rows are withheld.
    pub(super) fn identify(&self, cells: &[Cell]) -> String {
        let statuses: Vec<_> = cells.iter().map(|cell| cell.status.word()).collect();
        Fingerprint::of([
            ("release", serde_json::to_vec(self).unwrap_or_default().as_slice()),
            ("statuses", statuses.join(" ").as_bytes()),
        ])
        .to_string()
    }
}

fn measure_note(measures: &Measures, at: usize) -> MeasureNote {
    let measure = &measures.measures()[at];
    MeasureNote {
        id: measure.id.clone(),
        title: measure.title.clone(),
        definition: measure.definition.clone(),
        source: measure.source.clone(),
        cvx_codes: measures.cvx_codes(at).into_iter().map(str::to_owned).collect(),
        version: measures.versions()[at].clone(),
        fingerprint: measures.fingerprints()[at].clone(),
    }
}

/// The parts of the combination of which the missing ones are asked.
fn parts(question: &Question<'_>) -> Vec<PartNote> {
    let measures = question.measures();
    let combination = question.measures_asked().filter(|_| question.indicator() == Indicator::Missing);
    let parts = combination.flat_map(|at| measures.deciding(at)).map(|part| &measures.measures()[part]);
    parts.map(|part| PartNote { id: part.id.clone(), title: part.title.clone() }).collect()
}

fn definition(question: &Question<'_>) -> &'static str {
    match question.indicator() {
        Indicator::Coverage if question.is_of_those_without() && question.season().is_some() => {
            "Share of clients without a dose in the season, by the as-of date: the lower, the better."
        }
        Indicator::Coverage if question.is_of_those_without() => {
            "Share of clients without a dose in time: the lower, the better."
        }
        Indicator::Coverage if question.season().is_some() => {
            "Share of clients who met the measure in the season, by the as-of date."
        }
        Indicator::Coverage => "Share of clients who met the measure in time.",
        Indicator::Late => "Share of clients who were not up to date in time, and were by the as-of date.",
        Indicator::OnTime => "Share of clients who had each last dose before the schedule calls it late.",
        Indicator::Dropout => {
            "Share of clients up to date with the earlier measure, by the age of the later one, who were not with the later one."
        }
        Indicator::Potential => {
            "Share of clients who would have been up to date in time, had no opportunity been missed."
        }
        Indicator::Missed => {
            "Share of clients who were not up to date in time, and would have been, had no opportunity been missed."
        }
        Indicator::OneVisit => {
            "Share of the clients not up to date on the as-of date who lacked no more than one dose of each vaccine."
        }
        Indicator::Missing => "Share of clients who lacked exactly these parts of the combination in time.",
        Indicator::Curve => "Share of clients who were up to date before they reached each age.",
        Indicator::Doses => "Doses administered, and the people who had them.",
    }
}

fn cohort_note(question: &Question<'_>) -> CohortNote {
    let (born_from, born_to) = question.born();
    let as_of = question.as_of();
    let deadline = match question.indicator() {
        Indicator::Doses | Indicator::Curve => None,
        _ => question.measures_asked().next().map(|at| question.measures().deadline(at)),
    };
    let (age, who) = match (question.indicator(), deadline) {
        (Indicator::Doses, _) => (None, format!("Doses of clients of all ages, given on or before {as_of}")),
        (_, None) => (None, format!("Clients born on or after {born_from}, followed to {as_of}")),
        (_, Some(Deadline::Age(months, _))) => {
            let who =
                format!("Clients born on or after {born_from} who have reached {months} months of age by {as_of}");
            (Some(months), who)
        }
        (_, Some(Deadline::Season(season))) => {
            let year = season::year_of(as_of);
            let begins = calendar::date(*season::days_of(year).start());
            let who = format!(
                "Clients born from {born_from} to {born_to}; season {}, doses from {begins} to {as_of}",
                season::name_of(year)
            );
            (Some(season.from_age_months), who)
        }
    };
    let filters = question.filters().map(|(dimension, labels)| {
        let nobody = match question.outside_of_the_cohort(dimension, labels) {
            outside if outside.is_empty() => String::new(),
            outside => {
                let what = if dimension.level == Level::AgeAsOf { "is of" } else { "was born in" };
                format!(" (nobody of the cohort {what} {})", outside.join(", "))
            }
        };
        format!("; only {}: {}{nobody}", lower_first(&dimension.title), labels.join(", "))
    });
    let of_a_cohort = question.indicator() != Indicator::Doses;
    CohortNote {
        description: who + &filters.collect::<String>(),
        born_from: of_a_cohort.then_some(born_from),
        born_to: of_a_cohort.then_some(born_to),
        age_months: age,
        season: question.season().map(season::name_of),
        as_of,
    }
}

fn denominator_in_words(denominator: &Denominator, question: &Question<'_>) -> String {
    match denominator {
        Denominator::Clients => {
            let who = match question.indicator() {
                Indicator::Dropout => ", up to date with the earlier measure by the age of the later one",
                Indicator::OneVisit => ", not up to date on the as-of date",
                _ => "",
            };
            format!("Clients of the cohort with at least one accepted immunization in the file{who}")
        }
        Denominator::Resident => {
            format!(
                "Clients of the cohort whose latest county is {}",
                question.resident_counties().unwrap_or_default().join(", ")
            )
        }
        Denominator::Active(Reverse(1)) => {
            format!("Clients of the cohort with a visit in the year up to {}, or later", question.as_of())
        }
        Denominator::Active(Reverse(years)) => {
            format!("Clients of the cohort with a visit in the {years} years up to {}, or later", question.as_of())
        }
        Denominator::Population(name) => {
            let Some(people) = population_of(denominator, question) else { return name.clone() };
            let years = people.years.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
            format!(
                "People of {}, born in {years}; the numerator is of clients in the file born in these years, in the places that the population has",
                people.population.note().source
            )
        }
    }
}

fn population_of<'a, 'b>(source: &Denominator, question: &'a Question<'b>) -> Option<&'a People<'b>> {
    let Denominator::Population(name) = source else { return None };
    question.populations().iter().find(|people| people.population.note().name == *name)
}

fn interval_method(kind: Kind) -> Option<String> {
    match kind {
        Kind::Shares { .. } | Kind::Funnel => {
            Some(format!("Wilson's score; exact (Clopper and Pearson) up to {} clients", statistics::EXACT_UP_TO))
        }
        Kind::Standardized => Some("Wilson's score of the strata, weighted (Yan and Su 2010)".to_owned()),
        Kind::Curve => Some("Greenwood's variance on the scale of log(-log S)".to_owned()),
        Kind::Doses => None,
    }
}

/// Whether the rows are told apart by when clients were born, by year, quarter or age.
fn by_birth(question: &Question<'_>) -> bool {
    question.by().any(is_of_birth)
}

fn is_of_birth(dimension: &Dimension) -> bool {
    dimension.field == names::BIRTH_DATE
}

/// What a reader must know.
fn caveats(question: &Question<'_>, policy: &Policy, audience: Audience, kind: Kind) -> Vec<String> {
    let manifest = question.partition().manifest();
    let year = manifest.first_inclusion_year;
    let small = policy.k() - 1;
    let mut caveats = Vec::new();
    if !manifest.alarms.is_empty() {
        let found = "The check of the month's file found what may make its numbers wrong";
        caveats.push(match audience {
            // The codes and the report are the department's.
            Audience::Public => {
                let titles: Vec<_> = manifest.alarms.iter().map(|alarm| lower_first(&alarm.title)).collect();
                format!("{found}: {}.", titles.join("; "))
            }
            Audience::Internal => {
                let alarms: Vec<_> = manifest.alarms.iter().map(ToString::to_string).collect();
                let period = manifest.reporting_period;
                format!("{found}: {}. See `reports/{period}/report.html` of the store.", alarms.join("; "))
            }
        });
    }
    caveats.push("The Texas registry is opt-in: clients without consent are absent, and so is a child with no recorded dose. Rates among clients in the file tend to overstate coverage of the population.".to_owned());
    caveats.push(match kind {
        Kind::Doses => format!("Vaccinations before {year} should not be in the file, and are few; a season or year at its beginning or end is not whole."),
        _ => match question.complete_from() {
            Some(complete) => format!(
                "Vaccinations before {year} are not in the file, so clients born before {complete} are not in the cohort."
            ),
            None => format!("Vaccinations before {year} are not in the file; this measure does not look at them."),
        },
    });
    caveats
        .push("Recorded doses count as the definition says, valid or not; the file does not tell validity.".to_owned());
    caveats.push("County, sex and the like are those of the client's latest vaccination in the file.".to_owned());
    caveats.push(match kind {
        Kind::Shares { .. } | Kind::Funnel => format!("Rows with a numerator, a complement or a denominator of 1 to {small} are suppressed; suppressed is not zero."),
        Kind::Standardized => format!("A rate is suppressed when one of its strata has a numerator, a complement or a denominator of 1 to {small}, or nobody."),
        Kind::Doses => format!("Rows with 1 to {small} persons, or with 1 to {small} doses more than persons, are suppressed; suppressed is not zero."),
        Kind::Curve => format!("Months of age are taken together until no number of 1 to {small} is left; what is left at the end of a curve is not told."),
    });
    if audience == Audience::Public {
        caveats.push("Rows in which nobody or everybody is counted are suppressed. So are rows from which a small count would follow, with this table or an earlier one: a suppressed row may be a large one.".to_owned());
    }
    if question.denominators().len() > 1 || question.attributions().len() > 1 {
        caveats.push(format!(
            "A row is suppressed, too, when it differs from another one of its group by 1 to {small} clients."
        ));
    }
    if !question.populations().is_empty() {
        caveats.push("A population has everybody, also children without consent, whose doses are not in the file: rates of it understate coverage. Clients who moved away count where they were last seen, so a rate may be above 100 %.".to_owned());
    }
    let (born_from, born_to) = question.born();
    let begins_a_year = |day: NaiveDate| (day.month(), day.day()) == (1, 1);
    if question.by().any(|dimension| matches!(dimension.level, Level::Year | Level::Quarter) && is_of_birth(dimension))
        && kind != Kind::Doses
        && !(begins_a_year(born_from) && born_to.succ_opt().is_some_and(begins_a_year))
    {
        caveats.push(format!("Only clients born from {born_from} to {born_to} are in the cohort: a year or quarter of birth that goes beyond these days is not whole, and has fewer clients."));
    }
    if question.tells_age() {
        caveats.push(format!(
            "Ages are those on {}: as of another day, a class of age has other clients.",
            question.as_of()
        ));
    }
    let cut_off = question.ages_cut_off();
    if !cut_off.is_empty() && kind != Kind::Doses {
        caveats.push(format!(
            "Only clients born from {born_from} to {born_to} are in the cohort: of {}, it has a part.",
            cut_off.join(" and of ")
        ));
    }
    match question.indicator() {
        Indicator::Potential | Indicator::Missed => caveats.push("Why a dose was not given, the file does not tell: contraindications, refusals and shortages are in it, too. Minimum ages and intervals are those of CDSi.".to_owned()),
        Indicator::Late if by_birth(question) => caveats.push("Who was born later had less time to be late by the as-of date: shares of younger and older clients are not alike.".to_owned()),
        Indicator::OneVisit => caveats.push("Intervals and minimum ages are not asked: this is what a visit could complete at best.".to_owned()),
        Indicator::Missing => caveats.push(format!("Sets of fewer than {} clients are pooled as `{POOL}`.", policy.k())),
        _ => {}
    }
    if !question.attributions().is_empty() {
        caveats.push(
            "The file does not say whose patient a client is: `--attribution all` shows how much the rule matters."
                .to_owned(),
        );
    }
    if let Some(dimension) = question.standardized().and_then(|at| question.by().nth(at)) {
        caveats.push(format!("Rates are standardized by {}: as if each group had the make-up of all shown rows together. The crude rate is the plain one.", lower_first(&dimension.title)));
    }
    if kind == Kind::Funnel {
        caveats.push(
            "Of small groups, mostly those with 0 or 100 % can be shown: the cloud of small groups is not the whole."
                .to_owned(),
        );
        caveats.push("Limits tell what chance alone explains, not why: organizations differ in whom they see, and in which clients the rule gives them.".to_owned());
    }
    if matches!(kind, Kind::Shares { .. } | Kind::Funnel) {
        caveats.push("A rate is marked unreliable as in the National Immunization Surveys: fewer than 30 clients, or an interval whose half-width is more than 0.588 of the rate.".to_owned());
    }
    caveats.extend(question.measure_caveats());
    caveats
}

/// A table whose every cell has been treated. Only `disclosure` makes it.
#[derive(Clone, Debug)]
pub struct Release {
    document: Document,
    kind: Kind,
    cells: Vec<Cell>,
    kept: Kept,
}

/// The counts of a table of shares, for the ledger alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// The question by which they are labelled, where it is not the one that was asked: by year of birth in place of the age.
    pub question: Option<Ask>,
    /// Those that are shown, or that shown rates are made of.
    pub rows: Vec<Row>,
    /// Those of withheld rows.
    pub withheld: Vec<Row>,
    /// All rows together, shown or not.
    pub totals: Vec<Row>,
}

impl Release {
    pub(super) fn new(document: Document, kind: Kind, cells: Vec<Cell>, kept: Kept) -> Self {
        Self { document, kind, cells, kept }
    }

    /// For the ledger.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The content of `release.json`, without a table file.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The names of the columns of labels: the dimensions, and what tells rows of several rules apart.
    pub fn label_columns(&self) -> &[String] {
        &self.document.labels
    }

    /// What the rows tell.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The rows, in the order of their labels.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_an_older_release_is_what_its_sentence_says_and_stays_as_it_was() {
        for (text, is_of_a_change) in [
            (r#"{"release_id":"1","otherwise":"the change since then would be few clients"}"#, true),
            (r#"{"release_id":"1","otherwise":"the difference of two rows would be few clients"}"#, false),
            (r#"{"release_id":"1","follows":"change","otherwise":"said in other words"}"#, true),
            (r#"{"release_id":"1","follows":"growth","otherwise":"said in other words"}"#, false),
        ] {
            let note: BesideNote = serde_json::from_str(text).unwrap();
            assert_eq!(note.is_of_a_change(), is_of_a_change, "{text}");
            // Its bytes are in the id of the release.
            assert_eq!(serde_json::to_string(&note).unwrap(), text);
        }
    }
}
