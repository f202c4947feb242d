//! What is listed and downloaded, and that nothing else is asked of the server.

use super::*;

#[test]
fn lists_plain_files_only() {
    let place = Place::new();
    place.put("PHDS 2026_11.csv", b"12345");
    place.put("empty.csv", b"");
    for index in 0..150 {
        place.put(&format!("many-{index}"), b"1");
    }
    std::fs::create_dir(place.served.join("folder")).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::File::options()
        .write(true)
        .open(place.served.join("PHDS 2026_11.csv"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    #[cfg(target_os = "linux")]
    {
        std::os::unix::fs::symlink("PHDS 2026_11.csv", place.served.join("link.csv")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.served.join("dangling.csv")).unwrap();
    }
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();

    let mut files = source.list().unwrap();
    files.retain(|file| !file.name.starts_with("many-"));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
    let expected = [("PHDS 2026_11.csv", 5), ("empty.csv", 0), ("link.csv", 5)];
    assert_eq!(shown, if cfg!(target_os = "linux") { &expected[..] } else { &expected[..2] });
    assert!(source.take_notes().is_empty());
    assert_eq!(files[0].modified.unwrap().timestamp(), 1_700_000_000);
    assert_eq!(source.list().unwrap().iter().filter(|file| file.name.starts_with("many-")).count(), 150);

    assert_eq!(source.stat("PHDS 2026_11.csv").unwrap(), files[0]);
    assert_eq!(source.stat("missing.csv").unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(source.stat("folder").unwrap_err().kind(), ErrorKind::Refused);
    for name in ["", ".", "..", "../x", "folder/x", "a\\b", "a\nb", "a\0b"] {
        assert_eq!(source.stat(name).unwrap_err().kind(), ErrorKind::Refused, "{name:?}");
        assert_eq!(source.open_at(name, 0).err().unwrap().kind(), ErrorKind::Refused, "{name:?}");
    }
}

/// Names that only some systems let a file have.
#[cfg(target_os = "linux")]
#[test]
fn unfit_names_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.put("good.csv", b"12");
    for (name, content) in [(&b"bad\xff.csv"[..], "123"), (b"a\\b.csv", "x"), (b"a\x1b[31m.csv", "x")] {
        std::fs::write(place.served.join(std::ffi::OsStr::from_bytes(name)), content).unwrap();
    }
    std::fs::create_dir(place.served.join("not\\a file")).unwrap();
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    let mut files: Vec<_> = source.list().unwrap().into_iter().map(|file| (file.name, file.size)).collect();
    files.sort();
    assert_eq!(files, [("bad\u{fffd}.csv".into(), 3), ("good.csv".into(), 2)]);
    let address = source.origin().server;
    let notes = [
        format!("1 files on {address} have names that are not UTF-8 and cannot be fetched"),
        format!("2 files on {address} have names that are not safe and were left out"),
    ];
    assert_eq!(source.take_notes(), notes);
    let before = server.requests();
    assert_eq!(source.stat("bad\u{fffd}.csv").unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(source.open_at("bad\u{fffd}.csv", 0).err().unwrap().kind(), ErrorKind::Refused);
    assert_eq!(server.requests(), before, "nothing is asked about it");
}

#[test]
fn a_listing_without_an_end_is_an_error() {
    let place = Place::new();
    let invents = |names, bytes| Quirk::Invents { names, bytes };
    // What the server does, the timeout in milliseconds, whether it may pass, and a part of the error.
    for (quirk, timeout, may_pass, part) in [
        (invents(usize::MAX, 4000), 20_000, false, "32 MiB"),
        (invents(200_001, 1), 20_000, false, "200000 names"),
        (Quirk::ListsNothing, 200, true, "no end of it after 2 s"),
    ] {
        let server = place.serve(&LoginOptions { quirk: Some(quirk), ..LoginOptions::default() });
        let settings = SftpSettings { timeout: Duration::from_millis(timeout), ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        let error = source.list().unwrap_err();
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, may_pass), "{error}");
        assert!(error.message().contains(part), "{error}");
    }
    let server = place.serve(&LoginOptions { quirk: Some(invents(200_000, 1)), ..LoginOptions::default() });
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    assert_eq!(source.list().unwrap().len(), 200_000);
}

#[test]
fn downloads_every_byte_from_any_offset() {
    let place = Place::new();
    let sizes = [0, 1, 64 * 1024 + 1, 50_000_000];
    for size in sizes {
        place.put(&size.to_string(), &noise(size));
    }
    let server = place.serve(&LoginOptions::default());
    for max_reads in [1, 64] {
        let settings = SftpSettings { max_reads, ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        for size in sizes {
            assert!(download(&mut source, &size.to_string(), 0) == noise(size), "{size} bytes, {max_reads} reads");
        }
        for offset in [0, 1, 65_535, 65_536, 65_537, 70_000, u64::from(u32::MAX) + 1] {
            let expected = noise(65_537).get(usize::try_from(offset).unwrap()..).unwrap_or_default().to_vec();
            assert!(download(&mut source, "65537", offset) == expected, "from {offset}");
        }
        assert!(download(&mut source, "50000000", 49_000_123) == noise(50_000_000)[49_000_123..]);
    }
    let error =
        SftpSource::connect(&place.settings(server.port()), &password()).unwrap().open_at("missing", 0).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.message().contains("no such file"), "{error}");
}

#[test]
fn serves_a_subfolder() {
    let place = Place::new();
    std::fs::create_dir(place.served.join("out")).unwrap();
    place.put("out/a.csv", b"abc");
    let server = place.serve(&LoginOptions::default());
    for folder in ["out", "/out", "out/", "./out"] {
        let settings = SftpSettings { folder: folder.into(), ..place.settings(server.port()) };
        let mut source = SftpSource::connect(&settings, &password()).unwrap();
        assert_eq!(source.list().unwrap()[0].name, "a.csv");
        assert_eq!(download(&mut source, "a.csv", 1), b"bc");
    }
    let settings = SftpSettings { folder: "missing".into(), ..place.settings(server.port()) };
    let error = SftpSource::connect(&settings, &password()).unwrap().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn only_ever_reads() {
    let place = Place::new();
    place.put("a.csv", &noise(1_000_000));
    let server = place.serve(&LoginOptions::default());
    let mut source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    source.list().unwrap();
    source.stat("a.csv").unwrap();
    download(&mut source, "a.csv", 10);
    // Given up in the middle.
    let mut start = [0; 10];
    source.open_at("a.csv", 0).unwrap().read_exact(&mut start).unwrap();
    source.stat("a.csv").unwrap();
    drop(source);
    let requests = server.requests();
    let allowed = ["init", "opendir", "readdir", "stat", "open-read", "read", "close"];
    for request in &requests {
        assert!(allowed.contains(&request.as_str()), "{requests:?}");
    }
    for request in allowed {
        assert!(requests.iter().any(|name| name == request), "no {request} in {requests:?}");
    }
    let count = |name: &str| requests.iter().filter(|request| *request == name).count();
    assert_eq!(count("close"), count("open-read") + count("opendir"), "{requests:?}");
}

#[test]
fn tells_where_it_comes_from() {
    let place = Place::new();
    let server = place.serve(&LoginOptions::default());
    let source = SftpSource::connect(&place.settings(server.port()), &password()).unwrap();
    let origin = source.origin();
    assert_eq!(origin.protocol, "sftp");
    assert_eq!(origin.server, format!("127.0.0.1:{}", server.port()));
    assert_eq!(origin.server_identity, server.host_key_fingerprint());
    assert!(!format!("{source:?} {server:?}").contains(PASSWORD));
}
