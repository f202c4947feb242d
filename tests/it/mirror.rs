//! `phds mirror` copies what a server will remove, `phds status` says how things stand, `phds doctor` what stands in the
//! way.

use std::time::Duration;

use chrono::{Days, Local, NaiveDate, Utc};
use phds::demo::server::LoopbackServer;
use phds::fetch::download::download;
use phds::fetch::local::LocalSource;
use phds::fetch::shelf::Shelf;
use phds::fetch::{Link, Retry};
use phds::period::ReportingPeriod;
use phds::progress::Silent;
use phds::status::Status;
use phds::store::Store;

use crate::support::transfer::{PASSWORD, account};
use crate::support::{Month, TestContext};

/// A data exchange account with files of these ages in days, and the account of the monthly file on the same server.
struct Place {
    context: TestContext,
    server: LoopbackServer,
}

impl Place {
    fn new(files: &[(&str, u64)]) -> Self {
        let context = TestContext::new();
        for (name, days) in files {
            let path = context.put(&format!("served/{name}"), format!("content of {name}"));
            let time = std::time::SystemTime::now() - Duration::from_secs(days * 86_400 + 3_600);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        let server = account(&context);
        context.put("known_hosts", server.host_key_line());
        context.put("store/phds-store.json", "{\"store_version\": 1}");
        private(&context, "store", 0o700);
        let account = format!(
            "protocol = \"sftp\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"clinic\"\npassword_file = \"password\"\n\
             known_hosts = \"known_hosts\"\nattempts = 1\n",
            server.port()
        );
        context.put(
            "phds.toml",
            format!(
                "store = \"store\"\n[accounts.exchange]\n{account}mirror_folders = [\"Receive\"]\n\
                 [accounts.phds]\n{account}pattern = \"PHDS_{{YYYY}}_{{MM}}.csv\"\npassword_changed = 2026-08-31\n"
            ),
        );
        Self { context, server }
    }

    fn copies(&self) -> Vec<String> {
        let names = self.context.tree().into_iter();
        names.filter_map(|name| name.strip_prefix("store/mirror/exchange/").map(str::to_owned)).collect()
    }
}

#[cfg(unix)]
fn private(context: &TestContext, name: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(context.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn private(_context: &TestContext, _name: &str, _mode: u32) {}

#[test]
fn new_files_of_other_folders_are_copied_once() {
    let place = Place::new(&[("Receive/a.txt", 1), ("Receive/b.txt", 80), ("DQA-Reports/2026/q.csv", 5)]);
    let run = |arguments: &str| place.context.phds(&format!("mirror --account exchange {arguments}")).done().text();
    assert_eq!(
        run("--folder Receive --folder DQA-Reports/2026"),
        "Receive: 2 files, 2 copied now, 0 not copied, in store/mirror/exchange/Receive\n\
         DQA-Reports/2026: 1 file, 1 copied now, 0 not copied, in store/mirror/exchange/DQA-Reports/2026\n"
    );
    let before = place.server.requests().iter().filter(|request| *request == "open-read").count();
    assert_eq!(before, 3);
    // The folder of the settings; one file is gone there, one is new, one has changed.
    std::fs::remove_file(place.context.path("served/Receive/a.txt")).unwrap();
    for name in ["b.txt", "c.txt"] {
        let path = place.context.put(&format!("served/Receive/{name}"), "new");
        let time = std::time::SystemTime::now() - Duration::from_hours(1);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(run(""), "Receive: 2 files, 2 copied now, 0 not copied, in store/mirror/exchange/Receive\n");
    assert_eq!(run(""), "Receive: 2 files, 0 copied now, 0 not copied, in store/mirror/exchange/Receive\n");
    let opened = place.server.requests().iter().filter(|request| *request == "open-read").count();
    assert_eq!(opened - before, 2);
    let name = format!("b.{}.txt", &phds::fs::sha256_hex(b"new")[..8]);
    let (changed, receipt) = (format!("Receive/{name}"), format!("Receive/{name}.receipt.json"));
    let expected = [
        "Receive/.listing.json",
        "Receive/a.txt",
        &changed,
        &receipt,
        "Receive/b.txt",
        "Receive/b.txt.receipt.json",
        "Receive/c.txt",
        "Receive/c.txt.receipt.json",
        "Receive/receipt.json",
    ];
    let mut copies = place.copies();
    copies.retain(|copy| copy.starts_with("Receive/") && copy.len() > "Receive/".len());
    assert_eq!(copies, expected);
    assert_eq!(place.context.read("store/mirror/exchange/Receive/b.txt"), b"content of Receive/b.txt");
    for request in place.server.requests() {
        let reads = ["init", "opendir", "readdir", "stat", "open-read", "read", "close"];
        assert!(reads.contains(&request.as_str()), "{request}");
    }
}

#[test]
#[cfg_attr(windows, ignore = "names that no file has there")]
fn what_is_not_copied_is_told() {
    let place = Place::new(&[("Receive/good.txt", 1), ("Receive/NUL.txt", 1), ("Receive/young.txt", 1)]);
    std::fs::File::options()
        .write(true)
        .open(place.context.path("served/Receive/young.txt"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    let outcome = place.context.phds("mirror --account exchange").ended(1);
    assert_eq!(
        outcome.text(),
        "Receive: 3 files, 1 copied now, 1 not copied, 1 left for the next time, in store/mirror/exchange/Receive\n"
    );
    insta::assert_snapshot!(place.context.filtered(&outcome.stderr.replace("fetch    good", "fetch good")), @r"
    warning: `NUL.txt` is not safe as the name of a file here
    fetch good.txt, 27 bytes, SHA-256 [HASH]
    note: `young.txt` may still be growing: it is left for the next time
    error: 1 file could not be copied; the warnings say why

    hint: what is not copied is lost when the server removes it
    ");
    // What is left for the next time is nothing to be alarmed about.
    std::fs::remove_file(place.context.path("served/Receive/NUL.txt")).unwrap();
    assert!(place.context.phds("mirror --account exchange -q").done().stderr.is_empty());
    for (arguments, code) in [
        ("--folder ..", 2),
        ("--folder missing", 2),
        ("--folder Receive --folder ./Receive", 2),
        // The copies there are of a folder with another name.
        ("--folder /Receive", 2),
    ] {
        place.context.phds(&format!("mirror --account exchange {arguments}")).ended(code);
    }
    assert!(place.context.phds("mirror --account phds").ended(2).stderr.contains("no folder is named"));
    assert!(place.context.phds("mirror --account other").ended(2).stderr.contains("the settings have: exchange, phds"));
    assert!(place.context.phds("fetch --account exchange").ended(2).stderr.contains("has no `pattern`"));
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn a_file_is_late_from_the_day_after_the_second_monday() {
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    let store = Store::open(&context.path("store")).unwrap();
    // December 2024 is loaded; January is due on Monday, 10 February 2025.
    for (today, late) in [("2025-01-31", 0), ("2025-02-10", 0), ("2025-02-11", 1), ("2025-03-10", 28)] {
        let status = Status::of(&store, Vec::new(), day(today)).unwrap();
        assert_eq!(status.next.reporting_period, "2025-01".parse::<ReportingPeriod>().unwrap());
        assert_eq!((status.next.due, status.next.days_late), (day("2025-02-10"), late), "{today}");
        assert_eq!(status.attention.iter().any(|line| line.contains("late")), late > 0, "{today}");
    }
    // Without any month, the newest that is due: on 13 January 2025 that is December.
    std::fs::create_dir(context.path("empty")).unwrap();
    let empty = Store::open_or_create(&context.path("empty")).unwrap();
    for (today, next, late) in
        [("2025-01-12", "2024-11", 34), ("2025-01-13", "2024-12", 0), ("2025-01-14", "2024-12", 1)]
    {
        let status = Status::of(&empty, Vec::new(), day(today)).unwrap();
        assert_eq!((status.next.reporting_period.to_string().as_str(), status.next.days_late), (next, late), "{today}");
    }
}

#[test]
fn months_that_were_left_out_and_a_new_dictionary_need_attention() {
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    for (period, vaccination) in [("2024-09", "2024-07-01"), ("2025-01", "2024-07-02")] {
        context.put("month.csv", Month::of(&format!("VACCINATION DATE\n{vaccination}")).bytes());
        context.phds(&format!("load month.csv --period {period} --store store")).done();
    }
    let attention = || {
        let store = Store::open(&context.path("store")).unwrap();
        Status::of(&store, Vec::new(), day("2025-02-01")).unwrap().attention
    };
    let gap = "2024-10 to 2024-11 are not here: phds load --period 2024-10, if the account still has it";
    assert_eq!(attention(), [gap]);
    // What a fetch that failed leaves is no month.
    std::fs::create_dir(context.path("store/deliveries/2024-10")).unwrap();
    assert_eq!(attention(), [gap]);

    let shelf = |name: &str| {
        let file = context.put(&format!("from/{name}"), name);
        let mut link = Link::new(|| Ok(Box::new(LocalSource::new(&context.path("from")))), Retry::default(), &Silent);
        let file = link.run(|source| source.stat(file.file_name().unwrap().to_str().unwrap())).unwrap();
        let mut shelf = Shelf::open(&context.path("store/dictionaries")).unwrap();
        download(&mut link, &file, None, &mut shelf, &Silent).unwrap();
    };
    // Times of loads are told to the second.
    std::thread::sleep(Duration::from_millis(1_100));
    shelf("dictionary.xlsx");
    assert_eq!(attention().len(), 1, "the first one");
    shelf("dictionary 2.xlsx");
    assert!(attention()[1].starts_with("a data dictionary came on "), "{:?}", attention());
    std::thread::sleep(Duration::from_millis(1_100));
    context.phds("load month.csv --period 2025-01 --store store").done();
    assert_eq!(attention().len(), 1, "loaded since");
}

#[test]
fn an_older_file_that_somebody_names_is_meant_until_a_still_later_one_comes() {
    let context = TestContext::new();
    let store = || Store::open(&context.path("store")).unwrap();
    let attention = || Status::of(&store(), Vec::new(), day("2025-01-20")).unwrap().attention;
    let load = |name: &str| context.phds(&format!("load {name} --period 2024-12 --store store"));
    for (name, clients) in [("first.csv", "1"), ("second.csv", "1\n2"), ("third.csv", "1\n2\n3")] {
        context.put(name, Month::of(&format!("CLIENT ID\n{clients}")).bytes());
    }
    load("first.csv").done();
    let said = load("second.csv").done().stderr;
    assert!(!said.contains("came later"), "{said}");
    let again = || context.phds("load --again --store store").done();
    let left = "came later and is left for this file, until a still later one comes";
    let said = load("first.csv").done().stderr;
    assert!(said.contains(&format!("`second.csv` of 2024-12 {left}")), "{said}");
    for _ in 0..2 {
        assert_eq!(attention(), Vec::<String>::new());
        again();
    }

    // One that comes is not loaded by that, and not left either.
    let period = "2024-12".parse().unwrap();
    let mut link = Link::new(|| Ok(Box::new(LocalSource::new(&context.path("")))), Retry::default(), &Silent);
    let third = link.run(|source| source.stat("third.csv")).unwrap();
    phds::fetch::fetch(&mut link, &third, period, &store().deliveries(period), &Silent).unwrap();
    for _ in 0..2 {
        let lines = attention();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("the file that came last, `third.csv`, is not the one that is loaded"), "{lines:?}");
        again();
    }
    load("first.csv").done();
    assert_eq!(attention(), Vec::<String>::new());
    let sha256 = |name: &str| phds::fs::sha256_hex(&context.read(name));
    let chosen_over = serde_json::json!([sha256("second.csv"), sha256("third.csv")]);
    assert_eq!(context.json("store/partitions/2024-12/manifest.json")["chosen_over"], chosen_over);

    // So is one that was refused.
    context.put("bad.csv", Month::of("VACCINATION DATE\n1999-13-01").bytes());
    load("bad.csv").ended(1);
    assert!(attention()[0].starts_with("the file of 2024-12 was refused"), "{:?}", attention());
    load("first.csv").done();
    assert_eq!(attention(), Vec::<String>::new());
    load("third.csv").done();
    assert_eq!(attention(), Vec::<String>::new());
}

#[test]
fn an_old_newest_file_needs_attention_after_40_days() {
    let context = TestContext::new();
    let month = context.put("month.csv", Month::of("CLIENT ID\n1").bytes());
    let time = chrono::DateTime::parse_from_rfc3339("2025-01-10T12:00:00Z").unwrap();
    std::fs::File::options().write(true).open(month).unwrap().set_modified(time.into()).unwrap();
    context.phds("load month.csv --period 2024-12 --store store").done();
    let store = Store::open(&context.path("store")).unwrap();
    for (today, days, is_old) in [("2025-02-19", 40, false), ("2025-02-20", 41, true)] {
        let status = Status::of(&store, Vec::new(), day(today)).unwrap();
        assert_eq!(status.newest_file_days, Some(days));
        assert_eq!(status.attention.contains(&format!("the newest file is {days} days old")), is_old);
    }
}

#[test]
#[cfg_attr(windows, ignore = "names that no file has there")]
fn status_tells_what_is_here_and_what_will_be_lost() {
    let place = Place::new(&[("Receive/old.txt", 89), ("Receive/NUL.txt", 61), ("Receive/new.txt", 1)]);
    place.context.put("month.csv", Month::of("VACCINATION DATE\n2024-07-01\n1999-13-01").bytes());
    place.context.put("loose.toml", "store = \"store\"\n[check]\nmax_rejected_share = 0.6\n");
    place.context.phds("--config loose.toml load month.csv --period 2024-12").done();
    place.context.phds("mirror --account exchange").ended(1);

    let status = place.context.phds("status --json").done();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let today = Local::now().date_naive();
    assert_eq!(status["months"][0]["loaded"]["rows"], serde_json::json!({ "read": 2, "accepted": 1, "rejected": 1 }));
    assert_eq!(status["months"][0]["fetched"][0]["file_name"], "month.csv");
    assert_eq!(status["accounts"][1]["password_days"], (today - day("2026-08-31")).num_days());
    assert_eq!(status["accounts"][0]["password_days"], serde_json::Value::Null);
    let mirror = &status["mirrors"][0];
    // 89 and 61 days old, of which 90 are over within 30 days; the one of 61 days is not copied.
    assert_eq!([&mirror["files"], &mirror["not_copied"], &mirror["purged_soon"]], [3, 1, 2]);
    let changed = (Utc::now() - chrono::TimeDelta::seconds(61 * 86_400 + 3_600)).date_naive();
    assert_eq!(mirror["first_loss"], (changed + Days::new(90)).to_string());

    let told = place.context.phds("status").done().text();
    assert!(told.contains("2024-12  fetched "), "{told}");
    assert!(told.contains(", 2 rows = 1 accepted + 1 rejected\n"), "{told}");
    assert!(told.contains("next: 2025-01, due 2025-02-10, "), "{told}");
    assert!(told.contains("account phds: password changed 2026-08-31, "), "{told}");
    assert!(told.contains("exchange Receive: 3 files on "), "{told}");
    assert!(told.contains("- 1 file of Receive not copied, lost from "), "{told}");
    place.context.phds("status --check").ended(1);
    // Fetched again with other content, and not loaded.
    place.context.put("served/PHDS_2024_12.csv", Month::of("CLIENT ID\n1\n2").bytes());
    place.context.phds("fetch --account phds --min-age 0").done();
    let told = place.context.phds("status").done().text();
    assert!(told.contains("the file that came last, `PHDS_2024_12.csv`, is not the one that is loaded"), "{told}");
}

#[test]
#[cfg_attr(windows, ignore = "there are no modes")]
fn doctor_sees_what_is_well_and_what_stands_in_the_way() {
    let place = Place::new(&[("PHDS_2024_12.csv", 3), ("test.txt", 9)]);
    let doctor = |arguments: &str, code: i32| {
        let outcome = place.context.phds(&format!("doctor --account phds {arguments}")).ended(code);
        assert!(!outcome.text().contains(PASSWORD) && !outcome.stderr.contains(PASSWORD));
        outcome.text()
    };
    let verdicts = |arguments: &str, code: i32| -> Vec<(String, String)> {
        let seen: serde_json::Value = serde_json::from_str(&doctor(&format!("--json {arguments}"), code)).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let seen = seen["observations"].as_array().unwrap().clone();
        seen.iter().map(|one| (text(&one["topic"]), text(&one["verdict"]))).collect()
    };
    let of = |seen: &[(String, String)], topic: &str| {
        seen.iter().find(|(other, _)| other == topic).map(|(_, verdict)| verdict.clone())
    };
    let seen = verdicts("", 0);
    for topic in ["account", "host key", "login", "folder", "deliveries", "clock", "read from the middle", "store"] {
        assert_eq!(of(&seen, topic).as_deref(), Some("good"), "{topic}: {seen:?}");
    }
    assert!(!seen.iter().any(|(_, verdict)| verdict == "problem"), "{seen:?}");
    let told = doctor("", 0);
    assert!(told.contains("2 files\n") && told.contains("1; the newest is of 2024-12\n"), "{told}");
    assert!(place.server.requests().iter().all(|request| request != "open-write"));

    let attempts = place.server.login_attempts();
    assert_eq!(of(&verdicts("--no-login", 0), "login").as_deref(), Some("unknown"));
    place.context.put("known_hosts", "");
    let seen = verdicts("", 1);
    assert_eq!(of(&seen, "host key").as_deref(), Some("problem"), "{seen:?}");
    assert_eq!(of(&seen, "login").as_deref(), Some("unknown"));
    assert_eq!(place.server.login_attempts(), attempts, "no login without a trusted key");

    place.context.put("known_hosts", place.server.host_key_line());
    place.context.put("password", "wrong");
    assert_eq!(of(&verdicts("", 1), "login").as_deref(), Some("problem"));
    place.context.put("password", PASSWORD);
    private(&place.context, "password", 0o644);
    assert_eq!(of(&verdicts("", 1), "proof").as_deref(), Some("problem"));
    // That needs neither login nor line.
    assert_eq!(of(&verdicts("--no-login", 1), "proof").as_deref(), Some("problem"));
    private(&place.context, "password", 0o600);
    #[cfg(unix)]
    {
        private(&place.context, "store", 0o755);
        assert_eq!(of(&verdicts("", 1), "store permissions").as_deref(), Some("problem"));
    }
}
