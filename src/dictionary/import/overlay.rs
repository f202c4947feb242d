//! What a table says, as the overlay of a department: only what differs from the built-in dictionary.

use toml::{Table, Value};

use super::super::load::is_name;
use super::super::{Dictionary, Field, FieldType, Presence, Role, header_key, names};
use super::codes::{self, Merged};
use super::words::Words;
use super::{Entry, Key, line};
use crate::error::{Error, Result};

/// The text of a dictionary file, and the codelists that belong beside it.
#[derive(Debug)]
pub struct Overlay {
    /// The text of `dictionary.toml`.
    pub text: String,
    /// Path relative to the dictionary, and text.
    pub codelists: Vec<(String, String)>,
    /// What was read and what is assumed, a line each; the same that stands in the file.
    pub told: Vec<String>,
}

/// An [`Overlay`] on its way.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    built_in: &'a Dictionary,
    words: &'a Words,
    head: Table,
    fields: Vec<Table>,
    names: Vec<String>,
    codelists: Vec<(String, String)>,
    read: Vec<String>,
    notes: Vec<String>,
    assumed: Vec<String>,
    absent: Vec<String>,
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

impl<'a> Maker<'a> {
    pub fn new(built_in: &'a Dictionary, words: &'a Words) -> Self {
        Self {
            built_in,
            words,
            head: Table::new(),
            fields: Vec::new(),
            names: built_in.fields().iter().map(|field| field.name.clone()).collect(),
            codelists: Vec::new(),
            read: Vec::new(),
            notes: Vec::new(),
            assumed: Vec::new(),
            absent: Vec::new(),
        }
    }
    pub fn edition(&mut self, id: Option<&str>, version: &str, source: &str) {
        if let Some(id) = id {
            put(&mut self.head, "id", line(id));
        }
        put(&mut self.head, "version", line(version));
        put(&mut self.head, "source", line(source));
    }

    pub fn read(&mut self, whence: &str, columns: &[(Key, String)], notes: Vec<String>) {
        self.read.push(format!("Read from {}.", line(whence)));
        let columns = columns.iter().map(|(key, title)| format!("{} = {title}", key.word()));
        self.read.push(format!("Columns of the table: {}.", columns.collect::<Vec<_>>().join(", ")));
        self.notes = notes;
    }

    /// A field that the built-in dictionary has. Its type, role and place in a table stay: what is stored does not depend on
    /// a table that came by mail.
    pub fn known(&mut self, field: &Field, entry: &Entry, entries: &[Entry]) {
        let mut over = Table::new();
        if entry.header != field.header {
            put(&mut over, "header", entry.header.clone());
        }
        let aliases = aliases(field, entry, entries);
        if aliases != field.aliases {
            put(&mut over, "aliases", aliases);
        }
        for (key, name, built_in) in
            [(Key::Title, "title", &field.title), (Key::Description, "description", &field.description)]
        {
            let text = line(entry.cell(key));
            if !text.is_empty() && text != *built_in {
                put(&mut over, name, text);
            }
        }
        let (value_type, inside) = self.words.value_type(entry.cell(Key::Type));
        if field.field_type == FieldType::Date {
            self.formats(field, entry, inside, &mut over);
        } else if value_type == Some(FieldType::Date) {
            self.assumes(&mut over, field, "is a date in the table, and goes on to be read as before");
        }
        if field.field_type == FieldType::Text && field.role != Role::Identifier {
            let length = length(entry, inside);
            if let Some(length) = length.filter(|length| Some(*length) != field.max_length) {
                put(&mut over, "max_length", i64::try_from(length).unwrap_or(i64::MAX));
            }
        }
        match (self.presence(entry), field.presence) {
            (Some(Presence::Required), Presence::Expected | Presence::Optional) => {
                put(&mut over, "presence", "required");
            }
            (Some(Presence::Optional), Presence::Required) => self.notes.push(format!(
                "{}: may be empty by the table; the program cannot do without it, and rejects such a row.",
                entry.header
            )),
            _ => {}
        }
        self.known_codes(field, entry, &mut over);
        if !over.is_empty() {
            let mut table = Table::new();
            put(&mut table, "name", field.name.clone());
            table.extend(over);
            self.fields.push(table);
        }
    }

    fn formats(&mut self, field: &Field, entry: &Entry, inside: &str, over: &mut Table) {
        let said = [entry.cell(Key::Format), inside].into_iter().find(|text| !text.is_empty());
        match said.map(|text| self.words.date_formats(text)) {
            Some(Some(formats)) if formats == field.formats => {}
            Some(Some(formats)) => {
                let formats = formats.iter().filter_map(|format| Value::try_from(format).ok());
                put(over, "formats", formats.collect::<Vec<_>>());
            }
            // A number in parentheses is a length.
            Some(None) if entry.cell(Key::Format).is_empty() && inside.starts_with(|c: char| c.is_ascii_digit()) => {}
            Some(None) => self.assumes(over, field, "the format of its dates is not known; those known are accepted"),
            None => {}
        }
    }

    fn known_codes(&mut self, field: &Field, entry: &Entry, over: &mut Table) {
        let Some(codes) = self.codes(entry) else { return };
        let Some(known) = self.built_in.codelist(field) else {
            self.notes.push(format!("{}: the codes of the table are not used, it is no coded field.", entry.header));
            return;
        };
        if field.name == names::CVX {
            let strange = codes.iter().filter(|(code, _)| known.find(code.as_bytes(), false).is_none()).count();
            if strange > 0 {
                self.notes.push(format!(
                    "{}: CDC's list stays; of the {} codes of the table it lacks {strange}.",
                    entry.header,
                    codes.len()
                ));
            }
            return;
        }
        match codes::merge(&codes, Some(known)) {
            Err(error) => self.assumes(over, field, &format!("the table {}; our codes stay", error.message())),
            Ok(Merged { text: None, .. }) => {}
            Ok(Merged { text: Some(text), gone, new }) => {
                // A list of this name may serve other fields, too.
                let others = |other: &Field| other.name != field.name && other.codelist.as_deref() == Some(&field.name);
                let shared = self.built_in.fields().iter().any(others);
                let name = if shared { format!("{}_codes", field.name) } else { field.name.clone() };
                if field.codelist.as_deref() != Some(&name) {
                    put(over, "codelist", name.clone());
                }
                self.codelists.push((name, text));
                self.notes.push(format!(
                    "{}: codes of the table; {new} of them are not in our list, and {gone} of ours are not in the table.",
                    entry.header
                ));
            }
        }
    }

    /// A column that the built-in dictionary does not have. It is checked and never stored; a person who wants a question
    /// answered by it adds `table`.
    pub fn new_field(&mut self, entry: &Entry) {
        let name = self.name(&entry.header);
        let mut field = Table::new();
        put(&mut field, "name", name.clone());
        put(&mut field, "header", entry.header.clone());
        if !entry.cell(Key::Aliases).is_empty() {
            put(&mut field, "aliases", split(entry.cell(Key::Aliases)));
        }
        let title = Some(line(entry.cell(Key::Title))).filter(|title| !title.is_empty());
        put(&mut field, "title", title.unwrap_or_else(|| entry.header.clone()));
        let description = Some(line(entry.cell(Key::Description))).filter(|text| !text.is_empty());
        put(&mut field, "description", description.unwrap_or_else(|| "The table does not describe it.".to_owned()));

        let (value_type, inside) = self.words.value_type(entry.cell(Key::Type));
        let said = self.words.answer(entry.cell(Key::Identifier));
        let codes = self.codes(entry).and_then(|codes| codes::merge(&codes, None).ok()?.text);
        let named = [entry.cell(Key::Format), inside].into_iter().find(|text| !text.is_empty());
        let formats = match named {
            Some(text) => self.words.date_formats(text),
            None => self.built_in.field(names::VACCINATION_DATE).map(|field| field.formats.clone()),
        };
        let is_date = value_type == Some(FieldType::Date) && formats.is_some();
        let field_type = match value_type {
            _ if codes.is_some() => FieldType::Code,
            Some(FieldType::Date) if is_date => FieldType::Date,
            Some(FieldType::Integer) => FieldType::Integer,
            _ => FieldType::Text,
        };
        // What is in doubt is an identifier: that can be changed later, and a name that was shown cannot be called back.
        let doubtful = field_type == FieldType::Text || self.words.sounds_identifying(&entry.header);
        let (field_type, role) = match (said, field_type) {
            (Some(true), _) => (FieldType::Text, Role::Identifier),
            (None, _) if doubtful => (FieldType::Text, Role::Identifier),
            (_, FieldType::Date) => (FieldType::Date, Role::Date),
            (_, other) => (other, Role::Attribute),
        };
        let word = |value: std::result::Result<Value, toml::ser::Error>| value.unwrap_or_else(|_| "".into());
        put(&mut field, "type", word(Value::try_from(field_type)));
        put(&mut field, "role", word(Value::try_from(role)));
        let presence = self.presence(entry).unwrap_or(Presence::Optional);
        put(&mut field, "presence", word(Value::try_from(presence)));
        match field_type {
            FieldType::Date => {
                let formats = formats.unwrap_or_default();
                put(
                    &mut field,
                    "formats",
                    formats.iter().map(|format| word(Value::try_from(format))).collect::<Vec<_>>(),
                );
            }
            FieldType::Code => {
                put(&mut field, "codelist", name.clone());
                put(&mut field, "unlisted", "review");
                self.codelists.extend(codes.map(|text| (name.clone(), text)));
            }
            FieldType::Text if role != Role::Identifier => {
                if let Some(length) = length(entry, inside) {
                    put(&mut field, "max_length", i64::try_from(length).unwrap_or(i64::MAX));
                }
            }
            FieldType::Text | FieldType::Integer => {}
        }
        put(&mut field, "assumed", true);
        self.fields.push(field);
        let (kind, role) = (word(Value::try_from(field_type)), word(Value::try_from(role)));
        self.assumed.push(format!(
            "{}: new, as {} {} ({}), not stored.",
            entry.header,
            kind.as_str().unwrap_or_default(),
            name,
            role.as_str().unwrap_or_default()
        ));
    }

    /// A field of ours that the table does not describe.
    pub fn absent(&mut self, field: &Field) {
        let mut table = Table::new();
        put(&mut table, "name", field.name.clone());
        put(&mut table, "in_file", false);
        self.fields.push(table);
        self.absent.push(field.header.clone());
    }

    pub fn finish(mut self) -> Result<Overlay> {
        let mut told = std::mem::take(&mut self.read);
        told.append(&mut self.notes);
        if !self.absent.is_empty() {
            told.push(format!("Not in the table, and so not expected in the file: {}.", self.absent.join(", ")));
        }
        told.extend(self.assumed.iter().map(|text| format!("Assumed: {text}")));
        let mut document = self.head;
        if !self.codelists.is_empty() {
            let paths = self.codelists.iter().map(|(name, _)| (name.clone(), Value::from(path_of(name))));
            put(&mut document, "codelists", paths.collect::<Table>());
        }
        if !self.fields.is_empty() {
            put(&mut document, "field", self.fields.into_iter().map(Value::Table).collect::<Vec<_>>());
        }
        let body = toml::to_string(&document).map_err(|_| Error::internal("an overlay has no TOML form"))?;
        let edition = self.built_in.edition();
        let mut text = format!(
            "# A department's own dictionary file, made by `phds dictionary import`. It says only what differs from the \
             built-in\n# edition, {} {}. It decides what is stored and shown: two people should read it before it is used.\n#\n",
            edition.id, edition.version
        );
        for line in &told {
            text += &format!("# {line}\n");
        }
        text += "\n";
        text += &body;
        let codelists = self.codelists.into_iter().map(|(name, text)| (path_of(&name), text)).collect();
        Ok(Overlay { text, codelists, told })
    }

    fn assumes(&mut self, over: &mut Table, field: &Field, what: &str) {
        if !field.assumed {
            put(over, "assumed", true);
        }
        self.assumed.push(format!("{}: {what}.", field.header));
    }

    fn presence(&self, entry: &Entry) -> Option<Presence> {
        let required = self.words.answer(entry.cell(Key::Required));
        // `NOT NULL` answers another question than `Y` does.
        let nullable = entry.cell(Key::Nullable);
        let speaks_of_null = header_key(nullable).ends_with("NULL");
        let may_lack = self.words.answer(nullable).map(|yes| if speaks_of_null { yes } else { !yes });
        let presence = |required| if required { Presence::Required } else { Presence::Optional };
        required.or(may_lack).map(presence)
    }

    /// The codes of an entry, from its cell and from sheets of codes. A cell that holds no list is told.
    fn codes(&mut self, entry: &Entry) -> Option<Vec<(String, String)>> {
        let cell = entry.cell(Key::Codes);
        let kind = entry.cell(Key::Type);
        let mut codes = self.words.codes(cell).or_else(|| self.words.codes(kind)).unwrap_or_default();
        if codes.is_empty() && !cell.is_empty() && entry.codes.is_empty() {
            self.notes.push(format!("{}: its allowed values are no list of codes that is understood.", entry.header));
        }
        codes.extend(entry.codes.iter().cloned());
        (!codes.is_empty()).then_some(codes)
    }

    /// A name that no field has, made of a header.
    fn name(&mut self, header: &str) -> String {
        let words: Vec<String> = header
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|part| !part.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let plain = words.join("_");
        let plain = if is_name(&plain) { plain } else { format!("column_{plain}") };
        let mut name = plain.clone();
        let mut number = 1;
        while self.names.contains(&name) {
            number += 1;
            name = format!("{plain}_{number}");
        }
        self.names.push(name.clone());
        name
    }
}

fn path_of(codelist: &str) -> String {
    format!("codelists/{codelist}.csv")
}

fn split(cell: &str) -> Vec<String> {
    cell.split(['|', ';', ',', '\n']).map(line).filter(|part| !part.is_empty()).collect()
}

/// The spellings of a header beside its own: those of the table or else ours, and ours when theirs is another. None of them
/// may be the header of another column.
fn aliases(field: &Field, entry: &Entry, entries: &[Entry]) -> Vec<String> {
    let theirs = split(entry.cell(Key::Aliases));
    let before = if theirs.is_empty() { field.aliases.clone() } else { theirs };
    let mut taken: Vec<String> = entries.iter().map(|entry| header_key(&entry.header)).collect();
    let renamed = header_key(&entry.header) != header_key(&field.header);
    let all = renamed.then(|| field.header.clone()).into_iter().chain(before);
    all.filter(|alias| {
        let key = header_key(alias);
        let free = !taken.contains(&key);
        taken.push(key);
        free
    })
    .collect()
}

/// The most characters by the column for it, or else by what stands in parentheses behind the type.
fn length(entry: &Entry, inside: &str) -> Option<usize> {
    let digits = |text: &str| {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let rest = text[end..].trim_start();
        let is_length = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_alphabetic());
        text[..end].parse::<usize>().ok().filter(|number| *number > 0 && is_length)
    };
    digits(entry.cell(Key::Length)).or_else(|| digits(inside))
}
