//! What servers say about files: MLSD and MLST facts, LIST lines in the POSIX and the DOS form.
//!
//! Times of LIST are left out on purpose: they are in the server's own zone and have minutes or only a year. MDTM and
//! MLSD tell UTC.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDateTime, Utc};
use regex::Regex;

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plain file, as far as the line tells.
    File,
    /// A link to something.
    Link,
    /// A folder or a device.
    Other,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<DateTime<Utc>>,
}

impl Entry {
    /// Whether the name is not UTF-8. It is shown with U+FFFD, and a server knows it by other bytes.
    pub(super) fn is_odd(&self) -> bool {
        self.name.contains(char::REPLACEMENT_CHARACTER)
    }
}

/// Reads one line of MLSD, or the line of facts of MLST: `Type=file;Size=5;Modify=20240708090603; name`.
pub(super) fn mlsd(line: &str) -> Option<Entry> {
    let (facts, name) = line.split_once(' ')?;
    let mut entry = Entry { name: name.to_owned(), kind: Kind::File, size: None, modified: None };
    for fact in facts.split_terminator(';') {
        let (fact, value) = fact.split_once('=')?;
        match fact.to_ascii_lowercase().as_str() {
            "type" => entry.kind = kind(&value.to_ascii_lowercase()),
            "size" => entry.size = value.parse().ok(),
            "modify" => entry.modified = time(value),
            _ => {}
        }
    }
    Some(entry)
}

fn kind(value: &str) -> Kind {
    if value == "file" {
        Kind::File
    } else if value.contains("link") {
        // `OS.unix=slink:/target`, `OS.unix=symlink`.
        Kind::Link
    } else {
        Kind::Other
    }
}

/// `YYYYMMDDHHMMSS`, with or without a fraction, in UTC as RFC 3659 says. The fraction is left out, because servers give
/// it in one answer and leave it out in another.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.trim().get(..14)?;
    NaiveDateTime::parse_from_str(digits, "%Y%m%d%H%M%S").ok().map(|time| time.and_utc())
}

// `-rw-r--r--   1 owner    group      4688906 Jul  8 09:06 NAME`. Group or link count may be missing, months may be in
// another language, day may come first. One space before the name: further ones belong to it.
static POSIX: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?<kind>[-dlbcpsD])[-rwxsStTlL]{9}\S?\s.*?\s(?<size>\d+)\s+",
        r"(?:[^\s\d]{2,9}\s+\d{1,2}|\d{1,2}\.?\s+[^\s\d]{2,9}|\d{4}-\d\d-\d\d)\s+",
        r"(?:\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s[-+]\d{4})?|\d{4})\s(?<name>.+)$"
    ))
    .ok()
});

// `07-08-24  09:06AM              4688906 NAME`, `07-08-2024  09:06       <DIR>          NAME`.
static DOS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}\s+\d{1,2}:\d\d(?::\d\d)?\s?(?:[AaPp][Mm])?\s+",
        r"(?:<(?<special>[^>]+)>\s+|(?<size>[\d,]+)\s)(?<name>.+)$"
    ))
    .ok()
});

/// Reads one line of LIST. `None` for a line in neither form.
pub(super) fn list(line: &str) -> Option<Entry> {
    if let Some(found) = POSIX.as_ref()?.captures(line) {
        let (kind, name) = match &found["kind"] {
            "-" => (Kind::File, &found["name"]),
            "l" => (Kind::Link, found["name"].split_once(" -> ").map_or(&found["name"], |(name, _)| name)),
            _ => (Kind::Other, &found["name"]),
        };
        // The size of a link is that of the link.
        let size = if kind == Kind::File { Some(found["size"].parse().ok()?) } else { None };
        return Some(Entry { name: name.to_owned(), kind, size, modified: None });
    }
    let found = DOS.as_ref()?.captures(line)?;
    let size = match found.name("size") {
        Some(digits) => Some(digits.as_str().replace(',', "").parse().ok()?),
        None => None,
    };
    let kind = match found.name("special").map(|word| word.as_str()) {
        None => Kind::File,
        Some("SYMLINK") => Kind::Link,
        Some(_) => Kind::Other,
    };
    Some(Entry { name: found["name"].to_owned(), kind, size, modified: None })
}

/// Whether a line that [`list`] can read has the DOS form, which begins with the date.
pub(super) fn is_dos(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether a line of LIST is no entry and no surprise either.
pub(super) fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line.strip_prefix("total ").is_some_and(|rest| rest.trim().bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(entry: Option<Entry>) -> Option<(String, Kind, Option<u64>)> {
        entry.map(|entry| (entry.name, entry.kind, entry.size))
    }

    #[test]
    fn posix_lines() {
        for (line, name, kind, size) in [
            ("-rw-r--r--   1 owner    group      4688906 Jul  8 09:06 a b.csv", "a b.csv", Kind::File, Some(4_688_906)),
            ("-rw-r--r--   1 owner    group            0 Feb 29 2024 x.csv", "x.csv", Kind::File, Some(0)),
            ("-rw-r--r--+  1 1001 513 5 Jul  8 09:06  leading", " leading", Kind::File, Some(5)),
            ("-rw-r--r--   1 owner    5 Jul 8 09:06 no group", "no group", Kind::File, Some(5)),
            ("-r--r--r--   1 o g 5 8 juil. 09:06 fr.csv", "fr.csv", Kind::File, Some(5)),
            ("-r--r--r--   1 o g 5 2024-07-08 09:06 iso.csv", "iso.csv", Kind::File, Some(5)),
            ("-r--r--r--   1 o g 5 Jul  8 09:06 5 Jul  8 09:06 x", "5 Jul  8 09:06 x", Kind::File, Some(5)),
            ("drwxr-xr-x   2 owner    group         4096 Jul  8 2023 old", "old", Kind::Other, None),
            ("lrwxrwxrwx   1 owner    group           12 Jul  8 09:06 l -> a -> b", "l", Kind::Link, None),
        ] {
            assert_eq!(short(list(line)), Some((name.to_owned(), kind, size)), "{line}");
            assert!(!is_dos(line), "{line}");
        }
    }

    #[test]
    fn dos_lines() {
        for (line, name, kind, size) in [
            ("07-08-24  09:06AM              4688906 a b.csv", "a b.csv", Kind::File, Some(4_688_906)),
            ("07-08-2024  21:06       <DIR>          Accepted", "Accepted", Kind::Other, None),
            ("07-08-24  09:06PM            4,688,906 x.csv", "x.csv", Kind::File, Some(4_688_906)),
            ("07-08-24  09:06AM                    0  leading", " leading", Kind::File, Some(0)),
            ("07-08-24  09:06AM    <JUNCTION>     j", "j", Kind::Other, None),
            ("07-08-24  09:06AM    <SYMLINK>      s", "s", Kind::Link, None),
        ] {
            assert_eq!(short(list(line)), Some((name.to_owned(), kind, size)), "{line}");
            assert!(is_dos(line), "{line}");
        }
    }

    #[test]
    fn other_lines() {
        for line in ["", "total 12", "total 0 ", "  "] {
            assert!(is_noise(line) && list(line).is_none(), "{line}");
        }
        let too_big = format!("-rw-r--r-- 1 o g {}0 Jul 8 09:06 x", u64::MAX);
        for line in ["a.csv", "-rw-r--r-- a.csv", "Volume C has no label", "07-08-24 a.csv", &too_big] {
            assert!(!is_noise(line) && list(line).is_none(), "{line}");
        }
    }

    #[test]
    fn facts() {
        let entry = mlsd("Type=file;SIZE=5;modify=20240708090603.123;UNIX.mode=0644; a b; c").unwrap();
        assert_eq!(short(Some(entry.clone())), Some(("a b; c".into(), Kind::File, Some(5))));
        assert_eq!(entry.modified.unwrap().to_rfc3339(), "2024-07-08T09:06:03+00:00");
        for (line, kind) in [
            ("type=dir;modify=20240708090603; d", Kind::Other),
            ("type=cdir; .", Kind::Other),
            ("type=OS.unix=slink:/x;size=3; l", Kind::Link),
            ("type=OS.unix=symlink; l", Kind::Link),
            ("size=3; no type", Kind::File),
            (" no facts", Kind::File),
        ] {
            assert_eq!(mlsd(line).unwrap().kind, kind, "{line}");
        }
        for odd in ["", "nofacts", "type; x"] {
            assert_eq!(mlsd(odd), None, "{odd}");
        }
        assert_eq!(time("20241399999999"), None);
        assert_eq!(time("2024"), None);
        assert_eq!(time("ü2345678901234"), None);
    }
}
