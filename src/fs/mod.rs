//! The one way in which this program writes: beside the place, synced, renamed; folders 0700, files 0600.

#![expect(clippy::disallowed_methods, reason = "this is the door that the others are sent to")]

mod mode;
mod place;
mod sum;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};
use crate::parallel::lock;

#[cfg(unix)]
use mode::is_shared;
pub use mode::{
    create_private, make_folder, make_output_folder, make_private, open_kept, open_lock, open_lock_to_share,
};
pub use place::{
    STORE_MARKER, beginning, description_path, may_become, may_replace, must_end_in, must_lie_outside_stores,
    own_description_path, where_it_leads,
};
pub use sum::{Sha256Beside, Sha256Writer, hex, sha256_hex, sha256_of, sha256_of_file};

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
    let draft = drafted(destination, bytes)?;
    #[cfg(unix)]
    if is_shared(folder_of(destination)) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        draft.file.as_file().set_permissions(mode).map_err(|error| Error::io("write", destination, &error))?;
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

/// The bytes of a file; none where there is none.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
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

/// Removes the drafts that runs left in a folder when they were killed. The caller makes sure that no run is writing there, or
/// that it loses nothing: a draft of [`is_read_only`] may go at any time.
pub fn remove_drafts(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| Error::io("list", folder, &error))?.flatten() {
        if is_draft(&entry.file_name()) {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { remove_folder(&entry.path()) } else { remove_file(&entry.path()) }?;
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

/// Whether nothing may be written into a folder: a draft is made in it, and goes again.
pub fn is_read_only(folder: &Path) -> bool {
    let mut builder = tempfile::Builder::new();
    builder.prefix(DRAFT_PREFIX).suffix(DRAFT_SUFFIX);
    let kind = Noted::made(|| builder.tempfile_in(folder)).err().map(|error| error.kind());
    matches!(kind, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}
