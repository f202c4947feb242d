//! Looking at the folder: listings, and the size and time of one file.

use std::io::{self, Read};

use chrono::{DateTime, Utc};
use suppaftp::types::{FtpError, FtpResult, Response};
use suppaftp::{Mode, Status};

use super::answer::{code, ends_session, is_unknown, says_empty, text};
use super::connect::Dialed;
use super::listing::{self, Entry, Kind};
use super::talk::{ANSWER, LISTING};
use super::{FtpsSource, Transfer};
use crate::error::{Error, Result};
use crate::fetch::RemoteFile;
use crate::fetch::outside::{self, clean};

/// Most bytes of a listing: half a million files. More is no folder of deliveries.
const MOST_LISTING: u64 = 64 * 1024 * 1024;

/// How the server lists a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// MLSD and MLST: exact sizes and times in one answer.
    Facts,
    /// LIST, then SIZE and MDTM for each file.
    Lines,
}

impl FtpsSource {
    /// Begins a command whose answer comes on a data connection, over EPSV, or over PASV where the server has no EPSV.
    pub(super) fn begin(&mut self, command: &str, offset: u64) -> FtpResult<Transfer> {
        loop {
            self.dialed.forget();
            // Kept by the library, and sent right before the command.
            self.control.resume_transfer(usize::try_from(offset).map_err(|_| FtpError::BadResponse)?)?;
            let begun = self.control.custom_data_command(command, &[Status::AboutToSend, Status::AlreadyOpen]);
            match begun {
                Ok((_, stream)) => return Ok(stream),
                // The library tells one refusal like another. Where no data connection was tried, it was EPSV's.
                Err(FtpError::UnexpectedResponse(response))
                    if self.dialed.outcome() == Dialed::NOT_YET && !self.plain_pasv && code(&response) >= 500 =>
                {
                    self.control.set_mode(Mode::Passive);
                    self.plain_pasv = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The lines of a listing command.
    fn lines(&mut self, command: &str) -> FtpResult<Vec<String>> {
        self.talk.begin(LISTING);
        let mut stream = self.begin(command, 0)?;
        let mut bytes = Vec::new();
        let read = (&mut stream).take(MOST_LISTING + 1).read_to_end(&mut bytes);
        let mut unended = false;
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => unended = true,
            Err(error) => {
                self.hang_up();
                return Err(FtpError::ConnectionError(error));
            }
            Ok(_) if bytes.len() as u64 > MOST_LISTING => {
                self.hang_up();
                return Err(FtpError::BadResponse);
            }
            Ok(_) => {}
        }
        stream.finish()?;
        if unended {
            self.note_unended("a listing was accepted because the server said that all was sent");
        }
        Ok(bytes
            .split(|&byte| byte == b'\n')
            .map(|line| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
            .filter(|line| !line.is_empty())
            .collect())
    }

    /// The folder, as the server lists it. Names that could carry a command or lead out of the folder are left out, and
    /// those that hold the password. A name that is not UTF-8 cannot be asked for: only a file of known size has one.
    pub(super) fn entries(&mut self) -> Result<Vec<Entry>> {
        let folder = self.talk.settings.folder.clone();
        if self.form == Form::Facts {
            match self.lines("MLSD") {
                Ok(lines) => {
                    self.listed = Some("MLSD");
                    return self.read(&lines, listing::mlsd);
                }
                Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => self.form = Form::Lines,
                Err(error) => return Err(self.failed("list the folder", &folder, &error)),
            }
        }
        let lines = match self.lines("LIST") {
            Ok(lines) => lines,
            // How some servers say that a folder is empty.
            Err(FtpError::UnexpectedResponse(response)) if code(&response) == 550 && says_empty(&response) => {
                Vec::new()
            }
            Err(error) => return Err(self.failed("list the folder", &folder, &error)),
        };
        let entries = self.read(&lines, listing::list)?;
        self.listed = Some(match lines.iter().find(|line| listing::list(line).is_some()) {
            None => "LIST, of an empty folder",
            Some(line) if listing::is_dos(line) => "LIST, in lines of the DOS form",
            Some(_) => "LIST, in lines of the POSIX form",
        });
        Ok(entries)
    }

    fn read(&mut self, lines: &[String], parse: fn(&str) -> Option<Entry>) -> Result<Vec<Entry>> {
        let (mut entries, mut odd, mut unsafe_names) = (Vec::new(), 0_usize, 0_usize);
        for line in lines {
            match parse(line) {
                Some(entry) if matches!(entry.name.as_str(), "." | "..") => {}
                Some(entry) if !outside::is_name(&entry.name) || self.talk.is_telling(&entry.name) => unsafe_names += 1,
                Some(entry) if entry.is_odd() && (entry.kind, entry.size.is_some()) != (Kind::File, true) => {
                    unsafe_names += 1;
                }
                Some(entry) => entries.push(entry),
                None if listing::is_noise(line) => {}
                None => odd += 1,
            }
        }
        let address = self.talk.settings.address();
        if entries.is_empty() && odd > 0 {
            return Err(Error::environment(format!(
                "{address} lists its folder in a form that this program cannot read"
            ))
            .hint("please report the form of the listing, without names, to the authors of this program"));
        }
        if odd > 0 {
            self.note(format!("{odd} lines of the listing of {address} cannot be read and were left out"));
        }
        if unsafe_names > 0 {
            self.note(format!("{unsafe_names} files on {address} have names that are not safe and were left out"));
        }
        Ok(entries)
    }

    /// A command that is answered on the control connection.
    fn command(&mut self, command: &str, expected: Status) -> FtpResult<Response> {
        self.talk.begin(ANSWER);
        self.control.custom_command(command, &[expected])
    }

    /// Size and time by SIZE and MDTM. The size is `None` when the server does not know the command, or when `listed`
    /// and it refuses to tell.
    pub(super) fn ask(&mut self, name: &str, listed: bool) -> Result<(Option<u64>, Option<DateTime<Utc>>)> {
        let mut size = None;
        if self.size != Some(false) {
            match self.command(&format!("SIZE {name}"), Status::File) {
                Ok(response) => {
                    size = text(&response).trim().parse().ok();
                    self.size = Some(true);
                }
                Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => self.size = Some(false),
                Err(FtpError::UnexpectedResponse(response)) if listed && !ends_session(&response) => {}
                Err(error) => return Err(self.failed("look at", name, &error)),
            }
        }
        let mut modified = None;
        if self.time != Some(false) {
            match self.command(&format!("MDTM {name}"), Status::File) {
                Ok(response) => {
                    modified = listing::time(&text(&response));
                    self.time = Some(true);
                }
                Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => self.time = Some(false),
                // Not every server tells the time of every file.
                Err(FtpError::UnexpectedResponse(response)) if !ends_session(&response) => {}
                Err(error) => return Err(self.failed("look at", name, &error)),
            }
        }
        Ok((size, modified))
    }

    /// What a listing knows of one file.
    fn find(&mut self, name: &str) -> Result<Entry> {
        let found = self.entries()?.into_iter().find(|entry| entry.name == name);
        found.ok_or_else(|| {
            Error::environment(format!(
                "cannot look at `{}` on {}: the server has no such file",
                clean(name),
                self.talk.settings.address()
            ))
            .hint("list the folder: a file may have been moved or replaced just now")
        })
    }

    /// One file by MLST; `None` when the server does not know it.
    fn facts(&mut self, name: &str) -> Result<Option<Entry>> {
        // The answer to the library's own MLST is cut at the first odd line end; the whole answer is read here.
        match self.command(&format!("MLST {name}"), Status::RequestedFileActionOk) {
            Ok(response) => {
                let text = String::from_utf8_lossy(&response.body).into_owned();
                let facts = text.lines().skip(1).find_map(|line| listing::mlsd(line.trim_start()));
                Ok(facts.map(|facts| Entry { name: name.to_owned(), ..facts }))
            }
            Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => Ok(None),
            Err(error) => Err(self.failed("look at", name, &error)),
        }
    }

    pub(super) fn look_at(&mut self, name: &str) -> Result<RemoteFile> {
        let mut entry = None;
        if self.form == Form::Facts {
            entry = self.facts(name)?;
            if entry.is_none() {
                entry = Some(self.find(name)?);
            }
        }
        let other = |source: &Self| {
            Error::refused(format!("`{}` on {} is not a plain file", clean(name), source.talk.settings.address()))
        };
        match entry {
            Some(Entry { kind: Kind::Other, .. }) => return Err(other(self)),
            Some(Entry { kind: Kind::File, size: Some(size), modified, .. }) => {
                return Ok(RemoteFile { name: name.to_owned(), size, modified });
            }
            _ => {}
        }
        let (mut size, modified) = self.ask(name, false)?;
        if size.is_none() {
            let entry = self.find(name)?;
            if entry.kind != Kind::File {
                return Err(other(self));
            }
            size = entry.size;
        }
        let Some(size) = size else {
            return Err(Error::environment(format!(
                "{} does not tell the size of `{}`",
                self.talk.settings.address(),
                clean(name)
            )));
        };
        Ok(RemoteFile { name: name.to_owned(), size, modified })
    }
}
