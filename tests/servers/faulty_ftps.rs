//! An FTPS server in this process that misbehaves as told, and keeps every command that it was sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use suppaftp::rustls::crypto::ring;
use suppaftp::rustls::pki_types::pem::PemObject;
use suppaftp::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use suppaftp::rustls::server::NoServerSessionStorage;
use suppaftp::rustls::version::{TLS12, TLS13};
use suppaftp::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// In place of an answer: none, ever.
pub const SILENCE: &str = "(silence)";

/// In place of an answer: the connection is closed.
pub const HANG_UP: &str = "(hang up)";

/// Bytes that are sent at once.
const CHUNK: usize = 16 * 1024;

/// Downloads that die in the middle.
#[derive(Clone, Copy)]
pub struct Cut {
    /// So many bytes of the download come before. A download of fewer bytes is not cut.
    pub after: usize,
    pub how: How,
    /// So many downloads of the server are cut, then it serves well.
    pub times: usize,
}

impl Cut {
    /// Every download dies.
    pub fn every(after: usize, how: How) -> Self {
        Self::first(usize::MAX, after, how)
    }

    /// The first `times` downloads die.
    pub fn first(times: usize, after: usize, how: How) -> Self {
        Self { after, how, times }
    }
}

/// How a data connection dies in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Closed without the end of TLS, then 426.
    Fin,
    /// The same, and then the server says 226.
    FinAndDone,
    /// Reset, then 426.
    Reset,
    /// Nothing more comes.
    Stall,
    /// One bit of the next record is wrong.
    Flip,
    /// The control connection dies too.
    Both,
    /// The server says 421, and closes both.
    Goodbye,
}

/// What comes one byte at a time, without end, and so that each byte is in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drip {
    /// The greeting.
    Greeting,
    /// The first record of TLS, of the control connection.
    Handshake,
    /// The answer to a command.
    Answer(&'static str),
    /// What a listing command lists.
    Listing,
    /// The first record of TLS, of a data connection.
    DataHandshake,
    /// A record of TLS in a download.
    Download,
    /// What is said when all was sent.
    End,
}

/// What is wrong with the server. By default nothing is.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own, and a test names the ones it wants")]
pub struct Faults {
    pub implicit: bool,
    /// Commands that it answers with 500, and that FEAT does not name.
    pub unknown: &'static [&'static str],
    /// Commands that it answers with this. After a 421 it closes the connection. `{password}` stands for the password,
    /// and `{PASSWORD}` for that in capitals: here, in the greeting and in listings.
    pub answers: Vec<(&'static str, &'static str)>,
    pub greeting: Option<&'static str>,
    /// It waits so long before it greets.
    pub delay: Duration,
    /// What LIST gives, instead of POSIX lines of the files.
    pub listing: Option<&'static [u8]>,
    /// What MLSD gives besides the files.
    pub more_facts: &'static [u8],
    /// PASV announces 192.0.2.1.
    pub lying_pasv: bool,
    /// 350 to REST, and all the same from the beginning.
    pub ignores_rest: bool,
    pub cut: Option<Cut>,
    /// So many bytes, a proper end and 226.
    pub short: Option<usize>,
    /// Data connections end without the end of TLS.
    pub unended: bool,
    /// Does not resume TLS sessions.
    pub no_reuse: bool,
    /// Speaks TLS 1.2 and nothing newer.
    pub tls12: bool,
    /// `good` if there is none.
    pub certificate: Option<&'static str>,
    pub drip: Option<Drip>,
}

type Files = Vec<(String, Vec<u8>)>;

pub struct FaultyServer {
    pub port: u16,
    session: Session,
    accepting: Option<JoinHandle<()>>,
}

impl FaultyServer {
    /// Serves `files` with the certificates in `pki`, to anybody with `password`.
    pub fn start(pki: &Path, password: &str, files: Files, faults: Faults) -> Self {
        let certificate = faults.certificate.unwrap_or("good");
        let chain =
            [certificate, "ca"].map(|name| CertificateDer::from_pem_file(pki.join(format!("{name}.pem"))).unwrap());
        let key = PrivateKeyDer::from_pem_file(pki.join(format!("{certificate}.key"))).unwrap();
        let versions: &[&_] = if faults.tls12 { &[&TLS12] } else { &[&TLS13, &TLS12] };
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.to_vec(), key)
            .unwrap();
        if faults.no_reuse {
            tls.session_storage = Arc::new(NoServerSessionStorage {});
            tls.send_tls13_tickets = 0;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let session = Session {
            left: Arc::new(AtomicUsize::new(faults.cut.map_or(0, |cut| cut.times))),
            faults,
            files: Arc::new(files),
            password: password.to_owned(),
            tls: Arc::new(tls),
            commands: Arc::default(),
            sockets: Arc::default(),
            stopped: Arc::default(),
        };
        let mut server = Self { port: listener.local_addr().unwrap().port(), session, accepting: None };
        server.accept(listener);
        server
    }

    /// Ends every connection and takes no new ones.
    pub fn stop(&mut self) {
        self.session.stopped.store(true, Ordering::SeqCst);
        // Wakes who waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.accepting.take().unwrap().join().unwrap();
        for socket in self.session.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Serves again after [`FaultyServer::stop`], on the same port. What was counted is kept.
    pub fn start_again(&mut self) {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", self.port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(5), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        // Those that were told to stop keep what they were told.
        self.session.stopped = Arc::default();
        self.accept(listener);
    }

    fn accept(&mut self, listener: TcpListener) {
        let session = self.session.clone();
        self.accepting = Some(std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if session.stopped.load(Ordering::SeqCst) {
                    return;
                }
                session.sockets.lock().unwrap().push(socket.try_clone().unwrap());
                let session = session.clone();
                std::thread::spawn(move || {
                    let hung_up = socket.try_clone().unwrap();
                    session.run(socket);
                    let _ = hung_up.shutdown(Shutdown::Both);
                });
            }
        }));
    }

    /// The commands so far, the password left out.
    pub fn commands(&self) -> Vec<String> {
        self.session.commands.lock().unwrap().clone()
    }

    pub fn count(&self, verb: &str) -> usize {
        self.commands().iter().filter(|command| command.split(' ').next() == Some(verb)).count()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        if self.accepting.is_some() {
            self.stop();
        }
    }
}

enum Control {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Control {
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            match self {
                Self::Plain(stream) => stream.read_exact(&mut byte)?,
                Self::Tls(stream) => stream.read_exact(&mut byte)?,
            }
            line.push(byte[0]);
        }
        Ok(String::from_utf8(line).unwrap().trim_end_matches("\r\n").to_owned())
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream().write_all(format!("{line}\r\n").as_bytes())
    }

    fn stream(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

/// Until the client gives up.
fn drip(stream: &mut dyn Write, text: &[u8]) -> Option<()> {
    for byte in text.iter().cycle() {
        stream.write_all(&[*byte]).and_then(|()| stream.flush()).ok()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// The same with a record of TLS of 16 KiB.
fn drip_record(socket: &mut TcpStream, kind: u8) -> Option<()> {
    socket.write_all(&[kind, 3, 3, 0x40, 0]).ok()?;
    drip(socket, &[0])
}

#[derive(Clone)]
struct Session {
    faults: Faults,
    /// Downloads that are still to be cut.
    left: Arc<AtomicUsize>,
    files: Arc<Files>,
    password: String,
    tls: Arc<ServerConfig>,
    commands: Arc<Mutex<Vec<String>>>,
    /// Control connections.
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    stopped: Arc<AtomicBool>,
}

impl Session {
    fn secure(&self, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.tls)).unwrap(), socket)
    }

    fn drips(&self, what: Drip) -> bool {
        self.faults.drip == Some(what)
    }

    /// A text of a test, with the password in its place.
    fn told(&self, text: &[u8]) -> Vec<u8> {
        let mut told = text.to_vec();
        for (mark, password) in [("{password}", self.password.clone()), ("{PASSWORD}", self.password.to_uppercase())] {
            while let Some(at) = told.windows(mark.len()).position(|letters| letters == mark.as_bytes()) {
                told.splice(at..at + mark.len(), password.bytes());
            }
        }
        told
    }

    fn told_text(&self, text: &str) -> String {
        String::from_utf8(self.told(text.as_bytes())).unwrap()
    }

    /// From the first byte to the greeting.
    fn greet(&self, socket: TcpStream) -> Option<Control> {
        let mut control =
            if self.faults.implicit { Control::Tls(Box::new(self.secure(socket))) } else { Control::Plain(socket) };
        std::thread::sleep(self.faults.delay);
        if self.faults.implicit && self.drips(Drip::Handshake) {
            let Control::Tls(mut stream) = control else { return None };
            drip_record(&mut stream.sock, 22)?;
            return None;
        }
        if self.drips(Drip::Greeting) {
            drip(control.stream(), b"220-slow\r\n")?;
        }
        control.say(&self.told_text(self.faults.greeting.unwrap_or("220 ready"))).ok()?;
        Some(control)
    }

    /// Ends with the connection.
    fn run(&self, socket: TcpStream) -> Option<()> {
        let mut control = self.greet(socket)?;
        let (mut listener, mut offset, mut protected) = (None::<TcpListener>, 0_usize, false);
        loop {
            let line = control.line().ok()?;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            self.commands.lock().unwrap().push(if verb == "PASS" { verb.to_owned() } else { line.clone() });
            if self.faults.unknown.contains(&verb) {
                control.say("500 Unknown command.").ok()?;
                continue;
            }
            if self.faults.drip.is_some_and(|what| matches!(what, Drip::Answer(wanted) if wanted == verb)) {
                return drip(control.stream(), b"250-slow\r\n");
            }
            match self.faults.answers.iter().find(|(wanted, _)| *wanted == verb) {
                None => {}
                Some((_, SILENCE)) => continue,
                Some((_, HANG_UP)) => return None,
                Some((_, answer)) => {
                    control.say(&self.told_text(answer)).ok()?;
                    if answer.starts_with("421") {
                        return None;
                    }
                    continue;
                }
            }
            let file = self.files.iter().find(|(name, _)| name == argument);
            match verb {
                "AUTH" => {
                    control.say("234 go on").ok()?;
                    let Control::Plain(mut socket) = control else { return None };
                    if self.drips(Drip::Handshake) {
                        return drip_record(&mut socket, 22);
                    }
                    control = Control::Tls(Box::new(self.secure(socket)));
                }
                "USER" => control.say("331 password").ok()?,
                "PASS" if argument == self.password => control.say("230 welcome").ok()?,
                "PASS" => control.say(&format!("530 `{argument}` is wrong")).ok()?,
                "PBSZ" | "TYPE" | "NOOP" | "OPTS" => control.say("200 fine").ok()?,
                "PROT" => {
                    protected = argument == "P";
                    control.say("200 fine").ok()?;
                }
                "CWD" => control.say("250 fine").ok()?,
                "FEAT" => {
                    let mut named = vec!["MLST type*;size*;modify*;", "SIZE", "MDTM", "REST STREAM", "UTF8"];
                    named.retain(|name| !self.faults.unknown.iter().any(|verb| name.starts_with(verb)));
                    control.say(&format!("211-Features:\r\n {}\r\n211 End", named.join("\r\n "))).ok()?;
                }
                "QUIT" => {
                    control.say("221 bye").ok()?;
                    return None;
                }
                "EPSV" | "PASV" => {
                    let passive = TcpListener::bind("127.0.0.1:0").unwrap();
                    let port = passive.local_addr().unwrap().port();
                    listener = Some(passive);
                    let host = if self.faults.lying_pasv { "192,0,2,1" } else { "127,0,0,1" };
                    let (high, low) = (port >> 8, port & 255);
                    control
                        .say(&match verb {
                            "EPSV" => format!("229 Extended (|||{port}|)"),
                            _ => format!("227 Passive ({host},{high},{low})"),
                        })
                        .ok()?;
                }
                "SIZE" | "MDTM" | "MLST" if file.is_none() => control.say("550 no such file").ok()?,
                "SIZE" => control.say(&format!("213 {}", file?.1.len())).ok()?,
                "MDTM" => control.say("213 20240708090603").ok()?,
                "MLST" => control.say(&format!("250-facts\r\n {}\r\n250 End", facts(file?))).ok()?,
                "REST" => {
                    offset = argument.parse().ok()?;
                    control.say("350 from there").ok()?;
                }
                "MLSD" | "LIST" | "RETR" => {
                    let content = match verb {
                        "RETR" => file?.1[if self.faults.ignores_rest { 0 } else { offset }..].to_vec(),
                        "MLSD" => {
                            let lines: String = self.files.iter().map(|file| facts(file) + "\r\n").collect();
                            [lines.as_bytes(), &self.told(self.faults.more_facts)].concat()
                        }
                        _ => match self.faults.listing {
                            Some(listing) => self.told(listing),
                            None => self.files.iter().map(posix).collect::<String>().into_bytes(),
                        },
                    };
                    offset = 0;
                    if !protected {
                        control.say("522 protect it").ok()?;
                        continue;
                    }
                    control.say("150 here it comes").ok()?;
                    let socket = listener.take()?.accept().ok()?.0;
                    self.send(&mut control, socket, &content, verb == "RETR")?;
                }
                _ => control.say("502 no").ok()?,
            }
        }
    }

    /// The fault of this download, if it is to have one.
    fn cut(&self, length: usize) -> Option<Cut> {
        let cut = self.faults.cut.filter(|cut| cut.after <= length)?;
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).ok()?;
        Some(cut)
    }

    fn send(&self, control: &mut Control, socket: TcpStream, content: &[u8], is_file: bool) -> Option<()> {
        let mut data = self.secure(socket);
        if self.drips(Drip::DataHandshake) {
            return drip_record(&mut data.sock, 22);
        }
        let cut = if is_file { self.cut(content.len()) } else { None };
        let length = cut.map(|cut| cut.after).or(self.faults.short.filter(|_| is_file)).unwrap_or(content.len());
        while data.conn.is_handshaking() {
            data.conn.complete_io(&mut data.sock).ok()?;
        }
        if !is_file && self.drips(Drip::Listing) {
            return drip(&mut data, b"type=file;size=1; a\r\n");
        }
        for chunk in content[..length.min(content.len())].chunks(CHUNK) {
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            if data.write_all(chunk).is_err() {
                return control.say("426 given up").ok();
            }
        }
        data.flush().ok()?;
        if is_file && self.drips(Drip::Download) {
            return drip_record(&mut data.sock, 23);
        }
        match cut.map(|cut| cut.how) {
            Some(How::Stall) => {
                // Until the client gives up.
                let _ = data.read(&mut [0]);
                return None;
            }
            Some(How::Flip) => {
                let mut record = Vec::new();
                data.conn.writer().write_all(b"0123456789").unwrap();
                data.conn.write_tls(&mut record).unwrap();
                *record.last_mut().unwrap() ^= 1;
                data.sock.write_all(&record).ok()?;
                let _ = data.read(&mut [0]);
            }
            Some(How::Both) => return None,
            Some(How::Goodbye) => {
                control.say("421 closing").ok()?;
                return None;
            }
            Some(How::Reset) => {
                reset(data.sock);
                return control.say("426 broken off").ok();
            }
            Some(How::Fin | How::FinAndDone) => {}
            None if self.faults.unended => {}
            None => {
                data.conn.send_close_notify();
                data.flush().ok()?;
            }
        }
        drop(data);
        if self.drips(Drip::End) {
            return drip(control.stream(), b"226-slow\r\n");
        }
        let complete = cut.is_none_or(|cut| cut.how == How::FinAndDone);
        control.say(if complete { "226 all sent" } else { "426 broken off" }).ok()
    }
}

/// Closes a connection so that the other side is told of a fault (RST), and not of an end (FIN).
fn reset(socket: TcpStream) {
    socket.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async { tokio::net::TcpStream::from_std(socket).unwrap().set_zero_linger().unwrap() });
}

fn facts((name, content): &(String, Vec<u8>)) -> String {
    format!("type=file;size={};modify=20240708090603; {name}", content.len())
}

fn posix((name, content): &(String, Vec<u8>)) -> String {
    format!("-rw-r--r--   1 owner    group {:>12} Jul  8 09:06 {name}\r\n", content.len())
}
