//! How small a number may be, as data with a recorded reason.

use serde::{Deserialize, Serialize};

use super::table::Rule;
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};
use crate::provenance::Edition;

const FILE: &str = "disclosure.toml";
/// No policy may go below it.
const FLOOR: u64 = 5;
/// Larger numbers are slips of the keyboard.
const LARGEST_K: u64 = 1_000_000;
/// With two values, one of them is right half of the time.
const LEAST_VALUES: u64 = 3;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: u32,
    version: String,
    k: u64,
    reason: String,
    w: u64,
    reason_of_w: String,
    publishes_alike: bool,
    reason_of_alike: String,
    publishes_organizations: bool,
    reason_of_organizations: String,
    coarsen_below: f64,
    reason_of_coarsen_below: String,
    confidence: f64,
}

/// The disclosure policy in force.
#[derive(Clone, Debug)]
pub struct Policy {
    document: Document,
    fingerprint: Fingerprint,
}

impl Policy {
    /// The built-in policy.
    pub fn built_in() -> Result<Self> {
        Self::parse(FILE, knowledge::text(FILE)?)
    }

    /// With a higher k of the department, and its reason.
    pub fn stricter(mut self, k: u64, reason: &str) -> Result<Self> {
        let wrong = |what: String| Err(Error::usage(format!("`[disclosure]`: {what}")));
        if !(self.document.k..=LARGEST_K).contains(&k) {
            return wrong(format!(
                "k is {} or more, and up to {LARGEST_K}: the settings can only be stricter",
                self.document.k
            ));
        }
        if reason.trim().is_empty() {
            return wrong("say in `reason` why k is what it is".to_owned());
        }
        let told = format!("{} {k} {reason}", self.fingerprint);
        self.fingerprint = Fingerprint::of([("settings", told.as_bytes())]);
        (self.document.k, self.document.reason) = (k, reason.trim().to_owned());
        Ok(self)
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let document: Document = knowledge::parse(name, text)?;
        let wrong = |what: &str| Err(Error::usage(format!("`{name}`: {what}")));
        if document.schema_version != 1 {
            return wrong("this program knows schema_version 1");
        }
        if document.k < FLOOR {
            return wrong("k is below 5, the floor");
        }
        if document.w < LEAST_VALUES {
            return wrong("w is below 3, its floor");
        }
        let reasons = [
            &document.reason,
            &document.reason_of_w,
            &document.reason_of_alike,
            &document.reason_of_organizations,
            &document.reason_of_coarsen_below,
        ];
        if reasons.iter().any(|reason| reason.trim().is_empty()) {
            return wrong("every value needs a reason");
        }
        if !(0.0..=1.0).contains(&document.coarsen_below) {
            return wrong("coarsen_below is a share of clients from 0 to 1, for example 0.5");
        }
        if !(0.5..1.0).contains(&document.confidence) {
            return wrong("confidence is a level from 0.5 to below 1, for example 0.95");
        }
        let fingerprint = Fingerprint::of([(FILE, text.as_bytes())]);
        Ok(Self { document, fingerprint })
    }

    /// No count of 1 to k - 1 is shown.
    pub fn k(&self) -> u64 {
        self.document.k
    }

    /// What is small and what is wide enough, with another k where one is asked for: a higher one, or a lower one down
    /// to the floor.
    pub fn rule(&self, k: Option<u64>) -> Result<Rule> {
        let k = k.unwrap_or(self.document.k);
        if k < FLOOR {
            return Err(Error::usage(format!("k = {k} is below {FLOOR}, the floor"))
                .hint(format!("the policy has k = {}; leave `--k` out to use it", self.document.k)));
        }
        if k > LARGEST_K {
            return Err(Error::usage(format!("k = {k} is above {LARGEST_K}")).hint("no policy asks for so much"));
        }
        Ok(Rule { k, w: self.document.w })
    }

    /// Why k is what it is.
    pub fn reason(&self) -> &str {
        &self.document.reason
    }

    /// A withheld number has at least so many values for everybody who computes with what is shown.
    pub fn w(&self) -> u64 {
        self.document.w
    }

    /// Why w is what it is.
    pub fn reason_of_w(&self) -> &str {
        &self.document.reason_of_w
    }

    /// Whether the public sees groups in which nobody, or everybody, is counted.
    pub fn publishes_alike(&self) -> bool {
        self.document.publishes_alike
    }

    /// Why, or why not.
    pub fn reason_of_alike(&self) -> &str {
        &self.document.reason_of_alike
    }

    /// Whether the public sees tables of organizations.
    pub fn publishes_organizations(&self) -> bool {
        self.document.publishes_organizations
    }

    /// Why, or why not.
    pub fn reason_of_organizations(&self) -> &str {
        &self.document.reason_of_organizations
    }

    /// The share of clients in shown rows, 0 to 1, below which a coarser table is tried where one may be.
    pub fn coarsen_below(&self) -> f64 {
        self.document.coarsen_below
    }

    /// Why it is what it is.
    pub fn reason_of_coarsen_below(&self) -> &str {
        &self.document.reason_of_coarsen_below
    }

    /// The confidence level of intervals, 0 to 1.
    pub fn confidence(&self) -> f64 {
        self.document.confidence
    }

    /// Version and fingerprint, as printed on every release.
    pub fn edition(&self) -> Edition {
        Edition {
            id: "disclosure".to_owned(),
            version: self.document.version.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn a_policy_needs_a_reason_and_keeps_the_floor() {
        let parse = |k: u64, reason: &str| {
            Policy::parse(
                "x",
                &format!(
                    "schema_version = 1\nversion = '1'\nk = {k}\nreason = '{reason}'\nw = 3\nreason_of_w = 'x'\npublishes_alike = false\nreason_of_alike = 'x'\npublishes_organizations = false\nreason_of_organizations = 'x'\ncoarsen_below = 0.5\nreason_of_coarsen_below = 'x'\nconfidence = 0.95\n"
                ),
            )
        };
        assert!(parse(5, "small district, agreed with the state").is_ok());
        assert!(parse(4, "small district").is_err());
        assert!(parse(11, " ").is_err());
        let policy = Policy::built_in().unwrap();
        assert_eq!(policy.rule(None).unwrap().k, policy.k());
        assert_eq!((policy.rule(Some(5)).unwrap().k, policy.rule(Some(20)).unwrap().k), (5, 20));
        for (k, reason, fits) in
            [(10, "x", false), (11, "x", true), (20, "x", true), (20, " ", false), (1_000_001, "x", false)]
        {
            let stricter = Policy::built_in().unwrap().stricter(k, reason);
            assert_eq!(stricter.is_ok(), fits, "{k}");
            assert!(stricter.is_err() || stricter.unwrap().edition().fingerprint != policy.edition().fingerprint);
        }
        assert!(policy.rule(Some(4)).is_err() && policy.rule(Some(u64::MAX)).is_err());
    }
}
