//! Whether account, server and store are fit: one observation after another, none of them with a secret.

use std::io::Read;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::fetch::pick::Kind;
use crate::fetch::{Observation, RemoteFile, Source, Verdict};
use crate::progress::Reporter;
use crate::provenance::Tool;
use crate::settings::account::Account;
use crate::settings::refused::Memory;
use crate::store::Store;
use crate::volume::{self, Encryption};
use crate::words;

/// Clocks that differ by less are right enough.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(2);

/// Most bytes that are read to see whether a server can send from the middle.
const MIDDLE_BYTES: u64 = 64 * 1024;

/// Less free space than this is told: a month of a large department and its Parquet.
const LITTLE_BYTES: u64 = 5_000_000_000;

/// Everything that was looked at.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Examination {
    /// 1.
    pub schema_version: u32,
    /// What looked.
    pub tool: Tool,
    /// When, UTC.
    #[schemars(with = "String")]
    pub examined_at: DateTime<Utc>,
    /// What was seen, in the order in which a fetch would meet it.
    pub observations: Vec<Observation>,
}

impl Examination {
    /// Looks at an account, where there is one, logging in if `with_login`, and at the store; what is wrong with the department's
    /// files of knowledge is told beside. What comes of the login goes into `memory`.
    pub fn of(
        account: Option<Account>,
        with_login: bool,
        memory: Option<Memory>,
        store: Result<&Path>,
        knowledge: Result<()>,
        reporter: &dyn Reporter,
    ) -> Self {
        let mut observations = match account {
            Some(account) => examine_account(account, with_login, memory, reporter),
            None => vec![
                Observation::new("account", Verdict::Note, "none is set up: files come by hand, `phds load FILE`")
                    .hint("to have them fetched, fill in the phds.toml that `phds init` writes"),
            ],
        };
        match store {
            Ok(root) => observations.extend(examine_store(root)),
            Err(error) => observations.push(Observation::failed("store", &error)),
        }
        // A file is fetched in spite of it, and not loaded.
        observations.extend(knowledge.err().map(|error| Observation::failed("dictionary, rules and measures", &error)));
        Self { schema_version: 1, tool: Tool::this(), examined_at: Utc::now(), observations }
    }

    /// How many things stand in the way.
    pub fn problems(&self) -> usize {
        problems(&self.observations)
    }
}

fn problems(observations: &[Observation]) -> usize {
    observations.iter().filter(|observation| observation.verdict == Verdict::Problem).count()
}

fn examine_account(
    mut account: Account,
    with_login: bool,
    memory: Option<Memory>,
    reporter: &dyn Reporter,
) -> Vec<Observation> {
    let mut seen = vec![Observation::new("account", Verdict::Good, format!("{}: {}", account.name, account.address()))];
    // Before the network: who has no line to the server yet learns of it, too.
    seen.extend(account.look_at_proof().err().map(|error| Observation::failed("proof", &error)));
    seen.extend(account.examine());
    if problems(&seen) > 0 || !with_login {
        let why = if with_login { "not tried, because of what stands above" } else { "not asked for" };
        seen.push(Observation::new("login", Verdict::Unknown, why));
        return seen;
    }
    // What is wrong is to be seen, not waited for.
    account.retry.attempts = 1;
    let login = match account.login() {
        Ok(login) => login.remembered(memory),
        Err(error) => {
            seen.push(Observation::failed("proof", &error));
            return seen;
        }
    };
    seen.push(Observation::new("proof", Verdict::Good, account.proof()));
    let before: Vec<String> = seen.iter().map(|seen| seen.text.clone()).collect();
    let mut link = login.link(None, reporter);
    let mut after = Vec::new();
    let outcome = link.run(|source| {
        after.push(Observation::new("login", Verdict::Good, "accepted"));
        examine_folder(source, &account, &mut after);
        for seen in source.observations() {
            // What was seen before the login is not said again.
            if !before.contains(&seen.text) {
                after.push(seen);
            }
        }
        Ok(())
    });
    seen.extend(after);
    if let Err(error) = outcome {
        seen.push(Observation::failed("login", &error));
    }
    seen
}

fn examine_folder(source: &mut dyn Source, account: &Account, seen: &mut Vec<Observation>) {
    let files = match source.list() {
        Ok(files) => files,
        Err(error) => return seen.push(Observation::failed("folder", &error)),
    };
    seen.push(Observation::new("folder", Verdict::Good, format!("{} files", files.len())));
    seen.push(deliveries(account, &files));
    seen.push(clock(&files, Utc::now()));
    // The smallest file that has a middle.
    if let Some(file) = files.iter().filter(|file| file.size > 1).min_by_key(|file| file.size) {
        seen.push(match source.stat(&file.name) {
            Ok(again) if again == *file => Observation::new("look at a file", Verdict::Good, "agrees with the listing"),
            Ok(_) => Observation::new("look at a file", Verdict::Note, "differs from the listing")
                .hint("a file may be growing just now; otherwise a fetch will say that it changed"),
            Err(error) => Observation::failed("look at a file", &error),
        });
        seen.push(match read_from_the_middle(source, file) {
            Ok(()) => Observation::new("read from the middle", Verdict::Good, "a fetch that is cut can be continued"),
            Err(error) => Observation::new("read from the middle", Verdict::Note, error.message())
                .hint("a fetch that is cut begins anew"),
        });
    }
}

fn deliveries(account: &Account, files: &[RemoteFile]) -> Observation {
    let Ok(names) = account.names() else {
        return Observation::new("deliveries", Verdict::Note, "the account has no `pattern`, so no monthly file");
    };
    let count = files.iter().filter(|file| matches!(names.kind(&file.name), Kind::Delivery(_))).count();
    match names.newest(files.to_vec(), None) {
        Ok(newest) => {
            Observation::new("deliveries", Verdict::Good, format!("{count}; the newest is of {}", newest.period))
        }
        Err(error) => Observation::failed("deliveries", &error),
    }
}

/// No protocol tells the server's clock; a file from the future shows that one of the two is wrong.
fn clock(files: &[RemoteFile], now: DateTime<Utc>) -> Observation {
    match files.iter().filter_map(|file| file.modified).max() {
        None => Observation::new("clock", Verdict::Unknown, "the server tells no time of any file"),
        Some(time) if time - now > CLOCK_TOLERANCE => Observation::new(
            "clock",
            Verdict::Problem,
            format!("the newest file is from {} minutes in the future", (time - now).num_minutes()),
        )
        .hint("compare this machine's clock with a good one; if it is right, the server's is wrong"),
        Some(_) => Observation::new("clock", Verdict::Good, "no file is from the future"),
    }
}

fn read_from_the_middle(source: &mut dyn Source, file: &RemoteFile) -> Result<()> {
    let rest = (file.size / 2).min(MIDDLE_BYTES);
    let mut input = source.open_at(&file.name, file.size - rest)?;
    let count = std::io::copy(&mut input.by_ref().take(rest + 1), &mut std::io::sink())
        .map_err(|_| Error::environment("the server does not send a file from its middle"))?;
    if count == rest {
        Ok(())
    } else {
        Err(Error::environment("the server sends another part of a file than it was asked for"))
    }
}

fn examine_store(root: &Path) -> Vec<Observation> {
    let mut seen = vec![match Store::open(root) {
        Ok(store) => Observation::new(
            "store",
            Verdict::Good,
            format!("`{}`, {} loaded", root.display(), words::count(store.loaded().len(), "month")),
        ),
        Err(_) if !root.exists() => Observation::new(
            "store",
            Verdict::Note,
            format!("`{}` is not there; the first fetch makes it", root.display()),
        ),
        Err(error) => Observation::failed("store", &error),
    }];
    let Some(place) = root.ancestors().chain([Path::new(".")]).find(|place| place.is_dir()) else { return seen };
    if place == root {
        seen.push(match volume::shared_bits(place) {
            Ok(Some(0)) => Observation::new("store permissions", Verdict::Good, "only its owner can enter"),
            Ok(Some(bits)) => Observation::new(
                "store permissions",
                Verdict::Problem,
                format!("others can enter (mode bits {bits:03o})"),
            )
            .hint(format!("chmod 700 '{}'", place.display())),
            Ok(None) => Observation::new("store permissions", Verdict::Unknown, "this system has no mode bits").hint(
                format!("`icacls \"{}\"` tells who can read it: nobody may but those who are meant", place.display()),
            ),
            Err(error) => Observation::failed("store permissions", &error),
        });
    }
    seen.push(match volume::encryption(place) {
        Encryption::Encrypted(how) => Observation::new("store encryption", Verdict::Good, how),
        Encryption::NotEncrypted(why) => Observation::new("store encryption", Verdict::Note, why)
            .hint("the store holds health data: put it on an encrypted volume, unless the disk itself is one"),
        Encryption::CannotTell(why) => Observation::new("store encryption", Verdict::Unknown, why),
    });
    seen.push(match volume::free_bytes(place) {
        Ok(free) if free < LITTLE_BYTES => {
            Observation::new("free space", Verdict::Note, format!("{} MB", free / 1_000_000))
                .hint("a month needs its own size, and a half of that for Parquet and for the work")
        }
        Ok(free) => Observation::new("free space", Verdict::Good, format!("{} GB", free / 1_000_000_000)),
        Err(error) => Observation::failed("free space", &error),
    });
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_from_the_future_shows_a_wrong_clock() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let file = |seconds: Option<i64>| RemoteFile {
            name: "a".into(),
            size: 1,
            modified: seconds.map(|seconds| now + TimeDelta::seconds(seconds)),
        };
        for (seconds, verdict) in [
            (Some(-1), Verdict::Good),
            (Some(120), Verdict::Good),
            (Some(121), Verdict::Problem),
            (None, Verdict::Unknown),
        ] {
            assert_eq!(clock(&[file(seconds), file(None)], now).verdict, verdict, "{seconds:?}");
        }
    }
}
