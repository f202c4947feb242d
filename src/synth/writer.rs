//! Rows as bytes: fields, numbers, and the stream of blocks into the file.

use std::io::Write;
use std::path::Path;

use super::World;
use super::faults::{Column, Facts, Planter};
use super::population::{Block, Ids, Population, Row};
use super::random::{Dice, Purpose};
use crate::error::{Error, Result};
use crate::fs::Draft;
use crate::progress::Reporter;

/// Clients whose rows may stand among each other: a reader has to bring a client's rows together over this distance.
const CLIENTS_IN_BLOCK: usize = 4096;

/// How much text is collected before it is written.
const CHUNK: usize = 1 << 20;

/// Writes a field as CSV, in quotes only where it needs them.
pub(super) fn push_field(out: &mut Vec<u8>, field: &[u8]) {
    if !field.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        out.extend_from_slice(field);
        return;
    }
    out.push(b'"');
    for &byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Writes the last `digits` decimal digits of a number, with leading zeros.
pub(super) fn push_digits(out: &mut Vec<u8>, number: u64, digits: usize) {
    let start = out.len();
    out.resize(start + digits, b'0');
    let mut rest = number;
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Writes a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u16) {
    let digits = 1 + number.checked_ilog10().unwrap_or(0) as usize;
    push_digits(out, number.into(), digits);
}

/// Writes the header and the rows of `total` clients into the draft of a file.
pub(super) struct Writer<'a> {
    world: &'a World,
    shot_ids: Ids,
    fact_ids: Ids,
    reporter: &'a dyn Reporter,
    draft: &'a mut Draft,
    chunk: Vec<u8>,
    /// Rows of data written so far.
    pub(super) rows: u64,
    /// Bytes written so far.
    pub(super) bytes: u64,
}

impl<'a> Writer<'a> {
    /// A writer of nothing yet.
    pub(super) fn new(world: &'a World, seed: u64, draft: &'a mut Draft, reporter: &'a dyn Reporter) -> Self {
        let mut dice = Dice::new(seed, Purpose::Ids);
        let (shot_ids, fact_ids) = (Ids::new(82, &mut dice), Ids::new(93, &mut dice));
        let chunk = Vec::with_capacity(CHUNK + 4096);
        Self { world, shot_ids, fact_ids, reporter, draft, chunk, rows: 0, bytes: 0 }
    }

    /// Writes everything; `path` is for messages.
    pub(super) fn write(
        &mut self,
        mut population: Population,
        total: u64,
        mut planter: Option<&mut Planter>,
        path: &Path,
    ) -> Result<()> {
        self.chunk.extend_from_slice(Column::NAMES.join(",").as_bytes());
        self.chunk.push(b'\n');
        let mut block = Block { text: Vec::new(), clients: Vec::new(), rows: Vec::new() };
        while population.fill(&mut block, CLIENTS_IN_BLOCK, total)? {
            for row in &block.rows {
                let start = self.chunk.len();
                self.push_row(row, &block);
                self.rows += 1;
                if let Some(planter) = &mut planter {
                    // No field holds a line break, so that the line of a row is its number with the header counted.
                    let facts = self.facts(row, &block);
                    planter.pass(&mut self.chunk, start, self.rows + 1, &facts);
                }
                if self.chunk.len() >= CHUNK {
                    self.flush(path)?;
                }
            }
        }
        self.flush(path)
    }

    fn push_row(&mut self, row: &Row, block: &Block) {
        let (world, out) = (self.world, &mut self.chunk);
        let item = &world.catalogue.items[usize::from(row.item)];
        let (start, end) = block.clients[row.client as usize].text;
        out.extend_from_slice(&block.text[start..end]);
        self.shot_ids.push(out, row.shot);
        out.push(b',');
        self.fact_ids.push(out, row.fact);
        out.push(b',');
        out.extend_from_slice(&item.vaccine_id);
        out.push(b',');
        out.extend_from_slice(&world.calendar.get(row.day).0);
        out.extend_from_slice(&item.after_date);
        push_number(out, row.ordinal);
        out.push(b',');
        push_number(out, row.age_in_months);
        out.extend_from_slice(&world.providers.list[row.provider as usize].text);
    }

    fn facts(&self, row: &Row, block: &Block) -> Facts {
        let item = &self.world.catalogue.items[usize::from(row.item)];
        Facts {
            birth: block.clients[row.client as usize].birth,
            day: row.day,
            alone: item.alone,
            disaster_vaccine: item.disaster_vaccine,
            therapeutic: item.therapeutic,
            in_use: item.in_use,
            ages: item.ages,
        }
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        self.draft.write_all(&self.chunk).map_err(|error| Error::io("write", path, &error))?;
        let bytes = self.chunk.len() as u64;
        self.bytes += bytes;
        self.reporter.advanced(bytes);
        self.chunk.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_fields() {
        let mut out = Vec::new();
        for number in [0, 7, 10, 99, 100, u16::MAX] {
            push_number(&mut out, number);
            out.push(b' ');
        }
        push_digits(&mut out, 42, 5);
        for field in ["plain", "a,b", "The \"Little Stars\""] {
            out.push(b' ');
            push_field(&mut out, field.as_bytes());
        }
        let expected = "0 7 10 99 100 65535 00042 plain \"a,b\" \"The \"\"Little Stars\"\"\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
