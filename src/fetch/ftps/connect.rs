//! From a name to a session inside TLS: looking the name up, connecting, the greeting, encryption, the login.

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use suppaftp::types::{FileType, Response};
use suppaftp::{FtpError, FtpResult, Status};

use super::answer::{
    code, fault, is_passing, is_unknown, network_words, quoted, refusal, refused, said, silence, words,
};
use super::trust::{self, Connector, Trust};
use super::{Control, FtpsSettings, FtpsSource, Tls};
use crate::error::{Error, Result};
use crate::fetch::outside::{clean, remark};
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
        patience: Duration,
    ) -> impl Fn(SocketAddr) -> FtpResult<TcpStream> + Send + Sync + 'static {
        let dialed = Arc::clone(self);
        move |address| {
            let connected = dial(address, patience);
            let outcome = if connected.is_ok() { Self::STANDS } else { Self::FAILED };
            dialed.outcome.store(outcome, Ordering::Relaxed);
            connected.map_err(FtpError::ConnectionError)
        }
    }
}

fn dial(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, patience)?;
    trust::limit(&socket, patience)?;
    Ok(socket)
}

/// Runs something that cannot be given a limit of its own. When the limit is over, it is left to end by itself.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("phds-ftps".to_owned())
        .spawn(move || {
            // Nobody listens any more when the limit is over.
            let _ = sender.send(work());
        })
        .map_err(|error| Error::environment(format!("cannot start a thread for the network: {error}")))?;
    Ok(receiver.recv_timeout(limit).ok())
}

/// The addresses of the server, at least one.
pub(super) fn addresses(settings: &FtpsSettings) -> Result<Vec<SocketAddr>> {
    let address = settings.address();
    let unknown = |reason: &dyn Display| {
        Error::network(format!("cannot find the server {address}: {reason}"))
            .hint("check the spelling of the host in the settings, and that this machine is on the network or VPN")
    };
    let (host, port) = (settings.host.clone(), settings.port);
    let found = within(settings.timeout, move || (host.as_str(), port).to_socket_addrs().map(Vec::from_iter))?;
    match found {
        None => Err(unknown(&"no name server answers")),
        Some(Err(error)) => Err(unknown(&error)),
        Some(Ok(found)) if found.is_empty() => Err(unknown(&"its name has no address")),
        Some(Ok(found)) => Ok(found),
    }
}

/// A connection inside TLS to a server that has proved who it is, before the login.
pub(super) fn open(settings: &FtpsSettings, addresses: Vec<SocketAddr>, trust: &Arc<Trust>) -> Result<Control> {
    match settings.tls {
        Tls::Explicit => secure(settings, greeted(settings, addresses)?, trust),
        Tls::Implicit => open_implicit(settings, addresses, trust),
    }
}

/// A connection in the clear, up to the server's greeting. Nothing was sent.
pub(super) fn greeted(settings: &FtpsSettings, addresses: Vec<SocketAddr>) -> Result<Control> {
    let mut last = None;
    // One address after another, each with its full time: a first one that is dead must not use up the time of all.
    let connected = addresses.into_iter().find_map(|address| match dial(address, settings.timeout) {
        Ok(socket) => Some(socket),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    let Some(socket) = connected else {
        let reason = last.map(|error| network_words(settings, &error)).unwrap_or_default();
        return Err(no_connection(settings, &reason));
    };
    Control::connect_with_stream(socket).map_err(|error| not_greeted(settings, &error))
}

/// Turns a connection in the clear into one inside TLS, for commands and for data.
pub(super) fn secure(settings: &FtpsSettings, plain: Control, trust: &Arc<Trust>) -> Result<Control> {
    let connector = Connector { trust: Arc::clone(trust), patience: settings.timeout };
    plain.into_secure(connector, &settings.host).map_err(|error| {
        if let Some(trouble) = trust.trouble() {
            return trust::handshake_failed(settings, trust, &trouble);
        }
        match &error {
            // A server that is busy, not one without TLS.
            FtpError::UnexpectedResponse(response) if is_passing(response) => not_greeted(settings, &error),
            FtpError::UnexpectedResponse(response) if trust.is_proved() => {
                no_protection(settings, "PBSZ or PROT", response)
            }
            FtpError::UnexpectedResponse(response) => Error::credentials(format!(
                "{} refuses to encrypt{}. Nothing was sent to it.",
                settings.address(),
                remark(&said(response))
            ))
            .hint("ask the state how its FTPS service is reached; without encryption nothing is fetched"),
            error => not_greeted(settings, error),
        }
    })
}

fn open_implicit(settings: &FtpsSettings, addresses: Vec<SocketAddr>, trust: &Arc<Trust>) -> Result<Control> {
    let mut last = None;
    for address in addresses {
        let connector = Connector { trust: Arc::clone(trust), patience: settings.timeout };
        let host = settings.host.clone();
        // The library connects without a limit here. After that each wait has one: connecting, handshake, greeting.
        let opened = within(settings.timeout * 3, move || Control::connect_secure_implicit(address, connector, &host))?;
        let error = match opened {
            None => {
                last = Some(no_connection(settings, &silence(settings)));
                continue;
            }
            Some(Ok(control)) => return Ok(control),
            Some(Err(error)) => error,
        };
        if let Some(trouble) = trust.trouble() {
            return Err(trust::handshake_failed(settings, trust, &trouble));
        }
        if trust.is_proved() {
            return Err(not_greeted(settings, &error));
        }
        last = Some(no_connection(settings, &words(settings, &error)));
    }
    Err(last.unwrap_or_else(|| no_connection(settings, &"its name has no address")))
}

fn no_connection(settings: &FtpsSettings, reason: &dyn Display) -> Error {
    Error::network(format!("cannot connect to {}: {reason}", settings.address()))
        .hint("check host and port, and that the firewall or VPN lets this machine out; then try again")
}

fn not_greeted(settings: &FtpsSettings, error: &FtpError) -> Error {
    let address = settings.address();
    if let FtpError::UnexpectedResponse(response) = error {
        return refusal(response, format!("{address} turned us away: {}", quoted(response)))
            .hint("try again later; the server may limit how many connections it takes");
    }
    fault(error, format!("{address} does not greet as an FTP server: {}", words(settings, error)))
        .hint(trust::other_kind(settings))
}

fn no_protection(settings: &FtpsSettings, what: &str, response: &Response) -> Error {
    Error::credentials(format!(
        "{} refuses to encrypt what it sends: {what} was answered with {}. Nothing was fetched.",
        settings.address(),
        quoted(response)
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
        let user = format!("USER {}", self.settings.user);
        match self.control.custom_command(user, &[Status::LoggedIn, Status::NeedPassword]) {
            Ok(response) if response.status == Status::LoggedIn => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(self.no_login(&error, password, false)),
        }
        match self.control.custom_command(format!("PASS {}", password.expose()), &[Status::LoggedIn]) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.no_login(&error, password, true)),
        }
    }

    fn no_login(&mut self, error: &FtpError, password: &Secret, was_sent: bool) -> Error {
        self.hang_up();
        let (address, user) = (self.settings.address(), clean(&self.settings.user));
        let later = "try again later; the server may limit how many connections it takes";
        let FtpError::UnexpectedResponse(response) = error else {
            let message = format!(
                "{address} closed the connection during the login, or did not answer: {}",
                words(&self.settings, error)
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
        let said = said(response);
        // Some servers repeat what they did not understand.
        let said = if said.contains(password.expose()) { String::new() } else { remark(&said) };
        match code(response) {
            430 | 500..=599 => Error::credentials(format!("{address} refused the password of `{user}`{said}")).hint(
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
                    return Err(no_protection(&self.settings, what, &response));
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
        let folder = self.settings.folder.clone();
        if !matches!(folder.as_str(), "" | ".")
            && let Err(error) = self.control.cwd(&folder)
        {
            return Err(self.failed("enter the folder", &folder, &error).hint("check the folder in the settings"));
        }
        Ok(())
    }
}
