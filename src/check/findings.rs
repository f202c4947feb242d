//! What the rules found in one chunk: counts, places, and which rows are out. Never a value.

use super::ruleset::{Ruleset, Severity};

/// The position of a rule in its ruleset.
pub type RuleId = usize;

/// One rule that one row broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Physical line on which the record begins; the header is line 1.
    pub line: u64,
    /// The rule.
    pub rule: u16,
    /// The field's position in the dictionary, when the rule is about one.
    pub field: Option<u16>,
}

/// How often a rule was checked and failed on one field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Values looked at.
    pub checked: u64,
    /// Values that broke the rule.
    pub failed: u64,
}

/// The findings of one chunk.
#[derive(Debug)]
pub struct Findings<'a> {
    lines: &'a [u64],
    rejecting: &'a [bool],
    fields: usize,
    counts: Vec<Count>,
    found: Vec<Finding>,
    rejected: Vec<bool>,
}

/// For every rule, whether it puts a row out.
pub fn rejecting(rules: &Ruleset) -> Vec<bool> {
    rules.rules().iter().map(|rule| rule.severity == Severity::Reject).collect()
}

/// The slots in which counts are kept: one for each rule and field, and one for rules about the whole row.
pub fn slots(rules: usize, fields: usize) -> usize {
    rules * (fields + 1)
}

/// The slot of a rule and field.
pub fn slot(rule: RuleId, field: Option<usize>, fields: usize) -> usize {
    rule * (fields + 1) + field.map_or(0, |field| field + 1)
}

impl<'a> Findings<'a> {
    /// No findings yet for the well-formed rows that begin on `lines`.
    pub fn new(lines: &'a [u64], rejecting: &'a [bool], fields: usize) -> Self {
        Self {
            lines,
            rejecting,
            fields,
            counts: vec![Count::default(); slots(rejecting.len(), fields)],
            found: Vec::new(),
            rejected: vec![false; lines.len()],
        }
    }

    /// A rule was checked on a field of a row.
    pub fn checked(&mut self, row: usize, rule: RuleId, field: usize, passed: bool) {
        self.record(row, rule, Some(field), passed);
    }

    /// A rule was checked on a whole row.
    pub fn checked_row(&mut self, row: usize, rule: RuleId, passed: bool) {
        self.record(row, rule, None, passed);
    }

    /// Records that never became rows: each was checked for its shape and failed.
    pub fn broken(&mut self, line: u64, rule: RuleId) {
        self.counts[slot(rule, None, self.fields)].failed += 1;
        self.push(line, rule, None);
    }

    /// A rule on shape was checked on so many records.
    pub fn shapes_checked(&mut self, rule: RuleId, records: u64) {
        self.counts[slot(rule, None, self.fields)].checked += records;
    }

    fn record(&mut self, row: usize, rule: RuleId, field: Option<usize>, passed: bool) {
        let count = &mut self.counts[slot(rule, field, self.fields)];
        count.checked += 1;
        if !passed {
            count.failed += 1;
            self.rejected[row] |= self.rejecting[rule];
            self.push(self.lines[row], rule, field);
        }
    }

    fn push(&mut self, line: u64, rule: RuleId, field: Option<usize>) {
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        self.found.push(Finding { line, rule: short(rule), field: field.map(short) });
    }

    /// Whether each row is out.
    pub fn rejected(&self) -> &[bool] {
        &self.rejected
    }

    /// Counts by slot, and the findings in the order of the file.
    pub fn into_parts(mut self) -> (Vec<Count>, Vec<Finding>) {
        self.found.sort_unstable();
        (self.counts, self.found)
    }
}
