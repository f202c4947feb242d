//! Few clients among all combinations of what follows.
//!
//! In a reduced echelon form, each row leads with a 1 where all others have 0. So a combination that takes each kind once or
//! not at all takes each row once or not at all: it takes those rows whose leading kinds it takes, and has the clients of
//! these. Fewer than k clients are of fewer than k rows, whatever form it is. Rows are taken together to put right what is
//! neither 0 nor 1, first two of them, then three; a kind that no further row changes stays as it is.

use super::echelon::{Echelon, minus, plus};

/// A row of the form that leads with a kind of few clients.
struct Row<'a> {
    entries: &'a [u64],
    /// Its leading kind, and how many clients that has.
    lead: usize,
    clients: u64,
    /// The kinds that it takes.
    kinds: Vec<usize>,
}

struct Search<'a> {
    /// How many clients each kind has.
    clients: &'a [u64],
    rows: Vec<Row<'a>>,
    /// By kind, the rows that take it, and how many of these are open.
    with: Vec<Vec<usize>>,
    open: Vec<usize>,
    /// Rows that are taken, or need not be tried again here.
    is_closed: Vec<bool>,
    taken: Vec<usize>,
    /// How often the rows that are taken take each kind.
    sum: Vec<u64>,
    /// At which look a kind was seen last.
    seen: Vec<u64>,
    looks: u64,
    /// Whether more rows together could be few clients.
    is_deeper: bool,
    steps: u64,
    found: Vec<Vec<usize>>,
}

/// Sums of rows of a form that take whole kinds, of 1 to `most` clients in all; each other one is some of these together. The
/// entries of a row begin with those of the kinds, whose clients are given. Takes the steps that it makes from those that are
/// left; without any, it looks at single rows.
pub(super) fn sums(form: &Echelon, clients: &[u64], most: u64, steps: &mut u64) -> Vec<Vec<u64>> {
    let rows = form.0.iter().filter(|(lead, _)| clients.get(*lead).is_some_and(|clients| *clients <= most));
    let rows: Vec<Row> = rows
        .map(|(lead, entries)| Row {
            entries,
            lead: *lead,
            clients: clients[*lead],
            kinds: (0..clients.len()).filter(|kind| entries[*kind] != 0).collect(),
        })
        .collect();
    let mut with = vec![Vec::new(); clients.len()];
    for (at, row) in rows.iter().enumerate() {
        row.kinds.iter().for_each(|kind| with[*kind].push(at));
    }
    let mut search = Search {
        clients,
        open: with.iter().map(Vec::len).collect(),
        with,
        is_closed: vec![false; rows.len()],
        taken: Vec::new(),
        sum: vec![0; clients.len()],
        seen: vec![0; clients.len()],
        looks: 0,
        is_deeper: true,
        steps: *steps,
        found: Vec::new(),
        rows,
    };
    for depth in 1.. {
        if !std::mem::take(&mut search.is_deeper) {
            break;
        }
        search.each_of((0..search.rows.len()).collect(), depth, most);
    }
    *steps = search.steps;
    let sum = |rows: &Vec<usize>| {
        let entries = rows.iter().map(|row| search.rows[*row].entries);
        entries.fold(Vec::new(), |sum: Vec<u64>, row| {
            if sum.is_empty() { row.to_vec() } else { sum.iter().zip(row).map(|(a, b)| plus(*a, *b)).collect() }
        })
    };
    search.found.iter().map(sum).collect()
}

impl Search<'_> {
    /// Takes each of some rows beside those that are taken, and up to `depth` in all.
    fn each_of(&mut self, mut rows: Vec<usize>, depth: usize, left: u64) {
        self.spend(rows.len());
        rows.retain(|row| !self.is_closed[*row] && self.rows[*row].clients <= left);
        if depth == 0 {
            self.is_deeper |= !rows.is_empty() && self.steps > 0;
            return;
        }
        for row in &rows {
            self.close(*row, true);
            if self.steps > 0 || self.taken.is_empty() {
                self.add(*row, plus);
                self.taken.push(*row);
                self.look(depth - 1, left - self.rows[*row].clients);
                self.taken.pop();
                self.add(*row, minus);
            }
        }
        for row in rows {
            self.close(row, false);
        }
    }

    /// Looks at the sum of what is taken, to which kinds of `left` clients may be added.
    fn look(&mut self, depth: usize, left: u64) {
        self.looks += 1;
        let mut wrong: Option<(usize, usize)> = None;
        let mut ones: Vec<usize> = Vec::new();
        // Clients of kinds that are taken and stay so.
        let mut settled = 0;
        for row in self.taken.iter().map(|row| &self.rows[*row]) {
            self.steps = self.steps.saturating_sub(row.kinds.len() as u64);
            for kind in &row.kinds {
                let (times, open) = (self.sum[*kind], self.open[*kind]);
                let is_new = std::mem::replace(&mut self.seen[*kind], self.looks) < self.looks;
                if times == 0 || *kind == row.lead || !is_new {
                    continue;
                }
                if times > 1 || self.clients[*kind] > left {
                    wrong = Some((open, *kind)).into_iter().chain(wrong).min();
                } else if open == 0 {
                    settled += self.clients[*kind];
                } else {
                    ones.push(*kind);
                }
            }
        }
        if settled > left || wrong.is_some_and(|(open, _)| open == 0) {
            return;
        }
        let all = settled + ones.iter().map(|kind| self.clients[*kind]).sum::<u64>();
        if wrong.is_none() && all <= left {
            let mut rows = self.taken.clone();
            rows.sort_unstable();
            if !self.found.contains(&rows) {
                self.found.push(rows);
            }
        }
        // Where nothing is wrong, some that are taken could go for others.
        let kinds = wrong.map_or(ones, |(_, kind)| vec![kind]);
        let mut next: Vec<usize> = kinds.iter().flat_map(|kind| &self.with[*kind]).copied().collect();
        next.sort_unstable();
        next.dedup();
        next.retain(|row| self.rows[*row].clients <= left - settled);
        self.each_of(next, depth, left);
    }

    fn add(&mut self, row: usize, operation: fn(u64, u64) -> u64) {
        self.spend(self.rows[row].kinds.len());
        for kind in &self.rows[row].kinds {
            self.sum[*kind] = operation(self.sum[*kind], self.rows[row].entries[*kind]);
        }
    }

    fn close(&mut self, row: usize, is_closed: bool) {
        self.spend(self.rows[row].kinds.len());
        self.is_closed[row] = is_closed;
        for kind in &self.rows[row].kinds {
            self.open[*kind] = if is_closed { self.open[*kind] - 1 } else { self.open[*kind] + 1 };
        }
    }

    fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::attacker::Random;
    use super::super::echelon::{Echelon, PRIME};
    use super::sums;

    /// A form of rows of whole numbers.
    fn form(rows: &[Vec<i64>]) -> Echelon {
        let mut form = Echelon::default();
        for row in rows {
            form.add(row.iter().map(|entry| entry.rem_euclid(PRIME.cast_signed()).cast_unsigned()).collect());
        }
        form
    }

    fn found(rows: &[Vec<i64>], clients: &[u64], most: u64, mut steps: u64) -> BTreeSet<Vec<u64>> {
        sums(&form(rows), clients, most, &mut steps).into_iter().collect()
    }

    #[test]
    fn few_are_found_where_no_row_has_them() {
        // Kinds of 1, 1, 1 and 9 clients; fewer than 5 are few. No row is few clients, and no two: all three are.
        let rows = [vec![1, 0, 0, 1], vec![0, 1, 0, 1], vec![0, 0, 1, -2]];
        assert_eq!(found(&rows, &[1, 1, 1, 9], 4, 1000), BTreeSet::from([vec![1, 1, 1, 0]]));
        assert_eq!(found(&rows, &[1, 1, 1, 9], 2, 1000), BTreeSet::new());
        assert_eq!(found(&rows, &[1, 1, 3, 9], 4, 1000), BTreeSet::new());
        // Without steps, single rows are looked at.
        assert_eq!(found(&rows, &[1, 1, 1, 9], 4, 0), BTreeSet::new());
        assert_eq!(found(&rows, &[1, 1, 1, 2], 4, 0), BTreeSet::from([vec![1, 0, 0, 1], vec![0, 1, 0, 1]]));
    }

    #[test]
    fn what_trying_finds_is_found() {
        let mut several = 0;
        for seed in 0..3000 {
            let mut random = Random(seed);
            let kinds = 2 + random.below(7);
            let clients: Vec<u64> = (0..kinds).map(|_| 1 + random.below(3) as u64).collect();
            let most = 1 + random.below(6) as u64;
            let number = |random: &mut Random| [0, 0, 0, 1, 1, -1, -1, 2][random.below(8)];
            let rows: Vec<Vec<i64>> =
                (0..=random.below(5)).map(|_| (0..kinds).map(|_| number(&mut random)).collect()).collect();
            let form = form(&rows);
            let mut tried = BTreeSet::new();
            for set in 1..1_u32 << kinds {
                let row: Vec<u64> = (0..kinds).map(|kind| u64::from(set >> kind & 1)).collect();
                let all: u64 = row.iter().zip(&clients).map(|(taken, clients)| taken * clients).sum();
                let mut with = Echelon(form.0.clone());
                with.add(row.clone());
                if all <= most && with.0.len() == form.0.len() {
                    tried.insert(row);
                }
            }
            let found = found(&rows, &clients, most, u64::MAX);
            assert!(found.is_subset(&tried), "forms {seed}");
            let mut together = BTreeSet::from([vec![0; kinds]]);
            for row in &found {
                let sums = together.iter().map(|sum| sum.iter().zip(row).map(|(a, b)| a + b).collect::<Vec<u64>>());
                let whole: Vec<_> = sums.filter(|sum| sum.iter().all(|entry| *entry < 2)).collect();
                together.extend(whole);
            }
            assert!(tried.is_subset(&together), "forms {seed}: {tried:?}, {found:?}");
            several += usize::from(found.iter().any(|row| form.0.iter().all(|(_, of_form)| of_form != row)));
        }
        assert!(several > 100, "{several}");
    }
}
