//! `--coarsen`: a coarser table in place of one of which too little could be shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::attacks::{deliver, is_refusal, publish, query, shown, store_of};
use crate::support::TestContext;

const BY_COUNTY: &str = "coverage --measure nis.mmr1 --by county";

/// Travis, Bell and Hays are of region 7, the others of region 8. Only Travis can be shown: 40 of 118 clients.
const SMALL: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    20 a    | Travis        | F        | yes
    20 b    | Travis        | M        | no
    7 c     | Bell          | F        | yes
    9 d     | Bell          | F        | no
    8 e     | Hays          | M        | yes
    7 f     | Hays          | M        | no
    9 g     | Comal         | F        | yes
    8 h     | Comal         | F        | no
    6 i     | Kendall       | M        | yes
    9 j     | Kendall       | M        | no
    8 k     | Medina        | F        | yes
    7 l     | Medina        | M        | no";

/// The same counties, each large enough.
const LARGE: &str = "
    clients | CLIENT COUNTY | SEX CODE | mmr
    40 a    | Travis        | F        | yes
    40 b    | Travis        | M        | no
    40 c    | Bell          | F        | yes
    30 d    | Bell          | F        | no
    30 e    | Hays          | M        | yes
    30 f    | Hays          | M        | no
    50 g    | Comal         | F        | yes
    50 h    | Comal         | M        | no
    60 i    | Kendall       | M        | yes
    60 j    | Kendall       | F        | no
    70 k    | Medina        | F        | yes
    70 l    | Medina        | M        | no";

/// Three counties of region 7 and three of region 8, each with a ZIP code: of girls and of boys, so many in time and as many not.
pub fn alike(girls: u64, boys: u64) -> String {
    let counties = [
        ("Travis", "78701"),
        ("Bell", "76501"),
        ("Hays", "78610"),
        ("Comal", "78130"),
        ("Kendall", "78006"),
        ("Medina", "78861"),
    ];
    let mut text = "clients | CLIENT COUNTY | ZIP CODE | SEX CODE | mmr\n".to_owned();
    for (county, zip) in counties {
        for (count, sex) in [(girls, "F"), (boys, "M")] {
            for mmr in ["yes", "no"] {
                writeln!(text, "{count} {county}{sex}{mmr} | {county} | {zip} | {sex} | {mmr}").unwrap();
            }
        }
    }
    text
}

/// A table that is published as `name.csv`, and its description.
#[track_caller]
fn published(context: &TestContext, ask: &str, name: &str) -> (Vec<u8>, Value) {
    context.put(&format!("{name}/.keep"), "");
    query(context, ask, &format!("--audience public --out {name}/table.csv")).done();
    (context.read(&format!("{name}/table.csv")), context.json(&format!("{name}/release.json")))
}

fn ledger(context: &TestContext) -> Vec<Value> {
    let listed = context.phds("ledger --store store --json").done().stdout;
    serde_json::from_slice(&listed).unwrap()
}

#[test]
fn small_counties_become_regions() {
    let context = store_of(&[SMALL]);
    let ask = format!("{BY_COUNTY} --coarsen");
    let outlook = query(&context, &ask, "--audience public --dry-run").done().text();
    insta::assert_snapshot!(outlook, @"
    coverage of nis.mmr1 by region, public: 2 of 2 rows would be shown
      coarsened; by county: less than 50 % of the clients would be in shown rows
    ");
    assert!(!context.path("store/ledger/000001.json").exists());
    let outcome = query(&context, &ask, "--audience public --out table.csv").done();
    insta::assert_snapshot!(context.filtered(&outcome.stderr), @"
    coarsened: by region (by county: less than 50 % of the clients would be in shown rows)
    table.csv and release.json

    next: phds plot table.csv --kind bar --out table.svg
    ");
    let counts = |n: u64, d: u64| Some([("numerator".to_owned(), n), ("denominator".to_owned(), d)].into());
    let table = shown(&context.read("table.csv"));
    assert_eq!(table, [("7".to_owned(), counts(35, 71)), ("8".to_owned(), counts(23, 47))].into());
    let document = context.json("release.json");
    let finer = json!([{"dimensions": ["county"], "because": "less than 50 % of the clients would be in shown rows"}]);
    assert_eq!(document["coarsened_from"], finer);
    assert_eq!(document["dimensions"][0]["id"], "region");
    assert!(document["caveats"].to_string().contains("Coarsened"), "{}", document["caveats"]);
    let entries = ledger(&context);
    assert_eq!(entries.len(), 1, "only what was published");
    assert_eq!((&entries[0]["question"]["by"], &entries[0]["coarsened_from"]), (&json!(["region"]), &finer));
    assert_eq!(std::fs::read_dir(context.path("store/releases")).unwrap().count(), 1);
    let evidence = context.phds("evidence --store store").done().text();
    assert!(evidence.contains("coverage of nis.mmr1 by region, as of 2024-12-31, coarsened from county"), "{evidence}");
}

/// Region 7 is Travis and the seven clients of Bell: beside Travis, which the table by county would have shown, it would tell
/// of them.
#[test]
fn no_coarser_table_gives_way_to_the_finer_one_that_is_not_published() {
    let context = store_of(&["
        clients | CLIENT COUNTY | mmr
        20 a    | Travis        | yes
        20 b    | Travis        | no
        4 c     | Bell          | yes
        3 d     | Bell          | no
        9 e     | Comal         | yes
        8 f     | Comal         | no
        9 g     | Kendall       | yes
        9 h     | Kendall       | no
        9 i     | Medina        | yes
        9 j     | Medina        | no"]);
    let (table, document) = published(&context, &format!("{BY_COUNTY} --coarsen"), "t");
    assert_eq!(document["coarsened_from"][0]["dimensions"], json!(["county"]));
    let counts = |n: u64, d: u64| Some([("numerator".to_owned(), n), ("denominator".to_owned(), d)].into());
    assert_eq!(shown(&table), [("7".to_owned(), counts(24, 47)), ("8".to_owned(), counts(27, 53))].into());
}

#[test]
fn what_shows_enough_stays_as_it_was_asked() {
    let [plain, coarsened] =
        [BY_COUNTY.to_owned(), format!("{BY_COUNTY} --coarsen")].map(|ask| published(&store_of(&[LARGE]), &ask, "t"));
    assert_eq!(plain, coarsened);
    assert!(plain.1.get("coarsened_from").is_none());
}

#[test]
fn a_coarsened_table_is_the_one_that_is_asked_for() {
    // What was tried before leaves no trace in what comes after it.
    let file = |first: &str| {
        format!(
            "schema_version = 1
            [[release]]
            name = 'first'
            indicator = 'coverage'
            measure = 'nis.mmr1'
            by = {first}
            [[release]]
            name = 'second'
            indicator = 'coverage'
            measure = 'nis.mmr1'
            by = ['sex', 'region']"
        )
    };
    let answers = ["['county']\ncoarsen = true", "['region']"].map(|first| {
        let context = store_of(&[&alike(4, 4)]);
        context.put("asks.toml", file(first));
        context.phds("query asks.toml --store store --out out --audience public").done();
        let tables = ["first", "second"].map(|name| context.read(&format!("out/{name}/table.csv")));
        let mut entries = ledger(&context);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].get("coarsened_from").is_some(), first.contains("coarsen"));
        for entry in &mut entries {
            let entry = entry.as_object_mut().unwrap();
            entry.retain(|key, _| !["coarsened_from", "release_id", "previous_sha256"].contains(&key.as_str()));
        }
        (tables, entries)
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_coarsened_table_that_is_repeated_is_the_same() {
    let context = store_of(&[SMALL]);
    let ask = format!("{BY_COUNTY} --coarsen");
    let first = published(&context, &ask, "first");
    assert_eq!(published(&context, &ask, "again"), first);
    // Also when something else was published meanwhile.
    published(&context, "coverage --measure nis.mmr1 --by sex", "sex");
    assert_eq!(published(&context, &ask, "later"), first);
    assert_eq!(ledger(&context).len(), 2);
}

/// Comal is small, and Travis goes with it: the description says so each time.
#[test]
fn what_stands_beside_a_table_is_told_again() {
    let context = store_of(&["
        clients | CLIENT COUNTY | mmr
        40 a    | Bell          | yes
        40 b    | Bell          | no
        30 c    | Hays          | yes
        30 d    | Hays          | no
        20 e    | Travis        | yes
        20 f    | Travis        | no
        5 g     | Comal         | yes
        2 h     | Comal         | no"]);
    let first = published(&context, BY_COUNTY, "first");
    assert_eq!(first.1["disclosure"]["beside"][0]["release_id"], first.1["release_id"]);
    assert_eq!(published(&context, BY_COUNTY, "again"), first);
    assert_eq!(ledger(&context).len(), 1);
}

#[test]
fn one_dimension_gives_way_after_the_other() {
    let way = |by: &str| {
        let ask = format!("coverage --measure nis.mmr1 --by {by} --coarsen");
        let (_, document) = published(&store_of(&[&alike(4, 4)]), &ask, "t");
        let finer = document["coarsened_from"].as_array().unwrap().iter().map(|note| note["dimensions"].to_string());
        let last = document["dimensions"].as_array().unwrap().iter().map(|dimension| dimension["id"].clone());
        finer.chain([Value::Array(last.collect()).to_string()]).collect::<Vec<_>>().join(" ")
    };
    // Counties are more than sexes.
    assert_eq!(way("county,sex"), r#"["county","sex"] ["region","sex"]"#);
    // No list has all ZIP codes.
    assert_eq!(way("sex,zip"), r#"["sex","zip"] ["sex","region"]"#);
    // Ages are few; with them, too, the county gives way.
    assert_eq!(way("age,county"), r#"["age","county"] ["age","region"]"#);
    // The region is in the table already.
    assert_eq!(way("county,region"), r#"["county","region"] ["region"]"#);
    // All are of one quarter, so of one year: by both dimensions of them and by sex, the county gives way alone.
    assert_eq!(way("birth_quarter,county"), r#"["birth_quarter","county"] ["birth_quarter","region"]"#);
}

#[test]
fn a_coarsened_table_by_age_is_found_again() {
    let context = store_of(&[&alike(4, 4)]);
    let ask = "coverage --measure nis.mmr1 --by county,age --coarsen";
    let first = published(&context, ask, "first");
    assert_eq!(first.1["labels"], json!(["region", "age"]));
    // The ledger has it by year of birth.
    assert_eq!(ledger(&context)[0]["question"]["by"], json!(["region", "birth_year"]));
    published(&context, "coverage --measure nis.mmr1 --by sex", "other");
    assert_eq!(published(&context, ask, "again"), first);
    assert_eq!(ledger(&context).len(), 2);
}

#[test]
fn a_table_is_refused_when_the_coarsest_is() {
    let few = "
        clients | CLIENT COUNTY | mmr
        5 a     | Travis        | yes
        60 b    | Travis        | no
        4 c     | Comal         | yes
        60 d    | Comal         | no";
    let context = store_of(&[few]);
    let outcome = query(&context, &format!("{BY_COUNTY} --coarsen"), "--audience public");
    is_refusal(&outcome);
    insta::assert_snapshot!(outcome.stderr, @"
    error: no row of this table can be published: its rows are of small counts, or there is nobody in it; neither can the coarser tables (by region; of all together)

    hint: publish coarse tables before fine ones, or ask without the filter
    ");
    assert!(!context.path("store/ledger/000001.json").exists() && !context.path("store/releases").exists());
}

/// Of each county four boys are in time and four are not; of each region twelve.
#[test]
fn the_release_that_stands_in_the_way_is_named() {
    let context = store_of(&[&alike(20, 4)]);
    let (_, girls) = published(&context, &format!("{BY_COUNTY} --where sex=F"), "girls");
    let (table, all) = published(&context, &format!("{BY_COUNTY} --coarsen"), "all");
    assert_eq!(shown(&table).values().flatten().count(), 2);
    let beside = &all["coarsened_from"][0]["beside"][0];
    assert_eq!(beside["release_id"], girls["release_id"]);
    assert_eq!(beside["follows"], "difference");
    assert_eq!(beside["otherwise"], "the difference of two rows would be few clients");
}

#[test]
fn months_have_the_same_coarser_table() {
    let context = store_of(&[SMALL]);
    let ask = format!("{BY_COUNTY} --coarsen");
    let (_, first) = published(&context, &ask, "first");
    // The counties have grown, and could be shown now; the month before has regions.
    deliver(&context, LARGE, "2025-01");
    let (table, second) = published(&context, &format!("2025-01: {ask}"), "second");
    assert_eq!(shown(&table).len(), 2);
    assert_eq!([&first, &second].map(|document| &document["dimensions"][0]["id"]), ["region", "region"]);
    let because = &second["coarsened_from"][0]["because"];
    assert_eq!(because, "other tables were published of 2024-12, and not this one");
}

#[test]
fn coarsening_is_for_the_public_and_for_shares() {
    let context = store_of(&[SMALL]);
    let said = |ask: &str, further: &str| query(&context, ask, further).ended(2).stderr;
    insta::assert_snapshot!(said(&format!("{BY_COUNTY} --coarsen"), ""), @"
    error: `--coarsen` is for tables for the public

    hint: add `--audience public`, or leave it away: the staff see what is small in a table
    ");
    // A file of questions serves the staff, too.
    context.put(
        "questions.toml",
        "schema_version = 1\n[[release]]\nname = \"a\"\nindicator = \"coverage\"\nmeasure = \"nis.mmr1\"\nby = [\"organization\"]\ncoarsen = true\n",
    );
    context.phds("query questions.toml --store store --out for-the-staff").done();
    let standardized = format!("{BY_COUNTY},sex --standardize sex --coarsen");
    insta::assert_snapshot!(said(&standardized, "--audience public --dry-run"), @"
    error: `--coarsen` is for plain shares of clients

    hint: leave `--coarsen` away, or ask coverage, late, on-time, dropout, potential, missed or one-visit
    ");
}

/// Whoever runs the program on every month that could be behind a coarsened table keeps enough of them: the fact that it was
/// coarsened tells of no county how many are counted there.
#[test]
fn other_months_would_be_coarsened_alike() {
    let published = |yes: u64, no: u64| {
        let rows = format!(
            "clients | CLIENT COUNTY | mmr
             {yes} a | Bell          | yes
             {no} b  | Bell          | no
             {} c    | Hays          | yes
             {} d    | Hays          | no
             9 e     | Comal         | yes
             8 f     | Comal         | no
             8 g     | Kendall       | yes
             9 h     | Kendall       | no
             9 i     | Medina        | yes
             7 j     | Medina        | no",
            26 - yes,
            26 - no
        );
        let context = store_of(&[&rows]);
        let table = publish(&context, &format!("{BY_COUNTY} --coarsen"))?;
        let entry = context.json("store/ledger/000001.json");
        Some((table, entry["question"].clone(), entry["coarsened_from"].clone()))
    };
    let mut alike: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for (yes, no) in [1, 4, 9, 10, 11, 13, 15, 16, 21].into_iter().flat_map(|yes| [2, 7, 13, 16].map(|no| (yes, no))) {
        alike.entry(format!("{:?}", published(yes, no))).or_default().push((yes, no));
    }
    // Where Bell and Hays are both large, they have half of the clients and are shown.
    let (coarsened, others): (Vec<_>, Vec<_>) = alike.iter().partition(|(seen, _)| seen.contains("because"));
    assert!(!coarsened.is_empty() && !others.is_empty(), "{alike:?}");
    for (seen, months) in coarsened {
        let values = |of: fn(&(u64, u64)) -> u64| months.iter().map(of).collect::<BTreeSet<_>>();
        for values in [values(|month| month.0), values(|month| month.1), values(|month| month.0 + month.1)] {
            assert!(values.len() >= 3 && values.last().is_some_and(|most| *most >= 11), "{seen}: {values:?}");
        }
    }
}
