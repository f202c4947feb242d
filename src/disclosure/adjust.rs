//! What is made of treated cells: standardized shares, and limits for organizations. Only numbers that are shown go in.

use std::collections::BTreeMap;

use super::release::{Cell, CurveNote, FunnelNote, Number, Status};
use super::{Policy, treat};
use crate::query::RawShare;
use crate::statistics::{self, Stratum};

/// Numerator and denominator of a shown share.
fn counts(cell: &Cell) -> Option<(u64, u64)> {
    match cell.values()? {
        [Some(Number::Count(numerator)), Some(Number::Count(denominator)), ..] => Some((*numerator, *denominator)),
        _ => None,
    }
}

/// The share of each group as it would be if the groups were made up alike by the labels in column `at`: as all groups
/// together, as far as their cells are shown. A group of which a stratum is missing or withheld is withheld.
pub(super) fn standardize(cells: &[Cell], at: usize, policy: &Policy) -> Vec<Cell> {
    let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
    let mut groups: BTreeMap<Vec<String>, BTreeMap<&str, (u64, u64)>> = BTreeMap::new();
    for cell in cells {
        let mut labels = cell.labels.clone();
        labels.remove(at);
        let group = groups.entry(labels).or_default();
        // A stratum that is withheld everywhere is one that every group lacks.
        let weight = weights.entry(&cell.labels[at]).or_default();
        if let Some((numerator, denominator)) = counts(cell) {
            *weight += denominator;
            group.insert(&cell.labels[at], (numerator, denominator));
        }
    }
    let z = statistics::z(policy.confidence());
    let cells = groups.into_iter().map(|(labels, strata)| {
        let strata = weights.iter().map(|(label, weight)| {
            let (numerator, denominator) = strata.get(label).copied()?;
            Some(Stratum { numerator, denominator, weight: statistics::real(*weight) })
        });
        let Some(strata) = strata.collect::<Option<Vec<_>>>() else {
            return Cell::withheld(labels, Status::Suppressed);
        };
        let Some(standardized) = statistics::standardize(&strata, z) else {
            return Cell::withheld(labels, Status::Suppressed);
        };
        let sum = |of: fn(&Stratum) -> u64| strata.iter().map(of).sum::<u64>();
        let (numerator, denominator) = (sum(|stratum| stratum.numerator), sum(|stratum| stratum.denominator));
        let status = treat::told(numerator, denominator, standardized.interval);
        let numbers = [
            Number::Count(numerator),
            Number::Count(denominator),
            Number::Share(standardized.share),
            Number::Share(standardized.interval.0),
            Number::Share(standardized.interval.1),
            Number::Share(statistics::ratio(numerator, denominator)),
        ];
        Cell::shown(labels, status, numbers.map(Some).to_vec())
    });
    cells.collect()
}

/// All rows together: numerator and denominator.
pub(super) fn total(shares: &BTreeMap<Vec<String>, RawShare>) -> (u64, u64) {
    shares.values().fold((0, 0), |sum, share| (sum.0 + share.numerator, sum.1 + share.denominator))
}

/// Adds to each shown share the limits around the share of all rows together, for its own denominator; of the shown rows
/// together, where the total would tell a small count of the others. Where that is 0 or 1, there are no limits.
pub(super) fn funnel(mut cells: Vec<Cell>, total: (u64, u64), policy: &Policy) -> (FunnelNote, Vec<Cell>) {
    let shown: Vec<_> = cells.iter().filter_map(counts).collect();
    let sum = |of: fn(&(u64, u64)) -> u64| shown.iter().map(of).sum::<u64>();
    let told = (sum(|counts| counts.0), sum(|counts| counts.1));
    let (numerator, denominator) = (total.0 - told.0, total.1 - told.1);
    let withheld = RawShare { numerator, denominator, clients: denominator };
    let of_all = treat::share_may_be_seen(withheld, policy);
    let (numerator, denominator) = if of_all { total } else { told };
    let target = if denominator == 0 { 0.0 } else { statistics::ratio(numerator, denominator) };
    let dispersion = statistics::overdispersion(&shown, target);
    let factor = dispersion.map_or(1.0, |dispersion| dispersion.applied());
    for cell in &mut cells {
        let Some((_, denominator)) = counts(cell) else { continue };
        let limits = statistics::funnel_limits(target, denominator, factor);
        for limit in [limits.outer.0, limits.inner.0, limits.inner.1, limits.outer.1] {
            cell.add((0.0 < target && target < 1.0).then_some(Number::Share(limit)));
        }
    }
    let note = FunnelNote {
        target,
        organizations: shown.len() as u64,
        overdispersion: dispersion.map(|dispersion| dispersion.factor),
        p_value: dispersion.map(|dispersion| dispersion.p_value),
        factor_applied: factor,
    };
    (note, cells)
}

/// The ages before which half, and nine in ten, of the clients of each shown curve were up to date.
pub(super) fn ages(cells: &[Cell]) -> Vec<CurveNote> {
    let curves = cells.chunk_by(|a, b| a.labels == b.labels).filter_map(|rows| {
        let point = |cell: &Cell| match cell.values()?.first()? {
            Some(Number::Count(months)) => Some((*months, cell.rate()?)),
            _ => None,
        };
        let points: Vec<_> = rows.iter().filter_map(point).collect();
        let by = |share| statistics::age_when(share, points.iter().copied());
        (!points.is_empty()).then(|| CurveNote {
            labels: rows[0].labels.clone(),
            half_by_months: by(0.5),
            ninety_by_months: by(0.9),
        })
    });
    curves.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn cells(rows: &[(&str, &str, u64, u64)]) -> Vec<Cell> {
        let rows: BTreeMap<_, _> = rows
            .iter()
            .map(|(county, year, numerator, denominator)| {
                let share = RawShare { numerator: *numerator, denominator: *denominator, clients: *denominator };
                (vec![(*county).to_owned(), (*year).to_owned()], share)
            })
            .collect();
        treat::shares(rows, &treat::Beside::Nothing, &Policy::built_in().unwrap())
    }

    #[test]
    fn counties_of_different_make_up_are_made_alike() {
        // In both years both counties have the same rates; A has more of the year with the lower one.
        let cells =
            cells(&[("A", "2020", 150, 300), ("A", "2021", 80, 100), ("B", "2020", 50, 100), ("B", "2021", 240, 300)]);
        let rates: Vec<_> = standardize(&cells, 1, &Policy::built_in().unwrap())
            .iter()
            .map(|cell| (cell.labels[0].clone(), cell.rate().unwrap()))
            .collect();
        // 400 of each year: (50 % + 80 %) / 2.
        assert!(rates.iter().all(|(_, rate)| (rate - 0.65).abs() < 1e-12), "{rates:?}");
    }

    #[test]
    fn a_county_with_a_withheld_stratum_is_withheld() {
        let cells =
            cells(&[("A", "2020", 150, 300), ("A", "2021", 5, 100), ("B", "2020", 50, 100), ("B", "2021", 240, 300)]);
        let statuses: Vec<_> =
            standardize(&cells, 1, &Policy::built_in().unwrap()).iter().map(|cell| cell.status).collect();
        assert_eq!(statuses, [Status::Suppressed, Status::Shown]);
    }

    #[test]
    fn limits_are_around_the_share_of_all_shown() {
        let cells = cells(&[("A", "", 150, 300), ("B", "", 450, 900), ("C", "", 3, 50)]);
        // The three of fifty would be told by the total.
        let (note, cells) = funnel(cells, (603, 1250), &Policy::built_in().unwrap());
        assert!((note.target - 0.5).abs() < 1e-12);
        assert_eq!(note.organizations, 2);
        let limits = |cell: &Cell| {
            cell.values().map(|values| {
                values[5..]
                    .iter()
                    .map(|value| match value {
                        Some(Number::Share(share)) => *share,
                        _ => 0.0,
                    })
                    .collect::<Vec<_>>()
            })
        };
        let [a, b] = [&cells[0], &cells[1]].map(|cell| limits(cell).unwrap());
        assert!(a.is_sorted() && b.is_sorted() && a[0] < b[0] && a[3] > b[3], "{a:?} {b:?}");
        assert_eq!(limits(&cells[2]), None);
    }
}
