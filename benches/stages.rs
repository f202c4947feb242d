//! The stages of a month, in bytes of CSV a second: `cargo bench --bench stages`. Whole processes beside their peers are
//! measured by `scripts/bench-load`.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench is a test")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phds::check::{Checker, Discard};
use phds::convert::Staging;
use phds::fetch::Delivery;
use phds::parallel::Resources;
use phds::period::ReportingPeriod;
use phds::progress::Silent;
use phds::query::ask::{Ask, Indicator};
use phds::query::engine::DuckDb;
use phds::query::{Context, Question};
use phds::settings::{Knowledge, Settings};
use phds::store::Store;
use phds::synth::{self, Options};

/// About 33 MB.
const CLIENTS: u64 = 10_000;

fn checker<'a>(settings: &'a Settings, scratch: &'a Path, threads: usize) -> Checker<'a> {
    Checker {
        dictionary: &settings.knowledge().unwrap().dictionary,
        rules: &settings.knowledge().unwrap().rules,
        max_rejected_share: 1.0,
        jurisdiction: &[],
        k: 11,
        previous: None,
        scratch,
        resources: Resources { threads, ..Resources::default() },
    }
}

fn stages(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let month = folder.path().join("month.csv");
    let period: ReportingPeriod = "2024-12".parse().unwrap();
    synth::write_month(&Options { clients: CLIENTS, period, seed: 1, faults: 0.0 }, &month, &Silent).unwrap();
    let settings = Settings::resolve(None).unwrap();
    let bytes = std::fs::metadata(&month).unwrap().len();

    let mut group = criterion.benchmark_group("month");
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    let check = |month: &Path, threads: usize| {
        let delivery = Delivery::in_place(month, period).unwrap();
        let checker = checker(&settings, folder.path(), threads);
        checker.check(&delivery, &Discard, &mut std::io::sink(), &Silent).unwrap()
    };
    for threads in [1, 2] {
        group.bench_function(format!("check, {threads} threads"), |bench| bench.iter(|| check(&month, threads)));
    }
    // A state that is none is a finding in every row, twice in most.
    let faulty = folder.path().join("faulty.csv");
    std::fs::write(&faulty, std::fs::read_to_string(&month).unwrap().replace(",TX,", ",QQ,")).unwrap();
    group.bench_function("check, an error in every row, 1 threads", |bench| bench.iter(|| check(&faulty, 1)));

    let store = Store::open_or_create(&folder.path().join("store")).unwrap();
    let load = |threads: usize| {
        let delivery = Delivery::in_place(&month, period).unwrap();
        let resources = Resources { threads, ..Resources::default() };
        let staging = Staging::begin(
            &store,
            &delivery,
            &settings.knowledge().unwrap().dictionary,
            &settings.knowledge().unwrap().measures,
            resources,
        )
        .unwrap();
        let checker = checker(&settings, folder.path(), threads);
        let report = checker.check(&delivery, &staging, &mut std::io::sink(), &Silent).unwrap();
        staging.commit(&report.accept().unwrap(), &Silent).unwrap()
    };
    for threads in [1, 2] {
        group.bench_function(format!("check and convert, {threads} threads"), |bench| bench.iter(|| load(threads)));
    }
    group.finish();

    let partition = load(2);
    let mut ask = Ask::of(Indicator::Coverage);
    ask.measure = Some("nis.4313314".to_owned());
    ask.by = vec!["county".to_owned(), "birth_year".to_owned()];
    criterion.bench_function("coverage by county and birth year", |bench| {
        bench.iter(|| {
            let Knowledge { dictionary, measures, .. } = settings.knowledge().unwrap();
            let context = Context { dictionary, measures, partition: &partition, store: &store, counties: &[] };
            let question = Question::bind(&ask, context).unwrap();
            black_box(question.count(&mut DuckDb::new(&partition, 2)).unwrap());
        });
    });
}

criterion_group!(benches, stages);
criterion_main!(benches);
