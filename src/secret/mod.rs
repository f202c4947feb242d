//! Passwords and passphrases: where they come from, and a type that never shows them.
//!
//! What this cannot promise: the libraries of SSH, FTP and keyrings copy a password into ordinary memory of their own,
//! and those copies are not wiped.

mod command;
mod file;
mod keyring;

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};

pub use self::file::credential_exists;
pub(crate) use self::file::read_private;

/// Most bytes that a secret or a private key may have. More is the wrong file, or a command that runs wild.
const MOST_BYTES: usize = 64 * 1024;

/// A password or passphrase: UTF-8, not empty, without CR, LF and NUL. Wiped when dropped; `Debug` and `Display` hide
/// it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a value over. [`crate::error::ErrorKind::Credentials`] when it is empty or holds a CR, LF or NUL; the
    /// error does not show it.
    pub fn new(mut value: String) -> Result<Self> {
        let secret = if value.is_empty() {
            Err("is empty")
        } else if value.contains(['\r', '\n', '\0']) {
            Err("holds a line break or a NUL character, which no password may have")
        } else {
            // A copy of exactly its size: shrinking the string itself might move it and leave the old bytes behind.
            Ok(Self(SecretString::from(value.as_str())))
        };
        value.zeroize();
        secret.map_err(|fault| Error::credentials(format!("the secret {fault}")))
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Where a secret is to be read from. `Display` names the place in messages. Neither it nor `Debug` shows a command, nor
/// what cannot be the name of a variable or a credential: somebody may have put the password itself there.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The environment variable with this name.
    Environment(String),
    /// A file of mode 0600, 0400 or stricter: its bytes less one final newline. A pipe such as `<(command)` serves too.
    File(PathBuf),
    /// A line for the shell (`sh -c`, on Windows `cmd /C`): its standard output less one final newline. Its standard
    /// input is empty, its standard error is ours. It has a minute.
    Command(String),
    /// What systemd hands to a service under this name: the file in `$CREDENTIALS_DIRECTORY` less one final newline. See
    /// `LoadCredential=` in systemd.exec(5).
    Credential(String),
    /// An entry of the Windows Credential Manager, the macOS Keychain or the Linux Secret Service. Needs the cargo
    /// feature `keyring`; without it, reading is [`crate::error::ErrorKind::Usage`].
    Keyring {
        /// What the password is for.
        service: String,
        /// Whose it is there.
        user: String,
    },
    /// Typed by a person at the terminal, without echo.
    Prompt {
        /// What is shown before the cursor, for example `Password for clinic: `.
        text: String,
    },
}

impl SecretSource {
    /// Reads the secret. [`crate::error::ErrorKind::Credentials`] when it is missing, unfit (see [`Secret::new`]) or
    /// readable by others, when a command fails, or when nobody is at a terminal to be asked;
    /// [`crate::error::ErrorKind::Environment`] when the operating system fails. No error holds any part of the value.
    pub fn read(&self) -> Result<Secret> {
        let value = match self {
            Self::Environment(name) => from_environment(name),
            Self::File(path) => file::one_line(path),
            Self::Command(line) => command::output(line, command::LIMIT),
            Self::Credential(name) => file::credential(name),
            Self::Keyring { service, user } => keyring::password(service, user),
            Self::Prompt { text } => from_prompt(text),
        }?;
        Secret::new(value).map_err(|error| Error::credentials(format!("{self}: {}", error.message())))
    }

    /// Whether the secret could be read, as far as that can be seen without reading it: a file must be there, and closed to
    /// others. [`crate::error::ErrorKind::Credentials`] where not.
    pub fn look(&self) -> Result<()> {
        match self {
            Self::File(path) => file::look(path),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) if is_variable_name(name) => write!(f, "the environment variable `{name}`"),
            Self::Environment(_) => f.write_str("an environment variable"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Command(_) => f.write_str("the password command"),
            Self::Credential(name) if file::is_credential_name(name) => write!(f, "the systemd credential `{name}`"),
            Self::Credential(_) => f.write_str("a systemd credential"),
            Self::Keyring { service, user } => write!(f, "the keyring's entry of `{user}` for `{service}`"),
            Self::Prompt { .. } => f.write_str("what was typed"),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({self})")
    }
}

/// UTF-8 text less the one line break, LF or CR LF, that an editor or a command adds at its end; a second one is content.
fn without_final_newline(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Some(line.to_owned())
}

fn from_environment(name: &str) -> Result<String> {
    if !is_variable_name(name) {
        return Err(Error::credentials("the setting for the password's environment variable is not a variable name")
            .hint("give the NAME of a variable (letters, digits and _), not the password itself"));
    }
    let value = std::env::var_os(name)
        .ok_or_else(|| Error::credentials(format!("the environment variable `{name}` is not set")))?;
    value.into_string().map_err(|_| Error::credentials(format!("the environment variable `{name}` is not UTF-8")))
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn from_prompt(text: &str) -> Result<String> {
    // The library asks the terminal of the session even when the input is a pipe, and would wait there in a cron job.
    if !std::io::stdin().is_terminal() {
        return Err(Error::credentials("a password is needed and nobody is at a terminal to type it").hint(
            "for unattended runs name a file of mode 0600, an environment variable, a command or a systemd credential",
        ));
    }
    rpassword::prompt_password(text)
        .map_err(|error| Error::environment(format!("cannot read the password from the terminal: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// What is in every secret of these tests, and must be in no message.
    pub(super) const MARK: &str = "hunter2";

    /// The error of a secret that is refused: of kind `Credentials`, and it shows nothing.
    pub(super) fn refusal<T>(read: Result<T>) -> Error {
        let Err(error) = read else { panic!("this must be refused") };
        assert_eq!(error.kind(), ErrorKind::Credentials, "{error}");
        assert!(!format!("{error} {error:?}").contains(MARK), "the value is in: {error}");
        error
    }

    #[test]
    fn never_shows_itself() {
        let secret = Secret::new(MARK.into()).unwrap();
        assert_eq!(secret.expose(), MARK);
        assert!(!format!("{secret} {secret:?} {:?}", secret.clone()).contains(MARK));
    }

    #[test]
    fn refuses_what_no_password_may_hold() {
        for value in ["", "hunter2\n", "hunter2\r", "hun\nter2hunter2", "hunter2\0"] {
            refusal(Secret::new(value.into()));
        }
    }

    #[test]
    fn only_the_last_line_break_is_taken_off() {
        let table: [(&[u8], Option<&str>); 9] = [
            (b"", Some("")),
            (b"\n", Some("")),
            (b"a", Some("a")),
            (b"a\n", Some("a")),
            (b"a\r\n", Some("a")),
            (b"a\r", Some("a\r")),
            (b"a\n\n", Some("a\n")),
            (b"a\nb\n", Some("a\nb")),
            (b"a\xff\n", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(without_final_newline(bytes).as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn reads_a_variable() {
        assert_eq!(SecretSource::Environment("PATH".into()).read().unwrap().expose(), std::env::var("PATH").unwrap());
        for name in ["PHDS_TEST_NOT_SET", "hunter2!", "", "1A"] {
            refusal(SecretSource::Environment(name.into()).read());
        }
    }

    #[test]
    fn a_source_is_named_without_what_may_be_a_secret() {
        let table = [
            (SecretSource::Environment("PHDS_PASSWORD".into()), "the environment variable `PHDS_PASSWORD`"),
            (SecretSource::Environment("hunter2!".into()), "an environment variable"),
            (SecretSource::File("clinic/password".into()), "`clinic/password`"),
            (SecretSource::Command("echo hunter2".into()), "the password command"),
            (SecretSource::Credential("clinic".into()), "the systemd credential `clinic`"),
            (SecretSource::Credential("hunter2/".into()), "a systemd credential"),
            (
                SecretSource::Keyring { service: "phds".into(), user: "clinic".into() },
                "the keyring's entry of `clinic` for `phds`",
            ),
            (SecretSource::Prompt { text: "Password: ".into() }, "what was typed"),
        ];
        for (source, expected) in table {
            assert_eq!(source.to_string(), expected);
            assert_eq!(format!("{source:?}"), format!("SecretSource({expected})"));
        }
    }
}
