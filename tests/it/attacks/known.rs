//! The attacker who knows all shown numbers, all totals, and that no count is below zero.

use std::collections::BTreeSet;

use super::{K, W, publish, store_of};
use crate::support::Table;

/// Cells, and from what to what their sum is.
type Sum = (Vec<usize>, u64, u64);

/// More than any month of these has.
const MOST: u64 = 10_000;

/// Counts that nobody knows, and sums of them that somebody does.
#[derive(Default)]
pub struct Known {
    sums: Vec<Sum>,
}

impl Known {
    pub fn learn(&mut self, cells: Vec<usize>, from: u64, to: u64) {
        self.sums.push((cells, from, to));
    }

    /// Takes out of each sum the sums inside of it that are known exactly, until none is left.
    pub fn subtract(&mut self) {
        loop {
            self.sums.iter_mut().for_each(|(cells, ..)| cells.sort_unstable());
            self.sums.sort();
            self.sums.dedup();
            let is_inside = |(a, from, to): &Sum, (b, ..): &Sum| {
                from == to && !a.is_empty() && a.len() < b.len() && a.iter().all(|cell| b.contains(cell))
            };
            let pairs = (0..self.sums.len()).flat_map(|a| (0..self.sums.len()).map(move |b| (a, b)));
            let Some((a, b)) = pairs.into_iter().find(|(a, b)| is_inside(&self.sums[*a], &self.sums[*b])) else {
                return;
            };
            let (part, known, _) = self.sums[a].clone();
            let (whole, from, to) = &mut self.sums[b];
            whole.retain(|cell| !part.contains(cell));
            (*from, *to) = (from.saturating_sub(known), *to - known);
        }
    }

    /// Whether some counts fit all sums, and this one.
    fn could_be(&self, cells: &[usize], from: u64, to: u64) -> bool {
        // Only what hangs together with these cells matters.
        let mut reached: BTreeSet<usize> = cells.iter().copied().collect();
        let mut sums: Vec<Sum> = vec![(cells.to_vec(), from, to)];
        let mut rest: Vec<&Sum> = self.sums.iter().collect();
        while let Some(at) = rest.iter().position(|(cells, ..)| cells.iter().any(|cell| reached.contains(cell))) {
            reached.extend(&rest[at].0);
            sums.push(rest.swap_remove(at).clone());
        }
        // Cells that are in the same sums count as one.
        let mut alike: Vec<Vec<usize>> =
            reached.iter().map(|cell| (0..sums.len()).filter(|at| sums[*at].0.contains(cell)).collect()).collect();
        alike.sort();
        alike.dedup();
        for (at, (cells, ..)) in sums.iter_mut().enumerate() {
            *cells = (0..alike.len()).filter(|one| alike[*one].contains(&at)).collect();
        }
        solvable(&sums, vec![(0, MOST); alike.len()], &mut 20_000)
    }

    /// The least and the most that a sum could be, by halving.
    pub fn ends(&self, cells: &[usize], truth: u64) -> (u64, u64) {
        assert!(self.could_be(cells, truth, truth), "the truth is possible");
        let (mut low, mut high) = (0, truth);
        while low < high {
            let middle = low.midpoint(high);
            if self.could_be(cells, 0, middle) { high = middle } else { low = middle + 1 }
        }
        let least = low;
        let (mut low, mut high) = (truth, MOST);
        while low < high {
            let middle = low.midpoint(high) + 1;
            if self.could_be(cells, middle, MOST) { low = middle } else { high = middle - 1 }
        }
        (least, low)
    }

    /// Whether a number is wide for somebody who knows `own` clients in it: W values, and up to K where it is small.
    pub fn is_wide(&self, cells: &[usize], truth: u64, own: u64) -> bool {
        let (least, most) = self.ends(cells, truth);
        let least = least.max(own.min(truth));
        let values = (least..=most).filter(|value| self.could_be(cells, *value, *value)).take(3).count() as u64;
        values >= W && (most >= K || !(1..K).contains(&truth))
    }
}

/// Whether there are counts within bounds that fit all sums: narrows the bounds, and halves the widest when that ends.
fn solvable(sums: &[Sum], mut bounds: Vec<(u64, u64)>, steps: &mut u32) -> bool {
    assert!(*steps > 0, "too many tables to try");
    *steps -= 1;
    loop {
        let before = bounds.clone();
        for (cells, from, to) in sums {
            let low: u64 = cells.iter().map(|cell| bounds[*cell].0).sum();
            let high: u64 = cells.iter().map(|cell| bounds[*cell].1).sum();
            if low > *to || high < *from {
                return false;
            }
            for cell in cells {
                let (least, most) = bounds[*cell];
                let now = (least.max((from + most).saturating_sub(high)), most.min(to + least - low));
                if now.0 > now.1 {
                    return false;
                }
                // The sums of the bounds above are those before this loop: wider, and so still right.
                bounds[*cell] = now;
            }
        }
        if bounds == before {
            break;
        }
    }
    let Some(widest) = (0..bounds.len()).max_by_key(|cell| bounds[*cell].1 - bounds[*cell].0) else { return true };
    let (least, most) = bounds[widest];
    if least == most {
        return true;
    }
    let middle = least.midpoint(most);
    [(middle + 1, most), (least, middle)].into_iter().any(|half| {
        let mut bounds = bounds.clone();
        bounds[widest] = half;
        solvable(sums, bounds, steps)
    })
}

/// The clients of a month by labels, as the attacker's cells: all combinations of labels, each with `yes` and `no`.
struct Registry {
    dimensions: Vec<&'static str>,
    cells: Vec<(Vec<String>, bool)>,
    truth: Vec<u64>,
}

/// The columns that dimensions come from, and how their values read in tables.
const DIMENSIONS: [(&str, &str); 6] = [
    ("county", "CLIENT COUNTY"),
    ("sex", "SEX CODE"),
    ("race_ethnicity", "RACE AND ETHNICITY"),
    ("birth_year", "BIRTH DATE"),
    ("birth_quarter", "BIRTH DATE"),
    ("zip", "ZIP CODE"),
];

fn label(dimension: &str, value: &str) -> String {
    match (dimension, value) {
        ("sex", "F") => "Female".to_owned(),
        ("sex", "M") => "Male".to_owned(),
        ("birth_year", day) => day[..4].to_owned(),
        ("birth_quarter", day) => format!("{}-Q{}", &day[..4], day[5..7].parse::<u32>().unwrap().div_ceil(3)),
        (_, value) => value.to_owned(),
    }
}

impl Registry {
    fn of(text: &str) -> Self {
        let table = Table::parse(text);
        let columns: Vec<_> = DIMENSIONS.iter().filter(|(_, column)| table.column(column).is_some()).collect();
        let values = |(dimension, column): &(&str, &str)| -> Vec<String> {
            table.column(column).unwrap().into_iter().map(|value| label(dimension, value)).collect()
        };
        let by_row: Vec<Vec<String>> = columns.iter().map(|column| values(column)).collect();
        let mut cells = vec![Vec::new()];
        for values in &by_row {
            let different: BTreeSet<_> = values.iter().cloned().collect();
            cells = cells
                .iter()
                .flat_map(|cell| different.iter().map(move |value| [cell.clone(), vec![value.clone()]].concat()))
                .collect();
        }
        let cells: Vec<_> = cells.into_iter().flat_map(|cell| [(cell.clone(), true), (cell, false)]).collect();
        let mut truth = vec![0; cells.len()];
        let clients = table.column("clients").unwrap().into_iter().zip(table.column("mmr").unwrap());
        for (row, (clients, mmr)) in clients.enumerate() {
            let labels: Vec<_> = by_row.iter().map(|values| values[row].clone()).collect();
            let at = cells.iter().position(|cell| *cell == (labels.clone(), mmr == "yes")).unwrap();
            truth[at] += clients.split_once(' ').unwrap().0.parse::<u64>().unwrap();
        }
        Self { dimensions: columns.iter().map(|(dimension, _)| *dimension).collect(), cells, truth }
    }

    /// The cells of some labels: all of them, those who are counted, those who are not.
    fn three(&self, labels: &[(&str, Vec<String>)]) -> [Vec<usize>; 3] {
        let fits = |at: &usize| {
            labels.iter().all(|(dimension, values)| {
                let place =
                    self.dimensions.iter().position(|known| known == dimension).expect("a dimension of the month");
                values.contains(&self.cells[*at].0[place])
            })
        };
        let all: Vec<usize> = (0..self.cells.len()).filter(fits).collect();
        let (yes, no) = all.iter().partition(|at| self.cells[**at].1);
        [all, yes, no]
    }

    fn sum(&self, cells: &[usize]) -> u64 {
        cells.iter().map(|at| self.truth[*at]).sum()
    }
}

/// Publishes tables of a month one after the other, and computes of each withheld number, and of each small combination of
/// all labels, what it could be. The totals of tables that show anything, and of all clients, are known, and so are `own`
/// clients of the number.
#[track_caller]
pub fn is_hidden_well(what: &str, text: &str, asks: &[&str], own: u64) {
    let registry = Registry::of(text);
    let context = store_of(&[text]);
    let mut known = Known::default();
    // Its name, its cells, and how many clients of it are known.
    let mut secrets: Vec<(String, Vec<usize>, u64)> = Vec::new();
    for ask in asks {
        let Some(table) = publish(&context, ask) else { continue };
        let words: Vec<&str> = ask.split_whitespace().collect();
        let flags = words.windows(2);
        let by: Vec<&str> = flags.clone().find(|flag| flag[0] == "--by").unwrap()[1].split(',').collect();
        let filters = flags.filter(|flag| flag[0] == "--where").map(|flag| flag[1].split_once('=').unwrap());
        let filters = filters.map(|(dimension, values)| {
            (dimension, values.split(',').map(|value| label(dimension, value)).collect::<Vec<_>>())
        });
        let filters: Vec<_> = filters.collect();
        let mut learn = |cells: &[usize]| {
            let sum = registry.sum(cells);
            known.learn(cells.to_vec(), sum, sum);
        };
        let whole = registry.three(&filters);
        if filters.is_empty() || table.values().any(Option::is_some) {
            for cells in &whole {
                learn(cells);
            }
        }
        let mut in_rows = BTreeSet::new();
        for (labels, counts) in &table {
            let row = by.iter().copied().zip(labels.split('/').map(|label| vec![label.to_owned()]));
            let cells = registry.three(&row.chain(filters.clone()).collect::<Vec<_>>());
            in_rows.extend(cells[0].clone());
            if counts.is_some() {
                for cells in &cells {
                    learn(cells);
                }
            } else {
                let of =
                    |cells: Vec<usize>, number: &str, own| (format!("{number} of {labels} in `{ask}`"), cells, own);
                let [all, yes, no] = cells;
                // A row is there because somebody is in it.
                secrets.extend([of(all, "clients", own.max(1)), of(yes, "counted", own), of(no, "not counted", own)]);
            }
        }
        // Where there is no row, nobody is.
        let nobody = whole[0].iter().filter(|cell| !in_rows.contains(cell)).copied();
        known.learn(nobody.collect(), 0, 0);
    }
    for at in (0..registry.cells.len()).step_by(2) {
        for cells in [vec![at], vec![at + 1], vec![at, at + 1]] {
            if (1..K).contains(&registry.sum(&cells)) {
                secrets.push((registry.cells[at].0.join("/"), cells, own));
            }
        }
    }
    known.subtract();
    for (name, cells, own) in secrets {
        let truth = registry.sum(&cells);
        assert!(
            known.is_wide(&cells, truth, own),
            "{what}: {name} is {truth}, known to be {:?}",
            known.ends(&cells, truth)
        );
    }
}

/// The attacker himself, on sums that can be solved in the head.
#[test]
fn the_attacker_finds_what_can_be_found() {
    // a + b = 10, b + c = 7, a + b + c = 12: c = 2, b = 5, a = 5.
    let mut known = Known::default();
    known.learn(vec![0, 1], 10, 10);
    known.learn(vec![1, 2], 7, 7);
    assert_eq!((known.ends(&[1], 5), known.ends(&[0], 5)), ((0, 7), (3, 10)));
    assert!(known.is_wide(&[0, 1, 2], 12, 0) && !known.is_wide(&[1], 5, 0));
    known.learn(vec![0, 1, 2], 12, 12);
    assert_eq!((known.ends(&[1], 5), known.ends(&[2], 2)), ((5, 5), (2, 2)));
}
