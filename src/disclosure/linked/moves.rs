//! Where else the clients of a withheld row could be: one trait of a client could be another's.
//!
//! A client of a withheld row moves to another one when a family of traits (the place, the sex, the race) becomes that of
//! a client there. Nothing that is shown changes, when in every table that tells of the family the client leaves a row of
//! unknown size for a row of unknown size. No row loses its last client, because a table has no rows of nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Linked;
use super::grouping::{Answers, Grouping, Traits};

/// So many clients of a row are tried as the one whose traits are taken.
const EXAMPLES: usize = 8;

/// No more are looked for, beyond k, of those who are counted and of those who are not.
const ENOUGH: u64 = 100;

/// Clients who could have come to a row, or left it.
#[derive(Clone, Copy, Default)]
pub(super) struct Moved {
    pub clients: u64,
    pub yes: u64,
}

/// What is looked up again and again beside one grouping, and depends on the clients of the tables alone.
#[derive(Clone, Default)]
pub(super) struct Routes {
    /// For each grouping, which of its rows have the rows of the one that is looked at.
    around: Vec<Vec<u32>>,
    /// The clients of its rows, in the order of the rows of other tables that they are in and of their answers: who goes first
    /// matters, and in every load clients have other keys. It holds for so many tables.
    clients: (usize, BTreeMap<u32, Arc<[u32]>>),
}

/// What becomes of the row of a client in a table.
enum Step {
    Stays,
    Goes(usize, usize),
    /// The table would show it.
    Stopped,
}

/// A table's grouping, and which of its rows have a size that is known.
struct Place<'a> {
    at: usize,
    grouping: &'a Grouping,
    /// By the number of a family among those of the grouping that is looked at.
    traits: Vec<Traits<'a>>,
    known: &'a [bool],
    left: Vec<u64>,
}

impl Linked {
    /// How many clients could leave a row of unknown size for others of its table, and how many could come to it.
    pub(super) fn moves(&self, grouping: usize, row: usize, answers: usize, routes: &mut Routes) -> [Moved; 2] {
        let here = &self.groupings[grouping];
        let until = self.tables.len();
        let known: Vec<Vec<bool>> = (0..self.groupings.len()).map(|at| self.is_told(at, until)).collect();
        for at in routes.around.len()..known.len() {
            routes.around.push(self.groupings[at].around(here));
        }
        let hidden = (0_u32..).zip(&known[grouping]).filter(|(_, known)| !**known).map(|(row, _)| row);
        let (own, others): (Vec<u32>, Vec<u32>) = hidden.partition(|hidden| *hidden as usize == row);
        if routes.clients.0 != until {
            routes.clients = (until, BTreeMap::new());
        }
        let (around, sorted) = (&routes.around, &mut routes.clients.1);
        let mut members = |row: u32| {
            Arc::clone(sorted.entry(row).or_insert_with(|| self.in_order_of_tables(here.clients_of(row)).into()))
        };
        let mut families: Vec<&String> = here.by.iter().filter_map(|told| told.family.as_ref()).collect();
        families.sort();
        families.dedup();
        let answers = &self.answers[answers];
        [(&own, &others), (&others, &own)].map(|(from, to)| {
            let mut places: Vec<Place<'_>> = self
                .groupings
                .iter()
                .enumerate()
                .filter(|(at, _)| self.tables.iter().any(|table| table.grouping == *at))
                .map(|(at, grouping)| Place {
                    at,
                    grouping,
                    traits: families.iter().map(|family| grouping.traits(family)).collect(),
                    known: &known[at],
                    left: grouping.sizes.clone(),
                })
                .collect();
            let mut moved = Moved::default();
            let enough = self.rule.k + ENOUGH;
            for row in from {
                if moved.yes.min(moved.clients - moved.yes) >= enough {
                    break;
                }
                let clients = members(*row);
                let Some(first) = clients.first() else { continue };
                let examples = families.iter().enumerate().map(|(number, family)| {
                    let agree = to.iter().filter(|other| here.differs_in(*row, **other, family));
                    let mut all = Vec::new();
                    for other in agree {
                        if all.len() == EXAMPLES {
                            break;
                        }
                        all.extend(members(*other).iter().take(EXAMPLES - all.len()));
                    }
                    let is_stopped = |other: &u32| {
                        places.iter().any(|place| {
                            let is_one = |row: u32| (around[place.at][row as usize] as usize) < place.left.len();
                            // Then what holds for one client of the row holds for all.
                            is_one(*row)
                                && is_one(here.row(*other))
                                && matches!(place.step(*first, *other, number), Step::Stopped)
                        })
                    };
                    all.retain(|other| !is_stopped(other));
                    all
                });
                let examples: Vec<Vec<u32>> = examples.collect();
                for client in clients.iter() {
                    let goes = examples.iter().enumerate().any(|(family, examples)| {
                        examples.iter().any(|other| take(&mut places, *client, *other, family))
                    });
                    if goes {
                        moved.add(answers, *client);
                    }
                }
            }
            moved
        })
    }

    /// Clients by the rows that they are in and by their answers; those who have all in common may stand in any order.
    fn in_order_of_tables(&self, clients: &[u32]) -> Vec<u32> {
        let mut clients = clients.to_vec();
        clients.sort_unstable_by(|a, b| {
            let rows = |client: u32| self.groupings.iter().map(move |grouping| grouping.row(client));
            let answers = |client: u32| self.answers.iter().map(move |answers| answers.get(client));
            rows(*a).cmp(rows(*b)).then_with(|| answers(*a).cmp(answers(*b)))
        });
        clients
    }
}

impl Moved {
    fn add(&mut self, answers: &Answers, client: u32) {
        self.clients += 1;
        self.yes += u64::from(answers.get(client).unwrap_or(false));
    }
}

impl Place<'_> {
    /// What becomes of the row of a client with a family of traits of another.
    fn step(&self, client: u32, other: u32, family: usize) -> Step {
        let from = self.grouping.row(client);
        let is_unknown = |row: u32| self.known.get(row as usize) == Some(&false);
        match self.traits[family].row_with(from, self.grouping.row(other)) {
            Some(to) if to == from => Step::Stays,
            Some(to) if is_unknown(from) && is_unknown(to) => Step::Goes(from as usize, to as usize),
            _ => Step::Stopped,
        }
    }
}

/// Lets a client take a family of traits of another, if nothing that is shown changes.
fn take(places: &mut [Place<'_>], client: u32, other: u32, family: usize) -> bool {
    let mut changes = Vec::new();
    for (at, place) in places.iter().enumerate() {
        match place.step(client, other, family) {
            Step::Stays => {}
            Step::Goes(from, to) if place.left[from] > 1 => changes.push((at, from, to)),
            _ => {
                // What stands in the way of one client mostly does so for the next, too.
                places.swap(0, at);
                return false;
            }
        }
    }
    for (at, leaves, comes) in changes {
        places[at].left[leaves] -= 1;
        places[at].left[comes] += 1;
    }
    true
}
