//! A table that may leave the program, with everything that is needed to understand it.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::knowledge::Fingerprint;
use crate::period::ReportingPeriod;
use crate::provenance::{DeliveryId, Edition, Tool};
use crate::query::Coverage;

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
}

impl Status {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Suppressed => "suppressed",
            Self::Zero => "zero",
            Self::NotApplicable => "not_applicable",
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
    numbers: Option<Numbers>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Numbers {
    numerator: u64,
    denominator: u64,
    interval: (f64, f64),
}

impl Cell {
    pub(super) fn shown(
        labels: Vec<String>,
        status: Status,
        numerator: u64,
        denominator: u64,
        interval: (f64, f64),
    ) -> Self {
        Self { labels, status, numbers: Some(Numbers { numerator, denominator, interval }) }
    }

    pub(super) fn withheld(labels: Vec<String>, status: Status) -> Self {
        Self { labels, status, numbers: None }
    }

    /// Numerator and denominator, in clients.
    pub fn counts(&self) -> Option<(u64, u64)> {
        self.numbers.map(|numbers| (numbers.numerator, numbers.denominator))
    }

    /// Numerator over denominator, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
    pub fn rate(&self) -> Option<f64> {
        self.numbers.map(|numbers| numbers.numerator as f64 / numbers.denominator as f64)
    }

    /// The confidence interval of the rate, 0 to 1.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.numbers.map(|numbers| numbers.interval)
    }
}

/// For whom a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The department's own staff, who lawfully hold the file.
    Internal,
}

impl Audience {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
        }
    }

    /// The sentence on every page and figure.
    pub fn marking(self) -> &'static str {
        match self {
            Self::Internal => {
                "INTERNAL: for the staff of this health department. Not for publication: not yet audited together with earlier releases."
            }
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

/// Who is counted.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CohortNote {
    /// In a sentence.
    pub description: String,
    /// The first day of birth.
    #[schemars(with = "String")]
    pub born_from: NaiveDate,
    /// The age in months that every client has reached by the as-of date.
    pub age_months: u32,
    /// The last day that counts.
    #[schemars(with = "String")]
    pub as_of: NaiveDate,
}

/// What the rates are shares of.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DenominatorNote {
    /// `clients_in_file`
    pub source: String,
    /// In a sentence.
    pub description: String,
}

/// A dimension of the table.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DimensionNote {
    /// Name of its column.
    pub id: String,
    /// A few words.
    pub title: String,
}

/// A filter.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FilterNote {
    /// Id of its dimension.
    pub dimension: String,
    /// The labels that are in.
    pub values: Vec<String>,
}

/// How intervals are made.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IntervalNote {
    /// `wilson`
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
    /// Changes with the policy.
    pub fingerprint: Fingerprint,
}

/// A table file that a release was written to.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableNote {
    /// `txt`, `csv`, `json`, `parquet` or `arrow`.
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
    /// 1.
    pub schema_version: u32,
    /// Changes with the question, the month and every file of knowledge behind it.
    pub release_id: String,
    /// For whom it is.
    pub audience: Audience,
    /// The sentence that goes on every page and figure.
    pub marking: String,
    /// What made it.
    pub tool: Tool,
    /// `coverage`
    pub indicator: String,
    /// What is measured.
    pub measure: MeasureNote,
    /// Who is counted.
    pub cohort: CohortNote,
    /// What the rates are shares of.
    pub denominator: DenominatorNote,
    /// The columns that come first.
    pub dimensions: Vec<DimensionNote>,
    /// The filters.
    #[serde(rename = "where")]
    pub filters: Vec<FilterNote>,
    /// How intervals are made.
    pub interval: IntervalNote,
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
    pub(super) fn of(question: &Coverage<'_>, policy: &Policy) -> Self {
        let manifest = question.partition().manifest();
        let measure = question.measure();
        let (version, fingerprint) = question.measure_edition();
        let policy_edition = policy.edition();
        let audience = Audience::Internal;
        let months = measure.by_age_months;
        let year = manifest.first_inclusion_year;
        let mut document = Self {
            schema_version: 1,
            release_id: String::new(),
            audience,
            marking: audience.marking().to_owned(),
            tool: Tool::this(),
            indicator: "coverage".to_owned(),
            measure: MeasureNote {
                id: measure.id.clone(),
                title: measure.title.clone(),
                definition: measure.definition.clone(),
                source: measure.source.clone(),
                cvx_codes: question.cvx_codes(),
                version: version.to_owned(),
                fingerprint: fingerprint.clone(),
            },
            cohort: CohortNote {
                description: {
                    let filters = question.filters().map(|(dimension, labels)| {
                        format!("; only {}: {}", dimension.title.to_lowercase(), labels.join(", "))
                    });
                    format!(
                        "Clients born on or after {} who have reached {months} months of age by {}{}",
                        question.born_from(),
                        question.as_of(),
                        filters.collect::<String>()
                    )
                },
                born_from: question.born_from(),
                age_months: months,
                as_of: question.as_of(),
            },
            denominator: DenominatorNote {
                source: "clients_in_file".to_owned(),
                description: "Clients of the cohort with at least one accepted immunization in the file".to_owned(),
            },
            dimensions: question
                .by()
                .iter()
                .map(|dimension| DimensionNote { id: dimension.id.clone(), title: dimension.title.clone() })
                .collect(),
            filters: question
                .filters()
                .map(|(dimension, labels)| FilterNote { dimension: dimension.id.clone(), values: labels.to_vec() })
                .collect(),
            interval: IntervalNote { method: "wilson".to_owned(), level: policy.confidence() },
            reporting_period: manifest.reporting_period,
            delivery: manifest.delivery.clone(),
            dictionary: manifest.dictionary.clone(),
            rules: manifest.rules.clone(),
            disclosure: DisclosureNote {
                version: policy_edition.version,
                k: policy.k(),
                reason: policy.reason().to_owned(),
                fingerprint: policy_edition.fingerprint,
            },
            caveats: vec![
                "The Texas registry is opt-in: clients without consent are absent, and so is a child with no recorded dose. Rates among clients in the file tend to overstate coverage of the population.".to_owned(),
                format!("Vaccinations before {year} are not in the file, so clients born before {} are not in the cohort.", question.complete_from()),
                "Recorded doses count as the definition says, valid or not; the file does not tell validity.".to_owned(),
                "County, sex and the like are those of the client's latest vaccination in the file.".to_owned(),
                format!("Rows with a numerator, a complement or a denominator of 1 to {} are suppressed; suppressed is not zero.", policy.k() - 1),
            ],
            table: None,
        };
        document.caveats.extend(question.measure_caveats());
        document.release_id = document.identify();
        document
    }

    fn identify(&self) -> String {
        Fingerprint::of([("release", serde_json::to_vec(self).unwrap_or_default().as_slice())]).to_string()
    }
}

/// A table whose every cell has been treated. Only `disclosure` makes it.
#[derive(Clone, Debug)]
pub struct Release {
    document: Document,
    dimensions: Vec<String>,
    cells: Vec<Cell>,
}

impl Release {
    pub(super) fn new(document: Document, dimensions: Vec<String>, cells: Vec<Cell>) -> Self {
        Self { document, dimensions, cells }
    }

    /// The content of `release.json`, without a table file.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The names of the dimension columns.
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

    /// The rows, in the order of their labels.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}
