//! What a month's Parquet files are: the manifest that names them, and the [`Partition`] that proves they are there.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::check::report::{Alarm, Totals};
use crate::error::{Error, Result};
use crate::fs;
use crate::period::ReportingPeriod;
use crate::provenance::{DeliveryId, Edition, Tool};
use crate::store::{MANIFEST, Store};

/// The name of a month's lock, in its folder.
const LOCK: &str = ".lock";

/// The two tables of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// One row for each accepted row of the delivery; several may tell of one dose.
    Immunizations,
    /// One row a client.
    Clients,
}

impl Table {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Immunizations, Self::Clients];

    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Immunizations => "immunizations",
            Self::Clients => "clients",
        }
    }
}

/// One Parquet file.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PartFile {
    /// Place within the month's folder, with `/`.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Column {
    /// Name.
    pub name: String,
    /// `int64`, `int32`, `date32`, `boolean` or `string`.
    #[serde(rename = "type")]
    pub column_type: String,
}

/// A table of the month.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableFiles {
    /// Rows in all files.
    pub rows: u64,
    /// Columns, the same in all files.
    pub columns: Vec<Column>,
    /// The files, in the order of their buckets.
    pub files: Vec<PartFile>,
}

/// `manifest.json` of a month.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Manifest {
    /// 1.
    pub schema_version: u32,
    /// What made it.
    pub tool: Tool,
    /// The month, `YYYY-MM`.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// When, UTC.
    #[schemars(with = "String")]
    pub loaded_at: DateTime<Utc>,
    /// The file that it was made from.
    pub delivery: DeliveryId,
    /// SHA-256 of files of the month that came later and were here when somebody named this one to be loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen_over: Vec<String>,
    /// The dictionary that the file was read by.
    pub dictionary: Edition,
    /// The rules that it was held to.
    pub rules: Edition,
    /// The measures whose days are in `clients`.
    pub measures: Vec<Edition>,
    /// By what it was told which rows are doses, and when doses could have been given. Nothing in a month that an earlier
    /// version loaded, which has no such columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opportunities: Option<Edition>,
    /// The first calendar year whose vaccinations are in the file.
    pub first_inclusion_year: i32,
    /// Rows of the file.
    pub totals: Totals,
    /// What the check found wrong with the file as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// By the settings of the load, no count of 1 to k - 1 is shown of the month: who asks may have a larger k, and no
    /// smaller one. 0 in a month that an earlier version loaded.
    #[serde(default)]
    pub k: u64,
    /// One row for each accepted row; those of a client stand together, by day. Several may tell of one dose,
    /// so rows are no count of doses.
    pub immunizations: TableFiles,
    /// One row a client.
    pub clients: TableFiles,
}

impl Manifest {
    /// Whether every file is named once, lies in the folder of its table, and the rows add up.
    fn holds_together(&self) -> bool {
        let is_part = |table: Table, file: &PartFile| {
            let name = file.path.strip_prefix(table.name()).and_then(|rest| rest.strip_prefix('/'));
            name.is_some_and(|name| !name.contains(['/', '\\']) && !name.starts_with('.'))
        };
        let tables = [(Table::Immunizations, &self.immunizations), (Table::Clients, &self.clients)];
        let mut paths = std::collections::HashSet::new();
        self.schema_version == 1
            && tables.iter().all(|(table, files)| {
                files.rows == files.files.iter().map(|file| file.rows).sum::<u64>()
                    && files.files.iter().all(|file| is_part(*table, file) && paths.insert(&file.path))
            })
    }

    /// The files of both tables.
    pub fn files(&self) -> impl Iterator<Item = &PartFile> {
        self.immunizations.files.iter().chain(&self.clients.files)
    }
}

/// A month whose Parquet is in place. While it is held, no load takes its files away.
#[derive(Debug)]
pub struct Partition {
    folder: PathBuf,
    manifest: Manifest,
    _reading: Option<File>,
}

/// The lock that readers of a month share, and that a load holds alone while it changes the month.
pub(super) fn lock(folder: &Path) -> Result<File> {
    fs::open_lock(&folder.join(LOCK))
}

impl Partition {
    pub(super) fn new(folder: &Path, manifest: Manifest) -> Self {
        Self { folder: folder.to_owned(), manifest, _reading: None }
    }

    /// Opens a month of a store.
    pub fn open(store: &Store, period: ReportingPeriod) -> Result<Self> {
        let folder = store.partition(period);
        // A store that may only be read is locked as well: a load elsewhere waits for this reader.
        let reading = if folder.is_dir() { Some(fs::open_lock_to_share(&folder.join(LOCK))?) } else { None };
        if let Some(reading) = &reading {
            reading.lock_shared().map_err(|error| Error::io("lock", &folder, &error))?;
        }
        let partition = Self::open_folder(&folder)?.ok_or_else(|| {
            let loaded = store.loaded();
            let error = Error::usage(format!("the month {period} is not loaded in `{}`", store.root().display()));
            match loaded.last() {
                Some(newest) => error.hint(format!("the newest month that is loaded is {newest}")),
                None => error.hint(format!(
                    "load it first: `phds load FILE --period {period} --store {}`",
                    store.root().display()
                )),
            }
        })?;
        if partition.manifest.reporting_period != period {
            return Err(Error::damaged(&folder.join(MANIFEST)));
        }
        Ok(Self { _reading: reading, ..partition })
    }

    pub(super) fn open_folder(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        let Some(text) = fs::read_if_there(&path)? else { return Ok(None) };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| Error::damaged(&path))?;
        if !manifest.holds_together() {
            return Err(Error::damaged(&path));
        }
        Ok(Some(Self::new(folder, manifest)))
    }

    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The absolute paths of a table's files, each proved by its SHA-256: a damaged file could give wrong counts.
    pub fn files(&self, table: Table) -> Result<Vec<PathBuf>> {
        let folder = std::path::absolute(&self.folder).map_err(|error| Error::io("find", &self.folder, &error))?;
        let files = match table {
            Table::Immunizations => &self.manifest.immunizations.files,
            Table::Clients => &self.manifest.clients.files,
        };
        files
            .iter()
            .map(|file| {
                let path = folder.join(&file.path);
                match fs::sha256_of_file(&path) {
                    Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => Ok(path),
                    _ => Err(Error::damaged(&path)),
                }
            })
            .collect()
    }
}
