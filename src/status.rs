//! How the store stands today: which months are here, what is due, what the server will soon remove.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, Local, NaiveDate, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::check::report::{Alarm, Totals, Verdict};
use crate::check::{PAGE, REPORT};
use crate::convert::manifest::Manifest;
use crate::error::{Error, Result};
use crate::fetch::mirror::{LISTING, Listing};
use crate::fetch::{Receipt, shelf};
use crate::fs;
use crate::period::ReportingPeriod;
use crate::provenance::DeliveryId;
use crate::store::{MANIFEST, Store};
use crate::terminal;
use crate::words;

/// A file comes every month, so a newest one that is older than this means that something has stopped.
const OLD_DAYS: i64 = 40;

/// After so many days the state removes files from the return folders of data exchange (ImmTrac2 data exchange guide).
const PURGE_DAYS: u64 = 90;

/// How far ahead the purge is told.
const AHEAD_DAYS: u64 = 30;

/// How the store stands.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Status {
    /// 1.
    pub schema_version: u32,
    /// The day for which it is told.
    #[schemars(with = "String")]
    pub today: NaiveDate,
    /// The months of which anything is here, oldest first.
    pub months: Vec<Month>,
    /// The next file.
    pub next: Next,
    /// Days since the newest file was changed at its source, or fetched where that is not known.
    pub newest_file_days: Option<i64>,
    /// The day on which a data dictionary came, if nothing was loaded since.
    #[schemars(with = "Option<String>")]
    pub dictionary_since_load: Option<NaiveDate>,
    /// The accounts of the settings.
    pub accounts: Vec<AccountStatus>,
    /// The folders that are copied.
    pub mirrors: Vec<MirrorStatus>,
    /// What somebody should do something about, most pressing first.
    pub attention: Vec<String>,
}

/// A month of the store.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Month {
    /// The month, `YYYY-MM`.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// Its files, in the order in which they came.
    pub fetched: Vec<Fetched>,
    /// What is loaded of it.
    pub loaded: Option<Loaded>,
}

impl Month {
    /// Whether a file of it has come, or it is loaded.
    fn is_here(&self) -> bool {
        !self.fetched.is_empty() || self.loaded.is_some()
    }
}

/// A file of a month.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Fetched {
    /// Its name in the store.
    pub file_name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// When it was whole on disk, UTC.
    #[schemars(with = "String")]
    pub fetched_at: DateTime<Utc>,
    /// When it was changed at its source, UTC.
    #[schemars(with = "Option<String>")]
    pub modified: Option<DateTime<Utc>>,
}

/// What is loaded of a month.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Loaded {
    /// When, UTC.
    #[schemars(with = "String")]
    pub loaded_at: DateTime<Utc>,
    /// Rows read, accepted, rejected.
    pub rows: Totals,
    /// The SHA-256 of the file that is loaded.
    pub sha256: String,
    /// The SHA-256 of later files of the month that were here when somebody named that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen_over: Vec<String>,
    /// What its check found wrong with the file as a whole.
    pub alarms: Vec<Alarm>,
}

/// The next file.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Next {
    /// The month that it will describe.
    #[schemars(with = "String")]
    pub reporting_period: ReportingPeriod,
    /// The day by which it is due.
    #[schemars(with = "String")]
    pub due: NaiveDate,
    /// Days since that day; 0 until it is over.
    pub days_late: i64,
}

/// An account of the settings.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// When its password was last changed, as the department says.
    #[schemars(with = "Option<String>")]
    pub password_changed: Option<NaiveDate>,
    /// Days since then.
    pub password_days: Option<i64>,
}

/// A folder that is copied.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct MirrorStatus {
    /// The account.
    pub account: String,
    /// The folder, as it is called on the server.
    pub folder: String,
    /// When it was last looked at, UTC.
    #[schemars(with = "String")]
    pub looked_at: DateTime<Utc>,
    /// Files that were there then.
    pub files: usize,
    /// Those of them that are not copied.
    pub not_copied: usize,
    /// Those that the server has removed since, or will have removed 30 days from now.
    pub purged_soon: usize,
    /// The first day on which the server removes one that is not copied.
    #[schemars(with = "Option<String>")]
    pub first_loss: Option<NaiveDate>,
}

impl Status {
    /// Looks at a store on a day of this machine. `accounts` are names and the days on which their passwords were changed.
    pub fn of(store: &Store, accounts: Vec<(String, Option<NaiveDate>)>, today: NaiveDate) -> Result<Self> {
        let mut periods = store.delivered();
        periods.extend(store.loaded());
        periods.sort_unstable();
        periods.dedup();
        let mut months = periods.into_iter().map(|period| month(store, period)).collect::<Result<Vec<_>>>()?;
        // A fetch that failed may have left an empty folder.
        let is_empty =
            |month: &Month| fs::files_in(&store.deliveries(month.reporting_period)).is_ok_and(|all| all.is_empty());
        months.retain(|month| month.is_here() || !is_empty(month));
        let newest =
            months.iter().flat_map(|month| &month.fetched).map(|file| file.modified.unwrap_or(file.fetched_at));
        let mut status = Self {
            schema_version: 1,
            today,
            next: next(months.iter().rev().find(|month| month.is_here()), today),
            newest_file_days: newest.max().map(|time| (today - day(time)).num_days().max(0)),
            accounts: accounts
                .into_iter()
                .map(|(name, changed)| AccountStatus {
                    name,
                    password_changed: changed,
                    password_days: changed.map(|changed| (today - changed).num_days()),
                })
                .collect(),
            mirrors: mirrors(store, today)?,
            dictionary_since_load: dictionary_since(&months, &shelf::receipts(&store.dictionaries())?),
            months,
            attention: Vec::new(),
        };
        status.attention = status.attention(store);
        Ok(status)
    }

    /// The months between the first and the last one of which nothing is here: the first and the last of each gap.
    fn gaps(&self) -> Vec<(ReportingPeriod, ReportingPeriod)> {
        let here: Vec<_> = self.months.iter().map(|month| month.reporting_period).collect();
        let gaps = here.windows(2).map(|pair| (pair[0].next(), pair[1].previous()));
        gaps.filter(|(first, last)| first <= last).collect()
    }

    fn attention(&self, store: &Store) -> Vec<String> {
        let mut attention = Vec::new();
        let Next { reporting_period, due, days_late } = &self.next;
        if *days_late > 0 {
            attention.push(format!(
                "the file of {reporting_period} was due on {due}: it is {} late",
                words::count(usize::try_from(*days_late).unwrap_or(0), "day")
            ));
        }
        for (first, last) in self.gaps() {
            attention.push(if first == last {
                format!("{first} is not here: phds load --period {first}, if the account still has it")
            } else {
                format!("{first} to {last} are not here: phds load --period {first}, if the account still has it")
            });
        }
        if let Some(days) = self.newest_file_days.filter(|days| *days > OLD_DAYS) {
            attention.push(format!("the newest file is {days} days old"));
        }
        for Month { reporting_period, fetched, loaded } in &self.months {
            let was_left =
                |file: &Fetched| loaded.as_ref().is_some_and(|loaded| loaded.chosen_over.contains(&file.sha256));
            if fetched.last().is_some_and(was_left) {
                continue;
            }
            if let Some(page) = fetched.last().and_then(|file| refusal(store, *reporting_period, &file.sha256)) {
                attention.push(format!("the file of {reporting_period} was refused: see {}", page.display()));
                continue;
            }
            match (fetched.last(), loaded) {
                (Some(file), None) => {
                    let path = store.deliveries(*reporting_period).join(&file.file_name);
                    attention.push(format!(
                        "{reporting_period} is fetched and not loaded: phds load {} --period {reporting_period}",
                        terminal::shell_word(&path.display().to_string())
                    ));
                }
                (Some(file), Some(loaded)) if file.sha256 != loaded.sha256 => attention.push(format!(
                    "{reporting_period}: the file that came last, `{}`, is not the one that is loaded: phds load FILE \
                     --period {reporting_period} loads the one that is meant",
                    file.file_name
                )),
                _ => {}
            }
            if fetched.is_empty() && loaded.is_none() && is_begun(&store.deliveries(*reporting_period)) {
                attention.push(format!(
                    "the fetch of {reporting_period} has not ended: phds fetch --period {reporting_period}"
                ));
            }
        }
        if let Some(came) = self.dictionary_since_load {
            attention.push(format!(
                "a data dictionary came on {came}, after the last load: compare it with the one before, in `{}`",
                store.dictionaries().display()
            ));
        }
        for mirror in &self.mirrors {
            let MirrorStatus { account, folder, not_copied, first_loss, looked_at, .. } = mirror;
            let again = format!("phds mirror --account {account} --folder {}", terminal::shell_word(folder));
            if let Some(first) = first_loss {
                attention.push(format!(
                    "{} of {folder} not copied, lost from {first} on: {again}",
                    words::count(*not_copied, "file")
                ));
            }
            let days = (self.today - day(*looked_at)).num_days();
            if days > AHEAD_DAYS.cast_signed() {
                attention.push(format!("{folder} was last looked at {days} days ago: {again}"));
            }
        }
        attention
    }
}

/// The day of this machine in which a time lies.
pub fn day(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&Local).date_naive()
}

fn dictionary_since(months: &[Month], receipts: &[Receipt]) -> Option<NaiveDate> {
    let loaded = months.iter().filter_map(|month| Some(month.loaded.as_ref()?.loaded_at)).max();
    let came = receipts.iter().map(|receipt| receipt.fetched_at).max()?;
    // The first one of all is announced when it comes, and there is nothing to compare it with.
    (receipts.len() > 1 && loaded.is_some_and(|loaded| loaded < came.trunc_subsecs(0))).then(|| day(came))
}

fn month(store: &Store, period: ReportingPeriod) -> Result<Month> {
    let mut receipts = shelf::receipts(&store.deliveries(period))?;
    receipts.sort_by_key(|receipt| receipt.fetched_at);
    let fetched = receipts
        .into_iter()
        .map(|receipt| Fetched {
            file_name: receipt.delivery.file_name,
            bytes: receipt.delivery.bytes,
            sha256: receipt.delivery.sha256,
            fetched_at: receipt.fetched_at,
            modified: receipt.remote.modified,
        })
        .collect();
    let path = store.partition(period).join(MANIFEST);
    let manifest = fs::read_if_there(&path)?.map(|text| serde_json::from_slice(&text));
    let manifest: Option<Manifest> = manifest.transpose().map_err(|_| Error::damaged(&path))?;
    let loaded = manifest.map(|manifest| Loaded {
        loaded_at: manifest.loaded_at,
        rows: manifest.totals,
        sha256: manifest.delivery.sha256,
        chosen_over: manifest.chosen_over,
        alarms: manifest.alarms,
    });
    Ok(Month { reporting_period: period, fetched, loaded })
}

/// What is read of a report.
#[derive(Deserialize)]
struct Checked {
    verdict: Verdict,
    delivery: DeliveryId,
}

/// The page that says why a file was refused, where it was.
fn refusal(store: &Store, period: ReportingPeriod, sha256: &str) -> Option<PathBuf> {
    [store.refused(period), store.reports(period)].into_iter().find_map(|folder| {
        let checked: Checked = serde_json::from_slice(&std::fs::read(folder.join(REPORT)).ok()?).ok()?;
        let is_of_file = checked.verdict == Verdict::Refused && checked.delivery.sha256 == sha256;
        is_of_file.then(|| folder.join(PAGE))
    })
}

/// The month after the newest that is here; without one, the newest that is due by now.
fn next(newest: Option<&Month>, today: NaiveDate) -> Next {
    let reporting_period = newest.map_or_else(|| newest_due(today), |month| month.reporting_period.next());
    let due = reporting_period.due_date();
    Next { reporting_period, due, days_late: (today - due).num_days().max(0) }
}

fn newest_due(today: NaiveDate) -> ReportingPeriod {
    let mut period = ReportingPeriod::of(today).previous();
    while period.due_date() > today {
        period = period.previous();
    }
    period
}

fn is_begun(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().extension().is_some_and(|ending| ending == "part"))
    })
}

/// The folders that were copied, by account and folder.
fn mirrors(store: &Store, today: NaiveDate) -> Result<Vec<MirrorStatus>> {
    let mut mirrors = Vec::new();
    let root = store.mirror();
    for account in fs::folders_in(&root)? {
        let name = account.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut folders = vec![account];
        while let Some(folder) = folders.pop() {
            if folder.join(LISTING).is_file()
                && let Some(listing) = Listing::read(&folder)
            {
                mirrors.push(mirror(&name, &listing, today));
            }
            folders.extend(fs::folders_in(&folder)?);
        }
    }
    mirrors.sort_by(|a, b| (&a.account, &a.folder).cmp(&(&b.account, &b.folder)));
    Ok(mirrors)
}

fn mirror(account: &str, listing: &Listing, today: NaiveDate) -> MirrorStatus {
    let purge = |modified: Option<DateTime<Utc>>| {
        // A file without a time may go at any moment.
        modified.map_or(today, |time| day(time) + Days::new(PURGE_DAYS))
    };
    let soon = today + Days::new(AHEAD_DAYS);
    MirrorStatus {
        account: account.to_owned(),
        folder: listing.folder.clone(),
        looked_at: listing.looked_at,
        files: listing.files.len(),
        not_copied: listing.missing().count(),
        purged_soon: listing.files.iter().filter(|file| purge(file.remote.modified) <= soon).count(),
        first_loss: listing.missing().map(|file| purge(file.remote.modified)).min(),
    }
}
