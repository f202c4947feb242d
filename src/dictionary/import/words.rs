//! The words of other dictionaries, from `dictionaries/phds/import.toml`, and what a cell says by them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{FieldType, header_key};
use crate::calendar::DateFormat;
use crate::error::Result;
use crate::knowledge;

/// What a column of the table tells about a column of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Its header.
    Header,
    /// Further spellings of the header.
    Aliases,
    /// A few words.
    Title,
    /// A sentence or two.
    Description,
    /// What a value is; a format or a length may stand behind it in parentheses.
    Type,
    /// How a date is written.
    Format,
    /// The most characters.
    Length,
    /// Whether every row has a value.
    Required,
    /// Whether a row may be without a value.
    Nullable,
    /// The codes, with or without their labels.
    Codes,
    /// Whether it singles out a person.
    Identifier,
    /// Its place in the file, which does not matter.
    Position,
}

impl Key {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::Header,
        Self::Aliases,
        Self::Title,
        Self::Description,
        Self::Type,
        Self::Format,
        Self::Length,
        Self::Required,
        Self::Nullable,
        Self::Codes,
        Self::Identifier,
        Self::Position,
    ];

    /// As it is typed and told.
    pub fn word(self) -> String {
        serde_json::json!(self).as_str().unwrap_or_default().to_owned()
    }
}

/// What a column of a sheet of codes tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CodeKey {
    Header,
    Code,
    Label,
}

/// What a cell of the column [`Key::Type`] begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    Integer,
    Number,
    Date,
    Code,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Yes,
    No,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identifiers {
    words: Vec<String>,
}

/// The file of words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    #[serde(rename = "schema_version")]
    _schema_version: u32,
    pub columns: BTreeMap<Key, Vec<String>>,
    pub code_columns: BTreeMap<CodeKey, Vec<String>>,
    types: BTreeMap<Kind, Vec<String>>,
    formats: BTreeMap<DateFormat, Vec<String>>,
    answers: BTreeMap<Answer, Vec<String>>,
    identifiers: Identifiers,
    labels: BTreeMap<String, String>,
}

/// The most digits of a whole number of the check.
const MOST_DIGITS: usize = 9;

impl Words {
    pub fn built_in() -> Result<Self> {
        let file = "import.toml";
        knowledge::parse(file, knowledge::text(file)?)
    }

    /// What a value is by its type, such as `VARCHAR2(30)`, when the word is known; and what stands in parentheses.
    pub fn value_type<'a>(&self, cell: &'a str) -> (Option<FieldType>, &'a str) {
        let (word, inside) = cell.split_once('(').unwrap_or((cell, ""));
        let inside = inside.split(')').next().unwrap_or_default().trim();
        // Where the length has a column of its own or there is none: `VARCHAR2 30`, `CHAR-1`.
        let bare = word.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace() || c == '-');
        let kind = Self::named(&self.types, word).or_else(|| Self::named(&self.types, bare));
        let value_type = kind.map(|kind| match kind {
            Kind::Text => FieldType::Text,
            Kind::Date => FieldType::Date,
            Kind::Code => FieldType::Code,
            Kind::Integer => FieldType::Integer,
            Kind::Number => match inside.parse::<usize>() {
                Ok(digits) if digits <= MOST_DIGITS => FieldType::Integer,
                _ => FieldType::Text,
            },
        });
        (value_type, inside)
    }

    /// The formats that a cell names; none when it names another, too.
    pub fn date_formats(&self, cell: &str) -> Option<Vec<DateFormat>> {
        let one = |part: &str| {
            let is_it = |spelling: &String| spelling.eq_ignore_ascii_case(part.trim());
            self.formats.iter().find(|(_, spellings)| spellings.iter().any(is_it)).map(|(format, _)| *format)
        };
        let lower = cell.to_lowercase();
        lower.replace(" or ", "|").split(['|', ',', ';', '\n']).map(one).collect()
    }

    /// Yes or no, when the cell is one of the words for them.
    pub fn answer(&self, cell: &str) -> Option<bool> {
        Self::named(&self.answers, cell).map(|answer| answer == Answer::Yes)
    }

    /// Whether a header sounds like the name, the address or the number of a person.
    pub fn sounds_identifying(&self, header: &str) -> bool {
        header
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| self.identifiers.words.iter().any(|word| word.eq_ignore_ascii_case(part)))
    }

    /// The codes of a cell with their labels: `M=Male; F=Female`, `M - Male, F - Female`, one a line, or `Y/N`. None when
    /// it is something else, such as a sentence.
    pub fn codes(&self, cell: &str) -> Option<Vec<(String, String)>> {
        let apart = ['\n', ';', '|', ','].into_iter().find(|apart| cell.contains(*apart));
        let short = |part: &str| (1..=3).contains(&part.len()) && part.chars().all(char::is_alphanumeric);
        let parts: Vec<&str> = match apart {
            Some(apart) => {
                let parts = cell.split(apart).map(|part| part.trim().trim_end_matches([',', ';']).trim());
                parts.filter(|part| !part.is_empty()).collect()
            }
            None => cell.split('/').map(str::trim).filter(|part| short(part)).collect(),
        };
        // In `Y/N or blank` not every part is a code.
        if parts.len() < 2 || (apart.is_none() && parts.len() != cell.split('/').count()) {
            return None;
        }
        let pairs: Vec<_> = parts.iter().map(|part| self.code_and_label(part)).collect();
        let labelled = parts.iter().filter(|part| halves(part).is_some()).count();
        let is_code = |code: &str| {
            !code.is_empty()
                && code.len() <= 64
                && !code.starts_with(['=', '+', '@'])
                && !code.contains(['|', '…'])
                && !code.contains("...")
        };
        // Some with a label and some without: then a comma may be part of a label.
        let alike = labelled == 0 || labelled == parts.len();
        let worded = labelled == 0 && pairs.iter().any(|(code, _)| code.split_whitespace().count() > 4);
        let unfinished = pairs.iter().any(|(code, _)| ["etc", "etc."].contains(&code.to_lowercase().as_str()));
        (alike && !worded && !unfinished && pairs.iter().all(|(code, _)| is_code(code))).then_some(pairs)
    }

    /// A code that stands alone is its own label, unless it is known what it means.
    pub fn label(&self, code: &str) -> String {
        self.labels.get(&code.to_uppercase()).cloned().unwrap_or_else(|| code.to_owned())
    }

    fn code_and_label(&self, part: &str) -> (String, String) {
        halves(part).unwrap_or_else(|| (part.to_owned(), self.label(part)))
    }

    fn named<T: Copy>(words: &BTreeMap<T, Vec<String>>, cell: &str) -> Option<T> {
        let wanted = header_key(cell);
        let is_it = |(_, spellings): &(&T, &Vec<String>)| spellings.iter().any(|word| header_key(word) == wanted);
        words.iter().find(is_it).map(|(key, _)| *key)
    }
}

/// Code and label: around `=`, `:` or an arrow, or around a dash between blanks. A code has no blanks around its dash.
fn halves(part: &str) -> Option<(String, String)> {
    let (code, label) = ["=", "->", "→", ":", " - ", " – ", " — "].iter().find_map(|sign| part.split_once(sign))?;
    let unquoted = |text: &str| text.trim().trim_matches(['"', '\'']).trim().to_owned();
    let (code, label) = (unquoted(code), unquoted(label));
    (!label.is_empty()).then_some((code, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_stands_under_one_key() {
        let words = Words::built_in().unwrap();
        let mut seen = std::collections::HashSet::new();
        for spelling in words.columns.values().flatten() {
            assert!(seen.insert(header_key(spelling)), "{spelling}");
        }
        assert_eq!(words.columns.len(), Key::ALL.len());
    }

    #[test]
    fn types_formats_and_answers_are_read_by_their_words() {
        let words = Words::built_in().unwrap();
        for (cell, found) in [
            ("VARCHAR2(30)", (Some(FieldType::Text), "30")),
            ("varchar2 (30 CHAR)", (Some(FieldType::Text), "30 CHAR")),
            ("CHAR 1", (Some(FieldType::Text), "")),
            ("NUMBER(3)", (Some(FieldType::Integer), "3")),
            ("NUMBER(10)", (Some(FieldType::Text), "10")),
            ("NUMBER(5,2)", (Some(FieldType::Text), "5,2")),
            ("Date (MM/DD/YYYY)", (Some(FieldType::Date), "MM/DD/YYYY")),
            ("Y/N", (Some(FieldType::Code), "")),
            ("SDO_GEOMETRY", (None, "")),
        ] {
            assert_eq!(words.value_type(cell), found, "{cell}");
        }
        for (cell, found) in [
            ("MM/DD/YYYY", Some(vec![DateFormat::Us])),
            ("yyyymmdd", Some(vec![DateFormat::Compact])),
            ("YYYY-MM-DD or YYYYMMDD", Some(vec![DateFormat::Iso, DateFormat::Compact])),
            ("DD-MON-YYYY", Some(vec![DateFormat::DayMonth])),
            ("yyyy-mm-dd hh:mm:ss", Some(vec![DateFormat::IsoTime])),
            ("MM/DD/YYYY HH:MI:SS AM", Some(vec![DateFormat::UsTime])),
            ("DD/MM/YYYY", Some(vec![DateFormat::DayFirst])),
            ("dd/mm/yyyy hh24:mi:ss", Some(vec![DateFormat::DayFirstTime])),
            ("DD.MM.YYYY", None),
            ("YYYYMMDD, DDMMYYYY", None),
            ("", None),
        ] {
            assert_eq!(words.date_formats(cell), found, "{cell}");
        }
        for (cell, found) in [("Yes", Some(true)), ("r", Some(true)), ("NOT NULL", Some(true)), ("O", Some(false))] {
            assert_eq!(words.answer(cell), found, "{cell}");
        }
        assert_eq!((words.answer(""), words.answer("if known")), (None, None));
    }

    #[test]
    fn codes_are_read_from_a_cell_and_sentences_are_not() {
        let words = Words::built_in().unwrap();
        for (cell, found) in [
            ("M=Male; F=Female", "M Male, F Female"),
            ("M - Male, F - Female", "M Male, F Female"),
            ("M: Male,\nF: Female\n", "M Male, F Female"),
            ("'1' = Male, or other\n'2' = Female", "1 Male, or other, 2 Female"),
            ("Y/N", "Y Yes, N No"),
            ("A, B, C", "A A, B B, C C"),
            ("Asian; Black; Pacific Islander", "Asian Asian, Black Black, Pacific Islander Pacific Islander"),
            ("03", "none"),
            ("See the list of the registry", "none"),
            ("M=Male, F", "none"),
            ("Travis, Hays, ...", "none"),
            ("Travis, Hays, etc.", "none"),
            ("Y/N or blank", "none"),
            ("A number that the state gives, and never a name of a person", "none"),
            ("=cmd, B", "none"),
            ("", "none"),
        ] {
            let codes = words.codes(cell).map(|codes| {
                codes.iter().map(|(code, label)| format!("{code} {label}")).collect::<Vec<_>>().join(", ")
            });
            assert_eq!(codes.as_deref().unwrap_or("none"), found, "{cell}");
        }
    }
}
