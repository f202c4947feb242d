//! Old algorithms need a switch, which is named where it helps.

use super::*;

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
