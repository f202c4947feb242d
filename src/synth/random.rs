//! Chance with a promise: the same seed gives the same draws on every machine and in every version.
//!
//! The draws are made here from the plain ChaCha8 stream, not by `rand`'s distributions, whose algorithms may change. All
//! arithmetic on floats is `+ - * /` and comparison, which IEEE 754 fixes to the last bit; `ln`, `exp` and `powf` are
//! left to each platform's library and are therefore not used anywhere in this generator.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a sequence of draws is for. Sequences of different purposes do not disturb each other, so that planting faults
/// leaves every other row as it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Organizations and the effects of places.
    Providers = 1,
    /// Households, clients and their doses.
    People = 2,
    /// The order of the rows.
    Order = 3,
    /// Which rows are broken and how.
    Faults = 4,
    /// The numbers of shots and facts.
    Ids = 5,
}

/// A source of draws.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The draws of one purpose under a seed.
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut key = *b"phds synthetic month, version 1.";
        key[24..].copy_from_slice(&seed.to_le_bytes());
        let mut source = ChaCha8Rng::from_seed(key);
        source.set_stream(purpose as u64);
        Self(source)
    }

    /// Uniform in 0..1.
    pub(super) fn unit(&mut self) -> f64 {
        // 53 bits are what a float between 0 and 1 holds exactly.
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..limit`; 0 when `limit` is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product: no division, and a bias below limit / 2^64.
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// Uniform in `least..=most`.
    pub(super) fn between(&mut self, least: i32, most: i32) -> i32 {
        let width = i64::from(most) - i64::from(least) + 1;
        least + self.below(u64::try_from(width).unwrap_or(0)) as i32
    }

    /// An index below `length`; 0 when there is nothing to choose from.
    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of some things; `None` when there are none.
    pub(super) fn one_of<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let index = self.index(things.len());
        things.get(index)
    }

    /// A draw from a table of equally spaced quantiles, interpolated.
    pub(super) fn quantile(&mut self, table: &[f64]) -> f64 {
        let place = self.unit() * table.len().saturating_sub(1) as f64;
        let below = place as usize;
        match (table.get(below), table.get(below + 1)) {
            (Some(low), Some(high)) => low + (high - low) * (place - below as f64),
            (Some(only), None) => *only,
            (None, _) => 0.0,
        }
    }

    /// Whole days from a table of quantiles.
    pub(super) fn days(&mut self, table: &[f64]) -> i32 {
        self.quantile(table) as i32
    }
}

/// Things that are drawn by weight.
pub(super) struct Weighted<T> {
    things: Vec<T>,
    /// The sum of the weights up to and with each thing.
    sums: Vec<f64>,
}

impl<T> Weighted<T> {
    /// Things without any.
    pub(super) fn new() -> Self {
        Self { things: Vec::new(), sums: Vec::new() }
    }

    /// Adds a thing; one without weight is never drawn.
    pub(super) fn push(&mut self, thing: T, weight: f64) {
        if weight > 0.0 {
            self.sums.push(self.total() + weight);
            self.things.push(thing);
        }
    }

    /// The things that can be drawn.
    pub(super) fn things(&self) -> &[T] {
        &self.things
    }

    fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    /// One thing by weight; `None` when there are none.
    pub(super) fn draw(&self, dice: &mut Dice) -> Option<&T> {
        let place = dice.unit() * self.total();
        let index = self.sums.partition_point(|sum| *sum <= place);
        self.things.get(index.min(self.things.len().saturating_sub(1)))
    }
}

impl<T> FromIterator<(T, f64)> for Weighted<T> {
    fn from_iter<I: IntoIterator<Item = (T, f64)>>(pairs: I) -> Self {
        let mut weighted = Self::new();
        pairs.into_iter().for_each(|(thing, weight)| weighted.push(thing, weight));
        weighted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_fixed_for_ever() {
        // If this fails, every synthetic month of every seed has changed.
        let mut dice = Dice::new(7, Purpose::People);
        let draws: Vec<u64> = (0..4).map(|_| dice.below(1_000_000)).collect();
        assert_eq!(draws, [960_952, 148_819, 596_079, 176_872]);
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut dice = Dice::new(1, Purpose::Faults);
        let weighted: Weighted<u8> = [(1, 3.0), (2, 0.0), (3, 1.0)].into_iter().collect();
        let mut ones = 0;
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&dice.unit()));
            assert!((-3..=4).contains(&dice.between(-3, 4)));
            assert!((-2.0..=9.0).contains(&dice.quantile(&[-2.0, 0.0, 9.0])));
            let drawn = *weighted.draw(&mut dice).unwrap();
            assert_ne!(drawn, 2);
            ones += usize::from(drawn == 1);
        }
        assert!((7_300..7_700).contains(&ones), "{ones}");
        assert_eq!(dice.one_of::<u8>(&[]), None);
        assert_eq!(Weighted::<u8>::new().draw(&mut dice), None);
    }
}
