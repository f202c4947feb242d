//! The verbs: each resolves what was typed, calls the rooms and prints.

mod audit;
mod compare;
pub mod complete;
mod demo;
mod doctor;
mod fetch;
mod import;
mod init;
mod ledger;
mod load;
mod lookup;
mod plot;
mod population;
mod protect;
mod query;
mod rejects;
mod remove;
mod report;
mod setup;
mod status;
mod synth;

use crate::cli::{Cli, Verb};
use crate::error::{Error, Result};
use crate::output::Format;
use crate::settings::Settings;
use crate::terminal;

/// Carries out what was typed.
pub fn run(cli: &Cli) -> Result<()> {
    terminal::begin(cli.quiet, cli.color);
    let reporter = terminal::reporter(cli.quiet);
    let reporter = reporter.as_ref();
    let settings = || Settings::resolve(cli.config.as_deref());
    match &cli.verb {
        Verb::Demo(typed) => demo::run(typed, reporter),
        Verb::Init(typed) => init::init(typed, reporter),
        Verb::Doctor(typed) => doctor::doctor(typed, &settings()?, reporter),
        Verb::Fetch(typed) => fetch::fetch(typed, &settings()?, reporter),
        Verb::Mirror(typed) => fetch::mirror(typed, &settings()?, reporter),
        Verb::Status(typed) => status::status(typed, &settings()?),
        Verb::Check(typed) => load::check(typed, &settings()?, reporter),
        Verb::Load(typed) => load::load(typed, &settings()?, reporter),
        Verb::Rejects(typed) => rejects::run(typed, &settings()?),
        Verb::Remove(typed) => remove::run(typed, &settings()?),
        Verb::Population(typed) => population::run(typed, &settings()?, reporter),
        Verb::Query(typed) => query::run(typed, &settings()?),
        Verb::Plot(typed) => plot::run(typed),
        Verb::Report(typed) => report::run(typed, &settings()?),
        Verb::Compare(typed) => compare::run(typed),
        Verb::Protect(typed) => protect::run(typed, &settings()?),
        Verb::Audit(typed) => audit::run(typed, &settings()?),
        Verb::Ledger(typed) => match &typed.action {
            Some(crate::cli::LedgerAction::Know(typed)) => ledger::know(typed, &settings()?),
            None => ledger::ledger(typed, &settings()?),
        },
        Verb::Evidence(typed) => ledger::evidence(typed, &settings()?),
        Verb::Measures(typed) => lookup::measures(typed, &settings()?),
        Verb::Dimensions(typed) => lookup::dimensions(typed, &settings()?),
        Verb::Dictionary(typed) => match &typed.action {
            Some(crate::cli::DictionaryAction::Import(typed)) => import::run(typed),
            None => lookup::dictionary(typed, &settings()?),
        },
        Verb::Explain(typed) => lookup::explain(typed, &settings()?),
        Verb::Synth(typed) => synth::run(typed, reporter),
        Verb::Completions(typed) => complete::completions(typed),
        Verb::Man(typed) => setup::man(typed),
        Verb::Schema(typed) => setup::schema(typed.name.as_deref()),
    }
}

/// Whether a table in a format may go to standard output.
fn may_be_printed(format: Format) -> Result<()> {
    if format.is_binary() && terminal::data_goes_to_a_screen() {
        return Err(Error::usage("this format is not for a screen").hint("add `--out FILE`"));
    }
    Ok(())
}
