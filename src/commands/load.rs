//! `phds check` and `phds load`: from a file to a month in the store.

use std::path::{Path, PathBuf};

use chrono::Local;

use crate::check::page;
use crate::check::report::{Document, Outcome, Report, RuleOutcome, SCHEMA_VERSION, Verdict};
use crate::check::ruleset::Severity;
use crate::check::{Checker, Discard, PAGE, REJECTED, REPORT};
use crate::cli;
use crate::convert::manifest::Manifest;
use crate::convert::{Partition, Staging};
use crate::error::{Error, Result};
use crate::fetch::local::LocalSource;
use crate::fetch::{self, Delivery, Link, RemoteFile, Retry, shelf};
use crate::fs::{self, Draft};
use crate::parallel::Resources;
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::settings::Settings;
use crate::settings::account::{Account, Login};
use crate::settings::refused::Memory;
use crate::store::Store;
use crate::terminal;
use crate::words;

/// `phds check`
pub fn check(typed: &cli::Check, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let now = ReportingPeriod::of(Local::now().date_naive());
    look_at_period(typed.period, now, Some(&typed.file), reporter);
    let delivery = Delivery::in_place(&typed.file, typed.period)?;
    // Without a store there is no earlier month; one that cannot be used is told.
    let root = settings.store(None).ok().filter(|root| root.try_exists().unwrap_or(true));
    let previous = root.and_then(|root| match Store::open(&root) {
        Ok(store) => previous_report(&store, typed.period, reporter),
        Err(error) => {
            reporter.warned(&format!("{}: nothing is compared with earlier months", error.message()));
            None
        }
    });
    let previous = previous.as_ref();
    let scratch = typed.report.clone().unwrap_or_else(std::env::temp_dir);
    let checker = checker(settings, previous, &scratch, typed.resources.resolve())?;
    let report = if let Some(folder) = &typed.report {
        fs::must_lie_outside_stores(folder)?;
        fs::make_folder(folder)?;
        for (name, what, mark) in [
            (PAGE, "page of a check", "<title>Check of "),
            (REJECTED, "list of rejected rows", "line,byte_offset,"),
            (REPORT, "report of a check", "\"reporting_period\""),
        ] {
            let has_mark = |path: &Path| memchr::memmem::find(&fs::beginning(path), mark.as_bytes()).is_some();
            fs::may_replace(&folder.join(name), what, has_mark)?;
        }
        let mut rejected = Draft::new(&folder.join(REJECTED))?;
        let report = checker.check(&delivery, &Discard, &mut rejected, reporter)?;
        publish_report(folder, &report, previous, rejected)?;
        report
    } else {
        checker.check(&delivery, &Discard, &mut std::io::sink(), reporter)?
    };
    let rest = typed.report.as_ref().map_or_else(|| "`--report DIR` tells".to_owned(), |folder| see(folder));
    tell(&report, &rest, typed.json)?;
    if let Some(refused) = report.refusal() {
        return Err(refused);
    }
    terminal::next(["load", &typed.file.to_string_lossy(), "--period", &typed.period.to_string()]);
    Ok(())
}

/// Where a load takes its delivery from.
enum Wanted<'a> {
    File(&'a Path, RemoteFile),
    Month(Box<(Account, Login)>),
}

/// `phds load`
pub fn load(typed: &cli::Load, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    if typed.again {
        return again(typed, settings, reporter);
    }
    let root = settings.store(typed.store.as_deref())?;
    let today = Local::now().date_naive();
    let now = ReportingPeriod::of(today);
    let period = typed.period.unwrap_or_else(|| now.previous());
    look_at_period(period, now, typed.file.as_deref(), reporter);
    let loaded = if typed.due { loaded(&root, period)? } else { None };
    let nothing = |why: String| {
        reporter.noted(&why);
        if typed.json { terminal::print_json(&None::<Document>) } else { Ok(()) }
    };
    let is_loaded = || nothing(format!("{period} is loaded already"));
    if typed.file.is_some() {
        no_connection(typed, "a FILE is loaded from this machine")?;
    }
    let wanted = if let Some(path) = &typed.file {
        // What is wrong with a file of knowledge is told before the month's is copied. One on a server is fetched all the same.
        settings.knowledge()?;
        Wanted::File(path, LocalSource::of_file(path)?.1)
    } else {
        let account = settings.account(&typed.connection)?;
        account.names()?;
        let memory = Memory::of(&account, settings, &root);
        if typed.due {
            memory.look("`phds fetch` once by hand")?;
        }
        let login = account.login()?.remembered(memory);
        if let Some((store, manifest)) = &loaded {
            if !super::fetch::has_later(&account, &login, manifest, store, reporter)? {
                return is_loaded();
            }
        } else if typed.due && today <= period.due_date() && !super::fetch::has(&account, &login, period, reporter)? {
            return nothing(format!("{period} is not there yet; it is due on {}", period.due_date()));
        }
        Wanted::Month(Box::new((account, login)))
    };
    // Only now, when there is something to load, does a folder become a store.
    let store = Store::open_or_create(&root)?;
    let _lock = store.lock()?;
    let deliveries = store.deliveries(period);
    let before = fs::files_in(&deliveries)?;
    let delivery = match wanted {
        Wanted::File(path, file) => {
            let mut link = Link::new(|| Ok(Box::new(LocalSource::of_file(path)?.0)), Retry::default(), reporter);
            fetch::fetch(&mut link, &file, period, &deliveries, reporter)?
        }
        Wanted::Month(from) => super::fetch::from_account(&from.0, &from.1, Some(period), &store, reporter)?,
    };
    if let Some((_, manifest)) = &loaded {
        if delivery.id()?.sha256 == manifest.delivery.sha256 {
            return is_loaded();
        }
        reporter.noted(&format!("{period} has a later file: `{}` is loaded in its place", delivery.id()?.file_name));
    }
    if let Some(other) = loaded_as(&store, &delivery.id()?.sha256, period) {
        shelf::take_back(&deliveries, &before)?;
        return Err(Error::refused(format!("the same file, byte for byte, is loaded as the month {other}")).hint(
            format!(
                "compare its name with `--period`; `phds remove --period {other}` takes out what was loaded by mistake"
            ),
        ));
    }
    let later = if typed.file.is_some() { later_files(&delivery, &store, reporter)? } else { Vec::new() };
    let loaded = into_store(&delivery, later, &store, settings, typed.resources.resolve(), reporter)?;
    loaded.tell(typed.json)?;
    let partition = loaded.partition()?;
    let manifest = partition.manifest();
    terminal::say(&format!(
        "\n{} clients and {} rows of immunizations are loaded. Ask for coverage:\n  phds query coverage --store {} --period {} --measure nis.mmr1 --by county",
        manifest.clients.rows,
        manifest.immunizations.rows,
        terminal::shell_word(&store.root().display().to_string()),
        manifest.reporting_period
    ));
    Ok(())
}

/// The files of the month, by their SHA-256, that came later than the one that somebody has named. Whoever names it means it.
fn later_files(delivery: &Delivery, store: &Store, reporter: &dyn Reporter) -> Result<Vec<String>> {
    let own = delivery.id()?.sha256;
    let mut receipts = shelf::receipts(&store.deliveries(delivery.period()))?;
    let came = receipts.iter().filter(|receipt| receipt.delivery.sha256 == own).map(|receipt| receipt.fetched_at).max();
    receipts.retain(|receipt| receipt.delivery.sha256 != own && Some(receipt.fetched_at) > came);
    receipts.sort_by_key(|receipt| receipt.fetched_at);
    if let Some(last) = receipts.last() {
        reporter.warned(&format!(
            "`{}` of {} came later and is left for this file, until a still later one comes",
            last.delivery.file_name,
            delivery.period()
        ));
    }
    Ok(receipts.into_iter().map(|receipt| receipt.delivery.sha256).collect())
}

/// Tells what the calendar or the name of a file say against its month.
fn look_at_period(period: ReportingPeriod, now: ReportingPeriod, file: Option<&Path>, reporter: &dyn Reporter) {
    if period >= now {
        let how = if period == now { "is not over" } else { "has not begun" };
        reporter.warned(&format!("{period} {how}: is it the month that the file describes?"));
    }
    let named = file.and_then(|path| Some((path, named_month(path)?)));
    if let Some((path, other)) = named.filter(|(_, other)| *other != period) {
        reporter.warned(&format!("by its name, `{}` is the file of {other}, and not of {period}", path.display()));
    }
}

/// A month that is loaded into a store, where there is one.
fn loaded(root: &Path, period: ReportingPeriod) -> Result<Option<(Store, Manifest)>> {
    let Ok(store) = Store::open(root) else { return Ok(None) };
    if !store.loaded().contains(&period) {
        return Ok(None);
    }
    let manifest = Partition::open(&store, period)?.manifest().clone();
    Ok(Some((store, manifest)))
}

fn no_connection(typed: &cli::Load, why: &str) -> Result<()> {
    if typed.connection == cli::Connection::default() {
        return Ok(());
    }
    Err(Error::usage(format!("{why}: no connection is made"))
        .hint("leave out either that or the options of the connection"))
}

/// Months that are loaded are loaded again, from the files that they were loaded from.
fn again(typed: &cli::Load, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    no_connection(typed, "months are loaded again from the files of the store")?;
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let _lock = store.lock()?;
    let periods = typed.period.map_or_else(|| store.loaded(), |period| vec![period]);
    let mut reports = Vec::new();
    let mut load = |period: ReportingPeriod| {
        let manifest = Partition::open(&store, period)?.manifest().clone();
        let loaded = manifest.delivery;
        let path = store.deliveries(period).join(&loaded.file_name);
        let delivery = Delivery::in_place(&path, period)?;
        if delivery.id()? != loaded {
            return Err(Error::environment(format!("`{}` is not the file that was loaded", path.display()))
                .hint("load the month from its file: `phds load FILE --period YYYY-MM`"));
        }
        let resources = typed.resources.resolve();
        let loaded = into_store(&delivery, manifest.chosen_over, &store, settings, resources, reporter)?;
        if typed.json {
            reports.push(loaded.report.document().clone());
        } else {
            loaded.tell(false)?;
        }
        loaded.partition()
    };
    let ended = periods
        .iter()
        .try_for_each(|period| load(*period).map(drop).map_err(|error: Error| error.within(&period.to_string())));
    // One document, of those that came before an error, too.
    if typed.json {
        terminal::print_json(&reports)?;
    }
    ended?;
    terminal::say(&format!("\n{} loaded again", words::count(periods.len(), "month")));
    Ok(())
}

/// What a load leaves.
pub struct Loaded {
    /// What the check found.
    report: Report,
    /// The month; none where the file was refused.
    partition: Option<Partition>,
    /// Where the report is.
    folder: PathBuf,
}

impl Loaded {
    /// Tells what was found in the file.
    fn tell(&self, as_json: bool) -> Result<()> {
        tell(&self.report, &see(&self.folder), as_json)
    }

    /// The month. An error where the file was refused.
    pub fn partition(self) -> Result<Partition> {
        let refusal = || self.report.refusal().unwrap_or_else(|| Error::internal("a file is refused without a reason"));
        self.partition.ok_or_else(refusal)
    }
}

fn see(folder: &Path) -> String {
    format!("see {}", terminal::printable(&folder.join(PAGE).display().to_string()))
}

/// Checks and converts a delivery in one pass. A refused file leaves its report, and the month as it was loaded before.
///
/// `report.json` and `rejected.csv` of a month describe what is loaded, or the file that was refused when nothing is;
/// those of a file that was refused while the month is loaded go to `refused/`.
pub fn into_store(
    delivery: &Delivery,
    chosen_over: Vec<String>,
    store: &Store,
    settings: &Settings,
    resources: Resources,
    reporter: &dyn Reporter,
) -> Result<Loaded> {
    let knowledge = settings.knowledge()?;
    let reports = store.reports(delivery.period());
    fs::make_folder(&reports)?;
    let previous = previous_report(store, delivery.period(), reporter);
    let mut rejected = Draft::new(&reports.join(REJECTED))?;
    // The check holds what its rules across rows need, and the staging the rows.
    let resources = resources.half();
    let staging = Staging::begin(store, delivery, &knowledge.dictionary, &knowledge.measures, resources)?;
    let staging = staging.chosen_over(chosen_over);
    let checker = checker(settings, previous.as_ref(), &reports, resources)?;
    let report = checker.check(delivery, &staging, &mut rejected, reporter)?;
    let is_loaded = store.loaded().contains(&delivery.period());
    let partition = if let Ok(accepted) = report.clone().accept() {
        Some(staging.commit(&accepted, reporter)?)
    } else {
        staging.abandon();
        None
    };
    let folder = if partition.is_none() && is_loaded { store.refused(delivery.period()) } else { reports };
    publish_report(&folder, &report, previous.as_ref(), rejected)?;
    Ok(Loaded { report, partition, folder })
}

/// Another month that was loaded from the same file.
fn loaded_as(store: &Store, sha256: &str, period: ReportingPeriod) -> Option<ReportingPeriod> {
    let is_same = |month: Partition| month.manifest().delivery.sha256 == sha256;
    let mut others = store.loaded().into_iter().filter(|other| *other != period);
    others.find(|other| Partition::open(store, *other).is_ok_and(is_same))
}

/// The month in the name of a file, where it is written 2024-12 or `2024_12`, alone and without a day.
fn named_month(path: &Path) -> Option<ReportingPeriod> {
    let name = path.file_stem()?.to_str()?.replace('_', "-");
    let mut months = (0..name.len()).filter_map(|at| {
        let month: ReportingPeriod = name.get(at..at + 7)?.parse().ok()?;
        let is_apart = |beside: Option<char>| beside.is_none_or(|c| !c.is_ascii_digit());
        let rest = name[at + 7..].trim_start_matches('-');
        (is_apart(name[..at].chars().next_back()) && is_apart(rest.chars().next())).then_some(month)
    });
    months.next().filter(|_| months.next().is_none())
}

/// The report of the last month before this one that is loaded. One of an earlier version is read as far as it goes; one
/// that cannot be read is named, and is none.
fn previous_report(store: &Store, period: ReportingPeriod, reporter: &dyn Reporter) -> Option<Document> {
    let last = store.loaded().into_iter().rfind(|loaded| *loaded < period)?;
    let bytes = std::fs::read(store.reports(last).join(REPORT)).ok();
    let document = bytes.and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok());
    let document = document.filter(|document| document.schema_version <= SCHEMA_VERSION);
    if document.is_none() {
        reporter.warned(&format!("the report of {last} cannot be read by this version: nothing is compared with it"));
    }
    document
}

/// Puts the report in place. The one before is taken away first: no report ever stands beside the rejected rows of another.
fn publish_report(folder: &Path, report: &Report, previous: Option<&Document>, rejected: Draft) -> Result<()> {
    fs::make_folder(folder)?;
    fs::remove_file(&folder.join(REPORT))?;
    fs::write_whole(&folder.join(PAGE), page::html(report.document(), previous).as_bytes())?;
    rejected.publish_as(&folder.join(REJECTED))?;
    fs::write_json(&folder.join(REPORT), report.document())
}

fn checker<'a>(
    settings: &'a Settings,
    previous: Option<&'a Document>,
    scratch: &'a Path,
    resources: Resources,
) -> Result<Checker<'a>> {
    let knowledge = settings.knowledge()?;
    Ok(Checker {
        dictionary: &knowledge.dictionary,
        rules: &knowledge.rules,
        max_rejected_share: settings.max_rejected_share,
        jurisdiction: &settings.jurisdiction,
        k: settings.policy.k(),
        previous,
        scratch,
        resources,
    })
}

/// Prints what the check found: all of it as JSON, or a summary. `rest` is where the rest of the summary is told.
fn tell(report: &Report, rest: &str, as_json: bool) -> Result<()> {
    if as_json {
        terminal::print_json(report.document())
    } else {
        terminal::print_data(summary(report, rest).as_bytes())
    }
}

/// Lines of the summary: less than a screen, so that a command, its progress and an error are seen with it.
const LINES: usize = 18;

/// Columns of the summary: those of the screen; a file or a pipe takes lines of any length.
fn columns() -> usize {
    terminal::look().width.map_or(usize::MAX, usize::from)
}

/// The verdict, the rows, the rules that do most damage, and how many there are beside. `rest` is where those are told.
fn summary(report: &Report, rest: &str) -> String {
    let document = report.document();
    let totals = document.totals;
    let mut lines = vec![
        format!(
            "{} {} is {}",
            document.reporting_period,
            terminal::printable(&document.delivery.file_name),
            match document.verdict {
                Verdict::Accepted => "accepted",
                Verdict::Refused => "refused",
            },
        ),
        format!("{} rows read = {} accepted + {} rejected", totals.read, totals.accepted, totals.rejected),
        format!(
            "dictionary {} {} ({}), rules {} ({})",
            document.dictionary.id,
            document.dictionary.version,
            document.dictionary.fingerprint,
            document.rules_edition.version,
            document.rules_edition.fingerprint,
        ),
    ];
    let failed = document.by_damage();
    let mut told = 0;
    for rule in &failed {
        let of_rule = rule_lines(rule);
        // Two lines are left for what is not told here.
        if lines.len() + of_rule.len() > LINES - 2 {
            break;
        }
        lines.extend(of_rule);
        told += 1;
    }
    let mut lines: Vec<String> = lines.iter().map(|line| cut(line, columns())).collect();
    // A path is no use when it is cut.
    if failed.len() > told {
        let more = failed.len() - told;
        lines.push(format!("  and {more} more {}: {rest}", if more == 1 { "rule" } else { "rules" }));
    }
    let not_checkable = document.rules.iter().filter(|rule| rule.outcome == Outcome::NotCheckable).count();
    if not_checkable > 0 && totals.read > 0 {
        lines.push(format!("  {} cannot be checked: {rest}", words::count(not_checkable, "rule")));
    }
    lines.join("\n") + "\n"
}

/// A rule that failed, and what is to be said about it.
fn rule_lines(rule: &RuleOutcome) -> Vec<String> {
    let verb = match rule.severity {
        Severity::Reject => "rejects",
        Severity::Review => "review ",
        Severity::Refuse => "refuses",
    };
    let line = rule
        .first_lines
        .first()
        .map_or_else(String::new, |line| format!(" (line {line}{})", if rule.failed > 1 { ", …" } else { "" }));
    let start = format!("  {}  {verb} {:>9}  ", rule.code, rule.failed);
    let room = columns().saturating_sub(start.chars().count() + line.chars().count());
    let policy = rule.policy.as_ref().map(|changed| terminal::printable(changed));
    let remarks: Vec<String> = rule.note.clone().into_iter().chain(policy).collect();
    let remarks = (!remarks.is_empty()).then(|| format!("            {}", remarks.join("; ")));
    std::iter::once(format!("{start}{}{line}", cut(&rule.title, room))).chain(remarks).collect()
}

/// The beginning of a line that is too long.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}
