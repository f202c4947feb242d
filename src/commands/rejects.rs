//! `phds rejects`: the rejected rows of a month as they came, for the data steward alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::check::report::Document;
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
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let reports = store.reports(typed.period);
    let report = read_report(&reports.join(REPORT), typed)?;
    let delivery = store.deliveries(typed.period).join(&report.delivery.file_name);
    let (_, sha256) = fs::sha256_of_file(&delivery)?;
    if sha256 != report.delivery.sha256 {
        return Err(Error::environment(format!("`{}` is not the file that was checked", delivery.display()))
            .hint("load the month again"));
    }
    let places = read_places(&reports.join(REJECTED))?;
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
    terminal::say(&format!(
        "{} rejected rows of {} are in `{}`, byte for byte and without a header.",
        places.len(),
        typed.period,
        typed.out.display()
    ));
    terminal::insist(
        "They name people. Keep the file to yourself, send it over no open line, and remove it when you are done.",
    );
    Ok(())
}

fn read_report(path: &Path, typed: &cli::Rejects) -> Result<Document> {
    let text = fs::read_if_there(path)?.ok_or_else(|| {
        Error::usage(format!("the month {} has not been checked in this store", typed.period))
            .hint("load it first; `phds check` keeps no rows to come back to")
    })?;
    serde_json::from_slice(&text).map_err(|_| Error::damaged(path))
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
