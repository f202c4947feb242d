//! The simplex method in exact fractions, with whole numbers by branching.
//!
//! Variables have bounds, and rows say what sums of them are. A basis is repaired variable by variable, as in
//! B. Dutertre and L. de Moura, A fast linear-arithmetic solver for DPLL(T), CAV 2006; from there one variable is made
//! as large as it can be. Ties are broken by the smallest number (R. G. Bland, Math. Oper. Res. 2:2, 1977), so that it
//! ends. Every number is exact: what is found is proved by having been found, and a number that does not fit is no
//! answer.

use std::cmp::Ordering;
use std::time::Instant;

use super::rational::Rational;

/// A row: whole multiples of variables whose sum is a whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub terms: Vec<(usize, i64)>,
    pub sum: i128,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No values fit; the number of a variable that cannot be right.
    Impossible(usize),
    /// The time, the number of branches or the size of a fraction has come to its end.
    Unknown,
}

/// Branches that are tried for one answer in whole numbers.
const MOST_BRANCHES: usize = 2_000;

type Sparse = Vec<(usize, Rational)>;

/// Rows solved for one variable each, with a value for every variable.
#[derive(Clone, Debug)]
pub(super) struct Simplex {
    low: Vec<Rational>,
    high: Vec<Option<Rational>>,
    value: Vec<Rational>,
    /// Row → the variable it is solved for: the variable plus all terms is a constant.
    basis: Vec<usize>,
    rows: Vec<Sparse>,
    /// Variable → its row, where it is solved for.
    row_of: Vec<Option<usize>>,
    end: Instant,
}

impl Simplex {
    /// Values that fit the rows and the bounds (low, high), fractions among them. The search begins with `start`, which
    /// lies between the bounds; where it fits the rows too, it is the answer.
    pub fn new(
        bounds: &[(i128, Option<i128>)],
        rows: &[Row],
        start: impl Iterator<Item = i128>,
        end: Instant,
    ) -> Result<Self, Failure> {
        let mut simplex = Self {
            value: start.map(Rational::whole).collect(),
            low: bounds.iter().map(|(low, _)| Rational::whole(*low)).collect(),
            high: bounds.iter().map(|(_, high)| high.map(Rational::whole)).collect(),
            basis: Vec::new(),
            rows: Vec::new(),
            row_of: vec![None; bounds.len()],
            end,
        };
        for row in rows {
            simplex.add(row)?;
        }
        simplex.repair()?;
        Ok(simplex)
    }

    /// Adds a row, solved for its last variable that is in no other's place.
    fn add(&mut self, row: &Row) -> Result<(), Failure> {
        let mut terms: Sparse = Vec::new();
        let mut sum = Rational::whole(row.sum);
        for (variable, times) in &row.terms {
            let times = Rational::whole(i128::from(*times));
            match self.row_of[*variable] {
                // variable = constant − terms, and the constant is what they come to now.
                Some(at) => {
                    let constant = self.constant(at).ok_or(Failure::Unknown)?;
                    sum = times.times(constant).and_then(|known| sum.sub(known)).ok_or(Failure::Unknown)?;
                    terms = plus(&terms, &self.rows[at], times.minus()).ok_or(Failure::Unknown)?;
                }
                None => terms = plus(&terms, &[(*variable, Rational::ONE)], times).ok_or(Failure::Unknown)?,
            }
        }
        let Some((variable, times)) = terms.last().copied() else {
            let first = row.terms.first().map_or(0, |(variable, _)| *variable);
            return if sum.is_zero() { Ok(()) } else { Err(Failure::Impossible(first)) };
        };
        let mut value = sum.by(times).ok_or(Failure::Unknown)?;
        terms.pop();
        for (other, part) in &mut terms {
            *part = part.by(times).ok_or(Failure::Unknown)?;
            value = part.times(self.value[*other]).and_then(|part| value.sub(part)).ok_or(Failure::Unknown)?;
        }
        self.substitute(variable, &terms, sum.by(times).ok_or(Failure::Unknown)?).ok_or(Failure::Unknown)?;
        self.value[variable] = value;
        self.row_of[variable] = Some(self.rows.len());
        self.basis.push(variable);
        self.rows.push(terms);
        Ok(())
    }

    /// What a row comes to.
    fn constant(&self, at: usize) -> Option<Rational> {
        self.rows[at]
            .iter()
            .try_fold(self.value[self.basis[at]], |sum, (variable, times)| sum.add(times.times(self.value[*variable])?))
    }

    /// Puts `constant − terms` in the place of a variable in all rows, and moves what they are solved for along.
    fn substitute(&mut self, variable: usize, terms: &[(usize, Rational)], constant: Rational) -> Option<()> {
        let value = terms.iter().try_fold(constant, |sum, (other, times)| sum.sub(times.times(self.value[*other])?))?;
        let by = value.sub(self.value[variable])?;
        for at in 0..self.rows.len() {
            if let Ok(place) = self.rows[at].binary_search_by_key(&variable, |(other, _)| *other) {
                let times = self.rows[at].remove(place).1;
                self.rows[at] = plus(&self.rows[at], terms, times.minus())?;
                let basic = self.basis[at];
                self.value[basic] = self.value[basic].sub(times.times(by)?)?;
            }
        }
        Some(())
    }

    /// Whether a variable is below (or above) its bounds.
    fn broken(&self, variable: usize) -> Option<Ordering> {
        let value = self.value[variable];
        if value.compare(self.low[variable])? == Ordering::Less {
            return Some(Ordering::Less);
        }
        match self.high[variable] {
            Some(high) if value.compare(high)? == Ordering::Greater => Some(Ordering::Greater),
            _ => Some(Ordering::Equal),
        }
    }

    /// Whether a variable can grow (or shrink).
    fn can_move(&self, variable: usize, up: bool) -> Option<bool> {
        let value = self.value[variable];
        Some(match (up, self.high[variable]) {
            (true, None) => true,
            (true, Some(high)) => value.compare(high)? == Ordering::Less,
            (false, _) => value.compare(self.low[variable])? == Ordering::Greater,
        })
    }

    /// Brings every variable between its bounds.
    fn repair(&mut self) -> Result<(), Failure> {
        loop {
            if Instant::now() >= self.end {
                return Err(Failure::Unknown);
            }
            let mut worst: Option<(usize, Ordering)> = None;
            for variable in self.basis.iter().copied() {
                let side = self.broken(variable).ok_or(Failure::Unknown)?;
                if side != Ordering::Equal && worst.is_none_or(|(other, _)| variable < other) {
                    worst = Some((variable, side));
                }
            }
            let Some((variable, side)) = worst else { return Ok(()) };
            let at = self.row_of[variable].ok_or(Failure::Unknown)?;
            let target = if side == Ordering::Less { Some(self.low[variable]) } else { self.high[variable] };
            let target = target.ok_or(Failure::Unknown)?;
            // The basic variable grows when a term with a negative factor grows.
            let mut entering = None;
            for (other, times) in &self.rows[at] {
                let up = times.is_positive() != (side == Ordering::Less);
                if self.can_move(*other, up).ok_or(Failure::Unknown)? {
                    entering = Some(*other);
                    break;
                }
            }
            let entering = entering.ok_or(Failure::Impossible(variable))?;
            self.pivot(at, entering, target).ok_or(Failure::Unknown)?;
        }
    }

    /// Solves a row for another variable; the one it was solved for gets a value at which it stays.
    fn pivot(&mut self, at: usize, entering: usize, target: Rational) -> Option<()> {
        let leaving = self.basis[at];
        let mut terms = std::mem::take(&mut self.rows[at]);
        let place = terms.binary_search_by_key(&entering, |(variable, _)| *variable).ok()?;
        let times = terms.remove(place).1;
        let by = self.value[leaving].sub(target)?.by(times)?;
        let place = terms.binary_search_by_key(&leaving, |(variable, _)| *variable).err()?;
        terms.insert(place, (leaving, Rational::ONE));
        for (_, part) in &mut terms {
            *part = part.by(times)?;
        }
        self.value[leaving] = target;
        self.value[entering] = self.value[entering].add(by)?;
        for row in 0..self.rows.len() {
            if row != at
                && let Ok(place) = self.rows[row].binary_search_by_key(&entering, |(variable, _)| *variable)
            {
                let times = self.rows[row].remove(place).1;
                self.rows[row] = plus(&self.rows[row], &terms, times.minus())?;
                let basic = self.basis[row];
                self.value[basic] = self.value[basic].sub(times.times(by)?)?;
            }
        }
        self.rows[at] = terms;
        self.basis[at] = entering;
        self.row_of[entering] = Some(at);
        self.row_of[leaving] = None;
        Some(())
    }

    /// Makes a variable as large (or small) as it can be, in fractions; `false` where it has no end.
    fn go(&mut self, variable: usize, up: bool) -> Result<bool, Failure> {
        loop {
            if Instant::now() >= self.end {
                return Err(Failure::Unknown);
            }
            let entering = match self.row_of[variable] {
                None => Some((variable, up)),
                Some(at) => {
                    let mut found = None;
                    for (other, times) in &self.rows[at] {
                        let way = times.is_positive() != up;
                        if self.can_move(*other, way).ok_or(Failure::Unknown)? {
                            found = Some((*other, way));
                            break;
                        }
                    }
                    found
                }
            };
            let Some((entering, way)) = entering else { return Ok(true) };
            if !self.can_move(entering, way).ok_or(Failure::Unknown)? {
                return Ok(true);
            }
            if !self.step(entering, way).ok_or(Failure::Unknown)? {
                return Ok(false);
            }
        }
    }

    /// Moves a variable that is not solved for until it or another one meets a bound; `false` where none does.
    fn step(&mut self, entering: usize, up: bool) -> Option<bool> {
        let own = if up { self.high[entering] } else { Some(self.low[entering]) };
        let mut limit = match own {
            Some(own) => Some((own.sub(self.value[entering])?.times(sign(up))?, None)),
            None => None,
        };
        for (at, row) in self.rows.iter().enumerate() {
            let Ok(place) = row.binary_search_by_key(&entering, |(variable, _)| *variable) else { continue };
            let times = row[place].1;
            let basic = self.basis[at];
            let grows = times.is_positive() != up;
            let bound = if grows { self.high[basic] } else { Some(self.low[basic]) };
            let Some(bound) = bound else { continue };
            let room = bound.sub(self.value[basic])?.by(times)?.times(sign(!up))?;
            let is_less = match limit {
                None => true,
                Some((least, other)) => match room.compare(least)? {
                    Ordering::Less => true,
                    Ordering::Equal => other.is_some_and(|(row, _): (usize, Rational)| basic < self.basis[row]),
                    Ordering::Greater => false,
                },
            };
            if is_less {
                limit = Some((room, Some((at, bound))));
            }
        }
        match limit {
            None => Some(false),
            Some((_, Some((at, bound)))) => self.pivot(at, entering, bound).map(|()| true),
            Some((room, None)) => {
                let by = room.times(sign(up))?;
                for at in 0..self.rows.len() {
                    if let Ok(place) = self.rows[at].binary_search_by_key(&entering, |(variable, _)| *variable) {
                        let basic = self.basis[at];
                        self.value[basic] = self.value[basic].sub(self.rows[at][place].1.times(by)?)?;
                    }
                }
                self.value[entering] = self.value[entering].add(by)?;
                Some(true)
            }
        }
    }

    /// Whole numbers for all variables, with which one is as large (or small) as it can be; nothing where it has no
    /// end.
    pub fn extreme(&mut self, variable: usize, up: bool) -> Result<Option<Vec<i128>>, Failure> {
        if !self.go(variable, up)? {
            return Ok(None);
        }
        if let Some(values) = self.whole() {
            return Ok(Some(values));
        }
        // Depth first; a branch that cannot be better than the best is left.
        let mut best: Option<Vec<i128>> = None;
        let mut branches = vec![self.clone()];
        let mut tried = 0;
        while let Some(mut branch) = branches.pop() {
            tried += 1;
            if tried > MOST_BRANCHES {
                return Err(Failure::Unknown);
            }
            match branch.repair() {
                Err(Failure::Impossible(_)) => continue,
                other => other?,
            }
            if !branch.go(variable, up)? {
                return Err(Failure::Unknown);
            }
            let reached = branch.value[variable];
            let reached = if up { reached.floor() } else { -reached.minus().floor() };
            let is_no_better =
                |best: &Vec<i128>| if up { reached <= best[variable] } else { reached >= best[variable] };
            if best.as_ref().is_some_and(is_no_better) {
                continue;
            }
            let Some(split) = branch.value.iter().position(|value| !value.is_whole()) else {
                best = branch.whole();
                continue;
            };
            let floor = branch.value[split].floor();
            let mut above = branch.clone();
            above.set_bounds(split, Some(floor + 1), None)?;
            branch.set_bounds(split, None, Some(floor))?;
            branches.extend([branch, above]);
        }
        best.map(Some).ok_or(Failure::Impossible(variable))
    }

    /// Whole numbers for all variables.
    pub fn any(&mut self) -> Result<Option<Vec<i128>>, Failure> {
        match self.whole() {
            Some(values) => Ok(Some(values)),
            None => self.extreme(0, false),
        }
    }

    /// The values, where all are whole numbers.
    fn whole(&self) -> Option<Vec<i128>> {
        self.value.iter().map(|value| value.is_whole().then(|| value.floor())).collect()
    }

    /// Whole numbers for all variables, one of which is given; nothing where there are none.
    pub fn with(&self, variable: usize, value: i128) -> Result<Option<Vec<i128>>, Failure> {
        let mut there = self.clone();
        let found = there.set_bounds(variable, Some(value), Some(value)).and_then(|()| there.repair());
        match found.and_then(|()| there.extreme(variable, true)) {
            Err(Failure::Impossible(_)) => Ok(None),
            found => found,
        }
    }

    /// Narrows the bounds of a variable; one that is not solved for is moved between them.
    fn set_bounds(&mut self, variable: usize, low: Option<i128>, high: Option<i128>) -> Result<(), Failure> {
        if let Some(low) = low {
            self.low[variable] = Rational::whole(low);
        }
        if let Some(high) = high {
            self.high[variable] = Some(Rational::whole(high));
        }
        if self.high[variable].is_some_and(|high| high.compare(self.low[variable]) == Some(Ordering::Less)) {
            return Err(Failure::Impossible(variable));
        }
        if self.row_of[variable].is_some() {
            return Ok(());
        }
        let target = match self.broken(variable).ok_or(Failure::Unknown)? {
            Ordering::Less => Some(self.low[variable]),
            Ordering::Greater => self.high[variable],
            Ordering::Equal => None,
        };
        let Some(target) = target else { return Ok(()) };
        let mut shift = || {
            let by = target.sub(self.value[variable])?;
            for at in 0..self.rows.len() {
                if let Ok(place) = self.rows[at].binary_search_by_key(&variable, |(other, _)| *other) {
                    let basic = self.basis[at];
                    self.value[basic] = self.value[basic].sub(self.rows[at][place].1.times(by)?)?;
                }
            }
            self.value[variable] = target;
            Some(())
        };
        shift().ok_or(Failure::Unknown)
    }
}

fn sign(up: bool) -> Rational {
    if up { Rational::ONE } else { Rational::ONE.minus() }
}

/// One row plus a multiple of another.
fn plus(one: &[(usize, Rational)], other: &[(usize, Rational)], times: Rational) -> Option<Sparse> {
    let mut sum = Vec::with_capacity(one.len() + other.len());
    let (mut a, mut b) = (0, 0);
    while a < one.len() || b < other.len() {
        let left = one.get(a).map_or(usize::MAX, |(variable, _)| *variable);
        let right = other.get(b).map_or(usize::MAX, |(variable, _)| *variable);
        let (variable, value) = match left.cmp(&right) {
            Ordering::Less => (left, one[a].1),
            Ordering::Greater => (right, other[b].1.times(times)?),
            Ordering::Equal => (left, one[a].1.add(other[b].1.times(times)?)?),
        };
        a += usize::from(left <= right);
        b += usize::from(right <= left);
        if !value.is_zero() {
            sum.push((variable, value));
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn solve(bounds: &[(i128, Option<i128>)], rows: &[(&[(usize, i64)], i128)]) -> Result<Simplex, Failure> {
        let rows: Vec<_> = rows.iter().map(|(terms, sum)| Row { terms: terms.to_vec(), sum: *sum }).collect();
        let start = bounds.iter().map(|(low, _)| *low);
        Simplex::new(bounds, &rows, start, Instant::now() + Duration::from_mins(1))
    }

    fn furthest(simplex: &mut Simplex, variable: usize, up: bool) -> Result<Option<i128>, Failure> {
        Ok(simplex.extreme(variable, up)?.map(|values| values[variable]))
    }

    #[test]
    fn a_sum_bounds_its_parts() {
        let mut simplex = solve(&[(0, None), (3, None), (0, None)], &[(&[(0, 1), (1, 1)], 10)]).unwrap();
        assert_eq!(furthest(&mut simplex, 0, true), Ok(Some(7)));
        assert_eq!(furthest(&mut simplex, 0, false), Ok(Some(0)));
        assert_eq!(furthest(&mut simplex, 1, true), Ok(Some(10)));
        assert_eq!(furthest(&mut simplex, 2, true), Ok(None));
        assert_eq!((simplex.with(0, 5), simplex.with(0, 8)), (Ok(Some(vec![5, 5, 0])), Ok(None)));
    }

    #[test]
    fn what_cannot_be_is_said() {
        assert_eq!(solve(&[(0, Some(3)), (0, Some(3))], &[(&[(0, 1), (1, 1)], 7)]).err(), Some(Failure::Impossible(0)));
        assert!(solve(&[(0, None)], &[(&[(0, 1)], 7), (&[(0, 1)], 8)]).is_err());
    }

    /// Three overlapping bands: a fraction reaches from 0 to 1, a whole number only 1 (disclosure.md, finding 5).
    #[test]
    fn whole_numbers_may_be_narrower_than_fractions() {
        let rows: [(&[(usize, i64)], i128); 3] =
            [(&[(0, 1), (1, 1), (3, 1)], 1), (&[(1, 1), (2, 1), (3, 1)], 1), (&[(0, 1), (2, 1), (3, 1)], 1)];
        let mut simplex = solve(&[(0, None); 4], &rows).unwrap();
        assert_eq!(furthest(&mut simplex, 3, false), Ok(Some(1)));
        assert_eq!(furthest(&mut simplex, 3, true), Ok(Some(1)));
    }
}
