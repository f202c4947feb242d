//! What the server answered, and what an answer or the lack of one means.

use std::io;

use suppaftp::types::Response;
use suppaftp::{FtpError, FtpResult};

use super::FtpsSettings;
use super::talk::Overdue;
use crate::error::Error;
use crate::fetch::outside::clean;

/// The number of an answer. The library knows only the usual ones.
pub(super) fn code(response: &Response) -> u32 {
    let known = response.status.code();
    if known != 0 {
        return known;
    }
    let last = response.body.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    last.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

/// The words of an answer, without its number, to be read. They are shown by way of [`super::talk::Talk::shown`] alone.
pub(super) fn text(response: &Response) -> String {
    let body = String::from_utf8_lossy(&response.body);
    body.lines().next_back().and_then(|line| line.get(4..)).unwrap_or_default().trim().to_owned()
}

/// Whether the server does not know a command, and not: does not like this file.
pub(super) fn is_unknown(response: &Response) -> bool {
    matches!(code(response), 202 | 500 | 502 | 504)
}

/// Whether an answer is about the session, and not about one file.
pub(super) fn ends_session(response: &Response) -> bool {
    matches!(code(response), 421 | 530)
}

pub(super) fn says_empty(response: &Response) -> bool {
    let text = text(response).to_ascii_lowercase();
    text.contains("no files") || text.contains("empty")
}

/// Whether the server says that the same command may go through later: RFC 959 calls 4xx transient. 430 is the
/// exception, a login that was refused.
pub(super) fn is_passing(response: &Response) -> bool {
    matches!(code(response), 400..=429 | 431..=499)
}

/// An error by an answer that is a refusal.
pub(super) fn refusal(response: &Response, message: String) -> Error {
    if is_passing(response) { Error::network(message) } else { Error::environment(message) }
}

/// An error by whatever came in place of an answer.
pub(super) fn fault(error: &FtpError, message: String) -> Error {
    match error {
        FtpError::ConnectionError(_) => Error::network(message),
        FtpError::UnexpectedResponse(response) => refusal(response, message),
        _ => Error::environment(message),
    }
}

/// Lets an answer pass that is a refusal.
pub(super) fn refused(answer: FtpResult<Response>) -> FtpResult<()> {
    match answer {
        Ok(_) | Err(FtpError::UnexpectedResponse(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a wait was over. What that is called depends on the operating system.
pub(super) fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

pub(super) fn silence(settings: &FtpsSettings) -> String {
    format!("no answer for {} s", settings.timeout.as_secs_f32())
}

/// A fault of the network, for people.
pub(super) fn network_words(settings: &FtpsSettings, error: &io::Error) -> String {
    match error.kind() {
        _ if Overdue::is_in(error) => error.to_string(),
        _ if is_silence(error) => silence(settings),
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ => clean(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use suppaftp::Status;

    use super::*;

    fn response(body: &str) -> Response {
        let code = body.lines().next_back().and_then(|line| line[..3].parse::<u32>().ok()).unwrap_or(0);
        Response::new(Status::from(code), body.as_bytes().to_vec())
    }

    #[test]
    fn what_an_answer_means() {
        for (body, number, words, passing, unknown) in [
            ("421 Timeout.\r\n", 421, "Timeout.", true, false),
            ("430 no\r\n", 430, "no", false, false),
            ("450 busy\r\n", 450, "busy", true, false),
            // Not among those that the library knows.
            ("454 TLS for now not\r\n", 454, "TLS for now not", true, false),
            ("500-So\r\n500 what?\r\n", 500, "what?", false, true),
            ("502 \r\n", 502, "", false, true),
            ("530 Not logged in\r\n", 530, "Not logged in", false, false),
            ("550 é\r\n", 550, "é", false, false),
        ] {
            let response = response(body);
            assert_eq!((code(&response), text(&response).as_str()), (number, words));
            assert_eq!((is_passing(&response), is_unknown(&response)), (passing, unknown), "{body}");
            assert_eq!(refusal(&response, String::new()).may_pass(), passing, "{body}");
        }
    }
}
