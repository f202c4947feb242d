//! What is typed about the account, its server and the files there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::period::ReportingPeriod;

const INIT_EXAMPLES: &str = "\
Examples:
  phds init                           asks for everything, and looks whether it works
  phds init --yes --host sftp.example.org --user clinic --password-file password \\
            --host-key SHA256:… --counties Travis,Hays --schedule systemd
  phds init --yes --force --user clinic2 --no-doctor    another user, all else as it is";

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
    /// Show a line for cron or a command prompt of Windows, or write phds.service and phds.timer beside the settings file
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
    /// A task of Windows.
    TaskScheduler,
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
