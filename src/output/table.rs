//! A release as a table for people.

use comfy_table::{CellAlignment, LineStyle, Table, presets};

use crate::disclosure::{Cell, Release, Status};
use crate::figures::grouped;

/// What stands for a withheld number.
const WITHHELD: &str = "·";

/// The marking and the title, the table, then what a reader must know.
pub fn render(release: &Release) -> String {
    let document = release.document();
    let mut table = Table::new();
    table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    let titles = document.dimensions.iter().map(|dimension| dimension.title.as_str());
    let interval = format!("{:.0} % interval", document.interval.level * 100.0);
    table.set_header(titles.chain(["Numerator", "Denominator", "Rate", &interval]));
    for cell in release.cells() {
        table.add_row(cell.labels.iter().cloned().chain(numbers(cell)));
    }
    let dimensions = release.dimensions().len();
    for at in dimensions..dimensions + 4 {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!(
        "{}\n\n{} ({})\n{}\n",
        document.marking, document.measure.title, document.measure.id, document.cohort.description
    );
    text += &format!("\n{table}\n");
    if release.cells().iter().any(|cell| cell.status == Status::Suppressed) {
        text += &format!(
            "{WITHHELD} suppressed: a count of 1 to {} stands behind it; suppressed is not zero\n",
            document.disclosure.k - 1
        );
    }
    text += &format!("\nDenominator: {}\n", document.denominator.description);
    for caveat in &document.caveats {
        text += &format!("- {caveat}\n");
    }
    text += &format!(
        "\nRelease {} · reporting period {} · delivery {} · dictionary {} · rules {} · measure {} · disclosure {} (k = {}) · {} {}\n",
        document.release_id,
        document.reporting_period,
        &document.delivery.sha256[..16],
        document.dictionary.fingerprint,
        document.rules.fingerprint,
        document.measure.fingerprint,
        document.disclosure.fingerprint,
        document.disclosure.k,
        document.tool.name,
        document.tool.version,
    );
    text
}

fn numbers(cell: &Cell) -> [String; 4] {
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    match (cell.counts(), cell.rate(), cell.interval()) {
        (Some((numerator, denominator)), Some(rate), Some((low, high))) => [
            grouped(numerator),
            grouped(denominator),
            format!("{} %", percent(rate)),
            format!("{} to {}", percent(low), percent(high)),
        ],
        _ if cell.status == Status::Suppressed => [WITHHELD; 4].map(str::to_owned),
        _ => ["n/a"; 4].map(str::to_owned),
    }
}
