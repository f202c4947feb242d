//! An FTPS server in this process that misbehaves as told, and keeps every command that it was sent.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use suppaftp::rustls::crypto::ring;
use suppaftp::rustls::pki_types::pem::PemObject;
use suppaftp::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use suppaftp::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How a data connection dies in the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Closed without the end of TLS, then 426.
    Fin,
    /// The same, and then the server says 226.
    FinAndDone,
    /// Nothing more comes.
    Stall,
    /// One damaged record.
    Flip,
    /// The control connection dies too.
    Both,
}

/// What is wrong with the server. By default nothing is.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own, and a test names the ones it wants")]
pub struct Faults {
    pub implicit: bool,
    /// Commands that it answers with 500.
    pub unknown: &'static [&'static str],
    /// Commands that it answers with this.
    pub answers: &'static [(&'static str, &'static str)],
    pub greeting: Option<&'static str>,
    /// What LIST gives, instead of POSIX lines of the files.
    pub listing: Option<&'static str>,
    /// What MLSD gives besides the files.
    pub more_facts: &'static str,
    /// PASV announces 192.0.2.1.
    pub lying_pasv: bool,
    /// 350 to REST, and all the same from the beginning.
    pub ignores_rest: bool,
    pub cut: Option<(usize, Cut)>,
    /// So many bytes, a proper end and 226.
    pub short: Option<usize>,
    /// Data connections end without the end of TLS.
    pub unended: bool,
    /// One more answer after a transfer that was given up.
    pub answers_twice: bool,
    pub certificate: Option<&'static str>,
}

pub struct FaultyServer {
    pub port: u16,
    commands: Arc<Mutex<Vec<String>>>,
}

type Files = Vec<(String, Vec<u8>)>;

impl FaultyServer {
    /// Serves `files` with the certificates in `pki`, to anybody with `password`.
    pub fn start(pki: &Path, password: &str, files: Files, faults: Faults) -> Self {
        let certificate = faults.certificate.unwrap_or("good");
        let chain = CertificateDer::from_pem_file(pki.join(format!("{certificate}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(pki.join(format!("{certificate}.key"))).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let session = Session {
            faults,
            files: Arc::new(files),
            password: password.to_owned(),
            tls: Arc::new(tls),
            commands: Arc::clone(&commands),
        };
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let session = session.clone();
                std::thread::spawn(move || session.run(socket));
            }
        });
        Self { port, commands }
    }

    /// The commands so far, the password left out.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }

    pub fn count(&self, verb: &str) -> usize {
        self.commands().iter().filter(|command| command.split(' ').next() == Some(verb)).count()
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
        let line = format!("{line}\r\n");
        match self {
            Self::Plain(stream) => stream.write_all(line.as_bytes()),
            Self::Tls(stream) => stream.write_all(line.as_bytes()),
        }
    }
}

#[derive(Clone)]
struct Session {
    faults: Faults,
    files: Arc<Files>,
    password: String,
    tls: Arc<ServerConfig>,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Session {
    fn secure(&self, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.tls)).unwrap(), socket)
    }

    /// Ends with the connection.
    fn run(&self, socket: TcpStream) -> Option<()> {
        let mut control =
            if self.faults.implicit { Control::Tls(Box::new(self.secure(socket))) } else { Control::Plain(socket) };
        control.say(self.faults.greeting.unwrap_or("220 ready")).ok()?;
        let (mut listener, mut offset, mut protected) = (None::<TcpListener>, 0_usize, false);
        loop {
            let line = control.line().ok()?;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            self.commands.lock().unwrap().push(if verb == "PASS" { verb.to_owned() } else { line.clone() });
            if self.faults.unknown.contains(&verb) {
                control.say("500 Unknown command.").ok()?;
                continue;
            }
            if let Some((_, answer)) = self.faults.answers.iter().find(|(wanted, _)| *wanted == verb) {
                control.say(answer).ok()?;
                continue;
            }
            let file = self.files.iter().find(|(name, _)| name == argument);
            match verb {
                "AUTH" => {
                    control.say("234 go on").ok()?;
                    let Control::Plain(socket) = control else { return None };
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
                "FEAT" => control.say("211-Features:\r\n MLST type*;size*;modify*;\r\n UTF8\r\n211 End").ok()?,
                "QUIT" => control.say("221 bye").ok()?,
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
                            (lines + self.faults.more_facts).into_bytes()
                        }
                        _ => match self.faults.listing {
                            Some(listing) => listing.as_bytes().to_vec(),
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

    fn send(&self, control: &mut Control, socket: TcpStream, content: &[u8], is_file: bool) -> Option<()> {
        let mut data = self.secure(socket);
        let cut = self.faults.cut.filter(|(after, _)| is_file && *after <= content.len());
        let length = cut.map(|cut| cut.0).or(self.faults.short.filter(|_| is_file)).unwrap_or(content.len());
        if data.write_all(&content[..length.min(content.len())]).and_then(|()| data.flush()).is_err() {
            drop(data);
            control.say("426 given up").ok()?;
            if self.faults.answers_twice {
                control.say("226 closed").ok()?;
            }
            return Some(());
        }
        match cut.map(|cut| cut.1) {
            Some(Cut::Stall) => {
                // Until the client gives up.
                let _ = data.read(&mut [0]);
                std::thread::sleep(Duration::from_millis(100));
                return None;
            }
            Some(Cut::Flip) => {
                data.sock.write_all(&[&[0x17, 3, 3, 0, 64][..], &[7; 64]].concat()).ok()?;
                let _ = data.read(&mut [0]);
            }
            Some(Cut::Both) => return None,
            Some(Cut::Fin | Cut::FinAndDone) => {}
            None if self.faults.unended => {}
            None => {
                data.conn.send_close_notify();
                data.flush().ok()?;
            }
        }
        let complete = cut.is_none_or(|cut| cut.1 == Cut::FinAndDone);
        drop(data);
        control.say(if complete { "226 all sent" } else { "426 broken off" }).ok()
    }
}

fn facts((name, content): &(String, Vec<u8>)) -> String {
    format!("type=file;size={};modify=20240708090603; {name}", content.len())
}

fn posix((name, content): &(String, Vec<u8>)) -> String {
    format!("-rw-r--r--   1 owner    group {:>12} Jul  8 09:06 {name}\r\n", content.len())
}
