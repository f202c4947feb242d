//! One conversation with a server: with whom, for how long, and what is kept out of the server's words.
//!
//! Every wait has the limit of the settings. A server that sends one byte in each of them is always in time, so each
//! part of a conversation has a limit as a whole too.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use suppaftp::FtpError;
use suppaftp::types::Response;

use super::FtpsSettings;
use super::answer::{code, network_words, text};
use crate::fetch::outside;
use crate::parallel::lock;
use crate::secret::Secret;

/// How many times the limit of one wait everything may take from connecting to the first listing.
pub(super) const OPENING: u32 = 6;

/// The same for a listing.
pub(super) const LISTING: u32 = 10;

/// The same for any other answer, and for one piece of a download.
pub(super) const ANSWER: u32 = 3;

/// What all connections to a server share.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) settings: FtpsSettings,
    /// `None` when nobody logs in.
    password: Option<Secret>,
    part: Mutex<Part>,
}

/// What is being done now.
#[derive(Clone, Copy, Debug)]
struct Part {
    begun: Instant,
    limit: Duration,
}

impl Talk {
    /// The opening begins now.
    pub(super) fn new(settings: &FtpsSettings, password: Option<&Secret>) -> Arc<Self> {
        let part = Part { begun: Instant::now(), limit: settings.timeout.saturating_mul(OPENING) };
        Arc::new(Self { settings: settings.clone(), password: password.cloned(), part: Mutex::new(part) })
    }

    /// A part begins that may take so many times the limit of one wait.
    pub(super) fn begin(&self, waits: u32) {
        self.allow(self.settings.timeout.saturating_mul(waits));
    }

    /// A part begins.
    pub(super) fn allow(&self, limit: Duration) {
        *lock(&self.part) = Part { begun: Instant::now(), limit };
    }

    fn part(&self) -> Part {
        *lock(&self.part)
    }

    /// What is left of the time of this part.
    pub(super) fn left(&self) -> Duration {
        let part = self.part();
        part.limit.saturating_sub(part.begun.elapsed())
    }

    /// How long the next wait may be; an error when the time of this part is over.
    pub(super) fn wait(&self) -> io::Result<Duration> {
        let left = self.left();
        if left.is_zero() { Err(self.overdue()) } else { Ok(left.min(self.settings.timeout)) }
    }

    /// That the time of this part is over.
    pub(super) fn overdue(&self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, Overdue(self.part().limit))
    }

    /// The one way of the server's words into errors, notes and observations. Some servers repeat what they were sent,
    /// and the password is left out, in capitals or not. When it is too short for that, all words are.
    pub(super) fn shown(&self, words: &str) -> String {
        match self.password() {
            None => words.to_owned(),
            Some(password) if outside::is_short(password) => String::new(),
            Some(password) => outside::without(words, password),
        }
    }

    /// Whether a name holds the password. One that is too short for that says nothing.
    pub(super) fn is_telling(&self, name: &str) -> bool {
        self.password().is_some_and(|password| !outside::is_short(password) && outside::holds(name, password))
    }

    /// Without blanks around it, which servers cut off.
    fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|password| password.expose().trim())
    }

    /// The words of an answer in brackets, or nothing.
    pub(super) fn remark(&self, response: &Response) -> String {
        outside::remark(&self.shown(&text(response)))
    }

    /// Number and words of an answer.
    pub(super) fn quoted(&self, response: &Response) -> String {
        format!("{}{}", code(response), self.remark(response))
    }

    /// A fault of any kind, for people.
    pub(super) fn words(&self, error: &FtpError) -> String {
        match error {
            FtpError::ConnectionError(error) => network_words(&self.settings, error),
            FtpError::UnexpectedResponse(response) => format!("the server says: {}", self.quoted(response)),
            FtpError::SecureError(_) => "encryption failed".to_owned(),
            FtpError::BadResponse | FtpError::InvalidAddress(_) | FtpError::DataConnectionAlreadyOpen => {
                "the server does not keep to FTP".to_owned()
            }
        }
    }
}

/// That each wait was in time and all together were not.
#[derive(Debug)]
pub(super) struct Overdue(Duration);

impl Overdue {
    /// Whether an error is this one.
    pub(super) fn is_in(error: &io::Error) -> bool {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).is_some()
    }
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server did not finish in {} s", self.0.as_secs_f32())
    }
}

impl std::error::Error for Overdue {}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(password: Option<&str>) -> Arc<Talk> {
        let password = password.map(|password| Secret::new(password.to_owned()).unwrap());
        Talk::new(&FtpsSettings::new("h", "u"), password.as_ref())
    }

    #[test]
    fn a_password_is_not_repeated() {
        for (password, words, shown, telling) in [
            (None, "PASS hunter2", "PASS hunter2", false),
            (Some("hunter2"), "PASS hunter2", "PASS (hidden)", true),
            (Some("hunter2"), "HUNTER2hunterhunter2", "(hidden)hunter(hidden)", true),
            (Some("hunter2"), "hunter", "hunter", false),
            (Some(" hunter2 "), "<hunter2>", "<(hidden)>", true),
            (Some("ÄbcÖ"), "ÜäBCöü", "Ü(hidden)ü", true),
            (Some("abcd"), "ABCD", "(hidden)", true),
            (Some("abc"), "PASS abc", "", false),
            (Some("   "), "words", "", false),
            (Some("hunter2"), "", "", false),
        ] {
            let talk = talk(password);
            assert_eq!((talk.shown(words).as_str(), talk.is_telling(words)), (shown, telling), "{password:?} {words}");
            assert!(!format!("{talk:?}").contains("hunter2"));
        }
    }

    #[test]
    fn every_part_has_a_limit() {
        let talk = talk(None);
        assert_eq!(talk.wait().unwrap(), Duration::from_secs(30));
        assert_eq!(talk.overdue().to_string(), "the server did not finish in 180 s");
        talk.begin(ANSWER);
        assert_eq!(talk.overdue().to_string(), "the server did not finish in 90 s");
        talk.allow(Duration::from_secs(2));
        assert!(talk.wait().unwrap() <= Duration::from_secs(2));
        talk.allow(Duration::ZERO);
        assert_eq!(talk.wait().unwrap_err().kind(), io::ErrorKind::TimedOut);
        talk.begin(LISTING);
        assert_eq!(talk.wait().unwrap(), Duration::from_secs(30));
    }
}
