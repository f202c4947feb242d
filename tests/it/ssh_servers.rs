//! `SftpSource` against real servers: OpenSSH, and proftpd with new and with old algorithms (`tests/servers`).

use std::io::{ErrorKind as IoKind, Read};
use std::time::Duration;

use phds::error::{Error, ErrorKind};
use phds::fetch::Source;
use phds::fetch::sftp::{Credential, SftpSettings, SftpSource};

use crate::support::proxy::{Fault, How, Plan, Proxy};
use crate::support::servers::{PASSPHRASE, Place, Server, USER, assert_listed};
use crate::support::transfer::{download, noise, secret};

/// Trusts the key of one type.
fn settings(place: &Place, key_type: &str, port: u16) -> SftpSettings {
    let known_hosts = place.path("known_hosts");
    std::fs::write(&known_hosts, place.host_key_line(key_type, port)).unwrap();
    SftpSettings { port, timeout: Duration::from_secs(20), ..SftpSettings::new("127.0.0.1", USER, known_hosts) }
}

fn password(place: &Place) -> Credential {
    Credential::Password(secret(&place.password()))
}

fn key(place: &Place, name: &str) -> Credential {
    let passphrase = name.ends_with("locked").then(|| secret(PASSPHRASE));
    Credential::Key { path: place.path("ssh").join(name), passphrase }
}

fn connect(settings: &SftpSettings, credential: &Credential) -> SftpSource {
    SftpSource::connect(settings, credential).unwrap()
}

fn refusal(settings: &SftpSettings, credential: &Credential) -> Error {
    let error = SftpSource::connect(settings, credential).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("wrong-password") && !shown.contains("Ab1#2"), "{shown}");
    error
}

/// Everything that a source does.
fn works(place: &Place, settings: &SftpSettings, credential: &Credential) {
    let large = noise(5_000_001);
    place.put("PHDS 2024_07.csv", &large);
    place.put("empty.csv", b"");
    place.put("-a ü;b.csv", b"abc");
    std::fs::create_dir_all(place.path("root/folder")).unwrap();
    let mut source = connect(settings, credential);

    let files = source.list().unwrap();
    assert_listed(&mut source, files);
    for offset in [0, 1, 65_536, 4_123_457, 5_000_000, 5_000_001] {
        let bytes = download(&mut source, "PHDS 2024_07.csv", offset);
        assert!(bytes == large[usize::try_from(offset).unwrap()..], "from {offset}");
    }
    assert_eq!(download(&mut source, "empty.csv", 0), b"");
    assert_eq!(download(&mut source, "-a ü;b.csv", 2), b"c");
    assert_eq!(source.stat("missing.csv").unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(source.open_at("missing.csv", 0).err().unwrap().kind(), ErrorKind::Environment);
    // Given up in the middle.
    source.open_at("PHDS 2024_07.csv", 0).unwrap().read_exact(&mut [0; 10]).unwrap();
    assert_eq!(source.stat("empty.csv").unwrap().size, 0);
    assert_eq!(source.origin().server, format!("127.0.0.1:{}", settings.port));
}

#[test]
fn reads_from_openssh_and_from_proftpd() {
    for kind in ["sshd", "proftpd-sftp"] {
        let place = Place::with_keys();
        let server = Server::start(&place, kind);
        let settings = settings(&place, "ed25519", server.port);
        for max_reads in [1, 64] {
            works(&place, &SftpSettings { max_reads, ..settings.clone() }, &password(&place));
        }
        for name in ["user_ed25519", "user_ed25519_locked", "user_rsa", "user_rsa_locked"] {
            let mut source = connect(&settings, &key(&place, name));
            assert_eq!(download(&mut source, "-a ü;b.csv", 0), b"abc", "{kind} {name}");
        }
    }
}

#[test]
fn answers_openssh_with_the_password() {
    let place = Place::with_keys();
    let server = Server::start(&place, "sshd-questions");
    works(&place, &settings(&place, "ed25519", server.port), &password(&place));
    assert!(place.log("sshd").contains("Accepted keyboard-interactive/pam for phds-test"));
}

#[test]
fn a_wrong_login_is_tried_once() {
    let wrong = Credential::Password(secret("wrong-password"));
    for (kind, log, refused) in [
        ("sshd", "sshd", "Failed password for phds-test"),
        ("sshd-questions", "sshd", "PAM: Authentication failure for phds-test"),
        ("proftpd-sftp", "proftpd.log", "USER phds-test (Login failed): Incorrect password"),
    ] {
        let place = Place::with_keys();
        let server = Server::start(&place, kind);
        let settings = settings(&place, "ed25519", server.port);
        let error = refusal(&settings, &wrong);
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().contains("refused the password"), "{error}");
        assert_eq!(place.log(log).matches(refused).count(), 1, "{kind}: {}", place.log(log));
        let stranger = SftpSettings { user: "stranger".into(), ..settings.clone() };
        assert_eq!(refusal(&stranger, &password(&place)).kind(), ErrorKind::Credentials);
        if kind == "sshd-questions" {
            let error = refusal(&settings, &key(&place, "user_ed25519"));
            assert!(error.message().contains("offers: keyboard-interactive"), "{error}");
        } else {
            // A key that the server does not know.
            let error = refusal(&settings, &key(&Place::with_keys(), "user_rsa"));
            assert!(error.message().contains("refused the key"), "{error}");
        }
    }
}

#[test]
fn asks_for_the_type_of_host_key_that_is_listed() {
    let place = Place::with_keys();
    let server = Server::start(&place, "sshd");
    let mut seen = Vec::new();
    for key_type in ["ed25519", "ecdsa", "rsa"] {
        seen.push(connect(&settings(&place, key_type, server.port), &password(&place)).origin().server_identity);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_server_with_other_keys_is_told_nothing() {
    for kind in ["sshd", "proftpd-sftp"] {
        let (place, other) = (Place::with_keys(), Place::with_keys());
        let mut server = Server::start(&place, kind);
        let settings = settings(&place, "ed25519", server.port);
        connect(&settings, &password(&place));
        server.stop();
        let _impostor = Server::start_with(&other, kind, "good", server.port);
        let error = refusal(&settings, &password(&place));
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.message().starts_with("THE SERVER IS NOT THE ONE"), "{error}");
        for log in ["sshd", "sftp", "proftpd.log"] {
            assert!(!other.log(log).contains(USER), "{}", other.log(log));
        }
    }
}

#[test]
fn a_new_server_is_recorded_when_told() {
    let (place, other) = (Place::with_keys(), Place::with_keys());
    let mut server = Server::start(&place, "sshd");
    let settings = settings(&place, "ed25519", server.port);
    std::fs::remove_file(&settings.known_hosts).unwrap();
    assert_eq!(refusal(&settings, &password(&place)).kind(), ErrorKind::Credentials);
    let accepting = SftpSettings { accept_new_host_key: true, ..settings.clone() };
    connect(&accepting, &password(&place));
    connect(&settings, &password(&place));
    server.stop();
    let _impostor = Server::start_with(&other, "sshd", "good", server.port);
    let error = refusal(&accepting, &password(&other));
    assert!(error.message().starts_with("THE SERVER IS NOT THE ONE"), "{error}");
}

#[test]
fn old_algorithms_are_used_only_when_told() {
    for kind in ["proftpd-sftp-old", "proftpd-sftp-older"] {
        let place = Place::with_keys();
        let server = Server::start(&place, kind);
        let settings = settings(&place, "rsa", server.port);
        let error = refusal(&settings, &password(&place));
        assert_eq!(error.kind(), ErrorKind::Environment);
        for part in ["share no key exchange", "diffie-hellman-group14-sha1"] {
            assert!(error.message().contains(part), "{part} is not in: {error}");
        }
        works(&place, &SftpSettings { legacy_ssh: true, ..settings.clone() }, &password(&place));
    }
}

#[test]
fn old_algorithms_do_not_displace_new_ones() {
    let place = Place::with_keys();
    place.put("a.csv", b"abc");
    let server = Server::start(&place, "proftpd-sftp");
    let settings = SftpSettings { legacy_ssh: true, ..settings(&place, "ed25519", server.port) };
    assert_eq!(download(&mut connect(&settings, &password(&place)), "a.csv", 0), b"abc");
    let log = place.log("sftp");
    let chosen: Vec<_> = log.lines().filter(|line| line.contains(" + Session ")).collect();
    assert!(chosen.len() > 5 && chosen.iter().all(|line| !line.contains("sha1") && !line.contains("cbc")), "{log}");
}

#[test]
fn only_ever_reads() {
    let place = Place::with_keys();
    place.put("a.csv", &noise(1_000_000));
    let server = Server::start(&place, "proftpd-sftp");
    let mut source = connect(&settings(&place, "ed25519", server.port), &password(&place));
    source.list().unwrap();
    source.stat("a.csv").unwrap();
    download(&mut source, "a.csv", 10);
    drop(source);
    let log = place.log("commands");
    let (_login, commands) = log.split_once("INIT 3").unwrap();
    // MLSD and RETR are names of FTP under which proftpd logs a whole listing and a whole file.
    let reading = ["", "OPENDIR", "READDIR", "MLSD", "STAT", "OPEN", "READ", "RETR", "CLOSE"];
    for command in commands.lines() {
        assert!(reading.contains(&command.split(' ').next().unwrap()), "{command}");
    }
    assert!(commands.contains("OPENDIR .") && commands.contains("OPEN a.csv"), "{commands}");
}

/// A download breaks off as planned, and the rest comes over a new connection.
fn goes_on_after(fault: How, kind: IoKind, server: &Server, place: &Place, expected: &[u8]) {
    let fault = Some(Fault { after: 3_000_000, how: fault, times: 1 });
    let proxy = Proxy::start(server.port, Plan { fault, ..Plan::default() });
    let settings = SftpSettings { timeout: Duration::from_secs(2), ..settings(place, "ed25519", proxy.port) };
    let mut bytes = Vec::new();
    let mut source = connect(&settings, &password(place));
    let error = source.open_at("a.csv", 0).unwrap().read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), kind, "{fault:?}: {error}");
    assert!(!bytes.is_empty() && expected.starts_with(&bytes), "{fault:?}");
    assert_eq!(proxy.suffered(), 1);
    let mut source = connect(&settings, &password(place));
    bytes.extend(download(&mut source, "a.csv", bytes.len() as u64));
    assert!(bytes == expected, "{fault:?}");
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn a_broken_line_to_openssh_is_an_error_and_the_rest_can_follow() {
    let place = Place::with_keys();
    let expected = noise(8_000_000);
    place.put("a.csv", &expected);
    let server = Server::start(&place, "sshd");
    for (how, kind) in [
        (How::Fin, IoKind::Other),
        (How::Rst, IoKind::Other),
        (How::Stall, IoKind::TimedOut),
        (How::Flip, IoKind::Other),
    ] {
        goes_on_after(how, kind, &server, &place, &expected);
    }
}

#[test]
fn the_rest_follows_after_a_restart() {
    for kind in ["sshd", "proftpd-sftp"] {
        let place = Place::with_keys();
        let expected = noise(40_000_000);
        place.put("a.csv", &expected);
        let mut server = Server::start(&place, kind);
        let settings = settings(&place, "ed25519", server.port);
        let mut source = connect(&settings, &password(&place));
        let mut bytes = vec![0; 1_000_000];
        let mut reader = source.open_at("a.csv", 0).unwrap();
        reader.read_exact(&mut bytes).unwrap();
        server.stop();
        reader.read_to_end(&mut bytes).unwrap_err();
        drop(reader);
        assert!(refusal(&settings, &password(&place)).message().contains("cannot connect"));
        server.start_again();
        let mut source = connect(&settings, &password(&place));
        bytes.extend(download(&mut source, "a.csv", bytes.len() as u64));
        assert!(bytes == expected, "{kind}");
    }
}
