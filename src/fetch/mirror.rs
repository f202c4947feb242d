//! Copies of what lies in other folders of an account, made before the server removes it.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::download::{self, News};
use super::link::Link;
use super::{RemoteFile, pick, receipt};
use crate::error::{Error, Result};
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
    /// Whether it is copied.
    pub is_here: bool,
    /// Whether it was copied then.
    pub is_new: bool,
}

impl Listing {
    /// The listing beside the copies of a folder; `None` when there is none that can be read.
    pub fn read(place: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place.join(LISTING)).ok()?).ok()
    }

    /// The files that are not copied.
    pub fn missing(&self) -> impl Iterator<Item = &Listed> {
        self.files.iter().filter(|file| !file.is_here)
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
/// Files that have changed within `min_age`, or have a name that is not safe, or fail in a way that does not pass, are
/// told to the reporter and listed as missing; the others are copied all the same. An error of the network ends it.
pub fn mirror(
    link: &mut Link,
    folder: &str,
    min_age: Duration,
    place: &Path,
    now: DateTime<Utc>,
    reporter: &dyn Reporter,
) -> Result<Listing> {
    let mut files = link.run(|source| source.list())?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    fs::make_folder(place)?;
    let origin = link.run(|source| Ok(source.origin()))?;
    let receipts = receipt::all_in(place)?;
    let is_copied = |file: &RemoteFile| {
        file.modified.is_some()
            && receipts.iter().any(|receipt| {
                let path = place.join(&receipt.delivery.file_name);
                receipt.remote == *file
                    && receipt.origin.server == origin.server
                    && std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == file.size)
            })
    };
    let mut listing =
        Listing { schema_version: 1, looked_at: now.trunc_subsecs(0), folder: folder.to_owned(), files: Vec::new() };
    for remote in files {
        let copied = if is_copied(&remote) {
            Ok(News::Nothing)
        } else if download::is_young(remote.modified, min_age) {
            Err(Error::refused(format!("`{}` may still be growing: it is left for the next time", remote.name)))
        } else {
            download::download(link, &remote, None, place, reporter).map(|downloaded| downloaded.news)
        };
        match copied {
            Ok(news) => listing.files.push(Listed { remote, is_here: true, is_new: news != News::Nothing }),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                reporter.noted(error.message());
                listing.files.push(Listed { remote, is_here: false, is_new: false });
            }
        }
    }
    fs::write_json(&place.join(LISTING), &listing)?;
    Ok(listing)
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
