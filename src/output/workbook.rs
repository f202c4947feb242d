//! A table as an Excel workbook: a sheet with the rows of the CSV, and a sheet with what a reader must know of them.
//!
//! Numbers are those of the CSV, digit for digit: a spreadsheet shows more of a number than its cell does. Whatever is no
//! number is text, in cells of the format for text, so that no label becomes a date, a number or a formula when somebody
//! edits it.

use std::io::{Cursor, Read};

use chrono::{Datelike, NaiveDate};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, IgnoreError, XlsxError};

use super::page::{self, NO_ROW, Page};
use super::{columns, label, numbers, rounded};
use crate::disclosure::Release;
use crate::disclosure::release::{Document, FinerNote, Number, Unit};
use crate::error::{Error, Result};
use crate::statistics;
use crate::words::grouped;

/// The sheet of the rows.
const TABLE: &str = "Table";
/// The sheet of what a reader must know.
const ABOUT: &str = "About";

/// The number of Excel's own format for text.
const AS_TEXT: u8 = 49;

/// The most rows of a sheet below its header.
const MOST_ROWS: usize = (1 << 20) - 1;

/// Characters of the widest column; longer texts are wrapped, or cut on the screen.
const WIDEST: usize = 60;
/// Characters of a line of the second sheet, and how high a line is, in points.
const PROSE: u16 = 100;
const LINE: u16 = 15;
/// Lines of the highest row that Excel has.
const MOST_LINES: u16 = 27;
/// Characters that the arrow of the filter takes.
const ARROW: usize = 3;

/// A cell of the rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A label or a word.
    Text(String),
    /// A whole number.
    Whole(f64),
    /// A share, or a difference of two, with the digits that the CSV has.
    Share(f64),
    /// What stands for a number that is not told.
    Instead(&'static str),
}

impl Entry {
    /// How many characters it takes.
    fn width(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            // With commas between.
            Self::Whole(number) => format!("{number:.0}").len() * 4 / 3,
            Self::Share(_) => "-100.0%".len(),
            Self::Instead(sign) => sign.chars().count(),
        }
    }
}

/// A table with what is told about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workbook {
    /// What it is, in a word by which it is known again.
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// For whom it is: at the head of every printed page.
    pub marking: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows, as many entries as there are columns.
    pub rows: Vec<Vec<Entry>>,
    /// What a reader must know.
    pub about: About,
    /// The day that stands for the time of its making, so that the same table gives the same bytes.
    pub day: NaiveDate,
}

/// Whether a file is a workbook of a kind, by its properties.
pub fn is_of(kind: &str, bytes: &[u8]) -> bool {
    let mut properties = String::new();
    let read = zip::ZipArchive::new(Cursor::new(bytes)).ok().and_then(|mut parts| {
        parts.by_name("docProps/core.xml").ok()?.take(1 << 16).read_to_string(&mut properties).ok()
    });
    read.is_some() && properties.contains(&format!("<cp:category>{kind}</cp:category>"))
}

/// The sentences of the second sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About(Vec<(String, String)>);

impl About {
    /// Adds sentences about one thing, if there are any. The thing is named before the first of them.
    pub fn add(&mut self, what: &str, sentences: impl IntoIterator<Item = impl Into<String>>) {
        let names = std::iter::once(what).chain(std::iter::repeat(""));
        self.0.extend(names.zip(sentences).map(|(what, sentence)| (what.to_owned(), sentence.into())));
    }
}

impl Workbook {
    /// A release: the rows of its CSV, and the words of its page.
    pub fn of(release: &Release) -> Self {
        let (document, page) = (release.document(), Page::of(release));
        let rows = release.cells().iter().map(|cell| {
            let labels = cell.labels.iter().cloned().chain(document.measure_label()).map(Entry::Text);
            let numbers = numbers(release, cell).into_iter().map(|number| match number {
                Some(Number::Count(count)) => Entry::Whole(statistics::real(count)),
                Some(Number::Share(value)) => Entry::Share(rounded(value)),
                None => Entry::Instead(page::instead(cell.status)),
            });
            let end = [cell.status.word(), document.audience.word()].map(|word| Entry::Text(word.to_owned()));
            labels.chain(numbers).chain(end).collect()
        });
        Self {
            columns: columns(release),
            rows: rows.collect(),
            about: about(document, &page),
            day: document.cohort.as_of,
            kind: "release",
            title: page.title,
            marking: page.marking,
        }
    }

    /// The bytes of the file.
    ///
    /// # Errors
    ///
    /// When there are more rows than a sheet holds.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        if self.rows.len() > MOST_ROWS {
            return Err(Error::usage(format!(
                "an Excel sheet holds {} rows, and the table has {}",
                grouped(MOST_ROWS as u64),
                grouped(self.rows.len() as u64)
            ))
            .hint("write it as CSV or Parquet"));
        }
        self.write().map_err(|_| Error::internal("a table has no form as a workbook"))
    }

    fn write(&self) -> std::result::Result<Vec<u8>, XlsxError> {
        let mut workbook = rust_xlsxwriter::Workbook::new();
        let (year, month) = (u16::try_from(self.day.year()).unwrap_or(1900), self.day.month());
        let [month, day] = [month, self.day.day()].map(|number| u8::try_from(number).unwrap_or(1));
        let properties = DocProperties::new().set_title(&self.title).set_comment(&self.marking).set_category(self.kind);
        workbook.set_properties(&properties.set_creation_datetime(&ExcelDateTime::from_ymd(year, month, day)?));
        self.write_rows(workbook.add_worksheet().set_name(TABLE)?)?;
        self.write_about(workbook.add_worksheet().set_name(ABOUT)?)?;
        workbook.save_to_buffer()
    }

    fn write_rows(&self, sheet: &mut rust_xlsxwriter::Worksheet) -> std::result::Result<(), XlsxError> {
        let text = Format::new().set_num_format_index(AS_TEXT).set_indent(1);
        let header = text.clone().set_bold();
        let whole = Format::new().set_num_format("#,##0");
        let share = Format::new().set_num_format("0.0%");
        let instead = Format::new().set_num_format_index(AS_TEXT).set_align(FormatAlign::Right);
        for (column, name) in (0..).zip(&self.columns) {
            sheet.write_string_with_format(0, column, name, &header)?;
            let entries = self.rows.iter().filter_map(|row| row.get(usize::from(column)));
            let widest = entries.map(Entry::width).chain([name.chars().count() + ARROW]).max().unwrap_or_default();
            sheet.set_column_width(column, characters(widest + 1))?;
        }
        for (row, entries) in (1..).zip(&self.rows) {
            for (column, entry) in (0..).zip(entries) {
                match entry {
                    Entry::Text(label) => sheet.write_string_with_format(row, column, label, &text)?,
                    Entry::Whole(number) => sheet.write_number_with_format(row, column, *number, &whole)?,
                    Entry::Share(number) => sheet.write_number_with_format(row, column, *number, &share)?,
                    Entry::Instead(sign) => sheet.write_string_with_format(row, column, *sign, &instead)?,
                };
            }
        }
        let last_column = u16::try_from(self.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let last_row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        sheet.autofilter(0, 0, last_row, last_column)?;
        sheet.set_freeze_panes(1, 0)?;
        // A ZIP code is a text that looks like a number, on purpose.
        sheet.ignore_error_range(0, 0, last_row, last_column, IgnoreError::NumberStoredAsText)?;
        self.on_paper(sheet);
        sheet.set_repeat_rows(0, 0)?;
        Ok(())
    }

    fn write_about(&self, sheet: &mut rust_xlsxwriter::Worksheet) -> std::result::Result<(), XlsxError> {
        let text = Format::new().set_num_format_index(AS_TEXT).set_align(FormatAlign::Top);
        let (about, told) = (text.clone().set_bold(), text.set_text_wrap());
        let widest = self.about.0.iter().map(|(about, _)| about.chars().count()).max().unwrap_or_default();
        sheet.set_column_width(0, characters(widest + 2))?;
        sheet.set_column_width(1, f64::from(PROSE))?;
        for (row, (what, sentence)) in (0..).zip(&self.about.0) {
            sheet.write_string_with_format(row, 0, what, &about)?;
            sheet.write_string_with_format(row, 1, sentence, &told)?;
            // Not every program makes room for what is wrapped.
            let lines = u16::try_from(sentence.chars().count()).unwrap_or(u16::MAX).div_ceil(PROSE);
            sheet.set_row_height(row, f64::from(lines.clamp(1, MOST_LINES) * LINE))?;
        }
        self.on_paper(sheet);
        Ok(())
    }

    /// Letter paper, across, as wide as the sheet, with the marking at the head of each page.
    fn on_paper(&self, sheet: &mut rust_xlsxwriter::Worksheet) {
        const LETTER: u8 = 1;
        sheet.set_paper_size(LETTER).set_landscape().set_print_fit_to_pages(1, 0);
        // An ampersand begins a code there.
        sheet.set_header(format!("&C{}", self.marking.replace('&', "&&")));
    }
}

/// The width of a column for so many characters.
fn characters(count: usize) -> f64 {
    f64::from(u8::try_from(count.min(WIDEST)).unwrap_or(u8::MAX))
}

/// What a reader must know of a release: what the table for people says around its rows, and what its columns are.
fn about(document: &Document, page: &Page) -> About {
    let mut about = About::default();
    about.add("For whom", [&page.marking]);
    about.add("Title", [&page.title]);
    about.add("What is told", [&document.indicator_definition]);
    about.add("Of whom", [&document.cohort.description]);
    about.add("As-of date", [document.cohort.as_of.to_string()]);
    about.add("Reporting period", [document.reporting_period.to_string()]);
    for measure in document.measure.iter().chain(&document.from_measure) {
        about.add(&measure.id, [&measure.definition]);
        about.add(&format!("Source of {}", measure.id), [&measure.source]);
    }
    // A number has no sign beside it: the column `status` says what is unreliable.
    about.add("Signs", page.legend.iter().filter(|line| !line.starts_with(page::UNRELIABLE)));
    let policy = &document.disclosure;
    about.add("Withheld", [format!("No count of 1 to {} is told. {}", policy.k - 1, policy.reason)]);
    about.add("", policy.beside.iter().map(|note| format!("Rows are withheld because {}.", note.otherwise)));
    about.add("Coarsened", document.coarsened_from.iter().map(FinerNote::sentence));
    about.add("Rows", page.rows.is_empty().then_some(NO_ROW));
    let labels = document.labels.iter().map(|column| (column, label::title(column, &document.dimensions)));
    let numbers = document.numbers.iter().map(|number| {
        let unit = match number.unit {
            Unit::Count => "a whole number",
            Unit::Share => "a share, to six digits after the point: 0.9 is 90 %",
        };
        (&number.name, format!("{}, {unit}", number.title))
    });
    about.add("Columns", labels.chain(numbers).map(|(column, title)| format!("{column}: {title}")));
    about.add("Status", document.statuses.iter().map(|note| format!("{}: {}", note.status.word(), note.meaning)));
    about.add("Notes", &page.notes);
    about.add("Caveats", &page.caveats);
    about.add("Made from", [&page.provenance]);
    about
}
