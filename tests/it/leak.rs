//! Everything that a month leaves behind, searched for everybody in it.
//!
//! The needles are the names, ids, streets and birth dates of a synthetic month. Names of synthetic people hold letters
//! that no word of any output has, so that none is found by chance.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::NaiveDate;
use regex::bytes::{Match, Regex, RegexBuilder};

use crate::support::{Outcome, PERIOD, TestContext, csv_rows, parquet_file, slashes, sources, texts, walk};

/// Columns whose values must be found nowhere but in the delivery.
const NEVER: [&str; 7] = [
    "CLIENT ID",
    "FIRST NAME",
    "LAST NAME",
    "MIDDLE NAME",
    "IMMUNIZATION ID",
    "IMMUNFACT ID",
    "PROVIDER STREET ADDRESS",
];

/// The distinct values of some columns of the month's well-formed rows.
fn values(month: &[u8], is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(month);
    let header = reader.byte_headers().unwrap().clone();
    let wanted: Vec<_> = header.iter().map(|name| is_wanted(std::str::from_utf8(name).unwrap())).collect();
    let mut values = BTreeSet::new();
    for row in reader.byte_records() {
        let row = row.unwrap();
        // The header again is a planted fault, and the names of columns are no secret.
        if row.as_slice() == header.as_slice() {
            continue;
        }
        let cells = row.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        values
            .extend(cells.filter_map(|(cell, _)| String::from_utf8(cell.to_vec()).ok()).filter(|cell| cell.len() > 3));
    }
    values
}

/// The birth dates in the three ways of writing them, less the days that the knowledge files themselves print.
fn birth_dates(month: &[u8]) -> BTreeSet<String> {
    let knowledge = ["toml", "csv"].into_iter().flat_map(|ending| sources("dictionaries/phds", ending));
    let mut public: String = knowledge.map(|(_, text)| text).collect();
    // The first day of the cohort and the as-of date.
    public += "2018-01-01 2024-12-31";
    values(month, |name| name == "BIRTH DATE")
        .into_iter()
        .filter_map(|text| text.parse::<NaiveDate>().ok())
        .filter(|day| !public.contains(&day.to_string()))
        .flat_map(|day| ["%Y-%m-%d", "%m/%d/%Y", "%Y%m%d"].map(|format| day.format(format).to_string()))
        .collect()
}

fn any_of(needles: &BTreeSet<String>) -> Regex {
    let pattern: Vec<_> = needles.iter().map(|needle| regex::escape(needle)).collect();
    RegexBuilder::new(&pattern.join("|")).size_limit(1 << 30).build().unwrap()
}

/// Where a needle was found: never the needle itself.
#[track_caller]
fn clean(what: &str, text: &[u8], needles: &Regex) {
    let found = needles.find_iter(text).find(|found| stands_alone(text, found));
    assert_eq!(
        found.map(|found| (found.start(), found.len())),
        None,
        "{what}: place and length of something that identifies"
    );
}

/// Whether a find is no chance piece of a longer number (an id in a client key) or of a hash (`20210615` in one).
fn stands_alone(text: &[u8], found: &Match) -> bool {
    let around = [text[..found.start()].last(), text[found.end()..].first()];
    let mut around = around.into_iter().flatten();
    let is_number = found.as_bytes().iter().all(u8::is_ascii_digit);
    let is_short = found.len() <= 8;
    !(is_number && around.any(|byte| byte.is_ascii_digit() || (is_short && byte.is_ascii_alphabetic())))
}

/// A load with faults, a report, every verb and format, and some errors.
fn everything_that_is_said(context: &TestContext) -> Vec<Outcome> {
    let coverage = format!("query coverage --store store --period {PERIOD} --measure");
    let mut said = vec![
        context.phds(&format!("check month.csv --period {PERIOD} --report checked")).done(),
        context.phds(&format!("load month.csv --period {PERIOD} --store store")).done(),
        context.phds(&format!("{coverage} nis.mmr1 --by county,birth_year,zip")).done(),
        context.phds(&format!("{coverage} nis.mmr1 --by sex,race_ethnicity --where region=7,8")).done(),
        context.phds("explain").done(),
        context.phds("dictionary").done(),
        context.phds("dictionary --json").done(),
    ];
    for code in ["PHDS-S06", "PHDS-F03", "PHDS-R01", "PHDS-D01"] {
        said.push(context.phds(&format!("explain {code}")).done());
    }
    for format in ["csv", "json", "parquet", "arrow", "table"] {
        let ask = format!("{coverage} nis.4313314 --by county,sex --format {format}");
        said.push(context.phds(&ask).done());
        context.put(&format!("out/{format}/.keep"), "");
        said.push(context.phds(&format!("{ask} --out out/{format}/table.{format}")).done());
    }
    // A column in the wrong place is the likeliest way for a value into a message.
    let month = context.read("month.csv");
    let rows = &month[month.iter().position(|byte| *byte == b'\n').unwrap() + 1..];
    context.put("bad/no_header.csv", rows);
    let shifted = [b"CLIENT ID,".as_slice(), &month].concat();
    context.put("bad/shifted.csv", shifted);
    context.put("bad/latin.csv", month.iter().map(|byte| if *byte == b'X' { 0xE9 } else { *byte }).collect::<Vec<_>>());
    context.put("bad/cut.csv", [&month, b"\"7".as_slice()].concat());
    for bad in ["no_header", "shifted", "latin", "cut"] {
        said.push(context.phds(&format!("load bad/{bad}.csv --period 2024-11 --store {bad}")).ended(1));
        said.push(context.phds(&format!("check bad/{bad}.csv --period 2024-11 --report {bad}-report")).ended(1));
    }
    // The wrong month: every date of the last years is in the future.
    said.push(context.phds("load month.csv --period 2019-01 --store wrong_month").ended(1));
    said.push(context.phds(&format!("{coverage} nis.mmr --by county")).ended(2));
    said.push(context.phds(&format!("{coverage} nis.mmr1 --by county --where county=Nowhere")).ended(2));
    said
}

/// Whether a path is a delivery, or one of the files that this test made.
fn may_identify(name: &str) -> bool {
    name == "month.csv" || name == "month.planted.json" || name.starts_with("bad/") || name.contains("/deliveries/")
}

#[test]
fn nobody_is_found_outside_the_delivery() {
    let context = TestContext::new();
    context.phds(&format!("synth --clients 1000 --period {PERIOD} --seed 9 --faults 0.01 --out month.csv")).done();
    let month = context.read("month.csv");
    let never = values(&month, |name| NEVER.contains(&name));
    let births = birth_dates(&month);
    assert!(never.len() > 20_000 && births.len() > 1_500, "{} {}", never.len(), births.len());
    let (never, births) = (any_of(&never), any_of(&births));
    let said = everything_that_is_said(&context);

    // The control: the same search finds them where they are.
    let delivery = context.read(&format!("store/deliveries/{PERIOD}/month.csv"));
    let count = |needles: &Regex| needles.find_iter(&delivery).filter(|found| stands_alone(&delivery, found)).count();
    assert!(count(&never) > 50_000 && count(&births) > 5_000);

    for outcome in &said {
        for text in [outcome.stdout.as_slice(), outcome.stderr.as_bytes()] {
            clean(&outcome.command, text, &never);
            clean(&outcome.command, text, &births);
        }
    }
    let mut files = 0;
    walk(context.path("").as_path(), &mut |path| {
        let name = slashes(path.strip_prefix(context.path("")).unwrap().to_str().unwrap());
        if path.is_dir() || may_identify(&name) {
            return;
        }
        files += 1;
        let bytes = std::fs::read(path).unwrap();
        for text in [name.as_bytes(), &bytes] {
            clean(&name, text, &never);
            clean(&name, text, &births);
        }
        if name.ends_with(".parquet") {
            decoded(&name, path, &never, &births);
        }
    });
    assert!(files > 30, "{files} files are too few: has the store moved?");
}

/// Texts about providers, which may be stored, and which no report may tell: an organization may be one person's practice.
const NOT_REPORTED: [&str; 4] = ["PROVIDER NAME", "SHORT NAME", "RESPONSIBLE ENTITY", "PROVIDER CITY"];

#[test]
fn a_report_tells_no_text_of_a_row_but_the_ids_of_organizations_with_many_clients() {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n[check]\njurisdiction = ['nobody']\n");
    let mut said = Vec::new();
    for (period, seed) in [("2024-11", 9), (PERIOD, 10)] {
        let month = format!("synth --clients 1000 --period {period} --seed {seed} --faults 0.01 --out {period}.csv");
        context.phds(&month).done();
        said.push(context.phds(&format!("load {period}.csv --period {period}")).done());
    }
    let month = context.read(&format!("{PERIOD}.csv"));
    let needles = any_of(&values(&month, |name| NOT_REPORTED.contains(&name)));
    let organizations = values(&month, |name| name == "GIVEN BY ORG ID");

    // Rows and clients of each organization, by a plain reading of the file.
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(month.as_slice());
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let rows = reader.byte_records().map(|row| row.unwrap().iter().map(text).collect::<Vec<_>>());
    let rows: Vec<_> = rows.collect();
    let at = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let (organization, client) = (at("GIVEN BY ORG ID"), at("CLIENT ID"));
    let is_large = |id: &str| {
        let of_it = rows.iter().filter(|row| row.get(organization).is_some_and(|other| other == id));
        of_it.map(|row| &row[client]).collect::<BTreeSet<_>>().len() >= 11
    };
    let small = any_of(&organizations.iter().filter(|id| !is_large(id)).cloned().collect());
    let report = context.json(&format!("store/reports/{PERIOD}/report.json"));
    let told: BTreeSet<_> =
        report["organizations"]["listed"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(told.len() > 10 && told.iter().all(|id| organizations.contains(*id) && is_large(id)));

    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    for outcome in said {
        texts.push((format!("{} stderr", outcome.command), outcome.stderr.into_bytes()));
        texts.push((outcome.command, outcome.stdout));
    }
    for file in ["report.json", "report.html", "rejected.csv"] {
        texts.push((file.to_owned(), context.read(&format!("store/reports/{PERIOD}/{file}"))));
    }
    assert!(needles.is_match(&month) && small.is_match(&month), "the control");
    for (what, text) in &texts {
        clean(what, text, &needles);
        clean(what, text, &small);
    }
}

/// Parquet keeps values compressed: every cell of every column as text, and the footer.
fn decoded(name: &str, path: &Path, never: &Regex, births: &Regex) {
    let batches = parquet_file(path);
    let schema = batches[0].schema();
    for field in schema.fields() {
        let cells = texts(&batches, |name| name == field.name()).concat().join("\n");
        let what = format!("{name}: {}", field.name());
        clean(&what, cells.as_bytes(), never);
        // Days of vaccination are days of birth of others; the days of `clients` are what that table is for.
        let is_of_days = field.data_type() == &arrow::datatypes::DataType::Date32;
        if !is_of_days || (name.contains("/immunizations/") && field.name() != "vaccination_date") {
            clean(&what, cells.as_bytes(), births);
        }
    }
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for column in NEVER {
        let stored = column.to_lowercase().replace(' ', "_");
        assert!(!columns.contains(&stored.as_str()), "{name} has the column {stored}");
    }
    if name.contains("/immunizations/") {
        assert!(!columns.contains(&"birth_date"), "{name}");
    }
}

#[test]
fn the_search_would_find_a_value_that_parquet_compresses() {
    let context = TestContext::new();
    context.phds(&format!("synth --clients 200 --period {PERIOD} --out month.csv")).done();
    context.phds(&format!("load month.csv --period {PERIOD} --store store")).done();
    // Provider names may be stored. They are in the decoded columns, as client names would be.
    let month = context.read("month.csv");
    let providers = any_of(&values(&month, |name| name == "PROVIDER NAME"));
    let rows =
        texts(&crate::support::parquet_table(&context.path("store"), PERIOD, "immunizations"), |_| true).concat();
    let rows_of_the_file = csv_rows(&month).len() - 1;
    assert_eq!(providers.find_iter(rows.join("\n").as_bytes()).count(), rows_of_the_file);
}
