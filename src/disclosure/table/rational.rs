//! Fractions that are exact, or not there.

use std::cmp::Ordering;

/// A fraction in lowest terms with a positive denominator. Whatever would not fit gives nothing, never a wrong number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rational {
    over: i128,
    under: i128,
}

impl Rational {
    pub const ONE: Self = Self { over: 1, under: 1 };

    pub fn whole(value: i128) -> Self {
        Self { over: value, under: 1 }
    }

    fn reduced(over: i128, under: i128) -> Option<Self> {
        if under == 1 {
            return Some(Self { over, under });
        }
        let (mut a, mut b) = (over.checked_abs()?, under.checked_abs()?);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = if under < 0 { -a } else { a };
        (divisor != 0).then(|| Self { over: over / divisor, under: under / divisor })
    }

    pub fn add(self, other: Self) -> Option<Self> {
        if self.under == 1 && other.under == 1 {
            return Some(Self { over: self.over.checked_add(other.over)?, under: 1 });
        }
        let over = self.over.checked_mul(other.under)?.checked_add(other.over.checked_mul(self.under)?)?;
        Self::reduced(over, self.under.checked_mul(other.under)?)
    }

    pub fn minus(self) -> Self {
        Self { over: -self.over, under: self.under }
    }

    pub fn sub(self, other: Self) -> Option<Self> {
        self.add(other.minus())
    }

    pub fn times(self, other: Self) -> Option<Self> {
        Self::reduced(self.over.checked_mul(other.over)?, self.under.checked_mul(other.under)?)
    }

    pub fn by(self, other: Self) -> Option<Self> {
        if other.over == 0 {
            return None;
        }
        Self::reduced(self.over.checked_mul(other.under)?, self.under.checked_mul(other.over)?)
    }

    pub fn compare(self, other: Self) -> Option<Ordering> {
        Some(self.over.checked_mul(other.under)?.cmp(&other.over.checked_mul(self.under)?))
    }

    pub fn is_zero(self) -> bool {
        self.over == 0
    }

    pub fn is_positive(self) -> bool {
        self.over > 0
    }

    pub fn is_whole(self) -> bool {
        self.under == 1
    }

    /// The largest whole number that is not larger.
    pub fn floor(self) -> i128 {
        self.over.div_euclid(self.under)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_exact_or_nothing() {
        let of = |over, under| Rational::whole(over).by(Rational::whole(under)).unwrap();
        assert_eq!(of(1, 2).add(of(1, 3)), Some(of(5, 6)));
        assert_eq!(of(1, -2), of(-1, 2));
        assert_eq!(of(-1, 2).floor(), -1);
        assert_eq!(of(4, 2), Rational::whole(2));
        assert_eq!(of(2, 3).times(of(3, 2)), Some(Rational::ONE));
        assert_eq!(of(1, 3).compare(of(1, 2)), Some(Ordering::Less));
        assert_eq!(Rational::ONE.by(Rational::whole(0)), None);
        assert_eq!(Rational::whole(i128::MAX).add(Rational::ONE), None);
    }
}
