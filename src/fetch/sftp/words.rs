//! What a server says, on its way to people. A server that was given a password can say it back.

use super::super::outside;
use super::Credential;
use crate::secret::Secret;

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
        match self.password() {
            None => text.to_owned(),
            Some(password) if outside::is_short(password) => "…".to_owned(),
            Some(password) => outside::without(text, password),
        }
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
        self.password().is_some_and(|password| outside::holds(text, password))
    }

    fn password(&self) -> Option<&str> {
        self.password.as_ref().map(Secret::expose)
    }
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
            assert_eq!(words(password).tell_in(said), shown.contains("(hidden)"), "{said}");
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
