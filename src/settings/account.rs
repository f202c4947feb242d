//! A secure FTP account: where it is, who we are there, and what we trust.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;
use serde::Deserialize;

use super::refused::Memory;
use crate::cli::Connection;
use crate::error::{Error, Result};
use crate::fetch::ftps::{FtpsSettings, FtpsSource, Tls};
use crate::fetch::pick::Names;
use crate::fetch::sftp::{Credential, SftpSettings, SftpSource};
use crate::fetch::{Link, Observation, Retry, Source, ftps, sftp};
use crate::progress::Reporter;
use crate::secret::{self, SecretSource};

/// The name of the account of the monthly file.
pub const MONTHLY: &str = "phds";

/// The environment variable, and the credential of systemd, that may hold the password of the account [`MONTHLY`].
/// Those of any other account have its name at the end.
const VARIABLE: &str = "PHDS_PASSWORD";
const CREDENTIAL: &str = "phds-password";

/// `[accounts.NAME]` of the settings file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountDocument {
    protocol: Protocol,
    host: String,
    port: Option<u16>,
    user: String,
    folder: Option<String>,
    pattern: Option<String>,
    dictionary_pattern: Option<String>,
    mirror_folders: Option<Vec<String>>,
    password_file: Option<PathBuf>,
    password_command: Option<String>,
    password_keyring: Option<bool>,
    password_changed: Option<toml::value::Datetime>,
    key_file: Option<PathBuf>,
    key_passphrase_file: Option<PathBuf>,
    key_agent: Option<bool>,
    agent_key: Option<String>,
    known_hosts: Option<PathBuf>,
    host_key: Option<String>,
    legacy_ssh: Option<bool>,
    tls: Option<TlsDocument>,
    ca_file: Option<PathBuf>,
    cert_sha256: Option<String>,
    timeout_seconds: Option<u64>,
    max_reads: Option<u64>,
    min_age_seconds: Option<u64>,
    attempts: Option<u64>,
    retry_seconds: Option<u64>,
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

/// A secure FTP account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name in the settings.
    pub name: String,
    /// How its files are told apart, where it has monthly ones.
    names: Option<Names>,
    /// The folders of its files that are copied before the server removes them.
    pub mirror_folders: Vec<String>,
    /// For how long a file must not have changed before it is taken.
    pub min_age: Duration,
    /// How often and how patiently work is tried.
    pub retry: Retry,
    /// When the password was last changed, as the department says.
    pub password_changed: Option<NaiveDate>,
    server: Server,
    proof: ProofSource,
}

#[derive(Clone, Debug)]
enum Server {
    Sftp(SftpSettings),
    Ftps(FtpsSettings),
}

/// Where the proof of who we are comes from.
#[derive(Clone, Debug)]
enum ProofSource {
    Password(SecretSource),
    Key { path: PathBuf, passphrase: Option<SecretSource> },
    Agent { key: Option<String> },
}

/// An account with the proof of who we are in hand: it can be connected to again and again.
#[derive(Debug)]
pub struct Login {
    server: Server,
    proof: Credential,
    retry: Retry,
    memory: Option<Memory>,
}

/// Whether what stands for a server can be its name. What is refused is not repeated: there may be a password in it.
pub fn prove_host(host: &str) -> Result<()> {
    if host.contains(['/', '@']) || host.contains(char::is_whitespace) {
        return Err(Error::usage("only the name of the server belongs there, such as sftp.example.org").hint(
            "leave `sftp://`, the user and the folder away: protocol, user, folder and port have settings of their own",
        ));
    }
    Ok(())
}

impl Account {
    /// Reads a document, with paths relative to `folder`, and what was typed over it.
    pub(super) fn resolve(name: &str, document: &AccountDocument, typed: &Connection, folder: &Path) -> Result<Self> {
        let mut document = document.clone();
        let typed = typed.clone();
        document.legacy_ssh = typed.legacy_ssh.then_some(true).or(document.legacy_ssh);
        document.host_key = typed.host_key.or(document.host_key);
        document.max_reads = typed.max_reads.or(document.max_reads);
        document.cert_sha256 = typed.cert_sha256.or(document.cert_sha256);
        document.min_age_seconds = typed.min_age.or(document.min_age_seconds);
        if typed.password_command.is_some() {
            document.take_proof_out();
            document.password_command = typed.password_command;
        }
        // A path that is typed is relative to where it is typed.
        document.ca_file = typed.ca_file.or_else(|| document.ca_file.map(|path| folder.join(path)));
        document.check(name, typed.accept_new_host_key)?;

        let names = document
            .pattern
            .as_deref()
            .map(|pattern| Names::new(pattern, document.dictionary_pattern.as_deref().unwrap_or("*dictionary*")));
        let timeout = Duration::from_secs(document.timeout_seconds.unwrap_or(30));
        let login_folder = document.folder.clone().unwrap_or_else(|| ".".to_owned());
        let server = match document.protocol {
            Protocol::Sftp => Server::Sftp(SftpSettings {
                host: document.host.clone(),
                port: document.port.unwrap_or(22),
                user: document.user.clone(),
                folder: login_folder,
                known_hosts: match &document.known_hosts {
                    Some(path) => folder.join(path),
                    None => std::env::home_dir()
                        .map(|home| home.join(".ssh/known_hosts"))
                        .ok_or_else(|| Error::usage("there is no home directory").hint("set `known_hosts`"))?,
                },
                host_key: document.host_key.clone(),
                accept_new_host_key: typed.accept_new_host_key,
                legacy_ssh: document.legacy_ssh.unwrap_or(false),
                timeout,
                max_reads: document.max_reads.map_or(64, |reads| usize::try_from(reads).unwrap_or(usize::MAX)),
            }),
            Protocol::Ftps => {
                let tls = match document.tls {
                    Some(TlsDocument::Implicit) => Tls::Implicit,
                    Some(TlsDocument::Explicit) | None => Tls::Explicit,
                };
                Server::Ftps(FtpsSettings {
                    host: document.host.clone(),
                    port: document.port.unwrap_or(tls.standard_port()),
                    user: document.user.clone(),
                    folder: login_folder,
                    tls,
                    ca_file: document.ca_file.clone(),
                    cert_sha256: document.cert_sha256.clone(),
                    timeout,
                })
            }
        };
        let defaults = Retry::default();
        Ok(Self {
            name: name.to_owned(),
            names: names.transpose()?,
            mirror_folders: document.mirror_folders.clone().unwrap_or_default(),
            min_age: Duration::from_secs(document.min_age_seconds.unwrap_or(60)),
            retry: Retry {
                attempts: document
                    .attempts
                    .map_or(defaults.attempts, |attempts| u32::try_from(attempts).unwrap_or(u32::MAX)),
                first_wait: document.retry_seconds.map_or(defaults.first_wait, Duration::from_secs),
                ..defaults
            },
            password_changed: document.password_changed.map(day).transpose()?,
            proof: proof(name, &document, folder),
            server,
        })
    }

    /// How its files are told apart. An account without a pattern has no monthly file.
    pub fn names(&self) -> Result<&Names> {
        self.names.as_ref().ok_or_else(|| {
            Error::usage(format!("the account `{}` has no `pattern`, so it has no monthly file", self.name))
                .hint("set `pattern`, or name another account with `--account`; `phds mirror` copies other files")
        })
    }

    /// Protocol, user, host and port, for people.
    pub fn address(&self) -> String {
        match &self.server {
            Server::Sftp(settings) => format!("sftp {}@{}:{}", settings.user, settings.host, settings.port),
            Server::Ftps(settings) => {
                let tls = if settings.tls == Tls::Implicit { "ftps (implicit)" } else { "ftps" };
                format!("{tls} {}@{}:{}", settings.user, settings.host, settings.port)
            }
        }
    }

    /// What proves who we are, for people.
    pub fn proof(&self) -> String {
        match &self.proof {
            ProofSource::Password(source) => format!("a password from {source}"),
            ProofSource::Key { path, passphrase } => {
                let passphrase = passphrase.as_ref().map(|source| format!(", its passphrase from {source}"));
                format!("the key file `{}`{}", path.display(), passphrase.unwrap_or_default())
            }
            ProofSource::Agent { .. } => "a key of the SSH agent".to_owned(),
        }
    }

    /// The files of the proof that are there from run to run. What systemd hands over is a new file each time.
    pub(super) fn proof_files(&self) -> impl Iterator<Item = &Path> {
        let (key, secret) = match &self.proof {
            ProofSource::Password(source) => (None, Some(source)),
            ProofSource::Key { path, passphrase } => (Some(path.as_path()), passphrase.as_ref()),
            ProofSource::Agent { .. } => (None, None),
        };
        let secret = secret.and_then(|source| match source {
            SecretSource::File(path) => Some(path.as_path()),
            _ => None,
        });
        key.into_iter().chain(secret)
    }

    /// Whether the proof could be read, as far as that can be seen without reading it, or asking anybody.
    pub fn look_at_proof(&self) -> Result<()> {
        match &self.proof {
            ProofSource::Password(source) | ProofSource::Key { passphrase: Some(source), .. } => source.look(),
            ProofSource::Key { passphrase: None, .. } | ProofSource::Agent { .. } => Ok(()),
        }
    }

    /// What can be seen of the server without a login.
    pub fn examine(&self) -> Vec<Observation> {
        match &self.server {
            Server::Sftp(settings) => sftp::examine(settings),
            Server::Ftps(settings) => ftps::examine(settings),
        }
    }

    /// Reads, or asks for, the proof of who we are.
    pub fn login(&self) -> Result<Login> {
        let proof = match &self.proof {
            ProofSource::Password(source) => Credential::Password(source.read()?),
            ProofSource::Key { path, passphrase } => Credential::Key {
                path: path.clone(),
                passphrase: passphrase.as_ref().map(SecretSource::read).transpose()?,
            },
            ProofSource::Agent { key } => Credential::Agent { key: key.clone() },
        };
        Ok(Login { server: self.server.clone(), proof, retry: self.retry, memory: None })
    }
}

impl Login {
    /// The same, with refusals noted in a store and forgotten after a login that went well.
    #[must_use]
    pub fn remembered(self, memory: impl Into<Option<Memory>>) -> Self {
        Self { memory: memory.into(), ..self }
    }

    /// A link to the account, or to another of its folders; it connects when it is first used.
    pub fn link<'a>(&'a self, folder: Option<&str>, reporter: &'a dyn Reporter) -> Link<'a> {
        let mut server = self.server.clone();
        if let Some(folder) = folder {
            match &mut server {
                Server::Sftp(settings) => folder.clone_into(&mut settings.folder),
                Server::Ftps(settings) => folder.clone_into(&mut settings.folder),
            }
        }
        let connect = move || {
            let outcome = connect(&server, &self.proof);
            self.memory.iter().for_each(|memory| memory.learn(&outcome));
            outcome
        };
        Link::new(connect, self.retry, reporter)
    }
}

fn connect(server: &Server, proof: &Credential) -> Result<Box<dyn Source>> {
    Ok(match (server, proof) {
        (Server::Sftp(settings), proof) => Box::new(SftpSource::connect(settings, proof)?),
        (Server::Ftps(settings), Credential::Password(password)) => Box::new(FtpsSource::connect(settings, password)?),
        (Server::Ftps(_), _) => return Err(Error::internal("an FTPS account without a password")),
    })
}

impl AccountDocument {
    /// Forgets where the proof of who we are comes from.
    fn take_proof_out(&mut self) {
        (self.password_file, self.password_command, self.password_keyring) = (None, None, None);
        (self.key_file, self.key_passphrase_file, self.key_agent, self.agent_key) = (None, None, None, None);
    }

    /// Settings that would be left out silently: a pin that is not looked at is worse than none.
    fn check(&self, name: &str, accept_new_host_key: bool) -> Result<()> {
        // So that no two accounts have one environment variable.
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(Error::usage("the name of an account has lower-case letters, digits and `_` only"));
        }
        prove_host(&self.host).map_err(|error| error.within(&format!("`host` of the account `{name}`")))?;
        for (setting, value, least, most) in [
            ("timeout_seconds", self.timeout_seconds, 1, 3_600),
            ("min_age_seconds", self.min_age_seconds, 0, 3_600),
            ("max_reads", self.max_reads, 1, 256),
            ("attempts", self.attempts, 1, 100),
            ("retry_seconds", self.retry_seconds, 0, 60),
        ] {
            if value.is_some_and(|value| value < least || value > most) {
                return Err(Error::usage(format!("`{setting}` of the account `{name}` is from {least} to {most}")));
            }
        }
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
                    ("--accept-new-host-key", accept_new_host_key),
                    ("legacy_ssh", self.legacy_ssh.is_some()),
                    ("max_reads", self.max_reads.is_some()),
                    ("known_hosts", self.known_hosts.is_some()),
                    ("key_file", self.key_file.is_some()),
                    ("key_passphrase_file", self.key_passphrase_file.is_some()),
                    ("key_agent", self.key_agent.is_some()),
                    ("agent_key", self.agent_key.is_some()),
                ],
            ),
        };
        if let Some((setting, _)) = others.iter().find(|(_, is_set)| *is_set) {
            return Err(Error::usage(format!(
                "`{setting}` means nothing to the protocol `{protocol}` of the account `{name}`"
            ))
            .hint("take it out of the settings or the command, or set `protocol` to the other one"));
        }
        for (setting, is_set, other, is_there) in [
            ("agent_key", self.agent_key.is_some(), "key_agent", self.key_agent == Some(true)),
            ("key_passphrase_file", self.key_passphrase_file.is_some(), "key_file", self.key_file.is_some()),
        ] {
            if is_set && !is_there {
                return Err(Error::usage(format!(
                    "`{setting}` of the account `{name}` means nothing without `{other}`"
                )));
            }
        }
        let proofs = [
            ("password_file", self.password_file.is_some()),
            ("password_command", self.password_command.is_some()),
            ("password_keyring", self.password_keyring == Some(true)),
            ("key_file", self.key_file.is_some()),
            ("key_agent", self.key_agent == Some(true)),
        ];
        let set: Vec<&str> = proofs.iter().filter(|(_, is_set)| *is_set).map(|(setting, _)| *setting).collect();
        match set.as_slice() {
            [] | [_] => Ok(()),
            [first, second, ..] => Err(Error::usage(format!(
                "the account `{name}` has both `{first}` and `{second}`; a login has one proof"
            ))
            .hint("take one of them out")),
        }
    }
}

/// The key where one is set; else the password from where the settings say, from the environment, from systemd, or from
/// a prompt.
fn proof(name: &str, document: &AccountDocument, folder: &Path) -> ProofSource {
    if let Some(path) = &document.key_file {
        let passphrase = document.key_passphrase_file.as_ref().map(|path| SecretSource::File(folder.join(path)));
        return ProofSource::Key { path: folder.join(path), passphrase };
    }
    if document.key_agent == Some(true) {
        return ProofSource::Agent { key: document.agent_key.clone() };
    }
    let is_monthly = name == MONTHLY;
    let variable = if is_monthly { VARIABLE.to_owned() } else { format!("{VARIABLE}_{}", name.to_ascii_uppercase()) };
    let credential = if is_monthly { CREDENTIAL.to_owned() } else { format!("{CREDENTIAL}-{name}") };
    ProofSource::Password(if let Some(path) = &document.password_file {
        SecretSource::File(folder.join(path))
    } else if let Some(command) = &document.password_command {
        SecretSource::Command(command.clone())
    } else if document.password_keyring == Some(true) {
        SecretSource::Keyring { service: "phds".to_owned(), user: format!("{}@{}", document.user, document.host) }
    } else if std::env::var_os(&variable).is_some() {
        SecretSource::Environment(variable)
    } else if secret::credential_exists(&credential) {
        SecretSource::Credential(credential)
    } else {
        SecretSource::Prompt { text: format!("Password of {}@{}: ", document.user, document.host) }
    })
}

fn day(date: toml::value::Datetime) -> Result<NaiveDate> {
    let wrong = || Error::usage("`password_changed` is a day, written 2026-08-31 without quotes");
    let found = date.date.filter(|_| date.time.is_none()).ok_or_else(wrong)?;
    NaiveDate::from_ymd_opt(i32::from(found.year), u32::from(found.month), u32::from(found.day)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(settings: &str, typed: &Connection) -> Account {
        let document =
            toml::from_str(&format!("protocol = 'sftp'\nhost = 'h'\nuser = 'u'\nknown_hosts = 'k'\n{settings}"));
        Account::resolve(MONTHLY, &document.unwrap(), typed, Path::new("folder")).unwrap()
    }

    #[test]
    fn what_is_typed_goes_over_what_the_settings_say() {
        let settings = "legacy_ssh = false\nhost_key = 'SHA256:a'\nmax_reads = 1\nmin_age_seconds = 2";
        let typed = Connection {
            legacy_ssh: true,
            host_key: Some("SHA256:b".to_owned()),
            max_reads: Some(3),
            min_age: Some(4),
            ..Connection::default()
        };
        for (typed, expected) in [(Connection::default(), (false, "SHA256:a", 1, 2)), (typed, (true, "SHA256:b", 3, 4))]
        {
            let account = resolved(settings, &typed);
            let Server::Sftp(server) = &account.server else { panic!("an account over SFTP") };
            let host_key = server.host_key.as_deref().unwrap();
            assert_eq!((server.legacy_ssh, host_key, server.max_reads, account.min_age.as_secs()), expected);
        }
    }

    #[test]
    fn a_password_command_that_is_typed_stands_for_any_other_proof() {
        let typed = Connection { password_command: Some("pass".to_owned()), ..Connection::default() };
        for settings in [
            "",
            "password_file = 'p'",
            "password_command = 'other'",
            "password_keyring = true",
            "key_file = 'k'\nkey_passphrase_file = 'p'",
            "key_agent = true\nagent_key = 'SHA256:a'",
        ] {
            let proof = resolved(settings, &typed).proof;
            assert!(
                matches!(&proof, ProofSource::Password(SecretSource::Command(command)) if command == "pass"),
                "{settings}"
            );
        }
    }
}
