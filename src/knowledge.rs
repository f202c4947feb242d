//! The knowledge files that are built into the program, and the merging of a department's own over them.

use std::path::Path;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::fs::hex;

/// Name (relative to `dictionaries/phds`, with `/`) and text of every built-in file, sorted by name.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/knowledge.rs"));

/// The text of a built-in file.
pub fn text(name: &str) -> Result<&'static str> {
    FILES
        .binary_search_by_key(&name, |(name, _)| name)
        .map(|index| FILES[index].1)
        .map_err(|_| Error::usage(format!("there is no built-in knowledge file `{name}`")))
}

/// Name and text of the built-in files of one folder (`codelists`, `measures`), sorted by name.
pub fn folder(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(move |(path, text)| {
        let name = path.strip_prefix(folder)?.strip_prefix('/')?;
        (!name.contains('/')).then_some((name, *text))
    })
}

/// Reads a settings or knowledge file of the department.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::named_file("read", path, &error))
}

/// Parses a knowledge or settings file. The error names the file, the line and what was expected, and repeats no value:
/// someone may have written a password where none belongs.
pub fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let place = match error.span().and_then(|span| text.get(..span.start)) {
            Some(before) => format!("`{name}`, line {}", before.matches('\n').count() + 1),
            None => format!("`{name}`"),
        };
        Error::usage(format!("{place}: {}", without_value(error.message())))
    })
}

/// A file of the department as what it is to be; its path names it in the error.
pub fn parse_file<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    parse(&path.display().to_string(), &read(path)?)
}

/// What a parser says, less the value that it met.
pub fn without_value(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    if first.starts_with("invalid type") || first.starts_with("invalid value") {
        first
            .split_once(", expected ")
            .map_or("the value does not fit".to_owned(), |(_, wanted)| format!("expected {wanted}"))
    } else if ["missing field", "unknown field", "unknown variant", "duplicate"]
        .iter()
        .any(|start| first.starts_with(start))
    {
        first.to_owned()
    } else {
        "this is not TOML, or not a value that fits".to_owned()
    }
}

/// A built-in file as a department's own changes it: entries of its arrays are matched by `key`.
pub fn with_own<T: serde::de::DeserializeOwned>(name: &str, own: Option<&Path>, key: &str) -> Result<T> {
    let Some(own) = own else { return parse(name, text(name)?) };
    let mut table: Table = parse(name, text(name)?)?;
    overlay(&mut table, parse_file(own)?, key);
    fitting(&own.display().to_string(), table)
}

/// A table of a knowledge file as what it is to be; `place` names it in the error.
pub fn fitting<T: serde::de::DeserializeOwned>(place: &str, table: Table) -> Result<T> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| Error::usage(format!("`{place}`: {}", without_value(error.message()))))
}

/// Lays `over` on `base`: tables merge key by key; in an array of tables, an entry with the same `key` merges and a new
/// one is added; everything else is replaced.
pub fn overlay(base: &mut Table, over: Table, key: &str) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above, key),
            (Some(Value::Array(below)), Value::Array(above)) if is_keyed(below, key) && is_keyed(&above, key) => {
                for entry in above {
                    let Value::Table(entry) = entry else { continue };
                    match below.iter_mut().filter_map(Value::as_table_mut).find(|old| old.get(key) == entry.get(key)) {
                        Some(old) => overlay(old, entry, key),
                        None => below.push(Value::Table(entry)),
                    }
                }
            }
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

fn is_keyed(array: &[Value], key: &str) -> bool {
    array.iter().all(|entry| entry.as_table().is_some_and(|table| table.contains_key(key)))
}

/// Sixteen hexadecimal digits that change when any named part changes. Printed on every output.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Over named texts, in the order given.
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut hash = Sha256::new();
        for (name, text) in parts {
            for part in [name.as_bytes(), text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        Self(hex(&hash.finalize()[..8]))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_merges_by_key_and_adds_the_rest() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let mut base = table(
            "version = '1'\nkeep = 1\n[[field]]\nname = 'a'\nx = 1\ny = 1\n[[field]]\nname = 'b'\nx = 1\n[dialect]\nq = 1\n",
        );
        overlay(
            &mut base,
            table("version = '2'\n[[field]]\nname = 'a'\nx = 2\n[[field]]\nname = 'c'\n[dialect]\nd = 2\n"),
            "name",
        );
        assert_eq!(
            base,
            table(
                "version = '2'\nkeep = 1\n[[field]]\nname = 'a'\nx = 2\ny = 1\n[[field]]\nname = 'b'\nx = 1\n[[field]]\nname = 'c'\n[dialect]\nq = 1\nd = 2\n"
            )
        );
    }

    #[test]
    fn an_error_names_the_line_and_repeats_no_value() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Settings {
            #[expect(dead_code, reason = "only parsing matters")]
            port: u16,
        }
        for (text, message) in [
            ("port = 22\nsecret = 'hunter2'\n", "`x`, line 2: unknown field `secret`, expected `port`"),
            ("port = 'hunter2'\n", "`x`, line 1: expected u16"),
            ("port = 22\nhunter2\n", "`x`, line 2: this is not TOML, or not a value that fits"),
            ("port = -1\n", "`x`, line 1: expected u16"),
        ] {
            assert_eq!(parse::<Settings>("x", text).unwrap_err().message(), message);
        }
    }

    #[test]
    fn a_fingerprint_tells_where_one_part_ends() {
        let of =
            |parts: &[(&'static str, &'static str)]| Fingerprint::of(parts.iter().map(|(n, t)| (*n, t.as_bytes())));
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "d"), ("c", "b")]));
        assert_eq!(of(&[("a", "b")]), of(&[("a", "b")]));
    }
}
