//! A [`Release`] → CSV, JSON, Parquet, Arrow or a table for the terminal, with `release.json` beside each file.
//!
//! All of them are the same long form: dimension columns, then measure, numerator, denominator, rate,
//! `ci_low`, `ci_high`, status, audience.

mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::disclosure::release::{Document, TableNote};
use crate::disclosure::{Cell, Release};
use crate::error::{Error, Result};
use crate::fs;

/// How a release is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, on a terminal
    #[default]
    Table,
    /// Comma-separated values, UTF-8
    Csv,
    /// An array of objects, one for each row
    Json,
    /// Apache Parquet
    Parquet,
    /// Apache Arrow IPC file
    Arrow,
}

impl Format {
    /// The name in `release.json`, and the ending of a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Whether the bytes are no text.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// The columns after the dimensions.
const COLUMNS: [&str; 8] = ["measure", "numerator", "denominator", "rate", "ci_low", "ci_high", "status", "audience"];

const DESCRIPTION: &str = "release.json";

/// Names of all columns.
pub fn columns(release: &Release) -> Vec<String> {
    release.dimensions().iter().cloned().chain(COLUMNS.map(str::to_owned)).collect()
}

/// The bytes of a release in a format.
pub fn render(release: &Release, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Table => Ok(table::render(release).into_bytes()),
        Format::Csv => csv(release),
        Format::Json => json(release),
        Format::Parquet => parquet(release),
        Format::Arrow => arrow_file(release),
    }
}

/// Writes a release to `path` and its description beside it, each whole or not at all, and gives the path of the
/// description: `release.json`, or `<file>.release.json` where another release already has that name.
pub fn write(release: &Release, format: Format, path: &Path) -> Result<PathBuf> {
    let bytes = render(release, format)?;
    let file = path.file_name().and_then(|name| name.to_str());
    let file = file.ok_or_else(|| Error::usage(format!("`{}` names no file", path.display())))?;
    let mut document = release.document().clone();
    document.table = Some(TableNote {
        format: format.name().to_owned(),
        file: file.to_owned(),
        sha256: fs::sha256_hex(&bytes),
        rows: release.cells().len() as u64,
        columns: columns(release),
    });
    if file == DESCRIPTION {
        return Err(Error::usage(format!(
            "a table cannot be called {DESCRIPTION}: that is the name of its description"
        )));
    }
    let description = fs::description_path(path, DESCRIPTION, |text| {
        serde_json::from_slice::<Document>(text).is_ok_and(|other| other.table.is_none_or(|table| table.file == file))
    })?;
    fs::write_whole(path, &bytes)?;
    fs::write_json(&description, &document)?;
    Ok(description)
}

/// Shares with six digits after the point: enough for any count of people in Texas, and the same text everywhere.
fn share(value: f64) -> String {
    format!("{value:.6}")
}

fn csv(release: &Release) -> Result<Vec<u8>> {
    let failed = |_| Error::internal("a release has no CSV form");
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns(release)).map_err(failed)?;
    for cell in release.cells() {
        let counts = cell.counts();
        let interval = cell.interval();
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let ratio = |value: Option<f64>| value.map(share).unwrap_or_default();
        let values = [
            release.document().measure.id.clone(),
            number(counts.map(|counts| counts.0)),
            number(counts.map(|counts| counts.1)),
            ratio(cell.rate()),
            ratio(interval.map(|interval| interval.0)),
            ratio(interval.map(|interval| interval.1)),
            cell.status.word().to_owned(),
            release.document().audience.word().to_owned(),
        ];
        writer.write_record(cell.labels.iter().chain(&values)).map_err(failed)?;
    }
    writer.into_inner().map_err(|_| Error::internal("a release has no CSV form"))
}

fn json(release: &Release) -> Result<Vec<u8>> {
    let rows: Vec<serde_json::Value> = release
        .cells()
        .iter()
        .map(|cell| {
            let mut row = serde_json::Map::new();
            for (dimension, label) in release.dimensions().iter().zip(&cell.labels) {
                row.insert(dimension.clone(), label.as_str().into());
            }
            let rounded = |value: Option<f64>| value.and_then(|value| share(value).parse::<f64>().ok());
            row.insert("measure".into(), release.document().measure.id.as_str().into());
            row.insert("numerator".into(), cell.counts().map(|counts| counts.0).into());
            row.insert("denominator".into(), cell.counts().map(|counts| counts.1).into());
            row.insert("rate".into(), rounded(cell.rate()).into());
            row.insert("ci_low".into(), rounded(cell.interval().map(|interval| interval.0)).into());
            row.insert("ci_high".into(), rounded(cell.interval().map(|interval| interval.1)).into());
            row.insert("status".into(), cell.status.word().into());
            row.insert("audience".into(), release.document().audience.word().into());
            row.into()
        })
        .collect();
    let mut text = serde_json::to_vec_pretty(&rows).map_err(|_| Error::internal("a release has no JSON form"))?;
    text.push(b'\n');
    Ok(text)
}

fn batch(release: &Release) -> Result<RecordBatch> {
    let cells = release.cells();
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let count = |values: Vec<Option<u64>>| {
        let values = values.into_iter().map(|value| value.and_then(|value| i64::try_from(value).ok()));
        Arc::new(values.collect::<Int64Array>()) as ArrayRef
    };
    let ratio = |values: Vec<Option<f64>>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let mut arrays: Vec<ArrayRef> = (0..release.dimensions().len())
        .map(|at| text(cells.iter().map(|cell| cell.labels[at].as_str()).collect()))
        .collect();
    let document = release.document();
    arrays.extend([
        text(vec![&document.measure.id; cells.len()]),
        count(cells.iter().map(|cell| cell.counts().map(|counts| counts.0)).collect()),
        count(cells.iter().map(|cell| cell.counts().map(|counts| counts.1)).collect()),
        ratio(cells.iter().map(Cell::rate).collect()),
        ratio(cells.iter().map(|cell| cell.interval().map(|interval| interval.0)).collect()),
        ratio(cells.iter().map(|cell| cell.interval().map(|interval| interval.1)).collect()),
        text(cells.iter().map(|cell| cell.status.word()).collect()),
        text(vec![document.audience.word(); cells.len()]),
    ]);
    let fields = columns(release).into_iter().zip(&arrays);
    let fields =
        fields.map(|(name, array)| Field::new(name, array.data_type().clone(), *array.data_type() != DataType::Utf8));
    let metadata = serde_json::to_string(document).map_err(|_| Error::internal("a release has no JSON form"))?;
    let metadata = std::collections::HashMap::from([("phds.release".to_owned(), metadata)]);
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata);
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(|_| Error::internal("a release does not fit its schema"))
}

fn parquet(release: &Release) -> Result<Vec<u8>> {
    let failed = |_| Error::internal("a release has no Parquet form");
    let batch = batch(release)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

fn arrow_file(release: &Release) -> Result<Vec<u8>> {
    let failed = |_| Error::internal("a release has no Arrow form");
    let batch = batch(release)?;
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}
