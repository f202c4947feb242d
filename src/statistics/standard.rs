//! Shares as they would be if groups were made up alike.

use super::share::wilson;
use super::{ratio, real};

/// One stratum of a group: its own counts, and its weight in the standard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stratum {
    /// Those who met the measure.
    pub numerator: u64,
    /// All.
    pub denominator: u64,
    /// How much the stratum counts, 0 or more; such as its people in the standard population.
    pub weight: f64,
}

/// A directly standardized share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standardized {
    /// The share, 0 to 1.
    pub share: f64,
    /// Its binomial variance.
    pub variance: f64,
    /// Its interval, 0 to 1.
    pub interval: (f64, f64),
}

/// The share of a group if its strata had the weights of the standard, with an interval of `z` standard errors.
///
/// Share and variance are the weighted sums of p and, with squared weights that add up to 1, of p (1 - p) / n (J.
/// L. Fleiss, B. Levin and M. C. Paik, Statistical Methods for Rates and Proportions, 3rd ed. 2003, chapter 19).
///
/// The interval is the stratified Wilson interval for given weights (X. Yan and X. G. Su, Statistics in Biopharmaceutical
/// Research 2:329-335, 2010): the weighted sum of the limits of the strata, each made with a smaller `z` that gives the sum
/// its level. It stays in 0..=1, and of one stratum it is Wilson's. The usual intervals of standardized rates (Dobson 1991,
/// Fay and Feuer 1997) are for Poisson counts of rare events: of a coverage of 90 % they would be three times too wide, and
/// end above 1. Where the shares of all strata are 0 or 1, no stratum shows a variance, and all are taken to have the same
/// for each client.
///
/// None when there is no weight, a weight is negative or no number, or a stratum with a weight has nobody.
pub fn standardize(strata: &[Stratum], z: f64) -> Option<Standardized> {
    let total: f64 = strata.iter().map(|stratum| stratum.weight).sum();
    let is_weight = |weight: f64| weight.is_finite() && weight >= 0.0;
    if !strata.iter().all(|stratum| is_weight(stratum.weight)) || total <= 0.0 || !total.is_finite() {
        return None;
    }
    let strata: Vec<Stratum> = strata.iter().filter(|stratum| stratum.weight > 0.0).copied().collect();
    if strata.iter().any(|stratum| stratum.denominator == 0) {
        return None;
    }
    let sum = |of: &dyn Fn(&Stratum) -> f64| -> f64 { strata.iter().map(of).sum() };
    let weight = |stratum: &Stratum| stratum.weight / total;
    let share_of = |stratum: &Stratum| ratio(stratum.numerator, stratum.denominator);
    let variance_of = |stratum: &Stratum| {
        let share = share_of(stratum);
        share * (1.0 - share) / real(stratum.denominator)
    };
    let variance = sum(&|stratum| weight(stratum).powi(2) * variance_of(stratum));
    let spread: &dyn Fn(&Stratum) -> f64 =
        if variance > 0.0 { &variance_of } else { &|stratum| 1.0 / real(stratum.denominator) };
    let whole = sum(&|stratum| weight(stratum).powi(2) * spread(stratum)).sqrt();
    let parts = sum(&|stratum| weight(stratum) * spread(stratum).sqrt());
    let limits = |stratum: &Stratum| wilson(stratum.numerator, stratum.denominator, z * whole / parts);
    let low = sum(&|stratum| weight(stratum) * limits(stratum).0);
    let high = sum(&|stratum| weight(stratum) * limits(stratum).1);
    Some(Standardized {
        share: sum(&|stratum| weight(stratum) * share_of(stratum)).min(1.0),
        variance,
        interval: (low, high.min(1.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, same, whole};
    use super::super::z;
    use super::*;

    fn stratum(numerator: u64, denominator: u64, weight: f64) -> Stratum {
        Stratum { numerator, denominator, weight }
    }

    #[test]
    fn standardized_shares_agree_with_r() {
        let rows = rows("standardized");
        let cases: std::collections::BTreeSet<u64> = rows.iter().map(|row| whole(row("case"))).collect();
        for case in cases {
            let rows: Vec<_> = rows.iter().filter(|row| whole(row("case")) == case).collect();
            let strata = rows
                .iter()
                .map(|row| stratum(whole(row("numerator")), whole(row("denominator")), row("weight")))
                .collect::<Vec<_>>();
            let found = standardize(&strata, z(0.95)).unwrap();
            let what = format!("case {case}");
            same(found.share, rows[0]("share"), &what);
            same(found.variance, rows[0]("variance"), &what);
            same(found.interval.0, rows[0]("low"), &what);
            same(found.interval.1, rows[0]("high"), &what);
        }
    }

    #[test]
    fn a_share_that_can_be_added_up() {
        // One half of the weight at 8 of 10, one half at 4 of 10.
        let found = standardize(&[stratum(8, 10, 3.0), stratum(4, 10, 3.0)], 1.96).unwrap();
        assert!((found.share - 0.6).abs() < 1e-12);
        assert!((found.variance - (0.016 + 0.024) / 4.0).abs() < 1e-12);
        // A stratum without weight does not count, whoever is in it.
        assert_eq!(standardize(&[stratum(8, 10, 3.0), stratum(4, 10, 3.0), stratum(0, 0, 0.0)], 1.96), Some(found));
    }

    #[test]
    fn one_stratum_is_its_own_share() {
        for (numerator, denominator) in [(0, 20), (13, 20), (20, 20)] {
            let found = standardize(&[stratum(numerator, denominator, 7.0)], 1.96).unwrap();
            let (low, high) = wilson(numerator, denominator, 1.96);
            assert!((found.interval.0 - low).abs() < 1e-12 && (found.interval.1 - high).abs() < 1e-12);
        }
    }

    #[test]
    fn what_has_no_standardized_share() {
        for strata in [
            vec![],
            vec![stratum(1, 2, 0.0)],
            vec![stratum(0, 0, 1.0), stratum(1, 2, 1.0)],
            vec![stratum(1, 2, -1.0), stratum(1, 2, 3.0)],
            vec![stratum(1, 2, f64::NAN)],
        ] {
            assert_eq!(standardize(&strata, 1.96), None, "{strata:?}");
        }
    }
}
