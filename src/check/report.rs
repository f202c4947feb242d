//! What the check says about a file: counts, rules, places. Bounded in size whatever the file is, and without a value.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::across;
use super::findings::{Alternatives, Count, FIRST_PLACES, Found, RuleId, slot, slots};
use super::past;
use super::place::Place;
use super::profile::{Plan, Profile};
use super::quality::{self, Column, FieldCounts, Organizations};
use super::reader;
use super::rows::AGES;
use super::ruleset::{Kind, Rule, Ruleset, Scope, Severity};
use crate::calendar::DateFormat;
use crate::dictionary::{Dictionary, Presence, Role, names};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::period::ReportingPeriod;
use crate::provenance::{DeliveryId, Edition, Tool};
use crate::statistics::part_of;
use crate::words::{abridged, grouped};

/// Columns that the note of a rule names.
const NAMED: usize = 6;

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
    /// The first physical lines with such a value, counted from 1; at most 20.
    pub first_lines: Vec<u64>,
    /// Where their records begin in the file, in bytes from 0.
    pub first_offsets: Vec<u64>,
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
    /// What the department has changed of the built-in rule, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What the rows were held to, where the file itself tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Values, rows or headers checked.
    pub checked: u64,
    /// Those that broke the rule.
    pub failed: u64,
    /// Values or rows to which it does not apply, such as missing ones; 0 for a rule that was not checked.
    #[serde(default)]
    pub not_applicable: u64,
    /// The first physical lines with a failure, counted from 1; at most 20.
    pub first_lines: Vec<u64>,
    /// Where their records begin in the file, in bytes from 0.
    pub first_offsets: Vec<u64>,
    /// The same for each column, where the rule looks at single fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_column: Vec<ColumnOutcome>,
}

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// LF.
    Lf,
    /// CR and LF.
    Crlf,
    /// CR alone.
    Cr,
    /// LF here, CR and LF there.
    Mixed,
}

/// How the file is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Structure {
    /// How its text is encoded.
    pub encoding: Encoding,
    /// Whether the encoding was found out by the bytes of the file, and not declared in the dictionary.
    pub encoding_detected: bool,
    /// Whether it begins with a byte order mark.
    pub byte_order_mark: bool,
    /// How its records end.
    pub line_end: LineEnd,
    /// Whether the last line has a line end.
    pub final_line_end: bool,
    /// Lines without anything, which are no rows.
    pub blank_lines: u64,
    /// Rows with a line end inside quotes.
    pub rows_over_several_lines: u64,
}

/// Whether an identifier is a key of the file: told, because nothing is known of the registry's ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Key {
    /// Header of the column.
    pub column: String,
    /// Accepted rows with a value.
    pub rows: u64,
    /// Different values among them.
    pub distinct: u64,
    /// Whether no value is there twice.
    pub is_key: bool,
}

/// What the run took. It differs from run to run; all else in a report follows from the file and the rules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Run {
    /// Seconds of the check, with the conversion where there is one.
    pub seconds: f64,
    /// Bytes of the file by second.
    pub bytes_per_second: u64,
    /// The most memory that the program has held so far; null where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
}

impl Run {
    fn of(bytes: u64, took: Duration) -> Self {
        let micros = took.as_micros().max(1);
        let by_second = u128::from(bytes) * 1_000_000 / micros;
        Self {
            seconds: took.as_secs_f64(),
            bytes_per_second: u64::try_from(by_second).unwrap_or(u64::MAX),
            peak_memory_bytes: peak_memory(),
        }
    }
}

/// `VmHWM` of Linux.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The version of [`Document`] that this program writes.
pub const SCHEMA_VERSION: u32 = 2;

/// `report.json`. What version 2 has added is empty in a report of version 1.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Document {
    /// 2.
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
    /// How the file is written.
    pub structure: Structure,
    /// Whether it may be loaded.
    pub verdict: Verdict,
    /// Rows: read = accepted + rejected.
    pub totals: Totals,
    /// Different clients with an accepted row.
    pub clients: u64,
    /// The identifiers that rules look at.
    pub keys: Vec<Key>,
    /// The largest share of rejected rows that is accepted.
    pub max_rejected_share: f64,
    /// No count of 1 to k - 1 is told of columns and organizations; the counts of rules and totals are exact.
    #[serde(default)]
    pub k: u64,
    /// The columns in the order of the file.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// Quality by organization.
    #[serde(default)]
    pub organizations: Organizations,
    /// Every rule of the edition, in its order.
    pub rules: Vec<RuleOutcome>,
    /// What the run took.
    #[serde(default)]
    pub run: Option<Run>,
}

impl RuleOutcome {
    fn refuses(&self) -> bool {
        self.severity == Severity::Refuse && self.outcome == Outcome::Failed
    }
}

impl Document {
    /// The rules that failed, those that do most damage first: a file that is out, rows that are out, rows to look at.
    pub fn by_damage(&self) -> Vec<&RuleOutcome> {
        let mut failed: Vec<_> = self.rules.iter().filter(|rule| rule.outcome == Outcome::Failed).collect();
        let damage = |severity: Severity| match severity {
            Severity::Refuse => 0,
            Severity::Reject => 1,
            Severity::Review => 2,
        };
        // What is wrong with the file as a whole stands before what is wrong with some of its rows.
        failed.sort_by_key(|rule| (damage(rule.severity), rule.checked > 1, std::cmp::Reverse(rule.failed)));
        failed
    }
}

/// What the check found; holding it proves that the whole file was looked at, or refused by its header.
#[derive(Clone, Debug)]
pub struct Report {
    document: Document,
    diagnosis: Option<String>,
    /// The codes of the rules about the file as a whole that may refuse it or not, as the settings say.
    of_file: Vec<String>,
}

/// A rule about the file as a whole that failed and did not refuse it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Alarm {
    /// Code of the rule.
    pub rule: String,
    /// The bad pattern in a few words.
    pub title: String,
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.rule, in_a_sentence(&self.title))
    }
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

    /// What is wrong with the file as a whole and did not refuse it, in the order of the rules.
    pub fn alarms(&self) -> Vec<Alarm> {
        let rules = self.document.rules.iter().filter(|rule| self.of_file.contains(&rule.code));
        let rules = rules.filter(|rule| rule.severity == Severity::Review && rule.outcome == Outcome::Failed);
        rules.map(|rule| Alarm { rule: rule.code.clone(), title: rule.title.clone() }).collect()
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
        let refusing: Vec<_> = rules.iter().filter(|rule| rule.refuses()).collect();
        let first = refusing.first()?;
        let reasons = refusing.iter().map(|rule| {
            let mut reason = format!("{} {}", rule.code, in_a_sentence(&rule.title));
            if let Some(note) = &rule.note {
                reason += &format!(": {note}");
            } else if !rule.columns.is_empty() {
                reason += &format!(": {}", abridged(&rule.columns, 6));
            } else if let Some(line) = rule.first_lines.first() {
                reason += &format!(": line {line}");
            } else if part_of(self.document.totals.rejected, self.document.totals.read)
                > self.document.max_rejected_share
            {
                reason += &self.most_rejecting();
            }
            reason
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let mut hint = format!("`phds explain {}` says what to do", first.code);
        if refusing.iter().all(|rule| self.of_file.contains(&rule.code)) {
            let codes: Vec<_> = refusing.iter().map(|rule| format!("`[check.severity.{}]`", rule.code)).collect();
            hint += &format!(
                "; if the file is right as it is, say so in the settings: under {}, `severity = \"review\"` and the reason",
                codes.join(" and ")
            );
        }
        Some(Error::refused(format!("the file is refused: {reasons}")).hint(match &self.diagnosis {
            Some(diagnosis) => format!("{diagnosis}; {hint}"),
            None => hint,
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

/// Builds a report while the file is read.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    dictionary: &'a Dictionary,
    rules: &'a Ruleset,
    period: ReportingPeriod,
    counts: Vec<Count>,
    first: Vec<Vec<Place>>,
    alternatives: BTreeMap<(RuleId, Option<usize>), Alternatives>,
    /// What the header or the file as a whole broke: rule, columns, where.
    file: Vec<(Kind, Vec<String>, Option<Place>)>,
    structure: Structure,
    totals: Totals,
    /// Doses of the period, and of the month before.
    recent: [u64; 2],
    clients: u64,
    keys: Vec<Key>,
    k: u64,
    columns: Vec<Column>,
    organizations: Organizations,
    well_formed: u64,
    /// The fields most of whose dates cannot be read, with the format that would read them all.
    undeclared: BTreeMap<usize, DateFormat>,
    /// Rows of the responsible entities that the settings name, and of others; `None` when they name none.
    entities: Option<[u64; 2]>,
    /// Whether the header was right, so that rows were looked at.
    rows_read: bool,
    diagnosis: Option<String>,
}

impl<'a> Builder<'a> {
    pub fn new(dictionary: &'a Dictionary, rules: &'a Ruleset, period: ReportingPeriod, k: u64) -> Self {
        let slots = slots(rules.rules().len(), dictionary.fields().len());
        Self {
            dictionary,
            rules,
            period,
            counts: vec![Count::default(); slots],
            first: vec![Vec::new(); slots],
            alternatives: BTreeMap::new(),
            file: Vec::new(),
            structure: Structure {
                encoding: Encoding::Utf8,
                encoding_detected: true,
                byte_order_mark: false,
                line_end: LineEnd::Lf,
                final_line_end: true,
                blank_lines: 0,
                rows_over_several_lines: 0,
            },
            totals: Totals::default(),
            recent: [0; 2],
            clients: 0,
            keys: Vec::new(),
            k,
            columns: Vec::new(),
            organizations: Organizations::default(),
            well_formed: 0,
            undeclared: BTreeMap::new(),
            entities: None,
            rows_read: false,
            diagnosis: None,
        }
    }

    /// What the file looks like, when its header is not understood.
    pub fn diagnosed(&mut self, diagnosis: Option<String>) {
        self.diagnosis = diagnosis;
    }

    /// The header is right: rows follow.
    pub fn rows_follow(&mut self) {
        self.rows_read = true;
    }

    /// How the file is written.
    pub fn structure(
        &mut self,
        structure: &reader::Structure,
        line_end: u8,
        byte_order_mark: bool,
        (encoding, encoding_detected): (Encoding, bool),
    ) {
        self.structure = Structure {
            encoding,
            encoding_detected,
            byte_order_mark,
            line_end: match (line_end, structure.crlf, structure.bare) {
                (b'\r', ..) => LineEnd::Cr,
                (_, 0, _) => LineEnd::Lf,
                (_, _, 0) => LineEnd::Crlf,
                _ => LineEnd::Mixed,
            },
            final_line_end: !structure.open_end,
            blank_lines: structure.blank_lines,
            rows_over_several_lines: structure.rows_over_several_lines,
        };
    }

    /// The file as a whole breaks a rule.
    pub fn file_broke(&mut self, kind: Kind, columns: Vec<String>) {
        self.file.push((kind, columns, None));
    }

    /// The file as a whole breaks a rule, at one place.
    pub fn file_broke_at(&mut self, kind: Kind, place: Place) {
        self.file.push((kind, Vec::new(), Some(place)));
    }

    /// Whether the file as a whole has broken a rule so far.
    pub fn is_refused(&self) -> bool {
        !self.file.is_empty()
    }

    /// Adds a chunk, in the order of the file. `recent` are its doses of the period, and of the month before.
    pub fn add(&mut self, read: u64, rejected: u64, recent: [u64; 2], found: Found) {
        self.recent.iter_mut().zip(recent).for_each(|(sum, doses)| *sum += doses);
        self.totals.read += read;
        self.totals.rejected += rejected;
        self.totals.accepted += read - rejected;
        for (sum, count) in self.counts.iter_mut().zip(&found.counts) {
            sum.checked += count.checked;
            sum.failed += count.failed;
        }
        let fields = self.dictionary.fields().len();
        for finding in &found.findings {
            let places = &mut self.first[slot(usize::from(finding.rule), finding.field.map(usize::from), fields)];
            if places.len() < FIRST_PLACES {
                places.push(finding.place);
            }
        }
        for (key, alternatives) in found.alternatives {
            self.alternatives.entry(key).or_default().merge(alternatives);
        }
    }

    /// Adds what the rules across rows came to.
    pub fn across(&mut self, found: across::Found) {
        let fields = self.dictionary.fields();
        for (rule, count, first) in found.rules {
            let slot = slot(rule, None, fields.len());
            self.counts[slot] = count;
            self.first[slot] = first;
        }
        self.clients = found.clients;
        self.keys = found
            .keys
            .into_iter()
            .filter(|key| fields[key.field].role == Role::Identifier)
            .map(|across::Key { field, rows, distinct }| Key {
                column: fields[field].header.clone(),
                rows,
                distinct,
                is_key: rows == distinct,
            })
            .collect();
    }

    /// Adds what the columns hold, when all rows have been added: the headers of the file with the positions of their
    /// fields, and whether the settings name responsible entities.
    pub fn profiled(&mut self, plan: &Plan, profile: &Profile, file: &[(String, usize)], jurisdiction: bool) {
        self.well_formed = profile.rows;
        self.entities = jurisdiction.then_some(profile.entities);
        let counted = |at| self.field_counts(at);
        self.columns = quality::columns(profile, self.dictionary, file, counted, (self.period, self.k));
        let is_mostly_unfit = |column: &Column| {
            column.unfit.zip(column.present).is_some_and(|(unfit, present)| part_of(unfit, present) > 0.5)
        };
        let mostly_unfit = file.iter().zip(&self.columns).filter(|(_, column)| is_mostly_unfit(column));
        self.undeclared =
            mostly_unfit.filter_map(|((_, at), _)| Some((*at, profile.other_formats.get(*at)?.of_all()?))).collect();
        self.organizations = quality::organizations(profile, plan, self.k);
    }

    fn field_counts(&self, at: usize) -> FieldCounts {
        let field = &self.dictionary.fields()[at];
        let mut counts = FieldCounts::default();
        for (id, rule) in self.rules.rules().iter().enumerate() {
            let of = || self.counts[slot(id, Some(at), self.dictionary.fields().len())];
            match &rule.kind {
                Kind::Required if field.presence == Presence::Required => counts.presence = Some(of()),
                Kind::Expected if field.presence == Presence::Expected => counts.presence = Some(of()),
                Kind::Date | Kind::Integer | Kind::Code { .. } | Kind::Pattern | Kind::Length => {
                    counts.formed = counts.formed.max(Some(of().checked).filter(|checked| *checked > 0));
                }
                Kind::MixedFormats => {
                    if let Some(alternatives) = self.alternatives.get(&(id, Some(at))) {
                        counts.formats = (0..field.formats.len()).map(|format| alternatives.rows(format)).collect();
                    }
                }
                _ => {}
            }
        }
        counts
    }

    /// What the dates of a field look like, and the setting that reads them.
    fn undeclared(&self, at: usize) -> Option<String> {
        let (field, format) = (&self.dictionary.fields()[at], self.undeclared.get(&at)?);
        Some(format!(
            "{} looks like {}: set `formats = [{}]` for the field `{}` in your dictionary file",
            field.header,
            format.example(),
            serde_json::json!(format),
            field.name
        ))
    }

    pub fn finish(
        mut self,
        delivery: &Delivery,
        max_rejected_share: f64,
        applies: &dyn Fn(usize) -> Vec<usize>,
        previous: Option<&Document>,
        took: Duration,
    ) -> Result<Report> {
        if !self.is_refused() {
            if self.totals.read == 0 {
                self.file_broke(Kind::NoRows, Vec::new());
            } else if part_of(self.totals.rejected, self.totals.read) > max_rejected_share {
                self.file_broke(Kind::RejectedShare, Vec::new());
            }
        }
        if self.diagnosis.is_none() && !self.undeclared.is_empty() {
            let told: Vec<_> = self.undeclared.keys().filter_map(|at| self.undeclared(*at)).collect();
            self.diagnosis = Some(told.join("; "));
        }
        let rules = self.rules.rules().iter().enumerate().map(|(id, rule)| self.outcome(id, rule, applies)).collect();
        let mut document = Document {
            schema_version: SCHEMA_VERSION,
            tool: Tool::this(),
            reporting_period: delivery.period(),
            delivery: delivery.id()?,
            dictionary: self.dictionary.edition(),
            rules_edition: self.rules.edition(),
            verdict: Verdict::Accepted,
            structure: self.structure,
            totals: self.totals,
            clients: self.clients,
            keys: self.keys,
            max_rejected_share,
            k: self.k,
            columns: self.columns,
            organizations: self.organizations,
            rules,
            run: Some(Run::of(delivery.bytes(), took)),
        };
        past::compare(&mut document, self.rules, previous);
        if document.rules.iter().any(RuleOutcome::refuses) {
            document.verdict = Verdict::Refused;
        }
        let of_file = self.rules.rules().iter().filter(|rule| rule.may_refuse()).map(|rule| rule.code.clone());
        Ok(Report { document, diagnosis: self.diagnosis, of_file: of_file.collect() })
    }

    fn outcome(&self, id: usize, rule: &Rule, applies: &dyn Fn(usize) -> Vec<usize>) -> RuleOutcome {
        let fields = self.dictionary.fields();
        let header = |at: usize| fields[at].header.clone();
        let mut outcome = RuleOutcome {
            code: rule.code.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            columns: Ruleset::columns(rule, self.dictionary),
            outcome: Outcome::Passed,
            reason: Ruleset::not_checkable(rule, self.dictionary, self.period),
            policy: self.rules.policy(&rule.code).map(str::to_owned),
            note: None,
            checked: 0,
            failed: 0,
            not_applicable: 0,
            first_lines: Vec::new(),
            first_offsets: Vec::new(),
            by_column: Vec::new(),
        };
        let (count, mut first, best) = self.counted(id, None);
        (outcome.checked, outcome.failed) = (count.checked, count.failed);
        if let (Kind::AgeInMonths { agreement }, Some(best)) = (&rule.kind, best) {
            if part_of(count.failed, count.checked) > 1.0 - agreement {
                outcome.reason = Some("the rows follow no meaning of the column that is known".to_owned());
                (outcome.checked, outcome.failed, first) = (0, 0, Vec::new());
            } else {
                outcome.note = AGES.get(best).map(|age| format!("the column is: {age}"));
            }
        }
        self.hold_whole_file(&rule.kind, &mut outcome);
        let fields_of_rule = applies(id);
        let to_all = match rule.kind.scope() {
            _ if !fields_of_rule.is_empty() => self.well_formed * fields_of_rule.len() as u64,
            Scope::Rows => self.well_formed,
            Scope::AcceptedRows => self.totals.accepted,
            Scope::File => 0,
        };
        for at in fields_of_rule {
            outcome.columns.push(header(at));
            let (count, places, best) = self.counted(id, Some(at));
            if count.checked > 0 {
                outcome.checked += count.checked;
                outcome.failed += count.failed;
                first.extend(&places);
                if let (Some(best), true) = (best, count.failed > 0) {
                    let format = fields[at].formats.get(best).map(|format| format.example());
                    let noted = outcome.note.take().map(|note| note + "; ").unwrap_or_default();
                    outcome.note =
                        format.map(|format| format!("{noted}{} is mostly written like {format}", header(at)));
                }
                if let Some(told) = self.undeclared(at).filter(|_| rule.kind == Kind::Date) {
                    let noted = outcome.note.take().map(|note| note + "; ").unwrap_or_default();
                    outcome.note = Some(noted + &told);
                }
                outcome.by_column.push(ColumnOutcome {
                    column: header(at),
                    checked: count.checked,
                    failed: count.failed,
                    first_lines: places.iter().map(|place| place.line).collect(),
                    first_offsets: places.iter().map(|place| place.offset).collect(),
                });
            }
        }
        if outcome.reason.is_none() {
            outcome.not_applicable = to_all.saturating_sub(outcome.checked);
        }
        if rule.kind.severities() == [Severity::Refuse] {
            outcome.checked = 1;
            if let Some((_, columns, place)) = self.file.iter().find(|(kind, ..)| *kind == rule.kind) {
                outcome.failed = 1;
                outcome.columns.clone_from(columns);
                first.extend(place);
            }
        }
        first.sort_unstable();
        first.dedup();
        first.truncate(FIRST_PLACES);
        outcome.first_lines = first.iter().map(|place| place.line).collect();
        outcome.first_offsets = first.iter().map(|place| place.offset).collect();
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

    /// Fills in a rule about the file as a whole, from the sums of all rows.
    fn hold_whole_file(&self, kind: &Kind, outcome: &mut RuleOutcome) {
        if outcome.reason.is_some() {
            return;
        }
        let found = match kind {
            Kind::PeriodWithoutDoses { least_rows, share } => {
                let [now, before] = self.recent;
                let is_without = now == 0 || (before > 0 && part_of(now, before) < *share);
                outcome.failed = u64::from(self.totals.accepted >= *least_rows && is_without);
                None
            }
            Kind::OtherJurisdiction { most } => return self.hold_to_jurisdiction(*most, outcome),
            Kind::ColumnUnfit { most, least_values } => {
                let is_unfit = |column: &&Column| {
                    let (present, unfit) = (column.present.unwrap_or(0), column.unfit.unwrap_or(0));
                    present >= *least_values && part_of(unfit, present) > *most
                };
                let told = self.columns.iter().filter(is_unfit).map(|column| {
                    outcome.columns.push(column.header.clone());
                    let [unfit, present] = [column.unfit, column.present].map(|rows| grouped(rows.unwrap_or(0)));
                    format!("{unfit} of {present} values in {}", column.header)
                });
                let told: Vec<_> = told.collect();
                (!told.is_empty()).then(|| abridged(&told, NAMED))
            }
            Kind::ManyOrganizations { most, least } => {
                let column = self.columns.iter().find(|column| column.name == names::ORGANIZATION);
                let different = column.and_then(|column| column.distinct.as_ref()).map_or(0, |distinct| distinct.count);
                let is_far = different >= *least && part_of(different, self.clients) > *most;
                is_far.then(|| format!("{} organizations, and {} clients", grouped(different), grouped(self.clients)))
            }
            Kind::Mostly { rule: of, most, least_rows } => {
                let rules = self.rules.rules().iter();
                let count =
                    rules.enumerate().find(|(_, rule)| rule.code == *of).map(|(id, _)| self.counted(id, None).0);
                let count = count.unwrap_or_default();
                let is_far = count.checked >= *least_rows && part_of(count.failed, count.checked) > *most;
                is_far.then(|| format!("{} of {} rows by {of}", grouped(count.failed), grouped(count.checked)))
            }
            _ => return,
        };
        outcome.checked = 1;
        outcome.failed |= u64::from(found.is_some());
        outcome.note = found;
    }

    /// Whether the share of rows of other responsible entities than the department's is at most `most`.
    fn hold_to_jurisdiction(&self, most: f64, outcome: &mut RuleOutcome) {
        let Some([named, others]) = self.entities else {
            outcome.reason.get_or_insert_with(|| "the settings name no responsible entity".to_owned());
            return;
        };
        let share = part_of(others, named + others);
        outcome.checked = 1;
        outcome.failed = u64::from(share > most);
        if share > most {
            let percent = share * 100.0;
            outcome.note =
                Some(format!("{percent:.1} % of the rows are of responsible entities that the settings do not name"));
        }
    }

    /// How often a rule was checked on a field (or on whole rows) and failed, the first failures, and for a rule with
    /// alternatives the one that all rows are held to.
    fn counted(&self, id: RuleId, field: Option<usize>) -> (Count, Vec<Place>, Option<usize>) {
        if let Some((best, count, first)) = self.alternatives.get(&(id, field)).and_then(Alternatives::best) {
            (count, first, Some(best))
        } else {
            let slot = slot(id, field, self.dictionary.fields().len());
            (self.counts[slot], self.first[slot].clone(), None)
        }
    }
}
