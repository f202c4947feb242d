//! `phds fetch` and `phds mirror`: from the accounts of the department into the store.

use std::path::Path;

use chrono::{Local, Utc};

use crate::cli;
use crate::convert::manifest::Manifest;
use crate::error::{Error, Result};
use crate::fetch::download::{self, Downloaded};
use crate::fetch::mirror::{self, Copied, Listing};
use crate::fetch::pick::{Kind, Newest};
use crate::fetch::shelf::{self, News, Shelf};
use crate::fetch::{self, Delivery, Link, Receipt, RemoteFile};
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::settings::Settings;
use crate::settings::account::{Account, Login};
use crate::settings::refused::Memory;
use crate::store::Store;
use crate::terminal;
use crate::words;

/// `phds fetch`
pub fn fetch(typed: &cli::Fetch, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let account = settings.account(&typed.connection)?;
    account.names()?;
    if typed.list {
        let memory = settings.store(typed.store.as_deref()).ok();
        let memory = memory.and_then(|root| Memory::in_store(&account, settings, &root));
        let login = account.login()?.remembered(memory);
        let files = login.link(None, reporter).run(|source| source.list())?;
        return terminal::print_data(listing(&account, files, typed.period)?.as_bytes());
    }
    let root = settings.store(typed.store.as_deref())?;
    let login = account.login()?.remembered(Memory::of(&account, settings, &root));
    let store = Store::open_or_create(&root)?;
    let _lock = store.lock()?;
    let delivery = from_account(&account, &login, typed.period, &store, reporter)?;
    terminal::print_data(format!("{}\n", delivery.path().display()).as_bytes())?;
    terminal::next(["load", "--period", &delivery.period().to_string()]);
    Ok(())
}

/// A line for each file of the folder: what it is, and whether it would be taken.
fn listing(account: &Account, files: Vec<RemoteFile>, period: Option<ReportingPeriod>) -> Result<String> {
    let names = account.names()?;
    let newest = names.newest(files.clone(), period).ok();
    let mut text = terminal::columns(names.ranked(files).into_iter().map(|(file, kind)| {
        let is_taken = newest.as_ref().is_some_and(|newest| newest.file == file);
        let why = match kind {
            Kind::Delivery(month) if is_taken && download::is_young(file.modified, account.min_age) => {
                format!("{month}, would be taken as soon as it has not changed for {} s", account.min_age.as_secs())
            }
            Kind::Delivery(month) if is_taken => format!("{month}, would be taken"),
            Kind::Delivery(month) if period.is_some_and(|wanted| wanted != month) => format!("{month}, not asked for"),
            Kind::Delivery(month) => format!("{month}, not the newest"),
            Kind::Dictionary => "the data dictionary, fetched along".to_owned(),
            Kind::Unfinished => "still being written, by its name".to_owned(),
            Kind::Probe => "shows that the account works".to_owned(),
            Kind::Unsafe => "its name is not safe here".to_owned(),
            Kind::Other => "no delivery by the pattern".to_owned(),
        };
        let modified = file
            .modified
            .map_or_else(|| "-".to_owned(), |time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string());
        let name = file.name.replace('\n', "\u{fffd}");
        [format!("{:>14}", file.size), modified, name, why]
    }));
    if let Some(Newest { file, changed_later: Some(other), .. }) = newest {
        text += &format!("warning: {}\n", terminal::printable(&disagreement(&file.name, &other)));
    }
    Ok(text)
}

fn disagreement(taken: &str, other: &str) -> String {
    format!(
        "`{taken}` is the newest by the date in its name, but `{other}` was changed later; ask the state which one is meant if \
         that is not as it should be"
    )
}

/// Whether the account has a delivery of a month.
pub fn has(account: &Account, login: &Login, period: ReportingPeriod, reporter: &dyn Reporter) -> Result<bool> {
    let files = login.link(None, reporter).run(|source| source.list())?;
    let names = account.names()?;
    Ok(files.iter().any(|file| names.kind(&file.name) == Kind::Delivery(period)))
}

/// Whether the account has a file of a month that came later than the one that is loaded, and was not left for that one on
/// purpose. It is listed once and nothing is fetched.
pub fn has_later(
    account: &Account,
    login: &Login,
    loaded: &Manifest,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<bool> {
    let period = loaded.reporting_period;
    let mut link = login.link(None, reporter);
    let files = link.run(|source| source.list())?;
    let origin = link.run(|source| Ok(source.origin()))?;
    let Ok(Newest { file, .. }) = account.names()?.newest(files, Some(period)) else { return Ok(false) };
    let receipts = shelf::receipts(&store.deliveries(period))?;
    let latest = |is_wanted: &dyn Fn(&Receipt) -> bool| {
        receipts.iter().filter(|receipt| is_wanted(receipt)).max_by_key(|receipt| receipt.fetched_at)
    };
    let own = latest(&|receipt| receipt.delivery.sha256 == loaded.delivery.sha256);
    let there = latest(&|receipt| receipt.remote == file && receipt.origin.is_same_place(&origin));
    Ok(match (own, there) {
        (Some(own), Some(there)) => {
            there.fetched_at > own.fetched_at && !loaded.chosen_over.contains(&there.delivery.sha256)
        }
        // What was loaded may have been downloaded by hand: the same file is not newer. A server without times has a later
        // file when it is called otherwise, or has another size.
        (Some(own), None) => file.modified.is_none() || file.modified > own.remote.modified,
        (None, _) => true,
    })
}

/// Fetches the newest delivery of the account, or that of one period, and the data dictionary where there is one.
pub fn from_account(
    account: &Account,
    login: &Login,
    period: Option<ReportingPeriod>,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Delivery> {
    let names = account.names()?;
    let mut link = login.link(None, reporter);
    let files = link.run(|source| source.list())?;
    let dictionaries: Vec<_> =
        files.iter().filter(|file| names.kind(&file.name) == Kind::Dictionary).cloned().collect();
    let Newest { file, period, changed_later } = names.newest(files, period)?;
    if let Some(other) = changed_later {
        reporter.warned(&disagreement(&file.name, &other));
    }
    let file = download::settled(&mut link, file, account.min_age, reporter)?;
    let delivery = fetch::fetch(&mut link, &file, period, &store.deliveries(period), reporter)?;
    if let Err(error) = fetch_dictionaries(&mut link, &dictionaries, account, &store.dictionaries(), reporter) {
        // The month is here, and nobody is to be kept from it.
        reporter.warned(&format!("the data dictionary could not be fetched: {}", error.message()));
    }
    Ok(delivery)
}

fn fetch_dictionaries(
    link: &mut Link,
    files: &[RemoteFile],
    account: &Account,
    folder: &Path,
    reporter: &dyn Reporter,
) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut shelf = Shelf::open(folder)?;
    let had_one = !shelf.is_empty();
    for file in files {
        if download::is_young(file.modified, account.min_age) {
            reporter.noted(&format!("`{}` may still be growing: it is left for the next time", file.name));
            continue;
        }
        match download::download(link, file, None, &mut shelf, reporter)? {
            Downloaded { news: News::Nothing, .. } => {}
            Downloaded { path, .. } if had_one => reporter.warned(&format!(
                "THE DATA DICTIONARY HAS CHANGED: `{}` is new. Compare it with the earlier one and with what \
                 `phds dictionary` takes the columns to be, before you trust what is loaded",
                path.display()
            )),
            Downloaded { path, .. } => reporter.warned(&format!(
                "the data dictionary is here as `{}`: compare it with what `phds dictionary` takes the columns to be",
                path.display()
            )),
        }
    }
    Ok(())
}

/// `phds mirror`
pub fn mirror(typed: &cli::Mirror, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let account = settings.account(&typed.connection)?;
    let folders = if typed.folders.is_empty() { &account.mirror_folders } else { &typed.folders };
    if folders.is_empty() {
        return Err(Error::usage("no folder is named")
            .hint("add `--folder FOLDER`, or set `mirror_folders` of the account in phds.toml"));
    }
    let places = folders.iter().map(|folder| mirror::place(folder)).collect::<Result<Vec<_>>>()?;
    if let Some(place) = places.iter().enumerate().find_map(|(at, place)| places[..at].contains(place).then_some(place))
    {
        return Err(Error::usage(format!("two of the folders would be copied to `{}`", place.display()))
            .hint("name each folder once, in one way"));
    }
    let root = settings.store(typed.store.as_deref())?;
    let memory = Memory::of(&account, settings, &root);
    // Nothing that is typed tells a timer from somebody who is there.
    if !terminal::can_ask() {
        memory.look("`phds mirror` once in a terminal")?;
    }
    let login = account.login()?.remembered(memory);
    let store = Store::open_or_create(&root)?;
    let _lock = store.lock()?;
    let mut failed = 0;
    for (folder, place) in folders.iter().zip(places) {
        let place = store.mirror().join(&account.name).join(place);
        let mut link = login.link(Some(folder), reporter);
        let listing = mirror::mirror(&mut link, folder, account.min_age, &place, Utc::now(), reporter)?;
        failed += listing.count(Copied::Failed);
        terminal::print_data(terminal::printable(&mirrored(&listing, &place)).as_bytes())?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Error::refused(format!("{} could not be copied; the warnings say why", words::count(failed, "file")))
            .hint("what is not copied is lost when the server removes it")),
    }
}

fn mirrored(listing: &Listing, place: &Path) -> String {
    let later = match listing.count(Copied::Later) {
        0 => String::new(),
        count => format!(", {count} left for the next time"),
    };
    format!(
        "{}: {}, {} copied now, {} not copied{later}, in {}\n",
        listing.folder,
        words::count(listing.files.len(), "file"),
        listing.count(Copied::Now),
        listing.count(Copied::Failed),
        place.display()
    )
}
