//! A file that is whole on disk, and the receipt that says where it came from.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Origin, RemoteFile, Source, pick};
use crate::error::{Error, Result};
use crate::fs::{self, Draft};
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::provenance::{DeliveryId, Tool};

const BUFFER: usize = 1 << 20;
const RECEIPT: &str = "receipt.json";

/// One file as received: whole on disk, its size and SHA-256 known, its reporting period known.
#[derive(Clone, Debug)]
pub struct Delivery {
    path: PathBuf,
    period: ReportingPeriod,
    bytes: u64,
    sha256: String,
}

/// `receipt.json`, beside the delivery: where it came from and what it is. Never a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 1.
    pub schema_version: u32,
    /// What fetched it.
    pub tool: Tool,
    /// When it was whole on disk, UTC.
    #[schemars(with = "String")]
    pub fetched_at: DateTime<Utc>,
    /// The month, `YYYY-MM`.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// Where it came from.
    pub origin: Origin,
    /// The time of its last change at the source, UTC.
    #[schemars(with = "Option<String>")]
    pub modified: Option<DateTime<Utc>>,
    /// Name, size and SHA-256 of the file on disk.
    pub delivery: DeliveryId,
}

impl Delivery {
    /// Takes a file where it lies, reading it once for its SHA-256.
    pub fn in_place(path: &Path, period: ReportingPeriod, reporter: &dyn Reporter) -> Result<Self> {
        let mut file = open_file(path)?;
        let length = file.metadata().map_err(|error| Error::io("read", path, &error))?.len();
        reporter.started("hash", Some(length));
        let mut hash = Sha256::new();
        let bytes = copy(&mut file, &mut std::io::sink(), &mut hash, reporter)
            .map_err(|failure| failure.into_error(path, path))?;
        reporter.finished("SHA-256 known");
        Ok(Self { path: path.to_owned(), period, bytes, sha256: fs::hex(&hash.finalize()) })
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

    /// Its name, size and SHA-256.
    pub fn id(&self) -> DeliveryId {
        let file_name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        DeliveryId { file_name, bytes: self.bytes, sha256: self.sha256.clone() }
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

/// Brings one file of a source into `folder`, whole or not at all, with `receipt.json` beside it.
///
/// A delivery of the same content that is already there is left as it is. One of the same name and other content is
/// never replaced: the new one gets the first digits of its SHA-256 in its name, and the reporter is told.
pub fn fetch(
    source: &mut dyn Source,
    file: &RemoteFile,
    period: ReportingPeriod,
    folder: &Path,
    reporter: &dyn Reporter,
) -> Result<Delivery> {
    let name = pick::safe_name(&file.name)?;
    if name.ends_with(RECEIPT) {
        return Err(Error::refused(format!("a delivery cannot be called `{name}`: that is the name of its receipt")));
    }
    fs::make_folder(folder)?;
    let destination = folder.join(name);
    let mut draft = Draft::new(&destination)?;
    let mut hash = Sha256::new();
    reporter.started("fetch", Some(file.size));
    let bytes = {
        let mut input = source.open_at(&file.name, 0)?;
        copy(&mut input, &mut draft, &mut hash, reporter)
            .map_err(|failure| failure.into_error(Path::new(name), &destination))?
    };
    let now = source.stat(&file.name)?;
    if bytes != file.size || now.size != file.size || now.modified != file.modified {
        return Err(Error::environment(format!(
            "`{name}` changed while it was fetched: {} bytes were announced, {bytes} came, the source now says {}",
            file.size, now.size
        ))
        .hint("it may still be growing: fetch again in some minutes"));
    }
    let sha256 = fs::hex(&hash.finalize());
    let path = place_for(&destination, bytes, &sha256)?;
    reporter.finished(&format!("{name}, {bytes} bytes, SHA-256 {}", &sha256[..16]));
    let delivery = match path {
        Place::There(path) => {
            reporter.noted(&format!("`{}` is already here with the same content", path.display()));
            Delivery { path, period, bytes, sha256 }
        }
        Place::New(path) => {
            if path != destination {
                reporter.noted(&format!(
                    "a delivery with the name `{name}` and other content is already here; both are kept, the new one as `{}`",
                    path.display()
                ));
            }
            let path = draft.publish_as(&path)?;
            Delivery { path, period, bytes, sha256 }
        }
    };
    let receipt = Receipt {
        schema_version: 1,
        tool: Tool::this(),
        fetched_at: Utc::now().trunc_subsecs(0),
        reporting_period: period,
        origin: source.origin(),
        modified: file.modified,
        delivery: delivery.id(),
    };
    let place = fs::description_path(delivery.path(), RECEIPT, |text| {
        serde_json::from_slice::<Receipt>(text)
            .is_ok_and(|other| other.delivery.file_name == receipt.delivery.file_name)
    })?;
    fs::write_json(&place, &receipt)?;
    Ok(delivery)
}

enum Place {
    There(PathBuf),
    New(PathBuf),
}

fn place_for(destination: &Path, bytes: u64, sha256: &str) -> Result<Place> {
    if !destination.exists() {
        return Ok(Place::New(destination.to_owned()));
    }
    let same = |path: &Path| -> Result<bool> {
        let size = open_file(path)?.metadata().map_err(|error| Error::io("read", path, &error))?.len();
        Ok(size == bytes && fs::sha256_of_file(path)?.1 == sha256)
    };
    if same(destination)? {
        return Ok(Place::There(destination.to_owned()));
    }
    let stem = destination.file_stem().unwrap_or_default().to_string_lossy();
    let extension = destination.extension().map(|text| format!(".{}", text.to_string_lossy())).unwrap_or_default();
    let other = destination.with_file_name(format!("{stem}.{}{extension}", &sha256[..8]));
    Ok(if other.exists() && same(&other)? { Place::There(other) } else { Place::New(other) })
}

/// Which side of a copy failed.
enum CopyFailure {
    Read(std::io::Error),
    Write(std::io::Error),
}

impl CopyFailure {
    fn into_error(self, from: &Path, to: &Path) -> Error {
        match self {
            // A source puts its own error, with its hint, inside the one that `Read` allows.
            Self::Read(error) => match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::io("read", from, &error),
            },
            Self::Write(error) => Error::io("write", to, &error),
        }
    }
}

fn copy(
    input: &mut dyn Read,
    output: &mut dyn Write,
    hash: &mut Sha256,
    reporter: &dyn Reporter,
) -> Result<u64, CopyFailure> {
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyFailure::Read(error)),
        };
        hash.update(&buffer[..count]);
        output.write_all(&buffer[..count]).map_err(CopyFailure::Write)?;
        bytes += count as u64;
        reporter.advanced(count as u64);
    }
}
