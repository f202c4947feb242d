//! Cases that prove a measure: invented histories, and what somebody has counted by hand → where the two differ.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::NaiveDate;
use serde::Deserialize;

use super::{Dose, Evaluator};
use crate::calendar::{self, DateFormat};
use crate::dictionary::{Codelist, Dictionary};
use crate::error::{Error, Result};
use crate::knowledge;
use crate::measure::{Age, Cutoff, Deadline, Measures, Requirement, cvx_codes, season};
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

/// What a column of a table says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Birth,
    /// Such as `2021-03-01 20+48, 2021-05-01 20`: days with CVX codes.
    Doses,
    /// The day on which the series was complete; of a season, in that of the as-of date.
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

/// A history, and what is expected of it.
#[derive(Debug)]
struct Row<'a> {
    birth: i32,
    doses: Vec<Dose>,
    expected: Vec<(Column, &'a str)>,
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
    let document: Document = knowledge::parse_file(path)?;
    let cvx = cvx_codes(dictionary)?;
    let as_of = document.period.last_day();
    let seasons = season::of_file(dictionary.first_inclusion_year(), as_of);
    let mut evaluator = Evaluator::new(measures, seasons.clone())?;
    let mut found = Found::default();
    let mut counts = BTreeSet::new();
    for case in &document.cases {
        let wrong = |what: String| Error::usage(format!("`{file}`: {}: {what}", case.measure));
        let at = measures.position(&case.measure)?;
        let asked = Asked { measures, at, dictionary, as_of };
        if measures.season(at, as_of).is_some_and(|year| !seasons.contains(&year)) {
            return Err(wrong("the season of the period began before the first year of the file".to_owned()));
        }
        found.asked.insert(at);
        for (number, row) in (1..).zip(rows(&case.table, cvx).map_err(wrong)?) {
            let doses: Vec<Dose> = row.doses.into_iter().filter(|dose| asked.is_dose(dose)).collect();
            let stored = evaluator.days(row.birth, &doses).to_vec();
            let days = Days { birth: row.birth, stored, columns: evaluator.columns() };
            let before = found.wrong.len();
            for (column, expected) in row.expected {
                let name = column.name();
                let Some(answer) = asked.answer(column, &days) else {
                    return Err(wrong(format!("row {number}: a load stores no `{name}` of this measure")));
                };
                if column == Column::Counted {
                    counts.insert((at, answer.clone()));
                }
                if answer != expected {
                    let [answer, expected] =
                        [&answer, expected].map(|told| if told.is_empty() { "no day" } else { told });
                    let what = format!("`{name}` is {answer}, and {expected} was expected");
                    found.wrong.push(format!("{}, row {number}: {what}", case.measure));
                }
            }
            found.right += usize::from(found.wrong.len() == before);
        }
    }
    let lacks = |at: usize| ["yes", "no"].iter().any(|answer| !counts.contains(&(at, (*answer).to_owned())));
    found.unproved = counts.iter().map(|(at, _)| *at).filter(|at| lacks(*at)).collect();
    Ok(found)
}

/// The days of a client, as a load stores them.
struct Days<'a> {
    birth: i32,
    stored: Vec<Option<i32>>,
    /// The columns in which they are.
    columns: &'a [String],
}

impl Days<'_> {
    fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }
}

/// A measure that is asked about.
struct Asked<'a> {
    measures: &'a Measures,
    at: usize,
    dictionary: &'a Dictionary,
    as_of: NaiveDate,
}

impl Asked<'_> {
    /// Whether a row tells of a dose: it may tell that there was none.
    fn is_dose(&self, dose: &Dose) -> bool {
        self.measures.opportunities().doses()[usize::from(dose.cvx)]
    }

    /// The answer of a client, written as in a table; when there is one for this measure.
    fn answer(&self, column: Column, client: &Days<'_>) -> Option<String> {
        let name = match column {
            Column::Counted => return Some(self.counted(client).to_owned()),
            Column::Complete => Some(self.met(self.at)),
            Column::Could => self.measures.potential(self.at),
            Column::Near => self.measures.near(self.at),
            Column::Birth | Column::Doses => None,
        };
        let day = client.stored[client.position(&name?)?];
        Some(day.map(|day| calendar::date(day).to_string()).unwrap_or_default())
    }

    /// The column with the day on which a series was complete.
    fn met(&self, part: usize) -> String {
        self.measures.column(part, self.as_of)
    }

    /// Whether a client is in the numerator, when the client is in the cohort.
    fn counted(&self, client: &Days<'_>) -> &'static str {
        let Self { measures, at, .. } = *self;
        let (young, old) = measures.born(at, self.as_of);
        let complete = measures.complete_from(at, self.dictionary.first_inclusion_year());
        let birth = calendar::date(client.birth);
        if birth > old || [young, complete].into_iter().flatten().any(|from| birth < from) {
            return "out";
        }
        let in_time = |part: usize| {
            let met = client.position(&self.met(part)).and_then(|column| client.stored[column]);
            met.is_some_and(|day| match measures.deadline(at) {
                Deadline::Age(months, Cutoff::BeforeBirthday) => day < Age::of_months(months).after(client.birth),
                Deadline::Age(months, Cutoff::ThroughBirthday) => day <= Age::of_months(months).after(client.birth),
                Deadline::Season(_) => day <= calendar::day(self.as_of),
            })
        };
        let parts = measures.deciding(at);
        let is_counted = match &measures.requirements()[at] {
            Requirement::Series(_) | Requirement::AllOf(_) => parts.into_iter().all(in_time),
            Requirement::NoneOf(_) => !parts.into_iter().any(in_time),
        };
        if is_counted { "yes" } else { "no" }
    }
}

/// The rows of a table; or what is wrong with it.
fn rows<'a>(text: &'a str, cvx: &Codelist) -> std::result::Result<Vec<Row<'a>>, String> {
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
    let read = |(number, line): (usize, &'a str)| {
        let cells = cells(line);
        if cells.len() != columns.len() {
            return Err(format!("row {number}: it has {} cells for {} columns", cells.len(), columns.len()));
        }
        row(columns.iter().copied().zip(cells), cvx).map_err(|what| format!("row {number}: {what}"))
    };
    (1..).zip(lines).map(read).collect()
}

/// One row by its cells; or what is wrong with it.
fn row<'a>(cells: impl Iterator<Item = (Column, &'a str)>, cvx: &Codelist) -> std::result::Result<Row<'a>, String> {
    let mut row = Row { birth: 0, doses: Vec::new(), expected: Vec::new() };
    for (column, cell) in cells {
        let no_day = || format!("`{}` is a day, such as 2021-06-15", column.name());
        match column {
            Column::Birth => row.birth = day(cell).ok_or_else(no_day)?,
            Column::Doses => row.doses = doses(cell, cvx)?,
            Column::Counted if !["yes", "no", "out"].contains(&cell) => {
                return Err("`counted` is yes, no or out".to_owned());
            }
            Column::Complete | Column::Could | Column::Near if !cell.is_empty() && day(cell).is_none() => {
                return Err(no_day() + ", or empty");
            }
            _ => row.expected.push((column, cell)),
        }
    }
    Ok(row)
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
