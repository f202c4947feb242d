//! The same table month after month: what has changed by few clients is not published anew.
//!
//! The clients of two months cannot be told apart one by one, so months are compared by their numbers, in all tables that count
//! the same under whatever name ([`crate::query::alike`]). A row whose numerator, complement or denominator differs from a
//! published one by 1 to k - 1 is withheld: that difference would be a count of few. So is a row, when those that are not shown
//! both times have changed by few together. The earlier number stands, and the row is renewed when it has changed by k or more,
//! or not at all. A month has the tables that the others have, and no others, because changes between tables of other groups
//! are not compared. Nor may one month bound too closely what another one withholds, when counts do not fall
//! ([`super::growth`]). Tables that others have published are compared like our own.

use std::collections::{BTreeMap, BTreeSet};

use super::coarsen::TooLittle;
use super::growth::{History, Past};
use super::ledger::{Entry, Row};
use super::linked::{Follows, Reason};
use super::release::{Cell, DisclosureNote, Status};
use super::table::Rule;
use super::{Policy, treat};
use crate::error::{Error, Result};
use crate::period::ReportingPeriod;
use crate::query::alike::{Alike, by, is_same_question};
use crate::query::ask::{Ask, Denominator};
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
    // What others have published, nobody here can go on with.
    for entry in earlier.iter().filter(|entry| entry.is_published()) {
        let is_same = is_same_question(&entry.question, &asked);
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

/// What a reader must know of a table that is not published anew in all rows. Of which rows this holds is not told: it would
/// tell which of the suppressed ones are small.
pub(super) fn caveat(disclosure: &DisclosureNote) -> Option<String> {
    let standing = disclosure.standing();
    let k = disclosure.k;
    (!standing.is_empty()).then(|| {
        format!(
            "Rows that have changed by 1 to {} clients since they were published (release {}) are suppressed, and so are rows that would tell of such a change: their published numbers stand until they have changed by {k} or more.",
            k - 1,
            standing.join(", ")
        )
    })
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

/// A table, and the same table of other months.
pub(super) struct Series<'a> {
    asked: Ask,
    period: ReportingPeriod,
    shares: &'a BTreeMap<Vec<String>, RawShare>,
    /// The same table of other months, and then other tables of theirs that can be compared.
    earlier: Vec<Earlier<'a>>,
    /// All that was published of other months, and of this one.
    others: &'a [Entry],
    same: &'a [Entry],
    policy: &'a Policy,
    rule: Rule,
}

/// A table of another month.
struct Earlier<'a> {
    entry: &'a Entry,
    alike: Alike,
    /// Its shown rows, by labels and denominator.
    shown: BTreeMap<Vec<String>, Sum>,
}

/// The counts of a table by the shared labels.
#[derive(Default)]
struct Month<'a> {
    /// Of the ledger; nothing for the new table.
    entry: Option<&'a Entry>,
    counts: BTreeMap<Vec<String>, Pair>,
    shown: BTreeSet<Vec<String>>,
    /// Rows whose denominator another table shows.
    sized: BTreeSet<Vec<String>>,
}

impl<'a> Series<'a> {
    pub(super) fn of(
        question: &Question<'_>,
        shares: &'a BTreeMap<Vec<String>, RawShare>,
        others: &'a [Entry],
        same: &'a [Entry],
        policy: &'a Policy,
    ) -> Result<Self> {
        let asked = question.normalized();
        let shared: Vec<&String> = asked.by.iter().collect();
        let table = |entry: &'a Entry| {
            let alike = question.alike(&entry.question)?;
            Some(Earlier { entry, alike, shown: shown(entry, &shared) })
        };
        let mut earlier: Vec<Earlier<'_>> = others.iter().filter_map(table).collect();
        // Of the reasons for which a row is withheld, that its own number stands is the best.
        earlier.sort_by_key(|earlier| earlier.alike != Alike::Table);
        Ok(Self {
            asked,
            period: question.partition().manifest().reporting_period,
            shares,
            earlier,
            others,
            same,
            policy,
            rule: policy.rule(None)?,
        })
    }

    /// Withholds rows that have changed by few since another month was published, by themselves or together with others.
    pub(super) fn withhold_small_changes(&self, cells: &mut [Cell]) -> BTreeSet<Reason> {
        let mut reasons = BTreeSet::new();
        while let Some((row, reason)) = self.small_change(cells) {
            cells[row].withhold();
            reasons.insert(reason);
        }
        reasons
    }

    /// Rows of a part of the table to withhold, of which the cell of each is at `places`: one that has changed by few, or else
    /// those from which withheld rows of any month follow. `sized` are those whose denominator earlier tables of this month tell.
    pub(super) fn to_withhold(&self, cells: &[Cell], places: &[Option<usize>], sized: &[bool]) -> Vec<(usize, Reason)> {
        let row_of = |cell: usize| places.iter().position(|place| *place == Some(cell));
        if let Some((cell, reason)) = self.small_change(cells) {
            return row_of(cell).map(|row| (row, reason)).into_iter().collect();
        }
        let sized: BTreeSet<usize> =
            places.iter().zip(sized).filter(|(_, sized)| **sized).filter_map(|(at, _)| *at).collect();
        let one = places.iter().flatten().next();
        let of_growth = one.map(|one| self.growth(cells, &sized, *one)).unwrap_or_default();
        of_growth.into_iter().filter_map(|(cell, reason)| Some((row_of(cell)?, reason))).collect()
    }

    /// Cells to withhold, so that counts that do not fall tell nothing of what is withheld in any month; of the denominator
    /// of the cell `one`.
    fn growth(&self, cells: &[Cell], sized: &BTreeSet<usize>, one: usize) -> Vec<(usize, Reason)> {
        let shared: Vec<&String> = self.asked.by.iter().collect();
        let keys: Vec<Vec<String>> = cells.iter().map(|cell| key(&self.asked, &shared, &cell.labels)).collect();
        let denominator = keys[one].last();
        let is_wanted = |key: &Vec<String>| key.last() == denominator;

        let mut newest = Month::default();
        for (at, (cell, key)) in cells.iter().zip(&keys).enumerate().filter(|(_, (_, key))| is_wanted(key)) {
            let Some(share) = self.shares.get(&cell.labels) else { continue };
            newest.counts.insert(key.clone(), (share.numerator, share.denominator));
            if cell.status != Status::Suppressed {
                newest.shown.insert(key.clone());
            }
            if sized.contains(&at) {
                newest.sized.insert(key.clone());
            }
        }
        // What was told of this table before, here or elsewhere, cannot be taken back.
        let mut fixed = BTreeSet::new();
        let is_again = |ask: &Ask| is_same_question(ask, &self.asked) && ask.as_of == self.asked.as_of;
        for entry in self.same.iter().filter(|entry| is_again(&entry.question)) {
            let shown = entry.rows.iter().filter(|row| row.counts().is_some());
            fixed.extend(shown.map(|row| key(&entry.question, &shared, &row.labels)).filter(is_wanted));
        }
        newest.shown.extend(fixed.iter().cloned());

        // Counts of the same clients grow with the day until which they are counted, and with what has come in since.
        let mut months: Vec<Month<'_>> = Vec::new();
        for Earlier { entry, .. } in self.earlier.iter().filter(|earlier| earlier.alike == Alike::Table) {
            let Some(month) = self.month(entry, &shared, is_wanted) else { continue };
            let is_same =
                |other: &Entry| other.is_of_the_file_of(entry) && other.question.as_of == entry.question.as_of;
            match months.iter_mut().find(|other| other.entry.is_some_and(is_same)) {
                // The same table of the same file, published and known from elsewhere.
                Some(other) => other.shown.extend(month.shown),
                None => months.push(month),
            }
        }
        if months.is_empty() {
            return Vec::new();
        }
        months.push(newest);
        months.sort_by_key(|month| match month.entry {
            Some(entry) => (entry.question.as_of, entry.reporting_period, entry.number),
            None => (self.asked.as_of, self.period, u64::MAX),
        });
        let at = months.iter().position(|month| month.entry.is_none()).unwrap_or_default();
        let rows: BTreeSet<&Vec<String>> = months.iter().flat_map(|month| month.counts.keys()).collect();
        let past = |key: &&Vec<String>| {
            // A row that is not there has nobody, and everybody sees it.
            let counts: Vec<Pair> =
                months.iter().map(|month| month.counts.get(*key).copied().unwrap_or_default()).collect();
            let shown = |month: &Month<'_>| month.shown.contains(*key) || !month.counts.contains_key(*key);
            let shown = months.iter().map(shown).collect();
            let sized = months.iter().map(|month| month.sized.contains(*key)).collect();
            Past::new(&counts, shown, sized)
        };
        let of_people = denominator.is_some_and(|name| Denominator::is_of_people(name));
        let pasts = rows.iter().map(past).collect();
        let fixed = rows.iter().map(|key| fixed.contains(*key)).collect();
        let mut history = History::new(self.rule, of_people, pasts, at, fixed);
        let rows: Vec<&Vec<String>> = rows.into_iter().collect();
        let found = history.give_way().into_iter().filter_map(|(row, month)| {
            let cell = keys.iter().position(|key| key == rows[row])?;
            let release = months[month].entry.map(|entry| entry.release_id.clone()).unwrap_or_default();
            Some((cell, Reason { release, rule: Follows::Growth }))
        });
        found.collect()
    }

    /// The counts of an earlier table, also those that are withheld; nothing where the ledger does not have them.
    fn month<'e>(
        &self,
        entry: &'e Entry,
        shared: &[&String],
        is_wanted: impl Fn(&Vec<String>) -> bool,
    ) -> Option<Month<'e>> {
        let of = |rows: &[Row], ask: &Ask| -> BTreeMap<Vec<String>, Pair> {
            let rows = rows.iter().map(|row| (row.labels.as_slice(), row.counts()));
            let sums = sums(ask, shared, rows).into_iter().filter(|(key, _)| is_wanted(key));
            sums.filter_map(|(key, sum)| Some((key, sum.numbers?))).collect()
        };
        let shown = of(&entry.rows, &entry.question);
        let mut counts = of(&entry.withheld, &entry.question);
        if entry.withheld.len() < entry.rows.iter().filter(|row| row.counts().is_none()).count() {
            return None;
        }
        let mut month = Month { entry: Some(entry), ..Month::default() };
        month.shown = shown.keys().cloned().collect();
        counts.extend(shown);
        for other in self.others.iter().filter(|other| other.is_of_the_file_of(entry)) {
            let is_alike = by(&other.question) == by(&entry.question)
                && (&other.question.filters, &other.question.denominators)
                    == (&entry.question.filters, &entry.question.denominators);
            if is_alike && !std::ptr::eq(other, entry) {
                let sizes = of(&other.rows, &other.question);
                let same =
                    sizes.into_iter().filter(|(key, (_, size))| counts.get(key).is_some_and(|(_, own)| own == size));
                month.sized.extend(same.map(|(key, _)| key));
            }
        }
        month.counts = counts;
        Some(month)
    }

    /// The smallest shown row that tells of a change by few since some month.
    fn small_change(&self, cells: &[Cell]) -> Option<(usize, Reason)> {
        self.earlier.iter().find_map(|earlier| {
            let row = self.small_change_since(cells, earlier)?;
            Some((row, Reason { release: earlier.entry.release_id.clone(), rule: reason(earlier.alike) }))
        })
    }

    /// The same since one: the change of the row itself, or that of all rows which are not shown both times.
    fn small_change_since(&self, cells: &[Cell], earlier: &Earlier<'_>) -> Option<usize> {
        let (asked, shares) = (&self.asked, self.shares);
        let Earlier { entry, alike, shown: before } = earlier;
        let shared: Vec<&String> = asked.by.iter().collect();
        let changed = |now: Pair, then: Pair| is_few(*alike, now, then, self.policy);
        let size = |row: &usize| (shares.get(&cells[*row].labels).map(|share| share.denominator), *row);
        let shown = |cell: &Cell| {
            let share = shares.get(&cell.labels).filter(|_| cell.status != Status::Suppressed);
            share.map(|share| (share.numerator, share.denominator))
        };
        let now = sums(asked, &shared, cells.iter().map(|cell| (cell.labels.as_slice(), shown(cell))));
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
            let (mut rest_now, mut rest_then) = (total.counts()?, then.counts()?);
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
}

/// Whether a row that a release of another month shows has changed by few since, or until, everybody knew it: what follows then.
/// The question is that of the known table.
pub(super) fn has_changed_by_few(
    (question, known): (&Question<'_>, &Entry),
    release: &Entry,
    policy: &Policy,
) -> Option<Follows> {
    let alike = question.alike(&release.question)?;
    let shared: Vec<&String> = known.question.by.iter().collect();
    let (now, then) = (shown(known, &shared), shown(release, &shared));
    let is_told = now.iter().any(|(key, sum)| {
        let both = sum.numbers.zip(then.get(key).and_then(|sum| sum.numbers));
        both.is_some_and(|(now, then)| is_few(alike, now, then, policy))
    });
    is_told.then(|| reason(alike))
}

/// What a small difference from a table of another month is.
fn reason(alike: Alike) -> Follows {
    match alike {
        Alike::Table => Follows::Change,
        Alike::Answers | Alike::Cohort => Follows::Month,
    }
}

/// Whether numerator, denominator or complement differ by few; of other answers, the denominator alone.
fn is_few(alike: Alike, (n, d): Pair, (m, e): Pair, policy: &Policy) -> bool {
    let is_small = |a: u64, b: u64| !treat::may_be_seen(a.abs_diff(b), policy);
    let answers = || is_small(n, m) || is_small(d.saturating_sub(n), e.saturating_sub(m));
    is_small(d, e) || (alike != Alike::Cohort && answers())
}

/// The shown rows of a published table by the shared dimensions and the denominator.
fn shown(entry: &Entry, shared: &[&String]) -> BTreeMap<Vec<String>, Sum> {
    sums(&entry.question, shared, entry.rows.iter().map(|row| (row.labels.as_slice(), row.counts())))
}

/// The rows of a table by the shared dimensions and the denominator.
fn sums<'a>(
    ask: &Ask,
    shared: &[&String],
    rows: impl Iterator<Item = (&'a [String], Option<Pair>)>,
) -> BTreeMap<Vec<String>, Sum> {
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    for (at, (labels, numbers)) in rows.enumerate() {
        let sum = sums.entry(key(ask, shared, labels)).or_default();
        sum.numbers =
            if sum.rows.is_empty() { numbers } else { sum.numbers.zip(numbers).map(|((n, d), (m, e))| (n + m, d + e)) };
        sum.rows.push(at);
    }
    sums
}

/// What a row says of the shared dimensions, and its denominator.
fn key(ask: &Ask, shared: &[&String], labels: &[String]) -> Vec<String> {
    let place = |id: &&String| ask.by.iter().position(|by| by == *id);
    let key = shared.iter().filter_map(|id| labels.get(place(id)?).cloned());
    key.chain(match ask.denominators.as_slice() {
        [one] => Some(one.clone()),
        _ => labels.last().cloned(),
    })
    .collect()
}
