//! The minimality attack: somebody has a protected table and the program, runs it on every table that could be behind the
//! published one, and keeps those that come out alike.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use phds::disclosure::table::{Cube, Mark, Pattern, Rule, protect};

use crate::attacker::{Key, Knowledge, Random, keys, tables, with_totals};
use crate::protect::cube;

/// The program, and what it did with the tables it was run on.
struct Program {
    cube: Cube,
    places: Vec<usize>,
    rule: Rule,
    known: BTreeMap<Vec<u64>, Option<(Vec<bool>, bool)>>,
}

impl Program {
    fn new(sizes: &[usize], rule: Rule) -> Self {
        let cube = cube(sizes);
        let places = keys(sizes).iter().map(|key| cube.cell(key)).collect();
        Self { cube, places, rule, known: BTreeMap::new() }
    }

    /// Which cells of a table the program suppresses, in the order of [`keys`], and whether it says that its choice is
    /// proved; nothing where it refuses.
    fn run(&mut self, table: &[u64]) -> Option<(Vec<bool>, bool)> {
        if let Some(known) = self.known.get(table) {
            return known.clone();
        }
        let mut counts = vec![0; self.cube.len()];
        for (place, count) in self.places.iter().zip(table) {
            counts[*place] = *count;
        }
        let pattern = protect(&self.cube, &counts, self.rule, Instant::now() + Duration::from_mins(1)).ok();
        let is_suppressed = |pattern: &Pattern| {
            self.places.iter().map(|place| pattern.marks[*place] != Mark::Shown).collect::<Vec<_>>()
        };
        let found = pattern.map(|pattern| (is_suppressed(&pattern), pattern.is_choice_proved));
        self.known.insert(table.to_vec(), found.clone());
        found
    }
}

#[test]
fn whoever_runs_the_program_on_every_small_table_is_left_with_enough_values() {
    let rule = Rule { k: 5, w: 3 };
    let (mut tried, mut unproved, mut refused, mut cells) = (0, 0, 0, 0);
    for (sizes, seeds) in [(&[3][..], 1_500), (&[4], 80), (&[2, 2], 60)] {
        let mut program = Program::new(sizes, rule);
        for seed in 0..seeds {
            let counts = Random::new(seed + 800_000).table(sizes, 40);
            let all = keys(sizes);
            let counts: Vec<u64> = all.iter().map(|key| counts[key]).collect();
            let Some((seen, is_proved)) = program.run(&counts) else {
                refused += 1;
                continue;
            };
            if !seen.contains(&true) {
                continue;
            }
            let far = counts.iter().max().unwrap() + rule.k + 2;
            let known = |(count, is_hidden): (&u64, &bool)| if *is_hidden { (0, far) } else { (*count, *count) };
            let knowledge: Knowledge = all.iter().cloned().zip(counts.iter().zip(&seen).map(known)).collect();
            let mut values = vec![BTreeSet::new(); all.len()];
            let is_whole = tables(sizes, &knowledge, 30_000, &mut |table| {
                if program.run(table).is_some_and(|(pattern, _)| pattern == seen) {
                    for (values, value) in values.iter_mut().zip(table) {
                        values.insert(*value);
                    }
                }
            });
            if is_whole {
                tried += 1;
                unproved += u64::from(!is_proved);
                for (values, _) in values.iter().zip(&seen).filter(|(_, is_hidden)| **is_hidden) {
                    cells += 1;
                    assert!(values.len() as u64 >= rule.w, "{counts:?} under {seen:?}: {values:?}");
                }
            }
        }
    }
    println!("{tried} tables, {unproved} of them with too many others; {cells} suppressed counts; {refused} refused");
    assert!(tried > 1_000 && unproved < 5 && refused < 5, "{tried}, {unproved}, {refused}");
}

/// Somebody who exchanges 1 or 2 persons between suppressed counts at the corners of a rectangle, one table after the
/// other, and runs the program on each: for how many counts it gives him three values is what is known of large tables.
#[test]
fn most_suppressed_counts_of_a_county_keep_enough_values_for_whoever_has_the_program() {
    let sizes = [60, 8];
    let rule = Rule { k: 11, w: 3 };
    let mut program = Program::new(&sizes, rule);
    let all = keys(&sizes);
    let (mut cells, mut wide) = (0, 0);
    for seed in 0..3 {
        let mut random = Random::new(seed + 810_000);
        let inner = all.iter().filter(|key| key.iter().all(Option::is_some));
        let inner = inner.map(|key| (key.clone(), random.below(2 + 4_000 / (1 + key[0].unwrap() as u64)))).collect();
        let counts = with_totals(&sizes, &inner);
        let table: Vec<u64> = all.iter().map(|key| counts[key]).collect();
        let (seen, _) = program.run(&table).unwrap();
        let place: BTreeMap<&Key, usize> = all.iter().enumerate().map(|(at, key)| (key, at)).collect();
        let mut values: Vec<BTreeSet<u64>> = table.iter().map(|count| BTreeSet::from([*count])).collect();
        let hidden: Vec<&Key> = all.iter().enumerate().filter(|(at, _)| seen[*at]).map(|(_, key)| key).collect();
        for (one, other) in hidden.iter().flat_map(|one| hidden.iter().map(move |other| (*one, *other))) {
            let corners = [one.clone(), vec![one[0], other[1]], vec![other[0], one[1]], other.clone()];
            let corners = corners.map(|key| place[&key]);
            if one[0] == other[0] || one[1] == other[1] || !corners.iter().all(|at| seen[*at]) {
                continue;
            }
            // A total grows with its part, another part shrinks.
            let sign = |at: usize| if one[at].is_none() || other[at].is_none() { 1 } else { -1 };
            for by in [1, 2, -1, -2] {
                let changed = corners.iter().zip([by, by * sign(1), by * sign(0), by * sign(0) * sign(1)]);
                let is_new = |(at, by): (&usize, i64)| {
                    table[*at]
                        .checked_add_signed(by)
                        .is_some_and(|count| values[*at].len() < 3 && !values[*at].contains(&count))
                };
                if !changed.clone().any(is_new) {
                    continue;
                }
                let mut table = table.clone();
                let is_possible = changed.clone().all(|(at, by)| {
                    table[*at].checked_add_signed(by).is_some_and(|count| {
                        table[*at] = count;
                        true
                    })
                });
                if is_possible && program.run(&table).is_some_and(|(pattern, _)| pattern == seen) {
                    for at in corners {
                        values[at].insert(table[at]);
                    }
                }
            }
        }
        cells += hidden.len();
        wide += values.iter().zip(&seen).filter(|(values, is_hidden)| **is_hidden && values.len() >= 3).count();
    }
    println!("{wide} of {cells} suppressed counts keep three values");
    assert!(cells > 100 && wide * 10 > cells * 8, "{wide} of {cells}");
}
