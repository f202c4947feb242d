//! `phds init`: asked, scripted and repeated, against a server of its own.

use std::io::Write;
use std::process::{Command, Stdio};

use phds::demo::server::LoopbackServer;

use crate::support::transfer::{PASSWORD, account};
use crate::support::{Month, TestContext, servers};

/// A folder with a password file, and a server of the folder `served`.
struct Place {
    context: TestContext,
    server: LoopbackServer,
}

impl Place {
    fn new() -> Self {
        let context = TestContext::new();
        context.put("served/PHDS_2024_12.csv", Month::of("CLIENT ID\n1").bytes());
        let server = account(&context);
        Self { context, server }
    }

    /// Arguments that say all that is needed.
    fn flags(&self, host_key: &str) -> String {
        format!(
            "init --yes --host 127.0.0.1 --port {} --user clinic --password-file password --host-key {host_key} \
             --counties Travis,hays",
            self.server.port()
        )
    }

    fn settings(&self) -> String {
        String::from_utf8(self.context.read("phds.toml")).unwrap()
    }

    /// Runs `phds init --ask` with the answers as lines. Exit code, and what was asked and told.
    fn ask(&self, answers: &[&str]) -> (Option<i32>, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_phds"))
            .args(["init", "--ask"])
            .current_dir(self.context.path(""))
            .env_clear()
            .env("HOME", self.context.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = answers.join("\n") + "\n";
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        (output.status.code(), told)
    }
}

/// The settings that are set, section by section, without comments.
fn set(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn flags_ask_nothing_and_end_with_the_doctor() {
    let place = Place::new();
    let print = place.server.host_key_fingerprint();
    let outcome = place.context.phds(&place.flags(&print)).done();
    assert!(outcome.text().contains("host key"), "{}", outcome.text());
    assert!(!outcome.stderr.contains(PASSWORD) && !place.settings().contains(PASSWORD));
    let port = format!("port = {}", place.server.port());
    let host_key = format!("host_key = \"{print}\"");
    let expected = [
        "store = \"store\"",
        "[accounts.phds]",
        "protocol = \"sftp\"",
        "host = \"127.0.0.1\"",
        &port,
        "user = \"clinic\"",
        "pattern = \"PHDS_{YYYY}_{MM}*.csv\"",
        "password_file = \"password\"",
        &host_key,
        "[query]",
        "counties = [\"Travis\", \"Hays\"]",
    ];
    assert_eq!(set(&place.settings()), expected);
    // The rest of the template stays to be read.
    assert!(place.settings().contains("#min_age_seconds = 60"), "{}", place.settings());
    place.context.phds("load --period 2024-12 --min-age 0").done();

    // Again it is left alone, unless told.
    let before = place.settings();
    let said = place.context.phds(&place.flags(&print)).ended(2).stderr;
    insta::assert_snapshot!(said, @r"
    error: `phds.toml` is already there and is left as it is

    hint: `--force` changes what you name, and keeps the rest
    ");
    place.context.phds(&(place.flags(&print) + " --force")).done();
    assert_eq!(place.settings(), before, "the same flags give the same file");
}

#[test]
fn a_change_keeps_all_that_was_not_named() {
    let place = Place::new();
    place.context.put(
        "phds.toml",
        "# Ours.\nstore = 'data' # on the encrypted disk\n\n[accounts.phds]\nprotocol = \"sftp\"\nhost = \"old.example.org\"\n\
         user = \"clinic\" # since 2019\nmin_age_seconds = 5\npassword_file = \"password\"\n\n[accounts.exchange]\n\
         protocol = \"sftp\"\nhost = \"other.example.org\"\nuser = \"clinic\"\n",
    );
    place.context.phds("init --yes --force --host new.example.org --key-file key --counties Bell --no-doctor").done();
    insta::assert_snapshot!(place.settings(), @r#"
    # Ours.
    store = 'data' # on the encrypted disk

    [accounts.phds]
    key_file = "key"
    pattern = "PHDS_{YYYY}_{MM}*.csv"
    protocol = "sftp"
    host = "new.example.org"
    user = "clinic" # since 2019
    min_age_seconds = 5
    #password_file = "password"

    [accounts.exchange]
    protocol = "sftp"
    host = "other.example.org"
    user = "clinic"

    [query]
    counties = ["Bell"]
    "#);
    // A way of writing that lines cannot change is told, and nothing is lost.
    let inline = "accounts.phds = { protocol = \"sftp\", host = \"a.example.org\", user = \"clinic\" }\n";
    place.context.put("phds.toml", inline);
    let said = place.context.phds("init --yes --force --host b.example.org --no-doctor").ended(2).stderr;
    assert!(said.contains("cannot be changed line by line"), "{said}");
    assert_eq!(place.settings(), inline);
}

#[test]
fn a_person_is_asked_and_compares_the_key() {
    let place = Place::new();
    let port = place.server.port().to_string();
    // Server, protocol, port, user, folder, pattern, login, its file, is the key the same, store, dictionary, counties,
    // department, schedule.
    let answers = [
        "127.0.0.1",
        "ftp",
        "sftp",
        "x",
        &port,
        "",
        "clinic",
        "",
        "",
        "file",
        "",
        "y",
        "data",
        "",
        "Travsi",
        "Travis, Hays",
        "Hill Office, Central",
        "cron",
    ];
    let (code, told) = place.ask(&answers);
    assert_eq!(code, Some(0), "{told}");
    let print = place.server.host_key_fingerprint();
    for part in [
        "Server of the monthly file [none]:",
        "the protocol is `sftp` or `ftps`",
        "a port is a number from 1 to 65535",
        "an account needs a user name",
        &format!("The server shows ssh-ed25519 {print}"),
        "Is it the same? [y/N]:",
        "there is no county `Travsi`",
        "did you mean `Travis`?",
        "17 6 8-31 * * ",
        " load --due -q",
        "the one that the settings name",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    let text = place.settings();
    for line in [
        "store = \"data\"",
        "password_file = \"password\"",
        &format!("host_key = \"{print}\""),
        "jurisdiction = [\"Hill Office, Central\"]",
        "counties = [\"Travis\", \"Hays\"]",
    ] {
        assert!(set(&text).contains(&line), "{line} is not in:\n{text}");
    }
    assert!(!told.contains(PASSWORD) && !text.contains(PASSWORD));

    // A second time: what is there is offered, Enter takes it, and nothing changes.
    let (code, told) = place.ask(&["y", "", "", "", "", "", "", "", "", "", "", "", "", ""]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Server of the monthly file [127.0.0.1]:") && told.contains("which is known"), "{told}");
    assert_eq!(place.settings(), text);
    // Or it is left alone.
    assert_eq!(place.ask(&["n"]).0, Some(2));
    assert_eq!(place.settings(), text);
}

#[test]
fn a_key_that_nobody_compared_is_not_trusted() {
    let place = Place::new();
    let port = place.server.port().to_string();
    let answers = ["127.0.0.1", "", &port, "clinic", "", "", "later", "n", "", "", "", "", ""];
    let (code, told) = place.ask(&answers);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("It is not trusted") && told.contains("PROBLEM"), "{told}");
    assert!(!set(&place.settings()).iter().any(|line| line.starts_with("host_key")));
    assert_eq!(place.server.login_attempts(), 0);

    // Scripted, without a key and with another one: it is written, and the doctor finds it.
    let other = format!("SHA256:{}", "A".repeat(43));
    for (host_key, problem) in [("", "is not in"), (other.as_str(), "THE SERVER IS NOT THE ONE")] {
        let flags = place.flags(host_key).replace("--host-key  ", "");
        let outcome = place.context.phds(&(flags + " --force")).ended(1);
        assert!(outcome.text().contains(problem), "{}", outcome.text());
    }
    assert_eq!(place.server.login_attempts(), 0);

    // One that changed ends the questions, and nothing is written.
    let before = place.settings();
    let (code, told) = place.ask(&["y", "", "", "", "", "", "", "", "", "", "", "", "", "", ""]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("THE SERVER IS NOT THE ONE"), "{told}");
    assert_eq!(place.settings(), before);
}

#[test]
fn what_cannot_be_is_told_and_nothing_is_written() {
    let context = TestContext::new();
    for (flags, said) in [
        ("--user clinic", "an account needs its server"),
        ("--host a.example.org", "an account needs a user name"),
        ("--host a.example.org --user clinic --host-key SHA256:short", "is not the fingerprint of a key"),
        ("--host a.example.org --user clinic --protocol ftps --key-agent", "FTPS logs in with a password"),
        ("--host a.example.org --user clinic --protocol ftps --host-key SHA256:x", "means nothing to the protocol"),
        ("--host a.example.org --user clinic --ca-file ca.pem", "means nothing to the protocol"),
        ("--host a.example.org --user clinic --pattern month.csv", "pattern"),
        ("--counties Traviss", "did you mean `Travis`?"),
        ("--dictionary missing.toml", "missing.toml"),
        ("--password-file a --key-file b", "cannot be used with"),
    ] {
        let outcome = context.phds(&format!("init --yes --no-doctor {flags}")).ended(2);
        assert!(outcome.stderr.contains(said), "{flags}: {}", outcome.stderr);
        assert!(context.tree().is_empty(), "{flags}");
    }
    // An answer that does not come ends it, too.
    let place = Place::new();
    let (code, told) = place.ask(&["127.0.0.1", "sftp"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(!place.context.path("phds.toml").exists());
}

#[test]
#[cfg_attr(windows, ignore = "paths stand in other quotes")]
fn a_settings_file_elsewhere_and_a_unit_with_its_places() {
    let context = TestContext::new();
    std::fs::create_dir(context.path("etc")).unwrap();
    let command =
        "init etc/phds.toml --yes --host a.example.org --user clinic --store data --schedule systemd --no-doctor";
    let outcome = context.phds(command).done();
    assert!(outcome.stderr.contains("systemctl enable --now phds.timer"), "{}", outcome.stderr);
    let read = |name: &str| String::from_utf8(context.read(name)).unwrap();
    let place = |name: &str| context.path(name).display().to_string();
    // What is typed is relative to where it is typed.
    assert!(set(&read("etc/phds.toml")).contains(&format!("store = \"{}\"", place("data")).as_str()));
    let unit = read("etc/phds.service");
    let program = std::fs::canonicalize(env!("CARGO_BIN_EXE_phds")).unwrap();
    for line in [
        format!("ExecStart={} --config {} load --due", program.display(), place("etc/phds.toml")),
        format!("ReadWritePaths={}", place("data")),
        "LoadCredential=phds-password:/etc/phds/password".to_owned(),
    ] {
        assert!(unit.lines().any(|found| found == line), "{line} is not in:\n{unit}");
    }
    assert_eq!(read("etc/phds.timer"), include_str!("../../packaging/systemd/phds.timer"));
    // A folder with a blank is one word, and `%` is itself.
    context
        .run(
            &["init", "etc/phds.toml", "--yes", "--host", "a.example.org", "--user", "clinic", "--force"]
                .into_iter()
                .chain(["--store", "S t 5%", "--schedule", "systemd", "--no-doctor"])
                .collect::<Vec<_>>(),
        )
        .done();
    let line = format!("ReadWritePaths=\"{}%\"", place("S t 5%"));
    assert!(read("etc/phds.service").lines().any(|found| found == line), "{line}");
    // The same for those who have no systemd.
    let lines = |schedule: &str| context.phds(&format!("{command} --force").replace("systemd", schedule)).done().stderr;
    let (program, settings) = (program.display(), place("etc/phds.toml"));
    let line = format!("17 6 8-31 * * {program} --config {settings} load --due -q");
    assert!(lines("cron").contains(&line), "{line}");
    let line = format!(
        r#"schtasks /Create /TN phds /SC DAILY /ST 06:17 /TR "\"{program}\" --config \"{settings}\" load --due -q""#
    );
    assert!(lines("task-scheduler").contains(&line), "{line}");
    // Settings that name the password's file need no credential.
    context.phds(&format!("{command} --force --password-file password")).done();
    let unit = read("etc/phds.service");
    assert!(!unit.contains("LoadCredential") && !unit.contains("root reads"), "{unit}");
    assert!(unit.contains("# The settings say where the password or the key comes from"), "{unit}");
}

#[test]
fn a_server_is_named_and_no_address() {
    let context = TestContext::new();
    for host in ["sftp://a.example.org", "clinic:hunter2@a.example.org", "a.example.org/Receive", "a.example org"] {
        let refused = context.run(&["init", "--yes", "--host", host, "--user", "clinic"]).ended(2).stderr;
        assert!(refused.contains("only the name of the server belongs there"), "{refused}");
        assert!(!refused.contains("hunter2") && !context.path("phds.toml").exists(), "{refused}");
    }
    context.put("phds.toml", "[accounts.phds]\nprotocol = 'sftp'\nhost = 'sftp://a'\nuser = 'u'\nknown_hosts = 'k'\n");
    let refused = context.phds("doctor --store store").ended(2).stderr;
    assert!(refused.contains("`host` of the account `phds`: only the name of the server"), "{refused}");
    for host in ["a.example.org", "192.0.2.1", "2001:db8::1"] {
        context
            .run(&["init", &format!("{}.toml", host.len()), "--yes", "--host", host, "--user", "u", "--no-doctor"])
            .done();
    }
}

#[test]
fn the_month_that_is_due_is_loaded_once() {
    use chrono::Local;
    use phds::period::ReportingPeriod;
    let place = Place::new();
    place.context.phds(&place.flags(&place.server.host_key_fingerprint())).done();
    let today = Local::now().date_naive();
    let due = ReportingPeriod::of(today).previous();
    // Until the day on which it is due, it may be missing.
    let outcome = place.context.phds("load --due");
    if today <= due.due_date() {
        assert!(outcome.done().stderr.contains("is not there yet"));
    } else {
        assert!(outcome.ended(1).stderr.contains(&format!("is a delivery of {due}")));
    }
    let name = format!("served/PHDS_{}_{:02}.csv", due.year(), due.month());
    place.context.put(&name, Month::of("CLIENT ID\n1").bytes());
    let outcome = place.context.phds("load --due --min-age 0").done();
    assert!(outcome.text().starts_with(&format!("{due} ")), "{}", outcome.text());
    let (logins, read) = (place.server.login_attempts(), reads(&place.server));
    let outcome = place.context.phds("load --due").done();
    assert!(outcome.stderr.contains(&format!("{due} is loaded already")), "{}", outcome.stderr);
    assert_eq!(place.context.phds("load --due -q").done().stderr, "");
    assert_eq!(place.server.login_attempts(), logins + 2, "one login a run");
    assert_eq!(reads(&place.server), read, "nothing is fetched twice");
    place.context.phds("load --due --period 2024-12").ended(2);
    place.context.phds("load").ended(2);
}

/// How often a file was opened on a server.
fn reads(server: &LoopbackServer) -> usize {
    server.requests().iter().filter(|request| *request == "open-read").count()
}

/// Changes a file, so many minutes after now.
fn change(path: &std::path::Path, month: &Month, minutes: u64) {
    std::fs::write(path, month.bytes()).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_mins(minutes)).unwrap();
}

#[test]
fn a_later_file_of_the_month_that_is_due_is_loaded_and_no_other() {
    use chrono::Local;
    use phds::period::ReportingPeriod;
    let place = Place::new();
    place.context.phds(&place.flags(&place.server.host_key_fingerprint())).done();
    let due = ReportingPeriod::of(Local::now().date_naive()).previous();
    let name = |more: &str| format!("PHDS_{}_{:02}{more}.csv", due.year(), due.month());
    let served = |more: &str| place.context.path(&format!("served/{}", name(more)));
    let months = ["1", "1\n2", "1\n2\n3"].map(|clients| Month::of(&format!("CLIENT ID\n{clients}")));
    let load = || place.context.phds("load --due --min-age 0");
    let rows = || place.context.json(&format!("store/partitions/{due}/manifest.json"))["totals"]["read"].clone();
    let is_loaded = |clients: u64| {
        assert!(load().done().stderr.contains("is loaded already"));
        assert_eq!(rows(), clients);
    };

    // Downloaded by hand some minutes after the state has put it there: the same file is fetched once at most.
    change(&served(""), &months[0], 0);
    change(&place.context.path("by-hand.csv"), &months[0], 1);
    place.context.phds(&format!("load by-hand.csv --period {due}")).done();
    is_loaded(1);
    // A correction under the same name, and one under another.
    change(&served(""), &months[1], 2);
    let said = load().done().stderr;
    assert!(said.contains(&format!("{due} has a later file: `{}` is loaded in its place", name(""))), "{said}");
    is_loaded(2);
    change(&served("_b"), &months[2], 3);
    load().done();
    is_loaded(3);
    // The same content once more.
    change(&served("_c"), &months[2], 4);
    is_loaded(3);
    let opened = reads(&place.server);
    is_loaded(3);
    assert_eq!(reads(&place.server), opened, "fetched once");

    // An older one, on purpose, until a still later one comes; what the state takes away takes nothing back.
    place.context.phds(&format!("load by-hand.csv --period {due}")).done();
    is_loaded(1);
    std::fs::remove_file(served("_c")).unwrap();
    is_loaded(1);
    change(&served("_d"), &months[1], 5);
    load().done();
    is_loaded(2);
    std::fs::remove_file(served("_d")).unwrap();
    is_loaded(2);

    // One that is refused is told each day, until somebody names the file that is meant.
    change(&served("_e"), &Month::of("VACCINATION DATE\n1999-13-01"), 6);
    for _ in 0..2 {
        load().ended(1);
        assert_eq!(rows(), 2);
    }
    let loaded = format!("store/deliveries/{due}/{}", name("_d"));
    place.context.phds(&format!("load {loaded} --period {due}")).done();
    is_loaded(2);
}

#[cfg(unix)]
#[test]
fn servers_of_others_are_set_up_too() {
    let month = Month::of("CLIENT ID\n1");
    // OpenSSH, by questions and with a key.
    let (place, there) = (Place::new(), servers::Place::with_keys());
    there.put("PHDS_2024_12.csv", month.bytes());
    let server = servers::Server::start(&there, "sshd");
    let (port, key) = (server.port.to_string(), there.path("ssh/user_ed25519").display().to_string());
    let answers = ["127.0.0.1", "", &port, servers::USER, "", "", "key", &key, "", "y", "", "", "", "", ""];
    let (code, told) = place.ask(&answers);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("The server shows ssh-") && told.contains("the one that the settings name"), "{told}");
    assert!(set(&place.settings()).contains(&format!("key_file = \"{key}\"").as_str()));

    // ProFTPD with TLS, by flags and with a password of the environment.
    let (context, there) = (TestContext::new(), servers::Place::new());
    there.put("PHDS_2024_12.csv", month.bytes());
    let server = servers::Server::start(&there, "proftpd");
    context.put("ca.pem", std::fs::read(there.path("pki/ca.pem")).unwrap());
    let flags = format!(
        "init --yes --protocol ftps --host localhost --port {} --user {} --ca-file ca.pem",
        server.port,
        servers::USER
    );
    let password = there.password();
    let outcome = context.run_with(&[("PHDS_PASSWORD", &password)], &flags.split(' ').collect::<Vec<_>>()).done();
    assert!(outcome.text().contains("trust") && outcome.text().contains("accepted"), "{}", outcome.text());
    let text = String::from_utf8(context.read("phds.toml")).unwrap();
    assert!(set(&text).contains(&"ca_file = \"ca.pem\"") && !text.contains(&password), "{text}");
}
