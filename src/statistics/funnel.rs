//! Which shares lie further from a target than chance explains.

use super::real;
use super::share::{at_most, exactly};

/// Tails of the limits: 95 % and 99.8 % of organizations on target lie between them.
const INNER: f64 = 0.025;
const OUTER: f64 = 0.001;
/// The part of the z scores that is drawn in at each end.
const DRAWN_IN: f64 = 0.1;
/// Of so small a probability, chance alone is not believed.
const SIGNIFICANT: f64 = 0.05;

/// The shares between which organizations of one size lie when they are on target, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// 95 % of them: lower and upper limit.
    pub inner: (f64, f64),
    /// 99.8 % of them: lower and upper limit.
    pub outer: (f64, f64),
}

/// Funnel limits around a target share (0 to 1) for a number of clients: exact binomial quantiles with interpolation (D. J.
/// Spiegelhalter, Statistics in Medicine 24:1185-1202, 2005, appendix). `factor` is the overdispersion, 1 for none: it
/// stretches the distance to the target by its square root.
///
/// A share outside a limit has a probability below that of the tail, on either side. For this, the upper limit is the lower
/// one of the complement: one client more than the formula of the paper, which calls every small organization with 100 %
/// surprising. Without clients, and with a target of 0 or 1, the limits are 0 and 1, and the target.
pub fn funnel_limits(target: f64, denominator: u64, factor: f64) -> Limits {
    let between = |tail: f64| {
        if denominator == 0 {
            return (0.0, 1.0);
        }
        if target <= 0.0 || target >= 1.0 {
            return (target, target);
        }
        let n = real(denominator);
        let low = lower_limit(target, denominator, tail) / n;
        let high = 1.0 - lower_limit(1.0 - target, denominator, tail) / n;
        let stretched = |limit: f64| (target + (limit - target) * factor.sqrt()).clamp(0.0, 1.0);
        (stretched(low), stretched(high))
    };
    Limits { inner: between(INNER), outer: between(OUTER) }
}

/// The count below which the probability is less than `tail`, between whole numbers by interpolation.
fn lower_limit(share: f64, n: u64, tail: f64) -> f64 {
    // The smallest count of which that many or fewer have the probability `tail`.
    let (mut too_small, mut count) = (None, n);
    while too_small.map_or(0, |below: u64| below + 1) < count {
        let from = too_small.map_or(0, |below| below + 1);
        let middle = from + (count - from) / 2;
        if at_most(middle, n, share) >= tail {
            count = middle;
        } else {
            too_small = Some(middle);
        }
    }
    let beyond = (at_most(count, n, share) - tail) / exactly(count, n, share);
    (real(count) - beyond).max(0.0)
}

/// How much more the shares of organizations differ than chance explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overdispersion {
    /// The mean square of the winsorized z scores; 1 or less when chance explains the differences.
    pub factor: f64,
    /// The probability of such a factor, or a larger one, by chance.
    pub p_value: f64,
}

impl Overdispersion {
    /// Whether the factor is above 1 by more than chance (5 %). Only then it should be applied.
    pub fn is_significant(&self) -> bool {
        self.factor > 1.0 && self.p_value < SIGNIFICANT
    }

    /// The factor for [`funnel_limits`]: 1 unless it is significant.
    pub fn applied(&self) -> f64 {
        if self.is_significant() { self.factor } else { 1.0 }
    }
}

/// Whether organizations (numerator, denominator) differ from a target share (0 to 1, both excluded) by more than chance (D.
/// J. Spiegelhalter, Statistics in Medicine 24:1185-1202, 2005, and Journal of the Royal Statistical Society A
/// 175:1-47, 2012).
///
/// The z score of each is its distance to the target in standard errors of the target. So that a few outliers do not widen
/// the limits that should show them, the lowest and highest tenth of the scores are drawn in to the quantiles there (of type
/// 7, as R's `quantile`). The factor is their mean square; times the number of organizations it is compared with chi-squared
/// of as many degrees of freedom. The test is on the safe side: drawn in, z scores of chance alone have a mean square of
/// about 0.7. None for fewer than two organizations with clients.
pub fn overdispersion(organizations: &[(u64, u64)], target: f64) -> Option<Overdispersion> {
    if target <= 0.0 || target >= 1.0 {
        return None;
    }
    let mut scores: Vec<f64> = organizations
        .iter()
        .filter(|(_, denominator)| *denominator > 0)
        .map(|(numerator, denominator)| {
            let n = real(*denominator);
            (real(*numerator) - n * target) / (n * target * (1.0 - target)).sqrt()
        })
        .collect();
    if scores.len() < 2 {
        return None;
    }
    scores.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&scores, DRAWN_IN), quantile(&scores, 1.0 - DRAWN_IN));
    let sum: f64 = scores.iter().map(|score| score.clamp(low, high).powi(2)).sum();
    let count = scores.len();
    Some(Overdispersion { factor: sum / real(count as u64), p_value: chi_squared_beyond(sum, count) })
}

/// The quantile of sorted numbers, between two neighbours by interpolation (R's type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = real(sorted.len() as u64 - 1) * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the slice")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// The probability that chi-squared of whole degrees of freedom (1 or more) is larger than `x` (0 or more): the finite sums
/// 26.4.4 and 26.4.5 of Abramowitz and Stegun, Handbook of Mathematical Functions, 1964.
fn chi_squared_beyond(x: f64, degrees: usize) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let half = x / 2.0;
    let is_odd = degrees % 2 == 1;
    let first = if is_odd { libm::erfc(half.sqrt()) } else { 0.0 };
    let shift = if is_odd { 0.5 } else { 0.0 };
    let terms = (0..degrees / 2).map(|at| {
        let power = real(at as u64) + shift;
        (power * half.ln() - half - libm::lgamma(power + 1.0)).exp()
    });
    (first + terms.sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, same, whole};
    use super::*;

    #[test]
    fn limits_agree_with_r() {
        for row in rows("limits") {
            let (target, denominator, factor) = (row("target"), whole(row("denominator")), row("factor"));
            let what = format!("{target} of {denominator}, {factor}");
            let Limits { inner, outer } = funnel_limits(target, denominator, factor);
            same(inner.0, row("low95"), &what);
            same(inner.1, row("high95"), &what);
            same(outer.0, row("low998"), &what);
            same(outer.1, row("high998"), &what);
        }
    }

    #[test]
    fn a_share_beyond_a_limit_is_one_that_chance_seldom_gives() {
        for (target, n) in [(0.9, 10_u64), (0.5, 50), (0.95, 300), (0.02, 77)] {
            let Limits { inner, outer } = funnel_limits(target, n, 1.0);
            for count in 0..=n {
                let share = real(count) / real(n);
                let below = at_most(count, n, target);
                let above = 1.0 - if count == 0 { 0.0 } else { at_most(count - 1, n, target) };
                for (limits, tail) in [(inner, INNER), (outer, OUTER)] {
                    assert_eq!(share < limits.0, below < tail, "{count} of {n}");
                    assert_eq!(share > limits.1, above < tail, "{count} of {n}");
                }
            }
        }
    }

    #[test]
    fn limits_at_the_ends() {
        assert_eq!(funnel_limits(0.9, 0, 1.0).outer, (0.0, 1.0));
        assert_eq!(funnel_limits(1.0, 50, 2.0).inner, (1.0, 1.0));
        assert_eq!(funnel_limits(0.0, 50, 2.0).inner, (0.0, 0.0));
        assert_eq!(funnel_limits(0.5, 1, 1.0).inner, (0.0, 1.0));
    }

    #[test]
    fn overdispersion_agrees_with_r() {
        let rows = rows("dispersion");
        let cases: std::collections::BTreeSet<u64> = rows.iter().map(|row| whole(row("case"))).collect();
        for case in cases {
            let rows: Vec<_> = rows.iter().filter(|row| whole(row("case")) == case).collect();
            let counts: Vec<_> = rows.iter().map(|row| (whole(row("numerator")), whole(row("denominator")))).collect();
            let found = overdispersion(&counts, rows[0]("target")).unwrap();
            same(found.factor, rows[0]("factor"), &format!("case {case}"));
            same(found.p_value, rows[0]("p_value"), &format!("case {case}"));
            same(found.applied(), rows[0]("applied"), &format!("case {case}"));
        }
    }

    #[test]
    fn one_organization_is_not_overdispersed() {
        assert_eq!(overdispersion(&[(5, 10), (0, 0)], 0.5), None);
        assert_eq!(overdispersion(&[(5, 10), (5, 10)], 1.0), None);
        // All on target: no difference at all.
        let equal = overdispersion(&[(5, 10), (50, 100)], 0.5).unwrap();
        assert_eq!((equal.factor, equal.p_value, equal.applied()), (0.0, 1.0, 1.0));
    }
}
