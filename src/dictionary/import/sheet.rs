//! A CSV or XLSX file → rows of texts, bounded in every direction: the file comes from somebody else.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use calamine::{DataRef, Reader, SheetType, Xlsx};
use zip::ZipArchive;

use crate::encoding::{Encoding, line_of};
use crate::error::{Error, Result};

/// The largest file, and the most that an Excel file may hold when it is unpacked. A dictionary of 26 columns has some
/// 20 KB; what is far beyond is another file, or a trap.
const MOST_BYTES: u64 = 16 << 20;
const MOST_UNPACKED: u64 = 64 << 20;

/// The most rows and columns that are read of a sheet; codelists of ZIP codes have 2,000 rows.
const MOST_ROWS: usize = 20_000;
const MOST_COLUMNS: usize = 200;

/// The most characters of a cell: what Excel itself takes.
const MOST_CHARACTERS: usize = 32_767;

/// What may stand between the cells of a CSV file.
const DELIMITERS: &[u8] = b",;\t|";

/// One row that is not empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Its number in the sheet, or its first line in the file, counted from 1.
    pub number: usize,
    /// Trimmed; cells at the end may be left out.
    pub cells: Vec<String>,
}

impl Row {
    /// The text of a cell; empty when there is none.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

/// One sheet of a workbook, or a CSV file.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    /// Its name in the workbook; empty for a CSV file.
    pub name: String,
    pub rows: Vec<Row>,
    /// Why it cannot be used, when it cannot; other sheets of the workbook may be fine.
    pub fault: Option<Error>,
}

impl Sheet {
    /// The rows, when all of them could be read.
    pub fn sound(&self) -> Result<&[Row]> {
        self.fault.clone().map_or(Ok(&self.rows), Err)
    }

    fn put(&mut self, number: usize, column: usize, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.fault.is_some() {
            return;
        }
        let place = || format!("row {number}, column {}", column + 1);
        let whose = if self.name.is_empty() { String::new() } else { format!("sheet `{}`: ", self.name) };
        let fault = if column >= MOST_COLUMNS {
            Some(format!("{whose}{}: a dictionary has no more than {MOST_COLUMNS} columns", place()))
        } else if number > MOST_ROWS {
            Some(format!("{whose}{}: a dictionary has no more than {MOST_ROWS} rows", place()))
        } else if text.len() > MOST_CHARACTERS && text.chars().count() > MOST_CHARACTERS {
            Some(format!("{whose}{}: the cell has more than {MOST_CHARACTERS} characters", place()))
        } else {
            None
        };
        if let Some(fault) = fault {
            self.fault = Some(Error::usage(fault).hint("is this the dictionary? Save its table alone, then try again"));
        } else {
            if self.rows.last().is_none_or(|row| row.number != number) {
                self.rows.push(Row { number, cells: Vec::new() });
            }
            if let Some(row) = self.rows.last_mut() {
                row.cells.resize(row.cells.len().max(column + 1), String::new());
                // Beside line ends, which may stand between codes, nothing that steers a screen gets into our files.
                row.cells[column] = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
            }
        }
    }
}

/// The sheets of a file, which its content tells to be Excel or CSV. `fits` tells how well rows are understood, which
/// decides what stands between the cells of a CSV file.
pub(super) fn read(path: &Path, fits: impl Fn(&[Row]) -> usize) -> Result<Vec<Sheet>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::named_file("read", path, &error))?;
    let wrong = |what: &str| Error::usage(format!("`{}` {what}", path.display()));
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(&format!("is larger than {} MB", MOST_BYTES >> 20)).hint("is this the dictionary?"));
    }
    if bytes.starts_with(b"PK") {
        return workbook(&bytes, &wrong);
    }
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(wrong("is an Excel file of before 2007, or has a password")
            .hint("save it as .xlsx without a password, or as CSV"));
    }
    let text = [Encoding::Utf8, Encoding::Windows1252].into_iter().find(|encoding| encoding.is_text(&bytes));
    let text = text.filter(|_| !bytes.contains(&0)).map(|encoding| encoding.to_utf8(&bytes));
    let Some(text) = text else {
        return Err(wrong("is neither an Excel file nor a text in UTF-8 or Windows-1252")
            .hint("save it as .xlsx, or as CSV in UTF-8"));
    };
    // One kind of line end, so that lines are counted alike; those of Windows and of old Macs are others.
    let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim_start_matches('\u{feff}');
    let sheets = DELIMITERS.iter().map(|delimiter| csv_sheet(text.as_bytes(), *delimiter));
    // The first of the best: a comma when nothing speaks for another.
    let best = sheets.reduce(|best, next| if fits(&next.rows) > fits(&best.rows) { next } else { best });
    Ok(best.into_iter().collect())
}

fn csv_sheet(text: &[u8], delimiter: u8) -> Sheet {
    let mut sheet = Sheet::default();
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text);
    let mut record = csv::StringRecord::new();
    while sheet.fault.is_none() && reader.read_record(&mut record).unwrap_or(false) {
        let number = usize::try_from(line_of(text, record.position())).unwrap_or(usize::MAX);
        for (column, cell) in record.iter().enumerate().take(MOST_COLUMNS + 1) {
            sheet.put(number, column, cell);
        }
    }
    sheet
}

fn workbook(bytes: &[u8], wrong: &dyn Fn(&str) -> Error) -> Result<Vec<Sheet>> {
    let broken =
        || wrong("is not an Excel file that can be read").hint("open it, save it anew as .xlsx, and try again");
    // calamine takes what it finds, and what a file says of its unpacked size may be a lie: it is unpacked once to be
    // counted, without keeping anything.
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken())?;
    let mut unpacked = 0;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|_| broken())?;
        let rest = MOST_UNPACKED + 1 - unpacked;
        unpacked += std::io::copy(&mut entry.take(rest), &mut std::io::sink()).map_err(|_| broken())?;
        if unpacked > MOST_UNPACKED {
            return Err(wrong(&format!("holds more than {} MB when it is unpacked", MOST_UNPACKED >> 20))
                .hint("is this the dictionary? Save its sheets alone as a new file, then try again"));
        }
    }
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|_| broken())?;
    let sheets = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let names: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
    let mut read = Vec::new();
    for name in names {
        let mut sheet = Sheet { name: name.clone(), ..Sheet::default() };
        let mut cells = workbook.worksheet_cells_reader(&name).map_err(|_| broken())?;
        while let Some(cell) = cells.next_cell().map_err(|_| broken())? {
            let (row, column) = cell.get_position();
            let (number, column) = (row as usize + 1, column as usize);
            match cell.get_value() {
                DataRef::Empty => {}
                DataRef::SharedString(text) => sheet.put(number, column, text),
                DataRef::Int(value) => sheet.put(number, column, &value.to_string()),
                DataRef::Float(value) => sheet.put(number, column, &value.to_string()),
                DataRef::Bool(value) => sheet.put(number, column, if *value { "TRUE" } else { "FALSE" }),
                DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                    sheet.put(number, column, text);
                }
                DataRef::DateTime(value) => sheet.put(number, column, &value.as_f64().to_string()),
                DataRef::Error(_) => {
                    let what = format!("sheet `{name}`, row {number}, column {}: a formula has failed", column + 1);
                    sheet.fault = Some(Error::usage(what).hint("mend or empty the cell, save, and try again"));
                }
            }
            if sheet.fault.is_some() {
                break;
            }
        }
        read.push(sheet);
    }
    Ok(read)
}
