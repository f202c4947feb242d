//! Exact binomial limits of a funnel plot.

use super::funnel::Limits;

/// The shares of `denominator` clients between which organizations with the true share `target` lie: quantiles of the
/// binomial distribution with interpolation between counts (Spiegelhalter 2005, appendix A.1.1; the upper limit is the
/// lower one of the complement). A target of 0 or 1, and no clients, have the target as their limits.
pub fn funnel_limits(target: f64, denominator: u64) -> Limits {
    let between = |tail: f64| {
        if denominator == 0 || target <= 0.0 || target >= 1.0 {
            return (target, target);
        }
        (lower(target, denominator, tail), 1.0 - lower(1.0 - target, denominator, tail))
    };
    Limits { inner: between(0.025), outer: between(0.001) }
}

/// The share below which the probability is less than `tail`.
#[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
fn lower(share: f64, denominator: u64, tail: f64) -> f64 {
    let n = denominator as f64;
    let odds = (share / (1.0 - share)).ln();
    // Logarithms, because the probability of a count may be far below the smallest number.
    let mut exactly = n * (1.0 - share).ln();
    let mut at_most = exactly.exp();
    let mut count = 0.0;
    while at_most < tail && count < n {
        exactly += ((n - count) / (count + 1.0)).ln() + odds;
        at_most += exactly.exp();
        count += 1.0;
    }
    ((count - (at_most - tail) / exactly.exp()) / n).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_coin() {
        // Two throws: 0, 1 and 2 heads have the probabilities 1/4, 1/2 and 1/4.
        assert!(lower(0.5, 2, 0.25) < 1e-12);
        // At most 1 has 3/4; half of the way from 1/4 to 3/4 is half of a count.
        assert!((lower(0.5, 2, 0.5) - 0.25).abs() < 1e-12);
        let limits = funnel_limits(0.5, 100);
        for (found, expected) in [(limits.inner.0, 0.40), (limits.inner.1, 0.60), (limits.outer.0, 0.35)] {
            assert!((found - expected).abs() < 0.01, "{limits:?}");
        }
        assert_eq!(funnel_limits(1.0, 5), Limits { inner: (1.0, 1.0), outer: (1.0, 1.0) });
    }

    #[test]
    fn limits_narrow_as_organizations_grow() {
        let widths: Vec<f64> =
            [10, 100, 1_000, 50_000].map(|n| funnel_limits(0.9, n)).iter().map(|l| l.outer.1 - l.outer.0).collect();
        assert!(widths.is_sorted_by(|a, b| a > b), "{widths:?}");
    }
}
