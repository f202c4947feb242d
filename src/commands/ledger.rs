//! `phds ledger` and `phds evidence`: what has been released, what is known from elsewhere, and how it is protected.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::query;
use crate::cli;
use crate::convert::Partition;
use crate::disclosure::ledger::{Entry, Ledger};
use crate::disclosure::{Audience, Control, Known, Policy};
use crate::error::{Error, Result};
use crate::period::ReportingPeriod;
use crate::provenance::Tool;
use crate::query::ask::by_in_words;
use crate::query::engine::DuckDb;
use crate::query::{Context, Question};
use crate::settings::Settings;
use crate::store::Store;
use crate::words;
use crate::{fs, terminal};

/// `phds ledger`
pub fn ledger(typed: &cli::LedgerArgs, settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let ledger = Ledger::open_to_read(&store)?;
    if typed.json {
        let entries = ledger.entries().iter().map(Entry::without_counts);
        return terminal::print_json(&entries.collect::<Vec<_>>());
    }
    let heads = ["", "month", "for", "release", "what"].map(str::to_owned);
    let rows = ledger.entries().iter().map(|entry| {
        [
            entry.number.to_string(),
            entry.reporting_period.to_string(),
            if entry.is_known() { "known" } else { entry.audience.word() }.to_owned(),
            entry.release_id.clone(),
            match &entry.source {
                Some(source) => format!("{}; {source}", in_words(entry)),
                None => in_words(entry),
            },
        ]
    });
    let mut text = terminal::columns(std::iter::once(heads).chain(rows));
    let known = ledger.entries().iter().filter(|entry| entry.is_known()).count();
    let public = ledger.entries().iter().filter(|entry| entry.is_published()).count();
    let elsewhere = match known {
        0 => String::new(),
        known => format!(", and {} known from elsewhere", words::count(known, "table")),
    };
    let releases = words::count(ledger.entries().len() - known, "release");
    let _ = writeln!(text, "{releases}, {public} of them public{elsewhere}; the chain is whole");
    terminal::print_data(terminal::printable(&text).as_bytes())
}

/// `phds ledger know`
pub fn know(typed: &cli::Know, settings: &Settings) -> Result<()> {
    let (store, partition) = query::month(&typed.month, settings)?;
    let context = query::context(&store, &partition, settings)?;
    let question = Question::bind(&typed.ask(), context)?;
    let mut engine = query::engine(&partition);
    let mut ledger = Ledger::open(&store)?;
    let known = Known::of(question.count(&mut engine)?, &question, &typed.source, &settings.policy)?;
    let is_new = ledger.note(&known)?;
    terminal::say(&format!(
        "{} in {} {}: table {}",
        in_words(known.entry()),
        partition.manifest().reporting_period,
        if is_new { "is noted as known to everybody" } else { "was noted as known before" },
        known.id()
    ));
    let told = terminal::busy("auditing", || told_beside(&ledger, &known, context, &mut engine, settings))?;
    if told.is_empty() {
        return Ok(());
    }
    let each = told.iter().map(|(release, follows)| format!("release {release} ({follows})"));
    Err(Error::refused(format!(
        "it is noted; but what was published before tells of few clients beside it: {}",
        each.collect::<Vec<_>>().join(", ")
    ))
    .hint(
        "a release cannot be taken back: take it down where it stands, tell the privacy officer, and do not publish its \
         numbers again",
    ))
}

/// Releases that tell of few beside the tables that are known from elsewhere, and what would follow.
fn told_beside(
    ledger: &Ledger,
    known: &Known,
    context: Context<'_>,
    engine: &mut DuckDb<'_>,
    settings: &Settings,
) -> Result<Vec<(String, &'static str)>> {
    let manifest = context.partition.manifest();
    let is_here = |entry: &Entry| entry.is_of(manifest.reporting_period, &manifest.delivery.sha256);
    let (mut control, mut told) = (Control::public(&settings.policy, Vec::new())?, Vec::new());
    // What is known first: a release is then looked at as if it were to be published now.
    let (elsewhere, releases): (Vec<&Entry>, Vec<&Entry>) =
        ledger.entries().iter().filter(|entry| entry.audience == Audience::Public).partition(|entry| entry.is_known());
    for entry in elsewhere.into_iter().filter(|entry| is_here(entry)) {
        control.published(entry, &Question::bind(&entry.question, context)?, engine)?;
    }
    let of_known = Question::bind(&known.entry().question, context)?;
    for entry in releases {
        let follows = if is_here(entry) {
            control.beside(entry, &Question::bind(&entry.question, context)?, engine)?
        } else {
            control.since(entry, known, &of_known).into_iter().collect()
        };
        told.extend(follows.into_iter().map(|follows| (entry.release_id.clone(), follows)));
    }
    Ok(told)
}

/// The question of a release in a line.
fn in_words(entry: &Entry) -> String {
    let ask = &entry.question;
    let measures = ask.measure.iter().chain(&ask.to).cloned().collect::<Vec<_>>().join(" to ");
    let of = if measures.is_empty() { String::new() } else { format!(" of {measures}") };
    let filters = ask.filters.iter().map(|filter| format!(", only {} {}", filter.dimension, filter.values.join("/")));
    let as_of = ask.as_of.map(|day| format!(", as of {day}")).unwrap_or_default();
    let finest = entry.coarsened_from.first();
    let coarsened = finest.map(|note| format!(", coarsened from {}", note.dimensions.join(", "))).unwrap_or_default();
    let (name, filters) = (ask.indicator.name(), filters.collect::<String>());
    format!("{name}{of} {}{filters}{as_of}{coarsened}", by_in_words(&ask.by))
}

/// `phds evidence`
pub fn evidence(typed: &cli::Evidence, settings: &Settings) -> Result<()> {
    if let Some(path) = &typed.out {
        fs::must_end_in(path, "md", "the evidence is a text in Markdown")?;
        fs::may_replace(path, "evidence", |path| fs::beginning(path).starts_with(TITLE.as_bytes()))?;
    }
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let ledger = Ledger::open_to_read(&store)?;
    let published: Vec<&Entry> = ledger.entries().iter().filter(|entry| entry.is_published()).collect();
    let known: Vec<&Entry> = ledger.entries().iter().filter(|entry| entry.is_known()).collect();
    let mut months: BTreeMap<ReportingPeriod, Vec<&Entry>> = BTreeMap::new();
    for entry in &published {
        months.entry(entry.reporting_period).or_default().push(entry);
    }
    let mut text = rules(&settings.policy);
    let _ = write!(
        text,
        "\n## What was published\n\n{} in the ledger, {} of them public. The chain of entries is whole.\n\n",
        words::count(ledger.entries().len() - known.len(), "release"),
        published.len()
    );
    if published.is_empty() {
        text += "Nothing was published.\n";
    } else {
        text += "| entry | month | release | what | rows | withheld |\n| ---: | --- | --- | --- | ---: | ---: |\n";
    }
    for entry in &published {
        let withheld = entry.rows.iter().filter(|row| row.numerator.is_none()).count();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {withheld} |",
            entry.number,
            entry.reporting_period,
            entry.release_id,
            in_words(entry),
            entry.rows.len()
        );
    }
    text += &known_from_elsewhere(&known);
    for (period, entries) in months {
        let _ = write!(text, "\n## The audit of {period}\n\n");
        text += &audit(&store, &ledger, period, &entries, settings)?;
    }
    text += NOT_CLAIMED;
    match &typed.out {
        Some(path) => {
            fs::write_output(path, text.as_bytes())?;
            terminal::say(&path.display().to_string());
            Ok(())
        }
        None => terminal::print_data(text.as_bytes()),
    }
}

/// What others have published, as the department has noted it.
fn known_from_elsewhere(known: &[&Entry]) -> String {
    let mut text = "\n## What is known from elsewhere\n\n".to_owned();
    if known.is_empty() {
        return text + "No table of others was noted.\n";
    }
    text += "Everybody is taken to know all numbers of these tables. What was published after they were noted is held to them.\n\n";
    text += "| entry | month | table | what | where it was published |\n| ---: | --- | --- | --- | --- |\n";
    for entry in known {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            entry.number,
            entry.reporting_period,
            entry.release_id,
            in_words(entry),
            entry.source.as_deref().unwrap_or_default().replace(['|', '\n', '\r'], " "),
        );
    }
    text
}

/// The first line of the evidence.
const TITLE: &str = "# How published tables are protected\n\nWritten by phds ";

fn rules(policy: &Policy) -> String {
    let (edition, tool) = (policy.edition(), Tool::this());
    let shown = |is: bool| if is { "shown" } else { "withheld" };
    format!(
        "{TITLE}{version_of_tool}, with the disclosure policy {version} ({fingerprint}).\n\n\
         ## The rules\n\n\
         - k = {k}: no count of 1 to {small} clients is shown, of those counted, of those not counted, or of both. {reason}\n\
         - w = {w}: a withheld number has at least {w} values for everybody who computes with what is shown. {reason_of_w}\n\
         - Groups in which nobody or everybody is counted are {alike}. {reason_of_alike}\n\
         - Tables of organizations are {organizations}. {reason_of_organizations}\n\
         - Differences count: what a row has more than the rows inside of it, in this table or in any published one of the\n  \
           same month, is nobody or {k} and more. So is what a row has more or less than when it was published of another month,\n  \
           and what two indicators differ by, when one needs the other.\n\
         - Of several months, a withheld number stays as wide for somebody who knows that counts do not fall.\n\
         - A question with `--coarsen` is answered by a coarser table where less than {coarsen:.0} % of the clients would be in\n  \
           shown rows, and that is told. {reason_of_coarsen}\n\
         - All clients together are taken to be known, from this program or from elsewhere.\n",
        version_of_tool = tool.version,
        version = edition.version,
        fingerprint = edition.fingerprint,
        k = policy.k(),
        small = policy.k() - 1,
        reason = policy.reason(),
        w = policy.w(),
        reason_of_w = policy.reason_of_w(),
        alike = shown(policy.publishes_alike()),
        reason_of_alike = policy.reason_of_alike(),
        coarsen = policy.coarsen_below() * 100.0,
        reason_of_coarsen = policy.reason_of_coarsen_below(),
        organizations = shown(policy.publishes_organizations()),
        reason_of_organizations = policy.reason_of_organizations(),
    )
}

/// The audit of a month's published tables, done again now.
fn audit(
    store: &Store,
    ledger: &Ledger,
    period: ReportingPeriod,
    entries: &[&Entry],
    settings: &Settings,
) -> Result<String> {
    let Some(partition) = store.loaded().contains(&period).then(|| Partition::open(store, period)).transpose()? else {
        return Ok("The month is not in the store any more, so its audit was not done again.\n".to_owned());
    };
    let delivery = &partition.manifest().delivery.sha256;
    let of_file = entries.iter().filter(|entry| entry.delivery_sha256 == *delivery).count();
    if of_file == 0 {
        return Ok("The month in the store is of another file, so its audit was not done again.\n".to_owned());
    }
    let mut engine = query::engine(&partition);
    let context = query::context(store, &partition, settings)?;
    let mut control = query::published(ledger, context, &mut engine, settings)?;
    let (widths, helpless) = (control.widths(), control.known_too_well());
    let mut text = format!(
        "The counts of {of_file} of {} published tables are those of the month in the store. {} withheld.\n",
        entries.len(),
        match widths.len() {
            1 => "1 row is".to_owned(),
            rows => format!("{rows} rows are"),
        }
    );
    if !widths.is_empty() {
        text += "So many values a withheld number could have, at least:\n\n| values | rows |\n| --- | ---: |\n";
        for (from, to) in [(0, 2), (3, 10), (11, 100), (101, u64::MAX)] {
            let rows = widths.iter().filter(|width| (from..=to).contains(*width)).count();
            let range = if to == u64::MAX { format!("{from} and more") } else { format!("{from} to {to}") };
            let _ = writeln!(text, "| {range} | {rows} |");
        }
    }
    if helpless > 0 {
        let rows = words::count(helpless, "withheld row");
        let _ = writeln!(text, "\nOf {rows}, the tables that are known from elsewhere alone tell too much.");
    }
    Ok(text)
}

const NOT_CLAIMED: &str = "
## The law, by its numbers

- Texas Health and Safety Code 161.0073: registry information that identifies an individual is confidential.
- 25 TAC 100: the immunization registry.
- 25 TAC 421.68(d)(7), with Health and Safety Code 108.011(i): aggregates below 5 are suppressed there; the floor of k is 5.
- 45 CFR 164.514(b): de-identification.

## What is not claimed

- Tables by ZIP code, county or month are not de-identified by the safe harbor of 45 CFR 164.514(b)(2). They need the
  determination of an expert, 164.514(b)(1); this file is written to help with it, and is not one.
- Nothing is claimed against somebody who knows many members of a group, or who holds other lists of the same people.
- Combinations of the shown numbers of all tables are looked through in one echelon form, and two of its rows at a time: a
  small count may follow in a more roundabout way.
- Months are compared by their numbers, for the same filters, and not client by client.
- What was made of the published tables elsewhere, internal tables that were passed on, and tables of others that nobody noted
  are unknown to the ledger.
";
