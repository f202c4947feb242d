//! `phds completions`, `man`, `schema`: what is needed around the work.

use clap::CommandFactory;
use schemars::{Schema, schema_for};

use super::lookup::{ListedDimension, ListedMeasure};
use crate::cli::{self, Cli};
use crate::dictionary::{Dictionary, nearest};
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
            fs::must_lie_outside_stores(dir)?;
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

/// A schema: its name, what keeps to it, and what makes it.
type Described = (&'static str, &'static str, fn() -> Schema);

/// The files and answers that have a schema.
const SCHEMAS: [Described; 22] = [
    ("receipt", "receipt.json beside a delivery", || schema_for!(fetch::Receipt)),
    ("report", "report.json, and `phds check --json`, `phds load --json`", || schema_for!(check::report::Document)),
    ("report-list", "`phds load --again --json`", || schema_for!(Vec<check::report::Document>)),
    ("manifest", "manifest.json of a loaded month", || schema_for!(convert::manifest::Manifest)),
    ("release", "release.json beside a table", || schema_for!(disclosure::release::Document)),
    ("ledger", "an entry of the ledger", || schema_for!(disclosure::ledger::Entry)),
    ("ledger-list", "`phds ledger --json`", || schema_for!(Vec<disclosure::ledger::Entry>)),
    ("audit", "`phds audit --json`", || schema_for!(disclosure::table::Findings)),
    ("listing", ".listing.json of a copied folder", || schema_for!(fetch::mirror::Listing)),
    ("doctor", "`phds doctor --json`", || schema_for!(crate::doctor::Examination)),
    ("status", "`phds status --json`", || schema_for!(crate::status::Status)),
    ("planted", "what `phds synth --faults` has planted", || schema_for!(synth::Planted)),
    ("population", "the note of a population", || schema_for!(crate::population::Note)),
    ("population-list", "`phds population list --json`", || schema_for!(Vec<crate::population::Note>)),
    ("measures", "a file of measures", || schema_for!(crate::measure::Family)),
    ("measure-list", "`phds measures --json`", || schema_for!(Vec<ListedMeasure<'_>>)),
    ("dimension-list", "`phds dimensions --json`", || schema_for!(Vec<ListedDimension<'_>>)),
    ("dictionary", "`phds dictionary --json`", Dictionary::json_schema_of_itself),
    ("rule", "`phds explain CODE --json`", || schema_for!(check::ruleset::Rule)),
    ("rule-list", "`phds explain --json`", || schema_for!(Vec<check::ruleset::Rule>)),
    ("questions", "a file of questions", || schema_for!(crate::query::ask::Asks)),
    ("opportunities", "the file of opportunities", || schema_for!(crate::measure::opportunity::Document)),
];

/// `phds schema`
pub fn schema(name: Option<&str>) -> Result<()> {
    let Some(name) = name else {
        let lines = SCHEMAS.iter().map(|(name, what, _)| [(*name).to_owned(), (*what).to_owned()]);
        return terminal::print_text(&terminal::columns(lines));
    };
    let Some((.., schema)) = SCHEMAS.iter().find(|(other, ..)| *other == name) else {
        let names = SCHEMAS.iter().map(|(name, ..)| *name);
        return Err(Error::usage(format!("there is no schema `{name}`")).hint(nearest(name, names, "phds schema")));
    };
    terminal::print_json(&schema())
}
