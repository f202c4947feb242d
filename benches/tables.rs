//! Tables with all their margins, protected, rounded and audited: `cargo bench --bench tables`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench is a test")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use phds::disclosure::table::{Cube, Dimension, Mark, Rule, Seen, audit, protect, round};

const RULE: Rule = Rule { k: 11, w: 3 };
const LIMIT: Duration = Duration::from_mins(1);

/// A table of these sizes, in which the rows of the first dimension are smaller and smaller: that of number r has up to
/// `most` / (r + 1) persons in a cell.
fn table(sizes: &[usize], most: u64) -> (Cube, Vec<u64>) {
    let dimension = |(at, size): (usize, &usize)| Dimension {
        name: format!("d{at}"),
        labels: (0..*size).map(|label| format!("{label:03}")).collect(),
    };
    let cube = Cube::new(sizes.iter().enumerate().map(dimension).collect()).unwrap();
    let mut counts = vec![0; cube.len()];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for cell in (0..cube.len()).filter(|cell| cube.is_inner(*cell)) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        counts[cell] = (random >> 11) % (1 + most / (1 + cube.place(cell, 0).unwrap() as u64));
    }
    cube.fill_margins(&mut counts);
    (cube, counts)
}

fn tables(criterion: &mut Criterion) {
    let cases: [(&[usize], u64); 8] = [
        (&[60, 8], 4_000),
        (&[254, 10], 20_000),
        (&[60, 8, 2], 4_000),
        (&[60, 8, 2], 400),
        // The growth of the largest.
        (&[32, 10, 6], 40_000),
        (&[64, 10, 6], 40_000),
        (&[127, 10, 6], 40_000),
        (&[254, 10, 6], 40_000),
    ];
    for (sizes, most) in cases {
        let (cube, counts) = table(sizes, most);
        let marks = protect(&cube, &counts, RULE, Instant::now() + LIMIT).unwrap().marks;
        let hidden: Vec<usize> = (0..cube.len()).filter(|cell| marks[*cell] != Mark::Shown).collect();
        let seen = |cell: usize| if marks[cell] == Mark::Shown { Seen::Count(counts[cell]) } else { Seen::Suppressed };
        let seen: Vec<Seen> = (0..cube.len()).map(seen).collect();
        let name = format!("{sizes:?}, {} of {} suppressed", hidden.len(), cube.len());
        let mut group = criterion.benchmark_group("tables");
        group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
        group.bench_function(BenchmarkId::new("protect", &name), |bench| {
            bench.iter(|| black_box(protect(&cube, &counts, RULE, Instant::now() + LIMIT).unwrap()));
        });
        group.bench_function(BenchmarkId::new("round", &name), |bench| {
            bench.iter(|| black_box(round(&cube, &counts, 5, Instant::now() + LIMIT).unwrap()));
        });
        group.bench_function(BenchmarkId::new("audit", &name), |bench| {
            bench.iter(|| black_box(audit(&cube, &seen, &hidden, RULE, "Total", LIMIT).unwrap()));
        });
        group.finish();
    }
}

criterion_group!(benches, tables);
criterion_main!(benches);
