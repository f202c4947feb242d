//! `phds query`: questions to a loaded month, through disclosure control, into tables.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::convert::Partition;
use crate::disclosure::{self, Release};
use crate::error::{Error, Result};
use crate::output::{self, Format};
use crate::query::ask::{Ask, Asks};
use crate::query::engine::DuckDb;
use crate::query::{Context, Question};
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;

/// `phds query`
pub fn run(typed: &cli::Query, settings: &Settings) -> Result<()> {
    match &typed.question {
        Some(question) => one(question, settings),
        None => many(typed, settings),
    }
}

/// One question, printed or written.
fn one(question: &cli::Question, settings: &Settings) -> Result<()> {
    let (ask, table) = question.ask();
    if table.out.is_none() && table.format.is_binary() && terminal::data_goes_to_a_screen() {
        return Err(Error::usage("this format is not for a screen").hint("add `--out FILE`"));
    }
    let (store, partition) = month(&table.month, settings)?;
    let releases = answer(&[ask], &store, &partition, settings)?;
    for release in &releases {
        keep(release, &store)?;
        match &table.out {
            Some(path) => {
                let description = output::write(release, table.format, path)?;
                terminal::say(&format!("{} and {}", path.display(), description.display()));
            }
            None => terminal::print_data(&output::render(release, table.format)?)?,
        }
    }
    Ok(())
}

/// A file of questions, each release in a folder of its own. Nothing is written before all have been answered.
fn many(typed: &cli::Query, settings: &Settings) -> Result<()> {
    let (Some(file), Some(out)) = (&typed.file, &typed.out) else {
        return Err(Error::usage("a file of questions needs a folder for the releases").hint("add `--out DIR`"));
    };
    let asks = Asks::read(file)?;
    let (store, partition) = month(&typed.month, settings)?;
    let releases = answer(&asks.releases, &store, &partition, settings)?;
    write_all(&asks, &releases, &store, typed.format, out)?;
    let what =
        if let [_] = releases.as_slice() { "1 release".to_owned() } else { format!("{} releases", releases.len()) };
    terminal::say(&format!("{what} in {}", out.display()));
    Ok(())
}

/// Keeps the releases of a file of questions, and writes each into a folder of its own.
pub fn write_all(asks: &Asks, releases: &[Release], store: &Store, format: Format, out: &Path) -> Result<()> {
    let table = format!("table.{}", format.name());
    for (ask, release) in asks.releases.iter().zip(releases) {
        keep(release, store)?;
        let folder = out.join(ask.name.as_deref().unwrap_or_default());
        crate::fs::make_folder(&folder)?;
        output::write(release, format, &folder.join(&table))?;
    }
    Ok(())
}

/// The month that is asked, and its store.
pub fn month(typed: &cli::Month, settings: &Settings) -> Result<(Store, Partition)> {
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let period = match typed.period {
        Some(period) => period,
        None => store.loaded().pop().ok_or_else(|| {
            Error::usage(format!("no month is loaded in `{}`", store.root().display())).hint("`phds load` loads one")
        })?,
    };
    let partition = Partition::open(&store, period)?;
    Ok((store, partition))
}

/// Binds all questions, counts, and lets out what disclosure control lets out.
pub fn answer(asks: &[Ask], store: &Store, partition: &Partition, settings: &Settings) -> Result<Vec<Release>> {
    let context = Context {
        dictionary: &settings.dictionary,
        measures: &settings.measures,
        partition,
        store,
        counties: &settings.counties,
    };
    let questions = asks.iter().map(|ask| {
        Question::bind(ask, context).map_err(|error| match &ask.name {
            Some(name) => error.within(&format!("release `{name}`")),
            None => error,
        })
    });
    let questions = questions.collect::<Result<Vec<_>>>()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut engine = DuckDb::new(partition, threads);
    let releases = questions.iter().map(|question| {
        let raw = question.count(&mut engine)?;
        Ok(disclosure::protect(raw, question, &settings.policy))
    });
    releases.collect()
}

/// Keeps every release that leaves the program in the store: `releases/<id>/table.csv` and `release.json`.
pub fn keep(release: &Release, store: &Store) -> Result<PathBuf> {
    let folder = store.releases().join(&release.document().release_id);
    crate::fs::make_folder(&folder)?;
    output::write(release, Format::Csv, &folder.join("table.csv"))?;
    Ok(folder)
}
