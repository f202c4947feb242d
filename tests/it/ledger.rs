//! What is published is noted for good: the ledger, what would be published, and the evidence for the privacy officer.

use serde_json::Value;

use crate::attacks::{deliver, store_of};
use crate::planted::synthetic;
use crate::support::{PERIOD, TestContext};

const ASK: &str = "query coverage --store store --measure nis.mmr1 --format csv";

fn loaded() -> TestContext {
    let context = synthetic(20_000, 0.0);
    context.phds(&format!("load month.csv --period {PERIOD} --store store")).done();
    context
}

/// Rows of a table by their status.
fn rows_of(table: &str, status: &str) -> usize {
    table.lines().filter(|line| line.contains(&format!(",{status},"))).count()
}

#[test]
fn what_is_tried_is_not_noted_and_what_is_published_is_noted_once() {
    let context = loaded();
    let tried = context.phds(&format!("{ASK} --by region --audience public --dry-run")).done().text();
    assert!(tried.starts_with("coverage of nis.mmr1 by region, public: "), "{tried}");
    assert!(!context.path("store/ledger/000001.json").exists() && !context.path("store/releases").exists());
    let first = context.publish(&format!("{ASK} --by region,sex")).done().text();
    let again = context.publish(&format!("{ASK} --by region,sex")).done().text();
    assert_eq!(first, again);
    assert!(first.contains(",public\n") && !first.contains(",internal\n"));
    assert!(!context.phds(&format!("{ASK} --by region")).done().stderr.contains("rows are shown"));
    let listed: Value = serde_json::from_slice(&context.phds("ledger --store store --json").done().stdout).unwrap();
    let audiences: Vec<_> =
        listed.as_array().unwrap().iter().map(|entry| entry["audience"].as_str().unwrap()).collect();
    assert_eq!(audiences, ["public", "internal"]);
    assert!(listed[0].get("rows").is_none(), "counts are for the audit alone");
    let said = context.phds(&format!("{ASK} --by county")).done().stderr;
    assert!(said.contains("rows are shown: groups of more clients, such as regions, show more"), "{said}");
    let kept = context.json("store/ledger/000001.json");
    assert_eq!(kept["rows"].as_array().unwrap().len(), rows_of(&first, "shown") + rows_of(&first, "suppressed"));
}

#[test]
fn the_public_sees_neither_groups_of_one_kind_nor_organizations_nor_what_is_not_audited() {
    let context = loaded();
    for (ask, said) in [
        ("coverage --measure nis.mmr1 --by organization", "organizations"),
        ("coverage --measure nis.mmr1 --by county,zip", "do not nest"),
        ("curve --measure nis.mmr1 --by region", "`curve` is not for the public"),
        ("doses --by vaccine_group", "`doses` is not for the public"),
        ("missing --measure nis.4313314 --by region", "`missing` is not for the public"),
    ] {
        let outcome = context.publish(&format!("query {ask} --store store")).ended(1);
        assert!(outcome.stderr.contains(said), "{ask}: {}", outcome.stderr);
    }
    assert!(!context.path("store/ledger/000001.json").exists());
    let table = context.publish(&format!("{ASK} --by county")).done().text();
    assert_eq!(rows_of(&table, "zero"), 0);
    for line in table.lines().skip(1).filter(|line| !line.contains(",suppressed,")) {
        let fields: Vec<_> = line.rsplit(',').collect();
        assert_ne!(fields[6], fields[5], "everybody is counted: {line}");
    }
}

#[test]
fn the_evidence_names_the_rules_and_no_count() {
    let context = loaded();
    let nothing = context.phds("evidence --store store").done().text();
    assert!(nothing.contains("Nothing was published.") && nothing.contains("k = 11"));
    context.publish(&format!("{ASK} --by region,sex")).done();
    context.phds("evidence --store store --out evidence.md").done();
    let written = std::fs::read_to_string(context.path("evidence.md")).unwrap();
    assert!(written.contains("| 1 | 2024-12 | ") && written.contains("The chain of entries is whole."), "{written}");
    assert!(
        written.contains("The counts of 1 of 1 published tables are those of the month in the store."),
        "{written}"
    );
    for row in context.json("store/ledger/000001.json")["rows"].as_array().unwrap() {
        if let Some(count) = row["numerator"].as_u64().filter(|count| *count > 250) {
            assert!(!written.contains(&count.to_string()), "{count}");
        }
    }
}

/// What is done to a ledger.
type Damage = fn(&TestContext);

#[test]
fn an_altered_ledger_stops_releases() {
    let damages: [(&str, Damage); 5] = [
        ("an entry is gone", |context| std::fs::remove_file(context.path("store/ledger/000001.json")).unwrap()),
        ("an entry is other", |context| {
            let path = context.path("store/ledger/000001.json");
            let text = std::fs::read_to_string(&path).unwrap().replace("\"public\"", "\"internal\"");
            std::fs::write(path, text).unwrap();
        }),
        ("the last entry is other", |context| {
            let path = context.path("store/ledger/000002.json");
            let text = std::fs::read_to_string(&path).unwrap() + "\n";
            std::fs::write(path, text).unwrap();
        }),
        ("the head is gone", |context| std::fs::remove_file(context.path("store/ledger-head.json")).unwrap()),
        ("all of it is gone", |context| {
            std::fs::remove_dir_all(context.path("store/ledger")).unwrap();
            std::fs::remove_file(context.path("store/ledger-head.json")).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let context = loaded();
        for by in ["region", "birth_year"] {
            context.publish(&format!("{ASK} --by {by}")).done();
        }
        damage(&context);
        for audience in ["public", "internal"] {
            let ask = format!("{ASK} --by sex --audience {audience}");
            let outcome = context.phds(&format!("{ask} --out table.csv")).ended(1);
            assert!(outcome.stderr.contains("ledger") && outcome.stdout.is_empty(), "{what}: {}", outcome.stderr);
        }
        context.phds("ledger --store store").ended(1);
        if context.path("store/ledger").is_dir() {
            let outcome = context.phds("status --store store --check").ended(1);
            assert!(String::from_utf8_lossy(&outcome.stdout).contains("ledger"), "{what}");
        }
    }
}

/// A slip of the keyboard publishes nothing: a table for the public needs a file that can be written.
#[test]
fn what_is_published_has_a_place_first() {
    let context = loaded();
    for (out, said) in [
        ("", "a table for the public needs a file"),
        ("--out nowhere/t.csv", "there is no folder"),
        ("--out store", "is not a plain file"),
        ("--out release.json", "`release.json` ends in .json"),
    ] {
        let outcome = context.phds(&format!("{ASK} --by region --audience public {out}")).ended(2);
        assert!(outcome.stderr.contains(said) && outcome.stdout.is_empty(), "{out}: {}", outcome.stderr);
    }
    assert!(!context.path("store/ledger").exists() && !context.path("store/releases").exists());
}

#[test]
fn a_file_of_questions_is_published_when_every_table_has_a_place() {
    let context = loaded();
    let one = |name: &str, by: &str| {
        format!("[[release]]\nname = '{name}'\nindicator = 'coverage'\nmeasure = 'nis.mmr1'\nby = ['{by}']\n")
    };
    context.put("q.toml", format!("schema_version = 1\n{}{}", one("regions", "region"), one("sexes", "sex")));
    std::fs::create_dir(context.path("out")).unwrap();
    context.put("out/sexes", "a file in the way of a folder");
    let ask = "query q.toml --store store --audience public --out out";
    context.phds(ask).ended(3);
    assert!(!context.path("store/ledger/000001.json").exists() && !context.path("store/releases").exists());
    std::fs::remove_file(context.path("out/sexes")).unwrap();
    context.phds(ask).done();
    assert!(context.path("store/ledger/000002.json").exists() && context.path("out/sexes/table.csv").exists());
}

#[test]
fn a_table_without_a_row_to_show_is_not_published() {
    let context = loaded();
    // Nobody lives there; and by ZIP code, year and sex, all are few.
    for ask in ["--by birth_year --where zip=99999", "--by zip,birth_year,sex"] {
        let outcome = context.publish(&format!("{ASK} {ask}")).ended(1);
        assert!(outcome.stderr.contains("no row of this table can be published"), "{ask}: {}", outcome.stderr);
    }
    assert!(!context.path("store/ledger/000001.json").exists() && !context.path("store/releases").exists());
}

#[test]
fn what_has_changed_by_few_is_not_published_anew() {
    let context = loaded();
    context.phds(&format!("{ASK} --by region --audience public --out first.csv")).done();
    // The same month again, from a file that lacks its last rows: some clients fewer, in some regions few.
    let text = std::fs::read_to_string(context.path("month.csv")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    context.put("corrected.csv", &(lines[..lines.len() - 1500].join("\n") + "\n"));
    context.phds(&format!("load corrected.csv --period {PERIOD} --store store")).done();
    let second = context.publish(&format!("{ASK} --by region")).done().text();
    let first = std::fs::read_to_string(context.path("first.csv")).unwrap();
    let numbers = |text: &str| {
        let rows = text.lines().skip(1).map(|line| {
            let fields: Vec<_> = line.split(',').map(str::to_owned).collect();
            (fields[0].clone(), fields[2].parse::<i64>().ok().zip(fields[3].parse::<i64>().ok()))
        });
        rows.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (first, second) = (numbers(&first), numbers(&second));
    let mut withheld = 0;
    for (region, now) in second {
        let Some(((n, d), (m, e))) = now.zip(first[&region]) else {
            withheld += 1;
            continue;
        };
        for change in [n - m, d - e, (d - n) - (e - m)] {
            assert!(change == 0 || change.abs() >= 11, "{region}");
        }
    }
    assert!(withheld > 0);
}

/// So many in time of three counties, and 40, 50 and 60 who are not.
fn in_time(bell: u64, hays: u64, travis: u64) -> String {
    format!(
        "clients | CLIENT COUNTY | mmr
         {bell} a | Bell        | yes
         40 b     | Bell        | no
         {hays} c | Hays        | yes
         50 d     | Hays        | no
         {travis} e | Travis    | yes
         60 f     | Travis      | no"
    )
}

#[test]
fn whoever_publishes_a_corrected_month_is_told_why_rows_are_withheld_and_what_stands() {
    let by_county = format!("{ASK} --by county --audience public");
    let corrected = |bell, hays, travis| {
        let context = store_of(&[&in_time(40, 50, 60)]);
        std::fs::create_dir(context.path("first")).unwrap();
        context.phds(&format!("{by_county} --out first/table.csv")).done();
        deliver(&context, &in_time(bell, hays, travis), PERIOD);
        let id = context.json("first/release.json")["release_id"].as_str().unwrap().to_owned();
        (context, id)
    };
    // Six more of Bell and of Hays, twenty more of Travis.
    let (context, first) = corrected(46, 56, 80);
    let outlook = context.phds(&format!("{by_county} --dry-run")).done().text();
    assert!(outlook.contains("1 of 3 rows would be shown"), "{outlook}");
    assert!(outlook.contains("what was published of them stands until they have changed by more"), "{outlook}");
    let said = context.phds(&format!("{by_county} --out table.csv")).done().stderr;
    assert!(said.contains("rows have changed by few clients since they were published"), "{said}");
    assert!(said.contains(&format!("the numbers of that time stand (`store/releases/{first}`)")), "{said}");
    assert!(said.contains("tables of 2 files are published now"), "{said}");
    let caveat = |context: &TestContext| {
        let caveats = context.json("release.json")["caveats"].as_array().unwrap().clone();
        caveats.into_iter().find(|caveat| caveat.as_str().unwrap().starts_with("Rows that have changed"))
    };
    let sentence = format!(
        "Rows that have changed by 1 to 10 clients since they were published (release {first}) are suppressed, and so are \
         rows that would tell of such a change: their published numbers stand until they have changed by 11 or more."
    );
    assert_eq!(caveat(&context), Some(sentence.clone().into()));
    assert_eq!(context.json("release.json")["disclosure"]["beside"][0]["follows"], "change");
    let table = String::from_utf8(context.read("table.csv")).unwrap();
    assert_eq!([rows_of(&table, "suppressed"), rows_of(&table, "shown")], [2, 1], "{table}");
    // Told again with the table, and beneath one for people.
    let document = context.read("release.json");
    context.phds(&format!("{by_county} --out table.csv")).done();
    assert_eq!(context.read("release.json"), document);
    let printed = context.publish("query coverage --store store --measure nis.mmr1 --by county").done().text();
    assert!(printed.split_whitespace().collect::<Vec<_>>().join(" ").contains(&sentence), "{printed}");
    // In a file of questions, by name.
    context.put(
        "asks.toml",
        "schema_version = 1\n[[release]]\nname = 'mmr'\nindicator = 'coverage'\nmeasure = 'nis.mmr1'\nby = ['county']\n",
    );
    let said = context.phds("query asks.toml --store store --audience public --out out").done().stderr;
    assert!(said.contains("rows of `mmr` have changed by few clients"), "{said}");

    // Eleven more each: all is renewed, and nothing is said.
    let (context, _) = corrected(51, 61, 71);
    let said = context.phds(&format!("{by_county} --out table.csv")).done().stderr;
    assert!(!said.contains("changed"), "{said}");
    assert_eq!(caveat(&context), None);

    // Five more of Bell alone: with the others they would be told.
    let (context, first) = corrected(45, 50, 60);
    let said = context.phds(&format!("{by_county} --out table.csv")).ended(1).stderr;
    assert!(said.contains(&format!("the change since then would be few clients (release {first})")), "{said}");
    assert!(said.contains("hint: what was published stands"), "{said}");
}

/// Three clients who are not counted stand in another county than their ZIP code: by other rules they are no clients.
#[test]
fn a_month_that_is_read_by_other_rules_is_not_published_beside_what_was() {
    let context = store_of(&["clients | CLIENT COUNTY | ZIP CODE | mmr
         40 a | Bell   | 76501 | yes
         47 b | Bell   | 76501 | no
         3 c  | Bell   | 78701 | no
         50 d | Travis | 78701 | yes
         60 e | Travis | 78701 | no"]);
    let by_county = format!("{ASK} --by county");
    let first = context.publish(&by_county).done().text();
    assert!(first.contains("Bell,nis.mmr1,40,90,"), "{first}");
    context.put("phds.toml", "[check.severity.PHDS-R09]\nseverity = 'reject'\nreason = 'the county decides'\n");
    context.phds("load --again --store store").done();
    let now = context.phds(&by_county).done().text();
    assert!(now.contains("Bell,nis.mmr1,40,87,"), "{now}");
    for ask in [&by_county, &format!("{ASK} --by sex")] {
        let refused = context.phds(&format!("{ask} --audience public --dry-run")).ended(1).stderr;
        assert!(refused.contains("the month 2024-12 gives other counts than when release"), "{refused}");
        assert!(refused.contains("the dictionary, rules and measures of that time"), "{refused}");
    }
    std::fs::remove_file(context.path("phds.toml")).unwrap();
    context.phds("load --again --store store").done();
    assert_eq!(context.publish(&by_county).done().text(), first);
}

/// No estimate has people of an unknown sex; clients there are, and nothing is told of them.
#[test]
fn a_population_without_a_label_of_the_month_stands_in_nobodys_way() {
    let context = store_of(&["clients | SEX CODE | BIRTH DATE | mmr
         90 a | F | 2021-06-15 | yes
         60 b | F | 2021-06-15 | no
         80 c | M | 2021-06-15 | yes
         70 d | M | 2021-06-15 | no
         20 e |   | 2021-06-15 | yes
         30 f |   | 2021-06-15 | no"]);
    context.put("people.csv", "birth_year,sex,count\n2021,Female,900\n2021,Male,1000\n");
    context.phds("population import people.csv --name est --source Invented --store store").done();
    let by_sex = format!("{ASK} --by sex --denominator population:est");
    let first = context.publish(&by_sex).done().text();
    assert!(first.contains("Unknown,nis.mmr1,,,,,,not_applicable,public"), "{first}");
    assert_eq!(context.publish(&by_sex).done().text(), first);
    context.phds(&format!("{ASK} --by birth_year --audience public --dry-run")).done();
}

const KNOW: &str = "ledger know coverage --store store --measure nis.mmr1";

#[test]
fn a_table_of_others_is_noted_once_with_its_source_and_no_number_is_told() {
    let context = loaded();
    context.phds(&format!("{KNOW} --by county")).ended(2);
    context.run(&["ledger", "know", "coverage", "--measure", "nis.mmr1", "--store", "store", "--source", " "]).ended(2);
    let source = "State dashboard, of 2025-02 | page 3";
    let words = format!("{KNOW} --by county --source");
    let words: Vec<&str> = words.split_whitespace().chain([source]).collect();
    let first = context.run(&words).done();
    let again = context.run(&words).done();
    assert!(first.stderr.contains("coverage of nis.mmr1 by county") && first.stdout.is_empty(), "{}", first.stderr);
    assert!(again.stderr.contains("was noted as known before"), "{}", again.stderr);
    assert!(!context.path("store/ledger/000002.json").exists() && !context.path("store/releases").exists());

    // All of its numbers are in the ledger, and nowhere else.
    let kept = context.json("store/ledger/000001.json");
    let rows = kept["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["denominator"].as_u64().is_some_and(|clients| (1..11).contains(&clients))));
    let listed = context.phds("ledger --store store").done().text();
    assert!(listed.contains(" known ") && listed.contains(source), "{listed}");
    assert!(listed.contains("0 releases, 0 of them public, and 1 table known from elsewhere"), "{listed}");
    let json: Value = serde_json::from_slice(&context.phds("ledger --store store --json").done().stdout).unwrap();
    assert_eq!(json[0]["source"], source);
    assert!(json[0].get("rows").is_none() && json[0].get("totals").is_none());
    let evidence = context.phds("evidence --store store").done().text();
    assert!(evidence.contains("Nothing was published."));
    assert!(evidence.contains("| State dashboard, of 2025-02   page 3 |"), "{evidence}");
    let largest = rows.iter().filter_map(|row| row["denominator"].as_u64()).max().unwrap().to_string();
    for text in [&first.stderr, &listed, &evidence] {
        assert!(!text.contains(&format!(" {largest} ")), "{text}");
    }
}

#[test]
fn what_cannot_be_known_is_not_noted() {
    let context = loaded();
    for (words, code, said) in [
        ("coverage --measure nis.nothing --by county", 2, "nis.nothing"),
        ("coverage --measure nis.mmr1 --by county --period 2019-01", 2, "2019-01"),
        ("guess --measure nis.mmr1", 2, "one of coverage"),
        ("doses --by county", 1, "no release can be held to such a table"),
        ("curve --measure nis.mmr1 --by county", 1, "no release can be held to such a table"),
        ("coverage --measure nis.mmr1 --where zip=99999", 1, "nobody is in this table"),
    ] {
        let outcome = context.phds(&format!("ledger know {words} --store store --source State")).ended(code);
        assert!(outcome.stderr.contains(said), "{words}: {}", outcome.stderr);
    }
    assert!(!context.path("store/ledger/000001.json").exists());
}

#[test]
fn a_table_of_others_is_an_entry_that_can_be_lost() {
    let context = loaded();
    context.publish(&format!("{ASK} --by region")).done();
    // Nothing follows from the same numbers.
    context.phds(&format!("{KNOW} --by region --source State")).done();
    assert_eq!(context.json("store/ledger/000002.json")["source"], "State");
    std::fs::remove_file(context.path("store/ledger/000002.json")).unwrap();
    for words in [format!("{KNOW} --by sex --source State"), format!("{ASK} --by sex --audience public --dry-run")] {
        assert!(context.phds(&words).ended(1).stderr.contains("ledger"));
    }
}

#[test]
fn a_series_does_not_go_on_with_tables_of_others() {
    let context = loaded();
    context.phds(&format!("{KNOW} --by sex --source State")).done();
    context.put("later.csv", [context.read("month.csv"), b"\n".to_vec()].concat());
    context.phds("load later.csv --period 2025-01 --store store").done();
    let table = context.publish(&format!("{ASK} --by region --period 2025-01")).done().text();
    assert!(rows_of(&table, "shown") > 0);
}

/// What was published with some counties, or with some counts of people, is audited with those.
#[test]
fn what_a_published_denominator_means_stays() {
    let context = loaded();
    let settings = |counties: &str| context.put("phds.toml", format!("[query]\ncounties = {counties}\n"));
    settings("['Travis', 'Harris', 'Dallas']");
    let years = (2005..=2024).map(|year| format!("{year},30000")).collect::<Vec<_>>().join("\n");
    let import = |name: &str, more: &str| {
        context.put("births.csv", format!("birth_year,count\n{years}\n{more}"));
        context.phds(&format!("population import births.csv --name {name} --source Invented --store store"))
    };
    import("births", "").done();
    let publish = |ask: &str| context.publish(&format!("{ASK} {ask}"));
    publish("--by sex --denominator resident").done();
    publish("--by birth_year --denominator population:births").done();
    let first = context.json("store/ledger/000001.json");
    assert_eq!(first["question"]["counties"], serde_json::json!(["Dallas", "Harris", "Travis"]));

    import("births", "").done();
    let said = import("births", "2025,1\n").ended(1).stderr;
    assert!(said.contains("1 table in the ledger was made with the counts of `births`"), "{said}");
    import("births-2", "2025,1\n").done();

    settings("['Travis', 'Harris', 'Dallas', 'Bexar']");
    publish("--by region").done();
    settings("[]");
    context.phds("evidence --store store").done();
    let asked = context.phds(&format!("{ASK} --denominator resident")).ended(2).stderr;
    assert!(asked.contains("needs the counties of the department"), "{asked}");
}
