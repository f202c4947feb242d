//! Which server is the right one, and how TLS is set up with it.
//!
//! There are two ways to trust, and no way around both: somebody trusted vouches for the certificate and it names the
//! host, or its SHA-256 is the pinned one. The dates of a certificate count either way. Whether a certificate was
//! revoked is not asked, as that would tell a third party about every connection; a pin answers it better.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use suppaftp::rustls::client::WebPkiServerVerifier;
use suppaftp::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use suppaftp::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use suppaftp::rustls::pki_types::pem::PemObject;
use suppaftp::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use suppaftp::rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, HandshakeKind,
    ProtocolVersion, RootCertStore, SignatureScheme, StreamOwned, version,
};
use suppaftp::{FtpError, FtpResult, TlsConnector, TlsStream};

use super::answer::{is_silence, network_words};
use super::certificate::{Certificate, day, fingerprint};
use super::talk::Talk;
use super::{FtpsSettings, Tls, TlsFacts};
use crate::error::{Error, Result};
use crate::fetch::outside::clean;
use crate::parallel::lock;

/// Bytes that are read from the network at once.
const BUFFER: usize = 256 * 1024;

/// Everything about TLS that belongs to one control connection: its own store of sessions, so that the data connections
/// resume the session of this control connection and of no other (servers insist), and what was seen.
pub(super) struct Trust {
    config: Arc<ClientConfig>,
    judge: Arc<Judge>,
    handshakes: Mutex<Handshakes>,
    /// There was a first handshake.
    begun: AtomicBool,
}

#[derive(Default)]
struct Handshakes {
    facts: Option<TlsFacts>,
    /// One was completed.
    proved: bool,
    /// Why the last one failed.
    trouble: Option<Trouble>,
}

/// Why a TLS handshake failed.
pub(super) enum Trouble {
    /// TLS itself, or the certificate.
    Tls(TlsError),
    /// The network.
    Network(io::Error),
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

impl Trust {
    pub(super) fn new(settings: &FtpsSettings) -> Result<Arc<Self>> {
        // Named, and not the process-wide default: which one that is depends on the features of other crates.
        let provider = Arc::new(ring::default_provider());
        let unfit = |_| Error::internal("the TLS library does not take its own algorithms");
        let rule = if let Some(pin) = &settings.cert_sha256 {
            Rule::Pin(read_pin(pin)?)
        } else {
            let roots = Arc::new(roots(settings.ca_file.as_deref())?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            let unfit = |_| Error::internal("the TLS library does not take the list of trusted authorities");
            Rule::Issuers(verifier.map_err(unfit)?)
        };
        let judge = Arc::new(Judge { rule, provider: Arc::clone(&provider), shown: Mutex::default() });
        let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(&judge) as _;
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(unfit)?
            // The library calls every verifier but its own dangerous. This one is its own, or the pin.
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Arc::new(Self {
            config: Arc::new(config),
            judge,
            handshakes: Mutex::default(),
            begun: AtomicBool::new(false),
        }))
    }

    /// The certificate that the server showed, if it came to that.
    pub(super) fn shown(&self) -> Option<Certificate> {
        self.chain().into_iter().next()
    }

    /// All certificates that the server showed: its own, then those above it, as far as it sends them.
    pub(super) fn chain(&self) -> Vec<Certificate> {
        lock(&self.judge.shown).clone()
    }

    /// What was agreed on with the server, also in a handshake that failed after that.
    pub(super) fn facts(&self) -> Option<TlsFacts> {
        lock(&self.handshakes).facts.clone()
    }

    /// Whether a connection stood, so that a first handshake was begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether the server has proved that it is the right one.
    pub(super) fn is_proved(&self) -> bool {
        lock(&self.handshakes).proved
    }

    /// Why the last handshake failed, if it did. Forgotten when told.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        lock(&self.handshakes).trouble.take()
    }
}

/// What the FTP library calls when a connection is to be secured. It completes the handshake at once, so that the
/// server is judged before anything is sent inside, and so that a failed handshake is told from a failed command.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) trust: Arc<Trust>,
    pub(super) talk: Arc<Talk>,
}

impl TlsConnector for Connector {
    type Stream = Stream;

    fn connect(&self, host: &str, socket: TcpStream) -> FtpResult<Stream> {
        self.trust.begun.store(true, Ordering::Relaxed);
        // The library itself connects implicit TLS, without any limit.
        limit(&socket, self.talk.settings.timeout).map_err(FtpError::ConnectionError)?;
        let unfit = || FtpError::SecureError(String::new());
        let name = ServerName::try_from(host.to_owned()).map_err(|_| unfit())?;
        let connection = ClientConnection::new(Arc::clone(&self.trust.config), name).map_err(|_| unfit())?;
        let reader = BufReader::with_capacity(BUFFER, socket);
        let mut stream = Stream(StreamOwned::new(connection, Socket { reader, talk: Arc::clone(&self.talk) }));
        let tls = &mut stream.0;
        let mut handshakes = lock(&self.trust.handshakes);
        while tls.conn.is_handshaking() {
            if let Err(error) = tls.conn.complete_io(&mut tls.sock) {
                let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()).cloned();
                handshakes.trouble = Some(cause.map_or(Trouble::Network(error), Trouble::Tls));
                if handshakes.facts.is_none() {
                    handshakes.facts = facts(&tls.conn);
                }
                // The library passes no cause on: it is kept here.
                return Err(unfit());
            }
        }
        handshakes.proved = true;
        match &mut handshakes.facts {
            // The first connection is the control connection; all others carry data.
            Some(facts) => {
                facts.data_resumed = Some(matches!(tls.conn.handshake_kind(), Some(HandshakeKind::Resumed)));
            }
            none => *none = facts(&tls.conn),
        }
        Ok(stream)
    }
}

/// What was agreed on; `None` when it did not come to that.
fn facts(connection: &ClientConnection) -> Option<TlsFacts> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    Some(TlsFacts {
        version: version.to_owned(),
        cipher: cipher.unwrap_or("unknown cipher").to_owned(),
        data_resumed: None,
    })
}

/// A connection inside TLS.
#[derive(Debug)]
pub(super) struct Stream(StreamOwned<ClientConnection, Socket>);

/// A socket that is read in large pieces, as the TLS library asks for 4 KiB at a time, and while there is time.
#[derive(Debug)]
pub(super) struct Socket {
    reader: BufReader<TcpStream>,
    talk: Arc<Talk>,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.reader.buffer().is_empty() {
            return self.reader.read(buffer);
        }
        let wait = self.talk.wait()?;
        self.reader.get_ref().set_read_timeout(Some(wait))?;
        self.reader.read(buffer).map_err(|error| {
            // A wait that was cut short is no silence of the server.
            if is_silence(&error) && wait < self.talk.settings.timeout { self.talk.overdue() } else { error }
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reader.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reader.get_mut().flush()
    }
}

impl TlsStream for Stream {
    type InnerStream = StreamOwned<ClientConnection, Socket>;

    fn tcp_stream(self) -> FtpResult<TcpStream> {
        // Asked for by the library when encryption is to end before the connection does; nobody here asks for that.
        Err(FtpError::SecureError(String::new()))
    }

    fn get_ref(&self) -> &TcpStream {
        self.0.sock.reader.get_ref()
    }

    fn mut_ref(&mut self) -> &mut Self::InnerStream {
        &mut self.0
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The proper end of TLS. Whether the other side still wants to hear it does not matter.
        self.0.conn.send_close_notify();
        let _ = self.0.conn.write_tls(&mut self.0.sock);
    }
}

/// Whether TLS can name a host so.
pub(super) fn is_host(host: &str) -> bool {
    ServerName::try_from(host).is_ok()
}

/// Puts a limit on every wait for this socket.
pub(super) fn limit(socket: &TcpStream, patience: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    // Commands are small and each waits for an answer. Without this the connection still works.
    let _ = socket.set_nodelay(true);
    Ok(())
}

struct Judge {
    rule: Rule,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Vec<Certificate>>,
}

enum Rule {
    Issuers(Arc<WebPkiServerVerifier>),
    Pin([u8; 32]),
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let certificate = Certificate::read(leaf);
        let chain = [leaf].into_iter().chain(intermediates).map(|shown| Certificate::read(shown)).collect();
        *lock(&self.shown) = chain;
        match &self.rule {
            Rule::Issuers(verifier) => verifier.verify_server_cert(leaf, intermediates, name, ocsp, now),
            Rule::Pin(pin) if *pin != certificate.sha256 => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Rule::Pin(_) => {
                let fields = certificate.fields.ok_or(CertificateError::BadEncoding)?;
                let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
                if now < fields.not_before.timestamp() {
                    Err(CertificateError::NotValidYet.into())
                } else if now > fields.not_after.timestamp() {
                    Err(CertificateError::Expired.into())
                } else {
                    Ok(ServerCertVerified::assertion())
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The authorities of `ca_file` alone, or those that come with this program (Mozilla's list).
///
/// Not the list of the operating system: a company may have put its own authority there, and this program answers the
/// same on every machine. Whoever needs another authority names it.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore> {
    let Some(path) = ca_file else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let text = std::fs::read(path).map_err(|error| Error::io("read", path, &error))?;
    let unfit = || {
        Error::usage(format!("`{}` is no list of certificate authorities", path.display()))
            .hint("it is a text file with one or more blocks of `-----BEGIN CERTIFICATE-----`")
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        store.add(certificate.map_err(|_| unfit())?).map_err(|_| unfit())?;
    }
    if store.is_empty() { Err(unfit()) } else { Ok(store) }
}

/// `SHA256:` and 64 hexadecimal digits, as errors and receipts of this program show it; colons between the digits and a
/// missing prefix are fine, as `openssl x509 -noout -fingerprint -sha256` prints them.
fn read_pin(text: &str) -> Result<[u8; 32]> {
    let wrong = || {
        Error::usage(format!("`{}` is not the SHA-256 of a certificate", clean(text)))
            .hint("it has 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256 -in FILE` prints them")
    };
    let text = text.trim();
    let digits = match text.split_at_checked(7) {
        Some((start, rest)) if start.eq_ignore_ascii_case("sha256:") => rest,
        _ => text,
    };
    let digits: String = digits.chars().filter(|&letter| letter != ':').collect();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut pin = [0; 32];
    for (index, byte) in pin.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
    }
    Ok(pin)
}

/// What a failed handshake means for a person.
pub(super) fn handshake_failed(settings: &FtpsSettings, trust: &Trust, trouble: &Trouble) -> Error {
    let address = settings.address();
    let error = match trouble {
        Trouble::Tls(TlsError::InvalidCertificate(error)) => return not_trusted(settings, trust, error),
        Trouble::Tls(error) => error,
        Trouble::Network(error) => {
            return Error::network(format!(
                "the connection to {address} broke while setting up encryption: {}",
                network_words(settings, error)
            ))
            .hint(other_kind(settings));
        }
    };
    if matches!(error, TlsError::InvalidMessage(_)) {
        return Error::environment(format!("{address} does not answer in TLS")).hint(other_kind(settings));
    }
    Error::environment(format!("{address} could not agree on encryption: {}", clean(&error.to_string())))
        .hint("this program speaks TLS 1.2 and 1.3; ask the server's owner to update it")
}

/// The usual reason why a port does not speak as expected.
pub(super) fn other_kind(settings: &FtpsSettings) -> &'static str {
    match settings.tls {
        Tls::Implicit => {
            "try again; if it stays so, the port may be one of explicit TLS (usually 21): tls = \"explicit\""
        }
        Tls::Explicit => {
            "try again; if it stays so, the port may be one of implicit TLS (usually 990): tls = \"implicit\""
        }
    }
}

fn not_trusted(settings: &FtpsSettings, trust: &Trust, error: &CertificateError) -> Error {
    let address = settings.address();
    let Some(shown) = trust.shown() else {
        return Error::credentials(format!(
            "{address} shows no certificate that can be judged. Nothing was sent to it."
        ));
    };
    if matches!((&trust.judge.rule, error), (Rule::Pin(_), CertificateError::ApplicationVerificationFailure)) {
        let Rule::Pin(pin) = &trust.judge.rule else { return Error::internal("a pin that is none") };
        return Error::credentials(format!(
            "THE SERVER IS NOT THE ONE THAT WAS PINNED. {address} shows {shown}, and the settings accept only {}. Either \
             the state has a new certificate, or somebody stands between you and the state. Nothing was sent to it.",
            fingerprint(pin)
        ))
        .hint(
            "call the state's help desk by a telephone number that you had before, and compare the SHA-256; change \
             `cert_sha256` only if it is the same",
        );
    }
    let moment = |choose: fn(&super::certificate::Fields) -> &DateTime<Utc>| {
        shown.fields.as_ref().map_or_else(|| "an unknown day".to_owned(), |fields| day(choose(fields)))
    };
    let reason = match error {
        CertificateError::UnknownIssuer => match &settings.ca_file {
            Some(path) => format!("no authority in `{}` vouches for its certificate", path.display()),
            None => "no public authority vouches for its certificate".to_owned(),
        },
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate expired on {}", moment(|fields| &fields.not_after))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is valid only from {}", moment(|fields| &fields.not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => format!(
            "its certificate is not for `{}` but for {}",
            clean(&settings.host),
            presented.iter().take(10).map(|name| clean(bare(name))).collect::<Vec<_>>().join(", ")
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for `{}`", clean(&settings.host))
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        // The name that the error has in the library behind it.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is one of an authority, which vouches for others and for no server".to_owned()
        }
        other => format!("its certificate is not fit: {}", clean(&other.to_string())),
    };
    let refused = Error::credentials(format!(
        "{address} does not prove that it is the state's server: {reason}. It shows {shown}. Nothing was sent to it."
    ));
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => refused
            .hint("check the clock of this machine; if it is right, tell the server's owner to renew the certificate"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            refused.hint("check the clock of this machine")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            refused.hint("check `host` in the settings: it must be the name that the state gave you, not an address")
        }
        _ => refused.hint(format!(
            "if the state uses an authority of its own, name its file: ca_file = \"…\". Or compare the SHA-256 with the \
             one that the state gives you by telephone or letter, and only if it is the same, write into the settings: \
             cert_sha256 = \"{}\"",
            shown.print()
        )),
    }
}

/// The name in `DnsName("ftp.example.org")`, which is how the library shows the names of a certificate.
fn bare(shown: &str) -> &str {
    shown.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn pins() {
        let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let colons: Vec<&str> = (0..32).map(|index| &digits[2 * index..2 * index + 2]).collect();
        let pin = read_pin(digits).unwrap();
        assert_eq!(fingerprint(&pin), format!("SHA256:{digits}"));
        for text in [format!("SHA256:{digits}"), format!(" sha256:{}\n", digits.to_uppercase()), colons.join(":")] {
            assert_eq!(read_pin(&text).unwrap(), pin, "{text}");
        }
        let odd = format!("é{}", &digits[2..]);
        for text in ["", "SHA256:", &digits[..62], &format!("{digits}00"), &odd, &digits.replace('e', "g")] {
            assert_eq!(read_pin(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert_eq!(roots(Some(&path)).unwrap_err().kind(), ErrorKind::Environment);
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "no certificate", odd, "-----BEGIN CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(roots(Some(&path)).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        assert!(roots(None).unwrap().len() > 50);
    }
}
