//! Delivery → [`Report`], with the accepted rows going to a [`Sink`] in the same pass over the bytes.
//!
//! ```text
//! bytes ─ reader ─► records ─ fields ─► typed columns ─ rows ─► accepted batch ─► Sink
//!                       └──────────┴──────────────────────┴───► findings ─► Report, rejected.csv
//! ```

mod across;
mod chart;
mod dates;
mod diagnosis;
mod fields;
mod findings;
mod memo;
pub mod page;
mod pass;
mod past;
mod place;
mod plain;
mod profile;
pub mod quality;
mod reader;
mod rejected;
mod repeats;
pub mod report;
mod rows;
pub mod ruleset;

use std::io::Write;
use std::path::Path;
use std::time::Instant;

pub use fields::{NO_CODE, NO_DATE, NO_INTEGER, NO_TEXT, Texts, Values};
pub use place::Place;
pub use report::{Accepted, Report};
pub use ruleset::Ruleset;

use crate::dictionary::Dictionary;
use crate::error::Result;
use crate::fetch::Delivery;
use crate::parallel::Resources;
use crate::progress::Reporter;
use crate::random::random_bytes;

/// The file of a report.
pub const REPORT: &str = "report.json";
/// The file of a report's page.
pub const PAGE: &str = "report.html";
/// The file of the list of rejected rows.
pub const REJECTED: &str = "rejected.csv";
use fields::FieldRules;
use findings::RuleId;
use pass::{Outcome, Pass, Pieces, Sum};
use profile::Plan;
use reader::{Header, split_header};
use rejected::RejectedList;
use ruleset::Kind;

/// Bytes at the beginning by which a header that is not understood is diagnosed.
const BEGINNING: usize = 64 << 10;

/// The accepted rows of a piece of the file, and with them the others, which are to be passed over.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The accepted rows, by their position in the slices below.
    pub accepted: &'a [u32],
    /// The key of each row's client.
    pub clients: &'a [i64],
    /// Where each row lies.
    pub places: &'a [Place],
    /// Its values, by the field's position in the dictionary.
    pub columns: &'a [Values],
}

/// Takes the accepted rows, piece by piece, from several threads and in any order: their places tell the order of the file.
pub trait Sink: Sync {
    /// Takes the rows of a piece.
    fn accept(&self, rows: Rows<'_>) -> Result<()>;
}

/// A sink that keeps nothing: the check alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Sink for Discard {
    fn accept(&self, _rows: Rows<'_>) -> Result<()> {
        Ok(())
    }
}

/// Turns client ids into keys under a random secret that is made here, never shown and never stored, so that keys of
/// two loads have nothing in common.
///
/// SipHash-2-4 with a 128-bit secret, 64 bits kept. For 30 million clients the chance that any two share a key is about
/// 30e6² / 2^65 = 2.4e-5.
pub struct ClientKeys(siphasher::sip::SipHasher24);

impl ClientKeys {
    /// A new secret from the operating system.
    pub fn new() -> Result<Self> {
        Ok(Self(siphasher::sip::SipHasher24::new_with_key(&random_bytes()?)))
    }

    fn key(&self, client: &str) -> i64 {
        self.0.hash(client.as_bytes()).cast_signed()
    }
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKeys(secret)")
    }
}

/// What the check needs beside the file.
#[derive(Debug)]
pub struct Checker<'a> {
    /// How the file is read.
    pub dictionary: &'a Dictionary,
    /// What it is held to.
    pub rules: &'a Ruleset,
    /// The largest share of rejected rows that is accepted, 0 to 1.
    pub max_rejected_share: f64,
    /// The responsible entities whose rows are expected; none when nobody has said.
    pub jurisdiction: &'a [String],
    /// No count of 1 to k - 1 is told of columns and organizations.
    pub k: u64,
    /// The report of the last month that was loaded, to compare with.
    pub previous: Option<&'a report::Document>,
    /// A private folder for what does not fit in memory: hashes, days and codes, in files without a name.
    pub scratch: &'a Path,
    /// How much of the machine may be used. The result is the same for any number of threads; two fifths of the memory
    /// are filled with what is set aside.
    pub resources: Resources,
}

impl Checker<'_> {
    /// Reads the whole delivery once. Accepted rows go to `sink`; for each rejected row, every rule that it broke goes
    /// to `rejected` as CSV: `line,byte_offset,bytes,rule,severity,column`, without a value.
    ///
    /// Bad data is no error but a report; an error means that the file could not be looked at.
    pub fn check(
        &self,
        delivery: &Delivery,
        sink: &dyn Sink,
        rejected: &mut (dyn Write + Send),
        reporter: &dyn Reporter,
    ) -> Result<Report> {
        let rules = FieldRules::new(self.rules)?;
        let applies = |rule: RuleId| -> Vec<usize> {
            let fields = self.dictionary.fields().iter().enumerate();
            fields.filter(|(_, field)| field.in_file && rules.of(field).contains(&rule)).map(|(at, _)| at).collect()
        };
        let started = Instant::now();
        let mut report = report::Builder::new(self.dictionary, self.rules, delivery.period(), self.k);
        let mut list = RejectedList::new(rejected, self)?;
        reporter.started("check", Some(delivery.bytes()));
        let mut pieces = Pieces::new(delivery, self.dictionary)?;
        let first = pieces.next()?;
        let sum = Sum::of(delivery);
        sum.turn().add(pieces.passed_over());
        sum.turn().add(first.as_ref().map_or(&[], |chunk| &chunk.bytes));
        let beginning = first.as_ref().map(|chunk| chunk.bytes[..chunk.bytes.len().min(BEGINNING)].to_vec());
        let (header, rest) = match first.and_then(|chunk| split_header(chunk, self.dictionary.delimiter())) {
            Some((header, rest)) => (header, Some(rest)),
            None => (Header::default(), None),
        };
        let order = self.match_columns(&header.fields, &mut report);
        let blank_lines = header.blank_lines;
        let mut outcome = Outcome { structure: reader::Structure { blank_lines, ..Default::default() }, pieces };
        if report.is_refused() {
            report.diagnosed(beginning.and_then(|beginning| diagnosis::diagnose(&beginning, self.dictionary)));
        } else {
            report.rows_follow();
            let plan = Plan::new(self.dictionary, &order, self.jurisdiction, self.k);
            let written = header.fields.iter().map(|name| String::from_utf8_lossy(name).into_owned());
            let columns: Vec<_> = written.zip(order.iter().copied()).collect();
            let pass = Pass::new(self, &rules, &plan, delivery, order, header.raw, &sum)?;
            let profile;
            (outcome, profile) = pass.run(rest, outcome, sink, &mut report, &mut list, reporter)?;
            report.profiled(&plan, &profile, &columns, !self.jurisdiction.is_empty());
            let Outcome { structure, pieces } = &outcome;
            report.across(pass.finish(delivery, pieces, self.resources.threads)?);
            if let Some(place) = pieces.cut_off() {
                report.file_broke_at(Kind::CutOff, place);
            } else if structure.short_end {
                report.file_broke(Kind::CutOff, Vec::new());
            }
        }
        list.finish()?;
        sum.tell(delivery);
        let Outcome { structure, pieces } = &outcome;
        report.structure(structure, pieces.line_end(), pieces.has_byte_order_mark(), pieces.encoding());
        let report = report.finish(delivery, self.max_rejected_share, &applies, self.previous, started.elapsed())?;
        let totals = report.document().totals;
        reporter.finished(&format!(
            "{} rows read = {} accepted + {} rejected",
            totals.read, totals.accepted, totals.rejected
        ));
        Ok(report)
    }

    /// For each column of the file, the position of its field in the dictionary.
    fn match_columns(&self, header: &[Vec<u8>], report: &mut report::Builder) -> Vec<usize> {
        if header.is_empty() {
            report.file_broke(Kind::FileEmpty, Vec::new());
            return Vec::new();
        }
        let mut order = Vec::with_capacity(header.len());
        let (mut unknown, mut doubled) = (Vec::new(), Vec::new());
        for (place, name) in header.iter().enumerate() {
            match std::str::from_utf8(name).ok().and_then(|name| self.dictionary.match_header(name)) {
                Some(at) if order.contains(&at) => doubled.push(self.dictionary.fields()[at].header.clone()),
                Some(at) => order.push(at),
                // The text of an unknown header is not repeated: a file without a header has a person there.
                None if name.trim_ascii().is_empty() => unknown.push(format!("column {}, without a header", place + 1)),
                None => unknown.push(format!("column {}", place + 1)),
            }
        }
        let missing = self.dictionary.fields().iter().enumerate();
        let missing = missing.filter(|(at, field)| field.in_file && !order.contains(at));
        let missing: Vec<_> = missing.map(|(_, field)| field.header.clone()).collect();
        for (kind, columns) in
            [(Kind::UnknownColumn, unknown), (Kind::MissingColumn, missing), (Kind::DoubledColumn, doubled)]
        {
            if !columns.is_empty() {
                report.file_broke(kind, columns);
            }
        }
        order
    }
}
