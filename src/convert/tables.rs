//! A bucket → its rows of both tables, written as Parquet.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt16Array, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Field as ArrowField, Schema, SchemaRef, UInt16Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::aside::{Aside, Bucket, dates};
use super::manifest::{Column, PartFile, Table, TableFiles};
use crate::calendar;
use crate::check::{NO_CODE, NO_DATE};
use crate::dictionary::{Dictionary, FieldType, Level, StoredIn, names};
use crate::error::{Error, Result};
use crate::fs::{self, Sha256Writer};
use crate::history::{Attribution, Distinct, Dose, Evaluator, ORGANIZATIONS};
use crate::measure::{Measures, age_column, season};
use crate::period::ReportingPeriod;

/// The columns of `immunizations` that tell whether a row is the first of its client, day and CVX code; and of these and
/// its vaccine group. Rows that tell of no dose are neither.
const DOSES: [&str; 2] = [names::DOSE, names::GROUP_DOSE];

const ZSTD_LEVEL: i32 = 3;

/// How one column of a table comes from a bucket.
#[derive(Debug)]
enum From {
    /// The client's key.
    Key,
    /// The field as it was set aside.
    Same(usize),
    /// The codes at the positions in a column.
    Code(usize, Arc<StringArray>),
    /// A coarser level of the codes at the positions in a column; empty stands for none.
    Parent(usize, Arc<StringArray>),
    /// The calendar year of the days in a column.
    Year(usize),
    /// The day on which the client reaches an age in months.
    Age(u32),
    /// One of the days that a history gives.
    Day(usize),
    /// The organization by one of the rules of attribution.
    Organization(usize),
    /// Whether the row is a dose by one of the ways to count them.
    Dose(usize),
}

#[derive(Debug)]
struct Plan {
    schema: SchemaRef,
    columns: Vec<From>,
    properties: WriterProperties,
}

impl Plan {
    /// A table of these columns.
    fn table(&self, columns: impl Iterator<Item = Result<ArrayRef>>) -> Result<RecordBatch> {
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_>>()?)
            .map_err(|_| Error::internal("a table does not fit its schema"))
    }
}

/// Makes and writes both tables.
#[derive(Debug)]
pub struct Writer<'a> {
    measures: &'a Measures,
    evaluator: Evaluator,
    /// Places of the birth date, the vaccination date and the CVX code in a bucket; of the vaccine group, and the number
    /// of groups, where it is stored as a code.
    birth: usize,
    vaccination: usize,
    cvx: usize,
    group: Option<(usize, usize)>,
    /// Place of the organization among the columns of `immunizations`, where it is stored.
    organization: Option<usize>,
    immunizations: Plan,
    clients: Plan,
}

impl<'a> Writer<'a> {
    /// Plans both tables for what is set aside of a month.
    pub fn new(
        dictionary: &Dictionary,
        measures: &'a Measures,
        period: ReportingPeriod,
        aside: &Aside,
    ) -> Result<Self> {
        let place = |name: &str| aside.slot(name);
        let plan = |stored_in: StoredIn, derived: Vec<(ArrowField, From)>| -> Result<Plan> {
            let mut columns = vec![(ArrowField::new(names::CLIENT_KEY, DataType::Int64, false), From::Key)];
            for field in dictionary.fields().iter().filter(|field| field.table == Some(stored_in) && field.in_file) {
                let at = place(&field.name)?;
                columns.push(match (field.field_type, dictionary.codelist(field)) {
                    (FieldType::Code, Some(codelist)) => {
                        let codes =
                            codelist.codes().iter().map(|code| Some(code.code.as_str())).collect::<StringArray>();
                        (coded(&field.name), From::Code(at, Arc::new(codes)))
                    }
                    (FieldType::Text, _) => (
                        ArrowField::new_dictionary(&field.name, DataType::UInt32, DataType::Utf8, true),
                        From::Same(at),
                    ),
                    (FieldType::Date, _) => (ArrowField::new(&field.name, DataType::Date32, true), From::Same(at)),
                    _ => (ArrowField::new(&field.name, DataType::Int32, true), From::Same(at)),
                });
            }
            columns.extend(derived);
            let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            if fields.iter().map(ArrowField::name).collect::<HashSet<_>>().len() < fields.len() {
                return Err(Error::internal("two columns of a table have one name"));
            }
            let schema = Arc::new(Schema::new(fields));
            Ok(Plan { properties: properties(&schema)?, schema, columns })
        };
        let mut derived = Vec::new();
        for dimension in dictionary.dimensions() {
            let at = place(&dimension.field)?;
            match dimension.level {
                Level::Year
                    if dictionary
                        .field(&dimension.field)
                        .is_none_or(|field| field.table != Some(StoredIn::Clients)) => {}
                Level::Year => derived.push((ArrowField::new(&dimension.id, DataType::Int32, true), From::Year(at))),
                Level::Parent => {
                    let field = dictionary.field(&dimension.field);
                    let codelist = field.and_then(|field| dictionary.codelist(field));
                    let (codelist, parent) = codelist
                        .zip(dimension.parent.as_deref())
                        .ok_or_else(|| Error::internal("a dimension has no parent column"))?;
                    let values = (0u16..).take(codelist.codes().len());
                    let values = values.map(|at| Some(codelist.value(at, parent)).filter(|value| !value.is_empty()));
                    derived.push((coded(&dimension.id), From::Parent(at, Arc::new(values.collect::<StringArray>()))));
                }
                // The field itself, or what a query makes of it.
                Level::Value
                | Level::Quarter
                | Level::Month
                | Level::Season
                | Level::Age
                | Level::AgeAsOf
                | Level::Attributed => {}
            }
        }
        for months in measures.ages() {
            derived.push((ArrowField::new(age_column(months), DataType::Date32, false), From::Age(months)));
        }
        let seasons = season::of_file(dictionary.first_inclusion_year(), period.last_day());
        let evaluator = Evaluator::new(measures, seasons)?;
        for (at, column) in evaluator.columns().iter().enumerate() {
            derived.push((ArrowField::new(column, DataType::Date32, true), From::Day(at)));
        }
        let dose = |(at, name): (usize, &&str)| (ArrowField::new(*name, DataType::Boolean, false), From::Dose(at));
        let immunizations = plan(StoredIn::Immunizations, DOSES.iter().enumerate().map(dose).collect())?;
        let organization = immunizations.schema.index_of(names::ORGANIZATION).ok();
        let text = organization.map_or(&DataType::Utf8, |at| immunizations.schema.field(at).data_type());
        for (at, name) in ORGANIZATIONS.iter().enumerate() {
            derived.push((ArrowField::new(*name, text.clone(), true), From::Organization(at)));
        }
        let group = dictionary.field(names::VACCINE_GROUP).filter(|field| field.field_type == FieldType::Code);
        let group = group.and_then(|field| dictionary.codelist(field));
        Ok(Self {
            measures,
            evaluator,
            birth: place(names::BIRTH_DATE)?,
            vaccination: place(names::VACCINATION_DATE)?,
            cvx: place(names::CVX)?,
            group: place(names::VACCINE_GROUP).ok().zip(group.map(|group| group.codes().len())),
            organization,
            immunizations,
            clients: plan(StoredIn::Clients, derived)?,
        })
    }

    fn plan(&self, table: Table) -> &Plan {
        match table {
            Table::Immunizations => &self.immunizations,
            Table::Clients => &self.clients,
        }
    }

    /// The rows of both tables, in the order of [`Table::ALL`]. A client is described by the row with the latest
    /// vaccination date; among several of that date, by the one that comes last in the file.
    pub fn tables(&self, bucket: &Bucket<'_>) -> Result<[RecordBatch; 2]> {
        let organizations = match self.organization {
            Some(at) => Some(stored(&self.immunizations.columns[at], bucket)?),
            None => None,
        };
        let histories = self.histories(bucket, organizations.as_ref())?;
        let last = bucket.only(&histories.last_rows);
        let immunizations = self.immunizations.columns.iter().enumerate().map(|(at, from)| match &organizations {
            // Read once: its texts may be on disk.
            Some(organizations) if self.organization == Some(at) => Ok(Arc::clone(organizations)),
            _ => histories.column(from, bucket),
        });
        let clients = self.clients.columns.iter().map(|from| histories.column(from, &last));
        Ok([self.immunizations.table(immunizations)?, self.clients.table(clients)?])
    }

    fn histories(&self, bucket: &Bucket<'_>, organizations: Option<&ArrayRef>) -> Result<Histories> {
        let (keys, births) = (bucket.keys(), bucket.numbers(self.birth));
        let (days, codes) = (bucket.numbers(self.vaccination), bucket.codes(self.cvx));
        let (groups, group_count) = match self.group {
            Some((group, count)) => (bucket.codes(group), count),
            None => (vec![NO_CODE; keys.len()], 0),
        };
        let organization_of = numbered(organizations);
        let is_dose = self.measures.opportunities().doses();
        let mut of_code = Distinct::new(is_dose.len());
        let mut of_group = Distinct::new(is_dose.len() * (group_count + 1));
        let mut first_told = [(); 2].map(|()| Vec::with_capacity(keys.len()));

        let mut last_rows = Vec::new();
        let mut ages: Vec<_> = self.measures.ages().into_iter().map(|months| (months, Vec::new())).collect();
        let mut evaluator = self.evaluator.clone();
        let mut attribution = Attribution::default();
        let mut found = vec![Vec::new(); evaluator.columns().len()];
        let mut attributed = ORGANIZATIONS.map(|_| Vec::new());
        let (mut doses, mut rows_of_doses) = (Vec::new(), Vec::new());
        let mut day_begins = 0;
        for row in 0..keys.len() {
            let number = u32::try_from(row).map_err(|_| Error::internal("a bucket has too many rows"))?;
            if row > 0 && (keys[row - 1] != keys[row] || days[row - 1] != days[row]) {
                day_begins = row;
            }
            let code = usize::from(codes[row]);
            let tells = is_dose.get(code).is_some_and(|is_dose| *is_dose);
            // A group that is missing is a group, too.
            let group = usize::from(groups[row]).min(group_count);
            first_told[0].push(tells && of_code.is_first(code, row, day_begins));
            first_told[1].push(tells && of_group.is_first(code * (group_count + 1) + group, row, day_begins));
            if tells {
                doses.push(Dose { day: days[row], cvx: codes[row], organization: organization_of(row) });
                rows_of_doses.push(number);
            }
            if row + 1 == keys.len() || keys[row + 1] != keys[row] {
                last_rows.push(number);
                for (months, column) in &mut ages {
                    column.push(calendar::add_months(births[row], *months));
                }
                for (column, day) in found.iter_mut().zip(evaluator.days(births[row], &doses)) {
                    column.push(day.unwrap_or(NO_DATE));
                }
                for (column, place) in attributed.iter_mut().zip(attribution.of(&doses)) {
                    column.push(place.map(|place| rows_of_doses[place]));
                }
                doses.clear();
                rows_of_doses.clear();
            }
        }
        let clients = last_rows.len();
        let attributed = attributed.map(|rows| match organizations {
            Some(organizations) => take(organizations, &UInt32Array::from(rows), None),
            None => Ok(new_null_array(&DataType::Utf8, clients)),
        });
        let [first, last, most] = attributed.map(|column| column.map_err(|_| wrong()));
        Ok(Histories {
            last_rows,
            ages: ages.into_iter().map(|(months, days)| (months, dates(days))).collect(),
            days: found.into_iter().map(dates).collect(),
            organizations: [first?, last?, most?],
            doses: first_told.map(|told| Arc::new(BooleanArray::from(told)) as ArrayRef),
        })
    }

    /// Begins a file of a table, which will be named `name` in the manifest.
    pub fn begin(&self, table: Table, path: &Path, name: String) -> Result<TableFile> {
        let plan = self.plan(table);
        let options = ArrowWriterOptions::new().with_properties(plan.properties.clone()).with_skip_arrow_metadata(true);
        let file = Sha256Writer::new(fs::create_private(path)?);
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&plan.schema), options);
        let writer = writer.map_err(|error| write_failed(path, error))?;
        Ok(TableFile { path: path.to_owned(), name, rows: 0, writer })
    }

    /// A table's entry in the manifest.
    pub fn describe(&self, table: Table, files: Vec<PartFile>) -> Result<TableFiles> {
        let columns = self.plan(table).schema.fields().iter().map(|field| {
            let column_type = match field.data_type() {
                DataType::Int64 => "int64",
                DataType::Int32 => "int32",
                DataType::Date32 => "date32",
                DataType::Boolean => "boolean",
                DataType::Utf8 | DataType::Dictionary(..) => "string",
                _ => return Err(Error::internal("a table has a column of an unexpected type")),
            };
            Ok(Column { name: field.name().clone(), column_type: column_type.to_owned() })
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(TableFiles { rows: files.iter().map(|file| file.rows).sum(), columns, files })
    }
}

/// A file that is being written.
pub struct TableFile {
    path: PathBuf,
    name: String,
    rows: u64,
    writer: ArrowWriter<Sha256Writer<File>>,
}

impl TableFile {
    /// Writes the rows of a bucket. Those of several are in one row group, so that a text is in its dictionary once.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|error| write_failed(&self.path, error))
    }

    /// Ends the file and sees it on disk.
    pub fn finish(self) -> Result<PartFile> {
        let Self { path, name, rows, mut writer } = self;
        // Taking the file out of the writer would hide the words of the operating system.
        writer.finish().map_err(|error| write_failed(&path, error))?;
        let written = writer.inner();
        written.inner().sync_all().map_err(|error| Error::io("write", &path, &error))?;
        let (bytes, sha256) = written.sum();
        Ok(PartFile { path: name, rows, bytes, sha256 })
    }
}

fn write_failed(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => Error::io("write", path, &error),
            Err(_) => Error::internal(format!("cannot write `{}`", path.display())),
        },
        _ => Error::internal(format!("cannot write `{}`", path.display())),
    }
}

/// What is known of a bucket besides what was set aside.
struct Histories {
    /// The row that describes each client, in the order of [`Bucket`]; so are all columns of `clients`.
    last_rows: Vec<u32>,
    /// By age in months, the day on which it is reached.
    ages: Vec<(u32, ArrayRef)>,
    /// By column of the evaluator.
    days: Vec<ArrayRef>,
    /// In the order of [`ORGANIZATIONS`].
    organizations: [ArrayRef; 3],
    /// For every row, in the order of [`DOSES`].
    doses: [ArrayRef; 2],
}

impl Histories {
    fn column(&self, from: &From, rows: &Bucket<'_>) -> Result<ArrayRef> {
        Ok(match from {
            From::Age(months) => {
                self.ages.iter().find(|(age, _)| age == months).map(|(_, days)| Arc::clone(days)).ok_or_else(wrong)?
            }
            From::Day(at) => Arc::clone(&self.days[*at]),
            From::Organization(at) => Arc::clone(&self.organizations[*at]),
            From::Dose(at) => Arc::clone(&self.doses[*at]),
            From::Key | From::Same(_) | From::Code(..) | From::Parent(..) | From::Year(_) => stored(from, rows)?,
        })
    }
}

/// A column that needs nothing but what was set aside.
fn stored(from: &From, rows: &Bucket<'_>) -> Result<ArrayRef> {
    Ok(match from {
        From::Key => Arc::new(Int64Array::from(rows.keys())),
        From::Same(slot) => rows.column(*slot)?,
        From::Code(slot, values) | From::Parent(slot, values) => {
            let column = rows.column(*slot)?;
            let positions: &UInt16Array = column.as_primitive_opt::<UInt16Type>().ok_or_else(wrong)?;
            let values: ArrayRef = Arc::<StringArray>::clone(values);
            Arc::new(DictionaryArray::try_new(positions.clone(), values).map_err(|_| wrong())?)
        }
        From::Year(slot) => {
            let column = rows.column(*slot)?;
            let days = column.as_primitive_opt::<Date32Type>().ok_or_else(wrong)?;
            Arc::new(days.iter().map(|day| day.map(|day| calendar::civil(day).0)).collect::<Int32Array>())
        }
        From::Age(_) | From::Day(_) | From::Organization(_) | From::Dose(_) => return Err(wrong()),
    })
}

/// The number of the text of each row of a dictionary.
fn numbered(column: Option<&ArrayRef>) -> impl Fn(usize) -> Option<u32> {
    let texts = column.and_then(|column| column.as_any_dictionary_opt()).filter(|texts| !texts.values().is_empty());
    let numbers = texts.map(|texts| (texts.normalized_keys(), texts.nulls().cloned()));
    move |row| {
        let (numbers, nulls) = numbers.as_ref()?;
        let is_there = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        u32::try_from(numbers[row]).ok().filter(|_| is_there)
    }
}

fn wrong() -> Error {
    Error::internal("a bucket has a column of another type")
}

fn coded(name: &str) -> ArrowField {
    ArrowField::new_dictionary(name, DataType::UInt16, DataType::Utf8, true)
}

/// zstd, and encodings and pages that every reader knows. Days and whole numbers are written as differences: clients are
/// in the order of their births, so that most days of a column lie near the one before. Texts and codes are written as
/// dictionaries. The footer has the smallest and largest number of a column, and no text and no key.
fn properties(schema: &Schema) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|_| Error::internal("zstd does not know its level"))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(concat!("phds ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_statistics_enabled(EnabledStatistics::None);
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        properties = match field.data_type() {
            DataType::Date32 | DataType::Int32 => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path, EnabledStatistics::Chunk),
            // Random keys: a dictionary would hold each of them besides.
            DataType::Int64 => properties.set_column_dictionary_enabled(path, false),
            _ => properties,
        };
    }
    Ok(properties.build())
}
