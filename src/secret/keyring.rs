//! Secrets in the keyring of the person who is logged in, behind the cargo feature `keyring`.

use crate::error::{Error, Result};

/// The password that the keyring of this system has for a user of a service.
#[cfg(feature = "keyring")]
pub(super) fn password(service: &str, user: &str) -> Result<String> {
    keyring::Entry::new(service, user)
        .and_then(|entry| entry.get_password())
        .map_err(|fault| error(fault, service, user))
}

/// Without the feature there is no keyring.
#[cfg(not(feature = "keyring"))]
pub(super) fn password(_service: &str, _user: &str) -> Result<String> {
    Err(Error::usage("this phds was built without the keyring")
        .hint("build it with `cargo build --release --features keyring`, or take the password from elsewhere"))
}

/// The library's words about content are not passed on, and two of its errors carry the secret itself.
#[cfg(feature = "keyring")]
fn error(fault: keyring::Error, service: &str, user: &str) -> Error {
    use secrecy::zeroize::Zeroize;

    let entry = super::SecretSource::Keyring { service: service.to_owned(), user: user.to_owned() };
    match fault {
        keyring::Error::NoEntry => {
            Error::credentials(format!("the keyring has no password of `{user}` for `{service}`"))
                .hint(format!("put it there: {}", how_to_store(service, user)))
        }
        keyring::Error::Ambiguous(_) => Error::credentials(format!("{entry} is there more than once"))
            .hint("remove all but one with the keyring's own program"),
        keyring::Error::BadEncoding(mut bytes) | keyring::Error::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            Error::credentials(format!("{entry} is not UTF-8 text"))
        }
        _ => Error::environment(format!("{entry} cannot be read: there is no keyring, or it is locked"))
            .hint("a machine without a desktop has none: name a file of mode 0600, a command or a systemd credential"),
    }
}

#[cfg(feature = "keyring")]
fn how_to_store(service: &str, user: &str) -> String {
    if cfg!(windows) {
        format!("cmdkey /generic:{user}.{service} /user:{user} /pass")
    } else if cfg!(target_os = "macos") {
        format!("security add-generic-password -s '{service}' -a '{user}' -w")
    } else {
        format!("secret-tool store --label='{service}' service '{service}' username '{user}'")
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::secret::SecretSource;

    fn read() -> crate::error::Error {
        SecretSource::Keyring { service: "phds-test".into(), user: "no-such-user".into() }.read().unwrap_err()
    }

    #[cfg(not(feature = "keyring"))]
    #[test]
    fn says_how_it_is_built() {
        let error = read();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.what_to_do().unwrap().contains("--features keyring"));
    }

    #[cfg(feature = "keyring")]
    #[test]
    fn an_entry_that_is_not_there_is_told() {
        // On a desktop the keyring has no such entry; on a server there is no keyring.
        let error = read();
        assert!(matches!(error.kind(), ErrorKind::Credentials | ErrorKind::Environment), "{error}");
        assert!(error.what_to_do().is_some());
    }

    #[cfg(feature = "keyring")]
    #[test]
    fn an_error_that_carries_the_secret_shows_none_of_it() {
        use crate::secret::tests::{MARK, refusal};
        let bytes = || MARK.as_bytes().to_vec();
        let faults = [
            keyring::Error::BadEncoding(bytes()),
            keyring::Error::BadDataFormat(bytes(), MARK.into()),
            keyring::Error::Ambiguous(Vec::new()),
            keyring::Error::NoEntry,
        ];
        for fault in faults {
            refusal::<()>(Err(super::error(fault, "phds", "clinic")));
        }
    }
}
