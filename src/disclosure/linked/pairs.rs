//! An attacker of small registries who subtracts: random tables of every kind are admitted in turn, as for the staff, and of what
//! they show each number is a set of clients. None has few clients more than those of another table inside of it.
//!
//! Which clients a shown number counts is read off its labels and the registry, and nothing of the audit is used.

use std::collections::{BTreeMap, BTreeSet};

use super::Linked;
use super::attacker::Random;
use crate::disclosure::Policy;
use crate::disclosure::release::{Cell, Number};
use crate::disclosure::slices::{Curves, Rows, Sets};
use crate::query::{Members, RawStep, Slice, Slices, Trait};

const MONTHS: usize = 5;

#[derive(Clone, Debug)]
struct Client {
    /// County and sex.
    place: [usize; 2],
    /// Parts that were given, as bits.
    has: usize,
    /// Organizations with a visit, as bits.
    visits: usize,
    /// The month of age in which the curve's measure was met, and the months to whose end the client was followed.
    event: Option<usize>,
    followed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Who has a part.
    Share(usize),
    Sets,
    Curve,
    /// Who has a part, by every organization with a visit.
    Any(usize),
    /// Who had each part.
    Doses,
}

#[derive(Clone, Debug)]
struct Ask {
    kind: Kind,
    by: [bool; 2],
    only: Option<(usize, usize)>,
}

type Clients = BTreeSet<usize>;

/// The numbers of one layer of a table: each with what it should be.
type Shown = Vec<(u64, Clients)>;

impl Client {
    fn set(&self) -> String {
        let missing = (0..3).filter(|part| self.has >> part & 1 == 0).map(|part| part.to_string());
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() { "none".to_owned() } else { missing.join(" + ") }
    }

    fn slice(&self) -> Slice {
        match self.event.filter(|event| *event < self.followed) {
            Some(event) => Slice::Event(event),
            None if self.followed < MONTHS => Slice::Left(self.followed),
            None => Slice::Remaining,
        }
    }
}

impl Ask {
    fn labels(&self, client: &Client) -> Option<Vec<String>> {
        let is_in = self.only.is_none_or(|(at, value)| client.place[at] == value);
        is_in.then(|| (0..2).filter(|at| self.by[*at]).map(|at| client.place[at].to_string()).collect())
    }

    /// The groups in which a client is, and the slice there.
    fn slices_of(&self, client: &Client) -> Vec<(Vec<String>, Slice)> {
        let Some(labels) = self.labels(client) else { return Vec::new() };
        let of_bits = |bits: usize, slice: Slice| -> Vec<_> {
            let each = (0..3).filter(|bit| bits >> bit & 1 == 1);
            each.map(|bit| (labels.iter().cloned().chain([bit.to_string()]).collect(), slice.clone())).collect()
        };
        match self.kind {
            Kind::Share(_) => Vec::new(),
            Kind::Sets => vec![(labels, Slice::Set(client.set()))],
            Kind::Curve => vec![(labels, client.slice())],
            Kind::Any(part) if client.has >> part & 1 == 1 => of_bits(client.visits, Slice::Counted),
            Kind::Any(_) => of_bits(client.visits, Slice::Other),
            Kind::Doses => of_bits(client.has, Slice::Counted),
        }
    }
}

fn random(seed: u64) -> (Vec<Client>, Vec<Ask>) {
    let mut random = Random(seed);
    let counties = 1 + random.below(3);
    let odds = [(); 3].map(|()| 2 + random.below(7));
    // Few clients of the second sex, and few visits to the third organization, so that there is something to tell.
    let rare = [(); 2].map(|()| 4 + random.below(20));
    let clients = (0..60 + random.below(240)).map(|_| Client {
        place: [random.below(counties), usize::from(random.below(rare[0]) == 0)],
        has: (0..3).map(|part| usize::from(random.below(10) < odds[part]) << part).sum(),
        visits: 1 + random.below(3) + 4 * usize::from(random.below(rare[1]) == 0),
        event: Some(random.below(2 * MONTHS)).filter(|month| *month < MONTHS),
        followed: MONTHS.min(random.below(3 * MONTHS)),
    });
    let clients: Vec<_> = clients.collect();
    let asks = (0..2 + random.below(4)).map(|_| Ask {
        kind: [Kind::Share(random.below(3)), Kind::Sets, Kind::Curve, Kind::Any(random.below(3)), Kind::Doses]
            [random.below(5)],
        by: [(); 2].map(|()| random.below(3) == 0),
        only: (random.below(2) == 0).then_some((1, 0)),
    });
    (clients, asks.collect())
}

/// The tables, and how many numbers of them would be shown if each were alone.
fn shown(clients: &[Client], asks: &[Ask]) -> (Vec<(Kind, Vec<Shown>)>, usize) {
    let policy = Policy::built_in().unwrap();
    let mut linked = Linked::new(policy.rule(None).unwrap(), false).at_once();
    let mut alone = 0;
    let tables = asks.iter().map(|ask| {
        let before = count(&read(ask, clients, &cells(ask, clients, &policy, |_| {})));
        alone += before;
        let cells = cells(ask, clients, &policy, |how| match how {
            How::Shares(outcome, members, shown) => {
                shown.clone_from(&linked.admit("", &outcome, &members, shown.clone()).0);
            }
            How::Sets(slices, sets) => drop(linked.admit_slices(&slices, sets)),
            How::Curves(slices, curves) => drop(linked.admit_slices(&slices, curves)),
            How::Rows(slices, rows) => drop(linked.admit_slices(&slices, rows)),
        });
        (ask.kind, read(ask, clients, &cells))
    });
    (tables.collect(), alone)
}

fn count(layers: &[Shown]) -> usize {
    layers.iter().map(Vec::len).sum()
}

enum How<'a, 'b> {
    Shares(String, Members, &'a mut Vec<bool>),
    Sets(Slices, &'a mut Sets<'b>),
    Curves(Slices, &'a mut Curves<'b>),
    Rows(Slices, &'a mut Rows<'b>),
}

/// The rows of a table that has given way.
fn cells(ask: &Ask, clients: &[Client], policy: &Policy, mut give_way: impl FnMut(How<'_, '_>)) -> Vec<Cell> {
    let mut groups: BTreeMap<Vec<String>, BTreeMap<Slice, Vec<i64>>> = BTreeMap::new();
    for (key, client) in (0..).zip(clients) {
        for (labels, slice) in ask.slices_of(client) {
            groups.entry(labels).or_default().entry(slice).or_default().push(key);
        }
    }
    let size = |labels: &Vec<String>, slice: &Slice| groups[labels].get(slice).map_or(0, Vec::len) as u64;
    let is_small = |number: u64| (1..policy.k()).contains(&number);
    let of_rows = |counts: BTreeMap<Vec<String>, [u64; 2]>| {
        let mut cells: Vec<Cell> = Vec::new();
        for (labels, [yes, no]) in counts {
            let mut cell =
                Cell::shown(labels, super::super::Status::Shown, [yes, no].map(Number::Count).map(Some).to_vec());
            if is_small(yes) || is_small(no) || is_small(yes + no) {
                cell.withhold();
            }
            cells.push(cell);
        }
        cells
    };
    let several = vec![ask.by.iter().filter(|by| **by).count()];
    match ask.kind {
        Kind::Share(part) => {
            let mut rows: BTreeMap<Vec<String>, Vec<(i64, bool)>> = BTreeMap::new();
            for (key, client) in (0..).zip(clients) {
                if let Some(labels) = ask.labels(client) {
                    rows.entry(labels).or_default().push((key, client.has >> part & 1 == 1));
                }
            }
            let yes = |row: &Vec<(i64, bool)>| row.iter().filter(|(_, yes)| *yes).count() as u64;
            let mut cells = of_rows(
                rows.iter().map(|(labels, row)| (labels.clone(), [yes(row), row.len() as u64 - yes(row)])).collect(),
            );
            let told = |at: usize| Trait { name: at.to_string(), family: None };
            let members = Members {
                of_people: false,
                by: (0..2).filter(|at| ask.by[*at]).map(told).collect(),
                chosen_by: ask.only.iter().map(|(at, _)| told(*at)).collect(),
                rows: rows.into_iter().collect(),
            };
            let mut shown: Vec<bool> = cells.iter().map(|cell| cell.values().is_some()).collect();
            give_way(How::Shares(part.to_string(), members, &mut shown));
            cells.iter_mut().zip(shown).filter(|(_, shown)| !shown).for_each(|(cell, _)| cell.withhold());
            cells
        }
        Kind::Sets => {
            let sets = |of: &BTreeMap<Slice, Vec<i64>>| {
                let set = |(slice, clients): (&Slice, &Vec<i64>)| match slice {
                    Slice::Set(name) => (name.clone(), clients.len() as u64),
                    _ => unreachable!(),
                };
                of.iter().map(set).collect()
            };
            let mut sets = Sets::of(groups.iter().map(|(labels, of)| (labels.clone(), sets(of))).collect(), policy);
            give_way(How::Sets(Slices { groups, several: Vec::new() }, &mut sets));
            sets.cells()
        }
        Kind::Curve => {
            let steps = |labels: &Vec<String>| {
                let mut at_risk = groups[labels]
                    .iter()
                    .filter(|(slice, _)| **slice != Slice::Left(0))
                    .map(|(_, of)| of.len() as u64)
                    .sum();
                let step = |at: usize| {
                    let (events, censored) = (size(labels, &Slice::Event(at)), size(labels, &Slice::Left(at)));
                    at_risk -= if at == 0 { 0 } else { censored };
                    let step = RawStep { at_risk, events, censored };
                    at_risk -= events;
                    step
                };
                (0..MONTHS).map(step).collect()
            };
            let mut curves = Curves::of(groups.keys().map(|labels| (labels.clone(), steps(labels))).collect(), policy);
            give_way(How::Curves(Slices { groups, several: Vec::new() }, &mut curves));
            curves.cells()
        }
        Kind::Any(_) | Kind::Doses => {
            let counts = |labels: &Vec<String>| [size(labels, &Slice::Counted), size(labels, &Slice::Other)];
            let counts: BTreeMap<_, _> = groups.keys().map(|labels| (labels.clone(), counts(labels))).collect();
            let mut cells = of_rows(counts.clone());
            give_way(How::Rows(Slices { groups, several }, &mut Rows::of(&mut cells, counts)));
            cells
        }
    }
}

/// What the rows of a table show, layer by layer.
fn read(ask: &Ask, clients: &[Client], cells: &[Cell]) -> Vec<Shown> {
    let of =
        |is_of: &dyn Fn(&Client) -> bool| -> Clients { (0..clients.len()).filter(|at| is_of(&clients[*at])).collect() };
    let mut layers: BTreeMap<String, Shown> = BTreeMap::new();
    let mut ended: BTreeMap<&[String], usize> = BTreeMap::new();
    for cell in cells {
        let Some(values) = cell.values() else { continue };
        let values: Vec<u64> = values
            .iter()
            .filter_map(|value| if let Some(Number::Count(count)) = value { Some(*count) } else { None })
            .collect();
        let count = ask.by.iter().filter(|by| **by).count();
        let (labels, last) = (&cell.labels[..count], cell.labels.get(count).cloned().unwrap_or_default());
        let group = |client: &Client| ask.labels(client).as_deref() == Some(labels);
        let bit = last.parse::<usize>().unwrap_or_default();
        match ask.kind {
            Kind::Share(part) | Kind::Any(part) => {
                let is_in = |client: &Client| {
                    group(client) && (matches!(ask.kind, Kind::Share(_)) || client.visits >> bit & 1 == 1)
                };
                let layer = layers.entry(last.clone()).or_default();
                layer.push((values[0], of(&|client| is_in(client) && client.has >> part & 1 == 1)));
                layer.push((values[1], of(&|client| is_in(client) && client.has >> part & 1 == 0)));
                layer.push((values[0] + values[1], of(&is_in)));
            }
            Kind::Doses => {
                let had = of(&|client| group(client) && client.has >> bit & 1 == 1);
                layers.entry(last.clone()).or_default().push((values[0], had));
            }
            Kind::Sets => {
                let rest: Clients = of(&|client| {
                    group(client)
                        && !cells
                            .iter()
                            .any(|cell| cell.labels[..count] == *labels && cell.labels[count] == client.set())
                });
                let is_pool = last.starts_with("other");
                let layer = layers.entry(String::new()).or_default();
                layer.push((
                    values[0],
                    if is_pool { rest } else { of(&|client| group(client) && client.set() == last) },
                ));
                layer.push((values[1], of(&group)));
            }
            Kind::Curve => {
                let until = usize::try_from(values[0]).unwrap();
                let from = ended.insert(labels, until).unwrap_or(0);
                let is_met = |client: &Client, by: usize| {
                    client.event.is_some_and(|month| month < by && month < client.followed)
                };
                let at_risk = |at: usize| of(&|client| group(client) && client.followed > at && !is_met(client, at));
                let events = of(&|client| {
                    group(client) && is_met(client, until) && !is_met(client, from) && client.followed > from
                });
                // Whoever is followed to the end is at risk to the end.
                let later = |client: &Client| !is_met(client, until) && client.followed > until.min(MONTHS - 1);
                let remain = of(&|client| group(client) && later(client));
                let all = at_risk(from);
                let left: Clients =
                    all.iter().filter(|at| !events.contains(at) && !remain.contains(at)).copied().collect();
                let layer = layers.entry(String::new()).or_default();
                layer.push((values[1] - values[2] - values[3], remain));
                layer.extend([(values[1], all), (values[2], events), (values[3], left)]);
            }
        }
    }
    layers.into_values().collect()
}

#[test]
fn no_number_has_few_clients_more_than_those_of_another_table_inside_of_it() {
    let k = usize::try_from(Policy::built_in().unwrap().k()).unwrap();
    let (mut alone, mut together) = (0, 0);
    for seed in 0..1000 {
        let (clients, asks) = random(seed);
        let (tables, before) = shown(&clients, &asks);
        (alone, together) = (alone + before, together + tables.iter().map(|(_, layers)| count(layers)).sum::<usize>());
        for (at, (kind, layers)) in tables.iter().enumerate() {
            for (number, of) in layers.iter().flatten() {
                assert_eq!(*number, of.len() as u64, "seed {seed}: {:?}", asks[at]);
                assert!(of.is_empty() || of.len() >= k, "seed {seed}: {:?} shows {number}", asks[at]);
                for (other, (its_kind, its_layers)) in tables.iter().enumerate().filter(|(other, _)| *other != at) {
                    if matches!((kind, its_kind), (Kind::Share(_), Kind::Share(_))) {
                        continue;
                    }
                    for layer in its_layers {
                        let inside = layer.iter().filter(|(_, part)| !part.is_empty() && part.is_subset(of));
                        let inside: Clients = inside.flat_map(|(_, part)| part).copied().collect();
                        let rest = of.len() - inside.len();
                        assert!(
                            inside.is_empty() || !(1..k).contains(&rest),
                            "seed {seed}: {rest} of {:?} beside {:?}",
                            asks[at],
                            asks[other]
                        );
                    }
                }
            }
        }
    }
    // So that there was something to withhold, and most of it stayed.
    assert!(together < alone && together * 4 > alone * 3, "{together} of {alone}");
}
