//! The rules about ids: what goes with an id wherever it is.

use std::collections::BTreeSet;

use super::{Kept, Outcome};
use crate::check::fields::Values;
use crate::check::findings::RuleId;
use crate::dictionary::{Dictionary, Role};
use crate::spill::{each_heap, u64_at};

/// An id with what goes with it, in so many rows of which the first begins at `offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// 80 bits of the id's hash, then 48 bits of the offset: ids sort together, and in the order of the file.
    id: u128,
    /// The hash of what goes with it, of which 44 bits are kept.
    pub(super) with: u64,
    pub(super) rows: u32,
}

impl Use {
    /// Bytes of an id with which nothing goes, in one row.
    const WIDTH_ALONE: usize = 16;
    const WIDTH: usize = 24;
    const OFFSET_BITS: u32 = 48;
    const ROWS_BITS: u32 = 20;
    /// Rows that one use can stand for.
    pub(super) const MOST_ROWS: u32 = (1 << Self::ROWS_BITS) - 1;

    /// Of so many rows.
    pub(super) fn new(hash: u128, offset: u64, rows: u32) -> Self {
        let id = hash >> Self::OFFSET_BITS << Self::OFFSET_BITS | u128::from(offset);
        Self { id, with: 0, rows }
    }

    fn id(&self) -> u128 {
        self.id >> Self::OFFSET_BITS
    }

    fn offset(&self) -> u64 {
        u64::try_from(self.id & ((1 << Self::OFFSET_BITS) - 1)).unwrap_or(u64::MAX)
    }

    /// Bits of the id by which it is put into a bucket.
    pub(super) fn hash(&self) -> u64 {
        lower(self.id())
    }

    /// Into room for an id with which nothing goes, or for one with which something does.
    pub(super) fn write(&self, into: &mut [u8]) {
        let (id, more) = into.split_at_mut(Self::WIDTH_ALONE);
        id.copy_from_slice(&self.id.to_le_bytes());
        if !more.is_empty() {
            more.copy_from_slice(&(self.with & !u64::from(Self::MOST_ROWS) | u64::from(self.rows)).to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let last = if bytes.len() == Self::WIDTH_ALONE { 1 } else { u64_at(bytes, 16) };
        Self {
            id: u128::from(u64_at(bytes, 0)) | u128::from(u64_at(bytes, 8)) << 64,
            with: last & !u64::from(Self::MOST_ROWS),
            rows: u32::try_from(last & u64::from(Self::MOST_ROWS)).unwrap_or(Self::MOST_ROWS),
        }
    }
}

/// A rule about an id, by columns of the file.
#[derive(Debug)]
pub(super) struct IdRule {
    pub(super) rule: RuleId,
    /// Column of the file and field of the dictionary.
    pub(super) id: (usize, usize),
    /// What must be the same wherever the id is; without any, the id may be there once.
    pub(super) by: Vec<(usize, usize)>,
    /// Whether it is that of many rows: of an organization, and not of a person or a shot.
    is_shared: bool,
    /// The fields by which rows are compared, where one use can stand for several rows that are alike; none where each row is
    /// looked at.
    pub(super) alike_by: BTreeSet<usize>,
}

impl IdRule {
    pub(super) fn new(rule: RuleId, dictionary: &Dictionary, id: (usize, usize), by: Vec<(usize, usize)>) -> Self {
        let is_shared = dictionary.fields()[id.1].role != Role::Identifier;
        let columns = std::iter::once(&id).chain(&by).filter(|_| is_shared && !by.is_empty());
        let alike_by = columns.map(|(_, field)| *field).collect();
        Self { rule, id, by, is_shared, alike_by }
    }

    /// Bytes that a row leaves, about.
    pub(super) fn of_a_row(&self) -> usize {
        if self.is_shared { 1 } else { self.width() }
    }

    pub(super) fn width(&self) -> usize {
        if self.by.is_empty() { Use::WIDTH_ALONE } else { Use::WIDTH }
    }
}

/// One of the numbers of 64 bits for each of them, by Fibonacci hashing.
#[inline]
pub(super) fn mixed(number: u64) -> u64 {
    let product = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// The lower half of a hash.
#[inline]
pub(super) fn lower(hash: u128) -> u64 {
    u64::try_from(hash & u128::from(u64::MAX)).unwrap_or(0)
}

/// The rows of a chunk that a rule about an id looks at, each with the number of rows that it stands for. An id of an
/// organization comes again and again: rows that are alike are mostly one.
pub(super) fn rows_of(rule: &IdRule, kept: Kept<'_>) -> Vec<(usize, u32)> {
    // The rows that were seen last have a place each, by their texts' numbers in this chunk.
    const PLACES: usize = 1 << 9;
    let rows = kept.rows.iter().map(|row| *row as usize);
    let texts_of = |field: usize| match &kept.columns[field] {
        Values::Texts(texts) => Some(texts.ids.as_slice()),
        _ => None,
    };
    let columns: Option<Vec<&[u32]>> = rule.alike_by.iter().map(|field| texts_of(*field)).collect();
    let Some(columns) = columns.filter(|columns| !columns.is_empty()) else {
        return rows.map(|row| (row, 1)).collect();
    };
    let mut alike: Vec<(usize, u32)> = Vec::new();
    let mut seen = [usize::MAX; PLACES];
    for row in rows {
        let all = columns.iter().fold(0, |sum, column| mixed(sum ^ u64::from(column[row])));
        let place = &mut seen[usize::try_from(all >> 55).unwrap_or(0) % PLACES];
        match alike.get_mut(*place) {
            Some((other, count))
                if *count < Use::MOST_ROWS && columns.iter().all(|column| column[*other] == column[row]) =>
            {
                *count += 1;
            }
            _ => {
                *place = alike.len();
                alike.push((row, 1));
            }
        }
    }
    alike
}

/// Rows, different ids and the outcome of one bucket of uses.
pub(super) fn look_at_uses(rule: &IdRule, bytes: &[u8]) -> (u64, u64, Outcome) {
    let width = rule.width();
    let (mut rows, mut distinct, mut outcome) = (0, 0, Outcome::default());
    let mut uses: Vec<Use> = Vec::new();
    each_heap(
        bytes,
        width,
        |entry| Use::read(entry).hash(),
        |heap| {
            uses.clear();
            uses.extend(heap.iter().map(|number| Use::read(&bytes[*number as usize * width..][..width])));
            uses.sort_unstable_by_key(|one| one.id);
            for same in uses.chunk_by(|one, other| one.id() == other.id()) {
                distinct += 1;
                for (at, one) in same.iter().enumerate() {
                    rows += u64::from(one.rows);
                    let is_other = if rule.by.is_empty() { at > 0 } else { one.with != same[0].with };
                    if is_other {
                        outcome.failed(one.offset(), one.rows.into());
                    }
                }
            }
        },
    );
    outcome.settle();
    (rows, distinct, outcome)
}
