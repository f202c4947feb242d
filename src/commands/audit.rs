//! `phds audit`: what can be computed of the suppressed counts of tables.

use std::time::Duration;

use super::protect::columns;
use crate::cli;
use crate::disclosure::table::{Ends, Findings, Published, Seen, Verdict, audit};
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::terminal;
use crate::words;

/// For each of the two attackers; what is not found out by then is not safe.
const LIMIT: Duration = Duration::from_secs(30);

/// `phds audit`
pub fn run(typed: &cli::Audit, settings: &Settings) -> Result<()> {
    let rule = settings.policy.rule(typed.columns.k)?;
    let columns = columns(&typed.columns);
    let Published { cube, seen, suppressed, has_totals } = Published::read(&typed.files, &columns)?;
    let found = terminal::busy("auditing", || audit(&cube, &seen, &suppressed, rule, &columns.total, LIMIT))?;
    let findings = Findings::of(&cube, &found, rule, settings.policy.edition().version, &columns.total, has_totals);
    if !has_totals {
        terminal::say(&format!(
            "there is no total (`{}`) in the tables, so nothing could be derived; that does not mean that they are safe: \
             whoever knows a total from elsewhere may derive a count. Audit them with the totals that are known",
            terminal::printable(&columns.total)
        ));
    }
    if typed.json {
        terminal::print_json(&findings)?;
    } else {
        terminal::print_data(terminal::printable(&told(&findings)).as_bytes())?;
    }
    let small = seen.iter().filter(|cell| matches!(cell, Seen::Count(count) if (1..rule.k).contains(count))).count();
    if small > 0 {
        return Err(Error::refused(format!("{} below {} shown in the tables", words::count(small, "count"), rule.k))
            .hint("`phds protect`, on the true counts, makes a table that shows none"));
    }
    findings.verdict()
}

fn told(findings: &Findings) -> String {
    let tally = findings.tally;
    let ends = |[low, high]: [Option<u64>; 2]| {
        let end = |end: Option<u64>| end.map_or("any".to_owned(), |end| end.to_string());
        format!("{} to {}", end(low), end(high))
    };
    let rows = findings.cells.iter().filter(|cell| cell.verdict != Verdict::Safe).map(|cell| {
        let key: Vec<_> = cell.key.iter().map(|(name, label)| format!("{name} = {label}")).collect();
        let verdict = match (cell.verdict, cell.ends) {
            (Verdict::Exact, _) => "exact",
            (_, Ends::AtMost) => "narrow (not proved to be wider)",
            _ => "narrow",
        };
        [
            verdict.to_owned(),
            ends(cell.standard),
            cell.rule_aware.map_or("not of this rule".to_owned(), ends),
            key.join(", "),
        ]
    });
    let heads = ["verdict", "standard", "rule-aware", "cell"].map(str::to_owned);
    let mut text = format!(
        "{}: {} safe, {} narrow, {} exact\n",
        words::count(findings.cells.len(), "suppressed cell"),
        tally.safe,
        tally.narrow,
        tally.exact
    );
    if tally.exact + tally.narrow > 0 {
        text += &terminal::columns(std::iter::once(heads).chain(rows));
    }
    text + &format!("policy {}, k = {}, w = {}\n", findings.policy, findings.k, findings.w)
}
