//! A login that was refused, remembered for runs that nobody watches: some servers lock an account after a few.
//!
//! Nothing of the proof is kept but where it came from and when its file was changed.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, Utc};
use serde::{Deserialize, Serialize};

use super::Settings;
use super::account::Account;
use crate::error::{Error, Result};
use crate::fs;
use crate::store::Store;

/// What a store remembers of the logins of an account.
#[derive(Clone, Debug)]
pub struct Memory {
    root: PathBuf,
    account: String,
    tried: Tried,
}

/// `logins/ACCOUNT.json` of a store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    schema_version: u32,
    refused_at: DateTime<Utc>,
    tried: Tried,
}

/// What is tried, as far as it can be seen without reading the proof: the same would be refused again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    server: String,
    proof: String,
    /// When the settings file and those of the proof were changed.
    changed: Vec<Option<DateTime<Utc>>>,
}

impl Memory {
    /// Of an account, in the store at `root`, which need not be there yet.
    pub fn of(account: &Account, settings: &Settings, root: &Path) -> Self {
        let time = |path: &Path| path.metadata().ok()?.modified().ok().map(DateTime::from);
        let files = settings.file.as_deref().into_iter().chain(account.proof_files());
        Self {
            root: root.to_owned(),
            account: account.name.clone(),
            tried: Tried { server: account.address(), proof: account.proof(), changed: files.map(time).collect() },
        }
    }

    /// The same where there is a store already: to look at an account makes none.
    pub fn in_store(account: &Account, settings: &Settings, root: &Path) -> Option<Self> {
        Store::open(root).ok().map(|_| Self::of(account, settings, root))
    }

    fn path(&self, store: &Store) -> PathBuf {
        store.logins().join(format!("{}.json", self.account))
    }

    /// When the server refused what would be tried now; nothing when anything was changed since, or nothing was refused.
    pub fn refused_at(&self) -> Option<DateTime<Utc>> {
        let store = Store::open(&self.root).ok()?;
        let note: Note = serde_json::from_slice(&std::fs::read(self.path(&store)).ok()?).ok()?;
        (note.tried == self.tried).then_some(note.refused_at)
    }

    /// For a run that nobody watches: [`crate::error::ErrorKind::Credentials`] when the server has refused what would be
    /// tried now. `by_hand` is what somebody who is there may run.
    pub fn look(&self, by_hand: &str) -> Result<()> {
        let Some(refused_at) = self.refused_at() else { return Ok(()) };
        Err(Error::credentials(format!(
            "the login of the account `{}` was refused on {}, and nothing was changed since: it is not tried again",
            self.account,
            refused_at.with_timezone(&Local).date_naive()
        ))
        .hint(format!(
            "the login is by {}: set that right, then run {by_hand}; a change of its file or of the settings \
             file is noticed, too",
            self.tried.proof
        )))
    }

    /// Notes a refusal, or forgets one when the server has let us in. A store that cannot be written to is not what is to be
    /// told then.
    pub(super) fn learn<T>(&self, outcome: &Result<T>) {
        let _ = match outcome {
            Ok(_) => Store::open(&self.root).and_then(|store| fs::remove_file(&self.path(&store))),
            Err(error) if error.is_refused_login() => Store::open_or_create(&self.root).and_then(|store| {
                fs::make_folder(&store.logins())?;
                let note = Note { schema_version: 1, refused_at: Utc::now(), tried: self.tried.clone() };
                fs::write_json(&self.path(&store), &note)
            }),
            Err(_) => Ok(()),
        };
    }
}
