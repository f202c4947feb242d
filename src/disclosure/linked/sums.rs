//! What follows from many shown numbers together: sums and differences of any of them.
//!
//! Clients of one kind are in the same shown rows and have the same answers there. A shown number is a sum over kinds. So
//! every number that follows is a combination of shown ones, and one that tells of few clients is a sum over kinds of few: the
//! combination takes no kind of k clients and more. Those combinations are the null space of the large kinds; what they say of
//! the small ones, brought into echelon form, is looked through for sums of 1 to k - 1 clients ([`few`]). What follows of
//! withheld rows alone is sought apart: there, a sum of many rows of the form is one of few, and found with few steps.
//!
//! That denominators, numerators and their differences all are sums over kinds, and that a kind that nobody is of does not
//! exist, brings indicators in that say something about each other. Arithmetic is exact, modulo a prime of 61 bits: what is a
//! combination in fractions is one there, too.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::echelon::{Echelon, PRIME, inverse, minus, plus, times};
use super::few;
use super::grouping::{Grouping, NONE, Numbers, in_order};
use super::{Follows, Linked, Reason, Table};

/// So many steps of arithmetic are made in a run; then only pairs of tables are looked at. Counted, and not timed, so that
/// the same questions have the same answers on every machine.
const STEPS: u64 = 500_000_000;

/// The same for runs that should answer at once.
const STEPS_AT_ONCE: u64 = 300_000_000;

/// So many steps are made at least for what follows of withheld rows alone, and as many as for the rest; the small ones first.
const STEPS_OF_PARTS: u64 = 1_000_000;

/// So many steps are made for each look at what follows together, and for all looks of a run.
const STEPS_TOGETHER: u64 = 10_000_000;
const STEPS_TOGETHER_IN_A_RUN: u64 = 1_000_000_000;

/// So many steps are made at most to tell whether a number says where few clients are.
const STEPS_WHERE: usize = 50_000_000;

/// Combinations of shown numbers that take none of the kinds that were given: a basis of them, thinly filled.
struct Combinations {
    /// Each by its numbers, in order, and their factors; one that was used up is empty.
    basis: Vec<Vec<(u32, u64)>>,
    /// The combinations that have a number.
    with: Vec<Vec<u32>>,
    /// A random one: what it says of a kind stands for what all say, but for one case in 2^61.
    sample: Vec<u64>,
    steps: u64,
}

impl Combinations {
    /// All of so many numbers.
    fn of(numbers: u32) -> Self {
        let mut sample = Vec::new();
        let mut state = 0_u64;
        for _ in 0..numbers {
            // splitmix64 (G. L. Steele and others, OOPSLA 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            sample.push((z ^ (z >> 31)) % PRIME);
        }
        Self {
            basis: (0..numbers).map(|number| vec![(number, 1)]).collect(),
            with: (0..numbers).map(|number| vec![number]).collect(),
            sample,
            steps: 0,
        }
    }

    /// What the random one takes of a kind that is in these numbers: 0 where all take nothing of it, and the same for two
    /// kinds of which all take the same.
    fn take(&self, numbers: impl Iterator<Item = usize>) -> u64 {
        numbers.fold(0, |sum, number| plus(sum, self.sample[number]))
    }

    /// Leaves those that take nothing of a kind that is in these numbers: the thinnest of the others is used up, to clear the
    /// rest of them.
    fn clear(&mut self, numbers: impl Iterator<Item = usize>) {
        let mut takes: Numbers<u32, u64> = Numbers::default();
        let mut of_sample = 0;
        for number in numbers {
            of_sample = plus(of_sample, self.sample[number]);
            self.steps += self.with[number].len() as u64;
            for at in &self.with[number] {
                let sum = takes.entry(*at).or_default();
                *sum = plus(*sum, factor(&self.basis[*at as usize], number));
            }
        }
        let mut takes: Vec<(u32, u64)> = takes.into_iter().filter(|(_, sum)| *sum != 0).collect();
        takes.sort_unstable();
        let size = |(at, _): &&(u32, u64)| (self.basis[*at as usize].len(), *at);
        let Some((used, own)) = takes.iter().min_by_key(size).copied() else { return };
        let thin = std::mem::take(&mut self.basis[used as usize]);
        for (number, _) in &thin {
            self.with[*number as usize].retain(|at| *at != used);
        }
        let share = inverse(own);
        for (at, sum) in takes.into_iter().filter(|(at, _)| *at != used) {
            self.subtract(at, &thin, times(sum, share));
        }
        let part = times(of_sample, share);
        for (number, factor) in thin {
            let entry = &mut self.sample[number as usize];
            *entry = minus(*entry, times(part, factor));
        }
    }

    /// Takes so much of one combination from that at `at`.
    fn subtract(&mut self, at: u32, thin: &[(u32, u64)], part: u64) {
        let old = std::mem::take(&mut self.basis[at as usize]);
        self.steps += (old.len() + thin.len()) as u64;
        let mut new = Vec::with_capacity(old.len() + thin.len());
        let (mut old, mut thin) = (old.into_iter().peekable(), thin.iter().copied().peekable());
        loop {
            let next = match (old.peek(), thin.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let kept = if next == Ordering::Greater { None } else { old.next() };
            let taken = if next == Ordering::Less { None } else { thin.next() };
            let Some(number) = kept.or(taken).map(|(number, _)| number) else { break };
            let (before, less) = (kept.map_or(0, |(_, factor)| factor), taken.map_or(0, |(_, factor)| factor));
            let after = minus(before, times(part, less));
            if after != 0 {
                new.push((number, after));
            }
            let with = &mut self.with[number as usize];
            if before == 0 && after != 0 {
                with.push(at);
            } else if before != 0 && after == 0 {
                with.retain(|other| *other != at);
            }
        }
        self.basis[at as usize] = new;
    }
}

/// What a number counts in a combination.
fn factor(combination: &[(u32, u64)], number: usize) -> u64 {
    combination.binary_search_by_key(&number, |(at, _)| *at as usize).map_or(0, |at| combination[at].1)
}

/// Clients by their kind, as far as the tables before the newest tell: clients of one kind are in the same shown rows, and
/// counted in the same ones.
#[derive(Clone, Default)]
pub(super) struct Kinds {
    of: Vec<u32>,
    /// So many tables have told.
    tables: usize,
    /// Steps of arithmetic that were made in this run, and of looks at what follows together.
    steps: u64,
    together: u64,
}

/// The numbers that are known, each by its place among them.
#[derive(Default)]
struct Known {
    /// For each number, the row of the newest table that shows it, and shows it first.
    of_newest: Vec<Option<usize>>,
    /// For each grouping, the numbers of clients in its rows, and in all of them together.
    sizes: Vec<Vec<Option<usize>>>,
    /// For each table, those that are counted.
    numerators: Vec<Vec<Option<usize>>>,
}

impl Known {
    fn place(&mut self, is_shown: bool, of_newest: Option<usize>) -> Option<usize> {
        is_shown.then(|| {
            self.of_newest.push(of_newest);
            self.of_newest.len() - 1
        })
    }
}

/// What shown numbers say together of kinds of few clients.
struct OfFew {
    /// What each combination says of the kinds, and beside it what it is made of.
    form: Echelon,
    /// So many clients are of each kind.
    kinds: Vec<u64>,
    /// The place of each client's kind among these, or [`NONE`].
    places: Vec<u32>,
    /// One client of each kind, of many clients or few.
    ones: Vec<u32>,
}

impl Linked {
    /// Rows of the newest table with which sums and differences of shown numbers tell of few.
    pub(super) fn sums(&mut self) -> Vec<(usize, Reason)> {
        let most = if self.at_once { STEPS_AT_ONCE } else { STEPS };
        let Some(newest) = self.tables.len().checked_sub(1).filter(|_| self.kinds.steps < most) else {
            return Vec::new();
        };
        while self.kinds.tables < newest {
            self.kinds.of = self.kinds_by(self.kinds.tables).0;
            self.kinds.tables += 1;
        }
        let begun = self.kinds.steps;
        let known = self.known();
        let Some(of_few) = self.of_few(newest, &known, most) else { return Vec::new() };
        let steps = STEPS_OF_PARTS.max(self.kinds.steps - begun);
        let parts = self.parts(&of_few, steps);
        let mut hide = BTreeSet::new();
        for forms in [&parts[..], std::slice::from_ref(&of_few.form)] {
            let mut steps = STEPS_TOGETHER.min(STEPS_TOGETHER_IN_A_RUN.saturating_sub(self.kinds.together));
            self.kinds.together += steps;
            let found = few::sums(forms.iter(), &of_few.kinds, self.rule.k.saturating_sub(1), &mut steps);
            self.kinds.together -= steps;
            for sum in found {
                let (says, made_of) = sum.split_at(of_few.kinds.len());
                match self.smallest(&known, made_of) {
                    Some(row) => _ = hide.insert(row),
                    // What tables that are known from elsewhere tell of few, a new one tells again.
                    None if self.tables.iter().any(|table| table.is_known) => {}
                    None => hide.extend(self.where_few_are(says, &of_few, &known)),
                }
            }
        }
        let release = self.tables.last().map_or("", |table| &table.release);
        let reason = || Reason { release: release.to_owned(), rule: Follows::Difference };
        hide.into_iter().map(|row| (row, reason())).collect()
    }

    /// What the shown numbers say together of kinds of fewer than k clients, unless it takes more than `most` steps.
    fn of_few(&mut self, newest: usize, known: &Known, most: u64) -> Option<OfFew> {
        let (of_clients, number) = self.kinds_by(newest);
        // The clients of each kind, and one of them.
        let mut all: Vec<(u64, u32)> = vec![(0, NONE); number];
        for (client, kind) in (0..).zip(&of_clients) {
            let kind = &mut all[*kind as usize];
            *kind = (kind.0 + 1, client);
        }
        let ones: Vec<u32> = all.iter().map(|(_, one)| *one).collect();
        self.kinds.steps += (all.len() * (self.groupings.len() + self.tables.len())) as u64;
        let (large, small): (Vec<_>, Vec<_>) = all.into_iter().partition(|(clients, _)| *clients >= self.rule.k);
        let combinations = self.without(large.into_iter().map(|(_, one)| one), known, most)?;
        // Kinds of which no combination takes anything say nothing, and those of which all take the same are one.
        let mut taken_before: Numbers<u64, usize> = Numbers::default();
        let mut kinds: Vec<u64> = Vec::new();
        let mut with: Vec<Vec<usize>> = vec![Vec::new(); known.of_newest.len()];
        let mut places = vec![NONE; ones.len()];
        for (clients, one) in small {
            let taken = combinations.take(self.numbers_of(known, one));
            if taken == 0 {
                continue;
            }
            let place = *taken_before.entry(taken).or_insert(kinds.len());
            if place == kinds.len() {
                kinds.push(0);
                self.numbers_of(known, one).for_each(|number| with[number].push(place));
            }
            kinds[place] += clients;
            places[of_clients[one as usize] as usize] = u32::try_from(place).unwrap_or(NONE);
        }
        let mut form = Echelon::default();
        for combination in combinations.basis.iter().filter(|combination| !combination.is_empty()) {
            let (mut says, mut made_of) = (vec![0; kinds.len()], vec![0; known.of_newest.len()]);
            for (number, factor) in combination {
                let number = *number as usize;
                made_of[number] = *factor;
                with[number].iter().for_each(|kind| says[*kind] = plus(says[*kind], *factor));
                self.kinds.steps += with[number].len() as u64;
            }
            self.kinds.steps += ((says.len() + made_of.len()) * (1 + 2 * form.0.len())) as u64;
            form.add([says, made_of].concat());
            if self.kinds.steps > most {
                return None;
            }
        }
        let places = of_clients.into_iter().map(|kind| places[kind as usize]).collect();
        Some(OfFew { form, kinds, places, ones })
    }

    /// The combinations of shown numbers that take nothing of the kinds of these clients, unless it takes more than `most`
    /// steps.
    fn without(&mut self, clients: impl Iterator<Item = u32>, known: &Known, most: u64) -> Option<Combinations> {
        let mut combinations = Combinations::of(u32::try_from(known.of_newest.len()).unwrap_or(u32::MAX));
        for client in clients {
            if self.kinds.steps + combinations.steps > most {
                break;
            }
            if combinations.take(self.numbers_of(known, client)) != 0 {
                combinations.clear(self.numbers_of(known, client));
            }
        }
        self.kinds.steps += combinations.steps;
        (self.kinds.steps <= most).then_some(combinations)
    }

    /// What follows of clients of withheld rows alone: of one row of a table, or of all together, and of those of them who are
    /// counted, or not. In one echelon form, such a number may be a sum of many rows; here of few.
    fn parts(&self, of_few: &OfFew, most: u64) -> Vec<Echelon> {
        let kinds = of_few.kinds.len();
        let (mut found, mut steps) = (Vec::new(), 0);
        let mut parts: Vec<_> = self.withheld_parts(of_few).into_iter().collect();
        parts.sort_by_key(Vec::len);
        for part in parts {
            let mut inside = vec![false; kinds];
            for at in part {
                inside[at] = true;
            }
            // A sum of rows has the factor of each at its leading place: those that lead elsewhere are in none.
            let leads = |at: usize| inside.get(at) == Some(&true);
            let rows: Vec<&Vec<u64>> = of_few.form.0.iter().filter(|(at, _)| leads(*at)).map(|(_, row)| row).collect();
            let outside: Vec<usize> =
                (0..kinds).filter(|at| !inside[*at] && rows.iter().any(|row| row[*at] != 0)).collect();
            let Some(length) = rows.first().map(|row| row.len()) else { continue };
            steps += (rows.len() * (kinds + 2 * rows.len() * length)) as u64;
            if steps > most {
                break;
            }
            let mut own = Echelon::default();
            for row in rows {
                own.add(outside.iter().map(|at| row[*at]).chain(row.iter().copied()).collect());
            }
            own.0.retain(|(at, _)| *at >= outside.len());
            for (at, row) in &mut own.0 {
                *at -= outside.len();
                row.drain(..outside.len());
            }
            if !own.0.is_empty() {
                found.push(own);
            }
        }
        found
    }

    /// The places of kinds whose clients are all in one withheld row of a table, or all in withheld ones; and of them those
    /// whose clients are all counted there, or none of them.
    fn withheld_parts(&self, of_few: &OfFew) -> BTreeSet<Vec<usize>> {
        /// In withheld rows, and not all in one.
        const SEVERAL: u32 = NONE - 1;
        /// No client was looked at.
        const UNSEEN: u32 = NONE - 2;
        let mut parts: BTreeSet<Vec<usize>> = BTreeSet::new();
        for table in self.tables.iter().filter(|table| table.shown.contains(&false)) {
            let (grouping, answers) = (&self.groupings[table.grouping], &self.answers[table.answers]);
            let mut of_kinds = vec![(UNSEEN, None, true); of_few.kinds.len()];
            for (client, place) in (0..).zip(&of_few.places).filter(|(_, place)| **place != NONE) {
                let row = match grouping.row(client) {
                    NONE => NONE,
                    row if table.shown[row as usize] => NONE,
                    row => row,
                };
                let answer = answers.get(client);
                let of_kind = &mut of_kinds[*place as usize];
                *of_kind = match *of_kind {
                    (UNSEEN, ..) => (row, answer, true),
                    (before, known, alike) => {
                        let row = match (before, row) {
                            (NONE, _) | (_, NONE) => NONE,
                            (before, row) if before == row => row,
                            _ => SEVERAL,
                        };
                        (row, known, alike && known == answer)
                    }
                };
            }
            let mut of_table: BTreeMap<(u32, Option<bool>), Vec<usize>> = BTreeMap::new();
            for (place, (row, answer, alike)) in of_kinds.into_iter().enumerate() {
                if row == NONE || row == UNSEEN {
                    continue;
                }
                let answer = answer.filter(|_| alike);
                let rows = [Some(SEVERAL), Some(row).filter(|row| *row != SEVERAL)];
                for row in rows.into_iter().flatten() {
                    of_table.entry((row, None)).or_default().push(place);
                    if answer.is_some() {
                        of_table.entry((row, answer)).or_default().push(place);
                    }
                }
            }
            parts.extend(of_table.into_values());
        }
        parts
    }

    /// The smallest row of the newest table among those that something is made of.
    fn smallest(&self, known: &Known, made_of: &[u64]) -> Option<usize> {
        let newest = self.tables.last()?;
        let rows = made_of.iter().zip(&known.of_newest).filter(|(part, _)| **part != 0);
        let rows = rows.filter_map(|(_, of_newest)| *of_newest);
        rows.min_by_key(|row| (self.groupings[newest.grouping].sizes[*row], *row))
    }

    /// What totals alone tell of few cannot be helped; but a number that is told in two ways may say where they are: one that
    /// would be told in one way alone, if one of them were elsewhere. The smallest rows of these.
    fn where_few_are(&self, says: &[u64], of_few: &OfFew, known: &Known) -> BTreeSet<usize> {
        let twice = of_few.form.0.iter().filter(|(lead, _)| *lead >= says.len());
        let twice = twice.filter_map(|(_, row)| Some((self.smallest(known, &row[says.len()..])?, &row[says.len()..])));
        let mut open: Vec<(usize, &[u64])> = twice.collect();
        let few = (0..).zip(&of_few.places).filter(|(_, place)| says.get(**place as usize) == Some(&1));
        let few: Vec<u32> = few.map(|(client, _)| client).collect();
        // One client of each kind. In a row of people, those who are not counted are of no kind.
        let others = if self.tables.iter().any(|table| table.of_people) {
            (0..u32::try_from(self.clients.len()).unwrap_or(NONE)).collect()
        } else {
            of_few.ones.clone()
        };
        let mut found = BTreeSet::new();
        if few.len() * others.len() * (open.len() + 1) * (self.groupings.len() + self.tables.len()) > STEPS_WHERE {
            return open.into_iter().map(|(row, _)| row).collect();
        }
        for client in few {
            for other in &others {
                open.retain(|(row, made_of)| {
                    let numbers = self.numbers_at(known, client, *other);
                    let is_told_in_one_way = numbers.fold(0, |sum, number| plus(sum, made_of[number])) != 0;
                    if is_told_in_one_way {
                        found.insert(*row);
                    }
                    !is_told_in_one_way
                });
            }
        }
        found
    }

    /// The numbers that are shown.
    fn known(&self) -> Known {
        let mut known = Known::default();
        let newest = self.tables.len() - 1;
        for grouping in 0..self.groupings.len() {
            let before = self.size_is_shown(grouping, newest);
            let now = self.size_is_shown(grouping, newest + 1);
            let rows = now.iter().zip(&before).enumerate();
            let mut places: Vec<_> =
                rows.map(|(row, (now, before))| known.place(*now, (!before).then_some(row))).collect();
            places.push(known.place(self.totals_are_known, None));
            known.sizes.push(places);
        }
        for (at, table) in self.tables.iter().enumerate() {
            let is_again = |earlier: &Table| {
                (earlier.grouping, earlier.answers, &earlier.shown) == (table.grouping, table.answers, &table.shown)
            };
            let is_new = !self.tables[..at].iter().any(is_again);
            let rows = table.shown.iter().enumerate();
            let mut places: Vec<_> =
                rows.map(|(row, shown)| known.place(*shown && is_new, (at == newest).then_some(row))).collect();
            places.push(known.place(self.totals_are_known && is_new, None));
            known.numerators.push(places);
        }
        // Totals stand first, and then what the newest table shows, so that nothing is made of totals that rows make, too, nor
        // of new rows what others make. Totals may be known; rows are.
        let mut order: Vec<usize> = (0..known.of_newest.len()).collect();
        let ends = known.sizes.iter().chain(&known.numerators).filter_map(|places| *places.last()?);
        let totals: BTreeSet<usize> = ends.collect();
        order.sort_by_key(|number| (!totals.contains(number), known.of_newest[*number].is_none()));
        known.of_newest = order.iter().map(|number| known.of_newest[*number]).collect();
        let mut places = vec![0; order.len()];
        for (place, number) in order.into_iter().enumerate() {
            places[number] = place;
        }
        for number in known.sizes.iter_mut().chain(&mut known.numerators).flatten().flatten() {
            *number = places[*number];
        }
        known
    }

    /// The numbers in which a client is.
    fn numbers_of<'a>(&'a self, known: &'a Known, client: u32) -> impl Iterator<Item = usize> + Clone + 'a {
        self.numbers_at(known, client, client)
    }

    /// The numbers in which a client would be in the rows of another one.
    fn numbers_at<'a>(&'a self, known: &'a Known, client: u32, other: u32) -> impl Iterator<Item = usize> + Clone + 'a {
        let row = move |grouping: &Grouping| match grouping.row(client) {
            NONE => NONE,
            _ => grouping.row(other),
        };
        let of = |places: &[Option<usize>], row: u32| {
            let all = places.last().copied().flatten();
            let one = places.get(row as usize).copied().flatten();
            if row == NONE { [None, None] } else { [one, all] }
        };
        let sizes = known.sizes.iter().zip(&self.groupings);
        let sizes = sizes.flat_map(move |(places, grouping)| of(places, row(grouping)));
        let numerators = known.numerators.iter().zip(&self.tables).flat_map(move |(places, table)| {
            let is_counted = self.answers[table.answers].get(client) == Some(true);
            of(places, if is_counted { row(&self.groupings[table.grouping]) } else { NONE })
        });
        sizes.chain(numerators).flatten()
    }

    /// The kinds of clients, told further apart by a table, and numbered by what tells them apart; and how many there are.
    fn kinds_by(&self, table: usize) -> (Vec<u32>, usize) {
        let table = &self.tables[table];
        let grouping: &Grouping = &self.groupings[table.grouping];
        let answers = &self.answers[table.answers];
        let marks = (0..u32::try_from(self.clients.len()).unwrap_or(NONE)).map(|client| {
            let before = self.kinds.of.get(client as usize).copied().unwrap_or(NONE);
            let row = grouping.row(client);
            let is_shown = row != NONE && table.shown[row as usize];
            let place = match row {
                NONE => NONE,
                row if is_shown && !table.of_people => row,
                _ => NONE - 1,
            };
            let counted = match answers.get(client) == Some(true) {
                true if is_shown => row,
                true if row != NONE && self.totals_are_known => NONE - 1,
                _ => NONE,
            };
            (before, place, counted)
        });
        in_order(marks)
    }
}
