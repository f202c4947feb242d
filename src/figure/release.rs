//! A release as files: the table, and what its description says. Read by anybody who has the two files; nothing else
//! of this program is needed.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::Deserialize;

use crate::disclosure::release::{CohortNote, DESCRIPTION, DimensionNote, FunnelNote, IntervalNote, PartNote};
pub use crate::disclosure::release::{NumberNote, Status, Unit};
use crate::disclosure::{COMPLETE, POOL};
use crate::error::{Error, Result};
use crate::fs;
use crate::output::label;
use crate::output::span::Covered;
use crate::period::ReportingPeriod;
use crate::provenance::Tool;
use crate::words::list;

/// What of `release.json` goes around a figure.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// Names question, month and knowledge.
    pub release_id: String,
    /// For whom it is.
    pub audience: String,
    /// The same as a sentence.
    pub marking: String,
    /// What made it.
    pub tool: Tool,
    /// What is asked.
    pub indicator: String,
    /// What is measured; doses have no measure.
    pub measure: Option<Measure>,
    /// Of dropout, the earlier measure.
    pub from_measure: Option<Measure>,
    /// What the ids in the column `missing` stand for.
    #[serde(default)]
    pub parts: Vec<PartNote>,
    /// Who is counted.
    pub cohort: CohortNote,
    /// What the rates are shares of; each row names its own where there are several.
    pub denominators: Vec<Denominator>,
    /// The first columns.
    pub dimensions: Vec<DimensionNote>,
    /// The columns of labels.
    pub labels: Vec<String>,
    /// The columns of numbers.
    #[serde(default)]
    pub numbers: Vec<NumberNote>,
    /// The filters, as they are written.
    #[serde(rename = "where")]
    pub filters: serde_json::Value,
    /// The rules of attribution, as they are written.
    #[serde(default)]
    pub attributions: serde_json::Value,
    /// The dimension whose make-up was made alike, where one was.
    pub standardized_by: Option<DimensionNote>,
    /// How intervals are made, where there are any.
    pub interval: Option<IntervalNote>,
    /// What the limits of organizations come from, where the table has any.
    pub funnel: Option<FunnelNote>,
    /// The month.
    pub reporting_period: ReportingPeriod,
    /// How small a count may be.
    pub disclosure: Disclosure,
    /// What a reader must know.
    pub caveats: Vec<String>,
    /// The table beside it.
    pub table: Option<File>,
}

/// A measure.
#[derive(Clone, Debug, Deserialize)]
pub struct Measure {
    /// Id.
    pub id: String,
    /// A few words.
    pub title: String,
    /// What counts, in a sentence.
    pub definition: String,
    /// Version of its definition.
    pub version: String,
    /// Where the definition comes from.
    pub source: String,
}

/// What rates are shares of.
#[derive(Clone, Debug, Deserialize)]
pub struct Denominator {
    /// Its name.
    pub source: String,
    /// In a sentence.
    pub description: String,
    /// The population file, as it is written.
    #[serde(default)]
    pub population: serde_json::Value,
}

/// The policy of small counts.
#[derive(Clone, Debug, Deserialize)]
pub struct Disclosure {
    /// No count of 1 to k - 1 is told.
    pub k: u64,
}

/// A table file.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    /// `csv`, `json` and others.
    pub format: String,
    /// File name.
    pub file: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// The numbers of a row, as far as they are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// What the row tells.
    pub status: Status,
    /// A count; of a table of doses, these.
    pub numerator: Option<u64>,
    /// A count.
    pub denominator: Option<u64>,
    /// 0 to 1; of a population it may be more.
    pub rate: Option<f64>,
    /// Around the rate.
    pub interval: Option<(f64, f64)>,
}

/// A table whose cells are texts, a missing one empty.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A table with its description.
#[derive(Clone, Debug)]
pub struct Release {
    /// What the table is.
    pub description: Description,
    /// The rows.
    pub table: Table,
}

/// The indicator that counts clients of all ages.
const DOSES: &str = "doses";

/// The first releases in the folders of a folder.
fn releases_in(folder: &Path) -> Vec<String> {
    let folders = fs::folders_in(folder).unwrap_or_default();
    let mut releases: Vec<_> = folders.into_iter().filter(|folder| folder.join(DESCRIPTION).is_file()).collect();
    releases.sort();
    releases.into_iter().take(5).map(|release| format!("`{}`", release.display())).collect()
}

impl Release {
    /// Reads a release from disk: its table, its description, or the folder of both. Refused are a table without a
    /// description, and one that is not what its description says.
    pub fn open(path: &Path) -> Result<Self> {
        let (description, table) = if path.is_dir() {
            (path.join(DESCRIPTION), None)
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(DESCRIPTION)) {
            (path.to_owned(), None)
        } else {
            (describing(path)?, Some(path.to_owned()))
        };
        let text = std::fs::read(&description).map_err(|error| {
            let error = Error::named_file("read", &description, &error);
            let inside = if path.is_dir() { releases_in(path) } else { Vec::new() };
            if inside.is_empty() {
                error
            } else {
                error.hint(format!("name one of the releases in it: {}", list(&inside)))
            }
        })?;
        let Some(table) = table.or_else(|| table_beside(&description, &text)) else {
            return Err(not_described(&description));
        };
        let bytes = std::fs::read(&table).map_err(|error| Error::named_file("read", &table, &error))?;
        Self::read(&bytes, &text).map_err(|error| error.also(&format!(" (`{}`)", table.display())))
    }

    /// Reads the bytes of a table and of its description.
    pub fn read(table: &[u8], description: &[u8]) -> Result<Self> {
        let description =
            parse(description).ok_or_else(|| Error::refused("the description of the table is not one of phds"))?;
        let Some(file) = &description.table else {
            return Err(Error::refused("the description names no table"));
        };
        if !file.sha256.eq_ignore_ascii_case(&fs::sha256_hex(table)) {
            return Err(Error::refused("the table is not the one that its description is about: its SHA-256 differs")
                .hint("somebody changed it; ask the question again with `phds query … --out FILE`, and plot that"));
        }
        let table = match file.format.as_str() {
            "csv" => Table::from_csv(table),
            "json" => Table::from_json(table),
            _ => {
                return Err(Error::usage(format!(
                    "releases are read as CSV or JSON, and this table is {}",
                    file.format
                ))
                .hint("ask again with `--format csv`"));
            }
        };
        let table = table.ok_or_else(|| Error::refused("the table cannot be read"))?;
        let release = Self { description, table };
        release.check()?;
        Ok(release)
    }

    /// Withheld rows hold no numbers, all others do, and every number is one.
    fn check(&self) -> Result<()> {
        let dimensions = self.description.dimensions.iter().map(|dimension| dimension.id.as_str());
        for column in dimensions.chain(["status"]) {
            if !self.table.is_empty() && self.table.column(column).is_none() {
                return Err(Error::refused(format!("the table has no column `{column}`")));
            }
        }
        for row in 0..self.table.len() {
            self.value(row)?;
        }
        Ok(())
    }

    /// The numbers of a row, counted from 0.
    pub fn value(&self, row: usize) -> Result<Value> {
        // The header is line 1 of a CSV file.
        let wrong = |what: &str| Error::refused(format!("row {} of the table: {what}", row + 2));
        let status = self.table.cell(row, "status").and_then(Status::of);
        let share = |column: &str| match self.number::<f64>(row, column)? {
            Some(share) if !(0.0..=1.0).contains(&share) => Err(wrong(&format!("`{column}` is no share"))),
            share => Ok(share),
        };
        // Of a population there may be more clients than people.
        let is_population = |denominator: &Denominator| denominator.source.starts_with("population:");
        let most = if self.description.denominators.iter().any(is_population) { f64::MAX } else { 1.0 };
        let rate = self.number::<f64>(row, "rate")?;
        if rate.is_some_and(|rate| !(0.0..=most).contains(&rate)) {
            return Err(wrong("`rate` is no rate"));
        }
        let value = Value {
            status: status.ok_or_else(|| wrong("its status is none that is known"))?,
            numerator: self.number(row, "numerator")?.or(self.number(row, "doses")?),
            denominator: self.number(row, "denominator")?,
            rate,
            interval: share("ci_low")?.zip(share("ci_high")?),
        };
        let told = value.numerator.is_some() || value.rate.is_some();
        match value.status {
            Status::Shown | Status::Zero if !told => Err(wrong("it has no numbers")),
            Status::Suppressed if told || value.denominator.is_some() => {
                Err(wrong("it is suppressed, and has numbers"))
            }
            Status::NotApplicable if told => Err(wrong("nobody is in its denominator, and it has numbers")),
            _ => Ok(value),
        }
    }

    /// The same release with some of its rows, which are counted from 0.
    #[must_use]
    pub fn only(&self, rows: &[usize]) -> Self {
        let rows = rows.iter().filter_map(|row| self.table.rows.get(*row)).cloned().collect();
        Self { table: Table { header: self.table.header.clone(), rows }, ..self.clone() }
    }

    /// The rows of several releases of one form, each with its measure in a column `vaccine`, and with the days of birth of its
    /// own cohort: what a page shows side by side. Its description is that of the first, with everybody's denominators and
    /// caveats and without a measure. None where there is no release, or where their columns differ.
    pub fn side_by_side(releases: &[&Self]) -> Option<Self> {
        const VACCINE: &str = "vaccine";
        let first = *releases.first()?;
        let mut whole = Self {
            description: Description { measure: None, ..first.description.clone() },
            table: Table { header: Vec::new(), rows: Vec::new() },
        };
        let own = [VACCINE, BORN_FROM, BORN_TO].map(str::to_owned);
        whole.table.header = own.into_iter().chain(first.table.header.iter().cloned()).collect();
        for release in releases {
            if release.table.header != first.table.header {
                return None;
            }
            let title = release.description.measure.as_ref()?.title.clone();
            let rows = release.table.rows.iter();
            let cohort = &release.description.cohort;
            let day = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
            let own = [title, day(cohort.born_from), day(cohort.born_to)];
            whole.table.rows.extend(rows.map(|row| own.iter().chain(row).cloned().collect::<Vec<_>>()));
            let description = &mut whole.description;
            for denominator in &release.description.denominators {
                if description.denominators.iter().all(|known| known.description != denominator.description) {
                    description.denominators.push(denominator.clone());
                }
            }
            let caveats = release.description.caveats.iter();
            let new: Vec<String> = caveats.filter(|caveat| !description.caveats.contains(caveat)).cloned().collect();
            description.caveats.extend(new);
        }
        let vaccine = DimensionNote { id: VACCINE.to_owned(), title: "Vaccine".to_owned(), is_age: false };
        whole.description.dimensions.insert(0, vaccine);
        whole.description.labels.insert(0, VACCINE.to_owned());
        Some(whole)
    }

    /// The days that a row covers.
    fn covered(&self, row: usize) -> Covered {
        let CohortNote { born_from, born_to, as_of, .. } = self.description.cohort;
        let own = |column: &str| self.table.cell(row, column).and_then(|day| day.parse().ok());
        let born = own(BORN_FROM).or(born_from).zip(own(BORN_TO).or(born_to));
        // Earlier versions told days of birth of doses, too.
        Covered { born: born.filter(|_| self.description.indicator != DOSES), as_of }
    }

    /// Where what a row covers begins or ends within the period that a column names: `to 2023-06-30`. None where the period
    /// is whole, or the column has none.
    pub fn cut(&self, row: usize, column: &str) -> Option<String> {
        self.covered(row).cut(column, self.table.cell(row, column)?)
    }

    /// The label of a row, with what is cut off its period: `2023 (to 06-30)`.
    pub fn label(&self, row: usize, column: &str) -> String {
        self.covered(row).label(column, self.table.cell(row, column).unwrap_or_default())
    }

    /// Whether a row is of the sets of missing parts that are pooled because they are small.
    pub fn is_pool(&self, row: usize) -> bool {
        self.table.cell(row, MISSING).is_some_and(|set| set.starts_with(POOL))
    }

    /// Whether a row is of the clients who lack no part.
    pub fn is_complete(&self, row: usize) -> bool {
        self.table.cell(row, MISSING) == Some(COMPLETE)
    }

    /// A number of a row; none where the cell or the column is missing.
    pub fn number<T: std::str::FromStr>(&self, row: usize, column: &str) -> Result<Option<T>> {
        let cell = self.table.cell(row, column).filter(|cell| !cell.is_empty());
        cell.map(str::parse).transpose().map_err(|_| {
            Error::refused(format!("row {} of the table: `{column}` is no number that belongs there", row + 2))
        })
    }
}

impl Table {
    fn from_csv(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::Reader::from_reader(bytes);
        let texts = |record: &csv::StringRecord| {
            record.iter().map(|cell| label::unguarded(cell).to_owned()).collect::<Vec<_>>()
        };
        let header = texts(reader.headers().ok()?);
        let rows = reader.records().map(|record| record.ok().as_ref().map(texts)).collect::<Option<Vec<_>>>()?;
        Some(Self { header, rows })
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let rows: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(bytes).ok()?;
        let header: Vec<String> = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
        let text = |value: Option<&serde_json::Value>| match value {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let rows = rows.iter().map(|row| header.iter().map(|name| text(row.get(name))).collect()).collect();
        Some(Self { header, rows })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// A cell by its row, counted from 0, and the name of its column.
    pub fn cell(&self, row: usize, column: &str) -> Option<&str> {
        self.rows.get(row)?.get(self.column(column)?).map(String::as_str)
    }
}

/// The column of sets of missing parts.
pub const MISSING: &str = "missing";

/// The columns of days of birth, where rows have cohorts of their own.
const BORN_FROM: &str = "born_from";
const BORN_TO: &str = "born_to";

/// The table that a description names, which lies in its folder.
fn table_beside(description: &Path, text: &[u8]) -> Option<PathBuf> {
    let file = PathBuf::from(parse(text)?.table?.file);
    let name = file.file_name().filter(|name| *name == file.as_os_str())?;
    Some(description.with_file_name(name))
}

/// The description of a table: its own, or the one of its folder.
fn describing(table: &Path) -> Result<PathBuf> {
    let name = table.file_name().unwrap_or_default();
    let is_there = table.symlink_metadata();
    is_there.map_err(|error| Error::named_file("read", table, &error))?;
    let own = fs::own_description_path(table, DESCRIPTION);
    if own.is_file() {
        return Ok(own);
    }
    let shared = table.with_file_name(DESCRIPTION);
    let text = std::fs::read(&shared).unwrap_or_default();
    let describes = |known: Description| known.table.is_some_and(|table| table.file.as_str() == name);
    if parse(&text).is_some_and(describes) { Ok(shared) } else { Err(not_described(table)) }
}

fn parse(text: &[u8]) -> Option<Description> {
    serde_json::from_slice(text).ok()
}

fn not_described(path: &Path) -> Error {
    Error::refused(format!("there is no description of a release with `{}`", path.display())).hint(format!(
        "a table is drawn together with the {DESCRIPTION} that `phds query … --out FILE` writes beside it; keep the two together"
    ))
}
