//! Which file of the folder is the month's delivery: a name pattern with date parts, the newest by its name.

use std::cmp::Reverse;

use regex::Regex;

use super::RemoteFile;
use crate::error::{Error, Result};
use crate::period::ReportingPeriod;

/// A name that comes from outside and is safe as a file name here.
///
/// Refused are separators, `..`, control characters, names that begin with a dot and the device names of Windows.
pub fn safe_name(name: &str) -> Result<&str> {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    let bad = name.is_empty()
        || name.len() > 255
        || name.starts_with('.')
        || device
        || name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'));
    if bad {
        return Err(Error::refused(format!("`{}` is not safe as the name of a file here", name.escape_debug()))
            .hint("rename the file, or ask who put it there"));
    }
    Ok(name)
}

/// What names a monthly file has: `{YYYY}`, `{MM}` (once each) and optionally `{DD}` stand for the date in the name,
/// `*` for any characters, `?` for one; everything else for itself, without regard to case.
#[derive(Clone, Debug)]
pub struct NamePattern {
    text: String,
    regex: Regex,
}

impl NamePattern {
    /// Compiles a pattern.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("the file name pattern `{text}` is not right"))
                .hint("write for example `PHDS_{YYYY}_{MM}*.csv`; {YYYY} and {MM} must be there once each")
        };
        if text.matches("{YYYY}").count() != 1 || text.matches("{MM}").count() != 1 || text.matches("{DD}").count() > 1
        {
            return Err(wrong());
        }
        let pattern = regex::escape(text)
            .replace(r"\{YYYY\}", r"(?<year>\d{4})")
            .replace(r"\{MM\}", r"(?<month>\d{2})")
            .replace(r"\{DD\}", r"(?<day>\d{2})")
            .replace(r"\*", ".*?")
            .replace(r"\?", ".");
        let regex = Regex::new(&format!("(?is)^{pattern}$")).map_err(|_| wrong())?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// The date parts of a matching name: year and month, and the day where the pattern has one.
    fn date(&self, name: &str) -> Option<(ReportingPeriod, u32)> {
        let found = self.regex.captures(name)?;
        let number = |part: &str| found.name(part).and_then(|digits| digits.as_str().parse().ok());
        let period = ReportingPeriod::new(i32::try_from(number("year")?).ok()?, number("month")?)?;
        Some((period, number("day").unwrap_or(0)))
    }

    /// Every file with the period that its name tells if it is a delivery; the newest delivery first, by the date in the
    /// name, then the time of change, then the name. The month in the name is taken as the reporting period.
    pub fn ranked(&self, files: Vec<RemoteFile>) -> Vec<(RemoteFile, Option<ReportingPeriod>)> {
        let mut dated: Vec<_> = files
            .into_iter()
            .map(|file| (self.date(&file.name).filter(|_| is_finished(&file.name)), file))
            .map(|(date, file)| (Reverse((date, file.modified)), file))
            .collect();
        dated.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| y.name.cmp(&x.name)));
        dated.into_iter().map(|(Reverse((date, _)), file)| (file, date.map(|(period, _)| period))).collect()
    }

    /// The newest delivery, or the newest of one period.
    pub fn newest(
        &self,
        files: Vec<RemoteFile>,
        period: Option<ReportingPeriod>,
    ) -> Result<(RemoteFile, ReportingPeriod)> {
        let count = files.len();
        let deliveries = self.ranked(files).into_iter().filter_map(|(file, month)| Some((file, month?)));
        deliveries.into_iter().find(|(_, month)| period.is_none_or(|wanted| wanted == *month)).ok_or_else(|| {
            let wanted = period.map(|period| format!(" of {period}")).unwrap_or_default();
            Error::refused(format!(
                "none of the {count} files of the folder is a delivery{wanted} by the pattern `{}`",
                self.text
            ))
            .hint("`phds fetch --list` shows what is there; set `source.pattern` in phds.toml")
        })
    }
}

/// Whether a name is not that of a file still being written or of a probe.
fn is_finished(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ![".part", ".tmp", ".filepart", ".partial"].iter().any(|ending| name.ends_with(ending)) && name != "test.txt"
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
        let pattern = NamePattern::parse("PHDS_{YYYY}_{MM}*.csv").unwrap();
        let files = vec![
            file("PHDS_2024_07.csv", 9),
            file("phds_2024_08.CSV", 1),
            file("PHDS_2024_08_v2.csv", 2),
            file("PHDS_2024_09.csv.part", 3),
            file("PHDS_2024_13.csv", 3),
            file("test.txt", 4),
        ];
        let newest = |period: Option<&str>| {
            let (file, month) = pattern.newest(files.clone(), period.map(|text| text.parse().unwrap())).ok()?;
            Some((file.name, month.to_string()))
        };
        assert_eq!(newest(None), Some(("PHDS_2024_08_v2.csv".into(), "2024-08".into())));
        assert_eq!(newest(Some("2024-07")), Some(("PHDS_2024_07.csv".into(), "2024-07".into())));
        assert_eq!(newest(Some("2024-06")), None);
    }

    #[test]
    fn patterns_need_year_and_month() {
        for bad in ["", "*.csv", "{YYYY}.csv", "{YYYY}{MM}{MM}.csv", "{MM}.csv"] {
            assert!(NamePattern::parse(bad).is_err(), "{bad}");
        }
        let pattern = NamePattern::parse("a.b({YYYY}{MM}{DD}).csv").unwrap();
        assert!(pattern.newest(vec![file("a.b(20240731).csv", 1)], None).is_ok());
        assert!(pattern.newest(vec![file("aXb(20240731).csv", 1)], None).is_err());
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
