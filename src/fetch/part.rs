//! A file on its way: `NAME.part` and, beside it, `NAME.part.json`, which says of what it is the beginning.
//!
//! A part is kept over anything: a cut line, Ctrl-C, a kill, a power cut. It is continued only when it is certain that it
//! is the beginning of the very file that the server has now.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Origin, RemoteFile};
use crate::error::{Error, Result};
use crate::fs;

/// The endings of a part and of its state.
const PART: &str = ".part";
const STATE: &str = ".part.json";

/// How often a part is made durable while it grows.
const KEEP_EVERY: Duration = Duration::from_secs(10);

/// Bytes at the end of a part that are fetched again and compared before it is continued.
pub(super) const OVERLAP: u64 = 64 * 1024;

/// Of what a part is the beginning.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    schema_version: u32,
    origin: Origin,
    name: String,
    size: u64,
    modified: Option<DateTime<Utc>>,
    /// Bytes that are on the disk even after a power cut.
    durable: u64,
    /// The run of the operating system in which the part was written. While it lasts, all that was written is there.
    boot: Option<String>,
}

impl State {
    fn is_of(&self, other: &Self) -> bool {
        // Without a time of change, another file of the same size could not be told from this one.
        self.modified.is_some()
            && (&self.origin, &self.name, self.size, self.modified)
                == (&other.origin, &other.name, other.size, other.modified)
    }
}

/// A file on its way.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    state_path: PathBuf,
    state: State,
    bytes: u64,
    kept_at: Instant,
}

impl Part {
    /// The part of a file in a folder: the one that is there when it is of the same file of the same server, else a new
    /// one.
    pub fn open(folder: &Path, name: &str, origin: &Origin, remote: &RemoteFile) -> Result<Self> {
        let (path, state_path) = (folder.join(format!("{name}{PART}")), folder.join(format!("{name}{STATE}")));
        let mut state = State {
            schema_version: 1,
            origin: origin.clone(),
            name: remote.name.clone(),
            size: remote.size,
            modified: remote.modified,
            durable: 0,
            boot: boot(),
        };
        let earlier = std::fs::read(&state_path).ok().and_then(|text| serde_json::from_slice::<State>(&text).ok());
        let earlier = earlier.filter(|earlier| earlier.is_of(&state));
        let file = fs::open_kept(&path)?;
        let length = file.metadata().map_err(|error| Error::io("read", &path, &error))?.len();
        let there = match earlier {
            Some(earlier) if earlier.boot.is_some() && earlier.boot == state.boot => length,
            Some(earlier) => earlier.durable.min(length),
            None => 0,
        };
        state.durable = 0;
        let mut part = Self { file, path, state_path, state, bytes: 0, kept_at: Instant::now() };
        part.cut_to(if there <= remote.size { there } else { 0 })?;
        part.keep()?;
        Ok(part)
    }

    /// Bytes that are here.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it grows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, doing: &str, error: &std::io::Error) -> Error {
        Error::io(doing, &self.path, error)
    }

    fn cut_to(&mut self, bytes: u64) -> Result<()> {
        let cut = self.file.set_len(bytes).and_then(|()| self.file.seek(SeekFrom::Start(bytes)));
        cut.map_err(|error| self.failed("cut", &error))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Back to nothing.
    pub fn empty(&mut self) -> Result<()> {
        self.cut_to(0)?;
        self.keep()
    }

    /// Puts bytes at the end, and makes the part durable from time to time.
    pub fn grow(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| self.failed("write", &error))?;
        self.bytes += bytes.len() as u64;
        if self.kept_at.elapsed() >= KEEP_EVERY { self.keep() } else { Ok(()) }
    }

    /// Makes everything that is here durable, and writes down that it is.
    pub fn keep(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.failed("sync", &error))?;
        self.state.durable = self.bytes;
        fs::write_json(&self.state_path, &self.state)?;
        self.kept_at = Instant::now();
        Ok(())
    }

    /// The last bytes, [`OVERLAP`] at most.
    pub fn tail(&mut self) -> Result<Vec<u8>> {
        let count = self.bytes.min(OVERLAP);
        let mut tail = vec![0; usize::try_from(count).unwrap_or_default()];
        let read = self.file.seek(SeekFrom::Start(self.bytes - count)).and_then(|_| self.file.read_exact(&mut tail));
        read.map_err(|error| self.failed("read", &error))?;
        Ok(tail)
    }

    /// Syncs it, moves it to its place and makes the place durable.
    pub fn publish(self, place: &Path) -> Result<()> {
        self.file.sync_all().map_err(|error| self.failed("sync", &error))?;
        fs::move_into_place(&self.path, place)?;
        fs::sync_folder(place.parent().unwrap_or(Path::new(".")))?;
        fs::remove_file(&self.state_path)
    }

    /// Takes it away.
    pub fn discard(self) -> Result<()> {
        fs::remove_file(&self.path)?;
        fs::remove_file(&self.state_path)
    }
}

/// Whether a name is one that this room uses for its own files.
pub(super) fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(PART) || name.ends_with(STATE)
}

/// Bytes of the part of a file, whatever it is worth.
pub(super) fn bytes(folder: &Path, name: &str) -> u64 {
    std::fs::metadata(folder.join(format!("{name}{PART}"))).map_or(0, |metadata| metadata.len())
}

/// Takes away the parts of a folder that will not be continued: those of files with other names.
pub(super) fn remove_others(folder: &Path, is_expected: impl Fn(&str) -> bool) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| Error::io("list", folder, &error))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = name.strip_suffix(STATE).or_else(|| name.strip_suffix(PART));
        if file.is_some_and(|file| !is_expected(file)) && !fs::is_draft(&entry.file_name()) {
            fs::remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Names the run of the operating system, where it can be told.
fn boot() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(identity: &str) -> Origin {
        Origin { protocol: "sftp".into(), server: "h:22".into(), server_identity: identity.into(), ..Origin::local() }
    }

    fn remote(size: u64, time: Option<i64>) -> RemoteFile {
        let modified = time.and_then(|time| DateTime::from_timestamp(time, 0));
        RemoteFile { name: "a.csv".into(), size, modified }
    }

    /// Bytes of a part of 5 that are still there when it is opened again like this.
    fn found_again(change: impl FnOnce(&Path), identity: &str, again: &RemoteFile) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let mut part = Part::open(folder.path(), "a.csv", &origin("key"), &remote(9, Some(1))).unwrap();
        part.grow(b"12345").unwrap();
        drop(part);
        change(folder.path());
        Part::open(folder.path(), "a.csv", &origin(identity), again).unwrap().bytes()
    }

    #[test]
    fn a_part_is_continued_only_for_the_same_file_of_the_same_server() {
        let same = remote(9, Some(1));
        assert_eq!(found_again(|_| {}, "key", &same), 5);
        assert_eq!(found_again(|_| {}, "other key", &same), 0);
        assert_eq!(found_again(|_| {}, "key", &remote(10, Some(1))), 0);
        assert_eq!(found_again(|_| {}, "key", &remote(9, Some(2))), 0);
        assert_eq!(found_again(|_| {}, "key", &remote(9, None)), 0);
        let remove = |name: &'static str| move |folder: &Path| std::fs::remove_file(folder.join(name)).unwrap();
        assert_eq!(found_again(remove("a.csv.part"), "key", &same), 0);
        assert_eq!(found_again(remove("a.csv.part.json"), "key", &same), 0);
        let write = |name: &'static str, text: &'static str| {
            move |folder: &Path| std::fs::write(folder.join(name), text).unwrap()
        };
        assert_eq!(found_again(write("a.csv.part.json", "{"), "key", &same), 0);
        assert_eq!(found_again(write("a.csv.part", "123"), "key", &same), 3);
        assert_eq!(found_again(write("a.csv.part", "1234567890"), "key", &same), 0, "longer than the file");
    }

    #[test]
    fn after_a_power_cut_only_what_was_synced_counts() {
        let another_boot = |folder: &Path| {
            let path = folder.join("a.csv.part.json");
            let mut state: State = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (state.boot, state.durable) = (None, 2);
            std::fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
        };
        assert_eq!(found_again(another_boot, "key", &remote(9, Some(1))), 2);
    }

    #[test]
    fn a_published_part_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut part = Part::open(folder.path(), "a.csv", &origin("key"), &remote(5, None)).unwrap();
        part.grow(b"12345").unwrap();
        assert_eq!(part.tail().unwrap(), b"12345");
        part.publish(&folder.path().join("a.csv")).unwrap();
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.csv"]);
        Part::open(folder.path(), "b.csv", &origin("key"), &remote(5, None)).unwrap();
        remove_others(folder.path(), |name| name == "b.csv").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        remove_others(folder.path(), |_| false).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
