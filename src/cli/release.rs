//! What is typed about releases: their figures, pages, comparisons and ledger.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Month, TableRows};
use crate::error::Error;
use crate::figure::Kind;
use crate::output::Format;
use crate::query::ask::{Ask, Indicator};

const KNOW_EXAMPLES: &str = "\
Examples:
  phds ledger know coverage --measure nis.mmr1 --by county --period 2024-12 --source \"State dashboard, February 2025\"

Its numbers are taken from the month that is loaded; they stay in the ledger, and none is printed.";

const PLOT_EXAMPLES: &str = "\
Examples:
  phds plot releases/by_county --kind map --out map.svg
  phds plot mmr.csv --kind bar --out mmr.png
  phds plot zip.csv --kind map --shapes zips.geojson --shape-key ZCTA5CE20 --out zips.svg";

const COMPARE_EXAMPLES: &str = "\
Examples:
  phds compare releases/2024-11/by_county releases/2024-12/by_county
  phds compare november.csv december.csv --out change.xlsx";

/// `phds plot`
#[derive(Debug, Args)]
#[command(after_help = PLOT_EXAMPLES)]
pub struct Plot {
    /// A table (CSV or JSON) that `phds query … --out FILE` wrote, with its description beside it; or the folder of both
    pub release: PathBuf,
    /// What to draw
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// Write to FILE.svg or FILE.png, in place of printing SVG
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The title [default: measure, dimensions and month]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Shapes of places for a map, as GeoJSON [default: the built-in counties and regions]
    #[arg(long, value_name = "FILE", requires = "shape_key")]
    pub shapes: Option<PathBuf>,
    /// The property of each shape that holds the label of the table, such as a ZIP code
    #[arg(long, value_name = "PROPERTY", requires = "shapes")]
    pub shape_key: Option<String>,
}

/// `phds report`
#[derive(Debug, Args)]
pub struct Report {
    /// The page; its releases are written into a folder beside it that is called like it
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// Which month.
    #[command(flatten)]
    pub month: Month,
    /// What to ask the month, as for `phds query FILE` [default: what `--example` prints]
    #[arg(long, value_name = "FILE")]
    pub questions: Option<PathBuf>,
    /// Folder in which the releases are kept [default: `query.releases` of the settings, or else in the store]
    #[arg(long, value_name = "DIR")]
    pub keep_in: Option<PathBuf>,
    /// Print the questions that are built in, to begin with, and ask nothing
    #[arg(long, exclusive = true)]
    pub example: bool,
    /// Make the page of releases that are there, a folder for each, and ask nothing: no store is needed. The one in the folder
    /// `headline` is the number at the top
    #[arg(long, value_name = "DIR", conflicts_with_all = ["store", "period", "questions", "keep_in"])]
    pub releases: Option<PathBuf>,
    /// Folder of the releases of the month before, for what changed [default: those that are kept]
    #[arg(long, value_name = "DIR")]
    pub earlier: Option<PathBuf>,
    /// Shapes of ZIP codes for a map, as GeoJSON
    #[arg(long, value_name = "FILE", requires = "shape_key")]
    pub shapes: Option<PathBuf>,
    /// The property of each shape that holds the ZIP code
    #[arg(long, value_name = "PROPERTY", requires = "shapes")]
    pub shape_key: Option<String>,
}

/// `phds compare`
#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub struct Compare {
    /// A release of the earlier month: its table (CSV or JSON), or the folder of table and description
    pub earlier: PathBuf,
    /// The same question's release of the later month
    pub later: PathBuf,
    /// How to print or write it [default: as the ending of FILE says; on a screen, a table for people]
    #[arg(long, value_enum)]
    pub format: Option<ComparisonFormat>,
    /// Write to a file in place of printing: .csv, .xlsx, .json, .txt
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How a comparison is printed or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ComparisonFormat {
    /// For people, on a terminal
    Table,
    /// Comma-separated values, UTF-8
    Csv,
    /// An Excel workbook, with its notes on a second sheet
    Xlsx,
    /// An array of objects, one for each group
    Json,
}

impl From<ComparisonFormat> for Format {
    fn from(format: ComparisonFormat) -> Self {
        match format {
            ComparisonFormat::Table => Self::Table,
            ComparisonFormat::Csv => Self::Csv,
            ComparisonFormat::Xlsx => Self::Xlsx,
            ComparisonFormat::Json => Self::Json,
        }
    }
}

/// `phds ledger`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LedgerArgs {
    /// What to do in place of printing.
    #[command(subcommand)]
    pub action: Option<LedgerAction>,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerAction {
    /// Note a table that others have published: whatever is published from now on is held to it
    #[command(after_help = KNOW_EXAMPLES)]
    Know(Know),
}

/// `phds ledger know`
#[derive(Debug, Args)]
pub struct Know {
    /// What the table tells, as `phds query` names it
    #[arg(value_name = "INDICATOR", value_parser = parse_indicator)]
    pub indicator: Indicator,
    /// The measure, such as nis.mmr1; `phds measures` lists them
    #[arg(long, value_name = "ID")]
    pub measure: Option<String>,
    /// For dropout: the later measure
    #[arg(long, value_name = "ID")]
    pub to: Option<String>,
    /// Its rows.
    #[command(flatten)]
    pub rows: TableRows,
    /// Where it was published, in words
    #[arg(long, value_name = "TEXT")]
    pub source: String,
    /// Which month.
    #[command(flatten)]
    pub month: Month,
}

impl Know {
    /// The table as a question.
    pub fn ask(&self) -> Ask {
        Ask { measure: self.measure.clone(), to: self.to.clone(), ..self.rows.ask(self.indicator) }
    }
}

fn parse_indicator(text: &str) -> Result<Indicator, Error> {
    let names = Indicator::ALL.map(Indicator::name);
    let wrong = || Error::usage(format!("one of {}", names.join(", ")));
    Indicator::ALL.into_iter().find(|indicator| indicator.name() == text).ok_or_else(wrong)
}

/// `phds evidence`
#[derive(Debug, Args)]
pub struct Evidence {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Write to a file (Markdown) in place of printing
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
