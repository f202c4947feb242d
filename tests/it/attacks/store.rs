//! 21: side channels. What is left beside the tables: messages, files, sizes, and the ledger in somebody's hands.

use regex::Regex;

use super::{COVERAGE, SMALL_COUNTY, THREE_BOYS, file_of, is_refusal, publish, query, store_of};
use crate::support::{Outcome, TestContext};

/// Of a file of questions of which one is refused, nothing is written, and nothing is noted.
#[test]
fn a_refused_run_leaves_nothing() {
    let context = store_of(&[THREE_BOYS]);
    context.put("asks.toml", file_of(&["coverage --measure nis.mmr1 --by county", "doses --by county"]));
    let before = context.tree();
    for further in ["", "--dry-run"] {
        is_refusal(&context.phds(&format!("query asks.toml --store store --out out --audience public {further}")));
        let written =
            context.tree().into_iter().filter(|name| !before.contains(name) && !name.starts_with("store/ledger/."));
        assert_eq!(written.collect::<Vec<_>>(), ["store/ledger/"]);
    }
}

/// Five of Comal or four of them: whatever is printed or written is the same, but for the file's own name and number.
#[test]
fn a_hidden_value_leaves_no_trace() {
    let trace = |text: &str| {
        let context = store_of(&[text]);
        let mut trace = Vec::new();
        let mut note = |what: &str, outcome: Outcome| {
            let known = Regex::new(r"[0-9a-f]{64}|[0-9a-f]{16}").unwrap();
            // Where the lines under a figure end depends on how wide the letters of an id are.
            let line = Regex::new(r#"</text><text class="soft" x="0" y="[0-9.]+" font-size="10">"#).unwrap();
            let clean = |text: &str| line.replace_all(&known.replace_all(text, "[id]"), " ").into_owned();
            trace.push((what.to_owned(), outcome.code, clean(&outcome.text()), clean(&outcome.stderr)));
        };
        for ask in
            ["--by county", "--by county,sex", "--by birth_year --where county=Comal", "--by county --where sex=F"]
        {
            for further in
                ["--dry-run", "", "--format json", "--format table", "--audience public --dry-run", "--audience public"]
            {
                let words = format!("query coverage --measure nis.mmr1 {ask} --store store --format csv {further}");
                let words = if further.contains("--format") { words.replace(" --format csv", "") } else { words };
                let asked = match further {
                    "--audience public" => query(&context, &format!("coverage --measure nis.mmr1 {ask}"), further),
                    _ => context.phds(&words),
                };
                note(&format!("{ask} {further}"), asked);
            }
        }
        note("file", query(&context, "coverage --measure nis.mmr1 --by county", "--out t.csv"));
        note("figure", context.phds("plot t.csv --kind bar"));
        note("map", context.phds("plot t.csv --kind map"));
        let files = context
            .tree()
            .into_iter()
            .filter(|name| name == "t.csv" || (name.starts_with("store/releases/") && name.ends_with("/table.csv")));
        let mut files: Vec<_> = files.map(|name| context.read(&name)).collect();
        files.sort();
        (trace, files)
    };
    let other = SMALL_COUNTY.replace("5 g ", "4 g ").replace("2 h ", "3 h ");
    assert_ne!(other, SMALL_COUNTY);
    let (one, two) = (trace(SMALL_COUNTY), trace(&other));
    for (one, two) in one.0.iter().zip(&two.0) {
        assert_eq!(one, two);
    }
    assert_eq!(one.1, two.1);
}

/// Which file the message then names, and what somebody does to the ledger or to a release.
type Deed<'a> = (&'a str, &'a dyn Fn(&TestContext));

/// Two tables are published.
#[test]
fn whoever_touches_the_ledger_stops_all_releases() {
    let remove = |context: &TestContext, name: &str| {
        let path = context.path(name);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    };
    let replace = |context: &TestContext, name: &str, from: &str, to: &str| {
        let text = String::from_utf8(context.read(name)).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        context.put(name, text.replace(from, to));
    };
    let deeds: [Deed; 11] = [
        ("000001.json", &|context| remove(context, "store/ledger/000001.json")),
        ("000002.json", &|context| remove(context, "store/ledger/000002.json")),
        ("000001.json", &|context| remove(context, "store/ledger")),
        ("ledger-head.json", &|context| remove(context, "store/ledger-head.json")),
        ("ledger-head.json", &|context| drop(context.put("store/ledger-head.json", "{}"))),
        ("ledger-head.json", &|context| drop(context.put("store/ledger-head.json", ""))),
        ("000002.json", &|context| replace(context, "store/ledger/000001.json", "Hays", "Bell")),
        ("000002.json", &|context| replace(context, "store/ledger/000001.json", "\"public\"", "\"internal\"")),
        ("000002.json", &|context| replace(context, "store/ledger/000002.json", "\"public\"", "\"internal\"")),
        ("release.json", &|context| {
            remove(context, "store/ledger");
            remove(context, "store/ledger-head.json");
        }),
        // The state before the second table, as from an old backup.
        ("release.json", &|context| {
            let first = context.read("store/ledger/000001.json");
            remove(context, "store/ledger/000002.json");
            let head = format!("{{\"entries\": 1, \"sha256\": \"{}\"}}", phds::fs::sha256_hex(&first));
            context.put("store/ledger-head.json", head);
        }),
    ];
    for (at, (named, deed)) in deeds.iter().enumerate() {
        let context = store_of(&[THREE_BOYS]);
        for by in ["county", "sex"] {
            publish(&context, &format!("{COVERAGE} {by}")).unwrap();
        }
        deed(&context);
        for further in ["--audience public", "", "--audience public --dry-run"] {
            let outcome = query(&context, "coverage --measure nis.mmr1 --by birth_year", further);
            assert_eq!((outcome.code, outcome.text().as_str()), (Some(1), ""), "{at}: {further}");
            assert!(outcome.stderr.contains(named) && outcome.stderr.contains("ledger"), "{at}: {}", outcome.stderr);
        }
    }
}

#[test]
fn the_size_of_the_file() {
    let size = |text: &str| {
        let context = store_of(&[text]);
        query(&context, "coverage --measure nis.mmr1 --by county", "--audience public --out t.csv").done();
        context.json("release.json")["delivery"]["bytes"].clone()
    };
    assert_eq!(size(SMALL_COUNTY), size(&SMALL_COUNTY.replace("5 g ", "4 g ")));
}

#[test]
fn an_internal_release_made_public_by_hand() {
    let context = store_of(&[THREE_BOYS]);
    query(&context, "coverage --measure nis.mmr1 --by county,sex", "--out t.csv").done();
    let releases = context.tree().into_iter().filter(|name| name.ends_with("release.json"));
    for name in releases.chain(["t.csv".to_owned()]).collect::<Vec<_>>() {
        let text = String::from_utf8(context.read(&name)).unwrap();
        context.put(&name, text.replace("internal", "public").replace("INTERNAL", "PUBLIC"));
    }
    let later = query(&context, "coverage --measure nis.mmr1 --by county", "--audience public");
    assert_eq!(later.code, Some(1));
}

#[test]
fn entries_that_are_added_or_forgotten() {
    let published = || {
        let context = store_of(&[THREE_BOYS]);
        publish(&context, "coverage --measure nis.mmr1 --by county").unwrap();
        context
    };
    let added = published();
    added.put("store/ledger/000009.json", added.read("store/ledger/000001.json"));
    let forgotten = published();
    std::fs::remove_file(forgotten.path("store/ledger-head.json")).unwrap();
    std::fs::remove_dir_all(forgotten.path("store/releases")).unwrap();
    let codes = [added, forgotten]
        .map(|context| query(&context, "coverage --measure nis.mmr1 --by sex", "--audience public").code);
    assert_eq!(codes, [Some(1); 2]);
}
