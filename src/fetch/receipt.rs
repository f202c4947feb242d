//! A file that is whole on disk, and the receipt that says where it came from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::download::{self, Downloaded};
use super::link::Link;
use super::shelf::Shelf;
use super::{Origin, RemoteFile, part};
use crate::error::{Error, Result};
use crate::fs;
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::provenance::{DeliveryId, Tool};

/// The version of receipts that this program writes.
pub(super) const SCHEMA_VERSION: u32 = 2;

/// One file as received: whole on disk, its size known, its SHA-256 known or to be found out, its reporting period known.
#[derive(Clone, Debug)]
pub struct Delivery {
    path: PathBuf,
    period: ReportingPeriod,
    bytes: u64,
    sha256: Sha256,
}

#[derive(Clone, Debug)]
enum Sha256 {
    Known(String),
    /// Whoever reads the whole file tells it.
    FoundOut(Arc<OnceLock<String>>),
}

/// `receipt.json`, beside a file that was fetched: where it came from and what it is. Never a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 2.
    pub schema_version: u32,
    /// What fetched it.
    pub tool: Tool,
    /// When it was whole on disk, UTC.
    #[schemars(with = "String")]
    pub fetched_at: DateTime<Utc>,
    /// The month that a delivery describes, `YYYY-MM`; null for any other file.
    #[schemars(with = "Option<String>")]
    pub reporting_period: Option<ReportingPeriod>,
    /// Where it came from.
    pub origin: Origin,
    /// What it was at the source.
    pub remote: RemoteFile,
    /// Whether it came in more than one piece.
    pub continued: bool,
    /// Name, size and SHA-256 of the file on disk. The name differs from that at the source when a file of that name and
    /// other content was here before.
    pub delivery: DeliveryId,
}

impl Delivery {
    /// Takes a file where it lies. Its SHA-256 is found out while it is read for something else, or when it is asked for.
    pub fn in_place(path: &Path, period: ReportingPeriod) -> Result<Self> {
        let bytes = open_file(path)?.metadata().map_err(|error| Error::io("read", path, &error))?.len();
        Ok(Self { path: path.to_owned(), period, bytes, sha256: Sha256::FoundOut(Arc::default()) })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The month that it describes.
    pub fn period(&self) -> ReportingPeriod {
        self.period
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its name, size and SHA-256. If that is not known yet, the file is read; one that has changed meanwhile is an error.
    pub fn id(&self) -> Result<DeliveryId> {
        let file_name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !self.is_known() {
            let (bytes, sha256) = fs::sha256_of_file(&self.path)?;
            self.found_out(bytes, sha256);
        }
        let Some(sha256) = self.known() else {
            return Err(Error::environment(format!("`{}` has changed while it was read", self.path.display()))
                .hint("try again when it is whole"));
        };
        Ok(DeliveryId { file_name, bytes: self.bytes, sha256: sha256.clone() })
    }

    /// Whether its SHA-256 is known.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// What somebody has found who has read so many bytes of it; only those of the whole file count.
    pub fn found_out(&self, bytes: u64, sha256: String) {
        if let Sha256::FoundOut(found) = &self.sha256
            && bytes == self.bytes
        {
            // The first one who has read it is believed.
            let _ = found.set(sha256);
        }
    }

    fn known(&self) -> Option<&String> {
        match &self.sha256 {
            Sha256::Known(sha256) => Some(sha256),
            Sha256::FoundOut(found) => found.get(),
        }
    }

    /// Opens it for reading.
    pub fn open(&self) -> Result<File> {
        open_file(&self.path)
    }
}

fn open_file(path: &Path) -> Result<File> {
    // Looked at before it is opened: opening a pipe would wait for whoever writes to it.
    let metadata = std::fs::metadata(path).map_err(|error| Error::named_file("open", path, &error))?;
    if metadata.is_file() {
        File::open(path).map_err(|error| Error::named_file("open", path, &error))
    } else {
        Err(Error::usage(format!("`{}` is not a file", path.display())).hint("name the CSV file itself"))
    }
}

/// Fetches a month's file into a folder, as [`download::download`] does. Parts of other files of the month, which will not
/// be continued, are taken away.
pub fn fetch(
    link: &mut Link,
    file: &RemoteFile,
    period: ReportingPeriod,
    folder: &Path,
    reporter: &dyn Reporter,
) -> Result<Delivery> {
    let mut shelf = Shelf::open(folder)?;
    let Downloaded { path, bytes, sha256, .. } = download::download(link, file, Some(period), &mut shelf, reporter)?;
    part::remove_others(folder, |_| false)?;
    Ok(Delivery { path, period, bytes, sha256: Sha256::Known(sha256) })
}
