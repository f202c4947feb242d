//! Accepted rows → a month's [`Partition`]: two tables of plain Parquet, whole or not at all.
//!
//! Rows are set aside in buckets by client key while the check reads, so that a bucket holds whole histories and fits in
//! memory whatever the size of the file. [`Staging::commit`] then takes each bucket, one a thread: sorts it, evaluates its
//! histories, and writes its rows of both tables. The manifest is written last and names every file: readers take only
//! what it names.

mod aside;
pub mod manifest;
mod tables;
mod texts;

use std::path::{Path, PathBuf};

use chrono::{SubsecRound, Utc};

use crate::check::{Accepted, Rows, Sink};
use crate::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::fs::{self, DraftFolder};
use crate::measure::Measures;
use crate::parallel::{self, Resources};
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::provenance::{DeliveryId, Edition, Tool};
use crate::random::random_bytes;
use crate::store::{MANIFEST, Store};
use aside::Aside;
use manifest::{Manifest, Table};

pub use manifest::Partition;

/// Files of a table, at most, unless more threads write: each holds the rows of several buckets.
const MOST_FILES: usize = 16;
/// Bytes of memory that a thread needs to turn buckets into files.
const MEMORY_OF_A_THREAD: usize = 128 << 20;

/// The rows of one month on their way into the store. Dropping it leaves the store as it was.
pub struct Staging<'a> {
    dictionary: &'a Dictionary,
    measures: &'a Measures,
    folder: PathBuf,
    delivery: DeliveryId,
    chosen_over: Vec<String>,
    /// What is set aside, and finished files that are not in place yet.
    work: DraftFolder,
    aside: Aside,
    resources: Resources,
}

impl<'a> Staging<'a> {
    /// Begins a month. Files that no manifest names are removed first; the caller holds the store's lock. Rows that
    /// do not fit in the memory of `resources` are set aside on disk.
    pub fn begin(
        store: &Store,
        delivery: &Delivery,
        dictionary: &'a Dictionary,
        measures: &'a Measures,
        resources: Resources,
    ) -> Result<Self> {
        let folder = store.partition(delivery.period());
        fs::make_folder(&folder)?;
        remove_nameless(&folder)?;
        let work = fs::draft_folder(&folder)?;
        let aside = Aside::new(dictionary, work.path(), delivery.bytes(), resources.to_hold())?;
        let (delivery, chosen_over) = (delivery.id()?, Vec::new());
        Ok(Self { dictionary, measures, folder, delivery, chosen_over, work, aside, resources })
    }

    /// The same where somebody has named the file, and files that came later (by their SHA-256) are here.
    #[must_use]
    pub fn chosen_over(self, later: Vec<String>) -> Self {
        Self { chosen_over: later, ..self }
    }

    /// Gives the month up: what was set aside goes, and the store is as it was.
    pub fn abandon(self) {
        let Self { folder, work, .. } = self;
        drop(work);
        // Only a folder that this load made is empty.
        let _ = std::fs::remove_dir(folder);
    }

    /// Writes both tables and puts them in place of what was there. Only an accepted file gets here.
    pub fn commit(self, accepted: &Accepted, reporter: &dyn Reporter) -> Result<Partition> {
        let Self { dictionary, measures, folder, delivery, chosen_over, work, aside, resources } = self;
        let report = accepted.report().document();
        if report.delivery != delivery {
            return Err(Error::internal("the rows of one delivery are not accepted by the report of another"));
        }
        reporter.started("convert", Some(aside.bytes()));
        let writer = tables::Writer::new(dictionary, measures, report.reporting_period, &aside)?;
        let load = u64::from_le_bytes(random_bytes()?);
        let threads = resources.threads.min(resources.memory / MEMORY_OF_A_THREAD).max(1);
        let files = aside.buckets().min(threads.max(MOST_FILES));
        let parts = parallel::map(threads, files, |number| {
            let begin = |table: Table| {
                let path = format!("{}/part-{load:016x}-{number:04}.parquet", table.name());
                writer.begin(table, &draft_of(&work, &path), path)
            };
            let (mut immunizations, mut clients) = (begin(Table::Immunizations)?, begin(Table::Clients)?);
            for bucket in (number..aside.buckets()).step_by(files) {
                let rows = aside.take(bucket)?;
                let [of_doses, of_clients] = writer.tables(&rows)?;
                immunizations.write(&of_doses)?;
                clients.write(&of_clients)?;
                reporter.counted(rows.len());
                reporter.advanced(rows.bytes());
            }
            Ok((immunizations.finish()?, clients.finish()?))
        })?;
        let (immunizations, clients) = parts.into_iter().unzip();
        let manifest = Manifest {
            schema_version: 1,
            tool: Tool::this(),
            reporting_period: report.reporting_period,
            loaded_at: Utc::now().trunc_subsecs(0),
            delivery: report.delivery.clone(),
            chosen_over,
            dictionary: report.dictionary.clone(),
            rules: report.rules_edition.clone(),
            measures: measures
                .measures()
                .iter()
                .zip(measures.versions().iter().zip(measures.fingerprints()))
                .map(|(measure, (version, fingerprint))| Edition {
                    id: measure.id.clone(),
                    version: version.clone(),
                    fingerprint: fingerprint.clone(),
                })
                .collect(),
            opportunities: Some(measures.opportunities().edition().clone()),
            first_inclusion_year: dictionary.first_inclusion_year(),
            totals: report.totals,
            alarms: accepted.report().alarms(),
            k: report.k,
            immunizations: writer.describe(Table::Immunizations, immunizations)?,
            clients: writer.describe(Table::Clients, clients)?,
        };
        let partition = publish(&folder, &work, manifest, reporter)?;
        let manifest = partition.manifest();
        reporter.finished(&format!("{} clients, {} rows", manifest.clients.rows, manifest.immunizations.rows));
        Ok(partition)
    }
}

impl Sink for Staging<'_> {
    fn accept(&self, rows: Rows<'_>) -> Result<()> {
        self.aside.add(rows)
    }
}

impl std::fmt::Debug for Staging<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staging").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Removes files that no manifest names. Where there is no readable manifest, they stay until a load has written one.
fn remove_nameless(folder: &Path) -> Result<()> {
    let Ok(Some(partition)) = Partition::open_folder(folder) else { return Ok(()) };
    let named: Vec<&str> = partition.manifest().files().map(|file| file.path.as_str()).collect();
    for table in Table::ALL {
        for entry in std::fs::read_dir(folder.join(table.name())).into_iter().flatten().flatten() {
            let path = format!("{}/{}", table.name(), entry.file_name().to_string_lossy());
            if !named.contains(&path.as_str()) {
                std::fs::remove_file(entry.path()).map_err(|error| Error::io("clean", folder, &error))?;
            }
        }
    }
    Ok(())
}

/// Takes the tables of a month out of the store, when those who read it are done; the caller holds the store's lock.
/// Nothing is done where there are none.
pub fn remove(store: &Store, period: ReportingPeriod) -> Result<()> {
    let folder = store.partition(period);
    if !folder.is_dir() {
        return Ok(());
    }
    let lock = manifest::lock(&folder)?;
    lock.lock().map_err(|error| Error::io("lock", &folder, &error))?;
    // Without its manifest, the month is not loaded any more, and nobody waits for the lock, which lies in the folder.
    fs::remove_file(&folder.join(MANIFEST))?;
    drop(lock);
    fs::remove_folder(&folder)
}

/// Where a file lies before it is in place.
fn draft_of(work: &DraftFolder, path: &str) -> PathBuf {
    work.path().join(path.replace('/', "-"))
}

/// Moves the files in, then the manifest over the old one: that is the moment of the change. Then the old files go.
fn publish(folder: &Path, work: &DraftFolder, manifest: Manifest, reporter: &dyn Reporter) -> Result<Partition> {
    for table in Table::ALL {
        fs::make_folder(&folder.join(table.name()))?;
    }
    for file in manifest.files() {
        fs::move_into_place(&draft_of(work, &file.path), &folder.join(&file.path))?;
    }
    for table in Table::ALL {
        fs::sync_folder(&folder.join(table.name()))?;
    }
    // Queries that are reading the month go on until they are done; the next ones see the new month.
    let lock = manifest::lock(folder)?;
    lock.lock().map_err(|error| Error::io("lock", folder, &error))?;
    fs::write_json(&folder.join(MANIFEST), &manifest)?;
    // The month is changed, whatever becomes of files that nothing names any more: the next load removes them.
    if let Err(error) = remove_nameless(folder) {
        reporter.warned(error.message());
    }
    drop(lock);
    Ok(Partition::new(folder, manifest))
}
