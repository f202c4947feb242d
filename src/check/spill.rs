//! Fixed-size entries set aside by bucket in bounded memory, so that entries with the same hash can be looked at together
//! whatever the size of the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes that one spill holds in memory before it writes them out.
const IN_MEMORY: usize = 16 << 20;
/// Bytes of a bucket that is read back.
const BUCKET: u64 = 32 << 20;
/// More buckets than a file of hundreds of gigabytes needs.
const MOST_BUCKETS: u64 = 4096;

/// An entry: so many bytes, and a hash by which it is put into a bucket.
pub trait Entry: Sized {
    /// Its bytes in a spill.
    const WIDTH: usize;
    /// Entries of the same hash meet again.
    fn hash(&self) -> u64;
    /// Appends its bytes.
    fn write(&self, into: &mut Vec<u8>);
    /// Reads it back from that many bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// Entries in buckets: in memory as long as they are few, else in one nameless file that is gone when the run ends,
/// however it ends.
#[derive(Debug)]
pub struct Spill {
    folder: PathBuf,
    in_memory: usize,
    held: usize,
    buckets: Vec<Vec<u8>>,
    file: Option<File>,
    /// Where the written pieces of each bucket lie: first byte, length.
    pieces: Vec<Vec<(u64, u64)>>,
    written: u64,
}

impl Spill {
    /// A spill for about so many bytes of entries. `folder` is where its file goes, if it needs one.
    pub fn new(folder: &Path, expected: u64) -> Self {
        Self::holding(folder, expected.div_ceil(BUCKET), IN_MEMORY)
    }

    fn holding(folder: &Path, buckets: u64, in_memory: usize) -> Self {
        let buckets = usize::try_from(buckets.clamp(1, MOST_BUCKETS).next_power_of_two()).unwrap_or(1);
        Self {
            folder: folder.to_owned(),
            in_memory,
            held: 0,
            buckets: vec![Vec::new(); buckets],
            file: None,
            pieces: vec![Vec::new(); buckets],
            written: 0,
        }
    }

    /// Sets entries aside.
    pub fn add<E: Entry>(&mut self, entries: impl IntoIterator<Item = E>) -> Result<()> {
        let mask = self.buckets.len() as u64 - 1;
        for entry in entries {
            let bucket = usize::try_from(entry.hash() & mask).unwrap_or(0);
            entry.write(&mut self.buckets[bucket]);
            self.held += E::WIDTH;
        }
        if self.held > self.in_memory { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("set rows aside in", &self.folder, &error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder).map_err(failed)?),
        };
        for (bucket, pieces) in self.buckets.iter_mut().zip(&mut self.pieces).filter(|(bucket, _)| !bucket.is_empty()) {
            file.write_all(bucket).map_err(failed)?;
            pieces.push((self.written, bucket.len() as u64));
            self.written += bucket.len() as u64;
            bucket.clear();
        }
        self.held = 0;
        Ok(())
    }

    /// Gives each bucket to `look`, one after another.
    pub fn look<E: Entry>(mut self, mut look: impl FnMut(Vec<E>)) -> Result<()> {
        for (mut bytes, pieces) in std::mem::take(&mut self.buckets).into_iter().zip(std::mem::take(&mut self.pieces)) {
            for (start, length) in pieces {
                let failed = |error: std::io::Error| Error::io("read rows set aside in", &self.folder, &error);
                let Some(file) = &mut self.file else { continue };
                file.seek(SeekFrom::Start(start)).map_err(failed)?;
                file.take(length).read_to_end(&mut bytes).map_err(failed)?;
            }
            look(bytes.chunks_exact(E::WIDTH).map(E::read).collect());
        }
        Ok(())
    }
}

/// Eight bytes as a number.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for u64 {
        const WIDTH: usize = 8;

        fn hash(&self) -> u64 {
            // The low bits tell the parts of the test apart, not the entries.
            *self >> 8
        }

        fn write(&self, into: &mut Vec<u8>) {
            into.extend(self.to_le_bytes());
        }

        fn read(bytes: &[u8]) -> Self {
            u64_at(bytes, 0)
        }
    }

    #[test]
    fn equal_entries_meet_again_in_one_bucket_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for in_memory in [1 << 20, 1_000, 0] {
            let mut spill = Spill::holding(folder.path(), 8, in_memory);
            for part in 0..10 {
                spill
                    .add((0..500_u64).map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xff) + part % 2))
                    .unwrap();
            }
            assert_eq!(spill.file.is_some(), in_memory < 1 << 20);
            let (mut buckets, mut all) = (0, Vec::new());
            spill
                .look(|mut entries: Vec<u64>| {
                    entries.sort_unstable();
                    assert!(entries.chunk_by(|a, b| a == b).all(|equal| equal.len() == 5));
                    buckets += usize::from(!entries.is_empty());
                    all.extend(entries);
                })
                .unwrap();
            assert_eq!((buckets, all.len()), (8, 5_000));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }
}
