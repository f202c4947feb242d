//! From a name to a session inside TLS: looking the name up, connecting, the greeting, encryption, the login.

use std::fmt::Display;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};

use suppaftp::types::{FileType, Response};
use suppaftp::{FtpError, FtpResult, Status};

use super::answer::{code, fault, is_passing, is_unknown, network_words, refusal, refused, silence};
use super::talk::Talk;
use super::trust::{self, Connector, Trust};
use super::{Control, FtpsSettings, FtpsSource, Tls};
use crate::error::{Error, Result};
use crate::fetch::outside::clean;
use crate::secret::Secret;

/// What became of the last attempt at a data connection.
#[derive(Default)]
pub(super) struct Dialed {
    outcome: AtomicU8,
}

impl Dialed {
    pub(super) const NOT_YET: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const STANDS: u8 = 2;

    pub(super) fn forget(&self) {
        self.outcome.store(Self::NOT_YET, Ordering::Relaxed);
    }

    pub(super) fn outcome(&self) -> u8 {
        self.outcome.load(Ordering::Relaxed)
    }

    /// What the library calls to connect to a passive port.
    pub(super) fn builder(
        self: &Arc<Self>,
        talk: &Arc<Talk>,
    ) -> impl Fn(SocketAddr) -> FtpResult<TcpStream> + Send + Sync + 'static {
        let (dialed, talk) = (Arc::clone(self), Arc::clone(talk));
        move |address| {
            let connected = dial(address, &talk);
            let outcome = if connected.is_ok() { Self::STANDS } else { Self::FAILED };
            dialed.outcome.store(outcome, Ordering::Relaxed);
            connected.map_err(FtpError::ConnectionError)
        }
    }
}

fn dial(address: SocketAddr, talk: &Talk) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, talk.wait()?)?;
    trust::limit(&socket, talk.settings.timeout)?;
    Ok(socket)
}

/// Runs something that cannot be given a limit of its own. Who does not wait for it leaves it to end by itself.
fn started<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<mpsc::Receiver<T>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("phds-ftps".to_owned())
        .spawn(move || {
            // Perhaps nobody waits for it any more.
            let _ = sender.send(work());
        })
        .map_err(|error| Error::environment(format!("cannot start a thread for the network: {error}")))?;
    Ok(receiver)
}

/// Runs work of the library on a connection in the clear. Its reads have their own limits alone, so the connection is
/// ended when the time of the whole is over.
fn in_time<T: Send + 'static>(
    talk: &Talk,
    socket: io::Result<TcpStream>,
    work: impl FnOnce() -> FtpResult<T> + Send + 'static,
) -> Result<FtpResult<T>> {
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => return Ok(Err(FtpError::ConnectionError(error))),
    };
    Ok(started(work)?.recv_timeout(talk.left()).unwrap_or_else(|_| {
        let _ = socket.shutdown(Shutdown::Both);
        Err(FtpError::ConnectionError(talk.overdue()))
    }))
}

/// The addresses of the server, at least one.
pub(super) fn addresses(settings: &FtpsSettings) -> Result<Vec<SocketAddr>> {
    let address = settings.address();
    let unknown = |reason: &dyn Display| {
        Error::network(format!("cannot find the server {address}: {reason}"))
            .hint("check the spelling of the host in the settings, and that this machine is on the network or VPN")
    };
    let (host, port) = (settings.host.clone(), settings.port);
    let found = started(move || (host.as_str(), port).to_socket_addrs().map(Vec::from_iter))?;
    match found.recv_timeout(settings.timeout) {
        Err(_) => Err(unknown(&"no name server answers")),
        Ok(Err(error)) => Err(unknown(&error)),
        Ok(Ok(found)) if found.is_empty() => Err(unknown(&"its name has no address")),
        Ok(Ok(found)) => Ok(found),
    }
}

/// A connection inside TLS to a server that has proved who it is, before the login.
pub(super) fn open(talk: &Arc<Talk>, addresses: Vec<SocketAddr>, trust: &Arc<Trust>) -> Result<Control> {
    match talk.settings.tls {
        Tls::Explicit => secure(talk, greeted(talk, addresses)?, trust),
        Tls::Implicit => open_implicit(talk, addresses, trust),
    }
}

/// A connection in the clear, up to the server's greeting. Nothing was sent.
pub(super) fn greeted(talk: &Talk, addresses: Vec<SocketAddr>) -> Result<Control> {
    let mut last = None;
    // One address after another, each with its full time: a first one that is dead must not use up the time of all.
    let connected = addresses.into_iter().find_map(|address| match dial(address, talk) {
        Ok(socket) => Some(socket),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    let Some(socket) = connected else {
        let reason = last.map(|error| network_words(&talk.settings, &error)).unwrap_or_default();
        return Err(no_connection(&talk.settings, &reason));
    };
    let greeted = in_time(talk, socket.try_clone(), move || Control::connect_with_stream(socket))?;
    greeted.map_err(|error| not_greeted(talk, &error))
}

/// Turns a connection in the clear into one inside TLS, for commands and for data.
pub(super) fn secure(talk: &Arc<Talk>, plain: Control, trust: &Arc<Trust>) -> Result<Control> {
    let connector = Connector { trust: Arc::clone(trust), talk: Arc::clone(talk) };
    let (socket, host) = (plain.get_ref().try_clone(), talk.settings.host.clone());
    let secured = in_time(talk, socket, move || plain.into_secure(connector, &host))?;
    secured.map_err(|error| match &error {
        // A server that is busy, not one without TLS.
        FtpError::UnexpectedResponse(response) if is_passing(response) => not_greeted(talk, &error),
        FtpError::UnexpectedResponse(response) if trust.is_proved() => no_protection(talk, "PBSZ or PROT", response),
        FtpError::UnexpectedResponse(response) => Error::credentials(format!(
            "{} refuses to encrypt{}. Nothing was sent to it.",
            talk.settings.address(),
            talk.remark(response)
        ))
        .hint("ask the state how its FTPS service is reached; without encryption nothing is fetched"),
        FtpError::SecureError(_) => match trust.trouble() {
            Some(trouble) => trust::handshake_failed(&talk.settings, trust, &trouble),
            None => not_greeted(talk, &error),
        },
        error => not_greeted(talk, error),
    })
}

fn open_implicit(talk: &Arc<Talk>, addresses: Vec<SocketAddr>, trust: &Arc<Trust>) -> Result<Control> {
    let settings = &talk.settings;
    let mut last = None;
    for address in addresses {
        let connector = Connector { trust: Arc::clone(trust), talk: Arc::clone(talk) };
        let host = settings.host.clone();
        let opened = started(move || Control::connect_secure_implicit(address, connector, &host))?;
        // The library connects without a limit here. After that it has those of the socket.
        let outcome = match opened.recv_timeout(talk.wait().unwrap_or_default()) {
            Err(_) if trust.has_begun() => opened.recv_timeout(talk.left()),
            outcome => outcome,
        };
        let error = match outcome {
            Ok(Ok(control)) => return Ok(control),
            Ok(Err(error)) => error,
            Err(_) if trust.has_begun() => FtpError::ConnectionError(talk.overdue()),
            Err(_) => {
                last = Some(no_connection(settings, &silence(settings)));
                continue;
            }
        };
        if let Some(trouble) = trust.trouble() {
            return Err(trust::handshake_failed(settings, trust, &trouble));
        }
        if trust.is_proved() {
            return Err(not_greeted(talk, &error));
        }
        last = Some(no_connection(settings, &talk.words(&error)));
    }
    Err(last.unwrap_or_else(|| no_connection(settings, &"its name has no address")))
}

fn no_connection(settings: &FtpsSettings, reason: &dyn Display) -> Error {
    Error::network(format!("cannot connect to {}: {reason}", settings.address()))
        .hint("check host and port, and that the firewall or VPN lets this machine out; then try again")
}

fn not_greeted(talk: &Talk, error: &FtpError) -> Error {
    let address = talk.settings.address();
    if let FtpError::UnexpectedResponse(response) = error {
        return refusal(response, format!("{address} turned us away: {}", talk.quoted(response)))
            .hint("try again later; the server may limit how many connections it takes");
    }
    fault(error, format!("{address} does not greet as an FTP server: {}", talk.words(error)))
        .hint(trust::other_kind(&talk.settings))
}

fn no_protection(talk: &Talk, what: &str, response: &Response) -> Error {
    Error::credentials(format!(
        "{} refuses to encrypt what it sends: {what} was answered with {}. Nothing was fetched.",
        talk.settings.address(),
        talk.quoted(response)
    ))
    .hint("ask the state how its FTPS service is reached; without encryption nothing is fetched")
}

/// What the server says that it can do, one feature a line; `None` when it does not say.
pub(super) fn features(control: &mut Control) -> FtpResult<Option<Vec<String>>> {
    // The library's own reader waits for a second line that some servers never send. When 211 is not what is expected,
    // the whole answer comes inside the error.
    match control.custom_command("FEAT", &[]) {
        Err(FtpError::UnexpectedResponse(response)) if response.status == Status::System => {
            let text = String::from_utf8_lossy(&response.body);
            // The first line and the last are words around the features.
            let features: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
            Ok(Some(features.get(1..features.len().saturating_sub(1)).unwrap_or_default().to_vec()))
        }
        Ok(_) | Err(FtpError::UnexpectedResponse(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl FtpsSource {
    pub(super) fn login(&mut self, password: &Secret) -> Result<()> {
        let user = format!("USER {}", self.talk.settings.user);
        match self.control.custom_command(user, &[Status::LoggedIn, Status::NeedPassword]) {
            Ok(response) if response.status == Status::LoggedIn => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(self.no_login(&error, false)),
        }
        match self.control.custom_command(format!("PASS {}", password.expose()), &[Status::LoggedIn]) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.no_login(&error, true)),
        }
    }

    fn no_login(&mut self, error: &FtpError, was_sent: bool) -> Error {
        self.hang_up();
        let (address, user) = (self.talk.settings.address(), clean(&self.talk.settings.user));
        let later = "try again later; the server may limit how many connections it takes";
        let FtpError::UnexpectedResponse(response) = error else {
            let message = format!(
                "{address} closed the connection during the login, or did not answer: {}",
                self.talk.words(error)
            );
            // Some servers refuse a password in this way, and some lock the account after a few.
            return if was_sent {
                Error::environment(message).hint(
                    "the server may have refused the password without a word. It was tried once only: several \
                     failures can lock the account. Check user name and password, then try again by hand",
                )
            } else {
                fault(error, message).hint(later)
            };
        };
        let said = self.talk.remark(response);
        match code(response) {
            430 | 500..=599 => Error::refused_login(format!("{address} refused the password of `{user}`{said}")).hint(
                "check user name and password, then try again by hand. It was tried once only: several failures can \
                 lock the account",
            ),
            332 => Error::credentials(format!("{address} asks `{user}` for more than a password{said}"))
                .hint("ask the state for an account that logs in with a password alone"),
            // The service is closing. After the password it may be a refusal in other words.
            421 if !was_sent => {
                Error::network(format!("{address} turned the login of `{user}` away{said}")).hint(later)
            }
            _ => Error::environment(format!("{address} turned the login of `{user}` away{said}")).hint(later),
        }
    }

    /// Everything between the login and the first listing.
    pub(super) fn prepare(&mut self) -> Result<()> {
        // The library sends both for explicit TLS only, and before the login. Sent again they do no harm, and some
        // servers forget at the login what was agreed before. Without them data would travel in the clear.
        for (command, what) in [("PBSZ 0", "PBSZ"), ("PROT P", "PROT")] {
            match self.control.custom_command(command, &[Status::CommandOk]) {
                Ok(_) => {}
                Err(FtpError::UnexpectedResponse(response)) if !is_passing(&response) => {
                    return Err(no_protection(&self.talk, what, &response));
                }
                Err(error) => return Err(self.failed("protect the data of", ".", &error)),
            }
        }
        // Without it a server may turn line ends around, and sizes would not be those of the file.
        if let Err(error) = self.control.transfer_type(FileType::Binary) {
            return Err(self.failed("read in binary form from", ".", &error));
        }
        self.features = match features(&mut self.control) {
            Ok(features) => features,
            Err(error) => return Err(self.failed("talk to", ".", &error)),
        };
        let names = |wanted: &str| {
            self.features
                .iter()
                .flatten()
                .any(|feature| feature.to_ascii_uppercase().starts_with(wanted))
                .then_some(true)
        };
        (self.size, self.time, self.rest) = (names("SIZE"), names("MDTM"), names("REST STREAM"));
        if names("UTF8").is_some() {
            // A server that speaks UTF-8 anyway may refuse to be asked.
            if let Err(error) = refused(self.control.custom_command("OPTS UTF8 ON", &[Status::CommandOk])) {
                return Err(self.failed("talk to", ".", &error));
            }
        }
        if self.rest.is_none() {
            // Beginning at 0 is what is done anyway, so asking for it changes nothing.
            match self.control.custom_command("REST 0", &[Status::RequestFilePending]) {
                Ok(_) => self.rest = Some(true),
                Err(FtpError::UnexpectedResponse(response)) if is_unknown(&response) => self.rest = Some(false),
                Err(FtpError::UnexpectedResponse(_)) => {}
                Err(error) => return Err(self.failed("talk to", ".", &error)),
            }
        }
        let folder = self.talk.settings.folder.clone();
        if !matches!(folder.as_str(), "" | ".")
            && let Err(error) = self.control.cwd(&folder)
        {
            let failed = self.failed("enter the folder", &folder, &error);
            let is_not_there = matches!(&error, FtpError::UnexpectedResponse(response) if code(response) == 550);
            let failed = if is_not_there { failed.as_usage() } else { failed };
            return Err(failed.hint("check the folder in the settings, or the one that was typed"));
        }
        Ok(())
    }
}
