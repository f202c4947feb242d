//! What a reader must see of a release, in words: the same for the terminal, Markdown, LaTeX and a workbook.

use super::label;
use super::span::Covered;
use crate::disclosure::release::{CohortNote, DenominatorNote, Number, NumberColumn};
use crate::disclosure::{Cell, Release, Status};
use crate::words::{grouped, hundredths, lower_first};

/// What stands for a withheld number.
pub const WITHHELD: &str = "·";

/// What stands for a number that nobody could have.
pub const NOBODY: &str = "n/a";

/// What stands before a rate that tells too little.
pub const UNRELIABLE: &str = "~";

/// What stands in place of the rows where there is none.
pub const NO_ROW: &str = "Nobody of the cohort has these values.";

/// A release in words.
#[derive(Debug)]
pub struct Page {
    /// For whom it is.
    pub marking: String,
    /// The measure and its id.
    pub title: String,
    /// What is told of whom, a line each.
    pub about: [String; 2],
    /// Titles of the columns: those of labels first.
    pub header: Vec<String>,
    /// How many columns are labels.
    pub labels: usize,
    /// The rows, as many cells as there are titles.
    pub rows: Vec<Vec<String>>,
    /// The rate of each row, 0 to 1 (above it for some of a population); none where there is none to show.
    pub rates: Vec<Option<f64>>,
    /// What the signs in place of numbers mean.
    pub legend: Vec<String>,
    /// Ages, denominators and rules of attribution.
    pub notes: Vec<String>,
    /// What a reader must know.
    pub caveats: Vec<String>,
    /// What the release was made from.
    pub provenance: String,
}

impl Page {
    /// What a release tells in words.
    pub fn of(release: &Release) -> Self {
        let document = release.document();
        let columns = release.kind().columns();
        let covered = covered(release);
        let row = |cell: &Cell| {
            let labels = release.label_columns().iter().zip(&cell.labels);
            labels.map(|(column, label)| covered.label(column, label)).chain(numbers_of(cell, &columns)).collect()
        };
        Self {
            marking: document.marking.clone(),
            title: title(release),
            about: [document.indicator_definition.clone(), document.cohort.description.clone()],
            header: header(release, &columns),
            labels: release.label_columns().len(),
            rows: release.cells().iter().map(row).collect(),
            rates: release.cells().iter().map(Cell::rate).collect(),
            legend: legend(release),
            notes: notes(release),
            caveats: document.caveats.clone(),
            provenance: provenance(release),
        }
    }
}

/// The measure, or the two of dropout, with the dimension by which rates are standardized.
pub fn title(release: &Release) -> String {
    let document = release.document();
    let title = match (&document.measure, &document.from_measure) {
        (Some(measure), Some(from)) => {
            format!("{}, then {} ({} to {})", from.title, measure.title, from.id, measure.id)
        }
        (Some(measure), None) => format!("{} ({})", measure.title, measure.id),
        (None, _) => "All vaccines".to_owned(),
    };
    let standardized = document.standardized_by.as_ref();
    title + &standardized.map(|by| format!(", standardized by {}", lower_first(&by.title))).unwrap_or_default()
}

fn header(release: &Release, columns: &[NumberColumn]) -> Vec<String> {
    let document = release.document();
    let titles = release.label_columns().iter().map(|column| label::title(column, &document.dimensions));
    let interval = document.interval.as_ref().map(|interval| format!("{:.0} % interval", interval.level * 100.0));
    let numbers = columns.iter().filter_map(|column| match column.name {
        "ci_low" => interval.clone(),
        "ci_high" => None,
        _ => Some(column.title.to_owned()),
    });
    titles.chain(numbers).collect()
}

/// The days that a release covers.
fn covered(release: &Release) -> Covered {
    let CohortNote { born_from, born_to, as_of, .. } = release.document().cohort;
    Covered { born: born_from.zip(born_to), as_of }
}

/// What stands for a number that a row does not tell.
pub fn instead(status: Status) -> &'static str {
    if status == Status::Suppressed { WITHHELD } else { NOBODY }
}

/// The numbers of a row; the two ends of an interval are one.
fn numbers_of(cell: &Cell, columns: &[NumberColumn]) -> Vec<String> {
    let instead = instead(cell.status);
    let mut texts = Vec::new();
    let mut low = String::new();
    for (at, column) in columns.iter().enumerate() {
        let text = match cell.values().and_then(|values| values[at]) {
            Some(Number::Count(count)) => grouped(count),
            Some(Number::Share(share)) => hundredths(share),
            None => instead.to_owned(),
        };
        let withheld = text == instead;
        match column.name {
            "ci_low" => low = text,
            "ci_high" if withheld => texts.push(text),
            "ci_high" => texts.push(format!("{low} to {text}")),
            "rate" if cell.status == Status::Unreliable => texts.push(format!("{UNRELIABLE} {text} %")),
            "rate" | "crude_rate" if !withheld => texts.push(format!("{text} %")),
            _ => texts.push(text),
        }
    }
    texts
}

fn legend(release: &Release) -> Vec<String> {
    let has = |status| release.cells().iter().any(|cell| cell.status == status);
    let small = release.document().disclosure.k - 1;
    let of_people = |of: &DenominatorNote| of.population.is_some();
    let denominators = &release.document().denominators;
    let nobody = match (denominators.iter().any(of_people), denominators.iter().all(of_people)) {
        (false, _) => "nobody is in the denominator",
        (true, true) => "the file of counts has nobody for this row",
        (true, false) => "nobody is in the denominator, or the file of counts has nobody for this row",
    };
    [
        (
            Status::Suppressed,
            format!("{WITHHELD} suppressed: it would tell a count of 1 to {small}; suppressed is not zero"),
        ),
        (Status::NotApplicable, format!("{NOBODY} not applicable: {nobody}")),
        (Status::Unreliable, format!("{UNRELIABLE} unreliable: too few clients, or too wide an interval")),
    ]
    .into_iter()
    .filter(|(status, _)| has(*status))
    .map(|(_, line)| line)
    .collect()
}

fn notes(release: &Release) -> Vec<String> {
    let document = release.document();
    let months = |age: Option<u64>| age.map_or("not within the curve".to_owned(), |age| format!("before {age} months"));
    let curves = document.curves.iter().map(|curve| {
        let who = if curve.labels.is_empty() { "All together".to_owned() } else { curve.labels.join(", ") };
        format!("{who}: half up to date {}, 90 % {}", months(curve.half_by_months), months(curve.ninety_by_months))
    });
    let denominators = document.denominators.iter();
    let denominators = denominators.map(|of| format!("Denominator {}: {}", of.source, of.description));
    let attributions = document.attributions.iter().map(|rule| format!("Attribution: {}", rule.description));
    curves.chain(denominators).chain(attributions).collect()
}

fn provenance(release: &Release) -> String {
    let document = release.document();
    let measures = document.measure.iter().chain(&document.from_measure);
    format!(
        "Release {} · reporting period {} · delivery {} · dictionary {} · rules {}{} · disclosure {} (k = {}) · {} {}",
        document.release_id,
        document.reporting_period,
        &document.delivery.sha256[..16],
        document.dictionary.fingerprint,
        document.rules.fingerprint,
        measures.fold(String::new(), |text, measure| text + " · measure " + &measure.fingerprint.to_string()),
        document.disclosure.fingerprint,
        document.disclosure.k,
        document.tool.name,
        document.tool.version,
    )
}
