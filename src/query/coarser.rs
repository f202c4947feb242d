//! The next coarser table of a question: one dimension gives way at a time.
//!
//! Which one depends on the dictionary and the cohort, and on no client: the one that can have the most labels, of several the
//! first by name. It becomes what the dictionary calls coarser, or is left out where there is nothing coarser or that is in the
//! table already. Filters stay.

use std::cmp::Reverse;

use chrono::Datelike;

use super::ask::Ask;
use super::axis::Axis;
use super::{Context, Question};
use crate::error::Result;

impl<'a> Question<'a> {
    /// A question that may be coarsened, and the coarser ones, down to all clients together.
    pub fn with_coarser(ask: &Ask, context: Context<'a>) -> Result<Vec<Self>> {
        let asked = Self::bind(ask, context)?;
        let (from, to) = asked.born();
        let years = usize::try_from(to.year() - from.year() + 1).unwrap_or(0);
        let mut ask = ask.clone();
        let mut questions = vec![asked];
        while coarsen(&mut ask.by, context, years)? {
            // A population file need not have the coarser dimension.
            questions.extend(Self::bind(&ask, context));
        }
        Ok(questions)
    }
}

/// Takes one step, if there is one.
fn coarsen(by: &mut Vec<String>, context: Context<'_>, years: usize) -> Result<bool> {
    let axes = by.iter().map(|id| Axis::find(context.dictionary, id)).collect::<Result<Vec<_>>>()?;
    let fineness = |axis: &Axis<'_>| (axis.labels_at_most(years), Reverse(axis.dimension.id.clone()));
    let finest = axes.iter().enumerate().max_by_key(|(_, axis)| fineness(axis));
    let Some((at, axis)) = finest else { return Ok(false) };
    match axis.dimension.coarser().filter(|coarser| !by.iter().any(|id| id == coarser)) {
        Some(coarser) => coarser.clone_into(&mut by[at]),
        None => drop(by.remove(at)),
    }
    Ok(true)
}
