//! What is listed and downloaded, whatever a server lacks and its files are called.

use super::*;

#[test]
fn what_a_server_lacks_is_done_otherwise() {
    let place = Place::new();
    let dos = b"07-08-24  09:06AM               300000 PHDS 2024_07.csv\r\n07-08-24  09:06AM  0 empty.csv\r\n\
               07-08-24  09:06AM       <DIR>          Accepted\r\n";
    let (posix_form, dos_form) = ("LIST, in lines of the POSIX form", "LIST, in lines of the DOS form");
    let cases: [(Faults, &[&str], &str); 7] = [
        (Faults { unknown: &["MLSD", "MLST"], ..Faults::default() }, &["LIST", "SIZE", "MDTM"], posix_form),
        (Faults { unknown: &["MLST"], ..Faults::default() }, &["MLSD"], "MLSD"),
        (Faults { unknown: &["EPSV"], ..Faults::default() }, &["MLSD", "PASV"], "MLSD"),
        (Faults { unknown: &["EPSV"], lying_pasv: true, ..Faults::default() }, &["PASV"], "MLSD"),
        (Faults { unknown: &["MLSD", "MLST", "SIZE"], ..Faults::default() }, &["LIST", "MDTM"], posix_form),
        (Faults { unknown: &["MLSD", "MLST"], listing: Some(dos), ..Faults::default() }, &["LIST", "SIZE"], dos_form),
        (
            Faults { unknown: &["MLSD", "MLST", "SIZE", "EPSV", "FEAT"], listing: Some(dos), ..Faults::default() },
            &["LIST", "PASV"],
            dos_form,
        ),
    ];
    for (index, (faults, used, form)) in cases.iter().enumerate() {
        let server = place.faulty(faults);
        let mut source = place.connect(&place.settings(server.port));
        let mut files = source.list().unwrap();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
        assert_eq!(shown, [("PHDS 2024_07.csv", 300_000), ("empty.csv", 0)], "{index}");
        for file in &files {
            assert_eq!(file.modified.unwrap().timestamp(), 1_720_429_563, "{index}");
            assert_eq!(source.stat(&file.name).unwrap(), *file, "{index}");
        }
        assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(300_000), "{index}");
        assert!(download(&mut source, "PHDS 2024_07.csv", 70_001) == noise(300_000)[70_001..], "{index}");
        assert!(source.stat("missing.csv").is_err(), "{index}");
        assert_eq!(source.take_notes(), Vec::<String>::new(), "{index}");
        let seen = source.observations();
        let (knows_size, knows_epsv) = (!faults.unknown.contains(&"SIZE"), !faults.unknown.contains(&"EPSV"));
        for (topic, verdict, text) in [
            ("listing", Verdict::Good, *form),
            ("file sizes", if knows_size { Verdict::Good } else { Verdict::Note }, "SIZE is"),
            ("file times", Verdict::Good, "MDTM is known"),
            ("resuming", Verdict::Good, "REST is known"),
            ("passive mode", Verdict::Good, if knows_epsv { "EPSV" } else { "PASV; EPSV is refused" }),
            ("session reuse", Verdict::Good, "data connections resume"),
        ] {
            let (found, words) = observed(&seen, topic).unwrap();
            assert!(found == verdict && words.starts_with(text), "{index}: {topic}: {seen:?}");
        }
        assert_eq!(server.commands().iter().filter(|command| *command == "REST 70001").count(), 1, "{index}");
        for verb in *used {
            assert!(server.count(verb) > 0, "{index}: no {verb} in {:?}", server.commands());
        }
        // What is not there is asked for once.
        for verb in faults.unknown.iter().filter(|verb| !matches!(**verb, "MLST")) {
            assert_eq!(server.count(verb), 1, "{index}: {verb} in {:?}", server.commands());
        }
        for command in server.commands() {
            assert!(READING.contains(&command.split(' ').next().unwrap()), "{command}");
        }
    }
    // Without MDTM there is no time: those of LIST are not to be trusted.
    let server = place.faulty(&Faults { unknown: &["MLSD", "MLST", "MDTM"], ..Faults::default() });
    assert!(place.connect(&place.settings(server.port)).list().unwrap().iter().all(|file| file.modified.is_none()));
    // A listing in no known form is not an empty folder.
    let faults = Faults { unknown: &["MLSD", "MLST"], listing: Some(b"PHDS.CSV;1  12/13\r\n"), ..Faults::default() };
    let server = place.faulty(&faults);
    let error = place.connect(&place.settings(server.port)).list().unwrap_err();
    assert!(error.message().contains("cannot read"), "{error}");
}

#[test]
fn without_rest_there_is_no_middle() {
    let place = Place::new();
    let lie = ("FEAT", "211-Features\r\n REST STREAM\r\n211 End");
    for (faults, sent) in [
        (Faults { unknown: &["REST"], ..Faults::default() }, vec!["REST 0"]),
        (Faults { answers: vec![lie, ("REST", "502 no")], ..Faults::default() }, vec!["REST 10"]),
        (Faults { answers: vec![lie, ("REST", "501 no")], ..Faults::default() }, vec!["REST 10", "REST 10"]),
    ] {
        let server = place.faulty(&faults);
        let mut source = place.connect(&place.settings(server.port));
        for _ in 0..2 {
            let error = source.open_at("PHDS 2024_07.csv", 10).err().unwrap();
            assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, false), "{error}");
            assert!(error.to_string().contains("refuses REST") && error.to_string().contains("beginning"), "{error}");
        }
        let mut commands = server.commands();
        commands.retain(|command| command.starts_with("REST"));
        assert_eq!(commands, sent);
        assert!(download(&mut source, "PHDS 2024_07.csv", 0) == noise(300_000), "the connection is still of use");
    }

    let server = place.faulty(&Faults { ignores_rest: true, ..Faults::default() });
    let mut source = place.connect(&place.settings(server.port));
    let mut bytes = Vec::new();
    let error = source.open_at("PHDS 2024_07.csv", 10).unwrap().read_to_end(&mut bytes).unwrap_err();
    assert!(inner(&error).message().contains("more bytes came") && !inner(&error).may_pass(), "{error}");
    assert_lost(&mut source);
}

#[test]
fn hostile_names_reach_no_command() {
    let place = Place::new();
    let faults = Faults {
        more_facts: b"type=file;size=1; ../up\r\ntype=file;size=1; a\x1b[2J\r\ntype=file;size=1; a\rDELE b\r\n\
                     type=cdir; .\r\ntype=dir; sub\r\ntype=OS.unix=slink:/etc/passwd; link\r\n",
        ..Faults::default()
    };
    let server = place.faulty(&faults);
    let mut source = place.connect(&place.settings(server.port));
    let names: Vec<_> = source.list().unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["PHDS 2024_07.csv", "empty.csv"]);
    let notes = source.take_notes();
    assert!(notes.len() == 1 && notes[0].starts_with("3 files"), "{notes:?}");
    let before = server.commands().len();
    for name in ["", ".", "..", "../x", "folder/x", "a\\b", "a\nb", "a\r\nDELE b", "a\0b"] {
        assert_eq!(source.stat(name).unwrap_err().kind(), ErrorKind::Refused, "{name:?}");
        assert_eq!(source.open_at(name, 0).err().unwrap().kind(), ErrorKind::Refused, "{name:?}");
    }
    assert_eq!(server.commands().len(), before);
}

#[test]
fn names_that_are_not_utf_8_are_shown_and_not_asked_for() {
    let place = Place::new();
    for (faults, link) in [
        (
            Faults {
                more_facts: b"type=file;size=7;modify=20240708090603; PHDS \xe9.csv\r\n\
                              type=OS.unix=slink:/x;size=3; link \xe9\r\ntype=dir; folder \xe9\r\n",
                ..Faults::default()
            },
            true,
        ),
        (
            Faults {
                unknown: &["MLSD", "MLST"],
                listing: Some(
                    b"-rw-r--r-- 1 o g 0 Jul  8 09:06 empty.csv\r\n-rw-r--r-- 1 o g 7 Jul  8 09:06 PHDS \xe9.csv\r\n",
                ),
                ..Faults::default()
            },
            false,
        ),
    ] {
        let server = faulty_with(&place, "Hunter2pass", faults);
        let mut source = FtpsSource::connect(&place.settings(server.port), &secret("Hunter2pass")).unwrap();
        let mut files: Vec<_> = source.list().unwrap().into_iter().map(|file| (file.name, file.size)).collect();
        files.sort();
        assert_eq!(files, [("PHDS \u{fffd}.csv".to_owned(), 7), ("empty.csv".to_owned(), 0)]);
        let notes = source.take_notes();
        // Whether a link leads to a file would have to be asked.
        assert_eq!(notes.len(), usize::from(link), "{notes:?}");
        assert!(!server.commands().iter().any(|command| command.contains("PHDS")), "{:?}", server.commands());
    }
}

#[test]
fn serves_a_subfolder() {
    let place = Place::new();
    std::fs::create_dir(place.path("root/out put")).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(place.path("root/out put"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place.put("out put/a.csv", b"abc");
    let server = Server::start(&place, "proftpd");
    let mut source = place.connect(&FtpsSettings { folder: "out put".into(), ..place.settings(server.port) });
    assert_eq!(source.list().unwrap()[0].name, "a.csv");
    assert_eq!(download(&mut source, "a.csv", 1), b"bc");
    let missing = FtpsSettings { folder: "missing".into(), ..place.settings(server.port) };
    let error = place.refusal(&missing, &place.password());
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.message().contains("cannot enter the folder `missing`"), "{error}");
}
