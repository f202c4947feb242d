//! The codes that a field may take, with labels, further spellings and coarser levels.

use std::collections::HashMap;

use serde_json::json;

use crate::error::{Error, Result};

/// One code of a codelist.
#[derive(Clone, Debug)]
pub struct Code {
    /// As it is stored.
    pub code: String,
    /// As people read it.
    pub label: String,
    /// Further spellings of the code.
    pub aliases: Vec<String>,
    /// The further columns of the codelist, in the order of [`Codelist::columns`].
    values: Vec<String>,
}

/// The codes of one field, each with its position, which is how a batch holds it.
#[derive(Clone, Debug)]
pub struct Codelist {
    name: String,
    columns: Vec<String>,
    codes: Vec<Code>,
    by_code: HashMap<Vec<u8>, u16>,
    by_label: HashMap<Vec<u8>, u16>,
}

impl Codelist {
    /// Reads a codelist: UTF-8 CSV with the columns `code`, `label`, `aliases` (spellings separated by `|`) and any
    /// further ones. A code without a label is its own. Codes and aliases must be unique without regard to case, and labels,
    /// too: in tables, filters and releases, a label stands for its code.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let wrong = |what: String| Error::usage(format!("codelist `{name}`: {what}"));
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let header = reader.headers().map_err(|_| wrong("the header cannot be read".into()))?.clone();
        if header.iter().take(3).ne(["code", "label", "aliases"]) {
            return Err(wrong("the first columns must be code, label, aliases".into()));
        }
        let mut list = Self {
            name: name.to_owned(),
            columns: header.iter().skip(3).map(str::to_owned).collect(),
            codes: Vec::new(),
            by_code: HashMap::new(),
            by_label: HashMap::new(),
        };
        for (index, record) in reader.records().enumerate() {
            let line = index + 2;
            let record = record.map_err(|_| wrong(format!("line {line} does not have {} fields", header.len())))?;
            let position = u16::try_from(index).ok().filter(|position| *position < u16::MAX);
            let position = position.ok_or_else(|| wrong("more than 65,534 codes".into()))?;
            let code = record[0].trim();
            if code.is_empty() {
                return Err(wrong(format!("line {line} has no code")));
            }
            let aliases = record[2].split('|').map(str::trim).filter(|alias| !alias.is_empty());
            let aliases: Vec<String> = aliases.map(str::to_owned).collect();
            for spelling in std::iter::once(code).chain(aliases.iter().map(String::as_str)) {
                if list.by_code.insert(key(spelling.as_bytes()), position).is_some_and(|other| other != position) {
                    return Err(wrong(format!("line {line}: `{spelling}` stands for two codes")));
                }
            }
            let label = Some(record[1].trim()).filter(|label| !label.is_empty()).unwrap_or(code);
            if list.by_label.insert(key(label.as_bytes()), position).is_some() {
                return Err(wrong(format!("line {line}: the label `{label}` is there twice")).hint(ONE_LABEL));
            }
            list.codes.push(Code {
                code: code.to_owned(),
                label: label.to_owned(),
                aliases,
                values: record.iter().skip(3).map(str::to_owned).collect(),
            });
        }
        let other =
            |(label, at): (&Vec<u8>, &u16)| list.by_code.get(label).is_some_and(|code| code != at).then_some(*at);
        if let Some(at) = list.by_label.iter().filter_map(other).min() {
            let (line, label) = (usize::from(at) + 2, &list.codes[usize::from(at)].label);
            return Err(
                wrong(format!("line {line}: the label `{label}` is how another code is spelled")).hint(ONE_LABEL)
            );
        }
        Ok(list)
    }

    /// The name of the codelist.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The codes in the order of their file.
    pub fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// The position of a code by its code or an alias, and by its label when `labels`.
    pub fn find(&self, value: &[u8], labels: bool) -> Option<u16> {
        let key = key(value);
        self.by_code.get(&key).or_else(|| self.by_label.get(&key).filter(|_| labels)).copied()
    }

    /// The names of the further columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether there is a further column of this name.
    pub fn has_column(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// The value of a further column for the code at a position; empty when there is none.
    pub fn value(&self, position: u16, column: &str) -> &str {
        let code = self.codes.get(usize::from(position));
        let column = self.columns.iter().position(|name| name == column);
        code.zip(column).map_or("", |(code, column)| code.values[column].as_str())
    }

    /// The values of a further column, of all codes in their order.
    pub fn values<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        (0u16..).take(self.codes.len()).map(move |at| self.value(at, column))
    }

    /// The codes as JSON objects.
    pub fn to_json(&self) -> serde_json::Value {
        self.codes
            .iter()
            .map(|code| {
                let mut object = json!({"code": code.code, "label": code.label});
                for (column, value) in self.columns.iter().zip(&code.values).filter(|(_, value)| !value.is_empty()) {
                    object[column] = json!(value);
                }
                object
            })
            .collect()
    }
}

const ONE_LABEL: &str = "give each code a label of its own; another spelling of a code belongs into `aliases`, and what several \
                         codes have in common into a further column";

fn key(value: &[u8]) -> Vec<u8> {
    value.trim_ascii().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_aliases_and_labels_find_their_code() {
        let list = Codelist::parse("cvx", "code,label,aliases,group\n03,MMR,3,MMR\n08,Hep B,8|008,HepB\n").unwrap();
        for (value, labels, found) in [
            ("03", false, Some(0)),
            ("3", false, Some(0)),
            (" 008 ", false, Some(1)),
            ("mmr", false, None),
            ("mmr", true, Some(0)),
            ("", true, None),
            ("13", true, None),
        ] {
            assert_eq!(list.find(value.as_bytes(), labels), found, "{value}");
        }
        assert_eq!(list.value(1, "group"), "HepB");
        assert_eq!(list.value(1, "nothing"), "");
    }

    #[test]
    fn a_spelling_stands_for_one_code() {
        for text in [
            "code,label,aliases\n1,a,\n2,b,1\n",
            "code,label\n1,a\n",
            "code,label,aliases\n,a,\n",
            "code,label,aliases\n1\n",
        ] {
            assert!(Codelist::parse("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_stands_for_one_code() {
        for (text, fits) in [
            ("1,a,\n2,b,", true),
            ("1,a,\n2, A ,", false),
            ("1,2,\n2,b,", false),
            ("1,x,\n2,b,X", false),
            ("a,a,\nb,B,", true),
            ("1,,\n2,,", true),
            ("1,,\n2,1,", false),
        ] {
            let list = Codelist::parse("x", &format!("code,label,aliases\n{text}\n"));
            assert_eq!(list.is_ok(), fits, "{text}");
        }
        assert_eq!(Codelist::parse("x", "code,label,aliases\n1, ,\n").unwrap().codes()[0].label, "1");
    }
}
