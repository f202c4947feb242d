//! What the rules found in one chunk: counts, places, and which rows are out. Never a value.

use super::place::Place;
use super::ruleset::{Ruleset, Severity};

/// The position of a rule in its ruleset.
pub type RuleId = usize;

/// Places that are kept of each rule and column.
pub const FIRST_PLACES: usize = 20;

/// One rule that one row broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The record.
    pub place: Place,
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

/// Rows by the alternatives that fit them, for a rule that holds all rows to the one that fits most: a file may write its
/// dates in any of three forms, but in one of them.
#[derive(Clone, Debug, Default)]
pub struct Alternatives {
    /// For each set of alternatives, one bit each: the rows that it fits, and the first of them.
    sets: Vec<(u8, u64, Vec<Place>)>,
}

impl Alternatives {
    /// The alternatives that fit each row, and its place; `None` is a row to which the rule does not apply.
    fn of(rows: impl Iterator<Item = (Option<u8>, Place)>) -> Self {
        let mut counts = [0_u64; 256];
        let mut places: Vec<(u8, Place)> = Vec::new();
        for (fit, place) in rows {
            let Some(fit) = fit else { continue };
            let count = &mut counts[usize::from(fit)];
            *count += 1;
            if *count <= FIRST_PLACES as u64 {
                places.push((fit, place));
            }
        }
        let sets = (0..=u8::MAX).zip(counts).filter(|(_, count)| *count > 0).map(|(fit, count)| {
            let first = places.iter().filter(|(other, _)| *other == fit).map(|(_, place)| *place);
            (fit, count, first.collect())
        });
        Self { sets: sets.collect() }
    }

    /// Adds those of a later chunk.
    pub fn merge(&mut self, later: Self) {
        for (fit, count, first) in later.sets {
            if let Some((_, sum, places)) = self.sets.iter_mut().find(|(set, ..)| *set == fit) {
                *sum += count;
                places.extend(first);
                places.truncate(FIRST_PLACES);
            } else {
                self.sets.push((fit, count, first));
            }
        }
    }

    /// Rows that an alternative fits.
    pub fn rows(&self, alternative: usize) -> u64 {
        self.sets.iter().filter(|(set, ..)| set >> alternative & 1 == 1).map(|(_, count, _)| count).sum()
    }

    /// The alternative that fits most rows (the first of equals), all rows, and those that it does not fit with the first
    /// of them. `None` when there are no rows.
    pub fn best(&self) -> Option<(usize, Count, Vec<Place>)> {
        let fits = |set: u8, alternative: usize| set >> alternative & 1 == 1;
        let checked: u64 = self.sets.iter().map(|(_, count, _)| count).sum();
        let best = (0..8).rev().max_by_key(|alternative| self.rows(*alternative)).filter(|_| checked > 0)?;
        let mut first: Vec<_> =
            self.sets.iter().filter(|(set, ..)| !fits(*set, best)).flat_map(|(.., first)| first.clone()).collect();
        first.sort_unstable();
        first.truncate(FIRST_PLACES);
        Some((best, Count { checked, failed: checked - self.rows(best) }, first))
    }
}

/// The findings of one chunk.
#[derive(Debug)]
pub struct Findings<'a> {
    places: &'a [Place],
    rejecting: &'a [bool],
    fields: usize,
    counts: Vec<Count>,
    found: Vec<Finding>,
    rejected: Vec<bool>,
    alternatives: Vec<((RuleId, Option<usize>), Alternatives)>,
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

/// What came of all rules in one chunk.
#[derive(Debug)]
pub struct Found {
    /// By slot.
    pub counts: Vec<Count>,
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// Rules that hold all rows to one of several alternatives.
    pub alternatives: Vec<((RuleId, Option<usize>), Alternatives)>,
}

impl<'a> Findings<'a> {
    /// No findings yet for the well-formed rows that lie at `places`.
    pub fn new(places: &'a [Place], rejecting: &'a [bool], fields: usize) -> Self {
        Self {
            places,
            rejecting,
            fields,
            counts: vec![Count::default(); slots(rejecting.len(), fields)],
            found: Vec::new(),
            rejected: vec![false; places.len()],
            alternatives: Vec::new(),
        }
    }

    /// A rule was checked on so many values of a field, or on so many records; failures are told one by one.
    pub fn checked(&mut self, rule: RuleId, field: Option<usize>, values: u64) {
        self.counts[slot(rule, field, self.fields)].checked += values;
    }

    /// Holds every row to a rule about whole rows: `true` passes, and `None` is a row to which it does not apply.
    pub fn check_rows(&mut self, rule: RuleId, verdict: impl Fn(usize) -> Option<bool>) {
        let mut checked = 0;
        for row in 0..self.places.len() {
            if let Some(passed) = verdict(row) {
                checked += 1;
                if !passed {
                    self.failed(row, rule, None);
                }
            }
        }
        self.checked(rule, None, checked);
    }

    /// Sorts every row by the alternatives that fit it, one bit each; `None` is a row to which the rule does not apply.
    pub fn sort_rows(&mut self, rule: RuleId, field: Option<usize>, fit: impl Fn(usize) -> Option<u8>) {
        let alternatives = Alternatives::of(self.places.iter().enumerate().map(|(row, place)| (fit(row), *place)));
        self.alternatives.push(((rule, field), alternatives));
    }

    /// The same where the alternatives of each row are known; none is a row to which the rule does not apply.
    pub fn sort_all_rows(&mut self, rule: RuleId, field: Option<usize>, fits: &[u8]) {
        match fits {
            // In most chunks all rows are alike.
            [first, rest @ ..] if *first != 0 && *rest == fits[..rest.len()] => {
                let sets = vec![(*first, fits.len() as u64, self.places.iter().copied().take(FIRST_PLACES).collect())];
                self.alternatives.push(((rule, field), Alternatives { sets }));
            }
            _ => self.sort_rows(rule, field, |row| Some(fits[row]).filter(|fit| *fit != 0)),
        }
    }

    /// A record that never became a row: it was checked for its shape and failed.
    pub fn broken(&mut self, place: Place, rule: RuleId) {
        self.counts[slot(rule, None, self.fields)].failed += 1;
        self.push(place, rule, None);
    }

    /// A row broke a rule, on a field or as a whole.
    pub fn failed(&mut self, row: usize, rule: RuleId, field: Option<usize>) {
        self.counts[slot(rule, field, self.fields)].failed += 1;
        self.rejected[row] |= self.rejecting[rule];
        self.push(self.places[row], rule, field);
    }

    fn push(&mut self, place: Place, rule: RuleId, field: Option<usize>) {
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        self.found.push(Finding { place, rule: short(rule), field: field.map(short) });
    }

    /// Whether each row is out.
    pub fn rejected(&self) -> &[bool] {
        &self.rejected
    }

    /// What was found.
    pub fn into_found(mut self) -> Found {
        self.found.sort_unstable();
        Found { counts: self.counts, findings: self.found, alternatives: self.alternatives }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alternative_that_fits_most_rows_is_the_one_that_all_are_held_to() {
        let place = |line| Place { line, offset: line * 10, length: 10 };
        let of = |rows: &[(u8, u64)]| Alternatives::of(rows.iter().map(|(fit, line)| (Some(*fit), place(*line))));
        let rows = [(0b01, 2), (0b11, 3), (0b10, 4), (0b01, 5), (0b00, 6)];
        let (best, count, first) = of(&rows).best().unwrap();
        assert_eq!((best, count.checked, count.failed), (0, 5, 2));
        assert_eq!(first, [place(4), place(6)]);
        // In two chunks it comes out the same.
        let mut halves = of(&rows[..2]);
        halves.merge(of(&rows[2..]));
        assert_eq!(halves.best().unwrap().2, first);
        assert_eq!(of(&[(0b10, 2), (0b01, 3)]).best().unwrap().0, 0, "the first of equals");
        assert!(of(&[]).best().is_none());
    }
}
