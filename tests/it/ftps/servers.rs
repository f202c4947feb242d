//! The servers that others have: proftpd and vsftpd (`tests/servers`).

use super::*;

/// Commands that change something on a server.
const WRITING: &[&str] = &[
    "STOR", "STOU", "APPE", "DELE", "RNFR", "RNTO", "MKD", "XMKD", "RMD", "XRMD", "SITE", "MFMT", "MFCT", "MFF",
    "ALLO", "PORT", "EPRT", "CCC", "ABOR",
];

/// Everything that a source does, against a server without faults.
fn works(kind: &str) -> (Place, FtpsSource) {
    let place = Place::new();
    place.put("PHDS 2024_07.csv", &noise(5_000_001));
    place.put("empty.csv", b"");
    place.put("-a ü;b.csv", b"abc");
    std::fs::create_dir(place.path("root/folder")).unwrap();
    #[cfg(unix)]
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
