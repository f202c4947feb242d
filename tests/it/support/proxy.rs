//! A proxy on loopback between a client and a real server, for lines that are slow, long or break.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// Passive ports of a test server, after the one for commands (`tests/servers/serve.sh`).
const PASSIVE_PORTS: u16 = 40;

/// Pieces under way on a line with a delay: 4096 of up to 64 KiB, more than any client asks for at once.
const UNDER_WAY: usize = 4096;

/// What is wrong with the line. By default nothing is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// So many connections are broken off (RST) before they carry anything. FTP data connections do not count.
    pub refused: usize,
    pub fault: Option<Fault>,
    /// Of what the server sends, on each connection.
    pub bytes_per_second: Option<u32>,
    /// One way; a round trip takes twice as long. The speed of the line does not suffer.
    pub delay: Duration,
}

/// A connection on which the server sends more than `after` bytes suffers, if fewer than `times` have suffered yet.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// So many bytes of the server come through, counted from the beginning of each connection.
    pub after: u64,
    pub how: How,
    pub times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The connection is closed in good order.
    Fin,
    /// The connection is torn.
    Rst,
    /// Nothing more comes, and the connection stays open.
    Stall,
    /// One bit of the next byte is turned; all goes on.
    Flip,
}

/// Ends, with its connections, when it is dropped.
pub struct Proxy {
    pub host: &'static str,
    pub port: u16,
    shared: Arc<Shared>,
    listeners: Vec<(SocketAddr, JoinHandle<()>)>,
}

#[derive(Default)]
struct Shared {
    plan: Plan,
    connections: AtomicUsize,
    refused: AtomicUsize,
    suffered: AtomicUsize,
    bytes: AtomicU64,
    has_ended: AtomicBool,
    open: Mutex<Vec<Weak<TcpStream>>>,
}

impl Proxy {
    /// Before a server that has one port, on a port of its own.
    pub fn start(server_port: u16, plan: Plan) -> Self {
        Self::listen("127.0.0.1", 0, &[server_port], plan)
    }

    /// Before an FTPS server and its passive ports, on the same ports of another address: the server names the ports of
    /// its data connections itself.
    pub fn start_for_ftps(server_port: u16, plan: Plan) -> Self {
        let ports: Vec<_> = (server_port..=server_port + PASSIVE_PORTS).collect();
        Self::listen("127.0.0.2", server_port, &ports, plan)
    }

    /// `first` is the port to listen on before the first of `server_ports`.
    fn listen(host: &'static str, first: u16, server_ports: &[u16], plan: Plan) -> Self {
        let shared = Arc::new(Shared { plan, ..Shared::default() });
        let mut listeners = Vec::new();
        for (index, server_port) in server_ports.iter().copied().enumerate() {
            let listener = TcpListener::bind((host, if index == 0 { first } else { server_port })).unwrap();
            let address = listener.local_addr().unwrap();
            let shared = Arc::clone(&shared);
            listeners.push((address, std::thread::spawn(move || shared.accept(&listener, server_port, index == 0))));
        }
        Self { host, port: listeners[0].0.port(), shared, listeners }
    }

    /// Connections that came, the refused among them.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that suffered the fault.
    pub fn suffered(&self) -> usize {
        self.shared.suffered.load(Ordering::SeqCst).min(self.shared.plan.fault.map_or(0, |fault| fault.times))
    }

    /// Bytes of the server that came through, over all connections.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        for (address, thread) in self.listeners.drain(..) {
            // Wakes it.
            let _ = TcpStream::connect(address);
            let _ = thread.join();
        }
        for stream in self.shared.open.lock().unwrap().iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener, server_port: u16, is_first: bool) {
        for client in listener.incoming() {
            if self.has_ended.load(Ordering::SeqCst) {
                return;
            }
            let client = client.unwrap();
            self.connections.fetch_add(1, Ordering::SeqCst);
            if is_first && self.refused.fetch_add(1, Ordering::SeqCst) < self.plan.refused {
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                continue;
            }
            // No server: closed.
            let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { continue };
            let (client, server) = (Arc::new(client), Arc::new(server));
            let mut open = self.open.lock().unwrap();
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
                open.push(Arc::downgrade(stream));
            }
            drop(open);
            self.carry(&client, &server, false);
            self.carry(&server, &client, true);
        }
    }

    /// Starts to carry one way of a connection.
    fn carry(self: &Arc<Self>, from: &Arc<TcpStream>, to: &Arc<TcpStream>, is_from_server: bool) {
        // Without a delay nothing may wait here, or the client would be sent bytes of a server that is gone.
        let (sender, receiver) = sync_channel(if self.plan.delay.is_zero() { 0 } else { UNDER_WAY });
        let source = Arc::clone(from);
        std::thread::spawn(move || read(&source, &sender));
        let (shared, from, to) = (Arc::clone(self), Arc::clone(from), Arc::clone(to));
        std::thread::spawn(move || shared.write(&from, &to, &receiver, is_from_server));
    }

    /// The sockets are closed when the last of the four threads of a connection lets go of them.
    fn write(&self, from: &TcpStream, to: &TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>, is_from_server: bool) {
        let mut position = 0;
        let mut fault = self.plan.fault.filter(|_| is_from_server);
        for (came, mut piece) in pieces {
            std::thread::sleep((came + self.plan.delay).saturating_duration_since(Instant::now()));
            let end = position + piece.len() as u64;
            let due = fault.filter(|fault| end > fault.after);
            if due.is_some() {
                fault = None;
            }
            match due.filter(|fault| self.suffered.fetch_add(1, Ordering::SeqCst) < fault.times) {
                Some(Fault { after, how, .. }) => {
                    let at = usize::try_from(after - position).unwrap();
                    if how == How::Flip {
                        piece[at] ^= 1;
                        if !self.send(to, &piece, is_from_server) {
                            break;
                        }
                    } else {
                        self.send(to, &piece[..at], is_from_server);
                        return break_off(from, to, how);
                    }
                }
                None if !self.send(to, &piece, is_from_server) => break,
                None => {}
            }
            position = end;
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Whether `to` took the bytes.
    fn send(&self, mut to: &TcpStream, bytes: &[u8], is_from_server: bool) -> bool {
        let Some(rate) = self.plan.bytes_per_second.filter(|_| is_from_server) else {
            self.bytes.fetch_add(if is_from_server { bytes.len() as u64 } else { 0 }, Ordering::SeqCst);
            return to.write_all(bytes).is_ok();
        };
        // Fifty times a second, so that it runs and does not leap.
        bytes.chunks(usize::try_from(rate / 50).unwrap().max(1)).all(|piece| {
            std::thread::sleep(Duration::from_secs(1) * u32::try_from(piece.len()).unwrap() / rate);
            self.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
            to.write_all(piece).is_ok()
        })
    }
}

fn read(mut from: &TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn break_off(server: &TcpStream, client: &TcpStream, how: How) {
    match how {
        How::Fin => {
            let _ = client.shutdown(Shutdown::Write);
        }
        How::Rst => {
            SockRef::from(client).set_linger(Some(Duration::ZERO)).unwrap();
            // Ends the thread that reads, which holds the socket too; nothing is sent for it.
            let _ = client.shutdown(Shutdown::Read);
        }
        // The threads of the other way hold both sockets.
        How::Stall | How::Flip => return,
    }
    let _ = server.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use phds::fetch::Source;
    use phds::fetch::ftps::{FtpsSettings, FtpsSource};

    use super::*;
    use crate::support::servers::{Place, Server, USER};
    use crate::support::transfer::{download, noise, secret};

    const LENGTH: usize = 300_000;

    /// Serves `noise(LENGTH)` to whoever sends one byte, and ends.
    fn serve() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let _ = stream.read_exact(&mut [0]).and_then(|()| stream.write_all(&noise(LENGTH)));
                });
            }
        });
        port
    }

    /// What a client got, and how it ended.
    fn fetch(proxy: &Proxy) -> (Vec<u8>, Result<(), ErrorKind>) {
        let mut stream = TcpStream::connect((proxy.host, proxy.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut bytes = Vec::new();
        let end = stream.write_all(&[1]).and_then(|()| stream.read_to_end(&mut bytes)).map(drop);
        (bytes, end.map_err(|error| error.kind()))
    }

    #[test]
    #[cfg_attr(windows, ignore = "a torn line is told otherwise")]
    fn faults_come_where_they_are_planned_and_then_no_more() {
        let whole = noise(LENGTH);
        let mut turned = whole.clone();
        turned[100_000] ^= 1;
        let cases = [
            (How::Fin, &whole[..100_000], Ok(())),
            (How::Rst, &whole[..100_000], Err(ErrorKind::ConnectionReset)),
            (How::Stall, &whole[..100_000], Err(ErrorKind::WouldBlock)),
            (How::Flip, &turned[..], Ok(())),
        ];
        let server = serve();
        for (how, expected, end) in cases {
            let fault = Some(Fault { after: 100_000, how, times: 2 });
            let proxy = Proxy::start(server, Plan { fault, ..Plan::default() });
            for _ in 0..2 {
                let (bytes, ended) = fetch(&proxy);
                assert_eq!(ended, end, "{how:?}");
                // A torn connection may lose what was under way.
                assert!(if how == How::Rst { expected.starts_with(&bytes) } else { bytes == expected }, "{how:?}");
            }
            assert!(fetch(&proxy) == (whole.clone(), Ok(())), "{how:?}");
            assert_eq!((proxy.connections(), proxy.suffered()), (3, 2));
            assert_eq!(proxy.bytes(), (2 * expected.len() + LENGTH) as u64);
        }
    }

    #[test]
    fn the_first_connections_are_refused() {
        let proxy = Proxy::start(serve(), Plan { refused: 2, ..Plan::default() });
        let ends: Vec<_> = (0..3).map(|_| fetch(&proxy).0.len()).collect();
        assert_eq!(ends, [0, 0, LENGTH]);
        assert_eq!((proxy.connections(), proxy.bytes()), (3, LENGTH as u64));
    }

    #[test]
    fn a_long_line_is_slow_to_answer_and_not_slow() {
        let proxy = Proxy::start(serve(), Plan { delay: Duration::from_millis(100), ..Plan::default() });
        let begun = Instant::now();
        assert_eq!(fetch(&proxy).0.len(), LENGTH);
        let seconds = begun.elapsed().as_secs_f64();
        // One round trip for five pieces and more.
        assert!((0.2..0.4).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_slow_line_is_slow() {
        let proxy = Proxy::start(serve(), Plan { bytes_per_second: Some(600_000), ..Plan::default() });
        let begun = Instant::now();
        assert_eq!(fetch(&proxy).0.len(), LENGTH);
        let seconds = begun.elapsed().as_secs_f64();
        assert!((0.5..1.0).contains(&seconds), "{seconds}");
    }

    #[cfg(unix)]
    #[test]
    fn data_connections_of_ftps_suffer_too() {
        let place = Place::new();
        place.put("a.csv", &noise(LENGTH));
        let server = Server::start(&place, "proftpd");
        let fault = Some(Fault { after: 200_000, how: How::Rst, times: 1 });
        let proxy = Proxy::start_for_ftps(server.port, Plan { fault, refused: 1, ..Plan::default() });
        let settings = FtpsSettings {
            port: proxy.port,
            ca_file: Some(place.path("pki/ca.pem")),
            ..FtpsSettings::new(proxy.host, USER)
        };
        let connect = || FtpsSource::connect(&settings, &secret(&place.password()));
        assert!(connect().is_err());
        assert!(connect().unwrap().open_at("a.csv", 0).unwrap().read_to_end(&mut Vec::new()).is_err());
        assert!(download(&mut connect().unwrap(), "a.csv", 0) == noise(LENGTH));
        assert_eq!(proxy.suffered(), 1);
    }
}
