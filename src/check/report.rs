//! What the check says about a file: counts, rules, places. Bounded in size whatever the file is, and without a value.

use serde::{Deserialize, Serialize};

use super::findings::{Count, Finding, slot, slots};
use super::ruleset::{Kind, Rule, Ruleset, Severity};
use crate::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::period::ReportingPeriod;
use crate::provenance::{DeliveryId, Edition, Tool};

/// Physical lines that are kept for each rule and column.
const FIRST_LINES: usize = 20;

/// How a rule came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Checked, and no value broke it.
    Passed,
    /// At least one value broke it.
    Failed,
    /// It cannot be checked from this file; `reason` says why.
    NotCheckable,
}

/// Whether the month may be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The file as a whole is fit to load.
    Accepted,
    /// A rule of severity refuse failed.
    Refused,
}

/// Rows of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Totals {
    /// Records after the header.
    pub read: u64,
    /// Records that broke no rule of severity reject.
    pub accepted: u64,
    /// Records that broke one or more.
    pub rejected: u64,
}

/// A rule on one column.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ColumnOutcome {
    /// Header of the column in the dictionary, or its place in the file.
    pub column: String,
    /// Values checked.
    pub checked: u64,
    /// Values that broke the rule.
    pub failed: u64,
    /// The first physical lines with such a value, the header being line 1; at most 20.
    pub first_lines: Vec<u64>,
}

/// One rule over the whole file.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleOutcome {
    /// Stable code.
    pub code: String,
    /// The bad pattern in a few words.
    pub title: String,
    /// What a failure does.
    pub severity: Severity,
    /// Headers of the columns that the rule looks at.
    pub columns: Vec<String>,
    /// How it came out.
    pub outcome: Outcome,
    /// Why it could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Values, rows or headers checked.
    pub checked: u64,
    /// Those that broke the rule.
    pub failed: u64,
    /// The first physical lines with a failure, the header being line 1; at most 20.
    pub first_lines: Vec<u64>,
    /// The same for each column, where the rule looks at single fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_column: Vec<ColumnOutcome>,
}

/// `report.json`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Document {
    /// 1.
    pub schema_version: u32,
    /// What made it.
    pub tool: Tool,
    /// The month, `YYYY-MM`.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// The file.
    pub delivery: DeliveryId,
    /// The dictionary that it was read by.
    pub dictionary: Edition,
    /// The rules that it was held to.
    pub rules_edition: Edition,
    /// Whether it may be loaded.
    pub verdict: Verdict,
    /// Rows: read = accepted + rejected.
    pub totals: Totals,
    /// The largest share of rejected rows that is accepted.
    pub max_rejected_share: f64,
    /// Every rule of the edition, in its order.
    pub rules: Vec<RuleOutcome>,
}

/// What the check found; holding it proves that the whole file was looked at, or refused by its header.
#[derive(Clone, Debug)]
pub struct Report {
    document: Document,
    no_column_is_known: bool,
}

/// A file that may be loaded.
#[derive(Debug)]
pub struct Accepted {
    report: Report,
}

impl Accepted {
    /// The report by which it was accepted.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl Report {
    /// The content of `report.json`.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Accepts the file, or says which rule refuses it.
    pub fn accept(self) -> Result<Accepted> {
        match self.refusal() {
            None => Ok(Accepted { report: self }),
            Some(error) => Err(error),
        }
    }

    /// Why the file is refused, when it is.
    pub fn refusal(&self) -> Option<Error> {
        let rules = &self.document.rules;
        let refusing: Vec<_> =
            rules.iter().filter(|rule| rule.severity == Severity::Refuse && rule.outcome == Outcome::Failed).collect();
        let first = refusing.first()?;
        let reasons = refusing.iter().map(|rule| {
            let mut reason = format!("{} {}", rule.code, in_a_sentence(&rule.title));
            if !rule.columns.is_empty() {
                reason += &format!(": {}", abridged(&rule.columns));
            } else if self.document.totals.rejected > 0 {
                reason += &self.most_rejecting();
            }
            reason
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let hint = format!("`phds explain {}` says what to do", first.code);
        Some(Error::refused(format!("the file is refused: {reasons}")).hint(if self.no_column_is_known {
            format!("is the first line the header, and is the file UTF-8 text with the right delimiter? {hint}")
        } else {
            hint
        }))
    }

    /// How many rows are rejected, and the rule behind most of them.
    fn most_rejecting(&self) -> String {
        let totals = self.document.totals;
        let rules = self.document.rules.iter().filter(|rule| rule.severity == Severity::Reject);
        let most = rules.max_by_key(|rule| rule.failed);
        let most = most.map(|rule| format!(", most by {} {}", rule.code, in_a_sentence(&rule.title)));
        format!(": {} of {}{}", totals.rejected, totals.read, most.unwrap_or_default())
    }
}

/// A title without its capital, unless the first word is an abbreviation.
fn in_a_sentence(title: &str) -> String {
    let mut characters = title.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(characters).collect(),
        _ => title.to_owned(),
    }
}

/// The first names of a list, and how many more there are.
fn abridged(names: &[String]) -> String {
    const NAMED: usize = 6;
    let more = names.len().saturating_sub(NAMED);
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// Builds a report while the file is read.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    dictionary: &'a Dictionary,
    rules: &'a Ruleset,
    counts: Vec<Count>,
    first_lines: Vec<Vec<u64>>,
    /// What the header or the file as a whole broke: rule, columns.
    file: Vec<(Kind, Vec<String>)>,
    totals: Totals,
    /// Whether the header was right, so that rows were looked at.
    rows_read: bool,
    no_column_is_known: bool,
}

impl<'a> Builder<'a> {
    pub fn new(dictionary: &'a Dictionary, rules: &'a Ruleset) -> Self {
        let slots = slots(rules.rules().len(), dictionary.fields().len());
        Self {
            dictionary,
            rules,
            counts: vec![Count::default(); slots],
            first_lines: vec![Vec::new(); slots],
            file: Vec::new(),
            totals: Totals::default(),
            rows_read: false,
            no_column_is_known: false,
        }
    }

    /// No header of the file is one of the dictionary.
    pub fn no_column_is_known(&mut self) {
        self.no_column_is_known = true;
    }

    /// The header is right: rows follow.
    pub fn rows_follow(&mut self) {
        self.rows_read = true;
    }

    /// The file as a whole breaks a rule.
    pub fn file_broke(&mut self, kind: Kind, columns: Vec<String>) {
        self.file.push((kind, columns));
    }

    /// Whether the file as a whole has broken a rule so far.
    pub fn is_refused(&self) -> bool {
        !self.file.is_empty()
    }

    /// Adds a chunk, in the order of the file.
    pub fn add(&mut self, read: u64, rejected: u64, counts: &[Count], found: &[Finding]) {
        self.totals.read += read;
        self.totals.rejected += rejected;
        self.totals.accepted += read - rejected;
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            sum.checked += count.checked;
            sum.failed += count.failed;
        }
        let fields = self.dictionary.fields().len();
        for finding in found {
            let lines = &mut self.first_lines[slot(usize::from(finding.rule), finding.field.map(usize::from), fields)];
            if lines.len() < FIRST_LINES {
                lines.push(finding.line);
            }
        }
    }

    pub fn finish(
        mut self,
        delivery: &Delivery,
        max_rejected_share: f64,
        applies: &dyn Fn(usize) -> Vec<usize>,
    ) -> Report {
        #[expect(clippy::cast_precision_loss, reason = "a share, compared with a policy of two digits")]
        let share = self.totals.rejected as f64 / self.totals.read.max(1) as f64;
        if !self.is_refused() {
            if self.totals.read == 0 {
                self.file_broke(Kind::NoRows, Vec::new());
            } else if share > max_rejected_share {
                self.file_broke(Kind::RejectedShare, Vec::new());
            }
        }
        let rules = self.rules.rules().iter().enumerate().map(|(id, rule)| self.outcome(id, rule, applies)).collect();
        Report {
            no_column_is_known: self.no_column_is_known,
            document: Document {
                schema_version: 1,
                tool: Tool::this(),
                reporting_period: delivery.period(),
                delivery: delivery.id(),
                dictionary: self.dictionary.edition(),
                rules_edition: self.rules.edition(),
                verdict: if self.is_refused() { Verdict::Refused } else { Verdict::Accepted },
                totals: self.totals,
                max_rejected_share,
                rules,
            },
        }
    }

    fn outcome(&self, id: usize, rule: &Rule, applies: &dyn Fn(usize) -> Vec<usize>) -> RuleOutcome {
        let fields = self.dictionary.fields();
        let header = |at: usize| fields[at].header.clone();
        let whole = slot(id, None, fields.len());
        let mut outcome = RuleOutcome {
            code: rule.code.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            columns: Ruleset::columns(rule, self.dictionary),
            outcome: Outcome::Passed,
            reason: Ruleset::not_checkable(rule, self.dictionary),
            checked: self.counts[whole].checked,
            failed: self.counts[whole].failed,
            first_lines: self.first_lines[whole].clone(),
            by_column: Vec::new(),
        };
        for at in applies(id) {
            outcome.columns.push(header(at));
            let count = self.counts[slot(id, Some(at), fields.len())];
            let lines = &self.first_lines[slot(id, Some(at), fields.len())];
            if count.checked > 0 {
                outcome.checked += count.checked;
                outcome.failed += count.failed;
                outcome.first_lines.extend(lines);
                let first_lines = lines.clone();
                outcome.by_column.push(ColumnOutcome {
                    column: header(at),
                    checked: count.checked,
                    failed: count.failed,
                    first_lines,
                });
            }
        }
        outcome.first_lines.sort_unstable();
        outcome.first_lines.dedup();
        outcome.first_lines.truncate(FIRST_LINES);
        if rule.severity == Severity::Refuse {
            outcome.checked = 1;
            if let Some((_, columns)) = self.file.iter().find(|(kind, _)| *kind == rule.kind) {
                outcome.failed = 1;
                outcome.columns.clone_from(columns);
            }
        }
        let of_header =
            matches!(rule.kind, Kind::FileEmpty | Kind::UnknownColumn | Kind::MissingColumn | Kind::DoubledColumn);
        if !self.rows_read && !of_header {
            outcome.checked = 0;
            outcome.reason = Some("the header is refused, so no row was read".to_owned());
        }
        outcome.outcome = match outcome {
            RuleOutcome { reason: Some(_), .. } => Outcome::NotCheckable,
            RuleOutcome { failed: 0, .. } => Outcome::Passed,
            _ => Outcome::Failed,
        };
        outcome
    }
}
