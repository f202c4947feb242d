//! What happens to a store: damage, refused months, other people's dictionaries. The last good state stays.

#[cfg(unix)]
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Month, PERIOD, TestContext};

const ASK: &str = "query coverage --store store --measure nis.mmr1 --by sex --format csv";

/// Twenty children with one vaccine in time, so that a table shows something.
fn month(code: &str) -> Month {
    let rows = (1..=20).map(|client| format!("{client} | 2020-01-01 | 2021-02-01 | {code} | F")).collect::<Vec<_>>();
    Month::of(&format!("CLIENT ID | BIRTH DATE | VACCINATION DATE | CVX CODE | SEX CODE\n{}", rows.join("\n")))
}

fn answer(context: &TestContext) -> String {
    String::from_utf8(context.phds(ASK).done().stdout).unwrap()
}

#[test]
fn damage_is_noticed_and_a_new_load_heals_it() {
    let context = TestContext::new();
    context.load(&month("03"));
    let good = answer(&context);
    let manifest = format!("store/partitions/{PERIOD}/manifest.json");
    let part = context.tree().into_iter().find(|name| name.contains("clients/part-")).unwrap();

    let mut bytes = context.read(&part);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    context.put(&part, bytes);
    context.phds(ASK).ended(3);
    context.load(&month("03"));
    assert_eq!(answer(&context), good);

    for tamper in [
        |manifest: &mut serde_json::Value| {
            let file = manifest["clients"]["files"][0].clone();
            manifest["clients"]["rows"] = json!(40);
            manifest["clients"]["files"] = json!([file.clone(), file]);
        },
        |manifest: &mut serde_json::Value| manifest["schema_version"] = json!(2),
        |manifest: &mut serde_json::Value| manifest["reporting_period"] = json!("2024-11"),
        |manifest: &mut serde_json::Value| manifest["clients"]["files"][0]["path"] = json!("/etc/passwd"),
        |manifest: &mut serde_json::Value| *manifest = json!({}),
    ] {
        let mut changed = context.json(&manifest);
        tamper(&mut changed);
        context.put(&manifest, changed.to_string());
        context.phds(ASK).ended(3);
        context.load(&month("03"));
        assert_eq!(answer(&context), good);
    }
}

#[test]
fn nobody_asks_with_a_smaller_k_than_that_of_the_load() {
    let context = TestContext::new();
    let settings = |name: &str, k: &str| context.put(name, format!("store = \"store\"\n{k}"));
    settings("phds.toml", "[disclosure]\nk = 20\nreason = \"agreed\"\n");
    settings("analysts.toml", "");
    settings("stricter.toml", "[disclosure]\nk = 21\nreason = \"agreed\"\n");
    context.load(&month("03"));
    let ask = |file: &str| context.phds(&format!("--config {file} {ASK}"));
    assert!(ask("phds.toml").done().text().contains(",20,20,"));
    assert!(ask("stricter.toml").done().text().contains(",suppressed,"));
    let refused = ask("analysts.toml").ended(1);
    assert!(refused.stderr.contains("was loaded with k = 20, and these settings have k = 11"), "{}", refused.stderr);
    assert_eq!(refused.text(), "");
    for command in
        ["evidence", "query coverage --measure nis.mmr1 --audience public --dry-run", "report --out page.html"]
    {
        // Evidence of nothing has nothing to audit.
        let code = i32::from(command != "evidence");
        context.phds(&format!("--config analysts.toml {command}")).ended(code);
    }
    context.phds("--config analysts.toml load --again").done();
    assert!(ask("analysts.toml").done().text().contains(",20,20,"));
}

/// A load, an import and a mirror take away what killed runs left; not what somebody is writing.
#[test]
fn questions_are_answered_while_others_lock_the_store() {
    let context = TestContext::new();
    context.load(&month("03"));
    context.put("births.csv", "birth_year,count\n2020,1000\n");
    std::thread::scope(|scope| {
        let importing = scope.spawn(|| {
            for _ in 0..40 {
                context.phds("population import births.csv --name births --source Invented --store store").done();
            }
        });
        while !importing.is_finished() {
            for sex in ["F", "M", "U"] {
                context.phds(&format!("{ASK} --where sex={sex}")).done();
                std::fs::remove_dir_all(context.path("store/releases")).unwrap();
                std::fs::remove_dir_all(context.path("store/ledger")).unwrap();
                std::fs::remove_file(context.path("store/ledger-head.json")).unwrap();
            }
        }
    });
}

/// A long run that publishes holds the ledger.
#[test]
fn the_status_waits_for_nobody() {
    let context = TestContext::new();
    context.load(&month("03"));
    answer(&context);
    let ledger = std::fs::File::options().write(true).open(context.path("store/ledger/.lock")).unwrap();
    ledger.lock().unwrap();
    context.phds("status --store store").done();
}

#[test]
fn a_check_says_when_the_store_of_the_settings_cannot_be_used() {
    let context = TestContext::new();
    context.put("phds.toml", "store = \"store\"\n");
    context.put("month.csv", month("03").bytes());
    let check = || context.phds(&format!("check month.csv --period {PERIOD}")).done().stderr;
    assert!(!check().contains("earlier months"), "there is no store yet");
    context.put("store/phds-store.json", "{\"store_version\": 2}");
    let said = check();
    assert!(said.contains("does not know: nothing is compared with earlier months"), "{said}");
}

#[test]
fn a_refused_file_leaves_the_month_and_its_report() {
    let context = TestContext::new();
    context.load(&month("03"));
    let (good, report) = (answer(&context), context.read(&format!("store/reports/{PERIOD}/report.json")));
    let bad = String::from_utf8(month("03").bytes().to_vec()).unwrap().replace("2021-02-01", "soon");
    context.put("bad.csv", bad);
    context.phds(&format!("load bad.csv --period {PERIOD} --store store")).ended(1);
    assert_eq!(answer(&context), good);
    assert_eq!(context.read(&format!("store/reports/{PERIOD}/report.json")), report);
    let refused = context.json(&format!("store/reports/{PERIOD}/refused/report.json"));
    assert_eq!(refused["totals"], json!({ "read": 20, "accepted": 0, "rejected": 20 }));
}

#[cfg(unix)]
#[test]
fn nobody_else_can_look_into_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let context = TestContext::new();
    // A folder that others can enter becomes a store.
    std::fs::create_dir(context.path("store")).unwrap();
    context.load(&month("03"));
    answer(&context);
    for name in context.tree().into_iter().filter(|name| name.starts_with("store/")) {
        let mode = std::fs::metadata(context.path(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
}

/// What people may see can be read by the group of a folder that is shared with it (`chmod g+rxs`), and by nobody else;
/// records cannot, wherever they are put.
#[cfg(unix)]
#[test]
fn a_folder_that_is_shared_with_its_group_shares_outputs_and_no_records() {
    use std::os::unix::fs::PermissionsExt;
    let rows = (1..=40).map(|client| format!("{client} | 2020-01-01 | 2021-02-01 | 03 | {}\n", ["F", "M"][client % 2]));
    let born_too_late = "41 | 2022-01-01 | 2021-02-01 | 03 | F";
    let header = "CLIENT ID | BIRTH DATE | VACCINATION DATE | CVX CODE | SEX CODE\n";
    let month = Month::of(&(header.to_owned() + &rows.collect::<String>() + born_too_late));
    let question =
        "schema_version = 1\n[[release]]\nname = 'rates'\nindicator = 'coverage'\nmeasure = 'nis.mmr1'\nby = ['sex']\n";
    for (folder, shares) in
        [(0o2750, true), (0o2770, true), (0o750, false), (0o2700, false), (0o2710, false), (0o777, false)]
    {
        let context = TestContext::new();
        context.put("month.csv", month.bytes());
        context.put("questions.toml", question);
        context.put("counts.csv", "sex,n\nF,20\nM,20\nTotal,40\n");
        std::fs::create_dir(context.path("out")).unwrap();
        let mode = |name: &str| std::fs::metadata(context.path(name)).unwrap().permissions().mode() & 0o7777;
        std::fs::set_permissions(context.path("out"), std::fs::Permissions::from_mode(folder)).unwrap();
        context.phds(&format!("load month.csv --period {PERIOD} --store out/store")).done();
        let ask = ASK.replace("--store store", "--store out/store");
        for command in [
            &format!("{ask} --out out/rates.csv --keep-in out/kept"),
            "plot out/rates.csv --kind bar --out out/rates.svg",
            "query questions.toml --store out/store --out out/month/releases",
            "report --releases out/month/releases --out out/page.html",
            "protect counts.csv --by sex --count n --out out/protected.csv",
            "evidence --store out/store --out out/evidence.md",
            &format!("rejects --store out/store --period {PERIOD} --out out/rejected.csv"),
        ] {
            context.phds(command).done();
        }
        for name in context.tree().into_iter().filter(|name| name.starts_with("out/") && name != "out/") {
            let is_output = !name.starts_with("out/store") && name != "out/rejected.csv";
            let expected = match (name.ends_with('/'), is_output && shares) {
                (true, true) => 0o2750,
                (true, false) => 0o700,
                (false, true) => 0o640,
                (false, false) => 0o600,
            };
            // A folder in a folder with the bit has it, too: it says nothing without the group's right to read.
            let of_file = if expected == 0o700 { mode(&name) & 0o777 } else { mode(&name) };
            assert_eq!(of_file, expected, "{name} in a folder of mode {folder:o}");
        }
    }
}

#[test]
fn nothing_that_somebody_names_is_put_into_a_store() {
    let context = TestContext::new();
    context.load(&month("03"));
    answer(&context);
    let kept = context
        .tree()
        .into_iter()
        .find(|name| name.starts_with("store/releases/") && name.ends_with("/table.csv"))
        .unwrap();
    let release = kept.strip_suffix("/table.csv").unwrap();
    context.put("questions.toml", "schema_version = 1\n[[release]]\nname = 'a'\nindicator = 'doses'\n");
    context.put("counts.csv", "sex,n\nF,20\nM,20\nTotal,40\n");
    let before = context.tree();
    for command in [
        &format!("{ASK} --out {kept}"),
        &format!("{ASK} --out store/new.csv"),
        &format!("{ASK} --keep-in store/releases"),
        "query questions.toml --store store --out store/releases/new/deeper",
        &format!("plot {release} --kind bar --out store/figure.svg"),
        &format!("compare {release} {release} --out store/change.csv"),
        &format!("report --releases {release} --out store/page.html"),
        &format!("check month.csv --period {PERIOD} --report store/reports/{PERIOD}"),
        "synth --clients 10 --period 2024-12 --out store/month.csv",
        "protect counts.csv --by sex --count n --out store/protected.csv",
        "evidence --store store --out store/evidence.md",
        &format!("rejects --store store --period {PERIOD} --out store/rejected.csv"),
        "init store/phds.toml --yes",
        "man --dir store/man",
        "demo --dir store/demo",
        "dictionary import counts.csv --out store/state",
    ] {
        let said = context.phds(command).ended(2).stderr;
        assert!(said.contains("lies in a store"), "{command}: {said}");
    }
    assert_eq!(context.tree(), before);
    // Nor by a way that leads into it when folders are made, or behind a link.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(context.path("store/releases"), context.path("page")).unwrap();
        std::os::unix::fs::symlink(context.path(release), context.path("a")).unwrap();
        for command in [
            "query questions.toml --store store --out missing/../store/new",
            &format!("{ASK} --keep-in nowhere/../store/ledger/new"),
            "query questions.toml --store store --out .",
            "report --store store --questions questions.toml --out page.html",
        ] {
            let said = context.phds(command).ended(2).stderr;
            assert!(said.contains("lies in a store"), "{command}: {said}");
        }
        let mut after = context.tree();
        after.retain(|name| name.starts_with("store/"));
        assert_eq!(after, before.into_iter().filter(|name| name.starts_with("store/")).collect::<Vec<_>>());
    }
}

/// Settings for whoever asks as the user of the store: by a rule of sudo that names them.
#[test]
fn who_may_only_ask_gets_files_in_one_folder_and_names_no_other_place() {
    let context = TestContext::new();
    context.load(&month("03"));
    context.put("phds.toml", "store = \"store\"\n[query]\nonly_into = \"shared\"\n");
    context.put("steward.toml", "store = \"store\"\n");
    context.put("questions.toml", "schema_version = 1\n[[release]]\nname = 'a'\nindicator = 'doses'\n");
    for folder in ["shared", "shared/deeper", "elsewhere"] {
        std::fs::create_dir(context.path(folder)).unwrap();
    }
    let ask = "query coverage --measure nis.mmr1 --by sex";
    for (command, said) in [
        (format!("{ask} --store store"), "`--store` cannot be given"),
        ("status --store store".to_owned(), "`--store` cannot be given"),
        (format!("{ask} --keep-in elsewhere"), "`--keep-in` cannot be given"),
        (format!("{ask} --audience public --out shared/t.csv"), "nothing is published"),
        (format!("{ask} --audience public --dry-run"), "nothing is published"),
        (format!("{ask} --out t.csv"), "does not lie in `shared`"),
        (format!("{ask} --out elsewhere/t.csv"), "does not lie in `shared`"),
        (format!("{ask} --out shared/../elsewhere/t.csv"), "does not lie in `shared`"),
        (format!("{ask} --out shared/../shared/t.csv"), "does not lie in `shared`"),
        ("query questions.toml --out elsewhere/new".to_owned(), "does not lie in `shared`"),
        ("query questions.toml --out shared/new/../../elsewhere/new".to_owned(), "does not lie in `shared`"),
        ("report --out elsewhere/page.html".to_owned(), "does not lie in `shared`"),
        (format!("--config phds.toml {ask} --config steward.toml"), "`--config` is given twice"),
        (format!("--config phds.toml {ask} --config=steward.toml"), "`--config` is given twice"),
    ] {
        let outcome = context.phds(&command).ended(2);
        assert!(outcome.stderr.contains(said) && outcome.stdout.is_empty(), "{command}: {}", outcome.stderr);
    }
    assert!(!context.path("store/releases").exists() && !context.path("store/ledger").exists());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(context.path("elsewhere"), context.path("shared/link")).unwrap();
        let said = context.phds(&format!("{ask} --out shared/link/t.csv")).ended(2).stderr;
        assert!(said.contains("does not lie in `shared`"), "{said}");
        std::fs::remove_file(context.path("shared/link")).unwrap();
    }
    for command in [
        format!("{ask} --format csv"),
        format!("{ask} --out shared/t.csv"),
        format!("{ask} --out shared/deeper/t.csv"),
        "query questions.toml --out shared/new/all".to_owned(),
        "report --questions questions.toml --out shared/page.html".to_owned(),
        "status".to_owned(),
        "dimensions".to_owned(),
        format!("--config steward.toml {ask} --out elsewhere/t.csv"),
    ] {
        context.phds(&command).done();
    }
}

#[cfg(unix)]
#[test]
fn only_plain_files_are_replaced() {
    let context = TestContext::new();
    context.load(&month("03"));
    context.put("target.csv", "kept");
    std::os::unix::fs::symlink("target.csv", context.path("link.csv")).unwrap();
    std::fs::create_dir(context.path("folder.csv")).unwrap();
    for name in ["link.csv", "folder.csv", "missing/table.csv"] {
        context.phds(&format!("{ASK} --out {name}")).ended(2);
    }
    assert_eq!(context.read("target.csv"), b"kept");
    assert!(!context.tree().iter().any(|name| name.ends_with("release.json") && !name.starts_with("store/")));
}

#[test]
fn a_dictionary_of_the_department_cannot_turn_identifiers_into_data() {
    for text in [
        "[[field]]\nname = \"first_name\"\nrole = \"attribute\"\ntable = \"clients\"\n",
        "[[field]]\nname = \"immunization_id\"\nrole = \"attribute\"\ntable = \"immunizations\"\n",
        "[[field]]\nname = \"first_name\"\nin_file = false\n[[field]]\nname = \"nick\"\nheader = \"FIRST NAME\"\n\
         title = \"\"\ndescription = \"\"\ntype = \"text\"\nrole = \"dimension\"\npresence = \"optional\"\n\
         pattern = \".*\"\ntable = \"clients\"\n",
    ] {
        let context = TestContext::new();
        context.put("own.toml", text);
        context.put("phds.toml", "[dictionary]\nfile = \"own.toml\"\n");
        context.put("month.csv", month("03").bytes());
        let said = context.phds(&format!("load month.csv --period {PERIOD} --store store")).ended(2).stderr;
        assert!(said.contains("must stay an identifier"), "{said}");
        assert!(!context.path("store").exists());
    }
}

#[test]
fn a_dictionary_of_the_department_keeps_what_the_program_stands_on() {
    let field = |rest: &str| format!("[[field]]\n{rest}\n");
    let new = |name: &str| {
        field(&format!(
            "name = \"{name}\"\nheader = \"EXTRA\"\ntitle = \"\"\ndescription = \"\"\ntype = \"text\"\nrole = \"attribute\"\n\
             presence = \"optional\"\ntable = \"immunizations\""
        ))
    };
    let dimension =
        |id: &str| format!("[[dimension]]\nid = \"{id}\"\nfield = \"birth_date\"\nlevel = \"year\"\ntitle = \"\"\n");
    for text in [
        field("name = \"client_id\"\npattern = \"1[0-9]*\""),
        field("name = \"client_id\"\nkeep_first = 3"),
        field("name = \"client_id\"\npresence = \"optional\""),
        field("name = \"vaccination_date\"\npresence = \"expected\""),
        field("name = \"birth_date\"\nin_file = false"),
        new("line"),
        new("client_key"),
        new("met_nis_mmr1"),
        new("Extra"),
        dimension("status"),
        dimension("Service-Area"),
        dimension("reaches_24_months"),
        dimension("decade") + "coarser = \"decade\"",
        dimension("decade") + "coarser = \"century\"",
        dimension("decade") + "coarser = \"sex\"\nwithin = \"sex\"",
        dimension("decade") + "within = \"birth_year\"\n[[dimension]]\nid = \"birth_year\"\ncoarser = \"decade\"",
    ] {
        let context = TestContext::new();
        context.put("own.toml", &text);
        context.put("phds.toml", "[dictionary]\nfile = \"own.toml\"\n");
        let said = context.phds("dictionary").ended(2).stderr;
        assert!(said.contains("dictionary"), "{text}\n{said}");
    }
}

#[test]
fn a_secret_in_the_settings_is_not_repeated() {
    for text in [
        "[accounts.phds]\npassword = \"hunter2\"\n",
        "[accounts.phds]\npassword = \"hunter2\n",
        "store = [\"hunter2\"]\n",
    ] {
        let context = TestContext::new();
        context.put("phds.toml", text);
        let said = context.phds("measures").ended(2).stderr;
        assert!(!said.contains("hunter2") && said.contains("line"), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_load_goes_on_when_nobody_can_read_its_messages() {
    let context = TestContext::new();
    context.put("month.csv", month("03").bytes());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_phds"))
        .args(["load", "month.csv", "--period", PERIOD, "--store", "store"])
        .current_dir(context.path(""))
        .stdout(Stdio::null())
        .stderr(full)
        .status()
        .unwrap();
    assert!(status.success());
    answer(&context);
}

/// A slip in a file of measures must not stop a timer that copies what the server removes.
#[test]
fn what_is_wrong_with_a_measure_stops_what_needs_measures_alone() {
    let context = TestContext::new();
    context.load(&month("03"));
    context.put("phds.toml", "store = 'store'\n[measures]\nfiles = ['gone.toml']\n");
    context.put("month.csv", month("04").bytes());
    for needs_none in ["status", "ledger", "population list", "rejects --period 2024-12 --out r.csv"] {
        context.phds(needs_none).done();
    }
    for needs_them in [ASK, "check month.csv --period 2025-01", "load month.csv --period 2025-01", "measures"] {
        let said = context.phds(needs_them).ended(2).stderr;
        assert!(said.contains("gone.toml"), "{needs_them}: {said}");
    }
    assert!(!context.path("store/deliveries/2025-01").exists(), "nothing is copied");
    let doctor = context.phds("doctor").ended(1);
    let seen = doctor.text();
    for line in ["note     account ", "PROBLEM  dictionary, rules and measures ", "good     store permissions "] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    context.phds("remove --period 2024-12").done();
}

#[test]
fn a_month_is_taken_out_of_the_store() {
    let context = TestContext::new();
    context.load(&month("03"));
    answer(&context);
    let of_month = || {
        let of = |folder: &str| context.path(&format!("store/{folder}/{PERIOD}")).exists();
        ["partitions", "reports", "deliveries"].map(of)
    };
    let ledger = context.read("store/ledger/000001.json");
    let outcome = context.phds(&format!("remove --store store --period {PERIOD}")).done();
    assert!(outcome.stderr.contains("its file stays in"), "{}", outcome.stderr);
    assert_eq!(of_month(), [false, false, true]);
    context.phds(ASK).ended(2);
    // What is there can be loaded again, and goes when it is asked for.
    context.load(&month("03"));
    answer(&context);
    context.phds(&format!("remove --store store --period {PERIOD} --delivery")).done();
    assert_eq!(of_month(), [false; 3]);
    assert_eq!(context.read("store/ledger/000001.json"), ledger);
    for more in ["", " --delivery"] {
        let outcome = context.phds(&format!("remove --store store --period {PERIOD}{more}")).ended(2);
        assert!(outcome.stderr.contains("there is nothing of 2024-12"), "{}", outcome.stderr);
    }
}

#[test]
fn a_month_that_is_not_over_is_a_slip_perhaps() {
    use chrono::Local;
    use phds::period::ReportingPeriod;
    let context = TestContext::new();
    context.put("month.csv", month("03").bytes());
    let now = ReportingPeriod::of(Local::now().date_naive());
    let over = |period: ReportingPeriod| (period.to_string(), "is not over");
    for ((period, words), is_told) in [
        (over(now.previous()), false),
        (over(now), true),
        ((now.next().to_string(), "has not begun"), true),
        (("2199-12".to_owned(), "has not begun"), true),
    ] {
        for command in [format!("load month.csv --store {period}"), "check month.csv".to_owned()] {
            let said = context.phds(&format!("{command} --period {period}")).done().stderr;
            assert_eq!(said.contains(&format!("{period} {words}")), is_told, "{said}");
        }
    }
}

#[test]
fn months_are_loaded_again_from_what_the_store_has() {
    let context = TestContext::new();
    for (name, day, period) in [("a.csv", "03", "2024-11"), ("b.csv", "04", PERIOD)] {
        context.put(name, month(day).bytes());
        context.phds(&format!("load {name} --store store --period {period}")).done();
        std::fs::remove_file(context.path(name)).unwrap();
    }
    let loaded = |period: &str| context.read(&format!("store/partitions/{period}/manifest.json"));
    let before = [loaded("2024-11"), loaded(PERIOD)];
    for (period, again) in [(" --period 2024-12", [false, true]), ("", [true, true])] {
        let now = [loaded("2024-11"), loaded(PERIOD)];
        let outcome = context.phds(&format!("load --again --store store{period}")).done();
        assert!(outcome.stderr.contains("loaded again"), "{}", outcome.stderr);
        assert_eq!([loaded("2024-11") != now[0], loaded(PERIOD) != now[1]], again, "{period}");
    }
    assert!(before[0] != loaded("2024-11"));
    // A file that is not what was loaded is not taken for it.
    context.put("store/deliveries/2024-12/b.csv", month("05").bytes());
    let outcome = context.phds("load --again --store store --period 2024-12").ended(3);
    assert!(outcome.stderr.contains("is not the file that was loaded"), "{}", outcome.stderr);
    context.phds("load --again --store store --period 2024-10").ended(2);
    context.phds("load --again --store store --host a.example.org").ended(2);
}

#[cfg(unix)]
#[test]
fn a_store_that_may_only_be_read_is_asked_and_never_published_from() {
    let context = TestContext::new();
    context.load(&month("03"));
    let table = answer(&context);
    context.set_writable("store", false);
    let in_store = || context.tree().into_iter().filter(|name| name.starts_with("store/")).collect::<Vec<_>>();
    let before = in_store();
    let run = |words: &str| context.phds_without_powers(words);

    // What is there can be read.
    assert!(run("ledger --store store").done().text().ends_with("1 release, 0 of them public; the chain is whole\n"));
    assert!(run("evidence --store store").done().text().contains("1 release in the ledger, 0 of them public"));
    run("status --store store").done();
    run(&format!("{ASK} --dry-run")).done();
    // The audit is done: all of the twenty are counted, which is not for everybody.
    let outlook = run(&format!("{ASK} --audience public --dry-run")).ended(1);
    assert!(outlook.stderr.contains("no row of this table can be published"), "{}", outlook.stderr);

    // An answer is kept somewhere, or not given.
    let refused = run(ASK).ended(3);
    assert!(
        refused.stdout.is_empty() && refused.stderr.contains("hint: name a folder for them: `--keep-in DIR`"),
        "{refused:?}"
    );
    let kept = run(&format!("{ASK} --keep-in typed")).done();
    assert_eq!(kept.text(), table);
    assert_eq!(kept.stderr, "`store` may only be read: kept in `typed`, and not noted in the ledger\n");
    context.put("phds.toml", "store = \"store\"\n[query]\nreleases = \"set\"\n");
    assert_eq!(run(ASK).done().text(), table);
    run("report --out page.html").done();
    let release =
        context.tree().into_iter().find(|name| name.starts_with("typed/") && name.ends_with("/table.csv")).unwrap();
    assert_eq!(context.read(&release), table.as_bytes());
    assert_eq!(context.read(&release.replace("typed", "set")), table.as_bytes());

    // What everybody will know is in the one ledger, or is not told.
    context.put("out/.keep", "");
    let refused = run(&format!("{ASK} --audience public --keep-in typed --out out/t.csv")).ended(3);
    assert!(refused.stderr.contains("the ledger of `store` cannot be written"), "{}", refused.stderr);
    assert!(!context.path("out/t.csv").exists());
    assert_eq!(in_store(), before);
    context.set_writable("store", true);
}

#[test]
fn releases_that_are_kept_elsewhere_are_noted_where_the_store_can_be_written() {
    let context = TestContext::new();
    context.load(&month("03"));
    let kept = context.phds(&format!("{ASK} --keep-in elsewhere")).done();
    assert_eq!(kept.stderr, "");
    assert!(!context.path("store/releases").exists());
    let entry = context.json("store/ledger/000001.json");
    let id = entry["release_id"].as_str().unwrap();
    assert_eq!(context.read(&format!("elsewhere/{id}/table.csv")), kept.stdout);
}

#[test]
fn months_that_are_loaded_again_are_one_document_as_json() {
    let context = TestContext::new();
    for period in ["2024-10", "2024-11"] {
        context.put("month.csv", Month::of(&format!("PROVIDER NAME\n{period}")).bytes());
        context.phds(&format!("load month.csv --period {period} --store store")).done();
    }
    let again = |words: &str, code: i32| -> serde_json::Value {
        let outcome = context.phds(&format!("load --again --store store --json {words}"));
        serde_json::from_slice(&outcome.ended(code).stdout).unwrap()
    };
    let report = |period: &str| context.json(&format!("store/reports/{period}/report.json"));
    assert_eq!(again("", 0), serde_json::json!([report("2024-10"), report("2024-11")]));
    // Also of one month, so that a reader need not count.
    assert_eq!(again("--period 2024-11", 0), serde_json::json!([report("2024-11")]));
    // Of those that came before one that cannot be loaded.
    context.put("store/deliveries/2024-11/month.csv", "changed");
    assert_eq!(again("", 3), serde_json::json!([report("2024-10")]));
}
