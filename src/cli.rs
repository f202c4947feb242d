//! What was typed. Nothing is looked up or resolved here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::dictionary::import::Key;
use crate::dictionary::nearest;
use crate::disclosure::Audience;
use crate::error::Error;
use crate::figure::Kind;
use crate::output::Format;
use crate::parallel;
use crate::period::ReportingPeriod;
use crate::query::ask::{Ask, AttributionChoice, Indicator, Where};
use crate::words;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the data or the release was refused; or `doctor`, `mirror`, `audit`, `measures --cases` or `status --check` found something
  2  the command, the settings or a knowledge file asks for something that cannot be
  3  network or disk failed
  4  credentials were refused, or the server is not the one expected
  5  a fault of this program
  130  stopped by Ctrl-C or another signal; what was fetched so far is kept and continued next time";

const LOAD_EXAMPLES: &str = "\
Examples:
  phds load --period 2024-12                              fetch the month, check and convert it
  phds load month.csv --period 2024-12 --store store      the same with a file that is here
  phds load --again                                       all months, after a change of the dictionary
  phds load -q --period 2024-12                           for cron: the summary, warnings and errors";

const QUERY_EXAMPLES: &str = "\
Examples:
  phds query coverage --measure nis.4313314 --by county
  phds query coverage --measure nis.mmr1 --by birth_year --where county=Travis,Hays --out mmr.csv
  phds query missing --measure nis.4313314 --by sex       which vaccines are lacking
  phds query doses --by vaccine_group,season
  phds query --example > monthly.toml                     a file of questions to begin with
  phds query monthly.toml --out releases                  all of them, in one run";

const COVERAGE_EXAMPLES: &str = "\
Examples:
  phds query coverage --measure nis.mmr1 --by county,birth_year
  phds query coverage --measure nis.mmr1 --by county --denominator clients,population:births
  phds query coverage --measure nis.mmr1 --by organization --funnel
  phds query coverage --measure nis.mmr1 --by county --out mmr.xlsx           for Excel
  phds query coverage --measure nis.mmr1 --by county --out mmr.tex";

const KNOW_EXAMPLES: &str = "\
Examples:
  phds ledger know coverage --measure nis.mmr1 --by county --period 2024-12 --source \"State dashboard, February 2025\"

Its numbers are taken from the month that is loaded; they stay in the ledger, and none is printed.";

const PLOT_EXAMPLES: &str = "\
Examples:
  phds plot releases/by_county --kind map --out map.svg
  phds plot mmr.csv --kind bar --out mmr.png
  phds plot zip.csv --kind map --shapes zips.geojson --shape-key ZCTA5CE20 --out zips.svg";

const COMPARE_EXAMPLES: &str = "\
Examples:
  phds compare releases/2024-11/by_county releases/2024-12/by_county
  phds compare november.csv december.csv --out change.xlsx";

const COMPLETIONS_EXAMPLES: &str = "\
Put it where your shell looks, once:
  bash  phds completions bash > ~/.local/share/bash-completion/completions/phds
  zsh   phds completions zsh > ~/.zfunc/_phds      (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  fish  phds completions fish > ~/.config/fish/completions/phds.fish
The shell asks `phds` itself, so measures, dimensions and months are those of your settings. No server is asked.";

const INIT_EXAMPLES: &str = "\
Examples:
  phds init                           asks for everything, and looks whether it works
  phds init --yes --host sftp.example.org --user clinic --password-file password \\
            --host-key SHA256:… --counties Travis,Hays --schedule systemd
  phds init --yes --force --user clinic2 --no-doctor    another user, all else as it is";

/// Coverage rates from the monthly immunization file (PHDS) of the Texas registry, and no person in them
#[derive(Debug, Parser)]
#[command(name = "phds", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,

    /// Settings file [default: phds.toml in the working directory, when it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Nothing but the data; warnings and errors are still printed
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Whether to colour; never says anything that the words do not
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the variable `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// See it all work on an invented month, served over SFTP by this program to itself
    Demo(Demo),
    /// Set up account, server key, counties and store, and see whether it works
    Init(Init),
    /// See whether account, server and store are fit, line by line
    Doctor(Doctor),
    /// Fetch the month's file from the secure FTP account into the store
    Fetch(Fetch),
    /// Copy new files of other folders of an account before the server removes them
    Mirror(Mirror),
    /// See which months are here and what is due
    Status(Status),
    /// Check a file: every row against the dictionary and the rules
    Check(Check),
    /// Fetch (or take FILE), check and convert a month into the store
    Load(Load),
    /// Write the rejected rows of a month, as they came, into a private file
    Rejects(Rejects),
    /// Take a month out of the store
    Remove(Remove),
    /// Take in counts of people, for shares of a population
    #[command(subcommand)]
    Population(Population),
    /// Ask a loaded month
    Query(Query),
    /// Draw a figure of a release: a map, bars, a trend, a funnel, a curve, missing parts
    Plot(Plot),
    /// Make one page of a month: coverage, ages, doses, and how good the data are
    Report(Report),
    /// See what changed between the releases of two months
    Compare(Compare),
    /// Suppress the small counts of a table made elsewhere, and what would tell them
    Protect(Protect),
    /// See what can be computed of the suppressed counts of published tables
    Audit(Audit),
    /// See what has been released, and prove that nobody has changed the record of it
    Ledger(LedgerArgs),
    /// Write down for the privacy officer how what was published is protected
    Evidence(Evidence),
    /// List the measures, look for one, or explain it
    Measures(Measures),
    /// List the dimensions that tables may be grouped and filtered by, or the values of one
    Dimensions(Dimensions),
    /// Print the dictionary of the file's columns, or make one of a table
    Dictionary(Dictionary),
    /// Explain a rule of the check, or list all rules
    Explain(Explain),
    /// Write an invented month, with planted faults if wanted
    Synth(Synth),
    /// Print shell completions
    Completions(Completions),
    /// Print the manual page, or write those of all verbs
    Man(Manual),
    /// Print the JSON Schema of a file or an answer of phds, or list all
    Schema(SchemaArgs),
}

/// `phds demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder for everything that the demo writes; must be missing or empty, or from an earlier demo
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub dir: PathBuf,
    /// Number of invented clients
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    pub clients: u64,
}

/// `phds init`
#[derive(Debug, Args)]
#[command(after_help = INIT_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Init {
    /// The settings file
    #[arg(default_value = crate::settings::FILE, value_name = "FILE")]
    pub file: PathBuf,
    /// Ask nothing: what is not said keeps its default
    #[arg(long, short)]
    pub yes: bool,
    /// Ask also when the answers come from a pipe or a file, one a line
    #[arg(long, conflicts_with = "yes")]
    pub ask: bool,
    /// Change a settings file that is there: what you name, and nothing else in it
    #[arg(long)]
    pub force: bool,
    /// The store
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Counties of your department: Travis,Hays
    #[arg(long, value_name = "COUNTY,…", value_delimiter = ',')]
    pub counties: Option<Vec<String>>,
    /// Your department as the column RESPONSIBLE ENTITY names it; may be given several times
    #[arg(long, value_name = "NAME")]
    pub jurisdiction: Option<Vec<String>>,
    /// Your own dictionary, laid over the built-in one
    #[arg(long, value_name = "FILE")]
    pub dictionary: Option<PathBuf>,
    /// Show a line for cron, or write phds.service and phds.timer beside the settings file
    #[arg(long, value_name = "HOW")]
    pub schedule: Option<Schedule>,
    /// At the end, look at the server without logging in
    #[arg(long)]
    pub no_login: bool,
    /// Do not look at the server at the end
    #[arg(long, conflicts_with = "no_login")]
    pub no_doctor: bool,
    /// The account of the monthly file.
    #[command(flatten)]
    pub account: InitAccount,
}

/// The account that `phds init` sets up.
#[derive(Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Account")]
pub struct InitAccount {
    /// sftp or ftps
    #[arg(long)]
    pub protocol: Option<Protocol>,
    /// Name of the server
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port of the server [default: 22 for sftp, 21 for ftps]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// User name
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Folder of the monthly files
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<String>,
    /// What the monthly file is called: {YYYY} and {MM} are its month, * is anything
    #[arg(long, value_name = "PATTERN")]
    pub pattern: Option<String>,
    /// File that holds the password (mode 0600)
    #[arg(long, value_name = "FILE", group = "proof")]
    pub password_file: Option<PathBuf>,
    /// A command whose output is the password
    #[arg(long, value_name = "COMMAND", group = "proof")]
    pub password_command: Option<String>,
    /// Log in with this SSH key
    #[arg(long, value_name = "FILE", group = "proof")]
    pub key_file: Option<PathBuf>,
    /// Log in with a key of the SSH agent
    #[arg(long, group = "proof")]
    pub key_agent: bool,
    /// File that holds the passphrase of the key
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub key_passphrase_file: Option<PathBuf>,
    /// The one accepted key of an SFTP server, from the state by telephone or letter
    #[arg(long, value_name = "SHA256:…")]
    pub host_key: Option<String>,
    /// Authorities (PEM) trusted for an FTPS server, in place of the public ones
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The one accepted certificate of an FTPS server
    #[arg(long, value_name = "HEX")]
    pub cert_sha256: Option<String>,
}

/// How the server of an account is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Files over SSH.
    Sftp,
    /// FTP inside TLS.
    Ftps,
}

/// What runs the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Schedule {
    /// A line of a crontab.
    Cron,
    /// A unit and a timer of systemd.
    Systemd,
}

/// `phds fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// The month to fetch [default: the newest by its name]
    #[arg(long, value_name = "YYYY-MM")]
    pub period: Option<ReportingPeriod>,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Only list what is in the folder and what would be taken, and why
    #[arg(long)]
    pub list: bool,
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
}

/// The connection of one run, in place of what the settings file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The account of the settings file [default: phds, or the only one]
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The one accepted key of an SFTP server, as `ssh-keygen -lf` prints it
    #[arg(long, value_name = "SHA256:…")]
    pub host_key: Option<String>,
    /// Trust the key of an SFTP server that is not known yet, and record it; a changed key is never accepted
    #[arg(long)]
    pub accept_new_host_key: bool,
    /// Also offer SHA-1 and CBC, which are broken, to an SFTP server that knows nothing better
    #[arg(long)]
    pub legacy_ssh: bool,
    /// Reads in flight over SFTP; 1 for servers that cannot answer several
    #[arg(long, value_name = "N")]
    pub max_reads: Option<u64>,
    /// Authorities (PEM) trusted for an FTPS server, in place of the public ones
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The one accepted certificate of an FTPS server
    #[arg(long, value_name = "HEX")]
    pub cert_sha256: Option<String>,
    /// A command whose output is the password
    #[arg(long, value_name = "COMMAND")]
    pub password_command: Option<String>,
    /// Seconds for which a file must not have changed before it is taken
    #[arg(long, value_name = "SECONDS")]
    pub min_age: Option<u64>,
}

/// `phds mirror`
#[derive(Debug, Args)]
pub struct Mirror {
    /// A folder of the account; may be given several times [default: `mirror_folders` of the account]
    #[arg(long = "folder", value_name = "FOLDER")]
    pub folders: Vec<String>,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
}

/// `phds doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Do not log in: only what can be seen without the password
    #[arg(long)]
    pub no_login: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
}

/// `phds status`
#[derive(Debug, Args)]
pub struct Status {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// End with exit code 1 when something needs attention
    #[arg(long)]
    pub check: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `phds ledger`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LedgerArgs {
    /// What to do in place of printing.
    #[command(subcommand)]
    pub action: Option<LedgerAction>,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerAction {
    /// Note a table that others have published: whatever is published from now on is held to it
    #[command(after_help = KNOW_EXAMPLES)]
    Know(Know),
}

/// `phds ledger know`
#[derive(Debug, Args)]
pub struct Know {
    /// What the table tells, as `phds query` names it
    #[arg(value_name = "INDICATOR", value_parser = parse_indicator)]
    pub indicator: Indicator,
    /// The measure, such as nis.mmr1; `phds measures` lists them
    #[arg(long, value_name = "ID")]
    pub measure: Option<String>,
    /// For dropout: the later measure
    #[arg(long, value_name = "ID")]
    pub to: Option<String>,
    /// Its rows.
    #[command(flatten)]
    pub rows: TableRows,
    /// Where it was published, in words
    #[arg(long, value_name = "TEXT")]
    pub source: String,
    /// Which month.
    #[command(flatten)]
    pub month: Month,
}

impl Know {
    /// The table as a question.
    pub fn ask(&self) -> Ask {
        Ask { measure: self.measure.clone(), to: self.to.clone(), ..self.rows.ask(self.indicator) }
    }
}

/// `phds evidence`
#[derive(Debug, Args)]
pub struct Evidence {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Write to a file (Markdown) in place of printing
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `phds check`
#[derive(Debug, Args)]
pub struct Check {
    /// The CSV file
    pub file: PathBuf,
    /// The month that it describes
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// Folder for report.json, report.html and rejected.csv
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// The report as JSON in place of a summary
    #[arg(long)]
    pub json: bool,
    /// How much of the machine may be used.
    #[command(flatten)]
    pub resources: Resources,
}

/// How much of the machine a run may use.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Resources {
    /// Threads that work at the same time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// About how much memory to use: what does not fit is set aside on disk [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = at_least_64_mib)]
    pub memory: Option<usize>,
}

impl Resources {
    /// What was typed over the defaults.
    pub fn resolve(self) -> parallel::Resources {
        let default = parallel::Resources::default();
        parallel::Resources {
            threads: self.threads.map_or(default.threads, usize::from),
            memory: self.memory.unwrap_or(default.memory),
        }
    }
}

fn at_least_64_mib(text: &str) -> Result<usize, String> {
    match words::bytes(text)? {
        size if size < 64 << 20 => Err("at least 64MiB are needed".to_owned()),
        size => Ok(size),
    }
}

/// `phds load`
#[derive(Debug, Args)]
#[command(after_help = LOAD_EXAMPLES)]
pub struct Load {
    /// The CSV file; without it, the month is fetched from the configured source
    pub file: Option<PathBuf>,
    /// The month that it describes
    #[arg(long, value_name = "YYYY-MM", required_unless_present_any = ["due", "again"])]
    pub period: Option<ReportingPeriod>,
    /// All loaded months, or that of `--period`, from the files that the store has: after a change of the dictionary, the
    /// rules or the measures
    #[arg(long, conflicts_with_all = ["file", "due"])]
    pub again: bool,
    /// Last month, unless the newest file of it is loaded: for cron. Until the day on which it is due, it may be missing
    #[arg(long, conflicts_with_all = ["period", "file"])]
    pub due: bool,
    /// The store; a missing or empty folder becomes one [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The report as JSON in place of a summary
    #[arg(long)]
    pub json: bool,
    /// How much of the machine may be used.
    #[command(flatten)]
    pub resources: Resources,
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
}

/// `phds rejects`
#[derive(Debug, Args)]
pub struct Rejects {
    /// The month
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// Those of the file that was refused, and not of the one that is loaded
    #[arg(long)]
    pub refused: bool,
    /// The file to write, readable by you alone; it names people
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `phds remove`
#[derive(Debug, Args)]
pub struct Remove {
    /// The month
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// And its file, as it was received: it cannot be loaded again without it
    #[arg(long)]
    pub delivery: bool,
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `phds population`
#[derive(Debug, Subcommand)]
pub enum Population {
    /// Take a CSV of counts by birth year or age, and county, ZIP code, sex or race and ethnicity into the store
    Import(PopulationImport),
    /// List what has been taken in
    List(PopulationList),
}

/// `phds population import`
#[derive(Debug, Args)]
pub struct PopulationImport {
    /// The CSV: a count, the year of birth or the age, and any of county, ZIP code, sex, race and ethnicity; no totals
    pub file: PathBuf,
    /// How questions will name it: lower-case letters, digits, hyphens and underscores; replaces one of that name
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Where the counts are from; goes into every release that divides by them
    #[arg(long, value_name = "TEXT")]
    pub source: String,
    /// The year of which ages are those of 31 December; needed with ages
    #[arg(long, value_name = "YYYY")]
    pub year: Option<i32>,
    /// The store; a missing or empty folder becomes one [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `phds population list`
#[derive(Debug, Args)]
pub struct PopulationList {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `phds query`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = QUERY_EXAMPLES)]
pub struct Query {
    /// A file of questions (TOML): all of its releases in one run
    #[arg(value_name = "FILE", required_unless_present = "example")]
    pub file: Option<PathBuf>,
    /// Folder for the releases: each in a folder of its own, called as in the file
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dry_run", "example"])]
    pub out: Option<PathBuf>,
    /// Print a file of questions to begin with, and ask nothing
    #[arg(long, exclusive = true)]
    pub example: bool,
    /// How to write them
    #[arg(long, value_enum, default_value = "csv")]
    pub format: Format,
    /// Begin CSV with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    pub bom: bool,
    /// For the public: leave out a question that is refused, and go on with the others; the exit code is 1 all the same
    #[arg(long)]
    pub keep_going: bool,
    /// Which month.
    #[command(flatten)]
    pub month: Month,
    /// For whom.
    #[command(flatten)]
    pub purpose: Purpose,
    /// One question in place of a file.
    #[command(subcommand)]
    pub question: Option<Question>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Share of clients who had the doses of a measure in time
    #[command(after_help = COVERAGE_EXAMPLES)]
    Coverage(Share),
    /// Share of clients who had them late, but by the as-of date
    Late(Share),
    /// Share of clients who had each last dose before the schedule calls it late
    OnTime(Share),
    /// Share of clients with one measure who did not get to another
    Dropout(Dropout),
    /// Share of clients who would have been up to date in time, had no opportunity been missed
    Potential(Share),
    /// Share of clients who were not up to date in time only because opportunities were missed
    Missed(Share),
    /// Share of clients not up to date who lack no more than one dose of each vaccine
    OneVisit(Share),
    /// Which parts of a combination are missing, and how often
    Missing(OfMeasure),
    /// Share of clients who were up to date by each month of age
    Curve(OfMeasure),
    /// Doses administered, and the people who had them
    Doses(Table),
}

/// The verb of questions.
const QUERY: &str = "query";

/// The names of all that can be asked.
fn indicators() -> Vec<String> {
    let command = Query::augment_args(clap::Command::new(QUERY));
    command.get_subcommands().map(|indicator| indicator.get_name().to_owned()).collect()
}

/// What was meant by words after `query` that are no command as they stand: with the indicator before the options
/// (`query -q coverage` is `query coverage -q`), or an error about one that nobody knows. None where it is neither.
pub fn mended(words: &[OsString]) -> Option<Result<Vec<OsString>, Error>> {
    let indicators = indicators();
    let verb = words.iter().position(|word| word == QUERY)?;
    let is_indicator = |word: &OsString| indicators.iter().any(|indicator| word == indicator.as_str());
    let behind = &words[verb + 1..];
    match behind.iter().position(is_indicator) {
        Some(0) => None,
        Some(at) => {
            let mut words = words.to_vec();
            let indicator = words.remove(verb + 1 + at);
            words.insert(verb + 1, indicator);
            Some(Ok(words))
        }
        None => {
            let first = behind.first()?.to_str()?;
            if first.starts_with('-') {
                let lacking = || {
                    Error::usage("`phds query` needs an indicator: what the table shall tell")
                        .hint(format!("write `phds query coverage …`, or one of {}", indicators.join(", ")))
                };
                return behind.iter().any(|word| word == "--measure" || word == "--by").then(|| Err(lacking()));
            }
            (first != "help" && !Path::new(first).exists()).then(|| Err(no_question(first)))
        }
    }
}

/// That a word is neither an indicator nor a file of questions.
pub fn no_question(word: &str) -> Error {
    let indicators = indicators();
    let near = nearest(word, indicators.iter().map(String::as_str), "phds query --help");
    Error::usage(format!("there is no indicator and no file of questions `{word}`")).hint(near)
}

impl Question {
    /// What is asked, and how the table is wanted.
    pub fn ask(&self) -> (Ask, &Table) {
        match self {
            Self::Coverage(typed) => typed.ask(Indicator::Coverage),
            Self::Late(typed) => typed.ask(Indicator::Late),
            Self::OnTime(typed) => typed.ask(Indicator::OnTime),
            Self::Dropout(typed) => {
                let (ask, table) = typed.share.ask(Indicator::Dropout);
                (Ask { to: Some(typed.to.clone()), ..ask }, table)
            }
            Self::Potential(typed) => typed.ask(Indicator::Potential),
            Self::Missed(typed) => typed.ask(Indicator::Missed),
            Self::OneVisit(typed) => typed.ask(Indicator::OneVisit),
            Self::Missing(typed) => typed.ask(Indicator::Missing),
            Self::Curve(typed) => typed.ask(Indicator::Curve),
            Self::Doses(table) => (table.ask(Indicator::Doses), table),
        }
    }
}

/// Which month is asked.
#[derive(Debug, Args)]
pub struct Month {
    /// The store [default: `store` of the settings]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The month [default: the newest that is loaded]
    #[arg(long, value_name = "YYYY-MM")]
    pub period: Option<ReportingPeriod>,
}

/// For whom the answers are.
#[derive(Debug, Args)]
pub struct Purpose {
    /// For the staff of the department, or for everybody: audited with all that was published before, and noted for good
    #[arg(long, value_enum, default_value_t)]
    pub audience: For,
    /// Only say how much would be shown, and release nothing
    #[arg(long, id = "dry_run")]
    pub dry_run: bool,
    /// Folder in which releases for the staff are kept [default: `query.releases` of the settings, or else in the store]
    #[arg(long, value_name = "DIR")]
    pub keep_in: Option<PathBuf>,
}

/// Who may see the answers.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum For {
    /// The staff of the department, who lawfully hold the file
    #[default]
    Internal,
    /// Everybody
    Public,
}

impl From<For> for Audience {
    fn from(who: For) -> Self {
        match who {
            For::Internal => Self::Internal,
            For::Public => Self::Public,
        }
    }
}

/// A question about a share of clients.
#[derive(Debug, Args)]
pub struct Share {
    /// The measure, such as nis.mmr1; `phds measures` lists them
    #[arg(long, value_name = "ID")]
    pub measure: String,
    /// What the rates are shares of; several side by side with commas [default: clients]
    #[arg(long = "denominator", value_name = "NAME,…", value_delimiter = ',')]
    pub denominators: Vec<String>,
    /// Rates as if all groups had the same make-up by this dimension of the table
    #[arg(long, value_name = "DIM")]
    pub standardize: Option<String>,
    /// With `--by organization`: limits between which organizations lie that differ by chance alone
    #[arg(long)]
    pub funnel: bool,
    /// For the public: where too little of the table could be shown, publish the next coarser one
    #[arg(long)]
    pub coarsen: bool,
    /// The table.
    #[command(flatten)]
    pub table: Table,
}

impl Share {
    fn ask(&self, indicator: Indicator) -> (Ask, &Table) {
        let ask = Ask {
            measure: Some(self.measure.clone()),
            denominators: self.denominators.clone(),
            standardize: self.standardize.clone(),
            funnel: self.funnel,
            coarsen: self.coarsen,
            ..self.table.ask(indicator)
        };
        (ask, &self.table)
    }
}

/// `phds query dropout`
#[derive(Debug, Args)]
pub struct Dropout {
    /// Of whom, from which measure.
    #[command(flatten)]
    pub share: Share,
    /// The later measure: who did not get to it
    #[arg(long, value_name = "ID")]
    pub to: String,
}

/// A question about a measure that takes no denominator.
#[derive(Debug, Args)]
pub struct OfMeasure {
    /// The measure, such as nis.4313314; `phds measures` lists them
    #[arg(long, value_name = "ID")]
    pub measure: String,
    /// The table.
    #[command(flatten)]
    pub table: Table,
}

impl OfMeasure {
    fn ask(&self, indicator: Indicator) -> (Ask, &Table) {
        (Ask { measure: Some(self.measure.clone()), ..self.table.ask(indicator) }, &self.table)
    }
}

/// What every question has: a month, dimensions, filters, and a place for the answer.
#[derive(Debug, Args)]
pub struct Table {
    /// Which month.
    #[command(flatten)]
    pub month: Month,
    /// For whom.
    #[command(flatten)]
    pub purpose: Purpose,
    /// Its rows.
    #[command(flatten)]
    pub rows: TableRows,
    /// With `--by organization`: whose client is whose [default: last]
    #[arg(long, value_enum, value_name = "RULE")]
    pub attribution: Option<AttributionChoice>,
    /// How to print or write it [default: as the ending of FILE says; on a screen, a table for people]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Begin CSV with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    pub bom: bool,
    /// Write to a file, with its description beside it, in place of printing: .csv, .xlsx, .json, .parquet, .arrow, .md, .tex, .txt
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Table {
    fn ask(&self, indicator: Indicator) -> Ask {
        Ask { attribution: self.attribution, ..self.rows.ask(indicator) }
    }
}

/// The rows of a table: their groups, their clients, and until when doses count.
#[derive(Debug, Args)]
pub struct TableRows {
    /// Dimensions of the table, which `phds dimensions` lists [default: none, all together in one row]
    #[arg(long, value_name = "DIM,…", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Only clients with one of these values; may be given for several dimensions
    #[arg(long = "where", value_name = "DIM=VALUE[,VALUE…]", value_parser = parse_where)]
    pub filters: Vec<Where>,
    /// The last day that counts, the last of some month [default: the last day of the reporting period]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub as_of: Option<NaiveDate>,
}

impl TableRows {
    /// A question that asks an indicator for these rows.
    fn ask(&self, indicator: Indicator) -> Ask {
        Ask { by: self.by.clone(), filters: self.filters.clone(), as_of: self.as_of, ..Ask::of(indicator) }
    }
}

/// `phds plot`
#[derive(Debug, Args)]
#[command(after_help = PLOT_EXAMPLES)]
pub struct Plot {
    /// A table (CSV or JSON) that `phds query … --out FILE` wrote, with its description beside it; or the folder of both
    pub release: PathBuf,
    /// What to draw
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// Write to FILE.svg or FILE.png, in place of printing SVG
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The title [default: measure, dimensions and month]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Shapes of places for a map, as GeoJSON [default: the built-in counties and regions]
    #[arg(long, value_name = "FILE", requires = "shape_key")]
    pub shapes: Option<PathBuf>,
    /// The property of each shape that holds the label of the table, such as a ZIP code
    #[arg(long, value_name = "PROPERTY", requires = "shapes")]
    pub shape_key: Option<String>,
}

/// `phds report`
#[derive(Debug, Args)]
pub struct Report {
    /// The page; its releases are written into a folder beside it that is called like it
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// Which month.
    #[command(flatten)]
    pub month: Month,
    /// What to ask the month, as for `phds query FILE` [default: what `--example` prints]
    #[arg(long, value_name = "FILE")]
    pub questions: Option<PathBuf>,
    /// Folder in which the releases are kept [default: `query.releases` of the settings, or else in the store]
    #[arg(long, value_name = "DIR")]
    pub keep_in: Option<PathBuf>,
    /// Print the questions that are built in, to begin with, and ask nothing
    #[arg(long, exclusive = true)]
    pub example: bool,
    /// Make the page of releases that are there, a folder for each, and ask nothing: no store is needed. The one in the folder
    /// `headline` is the number at the top
    #[arg(long, value_name = "DIR", conflicts_with_all = ["store", "period", "questions", "keep_in"])]
    pub releases: Option<PathBuf>,
    /// Folder of the releases of the month before, for what changed [default: those that are kept]
    #[arg(long, value_name = "DIR")]
    pub earlier: Option<PathBuf>,
    /// Shapes of ZIP codes for a map, as GeoJSON
    #[arg(long, value_name = "FILE", requires = "shape_key")]
    pub shapes: Option<PathBuf>,
    /// The property of each shape that holds the ZIP code
    #[arg(long, value_name = "PROPERTY", requires = "shapes")]
    pub shape_key: Option<String>,
}

/// `phds compare`
#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub struct Compare {
    /// A release of the earlier month: its table (CSV or JSON), or the folder of table and description
    pub earlier: PathBuf,
    /// The same question's release of the later month
    pub later: PathBuf,
    /// How to print or write it [default: as the ending of FILE says; on a screen, a table for people]
    #[arg(long, value_enum)]
    pub format: Option<ComparisonFormat>,
    /// Write to a file in place of printing: .csv, .xlsx, .json, .txt
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How a comparison is printed or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ComparisonFormat {
    /// For people, on a terminal
    Table,
    /// Comma-separated values, UTF-8
    Csv,
    /// An Excel workbook, with its notes on a second sheet
    Xlsx,
    /// An array of objects, one for each group
    Json,
}

impl From<ComparisonFormat> for Format {
    fn from(format: ComparisonFormat) -> Self {
        match format {
            ComparisonFormat::Table => Self::Table,
            ComparisonFormat::Csv => Self::Csv,
            ComparisonFormat::Xlsx => Self::Xlsx,
            ComparisonFormat::Json => Self::Json,
        }
    }
}

/// `phds protect`
#[derive(Debug, Args)]
pub struct Protect {
    /// The table: CSV with a row for each cell, and rows for all totals or for none
    pub file: PathBuf,
    /// What makes a table of the columns.
    #[command(flatten)]
    pub columns: TableColumns,
    /// Give every cell a number, in place of suppressing: a multiple of BASE next to its count, the totals still sums; 0
    /// stands for 0 to BASE - 1 [default BASE: 5]
    #[arg(long, value_name = "BASE", num_args = 0..=1, default_missing_value = "5", conflicts_with = "k")]
    #[arg(value_parser = base)]
    pub round: Option<u64>,
    /// The file to write: the dimensions, the count (empty where suppressed) and a status
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// A base of `--round`. What stands there may be the table, because a base may be left away.
fn base(typed: &str) -> Result<u64, String> {
    match typed.parse() {
        Ok(base @ 3..=100) => Ok(base),
        Ok(_) => Err("a base is 3 to 100".to_owned()),
        Err(_) => Err("not a base of 3 to 100; the table stands before `--round`, or behind `--round BASE`".to_owned()),
    }
}

/// `phds audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// The table: CSV with a row for each cell, the count empty where it is suppressed; in several, the same labels mean
    /// the same cells, and one without the column of a dimension is a total in it
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What makes a table of the columns.
    #[command(flatten)]
    pub columns: TableColumns,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Columns that are levels of one dimension, the finest first.
pub type Levels = Vec<String>;

/// What makes a table of the columns of a file.
#[derive(Debug, Args)]
pub struct TableColumns {
    /// The columns that are its dimensions
    #[arg(long, value_name = "DIM,…", value_delimiter = ',', required = true)]
    pub by: Vec<String>,
    /// The column of the counts of persons
    #[arg(long, value_name = "COL")]
    pub count: String,
    /// Dimensions that are levels of one, the finest first: `zip:county` where counties are sums of ZIP codes, each ZIP code
    /// below its county; may be given several times
    #[arg(long, value_name = "FINE:COARSE", value_parser = parse_levels)]
    pub within: Vec<Levels>,
    /// The label of totals
    #[arg(long, value_name = "LABEL", default_value = "Total")]
    pub total: String,
    /// No count of 1 to N - 1 is shown; 5 or more [default: that of the policy]
    #[arg(long, value_name = "N")]
    pub k: Option<u64>,
}

/// `phds measures`
#[derive(Debug, Args)]
pub struct Measures {
    /// A measure to explain: what counts, by when, which vaccines, and what it is not; or words, to list the measures that
    /// have them
    #[arg(id = "measures", value_name = "ID or WORD")]
    pub words: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// All measures as one page in Markdown
    #[arg(long, conflicts_with_all = ["measures", "json"])]
    pub markdown: bool,
    /// Go through files of cases: histories that you invent, and what you have counted by hand. Tells where the measures
    /// answer otherwise
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["measures", "json", "markdown"])]
    pub cases: Vec<PathBuf>,
}

/// `phds dimensions`
#[derive(Debug, Args)]
pub struct Dimensions {
    /// List the values of this one, for `--where`
    #[arg(id = "dimension", value_name = "NAME")]
    pub name: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `phds dictionary`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Dictionary {
    /// What to do in place of printing.
    #[command(subcommand)]
    pub action: Option<DictionaryAction>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: DictionaryFormat,
    /// As JSON: short for --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// What can be done with a dictionary beside printing it.
#[derive(Debug, Subcommand)]
pub enum DictionaryAction {
    /// Make a dictionary file of a table (CSV or XLSX) that describes the columns of the file
    Import(Import),
}

/// `phds dictionary import`
#[derive(Debug, Args)]
pub struct Import {
    /// The table: one row for each column of the file
    pub file: PathBuf,
    /// Folder for dictionary.toml and its codelists; must be missing or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The sheet of an Excel file [default: the only one that reads like a dictionary]
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Which column of the table (title or number) tells the header, aliases, title, description, type, format, length,
    /// required, nullable, codes, identifier or position; empty for none; may be given several times
    #[arg(long = "map", value_name = "WHAT=COLUMN", value_parser = parse_map)]
    pub columns: Vec<(Key, String)>,
    /// Which field of ours a header of the table is, by its name in `phds dictionary --json`, or `new`; may be given several
    /// times
    #[arg(long = "field", value_name = "HEADER=FIELD", value_parser = parse_field)]
    pub fields: Vec<(String, String)>,
    /// Id of the edition [default: that of the built-in dictionary]
    #[arg(long, value_name = "TEXT")]
    pub id: Option<String>,
    /// Version of the edition [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,
    /// Where the table is from [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
}

/// How the dictionary is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DictionaryFormat {
    /// For people, on a terminal
    #[default]
    Table,
    /// All that it says, with codelists and dimensions
    Json,
    /// One row for each column of the file, as `phds dictionary import` reads it
    Csv,
    /// The columns of the file as a Frictionless Table Schema 1.0
    TableSchema,
    /// One row of the file as a JSON Schema 2020-12
    JsonSchema,
}

/// `phds explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// Code of the rule, such as PHDS-R01 or r01; without it, all rules are listed
    pub code: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// All rules as one page in Markdown
    #[arg(long, conflicts_with_all = ["code", "json"])]
    pub markdown: bool,
}

/// `phds synth`
#[derive(Debug, Args)]
pub struct Synth {
    /// Number of invented clients
    #[arg(long, value_name = "N")]
    pub clients: u64,
    /// The month that the file describes
    #[arg(long, value_name = "YYYY-MM")]
    pub period: ReportingPeriod,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Where to write the CSV
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Share of rows with a planted fault, 0 to 0.5; what was planted where goes to a JSON file beside the CSV
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub faults: f64,
}

/// `phds man`
#[derive(Debug, Args)]
pub struct Manual {
    /// Write the pages of phds and of every verb into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `phds schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Name of the schema; without it, all are listed, with what keeps to them
    pub name: Option<String>,
}

/// `phds completions`
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

fn parse_day(text: &str) -> Result<NaiveDate, Error> {
    text.parse().map_err(|_| Error::usage("a day is written YYYY-MM-DD, for example 2024-12-31"))
}

fn parse_map(text: &str) -> Result<(Key, String), Error> {
    let keys = || Key::ALL.iter().map(|key| key.word()).collect::<Vec<_>>().join(", ");
    let split = text
        .split_once('=')
        .and_then(|(key, column)| Some((Key::ALL.into_iter().find(|known| known.word() == key.trim())?, column)));
    let (key, column) = split.ok_or_else(|| Error::usage(format!("write WHAT=COLUMN, with one of: {}", keys())))?;
    Ok((key, column.trim().to_owned()))
}

fn parse_field(text: &str) -> Result<(String, String), Error> {
    // A header may hold an equals sign, a name of ours cannot.
    let split = text.rsplit_once('=').map(|(header, name)| (header.trim().to_owned(), name.trim().to_owned()));
    split
        .filter(|(header, name)| !header.is_empty() && !name.is_empty())
        .ok_or_else(|| Error::usage("write HEADER=FIELD, for example 'BIRTH DT=birth_date' or 'SCHOOL=new'"))
}

fn parse_levels(text: &str) -> Result<Levels, Error> {
    let levels: Levels = text.split(':').map(|level| level.trim().to_owned()).collect();
    if levels.len() < 2 || levels.iter().any(String::is_empty) {
        return Err(Error::usage("write FINE:COARSE, for example zip:county, or zip:county:region"));
    }
    Ok(levels)
}

fn parse_indicator(text: &str) -> Result<Indicator, Error> {
    let names = Indicator::ALL.map(Indicator::name);
    let wrong = || Error::usage(format!("one of {}", names.join(", ")));
    Indicator::ALL.into_iter().find(|indicator| indicator.name() == text).ok_or_else(wrong)
}

fn parse_where(text: &str) -> Result<Where, Error> {
    let wrong = || Error::usage("write DIM=VALUE or DIM=VALUE,VALUE, for example county=Travis,Hays");
    let (dimension, values) = text.split_once('=').ok_or_else(wrong)?;
    let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
    if dimension.is_empty() || values.iter().any(String::is_empty) {
        return Err(wrong());
    }
    Ok(Where { dimension: dimension.trim().to_owned(), values })
}
