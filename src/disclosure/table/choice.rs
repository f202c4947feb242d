//! What the choice of a pattern tells.
//!
//! Somebody who has the program can run it on every table that could be behind a published one, and keep those that come
//! out alike: the minimality attack (R. C.-W. Wong, A. W.-C. Fu, K. Wang and J. Pei, Minimality attack in
//! privacy preserving data publishing, VLDB 2007). A pattern stands only where he, too, is left with w values of every
//! suppressed count. Where he is not, more is suppressed, for all tables with that pattern, and so on.
//!
//! Which of two it is must not depend on the table itself, or he would learn from that. So it depends on a *class*: the
//! tables between the same bounds that elementary changes lead to from one another. It is the same from whichever of its
//! tables it is found. Each of them that comes to a pattern finds the same values there, and so comes to the same end:
//! they are all left to him.
//!
//! Classes are bounded in two ways. By the sizes of the counts: there, those tables are kept for which the pattern was
//! chosen first. By what is shown alone: there, also those that came to it from another one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::attack::{Bounds, LARGEST_COUNT, Mark, Rule};
use super::cube::Cube;
use super::moves::{Boxes, Moves};
use super::network::Network;
use super::pattern::{Choice, choose, prove};
use crate::error::{Error, Result};

/// Cells of all tables of a class together; the tables of a larger class are not tried.
const MOST_TRIED: usize = 60_000;

/// Which cells are suppressed, and that it is enough.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Cell → what it is.
    pub marks: Vec<Mark>,
    /// Other tables, in whole numbers, that prove that the suppressed cells cannot be told.
    pub proofs: usize,
    /// Whether it is proved that somebody who runs the program on every table that could be behind the published one is
    /// left with w values of each suppressed count. For a large table, they are too many to be tried.
    pub is_choice_proved: bool,
}

/// Suppresses what has to be suppressed in a table with all its margins.
///
/// `counts` are persons, one for each cell of `cube`, and must add up. Refuses where even suppressing everything leaves
/// a cell that can be told, or where `end` comes first.
pub fn protect(cube: &Cube, counts: &[u64], rule: Rule, end: Instant) -> Result<Pattern> {
    if counts.len() != cube.len() || counts.iter().any(|count| *count > LARGEST_COUNT) || !adds_up(cube, counts) {
        return Err(Error::internal("a table was to be protected that does not add up"));
    }
    let mut choice = choose(cube, counts, rule, end)?;
    let first = suppressed(&choice.marks);
    let mut program = Program { cube, rule, end, chosen: BTreeMap::new(), judged: BTreeMap::new() };
    let mut now = first.clone();
    loop {
        let verdict = program.judge(counts, &now)?;
        if Program::ends(verdict, now == first) {
            if now != first {
                let unproved = || Error::internal("a pattern that was proved is not");
                choice = prove(cube, counts, rule, &now, end)?.ok_or_else(unproved)?;
            }
            let Choice { marks, proofs } = choice;
            return Ok(Pattern { marks, proofs, is_choice_proved: verdict == Verdict::Wide });
        }
        now = program.coarser(counts, &now).ok_or_else(|| {
            Error::refused("with every count suppressed, the choice of what is shown could still tell one")
                .hint("use fewer dimensions or coarser labels, or round the table with `--round`")
        })?;
    }
}

fn adds_up(cube: &Cube, counts: &[u64]) -> bool {
    cube.lines().all(|(total, at)| cube.parts(total, at).map(|part| counts[part]).sum::<u64>() == counts[total])
}

/// Cell → whether it is suppressed.
type Suppressed = Vec<bool>;

fn suppressed(marks: &[Mark]) -> Suppressed {
    marks.iter().map(|mark| *mark != Mark::Shown).collect()
}

/// What the tables of a class leave of each suppressed count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// w values or more.
    Wide,
    /// Fewer, of one of them at least.
    Narrow,
    /// They were too many to be tried.
    TooMany,
}

/// The program as the attacker runs it, on one table after the other.
struct Program<'a> {
    cube: &'a Cube,
    rule: Rule,
    end: Instant,
    /// Table → the pattern that is chosen first; nothing where it is refused.
    chosen: BTreeMap<Vec<u64>, Option<Suppressed>>,
    judged: BTreeMap<(Vec<u64>, Suppressed), Verdict>,
}

impl Program<'_> {
    /// Whether a pattern stands. One that was chosen first stands too where its tables are too many to be tried: it is
    /// the same for all of them.
    fn ends(verdict: Verdict, is_first: bool) -> bool {
        verdict == Verdict::Wide || (verdict == Verdict::TooMany && is_first)
    }

    fn chosen(&mut self, table: &[u64]) -> Result<Option<Suppressed>> {
        if let Some(found) = self.chosen.get(table) {
            return Ok(found.clone());
        }
        let found = choose(self.cube, table, self.rule, self.end);
        // A refusal for want of time says nothing of the table.
        if found.is_err() && Instant::now() >= self.end {
            return Err(Error::refused("the time limit was reached before the table was proved safe")
                .hint("use fewer dimensions, or coarser labels"));
        }
        let found = found.ok().map(|pattern| suppressed(&pattern.marks));
        self.chosen.insert(table.to_vec(), found.clone());
        Ok(found)
    }

    /// Whether a pattern is the one that is chosen for a table.
    fn is_first(&mut self, table: &[u64], pattern: &Suppressed) -> Result<bool> {
        Ok(self.chosen(table)?.as_ref() == Some(pattern))
    }

    /// Whether a pattern is enough for a table and whoever knows the rule.
    fn is_enough(&mut self, table: &[u64], pattern: &Suppressed) -> Result<bool> {
        Ok(self.is_first(table, pattern)? || prove(self.cube, table, self.rule, pattern, self.end)?.is_some())
    }

    /// The pattern that comes after one that leaves too little: all inner counts that are not 0 are suppressed, then all
    /// counts that are not 0; nothing after that.
    fn coarser(&self, table: &[u64], now: &Suppressed) -> Option<Suppressed> {
        [true, false].into_iter().find_map(|is_inner| {
            let is_meant = |cell: usize| table[cell] > 0 && (!is_inner || self.cube.is_inner(cell));
            let next: Suppressed = (0..now.len()).map(|cell| now[cell] || is_meant(cell)).collect();
            (next != *now).then_some(next)
        })
    }

    /// Whether a table comes to a pattern on its way to its end, and the pattern is enough for it.
    fn comes_to(&mut self, table: &[u64], pattern: &Suppressed) -> Result<bool> {
        let Some(first) = self.chosen(table)? else { return Ok(false) };
        let mut now = first.clone();
        loop {
            if now == *pattern {
                return self.is_enough(table, pattern);
            }
            if now.iter().zip(pattern).any(|(now, then)| *now && !then) {
                return Ok(false);
            }
            if Self::ends(self.judge(table, &now)?, now == first) {
                return Ok(false);
            }
            match self.coarser(table, &now) {
                Some(next) => now = next,
                None => return Ok(false),
            }
        }
    }

    /// What is left of the counts that a pattern suppresses, to somebody who keeps the tables that come to it.
    fn judge(&mut self, table: &[u64], pattern: &Suppressed) -> Result<Verdict> {
        if !pattern.contains(&true) {
            return Ok(Verdict::Wide);
        }
        let key = (table.to_vec(), pattern.clone());
        if let Some(verdict) = self.judged.get(&key) {
            return Ok(*verdict);
        }
        let is_first = self.is_first(table, pattern)?;
        let mut verdict = Verdict::Narrow;
        if is_first {
            verdict = self.judge_between(table, pattern, &self.same_sizes(table, pattern), Self::is_first)?;
        }
        if verdict == Verdict::Narrow && self.is_enough(table, pattern)? {
            verdict = self.judge_between(table, pattern, &self.same_shown(table, pattern), Self::comes_to)?;
        }
        self.judged.insert(key, verdict);
        Ok(verdict)
    }

    /// Bounds by the sizes of the counts, which are the same for all tables between them.
    fn same_sizes(&self, table: &[u64], pattern: &Suppressed) -> Vec<Bounds> {
        let rule = self.rule;
        let bounds = |cell: usize| match table[cell] {
            count if !pattern[cell] => Bounds::exactly(count),
            count if count >= rule.k => rule.alike(count),
            _ => {
                let is_below_small = self.cube.with_totals(cell)[1..].iter().any(|total| rule.is_small(table[*total]));
                Bounds { low: u64::from(!is_below_small), high: rule.k - 1 }
            }
        };
        (0..self.cube.len()).map(bounds).collect()
    }

    /// Bounds by what is shown.
    fn same_shown(&self, table: &[u64], pattern: &Suppressed) -> Vec<Bounds> {
        let shown = || (0..self.cube.len()).filter(|cell| !pattern[*cell]);
        // As far as values that are wanted are likely to be.
        let most = shown().map(|cell| table[cell]).max().unwrap_or(0) + 2 * self.rule.k;
        let bounds =
            |cell: usize| if pattern[cell] { Bounds { low: 0, high: most } } else { Bounds::exactly(table[cell]) };
        (0..self.cube.len()).map(bounds).collect()
    }

    /// What is left by those tables of a class that are `kept`.
    fn judge_between(
        &mut self,
        table: &[u64],
        pattern: &Suppressed,
        bounds: &[Bounds],
        kept: impl Fn(&mut Self, &[u64], &Suppressed) -> Result<bool>,
    ) -> Result<Verdict> {
        let Some(class) = self.class(table, pattern, bounds) else { return Ok(Verdict::TooMany) };
        let hidden: Vec<usize> = (0..pattern.len()).filter(|cell| pattern[*cell]).collect();
        let mut values = vec![BTreeSet::new(); hidden.len()];
        let w = self.rule.w;
        let enough = |values: &BTreeSet<u64>| values.len() as u64 >= w;
        for other in &class {
            // A table that has nothing new where something is wanted need not be tried.
            let is_wanted =
                |(values, cell): (&BTreeSet<u64>, &usize)| !enough(values) && !values.contains(&other[*cell]);
            if !values.iter().zip(&hidden).any(is_wanted) {
                continue;
            }
            if kept(self, other, pattern)? {
                for (values, cell) in values.iter_mut().zip(&hidden) {
                    values.insert(other[*cell]);
                }
                if values.iter().all(enough) {
                    return Ok(Verdict::Wide);
                }
            }
        }
        Ok(Verdict::Narrow)
    }

    /// The tables between bounds that elementary changes of suppressed counts lead to, the nearest first; nothing where
    /// they are too many, or where the table is not between the bounds itself.
    fn class(&self, table: &[u64], pattern: &Suppressed, bounds: &[Bounds]) -> Option<Vec<Vec<u64>>> {
        let is_between = |cell: usize, count: u64| (bounds[cell].low..=bounds[cell].high).contains(&count);
        if !table.iter().enumerate().all(|(cell, count)| is_between(cell, *count)) {
            return None;
        }
        let changes = self.changes(pattern);
        let mut class = vec![table.to_vec()];
        let mut known = BTreeSet::from([table.to_vec()]);
        let mut at = 0;
        while at < class.len() {
            for change in &changes {
                for is_forward in [true, false] {
                    let mut other = class[at].clone();
                    let is_possible = change.iter().all(|(cell, up)| {
                        let count =
                            if *up == is_forward { other[*cell].checked_add(1) } else { other[*cell].checked_sub(1) };
                        count.filter(|count| is_between(*cell, *count)).is_some_and(|count| {
                            other[*cell] = count;
                            true
                        })
                    });
                    if is_possible && known.insert(other.clone()) {
                        class.push(other);
                    }
                }
            }
            if class.len() * self.cube.len() > MOST_TRIED {
                return None;
            }
            at += 1;
        }
        Some(class)
    }

    /// For each suppressed count the change of the fewest suppressed cells by which it grows. They depend on the pattern
    /// alone.
    fn changes(&self, pattern: &Suppressed) -> BTreeSet<Vec<(usize, bool)>> {
        let mut moves: Box<dyn Moves> = match Network::of(self.cube) {
            Some(network) => Box::new(network),
            None => Box::new(Boxes::of(self.cube)),
        };
        let hidden: Vec<usize> = (0..pattern.len()).filter(|cell| pattern[*cell]).collect();
        for cell in &hidden {
            moves.set_open(*cell, true);
        }
        let step = |cell: usize, _: bool| pattern[cell].then_some(1);
        let sorted = |mut change: Vec<(usize, bool)>| {
            change.sort_unstable();
            change
        };
        hidden.iter().filter_map(|cell| moves.cheapest(*cell, true, true, &step).map(sorted)).collect()
    }
}
