//! The fast way to split: sixty-four bytes at a time, for records of one line whose quotes, if any, stand around whole
//! fields. Whatever else a record may be, the strict splitter of [`super::reader`] takes it.
//!
//! A bit of a mask stands for a byte of the block. The parity of the quotes so far tells what is inside quotes: the way of
//! Langdale and Lemire, "Parsing gigabytes of JSON per second", VLDB Journal 28 (2019).

use memchr::memchr;
use wide::u8x16;

/// Bytes that one mask stands for.
const BLOCK: usize = 64;

/// Splits bytes at a delimiter and a line end. Records with control characters are none of its.
#[derive(Clone, Copy, Debug)]
pub struct PlainSplitter<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// The byte between fields.
    pub delimiter: u8,
    /// The byte that ends a line: LF or CR.
    pub line_end: u8,
}

/// What one block holds.
struct Masks {
    quotes: u64,
    delimiters: u64,
    line_ends: u64,
    /// Whether there is a control character that ends no line, or the end of the bytes.
    has_controls: bool,
}

impl PlainSplitter<'_> {
    /// Splits records from `start`, where one begins. For each, where it begins and the ends of its fields, with their
    /// quotes and without the line end, are appended to `bounds`; then `each` is told where the record begins and where
    /// the next one does, and may take the bounds away again. Gives the beginning of the first record that is not plain or
    /// has no line end.
    pub fn split(
        &self,
        start: usize,
        bounds: &mut Vec<u32>,
        mut each: impl FnMut(&mut Vec<u32>, usize, usize),
    ) -> usize {
        let (mut start, mut block) = (start, start);
        let mut first = bounds.len();
        bounds.push(short(start));
        // Of the byte before the block: whether it is inside quotes, closes quotes, is a separator or stands before a record.
        let (mut inside, mut closed, mut separated) = (0_u64, 0_u64, 1_u64);
        while block < self.bytes.len() {
            let Masks { quotes, delimiters, line_ends, has_controls } = self.masks(block);
            let (mut separators, mut odd) = (delimiters | line_ends, 0);
            let mut closes = 0;
            // Most blocks have no quotes.
            if (quotes | inside | closed) != 0 {
                let within = parity(quotes) ^ inside;
                separators &= !within;
                let opening = quotes & within;
                let closing = quotes & !within;
                odd = (opening & !(separators << 1 | separated))
                    | ((closing << 1 | closed) & !separators)
                    | (line_ends & within);
                if odd != 0 {
                    odd &= !self.before_line_ends(block, line_ends);
                }
                inside = (within.cast_signed() >> 63).cast_unsigned();
                closes = closing >> 63;
            }
            if has_controls {
                odd |= self.controls(block);
            }
            closed = closes;
            separated = separators >> 63;
            let before_odd = odd.wrapping_sub(1) & !odd;
            let mut left = if odd == 0 { separators } else { separators & before_odd };
            let mut ends = left & line_ends;
            let base = short(block);
            loop {
                let mut fields = if ends == 0 { left } else { left & (ends.wrapping_sub(1) & !ends) };
                left &= !fields;
                while fields != 0 {
                    bounds.push(base.wrapping_add(fields.trailing_zeros()));
                    fields &= fields - 1;
                }
                if ends == 0 {
                    break;
                }
                let place = block + ends.trailing_zeros() as usize;
                let cr = place > start && self.bytes[place - 1] == b'\r';
                bounds.push(short(place - usize::from(cr)));
                each(bounds, start, place + 1);
                start = place + 1;
                first = bounds.len();
                bounds.push(short(start));
                left &= left - 1;
                ends &= ends - 1;
            }
            if odd != 0 {
                break;
            }
            block += BLOCK;
        }
        bounds.truncate(first);
        start
    }

    #[inline]
    fn masks(&self, block: usize) -> Masks {
        let rest = &self.bytes[block..];
        let mut last = [0; BLOCK];
        let bytes = rest.first_chunk::<BLOCK>().unwrap_or_else(|| {
            // The last block is filled up with zeros.
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
        let [quote, delimiter, line_end] = [b'"', self.delimiter, self.line_end].map(u8x16::splat);
        let [last_control, delete] = [0x1f, 0x7f].map(u8x16::splat);
        let mut masks = Masks { quotes: 0, delimiters: 0, line_ends: 0, has_controls: false };
        let mut controls = u8x16::ZERO;
        let (parts, _) = bytes.as_chunks::<16>();
        for (at, part) in (0..).step_by(16).zip(parts) {
            let part = u8x16::from(*part);
            let bits = |is: u8x16| u64::from(is.to_bitmask()) << at;
            let ends_line = part.simd_eq(line_end);
            masks.quotes |= bits(part.simd_eq(quote));
            masks.delimiters |= bits(part.simd_eq(delimiter));
            masks.line_ends |= bits(ends_line);
            controls |= (part.min(last_control).simd_eq(part) | part.simd_eq(delete)) & !ends_line;
        }
        masks.has_controls = controls.any();
        masks
    }

    /// The control characters of a block that are not expected: neither tab, nor a line end, nor CR before one. What is
    /// behind the end of the bytes is none.
    fn controls(&self, block: usize) -> u64 {
        let rest = &self.bytes[block..];
        let is_expected = |at: usize| match rest[at] {
            b'\t' => true,
            b'\r' => self.line_end == b'\r' || rest.get(at + 1) == Some(&b'\n'),
            byte => byte == self.line_end,
        };
        let controls = (0..rest.len().min(BLOCK)).filter(|at| rest[*at].is_ascii_control() && !is_expected(*at));
        controls.fold(0, |found, at| found | 1 << at)
    }

    /// The bytes CR that stand right before a line end: after a closing quote, they are a part of it.
    fn before_line_ends(&self, block: usize, line_ends: u64) -> u64 {
        let next = self.bytes.get(block + BLOCK) == Some(&self.line_end);
        let before = line_ends >> 1 | u64::from(next) << 63;
        let mut found = 0;
        let mut left = before;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            found |= u64::from(self.bytes.get(block + bit as usize) == Some(&b'\r')) << bit;
        }
        found
    }
}

/// For each bit, the parity of the bits up to it.
fn parity(mut bits: u64) -> u64 {
    if bits == 0 {
        return 0;
    }
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// A text between quotes, without them, and whether it holds doubled ones; a field without quotes as it is.
pub fn unquoted(field: &[u8]) -> (&[u8], bool) {
    match field {
        [b'"', inner @ .., b'"'] => (inner, memchr(b'"', inner).is_some()),
        _ => (field, false),
    }
}

fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
