//! What is typed to ask a month.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};

use crate::dictionary::nearest;
use crate::disclosure::Audience;
use crate::error::Error;
use crate::output::Format;
use crate::period::ReportingPeriod;
use crate::query::ask::{Ask, AttributionChoice, Indicator, Where};

const QUERY_EXAMPLES: &str = "\
Examples:
  phds query coverage --measure nis.4313314 --by county
  phds query coverage --measure nis.mmr1 --by birth_year --where county=Travis,Hays --out mmr.csv
  phds query missing --measure nis.4313314 --by sex       which vaccines are lacking
  phds query doses --by vaccine_group,season
  phds query --example > monthly.toml                     a file of questions to begin with
  phds query monthly.toml --out releases                  all of them, in one run";

const COVERAGE_EXAMPLES: &str = "\
Examples:
  phds query coverage --measure nis.mmr1 --by county,birth_year
  phds query coverage --measure nis.mmr1 --by county --denominator clients,population:births
  phds query coverage --measure nis.mmr1 --by organization --funnel
  phds query coverage --measure nis.mmr1 --by county --out mmr.xlsx           for Excel
  phds query coverage --measure nis.mmr1 --by county --out mmr.tex";

/// `phds query`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = QUERY_EXAMPLES)]
pub struct Query {
    /// A file of questions (TOML): all of its releases in one run
    #[arg(value_name = "FILE", required_unless_present = "example")]
    pub file: Option<PathBuf>,
    /// Folder for the releases: each in a folder of its own, called as in the file
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dry_run", "example"])]
    pub out: Option<PathBuf>,
    /// Print a file of questions to begin with, and ask nothing
    #[arg(long, exclusive = true)]
    pub example: bool,
    /// How to write them
    #[arg(long, value_enum, default_value = "csv")]
    pub format: Format,
    /// Begin CSV with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    pub bom: bool,
    /// For the public: leave out a question that is refused, and go on with the others; the exit code is 1 all the same
    #[arg(long)]
    pub keep_going: bool,
    /// Which month.
    #[command(flatten)]
    pub month: Month,
    /// For whom.
    #[command(flatten)]
    pub purpose: Purpose,
    /// One question in place of a file.
    #[command(subcommand)]
    pub question: Option<Question>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Share of clients who had the doses of a measure in time
    #[command(after_help = COVERAGE_EXAMPLES)]
    Coverage(Share),
    /// Share of clients who had them late, but by the as-of date
    Late(Share),
    /// Share of clients who had each last dose before the schedule calls it late
    OnTime(Share),
    /// Share of clients with one measure who did not get to another
    Dropout(Dropout),
    /// Share of clients who would have been up to date in time, had no opportunity been missed
    Potential(Share),
    /// Share of clients who were not up to date in time only because opportunities were missed
    Missed(Share),
    /// Share of clients not up to date who lack no more than one dose of each vaccine
    OneVisit(Share),
    /// Which parts of a combination are missing, and how often
    Missing(OfMeasure),
    /// Share of clients who were up to date by each month of age
    Curve(OfMeasure),
    /// Doses administered, and the people who had them
    Doses(Table),
}

/// The verb of questions.
const QUERY: &str = "query";

/// The names of all that can be asked.
fn indicators() -> Vec<String> {
    let command = Query::augment_args(clap::Command::new(QUERY));
    command.get_subcommands().map(|indicator| indicator.get_name().to_owned()).collect()
}

/// What was meant by words after `query` that are no command as they stand: with the indicator before the options
/// (`query -q coverage` is `query coverage -q`), or an error about one that nobody knows. None where it is neither.
pub fn mended(words: &[OsString]) -> Option<Result<Vec<OsString>, Error>> {
    let indicators = indicators();
    let verb = words.iter().position(|word| word == QUERY)?;
    let is_indicator = |word: &OsString| indicators.iter().any(|indicator| word == indicator.as_str());
    let behind = &words[verb + 1..];
    match behind.iter().position(is_indicator) {
        Some(0) => None,
        Some(at) => {
            let mut words = words.to_vec();
            let indicator = words.remove(verb + 1 + at);
            words.insert(verb + 1, indicator);
            Some(Ok(words))
        }
        None => {
            let first = behind.first()?.to_str()?;
            if first.starts_with('-') {
                let lacking = || {
                    Error::usage("`phds query` needs an indicator: what the table shall tell")
                        .hint(format!("write `phds query coverage …`, or one of {}", indicators.join(", ")))
                };
                return behind.iter().any(|word| word == "--measure" || word == "--by").then(|| Err(lacking()));
            }
            (first != "help" && !Path::new(first).exists()).then(|| Err(no_question(first)))
        }
    }
}

/// That a word is neither an indicator nor a file of questions.
pub fn no_question(word: &str) -> Error {
    let indicators = indicators();
    let near = nearest(word, indicators.iter().map(String::as_str), "phds query --help");
    Error::usage(format!("there is no indicator and no file of questions `{word}`")).hint(near)
}

impl Question {
    /// What is asked, and how the table is wanted.
    pub fn ask(&self) -> (Ask, &Table) {
        match self {
            Self::Coverage(typed) => typed.ask(Indicator::Coverage),
            Self::Late(typed) => typed.ask(Indicator::Late),
            Self::OnTime(typed) => typed.ask(Indicator::OnTime),
            Self::Dropout(typed) => {
                let (ask, table) = typed.share.ask(Indicator::Dropout);
                (Ask { to: Some(typed.to.clone()), ..ask }, table)
            }
            Self::Potential(typed) => typed.ask(Indicator::Potential),
            Self::Missed(typed) => typed.ask(Indicator::Missed),
            Self::OneVisit(typed) => typed.ask(Indicator::OneVisit),
            Self::Missing(typed) => typed.ask(Indicator::Missing),
            Self::Curve(typed) => typed.ask(Indicator::Curve),
            Self::Doses(table) => (table.ask(Indicator::Doses), table),
        }
    }
}

/// Which month is asked.
#[derive(Debug, Args)]
pub struct Month {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The month [default: the newest that is loaded]
    #[arg(long, value_name = "YYYY-MM")]
    pub period: Option<ReportingPeriod>,
}

/// For whom the answers are.
#[derive(Debug, Args)]
pub struct Purpose {
    /// For the staff of the department, or for everybody: audited with all that was published before, and noted for good
    #[arg(long, value_enum, default_value_t)]
    pub audience: For,
    /// Only say how much would be shown, and release nothing
    #[arg(long, id = "dry_run")]
    pub dry_run: bool,
    /// Folder in which releases for the staff are kept [default: `query.releases` of the settings, or else in the store]
    #[arg(long, value_name = "DIR")]
    pub keep_in: Option<PathBuf>,
}

/// Who may see the answers.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum For {
    /// The staff of the department, who lawfully hold the file
    #[default]
    Internal,
    /// Everybody
    Public,
}

impl From<For> for Audience {
    fn from(who: For) -> Self {
        match who {
            For::Internal => Self::Internal,
            For::Public => Self::Public,
        }
    }
}

/// A question about a share of clients.
#[derive(Debug, Args)]
pub struct Share {
    /// The measure, such as nis.mmr1; `phds measures` lists them
    #[arg(long, value_name = "ID")]
    pub measure: String,
    /// What the rates are shares of; several side by side with commas [default: clients]
    #[arg(long = "denominator", value_name = "NAME,…", value_delimiter = ',')]
    pub denominators: Vec<String>,
    /// Rates as if all groups had the same make-up by this dimension of the table
    #[arg(long, value_name = "DIM")]
    pub standardize: Option<String>,
    /// With `--by organization`: limits between which organizations lie that differ by chance alone
    #[arg(long)]
    pub funnel: bool,
    /// For the public: where too little of the table could be shown, publish the next coarser one
    #[arg(long)]
    pub coarsen: bool,
    /// The table.
    #[command(flatten)]
    pub table: Table,
}

impl Share {
    fn ask(&self, indicator: Indicator) -> (Ask, &Table) {
        let ask = Ask {
            measure: Some(self.measure.clone()),
            denominators: self.denominators.clone(),
            standardize: self.standardize.clone(),
            funnel: self.funnel,
            coarsen: self.coarsen,
            ..self.table.ask(indicator)
        };
        (ask, &self.table)
    }
}

/// `phds query dropout`
#[derive(Debug, Args)]
pub struct Dropout {
    /// Of whom, from which measure.
    #[command(flatten)]
    pub share: Share,
    /// The later measure: who did not get to it
    #[arg(long, value_name = "ID")]
    pub to: String,
}

/// A question about a measure that takes no denominator.
#[derive(Debug, Args)]
pub struct OfMeasure {
    /// The measure, such as nis.4313314; `phds measures` lists them
    #[arg(long, value_name = "ID")]
    pub measure: String,
    /// The table.
    #[command(flatten)]
    pub table: Table,
}

impl OfMeasure {
    fn ask(&self, indicator: Indicator) -> (Ask, &Table) {
        (Ask { measure: Some(self.measure.clone()), ..self.table.ask(indicator) }, &self.table)
    }
}

/// What every question has: a month, dimensions, filters, and a place for the answer.
#[derive(Debug, Args)]
pub struct Table {
    /// Which month.
    #[command(flatten)]
    pub month: Month,
    /// For whom.
    #[command(flatten)]
    pub purpose: Purpose,
    /// Its rows.
    #[command(flatten)]
    pub rows: TableRows,
    /// With `--by organization`: whose client is whose [default: last]
    #[arg(long, value_enum, value_name = "RULE")]
    pub attribution: Option<AttributionChoice>,
    /// How to print or write it [default: as the ending of FILE says; on a screen, a table for people]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Begin CSV with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    pub bom: bool,
    /// Write to a file, with its description beside it, in place of printing: .csv, .xlsx, .json, .parquet, .arrow, .md, .tex, .txt
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Table {
    fn ask(&self, indicator: Indicator) -> Ask {
        Ask { attribution: self.attribution, ..self.rows.ask(indicator) }
    }
}

/// The rows of a table: their groups, their clients, and until when doses count.
#[derive(Debug, Args)]
pub struct TableRows {
    /// Dimensions of the table, which `phds dimensions` lists [default: none, all together in one row]
    #[arg(long, value_name = "DIM,…", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Only clients with one of these values; may be given for several dimensions
    #[arg(long = "where", value_name = "DIM=VALUE[,VALUE…]", value_parser = parse_where)]
    pub filters: Vec<Where>,
    /// The last day that counts, the last of some month [default: the last day of the reporting period]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub as_of: Option<NaiveDate>,
}

impl TableRows {
    /// A question that asks an indicator for these rows.
    pub(super) fn ask(&self, indicator: Indicator) -> Ask {
        Ask { by: self.by.clone(), filters: self.filters.clone(), as_of: self.as_of, ..Ask::of(indicator) }
    }
}

fn parse_day(text: &str) -> Result<NaiveDate, Error> {
    text.parse().map_err(|_| Error::usage("a day is written YYYY-MM-DD, for example 2024-12-31"))
}

fn parse_where(text: &str) -> Result<Where, Error> {
    let wrong = || Error::usage("write DIM=VALUE or DIM=VALUE,VALUE, for example county=Travis,Hays");
    let (dimension, values) = text.split_once('=').ok_or_else(wrong)?;
    let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
    if dimension.is_empty() || values.iter().any(String::is_empty) {
        return Err(wrong());
    }
    Ok(Where { dimension: dimension.trim().to_owned(), values })
}
