//! What is typed about the program itself, and to try it.

use std::path::PathBuf;

use clap::Args;

use crate::period::ReportingPeriod;

const COMPLETIONS_EXAMPLES: &str = "\
Put it where your shell looks, once:
  bash  phds completions bash > ~/.local/share/bash-completion/completions/phds
  zsh   phds completions zsh > ~/.zfunc/_phds      (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  fish  phds completions fish > ~/.config/fish/completions/phds.fish
The shell asks `phds` itself, so measures, dimensions and months are those of your settings. No server is asked.";

/// `phds demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder for everything that the demo writes; must be missing or empty, or from an earlier demo
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub dir: PathBuf,
    /// Number of invented clients
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    pub clients: u64,
}

/// `phds synth`
#[derive(Debug, Args)]
pub struct Synth {
    /// Number of invented clients
    #[arg(long, value_name = "N")]
    pub clients: u64,
    /// The month that the file describes
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Where to write the CSV
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Share of rows with a planted fault, 0 to 0.5; what was planted where goes to a JSON file beside the CSV
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub faults: f64,
}

/// `phds completions`
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `phds man`
#[derive(Debug, Args)]
pub struct Manual {
    /// Write the pages of phds and of every verb into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `phds schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Name of the schema; without it, all are listed, with what keeps to them
    pub name: Option<String>,
}
