//! Who tries to learn what is suppressed, and what is enough against them.

use std::collections::BTreeSet;

use serde::Serialize;

/// No upper bound.
pub const UNBOUNDED: u64 = u64::MAX >> 3;
/// No count may be larger: sums of them stay exact everywhere.
pub const LARGEST_COUNT: u64 = 1_000_000_000_000;

/// How many times as large as the one before each size of counts is.
const SIZE: u64 = 3;

/// What the values of a cell lie between, for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The smallest, persons.
    pub low: u64,
    /// The largest, persons; [`UNBOUNDED`] for none.
    pub high: u64,
}

impl Bounds {
    /// Any count.
    pub const ANY: Self = Self { low: 0, high: UNBOUNDED };

    /// One value.
    pub fn exactly(value: u64) -> Self {
        Self { low: value, high: value }
    }

    /// Number of values.
    pub fn values(self) -> u64 {
        if self.high >= UNBOUNDED { UNBOUNDED } else { (self.high + 1).saturating_sub(self.low) }
    }

    /// By how much a value between them may change.
    pub(super) fn room(self, value: u64, up: bool) -> u64 {
        if !up {
            value.saturating_sub(self.low)
        } else if self.high >= UNBOUNDED {
            UNBOUNDED
        } else {
            self.high.saturating_sub(value)
        }
    }
}

/// What a cell of a protected table is. A reader of the table sees `Shown` or not, and never which of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The count is there.
    Shown,
    /// Suppressed because it is 1 to k - 1, or 0 below a total of 1 to k - 1.
    Primary,
    /// Suppressed because a primary cell would follow from it.
    Secondary,
}

/// What is small, and what is wide enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// No count of 1 to k - 1 is shown.
    pub k: u64,
    /// A suppressed count may have at least so many values.
    pub w: u64,
}

impl Rule {
    /// Whether a count is 1 to k - 1.
    pub fn is_small(self, count: u64) -> bool {
        (1..self.k).contains(&count)
    }

    /// The counts of the same size as one of k or more: from k times a power of [`SIZE`] to the next.
    pub(super) fn alike(self, count: u64) -> Bounds {
        let low = std::iter::successors(Some(self.k), |low| Some(low * SIZE)).take_while(|low| *low <= count).last();
        let low = low.unwrap_or(self.k);
        Bounds { low, high: low * SIZE - 1 }
    }

    /// A count that stands for all of its size: the middle of them. All primary cells are alike, and so are zeros that
    /// are none.
    pub(super) fn typical(self, count: u64, is_primary: bool) -> u64 {
        match count {
            _ if is_primary => self.k.div_ceil(2),
            0 => 0,
            count => {
                let Bounds { low, high } = self.alike(count);
                u64::midpoint(low, high)
            }
        }
    }
}

/// An attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attacker {
    /// Knows that counts are not negative.
    Standard,
    /// Also knows k and the rule, and of each suppressed cell whether it is primary or secondary.
    RuleAware,
}

impl Attacker {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Standard, Self::RuleAware];

    /// Between what he knows a suppressed cell to lie, the sums apart. `is_below_small`: one of its totals is primary,
    /// so that zeros are suppressed there too.
    pub fn bounds(self, mark: Mark, is_below_small: bool, rule: Rule) -> Bounds {
        match (self, mark) {
            (Self::Standard, _) | (_, Mark::Shown) => Bounds::ANY,
            (Self::RuleAware, Mark::Primary) => Bounds { low: u64::from(!is_below_small), high: rule.k - 1 },
            (Self::RuleAware, Mark::Secondary) => Bounds { low: rule.k, high: UNBOUNDED },
        }
    }
}

/// What a suppressed count must be able to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Persons more than there are.
    pub up: u64,
    /// Persons fewer.
    pub down: u64,
    /// Values beside the true one.
    pub others: u64,
}

impl Need {
    /// Against the standard attacker, from n - w (or 0) or less to k or more; against the rule-aware one, w values.
    /// The same is asked of every suppressed cell, so that none of them can be told from the others by its interval.
    pub fn of(attacker: Attacker, count: u64, rule: Rule) -> Self {
        let others = rule.w.saturating_sub(1);
        match attacker {
            Attacker::Standard if count < rule.k => Self { up: rule.k - count, down: count.min(rule.w), others },
            _ => Self { up: 0, down: 0, others },
        }
    }

    /// Whether so much up and down is enough, where all values between are possible.
    pub fn is_met(self, up: u64, down: u64) -> bool {
        up >= self.up && down >= self.down && up.saturating_add(down) >= self.others
    }

    /// Whether these values of a count are enough.
    pub fn is_met_by(self, count: u64, values: &BTreeSet<u64>) -> bool {
        let reach = values.first().zip(values.last());
        let reaches = reach.is_some_and(|(low, high)| *low + self.down <= count && count + self.up <= *high);
        reaches && values.len() as u64 > self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_count_must_look_as_if_it_could_be_large_and_smaller() {
        let rule = Rule { k: 11, w: 3 };
        for (count, up, down) in [(1, 10, 1), (2, 9, 2), (10, 1, 3), (0, 11, 0), (11, 0, 0), (500, 0, 0)] {
            let need = Need::of(Attacker::Standard, count, rule);
            assert_eq!((need.up, need.down, need.others), (up, down, 2), "{count}");
            assert_eq!(Need::of(Attacker::RuleAware, count, rule), Need { up: 0, down: 0, others: 2 });
        }
    }

    #[test]
    fn counts_of_one_size_are_alike() {
        let rule = Rule { k: 11, w: 3 };
        for (count, low, high, typical) in [(11, 11, 32, 21), (32, 11, 32, 21), (33, 33, 98, 65), (500, 297, 890, 593)]
        {
            assert_eq!(rule.alike(count), Bounds { low, high }, "{count}");
            assert_eq!(rule.typical(count, false), typical, "{count}");
        }
        assert_eq!(
            [(1, true), (10, true), (0, true), (0, false)].map(|(count, is)| rule.typical(count, is)),
            [6, 6, 6, 0]
        );
    }

    #[test]
    fn bounds_have_room_and_values() {
        let bounds = Bounds { low: 1, high: 10 };
        assert_eq!((bounds.room(4, true), bounds.room(4, false), bounds.values()), (6, 3, 10));
        assert_eq!((Bounds::ANY.room(4, true), Bounds::ANY.values()), (UNBOUNDED, UNBOUNDED));
        assert_eq!(Bounds::exactly(7).values(), 1);
    }
}
