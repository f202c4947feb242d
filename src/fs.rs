//! The one way in which this program writes: beside the place, synced, renamed; folders 0700, files 0600.

#![expect(clippy::disallowed_methods, reason = "this is the door that the others are sent to")]

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};
use crate::parallel::lock;

const DRAFT_PREFIX: &str = ".phds-";
const DRAFT_SUFFIX: &str = ".part";

/// The drafts of this run, for [`discard_drafts`].
static DRAFTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn drafts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    lock(&DRAFTS)
}

/// A place in [`DRAFTS`].
#[derive(Debug)]
struct Noted(PathBuf);

impl Noted {
    /// Makes a draft and notes it; in no moment between could it be missed.
    fn made<T: AsRef<Path>>(make: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Self)> {
        let mut drafts = drafts();
        let draft = make()?;
        let path = draft.as_ref().to_owned();
        drafts.insert(path.clone());
        Ok((draft, Self(path)))
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        drafts().remove(&self.0);
    }
}

/// Removes the drafts of this run, for when it is about to be ended. No draft can be begun while the result is held.
#[must_use]
pub fn discard_drafts() -> impl Sized {
    let drafts = drafts();
    for draft in drafts.iter() {
        // Whoever takes a draft away at this moment, as at the end of a load, makes one attempt fail.
        for _ in 0..100 {
            let _ = if draft.is_dir() { std::fs::remove_dir_all(draft) } else { std::fs::remove_file(draft) };
            if draft.symlink_metadata().is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    drafts
}

/// A folder for files that are not in place yet; it vanishes when it is dropped.
#[derive(Debug)]
pub struct DraftFolder {
    folder: TempDir,
    _noted: Noted,
}

impl DraftFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A file that is being written beside its place. Dropping it removes it; [`Draft::publish`] puts it in place whole.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    destination: PathBuf,
    noted: Noted,
}

impl Draft {
    /// Starts a file (mode 0600) that will replace or become `destination`; its folder must exist.
    pub fn new(destination: &Path) -> Result<Self> {
        may_become(destination)?;
        let folder = folder_of(destination);
        let mut builder = tempfile::Builder::new();
        builder.prefix(DRAFT_PREFIX).suffix(DRAFT_SUFFIX);
        let (file, noted) = Noted::made(|| builder.tempfile_in(folder))
            // The library's own words have the path of the draft in them.
            .map_err(|error| Error::io("write beside", destination, &error.kind().into()))?;
        Ok(Self { noted, file, destination: destination.to_owned() })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Syncs, renames into place (replacing what is there), syncs the folder.
    pub fn publish(self) -> Result<PathBuf> {
        let destination = self.destination.clone();
        self.publish_as(&destination)
    }

    /// The same under another name of the same file system.
    pub fn publish_as(self, destination: &Path) -> Result<PathBuf> {
        let Self { file, noted: _noted, .. } = self;
        let destination = destination.to_owned();
        let failed = |error: &io::Error| Error::io("write", &destination, error);
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        file.persist(&destination).map_err(|error| failed(&error.error))?;
        sync_folder(folder_of(&destination))?;
        Ok(destination)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole small file, or leaves what was there.
pub fn write_whole(destination: &Path, bytes: &[u8]) -> Result<()> {
    drafted(destination, bytes)?.publish().map(drop)
}

/// The same for what others may see: a table, a figure, a page. In a folder that is shared with its group, the group may read
/// it (mode 0640).
pub fn write_output(destination: &Path, bytes: &[u8]) -> Result<()> {
    let mut draft = drafted(destination, bytes)?;
    #[cfg(unix)]
    if is_shared(folder_of(destination)) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        draft.file().set_permissions(mode).map_err(|error| Error::io("write", destination, &error))?;
    }
    draft.publish().map(drop)
}

fn drafted(destination: &Path, bytes: &[u8]) -> Result<Draft> {
    let mut draft = Draft::new(destination)?;
    draft.write_all(bytes).map_err(|error| Error::io("write", destination, &error))?;
    Ok(draft)
}

/// A value as indented JSON with a final newline.
pub fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|_| Error::internal("a value has no JSON form"))?;
    text.push(b'\n');
    Ok(text)
}

/// Writes a value as [`json`], whole or not at all.
pub fn write_json(destination: &Path, value: &impl serde::Serialize) -> Result<()> {
    write_whole(destination, &json(value)?)
}

/// Whether a file can be put there: its folder is there, and nothing but a plain file has its name.
pub fn may_become(destination: &Path) -> Result<()> {
    if destination == Path::new("-") {
        return Err(Error::usage("`-` names no file").hint("name the file to write, such as ./out.csv"));
    }
    let folder = folder_of(destination);
    if !folder.is_dir() {
        return Err(Error::usage(format!("there is no folder `{}`", folder.display())).hint("make it first"));
    }
    if destination.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Error::usage(format!("`{}` is there and is not a plain file", destination.display()))
            .hint("name another file"));
    }
    Ok(())
}

/// The file that makes a folder a store. What is in one is noted, so nobody else puts anything there.
pub const STORE_MARKER: &str = "phds-store.json";

/// Refuses a place in a store for what somebody names, wherever links lead.
pub fn must_lie_outside_stores(path: &Path) -> Result<()> {
    let there = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = there.ancestors().find_map(|folder| folder.canonicalize().ok()).unwrap_or_default();
    if there.ancestors().any(|folder| folder.join(STORE_MARKER).is_file()) {
        return Err(Error::usage(format!(
            "`{}` lies in a store, which has nothing but files of its own",
            path.display()
        ))
        .hint("name a place outside of it"));
    }
    Ok(())
}

/// Whether a file that somebody named can be put there: [`may_become`], outside of stores, and nothing is lost. What is there already must be
/// what the same command writes, as `is_ours` tells, so that it can be run again; `what` is how an error calls that.
pub fn may_replace(destination: &Path, what: &str, is_ours: impl FnOnce(&Path) -> bool) -> Result<()> {
    may_become(destination)?;
    must_lie_outside_stores(destination)?;
    if destination.exists() && !is_ours(destination) {
        return Err(Error::usage(format!(
            "`{}` is there and is no {what} that phds wrote, so it is left as it is",
            destination.display()
        ))
        .hint("name another place, or remove that file first"));
    }
    Ok(())
}

/// Refuses a name whose ending says something else than what the file will be; `why` says what that is.
pub fn must_end_in(destination: &Path, ending: &str, why: &str) -> Result<()> {
    let is_it = |found: &std::ffi::OsStr| found.eq_ignore_ascii_case(ending);
    if destination.extension().is_some_and(is_it) {
        return Ok(());
    }
    Err(Error::usage(format!("`{}` does not end in .{ending}: {why}", destination.display()))
        .hint(format!("call it `{}`", destination.with_extension(ending).display())))
}

/// The first 64 KiB of a file, by which it may be known; of one that cannot be read, nothing.
pub fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut bytes));
    if read.is_ok() { bytes } else { Vec::new() }
}

/// The bytes of a file; none where there is none.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// Where the description of `file` goes: `name` in its folder, or `<file>.<name>` when a description of another file is
/// already there. `describes` tells whether a description's text is that of `file`.
pub fn description_path(file: &Path, name: &str, describes: impl Fn(&[u8]) -> bool) -> Result<PathBuf> {
    let shared = file.with_file_name(name);
    if read_if_there(&shared)?.is_some_and(|text| !describes(&text)) {
        Ok(own_description_path(file, name))
    } else {
        Ok(shared)
    }
}

/// Where a description lies that is of one file alone: `<file>.<name>`.
pub fn own_description_path(file: &Path, name: &str) -> PathBuf {
    let mut own = file.file_name().unwrap_or_default().to_owned();
    own.push(format!(".{name}"));
    file.with_file_name(own)
}

/// Makes a folder with all its parents; new folders get mode 0700.
pub fn make_folder(path: &Path) -> Result<()> {
    make_folder_of_mode(path, 0o700)
}

/// The same for outputs, outside of stores: in a folder that is shared with its group, new folders are shared, too (mode
/// 2750).
pub fn make_output_folder(path: &Path) -> Result<()> {
    // Each folder anew: once a missing one is made, `..` behind it leads somewhere.
    must_lie_outside_stores(path)?;
    if path.is_dir() {
        return Ok(());
    }
    let parent = folder_of(path);
    make_output_folder(parent)?;
    must_lie_outside_stores(path)?;
    #[cfg(unix)]
    if is_shared(parent) {
        return make_shared_folder(path);
    }
    make_folder(path)
}

#[cfg(unix)]
fn make_shared_folder(path: &Path) -> Result<()> {
    // Linux gives it the bit of its parent. To ask for the bit is forbidden where a service may make no program that runs as
    // somebody else (RestrictSUIDSGID of systemd).
    make_folder_of_mode(path, 0o750)?;
    if !is_shared(path) {
        set_mode(path, 0o2750).map_err(|error| Error::io("make the folder", path, &error))?;
    }
    if !is_shared(path) {
        return Err(Error::environment(format!("`{}` cannot be shared with the group of its folder", path.display()))
            .hint("let the one who runs phds be a member of that group, or set the umask 027"));
    }
    Ok(())
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "folders have no mode there"))]
fn make_folder_of_mode(path: &Path, mode: u32) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    builder.create(path).map_err(|error| Error::io("make the folder", path, &error))
}

/// Whether somebody has shared a folder with its group, in the way that Unix has for it: `chmod g+rxs`.
#[cfg(unix)]
fn is_shared(folder: &Path) -> bool {
    const SHARED: u32 = 0o2050;
    folder
        .metadata()
        .is_ok_and(|folder| std::os::unix::fs::PermissionsExt::mode(&folder.permissions()) & SHARED == SHARED)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The files in a folder, by name; a missing folder has none.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries_in(folder, |kind| !kind.is_dir())
}

/// The folders in a folder, by name; a missing folder has none.
pub fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries_in(folder, |kind| kind.is_dir())
}

fn entries_in(folder: &Path, is_meant: fn(std::fs::FileType) -> bool) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", folder, &error)),
    };
    let meant = entries.flatten().filter(|entry| entry.file_type().is_ok_and(is_meant));
    let mut paths: Vec<_> = meant.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    Ok(paths)
}

/// Makes the names in a folder durable, where the system has a way to.
pub fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| Error::io("sync", path, &error))?;
    }
    Ok(())
}

/// Makes a folder (mode 0700) in `folder` for files that are not in place yet; it vanishes when it is dropped.
pub fn draft_folder(folder: &Path) -> Result<DraftFolder> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(DRAFT_PREFIX).suffix(DRAFT_SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let (folder, noted) = Noted::made(|| builder.tempdir_in(folder))
        .map_err(|error| Error::io("make a folder in", folder, &error.kind().into()))?;
    Ok(DraftFolder { folder, _noted: noted })
}

/// Moves a finished, synced file to its place on the same file system.
pub fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| Error::io("put in place", to, &error))
}

/// Whether a name is that of a draft.
pub fn is_draft(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(DRAFT_PREFIX) && name.ends_with(DRAFT_SUFFIX)
}

/// Removes the drafts that runs left in a folder when they were killed. The caller makes sure that no run is writing.
pub fn remove_drafts(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| Error::io("list", folder, &error))?.flatten() {
        if is_draft(&entry.file_name()) {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed =
                if is_folder { std::fs::remove_dir_all(entry.path()) } else { std::fs::remove_file(entry.path()) };
            removed.map_err(|error| Error::io("remove", &entry.path(), &error))?;
        }
    }
    Ok(())
}

/// Removes a file, if it is there.
pub fn remove_file(path: &Path) -> Result<()> {
    gone(std::fs::remove_file(path), path)
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_folder(path: &Path) -> Result<()> {
    gone(std::fs::remove_dir_all(path), path)
}

fn gone(removed: io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Lets nobody but the owner into a folder.
pub fn make_private(path: &Path) -> Result<()> {
    set_mode(path, 0o700).map_err(|error| Error::io("protect", path, &error))
}

/// Makes a new file with mode 0600.
pub fn create_private(path: &Path) -> Result<File> {
    // While the drafts of an ending run are taken away, nothing is put into their folders.
    let _drafts = drafts();
    open_private(OpenOptions::new().write(true).create_new(true), path)
}

/// Opens a file that goes on where it was left, making it with mode 0600 where it is missing. A link is taken away, not
/// followed: what it leads to is not ours.
pub fn open_kept(path: &Path) -> Result<File> {
    if path.symlink_metadata().is_ok_and(|metadata| !is_own_file(&metadata)) {
        std::fs::remove_file(path).map_err(|error| Error::io("replace", path, &error))?;
    }
    open_private(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
}

#[cfg(unix)]
fn is_own_file(metadata: &std::fs::Metadata) -> bool {
    metadata.is_file() && std::os::unix::fs::MetadataExt::nlink(metadata) == 1
}

#[cfg(not(unix))]
fn is_own_file(metadata: &std::fs::Metadata) -> bool {
    metadata.is_file()
}

/// Opens a lock file to share the lock with other readers, which takes no more than reading it; makes it where it is missing.
pub fn open_lock_to_share(path: &Path) -> Result<File> {
    match File::open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => open_lock(path),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// Whether nothing may be written into a folder: a draft is made in it, and goes again.
pub fn is_read_only(folder: &Path) -> bool {
    let mut builder = tempfile::Builder::new();
    builder.prefix(DRAFT_PREFIX).suffix(DRAFT_SUFFIX);
    let kind = Noted::made(|| builder.tempfile_in(folder)).err().map(|error| error.kind());
    matches!(kind, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

/// Opens a lock file, making it with mode 0600 where it is missing.
pub fn open_lock(path: &Path) -> Result<File> {
    open_private(OpenOptions::new().write(true).create(true).truncate(false), path)
}

fn open_private(options: &mut OpenOptions, path: &Path) -> Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path).map_err(|error| Error::io("write", path, &error))
}

/// Size in bytes and SHA-256 of a file, as 64 lower-case hexadecimal digits.
pub fn sha256_of_file(path: &Path) -> Result<(u64, String)> {
    let read = File::open(path).and_then(|mut file| sha256_of(&mut file, |_| ()));
    read.map_err(|error| Error::io("read", path, &error))
}

/// A writer that knows the size and SHA-256 of what has gone through it.
#[derive(Debug)]
pub struct Sha256Writer<W> {
    into: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Sha256Writer<W> {
    /// Nothing has gone through yet.
    pub fn new(into: W) -> Self {
        Self { into, hash: Sha256::new(), bytes: 0 }
    }

    /// What is written into.
    pub fn inner(&self) -> &W {
        &self.into
    }

    /// The size so far, and the SHA-256 as 64 lower-case hexadecimal digits.
    pub fn sum(&self) -> (u64, String) {
        (self.bytes, hex(&self.hash.clone().finalize()))
    }
}

impl<W: Write> Write for Sha256Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.into.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// A SHA-256 that a thread of its own computes, so that whoever reads and writes does not wait for it.
#[derive(Debug)]
pub struct Sha256Beside {
    full: mpsc::SyncSender<(Vec<u8>, usize)>,
    empty: mpsc::Receiver<Vec<u8>>,
    thread: JoinHandle<String>,
}

impl Sha256Beside {
    /// Begins with nothing; `buffers` of so many bytes go to and fro.
    pub fn new(buffers: usize, bytes: usize) -> Self {
        let (full, filled) = mpsc::sync_channel::<(Vec<u8>, usize)>(buffers);
        let (back, empty) = mpsc::channel();
        for _ in 0..buffers {
            // The receiver is here: nothing can fail.
            let _ = back.send(vec![0; bytes]);
        }
        let thread = std::thread::spawn(move || {
            let mut hash = Sha256::new();
            for (buffer, count) in filled {
                hash.update(&buffer[..count]);
                // Whoever has left needs no more buffers.
                let _ = back.send(buffer);
            }
            hex(&hash.finalize())
        });
        Self { full, empty, thread }
    }

    /// Takes the first `count` bytes of a buffer and gives another one.
    pub fn exchange(&self, buffer: Vec<u8>, count: usize) -> Result<Vec<u8>> {
        let gone = || Error::internal("the thread that computes a SHA-256 is gone");
        self.full.send((buffer, count)).map_err(|_| gone())?;
        self.empty.recv().map_err(|_| gone())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn finish(self) -> Result<String> {
        let Self { full, thread, .. } = self;
        drop(full);
        thread.join().map_err(|_| Error::internal("the thread that computes a SHA-256 is gone"))
    }
}

/// Size in bytes and SHA-256 of everything that is still to be read from `input`. `advanced` hears of the bytes as they go by.
pub fn sha256_of(input: &mut dyn Read, advanced: impl Fn(u64)) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    // Small enough to stay in the processor's cache between being read and being hashed.
    let mut buffer = vec![0; 1 << 17];
    let mut bytes = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&hash.finalize()))),
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
                advanced(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-256 of some bytes as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hyphen_names_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(may_become(Path::new("-")).unwrap_err().message().contains("names no file"));
        assert!(may_become(&folder.path().join("-")).is_ok());
    }

    #[test]
    fn a_sha256_is_the_same_in_every_way() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (count, expected) = sha256_of(&mut bytes.as_slice(), |_| ()).unwrap();
        let mut writer = Sha256Writer::new(Vec::new());
        writer.write_all(&bytes).unwrap();
        assert_eq!((writer.inner(), writer.sum()), (&bytes, (count, expected.clone())));
        let beside = Sha256Beside::new(2, 1_000);
        let mut buffer = vec![0; 1_000];
        for part in bytes.chunks(999) {
            buffer[..part.len()].copy_from_slice(part);
            buffer = beside.exchange(buffer, part.len()).unwrap();
        }
        assert_eq!(beside.finish().unwrap(), expected);
    }
}
