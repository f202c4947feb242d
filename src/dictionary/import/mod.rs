//! A dictionary that came as a table → an overlay over the built-in one.
//!
//! A table has one row for each column of the file; what its own columns are called is not known beforehand. What can be
//! told is taken and told, what is assumed is marked, and what is neither is a [`Question`]: answered by a person, it
//! becomes an [`Answers`] entry, and the import is done again from the start.

mod codes;
mod overlay;
mod sheet;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub use overlay::Overlay;
pub use words::Key;

use super::{Dictionary, Field, header_key, names, nearest};
use crate::error::{Error, Result};
use sheet::{Row, Sheet};
use words::{CodeKey, Words};

/// The word for "a column that the built-in dictionary does not have".
pub const NEW: &str = "new";

/// A header stands among the first rows; titles and remarks may stand above it.
const FIRST_ROWS: usize = 25;

/// What a person has said about the table.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The sheet of the workbook.
    pub sheet: Option<String>,
    /// Which column of the table tells what: its title, or its number; empty for none.
    pub columns: BTreeMap<Key, String>,
    /// Header in the table → name of our field, or [`NEW`].
    pub fields: Vec<(String, String)>,
    /// The id of the edition, where it is to be another than the built-in one's.
    pub id: Option<String>,
    /// The version of the edition; without it, the name of the file.
    pub version: Option<String>,
    /// Where the table is from; without it, the name of the file.
    pub source: Option<String>,
}

/// What a person must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Several columns of the table may tell the same.
    Column {
        /// What they tell.
        key: Key,
        /// Their titles, each with its number.
        columns: Vec<(usize, String)>,
    },
    /// A header is near to one of ours.
    Field {
        /// As the table has it.
        header: String,
        /// The name of our field.
        field: String,
        /// Our header.
        ours: String,
    },
    /// The program needs a field that no header names.
    Needed {
        /// The name of our field.
        field: String,
        /// Our header.
        ours: String,
    },
}

/// How far an import got.
#[derive(Debug)]
pub enum Import {
    /// To its end.
    Done(Overlay),
    /// To these questions.
    Open(Vec<Question>),
}

/// One row of the table: one column of the file.
#[derive(Clone, Debug)]
struct Entry {
    number: usize,
    header: String,
    cells: BTreeMap<Key, String>,
    /// The codes that sheets of codes have for it: code and label.
    codes: Vec<(String, String)>,
}

impl Entry {
    fn cell(&self, key: Key) -> &str {
        self.cells.get(&key).map_or("", String::as_str)
    }
}

/// The table as it was found.
#[derive(Debug)]
struct Found {
    entries: Vec<Entry>,
    /// Key and title of the columns that are understood.
    columns: Vec<(Key, String)>,
    /// What is to be told of the reading.
    notes: Vec<String>,
}

/// Reads a table and lays it over the built-in dictionary. `path` is a CSV file (UTF-8 or Windows-1252; comma, semicolon,
/// tab or bar) or an XLSX file.
pub fn import(path: &Path, answers: &Answers, built_in: &Dictionary) -> Result<Import> {
    let words = Words::built_in()?;
    let fits = |rows: &[Row]| header_row(rows, &words, answers).map_or(0, |(_, understood)| understood);
    let sheets = sheet::read(path, fits)?;
    let reader = Table { path, words: &words, answers, built_in };
    let sheet = reader.choose(&sheets)?;
    let found = match reader.entries(sheet, &sheets)? {
        Ok(found) => found,
        Err(questions) => return Ok(Import::Open(questions)),
    };
    let matched = match reader.matched(&found.entries)? {
        Ok(matched) => matched,
        Err(questions) => return Ok(Import::Open(questions)),
    };
    let place = if sheet.name.is_empty() { String::new() } else { format!(", sheet {}", sheet.name) };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut overlay = overlay::Maker::new(built_in, &words);
    overlay.edition(
        answers.id.as_deref(),
        answers.version.as_deref().unwrap_or(&stem),
        answers.source.as_deref().unwrap_or(&format!("{name}{place}, by phds dictionary import")),
    );
    overlay.read(&format!("{name}{place}"), &found.columns, found.notes);
    for (entry, field) in found.entries.iter().zip(&matched) {
        match field {
            Some(field) => overlay.known(field, entry, &found.entries),
            None => overlay.new_field(entry),
        }
    }
    for field in built_in.fields() {
        if !matched.iter().flatten().any(|matched| matched.name == field.name) {
            overlay.absent(field);
        }
    }
    overlay.finish().map(Import::Done)
}

/// The row that reads most like a header, and how many of its cells are understood: two at least, one of which names
/// the columns of the file.
fn header_row(rows: &[Row], words: &Words, answers: &Answers) -> Option<(usize, usize)> {
    let typed: Vec<String> = answers.columns.values().map(|title| header_key(title)).collect();
    let is_key = |cell: &str, key: Key| words.columns[&key].iter().any(|word| header_key(word) == header_key(cell));
    let is_typed = |cell: &str| typed.contains(&header_key(cell));
    let understood = |row: &Row| {
        let names = row.cells.iter().any(|cell| is_key(cell, Key::Header))
            || answers.columns.get(&Key::Header).is_some_and(|title| column_of(row, title).is_some());
        let known =
            |cell: &&String| !cell.is_empty() && (is_typed(cell) || words.columns.keys().any(|key| is_key(cell, *key)));
        if names { row.cells.iter().filter(known).count() } else { 0 }
    };
    let counts = rows.iter().take(FIRST_ROWS).map(understood).enumerate();
    // Of two equal rows the first: a header may be repeated.
    counts.filter(|(_, count)| *count >= 2).max_by_key(|(at, count)| (*count, std::cmp::Reverse(*at)))
}

/// The column of a row with this title, or with this number where none has.
fn column_of(row: &Row, title: &str) -> Option<usize> {
    let number = || title.trim().parse::<usize>().ok().filter(|number| (1..=row.cells.len()).contains(number));
    let by_title = row.cells.iter().position(|cell| !cell.is_empty() && header_key(cell) == header_key(title));
    by_title.or_else(|| number().map(|number| number - 1))
}

/// A text on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What every step of the reading needs.
struct Table<'a> {
    path: &'a Path,
    words: &'a Words,
    answers: &'a Answers,
    built_in: &'a Dictionary,
}

/// What was asked for, or the questions that stand before it.
type OrQuestions<T> = Result<T, Vec<Question>>;

impl<'t> Table<'t> {
    fn wrong(&self, what: &str) -> Error {
        Error::usage(format!("`{}` {what}", self.path.display()))
    }

    /// The sheet that was named, or the only one that reads like a dictionary.
    fn choose<'s>(&self, sheets: &'s [Sheet]) -> Result<&'s Sheet> {
        let names = || sheets.iter().map(|sheet| format!("`{}`", line(&sheet.name))).collect::<Vec<_>>().join(", ");
        if let Some(wanted) = &self.answers.sheet {
            let named = sheets.iter().find(|sheet| sheet.name.trim().eq_ignore_ascii_case(wanted.trim()));
            return named.filter(|sheet| !sheet.name.is_empty()).ok_or_else(|| {
                let only = sheets.iter().all(|sheet| sheet.name.is_empty());
                let hint = if only { "a CSV file has no sheets".to_owned() } else { format!("it has {}", names()) };
                self.wrong(&format!("has no sheet `{wanted}`")).hint(hint)
            });
        }
        if sheets.iter().all(|sheet| sheet.rows.is_empty()) {
            sheets.iter().try_for_each(|sheet| sheet.sound().map(drop))?;
            return Err(self.wrong("is empty"));
        }
        let fits = |sheet: &&Sheet| {
            header_row(&sheet.rows, self.words, self.answers).is_some() && self.code_columns(sheet).is_none()
        };
        let fitting: Vec<_> = sheets.iter().filter(fits).collect();
        match fitting.as_slice() {
            [sheet] => Ok(sheet),
            [] => {
                sheets.iter().try_for_each(|sheet| sheet.sound().map(drop))?;
                // The titles are not repeated: somebody may have named a delivery by mistake.
                Err(self.wrong(&format!("has no header among its first {FIRST_ROWS} rows that is understood")).hint(
                    "one row of the table describes one column of the file; say which column holds their headers, and \
                     one more: `--map 'header=TITLE' --map 'description=TITLE'`",
                ))
            }
            [_, ..] => {
                let fitting: Vec<_> = fitting.iter().map(|sheet| format!("--sheet '{}'", line(&sheet.name))).collect();
                Err(self.wrong("has several sheets that may be the dictionary").hint(fitting.join(", or ")))
            }
        }
    }

    /// The rows of the table, once it is known which column tells what.
    fn entries(&self, sheet: &Sheet, sheets: &[Sheet]) -> Result<OrQuestions<Found>> {
        let rows = sheet.sound()?;
        let Some((at, _)) = header_row(rows, self.words, self.answers) else {
            return Err(self
                .wrong("has no header that is understood on this sheet")
                .hint("say which column holds their headers, and one more: `--map 'header=TITLE'`"));
        };
        let header = &rows[at];
        let (mut columns, mut questions, mut notes) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (key, spellings) in &self.words.columns {
            if let Some(title) = self.answers.columns.get(key) {
                if !title.trim().is_empty() {
                    let column = column_of(header, title).ok_or_else(|| {
                        self.wrong(&format!("has no column `{title}` in row {}", header.number))
                            .hint("give the title of a column, or its number")
                    })?;
                    columns.insert(*key, column);
                }
                continue;
            }
            let is_it = |cell: &str| spellings.iter().any(|word| header_key(word) == header_key(cell));
            let found: Vec<_> = (0..header.cells.len()).filter(|column| is_it(header.cell(*column))).collect();
            match found.as_slice() {
                [] => {}
                [column] => drop(columns.insert(*key, *column)),
                several => questions.push(Question::Column {
                    key: *key,
                    columns: several.iter().map(|column| (column + 1, line(header.cell(*column)))).collect(),
                }),
            }
        }
        if !questions.is_empty() {
            return Ok(Err(questions));
        }
        let unused = (0..header.cells.len()).filter(|column| !columns.values().any(|used| used == column));
        let unused: Vec<_> = unused.map(|column| line(header.cell(column))).filter(|title| !title.is_empty()).collect();
        if !unused.is_empty() {
            notes.push(format!("Columns that are not used: {}.", unused.join(", ")));
        }
        let mut entries = self.rows(&rows[at + 1..], header, &columns, &mut notes);
        if entries.is_empty() {
            return Err(self.wrong(&format!("has no rows below its header in row {}", header.number)));
        }
        for other in sheets.iter().filter(|other| other.name != sheet.name) {
            if let Some(columns) = self.code_columns(other) {
                self.take_codes(other, &columns, &mut entries, &mut notes)?;
            }
        }
        let columns = columns.into_iter().map(|(key, column)| (key, line(header.cell(column)))).collect();
        Ok(Ok(Found { entries, columns, notes }))
    }

    fn rows(&self, rows: &[Row], header: &Row, columns: &BTreeMap<Key, usize>, notes: &mut Vec<String>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut skipped = Vec::new();
        let named = columns.get(&Key::Header).copied().unwrap_or_default();
        for row in rows {
            let cells: BTreeMap<Key, String> = columns
                .iter()
                .map(|(key, column)| (*key, row.cell(*column).to_owned()))
                .filter(|(_, cell)| !cell.is_empty())
                .collect();
            let title = line(row.cell(named));
            if header_key(&title) == header_key(header.cell(named)) {
                continue; // The header again, on the next page.
            }
            let tells = cells.keys().any(|key| !matches!(key, Key::Header | Key::Position));
            match (title.is_empty(), cells.get(&Key::Codes), entries.last_mut()) {
                // Codes go on below the cell that names their column.
                (true, Some(more), Some(last)) => {
                    let codes = last.cells.entry(Key::Codes).or_default();
                    codes.push('\n');
                    codes.push_str(more);
                }
                (false, ..) if tells || self.is_known(&title) || columns.len() == 1 => {
                    entries.push(Entry { number: row.number, header: title, cells, codes: Vec::new() });
                }
                _ => skipped.push(row.number.to_string()),
            }
        }
        if !skipped.is_empty() {
            skipped.truncate(20);
            notes.push(format!("Rows that describe no column (the first 20): {}.", skipped.join(", ")));
        }
        entries
    }

    /// Whether a person has said which field a header is.
    fn is_named(&self, header: &str) -> bool {
        self.answers.fields.iter().any(|(named, _)| header_key(named) == header_key(header))
    }

    /// Whether a header is one of ours, or a person has said which it is; a heading within the table is neither.
    fn is_known(&self, header: &str) -> bool {
        self.is_named(header) || self.built_in.match_header(header).is_some()
    }

    /// Header row, and the columns, of a sheet of codes.
    fn code_columns(&self, sheet: &Sheet) -> Option<(usize, BTreeMap<CodeKey, usize>)> {
        let is_it = |words: &[String], cell: &str| words.iter().any(|word| header_key(word) == header_key(cell));
        sheet.rows.iter().take(FIRST_ROWS).enumerate().find_map(|(at, row)| {
            let column = |key: CodeKey| {
                let words = &self.words.code_columns[&key];
                let found = row.cells.iter().position(|cell| is_it(words, cell))?;
                Some((key, found))
            };
            let columns = [CodeKey::Header, CodeKey::Code, CodeKey::Label].map(column);
            columns.into_iter().collect::<Option<_>>().map(|columns| (at, columns))
        })
    }

    fn take_codes(
        &self,
        sheet: &Sheet,
        (at, columns): &(usize, BTreeMap<CodeKey, usize>),
        entries: &mut [Entry],
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let mut header = String::new();
        let (mut taken, mut strange) = (0_usize, 0_usize);
        for row in &sheet.sound()?[at + 1..] {
            let cell = |key: CodeKey| line(row.cell(columns[&key]));
            // Cells that are merged over several rows have their text in the first.
            if !cell(CodeKey::Header).is_empty() {
                header = header_key(&cell(CodeKey::Header));
            }
            let (code, label) = (cell(CodeKey::Code), cell(CodeKey::Label));
            if code.is_empty() {
                continue;
            }
            if let Some(entry) = entries.iter_mut().find(|entry| header_key(&entry.header) == header) {
                let label = if label.is_empty() { self.words.label(&code) } else { label };
                entry.codes.push((code, label));
                taken += 1;
            } else {
                strange += 1;
            }
        }
        let name = line(&sheet.name);
        notes.push(format!("Codes of the sheet {name}: {taken} taken, {strange} of no column of the table."));
        Ok(())
    }

    /// The field of ours that each entry is; none for a new one.
    fn matched(&self, entries: &[Entry]) -> Result<OrQuestions<Vec<Option<&'t Field>>>> {
        let built_in = self.built_in;
        let mut by_header: HashMap<String, usize> = HashMap::new();
        for entry in entries {
            if let Some(before) = by_header.insert(header_key(&entry.header), entry.number) {
                let both = format!("has the column `{}` twice, in rows {before} and {}", entry.header, entry.number);
                return Err(self.wrong(&both).hint("leave one of them"));
            }
        }
        for (header, _) in &self.answers.fields {
            if !by_header.contains_key(&header_key(header)) {
                return Err(self
                    .wrong(&format!("describes no column `{header}`"))
                    .hint("write the header as the table has it"));
            }
        }
        let mut matched: Vec<Option<&Field>> = Vec::new();
        for entry in entries {
            let key = header_key(&entry.header);
            let said = self.answers.fields.iter().find(|(header, _)| header_key(header) == key);
            matched.push(match said {
                Some((_, name)) if name == NEW => None,
                Some((_, name)) => Some(built_in.field(name).ok_or_else(|| {
                    let known = built_in.fields().iter().map(|field| field.name.as_str());
                    let hint = nearest(name, known, "phds dictionary --json");
                    Error::usage(format!("the built-in dictionary has no field `{name}`")).hint(hint)
                })?),
                None => built_in.match_header(&entry.header).map(|at| &built_in.fields()[at]),
            });
        }
        for (at, field) in matched.iter().enumerate() {
            let Some(field) = field else { continue };
            let mut before = matched[..at].iter();
            if let Some(before) = before.position(|before| before.is_some_and(|before| before.name == field.name)) {
                let (one, two) = (&entries[before].header, &entries[at].header);
                return Err(self
                    .wrong(&format!("has two columns that are our {}: `{one}` and `{two}`", field.name))
                    .hint(format!("say which is not: `--field '{two}={NEW}'`")));
            }
        }
        let is_open = |field: &&Field| !matched.iter().flatten().any(|matched| matched.name == field.name);
        let open: Vec<&Field> = built_in.fields().iter().filter(is_open).collect();
        let unknown = entries.iter().zip(&matched).filter(|(_, field)| field.is_none()).map(|(entry, _)| entry);
        let near = unknown.filter(|entry| !self.is_named(&entry.header)).filter_map(|entry| {
            let field = nearest_field(&entry.header, &open)?;
            Some(Question::Field {
                header: entry.header.clone(),
                field: field.name.clone(),
                ours: field.header.clone(),
            })
        });
        let mut questions: Vec<_> = near.collect();
        if questions.is_empty() {
            let needed = open.iter().filter(|field| is_needed(field, built_in));
            questions
                .extend(needed.map(|field| Question::Needed { field: field.name.clone(), ours: field.header.clone() }));
        }
        Ok(if questions.is_empty() { Ok(matched) } else { Err(questions) })
    }
}

/// Whether nothing loads without a field: the four that the program works with, and those that dimensions are made from.
fn is_needed(field: &Field, built_in: &Dictionary) -> bool {
    let always = [names::CLIENT, names::BIRTH_DATE, names::VACCINATION_DATE, names::CVX];
    always.contains(&field.name.as_str()) || built_in.dimensions().iter().any(|dimension| dimension.field == field.name)
}

/// The field whose header or alias is near to a header: a few letters differ, or the words of one are all in the other.
fn nearest_field<'d>(header: &str, open: &[&'d Field]) -> Option<&'d Field> {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.map(str::to_uppercase).collect()
    };
    let distance = |ours: &String| {
        let (one, two) = (header_key(header), header_key(ours));
        let letters = strsim::damerau_levenshtein(&one, &two);
        let (theirs, ours) = (words(header), words(ours));
        let within = |few: &[String], many: &[String]| few.iter().all(|word| many.contains(word));
        let is_part = within(&ours, &theirs) || (theirs.len() > 1 && within(&theirs, &ours));
        (is_part || letters * 3 <= one.len().max(two.len())).then_some(letters)
    };
    let nearest = |field: &&'d Field| {
        let all = std::iter::once(&field.header).chain(&field.aliases);
        all.filter_map(distance).min().map(|distance| (distance, *field))
    };
    open.iter().filter_map(nearest).min_by_key(|(distance, _)| *distance).map(|(_, field)| field)
}

/// What to type for questions that nobody is there to answer.
pub fn unanswered(path: &Path, questions: &[Question]) -> Error {
    let mut hints = Vec::new();
    for question in questions {
        match question {
            Question::Column { key, columns } => {
                let flags = columns.iter().map(|(number, title)| format!("--map '{}={number}' ({title})", key.word()));
                let flags: Vec<_> = flags.collect();
                hints.push(format!("{}, or --map '{}=' for none", flags.join(", or "), key.word()));
            }
            Question::Field { header, field, .. } => {
                hints.push(format!("--field '{header}={field}', or --field '{header}={NEW}' when it is another"));
            }
            Question::Needed { field, ours } => {
                hints.push(format!(
                    "--field 'THEIR HEADER={field}' for our {ours}, without which nothing can be loaded"
                ));
            }
        }
    }
    let count = crate::words::count(hints.len(), "question");
    Error::usage(format!("`{}` leaves {count} open", path.display()))
        .hint(format!("add the right one of each line:\n  {}", hints.join("\n  ")))
}
