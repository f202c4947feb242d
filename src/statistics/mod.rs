//! Intervals, curves, limits and standardized shares: functions of plain numbers, which know nothing of people or files.
//!
//! Each says where its formula is from. The tests hold them to R, whose answers `tests/oracle/statistics.R` prints.

mod curve;
mod funnel;
mod share;
mod standard;

pub use curve::{age_when, got_there};
pub use funnel::{Limits, Overdispersion, funnel_limits, overdispersion};
pub use share::{EXACT_UP_TO, Method, ShareInterval, exact, share_interval, unreliable, wilson};
pub use standard::{Standardized, Stratum, standardize};

/// The standard normal quantile of a two-sided confidence level (0 to 1, both excluded): 1.96 for 0.95.
///
/// Newton's method on the distribution function, which is concave from 0 on, so that each step stops short of the answer
/// and none goes beyond it.
pub fn z(level: f64) -> f64 {
    let mut z = 0.0;
    loop {
        let missing = level - libm::erf(z * std::f64::consts::FRAC_1_SQRT_2);
        let slope = (std::f64::consts::FRAC_2_PI).sqrt() * (-z * z / 2.0).exp();
        let next = z + missing / slope;
        // Also the end where rounding makes it step back, and where the level is no level.
        if !next.is_finite() || next <= z {
            return z;
        }
        z = next;
    }
}

/// A count as a number with a fraction.
#[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
pub fn real(count: u64) -> f64 {
    count as f64
}

/// Numerator over denominator. A numerator above the denominator counts as all of it; the denominator is not 0.
pub fn ratio(numerator: u64, denominator: u64) -> f64 {
    real(numerator.min(denominator)) / real(denominator)
}

/// A part of a whole; a whole of 0 counts as 1.
pub fn part_of(part: u64, whole: u64) -> f64 {
    real(part) / real(whole.max(1))
}

#[cfg(test)]
mod tests {
    /// A table of R's answers: the header, and each row by it. `NA` is no number.
    pub(super) fn rows(table: &str) -> Vec<impl Fn(&str) -> f64> {
        let path = format!("{}/tests/cases/statistics/{table}.csv", env!("CARGO_MANIFEST_DIR"));
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path).unwrap();
        let header = reader.headers().unwrap().clone();
        let row = |record: Result<csv::StringRecord, csv::Error>| {
            let (record, header) = (record.unwrap(), header.clone());
            move |column: &str| {
                let at = header.iter().position(|name| name == column).unwrap();
                if &record[at] == "NA" { f64::NAN } else { record[at].parse().unwrap() }
            }
        };
        reader.records().map(row).collect()
    }

    /// A whole number of a table.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the tables have small counts there")]
    pub(super) fn whole(value: f64) -> u64 {
        value as u64
    }

    /// Equal to nine digits after the point, or both no number.
    #[track_caller]
    pub(super) fn same(ours: f64, theirs: f64, what: &str) {
        let same = (ours - theirs).abs() < 1e-9 || (ours.is_nan() && theirs.is_nan());
        assert!(same, "{what}: {ours} and not {theirs}");
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for row in rows("normal") {
            same(super::z(row("level")), row("z"), &row("level").to_string());
        }
    }
}
