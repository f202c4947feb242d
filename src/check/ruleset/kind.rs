//! The kinds of rules: which check carries a rule out, its parameters, what it looks at and what its failure may do.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::calendar;
use crate::check::reader::Broken;
use crate::dictionary::{Codelist, Dictionary, Unlisted};
use crate::error::{Error, Result};
use crate::knowledge;
use crate::period::ReportingPeriod;

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
    pub(super) fn limits(&self) -> impl Iterator<Item = &Limit> {
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

impl CodeSet {
    /// For every code of a list, by its position, whether it is in the set. Without `codes` and `marked`, all are but the
    /// exceptions.
    pub(in crate::check) fn of(&self, codelist: &Codelist) -> Vec<bool> {
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
pub(super) fn listed_codes(name: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        code: String,
    }
    let text = knowledge::text(&format!("codelists/{name}.csv"))?;
    let lines = csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<Vec<Line>, _>>();
    let lines = lines.map_err(|_| Error::usage(format!("the list `{name}` needs the column code")))?;
    Ok(lines.into_iter().map(|line| line.code).collect())
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

/// What is compared with the last month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Total {
    /// Rows read.
    Rows,
    /// Different clients.
    Clients,
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
        years: u8,
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
        grace_days: u16,
        up_to_years: u8,
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
        years: u8,
    },
    ConsentRecorded,
    ConsentAge {
        types: Vec<String>,
        years: u8,
    },
    RowAgain,
    DoseAgain,
    DoseSoonAgain {
        groups: Vec<String>,
        days: u16,
    },
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
    BirthDoseAlone {
        group: String,
        days: u16,
        years: u8,
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
        share: f64,
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
pub(in crate::check) enum Scope {
    /// Every well-formed row.
    Rows,
    /// Every row that is kept, beside the others.
    AcceptedRows,
    /// The file as a whole, or every client in it.
    File,
}

impl Kind {
    /// The severities that the kind can have: one alone where the row or the file cannot go on, or where it is too late.
    pub(in crate::check) fn severities(&self) -> &'static [Severity] {
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
            Self::MixedFormats | Self::AgeInMonths { .. } | Self::ManyDoses { .. } | Self::BirthDoseAlone { .. } => {
                &[Severity::Review]
            }
            kind => match kind.scope() {
                Scope::Rows => &[Severity::Review, Severity::Reject],
                Scope::AcceptedRows => &[Severity::Review],
                Scope::File => &[Severity::Review, Severity::Refuse],
            },
        }
    }

    /// What a rule of this kind looks at.
    pub(in crate::check) fn scope(&self) -> Scope {
        match self {
            Self::FileEmpty
            | Self::UnknownColumn
            | Self::MissingColumn
            | Self::DoubledColumn
            | Self::NoRows
            | Self::CutOff
            | Self::RejectedShare
            | Self::ManyDoses { .. }
            | Self::BirthDoseAlone { .. }
            | Self::PeriodWithoutDoses { .. }
            | Self::OtherJurisdiction { .. }
            | Self::ColumnUnfit { .. }
            | Self::ManyOrganizations { .. }
            | Self::Mostly { .. } => Scope::File,
            kind if kind.is_of_history() => Scope::File,
            Self::RowAgain
            | Self::DoseAgain
            | Self::DoseSoonAgain { .. }
            | Self::IdAgain { .. }
            | Self::IdDiffers { .. }
            | Self::ClientDiffers { .. }
            | Self::OrdinalOrder => Scope::AcceptedRows,
            _ => Scope::Rows,
        }
    }

    /// Whether it compares with the report of an earlier month.
    pub(in crate::check) fn is_of_history(&self) -> bool {
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
    pub(super) fn may_be_again(&self) -> bool {
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
    pub(super) fn built_on() -> Vec<Self> {
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
