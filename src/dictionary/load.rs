//! Dictionary files → a [`Dictionary`] that holds together.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use regex::bytes::Regex;
use toml::Table;

use super::{
    Codelist, Dictionary, Dimension, Document, Field, FieldType, Level, Presence, Role, StoredIn, header_key, names,
};
use crate::calendar::DateFormat;
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};

/// The name of a dictionary's file, here and in the folder of an import.
pub const FILE: &str = "dictionary.toml";

const NAME: &str =
    "the name must be lower-case letters, digits and underscores, and none that the tables of this program use";

/// Whether a name can be a column: plain, and not one that a table or a release has anyway.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !names::is_made(name)
}

impl Dictionary {
    /// The built-in dictionary.
    pub fn built_in() -> Result<Self> {
        Self::build(knowledge::parse(FILE, knowledge::text(FILE)?)?, None)
    }

    /// The built-in dictionary with the department's own file laid over it.
    pub fn with_overrides(path: &Path) -> Result<Self> {
        let mut base: Table = knowledge::parse(FILE, knowledge::text(FILE)?)?;
        let mut over: Table = knowledge::parse_file(path)?;
        // Fields are matched by name, dimensions by id: one pass for each kind of key.
        let dimensions: Table =
            over.remove("dimension").map(|value| ("dimension".to_owned(), value)).into_iter().collect();
        knowledge::overlay(&mut base, over, "name");
        knowledge::overlay(&mut base, dimensions, "id");
        let merged = Self::build(base, path.parent());
        let merged = merged.map_err(|error| error.within(&format!("`{}`", path.display())))?;
        merged.prove_identifiers(&Self::built_in()?)?;
        Ok(merged)
    }

    /// What the built-in dictionary calls an identifier stays one, by its name and by its header.
    fn prove_identifiers(&self, built_in: &Self) -> Result<()> {
        let spellings = |field: &Field| -> Vec<String> {
            std::iter::once(&field.header).chain(&field.aliases).map(|header| header_key(header)).collect()
        };
        for known in built_in.fields().iter().filter(|field| field.role == Role::Identifier) {
            let headers = spellings(known);
            for field in self.fields().iter().filter(|field| field.role != Role::Identifier) {
                if field.name == known.name || spellings(field).iter().any(|header| headers.contains(header)) {
                    return Err(Error::usage(format!("dictionary field `{}`: it must stay an identifier", field.name)));
                }
            }
        }
        Ok(())
    }

    fn build(table: Table, folder: Option<&Path>) -> Result<Self> {
        let mut document: Document = table.try_into().map_err(|error: toml::de::Error| {
            Error::usage(format!("the dictionary is not right: {}", knowledge::without_value(error.message())))
        })?;
        if document.schema_version != 1 {
            return Err(Error::usage(
                "the dictionary has a schema_version that this program does not know; it knows 1",
            ));
        }
        if document.dialect.delimiter.len() != 1 || "\"\r\n".contains(&document.dialect.delimiter) {
            return Err(Error::usage("`dialect.delimiter` must be one ASCII character, and no quote or line end"));
        }
        let mut texts: BTreeMap<String, String> = knowledge::folder("codelists")
            .filter_map(|(name, text)| Some((name.strip_suffix(".csv")?.to_owned(), text.to_owned())))
            .collect();
        for (name, path) in &document.codelists {
            texts.insert(name.clone(), knowledge::read(&folder.unwrap_or(Path::new("")).join(path))?);
        }
        let codelists = document
            .fields
            .iter()
            .filter_map(|field| field.codelist.as_deref())
            .collect::<HashSet<_>>()
            .into_iter()
            .map(|name| {
                let text = texts.get(name).ok_or_else(|| Error::usage(format!("there is no codelist `{name}`")))?;
                Codelist::parse(name, text)
            })
            .collect::<Result<Vec<_>>>()?;
        for field in &mut document.fields {
            field.matcher = compile(field)?;
        }
        let text = serde_json::to_vec(&document).map_err(|_| Error::internal("the dictionary has no JSON form"))?;
        let parts = std::iter::once((FILE, text.as_slice()))
            .chain(texts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())));
        let fingerprint = Fingerprint::of(parts);
        let mut dictionary = Self { document, codelists, fingerprint };
        dictionary.codelists.sort_by(|a, b| a.name().cmp(b.name()));
        dictionary.prove()?;
        Ok(dictionary)
    }

    fn prove(&self) -> Result<()> {
        self.prove_fields()?;
        self.prove_needed_fields()?;
        self.prove_dimensions()
    }

    /// Every field has a name and headers of its own, and what its type and role need.
    fn prove_fields(&self) -> Result<()> {
        let mut seen = HashSet::new();
        let mut headers = HashSet::new();
        for field in self.fields() {
            let wrong = |what: &str| Err(Error::usage(format!("dictionary field `{}`: {what}", field.name)));
            if !is_name(&field.name) {
                return wrong(NAME);
            }
            if !seen.insert(&field.name) {
                return wrong("is there twice");
            }
            for header in std::iter::once(&field.header).chain(&field.aliases) {
                if field.in_file && !headers.insert(header_key(header)) {
                    return wrong("a header or alias is also one of another field");
                }
            }
            if field.role == Role::Identifier && field.table.is_some() {
                return wrong("an identifier is never stored: it takes no `table`");
            }
            if field.max_length.is_some() && field.field_type != FieldType::Text {
                return wrong("only a text takes a `max_length`");
            }
            let has = |format| field.formats.contains(&format);
            if field.formats.iter().enumerate().any(|(at, format)| field.formats[..at].contains(format)) {
                return wrong("one of its `formats` is there twice");
            }
            let by_month = has(DateFormat::Us) || has(DateFormat::UsShort);
            if has(DateFormat::DayFirst) && by_month || has(DateFormat::DayFirstTime) && has(DateFormat::UsTime) {
                return wrong(
                    "its `formats` cannot be told apart: 05/04/2024 is a day of both; name the one of the file",
                );
            }
            match field.field_type {
                FieldType::Date if field.formats.is_empty() => return wrong("a date needs `formats`"),
                FieldType::Code if field.codelist.is_none() => return wrong("a code needs a `codelist`"),
                _ => {}
            }
        }
        Ok(())
    }

    /// The fields without which there is no client and no dose are as the program reads them.
    fn prove_needed_fields(&self) -> Result<()> {
        for (name, field_type, table, presence) in [
            (names::CLIENT, FieldType::Text, None, Some(Presence::Required)),
            (names::BIRTH_DATE, FieldType::Date, Some(StoredIn::Clients), Some(Presence::Required)),
            (names::VACCINATION_DATE, FieldType::Date, Some(StoredIn::Immunizations), Some(Presence::Required)),
            (names::CVX, FieldType::Code, Some(StoredIn::Immunizations), None),
        ] {
            let right = self.field(name).is_some_and(|field| {
                field.field_type == field_type
                    && field.table == table
                    && presence.is_none_or(|presence| presence == field.presence)
                    // A client is told by the whole id and nothing but the id.
                    && (name != names::CLIENT
                        || (field.pattern.is_none() && field.keep_first.is_none() && field.max_length.is_none()))
            });
            if !right {
                return Err(Error::usage(format!(
                    "the dictionary needs the field `{name}` as the built-in one has it"
                ))
                .hint("its header, aliases, formats, codelist, title and description may differ, and nothing else"));
            }
        }
        Ok(())
    }

    /// Every dimension has an id of its own, and a stored field of which its level can be told.
    fn prove_dimensions(&self) -> Result<()> {
        let mut ids = HashSet::new();
        for dimension in self.dimensions() {
            let wrong = |what: &str| Err(Error::usage(format!("dictionary dimension `{}`: {what}", dimension.id)));
            if !is_name(&dimension.id) {
                return wrong(NAME);
            }
            if !ids.insert(&dimension.id) {
                return wrong("is there twice");
            }
            let Some(field) = self.field(&dimension.field) else { return wrong("its field is not in the file") };
            let Some(table) = field.table else { return wrong("its field is not stored") };
            let rising = dimension.from_months.windows(2).all(|pair| pair[0] < pair[1]);
            match dimension.level {
                Level::Value if field.role != Role::Dimension => {
                    return wrong("its field has not the role `dimension`");
                }
                Level::Value if field.field_type != FieldType::Code && field.pattern.is_none() => {
                    return wrong("its field has neither a codelist nor a pattern, so any text could become a group");
                }
                Level::Year | Level::Quarter | Level::Month | Level::Season | Level::Age | Level::AgeAsOf
                    if field.field_type != FieldType::Date =>
                {
                    return wrong("its level needs a date");
                }
                Level::Age if table == StoredIn::Clients => return wrong("level `age` needs the date of a dose"),
                Level::AgeAsOf if field.name != names::BIRTH_DATE => {
                    return wrong("level `age_as_of` needs the birth date");
                }
                Level::Age | Level::AgeAsOf
                    if dimension.from_months.first().is_none_or(|first| *first < 1) || !rising =>
                {
                    return wrong("an age needs rising `from_months`, from 1 on");
                }
                Level::Attributed if field.name != names::ORGANIZATION => {
                    return wrong("only organizations are attributed");
                }
                Level::Parent if table != StoredIn::Clients => {
                    return wrong("level `parent` needs a field of the client");
                }
                Level::Parent => {
                    let parent = dimension.parent.as_deref().unwrap_or_default();
                    if !self.codelist(field).is_some_and(|codelist| codelist.has_column(parent)) {
                        return wrong(&format!("the codelist of its field has no column `{parent}`"));
                    }
                }
                _ => {}
            }
            if dimension.level != Level::Value && self.position(&dimension.id).is_some() {
                return wrong("a derived dimension may not have the name of a field");
            }
            self.prove_what_is_coarser(dimension).or_else(wrong)?;
        }
        Ok(())
    }

    /// What is coarser than a dimension is another one, and leads to an end.
    fn prove_what_is_coarser(&self, dimension: &Dimension) -> Result<(), &'static str> {
        if dimension.within.is_some() && dimension.coarser.is_some() {
            return Err("it has `within`, which is what is coarser; leave `coarser` away");
        }
        let mut coarser = dimension.coarser();
        // No way is longer than there are dimensions, unless it leads back.
        for _ in self.dimensions() {
            let Some(id) = coarser else { return Ok(()) };
            let next = self.dimensions().iter().find(|other| other.id == id);
            coarser = next.ok_or("`within` or `coarser` names no dimension")?.coarser();
        }
        if coarser.is_some() {
            Err("`within` or `coarser` leads back to it, and so to nothing coarser")
        } else {
            Ok(())
        }
    }
}

fn compile(field: &Field) -> Result<Option<Regex>> {
    let Some(pattern) = &field.pattern else { return Ok(None) };
    // Without Unicode classes: a digit is 0 to 9, and no look-alike becomes the label of a group.
    Regex::new(&format!("(?-u)^(?:{pattern})$"))
        .map(Some)
        .map_err(|_| Error::usage(format!("dictionary field `{}`: `pattern` is no regular expression", field.name)))
}
