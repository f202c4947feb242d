//! Which server is trusted, and what is recorded of it.

use super::*;

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
