//! How a share grows with age when some are not followed to the end.

/// The share who got there (1 - S) after each of several steps in their order, from the numbers at risk and of events (E. L.
/// Kaplan and P. Meier, JASA 53:457-481, 1958); of a life table these may have a fraction.
///
/// The interval has Greenwood's variance on the scale of log(-log S), at `z` standard errors, and so lies in 0..=1 (J. D.
/// Kalbfleisch and R. L. Prentice, The Statistical Analysis of Failure Time Data, 2nd ed. 2002, chapter 1; `log-log`
/// of R's `survfit`). There is none as long as the share is 0, nor when it is 1.
pub fn got_there(
    steps: impl IntoIterator<Item = (f64, f64)>,
    z: f64,
) -> impl Iterator<Item = (f64, Option<(f64, f64)>)> {
    let mut left = 1.0_f64;
    // Greenwood's sum of d / (n (n - d)).
    let mut greenwood = 0.0_f64;
    steps.into_iter().map(move |(n, d)| {
        if d > 0.0 {
            left *= (n - d) / n;
            greenwood += d / (n * (n - d));
        }
        let interval = (left > 0.0 && left < 1.0).then(|| {
            let reach = (z * greenwood.sqrt() / left.ln().abs()).exp();
            (1.0 - left.powf(1.0 / reach), 1.0 - left.powf(reach))
        });
        (1.0 - left, interval)
    })
}

/// The first age by which `share` (0 to 1) got there, of points of age and share: the median with 0.5. None when the curve
/// does not reach it. (R's `quantile` gives the middle between two ages when the curve rests exactly at the share.)
pub fn age_when<Age>(share: f64, points: impl IntoIterator<Item = (Age, f64)>) -> Option<Age> {
    // The product of fractions that should be one half may be off by its last digits.
    points.into_iter().find(|(_, reached)| *reached >= share - 1e-12).map(|(age, _)| age)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, same, whole};
    use super::super::{real, z};
    use super::*;

    type Point = (u64, u64, f64, Option<(f64, f64)>);

    /// The curve of people of whom so many got there at an age, and so many left at it: age, at risk, share, interval.
    fn curve(steps: &[(u64, u64, u64)]) -> Vec<Point> {
        let later = |at: usize| steps[at..].iter().map(|(_, events, censored)| events + censored).sum::<u64>();
        let at_risk: Vec<_> = (0..steps.len()).map(later).collect();
        let pairs = at_risk.iter().zip(steps).map(|(n, (_, d, _))| (real(*n), real(*d)));
        let points = steps.iter().zip(&at_risk).zip(got_there(pairs, z(0.95)));
        points.map(|(((age, ..), at_risk), (share, interval))| (*age, *at_risk, share, interval)).collect()
    }

    #[test]
    fn curves_agree_with_r() {
        let rows = rows("curves");
        let cases: std::collections::BTreeSet<u64> = rows.iter().map(|row| whole(row("case"))).collect();
        assert!(cases.len() > 4);
        for case in cases {
            let rows: Vec<_> = rows.iter().filter(|row| whole(row("case")) == case).collect();
            let steps: Vec<_> =
                rows.iter().map(|row| (whole(row("age")), whole(row("events")), whole(row("censored")))).collect();
            let points = curve(&steps);
            for ((age, at_risk, share, interval), row) in points.iter().zip(&rows) {
                let what = format!("case {case}, age {age}");
                assert_eq!(*at_risk, whole(row("at_risk")), "{what}");
                same(*share, row("share"), &what);
                let (low, high) = interval.unwrap_or((f64::NAN, f64::NAN));
                same(low, row("low"), &what);
                same(high, row("high"), &what);
            }
            for (share, column) in [(0.5, "median"), (0.9, "ninety")] {
                let ours = age_when(share, points.iter().map(|point| (point.0, point.2)));
                same(ours.map_or(f64::NAN, real), rows[0](column), &format!("case {case}, {column}"));
            }
        }
    }

    #[test]
    fn a_curve_that_can_be_added_up() {
        // Of four, one gets there at 1, one leaves at 2, one gets there at 3, one is left: 1/4, then 1 - 3/4 * 1/2.
        let points = curve(&[(1, 1, 0), (2, 0, 1), (3, 1, 0), (5, 0, 1)]);
        let shares: Vec<_> = points.iter().map(|(age, at_risk, share, _)| (*age, *at_risk, *share)).collect();
        assert_eq!(shares, [(1, 4, 0.25), (2, 3, 0.25), (3, 2, 0.625), (5, 1, 0.625)]);
        let ages = || shares.iter().map(|(age, _, share)| (*age, *share));
        assert_eq!((age_when(0.5, ages()), age_when(0.9, ages())), (Some(3), None));
    }

    #[test]
    fn nobody_nothing_and_all() {
        assert_eq!(got_there([], 1.96).next(), None);
        assert_eq!(got_there([(10.0, 0.0)], 1.96).next(), Some((0.0, None)));
        assert_eq!(got_there([(10.0, 10.0)], 1.96).next(), Some((1.0, None)));
    }
}
