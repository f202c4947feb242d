//! `phds population`: counts of people into the store, whole or not at all, and what is listed of them.

use serde_json::{Value, json};

use crate::support::TestContext;

const IMPORT: [&str; 9] = [
    "population",
    "import",
    "population.csv",
    "--name",
    "births",
    "--source",
    "Invented births of 2020 to 2022",
    "--store",
    "store",
];

fn context() -> TestContext {
    let context = TestContext::new();
    context.put("population.csv", include_str!("../fixtures/population.csv"));
    context
}

/// The names in the folder of populations.
fn kept(context: &TestContext) -> Vec<String> {
    let names = context.tree().into_iter();
    names.filter_map(|name| name.strip_prefix("store/populations/").map(str::to_owned)).collect()
}

#[test]
fn counts_are_taken_in_and_listed() {
    let context = context();
    let outcome = context.run(&IMPORT).done();
    insta::assert_snapshot!(context.filtered(&outcome.stderr), @"
    import   `births`: 52,502 people born 2020 to 2022 in 18 cells by county, birth_year, sex, fingerprint [HASH]

    next: phds query coverage --measure nis.mmr1 --by birth_year --denominator clients,population:births --store store
    ");
    assert!(outcome.stdout.is_empty());
    let listed = context.phds("population list --store store").done().text();
    insta::assert_snapshot!(context.filtered(&listed), @"
    births: 52,502 people born 2020 to 2022 in 18 cells by county, birth_year, sex
      from: Invented births of 2020 to 2022
      fingerprint [HASH]
    ");
    let note = context.json("store/populations/births.json");
    let fingerprint = note["fingerprint"].as_str().unwrap();
    assert_eq!(kept(&context), [String::new(), format!("births.{fingerprint}.csv"), "births.json".to_owned()]);
    let stored = String::from_utf8(context.read(&format!("store/populations/births.{fingerprint}.csv"))).unwrap();
    assert!(stored.starts_with("county,birth_year,sex,count\n48209,2020,F,1500\n48209,2020,M,1600\n"), "{stored}");
    let json: Value =
        serde_json::from_slice(&context.phds("population list --store store --json").done().stdout).unwrap();
    assert_eq!(json, json!([note]));
    // The same file gives the same bytes.
    context.run(&IMPORT).done();
    assert_eq!(context.json("store/populations/births.json"), note);
}

#[test]
fn ages_are_noted_and_missing_cells_too() {
    let context = context();
    context.put("phds.toml", "store = 'store'\n");
    context.put("ages.csv", "Age,ZCTA,Population\n0,78701,10\n1,78701,20\n0,78702,30\n");
    let outcome =
        context.run(&["population", "import", "ages.csv", "--name", "ages", "--source", "invented", "--year", "2024"]);
    insta::assert_snapshot!(context.filtered(&outcome.done().stderr), @"
    note: Years of birth are 2024 less the age: right for ages in completed years on 31 December 2024; of ages on another day, some people are in the year beside their own.
    note: 1 of 4 combinations of zip, birth_year have no row and count as nobody; the first is 78702, 2023.
    import   `ages`: 60 people born 2023 to 2024 in 3 cells by zip, birth_year, fingerprint [HASH]

    next: phds query coverage --measure nis.mmr1 --by birth_year --denominator clients,population:ages --store store
    ");
    let listed = context.phds("population list").done().text();
    assert!(listed.contains("on 31 December 2024") && listed.contains("the first is 78702, 2023"), "{listed}");
}

#[test]
fn a_second_import_says_what_it_replaces() {
    let context = context();
    context.run(&IMPORT).done();
    let before = context.tree();
    let same = context.run(&IMPORT).done().stderr;
    assert!(
        same.contains("warning: `births` is replaced, with the same counts; until now it was 52,502 people"),
        "{same}"
    );
    assert_eq!(context.tree(), before);
    context.put("population.csv", "born,n\n2020,7\n");
    let other = context.run(&[&IMPORT[..], &["--quiet"]].concat()).done().stderr;
    assert!(
        other.starts_with("warning: `births` is replaced; until now it was 52,502 people born 2020 to 2022"),
        "{other}"
    );
    assert_eq!(kept(&context).len(), 3, "{:?}", context.tree());
    let listed = context.phds("population list --store store").done().text();
    assert!(listed.starts_with("births: 7 people born 2020 in 1 cell by birth_year"), "{listed}");
}

#[test]
fn a_file_with_a_fault_changes_nothing() {
    let context = context();
    context.run(&IMPORT).done();
    let before = context.read("store/populations/births.json");
    context.put("population.csv", "county,born,n\nTravis,2020,7\nTraviss,2020,8\nTravis,2020,-9\nTotal,2020,6\n");
    let refused = context.run(&IMPORT).ended(1).stderr;
    insta::assert_snapshot!(refused, @"
    error: `population.csv` is not taken in:
      line 3: `Traviss` is no value of `county`: did you mean `Travis`? `phds dictionary --json` lists all
      line 4: the count is negative: -9
      line 5: `Total` is a total: leave such rows out, sums are made anew

    hint: mend the file and import it again; the store is as it was
    ");
    assert_eq!(context.read("store/populations/births.json"), before);
    // The name, the source and the file are looked at before a store is made.
    for (arguments, code) in [
        (&["population", "import", "population.csv", "--name", "a/b", "--source", "x", "--store", "new"][..], 2),
        (&["population", "import", "population.csv", "--name", "a", "--source", " ", "--store", "new"], 2),
        (&["population", "import", "missing.csv", "--name", "a", "--source", "x", "--store", "new"], 2),
        (&["population", "import", "population.csv", "--name", "a", "--source", "x", "--store", "new"], 1),
        (&["population", "import", "population.csv", "--name", "a", "--store", "new"], 2),
        (&["population", "list", "--store", "new"], 2),
    ] {
        context.run(arguments).ended(code);
    }
    assert!(!context.path("new").exists());
}

#[test]
fn a_month_of_records_is_no_population_and_nothing_of_it_is_told() {
    let context = TestContext::new();
    context.put("population.csv", crate::support::Month::of("CLIENT COUNTY\nTravis").bytes());
    let refused = context.run(&IMPORT).ended(1).stderr;
    assert!(refused.contains("has no header with a count and what it is by"), "{refused}");
    assert!(!refused.contains("Travis"), "{refused}");
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt;
    let context = context();
    context.run(&IMPORT).done();
    for name in context.tree().into_iter().filter(|name| name.starts_with("store/")) {
        let mode = std::fs::metadata(context.path(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
}
