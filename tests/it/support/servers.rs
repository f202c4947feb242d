//! Real servers on loopback (`tests/servers`): OpenSSH, proftpd and vsftpd, each in a throwaway folder.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use phds::fetch::{RemoteFile, Source};

/// The account of all servers but vsftpd, which knows `ftp` alone.
pub const USER: &str = "phds-test";

/// What opens the keys `ssh/user_…_locked`.
pub const PASSPHRASE: &str = "p4ss phrase";

/// A folder for a server: certificates, keys, users, logs, and `root`, which is served.
pub struct Place {
    root: tempfile::TempDir,
}

impl Place {
    /// With what an FTPS server needs: a private authority and certificates in `pki`.
    pub fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        place.run("state.sh");
        place
    }

    /// With what an SFTP server needs too: keys of the server and of the user in `ssh`.
    pub fn with_keys() -> Self {
        let place = Self::new();
        place.run("keys.sh");
        place
    }

    fn run(&self, script: &str) {
        let made = Command::new("bash").arg(scripts().join(script)).arg(self.root.path()).output().unwrap();
        assert!(made.status.success(), "{script}: {}", String::from_utf8_lossy(&made.stderr));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The content of a file that the server wrote, empty before it did.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("log").join(name)).unwrap_or_default()
    }

    pub fn password(&self) -> String {
        std::fs::read_to_string(self.path("run/password")).unwrap()
    }

    /// Serves a file, last changed on 2024-07-08 at 09:06:03 UTC.
    pub fn put(&self, name: &str, content: &[u8]) {
        let path = self.path("root").join(name);
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_720_429_563);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// The host key of one type as a line of `known_hosts` for the server, or the proxy before it, on `port`.
    pub fn host_key_line(&self, key_type: &str, port: u16) -> String {
        let key = std::fs::read_to_string(self.path(&format!("ssh/host_{key_type}.pub"))).unwrap();
        format!("[127.0.0.1]:{port} {key}")
    }
}

/// A real server. It ends when it is dropped, and when the thread ends that started it.
pub struct Server {
    /// Kept over [`Server::start_again`]. The next 40 belong to the server too.
    pub port: u16,
    kind: String,
    certificate: String,
    state: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// A server of a kind that `tests/servers/serve.sh` lists, on a port of its own, with the good certificate.
    pub fn start(place: &Place, kind: &str) -> Self {
        Self::start_with(place, kind, "good", free_ports())
    }

    pub fn start_with(place: &Place, kind: &str, certificate: &str, port: u16) -> Self {
        let state = place.root.path().to_owned();
        let mut server =
            Self { port, kind: kind.to_owned(), certificate: certificate.to_owned(), state, process: None };
        server.start_again();
        server
    }

    /// Ends the server and all its sessions at once, as a crash would.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let family = family(process.id());
        let _ =
            Command::new("kill").arg("-KILL").args(family.iter().map(u32::to_string)).stderr(Stdio::null()).status();
        let _ = process.wait();
    }

    /// Starts it on the same port, after [`Server::stop`].
    pub fn start_again(&mut self) {
        let mut process = Command::new("bash")
            .arg(scripts().join("serve.sh"))
            .args([&self.kind, &self.port.to_string()])
            .arg(&self.state)
            .env("CERT", &self.certificate)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        loop {
            let has_ended = process.try_wait().unwrap().is_some();
            if has_ended || begun.elapsed() > Duration::from_secs(20) {
                let _ = process.kill();
                let mut words = String::new();
                process.stderr.take().unwrap().read_to_string(&mut words).unwrap();
                let log = std::fs::read_to_string(self.state.join("log/sshd")).unwrap_or_default();
                panic!("the test server {} did not start: {words}{log}", self.kind);
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A process and all that came of it. Servers give each session a process, which outlives the one that listens.
fn family(first: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // `ID (NAME) STATE PARENT …`, where NAME may hold anything.
        let Ok(line) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = line.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (process, parent)));
    }
    let mut family = vec![first];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        at += 1;
    }
    family
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}

/// The first of 50 ports below those that the system hands out.
pub fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200).unwrap();
    loop {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 200 * 50;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// These are the three files of the tests of real servers, as [`Place::put`] makes them, and each looks the same alone.
pub fn assert_listed(source: &mut dyn Source, mut files: Vec<RemoteFile>) {
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
    assert_eq!(shown, [("-a ü;b.csv", 3), ("PHDS 2024_07.csv", 5_000_001), ("empty.csv", 0)]);
    for file in &files {
        assert_eq!(file.modified.unwrap().timestamp(), 1_720_429_563, "{}", file.name);
        assert_eq!(source.stat(&file.name).unwrap(), *file);
    }
}
