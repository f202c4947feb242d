//! Where a file may go that somebody names: nothing is lost, and nothing gets into a store.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{folder_of, read_if_there};
use crate::error::{Error, Result};

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

/// Where the part of a path that is there leads to, links followed; the rest would be made in it.
pub fn where_it_leads(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find_map(|folder| folder.canonicalize().ok()).unwrap_or_default()
}

/// Refuses a place in a store for what somebody names, wherever links lead.
pub fn must_lie_outside_stores(path: &Path) -> Result<()> {
    if where_it_leads(path).ancestors().any(|folder| folder.join(STORE_MARKER).is_file()) {
        return Err(Error::usage(format!(
            "`{}` lies in a store, which has nothing but files of its own",
            path.display()
        ))
        .hint("name a place outside of it"));
    }
    Ok(())
}

/// Whether a file that somebody named can be put there: [`may_become`], outside of stores, and nothing is lost. What is
/// there already must be what the same command writes, as `is_ours` tells, so that it can be run again; `what` is how an
/// error calls that.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hyphen_names_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(may_become(Path::new("-")).unwrap_err().message().contains("names no file"));
        assert!(may_become(&folder.path().join("-")).is_ok());
    }
}
