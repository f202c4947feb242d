//! A synthetic month with a list of what was planted where: the check must find exactly that.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::support::{HEADER, PERIOD, TestContext, csv_rows, parquet_table, texts};

/// Lines that a report keeps of each rule and column.
const FIRST_LINES: usize = 20;

/// Vaccine groups whose doses are four weeks apart.
const WEEKS_APART: &str = "DTAP FLU HepA HepB HIB HPV MENING MeningB MMR PneumoPCV PneumoPPV POLIO ROTAVIRUS RSV Td \
                           TDAP VARICELLA ZOSTER";

pub fn synthetic(clients: u32, faults: f64) -> TestContext {
    let context = TestContext::new();
    let share = if faults > 0.0 { format!("--faults {faults}") } else { String::new() };
    context.phds(&format!("synth --clients {clients} --period {PERIOD} --seed 5 --out month.csv {share}")).done();
    context
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The column under which the check counts a fault: rules on whole rows are not counted by column.
fn column(fault: &Value) -> &str {
    if text(fault, "rule").starts_with("PHDS-F") { text(fault, "column") } else { "" }
}

#[test]
fn every_planted_fault_is_found_at_its_line_and_nothing_else() {
    let context = synthetic(3_000, 0.02);
    context.phds(&format!("load month.csv --period {PERIOD} --store store")).done();
    let list = context.json("month.planted.json");
    let planted = list["planted"].as_array().unwrap();
    let report = context.json(&format!("store/reports/{PERIOD}/report.json"));

    let rejected = list["rejected"].as_u64().unwrap();
    let read = list["rows"].as_u64().unwrap();
    assert!(read > 30_000 && rejected > 200, "the month is too small to tell anything");
    assert_eq!(report["totals"], json!({ "read": read, "accepted": read - rejected, "rejected": rejected }));

    // Rows that are out: line, rule, severity and column, all of them.
    let out: Vec<Value> =
        planted.iter().filter(|fault| fault["severity"] == "reject").map(|fault| fault["line"].clone()).collect();
    let expected: BTreeSet<Vec<String>> = planted
        .iter()
        .filter(|fault| out.contains(&fault["line"]))
        .map(|fault| {
            let column = fault["column"].as_str().unwrap_or_default();
            [&fault["line"].to_string(), text(fault, "rule"), text(fault, "severity"), column]
                .map(str::to_owned)
                .to_vec()
        })
        .collect();
    let listed = csv_rows(&context.read(&format!("store/reports/{PERIOD}/rejected.csv")));
    let month = context.read("month.csv");
    let lines: Vec<&[u8]> = month.split_inclusive(|byte| *byte == b'\n').collect();
    let listed: BTreeSet<Vec<String>> = listed[1..]
        .iter()
        .map(|row| {
            let [line, offset, length] = [0, 1, 2].map(|at| row[at].parse::<usize>().unwrap());
            assert_eq!(&month[offset..offset + length], lines[line - 1], "the place leads to the row");
            [&row[0], &row[3], &row[4], &row[5]].map(Clone::clone).to_vec()
        })
        .collect();
    assert_eq!(listed, expected);

    // Every rule, also those for review: the count, the first lines, and both by column.
    let mut lines: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for fault in planted {
        let line = fault["line"].as_u64().unwrap();
        lines.entry((text(fault, "rule"), "")).or_default().push(line);
        if !column(fault).is_empty() {
            lines.entry((text(fault, "rule"), column(fault))).or_default().push(line);
        }
    }
    let kept: Vec<(u64, csv::StringRecord)> = (1..)
        .zip(month.split(|byte| *byte == b'\n'))
        .filter(|(line, row)| *line > 1 && !row.is_empty() && !out.contains(&json!(line)))
        .map(|(line, row)| {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row);
            (line, reader.records().next().unwrap().unwrap())
        })
        .collect();
    let across = across_rows(&kept);
    assert!(across.len() >= 3, "{:?}", across.keys());
    assert_eq!(lines.keys().filter(|(_, column)| column.is_empty()).count(), 33, "a kind of fault was never planted");
    lines.extend(across.iter().map(|(rule, found)| ((*rule, ""), found.iter().copied().collect())));
    let mut found = BTreeMap::new();
    for rule in report["rules"].as_array().unwrap() {
        let mut note = |column, counted: &Value| {
            if counted["failed"] != 0 {
                found.insert(
                    (text(rule, "code").to_owned(), column),
                    (counted["failed"].clone(), counted["first_lines"].clone()),
                );
            }
        };
        note(String::new(), rule);
        for by_column in rule["by_column"].as_array().into_iter().flatten() {
            note(text(by_column, "column").to_owned(), by_column);
        }
    }
    let expected: BTreeMap<_, _> = lines
        .into_iter()
        .map(|((rule, column), lines)| {
            let first: Vec<u64> = lines.iter().copied().take(FIRST_LINES).collect();
            ((rule.to_owned(), column.to_owned()), (json!(lines.len()), json!(first)))
        })
        .collect();
    assert_eq!(found, expected);
}

/// A second, plain reading of the rules across rows: rule → lines that break it. The rows are those that are kept.
fn across_rows(rows: &[(u64, csv::StringRecord)]) -> BTreeMap<&'static str, BTreeSet<u64>> {
    let at = |row: &csv::StringRecord, name: &str| {
        let value = row[HEADER.iter().position(|column| *column == name).unwrap()].to_owned();
        match NaiveDate::parse_from_str(&value, "%m/%d/%Y") {
            Ok(day) => day.to_string(),
            Err(_) => value,
        }
    };
    let key = |row: &csv::StringRecord, names: &[&str]| names.iter().map(|name| at(row, name)).collect::<Vec<_>>();
    let day = |row: &csv::StringRecord, name: &str| at(row, name).parse::<NaiveDate>().unwrap();
    let is_there = |values: &[String]| values.iter().all(|value| !value.is_empty());
    let mut found: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    // Ids that are there again, or with something else than the first time.
    for (rule, id, with) in [
        ("PHDS-X02", "IMMUNFACT ID", &[][..]),
        ("PHDS-X03", "IMMUNIZATION ID", &["CLIENT ID", "VACCINATION DATE"]),
        ("PHDS-X10", "GIVEN BY ORG ID", &["PROVIDER NAME"]),
        ("PHDS-X11", "PROVIDER NAME", &["GIVEN BY ORG ID"]),
    ] {
        let mut first = BTreeMap::new();
        for (line, row) in rows {
            let (id, with) = (at(row, id), key(row, with));
            if id.is_empty() || !is_there(&with) {
                continue;
            }
            let same = first.entry(id).or_insert_with(|| (with.clone(), *line));
            if same.0 != with || (with.is_empty() && same.1 != *line) {
                found.entry(rule).or_default().insert(*line);
            }
        }
    }
    let mut clients: BTreeMap<String, Vec<&(u64, csv::StringRecord)>> = BTreeMap::new();
    for row in rows {
        clients.entry(at(&row.1, "CLIENT ID")).or_default().push(row);
    }
    // What no codelist knows is no value.
    let known = |value: &str| !["", "Q", "Nowhere", "NOGROUP"].contains(&value);
    for doses in clients.values() {
        let used = &doses.iter().max_by_key(|(line, row)| (at(row, "VACCINATION DATE"), *line)).unwrap().1;
        for (line, row) in doses {
            for (rule, name) in [("PHDS-X05", "BIRTH DATE"), ("PHDS-X06", "SEX CODE"), ("PHDS-X07", "CLIENT COUNTY")] {
                let (one, other) = (at(row, name), at(used, name));
                if one != other && known(&one) && known(&other) {
                    found.entry(rule).or_default().insert(*line);
                }
            }
            let earlier = doses.iter().filter(|(other, _)| other < line);
            let dose = key(row, &["CVX CODE", "VACCINE GROUP", "VACCINATION DATE"]);
            let is_again = earlier.clone().any(|(_, other)| other == row);
            if is_again {
                found.entry("PHDS-X01").or_default().insert(*line);
            } else if !dose[0].is_empty()
                && earlier
                    .clone()
                    .any(|(_, other)| key(other, &["CVX CODE", "VACCINE GROUP", "VACCINATION DATE"]) == dose)
            {
                found.entry("PHDS-X04").or_default().insert(*line);
            }
            let group = at(row, "VACCINE GROUP");
            let ordinal = at(row, "ORDINAL POSITION").parse::<u32>();
            let is_against = doses.iter().any(|(_, other)| {
                at(other, "VACCINE GROUP") == group
                    && at(other, "VACCINATION DATE") < at(row, "VACCINATION DATE")
                    && at(other, "ORDINAL POSITION").parse::<u32>().ok() > ordinal.clone().ok()
            });
            if known(&group) && ordinal.is_ok() && is_against && !is_again {
                found.entry("PHDS-X08").or_default().insert(*line);
            }
            let is_soon = doses.iter().any(|(_, other)| {
                let days = (day(row, "VACCINATION DATE") - day(other, "VACCINATION DATE")).num_days();
                at(other, "VACCINE GROUP") == group && (1..=23).contains(&days)
            });
            if WEEKS_APART.split(' ').any(|name| name == group) && is_soon && !is_again {
                found.entry("PHDS-X12").or_default().insert(*line);
            }
        }
        let born = day(used, "BIRTH DATE");
        let is_two = NaiveDate::from_ymd_opt(2024, 12, 31).unwrap().years_since(born) >= Some(2);
        let is_birth_dose = |row: &csv::StringRecord| {
            let days = (day(row, "VACCINATION DATE") - born).num_days();
            at(row, "VACCINE GROUP") == "HepB" && (0..=3).contains(&days)
        };
        if is_two && doses.iter().all(|(_, row)| is_birth_dose(row)) {
            found.entry("PHDS-X13").or_default().insert(doses[0].0);
        }
    }
    found
}

#[test]
fn a_month_without_faults_has_no_finding_but_vaccines_after_the_disaster() {
    let context = synthetic(3_000, 0.0);
    assert_eq!(context.tree(), ["month.csv"], "there is nothing to list");
    context.phds(&format!("check month.csv --period {PERIOD} --report out")).done();
    let report = context.json("out/report.json");
    assert_eq!(report["totals"]["rejected"], 0);
    assert_eq!(report["totals"]["read"], report["totals"]["accepted"]);
    let failed = report["rules"].as_array().unwrap().iter().filter(|rule| rule["failed"] != 0);
    assert_eq!(failed.map(|rule| text(rule, "code")).collect::<Vec<_>>(), ["PHDS-D02"]);
    assert_eq!(context.read("out/rejected.csv"), b"line,byte_offset,bytes,rule,severity,column\n");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, other) = (synthetic(200, 0.02), synthetic(200, 0.02));
    for file in ["month.csv", "month.planted.json"] {
        assert_eq!(one.read(file), other.read(file), "{file}");
    }
}

#[test]
fn keys_of_two_loads_have_nothing_in_common_and_all_else_is_the_same() {
    let context = synthetic(1_000, 0.01);
    for store in ["one", "other"] {
        context.phds(&format!("load month.csv --period {PERIOD} --store {store}")).done();
    }
    for table in ["clients", "immunizations"] {
        let [one, other] = ["one", "other"].map(|store| parquet_table(&context.path(store), PERIOD, table));
        let keys = |batches| texts(batches, |name| name == "client_key").concat().into_iter().collect::<HashSet<_>>();
        assert_eq!(keys(&one).len(), 1_000);
        assert!(keys(&one).is_disjoint(&keys(&other)), "{table}: the same client has the same key twice");
        let rows = |batches| {
            let mut rows = texts(batches, |name| name != "client_key");
            rows.sort();
            rows
        };
        assert_eq!(rows(&one), rows(&other), "{table}");
    }
}

#[test]
fn loading_a_month_again_replaces_it_whole() {
    let context = synthetic(300, 0.01);
    let ask = "query coverage --store store --measure nis.mmr1 --by region --format csv";
    let load = || {
        context.phds(&format!("load month.csv --period {PERIOD} --store store")).done();
        let files: Vec<_> = context
            .tree()
            .into_iter()
            .map(|name| {
                // Part files have a name of their own for every load.
                regex::Regex::new("part-[0-9a-f]+").unwrap().replace(&name, "part").into_owned()
            })
            .collect();
        (files, context.phds(ask).done().stdout)
    };
    let first = load();
    context.phds(ask).done();
    let files = |loaded: &(Vec<String>, Vec<u8>)| {
        let of_month = |name: &&String| !name.contains("releases") && !name.contains("ledger");
        loaded.0.iter().filter(of_month).cloned().collect::<Vec<_>>()
    };
    let second = load();
    assert_eq!(files(&first), files(&second));
    assert_eq!(first.1, second.1);
}

/// Large enough for many pieces of the file, and for files of what is set aside when little memory is given.
#[test]
fn everything_is_the_same_for_any_number_of_threads_and_any_memory() {
    let context = synthetic(20_000, 0.02);
    let mut first = None;
    for (threads, memory) in [(1, "1GiB"), (2, "1GiB"), (8, "64MiB")] {
        let store = format!("store-{threads}");
        let work = format!("--threads {threads} --memory {memory}");
        context.phds(&format!("load month.csv --period {PERIOD} --store {store} {work}")).done();
        // A file that is checked where it lies: its SHA-256 is that of pieces which any thread may have read.
        context.phds(&format!("check month.csv --period {PERIOD} --report checked-{threads} {work}")).done();
        let checked = context.json(&format!("checked-{threads}/report.json"));
        assert_eq!(checked["delivery"]["sha256"], phds::fs::sha256_hex(&context.read("month.csv")));
        let mut report = context.json(&format!("{store}/reports/{PERIOD}/report.json"));
        report.as_object_mut().unwrap().remove("run").expect("seconds and memory differ");
        let rejected = context.read(&format!("{store}/reports/{PERIOD}/rejected.csv"));
        let question = "query coverage --measure nis.4313314 --by county,birth_year --format csv";
        let answer = context.phds(&format!("{question} --store {store} --period {PERIOD}")).done().stdout;
        // Keys are drawn anew by each load; all else of a client is the same.
        let clients = parquet_table(&context.path(&store), PERIOD, "clients");
        let mut clients = texts(&clients, |column| column != "client_key");
        clients.sort();
        let this = (report, rejected, answer, clients);
        let Some(first) = &first else {
            assert!(this.1.len() > 10_000 && this.3.len() > 19_000, "the month is too small to tell anything");
            first = Some(this);
            continue;
        };
        assert!(*first == this, "{threads} threads and {memory} give another result");
    }
}
