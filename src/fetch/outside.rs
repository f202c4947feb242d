//! What servers and settings say, before it is used: hosts, names and texts that come from outside.

use crate::error::{Error, Result};

/// Text from a server, made fit for one line on a terminal.
pub(super) fn clean(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// A server's own words in brackets, or nothing.
pub(super) fn remark(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(" ({})", clean(text.trim())) }
}

/// Whether a secret is too short to be cut out of a text: the gaps would tell where it was.
pub(super) fn is_short(secret: &str) -> bool {
    const SHORTEST: usize = 4;
    secret.chars().count() < SHORTEST
}

/// A text with `(hidden)` in place of a secret, in whatever case it is there. The secret is not empty.
pub(super) fn without(text: &str, secret: &str) -> String {
    let (mut rest, mut shown) = (text, String::with_capacity(text.len()));
    while let Some(first) = rest.chars().next() {
        if let Some(after) = after(rest, secret) {
            shown.push_str("(hidden)");
            rest = after;
        } else {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shown
}

/// Whether a secret is in a text, in whatever case.
pub(super) fn holds(text: &str, secret: &str) -> bool {
    text.char_indices().any(|(at, _)| after(&text[at..], secret).is_some())
}

/// What follows on a secret with which a text begins, in whatever case.
fn after<'a>(text: &'a str, secret: &str) -> Option<&'a str> {
    let mut letters = text.chars();
    let is_there = secret
        .chars()
        .all(|wanted| letters.next().is_some_and(|letter| letter.to_lowercase().eq(wanted.to_lowercase())));
    is_there.then_some(letters.as_str())
}

/// Refuses settings that cannot be, before anything is sent. `example` is a host of the right kind.
pub(super) fn check_account(host: &str, user: &str, folder: &str, example: &str) -> Result<()> {
    let unfit = |text: &str| text.is_empty() || text.chars().any(char::is_control);
    if unfit(host) || host.contains([' ', '/', '@', '[', ']', '\'', '"']) {
        // Not shown: people paste whole addresses, with a password in them.
        return Err(Error::usage("the host in the settings is not the name or address of a server alone")
            .hint(format!("give the name alone, for example `{example}`; port and user have settings of their own")));
    }
    if unfit(user) {
        return Err(Error::usage("the user name for the server is empty or holds a control character"));
    }
    if folder.chars().any(char::is_control) {
        return Err(Error::usage("the folder on the server holds a control character"));
    }
    Ok(())
}

/// Host and port as one word.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a text can name one file of one folder in a request: no separator and no control character, so that it
/// neither leads elsewhere nor ends one command and begins another.
pub(super) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\']) && !name.chars().any(char::is_control)
}

/// [`is_name`], as an error.
pub(super) fn check_name(name: &str) -> Result<&str> {
    if is_name(name) {
        return Ok(name);
    }
    Err(Error::refused(format!("`{}` is not the name of a file", clean(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_server_is_one_tame_line() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc"), "a\\u{1b}[31mb\\r\\nc");
        assert_eq!(clean(&"x".repeat(500)).chars().count(), 201);
        assert_eq!(remark(" \n"), "");
        assert_eq!(remark("disk\n"), " (disk)");
    }

    #[test]
    fn addresses() {
        assert_eq!(address("h", 22), "h:22");
        assert_eq!(address("::1", 990), "[::1]:990");
    }

    #[test]
    fn names_cannot_carry_a_command() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\r\nDELE b", "a\nb", "a\0b", "a\u{7f}", "a\u{85}b"] {
            assert!(!is_name(bad) && check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["PHDS data dictionary.csv", "-a", "ümlaut.csv", "...", "a;b"] {
            assert!(is_name(good), "{good}");
        }
    }
}
