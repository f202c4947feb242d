//! What follows by subtraction: a row less the rows inside of it, and an indicator less another.

use super::grouping::NONE;
use super::{Follows, Linked, Reason, Table};

/// Clients, and those of them who are counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    clients: u64,
    yes: u64,
}

impl Linked {
    /// Rows of the newest table that tell of few by subtraction, with the reason of each.
    pub(super) fn differences(&self) -> Vec<(usize, Reason)> {
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
            let within = other.around(grouping);
            let all = self.totals_are_known.then(|| (other.sizes.len(), other.sizes.iter().sum()));
            let rows = other.sizes.iter().copied().enumerate();
            let rows = rows.filter(|(row, _)| at != new.grouping && shown[*row]);
            for (container, whole) in rows.chain(all) {
                let inside = rows_inside(&within, container, other.sizes.len(), &now);
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
            let within = grouping.around(other);
            for container in (0..grouping.sizes.len()).filter(|row| new.shown[*row] && !before[*row]) {
                let inside = rows_inside(&within, container, grouping.sizes.len(), &shown);
                let rest = grouping.sizes[container] - inside.iter().map(|row| other.sizes[*row]).sum::<u64>();
                if !inside.is_empty() && self.rule.is_small(rest) {
                    hide.push((container, reason()));
                }
            }
        }
        for other in earlier.iter().filter(|table| table.answers == new.answers) {
            self.numerators(new, other, &mut hide);
        }
        if self.totals_are_known {
            self.total(new, &mut hide);
        }
        for other in earlier.iter().filter(|table| table.grouping == new.grouping && table.answers != new.answers) {
            self.indicators(new, other, &mut hide);
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
    fn numerators(&self, new: &Table, other: &Table, hide: &mut Vec<(usize, Reason)>) {
        let (a, b) = (&self.groupings[new.grouping], &self.groupings[other.grouping]);
        let of_people = new.of_people || other.of_people;
        let reason = || Reason { release: other.release.clone(), rule: Follows::Difference };
        let within = b.around(a);
        for container in (0..b.sizes.len()).filter(|row| other.shown[*row]) {
            let inside = rows_inside(&within, container, b.sizes.len(), &new.shown);
            let parts = inside.iter().map(|row| self.counts(new, *row));
            if self.tells(self.counts(other, container), parts, of_people) {
                let smallest = inside.iter().min_by_key(|row| a.sizes[**row]);
                hide.extend(smallest.map(|row| (*row, reason())));
            }
        }
        let within = a.around(b);
        for container in (0..a.sizes.len()).filter(|row| new.shown[*row]) {
            let inside = rows_inside(&within, container, a.sizes.len(), &other.shown);
            let parts = inside.iter().map(|row| self.counts(other, *row));
            if !inside.is_empty() && self.tells(self.counts(new, container), parts, of_people) {
                hide.push((container, reason()));
            }
        }
    }

    /// All clients of the new table less its shown rows.
    fn total(&self, new: &Table, hide: &mut Vec<(usize, Reason)>) {
        let rows = 0..new.shown.len();
        let whole = rows
            .clone()
            .map(|row| self.counts(new, row))
            .fold(Counts::default(), |sum, row| Counts { clients: sum.clients + row.clients, yes: sum.yes + row.yes });
        let shown: Vec<_> = rows.filter(|row| new.shown[*row]).collect();
        if self.tells(whole, shown.iter().map(|row| self.counts(new, *row)), new.of_people) {
            let smallest = shown.into_iter().min_by_key(|row| self.counts(new, *row).clients);
            let reason = Reason { release: new.release.clone(), rule: Follows::Difference };
            hide.extend(smallest.map(|row| (row, reason)));
        }
    }

    /// Differences of two indicators of the same clients, where one says something about the other.
    fn indicators(&self, new: &Table, other: &Table, hide: &mut Vec<(usize, Reason)>) {
        let (a, b) = (&self.answers[new.answers], &self.answers[other.answers]);
        if new.of_people || other.of_people || !self.are_tied(new.answers, other.answers) {
            return;
        }
        let both: Vec<bool> = new.shown.iter().zip(&other.shown).map(|(new, other)| *new && *other).collect();
        let mut pairs = vec![[0_u64; 4]; both.len()];
        let grouping = &self.groupings[new.grouping];
        for client in grouping.clients_in(&both) {
            if let (Some(first), Some(second)) = (a.get(client), b.get(client)) {
                pairs[grouping.row(client) as usize][usize::from(first) * 2 + usize::from(second)] += 1;
            }
        }
        let reason = || Reason { release: other.release.clone(), rule: Follows::Indicators };
        let few = (0..pairs.len()).filter(|row| pairs[*row].iter().any(|count| self.rule.is_small(*count)));
        hide.extend(few.map(|row| (row, reason())));
    }
}

/// The rows that are chosen and inside of a container: a row, or, behind the last one, all of them.
fn rows_inside(within: &[u32], container: usize, containers: usize, chosen: &[bool]) -> Vec<usize> {
    let is_inside = |around: u32| around != NONE && (container == containers || around as usize == container);
    (0..chosen.len()).filter(|row| chosen[*row] && is_inside(within[*row])).collect()
}
