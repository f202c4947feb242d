//! A release as a table for people.

use comfy_table::{CellAlignment, LineStyle, Table, presets};

use crate::disclosure::release::{Number, NumberColumn};
use crate::disclosure::{Cell, Release, Status};
use crate::figures::grouped;

/// What stands for a withheld number.
const WITHHELD: &str = "·";

/// What stands before a rate that tells too little.
const UNRELIABLE: &str = "~";

/// The marking and the title, the table, then what a reader must know.
pub fn render(release: &Release) -> String {
    let document = release.document();
    let mut table = Table::new();
    table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    let titles = release.label_columns().iter().map(|column| {
        let dimension = document.dimensions.iter().find(|dimension| dimension.id == *column);
        dimension.map_or_else(|| column.replace('_', " "), |dimension| dimension.title.clone())
    });
    let columns = release.kind().columns();
    let interval = document.interval.as_ref().map(|interval| format!("{:.0} % interval", interval.level * 100.0));
    let numbers = columns.iter().filter_map(|column| match column.name {
        "ci_low" => interval.clone(),
        "ci_high" => None,
        _ => Some(column.title.to_owned()),
    });
    let header: Vec<_> = titles.chain(numbers).collect();
    let labels = release.label_columns().len();
    let count = header.len();
    table.set_header(header);
    for cell in release.cells() {
        table.add_row(cell.labels.iter().cloned().chain(numbers_of(cell, &columns)));
    }
    for at in labels..count {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let title = match (&document.measure, &document.from_measure) {
        (Some(measure), Some(from)) => {
            format!("{}, then {} ({} to {})", from.title, measure.title, from.id, measure.id)
        }
        (Some(measure), None) => format!("{} ({})", measure.title, measure.id),
        (None, _) => "All vaccines".to_owned(),
    };
    let standardized = document.standardized_by.as_ref();
    let title =
        title + &standardized.map(|by| format!(", standardized by {}", by.title.to_lowercase())).unwrap_or_default();
    let mut text = format!(
        "{}\n\n{title}\n{}\n{}\n",
        document.marking, document.indicator_definition, document.cohort.description
    );
    text += &format!("\n{table}\n");
    if release.cells().is_empty() {
        text += "Nobody of the cohort has these values.\n";
    }
    let has = |status| release.cells().iter().any(|cell| cell.status == status);
    if has(Status::Suppressed) {
        text += &format!(
            "{WITHHELD} suppressed: a count of 1 to {} stands behind it; suppressed is not zero\n",
            document.disclosure.k - 1
        );
    }
    if has(Status::Unreliable) {
        text += &format!("{UNRELIABLE} unreliable: too few clients, or too wide an interval\n");
    }
    text += "\n";
    for curve in &document.curves {
        let months =
            |age: Option<u64>| age.map_or("not within the curve".to_owned(), |age| format!("before {age} months"));
        text += &format!(
            "{}: half up to date {}, 90 % {}\n",
            curve.labels.join(", "),
            months(curve.half_by_months),
            months(curve.ninety_by_months)
        );
    }
    for denominator in &document.denominators {
        text += &format!("Denominator {}: {}\n", denominator.source, denominator.description);
    }
    for attribution in &document.attributions {
        text += &format!("Attribution: {}\n", attribution.description);
    }
    for caveat in &document.caveats {
        text += &format!("- {caveat}\n");
    }
    let measures = document.measure.iter().chain(&document.from_measure);
    text += &format!(
        "\nRelease {} · reporting period {} · delivery {} · dictionary {} · rules {}{} · disclosure {} (k = {}) · {} {}\n",
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
    );
    text
}

/// The numbers of a row; the two ends of an interval are one.
fn numbers_of(cell: &Cell, columns: &[NumberColumn]) -> Vec<String> {
    let instead = if cell.status == Status::Suppressed { WITHHELD } else { "n/a" };
    let mut texts = Vec::new();
    let mut low = String::new();
    for (at, column) in columns.iter().enumerate() {
        let text = match cell.values().and_then(|values| values[at]) {
            Some(Number::Count(count)) => grouped(count),
            Some(Number::Share(share)) => format!("{:.1}", share * 100.0),
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
