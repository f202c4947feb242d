//! Raw counts → a [`Release`]: the one exit from this program for numbers about people.
//!
//! Every cell is treated first; shares and intervals are computed from what is left, never before.

mod policy;
pub mod release;
pub mod table;

pub use policy::Policy;
pub use release::{Cell, Release, Status};

use crate::query::{Coverage, RawCount, RawTable};
use release::Document;

/// Treats every row of a table and makes the release of it.
///
/// A row is suppressed when its numerator, its complement (denominator minus numerator) or its denominator is 1 to
/// k - 1. No totals are made, so that no suppressed cell of the table follows from the others.
pub fn protect(raw: RawTable, question: &Coverage<'_>, policy: &Policy) -> Release {
    let cells = raw.rows.into_iter().map(|(labels, count)| treat(labels, count, policy)).collect();
    Release::new(Document::of(question, policy), raw.dimensions, cells)
}

fn treat(labels: Vec<String>, count: RawCount, policy: &Policy) -> Cell {
    let RawCount { numerator, denominator } = count;
    let small = |number: u64| (1..policy.k()).contains(&number);
    let status = if small(numerator) || small(denominator - numerator) || small(denominator) {
        Status::Suppressed
    } else if denominator == 0 {
        Status::NotApplicable
    } else if numerator == 0 {
        Status::Zero
    } else {
        Status::Shown
    };
    match status {
        Status::Shown | Status::Zero => {
            let (low, high) = wilson(numerator, denominator, policy.z());
            Cell::shown(labels, status, numerator, denominator, (low, high))
        }
        Status::Suppressed | Status::NotApplicable => Cell::withheld(labels, status),
    }
}

/// Wilson's score interval for a share (E. B. Wilson, JASA 22:209-212, 1927): the shares whose distance to the observed
/// one is `z` standard errors or less. `denominator` must not be 0; both ends lie in 0..=1.
#[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
fn wilson(numerator: u64, denominator: u64, z: f64) -> (f64, f64) {
    let (x, n) = (numerator as f64, denominator as f64);
    let share = x / n;
    let centre = share + z * z / (2.0 * n);
    let margin = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At 0 and 1 the end is exact; rounding must not push it beyond.
    let low = if numerator == 0 { 0.0 } else { ((centre - margin) / scale).max(0.0) };
    let high = if numerator == denominator { 1.0 } else { ((centre + margin) / scale).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(numerator: u64, denominator: u64) -> Status {
        treat(Vec::new(), RawCount { numerator, denominator }, &Policy::built_in().unwrap()).status
    }

    #[test]
    fn a_cell_is_shown_from_eleven_on() {
        for (numerator, denominator, expected) in [
            (10, 100, Status::Suppressed),
            (11, 100, Status::Shown),
            (1, 100, Status::Suppressed),
            (89, 100, Status::Shown),
            (90, 100, Status::Suppressed),
            (99, 100, Status::Suppressed),
            (100, 100, Status::Shown),
            (0, 100, Status::Zero),
            (0, 10, Status::Suppressed),
            (10, 10, Status::Suppressed),
            (0, 11, Status::Zero),
            (11, 11, Status::Shown),
            (11, 21, Status::Suppressed),
            (11, 22, Status::Shown),
            (0, 0, Status::NotApplicable),
        ] {
            assert_eq!(status(numerator, denominator), expected, "{numerator} of {denominator}");
        }
    }

    #[test]
    fn a_withheld_cell_carries_no_number() {
        for (numerator, denominator) in [(10, 100), (90, 100), (5, 5), (0, 0)] {
            let cell = treat(Vec::new(), RawCount { numerator, denominator }, &Policy::built_in().unwrap());
            assert_eq!(cell.counts(), None);
            assert_eq!(cell.rate(), None);
            assert_eq!(cell.interval(), None);
        }
    }

    #[test]
    fn wilson_agrees_with_r() {
        // binom::binom.confint(x, n, methods = "wilson") and prop.test(x, n, correct = FALSE)
        let z = Policy::built_in().unwrap().z();
        for (numerator, denominator, low, high) in [
            (81, 263, 0.255_286_3, 0.366_235_9),
            (15, 148, 0.062_385_9, 0.160_511_8),
            (0, 20, 0.0, 0.161_125_2),
            (29, 29, 0.882_969_2, 1.0),
        ] {
            let (l, h) = wilson(numerator, denominator, z);
            assert!((l - low).abs() < 2e-4 && (h - high).abs() < 2e-4, "{numerator}/{denominator}: {l} {h}");
        }
    }
}
