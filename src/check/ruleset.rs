//! Rule files → a [`Ruleset`] whose rules name real fields of the right type.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::reader::Broken;
use crate::calendar;
use crate::dictionary::{Codelist, Dictionary, FieldType, Unlisted, names};
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
    /// The row is kept and counted; of a rule about the file as a whole: it is loaded, and its releases say so.
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
    /// The first day of the dictionary's first inclusion year.
    FirstInclusionDay,
    /// The last day of the dictionary's last inclusion year, when it names one.
    LastInclusionDay,
}

impl Limit {
    /// The day, for a period and a dictionary; `None` when the dictionary does not name it.
    pub fn day(&self, period: ReportingPeriod, dictionary: &Dictionary) -> Option<NaiveDate> {
        match self {
            Self::Fixed(day) => Some(*day),
            Self::Named(NamedDay::PeriodEnd) => Some(period.last_day()),
            Self::Named(NamedDay::DueDate) => Some(period.due_date()),
            Self::Named(NamedDay::FirstInclusionDay) => {
                NaiveDate::from_ymd_opt(dictionary.first_inclusion_year(), 1, 1)
            }
            Self::Named(NamedDay::LastInclusionDay) => {
                NaiveDate::from_ymd_opt(dictionary.last_inclusion_year()?, 12, 31)
            }
        }
    }
}

/// A range of days; all of the limits that are given must hold. A rule names a bad range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRange {
    /// Days after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Limit>,
    /// Days up to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Limit>,
    /// Days before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Limit>,
}

impl DayRange {
    fn limits(&self) -> impl Iterator<Item = &Limit> {
        [&self.after, &self.up_to, &self.before].into_iter().flatten()
    }

    /// The first and the last day of the range, as day counts.
    pub fn days(&self, period: ReportingPeriod, dictionary: &Dictionary) -> (i32, i32) {
        let day = |limit: &Option<Limit>| limit.as_ref()?.day(period, dictionary).map(calendar::day);
        let first = day(&self.after).map_or(i32::MIN, |day| day + 1);
        let last = [day(&self.up_to), day(&self.before).map(|day| day - 1)].into_iter().flatten().min();
        (first, last.unwrap_or(i32::MAX))
    }
}

/// Some codes of a codelist, by what its columns say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSet {
    /// These codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// And those that have `true` in this column of the codelist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<String>,
    /// But not these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Nor those of this list: a file in `codelists/` with the column `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except_list: Option<String>,
    /// Nor those with this word in their label, without regard to case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except_label: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each rule says what it is in `what`, in the rules file")]
pub enum Kind {
    FileEmpty,
    UnknownColumn,
    MissingColumn,
    DoubledColumn,
    NoRows,
    FieldCount,
    NotText,
    StrayQuote,
    ControlCharacter,
    UnclosedQuote,
    RepeatedHeader,
    CutOff,
    RejectedShare,
    Required,
    Expected,
    Date,
    Integer,
    Code {
        unlisted: Unlisted,
    },
    Pattern,
    Length,
    MixedFormats,
    DateOrder {
        earlier: String,
        later: String,
    },
    DateRange {
        column: String,
        #[serde(flatten)]
        range: DayRange,
    },
    AgeOver {
        years: i32,
        born_from: NaiveDate,
    },
    AgeInMonths {
        agreement: f64,
    },
    ZipCounty {
        table: String,
    },
    StateCounty {
        state: String,
    },
    VaccineGroup {
        groups: String,
    },
    CodeIs {
        column: String,
        #[serde(flatten)]
        set: CodeSet,
        unless_item: Option<DisasterItem>,
    },
    RoundedClientId,
    CodeDate {
        column: String,
        in_use_from: Option<String>,
        in_use_to: Option<String>,
        #[serde(flatten)]
        set: CodeSet,
    },
    CodeAge {
        column: String,
        min_months: String,
        max_months: String,
        grace_days: i32,
        up_to_years: i32,
        #[serde(flatten)]
        set: CodeSet,
    },
    DisasterWindow {
        item: DisasterItem,
    },
    DisasterItemDate {
        item: DisasterItem,
        #[serde(flatten)]
        range: DayRange,
    },
    DisasterItemTooNew {
        market: String,
    },
    DisasterRetention {
        item: DisasterItem,
        until: NaiveDate,
    },
    ConsentClass,
    ConsentActive {
        years: u32,
    },
    ConsentRecorded,
    ConsentAge {
        types: Vec<String>,
        years: u32,
    },
    RowAgain,
    DoseAgain,
    IdAgain {
        column: String,
    },
    IdDiffers {
        column: String,
        by: Vec<String>,
    },
    ClientDiffers {
        column: String,
    },
    OrdinalOrder,
    ManyDoses {
        most: usize,
    },
    Changed {
        of: Total,
        by: f64,
    },
    DeliveredAgain,
    ShareChanged {
        by: f64,
    },
    PeriodWithoutDoses {
        least_rows: u64,
    },
    CodesMoved {
        by: f64,
        least_rows: u64,
    },
    CodeNew,
    CodeGone {
        least_rows: u64,
    },
    OrganizationsMoved {
        by: f64,
        least_rows: u64,
    },
    ColumnsChanged,
    ColumnEmptied {
        by: f64,
        least_values: u64,
    },
    OtherJurisdiction {
        most: f64,
    },
    Fallen {
        of: Total,
        by: f64,
        least: u64,
    },
    ColumnUnfit {
        most: f64,
        least_values: u64,
    },
    ManyOrganizations {
        most: f64,
        least: u64,
    },
    Mostly {
        rule: String,
        most: f64,
        least_rows: u64,
    },
}

/// The parameters are those of some fifty kinds, and mean nothing without the program.
impl schemars::JsonSchema for Kind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "properties": { "kind": { "description": "Which check carries the rule out.", "type": "string" } },
            "required": ["kind"],
            "additionalProperties": { "description": "A parameter of the kind." }
        })
    }
}

impl From<Broken> for Kind {
    /// The kind of rule that such a record breaks.
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::FieldCount => Self::FieldCount,
            Broken::NotText => Self::NotText,
            Broken::StrayQuote => Self::StrayQuote,
            Broken::ControlCharacter => Self::ControlCharacter,
            Broken::UnclosedQuote => Self::UnclosedQuote,
            Broken::RepeatedHeader => Self::RepeatedHeader,
        }
    }
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every well-formed row.
    Rows,
    /// Every row that is kept, beside the others.
    AcceptedRows,
    /// The file as a whole, or every client in it.
    File,
}

/// What is compared with the last month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Total {
    /// Rows read.
    Rows,
    /// Different clients.
    Clients,
}

impl Kind {
    /// The severities that the kind can have: one alone where the row or the file cannot go on, or where it is too late.
    pub(super) fn severities(&self) -> &'static [Severity] {
        match self {
            Self::FileEmpty
            | Self::UnknownColumn
            | Self::MissingColumn
            | Self::DoubledColumn
            | Self::NoRows
            | Self::CutOff
            | Self::RejectedShare => &[Severity::Refuse],
            Self::FieldCount
            | Self::NotText
            | Self::StrayQuote
            | Self::ControlCharacter
            | Self::UnclosedQuote
            | Self::RepeatedHeader
            | Self::Required
            | Self::Date
            | Self::Integer
            | Self::Code { unlisted: Unlisted::Reject } => &[Severity::Reject],
            // Which rows these are is known when the last one has been read.
            Self::MixedFormats | Self::AgeInMonths { .. } | Self::ManyDoses { .. } => &[Severity::Review],
            kind => match kind.scope() {
                Scope::Rows => &[Severity::Review, Severity::Reject],
                Scope::AcceptedRows => &[Severity::Review],
                Scope::File => &[Severity::Review, Severity::Refuse],
            },
        }
    }

    /// What a rule of this kind looks at.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::FileEmpty
            | Self::UnknownColumn
            | Self::MissingColumn
            | Self::DoubledColumn
            | Self::NoRows
            | Self::CutOff
            | Self::RejectedShare
            | Self::ManyDoses { .. }
            | Self::PeriodWithoutDoses { .. }
            | Self::OtherJurisdiction { .. }
            | Self::ColumnUnfit { .. }
            | Self::ManyOrganizations { .. }
            | Self::Mostly { .. } => Scope::File,
            kind if kind.is_of_history() => Scope::File,
            Self::RowAgain
            | Self::DoseAgain
            | Self::IdAgain { .. }
            | Self::IdDiffers { .. }
            | Self::ClientDiffers { .. }
            | Self::OrdinalOrder => Scope::AcceptedRows,
            _ => Scope::Rows,
        }
    }

    /// Whether it compares with the report of an earlier month.
    pub(super) fn is_of_history(&self) -> bool {
        matches!(
            self,
            Self::Changed { .. }
                | Self::Fallen { .. }
                | Self::DeliveredAgain
                | Self::ShareChanged { .. }
                | Self::CodesMoved { .. }
                | Self::CodeNew
                | Self::CodeGone { .. }
                | Self::OrganizationsMoved { .. }
                | Self::ColumnsChanged
                | Self::ColumnEmptied { .. }
        )
    }

    /// Whether there may be more rules of the kind, with other parameters.
    fn may_be_again(&self) -> bool {
        matches!(
            self,
            Self::DateOrder { .. }
                | Self::DateRange { .. }
                | Self::AgeOver { .. }
                | Self::CodeIs { .. }
                | Self::CodeDate { .. }
                | Self::CodeAge { .. }
                | Self::DisasterItemDate { .. }
                | Self::IdAgain { .. }
                | Self::IdDiffers { .. }
                | Self::Mostly { .. }
        )
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
            Self::NotText,
            Self::StrayQuote,
            Self::ControlCharacter,
            Self::UnclosedQuote,
            Self::RepeatedHeader,
            Self::CutOff,
            Self::RejectedShare,
            Self::Required,
            Self::Expected,
            Self::Date,
            Self::Integer,
            Self::Code { unlisted: Unlisted::Reject },
            Self::Code { unlisted: Unlisted::Review },
            Self::Pattern,
            Self::Length,
            Self::MixedFormats,
        ]
    }
}

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

/// A department's own file of rules: new ones, and changes of built-in ones. The disaster period and the consent matrix are
/// law, and stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnDocument {
    #[serde(default)]
    version: Option<String>,
    #[serde(rename = "rule")]
    rules: Vec<Table>,
}

/// The prefix of the codes of built-in rules.
const PREFIX: &str = "PHDS-";

impl Document {
    /// Takes a department's rules in, called `place` in errors. Gives the reasons of those that change a built-in one, by
    /// their codes.
    fn take(&mut self, own: OwnDocument, place: &str) -> Result<BTreeMap<String, String>> {
        let mut reasons = BTreeMap::new();
        for mut entry in own.rules {
            let text = |entry: &Table, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            let Some(code) = text(&entry, "code") else {
                return Err(Error::usage(format!("`{place}`: a rule has no `code`"))
                    .hint("name the built-in rule that it changes, or give it a code of your own, such as HILL-01"));
            };
            let wrong = |what: &str| Error::usage(format!("`{place}`: rule {code}: {what}"));
            if reasons.contains_key(&code) {
                return Err(wrong("the code is there twice"));
            }
            let known = self.rules.iter().position(|rule| rule.code == code);
            let table = if let Some(at) = known {
                if !code.starts_with(PREFIX) {
                    return Err(wrong("the code is there twice"));
                }
                let reason = text(&entry, "reason").filter(|reason| !reason.trim().is_empty());
                reasons.insert(code.clone(), reason.ok_or_else(|| wrong("say in `reason` why it is changed"))?);
                entry.remove("reason");
                let mut table =
                    Table::try_from(&self.rules[at]).map_err(|_| Error::internal("a rule has no TOML form"))?;
                if entry.get("kind").is_some_and(|kind| table.get("kind") != Some(kind)) {
                    return Err(wrong("a built-in rule keeps its `kind`: give yours a code of its own"));
                }
                table.extend(entry.clone());
                table
            } else {
                let is_named = code.contains('-')
                    && code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
                if code.starts_with(PREFIX) || !is_named {
                    return Err(wrong(
                        "a new rule has a code of your own: capitals, digits and a hyphen, such as HILL-01",
                    ));
                }
                entry.clone()
            };
            let rule: Rule = knowledge::fitting(&format!("{place}`, rule `{code}"), table)?;
            if known.is_none() && !rule.kind.may_be_again() {
                return Err(wrong("there is one rule of this kind: change that one, by its code"));
            }
            // A parameter that is misspelt would be passed over.
            let read = Table::try_from(&rule).map_err(|_| Error::internal("a rule has no TOML form"))?;
            if let Some(key) = entry.keys().find(|key| !read.contains_key(*key)) {
                return Err(wrong(&format!("its kind has no `{key}`")));
            }
            match known {
                Some(at) => self.rules[at] = rule,
                None => self.rules.push(rule),
            }
        }
        if let Some(version) = own.version {
            self.version = version;
        }
        Ok(reasons)
    }
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

/// Another severity of a rule, by a department's decision.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// What a failure does here.
    pub severity: Severity,
    /// Why; it is printed wherever the rule is.
    pub reason: String,
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

    /// With a department's severities in place of the built-in ones, by the rule's code.
    pub fn with_policy(mut self, policy: BTreeMap<String, Override>) -> Result<Self> {
        for (code, wanted) in policy {
            let wrong = |what: &str| Err(Error::usage(format!("`check.severity.{code}`: {what}")));
            let Some(rule) = self.document.rules.iter_mut().find(|rule| rule.code == code) else {
                return wrong("there is no such rule").map_err(|error: Error| error.hint("`phds explain` lists all"));
            };
            if let Some(why) = rule.cannot_be(wanted.severity) {
                return wrong(&why);
            }
            if wanted.reason.trim().is_empty() {
                return wrong("say in `reason` why");
            }
            rule.severity = wanted.severity;
            let told = format!("{} {} {}", self.fingerprint, wanted.severity.word(), wanted.reason);
            self.fingerprint = Fingerprint::of([(code.as_str(), told.as_bytes())]);
            let told = format!("your settings make it {}: {}", wanted.severity.word(), wanted.reason);
            self.policy.entry(code).and_modify(|reason| *reason = format!("{reason}; {told}")).or_insert(told);
        }
        Ok(self)
    }

    /// What the department has changed of a rule, and why, when it has.
    pub fn policy(&self, code: &str) -> Option<&str> {
        self.policy.get(code).map(String::as_str)
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
                set.except_list.as_deref().map(listed_codes).transpose()?;
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

    /// The fields that a rule about whole rows reads, by name; a finding points at the last one.
    fn reads(rule: &Rule) -> Vec<&str> {
        match &rule.kind {
            Kind::DateOrder { earlier, later } => vec![earlier, later],
            Kind::DateRange { column, .. }
            | Kind::CodeIs { column, unless_item: None, .. }
            | Kind::IdAgain { column } => vec![column],
            Kind::CodeIs { column, unless_item: Some(_), .. } => vec![names::VACCINE_GROUP, column],
            Kind::AgeOver { .. } => vec![names::VACCINATION_DATE, names::BIRTH_DATE],
            Kind::AgeInMonths { .. } => vec![names::BIRTH_DATE, names::VACCINATION_DATE, names::AGE_IN_MONTHS],
            Kind::ZipCounty { .. } => vec![names::ZIP, names::COUNTY],
            Kind::StateCounty { .. } => vec![names::COUNTY, names::STATE],
            Kind::VaccineGroup { .. } | Kind::DisasterRetention { .. } => vec![names::CVX, names::VACCINE_GROUP],
            Kind::CodeDate { column, .. } => vec![names::VACCINATION_DATE, column],
            Kind::CodeAge { column, .. } => vec![names::BIRTH_DATE, names::VACCINATION_DATE, column],
            Kind::ConsentAge { .. } => vec![names::BIRTH_DATE, names::CONSENT_TYPE],
            Kind::DisasterItemTooNew { .. } => vec![names::VACCINATION_DATE, names::CVX],
            Kind::DisasterWindow { .. } | Kind::DisasterItemDate { .. } => {
                vec![names::VACCINE_GROUP, names::CVX, names::VACCINATION_DATE]
            }
            Kind::ConsentClass => vec![
                names::VACCINE_GROUP,
                names::CVX,
                names::VACCINATION_DATE,
                names::DISASTER_CONSENT,
                names::CONSENT_TYPE,
            ],
            Kind::ConsentActive { .. } => vec![names::CONSENT_DATE],
            Kind::ConsentRecorded => vec![names::CONSENT_TYPE],
            Kind::RoundedClientId | Kind::RowAgain | Kind::ManyDoses { .. } => vec![names::CLIENT],
            Kind::DoseAgain => vec![names::CLIENT, names::CVX, names::VACCINE_GROUP, names::VACCINATION_DATE],
            Kind::IdDiffers { column, by } => by.iter().chain([column]).map(String::as_str).collect(),
            Kind::ClientDiffers { column } => vec![names::CLIENT, column],
            Kind::OrganizationsMoved { .. } => vec![names::ORGANIZATION],
            Kind::ManyOrganizations { .. } => vec![names::CLIENT, names::ORGANIZATION],
            Kind::OtherJurisdiction { .. } => vec![names::RESPONSIBLE_ENTITY],
            Kind::OrdinalOrder => vec![names::VACCINATION_DATE, names::VACCINE_GROUP, names::ORDINAL],
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

    /// Why a rule cannot be checked on a period with this dictionary, when that is so.
    pub(super) fn not_checkable(rule: &Rule, dictionary: &Dictionary, period: ReportingPeriod) -> Option<String> {
        let gone = Self::reads(rule).into_iter().filter(|name| dictionary.field(name).is_none());
        let gone: Vec<_> = gone.map(|name| format!("`{name}`")).collect();
        if !gone.is_empty() {
            return Some(format!("the dictionary maps no column of the file to {}", gone.join(" and ")));
        }
        match &rule.kind {
            Kind::DateRange { range, .. } | Kind::DisasterItemDate { range, .. }
                if range.limits().any(|limit| limit.day(period, dictionary).is_none()) =>
            {
                Some("the dictionary names no last inclusion year".to_owned())
            }
            Kind::DisasterRetention { until, .. } if period.last_day() <= *until => {
                Some(format!("it applies to periods that end after {until}"))
            }
            _ => Self::columns_of_codelist(rule).into_iter().find_map(|(field, column)| {
                let codelist = dictionary.field(field).and_then(|field| dictionary.codelist(field));
                (!codelist.is_some_and(|codelist| codelist.has_column(column)))
                    .then(|| format!("the codelist of `{field}` has no column `{column}`"))
            }),
        }
    }

    /// The columns of codelists that a rule reads, each with the field of the codelist.
    fn columns_of_codelist(rule: &Rule) -> Vec<(&str, &str)> {
        match &rule.kind {
            Kind::VaccineGroup { groups } => vec![(names::CVX, groups)],
            Kind::CodeIs { column, set, .. } => {
                set.marked.iter().map(|marked| (column.as_str(), marked.as_str())).collect()
            }
            Kind::CodeDate { column, in_use_from, in_use_to, .. } => {
                in_use_from.iter().chain(in_use_to).map(|name| (column.as_str(), name.as_str())).collect()
            }
            Kind::CodeAge { column, min_months, max_months, .. } => vec![(column, min_months), (column, max_months)],
            _ => Vec::new(),
        }
    }
}

impl CodeSet {
    /// For every code of a list, by its position, whether it is in the set. Without `codes` and `marked`, all are but the
    /// exceptions.
    pub(super) fn of(&self, codelist: &Codelist) -> Vec<bool> {
        let except_list = self.except_list.as_deref().and_then(|list| listed_codes(list).ok()).unwrap_or_default();
        let without = |code: &str| self.except.iter().chain(&except_list).any(|other| other == code);
        let all = self.codes.is_empty() && self.marked.is_none();
        let codes = (0..).zip(codelist.codes()).map(|(at, code)| {
            let is_marked = self.marked.as_ref().is_some_and(|marked| codelist.value(at, marked) == "true");
            let word = self.except_label.as_ref();
            let has_word = word.is_some_and(|word| code.label.to_lowercase().contains(&word.to_lowercase()));
            (all || is_marked || self.codes.contains(&code.code)) && !without(&code.code) && !has_word
        });
        codes.collect()
    }
}

/// The column `code` of a built-in list.
fn listed_codes(name: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        code: String,
    }
    let text = knowledge::text(&format!("codelists/{name}.csv"))?;
    let lines = csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<Vec<Line>, _>>();
    let lines = lines.map_err(|_| Error::usage(format!("the list `{name}` needs the column code")))?;
    Ok(lines.into_iter().map(|line| line.code).collect())
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
