//! Which file of the folder is the month's delivery: a name pattern with date parts, the newest by its name.

use std::cmp::Reverse;

use regex::Regex;

use super::RemoteFile;
use crate::error::{Error, Result};
use crate::period::ReportingPeriod;

/// A longer name leaves no room for the endings of our own files beside it.
const MOST_BYTES: usize = 160;

/// A name that comes from outside and is safe as a file name here.
///
/// Refused are separators, `..`, characters that steer a terminal or turn text around, names that begin with a dot or
/// end with a dot or a blank, and the device names of Windows.
pub fn safe_name(name: &str) -> Result<&str> {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let device = matches!(stem.trim_end(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || (stem.chars().count() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³')));
    let bad = name.is_empty()
        || name.len() > MOST_BYTES
        // Stands for bytes that are not UTF-8.
        || name.contains(char::REPLACEMENT_CHARACTER)
        || name.starts_with('.')
        || name.ends_with(['.', ' '])
        || device
        || name.contains(|c: char| c.is_control() || is_misleading(c) || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'));
    if bad {
        return Err(Error::refused(format!("`{}` is not safe as the name of a file here", name.escape_debug()))
            .hint("rename the file, or ask who put it there"));
    }
    Ok(name)
}

/// The characters of Unicode that are not seen, break lines or turn the text around them: a name with one can look like
/// another.
pub fn is_misleading(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// What names a monthly file has: `{YYYY}`, `{MM}` (once each) and optionally `{DD}` stand for the date in the name,
/// `*` for any characters, `?` for one; everything else for itself, without regard to case.
#[derive(Clone, Debug)]
pub struct NamePattern {
    text: String,
    regex: Regex,
}

fn compile(text: &str) -> Option<Regex> {
    let pattern = regex::escape(text)
        .replace(r"\{YYYY\}", r"(?<year>\d{4})")
        .replace(r"\{MM\}", r"(?<month>\d{2})")
        .replace(r"\{DD\}", r"(?<day>\d{2})")
        .replace(r"\*", ".*?")
        .replace(r"\?", ".");
    Regex::new(&format!("(?is)^{pattern}$")).ok()
}

impl NamePattern {
    /// Compiles a pattern.
    pub fn parse(text: &str) -> Result<Self> {
        let once = |part| text.matches(part).count() == 1;
        let regex = compile(text).filter(|_| once("{YYYY}") && once("{MM}") && text.matches("{DD}").count() <= 1);
        regex.map(|regex| Self { text: text.to_owned(), regex }).ok_or_else(|| {
            Error::usage(format!("the file name pattern `{text}` is not right"))
                .hint("write for example `PHDS_{YYYY}_{MM}*.csv`; {YYYY} and {MM} must be there once each")
        })
    }

    /// The date parts of a matching name: year and month, and the day where the pattern has one.
    fn date(&self, name: &str) -> Option<(ReportingPeriod, u32)> {
        let found = self.regex.captures(name)?;
        let number = |part: &str| found.name(part).and_then(|digits| digits.as_str().parse().ok());
        let period = ReportingPeriod::new(i32::try_from(number("year")?).ok()?, number("month")?)?;
        Some((period, number("day").unwrap_or(0)))
    }
}

/// What a file of the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A delivery of this month, by its name.
    Delivery(ReportingPeriod),
    /// The data dictionary.
    Dictionary,
    /// A file that is still being written.
    Unfinished,
    /// A file that only shows that the account works.
    Probe,
    /// A name that is not safe here.
    Unsafe,
    /// Anything else.
    Other,
}

/// How the files of an account are told apart.
#[derive(Clone, Debug)]
pub struct Names {
    /// What the monthly file is called.
    pub delivery: NamePattern,
    /// What the data dictionary is called.
    dictionary: Regex,
}

impl Names {
    /// With a pattern for the monthly file, and one with `*` and `?` for the data dictionary.
    pub fn new(delivery: &str, dictionary: &str) -> Result<Self> {
        let wrong = || Error::usage(format!("the file name pattern `{dictionary}` is not right"));
        Ok(Self { delivery: NamePattern::parse(delivery)?, dictionary: compile(dictionary).ok_or_else(wrong)? })
    }

    /// What a name is that of.
    pub fn kind(&self, name: &str) -> Kind {
        let lower = name.to_ascii_lowercase();
        if safe_name(name).is_err() {
            Kind::Unsafe
        } else if [".part", ".tmp", ".filepart", ".partial"].iter().any(|ending| lower.ends_with(ending)) {
            Kind::Unfinished
        } else if lower == "test.txt" {
            Kind::Probe
        } else if self.dictionary.is_match(name) {
            Kind::Dictionary
        } else {
            self.delivery.date(name).map_or(Kind::Other, |(period, _)| Kind::Delivery(period))
        }
    }

    /// Every file with what it is; the newest delivery first, by the date in the name, then the time of change, then the
    /// name. The month in the name is taken as the reporting period.
    pub fn ranked(&self, files: Vec<RemoteFile>) -> Vec<(RemoteFile, Kind)> {
        let mut ranked: Vec<_> = files.into_iter().map(|file| (self.kind(&file.name), file)).collect();
        ranked.sort_by_cached_key(|(kind, file)| {
            let date = matches!(kind, Kind::Delivery(_)).then(|| self.delivery.date(&file.name));
            Reverse((date, file.modified, file.name.clone()))
        });
        ranked.into_iter().map(|(kind, file)| (file, kind)).collect()
    }

    /// The newest delivery, or the newest of one period.
    pub fn newest(&self, files: Vec<RemoteFile>, period: Option<ReportingPeriod>) -> Result<Newest> {
        let count = files.len();
        let mut deliveries = self.ranked(files).into_iter().filter_map(|(file, kind)| match kind {
            Kind::Delivery(month) if period.is_none_or(|wanted| wanted == month) => Some((file, month)),
            _ => None,
        });
        let Some((file, period)) = deliveries.next() else {
            let wanted = period.map(|period| format!(" of {period}")).unwrap_or_default();
            return Err(Error::refused(format!(
                "none of the {count} files of the folder is a delivery{wanted} by the pattern `{}`",
                self.delivery.text
            ))
            .hint("`phds fetch --list` shows what is there; set `pattern` of the account in phds.toml"));
        };
        let changed_later = deliveries.map(|(other, _)| other).find(|other| other.modified > file.modified);
        Ok(Newest { file, period, changed_later: changed_later.map(|other| other.name) })
    }
}

/// The delivery to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The file.
    pub file: RemoteFile,
    /// The month in its name.
    pub period: ReportingPeriod,
    /// The name of a delivery with an older date in its name that was changed later. One of the two is misleading.
    pub changed_later: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, day: u32) -> RemoteFile {
        let modified = chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0);
        RemoteFile { name: name.to_owned(), size: 1, modified }
    }

    #[test]
    fn the_newest_is_the_one_with_the_newest_date_in_its_name() {
        let names = Names::new("PHDS_{YYYY}_{MM}*.csv", "*dictionary*").unwrap();
        let files = vec![
            file("PHDS_2024_07.csv", 9),
            file("phds_2024_08.CSV", 1),
            file("PHDS_2024_08_v2.csv", 2),
            file("PHDS_2024_09.csv.part", 3),
            file("PHDS_2024_13.csv", 3),
            file("test.txt", 4),
        ];
        let newest = |period: Option<&str>| {
            let found = names.newest(files.clone(), period.map(|text| text.parse().unwrap())).ok()?;
            Some((found.file.name, found.period.to_string(), found.changed_later))
        };
        let older = Some("PHDS_2024_07.csv".to_owned());
        assert_eq!(newest(None), Some(("PHDS_2024_08_v2.csv".into(), "2024-08".into(), older)));
        assert_eq!(newest(Some("2024-07")), Some(("PHDS_2024_07.csv".into(), "2024-07".into(), None)));
        assert_eq!(newest(Some("2024-06")), None);
    }

    #[test]
    fn every_name_is_of_one_kind() {
        let names = Names::new("PHDS_{YYYY}_{MM}*.csv", "*dictionary*").unwrap();
        let december = Kind::Delivery("2024-12".parse().unwrap());
        for (name, kind) in [
            ("PHDS_2024_12.csv", december),
            ("phds_2024_12_again.CSV", december),
            ("PHDS_2024_12.csv.part", Kind::Unfinished),
            ("PHDS_2024_12.csv.filepart", Kind::Unfinished),
            ("PHDS_2024_12.TMP", Kind::Unfinished),
            ("test.txt", Kind::Probe),
            ("PHDS Data Dictionary 2024.xlsx", Kind::Dictionary),
            ("PHDS_2024_12_dictionary.csv", Kind::Dictionary),
            ("PHDS_2024_12\n.csv", Kind::Unsafe),
            ("PHDS_2024_13.csv", Kind::Other),
            ("readme.txt", Kind::Other),
        ] {
            assert_eq!(names.kind(name), kind, "{name:?}");
        }
    }

    #[test]
    fn patterns_need_year_and_month() {
        for bad in ["", "*.csv", "{YYYY}.csv", "{YYYY}{MM}{MM}.csv", "{MM}.csv"] {
            assert!(NamePattern::parse(bad).is_err(), "{bad}");
        }
        let names = Names::new("a.b({YYYY}{MM}{DD}).csv", "").unwrap();
        assert!(names.newest(vec![file("a.b(20240731).csv", 1)], None).is_ok());
        assert!(names.newest(vec![file("aXb(20240731).csv", 1)], None).is_err());
    }

    #[test]
    fn hostile_names_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a\nb",
            "a\rb",
            "a\0b",
            "\u{1b}[2J",
            "NUL",
            "con.csv",
            "COM1.txt",
            "com³.csv",
            "CONIN$",
            "a.csv.",
            "a.csv ",
            "caf\u{fffd}.csv",
            &"x".repeat(161),
            "vsc.\u{202e}exe",
            ".hidden",
            "C:x",
        ] {
            assert!(safe_name(bad).is_err(), "{bad:?}");
        }
        for good in ["PHDS 2024 08.csv", "ümlaut.csv", "console.csv"] {
            assert!(safe_name(good).is_ok(), "{good}");
        }
    }
}
