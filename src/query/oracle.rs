//! Raw counts against an independent oracle: `tests/oracle/coverage.py`, written from the definitions alone, which reads
//! nothing but the CSV. Raw counts may be seen here and nowhere else, so this test lives inside the crate.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::ask::{Ask, Indicator};
use super::engine::DuckDb;
use super::{Context, Question, RawCounts};
use crate::check::Checker;
use crate::convert::Staging;
use crate::fetch::Delivery;
use crate::parallel::Resources;
use crate::progress::Silent;
use crate::settings::Settings;
use crate::store::Store;
use crate::synth::{self, Options};

/// Label of each group → numerator and denominator.
type Counts = BTreeMap<Vec<String>, (u64, u64)>;

fn by_oracle(folder: &Path, measure: &str, by: &str) -> Counts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .arg(root.join("tests/oracle/coverage.py"))
        .arg(folder.join("month.csv"))
        .args(["--period", "2024-12", "--measure", measure, "--by", by, "--skip-lines"])
        .arg(folder.join("rejected.csv"))
        .arg("--counties")
        .arg(root.join("dictionaries/phds/codelists/county.csv"))
        .output()
        .expect("python3 is needed for the oracle");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let rows = reader.records().map(|row| {
        let row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
        let [labels @ .., numerator, denominator] = row.as_slice() else { panic!("a row is too short") };
        (labels.to_vec(), (numerator.parse().unwrap(), denominator.parse().unwrap()))
    });
    rows.collect()
}

#[test]
fn the_oracle_agrees_cell_for_cell() {
    let folder = tempfile::tempdir().unwrap();
    let month = folder.path().join("month.csv");
    let period = "2024-12".parse().unwrap();
    synth::write_month(&Options { clients: 20_000, period, seed: 11, faults: 0.02 }, &month, &Silent).unwrap();
    let settings = Settings::resolve(Some(&root("src/commands/phds.toml"))).unwrap();
    let store = Store::open_or_create(&folder.path().join("store")).unwrap();
    let delivery = Delivery::in_place(&month, period).unwrap();
    let checker = Checker {
        dictionary: &settings.dictionary,
        rules: &settings.rules,
        max_rejected_share: settings.max_rejected_share,
        jurisdiction: &settings.jurisdiction,
        k: settings.policy.k(),
        previous: None,
        scratch: folder.path(),
        resources: Resources::default(),
    };
    let staging =
        Staging::begin(&store, &delivery, &settings.dictionary, &settings.measures, Resources::default()).unwrap();
    let mut rejected = Vec::new();
    let report = checker.check(&delivery, &staging, &mut rejected, &Silent).unwrap();
    std::fs::write(folder.path().join("rejected.csv"), rejected).unwrap();
    let partition = staging.commit(&report.accept().unwrap(), &Silent).unwrap();

    let (dictionary, measures) = (&settings.dictionary, &settings.measures);
    let context = Context { dictionary, measures, partition: &partition, counties: &[] };
    let mut engine = DuckDb::new(&partition, 2);
    // Those that its author was told of.
    let known = ["dtap4", "polio3", "mmr1", "hib_full", "hepb3", "var1", "pcv4", "4313314"];
    for measure in known.map(|name| format!("nis.{name}")) {
        let mut ask = Ask::of(Indicator::Coverage);
        ask.by = vec!["county".to_owned(), "birth_year".to_owned()];
        ask.measure = Some(measure.clone());
        let question = Question::bind(&ask, context).unwrap();
        let RawCounts::Shares(shares) = question.count(&mut engine).unwrap().counts else { panic!("no shares") };
        let ours: Counts =
            shares.into_iter().map(|(labels, share)| (labels, (share.numerator, share.denominator))).collect();
        assert!(ours.len() > 300, "the month is too small to tell anything");
        assert_eq!(ours, by_oracle(folder.path(), &measure, "county,birth_year"), "{measure}");
    }
}

fn root(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
