//! Twenty-four ways to learn of few clients from tables of counts, tried with what the program gives out: tables, messages,
//! exit codes and files.
//!
//! The months are small, so that a reader knows the truth. Two attackers compute. One adds and subtracts shown numbers
//! ([`Attack`]); what he gets must not be a number of 1 to k - 1. He begins with each table by itself, internally, which
//! shows that there is something to get. The other knows all shown numbers, all totals and that no count is below zero
//! ([`Known`]), and finds from what to what each withheld number can be; that must be wide. He shares no code with the
//! program.
//!
//! A leak that becomes known is a test here with `#[ignore]` until it is closed.

mod known;
mod store;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use regex::Regex;
use serde_json::Value;

use self::known::{Known, is_hidden_well};
use self::together::WITH_MMR;
use crate::support::{Month, Outcome, PERIOD, Table, TestContext, csv_rows};

/// The policy: no number of 1 to K - 1, and W values for a withheld one.
const K: u64 = 11;
const W: u64 = 3;

/// The month after [`PERIOD`].
const NEXT: &str = "2025-01";

const COVERAGE: &str = "coverage --measure nis.mmr1 --by";

/// In time, late, and never: what an MMR dose on these days is for a client born in June of 2021. The other vaccine makes a
/// client of somebody who had none.
const CALENDAR: [(&str, &str, &str); 3] =
    [("yes", "2022-07-01", "03"), ("late", "2024-01-01", "03"), ("no", "2022-07-01", "20")];

/// A month of clients; the column `mmr` says `yes`, `late` or `no`.
fn month(table: &str) -> Month {
    let mut table = Table::parse(table);
    let Some(at) = table.columns.iter().position(|column| column == "mmr") else {
        return Month::shaped(&table, <_>::default());
    };
    table.columns.extend(["VACCINATION DATE".to_owned(), "CVX CODE".to_owned()]);
    table.columns.remove(at);
    for row in &mut table.rows {
        let word = row.remove(at);
        let (_, day, code) = CALENDAR.iter().find(|(known, ..)| *known == word).expect("yes, late or no");
        row.extend([(*day).to_owned(), (*code).to_owned()]);
    }
    Month::shaped(&table, <_>::default())
}

/// A store with months, the first of which is [`PERIOD`] and the second [`NEXT`].
pub fn store_of(months: &[&str]) -> TestContext {
    let context = TestContext::new();
    for (text, period) in months.iter().zip([PERIOD, NEXT]) {
        deliver(&context, text, period);
    }
    context
}

/// The later month is another file, by a line without anything: the same one is not loaded twice.
pub fn deliver(context: &TestContext, text: &str, period: &str) {
    let line = if period == PERIOD { "" } else { "\n" };
    context.put("month.csv", [month(text).bytes(), line.as_bytes()].concat());
    context.phds(&format!("load month.csv --period {period} --store store")).done();
}

/// Asks in the words of the command line; `2025-01: …` of that month.
pub fn query(context: &TestContext, ask: &str, further: &str) -> Outcome {
    let (period, words) = ask.split_once(": ").unwrap_or((PERIOD, ask));
    let words = format!("query {words} --period {period} --store store --format csv");
    // What is published has a file, and its table is looked at here like one that is printed.
    if further == "--audience public" { context.publish(&words) } else { context.phds(&format!("{words} {further}")) }
}

/// What a table shows: for each row, its labels with `/` between, and its counts; none where it is withheld.
pub type Shown = BTreeMap<String, Option<BTreeMap<String, u64>>>;

pub fn shown(csv: &[u8]) -> Shown {
    let mut rows = csv_rows(csv);
    let columns = rows.remove(0);
    let is_count =
        |name: &str| ["numerator", "denominator", "persons", "doses", "at_risk", "events", "censored"].contains(&name);
    let first = columns.iter().position(|name| is_count(name)).unwrap();
    let table = rows.iter().map(|row| {
        let labels = row[..first].iter().zip(&columns).filter(|(_, column)| *column != "measure");
        let labels: Vec<_> = labels.map(|(label, _)| label.as_str()).collect();
        let counts = row.iter().zip(&columns).filter(|(_, column)| is_count(column));
        let counts: Option<BTreeMap<_, _>> =
            counts.map(|(count, column)| Some((column.clone(), count.parse().ok()?))).collect();
        (labels.join("/"), counts)
    });
    table.collect()
}

/// What is published of a question: a table, or a refusal that tells nothing.
#[track_caller]
pub fn publish(context: &TestContext, ask: &str) -> Option<Shown> {
    let outcome = query(context, ask, "--audience public");
    if outcome.code == Some(0) {
        let table = shown(&outcome.stdout);
        for (labels, counts) in &table {
            let Some(counts) = counts else { continue };
            let (n, d) = (counts["numerator"], counts["denominator"]);
            assert!(n >= K && d >= n + K, "{ask}: {n} of {d} in {labels}");
        }
        return Some(table);
    }
    is_refusal(&outcome);
    None
}

/// Notes a table of [`PERIOD`] as known from elsewhere.
fn know(context: &TestContext, ask: &str) -> Outcome {
    context.phds(&format!("ledger know {ask} --period {PERIOD} --store store --source State"))
}

/// Exit code 1, nothing printed as data, a rule is named and no number but those of the policy and of releases.
#[track_caller]
pub fn is_refusal(outcome: &Outcome) {
    assert_eq!((outcome.code, outcome.text().as_str()), (Some(1), ""), "{}\n{}", outcome.command, outcome.stderr);
    let known = Regex::new(r"[0-9a-f]{16}|\d{4}-\d\d|\d{6}\.json|`ask-\d`").unwrap();
    let rest = known.replace_all(&outcome.stderr, "");
    assert!(!rest.contains(|c: char| c.is_ascii_digit()), "{}\n{}", outcome.command, outcome.stderr);
    let names_a_rule = [
        "few clients",
        "small counts",
        "known too well",
        "not for the public",
        "do not nest",
        "could not be compared",
        "ledger",
    ];
    assert!(names_a_rule.iter().any(|rule| rest.contains(rule)), "{}", outcome.stderr);
    assert!(rest.contains("hint: "), "{}", outcome.stderr);
}

/// Numbers of several tables that are added and subtracted.
struct Attack {
    what: &'static str,
    months: &'static [&'static str],
    /// Questions, as [`query`] takes them.
    asks: &'static [&'static str],
    /// `0 Travis/Female numerator`: from the first table, this number of this row.
    plus: &'static [&'static str],
    minus: &'static [&'static str],
    /// What comes out, where everything is shown.
    people: i64,
}

impl Attack {
    /// What comes out of tables; nothing where a number is missing.
    fn told(&self, tables: &[Option<Shown>]) -> Option<i64> {
        let number = |term: &&str| {
            let (at, rest) = term.split_once(' ').unwrap();
            let (labels, count) = rest.rsplit_once(' ').unwrap();
            let labels = &labels.replace("{WITH_MMR}", WITH_MMR);
            let counts = tables[at.parse::<usize>().unwrap()].as_ref()?.get(labels)?.as_ref()?;
            i64::try_from(counts[count]).ok()
        };
        let sum = |terms: &[&str]| terms.iter().map(number).sum::<Option<i64>>();
        Some(sum(self.plus)? - sum(self.minus)?)
    }

    /// Each table by itself, for the staff: together they tell.
    #[track_caller]
    fn is_real(&self, context: &TestContext) {
        let alone = self.asks.iter().map(|ask| Some(shown(&query(context, ask, "").done().stdout)));
        assert_eq!(self.told(&alone.collect::<Vec<_>>()), Some(self.people), "{}: this is no attack", self.what);
        assert!((1..K.cast_signed()).contains(&self.people), "{}", self.what);
    }

    fn leak(&self, how: &str, tables: &[Option<Shown>]) -> Option<String> {
        let told = self.told(tables)?;
        let is_few = (1..K).contains(&told.unsigned_abs());
        is_few.then(|| format!("{}, {how}: {told} clients", self.what))
    }

    /// Published one after the other, and the other way round.
    #[track_caller]
    fn in_public(&self) -> Vec<String> {
        let context = store_of(self.months);
        self.is_real(&context);
        let tables: Vec<_> = self.asks.iter().map(|ask| publish(&context, ask)).collect();
        assert!(
            tables.iter().flatten().any(|table| table.values().any(Option::is_some)),
            "{}: all is empty",
            self.what
        );
        let context = store_of(self.months);
        let mut turned: Vec<_> = self.asks.iter().rev().map(|ask| publish(&context, ask)).collect();
        turned.reverse();
        let leaks = [self.leak("published", &tables), self.leak("published from the last to the first", &turned)];
        leaks.into_iter().flatten().collect()
    }

    /// For the staff, in one file of questions, and in another with the last one first.
    #[track_caller]
    fn in_one_run(&self) -> Vec<String> {
        let context = store_of(self.months);
        self.is_real(&context);
        let run = |asks: &[&str]| -> Vec<Option<Shown>> {
            context.put("asks.toml", file_of(asks));
            context.phds("query asks.toml --store store --out out").done();
            let table = |at| Some(shown(&context.read(&format!("out/ask-{at}/table.csv"))));
            (0..asks.len()).map(table).collect()
        };
        let tables = run(self.asks);
        let mut turned = run(&self.asks.iter().rev().copied().collect::<Vec<_>>());
        turned.reverse();
        let leaks = [self.leak("in one run", &tables), self.leak("in one run from the last to the first", &turned)];
        leaks.into_iter().flatten().collect()
    }
}

/// No attack gets anything.
#[track_caller]
fn none_works<'a>(attacks: impl IntoIterator<Item = &'a Attack>, way: fn(&Attack) -> Vec<String>) {
    let leaks: Vec<_> = attacks.into_iter().flat_map(way).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// A file of questions from the words of the command line.
fn file_of(asks: &[&str]) -> String {
    let list = |values: &str| format!("{:?}", values.split(',').collect::<Vec<_>>());
    let mut file = "schema_version = 1\n".to_owned();
    for (at, ask) in asks.iter().enumerate() {
        let mut words = ask.split_whitespace();
        writeln!(file, "[[release]]\nname = \"ask-{at}\"\nindicator = \"{}\"", words.next().unwrap()).unwrap();
        let mut filters = String::new();
        while let Some(flag) = words.next() {
            let value = words.next().unwrap();
            match flag {
                "--by" | "--denominator" => writeln!(file, "{} = {}", &flag[2..], list(value)).unwrap(),
                "--as-of" => writeln!(file, "as_of = \"{value}\"").unwrap(),
                "--where" => {
                    let (dimension, values) = value.split_once('=').unwrap();
                    writeln!(filters, "{dimension} = {}", list(values)).unwrap();
                }
                _ => writeln!(file, "{} = {value:?}", &flag[2..]).unwrap(),
            }
        }
        if !filters.is_empty() {
            writeln!(file, "[release.where]\n{filters}").unwrap();
        }
    }
    file
}

// 1 and 9: totals and lines.

/// Three of Travis are boys; there are no small numbers else.
const THREE_BOYS: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    40 a    | Bell          | F        | yes
    40 b    | Bell          | F        | no
    40 c    | Bell          | M        | yes
    40 d    | Bell          | M        | no
    30 e    | Hays          | F        | yes
    30 f    | Hays          | F        | no
    30 g    | Hays          | M        | yes
    30 h    | Hays          | M        | no
    20 i    | Travis        | F        | yes
    20 j    | Travis        | F        | no
    2 k     | Travis        | M        | yes
    1 l     | Travis        | M        | no";

/// Comal has seven, five of whom are counted.
const SMALL_COUNTY: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    40 a    | Bell          | F        | yes
    40 b    | Bell          | M        | no
    30 c    | Hays          | F        | yes
    30 d    | Hays          | M        | no
    20 e    | Travis        | F        | yes
    20 f    | Travis        | M        | no
    5 g     | Comal         | F        | yes
    2 h     | Comal         | F        | no";

#[test]
fn totals_less_what_is_shown() {
    let tables = ["county", "sex", "county,sex", "region"].map(|by| format!("{COVERAGE} {by}"));
    let [county, sex, both, region] = [0, 1, 2, 3].map(|at| tables[at].as_str());
    is_hidden_well("1. one way", SMALL_COUNTY, &[county], 0);
    for asks in [[county, sex, both], [both, county, sex], [sex, both, county]] {
        is_hidden_well("1. two ways", THREE_BOYS, &asks, 0);
    }
    assert!(publish(&store_of(&[SMALL_COUNTY]), region).is_none(), "6. a region with one small county left");
}

/// By county and race, each line has two small numbers: the four make a circle, or else one of them would follow.
#[test]
fn lines_with_two_withheld_numbers() {
    let cells = "
        clients | CLIENT COUNTY | RACE AND ETHNICITY | mmr
        5 a     | Bell          | Asian              | yes
        6 b     | Bell          | Hispanic           | yes
        30 c    | Bell          | White              | yes
        30 d    | Bell          | Asian              | no
        30 e    | Bell          | Hispanic           | no
        30 f    | Bell          | White              | no
        7 g     | Hays          | Asian              | yes
        40 h    | Hays          | Hispanic           | yes
        4 i     | Hays          | White              | yes
        30 j    | Hays          | Asian              | no
        30 k    | Hays          | Hispanic           | no
        30 l    | Hays          | White              | no
        50 m    | Travis        | Asian              | yes
        8 n     | Travis        | Hispanic           | yes
        9 o     | Travis        | White              | yes
        30 p    | Travis        | Asian              | no
        30 q    | Travis        | Hispanic           | no
        30 r    | Travis        | White              | no";
    let [county, race, both] =
        ["county", "race_ethnicity", "county,race_ethnicity"].map(|by| format!("{COVERAGE} {by}"));
    for asks in [[&county, &race, &both], [&both, &county, &race], [&race, &both, &county]] {
        is_hidden_well("9", cells, &asks.map(String::as_str), 0);
    }
}

// 2 and 3: all less a part, and filters that differ by one value.

/// Some clients of each county are of unknown sex; few in Travis.
const UNKNOWN: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    40 a    | Bell          | F        | yes
    40 b    | Bell          | F        | no
    40 c    | Bell          | M        | yes
    40 d    | Bell          | M        | no
    20 e    | Bell          | U        | yes
    20 f    | Bell          | U        | no
    40 g    | Travis        | F        | yes
    40 h    | Travis        | F        | no
    40 i    | Travis        | M        | yes
    40 j    | Travis        | M        | no
    2 k     | Travis        | U        | yes
    4 l     | Travis        | U        | no";

/// Four of Comal, at the clinic of the others of Travis.
const FOUR_MORE: &str = "
    clients | CLIENT COUNTY | ZIP CODE | SEX CODE | GIVEN BY ORG ID | mmr
    40 a    | Travis        | 78701    | F        | 1000000001      | yes
    40 b    | Travis        | 78701    | M        | 1000000001      | no
    30 c    | Hays          | 78610    | F        | 1000000002      | yes
    30 d    | Hays          | 78610    | M        | 1000000002      | no
    2 e     | Comal         | 78130    | F        | 1000000003      | yes
    2 f     | Comal         | 78130    | M        | 1000000003      | no
    25 g    | Bell          | 76501    | F        | 1000000004      | yes
    25 h    | Bell          | 76501    | M        | 1000000004      | no";

/// Nobody is late but five of Travis, who had the dose between the two birthdays.
const FIVE_LATE: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    50 a    | Hays          | F        | yes
    50 b    | Hays          | F        | no
    50 c    | Hays          | M        | yes
    50 d    | Hays          | M        | no
    30 e    | Travis        | F        | yes
    20 f    | Travis        | F        | no
    30 g    | Travis        | M        | yes
    20 h    | Travis        | M        | no
    5 i     | Travis        | F        | late";

/// What is asked first, and what is asked of a part of it.
const PARTS: [Attack; 6] = [
    Attack {
        what: "2. all, then girls",
        months: &[THREE_BOYS],
        asks: &["coverage --measure nis.mmr1 --by county", "coverage --measure nis.mmr1 --by county --where sex=F"],
        plus: &["0 Travis denominator"],
        minus: &["1 Travis denominator"],
        people: 3,
    },
    Attack {
        what: "2. with and without Unknown",
        months: &[UNKNOWN],
        asks: &["coverage --measure nis.mmr1 --by county", "coverage --measure nis.mmr1 --by county --where sex=F,M"],
        plus: &["0 Travis denominator"],
        minus: &["1 Travis denominator"],
        people: 6,
    },
    Attack {
        what: "3. with one county more",
        months: &[FOUR_MORE],
        asks: &[
            "coverage --measure nis.mmr1 --by birth_year --where county=Travis,Hays,Comal",
            "coverage --measure nis.mmr1 --by birth_year --where county=Travis,Hays",
        ],
        plus: &["0 2021 denominator"],
        minus: &["1 2021 denominator"],
        people: 4,
    },
    Attack {
        what: "3. with one ZIP code more, of another measure",
        months: &[FOUR_MORE],
        asks: &[
            "coverage --measure nis.mmr1 --by birth_year --where zip=78701,78130",
            "coverage --measure nis35.mmr1 --by birth_year --where zip=78701",
        ],
        plus: &["0 2021 denominator"],
        minus: &["1 2021 denominator"],
        people: 4,
    },
    Attack {
        what: "1. all together, less the counties that are shown",
        months: &[SMALL_COUNTY],
        asks: &["coverage --measure nis.mmr1", "coverage --measure nis.mmr1 --by county"],
        plus: &["0  numerator"],
        minus: &["1 Bell numerator", "1 Hays numerator", "1 Travis numerator"],
        people: 5,
    },
    Attack {
        what: "3. two measures, of which one needs the other",
        months: &[FIVE_LATE],
        asks: &["coverage --measure nis.mmr1 --by county", "coverage --measure nis35.mmr1 --by county"],
        plus: &["1 Travis numerator"],
        minus: &["0 Travis numerator"],
        people: 5,
    },
];

#[test]
fn all_less_a_part() {
    none_works(&PARTS, Attack::in_public);
    none_works(&PARTS, Attack::in_one_run);
}

// 4, 5, 17 and 24: what the language does not have.

#[test]
fn what_cannot_be_asked() {
    let context = store_of(&[THREE_BOYS]);
    let dimension = |by: &str| vec!["--by".to_owned(), by.to_owned()];
    let filter = |filter: &str| vec!["--by".to_owned(), "county".to_owned(), "--where".to_owned(), filter.to_owned()];
    let flags = |flags: &str| dimension("county").into_iter().chain(flags.split(' ').map(str::to_owned)).collect();
    let asks: Vec<Vec<String>> = [
        // Trackers: not, or, and the same dimension twice.
        vec![
            filter("sex!=F"),
            filter("not sex=F"),
            filter("sex=F or county=Hays"),
            filter("sex=F|county=Hays"),
            filter("sex=!F"),
        ],
        vec![flags("--where sex=F --where sex=M"), filter("sex=F,county=Hays"), filter("sex=*"), filter("sex=")],
        // Bands and free ranges.
        ["age/2", "age_band", "birth_year/2", "birth_date", "birth_month"].map(dimension).into(),
        [
            "birth_year=2018-2021",
            "birth_year>2019",
            "birth_year<=2020",
            "birth_date=2021-06-15",
            "age=0-19",
            "age<3 years",
            "numerator=3",
        ]
        .map(filter)
        .into(),
        vec![flags("--as-of 2024-12-30")],
        // Another threshold, or none; other orders and forms.
        ["--k 2", "--min-cell 1", "--no-suppress", "--raw", "--sort numerator", "--limit 1", "--total", "--having 3"]
            .map(flags)
            .into(),
        // Columns that are persons, and what makes columns.
        ["client_id", "first_name", "last_name", "immunization_id", "provider_name", "short_name", "street"]
            .map(dimension)
            .into(),
        [
            "lower(county)",
            "county AS x",
            "county::text",
            "CAST(birth_date AS text)",
            "/.*/",
            "*",
            "1",
            "county;--",
            "\"county\"",
        ]
        .map(dimension)
        .into(),
        // Of doses, not of clients.
        ["vaccination_month", "cvx_code", "given_by"].map(dimension).into(),
    ]
    .concat();
    for ask in &asks {
        for audience in ["internal", "public"] {
            let start = ["query", "coverage", "--measure", "nis.mmr1", "--store", "store", "--audience", audience];
            let words = start.into_iter().chain(ask.iter().map(String::as_str));
            let words: Vec<&str> = words.chain(["--out", "table.csv"]).collect();
            let outcome = context.run(&words).ended(2);
            assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{words:?}");
        }
    }
    assert!(!context.tree().iter().any(|name| name.starts_with("store/releases/")), "nothing was released");
}

#[test]
fn settings_do_not_weaken_the_policy() {
    let context = store_of(&[THREE_BOYS]);
    let ask = |further: &str| query(&context, "coverage --measure nis.mmr1 --by county,sex", further);
    let before = shown(&ask("").done().stdout);
    assert!(before["Travis/Male"].is_none());
    for settings in ["[disclosure]\nk = 2\n", "[query]\nk = 2\n", "k = 2\n", "[disclosure]\nfile = \"my.toml\"\n"] {
        context.put("phds.toml", settings);
        assert_eq!(ask("").ended(2).text(), "");
    }
    // A department's dictionary cannot make a column of persons a dimension, nor a day of birth.
    for (id, field, level) in
        [("child", "first_name", "value"), ("born", "birth_date", "value"), ("who", "client_id", "value")]
    {
        let dimension =
            format!("[[dimension]]\nid = \"{id}\"\nfield = \"{field}\"\nlevel = \"{level}\"\ntitle = \"X\"\n");
        context.put("own.toml", format!("schema_version = 1\nversion = \"1\"\n{dimension}"));
        context.put("phds.toml", "[dictionary]\nfile = \"own.toml\"\n");
        assert_eq!(ask("").ended(2).text(), "", "{field}");
    }
    std::fs::remove_file(context.path("phds.toml")).unwrap();
    let outcome = context.run_with(
        &[("PHDS_K", "2"), ("PHDS_DISCLOSURE_K", "2"), ("PHDS_RAW", "1")],
        &["query", "coverage", "--measure", "nis.mmr1", "--by", "county,sex", "--store", "store", "--format", "csv"],
    );
    assert_eq!(shown(&outcome.done().stdout), before);
}

// 6, 7 and 8: places, levels, and tables that overlap.

#[test]
fn places_and_levels_that_nest() {
    // Bell and Travis are of region 7, Hays and Comal of others: the region less all counties but one.
    for asks in [["county", "region", "zip"], ["region", "zip", "county"], ["zip", "county", "region"]] {
        let context = store_of(&[FOUR_MORE]);
        let tables: Vec<_> = asks.iter().map(|by| publish(&context, &format!("{COVERAGE} {by}"))).collect();
        let small = ["Comal", "78130"];
        let rows = tables.iter().flatten().flatten().filter(|(label, _)| small.contains(&label.as_str()));
        assert!(rows.map(|(_, counts)| counts).all(Option::is_none), "{asks:?}");
        let sizes: BTreeSet<_> = tables
            .iter()
            .flatten()
            .flat_map(|table| table.values().flatten())
            .map(|counts| counts["denominator"])
            .collect();
        // 80, 60, 4 and 50 clients: no two sums of what is shown differ by the four.
        assert!(sizes.iter().all(|a| sizes.iter().all(|b| a.abs_diff(*b) != 4)), "{asks:?}: {sizes:?}");
    }
    let straddling = "
        clients | CLIENT COUNTY | ZIP CODE | mmr
        30 a    | Travis        | 78701    | yes
        30 b    | Travis        | 78701    | no
        2 c     | Hays          | 78701    | yes
        2 d     | Hays          | 78701    | no
        50 e    | Travis        | 78702    | yes
        50 f    | Travis        | 78702    | no
        50 g    | Hays          | 78610    | yes
        50 h    | Hays          | 78610    | no
        20 i    | Travis        | 78610    | yes
        20 j    | Travis        | 78610    | no";
    let [county, zip] = ["county", "zip"].map(|by| format!("{COVERAGE} {by}"));
    is_hidden_well("6. a ZIP code in two counties", straddling, &[&county, &zip], 0);
    is_hidden_well("6. a ZIP code in two counties", straddling, &[&zip, &county], 0);
    let context = store_of(&[FOUR_MORE]);
    for by in ["county,zip", "region,zip"] {
        assert!(publish(&context, &format!("{COVERAGE} {by}")).is_none());
    }
    assert!(publish(&context, "coverage --measure nis.mmr1 --by zip --where county=Travis").is_none());
}

#[test]
fn years_quarters_and_counties() {
    let born = "
        clients | CLIENT COUNTY | BIRTH DATE | mmr
        30 a    | Bell          | 2021-02-15 | yes
        30 b    | Bell          | 2021-02-15 | no
        30 c    | Bell          | 2021-05-15 | yes
        30 d    | Bell          | 2021-05-15 | no
        4 e     | Hays          | 2021-02-15 | yes
        20 f    | Hays          | 2021-02-15 | no
        20 g    | Hays          | 2021-05-15 | yes
        3 h     | Hays          | 2021-05-15 | no
        25 i    | Travis        | 2021-02-15 | yes
        25 j    | Travis        | 2021-02-15 | no
        6 k     | Travis        | 2021-05-15 | yes
        25 l    | Travis        | 2021-05-15 | no";
    let tables = ["county", "birth_quarter", "county,birth_quarter", "birth_year"].map(|by| format!("{COVERAGE} {by}"));
    let [county, quarter, both, year] = tables.each_ref().map(String::as_str);
    for asks in [[year, county, quarter, both], [both, county, quarter, year], [quarter, both, year, county]] {
        is_hidden_well("8", born, &asks, 0);
    }
}

/// Four of Travis were born in December of 2021, six in the last quarter of 2022.
const AGES: &str = "
    clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE | CVX CODE
    50 a    | Travis        | 2021-06-15 | 2023-06-01       | 03
    50 b    | Travis        | 2021-06-15 | 2023-06-01       | 20
    2 c     | Travis        | 2021-12-15 | 2023-06-01       | 03
    2 d     | Travis        | 2021-12-15 | 2023-06-01       | 20
    30 e    | Travis        | 2022-06-15 | 2024-01-01       | 03
    30 f    | Travis        | 2022-06-15 | 2024-01-01       | 20
    4 g     | Travis        | 2022-11-15 | 2024-01-01       | 03
    2 h     | Travis        | 2022-11-15 | 2024-01-01       | 20";

/// Years and quarters of birth, and ages: as of the last day of a year, and of a month between.
const BIRTHS: [Attack; 3] = [
    Attack {
        what: "8. an age less quarters of birth",
        months: &[AGES],
        asks: &[
            "coverage --measure nis.mmr1 --by age",
            "coverage --measure nis.mmr1 --by birth_quarter --where birth_quarter=2022-Q2",
        ],
        plus: &["0 2 years denominator"],
        minus: &["1 2022-Q2 denominator"],
        people: 6,
    },
    Attack {
        what: "8. a year of birth less a part of an age",
        months: &[AGES],
        asks: &[
            "coverage --measure nis.mmr1 --by birth_year",
            "coverage --measure nis.mmr1 --by age --where birth_quarter=2021-Q2",
        ],
        plus: &["0 2021 denominator"],
        minus: &["1 3 years denominator"],
        people: 4,
    },
    Attack {
        what: "8. all of an age are of one year of birth or of the end of the one before",
        months: &[AGES],
        asks: &[
            "coverage --measure nis.mmr1 --by age --as-of 2024-11-30",
            "coverage --measure nis.mmr1 --by birth_year --as-of 2024-11-30",
        ],
        plus: &["0 2 years denominator"],
        minus: &["1 2022 denominator"],
        people: 4,
    },
];

#[test]
fn years_of_birth_and_ages() {
    none_works(&BIRTHS[..2], Attack::in_public);
}

#[test]
fn years_of_birth_and_ages_in_one_run() {
    none_works(&BIRTHS, Attack::in_one_run);
}

/// What may not be published by age: nothing proves what such a table and one of another month tell together.
#[test]
fn ages_that_are_no_years_of_birth() {
    let context = store_of(&[AGES]);
    let refused = |words: &[&str]| {
        let always = ["query", "coverage", "--measure", "nis.mmr1", "--store", "store", "--audience", "public"];
        is_refusal(&context.run(&[&always, words, &["--out", "t.csv"]].concat()));
    };
    refused(&["--by", "age", "--as-of", "2024-11-30"]);
    refused(&["--by", "birth_quarter", "--where", "age=3 years", "--as-of", "2024-11-30"]);
    refused(&["--by", "months_of_age"]);
    refused(&["--by", "birth_quarter", "--where", "months_of_age=36 to 47 months,48 months and older"]);
    refused(&["--by", "age,birth_year"]);
    // Nor can it be held to one that others have published.
    let known = know(&context, "coverage --measure nis.mmr1 --by age --as-of 2024-11-30").ended(1);
    assert!(known.stderr.contains("of several years of birth"), "{}", known.stderr);
    know(&context, "coverage --measure nis.mmr1 --by age").done();
}

// 10, 11 and 18: zeros, ones, groups of one kind, and somebody who is in the table.

const ALIKE: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    40 a    | Bell          | F        | yes
    30 b    | Bell          | M        | no
    25 c    | Hays          | F        | yes
    20 d    | Hays          | M        | yes
    30 e    | Travis        | F        | no
    20 f    | Travis        | M        | no
    39 g    | Comal         | F        | yes
    1 h     | Comal         | M        | no
    10 i    | Ward          | F        | yes
    5 j     | Ward          | M        | no
    1 k     | Loving        | F        | yes
    60 l    | Tom Green     | F        | yes
    60 m    | Tom Green     | M        | no";

#[test]
fn zeros_ones_and_groups_of_one_kind() {
    let [county, sex, both] = ["county", "sex", "county,sex"].map(|by| format!("{COVERAGE} {by}"));
    for own in [0, 1, 2] {
        is_hidden_well("10, 11, 18", ALIKE, &[&county], own);
        is_hidden_well("18. small county", SMALL_COUNTY, &[&county, &sex], own);
    }
    let zeros = "
        clients | CLIENT COUNTY | SEX CODE | mmr
        10 a    | Bell          | F        | yes
        5 b     | Bell          | M        | yes
        40 c    | Bell          | F        | no
        40 d    | Bell          | M        | no
        30 e    | Hays          | F        | yes
        30 f    | Hays          | F        | no
        20 g    | Travis        | F        | yes
        20 h    | Travis        | F        | no
        1 i     | Travis        | M        | yes
        30 j    | Travis        | M        | no";
    for asks in [[&both, &county, &sex], [&county, &both, &sex], [&sex, &county, &both]] {
        is_hidden_well("10. 10 + 5 + 0, and a one", zeros, &asks.map(String::as_str), 0);
    }

    // All of Hays and nobody of Travis: whoever knows a child there would know of it.
    let context = store_of(&[ALIKE]);
    let table = publish(&context, &county).unwrap();
    for alike in ["Hays", "Travis", "Comal"] {
        assert!(table[alike].is_none(), "{alike}");
    }
    // The staff see groups of one kind from k clients on; never all but one.
    let internal = shown(&query(&context, &county, "").done().stdout);
    assert_eq!(internal.iter().filter(|(_, counts)| counts.is_some()).count(), 4, "{internal:?}");
    assert!(internal["Comal"].is_none() && internal["Loving"].is_none());
}

// 23: numbers from elsewhere.

/// Of Travis, most are girls; of Hays, most are boys.
const MOSTLY_GIRLS: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    20 a    | Hays          | F        | yes
    20 b    | Hays          | F        | no
    50 c    | Hays          | M        | yes
    50 d    | Hays          | M        | no
    50 e    | Travis        | F        | yes
    50 f    | Travis        | F        | no
    2 g     | Travis        | M        | yes
    1 h     | Travis        | M        | no";

/// All clients together, and all of a filter, are known to the attacker of [`is_hidden_well`] in any case. Totals of rows are
/// known to the audit when they were published here first.
#[test]
fn numbers_from_elsewhere() {
    let [county, sex, both] = ["county", "sex", "county,sex"].map(|by| format!("{COVERAGE} {by}"));
    let girls = format!("{county} --where sex=F");
    is_hidden_well("23. all are known", MOSTLY_GIRLS, &[&both], 0);
    is_hidden_well("23. counties are known", MOSTLY_GIRLS, &[&county, &both, &girls], 0);
    is_hidden_well("23. boys and girls are known", MOSTLY_GIRLS, &[&sex, &both], 0);
}

// 12 and 13: what the pattern itself tells.

#[test]
fn one_mark_and_no_order() {
    let context = store_of(&[SMALL_COUNTY]);
    let outcome = query(&context, "coverage --measure nis.mmr1 --by county", "--audience public --out t.csv");
    outcome.done();
    let rows = csv_rows(&context.read("t.csv"));
    let place = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let labels: Vec<_> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(labels, ["Bell", "Comal", "Hays", "Travis"], "in the order of the labels");
    let withheld: Vec<_> = rows[1..].iter().filter(|row| row[place("numerator")].is_empty()).collect();
    assert_eq!(withheld.len(), 2);
    // The small one and the one that goes with it differ by nothing but the label.
    assert_eq!(withheld[0][1..], withheld[1][1..]);
    assert!(withheld[0][place("numerator")..place("status")].iter().all(String::is_empty));
    let document = context.json("release.json");
    let told = document["disclosure"]["beside"].to_string() + &document["cohort"].to_string();
    assert!(!told.contains("Comal") && !told.contains("Travis"), "{told}");
}

/// Clients are moved between the two withheld counties: what is published stays the same for enough of the months that
/// somebody must hold possible.
#[test]
fn other_months_would_look_the_same() {
    let published = |yes: u64, no: u64| {
        let rows = format!(
            "clients | CLIENT COUNTY | mmr
             40 a    | Bell          | yes
             40 b    | Bell          | no
             30 c    | Hays          | yes
             30 d    | Hays          | no
             {} e    | Travis        | yes
             {} f    | Travis        | no
             {yes} g | Comal         | yes
             {no} h  | Comal         | no",
            25 - yes,
            22 - no
        );
        publish(&store_of(&[&rows]), "coverage --measure nis.mmr1 --by county")
    };
    let seen = published(5, 2);
    assert!(seen.as_ref().is_some_and(|table| table["Comal"].is_none()));
    let same = [(1, 2), (3, 2), (5, 1), (5, 3), (11, 2), (12, 3), (5, 11), (4, 12)].into_iter();
    let same: Vec<_> = same.filter(|(yes, no)| published(*yes, *no) == seen).collect();
    let values = |of: fn(&(u64, u64)) -> u64| same.iter().map(of).chain([of(&(5, 2))]).collect::<BTreeSet<_>>();
    for values in [values(|pair| pair.0), values(|pair| pair.1), values(|pair| pair.0 + pair.1)] {
        assert!(values.len() as u64 >= W && values.last().is_some_and(|most| *most >= K), "{values:?}");
    }
}

// 14 and 22: shares, standardized rates, formats.

#[test]
fn no_share_without_its_counts() {
    let context = store_of(&[THREE_BOYS]);
    for ask in
        ["--by county,sex", "--by county,sex --standardize sex", "--by county,sex --denominator clients,active_5"]
    {
        for audience in ["internal", "public"] {
            let words = format!("query coverage --measure nis.mmr1 {ask} --store store --format json");
            let outcome = if audience == "public" { context.publish(&words) } else { context.phds(&words) };
            if outcome.code != Some(0) {
                is_refusal(&outcome);
                continue;
            }
            let rows: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&outcome.stdout).unwrap();
            let names: BTreeSet<_> = rows.iter().map(|row| row.keys().cloned().collect::<Vec<_>>()).collect();
            assert_eq!(names.len(), 1, "{ask}: null, and not absent");
            for row in &rows {
                let numbers = row.values().filter(|value| value.is_number()).count();
                let is_withheld = row["status"] == "suppressed";
                assert_eq!(numbers == 0, is_withheld, "{row:?}");
                if ask.contains("standardize") && row["county"] == "Travis" {
                    assert!(is_withheld, "one of its strata is withheld");
                }
            }
        }
    }
}

#[test]
fn the_same_number_whatever_the_way() {
    let context = store_of(&[THREE_BOYS]);
    let ways = [
        "coverage --measure nis.mmr1 --by county",
        "coverage --measure nis.mmr1 --by county --where county=Hays,Bell",
        "coverage --measure nis.mmr1 --by county --denominator clients",
        "coverage --measure nis.mmr1 --by county,birth_year",
    ];
    let numbers = ways.iter().flat_map(|ask| {
        let table = publish(&context, ask);
        table.into_iter().flatten().filter(|(label, _)| label.starts_with("Hays")).filter_map(|(_, counts)| counts)
    });
    let numbers: BTreeSet<_> = numbers.map(|counts| (counts["numerator"], counts["denominator"])).collect();
    assert_eq!(numbers, BTreeSet::from([(60, 120)]), "no noise to average out");
}

// 15: months.

/// Six of Travis came in the second month.
const BEFORE: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    50 a    | Hays          | F        | yes
    50 b    | Hays          | M        | no
    50 c    | Hays          | M        | yes
    50 d    | Hays          | F        | no
    30 e    | Travis        | F        | yes
    30 f    | Travis        | F        | no
    25 g    | Travis        | M        | yes
    25 h    | Travis        | M        | no";
const AFTER: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    50 a    | Hays          | F        | yes
    50 b    | Hays          | M        | no
    50 c    | Hays          | M        | yes
    50 d    | Hays          | F        | no
    33 e    | Travis        | F        | yes
    33 f    | Travis        | F        | no
    25 g    | Travis        | M        | yes
    25 h    | Travis        | M        | no";

/// The same table of two months, or one that has the same number in it.
const MONTHS: [Attack; 4] = [
    Attack {
        what: "15. six more",
        months: &[BEFORE, AFTER],
        asks: &["coverage --measure nis.mmr1 --by county", "2025-01: coverage --measure nis.mmr1 --by county"],
        plus: &["1 Travis denominator"],
        minus: &["0 Travis denominator"],
        people: 6,
    },
    Attack {
        what: "15. six more, as a sum",
        months: &[BEFORE, AFTER],
        asks: &["coverage --measure nis.mmr1 --by county", "2025-01: coverage --measure nis.mmr1 --by county,sex"],
        plus: &["1 Travis/Female denominator", "1 Travis/Male denominator"],
        minus: &["0 Travis denominator"],
        people: 6,
    },
    Attack {
        what: "15. six more, standardized",
        months: &[BEFORE, AFTER],
        asks: &[
            "coverage --measure nis.mmr1 --by county",
            "2025-01: coverage --measure nis.mmr1 --by county,sex --standardize sex",
        ],
        plus: &["1 Travis denominator"],
        minus: &["0 Travis denominator"],
        people: 6,
    },
    Attack {
        what: "15. six more, of two denominators",
        months: &[BEFORE, AFTER],
        asks: &[
            "coverage --measure nis.mmr1 --by county",
            "2025-01: coverage --measure nis.mmr1 --by county --denominator clients,active_10",
        ],
        plus: &["1 Travis/clients denominator"],
        minus: &["0 Travis denominator"],
        people: 6,
    },
];

#[test]
fn month_after_month() {
    none_works(&MONTHS, Attack::in_public);
}

/// In November six children born in 2022 were vaccinated. Of two to four years, some of them were not yet in October.
const INFLUENZA: &str = "
    clients | BIRTH DATE | VACCINATION DATE | CVX CODE
    72 a    | 2020-05-05 | 2024-10-10       | 150
    48 b    | 2020-05-05 | 2024-11-10       | 150
    120 c   | 2020-05-05 | 2024-03-01       | 03
    72 d    | 2021-05-05 | 2024-10-10       | 150
    48 e    | 2021-05-05 | 2024-11-10       | 150
    120 f   | 2021-05-05 | 2024-03-01       | 03
    60 g    | 2022-05-05 | 2024-10-10       | 150
    12 h    | 2022-11-15 | 2024-10-10       | 150
    6 i     | 2022-05-05 | 2024-11-10       | 150
    134 j   | 2022-05-05 | 2024-03-01       | 03
    28 k    | 2022-11-15 | 2024-03-01       | 03";

/// The same answer of the same clients, by two measures that ask it of clients of other ages.
const BY_ANOTHER_NAME: Attack = Attack {
    what: "15. six more, by another measure of the same doses",
    months: &[INFLUENZA, INFLUENZA],
    asks: &[
        "coverage --measure flu.dose1_2_4y --by birth_year --as-of 2024-10-31",
        "coverage --measure flu.dose1 --by birth_year --as-of 2024-10-31",
        "2025-01: coverage --measure flu.dose1_2_4y --by birth_year",
    ],
    plus: &["2 2022 numerator"],
    minus: &["1 2022 numerator"],
    people: 6,
};

#[test]
fn the_same_answer_by_another_name() {
    none_works([&BY_ANOTHER_NAME], Attack::in_public);
}

/// Of Travis, few have had a vaccine against varicella in the first month, so that its row is withheld. In the second it is not.
const BY_ANOTHER_ANSWER: Attack = Attack {
    what: "15. six more, by another measure of the same cohort",
    months: &[
        "
    clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE | CVX CODE
    60 a    | Travis        | 2021-06-15 | 2022-07-01       | 03
    55 b    | Travis        | 2021-06-15 | 2022-07-01       | 20
    5 c     | Travis        | 2021-06-15 | 2022-07-01       | 21
    60 f    | Bexar         | 2021-06-15 | 2022-07-01       | 03
    60 g    | Bexar         | 2021-06-15 | 2022-07-01       | 21
    70 h    | Dallas        | 2021-06-15 | 2022-07-01       | 03
    90 i    | Dallas        | 2021-06-15 | 2022-07-01       | 21
    20 j    | Bell          | 2021-06-15 | 2022-07-01       | 03
    9 k     | Bell          | 2021-06-15 | 2022-07-01       | 21
    61 l    | Bell          | 2021-06-15 | 2022-07-01       | 20
    20 m    | Comal         | 2021-06-15 | 2022-07-01       | 03
    8 n     | Comal         | 2021-06-15 | 2022-07-01       | 21
    52 o    | Comal         | 2021-06-15 | 2022-07-01       | 20",
        "
    clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE | CVX CODE
    60 a    | Travis        | 2021-06-15 | 2022-07-01       | 03
    36 b    | Travis        | 2021-06-15 | 2022-07-01       | 20
    30 c    | Travis        | 2021-06-15 | 2022-07-01       | 21
    60 f    | Bexar         | 2021-06-15 | 2022-07-01       | 03
    60 g    | Bexar         | 2021-06-15 | 2022-07-01       | 21
    70 h    | Dallas        | 2021-06-15 | 2022-07-01       | 03
    90 i    | Dallas        | 2021-06-15 | 2022-07-01       | 21
    20 j    | Bell          | 2021-06-15 | 2022-07-01       | 03
    9 k     | Bell          | 2021-06-15 | 2022-07-01       | 21
    61 l    | Bell          | 2021-06-15 | 2022-07-01       | 20
    20 m    | Comal         | 2021-06-15 | 2022-07-01       | 03
    8 n     | Comal         | 2021-06-15 | 2022-07-01       | 21
    92 o    | Comal         | 2021-06-15 | 2022-07-01       | 20",
    ],
    asks: &[
        "coverage --measure nis.mmr1 --by county",
        "coverage --measure nis.var1 --by county",
        "2025-01: coverage --measure nis.var1 --by county",
    ],
    plus: &["2 Travis denominator"],
    minus: &["0 Travis denominator"],
    people: 6,
};

#[test]
fn the_same_cohort_by_another_answer() {
    none_works([&BY_ANOTHER_ANSWER], Attack::in_public);
}

/// Of two seasons, no number stands for another: fifty and fifty-three of a county are others.
#[test]
fn seasons_are_no_months_of_one_count() {
    let month = "
        clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE | CVX CODE
        50 a    | Hays          | 2020-05-05 | 2023-10-10       | 150
        53 b    | Hays          | 2020-05-05 | 2024-10-10       | 150
        60 c    | Travis        | 2020-05-05 | 2023-10-10       | 150
        90 d    | Travis        | 2020-05-05 | 2024-10-10       | 150";
    let context = store_of(&[month, month]);
    let first = publish(&context, "coverage --measure flu.dose1 --by county --as-of 2024-06-30").unwrap();
    assert_eq!(first["Hays"].as_ref().unwrap()["numerator"], 50);
    let second = publish(&context, "2025-01: coverage --measure flu.dose1 --by county").unwrap();
    assert_eq!(second["Hays"].as_ref().unwrap()["numerator"], 53);
}

/// Who is of an age on the last day of a year was born in one year, whatever the table is called.
const GROWN: [Attack; 3] = [
    Attack {
        what: "15. six more, by year of birth and then by age",
        months: &[BEFORE, AFTER],
        asks: &[
            "coverage --measure nis.mmr1 --by county,birth_year",
            "2025-01: coverage --measure nis.mmr1 --by county,age --as-of 2024-12-31",
        ],
        plus: &["1 Travis/3 years denominator"],
        minus: &["0 Travis/2021 denominator"],
        people: 6,
    },
    Attack {
        what: "15. six more, by age and then by year of birth",
        months: &[BEFORE, AFTER],
        asks: &[
            "coverage --measure nis.mmr1 --by age,county",
            "2025-01: coverage --measure nis.mmr1 --by county,birth_year",
        ],
        plus: &["1 Travis/2021 denominator"],
        minus: &["0 3 years/Travis denominator"],
        people: 6,
    },
    Attack {
        what: "15. six more, of one age in both months",
        months: &[BEFORE, AFTER],
        asks: &[
            "coverage --measure nis.mmr1 --by county,age",
            "2025-01: coverage --measure nis.mmr1 --by county,age --as-of 2024-12-31",
        ],
        plus: &["1 Travis/3 years denominator"],
        minus: &["0 Travis/3 years denominator"],
        people: 6,
    },
];

#[test]
fn ages_month_after_month() {
    none_works(&GROWN, Attack::in_public);
}

/// In a year a child of two becomes one of three. What is compared is who was born in a year, and not who is of an age.
#[test]
fn ages_year_after_year() {
    let month = |counts: [u64; 4]| {
        let rows = ('a'..).zip(2019..).zip(counts).map(|((id, year), clients)| {
            let day = format!("{}-07-01", year + 1);
            format!("{clients} {id}y | {year}-06-15 | {day} | 03\n{clients} {id}n | {year}-06-15 | {day} | 20\n")
        });
        format!("clients | BIRTH DATE | VACCINATION DATE | CVX CODE\n{}", rows.collect::<String>())
    };
    let ask = "coverage --measure nis.mmr1 --by age";
    let shown_later = |counts: [u64; 4]| {
        let context = store_of(&[&month([40, 90, 50, 30])]);
        let first = publish(&context, ask).unwrap();
        assert!(["2 years", "3 years", "4 years", "5 years"].iter().all(|age| first[*age].is_some()));
        deliver(&context, &month(counts), "2025-12");
        let table = publish(&context, &format!("2025-12: {ask}")).unwrap();
        ["3 years", "4 years", "5 years", "6 years"].map(|age| table[age].is_some())
    };
    // Of three years there were 50 of a kind, and are 53 now: they are others.
    assert_eq!(shown_later([60, 110, 70, 53]), [true; 4]);
    // Those who were of three years were 50, and 53 are of four: three more.
    assert!(!shown_later([60, 110, 53, 70])[1]);
}

#[test]
fn a_month_that_is_loaded_again() {
    // The same file again: the same bytes, and nothing new in the ledger.
    let context = store_of(&[BEFORE]);
    let ask = || query(&context, "coverage --measure nis.mmr1 --by county", "--audience public").done();
    let first = ask();
    let entries = || context.tree().iter().filter(|name| name.starts_with("store/ledger/0")).count();
    assert_eq!(entries(), 1);
    deliver(&context, BEFORE, PERIOD);
    assert_eq!((ask().stdout, entries()), (first.stdout, 1));
    // A corrected file: its few more clients are a small change of what was published.
    deliver(&context, AFTER, PERIOD);
    let corrected = query(&context, "coverage --measure nis.mmr1 --by county", "--audience public");
    is_refusal(&corrected);
    assert!(corrected.stderr.contains("change"), "{}", corrected.stderr);
}

// 16: the same question.

#[test]
fn the_same_question_again() {
    let context = store_of(&[THREE_BOYS]);
    let publish = |words: &str, name: &str| {
        let outcome = query(
            &context,
            &format!("coverage --measure nis.mmr1 {words}"),
            &format!("--audience public --out {name}"),
        );
        outcome.done();
        context.read(name)
    };
    let first = publish("--by county,sex", "first.csv");
    for name in ["second.csv", "third.csv"] {
        assert_eq!(publish("--by county,sex", name), first);
    }
    // Dimensions the other way round: the same rows, with other columns first.
    let rows = |csv: &[u8], turned: bool| {
        let table = shown(csv).into_iter().map(|(labels, counts)| {
            let (a, b) = labels.split_once('/').unwrap();
            (if turned { format!("{b}/{a}") } else { labels.clone() }, counts)
        });
        table.collect::<Shown>()
    };
    assert_eq!(rows(&publish("--by sex,county", "turned.csv"), true), rows(&first, false));
    // By codes in place of names, and in another order.
    let filtered = publish("--by sex --where county=Bell,Hays", "names.csv");
    for (name, synonym) in
        [("a.csv", "county=Hays,Bell"), ("b.csv", "county=48209,48027"), ("c.csv", "county=bell,HAYS")]
    {
        assert_eq!(publish(&format!("--by sex --where {synonym}"), name), filtered, "{synonym}");
    }
    // On a store where it is the first question, too.
    let context = store_of(&[THREE_BOYS]);
    let turned = query(&context, "coverage --measure nis.mmr1 --by sex,county", "--audience public").done();
    assert_eq!(rows(&turned.stdout, true), rows(&first, false));
}

// 19 and 20: one person with many rows, and organizations.

#[test]
fn one_person_with_many_doses() {
    let doses = (1..=12).map(|dose| format!("1 a | Loving | 1000000009 | DOE JANE | 2022-{dose:02}-01\n"));
    let month = format!(
        "clients | CLIENT COUNTY | GIVEN BY ORG ID | PROVIDER NAME | VACCINATION DATE
         {}
         40 b | Travis | 1000000001 | Clinic | 2022-07-01
         40 c | Travis | 1000000001 | Clinic | 2024-01-01",
        doses.collect::<String>().trim()
    );
    let context = store_of(&[&month]);
    for ask in [
        "doses --by county",
        "doses --by given_by",
        "doses --by county,vaccine_group",
        "coverage --measure nis.mmr1 --by county",
        "coverage --measure nis.mmr1 --by organization",
        "coverage --measure nis.mmr1 --by organization --attribution any",
        "curve --measure nis.mmr1 --by county",
        "missing --measure nis.4313314 --by county",
    ] {
        let outcome = query(&context, ask, "").done();
        let table = shown(&outcome.stdout);
        let hers = table.iter().filter(|(label, _)| label.contains("Loving") || label.contains("(others)"));
        let hers: Vec<_> = hers.collect();
        assert!(!hers.is_empty() && hers.iter().all(|(_, counts)| counts.is_none()), "{ask}: {hers:?}");
        let names = ["DOE", "1000000009"].map(|name| outcome.text().contains(name));
        assert_eq!(names, [false; 2], "{ask}: an organization's name may be a person's, and so may its id");
    }
}

#[test]
fn organizations_are_not_for_the_public() {
    let context = store_of(&[FOUR_MORE]);
    for ask in [
        "coverage --measure nis.mmr1 --by organization",
        "coverage --measure nis.mmr1 --by county --where organization=1000000003",
        "coverage --measure nis.mmr1 --by county --where organization=1000000001 --attribution first",
        "coverage --measure nis.mmr1 --by organization --attribution all",
        "doses --by given_by",
        "doses --by county",
        "curve --measure nis.mmr1 --by county",
        "missing --measure nis.4313314 --by county",
    ] {
        let outcome = query(&context, ask, "--audience public");
        is_refusal(&outcome);
        assert!(outcome.stderr.contains("not for the public"), "{}", outcome.stderr);
    }
    assert!(!context.tree().iter().any(|name| name.starts_with("store/releases/")), "nothing was released");
}

/// Six more of Travis in the second month, asked with another filter, measure or denominator.
const SERIES: [Attack; 5] = [
    Attack {
        what: "15. the filter names all counties",
        asks: &[
            "coverage --measure nis.mmr1 --by county",
            "2025-01: coverage --measure nis.mmr1 --by county --where county=Travis,Hays",
        ],
        ..SIX_MORE
    },
    Attack {
        what: "15. the filter names both sexes",
        asks: &[
            "coverage --measure nis.mmr1 --by county",
            "2025-01: coverage --measure nis.mmr1 --by county --where sex=F,M",
        ],
        ..SIX_MORE
    },
    Attack {
        what: "15. the filter is a row of the first table",
        asks: &[
            "coverage --measure nis.mmr1 --by county,sex",
            "2025-01: coverage --measure nis.mmr1 --by county --where sex=F",
        ],
        minus: &["0 Travis/Female denominator"],
        ..SIX_MORE
    },
    Attack {
        what: "15. another measure of the same clients",
        asks: &["coverage --measure nis.mmr1 --by county", "2025-01: coverage --measure nis35.mmr1 --by county"],
        ..SIX_MORE
    },
    Attack {
        what: "15. another denominator with the same clients",
        asks: &[
            "coverage --measure nis.mmr1 --by county",
            "2025-01: coverage --measure nis.mmr1 --by county --denominator active_10",
        ],
        ..SIX_MORE
    },
];

/// What the attacks of [`SERIES`] have in common: the denominator is what changes.
const SIX_MORE: Attack = Attack {
    what: "",
    months: &[BEFORE, AFTER],
    asks: &[],
    plus: &["1 Travis denominator"],
    minus: &["0 Travis denominator"],
    people: 6,
};

#[test]
fn a_series_by_another_question() {
    none_works(&SERIES, Attack::in_public);
}

/// Numerators of counties, which are the same among the counted and the others.
fn counties(counts: &[(&str, u64, u64)]) -> String {
    let rows = (b'a'..).zip(counts).map(|(id, (county, yes, no))| {
        let id = char::from(id);
        format!("{yes} {id}y | {county} | yes\n{no} {id}n | {county} | no\n")
    });
    format!("clients | CLIENT COUNTY | mmr\n{}", rows.collect::<String>())
}

#[test]
fn a_file_that_is_published_twice() {
    let month = counties(&[("Bell", 50, 50), ("Hays", 30, 30), ("Travis", 20, 20), ("Comal", 2, 1)]);
    let context = store_of(&[&month, &month]);
    // Comal is withheld, and Travis with it.
    let first = publish(&context, "coverage --measure nis.mmr1 --by county").unwrap();
    assert!(first["Comal"].is_none() && first["Travis"].is_none());
    // Of the same clients a month later: Travis, and all.
    let travis = publish(&context, "2025-01: coverage --measure nis.mmr1 --by county --where county=Travis,Bell");
    let all = publish(&context, "2025-01: coverage --measure nis.mmr1 --by sex");
    let known = travis.zip(all).and_then(|(travis, all)| {
        let clients = |row: &Option<BTreeMap<String, u64>>| Some(row.as_ref()?["denominator"]);
        let others = [&first["Bell"], &first["Hays"], &travis["Travis"]].map(clients);
        let others = others.into_iter().sum::<Option<u64>>()?;
        Some(clients(&all["Female"])? - others)
    });
    assert_eq!(known, None, "the clients of Comal");
}

#[test]
fn a_change_of_what_is_withheld() {
    let before = counties(&[("Bell", 50, 50), ("Hays", 30, 30), ("Travis", 40, 40), ("Comal", 60, 60)]);
    let after = counties(&[("Bell", 61, 61), ("Hays", 30, 30), ("Travis", 40, 43), ("Comal", 71, 71)]);
    let context = store_of(&[&before, &after]);
    let mut clients = [0_i64; 2];
    for (month, clients) in ["", "2025-01: "].into_iter().zip(&mut clients) {
        let county = publish(&context, &format!("{month}{COVERAGE} county"));
        let all = publish(&context, &format!("{month}{COVERAGE} sex"));
        let row = |table: &Option<Shown>, label: &str| {
            let counts = table.as_ref().and_then(|table| table[label].as_ref());
            counts.map(|counts| counts["denominator"].cast_signed())
        };
        let known = row(&all, "Female").zip(row(&county, "Bell")).zip(row(&county, "Comal"));
        let Some(((all, bell), comal)) = known else { return };
        *clients = all - bell - comal;
    }
    // Hays and Travis together, in both months.
    let change = clients[1] - clients[0];
    assert!(change == 0 || change.unsigned_abs() >= K, "{change} more");
}

#[test]
fn counts_that_only_grow() {
    // One more of Comal is counted in the second month, and nothing else has changed.
    let before = counties(&[("Bell", 50, 50), ("Hays", 30, 30), ("Travis", 20, 20), ("Comal", 10, 11)]);
    let after = counties(&[("Bell", 50, 50), ("Hays", 30, 30), ("Travis", 20, 20), ("Comal", 11, 11)]);
    let context = store_of(&[&before, &after]);
    let first = publish(&context, "coverage --measure nis.mmr1 --by county").unwrap();
    let second = publish(&context, "2025-01: coverage --measure nis.mmr1 --by county");
    let mut known = Known::default();
    let names = ["Bell", "Hays", "Travis", "Comal"];
    known.learn(vec![0, 1, 2, 3], 110, 110);
    for (at, name) in names.iter().enumerate() {
        if let Some(counts) = &first[*name] {
            known.learn(vec![at], counts["numerator"], counts["numerator"]);
        }
        if let Some(counts) = second.as_ref().and_then(|table| table[*name].as_ref()) {
            known.learn(vec![at], 0, counts["numerator"]);
        }
    }
    known.subtract();
    assert!(known.is_wide(&[3], 10, 0), "of Comal, {:?} were counted", known.ends(&[3], 10));
}
