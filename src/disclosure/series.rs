//! The same table month after month: what has changed by few clients is not published anew.
//!
//! The clients of two months cannot be told apart one by one, so months are compared by their numbers. A row whose
//! numerator, complement or denominator differs from a published one by 1 to k - 1 is withheld: that difference would be a
//! count of few. So is a row, when those that are not shown both times have changed by few together. The earlier number stands,
//! and the row is renewed when it has changed by k or more, or not at all. A month has the tables that the others have, and no
//! others, because changes between different tables are not compared.

use std::collections::{BTreeMap, BTreeSet};

use super::coarsen::TooLittle;
use super::ledger::{Entry, Row};
use super::linked::{Follows, Reason};
use super::release::{Cell, Status};
use super::{Policy, treat};
use crate::error::{Error, Result};
use crate::period::ReportingPeriod;
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

/// Whether a question may be published of this month: where others have been published, it is one that was published of
/// each of them. Numbers of different questions to different months cannot be compared one by one.
pub(super) fn is_continued(question: &Question<'_>, earlier: &[Entry]) -> Result<(), TooLittle> {
    let asked = question.normalized();
    let mut files: BTreeMap<(ReportingPeriod, &str), bool> = BTreeMap::new();
    for entry in earlier {
        let is_same = is_comparable(&entry.question, &asked);
        *files.entry((entry.reporting_period, &entry.delivery_sha256)).or_default() |= is_same;
    }
    match files.into_iter().find(|(_, is_there)| !is_there) {
        None => Ok(()),
        Some(((period, _), _)) => {
            let because = format!("other tables were published of {period}, and not this one");
            let error = Error::refused(format!("{because}: what has changed since could not be compared")).hint(
                "publish the same tables as then; another one can be begun only where no other month has been published",
            );
            Err(TooLittle { error, because, beside: Vec::new() })
        }
    }
}

/// All rows of a table together, by denominator where there are several.
pub(super) fn totals(asked: &Ask, shares: &BTreeMap<Vec<String>, RawShare>) -> Vec<Row> {
    let rows = shares.iter().map(|(labels, share)| (labels.as_slice(), Some((share.numerator, share.denominator))));
    let row = |(labels, sum): (Vec<String>, Sum)| {
        let (numerator, denominator) = sum.numbers.unzip();
        Row { labels, numerator, denominator }
    };
    sums(asked, &[], rows).into_iter().map(row).collect()
}

/// Withholds rows that have changed by few since another month was published, by themselves or together with others.
pub(super) fn withhold_small_changes(
    cells: &mut [Cell],
    shares: &BTreeMap<Vec<String>, RawShare>,
    question: &Question<'_>,
    earlier: &[Entry],
    policy: &Policy,
) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    let asked = question.normalized();
    for entry in earlier.iter().filter(|entry| is_comparable(&entry.question, &asked)) {
        let shared: Vec<&String> = asked.by.iter().filter(|id| entry.question.by.contains(id)).collect();
        let rows = entry.rows.iter().map(|row| (row.labels.as_slice(), row.numerator.zip(row.denominator)));
        let before = sums(&entry.question, &shared, rows);
        while let Some(row) = small_change(cells, shares, &asked, &shared, &before, entry, policy) {
            cells[row].withhold();
            reasons.insert(Reason { release: entry.release_id.clone(), rule: Follows::Change });
        }
    }
    reasons
}

/// The smallest shown row that tells of a change by few: its own, or that of all rows which are not shown both times.
fn small_change(
    cells: &[Cell],
    shares: &BTreeMap<Vec<String>, RawShare>,
    asked: &Ask,
    shared: &[&String],
    before: &BTreeMap<Vec<String>, Sum>,
    entry: &Entry,
    policy: &Policy,
) -> Option<usize> {
    let is_small = |a: u64, b: u64| !treat::may_be_seen(a.abs_diff(b), policy);
    let changed = |(n, d): Pair, (m, e): Pair| {
        is_small(n, m) || is_small(d, e) || is_small(d.saturating_sub(n), e.saturating_sub(m))
    };
    let size = |row: &usize| (shares.get(&cells[*row].labels).map(|share| share.denominator), *row);
    let shown = |cell: &Cell| {
        let share = shares.get(&cell.labels).filter(|_| cell.status != Status::Suppressed);
        share.map(|share| (share.numerator, share.denominator))
    };
    let now = sums(asked, shared, cells.iter().map(|cell| (cell.labels.as_slice(), shown(cell))));
    let of_one = now.iter().find_map(|(labels, sum)| {
        let (now, before) = sum.numbers.zip(before.get(labels)?.numbers)?;
        changed(now, before).then(|| sum.rows.iter().copied().min_by_key(size)).flatten()
    });
    if of_one.is_some() {
        return of_one;
    }
    // What is not shown both times, together: all rows less those that are.
    let less = |(n, d): Pair, (m, e): Pair| (n.saturating_sub(m), d.saturating_sub(e));
    totals(asked, shares).into_iter().find_map(|total| {
        let then = entry.totals.iter().find(|row| row.labels == total.labels)?;
        let (mut rest_now, mut rest_then) =
            (total.numerator.zip(total.denominator)?, then.numerator.zip(then.denominator)?);
        let mut rows = Vec::new();
        for (labels, sum) in now.iter().filter(|(labels, _)| labels.last() == total.labels.last()) {
            if let Some((now, before)) = sum.numbers.zip(before.get(labels).and_then(|sum| sum.numbers)) {
                (rest_now, rest_then) = (less(rest_now, now), less(rest_then, before));
                rows.extend(sum.rows.iter().copied());
            }
        }
        changed(rest_now, rest_then).then(|| rows.into_iter().min_by_key(size)).flatten()
    })
}

/// Whether two questions are the same, months and the order of dimensions aside.
pub(super) fn is_comparable(a: &Ask, b: &Ask) -> bool {
    let by = |ask: &Ask| ask.by.iter().cloned().collect::<BTreeSet<_>>();
    (a.indicator, &a.measure, &a.to, a.attribution) == (b.indicator, &b.measure, &b.to, b.attribution)
        && (&a.filters, &a.denominators, by(a)) == (&b.filters, &b.denominators, by(b))
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
        sum.numbers =
            if sum.rows.is_empty() { numbers } else { sum.numbers.zip(numbers).map(|((n, d), (m, e))| (n + m, d + e)) };
        sum.rows.push(at);
    }
    sums
}
