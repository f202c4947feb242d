//! Passwords, keys and agents: tried once, and shown nowhere.

use super::*;

/// A throwaway key: the text of its file, the same locked with a passphrase, and its public line.
fn throwaway_key(passphrase: &str) -> (String, String, String) {
    let mut random = russh::keys::key::safe_rng();
    let key = PrivateKey::random(&mut random, Algorithm::Ed25519).unwrap();
    let text = |key: &PrivateKey| key.to_openssh(LineEnding::LF).unwrap().to_string();
    let locked = key.encrypt(&mut random, passphrase).unwrap();
    (text(&key), text(&locked), key.public_key().to_openssh().unwrap())
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
        command.args(["--exact", "sftp::login::agent::a_run_that_asks_an_agent", "--nocapture"]);
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
