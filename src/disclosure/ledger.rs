//! What has been released, and what is known from elsewhere: an append-only chain of entries in the store.
//!
//! Every entry is a file, `ledger/000001.json`, that is never changed; each has the SHA-256 of the one before, and
//! `ledger-head.json` that of the last. So a changed, lost or added entry is noticed, and stops releases. Entries of
//! published tables have their counts, also those that are withheld: they are to be guarded like the partitions.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::known::Known;
use super::release::{Audience, BesideNote, Cell, DESCRIPTION, Document, FinerNote, Kept, Number, Release};
use crate::error::{Error, Result};
use crate::fs::{self, Draft};
use crate::knowledge::Fingerprint;
use crate::period::ReportingPeriod;
use crate::provenance::{Edition, Tool};
use crate::query::ask::{Ask, Denominator};
use crate::query::{Counted, Members, RawShare, numerator};
use crate::store::Store;

/// The name of its lock, in its folder.
const LOCK: &str = ".lock";

/// What stands for the SHA-256 before the first entry.
const BEGINNING: &str = "";

/// A release that left the program, or a table that others have published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// 1.
    pub schema_version: u32,
    /// 1 for the first.
    pub number: u64,
    /// SHA-256 of the file of the entry before; empty for the first.
    pub previous_sha256: String,
    /// What made it.
    pub tool: Tool,
    /// For whom it is.
    pub audience: Audience,
    /// Its id.
    pub release_id: String,
    /// Of a table that is known from elsewhere and no release: where it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The month.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// SHA-256 of the file that the month was made from.
    pub delivery_sha256: String,
    /// The question, with everything that was left open filled in.
    pub question: Ask,
    /// Finer tables that were asked for before this one, of which too little could be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coarsened_from: Vec<FinerNote>,
    /// Releases for whose sake rows of a published table are withheld: it says so again when it is asked for again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<BesideNote>,
    /// The measures that it names.
    pub measures: Vec<Fingerprint>,
    /// The policy by which it was treated.
    pub policy: Edition,
    /// No count of 1 to k - 1 was shown.
    pub k: u64,
    /// The rows of a published table; of other releases, nothing is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// The counts of those of its rows that are withheld: what other months may not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Row>,
    /// All rows of a published table together, by denominator where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<Row>,
}

/// A row of a published table, or of several together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Row {
    /// Its labels.
    pub labels: Vec<String>,
    /// Nothing where it is withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numerator: Option<u64>,
    /// Nothing where it is withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denominator: Option<u64>,
}

impl Row {
    /// The row of a share.
    pub(super) fn of(cell: &Cell) -> Self {
        let counts = match cell.values() {
            Some([Some(Number::Count(numerator)), Some(Number::Count(denominator)), ..]) => {
                Some((*numerator, *denominator))
            }
            // Nobody is there, and everybody sees it.
            None if cell.status == super::Status::NotApplicable => Some((0, 0)),
            _ => None,
        };
        Self { labels: cell.labels.clone(), numerator: counts.map(|(n, _)| n), denominator: counts.map(|(_, d)| d) }
    }

    /// The counts of the rows that are withheld.
    pub(super) fn withheld(cells: &[Cell], shares: &BTreeMap<Vec<String>, RawShare>) -> Vec<Self> {
        let rows = cells.iter().filter(|cell| Self::of(cell).counts().is_none());
        let counts = rows.filter_map(|cell| Some((&cell.labels, shares.get(&cell.labels)?)));
        let row = |(labels, share): (&Vec<String>, &RawShare)| Self {
            labels: labels.clone(),
            numerator: Some(share.numerator),
            denominator: Some(share.denominator),
        };
        counts.map(row).collect()
    }

    /// Numerator and denominator, where they are there.
    pub(super) fn counts(&self) -> Option<(u64, u64)> {
        self.numerator.zip(self.denominator)
    }
}

impl Entry {
    /// The same without counts, which are for the audit alone.
    #[must_use]
    pub fn without_counts(&self) -> Self {
        Self { rows: Vec::new(), withheld: Vec::new(), totals: Vec::new(), ..self.clone() }
    }

    /// Whether others have published it, and not this program.
    pub fn is_known(&self) -> bool {
        self.source.is_some()
    }

    /// Whether it is a release to everybody.
    pub fn is_published(&self) -> bool {
        self.audience == Audience::Public && !self.is_known()
    }

    /// Whether both are of the same month, from the same file.
    pub(super) fn is_of_the_file_of(&self, other: &Self) -> bool {
        self.is_of(other.reporting_period, &other.delivery_sha256)
    }

    /// Whether it is of this month, from a file with this SHA-256.
    pub fn is_of(&self, period: ReportingPeriod, delivery: &str) -> bool {
        (self.reporting_period, self.delivery_sha256.as_str()) == (period, delivery)
    }

    /// The month of the store says something else than when the table was published.
    fn disagrees(&self) -> Error {
        Error::refused(format!(
            "the month {} gives other counts than when {} {} was {}",
            self.reporting_period,
            if self.is_known() { "table" } else { "release" },
            self.release_id,
            if self.is_known() { "noted as known" } else { "published" },
        ))
        .hint("load the month from the file of that time, with the dictionary, rules and measures of that time")
    }

    /// Which rows of each part of a table are shown, in the order of those that the month has. The month must say the same of
    /// all rows whose counts are kept: a difference would be a count of those that it reads in another way.
    pub(super) fn shown(&self, parts: &[Members]) -> Result<Vec<Vec<bool>>> {
        let is_shown: BTreeMap<&[String], bool> =
            self.rows.iter().map(|row| (row.labels.as_slice(), row.counts().is_some())).collect();
        let kept = self.rows.iter().chain(&self.withheld);
        let mut kept: BTreeMap<&[String], (u64, u64)> =
            kept.filter_map(|row| Some((row.labels.as_slice(), row.counts()?))).collect();
        let of_part = |part: &Members| -> Option<Vec<bool>> {
            let of_row = |(labels, clients): &(Vec<String>, Counted)| {
                let (counted, all) = (numerator(clients), clients.len() as u64);
                // Where a population has nobody, no number is told of clients either.
                let is_same = kept
                    .remove(labels.as_slice())
                    .is_none_or(|row| row == (counted, all) || (part.of_people && (row.0 == counted || row == (0, 0))));
                if is_same { is_shown.get(labels.as_slice()).copied() } else { None }
            };
            part.rows.iter().map(of_row).collect()
        };
        let shown: Option<Vec<Vec<bool>>> = parts.iter().map(of_part).collect();
        // A row of a population may be without a client.
        let all_people = parts.iter().all(|part| part.of_people);
        let of_people =
            |labels: &[String]| all_people || labels.last().is_some_and(|name| Denominator::is_of_people(name));
        let mut gone = kept.iter().filter(|(labels, (counted, all))| *counted > 0 || (*all > 0 && !of_people(labels)));
        if gone.next().is_some() { Err(self.disagrees()) } else { shown.ok_or_else(|| self.disagrees()) }
    }

    /// The entry of a release, not yet in any ledger.
    fn of(release: &Release, question: Ask) -> Self {
        let document: &Document = release.document();
        let measures = document.measure.iter().chain(&document.from_measure).map(|note| note.fingerprint.clone());
        let is_public = document.audience == Audience::Public;
        let Kept { question: kept, rows, withheld, totals } =
            if is_public { release.kept().clone() } else { Kept::default() };
        Self {
            schema_version: 1,
            number: 0,
            previous_sha256: String::new(),
            tool: Tool::this(),
            audience: document.audience,
            release_id: document.release_id.clone(),
            source: None,
            reporting_period: document.reporting_period,
            delivery_sha256: document.delivery.sha256.clone(),
            question: kept.unwrap_or(question),
            coarsened_from: document.coarsened_from.clone(),
            beside: if is_public { document.disclosure.beside.clone() } else { Vec::new() },
            measures: measures.collect(),
            policy: Edition {
                id: "disclosure".to_owned(),
                version: document.disclosure.version.clone(),
                fingerprint: document.disclosure.fingerprint.clone(),
            },
            k: document.disclosure.k,
            rows,
            withheld,
            totals,
        }
    }
}

/// How many entries there are, and the SHA-256 of the last. It stands outside of the folder, so that the loss of the whole
/// ledger is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    entries: u64,
    sha256: String,
}

/// The ledger of a store. Whoever holds it has proved its chain, and nobody else writes to it meanwhile.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    head_path: PathBuf,
    head: Head,
    entries: Vec<Entry>,
    /// None where there is no ledger yet, to read.
    _lock: Option<File>,
    /// Whether entries may be added: the lock is not shared with readers.
    is_to_write: bool,
}

impl Ledger {
    /// Opens the ledger of a store, to add to it, and proves its chain; a store without one gets an empty one with the first
    /// entry.
    ///
    /// # Errors
    ///
    /// When an entry is missing, was changed or does not belong there; when a table was published that is in no entry; when
    /// the store cannot be written.
    pub fn open(store: &Store) -> Result<Self> {
        if store.is_read_only() {
            return Err(Error::environment(format!(
                "the ledger of `{}` cannot be written, and whatever everybody will know must be noted there first",
                store.root().display()
            ))
            .hint("do it as somebody who may write to the store; `phds query … --dry-run` writes nothing"));
        }
        let folder = store.ledger();
        fs::make_folder(&folder)?;
        let lock_path = folder.join(LOCK);
        let lock = fs::open_lock(&lock_path)?;
        lock.lock().map_err(|error| Error::io("lock", &lock_path, &error))?;
        fs::remove_drafts(&folder)?;
        Self { is_to_write: true, ..Self::empty(store, Some(lock)) }.proved(store)
    }

    /// The same to read it: nothing is written, and the store need not be one that can be.
    pub fn open_to_read(store: &Store) -> Result<Self> {
        let lock = Self::lock_to_share(store)?;
        if let Some(lock) = &lock {
            lock.lock_shared().map_err(|error| Error::io("lock", &store.ledger(), &error))?;
        }
        Self::empty(store, lock).proved(store)
    }

    /// Proves the chain, unless somebody is adding to it just now, who has proved it.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::open_to_read`].
    pub fn look(store: &Store) -> Result<()> {
        let lock = Self::lock_to_share(store)?;
        match lock.as_ref().map(File::try_lock_shared) {
            Some(Err(TryLockError::WouldBlock)) => return Ok(()),
            Some(Err(TryLockError::Error(error))) => return Err(Error::io("lock", &store.ledger(), &error)),
            Some(Ok(())) | None => {}
        }
        Self::empty(store, lock).proved(store).map(drop)
    }

    /// The lock that readers share, not yet held; none where there is no ledger.
    fn lock_to_share(store: &Store) -> Result<Option<File>> {
        let folder = store.ledger();
        folder.is_dir().then(|| fs::open_lock_to_share(&folder.join(LOCK))).transpose()
    }

    fn empty(store: &Store, lock: Option<File>) -> Self {
        Self {
            head: Head { entries: 0, sha256: BEGINNING.to_owned() },
            head_path: store.root().join("ledger-head.json"),
            entries: Vec::new(),
            folder: store.ledger(),
            _lock: lock,
            is_to_write: false,
        }
    }

    fn proved(mut self, store: &Store) -> Result<Self> {
        self.read()?;
        self.knows_what_was_published(store)?;
        Ok(self)
    }

    /// The entries, the oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }

    /// The numbers of the entries that are there.
    fn numbers(&self) -> Result<Vec<u64>> {
        let files = fs::files_in(&self.folder)?;
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect())
    }

    fn read(&mut self) -> Result<()> {
        let Some(head) = fs::read_if_there(&self.head_path)? else {
            // The head comes before the first entry.
            return if self.numbers()?.is_empty() { Ok(()) } else { Err(altered(&self.head_path)) };
        };
        let head: Head = serde_json::from_slice(&head).map_err(|_| altered(&self.head_path))?;
        let mut previous = BEGINNING.to_owned();
        for number in 1..=head.entries {
            let path = self.path(number);
            let text = fs::read_if_there(&path)?.ok_or_else(|| altered(&path))?;
            let entry: Entry = serde_json::from_slice(&text).map_err(|_| altered(&path))?;
            if (entry.schema_version, entry.number) != (1, number) || entry.previous_sha256 != previous {
                return Err(altered(&path));
            }
            previous = fs::sha256_hex(&text);
            self.entries.push(entry);
        }
        if previous != head.sha256 {
            return Err(altered(&self.path(head.entries)));
        }
        // A run that ended between an entry and the head has left an entry of a release that nobody got; no other may be there.
        if let Some(number) = self.numbers()?.into_iter().find(|number| *number > head.entries + 1) {
            return Err(altered(&self.path(number)));
        }
        self.head = head;
        Ok(())
    }

    /// Every table of the store that is marked as published is in an entry.
    fn knows_what_was_published(&self, store: &Store) -> Result<()> {
        for folder in fs::folders_in(&store.releases())? {
            let path = folder.join(DESCRIPTION);
            let Ok(text) = std::fs::read(&path) else { continue };
            let Ok(document) = serde_json::from_slice::<Document>(&text) else { continue };
            let is_entry =
                |entry: &Entry| (entry.audience, &entry.release_id) == (Audience::Public, &document.release_id);
            let known = self.entries.iter().any(is_entry);
            if document.audience == Audience::Public && !known {
                return Err(Error::refused(format!("`{}` was published and is not in the ledger", path.display()))
                    .hint("bring the ledger back from a backup: without it, nothing can be audited with what is known outside"));
            }
        }
        Ok(())
    }

    /// Adds releases, each with its question. One that was published already, with the same rows, is not added again.
    pub fn append(&mut self, releases: &[(&Release, Ask)]) -> Result<()> {
        for (release, question) in releases {
            self.add(Entry::of(release, question.clone()))?;
        }
        Ok(())
    }

    /// Notes a table that is known from elsewhere, and tells whether that is new.
    pub fn note(&mut self, known: &Known) -> Result<bool> {
        self.add(known.0.clone())
    }

    /// Adds an entry, unless it is there.
    fn add(&mut self, mut entry: Entry) -> Result<bool> {
        let is_there = |other: &&Entry| (other.audience, &other.release_id) == (entry.audience, &entry.release_id);
        if let Some(other) = self.entries.iter().find(is_there) {
            return if other.rows == entry.rows { Ok(false) } else { Err(other.disagrees()) };
        }
        if !self.is_to_write {
            return Err(Error::internal("a ledger that was opened to read cannot be added to"));
        }
        entry.number = self.head.entries + 1;
        entry.previous_sha256.clone_from(&self.head.sha256);
        if !self.head_path.exists() {
            self.write_head(&self.head)?;
        }
        let path = self.path(entry.number);
        fs::write_json(&path, &entry)?;
        let (_, sha256) = fs::sha256_of_file(&path)?;
        let head = Head { entries: entry.number, sha256 };
        self.write_head(&head)?;
        self.head = head;
        self.entries.push(entry);
        Ok(true)
    }

    /// Writes the head by way of the ledger's folder, whose lock is held. Whoever loads a month holds another lock, and takes
    /// away the drafts beside the head.
    fn write_head(&self, head: &Head) -> Result<()> {
        let mut draft = Draft::new(&self.folder.join("head.json"))?;
        draft.write_all(&fs::json(head)?).map_err(|error| Error::io("write", &self.head_path, &error))?;
        draft.publish_as(&self.head_path).map(drop)
    }
}

fn altered(path: &Path) -> Error {
    Error::refused(format!("the ledger is not whole: `{}` is missing or was changed", path.display()))
        .hint("bring the ledger back from a backup; until then nothing is released")
}
