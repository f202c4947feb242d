//! Copies of what lies in other folders of an account, made before the server removes it.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::download;
use super::link::Link;
use super::shelf::{News, Shelf};
use super::{RemoteFile, outside, part, pick};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::progress::Reporter;

/// The name of a folder's [`Listing`]. No copy can have it: names that begin with a dot are not safe here.
pub const LISTING: &str = ".listing.json";

/// What a folder of an account held when it was last looked at: `.listing.json` beside the copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// 1.
    pub schema_version: u32,
    /// When, UTC.
    #[schemars(with = "String")]
    pub looked_at: DateTime<Utc>,
    /// The folder, as it is called on the server.
    pub folder: String,
    /// Its files, by name.
    pub files: Vec<Listed>,
}

/// One file of a [`Listing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// What it was at the source.
    pub remote: RemoteFile,
    /// What became of it.
    pub copy: Copied,
}

/// What became of a file that a server will remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Copied {
    /// It was copied then.
    Now,
    /// It was copied before.
    Before,
    /// It may still be growing, and is left for the next time.
    Later,
    /// It could not be copied.
    Failed,
}

impl Listing {
    /// The listing beside the copies of a folder; `None` when there is none that can be read.
    pub fn read(place: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place.join(LISTING)).ok()?).ok()
    }

    /// The files that are not copied.
    pub fn missing(&self) -> impl Iterator<Item = &Listed> {
        self.files.iter().filter(|file| matches!(file.copy, Copied::Later | Copied::Failed))
    }

    /// How many files this became of.
    pub fn count(&self, copy: Copied) -> usize {
        self.files.iter().filter(|file| file.copy == copy).count()
    }
}

/// Where the copies of a folder of the server go, below the folder of its account: its own name.
/// [`crate::error::ErrorKind::Usage`] when that leads elsewhere or is not safe here.
pub fn place(folder: &str) -> Result<PathBuf> {
    let mut place = PathBuf::new();
    for part in Path::new(folder).components() {
        match part {
            Component::CurDir | Component::RootDir => {}
            Component::Normal(name) => match name.to_str().map(pick::safe_name) {
                Some(Ok(name)) => place.push(name),
                _ => return Err(unfit(folder)),
            },
            Component::ParentDir | Component::Prefix(_) => return Err(unfit(folder)),
        }
    }
    if place.as_os_str().is_empty() { Ok(PathBuf::from("login-folder")) } else { Ok(place) }
}

fn unfit(folder: &str) -> Error {
    Error::usage(format!("`{}` cannot be the name of a folder to copy", folder.escape_debug()))
        .hint("name it as it is called on the server, for example `Receive`")
}

/// Copies what is not copied yet of the folder to which a link leads, with receipts, and writes down what was there.
///
/// What cannot be copied because of the file itself (its name, its permissions, that it changes) is told to the reporter and
/// listed; the others are copied all the same. Anything else ends it.
pub fn mirror(
    link: &mut Link,
    folder: &str,
    min_age: Duration,
    place: &Path,
    now: DateTime<Utc>,
    reporter: &dyn Reporter,
) -> Result<Listing> {
    if let Some(other) = Listing::read(place).filter(|listing| listing.folder != folder) {
        return Err(Error::usage(format!(
            "the copies of `{}` and of `{}` would both go to `{}`",
            outside::clean(&other.folder),
            outside::clean(folder),
            place.display()
        ))
        .hint("call the folder as before, or set up another account for it"));
    }
    let mut files = link.run(|source| source.list())?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut shelf = Shelf::open(place)?;
    part::remove_others(place, |name| files.iter().any(|file| file.name == name))?;
    let origin = link.run(|source| Ok(source.origin()))?;
    let mut listing =
        Listing { schema_version: 1, looked_at: now.trunc_subsecs(0), folder: folder.to_owned(), files: Vec::new() };
    for remote in files {
        let is_here = shelf.find(&origin, &remote).next().is_some();
        let copy = if is_here {
            Copied::Before
        } else if pick::safe_name(&remote.name).is_ok() && download::is_young(remote.modified, min_age) {
            reporter.noted(&format!("`{}` may still be growing: it is left for the next time", remote.name));
            Copied::Later
        } else {
            match download::download(link, &remote, None, &mut shelf, reporter) {
                Ok(downloaded) if downloaded.news == News::Nothing => Copied::Before,
                Ok(_) => Copied::Now,
                Err(error) if is_of_the_file(&error) && download::prove_room(place, remote.size).is_ok() => {
                    reporter.warned(error.message());
                    Copied::Failed
                }
                Err(error) => return Err(error),
            }
        };
        listing.files.push(Listed { remote, copy });
    }
    fs::write_json(&place.join(LISTING), &listing)?;
    Ok(listing)
}

fn is_of_the_file(error: &Error) -> bool {
    !error.may_pass() && matches!(error.kind(), ErrorKind::Refused | ErrorKind::Environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_go_where_the_folder_says_and_nowhere_else() {
        for (folder, expected) in [
            ("Receive", "Receive"),
            ("/Receive", "Receive"),
            ("./DQA-Reports/2026", "DQA-Reports/2026"),
            (".", "login-folder"),
            ("/", "login-folder"),
        ] {
            assert_eq!(place(folder).unwrap(), Path::new(expected), "{folder}");
        }
        for folder in ["..", "a/../..", ".hidden", "a\nb", "NUL"] {
            assert!(place(folder).is_err(), "{folder:?}");
        }
    }
}
