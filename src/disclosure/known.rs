//! Tables that others have published of the same people: everybody is taken to know all of their numbers.
//!
//! Such a table is in the ledger and is no release. Its numbers are those of the month that is loaded, also the small ones,
//! and stay there. Every later release is held to it. What it tells by itself, or beside others of its kind, cannot be helped.

use super::Policy;
use super::ledger::{Entry, Row};
use super::release::Audience;
use super::series;
use crate::error::{Error, Result};
use crate::knowledge::Fingerprint;
use crate::provenance::{Edition, Tool};
use crate::query::ask::Attribution;
use crate::query::{Question, RawCounts, RawTable};

/// A table that is known from elsewhere, as it goes into the ledger.
#[derive(Debug)]
pub struct Known(pub(super) Entry);

impl Known {
    /// All numbers of a table, and where they were published.
    ///
    /// # Errors
    ///
    /// When nothing could be held to such a table; when nobody is in it; when it does not say from where it is known.
    pub fn of(raw: RawTable, question: &Question<'_>, source: &str, policy: &Policy) -> Result<Self> {
        let RawCounts::Shares(shares) = raw.counts else { return Err(not_held_to()) };
        if !question.indicator().is_of_shares() || question.attributions().contains(&Attribution::Any) {
            return Err(not_held_to());
        }
        let births = question.by_year_of_birth();
        if question.tells_age() && births.is_none() {
            return Err(Error::refused(
                "no release of another month can be held to this table: its ages are of several years of birth",
            )
            .hint("ages as of the last day of a year can be known, and years and quarters of birth"));
        }
        let shares = match &births {
            Some(births) => shares.into_iter().map(|(labels, share)| (births.with_year(&labels), share)).collect(),
            None => shares,
        };
        let source = source.trim();
        if source.is_empty() {
            return Err(Error::usage("it is not said where the table was published")
                .hint("`--source \"State dashboard, 2025-02\"`"));
        }
        if shares.is_empty() {
            return Err(Error::refused("nobody is in this table").hint("`phds query …` shows what is in it"));
        }
        let row = |(labels, share): (&Vec<String>, &crate::query::RawShare)| Row {
            labels: labels.clone(),
            numerator: Some(share.numerator),
            denominator: Some(share.denominator),
        };
        let manifest = question.partition().manifest();
        let asked = question.for_the_ledger();
        let words = serde_json::to_vec(&asked).unwrap_or_default();
        let id = Fingerprint::of([
            ("known", words.as_slice()),
            ("month", manifest.reporting_period.to_string().as_bytes()),
            ("delivery", manifest.delivery.sha256.as_bytes()),
        ]);
        let measures = question.measures_asked().map(|at| question.measures().fingerprints()[at].clone());
        let edition = policy.edition();
        Ok(Self(Entry {
            schema_version: 1,
            number: 0,
            previous_sha256: String::new(),
            tool: Tool::this(),
            audience: Audience::Public,
            release_id: id.to_string(),
            source: Some(source.to_owned()),
            reporting_period: manifest.reporting_period,
            delivery_sha256: manifest.delivery.sha256.clone(),
            measures: measures.collect(),
            policy: Edition { id: "disclosure".to_owned(), version: edition.version, fingerprint: edition.fingerprint },
            k: policy.k(),
            rows: shares.iter().map(row).collect(),
            withheld: Vec::new(),
            totals: series::totals(&asked, &shares),
            question: asked,
            coarsened_from: Vec::new(),
            beside: Vec::new(),
        }))
    }

    /// Its entry, not yet in any ledger.
    pub fn entry(&self) -> &Entry {
        &self.0
    }

    /// The id by which audits name it.
    pub fn id(&self) -> &str {
        &self.0.release_id
    }
}

fn not_held_to() -> Error {
    Error::refused("no release can be held to such a table: a client is in several of its rows, or they are no shares of clients")
        .hint("coverage, late, on-time, dropout, potential, missed and one-visit can be known; by organization, with one rule of attribution")
}
