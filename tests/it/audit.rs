//! `phds audit`: what can be computed of suppressed counts.

use std::collections::BTreeMap;
use std::time::Duration;

use phds::disclosure::table::{Ends, Rule, Seen, Verdict, audit};
use serde_json::{Value, json};

use crate::attacker::{Key, Knowledge, Random, is_in, keys, values};
use crate::protect::cube;
use crate::support::TestContext;

/// Every interval is what trying every table finds: both ends, under both attackers.
#[test]
fn intervals_are_what_trying_every_table_finds() {
    let shapes: [&[usize]; 8] = [&[3], &[2, 2], &[2, 3], &[3, 3], &[2, 4], &[2, 2, 2], &[2, 2, 3], &[2, 3, 2]];
    let rule = Rule { k: 3, w: 2 };
    let (mut cells, mut unbounded, mut told, mut aware) = (0, 0, 0, 0);
    for seed in 0..4_000 {
        let mut random = Random::new(seed + 70_000);
        let sizes = random.pick(&shapes);
        let counts = random.table(sizes, 5);
        let share = 3 + random.below(5);
        let seen: BTreeMap<Key, Seen> = counts
            .iter()
            .map(|(key, count)| {
                let is_inner = key.iter().all(Option::is_some);
                let is_hidden = random.below(10) < if is_inner { share } else { 3 };
                // Half of the tables could have come from the rule.
                let is_hidden = is_hidden || (seed % 2 == 0 && (1..rule.k).contains(count));
                (key.clone(), if is_hidden { Seen::Suppressed } else { Seen::Count(*count) })
            })
            .collect();
        // Farther than any cell goes that has an end: what goes farther has none.
        let far = 3 * counts.values().max().unwrap() + 10;
        let any: Knowledge = seen
            .iter()
            .map(|(key, seen)| match seen {
                Seen::Count(count) => (key.clone(), (*count, *count)),
                _ => (key.clone(), (0, far)),
            })
            .collect();
        let Some(possible) = values(sizes, &any, 400_000) else { continue };
        let is_hidden = |key: &Key| seen[key] == Seen::Suppressed;
        // Who knows that the rule shows zeros, but for those below a total that is suppressed.
        let by_rule: Knowledge = any
            .iter()
            .map(|(key, (low, high))| {
                let may_be_zero = seen.keys().any(|total| total != key && is_in(key, total) && is_hidden(total));
                let low = if is_hidden(key) && !may_be_zero { 1 } else { *low };
                (key.clone(), (low, *high))
            })
            .collect();
        let breaks_rule = counts.iter().any(|(key, count)| (1..rule.k).contains(count) && !is_hidden(key));
        let Some(by_rule) = values(sizes, &by_rule, 400_000) else { continue };
        let cube = cube(sizes);
        let mut all = vec![Seen::Unpublished; cube.len()];
        for (key, seen) in &seen {
            all[cube.cell(key)] = *seen;
        }
        let asked: Vec<Key> = keys(sizes).into_iter().filter(|key| seen[key] == Seen::Suppressed).collect();
        let numbers: Vec<usize> = asked.iter().map(|key| cube.cell(key)).collect();
        let found = audit(&cube, &all, &numbers, rule, "Total", Duration::from_mins(1)).unwrap();
        for (key, found) in asked.iter().zip(&found) {
            let (low, high) = (*possible[key].first().unwrap(), *possible[key].last().unwrap());
            let what = format!("seed {seed}: {key:?} of {seen:?}");
            assert_eq!((found.standard.low, found.standard.ends), (low, Ends::Exact), "{what}");
            if let Some(end) = found.standard.high {
                assert_eq!(end, high, "{what}");
            } else {
                unbounded += 1;
                assert!(high > 2 * counts.values().max().unwrap(), "{what}");
            }
            assert_eq!(found.verdict == Verdict::Exact, low == high || is_told(found), "{what}");
            let by_rule = &by_rule[key];
            assert_eq!(found.rule_aware.is_none(), breaks_rule || by_rule.is_empty(), "{what}");
            if let Some(interval) = found.rule_aware {
                assert_eq!(interval.low, *by_rule.first().unwrap(), "{what}");
                assert!(interval.high.is_none_or(|high| high == *by_rule.last().unwrap()), "{what}");
                aware += 1;
            }
            cells += 1;
            told += u64::from(low == high);
        }
    }
    println!("{cells} cells, {unbounded} without an end, {told} exact, {aware} with a rule");
    assert!(cells > 5_000 && told > 300 && unbounded > 300 && aware > 2_000, "{cells} {told} {unbounded} {aware}");
}

fn is_told(found: &phds::disclosure::table::Finding) -> bool {
    found.rule_aware.is_some_and(|interval| interval.high == Some(interval.low))
}

/// Finding 2 of `disclosure.md`, with a mark in place of the 10.
fn solved(mark: &str) -> TestContext {
    let context = TestContext::new();
    let text = format!(
        "row,col,n\na,x,{mark}\na,y,\na,z,30\nb,x,\nb,y,\nb,z,60\nc,x,44\nc,y,52\nc,z,70\n\
         a,Total,80\nb,Total,96\nc,Total,166\nTotal,x,79\nTotal,y,103\nTotal,z,160\nTotal,Total,342\n"
    );
    context.put("t.csv", text);
    context
}

fn cells(context: &TestContext, options: &str, code: i32) -> Vec<Value> {
    let outcome = context.phds(&format!("audit {options} --count n --json")).ended(code);
    let found: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    found["cells"].as_array().unwrap().clone()
}

#[test]
fn who_knows_the_rule_and_the_marks_solves_a_block() {
    let found = cells(&solved("<11"), "t.csv --by row,col", 1);
    let told: Vec<_> = found.iter().map(|cell| (&cell["standard"], &cell["rule_aware"], &cell["verdict"])).collect();
    let exact = json!("exact");
    assert_eq!(found[0]["key"], json!({"row": "a", "col": "x"}));
    assert_eq!(
        told,
        [
            (&json!([0, 35]), &json!([10, 10]), &exact),
            (&json!([0, 35]), &json!([25, 25]), &exact),
            (&json!([15, 50]), &json!([40, 40]), &exact),
            (&json!([1, 36]), &json!([11, 11]), &exact),
        ]
    );
    // With one mark for all, he knows only that none of them is a zero.
    let found = cells(&solved(""), "t.csv --by row,col", 0);
    assert_eq!((&found[0]["standard"], &found[0]["rule_aware"]), (&json!([0, 35]), &json!([1, 34])));
}

#[test]
fn a_table_that_shows_small_counts_has_not_come_from_the_rule() {
    let context = TestContext::new();
    context.put("t.csv", "s,n\nF,\nM,\nX,3\nTotal,40\n");
    let found = cells(&context, "t.csv --by s", 1);
    assert_eq!(
        found[0],
        json!({
            "key": {"s": "F"}, "standard": [0, 37], "rule_aware": null, "verdict": "safe", "ends": "exact"
        })
    );
    let refused = context.phds("audit t.csv --by s --count n").ended(1);
    assert!(refused.stderr.contains("1 count below 11 shown"), "{}", refused.stderr);
}

#[test]
fn one_suppressed_count_in_a_line_is_exact_and_few_values_are_narrow() {
    let context = TestContext::new();
    context.put("t.csv", "s,n\nF,\nM,30\nTotal,37\n");
    let outcome = context.phds("audit t.csv --by s --count n").ended(1);
    assert!(outcome.text().starts_with("1 suppressed cell: 0 safe, 0 narrow, 1 exact\n"), "{}", outcome.text());
    assert_eq!(cells(&context, "t.csv --by s", 1)[0]["standard"], json!([7, 7]));
    // 0 + 7 to 7 + 0: none of them can be k or more.
    context.put("t.csv", "s,n\nF,\nM,\nX,30\nTotal,37\n");
    let found = cells(&context, "t.csv --by s", 1);
    assert_eq!((&found[0]["standard"], &found[0]["verdict"]), (&json!([0, 7]), &json!("narrow")));
    // 1 + 1, where zeros are shown.
    context.put("t.csv", "s,n\nF,\nM,\nX,0\nTotal,2\n");
    assert_eq!(
        cells(&context, "t.csv --by s", 1)[0]["rule_aware"],
        Value::Null,
        "a total of 2 is not shown by the rule"
    );
    context.put("t.csv", "s,n\nF,\nM,\nTotal,\n");
    let found = cells(&context, "t.csv --by s", 0);
    assert_eq!(found[2]["standard"], json!([0, null]));
}

#[test]
fn tables_with_common_cells_tell_more_than_each() {
    let context = TestContext::new();
    context.put("age.csv", "zip,age,n\n1,young,\n1,old,\n1,Total,50\n2,young,20\n2,old,25\n2,Total,45\n");
    context.put("sex.csv", "sex,zip,n\nF,1,20\nM,1,30\nF,2,20\nM,2,25\n");
    context.put("region.csv", "age,n\nyoung,27\n");
    context.phds("audit age.csv --by zip,age --count n").done();
    // Young people of all ZIPs are in another table: 27 - 20 = 7.
    let found = cells(&context, "age.csv region.csv --by zip,age", 1);
    let young = found.iter().find(|cell| cell["key"] == json!({"zip": "1", "age": "young"})).unwrap();
    assert_eq!((&young["standard"], &young["verdict"]), (&json!([7, 7]), &json!("exact")));
    // A table over another dimension, with the total in common.
    let found = cells(&context, "age.csv sex.csv --by zip,age,sex", 0);
    assert_eq!(found[0]["key"]["sex"], "Total");
    // The same cell with two counts.
    context.put("other.csv", "zip,age,n\n2,old,26\n");
    let outcome = context.phds("audit age.csv other.csv --by zip,age --count n").ended(1);
    assert!(
        outcome.stderr.contains("`other.csv`, line 2: age = old, zip = 2 has another count in `age.csv`, line 6"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_row_that_is_not_there_is_unknown() {
    let context = TestContext::new();
    context.put("t.csv", "r,c,n\na,x,20\na,Total,25\nb,x,30\nb,y,40\nb,Total,70\n");
    let found = cells(&context, "t.csv --by r,c", 1);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["key"], &found[0]["standard"]), (&json!({"r": "a", "c": "y"}), &json!([5, 5])));
}

#[test]
fn the_line_that_does_not_add_up_is_named() {
    for (text, message) in [
        ("s,n\nF,20\nM,\nTotal,15\n", "the line of s = Total does not add up along `s`"),
        ("s,n\nF,20\nM,30\nTotal,55\n", "the total is 55, and the counts shown in it sum to 50"),
        ("s,n\nF,twenty\n", "line 2: the count is no number"),
        ("s,n\nF,-1\n", "line 2: the count is negative"),
        ("s,n\nF,<1\n", "line 2: no count of 1 or more is below the mark"),
        ("s,n\nF,1\nF,1\n", "line 3: the same cell is in line 2 already"),
        ("s,n\n", "has no row below its header"),
    ] {
        let context = TestContext::new();
        context.put("t.csv", text);
        let outcome = context.phds("audit t.csv --by s --count n --json").ended(1);
        assert!(outcome.stderr.contains(message) && outcome.stderr.contains("hint:"), "{text:?}: {}", outcome.stderr);
        assert_eq!(outcome.text(), "");
    }
    // No line is wrong by itself: the rows leave 30 + 30 for x and y, the columns 10 + 10.
    let context = TestContext::new();
    context.put("t.csv", "r,c,n\na,x,\na,y,\nb,x,\nb,y,\na,Total,30\nb,Total,30\nTotal,x,10\nTotal,y,10\n");
    let outcome = context.phds("audit t.csv --by r,c --count n").ended(1);
    assert!(outcome.stderr.contains("add up"), "{}", outcome.stderr);
    context.phds("audit t.csv --by r,c --count n --k 4").ended(2);
    context.phds("audit t.csv --by r,d --count n").ended(2);
}

#[test]
fn tables_without_a_total_are_not_called_safe() {
    let context = TestContext::new();
    context.put("t.csv", "s,n\nF,\nM,30\n");
    let outcome = context.phds("audit t.csv --by s --count n --json").done();
    let found: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(found["has_totals"], json!(false));
    assert!(outcome.stderr.contains("that does not mean that they are safe"), "{}", outcome.stderr);
    context.put("t.csv", "s,n\nF,\nM,\nTotal,90\n");
    let outcome = context.phds("audit t.csv --by s --count n").done();
    assert!(!outcome.stderr.contains("no total"), "{}", outcome.stderr);
}
