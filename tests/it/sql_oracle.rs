//! `tests/oracle/rules.sql` counts what each rule finds from its text alone; the program must count the same.
//!
//! Every rule of the edition is either counted by the SQL or in [`LEFT_OUT`], and every rule that is counted fails in
//! one month at least, so that no two zeros agree by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duckdb::Connection;
use serde_json::Value;

use crate::support::{TestContext, csv_rows};

/// What SQL does not count.
const LEFT_OUT: [(&str, &str); 25] = [
    ("PHDS-S01", "it refuses the file: there are no rows to count"),
    ("PHDS-S02", "it refuses the file"),
    ("PHDS-S03", "it refuses the file"),
    ("PHDS-S04", "it refuses the file"),
    ("PHDS-S05", "it refuses the file"),
    ("PHDS-S09", "it refuses the file"),
    ("PHDS-S11", "only more than one line tells a forgotten quote from a value over several lines"),
    ("PHDS-F05", "the dictionary calls no list of codes complete"),
    ("PHDS-P02", "it sums up the rules about fields"),
    ("PHDS-P03", "it counts organizations and clients, and is tried at its limits"),
    ("PHDS-P04", "it sums up X05"),
    ("PHDS-R06", "the dictionary names no last year"),
    ("PHDS-H01", "it compares two reports"),
    ("PHDS-H02", "it compares two reports"),
    ("PHDS-H03", "it compares two files"),
    ("PHDS-H04", "it compares two reports"),
    ("PHDS-H06", "it compares two reports"),
    ("PHDS-H07", "it compares two reports"),
    ("PHDS-H08", "it compares two reports"),
    ("PHDS-H09", "it compares two reports"),
    ("PHDS-H10", "it compares two reports"),
    ("PHDS-H12", "it compares two reports"),
    ("PHDS-H13", "it compares two reports"),
    ("PHDS-H14", "it compares two reports"),
    ("PHDS-H11", "it compares the file with the settings"),
];

/// Checked and failed, by rule and column; no column stands for the rule as a whole.
type Counts = BTreeMap<(String, Option<String>), (u64, u64)>;

#[test]
fn sql_and_program_count_the_same_in_every_rule_and_column() {
    let context = TestContext::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries/examples/consent/dictionary.toml");
    context.put("consent.toml", format!("[dictionary]\nfile = '{}'\n", own.display()));
    for (name, clients, seed, faults) in [("few", 500, 11, "0.01"), ("many", 300, 12, "0.4"), ("none", 400, 13, "0")] {
        let size = format!("--clients {clients} --seed {seed} --faults {faults}");
        context.phds(&format!("synth {size} --period 2024-12 --out {name}.csv")).done();
    }
    context.put("again.csv", again(&context.read("none.csv")));
    context.put("consent.csv", with_consent(&context.read("few.csv")));

    let (mut counted, mut failing) = (BTreeSet::new(), BTreeSet::new());
    for (month, period, settings) in [
        ("few.csv", "2024-12", ""),
        ("many.csv", "2024-12", ""),
        ("again.csv", "2024-12", ""),
        ("many.csv", "2028-06", ""),
        ("consent.csv", "2024-12", "--config consent.toml"),
    ] {
        // A month with too many faults is refused and reported all the same.
        context.phds(&format!("check {month} --period {period} --report {month}-{period} {settings}"));
        let mut program = counts_of_program(&context.json(&format!("{month}-{period}/report.json")));
        program.retain(|(rule, _), _| LEFT_OUT.iter().all(|(code, _)| code != rule));
        let sql = counts_of_sql(&context.path(month), period);
        assert_eq!(differences(&program, &sql), [""; 0], "{month} as {period}");
        for ((rule, _), (_, failed)) in sql {
            counted.insert(rule.clone());
            if failed > 0 {
                failing.insert(rule);
            }
        }
    }
    assert_eq!(counted, failing, "each rule is broken somewhere");
}

/// The month, and after each row the same row with one field of the first row in place of its own: each of the 26 in
/// turn, then none; some client ids are rounded. So rows, ids and doses are there again, clients and organizations have two of everything, and the
/// first client has the doses of many.
fn again(month: &[u8]) -> Vec<u8> {
    let rows = csv_rows(month);
    let client = rows[0].iter().position(|name| name == "CLIENT ID").unwrap();
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(&rows[0]).unwrap();
    for (number, row) in rows[1..].iter().enumerate() {
        out.write_record(row).unwrap();
        let mut row = row.clone();
        let place = number % (row.len() + 1);
        if let Some(field) = row.get_mut(place) {
            field.clone_from(&rows[1][place]);
        }
        if number % 50 == 0 {
            row[client].replace_range(.., "7.17364E+11");
        }
        out.write_record(row).unwrap();
    }
    out.into_inner().unwrap()
}

/// The month with three more columns, in which every type of consent meets every other value.
fn with_consent(month: &[u8]) -> Vec<u8> {
    let types = ["IA", "IC", "DC", "PA", "ia", "XX", ""];
    let disaster = ["Y", "N", ""];
    let dates = ["2022-01-01", "2019-12-31", "2019-12-30", "2024-12-31", "2025-01-01", "2022-02-30", ""];
    let lines: Vec<_> = month.trim_ascii_end().split(|byte| *byte == b'\n').collect();
    let mut out = [lines[0], b",CONSENT TYPE,DISASTER CONSENT,CONSENT DATE\n"].concat();
    for (number, line) in lines[1..].iter().enumerate() {
        let kind = types[number % 7];
        let consent = disaster[number / 7 % 3];
        // Most dates are good, so that enough rows are left for the rules across rows.
        let date = if number % 4 == 0 { dates[number / 21 % 7] } else { dates[0] };
        out.extend([line, format!(",{kind},{consent},{date}\n").as_bytes()].concat());
    }
    out
}

fn counts_of_program(report: &Value) -> Counts {
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
    let mut counts = Counts::new();
    for rule in report["rules"].as_array().unwrap() {
        let code = text(rule, "code");
        counts.insert((code.clone(), None), (number(rule, "checked"), number(rule, "failed")));
        for column in rule["by_column"].as_array().into_iter().flatten() {
            let key = (code.clone(), Some(text(column, "column")));
            counts.insert(key, (number(column, "checked"), number(column, "failed")));
        }
    }
    counts
}

fn counts_of_sql(month: &Path, period: &str) -> Counts {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dictionaries = repository.join("dictionaries");
    let sql = std::fs::read_to_string(repository.join("tests/oracle/rules.sql")).unwrap();
    let database = Connection::open_in_memory().unwrap();
    for (name, value) in
        [("month", month.to_str().unwrap()), ("period", period), ("dictionaries", dictionaries.to_str().unwrap())]
    {
        database.execute_batch(&format!("SET VARIABLE {name} = '{}'", value.replace('\'', "''"))).unwrap();
    }
    database.execute_batch(&sql).unwrap();
    // The report names no column in which nothing was checked.
    let counted = r#"SELECT rule, "column", checked, failed FROM counts WHERE "column" IS NULL OR checked > 0"#;
    let mut counts = database.prepare(counted).unwrap();
    let rows = counts.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A line for each rule or column that is counted in another way, or by one of the two alone.
fn differences(program: &Counts, sql: &Counts) -> Vec<String> {
    let keys: BTreeSet<_> = program.keys().chain(sql.keys()).collect();
    let differing = keys.into_iter().filter(|key| program.get(key) != sql.get(key));
    differing.map(|key| format!("{key:?}: the program {:?}, SQL {:?}", program.get(key), sql.get(key))).collect()
}
