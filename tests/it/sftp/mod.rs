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

mod algorithms;
mod examine;
mod files;
mod host_key;
mod line;
mod login;

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

fn key_file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("key");
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
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

fn find<'a>(observations: &'a [Observation], topic: &str) -> &'a Observation {
    let mut found = observations.iter().filter(|observation| observation.topic == topic);
    let first = found.next().unwrap_or_else(|| panic!("no {topic} in {observations:#?}"));
    assert!(found.next().is_none(), "{topic} twice in {observations:#?}");
    first
}
