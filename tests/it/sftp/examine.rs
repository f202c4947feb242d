//! What is observed of a server, for `phds doctor`.

use super::*;

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
