//! Fixed-size entries set aside by bucket in bounded memory, so that entries with the same hash can be looked at together
//! whatever the size of the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::parallel::{self, lock};

/// Bytes of a bucket that is read back, about.
const BUCKET: u64 = 16 << 20;
/// More buckets than a file of hundreds of gigabytes needs.
const MOST_BUCKETS: u64 = 8192;
/// Bytes of a file for each of its rows, at the least: for the number of buckets.
const SHORTEST_ROW: u64 = 150;
/// Parts that are locked one by one, so that threads seldom wait for one another.
const STRIPES: usize = 16;

/// Entries of one width in buckets: in memory as long as they are few, else in nameless files that are gone when the run
/// ends, however it ends. Entries whose hashes have the same low bits lie in one bucket.
#[derive(Debug)]
pub struct Spill {
    folder: PathBuf,
    width: usize,
    /// Bytes that a stripe may hold in memory.
    in_memory: usize,
    buckets: usize,
    stripes: Vec<Mutex<Stripe>>,
}

#[derive(Debug)]
struct Stripe {
    held: usize,
    buckets: Vec<Vec<u8>>,
    file: Option<File>,
    /// Where the written pieces of each bucket lie: first byte, length.
    pieces: Vec<Vec<(u64, usize)>>,
    written: u64,
}

impl Spill {
    /// A spill for an entry of `width` bytes of each row of a file of so many bytes, which may hold `memory` bytes of them
    /// in memory. `folder` is where its files go, if it needs them.
    pub fn new(folder: &Path, width: usize, file_bytes: u64, memory: usize) -> Self {
        let expected = file_bytes / SHORTEST_ROW * width as u64;
        let buckets =
            usize::try_from(expected.div_ceil(BUCKET).clamp(STRIPES as u64, MOST_BUCKETS).next_power_of_two());
        let buckets = buckets.unwrap_or(STRIPES);
        let stripe = || Stripe {
            held: 0,
            buckets: vec![Vec::new(); buckets / STRIPES],
            file: None,
            pieces: vec![Vec::new(); buckets / STRIPES],
            written: 0,
        };
        Self {
            folder: folder.to_owned(),
            width,
            in_memory: memory / STRIPES,
            buckets,
            stripes: (0..STRIPES).map(|_| Mutex::new(stripe())).collect(),
        }
    }

    /// Number of buckets, a power of two.
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// Bytes of all entries that are set aside.
    pub fn bytes(&self) -> u64 {
        let of = |stripe: &Mutex<Stripe>| {
            let stripe = lock(stripe);
            stripe.written + stripe.held as u64
        };
        self.stripes.iter().map(of).sum()
    }

    /// Sets entries aside: as many as there are hashes.
    pub fn add(&self, hashes: &[u64], entries: &[u8]) -> Result<()> {
        let mask = self.buckets as u64 - 1;
        let bucket = |hash: u64| usize::try_from(hash & mask).unwrap_or(0);
        let mut by_stripe: [Vec<(usize, &[u8])>; STRIPES] =
            std::array::from_fn(|_| Vec::with_capacity(hashes.len() / STRIPES * 2));
        for (hash, entry) in hashes.iter().zip(entries.chunks_exact(self.width)) {
            let bucket = bucket(*hash);
            by_stripe[bucket % STRIPES].push((bucket / STRIPES, entry));
        }
        for (stripe, entries) in self.stripes.iter().zip(by_stripe) {
            let mut stripe = lock(stripe);
            for (bucket, entry) in &entries {
                stripe.buckets[*bucket].extend_from_slice(entry);
            }
            stripe.held += entries.len() * self.width;
            if stripe.held > self.in_memory {
                stripe.write_out(&self.folder)?;
            }
        }
        Ok(())
    }

    /// Gives the bytes of each bucket to `look`, by so many threads; the results are in the order of the buckets.
    pub fn look<R: Send>(&self, threads: usize, look: impl Fn(usize, Vec<u8>) -> Result<R> + Sync) -> Result<Vec<R>> {
        parallel::map(threads, self.buckets, |bucket| look(bucket, self.take(bucket)?))
    }

    /// The bytes of a bucket, which are there once.
    pub fn take(&self, bucket: usize) -> Result<Vec<u8>> {
        lock(&self.stripes[bucket % STRIPES]).take(bucket / STRIPES, &self.folder)
    }
}

impl Stripe {
    fn write_out(&mut self, folder: &Path) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("set rows aside in", folder, &error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(folder).map_err(failed)?),
        };
        for (bucket, pieces) in self.buckets.iter_mut().zip(&mut self.pieces).filter(|(bucket, _)| !bucket.is_empty()) {
            file.write_all(bucket).map_err(failed)?;
            pieces.push((self.written, bucket.len()));
            self.written += bucket.len() as u64;
            bucket.clear();
        }
        self.held = 0;
        Ok(())
    }

    fn take(&mut self, bucket: usize, folder: &Path) -> Result<Vec<u8>> {
        let pieces = std::mem::take(&mut self.pieces[bucket]);
        let held = std::mem::take(&mut self.buckets[bucket]);
        let Some(file) = self.file.as_mut().filter(|_| !pieces.is_empty()) else { return Ok(held) };
        let failed = |error: std::io::Error| Error::io("read rows set aside in", folder, &error);
        let written: usize = pieces.iter().map(|(_, length)| length).sum();
        let mut bytes = vec![0; written + held.len()];
        let mut at = 0;
        for (start, length) in pieces {
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            file.read_exact(&mut bytes[at..at + length]).map_err(failed)?;
            at += length;
        }
        bytes[at..].copy_from_slice(&held);
        Ok(bytes)
    }
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
            let spill = Spill::new(folder.path(), 9, BUCKET * 60 / 9 * SHORTEST_ROW, in_memory);
            assert_eq!(spill.buckets(), 64);
            assert_eq!(spill.bytes(), 0);
            for part in 0..10_u8 {
                let hashes: Vec<u64> =
                    (0..500_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7).collect();
                let entries: Vec<u8> =
                    hashes.iter().flat_map(|hash| hash.to_le_bytes().into_iter().chain([part % 2])).collect();
                spill.add(&hashes, &entries).unwrap();
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
}
