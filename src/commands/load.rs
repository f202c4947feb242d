//! `phds check` and `phds load`: from a file to a month in the store.

use std::path::Path;

use crate::check::page;
use crate::check::report::{Document, Outcome, Report};
use crate::check::ruleset::Severity;
use crate::check::{Checker, Discard};
use crate::cli;
use crate::convert::{Partition, Staging};
use crate::error::{Error, Result};
use crate::fetch::local::LocalSource;
use crate::fetch::{self, Delivery, Link, RemoteFile, Retry};
use crate::fs::{self, Draft};
use crate::parallel::Resources;
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::settings::Settings;
use crate::settings::account::{Account, Login};
use crate::store::Store;
use crate::terminal;

/// `phds check`
pub fn check(typed: &cli::Check, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let delivery = Delivery::in_place(&typed.file, typed.period)?;
    let previous = settings.store(None).and_then(|root| Store::open(&root)).ok();
    let previous = previous.and_then(|store| previous_report(&store, typed.period));
    let previous = previous.as_ref();
    let scratch = typed.report.clone().unwrap_or_else(std::env::temp_dir);
    let checker = checker(settings, previous, &scratch, typed.resources.resolve());
    let report = if let Some(folder) = &typed.report {
        fs::make_folder(folder)?;
        let mut rejected = Draft::new(&folder.join(REJECTED))?;
        let report = checker.check(&delivery, &Discard, &mut rejected, reporter)?;
        publish_report(folder, &report, previous, rejected)?;
        report
    } else {
        checker.check(&delivery, &Discard, &mut std::io::sink(), reporter)?
    };
    terminal::print_data(summary(&report).as_bytes())?;
    match report.refusal() {
        Some(refused) => Err(refused),
        None => Ok(()),
    }
}

/// Where a load takes its delivery from.
enum Wanted<'a> {
    File(&'a Path, RemoteFile),
    Month(Box<Account>, Login),
}

/// `phds load`
pub fn load(typed: &cli::Load, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let root = settings.store(typed.store.as_deref())?;
    if typed.file.is_some() && typed.connection != cli::Connection::default() {
        return Err(Error::usage("a FILE is loaded from this machine: no connection is made")
            .hint("leave out either the file or the options of the connection"));
    }
    let wanted = if let Some(path) = &typed.file {
        Wanted::File(path, LocalSource::of_file(path)?.1)
    } else {
        let account = settings.account(&typed.connection)?;
        account.names()?;
        let login = account.login()?;
        Wanted::Month(Box::new(account), login)
    };
    // Only now, when there is something to load, does a folder become a store.
    let store = Store::open_or_create(&root)?;
    let _lock = store.lock()?;
    let delivery = match wanted {
        Wanted::File(path, file) => {
            let mut link = Link::new(|| Ok(Box::new(LocalSource::of_file(path)?.0)), Retry::default(), reporter);
            fetch::fetch(&mut link, &file, typed.period, &store.deliveries(typed.period), reporter)?
        }
        Wanted::Month(account, login) => {
            super::fetch::from_account(&account, &login, Some(typed.period), &store, reporter)?
        }
    };
    let (report, partition) = into_store(&delivery, &store, settings, typed.resources.resolve(), reporter)?;
    terminal::print_data(summary(&report).as_bytes())?;
    let Some(partition) = partition else {
        return Err(report.refusal().unwrap_or_else(|| Error::internal("a file is refused without a reason")));
    };
    let manifest = partition.manifest();
    terminal::say(&format!(
        "\n{} clients and {} immunizations are loaded. Ask for coverage:\n  phds query coverage --store {} --period {} --measure nis.mmr1 --by county",
        manifest.clients.rows,
        manifest.immunizations.rows,
        terminal::shell_word(&store.root().display().to_string()),
        manifest.reporting_period
    ));
    Ok(())
}

/// Checks and converts a delivery in one pass. A refused file leaves its report, and the month as it was loaded before.
///
/// `report.json` and `rejected.csv` of a month describe what is loaded, or the file that was refused when nothing is;
/// those of a file that was refused while the month is loaded go to `refused/`.
pub fn into_store(
    delivery: &Delivery,
    store: &Store,
    settings: &Settings,
    resources: Resources,
    reporter: &dyn Reporter,
) -> Result<(Report, Option<Partition>)> {
    let reports = store.reports(delivery.period());
    fs::make_folder(&reports)?;
    let previous = previous_report(store, delivery.period());
    let mut rejected = Draft::new(&reports.join(REJECTED))?;
    let staging = Staging::begin(store, delivery, &settings.dictionary, &settings.measures, resources)?;
    let checker = checker(settings, previous.as_ref(), &reports, resources);
    let report = checker.check(delivery, &staging, &mut rejected, reporter)?;
    let is_loaded = store.loaded().contains(&delivery.period());
    let partition = if let Ok(accepted) = report.clone().accept() {
        Some(staging.commit(&accepted, reporter)?)
    } else {
        staging.abandon();
        None
    };
    let folder = if partition.is_none() && is_loaded { reports.join("refused") } else { reports };
    publish_report(&folder, &report, previous.as_ref(), rejected)?;
    Ok((report, partition))
}

pub(super) const REJECTED: &str = "rejected.csv";

/// The report of the last month before this one that is loaded. One that this version cannot read is none.
fn previous_report(store: &Store, period: ReportingPeriod) -> Option<Document> {
    let last = store.loaded().into_iter().rfind(|loaded| *loaded < period)?;
    serde_json::from_slice(&std::fs::read(store.reports(last).join("report.json")).ok()?).ok()
}

fn publish_report(folder: &Path, report: &Report, previous: Option<&Document>, rejected: Draft) -> Result<()> {
    fs::make_folder(folder)?;
    fs::write_whole(&folder.join("report.html"), page::html(report.document(), previous).as_bytes())?;
    rejected.publish_as(&folder.join(REJECTED))?;
    fs::write_json(&folder.join("report.json"), report.document())
}

fn checker<'a>(
    settings: &'a Settings,
    previous: Option<&'a Document>,
    scratch: &'a Path,
    resources: Resources,
) -> Checker<'a> {
    Checker {
        dictionary: &settings.dictionary,
        rules: &settings.rules,
        max_rejected_share: settings.max_rejected_share,
        previous,
        scratch,
        resources,
    }
}

/// The verdict, the rows, and every rule that did not simply pass.
fn summary(report: &Report) -> String {
    let document = report.document();
    let totals = document.totals;
    let mut text = format!(
        "{} {} is {}\n{} rows read = {} accepted + {} rejected\ndictionary {} {} ({}), rules {} ({})\n",
        document.reporting_period,
        terminal::printable(&document.delivery.file_name),
        match document.verdict {
            crate::check::report::Verdict::Accepted => "accepted",
            crate::check::report::Verdict::Refused => "refused",
        },
        totals.read,
        totals.accepted,
        totals.rejected,
        document.dictionary.id,
        document.dictionary.version,
        document.dictionary.fingerprint,
        document.rules_edition.version,
        document.rules_edition.fingerprint,
    );
    for rule in &document.rules {
        match rule.outcome {
            Outcome::Passed => {}
            Outcome::NotCheckable if totals.read == 0 => {}
            Outcome::NotCheckable => {
                text += &format!("  {}  cannot be checked  {}\n", rule.code, rule.title);
            }
            Outcome::Failed => {
                let policy =
                    rule.policy.as_ref().map(|reason| format!("; by your settings: {}", terminal::printable(reason)));
                let note = rule.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default()
                    + &policy.unwrap_or_default();
                let lines = rule.first_lines.iter().take(3).map(u64::to_string).collect::<Vec<_>>().join(", ");
                let lines = if lines.is_empty() {
                    lines
                } else {
                    format!(" (line {lines}{})", if rule.failed > 3 { ", …" } else { "" })
                };
                let verb = match rule.severity {
                    Severity::Reject => "rejects",
                    Severity::Review => "review ",
                    Severity::Refuse => "refuses",
                };
                text += &format!("  {}  {verb} {:>9}  {}{lines}{note}\n", rule.code, rule.failed, rule.title);
            }
        }
    }
    text
}
