//! `phds query FILE --keep-going`: a question that is refused to the public is left out, and the others are published.

use std::collections::BTreeMap;

use crate::attacks::store_of;
use crate::coarsen::alike;
use crate::support::{Outcome, TestContext};

/// Three questions; of each county eight are in time and eight are not, which is too few.
const THREE: [(&str, &str); 3] = [("sexes", "sex"), ("counties", "county"), ("regions", "region', 'sex")];

fn file_of(questions: &[(&str, &str)]) -> String {
    let one = |(name, by): &(&str, &str)| {
        format!("[[release]]\nname = '{name}'\nindicator = 'coverage'\nmeasure = 'nis.mmr1'\nby = ['{by}']\n")
    };
    format!("schema_version = 1\n{}", questions.iter().map(one).collect::<String>())
}

fn asked(questions: &[(&str, &str)], further: &str) -> (TestContext, Outcome) {
    let context = store_of(&[&alike(4, 4)]);
    context.put("asks.toml", file_of(questions));
    let outcome = context.phds(&format!("query asks.toml --store store {further}"));
    (context, outcome)
}

/// Everything that a run for the public leaves: its folder, and what the store keeps of it.
fn left(context: &TestContext) -> BTreeMap<String, Vec<u8>> {
    let is_left = |name: &String| ["out/", "store/ledger", "store/releases"].iter().any(|room| name.starts_with(room));
    let names = context.tree().into_iter().filter(is_left);
    names.map(|name| (name.clone(), if name.ends_with('/') { Vec::new() } else { context.read(&name) })).collect()
}

const PUBLIC: &str = "--audience public --out out";

#[test]
fn what_passes_is_published_as_if_the_refused_question_had_not_been_asked() {
    let (context, outcome) = asked(&THREE, &format!("{PUBLIC} --keep-going"));
    insta::assert_snapshot!(context.filtered(&outcome.ended(1).stderr), @r"
    left out: release `counties`: no row of this table can be published: its rows are of small counts, or there is nobody in it
    hint: ask with fewer dimensions, wider ones (region, birth_year), or without the filter
    2 releases in out

    next: phds plot out/sexes --kind bar --out sexes.svg
    error: 1 question of 3 was refused and left out

    hint: the lines above say why: ask otherwise, or take it out of the file
    ");
    let (other, outcome) = asked(&[THREE[0], THREE[2]], PUBLIC);
    outcome.done();
    let published = left(&other);
    assert_eq!(left(&context), published);
    for name in ["out/sexes/table.csv", "out/regions/release.json", "store/ledger/000002.json"] {
        assert!(published.contains_key(name), "{name}: {:?}", published.keys());
    }
    // Without it, nothing is published.
    let (context, outcome) = asked(&THREE, PUBLIC);
    assert!(outcome.ended(1).stderr.starts_with("error: release `counties`: "));
    assert!(!context.path("out").exists() && !context.path("store/ledger/000001.json").exists());
}

/// What was published before the run counts for it, and what it has published counts for what comes later.
#[test]
fn what_passes_is_held_to_the_ledger() {
    let run = |questions: &[(&str, &str)], further: &str, code: i32| {
        let context = store_of(&[&alike(4, 4)]);
        for (name, questions, further, code) in [
            ("before", &[("together", "birth_year")][..], "", 0),
            ("now", questions, further, code),
            ("after", &[("regions", "region")], "", 0),
        ] {
            context.put("asks.toml", file_of(questions));
            let ask = format!("query asks.toml --store store --audience public --out out/{name} {further}");
            context.phds(&ask).ended(code);
        }
        left(&context)
    };
    assert_eq!(run(&THREE, "--keep-going", 1), run(&[THREE[0], THREE[2]], "", 0));
}

#[test]
fn a_dry_run_tells_what_would_pass_and_notes_nothing() {
    let dry = "--audience public --dry-run";
    let (context, outcome) = asked(&THREE, &format!("{dry} --keep-going"));
    let outcome = outcome.ended(1);
    assert!(outcome.stderr.starts_with("left out: release `counties`: "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("error: 1 question of 3 was refused and left out"), "{}", outcome.stderr);
    let (_, other) = asked(&[THREE[0], THREE[2]], dry);
    assert_eq!(outcome.text(), other.done().text());
    assert!(!context.path("store/ledger/000001.json").exists() && !context.path("store/releases").exists());
}

#[test]
fn where_nothing_passes_nothing_is_written() {
    let (context, outcome) = asked(&[THREE[1], ("zips", "zip")], &format!("{PUBLIC} --keep-going"));
    assert!(outcome.ended(1).stderr.contains("error: 2 questions of 2 were refused and left out"));
    assert!(!context.path("out").exists() && !context.path("store/ledger/000001.json").exists());
}

/// What cannot be asked is no refusal, and of the staff none is refused.
#[test]
fn a_mistake_ends_the_run_all_the_same() {
    let (context, outcome) = asked(&[THREE[0], ("wrong", "nothing")], &format!("{PUBLIC} --keep-going"));
    assert!(outcome.ended(2).stderr.contains("release `wrong`: "));
    assert!(!context.path("out").exists() && !context.path("store/ledger/000001.json").exists());
    let (_, outcome) = asked(&THREE, "--out out --keep-going");
    assert!(outcome.ended(2).stderr.contains("`--keep-going` is for tables for the public"));
}
