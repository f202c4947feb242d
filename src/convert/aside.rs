//! Accepted rows on their way to Parquet: entries of fixed width, set aside by client.
//!
//! An entry is the client's key, the row's place in the file, and every stored field: a date or a whole number in four
//! bytes, a code as its position in two, a text as its number in four. What is set aside takes a third of the file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, DictionaryArray, Int32Array, UInt16Array, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};

use super::texts::Texts;
use crate::check::{NO_CODE, NO_DATE, NO_INTEGER, NO_TEXT, Rows, Values};
use crate::dictionary::{Dictionary, FieldType, names};
use crate::error::{Error, Result};
use crate::spill::{Room, Size, Spill, each_heap, u64_at};

/// Bytes of an entry before its fields: eight of the key, and six of where the row begins in the file.
const HEAD: usize = 14;

/// Bytes of a bucket, about: the rows of one are sorted and encoded together.
const BUCKET: u64 = 16 << 20;

/// A stored field in an entry.
#[derive(Debug)]
struct Slot {
    name: String,
    /// Position of the field in the dictionary.
    field: usize,
    field_type: FieldType,
    /// First byte.
    at: usize,
    /// The texts of the column, when it has texts.
    texts: Option<Texts>,
}

/// The rows of a file, set aside by client.
#[derive(Debug)]
pub struct Aside {
    slots: Vec<Slot>,
    width: usize,
    order: Order,
    spill: Spill,
}

/// What rows are sorted by, besides their clients: the first bytes of two days.
#[derive(Clone, Copy, Debug)]
struct Order {
    birth: usize,
    vaccination: usize,
}

impl Aside {
    /// For a file of so many bytes; what is more than `memory` bytes goes to nameless files in `folder`.
    pub fn new(dictionary: &Dictionary, folder: &Path, bytes: u64, memory: usize) -> Result<Self> {
        let stored = dictionary.fields().iter().enumerate().filter(|(_, field)| field.table.is_some() && field.in_file);
        let texts = stored.clone().filter(|(_, field)| field.field_type == FieldType::Text).count();
        // Texts are few and long, or there is something wrong with the file: a small part is theirs.
        let memory_of_texts = memory / 8 / texts.max(1);
        let mut width = HEAD;
        let slots = stored.map(|(position, field)| {
            let at = width;
            width += if field.field_type == FieldType::Code { 2 } else { 4 };
            let texts = match field.field_type {
                FieldType::Text => Some(Texts::new(folder, memory_of_texts)?),
                _ => None,
            };
            Ok(Slot { name: field.name.clone(), field: position, field_type: field.field_type, at, texts })
        });
        let slots = slots.collect::<Result<Vec<_>>>()?;
        let day = |name: &str| {
            let slot = slots.iter().find(|slot| slot.name == name).map(|slot| slot.at);
            slot.ok_or_else(|| Error::internal("a day that rows are sorted by is not stored"))
        };
        let order = Order { birth: day(names::BIRTH_DATE)?, vaccination: day(names::VACCINATION_DATE)? };
        let size = Size { file_bytes: bytes, bucket: BUCKET };
        let spill = Spill::new(folder, width, size, memory / 8 * 7);
        Ok(Self { slots, width, order, spill })
    }

    /// The place of a stored field in [`Bucket::column`].
    pub fn slot(&self, name: &str) -> Result<usize> {
        let slot = self.slots.iter().position(|slot| slot.name == name);
        slot.ok_or_else(|| Error::internal("a table has a column that is not stored"))
    }

    /// Sets the accepted rows of a piece aside.
    pub fn add(&self, rows: Rows<'_>) -> Result<()> {
        let keys: Vec<u64> = rows.accepted.iter().map(|row| rows.clients[*row as usize].cast_unsigned()).collect();
        // The keys are uniform, so their bits spread clients evenly.
        let mut room = self.spill.room(&keys);
        put(&mut room, rows, 0, |row| rows.clients[row].to_le_bytes());
        put(&mut room, rows, 8, |row| {
            let [bytes @ .., _, _] = rows.places[row].offset.to_le_bytes();
            bytes
        });
        for slot in &self.slots {
            match (&rows.columns[slot.field], &slot.texts) {
                (Values::Dates(numbers) | Values::Integers(numbers), None) => {
                    put(&mut room, rows, slot.at, |row| numbers[row].to_le_bytes());
                }
                (Values::Codes(codes), None) => {
                    put(&mut room, rows, slot.at, |row| codes[row].to_le_bytes());
                }
                (Values::Texts(here), Some(texts)) => {
                    let numbers = texts.numbers(&here.different)?;
                    let number = |id: u32| numbers.get(id as usize).copied().unwrap_or(NO_TEXT);
                    put(&mut room, rows, slot.at, |row| number(here.ids[row]).to_le_bytes());
                }
                _ => return Err(Error::internal("a stored field has not been read")),
            }
        }
        self.spill.put(room)
    }

    /// Number of buckets.
    pub fn buckets(&self) -> usize {
        self.spill.buckets()
    }

    /// Bytes of all rows that are set aside.
    pub fn bytes(&self) -> u64 {
        self.spill.bytes()
    }

    /// Takes a bucket, which is there once.
    pub fn take(&self, bucket: usize) -> Result<Bucket<'_>> {
        let bytes = self.spill.take(bucket)?;
        Ok(Bucket { aside: self, entries: sorted(&bytes, self.width, self.order) })
    }
}

/// Writes a part of each accepted row's entry.
#[inline]
fn put<const N: usize>(room: &mut Room, rows: Rows<'_>, at: usize, bytes: impl Fn(usize) -> [u8; N]) {
    for (number, row) in rows.accepted.iter().enumerate() {
        room.entry(number)[at..at + N].copy_from_slice(&bytes(*row as usize));
    }
}

/// Sorts entries: clients by their birth, then by their keys; the rows of each by day and place in the file. Clients of
/// one age are vaccinated on like days, so that their rows are small when they lie together. The birth is that of the
/// client's last row.
fn sorted(entries: &[u8], width: usize, order: Order) -> Vec<u8> {
    let entry = |number: u32| &entries[number as usize * width..][..width];
    let mut numbers = Vec::with_capacity(entries.len() / width);
    let mut clients: Vec<(i32, u64, Range<usize>)> = Vec::new();
    let mut rows: Vec<(u64, i32, u64, u32)> = Vec::new();
    each_heap(
        entries,
        width,
        |entry| u64_at(entry, 0),
        |heap| {
            rows.clear();
            rows.extend(heap.iter().map(|number| {
                let entry = entry(*number);
                // The two bytes before the place are shifted out.
                (u64_at(entry, 0), i32_at(entry, order.vaccination), u64_at(entry, 6) >> 16, *number)
            }));
            rows.sort_unstable();
            for of_client in rows.chunk_by(|one, next| one.0 == next.0) {
                let first = numbers.len();
                numbers.extend(of_client.iter().map(|row| row.3));
                let (key, .., last) = of_client[of_client.len() - 1];
                clients.push((i32_at(entry(last), order.birth), key, first..numbers.len()));
            }
        },
    );
    clients.sort_unstable_by_key(|(birth, key, _)| (*birth, *key));
    let mut sorted = Vec::with_capacity(entries.len());
    for (.., rows) in clients {
        for number in &numbers[rows] {
            sorted.extend_from_slice(entry(*number));
        }
    }
    sorted
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default())
}

/// The rows of some clients: clients by their birth and key, the rows of each by day of vaccination and place in the file.
#[derive(Debug)]
pub struct Bucket<'a> {
    aside: &'a Aside,
    entries: Vec<u8>,
}

impl Bucket<'_> {
    /// Its share of [`Aside::bytes`].
    pub fn bytes(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        (self.entries.len() / self.aside.width) as u64
    }

    /// The key of each row's client.
    pub fn keys(&self) -> Vec<i64> {
        self.rows().map(|entry| u64_at(entry, 0).cast_signed()).collect()
    }

    /// A date or whole number of each row, with the sentinel of its type.
    pub fn numbers(&self, slot: usize) -> Vec<i32> {
        let at = self.aside.slots[slot].at;
        self.rows().map(|entry| i32_at(entry, at)).collect()
    }

    /// A code of each row, as its position, or [`NO_CODE`].
    pub fn codes(&self, slot: usize) -> Vec<u16> {
        let at = self.aside.slots[slot].at;
        self.rows().map(|entry| u16::from_le_bytes(entry[at..].first_chunk().copied().unwrap_or_default())).collect()
    }

    /// A stored field of all rows: dates as `Date32`, whole numbers as `Int32`, codes as `UInt16` positions, texts as a
    /// dictionary of `UInt32` and `Utf8`.
    pub fn column(&self, slot: usize) -> Result<ArrayRef> {
        let Slot { field_type, texts, .. } = &self.aside.slots[slot];
        let wrong = |_| Error::internal("a column does not fit its type");
        Ok(match (field_type, texts) {
            (FieldType::Date, _) => dates(self.numbers(slot)),
            (FieldType::Integer, _) => {
                let numbers = self.numbers(slot);
                let present = present(&numbers, NO_INTEGER);
                Arc::new(Int32Array::try_new(numbers.into(), present).map_err(wrong)?)
            }
            (FieldType::Code, _) => {
                let codes = self.codes(slot);
                let present = present(&codes, NO_CODE);
                Arc::new(UInt16Array::try_new(codes.into(), present).map_err(wrong)?)
            }
            (FieldType::Text, Some(texts)) => {
                let mut numbers: Vec<u32> = self.numbers(slot).into_iter().map(i32::cast_unsigned).collect();
                let values = texts.values(&mut numbers)?;
                let present = present(&numbers, NO_TEXT);
                // Behind a null, a number must be in range too.
                numbers.iter_mut().filter(|number| **number == NO_TEXT).for_each(|number| *number = 0);
                let numbers = if values.is_empty() {
                    UInt32Array::new_null(numbers.len())
                } else {
                    UInt32Array::try_new(numbers.into(), present).map_err(wrong)?
                };
                Arc::new(DictionaryArray::try_new(numbers, values).map_err(wrong)?)
            }
            (FieldType::Text, None) => return Err(Error::internal("a text column has no texts")),
        })
    }

    /// Some of the rows, by their numbers.
    pub fn only(&self, rows: &[u32]) -> Self {
        let width = self.aside.width;
        let mut entries = Vec::with_capacity(rows.len() * width);
        for row in rows {
            entries.extend_from_slice(&self.entries[*row as usize * width..][..width]);
        }
        Self { aside: self.aside, entries }
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.chunks_exact(self.aside.width)
    }
}

/// A column of days, in which [`NO_DATE`] stands for none.
pub fn dates(days: Vec<i32>) -> ArrayRef {
    let present = present(&days, NO_DATE);
    Arc::new(Date32Array::new(days.into(), present))
}

/// Which values are there, when not all are.
fn present<T: PartialEq + Copy>(values: &[T], none: T) -> Option<NullBuffer> {
    values.contains(&none).then(|| NullBuffer::new(BooleanBuffer::collect_bool(values.len(), |at| values[at] != none)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Place;
    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::UInt32Type;

    /// Rows of two clients, in two pieces that come in the wrong order, with memory for all and for nothing. By its last row,
    /// the client with the larger key was born first. The lower bits of both keys are those of one bucket.
    #[test]
    fn rows_come_back_by_birth_client_day_and_place() {
        let dictionary = Dictionary::built_in().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| dictionary.position(name).unwrap();
        let piece = |rows: &[(i64, i32, i32, &'static str, u64)]| {
            let mut columns: Vec<Values> = dictionary
                .fields()
                .iter()
                .map(|field| match field.field_type {
                    FieldType::Date => Values::Dates(vec![NO_DATE; rows.len()]),
                    FieldType::Integer => Values::Integers(vec![NO_INTEGER; rows.len()]),
                    FieldType::Code => Values::Codes(vec![NO_CODE; rows.len()]),
                    FieldType::Text => Values::Texts(crate::check::Texts {
                        ids: vec![NO_TEXT; rows.len()],
                        different: StringArray::from(Vec::<&str>::new()),
                    }),
                })
                .collect();
            columns[at(names::BIRTH_DATE)] = Values::Dates(rows.iter().map(|row| row.1).collect());
            columns[at(names::VACCINATION_DATE)] = Values::Dates(rows.iter().map(|row| row.2).collect());
            columns[at(names::ZIP)] = Values::Texts(crate::check::Texts {
                ids: (0..).take(rows.len()).collect(),
                different: rows.iter().map(|row| Some(row.3)).collect(),
            });
            let places: Vec<Place> = rows.iter().map(|row| Place { offset: row.4, line: 0, length: 0 }).collect();
            let clients: Vec<i64> = rows.iter().map(|row| row.0).collect();
            (columns, places, clients)
        };
        let (small, large, other) = (3, 1 << 40 | 3, 9);
        for memory in [1 << 20, 0] {
            let aside = Aside::new(&dictionary, folder.path(), 1_000, memory).unwrap();
            for (rows, accepted) in [
                (vec![(large, -90, -5, "c", 30), (large, -99, 9, "d", 40), (small, -98, 1, "e", 50)], vec![0, 1, 2]),
                (vec![(large, -90, -5, "b", 10), (other, -99, 2, "x", 15), (large, -90, -5, "b", 20)], vec![0, 2]),
            ] {
                let (columns, places, clients) = piece(&rows);
                aside.add(Rows { accepted: &accepted, clients: &clients, places: &places, columns: &columns }).unwrap();
            }
            let mut seen = Vec::new();
            for bucket in 0..aside.buckets() {
                let bucket = aside.take(bucket).unwrap();
                let days = bucket.numbers(aside.slot(names::VACCINATION_DATE).unwrap());
                let zips = bucket.column(aside.slot(names::ZIP).unwrap()).unwrap();
                let zips = zips.as_dictionary::<UInt32Type>().downcast_dict::<StringArray>().unwrap();
                let rows = bucket
                    .keys()
                    .into_iter()
                    .zip(days)
                    .zip(zips)
                    .map(|((key, day), zip)| (key, day, zip.unwrap().to_owned()));
                seen.extend(rows);
            }
            let seen: Vec<_> = seen.iter().map(|(key, day, zip)| (*key, *day, zip.as_str())).collect();
            let expected = [(large, -5, "b"), (large, -5, "b"), (large, -5, "c"), (large, 9, "d"), (small, 1, "e")];
            assert_eq!(seen, expected, "with {memory} bytes of memory; the row that is not accepted is not there");
        }
    }
}
