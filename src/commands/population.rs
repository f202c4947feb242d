//! `phds population`: counts of people into the store, and what is there.

use crate::cli;
use crate::disclosure::ledger::{Entry, Ledger};
use crate::disclosure::release::Audience;
use crate::error::{Error, Result};
use crate::population::{self, Import, Note, Request};
use crate::progress::Reporter;
use crate::query::ask::Denominator;
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;
use crate::words::{count, grouped};

/// `phds population`
pub fn run(typed: &cli::Population, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    match typed {
        cli::Population::Import(typed) => import(typed, settings, reporter),
        cli::Population::List(typed) => list(typed, settings),
    }
}

fn import(typed: &cli::PopulationImport, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let folder = settings.store(typed.store.as_deref())?;
    let request = Request { name: &typed.name, source: &typed.source, year: typed.year };
    let import = Import::read(&typed.file, request, &settings.knowledge()?.dictionary)?;
    let store = Store::open_or_create(&folder)?;
    let _lock = store.lock()?;
    let note = import.note();
    if let Some(older) = population::note(&store, &note.name)? {
        if older.fingerprint != note.fingerprint {
            stays(&store, &note.name)?;
        }
        let same = if older.fingerprint == note.fingerprint { ", with the same counts" } else { "" };
        reporter.warned(&format!(
            "`{}` is replaced{same}; until now it was {}, from: {}",
            note.name,
            what(&older),
            older.source
        ));
    }
    population::keep(&store, &import)?;
    for line in &note.notes {
        reporter.noted(line);
    }
    reporter.started("import", None);
    reporter.finished(&format!("`{}`: {}, fingerprint {}", note.name, what(note), note.fingerprint));
    let denominators = format!("clients,population:{}", note.name);
    let ask = ["query", "coverage", "--measure", "nis.mmr1", "--by", "birth_year", "--denominator", &denominators];
    let store = store.root().to_string_lossy();
    terminal::next(ask.into_iter().chain(["--store", &store]));
    Ok(())
}

/// Refuses other counts for a population in whose shares something was published: each later table is audited with those.
fn stays(store: &Store, name: &str) -> Result<()> {
    let denominator = Denominator::Population(name.to_owned()).name();
    let ledger = Ledger::open_to_read(store)?;
    let is_in =
        |entry: &&Entry| entry.audience == Audience::Public && entry.question.denominators.contains(&denominator);
    match ledger.entries().iter().filter(is_in).count() {
        0 => Ok(()),
        tables => Err(Error::refused(format!(
            "{} in the ledger {} made with the counts of `{name}`, and later ones are audited with them",
            count(tables, "table"),
            if tables == 1 { "was" } else { "were" }
        ))
        .hint(format!("take the new counts in under another name, such as `{name}-2`"))),
    }
}

fn list(typed: &cli::PopulationList, settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let notes = population::list(&store)?;
    if typed.json {
        return terminal::print_json(&notes);
    }
    if notes.is_empty() {
        terminal::say("no population is here; `phds population import FILE --name NAME --source TEXT` takes one in");
    }
    let told = notes.iter().map(|note| {
        let notes = note.notes.iter().map(|note| format!("  {note}\n"));
        format!(
            "{}: {}\n  from: {}\n  fingerprint {}\n{}",
            note.name,
            what(note),
            note.source,
            note.fingerprint,
            notes.collect::<String>()
        )
    });
    terminal::print_data(terminal::printable(&told.collect::<Vec<_>>().join("\n")).as_bytes())
}

/// What a population is, in a line.
fn what(note: &Note) -> String {
    let years = match (note.first_birth_year, note.last_birth_year) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    };
    let cells = if note.rows == 1 { "cell" } else { "cells" };
    format!(
        "{} people born {years} in {} {cells} by {}",
        grouped(note.people),
        grouped(note.rows),
        note.dimensions.join(", ")
    )
}
