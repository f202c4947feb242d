//! `phds fetch` and `phds mirror`: from the accounts of the department into the store.

use std::path::Path;

use chrono::Utc;

use crate::cli;
use crate::error::{Error, Result};
use crate::fetch::download::{self, Downloaded, News};
use crate::fetch::mirror::{self, Listing};
use crate::fetch::pick::{Kind, Names, Newest};
use crate::fetch::{self, Delivery, Link, RemoteFile};
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::settings::Settings;
use crate::settings::account::{Account, Login};
use crate::store::Store;
use crate::terminal;

/// `phds fetch`
pub fn fetch(typed: &cli::Fetch, settings: &Settings, reporter: &dyn Reporter) -> Result<()> {
    let account = settings.account(&typed.connection)?;
    account.names()?;
    if typed.list {
        let login = account.login()?;
        let files = login.link(None, reporter).run(|source| source.list())?;
        return terminal::print_data(listing(&account, files, typed.period)?.as_bytes());
    }
    let root = settings.store(typed.store.as_deref())?;
    let login = account.login()?;
    let store = Store::open_or_create(&root)?;
    let _lock = store.lock()?;
    let delivery = from_account(&account, &login, typed.period, &store, reporter)?;
    terminal::print_data(format!("{}\n", delivery.path().display()).as_bytes())
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
            Kind::Delivery(month) => format!("{month}, older by its name"),
            Kind::Dictionary => "the data dictionary, fetched along".to_owned(),
            Kind::Unfinished => "still being written, by its name".to_owned(),
            Kind::Probe => "shows that the account works".to_owned(),
            Kind::Unsafe => "its name is not safe here".to_owned(),
            Kind::Other => "no delivery by the pattern".to_owned(),
        };
        let modified = file.modified.map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%d %H:%M").to_string());
        let name = file.name.replace('\n', "\u{fffd}");
        [format!("{:>14}", file.size), modified, name, why]
    }));
    if let Some(Newest { file, changed_later: Some(other), .. }) = newest {
        text += &format!("note: {}\n", disagreement(&file.name, &other));
    }
    Ok(text)
}

fn disagreement(taken: &str, other: &str) -> String {
    format!(
        "`{}` is the newest by the date in its name, but `{}` was changed later; ask the state which one is meant if \
         that is not as it should be",
        terminal::printable(taken),
        terminal::printable(other)
    )
}

/// Fetches the data dictionary, where there is one, and the newest delivery of the account or that of one period.
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
    fetch_dictionaries(&mut link, names, &files, &store.dictionaries(), reporter);
    let Newest { file, period, changed_later } = names.newest(files, period)?;
    if let Some(other) = changed_later {
        reporter.noted(&disagreement(&file.name, &other));
    }
    let file = download::settled(&mut link, file, account.min_age, reporter)?;
    fetch::fetch(&mut link, &file, period, &store.deliveries(period), reporter)
}

/// Fetches the data dictionaries of the account. A failure is told and keeps nobody from the month's file.
fn fetch_dictionaries(link: &mut Link, names: &Names, files: &[RemoteFile], folder: &Path, reporter: &dyn Reporter) {
    let had_one = fetch::receipt::all_in(folder).is_ok_and(|receipts| !receipts.is_empty());
    for file in files.iter().filter(|file| names.kind(&file.name) == Kind::Dictionary) {
        let place = |path: &Path| terminal::printable(&path.display().to_string());
        match download::download(link, file, None, folder, reporter) {
            Ok(Downloaded { news: News::Nothing, .. }) => {}
            Ok(Downloaded { path, .. }) if had_one => reporter.noted(&format!(
                "THE DATA DICTIONARY HAS CHANGED: `{}` is new. Compare it with the earlier one and with what \
                 `phds dictionary` takes the columns to be, before the month is loaded",
                place(&path)
            )),
            Ok(Downloaded { path, .. }) => reporter.noted(&format!(
                "the data dictionary is here as `{}`: compare it with what `phds dictionary` takes the columns to be",
                place(&path)
            )),
            Err(error) => reporter.noted(&format!("the data dictionary could not be fetched: {}", error.message())),
        }
    }
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
    let root = settings.store(typed.store.as_deref())?;
    let login = account.login()?;
    let store = Store::open_or_create(&root)?;
    let _lock = store.lock()?;
    let mut missing = 0;
    for (folder, place) in folders.iter().zip(places) {
        let place = store.mirror().join(&account.name).join(place);
        let mut link = login.link(Some(folder), reporter);
        let listing = mirror::mirror(&mut link, folder, account.min_age, &place, Utc::now(), reporter)?;
        missing += listing.missing().count();
        terminal::print_data(mirrored(&listing, &place).as_bytes())?;
    }
    if missing > 0 {
        return Err(Error::refused(format!("{missing} files could not be copied; the notes say why"))
            .hint("what is not copied is lost when the server removes it"));
    }
    Ok(())
}

fn mirrored(listing: &Listing, place: &Path) -> String {
    format!(
        "{}: {} files, {} copied now, {} not copied, in {}\n",
        terminal::printable(&listing.folder),
        listing.files.len(),
        listing.files.iter().filter(|file| file.is_new).count(),
        listing.missing().count(),
        place.display()
    )
}
