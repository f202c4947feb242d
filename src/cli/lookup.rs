//! What is typed to look up what is known: measures, dimensions, columns, rules.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::dictionary::import::Key;
use crate::error::Error;

/// `phds measures`
#[derive(Debug, Args)]
pub struct Measures {
    /// A measure to explain: what counts, by when, which vaccines, and what it is not; or words, to list the measures that
    /// have them
    #[arg(id = "measures", value_name = "ID or WORD")]
    pub words: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// All measures as one page in Markdown
    #[arg(long, conflicts_with_all = ["measures", "json"])]
    pub markdown: bool,
    /// Go through files of cases: histories that you invent, and what you have counted by hand. Tells where the measures
    /// answer otherwise
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["measures", "json", "markdown"])]
    pub cases: Vec<PathBuf>,
}

/// `phds dimensions`
#[derive(Debug, Args)]
pub struct Dimensions {
    /// List the values of this one, for `--where`
    #[arg(id = "dimension", value_name = "NAME")]
    pub name: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `phds dictionary`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Dictionary {
    /// What to do in place of printing.
    #[command(subcommand)]
    pub action: Option<DictionaryAction>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: DictionaryFormat,
    /// As JSON: short for --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// What can be done with a dictionary beside printing it.
#[derive(Debug, Subcommand)]
pub enum DictionaryAction {
    /// Make a dictionary file of a table (CSV or XLSX) that describes the columns of the file
    Import(Import),
}

/// How the dictionary is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DictionaryFormat {
    /// For people, on a terminal
    #[default]
    Table,
    /// All that it says, with codelists and dimensions
    Json,
    /// One row for each column of the file, as `phds dictionary import` reads it
    Csv,
    /// The columns of the file as a Frictionless Table Schema 1.0
    TableSchema,
    /// One row of the file as a JSON Schema 2020-12
    JsonSchema,
}

/// `phds dictionary import`
#[derive(Debug, Args)]
pub struct Import {
    /// The table: one row for each column of the file
    pub file: PathBuf,
    /// Folder for dictionary.toml and its codelists; must be missing or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The sheet of an Excel file [default: the only one that reads like a dictionary]
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Which column of the table (title or number) tells the header, aliases, title, description, type, format, length,
    /// required, nullable, codes, identifier or position; empty for none; may be given several times
    #[arg(long = "map", value_name = "WHAT=COLUMN", value_parser = parse_map)]
    pub columns: Vec<(Key, String)>,
    /// Which field of ours a header of the table is, by its name in `phds dictionary --json`, or `new`; may be given several
    /// times
    #[arg(long = "field", value_name = "HEADER=FIELD", value_parser = parse_field)]
    pub fields: Vec<(String, String)>,
    /// Id of the edition [default: that of the built-in dictionary]
    #[arg(long, value_name = "TEXT")]
    pub id: Option<String>,
    /// Version of the edition [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,
    /// Where the table is from [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
}

fn parse_map(text: &str) -> Result<(Key, String), Error> {
    let keys = || Key::ALL.iter().map(|key| key.word()).collect::<Vec<_>>().join(", ");
    let split = text
        .split_once('=')
        .and_then(|(key, column)| Some((Key::ALL.into_iter().find(|known| known.word() == key.trim())?, column)));
    let (key, column) = split.ok_or_else(|| Error::usage(format!("write WHAT=COLUMN, with one of: {}", keys())))?;
    Ok((key, column.trim().to_owned()))
}

fn parse_field(text: &str) -> Result<(String, String), Error> {
    // A header may hold an equals sign, a name of ours cannot.
    let split = text.rsplit_once('=').map(|(header, name)| (header.trim().to_owned(), name.trim().to_owned()));
    split
        .filter(|(header, name)| !header.is_empty() && !name.is_empty())
        .ok_or_else(|| Error::usage("write HEADER=FIELD, for example 'BIRTH DT=birth_date' or 'SCHOOL=new'"))
}

/// `phds explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// Code of the rule, such as PHDS-R01 or r01; without it, all rules are listed
    pub code: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// All rules as one page in Markdown
    #[arg(long, conflicts_with_all = ["code", "json"])]
    pub markdown: bool,
}
