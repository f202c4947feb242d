//! `phds status`: how the store stands.

use std::fmt::Write as _;

use chrono::Local;

use crate::cli;
use crate::disclosure::ledger::Ledger;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;
use crate::settings::refused::Memory;
use crate::status::{Month, Status, day};
use crate::store::Store;
use crate::terminal;
use crate::words;

/// `phds status`
pub fn status(typed: &cli::Status, settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let mut refused = Vec::new();
    let accounts = settings
        .account_names()
        .map(|name| {
            let account =
                settings.account(&cli::Connection { account: Some(name.to_owned()), ..cli::Connection::default() })?;
            refused.extend(Memory::of(&account, settings, store.root()).refused_at().map(|at| (name.to_owned(), at)));
            Ok((name.to_owned(), account.password_changed))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut status = Status::of(&store, accounts, Local::now().date_naive())?;
    for (name, at) in refused {
        let day = day(at);
        status.attention.push(format!(
            "the login of the account `{name}` was refused on {day}, and is not tried again by a timer: phds doctor --account {name}"
        ));
    }
    // What was published must be known, or nothing can be.
    if let Err(error) = Ledger::look(&store)
        && error.kind() == ErrorKind::Refused
    {
        status.attention.push(error.message().to_owned());
    }
    if typed.json {
        terminal::print_json(&status)?;
    } else {
        terminal::print_data(terminal::printable(&told(&status)).as_bytes())?;
    }
    match status.attention.len() {
        count if typed.check && count > 0 => {
            Err(Error::refused(format!("{} for somebody", words::count(count, "thing")))
                .hint("the lines above name them"))
        }
        _ => Ok(()),
    }
}

fn told(status: &Status) -> String {
    let mut text = String::new();
    for Month { reporting_period, fetched, loaded } in &status.months {
        let alarms = loaded.iter().flat_map(|loaded| &loaded.alarms);
        let fetched = match fetched.as_slice() {
            [] => "not fetched".to_owned(),
            [file] => format!("fetched {}", day(file.fetched_at)),
            [.., file] => format!("fetched {} ({} files)", day(file.fetched_at), fetched.len()),
        };
        let loaded = loaded.as_ref().map_or_else(
            || "not loaded".to_owned(),
            |loaded| {
                let rows = loaded.rows;
                format!(
                    "loaded {}, {} rows = {} accepted + {} rejected",
                    day(loaded.loaded_at),
                    rows.read,
                    rows.accepted,
                    rows.rejected
                )
            },
        );
        let _ = writeln!(text, "{reporting_period}  {fetched}, {loaded}");
        for alarm in alarms {
            let _ = writeln!(text, "         {alarm}");
        }
    }
    if status.months.is_empty() {
        text += "no month is here\n";
    }
    let next = &status.next;
    let late = match next.days_late {
        0 => String::new(),
        days => format!(", {} late", words::count(usize::try_from(days).unwrap_or(0), "day")),
    };
    let _ = writeln!(text, "\nnext: {}, due {}{late}", next.reporting_period, next.due);
    if let Some(days) = status.newest_file_days {
        let _ = writeln!(text, "the newest file is {days} days old");
    }
    for account in &status.accounts {
        let changed = match (account.password_changed, account.password_days) {
            (Some(day), Some(days)) => format!("password changed {day}, {days} days ago"),
            _ => "not known when the password was changed (set `password_changed`)".to_owned(),
        };
        let _ = writeln!(text, "account {}: {changed}", account.name);
    }
    for mirror in &status.mirrors {
        let _ = writeln!(
            text,
            "{} {}: {} on {}, {} not copied; the server removes {} of them within 30 days",
            mirror.account,
            mirror.folder,
            words::count(mirror.files, "file"),
            day(mirror.looked_at),
            mirror.not_copied,
            mirror.purged_soon
        );
    }
    if !status.attention.is_empty() {
        text += "\nneeds attention:\n";
    }
    for line in &status.attention {
        let _ = writeln!(text, "- {line}");
    }
    text
}
