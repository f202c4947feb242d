//! Reading one file, and whether its end is to be believed.

use std::io::{self, Read};

use suppaftp::FtpError;

use super::answer::{fault, is_silence, network_words};
use super::talk::ANSWER;
use super::{FtpsSource, Transfer};
use crate::error::Error;
use crate::fetch::outside::clean;

/// One file that is being read. Unless it is read to its end and believed, the connection is given up with it: what the
/// server still answers, and how often, differs from server to server, and a late answer must not be taken for that to
/// the next command.
pub(super) struct Download<'a> {
    source: &'a mut FtpsSource,
    name: String,
    /// Bytes from the offset to the end, as the server gave the size.
    expected: u64,
    received: u64,
    stage: Stage,
}

enum Stage {
    Running(Transfer),
    Ended,
    Failed,
}

impl<'a> Download<'a> {
    pub(super) fn new(source: &'a mut FtpsSource, name: &str, expected: u64, stream: Transfer) -> Self {
        Self { source, name: name.to_owned(), expected, received: 0, stage: Stage::Running(stream) }
    }

    /// The data connection is at its end: properly, or just closed.
    fn end(&mut self, properly: bool) -> io::Result<usize> {
        let Stage::Running(stream) = std::mem::replace(&mut self.stage, Stage::Failed) else {
            return Err(io::Error::other(Error::internal("a download ended twice")));
        };
        self.source.talk.begin(ANSWER);
        if let Err(error) = stream.finish() {
            self.source.hang_up();
            let talk = &self.source.talk;
            let reason = match &error {
                FtpError::UnexpectedResponse(response) => format!("the server broke it off: {}", talk.quoted(response)),
                error => talk.words(error),
            };
            return Err(io::Error::other(fault(&error, self.wrong(&reason))));
        }
        if self.received != self.expected {
            self.source.hang_up();
            let error = Error::network(self.wrong("the data connection ended too early"));
            return Err(io::Error::other(error.hint("fetch it again")));
        }
        if !properly {
            self.source.note_unended(
                "a file was accepted because the server said that all was sent and the number of bytes is right",
            );
        }
        self.stage = Stage::Ended;
        Ok(0)
    }

    fn wrong(&self, reason: &str) -> String {
        format!(
            "cannot read `{}` on {} to its end: {reason}; {} of {} bytes came",
            clean(&self.name),
            self.source.talk.settings.address(),
            self.received,
            self.expected
        )
    }

    fn give_up(&mut self) {
        if let Stage::Running(stream) = std::mem::replace(&mut self.stage, Stage::Failed) {
            // First, because the library waits for a last answer when the stream goes.
            self.source.hang_up();
            drop(stream);
        }
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = match &mut self.stage {
            Stage::Running(stream) => stream,
            Stage::Ended => return Ok(0),
            Stage::Failed => return Err(io::Error::other(Error::network("the download had failed before"))),
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        // Inside TLS one read waits for a whole piece, however slowly its bytes come.
        self.source.talk.begin(ANSWER);
        match stream.read(buffer) {
            Ok(0) => self.end(true),
            Ok(count) => {
                self.received += count as u64;
                if self.received > self.expected {
                    let error = Error::environment(self.wrong("more bytes came than the server announced")).hint(
                        "the file may still be growing, or the server ignores where to begin: fetch it again, from \
                         its beginning",
                    );
                    self.give_up();
                    return Err(io::Error::other(error));
                }
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.end(false),
            Err(error) => {
                let kind = if is_silence(&error) { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
                let error = Error::network(self.wrong(&network_words(&self.source.talk.settings, &error)));
                self.give_up();
                Err(io::Error::new(kind, error))
            }
        }
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
