//! `FtpsSource` against real servers (`tests/servers`), and against one in this process that misbehaves.

use std::fmt::Write as _;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use phds::error::{Error, ErrorKind};
use phds::fetch::Source;
use phds::fetch::ftps::{FtpsSettings, FtpsSource, Tls};
use sha2::{Digest, Sha256};
use suppaftp::rustls::pki_types::CertificateDer;
use suppaftp::rustls::pki_types::pem::PemObject;

#[path = "../servers/faulty_ftps.rs"]
mod faulty_ftps;

use faulty_ftps::{Cut, Faults, FaultyServer};

use crate::support::transfer::{download, noise, secret};

/// Commands that change something on a server.
const WRITING: &[&str] = &[
    "STOR", "STOU", "APPE", "DELE", "RNFR", "RNTO", "MKD", "XMKD", "RMD", "XRMD", "SITE", "MFMT", "MFCT", "MFF",
    "ALLO", "PORT", "EPRT", "CCC", "ABOR",
];

/// What a session may send.
const READING: &[&str] = &[
    "AUTH", "PBSZ", "PROT", "USER", "PASS", "FEAT", "OPTS", "TYPE", "CWD", "EPSV", "PASV", "MLSD", "MLST", "LIST",
    "SIZE", "MDTM", "REST", "RETR", "NOOP", "QUIT",
];

/// A private authority, certificates, a user and a folder to serve.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let made = Command::new("bash").arg(scripts().join("state.sh")).arg(root.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn password(&self) -> String {
        std::fs::read_to_string(self.path("run/password")).unwrap()
    }

    fn put(&self, name: &str, content: &[u8]) {
        let path = self.path("root").join(name);
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_720_429_563);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn settings(&self, port: u16) -> FtpsSettings {
        FtpsSettings {
            port,
            ca_file: Some(self.path("pki/ca.pem")),
            timeout: Duration::from_secs(20),
            ..FtpsSettings::new("localhost", "phds-test")
        }
    }

    fn connect(&self, settings: &FtpsSettings) -> FtpsSource {
        FtpsSource::connect(settings, &secret(&self.password())).unwrap()
    }

    fn refusal(&self, settings: &FtpsSettings, password: &str) -> Error {
        let error = FtpsSource::connect(settings, &secret(password)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(password) && !shown.contains(&self.password()), "{shown}");
        error
    }

    fn fingerprint(&self, certificate: &str) -> String {
        let der = CertificateDer::from_pem_file(self.path(&format!("pki/{certificate}.pem"))).unwrap();
        let digest = Sha256::digest(&der);
        digest.iter().fold("SHA256:".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    fn commands(&self) -> Vec<String> {
        // Not there before the first command.
        let text = std::fs::read_to_string(self.path("log/commands")).unwrap_or_default();
        // proftpd logs some commands a second time under a name of its own.
        text.lines().filter(|command| *command != "OPTS_UTF8 ON").map(str::to_owned).collect()
    }

    fn faulty(&self, faults: &Faults) -> FaultyServer {
        let files = vec![("PHDS 2024_07.csv".to_owned(), noise(300_000)), ("empty.csv".to_owned(), Vec::new())];
        FaultyServer::start(&self.path("pki"), &self.password(), files, faults.clone())
    }
}

/// A real server, until it is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(place: &Place, kind: &str, certificate: &str) -> Self {
        let port = free_ports();
        let mut process = Command::new("bash")
            .arg(scripts().join("serve.sh"))
            .args([kind, &port.to_string()])
            .arg(place.root.path())
            .env("CERT", certificate)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(20) {
                let _ = process.kill();
                let mut words = String::new();
                process.stderr.take().unwrap().read_to_string(&mut words).unwrap();
                panic!("the test server {kind} did not start: {words}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}

/// The first of 50 ports below those that the system hands out.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200).unwrap();
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 240 * 50;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn inner(error: &std::io::Error) -> &Error {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// Everything that a source does, against a server without faults.
fn works(kind: &str) -> (Place, FtpsSource) {
    let place = Place::new();
    place.put("PHDS 2024_07.csv", &noise(5_000_001));
    place.put("empty.csv", b"");
    place.put("-a ü;b.csv", b"abc");
    std::fs::create_dir(place.path("root/folder")).unwrap();
    std::os::unix::fs::symlink("empty.csv", place.path("root/link.csv")).unwrap();
    let server = Server::start(&place, kind, "good");
    let tls = if kind.ends_with("implicit") { Tls::Implicit } else { Tls::Explicit };
    // vsftpd runs without the administrator's rights only for this user.
    let user = if kind.starts_with("vsftpd") { "ftp" } else { "phds-test" };
    let settings = FtpsSettings { tls, user: user.into(), ..place.settings(server.port) };
    let mut source = place.connect(&settings);

    let mut files = source.list().unwrap();
    files.retain(|file| file.name != "link.csv");
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
    assert_eq!(shown, [("-a ü;b.csv", 3), ("PHDS 2024_07.csv", 5_000_001), ("empty.csv", 0)]);
    for file in &files {
        assert_eq!(file.modified.unwrap().timestamp(), 1_720_429_563, "{}", file.name);
        assert_eq!(source.stat(&file.name).unwrap(), *file);
    }
    assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(5_000_001));
    assert!(download(&mut source, "PHDS 2024_07.csv", 4_123_457) == noise(5_000_001)[4_123_457..]);
    assert_eq!(download(&mut source, "-a ü;b.csv", 2), b"c");
    assert_eq!(download(&mut source, "-a ü;b.csv", 3), b"");
    assert_eq!(download(&mut source, "empty.csv", 0), b"");
    assert_eq!(source.stat("missing.csv").unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(source.open_at("missing.csv", 0).err().unwrap().kind(), ErrorKind::Environment);
    assert!(source.stat("folder").is_err());
    // Many data connections on one control connection, each resuming its session.
    for _ in 0..30 {
        assert_eq!(download(&mut source, "-a ü;b.csv", 0), "abc".as_bytes());
        assert_eq!(source.tls().data_resumed, Some(true));
    }
    assert_eq!(source.list().unwrap().len(), shown.len() + 1);

    let origin = source.origin();
    assert_eq!(origin.protocol, "ftps");
    assert_eq!(origin.server, format!("localhost:{}", server.port));
    assert_eq!(origin.server_identity, place.fingerprint("good"));
    assert!(!format!("{source:?} {settings:?}").contains(&place.password()));
    assert_eq!(source.take_notes(), Vec::<String>::new());

    // A login that is refused, and the server's view of it.
    let error = place.refusal(&settings, "wrong-password");
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("refused the password"), "{error}");

    // Given up in the middle: the connection is of use, or says that it is not.
    let mut other = place.connect(&settings);
    other.open_at("PHDS 2024_07.csv", 0).unwrap().read_exact(&mut [0; 10]).unwrap();
    match other.stat("-a ü;b.csv") {
        Ok(file) => assert_eq!(file.size, 3),
        Err(error) => assert!(error.message().contains("a new one is needed"), "{error}"),
    }
    drop(server);
    (place, source)
}

/// The verbs of a session, as proftpd logged them.
fn assert_only_read(place: &Place) {
    // The server logs a command after it has answered.
    let begun = Instant::now();
    while !place.commands().contains(&"QUIT".to_owned()) && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let commands = place.commands();
    for command in &commands {
        let verb = command.split(' ').next().unwrap();
        assert!(READING.contains(&verb) && !WRITING.contains(&verb), "{commands:?}");
    }
    for verb in ["PBSZ 0", "PROT P", "TYPE I", "EPSV", "REST 2", "QUIT"] {
        assert!(commands.iter().any(|command| command == verb), "no {verb} in {commands:?}");
    }
    let position = |wanted: &str| commands.iter().position(|command| command.starts_with(wanted)).unwrap();
    assert!(position("PROT P") < position("MLSD"));
}

#[test]
fn proftpd_explicit() {
    let (place, source) = works("proftpd");
    assert_eq!(source.tls().version, "TLS 1.3");
    drop(source);
    assert_only_read(&place);
}

#[test]
fn proftpd_tls_1_2_only() {
    let (_place, source) = works("proftpd-tls12");
    assert_eq!(source.tls().version, "TLS 1.2");
}

#[test]
fn proftpd_implicit() {
    let (place, source) = works("proftpd-implicit");
    drop(source);
    assert_only_read(&place);
}

#[test]
fn vsftpd_explicit() {
    works("vsftpd");
}

#[test]
fn vsftpd_implicit() {
    works("vsftpd-implicit");
}

#[test]
fn a_wrong_certificate_is_told_nothing() {
    let place = Place::new();
    for (certificate, words) in [
        ("othername", "its certificate is not for `localhost` but for other.invalid"),
        ("expired", "its certificate expired on 2020-02-01 00:00 UTC"),
        ("future", "its certificate is valid only from 2047-01-01 00:00 UTC"),
    ] {
        let server = Server::start(&place, "proftpd", certificate);
        let error = place.refusal(&place.settings(server.port), &place.password());
        assert_eq!(error.kind(), ErrorKind::Credentials);
        for part in [words, &place.fingerprint(certificate), "valid from", "issued by `throwaway ca`"] {
            assert!(error.message().contains(part), "{part} is not in: {error}");
        }
        drop(server);
        assert!(!place.commands().iter().any(|command| command.starts_with("USER")));
    }
}

#[test]
fn an_unknown_authority_and_pins() {
    let place = Place::new();
    place.put("a.csv", b"abc");
    for kind in ["proftpd", "proftpd-implicit"] {
        let _ = std::fs::remove_file(place.path("log/commands"));
        let server = Server::start(&place, kind, "good");
        let tls = if kind == "proftpd" { Tls::Explicit } else { Tls::Implicit };
        let trusted = FtpsSettings { tls, ..place.settings(server.port) };
        for ca_file in [None, Some(place.path("pki/otherca.pem"))] {
            let error = place.refusal(&FtpsSettings { ca_file, ..trusted.clone() }, &place.password());
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(error.message().contains("vouches for its certificate"), "{error}");
            assert!(error.to_string().contains(&format!("cert_sha256 = \"{}\"", place.fingerprint("good"))), "{error}");
        }
        // The authority is right and the pin is not: the pin decides.
        let bad = FtpsSettings { cert_sha256: Some(place.fingerprint("othername")), ..trusted.clone() };
        let error = place.refusal(&bad, &place.password());
        assert_eq!(error.kind(), ErrorKind::Credentials);
        for part in ["PINNED", &place.fingerprint("good"), &place.fingerprint("othername"), "valid from"] {
            assert!(error.message().contains(part), "{part} is not in: {error}");
        }
        assert!(!place.commands().iter().any(|command| command.starts_with("USER")));
        // A pin takes the place of authorities and names.
        for host in ["localhost", "127.0.0.1"] {
            let cert_sha256 = Some(place.fingerprint("good"));
            let pinned = FtpsSettings { ca_file: None, cert_sha256, host: host.into(), ..trusted.clone() };
            let mut source = place.connect(&pinned);
            assert_eq!(download(&mut source, "a.csv", 0), b"abc");
            assert_eq!(source.tls().data_resumed, Some(true));
        }
    }
    let server = Server::start(&place, "proftpd", "expired");
    let expired = FtpsSettings { cert_sha256: Some(place.fingerprint("expired")), ..place.settings(server.port) };
    let error = place.refusal(&expired, &place.password());
    assert!(error.message().contains("expired on 2020-02-01"), "a pin does not make it valid: {error}");
}

#[test]
fn a_wrong_login_is_tried_once() {
    let place = Place::new();
    let server = place.faulty(&Faults::default());
    let error = place.refusal(&place.settings(server.port), "wrong-password");
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("refused the password of `phds-test`"), "{error}");
    assert_eq!((server.count("USER"), server.count("PASS")), (1, 1));

    for (answer, kind) in [
        ("421 too many", ErrorKind::Environment),
        ("430 no", ErrorKind::Credentials),
        ("332 account", ErrorKind::Credentials),
    ] {
        let answers: &'static [(&str, &str)] = Box::leak(Box::new([("PASS", answer)]));
        let server = place.faulty(&Faults { answers, ..Faults::default() });
        assert_eq!(place.refusal(&place.settings(server.port), &place.password()).kind(), kind, "{answer}");
        assert_eq!(server.count("PASS"), 1);
    }
}

#[test]
fn without_encryption_nothing_is_fetched() {
    let place = Place::new();
    let refused = |faults: Faults, words: &str, kind: ErrorKind| {
        let server = place.faulty(&faults);
        let tls = if faults.implicit { Tls::Implicit } else { Tls::Explicit };
        let error = place.refusal(&FtpsSettings { tls, ..place.settings(server.port) }, &place.password());
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
        assert_eq!(server.count("RETR") + server.count("MLSD"), 0);
        server
    };
    for unknown in [&["AUTH"][..], &["PROT"], &["PBSZ"]] {
        let server = refused(Faults { unknown, ..Faults::default() }, "refuses to encrypt", ErrorKind::Credentials);
        assert_eq!(server.count("USER"), 0);
    }
    let implicit = Faults { implicit: true, unknown: &["PROT"], ..Faults::default() };
    refused(implicit, "refuses to encrypt", ErrorKind::Credentials);
    let server = place.faulty(&Faults { implicit: true, ..Faults::default() });
    let mut source = place.connect(&FtpsSettings { tls: Tls::Implicit, ..place.settings(server.port) });
    source.list().unwrap();
    assert!(server.commands().contains(&"PBSZ 0".into()) && server.commands().contains(&"PROT P".into()));

    let busy = Faults { greeting: Some("421 too many connections"), ..Faults::default() };
    refused(busy, "turned us away: 421 (too many connections)", ErrorKind::Environment);
}

#[test]
fn what_a_server_lacks_is_done_otherwise() {
    let place = Place::new();
    let dos = "07-08-24  09:06AM               300000 PHDS 2024_07.csv\r\n07-08-24  09:06AM  0 empty.csv\r\n\
               07-08-24  09:06AM       <DIR>          Accepted\r\n";
    let cases: [(Faults, &[&str]); 7] = [
        (Faults { unknown: &["MLSD", "MLST"], ..Faults::default() }, &["LIST", "SIZE", "MDTM"]),
        (Faults { unknown: &["MLST"], ..Faults::default() }, &["MLSD"]),
        (Faults { unknown: &["EPSV"], ..Faults::default() }, &["MLSD", "PASV"]),
        (Faults { unknown: &["EPSV"], lying_pasv: true, ..Faults::default() }, &["PASV"]),
        (Faults { unknown: &["MLSD", "MLST", "SIZE"], ..Faults::default() }, &["LIST", "MDTM"]),
        (Faults { unknown: &["MLSD", "MLST"], listing: Some(dos), ..Faults::default() }, &["LIST", "SIZE"]),
        (
            Faults { unknown: &["MLSD", "MLST", "SIZE", "EPSV", "FEAT"], listing: Some(dos), ..Faults::default() },
            &["LIST", "PASV"],
        ),
    ];
    for (index, (faults, used)) in cases.iter().enumerate() {
        let server = place.faulty(faults);
        let mut source = place.connect(&place.settings(server.port));
        let mut files = source.list().unwrap();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
        assert_eq!(shown, [("PHDS 2024_07.csv", 300_000), ("empty.csv", 0)], "{index}");
        for file in &files {
            assert_eq!(file.modified.unwrap().timestamp(), 1_720_429_563, "{index}");
            assert_eq!(source.stat(&file.name).unwrap(), *file, "{index}");
        }
        assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(300_000), "{index}");
        assert!(download(&mut source, "PHDS 2024_07.csv", 70_001) == noise(300_000)[70_001..], "{index}");
        assert!(source.stat("missing.csv").is_err(), "{index}");
        assert_eq!(source.take_notes(), Vec::<String>::new(), "{index}");
        for verb in *used {
            assert!(server.count(verb) > 0, "{index}: no {verb} in {:?}", server.commands());
        }
        // What is not there is asked for once.
        for verb in faults.unknown.iter().filter(|verb| !matches!(**verb, "MLST")) {
            assert_eq!(server.count(verb), 1, "{index}: {verb} in {:?}", server.commands());
        }
        for command in server.commands() {
            assert!(READING.contains(&command.split(' ').next().unwrap()), "{command}");
        }
    }
    // Without MDTM there is no time: those of LIST are not to be trusted.
    let server = place.faulty(&Faults { unknown: &["MLSD", "MLST", "MDTM"], ..Faults::default() });
    assert!(place.connect(&place.settings(server.port)).list().unwrap().iter().all(|file| file.modified.is_none()));
    // A listing in no known form is not an empty folder.
    let faults = Faults { unknown: &["MLSD", "MLST"], listing: Some("PHDS.CSV;1  12/13\r\n"), ..Faults::default() };
    let server = place.faulty(&faults);
    let error = place.connect(&place.settings(server.port)).list().unwrap_err();
    assert!(error.message().contains("cannot read"), "{error}");
}

#[test]
fn without_rest_there_is_no_middle() {
    let place = Place::new();
    let server = place.faulty(&Faults { unknown: &["REST"], ..Faults::default() });
    let mut source = place.connect(&place.settings(server.port));
    let error = source.open_at("PHDS 2024_07.csv", 10).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.message().contains("refuses REST") && error.to_string().contains("from its beginning"), "{error}");
    assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(300_000), "the connection is still of use");

    let server = place.faulty(&Faults { ignores_rest: true, ..Faults::default() });
    let mut source = place.connect(&place.settings(server.port));
    let mut bytes = Vec::new();
    let error = source.open_at("PHDS 2024_07.csv", 10).unwrap().read_to_end(&mut bytes).unwrap_err();
    assert!(inner(&error).message().contains("more bytes came"), "{error}");
}

#[test]
fn a_download_that_breaks_is_an_error() {
    let place = Place::new();
    let cases = [
        (Faults { cut: Some((100_000, Cut::Fin)), ..Faults::default() }, "426", true),
        (Faults { cut: Some((0, Cut::Fin)), ..Faults::default() }, "426", true),
        (Faults { cut: Some((300_000, Cut::Fin)), ..Faults::default() }, "426", true),
        (Faults { cut: Some((100_000, Cut::FinAndDone)), ..Faults::default() }, "ended too early", true),
        (Faults { cut: Some((100_000, Cut::Flip)), ..Faults::default() }, "to its end", false),
        (Faults { cut: Some((100_000, Cut::Stall)), ..Faults::default() }, "no answer for 1 s", false),
        (Faults { cut: Some((100_000, Cut::Both)), ..Faults::default() }, "closed the connection", false),
        (Faults { short: Some(100_000), ..Faults::default() }, "ended too early", true),
        (Faults { short: Some(0), ..Faults::default() }, "ended too early", true),
    ];
    for (index, (faults, words, goes_on)) in cases.iter().enumerate() {
        let server = place.faulty(faults);
        let settings = FtpsSettings { timeout: Duration::from_secs(1), ..place.settings(server.port) };
        let mut source = place.connect(&settings);
        let begun = Instant::now();
        let mut bytes = Vec::new();
        {
            let mut reader = source.open_at("PHDS 2024_07.csv", 0).unwrap();
            let error = reader.read_to_end(&mut bytes).unwrap_err();
            assert_eq!(inner(&error).kind(), ErrorKind::Environment, "{index}");
            assert!(inner(&error).message().contains(words), "{index}: {error}");
            let count = format!("{} of 300000 bytes came", bytes.len());
            assert!(inner(&error).message().contains(&count), "{index}: {error}");
            assert_eq!(error.kind() == IoKind::TimedOut, words.contains("no answer"), "{index}");
            assert!(reader.read(&mut [0; 1]).is_err(), "{index}: an error is final");
        }
        // What came before the fault is right, so that a download can go on from there.
        assert!(bytes == noise(300_000)[..bytes.len()], "{index}");
        assert_eq!(source.stat("empty.csv").is_ok(), *goes_on, "{index}");
        drop(source);
        assert!(begun.elapsed() < Duration::from_secs(5), "{index}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_missing_end_of_tls_is_said() {
    let place = Place::new();
    let server = place.faulty(&Faults { unended: true, ..Faults::default() });
    let mut source = place.connect(&place.settings(server.port));
    assert_eq!(source.list().unwrap().len(), 2);
    assert_eq!(source.take_notes().len(), 1);
    assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(300_000));
    assert!(download(&mut source, "PHDS 2024_07.csv", 299_999).len() == 1);
    let notes = source.take_notes();
    assert!(notes.len() == 1 && notes[0].contains("without the proper end of TLS"), "{notes:?}");
}

#[test]
fn answers_are_never_taken_for_others() {
    let place = Place::new();
    let files = vec![("big.csv".to_owned(), noise(30_000_000)), ("a.csv".to_owned(), b"abc".to_vec())];
    for answers_twice in [false, true] {
        let faults = Faults { answers_twice, ..Faults::default() };
        let server = FaultyServer::start(&place.path("pki"), &place.password(), files.clone(), faults);
        let mut source = place.connect(&place.settings(server.port));
        source.open_at("big.csv", 0).unwrap().read_exact(&mut [0; 10]).unwrap();
        let after = source.stat("a.csv");
        if answers_twice {
            assert!(after.unwrap_err().message().contains("a new one is needed"));
        } else {
            assert_eq!(after.unwrap().size, 3);
            assert_eq!(download(&mut source, "a.csv", 0), b"abc");
        }
    }
}

#[test]
fn hostile_names_reach_no_command() {
    let place = Place::new();
    let faults = Faults {
        more_facts: "type=file;size=1; ../up\r\ntype=file;size=1; a\u{1b}[2J\r\ntype=file;size=1; a\rDELE b\r\n\
                     type=cdir; .\r\ntype=dir; sub\r\ntype=OS.unix=slink:/etc/passwd; link\r\n",
        ..Faults::default()
    };
    let server = place.faulty(&faults);
    let mut source = place.connect(&place.settings(server.port));
    let names: Vec<_> = source.list().unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["PHDS 2024_07.csv", "empty.csv"]);
    let notes = source.take_notes();
    assert!(notes.len() == 1 && notes[0].starts_with("3 files"), "{notes:?}");
    let before = server.commands().len();
    for name in ["", ".", "..", "../x", "folder/x", "a\\b", "a\nb", "a\r\nDELE b", "a\0b"] {
        assert_eq!(source.stat(name).unwrap_err().kind(), ErrorKind::Refused, "{name:?}");
        assert_eq!(source.open_at(name, 0).err().unwrap().kind(), ErrorKind::Refused, "{name:?}");
    }
    assert_eq!(server.commands().len(), before);
}

#[test]
fn serves_a_subfolder() {
    let place = Place::new();
    std::fs::create_dir(place.path("root/out put")).unwrap();
    std::fs::set_permissions(place.path("root/out put"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place.put("out put/a.csv", b"abc");
    let server = Server::start(&place, "proftpd", "good");
    let mut source = place.connect(&FtpsSettings { folder: "out put".into(), ..place.settings(server.port) });
    assert_eq!(source.list().unwrap()[0].name, "a.csv");
    assert_eq!(download(&mut source, "a.csv", 1), b"bc");
    let missing = FtpsSettings { folder: "missing".into(), ..place.settings(server.port) };
    let error = place.refusal(&missing, &place.password());
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.message().contains("cannot enter the folder `missing`"), "{error}");
}

#[test]
fn network_trouble_is_told_apart() {
    let place = Place::new();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for tls in [Tls::Explicit, Tls::Implicit] {
        let settings = FtpsSettings { tls, timeout: Duration::from_secs(1), ..place.settings(port) };
        let error = place.refusal(&settings, &place.password());
        assert_eq!(error.kind(), ErrorKind::Environment);
        assert!(error.message().contains(&format!("cannot connect to localhost:{port}")), "{error}");

        let host = "no-such-host.invalid".to_owned();
        let unknown = FtpsSettings { host, timeout: Duration::from_secs(20), ..settings.clone() };
        assert_eq!(place.refusal(&unknown, &place.password()).kind(), ErrorKind::Environment);

        // Accepts and says nothing, as a server of the other kind of TLS does.
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        let settings = FtpsSettings { port: mute.local_addr().unwrap().port(), ..settings };
        let error = place.refusal(&settings, &place.password());
        assert_eq!(error.kind(), ErrorKind::Environment, "{error}");
        assert!(error.message().contains("no answer for 1 s") && error.to_string().contains("tls = "), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    // Explicit where implicit was meant, and the other way round.
    let server = place.faulty(&Faults::default());
    let settings = FtpsSettings { tls: Tls::Implicit, timeout: Duration::from_secs(1), ..place.settings(server.port) };
    let error = place.refusal(&settings, &place.password());
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains("tls = \"explicit\""), "{error}");
    let server = place.faulty(&Faults { implicit: true, ..Faults::default() });
    let settings = FtpsSettings { timeout: Duration::from_secs(1), ..place.settings(server.port) };
    let error = place.refusal(&settings, &place.password());
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains("tls = \"implicit\""), "{error}");
    // A server that is gone.
    let place = Place::new();
    let server = Server::start(&place, "proftpd", "good");
    let source = place.connect(&place.settings(server.port));
    drop(server);
    assert_eq!(place.refusal(&source_settings(&place, &source), &place.password()).kind(), ErrorKind::Environment);
}

fn source_settings(place: &Place, source: &FtpsSource) -> FtpsSettings {
    place.settings(source.origin().server.rsplit(':').next().unwrap().parse().unwrap())
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture ftps_loopback_speed; PHDS_MB=200"]
fn ftps_loopback_speed() {
    let megabytes: usize = std::env::var("PHDS_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let place = Place::new();
    let block = noise(1_000_000);
    place.put("big", b"");
    let mut file = std::fs::File::options().append(true).open(place.path("root/big")).unwrap();
    for _ in 0..megabytes {
        file.write_all(&block).unwrap();
    }
    let server = Server::start(&place, "proftpd", "good");
    let config = place.path("curl");
    std::fs::write(&config, format!("user = \"phds-test:{}\"\n", place.password())).unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        let mut source = place.connect(&place.settings(server.port));
        let mut reader = source.open_at("big", 0).unwrap();
        let mut buffer = vec![0; block.len()];
        let mut count = 0;
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                more => count += more,
            }
        }
        assert_eq!(count, megabytes * block.len());
        let ours = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let status = Command::new("curl")
            .args(["-sS", "--ssl-reqd", "-o", "/dev/null", "-K"])
            .arg(&config)
            .arg("--cacert")
            .arg(place.path("pki/ca.pem"))
            .arg(format!("ftp://localhost:{}/big", server.port))
            .status()
            .unwrap();
        assert!(status.success());
        eprintln!("{megabytes} MB: phds {ours:.2} s, curl {:.2} s", begun.elapsed().as_secs_f64());
    }
}
