//! `phds demo`: the whole road on an invented month, served over SFTP by this program to itself.

use std::fmt::Write as _;
use std::path::Path;

use super::query;
use crate::cli;
use crate::demo::server::LoopbackServer;
use crate::disclosure::Audience;
use crate::error::{Error, Result};
use crate::fs;
use crate::output::{self, Format};
use crate::parallel::Resources;
use crate::period::ReportingPeriod;
use crate::progress::Reporter;
use crate::query::ask::{Ask, Asks, Indicator, Where};
use crate::random::random_bytes;
use crate::secret::Secret;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::synth::{self, Options};
use crate::terminal;

const MARKER: &str = ".phds-demo";
/// What is in the folder of a demo.
const MADE: [&str; 9] =
    [MARKER, "server", "password", "known_hosts", settings::FILE, "store", "releases", "report", "report.html"];
const USER: &str = "demo";
const SEED: u64 = 2024;
/// Share of rows with a planted fault: enough to be seen, far from the limit.
const FAULTS: f64 = 0.002;
const MEASURE: &str = "nis.4313314";
/// Each table of the demo: its dimension, and a region to which it is limited.
const TABLES: [(&str, Option<&str>); 2] = [("county", Some("7")), ("birth_year", None)];

/// `phds demo`
pub fn run(typed: &cli::Demo, reporter: &dyn Reporter) -> Result<()> {
    let dir = typed.dir.as_path();
    clear(dir)?;
    let period = ReportingPeriod::new(2024, 12).ok_or_else(|| Error::internal("December 2024 is no month"))?;

    let served = dir.join("server");
    fs::make_folder(&served)?;
    let month = served.join("PHDS_2024_12.csv");
    synth::write_month(&Options { clients: typed.clients, period, seed: SEED, faults: FAULTS }, &month, reporter)?;

    let password = fs::hex(&random_bytes::<16>()?);
    let server = LoopbackServer::start(&served, USER, &Secret::new(password.clone())?)?;
    fs::write_whole(&dir.join("password"), password.as_bytes())?;
    fs::write_whole(&dir.join("known_hosts"), format!("{}\n", server.host_key_line()).as_bytes())?;
    let file = dir.join(settings::FILE);
    fs::write_whole(&file, settings_file(server.port()).as_bytes())?;

    let settings = Settings::resolve(Some(&file))?;
    let store = Store::open_or_create(&settings.store(None)?)?;
    let lock = store.lock()?;
    let account = settings.account(&cli::Connection::default())?;
    let delivery = super::fetch::from_account(&account, &account.login()?, None, &store, reporter)?;
    drop(server);
    // The server is gone, and its password with it.
    let _ = std::fs::remove_file(dir.join("password"));
    let loaded = super::load::into_store(&delivery, Vec::new(), &store, &settings, Resources::default(), reporter)?;
    let partition = loaded.partition()?;
    drop(lock);

    let asks = TABLES.map(|(dimension, region)| {
        let region = region.map(|region| Where { dimension: "region".to_owned(), values: vec![region.to_owned()] });
        let mut ask = Ask::of(Indicator::Coverage);
        ask.measure = Some(MEASURE.to_owned());
        (ask.by, ask.filters) = (vec![dimension.to_owned()], region.into_iter().collect());
        ask
    });
    let keeping = query::Keeping::of(&store, None, Audience::Internal)?;
    let answer = |asks: &[Ask]| {
        query::answer(asks, &store, &partition, &settings, None, query::Refused::EndsRun)?.release(&store, &keeping)
    };
    let releases = answer(&asks)?;
    for ((dimension, _), release) in TABLES.iter().zip(&releases) {
        let folder = dir.join("releases").join(format!("by_{dimension}"));
        fs::make_folder(&folder)?;
        output::write(release, Format::Csv, &output::table_in(&folder, Format::Csv))?;
    }
    let asks = Asks::parse("monthly.toml", query::MONTHLY)?;
    let monthly = dir.join("releases").join(period.to_string());
    query::write_all(&asks, &answer(&asks.releases)?, Format::Csv, &monthly)?;
    let asks = super::report::built_in()?;
    super::report::of_month(&asks, &answer(&asks.releases)?, &store, None, keeping.folder(), &dir.join("report.html"))?;
    if let Some(release) = releases.last() {
        terminal::print_data(&output::render(release, Format::Table)?)?;
    }
    terminal::say(&tour(dir, period));
    Ok(())
}

/// Empties a folder of an earlier demo; one that has anything else is left alone.
fn clear(dir: &Path) -> Result<()> {
    fs::must_lie_outside_stores(dir)?;
    let is_ours = dir.join(MARKER).is_file();
    let there: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("list", dir, &error)),
    };
    if !is_ours && !there.is_empty() {
        return Err(Error::usage(format!("`{}` is not empty and not from an earlier demo", dir.display()))
            .hint("name another folder with `--dir`"));
    }
    if let Some(name) = there.iter().find(|name| !MADE.iter().any(|made| *name == made) && !fs::is_draft(name)) {
        return Err(Error::usage(format!(
            "`{}` is not of the demo, which empties its folder",
            dir.join(name).display()
        ))
        .hint("move it away, or name another folder with `--dir`"));
    }
    if is_ours {
        std::fs::remove_dir_all(dir).map_err(|error| Error::io("empty", dir, &error))?;
    }
    fs::make_folder(dir)?;
    fs::write_whole(&dir.join(MARKER), b"Made by `phds demo`; the next demo empties this folder.\n")
}

fn settings_file(port: u16) -> String {
    format!(
        "# Settings of the demo. Its server ran only while the demo did.\n\
         store = \"store\"\n\n[accounts.phds]\nprotocol = \"sftp\"\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{USER}\"\n\
         pattern = \"PHDS_{{YYYY}}_{{MM}}.csv\"\npassword_file = \"password\"\nknown_hosts = \"known_hosts\"\n\
         min_age_seconds = 0\n"
    )
}

fn tour(dir: &Path, period: ReportingPeriod) -> String {
    let mut text = format!("\nEverything is in {}/. Nobody in it is real.\n", dir.display());
    for (what, place) in [
        ("the month as served, and what was planted in it", "server/"),
        ("fetched file and receipt", &format!("store/deliveries/{period}/")),
        ("check report, rejected rows by line and rule", &format!("store/reports/{period}/")),
        ("Parquet tables and manifest", &format!("store/partitions/{period}/")),
        ("coverage by county (region 7) and birth year, for the notebooks", "releases/"),
        ("the answers to notebooks/monthly.toml", &format!("releases/{period}/")),
        ("the page of the month: open it in a browser", "report.html"),
        ("the releases that the page is made of", "report/"),
    ] {
        let _ = writeln!(text, "  {place:<32} {what}");
    }
    let _ = write!(
        text,
        "\nNext: phds query coverage --store {} --measure nis.mmr1 --by county,birth_year",
        terminal::shell_word(&dir.join("store").display().to_string())
    );
    text
}
