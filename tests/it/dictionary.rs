//! The dictionary as other tools read it. Two small readers of the standards, written here, object to the cells to which
//! the check objects, as far as the standards can say it.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use phds::dictionary::Dictionary;
use phds::disclosure::release::Kind;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{HEADER, Month, PERIOD, TestContext, csv_rows, parquet_table, texts};

/// The rules of single cells that reject, or that drop a value for its form.
const CELL_RULES: [&str; 6] = ["PHDS-F01", "PHDS-F03", "PHDS-F04", "PHDS-F05", "PHDS-F07", "PHDS-F08"];

/// Line 2 is right: codes may be spelled otherwise, and `null` is no value. Each other line has one fault.
const FAULTY: &str = "\
CLIENT ID | BIRTH DATE | VACCINATION DATE | CVX CODE | ZIP CODE   | ORDINAL POSITION | PROVIDER CITY
1         | 2021-06-15 | 2022-07-01       | 3        | 78701-1234 | 007              | null
NULL      | 2021-06-15 | 2022-07-01       | 03       | 78701      | 1                | AUSTIN
3         |            | 2022-07-01       | 03       | 78701      | 1                | AUSTIN
4         | 2021-06-15 | 2022-13-01       | 03       | 78701      | 1                | AUSTIN
5         | 2021-06-15 | 2022-02-30       | 03       | 78701      | 1                | AUSTIN
6         | 2021-06-15 | 2022-07-01       | 997      | 78701      | 1                | AUSTIN
7         | 2021-06-15 | 2022-07-01       | 03       | 7870       | 1                | AUSTIN
8         | 2021-06-15 | 2022-07-01       | 03       | 78701      | 1.0              | AUSTIN
9         | 2021-06-15 | 2022-07-01       | 03       | 78701      | 1000             | AUSTIN
10        | 2021-06-15 | 2022-07-01       | 03       | 78701      | 1                | LONG
";

type Cells = BTreeSet<(u64, String)>;

fn printed(context: &TestContext, format: &str) -> Value {
    serde_json::from_slice(&context.phds(&format!("dictionary --format {format}")).done().stdout).unwrap()
}

/// Line and column of every cell to which a reader objects. No cell of these months goes over lines.
fn objections(month: &[u8], fits: impl Fn(&str, &str) -> bool) -> Cells {
    let rows = csv_rows(month);
    let cells = (2..).zip(&rows[1..]).flat_map(|(line, row)| rows[0].iter().zip(row).map(move |cell| (line, cell)));
    cells.filter(|(_, (column, cell))| !fits(column, cell)).map(|(line, (column, _))| (line, column.clone())).collect()
}

/// What the check says of the cells of `month.csv`.
fn findings(context: &TestContext) -> Cells {
    context.phds(&format!("check month.csv --period {PERIOD} --report out")).done();
    let report = context.json("out/report.json");
    let rules = report["rules"].as_array().unwrap();
    let cells = rules.iter().filter(|rule| CELL_RULES.contains(&rule["code"].as_str().unwrap())).flat_map(|rule| {
        rule["by_column"].as_array().into_iter().flatten().flat_map(|column| {
            let lines = column["first_lines"].as_array().unwrap();
            lines.iter().map(|line| (line.as_u64().unwrap(), column["column"].as_str().unwrap().to_owned()))
        })
    });
    cells.collect()
}

fn has_form(pattern: &Value, cell: &str) -> bool {
    pattern.as_str().is_none_or(|pattern| Regex::new(pattern).unwrap().is_match(cell))
}

fn is_listed(list: &Value, cell: &str) -> bool {
    list.as_array().is_none_or(|list| list.contains(&json!(cell)))
}

fn has_length(most: &Value, cell: &str) -> bool {
    most.as_u64().is_none_or(|most| cell.chars().count() as u64 <= most)
}

/// A cell against a Table Schema.
fn fits_table_schema(schema: &Value, column: &str, cell: &str) -> bool {
    let field = schema["fields"].as_array().unwrap().iter().find(|field| field["name"] == column).unwrap();
    let constraints = &field["constraints"];
    if schema["missingValues"].as_array().unwrap().contains(&json!(cell)) {
        return constraints["required"] != true;
    }
    match field["type"].as_str().unwrap() {
        "date" => NaiveDate::parse_from_str(cell, field["format"].as_str().unwrap()).is_ok(),
        "integer" => cell.parse::<i64>().is_ok_and(|number| {
            constraints["minimum"].as_i64().is_none_or(|minimum| minimum <= number)
                && constraints["maximum"].as_i64().is_none_or(|maximum| number <= maximum)
        }),
        "string" => {
            let whole = constraints["pattern"].as_str().map(|pattern| json!(format!("^{pattern}$")));
            has_form(&whole.unwrap_or_default(), cell)
                && is_listed(&constraints["enum"], cell)
                && has_length(&constraints["maxLength"], cell)
        }
        other => panic!("{other}"),
    }
}

/// A text against a JSON Schema, of which the root holds the definitions.
fn fits_json_schema(schema: &Value, root: &Value, text: &str) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, said)| match keyword.as_str() {
        "$ref" => fits_json_schema(root.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap(), root, text),
        "not" => !fits_json_schema(said, root, text),
        "anyOf" => said.as_array().unwrap().iter().any(|choice| fits_json_schema(choice, root, text)),
        "type" => said == "string",
        "enum" => is_listed(said, text),
        "pattern" => has_form(said, text),
        "maxLength" => has_length(said, text),
        "title" | "description" | "$comment" => true,
        other => panic!("{other}"),
    })
}

fn cells(list: &[(u64, &str)]) -> Cells {
    list.iter().map(|(line, column)| (*line, (*column).to_owned())).collect()
}

#[test]
fn other_tools_object_to_the_cells_to_which_the_check_objects() {
    let all = cells(&[
        (3, "CLIENT ID"),
        (4, "BIRTH DATE"),
        (5, "VACCINATION DATE"),
        (6, "VACCINATION DATE"),
        (7, "CVX CODE"),
        (8, "ZIP CODE"),
        (9, "ORDINAL POSITION"),
        (10, "ORDINAL POSITION"),
        (11, "PROVIDER CITY"),
    ]);
    let complete = "[[field]]\nname = 'cvx_code'\nunlisted = 'reject'\n";
    let one_format = &format!("{complete}[[field]]\nname = 'vaccination_date'\nformats = ['iso']\n");
    // A pattern cannot say which month has 30 days, and a text has no largest number.
    for (overlay, not_in_table_schema) in [(complete, cells(&[(6, "VACCINATION DATE")])), (one_format, Cells::new())] {
        let context = TestContext::new();
        context.put("ours.toml", overlay);
        context.put("phds.toml", "[dictionary]\nfile = 'ours.toml'\n[check]\nmax_rejected_share = 1.0\n");
        context.put("month.csv", Month::of(&FAULTY.replace("LONG", &"A".repeat(101))).bytes());
        assert_eq!(findings(&context), all);
        let month = context.read("month.csv");
        let schema = printed(&context, "table-schema");
        let found = objections(&month, |column, cell| fits_table_schema(&schema, column, cell));
        assert_eq!(found, &all - &not_in_table_schema);
        let schema = printed(&context, "json-schema");
        let found = objections(&month, |column, cell| fits_json_schema(&schema["properties"][column], &schema, cell));
        assert_eq!(found, &all - &cells(&[(6, "VACCINATION DATE"), (10, "ORDINAL POSITION")]));
    }
}

#[test]
fn nobody_objects_to_a_month_without_faults() {
    let context = TestContext::new();
    context.phds(&format!("synth --clients 300 --period {PERIOD} --out month.csv")).done();
    assert_eq!(findings(&context), Cells::new());
    let month = context.read("month.csv");
    let table = printed(&context, "table-schema");
    assert_eq!(objections(&month, |column, cell| fits_table_schema(&table, column, cell)), Cells::new());
    let row = printed(&context, "json-schema");
    let fits = |column: &str, cell: &str| fits_json_schema(&row["properties"][column], &row, cell);
    assert_eq!(objections(&month, fits), Cells::new());
    assert!(month.split(|byte| *byte == b'\n').count() > 1_000, "the month is too small to tell anything");
}

#[test]
fn the_columns_are_those_of_the_file_in_the_order_of_the_dictionary() {
    let context = TestContext::new();
    let table = printed(&context, "table-schema");
    let names: Vec<_> = table["fields"].as_array().unwrap().iter().map(|field| field["name"].clone()).collect();
    assert_eq!(names, HEADER);
    let row = printed(&context, "json-schema");
    assert_eq!(row["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), HEADER);
    assert_eq!((&row["required"], &row["additionalProperties"]), (&json!(HEADER), &json!(false)));
}

#[test]
fn an_export_names_its_edition_and_follows_the_department() {
    let context = TestContext::new();
    let ours = "\
version = 'Hill County 1'
[codelists]
sex = 'sex.csv'
[[field]]
name = 'birth_date'
header = 'DOB'
aliases = []
formats = ['us']
[[field]]
name = 'sex'
unlisted = 'reject'
[[field]]
name = 'immunfact_id'
in_file = false
[[field]]
name = 'vaccine_id'
pattern = '(?i)[a-z]+'
";
    context.put("ours.toml", ours);
    context.put("sex.csv", "code,label,aliases\nF,Female,2\nM,Male,1\n");
    context.put("phds.toml", "[dictionary]\nfile = 'ours.toml'\n");
    let fingerprint = printed(&context, "json")["fingerprint"].clone();
    let table = printed(&context, "table-schema");
    assert_eq!(
        table["phds:dictionary"],
        json!({ "id": "phds", "version": "Hill County 1", "fingerprint": fingerprint })
    );
    let field = |name: &str| table["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned();
    let birth = field("DOB").unwrap();
    assert_eq!(
        [&birth["type"], &birth["format"], &birth["phds:aliases"]],
        [&json!("date"), &json!("%m/%d/%Y"), &Value::Null]
    );
    let sexes = json!(["F", "f", "2", "Female", "FEMALE", "female", "M", "m", "1", "Male", "MALE", "male"]);
    assert_eq!(field("SEX CODE").unwrap()["constraints"], json!({ "enum": sexes }));
    assert_eq!(field("IMMUNFACT ID"), None);
    // A pattern in the words of one language alone is named and not asked of others.
    let vaccine = field("VACCINE ID").unwrap();
    assert_eq!(vaccine["constraints"], json!({ "maxLength": 64 }));
    assert_eq!(vaccine["phds:pattern"], "(?i)[a-z]+");
    let row = printed(&context, "json-schema");
    assert_eq!(
        row["$comment"],
        format!("Dictionary phds Hill County 1, fingerprint {}.", fingerprint.as_str().unwrap())
    );
    assert_eq!(row["properties"]["SEX CODE"]["anyOf"], json!([{ "$ref": "#/$defs/missing" }, { "enum": sexes }]));
    assert_eq!(row["$defs"]["missing"]["enum"], json!(["", "NULL", "null"]));
}

#[test]
fn the_same_dictionary_gives_the_same_bytes() {
    let context = TestContext::new();
    let bytes = |arguments: &str| context.phds(&format!("dictionary {arguments}")).done().stdout;
    for format in ["table", "json", "csv", "table-schema", "json-schema"] {
        let format = format!("--format {format}");
        assert!(bytes(&format) == bytes(&format), "{format}");
    }
    assert!(bytes("--json") == bytes("--format json") && bytes("") == bytes("--format table"));
    context.phds("dictionary --json --format table-schema").ended(2);
}

/// A field with the name of such a column would be read in its place, and a question answered with it.
#[test]
fn no_field_has_the_name_of_a_column_that_the_program_makes() {
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    let dictionary = Dictionary::built_in().unwrap();
    context.put("phds.toml", "[dictionary]\nfile = 'own.toml'\n");
    let mut made: BTreeSet<String> = ["measure", "status", "audience", "missing"].map(str::to_owned).into();
    for table in ["immunizations", "clients"] {
        let columns = context.json("store/partitions/2024-12/manifest.json")[table]["columns"].clone();
        let names = columns.as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap().to_owned());
        let is_known = |name: &String| {
            dictionary.field(name).is_some() || dictionary.dimensions().iter().any(|dimension| dimension.id == *name)
        };
        made.extend(names.filter(|name| !is_known(name)));
    }
    assert!(made.len() > 50 && made.contains("dose") && made.contains("last_vaccination"), "{made:?}");
    for kind in [Kind::Shares { ranked: true }, Kind::Funnel, Kind::Standardized, Kind::Doses, Kind::Curve] {
        made.extend(kind.columns().into_iter().map(|column| column.name.to_owned()));
    }
    for name in made {
        context.put(
            "own.toml",
            format!(
                "[[field]]\nname = \"{name}\"\nheader = \"OWN\"\ntype = \"integer\"\nrole = \"attribute\"\npresence = \"optional\"\ntitle = \"\"\ndescription = \"\"\n"
            ),
        );
        let outcome = context.phds("dictionary --config phds.toml").ended(2).stderr;
        assert!(outcome.contains("none that the tables of this program use"), "{name}: {outcome}");
    }
}

#[test]
fn ages_are_in_the_departments_own_classes() {
    let context = TestContext::new();
    context.put("phds.toml", "[dictionary]\nfile = 'own.toml'\n");
    let own = |keys: &str| context.put("own.toml", format!("version = \"1\"\n[[dimension]]\nid = \"age\"\n{keys}\n"));
    for (keys, why) in [
        ("from_months = [24, 12]", "needs rising `from_months`, from 1 on"),
        ("from_months = [0, 12]", "needs rising `from_months`, from 1 on"),
        ("field = \"vaccination_date\"", "level `age_as_of` needs the birth date"),
        ("level = \"age\"", "level `age` needs the date of a dose"),
    ] {
        own(keys);
        let said = context.phds("dimensions age").ended(2).stderr;
        assert!(said.contains("dictionary dimension `age`") && said.contains(why), "{keys}: {said}");
    }
    own("from_months = [36, 48, 84, 156]");
    let values = context.phds("dimensions age").done().text();
    assert!(
        values.ends_with("\n  under 3 years\n  3 years\n  4 to 6 years\n  7 to 12 years\n  13 years and older\n"),
        "{values}"
    );
    // The staff see them; as classes of several years of birth they are not for the public.
    context.load(&Month::of("clients | BIRTH DATE\n40 a | 2021-06-15\n40 b | 2019-06-15"));
    let ask = "query coverage --measure nis.mmr1 --by age --store store";
    let rows = csv_rows(&context.phds(&format!("{ask} --format csv")).done().stdout);
    assert_eq!(rows[1..].iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["3 years", "4 to 6 years"]);
    let said = context.phds(&format!("{ask} --audience public --dry-run")).ended(1).stderr;
    assert!(said.contains("this age is not for the public"), "{said}");
}

/// A dictionary of one's own in which both dates have these formats.
fn with_formats(context: &TestContext, formats: &str) {
    let field = |name: &str| format!("[[field]]\nname = \"{name}\"\nformats = {formats}\n");
    context.put("own.toml", field("birth_date") + &field("vaccination_date"));
    context.put("phds.toml", "[dictionary]\nfile = \"own.toml\"\n");
}

#[test]
fn dates_in_other_forms_are_told_and_read_once_they_are_declared() {
    for (format, example, birth, dose) in [
        ("us_short", "12/31/2024, 1/5/2024", "6/15/2021", "7/31/2022"),
        ("day_month", "31-DEC-2024", "15-JUN-2021", "31-jul-2022"),
        ("iso_time", "2024-12-31 00:00:00", "2021-06-15 00:00:00", "2022-07-31T14:30"),
        ("us_time", "1/5/2024 0:00", "6/15/2021 0:00", "07/31/2022 11:59:00 PM"),
        ("day_first", "31/12/2024", "15/06/2021", "31/07/2022"),
        ("day_first_time", "31/12/2024 0:00", "15/6/2021 0:00", "31/07/2022 11:59:00 PM"),
    ] {
        let context = TestContext::new();
        context.put(
            "month.csv",
            Month::of(&format!("times | BIRTH DATE | VACCINATION DATE\n20 | {birth} | {dose}")).bytes(),
        );
        let told = |header: &str, name: &str| {
            format!(
                "{header} looks like {example}: set `formats = [\"{format}\"]` for the field `{name}` in your dictionary file"
            )
        };
        let told = [told("BIRTH DATE", "birth_date"), told("VACCINATION DATE", "vaccination_date")].join("; ");
        let refused = context.phds(&format!("check month.csv --period {PERIOD} --report out")).ended(1);
        assert!(refused.stderr.contains(&format!("hint: {told}; ")), "{}", refused.stderr);
        let report = context.json("out/report.json");
        let rule = report["rules"].as_array().unwrap().iter().find(|rule| rule["code"] == "PHDS-F03").unwrap();
        assert_eq!(rule["note"], told);

        with_formats(&context, &format!("[\"{format}\"]"));
        context.phds(&format!("load month.csv --period {PERIOD} --store store")).done();
        for (table, column, day) in
            [("clients", "birth_date", "2021-06-15"), ("immunizations", "vaccination_date", "2022-07-31")]
        {
            let days = texts(&parquet_table(&context.path("store"), PERIOD, table), |name| name == column);
            assert_eq!(days, vec![vec![day.to_owned()]; 20], "{format}");
        }
    }
}

#[test]
fn a_form_is_told_only_where_most_dates_of_a_column_and_all_that_fail_have_it() {
    let context = TestContext::new();
    let says = |rows: &str| {
        context.put("month.csv", Month::of(&format!("times | VACCINATION DATE\n{rows}")).bytes());
        let said = context.phds(&format!("check month.csv --period {PERIOD}"));
        said.text().contains("set `formats = [") || said.stderr.contains("set `formats = [")
    };
    for (rows, is_told) in [
        ("10 | 31/07/2022\n9 | 2022-07-31", true),
        ("10 | 31/07/2022\n10 | 2022-07-31", false),
        ("10 | 31/07/2022\n1 | not recorded", false),
        ("10 | 31/07/2022\n1 | 7/31/2022", false),
        // Nothing is no date that fails. What is a day in both forms is read as it stands.
        ("10 | 31/07/2022\n30 | ", true),
        ("10 | 31/07/2022\n5 | 05/07/2022", true),
    ] {
        assert_eq!(says(rows), is_told, "{rows}");
    }
}

#[test]
fn formats_that_cannot_be_told_apart_are_refused() {
    let context = TestContext::new();
    for (formats, said) in [
        ("[\"us\", \"day_first\"]", "its `formats` cannot be told apart: 05/04/2024 is a day of both"),
        ("[\"day_first\", \"us_short\"]", "its `formats` cannot be told apart: 05/04/2024 is a day of both"),
        ("[\"us_time\", \"day_first_time\"]", "its `formats` cannot be told apart: 05/04/2024 is a day of both"),
        ("[\"iso\", \"us\", \"iso\"]", "one of its `formats` is there twice"),
    ] {
        with_formats(&context, formats);
        let refused = context.phds("dictionary").ended(2).stderr;
        assert!(refused.contains("dictionary field `birth_date`: ") && refused.contains(said), "{refused}");
    }
    with_formats(&context, "[\"iso\", \"us\", \"compact\", \"us_short\", \"day_month\", \"iso_time\", \"us_time\"]");
    context.phds("dictionary").done();
}

#[test]
fn no_code_that_is_active_has_gone_out_of_use_and_no_window_ends_before_it_begins() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries/phds/codelists/cvx.csv");
    let mut seen = 0;
    for row in csv::Reader::from_path(path).unwrap().deserialize() {
        let row: std::collections::HashMap<String, String> = row.unwrap();
        let is_known = |column: &str| !row[column].is_empty();
        assert!(row["status"] != "Active" || !is_known("in_use_to"), "{}", row["code"]);
        if is_known("in_use_from") && is_known("in_use_to") && row["status"] != "Never Active" {
            assert!(row["in_use_from"] < row["in_use_to"], "{}", row["code"]);
        }
        if is_known("min_age_months") && is_known("max_age_months") {
            let months = |column: &str| row[column].parse::<u32>().unwrap();
            assert!(months("min_age_months") <= months("max_age_months"), "{}", row["code"]);
        }
        seen += 1;
    }
    assert_eq!(seen, 288);
}
