//! `phds protect`: a table of counts made elsewhere, without what tells of few persons.

use std::time::{Duration, Instant};

use crate::cli;
use crate::disclosure::table::{Columns, Counts, Mark, Pattern, Rule, protect};
use crate::error::{Error, Result};
use crate::figures::grouped;
use crate::fs;
use crate::settings::Settings;
use crate::terminal;

/// Nobody waits longer for a table; what is not proved by then is refused.
const LIMIT: Duration = Duration::from_mins(1);

/// `phds protect`
pub fn run(typed: &cli::Protect, settings: &Settings) -> Result<()> {
    let rule = settings.policy.rule(typed.columns.k)?;
    if let (Ok(file), Ok(out)) = (typed.file.canonicalize(), typed.out.canonicalize())
        && file == out
    {
        return Err(Error::usage("`--out` is the table itself").hint("name another file, so that the counts are kept"));
    }
    let table = Counts::read(&typed.file, &columns(&typed.columns))?;
    let pattern = protect(&table.cube, &table.counts, rule, Instant::now() + LIMIT)?;
    fs::write_whole(&typed.out, &table.render(&pattern.marks)?)?;
    if !table.others.is_empty() {
        terminal::insist(&terminal::printable(&format!(
            "left out, because they could tell a suppressed count: {}",
            table.others.join(", ")
        )));
    }
    let policy = settings.policy.edition().version;
    terminal::print_data(terminal::printable(&told(typed, &table, &pattern, rule, &policy)).as_bytes())
}

/// The columns as they were typed.
pub(super) fn columns(typed: &cli::TableColumns) -> Columns {
    Columns { by: typed.by.clone(), count: typed.count.clone(), total: typed.total.clone() }
}

fn told(typed: &cli::Protect, table: &Counts, pattern: &Pattern, rule: Rule, policy: &str) -> String {
    let Counts { cube, counts, .. } = table;
    let number = |mark: Mark| pattern.marks.iter().filter(|other| **other == mark).count();
    let shown = (0..cube.len()).filter(|cell| pattern.marks[*cell] == Mark::Shown);
    let zeros = shown.clone().filter(|cell| counts[*cell] == 0).count();
    let persons: u64 = shown.clone().filter(|cell| cube.is_inner(*cell)).map(|cell| counts[cell]).sum();
    let all: u64 = (0..cube.len()).filter(|cell| cube.is_inner(*cell)).map(|cell| counts[cell]).sum();
    let mut text = format!(
        "{} with its totals{}\n",
        terminal::count(cube.len(), "cell"),
        if table.has_totals { "" } else { ", which were computed" }
    );
    text += &format!(
        "  {} shown, {} zero, {} primary (1 to {}, or zeros below such a total), {} secondary\n",
        shown.count() - zeros,
        zeros,
        number(Mark::Primary),
        rule.k - 1,
        number(Mark::Secondary)
    );
    // The share of all persons who are counted in an inner cell that is shown, in tenths of a percent.
    let share = (u128::from(persons) * 1000).checked_div(u128::from(all)).unwrap_or(1000);
    text += &format!(
        "  {} of {} persons are in cells that are shown ({}.{} %)\n",
        grouped(persons),
        grouped(all),
        share / 10,
        share % 10
    );
    if persons == 0 && all > 0 {
        text += "  no inner count could be shown: coarser labels keep more\n";
    }
    text += &format!(
        "audited: every suppressed count, against {} other tables with the same shown counts and sums\n  \
         by who knows that counts are not negative: from {w} fewer (or 0) to {k} or more, where it is below {k}\n  \
         by who also knows k, the rule and which cells are primary: at least {w} values\n",
        grouped(pattern.proofs as u64),
        w = rule.w,
        k = rule.k
    );
    text += &format!("policy {policy}, k = {}, w = {}\nwritten: {}\n", rule.k, rule.w, typed.out.display());
    text + "These numbers are for you: do not publish them with the table.\n"
}
