//! A folder of this machine as a source: a manual download, or an export of the state's SHARP platform.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Origin, RemoteFile, Source};
use crate::error::{Error, Result};

/// The plain files of one folder.
#[derive(Clone, Debug)]
pub struct LocalSource {
    folder: PathBuf,
}

impl LocalSource {
    /// A folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder of one file, and the file.
    pub fn of_file(path: &Path) -> Result<(Self, RemoteFile)> {
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| Error::usage(format!("`{}` names no file", path.display())))?;
        let mut source = Self::new(path.parent().unwrap_or(Path::new("")));
        let file = source.stat(&name)?;
        Ok((source, file))
    }
}

impl Source for LocalSource {
    fn origin(&self) -> Origin {
        Origin::local()
    }

    fn list(&mut self) -> Result<Vec<RemoteFile>> {
        let failed = |error: std::io::Error| Error::io("list", &self.folder, &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.iter().map(|name| self.stat(name)).collect()
    }

    fn stat(&mut self, name: &str) -> Result<RemoteFile> {
        let path = self.folder.join(name);
        let metadata = std::fs::metadata(&path).map_err(|error| Error::named_file("open", &path, &error))?;
        if !metadata.is_file() {
            return Err(Error::usage(format!("`{}` is not a file", path.display())).hint("name the CSV file itself"));
        }
        let modified = metadata.modified().ok().map(DateTime::<Utc>::from);
        Ok(RemoteFile { name: name.to_owned(), size: metadata.len(), modified })
    }

    fn open_at<'a>(&'a mut self, name: &str, offset: u64) -> Result<Box<dyn Read + 'a>> {
        let path = self.folder.join(name);
        let mut file = File::open(&path).map_err(|error| Error::io("open", &path, &error))?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| Error::io("read", &path, &error))?;
        Ok(Box::new(file))
    }
}
