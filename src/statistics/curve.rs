//! How a share grows with age when some are not followed to the end.

use std::collections::BTreeMap;

use super::real;

/// What happened at one age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The age, in whatever unit the ages have.
    pub age: u32,
    /// Those who got there at this age.
    pub events: u64,
    /// Those who were followed to this age and not beyond, and had not got there.
    pub censored: u64,
}

/// The curve at one age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The age.
    pub age: u32,
    /// Those who were followed to this age and had not got there before.
    pub at_risk: u64,
    /// Of these, those who got there at this age.
    pub events: u64,
    /// The share who got there by this age, 0 to 1.
    pub share: f64,
    /// Its interval, 0 to 1. There is none as long as the share is 0, nor when it is 1: the variance is not defined there.
    pub interval: Option<(f64, f64)>,
}

/// The share who got there by each age (1 - S), from counts by age in any order (E. L. Kaplan and P. Meier, JASA 53:457-481,
/// 1958). Everybody is followed from the first age on. Who is censored at an age is at risk at that age.
///
/// The interval has Greenwood's variance on the scale of log(-log S), at `z` standard errors, and so lies in 0..=1 (J. D.
/// Kalbfleisch and R. L. Prentice, The Statistical Analysis of Failure Time Data, 2nd ed. 2002, chapter 1; `log-log`
/// of R's `survfit`).
pub fn kaplan_meier(steps: impl IntoIterator<Item = Step>, z: f64) -> Vec<Point> {
    let mut by_age: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for Step { age, events, censored } in steps {
        let counts = by_age.entry(age).or_default();
        counts.0 += events;
        counts.1 += censored;
    }
    let mut at_risk: u64 = by_age.values().map(|(events, censored)| events + censored).sum();
    let mut left = 1.0;
    // Greenwood's sum of d / (n (n - d)).
    let mut greenwood = 0.0;
    let mut points = Vec::with_capacity(by_age.len());
    for (age, (events, censored)) in by_age {
        if events > 0 {
            let (n, d) = (real(at_risk), real(events));
            left *= (n - d) / n;
            greenwood += d / (n * (n - d));
        }
        let interval = (left > 0.0 && left < 1.0).then(|| {
            let reach = (z * greenwood.sqrt() / left.ln().abs()).exp();
            (1.0 - left.powf(1.0 / reach), 1.0 - left.powf(reach))
        });
        points.push(Point { age, at_risk, events, share: 1.0 - left, interval });
        at_risk -= events + censored;
    }
    points
}

/// The first age by which `share` (0 to 1) got there: the median with 0.5. None when the curve does not reach it. (R's
/// `quantile` gives the middle between two ages when the curve rests exactly at the share.)
pub fn age_when(share: f64, points: &[Point]) -> Option<u32> {
    // The product of fractions that should be one half may be off by its last digits.
    points.iter().find(|point| point.share >= share - 1e-12).map(|point| point.age)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, same, whole};
    use super::super::z;
    use super::*;

    fn step(age: u32, events: u64, censored: u64) -> Step {
        Step { age, events, censored }
    }

    #[test]
    fn curves_agree_with_r() {
        let rows = rows("curves");
        let cases: std::collections::BTreeSet<u64> = rows.iter().map(|row| whole(row("case"))).collect();
        assert!(cases.len() > 4);
        for case in cases {
            let rows: Vec<_> = rows.iter().filter(|row| whole(row("case")) == case).collect();
            let age = |value: f64| u32::try_from(whole(value)).unwrap();
            let steps = rows.iter().map(|row| step(age(row("age")), whole(row("events")), whole(row("censored"))));
            // The order does not matter.
            let points = kaplan_meier(steps.rev(), z(0.95));
            assert_eq!(points.len(), rows.len());
            for (point, row) in points.iter().zip(&rows) {
                let what = format!("case {case}, age {}", point.age);
                assert_eq!((point.age, point.at_risk), (age(row("age")), whole(row("at_risk"))), "{what}");
                same(point.share, row("share"), &what);
                let (low, high) = point.interval.unwrap_or((f64::NAN, f64::NAN));
                same(low, row("low"), &what);
                same(high, row("high"), &what);
            }
            for (share, column) in [(0.5, "median"), (0.9, "ninety")] {
                let ours = age_when(share, &points).map_or(f64::NAN, f64::from);
                same(ours, rows[0](column), &format!("case {case}, {column}"));
            }
        }
    }

    #[test]
    fn a_curve_that_can_be_added_up() {
        // Of four, one gets there at 1, one leaves at 2, one gets there at 3, one is left: 1/4, then 1 - 3/4 * 1/2.
        let points = kaplan_meier([step(1, 1, 0), step(2, 0, 1), step(3, 1, 0), step(5, 0, 1)], 1.96);
        let shares: Vec<_> = points.iter().map(|point| (point.age, point.at_risk, point.share)).collect();
        assert_eq!(shares, [(1, 4, 0.25), (2, 3, 0.25), (3, 2, 0.625), (5, 1, 0.625)]);
        assert_eq!(age_when(0.5, &points), Some(3));
        assert_eq!(age_when(0.9, &points), None);
    }

    #[test]
    fn nobody_nothing_and_all() {
        assert!(kaplan_meier([], 1.96).is_empty());
        assert_eq!(age_when(0.5, &[]), None);
        let none = kaplan_meier([step(3, 0, 10)], 1.96);
        assert_eq!((none[0].share, none[0].interval), (0.0, None));
        let all = kaplan_meier([step(3, 10, 0)], 1.96);
        assert_eq!((all[0].share, all[0].interval), (1.0, None));
        assert_eq!((age_when(0.5, &all), age_when(0.9, &all)), (Some(3), Some(3)));
    }
}
