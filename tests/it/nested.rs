//! `--within`: tables in which the labels of one dimension are sums of those of another.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use phds::disclosure::table::{Cube, Dimension, Mark, Rule, Seen, Verdict, audit, protect, round};

use crate::attacker::{Random, sums_of};
use crate::support::TestContext;

/// Regions of counties (by the path of each label), and beside them columns without levels.
fn cube(columns: &[usize], random: &mut Random) -> Cube {
    let path = |parts: &[u64]| parts.iter().map(u64::to_string).collect::<Vec<_>>().join("\u{1f}");
    let mut labels = Vec::new();
    for region in 0..=random.below(2) {
        for county in 0..=random.below(3) {
            match random.below(4) {
                0 => labels.extend((0..2).map(|zip| path(&[region, county, zip]))),
                _ => labels.push(path(&[region, county])),
            }
        }
    }
    let nested = Dimension { name: "region\u{1f}county\u{1f}zip".to_owned(), labels };
    let flat = |(at, size): (usize, &usize)| Dimension {
        name: format!("{}{at}", if random.below(2) == 0 { "a" } else { "z" }),
        labels: (0..*size).map(|label| label.to_string()).collect(),
    };
    Cube::new(columns.iter().enumerate().map(flat).chain([nested]).collect()).unwrap()
}

/// The inner cells of each sum, found by labels and not by the lines of the program.
fn parts(cube: &Cube) -> Vec<Vec<usize>> {
    let is_part = |cell: usize, whole: usize| {
        (0..cube.dimensions().len()).all(|at| match (cube.label(cell, at), cube.label(whole, at)) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(cell), Some(whole)) => cell == whole || cell.starts_with(&format!("{whole}\u{1f}")),
        })
    };
    let below = |whole: usize| (0..cube.len()).filter(move |cell| *cell != whole && is_part(*cell, whole));
    let is_inner: Vec<bool> = (0..cube.len()).map(|cell| below(cell).next().is_none()).collect();
    (0..cube.len()).map(|whole| below(whole).filter(|cell| is_inner[*cell]).collect()).collect()
}

fn counts(parts: &[Vec<usize>], most: u64, random: &mut Random) -> Vec<u64> {
    let inner: Vec<u64> = (0..parts.len())
        .map(|_| match random.below(4) {
            0 => 0,
            1 => 1,
            _ => random.below(most + 1),
        })
        .collect();
    let sum = |(cell, parts): (usize, &Vec<usize>)| match parts.as_slice() {
        [] => inner[cell],
        parts => parts.iter().map(|part| inner[*part]).sum(),
    };
    parts.iter().enumerate().map(sum).collect()
}

const COLUMNS: [&[usize]; 4] = [&[], &[], &[2], &[2, 2]];

#[test]
fn no_attacker_who_tries_every_nested_table_tells_a_suppressed_cell() {
    let (mut tried, mut refused, mut hidden) = (0, 0, 0);
    for seed in 0..2_000 {
        let mut random = Random::new(seed + 600_000);
        let columns = random.pick(&COLUMNS);
        let cube = cube(columns, &mut random);
        let parts = parts(&cube);
        let rule = random.pick(&[Rule { k: 3, w: 2 }, Rule { k: 4, w: 2 }]);
        let counts = counts(&parts, 7, &mut random);
        let Ok(pattern) = protect(&cube, &counts, rule, Instant::now() + Duration::from_mins(1)) else {
            refused += 1;
            continue;
        };
        let is_below_small = |cell: usize| {
            (0..parts.len()).any(|total| {
                let is_whole = |parts: &[Vec<usize>]| {
                    parts[total].contains(&cell)
                        || (!parts[cell].is_empty() && parts[cell].iter().all(|part| parts[total].contains(part)))
                };
                total != cell && rule.is_small(counts[total]) && is_whole(&parts)
            })
        };
        let far = counts.iter().max().unwrap() + rule.k + 2;
        let mut is_whole = true;
        for is_rule_aware in [false, true] {
            let limit = |cell: usize| match (pattern.marks[cell], is_rule_aware) {
                (Mark::Shown, _) => (counts[cell], counts[cell]),
                (_, false) => (0, far),
                (Mark::Primary, true) => (u64::from(!is_below_small(cell)), rule.k - 1),
                (Mark::Secondary, true) => (rule.k, far),
            };
            let limits: Vec<_> = (0..cube.len()).map(limit).collect();
            let mut values = vec![BTreeSet::new(); cube.len()];
            is_whole &= sums_of(&parts, &limits, 400_000, &mut |table| {
                for (values, value) in values.iter_mut().zip(table) {
                    values.insert(*value);
                }
            });
            if !is_whole {
                break;
            }
            for cell in (0..cube.len()).filter(|cell| pattern.marks[*cell] != Mark::Shown) {
                let (values, count) = (&values[cell], counts[cell]);
                let what = format!("seed {seed}, {rule:?}: {} of {counts:?}", cube.name(cell, "Total"));
                assert!(values.contains(&count) && values.len() as u64 >= rule.w, "{what}: {values:?}");
                let is_small = !is_rule_aware && count < rule.k;
                let reaches =
                    *values.last().unwrap() >= rule.k && *values.first().unwrap() <= count.saturating_sub(rule.w);
                assert!(!is_small || reaches, "{what}: {values:?}");
                hidden += 1;
            }
        }
        tried += u64::from(is_whole);
    }
    println!("{tried} tables tried to the end, {refused} refused, {hidden} suppressed cells");
    assert!(tried > 1_000 && refused < 100 && hidden > 5_000);
}

#[test]
fn intervals_and_roundings_of_nested_tables_are_what_trying_finds() {
    let (rule, mut cells, mut told) = (Rule { k: 3, w: 2 }, 0, 0);
    for seed in 0..1_500 {
        let mut random = Random::new(seed + 700_000);
        let columns = random.pick(&COLUMNS);
        let cube = cube(columns, &mut random);
        let parts = parts(&cube);
        let counts = counts(&parts, 6, &mut random);
        if let Ok(rounded) = round(&cube, &counts, 5, Instant::now() + Duration::from_mins(1)) {
            let is_sum = |(cell, parts): (usize, &Vec<usize>)| {
                parts.is_empty() || rounded[cell] == parts.iter().map(|part| rounded[*part]).sum::<u64>()
            };
            assert!(parts.iter().enumerate().all(is_sum), "seed {seed}: a rounded table does not add up");
        } else {
            assert!(columns.len() > 1, "one nested dimension and another one always have a rounding");
        }
        let is_hidden: Vec<bool> = (0..cube.len()).map(|_| random.below(10) < 4).collect();
        let seen = |cell: usize| if is_hidden[cell] { Seen::Suppressed } else { Seen::Count(counts[cell]) };
        let seen: Vec<Seen> = (0..cube.len()).map(seen).collect();
        let far = 3 * counts.iter().max().unwrap() + 10;
        let limit = |cell: usize| if is_hidden[cell] { (0, far) } else { (counts[cell], counts[cell]) };
        let limits: Vec<_> = (0..cube.len()).map(limit).collect();
        let mut ends = vec![(u64::MAX, 0); cube.len()];
        let is_whole = sums_of(&parts, &limits, 300_000, &mut |table| {
            for ((low, high), value) in ends.iter_mut().zip(table) {
                (*low, *high) = ((*low).min(*value), (*high).max(*value));
            }
        });
        if !is_whole {
            continue;
        }
        let hidden: Vec<usize> = (0..cube.len()).filter(|cell| is_hidden[*cell]).collect();
        for found in audit(&cube, &seen, &hidden, rule, "Total", Duration::from_mins(1)).unwrap() {
            let (low, high) = ends[found.cell];
            assert_eq!(found.standard.low, low, "seed {seed}: {}", cube.name(found.cell, "Total"));
            assert!(found.standard.high.map_or(high > far / 2, |end| end == high), "seed {seed}");
            assert!(low < high || found.verdict == Verdict::Exact, "seed {seed}");
            cells += 1;
            told += u64::from(low == high);
        }
    }
    println!("{cells} suppressed cells, {told} of them exact");
    assert!(cells > 3_000 && told > 500);
}

const TABLE: &str = "county,zip,sex,n\nTravis,78701,F,40\nTravis,78701,M,3\nTravis,78702,F,50\nTravis,78702,M,60\n\
                     Hays,78610,F,70\nHays,78610,M,80\nHays,78702,F,30\nHays,78702,M,20\n";

#[test]
fn a_county_is_the_sum_of_its_zip_codes() {
    let context = TestContext::new();
    context.put("in.csv", TABLE);
    let by = "--by zip,county,sex --within zip:county --count n";
    let outcome = context.phds(&format!("protect in.csv {by} --out out.csv")).done();
    // 2 counties, 4 ZIP codes below them and the total, by 2 sexes and the total.
    assert!(outcome.text().starts_with("21 cells with its totals, which were computed\n"), "{}", outcome.text());
    let text = String::from_utf8(context.read("out.csv")).unwrap();
    assert!(text.contains("\nTravis,Total,Total,153,shown\n"), "{text}");
    assert!(text.contains("\nTravis,78701,M,,suppressed\nTravis,78702,F,"), "{text}");
    assert!(text.ends_with("\nTotal,Total,Total,353,shown\n"), "{text}");
    context.phds(&format!("audit out.csv {by}")).done();
    // The true table with the totals of counties, one of which is wrong.
    let totals = "Travis,Total,F,90\nTravis,Total,M,63\nHays,Total,F,100\nHays,Total,M,101\n";
    context.put("wrong.csv", format!("{TABLE}{totals}"));
    let refused = context.phds(&format!("protect wrong.csv {by} --out none.csv")).ended(1);
    let message = "line 13: county = Hays, zip = Total, sex = M does not add up";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
    // A county's total gives away the ZIP code that it is the only one to hide.
    context.put("told.csv", "county,zip,n\nA,1,\nA,2,20\nA,Total,27\nB,3,\nB,4,\nB,Total,50\nTotal,Total,77\n");
    let by = "--by county,zip --within zip:county --count n";
    let outcome = context.phds(&format!("audit told.csv {by}")).ended(1);
    assert!(outcome.text().contains("exact    7 to 7    7 to 7      county = A, zip = 1"), "{}", outcome.text());
    context.phds("protect in.csv --by zip,county,sex --within zip:county --count n --round --out r.csv").done();
}

#[test]
fn levels_that_do_not_nest_are_refused() {
    for (table, options, code, message) in [
        (
            "county,zip,n\nTotal,1,50\n",
            "--within zip:county",
            1,
            "line 2: there is a label in `zip` and none in `county`",
        ),
        ("county,zip,n\nA,1,50\n", "--within zip:state", 2, "`state` of `--within` is not in `--by`"),
        ("county,zip,n\nA,1,50\n", "--within zip:county --within county:zip", 2, "named twice in `--within`"),
        ("county,zip,n\nA,1,50\n", "--within zip", 2, "write FINE:COARSE"),
        (
            "county,zip,n\nA,\u{1f}1,50\n",
            "--within zip:county",
            1,
            "line 2: the label in `zip` has a control character",
        ),
        (
            "county,zip,n\nA,1,50\nA,Total,50\nTotal,Total,60\n",
            "--within zip:county",
            1,
            "line 4: county = Total, zip = Total does not",
        ),
    ] {
        let context = TestContext::new();
        context.put("in.csv", table);
        let refused =
            context.phds(&format!("protect in.csv --by county,zip {options} --count n --out out.csv")).ended(code);
        assert!(refused.stderr.contains(message), "{options}: {}", refused.stderr);
        assert_eq!(context.tree(), ["in.csv"], "{options}");
    }
}
