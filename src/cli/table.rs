//! What is typed about tables that were made elsewhere.

use std::path::PathBuf;

use clap::Args;

use crate::error::Error;

/// `phds protect`
#[derive(Debug, Args)]
pub struct Protect {
    /// The table: CSV with a row for each cell, and rows for all totals or for none
    pub file: PathBuf,
    /// What makes a table of the columns.
    #[command(flatten)]
    pub columns: TableColumns,
    /// Give every cell a number, in place of suppressing: a multiple of BASE next to its count, the totals still sums; 0
    /// stands for 0 to BASE - 1 [default BASE: 5]
    #[arg(long, value_name = "BASE", num_args = 0..=1, default_missing_value = "5", conflicts_with = "k")]
    #[arg(value_parser = base)]
    pub round: Option<u64>,
    /// The file to write: the dimensions, the count (empty where suppressed) and a status
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// A base of `--round`. What stands there may be the table, because a base may be left away.
fn base(typed: &str) -> Result<u64, String> {
    match typed.parse() {
        Ok(base @ 3..=100) => Ok(base),
        Ok(_) => Err("a base is 3 to 100".to_owned()),
        Err(_) => Err("not a base of 3 to 100; the table stands before `--round`, or behind `--round BASE`".to_owned()),
    }
}

/// `phds audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// The table: CSV with a row for each cell, the count empty where it is suppressed; in several, the same labels mean
    /// the same cells, and one without the column of a dimension is a total in it
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What makes a table of the columns.
    #[command(flatten)]
    pub columns: TableColumns,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What makes a table of the columns of a file.
#[derive(Debug, Args)]
pub struct TableColumns {
    /// The columns that are its dimensions
    #[arg(long, value_name = "DIM,…", value_delimiter = ',', required = true)]
    pub by: Vec<String>,
    /// The column of the counts of persons
    #[arg(long, value_name = "COL")]
    pub count: String,
    /// Dimensions that are levels of one, the finest first: `zip:county` where counties are sums of ZIP codes, each ZIP code
    /// below its county; may be given several times
    #[arg(long, value_name = "FINE:COARSE", value_parser = parse_levels)]
    pub within: Vec<Levels>,
    /// The label of totals; once it is said, no other one is taken for a total [default: Total]
    #[arg(long, value_name = "LABEL")]
    pub total: Option<String>,
    /// No count of 1 to N - 1 is shown; 5 or more [default: that of the policy]
    #[arg(long, value_name = "N")]
    pub k: Option<u64>,
}

/// Columns that are levels of one dimension, the finest first.
pub type Levels = Vec<String>;

fn parse_levels(text: &str) -> Result<Levels, Error> {
    let levels: Levels = text.split(':').map(|level| level.trim().to_owned()).collect();
    if levels.len() < 2 || levels.iter().any(String::is_empty) {
        return Err(Error::usage("write FINE:COARSE, for example zip:county, or zip:county:region"));
    }
    Ok(levels)
}
