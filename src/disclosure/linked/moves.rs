//! Where else the clients of a withheld row could be: one trait of a client could be another's.
//!
//! A client of a withheld row moves to another one when a family of traits (the place, the sex, the race) becomes that of
//! a client there. Nothing that is shown changes, when in every table that tells of the family the client leaves a row of
//! unknown size for a row of unknown size. No row loses its last client, because a table has no rows of nobody.

use super::Linked;
use super::grouping::{Answers, Grouping, NONE};

/// So many clients of a row are tried as the one whose traits are taken.
const EXAMPLES: usize = 8;

/// Clients who could have come to a row, or left it.
#[derive(Clone, Copy, Default)]
pub(super) struct Moved {
    pub clients: u64,
    pub yes: u64,
}

/// A table's grouping, and which of its rows have a size that is known.
struct Place<'a> {
    grouping: &'a Grouping,
    known: Vec<bool>,
    left: Vec<u64>,
}

impl Linked {
    /// How many clients could leave a row of unknown size for others of its table, and how many could come to it.
    pub(super) fn moves(&self, grouping: usize, row: usize, answers: usize) -> [Moved; 2] {
        let here = &self.groupings[grouping];
        let until = self.tables.len();
        let known = self.is_told(grouping, until);
        let hidden: Vec<bool> = known.iter().map(|known| !known).collect();
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for client in here.clients_in(&hidden) {
            if here.row(client) as usize == row { own.push(client) } else { others.push(client) }
        }
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
                    grouping,
                    known: self.is_told(at, until),
                    left: grouping.sizes.clone(),
                })
                .collect();
            let mut moved = Moved::default();
            for client in from {
                let row = here.row(*client);
                let goes = families.iter().any(|family| {
                    let agrees = |other: &&u32| here.differs_in(row, here.row(**other), family);
                    to.iter().filter(agrees).take(EXAMPLES).any(|other| take(&mut places, *client, *other, family))
                });
                if goes {
                    moved.add(answers, *client);
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
        let (a, b) = (self.labels(a), self.labels(b));
        let labels = self.by.iter().zip(a.iter().zip(b));
        labels.into_iter().all(|(told, (a, b))| a == b || told.family.as_deref() == Some(family))
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

/// Lets a client take a family of traits of another, if nothing that is shown changes.
fn take(places: &mut [Place<'_>], client: u32, other: u32, family: &str) -> bool {
    let mut changes = Vec::new();
    for (at, place) in places.iter().enumerate().filter(|(_, place)| place.grouping.tells_of(family)) {
        let from = place.grouping.row(client);
        let Some(to) = place.grouping.row_with(client, other, family) else { return false };
        if from == to {
            continue;
        }
        let (leaves, comes) = (from as usize, to as usize);
        let is_unknown = |row: usize| place.known.get(row) == Some(&false);
        if !is_unknown(leaves) || !is_unknown(comes) || place.left[leaves] < 2 {
            return false;
        }
        changes.push((at, leaves, comes));
    }
    for (at, leaves, comes) in changes {
        places[at].left[leaves] -= 1;
        places[at].left[comes] += 1;
    }
    true
}
