//! `phds rejects`: the rejected rows of a month as they came, for the data steward alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::check::report::{Document, Verdict};
use crate::check::{REJECTED, REPORT};
use crate::cli;
use crate::error::{Error, Result};
use crate::fs::{self, Draft};
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;

/// `phds rejects`
pub fn run(typed: &cli::Rejects, settings: &Settings) -> Result<()> {
    if typed.out.exists() {
        return Err(Error::usage(format!("`{}` is already there and is left as it is", typed.out.display()))
            .hint("name a file that is not there yet"));
    }
    fs::must_lie_outside_stores(&typed.out)?;
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let (reports, report) = if typed.refused { of_refused(&store, typed)? } else { of_month(&store, typed)? };
    let places = read_places(&reports.join(REJECTED))?;
    // A load takes the report away before it changes the list.
    let is_same = |again: Document| (again.delivery, again.run) == (report.delivery.clone(), report.run);
    if !read_report(&reports)?.is_some_and(is_same) {
        return Err(Error::environment(format!("the month {} is being loaded just now", typed.period))
            .hint("wait until that has ended"));
    }
    let delivery = store.deliveries(typed.period).join(&report.delivery.file_name);
    let (_, sha256) = fs::sha256_of_file(&delivery)?;
    if sha256 != report.delivery.sha256 {
        return Err(Error::environment(format!("`{}` is not the file that was checked", delivery.display()))
            .hint("load the month again"));
    }
    let mut file = File::open(&delivery).map_err(|error| Error::io("open", &delivery, &error))?;
    let mut out = Draft::new(&typed.out)?;
    for (offset, length) in &places {
        let mut record = Vec::new();
        file.seek(SeekFrom::Start(*offset))
            .and_then(|_| (&mut file).take(*length).read_to_end(&mut record))
            .map_err(|error| Error::io("read", &delivery, &error))?;
        out.write_all(&record).map_err(|error| Error::io("write", &typed.out, &error))?;
    }
    out.publish()?;
    let of = if typed.refused {
        format!("the refused file `{}` of {}", terminal::printable(&report.delivery.file_name), typed.period)
    } else {
        typed.period.to_string()
    };
    terminal::say(&format!(
        "{} rejected rows of {of} are in `{}`, byte for byte and without a header.",
        places.len(),
        typed.out.display()
    ));
    terminal::insist(
        "They name people. Keep the file to yourself, send it over no open line, and remove it when you are done.",
    );
    Ok(())
}

/// The reports of a month, and what the check of its file found: of the one that is loaded, or was refused when none is.
fn of_month(store: &Store, typed: &cli::Rejects) -> Result<(PathBuf, Document)> {
    let folder = store.reports(typed.period);
    let report = read_report(&folder)?.ok_or_else(|| {
        Error::usage(format!("the month {} has not been checked in this store", typed.period))
            .hint("load it first; `phds check` keeps no rows to come back to")
    })?;
    Ok((folder, report))
}

/// The same of the last file that was refused, while the month is loaded or not.
fn of_refused(store: &Store, typed: &cli::Rejects) -> Result<(PathBuf, Document)> {
    for folder in [store.refused(typed.period), store.reports(typed.period)] {
        if let Some(report) = read_report(&folder)?.filter(|report| report.verdict == Verdict::Refused) {
            return Ok((folder, report));
        }
    }
    Err(Error::usage(format!("no file of {} was refused in this store", typed.period))
        .hint("leave `--refused` away for the rows of the file that is loaded"))
}

fn read_report(folder: &Path) -> Result<Option<Document>> {
    let path = folder.join(REPORT);
    let text = fs::read_if_there(&path)?;
    text.map(|text| serde_json::from_slice(&text)).transpose().map_err(|_| Error::damaged(&path))
}

/// First byte and length of each rejected record, in the order of the file. A record is listed once for each rule.
fn read_places(path: &Path) -> Result<BTreeMap<u64, u64>> {
    let mut reader = csv::Reader::from_path(path).map_err(|_| Error::damaged(path))?;
    let places = reader.records().map(|row| {
        let row = row.ok()?;
        Some((row.get(1)?.parse().ok()?, row.get(2)?.parse().ok()?))
    });
    places.collect::<Option<_>>().ok_or_else(|| Error::damaged(path))
}
