//! Fixed-size entries set aside by bucket in bounded memory, so that entries with the same hash can be looked at together
//! whatever the size of the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use crate::error::{Error, Result};
use crate::parallel::{self, lock};

/// More buckets than a file of hundreds of gigabytes needs.
const MOST_BUCKETS: u64 = 8192;
/// Fewer could not be shared among threads.
const LEAST_BUCKETS: u64 = 16;
/// Bytes of a file for each of its rows, at the least: for the number of buckets.
const SHORTEST_ROW: u64 = 150;

/// Entries of one width in buckets: in memory as long as they are few, else in a nameless file that is gone when the run
/// ends, however it ends. Entries whose hashes have the same low bits lie in one bucket.
#[derive(Debug)]
pub struct Spill {
    folder: PathBuf,
    width: usize,
    /// Bytes that may be held in memory.
    in_memory: usize,
    buckets: usize,
    held: RwLock<Held>,
    written: Mutex<Written>,
}

/// How large the buckets of a spill are to be.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Bytes of the file whose rows have an entry each.
    pub file_bytes: u64,
    /// Bytes of a bucket, about.
    pub bucket: u64,
}

/// What came in and has not been written.
#[derive(Debug, Default)]
struct Held {
    blocks: Vec<Block>,
    bytes: usize,
}

impl Held {
    /// Takes out what came first, about half of it: a file that is little more than what fits is mostly held to its end.
    fn first_half(&mut self) -> Vec<Block> {
        let half = self.bytes / 2;
        let mut taken = 0;
        let mut is_first = |block: &Block| {
            taken += block.bytes();
            taken <= half
        };
        let first = self.blocks.iter().take_while(|block| is_first(block)).count().max(1);
        let first: Vec<Block> = self.blocks.drain(..first).collect();
        self.bytes -= first.iter().map(Block::bytes).sum::<usize>();
        first
    }
}

/// Entries by bucket.
#[derive(Debug)]
struct Block {
    entries: Vec<u8>,
    /// Behind the last entry of each bucket.
    ends: Vec<u32>,
}

impl Block {
    fn bytes(&self) -> usize {
        self.entries.len() + self.ends.len() * size_of::<u32>()
    }

    fn of(&self, bucket: usize, width: usize) -> &[u8] {
        let start = bucket.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start as usize * width..self.ends[bucket] as usize * width]
    }
}

#[derive(Debug)]
struct Written {
    file: Option<File>,
    /// Where the pieces of each bucket lie: first byte, length.
    pieces: Vec<Vec<(u64, usize)>>,
    bytes: u64,
}

/// Room for entries that are to be set aside, which lie in the order of their buckets.
#[derive(Debug)]
pub struct Room {
    block: Block,
    width: usize,
    /// For each entry, which place in the block is its.
    places: Vec<u32>,
}

impl Room {
    /// The bytes of each entry, in the order in which their hashes were told.
    #[inline]
    pub fn entry(&mut self, number: usize) -> &mut [u8] {
        &mut self.block.entries[self.places[number] as usize * self.width..][..self.width]
    }
}

impl Spill {
    /// A spill for an entry of `width` bytes of each row of a file, which may hold `memory` bytes of them in memory. `folder`
    /// is where its file goes, if it needs one.
    pub fn new(folder: &Path, width: usize, size: Size, memory: usize) -> Self {
        let expected = size.file_bytes / SHORTEST_ROW * width as u64;
        let buckets = expected.div_ceil(size.bucket).clamp(LEAST_BUCKETS, MOST_BUCKETS).next_power_of_two();
        let buckets = usize::try_from(buckets).unwrap_or(1);
        Self {
            folder: folder.to_owned(),
            width,
            in_memory: memory,
            buckets,
            held: RwLock::default(),
            written: Mutex::new(Written { file: None, pieces: vec![Vec::new(); buckets], bytes: 0 }),
        }
    }

    /// Number of buckets, a power of two.
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// Bytes of all entries that are set aside.
    pub fn bytes(&self) -> u64 {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held: usize = held.blocks.iter().map(|block| block.entries.len()).sum();
        lock(&self.written).bytes + held as u64
    }

    /// Makes room for an entry of each hash.
    pub fn room(&self, hashes: &[u64]) -> Room {
        let mask = self.buckets as u64 - 1;
        let bucket = |hash: &u64| usize::try_from(hash & mask).unwrap_or(0);
        let (places, ends) = sorted(self.buckets, || hashes.iter().map(bucket));
        Room { block: Block { entries: vec![0; hashes.len() * self.width], ends }, width: self.width, places }
    }

    /// Sets entries aside.
    pub fn put(&self, room: Room) -> Result<()> {
        let full = {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.bytes += room.block.bytes();
            held.blocks.push(room.block);
            (held.bytes > self.in_memory).then(|| held.first_half())
        };
        full.map_or(Ok(()), |full| lock(&self.written).write(&full, self.width, &self.folder))
    }

    /// Gives the bytes of each bucket to `look`, by so many threads; the results are in the order of the buckets.
    pub fn look<R: Send>(&self, threads: usize, look: impl Fn(usize, Vec<u8>) -> Result<R> + Sync) -> Result<Vec<R>> {
        parallel::map(threads, self.buckets, |bucket| look(bucket, self.take(bucket)?))
    }

    /// The bytes of a bucket.
    pub fn take(&self, bucket: usize) -> Result<Vec<u8>> {
        let mut bytes = lock(&self.written).read(bucket, &self.folder)?;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let parts = || held.blocks.iter().map(|block| block.of(bucket, self.width));
        bytes.reserve_exact(parts().map(<[u8]>::len).sum());
        parts().for_each(|part| bytes.extend_from_slice(part));
        Ok(bytes)
    }
}

impl Written {
    /// Writes blocks, one bucket after another.
    fn write(&mut self, held: &[Block], width: usize, folder: &Path) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("set rows aside in", folder, &error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(folder).map_err(failed)?),
        };
        let mut piece = Vec::new();
        for (bucket, pieces) in self.pieces.iter_mut().enumerate() {
            piece.clear();
            for block in held {
                piece.extend_from_slice(block.of(bucket, width));
            }
            if !piece.is_empty() {
                file.write_all(&piece).map_err(failed)?;
                pieces.push((self.bytes, piece.len()));
                self.bytes += piece.len() as u64;
            }
        }
        Ok(())
    }

    fn read(&mut self, bucket: usize, folder: &Path) -> Result<Vec<u8>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let failed = |error: std::io::Error| Error::io("read rows set aside in", folder, &error);
        let pieces = &self.pieces[bucket];
        let mut bytes = vec![0; pieces.iter().map(|(_, length)| length).sum()];
        let mut at = 0;
        for (start, length) in pieces {
            file.seek(SeekFrom::Start(*start)).map_err(failed)?;
            file.read_exact(&mut bytes[at..at + length]).map_err(failed)?;
            at += length;
        }
        Ok(bytes)
    }
}

/// Gives the entries of a bucket in small heaps, by their numbers: the heaps in the order of the hashes, each in the order in
/// which its entries lie. Those of one hash are in one heap.
pub fn each_heap(bytes: &[u8], width: usize, hash: impl Fn(&[u8]) -> u64, mut look: impl FnMut(&[u32])) {
    /// Entries of a heap, about.
    const HEAP: usize = 4;
    let count = bytes.len() / width;
    let heaps = (count / HEAP).next_power_of_two();
    // The lower bits are those of the bucket.
    let shift = 63 - heaps.trailing_zeros();
    let heap = |entry: &[u8]| usize::try_from(hash(entry) >> shift >> 1).unwrap_or(0);
    let (places, ends) = sorted(heaps, || bytes.chunks_exact(width).map(heap));
    let mut order = vec![0_u32; count];
    for (number, place) in (0..).zip(places) {
        order[place as usize] = number;
    }
    let mut start = 0;
    for end in ends {
        look(&order[start..end as usize]);
        start = end as usize;
    }
}

/// A counting sort of entries by the heap of each: the place of each entry, and behind the last place of each heap.
fn sorted<I: Iterator<Item = usize>>(heaps: usize, heap_of: impl Fn() -> I) -> (Vec<u32>, Vec<u32>) {
    let mut ends = vec![0_u32; heaps];
    heap_of().for_each(|heap| ends[heap] += 1);
    let mut start = 0;
    for end in &mut ends {
        start += std::mem::replace(end, start);
    }
    let place = |heap| {
        let end: &mut u32 = &mut ends[heap];
        *end += 1;
        *end - 1
    };
    let places = heap_of().map(place).collect();
    (places, ends)
}

/// Eight bytes as a number.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_entries_meet_again_in_one_bucket_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for (in_memory, threads) in [(1 << 20, 1), (1_000, 1), (0, 2), (1_000, 8)] {
            let size = Size { file_bytes: (1 << 20) * 60 / 9 * SHORTEST_ROW, bucket: 1 << 20 };
            let spill = Spill::new(folder.path(), 9, size, in_memory);
            assert_eq!(spill.buckets(), 64);
            assert_eq!(spill.bytes(), 0);
            for part in 0..10_u8 {
                let hashes: Vec<u64> =
                    (0..500_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7).collect();
                let mut room = spill.room(&hashes);
                for (number, hash) in hashes.iter().enumerate() {
                    let entry = room.entry(number);
                    entry[..8].copy_from_slice(&hash.to_le_bytes());
                    entry[8] = part % 2;
                }
                spill.put(room).unwrap();
            }
            assert_eq!(spill.bytes(), 5_000 * 9);
            let buckets = spill
                .look(threads, |bucket, bytes| {
                    let mut entries: Vec<&[u8]> = bytes.chunks_exact(9).collect();
                    entries.sort_unstable();
                    assert!(entries.chunk_by(|a, b| a == b).all(|equal| equal.len() == 5));
                    assert!(entries.iter().all(|entry| u64_at(entry, 0) % 64 == bucket as u64));
                    Ok(entries.len())
                })
                .unwrap();
            assert!(buckets.iter().all(|entries| *entries > 0));
            assert_eq!(buckets.iter().sum::<usize>(), 5_000);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the files have no name");
    }

    #[test]
    fn entries_of_one_hash_are_in_one_heap_and_heaps_come_in_the_order_of_hashes() {
        for count in [0, 1, 2, 3, 100, 5_000_u64] {
            // Each hash three times, far from one another.
            let hashes: Vec<u64> =
                (0..count).map(|number| (number % count.div_ceil(3)).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let entries: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            let mut seen = Vec::new();
            each_heap(
                &entries,
                8,
                |entry| u64_at(entry, 0),
                |heap| {
                    assert!(heap.is_sorted(), "in the order in which they lie");
                    let mut heap: Vec<u64> = heap.iter().map(|number| hashes[*number as usize]).collect();
                    heap.sort_unstable();
                    seen.extend(heap);
                },
            );
            let mut sorted = hashes;
            sorted.sort_unstable();
            assert_eq!(seen, sorted);
        }
    }
}
