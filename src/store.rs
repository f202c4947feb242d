//! The store: one folder with everything that is kept of the months.
//! `ARCHITECTURE.md` draws what is in it.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::{self, STORE_MARKER};
use crate::period::ReportingPeriod;

/// The file in the folder of a month's Parquet files that says what they are; while it is there, the month is loaded.
pub const MANIFEST: &str = "manifest.json";

#[derive(Serialize, Deserialize)]
struct Marker {
    store_version: u32,
}

/// A folder that is a store of a version that this program knows.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a store; a missing or empty folder becomes one.
    pub fn open_or_create(root: &Path) -> Result<Self> {
        prove_name(root)?;
        let is_empty = match std::fs::read_dir(root) {
            // A file system that has just been made has this folder; drafts are what a killed run left.
            Ok(entries) => {
                entries.flatten().all(|entry| entry.file_name() == "lost+found" || fs::is_draft(&entry.file_name()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(Error::io("open the store", root, &error)),
        };
        if is_empty {
            fs::make_folder(root)?;
            fs::make_private(root)?;
            fs::write_json(&root.join(STORE_MARKER), &Marker { store_version: 1 })?;
        }
        Self::open(root)
    }

    /// Opens a store that is there.
    pub fn open(root: &Path) -> Result<Self> {
        prove_name(root)?;
        let marker = root.join(STORE_MARKER);
        let text = match std::fs::read(&marker) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !root.exists() => {
                return Err(Error::usage(format!("there is no store `{}`: nothing is loaded yet", root.display()))
                    .hint("`phds load` makes it with the first month; or name another folder in `--store`"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::usage(format!(
                    "`{}` is not a store of this program: it has no {STORE_MARKER}",
                    root.display()
                ))
                .hint("name the folder given to `phds load --store`, or an empty one to begin with"));
            }
            Err(error) => return Err(Error::io("open the store", root, &error)),
        };
        match serde_json::from_slice(&text) {
            Ok(Marker { store_version: 1 }) => Ok(Self { root: root.to_owned() }),
            _ => Err(Error::usage(format!("`{}` is a store that this version of phds does not know", root.display()))
                .hint("use the version that made it, or load the months anew into an empty folder")),
        }
    }

    /// Where the store is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a month's delivery.
    pub fn deliveries(&self, period: ReportingPeriod) -> PathBuf {
        self.root.join("deliveries").join(period.to_string())
    }

    /// The folder of a month's Parquet files.
    pub fn partition(&self, period: ReportingPeriod) -> PathBuf {
        self.root.join("partitions").join(period.to_string())
    }

    /// The folder of a month's check report.
    pub fn reports(&self, period: ReportingPeriod) -> PathBuf {
        self.root.join("reports").join(period.to_string())
    }

    /// The folder of the report of a file that was refused while the month is loaded.
    pub fn refused(&self, period: ReportingPeriod) -> PathBuf {
        self.reports(period).join("refused")
    }

    /// The folder of all releases.
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// Whether no release can be noted and kept in it, because it may only be read.
    pub fn is_read_only(&self) -> bool {
        [self.root.clone(), self.ledger(), self.releases()].iter().any(|folder| fs::is_read_only(folder))
    }

    /// What has been released, and to whom.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The folder of the state's data dictionaries.
    pub fn dictionaries(&self) -> PathBuf {
        self.root.join("dictionaries")
    }

    /// What is remembered of logins, a file for each account.
    pub fn logins(&self) -> PathBuf {
        self.root.join("logins")
    }

    /// The folder of the counts of people.
    pub fn populations(&self) -> PathBuf {
        self.root.join("populations")
    }

    /// The folder of the copies, a folder for each account.
    pub fn mirror(&self) -> PathBuf {
        self.root.join("mirror")
    }

    /// The months that are loaded, oldest first.
    pub fn loaded(&self) -> Vec<ReportingPeriod> {
        let mut periods = self.months("partitions");
        periods.retain(|period| self.partition(*period).join(MANIFEST).is_file());
        periods
    }

    /// The months of which there is a folder for deliveries, oldest first.
    pub fn delivered(&self) -> Vec<ReportingPeriod> {
        self.months("deliveries")
    }

    fn months(&self, room: &str) -> Vec<ReportingPeriod> {
        let entries = std::fs::read_dir(self.root.join(room)).into_iter().flatten().flatten();
        let mut periods: Vec<_> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        periods.sort_unstable();
        periods
    }

    /// Removes what killed runs left behind.
    fn sweep(&self) -> Result<()> {
        fs::remove_drafts(&self.root)?;
        for room in ["deliveries", "reports", "partitions", "dictionaries", "populations", "mirror", "logins"] {
            sweep_below(&self.root.join(room))?;
        }
        Ok(())
    }

    /// Makes sure that no other run writes to the store while the lock is held, and that no draft of an earlier one is
    /// left.
    pub fn lock(&self) -> Result<StoreLock> {
        let path = self.root.join(".lock");
        let file = fs::open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {
                self.sweep()?;
                Ok(StoreLock { _file: file })
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Error::environment(format!("another run of phds is writing to `{}`", self.root.display()))
                    .hint("wait until it has ended"))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(Error::io("lock", &path, &error)),
        }
    }
}

fn sweep_below(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    fs::remove_drafts(folder)?;
    fs::folders_in(folder)?.iter().try_for_each(|below| sweep_below(below))
}

/// The query engine takes these characters in a path for a pattern.
fn prove_name(root: &Path) -> Result<()> {
    if root.is_file() {
        return Err(Error::usage(format!("`{}` is a file; a store is a folder", root.display()))
            .hint("name a folder; one that is missing or empty becomes a store when a month is loaded"));
    }
    match std::path::absolute(root).ok().as_deref().and_then(Path::to_str) {
        Some(path) if !path.contains(['*', '?', '[', ']']) => Ok(()),
        _ => Err(Error::usage(format!("`{}` cannot be the path of a store", root.display()))
            .hint("the path must be UTF-8 text without * ? [ ]")),
    }
}

/// Held while a run writes to the store; the operating system lets go of it when the program ends, however it ends.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}
