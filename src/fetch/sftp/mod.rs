//! Deliveries over SFTP.
//!
//! The only requests that this room can make are: look at a folder, look at a file, open a file for reading, read,
//! close. The server's key is judged before the user name or anything else about us is sent. One refused login is the
//! end: it is never tried again, because servers lock accounts out.

mod agent;
mod algorithms;
mod allowance;
mod connect;
mod examine;
mod login;
mod offer;
mod record;
mod trust;
mod words;

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use russh::keys::{HashAlg, PublicKey};
use russh::{ChannelMsg, Disconnect};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, Status, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use self::algorithms::Agreed;
use self::allowance::{Allowance, Metered};
use self::connect::{Connection, Session, shake_hands, silent};
use self::login::{Login, Proof};
use self::trust::{Judgement, Trust};
use self::words::Words;
use super::known_hosts;
use super::outside::{self, clean};
use super::{Observation, Origin, RemoteFile, Source, Verdict};
use crate::error::{Error, Result};
use crate::secret::Secret;

pub use self::examine::{ShownKey, examine, fingerprint, shown_key};

/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How soon it is noticed that an answer can no longer come.
const LOOK: Duration = Duration::from_millis(250);

/// The library counts the time of a read from the moment it was asked for. With many reads in flight on a slow line the
/// last one waits for all before it, so the library's own limit is put out of the way and [`Download`] counts instead.
const UNLIMITED_SECONDS: u64 = 7 * 24 * 3600;

/// What to do when a folder is not there, or cannot be listed.
const WHICH_FOLDER: &str = "check the folder in the settings, or the one that was typed";

/// Names of a listing, and bytes of all that the server sends for it. More is no folder of deliveries.
const MOST_NAMES: usize = 200_000;
const MOST_LISTING: u64 = 32 * 1024 * 1024;

/// Which server, as whom, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SftpSettings {
    /// Name or address of the server, without port, user or scheme.
    pub host: String,
    /// TCP port; 22 is the standard.
    pub port: u16,
    /// Name of the account.
    pub user: String,
    /// Folder of the deliveries. `.` is the folder in which a login begins.
    pub folder: String,
    /// File of OpenSSH that lists the keys of servers. May be missing when `host_key` is given. Only
    /// `accept_new_host_key` adds to it.
    pub known_hosts: PathBuf,
    /// The one accepted key of the server as `SHA256:…`. It takes the place of what `known_hosts` lists; only a
    /// `@revoked` line still counts.
    pub host_key: Option<String>,
    /// The longest wait for any single answer of the server (connecting, each request, the next bytes of a download).
    /// Counted in whole seconds, rounded up.
    pub timeout: Duration,
    /// Most reads in flight. 1 for servers that fail or mix answers up when there are several.
    pub max_reads: usize,
    /// Offers SHA-1, CBC and `ssh-rsa` too, after everything else: for servers that have nothing better.
    pub legacy_ssh: bool,
    /// Takes the key of a server that `known_hosts` does not know at all, and records it there. A changed, revoked or
    /// not pinned key is refused all the same.
    pub accept_new_host_key: bool,
}

impl SftpSettings {
    /// Port 22, the folder in which a login begins, no pinned key, 30 seconds, 64 reads in flight, nothing old, nobody
    /// new.
    pub fn new(host: impl Into<String>, user: impl Into<String>, known_hosts: impl Into<PathBuf>) -> Self {
        Self {
            host: host.into(),
            port: 22,
            user: user.into(),
            folder: ".".into(),
            known_hosts: known_hosts.into(),
            host_key: None,
            timeout: Duration::from_secs(30),
            max_reads: 64,
            legacy_ssh: false,
            accept_new_host_key: false,
        }
    }

    fn check(&self) -> Result<()> {
        outside::check_account(&self.host, &self.user, &self.folder, "sftp.example.org")?;
        if self.timeout.is_zero() {
            return Err(Error::usage("the timeout for the server is 0 seconds"));
        }
        Ok(())
    }

    fn address(&self) -> String {
        outside::address(&self.host, self.port)
    }

    /// How `known_hosts` and `ssh-keygen` name the server.
    fn listed_name(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }

    fn seconds(&self) -> u64 {
        self.timeout.as_secs() + u64::from(self.timeout.subsec_nanos() > 0)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.seconds())
    }

    /// How long a whole listing may take: ten timeouts, and no more than a minute beyond one.
    fn listing_patience(&self) -> Duration {
        self.timeout.saturating_mul(10).min(self.timeout.saturating_add(Duration::from_mins(1)))
    }
}

/// How we prove who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A password. Given to the methods `password` or `keyboard-interactive`, whichever the server offers.
    Password(Secret),
    /// A private key file (OpenSSH, PKCS#8 or PKCS#1 text) that only its owner can reach.
    Key {
        /// Where the file is.
        path: PathBuf,
        /// What opens it, if it is locked.
        passphrase: Option<Secret>,
    },
    /// A private key of the ssh-agent that `SSH_AUTH_SOCK` names (on Windows the system's own, when it names none).
    /// Certificates are left out.
    Agent {
        /// Which key, as `SHA256:…`. May be missing when the agent has one key only: they are never tried one by one.
        key: Option<String>,
    },
}

/// A folder on an SFTP server. Everything here waits for the network: do not call it from asynchronous code.
pub struct SftpSource {
    settings: SftpSettings,
    key: PublicKey,
    judgement: Judgement,
    agreed: Agreed,
    login: Login,
    notes: Vec<String>,
    words: Words,
    allowance: Allowance,
    sftp: SftpSession,
    session: Session,
    // Last, because the two above talk to tasks that run in it.
    runtime: Runtime,
}

impl fmt::Debug for SftpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SftpSource")
            .field("settings", &self.settings)
            .field("identity", &self.identity())
            .finish_non_exhaustive()
    }
}

impl SftpSource {
    /// Connects, judges the server's key, logs in, and opens SFTP.
    ///
    /// Errors: [`crate::error::ErrorKind::Usage`] for settings that cannot be;
    /// [`crate::error::ErrorKind::Credentials`] when the server's key is unknown, changed, revoked or not the pinned
    /// one, when the key file or the agent cannot be used, or when the login is refused or not answered (do not try
    /// again by yourself); [`crate::error::ErrorKind::Environment`] for the network, and when nothing can be agreed on.
    /// [`Error::may_pass`] holds for the network before a proof was sent, and after the login.
    pub fn connect(settings: &SftpSettings, credential: &Credential) -> Result<Self> {
        settings.check()?;
        let trust = Arc::new(Trust::of(settings)?);
        let runtime = runtime()?;
        let words = Words::after(credential);
        let allowance = Allowance::unlimited();
        match runtime.block_on(establish(settings, &trust, credential, &words, &allowance)) {
            Ok(Established { connection, login, notes, sftp }) => {
                let Connection { session, key, judgement, agreed } = connection;
                let settings = settings.clone();
                Ok(Self { settings, key, judgement, agreed, login, notes, words, allowance, sftp, session, runtime })
            }
            Err(error) => {
                // A name server that does not answer keeps its thread busy; nobody should wait for it.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn identity(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The path of a file to be asked for.
    fn path_of(&self, name: &str) -> Result<String> {
        outside::check_name(name)?;
        if is_not_utf8(name) {
            let address = self.settings.address();
            return Err(Error::refused(format!("the name of `{}` on {address} is not UTF-8", clean(name)))
                .hint("it cannot be asked for; ask the state to rename the file"));
        }
        Ok(self.path(name))
    }

    fn path(&self, name: &str) -> String {
        match self.settings.folder.as_str() {
            "" | "." => name.to_owned(),
            folder => format!("{}/{name}", folder.trim_end_matches('/')),
        }
    }

    fn folder(&self) -> &str {
        if self.settings.folder.is_empty() { "." } else { &self.settings.folder }
    }

    fn failed(&self, doing: &str, what: &str, error: &SftpError) -> Error {
        let (may_pass, reason) =
            if self.session.is_closed() { lost() } else { reason(error, self.settings.seconds(), &self.words) };
        let text = format!("cannot {doing} `{}` on {}: {reason}", clean(what), self.settings.address());
        let failed = if may_pass { Error::network(text) } else { Error::environment(text) };
        match error {
            SftpError::Timeout => failed.hint("try again; on a slow line set a longer timeout"),
            _ if failed.may_pass() => failed.hint("try again"),
            SftpError::Status(status) if what == self.folder() && status.status_code == StatusCode::NoSuchFile => {
                failed.as_usage().hint(WHICH_FOLDER)
            }
            SftpError::Status(_) | SftpError::Limited(_) if what == self.folder() => failed.hint(WHICH_FOLDER),
            SftpError::Status(_) => failed.hint("list the folder: a file may have been moved or replaced just now"),
            _ => failed,
        }
    }

    /// Waits for an answer while somebody is there to give it. A request that is made in the very moment in which the
    /// connection ends is forgotten by the library, which then waits for its whole time.
    async fn answer<T>(&self, request: impl Future<Output = Result<T, SftpError>>) -> Result<T, SftpError> {
        let mut request = pin!(request);
        loop {
            match timeout(LOOK, request.as_mut()).await {
                Ok(answer) => return answer,
                Err(_) if self.session.is_closed() => return Err(SftpError::UnexpectedBehavior(String::new())),
                Err(_) => {}
            }
        }
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    async fn entries(&self) -> Result<Entries, SftpError> {
        let mut listing = Entries::default();
        let entries = self.sftp.read_dir(self.folder()).await.map_err(|error| {
            // The library only knows that its stream broke.
            if self.allowance.is_spent() { too_long() } else { error }
        })?;
        for (before, entry) in entries.enumerate() {
            if before == MOST_NAMES {
                return Err(too_long());
            }
            let (name, attributes) = (entry.file_name(), entry.metadata());
            if matches!(kind_of(&attributes), Kind::Other) {
                continue;
            }
            if self.words.tell_in(&name) {
                listing.telling += 1;
            } else if !outside::is_name(&name) {
                listing.unsafe_names += 1;
            } else if is_not_utf8(&name) {
                listing.not_utf8 += 1;
                listing.files.push(remote_file(name, attributes.size.unwrap_or_default(), &attributes));
            } else {
                listing.files.extend(self.describe(name, attributes).await?);
            }
        }
        Ok(listing)
    }

    async fn describe(&self, name: String, listed: FileAttributes) -> Result<Option<RemoteFile>, SftpError> {
        let mut attributes = listed;
        // A link has the size of the link; some servers leave size or type out of a listing.
        if matches!(kind_of(&attributes), Kind::Link) || attributes.size.is_none() {
            attributes = match self.sftp.metadata(self.path(&name)).await {
                Ok(found) => found,
                // A link to nowhere, or a file that has just gone.
                Err(error @ SftpError::Status(_)) if !reason(&error, 0, &self.words).0 => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        Ok(match kind_of(&attributes) {
            Kind::File => attributes.size.map(|size| remote_file(name, size, &attributes)),
            Kind::Link | Kind::Other => None,
        })
    }
}

impl Source for SftpSource {
    fn origin(&self) -> Origin {
        Origin {
            protocol: "sftp".into(),
            server: self.settings.address(),
            user: self.settings.user.clone(),
            folder: self.settings.folder.clone(),
            server_identity: self.identity(),
        }
    }

    /// Plain files, and links that lead to one. Files whose size the server does not tell are left out.
    ///
    /// A name that is not UTF-8 is given with U+FFFD for its odd bytes, and with the size in the listing or 0: it can be
    /// shown, and asking for it is [`crate::error::ErrorKind::Refused`]. Names with separators or control characters, and
    /// those that hold the password, are left out. Each of these is told in a note.
    ///
    /// The whole takes ten timeouts at most, and no more than a minute beyond one: then it is an error of the network. A
    /// folder of more than 200,000 names, or 32 MiB of them, is an error that does not pass.
    fn list(&mut self) -> Result<Vec<RemoteFile>> {
        self.sftp.set_timeout(self.settings.seconds());
        self.allowance.set(MOST_LISTING);
        let patience = self.settings.listing_patience();
        let listed = self.runtime.block_on(async { timeout(patience, self.answer(self.entries())).await });
        self.allowance.set(u64::MAX);
        let address = self.settings.address();
        let Entries { files, not_utf8, unsafe_names, telling } = listed
            .map_err(|_| {
                let (folder, seconds) = (clean(self.folder()), patience.as_secs());
                Error::network(format!(
                    "cannot list the folder `{folder}` on {address}: no end of it after {seconds} s"
                ))
                .hint("try again; for a slow server or a very large folder set a longer timeout")
            })?
            .map_err(|error| self.failed("list the folder", self.folder(), &error))?;
        for (count, fault) in [
            (not_utf8, "are not UTF-8 and cannot be fetched"),
            (unsafe_names, "are not safe and were left out"),
            (telling, "hold the password and were left out; change the password"),
        ] {
            if count > 0 {
                self.note(format!("{count} files on {address} have names that {fault}"));
            }
        }
        Ok(files)
    }

    fn stat(&mut self, name: &str) -> Result<RemoteFile> {
        let path = self.path_of(name)?;
        self.sftp.set_timeout(self.settings.seconds());
        let attributes = self
            .runtime
            .block_on(self.answer(self.sftp.metadata(path)))
            .map_err(|error| self.failed("look at", name, &error))?;
        match (kind_of(&attributes), attributes.size) {
            (Kind::File, Some(size)) => Ok(remote_file(name.to_owned(), size, &attributes)),
            (Kind::File, None) => Err(Error::environment(format!(
                "{} does not tell the size of `{}`",
                self.settings.address(),
                clean(name)
            ))),
            _ => Err(Error::refused(format!("`{}` on {} is not a plain file", clean(name), self.settings.address()))),
        }
    }

    /// An error of the reader carries an [`Error`] of [`crate::error::ErrorKind::Environment`] inside the
    /// [`io::Error`] (see [`io::Error::get_ref`]), with [`Error::may_pass`] for a lost or silent connection; after one error, every further read fails. Reading past the end, or
    /// beginning there, gives 0 bytes. The reader cannot know that a file was cut short on the server: compare the
    /// number of bytes with [`RemoteFile::size`].
    fn open_at<'a>(&'a mut self, name: &str, offset: u64) -> Result<Box<dyn Read + 'a>> {
        let path = self.path_of(name)?;
        self.sftp.set_timeout(self.settings.seconds());
        let file = self
            .runtime
            .block_on(self.answer(async {
                let mut file = self.sftp.open(path).await?;
                file.seek(io::SeekFrom::Start(offset)).await?;
                Ok(file)
            }))
            .map_err(|error: SftpError| self.failed("open", name, &error))?;
        self.sftp.set_timeout(UNLIMITED_SECONDS);
        Ok(Box::new(Download { source: self, name: name.to_owned(), file: Some(file) }))
    }

    fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The topics are `algorithms`, `host key`, `login` and `reads in flight`, each once.
    fn observations(&self) -> Vec<Observation> {
        let old = old_algorithms(&self.agreed, &self.login);
        let summary = self.agreed.summary();
        let algorithms = if old.is_empty() {
            Observation::new("algorithms", Verdict::Good, summary)
        } else {
            Observation::new("algorithms", Verdict::Note, format!("{summary}; broken or near it: {}", old.join(", ")))
                .hint("ask the state to update the server")
        };
        let user = clean(&self.settings.user);
        let login = match (&self.login.signature, self.login.method) {
            (_, "none") => {
                Observation::new("login", Verdict::Problem, format!("`{user}` was let in without any proof"))
                    .hint("tell the state: whoever knows the user name can read the deliveries")
            }
            (Some(signature), method) => Observation::new(
                "login method",
                Verdict::Good,
                format!("`{user}` by {method}, signed with {signature}"),
            ),
            (None, method) => Observation::new("login method", Verdict::Good, format!("`{user}` by {method}")),
        };
        let reads = format!("{} at most", self.settings.max_reads.max(1));
        vec![
            algorithms,
            examine::host_key(&self.settings, &trust::shown(&self.key), self.judgement),
            login,
            Observation::new("reads in flight", Verdict::Good, reads),
        ]
    }
}

impl Drop for SftpSource {
    fn drop(&mut self) {
        // Waiting inside asynchronous code would panic, and a panic while another one unwinds would abort.
        if tokio::runtime::Handle::try_current().is_ok() {
            return;
        }
        let Self { session, runtime, .. } = self;
        runtime.block_on(async {
            let _ = timeout(FAREWELL, async {
                if session.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
                    // Ends when the message is out and the server has hung up.
                    let _ = session.await;
                }
            })
            .await;
        });
    }
}

/// One file that is being read, with reads in flight ahead of the caller.
struct Download<'a> {
    source: &'a SftpSource,
    name: String,
    /// `None` after an error.
    file: Option<russh_sftp::client::fs::File>,
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::other(Error::environment("the download had failed before")));
        };
        let patience = self.source.settings.patience();
        let read = self.source.answer(async { file.read(buffer).await.map_err(|error| read_error(&error)) });
        let error = match self.source.runtime.block_on(async { timeout(patience, read).await }) {
            Ok(Ok(count)) => return Ok(count),
            Ok(Err(error)) => error,
            Err(_) => SftpError::Timeout,
        };
        self.close();
        let kind = if matches!(error, SftpError::Timeout) { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
        Err(io::Error::new(kind, self.source.failed("read", &self.name, &error)))
    }
}

impl Download<'_> {
    fn close(&mut self) {
        // Dropping sends the request to close, and the clock of that request needs the runtime around it.
        let _inside = self.source.runtime.enter();
        drop(self.file.take());
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The error inside; of what the server says to a read the library keeps the words alone.
fn read_error(error: &io::Error) -> SftpError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<SftpError>()) {
        Some(error) => error.clone(),
        None => SftpError::Status(Status {
            id: 0,
            status_code: StatusCode::Failure,
            error_message: error.to_string(),
            language_tag: String::new(),
        }),
    }
}

/// Files of a folder, and how many of its names are unfit.
#[derive(Default)]
struct Entries {
    files: Vec<RemoteFile>,
    /// Those are among the files.
    not_utf8: usize,
    unsafe_names: usize,
    /// Hold the password.
    telling: usize,
}

fn too_long() -> SftpError {
    let mebibytes = MOST_LISTING / (1024 * 1024);
    SftpError::Limited(format!("it holds more than {MOST_NAMES} names, or {mebibytes} MiB of them"))
}

/// Whether the library has put U+FFFD in the place of bytes. A name with a true U+FFFD cannot be told from that.
fn is_not_utf8(name: &str) -> bool {
    name.contains(char::REPLACEMENT_CHARACTER)
}

/// Whether trying again may help, and what happened.
fn reason(error: &SftpError, seconds: u64, words: &Words) -> (bool, String) {
    match error {
        SftpError::Timeout => (true, format!("no answer for {seconds} s")),
        // What the library says when its channel has ended, whoever ended it.
        SftpError::UnexpectedBehavior(_) => {
            (true, "the connection was lost, or the server does not keep to SFTP".to_owned())
        }
        SftpError::UnexpectedPacket => (false, "the server does not keep to SFTP".to_owned()),
        SftpError::IO(text) => (false, words.clean(text)),
        SftpError::Limited(text) => (false, clean(text)),
        SftpError::Status(status) => match status.status_code {
            StatusCode::NoConnection | StatusCode::ConnectionLost => lost(),
            StatusCode::NoSuchFile => (false, "the server has no such file or folder".to_owned()),
            StatusCode::PermissionDenied => (false, "the server denies permission".to_owned()),
            code => (false, format!("the server says: {code}{}", words.remark(&status.error_message))),
        },
    }
}

fn lost() -> (bool, String) {
    (true, "the connection was lost".to_owned())
}

enum Kind {
    File,
    Link,
    Other,
}

fn kind_of(attributes: &FileAttributes) -> Kind {
    // The top four bits of a Unix mode. Servers on other systems leave them 0, or leave the whole mode out; what they
    // call a file is found out when it is opened.
    match attributes.permissions.unwrap_or(0) & 0o170_000 {
        0 | 0o100_000 => Kind::File,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    }
}

fn remote_file(name: String, size: u64, attributes: &FileAttributes) -> RemoteFile {
    RemoteFile {
        name,
        size,
        modified: attributes.mtime.and_then(|seconds| DateTime::from_timestamp(i64::from(seconds), 0)),
    }
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("phds-sftp")
        .enable_all()
        .build()
        .map_err(|error| Error::environment(format!("cannot start a thread for the network: {error}")))
}

struct Established {
    connection: Connection,
    login: Login,
    notes: Vec<String>,
    sftp: SftpSession,
}

async fn establish(
    settings: &SftpSettings,
    trust: &Arc<Trust>,
    credential: &Credential,
    words: &Words,
    allowance: &Allowance,
) -> Result<Established> {
    // Before the network: a key that cannot be used is no reason to disturb the server.
    let proof = Proof::of(settings, credential).await?;
    let mut connection = shake_hands(settings, trust, words).await?;
    let mut notes = Vec::new();
    // The server has proved by now that the key is its own.
    if connection.judgement == Judgement::Listed(known_hosts::Verdict::Unknown) {
        notes.push(trust.record(&connection.key)?);
    }
    let opened = async {
        let login = login::log_in(settings, &mut connection, proof).await?;
        let sftp = timeout(settings.patience() * 2, open_sftp(settings, &connection.session, allowance))
            .await
            .map_err(|_| silent(settings, "while opening SFTP"))??;
        Ok((login, sftp))
    };
    // A recorded key stays recorded, and somebody has to hear of it.
    let (login, sftp) = opened
        .await
        .map_err(|error: Error| notes.iter().fold(error, |error, note| error.also(&format!(".\n{note}"))))?;
    let old = old_algorithms(&connection.agreed, &login);
    if !old.is_empty() {
        notes.push(format!(
            "{} was spoken to with algorithms that are broken or near it ({}); ask the state to update the server",
            settings.address(),
            old.join(", ")
        ));
    }
    Ok(Established { connection, login, notes, sftp })
}

fn old_algorithms(agreed: &Agreed, login: &Login) -> Vec<String> {
    let mut old = agreed.legacy();
    old.extend(login.legacy().map(|name| format!("{name} for our own key")));
    old
}

async fn open_sftp(settings: &SftpSettings, session: &Session, allowance: &Allowance) -> Result<SftpSession> {
    let address = settings.address();
    let broken = |error| {
        let text = format!("{address} closed the connection after the login");
        let hint = "the account may have no SFTP access; ask the state";
        match error {
            russh::Error::ChannelOpenFailure(_) => Error::environment(text).hint(hint),
            _ => Error::network(text).hint(hint),
        }
    };
    let mut channel = session.channel_open_session().await.map_err(broken)?;
    channel.request_subsystem(true, "sftp").await.map_err(broken)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure | ChannelMsg::Close | ChannelMsg::Eof) | None => {
                if session.is_closed() {
                    return Err(broken(russh::Error::Disconnect));
                }
                return Err(Error::environment(format!("{address} offers no SFTP to this account"))
                    .hint("the login worked; ask the state whether the account has SFTP"));
            }
            Some(_) => {}
        }
    }
    let config = russh_sftp::client::Config {
        max_concurrent_reads: settings.max_reads.max(1),
        request_timeout_secs: settings.seconds(),
        ..russh_sftp::client::Config::default()
    };
    let (stream, writer) = tokio::io::split(channel.into_stream());
    let stream = tokio::io::join(Metered { stream, allowance: allowance.clone() }, writer);
    SftpSession::new_with_config(stream, config).await.map_err(|error| match error {
        SftpError::Timeout => silent(settings, "while opening SFTP"),
        _ if session.is_closed() => broken(russh::Error::Disconnect),
        _ => Error::environment(format!("cannot begin SFTP with {address}: the server does not keep to SFTP")),
    })
}

#[cfg(test)]
mod tests {
    use russh_sftp::protocol::Status;

    use super::*;
    use crate::error::ErrorKind;

    fn settings() -> SftpSettings {
        SftpSettings::new("sftp.example.org", "clinic", "known_hosts")
    }

    #[test]
    fn unfit_settings_are_usage_errors() {
        type Change = fn(&mut SftpSettings);
        let changes: [Change; 9] = [
            |s| s.host = String::new(),
            |s| s.host = "sftp://h".into(),
            |s| s.host = "clinic@h".into(),
            |s| s.host = "h\n".into(),
            |s| s.user = String::new(),
            |s| s.user = "a\0b".into(),
            |s| s.folder = "a\nb".into(),
            |s| s.timeout = Duration::ZERO,
            |s| s.host_key = Some("SHA256:short".into()),
        ];
        let credential = Credential::Password(Secret::new("hunter2".into()).unwrap());
        for (index, change) in changes.iter().enumerate() {
            let mut settings = settings();
            change(&mut settings);
            let error = SftpSource::connect(&settings, &credential).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{index}: {error}");
        }
        assert!(!format!("{credential:?}").contains("hunter2"));
    }

    #[test]
    fn addresses() {
        let with = |host: &str, port| SftpSettings { host: host.into(), port, ..settings() };
        assert_eq!(with("h", 22).address(), "h:22");
        assert_eq!(with("::1", 2222).address(), "[::1]:2222");
        assert_eq!(with("h", 22).listed_name(), "h");
        assert_eq!(with("::1", 2222).listed_name(), "[::1]:2222");
    }

    #[test]
    fn a_wait_is_whole_seconds() {
        let seconds = |timeout| SftpSettings { timeout, ..settings() }.seconds();
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1500)), 2);
        assert_eq!(seconds(Duration::from_secs(30)), 30);
    }

    #[test]
    fn a_listing_waits_longer() {
        let listing = |seconds| {
            let timeout = Duration::from_secs(seconds);
            SftpSettings { timeout, ..settings() }.listing_patience().as_secs()
        };
        assert_eq!([1, 6, 7, 30, 300].map(listing), [10, 60, 67, 90, 360]);
    }

    #[test]
    fn what_may_pass_by_itself() {
        let status = |status_code| {
            SftpError::Status(Status { id: 1, status_code, error_message: "x\n".into(), language_tag: String::new() })
        };
        for (error, may_pass, text) in [
            (SftpError::Timeout, true, "no answer for 30 s"),
            (SftpError::UnexpectedBehavior("sender dropped".into()), true, "the connection was lost, or"),
            (status(StatusCode::NoConnection), true, "the connection was lost"),
            (status(StatusCode::ConnectionLost), true, "the connection was lost"),
            (status(StatusCode::NoSuchFile), false, "no such file"),
            (status(StatusCode::PermissionDenied), false, "denies permission"),
            (status(StatusCode::Failure), false, "the server says: Failure (x)"),
            (SftpError::UnexpectedPacket, false, "does not keep to SFTP"),
            (read_error(&io::Error::other("x\n")), false, "the server says: Failure (x)"),
            (SftpError::IO("x\n".into()), false, "x\\n"),
        ] {
            let (passes, reason) = reason(&error, 30, &Words::default());
            assert_eq!(passes, may_pass, "{error:?}");
            assert!(reason.contains(text), "{error:?}: {reason}");
        }
    }

    #[test]
    fn what_counts_as_a_file() {
        let kind = |permissions| kind_of(&FileAttributes { permissions, ..FileAttributes::empty() });
        assert!(matches!(kind(None), Kind::File));
        assert!(matches!(kind(Some(0o644)), Kind::File));
        assert!(matches!(kind(Some(0o100_644)), Kind::File));
        assert!(matches!(kind(Some(0o120_777)), Kind::Link));
        for other in [0o040_755, 0o010_644, 0o020_644, 0o060_644, 0o140_755] {
            assert!(matches!(kind(Some(other)), Kind::Other));
        }
    }
}
