//! This month's report against the last one. Reports alone are compared: no record of another month is looked at.

use super::quality::Column;
use super::report::{Document, Outcome, RuleOutcome};
use super::ruleset::{Kind, Ruleset, Total};
use crate::statistics::{part_of, real};
use crate::words::{abridged, grouped};

/// Findings of one rule that its note names.
const NAMED: usize = 8;

/// Fills in the rules that compare with the report of the last month that was loaded.
pub fn compare(document: &mut Document, rules: &Ruleset, previous: Option<&Document>) {
    for (at, rule) in rules.rules().iter().enumerate().filter(|(_, rule)| rule.kind.is_of_history()) {
        let of_columns = !matches!(
            rule.kind,
            Kind::Changed { .. } | Kind::Fallen { .. } | Kind::DeliveredAgain | Kind::ShareChanged { .. }
        );
        let reason = match previous {
            None => Some("there is no report of an earlier month".to_owned()),
            Some(previous) if of_columns && previous.columns.is_empty() => Some(format!(
                "the report of {} holds no columns: an earlier version wrote it",
                previous.reporting_period
            )),
            Some(_) => None,
        };
        let reason = document.rules[at].reason.clone().or(reason);
        let findings = match (&rule.kind, previous.filter(|_| reason.is_none())) {
            (Kind::Changed { of, by }, Some(previous)) => changed(document, previous, *of, *by),
            (Kind::Fallen { of, by, least }, Some(previous)) => fallen(document, previous, *of, *by, *least),
            (Kind::DeliveredAgain, Some(previous)) => (document.delivery.sha256 == previous.delivery.sha256)
                .then(|| format!("it is the file of {}", previous.reporting_period))
                .into_iter()
                .collect(),
            (Kind::ShareChanged { by }, Some(previous)) => shares_changed(&document.rules, previous, *by),
            (Kind::CodesMoved { by, least_rows }, Some(previous)) => codes_moved(document, previous, *by, *least_rows),
            (Kind::CodeNew, Some(previous)) => codes_without(document, previous, 0),
            (Kind::CodeGone { least_rows }, Some(previous)) => codes_without(previous, document, *least_rows),
            (Kind::OrganizationsMoved { by, least_rows }, Some(previous)) => {
                organizations_moved(document, previous, *by, *least_rows)
            }
            (Kind::ColumnsChanged, Some(previous)) => columns_changed(&document.columns, &previous.columns),
            (Kind::ColumnEmptied { by, least_values }, Some(previous)) => {
                columns_emptied(&document.columns, &previous.columns, *by, *least_values)
            }
            _ => Vec::new(),
        };
        let outcome = &mut document.rules[at];
        outcome.checked = u64::from(reason.is_none());
        outcome.failed = u64::from(!findings.is_empty());
        outcome.note = (!findings.is_empty()).then(|| abridged(&findings, NAMED));
        outcome.reason = reason;
        outcome.outcome = match outcome {
            RuleOutcome { reason: Some(_), .. } => Outcome::NotCheckable,
            RuleOutcome { failed: 0, .. } => Outcome::Passed,
            _ => Outcome::Failed,
        };
    }
}

/// What is counted, how many there were, and how many there are.
fn totals(document: &Document, previous: &Document, of: Total) -> (&'static str, u64, u64) {
    match of {
        Total::Rows => ("rows", previous.totals.read, document.totals.read),
        Total::Clients => ("clients", previous.clients, document.clients),
    }
}

fn changed(document: &Document, previous: &Document, of: Total, by: f64) -> Vec<String> {
    let (what, before, now) = totals(document, previous, of);
    let is_far = part_of(before.abs_diff(now), before) > by;
    is_far.then(|| format!("{now} {what}, {before} in {}", previous.reporting_period)).into_iter().collect()
}

/// From so many on, they are fewer by more than a share.
fn fallen(document: &Document, previous: &Document, of: Total, by: f64, least: u64) -> Vec<String> {
    let (_, before, now) = totals(document, previous, of);
    if before >= least && now < before { changed(document, previous, of, by) } else { Vec::new() }
}

/// The rules of rows whose share of failures has moved by more than so much.
fn shares_changed(rules: &[RuleOutcome], previous: &Document, by: f64) -> Vec<String> {
    let of = |rule: &RuleOutcome| part_of(rule.failed, rule.checked);
    rules
        .iter()
        .filter(|rule| rule.checked > 1)
        .filter_map(|rule| {
            let before = previous.rules.iter().find(|before| before.code == rule.code && before.checked > 1)?;
            ((of(rule) - of(before)).abs() > by)
                .then(|| format!("{} {:.1} % after {:.1} %", rule.code, of(rule) * 100.0, of(before) * 100.0))
        })
        .collect()
}

/// Columns of so many fitting values, whose share of rows with one has fallen by more than so much of what it was.
fn columns_emptied(now: &[Column], before: &[Column], by: f64, least_values: u64) -> Vec<String> {
    let fitting = |column: &Column| Some(column.present?.saturating_sub(column.unfit?));
    let share = |column: &Column| Some(part_of(fitting(column)?, column.present? + column.missing?));
    let found = now.iter().filter_map(|column| {
        let before = before.iter().find(|before| before.name == column.name)?;
        let (is, was) = (share(column)?, share(before)?);
        (fitting(before)? >= least_values && is < was * (1.0 - by))
            .then(|| format!("{} with values in {:.1} % of rows after {:.1} %", column.header, is * 100.0, was * 100.0))
    });
    found.collect()
}

/// The columns of codes that both reports have.
fn of_codes<'a>(one: &'a Document, other: &'a Document) -> impl Iterator<Item = (&'a Column, &'a Column)> {
    let both = one
        .columns
        .iter()
        .filter_map(|column| Some((column, other.columns.iter().find(|other| other.name == column.name)?)));
    both.filter(|(one, other)| !one.codes.is_empty() && !other.codes.is_empty())
}

/// A code as a finding names it.
fn called(column: &Column, code: &str, label: Option<&str>) -> String {
    match label {
        Some(label) => format!("{} {code} ({label})", column.header),
        None => format!("{} {code}", column.header),
    }
}

/// Codes of many rows whose share of their column has shrunk or grown beyond so much of the larger one.
fn codes_moved(document: &Document, previous: &Document, by: f64, least_rows: u64) -> Vec<String> {
    let mut found = Vec::new();
    for (column, before) in of_codes(document, previous) {
        let fit = |column: &Column| column.present.unwrap_or(0).saturating_sub(column.unfit.unwrap_or(0));
        for code in &column.codes {
            let same = before.codes.iter().find(|same| same.code == code.code);
            let Some((now, then)) = code.rows.zip(same.and_then(|same| same.rows)) else { continue };
            let shares = [part_of(now, fit(column)), part_of(then, fit(before))];
            if now.max(then) >= least_rows && moved(shares, by) {
                found.push(format!(
                    "{} {:.2} % after {:.2} %",
                    called(column, &code.code, code.label.as_deref()),
                    shares[0] * 100.0,
                    shares[1] * 100.0
                ));
            }
        }
    }
    found
}

fn moved(shares: [f64; 2], by: f64) -> bool {
    shares[0].min(shares[1]) < shares[0].max(shares[1]) * (1.0 - by)
}

/// Codes that one report has, from so many rows on, and the other has not.
fn codes_without(one: &Document, other: &Document, least_rows: u64) -> Vec<String> {
    of_codes(one, other)
        .filter(|(_, other)| !other.codes_are_cut())
        .flat_map(|(column, other)| {
            let is_gone = move |code: &str| !other.codes.iter().any(|same| same.code == code);
            let many = column.codes.iter().filter(move |code| code.rows.unwrap_or(0) >= least_rows);
            many.filter(move |code| is_gone(&code.code)).map(|code| {
                let name = called(column, &code.code, code.label.as_deref());
                code.rows.map_or_else(|| name.clone(), |rows| format!("{name} with {} rows", grouped(rows)))
            })
        })
        .collect()
}

/// Organizations of many rows that have gone, or have far fewer or more rows.
fn organizations_moved(document: &Document, previous: &Document, by: f64, least_rows: u64) -> Vec<String> {
    let now = &document.organizations;
    // Whoever is not listed has no more rows than the last that is, nor than all others together.
    let last = now.listed.last().map_or(u64::MAX, |last| last.rows);
    let unlisted = now.others.as_ref().map_or(0, |others| others.rows.min(last));
    previous
        .organizations
        .listed
        .iter()
        .filter_map(|before| {
            let (id, then) = (before.id.as_ref()?, Some(before.rows).filter(|rows| *rows >= least_rows)?);
            let rows = now.listed.iter().find(|same| same.id.as_ref() == Some(id)).map(|same| same.rows);
            let is_far = moved([real(rows.unwrap_or(unlisted)), real(then)], by);
            let now = match rows {
                Some(rows) => grouped(rows),
                None if unlisted == 0 => "no".to_owned(),
                None => format!("at most {}", grouped(unlisted)),
            };
            is_far.then(|| format!("{id} {now} rows after {}", grouped(then)))
        })
        .collect()
}

/// Columns that are new, gone or renamed, and another order of the others. A column is known by its name in the dictionary.
fn columns_changed(now: &[Column], before: &[Column]) -> Vec<String> {
    let find = |columns: &[Column], name: &str| columns.iter().position(|column| column.name == name);
    let mut found = Vec::new();
    for column in now {
        match find(before, &column.name).map(|at| &before[at].header) {
            None => found.push(format!("{} is new", column.header)),
            Some(header) if *header != column.header => found.push(format!("{header} is now {}", column.header)),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|column| find(now, &column.name).is_none());
    found.extend(gone.map(|column| format!("{} is gone", column.header)));
    let order: Vec<usize> = now.iter().filter_map(|column| find(before, &column.name)).collect();
    if !order.is_sorted() {
        found.push("the order of the columns is another".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_known_by_their_names_in_the_dictionary() {
        let columns = |text: &str| -> Vec<Column> {
            let column = |part: &str| {
                let (name, header) = part.split_once('=').unwrap();
                let nothing = json!(null);
                let column = json!({"name": name, "header": header, "identifier": false, "present": nothing,
                                    "missing": nothing, "unfit": nothing});
                serde_json::from_value(column).unwrap()
            };
            text.split(' ').map(column).collect()
        };
        for (before, now, expected) in [
            ("a=A b=B", "a=A b=B", ""),
            ("a=A b=B", "a=X b=B", "A is now X"),
            ("a=A b=B", "a=A b=B c=C", "C is new"),
            ("a=A b=B c=C", "a=A c=C", "B is gone"),
            ("a=A b=B c=C", "a=A c=C b=B", "the order of the columns is another"),
            ("a=A b=B", "c=C b=Y", "C is new, B is now Y, A is gone"),
        ] {
            assert_eq!(columns_changed(&columns(now), &columns(before)).join(", "), expected);
        }
    }
}
