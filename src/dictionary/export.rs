//! The dictionary as others read it: a Frictionless Table Schema, a JSON Schema of one row, and a table for people.
//!
//! Sources: Table Schema 1.0 (specs.frictionlessdata.io/table-schema) and JSON Schema 2020-12 (json-schema.org).
//!
//! What a standard cannot say is left out and not bent, so a tool finds less than `phds check`: no day that its month
//! does not have where several date formats are accepted, no second format in a column, no rule over several columns or
//! rows. It is stricter in three ways: it takes headers as the dictionary spells them, no blanks around a value, and codes
//! and missing values as they are listed, in capitals or in small letters.

use std::collections::HashSet;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Codelist, Dictionary, Field, FieldType, Presence, Role, Unlisted};
use crate::calendar::DateFormat;
use crate::error::{Error, Result};

/// An enumeration is there to be read; a longer codelist is named only.
const MOST_CODES: usize = 1_000;

/// Regular expressions that mean the same to XML Schema (Table Schema), to ECMA-262 (JSON Schema) and to this program:
/// groups, alternatives, plain characters, `\d` and escaped signs, plain classes, and greedy repetition.
const PORTABLE: &str = concat!(
    r"^(?:[(|]|(?:\)|[A-Za-z0-9 _,:;#@/<>=!'%-]|\\[d\\|.?*+(){}\[\]^]",
    r"|\[-?(?:(?:[A-Za-z0-9 _,:;#@/]|\\[d\\|.?*+(){}\[\]^])(?:-[A-Za-z0-9])?)+-?\])",
    r"(?:[?*+]|\{[0-9]+(?:,[0-9]*)?\})?)*$"
);

impl Dictionary {
    /// The columns of the file as a Table Schema, in the order of the dictionary. What the standard has no word for stands
    /// in properties that begin with `phds:`. A date in several formats is a `string` with a pattern, because a field has
    /// one format there.
    pub fn to_table_schema(&self) -> Value {
        json!({
            "$schema": "https://datapackage.org/profiles/1.0/tableschema.json",
            "title": self.title(),
            "phds:dictionary": self.edition(),
            "fields": self.columns().map(|field| self.table_field(field)).collect::<Vec<_>>(),
            "missingValues": self.missing_spellings(),
        })
    }

    /// One row of the file as a JSON Schema of an object: header → text, as a CSV reader gives it.
    pub fn to_json_schema(&self) -> Value {
        let edition = self.edition();
        let about = format!("Dictionary {} {}, fingerprint {}.", edition.id, edition.version, edition.fingerprint);
        let properties = self.columns().map(|field| (field.header.clone(), self.property(field)));
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$comment": about,
            "title": self.title(),
            "description": "One row of the file: the text of each column under its header.",
            "type": "object",
            "properties": properties.collect::<Map<_, _>>(),
            "required": self.columns().map(|field| &field.header).collect::<Vec<_>>(),
            "additionalProperties": false,
            "$defs": {
                "missing": { "description": "What stands for no value.", "enum": self.missing_spellings() },
            },
        })
    }

    /// The columns of the file as a CSV table, one row each, in the order of the dictionary. `phds dictionary import` takes
    /// it back; patterns, bounds of whole numbers, and what is stored where are not in it.
    pub fn to_csv(&self) -> Result<String> {
        let broken = || Error::internal("the dictionary has no CSV form");
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = "header,title,description,type,format,length,required,identifier,codes,aliases";
        writer.write_record(header.split(',')).map_err(|_| broken())?;
        for field in self.columns() {
            let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
            let formats: Vec<_> = field.formats.iter().map(|format| word(json!(format))).collect();
            let codes = self.codelist(field).into_iter().flat_map(Codelist::codes);
            let codes: Vec<_> = codes.map(|code| format!("{} = {}", code.code, code.label)).collect();
            let record = [
                field.header.clone(),
                field.title.clone(),
                field.description.clone(),
                word(json!(field.field_type)),
                formats.join("|"),
                field.max_length.map(|length| length.to_string()).unwrap_or_default(),
                word(json!(field.presence)),
                if field.role == Role::Identifier { "yes" } else { "no" }.to_owned(),
                codes.join("\n"),
                field.aliases.join("|"),
            ];
            writer.write_record(record).map_err(|_| broken())?;
        }
        let bytes = writer.into_inner().map_err(|_| broken())?;
        String::from_utf8(bytes).map_err(|_| broken())
    }

    fn columns(&self) -> impl Iterator<Item = &Field> {
        self.fields().iter().filter(|field| field.in_file)
    }

    fn table_field(&self, field: &Field) -> Value {
        let (table_type, format) = match (field.field_type, field.formats.as_slice()) {
            // A time of day is told in several ways, which one format of that standard cannot be.
            (FieldType::Date, [DateFormat::IsoTime | DateFormat::UsTime | DateFormat::DayFirstTime]) => {
                ("string", None)
            }
            (FieldType::Date, [format]) => ("date", Some(strptime(*format))),
            (FieldType::Integer, _) => ("integer", None),
            _ => ("string", None),
        };
        let is_text = table_type == "string";
        let is_integer = table_type == "integer";
        let constraints = object([
            ("required", (field.presence == Presence::Required).then(|| json!(true))),
            ("enum", self.closed_list(field).map(Value::from)),
            ("pattern", form(field).filter(|_| is_text).map(Value::from)),
            ("maxLength", field.max_length.map(Value::from)),
            ("minimum", field.minimum.filter(|_| is_integer).map(Value::from)),
            ("maximum", field.maximum.filter(|_| is_integer).map(Value::from)),
        ]);
        let formats: Vec<_> = field.formats.iter().map(|format| strptime(*format)).collect();
        let is_code = field.field_type == FieldType::Code;
        json!(object([
            ("name", Some(json!(field.header))),
            ("title", Some(json!(field.title))),
            ("description", Some(json!(field.description))),
            ("type", Some(json!(table_type))),
            ("format", format.map(Value::from)),
            ("constraints", (!constraints.is_empty()).then(|| json!(constraints))),
            ("phds:name", Some(json!(field.name))),
            ("phds:role", Some(json!(field.role))),
            ("phds:presence", Some(json!(field.presence))),
            ("phds:aliases", (!field.aliases.is_empty()).then(|| json!(field.aliases))),
            ("phds:formats", (formats.len() > 1).then(|| json!(formats))),
            ("phds:pattern", unportable(field).map(Value::from)),
            ("phds:codelist", field.codelist.as_deref().filter(|_| is_code).map(Value::from)),
            ("phds:unlisted", is_code.then(|| json!(field.unlisted))),
            ("phds:assumed", field.assumed.then(|| json!(true))),
        ]))
    }

    fn property(&self, field: &Field) -> Value {
        let value = object([
            ("enum", self.closed_list(field).map(Value::from)),
            ("pattern", form(field).map(|form| json!(format!("^{form}$")))),
            ("maxLength", field.max_length.map(Value::from)),
        ]);
        let remarks = remarks(field);
        let mut property = object([
            ("title", Some(json!(field.title))),
            ("description", Some(json!(field.description))),
            ("$comment", (!remarks.is_empty()).then(|| json!(remarks))),
            ("type", Some(json!("string"))),
        ]);
        let missing = json!({ "$ref": "#/$defs/missing" });
        if field.presence == Presence::Required {
            property.insert("not".to_owned(), missing);
            property.extend(value);
        } else if !value.is_empty() {
            property.insert("anyOf".to_owned(), json!([missing, value]));
        }
        json!(property)
    }

    /// The spellings of the codes of a field, when no others are accepted and they are few enough.
    fn closed_list(&self, field: &Field) -> Option<Vec<String>> {
        let codes = self.codelist(field)?.codes();
        let is_closed = field.field_type == FieldType::Code && field.unlisted == Unlisted::Reject;
        (is_closed && codes.len() <= MOST_CODES).then(|| {
            spellings(codes.iter().flat_map(|code| {
                let label = field.labels.then_some(&code.label);
                std::iter::once(&code.code).chain(&code.aliases).chain(label)
            }))
        })
    }

    fn missing_spellings(&self) -> Vec<String> {
        spellings(std::iter::once(&String::new()).chain(self.missing_values()))
    }
}

/// What a JSON Schema of texts cannot say of a field, for people.
fn remarks(field: &Field) -> String {
    let mut remarks = Vec::new();
    if field.assumed {
        remarks.push("Assumed: the state's own value is not public.".to_owned());
    }
    if !field.aliases.is_empty() {
        remarks.push(format!("The header may also be {}.", field.aliases.join(", ")));
    }
    match field.field_type {
        FieldType::Date => remarks.push("A day of the calendar, in one format throughout the column.".to_owned()),
        FieldType::Integer => remarks.push(match (field.minimum, field.maximum) {
            (Some(minimum), Some(maximum)) => format!("A whole number from {minimum} to {maximum}."),
            (Some(minimum), None) => format!("A whole number from {minimum} on."),
            (None, Some(maximum)) => format!("A whole number up to {maximum}."),
            (None, None) => "A whole number.".to_owned(),
        }),
        FieldType::Code => {
            let list = field.codelist.as_deref().unwrap_or_default();
            remarks.push(match field.unlisted {
                Unlisted::Reject => format!("A code of the codelist {list}."),
                Unlisted::Review => format!("A code of the codelist {list}; others are kept and counted."),
            });
        }
        FieldType::Text => {
            remarks.extend(unportable(field).map(|pattern| format!("The whole value has the form {pattern}.")));
        }
    }
    remarks.join(" ")
}

/// A regular expression for the whole value, in one group, so that any anchors may stand around it.
fn form(field: &Field) -> Option<String> {
    let form = match field.field_type {
        FieldType::Date => field.formats.iter().map(|format| date_form(*format)).collect::<Vec<_>>().join("|"),
        FieldType::Integer => "-?[0-9]{1,9}".to_owned(),
        FieldType::Text => field.pattern.clone().filter(|pattern| is_portable(pattern))?,
        FieldType::Code => return None,
    };
    Some(format!("({form})"))
}

/// The pattern of a text when other tools would read it differently, or not at all.
fn unportable(field: &Field) -> Option<&str> {
    let pattern = field.pattern.as_deref().filter(|_| field.field_type == FieldType::Text);
    pattern.filter(|pattern| !is_portable(pattern))
}

fn is_portable(pattern: &str) -> bool {
    Regex::new(PORTABLE).is_ok_and(|portable| portable.is_match(pattern))
}

/// In the words of C's `strptime`, as Table Schema wants it.
fn strptime(format: DateFormat) -> &'static str {
    match format {
        DateFormat::Iso => "%Y-%m-%d",
        DateFormat::Us | DateFormat::UsShort => "%m/%d/%Y",
        DateFormat::Compact => "%Y%m%d",
        DateFormat::DayMonth => "%d-%b-%Y",
        DateFormat::IsoTime => "%Y-%m-%d %H:%M:%S",
        DateFormat::UsTime => "%m/%d/%Y %H:%M",
        DateFormat::DayFirst => "%d/%m/%Y",
        DateFormat::DayFirstTime => "%d/%m/%Y %H:%M",
    }
}

/// Year, month and day in their places; that the month has such a day cannot be said.
fn date_form(format: DateFormat) -> String {
    const TIME: &str = "[0-9]{1,2}:[0-5][0-9](:[0-5][0-9](\\.[0-9]+)?)?( *[AaPp][Mm])?";
    match format {
        DateFormat::Iso => "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])".to_owned(),
        DateFormat::Us => "(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/[0-9]{4}".to_owned(),
        DateFormat::Compact => "[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])".to_owned(),
        DateFormat::UsShort => "(0?[1-9]|1[0-2])/(0?[1-9]|[12][0-9]|3[01])/[0-9]{4}".to_owned(),
        DateFormat::DayMonth => "(0?[1-9]|[12][0-9]|3[01])-?[A-Za-z]{3}-?[0-9]{4}".to_owned(),
        DateFormat::IsoTime => format!("{}[ T]{TIME}", date_form(DateFormat::Iso)),
        DateFormat::UsTime => format!("{} {TIME}", date_form(DateFormat::UsShort)),
        DateFormat::DayFirst => "(0?[1-9]|[12][0-9]|3[01])/(0?[1-9]|1[0-2])/[0-9]{4}".to_owned(),
        DateFormat::DayFirstTime => format!("{} {TIME}", date_form(DateFormat::DayFirst)),
    }
}

/// Each text as it stands, in capitals and in small letters, once: these standards compare letter by letter.
fn spellings<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts
        .flat_map(|text| [text.clone(), text.to_ascii_uppercase(), text.to_ascii_lowercase()])
        .filter(|spelling| seen.insert(spelling.clone()))
        .collect()
}

/// The properties that are there, in this order.
fn object<const N: usize>(properties: [(&str, Option<Value>); N]) -> Map<String, Value> {
    properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_exported_when_every_tool_reads_it_alike() {
        for pattern in [r"\d{5}(-?\d{4})?", "[A-Z]{2}[0-9]+", "A|B|(C|D)*", r"\(\d{3}\) \d{4}", r"[\d-]{1,}", "[-a-z]?"]
        {
            assert!(is_portable(pattern), "{pattern}");
        }
        let other = "(?:A) (?i)a ^a$ a.b \\w \\s \\p{L} \\bA \\x41 [^a] [[:alpha:]] [a&&b] [a--b] a*? a+?";
        for pattern in other.split(' ') {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }

    #[test]
    fn spellings_differ_in_case_and_come_once() {
        let texts = ["03".to_owned(), "Tx".to_owned(), "TX".to_owned()];
        assert_eq!(spellings(texts.iter()), ["03", "Tx", "TX", "tx"]);
    }
}
