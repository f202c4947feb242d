//! Every bad input: the exit code, the message, and what is left behind.
//!
//! All small months hold one invented person whose name, ids, street and birth date no message may repeat.

use phds::demo::server::LoopbackServer;
use phds::secret::Secret;

use crate::support::{HEADER, Month, Outcome, Shape, Table, TestContext};

/// What is in every row of a small month and must never be in a message.
const PERSON: [&str; 7] = ["client-", "QUIXOTE", "XAVIERSON", "ZEBULON", "8200000", "9300000", "Zzyzx"];

/// Checks and loads a file that is refused: both must say the same, and leave a report and nothing half-written.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let context = TestContext::new();
    context.put("month.csv", bytes);
    let checked = context.phds("--quiet check month.csv --period 2024-12 --report out").ended(1);
    let loaded = context.phds("--quiet load month.csv --period 2024-12 --store store").ended(1);
    assert_eq!(checked.stderr, loaded.stderr);
    for text in [checked.text(), checked.stderr.clone(), loaded.text(), loaded.stderr] {
        nobody(text.as_bytes());
    }
    assert!(checked.text().starts_with("2024-12 month.csv is refused\n"), "{}", checked.text());
    for report in ["out/report.json", "store/reports/2024-12/report.json"] {
        assert_eq!(context.json(report)["verdict"], "refused");
        nobody(&context.read(report));
    }
    assert_eq!(context.read("store/deliveries/2024-12/month.csv"), bytes, "the delivery is kept as it came");
    nothing_half_written(&context);
    context.filtered(&checked.stderr)
}

#[track_caller]
fn nobody(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    assert_eq!(PERSON.iter().position(|value| text.contains(value)), None, "a value of a row is in a message");
}

/// No temporary file, no Parquet, no manifest.
#[track_caller]
fn nothing_half_written(context: &TestContext) {
    let left: Vec<_> = context
        .tree()
        .into_iter()
        .filter(|name| [".part", ".phds-", ".parquet", "manifest.json"].iter().any(|mark| name.contains(mark)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A command that fails before it writes anything.
#[track_caller]
fn fails(context: &TestContext, command: &str, code: i32) -> String {
    let before = context.tree();
    let outcome = context.phds(command).ended(code);
    assert_eq!(outcome.text(), "", "an error is no data");
    assert_eq!(context.tree(), before, "`{command}` leaves something behind");
    nobody(outcome.stderr.as_bytes());
    context.filtered(&outcome.stderr)
}

fn month(table: &str) -> Vec<u8> {
    Month::of(table).bytes().to_vec()
}

fn loaded() -> TestContext {
    let context = TestContext::new();
    context.load(&Month::of("clients\n12 a"));
    context
}

#[test]
fn a_column_that_nobody_knows() {
    insta::assert_snapshot!(refused(&month("CLIENT ID | MOTHER MAIDEN NAME\n1 | NOBODY")), @r"
    error: the file is refused: PHDS-S02 column is not in the dictionary: column 27

    hint: `phds explain PHDS-S02` says what to do
    ");
}

#[test]
fn a_file_without_a_header_shows_none_of_its_first_row() {
    let table = Table::parse("CLIENT ID\nclient-1");
    let month = Month::shaped(&table, Shape { header: false, ..Shape::default() });
    insta::assert_snapshot!(refused(month.bytes()), @r"
    error: the file is refused: PHDS-S02 column is not in the dictionary: column 1, column 2, column 3, column 4, column 5, column 6 and 20 more; PHDS-S03 column is missing: CLIENT ID, FIRST NAME, LAST NAME, MIDDLE NAME, BIRTH DATE, SEX CODE and 20 more

    hint: the first line looks like a row: the file has no header; ask for one with it; `phds explain PHDS-S02` says what to do
    ");
}

#[test]
fn a_column_that_is_missing() {
    let without = ["BIRTH DATE".to_owned(), "ZIP CODE".to_owned()];
    let month = Month::shaped(&Table::parse("CLIENT ID\n1"), Shape { without: &without, header: true });
    insta::assert_snapshot!(refused(month.bytes()), @r"
    error: the file is refused: PHDS-S03 column is missing: BIRTH DATE, ZIP CODE

    hint: `phds explain PHDS-S03` says what to do
    ");
}

#[test]
fn a_column_that_is_there_twice() {
    insta::assert_snapshot!(refused(&month("CLIENT ID | zip-code\n1 | 78701")), @r"
    error: the file is refused: PHDS-S04 column appears twice: ZIP CODE

    hint: `phds explain PHDS-S04` says what to do
    ");
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(refused(b""), @r"
    error: the file is refused: PHDS-S01 file is empty

    hint: `phds explain PHDS-S01` says what to do
    ");
}

#[test]
fn a_header_only() {
    insta::assert_snapshot!(refused(format!("{}\n", HEADER.join(",")).as_bytes()), @r"
    error: the file is refused: PHDS-S05 file has a header only

    hint: `phds explain PHDS-S05` says what to do
    ");
}

#[test]
fn a_file_in_an_unknown_encoding() {
    insta::assert_snapshot!(refused(&month("times | PROVIDER NAME\n3 | Caf\\xE9 \\x81")), @r"
    error: the file is refused: PHDS-P01 too many rows are rejected: 3 of 3, most by PHDS-S07 row is not text in the file's encoding

    hint: `phds explain PHDS-P01` says what to do
    ");
}

#[test]
fn a_file_in_utf_16() {
    let text = String::from_utf8(month("CLIENT ID\n1")).unwrap();
    let bytes: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    insta::assert_snapshot!(refused(&bytes), @r"
    error: the file is refused: PHDS-S02 column is not in the dictionary: column 1, column 2, column 3, column 4, column 5, column 6 and 20 more; PHDS-S03 column is missing: CLIENT ID, FIRST NAME, LAST NAME, MIDDLE NAME, BIRTH DATE, SEX CODE and 20 more

    hint: it looks like UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`; `phds explain PHDS-S02` says what to do
    ");
}

#[test]
fn ragged_rows() {
    insta::assert_snapshot!(refused(&month("times | PROVIDER NAME\n3 | raw:Sunrise, Clinic")), @r"
    error: the file is refused: PHDS-P01 too many rows are rejected: 3 of 3, most by PHDS-S06 row has too few or too many fields

    hint: `phds explain PHDS-P01` says what to do
    ");
}

#[test]
fn a_file_that_was_cut_off() {
    insta::assert_snapshot!(refused(&month("PROVIDER ZIP CODE\n78701\nraw:\"787")), @r"
    error: the file is refused: PHDS-S09 file ends in the middle of a row: line 3

    hint: `phds explain PHDS-S09` says what to do
    ");
}

#[test]
fn a_binary_file() {
    let noise: Vec<u8> = (0..20_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    refused(&noise);
}

#[test]
fn a_file_of_another_kind_is_told_by_its_first_bytes() {
    let utf_16: Vec<u8> = "CLIENT ID,SEX CODE\n".bytes().flat_map(|byte| [byte, 0]).collect();
    for (bytes, said) in [
        (&b"PK\x03\x04 and so on\n"[..], "it looks like a ZIP archive"),
        (b"\x1f\x8b\x08 and so on\n", "unpack it with `gunzip`"),
        (b"%PDF-1.7\n", "it looks like a PDF"),
        (b"\n <!DOCTYPE html>\n<title>Log in</title>\n", "it looks like a web page"),
        (b"<HTML>\n", "it looks like a web page"),
        (&utf_16, "it looks like UTF-16 text"),
        (b"CLIENT ID\0\n", "it holds NUL bytes"),
    ] {
        let outcome = refused(bytes);
        assert!(outcome.contains(said), "{said}: {outcome}");
    }
}

#[test]
fn a_column_without_a_header() {
    let month = String::from_utf8(month("CLIENT ID\n1")).unwrap().replace('\n', ",\n");
    assert!(refused(month.as_bytes()).contains("column 27, without a header"));
}

#[test]
fn a_folder_in_place_of_a_file() {
    let context = TestContext::new();
    context.put("months/2024.csv", "");
    insta::assert_snapshot!(fails(&context, "check months --period 2024-12", 2), @r"
    error: `months` is not a file

    hint: name the CSV file itself
    ");
    insta::assert_snapshot!(fails(&context, "load months --period 2024-12 --store store", 2), @r"
    error: `months` is not a file

    hint: name the CSV file itself
    ");
}

#[test]
fn a_file_that_is_not_there() {
    let context = TestContext::new();
    insta::assert_snapshot!(fails(&context, "check month.csv --period 2024-12", 2), @r"
    error: there is no file `month.csv`

    hint: check the name and the folder
    ");
    insta::assert_snapshot!(fails(&context, "check month.csv --period 2024-12 --report out", 2), @r"
    error: there is no file `month.csv`

    hint: check the name and the folder
    ");
    insta::assert_snapshot!(fails(&context, "load month.csv --period 2024-12 --store store", 2), @r"
    error: there is no file `month.csv`

    hint: check the name and the folder
    ");
}

#[test]
fn a_store_that_is_not_ours() {
    let context = TestContext::new();
    context.put("month.csv", month("CLIENT ID\n1"));
    context.put("pictures/cat.jpg", "");
    context.put("newer/phds-store.json", "{\"store_version\": 2}");
    context.put("broken/phds-store.json", "{");
    let ask = |store: &str| {
        let said = fails(&context, &format!("query coverage --store {store} --measure nis.mmr1 --by county"), 2);
        assert_eq!(said, fails(&context, &format!("load month.csv --period 2024-12 --store {store}"), 2));
        said
    };
    insta::assert_snapshot!(ask("pictures"), @r"
    error: `pictures` is not a store of this program: it has no phds-store.json

    hint: name the folder given to `phds load --store`, or an empty one to begin with
    ");
    insta::assert_snapshot!(ask("newer"), @r"
    error: `newer` is a store that this version of phds does not know

    hint: use the version that made it, or load the months anew into an empty folder
    ");
    insta::assert_snapshot!(ask("broken"), @r"
    error: `broken` is a store that this version of phds does not know

    hint: use the version that made it, or load the months anew into an empty folder
    ");
    fails(&context, "query coverage --store missing --measure nis.mmr1 --by county", 2);
    insta::assert_snapshot!(fails(&context, "load month.csv --period 2024-12 --store month.csv", 2), @"
    error: `month.csv` is a file; a store is a folder

    hint: name a folder; one that is missing or empty becomes a store when a month is loaded
    ");
}

#[test]
fn a_store_in_which_another_run_is_writing() {
    let context = loaded();
    let lock = std::fs::File::open(context.path("store/.lock")).unwrap();
    lock.lock().unwrap();
    insta::assert_snapshot!(fails(&context, "load month.csv --period 2024-12 --store store", 3), @r"
    error: another run of phds is writing to `store`

    hint: wait until it has ended
    ");
}

#[test]
fn a_measure_dimension_or_value_that_is_not_there() {
    let context = loaded();
    let ask = |rest: &str| fails(&context, &format!("query coverage --store store {rest}"), 2);
    insta::assert_snapshot!(ask("--measure nis.mmr --by county"), @r"
    error: there is no measure `nis.mmr`

    hint: did you mean `nis.mmr1`? `phds measures` lists all
    ");
    insta::assert_snapshot!(ask("--measure measles --by county"), @r"
    error: there is no measure `measles`

    hint: `phds measures` lists all, and `phds measures measles` those that have the word
    ");
    insta::assert_snapshot!(ask("--measure coverage --by county"), @r"
    error: there is no measure `coverage`

    hint: `phds measures` lists all
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county,birthyear"), @r"
    error: there is no dimension `birthyear`

    hint: did you mean `birth_year`? `phds dimensions` lists all
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by first_name"), @r"
    error: there is no dimension `first_name`

    hint: `phds dimensions` lists all
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county,county"), @"
    error: the dimension `county` is there twice in `--by`

    hint: name `county` once
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --where county=Travs"), @r"
    error: `Travs` is no value of `county`

    hint: did you mean `Travis`? `phds dimensions county` lists all
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --where birth_date=2021-06-15"), @r"
    error: there is no dimension `birth_date`

    hint: did you mean `birth_quarter`? `phds dimensions` lists all
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --where birth_year=young"), @r"
    error: `young` is no value of `birth_year`

    hint: write a year, for example 2021
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --where sex=F --where sex=M"), @r"
    error: the dimension `sex` is filtered twice

    hint: write `--where sex=A,B`
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --where sex"), @r"
    error: invalid value 'sex' for '--where <DIM=VALUE[,VALUE…]>': write DIM=VALUE or DIM=VALUE,VALUE, for example county=Travis,Hays

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --as-of 2025-01-01"), @"
    error: the as-of date is after the last day of the reporting period, 2024-12-31

    hint: name that day or an earlier end of a month, or leave `--as-of` away
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --as-of 2024-12-30"), @"
    error: the as-of date 2024-12-30 is not the last day of a month

    hint: name 2024-12-31, or the last day of another month
    ");
    insta::assert_snapshot!(ask("--measure nis.mmr1 --by county --as-of=-262143-12-31"), @"
    error: the as-of date is before the first day of the file, 2018-01-01

    hint: name a later end of a month, or leave `--as-of` away
    ");
    for value in
        ["birth_year=20210", "birth_year=12", "birth_year=-5", "birth_quarter=999999999-Q1", "birth_year=+2021"]
    {
        let said = ask(&format!("--measure nis.mmr1 --by county --where {value}"));
        assert!(said.contains("is no value of `birth_"), "{said}");
    }
    insta::assert_snapshot!(fails(&context, "explain PHDS-R1", 2), @r"
    error: there is no rule `PHDS-R1`

    hint: did you mean `PHDS-R01`? `phds explain` lists all
    ");
    insta::assert_snapshot!(fails(&context, "measures nis.4331314", 2), @r"
    error: there is no measure `nis.4331314`

    hint: did you mean `nis.4313314`? `phds measures` lists all
    ");
}

#[test]
fn a_question_that_does_not_hold_together() {
    let context = loaded();
    let ask = |rest: &str| fails(&context, &format!("query {rest} --store store"), 2);
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by season"), @r"
    error: `season` is of doses, and `coverage` counts clients

    hint: `phds query doses` takes it
    ");
    insta::assert_snapshot!(ask("late --measure nis.none --by county"), @r"
    error: `late` cannot be asked of `nis.none`: it counts those without a vaccine

    hint: it can be asked of cms117.dtap4, cms117.ipv3, cms117.mmr1, cms117.hib, cms117.hepb3, cms117.var1, cms117.pcv4, cms117.hepa1, cms117.rotavirus, cms117.flu2, cms117.combo3, cms117.combo7, and 72 more of `phds measures`
    ");
    insta::assert_snapshot!(ask("curve --measure flu.dose1"), @r"
    error: `curve` cannot be asked of `flu.dose1`: it asks about a season, and about no age

    hint: it can be asked of cms117.dtap4, cms117.ipv3, cms117.mmr1, cms117.hib, cms117.hepb3, cms117.var1, cms117.pcv4, cms117.hepa1, cms117.rotavirus, cms117.flu2, cms117.combo3, cms117.combo7, and 72 more of `phds measures`
    ");
    insta::assert_snapshot!(ask("coverage --measure flu.dose1 --as-of 2018-06-30"), @r"
    error: the season 2017-18 of the as-of date began before 2018, the first year of the file

    hint: name an as-of date from 2018-07-31 on
    ");
    insta::assert_snapshot!(ask("missing --measure nis.mmr1 --by county"), @r"
    error: `missing` cannot be asked of `nis.mmr1`: it is no combination of measures

    hint: it can be asked of cms117.combo3, cms117.combo7, cms117.combo10, iqip.childhood, iqip.adolescent, nis.4313314, nis35.4313314, routine.until_2026_01_04, routine.from_2026_01_05, txk.entry
    ");
    insta::assert_snapshot!(ask("on-time --measure nis.flu2 --by county"), @r"
    error: `on-time` cannot be asked of `nis.flu2`: from when on a dose is late is not known (nis.flu2)

    hint: it can be asked of hp2030.iid03, hp2030.iid06, iqip.dtap4, iqip.polio3, iqip.mmr1, iqip.hepb3, iqip.var1, nis.dtap3, nis.dtap4, nis.polio3, nis.mmr1, nis.mmr1_12m, and 21 more of `phds measures`
    ");
    insta::assert_snapshot!(ask("potential --measure nis.flu2 --by county"), @r"
    error: `potential` cannot be asked of `nis.flu2`: minimum ages and intervals are not known (nis.flu2)

    hint: it can be asked of hp2030.iid03, hp2030.iid06, iqip.dtap4, iqip.polio3, iqip.mmr1, iqip.hib, iqip.hepb3, iqip.var1, iqip.pcv, iqip.childhood, iqip.tdap1, iqip.menacwy1, and 45 more of `phds measures`
    ");
    insta::assert_snapshot!(ask("one-visit --measure nis.mmr1 --by county"), @r"
    error: `one-visit` cannot be asked of `nis.mmr1`: it is no combination of which the last visit is looked for

    hint: it can be asked of iqip.childhood, iqip.adolescent, nis.4313314, txk.entry
    ");
    insta::assert_snapshot!(ask("dropout --measure nis.dtap3 --to nis.dtap5 --by county"), @r"
    error: there is no measure `nis.dtap5`

    hint: did you mean `nis.dtap3`? `phds measures` lists all
    ");
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by county --denominator active_3"), @r"
    error: there is no denominator `active_3`

    hint: one of clients, resident, active_1, active_2, active_5, active_10, or population:NAME
    ");
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by county --denominator resident"), @r"
    error: the denominator `resident` needs the counties of the department

    hint: set `counties` in the section [query] of phds.toml
    ");
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by county --attribution most"), @r"
    error: `--attribution` is for tables of organizations

    hint: add `--by organization`
    ");
    insta::assert_snapshot!(ask("doses --by organization --attribution any"), @r"
    error: a dose is of one organization

    hint: use `--by given_by`, or another rule of attribution
    ");
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by county --funnel"), @r"
    error: `--funnel` is for a table of organizations and nothing else

    hint: use `--by organization`, with one denominator and one rule of attribution
    ");
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by county --standardize birth_year"), @r"
    error: `--standardize` takes a dimension of the table

    hint: add `birth_year` to `--by`
    ");
    insta::assert_snapshot!(ask("coverage --measure nis.mmr1 --by county --where birth_quarter=2021-Q5"), @r"
    error: `2021-Q5` is no value of `birth_quarter`

    hint: write a quarter, for example 2021-Q3
    ");
    context.put("census.csv", "county,birth_year,count\nTravis,2020,50\nTravis,2021,50\nHays,2021,50\n");
    context.phds("population import census.csv --name census --source Invented --store store").done();
    let of_people = "coverage --measure nis.mmr1 --by birth_year --denominator population:census";
    insta::assert_snapshot!(ask(of_people), @r"
    error: `population:census` lacks a year of birth for Hays that it has for others

    hint: add the missing rows, also those of nobody, and take the file in again
    ");
    insta::assert_snapshot!(ask(&of_people.replace("birth_year", "sex")), @r"
    error: the population `census` is not by `sex`

    hint: it is by county, region, birth_year; take in a file with that column, or leave the dimension out
    ");
    insta::assert_snapshot!(ask(&of_people.replace("census", "sensus")), @r"
    error: there is no population `sensus` in the store

    hint: did you mean `census`? `phds population list` lists all
    ");
    insta::assert_snapshot!(ask("doses --by cvx_code --where age_at_dose=baby"), @r"
    error: `baby` is no value of `age_at_dose`

    hint: one of: under 6 months; 6 to 11 months; 12 to 23 months; 2 years; 3 to 4 years; 5 to 10 years; 11 to 17 years; 18 to 64 years; 65 years and older
    ");
}

#[test]
fn a_file_of_questions_that_is_wrong() {
    let context = loaded();
    let ask = |text: &str| {
        context.put("monthly.toml", text);
        let outcome = fails(&context, "query monthly.toml --store store --out releases", 2);
        assert!(!context.path("releases").exists(), "nothing is written");
        outcome
    };
    let one =
        "schema_version = 1\n[[release]]\nname = 'a'\nindicator = 'coverage'\nmeasure = 'nis.mmr1'\nby = ['county']\n";
    insta::assert_snapshot!(ask("schema_version = 1\nrelease = []"), @"error: `monthly.toml`: it has no [[release]]");
    insta::assert_snapshot!(ask(&one.replace("'a'", "'../a'")), @"error: `monthly.toml`: release 1 needs a `name` of letters, digits, _ and -");
    insta::assert_snapshot!(ask(&one.replace("coverage", "covrage")), @"error: `monthly.toml`, line 4: unknown variant `covrage`, expected one of `coverage`, `late`, `on-time`, `dropout`, `potential`, `missed`, `one-visit`, `missing`, `curve`, `doses`");
    insta::assert_snapshot!(ask(&one.replace("measure =", "mesure =")), @"error: `monthly.toml`, line 5: unknown field `mesure`, expected one of `name`, `indicator`, `measure`, `to`, `by`, `where`, `as_of`, `denominator`, `counties`, `attribution`, `standardize`, `funnel`, `coarsen`");
    insta::assert_snapshot!(ask(&format!("{one}{}", one.replace("schema_version = 1", ""))), @"error: `monthly.toml`: the name `a` is there twice");
    let other = one.replace("schema_version = 1", "").replace("'a'", "'A'");
    insta::assert_snapshot!(ask(&format!("{one}{other}")), @"error: `monthly.toml`: the names `a` and `A` differ by capital letters alone");
    insta::assert_snapshot!(ask(&format!("{one}{}", one.replace("schema_version = 1", "").replace("'a'", "'b'").replace("mmr1", "mmr9"))), @r"
    error: release `b`: there is no measure `nis.mmr9`

    hint: did you mean `nis.mmr1`? `phds measures` lists all
    ");
    insta::assert_snapshot!(ask(&one.replace("['county']", "'county'")), @r#"error: `monthly.toml`, line 6: expected a list of dimensions, such as ["county"]"#);
    for wrong in ["['birth_year=2021']", "{ birth_year = '2021' }", "{ birth_year = [2021] }"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(ask(&format!("{one}where = {wrong}\n")), @r#"error: `monthly.toml`, line 7: expected a table of dimensions with lists of values in quotation marks, such as { county = ["Travis"] }"#);
        }
    }
    insta::assert_snapshot!(fails(&context, "query monthly.toml --store store", 2), @r"
    error: the following required arguments were not provided:
      --out <DIR>

    Usage: phds query --store <DIR> --out <DIR> <FILE>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(fails(&context, "query", 2), @r"
    error: the following required arguments were not provided:
      --out <DIR>
      <FILE>

    Usage: phds query --out <DIR> <FILE>

    For more information, try '--help'.
    ");
}

#[test]
fn a_month_that_is_not_loaded() {
    let context = loaded();
    insta::assert_snapshot!(fails(&context, "query coverage --store store --period 2024-11 --measure nis.mmr1 --by county", 2), @r"
    error: the month 2024-11 is not loaded in `store`

    hint: the newest month that is loaded is 2024-12
    ");
    let empty = TestContext::new();
    empty.put("store/phds-store.json", "{\"store_version\": 1}");
    insta::assert_snapshot!(fails(&empty, "query coverage --store store --period 2024-11 --measure nis.mmr1 --by county", 2), @r"
    error: the month 2024-11 is not loaded in `store`

    hint: load it first: `phds load FILE --period 2024-11 --store store`
    ");
    insta::assert_snapshot!(fails(&empty, "query coverage --store store --measure nis.mmr1 --by county", 2), @r"
    error: no month is loaded in `store`

    hint: `phds load` loads one
    ");
}

#[test]
fn a_period_that_is_no_month() {
    let context = TestContext::new();
    insta::assert_snapshot!(fails(&context, "check month.csv --period 2024-13", 2), @r"
    error: invalid value '2024-13' for '--period <YYYY-MM>': a reporting period is written YYYY-MM, for example 2024-12, from 2000-01 to 2199-12

    For more information, try '--help'.
    ");
    for bad in ["2024", "12-2024", "2024-1", "December"] {
        fails(&context, &format!("load month.csv --period {bad} --store store"), 2);
    }
}

#[test]
fn settings_that_are_missing_or_wrong() {
    let context = TestContext::new();
    context.put("month.csv", month("CLIENT ID\n1"));
    insta::assert_snapshot!(fails(&context, "fetch --store store", 2), @r"
    error: no account is set up

    hint: `phds init` writes a phds.toml to fill in; or name a file: `phds load FILE …`
    ");
    insta::assert_snapshot!(fails(&context, "fetch --list", 2), @r"
    error: no account is set up

    hint: `phds init` writes a phds.toml to fill in; or name a file: `phds load FILE …`
    ");
    insta::assert_snapshot!(fails(&context, "load month.csv --period 2024-12", 2), @r"
    error: no store is named

    hint: add `--store DIR`, or set `store` in phds.toml
    ");
    context.put("typo.toml", "[check]\nmax_rejected = 0.1\n");
    insta::assert_snapshot!(fails(&context, "--config typo.toml check month.csv --period 2024-12", 2), @"error: `typo.toml`, line 2: unknown field `max_rejected`, expected one of `rules`, `max_rejected_share`, `jurisdiction`, `severity`");
    context.put("percent.toml", "[check]\nmax_rejected_share = 5\n");
    insta::assert_snapshot!(fails(&context, "--config percent.toml check month.csv --period 2024-12", 2), @"error: `check.max_rejected_share` is a share from 0 to 1, for example 0.05");
    insta::assert_snapshot!(fails(&context, "--config missing.toml check month.csv --period 2024-12", 2), @r"
    error: there is no file `missing.toml`

    hint: check the name and the folder
    ");
    context.put("phds.toml", "store = \"store\"\n");
    insta::assert_snapshot!(fails(&context, "init", 2), @r"
    error: `phds.toml` is already there and is left as it is

    hint: `--force` changes what you name, and keeps the rest
    ");
}

#[test]
fn a_load_without_an_account_makes_no_store() {
    let context = TestContext::new();
    insta::assert_snapshot!(fails(&context, "load --period 2024-12 --store store", 2), @r"
    error: no account is set up

    hint: `phds init` writes a phds.toml to fill in; or name a file: `phds load FILE …`
    ");
}

/// A folder with an account whose server listens, but for what a test then breaks.
fn account(context: &TestContext, port: u16, known_hosts: &str) {
    context.put("known_hosts", known_hosts);
    context.put_private("password", "correct horse\n");
    context.put(
        "phds.toml",
        format!(
            "store = \"store\"\n[accounts.phds]\nprotocol = \"sftp\"\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"clinic\"\n\
             pattern = \"PHDS_{{YYYY}}_{{MM}}.csv\"\npassword_file = \"password\"\nknown_hosts = \"known_hosts\"\n\
             timeout_seconds = 5\nattempts = 1\nmin_age_seconds = 0\n"
        ),
    );
    context.put("store/phds-store.json", "{\"store_version\": 1}");
    context.put("store/.lock", "");
    // A login that is refused is remembered there.
    context.put("store/logins/phds.json", "");
}

#[test]
fn a_server_that_is_not_the_one_expected_or_does_not_open() {
    let context = TestContext::new();
    context.put("served/PHDS_2024_12.csv", month("CLIENT ID\n1"));
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    let server = LoopbackServer::start(&context.path("served"), "clinic", &secret("correct horse")).unwrap();
    let other = LoopbackServer::start(&context.path("served"), "clinic", &secret("another")).unwrap();
    let fetch = |code| {
        let said = fails(&context, "fetch", code);
        assert!(!said.contains("correct horse"), "the password is in a message");
        said
    };

    account(&context, server.port(), &server.host_key_line());
    #[cfg(unix)]
    {
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(context.path("password"), readable).unwrap();
        insta::assert_snapshot!(fetch(4), @r"
        error: `password` can be reached by other users (mode 0644)

        hint: chmod 600 'password', and change the password if others may have read it
        ");
    }
    assert_eq!((server.login_attempts(), server.requests()), (0, Vec::new()), "nobody was disturbed");

    account(&context, server.port(), "");
    insta::assert_snapshot!(fetch(4), @r#"
    error: 127.0.0.1:[PORT] is not in `known_hosts`, so nothing shows that it is the state's server. Its key: ssh-ed25519 SHA256:[KEY]. Nothing was sent to it.

    hint: compare the fingerprint with the one that the state gives you by telephone or letter. Only if it is the same, record it:
      ssh-keyscan -p [PORT] -t ed25519 '127.0.0.1' >> 'known_hosts'
    look at what was recorded:
      ssh-keygen -l -F '[127.0.0.1]:[PORT]' -f 'known_hosts'
    or write into the settings: host_key = "SHA256:[KEY]"
    The last resort, when nobody can tell you the fingerprint: `--accept-new-host-key` takes the key on trust, this once, and records it
    "#);
    let key_of_another = other.host_key_line().replace(&other.port().to_string(), &server.port().to_string());
    account(&context, server.port(), &key_of_another);
    insta::assert_snapshot!(fetch(4), @r"
    error: THE SERVER IS NOT THE ONE THAT WAS RECORDED. 127.0.0.1:[PORT] shows the key ssh-ed25519 SHA256:[KEY], and `known_hosts` records another. Either the state has a new key, or somebody stands between you and the state. Nothing was sent to it.

    hint: call the state's help desk by a telephone number that you had before, and compare the fingerprint. Only if it is the same:
      ssh-keygen -R '[127.0.0.1]:[PORT]' -f 'known_hosts'
      ssh-keyscan -p [PORT] -t ed25519 '127.0.0.1' >> 'known_hosts'
    look at what was recorded:
      ssh-keygen -l -F '[127.0.0.1]:[PORT]' -f 'known_hosts'
    ");
    assert_eq!(server.login_attempts(), 0, "a wrong server is told nothing");

    account(&context, other.port(), &other.host_key_line());
    insta::assert_snapshot!(fetch(4), @r"
    error: 127.0.0.1:[PORT] refused the password of `clinic`, or hung up on it

    hint: check user name and secret, then try again by hand. It was tried once only: several failures can lock the account
    ");
    assert_eq!(other.login_attempts(), 1, "a refused password is not tried again");
}

#[test]
#[cfg_attr(windows, ignore = "the words of the system")]
fn a_server_that_is_not_there() {
    let context = TestContext::new();
    // Nothing listens on the first port of a machine of today.
    account(&context, 1, "");
    insta::assert_snapshot!(fails(&context, "fetch", 3), @r"
    error: cannot connect to 127.0.0.1:[PORT]: Connection refused (os error 111)

    hint: check host and port, and that the firewall or VPN lets this machine out; then try again
    ");
    insta::assert_snapshot!(fails(&context, "load --period 2024-12", 3), @r"
    error: cannot connect to 127.0.0.1:[PORT]: Connection refused (os error 111)

    hint: check host and port, and that the firewall or VPN lets this machine out; then try again
    ");
}

#[test]
fn a_refused_month_leaves_the_loaded_one() {
    let context = loaded();
    let ask = || context.phds("query coverage --store store --measure nis.mmr1 --by county --format csv").done().stdout;
    let before = ask();
    context.put("month.csv", month("times | VACCINATION DATE\n3 | 2021-02-30"));
    context.phds("load month.csv --period 2024-12 --store store").ended(1);
    assert_eq!(ask(), before);
    assert_eq!(context.tree().iter().filter(|name| name.contains(".part") || name.contains(".phds-")).count(), 0);
}

#[test]
fn a_damaged_month_is_not_answered_from() {
    let context = loaded();
    let part = context.tree().into_iter().find(|name| name.contains("clients/part")).unwrap();
    let bytes = context.read(&part);
    context.put(&part, &bytes[1..]);
    let outcome: Outcome = context.phds("query coverage --store store --measure nis.mmr1 --by county").ended(3);
    assert!(outcome.stderr.contains("load the month again"), "{}", outcome.stderr);
}
