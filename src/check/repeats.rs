//! Columns that come again together: what is said of a clinic is the same in all rows of the clinic.
//!
//! Adjacent columns of which few rows differ make a run. Its bytes are looked at as one, and what differs is read column by
//! column as if it were all rows. Which runs there are changes nothing but the time that it takes.

use std::ops::Range;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::memo::mixed;
use super::reader::{Column, RawField, Records};

/// Rows by which runs are found.
const SAMPLE: usize = 1_024;
/// Of so many rows of the sample, one may differ.
const ALIKE: usize = 3;
/// Bits of the place of a row in [`Seen`].
const PLACE_BITS: u32 = 12;

/// The columns of a file in runs, in their order. Most runs are one column; `may_join` says of the first column of a run and
/// a later one whether they can be in one.
pub fn runs(records: &Records<'_>, seed: u64, may_join: impl Fn(usize, usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for column in 0..records.width() {
        match runs.last_mut() {
            Some(run) if may_join(run.start, column) && is_alike(records.columns(run.start..column + 1), seed) => {
                run.end += 1;
            }
            _ => runs.push(column..column + 1),
        }
    }
    runs
}

/// Whether few of the first rows differ. Where there are few rows at all, nothing is to be gained.
fn is_alike(run: Column<'_>, seed: u64) -> bool {
    if run.len() < SAMPLE {
        return false;
    }
    let hash = |bytes: &[u8]| xxh3_64_with_seed(bytes, seed);
    let mut different: HashTable<&[u8]> = HashTable::new();
    for raw in run.fields().take(SAMPLE) {
        let bytes = raw.bytes();
        different.entry(hash(bytes), |other| *other == bytes, |other| hash(other)).or_insert(bytes);
        if different.len() > SAMPLE / ALIKE {
            return false;
        }
    }
    true
}

/// Where the rows were that differ, by some bits of theirs.
#[derive(Debug)]
pub struct Seen(Box<[u32]>);

impl Default for Seen {
    fn default() -> Self {
        Self(vec![0; 1 << PLACE_BITS].into())
    }
}

/// The rows of a run by those that differ.
#[derive(Debug)]
pub struct Repeats {
    /// For each row, the number of the one that it is like.
    like: Vec<u32>,
    /// The rows that differ from those before them; a few may be like one another.
    rows: Vec<u32>,
}

impl Repeats {
    /// Those of a chunk.
    pub fn of(run: Column<'_>, Seen(places): &mut Seen) -> Self {
        places.fill(u32::MAX);
        let mut repeats = Self { like: Vec::with_capacity(run.len()), rows: Vec::new() };
        let mut different: Vec<&[u8]> = Vec::new();
        for (row, raw) in (0..).zip(run.fields()) {
            let bytes = raw.bytes();
            let place = mixed(raw.ends()) >> (u64::BITS - PLACE_BITS);
            let place = &mut places[usize::try_from(place).unwrap_or(0)];
            if different.get(*place as usize).is_none_or(|other| *other != bytes) {
                // A chunk has fewer rows than it has bytes, and those are far fewer than 4 GiB.
                *place = u32::try_from(different.len()).unwrap_or(u32::MAX);
                different.push(bytes);
                repeats.rows.push(row);
            }
            repeats.like.push(*place);
        }
        repeats
    }

    /// The fields of a column of the run in the rows that differ.
    pub fn fields<'a>(&self, column: Column<'a>) -> impl Iterator<Item = RawField<'a>> {
        self.rows.iter().map(move |row| column.field(*row as usize))
    }

    /// Number of all rows.
    pub fn len(&self) -> usize {
        self.like.len()
    }

    /// What came of them, for each row.
    pub fn for_each_row<T: Copy>(&self, different: &[T]) -> Vec<T> {
        self.like.iter().map(|row| different[*row as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Chunk, Form};
    use super::*;
    use crate::encoding::Encoding;

    fn chunk(rows: impl Iterator<Item = String>) -> Chunk {
        let bytes = rows.flat_map(|row| (row + "\n").into_bytes()).collect();
        Chunk { first_line: 1, first_offset: 0, bytes, line_end: b'\n', encoding: Encoding::Utf8 }
    }

    #[test]
    fn columns_of_which_few_rows_differ_make_a_run() {
        let rows = |different: usize| {
            chunk((0..2_000).map(move |row| {
                let of_clinic = row % different;
                format!("{row},{},{of_clinic},Clinic {of_clinic},{}", row % 2, of_clinic % 7)
            }))
        };
        let form = Form { delimiter: b',', width: 5, header: b"" };
        let runs = |chunk: &Chunk, may_join: fn(usize, usize) -> bool| {
            let runs = runs(&Records::split(chunk, form), 1, may_join);
            runs.into_iter().map(|run| (run.start, run.end)).collect::<Vec<_>>()
        };
        // Of 1,024 rows, 341 may differ.
        for (different, expected) in [
            (10, vec![(0, 1), (1, 5)]),
            (341, vec![(0, 1), (1, 2), (2, 5)]),
            (342, vec![(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        ] {
            assert_eq!(runs(&rows(different), |_, _| true), expected, "{different}");
        }
        assert_eq!(runs(&rows(10), |_, column| column != 3), [(0, 1), (1, 3), (3, 5)]);
        assert_eq!(runs(&rows(10), |first, _| first != 1), [(0, 1), (1, 2), (2, 5)]);
        for (rows, expected) in [(0, 5), (1, 5), (1_023, 5), (1_024, 1)] {
            let same = chunk(std::iter::repeat_n("1,2,3,4,5".to_owned(), rows));
            assert_eq!(runs(&same, |_, _| true).len(), expected, "{rows}");
        }
    }

    /// More rows that differ than there are places for them, some of one place.
    #[test]
    fn what_comes_of_the_rows_that_differ_is_that_of_all_rows() {
        for different in [1, 3, 5_000] {
            let chunk = chunk((0..10_000_usize).map(|row| format!("{},{}", row * 7 % different, row % different)));
            let records = Records::split(&chunk, Form { delimiter: b',', width: 2, header: b"" });
            let repeats = Repeats::of(records.columns(0..2), &mut Seen::default());
            assert_eq!(repeats.len(), 10_000);
            for number in [0, 1] {
                let column = records.column(number);
                let fields: Vec<_> = repeats.fields(column).map(RawField::bytes).collect();
                assert!(fields.len() >= different && (different == 5_000 || fields.len() == different));
                let all: Vec<_> = column.fields().map(RawField::bytes).collect();
                assert!(repeats.for_each_row(&fields) == all);
            }
        }
    }
}
