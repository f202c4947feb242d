//! `phds completions`, `man`, `schema`: what is needed around the work.

use clap::CommandFactory;
use schemars::{Schema, schema_for};

use crate::cli::{self, Cli};
use crate::error::{Error, Result};
use crate::terminal;
use crate::{check, convert, disclosure, fetch, fs, synth};

/// `phds man`
pub fn man(typed: &cli::Manual) -> Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    manual_pages(&command, &mut pages)?;
    match &typed.dir {
        Some(dir) => {
            fs::make_folder(dir)?;
            pages.iter().try_for_each(|(name, page)| fs::write_whole(&dir.join(name), page))
        }
        None => terminal::print_data(&pages.swap_remove(0).1),
    }
}

/// The page of a command, then those of its own commands.
fn manual_pages(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let manual = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    manual.render(&mut page).map_err(|_| Error::internal("a manual page cannot be made"))?;
    pages.push((manual.get_filename(), page));
    let mut own = command.get_subcommands().filter(|own| !own.is_hide_set() && own.get_name() != "help");
    own.try_for_each(|own| manual_pages(own, pages))
}

/// What makes a schema.
type Make = fn() -> Schema;

/// The files and answers that have a schema.
const SCHEMAS: [(&str, Make); 14] = [
    ("receipt", || schema_for!(fetch::Receipt)),
    ("report", || schema_for!(check::report::Document)),
    ("manifest", || schema_for!(convert::manifest::Manifest)),
    ("release", || schema_for!(disclosure::release::Document)),
    ("ledger", || schema_for!(disclosure::ledger::Entry)),
    ("audit", || schema_for!(disclosure::table::Findings)),
    ("listing", || schema_for!(fetch::mirror::Listing)),
    ("doctor", || schema_for!(crate::doctor::Examination)),
    ("status", || schema_for!(crate::status::Status)),
    ("planted", || schema_for!(synth::Planted)),
    ("population", || schema_for!(crate::population::Note)),
    ("measures", || schema_for!(crate::measure::Family)),
    ("questions", || schema_for!(crate::query::ask::Asks)),
    ("opportunities", || schema_for!(crate::measure::opportunity::Document)),
];

/// `phds schema`
pub fn schema(name: &str) -> Result<()> {
    let Some((_, schema)) = SCHEMAS.iter().find(|(other, _)| *other == name) else {
        let names: Vec<_> = SCHEMAS.iter().map(|(name, _)| *name).collect();
        return Err(Error::usage(format!("there is no schema `{name}`")).hint(names.join(", ")));
    };
    let schema = schema();
    terminal::print_json(&schema)
}
