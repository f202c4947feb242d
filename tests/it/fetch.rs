//! `phds fetch` and `phds load` with settings, a password file and a server of their own.

#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};

use chrono::Local;
use phds::demo::server::LoopbackServer;
use phds::period::ReportingPeriod;
use serde_json::json;

use crate::support::transfer::{PASSWORD, account};
use crate::support::{Month, TestContext, servers};

/// A store to be, and a server of the folder `served`.
struct Place {
    context: TestContext,
    server: LoopbackServer,
}

impl Place {
    fn new() -> Self {
        let context = TestContext::new();
        for name in ["PHDS_2024_10.csv", "PHDS_2024_11.csv", "phds_2024_12.CSV", "PHDS_2025_01.csv.part", "readme.txt"]
        {
            // Another content for each name, and the same time: only the name tells the newest.
            let path = context.put(&format!("served/{name}"), Month::of(&format!("PROVIDER NAME\n{name}")).bytes());
            std::fs::File::open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let server = account(&context);
        context.put("known_hosts", server.host_key_line());
        context.put(
            "phds.toml",
            format!(
                "store = \"store\"\n[accounts.phds]\nprotocol = \"sftp\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"clinic\"\n\
                 pattern = \"PHDS_{{YYYY}}_{{MM}}*.csv\"\npassword_file = \"password\"\nknown_hosts = \"known_hosts\"\n\
                 min_age_seconds = 0\n",
                server.port()
            ),
        );
        Self { context, server }
    }

    /// Names of the files of a month's delivery.
    fn delivered(&self, period: &str) -> Vec<String> {
        let folder = format!("store/deliveries/{period}/");
        let names = self.context.tree().into_iter();
        names.filter_map(|name| name.strip_prefix(&folder).map(str::to_owned)).filter(|name| !name.is_empty()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let reads = ["init", "opendir", "readdir", "stat", "lstat", "fstat", "realpath", "open-read", "read", "close"];
        for request in self.server.requests() {
            assert!(reads.contains(&request.as_str()) || request.starts_with("extended limits"), "{request}");
        }
    }
}

#[test]
fn the_newest_by_its_name_comes_whole_with_a_receipt() {
    let place = Place::new();
    let outcome = place.context.phds("fetch").done();
    assert_eq!(outcome.text(), "store/deliveries/2024-12/phds_2024_12.CSV\n");
    assert_eq!(place.delivered("2024-12"), ["phds_2024_12.CSV", "receipt.json"]);
    let bytes = place.context.read("served/phds_2024_12.CSV");
    assert_eq!(place.context.read("store/deliveries/2024-12/phds_2024_12.CSV"), bytes);

    let receipt = place.context.json("store/deliveries/2024-12/receipt.json");
    assert_eq!(receipt["schema_version"], 2);
    assert_eq!(receipt["remote"]["name"], "phds_2024_12.CSV");
    assert_eq!(receipt["remote"]["modified"], "1970-01-01T00:00:00Z");
    assert_eq!(receipt["reporting_period"], "2024-12");
    assert_eq!(
        receipt["origin"],
        json!({
            "protocol": "sftp",
            "server": format!("127.0.0.1:{}", place.server.port()),
            "user": "clinic",
            "folder": ".",
            "server_identity": place.server.host_key_fingerprint(),
        })
    );
    let sha256 = phds::fs::sha256_hex(&bytes);
    assert_eq!(receipt["delivery"], json!({ "file_name": "phds_2024_12.CSV", "bytes": bytes.len(), "sha256": sha256 }));
    assert!(!receipt.to_string().contains(PASSWORD) && !outcome.stderr.contains(PASSWORD));
}

#[test]
fn one_month_on_request() {
    let place = Place::new();
    place.context.phds("fetch --period 2024-10").done();
    assert_eq!(place.delivered("2024-10"), ["PHDS_2024_10.csv", "receipt.json"]);
    let outcome = place.context.phds("fetch --period 2024-09").ended(1);
    insta::assert_snapshot!(place.context.filtered(&outcome.stderr), @r"
    error: none of the 5 files of the folder is a delivery of 2024-09 by the pattern `PHDS_{YYYY}_{MM}*.csv`

    hint: `phds fetch --list` shows what is there; set `pattern` of the account in phds.toml
    ");
    assert!(place.delivered("2024-09").is_empty());
}

#[test]
fn a_listing_fetches_nothing() {
    let place = Place::new();
    let outcome = place.context.phds("fetch --list").done();
    insta::assert_snapshot!(place.context.filtered(&outcome.text()), @r"
    579  [TIME]  phds_2024_12.CSV       2024-12, would be taken
    579  [TIME]  PHDS_2024_11.csv       2024-11, not the newest
    579  [TIME]  PHDS_2024_10.csv       2024-10, not the newest
    573  [TIME]  readme.txt             no delivery by the pattern
    584  [TIME]  PHDS_2025_01.csv.part  still being written, by its name
    ");
    assert!(!place.server.requests().iter().any(|request| request == "open-read"));
    assert!(!place.context.path("store").exists());
}

#[test]
fn a_second_run_finds_the_same_content() {
    let place = Place::new();
    place.context.phds("fetch").done();
    let outcome = place.context.phds("fetch").done();
    assert_eq!(outcome.text(), "store/deliveries/2024-12/phds_2024_12.CSV\n");
    assert!(outcome.stderr.contains("is already here, the same as at its source"), "{}", outcome.stderr);
    assert_eq!(place.delivered("2024-12"), ["phds_2024_12.CSV", "receipt.json"]);
}

#[test]
fn other_content_under_the_same_name_keeps_both() {
    let place = Place::new();
    place.context.phds("fetch").done();
    let first = place.context.read("served/phds_2024_12.CSV");
    let corrected = Month::of("PROVIDER NAME\ncorrected").bytes().to_vec();
    place.context.put("served/phds_2024_12.CSV", &corrected);
    let sha256 = phds::fs::sha256_hex(&corrected);
    let name = format!("phds_2024_12.{}.CSV", &sha256[..8]);
    for _ in 0..2 {
        let outcome = place.context.phds("fetch").done();
        assert_eq!(outcome.text(), format!("store/deliveries/2024-12/{name}\n"));
        let receipt = format!("{name}.receipt.json");
        assert_eq!(place.delivered("2024-12"), [name.as_str(), &receipt, "phds_2024_12.CSV", "receipt.json"]);
        assert_eq!(place.context.read(&format!("store/deliveries/2024-12/{name}")), corrected);
        assert_eq!(place.context.read("store/deliveries/2024-12/phds_2024_12.CSV"), first);
        let hash = |receipt: &str| {
            place.context.json(&format!("store/deliveries/2024-12/{receipt}"))["delivery"]["sha256"].clone()
        };
        assert_eq!([hash(&receipt), hash("receipt.json")], [json!(sha256), json!(phds::fs::sha256_hex(&first))]);
    }
}

#[test]
fn a_file_of_the_store_that_is_loaded_by_its_name_keeps_its_receipt() {
    let place = Place::new();
    let receipt = |name: &str| place.context.json(&format!("store/deliveries/2024-12/{name}"));
    place.context.phds("fetch").done();
    let first = receipt("receipt.json");
    let corrected = Month::of("PROVIDER NAME\ncorrected").bytes().to_vec();
    place.context.put("served/phds_2024_12.CSV", &corrected);
    let later = place.context.phds("fetch").done().text();
    let later = later.trim().strip_prefix("store/deliveries/2024-12/").unwrap();
    let before = receipt(&format!("{later}.receipt.json"));
    // The same bytes elsewhere on this machine tell no more.
    std::fs::copy(
        place.context.path("store/deliveries/2024-12/phds_2024_12.CSV"),
        place.context.path("phds_2024_12.CSV"),
    )
    .unwrap();
    for file in ["store/deliveries/2024-12/phds_2024_12.CSV", "phds_2024_12.CSV"] {
        let said = place.context.phds(&format!("load {file} --period 2024-12")).done().stderr;
        assert!(said.contains(&format!("`{later}` of 2024-12 came later and is left for this file")), "{said}");
        assert_eq!([&receipt("receipt.json"), &receipt(&format!("{later}.receipt.json"))], [&first, &before]);
        assert_eq!(place.delivered("2024-12").len(), 4);
        let status = place.context.phds("status").done().text();
        assert!(!status.contains("is not the one that is loaded"), "{status}");
    }
    // A file that was taken from this machine gets the receipt of the server once it comes from there.
    place.context.put("PHDS_2024_11.csv", place.context.read("served/PHDS_2024_11.csv"));
    let origin = || place.context.json("store/deliveries/2024-11/receipt.json")["origin"]["protocol"].clone();
    place.context.phds("load PHDS_2024_11.csv --period 2024-11").done();
    assert_eq!(origin(), "local");
    place.context.phds("fetch --period 2024-11").done();
    assert_eq!(origin(), "sftp");
}

#[test]
fn the_data_dictionary_comes_along_and_a_changed_one_is_announced() {
    let place = Place::new();
    place.context.put("served/PHDS Data Dictionary.xlsx", "first");
    let said = place.context.phds("fetch").done().stderr;
    assert!(said.contains("the data dictionary is here as `store/dictionaries/PHDS Data Dictionary.xlsx`"), "{said}");
    assert_eq!(place.context.read("store/dictionaries/PHDS Data Dictionary.xlsx"), b"first");
    assert!(!place.context.phds("fetch").done().stderr.contains("data dictionary"));
    place.context.put("served/PHDS Data Dictionary.xlsx", "second");
    let said = place.context.phds("fetch").done().stderr;
    let name = format!("PHDS Data Dictionary.{}.xlsx", &phds::fs::sha256_hex(b"second")[..8]);
    assert!(said.contains(&format!("THE DATA DICTIONARY HAS CHANGED: `store/dictionaries/{name}` is new")), "{said}");
    assert_eq!(place.context.read("store/dictionaries/PHDS Data Dictionary.xlsx"), b"first");
    assert_eq!(place.context.read(&format!("store/dictionaries/{name}")), b"second");
    let listed = place.context.phds("fetch --list").done().text();
    assert!(listed.contains("PHDS Data Dictionary.xlsx  the data dictionary, fetched along"), "{listed}");
}

#[test]
fn names_and_times_that_disagree_are_told() {
    let place = Place::new();
    let older = place.context.path("served/PHDS_2024_10.csv");
    std::fs::File::options().write(true).open(older).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let note = "`phds_2024_12.CSV` is the newest by the date in its name, but `PHDS_2024_10.csv` was changed later";
    let listed = place.context.phds("fetch --list").done().text();
    assert!(listed.contains(note), "{listed}");
    let outcome = place.context.phds("fetch").done();
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    assert_eq!(outcome.text(), "store/deliveries/2024-12/phds_2024_12.CSV\n");
    // Asked for by its month, nothing is in doubt.
    assert!(!place.context.phds("fetch --period 2024-10").done().stderr.contains("newest"));
}

#[test]
fn a_young_file_is_waited_for() {
    let place = Place::new();
    let newest = place.context.path("served/phds_2024_12.CSV");
    std::fs::File::options().write(true).open(newest).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let listed = place.context.phds("fetch --list --min-age 3600").done().text();
    assert!(listed.contains(" 2024-12, would be taken as soon as it has not changed for 3600 s\n"), "{listed}");
    let said = place.context.phds("fetch --min-age 2").done().stderr;
    assert!(said.contains("`phds_2024_12.CSV` may still be growing: looking at it again in "), "{said}");
}

/// Name of the account, a line of its settings, variables, arguments; the exit code.
type PasswordCase<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, i32);

#[test]
fn a_password_comes_from_one_of_many_places() {
    let place = Place::new();
    let settings = String::from_utf8(place.context.read("phds.toml")).unwrap();
    let without = settings.replace("password_file = \"password\"\n", "");
    place.context.put("credentials/phds-password", PASSWORD);
    place.context.put("credentials/phds-password-exchange", PASSWORD);
    #[cfg(unix)]
    for name in ["phds-password", "phds-password-exchange"] {
        let path = place.context.path(&format!("credentials/{name}"));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    }
    let folder = place.context.path("credentials");
    let folder = ("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let (monthly, exchange) = (("PHDS_PASSWORD", PASSWORD), ("PHDS_PASSWORD_EXCHANGE", PASSWORD));
    let print = if cfg!(windows) { "type password" } else { "cat password" };
    let command = &format!("password_command = \"{print}\"\n");
    let cases: [PasswordCase; 9] = [
        ("phds", "", &[monthly], "fetch --list", 0),
        ("phds", "", &[exchange], "fetch --list", 4),
        ("exchange", "", &[exchange], "fetch --list", 0),
        // The password of the monthly file's account goes to no other server.
        ("exchange", "", &[monthly], "fetch --list", 4),
        ("phds", "", &[folder], "fetch --list", 0),
        ("exchange", "", &[folder], "fetch --list", 0),
        ("phds", "password_file = \"password\"\n", &[("PHDS_PASSWORD", "wrong")], "fetch --list", 0),
        ("phds", command, &[("PATH", "/usr/bin:/bin"), ("PHDS_PASSWORD", "wrong")], "fetch --list", 0),
        ("phds", "password_file = \"password\"\npassword_command = \"true\"\n", &[], "fetch --list", 2),
    ];
    for (at, (account, line, variables, arguments, code)) in cases.into_iter().enumerate() {
        let text = without.replace("[accounts.phds]\n", &format!("[accounts.{account}]\n{line}"));
        place.context.put("phds.toml", text);
        let arguments: Vec<_> = arguments.split(' ').collect();
        let outcome = place.context.run_with(variables, &arguments);
        assert_eq!(outcome.code, Some(code), "case {at}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains(PASSWORD), "case {at}");
    }
    let typed = ["fetch", "--list", "--password-command", print];
    place.context.run_with(&[("PATH", "/usr/bin:/bin")], &typed).done();
}

#[test]
fn a_load_without_a_file_fetches_the_month_first() {
    let place = Place::new();
    let outcome = place.context.phds("load --period 2024-11").done();
    assert!(
        outcome.text().starts_with("2024-11 PHDS_2024_11.csv is accepted\n1 rows read = 1 accepted + 0 rejected\n")
    );
    assert_eq!(place.delivered("2024-11"), ["PHDS_2024_11.csv", "receipt.json"]);
    let manifest = place.context.json("store/partitions/2024-11/manifest.json");
    let receipt = place.context.json("store/deliveries/2024-11/receipt.json");
    assert_eq!(manifest["delivery"], receipt["delivery"]);
    assert_eq!(receipt["origin"]["protocol"], "sftp");
    place.context.phds("query coverage --measure nis.mmr1 --by county").done();
}

#[test]
fn a_file_of_this_machine_has_a_receipt_too() {
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    let receipt = context.json("store/deliveries/2024-12/receipt.json");
    assert_eq!(
        receipt["origin"],
        json!({ "protocol": "local", "server": "", "user": "", "folder": "", "server_identity": "" })
    );
    assert_eq!(receipt["delivery"]["file_name"], "month.csv");
    assert_eq!(receipt["delivery"]["sha256"], phds::fs::sha256_hex(&context.read("month.csv")));
}

#[cfg(unix)]
#[test]
fn an_account_of_an_ftps_server() {
    let (context, place) = (TestContext::new(), servers::Place::new());
    place.put("PHDS_2024_12.csv", Month::of("CLIENT ID\n1").bytes());
    let write = |port: u16, more: &str| {
        context.put("ca.pem", std::fs::read(place.path("pki/ca.pem")).unwrap());
        context.put(
            "phds.toml",
            format!(
                "store = \"store\"\n[accounts.phds]\nprotocol = \"ftps\"\nhost = \"localhost\"\nport = {port}\n\
                 user = \"{}\"\npattern = \"PHDS_{{YYYY}}_{{MM}}.csv\"\nattempts = 1\n{more}",
                servers::USER
            ),
        );
    };
    let fetch = |password: &str, code: i32| {
        let outcome = context.run_with(&[("PHDS_PASSWORD", password)], &["fetch", "--period", "2024-12"]);
        assert!(!outcome.stderr.contains(password), "{}", outcome.stderr);
        outcome.ended(code)
    };
    let password = place.password();
    for (kind, tls) in [("proftpd", ""), ("proftpd-implicit", "tls = \"implicit\"\n")] {
        let server = servers::Server::start(&place, kind);
        write(server.port, &format!("ca_file = \"ca.pem\"\n{tls}"));
        fetch(&password, 0);
        let receipt = context.json("store/deliveries/2024-12/receipt.json");
        assert_eq!(receipt["origin"]["protocol"], "ftps");
        assert_eq!(receipt["delivery"]["sha256"], phds::fs::sha256_hex(Month::of("CLIENT ID\n1").bytes()));
        let doctor = context.run_with(&[("PHDS_PASSWORD", &password)], &["doctor"]).done().text();
        assert!(doctor.contains("data connections resume the TLS session"), "{doctor}");
        assert!(fetch("wrong-password", 4).stderr.contains("refused the password"));
        assert!(std::fs::remove_file(context.path("store/logins/phds.json")).is_ok(), "{kind}: it is remembered");
        // No public authority vouches for it, and another pin does not fit.
        write(server.port, tls);
        assert!(fetch(&password, 4).stderr.contains("certificate"));
        write(server.port, &format!("cert_sha256 = \"{}\"\n{tls}", "0".repeat(64)));
        assert!(fetch(&password, 4).stderr.contains("THE SERVER IS NOT THE ONE"));
    }
    for certificate in ["expired", "othername"] {
        let server = servers::Server::start_with(&place, "proftpd", certificate, servers::free_ports());
        write(server.port, "ca_file = \"ca.pem\"\n");
        fetch(&password, 4);
    }
    write(1, "ca_file = \"ca.pem\"\n");
    fetch(&password, 3);
    write(1, "host_key = \"SHA256:x\"\n");
    assert!(fetch(&password, 2).stderr.contains("`host_key` means nothing to the protocol `ftps`"));
}

#[test]
fn a_refused_login_is_not_tried_again_by_a_timer_until_something_is_changed() {
    let place = Place::new();
    let due = ReportingPeriod::of(Local::now().date_naive()).previous();
    place.context.put(&format!("served/PHDS_{}_{:02}.csv", due.year(), due.month()), Month::of("CLIENT ID\n1").bytes());
    let due_load = |code: i32| place.context.phds("load --due").ended(code).stderr;
    let is_tried = |what: &str| {
        let before = place.server.login_attempts();
        assert!(due_load(4).contains("refused the password"), "{what}");
        assert_eq!(place.server.login_attempts(), before + 1, "{what}");
        for _ in 0..2 {
            let said = due_load(4);
            assert!(said.contains("the login of the account `phds` was refused on"), "{what}: {said}");
            assert!(said.contains("it is not tried again") && said.contains("run `phds fetch` once by hand"), "{said}");
        }
        assert_eq!(place.server.login_attempts(), before + 1, "{what}");
    };
    place.context.put("password", "wrong-password\n");
    is_tried("the first time");
    let note = place.context.json("store/logins/phds.json");
    assert!(!note.to_string().contains("wrong-password"), "{note}");
    let told = place.context.phds("status").done().text();
    assert!(told.contains("the login of the account `phds` was refused on"), "{told}");
    place.context.put("password", "another-wrong-password\n");
    is_tried("another password");
    place.context.put("phds.toml", place.context.read("phds.toml"));
    is_tried("other settings");
    // Somebody who is there may try, and what he is told is remembered.
    let before = place.server.login_attempts();
    place.context.phds("fetch").ended(4);
    due_load(4);
    assert_eq!(place.server.login_attempts(), before + 1);
    // A server that is not the right one was told nothing.
    let known = place.context.read("known_hosts");
    place.context.put("password", format!("{PASSWORD}\n"));
    place.context.put("known_hosts", "");
    for _ in 0..2 {
        assert!(due_load(4).contains("known_hosts"));
    }
    place.context.put("known_hosts", known);
    due_load(0);
    assert!(!place.context.path("store/logins/phds.json").exists());
    assert!(!place.context.phds("status").done().text().contains("was refused on"));
}

/// `script` of util-linux gives the program a terminal: somebody is there.
#[test]
#[cfg(target_os = "linux")]
fn a_refused_login_is_not_tried_again_by_a_mirror_that_nobody_watches() {
    let place = Place::new();
    place.context.put("served/reports/quality.txt", "quality");
    let mirror = |code: i32| place.context.phds("mirror --folder reports").ended(code).stderr;
    let by_hand = || {
        let command = format!("{} mirror --folder reports", env!("CARGO_BIN_EXE_phds"));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(place.context.path(""));
        script.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output().unwrap().status.code()
    };
    place.context.put("password", "wrong-password\n");
    assert!(mirror(4).contains("refused the password"));
    let tried = place.server.login_attempts();
    let said = mirror(4);
    assert!(said.contains("the login of the account `phds` was refused on"), "{said}");
    assert!(said.contains("run `phds mirror` once in a terminal"), "{said}");
    // What one timer has learned holds for the other.
    assert!(place.context.phds("load --due").ended(4).stderr.contains("it is not tried again"));
    assert_eq!(place.server.login_attempts(), tried);
    assert_eq!(by_hand(), Some(4));
    assert_eq!(place.server.login_attempts(), tried + 1);
    assert!(mirror(4).contains("it is not tried again"));
    assert_eq!(place.server.login_attempts(), tried + 1);

    place.context.put("password", format!("{PASSWORD}\n"));
    mirror(0);
    assert!(!place.context.path("store/logins/phds.json").exists());
}

#[test]
fn a_login_that_goes_well_by_hand_ends_a_refusal() {
    let place = Place::new();
    let due = ReportingPeriod::of(Local::now().date_naive()).previous();
    let name = format!("PHDS_{}_{:02}.csv", due.year(), due.month());
    place.context.put(&format!("served/{name}"), Month::of("CLIENT ID\n1").bytes());
    let settings = String::from_utf8(place.context.read("phds.toml")).unwrap();
    place.context.put("phds.toml", settings.replace("password_file = \"password\"\n", ""));
    let run = |password: &str, words: &str, code: i32| {
        let words: Vec<_> = words.split(' ').collect();
        place.context.run_with(&[("PHDS_PASSWORD", password)], &words).ended(code).stderr
    };
    let is_not_tried = || {
        // A variable shows no change.
        let said = run(PASSWORD, "load --due", 4);
        assert!(said.contains("by a password from the environment variable `PHDS_PASSWORD`"), "{said}");
    };
    for by_hand in ["fetch --list", "doctor", "fetch"] {
        run("wrong-password", "load --due", 4);
        is_not_tried();
        run(PASSWORD, by_hand, 0);
        run(PASSWORD, "load --due", 0);
    }
    // One that is refused by hand is remembered, too.
    for (by_hand, code) in [("fetch --list", 4), ("doctor", 1)] {
        run("wrong-password", by_hand, code);
        is_not_tried();
        run(PASSWORD, "fetch", 0);
    }
}

#[test]
fn to_look_at_an_account_makes_no_store() {
    let place = Place::new();
    place.context.put("password", "wrong-password\n");
    place.context.phds("fetch --list").ended(4);
    place.context.phds("doctor").ended(1);
    assert!(!place.context.path("store").exists());
}

#[cfg(unix)]
#[test]
fn a_later_file_of_the_month_that_is_due_is_known_on_servers_of_others() {
    let due = ReportingPeriod::of(Local::now().date_naive()).previous();
    let name = format!("PHDS_{}_{:02}.csv", due.year(), due.month());
    for kind in ["sshd", "proftpd-sftp", "proftpd"] {
        let (context, place) = (TestContext::new(), servers::Place::with_keys());
        let server = servers::Server::start(&place, kind);
        let trust = if kind == "proftpd" {
            context.put("ca.pem", std::fs::read(place.path("pki/ca.pem")).unwrap());
            "protocol = \"ftps\"\nhost = \"localhost\"\nca_file = \"ca.pem\"\n"
        } else {
            context.put("known_hosts", place.host_key_line("ed25519", server.port));
            "protocol = \"sftp\"\nhost = \"127.0.0.1\"\nknown_hosts = \"known_hosts\"\n"
        };
        context.put(
            "phds.toml",
            format!(
                "store = \"store\"\n[accounts.phds]\n{trust}port = {}\nuser = \"{}\"\npattern = \"PHDS_{{YYYY}}_{{MM}}*.csv\"\n",
                server.port,
                servers::USER
            ),
        );
        let password = place.password();
        let load = || context.run_with(&[("PHDS_PASSWORD", &password)], &["load", "--due"]).done();
        for clients in ["1", "1\n2"] {
            // The second is some bytes larger and, by its time, a month later.
            place.put(&name, Month::of(&format!("CLIENT ID\n{clients}")).bytes());
            if clients.len() > 1 {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_723_108_000);
                let file = std::fs::File::options().write(true).open(place.path(&format!("root/{name}"))).unwrap();
                file.set_modified(time).unwrap();
            }
            let loaded = load();
            assert!(loaded.text().starts_with(&format!("{due} ")), "{kind}: {}", loaded.stderr);
            assert!(load().stderr.contains(&format!("{due} is loaded already")), "{kind}");
        }
        assert_eq!(context.json(&format!("store/partitions/{due}/manifest.json"))["totals"]["read"], 2, "{kind}");
    }
}

#[cfg(unix)]
#[test]
fn everything_in_the_store_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    context.phds("query coverage --store store --measure nis.mmr1 --by county").done();
    for name in context.tree().into_iter().filter(|name| name.starts_with("store")) {
        let mode = std::fs::metadata(context.path(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
}
