//! What an attacker learns of each suppressed cell of a table: the values that it may still have.
//!
//! One or two dimensions are a network, where max-flow gives both ends exactly. More dimensions, and tables
//! with common cells, are one system of sums, whose ends the simplex method finds in exact fractions and branching in whole
//! numbers. In large systems it finds tables for all cells at once, and looks for the ends of those only that no table
//! proves safe. What could not be found out to the end counts as not safe.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::attack::{Bounds, Rule, UNBOUNDED};
use super::cube::{Cube, LEVEL};
use super::moves::{Boxes, Moves as _};
use super::network::Network;
use super::simplex::{Failure, Simplex};
use super::system::System;
use super::walk::Walk;
use crate::error::{Error, Result};

/// What a table says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The count.
    Count(u64),
    /// Nothing: there is no count.
    Suppressed,
    /// Nothing: there is no row, where others of its kind have one. It may be a zero that was left out.
    Missing,
    /// That it is suppressed because it is below this number.
    Below(u64),
    /// Nothing, and the table was never to say it: no cell of its kind has a row.
    Unpublished,
}

/// The values that a cell may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The smallest, persons.
    pub low: u64,
    /// The largest, persons; nothing where there is none.
    pub high: Option<u64>,
    /// How many, counted up to w.
    pub values: u64,
    /// What is proved of the two ends.
    pub ends: Ends,
}

/// What is proved of the ends of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// Both are reached, and nothing beyond them.
    Exact,
    /// Both are reached, and enough for the policy; whether there is more beyond them was not asked.
    AtLeast,
    /// Nothing beyond them is reached; whether they are was not found out.
    AtMost,
}

/// What an interval comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An attacker knows the count.
    Exact,
    /// Fewer than w values, or none of k or more, or not proved to be better.
    Narrow,
    /// Wide enough for the policy.
    Safe,
}

/// What is learned of a suppressed cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub cell: usize,
    /// By somebody who knows that counts are not negative.
    pub standard: Interval,
    /// By somebody who also knows k and the rule; nothing where the table cannot have come from the rule.
    pub rule_aware: Option<Interval>,
    /// What that comes to.
    pub verdict: Verdict,
}

/// Why there are no intervals.
enum Trouble {
    /// The parts along this dimension cannot sum to this total.
    Line(usize, usize),
    /// Several lines together cannot be right; one of their cells.
    Around(usize),
}

/// Finds out what can be learned of each of `cells`. `total` is the word for a total in messages; each attacker has
/// `limit` for his work, and what he has not finished by then is not safe.
pub fn audit(
    cube: &Cube,
    seen: &[Seen],
    cells: &[usize],
    rule: Rule,
    total: &str,
    limit: Duration,
) -> Result<Vec<Finding>> {
    let end = || Instant::now() + limit;
    let standard: Vec<Bounds> = seen
        .iter()
        .map(|seen| match seen {
            Seen::Count(count) => Bounds::exactly(*count),
            _ => Bounds::ANY,
        })
        .collect();
    let standard = intervals(cube, standard, cells, (rule, rule.k), end())?
        .map_err(|trouble| inconsistent(cube, &trouble, seen, total))?;
    let rule_aware = match by_rule(cube, seen, rule) {
        Some(bounds) => intervals(cube, bounds, cells, (rule, 0), end())?.ok(),
        None => None,
    };
    let finding = |(at, cell): (usize, &usize)| {
        let (standard, rule_aware) = (standard[at], rule_aware.as_ref().map(|found| found[at]));
        Finding { cell: *cell, standard, rule_aware, verdict: verdict(standard, rule_aware, rule) }
    };
    Ok(cells.iter().enumerate().map(finding).collect())
}

/// What the rule-aware attacker holds possible for each cell; nothing where a shown count breaks the rule.
///
/// Where marks such as `<11` tell small cells apart, a marked cell is 1 to k - 1 (or 0, below a total that is marked)
/// and any other suppressed cell k or more. With one mark for all, a suppressed cell is at least 1, because the rule
/// shows zeros, but for those below a suppressed total, which the rule may have suppressed with it.
fn by_rule(cube: &Cube, seen: &[Seen], rule: Rule) -> Option<Vec<Bounds>> {
    let is_told_apart = seen.iter().any(|seen| matches!(seen, Seen::Below(_)));
    let is_below = |cell: usize, is_meant: &dyn Fn(Seen) -> bool| {
        cube.with_totals(cell)[1..].iter().any(|total| is_meant(seen[*total]))
    };
    let bounds = |(cell, what): (usize, &Seen)| match what {
        Seen::Count(count) => (!rule.is_small(*count)).then(|| Bounds::exactly(*count)),
        Seen::Missing | Seen::Unpublished => Some(Bounds::ANY),
        Seen::Below(limit) => {
            let may_be_zero = is_below(cell, &|seen| matches!(seen, Seen::Below(_)));
            Some(Bounds { low: u64::from(!may_be_zero), high: limit.saturating_sub(1) })
        }
        Seen::Suppressed if is_told_apart => Some(Bounds { low: rule.k, high: UNBOUNDED }),
        Seen::Suppressed => {
            let may_be_zero = is_below(cell, &|seen| !matches!(seen, Seen::Count(_)));
            Some(Bounds { low: u64::from(!may_be_zero), high: UNBOUNDED })
        }
    };
    seen.iter().enumerate().map(bounds).collect()
}

fn verdict(standard: Interval, rule_aware: Option<Interval>, rule: Rule) -> Verdict {
    let both = || [Some(standard), rule_aware].into_iter().flatten();
    if both().any(|interval| interval.ends == Ends::Exact && interval.high == Some(interval.low)) {
        Verdict::Exact
    } else if both().any(|interval| interval.values < rule.w || interval.ends == Ends::AtMost)
        || standard.high.is_some_and(|high| high < rule.k)
    {
        Verdict::Narrow
    } else {
        Verdict::Safe
    }
}

fn inconsistent(cube: &Cube, trouble: &Trouble, seen: &[Seen], total: &str) -> Error {
    match trouble {
        Trouble::Line(cell, at) => {
            let name = cube.dimensions()[*at].name.replace(LEVEL, " > ");
            let shown = cube.parts(*cell, *at).filter_map(|part| match seen[part] {
                Seen::Count(count) => Some(u128::from(count)),
                _ => None,
            });
            let sum: u128 = shown.sum();
            let whole = match seen[*cell] {
                Seen::Count(count) => format!("{count}"),
                _ => "what the other lines leave".to_owned(),
            };
            Error::refused(format!(
                "the line of {} does not add up along `{name}`: the total is {whole}, and the counts shown in it sum to {sum}",
                cube.name(*cell, total)
            ))
            .hint("compare the line with its source: no counts of 0 or more in the suppressed cells make it right")
        }
        Trouble::Around(cell) => Error::refused(format!(
            "the lines through {} do not add up together: no counts of 0 or more in the suppressed cells make all of them right",
            cube.name(*cell, total)
        ))
        .hint("compare the totals of these lines with their source"),
    }
}

/// The interval of each of `cells` between the bounds of all. Enough is w values and a highest one of `reach` or more.
fn intervals(
    cube: &Cube,
    mut bounds: Vec<Bounds>,
    cells: &[usize],
    (rule, reach): (Rule, u64),
    end: Instant,
) -> Result<Result<Vec<Interval>, Trouble>> {
    if let Err(trouble) = narrow(cube, &mut bounds) {
        return Ok(Err(trouble));
    }
    match Network::of(cube) {
        Some(mut network) => by_flow(cube, &mut network, &bounds, cells, rule, end),
        None => Ok(by_simplex(cube, &bounds, cells, (rule, reach), end)),
    }
}

/// Rounds in which lines narrow the bounds of their cells; what is left after them is for the other methods.
const ROUNDS: usize = 100;

/// Takes from the bounds of each cell what its lines rule out one by one.
fn narrow(cube: &Cube, bounds: &mut [Bounds]) -> Result<(), Trouble> {
    let lines: Vec<(usize, usize)> = cube.lines().collect();
    for _ in 0..ROUNDS {
        let mut has_changed = false;
        for (total, at) in &lines {
            let mut tighten = |bounds: &mut [Bounds], cell: usize, low: u64, high: u64| {
                let now = Bounds { low: low.max(bounds[cell].low), high: high.min(bounds[cell].high) };
                has_changed |= now != bounds[cell];
                bounds[cell] = now;
                if now.low > now.high { Err(Trouble::Line(*total, *at)) } else { Ok(()) }
            };
            let parts = || cube.parts(*total, *at);
            let low: u64 = parts().map(|part| bounds[part].low).sum();
            let bounded: u64 = parts().map(|part| bounds[part].high).filter(|high| *high < UNBOUNDED).sum();
            let unbounded = parts().filter(|part| bounds[*part].high >= UNBOUNDED).count();
            tighten(bounds, *total, low, if unbounded > 0 { UNBOUNDED } else { bounded })?;
            let whole = bounds[*total];
            for part in parts() {
                let own = bounds[part];
                // What the other parts are at least and at most.
                let least = low - own.low;
                let most = match (unbounded, own.high >= UNBOUNDED) {
                    (0, _) => Some(bounded - own.high),
                    (1, true) => Some(bounded),
                    _ => None,
                };
                let low = most.map_or(0, |most| whole.low.saturating_sub(most));
                let high = if whole.high >= UNBOUNDED { Some(UNBOUNDED) } else { whole.high.checked_sub(least) };
                tighten(bounds, part, low, high.ok_or(Trouble::Line(*total, *at))?)?;
            }
        }
        if !has_changed {
            break;
        }
    }
    Ok(())
}

/// Both ends by max-flow from one table between the bounds.
fn by_flow(
    cube: &Cube,
    network: &mut Network,
    bounds: &[Bounds],
    cells: &[usize],
    rule: Rule,
    end: Instant,
) -> Result<Result<Vec<Interval>, Trouble>> {
    let mut counts: Vec<u64> = bounds.iter().map(|bounds| bounds.low).collect();
    if !network.balance(&mut counts, |cell, value, up| bounds[cell].room(value, up)) {
        return Ok(Err(around(cube, bounds, end)));
    }
    for (cell, bounds) in bounds.iter().enumerate() {
        network.set_open(cell, bounds.low < bounds.high);
    }
    let terms = |cell: usize| (bounds[cell].low < bounds[cell].high).then_some((bounds[cell], 0));
    let mut walk = Walk::new(counts.clone(), end);
    let mut found = Vec::with_capacity(cells.len());
    for cell in cells.iter().copied() {
        let up = walk.push(network, &terms, cell, (true, UNBOUNDED), None)?;
        walk.back();
        let down = walk.push(network, &terms, cell, (false, UNBOUNDED), None)?;
        walk.back();
        let (low, high) = (counts[cell] - down, (up < UNBOUNDED).then_some(counts[cell] + up));
        let values = up.saturating_add(down).saturating_add(1).min(rule.w);
        found.push(Interval { low, high, values, ends: Ends::Exact });
    }
    Ok(Ok(found))
}

/// A cell through whose lines the trouble goes that no single line shows.
fn around(cube: &Cube, bounds: &[Bounds], end: Instant) -> Trouble {
    let system = System::of(cube, bounds);
    let found = system.parts().into_iter().find_map(|part| match system.solve(&part, |cell| bounds[cell].low, end) {
        Err(Failure::Impossible(at)) => Some(part.variables[at]),
        _ => None,
    });
    Trouble::Around(found.unwrap_or(cube.len() - 1))
}

/// Up to so many unknown cells that hang together, both ends are found for all of them.
const ALWAYS_EXACT: usize = 300;

/// Both ends in a system of sums, each part of it that hangs together by itself. In a large part, one table is changed by
/// boxes and transfers first, and only the cells for which that is not enough are left to the simplex method.
fn by_simplex(
    cube: &Cube,
    bounds: &[Bounds],
    cells: &[usize],
    (rule, reach): (Rule, u64),
    end: Instant,
) -> Result<Vec<Interval>, Trouble> {
    let known = |bounds: Bounds| {
        let high = (bounds.high < UNBOUNDED).then_some(bounds.high);
        let ends = if bounds.values() == 1 { Ends::Exact } else { Ends::AtMost };
        Interval { low: bounds.low, high, values: bounds.values().min(rule.w), ends }
    };
    let mut found: Vec<Interval> = bounds.iter().map(|bounds| known(*bounds)).collect();
    let is_asked: BTreeSet<usize> = cells.iter().copied().collect();
    let system = System::of(cube, bounds);
    let start = shares(cube, bounds);
    for part in system.parts() {
        let mut simplex = match system.solve(&part, |cell| start[cell], end) {
            Ok(simplex) => simplex,
            Err(Failure::Impossible(at)) => return Err(Trouble::Around(part.variables[at])),
            Err(Failure::Unknown) => continue,
        };
        let mut left: BTreeSet<usize> = part.variables.iter().copied().filter(|cell| is_asked.contains(cell)).collect();
        let is_large = part.variables.len() > ALWAYS_EXACT;
        let mut witnesses = is_large.then(|| Witnesses::of(cube, bounds, &part.variables, (rule, reach), end));
        let mut widen = |tables: Vec<Vec<i128>>, left: &mut BTreeSet<usize>, found: &mut [Interval]| {
            if let Some(witnesses) = &mut witnesses {
                for table in &tables {
                    witnesses.widen(table, left, found);
                }
            }
        };
        if is_large {
            widen(simplex.any().ok().flatten().into_iter().collect(), &mut left, &mut found);
        }
        while let Some(cell) = left.pop_first() {
            let at = part.variables.binary_search(&cell).unwrap_or(0);
            match interval(&mut simplex, at, rule.w) {
                Ok((interval, tables)) => {
                    found[cell] = interval;
                    widen(tables, &mut left, &mut found);
                }
                Err(Failure::Impossible(_)) => return Err(Trouble::Around(cell)),
                Err(Failure::Unknown) => {}
            }
        }
    }
    Ok(cells.iter().map(|cell| found[*cell]).collect())
}

/// A table to begin with, which does not add up yet: each unknown cell has the same share in what is left of a line, the
/// smallest of those that its lines give it.
fn shares(cube: &Cube, bounds: &[Bounds]) -> Vec<u64> {
    let mut start: Vec<u64> = bounds.iter().map(|bounds| bounds.high).collect();
    for (total, at) in cube.lines().filter(|(total, _)| bounds[*total].values() == 1) {
        let unknown = cube.parts(total, at).filter(|part| bounds[*part].values() > 1).count() as u64;
        let low: u64 = cube.parts(total, at).map(|part| bounds[part].low).sum();
        let share = bounds[total].low.saturating_sub(low).checked_div(unknown).unwrap_or(0);
        for part in cube.parts(total, at) {
            start[part] = start[part].min(bounds[part].low + share);
        }
    }
    let start = start.into_iter().zip(bounds);
    start.map(|(start, bounds)| if start >= UNBOUNDED { bounds.low } else { start }).collect()
}

/// Values of the cells of a part that have been met: in tables of it, and by boxes and transfers from these.
struct Witnesses<'a> {
    bounds: &'a [Bounds],
    cells: &'a [usize],
    rule: Rule,
    reach: u64,
    end: Instant,
    moves: Boxes,
    met: BTreeMap<usize, BTreeSet<u64>>,
}

impl<'a> Witnesses<'a> {
    fn of(cube: &Cube, bounds: &'a [Bounds], cells: &'a [usize], (rule, reach): (Rule, u64), end: Instant) -> Self {
        let mut moves = Boxes::of(cube);
        for cell in cells {
            moves.set_open(*cell, true);
        }
        Self { bounds, cells, rule, reach, end, moves, met: BTreeMap::new() }
    }

    /// Takes from `left` the cells for which another table brings enough.
    fn widen(&mut self, table: &[i128], left: &mut BTreeSet<usize>, found: &mut [Interval]) {
        let mut counts: Vec<u64> = self.bounds.iter().map(|bounds| bounds.low).collect();
        for (cell, value) in self.cells.iter().zip(table) {
            let Ok(value) = u64::try_from(*value) else { return };
            counts[*cell] = value;
        }
        let terms = |cell: usize| self.cells.binary_search(&cell).is_ok().then(|| (self.bounds[cell], 0));
        let others = self.rule.w.saturating_sub(1);
        let mut walk = Walk::new(counts.clone(), self.end);
        for cell in left.clone() {
            let count = counts[cell];
            let met = self.met.entry(cell).or_default();
            let mut push = |up: bool, goal: u64| {
                let moved = walk.push(&self.moves, &terms, cell, (up, goal), None);
                walk.back();
                moved
            };
            // When the time is over, nothing more is met.
            let Ok(up) = push(true, others.max(self.reach.saturating_sub(count))) else { return };
            let Ok(down) = push(false, others.saturating_sub(up)) else { return };
            met.extend((count - down..=count + up.min(others)).chain([count + up]));
            let (Some(low), Some(high)) = (met.first().copied(), met.last().copied()) else { continue };
            if met.len() as u64 > others && high >= self.reach {
                let values = self.rule.w;
                found[cell] = Interval { low, high: Some(high), values, ends: Ends::AtLeast };
                left.remove(&cell);
            }
        }
    }
}

/// Values beside the ends that are tried one by one, where whole numbers may leave gaps.
const TRIED: i128 = 16;

/// An interval, and the tables in which its ends are reached.
fn interval(simplex: &mut Simplex, at: usize, w: u64) -> Result<(Interval, Vec<Vec<i128>>), Failure> {
    let lowest = simplex.extreme(at, false)?.ok_or(Failure::Unknown)?;
    let highest = simplex.extreme(at, true)?;
    let low = lowest[at];
    let (high, last) = match &highest {
        Some(highest) => (Some(highest[at]), highest[at]),
        None => (None, i128::MAX),
    };
    let mut values = if last > low { 2 } else { 1 };
    let mut value = low + 1;
    while values < w && value < last && value <= low + TRIED {
        values += u64::from(simplex.with(at, value)?.is_some());
        value += 1;
    }
    let whole = |value: i128| u64::try_from(value).map_err(|_| Failure::Unknown);
    let interval = Interval { low: whole(low)?, high: high.map(whole).transpose()?, values, ends: Ends::Exact };
    Ok((interval, std::iter::once(lowest).chain(highest).collect()))
}
