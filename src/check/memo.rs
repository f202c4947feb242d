//! What came of the fields that were read last: a spelling is read once and not once a row.
//!
//! Each field has one place, by some bits of its bytes, and the next field of that place takes it. So a memo has a fixed
//! size, and no file can fill it.

use std::ops::Range;

use super::fields::Faults;
use super::reader::{RawField, Word};

/// Fields that are remembered of a column.
const PLACES: usize = 256;

/// What came of short fields, which are known by their bytes.
#[derive(Debug)]
pub struct Memo<T> {
    places: Box<[(Word, T, Faults); PLACES]>,
    none: T,
}

impl<T: Copy> Memo<T> {
    /// Nothing was read yet; `none` is what comes of no field.
    pub fn new(none: T) -> Self {
        Self { places: Box::new([(Word::NONE, none, 0); PLACES]), none }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.fill((Word::NONE, self.none, 0));
    }

    /// What came of a field; `read` is asked if that is not remembered, and for every long one.
    #[inline]
    pub fn find(&mut self, raw: RawField<'_>, read: impl FnOnce() -> (T, Faults)) -> (T, Faults) {
        let Some(word) = raw.word() else { return read() };
        let place = &mut self.places[usize::from(place_of(word))];
        if place.0 != word {
            let (value, faults) = read();
            *place = (word, value, faults);
        }
        (place.1, place.2)
    }
}

/// The same for long fields of one chunk, which are known by where they lie in it.
#[derive(Debug)]
pub struct LongMemo<T> {
    places: Box<[(Range<u32>, T, Faults); PLACES]>,
    none: T,
}

impl<T: Copy> LongMemo<T> {
    /// Nothing was read yet; `none` is what comes of no field.
    pub fn new(none: T) -> Self {
        Self { places: Box::new([const { 0..0 }; PLACES].map(|range| (range, none, 0))), none }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.fill((0..0, self.none, 0));
    }

    /// What came of a field of more than sixteen bytes.
    #[inline]
    pub fn find(&mut self, chunk: &[u8], raw: RawField<'_>, read: impl FnOnce() -> (T, Faults)) -> (T, Faults) {
        let bytes = raw.bytes();
        let place = &mut self.places[usize::from(place_of(raw.ends()))];
        if chunk[place.0.start as usize..place.0.end as usize] != *bytes {
            let (value, faults) = read();
            *place = (raw.range(), value, faults);
        }
        (place.1, place.2)
    }
}

/// Eight bits of sixteen bytes.
#[inline]
pub fn place_of(word: Word) -> u8 {
    mixed(word).to_le_bytes()[7]
}

/// Sixteen bytes in eight, of which the uppermost bits are mixed best, by Fibonacci hashing: a product with 2^64 divided by
/// the golden ratio.
#[inline]
pub fn mixed(Word([one, other]): Word) -> u64 {
    (one ^ other.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
