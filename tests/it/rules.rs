//! `tests/cases/rules/CODE.toml`: tiny tables, and on each row the rules that it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::support::{Month, PERIOD, Shape, Table, TestContext, csv_rows, sources};

/// Lines that a report keeps of each rule and column.
const FIRST_LINES: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// The rule that all of it is about.
    rule: String,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    name: String,
    #[serde(default = "period")]
    period: String,
    /// The rows, as [`Month`] reads them; without it, `bytes` are the file.
    table: Option<String>,
    bytes: Option<String>,
    /// Columns that the file lacks.
    #[serde(default)]
    without: Vec<String>,
    #[serde(default = "yes")]
    header: bool,
    /// What is found in `bytes`: physical line → rules.
    #[serde(default)]
    finds: BTreeMap<String, Vec<String>>,
    /// A dictionary of `dictionaries` to lay over the built-in one.
    dictionary: Option<String>,
    /// Whether the limit for rejected rows is the usual 5 %; else there is none.
    #[serde(default)]
    usual_limit: bool,
    /// Rules about the whole file that are for review.
    #[serde(default)]
    file_finds: Vec<String>,
    /// The file-level rules that refuse it.
    #[serde(default)]
    refuses: Vec<String>,
    /// Rows read, accepted, rejected.
    totals: [u64; 3],
}

fn period() -> String {
    PERIOD.to_owned()
}

fn yes() -> bool {
    true
}

/// Line → codes, a code once for each column that breaks it.
type Found = BTreeMap<String, Vec<u64>>;

impl Case {
    fn run(&self, severities: &BTreeMap<String, String>) {
        let context = TestContext::new();
        let month = self
            .table
            .as_ref()
            .map(|table| Month::shaped(&Table::parse(table), Shape { without: &self.without, header: self.header }));
        let bytes = month.as_ref().map_or(self.bytes.as_deref().unwrap_or_default().as_bytes(), Month::bytes);
        context.put("month.csv", bytes);
        context.put("phds.toml", self.settings());
        let outcome = context.phds(&format!("check month.csv --period {} --report out", self.period));
        outcome.ended(i32::from(!self.refuses.is_empty()));

        let mut expected = Found::new();
        let mut rejected = Vec::new();
        let found_in_bytes = self.finds.iter().map(|(line, codes)| (line.parse().unwrap(), codes.clone()));
        let rows: Vec<_> = month.iter().flat_map(|month| month.rows.clone()).chain(found_in_bytes).collect();
        for (line, codes) in &rows {
            let is_out = codes.iter().any(|code| severities[code] == "reject");
            for code in codes {
                expected.entry(code.clone()).or_default().push(*line);
                if is_out {
                    rejected.push((*line, code.clone(), severities[code].clone()));
                }
            }
        }
        let report = context.json("out/report.json");
        let [read, accepted, out] = self.totals;
        assert_eq!(read, accepted + out, "the case itself");
        assert_eq!(report["totals"], serde_json::json!({ "read": read, "accepted": accepted, "rejected": out }));

        let mut refuses = Vec::new();
        let mut found = Found::new();
        for rule in report["rules"].as_array().unwrap() {
            let code = rule["code"].as_str().unwrap().to_owned();
            let failed = rule["failed"].as_u64().unwrap();
            assert_eq!(rule["outcome"] == "failed", failed > 0, "{code}");
            if failed > 0 && rule["severity"] == "refuse" {
                refuses.push(code);
            } else if failed > 0 && self.file_finds.contains(&code) {
                assert_eq!(failed, 1, "{code}");
            } else if failed > 0 {
                let lines = expected.get(&code).cloned().unwrap_or_default();
                assert_eq!(failed, lines.len() as u64, "{code}");
                let first: BTreeSet<_> = lines.into_iter().take(FIRST_LINES).collect();
                let shown: Vec<u64> =
                    rule["first_lines"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
                assert_eq!(shown, first.into_iter().collect::<Vec<_>>(), "{code}");
                let offsets = rule["first_offsets"].as_array().unwrap().iter().filter_map(Value::as_u64);
                let lines_at = offsets.map(|offset| {
                    memchr::memchr_iter(b'\n', &bytes[..usize::try_from(offset).unwrap()]).count() as u64 + 1
                });
                assert_eq!(lines_at.collect::<Vec<_>>(), shown, "{code}");
                found.insert(code, shown);
            }
        }
        assert_eq!(refuses, self.refuses);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());

        let list = csv_rows(&context.read("out/rejected.csv"));
        assert_eq!(list[0], ["line", "byte_offset", "bytes", "rule", "severity", "column"]);
        let mut listed: Vec<_> = list[1..]
            .iter()
            .map(|row| {
                let [line, offset, length] = [0, 1, 2].map(|at| row[at].parse::<usize>().unwrap());
                let before = &bytes[..offset];
                assert_eq!(line, memchr::memchr_iter(b'\n', before).count() + 1, "the offset is not on the line");
                let ends = bytes[..offset + length].ends_with(b"\n") || offset + length == bytes.len();
                assert!(before.ends_with(b"\n") && ends, "no whole record");
                (line as u64, row[3].clone(), row[4].clone())
            })
            .collect();
        listed.sort();
        rejected.sort();
        assert_eq!(listed, rejected);
        let lines: BTreeSet<u64> = listed.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines.len() as u64, out);
    }

    fn settings(&self) -> String {
        let limit = if self.usual_limit { "" } else { "[check]\nmax_rejected_share = 1.0\n" };
        let dictionary = self.dictionary.as_ref().map(|name| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries").join(name);
            format!("[dictionary]\nfile = {}\n", toml::Value::String(path.to_str().unwrap().to_owned()))
        });
        format!("{limit}{}", dictionary.unwrap_or_default())
    }
}

/// Code → severity of every rule.
fn severities() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries/phds/rules.toml"));
    let rules: toml::Table = text.unwrap().parse().unwrap();
    let text = |rule: &toml::Value, key: &str| rule[key].as_str().unwrap().to_owned();
    rules["rule"].as_array().unwrap().iter().map(|rule| (text(rule, "code"), text(rule, "severity"))).collect()
}

fn files() -> Vec<Cases> {
    sources("tests/cases/rules", "toml")
        .into_iter()
        .map(|(path, text)| {
            let cases: Cases = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(path.file_stem().unwrap().to_str(), Some(cases.rule.as_str()), "a file is named after its rule");
            cases
        })
        .collect()
}

#[test]
fn every_case_finds_what_it_says_and_nothing_else() {
    let severities = severities();
    let mut failed = Vec::new();
    for Cases { rule, cases } in files() {
        for case in &cases {
            let run = std::panic::AssertUnwindSafe(|| case.run(&severities));
            if std::panic::catch_unwind(run).is_err() {
                failed.push(format!("{rule}: {}", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "failed:\n  {}", failed.join("\n  "));
}

#[test]
fn every_rule_has_a_case_that_breaks_it_and_one_row_or_file_that_keeps_it() {
    let files = files();
    // Rules that compare two months are tried in `history`.
    let of_one_month = |code: &String| !code.starts_with("PHDS-H") || code == "PHDS-H05";
    for code in severities().into_keys().filter(of_one_month) {
        let cases = files.iter().find(|file| file.rule == code).unwrap_or_else(|| panic!("{code} has no case"));
        let tables = || cases.cases.iter().filter_map(|case| case.table.as_deref().map(Table::parse));
        let rows = || {
            tables()
                .flat_map(|table| table.column("finds").into_iter().flatten().map(str::to_owned).collect::<Vec<_>>())
        };
        let in_bytes = || cases.cases.iter().flat_map(|case| case.finds.values().flatten().cloned());
        let rows = || rows().chain(in_bytes());
        let breaks = |cell: &String| cell.split_whitespace().any(|found| found == code);
        let refuses = |case: &Case| case.refuses.contains(&code) || case.file_finds.contains(&code);
        assert!(rows().any(|cell| breaks(&cell)) || cases.cases.iter().any(refuses), "{code} is never broken");
        assert!(rows().any(|cell| !breaks(&cell)) || !cases.cases.iter().all(refuses), "{code} is never kept");
    }
}

#[test]
fn what_the_file_cannot_tell_is_said_with_its_reason() {
    let context = TestContext::new();
    context.put("month.csv", Month::of("CVX CODE\n03").bytes());
    context.phds("check month.csv --period 2024-12 --report out").done();
    let report = context.json("out/report.json");
    let outcomes: Vec<_> =
        report["rules"].as_array().unwrap().iter().filter(|rule| rule["reason"].is_string()).collect();
    let shown: Vec<_> = outcomes
        .iter()
        .map(|rule| format!("{} {}: {}", rule["code"], rule["outcome"], rule["reason"]).replace('"', ""))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    PHDS-F05 not_checkable: no field of the dictionary has `unlisted = reject`
    PHDS-R06 not_checkable: the dictionary names no last inclusion year
    PHDS-H01 not_checkable: there is no report of an earlier month
    PHDS-H02 not_checkable: there is no report of an earlier month
    PHDS-H03 not_checkable: there is no report of an earlier month
    PHDS-H04 not_checkable: there is no report of an earlier month
    PHDS-H06 not_checkable: there is no report of an earlier month
    PHDS-H07 not_checkable: there is no report of an earlier month
    PHDS-H08 not_checkable: there is no report of an earlier month
    PHDS-H09 not_checkable: there is no report of an earlier month
    PHDS-H10 not_checkable: there is no report of an earlier month
    PHDS-H11 not_checkable: the settings name no responsible entity
    PHDS-H12 not_checkable: there is no report of an earlier month
    PHDS-H13 not_checkable: there is no report of an earlier month
    PHDS-H14 not_checkable: there is no report of an earlier month
    PHDS-D05 not_checkable: it applies to periods that end after 2028-06-15
    PHDS-C01 not_checkable: the dictionary maps no column of the file to `disaster_consent` and `consent_type`
    PHDS-C02 not_checkable: the dictionary maps no column of the file to `consent_date`
    PHDS-C03 not_checkable: the dictionary maps no column of the file to `consent_type`
    PHDS-C04 not_checkable: the dictionary maps no column of the file to `consent_type`
    ");
    assert!(outcomes.iter().all(|rule| rule["checked"] == 0 && rule["failed"] == 0 && rule["not_applicable"] == 0));
}
