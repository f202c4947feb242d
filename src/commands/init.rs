//! `phds init`: a settings file by questions on a terminal and by flags elsewhere, and what `doctor` says of it.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::cli::{self, InitAccount, Protocol, Schedule};
use crate::dictionary::{self, Dictionary};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::sftp::{self, SftpSettings};
use crate::progress::Reporter;
use crate::settings::Settings;
use crate::settings::account::prove_host;
use crate::{fs, knowledge, terminal};

/// The settings file with every setting as a comment: what is said is filled in, the rest stays to be read.
const TEMPLATE: &str = include_str!("phds.toml");

const SERVICE: &str = include_str!("../../packaging/systemd/phds.service");
const TIMER: &str = include_str!("../../packaging/systemd/phds.timer");

/// What the unit says where the password is a credential, and what where the settings name another source.
const CREDENTIAL: &str = "\
# root reads the password for the service, from a file of mode 0600 that is root's own; the program finds it by its name. It is
# in no environment and no command line.
LoadCredential=phds-password:/etc/phds/password
";
const NO_CREDENTIAL: &str = "\
# The settings say where the password or the key comes from: the user phds must be able to read it.
";

/// The section of the account of the monthly file.
const ACCOUNT: &str = "accounts.phds";

/// The settings that prove who we are: a login has one proof, so that a new one takes the place of the others.
const PROOFS: [&str; 7] = [
    "password_file",
    "password_command",
    "password_keyring",
    "key_file",
    "key_passphrase_file",
    "key_agent",
    "agent_key",
];

/// `phds init`
pub fn init(typed: &cli::Init, reporter: &dyn Reporter) -> Result<()> {
    let asks = typed.ask || (!typed.yes && terminal::can_ask());
    let (file, name) = (typed.file.as_path(), typed.file.display().to_string());
    fs::must_lie_outside_stores(file)?;
    let is_there = file.exists();
    if is_there && !typed.force && !(asks && agrees(&format!("`{name}` is there. Change it?"))?) {
        return Err(Error::usage(format!("`{name}` is already there and is left as it is"))
            .hint("`--force` changes what you name, and keeps the rest"));
    }
    let before = if is_there { knowledge::read(file)? } else { TEMPLATE.to_owned() };
    let mut interview =
        Interview { file, old: knowledge::parse(&name, &before)?, asks, settings: Vec::new(), names_login: true };
    if asks {
        terminal::say("Enter takes what stands in [brackets], - takes none. Nothing is written before the end.\n");
    }
    let has_account = interview.account(&typed.account)?;
    interview.department(typed)?;
    let schedule = interview.schedule(typed.schedule)?;
    let text = filled(&before, &interview.settings, &name)?;

    // What cannot be is said before anything is written.
    let folder = file.parent().unwrap_or(Path::new(""));
    let settings = Settings::parse(&name, &text, folder)?;
    settings.knowledge()?;
    if has_account {
        settings.account(&cli::Connection::default())?;
    }
    fs::write_whole(file, text.as_bytes())?;
    if has_account {
        terminal::say(&format!("`{name}` is written"));
    } else {
        terminal::say(&format!("`{name}` is written: fill in the account"));
    }
    if let Some(schedule) = schedule {
        interview.put_on_schedule(schedule, &settings)?;
    }
    if has_account && !typed.no_doctor {
        let looks =
            cli::Doctor { store: None, no_login: typed.no_login, json: false, connection: cli::Connection::default() };
        super::doctor::doctor(&looks, &settings, reporter)?;
    }
    Ok(())
}

/// Whether the answer to a question is yes; Enter is no.
fn agrees(question: &str) -> Result<bool> {
    let answer = terminal::ask(&format!("{question} [y/N]:"))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// A line of the settings file. Without a value, it is a comment.
struct Setting {
    section: &'static str,
    key: &'static str,
    value: Option<Value>,
}

/// What was typed, what is asked, and what the file said before.
struct Interview<'a> {
    file: &'a Path,
    old: Table,
    asks: bool,
    settings: Vec<Setting>,
    /// Whether the settings say where the proof comes from.
    names_login: bool,
}

impl Interview<'_> {
    fn old(&self, section: &str, key: &str) -> Option<&Value> {
        found(&self.old, section, key)
    }

    fn old_text(&self, section: &str, key: &str) -> Option<String> {
        self.old(section, key).and_then(Value::as_str).map(str::to_owned)
    }

    fn old_list(&self, section: &str, key: &str) -> String {
        let list = self.old(section, key).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")).unwrap_or_default()
    }

    fn set(&mut self, section: &'static str, key: &'static str, value: impl Into<Value>) {
        self.settings.push(Setting { section, key, value: Some(value.into()) });
    }

    fn clear(&mut self, section: &'static str, key: &'static str) {
        self.settings.push(Setting { section, key, value: None });
    }

    /// Sets a text, or takes it out when it is empty.
    fn set_text(&mut self, section: &'static str, key: &'static str, text: String) {
        if text.is_empty() { self.clear(section, key) } else { self.set(section, key, text) }
    }

    /// What was typed, else what is answered, else the default. A person is asked again until the answer can be read.
    fn answer<T>(
        &self,
        typed: Option<&str>,
        question: &str,
        default: &str,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<T> {
        if let Some(typed) = typed {
            return read(typed);
        }
        if !self.asks {
            return read(default);
        }
        let shown = if default.is_empty() { "none" } else { default };
        loop {
            let answer = terminal::ask(&format!("{question} [{shown}]:"))?;
            let answer = match answer.as_str() {
                "" => default,
                "-" => "",
                answer => answer,
            };
            match read(answer) {
                Ok(value) => return Ok(value),
                Err(error) => terminal::print_error(&error),
            }
        }
    }

    /// A path as the settings have it: relative to their file. One that is typed is relative to where it is typed.
    fn path(&self, typed: Option<&Path>, question: &str, default: &str) -> Result<String> {
        let unfit = || Error::usage("the name of a file or folder is not UTF-8");
        let typed = typed.map(|path| path.to_str().ok_or_else(unfit)).transpose()?;
        self.answer(typed, question, default, |text| {
            let is_here = self.file.parent().is_none_or(|folder| folder.as_os_str().is_empty());
            if is_here || text.is_empty() || (typed.is_none() && text == default) {
                return Ok(text.to_owned());
            }
            absolute(Path::new(text))?.to_str().map(str::to_owned).ok_or_else(unfit)
        })
    }

    /// The account of the monthly file. Whether there is one.
    fn account(&mut self, typed: &InitAccount) -> Result<bool> {
        let old_host = self.old_text(ACCOUNT, "host").unwrap_or_default();
        let host = self.answer(typed.host.as_deref(), "Server of the monthly file", &old_host, |text| {
            prove_host(text).map(|()| text.to_owned())
        })?;
        if host.is_empty() {
            return if *typed == InitAccount::default() {
                Ok(false)
            } else {
                Err(Error::usage("an account needs its server").hint("add `--host HOST` and `--user USER`"))
            };
        }
        let old = self.old_text(ACCOUNT, "protocol").unwrap_or_else(|| "sftp".to_owned());
        let protocol = typed.protocol.map(|protocol| if protocol == Protocol::Sftp { "sftp" } else { "ftps" });
        let protocol = self.answer(protocol, "Protocol, sftp or ftps", &old, |text| match text {
            "sftp" => Ok(Protocol::Sftp),
            "ftps" => Ok(Protocol::Ftps),
            _ => Err(Error::usage("the protocol is `sftp` or `ftps`").hint("FTP without encryption is not spoken")),
        })?;
        let is_sftp = protocol == Protocol::Sftp;
        let foreign = [
            ("--host-key", !is_sftp && typed.host_key.is_some()),
            ("--ca-file", is_sftp && typed.ca_file.is_some()),
            ("--cert-sha256", is_sftp && typed.cert_sha256.is_some()),
        ];
        if let Some((flag, _)) = foreign.iter().find(|(_, is_typed)| *is_typed) {
            return Err(Error::usage(format!("`{flag}` means nothing to the protocol `{}`", name_of(protocol)))
                .hint("leave it out, or name the other `--protocol`"));
        }
        let usual = match self.old_text(ACCOUNT, "tls").as_deref() {
            _ if is_sftp => 22_u16,
            Some("implicit") => 990,
            _ => 21,
        };
        // The usual port of another protocol is nobody's wish.
        let old_port = self.old(ACCOUNT, "port").filter(|_| old == name_of(protocol)).map(Value::to_string);
        let port = self.answer(
            typed.port.map(|port| port.to_string()).as_deref(),
            "Port",
            &old_port.unwrap_or_else(|| usual.to_string()),
            |text| match text.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port),
                _ => Err(Error::usage("a port is a number from 1 to 65535")),
            },
        )?;
        let old_user = self.old_text(ACCOUNT, "user").unwrap_or_default();
        let user = self.answer(typed.user.as_deref(), "User name", &old_user, |text| {
            if text.is_empty() {
                return Err(Error::usage("an account needs a user name").hint("add `--user USER`"));
            }
            Ok(text.to_owned())
        })?;
        let old_folder = self.old_text(ACCOUNT, "folder").unwrap_or_else(|| ".".to_owned());
        let folder =
            self.answer(typed.folder.as_deref(), "Folder of the files", &old_folder, |text| Ok(text.to_owned()))?;
        let old_pattern = self.old_text(ACCOUNT, "pattern").unwrap_or_else(|| "PHDS_{YYYY}_{MM}*.csv".to_owned());
        let pattern = self.answer(typed.pattern.as_deref(), "Name of a month's file", &old_pattern, |text| {
            crate::fetch::pick::Names::new(text, "*dictionary*").map(|_| text.to_owned())
        })?;
        self.set(ACCOUNT, "protocol", name_of(protocol));
        self.set(ACCOUNT, "host", host.clone());
        if port == usual {
            self.clear(ACCOUNT, "port");
        } else {
            self.set(ACCOUNT, "port", i64::from(port));
        }
        self.set(ACCOUNT, "user", user.clone());
        self.set_text(ACCOUNT, "folder", if folder == "." { String::new() } else { folder });
        self.set(ACCOUNT, "pattern", pattern);
        self.proof(typed, protocol)?;
        if is_sftp {
            self.not_of_the_protocol(&["tls", "ca_file", "cert_sha256"]);
            self.host_key(typed, &host, port, &user)?;
        } else {
            self.not_of_the_protocol(&["known_hosts", "host_key", "legacy_ssh", "max_reads"]);
            self.certificate(typed)?;
        }
        Ok(true)
    }

    fn not_of_the_protocol(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.clear(ACCOUNT, key);
        }
    }

    /// What the login is proved by, in a word: `file`, `command`, `keyring`, `key`, `agent`; or `later`, when it is not known yet.
    fn kind_of_proof(&mut self, typed: &InitAccount, protocol: Protocol) -> Result<&'static str> {
        let old = PROOFS.into_iter().find(|key| self.old(ACCOUNT, key).is_some());
        let kind = |key: &str| match key {
            "password_file" => "file",
            "password_command" => "command",
            "password_keyring" => "keyring",
            "key_file" => "key",
            "key_agent" | "agent_key" => "agent",
            _ => "later",
        };
        let flag = [
            ("file", typed.password_file.is_some()),
            ("command", typed.password_command.is_some()),
            ("key", typed.key_file.is_some()),
            ("agent", typed.key_agent),
        ];
        let flag = flag.into_iter().find_map(|(kind, is_set)| is_set.then_some(kind));
        let default = match old {
            Some(key) => kind(key),
            // A file is what a person most likely has; who scripts says so.
            None if self.asks && self.old(ACCOUNT, "host").is_none() => "file",
            None => "later",
        };
        let question = "Log in with a password from a file, a command, the keyring, or one that comes later (systemd, \
                        PHDS_PASSWORD, a prompt);\nor with an SSH key or the SSH agent: \
                        file, command, keyring, later, key, agent";
        let kinds = ["file", "command", "keyring", "later", "key", "agent"];
        self.answer(flag, question, default, |text| {
            let found = kinds.into_iter().find(|kind| *kind == text);
            let found = found.ok_or_else(|| Error::usage(format!("one of: {}", kinds.join(", "))))?;
            match (found, protocol) {
                ("key" | "agent", Protocol::Ftps) => {
                    Err(Error::usage("FTPS logs in with a password: file, command, keyring or later"))
                }
                _ => Ok(found),
            }
        })
    }

    /// Where the password or the key comes from; never the password itself.
    fn proof(&mut self, typed: &InitAccount, protocol: Protocol) -> Result<()> {
        let kind = self.kind_of_proof(typed, protocol)?;
        self.names_login = kind != "later";
        let was = |key: &str| self.old_text(ACCOUNT, key);
        let mut new: Vec<(&'static str, Value)> = Vec::new();
        match kind {
            "file" => {
                let default = was("password_file").unwrap_or_else(|| "password".to_owned());
                let path = self.path(typed.password_file.as_deref(), "File of the password", &default)?;
                new.push(("password_file", path.into()));
            }
            "command" => {
                let default = was("password_command").unwrap_or_default();
                let typed = typed.password_command.as_deref();
                let line = self.answer(typed, "Command", &default, |text| match text {
                    "" => Err(Error::usage("a command is needed")),
                    text => Ok(text.to_owned()),
                })?;
                new.push(("password_command", line.into()));
            }
            "keyring" => new.push(("password_keyring", true.into())),
            "key" => {
                let default = was("key_file").unwrap_or_else(|| "id_ed25519".to_owned());
                let path = self.path(typed.key_file.as_deref(), "File of the key", &default)?;
                new.push(("key_file", path.into()));
                let default = was("key_passphrase_file").unwrap_or_default();
                let typed = typed.key_passphrase_file.as_deref();
                let path = self.path(typed, "File of its passphrase", &default)?;
                if !path.is_empty() {
                    new.push(("key_passphrase_file", path.into()));
                }
            }
            "agent" => {
                new.push(("key_agent", true.into()));
                new.extend(was("agent_key").map(|key| ("agent_key", key.into())));
            }
            _ => {}
        }
        for key in PROOFS {
            if !new.iter().any(|(set, _)| *set == key) {
                self.clear(ACCOUNT, key);
            }
        }
        for (key, value) in new {
            self.set(ACCOUNT, key, value);
        }
        Ok(())
    }

    /// Shows the key of the server, and pins it when a person says that it is the right one. A key that nobody compared is
    /// not pinned: `doctor` says what to do then.
    fn host_key(&mut self, typed: &InitAccount, host: &str, port: u16, user: &str) -> Result<()> {
        if let Some(text) = &typed.host_key {
            let print = sftp::fingerprint(text)?;
            self.set(ACCOUNT, "host_key", print);
            return Ok(());
        }
        if !self.asks {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let known_hosts = self.old_text(ACCOUNT, "known_hosts").map(|path| folder.join(path));
        let home = || std::env::home_dir().unwrap_or_default().join(".ssh/known_hosts");
        let settings = SftpSettings {
            port,
            legacy_ssh: self.old(ACCOUNT, "legacy_ssh").and_then(Value::as_bool).unwrap_or(false),
            host_key: self.old_text(ACCOUNT, "host_key"),
            ..SftpSettings::new(host, user, known_hosts.unwrap_or_else(home))
        };
        match sftp::shown_key(&settings) {
            Ok(shown) if shown.is_known => {
                terminal::say(&format!("The server shows {} {}, which is known.", shown.algorithm, shown.fingerprint));
            }
            Ok(shown) => {
                terminal::say(&format!(
                    "The server shows {} {}\nCompare it with the fingerprint that the state gives you by telephone or \
                     letter.",
                    shown.algorithm, shown.fingerprint
                ));
                if agrees("Is it the same?")? {
                    self.set(ACCOUNT, "host_key", shown.fingerprint);
                } else {
                    terminal::say("It is not trusted: `phds doctor` shows it again.");
                }
            }
            // Another key than the recorded one: nobody is to go on over that by pressing Enter.
            Err(error) if error.kind() == ErrorKind::Credentials => return Err(error),
            Err(error) => terminal::print_error(&error),
        }
        Ok(())
    }

    fn certificate(&mut self, typed: &InitAccount) -> Result<()> {
        let default = self.old_text(ACCOUNT, "ca_file").unwrap_or_default();
        let question = "Authorities (PEM) that vouch for the server; none for the public ones";
        let path = self.path(typed.ca_file.as_deref(), question, &default)?;
        self.set_text(ACCOUNT, "ca_file", path);
        if let Some(pin) = &typed.cert_sha256 {
            self.set(ACCOUNT, "cert_sha256", pin.clone());
        }
        Ok(())
    }

    /// Store, dictionary and jurisdiction.
    fn department(&mut self, typed: &cli::Init) -> Result<()> {
        let default = self.old_text("", "store").unwrap_or_else(|| "store".to_owned());
        let store = self.path(typed.store.as_deref(), "Folder of the store, on an encrypted volume", &default)?;
        self.set("", "store", store);
        let default = self.old_text("dictionary", "file").unwrap_or_default();
        let file = self.path(typed.dictionary.as_deref(), "Dictionary file of your own", &default)?;
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let dictionary = match file.as_str() {
            "" => Dictionary::built_in()?,
            file => Dictionary::with_overrides(&folder.join(file))?,
        };
        self.set_text("dictionary", "file", file);

        let default = self.old_list("query", "counties");
        let typed_counties = typed.counties.as_ref().map(|counties| counties.join(","));
        let counties = self.answer(typed_counties.as_deref(), "Counties of your department", &default, |text| {
            text.split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(|name| county(&dictionary, name))
                .collect()
        })?;
        self.set_list("query", "counties", counties);

        let default = self.old_list("check", "jurisdiction");
        // A name may hold a comma, so each is typed by itself; a person is asked for the usual one.
        let names = match &typed.jurisdiction {
            Some(names) => names.clone(),
            None if !self.asks => return Ok(()),
            None => {
                let question = "Your department, as the column RESPONSIBLE ENTITY names it";
                let name = self.answer(None, question, &default, |text| Ok(text.to_owned()))?;
                if name == default && !default.is_empty() {
                    return Ok(());
                }
                vec![name].into_iter().filter(|name| !name.is_empty()).collect()
            }
        };
        self.set_list("check", "jurisdiction", names);
        Ok(())
    }

    fn set_list(&mut self, section: &'static str, key: &'static str, list: Vec<String>) {
        if list.is_empty() { self.clear(section, key) } else { self.set(section, key, list) }
    }

    fn schedule(&self, typed: Option<Schedule>) -> Result<Option<Schedule>> {
        if typed.is_some() {
            return Ok(typed);
        }
        let kinds = if cfg!(windows) { "task-scheduler, none" } else { "cron, systemd, none" };
        self.answer(None, &format!("Load each month by itself: {kinds}"), "", |text| match text {
            "" | "none" => Ok(None),
            "cron" => Ok(Some(Schedule::Cron)),
            "systemd" => Ok(Some(Schedule::Systemd)),
            "task-scheduler" => Ok(Some(Schedule::TaskScheduler)),
            _ => Err(Error::usage(format!("one of: {kinds}"))),
        })
    }

    fn put_on_schedule(&self, schedule: Schedule, settings: &Settings) -> Result<()> {
        let program =
            std::env::current_exe().map_err(|_| Error::environment("this program does not know its place"))?;
        let settings_file = absolute(self.file)?;
        let word = |path: &Path| terminal::shell_word(&path.display().to_string());
        match schedule {
            Schedule::Cron => terminal::say(&format!(
                "\nA line for `crontab -e`: each morning from the 8th on, until the month is loaded. What it prints is mailed.\n\
                 17 6 8-31 * * {} --config {} load --due -q\n",
                word(&program),
                word(&settings_file)
            )),
            Schedule::TaskScheduler => terminal::say(&format!(
                "\nA line for a command prompt: each morning, while you are logged in, until the month is loaded. With /RU and /RP \
                 it runs as somebody, logged in or not.\n\
                 schtasks /Create /TN phds /SC DAILY /ST 06:17 /TR \"\\\"{}\\\" --config \\\"{}\\\" load --due -q\"\n",
                terminal::printable(&program.display().to_string()),
                terminal::printable(&settings_file.display().to_string())
            )),
            Schedule::Systemd => {
                let store = absolute(&settings.store(None)?)?;
                let service = SERVICE
                    // In a command, `$` begins the name of a variable.
                    .replace("/usr/local/bin/phds", &systemd_word(&program).replace('$', "$$"))
                    .replace("/etc/phds/phds.toml", &systemd_word(&settings_file).replace('$', "$$"))
                    .replace("/var/lib/phds", &systemd_word(&store));
                // The credential is read where the settings name no other source.
                let service = if self.names_login { service.replace(CREDENTIAL, NO_CREDENTIAL) } else { service };
                let folder = settings_file.parent().unwrap_or(Path::new("/"));
                for (name, text) in [("phds.service", service.as_str()), ("phds.timer", TIMER)] {
                    fs::write_whole(&folder.join(name), text.as_bytes())?;
                }
                terminal::say(&format!(
                    "\nphds.service and phds.timer are in {}. Read them, make the user `phds` and the store its own; then:\n  \
                     sudo install -m 644 -t /etc/systemd/system {} {}\n  sudo systemctl enable --now phds.timer\n",
                    folder.display(),
                    word(&folder.join("phds.service")),
                    word(&folder.join("phds.timer"))
                ));
            }
        }
        Ok(())
    }
}

fn name_of(protocol: Protocol) -> &'static str {
    if protocol == Protocol::Sftp { "sftp" } else { "ftps" }
}

/// A path as one word of a unit: systemd splits at blanks and reads what follows a `%`.
fn systemd_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@' | ':');
    if text.chars().all(is_plain) {
        return text;
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{escaped}\"")
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::io("find", path, &error))
}

/// The name of a county as the dictionary has it.
fn county(dictionary: &Dictionary, name: &str) -> Result<String> {
    let list = dictionary.named_codelist("county").ok_or_else(|| Error::internal("there is no list of counties"))?;
    let found = list.find(name.as_bytes(), true).and_then(|at| list.codes().get(usize::from(at)));
    found.map(|code| code.label.clone()).ok_or_else(|| {
        let labels = list.codes().iter().map(|code| code.label.as_str());
        Error::usage(format!("there is no county `{name}`")).hint(dictionary::nearest(
            name,
            labels,
            "phds dictionary --json",
        ))
    })
}

/// A settings file in which some settings have other values, and all else is as it was, comments too.
fn filled(text: &str, settings: &[Setting], name: &str) -> Result<String> {
    let old: Table = knowledge::parse(name, text)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for Setting { section, key, value } in settings {
        if found(&old, section, key) == value.as_ref() {
            continue;
        }
        let at = line_of(&lines, section, key);
        match (value, at) {
            (None, Some(at)) => lines[at].insert(0, '#'),
            (None, None) => {}
            (Some(value), at) => {
                let line = format!("{key} = {value}");
                let head = head_of(&lines, section);
                match (at, head) {
                    (Some(at), _) => lines[at] = line,
                    (None, Some(head)) => lines.insert(head + 1, line),
                    (None, None) if section.is_empty() => lines.insert(0, line),
                    (None, None) => lines.extend([String::new(), format!("[{section}]"), line]),
                }
                if let Some(head) = head
                    && lines[head].starts_with('#')
                {
                    lines[head].remove(0);
                }
            }
        }
    }
    let text = lines.join("\n") + "\n";
    // A value over several lines, or a section written in another way, cannot be changed by lines.
    let is_so = |new: &Table| settings.iter().all(|set| found(new, set.section, set.key) == set.value.as_ref());
    match toml::from_str::<Table>(&text) {
        Ok(new) if is_so(&new) => Ok(text),
        _ => Err(Error::usage(format!("`{name}` is written in a way that cannot be changed line by line"))
            .hint("change it by hand, or move it away and begin anew")),
    }
}

fn found<'a>(table: &'a Table, section: &str, key: &str) -> Option<&'a Value> {
    let parts = section.split('.').filter(|part| !part.is_empty());
    parts.into_iter().try_fold(table, |table, part| table.get(part)?.as_table())?.get(key)
}

/// The section that a line begins, also one that is a comment.
fn head(line: &str) -> Option<&str> {
    line.strip_prefix('#').unwrap_or(line).strip_prefix('[')?.trim_end().strip_suffix(']')
}

fn head_of(lines: &[String], section: &str) -> Option<usize> {
    lines.iter().position(|line| head(line) == Some(section))
}

/// The line of a setting: where it is set, or else where it stands as a comment.
fn line_of(lines: &[String], section: &str, key: &str) -> Option<usize> {
    let mut within = "";
    let mut comment = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(head) = head(line) {
            within = head;
        }
        let sets = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        if within == section && sets(line) {
            return Some(at);
        }
        if within == section && comment.is_none() && line.strip_prefix('#').is_some_and(sets) {
            comment = Some(at);
        }
    }
    comment
}
