//! What was meant: arguments, `phds.toml` and environment, merged once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::check::Ruleset;
use crate::check::ruleset::Override;
use crate::cli::Connection;
use crate::dictionary::Dictionary;
use crate::disclosure::Policy;
use crate::error::{Error, Result};
use crate::measure::{Measures, Own};

pub mod account;
pub mod refused;

use account::{Account, AccountDocument};

/// The file that is read from the working directory when no other is named.
pub const FILE: &str = "phds.toml";

/// Largest share of rejected rows that is accepted unless the settings say otherwise.
const MAX_REJECTED_SHARE: f64 = 0.05;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    store: Option<PathBuf>,
    accounts: BTreeMap<String, AccountDocument>,
    dictionary: DictionaryDocument,
    measures: MeasuresDocument,
    check: CheckDocument,
    disclosure: Option<DisclosureDocument>,
    query: QueryDocument,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DictionaryDocument {
    file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MeasuresDocument {
    files: Vec<PathBuf>,
    opportunities: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckDocument {
    rules: Option<PathBuf>,
    max_rejected_share: Option<f64>,
    jurisdiction: Vec<String>,
    severity: BTreeMap<String, Override>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisclosureDocument {
    k: u64,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct QueryDocument {
    counties: Vec<String>,
    releases: Option<PathBuf>,
    only_into: Option<PathBuf>,
}

/// What the files of knowledge say: the built-in ones, and those of the department over them.
#[derive(Debug)]
pub struct Knowledge {
    /// The dictionary in force.
    pub dictionary: Dictionary,
    /// The rules in force.
    pub rules: Ruleset,
    /// The measures in force.
    pub measures: Measures,
}

/// Everything that was meant.
#[derive(Debug)]
pub struct Settings {
    /// Read when it is first needed: files are fetched and copied whatever is wrong with a measure.
    knowledge: OnceLock<Knowledge>,
    /// Where it is read from.
    own: OwnKnowledge,
    /// The disclosure policy in force.
    pub policy: Policy,
    /// The largest share of rejected rows that is accepted, 0 to 1.
    pub max_rejected_share: f64,
    /// The responsible entities whose rows are expected; none when nobody has said.
    pub jurisdiction: Vec<String>,
    /// The counties of the department, for the denominator `resident`.
    pub counties: Vec<String>,
    accounts: BTreeMap<String, AccountDocument>,
    /// The settings file, where there is one.
    file: Option<PathBuf>,
    /// Paths in the file are relative to this.
    folder: PathBuf,
    store: Option<PathBuf>,
    releases: Option<PathBuf>,
    only_into: Option<PathBuf>,
}

/// A department's own files of knowledge.
#[derive(Debug)]
struct OwnKnowledge {
    dictionary: Option<PathBuf>,
    measures: Own,
    rules: Option<PathBuf>,
    severity: BTreeMap<String, Override>,
}

impl OwnKnowledge {
    fn read(&self) -> Result<Knowledge> {
        let dictionary = match &self.dictionary {
            Some(file) => Dictionary::with_overrides(file)?,
            None => Dictionary::built_in()?,
        };
        let rules = Ruleset::with(&dictionary, self.rules.as_deref())?.with_policy(self.severity.clone())?;
        Ok(Knowledge { rules, measures: Measures::with(&dictionary, &self.measures)?, dictionary })
    }
}

impl Settings {
    /// Merges the settings file over the defaults. `config` names the file; without it, `phds.toml` of the working
    /// directory is taken when it is there. Paths in the file are relative to it.
    pub fn resolve(config: Option<&Path>) -> Result<Self> {
        let default = Path::new(FILE);
        let path = config.or_else(|| default.exists().then_some(default));
        match path {
            Some(path) => {
                let text = crate::knowledge::read(path)?;
                let folder = path.parent().unwrap_or(Path::new(""));
                let settings = Self::parse(&path.display().to_string(), &text, folder)?;
                Ok(Self { file: Some(path.to_owned()), ..settings })
            }
            None => Self::of(Document::default(), Path::new("")),
        }
    }

    /// The same of the text of a settings file, called `name` in errors. Paths in it are relative to `folder`.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self> {
        Self::of(crate::knowledge::parse(name, text)?, folder)
    }

    fn of(document: Document, folder: &Path) -> Result<Self> {
        let max_rejected_share = document.check.max_rejected_share.unwrap_or(MAX_REJECTED_SHARE);
        if !(0.0..=1.0).contains(&max_rejected_share) {
            return Err(Error::usage("`check.max_rejected_share` is a share from 0 to 1, for example 0.05"));
        }
        let beside = |path: PathBuf| folder.join(path);
        let own = OwnKnowledge {
            dictionary: document.dictionary.file.map(beside),
            measures: Own {
                families: document.measures.files.into_iter().map(beside).collect(),
                opportunities: document.measures.opportunities.map(beside),
            },
            rules: document.check.rules.map(beside),
            severity: document.check.severity,
        };
        Ok(Self {
            knowledge: OnceLock::new(),
            own,
            policy: match document.disclosure {
                Some(own) => Policy::built_in()?.stricter(own.k, &own.reason)?,
                None => Policy::built_in()?,
            },
            accounts: document.accounts,
            file: None,
            folder: folder.to_owned(),
            max_rejected_share,
            jurisdiction: document.check.jurisdiction,
            counties: document.query.counties,
            releases: document.query.releases.map(beside),
            only_into: document.query.only_into.map(beside),
            store: document.store.map(beside),
        })
    }

    /// The dictionary, the rules and the measures in force.
    ///
    /// # Errors
    ///
    /// What is wrong with a file of the department.
    pub fn knowledge(&self) -> Result<&Knowledge> {
        match self.knowledge.get() {
            Some(knowledge) => Ok(knowledge),
            None => self.own.read().map(|read| self.knowledge.get_or_init(|| read)),
        }
    }

    /// The store named on the command line, or else in the settings file.
    pub fn store(&self, typed: Option<&Path>) -> Result<PathBuf> {
        self.leave_to_settings("--store", typed)?;
        typed.map(Path::to_owned).or_else(|| self.store.clone()).ok_or_else(|| {
            Error::usage("no store is named").hint(format!("add `--store DIR`, or set `store` in {FILE}"))
        })
    }

    /// The folder for the releases of the staff, named on the command line, or else in the settings file; without one, the
    /// store keeps them.
    pub fn releases(&self, typed: Option<&Path>) -> Result<Option<PathBuf>> {
        self.leave_to_settings("--keep-in", typed)?;
        Ok(typed.map(Path::to_owned).or_else(|| self.releases.clone()))
    }

    /// Whoever asks as the user of the store (`query.only_into`) gets files in one folder, and names no place besides.
    ///
    /// # Errors
    ///
    /// When an output would be elsewhere.
    pub fn may_write(&self, out: &Path) -> Result<()> {
        let Some(only) = &self.only_into else { return Ok(()) };
        let is_back = |part| part == std::path::Component::ParentDir;
        let is_inside = only.canonicalize().is_ok_and(|only| crate::fs::where_it_leads(out).starts_with(only));
        if is_inside && !out.components().any(is_back) {
            return Ok(());
        }
        Err(Error::usage(format!("`{}` does not lie in `{}`", out.display(), only.display()))
            .hint("the settings have `only_into` under `[query]`: name a place in that folder, or print"))
    }

    /// The same about publishing, which binds the department for good.
    pub fn may_publish(&self) -> Result<()> {
        match self.only_into {
            Some(_) => Err(Error::usage("with these settings, nothing is published")
                .hint("they have `only_into` under `[query]`: ask the steward")),
            None => Ok(()),
        }
    }

    fn leave_to_settings(&self, flag: &str, typed: Option<&Path>) -> Result<()> {
        match (typed, &self.only_into) {
            (Some(_), Some(_)) => Err(Error::usage(format!("with these settings, `{flag}` cannot be given"))
                .hint("they have `only_into` under `[query]`: leave it away")),
            _ => Ok(()),
        }
    }

    /// An account as the settings file has it, changed by what was typed. Without a name, it is the one called `phds`,
    /// or the only one.
    pub fn account(&self, typed: &Connection) -> Result<Account> {
        let name = match &typed.account {
            Some(name) => name.as_str(),
            None if self.accounts.len() == 1 => self.accounts.keys().next().map_or(account::MONTHLY, String::as_str),
            None => account::MONTHLY,
        };
        let Some(document) = self.accounts.get(name) else {
            let names = self.accounts.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(if names.is_empty() {
                Error::usage("no account is set up")
                    .hint(format!("`phds init` writes a {FILE} to fill in; or name a file: `phds load FILE …`"))
            } else {
                Error::usage(format!("there is no account `{name}`")).hint(format!("the settings have: {names}"))
            });
        };
        Account::resolve(name, document, typed, &self.folder)
    }

    /// The names of all accounts.
    pub fn account_names(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }
}
