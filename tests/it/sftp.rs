//! `SftpSource` against a real server in this process.

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use phds::demo::server::{LoginOptions, LoopbackServer, Quirk};
use phds::error::{Error, ErrorKind};
use phds::fetch::known_hosts::{KnownHosts, Verdict};
use phds::fetch::sftp::{Credential, SftpSettings, SftpSource, examine};
use phds::fetch::{Observation, Source, Verdict as How};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::RsaKeypair;
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
    assert!(source.take_notes().is_empty());
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

/// Names that only some systems let a file have.
#[cfg(target_os = "linux")]
#[test]
fn unfit_names_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.put("good.csv", b"12");
    for (name, content) in [(&b"bad\xff.csv"[..], "123"), (b"a\\b.csv", "x"), (b"a\x1b[31m.csv", "x")] {
        std::fs::write(place.served.join(std::ffi::OsStr::from_bytes(name)), content).unwrap();
    }
    std::fs::create_dir(place.served.join("not\\a file")).unwrap();
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    let mut files: Vec<_> = source.list().unwrap().into_iter().map(|file| (file.name, file.size)).collect();
    files.sort();
    assert_eq!(files, [("bad\u{fffd}.csv".into(), 3), ("good.csv".into(), 2)]);
    let address = source.origin().server;
    let notes = [
        format!("1 files on {address} have names that are not UTF-8 and cannot be fetched"),
        format!("2 files on {address} have names that are not safe and were left out"),
    ];
    assert_eq!(source.take_notes(), notes);
    let before = server.requests();
    assert_eq!(source.stat("bad\u{fffd}.csv").unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(source.open_at("bad\u{fffd}.csv", 0).err().unwrap().kind(), ErrorKind::Refused);
    assert_eq!(server.requests(), before, "nothing is asked about it");
}

#[test]
fn a_listing_without_an_end_is_an_error() {
    let place = Place::new();
    let invents = |names, bytes| Quirk::Invents { names, bytes };
    // What the server does, the timeout in milliseconds, whether it may pass, and a part of the error.
    for (quirk, timeout, may_pass, part) in [
        (invents(usize::MAX, 4000), 20_000, false, "32 MiB"),
        (invents(200_001, 1), 20_000, false, "200000 names"),
        (Quirk::ListsNothing, 200, true, "no end of it after 2 s"),
    ] {
        let server = place.serve(&LoginOptions { quirk: Some(quirk), ..LoginOptions::default() });
        let settings = SftpSettings { timeout: Duration::from_millis(timeout), ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        let error = source.list().unwrap_err();
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, may_pass), "{error}");
        assert!(error.message().contains(part), "{error}");
    }
    let server = place.serve(&LoginOptions { quirk: Some(invents(200_000, 1)), ..LoginOptions::default() });
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    assert_eq!(source.list().unwrap().len(), 200_000);
}

#[test]
fn a_password_that_is_said_back_is_not_shown() {
    let place = Place::new();
    place.put("good.csv", b"12");
    place.put("for-hUNTER2.csv", b"x");
    let options = LoginOptions { keyboard_interactive: true, ..LoginOptions::default() };
    let questions = LoginOptions { password: false, ..options.clone() };
    for password in ["Hunter2", "ter"] {
        let credential = Credential::Password(secret(password));
        let start = |options: &LoginOptions| {
            let server = LoopbackServer::start_with(&place.served, USER, &secret(password), options).unwrap();
            place.trust(&server.host_key_lines());
            let source = SftpSource::connect(&place.settings(server.port()), &credential).unwrap();
            (server, source)
        };
        let (_server, mut source) = start(&options);
        let names: Vec<_> = source.list().unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["good.csv"]);
        let address = source.origin().server;
        let hold = "have names that hold the password and were left out; change the password";
        assert_eq!(source.take_notes(), [format!("1 files on {address} {hold}")]);

        for options in [&options, &questions] {
            let (_server, mut source) = start(&LoginOptions { quirk: Some(Quirk::Repeats), ..options.clone() });
            let error = source.list().unwrap_err();
            let expected = match password {
                "ter" => "the server says: Failure (…)",
                _ => "the server says: Failure (you sent (hidden), (hidden))",
            };
            assert!(error.message().ends_with(expected), "{error}");
            let shown = format!("{error} {:?} {:?} {source:?}", source.take_notes(), source.observations());
            assert!(!shown.to_lowercase().contains("hunter2"), "{shown}");
        }
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
    for max_reads in [1, 64] {
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
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Credentials, false));
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
            "--accept-new-host-key",
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

/// An error that may pass by itself.
fn is_network(error: &Error) -> bool {
    error.kind() == ErrorKind::Environment && error.may_pass()
}

/// A server that gives everybody the same bytes, reads what is said to it for a moment, and hangs up.
fn parrot(bytes: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(&bytes);
            // Closing with unread bytes would be a reset, which takes back what was sent.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    port
}

#[test]
fn network_trouble_is_told_apart() {
    let place = Place::new();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refusal(&place.settings(port), &password());
    assert!(is_network(&error), "{error}");
    assert!(error.message().contains(&format!("cannot connect to 127.0.0.1:{port}")), "{error}");

    let settings = SftpSettings { host: "no-such-host.invalid".into(), ..place.settings(22) };
    assert!(is_network(&refusal(&settings, &password())));

    // Accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings =
        SftpSettings { timeout: Duration::from_secs(1), ..place.settings(mute.local_addr().unwrap().port()) };
    let begun = Instant::now();
    assert!(is_network(&refusal(&settings, &password())));
    assert!(begun.elapsed() < Duration::from_secs(10));

    // Hangs up, at once or after its name.
    for bytes in ["", "SSH-2.0-busy\r\n"] {
        let error = refusal(&place.settings(parrot(bytes.into())), &password());
        assert!(is_network(&error), "{error}");
    }
    // Is no SSH server, and will not become one.
    let error = refusal(&place.settings(parrot(b"220 FTP ready\r\n".repeat(30))), &password());
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, false), "{error}");

    // Breaks off before the login. The server's greeting and its part of the key exchange are more than 1200 bytes.
    let server = place.serve(&LoginOptions::default());
    for until in [10, 300, 1200] {
        let error = refusal(&place.settings(proxy(server.port(), until, Fault::Cut)), &password());
        assert!(is_network(&error), "after {until} bytes: {error}");
    }
    assert_eq!(server.login_attempts(), 0);

    // What the server says about files does not pass by itself.
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    assert!(!source.stat("missing.csv").unwrap_err().may_pass());
}

#[test]
fn a_proof_without_an_answer_is_not_tried_again() {
    let place = Place::new();
    let hangs_up = LoginOptions { quirk: Some(Quirk::HangsUp), ..LoginOptions::default() };
    let questions = LoginOptions { password: false, keyboard_interactive: true, ..hangs_up.clone() };
    let silent = LoginOptions { quirk: Some(Quirk::Silent), ..LoginOptions::default() };
    for (options, text) in [(hangs_up, "hung up"), (questions, "hung up"), (silent, "did not answer for 3 s")] {
        let server = place.serve(&options);
        let settings = SftpSettings { timeout: Duration::from_secs(1), ..place.settings(server.port()) };
        let error = refusal(&settings, &password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Credentials, false), "{error}");
        assert!(error.message().contains(text), "{error}");
        assert_eq!(server.login_attempts(), 1);
    }
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
            assert!(is_network(inner), "{inner}");
            assert!(inner.message().contains("cannot read `a.csv`"), "{inner}");
            assert!(reader.read(&mut [0; 1]).is_err(), "an error is final");
        }
        // What came before the fault is right, so that a download can go on from there.
        assert!(!bytes.is_empty() && bytes == noise(8_000_000)[..bytes.len()]);
        for error in
            [source.stat("a.csv").unwrap_err(), source.open_at("a.csv", 0).err().unwrap(), source.list().unwrap_err()]
        {
            assert!(is_network(&error), "{error}");
        }
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
    let begun = Instant::now();
    assert!(is_network(&source.list().unwrap_err()));
    assert!(is_network(&source.open_at("a.csv", 0).err().unwrap()));
    assert!(is_network(&source.stat("a.csv").unwrap_err()));
    assert!(is_network(&refusal(&settings, &password())));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn old_algorithms_need_a_switch() {
    let place = Place::new();
    place.put("a.csv", b"abc");
    let server = place.serve(&LoginOptions { quirk: Some(Quirk::OnlyLegacy), ..LoginOptions::default() });
    let settings = place.settings(server.port());
    let error = refusal(&settings, &password());
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, false));
    for part in ["share no key exchange", "curve25519-sha256", "diffie-hellman-group14-sha1"] {
        assert!(error.message().contains(part), "{part} is not in: {error}");
    }
    let hint = error.what_to_do().unwrap();
    assert!(hint.contains("--legacy-ssh") && hint.contains("legacy_ssh = true"), "{hint}");
    assert_eq!(server.login_attempts(), 0);

    let legacy = SftpSettings { legacy_ssh: true, ..settings };
    let mut source = SftpSource::connect(&legacy, &password()).unwrap();
    assert_eq!(download(&mut source, "a.csv", 0), b"abc");
    let notes = source.take_notes();
    for name in ["diffie-hellman-group14-sha1", "aes128-cbc", "hmac-sha1", "update the server"] {
        assert!(notes[0].contains(name), "{notes:?}");
    }
    assert!(notes.len() == 1 && source.take_notes().is_empty(), "each note is given once");
    let algorithms = &source.observations()[0];
    assert_eq!((algorithms.topic.as_str(), algorithms.verdict), ("algorithms", How::Note));

    // A server with something better is spoken to as without the switch.
    let server = place.serve(&LoginOptions::default());
    let legacy = SftpSettings { port: server.port(), ..legacy };
    let mut source = SftpSource::connect(&legacy, &password()).unwrap();
    assert!(source.take_notes().is_empty());
    assert_eq!(source.observations()[0].verdict, How::Good);
}

#[test]
fn an_rsa_key_signs_with_sha1_for_old_servers_only() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let key = RsaKeypair::random(&mut russh::keys::key::safe_rng(), 2048).unwrap();
    let key = PrivateKey::new(key.into(), "").unwrap();
    let credential =
        Credential::Key { path: key_file(folder.path(), &key.to_openssh(LineEnding::LF).unwrap()), passphrase: None };
    let options = LoginOptions {
        password: false,
        public_key: Some(key.public_key().to_openssh().unwrap()),
        ..LoginOptions::default()
    };
    for (quirk, signature) in [(None, "rsa-sha2-512"), (Some(Quirk::OnlyLegacy), "ssh-rsa")] {
        let server = place.serve(&LoginOptions { quirk, ..options.clone() });
        let settings = SftpSettings { legacy_ssh: true, ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &credential).unwrap();
        let login = find(&source.observations(), "login method").text.clone();
        assert_eq!(login, format!("`{USER}` by publickey, signed with {signature}"));
        assert_eq!(source.take_notes().concat().contains("ssh-rsa for our own key"), quirk.is_some());
        assert_eq!(server.login_attempts(), 1);
    }
}

/// The first packet of a server that has one key exchange, one type of host key, one cipher and one MAC.
fn announcement(algorithms: [&str; 4]) -> Vec<u8> {
    let [exchange, key, cipher, mac] = algorithms;
    let mut payload = [&[20][..], &[7; 16]].concat();
    for names in [exchange, key, cipher, cipher, mac, mac, "none", "none", "", ""] {
        payload.extend(u32::try_from(names.len()).unwrap().to_be_bytes());
        payload.extend(names.as_bytes());
    }
    payload.extend([0; 5]);
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let length = u32::try_from(payload.len() + padding + 1).unwrap();
    let mut bytes = b"SSH-2.0-old\x1b_box 1.0\r\n".to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.push(u8::try_from(padding).unwrap());
    bytes.extend(payload);
    bytes.extend(vec![0; padding]);
    bytes
}

#[test]
fn the_switch_is_named_only_where_it_helps() {
    let place = Place::new();
    let good = "curve25519-sha256";
    let old = "diffie-hellman-group1-sha1";
    // What the server has, whether the switch is on, and whether it is named.
    for (algorithms, legacy_ssh, is_named) in [
        ([old, "ssh-rsa", "aes128-cbc", "hmac-sha1"], false, true),
        ([good, "ssh-rsa", "aes128-ctr", "hmac-sha2-256"], false, true),
        ([good, "ssh-ed25519", "aes128-cbc", "hmac-sha2-256"], false, true),
        ([good, "ssh-ed25519", "aes128-ctr", "hmac-sha1"], false, true),
        ([old, "ssh-rsa", "3des-cbc", "hmac-sha1"], false, false),
        ([old, "ssh-dss", "aes128-cbc", "hmac-sha1"], false, false),
        (["sntrup761x25519-sha512", "ssh-rsa", "aes128-cbc", "hmac-sha1"], false, false),
        ([good, "ssh-ed25519", "aes128-ctr", "hmac-md5"], false, false),
        ([old, "ssh-rsa", "3des-cbc", "hmac-sha1"], true, false),
    ] {
        let settings = SftpSettings { legacy_ssh, ..place.settings(parrot(announcement(algorithms))) };
        let error = refusal(&settings, &password());
        assert!(error.message().contains("share no"), "{algorithms:?}: {error}");
        assert_eq!(error.to_string().contains("legacy"), is_named, "{algorithms:?}: {error}");
        assert!(algorithms.iter().any(|name| error.message().contains(name)), "{algorithms:?}: {error}");
        assert!(!error.may_pass(), "{error}");
    }
}

#[test]
fn a_new_server_is_recorded_when_asked_for() {
    let place = Place::new();
    place.put("a.csv", b"abc");
    let server = place.serve(&LoginOptions::default());
    let known_hosts = place.known_hosts.with_file_name("ssh").join("known_hosts");
    let settings = SftpSettings { known_hosts: known_hosts.clone(), ..place.settings(server.port()) };
    assert_eq!(refusal(&settings, &password()).kind(), ErrorKind::Credentials);
    assert!(!known_hosts.exists());

    let accept = SftpSettings { accept_new_host_key: true, ..settings.clone() };
    let mut source = SftpSource::connect(&accept, &password()).unwrap();
    let notes = source.take_notes();
    let print = server.host_key_fingerprint();
    assert!(notes.len() == 1 && notes[0].contains(&print) && notes[0].contains("compare"), "{notes:?}");
    assert!(notes[0].contains(&known_hosts.display().to_string()), "{notes:?}");
    assert_eq!(find(&source.observations(), "host key").verdict, How::Note);
    let recorded = std::fs::read_to_string(&known_hosts).unwrap();
    assert_eq!(recorded, server.host_key_line() + "\n");

    // From then on it is known, with and without the switch, and nothing is added.
    for settings in [&settings, &accept] {
        let mut source = SftpSource::connect(settings, &password()).unwrap();
        assert!(source.take_notes().is_empty());
        assert_eq!(find(&source.observations(), "host key").verdict, How::Good);
    }
    assert_eq!(std::fs::read_to_string(&known_hosts).unwrap(), recorded);

    // It is recorded before the login, and a refused login tells of it.
    std::fs::write(&known_hosts, "# mine").unwrap();
    let error = refusal(&accept, &Credential::Password(secret("wrong-password")));
    assert!(error.message().contains("refused") && error.message().contains(&print), "{error}");
    assert_eq!(std::fs::read_to_string(&known_hosts).unwrap(), format!("# mine\n{recorded}"));
}

#[test]
fn only_an_unknown_server_is_ever_recorded() {
    let place = Place::new();
    let other = place.serve(&LoginOptions::default());
    let server = place.serve(&LoginOptions::default());
    let line = server.host_key_line();
    let (name, key) = line.split_once(' ').unwrap();
    let other_line = other.host_key_line();
    let other_key = other_line.split_once(' ').unwrap().1;
    let accept = SftpSettings { accept_new_host_key: true, ..place.settings(server.port()) };
    // What stands in the file, the pin, and a part of the error.
    for (text, pin, part) in [
        (format!("{name} {other_key}"), None, "RECORDED"),
        (format!("@revoked * {key}"), None, "REVOKED"),
        (String::new(), Some(other.host_key_fingerprint()), "PINNED"),
    ] {
        std::fs::write(&place.known_hosts, &text).unwrap();
        let error = refusal(&SftpSettings { host_key: pin, ..accept.clone() }, &password());
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().to_uppercase().contains(part), "{error}");
        assert_eq!(std::fs::read_to_string(&place.known_hosts).unwrap(), text);
    }
    // A pin that fits is enough; nothing is recorded then.
    let pinned = SftpSettings { host_key: Some(server.host_key_fingerprint()), ..accept };
    SftpSource::connect(&pinned, &password()).unwrap();
    assert_eq!(std::fs::read_to_string(&place.known_hosts).unwrap(), "");
    assert_eq!(server.login_attempts(), 1);

    // A file that cannot be written: no login on a key that will not be known tomorrow.
    let folder = SftpSettings { known_hosts: place.served.join("file/known_hosts"), host_key: None, ..pinned };
    place.put("file", b"");
    assert_eq!(refusal(&folder, &password()).kind(), ErrorKind::Environment);
    assert_eq!(server.login_attempts(), 1);
}

#[test]
fn two_runs_at_once_record_a_new_server_once() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    std::fs::write(&place.known_hosts, "# mine").unwrap();
    let accept = SftpSettings { accept_new_host_key: true, ..place.settings(server.port()) };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| SftpSource::connect(&accept, &password()).unwrap());
        }
    });
    let text = std::fs::read_to_string(&place.known_hosts).unwrap();
    assert_eq!(text, format!("# mine\n{}\n", server.host_key_line()));
}

fn find<'a>(observations: &'a [Observation], topic: &str) -> &'a Observation {
    let mut found = observations.iter().filter(|observation| observation.topic == topic);
    let first = found.next().unwrap_or_else(|| panic!("no {topic} in {observations:#?}"));
    assert!(found.next().is_none(), "{topic} twice in {observations:#?}");
    first
}

fn topics(observations: &[Observation]) -> Vec<(&str, How)> {
    observations.iter().map(|observation| (observation.topic.as_str(), observation.verdict)).collect()
}

#[test]
fn tells_what_was_agreed_on() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    let seen = source.observations();
    let expected = ["algorithms", "host key", "login method", "reads in flight"].map(|topic| (topic, How::Good));
    assert_eq!(topics(&seen), expected);
    assert!(find(&seen, "algorithms").text.starts_with("key exchange mlkem768x25519-sha256, host key ssh-ed25519"));
    assert!(find(&seen, "host key").text.contains(&server.host_key_fingerprint()));
    assert_eq!(find(&seen, "login method").text, format!("`{USER}` by password"));
    assert_eq!(find(&seen, "reads in flight").text, "64 at most");
    let pinned = SftpSettings { host_key: Some(server.host_key_fingerprint()), ..place.settings(server.port()) };
    let seen = SftpSource::connect(&pinned, &password()).unwrap().observations();
    assert!(find(&seen, "host key").text.contains("settings"), "{seen:?}");
}

const OFFER: [&str; 6] =
    ["server name", "connection", "key exchange", "host key types", "ciphers", "message authentication"];

#[test]
fn examines_a_server_without_a_login() {
    let place = Place::new();
    let server = place.serve(&LoginOptions { keyboard_interactive: true, ..LoginOptions::default() });
    let settings = place.settings(server.port());
    let seen = examine(&settings);
    let all: Vec<_> = OFFER.iter().chain(&["host key", "login methods"]).map(|topic| (*topic, How::Good)).collect();
    assert_eq!(topics(&seen), all, "{seen:#?}");
    assert!(find(&seen, "server name").text.contains("127.0.0.1"), "{seen:#?}");
    assert!(find(&seen, "connection").text.contains("SSH-2.0-russh"), "{seen:#?}");
    assert!(find(&seen, "host key types").text.contains("ssh-ed25519"), "{seen:#?}");
    assert!(find(&seen, "host key").text.contains(&server.host_key_fingerprint()), "{seen:#?}");
    assert!(find(&seen, "login methods").text.contains("keyboard-interactive, password"), "{seen:#?}");

    // Nobody is told the user name, and nothing is recorded, while the key is not trusted.
    let other = place.serve(&LoginOptions::default());
    let other_key = other.host_key_line().split_once(' ').unwrap().1.to_owned();
    let listed = format!("[127.0.0.1]:{} {other_key}", server.port());
    let revoked = format!("@revoked * {}", server.host_key_line().split_once(' ').unwrap().1);
    for (text, pin) in
        [(String::new(), None), (listed, None), (revoked, None), (String::new(), Some(other.host_key_fingerprint()))]
    {
        std::fs::write(&place.known_hosts, &text).unwrap();
        let settings = SftpSettings { host_key: pin, accept_new_host_key: true, ..settings.clone() };
        let seen = examine(&settings);
        assert_eq!(seen.len(), 7, "{seen:#?}");
        let host_key = find(&seen, "host key");
        let error = refusal(&SftpSettings { accept_new_host_key: false, ..settings }, &password());
        assert_eq!(host_key.verdict, How::Problem);
        assert_eq!((host_key.text.as_str(), host_key.hint.as_deref()), (error.message(), error.what_to_do()));
        assert_eq!(std::fs::read_to_string(&place.known_hosts).unwrap(), text);
    }
    assert_eq!(server.login_attempts(), 0);
    assert!(server.requests().is_empty());
}

#[test]
fn examines_what_stands_in_the_way() {
    let place = Place::new();
    let server = place.serve(&LoginOptions { quirk: Some(Quirk::OnlyLegacy), ..LoginOptions::default() });
    let settings = place.settings(server.port());
    let seen = examine(&settings);
    for topic in ["key exchange", "ciphers", "message authentication"] {
        let observation = find(&seen, topic);
        assert_eq!(observation.verdict, How::Note, "{seen:#?}");
        assert!(observation.hint.as_ref().unwrap().contains("--legacy-ssh"), "{seen:#?}");
    }
    assert_eq!(find(&seen, "handshake").verdict, How::Problem);
    let seen = examine(&SftpSettings { legacy_ssh: true, ..settings.clone() });
    assert_eq!(find(&seen, "ciphers").verdict, How::Note);
    assert_eq!(find(&seen, "login methods").verdict, How::Good);

    let hopeless = announcement(["sntrup761x25519-sha512", "ssh-ed25519", "3des-cbc", "hmac-md5"]);
    let seen = examine(&place.settings(parrot(hopeless)));
    assert!(find(&seen, "connection").text.contains("SSH-2.0-old\\u{1b}_box 1.0"), "{seen:#?}");
    let verdicts: Vec<_> = seen.iter().map(|observation| observation.verdict).collect();
    let (good, problem) = (How::Good, How::Problem);
    assert_eq!(verdicts, [good, good, problem, good, problem, problem, problem], "{seen:#?}");

    // What builds on something that failed is left out.
    let nowhere = SftpSettings { host: "no-such-host.invalid".into(), ..settings.clone() };
    assert_eq!(topics(&examine(&nowhere)), [("server name", problem)]);
    let ftp = place.settings(parrot(b"220 FTP ready\r\n".to_vec()));
    assert_eq!(topics(&examine(&ftp)), [("server name", good), ("connection", problem)]);
    let unfit = SftpSettings { host_key: Some("SHA256:short".into()), ..settings };
    assert_eq!(topics(&examine(&unfit)), [("settings", problem)]);
}

/// An agent in this process, and a run of this very test binary that asks it: the place where an agent listens is an
/// environment variable, and those cannot be changed while other tests run.
#[cfg(unix)]
mod agent {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    use russh::keys::signature::Signer;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::{HashAlg, PublicKey};

    use super::*;

    struct Identity {
        blob: Vec<u8>,
        comment: &'static str,
        key: PrivateKey,
    }

    fn new_key() -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn print(key: &PublicKey) -> String {
        key.fingerprint(HashAlg::Sha256).to_string()
    }

    fn plain(key: &PrivateKey, comment: &'static str) -> Identity {
        Identity { blob: key.public_key().to_bytes().unwrap(), comment, key: key.clone() }
    }

    fn certificate(key: &PrivateKey) -> Identity {
        let mut builder =
            Builder::new_with_random_nonce(&mut russh::keys::key::safe_rng(), key.public_key(), 0, u64::MAX - 1)
                .unwrap();
        builder.key_id("id").unwrap().valid_principal(USER).unwrap();
        Identity {
            blob: builder.sign(&new_key()).unwrap().to_bytes().unwrap(),
            comment: "certificate",
            key: key.clone(),
        }
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn take_string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
        let (length, after) = rest.split_first_chunk().unwrap();
        let (bytes, after) = after.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        *rest = after;
        bytes
    }

    /// The two requests that a login needs (draft-miller-ssh-agent, sections 3.5 and 3.6); others fail.
    fn answer(request: &[u8], identities: &[Identity], signs: bool) -> Vec<u8> {
        match request {
            [11] => {
                let mut answer = vec![12];
                answer.extend(u32::try_from(identities.len()).unwrap().to_be_bytes());
                for identity in identities {
                    answer.extend([string(&identity.blob), string(identity.comment.as_bytes())].concat());
                }
                answer
            }
            [13, rest @ ..] if signs => {
                let mut rest = rest;
                let (blob, data) = (take_string(&mut rest), take_string(&mut rest));
                let identity = identities.iter().find(|identity| identity.blob == blob).unwrap();
                let signature = Vec::try_from(identity.key.try_sign(data).unwrap()).unwrap();
                [vec![14], string(&signature)].concat()
            }
            _ => vec![5],
        }
    }

    fn serve(mut stream: UnixStream, identities: &[Identity], signs: bool) -> Option<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).ok()?;
            let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut request).ok()?;
            stream.write_all(&string(&answer(&request, identities, signs))).ok()?;
        }
    }

    /// Where the agent listens.
    fn start(place: &Place, name: &str, identities: Vec<Identity>, signs: bool) -> PathBuf {
        let socket = place.known_hosts.with_file_name(name);
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &identities, signs);
            }
        });
        socket
    }

    const PORT: &str = "PHDS_TEST_PORT";
    const KNOWN_HOSTS: &str = "PHDS_TEST_KNOWN_HOSTS";
    const KEY: &str = "PHDS_TEST_KEY";

    /// What `a_run_that_asks_an_agent` prints.
    fn run(place: &Place, server: &LoopbackServer, socket: Option<&Path>, key: Option<&str>) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "sftp::agent::a_run_that_asks_an_agent", "--nocapture"]);
        command.env(PORT, server.port().to_string()).env(KNOWN_HOSTS, &place.known_hosts);
        command.env_remove("SSH_AUTH_SOCK");
        if let Some(socket) = socket {
            command.env("SSH_AUTH_SOCK", socket);
        }
        if let Some(key) = key {
            command.env(KEY, key);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Does nothing unless [`run`] starts it.
    #[test]
    fn a_run_that_asks_an_agent() {
        let (Ok(port), Some(known_hosts)) = (std::env::var(PORT), std::env::var_os(KNOWN_HOSTS)) else { return };
        let settings =
            SftpSettings { port: port.parse().unwrap(), ..SftpSettings::new("127.0.0.1", USER, known_hosts) };
        match SftpSource::connect(&settings, &Credential::Agent { key: std::env::var(KEY).ok() }) {
            Ok(source) => println!("in: {}", find(&source.observations(), "login method").text),
            Err(error) => println!("{:?}: {error}", error.kind()),
        }
    }

    #[test]
    fn logs_in_with_the_one_key_that_is_meant() {
        let place = Place::new();
        let (right, wrong) = (new_key(), new_key());
        let (right_print, wrong_print) = (print(right.public_key()), print(wrong.public_key()));
        let public_key = Some(right.public_key().to_openssh().unwrap());
        let server = place.serve(&LoginOptions { password: false, public_key, ..LoginOptions::default() });
        let one = start(&place, "one", vec![certificate(&right), plain(&right, "right")], true);
        let evil = "evil\u{1b}[31m\ncomment";
        let two = start(&place, "two", vec![plain(&wrong, evil), plain(&right, "right")], true);
        let none = start(&place, "none", vec![certificate(&right)], true);
        let lazy = start(&place, "lazy", vec![plain(&right, "right")], false);
        let nowhere = place.known_hosts.with_file_name("nowhere");
        let came_in = format!("in: `{USER}` by publickey, signed with ssh-ed25519");
        let several = format!(
            "Usage: the ssh-agent has several keys:\n  {wrong_print} evil\\u{{1b}}[31m\\ncomment\n  {right_print} right\n"
        );
        // Where the agent listens, the key that is meant, what comes of it, and how many proofs the server saw by then.
        for (socket, key, text, attempts) in [
            (Some(&one), None, came_in.as_str(), 1),
            (Some(&one), Some(right_print.as_str()), &came_in, 2),
            (Some(&two), Some(&right_print), &came_in, 3),
            (Some(&two), None, &several, 3),
            (Some(&one), Some(&wrong_print), "Credentials: the ssh-agent does not have the key", 3),
            (Some(&one), Some("SHA256:short"), "Usage: `SHA256:short` is not the fingerprint", 3),
            (Some(&none), None, "Credentials: the ssh-agent has no keys", 3),
            (Some(&lazy), None, "Credentials: the ssh-agent did not sign", 3),
            (Some(&nowhere), None, "Credentials: cannot ask the ssh-agent", 3),
            (None, None, "Credentials: cannot ask the ssh-agent for its keys: SSH_AUTH_SOCK is not set", 3),
            (Some(&two), Some(&wrong_print), "Credentials: 127.0.0.1:", 3),
        ] {
            let said = run(&place, &server, socket.map(PathBuf::as_path), key);
            assert!(said.contains(text), "{socket:?} {key:?}: {text}: {said}");
            assert_eq!(server.login_attempts(), attempts, "{socket:?} {key:?}: {said}");
        }
    }
}
