//! `tests/cases/{measures,indicators}/*.toml`: a tiny month, questions, and the answers that can be counted by hand; then
//! the formats.

use arrow::array::RecordBatch;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Month, Table, TestContext, csv_rows, parquet_file, sources, texts};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    #[serde(rename = "what")]
    _what: String,
    /// The rows, as [`Month`] reads them.
    month: String,
    /// What is in phds.toml.
    #[serde(default)]
    settings: String,
    /// A population file, taken in as `census`.
    #[serde(default)]
    population: Option<String>,
    #[serde(rename = "question")]
    questions: Vec<Question>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// What is typed after `phds query coverage`, or, of indicators, after `phds query`.
    ask: String,
    /// The rows of the answer, and those of its columns that matter.
    answer: String,
}

/// The CSV answer to a question: its columns, and its rows.
fn answer(context: &TestContext, ask: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let indicator = if ask.starts_with("--") { "coverage " } else { "" };
    // A blank in a value is written as `~`.
    let words = format!("query {indicator}{ask} --store store --format csv");
    let words: Vec<String> = words.split(' ').map(|word| word.replace('~', " ")).collect();
    let outcome = context.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).done();
    assert_eq!(outcome.stderr, "");
    let mut rows = csv_rows(&outcome.stdout);
    (rows.remove(0), rows)
}

#[test]
fn every_question_has_the_answer_that_was_counted_by_hand() {
    let folders = ["tests/cases/measures", "tests/cases/indicators"];
    for (path, text) in folders.into_iter().flat_map(|folder| sources(folder, "toml")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let context = TestContext::new();
        context.load(&Month::of(&case.month));
        context.put("phds.toml", &case.settings);
        if let Some(counts) = &case.population {
            context.put("census.csv", counts.trim_start());
            context.phds("population import census.csv --name census --source Invented --store store").done();
        }
        for Question { ask, answer: expected } in &case.questions {
            let expected = Table::parse(expected);
            let (columns, rows) = answer(&context, ask);
            let table = Table { columns, rows };
            let kept = expected.columns.iter().map(|column| {
                table.column(column).unwrap_or_else(|| panic!("{name}: {ask}: there is no column {column}"))
            });
            let kept: Vec<_> = kept.collect();
            let shown: Vec<Vec<_>> =
                (0..table.rows.len()).map(|row| kept.iter().map(|column| column[row]).collect()).collect();
            assert_eq!(shown, expected.rows, "{name}: {ask}");
            if table.column("numerator").is_some() {
                holds_together(&table);
            }
        }
    }
}

/// What holds for every table of shares: rates that follow from counts, and nothing beside a withheld one.
fn holds_together(table: &Table) {
    let place = |name: &str| table.columns.iter().position(|column| column == name).unwrap();
    let numbers = place("numerator")..place("status");
    assert_eq!(table.columns[numbers.clone()][..5], ["numerator", "denominator", "rate", "ci_low", "ci_high"]);
    for row in &table.rows {
        let [numerator, denominator, rate, low, high, ..] = &row[numbers.clone()] else { panic!("{row:?}") };
        let number = |text: &str| text.parse::<f64>().unwrap();
        match row[place("status")].as_str() {
            "shown" | "zero" | "unreliable" => {
                let crude = table.columns.iter().position(|column| column == "crude_rate").map_or(rate, |at| &row[at]);
                assert_eq!(*crude, format!("{:.6}", number(numerator) / number(denominator)));
                assert!(number(low) <= number(rate) && number(rate) <= number(high), "{row:?}");
            }
            "suppressed" | "not_applicable" => assert!(row[numbers.clone()].iter().all(String::is_empty), "{row:?}"),
            _ => panic!("{row:?}"),
        }
    }
}

#[test]
fn the_form_of_the_file_does_not_matter() {
    let context = TestContext::new();
    let month = Month::of(
        "clients | CLIENT COUNTY | PROVIDER NAME | BIRTH DATE | VACCINATION DATE
         20 a    | Travis        | A, B          | 2020-06-15 | 2021-07-01
         20 a    | Hays          | \\\"C\\\"       | 2020-06-15 | 2021-08-01
         21 b    | Hays          |               | 2021-06-15 | 2024-01-01",
    );
    context.load(&month);
    let expected = answer(&context, "--measure nis.mmr1 --by county,birth_year");
    assert_eq!(expected.1.len(), 2);

    // A byte order mark, CRLF, quotes everywhere, the columns and the rows the other way round, other dates.
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    let mut rows = csv_rows(month.bytes());
    rows[1..].reverse();
    let iso = regex::Regex::new(r"^(\d{4})-(\d\d)-(\d\d)$").unwrap();
    for row in &rows {
        writer.write_record(row.iter().rev().map(|cell| iso.replace(cell, "$2/$3/$1").into_owned())).unwrap();
    }
    context.put("other.csv", writer.into_inner().unwrap());
    context.phds("load other.csv --period 2024-12 --store store").done();
    assert_eq!(answer(&context, "--measure nis.mmr1 --by county,birth_year"), expected);
}

/// A month with a shown, a zero and a suppressed row.
fn three_rows() -> TestContext {
    let context = TestContext::new();
    context.load(&Month::of(
        "clients | CLIENT COUNTY | VACCINATION DATE
         20 a    | Travis        | 2022-07-01
         15 b    | Travis        | 2024-01-01
         21 c    | Hays          | 2024-01-01
         5 d     | Comal         | 2022-07-01",
    ));
    context
}

#[test]
fn every_format_carries_the_same_rows() {
    let context = three_rows();
    let file = |format: &str| {
        let ask = "query coverage --store store --measure nis.mmr1 --by county,sex";
        context.phds(&format!("{ask} --format {format} --out {format}/table.{format}")).ended(0);
        context.path(&format!("{format}/table.{format}"))
    };
    for format in ["csv", "json", "parquet", "arrow", "table"] {
        context.put(&format!("{format}/.keep"), "");
    }
    let csv = csv_rows(&std::fs::read(file("csv")).unwrap());
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.6}", number.as_f64().unwrap()),
        other => other.to_string(),
    };
    let json: Vec<serde_json::Map<String, Value>> =
        serde_json::from_slice(&std::fs::read(file("json")).unwrap()).unwrap();
    let mut from_json = vec![json[0].keys().cloned().collect::<Vec<_>>()];
    from_json.extend(json.iter().map(|row| row.values().map(text).collect()));
    assert_eq!(from_json, csv);

    let arrow = std::fs::File::open(file("arrow")).unwrap();
    let arrow: Vec<RecordBatch> =
        arrow::ipc::reader::FileReader::try_new(arrow, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(with_six_digits(&arrow), csv);
    assert_eq!(with_six_digits(&parquet_file(&file("parquet"))), csv);

    let table = std::fs::read_to_string(file("table")).unwrap();
    assert!(table.starts_with("INTERNAL"), "{table}");
    for shown in ["Comal", "Hays", "Travis", "57.1 %", "suppressed"] {
        assert!(table.contains(shown), "{shown}: {table}");
    }
}

/// Header and rows of a binary table, shares written as in CSV.
fn with_six_digits(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let schema = batches[0].schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let rows = texts(batches, |_| true).into_iter().map(|row| {
        let cells = row.into_iter().zip(&names).map(|(cell, name)| match name.as_str() {
            "rate" | "ci_low" | "ci_high" if !cell.is_empty() => format!("{:.6}", cell.parse::<f64>().unwrap()),
            _ => cell,
        });
        cells.collect()
    });
    std::iter::once(names.clone()).chain(rows).collect()
}

#[test]
fn a_description_lies_beside_every_table() {
    let context = three_rows();
    for format in ["csv", "json", "parquet", "arrow"] {
        let folder = format!("out-{format}");
        context.put(&format!("{folder}/.keep"), "");
        let ask = "query coverage --store store --measure nis.mmr1 --by county --where county=Travis,Comal";
        context.phds(&format!("{ask} --format {format} --out {folder}/t.{format}")).done();
        let release = context.json(&format!("{folder}/release.json"));
        let hash = phds::fs::sha256_hex(&context.read(&format!("{folder}/t.{format}")));
        assert_eq!(release["table"]["sha256"], hash);
        assert_eq!(release["table"]["format"], format);
        assert_eq!(release["table"]["file"], format!("t.{format}"));
        assert_eq!(release["table"]["rows"], 2);
        assert_eq!(release["audience"], "internal");
        assert_eq!(release["measure"]["id"], "nis.mmr1");
        assert_eq!(release["cohort"]["born_from"], "2018-01-01");
        assert_eq!(release["cohort"]["as_of"], "2024-12-31");
        assert_eq!(release["dimensions"][0]["id"], "county");
        assert_eq!(release["where"][0]["values"], serde_json::json!(["Comal", "Travis"]));
        assert_eq!(release["interval"]["level"], 0.95);
        assert_eq!(release["disclosure"]["k"], 11);
        let manifest = context.json("store/partitions/2024-12/manifest.json");
        for part in ["delivery", "dictionary", "rules"] {
            assert_eq!(release[part], manifest[part], "{part}");
        }
        let caveats = release["caveats"].to_string();
        for caveat in ["opt-in", "before 2018", "valid or not", "1 to 10"] {
            assert!(caveats.contains(caveat), "{caveat}");
        }
    }
}

#[test]
fn two_tables_in_one_folder_keep_their_descriptions() {
    let context = three_rows();
    for dimension in ["county", "sex", "county"] {
        let ask = format!("query coverage --store store --measure nis.mmr1 --by {dimension}");
        context.phds(&format!("{ask} --format csv --out {dimension}.csv")).done();
    }
    assert_eq!(context.json("release.json")["table"]["file"], "county.csv");
    assert_eq!(context.json("sex.csv.release.json")["table"]["file"], "sex.csv");
}

#[test]
fn the_same_question_gives_the_same_bytes() {
    let context = three_rows();
    for format in ["table", "csv", "json", "parquet", "arrow"] {
        let ask = format!("query coverage --store store --measure nis.mmr1 --by county --format {format}");
        let bytes = || context.phds(&ask).done().stdout;
        assert_eq!(bytes(), bytes(), "{format}");
        let written = || {
            context.phds(&format!("{ask} --out t.{format}")).done();
            (context.read(&format!("t.{format}")), context.tree())
        };
        assert_eq!(written(), written(), "{format}");
    }
    // In whatever order the filters are typed.
    let ask = "query coverage --store store --measure nis.mmr1 --by county --format json --where";
    let one = context.phds(&format!("{ask} sex=F,M --where county=Travis,Hays --out one.json")).done();
    let other = context.phds(&format!("{ask} county=48209,travis --where sex=Male,Female --out other.json")).done();
    assert_eq!(context.read("one.json"), context.read("other.json"), "{} {}", one.stderr, other.stderr);
    let id = |release: &str| context.json(release)["release_id"].clone();
    assert_eq!(id("one.json.release.json"), id("other.json.release.json"));
}

#[test]
fn every_release_is_kept_in_the_store() {
    let context = three_rows();
    let printed = context.phds("query coverage --store store --measure nis.mmr1 --by county --format csv").done();
    let releases: Vec<_> = context.tree().into_iter().filter(|name| name.starts_with("store/releases/")).collect();
    let [_, folder, _, _] = releases.as_slice() else { panic!("{releases:?}") };
    assert_eq!(context.read(&format!("{folder}table.csv")), printed.stdout);
    let release = context.json(&format!("{folder}release.json"));
    assert_eq!(format!("store/releases/{}/", release["release_id"].as_str().unwrap()), *folder);
}

/// Of two years and a half: 2021 and 2022, and those of 2023 who are 24 months old by the end of June 2025.
#[test]
fn a_year_that_is_not_whole_says_so() {
    let context = TestContext::new();
    let month = Month::of(
        "clients | BIRTH DATE | VACCINATION DATE
         40 a    | 2021-06-15 | 2022-07-01
         40 b    | 2022-06-15 | 2023-07-01
         20 c    | 2023-06-15 | 2024-07-01
         30 d    | 2023-07-15 | 2024-08-01",
    );
    context.put("month.csv", month.bytes());
    context.phds("load month.csv --period 2025-06 --store store").done();
    let ask = |words: &str| context.phds(&format!("query {words} --store store")).done().text();
    let line = |table: &str, start: &str| {
        let found = table.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_default();
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let table = ask("coverage --measure nis.mmr1 --by birth_year");
    for (start, shown) in [("2022", "2022 40 40 100.0 %"), ("2023", "2023 (to 06-30) 20 20 ~ 100.0 %")] {
        assert!(line(&table, start).starts_with(shown), "{start}: {table}");
    }
    assert!(table.contains("born from 2018-01-01 to 2023-06-30"), "{table}");
    // For programs the label is the year.
    let (_, rows) = answer(&context, "--measure nis.mmr1 --by birth_year");
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["2021", "2022", "2023"]);
    // Quarters end with June, and so does the cohort: each is whole.
    let table = ask("coverage --measure nis.mmr1 --by birth_quarter");
    assert!(line(&table, "2023-Q2").starts_with("2023-Q2 20 20"), "{table}");
    // Doses are of clients of all ages, and end with the as-of date.
    let table = ask("doses --by season --as-of 2024-12-31");
    for (start, shown) in [("2023-24", "2023-24 40 40"), ("2024-25", "2024-25 (to 12-31) 50 50")] {
        assert!(line(&table, start).starts_with(shown), "{start}: {table}");
    }
    // Whoever is asked for and cannot be there is named.
    let table = ask("coverage --measure nis.mmr1 --where birth_year=2022,2023,2024,2025");
    let only = "only year of birth: 2022, 2023, 2024, 2025 (nobody of the cohort was born in 2024, 2025)";
    assert!(table.contains(only), "{table}");
    let younger = "Who was born later had less time to be late";
    assert!(ask("late --measure nis.mmr1 --by birth_year").contains(younger));
    assert!(!ask("late --measure nis.mmr1 --by sex").contains(younger));
}

#[test]
fn a_table_by_age_says_of_which_day_and_which_class_is_not_whole() {
    let context = TestContext::new();
    context.load(&Month::of(
        "clients | BIRTH DATE | VACCINATION DATE
         40 a    | 2021-06-15 | 2022-07-01
         40 b    | 2021-12-31 | 2022-12-31
         40 c    | 2018-01-15 | 2020-12-31",
    ));
    let table = context.phds("query coverage --measure nis35.mmr1 --by age --as-of 2024-11-30 --store store").done();
    let said = table.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for caveat in [
        "Ages are those on 2024-11-30: as of another day, a class of age has other clients.",
        // Those of 35 months, and those of six years who were born in 2018.
        "born from 2018-01-01 to 2021-12-30 are in the cohort: of 2 years and of 6 years, it has a part.",
    ] {
        assert!(said.contains(caveat), "{caveat}: {said}");
    }
    let whole = context.phds("query coverage --measure nis.mmr1 --by age --store store").done().text();
    assert!(!whole.contains("it has a part"), "{whole}");

    let ask = |words: &[&str]| context.run(&[&["query", "coverage", "--store", "store"], words].concat());
    let told = ask(&["--measure", "nis.mmr1", "--where", "age=2 years,under 1 year"]).done().text();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("2 years, under 1 year (nobody of the cohort is of under 1 year)"), "{told}");
    insta::assert_snapshot!(ask(&["--measure", "nis.mmr1", "--where", "age=1 year"]).ended(2).stderr, @"
    error: nobody of the cohort is of 1 year on 2024-12-31: its youngest are of 24 months then, its oldest of 83

    hint: name other ages, another measure or another as-of date; `phds measures ID` says who is in the cohort
    ");
    insta::assert_snapshot!(ask(&["--measure", "nis.mmr1", "--by", "months_of_age", "--denominator", "population:births"]).ended(2).stderr, @"
    error: `population:births` is by year of birth, and this age is of several: a year of age is one on the last day of a year

    hint: add `--as-of YYYY-12-31`, or ask by `birth_year`
    ");
}

#[test]
fn a_table_says_what_its_shares_are_of() {
    let context = three_rows();
    let ask = |words: &str| context.phds(&format!("query coverage {words} --store store")).done().text();
    for (measure, definition) in [
        ("nis.mmr1", "Share of clients who met the measure in time."),
        ("nis.none", "Share of clients without a dose in time: the lower, the better."),
        ("who.zero_dose", "Share of clients without a dose in time: the lower, the better."),
    ] {
        assert!(ask(&format!("--measure {measure}")).contains(definition), "{measure}");
    }
    // The file of counts has Travis; Hays and Comal are in no row of it.
    context.put("births.csv", "county,birth_year,count\nTravis,2021,100\n");
    context.phds("population import births.csv --name births --source Invented --store store").done();
    let table = ask("--measure nis.mmr1 --by county --denominator clients,population:births");
    assert!(table.contains("County of residence") && table.contains("Share of") && table.contains("Denominator"));
    assert!(
        table.contains("n/a not applicable: nobody is in the denominator, or the file of counts has nobody"),
        "{table}"
    );
    let table = ask("--measure nis.mmr1 --by county --denominator population:births");
    assert!(table.contains("n/a not applicable: the file of counts has nobody for this row"), "{table}");
}
