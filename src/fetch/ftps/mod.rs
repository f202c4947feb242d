//! Deliveries over FTPS: FTP inside TLS, explicit or implicit.
//!
//! The only commands that these files can send are: say who we are, ask what the server can do, choose protection and
//! binary form, enter a folder, look at a folder, look at a file, read a file, and good-bye. The server's certificate
//! is judged before the user name or anything else about us is sent, and nothing is ever sent or received outside TLS
//! but the greeting and the request for TLS. One refused login is the end: it is never tried again, because servers
//! lock accounts out.
//!
//! The end of a file is believed only when three things agree: the server says that all was sent, the size that it gave
//! before is what came, and TLS was ended properly (a server that leaves the last one out is named in a note).

mod answer;
mod certificate;
mod connect;
mod doctor;
mod download;
mod folder;
mod listing;
mod talk;
mod trust;

use std::fmt;
use std::io::{self, Read};
use std::net::Shutdown;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use suppaftp::{FtpError, ImplFtpStream, Mode};

use super::outside::{self, clean};
use super::{Observation, Origin, RemoteFile, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use answer::{code, ends_session, fault, is_unknown, refusal};
use connect::Dialed;
use download::Download;
use folder::Form;
use listing::{Entry, Kind};
use talk::{ANSWER, Talk};
use trust::{Stream, Trust};

pub use doctor::examine;

type Control = ImplFtpStream<Stream>;
type Transfer = suppaftp::TransferStream<Stream>;

/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(2);

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
    /// The longest wait for the server's next bytes. A server that sends some in each wait has 6 times this until the
    /// folder is entered, 10 times for a listing, 3 times for any other answer and for one piece of a download.
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
    /// The cipher suite, as the TLS standards name it.
    pub cipher: String,
    /// Whether the last data connection resumed the session of the control connection; `None` before the first one.
    pub data_resumed: Option<bool>,
}

/// A folder on an FTPS server.
pub struct FtpsSource {
    talk: Arc<Talk>,
    identity: String,
    control: Control,
    trust: Arc<Trust>,
    dialed: Arc<Dialed>,
    /// The server has no EPSV.
    plain_pasv: bool,
    form: Form,
    /// How the last listing came.
    listed: Option<&'static str>,
    /// Whether the server knows SIZE, MDTM and REST, as far as it has said or shown.
    size: Option<bool>,
    time: Option<bool>,
    rest: Option<bool>,
    features: Option<Vec<String>>,
    /// Some data connection was closed without the proper end of TLS.
    unended: bool,
    /// The control connection is of no more use.
    lost: bool,
    notes: Vec<String>,
}

impl fmt::Debug for FtpsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtpsSource")
            .field("settings", &self.talk.settings)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl FtpsSource {
    /// Connects, judges the server's certificate, logs in, and enters the folder.
    ///
    /// Errors: [`ErrorKind::Usage`] for settings that cannot be; [`ErrorKind::Credentials`] when the certificate is not
    /// to be trusted or not the pinned one, when the server refuses to encrypt, or when the login is refused (do not
    /// try again by yourself); [`ErrorKind::Environment`] for the network. From the password to the answer that accepts
    /// it, [`Error::may_pass`] holds for nothing: 421, a silence and a slow answer may be how this server refuses.
    pub fn connect(settings: &FtpsSettings, password: &Secret) -> Result<Self> {
        settings.check()?;
        let trust = Trust::new(settings)?;
        let talk = Talk::new(settings, Some(password));
        let mut control = connect::open(&talk, connect::addresses(settings)?, &trust)?;
        let Some(certificate) = trust.shown() else {
            return Err(Error::internal("a connection stands whose certificate was not judged"));
        };
        control.set_mode(Mode::ExtendedPassive);
        // Only the port of an answer to PASV is used. The address is that of the control connection: servers behind
        // NAT announce wrong ones, and a hostile one could point elsewhere.
        control.set_passive_nat_workaround(true);
        let dialed = Arc::new(Dialed::default());
        let mut source = Self {
            identity: certificate.print(),
            control: control.passive_stream_builder(dialed.builder(&talk)),
            talk,
            trust,
            dialed,
            plain_pasv: false,
            form: Form::Facts,
            listed: None,
            size: None,
            time: None,
            rest: None,
            features: None,
            unended: false,
            lost: false,
            notes: Vec::new(),
        };
        source.login(password)?;
        source.prepare()?;
        Ok(source)
    }

    /// What was agreed on about encryption.
    pub fn tls(&self) -> TlsFacts {
        // There are facts since the control connection stands.
        self.trust.facts().unwrap_or(TlsFacts { version: String::new(), cipher: String::new(), data_resumed: None })
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Data came without the proper end of TLS; `believed` says why it was taken all the same.
    fn note_unended(&mut self, believed: &str) {
        self.unended = true;
        let address = self.talk.settings.address();
        self.note(format!("{address} closes data connections without the proper end of TLS; {believed}"));
    }

    /// Makes sure that there still is a connection.
    fn ready(&self) -> Result<()> {
        if self.lost {
            let address = self.talk.settings.address();
            return Err(Error::network(format!("the connection to {address} was lost before; a new one is needed")));
        }
        Ok(())
    }

    /// Ends the connection without a word, so that nothing waits for an answer that will not come.
    fn hang_up(&mut self) {
        self.lost = true;
        let _ = self.control.get_ref().shutdown(Shutdown::Both);
    }

    /// An error of the library, for people. Remembers whether the connection can still be used.
    fn failed(&mut self, doing: &str, what: &str, error: &FtpError) -> Error {
        let address = self.talk.settings.address();
        let what = if what == "." { "the login folder".to_owned() } else { format!("`{}`", clean(what)) };
        let start = format!("cannot {doing} {what} on {address}");
        if let FtpError::UnexpectedResponse(response) = error {
            let remark = self.talk.remark(response);
            // After 426 some servers answer once more.
            if ends_session(response) || code(response) == 426 {
                self.hang_up();
            }
            return match code(response) {
                421 => Error::network(format!("{start}: the server ends the connection{remark}")),
                530 => Error::credentials(format!("{start}: the server says that we are not logged in{remark}"))
                    .hint("ask the state what this account may see; it was not tried again"),
                550 => {
                    Error::environment(format!("{start}: the server has no such file or folder, or denies it{remark}"))
                        .hint("list the folder: a file may have been moved or replaced just now")
                }
                425 | 522 => refusal(response, format!("{start}: the server refuses the data connection{remark}"))
                    .hint("try again; if it stays so, please report it to the authors of this program"),
                _ => refusal(response, format!("{start}: the server says: {}", self.talk.quoted(response))),
            };
        }
        if self.dialed.outcome() == Dialed::FAILED {
            return Error::network(format!("{start}: no data connection: {}", self.talk.words(error)))
                .hint("the firewall of this machine or of the server must let the server's passive ports through");
        }
        self.hang_up();
        match self.trust.trouble() {
            Some(trouble) => {
                let error = trust::handshake_failed(&self.talk.settings, &self.trust, &trouble);
                // A certificate has words of the server too.
                let reason = self.talk.shown(error.message());
                let message = format!("{start}: the data connection failed: {reason}");
                match error.kind() {
                    ErrorKind::Credentials => Error::credentials(message),
                    _ if error.may_pass() => Error::network(message),
                    _ => Error::environment(message),
                }
            }
            None => fault(error, format!("{start}: {}", self.talk.words(error))),
        }
    }

    /// That a file cannot be had from its middle.
    fn no_middle(&self, name: &str, remark: &str) -> Error {
        Error::environment(format!(
            "{} does not send `{}` from the middle: it refuses REST{remark}",
            self.talk.settings.address(),
            clean(name)
        ))
        .hint("fetch the file from its beginning")
    }
}

impl Source for FtpsSource {
    fn origin(&self) -> Origin {
        Origin {
            protocol: "ftps".into(),
            server: self.talk.settings.address(),
            user: self.talk.settings.user.clone(),
            folder: self.talk.settings.folder.clone(),
            server_identity: self.identity.clone(),
        }
    }

    /// Plain files, and links that lead to one. A name that is not UTF-8 has U+FFFD in it, and is not asked for. Left
    /// out, with a note: names with separators or control characters, names that hold the password, and lines that
    /// cannot be read. Times are those of MLSD or MDTM, in UTC, to the second.
    fn list(&mut self) -> Result<Vec<RemoteFile>> {
        self.ready()?;
        let mut files = Vec::new();
        for entry in self.entries()? {
            let can_ask = self.form == Form::Lines && !entry.is_odd();
            let Entry { name, kind, size, modified } = entry;
            match (kind, size) {
                (Kind::Other, _) => {}
                (Kind::File, Some(size)) if !can_ask => files.push(RemoteFile { name, size, modified }),
                (_, listed) => {
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
    /// A reader that fails, or is dropped before it gave its end (a read of 0 bytes), costs the connection: everything
    /// after that is at once an error for which [`Error::may_pass`] holds, and a new connection is needed.
    ///
    /// Errors when `offset` is not 0 and the server cannot begin there: [`ErrorKind::Environment`], and
    /// [`Error::may_pass`] does not hold. The connection can be used on; begin at 0.
    fn open_at<'a>(&'a mut self, name: &str, offset: u64) -> Result<Box<dyn Read + 'a>> {
        outside::check_name(name)?;
        self.ready()?;
        let size = self.look_at(name)?.size;
        if offset >= size && offset > 0 {
            return Ok(Box::new(io::empty()));
        }
        if offset > 0 && self.rest == Some(false) {
            return Err(self.no_middle(name, ""));
        }
        self.talk.begin(ANSWER);
        match self.begin(&format!("RETR {name}"), offset) {
            Ok(stream) => Ok(Box::new(Download::new(self, name, size - offset, stream))),
            // REST goes out between connecting and RETR, and the library tells a refusal of one like that of the other.
            Err(FtpError::UnexpectedResponse(response))
                if offset > 0
                    && self.dialed.outcome() == Dialed::STANDS
                    && matches!(code(&response), 500..=504 | 554) =>
            {
                if is_unknown(&response) {
                    self.rest = Some(false);
                }
                Err(self.no_middle(name, &format!(": {}", self.talk.quoted(&response))))
            }
            Err(error) => Err(self.failed("open", name, &error)),
        }
    }

    fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn observations(&self) -> Vec<Observation> {
        self.learnt()
    }
}

impl Drop for FtpsSource {
    fn drop(&mut self) {
        if !self.lost {
            self.talk.allow(FAREWELL);
            let _ = self.control.quit();
        }
    }
}
