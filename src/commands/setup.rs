//! `phds init`, `completions`, `man`, `schema`: what is needed around the work.

use clap::CommandFactory;
use schemars::schema_for;
use serde_json::json;

use crate::cli::{self, Cli};
use crate::error::{Error, Result};
use crate::terminal;
use crate::{check, convert, disclosure, fetch, fs, synth};

/// The settings file that `phds init` writes.
const TEMPLATE: &str = include_str!("phds.toml");

/// `phds init`
pub fn init(typed: &cli::Init) -> Result<()> {
    if typed.file.exists() {
        return Err(Error::usage(format!("`{}` is already there and is left as it is", typed.file.display())));
    }
    fs::write_whole(&typed.file, TEMPLATE.as_bytes())?;
    terminal::say(&format!("`{}` is written: fill in the source and the store", typed.file.display()));
    Ok(())
}

/// `phds completions`
pub fn completions(typed: &cli::Completions) -> Result<()> {
    let mut bytes = Vec::new();
    clap_complete::generate(typed.shell, &mut Cli::command(), "phds", &mut bytes);
    terminal::print_data(&bytes)
}

/// `phds man`
pub fn man() -> Result<()> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut bytes)
        .map_err(|_| Error::internal("the manual page cannot be made"))?;
    terminal::print_data(&bytes)
}

/// `phds schema`
pub fn schema(name: &str) -> Result<()> {
    let schema = match name {
        "receipt" => schema_for!(fetch::Receipt),
        "report" => schema_for!(check::report::Document),
        "manifest" => schema_for!(convert::manifest::Manifest),
        "release" => schema_for!(disclosure::release::Document),
        "planted" => schema_for!(synth::Planted),
        _ => {
            return Err(Error::usage(format!("there is no schema `{name}`"))
                .hint("receipt, report, manifest, release, planted"));
        }
    };
    super::lookup::print_json(&json!(schema))
}
