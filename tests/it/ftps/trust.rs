//! Certificates, pins and what TLS must be.

use super::*;

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
