//! Accepted rows → a month's [`Partition`]: two tables of plain Parquet, whole or not at all.
//!
//! Rows are spilled into buckets by client key while the check reads, so that a bucket holds whole histories and fits in
//! memory whatever the size of the file. [`Staging::commit`] then takes one bucket at a time: sorts it, evaluates its
//! histories, and writes its rows of both tables. The manifest is written last and names every file: readers take only
//! what it names.

mod bucket;
pub mod manifest;
mod tables;

use std::path::{Path, PathBuf};

use arrow::array::{Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use chrono::{SubsecRound, Utc};

use crate::check::{Accepted, CLIENT_KEY, Sink, batch_schema};
use crate::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::fs::{self, DraftFolder};
use crate::measure::Measures;
use crate::progress::Reporter;
use crate::provenance::{DeliveryId, Edition, Tool};
use crate::secret::random_bytes;
use crate::store::Store;
use manifest::{Manifest, PartFile, Table};

pub use manifest::Partition;

/// Bytes of delivery for which one bucket is made: its rows fit in some hundred megabytes of memory.
const BYTES_PER_BUCKET: u64 = 64 << 20;
/// The most buckets, because each is an open file.
const MOST_BUCKETS: usize = 512;

/// The rows of one month on their way into the store. Dropping it leaves the store as it was.
pub struct Staging<'a> {
    dictionary: &'a Dictionary,
    measures: &'a Measures,
    folder: PathBuf,
    delivery: DeliveryId,
    /// Spilled buckets and finished files that are not in place yet.
    work: DraftFolder,
    schema: SchemaRef,
    buckets: Vec<Bucket>,
}

struct Bucket {
    path: PathBuf,
    writer: StreamWriter<std::io::BufWriter<std::fs::File>>,
}

impl<'a> Staging<'a> {
    /// Begins a month. Files that no manifest names are removed first; the caller holds the store's lock.
    pub fn begin(
        store: &Store,
        delivery: &Delivery,
        dictionary: &'a Dictionary,
        measures: &'a Measures,
    ) -> Result<Self> {
        let folder = store.partition(delivery.period());
        fs::make_folder(&folder)?;
        remove_nameless(&folder)?;
        let work = fs::draft_folder(&folder)?;
        let schema = batch_schema(dictionary);
        let count = usize::try_from(delivery.bytes() / BYTES_PER_BUCKET).unwrap_or(MOST_BUCKETS) + 1;
        let buckets = (0..count.next_power_of_two().min(MOST_BUCKETS))
            .map(|number| {
                let path = work.path().join(format!("bucket-{number:04}.arrows"));
                let file = fs::create_private(&path)?;
                let writer = StreamWriter::try_new(std::io::BufWriter::new(file), &schema)
                    .map_err(|error| spill_failed(&path, &error))?;
                Ok(Bucket { path, writer })
            })
            .collect::<Result<_>>()?;
        Ok(Self { dictionary, measures, folder, delivery: delivery.id(), work, schema, buckets })
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
        let Self { dictionary, measures, folder, delivery, work, schema, buckets } = self;
        let report = accepted.report().document();
        if report.delivery != delivery {
            return Err(Error::internal("the rows of one delivery are not accepted by the report of another"));
        }
        reporter.started("convert", None);
        let writer = tables::Writer::new(dictionary, measures, &schema)?;
        let load = u64::from_le_bytes(random_bytes()?);
        let mut parts = [Vec::new(), Vec::new()];
        for (number, bucket) in buckets.into_iter().enumerate() {
            let rows = bucket.read_back()?;
            let sorted = bucket::sort(&rows)?;
            drop(rows);
            for (table, (batch, parts)) in
                Table::ALL.into_iter().zip(writer.tables(&sorted)?.into_iter().zip(&mut parts))
            {
                let name = format!("part-{load:016x}-{number:04}.parquet");
                let file = writer.write(table, &batch, &work.path().join(format!("{}-{name}", table.name())))?;
                parts.push(PartFile {
                    path: format!("{}/{name}", table.name()),
                    rows: batch.num_rows() as u64,
                    ..file
                });
            }
        }
        let [immunizations, clients] = parts;
        let manifest = Manifest {
            schema_version: 1,
            tool: Tool::this(),
            reporting_period: report.reporting_period,
            loaded_at: Utc::now().trunc_subsecs(0),
            delivery: report.delivery.clone(),
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
            first_inclusion_year: dictionary.first_inclusion_year(),
            totals: report.totals,
            immunizations: writer.describe(Table::Immunizations, immunizations)?,
            clients: writer.describe(Table::Clients, clients)?,
        };
        let partition = publish(&folder, &work, manifest)?;
        let manifest = partition.manifest();
        reporter.finished(&format!("{} clients, {} immunizations", manifest.clients.rows, manifest.immunizations.rows));
        Ok(partition)
    }
}

impl Sink for Staging<'_> {
    fn accept(&mut self, batch: RecordBatch) -> Result<()> {
        if let [only] = self.buckets.as_mut_slice() {
            return only.spill(&batch);
        }
        let keys = batch.column_by_name(CLIENT_KEY).and_then(|column| column.as_any().downcast_ref::<Int64Array>());
        let keys = keys.ok_or_else(|| Error::internal("a batch has no client keys"))?;
        // The keys are uniform, so their top bits spread clients evenly.
        let shift = 64 - self.buckets.len().trailing_zeros();
        let mut rows = vec![Vec::new(); self.buckets.len()];
        for (row, key) in (0u32..).zip(keys.values()) {
            rows[usize::try_from(key.cast_unsigned() >> shift).unwrap_or(0)].push(row);
        }
        for (bucket, rows) in self.buckets.iter_mut().zip(rows) {
            if !rows.is_empty() {
                let part = arrow::compute::take_record_batch(&batch, &UInt32Array::from(rows))
                    .map_err(|_| Error::internal("cannot take the rows of a bucket"))?;
                bucket.spill(&part)?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Staging<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staging").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Bucket {
    fn spill(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|error| spill_failed(&self.path, &error))
    }

    fn read_back(self) -> Result<RecordBatch> {
        let failed = |error: &arrow::error::ArrowError| spill_failed(&self.path, error);
        let written = self.writer.into_inner().map_err(|error| failed(&error))?.into_inner();
        drop(written.map_err(|error| Error::io("write", &self.path, error.error()))?);
        let file = std::fs::File::open(&self.path).map_err(|error| Error::io("read", &self.path, &error))?;
        let reader = StreamReader::try_new_buffered(file, None).map_err(|error| failed(&error))?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
        let _ = std::fs::remove_file(&self.path);
        arrow::compute::concat_batches(&schema, &batches).map_err(|error| failed(&error))
    }
}

/// Only the operating system's words are passed on.
fn spill_failed(path: &Path, error: &arrow::error::ArrowError) -> Error {
    match error {
        arrow::error::ArrowError::IoError(_, error) => Error::io("write", path, error),
        _ => Error::internal(format!("cannot set rows aside in `{}`", path.display())),
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

/// Moves the files in, then the manifest over the old one: that is the moment of the change. Then the old files go.
fn publish(folder: &Path, work: &DraftFolder, manifest: Manifest) -> Result<Partition> {
    for table in Table::ALL {
        fs::make_folder(&folder.join(table.name()))?;
    }
    for file in manifest.files() {
        fs::move_into_place(&work.path().join(file.path.replace('/', "-")), &folder.join(&file.path))?;
    }
    for table in Table::ALL {
        fs::sync_folder(&folder.join(table.name()))?;
    }
    // Queries that are reading the month go on until they are done; the next ones see the new month.
    let lock = manifest::lock(folder)?;
    lock.lock().map_err(|error| Error::io("lock", folder, &error))?;
    fs::write_json(&folder.join("manifest.json"), &manifest)?;
    remove_nameless(folder)?;
    drop(lock);
    Ok(Partition::new(folder, manifest))
}
