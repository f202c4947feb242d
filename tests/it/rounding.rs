//! `phds protect --round`: every cell has a number, all totals are sums, and no count can be told.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use phds::disclosure::table::round;

use crate::attacker::{Knowledge, Random, keys, tables, with_totals};
use crate::protect::cube;
use crate::support::{TestContext, csv_rows};

/// The counts of a table in the order of [`keys`], rounded; nothing where there is no such table.
fn rounded(sizes: &[usize], counts: &[u64], base: u64) -> Option<Vec<u64>> {
    let cube = cube(sizes);
    let places: Vec<usize> = keys(sizes).iter().map(|key| cube.cell(key)).collect();
    let mut all = vec![0; cube.len()];
    for (place, count) in places.iter().zip(counts) {
        all[*place] = *count;
    }
    let found = round(&cube, &all, base, Instant::now() + Duration::from_mins(1)).ok()?;
    Some(places.iter().map(|place| found[*place]).collect())
}

const SHAPES: [&[usize]; 8] = [&[2], &[4], &[2, 2], &[2, 3], &[3, 3], &[5, 4], &[2, 2, 2], &[2, 3, 3]];

#[test]
fn rounded_tables_add_up_and_every_number_is_a_neighbour() {
    let (mut refused, mut off, mut cells) = (0, 0, 0);
    for seed in 0..3_000 {
        let mut random = Random::new(seed + 300_000);
        let sizes = random.pick(&SHAPES);
        let base = random.pick(&[5, 5, 5, 6, 10, 100]);
        let counts = random.table(sizes, 4 * base);
        let keys = keys(sizes);
        let counts: Vec<u64> = keys.iter().map(|key| counts[key]).collect();
        let Some(found) = rounded(sizes, &counts, base) else {
            assert!(sizes.len() > 2, "one and two dimensions always have a table");
            refused += 1;
            continue;
        };
        for (count, number) in counts.iter().zip(&found) {
            assert!(number % base == 0 && number.abs_diff(*count) < base, "seed {seed}: {count} became {number}");
            off += number.abs_diff(*count);
            cells += 1;
        }
        let inner = keys.iter().zip(&found).filter(|(key, _)| key.iter().all(Option::is_some));
        let sums = with_totals(sizes, &inner.map(|(key, number)| (key.clone(), *number)).collect());
        assert!(keys.iter().zip(&found).all(|(key, number)| sums[key] == *number), "seed {seed}: totals are no sums");
    }
    println!("{refused} refused, {off} persons off in {cells} cells");
    assert!(refused < 10, "{refused} refused");
}

/// Somebody who knows the rule holds every table possible whose counts are less than the base from what is published;
/// somebody who has the program, those of them that come out alike.
#[test]
fn whoever_knows_the_rule_or_has_the_program_is_left_with_enough_values() {
    let w = 3;
    let (mut cells, mut small, mut told, mut least) = (0, 0, 0, u64::MAX);
    for seed in 0..400 {
        let mut random = Random::new(seed + 400_000);
        let (sizes, base) = random.pick(&[(&[2][..], 5), (&[3], 5), (&[2, 2], 5), (&[2], 6), (&[3], 7), (&[2, 2], 6)]);
        let all = keys(sizes);
        let counts = random.table(sizes, 12);
        let counts: Vec<u64> = all.iter().map(|key| counts[key]).collect();
        let found = rounded(sizes, &counts, base).unwrap();
        let near = |number: &u64| (number.saturating_sub(base - 1), number + base - 1);
        let knowledge: Knowledge = all.iter().cloned().zip(found.iter().map(near)).collect();
        let mut by_rule = vec![BTreeSet::new(); all.len()];
        let mut by_program = by_rule.clone();
        let is_whole = tables(sizes, &knowledge, 1_000_000, &mut |table| {
            let is_alike = rounded(sizes, table, base).as_ref() == Some(&found);
            for (at, value) in table.iter().enumerate() {
                by_rule[at].insert(*value);
                if is_alike {
                    by_program[at].insert(*value);
                }
            }
        });
        assert!(is_whole);
        for (at, count) in counts.iter().enumerate() {
            assert!(by_rule[at].len() as u64 >= base && by_program[at].contains(count), "seed {seed}");
            cells += 1;
            if (1..11).contains(count) {
                small += 1;
                least = least.min(by_program[at].len() as u64);
                told += u64::from((by_program[at].len() as u64) < w);
            }
        }
    }
    println!(
        "{cells} cells, {small} small, {told} of them with fewer than {w} values for the program, {least} at least"
    );
    assert!(small > 1_000 && least >= w);
}

#[test]
fn every_cell_has_a_number_and_the_same_status() {
    let context = TestContext::new();
    context.put("in.csv", "sex,n\nF,3\nM,32\nX,40\nU,0\n");
    let outcome = context.phds("protect in.csv --by sex --count n --round --out out.csv").done();
    // 75 is a multiple and stays; 3 + 32 make 35 as 5 + 30 does.
    let text = "sex,n,status\nF,5,rounded\nM,30,rounded\nX,40,rounded\nU,0,rounded\nTotal,75,rounded\n";
    assert_eq!(String::from_utf8(context.read("out.csv")).unwrap(), text);
    assert!(outcome.text().contains("rounded to multiples of 5"), "{}", outcome.text());
    assert!(outcome.text().contains("0 stands for 0 to 4"), "{}", outcome.text());
    // What is rounded is no table of counts any more.
    for (verb, code, said) in [
        ("audit out.csv --by sex --count n", 2, "`out.csv` is rounded"),
        ("protect out.csv --by sex --count n --out again.csv", 1, "the numbers of `out.csv` are rounded"),
    ] {
        let refused = context.phds(verb).ended(code);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    context.phds("protect in.csv --by sex --count n --round 10 --out out.csv").done();
    assert!(String::from_utf8(context.read("out.csv")).unwrap().contains("\nTotal,70,"));
}

#[test]
fn a_row_that_was_not_there_and_the_order_of_rows_tell_nothing() {
    let context = TestContext::new();
    context.put("in.csv", "r,c,n\nb,y,52\na,x,3\nb,x,61\n");
    context.phds("protect in.csv --by r,c --count n --round --out one.csv").done();
    context.put("in.csv", "c,n,r\nx,61,b\nx,3,a\ny,52,b\n");
    context.phds("protect in.csv --by c,r --count n --round --out other.csv").done();
    let sorted = |name: &str, order: [usize; 4]| {
        let rows = csv_rows(&context.read(name));
        let mut rows: Vec<Vec<String>> = rows.iter().map(|row| order.map(|at| row[at].clone()).to_vec()).collect();
        rows.sort();
        rows
    };
    let one = sorted("one.csv", [0, 1, 2, 3]);
    assert_eq!(one, sorted("other.csv", [2, 0, 1, 3]));
    assert_eq!(one.len(), 10, "the cell of a and y is there");
}

#[test]
fn what_cannot_be_rounded_is_refused_and_nothing_is_written() {
    for (options, code, message) in [
        ("--round 4", 2, "a base of 4 leaves a count fewer than 3 values"),
        ("--round 2", 2, "3 to 100"),
        ("--round 101", 2, "3 to 100"),
        ("--round 5 --k 11", 2, "cannot be used with"),
    ] {
        let context = TestContext::new();
        context.put("in.csv", "s,n\nF,7\nM,60\n");
        let outcome = context.phds(&format!("protect in.csv --by s --count n {options} --out out.csv")).ended(code);
        assert!(outcome.stderr.contains(message), "{options}: {}", outcome.stderr);
        assert_eq!((outcome.text(), context.tree()), (String::new(), vec!["in.csv".to_owned()]), "{options}");
    }
}

/// Every neighbouring multiple of three dimensions is tried, in tables that are told to have none.
#[test]
fn a_table_that_is_refused_has_no_rounding() {
    let (mut refused, sizes) = (0, [2, 2, 2, 2]);
    for seed in 0..400 {
        let mut random = Random::new(seed + 500_000);
        let all = keys(&sizes);
        let counts = random.table(&sizes, 20);
        let counts: Vec<u64> = all.iter().map(|key| counts[key]).collect();
        let is_there = {
            let near = |count: &u64| (count / 5, count.div_ceil(5));
            let knowledge: Knowledge = all.iter().cloned().zip(counts.iter().map(near)).collect();
            let mut found = false;
            assert!(tables(&sizes, &knowledge, 10_000_000, &mut |_| found = true));
            found
        };
        assert_eq!(rounded(&sizes, &counts, 5).is_some(), is_there, "seed {seed}");
        refused += u64::from(!is_there);
    }
    println!("{refused} tables without a rounding");
    assert!(refused > 0);
}
