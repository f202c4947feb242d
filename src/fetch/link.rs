//! The link to a source: made when it is needed, made anew when it broke.

use std::fmt;
use std::time::Duration;

use super::Source;
use crate::error::{Error, Result};
use crate::progress::Reporter;
use crate::random::random_bytes;

/// How often work on a source is tried, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in a row without progress after which the work is given up; at least 1.
    pub attempts: u32,
    /// The wait before the second attempt. It doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for Retry {
    /// Six attempts, with waits of 2, 4, 8, 16 and 32 seconds between them.
    fn default() -> Self {
        Self { attempts: 6, first_wait: Duration::from_secs(2), longest_wait: Duration::from_mins(1) }
    }
}

impl Retry {
    /// The wait after so many failures in a row: doubled each time, and shortened by up to a quarter by chance, so that
    /// departments whose lines broke at the same moment do not all come back at the same moment.
    fn wait(self, failures: u32) -> Duration {
        let doubled = self.first_wait.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let [chance] = random_bytes::<1>().unwrap_or_default();
        doubled.min(self.longest_wait).mul_f64(1.0 - f64::from(chance) / 1024.0)
    }
}

/// A source that is connected to when it is needed, and again when the link broke.
///
/// Only what may pass by itself ([`Error::may_pass`]) is tried again: a refused login never is, because servers lock
/// accounts out. Once connecting has failed in a way that does not pass, the link is never made again.
pub struct Link<'a> {
    connect: Box<dyn FnMut() -> Result<Box<dyn Source>> + 'a>,
    source: Option<Box<dyn Source>>,
    /// Why it will not be made again: a refused login or a server that is not to be trusted.
    ended: Option<Error>,
    retry: Retry,
    /// Failures since the last progress.
    failures: u32,
    reporter: &'a dyn Reporter,
}

impl fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("retry", &self.retry).field("failures", &self.failures).finish_non_exhaustive()
    }
}

impl<'a> Link<'a> {
    /// A link that is not made yet. What the source has to say goes to the reporter.
    pub fn new(
        connect: impl FnMut() -> Result<Box<dyn Source>> + 'a,
        retry: Retry,
        reporter: &'a dyn Reporter,
    ) -> Self {
        Self { connect: Box::new(connect), source: None, ended: None, retry, failures: 0, reporter }
    }

    /// Does a piece of work on the source, and again while the link breaks and there are attempts left.
    pub fn run<T>(&mut self, mut work: impl FnMut(&mut dyn Source) -> Result<T>) -> Result<T> {
        loop {
            match self.attempt(&mut work) {
                Ok(done) => {
                    self.progressed();
                    return Ok(done);
                }
                Err(error) => self.recover(error, false)?,
            }
        }
    }

    /// One attempt, connecting first where the link is down.
    pub(super) fn attempt<T>(&mut self, work: impl FnOnce(&mut dyn Source) -> Result<T>) -> Result<T> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let source = match &mut self.source {
            Some(source) => source,
            None => match (self.connect)() {
                Ok(source) => self.source.insert(source),
                Err(error) => {
                    self.ended = Some(error.clone()).filter(|error| !error.may_pass());
                    return Err(error);
                }
            },
        };
        let outcome = work(source.as_mut());
        for note in source.take_notes() {
            self.reporter.warned(&note);
        }
        outcome
    }

    /// After a failed attempt: waits, or gives the error back when trying again cannot help, or when attempts without
    /// progress were too many.
    pub(super) fn recover(&mut self, error: Error, has_progressed: bool) -> Result<()> {
        if !error.may_pass() {
            return Err(error);
        }
        self.source = None;
        self.failures = if has_progressed { 0 } else { self.failures + 1 };
        if self.failures >= self.retry.attempts {
            return Err(match self.failures {
                1 => error,
                times => error.also(&format!("; given up after {times} attempts without progress")),
            });
        }
        let wait = self.retry.wait(self.failures.max(1));
        let count = match self.failures {
            0 => String::new(),
            failures => format!(" (attempt {} of {})", failures + 1, self.retry.attempts),
        };
        self.reporter.noted(&format!("{}; trying again in {:.0} s{count}", error.message(), wait.as_secs_f64()));
        std::thread::sleep(wait);
        Ok(())
    }

    /// Something was achieved: the attempts are counted from the beginning.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::local::LocalSource;
    use crate::progress::Silent;

    const QUICK: Retry =
        Retry { attempts: 3, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(2) };

    /// How often was connected, and what came of it, when each piece of work ends as told.
    fn story(retry: Retry, outcomes: &[Result<(), Error>]) -> (u32, Result<(), String>) {
        let (mut connected, mut at) = (0, 0);
        let outcome = {
            let mut link = Link::new(
                || {
                    connected += 1;
                    Ok(Box::new(LocalSource::new(std::path::Path::new("."))))
                },
                retry,
                &Silent,
            );
            link.run(|_| {
                at += 1;
                match &outcomes[at - 1] {
                    Ok(()) => Ok(()),
                    Err(error) if error.may_pass() => Err(Error::network(error.message())),
                    Err(error) => Err(Error::credentials(error.message())),
                }
            })
        };
        (connected, outcome.map_err(|error| error.message().to_owned()))
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let cut = || Err(Error::network("cut"));
        let refused = || Err(Error::credentials("refused"));
        assert_eq!(story(QUICK, &[Ok(())]), (1, Ok(())));
        assert_eq!(story(QUICK, &[cut(), cut(), Ok(())]), (3, Ok(())));
        let given_up = "cut; given up after 3 attempts without progress";
        assert_eq!(story(QUICK, &[cut(), cut(), cut()]), (3, Err(given_up.to_owned())));
        assert_eq!(story(QUICK, &[refused()]), (1, Err("refused".to_owned())));
        assert_eq!(story(QUICK, &[cut(), refused()]), (2, Err("refused".to_owned())));
        assert_eq!(story(Retry { attempts: 1, ..QUICK }, &[cut()]), (1, Err("cut".to_owned())));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let seconds = |failures| Retry::default().wait(failures).as_secs_f64();
        for (failures, most) in [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (100, 60.0)] {
            let wait = seconds(failures);
            assert!(wait <= most && wait > most * 0.75, "{failures}: {wait}");
        }
    }
}
