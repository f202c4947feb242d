//! `phds doctor`: whether account, server and store are fit.

use crate::cli;
use crate::doctor::Examination;
use crate::error::{Error, Result};
use crate::fetch::Verdict;
use crate::progress::Reporter;
use crate::settings::Settings;
use crate::settings::refused::Memory;
use crate::terminal;
use crate::words;

/// `phds doctor`
pub fn doctor(typed: &cli::Doctor, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    if typed.connection.accept_new_host_key {
        return Err(Error::usage("`doctor` only looks, and accepts no key")
            .hint("compare the fingerprint that it shows, then: `phds fetch --list --accept-new-host-key`"));
    }
    // Files that come by hand need none.
    let by_hand = settings.account_names().next().is_none() && typed.connection == cli::Connection::default();
    let account = (!by_hand).then(|| settings.account(&typed.connection)).transpose()?;
    let store = settings.store(typed.store.as_deref());
    let root = store.as_ref().ok();
    let memory = account.as_ref().zip(root).and_then(|(account, root)| Memory::in_store(account, settings, root));
    let store = store.as_deref().map_err(Clone::clone);
    let knowledge = settings.knowledge().map(drop);
    let examination = Examination::of(account, !typed.no_login, memory, store, knowledge, reporter);
    if typed.json {
        terminal::print_json(&examination)?;
    } else {
        terminal::print_data(told(&examination).as_bytes())?;
    }
    match examination.problems() {
        0 => Ok(()),
        count => Err(Error::refused(format!("{} in the way", words::count(count, "thing")))
            .hint("the lines marked PROBLEM say what to do")),
    }
}

fn told(examination: &Examination) -> String {
    terminal::columns(examination.observations.iter().map(|seen| {
        let verdict = match seen.verdict {
            Verdict::Good => "good",
            Verdict::Note => "note",
            Verdict::Unknown => "?",
            Verdict::Problem => "PROBLEM",
        };
        let hint = seen.hint.as_ref().map(|hint| format!("\n→ {hint}")).unwrap_or_default();
        [verdict.to_owned(), seen.topic.clone(), format!("{}{hint}", seen.text)]
    }))
}
