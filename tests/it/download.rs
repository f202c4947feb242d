//! A file comes whole or not at all, whatever the line, the server, the disk and the user do.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use phds::demo::server::LoopbackServer;
use phds::error::{Error, ErrorKind, Result};
use phds::fetch::download::{Downloaded, download, settled};
use phds::fetch::ftps::{FtpsSettings, FtpsSource};
use phds::fetch::mirror::mirror;
use phds::fetch::sftp::{Credential, SftpSettings, SftpSource};
use phds::fetch::shelf::{News, Shelf};
use phds::fetch::{Link, Origin, RemoteFile, Retry, Source};
use phds::progress::Silent;

use crate::support::TestContext;
#[cfg(target_os = "linux")]
use crate::support::disk::SmallDisk;
use crate::support::proxy::{Fault, How, Plan, Proxy};
use crate::support::servers;
use crate::support::transfer::{noise, secret};

const NAME: &str = "PHDS_2024_12.csv";
const SIZE: u64 = 200_000;
/// Where a fetch goes on that was cut after 100,000 bytes: 64 KiB before.
const AGAIN: u64 = 100_000 - 65_536;
const QUICK: Retry =
    Retry { attempts: 3, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(1) };

/// What happens at one opening of the file.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The line breaks after so many bytes.
    Cut(u64),
    /// The server says that the file has ended after so many bytes.
    Short(u64),
    /// Only the beginning of the file can be asked for.
    NoMiddle,
    /// The file can be opened in the middle, and not read there.
    NoReading,
    /// More comes than the size that was told.
    Long,
}
use Event::{Cut, Long, NoMiddle, NoReading, Short};

/// What becomes of the file before an opening (1: the second one) or, with the number of openings, before the last look.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    /// Other bytes, another time.
    Replaced(usize),
    /// Other bytes from the first on, and nobody could tell by size and time.
    ReplacedInSecret(usize),
    /// More bytes, another time.
    Grown(usize),
}

/// A server that does what a table says.
struct World {
    content: Vec<u8>,
    modified: Option<i64>,
    events: VecDeque<Event>,
    change: Change,
    /// The offsets at which the file was opened.
    opened: Vec<u64>,
    connections: usize,
    /// Logins from this one on are refused.
    refuses_from: usize,
}

impl World {
    fn turn(&mut self, at: usize) {
        let is_now = |when: usize| when == at;
        match self.change {
            Change::Replaced(when) if is_now(when) => {
                self.content.fill(b'r');
                self.modified = Some(2);
            }
            Change::ReplacedInSecret(when) if is_now(when) => self.content.fill(b's'),
            Change::Grown(when) if is_now(when) => {
                self.content.push(b'g');
                self.modified = Some(2);
            }
            _ => return,
        }
        self.change = Change::Nothing;
    }

    fn file(&self) -> RemoteFile {
        self.named(NAME)
    }

    fn named(&self, name: &str) -> RemoteFile {
        let modified = self.modified.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        RemoteFile { name: name.into(), size: self.content.len() as u64, modified }
    }
}

struct Scripted(Arc<Mutex<World>>);

impl Source for Scripted {
    fn origin(&self) -> Origin {
        Origin {
            protocol: "sftp".into(),
            server: "h:22".into(),
            server_identity: "SHA256:key".into(),
            ..Origin::local()
        }
    }

    fn list(&mut self) -> Result<Vec<RemoteFile>> {
        let world = self.0.lock().unwrap();
        Ok(["a", "b", "c", NAME].map(|name| world.named(name)).to_vec())
    }

    fn stat(&mut self, name: &str) -> Result<RemoteFile> {
        let mut world = self.0.lock().unwrap();
        let openings = world.opened.len();
        if openings > 0 {
            world.turn(openings);
        }
        Ok(world.named(name))
    }

    fn open_at<'a>(&'a mut self, _name: &str, offset: u64) -> Result<Box<dyn Read + 'a>> {
        let mut world = self.0.lock().unwrap();
        world.opened.push(offset);
        let rest = world.content[usize::try_from(offset).unwrap()..].to_vec();
        Ok(match world.events.pop_front() {
            Some(NoMiddle) if offset > 0 => return Err(Error::environment("the server refuses REST")),
            None | Some(NoMiddle) => Box::new(std::io::Cursor::new(rest)),
            Some(NoReading) => Box::new(Broken("failure", false)),
            Some(Short(count)) => Box::new(std::io::Cursor::new(rest).take(count)),
            Some(Cut(count)) => Box::new(std::io::Cursor::new(rest).take(count).chain(Broken("the link is cut", true))),
            Some(Long) => Box::new(std::io::Cursor::new(rest).chain(&b"more"[..])),
        })
    }
}

/// Fails with these words, in a way that may pass or not.
struct Broken(&'static str, bool);

impl Read for Broken {
    fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
        let Self(words, may_pass) = *self;
        Err(std::io::Error::other(if may_pass { Error::network(words) } else { Error::environment(words) }))
    }
}

fn world(events: &[Event], change: Change) -> Arc<Mutex<World>> {
    Arc::new(Mutex::new(World {
        content: noise(usize::try_from(SIZE).unwrap()),
        modified: Some(1),
        events: events.iter().copied().collect(),
        change,
        opened: Vec::new(),
        connections: 0,
        refuses_from: usize::MAX,
    }))
}

fn link(world: &Arc<Mutex<World>>) -> Link<'static> {
    let world = Arc::clone(world);
    Link::new(
        move || {
            let mut now = world.lock().unwrap();
            now.connections += 1;
            if now.connections >= now.refuses_from {
                return Err(Error::credentials("the login is refused"));
            }
            Ok(Box::new(Scripted(Arc::clone(&world))))
        },
        QUICK,
        &Silent,
    )
}

/// Fetches the file of a world as it was at the beginning.
fn fetch(world: &Arc<Mutex<World>>, folder: &Path) -> Result<Downloaded> {
    let file = world.lock().unwrap().file();
    download(&mut link(world), &file, None, &mut Shelf::open(folder)?, &Silent)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The file is there as the server has it now, and nothing but its receipt beside it.
fn assert_whole(folder: &Path, content: &[u8], case: &str) {
    assert!(std::fs::read(folder.join(NAME)).unwrap() == content, "{case}");
    assert_eq!(names(folder), [NAME, "receipt.json"], "{case}");
}

/// What happens at each opening, what becomes of the file; the offsets asked for, how it ends.
type Case<'a> = (&'a [Event], Change, &'a [u64], Result<(), ErrorKind>);

#[test]
fn the_bytes_are_those_of_the_server_or_there_is_no_file() {
    let whole: Result<(), ErrorKind> = Ok(());
    let environment = Err(ErrorKind::Environment);
    let cases: &[Case] = &[
        (&[], Change::Nothing, &[0], whole),
        (&[Cut(100_000)], Change::Nothing, &[0, AGAIN], whole),
        (&[Short(100_000)], Change::Nothing, &[0, AGAIN], whole),
        (&[Cut(0)], Change::Nothing, &[0, 0], whole),
        (&[Cut(10)], Change::Nothing, &[0, 0], whole),
        (&[Cut(65_536)], Change::Nothing, &[0, 0], whole),
        (&[Cut(65_537)], Change::Nothing, &[0, 1], whole),
        (&[Cut(199_999)], Change::Nothing, &[0, 199_999 - 65_536], whole),
        (&[Cut(200_000)], Change::Nothing, &[0, 200_000 - 65_536], whole),
        // A cut within the bytes that are compared is no progress, three of them in a row are the end.
        (&[Cut(100_000), Cut(1_000)], Change::Nothing, &[0, AGAIN, AGAIN], whole),
        (&[Cut(100_000), Cut(9), Cut(9), Cut(9)], Change::Nothing, &[0, AGAIN, AGAIN, AGAIN], environment),
        (&[Cut(0), Cut(0), Cut(0)], Change::Nothing, &[0, 0, 0], environment),
        // With progress the attempts are counted anew.
        (&[Cut(0), Cut(0), Cut(100_000), Cut(0), Cut(0)], Change::Nothing, &[0, 0, 0, AGAIN, AGAIN, AGAIN], whole),
        (&[Cut(100_000), NoMiddle], Change::Nothing, &[0, AGAIN, 0], whole),
        (&[Cut(100_000), NoReading], Change::Nothing, &[0, AGAIN, 0], whole),
        (&[Cut(100_000)], Change::Replaced(1), &[0], environment),
        (&[Cut(100_000)], Change::ReplacedInSecret(1), &[0, AGAIN, 0], whole),
        (&[Cut(100_000)], Change::Grown(1), &[0], environment),
        (&[Long], Change::Nothing, &[0], environment),
        (&[], Change::Replaced(1), &[0], environment),
        (&[], Change::Grown(1), &[0], environment),
    ];
    for (events, change, offsets, end) in cases {
        let case = format!("{events:?} {change:?}");
        let (world, folder) = (world(events, *change), tempfile::tempdir().unwrap());
        let outcome = fetch(&world, folder.path());
        let now = world.lock().unwrap();
        assert_eq!(now.opened, *offsets, "{case}");
        match &outcome {
            Ok(downloaded) => {
                assert_whole(folder.path(), &now.content, &case);
                assert_eq!(downloaded.sha256, phds::fs::sha256_hex(&now.content), "{case}");
                assert_eq!((downloaded.bytes, downloaded.news), (SIZE, News::First), "{case}");
            }
            Err(error) => {
                assert!(!folder.path().join(NAME).exists(), "{case}");
                // A part is kept while it may be continued.
                let is_kept = error.may_pass() && offsets.last() == Some(&AGAIN);
                assert_eq!(names(folder.path()).is_empty(), !is_kept && !error.may_pass(), "{case}");
            }
        }
        assert_eq!(outcome.map(drop).map_err(|error| error.kind()), *end, "{case}");
    }
}

#[test]
fn what_one_run_began_the_next_one_continues() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(&[Cut(100_000), Cut(0), Cut(0), Cut(0)], Change::Nothing);
    assert!(fetch(&world, folder.path()).unwrap_err().may_pass());
    assert_eq!(names(folder.path()), [format!("{NAME}.part"), format!("{NAME}.part.json")]);
    fetch(&world, folder.path()).unwrap();
    assert_eq!(world.lock().unwrap().opened, [0, AGAIN, AGAIN, AGAIN, AGAIN]);
    assert_whole(folder.path(), &world.lock().unwrap().content, "second run");

    // Without a time of change nothing tells that it is the same file.
    let folder = tempfile::tempdir().unwrap();
    let again = self::world(&[Cut(100_000), Cut(0), Cut(0), Cut(0)], Change::Nothing);
    again.lock().unwrap().modified = None;
    assert!(fetch(&again, folder.path()).is_err());
    fetch(&again, folder.path()).unwrap();
    assert_eq!(again.lock().unwrap().opened, [0, AGAIN, AGAIN, AGAIN, 0]);
    assert_whole(folder.path(), &again.lock().unwrap().content, "without a time");
}

#[test]
fn a_refused_login_is_not_tried_again() {
    for first_refused in [1, 2] {
        let (world, folder) = (world(&[Cut(100_000)], Change::Nothing), tempfile::tempdir().unwrap());
        world.lock().unwrap().refuses_from = first_refused;
        assert_eq!(fetch(&world, folder.path()).unwrap_err().kind(), ErrorKind::Credentials);
        assert_eq!(world.lock().unwrap().connections, first_refused);
        assert!(!folder.path().join(NAME).exists());
    }
    // Nor for the next file of several.
    let (world, folder) = (world(&[Cut(100_000)], Change::Nothing), tempfile::tempdir().unwrap());
    world.lock().unwrap().refuses_from = 2;
    let mirrored = mirror(&mut link(&world), ".", Duration::ZERO, folder.path(), Utc::now(), &Silent);
    assert_eq!(mirrored.unwrap_err().kind(), ErrorKind::Credentials);
    assert_eq!(world.lock().unwrap().connections, 2);
    let mut link = self::link(&world);
    for _ in 0..3 {
        assert_eq!(link.run(|source| source.stat(NAME)).unwrap_err().kind(), ErrorKind::Credentials);
    }
    assert_eq!(world.lock().unwrap().connections, 3);
}

#[test]
fn what_is_here_is_not_fetched_again_and_never_replaced() {
    let (world, folder) = (world(&[], Change::Nothing), tempfile::tempdir().unwrap());
    let first = fetch(&world, folder.path()).unwrap();
    let openings = || world.lock().unwrap().opened.len();
    assert_eq!((fetch(&world, folder.path()).unwrap().news, openings()), (News::Nothing, 1));
    // Damaged here: fetched again, and both are kept.
    let mut damaged = std::fs::read(&first.path).unwrap();
    damaged[7] ^= 1;
    std::fs::write(&first.path, &damaged).unwrap();
    let again = fetch(&world, folder.path()).unwrap();
    assert_eq!((again.news, openings()), (News::Changed, 2));
    assert_eq!(again.sha256, first.sha256);
    assert!(std::fs::read(&again.path).unwrap() == world.lock().unwrap().content);
    assert!(std::fs::read(&first.path).unwrap() == damaged);
    assert_eq!((fetch(&world, folder.path()).unwrap().path, openings()), (again.path, 2));
    // Of another time and the same content: looked at, and not kept twice.
    world.lock().unwrap().modified = Some(3);
    assert_eq!((fetch(&world, folder.path()).unwrap().news, openings()), (News::Nothing, 3));

    // Every name that the file could have is taken by something else, one after the other.
    let sha256 = phds::fs::sha256_hex(&world.lock().unwrap().content);
    for (digits, time) in [(8, 4), (16, 5), (64, 6)] {
        std::fs::write(folder.path().join(format!("PHDS_2024_12.{}.csv", &sha256[..digits])), "taken").unwrap();
        world.lock().unwrap().modified = Some(time);
        let outcome = fetch(&world, folder.path());
        match (digits, outcome) {
            (64, Err(error)) => assert_eq!(error.kind(), ErrorKind::Refused),
            (_, outcome) => assert!(std::fs::read(outcome.unwrap().path).unwrap() == world.lock().unwrap().content),
        }
    }
    assert!(std::fs::read(&first.path).unwrap() == damaged);
}

#[cfg(unix)]
#[test]
fn a_part_is_never_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let store = folder.path().join("store");
    let part = store.join(format!("{NAME}.part"));
    for is_hard in [false, true] {
        std::fs::create_dir(&store).unwrap();
        std::fs::write(&elsewhere, "not ours").unwrap();
        let linked = if is_hard { std::fs::hard_link } else { std::os::unix::fs::symlink }(&elsewhere, &part);
        linked.unwrap();
        let world = world(&[], Change::Nothing);
        fetch(&world, &store).unwrap();
        assert_whole(&store, &world.lock().unwrap().content, "through a link");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"not ours");
        std::fs::remove_dir_all(&store).unwrap();
    }
}

#[test]
fn names_of_files_beside_the_files_are_refused() {
    for name in ["receipt.json", "a.receipt.json", "a.csv.part", "a.csv.part.json", "../a", "a\nb", ".a"] {
        let (world, folder) = (world(&[], Change::Nothing), tempfile::tempdir().unwrap());
        let file = RemoteFile { name: name.into(), ..world.lock().unwrap().file() };
        let error =
            download(&mut link(&world), &file, None, &mut Shelf::open(folder.path()).unwrap(), &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{name:?}");
        assert!(names(folder.path()).is_empty() && world.lock().unwrap().opened.is_empty());
    }
}

#[test]
fn a_file_that_may_be_growing_is_watched() {
    let young = || Some(chrono::Utc::now().timestamp());
    let age = Duration::from_millis(1_200);
    // (time of change, is waited for)
    for (modified, waits) in [(Some(1), false), (young(), true), (Some(4_000_000_000), true), (None, true)] {
        let world = world(&[], Change::Nothing);
        world.lock().unwrap().modified = modified;
        let file = world.lock().unwrap().file();
        let begun = Instant::now();
        assert_eq!(settled(&mut link(&world), file.clone(), age, &Silent).unwrap(), file);
        assert_eq!(begun.elapsed() > Duration::from_millis(150), waits, "{modified:?}");
    }
    // Found grown after the first wait, and as it was after the second.
    let grown = world(&[], Change::Nothing);
    let before = RemoteFile { size: 7, modified: None, ..grown.lock().unwrap().file() };
    let after = settled(&mut link(&grown), before, Duration::from_millis(50), &Silent).unwrap();
    assert_eq!(after.size, SIZE);
}

const PASSWORD: &str = "p: @/#%w2!";

/// A server of one file of this many bytes, in this process.
fn serve(folder: &Path, size: usize) -> (LoopbackServer, Vec<u8>) {
    let content = noise(size);
    std::fs::write(folder.join(NAME), &content).unwrap();
    (LoopbackServer::start(folder, "clinic", &secret(PASSWORD)).unwrap(), content)
}

/// The host key of a server as `known_hosts` has it for the proxy before it.
fn known_as(server: &LoopbackServer, port: u16) -> String {
    server.host_key_line().replace(&format!("]:{}", server.port()), &format!("]:{port}"))
}

#[test]
fn broken_lines_are_mended() {
    let served = tempfile::tempdir().unwrap();
    let (server, content) = serve(served.path(), 3_000_000);
    // In the greeting, in the key exchange, in the listing, early, in the middle, and at the end of the file.
    for after in [5, 700, 4_000, 100_000, 1_500_000, 3_000_000] {
        for how in [How::Fin, How::Rst, How::Stall, How::Flip] {
            let case = format!("{how:?} after {after}");
            let proxy = Proxy::start(
                server.port(),
                Plan { fault: Some(Fault { after, how, times: 1 }), refused: 1, ..Plan::default() },
            );
            let folder = tempfile::tempdir().unwrap();
            let known_hosts = folder.path().join("known_hosts");
            std::fs::write(&known_hosts, known_as(&server, proxy.port)).unwrap();
            let settings = SftpSettings {
                port: proxy.port,
                timeout: Duration::from_secs(1),
                ..SftpSettings::new(proxy.host, "clinic", known_hosts)
            };
            let password = Credential::Password(secret(PASSWORD));
            let mut link = Link::new(|| Ok(Box::new(SftpSource::connect(&settings, &password)?)), QUICK, &Silent);
            let place = folder.path().join("store");
            let outcome = link
                .run(|source| source.stat(NAME))
                .and_then(|file| download(&mut link, &file, None, &mut Shelf::open(&place)?, &Silent));
            assert_eq!(proxy.suffered(), 1, "{case}");
            match outcome {
                Ok(_) => assert_whole(&place, &content, &case),
                // A turned bit in a key may be an attack, and a line that breaks at the login may be a refusal: neither is
                // tried again.
                Err(error) => {
                    assert!(after < 10_000 && !error.may_pass(), "{case}: {error}");
                    assert!(!place.join(NAME).exists(), "{case}");
                }
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn broken_downloads_over_ftps_are_mended() {
    use crate::ftps::faulty_ftps::{Cut, Faults, FaultyServer, How};
    let place = servers::Place::new();
    let content = noise(300_000);
    for after in [0, 100_000, 299_999] {
        for how in [How::Fin, How::FinAndDone, How::Reset, How::Stall, How::Flip, How::Both, How::Goodbye] {
            // A server that has no REST, and one without any time: cut once, it is fetched from its beginning.
            for unknown in [&[][..], &["REST"], &["MLSD", "MDTM"]] {
                if how == How::Stall && !unknown.is_empty() {
                    continue;
                }
                let case = format!("{how:?} after {after}, without {unknown:?}");
                let faults = Faults { unknown, cut: Some(Cut::first(1, after, how)), ..Faults::default() };
                let files = vec![(NAME.to_owned(), content.clone())];
                let server = FaultyServer::start(&place.path("pki"), &place.password(), files, faults);
                let settings = FtpsSettings { timeout: Duration::from_secs(1), ..place.settings(server.port) };
                let password = secret(&place.password());
                let mut link = Link::new(|| Ok(Box::new(FtpsSource::connect(&settings, &password)?)), QUICK, &Silent);
                let file = link.run(|source| source.stat(NAME)).unwrap();
                let folder = tempfile::tempdir().unwrap();
                download(&mut link, &file, None, &mut Shelf::open(folder.path()).unwrap(), &Silent).unwrap();
                assert_whole(folder.path(), &content, &case);
                assert!(server.count("RETR") >= 2, "{case}");
            }
        }
    }
    // 226 after a short piece, each time, and no further than what is compared.
    let faults = Faults { short: Some(50_000), ..Faults::default() };
    let files = vec![(NAME.to_owned(), content)];
    let server = FaultyServer::start(&place.path("pki"), &place.password(), files, faults);
    let password = secret(&place.password());
    let settings = place.settings(server.port);
    let mut link = Link::new(|| Ok(Box::new(FtpsSource::connect(&settings, &password)?)), QUICK, &Silent);
    let file = link.run(|source| source.stat(NAME)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = download(&mut link, &file, None, &mut Shelf::open(folder.path()).unwrap(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(!folder.path().join(NAME).exists());
}

#[cfg(unix)]
#[test]
fn a_server_that_is_started_again_in_the_middle() {
    let place = servers::Place::with_keys();
    let content = noise(6_000_000);
    place.put(NAME, &content);
    for kind in ["sshd", "proftpd-sftp"] {
        let mut server = servers::Server::start(&place, kind);
        let proxy = Proxy::start(server.port, Plan { bytes_per_second: Some(6_000_000), ..Plan::default() });
        let folder = tempfile::tempdir().unwrap();
        let known_hosts = folder.path().join("known_hosts");
        std::fs::write(&known_hosts, place.host_key_line("ed25519", proxy.port)).unwrap();
        let settings = SftpSettings {
            port: proxy.port,
            timeout: Duration::from_secs(5),
            ..SftpSettings::new(proxy.host, servers::USER, known_hosts)
        };
        let key = Credential::Key { path: place.path("ssh/user_ed25519"), passphrase: None };
        let retry =
            Retry { attempts: 500, first_wait: Duration::from_millis(50), longest_wait: Duration::from_millis(50) };
        let store = folder.path().join("store");
        std::thread::scope(|scope| {
            let download = scope.spawn(|| {
                let mut link = Link::new(|| Ok(Box::new(SftpSource::connect(&settings, &key)?)), retry, &Silent);
                let file = link.run(|source| source.stat(NAME)).unwrap();
                download(&mut link, &file, None, &mut Shelf::open(&store).unwrap(), &Silent).unwrap();
            });
            // Here, because a server ends with the thread that started it.
            await_bytes(&store.join(format!("{NAME}.part")), 1_000_000);
            server.stop();
            std::thread::sleep(Duration::from_millis(200));
            server.start_again();
            download.join().unwrap();
        });
        assert!(proxy.connections() > 1, "{kind}");
        assert_whole(&store, &content, kind);
    }
}

/// Waits until a file has so many bytes.
fn await_bytes(path: &Path, bytes: u64) {
    let begun = Instant::now();
    while std::fs::metadata(path).map_or(0, |metadata| metadata.len()) < bytes {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} does not grow", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder with an account of a server behind a slow line.
#[cfg(unix)]
struct Slow {
    context: TestContext,
    server: LoopbackServer,
    _proxy: Proxy,
    content: Vec<u8>,
}

#[cfg(unix)]
impl Slow {
    /// With a file of 4 MB at 4 MB/s.
    fn new() -> Self {
        let context = TestContext::new();
        std::fs::create_dir(context.path("served")).unwrap();
        let (server, content) = serve(&context.path("served"), 4_000_000);
        let proxy = Proxy::start(server.port(), Plan { bytes_per_second: Some(4_000_000), ..Plan::default() });
        context.put("known_hosts", known_as(&server, proxy.port));
        context.put_private("password", PASSWORD);
        context.put(
            "phds.toml",
            format!(
                "store = \"store\"\n[accounts.phds]\nprotocol = \"sftp\"\nhost = \"{}\"\nport = {}\nuser = \"clinic\"\n\
                 pattern = \"PHDS_{{YYYY}}_{{MM}}.csv\"\npassword_file = \"password\"\nknown_hosts = \"known_hosts\"\n\
                 min_age_seconds = 0\nattempts = 2\nretry_seconds = 0\n",
                proxy.host, proxy.port
            ),
        );
        Self { context, server, _proxy: proxy, content }
    }

    fn part(&self) -> std::path::PathBuf {
        self.context.path(&format!("store/deliveries/2024-12/{NAME}.part"))
    }

    fn spawn(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_phds"))
            .arg("fetch")
            .current_dir(self.context.path(""))
            .env_clear()
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The run that comes after one that was ended continues its part.
    fn assert_continued(&self) {
        let kept = std::fs::metadata(self.part()).unwrap().len();
        assert!(kept >= 1_000_000);
        let before = self.server.requests().len();
        let outcome = self.context.phds("fetch").done();
        let said = format!("`{NAME}` is continued: {kept} of 4000000 bytes are here");
        assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
        let reads = self.server.requests()[before..].iter().filter(|request| *request == "read").count() as u64;
        // 255 KB and more come with one request.
        assert!(reads * 200_000 < 4_000_000 - kept + 1_500_000, "{reads} reads for {} bytes", 4_000_000 - kept);
        assert_whole(&self.context.path("store/deliveries/2024-12"), &self.content, "continued");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_keeps_its_part() {
    let slow = Slow::new();
    let mut child = slow.spawn();
    await_bytes(&slow.part(), 1_000_000);
    child.kill().unwrap();
    child.wait().unwrap();
    slow.assert_continued();
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_part_and_says_so() {
    for signal in ["INT", "TERM"] {
        let slow = Slow::new();
        let child = slow.spawn();
        await_bytes(&slow.part(), 1_000_000);
        Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("stopped: ") && said.contains("goes on next time where it stopped"), "{said}");
        slow.assert_continued();
    }
}

#[cfg(unix)]
#[test]
fn a_second_run_at_the_same_time_is_told_to_wait() {
    let slow = Slow::new();
    let mut child = slow.spawn();
    await_bytes(&slow.part(), 1_000_000);
    let outcome = slow.context.phds("fetch").ended(3);
    assert!(outcome.stderr.contains("another run of phds is writing"), "{}", outcome.stderr);
    assert!(child.wait().unwrap().success());
    assert_whole(&slow.context.path("store/deliveries/2024-12"), &slow.content, "first run");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_before_and_in_the_middle() {
    let slow = Slow::new();
    let root = slow.context.path("store");
    let Some(disk) = SmallDisk::mount(&root, 40) else {
        eprintln!("this user may not mount a small disk: the test of a full one is left out");
        return;
    };
    let said = slow.context.phds("fetch").ended(3).stderr;
    assert!(said.contains("MB free; the rest of the file needs 4 MB, and 67 MB are to stay free"), "{said}");
    drop(disk);
    std::fs::remove_dir(&root).unwrap();

    // Enough at the beginning, and taken by somebody else on the way.
    let _disk = SmallDisk::mount(&root, 100).unwrap();
    let mut child = slow.spawn();
    await_bytes(&slow.part(), 1_000_000);
    let filler = root.join("somebody else's");
    let mut other = std::fs::File::create(&filler).unwrap();
    let full = std::io::copy(&mut std::io::repeat(0), &mut other).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("make room on that disk and try again"), "{said}");
    assert!(!root.join("deliveries/2024-12").join(NAME).exists());
    drop(other);
    std::fs::remove_file(filler).unwrap();
    slow.assert_continued();
}
