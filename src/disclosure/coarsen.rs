//! A coarser table in place of one of which too little could be shown.
//!
//! Tables are tried from the finest to the coarsest, each as if it alone were asked for: what was tried and is not published
//! leaves no trace in the audit. The first that shows enough is released, and says which finer ones were not, and why. A table
//! that the ledger has in place of a finer one is found there, so that a question that is repeated has the same answer, whatever
//! was published since.

use std::collections::BTreeMap;

use super::ledger::Entry;
use super::release::{BesideNote, Cell, FinerNote, Release, Status};
use super::{Control, publish};
use crate::error::{Error, Result};
use crate::query::alike::is_same_question;
use crate::query::ask::{Ask, by_in_words};
use crate::query::engine::Engine;
use crate::query::{Question, RawShare};
use crate::statistics;

/// A table that was not released, because too little of it could be shown.
pub(super) struct TooLittle {
    /// The refusal, where no coarser table is asked for.
    pub error: Error,
    /// The same of a finer table in the description of a coarser one.
    pub because: String,
    /// For the sake of which other releases rows would be withheld.
    pub beside: Vec<BesideNote>,
}

impl TooLittle {
    /// Of a table in which less than a share of the clients is in rows that can be shown; of which rows could be shown by
    /// themselves, or not.
    pub(super) fn of(cells: &[Cell], had_any: bool, least: f64, beside: Vec<BesideNote>) -> Self {
        let error = match (is_nothing(cells), had_any) {
            (false, _) => publish::too_little(&beside),
            (true, true) => publish::nothing_is_left(&beside),
            (true, false) => publish::nothing_to_show(),
        };
        // Whether a single row could be shown is not told: it would tell more of each.
        let because = format!("less than {:.0} % of the clients would be in shown rows", least * 100.0);
        let beside = beside.into_iter().filter(|note| !note.release_id.is_empty()).collect();
        Self { error, because, beside }
    }
}

/// A published table, and the finer ones in whose place it is.
pub(super) struct Coarsened {
    question: Ask,
    finer: Vec<FinerNote>,
}

impl Coarsened {
    /// What an entry of the ledger says of it.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let finer = entry.coarsened_from.clone();
        (!finer.is_empty()).then(|| Self { question: entry.question.clone(), finer })
    }

    /// The place of the table among those of a question, where it was released for that question.
    fn answers(&self, questions: &[Question<'_>]) -> Option<usize> {
        let is_same = |asked: &Ask, by: &[String]| {
            let known = Ask { by: by.to_vec(), ..self.question.clone() };
            asked.as_of == known.as_of && is_same_question(asked, &known)
        };
        let first = questions.first()?;
        let by = first.by().map(|dimension| dimension.id.clone()).collect();
        is_same(&Ask { by, ..first.for_the_ledger() }, &self.finer.first()?.dimensions)
            .then(|| questions.iter().position(|question| is_same(&question.for_the_ledger(), &self.question.by)))?
    }
}

impl Control<'_> {
    /// Makes the release of the first of these questions, the asked one and coarser ones, of which enough can be shown to
    /// everybody, and says which question that is.
    ///
    /// # Errors
    ///
    /// When the question may not be published at all, or when too little could be shown of all tables.
    pub fn protect_coarsened(
        &mut self,
        questions: &[Question<'_>],
        engine: &mut dyn Engine,
    ) -> Result<(Release, usize)> {
        let asked = questions.first().ok_or_else(|| Error::internal("no question is asked"))?;
        publish::may_be_published(asked, self.policy)?;
        let known = self.coarsened.iter().find_map(|known| Some((known.answers(questions)?, known.finer.clone())));
        if let Some((at, finer)) = known {
            let raw = questions[at].count(engine)?;
            let release = self.admit(|control| control.make(raw, &questions[at], finer, 0.0, engine))?;
            return release.map(|release| (release, at)).map_err(|few| few.error);
        }
        let (mut finer, mut refused) = (Vec::new(), None);
        let may_be = |question: &Question<'_>| publish::may_be_published(question, self.policy).is_ok();
        let least = self.policy.coarsen_below();
        for (at, question) in questions.iter().enumerate().filter(|(_, question)| may_be(question)) {
            let raw = question.count(engine)?;
            match self.admit(|control| control.make(raw, question, finer.clone(), least, engine))? {
                Ok(release) => {
                    self.coarsened.extend((at > 0).then(|| Coarsened { question: question.for_the_ledger(), finer }));
                    return Ok((release, at));
                }
                Err(few) => {
                    let dimensions = question.by().map(|dimension| dimension.id.clone()).collect();
                    finer.push(FinerNote { dimensions, because: few.because, beside: few.beside });
                    refused.get_or_insert(few.error);
                }
            }
        }
        let refused = refused.unwrap_or_else(publish::nothing_to_show);
        let coarser: Vec<_> = finer.iter().skip(1).map(|note| by_in_words(&note.dimensions)).collect();
        if coarser.is_empty() {
            return Err(refused);
        }
        Err(refused
            .also(&format!("; neither can the coarser tables ({})", coarser.join("; ")))
            .hint("publish coarse tables before fine ones, or ask without the filter"))
    }
}

/// Whether less than a share of the clients is in shown rows, or no row is shown.
pub(super) fn is_too_little(cells: &[Cell], shares: &BTreeMap<Vec<String>, RawShare>, least: f64) -> bool {
    let all: u64 = shares.values().map(|share| share.clients).sum();
    let shown = cells.iter().filter(|cell| cell.status != Status::Suppressed);
    let shown: u64 = shown.filter_map(|cell| shares.get(&cell.labels)).map(|share| share.clients).sum();
    is_nothing(cells) || statistics::real(shown) < least * statistics::real(all)
}

fn is_nothing(cells: &[Cell]) -> bool {
    cells.iter().all(|cell| cell.values().is_none())
}

/// What a reader must know of a coarsened table.
pub(super) fn caveat(finer: &[FinerNote]) -> Option<String> {
    let each: Vec<_> = finer.iter().map(FinerNote::sentence).collect();
    (!each.is_empty()).then(|| format!("Coarsened, because finer tables could not be published ({}).", each.join("; ")))
}
