//! What is typed about the months of a store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Connection;
use crate::parallel;
use crate::period::ReportingPeriod;
use crate::words;

const LOAD_EXAMPLES: &str = "\
Examples:
  phds load --period 2024-12                              fetch the month, check and convert it
  phds load month.csv --period 2024-12 --store store      the same with a file that is here
  phds load --again                                       all months, after a change of the dictionary
  phds load -q --period 2024-12                           for cron: the summary, warnings and errors";

/// `phds status`
#[derive(Debug, Args)]
pub struct Status {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// End with exit code 1 when something needs attention
    #[arg(long)]
    pub check: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `phds check`
#[derive(Debug, Args)]
pub struct Check {
    /// The CSV file
    pub file: PathBuf,
    /// The month that it describes
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// Folder for report.json, report.html and rejected.csv
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// The report as JSON in place of a summary
    #[arg(long)]
    pub json: bool,
    /// How much of the machine may be used.
    #[command(flatten)]
    pub resources: Resources,
}

/// `phds load`
#[derive(Debug, Args)]
#[command(after_help = LOAD_EXAMPLES)]
pub struct Load {
    /// The CSV file; without it, the month is fetched from the configured source
    pub file: Option<PathBuf>,
    /// The month that it describes
    #[arg(long, value_name = "YYYY-MM", required_unless_present_any = ["due", "again"])]
    pub period: Option<ReportingPeriod>,
    /// All loaded months, or that of `--period`, from the files that the store has: after a change of the dictionary, the
    /// rules or the measures
    #[arg(long, conflicts_with_all = ["file", "due"])]
    pub again: bool,
    /// Last month, unless the newest file of it is loaded: for cron. Until the day on which it is due, it may be missing
    #[arg(long, conflicts_with_all = ["period", "file"])]
    pub due: bool,
    /// The store; a missing or empty folder becomes one [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The report as JSON in place of a summary, null when there was nothing to load; with `--again`, a list of those of the
    /// months
    #[arg(long)]
    pub json: bool,
    /// How much of the machine may be used.
    #[command(flatten)]
    pub resources: Resources,
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
}

/// How much of the machine a run may use.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Resources {
    /// Threads that work at the same time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// About how much memory to use: what does not fit is set aside on disk [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = at_least_64_mib)]
    pub memory: Option<usize>,
}

impl Resources {
    /// What was typed over the defaults.
    pub fn resolve(self) -> parallel::Resources {
        let default = parallel::Resources::default();
        parallel::Resources {
            threads: self.threads.map_or(default.threads, usize::from),
            memory: self.memory.unwrap_or(default.memory),
        }
    }
}

fn at_least_64_mib(text: &str) -> Result<usize, String> {
    match words::bytes(text)? {
        size if size < 64 << 20 => Err("at least 64MiB are needed".to_owned()),
        size => Ok(size),
    }
}

/// `phds rejects`
#[derive(Debug, Args)]
pub struct Rejects {
    /// The month
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// Those of the file that was refused, and not of the one that is loaded
    #[arg(long)]
    pub refused: bool,
    /// The file to write, readable by you alone; it names people
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `phds remove`
#[derive(Debug, Args)]
pub struct Remove {
    /// The month
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// And its file, as it was received: it cannot be loaded again without it
    #[arg(long)]
    pub delivery: bool,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `phds population`
#[derive(Debug, Subcommand)]
pub enum Population {
    /// Take a CSV of counts by birth year or age, and county, ZIP code, sex or race and ethnicity into the store
    Import(PopulationImport),
    /// List what has been taken in
    List(PopulationList),
}

/// `phds population import`
#[derive(Debug, Args)]
pub struct PopulationImport {
    /// The CSV: a count, the year of birth or the age, and any of county, ZIP code, sex, race and ethnicity; no totals
    pub file: PathBuf,
    /// How questions will name it: lower-case letters, digits, hyphens and underscores; replaces one of that name
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Where the counts are from; goes into every release that divides by them
    #[arg(long, value_name = "TEXT")]
    pub source: String,
    /// The year of which ages are those of 31 December; needed with ages
    #[arg(long, value_name = "YYYY")]
    pub year: Option<i32>,
    /// The store; a missing or empty folder becomes one [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `phds population list`
#[derive(Debug, Args)]
pub struct PopulationList {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
