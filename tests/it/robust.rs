//! Loads that are killed, stopped or without room, and months of a shape that nobody expects.
//!
//! The store holds the old month or the new one, whole, and nothing of a run that failed stays. Memory is bounded.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[cfg(target_os = "linux")]
use crate::support::HEADER;
#[cfg(target_os = "linux")]
use crate::support::disk::SmallDisk;
use crate::support::{Month, PERIOD, TestContext};

const ASK: &str = "query coverage --store store --measure nis.mmr1 --by sex --format csv";
const FILES: [&str; 2] = ["one.csv", "two.csv"];

/// A store with a month, and the files of two, of which it holds one at any time.
struct TwoMonths<'a> {
    context: &'a TestContext,
    /// What each file's month answers.
    answers: [Vec<u8>; 2],
    /// SHA-256 of each file.
    digests: [String; 2],
    /// Place in [`FILES`] of the month that is loaded.
    loaded: usize,
    /// How long a load takes that nobody disturbs, with the copy of the file.
    takes: Duration,
}

impl<'a> TwoMonths<'a> {
    /// Both files have been loaded, the first one last.
    fn new(context: &'a TestContext, clients: u32) -> Self {
        for (seed, file) in (1..).zip(FILES) {
            context.phds(&format!("synth --clients {clients} --period {PERIOD} --seed {seed} --out {file}")).done();
        }
        let digests = FILES.map(|file| phds::fs::sha256_of_file(&context.path(file)).unwrap().1);
        let mut months = Self { context, answers: Default::default(), digests, loaded: 0, takes: Duration::ZERO };
        for at in [1, 0] {
            let begun = Instant::now();
            months.context.phds(&load(at)).done();
            months.takes = begun.elapsed();
            months.answers[at] = months.context.phds(ASK).done().stdout;
        }
        assert_ne!(months.answers[0], months.answers[1]);
        months
    }

    /// Begins to load the file whose month is not loaded.
    fn spawn(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_phds"))
            .args(load(1 - self.loaded).split_whitespace())
            .current_dir(self.context.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Looks which of the two months is loaded: by its answer, its manifest, its files and `phds status`, which must agree.
    #[track_caller]
    fn look(&mut self) {
        let answer = self.context.phds(ASK).done().stdout;
        let known = self.answers.iter().position(|known| *known == answer);
        self.loaded = known.expect("a month that was never delivered");
        let manifest = self.manifest();
        assert_eq!(manifest["delivery"]["sha256"], self.digests[self.loaded]);
        for file in files(&manifest) {
            let path = self.context.path(&format!("store/partitions/{PERIOD}/{}", file["path"].as_str().unwrap()));
            let (bytes, sha256) = phds::fs::sha256_of_file(&path).unwrap();
            assert!(file["bytes"] == bytes && file["sha256"] == sha256, "{} is not what it was", file["path"]);
        }
        let status: Value =
            serde_json::from_slice(&self.context.phds("status --store store --json").done().stdout).unwrap();
        assert_eq!(status["months"][0]["loaded"]["sha256"], self.digests[self.loaded]);
        assert_eq!(status["months"][0]["loaded"]["rows"], manifest["totals"]);
    }

    /// Loads the second month onto a full disk: `None` if it had room. Else the error, and no draft is left over.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn load_without_room(&self) -> Option<String> {
        let outcome = self.context.phds(&load(1));
        if outcome.code == Some(0) {
            return None;
        }
        let said = outcome.ended(3).stderr;
        assert!(said.contains("make room on that disk and try again"), "{said}");
        assert_eq!(self.left_over(false), Vec::<String>::new(), "{said}");
        said.lines().find(|line| line.starts_with("error")).map(str::to_owned)
    }

    /// With room again, the second month is there if its load had room, and else the first. Goes back to the first.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn back_to_the_first(&mut self, had_room: bool) {
        self.look();
        assert_eq!(self.loaded == 1, had_room);
        if had_room {
            self.load_other();
        }
    }

    fn manifest(&self) -> Value {
        self.context.json(&format!("store/partitions/{PERIOD}/manifest.json"))
    }

    /// Loads the other file without a disturbance: it is there, and nothing but it.
    #[track_caller]
    fn load_other(&mut self) {
        let other = 1 - self.loaded;
        self.context.phds(&load(other)).done();
        self.look();
        assert_eq!(self.loaded, other);
        assert_eq!(self.left_over(true), Vec::<String>::new());
    }

    /// What lies in the store and belongs to no month: drafts, and Parquet that no manifest names when that is asked for.
    /// Parts of deliveries are kept on purpose.
    fn left_over(&self, nameless: bool) -> Vec<String> {
        let folder = format!("store/partitions/{PERIOD}/");
        let manifest = self.manifest();
        let mut known: Vec<_> = files(&manifest).map(|file| file["path"].as_str().unwrap().to_owned()).collect();
        known.extend(["", "clients/", "immunizations/", "manifest.json", ".lock"].map(str::to_owned));
        let is_known =
            |name: &str| name.strip_prefix(&folder).is_none_or(|name| known.iter().any(|known| known == name));
        let is_left = |name: &String| name.contains(".phds-") || nameless && !is_known(name);
        self.context.tree().into_iter().filter(is_left).collect()
    }
}

fn load(at: usize) -> String {
    format!("load {} --period {PERIOD} --store store", FILES[at])
}

fn files(manifest: &Value) -> impl Iterator<Item = &Value> {
    ["clients", "immunizations"].into_iter().flat_map(|table| manifest[table]["files"].as_array().unwrap())
}

/// Moments that nobody chose, the same in every run.
struct Moments(u64);

impl Moments {
    /// From the beginning to a little after the end of a load.
    fn next(&mut self, takes: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        takes.mul_f64(f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX) * 1.1)
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_month_or_the_new_one() {
    let kills = std::env::var("PHDS_KILLS").map_or(40, |text| text.parse().expect("PHDS_KILLS is a number"));
    let context = TestContext::new();
    let mut months = TwoMonths::new(&context, 2_000);
    let mut moments = Moments(1);
    let mut new = 0;
    for kill in 1..=kills {
        // Half of the loads copy the file first, or go on with what a killed one copied.
        if kill % 2 == 0 {
            // It is not there when the load before was killed early.
            let _ = std::fs::remove_dir_all(months.context.path("store/deliveries"));
        }
        let before = months.loaded;
        let mut run = months.spawn();
        std::thread::sleep(moments.next(months.takes));
        run.kill().unwrap();
        run.wait().unwrap();
        months.look();
        new += usize::from(months.loaded != before);
        if kill % 10 == 0 {
            months.load_other();
        }
    }
    months.load_other();
    eprintln!("{kills} kills of loads of {:?}: {new} had changed the month", months.takes);
}

#[cfg(unix)]
#[test]
fn ctrl_c_at_any_moment_ends_a_load_at_once_and_cleans_up() {
    let context = TestContext::new();
    let mut months = TwoMonths::new(&context, 10_000);
    let mut moments = Moments(2);
    let mut stopped = 0;
    for _ in 0..12 {
        // A load that was stopped at once has made none.
        let deliveries = months.context.path("store/deliveries");
        if deliveries.exists() {
            std::fs::remove_dir_all(deliveries).unwrap();
        }
        let mut run = months.spawn();
        std::thread::sleep(moments.next(months.takes));
        Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = run.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "a load goes on after Ctrl-C");
            std::thread::sleep(Duration::from_millis(5));
        };
        // A signal may come after the end, and one in the first milliseconds before anybody listens.
        let code = status.code();
        let before_the_first_line = code.is_none();
        assert!(matches!(code, Some(0 | 130)) || before_the_first_line, "{status}");
        stopped += usize::from(code == Some(130));
        months.look();
        assert_eq!(months.left_over(false), Vec::<String>::new());
    }
    months.load_other();
    assert!(stopped >= 4, "{stopped} of 12 loads were stopped");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_any_stage_leaves_the_old_month() {
    let context = TestContext::new();
    let root = context.path("store");
    let Some(disk) = SmallDisk::mount(&root, 120) else {
        eprintln!("this user may not mount a small disk: the test of a full one is left out");
        return;
    };
    let mut months = TwoMonths::new(&context, 2_000);

    // No room for the copy of the delivery.
    std::fs::remove_dir_all(root.join("deliveries")).unwrap();
    disk.fill("filler", 70_000_000);
    let said = months.context.phds(&load(1)).ended(3).stderr;
    assert!(said.contains("MB free; the rest of the file needs 7 MB, and 67 MB are to stay free"), "{said}");
    months.look();
    assert_eq!(months.loaded, 0);
    std::fs::remove_file(root.join("filler")).unwrap();

    // The copy is there, and room for a part of the rest: from nothing on to what is enough, then ever nearer to that.
    months.load_other();
    months.load_other();
    let (mut too_little, mut enough, mut places) = (0, None, Vec::new());
    while enough.is_none_or(|enough| enough - too_little > 8192) {
        let free = enough.map_or(16_384 + too_little * 3, |enough: u64| too_little.midpoint(enough)) & !4095;
        disk.fill("filler", free);
        let said = months.load_without_room();
        std::fs::remove_file(root.join("filler")).unwrap();
        months.back_to_the_first(said.is_none());
        match said {
            None => enough = Some(free),
            Some(said) => {
                too_little = free;
                places.push(format!("{free} bytes free: {said}"));
            }
        }
    }

    // The same with files in place of bytes, so that each new file is once the one too many.
    for free in 0.. {
        disk.crowd("fillers", free);
        let said = months.load_without_room();
        std::fs::remove_dir_all(root.join("fillers")).unwrap();
        months.back_to_the_first(said.is_none());
        let Some(said) = said else { break };
        places.push(format!("{free} files free: {said}"));
    }
    eprintln!("{places:#?}");
    assert!(places.len() > 10);
}

/// `phds check` sets rows aside in the folder for temporary files, if it has to.
#[cfg(target_os = "linux")]
#[test]
fn a_check_without_room_for_temporary_files_says_so() {
    let context = TestContext::new();
    let scratch = context.path("scratch");
    let Some(_disk) = SmallDisk::mount(&scratch, 1) else {
        eprintln!("this user may not mount a small disk: the test of a full one is left out");
        return;
    };
    context.phds(&format!("synth --clients 50000 --period {PERIOD} --seed 1 --out one.csv")).done();
    let variables = [("TMPDIR", scratch.to_str().unwrap())];
    let outcome = context.run_with(&variables, &["check", "one.csv", "--period", PERIOD, "--memory", "64MiB"]).ended(3);
    assert!(outcome.stderr.contains("make room on that disk and try again"), "{}", outcome.stderr);
    assert_eq!(outcome.text(), "");
}

/// Loads a file into `store` as the program does, and tells the peak of its resident memory in bytes.
#[cfg(target_os = "linux")]
fn load_measured(context: &TestContext, month: &[u8]) -> (Option<i32>, String, u64) {
    const MEASURE: &str = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); \
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=open('peak', 'w')); sys.exit(code)";
    context.put("month.csv", month);
    let output = Command::new("python3")
        .args(["-c", MEASURE, env!("CARGO_BIN_EXE_phds")])
        .args(["load", "month.csv", "--period", PERIOD, "--store", "store"])
        .current_dir(context.path(""))
        .output()
        .unwrap();
    let kibibytes: u64 = String::from_utf8(context.read("peak")).unwrap().trim().parse().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), said, kibibytes * 1024)
}

/// Loads a month of a strange shape: rows accepted and rejected, and clients.
#[cfg(target_os = "linux")]
#[track_caller]
fn loaded_in_bounds(name: &str, month: &[u8], accepted: u64, rejected: u64, clients: u64) {
    let context = TestContext::new();
    // An organization for each client is refused as a rule.
    context.put("phds.toml", "[check.severity.PHDS-P03]\nseverity = 'review'\nreason = 'skewed on purpose'\n");
    let (code, said, peak) = load_measured(&context, month);
    let totals = format!("{} rows read = {accepted} accepted + {rejected} rejected", accepted + rejected);
    assert!(code == Some(0) && said.contains(&totals), "{name}: {code:?}\n{said}");
    let manifest = context.json(&format!("store/partitions/{PERIOD}/manifest.json"));
    assert_eq!(
        (&manifest["immunizations"]["rows"], &manifest["clients"]["rows"]),
        (&accepted.into(), &clients.into()),
        "{name}"
    );
    assert!(peak < 1 << 30, "{name}: {peak} bytes of memory");
    context.phds(ASK).done();
}

/// A day of the years 2018 to 2024, by a number.
#[cfg(target_os = "linux")]
fn day(number: u32) -> String {
    let first = chrono::NaiveDate::from_ymd_opt(2018, 6, 16).unwrap();
    (first + chrono::Days::new((number % 2_300).into())).to_string()
}

#[cfg(target_os = "linux")]
#[test]
fn skewed_months_are_loaded_in_bounded_memory() {
    const ROWS: u32 = 100_000;
    let rows = |columns: &str, row: &dyn Fn(u32) -> String| {
        let rows: Vec<_> = (0..ROWS).map(row).collect();
        Month::of(&format!("{columns}\n{}", rows.join("\n")))
    };
    let one_client = rows("CLIENT ID | BIRTH DATE | VACCINATION DATE", &|n| format!("c | 2018-06-15 | {}", day(n)));
    let one_organization = Month::of(&format!("times\n{ROWS}"));
    let all_differs = rows(
        "BIRTH DATE | FIRST NAME | ZIP CODE | VACCINE ID | VACCINATION DATE | GIVEN BY ORG ID | PROVIDER NAME | SHORT NAME | \
         RESPONSIBLE ENTITY | PROVIDER STREET ADDRESS | PROVIDER CITY | PROVIDER ZIP CODE",
        &|n| {
            format!(
                "2018-06-15 | F{n} | {n:05} | {n} | {} | {} | Clinic {n} | S{n} | Entity {n} | {n} Road | City {n} | {n:05}",
                day(n),
                1_000_000_000 + n
            )
        },
    );
    let all_equals = Month::of(&format!("CLIENT ID | IMMUNIZATION ID | IMMUNFACT ID | times\nc | 82 | 93 | {ROWS}"));
    for (name, month, clients) in [
        ("one client", one_client, 1),
        ("one organization", one_organization, ROWS),
        ("every value differs", all_differs, ROWS),
        ("every value equals", all_equals, 1),
    ] {
        loaded_in_bounds(name, month.bytes(), ROWS.into(), 0, clients.into());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ten_megabytes_in_one_field_cost_no_more_than_their_row() {
    // Dates and whole numbers. The others are text, or a code that is not in its list and so no value.
    const REJECTED: [&str; 4] = ["BIRTH DATE", "VACCINATION DATE", "ORDINAL POSITION", "AGE IN MONTHS"];
    let long = "x".repeat(10_000_000);
    let month = String::from_utf8(Month::of("times\n41").bytes().to_vec()).unwrap();
    let (others, last) = month.trim_end().rsplit_once('\n').unwrap();
    for (at, column) in HEADER.into_iter().enumerate() {
        let mut fields: Vec<_> = last.split(',').collect();
        fields[at] = &long;
        let rejected = u64::from(REJECTED.contains(&column));
        let month = format!("{others}\n{}\n", fields.join(","));
        loaded_in_bounds(column, month.as_bytes(), 41 - rejected, rejected, 41 - rejected);
    }
    let lines = "x\\n".repeat(5_000_000);
    let month = Month::of(&format!("clients | PROVIDER NAME\n40 a | Sunrise Clinic\n1 b | {lines}"));
    loaded_in_bounds("five million lines", month.bytes(), 41, 0, 41);
}

#[test]
fn a_month_of_one_row_and_months_of_none() {
    let context = TestContext::new();
    context.load(&Month::of("times\n1"));
    let said = context.phds(ASK).done().text();
    assert!(said.ends_with("\nFemale,nis.mmr1,,,,,,suppressed,internal\n"), "{said}");

    // No row of these is accepted: the month of one row stays.
    for (month, why) in [("VACCINATION DATE | times\nsoon | 1000", "PHDS-P01"), ("times\n0", "PHDS-S05")] {
        context.put("bad.csv", Month::of(month).bytes());
        let said = context.phds(&format!("load bad.csv --period {PERIOD} --store store")).ended(1).stderr;
        assert!(said.contains(why), "{said}");
        assert_eq!(context.phds(ASK).done().text().lines().count(), 2);
    }

    // A department may take a month in which every row is rejected. Its tables are there and have no row.
    context.put(
        "phds.toml",
        "[check]\nmax_rejected_share = 1.0\n[check.severity.PHDS-P02]\nseverity = 'review'\nreason = 'wanted empty'\n",
    );
    context.put("bad.csv", Month::of("VACCINATION DATE | times\nsoon | 1000").bytes());
    let said = context.phds(&format!("load bad.csv --period {PERIOD} --store store")).done();
    assert!(said.text().contains("1000 rows read = 0 accepted + 1000 rejected"), "{}", said.text());
    for format in ["csv", "json", "table"] {
        context.phds(&ASK.replace("csv", format)).done();
    }
    assert_eq!(context.phds(ASK).done().text().lines().count(), 1, "the header alone");
}
