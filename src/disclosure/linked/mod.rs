//! Tables that are released together: what one of them withholds must not follow from the others.
//!
//! Tables of the same clients are linked, however they are grouped and filtered: the sum over the ages of a county is the
//! county, and all clients less the girls are the boys. So every table is held to those that were admitted before it, by
//! its clients, and rows of the new one are withheld until four things hold:
//!
//! 1. No difference tells of few ([`difference`]): what a shown row has more than the shown rows inside of it is nobody, or k
//!    clients and more, of whom none or k and more are in the numerator, and outside of it.
//! 2. No two indicators tell of few ([`difference`]): of clients of one row who have one and lack another, where all who have
//!    the one have the other.
//! 3. No sum of shown numbers, each taken once, more often or off, is few clients ([`sums`]).
//! 4. Every withheld row could be another ([`exchange`]): clients whom no shown row tells apart may exchange their answers,
//!    or their places, and nothing that is shown changes. The values that a withheld number takes in this way are those
//!    that nobody can exclude, and they must be enough: the policy's w, and up to k for what is small.
//!
//! What is shown is exact. Earlier tables stay as they are: only the new one gives way, and one that shows nothing tells
//! nothing. The order matters and is that of the questions.

#[cfg(test)]
pub(super) mod attacker;
mod difference;
mod echelon;
mod exchange;
mod few;
mod grouping;
mod moves;
#[cfg(test)]
mod pairs;
mod slices;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::table::Rule;
use crate::query::{Members, numerator};
use difference::Comparisons;
use exchange::Helpless;
use grouping::{Answers, Grouping, Numbers};
use moves::Routes;
use slices::Cut;
pub(super) use slices::{Gives, Number};
use sums::Kinds;

/// Tables that were admitted, and the clients in them.
#[derive(Clone)]
pub(super) struct Linked {
    rule: Rule,
    /// Whether all clients together are known, from this program or from elsewhere.
    totals_are_known: bool,
    /// Whether a group in which nobody is counted, or everybody, tells too much.
    alike_counts: bool,
    /// Whether an answer is wanted at once.
    at_once: bool,
    clients: Numbers<i64, u32>,
    /// Shared by copies: they are large, and do not change.
    groupings: Vec<Arc<Grouping>>,
    answers: Vec<Answers>,
    tables: Vec<Table>,
    /// Tables that are not of shares of groups.
    cuts: Vec<Cut>,
    /// Pairs of indicators of which one says something about the other, the smaller number first.
    ties: BTreeSet<(usize, usize)>,
    kinds: Kinds,
    comparisons: Comparisons,
    /// By the grouping that is looked at.
    routes: BTreeMap<usize, Routes>,
    /// What is known too well without any release, and how many tables there were when this was looked up.
    helpless: (usize, Helpless),
    /// How often rows of the newest table were withheld for the sake of others that were too well known.
    rounds: u32,
}

/// Rows of the newest table to withhold, by one of the rules.
type Step = fn(&mut Linked) -> Vec<(usize, Reason)>;

/// A table of shares of one denominator and one rule of attribution.
#[derive(Clone)]
struct Table {
    /// Of which release it is.
    release: String,
    grouping: usize,
    answers: usize,
    /// Whether its denominators are counts of people from elsewhere.
    of_people: bool,
    /// Whether its rows are the classes of a layer of a [`Cut`], of whom nobody is counted.
    is_layer: bool,
    /// Whether everybody knows all of its rows from elsewhere, also those of few.
    is_known: bool,
    numerators: Vec<u64>,
    shown: Vec<bool>,
}

/// Why a row of a table is withheld that is not small itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    /// The release whose rows it would tell about.
    pub release: String,
    /// What would follow.
    pub rule: Follows,
}

/// What would follow from a row and those shown before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The difference of two shown rows is few clients.
    Difference,
    /// Few clients have one indicator and lack another.
    Indicators,
    /// A withheld number is known too well.
    Withheld,
    /// A number has changed by few clients since it was published of another month.
    Change,
    /// A withheld number is known too well from another month, where counts do not fall.
    Growth,
    /// The same clients, or their answers, are few fewer or more in another table of another month.
    Month,
}

impl Follows {
    const ALL: [Self; 6] =
        [Self::Difference, Self::Indicators, Self::Withheld, Self::Change, Self::Growth, Self::Month];

    /// What a sentence of [`Follows::sentence`] says.
    pub(super) fn said(sentence: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|follows| follows.sentence() == sentence)
    }

    /// In a sentence.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Difference => "the difference of two rows would be few clients",
            Self::Indicators => "the difference of two indicators would be few clients",
            Self::Withheld => "a withheld number would be known too well",
            Self::Change => "the change since then would be few clients",
            Self::Growth => "a withheld number would be known too well, because counts do not fall",
            Self::Month => "the difference from another table of another month would be few clients",
        }
    }
}

impl Linked {
    /// No tables yet.
    pub(super) fn new(rule: Rule, totals_are_known: bool) -> Self {
        Self {
            rule,
            totals_are_known,
            alike_counts: false,
            at_once: false,
            clients: Numbers::default(),
            groupings: Vec::new(),
            answers: Vec::new(),
            tables: Vec::new(),
            cuts: Vec::new(),
            ties: BTreeSet::new(),
            kinds: Kinds::default(),
            comparisons: Comparisons::default(),
            routes: BTreeMap::new(),
            helpless: <_>::default(),
            rounds: 0,
        }
    }

    /// The same, where a group in which nobody is counted, or everybody, tells too much.
    pub(super) fn where_alike_counts(mut self, counts: bool) -> Self {
        self.alike_counts = counts;
        self
    }

    /// The same, at once: no proof of what is withheld, and sums of many tables where they are small.
    pub(super) fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// Takes in a table of a release, of which `shown` rows may be seen by themselves, in the order of their labels. Gives the
    /// rows that may be seen beside all earlier tables, and why others may not.
    pub(super) fn admit(
        &mut self,
        release: &str,
        outcome: &str,
        members: &Members,
        shown: Vec<bool>,
    ) -> (Vec<bool>, BTreeSet<Reason>) {
        self.add(release, outcome, members, shown);
        self.repeat();
        self.rounds = 0;
        self.settle()
    }

    /// Takes further rows of the newest table away, and gives the same anew.
    pub(super) fn withhold(&mut self, rows: &[usize]) -> (Vec<bool>, BTreeSet<Reason>) {
        if let Some(table) = self.tables.last_mut() {
            for row in rows {
                table.shown[*row] = false;
            }
        }
        self.settle()
    }

    /// Of which rows of the newest table everybody knows the size without it.
    pub(super) fn sizes_known(&self) -> Vec<bool> {
        let newest = self.tables.last().map(|table| table.grouping);
        newest.map(|grouping| self.size_is_shown(grouping, self.tables.len() - 1)).unwrap_or_default()
    }

    /// Withholds rows of the newest table until nothing follows that should not.
    fn settle(&mut self) -> (Vec<bool>, BTreeSet<Reason>) {
        let mut reasons = BTreeSet::new();
        loop {
            // The cheap ones first: the others find less when these have done their part.
            let steps: [Step; 4] = [Self::differences, |own| own.beside_slices(), Self::sums, Self::narrow];
            let steps = if self.at_once { &steps[..3] } else { &steps };
            let hide = steps.iter().map(|step| step(self)).find(|hide| !hide.is_empty()).unwrap_or_default();
            if hide.is_empty() {
                break;
            }
            let Some(table) = self.tables.last_mut() else { break };
            for (row, reason) in hide {
                if std::mem::take(&mut table.shown[row]) {
                    reasons.insert(reason);
                }
            }
        }
        (self.tables.last().map(|table| table.shown.clone()).unwrap_or_default(), reasons)
    }

    /// Whether one indicator says something about another.
    fn are_tied(&self, a: usize, b: usize) -> bool {
        self.ties.contains(&(a.min(b), a.max(b)))
    }

    /// Gives the tables that have no release's name yet the name of theirs.
    pub(super) fn name(&mut self, release: &str) {
        let tables = self.tables.iter_mut().map(|table| &mut table.release);
        let names = tables.chain(self.cuts.iter_mut().map(|cut| &mut cut.release));
        for name in names.filter(|name| name.is_empty()) {
            release.clone_into(name);
        }
    }

    /// Takes in a table that everybody knows from elsewhere. What follows from such tables alone cannot be helped.
    pub(super) fn add_known(&mut self, release: &str, outcome: &str, members: &Members) {
        self.add(release, outcome, members, vec![true; members.rows.len()]);
        if let Some(table) = self.tables.last_mut() {
            table.is_known = true;
        }
    }

    /// Takes in a table as it was released, and says what follows from it beside all earlier ones that should not.
    pub(super) fn add_and_look(
        &mut self,
        release: &str,
        outcome: &str,
        members: &Members,
        shown: Vec<bool>,
    ) -> BTreeSet<Follows> {
        self.add(release, outcome, members, shown);
        let steps: [Step; 3] = [Self::differences, Self::sums, Self::narrow];
        steps.iter().flat_map(|step| step(self)).map(|(_, reason)| reason.rule).collect()
    }

    /// Takes in a table as it was released.
    pub(super) fn add(&mut self, release: &str, outcome: &str, members: &Members, shown: Vec<bool>) {
        let grouping = self.group(members);
        let answers = self.answers_to(outcome);
        let mut is_new = false;
        for (key, yes) in members.rows.iter().flat_map(|(_, clients)| clients) {
            if let Some(client) = self.clients.get(key) {
                is_new |= self.answers[answers].set(*client, *yes);
            }
        }
        for other in (0..self.answers.len()).filter(|other| is_new && *other != answers) {
            let pair = (answers.min(other), answers.max(other));
            if self.answers[answers].is_tied_to(&self.answers[other]) {
                self.ties.insert(pair);
            } else {
                self.ties.remove(&pair);
            }
        }
        self.tables.push(Table {
            release: release.to_owned(),
            grouping,
            answers,
            of_people: members.of_people,
            is_layer: false,
            is_known: false,
            numerators: members.rows.iter().map(|(_, clients)| numerator(clients)).collect(),
            shown,
        });
    }

    /// Finds or adds the answers to an indicator.
    fn answers_to(&mut self, outcome: &str) -> usize {
        let known = self.answers.iter().position(|answers| answers.outcome == outcome);
        known.unwrap_or_else(|| {
            self.answers.push(Answers::new(outcome));
            self.answers.len() - 1
        })
    }

    /// The newest table shows no more than an earlier one of the same rows and the same indicator.
    fn repeat(&mut self) {
        let Some((new, earlier)) = self.tables.split_last_mut() else { return };
        let is_same = |table: &&Table| {
            (table.grouping, table.answers, table.of_people) == (new.grouping, new.answers, new.of_people)
        };
        for table in earlier.iter().filter(is_same) {
            new.shown.iter_mut().zip(&table.shown).for_each(|(new, earlier)| *new &= earlier);
        }
    }

    /// The number of a client, by the key.
    fn number(&mut self, key: i64) -> u32 {
        let next = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        *self.clients.entry(key).or_insert(next)
    }

    /// Finds or adds the grouping of a table's clients.
    fn group(&mut self, members: &Members) -> usize {
        let mut grouping = Grouping::default();
        for (row, (_, clients)) in (0..).zip(&members.rows) {
            for (key, _) in clients {
                grouping.put(self.number(*key), row);
            }
            grouping.sizes.push(clients.len() as u64);
        }
        grouping.by.clone_from(&members.by);
        grouping.chosen_by.clone_from(&members.chosen_by);
        let labels: Vec<_> = members.rows.iter().map(|(labels, _)| labels.clone()).collect();
        grouping.label(&labels);
        let known = self.groupings.iter().position(|known| known.is_same(&grouping));
        known.unwrap_or_else(|| {
            self.groupings.push(Arc::new(grouping));
            self.groupings.len() - 1
        })
    }

    /// Whether somebody who knows what is shown knows how many clients a row of a grouping has, as far as the tables up to
    /// `until` tell.
    fn size_is_shown(&self, grouping: usize, until: usize) -> Vec<bool> {
        self.rows_in(grouping, self.tables[..until].iter().filter(|table| !table.of_people))
    }

    /// Whether anything is shown of a row of a grouping, as far as the tables up to `until` tell.
    fn is_told(&self, grouping: usize, until: usize) -> Vec<bool> {
        self.rows_in(grouping, self.tables[..until].iter())
    }

    /// Which rows of a grouping any of these tables shows.
    fn rows_in<'a>(&self, grouping: usize, tables: impl Iterator<Item = &'a Table>) -> Vec<bool> {
        let mut shown = vec![false; self.groupings[grouping].sizes.len()];
        for table in tables.filter(|table| table.grouping == grouping) {
            shown.iter_mut().zip(&table.shown).for_each(|(known, shown)| *known |= shown);
        }
        shown
    }
}
