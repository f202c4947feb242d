//! `FtpsSource` against real servers (`tests/servers`), and against one in this process that misbehaves.

use std::fmt::Write as _;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use phds::error::ErrorKind::{Credentials, Environment, Usage};
use phds::error::{Error, ErrorKind};
use phds::fetch::ftps::{FtpsSettings, FtpsSource, Tls, examine};
use phds::fetch::{Observation, Source, Verdict};
use sha2::{Digest, Sha256};
use suppaftp::rustls::pki_types::CertificateDer;
use suppaftp::rustls::pki_types::pem::PemObject;

/// Serves any test of this binary.
#[path = "../../servers/faulty_ftps.rs"]
pub mod faulty_ftps;

use faulty_ftps::{Cut, Drip, Faults, FaultyServer, HANG_UP, How, SILENCE};

use crate::support::servers::{Place, Server, USER, assert_listed, free_ports};
use crate::support::transfer::{download, noise, secret};

mod files;
mod line;
mod login;
mod servers;
mod trust;

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

/// Reads from `offset` on a connection of its own: what came, and how it ended.
fn read_from(place: &Place, settings: &FtpsSettings, offset: u64) -> (Vec<u8>, Result<usize, std::io::Error>) {
    let mut bytes = Vec::new();
    let mut source = place.connect(settings);
    let outcome = source.open_at("PHDS 2024_07.csv", offset).unwrap().read_to_end(&mut bytes);
    (bytes, outcome)
}

/// A server that serves `empty.csv` to anybody with this password.
fn faulty_with(place: &Place, password: &str, faults: Faults) -> FaultyServer {
    FaultyServer::start(&place.path("pki"), password, vec![("empty.csv".to_owned(), Vec::new())], faults)
}

fn source_settings(place: &Place, source: &FtpsSource) -> FtpsSettings {
    place.settings(source.origin().server.rsplit(':').next().unwrap().parse().unwrap())
}
