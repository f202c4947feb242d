//! `rejected.csv`: every rule that a rejected row broke, with the row's place and without a value.

use std::io::Write;
use std::path::Path;

use super::findings::Finding;
use super::place::Place;
use super::ruleset::Ruleset;
use super::{Checker, REJECTED};
use crate::error::{Error, Result};

/// Writes `rejected.csv`.
pub struct RejectedList<'a> {
    csv: csv::Writer<&'a mut (dyn Write + Send)>,
    checker: &'a Checker<'a>,
}

impl<'a> RejectedList<'a> {
    /// Begins the list.
    pub fn new(out: &'a mut (dyn Write + Send), checker: &'a Checker<'a>) -> Result<Self> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["line", "byte_offset", "bytes", "rule", "severity", "column"]).map_err(list_failed)?;
        Ok(Self { csv, checker })
    }

    /// Adds those of the findings of a chunk whose row is rejected; both are in the order of the file.
    pub fn add(&mut self, found: &[Finding], rejected: &[Place]) -> Result<()> {
        for finding in found.iter().filter(|finding| rejected.binary_search(&finding.place).is_ok()) {
            let rule = &self.checker.rules.rules()[usize::from(finding.rule)];
            let column = match finding.field {
                Some(at) => &self.checker.dictionary.fields()[usize::from(at)].header,
                None => Ruleset::points_at(rule, self.checker.dictionary).unwrap_or_default(),
            };
            let Place { line, offset, length } = finding.place;
            let [line, offset, length] = [line, offset, length.into()].map(|number: u64| number.to_string());
            self.csv
                .write_record([&line, &offset, &length, rule.code.as_str(), rule.severity.word(), column])
                .map_err(list_failed)?;
        }
        Ok(())
    }

    /// Ends the list.
    pub fn finish(mut self) -> Result<()> {
        self.csv.flush().map_err(|error| list_failed(error.into()))
    }
}

fn list_failed(error: csv::Error) -> Error {
    match error.into_kind() {
        // The library's own words have the path of a draft in them.
        csv::ErrorKind::Io(error) => Error::io("write", Path::new(REJECTED), &error.kind().into()),
        _ => Error::environment("cannot write the list of rejected rows"),
    }
}
