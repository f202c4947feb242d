//! `phds protect`: no suppressed count can be told, and little is lost for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use phds::disclosure::table::{Cube, Dimension, Mark, Rule, price, protect};

use crate::attacker::{self, Key, Random, is_in, keys, values};
use crate::support::{TestContext, csv_rows};

/// A cube whose dimensions and labels are in order, so that a key is a place.
pub fn cube(sizes: &[usize]) -> Cube {
    let dimension = |(at, size): (usize, &usize)| Dimension {
        name: format!("d{at}"),
        labels: (0..*size).map(|label| format!("{label:03}")).collect(),
    };
    Cube::new(sizes.iter().enumerate().map(dimension).collect()).unwrap()
}

fn pattern(sizes: &[usize], counts: &BTreeMap<Key, u64>, rule: Rule) -> Option<BTreeMap<Key, Mark>> {
    let cube = cube(sizes);
    let mut all = vec![0; cube.len()];
    for (key, count) in counts {
        all[cube.cell(key)] = *count;
    }
    let pattern = protect(&cube, &all, rule, Instant::now() + Duration::from_secs(60)).ok()?;
    Some(keys(sizes).into_iter().map(|key| (key.clone(), pattern.marks[cube.cell(&key)])).collect())
}

/// Whether the first cell is counted in a total of 1 to k - 1 beside itself.
fn is_below_small(counts: &BTreeMap<Key, u64>, key: &Key, rule: Rule) -> bool {
    counts.iter().any(|(other, count)| other != key && is_in(key, other) && (1..rule.k).contains(count))
}

/// The cells that can be told, by trying every table; nothing where there are too many.
fn told(
    sizes: &[usize],
    counts: &BTreeMap<Key, u64>,
    marks: &BTreeMap<Key, Mark>,
    rule: Rule,
    (times, most): (u64, u64),
) -> Option<Vec<Key>> {
    // As far as values that are asked for are likely to need, times that.
    let far = times * (counts.values().max().unwrap() + rule.k + 2);
    let mut found = Vec::new();
    for is_rule_aware in [false, true] {
        let known = |key: &Key| match (marks[key], is_rule_aware) {
            (Mark::Shown, _) => (counts[key], counts[key]),
            (_, false) => (0, far),
            (Mark::Primary, true) => (u64::from(!is_below_small(counts, key, rule)), rule.k - 1),
            (Mark::Secondary, true) => (rule.k, far),
        };
        let knowledge = keys(sizes).into_iter().map(|key| (key.clone(), known(&key))).collect();
        let values = values(sizes, &knowledge, most)?;
        for (key, values) in values.iter().filter(|(key, _)| marks[*key] != Mark::Shown) {
            let count = counts[key];
            assert!(values.contains(&count), "the truth is one of them");
            let is_small = !is_rule_aware && count < rule.k;
            let reaches = values.last().unwrap() >= &rule.k && *values.first().unwrap() <= count.saturating_sub(rule.w);
            if (values.len() as u64) < rule.w || (is_small && !reaches) {
                found.push(key.clone());
            }
        }
    }
    Some(found)
}

const SHAPES: [&[usize]; 9] = [&[2], &[4], &[2, 2], &[2, 3], &[3, 3], &[2, 4], &[2, 2, 2], &[2, 2, 3], &[2, 3, 2]];

#[test]
fn no_attacker_who_tries_every_table_tells_a_suppressed_cell() {
    let (mut tables, mut tried, mut refused) = (0, 0, 0);
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let sizes = SHAPES[random.below(SHAPES.len() as u64) as usize];
        let rule = [Rule { k: 3, w: 2 }, Rule { k: 4, w: 2 }, Rule { k: 5, w: 3 }][random.below(3) as usize];
        let counts = random.table(sizes, 9);
        tables += 1;
        let Some(marks) = pattern(sizes, &counts, rule) else {
            refused += 1;
            if std::env::var("SHOW").is_ok() { println!("refused {seed} {rule:?} {sizes:?} {:?}", counts.values().collect::<Vec<_>>()); }
            continue;
        };
        for (key, mark) in &marks {
            let is_small = (1..rule.k).contains(&counts[key]);
            assert!(!is_small || *mark == Mark::Primary, "a small count is shown");
            assert!(counts[key] > 0 || *mark == Mark::Shown || is_below_small(&counts, key, rule), "a zero is hidden");
        }
        let mut told_at_last = told(sizes, &counts, &marks, rule, (1, 300_000));
        if told_at_last.as_ref().is_some_and(|told| !told.is_empty()) {
            told_at_last = told(sizes, &counts, &marks, rule, (2, 30_000_000));
        }
        if let Some(told) = told_at_last {
            tried += 1;
            assert!(told.is_empty(), "seed {seed}, {rule:?}: {told:?} of {counts:?} under {marks:?}");
        }
    }
    println!("{tables} tables, {tried} tried to the end, {refused} refused");
    assert!(tried > 2_000 && refused < 30, "{tried} tried, {refused} refused");
}

/// The cheapest pattern of all, by trying every one, against the one that is found.
#[test]
fn a_pattern_costs_little_more_than_the_cheapest() {
    let (mut found, mut least, mut excess, mut tables) = (0, 0, 0.0, 0);
    for seed in 0..600 {
        let mut random = Random::new(seed + 10_000);
        let sizes: &[usize] = [&[4][..], &[2, 2], &[2, 3], &[2, 2, 2]][random.below(4) as usize];
        let rule = Rule { k: 3, w: 2 };
        let counts = random.table(sizes, 9);
        let Some(marks) = pattern(sizes, &counts, rule) else { continue };
        let cost = |marks: &BTreeMap<Key, Mark>| -> u64 {
            marks.iter().filter(|(_, mark)| **mark != Mark::Shown).map(|(key, _)| price(counts[key])).sum()
        };
        let open: Vec<&Key> = marks.keys().filter(|key| counts[*key] >= rule.k).collect();
        if open.len() > 9 || marks.values().all(|mark| *mark == Mark::Shown) {
            continue;
        }
        let mut choices: Vec<(u64, BTreeMap<Key, Mark>)> = (0..1_u32 << open.len())
            .map(|choice| {
                let mut marks = marks.clone();
                for (at, key) in open.iter().enumerate() {
                    let mark = if choice >> at & 1 == 1 { Mark::Secondary } else { Mark::Shown };
                    marks.insert((*key).clone(), mark);
                }
                (cost(&marks), marks)
            })
            .filter(|(price, _)| *price < cost(&marks))
            .collect();
        choices.sort_by_key(|(price, _)| *price);
        let is_safe = |marks: &BTreeMap<Key, Mark>| {
            told(sizes, &counts, marks, rule, (1, 300_000)).is_some_and(|told| told.iter().all(|key| counts[key] == 0))
        };
        let best = choices.iter().find(|(_, marks)| is_safe(marks)).map_or(cost(&marks), |(price, _)| *price);
        found += cost(&marks);
        least += best;
        excess += cost(&marks) as f64 / best as f64 - 1.0;
        tables += 1;
    }
    let mean = excess / f64::from(tables);
    println!("{tables} tables: cost {found}, cheapest {least}, mean excess {:.2} %", 100.0 * mean);
    assert!(tables > 200 && mean < 0.10, "{tables} tables, mean excess {mean}");
}
