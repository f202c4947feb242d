//! Raw counts → a [`Release`]: the one exit from this program for numbers about people.
//!
//! Every cell is treated first; shares, intervals, ranks and curves are computed from what is left, never before.

mod adjust;
mod policy;
pub mod release;
pub mod table;
mod treat;

pub use policy::Policy;
pub use release::{Cell, Release, Status};

use crate::dictionary::Level;
use crate::query::{Question, RawCounts, RawTable};
use release::{Document, Kind};
use treat::Beside;

/// Treats every row of a table and makes the release of it.
///
/// No number of 1 to k - 1 clients is shown: no numerator, no complement (denominator minus numerator), no denominator,
/// nor what two rows differ by of which one is a part of the other. No totals are made, so that no suppressed cell of the
/// table follows from the others.
pub fn protect(raw: RawTable, question: &Question<'_>, policy: &Policy) -> Release {
    let RawTable { mut columns, counts } = raw;
    let mut funnel = None;
    let (kind, mut cells) = match counts {
        RawCounts::Shares(shares) => {
            let ranked = question.attributions().len() > 1;
            let beside = match question.denominators() {
                [_, _, ..] => Beside::Denominators(question.denominators().to_vec()),
                _ if ranked => Beside::Attributions(question.by().position(|by| by.level == Level::Attributed)),
                _ => Beside::Nothing,
            };
            let total = adjust::total(&shares);
            let cells = treat::shares(shares, &beside, policy);
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
            (Kind::Shares { ranked: false }, treat::sets(groups, policy))
        }
        RawCounts::Doses(doses) => (Kind::Doses, treat::doses(doses, policy)),
        RawCounts::Curves(curves) => (Kind::Curve, treat::curves(curves, policy)),
    };
    cells.sort_by_cached_key(|cell| question.place(&cell.labels));
    let mut document = Document::of(question, &columns, policy, kind);
    document.funnel = funnel;
    if kind == Kind::Curve {
        document.curves = adjust::ages(&cells);
    }
    Release::new(document, kind, cells)
}
