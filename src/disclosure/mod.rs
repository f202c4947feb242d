//! Raw counts → a [`Release`]: the one exit from this program for numbers about people.
//!
//! Every cell is treated first, by itself and beside all others that are released to the same audience; shares, intervals,
//! ranks and curves are computed from what is left, never before.

mod adjust;
mod coarsen;
mod growth;
mod known;
pub mod ledger;
mod linked;
mod policy;
mod publish;
pub mod release;
mod series;
mod slices;
pub mod table;
mod treat;

use std::collections::{BTreeMap, BTreeSet};

pub use known::Known;
pub use linked::Follows;
pub use policy::Policy;
pub use release::{Audience, Cell, Release, Status};
pub use slices::POOL;

pub use crate::query::COMPLETE;
pub use crate::query::ask::{ATTRIBUTION, DENOMINATOR_SOURCE};

use crate::dictionary::Level;
use crate::error::{Error, Result};
use crate::query::ask::{Ask, Attribution};
use crate::query::engine::Engine;
use crate::query::{Members, Question, RawCounts, RawShare, RawTable, Slice, numerator};
use coarsen::{Coarsened, TooLittle};
use ledger::{Entry, Row};
use linked::{Gives, Linked, Reason};
use release::{BesideNote, Document, FinerNote, Kept, Kind};
use series::Series;
use treat::Beside;

/// Disclosure control for the releases of one run, and for what was published before.
pub struct Control<'a> {
    policy: &'a Policy,
    audience: Audience,
    linked: Linked,
    /// Whether there can be other tables from which something follows.
    links: bool,
    /// What was published of other months, or of this month from another file.
    earlier: Vec<Entry>,
    /// What was published of this month and file.
    same: Vec<Entry>,
    /// What was published of this month in place of finer tables.
    coarsened: Vec<Coarsened>,
    /// The questions that were published of this month, with what was noted beside each; nothing for the table itself.
    beside: Vec<(Ask, Vec<BesideNote>)>,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

impl<'a> Control<'a> {
    /// For the staff: the tables of `questions` are held to each other, two at a time, and all together as far
    /// as a bounded number of steps goes.
    pub fn internal(policy: &'a Policy, questions: &[Question<'_>]) -> Result<Self> {
        let tables =
            questions.iter().map(|question| question.denominators().len() * question.attributions().len().max(1));
        Ok(Self {
            policy,
            audience: Audience::Internal,
            linked: Linked::new(policy.rule(None)?, false).at_once(),
            links: tables.sum::<usize>() > 1,
            earlier: Vec::new(),
            same: Vec::new(),
            coarsened: Vec::new(),
            beside: Vec::new(),
        })
    }

    /// For everybody: tables are held to each other, to all clients together, and to everything in `earlier`, which is of
    /// other months or other files. What was published of this month and file is to be given to [`Control::published`].
    pub fn public(policy: &'a Policy, earlier: Vec<Entry>) -> Result<Self> {
        Ok(Self {
            policy,
            audience: Audience::Public,
            linked: Linked::new(policy.rule(None)?, true).where_alike_counts(!policy.publishes_alike()),
            links: true,
            earlier,
            same: Vec::new(),
            coarsened: Vec::new(),
            beside: Vec::new(),
        })
    }

    /// Takes in what was published of this month before, here or elsewhere, from the question and what the ledger says of its
    /// rows. The month must still say the same.
    pub fn published(&mut self, entry: &Entry, question: &Question<'_>, engine: &mut dyn Engine) -> Result<()> {
        let parts = question.members(engine)?;
        for (part, shown) in parts.iter().zip(entry.shown(&parts)?) {
            if entry.is_known() {
                self.linked.add_known(&entry.release_id, &question.outcome(), part);
            } else {
                self.linked.add(&entry.release_id, &question.outcome(), part, shown);
            }
        }
        self.same.push(entry.clone());
        if entry.is_known() {
            return Ok(());
        }
        self.coarsened.extend(Coarsened::of(entry));
        let mut beside = entry.beside.clone();
        beside.iter_mut().filter(|note| note.release_id == entry.release_id).for_each(|note| note.release_id.clear());
        self.beside.push((entry.question.clone(), beside));
        Ok(())
    }

    /// Takes in a release of this month, and says in sentences what follows from it beside what was taken in before, and would
    /// not have been published so.
    pub fn beside(
        &mut self,
        entry: &Entry,
        question: &Question<'_>,
        engine: &mut dyn Engine,
    ) -> Result<BTreeSet<&'static str>> {
        let mut follows = BTreeSet::new();
        let parts = question.members(engine)?;
        for (part, shown) in parts.iter().zip(entry.shown(&parts)?) {
            let rules = self.linked.add_and_look(&entry.release_id, &question.outcome(), part, shown);
            follows.extend(rules.into_iter().map(Follows::sentence));
        }
        Ok(follows)
    }

    /// The same of a release of another month, beside a table that is known of this one.
    pub fn since(&self, entry: &Entry, known: &Known, question: &Question<'_>) -> Option<&'static str> {
        series::has_changed_by_few((question, &known.0), entry, self.policy).map(Follows::sentence)
    }

    /// How many values each withheld numerator could have, at least, of everything that was taken in.
    pub fn widths(&self) -> Vec<u64> {
        self.linked.widths()
    }

    /// Of how many withheld rows tables that are known from elsewhere tell too much by themselves.
    pub fn known_too_well(&mut self) -> usize {
        self.linked.known_too_well()
    }

    /// Treats every row of a table and makes the release of it.
    ///
    /// No number of 1 to k - 1 clients is shown: no numerator, no complement (denominator minus numerator), no denominator,
    /// nor what two rows differ by, of this table or of another one to the same audience. No totals are made.
    ///
    /// # Errors
    ///
    /// For everybody: what cannot be audited together with the rest, or of which nothing could be shown. A table that is
    /// refused leaves no trace in the audit: what comes after it is treated as if it had not been asked for.
    pub fn protect(&mut self, raw: RawTable, question: &Question<'_>, engine: &mut dyn Engine) -> Result<Release> {
        if self.audience == Audience::Public {
            publish::may_be_published(question, self.policy)?;
        }
        self.admit(|control| control.make(raw, question, Vec::new(), 0.0, engine))?.map_err(|few| few.error)
    }

    /// Lets a release be made. For the public, the audit stays as it was where too little of it could be shown.
    fn admit(
        &mut self,
        make: impl FnOnce(&mut Self) -> Result<Result<Release, TooLittle>>,
    ) -> Result<Result<Release, TooLittle>> {
        let before = (self.audience == Audience::Public).then(|| self.linked.clone());
        let admitted = make(self)?;
        if let (Err(_), Some(before)) = (&admitted, before) {
            self.linked = before;
        }
        Ok(admitted)
    }

    /// The release of a table, in place of finer ones. For the public, at least this share of the clients must be in shown
    /// rows, and one row must be shown.
    fn make(
        &mut self,
        raw: RawTable,
        question: &Question<'_>,
        finer: Vec<FinerNote>,
        least: f64,
        engine: &mut dyn Engine,
    ) -> Result<Result<Release, TooLittle>> {
        let policy = self.policy;
        // What is published by age is held to years of birth, and kept so: they have the same clients in all months.
        let births = if self.audience == Audience::Public { question.by_year_of_birth() } else { None };
        let held = births.as_ref().map_or(question, |births| &births.question);
        if self.audience == Audience::Public
            && let Err(few) = series::is_continued(held, &self.earlier)
        {
            return Ok(Err(few));
        }
        let RawTable { mut columns, counts } = raw;
        let mut funnel = None;
        let beside;
        let mut kept = Kept::default();
        let (kind, mut cells) = match counts {
            RawCounts::Shares(mut shares) => {
                if let Some(births) = &births {
                    shares = shares.into_iter().map(|(labels, share)| (births.with_year(&labels), share)).collect();
                }
                let ranked = question.attributions().len() > 1;
                let within = match question.denominators() {
                    [_, _, ..] => Beside::Denominators(question.denominators().to_vec()),
                    _ if ranked => Beside::Attributions(question.by().position(|by| by.level == Level::Attributed)),
                    _ => Beside::Nothing,
                };
                let total = adjust::total(&shares);
                let mut cells = treat::shares(shares.clone(), &within, policy);
                let had_any = cells.iter().any(|cell| cell.values().is_some());
                beside = self.hold(&mut cells, &shares, held, engine)?;
                if self.audience == Audience::Public && coarsen::is_too_little(&cells, &shares, least) {
                    return Ok(Err(TooLittle::of(&cells, had_any, least, notes(&beside))));
                }
                kept = Kept {
                    question: births.as_ref().map(|_| held.normalized()),
                    rows: cells.iter().map(Row::of).collect(),
                    withheld: Row::withheld(&cells, &shares),
                    totals: series::totals(&held.normalized(), &shares),
                };
                if let Some(births) = &births {
                    for cell in &mut cells {
                        cell.labels = births.with_age(&cell.labels);
                    }
                }
                if ranked {
                    treat::rank(&mut cells);
                }
                if let Some(at) = question.standardized() {
                    columns.remove(at);
                    (Kind::Standardized, adjust::standardize(&cells, at, policy))
                } else if question.has_funnel() {
                    let (note, cells) = adjust::funnel(cells, total, policy);
                    funnel = Some(note);
                    (Kind::Funnel, cells)
                } else {
                    (Kind::Shares { ranked }, cells)
                }
            }
            RawCounts::Sets(groups) => {
                columns.push("missing".to_owned());
                let mut sets = slices::Sets::of(groups, policy);
                beside = self.hold_slices(&mut sets, question, engine)?;
                (Kind::Shares { ranked: false }, sets.cells())
            }
            RawCounts::Doses(doses) => {
                let persons = doses.iter().map(|(labels, count)| (labels.clone(), [count.persons, 0]));
                let persons: Vec<_> = persons.collect();
                let mut cells = treat::doses(doses, policy);
                beside = self.hold_slices(&mut slices::Rows::of(&mut cells, persons), question, engine)?;
                (Kind::Doses, cells)
            }
            RawCounts::Curves(curves) => {
                let mut curves = slices::Curves::of(curves, policy);
                beside = self.hold_slices(&mut curves, question, engine)?;
                (Kind::Curve, curves.cells())
            }
        };
        for column in question.typed_columns() {
            if let Some(at) = columns.iter().position(|name| name == column) {
                treat::leave_unnamed(&mut cells, at);
            }
        }
        cells.sort_by_cached_key(|cell| (treat::is_of_unnamed(cell), question.place(&cell.labels)));
        let mut document = Document::of(question, &columns, policy, self.audience, kind);
        document.funnel = funnel;
        document.caveats.extend(coarsen::caveat(&finer));
        document.coarsened_from = finer;
        if kind == Kind::Curve {
            document.curves = adjust::ages(&cells);
        }
        let asked = held.normalized();
        let known = self.beside.iter().find(|(known, notes)| *known == asked && !notes.is_empty());
        document.disclosure.beside = known.map_or_else(|| notes(&beside), |(_, notes)| notes.clone());
        document.caveats.extend(series::caveat(&document.disclosure));
        document.release_id = document.identify(&cells);
        // Until now the table had no name of its own.
        let id = document.release_id.clone();
        self.linked.name(&id);
        for note in document.disclosure.beside.iter_mut().filter(|note| note.release_id.is_empty()) {
            note.release_id.clone_from(&id);
        }
        Ok(Ok(Release::new(document, kind, cells, kept)))
    }

    /// Withholds the rows of a table of shares from which something would follow, and says for whose sake.
    fn hold(
        &mut self,
        cells: &mut [Cell],
        shares: &BTreeMap<Vec<String>, RawShare>,
        question: &Question<'_>,
        engine: &mut dyn Engine,
    ) -> Result<BTreeSet<Reason>> {
        let mut reasons = BTreeSet::new();
        if !self.links {
            return Ok(reasons);
        }
        let series = match self.audience {
            Audience::Public => Some(Series::of(question, shares, &self.earlier, &self.same, self.policy)?),
            Audience::Internal => None,
        };
        if let Some(series) = &series {
            publish::withhold_alike(cells, shares, self.policy);
            reasons.extend(series.withhold_small_changes(cells));
        }
        let place: BTreeMap<Vec<String>, usize> =
            cells.iter().enumerate().map(|(at, cell)| (cell.labels.clone(), at)).collect();
        for part in question.members(engine)? {
            let places: Vec<Option<usize>> = part.rows.iter().map(|(labels, _)| place.get(labels).copied()).collect();
            Self::agree(&part, shares)?;
            let shown = places.iter().map(|at| at.is_some_and(|at| cells[at].status != Status::Suppressed)).collect();
            let (mut shown, mut why) = self.linked.admit("", &question.outcome(), &part, shown);
            loop {
                reasons.append(&mut why);
                let withheld = places.iter().zip(&shown).filter(|(_, shown)| !**shown).filter_map(|(at, _)| *at);
                withheld.for_each(|at| cells[at].withhold());
                // What was withheld now may be told by other months, and the other way round.
                let Some(series) = &series else { break };
                let hide = series.to_withhold(cells, &places, &self.linked.sizes_known());
                if hide.is_empty() {
                    break;
                }
                let rows: Vec<usize> = hide.iter().map(|(row, _)| *row).collect();
                reasons.extend(hide.into_iter().map(|(_, reason)| reason));
                (shown, why) = self.linked.withhold(&rows);
            }
        }
        if question.attributions().contains(&Attribution::Any) {
            let counts = shares
                .iter()
                .map(|(labels, share)| (labels.clone(), [share.numerator, share.clients - share.numerator]));
            reasons.extend(self.hold_slices(&mut slices::Rows::of(cells, counts), question, engine)?);
        }
        Ok(reasons)
    }

    /// The same for a table of other rows, and for a rule of attribution by which a client is in several.
    fn hold_slices(
        &mut self,
        gives: &mut impl Gives,
        question: &Question<'_>,
        engine: &mut dyn Engine,
    ) -> Result<BTreeSet<Reason>> {
        let mut reasons = BTreeSet::new();
        if !self.links {
            return Ok(reasons);
        }
        for slices in question.slices(engine)? {
            let is_of = |labels: &[String], of: &BTreeMap<Slice, Vec<i64>>| {
                of.iter().all(|(slice, clients)| gives.has(labels, slice, clients.len() as u64))
            };
            if !slices.groups.iter().all(|(labels, of)| is_of(labels, of)) {
                return Err(disagree());
            }
            reasons.extend(self.linked.admit_slices(&slices, gives));
        }
        Ok(reasons)
    }

    /// The clients that are listed are those that were counted: two ways to the same numbers.
    fn agree(part: &Members, shares: &BTreeMap<Vec<String>, RawShare>) -> Result<()> {
        let same = part.rows.iter().all(|(labels, clients)| {
            let counts = (clients.len() as u64, numerator(clients));
            shares.get(labels).is_some_and(|share| (share.clients, share.numerator) == counts)
        });
        if same { Ok(()) } else { Err(disagree()) }
    }
}

fn disagree() -> Error {
    Error::internal("the clients that are listed are not those counted")
}

fn notes(reasons: &BTreeSet<Reason>) -> Vec<BesideNote> {
    reasons.iter().map(BesideNote::of).collect()
}
