//! Passwords and passphrases: where they come from, and a type that never shows them.
//!
//! What this cannot promise: the SSH library copies a password into an ordinary `String` of its own while it logs in,
//! and that copy is not wiped.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};

/// Most bytes that a secret or a private key file may have. A longer file is the wrong file.
const MOST_BYTES: u64 = 64 * 1024;

/// A password or passphrase: UTF-8, not empty, without CR, LF and NUL. Wiped when dropped; `Debug` and `Display` hide
/// it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a value over. [`crate::error::ErrorKind::Credentials`] when it is empty or holds a CR, LF or NUL; the
    /// error does not show it.
    pub fn new(mut value: String) -> Result<Self> {
        let fault = if value.is_empty() {
            Some("is empty")
        } else if value.contains(['\r', '\n', '\0']) {
            Some("holds a line break or a NUL character, which no password may have")
        } else {
            None
        };
        match fault {
            None => Ok(Self(SecretString::from(value))),
            Some(fault) => {
                value.zeroize();
                Err(Error::credentials(format!("the secret {fault}")))
            }
        }
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

/// Where a secret is to be read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The environment variable with this name.
    Environment(String),
    /// A file of mode 0600, 0400 or stricter: its bytes less one final newline. A pipe such as `<(command)` serves too.
    File(PathBuf),
    /// Typed by a person at the terminal, without echo.
    Prompt {
        /// What is shown before the cursor, for example `Password for clinic: `.
        text: String,
    },
}

impl SecretSource {
    /// Reads the secret. [`crate::error::ErrorKind::Credentials`] when it is missing, unfit (see [`Secret::new`]) or
    /// readable by others, or when nobody is at a terminal to be asked; [`crate::error::ErrorKind::Environment`] when
    /// the operating system fails. No error holds any part of the value.
    pub fn read(&self) -> Result<Secret> {
        match self {
            Self::Environment(name) => from_environment(name),
            Self::File(path) => from_file(path),
            Self::Prompt { text } => from_prompt(text),
        }
    }
}

fn from_environment(name: &str) -> Result<Secret> {
    // Somebody who types the password where the name belongs must not read it back in a log.
    let shown = if is_variable_name(name) {
        format!("the environment variable `{name}`")
    } else {
        return Err(Error::credentials("the setting for the password's environment variable is not a variable name")
            .hint("give the NAME of a variable (letters, digits and _), not the password itself"));
    };
    let value = std::env::var_os(name).ok_or_else(|| Error::credentials(format!("{shown} is not set")))?;
    let value = value.into_string().map_err(|_| Error::credentials(format!("{shown} is not UTF-8")))?;
    Secret::new(value).map_err(|error| Error::credentials(format!("{shown}: {}", error.message())))
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn from_file(path: &Path) -> Result<Secret> {
    let mut value = read_private(path)?;
    // An editor adds one line break at the end, which is LF or CR LF; a second one is content and is refused below.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Secret::new(value).map_err(|error| Error::credentials(format!("`{}`: {}", path.display(), error.message())))
}

/// The text of a file that nobody but its owner may reach (permission bits of group and others all 0; not checked where
/// there are no such bits). The caller wipes it.
pub(crate) fn read_private(path: &Path) -> Result<String> {
    let open_error = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::credentials(format!("there is no file `{}`", path.display()))
            .hint("it is named in the settings: make it, with mode 0600, or correct the name"),
        _ => Error::io("read", path, error),
    };
    let file = File::open(path).map_err(|error| open_error(&error))?;
    let metadata = file.metadata().map_err(|error| open_error(&error))?;
    if metadata.is_dir() {
        return Err(Error::credentials(format!("`{}` is a folder, not a file", path.display())));
    }
    refuse_shared(path, &metadata)?;
    // One allocation of the final size, so that growing leaves no copies of the secret behind.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or(0) + 1024);
    if let Err(error) = file.take(MOST_BYTES + 1).read_to_end(&mut bytes) {
        bytes.zeroize();
        return Err(open_error(&error));
    }
    if bytes.len() as u64 > MOST_BYTES {
        bytes.zeroize();
        return Err(Error::credentials(format!(
            "`{}` has more than {MOST_BYTES} bytes: is this the right file?",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        Error::credentials(format!("`{}` is not UTF-8 text", path.display()))
    })
}

#[cfg(unix)]
fn refuse_shared(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::credentials(format!("`{}` can be reached by other users (mode {mode:04o})", path.display()))
        .hint(format!("chmod 600 '{}', and change the password if others may have read it", path.display())))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix form can fail")]
fn refuse_shared(_path: &Path, _metadata: &std::fs::Metadata) -> Result<()> {
    Ok(())
}

fn from_prompt(text: &str) -> Result<Secret> {
    // The library asks the terminal of the session even when the input is a pipe, and would wait there in a cron job.
    if !std::io::stdin().is_terminal() {
        return Err(Error::credentials("a password is needed and nobody is at a terminal to type it")
            .hint("for unattended runs name a file of mode 0600 or an environment variable that holds the password"));
    }
    let value = rpassword::prompt_password(text)
        .map_err(|error| Error::environment(format!("cannot read the password from the terminal: {error}")))?;
    Secret::new(value)
}

/// Bytes from the operating system's source of randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    use rand::TryRng;
    let mut bytes = [0; N];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| Error::environment("the operating system gives no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const MARK: &str = "hunter2";

    fn assert_hidden(error: &Error) {
        assert!(!format!("{error} {error:?}").contains(MARK), "the value is in: {error}");
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
            let error = Secret::new(value.into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert_hidden(&error);
        }
    }

    #[test]
    fn reads_a_variable() {
        assert_eq!(SecretSource::Environment("PATH".into()).read().unwrap().expose(), std::env::var("PATH").unwrap());
        for name in ["PHDS_TEST_NOT_SET", "hunter2!", "", "1A"] {
            let error = SecretSource::Environment(name.into()).read().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert_hidden(&error);
        }
    }

    #[cfg(unix)]
    #[test]
    fn reads_a_file_of_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |content: &[u8], mode: u32| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = SecretSource::File(path.clone()).read();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            read
        };
        let accepted: [(&[u8], &str); 5] = [
            (b"hunter2", "hunter2"),
            (b"hunter2\n", "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b" h: @/#%2 \n", " h: @/#%2 "),
            ("pä55\n".as_bytes(), "pä55"),
        ];
        for (content, value) in accepted {
            for mode in [0o600, 0o400] {
                assert_eq!(read(content, mode).unwrap().expose(), value);
            }
        }
        let refused: [&[u8]; 6] = [b"", b"\n", b"hunter2\n\n", b"hun\rter2hunter2", b"hunter2\0", b"hunter2\xff"];
        for content in refused {
            let error = read(content, 0o600).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert_hidden(&error);
        }
        for mode in [0o640, 0o604, 0o660, 0o644, 0o610, 0o601] {
            let error = read(b"hunter2", mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(error.message().contains("other users"));
            assert_hidden(&error);
        }
        let long = vec![b'x'; usize::try_from(MOST_BYTES).unwrap() + 1];
        assert_eq!(read(&long, 0o600).unwrap_err().kind(), ErrorKind::Credentials);
        let missing = SecretSource::File(folder.path().join("missing")).read().unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Credentials);
        let nested = SecretSource::File(folder.path().to_owned()).read().unwrap_err();
        assert_eq!(nested.kind(), ErrorKind::Credentials);
    }
}
