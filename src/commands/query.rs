//! `phds query`: a question to a loaded month, through disclosure control, into a table.

use std::path::PathBuf;

use crate::cli;
use crate::convert::Partition;
use crate::disclosure::{self, Release};
use crate::error::{Error, Result};
use crate::output::{self, Format};
use crate::query::Coverage;
use crate::query::engine::DuckDb;
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;

/// `phds query coverage`
pub fn coverage(typed: &cli::Coverage, settings: &Settings) -> Result<()> {
    if typed.out.is_none() && typed.format.is_binary() && terminal::data_goes_to_a_screen() {
        return Err(Error::usage("this format is not for a screen").hint("add `--out FILE`"));
    }
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let period = match typed.period {
        Some(period) => period,
        None => store.loaded().pop().ok_or_else(|| {
            Error::usage(format!("no month is loaded in `{}`", store.root().display())).hint("`phds load` loads one")
        })?,
    };
    let partition = Partition::open(&store, period)?;
    let question = Coverage::new(
        &settings.dictionary,
        &settings.measures,
        &partition,
        &typed.measure,
        &typed.by,
        &typed.filters,
        typed.as_of,
    )?;
    let release = answer(&question, settings)?;
    keep(&release, &store)?;
    match &typed.out {
        Some(path) => {
            let description = output::write(&release, typed.format, path)?;
            terminal::say(&format!("{} and {}", path.display(), description.display()));
            Ok(())
        }
        None => terminal::print_data(&output::render(&release, typed.format)?),
    }
}

/// Counts, and lets out what disclosure control lets out.
pub fn answer(question: &Coverage<'_>, settings: &Settings) -> Result<Release> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let raw = question.count(&mut DuckDb::new(threads))?;
    Ok(disclosure::protect(raw, question, &settings.policy))
}

/// Keeps every release that leaves the program in the store: `releases/<id>/table.csv` and `release.json`.
pub fn keep(release: &Release, store: &Store) -> Result<PathBuf> {
    let folder = store.releases().join(&release.document().release_id);
    crate::fs::make_folder(&folder)?;
    output::write(release, Format::Csv, &folder.join("table.csv"))?;
    Ok(folder)
}
