//! `phds protect`: a table of counts made elsewhere, without what tells of few persons.

use std::time::{Duration, Instant};

use crate::cli;
use crate::disclosure::table::{Columns, Counts, Mark, Pattern, Rule, least_base, protect, round};
use crate::error::{Error, Result};
use crate::fs;
use crate::settings::Settings;
use crate::terminal;
use crate::words::{count, grouped};

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
    let end = Instant::now() + LIMIT;
    let (bytes, report) = if let Some(base) = typed.round {
        let least = least_base(rule);
        if base < least {
            return Err(Error::usage(format!("a base of {base} leaves a count fewer than {} values", rule.w))
                .hint(format!("use `--round {least}` or more")));
        }
        let rounded = terminal::busy("rounding", || round(&table.cube, &table.counts, base, end))?;
        (table.render_rounded(&rounded)?, told_rounded(&table, &rounded, base))
    } else {
        let pattern = terminal::busy("protecting", || protect(&table.cube, &table.counts, rule, end))?;
        (table.render(&pattern.marks)?, told(&table, &pattern, rule))
    };
    let header = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    fs::may_replace(&typed.out, "table with these columns", |path| fs::beginning(path).starts_with(header))?;
    fs::write_output(&typed.out, &bytes)?;
    if !table.others.is_empty() {
        terminal::insist(&terminal::printable(&format!(
            "left out, because they could tell a suppressed count: {}",
            table.others.join(", ")
        )));
    }
    let policy = settings.policy.edition().version;
    let k = if typed.round.is_some() { String::new() } else { format!(", k = {}", rule.k) };
    let end = format!("policy {policy}{k}, w = {}\nwritten: {}\n", rule.w, typed.out.display());
    terminal::print_data(terminal::printable(&(size(&table) + &report + &end + WARNING)).as_bytes())
}

const WARNING: &str = "These numbers are for you: do not publish them with the table.\n";

/// The columns as they were typed.
pub(super) fn columns(typed: &cli::TableColumns) -> Columns {
    let nested = typed.within.iter().map(|levels| levels.iter().rev().cloned().collect()).collect();
    let is_said = typed.total.is_some();
    let total = typed.total.clone().unwrap_or_else(|| "Total".to_owned());
    Columns { by: typed.by.clone(), count: typed.count.clone(), total, is_said, nested }
}

fn size(table: &Counts) -> String {
    let computed = if table.has_totals { "" } else { ", which were computed" };
    format!("{} with its totals{computed}\n", count(table.cube.len(), "cell"))
}

fn told(table: &Counts, pattern: &Pattern, rule: Rule) -> String {
    let Counts { cube, counts, .. } = table;
    let number = |mark: Mark| pattern.marks.iter().filter(|other| **other == mark).count();
    let shown = (0..cube.len()).filter(|cell| pattern.marks[*cell] == Mark::Shown);
    let zeros = shown.clone().filter(|cell| counts[*cell] == 0).count();
    let persons: u64 = shown.clone().filter(|cell| cube.is_inner(*cell)).map(|cell| counts[cell]).sum();
    let all: u64 = (0..cube.len()).filter(|cell| cube.is_inner(*cell)).map(|cell| counts[cell]).sum();
    let mut text = format!(
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
    if number(Mark::Shown) == cube.len() {
        return text + "no count had to be suppressed\n";
    }
    text + &format!(
        "audited: every suppressed count, against {} other tables with the same shown counts and sums\n  \
         by who knows that counts are not negative: from {w} fewer (or 0) to {k} or more, where it is below {k}\n  \
         by who also knows k, the rule and which cells are primary: at least {w} values\n  \
         by who runs this program on every table that could be behind it: {choice}\n",
        grouped(pattern.proofs as u64),
        choice = if pattern.is_choice_proved {
            format!("at least {} values", rule.w)
        } else {
            "not proved, the tables are too many to be tried (`--round` leaves enough)".to_owned()
        },
        w = rule.w,
        k = rule.k
    )
}

fn told_rounded(table: &Counts, rounded: &[u64], base: u64) -> String {
    let off = || rounded.iter().zip(&table.counts).map(|(number, count)| number.abs_diff(*count));
    let nearest = off().filter(|off| 2 * off <= base).count();
    format!(
        "  rounded to multiples of {base}, each next to its count; the totals are sums of what is shown\n  \
         0 stands for 0 to {last}, and any other number for up to {last} fewer or more: say so beside the table\n  \
         {nearest} of {all} cells have the nearest multiple, {changed} differ from their counts\n\
         audited: every number is less than {base} from its count, and every line adds up\n  \
         by who knows the rule: at least {base} values for every count\n",
        last = base - 1,
        all = rounded.len(),
        changed = off().filter(|off| *off > 0).count()
    )
}
