//! Confidence intervals of a share, and when a share says too little.

use super::{ratio, real, z};

/// Up to this many people, a share has the exact interval.
///
/// Brown, Cai and `DasGupta` (Statistical Science 16:101-133, 2001) draw the border between small and large at 40. For
/// small numbers they prefer Wilson's interval, because the exact one covers more than it says. We take the exact one
/// there all the same: coverage lies near 1, where Wilson's may cover less than it says, and an interval of a small group
/// should err to the wide side. NIST's handbook (7.2.4.1) likewise has the exact interval for small
/// numbers, and Wilson's in general.
pub const EXACT_UP_TO: u64 = 40;

/// The nominal half-width of an estimate above which CDC does not publish it: see [`unreliable`].
const WIDEST: f64 = 0.588;
const FEWEST: u64 = 30;

/// How an interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Clopper and Pearson: [`exact`].
    Exact,
    /// Wilson's score: [`wilson`].
    Wilson,
}

impl Method {
    /// The word in releases.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Wilson => "wilson",
        }
    }
}

/// An interval of shares, 0 to 1, and how it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareInterval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was made.
    pub method: Method,
}

/// The interval of a share at a confidence level (0 to 1, both excluded): exact up to [`EXACT_UP_TO`] people, Wilson's
/// above.
pub fn share_interval(numerator: u64, denominator: u64, level: f64) -> ShareInterval {
    let (method, (low, high)) = if denominator <= EXACT_UP_TO {
        (Method::Exact, exact(numerator, denominator, level))
    } else {
        (Method::Wilson, wilson(numerator, denominator, z(level)))
    };
    ShareInterval { low, high, method }
}

/// Wilson's score interval for a share (E. B. Wilson, JASA 22:209-212, 1927): the shares whose distance to the observed
/// one is `z` standard errors or less. Both ends lie in 0..=1. Of nobody, any share is possible: 0 to 1. A numerator above
/// the denominator counts as all of it.
pub fn wilson(numerator: u64, denominator: u64, z: f64) -> (f64, f64) {
    if denominator == 0 {
        return (0.0, 1.0);
    }
    let (share, n) = (ratio(numerator, denominator), real(denominator));
    let centre = share + z * z / (2.0 * n);
    let margin = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At 0 and 1 the end is exact; rounding must not push it beyond.
    let low = if numerator == 0 { 0.0 } else { ((centre - margin) / scale).max(0.0) };
    let high = if numerator >= denominator { 1.0 } else { ((centre + margin) / scale).min(1.0) };
    (low, high)
}

/// The exact interval for a share (C. J. Clopper and E. S. Pearson, Biometrika 26:404-413, 1934), at a confidence level (0
/// to 1, both excluded): the shares under which neither the observed number or more, nor the observed number or fewer, has
/// a probability below half of what is left to 1. Its ends are quantiles of beta distributions; here they are found from
/// the binomial tails themselves. Both ends lie in 0..=1. Of nobody, any share is possible: 0 to 1. A numerator above the
/// denominator counts as all of it.
pub fn exact(numerator: u64, denominator: u64, level: f64) -> (f64, f64) {
    let numerator = numerator.min(denominator);
    let tail = (1.0 - level) / 2.0;
    (lower_end(numerator, denominator, tail), 1.0 - lower_end(denominator - numerator, denominator, tail))
}

/// The share under which `numerator` or more have the probability `tail`; 0 for none.
fn lower_end(numerator: u64, denominator: u64, tail: f64) -> f64 {
    if numerator == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, ratio(numerator, denominator));
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if 1.0 - at_most(numerator - 1, denominator, middle) < tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The probability that exactly `count` of `n` are met, each with probability `share` (0 to 1, both excluded).
///
/// C. Loader's form (Fast and accurate computation of binomial probabilities, 2000), as R has it: the large numbers of the
/// three factorials are taken out beforehand, so that of millions no digit is lost.
pub(super) fn exactly(count: u64, n: u64, share: f64) -> f64 {
    let (x, rest, n) = (real(count), real(n - count), real(n));
    if count == 0 {
        return (n * (-share).ln_1p()).exp();
    }
    if rest == 0.0 {
        return (n * share.ln()).exp();
    }
    let errors = stirling_error(n) - stirling_error(x) - stirling_error(rest);
    let exponent = errors - deviance(x, n * share) - deviance(rest, n * (1.0 - share));
    exponent.exp() * (n / (std::f64::consts::TAU * x * rest)).sqrt()
}

/// What Stirling's formula for ln n! lacks, for 1 and more.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - std::f64::consts::TAU.sqrt().ln();
    }
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / n
}

/// x ln(x / mean) + mean - x, which is near 0 where x is near the mean.
fn deviance(x: f64, mean: f64) -> f64 {
    let off = (x - mean) / mean;
    mean * ((1.0 + off) * off.ln_1p() - off)
}

/// The probability that `count` or fewer of `n` are met, each with probability `share` (0 to 1, both excluded).
///
/// The terms of the tail that does not hold the mean are added up from the largest on: each is the one before times a
/// ratio, and of millions of people some ten thousand terms matter.
pub(super) fn at_most(count: u64, n: u64, share: f64) -> f64 {
    if count >= n {
        return 1.0;
    }
    let odds = share / (1.0 - share);
    let is_below = real(count) <= real(n) * share;
    let mut at = if is_below { count } else { count + 1 };
    let mut term = exactly(at, n, share);
    let mut sum = 0.0;
    // A term of 0 is smaller than all numbers, and so are those after it.
    while term > sum * f64::EPSILON {
        sum += term;
        if is_below {
            term *= real(at) / (real(n - at + 1) * odds);
            at = at.saturating_sub(1);
        } else {
            term *= real(n - at) * odds / real(at + 1);
            at += 1;
        }
    }
    if is_below { sum } else { 1.0 - sum }
}

/// Whether a share says too little to be published, as CDC decides for the National Immunization Surveys (metadata of its
/// coverage indicators): fewer than 30 people, or an interval whose half-width is more than 0.588 of the estimate. So a
/// share of 0 is never reliable.
pub fn unreliable(numerator: u64, denominator: u64, interval: (f64, f64)) -> bool {
    let half = (interval.1 - interval.0) / 2.0;
    denominator < FEWEST || half > WIDEST * ratio(numerator, denominator)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, same, whole};
    use super::*;

    #[test]
    fn intervals_agree_with_r() {
        for row in rows("shares") {
            let (numerator, denominator) = (whole(row("numerator")), whole(row("denominator")));
            let what = format!("{numerator} of {denominator} at {}", row("level"));
            let (low, high) = wilson(numerator, denominator, z(row("level")));
            same(low, row("wilson_low"), &what);
            same(high, row("wilson_high"), &what);
            let (low, high) = exact(numerator, denominator, row("level"));
            same(low, row("exact_low"), &what);
            same(high, row("exact_high"), &what);
        }
    }

    #[test]
    fn tails_agree_with_r() {
        for row in rows("tails") {
            let (count, n) = (whole(row("count")), whole(row("n")));
            let what = format!("{count} of {n} at {}", row("share"));
            same(at_most(count, n, row("share")), row("at_most"), &what);
            same(exactly(count, n, row("share")), row("exactly"), &what);
        }
    }

    #[test]
    fn nobody_and_too_many_have_an_interval() {
        assert_eq!(wilson(0, 0, 1.96), (0.0, 1.0));
        assert_eq!(exact(0, 0, 0.95), (0.0, 1.0));
        assert_eq!(wilson(12, 10, 1.96), wilson(10, 10, 1.96));
        assert_eq!(exact(12, 10, 0.95), exact(10, 10, 0.95));
    }

    #[test]
    fn forty_is_the_last_exact_one() {
        for (denominator, method) in [(0, "exact"), (40, "exact"), (41, "wilson"), (30_000_000, "wilson")] {
            let interval = share_interval(denominator / 2, denominator, 0.95);
            assert_eq!(interval.method.word(), method);
            let ends = if method == "exact" {
                exact(denominator / 2, denominator, 0.95)
            } else {
                wilson(denominator / 2, denominator, z(0.95))
            };
            assert_eq!((interval.low, interval.high), ends);
        }
    }

    #[test]
    fn a_share_of_few_or_with_a_wide_interval_is_unreliable() {
        for (numerator, denominator, interval, expected) in [
            (0, 0, (0.0, 1.0), true),
            (29, 29, (0.88, 1.0), true),
            (30, 30, (0.88, 1.0), false),
            // 0.588 of one half is 0.294.
            (50, 100, (0.21, 0.79), false),
            (50, 100, (0.2, 0.8), true),
            (0, 1_000, (0.0, 0.001), true),
        ] {
            assert_eq!(unreliable(numerator, denominator, interval), expected, "{numerator} of {denominator}");
        }
    }
}
