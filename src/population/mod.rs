//! Counts of people from outside, such as estimates and births, that shares of a population are taken of.
//!
//! They are public counts and no records: their values may stand in messages.

mod import;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use import::{Import, Request};

use crate::dictionary::{Codelist, Dictionary, Dimension, Level, names, nearest};
use crate::error::{Error, Result};
use crate::fs;
use crate::knowledge::Fingerprint;
use crate::provenance::{DeliveryId, Tool};
use crate::store::Store;
use crate::words::{UNKNOWN, is_unknown};

/// The column of the counts in a stored population.
const COUNT: &str = "count";

/// `NAME.json` of the store's populations: what a population is. It has no clock time, so that the same file gives the same
/// bytes, here and in every release that names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Note {
    /// 1.
    pub schema_version: u32,
    /// As questions name it.
    pub name: String,
    /// Where the counts are from, in the words of who took them in.
    pub source: String,
    /// The year on whose last day ages are counted, when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Changes with the counts.
    pub fingerprint: Fingerprint,
    /// The file that was taken in.
    pub file: DeliveryId,
    /// The dimensions that the counts are by, in the order of the dictionary.
    pub dimensions: Vec<String>,
    /// The earliest year of birth.
    pub first_birth_year: i32,
    /// The latest.
    pub last_birth_year: i32,
    /// Cells.
    pub rows: u64,
    /// All counts together.
    pub people: u64,
    /// Combinations of the values of the dimensions that have no row; they count as nobody.
    pub missing_combinations: u64,
    /// What a reader must know of the counts, in sentences.
    pub notes: Vec<String>,
    /// The program that took it in.
    pub tool: Tool,
}

impl Note {
    /// The file of the counts, beside the note. Its name has the fingerprint, so that new counts never take the place of those
    /// that a note names.
    fn counts_file(&self) -> String {
        format!("{}.{}.csv", self.name, self.fingerprint)
    }
}

/// A population of a store, whose counts are those of its note, and whose every value the dictionary knows.
#[derive(Clone, Debug)]
pub struct Population {
    note: Note,
    dimensions: Vec<String>,
    /// One for each dimension.
    columns: Vec<Column>,
    counts: Vec<u64>,
    years: Vec<i32>,
}

/// The labels of one dimension, and the one that each row has.
#[derive(Clone, Debug)]
struct Column {
    labels: Vec<String>,
    of_rows: Vec<usize>,
}

impl Population {
    /// Opens a population of the store. Labels are those of the dictionary, as releases print them; a dimension that is made
    /// from a column of a codelist (`region` from `county`) comes with the one that it is made from.
    pub fn open(store: &Store, dictionary: &Dictionary, name: &str) -> Result<Self> {
        let Some(note) = note(store, name)? else {
            let known: Vec<_> = list(store)?.into_iter().map(|note| note.name).collect();
            let hint = if known.is_empty() {
                "`phds population import FILE --name NAME --source TEXT` takes one in".to_owned()
            } else {
                nearest(name, known.iter().map(String::as_str), "phds population list")
            };
            return Err(Error::usage(format!("there is no population `{name}` in the store")).hint(hint));
        };
        let path = store.populations().join(note.counts_file());
        let text = std::fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
        let damaged = || {
            Error::environment(format!("`{}` is not what was taken in as `{name}`", path.display()))
                .hint("take the file in again with `phds population import`")
        };
        if fingerprint(&text) != note.fingerprint {
            return Err(damaged());
        }
        let (rows, counts) = read(&text, note.dimensions.len()).ok_or_else(damaged)?;
        let mut population = Self { note, dimensions: Vec::new(), columns: Vec::new(), counts, years: Vec::new() };
        for dimension in dictionary.dimensions() {
            let Some((column, reading)) = population.source_of(dictionary, dimension) else { continue };
            let codes = rows.iter().map(|row| row[column].as_str());
            let made = Column::new(codes, |code| reading.label(code)).map_err(|code| {
                Error::usage(format!("`{code}` of the population `{name}` is no value of `{}` any more", dimension.id))
                    .hint("the dictionary has changed: take the file in again with `phds population import`")
            })?;
            if is_birth_year(dimension) {
                population.years = rows.iter().filter_map(|row| row[column].parse().ok()).collect();
            }
            population.dimensions.push(dimension.id.clone());
            population.columns.push(made);
        }
        if population.years.len() != population.counts.len() {
            return Err(damaged());
        }
        Ok(population)
    }

    /// The stored column that a dimension is read from, its own or that of the value it is made from, and how.
    fn source_of<'a>(&self, dictionary: &'a Dictionary, dimension: &'a Dimension) -> Option<(usize, Reading<'a>)> {
        let place = |id: &str| self.note.dimensions.iter().position(|stored| stored == id);
        let codelist = codelist(dictionary, dimension);
        if let Some(column) = place(&dimension.id) {
            let codelist = codelist.filter(|_| dimension.level == Level::Value);
            return Some((column, codelist.map_or(Reading::AsStored, Reading::Label)));
        }
        let parent = dimension.parent.as_deref().filter(|_| dimension.level == Level::Parent)?;
        let is_value = |of: &&Dimension| of.field == dimension.field && of.level == Level::Value;
        let finer = dictionary.dimensions().iter().find(is_value)?;
        Some((place(&finer.id)?, Reading::Parent(codelist?, parent)))
    }

    /// What the population is, for `release.json`.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The dimensions that it can be grouped and filtered by, in the order of the dictionary.
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

    /// The years of birth that it has.
    pub fn birth_years(&self) -> BTreeSet<i32> {
        self.years.iter().copied().collect()
    }

    /// People by the labels of the dimensions `by`, among those who have one of the labels of each filter and were born in a
    /// year that `birth_years` says yes to. A group without a row is not there; without dimensions, there is one group of all.
    /// The error names the dimension that the population does not have.
    pub fn counts(
        &self,
        by: &[String],
        filters: &[(String, Vec<String>)],
        birth_years: impl Fn(i32) -> bool,
    ) -> Result<BTreeMap<Vec<String>, u64>> {
        let by = by.iter().map(|id| self.column(id)).collect::<Result<Vec<_>>>()?;
        let filters = filters.iter().map(|(id, labels)| {
            let column = self.column(id)?;
            let is_in: Vec<bool> = column.labels.iter().map(|label| labels.contains(label)).collect();
            Ok((column, is_in))
        });
        let filters = filters.collect::<Result<Vec<_>>>()?;
        let mut groups: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
        for (row, count) in self.counts.iter().enumerate() {
            if birth_years(self.years[row]) && filters.iter().all(|(column, is_in)| is_in[column.of_rows[row]]) {
                *groups.entry(by.iter().map(|column| column.of_rows[row]).collect()).or_default() += count;
            }
        }
        let labelled = groups.into_iter().map(|(places, count)| {
            (by.iter().zip(places).map(|(column, place)| column.labels[place].clone()).collect(), count)
        });
        Ok(labelled.collect())
    }

    fn column(&self, id: &str) -> Result<&Column> {
        let place = self.dimensions.iter().position(|known| known == id);
        place.map(|place| &self.columns[place]).ok_or_else(|| {
            Error::usage(format!("the population `{}` is not by `{id}`", self.note.name)).hint(format!(
                "it is by {}; take in a file with that column, or leave the dimension out",
                self.dimensions.join(", ")
            ))
        })
    }
}

impl Column {
    /// Codes → labels; the error is the code that has none. Codes with the same label are one.
    fn new<'a>(
        codes: impl Iterator<Item = &'a str>,
        label: impl Fn(&str) -> Option<String>,
    ) -> std::result::Result<Self, String> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut of_codes: BTreeMap<&str, usize> = BTreeMap::new();
        let mut column = Self { labels: Vec::new(), of_rows: Vec::new() };
        for code in codes {
            let place = if let Some(place) = of_codes.get(code) {
                *place
            } else {
                let label = label(code).ok_or_else(|| code.to_owned())?;
                let place = *places.entry(label.clone()).or_insert(column.labels.len());
                if place == column.labels.len() {
                    column.labels.push(label);
                }
                of_codes.insert(code, place);
                place
            };
            column.of_rows.push(place);
        }
        Ok(column)
    }
}

/// Whether a dimension is the year of birth.
fn is_birth_year(dimension: &Dimension) -> bool {
    dimension.level == Level::Year && dimension.field == names::BIRTH_DATE
}

/// The codelist of a dimension's field.
fn codelist<'a>(dictionary: &'a Dictionary, dimension: &Dimension) -> Option<&'a Codelist> {
    dictionary.codelist(dictionary.field(&dimension.field)?)
}

/// How a stored code becomes what releases print.
#[derive(Clone, Copy, Debug)]
enum Reading<'a> {
    /// A year, a ZIP code, or a region that the file itself has.
    AsStored,
    /// The label of the code.
    Label(&'a Codelist),
    /// The coarser value of the code in a column of the codelist.
    Parent(&'a Codelist, &'a str),
}

impl Reading<'_> {
    /// None when the codelist does not have the code.
    fn label(&self, code: &str) -> Option<String> {
        let label = match self {
            Self::AsStored if is_unknown(code) => UNKNOWN,
            Self::AsStored => code,
            Self::Label(codelist) => &codelist.codes()[usize::from(codelist.find(code.as_bytes(), false)?)].label,
            Self::Parent(codelist, column) => match codelist.value(codelist.find(code.as_bytes(), false)?, column) {
                "" => UNKNOWN,
                parent => parent,
            },
        };
        Some(label.to_owned())
    }
}

/// Whether a name can be a population's: a lower-case letter, and up to 39 more, digits, hyphens and underscores. So it can
/// be a file's on every system.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain) && name.len() <= 40
}

fn read_note(path: &Path) -> Result<Note> {
    let text = std::fs::read(path).map_err(|error| Error::io("read", path, &error))?;
    match serde_json::from_slice::<Note>(&text) {
        Ok(note) if note.schema_version == 1 => Ok(note),
        _ => Err(Error::environment(format!("`{}` is damaged, or from another version", path.display()))
            .hint("take the file in again with `phds population import`, once this one is removed")),
    }
}

/// The rows of stored counts: the codes of each, and the counts.
fn read(text: &[u8], dimensions: usize) -> Option<(Vec<Vec<String>>, Vec<u64>)> {
    let mut reader = csv::Reader::from_reader(text);
    let mut counts = Vec::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.ok()?;
        rows.push(record.iter().take(dimensions).map(str::to_owned).collect());
        counts.push(record.get(dimensions)?.parse().ok()?);
    }
    Some((rows, counts))
}

fn fingerprint(counts: &[u8]) -> Fingerprint {
    Fingerprint::of([("population", counts)])
}

/// What the population of a name is; none when there is none.
pub fn note(store: &Store, name: &str) -> Result<Option<Note>> {
    let path = store.populations().join(format!("{name}.json"));
    if is_name(name) && path.is_file() { read_note(&path).map(Some) } else { Ok(None) }
}

/// The populations of a store, by name.
pub fn list(store: &Store) -> Result<Vec<Note>> {
    let mut paths = fs::files_in(&store.populations())?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut notes = paths.iter().map(|path| read_note(path)).collect::<Result<Vec<_>>>()?;
    notes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(notes)
}

/// Puts an import into the store, in place of the population of that name, if there is one. The caller holds the lock.
///
/// The counts are written under a name that nobody reads yet; the note that names them is the moment of change.
pub fn keep(store: &Store, import: &Import) -> Result<()> {
    let folder = store.populations();
    fs::make_folder(&folder)?;
    let note = import.note();
    fs::write_whole(&folder.join(note.counts_file()), import.counts())?;
    fs::write_json(&folder.join(format!("{}.json", note.name)), note)?;
    for entry in std::fs::read_dir(&folder).map_err(|error| Error::io("list", &folder, &error))?.flatten() {
        let is_older = entry.file_name().to_str().is_some_and(|file| {
            let fingerprint =
                file.strip_prefix(&note.name).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".csv"));
            fingerprint.is_some_and(|older| older.len() == 16 && older != note.fingerprint.to_string())
        });
        if is_older {
            std::fs::remove_file(entry.path()).map_err(|error| Error::io("remove", &entry.path(), &error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: &str = "county,yob,sex,n
        Travis,2020,F,1\nTravis,2020,M,2\nTravis,2021,F,4\nTravis,2021,M,8
        Hays,2020,F,16\nHays,2020,M,32\nHays,2021,F,64\nHays,2021,M,128
        Dallas,2020,U,256\n";

    fn with(test: impl Fn(&Store, &Dictionary, &dyn Fn(&str, &str))) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(&folder.path().join("store")).unwrap();
        let dictionary = Dictionary::built_in().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join("counts.csv");
            std::fs::write(&path, text).unwrap();
            let request = Request { name, source: "invented", year: None };
            keep(&store, &Import::read(&path, request, &dictionary).unwrap()).unwrap();
        };
        test(&store, &dictionary, &put);
    }

    fn told(groups: &BTreeMap<Vec<String>, u64>) -> String {
        groups.iter().map(|(labels, count)| format!("{} {count}", labels.join("/"))).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn groups_are_sums_with_the_labels_of_releases() {
        with(|store, dictionary, put| {
            put("x", COUNTS);
            let population = Population::open(store, dictionary, "x").unwrap();
            assert_eq!(population.dimensions(), ["county", "region", "birth_year", "sex"]);
            assert_eq!(population.birth_years(), BTreeSet::from([2020, 2021]));
            let ask = |by: &str, filters: &[(&str, &[&str])], years: &dyn Fn(i32) -> bool| {
                let by: Vec<String> = by.split_whitespace().map(str::to_owned).collect();
                let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
                let filters: Vec<_> = filters.iter().map(|(id, labels)| ((*id).to_owned(), owned(labels))).collect();
                population.counts(&by, &filters, years).map(|groups| told(&groups)).map_err(|error| error.to_string())
            };
            let all = |_: i32| true;
            for (by, filters, groups) in [
                ("", &[][..], " 511"),
                ("county", &[], "Dallas 256, Hays 240, Travis 15"),
                // Travis and Hays are one region.
                ("region", &[], "2/3 256, 7 255"),
                (
                    "sex birth_year",
                    &[],
                    "Female/2020 17, Female/2021 68, Male/2020 34, Male/2021 136, Unknown/2020 256",
                ),
                ("birth_year", &[("region", &["7"][..])], "2020 51, 2021 204"),
                (
                    "county",
                    &[("sex", &["Male", "Unknown"][..]), ("birth_year", &["2020"][..])],
                    "Dallas 256, Hays 32, Travis 2",
                ),
                ("county", &[("county", &["Loving"][..])], ""),
            ] {
                assert_eq!(ask(by, filters, &all).unwrap(), groups, "{by} {filters:?}");
            }
            assert_eq!(ask("county", &[], &|year| year == 2021).unwrap(), "Hays 192, Travis 12");
            for (by, filters) in [("county zip", &[][..]), ("county", &[("zip", &["78701"][..])])] {
                let error = ask(by, filters, &all).unwrap_err();
                assert!(error.contains("`x` is not by `zip`") && error.contains("county, region"), "{error}");
            }
        });
    }

    #[test]
    fn a_region_of_the_file_itself_is_taken_as_it_is() {
        with(|store, dictionary, put| {
            put("x", "region,yob,n\n2/3,2020,5\n7,2020,6\n");
            let population = Population::open(store, dictionary, "x").unwrap();
            assert_eq!(population.dimensions(), ["region", "birth_year"]);
            assert_eq!(told(&population.counts(&["region".to_owned()], &[], |_| true).unwrap()), "2/3 5, 7 6");
        });
    }

    #[test]
    fn a_name_that_is_not_there_and_counts_that_are_others() {
        with(|store, dictionary, put| {
            let error = |name: &str| Population::open(store, dictionary, name).unwrap_err().to_string();
            assert!(error("births").contains("takes one in"));
            put("births", COUNTS);
            assert!(error("birth").contains("did you mean `births`?"));
            assert!(error("../births").contains("there is no population"));
            let path = store.populations().join(list(store).unwrap()[0].counts_file());
            std::fs::write(&path, "county,birth_year,sex,count\n48453,2020,F,1\n").unwrap();
            assert!(error("births").contains("is not what was taken in"));
            std::fs::write(store.populations().join("births.json"), "{}").unwrap();
            assert!(error("births").contains("is damaged"));
        });
    }

    #[test]
    fn a_code_that_the_dictionary_lost_is_told() {
        with(|store, dictionary, put| {
            put("x", COUNTS);
            let root = store.root();
            std::fs::write(root.join("sex.csv"), "code,label,aliases\nF,Female,\nM,Male,\n").unwrap();
            std::fs::write(root.join("own.toml"), "[codelists]\nsex = 'sex.csv'\n").unwrap();
            assert!(Population::open(store, dictionary, "x").is_ok());
            let own = Dictionary::with_overrides(&root.join("own.toml")).unwrap();
            let error = Population::open(store, &own, "x").unwrap_err().to_string();
            assert!(error.contains("`U` of the population `x` is no value of `sex`"), "{error}");
        });
    }

    #[test]
    fn a_second_import_leaves_one_file_of_counts() {
        with(|store, dictionary, put| {
            put("x", COUNTS);
            put("x-2", COUNTS);
            put("x", "yob,n\n2020,3\n");
            put("x", "yob,n\n2020,4\n");
            let names = || {
                let entries = std::fs::read_dir(store.populations()).unwrap();
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(names().len(), 4, "{:?}", names());
            let population = Population::open(store, dictionary, "x").unwrap();
            assert_eq!(told(&population.counts(&[], &[], |_| true).unwrap()), " 4");
            assert_eq!(list(store).unwrap().iter().map(|note| note.people).collect::<Vec<_>>(), [4, 511]);
        });
    }
}
