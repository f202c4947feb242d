//! Passwords: tried once, and shown nowhere.

use super::*;

#[test]
fn a_wrong_login_is_tried_once() {
    let place = Place::new();
    let server = place.faulty(&Faults::default());
    let error = place.refusal(&place.settings(server.port), "wrong-password");
    assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Credentials, false));
    assert!(error.message().contains("refused the password of `phds-test`"), "{error}");
    assert_eq!((server.count("USER"), server.count("PASS")), (1, 1));

    // An answer, or none, that may be one to the password is final.
    for (verb, answer, kind, may_pass) in [
        ("PASS", "530 no", Credentials, false),
        ("PASS", "430 no", Credentials, false),
        ("PASS", "332 account", Credentials, false),
        ("PASS", "421 too many", Environment, false),
        ("PASS", "450 later", Environment, false),
        ("PASS", HANG_UP, Environment, false),
        ("PASS", SILENCE, Environment, false),
        ("USER", "530 no", Credentials, false),
        ("USER", "421 too many", Environment, true),
        ("USER", HANG_UP, Environment, true),
    ] {
        let server = place.faulty(&Faults { answers: vec![(verb, answer)], ..Faults::default() });
        let settings = FtpsSettings { timeout: patience(answer == SILENCE), ..place.settings(server.port) };
        let error = place.refusal(&settings, &place.password());
        assert_eq!((error.kind(), error.may_pass()), (kind, may_pass), "{verb} {answer}: {error}");
        assert_eq!((server.count("USER"), server.count("PASS")), (1, usize::from(verb == "PASS")));
    }
}

#[test]
fn a_password_that_the_server_repeats_is_hidden() {
    let place = Place::new();
    // A password of four letters or more is hidden in the words of the server; for a shorter one all of them are.
    for (password, words) in [("Hunter2pass", " (you sent (hidden) and (hidden))"), ("abc", "")] {
        let failed = |verb: &'static str, code: &str| {
            let answer: &'static str = format!("{code} you sent {{password}} and {{PASSWORD}}").leak();
            let faults = Faults { answers: vec![(verb, answer)], ..Faults::default() };
            let server = faulty_with(&place, password, faults);
            let settings = FtpsSettings { folder: "x".into(), ..place.settings(server.port) };
            FtpsSource::connect(&settings, &secret(password))
                .and_then(|mut source| {
                    source.list()?;
                    source.stat("empty.csv")?;
                    source.open_at("empty.csv", 0).map(|_| ())
                })
                .unwrap_err()
        };
        for (verb, code) in [
            ("AUTH", "534"),
            ("PROT", "534"),
            ("USER", "530"),
            ("PASS", "530"),
            ("TYPE", "504"),
            ("CWD", "550"),
            ("EPSV", "421"),
            ("MLSD", "550"),
            ("MLST", "451"),
            ("MLST", "530"),
            ("RETR", "550"),
            ("RETR", "425"),
        ] {
            let error = failed(verb, code);
            let shown = format!("{error} {error:?}").to_lowercase();
            assert!(!shown.contains(&password.to_lowercase()), "{verb} {code}: {error}");
            assert!(words.is_empty() || error.message().contains(words), "{verb} {code}: {error}");
            assert!(!shown.contains("you sent") || !words.is_empty(), "{verb} {code}: {error}");
        }
        let faults = Faults {
            answers: vec![("FEAT", "211-Features\r\n X-{password}\r\n SIZE\r\n211 End")],
            more_facts: b"type=file;size=1; see {PASSWORD}.csv\r\n",
            ..Faults::default()
        };
        let server = faulty_with(&place, password, faults);
        let mut source = FtpsSource::connect(&place.settings(server.port), &secret(password)).unwrap();
        let names: Vec<_> = source.list().unwrap().into_iter().map(|file| file.name).collect();
        let seen = source.observations();
        let features = observed(&seen, "features").unwrap().1;
        let notes = source.take_notes();
        if words.is_empty() {
            // Three letters stand in many names.
            assert_eq!((features, notes.len()), ("none to show", 0));
            assert_eq!(names, ["empty.csv", "see ABC.csv"]);
        } else {
            assert_eq!(features, "X-(hidden), SIZE");
            assert_eq!(names, ["empty.csv"]);
            assert!(notes.len() == 1 && notes[0].starts_with("1 files"), "{notes:?}");
            let shown = format!("{seen:?} {notes:?} {source:?}").to_lowercase();
            assert!(!shown.contains(&password.to_lowercase()), "{shown}");
        }
    }
    // What was learnt at one login can be said before the next one.
    let greeting = Some("421 {password} was here already");
    let server = faulty_with(&place, "Hunter2pass", Faults { greeting, ..Faults::default() });
    let error = FtpsSource::connect(&place.settings(server.port), &secret("Hunter2pass")).unwrap_err();
    assert!(error.message().ends_with("turned us away: 421 ((hidden) was here already)"), "{error}");
}
