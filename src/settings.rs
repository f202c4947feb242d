//! What was meant: arguments, `phds.toml` and environment, merged once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::check::Ruleset;
use crate::check::ruleset::Override;
use crate::dictionary::Dictionary;
use crate::disclosure::Policy;
use crate::error::{Error, Result};
use crate::fetch::Source;
use crate::fetch::ftps::{FtpsSettings, FtpsSource, Tls};
use crate::fetch::pick::NamePattern;
use crate::fetch::sftp::{Credential, SftpSettings, SftpSource};
use crate::measure::Measures;
use crate::secret::SecretSource;

/// The file that is read from the working directory when no other is named.
pub const FILE: &str = "phds.toml";

/// Largest share of rejected rows that is accepted unless the settings say otherwise.
const MAX_REJECTED_SHARE: f64 = 0.05;

/// The environment variable that may hold the password of the source.
const PASSWORD_VARIABLE: &str = "PHDS_PASSWORD";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    store: Option<PathBuf>,
    source: Option<SourceDocument>,
    dictionary: DictionaryDocument,
    check: CheckDocument,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceDocument {
    protocol: Protocol,
    host: String,
    port: Option<u16>,
    user: String,
    #[serde(default = "login_folder")]
    folder: String,
    pattern: String,
    password_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    key_passphrase_file: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    host_key: Option<String>,
    tls: Option<TlsDocument>,
    ca_file: Option<PathBuf>,
    cert_sha256: Option<String>,
    #[serde(default = "timeout_seconds")]
    timeout_seconds: u64,
    #[serde(default = "max_reads")]
    max_reads: usize,
}

impl SourceDocument {
    /// A setting of the other protocol would be left out silently, and a pin that is not looked at is worse than none.
    fn check(&self) -> Result<()> {
        let (protocol, others): (_, &[(&str, bool)]) = match self.protocol {
            Protocol::Sftp => (
                "sftp",
                &[
                    ("tls", self.tls.is_some()),
                    ("ca_file", self.ca_file.is_some()),
                    ("cert_sha256", self.cert_sha256.is_some()),
                ],
            ),
            Protocol::Ftps => (
                "ftps",
                &[
                    ("host_key", self.host_key.is_some()),
                    ("known_hosts", self.known_hosts.is_some()),
                    ("key_file", self.key_file.is_some()),
                    ("key_passphrase_file", self.key_passphrase_file.is_some()),
                ],
            ),
        };
        match others.iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => Err(Error::usage(format!("`source.{name}` means nothing to the protocol `{protocol}`"))
                .hint("take it out, or set `source.protocol` to the other one")),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TlsDocument {
    Explicit,
    Implicit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    Sftp,
    Ftps,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DictionaryDocument {
    file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckDocument {
    max_rejected_share: Option<f64>,
    severity: BTreeMap<String, Override>,
}

fn login_folder() -> String {
    ".".to_owned()
}

fn timeout_seconds() -> u64 {
    30
}

fn max_reads() -> usize {
    48
}

/// The secure FTP account that deliveries come from.
#[derive(Debug)]
pub struct Account {
    /// What the monthly file is called.
    pub pattern: NamePattern,
    server: Server,
    password: SecretSource,
}

#[derive(Debug)]
enum Server {
    Sftp { settings: SftpSettings, key: Option<(PathBuf, Option<SecretSource>)> },
    Ftps(FtpsSettings),
}

impl Account {
    /// Reads the credential and connects. The credential is the key file where one is set, else the password from its
    /// file, from the environment variable `PHDS_PASSWORD`, or from a prompt.
    pub fn connect(&self) -> Result<Box<dyn Source>> {
        match &self.server {
            Server::Sftp { settings, key: Some((path, passphrase)) } => {
                let passphrase = passphrase.as_ref().map(SecretSource::read).transpose()?;
                let key = Credential::Key { path: path.clone(), passphrase };
                Ok(Box::new(SftpSource::connect(settings, &key)?))
            }
            Server::Sftp { settings, key: None } => {
                Ok(Box::new(SftpSource::connect(settings, &Credential::Password(self.password.read()?))?))
            }
            Server::Ftps(settings) => Ok(Box::new(FtpsSource::connect(settings, &self.password.read()?)?)),
        }
    }
}

/// Everything that was meant, with its knowledge files loaded.
#[derive(Debug)]
pub struct Settings {
    /// The dictionary in force.
    pub dictionary: Dictionary,
    /// The rules in force.
    pub rules: Ruleset,
    /// The measures in force.
    pub measures: Measures,
    /// The disclosure policy in force.
    pub policy: Policy,
    /// The account, when one is set up.
    pub account: Option<Account>,
    /// The largest share of rejected rows that is accepted, 0 to 1.
    pub max_rejected_share: f64,
    store: Option<PathBuf>,
}

impl Settings {
    /// Merges the settings file over the defaults. `config` names the file; without it, `phds.toml` of the working
    /// directory is taken when it is there. Paths in the file are relative to it.
    pub fn resolve(config: Option<&Path>) -> Result<Self> {
        let default = Path::new(FILE);
        let path = config.or_else(|| default.exists().then_some(default));
        let (document, folder) = match path {
            Some(path) => {
                let text = crate::knowledge::read(path)?;
                let document = crate::knowledge::parse(&path.display().to_string(), &text)?;
                (document, path.parent().unwrap_or(Path::new("")))
            }
            None => (Document::default(), Path::new("")),
        };
        let max_rejected_share = document.check.max_rejected_share.unwrap_or(MAX_REJECTED_SHARE);
        if !(0.0..=1.0).contains(&max_rejected_share) {
            return Err(Error::usage("`check.max_rejected_share` is a share from 0 to 1, for example 0.05"));
        }
        let dictionary = match &document.dictionary.file {
            Some(file) => Dictionary::with_overrides(&folder.join(file))?,
            None => Dictionary::built_in()?,
        };
        Ok(Self {
            rules: Ruleset::built_in(&dictionary)?.with_policy(document.check.severity)?,
            measures: Measures::built_in(&dictionary)?,
            dictionary,
            policy: Policy::built_in()?,
            account: document.source.map(|source| account(source, folder)).transpose()?,
            max_rejected_share,
            store: document.store.map(|store| folder.join(store)),
        })
    }

    /// The store named on the command line, or else in the settings file.
    pub fn store(&self, typed: Option<&Path>) -> Result<PathBuf> {
        typed.map(Path::to_owned).or_else(|| self.store.clone()).ok_or_else(|| {
            Error::usage("no store is named").hint(format!("add `--store DIR`, or set `store` in {FILE}"))
        })
    }

    /// The account, or how to set one up.
    pub fn account(&self) -> Result<&Account> {
        self.account.as_ref().ok_or_else(|| {
            Error::usage("no source is set up")
                .hint(format!("`phds init` writes a {FILE} to fill in; or name the file: `phds load FILE …`"))
        })
    }
}

fn account(source: SourceDocument, folder: &Path) -> Result<Account> {
    source.check()?;
    let password = match source.password_file {
        Some(path) => SecretSource::File(folder.join(path)),
        None if std::env::var_os(PASSWORD_VARIABLE).is_some() => {
            SecretSource::Environment(PASSWORD_VARIABLE.to_owned())
        }
        None => SecretSource::Prompt { text: format!("Password of {}@{}: ", source.user, source.host) },
    };
    let pattern = NamePattern::parse(&source.pattern)?;
    let timeout = Duration::from_secs(source.timeout_seconds.clamp(1, 3600));
    let server = match source.protocol {
        Protocol::Sftp => {
            let known_hosts = match source.known_hosts {
                Some(path) => folder.join(path),
                None => std::env::home_dir()
                    .map(|home| home.join(".ssh/known_hosts"))
                    .ok_or_else(|| Error::usage("there is no home directory").hint("set `source.known_hosts`"))?,
            };
            let passphrase = source.key_passphrase_file.map(|path| SecretSource::File(folder.join(path)));
            Server::Sftp {
                key: source.key_file.map(|path| (folder.join(path), passphrase)),
                settings: SftpSettings {
                    host: source.host,
                    port: source.port.unwrap_or(22),
                    user: source.user,
                    folder: source.folder,
                    known_hosts,
                    host_key: source.host_key,
                    timeout,
                    max_reads: source.max_reads.clamp(1, 256),
                },
            }
        }
        Protocol::Ftps => {
            let tls = match source.tls {
                Some(TlsDocument::Implicit) => Tls::Implicit,
                Some(TlsDocument::Explicit) | None => Tls::Explicit,
            };
            Server::Ftps(FtpsSettings {
                host: source.host,
                port: source.port.unwrap_or(tls.standard_port()),
                user: source.user,
                folder: source.folder,
                tls,
                ca_file: source.ca_file.map(|path| folder.join(path)),
                cert_sha256: source.cert_sha256,
                timeout,
            })
        }
    };
    Ok(Account { pattern, server, password })
}
