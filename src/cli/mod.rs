//! What was typed. Nothing is looked up or resolved here.

mod account;
mod lookup;
mod program;
mod query;
mod release;
mod store;
mod table;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::error::{Error, Result};

pub use account::{Connection, Doctor, Fetch, Init, InitAccount, Mirror, Protocol, Schedule};
pub use lookup::{Dictionary, DictionaryAction, DictionaryFormat, Dimensions, Explain, Import, Measures};
pub use program::{Completions, Demo, Manual, SchemaArgs, Synth};
pub use query::{
    Dropout, For, Month, OfMeasure, Purpose, Query, Question, Share, Table, TableRows, mended, no_question,
};
pub use release::{Compare, ComparisonFormat, Evidence, Know, LedgerAction, LedgerArgs, Plot, Report};
pub use store::{Check, Load, Population, PopulationImport, PopulationList, Rejects, Remove, Resources, Status};
pub use table::{Audit, Levels, Protect, TableColumns};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the data or the release was refused; or `doctor`, `mirror`, `audit`, `measures --cases` or `status --check` found something
  2  the command, the settings or a knowledge file asks for something that cannot be
  3  network or disk failed
  4  credentials were refused, or the server is not the one expected
  5  a fault of this program
  130  stopped by Ctrl-C or another signal; what was fetched so far is kept and continued next time";

/// Coverage rates from the monthly immunization file (PHDS) of the Texas registry, and no person in them
#[derive(Debug, Parser)]
#[command(name = "phds", bin_name = "phds", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,

    /// Settings file [default: phds.toml in the working directory, when it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Nothing but the data; warnings and errors are still printed
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Whether to colour; never says anything that the words do not
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,
}

/// Refuses a second `--config`, which would be taken in place of the first: a rule of sudo names the first one for somebody.
pub fn settings_are_named_once(words: &[std::ffi::OsString]) -> Result<()> {
    let is_config =
        |word: &&std::ffi::OsString| *word == "--config" || word.as_encoded_bytes().starts_with(b"--config=");
    if words.iter().filter(is_config).count() > 1 {
        return Err(Error::usage("`--config` is given twice").hint("name one settings file"));
    }
    Ok(())
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the variable `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// See it all work on an invented month, served over SFTP by this program to itself
    Demo(Demo),
    /// Set up account, server key, counties and store, and see whether it works
    Init(Init),
    /// See whether account, server and store are fit, line by line
    Doctor(Doctor),
    /// Fetch the month's file from the secure FTP account into the store
    Fetch(Fetch),
    /// Copy new files of other folders of an account before the server removes them
    Mirror(Mirror),
    /// See which months are here and what is due
    Status(Status),
    /// Check a file: every row against the dictionary and the rules
    Check(Check),
    /// Fetch (or take FILE), check and convert a month into the store
    Load(Load),
    /// Write the rejected rows of a month, as they came, into a private file
    Rejects(Rejects),
    /// Take a month out of the store
    Remove(Remove),
    /// Take in counts of people, for shares of a population
    #[command(subcommand)]
    Population(Population),
    /// Ask a loaded month
    Query(Query),
    /// Draw a figure of a release: a map, bars, a trend, a funnel, a curve, missing parts
    Plot(Plot),
    /// Make one page of a month: coverage, ages, doses, and how good the data are
    Report(Report),
    /// See what changed between the releases of two months
    Compare(Compare),
    /// Suppress the small counts of a table made elsewhere, and what would tell them
    Protect(Protect),
    /// See what can be computed of the suppressed counts of published tables
    Audit(Audit),
    /// See what has been released, and prove that nobody has changed the record of it
    Ledger(LedgerArgs),
    /// Write down for the privacy officer how what was published is protected
    Evidence(Evidence),
    /// List the measures, look for one, or explain it
    Measures(Measures),
    /// List the dimensions that tables may be grouped and filtered by, or the values of one
    Dimensions(Dimensions),
    /// Print the dictionary of the file's columns, or make one of a table
    Dictionary(Dictionary),
    /// Explain a rule of the check, or list all rules
    Explain(Explain),
    /// Write an invented month, with planted faults if wanted
    Synth(Synth),
    /// Print shell completions
    Completions(Completions),
    /// Print the manual page, or write those of all verbs
    Man(Manual),
    /// Print the JSON Schema of a file or an answer of phds, or list all
    Schema(SchemaArgs),
}
