//! Cases that prove a measure: invented histories, and what somebody has counted by hand → where the two differ.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::NaiveDate;
use serde::Deserialize;

use super::{Dose, Evaluator};
use crate::calendar::{self, DateFormat};
use crate::dictionary::{Codelist, Dictionary, names};
use crate::error::{Error, Result};
use crate::knowledge;
use crate::measure::{Measures, Requirement};
use crate::period::ReportingPeriod;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// What it shows.
    #[serde(rename = "what")]
    _what: String,
    /// The month; its last day is the as-of date.
    period: ReportingPeriod,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    measure: String,
    /// A line a row, `|` between cells; the first line names the columns.
    table: String,
}

/// What is expected of a row, by the column that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Birth,
    /// Such as `2021-03-01 20+48, 2021-05-01 20`: days with CVX codes.
    Doses,
    /// The day on which the series was complete.
    Complete,
    /// The day on which it could have been, without a missed opportunity.
    Could,
    /// The day from which on no part lacks more than one dose.
    Near,
    /// `yes`, `no`, or `out` for who is not in the cohort.
    Counted,
}

impl Column {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Birth, "birth"),
        (Self::Doses, "doses"),
        (Self::Complete, "complete"),
        (Self::Could, "could"),
        (Self::Near, "near"),
        (Self::Counted, "counted"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(column, _)| *column == self).map_or("", |(_, name)| name)
    }
}

/// What came of a file of cases.
#[derive(Debug, Default)]
pub struct Found {
    /// Rows that came out as they should.
    pub right: usize,
    /// A sentence for every answer that is another than the expected one.
    pub wrong: Vec<String>,
    /// The measures that the file asks about, by their positions.
    pub asked: BTreeSet<usize>,
    /// Of those whose `counted` is expected, those of which no row is in the numerator, or none is in the cohort without being
    /// in it.
    pub unproved: BTreeSet<usize>,
}

/// Goes through a file of cases.
///
/// The days are those that a load would store, and who is counted follows from them as in a question of coverage by all
/// clients, as of the last day of the file's month.
pub fn prove(path: &Path, dictionary: &Dictionary, measures: &Measures) -> Result<Found> {
    let file = path.display().to_string();
    let document: Document = knowledge::parse(&file, &knowledge::read(path)?)?;
    let cvx = dictionary.field(names::CVX).and_then(|field| dictionary.codelist(field));
    let cvx = cvx.ok_or_else(|| Error::usage("the dictionary has no codelist of CVX codes"))?;
    let mut evaluator = Evaluator::new(measures)?;
    let mut found = Found::default();
    let (mut counts, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for case in &document.cases {
        let measure = measures.position(&case.measure)?;
        found.asked.insert(measure);
        let place = format!("`{file}`: {}", case.measure);
        let wrong = |what: &str| Error::usage(format!("{place}: {what}"));
        let (columns, rows) = table(&case.table).map_err(|what| wrong(&what))?;
        for (number, row) in (1..).zip(rows) {
            let wrong = |what: &str| wrong(&format!("row {number}: {what}"));
            let cell =
                |wanted: Column| columns.iter().zip(&row).find(|(column, _)| **column == wanted).map(|(_, cell)| *cell);
            let birth =
                cell(Column::Birth).and_then(day).ok_or_else(|| wrong("`birth` is a day, such as 2021-06-15"))?;
            let mut doses = doses(cell(Column::Doses).unwrap_or_default(), cvx).map_err(|what| wrong(&what))?;
            // A row may tell that there was no dose.
            doses.retain(|dose| measures.opportunities().doses()[usize::from(dose.cvx)]);
            let days = evaluator.days(birth, &doses).to_vec();
            let stored = |name: &str| -> Option<Option<i32>> {
                Some(days[evaluator.columns().iter().position(|column| column == name)?])
            };
            let mut is_right = true;
            for (column, expected) in columns.iter().zip(&row) {
                let name = match column {
                    Column::Birth | Column::Doses => continue,
                    Column::Complete => Some(measures.measures()[measure].column()),
                    Column::Could => measures.potential(measure),
                    Column::Near => measures.near(measure),
                    Column::Counted => None,
                };
                let answer = if *column == Column::Counted {
                    if !["yes", "no", "out"].contains(expected) {
                        return Err(wrong("`counted` is yes, no or out"));
                    }
                    let met = |part: usize| stored(&measures.measures()[part].column()).flatten();
                    let answer = counted(measures, measure, birth, document.period.last_day(), dictionary, met);
                    counts.insert(measure);
                    seen.insert((measure, answer));
                    answer.to_owned()
                } else {
                    let lacking = || wrong(&format!("a load stores no `{}` of this measure", column.name()));
                    let answer = name.and_then(|name| stored(&name)).ok_or_else(lacking)?;
                    if !expected.is_empty() && day(expected).is_none() {
                        return Err(wrong(&format!("`{}` is a day, such as 2021-06-15, or empty", column.name())));
                    }
                    answer.map(|day| calendar::date(day).to_string()).unwrap_or_default()
                };
                if answer != *expected {
                    let told = |text: &str| if text.is_empty() { "no day".to_owned() } else { text.to_owned() };
                    is_right = false;
                    found.wrong.push(format!(
                        "{}, row {number}: `{}` is {}, and {} was expected",
                        case.measure,
                        column.name(),
                        told(&answer),
                        told(expected)
                    ));
                }
            }
            found.right += usize::from(is_right);
        }
    }
    found.unproved =
        counts.into_iter().filter(|at| !["yes", "no"].iter().all(|it| seen.contains(&(*at, *it)))).collect();
    Ok(found)
}

/// Whether a client is in the numerator, when the client is in the cohort.
fn counted(
    measures: &Measures,
    at: usize,
    birth: i32,
    as_of: NaiveDate,
    dictionary: &Dictionary,
    met: impl Fn(usize) -> Option<i32>,
) -> &'static str {
    let (young, old) = measures.born(at, as_of);
    let from = measures.complete_from(at, dictionary.first_inclusion_year());
    let from = young.map_or(from, |young| from.max(young));
    if !(from..=old).contains(&calendar::date(birth)) {
        return "out";
    }
    let in_time = |part: usize| met(part).is_some_and(|day| measures.is_in_time(at, birth, day));
    let parts = measures.deciding(at);
    let is_counted = match &measures.requirements()[at] {
        Requirement::Series(_) | Requirement::AllOf(_) => parts.into_iter().all(in_time),
        Requirement::NoneOf(_) => !parts.into_iter().any(in_time),
    };
    if is_counted { "yes" } else { "no" }
}

/// The columns and the rows of a table; or what is wrong with it.
fn table(text: &str) -> std::result::Result<(Vec<Column>, Vec<Vec<&str>>), String> {
    fn cells(line: &str) -> Vec<&str> {
        line.split('|').map(str::trim).collect()
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let header = lines.next().map(cells).unwrap_or_default();
    let named = |name: &&str| Column::ALL.into_iter().find(|(_, known)| known == name).map(|(column, _)| column);
    let columns: Vec<Column> = header.iter().filter_map(named).collect();
    let is_twice = columns.iter().enumerate().any(|(at, column)| columns[..at].contains(column));
    let has = |column| columns.contains(&column);
    if columns.len() != header.len() || is_twice || !has(Column::Birth) || !has(Column::Doses) || columns.len() < 3 {
        return Err(
            "a table has the columns birth and doses, and one or more of complete, could, near and counted".to_owned()
        );
    }
    let rows: Vec<Vec<&str>> = lines.map(cells).collect();
    match rows.iter().position(|row| row.len() != columns.len()) {
        Some(at) => Err(format!("row {}: it has {} cells for {} columns", at + 1, rows[at].len(), columns.len())),
        None => Ok((columns, rows)),
    }
}

fn day(text: &str) -> Option<i32> {
    calendar::parse(text.as_bytes(), DateFormat::Iso)
}

/// Doses written as days with codes, in the order in which an evaluator wants them; or what is wrong with them.
fn doses(text: &str, cvx: &Codelist) -> std::result::Result<Vec<Dose>, String> {
    let mut doses = Vec::new();
    for visit in text.split(',').map(str::trim).filter(|visit| !visit.is_empty()) {
        let visit = visit.split_once(' ').and_then(|(date, codes)| Some((day(date)?, codes)));
        let (day, codes) = visit.ok_or("`doses` are days with CVX codes, such as `2021-03-01 20+48, 2021-05-01 20`")?;
        for code in codes.split('+').map(str::trim) {
            let cvx = cvx.find(code.as_bytes(), false).ok_or("a code of `doses` is no CVX code of the dictionary")?;
            doses.push(Dose { day, cvx, organization: None });
        }
    }
    doses.sort_unstable();
    Ok(doses)
}
