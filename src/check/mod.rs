//! Delivery → [`Report`], with the accepted rows going to a [`Sink`] in the same pass over the bytes.
//!
//! ```text
//! bytes ─ reader ─► records ─ fields ─► typed columns ─ rows ─► accepted batch ─► Sink
//!                       └──────────┴──────────────────────┴───► findings ─► Report, rejected.csv
//! ```

mod across;
mod diagnosis;
mod fields;
mod findings;
pub mod page;
mod past;
mod reader;
pub mod report;
mod rows;
pub mod ruleset;
mod spill;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch, UInt16Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

pub use report::{Accepted, Report};
pub use ruleset::Ruleset;

use crate::calendar;
use crate::dictionary::{Dictionary, FieldType, names};
use crate::encoding::Detector;
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::progress::Reporter;
use crate::secret::random_bytes;
use across::Across;
use fields::{FieldRules, NO_CODE, NO_DATE, NO_INTEGER, SeenCodes, Values};
use findings::{Finding, Findings, Found, Place, RuleId, rejecting};
use reader::{Broken, Chunk, Chunker, Form, Header, Records, Structure, split_header};
use rows::RowRules;
use ruleset::Kind;

/// Bytes read at a time.
const CHUNK: usize = 8 << 20;
/// Bytes at the beginning by which a header that is not understood is diagnosed.
const BEGINNING: usize = 64 << 10;

/// Name of the column that holds a row's client key in a batch and in both tables.
pub const CLIENT_KEY: &str = "client_key";
/// Name of the column that holds a row's physical line in a batch; it is not stored.
pub const LINE: &str = "line";

/// Takes the accepted rows, in the order of the file.
pub trait Sink {
    /// Rows in the form of [`batch_schema`].
    fn accept(&mut self, batch: RecordBatch) -> Result<()>;
}

/// A sink that keeps nothing: the check alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Sink for Discard {
    fn accept(&mut self, _batch: RecordBatch) -> Result<()> {
        Ok(())
    }
}

/// Turns client ids into keys under a random secret that is made here, never shown and never stored, so that keys of
/// two loads have nothing in common.
///
/// SipHash-2-4 with a 128-bit secret, 64 bits kept. For 30 million clients the chance that any two share a key is about
/// 30e6² / 2^65 = 2.4e-5.
pub struct ClientKeys(siphasher::sip::SipHasher24);

impl ClientKeys {
    /// A new secret from the operating system.
    pub fn new() -> Result<Self> {
        Ok(Self(siphasher::sip::SipHasher24::new_with_key(&random_bytes()?)))
    }

    fn key(&self, client: &str) -> i64 {
        self.0.hash(client.as_bytes()).cast_signed()
    }
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKeys(secret)")
    }
}

/// The columns of a batch: key, line, then every stored field in the order of the dictionary. Dates are `Date32`, whole
/// numbers `Int32`, codes `UInt16` positions in their codelist, texts `Utf8`.
pub fn batch_schema(dictionary: &Dictionary) -> SchemaRef {
    let mut columns =
        vec![ArrowField::new(CLIENT_KEY, DataType::Int64, false), ArrowField::new(LINE, DataType::UInt64, false)];
    columns.extend(stored(dictionary).map(|(_, field)| {
        let data_type = match field.field_type {
            FieldType::Date => DataType::Date32,
            FieldType::Integer => DataType::Int32,
            FieldType::Code => DataType::UInt16,
            FieldType::Text => DataType::Utf8,
        };
        ArrowField::new(&field.name, data_type, true)
    }));
    Arc::new(Schema::new(columns))
}

fn stored(dictionary: &Dictionary) -> impl Iterator<Item = (usize, &crate::dictionary::Field)> {
    dictionary.fields().iter().enumerate().filter(|(_, field)| field.table.is_some() && field.in_file)
}

/// What the check needs beside the file.
#[derive(Debug)]
pub struct Checker<'a> {
    /// How the file is read.
    pub dictionary: &'a Dictionary,
    /// What it is held to.
    pub rules: &'a Ruleset,
    /// The largest share of rejected rows that is accepted, 0 to 1.
    pub max_rejected_share: f64,
    /// The report of the last month that was loaded, to compare with.
    pub previous: Option<&'a report::Document>,
    /// A private folder for what does not fit in memory: hashes, days and codes, in a file without a name.
    pub scratch: &'a Path,
}

impl Checker<'_> {
    /// Reads the whole delivery once. Accepted rows go to `sink`; for each rejected row, every rule that it broke goes
    /// to `rejected` as CSV: `line,byte_offset,bytes,rule,severity,column`, without a value.
    ///
    /// Bad data is no error but a report; an error means that the file could not be looked at.
    pub fn check(
        &self,
        delivery: &Delivery,
        sink: &mut dyn Sink,
        rejected: &mut dyn Write,
        reporter: &dyn Reporter,
    ) -> Result<Report> {
        let rules = FieldRules::new(self.rules)?;
        let applies = |rule: RuleId| -> Vec<usize> {
            let fields = self.dictionary.fields().iter().enumerate();
            fields.filter(|(_, field)| field.in_file && rules.of(field).contains(&rule)).map(|(at, _)| at).collect()
        };
        let dialect = self.dictionary.dialect();
        let delimiter = self.dictionary.delimiter();
        let mut report = report::Builder::new(self.dictionary, self.rules, delivery.period());
        let mut list = RejectedList::new(rejected, self)?;
        let read_failed = |error: std::io::Error| Error::io("read", delivery.path(), &error);
        reporter.started("check", Some(delivery.bytes()));
        let mut chunker = Chunker::new(delivery.open()?, delimiter, CHUNK, dialect.skip_lines);
        let mut detector = Detector::new(dialect.encoding);
        let mut next = |chunker: &mut Chunker<_>| -> Result<Option<Chunk>> {
            let Some(mut chunk) = chunker.next_chunk().map_err(read_failed)? else { return Ok(None) };
            let mut rest = delivery.open()?;
            let rest = || rest.seek(SeekFrom::Start(chunk.first_offset)).map(|_| rest);
            chunk.encoding = detector.of(&chunk.bytes, rest).map_err(read_failed)?;
            Ok(Some(chunk))
        };
        let first = next(&mut chunker)?;
        let beginning = first.as_ref().map(|chunk| chunk.bytes[..chunk.bytes.len().min(BEGINNING)].to_vec());
        let (header, mut chunk) = match first.and_then(|chunk| split_header(chunk, delimiter)) {
            Some((header, rest)) => (header, Some(rest)),
            None => (Header::default(), None),
        };
        let order = self.match_columns(&header.fields, &mut report);
        let mut structure = Structure { blank_lines: header.blank_lines, ..Structure::default() };
        if report.is_refused() {
            report.diagnosed(beginning.and_then(|beginning| diagnosis::diagnose(&beginning, self.dictionary)));
        } else {
            report.rows_follow();
            let mut pass = Pass {
                checker: self,
                rules: &rules,
                row_rules: RowRules::new(self.rules, self.dictionary, delivery.period())?,
                broken: [
                    Kind::FieldCount,
                    Kind::NotText,
                    Kind::StrayQuote,
                    Kind::ControlCharacter,
                    Kind::UnclosedQuote,
                    Kind::RepeatedHeader,
                ]
                .iter()
                .map(|kind| self.rules.position(kind))
                .collect::<Result<_>>()?,
                rejecting: rejecting(self.rules),
                keys: ClientKeys::new()?,
                schema: batch_schema(self.dictionary),
                seen: self.dictionary.fields().iter().map(|_| SeenCodes::default()).collect(),
                across: Across::new(
                    self.rules,
                    self.dictionary,
                    delivery.period(),
                    &order,
                    self.scratch,
                    delivery.bytes(),
                )?,
                order,
                header: header.raw,
                period_days: calendar::day(delivery.period().first_day())..=calendar::day(delivery.period().last_day()),
            };
            while let Some(records) = chunk {
                let checked = pass.check(&records)?;
                structure.merge(checked.structure);
                list.add(&checked.found.findings, &checked.rejected)?;
                report.add(checked.read, checked.rejected.len() as u64, checked.in_period, checked.found);
                if checked.accepted.num_rows() > 0 {
                    sink.accept(checked.accepted)?;
                }
                reporter.advanced(records.bytes.len() as u64);
                chunk = next(&mut chunker)?;
            }
            report.across(pass.across.finish(delivery, chunker.line_end())?);
            if let Some(place) = chunker.cut_off() {
                report.file_broke_at(Kind::CutOff, place);
            } else if structure.short_end {
                report.file_broke(Kind::CutOff, Vec::new());
            }
        }
        list.finish()?;
        report.structure(&structure, chunker.line_end(), chunker.has_byte_order_mark(), detector.told());
        let mut report = report.finish(delivery, self.max_rejected_share, &applies);
        past::compare(report.document_mut(), self.rules, self.previous);
        let totals = report.document().totals;
        reporter.finished(&format!(
            "{} rows read = {} accepted + {} rejected",
            totals.read, totals.accepted, totals.rejected
        ));
        Ok(report)
    }

    /// For each column of the file, the position of its field in the dictionary.
    fn match_columns(&self, header: &[Vec<u8>], report: &mut report::Builder) -> Vec<usize> {
        if header.is_empty() {
            report.file_broke(Kind::FileEmpty, Vec::new());
            return Vec::new();
        }
        let mut order = Vec::with_capacity(header.len());
        let (mut unknown, mut doubled) = (Vec::new(), Vec::new());
        for (place, name) in header.iter().enumerate() {
            match std::str::from_utf8(name).ok().and_then(|name| self.dictionary.match_header(name)) {
                Some(at) if order.contains(&at) => doubled.push(self.dictionary.fields()[at].header.clone()),
                Some(at) => order.push(at),
                // The text of an unknown header is not repeated: a file without a header has a person there.
                None => unknown.push(format!("column {}", place + 1)),
            }
        }
        let missing = self.dictionary.fields().iter().enumerate();
        let missing = missing.filter(|(at, field)| field.in_file && !order.contains(at));
        let missing: Vec<_> = missing.map(|(_, field)| field.header.clone()).collect();
        for (kind, columns) in
            [(Kind::UnknownColumn, unknown), (Kind::MissingColumn, missing), (Kind::DoubledColumn, doubled)]
        {
            if !columns.is_empty() {
                report.file_broke(kind, columns);
            }
        }
        order
    }
}

/// One pass over a file.
struct Pass<'a> {
    checker: &'a Checker<'a>,
    rules: &'a FieldRules,
    row_rules: RowRules,
    /// The rules on shape, in the order of [`Broken`].
    broken: Vec<RuleId>,
    rejecting: Vec<bool>,
    keys: ClientKeys,
    schema: SchemaRef,
    seen: Vec<SeenCodes>,
    across: Across,
    /// For each column of the file, the position of its field in the dictionary.
    order: Vec<usize>,
    /// The header as it stands in the file.
    header: Vec<u8>,
    /// The days of the reporting period.
    period_days: std::ops::RangeInclusive<i32>,
}

/// What came of one chunk.
struct Checked {
    read: u64,
    structure: Structure,
    found: Found,
    /// Accepted rows with a vaccination in the reporting period.
    in_period: u64,
    /// The records that are out, in the order of the file.
    rejected: Vec<Place>,
    accepted: RecordBatch,
}

impl Pass<'_> {
    fn check(&mut self, chunk: &Chunk) -> Result<Checked> {
        let dictionary = self.checker.dictionary;
        let form = Form { delimiter: dictionary.delimiter(), width: self.order.len(), header: &self.header };
        let records = Records::split(chunk, form);
        let mut findings = Findings::new(records.places(), &self.rejecting, dictionary.fields().len());
        let mut columns: Vec<Values> = dictionary.fields().iter().map(|_| Values::Unread).collect();
        for (column, at) in self.order.iter().copied().enumerate() {
            columns[at] =
                fields::read(dictionary, self.rules, &records, (column, at), &mut self.seen[at], &mut findings);
        }
        self.row_rules.check(&columns, &mut findings);
        let read = (records.len() + records.broken.len()) as u64;
        for rule in &self.broken {
            findings.shapes_checked(*rule, read);
        }
        for (place, broken) in &records.broken {
            let rule = Broken::ALL.iter().position(|other| other == broken).unwrap_or_default();
            findings.broken(*place, self.broken[rule]);
        }
        let mut rejected: Vec<Place> = records.broken.iter().map(|(place, _)| *place).collect();
        let places = records.places().iter().zip(findings.rejected());
        rejected.extend(places.filter(|(_, rejected)| **rejected).map(|(place, _)| *place));
        rejected.sort_unstable();
        let clients = self.clients(&columns, findings.rejected())?;
        let rejects = findings.rejected();
        self.across.add(self.across.entries(&records, &columns, &clients, rejects, dictionary))?;
        let in_period = self.in_period(&columns, rejects);
        let accepted = self.batch(&records, &columns, &clients, rejects)?;
        Ok(Checked { read, structure: records.structure, in_period, found: findings.into_found(), rejected, accepted })
    }

    fn in_period(&self, columns: &[Values], rejected: &[bool]) -> u64 {
        let days = self.checker.dictionary.position(names::VACCINATION_DATE).map(|at| &columns[at]);
        let Some(Values::Dates(days)) = days else { return 0 };
        days.iter().zip(rejected).filter(|(day, rejected)| !**rejected && self.period_days.contains(day)).count() as u64
    }

    /// The key of each row's client. A row without one is rejected, so its key is never used.
    fn clients(&self, columns: &[Values], rejected: &[bool]) -> Result<Vec<i64>> {
        let dictionary = self.checker.dictionary;
        let client = dictionary.position(names::CLIENT).map(|at| &columns[at]);
        let Some(Values::Texts(clients)) = client else {
            return Err(Error::internal("the client id has not been read"));
        };
        if clients.iter().zip(rejected).any(|(client, rejected)| client.is_none() && !rejected) {
            return Err(Error::internal("a row without a client would be kept"));
        }
        Ok(clients.iter().map(|client| client.map_or(0, |client| self.keys.key(client))).collect())
    }

    fn batch(
        &self,
        records: &Records<'_>,
        columns: &[Values],
        clients: &[i64],
        rejected: &[bool],
    ) -> Result<RecordBatch> {
        let dictionary = self.checker.dictionary;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(clients.to_vec())),
            Arc::new(records.places().iter().map(|place| place.line).collect::<UInt64Array>()),
        ];
        for (at, _) in stored(dictionary) {
            arrays.push(match &columns[at] {
                Values::Dates(days) => {
                    Arc::new(days.iter().map(|day| (*day != NO_DATE).then_some(*day)).collect::<Date32Array>())
                }
                Values::Integers(numbers) => {
                    Arc::new(numbers.iter().map(|n| (*n != NO_INTEGER).then_some(*n)).collect::<Int32Array>())
                }
                Values::Codes(codes) => {
                    Arc::new(codes.iter().map(|code| (*code != NO_CODE).then_some(*code)).collect::<UInt16Array>())
                }
                Values::Texts(texts) => Arc::new(texts.clone()),
                Values::Unread => return Err(Error::internal("a stored field has not been read")),
            });
        }
        let kept: BooleanArray = rejected.iter().map(|rejected| Some(!rejected)).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .and_then(|batch| arrow::compute::filter_record_batch(&batch, &kept))
            .map_err(|_| Error::internal("the accepted rows do not fit their schema"))
    }
}

/// Writes `rejected.csv`.
struct RejectedList<'a> {
    csv: csv::Writer<&'a mut dyn Write>,
    checker: &'a Checker<'a>,
}

impl<'a> RejectedList<'a> {
    fn new(out: &'a mut dyn Write, checker: &'a Checker<'a>) -> Result<Self> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["line", "byte_offset", "bytes", "rule", "severity", "column"]).map_err(list_failed)?;
        Ok(Self { csv, checker })
    }

    /// Both are in the order of the file.
    fn add(&mut self, found: &[Finding], rejected: &[Place]) -> Result<()> {
        for finding in found.iter().filter(|finding| rejected.binary_search(&finding.place).is_ok()) {
            let rule = &self.checker.rules.rules()[usize::from(finding.rule)];
            let column = match finding.field {
                Some(at) => &self.checker.dictionary.fields()[usize::from(at)].header,
                None => Ruleset::points_at(rule, self.checker.dictionary).unwrap_or_default(),
            };
            let Place { line, offset, length } = finding.place;
            let [line, offset, length] = [line, offset, length.into()].map(|number: u64| number.to_string());
            self.csv
                .write_record([&line, &offset, &length, rule.code.as_str(), rule.severity.word(), column])
                .map_err(list_failed)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.csv.flush().map_err(|error| list_failed(error.into()))
    }
}

fn list_failed(error: csv::Error) -> Error {
    match error.into_kind() {
        // The library's own words have the path of a draft in them.
        csv::ErrorKind::Io(error) => Error::io("write", Path::new("rejected.csv"), &error.kind().into()),
        _ => Error::environment("cannot write the list of rejected rows"),
    }
}
