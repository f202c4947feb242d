//! `FtpsSource` against real servers (`tests/servers`), and against one in this process that misbehaves.

use std::fmt::Write as _;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use phds::error::ErrorKind::{Credentials, Environment};
use phds::error::{Error, ErrorKind};
use phds::fetch::ftps::{FtpsSettings, FtpsSource, Tls, examine};
use phds::fetch::{Observation, Source, Verdict};
use sha2::{Digest, Sha256};
use suppaftp::rustls::pki_types::CertificateDer;
use suppaftp::rustls::pki_types::pem::PemObject;

/// Serves any test of this binary.
#[path = "../servers/faulty_ftps.rs"]
pub mod faulty_ftps;

use faulty_ftps::{Cut, Drip, Faults, FaultyServer, HANG_UP, How, SILENCE};

use crate::support::servers::{Place, Server, USER, assert_listed, free_ports};
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

impl Place {
    pub fn settings(&self, port: u16) -> FtpsSettings {
        FtpsSettings {
            port,
            ca_file: Some(self.path("pki/ca.pem")),
            timeout: Duration::from_secs(20),
            ..FtpsSettings::new("localhost", USER)
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

fn inner(error: &std::io::Error) -> &Error {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// A wait that ends soon, where it is to end without an answer; one that a busy machine does not reach elsewhere.
fn patience(is_silent: bool) -> Duration {
    Duration::from_secs(if is_silent { 1 } else { 20 })
}

/// Every call on a lost connection is at once an error after which a new connection may help.
fn assert_lost(source: &mut dyn Source) {
    let begun = Instant::now();
    for error in [
        source.list().unwrap_err(),
        source.stat("empty.csv").unwrap_err(),
        source.open_at("PHDS 2024_07.csv", 0).err().unwrap(),
        source.open_at("PHDS 2024_07.csv", 7).err().unwrap(),
    ] {
        assert!(error.may_pass() && error.message().contains("a new one is needed"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// What was observed of one topic.
fn observed<'a>(observations: &'a [Observation], topic: &str) -> Option<(Verdict, &'a str)> {
    let found = observations.iter().find(|observation| observation.topic == topic)?;
    Some((found.verdict, &found.text))
}

/// Everything that a source does, against a server without faults.
fn works(kind: &str) -> (Place, FtpsSource) {
    let place = Place::new();
    place.put("PHDS 2024_07.csv", &noise(5_000_001));
    place.put("empty.csv", b"");
    place.put("-a ü;b.csv", b"abc");
    std::fs::create_dir(place.path("root/folder")).unwrap();
    std::os::unix::fs::symlink("empty.csv", place.path("root/link.csv")).unwrap();
    let server = Server::start(&place, kind);
    let tls = if kind.ends_with("implicit") { Tls::Implicit } else { Tls::Explicit };
    // vsftpd runs without the administrator's rights only for this user.
    let user = if kind.starts_with("vsftpd") { "ftp" } else { "phds-test" };
    let settings = FtpsSettings { tls, user: user.into(), ..place.settings(server.port) };
    let mut source = place.connect(&settings);

    let mut files = source.list().unwrap();
    files.retain(|file| file.name != "link.csv");
    let count = files.len();
    assert_listed(&mut source, files);
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
    assert_eq!(source.list().unwrap().len(), count + 1);

    let origin = source.origin();
    assert_eq!(origin.protocol, "ftps");
    assert_eq!(origin.server, format!("localhost:{}", server.port));
    assert_eq!(origin.server_identity, place.fingerprint("good"));
    assert!(!format!("{source:?} {settings:?}").contains(&place.password()));
    assert_eq!(source.take_notes(), Vec::<String>::new());
    for seen in source.observations() {
        assert_eq!(seen.verdict, Verdict::Good, "{seen:?}");
    }
    let listed = if kind.starts_with("vsftpd") { "LIST, in lines of the POSIX form" } else { "MLSD" };
    assert_eq!(observed(&source.observations(), "listing"), Some((Verdict::Good, listed)));
    let seen = examine(&settings);
    assert_eq!(observed(&seen, "trust").unwrap().0, Verdict::Good, "{seen:?}");
    assert!(observed(&seen, "certificate").unwrap().1.contains(&place.fingerprint("good")), "{seen:?}");

    // A login that is refused, and the server's view of it.
    let error = place.refusal(&settings, "wrong-password");
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("refused the password"), "{error}");

    // Given up in the middle.
    let mut other = place.connect(&settings);
    other.open_at("PHDS 2024_07.csv", 0).unwrap().read_exact(&mut [0; 10]).unwrap();
    assert_lost(&mut other);
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
        let server = Server::start_with(&place, "proftpd", certificate, free_ports());
        let error = place.refusal(&place.settings(server.port), &place.password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Credentials, false));
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
        let server = Server::start(&place, kind);
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
    let server = Server::start_with(&place, "proftpd", "expired", free_ports());
    let expired = FtpsSettings { cert_sha256: Some(place.fingerprint("expired")), ..place.settings(server.port) };
    let error = place.refusal(&expired, &place.password());
    assert!(error.message().contains("expired on 2020-02-01"), "a pin does not make it valid: {error}");
}

#[test]
fn a_wrong_login_is_tried_once() {
    let place = Place::new();
    let server = place.faulty(&Faults::default());
    let error = place.refusal(&place.settings(server.port), "wrong-password");
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Credentials, false));
    assert!(error.message().contains("refused the password of `phds-test`"), "{error}");
    assert_eq!((server.count("USER"), server.count("PASS")), (1, 1));

    // An answer, or none, that may be one to the password is final.
    for (verb, answer, kind, may_pass) in [
        ("PASS", "530 no", Credentials, false),
        ("PASS", "430 no", Credentials, false),
        ("PASS", "332 account", Credentials, false),
        ("PASS", "421 too many", Environment, false),
        ("PASS", "450 later", Environment, false),
        ("PASS", HANG_UP, Environment, false),
        ("PASS", SILENCE, Environment, false),
        ("USER", "530 no", Credentials, false),
        ("USER", "421 too many", Environment, true),
        ("USER", HANG_UP, Environment, true),
    ] {
        let server = place.faulty(&Faults { answers: vec![(verb, answer)], ..Faults::default() });
        let settings = FtpsSettings { timeout: patience(answer == SILENCE), ..place.settings(server.port) };
        let error = place.refusal(&settings, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (kind, may_pass), "{verb} {answer}: {error}");
        assert_eq!((server.count("USER"), server.count("PASS")), (1, usize::from(verb == "PASS")));
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
        assert_eq!(error.may_pass(), kind == ErrorKind::Environment, "{error}");
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
    let dos = b"07-08-24  09:06AM               300000 PHDS 2024_07.csv\r\n07-08-24  09:06AM  0 empty.csv\r\n\
               07-08-24  09:06AM       <DIR>          Accepted\r\n";
    let (posix_form, dos_form) = ("LIST, in lines of the POSIX form", "LIST, in lines of the DOS form");
    let cases: [(Faults, &[&str], &str); 7] = [
        (Faults { unknown: &["MLSD", "MLST"], ..Faults::default() }, &["LIST", "SIZE", "MDTM"], posix_form),
        (Faults { unknown: &["MLST"], ..Faults::default() }, &["MLSD"], "MLSD"),
        (Faults { unknown: &["EPSV"], ..Faults::default() }, &["MLSD", "PASV"], "MLSD"),
        (Faults { unknown: &["EPSV"], lying_pasv: true, ..Faults::default() }, &["PASV"], "MLSD"),
        (Faults { unknown: &["MLSD", "MLST", "SIZE"], ..Faults::default() }, &["LIST", "MDTM"], posix_form),
        (Faults { unknown: &["MLSD", "MLST"], listing: Some(dos), ..Faults::default() }, &["LIST", "SIZE"], dos_form),
        (
            Faults { unknown: &["MLSD", "MLST", "SIZE", "EPSV", "FEAT"], listing: Some(dos), ..Faults::default() },
            &["LIST", "PASV"],
            dos_form,
        ),
    ];
    for (index, (faults, used, form)) in cases.iter().enumerate() {
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
        let seen = source.observations();
        let (knows_size, knows_epsv) = (!faults.unknown.contains(&"SIZE"), !faults.unknown.contains(&"EPSV"));
        for (topic, verdict, text) in [
            ("listing", Verdict::Good, *form),
            ("file sizes", if knows_size { Verdict::Good } else { Verdict::Note }, "SIZE is"),
            ("file times", Verdict::Good, "MDTM is known"),
            ("resuming", Verdict::Good, "REST is known"),
            ("passive mode", Verdict::Good, if knows_epsv { "EPSV" } else { "PASV; EPSV is refused" }),
            ("session reuse", Verdict::Good, "data connections resume"),
        ] {
            let (found, words) = observed(&seen, topic).unwrap();
            assert!(found == verdict && words.starts_with(text), "{index}: {topic}: {seen:?}");
        }
        assert_eq!(server.commands().iter().filter(|command| *command == "REST 70001").count(), 1, "{index}");
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
    let faults = Faults { unknown: &["MLSD", "MLST"], listing: Some(b"PHDS.CSV;1  12/13\r\n"), ..Faults::default() };
    let server = place.faulty(&faults);
    let error = place.connect(&place.settings(server.port)).list().unwrap_err();
    assert!(error.message().contains("cannot read"), "{error}");
}

#[test]
fn without_rest_there_is_no_middle() {
    let place = Place::new();
    let lie = ("FEAT", "211-Features\r\n REST STREAM\r\n211 End");
    for (faults, sent) in [
        (Faults { unknown: &["REST"], ..Faults::default() }, vec!["REST 0"]),
        (Faults { answers: vec![lie, ("REST", "502 no")], ..Faults::default() }, vec!["REST 10"]),
        (Faults { answers: vec![lie, ("REST", "501 no")], ..Faults::default() }, vec!["REST 10", "REST 10"]),
    ] {
        let server = place.faulty(&faults);
        let mut source = place.connect(&place.settings(server.port));
        for _ in 0..2 {
            let error = source.open_at("PHDS 2024_07.csv", 10).err().unwrap();
            assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, false), "{error}");
            assert!(error.to_string().contains("refuses REST") && error.to_string().contains("beginning"), "{error}");
        }
        let mut commands = server.commands();
        commands.retain(|command| command.starts_with("REST"));
        assert_eq!(commands, sent);
        assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(300_000), "the connection is still of use");
    }

    let server = place.faulty(&Faults { ignores_rest: true, ..Faults::default() });
    let mut source = place.connect(&place.settings(server.port));
    let mut bytes = Vec::new();
    let error = source.open_at("PHDS 2024_07.csv", 10).unwrap().read_to_end(&mut bytes).unwrap_err();
    assert!(inner(&error).message().contains("more bytes came") && !inner(&error).may_pass(), "{error}");
    assert_lost(&mut source);
}

/// Reads from `offset` on a connection of its own: what came, and how it ended.
fn read_from(place: &Place, settings: &FtpsSettings, offset: u64) -> (Vec<u8>, Result<usize, std::io::Error>) {
    let mut bytes = Vec::new();
    let mut source = place.connect(settings);
    let outcome = source.open_at("PHDS 2024_07.csv", offset).unwrap().read_to_end(&mut bytes);
    (bytes, outcome)
}

#[test]
fn a_download_that_breaks_is_an_error() {
    let place = Place::new();
    let mut cases: Vec<(Faults, &str)> = Vec::new();
    for after in [0, 1, 100_000, 299_999, 300_000] {
        for (how, words) in [
            (How::Fin, "the server broke it off: 426"),
            (How::Reset, ""),
            (How::Stall, "no answer for 1 s"),
            (How::Flip, "to its end"),
            (How::Both, "the server closed the connection"),
            (How::Goodbye, "421 (closing)"),
        ] {
            cases.push((Faults { cut: Some(Cut::every(after, how)), ..Faults::default() }, words));
        }
    }
    for after in [0, 1, 100_000, 299_999] {
        let cut = Some(Cut::every(after, How::FinAndDone));
        cases.push((Faults { cut, ..Faults::default() }, "ended too early"));
        cases.push((Faults { short: Some(after), ..Faults::default() }, "ended too early"));
        cases.push((Faults { cut, tls12: true, ..Faults::default() }, "ended too early"));
    }
    // Those that stall take a second each.
    std::thread::scope(|scope| {
        for (faults, words) in &cases {
            let place = &place;
            scope.spawn(move || breaks(place, faults, words));
        }
    });
}

fn breaks(place: &Place, faults: &Faults, words: &str) {
    let case = format!("{:?} {:?}", faults.cut.map(|cut| (cut.after, cut.how)), faults.short);
    let server = place.faulty(faults);
    let stalls = faults.cut.is_some_and(|cut| cut.how == How::Stall);
    let mut source = place.connect(&FtpsSettings { timeout: patience(stalls), ..place.settings(server.port) });
    let mut bytes = Vec::new();
    {
        let mut reader = source.open_at("PHDS 2024_07.csv", 0).unwrap();
        let error = reader.read_to_end(&mut bytes).unwrap_err();
        assert_eq!((inner(&error).kind(), inner(&error).may_pass()), (ErrorKind::Environment, true), "{case}: {error}");
        assert!(inner(&error).message().contains(words), "{case}: {error}");
        let count = format!("{} of 300000 bytes came", bytes.len());
        assert!(inner(&error).message().contains(&count), "{case}: {error}");
        assert_eq!(error.kind() == IoKind::TimedOut, stalls, "{case}");
        assert!(reader.read(&mut [0; 1]).is_err(), "{case}: an error is final");
    }
    // What came before the fault is right, so that a download can go on from there.
    assert!(bytes == noise(300_000)[..bytes.len()], "{case}");
    if let Some(Cut { after, how, .. }) = faults.cut {
        // What stands before a fault of TLS, or waits to be read when a reset comes, may go with it.
        let loses = matches!(how, How::Reset | How::Flip);
        assert!(bytes.len() == after || loses && bytes.len() < after, "{case}: {}", bytes.len());
    }
    assert_lost(&mut source);
}

#[test]
fn a_download_goes_on_where_it_broke() {
    let place = Place::new();
    for how in [How::Fin, How::Reset, How::Flip, How::Both, How::Goodbye] {
        let server = place.faulty(&Faults { cut: Some(Cut::first(3, 70_000, how)), ..Faults::default() });
        let mut bytes = Vec::new();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (more, outcome) = read_from(&place, &place.settings(server.port), bytes.len() as u64);
            bytes.extend(more);
            match outcome {
                Ok(_) => break,
                Err(error) => assert!(inner(&error).may_pass(), "{how:?}: {error}"),
            }
        }
        assert_eq!(attempts, 4, "{how:?}");
        assert!(bytes == noise(300_000), "{how:?}");
    }
}

#[test]
fn a_server_that_was_away() {
    let place = Place::new();
    let mut server = place.faulty(&Faults::default());
    let settings = place.settings(server.port);
    let mut source = place.connect(&settings);
    server.stop();
    let error = source.stat("empty.csv").unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert_lost(&mut source);
    let error = place.refusal(&settings, &place.password());
    assert!(error.may_pass() && error.message().contains("cannot connect"), "{error}");
    server.start_again();
    assert!(read_from(&place, &settings, 0).0 == noise(300_000));
}

#[test]
fn refusals_in_a_session() {
    let place = Place::new();
    // Verb, answer, kind, whether it may pass, whether the connection is of use afterwards.
    for (verb, answer, kind, may_pass, goes_on) in [
        ("MLST", "421 closing", Environment, true, false),
        ("MLST", "450 busy", Environment, true, true),
        ("MLST", "530 log in", Credentials, false, false),
        ("MLST", "550 no such file", Environment, false, true),
        ("MLST", HANG_UP, Environment, true, false),
        ("MLST", "gibberish", Environment, false, false),
        ("EPSV", "421 closing", Environment, true, false),
        ("EPSV", "425 no port", Environment, true, true),
        ("EPSV", "229 (|||1|)", Environment, true, true),
        ("RETR", "425 no data connection", Environment, true, true),
        ("RETR", "426 broken off", Environment, true, false),
        ("RETR", "450 busy", Environment, true, true),
        ("RETR", "451 local error", Environment, true, true),
        ("RETR", "522 reuse", Environment, false, true),
        ("RETR", "530 log in", Credentials, false, false),
        ("RETR", "550 denied", Environment, false, true),
        ("RETR", HANG_UP, Environment, true, false),
        ("RETR", SILENCE, Environment, true, false),
    ] {
        for offset in [0, 5] {
            let case = format!("{verb} {answer} {offset}");
            let server = place.faulty(&Faults { answers: vec![(verb, answer)], ..Faults::default() });
            let settings = FtpsSettings { timeout: patience(answer == SILENCE), ..place.settings(server.port) };
            let mut source = place.connect(&settings);
            let error = source.open_at("PHDS 2024_07.csv", offset).err().unwrap();
            assert_eq!((error.kind(), error.may_pass()), (kind, may_pass), "{case}: {error}");
            if goes_on {
                // The same refusal again, and not an answer that is left over.
                let again = source.open_at("PHDS 2024_07.csv", offset).err().unwrap();
                assert_eq!(again.message(), error.message(), "{case}");
            } else {
                assert_lost(&mut source);
            }
        }
    }
    for (verb, answer, kind, may_pass) in [
        ("PROT", "421 closing", Environment, true),
        ("TYPE", "421 closing", Environment, true),
        ("TYPE", HANG_UP, Environment, true),
        ("CWD", "550 no such folder", Environment, false),
        ("CWD", "450 busy", Environment, true),
        ("AUTH", "421 closing", Environment, true),
        ("AUTH", HANG_UP, Environment, true),
    ] {
        let server = place.faulty(&Faults { answers: vec![(verb, answer)], ..Faults::default() });
        let error =
            place.refusal(&FtpsSettings { folder: "x".into(), ..place.settings(server.port) }, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (kind, may_pass), "{verb} {answer}: {error}");
    }
}

#[test]
fn a_slow_greeting() {
    let place = Place::new();
    for (delay, implicit) in [(300, false), (300, true), (3_000, false), (3_000, true)] {
        let server = place.faulty(&Faults { implicit, delay: Duration::from_millis(delay), ..Faults::default() });
        let tls = if implicit { Tls::Implicit } else { Tls::Explicit };
        let settings = FtpsSettings { tls, timeout: patience(delay > 1_000), ..place.settings(server.port) };
        let begun = Instant::now();
        if delay < 1_000 {
            assert_eq!(place.connect(&settings).list().unwrap().len(), 2);
        } else {
            let error = place.refusal(&settings, &place.password());
            assert!(error.may_pass() && error.message().contains("no answer for 1 s"), "{error}");
            assert!(begun.elapsed() < Duration::from_millis(2_900), "{:?}", begun.elapsed());
        }
    }
}

#[test]
fn versions_and_reuse_of_tls() {
    let place = Place::new();
    for (tls12, no_reuse) in [(false, false), (false, true), (true, false), (true, true)] {
        let server = place.faulty(&Faults { no_reuse, tls12, ..Faults::default() });
        let mut source = place.connect(&place.settings(server.port));
        assert!(download(&mut source, "PHDS 2024_07.csv", 1) == noise(300_000)[1..]);
        assert_eq!(source.tls().version, if tls12 { "TLS 1.2" } else { "TLS 1.3" });
        assert_eq!(source.tls().data_resumed, Some(!no_reuse), "{tls12}");
        let seen = source.observations();
        let verdict = if no_reuse { Verdict::Note } else { Verdict::Good };
        assert_eq!(observed(&seen, "session reuse").unwrap().0, verdict);
        let text = format!("{}, {}", source.tls().version, source.tls().cipher);
        assert_eq!(observed(&seen, "session encryption"), Some((Verdict::Good, text.as_str())));
        assert!(text.contains("AES") || text.contains("CHACHA20"), "{text}");
    }
}

#[test]
fn what_a_server_shows_before_a_login() {
    let place = Place::new();
    let greeting = Some("220-Welcome\r\n\u{1b}[2Jto us\r\n220 ready");
    let seen = |faults: Faults, change: &dyn Fn(&mut FtpsSettings)| {
        let server = place.faulty(&faults);
        let timeout = patience(!faults.delay.is_zero());
        let mut settings = FtpsSettings { timeout, ..place.settings(server.port) };
        settings.tls = if faults.implicit { Tls::Implicit } else { Tls::Explicit };
        change(&mut settings);
        let seen = examine(&settings);
        for command in server.commands() {
            assert!(["AUTH TLS", "PBSZ 0", "PROT P", "FEAT", "QUIT"].contains(&command.as_str()), "{command}");
        }
        // What goes wrong is told in the words of the connection itself.
        if let Err(error) = FtpsSource::connect(&settings, &secret(&place.password())) {
            let last = seen.last().unwrap();
            assert_eq!((last.verdict, last.text.as_str()), (Verdict::Problem, error.message()));
            assert_eq!(last.hint.as_deref(), error.what_to_do());
        }
        seen
    };
    let topics = |seen: &[Observation]| seen.iter().map(|one| one.topic.clone()).collect::<Vec<_>>().join(", ");
    let good = |seen: &[Observation]| seen.iter().all(|observation| observation.verdict <= Verdict::Note);
    let implicit = true;

    for faults in [Faults { greeting, ..Faults::default() }, Faults { implicit, greeting, ..Faults::default() }] {
        let seen = seen(faults, &|_| {});
        assert!(good(&seen), "{seen:#?}");
        assert_eq!(topics(&seen), "name, greeting, encryption, certificate, authority, trust, features before login");
        let (_, greeting) = observed(&seen, "greeting").unwrap();
        assert!(greeting.contains("Welcome") && greeting.contains("ready"), "{greeting}");
        assert!(!greeting.contains(char::is_control), "{greeting}");
        assert!(observed(&seen, "name").unwrap().1.contains("localhost is ") && seen[0].text.contains("127.0.0.1"));
        assert!(observed(&seen, "encryption").unwrap().1.starts_with("TLS 1.3, TLS13_"));
        let (_, certificate) = observed(&seen, "certificate").unwrap();
        assert!(certificate.contains(&place.fingerprint("good")) && certificate.ends_with("days left"));
        assert!(observed(&seen, "features before login").unwrap().1.contains("SIZE, MDTM, REST STREAM"));
        let own = place.fingerprint("good");
        assert!(own.len() == 71 && certificate.contains("issued by `throwaway ca`"), "{certificate}");
    }
    // A pin, and a server that says nothing of itself.
    let pin = place.fingerprint("othername");
    let answers = vec![("FEAT", "530 log in")];
    let faults = Faults { certificate: Some("othername"), tls12: true, answers, ..Faults::default() };
    let pinned = seen(faults, &|settings| settings.cert_sha256 = Some(pin.clone()));
    assert_eq!(observed(&pinned, "trust"), Some((Verdict::Good, "its certificate is the pinned one")));
    assert!(observed(&pinned, "encryption").unwrap().1.starts_with("TLS 1.2, "));
    assert_eq!(observed(&pinned, "features before login").unwrap().0, Verdict::Unknown);

    // Not trusted: the certificate is shown all the same.
    for (certificate, words) in [("expired", "expired on 2020-02-01"), ("othername", "but for other.invalid")] {
        let seen = seen(Faults { certificate: Some(certificate), ..Faults::default() }, &|_| {});
        assert_eq!(topics(&seen), "name, greeting, encryption, certificate, authority, trust");
        assert!(observed(&seen, "trust").unwrap().1.contains(words), "{seen:#?}");
        let (verdict, text) = observed(&seen, "certificate").unwrap();
        assert_eq!(verdict == Verdict::Problem, certificate == "expired");
        assert!(text.contains(&place.fingerprint(certificate)), "{text}");
    }
    // No way to it.
    let no_tls = Faults { unknown: &["AUTH"], ..Faults::default() };
    assert_eq!(topics(&seen(no_tls, &|_| {})), "name, greeting, connection");
    let no_protection = Faults { unknown: &["PROT"], ..Faults::default() };
    let proved = "name, greeting, encryption, certificate, authority, trust, connection";
    assert_eq!(topics(&seen(no_protection, &|_| {})), proved);
    let late = Faults { delay: Duration::from_secs(2), ..Faults::default() };
    assert_eq!(topics(&seen(late, &|_| {})), "name, connection");
    assert_eq!(topics(&seen(Faults::default(), &|settings| settings.port = 1)), "name, connection");
    assert_eq!(topics(&seen(Faults::default(), &|settings| settings.host = "no.invalid".into())), "connection");
    assert_eq!(topics(&seen(Faults::default(), &|settings| settings.cert_sha256 = Some("x".into()))), "settings");
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
    assert_eq!(observed(&source.observations(), "end of TLS").unwrap().0, Verdict::Note);
}

#[test]
fn a_reader_that_is_dropped_costs_the_connection() {
    let place = Place::new();
    let files = vec![("PHDS 2024_07.csv".to_owned(), noise(30_000_000))];
    let server = FaultyServer::start(&place.path("pki"), &place.password(), files, Faults::default());
    for read in [0, 10, 30_000_000] {
        let mut source = place.connect(&place.settings(server.port));
        let begun = Instant::now();
        let mut bytes = vec![0; read];
        source.open_at("PHDS 2024_07.csv", 0).unwrap().read_exact(&mut bytes).unwrap();
        assert_lost(&mut source);
        drop(source);
        assert!(read > 10 || begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn hostile_names_reach_no_command() {
    let place = Place::new();
    let faults = Faults {
        more_facts: b"type=file;size=1; ../up\r\ntype=file;size=1; a\x1b[2J\r\ntype=file;size=1; a\rDELE b\r\n\
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

/// A server that serves `empty.csv` to anybody with this password.
fn faulty_with(place: &Place, password: &str, faults: Faults) -> FaultyServer {
    FaultyServer::start(&place.path("pki"), password, vec![("empty.csv".to_owned(), Vec::new())], faults)
}

#[test]
fn a_password_that_the_server_repeats_is_hidden() {
    let place = Place::new();
    // A password of four letters or more is hidden in the words of the server; for a shorter one all of them are.
    for (password, words) in [("Hunter2pass", " (you sent (hidden) and (hidden))"), ("abc", "")] {
        let failed = |verb: &'static str, code: &str| {
            let answer: &'static str = format!("{code} you sent {{password}} and {{PASSWORD}}").leak();
            let faults = Faults { answers: vec![(verb, answer)], ..Faults::default() };
            let server = faulty_with(&place, password, faults);
            let settings = FtpsSettings { folder: "x".into(), ..place.settings(server.port) };
            FtpsSource::connect(&settings, &secret(password))
                .and_then(|mut source| {
                    source.list()?;
                    source.stat("empty.csv")?;
                    source.open_at("empty.csv", 0).map(|_| ())
                })
                .unwrap_err()
        };
        for (verb, code) in [
            ("AUTH", "534"),
            ("PROT", "534"),
            ("USER", "530"),
            ("PASS", "530"),
            ("TYPE", "504"),
            ("CWD", "550"),
            ("EPSV", "421"),
            ("MLSD", "550"),
            ("MLST", "451"),
            ("MLST", "530"),
            ("RETR", "550"),
            ("RETR", "425"),
        ] {
            let error = failed(verb, code);
            let shown = format!("{error} {error:?}").to_lowercase();
            assert!(!shown.contains(&password.to_lowercase()), "{verb} {code}: {error}");
            assert!(words.is_empty() || error.message().contains(words), "{verb} {code}: {error}");
            assert!(!shown.contains("you sent") || !words.is_empty(), "{verb} {code}: {error}");
        }
        let faults = Faults {
            answers: vec![("FEAT", "211-Features\r\n X-{password}\r\n SIZE\r\n211 End")],
            more_facts: b"type=file;size=1; see {PASSWORD}.csv\r\n",
            ..Faults::default()
        };
        let server = faulty_with(&place, password, faults);
        let mut source = FtpsSource::connect(&place.settings(server.port), &secret(password)).unwrap();
        let names: Vec<_> = source.list().unwrap().into_iter().map(|file| file.name).collect();
        let seen = source.observations();
        let features = observed(&seen, "features").unwrap().1;
        let notes = source.take_notes();
        if words.is_empty() {
            // Three letters stand in many names.
            assert_eq!((features, notes.len()), ("none to show", 0));
            assert_eq!(names, ["empty.csv", "see ABC.csv"]);
        } else {
            assert_eq!(features, "X-(hidden), SIZE");
            assert_eq!(names, ["empty.csv"]);
            assert!(notes.len() == 1 && notes[0].starts_with("1 files"), "{notes:?}");
            let shown = format!("{seen:?} {notes:?} {source:?}").to_lowercase();
            assert!(!shown.contains(&password.to_lowercase()), "{shown}");
        }
    }
    // What was learnt at one login can be said before the next one.
    let greeting = Some("421 {password} was here already");
    let server = faulty_with(&place, "Hunter2pass", Faults { greeting, ..Faults::default() });
    let error = FtpsSource::connect(&place.settings(server.port), &secret("Hunter2pass")).unwrap_err();
    assert!(error.message().ends_with("turned us away: 421 ((hidden) was here already)"), "{error}");
}

#[test]
fn a_server_that_drips_is_left() {
    let place = Place::new();
    // In seconds, for a wait of one: 6 until the folder is entered, 10 for a listing, 3 for anything else.
    let cases = [
        (Drip::Greeting, 6, true),
        (Drip::Handshake, 6, true),
        (Drip::Answer("AUTH"), 6, true),
        (Drip::Answer("PBSZ"), 6, true),
        (Drip::Answer("USER"), 6, true),
        (Drip::Answer("PASS"), 6, false),
        (Drip::Answer("TYPE"), 6, true),
        (Drip::Answer("FEAT"), 6, true),
        (Drip::Answer("CWD"), 6, true),
        (Drip::Answer("EPSV"), 10, true),
        (Drip::Answer("MLSD"), 10, true),
        (Drip::DataHandshake, 10, true),
        (Drip::Listing, 10, true),
        (Drip::Answer("MLST"), 3, true),
        (Drip::Answer("RETR"), 3, true),
        (Drip::Download, 3, true),
        (Drip::End, 3, true),
    ];
    std::thread::scope(|scope| {
        for implicit in [false, true] {
            for (what, limit, may_pass) in cases {
                // Implicit TLS is not asked for.
                if !(implicit && matches!(what, Drip::Answer("AUTH"))) {
                    let place = &place;
                    scope.spawn(move || drips(place, what, implicit, limit, may_pass));
                }
            }
        }
    });
}

fn drips(place: &Place, what: Drip, implicit: bool, limit: u64, may_pass: bool) {
    let case = format!("{what:?}, implicit: {implicit}");
    let server = place.faulty(&Faults { implicit, drip: Some(what), ..Faults::default() });
    let tls = if implicit { Tls::Implicit } else { Tls::Explicit };
    let timeout = patience(true);
    let settings = FtpsSettings { tls, timeout, folder: "x".into(), ..place.settings(server.port) };
    let mut begun = Instant::now();
    let outcome = FtpsSource::connect(&settings, &secret(&place.password())).and_then(|mut source| {
        begun = Instant::now();
        if limit == 10 {
            let error = source.list().unwrap_err();
            assert_lost(&mut source);
            return Err(error);
        }
        let mut bytes = Vec::new();
        let outcome = source.open_at("PHDS 2024_07.csv", 0)?.read_to_end(&mut bytes);
        assert_eq!(bytes.len(), 300_000, "{case}");
        assert_lost(&mut source);
        outcome.map_err(|error| inner(&error).clone())
    });
    let (error, took) = (outcome.err().unwrap(), begun.elapsed());
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, may_pass), "{case}: {error}");
    let words = format!("did not finish in {limit} s");
    assert!(error.message().contains(&words), "{case}: {error}");
    let limit = Duration::from_secs(limit);
    assert!(took < limit + Duration::from_secs(3), "{case}: {took:?}");
    // The doctor waits no longer for what comes before a login.
    if let Drip::Greeting | Drip::Handshake | Drip::Answer("AUTH" | "FEAT") = what {
        let last = examine(&settings).pop().unwrap();
        assert!(last.text.contains("did not finish in"), "{case}: {last:?}");
    }
}

#[test]
fn names_that_are_not_utf_8_are_shown_and_not_asked_for() {
    let place = Place::new();
    for (faults, link) in [
        (
            Faults {
                more_facts: b"type=file;size=7;modify=20240708090603; PHDS \xe9.csv\r\n\
                              type=OS.unix=slink:/x;size=3; link \xe9\r\ntype=dir; folder \xe9\r\n",
                ..Faults::default()
            },
            true,
        ),
        (
            Faults {
                unknown: &["MLSD", "MLST"],
                listing: Some(
                    b"-rw-r--r-- 1 o g 0 Jul  8 09:06 empty.csv\r\n-rw-r--r-- 1 o g 7 Jul  8 09:06 PHDS \xe9.csv\r\n",
                ),
                ..Faults::default()
            },
            false,
        ),
    ] {
        let server = faulty_with(&place, "Hunter2pass", faults);
        let mut source = FtpsSource::connect(&place.settings(server.port), &secret("Hunter2pass")).unwrap();
        let mut files: Vec<_> = source.list().unwrap().into_iter().map(|file| (file.name, file.size)).collect();
        files.sort();
        assert_eq!(files, [("PHDS \u{fffd}.csv".to_owned(), 7), ("empty.csv".to_owned(), 0)]);
        let notes = source.take_notes();
        // Whether a link leads to a file would have to be asked.
        assert_eq!(notes.len(), usize::from(link), "{notes:?}");
        assert!(!server.commands().iter().any(|command| command.contains("PHDS")), "{:?}", server.commands());
    }
}

#[test]
fn serves_a_subfolder() {
    let place = Place::new();
    std::fs::create_dir(place.path("root/out put")).unwrap();
    std::fs::set_permissions(place.path("root/out put"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place.put("out put/a.csv", b"abc");
    let server = Server::start(&place, "proftpd");
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
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, true));
        assert!(error.message().contains(&format!("cannot connect to localhost:{port}")), "{error}");

        let host = "no-such-host.invalid".to_owned();
        let unknown = FtpsSettings { host, timeout: Duration::from_secs(20), ..settings.clone() };
        let error = place.refusal(&unknown, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, true));

        // Accepts and says nothing, as a server of the other kind of TLS does.
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        let settings = FtpsSettings { port: mute.local_addr().unwrap().port(), ..settings };
        let error = place.refusal(&settings, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, true), "{error}");
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
    // Encryption that is cut off while it is set up: after AUTH, and at once.
    for (tls, lines) in [(Tls::Explicit, &["220 ready\r\n", "234 go on\r\n"][..]), (Tls::Implicit, &[])] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = FtpsSettings { tls, ..place.settings(listener.local_addr().unwrap().port()) };
        let server = std::thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            for line in lines {
                socket.write_all(line.as_bytes()).unwrap();
                // AUTH, then the first bytes of TLS.
                assert!(socket.read(&mut [0; 1000]).unwrap() > 0);
            }
        });
        let error = place.refusal(&settings, &place.password());
        server.join().unwrap();
        assert!(error.may_pass() && error.message().contains("broke while setting up encryption"), "{error}");
    }
    // A server that is gone.
    let place = Place::new();
    let server = Server::start(&place, "proftpd");
    let source = place.connect(&place.settings(server.port));
    drop(server);
    assert_eq!(place.refusal(&source_settings(&place, &source), &place.password()).kind(), ErrorKind::Environment);
}

fn source_settings(place: &Place, source: &FtpsSource) -> FtpsSettings {
    place.settings(source.origin().server.rsplit(':').next().unwrap().parse().unwrap())
}
