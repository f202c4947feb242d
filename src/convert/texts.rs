//! The different texts of one column of a file, each with a number: a provider's name is there a million times and is
//! written down once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::{ArrayRef, StringArray};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::check::NO_TEXT;
use crate::error::{Error, Result};
use crate::parallel::lock;
use crate::random::random_bytes;
use crate::spill::u64_at;

/// Marks the number of a text that is not in memory.
const ON_DISK: u32 = 1 << 31;

/// Texts by number. Those that came first are in memory, each once; when the memory that they may have is full, the others
/// are on disk, as often as they come.
#[derive(Debug)]
pub struct Texts {
    folder: PathBuf,
    in_memory: usize,
    seed: u64,
    seen: Mutex<Seen>,
    all: OnceLock<ArrayRef>,
}

#[derive(Debug, Default)]
struct Seen {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    on_disk: Option<OnDisk>,
}

/// Texts one after another, and for each where it begins and how long it is: twice eight bytes.
#[derive(Debug)]
struct OnDisk {
    texts: BufWriter<File>,
    index: BufWriter<File>,
    count: u32,
    written: u64,
}

impl Texts {
    /// No texts yet. `folder` is where those go that are more than `in_memory` bytes.
    pub fn new(folder: &Path, in_memory: usize) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            in_memory,
            seed: u64::from_le_bytes(random_bytes()?),
            seen: Mutex::default(),
            all: OnceLock::new(),
        })
    }

    /// The number of each of some texts; an empty one has none.
    pub fn numbers(&self, texts: &StringArray) -> Result<Vec<u32>> {
        let mut seen = lock(&self.seen);
        texts
            .iter()
            .map(|text| match text.unwrap_or_default().as_bytes() {
                [] => Ok(NO_TEXT),
                text => self.number(&mut seen, text),
            })
            .collect()
    }

    fn number(&self, seen: &mut Seen, text: &[u8]) -> Result<u32> {
        let hash = xxh3_64_with_seed(text, self.seed);
        let Seen { table, bytes, ends, on_disk } = seen;
        if let Some(number) = table.find(hash, |number| of(bytes, ends, *number) == text) {
            return Ok(*number);
        }
        let number = u32::try_from(ends.len()).unwrap_or(ON_DISK);
        // A text costs its bytes, its end and its place in the table.
        let used = bytes.len() + text.len() + ends.len() * 16;
        if used <= self.in_memory && number < ON_DISK {
            table.insert_unique(hash, number, |number| xxh3_64_with_seed(of(bytes, ends, *number), self.seed));
            bytes.extend_from_slice(text);
            ends.push(bytes.len());
            return Ok(number);
        }
        let failed = |error: std::io::Error| Error::io("set texts aside in", &self.folder, &error);
        let file = || tempfile::tempfile_in(&self.folder).map(BufWriter::new).map_err(failed);
        let on_disk = match on_disk {
            Some(on_disk) => on_disk,
            none => none.insert(OnDisk { texts: file()?, index: file()?, count: 0, written: 0 }),
        };
        let number = ON_DISK | on_disk.count;
        if number == NO_TEXT {
            return Err(Error::environment("a column has more different texts than can be set aside")
                .hint("take the column out of the tables: its field in the dictionary without `table`"));
        }
        on_disk.index.write_all(&on_disk.written.to_le_bytes()).map_err(failed)?;
        on_disk.index.write_all(&(text.len() as u64).to_le_bytes()).map_err(failed)?;
        on_disk.texts.write_all(text).map_err(failed)?;
        on_disk.written += text.len() as u64;
        on_disk.count += 1;
        Ok(number)
    }

    /// The texts that numbers stand for, each once. Only when all have been told; numbers of texts on disk are changed to
    /// what they are in the result, where equal texts have one number.
    pub fn values(&self, numbers: &mut [u32]) -> Result<ArrayRef> {
        let all = self.all.get_or_init(|| {
            let seen = lock(&self.seen);
            let texts = (0..).take(seen.ends.len()).map(|number| text(of(&seen.bytes, &seen.ends, number)));
            Arc::new(texts.map(Some).collect::<StringArray>())
        });
        if numbers.iter().all(|number| *number < ON_DISK || *number == NO_TEXT) {
            return Ok(Arc::clone(all));
        }
        let mut seen = lock(&self.seen);
        let mut here: Vec<String> = Vec::new();
        let mut places: HashMap<u32, u32> = HashMap::new();
        let mut place_of: HashMap<String, u32> = HashMap::new();
        for number in numbers.iter_mut().filter(|number| **number != NO_TEXT) {
            if let Some(place) = places.get(number) {
                *number = *place;
                continue;
            }
            let text = match (&mut seen.on_disk, *number & ON_DISK) {
                (Some(on_disk), ON_DISK) => on_disk.read(*number & !ON_DISK, &self.folder)?,
                _ => text(of(&seen.bytes, &seen.ends, *number)).to_owned(),
            };
            let place = *place_of.entry(text).or_insert_with_key(|text| {
                here.push(text.clone());
                u32::try_from(here.len() - 1).unwrap_or(NO_TEXT)
            });
            places.insert(std::mem::replace(number, place), place);
        }
        Ok(Arc::new(StringArray::from(here)))
    }
}

impl OnDisk {
    fn read(&mut self, number: u32, folder: &Path) -> Result<String> {
        let failed = |error: std::io::Error| Error::io("read texts set aside in", folder, &error);
        // Seeking writes out what is still in the buffer.
        self.index.seek(SeekFrom::Start(u64::from(number) * 16)).map_err(failed)?;
        let mut place = [0; 16];
        self.index.get_mut().read_exact(&mut place).map_err(failed)?;
        self.texts.seek(SeekFrom::Start(u64_at(&place, 0))).map_err(failed)?;
        let mut bytes = Vec::new();
        self.texts.get_mut().take(u64_at(&place, 8)).read_to_end(&mut bytes).map_err(failed)?;
        Ok(text(&bytes).to_owned())
    }
}

/// The bytes of a text in memory.
fn of<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    &bytes[number.checked_sub(1).map_or(0, |before| ends[before])..ends[number]]
}

/// Only whole texts are ever set aside.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;

    #[test]
    fn a_text_comes_back_from_memory_and_from_disk() {
        let folder = tempfile::tempdir().unwrap();
        for in_memory in [1 << 20, 20, 0] {
            let texts = Texts::new(folder.path(), in_memory).unwrap();
            let first = texts.numbers(&StringArray::from(vec!["clinic", "", "school"])).unwrap();
            let again = texts.numbers(&StringArray::from(vec!["school", "clinic", "Größe"])).unwrap();
            let mut twice = [again[0], again[1], first[2]];
            texts.values(&mut twice).unwrap();
            assert!(twice[0] == twice[2] && twice[0] != twice[1], "equal texts have one number");
            assert_eq!(first[1], NO_TEXT);
            assert_eq!(in_memory == 1 << 20, again[..2] == [first[2], first[0]], "in memory, a text is there once");
            for (mut numbers, expected) in [
                (first, [Some("clinic"), None, Some("school")]),
                (again, [Some("school"), Some("clinic"), Some("Größe")]),
            ] {
                let values = texts.values(&mut numbers).unwrap();
                let values = values.as_string::<i32>();
                let read = numbers.iter().map(|number| (*number != NO_TEXT).then(|| values.value(*number as usize)));
                assert_eq!(read.collect::<Vec<_>>(), expected, "{in_memory}");
            }
        }
    }
}
