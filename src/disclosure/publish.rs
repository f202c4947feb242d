//! What may be published at all, and what is withheld from the public beyond small counts.

use std::collections::BTreeMap;

use super::Policy;
use super::release::{BesideNote, Cell};
use crate::dictionary::{Level, names};
use crate::error::{Error, Result};
use crate::query::ask::Attribution;
use crate::query::{Question, RawShare};

/// Whether a question can be audited together with everything else that is published.
pub(super) fn may_be_published(question: &Question<'_>, policy: &Policy) -> Result<()> {
    let refused = |what: &str, hint: &str| Err(Error::refused(what).hint(hint));
    let indicator = question.indicator();
    if !indicator.is_of_shares() {
        return refused(
            &format!(
                "`{}` is not for the public: nothing proves that what it leaves out stays unknown beside other tables",
                indicator.name()
            ),
            "publish shares of clients: coverage, late, on-time, dropout, potential, missed, one-visit",
        );
    }
    let dimensions: Vec<_> = question.by().chain(question.filters().map(|(dimension, _)| dimension)).collect();
    let organizations = dimensions.iter().any(|dimension| dimension.level == Level::Attributed);
    if organizations && !policy.publishes_organizations() {
        return refused(
            "tables of organizations are not for the public: an organization may be one person's practice",
            "publish by county, ZIP or region",
        );
    }
    if question.tells_age() && question.by_year_of_birth().is_none() {
        return refused(
            "this age is not for the public: it is of several years of birth, and nothing proves what follows from two months",
            "ask by `age` as of the last day of a year, when each age is one year of birth, or by `birth_quarter`",
        );
    }
    if question.attributions().contains(&Attribution::Any) {
        return refused(
            "attribution by `any` is not for the public: a client is in several rows, and nothing proves what follows",
            "use another rule of attribution",
        );
    }
    let has = |field: &str| dimensions.iter().any(|dimension| dimension.field == field);
    if has(names::COUNTY) && has(names::ZIP) {
        return refused(
            "ZIP codes and counties do not nest: a table for the public has one of them",
            "ask by ZIP, or by county or region",
        );
    }
    Ok(())
}

/// Withholds the rows in which nobody, or everybody, is counted: they tell something of every client in them.
pub(super) fn withhold_alike(cells: &mut [Cell], shares: &BTreeMap<Vec<String>, RawShare>, policy: &Policy) {
    if policy.publishes_alike() {
        return;
    }
    for cell in cells.iter_mut().filter(|cell| cell.values().is_some()) {
        let is_alike = |share: &RawShare| share.numerator == 0 || share.numerator == share.denominator;
        if shares.get(&cell.labels).is_some_and(is_alike) {
            cell.withhold();
        }
    }
}

/// A table of which nothing can be shown any more.
pub(super) fn nothing_is_left(beside: &[BesideNote]) -> Error {
    let why = match of_others(beside) {
        why if why.is_empty() => "with its total, its shown rows would tell small counts".to_owned(),
        why => why,
    };
    Error::refused(format!("no row of this table can be published: {why}")).hint(remedy(beside))
}

/// A table of which no row can be shown even by itself: small counts alone, or nobody.
pub(super) fn nothing_to_show() -> Error {
    Error::refused("no row of this table can be published: its rows are of small counts, or there is nobody in it")
        .hint(WIDER)
}

/// A table that could be shown in part, with too few of its clients.
pub(super) fn too_little(beside: &[BesideNote]) -> Error {
    let why = match of_others(beside) {
        why if why.is_empty() => "with the other rows, small counts would be told".to_owned(),
        why => why,
    };
    Error::refused(format!("rows with too few of the clients of this table can be published: {why}"))
        .hint(remedy(beside))
}

/// What can be done about a table of which too little is left.
fn remedy(beside: &[BesideNote]) -> &'static str {
    if beside.iter().any(BesideNote::is_of_a_change) { STANDING } else { WIDER }
}

/// For the sake of which other releases rows are withheld; the first three.
fn of_others(beside: &[BesideNote]) -> String {
    let others = beside.iter().filter(|note| !note.release_id.is_empty()).take(3);
    let each = others.map(|note| format!("{} (release {})", note.otherwise, note.release_id));
    each.collect::<Vec<_>>().join("; ")
}

const STANDING: &str = "what was published stands: a row is renewed when it has changed by k clients or more, and wider rows \
     (region, birth_year) change by more";
const WIDER: &str = "ask with fewer dimensions, wider ones (region, birth_year), or without the filter";
