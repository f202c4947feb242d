//! A CSV of counts → a population, once every row is understood.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::{COUNT, Note, codelist, fingerprint, is_birth_year, is_name};
use crate::dictionary::{Dictionary, Dimension, FieldType, Level, nearest};
use crate::encoding::{self, Encoding};
use crate::error::{Error, Result};
use crate::fs;
use crate::knowledge::{self, Fingerprint};
use crate::provenance::{DeliveryId, Tool};
use crate::words::grouped;

const WORDS: &str = "population.toml";

/// The largest file: every ZIP code of the state by 20 years, sex and race has some 10 MB.
const MOST_BYTES: u64 = 64 << 20;
/// The most faults that a message names.
const MOST_FAULTS: usize = 10;
/// The most characters of a value that a message shows.
const MOST_SHOWN: usize = 60;
/// Years of birth beyond these, and ages beyond, are slips.
const YEARS: std::ops::RangeInclusive<i32> = 1890..=2100;
const OLDEST: i32 = 125;

const LISTING: &str = "phds dictionary --json";

/// What is asked for beside the file.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// As questions will name it.
    pub name: &'a str,
    /// Where the counts are from.
    pub source: &'a str,
    /// The year on whose last day ages are counted.
    pub year: Option<i32>,
}

/// A file whose every row was understood.
#[derive(Clone, Debug)]
pub struct Import {
    note: Note,
    counts: Vec<u8>,
}

/// `population.toml`: how such files are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    schema_version: u32,
    columns: BTreeMap<String, Vec<String>>,
    totals: Totals,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    words: Vec<String>,
    among: Vec<String>,
}

/// What a column of the file is.
#[derive(Clone, Copy, Debug)]
enum Column<'a> {
    Count,
    Age,
    Dimension(&'a Dimension),
}

impl Column<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Count => COUNT,
            Self::Age => "age",
            Self::Dimension(dimension) => &dimension.id,
        }
    }

    /// Whether it tells the year of birth.
    fn tells_year(&self) -> bool {
        match self {
            Self::Age => true,
            Self::Dimension(dimension) => is_birth_year(dimension),
            Self::Count => false,
        }
    }
}

impl Import {
    /// Reads a file of counts. Everything that is wrong with its rows is in one error, with lines.
    pub fn read(path: &Path, request: Request<'_>, dictionary: &Dictionary) -> Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| Error::named_file("read", path, &error))?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::of(&bytes, &file_name, request, dictionary)
    }

    /// The note, which becomes `NAME.json`.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The counts as they are stored: a CSV of the codes of the dimensions and the count, sorted.
    pub fn counts(&self) -> &[u8] {
        &self.counts
    }

    fn of(bytes: &[u8], file_name: &str, request: Request<'_>, dictionary: &Dictionary) -> Result<Self> {
        prove(&request)?;
        let words = Words::built_in()?;
        let wrong = |what: &str| Error::refused(format!("`{file_name}` {what}"));
        if bytes.len() as u64 > MOST_BYTES {
            return Err(wrong(&format!("is larger than {} MB", MOST_BYTES >> 20)).hint("is this a file of counts?"));
        }
        let encoding = [Encoding::Utf8, Encoding::Windows1252].into_iter().find(|encoding| encoding.is_text(bytes));
        let Some(text) = encoding.filter(|_| !bytes.contains(&0)).map(|encoding| encoding.to_utf8(bytes)) else {
            return Err(wrong("is no text in UTF-8 or Windows-1252").hint("save it as CSV in UTF-8"));
        };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let delimiter = encoding::delimiter(text);
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).trim(csv::Trim::All).from_reader(text);
        let header = reader.headers().map_err(|_| wrong("has no header that can be read"))?.clone();
        let columns = words.columns(&header, dictionary, &request).map_err(|what| {
            wrong(&what).hint(
                "the first line names the columns: a count, birth_year or age, and any of county, zip, sex and \
                 race_ethnicity",
            )
        })?;
        let table = Table::new(columns, words, dictionary, request);
        let mut cells: Cells = BTreeMap::new();
        let mut lines: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        let mut faults = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|_| wrong("is no CSV"))?;
            let line = encoding::line_of(text, record.position());
            match table.cell(&record) {
                Ok((cell, _)) if cells.contains_key(&cell) => {
                    faults.push((line, format!("it is the same cell as line {}: {}", lines[&cell], cell.join(", "))));
                }
                Ok((cell, count)) => {
                    lines.insert(cell.clone(), line);
                    cells.insert(cell, count);
                }
                Err(found) => faults.extend(found.into_iter().map(|what| (line, what))),
            }
        }
        if !faults.is_empty() {
            return Err(wrong(&told(&faults)).hint("mend the file and import it again; the store is as it was"));
        }
        if cells.is_empty() {
            return Err(wrong("has no rows"));
        }
        let counts = table.stored(&cells)?;
        let file =
            DeliveryId { file_name: file_name.to_owned(), bytes: bytes.len() as u64, sha256: fs::sha256_hex(bytes) };
        Ok(Self { note: table.note(&cells, file, fingerprint(&counts)), counts })
    }
}

/// What is wrong with the rows, after the name of the file.
fn told(faults: &[(u64, String)]) -> String {
    let lines = faults.iter().take(MOST_FAULTS).map(|(line, what)| format!("\n  line {line}: {what}"));
    let more = match faults.len().saturating_sub(MOST_FAULTS) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    format!("is not taken in:{}{more}", lines.collect::<String>())
}

/// The name can be a file's everywhere, and the source a line.
fn prove(request: &Request<'_>) -> Result<()> {
    if !is_name(request.name) {
        return Err(Error::usage(
            "the name of a population is a lower-case letter, and up to 39 more, digits, hyphens and underscores",
        )
        .hint("for example births or census-2023"));
    }
    if request.source.trim().is_empty() || request.source.chars().any(char::is_control) || request.source.len() > 500 {
        return Err(Error::usage("`--source` is one line that says where the counts are from")
            .hint("for example --source 'Texas Demographic Center, estimates of 2023, vintage 2024'"));
    }
    if request.year.is_some_and(|year| !YEARS.contains(&year)) {
        return Err(Error::usage(format!("`--year` is a year from {} to {}", YEARS.start(), YEARS.end())));
    }
    Ok(())
}

/// Letters and digits in capitals.
fn key(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

impl Words {
    fn built_in() -> Result<Self> {
        let words: Self = knowledge::parse(WORDS, knowledge::text(WORDS)?)?;
        if words.schema_version != 1 {
            return Err(Error::usage(format!("`{WORDS}`: this program knows schema_version 1")));
        }
        Ok(words)
    }

    /// What each column is; the error says what is wrong with the header, after the name of the file.
    fn columns<'a>(
        &self,
        header: &csv::StringRecord,
        dictionary: &'a Dictionary,
        request: &Request<'_>,
    ) -> std::result::Result<Vec<Column<'a>>, String> {
        let known: Vec<_> = header.iter().map(|title| self.column(title, dictionary)).collect();
        let count = known.iter().flatten().filter(|column| matches!(column, Column::Count)).count();
        // Where nothing is known, the first line may be a row, and of what kind of file, nobody knows.
        if known.iter().flatten().count() < 2 || count == 0 {
            return Err("has no header with a count and what it is by".to_owned());
        }
        let mut columns: Vec<Column> = Vec::new();
        for (column, title) in known.into_iter().zip(header) {
            let column = column.ok_or_else(|| {
                format!(
                    "has a column `{title}` that is none of a population: remove it, or give it a name that is known"
                )
            })?;
            let is_same = |other: &Column| other.name() == column.name();
            if columns.iter().any(is_same) {
                return Err(format!("has two columns for `{}`: keep one", column.name()));
            }
            if column.tells_year() && columns.iter().any(Column::tells_year) {
                return Err("has a year of birth and an age: keep one".to_owned());
            }
            columns.push(column);
        }
        if !columns.iter().any(Column::tells_year) {
            return Err("has neither years of birth nor ages, so it cannot tell who is of a measure's age".to_owned());
        }
        if columns.iter().any(|column| matches!(column, Column::Age)) && request.year.is_none() {
            return Err("has ages: say with --year on the last day of which year they were".to_owned());
        }
        let named: Vec<_> = columns
            .iter()
            .filter_map(|column| if let Column::Dimension(d) = column { Some(*d) } else { None })
            .collect();
        for coarse in named.iter().filter(|dimension| dimension.level == Level::Parent) {
            if let Some(fine) = named.iter().find(|fine| fine.field == coarse.field && fine.id != coarse.id) {
                return Err(format!(
                    "has `{}` and `{}`, which follows from it: keep `{}`",
                    fine.id, coarse.id, fine.id
                ));
            }
        }
        Ok(columns)
    }

    fn column<'a>(&self, title: &str, dictionary: &'a Dictionary) -> Option<Column<'a>> {
        let wanted = key(title);
        let is_word =
            |name: &str| self.columns.get(name).is_some_and(|words| words.iter().any(|word| key(word) == wanted));
        let is_dimension = |dimension: &&Dimension| {
            // A file's age is that of the day which `--year` names, and so a year of birth.
            if dimension.level == Level::AgeAsOf {
                return false;
            }
            let field = dictionary.field(&dimension.field).filter(|_| dimension.level == Level::Value);
            let titles = field.into_iter().flat_map(|field| std::iter::once(&field.header).chain(&field.aliases));
            let own = [&dimension.id, &dimension.title].into_iter().chain(titles);
            own.into_iter().any(|known| key(known) == wanted) || is_word(&dimension.id)
        };
        if let Some(dimension) = dictionary.dimensions().iter().find(is_dimension) {
            return Some(Column::Dimension(dimension));
        }
        [(COUNT, Column::Count), ("age", Column::Age)]
            .into_iter()
            .find(|(name, _)| is_word(name))
            .map(|(_, column)| column)
    }

    /// Whether a value says that its row adds up others.
    fn is_total(&self, value: &str) -> bool {
        let has = |words: &[String], value: &str| words.iter().any(|word| key(word) == key(value));
        has(&self.totals.words, value)
            || value.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| has(&self.totals.among, word))
    }
}

/// The codes of each cell, in the order of the dictionary's dimensions, and its count.
type Cells = BTreeMap<Vec<String>, u64>;

/// A file whose header is understood.
struct Table<'a> {
    columns: Vec<Column<'a>>,
    /// In the order of the dictionary, whatever the order of the file.
    dimensions: Vec<&'a Dimension>,
    /// For each column, which of the dimensions it is; the count is none.
    places: Vec<Option<usize>>,
    words: Words,
    dictionary: &'a Dictionary,
    request: Request<'a>,
}

impl<'a> Table<'a> {
    fn new(columns: Vec<Column<'a>>, words: Words, dictionary: &'a Dictionary, request: Request<'a>) -> Self {
        let is_of = |column: &Column, dimension: &Dimension| match column {
            Column::Dimension(here) => here.id == dimension.id,
            Column::Age => is_birth_year(dimension),
            Column::Count => false,
        };
        let is_here = |dimension: &&Dimension| columns.iter().any(|column| is_of(column, dimension));
        let dimensions: Vec<_> = dictionary.dimensions().iter().filter(is_here).collect();
        let place = |column| dimensions.iter().position(|dimension| is_of(column, dimension));
        let places = columns.iter().map(place).collect();
        Self { columns, dimensions, places, words, dictionary, request }
    }

    /// The codes and the count of a row, or everything that is wrong with it.
    fn cell(&self, record: &csv::StringRecord) -> std::result::Result<(Vec<String>, u64), Vec<String>> {
        if record.len() != self.columns.len() {
            return Err(vec![format!("it has {} fields, and the header {}", record.len(), self.columns.len())]);
        }
        let mut cell = vec![String::new(); self.dimensions.len()];
        let mut count = 0;
        let mut faults = Vec::new();
        for ((column, place), value) in self.columns.iter().zip(&self.places).zip(record) {
            let code = match column {
                Column::Count => whole(value).map(|number| {
                    count = number;
                    String::new()
                }),
                _ if value.is_empty() => {
                    Err(format!("`{}` is missing; a row that adds up others must be left out", column.name()))
                }
                _ if self.words.is_total(value) => {
                    Err(format!("`{}` is a total: leave such rows out, sums are made anew", brief(value)))
                }
                Column::Age => birth_year(value, self.request.year),
                Column::Dimension(dimension) => code(self.dictionary, dimension, value),
            };
            match (code, place) {
                (Ok(code), Some(place)) => cell[*place] = code,
                (Ok(_), None) => {}
                (Err(what), _) => faults.push(what),
            }
        }
        if faults.is_empty() { Ok((cell, count)) } else { Err(faults) }
    }

    /// The counts as they are stored.
    fn stored(&self, cells: &Cells) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = || Error::internal("counts have no form as CSV");
        let header = self.dimensions.iter().map(|dimension| dimension.id.as_str()).chain([COUNT]);
        writer.write_record(header).map_err(|_| failed())?;
        for (cell, count) in cells {
            let count = count.to_string();
            writer.write_record(cell.iter().chain([&count])).map_err(|_| failed())?;
        }
        writer.into_inner().map_err(|_| failed())
    }

    fn note(&self, cells: &Cells, file: DeliveryId, fingerprint: Fingerprint) -> Note {
        let ids: Vec<String> = self.dimensions.iter().map(|dimension| dimension.id.clone()).collect();
        let values: Vec<BTreeSet<&str>> =
            (0..ids.len()).map(|at| cells.keys().map(|cell| cell[at].as_str()).collect()).collect();
        let years = self.dimensions.iter().zip(&values).filter(|(dimension, _)| is_birth_year(dimension));
        let years: BTreeSet<i32> = years.flat_map(|(_, years)| years).filter_map(|year| year.parse().ok()).collect();
        let first_birth_year = years.first().copied().unwrap_or_default();
        let last_birth_year = years.last().copied().unwrap_or_default();
        let rows = cells.len() as u64;
        let combinations = values.iter().fold(1, |product: u64, values| product.saturating_mul(values.len() as u64));
        let missing_combinations = combinations - rows;
        let mut notes = Vec::new();
        let has_ages = self.columns.iter().any(|column| matches!(column, Column::Age));
        if let Some(year) = self.request.year.filter(|_| has_ages) {
            notes.push(format!(
                "Years of birth are {year} less the age: right for ages in completed years on 31 December {year}; of ages on \
                 another day, some people are in the year beside their own."
            ));
        }
        if let Some(first) = first_missing(&values, cells) {
            notes.push(format!(
                "{} of {} combinations of {} have no row and count as nobody; the first is {}.",
                grouped(missing_combinations),
                grouped(combinations),
                ids.join(", "),
                first.join(", ")
            ));
        }
        if years.iter().zip(years.iter().skip(1)).any(|(year, next)| next - year > 1) {
            notes.push(format!("Some years of birth between {first_birth_year} and {last_birth_year} are missing."));
        }
        Note {
            schema_version: 1,
            name: self.request.name.to_owned(),
            source: self.request.source.trim().to_owned(),
            year: self.request.year,
            fingerprint,
            file,
            dimensions: ids,
            first_birth_year,
            last_birth_year,
            rows,
            people: cells.values().sum(),
            missing_combinations,
            notes,
            tool: Tool::this(),
        }
    }
}

/// A value in a message: its beginning.
fn brief(value: &str) -> String {
    let end = value.char_indices().nth(MOST_SHOWN).map(|(end, _)| end);
    end.map_or_else(|| value.to_owned(), |end| format!("{}…", &value[..end]))
}

/// A count; the error says what it is instead.
fn whole(value: &str) -> std::result::Result<u64, String> {
    let is_number = value.parse::<f64>().is_ok_and(f64::is_finite);
    match value.parse::<u64>() {
        // The sum of all counts must be a number, too.
        Ok(number) if u32::try_from(number).is_ok() => Ok(number),
        Ok(_) => Err("the count is larger than any population".to_owned()),
        Err(_) if value.is_empty() => Err("the count is missing".to_owned()),
        Err(_) if is_number && value.starts_with('-') => Err(format!("the count is negative: {}", brief(value))),
        Err(_) if is_number => Err(format!("the count is no whole number: {}", brief(value))),
        Err(_) => Err(format!("the count is no whole number in digits alone: `{}`", brief(value))),
    }
}

/// Completed years on the last day of `year` → the year of birth.
fn birth_year(value: &str, year: Option<i32>) -> std::result::Result<String, String> {
    let age = value.parse::<i32>().ok().filter(|age| (0..=OLDEST).contains(age));
    match (age, year) {
        (Some(age), Some(year)) => Ok((year - age).to_string()),
        _ => Err(format!(
            "`{}` is no age in completed years, 0 to {OLDEST}: groups of ages cannot be split, and an open last group is \
             to be left out",
            brief(value)
        )),
    }
}

/// A value → how it is stored.
fn code(dictionary: &Dictionary, dimension: &Dimension, value: &str) -> std::result::Result<String, String> {
    let unknown = |hint: String| Err(format!("`{}` is no value of `{}`: {hint}", brief(value), dimension.id));
    let field = dictionary.field(&dimension.field);
    match (dimension.level, codelist(dictionary, dimension), field) {
        (Level::Year, ..) => match value.parse::<i32>() {
            Ok(year) if YEARS.contains(&year) => Ok(year.to_string()),
            _ => unknown("write a year, for example 2021".to_owned()),
        },
        (Level::Value, Some(codelist), Some(field)) if field.field_type == FieldType::Code => {
            match codelist.find(value.as_bytes(), true) {
                Some(at) => Ok(codelist.codes()[usize::from(at)].code.clone()),
                None => unknown(nearest(value, codelist.codes().iter().map(|code| code.label.as_str()), LISTING)),
            }
        }
        (Level::Parent, Some(codelist), _) => {
            let column = dimension.parent.as_deref().unwrap_or_default();
            let known = codelist.values(column);
            if known.clone().any(|known| known == value) {
                Ok(value.to_owned())
            } else {
                unknown(nearest(value, known, LISTING))
            }
        }
        (_, _, Some(field)) if field.has_form(value.as_bytes()) => Ok(field.kept(value).to_owned()),
        (_, _, Some(field)) => unknown(field.description.clone()),
        (_, _, None) => unknown("the dictionary has no such field".to_owned()),
    }
}

/// The first combination of values that has no cell. Cells are sorted as combinations are, so it is where they part.
fn first_missing<'a>(values: &[BTreeSet<&'a str>], cells: &Cells) -> Option<Vec<&'a str>> {
    let values: Vec<Vec<&str>> = values.iter().map(|values| values.iter().copied().collect()).collect();
    let mut at = vec![0; values.len()];
    for cell in cells.keys().map(Some).chain([None]) {
        let wanted: Vec<&str> = values.iter().zip(&at).map(|(values, at)| values[*at]).collect();
        if cell.is_none_or(|cell| *cell != wanted) {
            return Some(wanted);
        }
        // The last dimension changes first.
        let turning = (0..values.len()).rev().find(|place| at[*place] + 1 < values[*place].len())?;
        at[turning] += 1;
        at[turning + 1..].fill(0);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(text: impl AsRef<[u8]>, year: Option<i32>) -> Result<Import> {
        let request = Request { name: "x", source: "invented", year };
        Import::of(text.as_ref(), "x.csv", request, &Dictionary::built_in().unwrap())
    }

    fn counts(text: impl AsRef<[u8]>, year: Option<i32>) -> String {
        let import = import(text, year).unwrap();
        String::from_utf8(import.counts().to_vec()).unwrap()
    }

    #[test]
    fn what_is_stored_does_not_depend_on_how_the_file_is_written() {
        let stored = "county,birth_year,count\n48209,2020,5\n48453,2020,7\n48453,2021,0\n";
        for text in [
            "county,birth_year,count\nTravis,2020,7\nTravis,2021,0\nHays,2020,5\n",
            // By FIPS code and other spellings, with another order, quotes, blanks, blank lines and a byte order mark.
            "\u{feff}Population,COUNTY FIPS,Year of Birth\r\n7,48453,2020\r\n\r\n\" 5 \", 48209 ,2020\r\n0,48453,2021\r\n",
            "Births;County Name;YOB\n7;travis county;2020\n0;TRAVIS;2021\n5;Hays County;2020\n",
            "n\tcounty\tborn\n7\tTravis\t2020\n0\tTravis\t2021\n5\tHays\t2020",
        ] {
            assert_eq!(counts(text, None), stored, "{text}");
        }
        let of = |text| import(text, None).unwrap().note().fingerprint.clone();
        assert_eq!(of("n,yob\n1,2020\n2,2021\n"), of("yob,n\n2021,2\n2020,1\n"));
        assert_ne!(of("n,yob\n1,2020\n"), of("n,yob\n2,2020\n"));
    }

    #[test]
    fn ages_become_years_of_birth() {
        let stored = "birth_year,sex,count\n2022,F,4\n2024,F,1\n2024,M,2\n";
        assert_eq!(counts("age,gender,people\n0,Female,1\n0,M,2\n2,f,4\n", Some(2024)), stored);
        let import = import("age,count\n0,1\n", Some(2024)).unwrap();
        assert!(import.note().notes[0].contains("on 31 December 2024"), "{:?}", import.note().notes);
        assert_eq!((import.note().first_birth_year, import.note().year), (2024, Some(2024)));
    }

    #[test]
    fn other_dimensions_of_the_dictionary() {
        let text = "zip,yob,race,count\n78701,2020,Black or African American,3\n78702-1234,2020,Other,4\n";
        assert_eq!(counts(text, None), "zip,birth_year,race_ethnicity,count\n78701,2020,Black,3\n78702,2020,Other,4\n");
        assert_eq!(counts("region,yob,n\n7,2020,3\n", None), "region,birth_year,count\n7,2020,3\n");
        let latin = import(b"county,yob,n\nCaf\xe9,2020,3\n", None).unwrap_err();
        assert!(latin.message().contains("`Café` is no value"), "{latin}");
    }

    #[test]
    fn a_header_that_is_not_understood() {
        for (text, year, message) in [
            ("", None, "has no header with a count"),
            ("Travis,2020,7\nHays,2020,5\n", None, "has no header with a count"),
            ("county,birth_year\nTravis,2020\n", None, "has no header with a count"),
            ("county,birth_year,n,people\n", None, "has two columns for `count`"),
            ("county,fips,yob,n\n", None, "has two columns for `county`"),
            ("county,yob,n,Nativity\n", None, "has a column `Nativity` that is none"),
            ("county,n\nTravis,7\n", None, "has neither years of birth nor ages"),
            ("age,yob,n\n", Some(2024), "has a year of birth and an age"),
            ("age,n\n0,7\n", None, "has ages: say with --year"),
            ("county,region,yob,n\n", None, "has `county` and `region`, which follows from it"),
            ("yob,n\n", None, "has no rows"),
        ] {
            let error = import(text, year).unwrap_err();
            assert!(error.message().starts_with(&format!("`x.csv` {message}")), "{text}: {error}");
        }
        // Where the first line may be a row, nothing of it is told.
        let error = import("Doe,Jane,2020-01-01\n", None).unwrap_err().to_string();
        assert!(!error.contains("Doe") && !error.contains("2020"), "{error}");
        assert!(import(b"yob,n\n2020,1\x00\n", None).unwrap_err().message().contains("is no text"));
        assert!(import(b"yob,n\n2020,\x81\n", None).unwrap_err().message().contains("is no text"));
    }

    #[test]
    fn a_row_that_is_wrong_is_told_by_its_line() {
        for (row, message) in [
            ("Travis,2020,-7", "line 3: the count is negative: -7"),
            ("Travis,2020,7.5", "line 3: the count is no whole number: 7.5"),
            ("Travis,2020,1e3", "line 3: the count is no whole number: 1e3"),
            ("Travis,2020,\"1,234\"", "line 3: the count is no whole number in digits alone: `1,234`"),
            ("Travis,2020,", "line 3: the count is missing"),
            ("Travis,2020,99999999999", "line 3: the count is larger than any population"),
            ("Traviss,2020,7", "line 3: `Traviss` is no value of `county`: did you mean `Travis`?"),
            ("453,2020,7", "line 3: `453` is no value of `county`"),
            ("Travis,20,7", "line 3: `20` is no value of `birth_year`: write a year"),
            ("Travis,2020.0,7", "line 3: `2020.0` is no value of `birth_year`"),
            ("Travis,,7", "line 3: `birth_year` is missing; a row that adds up others must be left out"),
            ("Travis,All,7", "line 3: `All` is a total"),
            ("Travis,\"Total, 2020\",7", "line 3: `Total, 2020` is a total"),
            ("Texas,2020,7", "line 3: `Texas` is a total"),
            ("Travis,2020", "line 3: it has 2 fields, and the header 3"),
            ("Travis,2020,7,", "line 3: it has 4 fields, and the header 3"),
            ("48209,2020,7", "line 3: it is the same cell as line 2: 48209, 2020"),
        ] {
            let error = import(format!("county,yob,n\nHays,2020,5\n{row}\n"), None).unwrap_err();
            assert!(error.message().contains(&format!("\n  {message}")), "{row}: {error}");
            assert_eq!(error.kind(), crate::error::ErrorKind::Refused);
        }
        for age in ["-1", "126", "85+", "0-4", "<1", "1.5"] {
            let error = import(format!("age,n\n{age},5\n"), Some(2024)).unwrap_err();
            assert!(error.message().contains(&format!("line 2: `{age}` is no age in completed years")), "{error}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_up_to_ten_lines() {
        let rows = "Nowhere,2020,x\n".repeat(12);
        let error = import(format!("county,yob,n\n{rows}"), None).unwrap_err();
        assert_eq!(error.message().lines().count(), 12, "{error}");
        assert!(error.message().contains("line 6: ") && !error.message().contains("line 7: "), "{error}");
        assert!(error.message().ends_with("and 14 more"), "{error}");
        let long = import(format!("county,yob,n\n{},2020,1\n", "é".repeat(1_000)), None).unwrap_err();
        assert!(long.message().chars().count() < 300, "{long}");
    }

    #[test]
    fn what_has_no_row_is_noted() {
        let noted = |text| import(text, None).unwrap().note().clone();
        let whole = noted("yob,sex,n\n2020,F,1\n2020,M,1\n2021,F,1\n2021,M,0\n");
        assert_eq!((whole.missing_combinations, whole.rows, whole.people, whole.notes.len()), (0, 4, 3, 0));
        for (text, missing, first) in [
            (
                "yob,sex,n\n2020,F,1\n2020,M,1\n2021,M,0\n",
                1,
                "1 of 4 combinations of birth_year, sex have no row and count as nobody; the first is 2021, F.",
            ),
            (
                "yob,sex,n\n2020,M,1\n2021,F,0\n",
                2,
                "2 of 4 combinations of birth_year, sex have no row and count as nobody; the first is 2020, F.",
            ),
            (
                "yob,sex,n\n2020,F,1\n2020,M,1\n2021,F,0\n",
                1,
                "1 of 4 combinations of birth_year, sex have no row and count as nobody; the first is 2021, M.",
            ),
        ] {
            let note = noted(text);
            assert_eq!((note.missing_combinations, note.notes[0].as_str()), (missing, first));
        }
        let gap = noted("yob,n\n2018,1\n2020,1\n");
        assert_eq!(gap.notes, ["Some years of birth between 2018 and 2020 are missing."]);
    }

    #[test]
    fn a_name_is_a_plain_word_and_a_source_a_line() {
        let dictionary = Dictionary::built_in().unwrap();
        for (name, source, year, is_right) in [
            ("births", "State", None, true),
            ("census-2023_v2", "State", Some(2023), true),
            ("", "State", None, false),
            ("2023", "State", None, false),
            ("Births", "State", None, false),
            ("a/b", "State", None, false),
            ("a.b", "State", None, false),
            ("births", "  ", None, false),
            ("births", "two\nlines", None, false),
            ("births", "State", Some(24), false),
        ] {
            let request = Request { name, source, year };
            assert_eq!(
                Import::of(b"yob,n\n2020,1\n", "x.csv", request, &dictionary).is_ok(),
                is_right,
                "{name} {source}"
            );
        }
    }
}
