//! What `phds audit --json` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attack::Rule;
use super::audit::{Ends, Finding, Interval, Verdict};
use super::cube::Cube;
use crate::error::{Error, Result};

/// How many suppressed cells came to which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Tally {
    /// An attacker knows the count.
    pub exact: u64,
    /// Narrower than the policy, or not proved to be wider.
    pub narrow: u64,
    /// As wide as the policy asks.
    pub safe: u64,
}

/// A suppressed cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Cell {
    /// Dimension → label.
    pub key: BTreeMap<String, String>,
    /// The smallest and the largest count that somebody holds possible who knows that counts are not negative; null
    /// where there is no largest.
    pub standard: [Option<u64>; 2],
    /// The same for somebody who knows k, the rule and the marks; null where the table cannot have come from the rule.
    pub rule_aware: Option<[Option<u64>; 2]>,
    /// What that comes to.
    pub verdict: Verdict,
    /// What is proved of the ends of both. In large tables of three and more dimensions, they are followed as far as the
    /// policy asks, and the time may end before they are found out: then the cell is not called safe.
    pub ends: Ends,
}

/// An audit of published tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Findings {
    /// 1.
    pub schema_version: u32,
    /// No count of 1 to k - 1 should be told.
    pub k: u64,
    /// How many values a suppressed count should have at least.
    pub w: u64,
    /// Version of the policy.
    pub policy: String,
    /// Whether there was any total. Without one nothing can be derived, which does not mean that the tables are safe.
    pub has_totals: bool,
    /// How many cells came to which verdict.
    pub tally: Tally,
    /// The suppressed cells, in the order of their labels.
    pub cells: Vec<Cell>,
}

impl Findings {
    /// Puts findings into words.
    pub fn of(cube: &Cube, findings: &[Finding], rule: Rule, policy: String, total: &str, has_totals: bool) -> Self {
        let mut tally = Tally::default();
        let ends = |interval: Interval| [Some(interval.low), interval.high];
        let cell = |finding: &Finding| {
            match finding.verdict {
                Verdict::Exact => tally.exact += 1,
                Verdict::Narrow => tally.narrow += 1,
                Verdict::Safe => tally.safe += 1,
            }
            let key = cube.key(finding.cell).map(|(name, label)| (name.to_owned(), label.unwrap_or(total).to_owned()));
            Cell {
                key: key.collect(),
                standard: ends(finding.standard),
                rule_aware: finding.rule_aware.map(ends),
                verdict: finding.verdict,
                ends: finding.rule_aware.map_or(finding.standard.ends, |found| found.ends.max(finding.standard.ends)),
            }
        };
        let cells = findings.iter().map(cell).collect();
        Self { schema_version: 1, k: rule.k, w: rule.w, policy, has_totals, tally, cells }
    }

    /// The refusal that an audit with cells that can be told ends in.
    pub fn verdict(&self) -> Result<()> {
        let Tally { exact, narrow, safe } = self.tally;
        if exact + narrow == 0 {
            return Ok(());
        }
        Err(Error::refused(format!(
            "of {} suppressed cells, {exact} can be computed exactly and {narrow} more closely than the policy allows",
            exact + narrow + safe
        ))
        .hint("do not publish the table as it is: `phds protect`, on the true counts, makes one that is safe"))
    }
}
