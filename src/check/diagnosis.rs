//! Why a header is not the dictionary's: what the file looks like, and the setting that reads it.

use crate::calendar;
use crate::dictionary::{Dictionary, FieldType};

/// Lines among which a header is looked for.
const LINES: usize = 50;

/// Delimiters, and how people call a file with them.
const DELIMITERS: [(u8, &str, &str); 6] = [
    (b',', ",", "comma-separated"),
    (b';', ";", "semicolon-separated"),
    (b'\t', "\\t", "tab-separated"),
    (b'|', "|", "separated by bars"),
    (b'^', "^", "separated by carets"),
    (b' ', " ", "separated by blanks"),
];

/// What to do about a file whose header is not understood, told by its first bytes. No part of them is repeated.
pub fn diagnose(start: &[u8], dictionary: &Dictionary) -> Option<String> {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Some("it looks like UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`".to_owned());
    }
    let begins = start.trim_ascii_start();
    let is_page = [&b"<!doctype"[..], b"<html"]
        .iter()
        .any(|tag| begins.get(..tag.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(tag)));
    for (is_it, remedy) in [
        (
            start.starts_with(b"PK\x03\x04"),
            "it looks like a ZIP archive or a spreadsheet: unpack it, or ask for the CSV",
        ),
        (start.starts_with(b"\x1f\x8b"), "it looks like a gzip archive: unpack it with `gunzip`"),
        (start.starts_with(b"%PDF"), "it looks like a PDF: ask for the CSV"),
        (is_page, "it looks like a web page, perhaps one that asks for a login: fetch the file itself"),
    ] {
        if is_it {
            return Some(remedy.to_owned());
        }
    }
    let nuls = memchr::memchr_iter(0, start).count();
    if nuls * 3 > start.len() {
        return Some("it looks like UTF-16 text: convert it with `iconv -f UTF-16LE -t UTF-8`".to_owned());
    }
    if nuls > 0 {
        return Some("it holds NUL bytes and is no text".to_owned());
    }
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let wanted = dictionary.fields().iter().filter(|field| field.in_file).count();
    let lines = start.split(|byte| matches!(byte, b'\n' | b'\r')).take(LINES);
    let best = lines
        .enumerate()
        .flat_map(|(line, text)| DELIMITERS.map(|delimiter| (line, delimiter, known(text, delimiter.0, dictionary))))
        .max_by_key(|(line, (delimiter, ..), known)| {
            (*known, *delimiter == dictionary.delimiter(), std::cmp::Reverse(*line))
        })
        .filter(|(.., known)| known * 2 > wanted);
    if let Some((line, (delimiter, written, called), _)) = best {
        let mut settings = Vec::new();
        if delimiter != dictionary.delimiter() {
            settings.push(format!("it looks {called}: set `dialect.delimiter = \"{written}\"`"));
        }
        if line > 0 {
            settings.push(format!("the header seems to be on line {}: set `dialect.skip_lines = {line}`", line + 1));
        }
        return (!settings.is_empty()).then(|| format!("{} in your dictionary file", settings.join(", and ")));
    }
    let first = start.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.trim_ascii().is_empty())?;
    let formats = dictionary.fields().iter().filter(|field| field.field_type == FieldType::Date);
    let formats: Vec<_> = formats.flat_map(|field| &field.formats).collect();
    let mut values = first.split(|byte| *byte == dictionary.delimiter()).map(unquoted);
    values
        .any(|value| formats.iter().any(|format| calendar::parse(value, **format).is_some()))
        .then(|| "the first line looks like a row: the file has no header; ask for one with it".to_owned())
}

/// How many fields of the dictionary a line names.
fn known(line: &[u8], delimiter: u8, dictionary: &Dictionary) -> usize {
    let mut found: Vec<usize> = line
        .split(|byte| *byte == delimiter)
        .filter_map(|name| dictionary.match_header(std::str::from_utf8(unquoted(name)).ok()?))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.len()
}

fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}
