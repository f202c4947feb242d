//! Arithmetic modulo a prime of 61 bits, and rows in echelon form.

/// 2^61 - 1.
pub(super) const PRIME: u64 = (1 << 61) - 1;

pub(super) fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let low = u64::try_from(product & u128::from(PRIME)).unwrap_or(0);
    let high = u64::try_from(product >> 61).unwrap_or(0);
    plus(low, high)
}

pub(super) fn plus(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

pub(super) fn minus(a: u64, b: u64) -> u64 {
    plus(a, PRIME - b)
}

/// By Fermat: a^(p - 2).
pub(super) fn inverse(number: u64) -> u64 {
    let (mut result, mut power, mut left) = (1, number, PRIME - 2);
    while left > 0 {
        if left & 1 == 1 {
            result = times(result, power);
        }
        power = times(power, power);
        left >>= 1;
    }
    result
}

/// Takes so much of one row from another that its entry at `at` is 0.
fn clear(row: &mut [u64], by: &[u64], at: usize) {
    let factor = row[at];
    if factor != 0 {
        row.iter_mut().zip(by).for_each(|(entry, other)| *entry = minus(*entry, times(factor, *other)));
    }
}

/// Divides a row by its entry at `at`.
fn scale(row: &mut [u64], at: usize) {
    let factor = inverse(row[at]);
    for entry in row {
        *entry = times(*entry, factor);
    }
}

/// Rows in reduced echelon form, each with the place of its leading 1.
#[derive(Default)]
pub(super) struct Echelon(pub(super) Vec<(usize, Vec<u64>)>);

impl Echelon {
    /// Takes in a row; one that follows from the others changes nothing.
    pub(super) fn add(&mut self, mut row: Vec<u64>) {
        for (at, known) in &self.0 {
            clear(&mut row, known, *at);
        }
        let Some(at) = row.iter().position(|entry| *entry != 0) else { return };
        scale(&mut row, at);
        for (_, known) in &mut self.0 {
            clear(known, &row, at);
        }
        self.0.push((at, row));
    }
}
