//! Synthetic months: files in the shape of the monthly PHDS file in which nobody and no organization is real.
//!
//! Households of invented people live in the counties of Texas by population, go (or do not go) to well-child visits,
//! take (or do not take) the offers of each season, and every shot makes its rows. What is given when, to whom and by
//! whom is knowledge in `dictionaries/phds/synth.toml`. With a share of faults, some rows break one rule of the check
//! each, and a list beside the file says which: the answer against which the check is tested.
//!
//! ```text
//! knowledge + codelists ─► World ─► Population (blocks of clients, rows) ─► Planter (faults) ─► Writer (bytes)
//! ```
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "shares and counts of invented people, far within range; what matters is the same result everywhere"
)]

mod calendar;
mod faults;
mod history;
mod knowledge;
mod places;
mod population;
mod products;
mod providers;
mod random;
mod writer;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

pub use faults::{Column, Planted, PlantedFault, Rule, Severity};

use crate::error::{Error, Result};
use crate::fs::{self, Draft};
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::words;
use calendar::{Calendar, Day, day_of};
use faults::Planter;
use knowledge::Knowledge;
use places::Places;
use population::Population;
use products::Catalogue;
use providers::Providers;
use random::{Dice, Purpose};
use writer::Writer;

/// The most clients of a month: more than there are Americans, and few enough for ids of twelve digits.
const MOST_CLIENTS: u64 = 500_000_000;

/// What month to write.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of clients, each with at least one row.
    pub clients: u64,
    /// The month that the file describes; not before January 2018.
    pub period: ReportingPeriod,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Share of the rows that break one rule each, 0 to 0.5.
    ///
    /// Every kind of fault occurs at least once in a file of `50 / faults` rows, and of a few thousand rows for the kinds
    /// that need a fitting row (a client has about 13 rows). The other rows are the same with and without faults.
    pub faults: f64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows of data, the header not counted.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// The list of the faults, when there are any ([`Planted`]).
    pub planted: Option<PathBuf>,
}

/// Everything that is fixed before the first client is invented.
struct World {
    knowledge: Knowledge,
    places: Places,
    catalogue: Catalogue,
    providers: Providers,
    calendar: Calendar,
    last_day: Day,
}

impl World {
    fn new(options: &Options) -> Result<Self> {
        let knowledge = Knowledge::built_in()?;
        let places = Places::new()?;
        let catalogue = Catalogue::new(&knowledge)?;
        let mut dice = Dice::new(options.seed, Purpose::Providers);
        let providers = Providers::new(options.clients, &knowledge, &places, &catalogue, &mut dice)?;
        let last_day = day_of(options.period.last_day());
        if last_day < knowledge.first_day {
            return Err(Error::usage(format!("no synthetic month of {}", options.period))
                .hint("the file holds vaccinations since 2018; choose a period from 2018-01 on"));
        }
        let calendar = Calendar::new(knowledge.first_day, last_day);
        Ok(Self { knowledge, places, catalogue, providers, calendar, last_day })
    }
}

/// Writes a synthetic month to `out`, whole or not at all, replacing another one of that name and nothing else.
///
/// The file is UTF-8 with 26 columns, commas, LF, ISO dates and quotes only where needed; one row a shot and vaccine
/// group; rows of one client are spread over a block of some thousand clients. Memory does not grow with the number of
/// clients, but for 16 bytes a fault. With faults, the list of them goes to [`planted_path`]; without, an older list of
/// that name is removed, because it would no longer tell the truth.
///
/// # Errors
///
/// Usage: a share outside 0 to 0.5, a period before 2018, more than 500 million clients, a file that is there and is no
/// synthetic month. Environment: the file cannot
/// be written.
pub fn write_month(options: &Options, out: &Path, reporter: &dyn Reporter) -> Result<Written> {
    if !(0.0..=0.5).contains(&options.faults) {
        return Err(Error::usage("the share of faults is a number from 0 to 0.5"));
    }
    if options.clients > MOST_CLIENTS {
        return Err(Error::usage(format!("a synthetic month has at most {} clients", words::grouped(MOST_CLIENTS)))
            .hint("make several files"));
    }
    let world = World::new(options)?;
    let list = planted_path(out);
    fs::may_replace(out, "synthetic month", |path| is_synthetic(&fs::beginning(path), &world.knowledge))?;
    fs::may_replace(&list, "list of planted faults", |path| fs::beginning(path).starts_with(LIST.as_bytes()))?;
    let population = Population::new(&world, options.seed)?;
    let mut planter = (options.faults > 0.0).then(|| Planter::new(&world, options));
    reporter.started("synth", None);
    let mut draft = Draft::new(out)?;
    let mut writer = Writer::new(&world, options.seed, &mut draft, reporter);
    writer.write(population, options.clients, planter.as_mut(), out)?;
    let (rows, bytes) = (writer.rows, writer.bytes);
    // The list first: a file with faults is never without it.
    let planted = if let Some(planter) = planter {
        write_list(&list, options, rows, planter.planted)?;
        Some(list)
    } else {
        fs::remove_file(&list)?;
        None
    };
    draft.publish()?;
    reporter.finished(&format!("{rows} rows of {} invented clients", options.clients));
    Ok(Written { rows, bytes, planted })
}

/// How a list of planted faults begins.
const LIST: &str = "{\n  \"schema_version\": 1,\n  \"seed\": ";

/// Whether a file that begins so is of invented people: the columns are those of a synthetic month, and most rows have a
/// name with one of the marks, which no other name has. A delivery has the same columns and other names.
fn is_synthetic(beginning: &[u8], knowledge: &Knowledge) -> bool {
    let text = String::from_utf8_lossy(beginning);
    let mut lines = text.lines();
    let has_header = lines.next() == Some(Column::NAMES.join(",").as_str());
    let rows: Vec<&str> = lines.collect();
    let marked = rows.iter().filter(|row| knowledge.names.marks.iter().any(|mark| row.contains(mark)));
    has_header && marked.count() * 2 > rows.len()
}

/// Where the list of the faults of a synthetic month lies: `month.csv` has `month.planted.json`.
pub fn planted_path(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default();
    let is_csv = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let mut list = if is_csv { out.file_stem().unwrap_or(name) } else { name }.to_owned();
    list.push(".planted.json");
    out.with_file_name(list)
}

fn write_list(path: &Path, options: &Options, rows: u64, planted: Vec<PlantedFault>) -> Result<()> {
    let rejected = planted.iter().filter(|fault| fault.severity == Severity::Reject).count() as u64;
    let (seed, period) = (options.seed, options.period.to_string());
    let list = Planted { schema_version: 1, seed, period, rows, rejected, planted };
    let mut draft = Draft::new(path)?;
    let mut buffer = BufWriter::new(&mut draft);
    // Straight into the file: the text of a long list is ten times the list.
    serde_json::to_writer_pretty(&mut buffer, &list)
        .map_err(std::io::Error::from)
        .and_then(|()| buffer.write_all(b"\n"))
        .and_then(|()| buffer.flush())
        .map_err(|error| Error::io("write", path, &error))?;
    drop(buffer);
    draft.publish().map(drop)
}

#[cfg(test)]
mod tests;
