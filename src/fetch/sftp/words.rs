//! What a server says, on its way to people. A server that was given a password can say it back.

use super::super::outside;
use super::Credential;
use crate::secret::Secret;

/// What stands in the place of the password.
const HIDDEN: &str = "(hidden)";

/// Characters of the shortest password that is cut out of a text. Where a shorter one is missing, the gaps would tell it.
const SHORTEST: usize = 4;

/// Every text of a server goes through here before it becomes a part of an error, a note or an observation.
#[derive(Default)]
pub(super) struct Words {
    password: Option<Secret>,
}

impl Words {
    /// The words of a server that is given this credential. Of a key it learns nothing that it could repeat.
    pub(super) fn after(credential: &Credential) -> Self {
        let password = match credential {
            Credential::Password(password) => Some(password.clone()),
            Credential::Key { .. } | Credential::Agent { .. } => None,
        };
        Self { password }
    }

    /// The text without the password, in whatever case it is there; `…` when the password is too short for that.
    pub(super) fn hide(&self, text: &str) -> String {
        let Some(password) = &self.password else { return text.to_owned() };
        if password.expose().chars().count() < SHORTEST {
            return "…".to_owned();
        }
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let skipped = if let Some(length) = prefix(rest, password.expose()) {
                shown.push_str(HIDDEN);
                length
            } else {
                shown.push(first);
                first.len_utf8()
            };
            rest = &rest[skipped..];
        }
        shown
    }

    /// [`Self::hide`], as one tame line.
    pub(super) fn clean(&self, text: &str) -> String {
        // In this order: a password that is cut short or escaped would not be found.
        outside::clean(&self.hide(text))
    }

    /// [`Self::hide`], as one tame line in brackets, or nothing.
    pub(super) fn remark(&self, text: &str) -> String {
        if text.trim().is_empty() { String::new() } else { outside::remark(&self.hide(text)) }
    }

    /// Whether the password is in the text, in whatever case.
    pub(super) fn tell_in(&self, text: &str) -> bool {
        self.password
            .as_ref()
            .is_some_and(|password| text.char_indices().any(|(at, _)| prefix(&text[at..], password.expose()).is_some()))
    }
}

/// How many bytes at the start of the text are the password.
fn prefix(text: &str, password: &str) -> Option<usize> {
    let mut found = text.chars();
    for wanted in password.chars() {
        if !found.next()?.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(text.len() - found.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(password: &str) -> Words {
        Words { password: Some(Secret::new(password.into()).unwrap()) }
    }

    #[test]
    fn a_password_is_not_said_back() {
        for (password, said, shown) in [
            ("hunter2", "you sent hunter2", "you sent (hidden)"),
            ("hunter2", "HUNTER2hunter2Hunter", "(hidden)(hidden)Hunter"),
            ("Pässwort", "PÄSSWORT!", "(hidden)!"),
            ("aab!", "aaab!aab", "a(hidden)aab"),
            ("a\"b\\", "say a\"b\\\n", "say (hidden)\\n"),
            ("hunter2", "", ""),
            ("abc", "no such file", "…"),
        ] {
            assert_eq!(words(password).clean(said), shown, "{said}");
            assert_eq!(words(password).tell_in(said), shown.contains(HIDDEN), "{said}");
        }
        // Not half of it either, where a long text ends.
        let long = format!("{}hunter2", "x".repeat(196));
        assert_eq!(words("hunter2").clean(&long), format!("{}(hid…", "x".repeat(196)));
        assert_eq!(words("hunter2").remark(" hunter2\n"), " ((hidden))");
        assert_eq!(words("abc").remark("disk"), " (…)");
        assert_eq!(words("abc").remark(" \n"), "");
        assert!(words("abc").tell_in("x_ABC.csv"));
    }

    #[test]
    fn other_credentials_are_not_told() {
        let agent = Words::after(&Credential::Agent { key: None });
        assert_eq!((agent.clean("key\n"), agent.tell_in("key")), ("key\\n".to_owned(), false));
    }
}
