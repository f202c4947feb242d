//! One error for people: what happened and where, what was expected, what to do.
//!
//! An error never carries a value of a row. Text that another library writes about *content* (a parser's message, an
//! engine's message) is therefore never passed on; only the operating system's words about files and networks are.

use std::fmt;
use std::path::Path;

/// What the caller can do about an error; decides the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The data or the release was refused. Exit code 1.
    Refused,
    /// The command, the settings or a knowledge file asks for something that cannot be. Exit code 2.
    Usage,
    /// Network or disk failed; trying again may help. Exit code 3.
    Environment,
    /// Credentials were refused or the server is not the one that was expected. Exit code 4.
    Credentials,
    /// A fault of this program. Exit code 5.
    Internal,
}

impl ErrorKind {
    /// The exit code of the program for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Credentials => 4,
            Self::Internal => 5,
        }
    }
}

/// The error of every public function of this crate.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    may_pass: bool,
    is_refused_login: bool,
    message: String,
    hint: Option<String>,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, may_pass: false, is_refused_login: false, message: message.into(), hint: None }
    }

    /// The data or the release was refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// What was asked for cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Network or disk failed.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }

    /// The network, or the server for the moment, failed in a way that may pass by itself: the work may be tried again.
    pub fn network(message: impl Into<String>) -> Self {
        Self { may_pass: true, ..Self::environment(message) }
    }

    /// Credentials or server identity are wrong.
    pub fn credentials(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Credentials, message)
    }

    /// The server was shown who we are, and turned us away: the same must not be tried again.
    pub fn refused_login(message: impl Into<String>) -> Self {
        Self { is_refused_login: true, ..Self::credentials(message) }
    }

    /// A fault of this program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// A file operation that the operating system refused, in its own words.
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let failed = Self::environment(format!("cannot {doing} `{}`: {error}", path.display()));
        if error.kind() == std::io::ErrorKind::StorageFull {
            failed.hint("make room on that disk and try again; what was there before has not been changed")
        } else {
            failed
        }
    }

    /// The same for a file that somebody named: a wrong name is theirs to mend, anything else the machine's.
    pub fn named_file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::usage(format!("there is no file `{}`", path.display())).hint("check the name and the folder")
        } else {
            Self::io(doing, path, error)
        }
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same as what was asked for that cannot be, where the name in the command or the settings is at fault.
    #[must_use]
    pub fn as_usage(mut self) -> Self {
        self.kind = ErrorKind::Usage;
        self
    }

    /// Says first where it happened.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// A file of a month in the store that is not what a load has written.
    pub fn damaged(path: &Path) -> Self {
        Self::environment(format!("`{}` is missing, damaged, or from another version", path.display()))
            .hint("load the month again")
    }

    /// Adds to what happened.
    #[must_use]
    pub fn also(mut self, text: &str) -> Self {
        self.message.push_str(text);
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same work, tried again in a while, may well go through.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }

    /// Whether the server was shown who we are, and turned us away.
    pub fn is_refused_login(&self) -> bool {
        self.is_refused_login
    }

    /// What happened, without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the person can do about it.
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
