//! How small a number may be, as data with a recorded reason.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};
use crate::provenance::Edition;

const FILE: &str = "disclosure.toml";
/// No policy may go below it.
const FLOOR: u64 = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: u32,
    version: String,
    k: u64,
    reason: String,
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

    fn parse(name: &str, text: &str) -> Result<Self> {
        let document: Document = knowledge::parse(name, text)?;
        let wrong = |what: &str| Err(Error::usage(format!("`{name}`: {what}")));
        if document.schema_version != 1 {
            return wrong("this program knows schema_version 1");
        }
        if document.k < FLOOR {
            return wrong("k is below 5, the floor");
        }
        if document.reason.trim().is_empty() {
            return wrong("k needs a reason");
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

    /// Why k is what it is.
    pub fn reason(&self) -> &str {
        &self.document.reason
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
                &format!("schema_version = 1\nversion = '1'\nk = {k}\nreason = '{reason}'\nconfidence = 0.95\n"),
            )
        };
        assert!(parse(5, "small district, agreed with the state").is_ok());
        assert!(parse(4, "small district").is_err());
        assert!(parse(11, " ").is_err());
    }
}
