//! Who may enter a folder and read a file: its owner, and of outputs the group that a folder is shared with.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::{drafts, folder_of, must_lie_outside_stores};
use crate::error::{Error, Result};

/// Makes a folder with all its parents; new folders get mode 0700.
pub fn make_folder(path: &Path) -> Result<()> {
    make_folder_of_mode(path, 0o700)
}

/// The same for outputs, outside of stores: in a folder that is shared with its group, new folders are shared, too (mode
/// 2750).
pub fn make_output_folder(path: &Path) -> Result<()> {
    let parent = folder_of(path);
    if !path.is_dir() {
        make_output_folder(parent)?;
    }
    // Each folder anew: once a missing one is made, `..` behind it leads somewhere.
    must_lie_outside_stores(path)?;
    if path.is_dir() {
        return Ok(());
    }
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
pub(super) fn is_shared(folder: &Path) -> bool {
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
#[expect(clippy::unnecessary_wraps, reason = "where there are modes, setting one may fail")]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
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

/// Opens a lock file, making it with mode 0600 where it is missing.
pub fn open_lock(path: &Path) -> Result<File> {
    open_private(OpenOptions::new().write(true).create(true).truncate(false), path)
}

fn open_private(options: &mut OpenOptions, path: &Path) -> Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path).map_err(|error| Error::io("write", path, &error))
}
