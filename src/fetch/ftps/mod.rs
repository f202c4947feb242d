//! Deliveries over FTPS: FTP inside TLS, explicit or implicit.
//!
//! The only commands that this file can send are: say who we are, choose protection and binary form, enter a folder,
//! look at a folder, look at a file, read a file, and good-bye. The server's certificate is judged before the user name
//! or anything else about us is sent, and nothing is ever sent or received outside TLS but the greeting and the request
//! for TLS. One refused login is the end: it is never tried again, because servers lock accounts out.
//!
//! The end of a file is believed only when three things agree: the server says that all was sent, the size that it gave
//! before is what came, and TLS was ended properly (a server that leaves the last one out is named in a note).

mod certificate;
mod listing;
mod trust;

use std::fmt::{self, Display};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chrono::{DateTime, Utc};
use suppaftp::types::{FileType, Response};
use suppaftp::{FtpError, FtpResult, ImplFtpStream, Mode, Status};

use super::outside::{self, clean, remark};
use super::{Origin, RemoteFile, Source};
use crate::error::{Error, Result};
use crate::secret::Secret;
use listing::{Entry, Kind};
use trust::{Connector, Stream, Trust};

type Control = ImplFtpStream<Stream>;
type Transfer = suppaftp::TransferStream<Stream>;

/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Most bytes of a listing: half a million files. More is no folder of deliveries.
const MOST_LISTING: u64 = 64 * 1024 * 1024;

/// When encryption begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// On request, after the greeting (`AUTH TLS`). Usually port 21.
    #[default]
    Explicit,
    /// From the first byte. Usually port 990.
    Implicit,
}

impl Tls {
    /// The port that is usual for it.
    pub fn standard_port(self) -> u16 {
        match self {
            Self::Explicit => 21,
            Self::Implicit => 990,
        }
    }
}

/// Which server, as whom, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FtpsSettings {
    /// Name or address of the server, without port, user or scheme. The certificate must be for it.
    pub host: String,
    /// TCP port; see [`Tls::standard_port`].
    pub port: u16,
    /// Name of the account.
    pub user: String,
    /// Folder of the deliveries. `.` is the folder in which a login begins.
    pub folder: String,
    /// When encryption begins. There is no way to leave it out.
    pub tls: Tls,
    /// File of certificate authorities (PEM) that are trusted in place of the built-in list.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the one accepted certificate, as hexadecimal digits. It takes the place of authorities and names; the
    /// dates of the certificate still count.
    pub cert_sha256: Option<String>,
    /// The longest wait for any single answer of the server (connecting, each command, the next bytes of a download).
    pub timeout: Duration,
}

impl FtpsSettings {
    /// Explicit TLS on port 21, the folder in which a login begins, the built-in authorities, 30 seconds.
    pub fn new(host: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: Tls::Explicit.standard_port(),
            user: user.into(),
            folder: ".".into(),
            tls: Tls::Explicit,
            ca_file: None,
            cert_sha256: None,
            timeout: Duration::from_secs(30),
        }
    }

    fn check(&self) -> Result<()> {
        outside::check_account(&self.host, &self.user, &self.folder, "ftp.example.org")?;
        if !trust::is_host(&self.host) {
            return Err(Error::usage(format!("`{}` cannot be the name of a server", clean(&self.host))));
        }
        if self.timeout.is_zero() {
            return Err(Error::usage("the timeout for the server is 0 seconds"));
        }
        Ok(())
    }

    fn address(&self) -> String {
        outside::address(&self.host, self.port)
    }
}

/// What was agreed on with the server about encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: String,
    /// Whether the last data connection resumed the session of the control connection; `None` before the first one.
    pub data_resumed: Option<bool>,
}

/// How the server lists a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// MLSD and MLST: exact sizes and times in one answer.
    Facts,
    /// LIST, then SIZE and MDTM for each file.
    Lines,
}

/// Whether the next answer on the control connection is the answer to the next command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Clear,
    /// A download was given up in the middle: the server may have answered once or twice.
    Unsure,
    Lost,
}

/// A folder on an FTPS server.
pub struct FtpsSource {
    settings: FtpsSettings,
    identity: String,
    control: Control,
    trust: Arc<Trust>,
    dialed: Arc<Dialed>,
    plain_pasv: bool,
    form: Form,
    knows_size: bool,
    knows_time: bool,
    line: Line,
    notes: Vec<String>,
}

impl fmt::Debug for FtpsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtpsSource")
            .field("settings", &self.settings)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl FtpsSource {
    /// Connects, judges the server's certificate, logs in, and enters the folder.
    ///
    /// Errors: [`crate::error::ErrorKind::Usage`] for settings that cannot be;
    /// [`crate::error::ErrorKind::Credentials`] when the certificate is not to be trusted or not the pinned one, when
    /// the server refuses to encrypt, or when the login is refused (do not try again by yourself);
    /// [`crate::error::ErrorKind::Environment`] for the network.
    pub fn connect(settings: &FtpsSettings, password: &Secret) -> Result<Self> {
        settings.check()?;
        let trust = Trust::new(settings)?;
        let mut control = match settings.tls {
            Tls::Explicit => open_explicit(settings, &trust)?,
            Tls::Implicit => open_implicit(settings, &trust)?,
        };
        let Some(certificate) = trust.shown() else {
            return Err(Error::internal("a connection stands whose certificate was not judged"));
        };
        control.set_mode(Mode::ExtendedPassive);
        // Only the port of an answer to PASV is used. The address is that of the control connection: servers behind
        // NAT announce wrong ones, and a hostile one could point elsewhere.
        control.set_passive_nat_workaround(true);
        let dialed = Arc::new(Dialed::default());
        let mut source = Self {
            settings: settings.clone(),
            identity: certificate.print(),
            control: control.passive_stream_builder(dialed.builder(settings.timeout)),
            trust,
            dialed,
            plain_pasv: false,
            form: Form::Facts,
            knows_size: true,
            knows_time: true,
            line: Line::Clear,
            notes: Vec::new(),
        };
        source.login(password)?;
        source.prepare()?;
        Ok(source)
    }

    /// What was agreed on about encryption.
    pub fn tls(&self) -> TlsFacts {
        // There are facts since the control connection stands.
        self.trust.facts().unwrap_or(TlsFacts { version: String::new(), data_resumed: None })
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn login(&mut self, password: &Secret) -> Result<()> {
        let Err(error) = self.control.login(self.settings.user.as_str(), password.expose()) else { return Ok(()) };
        self.line = Line::Lost;
        let (address, user) = (self.settings.address(), clean(&self.settings.user));
        let FtpError::UnexpectedResponse(response) = &error else {
            return Err(Error::environment(format!(
                "{address} closed the connection during the login, or did not answer: {}",
                plain_words(&self.settings, &error)
            ))
            .hint("try again later; the server may limit how many connections it takes"));
        };
        let said = said(response);
        // Some servers repeat what they did not understand.
        let said = if said.contains(password.expose()) { String::new() } else { remark(&said) };
        Err(match code(response) {
            430 | 500..=599 => Error::credentials(format!("{address} refused the password of `{user}`{said}")).hint(
                "check user name and password, then try again by hand. It was tried once only: several failures can \
                 lock the account",
            ),
            332 => Error::credentials(format!("{address} asks `{user}` for more than a password{said}"))
                .hint("ask the state for an account that logs in with a password alone"),
            _ => Error::environment(format!("{address} turned the login of `{user}` away{said}"))
                .hint("try again later; the server may limit how many connections it takes"),
        })
    }

    /// Everything between the login and the first listing.
    fn prepare(&mut self) -> Result<()> {
        // The library sends both for explicit TLS only, and before the login. Sent again they do no harm, and some
        // servers forget at the login what was agreed before. Without them data would travel in the clear.
        for (command, what) in [("PBSZ 0", "PBSZ"), ("PROT P", "PROT")] {
            if let Err(error) = self.control.custom_command(command, &[Status::CommandOk]) {
                return Err(match error {
                    FtpError::UnexpectedResponse(response) => no_protection(&self.settings, what, &response),
                    error => self.failed("protect the data of", ".", &error),
                });
            }
        }
        // Without it a server may turn line ends around, and sizes would not be those of the file.
        if let Err(error) = self.control.transfer_type(FileType::Binary) {
            return Err(self.failed("read in binary form from", ".", &error));
        }
        let features = self.features()?;
        if features.lines().any(|feature| feature.trim().eq_ignore_ascii_case("UTF8")) {
            // A server that speaks UTF-8 anyway may refuse to be asked.
            if let Err(error) = refused(self.control.custom_command("OPTS UTF8 ON", &[Status::CommandOk])) {
                return Err(self.failed("talk to", ".", &error));
            }
        }
        let folder = self.settings.folder.clone();
        if !matches!(folder.as_str(), "" | ".")
            && let Err(error) = self.control.cwd(&folder)
        {
            return Err(self.failed("enter the folder", &folder, &error).hint("check the folder in the settings"));
        }
        Ok(())
    }

    /// What the server says that it can do; empty when it does not say.
    fn features(&mut self) -> Result<String> {
        // The library's own reader waits for a second line that some servers never send. When 211 is not what is
        // expected, the whole answer comes inside the error.
        match self.control.custom_command("FEAT", &[]) {
            Err(FtpError::UnexpectedResponse(response)) if response.status == Status::System => {
                Ok(String::from_utf8_lossy(&response.body).into_owned())
            }
            Ok(_) | Err(FtpError::UnexpectedResponse(_)) => Ok(String::new()),
            Err(error) => Err(self.failed("talk to", ".", &error)),
        }
    }

    /// Makes sure that the next answer is the answer to the next command.
    fn ready(&mut self) -> Result<()> {
        if self.line == Line::Unsure {
            self.line = match self.control.noop() {
                Ok(()) => Line::Clear,
                Err(_) => Line::Lost,
            };
        }
        if self.line == Line::Lost {
            return Err(Error::environment(format!(
                "the connection to {} was lost before; a new one is needed",
                self.settings.address()
            )));
        }
        Ok(())
    }

    /// Begins a command whose answer comes on a data connection, over EPSV, or over PASV where the server has no EPSV.
    fn begin(&mut self, command: &str, offset: u64) -> FtpResult<Transfer> {
        loop {
            self.dialed.forget();
            if offset > 0 {
                let offset = usize::try_from(offset).map_err(|_| FtpError::BadResponse)?;
                self.control.resume_transfer(offset)?;
            }
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
            self.note(unended_note(&self.settings, "a listing was accepted because the server said that all was sent"));
        }
        Ok(bytes
            .split(|&byte| byte == b'\n')
            .map(|line| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
            .filter(|line| !line.is_empty())
            .collect())
    }

    /// The folder, as the server lists it. Names that are not UTF-8, and names that could carry a command or lead out
    /// of the folder, are left out.
    fn entries(&mut self) -> Result<Vec<Entry>> {
        let folder = self.settings.folder.clone();
        if self.form == Form::Facts {
            match self.lines("MLSD") {
                Ok(lines) => return self.read(&lines, listing::mlsd),
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
        self.read(&lines, listing::list)
    }

    fn read(&mut self, lines: &[String], parse: fn(&str) -> Option<Entry>) -> Result<Vec<Entry>> {
        let (mut entries, mut odd, mut unsafe_names) = (Vec::new(), 0_usize, 0_usize);
        for line in lines {
            match parse(line) {
                Some(entry) if matches!(entry.name.as_str(), "." | "..") => {}
                Some(entry) if !outside::is_name(&entry.name) => unsafe_names += 1,
                Some(entry) if entry.name.contains(char::REPLACEMENT_CHARACTER) => unsafe_names += 1,
                Some(entry) => entries.push(entry),
                None if listing::is_noise(line) => {}
                None => odd += 1,
            }
        }
        let address = self.settings.address();
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

    /// Size and time by SIZE and MDTM. The size is `None` when the server does not know the command, or when `listed`
    /// and it refuses to tell.
    fn ask(&mut self, name: &str, listed: bool) -> Result<(Option<u64>, Option<DateTime<Utc>>)> {
        let mut size = None;
        if self.knows_size {
            let answer = self.control.custom_command(format!("SIZE {name}"), &[Status::File]);
            match answer {
                Ok(response) => size = said(&response).trim().parse().ok(),
                Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => self.knows_size = false,
                Err(FtpError::UnexpectedResponse(response)) if listed && !ends_session(&response) => {}
                Err(error) => return Err(self.failed("look at", name, &error)),
            }
        }
        let mut modified = None;
        if self.knows_time {
            match self.control.custom_command(format!("MDTM {name}"), &[Status::File]) {
                Ok(response) => modified = listing::time(&said(&response)),
                Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => self.knows_time = false,
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
                self.settings.address()
            ))
            .hint("list the folder: a file may have been moved or replaced just now")
        })
    }

    /// One file by MLST; `None` when the server does not know it.
    fn facts(&mut self, name: &str) -> Result<Option<Entry>> {
        // The answer to the library's own MLST is cut at the first odd line end; the whole answer is read here.
        let answer = self.control.custom_command(format!("MLST {name}"), &[Status::RequestedFileActionOk]);
        match answer {
            Ok(response) => {
                let text = String::from_utf8_lossy(&response.body).into_owned();
                let facts = text.lines().skip(1).find_map(|line| listing::mlsd(line.trim_start()));
                Ok(facts.map(|facts| Entry { name: name.to_owned(), ..facts }))
            }
            Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => Ok(None),
            Err(error) => Err(self.failed("look at", name, &error)),
        }
    }

    fn look_at(&mut self, name: &str) -> Result<RemoteFile> {
        let mut entry = None;
        if self.form == Form::Facts {
            entry = self.facts(name)?;
            if entry.is_none() {
                entry = Some(self.find(name)?);
            }
        }
        let other = |source: &Self| {
            Error::refused(format!("`{}` on {} is not a plain file", clean(name), source.settings.address()))
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
                self.settings.address(),
                clean(name)
            )));
        };
        Ok(RemoteFile { name: name.to_owned(), size, modified })
    }

    /// Ends the connection without a word, so that nothing waits for an answer that will not come.
    fn hang_up(&mut self) {
        self.line = Line::Lost;
        let _ = self.control.get_ref().shutdown(Shutdown::Both);
    }

    /// An error of the library, for people. Remembers whether the connection can still be used.
    fn failed(&mut self, doing: &str, what: &str, error: &FtpError) -> Error {
        let address = self.settings.address();
        let what = if what == "." { "the login folder".to_owned() } else { format!("`{}`", clean(what)) };
        let start = format!("cannot {doing} {what} on {address}");
        if let FtpError::UnexpectedResponse(response) = error {
            let said = remark(&said(response));
            return match code(response) {
                421 => {
                    self.line = Line::Lost;
                    Error::environment(format!("{start}: the server ends the connection{said}"))
                }
                530 => {
                    self.line = Line::Lost;
                    Error::credentials(format!("{start}: the server says that we are not logged in{said}"))
                        .hint("ask the state what this account may see; it was not tried again")
                }
                550 => {
                    Error::environment(format!("{start}: the server has no such file or folder, or denies it{said}"))
                        .hint("list the folder: a file may have been moved or replaced just now")
                }
                425 | 522 => Error::environment(format!("{start}: the server refuses the data connection{said}"))
                    .hint("try again; if it stays so, please report it to the authors of this program"),
                code => Error::environment(format!("{start}: the server says: {code}{said}")),
            };
        }
        if self.dialed.outcome() == Dialed::FAILED {
            return Error::environment(format!("{start}: no data connection: {}", plain_words(&self.settings, error)))
                .hint("the firewall of this machine or of the server must let the server's passive ports through");
        }
        self.line = Line::Lost;
        match self.trust.trouble() {
            Some(trouble) => {
                let error = trust::handshake_failed(&self.settings, &self.trust, &trouble);
                let text = format!("{start}: the data connection failed: {}", error.message());
                match error.kind() {
                    crate::error::ErrorKind::Credentials => Error::credentials(text),
                    _ => Error::environment(text),
                }
            }
            None => Error::environment(format!("{start}: {}", plain_words(&self.settings, error))),
        }
    }
}

impl Source for FtpsSource {
    fn origin(&self) -> Origin {
        Origin { protocol: "ftps".into(), server: self.settings.address(), server_identity: self.identity.clone() }
    }

    /// Plain files, and links that lead to one. Left out, with a note: names that are not UTF-8 (a name with a true
    /// U+FFFD too), names with separators or control characters, and lines that cannot be read. Times are those of MLSD
    /// or MDTM, in UTC, to the second.
    fn list(&mut self) -> Result<Vec<RemoteFile>> {
        self.ready()?;
        let mut files = Vec::new();
        for Entry { name, kind, size, modified } in self.entries()? {
            match (kind, size, self.form) {
                (Kind::Other, ..) => {}
                (Kind::File, Some(size), Form::Facts) => files.push(RemoteFile { name, size, modified }),
                (_, listed, _) => {
                    let (size, modified) = self.ask(&name, true)?;
                    // What is said of a link is of the link, so it is a file only if SIZE says so.
                    let listed = if kind == Kind::File { listed } else { None };
                    files.extend(size.or(listed).map(|size| RemoteFile { name, size, modified }));
                }
            }
        }
        Ok(files)
    }

    fn stat(&mut self, name: &str) -> Result<RemoteFile> {
        outside::check_name(name)?;
        self.ready()?;
        self.look_at(name)
    }

    /// An error of the reader carries an [`Error`] inside the [`io::Error`] (see [`io::Error::get_ref`]); after one
    /// error, every further read fails. Beginning at the end or past it gives 0 bytes. The reader compares the number of
    /// bytes with the size that the server gave just before: fewer or more are an error, whatever else the server says.
    ///
    /// A reader that is dropped before the end may cost the connection (proftpd 1.3.8 hangs up now and then, others
    /// answer in ways that cannot be told apart). Everything after that is then an error that says so, never a wrong
    /// answer.
    ///
    /// Errors when `offset` is not 0 and the server cannot begin there ([`crate::error::ErrorKind::Environment`]).
    fn open_at<'a>(&'a mut self, name: &str, offset: u64) -> Result<Box<dyn Read + 'a>> {
        outside::check_name(name)?;
        self.ready()?;
        let size = self.look_at(name)?.size;
        if offset >= size && offset > 0 {
            return Ok(Box::new(io::empty()));
        }
        if offset > 0 {
            // Asked alone first, because the library tells a refused REST like a refused RETR.
            let asked = self.control.custom_command(format!("REST {offset}"), &[Status::RequestFilePending]);
            match asked {
                Ok(_) => {}
                Err(FtpError::UnexpectedResponse(response)) if !ends_session(&response) => {
                    return Err(Error::environment(format!(
                        "{} cannot send `{}` from the middle: it refuses REST{}",
                        self.settings.address(),
                        clean(name),
                        remark(&said(&response))
                    ))
                    .hint("fetch the file from its beginning"));
                }
                Err(error) => return Err(self.failed("read from the middle of", name, &error)),
            }
        }
        match self.begin(&format!("RETR {name}"), offset) {
            Ok(stream) => Ok(Box::new(Download {
                name: name.to_owned(),
                expected: size - offset,
                received: 0,
                stage: Stage::Running(stream),
                source: self,
            })),
            Err(error) => Err(self.failed("open", name, &error)),
        }
    }

    fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

impl Drop for FtpsSource {
    fn drop(&mut self) {
        if self.line != Line::Lost {
            let _ = self.control.get_ref().set_read_timeout(Some(FAREWELL));
            let _ = self.control.quit();
        }
    }
}

/// One file that is being read.
struct Download<'a> {
    source: &'a mut FtpsSource,
    name: String,
    /// Bytes from the offset to the end, as the server gave the size.
    expected: u64,
    received: u64,
    stage: Stage,
}

enum Stage {
    Running(Transfer),
    Ended,
    Failed,
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = match &mut self.stage {
            Stage::Running(stream) => stream,
            Stage::Ended => return Ok(0),
            Stage::Failed => return Err(io::Error::other(Error::environment("the download had failed before"))),
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        match stream.read(buffer) {
            Ok(0) => self.end(true),
            Ok(count) => {
                self.received += count as u64;
                if self.received > self.expected {
                    let error = self.wrong("more bytes came than the server announced");
                    self.give_up();
                    return Err(io::Error::other(
                        error.hint(
                            "the file may still be growing, or the server ignores where to begin: fetch it again",
                        ),
                    ));
                }
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.end(false),
            Err(error) => {
                let kind = if is_silence(&error) { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
                let reason = words(&self.source.settings, &error);
                // What the server still has to say may never come.
                self.source.hang_up();
                self.stage = Stage::Failed;
                Err(io::Error::new(kind, self.wrong(&reason)))
            }
        }
    }
}

impl Download<'_> {
    /// The data connection is at its end: properly, or just closed.
    fn end(&mut self, properly: bool) -> io::Result<usize> {
        let Stage::Running(stream) = std::mem::replace(&mut self.stage, Stage::Failed) else {
            return Err(io::Error::other(Error::internal("a download ended twice")));
        };
        if let Err(error) = stream.finish() {
            let reason = match &error {
                FtpError::UnexpectedResponse(response) => {
                    format!("the server broke it off: {}{}", code(response), remark(&said(response)))
                }
                error => {
                    self.source.hang_up();
                    plain_words(&self.source.settings, error)
                }
            };
            return Err(io::Error::other(self.wrong(&reason)));
        }
        if self.received != self.expected {
            return Err(io::Error::other(self.wrong("the data connection ended too early").hint("fetch it again")));
        }
        if !properly {
            let believed =
                "a file was accepted because the server said that all was sent and the number of bytes is right";
            let note = unended_note(&self.source.settings, believed);
            self.source.note(note);
        }
        self.stage = Stage::Ended;
        Ok(0)
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::environment(format!(
            "cannot read `{}` on {} to its end: {reason}; {} of {} bytes came",
            clean(&self.name),
            self.source.settings.address(),
            self.received,
            self.expected
        ))
    }

    fn give_up(&mut self) {
        if let Stage::Running(stream) = std::mem::replace(&mut self.stage, Stage::Failed) {
            self.source.line = Line::Unsure;
            // Any answer will do, but one must come, or the connection is of no more use.
            if !matches!(stream.finish(), Ok(()) | Err(FtpError::UnexpectedResponse(_))) {
                self.source.hang_up();
            }
        }
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// What became of the last attempt at a data connection.
#[derive(Default)]
struct Dialed {
    outcome: AtomicU8,
}

impl Dialed {
    const NOT_YET: u8 = 0;
    const FAILED: u8 = 1;
    const STANDS: u8 = 2;

    fn forget(&self) {
        self.outcome.store(Self::NOT_YET, Ordering::Relaxed);
    }

    fn outcome(&self) -> u8 {
        self.outcome.load(Ordering::Relaxed)
    }

    /// What the library calls to connect to a passive port.
    fn builder(
        self: &Arc<Self>,
        patience: Duration,
    ) -> impl Fn(SocketAddr) -> FtpResult<TcpStream> + Send + Sync + 'static {
        let dialed = Arc::clone(self);
        move |address| {
            let connected = dial(address, patience);
            let outcome = if connected.is_ok() { Self::STANDS } else { Self::FAILED };
            dialed.outcome.store(outcome, Ordering::Relaxed);
            connected.map_err(FtpError::ConnectionError)
        }
    }
}

fn dial(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, patience)?;
    trust::limit(&socket, patience)?;
    Ok(socket)
}

/// Runs something that cannot be given a limit of its own. When the limit is over, it is left to end by itself.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("phds-ftps".to_owned())
        .spawn(move || {
            // Nobody listens any more when the limit is over.
            let _ = sender.send(work());
        })
        .map_err(|error| Error::environment(format!("cannot start a thread for the network: {error}")))?;
    Ok(receiver.recv_timeout(limit).ok())
}

fn addresses(settings: &FtpsSettings) -> Result<Vec<SocketAddr>> {
    let address = settings.address();
    let unknown = |reason: &dyn Display| {
        Error::environment(format!("cannot find the server {address}: {reason}"))
            .hint("check the spelling of the host in the settings, and that this machine is on the network or VPN")
    };
    let (host, port) = (settings.host.clone(), settings.port);
    let found = within(settings.timeout, move || (host.as_str(), port).to_socket_addrs().map(Vec::from_iter))?;
    match found {
        None => Err(unknown(&"no name server answers")),
        Some(Err(error)) => Err(unknown(&error)),
        Some(Ok(found)) if found.is_empty() => Err(unknown(&"its name has no address")),
        Some(Ok(found)) => Ok(found),
    }
}

fn no_connection(settings: &FtpsSettings, reason: &dyn Display) -> Error {
    Error::environment(format!("cannot connect to {}: {reason}", settings.address()))
        .hint("check host and port, and that the firewall or VPN lets this machine out; then try again")
}

fn open_explicit(settings: &FtpsSettings, trust: &Arc<Trust>) -> Result<Control> {
    let mut last = None;
    // One address after another, each with its full time: a first one that is dead must not use up the time of all.
    let connected = addresses(settings)?.into_iter().find_map(|address| match dial(address, settings.timeout) {
        Ok(socket) => Some(socket),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    let Some(socket) = connected else {
        let reason = last.map(|error| words(settings, &error)).unwrap_or_default();
        return Err(no_connection(settings, &reason));
    };
    let plain = Control::connect_with_stream(socket).map_err(|error| not_greeted(settings, &error))?;
    let connector = Connector { trust: Arc::clone(trust), patience: settings.timeout };
    plain.into_secure(connector, &settings.host).map_err(|error| {
        if let Some(trouble) = trust.trouble() {
            return trust::handshake_failed(settings, trust, &trouble);
        }
        match &error {
            FtpError::UnexpectedResponse(response) if trust.facts().is_some() => {
                no_protection(settings, "PBSZ or PROT", response)
            }
            // A server that is busy, not one without TLS.
            FtpError::UnexpectedResponse(response) if code(response) < 500 => not_greeted(settings, &error),
            FtpError::UnexpectedResponse(response) => Error::credentials(format!(
                "{} refuses to encrypt{}. Nothing was sent to it.",
                settings.address(),
                remark(&said(response))
            ))
            .hint("ask the state how its FTPS service is reached; without encryption nothing is fetched"),
            error => not_greeted(settings, error),
        }
    })
}

fn open_implicit(settings: &FtpsSettings, trust: &Arc<Trust>) -> Result<Control> {
    let mut last = None;
    for address in addresses(settings)? {
        let connector = Connector { trust: Arc::clone(trust), patience: settings.timeout };
        let host = settings.host.clone();
        // The library connects without a limit here. After that each wait has one: connecting, handshake, greeting.
        let opened = within(settings.timeout * 3, move || Control::connect_secure_implicit(address, connector, &host))?;
        let error = match opened {
            None => {
                last = Some(no_connection(settings, &silence(settings)));
                continue;
            }
            Some(Ok(control)) => return Ok(control),
            Some(Err(error)) => error,
        };
        if let Some(trouble) = trust.trouble() {
            return Err(trust::handshake_failed(settings, trust, &trouble));
        }
        if trust.facts().is_some() {
            return Err(not_greeted(settings, &error));
        }
        last = Some(no_connection(settings, &plain_words(settings, &error)));
    }
    Err(last.unwrap_or_else(|| no_connection(settings, &"its name has no address")))
}

fn not_greeted(settings: &FtpsSettings, error: &FtpError) -> Error {
    let address = settings.address();
    if let FtpError::UnexpectedResponse(response) = error {
        return Error::environment(format!("{address} turned us away: {}{}", code(response), remark(&said(response))))
            .hint("try again later; the server may limit how many connections it takes");
    }
    Error::environment(format!("{address} does not greet as an FTP server: {}", plain_words(settings, error)))
        .hint(trust::other_kind(settings))
}

fn no_protection(settings: &FtpsSettings, what: &str, response: &Response) -> Error {
    Error::credentials(format!(
        "{} refuses to encrypt what it sends: {what} was answered with {}{}. Nothing was fetched.",
        settings.address(),
        code(response),
        remark(&said(response))
    ))
    .hint("ask the state how its FTPS service is reached; without encryption nothing is fetched")
}

/// What came without the proper end of TLS, and why it was believed all the same.
fn unended_note(settings: &FtpsSettings, believed: &str) -> String {
    format!("{} closes data connections without the proper end of TLS; {believed}", settings.address())
}

/// The number of an answer. The library knows only the usual ones.
fn code(response: &Response) -> u32 {
    let known = response.status.code();
    if known != 0 {
        return known;
    }
    let last = response.body.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    last.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

/// The words of an answer, without its number.
fn said(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    text.lines().next_back().and_then(|line| line.get(4..)).unwrap_or_default().trim().to_owned()
}

/// Whether the server does not know a command, and not: does not like this file.
fn is_unknown(response: &Response) -> bool {
    matches!(code(response), 202 | 500 | 502 | 504)
}

/// Whether an answer is about the session, and not about one file.
fn ends_session(response: &Response) -> bool {
    matches!(code(response), 421 | 530)
}

fn says_empty(response: &Response) -> bool {
    let said = said(response).to_ascii_lowercase();
    said.contains("no files") || said.contains("empty")
}

/// Lets an answer pass that is a refusal.
fn refused(answer: FtpResult<Response>) -> FtpResult<()> {
    match answer {
        Ok(_) | Err(FtpError::UnexpectedResponse(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_silence(error: &io::Error) -> bool {
    // What a timeout of a socket is called depends on the operating system.
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn silence(settings: &FtpsSettings) -> String {
    format!("no answer for {} s", settings.timeout.as_secs_f32())
}

fn words(settings: &FtpsSettings, error: &io::Error) -> String {
    match error.kind() {
        _ if is_silence(error) => silence(settings),
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ => clean(&error.to_string()),
    }
}

fn plain_words(settings: &FtpsSettings, error: &FtpError) -> String {
    match error {
        FtpError::ConnectionError(error) => words(settings, error),
        FtpError::UnexpectedResponse(response) => {
            format!("the server says: {}{}", code(response), remark(&said(response)))
        }
        FtpError::SecureError(_) => "encryption failed".to_owned(),
        FtpError::BadResponse | FtpError::InvalidAddress(_) | FtpError::DataConnectionAlreadyOpen => {
            "the server does not keep to FTP".to_owned()
        }
    }
}
