//! A [`Release`] → CSV, an Excel workbook, JSON, Parquet, Arrow, or a table for the terminal, Markdown or LaTeX, with
//! `release.json` beside each file; and `datapackage.json` for a folder of releases. docs/outputs.md describes them for readers.
//!
//! Those for programs are the same long form: columns of labels, then the measure, the numbers of the release's kind,
//! status and audience.

pub mod grid;
pub mod label;
mod markup;
pub mod package;
pub mod page;
pub mod span;
mod table;
pub mod workbook;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::disclosure::release::{DESCRIPTION, Document, Number, NumberColumn, TableNote, Unit};
use crate::disclosure::{Cell, Release};
use crate::error::{Error, Result};
use crate::fs;
use grid::Look;

/// How a release is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, on a terminal
    #[default]
    Table,
    /// Comma-separated values, UTF-8
    Csv,
    /// An Excel workbook, with its notes on a second sheet
    Xlsx,
    /// An array of objects, one for each row
    Json,
    /// Apache Parquet
    Parquet,
    /// Apache Arrow IPC file
    Arrow,
    /// A table in Markdown, with its notes
    Markdown,
    /// A table in LaTeX (booktabs, longtable), with its notes
    Latex,
}

impl Format {
    /// The name in `release.json`, and the ending of a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Markdown => "md",
            Self::Latex => "tex",
        }
    }

    /// All formats.
    fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// The format of a name in `release.json`.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().iter().find(|format| format.name() == name).copied()
    }

    /// The format of a file: the one that its ending says, or the one that was typed, when the ending says no other.
    pub fn of_file(path: &Path, typed: Option<Self>) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match (ending.as_deref().and_then(Self::named), typed) {
            (Some(said), Some(typed)) if said != typed => {
                let [said, typed] = [said, typed].map(|format| (format.name(), format.word()));
                Err(Error::usage(format!("`{}` ends in .{}, and `--format` says {}", path.display(), said.0, typed.1))
                    .hint(format!("end it in .{}, or leave `--format` away", typed.0)))
            }
            (Some(format), _) | (None, Some(format)) => Ok(format),
            (None, None) => {
                let endings = Self::all().iter().map(|format| format!(".{}", format.name())).collect::<Vec<_>>();
                Err(Error::usage(format!("the ending of `{}` tells no format", path.display()))
                    .hint(format!("end it in {}, or add `--format`; Excel opens .xlsx as it is", endings.join(", "))))
            }
        }
    }

    /// The name on the command line.
    fn word(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The media type, as IANA has it where it has one.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain",
            Self::Csv => "text/csv",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Json => "application/json",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.file",
            Self::Markdown => "text/markdown",
            Self::Latex => "application/x-latex",
        }
    }

    /// Whether the bytes are no text.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Xlsx | Self::Parquet | Self::Arrow)
    }
}

/// A format with what can be chosen of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The format.
    pub format: Format,
    /// Of CSV: whether it begins with a byte order mark, by which Excel knows UTF-8.
    bom: bool,
    /// Of a table for people: the screen that it is for.
    look: Look,
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        Self { format, ..Self::default() }
    }
}

impl Form {
    /// A format, and whether it shall begin with a byte order mark: CSV alone can.
    pub fn new(format: Format, bom: bool) -> Result<Self> {
        if bom && format != Format::Csv {
            return Err(Error::usage("`--bom` is for CSV").hint("add `--format csv`, or leave `--bom` away"));
        }
        Ok(Self { bom, ..Self::from(format) })
    }

    /// The same for a screen.
    #[must_use]
    pub fn on(self, look: Look) -> Self {
        Self { look, ..self }
    }
}

/// Names of all columns.
pub fn columns(release: &Release) -> Vec<String> {
    let labels = release.label_columns().iter().cloned();
    let measure = release.document().measure.as_ref().map(|_| "measure".to_owned());
    let numbers = release.kind().columns().into_iter().map(|column| column.name.to_owned());
    labels.chain(measure).chain(numbers).chain(["status", "audience"].map(str::to_owned)).collect()
}

/// The bytes of a release in a format.
pub fn render(release: &Release, form: impl Into<Form>) -> Result<Vec<u8>> {
    let form = form.into();
    match form.format {
        Format::Table => Ok(table::render(release, form.look).into_bytes()),
        Format::Csv => csv(release, form.bom),
        Format::Xlsx => workbook::Workbook::of(release).bytes(),
        Format::Json => json(release),
        Format::Parquet => parquet(release),
        Format::Arrow => arrow_file(release),
        Format::Markdown => Ok(markup::markdown(release).into_bytes()),
        Format::Latex => Ok(markup::latex(release).into_bytes()),
    }
}

/// A release on disk.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where its description is: `release.json`, or `<file>.release.json` where another release already has that name.
    pub description: PathBuf,
    /// What the description says.
    pub document: Document,
}

/// Writes a release to `path` and its description beside it, each whole or not at all.
pub fn write(release: &Release, form: impl Into<Form>, path: &Path) -> Result<Written> {
    let description = place(path)?;
    put(release, form.into(), path, description)
}

/// Writes a release as CSV into a folder of its own in the store, which nothing was in before.
pub fn keep(release: &Release, folder: &Path) -> Result<()> {
    put(release, Format::Csv.into(), &table_in(folder, Format::Csv), folder.join(DESCRIPTION)).map(drop)
}

fn put(release: &Release, form: Form, path: &Path, description: PathBuf) -> Result<Written> {
    let bytes = render(release, form)?;
    let mut document = release.document().clone();
    document.table = Some(TableNote {
        format: form.format.name().to_owned(),
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: fs::sha256_hex(&bytes),
        rows: release.cells().len() as u64,
        columns: columns(release),
    });
    // The description first: a table that is there without one would be taken for somebody else's.
    fs::write_output(&description, &fs::json(&document)?)?;
    fs::write_output(path, &bytes)?;
    Ok(Written { description, document })
}

/// The table of a release that has a folder of its own.
pub fn table_in(folder: &Path, format: Format) -> PathBuf {
    folder.join(format!("table.{}", format.name()))
}

/// Where the description of a table's file goes. Refused is what can be no file of a table, a file that is
/// there and that no description says is a table, and a folder that is not there: whoever must know before a release is
/// noted asks here first.
pub fn place(path: &Path) -> Result<PathBuf> {
    let file = path.file_name().and_then(|name| name.to_str());
    let file =
        file.ok_or_else(|| Error::usage(format!("`{}` names no file", path.display())).hint("name a file in `--out`"))?;
    if file == DESCRIPTION {
        return Err(Error::usage(format!(
            "a table cannot be called {DESCRIPTION}: that is the name of its description"
        ))
        .hint("name another file in `--out`"));
    }
    fs::may_become(path)?;
    let describes = |text: &[u8]| described(text).is_some_and(|table| table == file);
    let description = fs::description_path(path, DESCRIPTION, describes)?;
    let read = |path: &Path| std::fs::read(path).unwrap_or_default();
    fs::may_replace(&description, "description of a table", |path| described(&read(path)).is_some())?;
    fs::may_replace(path, "table", |_| describes(&read(&description)))?;
    Ok(description)
}

/// The name of the table that a description is of, whichever version wrote it.
fn described(description: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Description {
        #[serde(rename = "release_id")]
        _release_id: String,
        table: Table,
    }
    #[derive(serde::Deserialize)]
    struct Table {
        file: String,
    }
    Some(serde_json::from_slice::<Description>(description).ok()?.table.file)
}

/// Shares with six digits after the point: enough for any count of people in Texas, and the same text everywhere.
fn share(value: f64) -> String {
    format!("{value:.6}")
}

/// A share as it is written, as a number.
pub fn rounded(value: f64) -> f64 {
    // Adding 0 takes the sign of a zero away.
    share(value).parse::<f64>().unwrap_or(value) + 0.0
}

/// The numbers of a row by column; none of a withheld one.
fn numbers(release: &Release, cell: &Cell) -> Vec<Option<Number>> {
    cell.values().map_or_else(|| vec![None; release.kind().columns().len()], <[_]>::to_vec)
}

fn csv(release: &Release, bom: bool) -> Result<Vec<u8>> {
    let failed = |_| Error::internal("a release has no CSV form");
    let document = release.document();
    let mut writer = csv::Writer::from_writer(if bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() });
    writer.write_record(columns(release)).map_err(failed)?;
    for cell in release.cells() {
        let numbers = numbers(release, cell).into_iter().map(|number| match number {
            Some(Number::Count(count)) => count.to_string(),
            Some(Number::Share(value)) => share(value),
            None => String::new(),
        });
        let labels = cell.labels.iter().map(|label| label::guarded(label));
        let row = labels.chain(document.measure_label()).chain(numbers);
        let row = row.chain([cell.status.word(), document.audience.word()].map(str::to_owned));
        writer.write_record(row.collect::<Vec<_>>()).map_err(failed)?;
    }
    writer.into_inner().map_err(|_| Error::internal("a release has no CSV form"))
}

fn json(release: &Release) -> Result<Vec<u8>> {
    let document = release.document();
    let rows: Vec<serde_json::Value> = release
        .cells()
        .iter()
        .map(|cell| {
            let texts = cell.labels.iter().cloned().chain(document.measure_label()).map(serde_json::Value::from);
            let numbers = numbers(release, cell).into_iter().map(|number| match number {
                Some(Number::Count(count)) => count.into(),
                Some(Number::Share(value)) => rounded(value).into(),
                None => serde_json::Value::Null,
            });
            let end = [cell.status.word(), document.audience.word()].map(serde_json::Value::from);
            columns(release).into_iter().zip(texts.chain(numbers).chain(end)).collect()
        })
        .map(serde_json::Value::Object)
        .collect();
    fs::json(&rows)
}

fn batch(release: &Release) -> Result<RecordBatch> {
    let (cells, document) = (release.cells(), release.document());
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let mut arrays: Vec<ArrayRef> = (0..release.label_columns().len())
        .map(|at| text(cells.iter().map(|cell| cell.labels[at].as_str()).collect()))
        .collect();
    arrays.extend(document.measure_label().map(|measure| text(vec![&measure; cells.len()])));
    for (at, column) in release.kind().columns().into_iter().enumerate() {
        let values = cells.iter().map(|cell| cell.values().and_then(|values| values[at]));
        arrays.push(if column.unit == Unit::Share {
            let shares = values.map(|value| match value {
                Some(Number::Share(share)) => Some(share),
                _ => None,
            });
            Arc::new(shares.collect::<Float64Array>())
        } else {
            let counts = values.map(|value| match value {
                Some(Number::Count(count)) => i64::try_from(count).ok(),
                _ => None,
            });
            Arc::new(counts.collect::<Int64Array>())
        });
    }
    arrays.extend([
        text(cells.iter().map(|cell| cell.status.word()).collect()),
        text(vec![document.audience.word(); cells.len()]),
    ]);
    let numbers = release.kind().columns();
    let fields = columns(release).into_iter().zip(&arrays).map(|(name, array)| {
        let number = numbers.iter().find(|number| number.name == name);
        let of_number = |NumberColumn { title, unit, .. }: &NumberColumn| {
            HashMap::from(
                [("title", *title), ("unit", unit.word())].map(|(key, text)| (key.to_owned(), text.to_owned())),
            )
        };
        Field::new(name, array.data_type().clone(), *array.data_type() != DataType::Utf8)
            .with_metadata(number.map(of_number).unwrap_or_default())
    });
    let metadata = serde_json::to_string(document).map_err(|_| Error::internal("a release has no JSON form"))?;
    let metadata = HashMap::from([("phds.release".to_owned(), metadata)]);
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
