//! One file of a source → the same file on disk, whole or not at all.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::link::Link;
use super::part::{self, Part};
use super::receipt::{self, Receipt};
use super::shelf::{self, News, Shelf};
use super::{Origin, RemoteFile, Source, pick};
use crate::error::{Error, Result};
use crate::fs::{self, Sha256Beside};
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::provenance::{DeliveryId, Tool};
use crate::volume;

const BUFFER: usize = 1 << 20;

/// Room that a download leaves on the disk for everybody else.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// A download that gets less than this many bytes in this time is given up: a server could otherwise hold us for ever with
/// a byte now and then.
const LEAST_BYTES: u64 = 1024 * 1024;
const LEAST_TIME: Duration = Duration::from_mins(5);

/// How long a file whose time of change is not known is watched.
const WATCH: Duration = Duration::from_secs(5);

/// How many times a file may be found changed before it is said to be still growing.
const MOST_WATCHES: usize = 10;

/// A file of a source that is whole on disk, with its receipt beside it.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Lower-case hexadecimal digits.
    pub sha256: String,
    /// What it is to the files that were there before.
    pub news: News,
}

/// Brings one file of a source onto a shelf, whole or not at all, with its receipt beside it.
///
/// A file that is here already is not fetched again: that is told from its receipt and its SHA-256. One of the same name
/// and other content is never replaced: the new one gets the first digits of its SHA-256 in its name, and the reporter is
/// told. What came before a broken link, a kill or Ctrl-C is continued, when size and time of change of the file are what
/// they were and the last 64 KiB are equal.
///
/// Errors: [`crate::error::ErrorKind::Refused`] for a name that is not safe here;
/// [`crate::error::ErrorKind::Environment`] for the network (after all attempts), a disk without room, or a file that
/// changes while it is fetched; whatever connecting gives.
pub fn download(
    link: &mut Link,
    file: &RemoteFile,
    period: Option<ReportingPeriod>,
    shelf: &mut Shelf,
    reporter: &dyn Reporter,
) -> Result<Downloaded> {
    let name = pick::safe_name(&file.name)?;
    if shelf::is_receipt(name) || part::is_reserved(name) {
        return Err(Error::refused(format!(
            "a file cannot be called `{name}`: names like this are used beside the files"
        ))
        .hint("fetch it by hand, under another name"));
    }
    let origin = link.run(|source| Ok(source.origin()))?;
    if let Some(there) = find(shelf, &origin, file, reporter)? {
        return Ok(there);
    }

    prove_room(shelf.folder(), file.size.saturating_sub(part::bytes(shelf.folder(), name)))?;
    let mut part = Part::open(shelf.folder(), name, &origin, file)?;
    if part.bytes() > 0 {
        reporter.noted(&format!("`{name}` is continued: {} of {} bytes are here", part.bytes(), file.size));
    }
    // Known while the bytes stream by, unless they came in several pieces.
    let mut streamed = None;
    let mut furthest = part.bytes();
    loop {
        match link.attempt(|source| advance(source, file, &mut part, reporter)) {
            Ok(sha256) => {
                streamed = sha256.or(streamed);
                break;
            }
            Err(error) if part.bytes() == 0 && !error.may_pass() => {
                part.discard()?;
                return Err(error);
            }
            Err(error) => {
                // More than what is fetched twice; otherwise a byte with each login would go on for ever.
                let has_progressed = part.bytes() > furthest + part::OVERLAP;
                furthest = furthest.max(part.bytes());
                // A full disk is the error that is told, not that the part cannot be synced to it either.
                let _ = part.keep();
                link.recover(error, has_progressed)?;
            }
        }
    }
    link.progressed();
    if link.run(|source| source.stat(&file.name))? != *file {
        part.discard()?;
        return Err(changed(name));
    }
    let continued = streamed.is_none();
    let sha256 = match streamed {
        Some(sha256) => sha256,
        None => verify(part.path(), file.size, reporter)?,
    };
    reporter.finished(&format!("{name}, {} bytes, SHA-256 {}", file.size, &sha256[..16]));
    let (path, news) = put_in_place(part, name, &sha256, shelf, reporter)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    shelf.put(Receipt {
        schema_version: receipt::SCHEMA_VERSION,
        tool: Tool::this(),
        fetched_at: Utc::now().trunc_subsecs(3),
        reporting_period: period,
        origin,
        remote: file.clone(),
        continued,
        delivery: DeliveryId { file_name, bytes: file.size, sha256: sha256.clone() },
    })?;
    Ok(Downloaded { path, bytes: file.size, sha256, news })
}

/// Why a file is fetched anew.
const FROM_THE_BEGINNING: &str = "the server cannot send it from the middle";

/// Continues a part to the end of the file. Gives the SHA-256 when all bytes streamed by in one piece.
fn advance(
    source: &mut dyn Source,
    file: &RemoteFile,
    part: &mut Part,
    reporter: &dyn Reporter,
) -> Result<Option<String>> {
    reporter.started("fetch", Some(file.size));
    if part.bytes() > 0 && source.stat(&file.name)? != *file {
        part.empty()?;
        return Err(changed(&file.name));
    }
    if part.bytes() > 0 {
        let tail = part.tail()?;
        let at = part.bytes() - tail.len() as u64;
        let begun_anew = match source.open_at(&file.name, at) {
            Ok(mut input) => match reads(&mut input, &tail, &file.name) {
                Ok(true) => {
                    reporter.advanced(part.bytes());
                    fill(&mut input, file, part, None, reporter)?;
                    return Ok(None);
                }
                Ok(false) => "what is here is not the beginning of what the server has",
                Err(error) if error.may_pass() => return Err(error),
                Err(_) => FROM_THE_BEGINNING,
            },
            Err(error) if error.may_pass() || at == 0 => return Err(error),
            Err(_) => FROM_THE_BEGINNING,
        };
        reporter.noted(&format!("`{}` is fetched from its beginning: {begun_anew}", file.name));
        part.empty()?;
    }
    let hash = Sha256Beside::new(4, BUFFER);
    fill(&mut source.open_at(&file.name, 0)?, file, part, Some(&hash), reporter)?;
    hash.finish().map(Some)
}

/// Whether the next bytes are these.
fn reads(input: &mut dyn Read, expected: &[u8], name: &str) -> Result<bool> {
    let mut bytes = Vec::with_capacity(expected.len());
    input.take(expected.len() as u64).read_to_end(&mut bytes).map_err(|error| read_failed(error, name))?;
    if bytes.len() < expected.len() {
        return Err(short(name));
    }
    Ok(bytes == expected)
}

/// Moves bytes from the source to the part, to the size that the file is to have.
fn fill(
    input: &mut dyn Read,
    file: &RemoteFile,
    part: &mut Part,
    hash: Option<&Sha256Beside>,
    reporter: &dyn Reporter,
) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut marked = (Instant::now(), part.bytes());
    loop {
        if marked.0.elapsed() > LEAST_TIME {
            if part.bytes() < marked.1 + LEAST_BYTES {
                return Err(Error::network(format!(
                    "`{}` comes too slowly: less than {LEAST_BYTES} bytes in {} minutes",
                    file.name,
                    LEAST_TIME.as_secs() / 60
                ))
                .hint("run it again when the line is better: what has come is kept"));
            }
            marked = (Instant::now(), part.bytes());
        }
        let count = match input.read(&mut buffer) {
            Ok(0) if part.bytes() < file.size => return Err(short(&file.name)),
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_failed(error, &file.name)),
        };
        if part.bytes() + count as u64 > file.size {
            part.empty()?;
            return Err(changed(&file.name));
        }
        part.grow(&buffer[..count])?;
        if let Some(hash) = hash {
            buffer = hash.exchange(buffer, count)?;
        }
        reporter.advanced(count as u64);
    }
}

/// A source puts its own error, with its hint, inside the one that `Read` allows.
fn read_failed(error: std::io::Error, name: &str) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::io("read", Path::new(name), &error),
    }
}

fn short(name: &str) -> Error {
    Error::network(format!("`{name}` ended before the size that the server tells"))
        .hint("it may still be growing, or the link broke: fetch again in some minutes")
}

fn changed(name: &str) -> Error {
    Error::environment(format!("`{name}` changed at the source while it was fetched; nothing of it is kept"))
        .hint("it may still be growing: fetch again in some minutes")
}

/// [`crate::error::ErrorKind::Environment`] when the disk of a folder has no room for so many bytes more.
pub(super) fn prove_room(folder: &Path, wanted: u64) -> Result<()> {
    let free = volume::free_bytes(folder)?;
    if free < wanted.saturating_add(SPARE_BYTES) {
        return Err(Error::environment(format!(
            "the disk of `{}` has {} MB free; the rest of the file needs {} MB, and {} MB are to stay free",
            folder.display(),
            free / 1_000_000,
            wanted.div_ceil(1_000_000),
            SPARE_BYTES / 1_000_000
        ))
        .hint("make room on that disk and try again; what came so far is kept"));
    }
    Ok(())
}

/// The file, if it was fetched from there before and is still what it was.
fn find(shelf: &Shelf, origin: &Origin, file: &RemoteFile, reporter: &dyn Reporter) -> Result<Option<Downloaded>> {
    for (path, receipt) in shelf.find(origin, file) {
        let sha256 = verify(&path, file.size, reporter)?;
        if sha256 == receipt.delivery.sha256 {
            reporter.finished(&format!("`{}` is already here, the same as at its source", path.display()));
            return Ok(Some(Downloaded { path, bytes: file.size, sha256, news: News::Nothing }));
        }
        reporter.warned(&format!("`{}` is not what was fetched: it is fetched again", path.display()));
    }
    Ok(None)
}

/// The SHA-256 of what is on the disk.
fn verify(path: &Path, size: u64, reporter: &dyn Reporter) -> Result<String> {
    reporter.started("verify", Some(size));
    let read =
        std::fs::File::open(path).and_then(|mut file| fs::sha256_of(&mut file, |count| reporter.advanced(count)));
    read.map(|(_, sha256)| sha256).map_err(|error| Error::io("read", path, &error))
}

/// Moves a part to its place, unless the same is there already.
fn put_in_place(
    part: Part,
    name: &str,
    sha256: &str,
    shelf: &Shelf,
    reporter: &dyn Reporter,
) -> Result<(PathBuf, News)> {
    let (path, news) = shelf.place(name, part.bytes(), sha256)?;
    match news {
        News::Nothing => {
            reporter.noted(&format!("`{}` is already here with the same content", path.display()));
            part.discard()?;
        }
        News::First => part.publish(&path)?,
        News::Changed => {
            part.publish(&path)?;
            reporter.warned(&format!(
                "a file with the name `{name}` and other content is already here; both are kept, the new one as `{}`",
                path.display()
            ));
        }
    }
    Ok((path, news))
}

/// Waits until a file has not been changed for `min_age`: who writes it may not be done. Gives it as it is then.
///
/// Our clock and the server's may differ, so a file that is found unchanged after a wait of `min_age` is taken too.
/// [`crate::error::ErrorKind::Environment`] when it is found changed again and again.
pub fn settled(link: &mut Link, file: RemoteFile, min_age: Duration, reporter: &dyn Reporter) -> Result<RemoteFile> {
    let mut file = file;
    for _ in 0..MOST_WATCHES {
        let wait = match file.modified {
            Some(modified) => remaining(Utc::now() - modified, min_age),
            None => min_age.min(WATCH),
        };
        if wait.is_zero() {
            return Ok(file);
        }
        reporter.noted(&format!(
            "`{}` may still be growing: looking at it again in {} s",
            file.name,
            wait.as_secs_f64().ceil()
        ));
        std::thread::sleep(wait);
        let now = link.run(|source| source.stat(&file.name))?;
        if now == file {
            return Ok(file);
        }
        file = now;
    }
    Err(Error::environment(format!("`{}` is still growing", file.name)).hint("fetch it later"))
}

/// What is missing to an age; all of it when the change lies in the future, as it does when a clock is wrong.
fn remaining(age: TimeDelta, min_age: Duration) -> Duration {
    age.to_std().map_or(min_age, |age| min_age.saturating_sub(age))
}

/// Whether a file was changed too recently to be taken without a second look.
pub fn is_young(modified: Option<DateTime<Utc>>, min_age: Duration) -> bool {
    modified.is_some_and(|modified| (Utc::now() - modified).to_std().is_ok_and(|age| age < min_age))
}
