//! Secrets that another program prints, such as a password manager.
//!
//! The command line itself is in no message: somebody may have written the password into it.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::file::read_bounded;
use super::{MOST_BYTES, without_final_newline};
use crate::error::{Error, Result};

/// How long a command may take: enough for a person to touch a security key, and no unattended run hangs.
pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// How often a command is looked at that has closed its output and not ended yet.
const PAUSE: Duration = Duration::from_millis(10);

/// What a line for the shell prints within `limit`, less one final newline. The shell is killed when it takes longer or
/// prints more than [`MOST_BYTES`].
pub(super) fn output(line: &str, limit: Duration) -> Result<String> {
    let failed = |error: io::Error| Error::environment(format!("cannot run the password command: {error}"));
    let late = || {
        Error::credentials(format!("the password command did not end within {} s and was stopped", limit.as_secs()))
            .hint("it gets no input: does it wait for somebody to type?")
    };
    let deadline = Instant::now() + limit;
    // A process group of its own, with which all that it started could be killed, would cut a password manager off from
    // the terminal on which it asks for its own passphrase.
    let mut shell = Running(shell(line).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?);
    let Some(stdout) = shell.0.stdout.take() else {
        return Err(Error::internal("the password command has no output"));
    };
    // A read cannot be given a limit, so a thread of its own does it. It ends with the last process that holds the pipe.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(read_bounded(stdout)));
    let bytes = receiver
        .recv_timeout(limit)
        .map_err(|_| late())?
        .map_err(failed)?
        .ok_or_else(|| Error::credentials(format!("the password command prints more than {MOST_BYTES} bytes")))?;
    let status = shell.ended(deadline).map_err(failed)?.ok_or_else(late)?;
    if !status.success() {
        return Err(Error::credentials(format!("the password command failed ({status})")));
    }
    without_final_newline(&bytes).ok_or_else(|| Error::credentials("the password command does not print UTF-8 text"))
}

#[cfg(not(windows))]
fn shell(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    shell
}

#[cfg(windows)]
fn shell(line: &str) -> Command {
    let mut shell = Command::new("cmd");
    // The library quotes as C programs unquote, which cmd does not. With /S, cmd takes off the outer quotes only.
    std::os::windows::process::CommandExt::raw_arg(&mut shell, format!("/D /S /C \"{line}\""));
    shell
}

/// A process that does not outlive the interest in it.
struct Running(Child);

impl Running {
    /// How it ended; `None` when it has not by `deadline`.
    fn ended(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.0.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a process that has ended, and there is nobody to tell of anything else.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use super::*;
    #[cfg(unix)]
    use crate::secret::Secret;
    use crate::secret::SecretSource;
    use crate::secret::tests::refusal;

    #[test]
    fn the_shell_of_this_system_runs_it() {
        assert_eq!(SecretSource::Command("echo hunter2".into()).read().unwrap().expose(), "hunter2");
        refusal(SecretSource::Command("exit 3".into()).read());
    }

    #[cfg(unix)]
    #[test]
    fn what_it_prints_is_the_secret() {
        let read = |line: &str| SecretSource::Command(line.into()).read();
        let accepted = [
            ("printf hunter2", "hunter2"),
            ("echo hunter2", "hunter2"),
            (r"printf 'hunter2\r\n'", "hunter2"),
            (r"printf ' h: @/#%%2 \n'", " h: @/#%2 "),
            (r#"printf '%s\n' "a'b" | tr a '"'"#, "\"'b"),
            ("printf 'pä55'", "pä55"),
            // Its input is at its end, and what it says beside its output is not the secret.
            ("cat; echo nothing to read >&2; echo hunter2", "hunter2"),
        ];
        for (line, value) in accepted {
            assert_eq!(read(line).unwrap().expose(), value, "{line}");
        }
        let printed = |bytes: usize| read(&format!("head -c {bytes} /dev/zero | tr '\\0' x"));
        assert_eq!(printed(MOST_BYTES).map(|secret| secret.expose().len()).unwrap(), MOST_BYTES);
        refusal(printed(MOST_BYTES + 1));
    }

    #[cfg(unix)]
    #[test]
    fn every_refusal_says_why_and_nothing_of_the_command() {
        let table = [
            (": hunter2", "the password command: the secret is empty"),
            (": hunter2; echo", "the password command: the secret is empty"),
            ("echo hunter2; echo hunter2", "line break"),
            (r"printf 'hunter2\n\n'", "line break"),
            (r"printf 'hun\rter2'", "line break"),
            (r"printf 'hunter2\0'", "NUL"),
            (r"printf 'hunter2\377'", "does not print UTF-8 text"),
            ("echo hunter2; exit 3", "the password command failed (exit status: 3)"),
            ("exec 2>&-; hunter2", "the password command failed (exit status: 127)"),
            ("echo hunter2; kill -9 $$", "the password command failed (signal: 9 (SIGKILL))"),
            ("while :; do echo hunter2; done", "the password command prints more than 65536 bytes"),
        ];
        for (line, why) in table {
            let error = refusal(SecretSource::Command(line.into()).read());
            assert!(error.message().contains(why), "{line}: {error}");
        }
        let error = SecretSource::Command("echo hunter2\0".into()).read().unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[cfg(unix)]
    #[test]
    fn it_does_not_hang() {
        let limit = Duration::from_millis(200);
        // Silent; done with its output and not with its work; ended, with another process still at its output.
        for line in ["sleep 5", "echo hunter2; exec >&-; sleep 5", "echo hunter2; sleep 5 &"] {
            let began = Instant::now();
            let error = refusal(output(line, limit));
            assert!(error.message().contains("did not end"), "{line}: {error}");
            assert!(began.elapsed() < Duration::from_secs(4), "{line}");
        }
        assert!(output("sleep 0.05; echo hunter2; exec >&-; sleep 0.05", LIMIT).and_then(Secret::new).is_ok());
    }
}
