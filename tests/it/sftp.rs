//! `SftpSource` against a real server in this process.

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use phds::demo::server::{LoginOptions, LoopbackServer};
use phds::error::{Error, ErrorKind};
use phds::fetch::Source;
use phds::fetch::known_hosts::{KnownHosts, Verdict};
use phds::fetch::sftp::{Credential, SftpSettings, SftpSource};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};

use crate::support::transfer::{download, noise, secret};

const USER: &str = "clinic@sftp.example.org";
/// The characters that break a client which pastes a password into a URL.
const PASSWORD: &str = "p: @/#%w2!";

struct Place {
    _root: tempfile::TempDir,
    served: PathBuf,
    known_hosts: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let served = root.path().join("served");
        std::fs::create_dir(&served).unwrap();
        Self { served, known_hosts: root.path().join("known_hosts"), _root: root }
    }

    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.served.join(name), content).unwrap();
    }

    fn trust(&self, lines: &[String]) {
        std::fs::write(&self.known_hosts, lines.join("\n") + "\n").unwrap();
    }

    fn serve(&self, options: &LoginOptions) -> LoopbackServer {
        let server = LoopbackServer::start_with(&self.served, USER, &secret(PASSWORD), options).unwrap();
        self.trust(&server.host_key_lines());
        server
    }

    fn settings(&self, port: u16) -> SftpSettings {
        SftpSettings {
            port,
            timeout: Duration::from_secs(20),
            ..SftpSettings::new("127.0.0.1", USER, self.known_hosts.clone())
        }
    }
}

fn password() -> Credential {
    Credential::Password(secret(PASSWORD))
}

fn refusal(settings: &SftpSettings, credential: &Credential) -> Error {
    let error = SftpSource::connect(settings, credential).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("wrong-password"), "{shown}");
    error
}

/// A throwaway key: the text of its file, the same locked with a passphrase, and its public line.
fn throwaway_key(passphrase: &str) -> (String, String, String) {
    let mut random = russh::keys::key::safe_rng();
    let key = PrivateKey::random(&mut random, Algorithm::Ed25519).unwrap();
    let text = |key: &PrivateKey| key.to_openssh(LineEnding::LF).unwrap().to_string();
    let locked = key.encrypt(&mut random, passphrase).unwrap();
    (text(&key), text(&locked), key.public_key().to_openssh().unwrap())
}

fn key_file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("key");
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

#[test]
fn lists_plain_files_only() {
    let place = Place::new();
    place.put("PHDS 2026_11.csv", b"12345");
    place.put("empty.csv", b"");
    for index in 0..150 {
        place.put(&format!("many-{index}"), b"1");
    }
    std::fs::create_dir(place.served.join("folder")).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::File::options()
        .write(true)
        .open(place.served.join("PHDS 2026_11.csv"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        std::fs::write(place.served.join(std::ffi::OsStr::from_bytes(b"bad\xff.csv")), "x").unwrap();
        std::os::unix::fs::symlink("PHDS 2026_11.csv", place.served.join("link.csv")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.served.join("dangling.csv")).unwrap();
    }
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();

    let mut files = source.list().unwrap();
    files.retain(|file| !file.name.starts_with("many-"));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
    let expected = [("PHDS 2026_11.csv", 5), ("empty.csv", 0), ("link.csv", 5)];
    assert_eq!(shown, if cfg!(target_os = "linux") { &expected[..] } else { &expected[..2] });
    assert_eq!(files[0].modified.unwrap().timestamp(), 1_700_000_000);
    assert_eq!(source.list().unwrap().iter().filter(|file| file.name.starts_with("many-")).count(), 150);

    assert_eq!(source.stat("PHDS 2026_11.csv").unwrap(), files[0]);
    assert_eq!(source.stat("missing.csv").unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(source.stat("folder").unwrap_err().kind(), ErrorKind::Refused);
    for name in ["", ".", "..", "../x", "folder/x", "a\\b", "a\nb", "a\0b"] {
        assert_eq!(source.stat(name).unwrap_err().kind(), ErrorKind::Refused, "{name:?}");
        assert_eq!(source.open_at(name, 0).err().unwrap().kind(), ErrorKind::Refused, "{name:?}");
    }
}

#[test]
fn downloads_every_byte_from_any_offset() {
    let place = Place::new();
    let sizes = [0, 1, 64 * 1024 + 1, 50_000_000];
    for size in sizes {
        place.put(&size.to_string(), &noise(size));
    }
    let server = place.serve(&LoginOptions::default());
    for max_reads in [1, 48] {
        let settings = SftpSettings { max_reads, ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        for size in sizes {
            assert!(download(&mut source, &size.to_string(), 0) == noise(size), "{size} bytes, {max_reads} reads");
        }
        for offset in [0, 1, 65_535, 65_536, 65_537, 70_000, u64::from(u32::MAX) + 1] {
            let expected = noise(65_537).get(usize::try_from(offset).unwrap()..).unwrap_or_default().to_vec();
            assert!(download(&mut source, "65537", offset) == expected, "from {offset}");
        }
        assert!(download(&mut source, "50000000", 49_000_123) == noise(50_000_000)[49_000_123..]);
    }
    let error =
        SftpSource::connect(&place.settings(server.port()), &password()).unwrap().open_at("missing", 0).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.message().contains("no such file"), "{error}");
}

#[test]
fn serves_a_subfolder() {
    let place = Place::new();
    std::fs::create_dir(place.served.join("out")).unwrap();
    place.put("out/a.csv", b"abc");
    let server = place.serve(&LoginOptions::default());
    for folder in ["out", "/out", "out/", "./out"] {
        let settings = SftpSettings { folder: folder.into(), ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        assert_eq!(source.list().unwrap()[0].name, "a.csv");
        assert_eq!(download(&mut source, "a.csv", 1), b"bc");
    }
    let settings = SftpSettings { folder: "missing".into(), ..place.settings(server.port()) };
    let error = SftpSource::connect(&settings, &password()).unwrap().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
}

#[test]
fn only_ever_reads() {
    let place = Place::new();
    place.put("a.csv", &noise(1_000_000));
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    source.list().unwrap();
    source.stat("a.csv").unwrap();
    download(&mut source, "a.csv", 10);
    // Given up in the middle.
    let mut start = [0; 10];
    source.open_at("a.csv", 0).unwrap().read_exact(&mut start).unwrap();
    source.stat("a.csv").unwrap();
    drop(source);
    let requests = server.requests();
    let allowed = ["init", "opendir", "readdir", "stat", "open-read", "read", "close"];
    for request in &requests {
        assert!(allowed.contains(&request.as_str()), "{requests:?}");
    }
    for request in allowed {
        assert!(requests.iter().any(|name| name == request), "no {request} in {requests:?}");
    }
    let count = |name: &str| requests.iter().filter(|request| *request == name).count();
    assert_eq!(count("close"), count("open-read") + count("opendir"), "{requests:?}");
}

#[test]
fn tells_where_it_comes_from() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    let origin = source.origin();
    assert_eq!(origin.protocol, "sftp");
    assert_eq!(origin.server, format!("127.0.0.1:{}", server.port()));
    assert_eq!(origin.server_identity, server.host_key_fingerprint());
    assert!(!format!("{source:?} {server:?}").contains(PASSWORD));
}

#[test]
fn a_wrong_login_is_tried_once() {
    let place = Place::new();
    let both = LoginOptions { keyboard_interactive: true, ..LoginOptions::default() };
    let questions = LoginOptions { password: false, ..both.clone() };
    for options in [LoginOptions::default(), both, questions] {
        let server = place.serve(&options);
        let settings = place.settings(server.port());
        let error = refusal(&settings, &Credential::Password(secret("wrong-password")));
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().contains("refused the password"), "{error}");
        assert_eq!(server.login_attempts(), 1);
        let stranger = SftpSettings { user: "stranger".into(), ..settings };
        assert_eq!(refusal(&stranger, &password()).kind(), ErrorKind::Credentials);
        assert!(server.requests().is_empty());
    }
}

#[test]
fn answers_a_question_with_the_password() {
    let place = Place::new();
    place.put("a.csv", b"abc");
    let server = place.serve(&LoginOptions { password: false, keyboard_interactive: true, ..LoginOptions::default() });
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    assert_eq!(download(&mut source, "a.csv", 0), b"abc");
}

#[test]
fn logs_in_with_a_key() {
    let place = Place::new();
    place.put("a.csv", b"abc");
    let (plain, locked, public) = throwaway_key("correct horse");
    let options = LoginOptions { password: false, public_key: Some(public), ..LoginOptions::default() };
    let server = place.serve(&options);
    let settings = place.settings(server.port());
    let folder = tempfile::tempdir().unwrap();

    let path = key_file(folder.path(), &plain);
    let key = Credential::Key { path: path.clone(), passphrase: None };
    let mut source = SftpSource::connect(&settings, &key).unwrap();
    assert_eq!(download(&mut source, "a.csv", 0), b"abc");
    // Nobody may try a password on a server that takes keys only.
    let error = refusal(&settings, &password());
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("offers: publickey"), "{error}");
    assert_eq!(server.login_attempts(), 1);

    key_file(folder.path(), &locked);
    let open = |passphrase: Option<&str>| Credential::Key { path: path.clone(), passphrase: passphrase.map(secret) };
    SftpSource::connect(&settings, &open(Some("correct horse"))).unwrap();
    for (passphrase, text) in [(None, "locked"), (Some("wrong-password"), "passphrase is wrong")] {
        let error = refusal(&settings, &open(passphrase));
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().contains(text), "{error}");
    }
    key_file(folder.path(), "no key at all");
    assert_eq!(refusal(&settings, &open(None)).kind(), ErrorKind::Credentials);

    // A key that the server does not know, and a key for a server that takes passwords only.
    key_file(folder.path(), &plain);
    let other = LoginOptions {
        public_key: Some(server.host_key_line().split_once(' ').unwrap().1.to_owned()),
        ..options.clone()
    };
    let other = place.serve(&other);
    let error = refusal(&place.settings(other.port()), &key);
    assert!(error.message().contains("refused the key"), "{error}");
    let passwords = place.serve(&LoginOptions::default());
    let error = refusal(&place.settings(passwords.port()), &key);
    assert!(error.message().contains("offers: password"), "{error}");

    #[cfg(unix)]
    {
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let error = refusal(&settings, &key);
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().contains("other users"), "{error}");
    }
}

#[test]
fn an_unknown_server_is_told_nothing() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let settings = place.settings(server.port());
    for content in [None, Some("elsewhere ssh-ed25519 AAAA\n")] {
        match content {
            None => std::fs::remove_file(&place.known_hosts).unwrap(),
            Some(text) => std::fs::write(&place.known_hosts, text).unwrap(),
        }
        let error = refusal(&settings, &password());
        assert_eq!(error.kind(), ErrorKind::Credentials);
        let shown = error.to_string();
        for part in [
            &server.host_key_fingerprint(),
            "ssh-ed25519",
            &format!("ssh-keyscan -p {} -t ed25519 '127.0.0.1' >> ", server.port()),
            &place.known_hosts.display().to_string(),
        ] {
            assert!(shown.contains(part), "{part} is not in: {shown}");
        }
        assert_eq!(server.login_attempts(), 0);
    }
}

#[test]
fn a_changed_or_revoked_server_is_told_nothing() {
    let place = Place::new();
    let other = place.serve(&LoginOptions::default());
    let server = place.serve(&LoginOptions::default());
    let settings = place.settings(server.port());
    let key_of_other = other.host_key_line().split_once(' ').unwrap().1.to_owned();
    let ecdsa = place.serve(&LoginOptions { ecdsa_host_key: true, ..LoginOptions::default() });
    let key_of_another_type = ecdsa.host_key_lines()[1].split_once(' ').unwrap().1.to_owned();
    for key in [key_of_other, key_of_another_type] {
        place.trust(&[format!("[127.0.0.1]:{} {key}", server.port())]);
        let error = refusal(&settings, &password());
        assert_eq!(server.login_attempts(), 0);
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().starts_with("THE SERVER IS NOT THE ONE"), "{error}");
        assert!(error.message().contains(&server.host_key_fingerprint()), "{error}");
    }
    let line = server.host_key_line();
    place.trust(&[line.clone(), format!("@revoked * {}", line.split_once(' ').unwrap().1)]);
    for host_key in [None, Some(server.host_key_fingerprint())] {
        let error = refusal(&SftpSettings { host_key, ..settings.clone() }, &password());
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().contains("REVOKED"), "{error}");
    }
}

#[test]
fn a_pinned_key_needs_no_file() {
    let place = Place::new();
    let server = place.serve(&LoginOptions { ecdsa_host_key: true, ..LoginOptions::default() });
    std::fs::remove_file(&place.known_hosts).unwrap();
    let settings = place.settings(server.port());
    // Also the one that the server would not show first.
    for pin in server.host_key_fingerprints() {
        let settings = SftpSettings { host_key: Some(pin.clone()), ..settings.clone() };
        let source = SftpSource::connect(&settings, &password()).unwrap();
        assert_eq!(source.origin().server_identity, pin);
    }
    let other = place.serve(&LoginOptions::default());
    // `known_hosts` is right and the pin is not: the pin decides.
    place.trust(&server.host_key_lines());
    let settings = SftpSettings { host_key: Some(other.host_key_fingerprint()), ..settings };
    let error = refusal(&settings, &password());
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("PINNED"), "{error}");
    for shown in server.host_key_fingerprints() {
        assert!(error.message().contains(&shown), "{error}");
    }
}

#[test]
fn asks_for_the_type_of_key_that_is_listed() {
    let place = Place::new();
    let server = place.serve(&LoginOptions { ecdsa_host_key: true, ..LoginOptions::default() });
    place.trust(&server.host_key_lines()[1..]);
    let source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    assert_eq!(source.origin().server_identity, server.host_key_fingerprints()[1]);
}

#[test]
fn the_line_of_the_server_is_a_known_hosts_line() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let known = KnownHosts::read(&place.known_hosts).unwrap();
    assert_eq!(known.key_types("127.0.0.1", server.port()).len(), 1);
    let key = server.host_key_line();
    let key = key.split_once(' ').unwrap().1.parse().unwrap();
    assert_eq!(known.verdict("127.0.0.1", server.port(), &key), Verdict::Known);
}

#[test]
fn network_trouble_is_told_apart() {
    let place = Place::new();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refusal(&place.settings(port), &password());
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.message().contains(&format!("cannot connect to 127.0.0.1:{port}")), "{error}");

    let mut settings = SftpSettings { host: "no-such-host.invalid".into(), ..place.settings(22) };
    assert_eq!(refusal(&settings, &password()).kind(), ErrorKind::Environment);

    // Accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    settings = SftpSettings { timeout: Duration::from_secs(1), ..place.settings(mute.local_addr().unwrap().port()) };
    let begun = Instant::now();
    assert_eq!(refusal(&settings, &password()).kind(), ErrorKind::Environment);
    assert!(begun.elapsed() < Duration::from_secs(10));

    // Is no SSH server.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    settings.port = web.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        stream.write_all(b"220 FTP ready\r\n").unwrap();
    });
    assert_eq!(refusal(&settings, &password()).kind(), ErrorKind::Environment);
    answering.join().unwrap();
}

enum Fault {
    Stall,
    Cut,
    /// 64 KiB at a time, with this pause after each.
    Slow(Duration),
}

/// Passes bytes between a client and `port`; `Stall` and `Cut` come when `until` bytes have gone to the client.
fn proxy(port: u16, until: u64, fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut up_from, &mut up_to);
        });
        if let Fault::Slow(pause) = fault {
            while matches!(std::io::copy(&mut (&server).take(64 * 1024), &mut &client), Ok(1..)) {
                std::thread::sleep(pause);
            }
        } else {
            let _ = std::io::copy(&mut (&server).take(until), &mut &client);
        }
        if matches!(fault, Fault::Cut) {
            let _ = client.shutdown(Shutdown::Both);
        }
        // Ends when the client gives up.
        let _ = up.join();
    });
    own
}

#[test]
fn a_download_that_breaks_is_an_error() {
    let place = Place::new();
    place.put("a.csv", &noise(8_000_000));
    let server = place.serve(&LoginOptions::default());
    let key = server.host_key_line().split_once(' ').unwrap().1.to_owned();
    for (fault, kind) in [(Fault::Stall, IoKind::TimedOut), (Fault::Cut, IoKind::Other)] {
        let port = proxy(server.port(), 3_000_000, fault);
        place.trust(&[format!("[127.0.0.1]:{port} {key}")]);
        let settings = SftpSettings { timeout: Duration::from_secs(1), ..place.settings(port) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        let mut bytes = Vec::new();
        let begun = Instant::now();
        {
            let mut reader = source.open_at("a.csv", 0).unwrap();
            let error = reader.read_to_end(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
            assert_eq!(inner.kind(), ErrorKind::Environment);
            assert!(inner.message().contains("cannot read `a.csv`"), "{inner}");
            assert!(reader.read(&mut [0; 1]).is_err(), "an error is final");
        }
        // What came before the fault is right, so that a download can go on from there.
        assert!(!bytes.is_empty() && bytes == noise(8_000_000)[..bytes.len()]);
        assert_eq!(source.stat("a.csv").unwrap_err().kind(), ErrorKind::Environment);
        drop(source);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_slow_line_is_not_a_dead_one() {
    let place = Place::new();
    place.put("a.csv", &noise(6_000_000));
    let server = place.serve(&LoginOptions::default());
    let port = proxy(server.port(), 0, Fault::Slow(Duration::from_millis(25)));
    place.trust(&[format!("[127.0.0.1]:{port} {}", server.host_key_line().split_once(' ').unwrap().1)]);
    // All reads are in flight at once and the last one is answered after more than two seconds.
    let settings = SftpSettings { timeout: Duration::from_secs(1), ..place.settings(port) };
    let mut source = SftpSource::connect(&settings, &password()).unwrap();
    let begun = Instant::now();
    assert!(download(&mut source, "a.csv", 0) == noise(6_000_000));
    assert!(begun.elapsed() > Duration::from_secs(2), "this line was not slow");
}

#[test]
fn a_server_that_is_gone_frees_its_port() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let settings = place.settings(server.port());
    let mut source = SftpSource::connect(&settings, &password()).unwrap();
    drop(server);
    assert_eq!(source.list().unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(refusal(&settings, &password()).kind(), ErrorKind::Environment);
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture loopback_speed; PHDS_MB=500"]
fn loopback_speed() {
    let megabytes: usize = std::env::var("PHDS_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let place = Place::new();
    let block = noise(1_000_000);
    let mut file = std::fs::File::create(place.served.join("big")).unwrap();
    for _ in 0..megabytes {
        file.write_all(&block).unwrap();
    }
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    let begun = Instant::now();
    let mut reader = source.open_at("big", 0).unwrap();
    let mut buffer = vec![0; block.len()];
    for _ in 0..megabytes {
        reader.read_exact(&mut buffer).unwrap();
        assert!(buffer == block);
    }
    assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{megabytes} MB in {seconds:.2} s");
}
