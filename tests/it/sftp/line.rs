//! Lines that are slow, break, or lead to no server.

use super::*;

/// An error that may pass by itself.
fn is_network(error: &Error) -> bool {
    error.kind() == ErrorKind::Environment && error.may_pass()
}

#[test]
fn network_trouble_is_told_apart() {
    let place = Place::new();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refusal(&place.settings(port), &password());
    assert!(is_network(&error), "{error}");
    assert!(error.message().contains(&format!("cannot connect to 127.0.0.1:{port}")), "{error}");

    let settings = SftpSettings { host: "no-such-host.invalid".into(), ..place.settings(22) };
    assert!(is_network(&refusal(&settings, &password())));

    // Accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings =
        SftpSettings { timeout: Duration::from_secs(1), ..place.settings(mute.local_addr().unwrap().port()) };
    let begun = Instant::now();
    assert!(is_network(&refusal(&settings, &password())));
    assert!(begun.elapsed() < Duration::from_secs(10));

    // Hangs up, at once or after its name.
    for bytes in ["", "SSH-2.0-busy\r\n"] {
        let error = refusal(&place.settings(parrot(bytes.into())), &password());
        assert!(is_network(&error), "{error}");
    }
    // Is no SSH server, and will not become one.
    let error = refusal(&place.settings(parrot(b"220 FTP ready\r\n".repeat(30))), &password());
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, false), "{error}");

    // Breaks off before the login. The server's greeting and its part of the key exchange are more than 1200 bytes.
    let server = place.serve(&LoginOptions::default());
    for until in [10, 300, 1200] {
        let error = refusal(&place.settings(proxy(server.port(), until, Fault::Cut)), &password());
        assert!(is_network(&error), "after {until} bytes: {error}");
    }
    assert_eq!(server.login_attempts(), 0);

    // What the server says about files does not pass by itself.
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    assert!(!source.stat("missing.csv").unwrap_err().may_pass());
}

enum Fault {
    Stall,
    Cut,
    /// 64 KiB at a time, with this pause after each.
    Slow(Duration),
}

/// Passes bytes between a client and `port`; `Stall` and `Cut` come when `until` bytes have gone to the client.
fn proxy(port: u16, until: u64, fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut up_from, &mut up_to);
        });
        if let Fault::Slow(pause) = fault {
            while matches!(std::io::copy(&mut (&server).take(64 * 1024), &mut &client), Ok(1..)) {
                std::thread::sleep(pause);
            }
        } else {
            let _ = std::io::copy(&mut (&server).take(until), &mut &client);
        }
        if matches!(fault, Fault::Cut) {
            let _ = client.shutdown(Shutdown::Both);
        }
        // Ends when the client gives up.
        let _ = up.join();
    });
    own
}

#[test]
fn a_download_that_breaks_is_an_error() {
    let place = Place::new();
    place.put("a.csv", &noise(8_000_000));
    let server = place.serve(&LoginOptions::default());
    let key = server.host_key_line().split_once(' ').unwrap().1.to_owned();
    for (fault, kind) in [(Fault::Stall, IoKind::TimedOut), (Fault::Cut, IoKind::Other)] {
        let port = proxy(server.port(), 3_000_000, fault);
        place.trust(&[format!("[127.0.0.1]:{port} {key}")]);
        let settings = SftpSettings { timeout: Duration::from_secs(1), ..place.settings(port) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        let mut bytes = Vec::new();
        let begun = Instant::now();
        {
            let mut reader = source.open_at("a.csv", 0).unwrap();
            let error = reader.read_to_end(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
            assert!(is_network(inner), "{inner}");
            assert!(inner.message().contains("cannot read `a.csv`"), "{inner}");
            assert!(reader.read(&mut [0; 1]).is_err(), "an error is final");
        }
        // What came before the fault is right, so that a download can go on from there.
        assert!(!bytes.is_empty() && bytes == noise(8_000_000)[..bytes.len()]);
        for error in
            [source.stat("a.csv").unwrap_err(), source.open_at("a.csv", 0).err().unwrap(), source.list().unwrap_err()]
        {
            assert!(is_network(&error), "{error}");
        }
        drop(source);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_slow_line_is_not_a_dead_one() {
    let place = Place::new();
    place.put("a.csv", &noise(6_000_000));
    let server = place.serve(&LoginOptions::default());
    let port = proxy(server.port(), 0, Fault::Slow(Duration::from_millis(25)));
    place.trust(&[format!("[127.0.0.1]:{port} {}", server.host_key_line().split_once(' ').unwrap().1)]);
    // All reads are in flight at once and the last one is answered after more than two seconds.
    let settings = SftpSettings { timeout: Duration::from_secs(1), ..place.settings(port) };
    let mut source = SftpSource::connect(&settings, &password()).unwrap();
    let begun = Instant::now();
    assert!(download(&mut source, "a.csv", 0) == noise(6_000_000));
    assert!(begun.elapsed() > Duration::from_secs(2), "this line was not slow");
}

#[test]
fn a_server_that_is_gone_frees_its_port() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let settings = place.settings(server.port());
    let mut source = SftpSource::connect(&settings, &password()).unwrap();
    drop(server);
    let begun = Instant::now();
    assert!(is_network(&source.list().unwrap_err()));
    assert!(is_network(&source.open_at("a.csv", 0).err().unwrap()));
    assert!(is_network(&source.stat("a.csv").unwrap_err()));
    assert!(is_network(&refusal(&settings, &password())));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
