//! The kept answers of R, to which the unit tests of `src/statistics` hold the formulas, are what R says today.

use std::path::Path;
use std::process::Command;

const TABLES: [&str; 7] = ["normal", "shares", "tails", "curves", "limits", "dispersion", "standardized"];

/// The status with which the script ends when the package of a table is not there.
const NO_PACKAGE: i32 = 3;

#[test]
fn the_kept_answers_are_those_of_r() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for table in TABLES {
        let output = Command::new("Rscript").arg(root.join("tests/oracle/statistics.R")).arg(table).output();
        let Ok(output) = output else {
            eprintln!("no Rscript: the answers in tests/cases/statistics are taken as they are");
            return;
        };
        if output.status.code() == Some(NO_PACKAGE) {
            eprintln!("no package survival: {table}.csv is taken as it is");
            continue;
        }
        assert!(output.status.success(), "{table}: {}", String::from_utf8_lossy(&output.stderr));
        let kept = std::fs::read_to_string(root.join(format!("tests/cases/statistics/{table}.csv"))).unwrap();
        same(table, &kept, &String::from_utf8(output.stdout).unwrap());
    }
}

/// Other versions of R may differ in the last digits of a number, and in nothing else.
fn same(table: &str, kept: &str, now: &str) {
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (kept, now) = (lines(kept), lines(now));
    assert_eq!((kept.len(), &kept[0]), (now.len(), &now[0]), "{table}: other rows or columns");
    for (kept, now) in kept.iter().zip(&now).skip(1) {
        let equal = kept.split(',').zip(now.split(',')).all(|(kept, now)| {
            let numbers = kept.parse::<f64>().ok().zip(now.parse::<f64>().ok());
            kept == now || numbers.is_some_and(|(kept, now)| (kept - now).abs() <= 1e-12 * (1.0 + kept.abs()))
        });
        assert!(equal, "{table}: {kept} and now {now}");
    }
}
