//! Tables that take a group apart: sets of missing parts and curves. What is too small is shown together with something else,
//! and so is what would tell of few beside another table.

use std::collections::BTreeMap;

use super::Policy;
use super::linked::{Gives, Number};
use super::release::{self, Cell, Status};
use super::treat::{may_be_seen, share_may_be_seen, shown};
use crate::query::{COMPLETE, RawShare, RawStep, Slice};
use crate::statistics;

/// How the set begins in which those of few clients are pooled.
pub const POOL: &str = "other sets";

/// The sets of missing parts of each group. Those with too few clients are pooled as `other sets`, with as many further
/// ones, the smallest first, as are needed for k clients.
pub(super) struct Sets<'a> {
    policy: &'a Policy,
    groups: BTreeMap<Vec<String>, Vec<Set>>,
}

/// Clients of a group who lack the same parts. A group has them in the order of their names.
struct Set {
    name: String,
    clients: u64,
    is_pooled: bool,
}

impl<'a> Sets<'a> {
    pub(super) fn of(groups: BTreeMap<Vec<String>, BTreeMap<String, u64>>, policy: &'a Policy) -> Self {
        let groups = groups.into_iter().map(|(labels, sets)| {
            let sets = sets.into_iter().filter(|(_, clients)| *clients > 0);
            let is_small = |clients| !may_be_seen(clients, policy);
            let set = |(name, clients)| Set { name, clients, is_pooled: is_small(clients) };
            let mut sets: Vec<Set> = sets.map(set).collect();
            while is_small(pool(&sets).1) && add_smallest(&mut sets) {}
            (labels, sets)
        });
        Self { policy, groups: groups.collect() }
    }

    /// The rows that are shown.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (labels, sets) in &self.groups {
            let labelled = |name: &str| labels.iter().cloned().chain([name.to_owned()]).collect();
            // A pool that is all there is says nothing of any set.
            if is_withheld(sets) {
                cells.push(Cell::withheld(labelled(POOL), Status::Suppressed));
                continue;
            }
            let denominator = sets.iter().map(|set| set.clients).sum();
            let (pooled, clients) = pool(sets);
            let has_none = sets.iter().any(|set| set.is_pooled && set.name == COMPLETE);
            let name = if has_none { format!("{POOL} or {COMPLETE}") } else { POOL.to_owned() };
            let alone = sets.iter().filter(|set| !set.is_pooled).map(|set| (set.name.clone(), set.clients));
            let mut rows: Vec<_> = alone.chain((pooled > 0).then_some((name, clients))).collect();
            rows.sort_by(|(a, x), (b, y)| (y, a).cmp(&(x, b)));
            for (set, numerator) in rows {
                let share = RawShare { numerator, denominator, clients: denominator };
                cells.push(if share_may_be_seen(share, self.policy) {
                    shown(labelled(&set), share, self.policy)
                } else {
                    Cell::withheld(labelled(&set), Status::Suppressed)
                });
            }
        }
        cells
    }
}

/// How many sets are pooled, and their clients.
fn pool(sets: &[Set]) -> (usize, u64) {
    let pooled = sets.iter().filter(|set| set.is_pooled);
    (pooled.clone().count(), pooled.map(|set| set.clients).sum())
}

/// Pools the smallest set that is shown alone, if there is one.
fn add_smallest(sets: &mut [Set]) -> bool {
    let alone = sets.iter_mut().filter(|set| !set.is_pooled);
    let smallest = alone.min_by(|a, b| (a.clients, &a.name).cmp(&(b.clients, &b.name)));
    smallest.map(|set| set.is_pooled = true).is_some()
}

/// Whether nothing is shown of a group.
fn is_withheld(sets: &[Set]) -> bool {
    sets.iter().all(|set| set.is_pooled)
}

impl Gives for Sets<'_> {
    fn class(&self, group: &[String], slice: &Slice) -> Option<usize> {
        let Slice::Set(name) = slice else { return None };
        let sets = self.groups.get(group).filter(|sets| !is_withheld(sets))?;
        let at = sets.iter().position(|set| set.name == *name)?;
        // The pool comes after all sets.
        Some(if sets[at].is_pooled { sets.len() } else { at })
    }

    fn withhold(&mut self, group: &[String], number: Number) {
        let Some(sets) = self.groups.get_mut(group) else { return };
        match number {
            Number::Class(at) if at < sets.len() => sets[at].is_pooled = true,
            Number::Class(_) => drop(add_smallest(sets)),
            Number::From(_) => sets.iter_mut().for_each(|set| set.is_pooled = true),
        }
        // A pool of one set would be that set, under another name.
        while (pool(sets).0 < 2 || !may_be_seen(pool(sets).1, self.policy)) && add_smallest(sets) {}
    }

    fn has(&self, group: &[String], slice: &Slice, clients: u64) -> bool {
        let sets = self.groups.get(group).into_iter().flatten();
        sets.filter(|set| matches!(slice, Slice::Set(name) if set.name == *name)).map(|set| set.clients).eq([clients])
    }
}

/// The share that was up to date by each age. Months are taken together until those who became up to date, those who
/// left, and those who remain are none or at least k. What is left at the end of a curve is not told.
pub(super) struct Curves<'a> {
    policy: &'a Policy,
    groups: BTreeMap<Vec<String>, Curve>,
}

struct Curve {
    steps: Vec<RawStep>,
    /// The ages in months at which stretches of months that are taken together end.
    ends: Vec<usize>,
}

/// Months of age that are taken together.
#[derive(Clone, Copy)]
struct Stretch {
    /// Months of age in it.
    months: u64,
    /// The age at its end.
    until: u64,
    at_risk: u64,
    events: u64,
    /// Left before the next stretch began.
    censored: u64,
    /// At risk when the next stretch begins.
    remain: u64,
}

impl Curve {
    fn of(steps: Vec<RawStep>, policy: &Policy) -> Self {
        let mut curve = Self { steps, ends: Vec::new() };
        for until in 1..=curve.steps.len() {
            let Stretch { at_risk, events, censored, remain, .. } =
                curve.stretch(curve.ends.last().copied().unwrap_or(0), until);
            let seen = [at_risk, events, censored, at_risk - events, remain];
            if at_risk > 0 && seen.iter().all(|count| may_be_seen(*count, policy)) {
                curve.ends.push(until);
            }
        }
        curve
    }

    /// The months from one age to another.
    fn stretch(&self, from: usize, until: usize) -> Stretch {
        let at_risk = self.steps[from].at_risk;
        let events = self.steps[from..until].iter().map(|step| step.events).sum();
        let last = self.steps[until - 1];
        let remain = self.steps.get(until).map_or(last.at_risk - last.events, |next| next.at_risk);
        let censored = at_risk.saturating_sub(events + remain);
        Stretch { months: (until - from) as u64, until: until as u64, at_risk, events, censored, remain }
    }

    fn stretches(&self) -> Vec<Stretch> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(from, until)| self.stretch(from, *until)).collect()
    }
}

impl<'a> Curves<'a> {
    pub(super) fn of(curves: BTreeMap<Vec<String>, Vec<RawStep>>, policy: &'a Policy) -> Self {
        let groups = curves.into_iter().map(|(labels, steps)| (labels, Curve::of(steps, policy)));
        Self { policy, groups: groups.collect() }
    }

    /// The rows that are shown.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (labels, curve) in &self.groups {
            let stretches = curve.stretches();
            if stretches.is_empty() {
                cells.push(Cell::withheld(labels.clone(), Status::Suppressed));
                continue;
            }
            let steps = stretches.iter().map(|stretch| {
                // Life table (Cutler and Ederer 1958): those who left within a stretch count for half of it. Those of its
                // last month left when it had ended. With a month each, this is Kaplan and Meier's estimate.
                let within = statistics::real(stretch.months - 1) / statistics::real(stretch.months);
                let at_risk = statistics::real(stretch.at_risk) - statistics::real(stretch.censored) * within / 2.0;
                (at_risk, statistics::real(stretch.events))
            });
            let points = statistics::got_there(steps, statistics::z(self.policy.confidence()));
            for (stretch, (share, interval)) in stretches.iter().zip(points) {
                let counts = [stretch.until, stretch.at_risk, stretch.events, stretch.censored];
                let shares = [Some(share), interval.map(|ends| ends.0), interval.map(|ends| ends.1)];
                let numbers = counts.map(|count| Some(release::Number::Count(count))).into_iter();
                let numbers = numbers.chain(shares.map(|share| share.map(release::Number::Share)));
                cells.push(Cell::shown(labels.clone(), Status::Shown, numbers.collect()));
            }
        }
        cells
    }
}

impl Gives for Curves<'_> {
    /// Of each stretch, those who became up to date, and those who left; and at last, who remained.
    fn class(&self, group: &[String], slice: &Slice) -> Option<usize> {
        let ends = &self.groups.get(group).filter(|curve| !curve.ends.is_empty())?.ends;
        let (month, class) = match slice {
            Slice::Event(month) => (*month, 0),
            // Who left before the first month had ended was never at risk.
            Slice::Left(month) => (month.checked_sub(1)?, 1),
            _ => (usize::MAX, 0),
        };
        let stretch = ends.partition_point(|end| *end <= month);
        Some(2 * stretch + if stretch < ends.len() { class } else { 0 })
    }

    fn withhold(&mut self, group: &[String], number: Number) {
        let Some(curve) = self.groups.get_mut(group) else { return };
        let Some(last) = curve.ends.len().checked_sub(1) else { return };
        match number {
            Number::From(0) => curve.ends.clear(),
            // Who was at risk when a stretch began is not told when it is taken together with the one before.
            Number::From(at) if at % 2 == 0 => drop(curve.ends.remove((at / 2 - 1).min(last))),
            // Behind the last stretch is nobody to take it together with: the curve ends earlier.
            Number::From(at) | Number::Class(at) => drop(curve.ends.remove((at / 2).min(last))),
        }
    }

    fn has(&self, group: &[String], slice: &Slice, clients: u64) -> bool {
        let Some(steps) = self.groups.get(group).map(|curve| &curve.steps) else { return false };
        let counted = match slice {
            Slice::Event(at) => steps.get(*at).map(|step| step.events),
            Slice::Left(at) => steps.get(*at).map(|step| step.censored),
            _ => steps.last().map(|step| step.at_risk - step.events),
        };
        counted == Some(clients)
    }

    fn is_nested(&self) -> bool {
        true
    }
}

/// Rows that are shown whole or not at all: doses, and shares in which a client is in several groups.
pub(super) struct Rows<'a> {
    cells: &'a mut [Cell],
    places: BTreeMap<Vec<String>, usize>,
    /// Of each, who are counted, and who are not.
    counts: BTreeMap<Vec<String>, [u64; 2]>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(cells: &'a mut [Cell], counts: impl IntoIterator<Item = (Vec<String>, [u64; 2])>) -> Self {
        let places = cells.iter().enumerate().map(|(at, cell)| (cell.labels.clone(), at)).collect();
        Self { cells, places, counts: counts.into_iter().collect() }
    }
}

impl Gives for Rows<'_> {
    fn class(&self, group: &[String], slice: &Slice) -> Option<usize> {
        let cell = &self.cells[*self.places.get(group)?];
        cell.values().map(|_| usize::from(*slice == Slice::Counted))
    }

    fn withhold(&mut self, group: &[String], _: Number) {
        if let Some(at) = self.places.get(group) {
            self.cells[*at].withhold();
        }
    }

    fn has(&self, group: &[String], slice: &Slice, clients: u64) -> bool {
        let [counted, others] = self.counts.get(group).copied().unwrap_or_default();
        clients == if *slice == Slice::Counted { counted } else { others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::built_in().unwrap()
    }

    fn sets<'a>(counts: &[(&str, u64)], policy: &'a Policy) -> Sets<'a> {
        let counts = counts.iter().map(|(set, count)| ((*set).to_owned(), *count)).collect();
        Sets::of([(Vec::new(), counts)].into(), policy)
    }

    fn rows(sets: &Sets<'_>) -> String {
        let row = |cell: &Cell| match cell.values() {
            Some([Some(release::Number::Count(count)), ..]) => format!("{} {count}", cell.labels[0]),
            _ => format!("{} -", cell.labels[0]),
        };
        sets.cells().iter().map(row).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn small_sets_are_pooled_until_there_are_enough() {
        for (counts, expected) in [
            (&[("none", 80), ("DTaP", 20)][..], "none 80, DTaP 20"),
            (&[("none", 80), ("DTaP", 20), ("MMR", 3)], "none 80, other sets 23"),
            (&[("none", 80), ("DTaP", 20), ("MMR", 6), ("PCV", 5)], "none 80, DTaP 20, other sets 11"),
            (&[("none", 12), ("DTaP", 4), ("MMR", 50)], "MMR 50, other sets or none 16"),
            (&[("none", 80), ("DTaP", 4)], "other sets -"),
        ] {
            assert_eq!(rows(&sets(counts, &policy())), expected);
        }
    }

    #[test]
    fn a_set_is_never_withheld_alone() {
        let counts = [("none", 80), ("DTaP", 20), ("MMR", 30), ("PCV", 40)];
        let policy = policy();
        for (withheld, expected) in [
            // In the order of the names: DTaP, MMR, PCV, none, and then the pool.
            (&[Number::Class(1)][..], "none 80, other sets 50, PCV 40"),
            (&[Number::Class(3)], "other sets or none 100, PCV 40, MMR 30"),
            (&[Number::Class(1), Number::Class(4)], "other sets 90, none 80"),
            (&[Number::Class(1), Number::Class(2), Number::Class(3)], "other sets -"),
            (&[Number::From(0)], "other sets -"),
        ] {
            let mut sets = sets(&counts, &policy);
            for number in withheld {
                sets.withhold(&[], *number);
            }
            assert_eq!(rows(&sets), expected);
        }
    }

    /// 100 clients: none in the first month, 4 and 9 in the next two, then 20 leave and 30 become up to date.
    fn curve() -> Vec<RawStep> {
        let step = |at_risk, events, censored| RawStep { at_risk, events, censored };
        vec![step(100, 0, 0), step(100, 4, 0), step(96, 9, 0), step(67, 30, 20), step(37, 5, 0)]
    }

    #[test]
    fn months_are_taken_together_until_they_may_be_seen() {
        let stretches = Curve::of(curve(), &policy()).stretches();
        let found: Vec<_> = stretches.iter().map(|s| (s.months, s.until, s.at_risk, s.events, s.censored)).collect();
        assert_eq!(found, [(1, 1, 100, 0, 0), (2, 3, 100, 13, 20), (1, 4, 67, 30, 0)]);
    }

    #[test]
    fn a_curve_gives_way_by_longer_stretches_and_an_earlier_end() {
        let policy = policy();
        for (number, expected) in [
            (Number::Class(0), &[3, 4][..]),
            (Number::From(2), &[3, 4]),
            (Number::Class(3), &[1, 4]),
            (Number::From(4), &[1, 4]),
            (Number::From(5), &[1, 3]),
            (Number::Class(6), &[1, 3]),
            (Number::From(0), &[]),
        ] {
            let mut curves = Curves::of([(Vec::new(), curve())].into(), &policy);
            curves.withhold(&[], number);
            assert_eq!(curves.groups[&Vec::new()].ends, expected, "{number:?}");
        }
    }

    #[test]
    fn every_client_at_risk_is_in_one_class_of_a_curve() {
        let policy = policy();
        let curves = Curves::of([(Vec::new(), curve())].into(), &policy);
        let slices =
            [Slice::Left(0), Slice::Event(1), Slice::Event(2), Slice::Left(3), Slice::Event(3), Slice::Left(4)];
        let classes = slices.map(|slice| curves.class(&[], &slice));
        assert_eq!(classes, [None, Some(2), Some(2), Some(3), Some(4), Some(5)]);
        assert_eq!([Slice::Event(4), Slice::Remaining].map(|slice| curves.class(&[], &slice)), [Some(6); 2]);
    }
}
