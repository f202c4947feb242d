//! Deliveries over SFTP.
//!
//! The only requests that this file can make are: look at a folder, look at a file, open a file for reading, read,
//! close. The server's key is judged before the user name or anything else about us is sent. One refused login is the
//! end: it is never tried again, because servers lock accounts out.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use russh::client::{self, AuthResult, GexParams, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{ChannelMsg, Disconnect, MethodKind, MethodSet, Preferred, cipher, compression, kex, mac};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, StatusCode};
use secrecy::zeroize::Zeroize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::known_hosts::{KnownHosts, Verdict};
use super::outside::{self, clean, remark};
use super::{Origin, RemoteFile, Source};
use crate::error::{Error, Result};
use crate::secret::{self, Secret};

/// Bytes that the server may send ahead of our leave. It limits the speed on a line with a long round trip: at 50 ms,
/// 2 MiB (the library's default) gave 19 MB/s and this gave 136 MB/s.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// An idle or dead connection is asked for a sign of life this often, and given up after three without an answer.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The library counts the time of a read from the moment it was asked for. With many reads in flight on a slow line the
/// last one waits for all before it, so the library's own limit is put out of the way and [`Download`] counts instead.
const UNLIMITED_SECONDS: u64 = 7 * 24 * 3600;

/// Rounds of keyboard-interactive questions; one is usual, and a last empty one.
const MOST_ROUNDS: usize = 5;

// Written out, and not taken from the library's defaults, so that an update cannot bring SHA-1 or CBC in.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];
const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

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
    /// File of OpenSSH that lists the keys of servers. May be missing when `host_key` is given.
    pub known_hosts: PathBuf,
    /// The one accepted key of the server as `SHA256:…`. It takes the place of what `known_hosts` lists; only a
    /// `@revoked` line still counts.
    pub host_key: Option<String>,
    /// The longest wait for any single answer of the server (connecting, each request, the next bytes of a download).
    /// Counted in whole seconds, rounded up.
    pub timeout: Duration,
    /// Most reads in flight. 1 for servers that fail or mix answers up when there are several.
    pub max_reads: usize,
}

impl SftpSettings {
    /// Port 22, the folder in which a login begins, no pinned key, 30 seconds, 48 reads in flight.
    pub fn new(host: impl Into<String>, user: impl Into<String>, known_hosts: impl Into<PathBuf>) -> Self {
        Self {
            host: host.into(),
            port: 22,
            user: user.into(),
            folder: ".".into(),
            known_hosts: known_hosts.into(),
            host_key: None,
            timeout: Duration::from_secs(30),
            max_reads: 48,
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
}

/// A folder on an SFTP server. Everything here waits for the network: do not call it from asynchronous code.
pub struct SftpSource {
    settings: SftpSettings,
    identity: String,
    sftp: SftpSession,
    session: client::Handle<Guard>,
    // Last, because the two above talk to tasks that run in it.
    runtime: Runtime,
}

impl fmt::Debug for SftpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SftpSource")
            .field("settings", &self.settings)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl SftpSource {
    /// Connects, judges the server's key, logs in, and opens SFTP.
    ///
    /// Errors: [`crate::error::ErrorKind::Usage`] for settings that cannot be;
    /// [`crate::error::ErrorKind::Credentials`] when the server's key is unknown, changed, revoked or not the pinned
    /// one, when the key file cannot be used, or when the login is refused (do not try again by yourself);
    /// [`crate::error::ErrorKind::Environment`] for the network.
    pub fn connect(settings: &SftpSettings, credential: &Credential) -> Result<Self> {
        settings.check()?;
        let pin = settings.host_key.as_deref().map(read_pin).transpose()?;
        let known = Arc::new(KnownHosts::read(&settings.known_hosts)?);
        // Before the network: a key file that cannot be used is no reason to disturb the server.
        let proof = Proof::of(credential)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("phds-sftp")
            .enable_all()
            .build()
            .map_err(|error| Error::environment(format!("cannot start a thread for the network: {error}")))?;
        match runtime.block_on(establish(settings, &known, pin, &proof)) {
            Ok((session, sftp, identity)) => Ok(Self { settings: settings.clone(), identity, sftp, session, runtime }),
            Err(error) => {
                // A name server that does not answer keeps its thread busy; nobody should wait for it.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn path_of(&self, name: &str) -> Result<String> {
        outside::check_name(name)?;
        Ok(match self.settings.folder.as_str() {
            "" | "." => name.to_owned(),
            folder => format!("{}/{name}", folder.trim_end_matches('/')),
        })
    }

    fn folder(&self) -> &str {
        if self.settings.folder.is_empty() { "." } else { &self.settings.folder }
    }

    fn failed(&self, doing: &str, what: &str, error: &SftpError) -> Error {
        let seconds = self.settings.seconds();
        let reason = match error {
            _ if self.session.is_closed() => "the connection was lost".to_owned(),
            SftpError::Timeout => format!("no answer for {seconds} s"),
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => "the server has no such file or folder".to_owned(),
                StatusCode::PermissionDenied => "the server denies permission".to_owned(),
                code => format!("the server says: {code}{}", remark(&status.error_message)),
            },
            SftpError::IO(text) | SftpError::Limited(text) => clean(text),
            SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => {
                "the connection was lost, or the server does not keep to SFTP".to_owned()
            }
        };
        let failed =
            Error::environment(format!("cannot {doing} `{}` on {}: {reason}", clean(what), self.settings.address()));
        match error {
            SftpError::Timeout => failed.hint("try again; on a slow line set a longer timeout"),
            SftpError::Status(_) if what == self.folder() => failed.hint("check the folder in the settings"),
            SftpError::Status(_) => failed.hint("list the folder: a file may have been moved or replaced just now"),
            _ => failed,
        }
    }

    async fn describe(&self, name: String, listed: FileAttributes) -> Result<Option<RemoteFile>, SftpError> {
        let mut attributes = listed;
        // A link has the size of the link; some servers leave size or type out of a listing.
        if matches!(kind_of(&attributes), Kind::Link) || attributes.size.is_none() {
            let Ok(path) = self.path_of(&name) else { return Ok(None) };
            attributes = match self.sftp.metadata(path).await {
                Ok(found) => found,
                // A link to nowhere, or a file that has just gone.
                Err(SftpError::Status(_)) => return Ok(None),
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
        Origin { protocol: "sftp".into(), server: self.settings.address(), server_identity: self.identity.clone() }
    }

    /// Plain files, and links that lead to one. Names that are not UTF-8 are left out (the library replaces their odd
    /// bytes with U+FFFD, so a name with a true U+FFFD is left out too), as are files whose size the server does not
    /// tell.
    fn list(&mut self) -> Result<Vec<RemoteFile>> {
        let folder = self.folder();
        self.sftp.set_timeout(self.settings.seconds());
        self.runtime
            .block_on(async {
                let mut files = Vec::new();
                for entry in self.sftp.read_dir(folder).await? {
                    let name = entry.file_name();
                    if !name.contains(char::REPLACEMENT_CHARACTER) {
                        files.extend(self.describe(name, entry.metadata()).await?);
                    }
                }
                Ok(files)
            })
            .map_err(|error: SftpError| self.failed("list the folder", folder, &error))
    }

    fn stat(&mut self, name: &str) -> Result<RemoteFile> {
        let path = self.path_of(name)?;
        self.sftp.set_timeout(self.settings.seconds());
        let attributes =
            self.runtime.block_on(self.sftp.metadata(path)).map_err(|error| self.failed("look at", name, &error))?;
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
    /// [`io::Error`] (see [`io::Error::get_ref`]); after one error, every further read fails. Reading past the end, or
    /// beginning there, gives 0 bytes. The reader cannot know that a file was cut short on the server: compare the
    /// number of bytes with [`RemoteFile::size`].
    fn open_at<'a>(&'a mut self, name: &str, offset: u64) -> Result<Box<dyn Read + 'a>> {
        let path = self.path_of(name)?;
        self.sftp.set_timeout(self.settings.seconds());
        let file = self
            .runtime
            .block_on(async {
                let mut file = self.sftp.open(path).await?;
                file.seek(io::SeekFrom::Start(offset)).await?;
                Ok(file)
            })
            .map_err(|error: SftpError| self.failed("open", name, &error))?;
        self.sftp.set_timeout(UNLIMITED_SECONDS);
        Ok(Box::new(Download { source: self, name: name.to_owned(), file: Some(file) }))
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
        let error = match self.source.runtime.block_on(async { timeout(patience, file.read(buffer)).await }) {
            Ok(Ok(count)) => return Ok(count),
            Ok(Err(error)) => match error.get_ref().and_then(|inner| inner.downcast_ref::<SftpError>()) {
                Some(error) => error.clone(),
                None => SftpError::IO(format!("the server says: failure{}", remark(&error.to_string()))),
            },
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

fn read_pin(text: &str) -> Result<Fingerprint> {
    let text = text.trim().trim_end_matches('=');
    match text.parse() {
        Ok(pin @ Fingerprint::Sha256(_)) => Ok(pin),
        _ => Err(Error::usage(format!("`{}` is not the fingerprint of a key", clean(text)))
            .hint("it looks like `SHA256:` and 43 letters and digits, as `ssh-keygen -lf` prints it")),
    }
}

/// What [`Credential`] becomes before the network is touched.
enum Proof {
    Password(Secret),
    Key(Arc<PrivateKey>),
}

impl Proof {
    fn of(credential: &Credential) -> Result<Self> {
        let (path, passphrase) = match credential {
            Credential::Password(password) => return Ok(Self::Password(password.clone())),
            Credential::Key { path, passphrase } => (path, passphrase),
        };
        let mut text = secret::read_private(path)?;
        let decoded = russh::keys::decode_secret_key(&text, passphrase.as_ref().map(Secret::expose));
        text.zeroize();
        // The library's words about the content of a key file are not passed on.
        let fault = match decoded {
            Ok(key) if !key.is_encrypted() => return Ok(Self::Key(Arc::new(key))),
            Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => "is locked with a passphrase, and none was given",
            Err(_) if passphrase.is_some() => "cannot be opened: the passphrase is wrong, or it is no private key",
            Err(_) => "cannot be understood: it is no private key, or locked with a passphrase that was not given",
        };
        Err(Error::credentials(format!("the key file `{}` {fault}", path.display())))
    }
}

/// Looks at the server's key, and keeps what it saw for the error.
struct Guard {
    settings: Arc<Trust>,
    seen: Arc<Mutex<Option<Seen>>>,
}

struct Trust {
    known: Arc<KnownHosts>,
    host: String,
    port: u16,
    pin: Option<Fingerprint>,
}

#[derive(Clone)]
struct Seen {
    key: PublicKey,
    judgement: Judgement,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Listed(Verdict),
    Pinned,
    NotPinned,
}

impl Judgement {
    fn is_trusted(self) -> bool {
        matches!(self, Self::Pinned | Self::Listed(Verdict::Known))
    }
}

impl Trust {
    fn judge(&self, key: &PublicKey) -> Judgement {
        match (self.known.verdict(&self.host, self.port, key), &self.pin) {
            (Verdict::Revoked, _) => Judgement::Listed(Verdict::Revoked),
            (_, Some(pin)) if key.fingerprint(HashAlg::Sha256) == *pin => Judgement::Pinned,
            (_, Some(_)) => Judgement::NotPinned,
            (verdict, None) => Judgement::Listed(verdict),
        }
    }
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Certificates are not asked for; a server that sends one all the same does not keep to the protocol.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let judgement = self.settings.judge(key);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { key: key.clone(), judgement });
        Ok(judgement.is_trusted())
    }
}

type Established = (client::Handle<Guard>, SftpSession, String);

async fn establish(
    settings: &SftpSettings,
    known: &Arc<KnownHosts>,
    pin: Option<Fingerprint>,
    proof: &Proof,
) -> Result<Established> {
    let trust = Arc::new(Trust { known: Arc::clone(known), host: settings.host.clone(), port: settings.port, pin });
    let (mut session, key) = shake_hands(settings, &trust).await?;
    let login = async {
        match proof {
            Proof::Password(password) => login_by_password(settings, &mut session, password).await,
            Proof::Key(key) => login_by_key(settings, &mut session, key).await,
        }
    };
    // Several answers, and some servers think for seconds about each login on purpose.
    timeout(settings.patience() * 3, login).await.map_err(|_| silent(settings, "while logging in"))??;
    let sftp = timeout(settings.patience() * 2, open_sftp(settings, &session))
        .await
        .map_err(|_| silent(settings, "while opening SFTP"))??;
    Ok((session, sftp, key.fingerprint(HashAlg::Sha256).to_string()))
}

/// Connects until a trusted key is seen. A server may have several keys and shows the one whose type is asked for
/// first: when it is not the pinned one, the next type is tried on a new connection. Nothing has been sent about us by
/// then.
async fn shake_hands(settings: &SftpSettings, trust: &Arc<Trust>) -> Result<(client::Handle<Guard>, PublicKey)> {
    let mut types: Vec<Algorithm> = HOST_KEYS.to_vec();
    let listed = trust.known.key_types(&settings.host, settings.port);
    types.sort_by_key(|algorithm| {
        listed.iter().position(|listed| is_same_type(listed, algorithm)).unwrap_or(listed.len())
    });
    let mut others: Vec<PublicKey> = Vec::new();
    loop {
        let stream = connect_tcp(settings).await?;
        let seen = Arc::new(Mutex::new(None));
        let guard = Guard { settings: Arc::clone(trust), seen: Arc::clone(&seen) };
        let config = Arc::new(client_config(types.clone())?);
        let outcome = timeout(settings.patience(), client::connect_stream(config, stream, guard))
            .await
            .map_err(|_| silent(settings, "while setting up encryption"))?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, seen) {
            (Ok(session), Some(seen)) if seen.judgement.is_trusted() => return Ok((session, seen.key)),
            (_, Some(seen)) if seen.judgement == Judgement::NotPinned => {
                types.retain(|algorithm| !is_same_type(algorithm, &seen.key.algorithm()));
                others.push(seen.key);
                if types.is_empty() {
                    return Err(not_pinned(settings, &others));
                }
            }
            (_, Some(seen)) if !seen.judgement.is_trusted() => return Err(not_trusted(settings, &seen)),
            (Err(russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. }), _) if !others.is_empty() => {
                return Err(not_pinned(settings, &others));
            }
            (Err(error), _) => return Err(handshake_failed(settings, &error)),
            // Cannot be: a session stands only after its key was looked at.
            (Ok(_), _) => return Err(Error::internal("a connection stands whose key was not judged")),
        }
    }
}

fn is_same_type(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

fn client_config(host_keys: Vec<Algorithm>) -> Result<client::Config> {
    Ok(client::Config {
        window_size: WINDOW_BYTES,
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE),
        // Some servers have groups of 2048 bits only; the library's own least is 3072.
        gex: GexParams::new(2048, 4096, 8192).map_err(|_| Error::internal("the key exchange limits are unfit"))?,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            key: Cow::Owned(host_keys),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        ..client::Config::default()
    })
}

async fn connect_tcp(settings: &SftpSettings) -> Result<TcpStream> {
    let address = settings.address();
    let found = timeout(settings.patience(), tokio::net::lookup_host((settings.host.as_str(), settings.port)))
        .await
        .map_err(|_| silent(settings, "while looking the name up"))?;
    let unknown_name = |reason: &dyn Display| {
        Error::environment(format!("cannot find the server {address}: {reason}"))
            .hint("check the spelling of the host in the settings, and that this machine is on the network or VPN")
    };
    let mut last = None;
    // One address after another, each with its full time: a first one that is dead must not use up the time of all.
    for target in found.map_err(|error| unknown_name(&error))? {
        match timeout(settings.patience(), TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                // Requests are small and each waits for an answer. Without this the connection still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => {
                let seconds = settings.seconds();
                last = Some(io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {seconds} s")));
            }
        }
    }
    let Some(error) = last else { return Err(unknown_name(&"its name has no address")) };
    Err(Error::environment(format!("cannot connect to {address}: {error}"))
        .hint("check host and port, and that the firewall or VPN lets this machine out; then try again"))
}

fn silent(settings: &SftpSettings, when: &str) -> Error {
    Error::environment(format!("{} did not answer in time {when}", settings.address()))
        .hint("try again; if it stays so, check that host and port are those of the SFTP service")
}

fn handshake_failed(settings: &SftpSettings, error: &russh::Error) -> Error {
    let address = settings.address();
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let theirs = theirs.iter().take(40).map(|name| clean(name)).collect::<Vec<_>>().join(", ");
            let kind = match kind {
                russh::AlgorithmKind::Kex => "key exchange",
                russh::AlgorithmKind::Key => "type of host key",
                russh::AlgorithmKind::Cipher => "cipher",
                russh::AlgorithmKind::Compression => "compression",
                russh::AlgorithmKind::Mac => "message authentication",
            };
            Error::environment(format!(
                "{address} and this program share no {kind}\n  this program: {}\n  the server:   {theirs}",
                ours.join(", ")
            ))
            .hint("this program leaves out SHA-1 and CBC, which are broken; ask the server's owner to update it")
        }
        russh::Error::IO(error) => Error::environment(format!("the connection to {address} broke: {error}"))
            .hint("try again; if it stays so, check that the port is that of the SFTP service"),
        _ => Error::environment(format!("{address} could not agree on encryption: {error}"))
            .hint("check that the port is that of an SFTP (SSH) service; FTPS is something else"),
    }
}

fn shown_key(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

fn not_trusted(settings: &SftpSettings, seen: &Seen) -> Error {
    let (address, key, file) = (settings.address(), shown_key(&seen.key), settings.known_hosts.display());
    let name = settings.listed_name();
    let short = match seen.key.algorithm() {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "rsa",
    };
    let record = format!("ssh-keyscan -p {} -t {short} '{}' >> '{file}'", settings.port, settings.host);
    let compare = format!("ssh-keygen -l -F '{name}' -f '{file}'");
    match seen.judgement {
        Judgement::Listed(Verdict::Revoked) => Error::credentials(format!(
            "{address} shows a key that `{file}` marks as REVOKED: {key}. Nothing was sent to it."
        ))
        .hint("do not connect. Call the state's help desk: whoever holds this key may not be the state"),
        Judgement::Listed(Verdict::Changed) => Error::credentials(format!(
            "THE SERVER IS NOT THE ONE THAT WAS RECORDED. {address} shows the key {key}, and `{file}` records another. \
             Either the state has a new key, or somebody stands between you and the state. Nothing was sent to it."
        ))
        .hint(format!(
            "call the state's help desk by a telephone number that you had before, and compare the fingerprint. Only \
             if it is the same:\n  ssh-keygen -R '{name}' -f '{file}'\n  {record}\n  {compare}"
        )),
        _ => Error::credentials(format!(
            "{address} is not in `{file}`, so nothing shows that it is the state's server. Its key: {key}. Nothing was \
             sent to it."
        ))
        .hint(format!(
            "compare the fingerprint with the one that the state gives you by telephone or letter. Only if it is the \
             same, record it:\n  {record}\nlook at what was recorded:\n  {compare}\nor write into the settings: \
             host_key = \"{}\"",
            seen.key.fingerprint(HashAlg::Sha256)
        )),
    }
}

fn not_pinned(settings: &SftpSettings, shown: &[PublicKey]) -> Error {
    let shown = shown.iter().map(shown_key).collect::<Vec<_>>().join(", ");
    Error::credentials(format!(
        "THE SERVER IS NOT THE ONE THAT WAS PINNED. {} shows {shown}, and the settings accept only {}. Either the \
         state has a new key, or somebody stands between you and the state. Nothing was sent to it.",
        settings.address(),
        clean(settings.host_key.as_deref().unwrap_or_default())
    ))
    .hint(
        "call the state's help desk by a telephone number that you had before, and compare the fingerprint; change \
         `host_key` only if it is the same",
    )
}

fn lost(settings: &SftpSettings) -> Error {
    Error::environment(format!("{} closed the connection during the login", settings.address()))
        .hint("try again later; the server may limit how many connections it takes")
}

fn method_names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    if names.is_empty() { "none that this program knows".into() } else { names.join(", ") }
}

/// The methods that the server offers, from its answer to a login without any proof; `None` when it let us in.
async fn offered_methods(settings: &SftpSettings, session: &mut client::Handle<Guard>) -> Result<Option<MethodSet>> {
    match session.authenticate_none(&settings.user).await {
        Ok(AuthResult::Success) => Ok(None),
        Ok(AuthResult::Failure { remaining_methods, .. }) if remaining_methods.is_empty() && session.is_closed() => {
            Err(lost(settings))
        }
        Ok(AuthResult::Failure { remaining_methods, .. }) => Ok(Some(remaining_methods)),
        Err(_) => Err(lost(settings)),
    }
}

fn refused(settings: &SftpSettings, what: &str, partial: bool, remaining: &MethodSet) -> Error {
    let (address, user) = (settings.address(), clean(&settings.user));
    if partial {
        return Error::credentials(format!(
            "{address} accepted the {what} of `{user}` and asks for more: {}",
            method_names(remaining)
        ))
        .hint("this program can give one proof only; ask the state for an account without a second one");
    }
    Error::credentials(format!("{address} refused the {what} of `{user}`")).hint(
        "check user name and secret, then try again by hand. It was tried once only: several failures can lock the \
         account",
    )
}

fn no_method(settings: &SftpSettings, wanted: &str, offered: &MethodSet) -> Error {
    Error::credentials(format!(
        "{} takes no {wanted} for `{}`; it offers: {}",
        settings.address(),
        clean(&settings.user),
        method_names(offered)
    ))
    .hint("use the kind of login that the server offers, or ask the state which one your account has")
}

async fn login_by_password(
    settings: &SftpSettings,
    session: &mut client::Handle<Guard>,
    password: &Secret,
) -> Result<()> {
    let Some(offered) = offered_methods(settings, session).await? else { return Ok(()) };
    // A server that names no method at all may still take a password.
    if offered.contains(&MethodKind::Password) || offered.is_empty() {
        return match session.authenticate_password(&settings.user, password.expose()).await {
            Ok(AuthResult::Success) => Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                Err(refused(settings, "password", partial_success, &remaining_methods))
            }
            Err(_) => Err(lost(settings)),
        };
    }
    if offered.contains(&MethodKind::KeyboardInteractive) {
        return answer_questions(settings, session, password).await;
    }
    Err(no_method(settings, "password", &offered))
}

/// Keyboard-interactive: the password answers one hidden question, and nothing answers any other.
async fn answer_questions(
    settings: &SftpSettings,
    session: &mut client::Handle<Guard>,
    password: &Secret,
) -> Result<()> {
    let mut reply = session.authenticate_keyboard_interactive_start(&settings.user, None).await;
    let mut answered = false;
    for _ in 0..MOST_ROUNDS {
        let answers = match reply.map_err(|_| lost(settings))? {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Err(refused(settings, "password", partial_success, &remaining_methods));
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => match prompts.as_slice() {
                [] => Vec::new(),
                [question] if !question.echo && !answered => {
                    answered = true;
                    vec![password.expose().to_owned()]
                }
                // The password went out once already: asking again is how some servers say that it was wrong.
                [question] if !question.echo => {
                    return Err(refused(settings, "password", false, &MethodSet::empty()));
                }
                _ => break,
            },
        };
        reply = session.authenticate_keyboard_interactive_respond(answers).await;
    }
    Err(Error::credentials(format!(
        "{} asks `{}` questions that a program cannot answer; it was sent {}",
        settings.address(),
        clean(&settings.user),
        if answered { "the password and nothing else" } else { "no password" }
    ))
    .hint("ask the state for an account that logs in with a password alone, or with a key"))
}

async fn login_by_key(
    settings: &SftpSettings,
    session: &mut client::Handle<Guard>,
    key: &Arc<PrivateKey>,
) -> Result<()> {
    let Some(offered) = offered_methods(settings, session).await? else { return Ok(()) };
    if !offered.contains(&MethodKind::PublicKey) && !offered.is_empty() {
        return Err(no_method(settings, "key", &offered));
    }
    let hash = if key.algorithm().is_rsa() {
        match session.best_supported_rsa_hash().await {
            // Says that it takes RSA keys with SHA-1 only.
            Ok(Some(None)) => return Err(no_method(settings, "RSA key with SHA-2", &offered)),
            Ok(Some(hash)) => hash,
            Ok(None) => Some(HashAlg::Sha512),
            Err(_) => return Err(lost(settings)),
        }
    } else {
        None
    };
    let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
    match session.authenticate_publickey(&settings.user, key).await {
        Ok(AuthResult::Success) => Ok(()),
        Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
            Err(refused(settings, "key", partial_success, &remaining_methods))
        }
        Err(_) => Err(lost(settings)),
    }
}

async fn open_sftp(settings: &SftpSettings, session: &client::Handle<Guard>) -> Result<SftpSession> {
    let broken = |_| {
        Error::environment(format!("{} closed the connection after the login", settings.address()))
            .hint("the account may have no SFTP access; ask the state")
    };
    let mut channel = session.channel_open_session().await.map_err(broken)?;
    channel.request_subsystem(true, "sftp").await.map_err(broken)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure | ChannelMsg::Close | ChannelMsg::Eof) | None => {
                return Err(Error::environment(format!("{} offers no SFTP to this account", settings.address()))
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
    SftpSession::new_with_config(channel.into_stream(), config).await.map_err(|error| {
        let reason = match error {
            SftpError::Timeout => "no answer in time",
            _ => "the server does not keep to SFTP",
        };
        Error::environment(format!("cannot begin SFTP with {}: {reason}", settings.address()))
    })
}

#[cfg(test)]
mod tests {
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
    fn pins() {
        let pin = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(read_pin(pin).unwrap().to_string(), pin);
        assert_eq!(read_pin(&format!(" {pin}=\n")).unwrap().to_string(), pin);
        for text in ["", "47DEQpj8HBSa", "MD5:00:11", "SHA256:", "SHA256:AAAA", &pin[..49]] {
            assert_eq!(read_pin(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
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

    #[test]
    fn nothing_weak_is_offered() {
        let preferred = client_config(HOST_KEYS.to_vec()).unwrap().preferred;
        let names = preferred
            .kex
            .iter()
            .map(|name| name.as_ref().to_owned())
            .chain(preferred.cipher.iter().map(|name| name.as_ref().to_owned()))
            .chain(preferred.mac.iter().map(|name| name.as_ref().to_owned()))
            .chain(preferred.key.iter().map(ToString::to_string));
        for name in names {
            assert!(!name.ends_with("sha1") && !name.contains("cbc") && name != "ssh-rsa" && name != "none", "{name}");
        }
    }
}
