//! From a name to an encrypted connection with a server whose key was judged. Nothing has been sent about us by then.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::AlgorithmKind;
use russh::client::{self, GexParams};
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::SftpSettings;
use super::algorithms::{self, Agreed};
use super::offer::{self, Offer};
use super::trust::{Judgement, Trust};
use super::words::Words;
use crate::error::{Error, Result};
use crate::parallel::lock;

/// Bytes that the server may send ahead of our leave. It limits the speed on a line with a long round trip, because leave
/// is given again when half of it is used: at 50 ms and 64 reads in flight, 2 MiB (the library's default) gave 19 MB/s,
/// 16 MiB 125 MB/s, and this 182 MB/s.
const WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// An idle or dead connection is asked for a sign of life this often, and given up after three without an answer.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A connection, ready for the login.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) key: PublicKey,
    pub(super) judgement: Judgement,
    pub(super) agreed: Agreed,
}

pub(super) type Session = client::Handle<Guard>;

/// Looks at the server's key, and keeps what it saw.
pub(super) struct Guard {
    trust: Arc<Trust>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Default)]
struct Seen {
    key: Option<(PublicKey, Judgement)>,
    agreed: Option<Agreed>,
}

impl Guard {
    fn saw(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut lock(&self.seen));
    }
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Certificates are not asked for; a server that sends one all the same does not keep to the protocol.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let judgement = self.trust.judge(key);
        self.saw(|seen| seen.key = Some((key.clone(), judgement)));
        Ok(self.trust.accepts(judgement))
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &russh::Names,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.saw(|seen| seen.agreed = Some(Agreed::of(names)));
        Ok(())
    }
}

/// Connects until a trusted key is seen. A server may have several keys and shows the one whose type is asked for
/// first: when it is not the pinned one, the next type is tried on a new connection.
pub(super) async fn shake_hands(settings: &SftpSettings, trust: &Arc<Trust>, words: &Words) -> Result<Connection> {
    let mut types = algorithms::host_keys(&trust.listed_types(), settings.legacy_ssh);
    let mut others: Vec<PublicKey> = Vec::new();
    loop {
        let stream = connect_tcp(settings).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let guard = Guard { trust: Arc::clone(trust), seen: Arc::clone(&seen) };
        let config = Arc::new(client_config(types.clone(), settings.legacy_ssh)?);
        let outcome = timeout(settings.patience(), client::connect_stream(config, stream, guard))
            .await
            .map_err(|_| silent(settings, "while setting up encryption"))?;
        let Seen { key, agreed } = lock(&seen).clone();
        match (outcome, key) {
            (Ok(session), Some((key, judgement))) if trust.accepts(judgement) => {
                let agreed = agreed.ok_or_else(|| Error::internal("a connection stands on nothing agreed"))?;
                return Ok(Connection { session, key, judgement, agreed });
            }
            (_, Some((key, Judgement::NotPinned))) => {
                types.retain(|algorithm| !algorithms::is_same_type(algorithm, &key.algorithm()));
                others.push(key);
                if types.is_empty() {
                    return Err(trust.not_pinned(&others));
                }
            }
            (_, Some((key, judgement))) if !trust.accepts(judgement) => return Err(trust.refusal(&key, judgement)),
            (Err(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. }), _) if !others.is_empty() => {
                return Err(trust.not_pinned(&others));
            }
            (Err(russh::Error::NoCommonAlgo { kind, ours, theirs }), _) => {
                let theirs: Vec<_> = theirs.iter().map(|name| words.hide(name)).collect();
                return Err(nothing_shared(settings, &kind, &ours, &theirs).await);
            }
            (Err(error), _) => return Err(handshake_failed(settings, &error, words)),
            // Cannot be: a session stands only after its key was looked at.
            (Ok(_), _) => return Err(Error::internal("a connection stands whose key was not judged")),
        }
    }
}

fn client_config(host_keys: Vec<Algorithm>, legacy: bool) -> Result<client::Config> {
    Ok(client::Config {
        window_size: WINDOW_BYTES,
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE),
        // Some servers have groups of 2048 bits only; the library's own least is 3072.
        gex: GexParams::new(2048, 4096, 8192).map_err(|_| Error::internal("the key exchange limits are unfit"))?,
        preferred: algorithms::preferred(host_keys, legacy),
        ..client::Config::default()
    })
}

/// The addresses of the server's name; at least one.
pub(super) async fn look_up(settings: &SftpSettings) -> Result<Vec<SocketAddr>> {
    let unknown = |reason: &dyn Display| {
        Error::network(format!("cannot find the server {}: {reason}", settings.address()))
            .hint("check the spelling of the host in the settings, and that this machine is on the network or VPN")
    };
    let found: Vec<_> = timeout(settings.patience(), tokio::net::lookup_host((settings.host.as_str(), settings.port)))
        .await
        .map_err(|_| silent(settings, "while looking the name up"))?
        .map_err(|error| unknown(&error))?
        .collect();
    if found.is_empty() { Err(unknown(&"its name has no address")) } else { Ok(found) }
}

async fn connect_tcp(settings: &SftpSettings) -> Result<TcpStream> {
    let mut last = None;
    // One address after another, each with its full time: a first one that is dead must not use up the time of all.
    for target in look_up(settings).await? {
        match timeout(settings.patience(), TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                // Requests are small and each waits for an answer. Without this the connection still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => {
                let seconds = settings.seconds();
                last = Some(io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {seconds} s")));
            }
        }
    }
    let reason = last.map(|error| error.to_string()).unwrap_or_default();
    Err(Error::network(format!("cannot connect to {}: {reason}", settings.address()))
        .hint("check host and port, and that the firewall or VPN lets this machine out; then try again"))
}

/// What the server offers, on a connection of its own.
pub(super) async fn read_offer(settings: &SftpSettings) -> Result<Offer> {
    let stream = connect_tcp(settings).await?;
    timeout(settings.patience(), Offer::read(stream, &settings.address()))
        .await
        .map_err(|_| silent(settings, "to a greeting"))?
}

/// The server was waited for in vain, before anything was sent that could lock an account.
pub(super) fn silent(settings: &SftpSettings, when: &str) -> Error {
    Error::network(format!("{} did not answer in time {when}", settings.address()))
        .hint("try again; if it stays so, check that host and port are those of the SFTP service")
}

fn handshake_failed(settings: &SftpSettings, error: &russh::Error, words: &Words) -> Error {
    use russh::Error as E;
    let address = settings.address();
    // Some of the library's words hold names that the server gave.
    let said = words.clean(&error.to_string());
    match error {
        E::IO(_) | E::Disconnect | E::HUP | E::ConnectionTimeout | E::KeepaliveTimeout | E::InactivityTimeout => {
            Error::network(format!("the connection to {address} broke: {said}"))
                .hint("try again; if it stays so, check that the port is that of the SFTP service")
        }
        _ => Error::environment(format!("{address} could not agree on encryption: {said}"))
            .hint("check that the port is that of an SFTP (SSH) service; FTPS is something else"),
    }
}

async fn nothing_shared(settings: &SftpSettings, kind: &AlgorithmKind, ours: &[String], theirs: &[String]) -> Error {
    let name = match kind {
        AlgorithmKind::Kex => "key exchange",
        AlgorithmKind::Key => "type of host key",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "message authentication",
    };
    let error = Error::environment(format!(
        "{} and this program share no {name}\n  this program: {}\n  the server:   {}",
        settings.address(),
        ours.join(", "),
        offer::listed(theirs)
    ));
    // The error names one thing; only the whole offer tells whether the others could be agreed on.
    if !settings.legacy_ssh && read_offer(settings).await.is_ok_and(|offer| offer.meets_legacy()) {
        error.hint(LEGACY_HINT)
    } else {
        error.hint("ask the state to update the server; this program has no algorithms beyond these")
    }
}

pub(super) const LEGACY_HINT: &str = "the server has only algorithms that are broken or near it (SHA-1, CBC). Ask the \
     state to update it. Until then `--legacy-ssh` (in the settings: legacy_ssh = true) lets this program use them";
