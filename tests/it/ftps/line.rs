//! Lines and servers that are slow, break, hang up, or are away.

use super::*;

#[test]
fn a_download_that_breaks_is_an_error() {
    let place = Place::new();
    let mut cases: Vec<(Faults, &str)> = Vec::new();
    for after in [0, 1, 100_000, 299_999, 300_000] {
        for (how, words) in [
            (How::Fin, "the server broke it off: 426"),
            (How::Reset, ""),
            (How::Stall, "no answer for 1 s"),
            (How::Flip, "to its end"),
            (How::Both, "the server closed the connection"),
            (How::Goodbye, "421 (closing)"),
        ] {
            cases.push((Faults { cut: Some(Cut::every(after, how)), ..Faults::default() }, words));
        }
    }
    for after in [0, 1, 100_000, 299_999] {
        let cut = Some(Cut::every(after, How::FinAndDone));
        cases.push((Faults { cut, ..Faults::default() }, "ended too early"));
        cases.push((Faults { short: Some(after), ..Faults::default() }, "ended too early"));
        cases.push((Faults { cut, tls12: true, ..Faults::default() }, "ended too early"));
    }
    // Those that stall take a second each.
    std::thread::scope(|scope| {
        for (faults, words) in &cases {
            let place = &place;
            scope.spawn(move || breaks(place, faults, words));
        }
    });
}

fn breaks(place: &Place, faults: &Faults, words: &str) {
    let case = format!("{:?} {:?}", faults.cut.map(|cut| (cut.after, cut.how)), faults.short);
    let server = place.faulty(faults);
    let stalls = faults.cut.is_some_and(|cut| cut.how == How::Stall);
    let mut source = place.connect(&FtpsSettings { timeout: patience(stalls), ..place.settings(server.port) });
    let mut bytes = Vec::new();
    {
        let mut reader = source.open_at("PHDS 2024_07.csv", 0).unwrap();
        let error = reader.read_to_end(&mut bytes).unwrap_err();
        assert_eq!((inner(&error).kind(), inner(&error).may_pass()), (ErrorKind::Environment, true), "{case}: {error}");
        assert!(inner(&error).message().contains(words), "{case}: {error}");
        let count = format!("{} of 300000 bytes came", bytes.len());
        assert!(inner(&error).message().contains(&count), "{case}: {error}");
        assert_eq!(error.kind() == IoKind::TimedOut, stalls, "{case}");
        assert!(reader.read(&mut [0; 1]).is_err(), "{case}: an error is final");
    }
    // What came before the fault is right, so that a download can go on from there.
    assert!(bytes == noise(300_000)[..bytes.len()], "{case}");
    if let Some(Cut { after, how, .. }) = faults.cut {
        // What stands before a fault of TLS, or waits to be read when a reset comes, may go with it.
        let loses = matches!(how, How::Reset | How::Flip);
        assert!(bytes.len() == after || loses && bytes.len() < after, "{case}: {}", bytes.len());
    }
    assert_lost(&mut source);
}

#[test]
fn a_download_goes_on_where_it_broke() {
    let place = Place::new();
    for how in [How::Fin, How::Reset, How::Flip, How::Both, How::Goodbye] {
        let server = place.faulty(&Faults { cut: Some(Cut::first(3, 70_000, how)), ..Faults::default() });
        let mut bytes = Vec::new();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (more, outcome) = read_from(&place, &place.settings(server.port), bytes.len() as u64);
            bytes.extend(more);
            match outcome {
                Ok(_) => break,
                Err(error) => assert!(inner(&error).may_pass(), "{how:?}: {error}"),
            }
        }
        assert_eq!(attempts, 4, "{how:?}");
        assert!(bytes == noise(300_000), "{how:?}");
    }
}

#[test]
fn a_server_that_was_away() {
    let place = Place::new();
    let mut server = place.faulty(&Faults::default());
    let settings = place.settings(server.port);
    let mut source = place.connect(&settings);
    server.stop();
    let error = source.stat("empty.csv").unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert_lost(&mut source);
    let error = place.refusal(&settings, &place.password());
    assert!(error.may_pass() && error.message().contains("cannot connect"), "{error}");
    server.start_again();
    assert!(read_from(&place, &settings, 0).0 == noise(300_000));
}

#[test]
fn refusals_in_a_session() {
    let place = Place::new();
    // Verb, answer, kind, whether it may pass, whether the connection is of use afterwards.
    for (verb, answer, kind, may_pass, goes_on) in [
        ("MLST", "421 closing", Environment, true, false),
        ("MLST", "450 busy", Environment, true, true),
        ("MLST", "530 log in", Credentials, false, false),
        ("MLST", "550 no such file", Environment, false, true),
        ("MLST", HANG_UP, Environment, true, false),
        ("MLST", "gibberish", Environment, false, false),
        ("EPSV", "421 closing", Environment, true, false),
        ("EPSV", "425 no port", Environment, true, true),
        ("EPSV", "229 (|||1|)", Environment, true, true),
        ("RETR", "425 no data connection", Environment, true, true),
        ("RETR", "426 broken off", Environment, true, false),
        ("RETR", "450 busy", Environment, true, true),
        ("RETR", "451 local error", Environment, true, true),
        ("RETR", "522 reuse", Environment, false, true),
        ("RETR", "530 log in", Credentials, false, false),
        ("RETR", "550 denied", Environment, false, true),
        ("RETR", HANG_UP, Environment, true, false),
        ("RETR", SILENCE, Environment, true, false),
    ] {
        for offset in [0, 5] {
            let case = format!("{verb} {answer} {offset}");
            let server = place.faulty(&Faults { answers: vec![(verb, answer)], ..Faults::default() });
            let settings = FtpsSettings { timeout: patience(answer == SILENCE), ..place.settings(server.port) };
            let mut source = place.connect(&settings);
            let error = source.open_at("PHDS 2024_07.csv", offset).err().unwrap();
            assert_eq!((error.kind(), error.may_pass()), (kind, may_pass), "{case}: {error}");
            if goes_on {
                // The same refusal again, and not an answer that is left over.
                let again = source.open_at("PHDS 2024_07.csv", offset).err().unwrap();
                assert_eq!(again.message(), error.message(), "{case}");
            } else {
                assert_lost(&mut source);
            }
        }
    }
    for (verb, answer, kind, may_pass) in [
        ("PROT", "421 closing", Environment, true),
        ("TYPE", "421 closing", Environment, true),
        ("TYPE", HANG_UP, Environment, true),
        ("CWD", "550 no such folder", Usage, false),
        ("CWD", "450 busy", Environment, true),
        ("AUTH", "421 closing", Environment, true),
        ("AUTH", HANG_UP, Environment, true),
    ] {
        let server = place.faulty(&Faults { answers: vec![(verb, answer)], ..Faults::default() });
        let error =
            place.refusal(&FtpsSettings { folder: "x".into(), ..place.settings(server.port) }, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (kind, may_pass), "{verb} {answer}: {error}");
    }
}

#[test]
fn a_slow_greeting() {
    let place = Place::new();
    for (delay, implicit) in [(300, false), (300, true), (3_000, false), (3_000, true)] {
        let server = place.faulty(&Faults { implicit, delay: Duration::from_millis(delay), ..Faults::default() });
        let tls = if implicit { Tls::Implicit } else { Tls::Explicit };
        let settings = FtpsSettings { tls, timeout: patience(delay > 1_000), ..place.settings(server.port) };
        let begun = Instant::now();
        if delay < 1_000 {
            assert_eq!(place.connect(&settings).list().unwrap().len(), 2);
        } else {
            let error = place.refusal(&settings, &place.password());
            assert!(error.may_pass() && error.message().contains("no answer for 1 s"), "{error}");
            assert!(begun.elapsed() < Duration::from_millis(2_900), "{:?}", begun.elapsed());
        }
    }
}

#[test]
fn a_reader_that_is_dropped_costs_the_connection() {
    let place = Place::new();
    let files = vec![("PHDS 2024_07.csv".to_owned(), noise(30_000_000))];
    let server = FaultyServer::start(&place.path("pki"), &place.password(), files, Faults::default());
    for read in [0, 10, 30_000_000] {
        let mut source = place.connect(&place.settings(server.port));
        let begun = Instant::now();
        let mut bytes = vec![0; read];
        source.open_at("PHDS 2024_07.csv", 0).unwrap().read_exact(&mut bytes).unwrap();
        assert_lost(&mut source);
        drop(source);
        assert!(read > 10 || begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_drips_is_left() {
    let place = Place::new();
    // In seconds, for a wait of one: 6 until the folder is entered, 10 for a listing, 3 for anything else.
    let cases = [
        (Drip::Greeting, 6, true),
        (Drip::Handshake, 6, true),
        (Drip::Answer("AUTH"), 6, true),
        (Drip::Answer("PBSZ"), 6, true),
        (Drip::Answer("USER"), 6, true),
        (Drip::Answer("PASS"), 6, false),
        (Drip::Answer("TYPE"), 6, true),
        (Drip::Answer("FEAT"), 6, true),
        (Drip::Answer("CWD"), 6, true),
        (Drip::Answer("EPSV"), 10, true),
        (Drip::Answer("MLSD"), 10, true),
        (Drip::DataHandshake, 10, true),
        (Drip::Listing, 10, true),
        (Drip::Answer("MLST"), 3, true),
        (Drip::Answer("RETR"), 3, true),
        (Drip::Download, 3, true),
        (Drip::End, 3, true),
    ];
    std::thread::scope(|scope| {
        for implicit in [false, true] {
            for (what, limit, may_pass) in cases {
                // Implicit TLS is not asked for.
                if !(implicit && matches!(what, Drip::Answer("AUTH"))) {
                    let place = &place;
                    scope.spawn(move || drips(place, what, implicit, limit, may_pass));
                }
            }
        }
    });
}

fn drips(place: &Place, what: Drip, implicit: bool, limit: u64, may_pass: bool) {
    let case = format!("{what:?}, implicit: {implicit}");
    let server = place.faulty(&Faults { implicit, drip: Some(what), ..Faults::default() });
    let tls = if implicit { Tls::Implicit } else { Tls::Explicit };
    let timeout = patience(true);
    let settings = FtpsSettings { tls, timeout, folder: "x".into(), ..place.settings(server.port) };
    let mut begun = Instant::now();
    let outcome = FtpsSource::connect(&settings, &secret(&place.password())).and_then(|mut source| {
        begun = Instant::now();
        if limit == 10 {
            let error = source.list().unwrap_err();
            assert_lost(&mut source);
            return Err(error);
        }
        let mut bytes = Vec::new();
        let outcome = source.open_at("PHDS 2024_07.csv", 0)?.read_to_end(&mut bytes);
        assert_eq!(bytes.len(), 300_000, "{case}");
        assert_lost(&mut source);
        outcome.map_err(|error| inner(&error).clone())
    });
    let (error, took) = (outcome.err().unwrap(), begun.elapsed());
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, may_pass), "{case}: {error}");
    let words = format!("did not finish in {limit} s");
    assert!(error.message().contains(&words), "{case}: {error}");
    let limit = Duration::from_secs(limit);
    assert!(took < limit + Duration::from_secs(3), "{case}: {took:?}");
    // The doctor waits no longer for what comes before a login.
    if let Drip::Greeting | Drip::Handshake | Drip::Answer("AUTH" | "FEAT") = what {
        let last = examine(&settings).pop().unwrap();
        assert!(last.text.contains("did not finish in"), "{case}: {last:?}");
    }
}

#[test]
fn network_trouble_is_told_apart() {
    let place = Place::new();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for tls in [Tls::Explicit, Tls::Implicit] {
        let settings = FtpsSettings { tls, timeout: Duration::from_secs(1), ..place.settings(port) };
        let error = place.refusal(&settings, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, true));
        assert!(error.message().contains(&format!("cannot connect to localhost:{port}")), "{error}");

        let host = "no-such-host.invalid".to_owned();
        let unknown = FtpsSettings { host, timeout: Duration::from_secs(20), ..settings.clone() };
        let error = place.refusal(&unknown, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, true));

        // Accepts and says nothing, as a server of the other kind of TLS does.
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        let settings = FtpsSettings { port: mute.local_addr().unwrap().port(), ..settings };
        let error = place.refusal(&settings, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, true), "{error}");
        assert!(error.message().contains("no answer for 1 s") && error.to_string().contains("tls = "), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    // Explicit where implicit was meant, and the other way round.
    let server = place.faulty(&Faults::default());
    let settings = FtpsSettings { tls: Tls::Implicit, timeout: Duration::from_secs(1), ..place.settings(server.port) };
    let error = place.refusal(&settings, &place.password());
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains("tls = \"explicit\""), "{error}");
    let server = place.faulty(&Faults { implicit: true, ..Faults::default() });
    let settings = FtpsSettings { timeout: Duration::from_secs(1), ..place.settings(server.port) };
    let error = place.refusal(&settings, &place.password());
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains("tls = \"implicit\""), "{error}");
    // Encryption that is cut off while it is set up: after AUTH, and at once.
    for (tls, lines) in [(Tls::Explicit, &["220 ready\r\n", "234 go on\r\n"][..]), (Tls::Implicit, &[])] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = FtpsSettings { tls, ..place.settings(listener.local_addr().unwrap().port()) };
        let server = std::thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            for line in lines {
                socket.write_all(line.as_bytes()).unwrap();
                // AUTH, then the first bytes of TLS.
                assert!(socket.read(&mut [0; 1000]).unwrap() > 0);
            }
        });
        let error = place.refusal(&settings, &place.password());
        server.join().unwrap();
        assert!(error.may_pass() && error.message().contains("broke while setting up encryption"), "{error}");
    }
    // A server that is gone.
    let place = Place::new();
    let server = Server::start(&place, "proftpd");
    let source = place.connect(&place.settings(server.port));
    drop(server);
    assert_eq!(place.refusal(&source_settings(&place, &source), &place.password()).kind(), ErrorKind::Environment);
}
