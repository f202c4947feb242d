//! Controlled rounding: every count becomes a neighbouring multiple of a base, and all totals are still sums.
//!
//! A multiple of the base stays what it is. In tables of one and two dimensions there is always such a table (B. D.
//! Causey, L. H. Cox and L. R. Ernst, Applications of transportation theory to statistical problems, J. Am. Stat. Assoc.
//! 80:392, 1985): a network finds the one that changes the counts least. With more dimensions there may be none (the same
//! authors), and none is found cheaply: inner cells are turned up or down until all totals fit, and where that does not
//! end, a small table is searched by the simplex method.
//!
//! Whoever knows the rule holds every table possible of which each count is less than a base from what is published. The
//! published table is one of them, and so is each with up to base - 1 persons more in one inner cell and in the totals
//! that count it. So every count has as many values as the base at least.

use std::time::Instant;

use super::attack::{Bounds, Rule};
use super::cube::Cube;
use super::network::Network;
use super::simplex::Failure;
use super::system::System;
use crate::error::{Error, Result};

/// The smallest base with which the numbers that have the same nearest multiple are w, those of 0 too: so many are left to
/// somebody who runs the rounding on every table that he holds possible.
pub fn least_base(rule: Rule) -> u64 {
    (2 * rule.w).saturating_sub(1)
}

/// Rounds a table with all its margins to multiples of `base`.
///
/// `counts` are persons, one for each cell of `cube`, and must add up; so do the numbers that come back, each less than
/// `base` from its count. Refuses where there are none, or none was found before `end`.
pub fn round(cube: &Cube, counts: &[u64], base: u64, end: Instant) -> Result<Vec<u64>> {
    let found = match Network::of(cube) {
        Some(network) => by_flow(&network, counts, base),
        None => match turn(cube, counts, base, end) {
            Some(found) => Some(found),
            None => by_simplex(cube, counts, base, end)?,
        },
    };
    let rounded = found.ok_or_else(|| refused("no neighbouring multiples of the base add up"))?;
    let is_near = |(rounded, count): (&u64, &u64)| rounded.is_multiple_of(base) && rounded.abs_diff(*count) < base;
    let adds_up = |(total, at)| cube.parts(total, at).map(|part| rounded[part]).sum::<u64>() == rounded[total];
    if !rounded.iter().zip(counts).all(is_near) || !cube.lines().all(adds_up) {
        return Err(Error::internal("a rounded table did not add up"));
    }
    Ok(rounded)
}

fn refused(why: &str) -> Error {
    Error::refused(format!("the table cannot be rounded additively: {why}"))
        .hint("leave `--round` out to suppress instead, or use fewer dimensions")
}

/// The multiple that is nearer; the lower one of two that are equally near.
fn nearest(count: u64, base: u64) -> u64 {
    count / base + u64::from(2 * (count % base) > base)
}

/// The table whose numbers are nearest to their counts, all differences together.
fn by_flow(network: &Network, counts: &[u64], base: u64) -> Option<Vec<u64>> {
    let mut steps: Vec<u64> = counts.iter().map(|count| nearest(*count, base)).collect();
    let step = |cell: usize, now: u64, up: bool| {
        let (below, rest) = (counts[cell] / base, counts[cell] % base);
        // What the difference grows by: from `rest` to `base - rest` on the way up.
        let farther = i64::try_from(base).ok()? - 2 * i64::try_from(rest).ok()?;
        match (rest, up, now == below) {
            (1.., true, true) => Some(farther),
            (1.., false, false) => Some(-farther),
            _ => None,
        }
    };
    network.balance_cheaply(&mut steps, step).then(|| steps.iter().map(|step| step * base).collect())
}

/// Turns of one inner cell in each table, for each cell that it has.
const TURNS: usize = 200;
/// Turns after which a cell may be turned back.
const REST: usize = 8;

/// A table of any number of dimensions: begins with the nearest multiples, and turns inner cells of totals that are too
/// far off up or down, each time the one after which the fewest totals are.
fn turn(cube: &Cube, counts: &[u64], base: u64, end: Instant) -> Option<Vec<u64>> {
    let (whole, small) = (i64::try_from(base).ok()?, |number: u64| i64::try_from(number).ok());
    let inner: Vec<usize> = (0..cube.len()).filter(|cell| cube.is_inner(*cell)).collect();
    let mut is_up = vec![false; cube.len()];
    // Cell → by how much the rounded parts are more than its count.
    let mut off = vec![0_i64; cube.len()];
    let mut members = vec![Vec::new(); cube.len()];
    for cell in inner.iter().copied() {
        is_up[cell] = 2 * (counts[cell] % base) > base;
        let by = if is_up[cell] { small(base - counts[cell] % base)? } else { -small(counts[cell] % base)? };
        for above in cube.with_totals(cell) {
            off[above] += by;
            if !counts[cell].is_multiple_of(base) {
                members[above].push(cell);
            }
        }
    }
    // A total that is no neighbour of its count is so many multiples too far off.
    let far = |off: i64| off.abs() / whole;
    let mut wrong: std::collections::BTreeSet<usize> = (0..cube.len()).filter(|cell| far(off[*cell]) > 0).collect();
    let mut turned = vec![0; cube.len()];
    for now in REST..REST + TURNS * inner.len() {
        // One after the other, so that none waits for ever.
        let Some(total) = wrong.range(now % cube.len()..).next().or_else(|| wrong.first()).copied() else {
            let below = |cell: usize| counts[cell].checked_add_signed(off[cell]);
            return (0..cube.len()).map(below).collect();
        };
        if Instant::now() >= end {
            return None;
        }
        let is_too_much = off[total] > 0;
        let by = if is_too_much { -whole } else { whole };
        let change = |cell: usize| -> i64 {
            cube.with_totals(cell).into_iter().map(|above| far(off[above] + by) - far(off[above])).sum()
        };
        let fits = |cell: &&usize| is_up[**cell] == is_too_much && turned[**cell] + REST <= now;
        let best = members[total].iter().filter(fits).min_by_key(|cell| (change(**cell), turned[**cell], **cell));
        let Some(cell) = best.copied() else { continue };
        is_up[cell] = !is_up[cell];
        turned[cell] = now;
        for above in cube.with_totals(cell) {
            off[above] += by;
            if far(off[above]) > 0 {
                wrong.insert(above);
            } else {
                wrong.remove(&above);
            }
        }
    }
    None
}

/// Up to so many cells that are no multiples are searched to the end.
const MOST_EXACT: usize = 400;

/// A table by branching, or the certainty that there is none.
fn by_simplex(cube: &Cube, counts: &[u64], base: u64, end: Instant) -> Result<Option<Vec<u64>>> {
    let unfinished = || refused("none was found in time");
    let bounds = |count: &u64| Bounds { low: count / base, high: count.div_ceil(base) };
    let bounds: Vec<Bounds> = counts.iter().map(bounds).collect();
    if bounds.iter().filter(|bounds| bounds.values() > 1).count() > MOST_EXACT {
        return Err(unfinished());
    }
    let mut steps: Vec<u64> = bounds.iter().map(|bounds| bounds.low).collect();
    let system = System::of(cube, &bounds);
    for part in system.parts() {
        let found = system.solve(&part, |cell| nearest(counts[cell], base), end).and_then(|mut table| table.any());
        match found {
            Ok(Some(values)) => {
                for (cell, value) in part.variables.iter().zip(values) {
                    steps[*cell] = u64::try_from(value).map_err(|_| unfinished())?;
                }
            }
            Ok(None) | Err(Failure::Unknown) => return Err(unfinished()),
            Err(Failure::Impossible(_)) => return Ok(None),
        }
    }
    Ok(Some(steps.iter().map(|step| step * base).collect()))
}
