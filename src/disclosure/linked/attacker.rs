//! An attacker of small registries, in whole numbers: random tables are admitted in turn, and of what they withhold every
//! value is looked for that the shown numbers leave possible.
//!
//! The attacker knows all shown numbers, which rows there are, which indicator needs which other, and, where totals are
//! known, the clients of each table and those of them who are counted. The unknowns are the clients of each place (county,
//! sex, age) and of each set of indicators; unknowns that no shown number tells apart are one. What is possible is found by
//! the simplex method in whole numbers (J. Edmonds, J. Res. NBS 71B, 1967; Bland's rule), and each value by a registry that
//! has it. Nothing of the audit is used.

use std::collections::{BTreeMap, BTreeSet};

use super::Linked;
use crate::disclosure::table::Rule;
use crate::query::{Members, Trait};

/// Numbers from a seed: splitmix64 (G. L. Steele and others, OOPSLA 2014).
pub(in crate::disclosure) struct Random(pub u64);

impl Random {
    pub(in crate::disclosure) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

type Place = [usize; 3];

/// A table that is asked for.
#[derive(Clone, Debug, PartialEq)]
struct Ask {
    by: [bool; 3],
    only: Option<(usize, usize)>,
    outcome: usize,
    of_people: bool,
}

impl Ask {
    /// The row of a place, if it is in the table.
    fn row(&self, place: Place) -> Option<Vec<usize>> {
        let is_in = self.only.is_none_or(|(dimension, value)| place[dimension] == value);
        is_in.then(|| (0..3).filter(|at| self.by[*at]).map(|at| place[at]).collect())
    }
}

/// A registry and what is asked of it.
#[derive(Clone, Debug)]
struct Case {
    rule: Rule,
    totals_are_known: bool,
    /// Those that there could be.
    places: Vec<Place>,
    outcomes: usize,
    /// Who has the first has the second.
    needs: Vec<(usize, usize)>,
    /// The number of the place, and the set of indicators, of each client.
    clients: Vec<(usize, usize)>,
    asks: Vec<Ask>,
}

fn has(set: usize, outcome: usize) -> bool {
    set >> outcome & 1 == 1
}

impl Case {
    fn random(seed: u64, with_people: bool) -> Self {
        let mut random = Random(seed);
        let rule = Rule { k: random.of(&[3, 3, 4, 5]), w: 3 };
        let levels @ [counties, sexes, ages] = [2 + random.below(3), 2, 1 + random.below(3)];
        let needs: [&[(usize, usize)]; 5] =
            [&[], &[(1, 0)], &[(1, 0), (2, 1), (2, 0)], &[(1, 0), (2, 0)], &[(2, 0), (2, 1)]];
        let needs = random.of(&needs);
        let outcomes = needs.iter().map(|(a, b)| 1 + a.max(b)).max().unwrap_or(1 + random.below(2));
        let mut case = Self {
            rule,
            totals_are_known: random.below(2) == 1,
            places: (0..counties * sexes * ages)
                .map(|at| [at / (sexes * ages), at / ages % sexes, at % ages])
                .collect(),
            outcomes,
            needs: needs.to_vec(),
            clients: Vec::new(),
            asks: Vec::new(),
        };
        let bag: Vec<usize> =
            (0..case.places.len()).flat_map(|place| vec![place; random.of(&[0, 1, 2, 4, 6])]).collect();
        let odds = [(); 3].map(|()| random.of(&[1, 3, 5, 7, 9]));
        let sets = case.sets();
        for _ in 0..if bag.is_empty() { 0 } else { 8 + random.below(57) } {
            let set = loop {
                let set = (0..outcomes).map(|at| usize::from(random.below(10) < odds[at]) << at).sum();
                if sets.contains(&set) {
                    break set;
                }
            };
            case.clients.push((random.of(&bag), set));
        }
        for _ in 0..2 + random.below(5) {
            let dimension = random.below(3);
            case.asks.push(Ask {
                by: [(); 3].map(|()| random.below(2) == 1),
                only: (random.below(3) == 0).then(|| (dimension, random.below(levels[dimension]))),
                outcome: random.below(outcomes),
                of_people: with_people && random.below(6) == 0,
            });
        }
        case
    }

    /// The sets of indicators that a client may have.
    fn sets(&self) -> Vec<usize> {
        let may = |set: &usize| self.needs.iter().all(|(a, b)| !has(*set, *a) || has(*set, *b));
        (0..1 << self.outcomes).filter(may).collect()
    }

    fn members(&self, ask: &Ask) -> Members {
        let mut rows = BTreeMap::<Vec<usize>, Vec<(i64, bool)>>::new();
        for (key, (place, set)) in (0..).zip(&self.clients) {
            if let Some(row) = ask.row(self.places[*place]) {
                rows.entry(row).or_default().push((key, has(*set, ask.outcome)));
            }
        }
        let labels = |row: Vec<usize>| row.iter().map(ToString::to_string).collect();
        let family = |at: usize| Trait { name: at.to_string(), family: Some(at.to_string()) };
        Members {
            of_people: ask.of_people,
            by: (0..3).filter(|at| ask.by[*at]).map(family).collect(),
            chosen_by: ask.only.iter().map(|(at, _)| family(*at)).collect(),
            rows: rows.into_iter().map(|(row, clients)| (labels(row), clients)).collect(),
        }
    }

    /// Which rows may be shown by themselves.
    fn alone(&self, members: &Members) -> Vec<bool> {
        let may = members.rows.iter().map(|(_, clients)| {
            let yes = clients.iter().filter(|(_, yes)| *yes).count();
            let few = |count: usize| self.rule.is_small(count as u64);
            !few(yes) && (members.of_people || !(few(clients.len()) || few(clients.len() - yes)))
        });
        may.collect()
    }

    /// Which rows of each table are shown.
    fn shown(&self) -> Vec<Vec<bool>> {
        let mut linked = Linked::new(self.rule, self.totals_are_known);
        let shown = (0..).zip(&self.asks).map(|(at, ask)| {
            let members = self.members(ask);
            let alone = self.alone(&members);
            linked.admit(&format!("{at}"), &format!("{}", ask.outcome), &members, alone).0
        });
        shown.collect()
    }
}

/// Equations of unknowns that are not negative, solved for some of them: `scale` times each unknown of the basis, and whole
/// multiples of the others, are the last number of its row.
#[derive(Clone)]
struct Program {
    rows: Vec<Vec<i64>>,
    basis: Vec<usize>,
    scale: i64,
}

impl Program {
    /// Rows of factors and a sum that is not negative; nothing where no values fit.
    fn new(rows: &[Vec<i64>], unknowns: usize) -> Option<Self> {
        let mut program = Self { rows: rows.to_vec(), basis: (unknowns..unknowns + rows.len()).collect(), scale: 1 };
        // At first the rows have unknowns of their own, which are driven out.
        while let Some(column) = (0..unknowns).find(|column| {
            let open = program.rows.iter().zip(&program.basis).filter(|(_, basis)| **basis >= unknowns);
            open.map(|(row, _)| row[*column]).sum::<i64>() > 0
        }) {
            let row = program.leaving(column)?;
            program.pivot(row, column);
        }
        let open =
            |program: &Self| (0..program.rows.len()).filter(|row| program.basis[*row] >= unknowns).collect::<Vec<_>>();
        if open(&program).iter().any(|row| program.rows[*row][unknowns] > 0) {
            return None;
        }
        for row in open(&program) {
            if let Some(column) = (0..unknowns).find(|column| program.rows[row][*column] != 0) {
                program.pivot(row, column);
            }
        }
        for row in open(&program).into_iter().rev() {
            program.rows.remove(row);
            program.basis.remove(row);
        }
        Some(program)
    }

    /// The row that bounds a growing unknown first.
    fn leaving(&self, column: usize) -> Option<usize> {
        let rows = (0..self.rows.len()).filter(|row| self.rows[*row][column] > 0);
        rows.min_by(|a, b| {
            let (first, second) = (&self.rows[*a], &self.rows[*b]);
            let end = first.len() - 1;
            (first[end] * second[column]).cmp(&(second[end] * first[column])).then(self.basis[*a].cmp(&self.basis[*b]))
        })
    }

    fn pivot(&mut self, at: usize, column: usize) {
        let pivot = self.rows[at].clone();
        for row in self.rows.iter_mut().enumerate().filter(|(row, _)| *row != at).map(|(_, row)| row) {
            let factor = row[column];
            row.iter_mut()
                .zip(&pivot)
                .for_each(|(value, by)| *value = (*value * pivot[column] - factor * by) / self.scale);
        }
        self.scale = pivot[column];
        self.basis[at] = column;
        if self.scale < 0 {
            self.scale = -self.scale;
            self.rows.iter_mut().flatten().for_each(|value| *value = -*value);
        }
    }

    /// Makes a sum of unknowns as large as it can be, and gives `scale` times it; nothing where it has no end.
    fn maximize(&mut self, factors: &[i64]) -> Option<i64> {
        loop {
            let gain = |column: usize| {
                let given_up = self.rows.iter().zip(&self.basis).map(|(row, basis)| factors[*basis] * row[column]);
                given_up.sum::<i64>()
            };
            let Some(column) = (0..factors.len()).find(|column| factors[*column] * self.scale > gain(*column)) else {
                return Some(gain(factors.len()));
            };
            let row = self.leaving(column)?;
            self.pivot(row, column);
        }
    }

    /// The values, if all are whole, or an unknown that is not.
    fn whole(&self, unknowns: usize) -> Result<Vec<i64>, (usize, i64)> {
        let mut values = vec![0; unknowns];
        for (row, basis) in self.rows.iter().zip(&self.basis) {
            let value = row[unknowns];
            if value % self.scale != 0 {
                return Err((*basis, value / self.scale));
            }
            values[*basis] = value / self.scale;
        }
        Ok(values)
    }
}

/// Whole numbers that fit equations, by branching.
fn whole(rows: &[Vec<i64>], unknowns: usize) -> Option<Vec<i64>> {
    match Program::new(rows, unknowns)?.whole(unknowns) {
        Ok(values) => Some(values),
        Err((unknown, below)) => [(1, below), (-1, below + 1)].into_iter().find_map(|(slack, bound)| {
            let mut rows = rows.to_vec();
            for row in &mut rows {
                row.insert(unknowns, 0);
            }
            let mut row = vec![0; unknowns + 2];
            (row[unknown], row[unknowns], row[unknowns + 1]) = (1, slack, bound);
            rows.push(row);
            whole(&rows, unknowns + 1)
        }),
    }
}

/// What is known: the sum of some unknowns is a number, or at least that.
struct Fact {
    of: Vec<bool>,
    sum: i64,
    is_exact: bool,
}

/// Equations of unknowns, of which those that all facts treat alike are one; and the unknown of each.
fn equations(facts: &[&Fact], unknowns: usize) -> (Vec<Vec<i64>>, Vec<usize>, usize) {
    let mut classes = BTreeMap::<Vec<bool>, usize>::new();
    let class: Vec<usize> = (0..unknowns)
        .map(|unknown| {
            let next = classes.len();
            *classes.entry(facts.iter().map(|fact| fact.of[unknown]).collect()).or_insert(next)
        })
        .collect();
    let excess: Vec<usize> = (0..facts.len()).filter(|at| !facts[*at].is_exact).collect();
    let width = classes.len() + excess.len();
    let mut rows = vec![vec![0; width + 1]; facts.len()];
    for (at, row) in rows.iter_mut().enumerate() {
        for (marks, class) in &classes {
            row[*class] = i64::from(marks[at]);
        }
        row[width] = facts[at].sum;
    }
    for (at, fact) in excess.iter().enumerate() {
        rows[*fact][classes.len() + at] = -1;
    }
    (rows, class, width)
}

/// What a number must be able to be.
#[derive(Clone, Copy, Debug)]
struct Need {
    values: usize,
    reach: i64,
}

/// Of the clients of some places: how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    All,
    With(usize),
    Without(usize),
    /// Who have the first and lack the second.
    Between(usize, usize),
}

impl Form {
    fn counts(self, set: usize) -> bool {
        match self {
            Self::All => true,
            Self::With(outcome) => has(set, outcome),
            Self::Without(outcome) => !has(set, outcome),
            Self::Between(first, second) => has(set, first) && !has(set, second),
        }
    }
}

/// Places as bits, by their number in [`Case::places`].
type Places = u32;

/// A number that nobody should know.
#[derive(Clone, Debug)]
struct Secret {
    what: What,
    places: Places,
    form: Form,
    need: Need,
    /// The tables that there are when it is asked for, at least one.
    since: usize,
}

/// What a secret is the number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A withheld row.
    Withheld,
    /// A shown row, or what shown rows of one table, or all clients, have more than shown rows of one or two others.
    Difference,
    /// A row that nobody asked for.
    Unasked,
}

struct Attack {
    /// A place and a set of indicators each.
    unknowns: Vec<(Places, usize)>,
    facts: Vec<Fact>,
    class: Vec<usize>,
    width: usize,
    program: Program,
    /// Registries that could be, by class of unknowns; the first is the true one.
    worlds: Vec<Vec<i64>>,
}

impl Attack {
    /// Knows the first tables, as many as patterns are given.
    fn new(case: &Case, shown: &[Vec<bool>]) -> Self {
        let tables: Vec<(&Ask, Vec<Places>)> =
            case.asks.iter().take(shown.len()).map(|ask| (ask, case.rows(ask))).collect();
        // A place whose row is not there has nobody.
        let is_listed = |place: Places| {
            let of_clients = tables.iter().filter(|(ask, _)| !ask.of_people);
            of_clients
                .into_iter()
                .all(|(ask, rows)| place & case.cohort(ask) == 0 || rows.iter().any(|row| place & row != 0))
        };
        let sets = case.sets();
        let places = (0..case.places.len()).map(|at| 1 << at).filter(|place| is_listed(*place));
        let unknowns: Vec<(Places, usize)> =
            places.flat_map(|place| sets.iter().map(move |set| (place, *set))).collect();
        let fact = |places: Places, form: Form, is_exact: bool| Fact {
            of: unknowns.iter().map(|(place, set)| place & places != 0 && form.counts(*set)).collect(),
            sum: if is_exact { case.count(places, form) } else { 1 },
            is_exact,
        };
        let mut facts = Vec::new();
        for ((ask, rows), shown) in tables.iter().zip(shown) {
            let known = rows.iter().copied().zip(shown.iter().copied());
            let all = case.totals_are_known.then(|| (case.cohort(ask), true));
            for (row, is_known) in known.chain(all) {
                if is_known {
                    facts.push(fact(row, Form::With(ask.outcome), true));
                }
                if !ask.of_people || row == case.cohort(ask) && case.totals_are_known {
                    facts.push(fact(row, Form::All, is_known));
                }
            }
        }
        let (rows, class, width) = equations(&facts.iter().collect::<Vec<_>>(), unknowns.len());
        let mut truth = vec![0; width];
        for (place, set) in &case.clients {
            truth[class[unknowns.iter().position(|unknown| *unknown == (1 << place, *set)).unwrap()]] += 1;
        }
        let program = Program::new(&rows, width).unwrap();
        Self { unknowns, facts, class, width, program, worlds: vec![truth] }
    }

    /// Whether a number could be as many others as it must.
    fn is_kept(&mut self, secret: &Secret) -> bool {
        let need = secret.need;
        let is_of = |(place, set): &(Places, usize)| place & secret.places != 0 && secret.form.counts(*set);
        let of: Vec<bool> = self.unknowns.iter().map(is_of).collect();
        let (mut any, mut all) = (vec![0; self.width], vec![0; self.width]);
        self.class.iter().for_each(|class| all[*class] = 1);
        for (class, of) in self.class.iter().zip(&of) {
            any[*class] |= i64::from(*of);
            all[*class] &= i64::from(*of);
        }
        let sum = |factors: &[i64], world: &[i64]| factors.iter().zip(world).map(|(a, b)| a * b).sum::<i64>();
        let mut values = BTreeSet::new();
        for world in &self.worlds {
            values.extend(sum(&all, world)..=sum(&any, world));
        }
        let is_met = |values: &BTreeSet<i64>| {
            values.len() >= need.values && values.last().is_some_and(|last| *last >= need.reach)
        };
        let mut ends = [0; 2];
        let least: Vec<i64> = all.iter().map(|factor| -factor).collect();
        for (end, factors) in ends.iter_mut().zip([&any, &least]) {
            if is_met(&values) {
                return true;
            }
            let Some(most) = self.program.maximize(factors) else { return true };
            *end = most.div_euclid(self.program.scale);
            if let Ok(world) = self.program.whole(self.width) {
                values.extend(sum(&all, &world)..=sum(&any, &world));
                self.worlds.push(world);
            }
        }
        let (least, most) = (-ends[1], ends[0]);
        if most < need.reach || usize::try_from(most - least + 1).is_ok_and(|values| values < need.values) {
            return false;
        }
        for sum in (least..=most).rev() {
            if is_met(&values) {
                return true;
            }
            let fact = Fact { of: of.clone(), sum, is_exact: true };
            let facts: Vec<&Fact> = self.facts.iter().chain([&fact]).collect();
            let (rows, _, width) = equations(&facts, self.unknowns.len());
            if !values.contains(&sum) && whole(&rows, width).is_some() {
                values.insert(sum);
            }
        }
        is_met(&values)
    }
}

impl Case {
    fn places_where(&self, is_in: impl Fn(Place) -> bool) -> Places {
        (0..).zip(&self.places).filter(|(_, place)| is_in(**place)).map(|(at, _): (u32, _)| 1 << at).sum()
    }

    /// All places of a table.
    fn cohort(&self, ask: &Ask) -> Places {
        self.places_where(|place| ask.row(place).is_some())
    }

    /// The places of each row of a table.
    fn rows(&self, ask: &Ask) -> Vec<Places> {
        let rows: BTreeSet<Vec<usize>> =
            self.clients.iter().filter_map(|(place, _)| ask.row(self.places[*place])).collect();
        rows.iter().map(|row| self.places_where(|place| ask.row(place).as_ref() == Some(row))).collect()
    }

    fn count(&self, places: Places, form: Form) -> i64 {
        let clients = self.clients.iter().filter(|(place, set)| places >> place & 1 == 1 && form.counts(*set));
        i64::try_from(clients.count()).unwrap()
    }

    /// All numbers of some places.
    fn forms(&self) -> Vec<Form> {
        let one = (0..self.outcomes).flat_map(|outcome| [Form::With(outcome), Form::Without(outcome)]);
        let two = self.needs.iter().map(|(first, second)| Form::Between(*second, *first));
        [Form::All].into_iter().chain(one).chain(two).collect()
    }

    /// What nobody should know, of those tables of which it is said what they show.
    fn secrets(&self, shown: &[Vec<bool>]) -> Vec<Secret> {
        let k = i64::try_from(self.rule.k).unwrap();
        let is_small = |places, form| (1..k).contains(&self.count(places, form));
        let tables: Vec<(&Ask, Vec<(Places, bool)>)> = self
            .asks
            .iter()
            .zip(shown)
            .map(|(ask, shown)| (ask, self.rows(ask).into_iter().zip(shown.iter().copied()).collect()))
            .collect();
        let lived_in = self.clients.iter().fold(0, |all, (place, _)| all | 1 << place);
        let mut secrets = Vec::new();
        for (at, (ask, rows)) in tables.iter().enumerate() {
            for (places, _) in rows.iter().filter(|(_, is_shown)| !is_shown) {
                let forms = [Form::With(ask.outcome), Form::Without(ask.outcome), Form::All];
                for form in forms.into_iter().take(if ask.of_people { 1 } else { 3 }) {
                    // Shown of the same clients elsewhere, it is no secret.
                    let is_shown = |(other, rows): &(&Ask, Vec<(Places, bool)>)| {
                        (form == Form::All || other.outcome == ask.outcome)
                            && !other.of_people
                            && rows.iter().any(|(row, is_shown)| *is_shown && row & lived_in == places & lived_in)
                    };
                    if !tables.iter().any(is_shown) {
                        let reach = if is_small(*places, form) { k } else { 0 };
                        let need = Need { values: usize::try_from(self.rule.w).unwrap(), reach };
                        secrets.push(Secret { what: What::Withheld, places: *places, form, need, since: at + 1 });
                    }
                }
            }
        }
        let rows: Vec<Vec<Places>> = tables
            .iter()
            .map(|(_, rows)| rows.iter().filter(|(_, is_shown)| *is_shown).map(|(row, _)| *row).collect())
            .collect();
        let mut seen = BTreeSet::new();
        let mut add = |what: What, places: Places| {
            if !seen.insert(places) {
                return;
            }
            for form in self.forms().into_iter().filter(|form| is_small(places, *form)) {
                secrets.push(Secret { what, places, form, need: Need { values: 2, reach: 0 }, since: 1 });
            }
        };
        for whole in self.wholes(&rows) {
            add(What::Difference, whole);
            for first in &rows {
                let rest = without(whole, first);
                add(What::Difference, rest);
                for second in &rows {
                    add(What::Difference, without(rest, second));
                }
            }
        }
        for by in 0..8 {
            for place in &self.places {
                add(
                    What::Unasked,
                    self.places_where(|other| (0..3).all(|at| by >> at & 1 == 0 || place[at] == other[at])),
                );
            }
        }
        secrets
    }

    /// Shown rows, rows of one table that together have all clients of the rows of another that have any of them, and, where
    /// they are known, all clients of a table.
    fn wholes(&self, rows: &[Vec<Places>]) -> Vec<Places> {
        let mut wholes: Vec<Places> = rows.iter().flatten().copied().collect();
        if self.totals_are_known {
            wholes.extend(self.asks.iter().take(rows.len()).map(|ask| self.cohort(ask)));
        }
        for (first, second) in rows.iter().flat_map(|first| rows.iter().map(move |second| (first, second))) {
            for row in first {
                let mut whole = *row;
                loop {
                    let meets = |rows: &[Places], places: Places| {
                        rows.iter().filter(|row| **row & places != 0).fold(0, |all, row| all | row)
                    };
                    let wider = whole | meets(first, meets(second, whole));
                    if wider == whole {
                        break;
                    }
                    whole = wider;
                }
                wholes.push(whole);
            }
        }
        wholes
    }

    /// Secrets that are told by what a table shows, and not by its rows being there, or its total.
    fn told(&self, shown: &[Vec<bool>]) -> Vec<Secret> {
        let mut attack = Attack::new(self, shown);
        let mut told = self.secrets(shown);
        told.retain(|secret| !attack.is_kept(secret));
        if told.is_empty() {
            return told;
        }
        let steps = (1..=shown.len()).map(|until| {
            let mut without = shown[..until].to_vec();
            without[until - 1].fill(false);
            [&without[..], &shown[..until]].map(|shown| Attack::new(self, shown))
        });
        let mut steps: Vec<[Attack; 2]> = steps.collect();
        told.retain(|secret| {
            let told = steps[secret.since - 1..]
                .iter_mut()
                .find_map(|[without, with]| (!with.is_kept(secret)).then_some(without));
            told.is_some_and(|without| without.is_kept(secret))
        });
        told
    }

    /// The tables and clients without which nothing of a kind would be told are all that is left.
    fn shrunk(mut self, what: What) -> Self {
        let tells = |case: &Self| case.told(&case.shown()).iter().any(|secret| secret.what == what);
        loop {
            let fewer_tables = (0..self.asks.len()).map(|at| {
                let mut case = self.clone();
                case.asks.remove(at);
                case
            });
            let fewer_clients = (0..self.clients.len()).map(|at| {
                let mut case = self.clone();
                case.clients.remove(at);
                case
            });
            match fewer_tables.chain(fewer_clients).find(tells) {
                Some(case) => self = case,
                None => return self,
            }
        }
    }
}

/// Places less the rows inside of them.
fn without(places: Places, rows: &[Places]) -> Places {
    rows.iter().filter(|row| *row & places == **row).fold(places, |rest, row| rest & !row)
}

/// Asks many registries for tables. Nothing follows of what is withheld, nor of any difference; what nobody asked for seldom
/// does.
fn nothing_follows(seeds: u64, with_people: bool) {
    let told = |seed: u64| -> BTreeSet<What> {
        let case = Case::random(seed, with_people);
        case.told(&case.shown()).into_iter().map(|secret| secret.what).collect()
    };
    let told: Vec<(u64, BTreeSet<What>)> = (0..seeds).map(|seed| (seed, told(seed))).collect();
    let of = |what: What| -> Vec<u64> {
        told.iter().filter(|(_, told)| told.contains(&what)).map(|(seed, _)| *seed).collect()
    };
    for what in [What::Withheld, What::Difference] {
        let told = of(what);
        let smallest = told.iter().map(|seed| Case::random(*seed, with_people).shrunk(what));
        let smallest = smallest.min_by_key(|case| (case.asks.len(), case.clients.len()));
        assert!(told.is_empty(), "{what:?}: seeds {told:?}, the smallest of which is {smallest:#?}");
    }
    assert!(of(What::Unasked).len() as u64 * 200 <= seeds, "{:?}", of(What::Unasked));
}

#[test]
fn nothing_follows_from_shares_of_clients() {
    nothing_follows(2000, false);
}

#[test]
fn nothing_follows_from_shares_of_clients_and_of_people() {
    nothing_follows(2000, true);
}

#[test]
fn what_is_kept_from_one_table_for_the_next_changes_no_row() {
    for seed in 0..1000 {
        let case = Case::random(seed, seed % 2 == 1);
        let shown = case.shown();
        for (at, ask) in case.asks.iter().enumerate() {
            // As from a ledger: the earlier tables are taken in as they are, and nothing has been looked up.
            let mut fresh = Linked::new(case.rule, case.totals_are_known);
            for (number, (ask, shown)) in case.asks.iter().zip(&shown).take(at).enumerate() {
                fresh.add(&format!("{number}"), &format!("{}", ask.outcome), &case.members(ask), shown.clone());
            }
            let members = case.members(ask);
            let alone = case.alone(&members);
            let (rows, _) = fresh.admit(&format!("{at}"), &format!("{}", ask.outcome), &members, alone);
            assert_eq!(rows, shown[at], "registry {seed}, table {at}");
        }
    }
}

#[test]
fn the_order_of_the_clients_changes_no_row() {
    for seed in 0..1000 {
        let case = Case::random(seed, seed % 2 == 1);
        let shown = case.shown();
        let mut random = Random(seed);
        for _ in 0..3 {
            let mut other = case.clone();
            for last in (1..other.clients.len()).rev() {
                other.clients.swap(last, random.below(last + 1));
            }
            assert_eq!(other.shown(), shown, "registry {seed}");
        }
    }
}
