//! Where else the clients of a withheld row could be: one trait of a client could be another's.
//!
//! A client of a withheld row moves to another one when a family of traits (the place, the sex, the race) becomes that of
//! a client there. Nothing that is shown changes, when in every table that tells of the family the client leaves a row of
//! unknown size for a row of unknown size. No row loses its last client, because a table has no rows of nobody.

use super::Linked;
use super::grouping::{Answers, Grouping, NONE, Numbers};

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
    /// For each grouping: where clients of one row come to with the traits of a family, by its number among those of the
    /// grouping that is looked at, of clients of another row.
    come_to: Vec<Numbers<(u32, u32, usize), Option<u32>>>,
    /// For each grouping, which of its rows have the rows of the one that is looked at.
    around: Vec<Vec<u32>>,
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
    known: &'a [bool],
    left: Vec<u64>,
}

impl Linked {
    /// How many clients could leave a row of unknown size for others of its table, and how many could come to it.
    pub(super) fn moves(&self, grouping: usize, row: usize, answers: usize, routes: &mut Routes) -> [Moved; 2] {
        let here = &self.groupings[grouping];
        let until = self.tables.len();
        let known: Vec<Vec<bool>> = (0..self.groupings.len()).map(|at| self.is_told(at, until)).collect();
        routes.come_to.resize_with(known.len(), Numbers::default);
        for at in routes.around.len()..known.len() {
            routes.around.push(self.groupings[at].around(here));
        }
        let hidden = (0_u32..).zip(&known[grouping]).filter(|(_, known)| !**known).map(|(row, _)| row);
        let (own, others): (Vec<u32>, Vec<u32>) = hidden.partition(|hidden| *hidden as usize == row);
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
                .map(|(at, grouping)| Place { at, grouping, known: &known[at], left: grouping.sizes.clone() })
                .collect();
            let mut moved = Moved::default();
            let enough = self.rule.k + ENOUGH;
            for row in from {
                if moved.yes.min(moved.clients - moved.yes) >= enough {
                    break;
                }
                let examples = families.iter().enumerate().map(|(number, family)| {
                    let agree = to.iter().filter(|other| here.differs_in(*row, **other, family));
                    let all = agree.flat_map(|other| here.clients_of(*other)).take(EXAMPLES).copied();
                    let Some(first) = here.clients_of(*row).first() else { return Vec::new() };
                    let mut is_stopped = |other: &u32| {
                        places.iter().any(|place| {
                            let is_one = |row: u32| (routes.around[place.at][row as usize] as usize) < place.left.len();
                            // Then what holds for one client of the row holds for all.
                            is_one(*row)
                                && is_one(here.row(*other))
                                && matches!(place.step(routes, *first, *other, (number, family)), Step::Stopped)
                        })
                    };
                    all.filter(|other| !is_stopped(other)).collect()
                });
                let examples: Vec<Vec<u32>> = examples.collect();
                for client in here.clients_of(*row) {
                    let goes = families.iter().zip(&examples).enumerate().any(|(family, (name, examples))| {
                        examples.iter().any(|other| take(&mut places, routes, *client, *other, (family, name)))
                    });
                    if goes {
                        moved.add(answers, *client);
                    }
                }
            }
            moved
        })
    }
}

impl Moved {
    fn add(&mut self, answers: &Answers, client: u32) {
        self.clients += 1;
        self.yes += u64::from(answers.get(client).unwrap_or(false));
    }
}

impl Grouping {
    /// Whether anything of a family decides in which row a client is.
    fn tells_of(&self, family: &str) -> bool {
        self.by.iter().chain(&self.chosen_by).any(|told| told.family.as_deref() == Some(family))
    }

    /// Whether two rows differ in nothing but traits of a family.
    fn differs_in(&self, a: u32, b: u32, family: &str) -> bool {
        let codes = self.by.iter().zip(self.codes(a).iter().zip(self.codes(b)));
        codes.into_iter().all(|(told, (a, b))| a == b || told.family.as_deref() == Some(family))
    }

    /// The row in which a client would be with the traits of a family of another client.
    fn row_with(&self, client: u32, other: u32, family: &str) -> Option<u32> {
        let is_chosen = self.chosen_by.iter().any(|told| told.family.as_deref() == Some(family));
        let (row, row_of_other) = (self.row(client), self.row(other));
        if row == row_of_other {
            return Some(row);
        }
        if row == NONE || row_of_other == NONE {
            // Whether the client would be in the table is known only when nothing but this family decides it.
            return (!is_chosen && row == NONE).then_some(NONE);
        }
        let labels = self.by.iter().zip(self.labels(row).iter().zip(self.labels(row_of_other)));
        let labels: Vec<String> = labels
            .map(|(told, (own, theirs))| if told.family.as_deref() == Some(family) { theirs } else { own }.clone())
            .collect();
        self.find(&labels)
    }
}

impl Place<'_> {
    /// What becomes of the row of a client with a family of traits of another.
    fn step(&self, routes: &mut Routes, client: u32, other: u32, (family, name): (usize, &str)) -> Step {
        let from = self.grouping.row(client);
        let pair = (from, self.grouping.row(other), family);
        let to = *routes.come_to[self.at].entry(pair).or_insert_with(|| {
            if self.grouping.tells_of(name) { self.grouping.row_with(client, other, name) } else { Some(from) }
        });
        let is_unknown = |row: u32| self.known.get(row as usize) == Some(&false);
        match to {
            Some(to) if to == from => Step::Stays,
            Some(to) if is_unknown(from) && is_unknown(to) => Step::Goes(from as usize, to as usize),
            _ => Step::Stopped,
        }
    }
}

/// Lets a client take a family of traits of another, if nothing that is shown changes.
fn take(places: &mut [Place<'_>], routes: &mut Routes, client: u32, other: u32, (family, name): (usize, &str)) -> bool {
    let mut changes = Vec::new();
    for (at, place) in places.iter().enumerate() {
        match place.step(routes, client, other, (family, name)) {
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
