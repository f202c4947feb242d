//! A real SFTP server on 127.0.0.1 that serves one folder for reading: the state's server of `phds demo` and of the
//! tests.
//!
//! It writes nothing, anywhere: requests to change something are refused, and noted in [`LoopbackServer::requests`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Preferred, SshId, cipher, kex, mac};
use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Packet, Status, StatusCode, Version,
};
use tokio::runtime::Runtime;

use crate::error::{Error, Result};
use crate::parallel::lock;
use crate::secret::Secret;

/// Most bytes in one answer to a read, so that the packet stays within the 256 KiB that clients accept.
const MOST_READ: u32 = 256 * 1024 - 64;

/// Names in one answer to a listing.
const NAMES_AT_ONCE: usize = 64;

/// How much a client may have open at once.
const MOST_HANDLES: usize = 64;

/// What the server offers, and how it takes a login.
#[derive(Clone, Debug)]
pub struct LoginOptions {
    /// The method `password`.
    pub password: bool,
    /// The method `keyboard-interactive`, with one hidden question that the password answers.
    pub keyboard_interactive: bool,
    /// The method `publickey` for this one key, as a line of a `.pub` file.
    pub public_key: Option<String>,
    /// Has an ECDSA host key besides the Ed25519 one.
    pub ecdsa_host_key: bool,
    /// Something odd that real servers do.
    pub quirk: Option<Quirk>,
}

/// What some real servers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Knows SHA-1 and CBC only.
    OnlyLegacy,
    /// Hangs up when it is given a password, right or wrong.
    HangsUp,
    /// Never answers a password.
    Silent,
    /// Says the password back: in its identification, its banner and its question, and with a failure when a folder was
    /// listed.
    Repeats,
    /// Lists this many files that are not there, with names of this many bytes.
    Invents {
        /// How many.
        names: usize,
        /// Bytes of each name.
        bytes: usize,
    },
    /// Answers a listing with no names, for ever.
    ListsNothing,
}

impl Default for LoginOptions {
    /// Password only, Ed25519 host key only, nothing odd.
    fn default() -> Self {
        Self { password: true, keyboard_interactive: false, public_key: None, ecdsa_host_key: false, quirk: None }
    }
}

/// A running server with throwaway host keys. Ends when dropped, with all its connections.
pub struct LoopbackServer {
    port: u16,
    host_keys: Vec<PublicKey>,
    requests: Requests,
    attempts: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl fmt::Debug for LoopbackServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackServer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl LoopbackServer {
    /// Serves `folder` to `user` with `password` on a port that the system chooses. [`LoginOptions::default`].
    pub fn start(folder: &Path, user: &str, password: &Secret) -> Result<Self> {
        Self::start_with(folder, user, password, &LoginOptions::default())
    }

    /// The same with a choice of logins. [`crate::error::ErrorKind::Environment`] when the folder cannot be found or no
    /// port can be had, [`crate::error::ErrorKind::Usage`] when `public_key` is not a key.
    pub fn start_with(folder: &Path, user: &str, password: &Secret, options: &LoginOptions) -> Result<Self> {
        let root = folder.canonicalize().map_err(|error| Error::io("serve the folder", folder, &error))?;
        let accepted_key = match &options.public_key {
            Some(line) => Some(
                PublicKey::from_openssh(line)
                    .map_err(|_| Error::usage("the public key for the demo server is not a line of a `.pub` file"))?,
            ),
            None => None,
        };
        let mut types = vec![Algorithm::Ed25519];
        if options.ecdsa_host_key {
            types.push(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
        }
        let keys = types
            .into_iter()
            .map(|algorithm| PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Error::internal("cannot make a host key"))?;
        let host_keys = keys.iter().map(|key| key.public_key().clone()).collect();
        let requests = Requests::default();
        let attempts = Arc::new(AtomicUsize::new(0));
        let door = Arc::new(Door {
            root,
            user: user.to_owned(),
            password: password.clone(),
            key: accepted_key,
            quirk: options.quirk,
            requests: requests.clone(),
            attempts: Arc::clone(&attempts),
        });
        let mut config = russh::server::Config {
            methods: methods(options),
            // Guessing through the loopback interface is no threat, and tests should not wait.
            auth_rejection_time: Duration::ZERO,
            keys,
            preferred: if options.quirk == Some(Quirk::OnlyLegacy) { legacy() } else { Preferred::default() },
            nodelay: true,
            ..russh::server::Config::default()
        };
        if options.quirk == Some(Quirk::Repeats) {
            config.server_id = SshId::Standard(Cow::Owned(format!("SSH-2.0-{}", password.expose())));
        }
        let config = Arc::new(config);

        let failed = |error: std::io::Error| Error::environment(format!("cannot start a server on 127.0.0.1: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("phds-demo-sftp")
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // No more file descriptors, for example; the next moment may be better.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let visitor = Visitor { door: Arc::clone(&door), channels: HashMap::new() };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, visitor).await {
                        // A visitor who hangs up, or fails to log in, is none of the server's concern.
                        let _ = session.await;
                    }
                });
            }
        });
        Ok(Self { port, host_keys, requests, attempts, runtime: Some(runtime) })
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The line for `known_hosts` of the Ed25519 key: `[127.0.0.1]:PORT TYPE BASE64`, without a line break.
    pub fn host_key_line(&self) -> String {
        self.host_key_lines().swap_remove(0)
    }

    /// One line for `known_hosts` for each host key, the Ed25519 one first.
    pub fn host_key_lines(&self) -> Vec<String> {
        self.host_keys
            .iter()
            // A key that was just made can be written as text; the writer fails only on a comment too long for it.
            .map(|key| format!("[127.0.0.1]:{} {}", self.port, key.to_openssh().unwrap_or_default().trim_end()))
            .collect()
    }

    /// `SHA256:…` of the Ed25519 key.
    pub fn host_key_fingerprint(&self) -> String {
        self.host_key_fingerprints().swap_remove(0)
    }

    /// `SHA256:…` of each host key, the Ed25519 one first.
    pub fn host_key_fingerprints(&self) -> Vec<String> {
        self.host_keys.iter().map(|key| key.fingerprint(HashAlg::Sha256).to_string()).collect()
    }

    /// How many proofs (passwords, answers, signed keys) were received over all connections, right or wrong.
    pub fn login_attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }

    /// The names of the requests received over all connections, in order; the same one several times in a row is one
    /// entry. Reading requests are `init`, `opendir`, `readdir`, `stat`, `lstat`, `fstat`, `realpath`, `open-read`,
    /// `read`, `close`; refused ones are `open-write`, `write`, `setstat`, `fsetstat`, `remove`, `mkdir`, `rmdir`,
    /// `rename`, `symlink`, `readlink`, `extended NAME`, `exec`, `shell`, `subsystem NAME`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn methods(options: &LoginOptions) -> MethodSet {
    let mut methods = MethodSet::empty();
    if options.public_key.is_some() {
        methods.push(MethodKind::PublicKey);
    }
    if options.keyboard_interactive {
        methods.push(MethodKind::KeyboardInteractive);
    }
    if options.password {
        methods.push(MethodKind::Password);
    }
    methods
}

fn legacy() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[kex::DH_G14_SHA1]),
        // Also the signatures by which keys may log in. The host key is Ed25519 all the same: making an RSA key takes
        // long.
        key: Cow::Borrowed(&[Algorithm::Ed25519, Algorithm::Rsa { hash: None }]),
        cipher: Cow::Borrowed(&[cipher::AES_128_CBC]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA1]),
        ..Preferred::default()
    }
}

#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

impl Requests {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        lock(&self.0)
    }

    fn note(&self, name: &str) {
        let mut names = self.lock();
        // A download has thousands of reads; one entry keeps a long demo small.
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
}

/// What all connections share.
struct Door {
    root: PathBuf,
    user: String,
    password: Secret,
    key: Option<PublicKey>,
    quirk: Option<Quirk>,
    requests: Requests,
    attempts: Arc<AtomicUsize>,
}

impl Door {
    async fn opens_to(&self, user: &str, password: &[u8]) -> Result<Auth, russh::Error> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.quirk {
            Some(Quirk::HangsUp) => return Err(russh::Error::Disconnect),
            Some(Quirk::Silent) => std::future::pending().await,
            _ => {}
        }
        Ok(accept_if(user == self.user && password == self.password.expose().as_bytes()))
    }

    /// The password, where it is said back.
    fn repeated(&self) -> &str {
        if self.quirk == Some(Quirk::Repeats) { self.password.expose() } else { "" }
    }

    fn knows(&self, user: &str, shown: &PublicKey) -> Auth {
        accept_if(user == self.user && self.key.as_ref().is_some_and(|key| key.key_data() == shown.key_data()))
    }
}

fn accept_if(accepted: bool) -> Auth {
    if accepted { Auth::Accept } else { Auth::reject() }
}

/// One connection.
struct Visitor {
    door: Arc<Door>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl russh::server::Handler for Visitor {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(Some(self.door.repeated().to_owned()).filter(|banner| !banner.is_empty()))
    }

    // The library asks for these only when the method is among those offered.

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.door.opens_to(user, password.as_bytes()).await
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response {
            Some(mut answers) => self.door.opens_to(user, &answers.next().unwrap_or_default()).await,
            None => Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Owned(vec![(Cow::Owned(format!("Password: {}", self.door.repeated())), false)]),
            }),
        }
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.door.knows(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.door.attempts.fetch_add(1, Ordering::Relaxed);
        Ok(self.door.knows(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Result<(), Self::Error> {
        match self.channels.remove(&id) {
            Some(channel) if name == "sftp" => {
                session.channel_success(id)?;
                russh_sftp::server::run(channel.into_stream(), Clerk::new(&self.door)).await;
                Ok(())
            }
            _ => {
                self.door.requests.note(&format!("subsystem {name}"));
                session.channel_failure(id)
            }
        }
    }

    async fn exec_request(&mut self, id: ChannelId, _command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        self.door.requests.note("exec");
        session.channel_failure(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.door.requests.note("shell");
        session.channel_failure(id)
    }
}

enum Open {
    File(File),
    Folder(Box<dyn Iterator<Item = Entry> + Send>),
}

/// Answers the SFTP requests of one channel.
struct Clerk {
    root: PathBuf,
    requests: Requests,
    quirk: Option<Quirk>,
    /// Said with a failure when a folder was listed.
    complaint: Option<String>,
    open: HashMap<String, Open>,
    next: u64,
}

impl Clerk {
    fn new(door: &Door) -> Self {
        let complaint = (door.quirk == Some(Quirk::Repeats))
            .then(|| format!("you sent {}, {}", door.repeated(), door.repeated().to_uppercase()));
        Self {
            root: door.root.clone(),
            requests: door.requests.clone(),
            quirk: door.quirk,
            complaint,
            open: HashMap::new(),
            next: 0,
        }
    }

    /// The real place of a path of the client; never outside the served folder, also not through a link.
    fn place(&self, path: &str) -> Result<PathBuf, StatusCode> {
        let mut place = self.root.clone();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(StatusCode::PermissionDenied),
                part if part.contains(['\\', '\0', ':']) => return Err(StatusCode::NoSuchFile),
                part => place.push(part),
            }
        }
        let place = place.canonicalize().map_err(|error| status_of(&error))?;
        if place.starts_with(&self.root) { Ok(place) } else { Err(StatusCode::PermissionDenied) }
    }

    fn attributes(&self, path: &str) -> Result<FileAttributes, StatusCode> {
        self.place(path)?.metadata().map(|found| FileAttributes::from(&found)).map_err(|error| status_of(&error))
    }

    fn keep(&mut self, id: u32, open: Open) -> Result<Handle, StatusCode> {
        if self.open.len() >= MOST_HANDLES {
            return Err(StatusCode::Failure);
        }
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn refuse<T>(&self, name: &str) -> Result<T, StatusCode> {
        self.requests.note(name);
        Err(StatusCode::PermissionDenied)
    }
}

fn status_of(error: &std::io::Error) -> StatusCode {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => StatusCode::NoSuchFile,
        std::io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    }
}

fn done(id: u32) -> Status {
    Status { id, status_code: StatusCode::Ok, error_message: "Ok".into(), language_tag: "en".into() }
}

/// Reads until the buffer is full or the file ends. Blocks the server's thread for a moment, which one visitor of a
/// demo does not notice.
fn read_at(file: &mut File, offset: u64, most: usize) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::with_capacity(most);
    file.take(most as u64).read_to_end(&mut data)?;
    Ok(data)
}

impl russh_sftp::server::Handler for Clerk {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn init(&mut self, _version: u32, _extensions: HashMap<String, String>) -> Result<Version, StatusCode> {
        self.requests.note("init");
        Ok(Version::new())
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        self.requests.note("realpath");
        let place = self.place(&path)?;
        let inside = place.strip_prefix(&self.root).map_err(|_| StatusCode::PermissionDenied)?;
        let shown = inside
            .components()
            .fold(String::new(), |shown, part| format!("{shown}/{}", part.as_os_str().to_string_lossy()));
        Ok(Name { id, files: vec![Entry::dummy(if shown.is_empty() { "/".into() } else { shown })] })
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        self.requests.note("stat");
        Ok(Attrs { id, attrs: self.attributes(&path)? })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        self.requests.note("lstat");
        Ok(Attrs { id, attrs: self.attributes(&path)? })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusCode> {
        self.requests.note("fstat");
        match self.open.get(&handle) {
            Some(Open::File(file)) => {
                let found = file.metadata().map_err(|error| status_of(&error))?;
                Ok(Attrs { id, attrs: FileAttributes::from(&found) })
            }
            _ => Err(StatusCode::Failure),
        }
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        self.requests.note("opendir");
        if let Some(Quirk::Invents { names, bytes }) = self.quirk {
            let attrs = FileAttributes { size: Some(0), ..FileAttributes::empty() };
            let entry = Entry { filename: "x".repeat(bytes), longname: String::new(), attrs };
            return self.keep(id, Open::Folder(Box::new(std::iter::repeat_n(entry, names))));
        }
        let mut entries = Vec::new();
        for entry in self.place(&path)?.read_dir().map_err(|error| status_of(&error))? {
            let entry = entry.map_err(|error| status_of(&error))?;
            // Follows links, and leaves out the ones that lead nowhere or out of the folder.
            let Ok(place) = entry.path().canonicalize() else { continue };
            if let (true, Ok(found)) = (place.starts_with(&self.root), place.metadata()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                entries.push(Entry::new(name, FileAttributes::from(&found)));
            }
        }
        self.keep(id, Open::Folder(Box::new(entries.into_iter())))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusCode> {
        self.requests.note("readdir");
        let Some(Open::Folder(entries)) = self.open.get_mut(&handle) else { return Err(StatusCode::Failure) };
        let most = match self.quirk {
            Some(Quirk::ListsNothing) => return Ok(Name { id, files: Vec::new() }),
            // As many as fit.
            Some(Quirk::Invents { bytes, .. }) => MOST_READ as usize / (bytes + 64),
            _ => NAMES_AT_ONCE,
        };
        let files: Vec<_> = entries.take(most).collect();
        if files.is_empty() { Err(StatusCode::Eof) } else { Ok(Name { id, files }) }
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        _attributes: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        if flags.bits() != OpenFlags::READ.bits() {
            return self.refuse("open-write");
        }
        self.requests.note("open-read");
        let place = self.place(&filename)?;
        if !place.is_file() {
            return Err(StatusCode::Failure);
        }
        let file = File::open(place).map_err(|error| status_of(&error))?;
        self.keep(id, Open::File(file))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, StatusCode> {
        self.requests.note("read");
        let Some(Open::File(file)) = self.open.get_mut(&handle) else { return Err(StatusCode::Failure) };
        let data = read_at(file, offset, len.min(MOST_READ) as usize).map_err(|error| status_of(&error))?;
        if data.is_empty() { Err(StatusCode::Eof) } else { Ok(Data { id, data }) }
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        self.requests.note("close");
        match (self.open.remove(&handle), &self.complaint) {
            (Some(Open::Folder(_)), Some(complaint)) => {
                Ok(Status { status_code: StatusCode::Failure, error_message: complaint.clone(), ..done(id) })
            }
            (Some(_), _) => Ok(done(id)),
            (None, _) => Err(StatusCode::Failure),
        }
    }

    async fn write(&mut self, _: u32, _: String, _: u64, _: Vec<u8>) -> Result<Status, StatusCode> {
        self.refuse("write")
    }

    async fn setstat(&mut self, _: u32, _: String, _: FileAttributes) -> Result<Status, StatusCode> {
        self.refuse("setstat")
    }

    async fn fsetstat(&mut self, _: u32, _: String, _: FileAttributes) -> Result<Status, StatusCode> {
        self.refuse("fsetstat")
    }

    async fn remove(&mut self, _: u32, _: String) -> Result<Status, StatusCode> {
        self.refuse("remove")
    }

    async fn mkdir(&mut self, _: u32, _: String, _: FileAttributes) -> Result<Status, StatusCode> {
        self.refuse("mkdir")
    }

    async fn rmdir(&mut self, _: u32, _: String) -> Result<Status, StatusCode> {
        self.refuse("rmdir")
    }

    async fn rename(&mut self, _: u32, _: String, _: String) -> Result<Status, StatusCode> {
        self.refuse("rename")
    }

    async fn symlink(&mut self, _: u32, _: String, _: String) -> Result<Status, StatusCode> {
        self.refuse("symlink")
    }

    async fn readlink(&mut self, _: u32, _: String) -> Result<Name, StatusCode> {
        self.refuse("readlink")
    }

    async fn extended(&mut self, _: u32, request: String, _: Vec<u8>) -> Result<Packet, StatusCode> {
        // Whatever it is (some extensions rename or copy), this server has none.
        self.requests.note(&format!("extended {request}"));
        Err(StatusCode::OpUnsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clerk(root: &Path) -> Clerk {
        Clerk {
            root: root.canonicalize().unwrap(),
            requests: Requests::default(),
            quirk: None,
            complaint: None,
            open: HashMap::new(),
            next: 0,
        }
    }

    #[test]
    fn stays_in_its_folder() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("inner")).unwrap();
        std::fs::write(root.join("inner/a.csv"), "a").unwrap();
        std::fs::write(outer.path().join("secret"), "s").unwrap();
        let clerk = clerk(&root);
        for path in ["", ".", "/", "./inner", "inner/a.csv", "/inner//./a.csv"] {
            assert!(clerk.place(path).unwrap().starts_with(&clerk.root), "{path}");
        }
        for path in ["..", "../secret", "inner/../../secret", "/../secret", "inner/../inner/a.csv"] {
            assert_eq!(clerk.place(path).unwrap_err(), StatusCode::PermissionDenied, "{path}");
        }
        for path in ["missing", "inner/a.csv/b", "a\0b", "C:a", "a\\b"] {
            assert_eq!(clerk.place(path).unwrap_err(), StatusCode::NoSuchFile, "{path}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outer.path().join("secret"), root.join("link")).unwrap();
            std::os::unix::fs::symlink(root.join("inner/a.csv"), root.join("good")).unwrap();
            assert_eq!(clerk.place("link").unwrap_err(), StatusCode::PermissionDenied);
            assert!(clerk.place("good").is_ok());
        }
    }

    #[test]
    fn every_change_is_refused_and_noted() {
        use russh_sftp::server::Handler as _;
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "a").unwrap();
        let mut clerk = clerk(root.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let attributes = FileAttributes::empty;
        let a = || "a".to_owned();
        let denied = runtime.block_on(async {
            let mut denied = Vec::new();
            for flags in [
                OpenFlags::WRITE,
                OpenFlags::READ | OpenFlags::WRITE,
                OpenFlags::READ | OpenFlags::TRUNCATE,
                OpenFlags::READ | OpenFlags::CREATE,
                OpenFlags::APPEND,
            ] {
                denied.push(clerk.open(1, a(), flags, attributes()).await.unwrap_err());
            }
            denied.push(clerk.write(1, a(), 0, vec![1]).await.unwrap_err());
            denied.push(clerk.setstat(1, a(), attributes()).await.unwrap_err());
            denied.push(clerk.fsetstat(1, a(), attributes()).await.unwrap_err());
            denied.push(clerk.remove(1, a()).await.unwrap_err());
            denied.push(clerk.mkdir(1, a(), attributes()).await.unwrap_err());
            denied.push(clerk.rmdir(1, a()).await.unwrap_err());
            denied.push(clerk.rename(1, a(), a()).await.unwrap_err());
            denied.push(clerk.symlink(1, a(), a()).await.unwrap_err());
            denied
        });
        assert!(denied.iter().all(|status| *status == StatusCode::PermissionDenied));
        let noted = clerk.requests.lock().join(" ");
        assert_eq!(noted, "open-write write setstat fsetstat remove mkdir rmdir rename symlink");
        assert_eq!(std::fs::read(root.path().join("a")).unwrap(), b"a");
    }
}
