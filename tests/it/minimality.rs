//! The minimality attack: somebody has a protected table and the program, runs it on every table that could be behind the
//! published one, and keeps those that come out alike.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use phds::disclosure::table::{Mark, Rule, protect};

use crate::attacker::{Knowledge, Random, keys, tables};
use crate::protect::cube;

/// Which cells of a table the program suppresses, in the order of [`keys`]; nothing where it refuses.
fn suppressed(sizes: &[usize], table: &[u64], rule: Rule) -> Option<Vec<bool>> {
    let cube = cube(sizes);
    let places: Vec<usize> = keys(sizes).iter().map(|key| cube.cell(key)).collect();
    let mut counts = vec![0; cube.len()];
    for (place, count) in places.iter().zip(table) {
        counts[*place] = *count;
    }
    let pattern = protect(&cube, &counts, rule, Instant::now() + Duration::from_mins(1)).ok()?;
    Some(places.iter().map(|place| pattern.marks[*place] != Mark::Shown).collect())
}

/// What holds today, and no more: a policy's width is proved for whoever knows the rule and the primary cells, and not for
/// whoever has the program. How often that is not enough is measured here, so that it cannot grow unseen.
#[test]
fn the_choice_of_a_pattern_seldom_tells_more_than_the_rule() {
    let rule = Rule { k: 5, w: 3 };
    let (mut tried, mut narrow, mut cells, mut told) = (0, 0, 0, 0);
    for (sizes, seeds) in [(&[3][..], 1_500), (&[4], 800), (&[2, 2], 300)] {
        for seed in 0..seeds {
            let counts = Random::new(seed + 800_000).table(sizes, 40);
            let all = keys(sizes);
            let counts: Vec<u64> = all.iter().map(|key| counts[key]).collect();
            let Some(seen) = suppressed(sizes, &counts, rule).filter(|seen| seen.contains(&true)) else { continue };
            let far = counts.iter().max().unwrap() + rule.k + 2;
            let known = |(count, is_hidden): (&u64, &bool)| if *is_hidden { (0, far) } else { (*count, *count) };
            let knowledge: Knowledge = all.iter().cloned().zip(counts.iter().zip(&seen).map(known)).collect();
            let mut values = vec![BTreeSet::new(); all.len()];
            let is_whole = tables(sizes, &knowledge, 30_000, &mut |table| {
                if suppressed(sizes, table, rule).as_ref() == Some(&seen) {
                    for (values, value) in values.iter_mut().zip(table) {
                        values.insert(*value);
                    }
                }
            });
            if is_whole {
                let left: Vec<usize> = values
                    .iter()
                    .zip(&seen)
                    .filter(|(_, is_hidden)| **is_hidden)
                    .map(|(values, _)| values.len())
                    .collect();
                tried += 1;
                narrow += u64::from(left.iter().any(|left| (*left as u64) < rule.w));
                cells += left.len();
                told += left.iter().filter(|left| **left == 1).count();
            }
        }
    }
    println!(
        "{tried} tables, {narrow} with a cell of fewer than {} values; {told} of {cells} suppressed counts are told",
        rule.w
    );
    assert!(tried > 1_000 && narrow * 20 < tried, "{narrow} of {tried} tables");
}
