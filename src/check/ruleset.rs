//! Rule files → a [`Ruleset`] whose rules name real fields of the right type.

use std::collections::HashSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::dictionary::{Dictionary, FieldType, Unlisted, names};
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};
use crate::period::ReportingPeriod;
use crate::provenance::Edition;

const FILE: &str = "rules.toml";

/// What a failed rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The row is out.
    Reject,
    /// The row is kept and counted.
    Review,
    /// The whole file is out.
    Refuse,
}

impl Severity {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Review => "review",
            Self::Refuse => "refuse",
        }
    }
}

/// A day that a rule compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Limit {
    /// A day of the reporting period.
    Named(NamedDay),
    /// A fixed day, ISO.
    Fixed(NaiveDate),
}

/// A day that follows from the reporting period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedDay {
    /// The last day of the reporting period.
    PeriodEnd,
    /// The day by which the file of the period is due.
    DueDate,
}

impl Limit {
    /// The day, for a period.
    pub fn day(&self, period: ReportingPeriod) -> NaiveDate {
        match self {
            Self::Fixed(day) => *day,
            Self::Named(NamedDay::PeriodEnd) => period.last_day(),
            Self::Named(NamedDay::DueDate) => period.due_date(),
        }
    }
}

/// What kind of disaster item a vaccine or product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisasterItem {
    /// A COVID-19 vaccine.
    Vaccine,
    /// A COVID-19 antiviral or antibody.
    Therapeutic,
}

/// Which check carries a rule out, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each rule says what it is in `what`, in the rules file")]
pub enum Kind {
    FileEmpty,
    UnknownColumn,
    MissingColumn,
    DoubledColumn,
    NoRows,
    FieldCount,
    NotUtf8,
    StrayQuote,
    CutOff,
    RejectedShare,
    Required,
    Expected,
    Date,
    Integer,
    Code { unlisted: Unlisted },
    Pattern,
    DateOrder { earlier: String, later: String },
    DateRange { column: String, after: Option<Limit>, up_to: Option<Limit>, before: Option<Limit> },
    DisasterWindow { item: DisasterItem },
    ConsentClass,
    ConsentActive { years: u32 },
    ConsentRecorded,
}

impl Kind {
    /// The one severity that the kind can have, where the row or the file cannot go on.
    fn only_severity(&self) -> Option<Severity> {
        match self {
            Self::FileEmpty
            | Self::UnknownColumn
            | Self::MissingColumn
            | Self::DoubledColumn
            | Self::NoRows
            | Self::CutOff
            | Self::RejectedShare => Some(Severity::Refuse),
            Self::FieldCount
            | Self::NotUtf8
            | Self::StrayQuote
            | Self::Required
            | Self::Date
            | Self::Integer
            | Self::Code { unlisted: Unlisted::Reject } => Some(Severity::Reject),
            _ => None,
        }
    }

    /// The kinds of which the check needs exactly one rule each.
    fn built_on() -> Vec<Self> {
        vec![
            Self::FileEmpty,
            Self::UnknownColumn,
            Self::MissingColumn,
            Self::DoubledColumn,
            Self::NoRows,
            Self::FieldCount,
            Self::NotUtf8,
            Self::StrayQuote,
            Self::CutOff,
            Self::RejectedShare,
            Self::Required,
            Self::Expected,
            Self::Date,
            Self::Integer,
            Self::Code { unlisted: Unlisted::Reject },
            Self::Code { unlisted: Unlisted::Review },
            Self::Pattern,
        ]
    }
}

/// One rule: what it checks, and the text that `phds explain` prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Stable code, such as `PHDS-R01`.
    pub code: String,
    /// What a failure does.
    pub severity: Severity,
    /// Names the bad pattern in a few words.
    pub title: String,
    /// What it is.
    pub what: String,
    /// Why it is bad, with the source where there is one.
    pub why: String,
    /// An invented example.
    pub example: String,
    /// What to do.
    pub remedy: String,
    /// The check and its parameters.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The disaster period and where its items are listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disaster {
    /// First day.
    pub from: NaiveDate,
    /// Last day, included.
    pub to: NaiveDate,
    /// Codelist of items: columns item, column, code and any more.
    pub items: String,
}

/// When a consent type covers a kind of item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    /// Always.
    Always,
    /// Only together with disaster consent.
    WithDisasterConsent,
    /// Never.
    Never,
}

/// One line of the consent matrix.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Consent type: IA, IC, DC, PA.
    #[serde(rename = "type")]
    pub consent_type: String,
    /// Standard items.
    pub standard: Covers,
    /// Disaster items.
    pub disaster: Covers,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: u32,
    version: String,
    #[serde(rename = "rule")]
    rules: Vec<Rule>,
    disaster: Disaster,
    #[serde(rename = "consent")]
    consents: Vec<Consent>,
}

/// One product that is a disaster item: a code of one field.
#[derive(Clone, Debug, Deserialize)]
struct ItemLine {
    item: DisasterItem,
    column: String,
    code: String,
}

/// All rules, proved against a dictionary.
#[derive(Clone, Debug)]
pub struct Ruleset {
    document: Document,
    items: Vec<ItemLine>,
    fingerprint: Fingerprint,
}

impl Ruleset {
    /// The built-in rules.
    pub fn built_in(dictionary: &Dictionary) -> Result<Self> {
        let document: Document = knowledge::parse(FILE, knowledge::text(FILE)?)?;
        let items_text = knowledge::text(&format!("codelists/{}.csv", document.disaster.items))?;
        let items = csv::Reader::from_reader(items_text.as_bytes())
            .deserialize()
            .collect::<Result<Vec<ItemLine>, _>>()
            .map_err(|_| Error::usage("the list of disaster items needs the columns item, column and code"))?;
        let text = serde_json::to_vec(&document).map_err(|_| Error::internal("the rules have no JSON form"))?;
        let fingerprint =
            Fingerprint::of([(FILE, text.as_slice()), (document.disaster.items.as_str(), items_text.as_bytes())]);
        let rules = Self { document, items, fingerprint };
        rules.prove(dictionary)?;
        Ok(rules)
    }

    fn prove(&self, dictionary: &Dictionary) -> Result<()> {
        if self.document.schema_version != 1 {
            return Err(Error::usage("the rules have a schema_version that this program does not know; it knows 1"));
        }
        let mut codes = HashSet::new();
        for rule in self.rules() {
            let wrong = |what: &str| Err(Error::usage(format!("rule {}: {what}", rule.code)));
            if !codes.insert(&rule.code) {
                return wrong("the code is there twice");
            }
            if rule.kind.only_severity().map_or(rule.severity == Severity::Refuse, |only| only != rule.severity) {
                return wrong("a rule of this kind cannot have this severity");
            }
            let columns: &[&String] = match &rule.kind {
                Kind::DateOrder { earlier, later } => &[earlier, later],
                Kind::DateRange { column, .. } => &[column],
                _ => &[],
            };
            for column in columns {
                if dictionary.position(column).is_none_or(|at| dictionary.fields()[at].field_type != FieldType::Date) {
                    return wrong("it names a field that is not a date of the dictionary");
                }
            }
        }
        for kind in Kind::built_on() {
            if self.rules().iter().filter(|rule| rule.kind == kind).count() != 1 {
                return Err(Error::usage(format!("the rules need exactly one of kind {kind:?}")));
            }
        }
        for line in &self.items {
            let field = dictionary.position(&line.column).map(|at| &dictionary.fields()[at]);
            let codelist = field.and_then(|field| dictionary.codelist(field));
            if codelist.is_none_or(|codelist| codelist.find(line.code.as_bytes(), false).is_none()) {
                return Err(Error::usage(format!(
                    "disaster item {} is not a code of field `{}`",
                    line.code, line.column
                )));
            }
        }
        Ok(())
    }

    /// The rules in the order of their file.
    pub fn rules(&self) -> &[Rule] {
        &self.document.rules
    }

    /// Version and fingerprint, as printed on every output.
    pub fn edition(&self) -> Edition {
        Edition {
            id: "rules".to_owned(),
            version: self.document.version.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// The disaster period.
    pub fn disaster(&self) -> &Disaster {
        &self.document.disaster
    }

    /// The consent matrix.
    pub fn consents(&self) -> &[Consent] {
        &self.document.consents
    }

    /// The position of the rule of a kind on which the check is built.
    pub(super) fn position(&self, kind: &Kind) -> Result<usize> {
        self.rules()
            .iter()
            .position(|rule| rule.kind == *kind)
            .ok_or_else(|| Error::internal("a rule that the check is built on is gone"))
    }

    /// A rule by its code, without regard to case; the error names the nearest one.
    pub fn rule(&self, code: &str) -> Result<&Rule> {
        let wanted = code.to_ascii_uppercase();
        self.rules().iter().find(|rule| rule.code == wanted).ok_or_else(|| {
            let codes = self.rules().iter().map(|rule| rule.code.as_str());
            Error::usage(format!("there is no rule `{code}`")).hint(crate::dictionary::nearest(
                &wanted,
                codes,
                "phds explain",
            ))
        })
    }

    /// The kind of disaster item for every code of a field, by the code's position.
    pub(super) fn items_of(&self, dictionary: &Dictionary, field: &str) -> Vec<Option<DisasterItem>> {
        let codelist = dictionary.position(field).and_then(|at| dictionary.codelist(&dictionary.fields()[at]));
        let Some(codelist) = codelist else { return Vec::new() };
        let mut items = vec![None; codelist.codes().len()];
        for line in self.items.iter().filter(|line| line.column == field) {
            if let Some(position) = codelist.find(line.code.as_bytes(), false) {
                items[usize::from(position)] = Some(line.item);
            }
        }
        items
    }

    /// The fields that a rule about whole rows reads, by name; a finding points at the last one.
    fn reads(rule: &Rule) -> Vec<&str> {
        match &rule.kind {
            Kind::DateOrder { earlier, later } => vec![earlier, later],
            Kind::DateRange { column, .. } => vec![column],
            Kind::DisasterWindow { .. } => vec![names::VACCINE_GROUP, names::CVX, names::VACCINATION_DATE],
            Kind::ConsentClass => vec![
                names::VACCINE_GROUP,
                names::CVX,
                names::VACCINATION_DATE,
                names::DISASTER_CONSENT,
                names::CONSENT_TYPE,
            ],
            Kind::ConsentActive { .. } => vec![names::CONSENT_DATE],
            Kind::ConsentRecorded => vec![names::CONSENT_TYPE],
            _ => Vec::new(),
        }
    }

    /// The headers of the columns that a rule about whole rows reads.
    pub(super) fn columns(rule: &Rule, dictionary: &Dictionary) -> Vec<String> {
        Self::reads(rule).iter().filter_map(|name| Some(dictionary.field(name)?.header.clone())).collect()
    }

    /// The header of the column at which a finding about a whole row points.
    pub(super) fn points_at<'a>(rule: &Rule, dictionary: &'a Dictionary) -> Option<&'a str> {
        Self::reads(rule).last().and_then(|name| dictionary.field(name)).map(|field| field.header.as_str())
    }

    /// Why a rule cannot be checked with this dictionary, when that is so.
    pub(super) fn not_checkable(rule: &Rule, dictionary: &Dictionary) -> Option<String> {
        let gone = Self::reads(rule).into_iter().filter(|name| dictionary.field(name).is_none());
        let gone: Vec<_> = gone.map(|name| format!("`{name}`")).collect();
        (!gone.is_empty()).then(|| format!("the dictionary maps no column of the file to {}", gone.join(" and ")))
    }
}
