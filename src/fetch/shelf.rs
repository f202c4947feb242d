//! A folder of files that were fetched, each with its receipt. What is in it is never replaced.

use std::path::{Path, PathBuf};

use super::receipt::Receipt;
use super::{Origin, RemoteFile};
use crate::error::{Error, Result};
use crate::fs;

/// The end of the name of every receipt.
const RECEIPT: &str = "receipt.json";

/// Digits of its SHA-256 that a file gets into its name when the name is taken.
const DIGITS: [usize; 3] = [8, 16, 64];

/// What a file is to those that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It was here already.
    Nothing,
    /// The first of its name.
    First,
    /// Another content under the name of a file that was here. Both are kept.
    Changed,
}

/// A folder of files that were fetched.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    receipts: Vec<Receipt>,
}

impl Shelf {
    /// Opens a folder, making it where it is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::make_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), receipts: receipts(folder)? })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether nothing was fetched yet.
    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    /// The files that were fetched from there before, are the same there still, and have their size here.
    ///
    /// Without a time of change nothing is the same: another file of the same size could not be told from it.
    pub(super) fn find(&self, origin: &Origin, file: &RemoteFile) -> impl Iterator<Item = (PathBuf, &Receipt)> {
        let receipts = self.receipts.iter().filter(move |receipt| {
            file.modified.is_some() && receipt.remote == *file && receipt.origin.is_same_place(origin)
        });
        receipts
            .map(|receipt| (self.folder.join(&receipt.delivery.file_name), receipt))
            .filter(|(path, _)| std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == file.size))
    }

    /// Where a file goes: its name when that is free, or else its name with digits of its SHA-256. A file of the same
    /// content that is there already is its place, too.
    pub(super) fn place(&self, name: &str, bytes: u64, sha256: &str) -> Result<(PathBuf, News)> {
        let first = self.folder.join(name);
        let others = DIGITS.map(|digits| self.folder.join(with_digits(name, &sha256[..digits])));
        for (at, path) in std::iter::once(first).chain(others).enumerate() {
            match path.symlink_metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok((path, if at == 0 { News::First } else { News::Changed }));
                }
                Err(error) => return Err(Error::io("look at", &path, &error)),
                Ok(metadata) if metadata.is_file() && metadata.len() == bytes => {
                    if fs::sha256_of_file(&path)?.1 == sha256 {
                        return Ok((path, News::Nothing));
                    }
                }
                Ok(_) => {}
            }
        }
        Err(Error::refused(format!("no name is free for `{name}` in `{}`", self.folder.display()))
            .hint("the files there have been changed since they were fetched: move them away, and fetch again"))
    }

    /// Writes the receipt of a file beside it. A file of this machine, such as one of a store, says less of where it came from
    /// than the receipt that the same bytes have already: that one stays.
    pub(super) fn put(&mut self, receipt: Receipt) -> Result<()> {
        let is_known = |other: &Receipt| other.delivery == receipt.delivery;
        if receipt.origin == Origin::local() && self.receipts.iter().any(is_known) {
            return Ok(());
        }
        let is_of_the_same = |other: &Receipt| other.delivery.file_name == receipt.delivery.file_name;
        let file = self.folder.join(&receipt.delivery.file_name);
        let place = fs::description_path(&file, RECEIPT, |text| {
            serde_json::from_slice::<Receipt>(text).is_ok_and(|other| is_of_the_same(&other))
        })?;
        fs::write_json(&place, &receipt)?;
        self.receipts.retain(|other| !is_of_the_same(other));
        self.receipts.push(receipt);
        Ok(())
    }
}

/// Whether a name is that of a receipt.
pub(super) fn is_receipt(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(RECEIPT)
}

/// The receipts of a folder, in the order of their names. What cannot be read as one is left out; a missing folder has
/// none.
pub fn receipts(folder: &Path) -> Result<Vec<Receipt>> {
    let mut paths = fs::files_in(folder)?;
    paths.retain(|path| is_receipt(&path.to_string_lossy()));
    let receipts = paths.iter().filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok());
    Ok(receipts.collect())
}

/// Takes what has just come out of a folder again, all but the files that were there `before`; and the folder, when nothing is
/// left in it.
pub fn take_back(folder: &Path, before: &[PathBuf]) -> Result<()> {
    for path in fs::files_in(folder)?.iter().filter(|path| !before.contains(path)) {
        std::fs::remove_file(path).map_err(|error| Error::io("remove", path, &error))?;
    }
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => Err(Error::io("remove", folder, &error)),
        _ => Ok(()),
    }
}

/// A name with some digits before its ending.
fn with_digits(name: &str, digits: &str) -> String {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(ending) => format!("{stem}.{digits}.{}", ending.to_string_lossy()),
        None => format!("{stem}.{digits}"),
    }
}
