//! The same table month after month: what has changed by few clients is not published anew.
//!
//! The clients of two months cannot be told apart one by one, so months are compared by their numbers. A row whose
//! numerator, complement or denominator differs from a published one by 1 to k - 1 is withheld: that difference would be a
//! count of few. The earlier number stands, and the row is renewed when it has changed by k or more, or not at all. Tables by other
//! dimensions are compared by those that they share, as far as all their rows are shown.

use std::collections::{BTreeMap, BTreeSet};

use super::Policy;
use super::ledger::Entry;
use super::linked::{Follows, Reason};
use super::release::{Cell, Status};
use crate::query::ask::Ask;
use crate::query::{Question, RawShare};

/// Numerator and denominator.
type Pair = (u64, u64);

/// The rows of a table that have the same labels in the dimensions that two tables share: their sum, when all are shown, and
/// which they are.
#[derive(Default)]
struct Sum {
    numbers: Option<Pair>,
    rows: Vec<usize>,
}

pub(super) fn withhold_small_changes(
    cells: &mut [Cell],
    shares: &BTreeMap<Vec<String>, RawShare>,
    question: &Question<'_>,
    earlier: &[Entry],
    policy: &Policy,
) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    let asked = question.normalized();
    let small = |a: u64, b: u64| (1..policy.k()).contains(&a.abs_diff(b));
    for entry in earlier.iter().filter(|entry| is_comparable(&entry.question, &asked)) {
        let shared: Vec<&String> = asked.by.iter().filter(|id| entry.question.by.contains(id)).collect();
        let before = sums(
            &entry.question,
            &shared,
            entry.rows.iter().map(|row| (row.labels.as_slice(), row.numerator.zip(row.denominator))),
        );
        loop {
            let of_cell = |cell: &Cell| {
                let share = shares.get(&cell.labels).filter(|_| cell.status != Status::Suppressed);
                share.map(|share| (share.numerator, share.denominator))
            };
            let now = sums(&asked, &shared, cells.iter().map(|cell| (cell.labels.as_slice(), of_cell(cell))));
            let changed = now.iter().find_map(|(labels, sum)| {
                let ((n, d), (m, e)) = sum.numbers.zip(before.get(labels)?.numbers)?;
                let few = small(n, m) || small(d, e) || small(d.saturating_sub(n), e.saturating_sub(m));
                let size = |row: &&usize| (shares.get(&cells[**row].labels).map(|share| share.denominator), **row);
                few.then(|| sum.rows.iter().min_by_key(size).copied()).flatten()
            });
            let Some(row) = changed else { break };
            let cell = &mut cells[row];
            *cell = Cell::withheld(std::mem::take(&mut cell.labels), Status::Suppressed);
            reasons.insert(Reason { release: entry.release_id.clone(), rule: Follows::Change });
        }
    }
    reasons
}

/// Whether two questions tell the same of the same clients, months and dimensions aside.
fn is_comparable(a: &Ask, b: &Ask) -> bool {
    (a.indicator, &a.measure, &a.to, a.attribution) == (b.indicator, &b.measure, &b.to, b.attribution)
        && a.filters == b.filters
}

/// The rows of a table by the shared dimensions and the denominator.
fn sums<'a>(
    ask: &Ask,
    shared: &[&String],
    rows: impl Iterator<Item = (&'a [String], Option<Pair>)>,
) -> BTreeMap<Vec<String>, Sum> {
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    for (at, (labels, numbers)) in rows.enumerate() {
        let place = |id: &&String| ask.by.iter().position(|by| by == *id);
        let mut key: Vec<String> = shared.iter().filter_map(|id| labels.get(place(id)?).cloned()).collect();
        key.extend(match ask.denominators.as_slice() {
            [one] => Some(one.clone()),
            _ => labels.last().cloned(),
        });
        let sum = sums.entry(key).or_default();
        sum.numbers = if sum.rows.is_empty() {
            numbers
        } else {
            sum.numbers.zip(numbers).map(|((n, d), (m, e))| (n + m, d + e))
        };
        sum.rows.push(at);
    }
    sums
}
