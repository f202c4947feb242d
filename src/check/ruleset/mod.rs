//! Rule files → a [`Ruleset`] whose rules name real fields of the right type.

mod kind;
mod own;
mod reads;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub(super) use kind::Scope;
pub use kind::{CodeSet, DayRange, DisasterItem, Kind, Limit, NamedDay, Severity, Total};
pub use own::Override;

use crate::dictionary::{Dictionary, FieldType, names};
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};
use crate::provenance::Edition;

const FILE: &str = "rules.toml";

/// The prefix of the codes of built-in rules.
const PREFIX: &str = "PHDS-";

/// One rule: what it checks, and the text that `phds explain` prints.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
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

impl Rule {
    /// Why it cannot have a severity, when that is so: the others that it can have.
    fn cannot_be(&self, severity: Severity) -> Option<String> {
        let can = self.kind.severities();
        let words: Vec<_> = can.iter().map(|severity| format!("`{}`", severity.word())).collect();
        (!can.contains(&severity)).then(|| {
            format!("this rule cannot be of severity `{}`, but of {} only", severity.word(), words.join(" or "))
        })
    }

    /// Whether it is about the file as a whole, and may refuse it or not.
    pub(super) fn may_refuse(&self) -> bool {
        self.kind.severities() == [Severity::Review, Severity::Refuse]
    }
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
    market: String,
    introduced: Option<NaiveDate>,
}

/// All rules, proved against a dictionary.
#[derive(Clone, Debug)]
pub struct Ruleset {
    document: Document,
    items: Vec<ItemLine>,
    fingerprint: Fingerprint,
    /// What the department has changed: code → what, and why.
    policy: BTreeMap<String, String>,
}

impl Ruleset {
    /// The built-in rules.
    pub fn built_in(dictionary: &Dictionary) -> Result<Self> {
        Self::with(dictionary, None)
    }

    /// The built-in rules as a department's own file changes them, and its own rules behind them.
    pub fn with(dictionary: &Dictionary, own: Option<&Path>) -> Result<Self> {
        let mut document: Document = knowledge::parse(FILE, knowledge::text(FILE)?)?;
        let mut policy = BTreeMap::new();
        if let Some(path) = own {
            let place = path.display().to_string();
            let reasons = document.take(knowledge::parse_file(path)?, &place)?;
            policy =
                reasons.into_iter().map(|(code, reason)| (code, format!("your rules change it: {reason}"))).collect();
        }
        let items_text = knowledge::text(&format!("codelists/{}.csv", document.disaster.items))?;
        let items = csv::Reader::from_reader(items_text.as_bytes())
            .deserialize()
            .collect::<Result<Vec<ItemLine>, _>>()
            .map_err(|_| {
                Error::usage("the list of disaster items needs the columns item, column, code, market and introduced")
            })?;
        let text = serde_json::to_vec(&document).map_err(|_| Error::internal("the rules have no JSON form"))?;
        let files = [(FILE, text.as_slice()), (document.disaster.items.as_str(), items_text.as_bytes())];
        let reasons = policy.iter().map(|(code, reason): (&String, &String)| (code.as_str(), reason.as_bytes()));
        let fingerprint = Fingerprint::of(files.into_iter().chain(reasons));
        let rules = Self { document, items, fingerprint, policy };
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
            if let Some(why) = rule.cannot_be(rule.severity) {
                return wrong(&why);
            }
            if let Kind::Mostly { rule: other, .. } = &rule.kind
                && !self.rules().iter().any(|rule| rule.code == *other && rule.kind.scope() == Scope::AcceptedRows)
            {
                return wrong("it names a rule that does not look at accepted rows");
            }
            let columns: &[&String] = match &rule.kind {
                Kind::DateOrder { earlier, later } => &[earlier, later],
                Kind::DateRange { column, .. } => &[column],
                _ => &[],
            };
            let is = |column: &str, field_type| {
                dictionary.position(column).is_some_and(|at| dictionary.fields()[at].field_type == field_type)
            };
            if columns.iter().any(|column| !is(column, FieldType::Date)) {
                return wrong("it names a field that is not a date of the dictionary");
            }
            if let Kind::CodeIs { column, set, .. }
            | Kind::CodeDate { column, set, .. }
            | Kind::CodeAge { column, set, .. } = &rule.kind
            {
                if !is(column, FieldType::Code) {
                    return wrong("it names a field that is not a code of the dictionary");
                }
                set.except_list.as_deref().map(kind::listed_codes).transpose()?;
            }
            if let Kind::ClientDiffers { column } = &rule.kind
                && ![names::BIRTH_DATE, names::SEX, names::COUNTY].contains(&column.as_str())
            {
                return wrong("a client is compared by birth_date, sex and county alone");
            }
            if let Kind::ZipCounty { table } = &rule.kind {
                zip_counties(table)?;
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

    /// A rule by its code, without regard to case; how the built-in ones begin need not be typed. The error names the nearest
    /// one.
    pub fn rule(&self, code: &str) -> Result<&Rule> {
        let typed = code.to_ascii_uppercase();
        let full = if typed.starts_with(PREFIX) { typed.clone() } else { format!("{PREFIX}{typed}") };
        self.rules().iter().find(|rule| rule.code == typed || rule.code == full).ok_or_else(|| {
            let codes = self.rules().iter().map(|rule| rule.code.as_str());
            Error::usage(format!("there is no rule `{typed}`")).hint(crate::dictionary::nearest(
                &full,
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

    /// For every code of a field, by the code's position, whether it is a disaster item of a market that was introduced
    /// after the disaster.
    pub(super) fn too_new(&self, dictionary: &Dictionary, field: &str, market: &str) -> Vec<bool> {
        let codelist = dictionary.position(field).and_then(|at| dictionary.codelist(&dictionary.fields()[at]));
        let Some(codelist) = codelist else { return Vec::new() };
        let is_new = |line: &&ItemLine| {
            line.column == field
                && line.market == market
                && line.introduced.is_some_and(|introduced| introduced > self.document.disaster.to)
        };
        let mut new = vec![false; codelist.codes().len()];
        for line in self.items.iter().filter(is_new) {
            if let Some(position) = codelist.find(line.code.as_bytes(), false) {
                new[usize::from(position)] = true;
            }
        }
        new
    }
}

/// ZIP code and county code of each line of a built-in table.
pub(super) fn zip_counties(table: &str) -> Result<Vec<(u32, String)>> {
    #[derive(Deserialize)]
    struct Line {
        zip: u32,
        county: String,
    }
    let text = knowledge::text(&format!("codelists/{table}.csv"))?;
    let lines = csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<Vec<Line>, _>>();
    let lines = lines.map_err(|_| Error::usage(format!("the table `{table}` needs the columns zip and county")))?;
    Ok(lines.into_iter().map(|line| (line.zip, line.county)).collect())
}
