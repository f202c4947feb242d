//! A department's own rules and severities, taken into the built-in ones.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Document, PREFIX, Rule, Ruleset, Severity};
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};

/// A department's own file of rules: new ones, and changes of built-in ones. The disaster period and the consent matrix are
/// law, and stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnDocument {
    #[serde(default)]
    version: Option<String>,
    #[serde(rename = "rule")]
    rules: Vec<Table>,
}

impl Document {
    /// Takes a department's rules in, called `place` in errors. Gives the reasons of those that change a built-in one, by
    /// their codes.
    pub(super) fn take(&mut self, own: OwnDocument, place: &str) -> Result<BTreeMap<String, String>> {
        let mut reasons = BTreeMap::new();
        for mut entry in own.rules {
            let text = |entry: &Table, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            let Some(code) = text(&entry, "code") else {
                return Err(Error::usage(format!("`{place}`: a rule has no `code`"))
                    .hint("name the built-in rule that it changes, or give it a code of your own, such as HILL-01"));
            };
            let wrong = |what: &str| Error::usage(format!("`{place}`: rule {code}: {what}"));
            if reasons.contains_key(&code) {
                return Err(wrong("the code is there twice"));
            }
            let known = self.rules.iter().position(|rule| rule.code == code);
            let table = if let Some(at) = known {
                if !code.starts_with(PREFIX) {
                    return Err(wrong("the code is there twice"));
                }
                let reason = text(&entry, "reason").filter(|reason| !reason.trim().is_empty());
                reasons.insert(code.clone(), reason.ok_or_else(|| wrong("say in `reason` why it is changed"))?);
                entry.remove("reason");
                let mut table =
                    Table::try_from(&self.rules[at]).map_err(|_| Error::internal("a rule has no TOML form"))?;
                if entry.get("kind").is_some_and(|kind| table.get("kind") != Some(kind)) {
                    return Err(wrong("a built-in rule keeps its `kind`: give yours a code of its own"));
                }
                table.extend(entry.clone());
                table
            } else {
                let is_named = code.contains('-')
                    && code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
                if code.starts_with(PREFIX) || !is_named {
                    return Err(wrong(
                        "a new rule has a code of your own: capitals, digits and a hyphen, such as HILL-01",
                    ));
                }
                entry.clone()
            };
            let rule: Rule = knowledge::fitting(&format!("{place}`, rule `{code}"), table)?;
            if known.is_none() && !rule.kind.may_be_again() {
                return Err(wrong("there is one rule of this kind: change that one, by its code"));
            }
            // A parameter that is misspelt would be passed over.
            let read = Table::try_from(&rule).map_err(|_| Error::internal("a rule has no TOML form"))?;
            if let Some(key) = entry.keys().find(|key| !read.contains_key(*key)) {
                return Err(wrong(&format!("its kind has no `{key}`")));
            }
            match known {
                Some(at) => self.rules[at] = rule,
                None => self.rules.push(rule),
            }
        }
        if let Some(version) = own.version {
            self.version = version;
        }
        Ok(reasons)
    }
}

/// Another severity of a rule, by a department's decision.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// What a failure does here.
    pub severity: Severity,
    /// Why; it is printed wherever the rule is.
    pub reason: String,
}

impl Ruleset {
    /// With a department's severities in place of the built-in ones, by the rule's code.
    pub fn with_policy(mut self, policy: BTreeMap<String, Override>) -> Result<Self> {
        for (code, wanted) in policy {
            let wrong = |what: &str| Err(Error::usage(format!("`check.severity.{code}`: {what}")));
            let Some(rule) = self.document.rules.iter_mut().find(|rule| rule.code == code) else {
                return wrong("there is no such rule").map_err(|error: Error| error.hint("`phds explain` lists all"));
            };
            if let Some(why) = rule.cannot_be(wanted.severity) {
                return wrong(&why);
            }
            if wanted.reason.trim().is_empty() {
                return wrong("say in `reason` why");
            }
            rule.severity = wanted.severity;
            let told = format!("{} {} {}", self.fingerprint, wanted.severity.word(), wanted.reason);
            self.fingerprint = Fingerprint::of([(code.as_str(), told.as_bytes())]);
            let told = format!("your settings make it {}: {}", wanted.severity.word(), wanted.reason);
            self.policy.entry(code).and_modify(|reason| *reason = format!("{reason}; {told}")).or_insert(told);
        }
        Ok(self)
    }

    /// What the department has changed of a rule, and why, when it has.
    pub fn policy(&self, code: &str) -> Option<&str> {
        self.policy.get(code).map(String::as_str)
    }
}
