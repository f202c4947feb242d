//! Few clients among all combinations of what follows.
//!
//! In a reduced echelon form, each row leads with a 1 where all others have 0. So a combination that takes each kind once or
//! not at all takes each row once or not at all: it takes those rows whose leading kinds it takes, and has the clients of
//! these. Fewer than k clients are of fewer than k rows, whatever form it is. Rows are taken together to put right what is
//! neither 0 nor 1, first two of them in all forms, then three; a kind that no further row changes stays as it is.

use super::echelon::{Echelon, minus, plus};

/// In forms of so many rows, each two of them are looked at, however many steps that takes.
const PAIRS: usize = 40;

/// A row of the form that leads with a kind of few clients.
struct Row<'a> {
    entries: &'a [u64],
    /// Its leading kind, and how many clients that has.
    lead: usize,
    clients: u64,
    /// The kinds that it takes, by their places among those of the form, and how often.
    kinds: Vec<(usize, u64)>,
}

/// A form that is looked through.
struct Search<'a> {
    /// How many clients each kind has that any row takes.
    clients: Vec<u64>,
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
    /// Steps that are left.
    steps: u64,
    found: Vec<Vec<usize>>,
}

/// Sums of rows of a form that take whole kinds, of 1 to `most` clients in all; as far as the steps suffice, each other one is
/// some of these together. The entries of a row begin with those of the kinds, whose clients are given. Takes the steps that it
/// makes from those that are left; without any, it looks at single rows, and at two of small forms.
pub(super) fn sums<'a>(
    forms: impl Iterator<Item = &'a Echelon>,
    clients: &[u64],
    most: u64,
    steps: &mut u64,
) -> Vec<Vec<u64>> {
    let mut searches: Vec<Search> = forms.map(|form| Search::new(form, clients, most)).collect();
    for depth in 1.. {
        let mut is_done = true;
        for search in searches.iter_mut().filter(|search| search.is_deeper) {
            search.is_deeper = false;
            let is_free = depth == 1 || depth == 2 && search.rows.len() <= PAIRS;
            search.steps = if is_free { u64::MAX } else { *steps };
            let before = search.steps;
            search.each_of((0..search.rows.len()).collect(), depth, most);
            *steps = steps.saturating_sub(before - search.steps);
            is_done &= !search.is_deeper;
        }
        if is_done {
            break;
        }
    }
    searches.iter().flat_map(Search::sums).collect()
}

impl<'a> Search<'a> {
    fn new(form: &'a Echelon, clients: &[u64], most: u64) -> Self {
        let of_few = form.0.iter().filter(|(lead, _)| clients.get(*lead).is_some_and(|clients| *clients <= most));
        let of_few: Vec<&(usize, Vec<u64>)> = of_few.collect();
        let is_taken = |kind: &usize| of_few.iter().any(|(_, entries)| entries[*kind] != 0);
        let kinds: Vec<usize> = (0..clients.len()).filter(is_taken).collect();
        let rows: Vec<Row> = of_few
            .into_iter()
            .map(|(lead, entries)| Row {
                entries,
                lead: kinds.binary_search(lead).unwrap_or_default(),
                clients: clients[*lead],
                kinds: kinds.iter().map(|kind| entries[*kind]).enumerate().filter(|(_, times)| *times != 0).collect(),
            })
            .collect();
        let mut with = vec![Vec::new(); kinds.len()];
        for (at, row) in rows.iter().enumerate() {
            row.kinds.iter().for_each(|(kind, _)| with[*kind].push(at));
        }
        Self {
            clients: kinds.iter().map(|kind| clients[*kind]).collect(),
            open: with.iter().map(Vec::len).collect(),
            with,
            is_closed: vec![false; rows.len()],
            taken: Vec::new(),
            sum: vec![0; kinds.len()],
            seen: vec![0; kinds.len()],
            looks: 0,
            is_deeper: true,
            steps: 0,
            found: Vec::new(),
            rows,
        }
    }

    /// What was found, each with all entries of its rows added up.
    fn sums(&self) -> impl Iterator<Item = Vec<u64>> {
        let sum = |rows: &Vec<usize>| {
            let mut sum = vec![0; rows.first().map_or(0, |row| self.rows[*row].entries.len())];
            for row in rows {
                sum.iter_mut().zip(self.rows[*row].entries).for_each(|(sum, entry)| *sum = plus(*sum, *entry));
            }
            sum
        };
        self.found.iter().map(sum)
    }

    /// Takes each of some rows beside those that are taken, and up to `depth` more.
    fn each_of(&mut self, mut rows: Vec<usize>, depth: u64, left: u64) {
        rows.retain(|row| !self.is_closed[*row] && self.rows[*row].clients <= left);
        if depth == 0 {
            self.is_deeper |= !rows.is_empty() && self.steps > 0;
            return;
        }
        for at in 0..rows.len() {
            if self.steps == 0 {
                rows.truncate(at);
                break;
            }
            let row = rows[at];
            self.close(row, true);
            self.add(row, plus);
            self.taken.push(row);
            self.look(depth - 1, left - self.rows[row].clients);
            self.taken.pop();
            self.add(row, minus);
        }
        for row in rows {
            self.close(row, false);
        }
    }

    /// Looks at the sum of what is taken, to which kinds of `left` clients may be added.
    fn look(&mut self, depth: u64, left: u64) {
        self.looks += 1;
        let mut wrong: Option<(usize, usize)> = None;
        let mut ones: Vec<usize> = Vec::new();
        // Clients of kinds that are taken and stay so.
        let mut settled = 0;
        for row in self.taken.iter().map(|row| &self.rows[*row]) {
            self.steps = self.steps.saturating_sub(row.kinds.len() as u64);
            for (kind, _) in &row.kinds {
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
        // What fewer rows are was found before more were taken together.
        if depth == 0 && wrong.is_none() && all <= left {
            self.spend(self.rows[self.taken[0]].entries.len());
            self.found.push(self.taken.clone());
        }
        if depth == 0 && (self.is_deeper || self.steps == 0) {
            return;
        }
        // Where nothing is wrong, some that are taken could go for others.
        let kinds = wrong.map_or(ones, |(_, kind)| vec![kind]);
        let mut next: Vec<usize> = kinds.iter().flat_map(|kind| &self.with[*kind]).copied().collect();
        self.spend(next.len());
        next.retain(|row| self.rows[*row].clients <= left - settled);
        next.sort_unstable();
        next.dedup();
        self.each_of(next, depth, left);
    }

    fn add(&mut self, row: usize, operation: fn(u64, u64) -> u64) {
        self.spend(self.rows[row].kinds.len());
        for (kind, times) in &self.rows[row].kinds {
            self.sum[*kind] = operation(self.sum[*kind], *times);
        }
    }

    fn close(&mut self, row: usize, is_closed: bool) {
        self.spend(self.rows[row].kinds.len());
        self.is_closed[row] = is_closed;
        for (kind, _) in &self.rows[row].kinds {
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
        sums(std::iter::once(&form(rows)), clients, most, &mut steps).into_iter().collect()
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
    fn no_form_takes_the_steps_for_pairs_from_another() {
        let pair = [vec![1, 0, 1], vec![0, 1, -1]];
        let forms = [form(&pair), form(&pair)];
        for mut steps in [0, 1, 1000] {
            let found = sums(forms.iter(), &[1, 1, 9], 4, &mut steps);
            assert_eq!(found, [vec![1, 1, 0], vec![1, 1, 0]]);
        }
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
