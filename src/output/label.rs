//! Labels of rows and columns as people and spreadsheet programs meet them.

use crate::disclosure::release::DimensionNote;
use crate::disclosure::{ATTRIBUTION, DENOMINATOR_SOURCE};

/// The title of a column of labels: that of its dimension, or what it is in words.
pub fn title(column: &str, dimensions: &[DimensionNote]) -> String {
    if let Some(dimension) = dimensions.iter().find(|dimension| dimension.id == column) {
        return dimension.title.clone();
    }
    match column {
        "missing" => "Missing".to_owned(),
        column => FURTHER
            .iter()
            .find(|(further, _)| *further == column)
            .map_or_else(|| column.replace('_', " "), |(_, title)| (*title).to_owned()),
    }
}

/// The columns that are no dimensions of a question and tell rows apart, with their titles.
pub const FURTHER: [(&str, &str); 2] = [(ATTRIBUTION, "Attribution"), (DENOMINATOR_SOURCE, "Share of")];

/// What begins a formula in a spreadsheet program (OWASP, CSV injection).
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn would_be_a_formula(label: &str) -> bool {
    label.trim_start_matches('\'').starts_with(FORMULA)
}

/// A label that no spreadsheet program takes for a formula: with an apostrophe before `=`, `+`, `-`, `@`, a tab or a
/// carriage return at its beginning. One that begins with such a sign behind apostrophes gets one more, so that
/// [`unguarded`] gives every label back.
pub fn guarded(label: &str) -> String {
    if would_be_a_formula(label) { format!("'{label}") } else { label.to_owned() }
}

/// The label that [`guarded`] was given.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| would_be_a_formula(rest)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_begins_a_formula_and_every_label_comes_back() {
        for (label, cell) in [
            ("Travis", "Travis"),
            ("", ""),
            ("'t Hart Clinic", "'t Hart Clinic"),
            ("'", "'"),
            ("3 to 4 years", "3 to 4 years"),
            ("a=b", "a=b"),
            ("=1+1", "'=1+1"),
            ("+1 512", "'+1 512"),
            ("-", "'-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("'=1", "''=1"),
            ("''-1", "'''-1"),
        ] {
            assert_eq!(guarded(label), cell);
            assert_eq!(unguarded(cell), label);
        }
    }
}
