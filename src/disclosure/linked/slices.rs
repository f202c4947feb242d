//! Tables whose rows are more than the share of a group: sets of missing parts, curves, people who had doses, organizations
//! by every visit.
//!
//! Whatever such a table is about, its numbers count clients. It takes a group apart into classes, each with its number: those
//! who lack the same parts, those who were up to date in the same months, those who are counted and those who are not. The
//! classes of a group together are a number, too, and of a curve also those from one class on, who were still at risk. What a
//! number has more than the classes of another table inside of it is nobody, or k clients and more. Which are inside is seen
//! in the clients, so that nothing need be known of what indicators mean.
//!
//! Where a client is in several groups (of organizations, of vaccines), those of one organization or vaccine are a layer, in
//! which each client is once; only classes of one layer are added up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::grouping::{Answers, Grouping, NONE};
use super::{Follows, Linked, Reason, Table};
use crate::disclosure::table::Rule;
use crate::query::{Slice, Slices};

/// In tables of more clients than these, in so many layers, sums are not looked for.
const MOST_IN_LAYERS: usize = 2_000_000;

/// A number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Number {
    /// Of one class.
    Class(usize),
    /// Of a class and all later ones: of all clients of the group, from 0.
    From(usize),
}

/// A table while it is admitted: what it shows, and how it shows less.
pub(in super::super) trait Gives {
    /// The class of a group in which a slice is shown, if it is.
    fn class(&self, group: &[String], slice: &Slice) -> Option<usize>;
    /// Shows less of a group: not this number, and not what it would follow from within the group.
    fn withhold(&mut self, group: &[String], number: Number);
    /// Whether so many clients are as many of a slice as were counted.
    fn has(&self, group: &[String], slice: &Slice, clients: u64) -> bool;
    /// Whether clients of a class and all later ones are a number that is shown.
    fn is_nested(&self) -> bool {
        false
    }
}

/// Where a client is seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    group: usize,
    class: usize,
}

/// What is shown of a group.
#[derive(Clone, Default)]
struct Group {
    layer: usize,
    is_nested: bool,
    /// Clients of each class.
    sizes: Vec<u64>,
}

impl Group {
    fn is_number(&self, number: Number) -> bool {
        matches!(number, Number::Class(_) | Number::From(0)) || self.is_nested
    }

    fn size(&self, number: Number) -> u64 {
        match number {
            Number::Class(at) => self.sizes[at],
            Number::From(at) => self.sizes[at..].iter().sum(),
        }
    }
}

/// Something that is shown of clients.
trait Told {
    /// In which classes a client is.
    fn places(&self, client: usize, see: impl FnMut(Place));
    /// The groups, by their numbers.
    fn groups(&self) -> Vec<Group>;
}

/// A table that was admitted, and the clients of each of its slices.
#[derive(Clone)]
pub(super) struct Cut {
    /// Of which release it is.
    pub release: String,
    /// Where the slices of each client begin, and at last where they end.
    starts: Vec<usize>,
    slices: Vec<u32>,
    /// Where each slice is shown.
    places: Vec<Option<Place>>,
    groups: Vec<Group>,
}

impl Told for Cut {
    fn places(&self, client: usize, see: impl FnMut(Place)) {
        let range = self.starts.get(client).zip(self.starts.get(client + 1));
        let slices = range.map_or(&[][..], |(from, to)| &self.slices[*from..*to]);
        slices.iter().filter_map(|slice| self.places[*slice as usize]).for_each(see);
    }

    fn groups(&self) -> Vec<Group> {
        self.groups.clone()
    }
}

impl Cut {
    /// Takes in what is shown now.
    fn show(&mut self, slices: &Slices, gives: &impl Gives) {
        let mut place = self.places.iter_mut();
        for (at, (group, (labels, of_group))) in self.groups.iter_mut().zip(&slices.groups).enumerate() {
            group.sizes.clear();
            for ((slice, clients), place) in of_group.iter().zip(&mut place) {
                let class = gives.class(labels, slice);
                if let Some(class) = class {
                    group.sizes.resize(group.sizes.len().max(class + 1), 0);
                    group.sizes[class] += clients.len() as u64;
                }
                *place = class.map(|class| Place { group: at, class });
            }
        }
    }
}

/// A table of shares: of each shown row, who is not counted and who is. Of people, only the latter are clients.
struct Shares<'a> {
    grouping: &'a Grouping,
    answers: &'a Answers,
    table: &'a Table,
}

impl Told for Shares<'_> {
    fn places(&self, client: usize, mut see: impl FnMut(Place)) {
        let Ok(client) = u32::try_from(client) else { return };
        let row = self.grouping.row(client);
        if row == NONE || !self.table.shown[row as usize] {
            return;
        }
        let is_counted = self.answers.get(client) == Some(true);
        if is_counted || !self.table.of_people {
            see(Place { group: row as usize, class: usize::from(is_counted) });
        }
    }

    fn groups(&self) -> Vec<Group> {
        let rows = self.grouping.sizes.iter().zip(&self.table.numerators).zip(&self.table.shown);
        let group = |((size, yes), shown): ((&u64, &u64), &bool)| {
            let no = if self.table.of_people { 0 } else { size - yes };
            Group { sizes: if *shown { vec![no, *yes] } else { Vec::new() }, ..Group::default() }
        };
        rows.map(group).collect()
    }
}

/// From which to which class of a group some clients are.
#[derive(Clone, Copy)]
struct Hull {
    group: usize,
    first: usize,
    last: usize,
}

/// Clients of classes of one layer that are inside of a number, and the smallest of these classes.
#[derive(Clone, Copy, Default)]
struct Inside {
    clients: u64,
    smallest: Option<(u64, Place)>,
}

impl Inside {
    fn add(&mut self, clients: u64, smallest: Option<(u64, Place)>) {
        self.clients += clients;
        self.smallest = self.smallest.into_iter().chain(smallest).min();
    }
}

/// Numbers of one table that have few clients more than what another table shows inside of them: the smallest class there,
/// and the number.
fn few_more(inner: &impl Told, outer: &impl Told, clients: usize, rule: Rule) -> Vec<(Place, usize, Number)> {
    let (within, around) = (inner.groups(), outer.groups());
    let hulls = hulls(inner, &within, outer, clients);
    let mut inside: BTreeMap<(usize, usize), Vec<[Inside; 2]>> = BTreeMap::new();
    for (group, hulls) in hulls.iter().enumerate() {
        for (class, hull) in
            hulls.iter().enumerate().flat_map(|(class, hulls)| hulls.iter().map(move |hull| (class, hull)))
        {
            let size = within[group].sizes[class];
            let classes = around[hull.group].sizes.len();
            let of = inside.entry((hull.group, within[group].layer)).or_insert_with(|| vec![<_>::default(); classes]);
            let own = Some((size, Place { group, class }));
            of[hull.first][0].add(size, own);
            if hull.first == hull.last {
                of[hull.first][1].add(size, own);
            }
        }
    }
    let mut found = Vec::new();
    for ((group, _), of) in inside {
        let mut later = Inside::default();
        for (at, [from, alone]) in of.into_iter().enumerate().rev() {
            later.add(from.clients, from.smallest);
            for (number, inside) in [(Number::From(at), later), (Number::Class(at), alone)] {
                let rest = around[group].size(number).saturating_sub(inside.clients);
                if around[group].is_number(number) && rule.is_small(rest) {
                    found.extend(inside.smallest.map(|(_, place)| (place, group, number)));
                }
            }
        }
    }
    found
}

/// For each class of one table, from where to where its clients are in each group of another that has all of them.
fn hulls(inner: &impl Told, within: &[Group], outer: &impl Told, clients: usize) -> Vec<Vec<Vec<Hull>>> {
    let mut hulls: Vec<Vec<Option<Vec<Hull>>>> = within.iter().map(|group| vec![None; group.sizes.len()]).collect();
    // Classes of which it is not yet known that no group has all of them.
    let mut open = within.iter().flat_map(|group| &group.sizes).filter(|size| **size > 0).count();
    let mut seen: Vec<Place> = Vec::new();
    for client in 0..clients {
        if open == 0 {
            break;
        }
        let mut is_looked_up = false;
        inner.places(client, |Place { group, class }| {
            let known = &mut hulls[group][class];
            if known.as_ref().is_some_and(Vec::is_empty) {
                return;
            }
            if !std::mem::replace(&mut is_looked_up, true) {
                seen.clear();
                outer.places(client, |place| seen.push(place));
            }
            if let Some(known) = known {
                known.retain_mut(|hull| {
                    let Some(place) = seen.iter().find(|place| place.group == hull.group) else { return false };
                    (hull.first, hull.last) = (hull.first.min(place.class), hull.last.max(place.class));
                    true
                });
            } else {
                let hull = |place: &Place| Hull { group: place.group, first: place.class, last: place.class };
                *known = Some(seen.iter().map(hull).collect());
            }
            open -= usize::from(known.as_ref().is_some_and(Vec::is_empty));
        });
    }
    hulls.into_iter().map(|group| group.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

impl Linked {
    /// Takes in a table, of which what would tell of few beside all earlier tables is withheld, and gives the reasons.
    pub(in super::super) fn admit_slices(&mut self, slices: &Slices, gives: &mut impl Gives) -> BTreeSet<Reason> {
        let mut new = self.cut(slices, gives.is_nested());
        new.show(slices, gives);
        let groups: Vec<&Vec<String>> = slices.groups.keys().collect();
        let mut reasons = BTreeSet::new();
        let layers = new.groups.iter().map(|group| group.layer + 1).max().unwrap_or_default();
        let layers = if layers * self.clients.len() > MOST_IN_LAYERS { 0..0 } else { 0..layers };
        let mut layers = layers.peekable();
        loop {
            let mut is_done = true;
            let earlier = self.tables.iter().map(|table| table.is_layer).chain(self.cuts.iter().map(|_| false));
            let earlier: Vec<usize> = earlier.enumerate().filter(|(_, is_layer)| !is_layer).map(|(at, _)| at).collect();
            for at in earlier {
                loop {
                    let (release, few) = self.few_beside(&new, at);
                    if few.is_empty() {
                        break;
                    }
                    is_done = false;
                    reasons.insert(Reason { release: release.to_owned(), rule: Follows::Difference });
                    for (group, number) in few {
                        gives.withhold(groups[group], number);
                    }
                    new.show(slices, gives);
                }
            }
            if !is_done {
                continue;
            }
            let Some(layer) = layers.peek() else { break };
            let places = self.add_layer(&new, *layer);
            let few = self.sums();
            if few.is_empty() {
                layers.next();
                continue;
            }
            self.tables.pop();
            self.groupings.pop();
            // One of a group: with it, the other classes of the group may be others.
            let mut withheld = BTreeSet::new();
            for (row, reason) in few {
                let Place { group, class } = places[row];
                if withheld.insert(group) {
                    gives.withhold(groups[group], Number::Class(class));
                    reasons.insert(reason);
                }
            }
            new.show(slices, gives);
        }
        self.cuts.push(new);
        reasons
    }

    /// Takes in the classes of a layer as rows of a table in which nobody is counted, so that sums are looked for in them.
    /// Gives the place of each row.
    fn add_layer(&mut self, cut: &Cut, layer: usize) -> Vec<Place> {
        let groups = cut.groups.iter().enumerate().filter(|(_, group)| group.layer == layer);
        let places = groups.flat_map(|(group, of)| (0..of.sizes.len()).map(move |class| Place { group, class }));
        let places: Vec<Place> = places.collect();
        let rows: BTreeMap<Place, u32> = places.iter().copied().zip(0..).collect();
        let mut grouping = Grouping::default();
        for client in 0..u32::try_from(self.clients.len()).unwrap_or(NONE) {
            cut.places(client as usize, |place| {
                if let Some(row) = rows.get(&place) {
                    grouping.put(client, *row);
                }
            });
        }
        grouping.sizes = places.iter().map(|place| cut.groups[place.group].sizes[place.class]).collect();
        let shown = grouping.sizes.iter().map(|size| *size > 0).collect();
        let numerators = vec![0; places.len()];
        self.groupings.push(Arc::new(grouping));
        let answers = self.answers_to("");
        self.tables.push(Table {
            release: String::new(),
            grouping: self.groupings.len() - 1,
            answers,
            of_people: false,
            is_layer: true,
            is_known: false,
            numerators,
            shown,
        });
        places
    }

    /// Rows of the newest table of shares from which, beside tables of other kinds, few would follow.
    pub(super) fn beside_slices(&self) -> Vec<(usize, Reason)> {
        let Some(new) = self.tables.last().map(|table| self.shares(table)) else { return Vec::new() };
        let few = self.cuts.iter().flat_map(|cut| {
            let reason = Reason { release: cut.release.clone(), rule: Follows::Difference };
            let inside = few_more(&new, cut, self.clients.len(), self.rule).into_iter().map(|(place, ..)| place.group);
            let around = few_more(cut, &new, self.clients.len(), self.rule).into_iter().map(|(_, group, _)| group);
            inside.chain(around).map(move |row| (row, reason.clone())).collect::<Vec<_>>()
        });
        few.collect()
    }

    /// Numbers of a table, one of each group, from which few would follow beside an earlier one, and the release of that.
    fn few_beside(&self, new: &Cut, at: usize) -> (&str, BTreeMap<usize, Number>) {
        let (clients, rule) = (self.clients.len(), self.rule);
        let (release, inside, around) = if let Some(table) = self.tables.get(at) {
            let other = self.shares(table);
            (&table.release, few_more(new, &other, clients, rule), few_more(&other, new, clients, rule))
        } else {
            let other = &self.cuts[at - self.tables.len()];
            (&other.release, few_more(new, other, clients, rule), few_more(other, new, clients, rule))
        };
        let inside = inside.into_iter().map(|(place, ..)| (place.group, Number::Class(place.class)));
        let around = around.into_iter().map(|(_, group, number)| (group, number));
        (release, around.chain(inside).collect())
    }

    fn shares<'a>(&'a self, table: &'a Table) -> Shares<'a> {
        Shares { grouping: &self.groupings[table.grouping], answers: &self.answers[table.answers], table }
    }

    /// The clients of a table by their numbers; nothing of them is shown yet.
    fn cut(&mut self, slices: &Slices, is_nested: bool) -> Cut {
        let mut of: Vec<(u32, u32)> = Vec::new();
        let all = slices.groups.values().flat_map(BTreeMap::values);
        for (slice, clients) in (0..).zip(all) {
            of.extend(clients.iter().map(|key| (self.number(*key), slice)));
        }
        let mut starts = vec![0; self.clients.len() + 1];
        for (client, _) in &of {
            starts[*client as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; of.len()];
        for (client, slice) in of {
            let at = &mut next[client as usize];
            sorted[*at] = slice;
            *at += 1;
        }
        let mut layers: BTreeMap<Vec<&String>, usize> = BTreeMap::new();
        let groups = slices.groups.keys().map(|labels| {
            let next = layers.len();
            let layer = slices.several.iter().map(|at| &labels[*at]).collect();
            Group { layer: *layers.entry(layer).or_insert(next), is_nested, sizes: Vec::new() }
        });
        let groups = groups.collect();
        let places = vec![None; slices.groups.values().map(BTreeMap::len).sum()];
        Cut { release: String::new(), starts, slices: sorted, places, groups }
    }
}
