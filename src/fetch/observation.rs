//! What `phds doctor` tells: one thing that was looked at, and how it is.

use serde::Serialize;

/// How the thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Could not be found out from here.
    Unknown,
    /// Stands in the way, or puts data at risk.
    Problem,
}

/// One line of `phds doctor`. Holds no secret, and no text of a server that could steer a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// What was looked at, in one to three words: `host key`, `listing`.
    pub topic: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Observation {
    /// Something that was seen.
    pub fn new(topic: impl Into<String>, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { topic: topic.into(), verdict, text: text.into(), hint: None }
    }

    /// Something that failed.
    pub fn failed(topic: impl Into<String>, error: &crate::error::Error) -> Self {
        let hint = error.what_to_do().map(str::to_owned);
        Self { topic: topic.into(), verdict: Verdict::Problem, text: error.message().to_owned(), hint }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
