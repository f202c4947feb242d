//! Releases as files that other programs open, tables that fit a screen, and completions that know the program.

use std::io::Write;
use std::process::{Command, Stdio};

use arrow::ipc::reader::FileReader;
use calamine::{Data, Reader, Xlsx};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::support::{Month, TestContext, csv_rows};

/// A month of a department whose organizations have names that a spreadsheet or a typesetter would take for something else,
/// and one that is too small to be shown.
fn odd_names() -> TestContext {
    let context = TestContext::new();
    context.put("ours.toml", "[[field]]\nname = \"org_id\"\npattern = '.+'\n");
    context.put("phds.toml", "[dictionary]\nfile = \"ours.toml\"\n");
    context.load(&Month::of(
        "clients | GIVEN BY ORG ID    | CVX CODE | BIRTH DATE | VACCINATION DATE
         20 a    | =HYPERLINK(1)      | 03       | 2021-06-15 | 2022-07-01
         20 b    | =HYPERLINK(1)      | 08       | 2021-06-15 | 2022-07-01
         30 c    | +1 & Sons_100%     | 03       | 2021-06-15 | 2022-07-01
         40 d    | Plain              | 08       | 2021-06-15 | 2022-07-01
         5 e     | Small              | 03       | 2021-06-15 | 2022-07-01",
    ));
    context
}

/// The same as two months, each with its release.
fn two_months() -> TestContext {
    let context = odd_names();
    // Another file, by a line without anything.
    context.put("later.csv", [context.read("month.csv"), b"\n".to_vec()].concat());
    context.phds("load later.csv --period 2025-01 --store store").done();
    for period in ["2024-12", "2025-01"] {
        context.put(&format!("{period}/.keep"), "");
        context.phds(&format!("{ASK} --period {period} --format csv --out {period}/t.csv")).done();
    }
    context
}

const ASK: &str = "query coverage --store store --measure nis.mmr1 --by organization";

#[test]
fn a_spreadsheet_finds_no_formula_in_a_csv_and_readers_find_the_label() {
    let context = odd_names();
    context.put("o/.keep", "");
    context.phds(&format!("{ASK} --format csv --bom --out o/t.csv")).done();
    let bytes = context.read("o/t.csv");
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap();
    let rows = csv_rows(text);
    assert_eq!(rows[0][0], "organization");
    let labels: Vec<_> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(labels, ["'+1 & Sons_100%", "'=HYPERLINK(1)", "Plain", "(others)"]);
    for row in &rows[1..] {
        for cell in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
    }
    // Numbers are numbers.
    assert_eq!(rows[2][2..5], ["20", "40", "0.500000"]);
    // Other forms are not opened by a spreadsheet program, and have the names as they are.
    let printed: Value = serde_json::from_slice(&context.phds(&format!("{ASK} --format json")).done().stdout).unwrap();
    assert_eq!(printed[1]["organization"], "=HYPERLINK(1)");
    // What reads the CSV again has the names, too.
    let figure = context.phds("plot o/t.csv --kind bar").done().text();
    assert!(figure.contains("=HYPERLINK(1)") && !figure.contains("'=HYPERLINK"), "{figure}");

    let refused = context.phds(&format!("{ASK} --format json --bom")).ended(2);
    assert!(refused.stderr.contains("hint: add `--format csv`"), "{}", refused.stderr);
}

/// The cells of a sheet.
fn cells_of(bytes: &[u8], sheet: &str) -> Vec<Vec<Data>> {
    let mut workbook = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(workbook.sheet_names(), ["Table", "About"]);
    assert!(workbook.worksheet_formula(sheet).unwrap().is_empty(), "a formula in {sheet}");
    workbook.worksheet_range(sheet).unwrap().rows().map(<[Data]>::to_vec).collect()
}

/// The text of a part of a workbook.
fn part_of(bytes: &[u8], name: &str) -> String {
    let mut parts = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    std::io::read_to_string(parts.by_name(name).unwrap()).unwrap()
}

/// Whether the sheet of rows has what the CSV has: numbers as numbers and digit for digit, a sign in place of those that are
/// not told, and everything else as text.
fn has_what_the_csv_has(workbook: &[u8], csv: &[u8], numbers: &[&str], instead: &str) {
    let (sheet, rows) = (cells_of(workbook, "Table"), csv_rows(csv));
    assert_eq!(sheet.len(), rows.len());
    for (cells, row) in sheet.iter().zip(&rows) {
        for ((cell, text), column) in cells.iter().zip(row).zip(&rows[0]) {
            let is_number = numbers.contains(&column.as_str()) && row != &rows[0];
            let expected = match text.parse::<f64>() {
                Ok(number) if is_number => Data::Float(number),
                Err(_) if is_number => Data::String(instead.to_owned()),
                _ => Data::String(phds::output::label::unguarded(text).to_owned()),
            };
            assert_eq!(cell, &expected, "{column}: {row:?}");
        }
    }
}

const OF_COVERAGE: [&str; 5] = ["numerator", "denominator", "rate", "ci_low", "ci_high"];

#[test]
fn a_workbook_has_the_numbers_of_the_csv_and_everything_else_as_text() {
    let context = odd_names();
    let csv = context.phds(&format!("{ASK} --format csv")).done().stdout;
    context.phds(&format!("{ASK} --out t.xlsx")).done();
    let bytes = context.read("t.xlsx");
    has_what_the_csv_has(&bytes, &csv, &OF_COVERAGE, "·");
    let rows = cells_of(&bytes, "Table");
    let text = |text: &str| Data::String(text.to_owned());
    assert_eq!(
        rows[2][..5],
        [text("=HYPERLINK(1)"), text("nis.mmr1"), Data::Float(20.0), Data::Float(40.0), Data::Float(0.5)]
    );
    assert_eq!(rows[4][..3], [text("(others)"), text("nis.mmr1"), text("·")]);
    // A label that somebody edits stays a text, and a share is shown as a percentage.
    let styles = part_of(&bytes, "xl/styles.xml");
    assert!(styles.contains("formatCode=\"0.0%\"") && styles.contains("numFmtId=\"49\""), "{styles}");
    let sheet = part_of(&bytes, "xl/worksheets/sheet1.xml");
    for part in ["<autoFilter ref=\"A1:I5\"/>", "state=\"frozen\"", "topLeftCell=\"A2\"", "INTERNAL: for the staff"] {
        assert!(sheet.contains(part), "{part}\n{sheet}");
    }
    assert!(!sheet.contains("<f>"), "{sheet}");
    // The same question gives the same bytes, in place of those that are there; and they are described as the others are.
    context.phds(&format!("{ASK} --out t.xlsx")).done();
    assert_eq!(context.read("t.xlsx"), bytes);
    assert!(part_of(&bytes, "docProps/core.xml").contains("2024-12-31T00:00:00Z"));
    let table = context.json("release.json")["table"].clone();
    assert_eq!([&table["format"], &table["rows"]], [&json!("xlsx"), &json!(4)]);
    assert_eq!(table["sha256"], phds::fs::sha256_hex(&bytes));
    let refused = context.phds("plot t.xlsx --kind bar").ended(2).stderr;
    assert!(refused.contains("hint: ask again with `--format csv`"), "{refused}");
}

#[test]
fn a_workbook_says_what_the_table_says() {
    let context = odd_names();
    context.phds(&format!("{ASK} --out t.xlsx")).done();
    let about = cells_of(&context.read("t.xlsx"), "About");
    let told = |what: &str| -> Vec<String> {
        let mut of = "";
        let rows = about.iter().filter(|row| {
            if let Some(Data::String(name)) = row.first().filter(|name| **name != Data::String(String::new())) {
                of = name;
            }
            of == what
        });
        rows.map(|row| row[1].to_string()).collect()
    };
    let release = context.phds(&format!("{ASK} --format markdown")).done().text();
    for (what, sentence) in [
        ("For whom", "INTERNAL: for the staff of this health department. Not for publication."),
        ("Title", "1 or more MMR by 24 months (nis.mmr1)"),
        ("As-of date", "2024-12-31"),
        ("Signs", "· suppressed: it would tell a count of 1 to 10; suppressed is not zero"),
        ("Columns", "organization: Organization of the client"),
        ("Columns", "rate: Rate, a share, to six digits after the point: 0.9 is 90 %"),
        ("Status", "suppressed: withheld because it would tell a small count; suppressed is not zero"),
    ] {
        assert!(told(what).iter().any(|found| found == sentence), "{sentence}\n{:?}", told(what));
    }
    assert!(told("Withheld")[0].starts_with("No count of 1 to 10 is told. 11 meets the strictest rule"));
    assert!(told("nis.mmr1").len() == 1 && told("Source of nis.mmr1").len() == 1);
    let caveats = release.lines().filter(|line| line.starts_with("- ")).count();
    assert_eq!(told("Signs").len() + told("Notes").len() + told("Caveats").len(), caveats);
    assert!(release.contains(told("Made from")[0].split(' ').nth(1).unwrap()));
}

#[test]
fn labels_that_look_like_dates_and_numbers_are_texts_in_a_workbook() {
    let context = TestContext::new();
    context.load(&Month::of(
        "clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE
         20 a    | Dallas        | 2021-06-15 | 2021-07-01
         20 b    | Travis        | 2020-06-15 | 2023-07-01",
    ));
    let ask = "query doses --by region,birth_year --store store";
    let csv = context.phds(&format!("{ask} --format csv")).done().stdout;
    context.phds(&format!("{ask} --out d.xlsx")).done();
    has_what_the_csv_has(&context.read("d.xlsx"), &csv, &["persons", "doses"], "·");
    // Doses are of clients of all ages.
    let cohort = context.json("release.json")["cohort"].clone();
    assert_eq!(
        [&cohort["born_from"], &cohort["born_to"], &cohort["as_of"]],
        [&Value::Null, &Value::Null, &json!("2024-12-31")]
    );
    let rows = cells_of(&context.read("d.xlsx"), "Table");
    assert_eq!(rows[1][..2], ["2/3", "2021"].map(|label| Data::String(label.to_owned())));
}

#[test]
fn a_comparison_is_written_as_a_workbook_and_replaces_nothing_else() {
    let context = two_months();
    let compared = |rest: &str| context.phds(&format!("compare 2024-12 2025-01 {rest}"));
    let csv = compared("--format csv").done().stdout;
    for _ in 0..2 {
        for ending in ["csv", "xlsx", "json", "txt"] {
            compared(&format!("--out change.{ending}")).done();
        }
    }
    assert_eq!(context.read("change.csv"), csv);
    let bytes = context.read("change.xlsx");
    has_what_the_csv_has(&bytes, &csv, &["earlier", "later", "change"], "·");
    assert!(cells_of(&bytes, "About").iter().any(|row| row[1].to_string().starts_with("A change has no interval")));
    assert_eq!(compared("--format xlsx").done().stdout, bytes);
    // What is there and is no comparison stays.
    context.phds(&format!("{ASK} --out release.xlsx")).done();
    for file in ["release.xlsx", "month.csv"] {
        let said = compared(&format!("--out {file}")).ended(2).stderr;
        assert!(said.contains("is there and is no comparison that phds wrote"), "{said}");
    }
    let said = compared("--out change.parquet").ended(2).stderr;
    assert!(said.contains("hint: end the file in .csv, .xlsx, .json or .txt"), "{said}");
}

#[test]
fn a_comparison_has_words_for_titles_and_no_formulas() {
    let context = two_months();
    let rows = csv_rows(&context.phds("compare 2024-12 2025-01 --format csv").done().stdout);
    assert!(rows.contains(
        &["'=HYPERLINK(1)", "0.500000", "0.500000", "0.000000", "shown", "internal"].map(str::to_owned).to_vec()
    ));
    let text = context.phds("compare 2024-12 2025-01").done().text();
    assert!(text.contains(" Organization of the client   2024-12   2025-01"), "{text}");
    for (words, hint) in [
        ("compare 2025-01 2024-12", "hint: name the earlier month first"),
        ("compare 2024-12 2024-12", "hint: name the release of another month"),
        ("compare . 2025-01", "hint: name one of the releases in it: `./2024-12` and `./2025-01`"),
    ] {
        let said = context.phds(words).ended(2).stderr;
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn markdown_and_latex_say_what_the_table_says() {
    let context = odd_names();
    let markdown = context.phds(&format!("{ASK} --format markdown")).done().text();
    for line in [
        "**INTERNAL: for the staff of this health department. Not for publication.**",
        "### 1 or more MMR by 24 months (nis.mmr1)",
        "| Organization of the client | Numerator | Denominator | Rate | 95 % interval |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| +1 \\& Sons\\_100% | 30 | 30 | 100.0 % | 88.4 to 100.0 |",
        "| (others) | · | · | · | · |",
        "- · suppressed: it would tell a count of 1 to 10; suppressed is not zero",
    ] {
        assert!(markdown.lines().any(|found| found == line), "{line}\n{markdown}");
    }
    let latex = context.phds(&format!("{ASK} --format latex")).done().text();
    for line in [
        "% Needs \\usepackage{booktabs, longtable}.",
        "\\begin{longtable}{lrrrr}",
        "  Organization of the client & Numerator & Denominator & Rate & 95 \\% interval \\\\",
        "  +1 \\& Sons\\_100\\% & 30 & 30 & 100.0 \\% & 88.4 to 100.0 \\\\",
        "  \\toprule",
        "\\end{longtable}",
    ] {
        assert!(latex.lines().any(|found| found == line), "{line}\n{latex}");
    }
    for text in [&markdown, &latex] {
        assert!(text.contains("opt-in") && text.contains("Release "), "caveats and provenance: {text}");
    }
    // The table is described as the others are.
    context.phds(&format!("{ASK} --format latex --out t.tex")).done();
    assert_eq!(context.json("release.json")["table"]["format"], "tex");
}

#[test]
fn arrow_and_parquet_carry_the_description_and_the_units() {
    let context = odd_names();
    let open = |format: &str| {
        context.phds(&format!("{ASK} --format {format} --out {format}.{format}")).done();
        std::fs::File::open(context.path(&format!("{format}.{format}"))).unwrap()
    };
    let parquet = ParquetRecordBatchReaderBuilder::try_new(open("parquet")).unwrap().schema().clone();
    let arrow = FileReader::try_new(open("arrow"), None).unwrap().schema();
    let mut beside = context.json("release.json");
    beside.as_object_mut().unwrap().remove("table");
    for schema in [parquet, arrow] {
        let told: Value = serde_json::from_str(&schema.metadata()["phds.release"]).unwrap();
        assert_eq!(told, beside);
        let unit = |name: &str| schema.field_with_name(name).unwrap().metadata()["unit"].clone();
        assert_eq!([unit("numerator"), unit("rate")], ["count", "share"]);
    }
}

#[test]
fn every_status_has_codes_of_sdmx_and_all_suppressed_rows_have_the_same() {
    let context = odd_names();
    context.phds(&format!("{ASK} --format csv --out t.csv")).done();
    let statuses = context.json("release.json")["statuses"].clone();
    let codes: Vec<_> = statuses
        .as_array()
        .unwrap()
        .iter()
        .map(|note| [&note["status"], &note["obs_status"], &note["conf_status"]].map(|word| word.as_str().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [
            ["shown", "A", "N"],
            ["suppressed", "Q", "C"],
            ["zero", "A", "N"],
            ["not_applicable", "M", "N"],
            ["unreliable", "U", "N"],
        ]
    );
}

#[test]
fn a_folder_of_releases_is_a_data_package() {
    let context = odd_names();
    context.put(
        "asks.toml",
        "schema_version = 1\n\
         [[release]]\nname = \"Coverage\"\nindicator = \"coverage\"\nmeasure = \"nis.mmr1\"\nby = [\"organization\"]\n\
         [[release]]\nname = \"doses\"\nindicator = \"doses\"\nby = [\"sex\"]\n",
    );
    for format in ["csv", "json", "parquet", "xlsx", "markdown"] {
        let said =
            context.phds(&format!("query asks.toml --store store --format {format} --out {format}")).done().stderr;
        let package = context.json(&format!("{format}/datapackage.json"));
        let resources = package["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 2);
        for (resource, name) in resources.iter().zip(["Coverage", "doses"]) {
            let path = resource["path"].as_str().unwrap();
            let bytes = context.read(&format!("{format}/{path}"));
            assert_eq!(resource["hash"], format!("sha256:{}", phds::fs::sha256_hex(&bytes)));
            let release = context.json(&format!("{format}/{}", resource["release"].as_str().unwrap()));
            assert_eq!(resource["release"], format!("{name}/release.json"));
            if format == "markdown" {
                assert_eq!(resource["schema"], Value::Null);
                continue;
            }
            let fields = resource["schema"]["fields"].as_array().unwrap().iter().map(|field| field["name"].clone());
            assert_eq!(fields.collect::<Value>(), release["table"]["columns"]);
        }
        assert_eq!(said.contains("next: phds plot "), ["csv", "json"].contains(&format), "{said}");
    }
    let package = context.json("csv/datapackage.json");
    let field = |at: usize| package["resources"][0]["schema"]["fields"][at].clone();
    assert_eq!(
        field(2),
        json!({
            "name": "numerator", "title": "Numerator", "type": "integer",
            "description": "A whole number; empty where it is withheld", "constraints": {"minimum": 0},
        })
    );
    assert_eq!(field(7)["constraints"]["enum"], json!(["shown", "suppressed", "zero", "not_applicable", "unreliable"]));
    assert!(!package.to_string().contains("created"), "the same questions give the same bytes");
    let workbooks = context.json("xlsx/datapackage.json");
    assert_eq!(workbooks["resources"][0]["schema"]["missingValues"], json!(["", "·", "n/a"]));
}

#[test]
fn rows_come_in_the_order_in_which_people_count() {
    let context = TestContext::new();
    context.load(&Month::of(
        "clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE
         20 a    | El Paso       | 2021-06-15 | 2021-07-01
         20 b    | Cameron       | 2021-06-15 | 2022-07-01
         20 c    | Travis        | 2021-06-15 | 2023-07-01
         20 d    | Dallas        | 2011-06-15 | 2023-07-01",
    ));
    let labels = |ask: &str| {
        let rows = csv_rows(&context.phds(&format!("query {ask} --store store --format csv")).done().stdout);
        rows[1..].iter().map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    // As texts, 11 would come before 2/3, and 12 months before 2 years before under 6 months.
    assert_eq!(labels("doses --by region"), ["2/3", "7", "9/10", "11"]);
    assert_eq!(labels("doses --by age_at_dose"), ["under 6 months", "12 to 23 months", "2 years", "11 to 17 years"]);
    assert_eq!(labels("doses --by age"), ["3 years", "13 years"]);
}

#[test]
fn quiet_says_nothing_and_a_run_ends_with_what_may_be_done_next() {
    let context = odd_names();
    let said = context.phds(&format!("{ASK} --format csv --out t.csv")).done().stderr;
    assert!(said.ends_with("next: phds plot t.csv --kind bar --out t.svg\n"), "{said}");
    context.phds("plot t.csv --kind bar --out t.svg").done();
    for command in [
        format!("{ASK} --format csv --out t.csv -q"),
        "check month.csv --period 2024-12 -q".to_owned(),
        "load month.csv --period 2024-12 --store store -q".to_owned(),
        "synth --clients 10 --period 2024-12 --out s.csv -q".to_owned(),
        "plot t.csv --kind bar --out t.svg -q".to_owned(),
    ] {
        assert_eq!(context.phds(&command).done().stderr, "", "{command}");
    }
}

#[test]
fn what_is_printed_can_be_had_as_json() {
    let context = odd_names();
    let json = |command: &str| -> Value { serde_json::from_slice(&context.phds(command).done().stdout).unwrap() };
    let checked = json("check month.csv --period 2024-12 --report out --json");
    assert_eq!(checked, context.json("out/report.json"));
    let loaded = json("load month.csv --period 2024-12 --store store --json");
    assert_eq!(loaded, context.json("store/reports/2024-12/report.json"));
    assert_eq!(json("explain PHDS-R01 --json")["code"], "PHDS-R01");
    assert!(json("explain --json").as_array().unwrap().len() > 50);
}

#[test]
fn colour_is_where_it_is_wanted_and_nowhere_else() {
    let context = odd_names();
    let runs = |variables: &[(&str, &str)], words: &str| {
        let outcome = context.run_with(variables, &words.split(' ').collect::<Vec<_>>());
        String::from_utf8(outcome.stdout).unwrap() + &outcome.stderr
    };
    let styles = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for words in [ASK, "query coverage --store nowhere --measure nis.mmr1 --by sex", "--help", "lod"] {
        assert!(!runs(&[], words).contains('\x1b'), "no screen, no colour: {words}");
        assert!(!runs(&[("NO_COLOR", "1")], words).contains('\x1b'), "{words}");
        let colored = runs(&[], &format!("--color always {words}"));
        assert!(colored.contains('\x1b'), "{words}");
        assert!(!runs(&[], &format!("--color never {words}")).contains('\x1b'), "{words}");
        // The words are the same.
        let plain = styles.replace_all(&colored, "").into_owned();
        assert_eq!(plain, runs(&[], words), "{words}");
    }
}

/// What a real bash offers for a line, by the script that `phds completions bash` prints.
fn offered(context: &TestContext, line: &str) -> Vec<String> {
    let phds = std::path::Path::new(env!("CARGO_BIN_EXE_phds"));
    let script = r#"
        source <(phds completions bash)
        declare -F _clap_complete_phds > /dev/null || exit 1
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_phds phds "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash")
        .args(["--norc", "-s", "--"])
        .args(line.split(' '))
        .current_dir(context.path(""))
        .env_clear()
        .env("HOME", context.path(""))
        .env("PATH", format!("{}:/usr/bin:/bin", phds.parent().unwrap().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{line}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(unix)]
#[test]
fn bash_completes_measures_dimensions_and_months() {
    let context = odd_names();
    context.put("phds.toml", "store = \"store\"\n[dictionary]\nfile = \"ours.toml\"\n[accounts.phds]\nprotocol = \"sftp\"\nhost = \"192.0.2.1\"\nuser = \"nobody\"\n");
    for (line, expected) in [
        ("phds que", vec!["query"]),
        ("phds query cov", vec!["coverage"]),
        ("phds query coverage --measure nis.mm", vec!["nis.mmr1", "nis.mmr1_12m"]),
        ("phds measures nis.mm", vec!["nis.mmr1", "nis.mmr1_12m"]),
        ("phds query coverage --by county,race", vec!["county,race_ethnicity"]),
        // Doses have dimensions of their own.
        ("phds query coverage --by sea", vec![]),
        ("phds query doses --by sea", vec!["season"]),
        ("phds query coverage --where reg", vec!["region="]),
        ("phds query coverage --period 2", vec!["2024-12"]),
        ("phds load --period 2", vec!["2024-12"]),
        ("phds query coverage --store elsewhere --period 2", vec![]),
        ("phds fetch --account ph", vec!["phds"]),
        ("phds explain PHDS-R01", vec!["PHDS-R01"]),
        ("phds query coverage --format mark", vec!["markdown"]),
        // Bash takes words apart at `=`, and is given what stands behind it.
        ("phds query coverage --where county = Hays,Trav", vec!["Hays,Travis"]),
        ("phds query coverage --where = county = Trav", vec!["Travis"]),
        ("phds query coverage --where sex =", vec!["Female", "Male", "Other", "Unknown"]),
        ("phds query coverage --where county = Hays --measure nis.mm", vec!["nis.mmr1", "nis.mmr1_12m"]),
    ] {
        assert_eq!(offered(&context, line), expected, "{line}");
    }
    // Settings that cannot be read are nothing to talk about while somebody types.
    context.put("phds.toml", "this is no TOML");
    assert_eq!(offered(&context, "phds query coverage --measure nis.mm"), Vec::<String>::new());
}

#[test]
fn every_shell_gets_a_script_that_asks_the_program() {
    let context = TestContext::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = context.phds(&format!("completions {shell}")).done().text();
        assert!(script.contains("PHDS_COMPLETE") && script.contains("phds"), "{shell}: {script}");
    }
    // zsh and fish pass whole words: values of a filter are completed there, and what they are is told.
    let asks = |shell: &str, index: &str, line: &[&str]| {
        let variables = [("PHDS_COMPLETE", shell), ("_CLAP_COMPLETE_INDEX", index), ("_CLAP_IFS", "\n")];
        context.run_with(&variables, &[&["--"], line].concat()).done().text()
    };
    let filter = ["phds", "query", "coverage", "--where", "county=Hays,Trav"];
    assert!(asks("zsh", "4", &filter).contains("Hays,Travis"));
    let measure = asks("fish", "4", &["phds", "query", "coverage", "--measure", "nis.mm"]);
    let told: Vec<&str> = measure.trim().lines().collect();
    assert_eq!(told[0], "nis.mmr1\t1 or more MMR by 24 months");
}

#[test]
fn the_ending_of_a_file_tells_its_format() {
    let context = odd_names();
    for (out, begins) in [
        ("t.csv", "organization,"),
        ("t.JSON", "["),
        ("t.parquet", "PAR1"),
        ("t.arrow", "ARROW1"),
        ("t.md", "**INTERNAL"),
        ("t.tex", "% Needs"),
        ("t.txt", "INTERNAL"),
        ("c.csv --format csv", "organization,"),
        // What has no ending of ours is what was typed.
        ("t.dat --format csv", "organization,"),
    ] {
        context.phds(&format!("{ASK} --out {out}")).done();
        let bytes = context.read(out.split(' ').next().unwrap());
        assert!(bytes.starts_with(begins.as_bytes()), "{out}");
    }
    let before = context.tree();
    for (command, said) in [
        (format!("{ASK} --out t.xls"), "the ending of `t.xls` tells no format"),
        (format!("{ASK} --out release.json"), "a table cannot be called release.json"),
        (format!("{ASK} --out table"), "the ending of `table` tells no format"),
        (format!("{ASK} --format csv --out t.json"), "`t.json` ends in .json, and `--format` says csv"),
        (format!("{ASK} --bom --out t.json"), "`--bom` is for CSV"),
        ("report --store store --out page.pdf".to_owned(), "`page.pdf` does not end in .html"),
        ("evidence --store store --out evidence.pdf".to_owned(), "`evidence.pdf` does not end in .md"),
    ] {
        let outcome = context.phds(&command).ended(2);
        assert!(outcome.stderr.contains(said), "{command}: {}", outcome.stderr);
    }
    assert_eq!(context.tree(), before);
}

#[test]
#[cfg_attr(windows, ignore = "a PNG needs a font, which Wine may lack")]
fn nothing_is_lost_that_phds_did_not_write() {
    let context = odd_names();
    context.put("counts.csv", "sex,n\nF,40\nM,50\n");
    let plot = "plot made/table.csv --kind bar";
    let own: [(&str, String); 12] = [
        ("report.html", "check month.csv --period 2024-12 --report DIR".to_owned()),
        ("report.json", "check month.csv --period 2024-12 --report DIR".to_owned()),
        ("rejected.csv", "check month.csv --period 2024-12 --report DIR".to_owned()),
        ("table.csv", format!("{ASK} --out DIR/table.csv")),
        ("table.json", format!("{ASK} --out DIR/table.json")),
        ("page.html", "report --store store --questions questions.toml --out DIR/page.html".to_owned()),
        ("evidence.md", "evidence --store store --out DIR/evidence.md".to_owned()),
        ("bars.svg", format!("{plot} --out DIR/bars.svg")),
        ("bars.png", format!("{plot} --out DIR/bars.png")),
        ("protected.csv", "protect counts.csv --by sex --count n --out DIR/protected.csv".to_owned()),
        ("invented.csv", "synth --clients 100 --period 2024-12 --faults 0.1 --out DIR/invented.csv".to_owned()),
        ("invented.planted.json", "synth --clients 100 --period 2024-12 --out DIR/invented.csv".to_owned()),
    ];
    let questions =
        "schema_version = 1\n[[release]]\nname = \"all\"\nindicator = \"coverage\"\nmeasure = \"nis.mmr1\"\n";
    context.put("questions.toml", questions);
    context.put("made/.keep", "");
    for (file, command) in &own {
        // The same again is the same, as in a nightly job.
        for _ in 0..2 {
            context.phds(&command.replace("DIR", "made")).done();
        }
        // A delivery, a note or a picture of somebody else.
        context.put(&format!("other/{file}"), context.read("month.csv"));
        let outcome = context.phds(&command.replace("DIR", "other")).ended(2);
        assert!(
            outcome.stderr.contains(&format!("`other/{file}` is there and is no ")),
            "{command}: {}",
            outcome.stderr
        );
        assert_eq!(context.read(&format!("other/{file}")), context.read("month.csv"), "{command}");
        std::fs::remove_dir_all(context.path("other")).unwrap();
    }
    // A description of something else is no description of a table.
    context.put("other/release.json", "{}");
    context.put("other/t.csv.release.json", "{}");
    let outcome = context.phds(&format!("{ASK} --out other/t.csv")).ended(2);
    assert!(outcome.stderr.contains("`other/t.csv.release.json` is there"), "{}", outcome.stderr);
}

#[test]
fn a_folder_of_releases_is_of_one_month() {
    let context = odd_names();
    let both = |first: &str, second: &str| {
        let question =
            |name: &str| format!("[[release]]\nname = \"{name}\"\nindicator = \"coverage\"\nmeasure = \"nis.mmr1\"\n");
        context.put("monthly.toml", format!("schema_version = 1\n{}{}", question(first), question(second)));
    };
    context.put("later.csv", [context.read("month.csv"), b"\n".to_vec()].concat());
    context.phds("load later.csv --period 2025-01 --store store").done();
    both("a", "b");
    for _ in 0..2 {
        context.phds("query monthly.toml --store store --period 2024-12 --out r12").done();
    }
    let before = context.tree();
    let outcome = context.phds("query monthly.toml --store store --period 2025-01 --out r12").ended(2);
    assert!(
        outcome.stderr.contains("`r12/a` is of 2024-12, and the new releases are of 2025-01"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("--out r12/2025-01"), "{}", outcome.stderr);
    assert_eq!(context.tree(), before);
    // The page of the next month replaces that of the last one with all of its releases, and not with some of them.
    let page = |period: &str| {
        context.phds(&format!("report --store store --period {period} --questions monthly.toml --out page.html"))
    };
    for period in ["2024-12", "2025-01"] {
        page(period).done();
    }
    both("a", "c");
    let outcome = page("2024-12").ended(2);
    assert!(
        outcome.stderr.contains("`page/b` is of 2025-01, and the new releases are of 2024-12"),
        "{}",
        outcome.stderr
    );
    // Somebody else's package is left alone.
    context.put("theirs/datapackage.json", r#"{"name": "births"}"#);
    let outcome = context.phds("query monthly.toml --store store --out theirs").ended(2);
    assert!(outcome.stderr.contains("`theirs/datapackage.json` is there and is no "), "{}", outcome.stderr);
}

#[test]
fn what_is_said_to_be_next_can_be_done() {
    let context = odd_names();
    context.put("o/.keep", "");
    let monthly = "schema_version = 1\n[[release]]\nname = \"sexes\"\nindicator = \"coverage\"\nmeasure = \"nis.mmr1\"\nby = [\"sex\"]\n";
    context.put("monthly.toml", monthly);
    let missing = "query missing --store store --measure nis.4313314";
    for (ask, next) in [
        (format!("{ASK} --out o/t.csv"), Some("plot o/t.csv --kind bar --out o/t.svg")),
        (format!("{ASK} --out o/t.json"), Some("plot o/t.json --kind bar --out o/t.svg")),
        (format!("{missing} --out o/m.csv"), Some("plot o/m.csv --kind upset --out o/m.svg")),
        ("query monthly.toml --store store --out r".to_owned(), Some("plot r/sexes --kind bar --out sexes.svg")),
        // No picture: of a binary file, of one number, of the sets of several groups.
        (format!("{ASK} --out o/t.parquet"), None),
        ("query coverage --store store --measure nis.mmr1 --out o/one.csv".to_owned(), None),
        (format!("{missing} --by organization --out o/by.csv"), None),
    ] {
        let said = context.phds(&ask).done().stderr;
        assert_eq!(said.split("next: phds ").nth(1).map(str::trim), next, "{ask}");
        if let Some(next) = next {
            context.phds(next).done();
        }
    }
}

#[test]
fn options_may_stand_before_what_is_asked() {
    let context = odd_names();
    let table = context.phds("query coverage --store store --period 2024-12 --measure nis.mmr1").done().text();
    for words in [
        "query -q coverage --store store --measure nis.mmr1",
        "query --store store coverage --measure nis.mmr1",
        "query --period 2024-12 --store store coverage --measure nis.mmr1",
        "query --measure nis.mmr1 --store store coverage",
    ] {
        assert_eq!(context.phds(words).done().text(), table, "{words}");
    }
    let said = context.phds("query --period 2024-12 --measure nis.mmr1").ended(2).stderr;
    assert!(said.starts_with("error: `phds query` needs an indicator"), "{said}");
    for (words, hint) in [
        ("query coverages", "did you mean `coverage`?"),
        ("query coverages --measure nis.mmr1", "did you mean `coverage`?"),
        ("query Late --measure nis.mmr1 --by birth_year", "did you mean `late`?"),
        ("query monthly.toml --out releases", "hint: `phds query --help` lists all"),
    ] {
        let said = context.phds(words).ended(2).stderr;
        let word = words.split(' ').nth(1).unwrap();
        assert!(said.starts_with(&format!("error: there is no indicator and no file of questions `{word}`")), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

/// What a screen of a terminal shows: `script` of util-linux gives the program one.
#[cfg(target_os = "linux")]
fn on_a_screen(context: &TestContext, columns: u16, variables: &[(&str, &str)], words: &str) -> String {
    let phds = env!("CARGO_BIN_EXE_phds");
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("stty cols {columns} rows 40; {phds} {words}"))
        .arg("/dev/null")
        .current_dir(context.path(""))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

#[test]
#[cfg(target_os = "linux")]
fn a_table_fits_the_screen_and_numbers_stay_whole() {
    let context = odd_names();
    for columns in [66, 80, 120] {
        let variables = [("LC_ALL", "C.UTF-8"), ("NO_COLOR", "1")];
        let shown = on_a_screen(&context, columns, &variables, &format!("-q {ASK}"));
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{columns}\n{shown}");
        assert!(shown.contains("50.0 %") && shown.contains("33.8 to 66.2"), "{columns}\n{shown}");
        assert_eq!(shown.contains("█████"), columns > 66, "{columns}\n{shown}");
        assert!(!shown.contains('\x1b'), "{shown}");
    }
    let ascii = on_a_screen(&context, 100, &[("LC_ALL", "C")], &format!("-q {ASK}"));
    assert!(ascii.contains("#####") && ascii.contains(". suppressed") && ascii.is_ascii(), "{ascii}");
    assert!(ascii.contains("\x1b[1mINTERNAL"), "{ascii}");
}
