//! What follows by subtraction: a row less the rows inside of it, and an indicator less another.

use super::grouping::{NONE, Numbers};
use super::{Follows, Linked, Reason, Table};

/// What is looked up again for each row that is withheld, and depends on the clients of the tables alone.
#[derive(Clone, Default)]
pub(super) struct Comparisons {
    /// For two groupings, which rows of the first have the rows of the second ([`super::grouping::Grouping::around`]).
    around: Numbers<(usize, usize), Vec<u32>>,
    /// For a grouping and two indicators, the rows in which few clients have any of the four pairs of answers.
    few: Numbers<(usize, usize, usize), Vec<bool>>,
}

/// Clients, and those of them who are counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    clients: u64,
    yes: u64,
}

/// Which rows of the newest table were told before, and are now.
struct Told {
    before: Vec<bool>,
    now: Vec<bool>,
}

impl Told {
    fn anew(&self, row: usize) -> bool {
        self.now[row] && !self.before[row]
    }
}

impl Linked {
    /// Rows of the newest table that tell of few by subtraction, with the reason of each.
    pub(super) fn differences(&mut self) -> Vec<(usize, Reason)> {
        self.compare();
        let Some((new, earlier)) = self.tables.split_last() else { return Vec::new() };
        let mut hide = Vec::new();
        let grouping = &self.groupings[new.grouping];
        let before = self.size_is_shown(new.grouping, self.tables.len() - 1);
        let now = self.size_is_shown(new.grouping, self.tables.len());
        for (at, other) in self.groupings.iter().enumerate() {
            let shown = if at == new.grouping { now.clone() } else { self.size_is_shown(at, self.tables.len()) };
            let release = self.tables.iter().find(|table| table.grouping == at).map_or("", |table| &table.release);
            let reason = || Reason { release: release.to_owned(), rule: Follows::Difference };
            // Rows of the new table inside of rows of others, and of all clients of these.
            let inside = rows_inside(self.around(at, new.grouping), other.sizes.len(), &now);
            let all = self.totals_are_known.then(|| (other.sizes.len(), other.sizes.iter().sum()));
            let rows = other.sizes.iter().copied().enumerate();
            let rows = rows.filter(|(row, _)| at != new.grouping && shown[*row]);
            for (container, whole) in rows.chain(all) {
                let inside = &inside[container];
                let rest = whole - inside.iter().map(|row| grouping.sizes[*row]).sum::<u64>();
                let smallest = inside.iter().filter(|row| new.shown[**row] && !before[**row]);
                if let Some(row) = smallest.min_by_key(|row| grouping.sizes[**row]).filter(|_| self.rule.is_small(rest))
                {
                    hide.push((*row, reason()));
                }
            }
            if at == new.grouping {
                continue;
            }
            // Rows of others inside of those of the new table.
            let inside = rows_inside(self.around(new.grouping, at), grouping.sizes.len(), &shown);
            for container in (0..grouping.sizes.len()).filter(|row| new.shown[*row] && !before[*row]) {
                let inside = &inside[container];
                let rest = grouping.sizes[container] - inside.iter().map(|row| other.sizes[*row]).sum::<u64>();
                if !inside.is_empty() && self.rule.is_small(rest) {
                    hide.push((container, reason()));
                }
            }
        }
        // What is shown of the same numbers, also by other tables.
        let told = Told { before: self.told(new, earlier.len()), now: self.told(new, self.tables.len()) };
        for other in earlier.iter().filter(|table| table.answers == new.answers) {
            self.numerators((new, &told), (other, &self.told(other, earlier.len())), &mut hide);
        }
        if self.totals_are_known {
            self.total(new, &told, &mut hide);
        }
        for other in earlier.iter().filter(|table| table.grouping == new.grouping && table.answers != new.answers) {
            self.indicators((new, &told), other, &mut hide);
        }
        hide
    }

    fn counts(&self, table: &Table, row: usize) -> Counts {
        Counts { clients: self.groupings[table.grouping].sizes[row], yes: table.numerators[row] }
    }

    /// Whether what a row has more than some of its parts is few clients, or has few of them in the numerator or out of it.
    fn tells(&self, whole: Counts, parts: impl Iterator<Item = Counts>, of_people: bool) -> bool {
        let rest = parts.fold(whole, |rest, part| Counts {
            clients: rest.clients.saturating_sub(part.clients),
            yes: rest.yes.saturating_sub(part.yes),
        });
        let no = rest.clients.saturating_sub(rest.yes);
        if self.alike_counts && rest.clients > 0 && (rest.yes == 0 || no == 0) && !of_people {
            return true;
        }
        // Of a population, everybody knows the denominator, and nobody the clients.
        self.rule.is_small(rest.yes) || (!of_people && (self.rule.is_small(rest.clients) || self.rule.is_small(no)))
    }

    /// Differences of two tables of the same indicator.
    fn numerators(
        &self,
        (new, told): (&Table, &Told),
        (other, shown): (&Table, &[bool]),
        hide: &mut Vec<(usize, Reason)>,
    ) {
        let (a, b) = (&self.groupings[new.grouping], &self.groupings[other.grouping]);
        let of_people = new.of_people || other.of_people;
        let reason = || Reason { release: other.release.clone(), rule: Follows::Difference };
        let inside = rows_inside(self.around(other.grouping, new.grouping), b.sizes.len(), &told.now);
        for container in (0..b.sizes.len()).filter(|row| shown[*row]) {
            let inside = &inside[container];
            let parts = inside.iter().map(|row| self.counts(new, *row));
            if self.tells(self.counts(other, container), parts, of_people) {
                let smallest = inside.iter().filter(|row| told.anew(**row)).min_by_key(|row| a.sizes[**row]);
                hide.extend(smallest.map(|row| (*row, reason())));
            }
        }
        let inside = rows_inside(self.around(new.grouping, other.grouping), a.sizes.len(), shown);
        for container in (0..a.sizes.len()).filter(|row| told.anew(*row)) {
            let inside = &inside[container];
            let parts = inside.iter().map(|row| self.counts(other, *row));
            if !inside.is_empty() && self.tells(self.counts(new, container), parts, of_people) {
                hide.push((container, reason()));
            }
        }
    }

    /// All clients of the new table less its shown rows.
    fn total(&self, new: &Table, told: &Told, hide: &mut Vec<(usize, Reason)>) {
        let rows = 0..new.shown.len();
        let whole = rows
            .clone()
            .map(|row| self.counts(new, row))
            .fold(Counts::default(), |sum, row| Counts { clients: sum.clients + row.clients, yes: sum.yes + row.yes });
        let shown = rows.clone().filter(|row| told.now[*row]);
        if self.tells(whole, shown.map(|row| self.counts(new, row)), new.of_people) {
            let smallest = rows.filter(|row| told.anew(*row)).min_by_key(|row| self.counts(new, *row).clients);
            let reason = Reason { release: new.release.clone(), rule: Follows::Difference };
            hide.extend(smallest.map(|row| (row, reason)));
        }
    }

    /// Which rows of a table are shown by it or by another one of the same rows and the same indicator, of those up to `until`.
    fn told(&self, like: &Table, until: usize) -> Vec<bool> {
        let is_same = |table: &&Table| {
            (table.grouping, table.answers, table.of_people) == (like.grouping, like.answers, like.of_people)
        };
        self.rows_in(like.grouping, self.tables[..until].iter().filter(is_same))
    }

    /// Differences of two indicators of the same clients, where one says something about the other.
    fn indicators(&self, (new, told): (&Table, &Told), other: &Table, hide: &mut Vec<(usize, Reason)>) {
        let few = self.comparisons.few.get(&(new.grouping, new.answers, other.answers));
        let Some(few) = few.filter(|_| self.are_compared(new, other)) else { return };
        let reason = || Reason { release: other.release.clone(), rule: Follows::Indicators };
        let rows = few.iter().zip(&other.shown).enumerate();
        let few = rows.filter(|(row, (few, other))| **few && **other && told.anew(*row));
        hide.extend(few.map(|(row, _)| (row, reason())));
    }

    /// Whether what two tables of one grouping differ by is a number of clients.
    fn are_compared(&self, new: &Table, other: &Table) -> bool {
        let is_of_people = new.of_people || other.of_people;
        new.grouping == other.grouping && !is_of_people && self.are_tied(new.answers, other.answers)
    }

    /// Which rows of a grouping have the rows of another.
    fn around(&self, outer: usize, inner: usize) -> &[u32] {
        self.comparisons.around.get(&(outer, inner)).map_or(&[], Vec::as_slice)
    }

    /// Compares the newest table with all earlier ones.
    fn compare(&mut self) {
        let Some((new, earlier)) = self.tables.split_last() else { return };
        for at in 0..self.groupings.len() {
            for (outer, inner) in [(at, new.grouping), (new.grouping, at)] {
                let known = self.comparisons.around.entry((outer, inner));
                known.or_insert_with(|| self.groupings[outer].around(&self.groupings[inner]));
            }
        }
        let compared: Vec<&Table> = earlier.iter().filter(|other| self.are_compared(new, other)).collect();
        for other in compared {
            let known = self.comparisons.few.entry((new.grouping, new.answers, other.answers));
            known.or_insert_with(|| {
                let (a, b) = (&self.answers[new.answers], &self.answers[other.answers]);
                let grouping = &self.groupings[new.grouping];
                let few = (0..).zip(&grouping.sizes).map(|(row, _)| {
                    let mut pairs = [0_u64; 4];
                    for client in grouping.clients_of(row) {
                        if let (Some(first), Some(second)) = (a.get(*client), b.get(*client)) {
                            pairs[usize::from(first) * 2 + usize::from(second)] += 1;
                        }
                    }
                    pairs.iter().any(|count| self.rule.is_small(*count))
                });
                few.collect()
            });
        }
    }
}

/// For each container, and at last for all of them together: the chosen rows that are inside of it.
fn rows_inside(within: &[u32], containers: usize, chosen: &[bool]) -> Vec<Vec<usize>> {
    let mut inside = vec![Vec::new(); containers + 1];
    let rows = within.iter().zip(chosen).enumerate().filter(|(_, (around, chosen))| **chosen && **around != NONE);
    for (row, (around, _)) in rows {
        inside[containers].push(row);
        if (*around as usize) < containers {
            inside[*around as usize].push(row);
        }
    }
    inside
}
