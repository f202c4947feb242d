//! `phds remove`: a month is taken out of the store: one that was loaded by mistake, or is kept no longer.

use crate::cli;
use crate::convert;
use crate::error::{Error, Result};
use crate::fs;
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;

/// `phds remove`
pub fn run(typed: &cli::Remove, settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let _lock = store.lock()?;
    let period = typed.period;
    let (reports, delivery) = (store.reports(period), store.deliveries(period));
    let is_there = store.partition(period).is_dir() || reports.is_dir() || (typed.delivery && delivery.is_dir());
    if !is_there {
        return Err(Error::usage(format!("there is nothing of {period} in `{}`", store.root().display()))
            .hint("`phds status` lists the months"));
    }
    // From the first step on, no question is answered from the month; what a kill leaves goes when it is said again.
    convert::remove(&store, period)?;
    fs::remove_folder(&reports)?;
    if typed.delivery {
        fs::remove_folder(&delivery)?;
        terminal::say(&format!("{period} is out of the store: its tables, its report and its file"));
    } else {
        terminal::say(&format!("{period} is out of the store: its tables and its report"));
        if delivery.is_dir() {
            terminal::say(&format!("its file stays in `{}`; with `--delivery` it goes, too", delivery.display()));
        }
    }
    terminal::say("Releases stay, and so does the ledger: what was published is known.");
    Ok(())
}
