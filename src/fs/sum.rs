//! SHA-256 of what is read and written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Size in bytes and SHA-256 of a file, as 64 lower-case hexadecimal digits.
pub fn sha256_of_file(path: &Path) -> Result<(u64, String)> {
    let read = File::open(path).and_then(|mut file| sha256_of(&mut file, |_| ()));
    read.map_err(|error| Error::io("read", path, &error))
}

/// A writer that knows the size and SHA-256 of what has gone through it.
#[derive(Debug)]
pub struct Sha256Writer<W> {
    into: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Sha256Writer<W> {
    /// Nothing has gone through yet.
    pub fn new(into: W) -> Self {
        Self { into, hash: Sha256::new(), bytes: 0 }
    }

    /// What is written into.
    pub fn inner(&self) -> &W {
        &self.into
    }

    /// The size so far, and the SHA-256 as 64 lower-case hexadecimal digits.
    pub fn sum(&self) -> (u64, String) {
        (self.bytes, hex(&self.hash.clone().finalize()))
    }
}

impl<W: Write> Write for Sha256Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.into.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// A SHA-256 that a thread of its own computes, so that whoever reads and writes does not wait for it.
#[derive(Debug)]
pub struct Sha256Beside {
    full: mpsc::SyncSender<(Vec<u8>, usize)>,
    empty: mpsc::Receiver<Vec<u8>>,
    thread: JoinHandle<String>,
}

impl Sha256Beside {
    /// Begins with nothing; `buffers` of so many bytes go to and fro.
    pub fn new(buffers: usize, bytes: usize) -> Self {
        let (full, filled) = mpsc::sync_channel::<(Vec<u8>, usize)>(buffers);
        let (back, empty) = mpsc::channel();
        for _ in 0..buffers {
            // The receiver is here: nothing can fail.
            let _ = back.send(vec![0; bytes]);
        }
        let thread = std::thread::spawn(move || {
            let mut hash = Sha256::new();
            for (buffer, count) in filled {
                hash.update(&buffer[..count]);
                // Whoever has left needs no more buffers.
                let _ = back.send(buffer);
            }
            hex(&hash.finalize())
        });
        Self { full, empty, thread }
    }

    /// Takes the first `count` bytes of a buffer and gives another one.
    pub fn exchange(&self, buffer: Vec<u8>, count: usize) -> Result<Vec<u8>> {
        let gone = || Error::internal("the thread that computes a SHA-256 is gone");
        self.full.send((buffer, count)).map_err(|_| gone())?;
        self.empty.recv().map_err(|_| gone())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn finish(self) -> Result<String> {
        let Self { full, thread, .. } = self;
        drop(full);
        thread.join().map_err(|_| Error::internal("the thread that computes a SHA-256 is gone"))
    }
}

/// Size in bytes and SHA-256 of everything that is still to be read from `input`. `advanced` hears of the bytes as they go by.
pub fn sha256_of(input: &mut dyn Read, advanced: impl Fn(u64)) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    // Small enough to stay in the processor's cache between being read and being hashed.
    let mut buffer = vec![0; 1 << 17];
    let mut bytes = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&hash.finalize()))),
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
                advanced(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-256 of some bytes as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha256_is_the_same_in_every_way() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (count, expected) = sha256_of(&mut bytes.as_slice(), |_| ()).unwrap();
        let mut writer = Sha256Writer::new(Vec::new());
        writer.write_all(&bytes).unwrap();
        assert_eq!((writer.inner(), writer.sum()), (&bytes, (count, expected.clone())));
        let beside = Sha256Beside::new(2, 1_000);
        let mut buffer = vec![0; 1_000];
        for part in bytes.chunks(999) {
            buffer[..part.len()].copy_from_slice(part);
            buffer = beside.exchange(buffer, part.len()).unwrap();
        }
        assert_eq!(beside.finish().unwrap(), expected);
    }
}
