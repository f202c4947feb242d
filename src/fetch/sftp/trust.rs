//! Whether a host key is the one that is expected.

use russh::keys::ssh_key::Fingerprint;
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::super::known_hosts::{self, KnownHosts, Verdict};
use super::super::outside::clean;
use super::{SftpSettings, record};
use crate::error::{Error, Result};

/// What a host key is judged by.
pub(super) struct Trust {
    settings: SftpSettings,
    known: KnownHosts,
    pin: Option<Fingerprint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Listed(Verdict),
    Pinned,
    NotPinned,
}

impl Trust {
    pub(super) fn of(settings: &SftpSettings) -> Result<Self> {
        let pin = settings.host_key.as_deref().map(read_print).transpose()?;
        Ok(Self { settings: settings.clone(), known: KnownHosts::read(&settings.known_hosts)?, pin })
    }

    pub(super) fn judge(&self, key: &PublicKey) -> Judgement {
        match (self.known.verdict(&self.settings.host, self.settings.port, key), &self.pin) {
            (Verdict::Revoked, _) => Judgement::Listed(Verdict::Revoked),
            (_, Some(pin)) if key.fingerprint(HashAlg::Sha256) == *pin => Judgement::Pinned,
            (_, Some(_)) => Judgement::NotPinned,
            (verdict, None) => Judgement::Listed(verdict),
        }
    }

    /// Whether the login may go on. A server that nobody knows is taken only when the settings say so.
    pub(super) fn accepts(&self, judgement: Judgement) -> bool {
        match judgement {
            Judgement::Pinned | Judgement::Listed(Verdict::Known) => true,
            Judgement::Listed(Verdict::Unknown) => self.settings.accept_new_host_key,
            Judgement::NotPinned | Judgement::Listed(Verdict::Changed | Verdict::Revoked) => false,
        }
    }

    /// The types of the keys that are listed for the server, in the order of the file.
    pub(super) fn listed_types(&self) -> Vec<Algorithm> {
        self.known.key_types(&self.settings.host, self.settings.port)
    }

    /// Writes the key of a server that nobody knew into `known_hosts`. Gives the note for people.
    pub(super) fn record(&self, key: &PublicKey) -> Result<String> {
        let SftpSettings { host, port, known_hosts: file, .. } = &self.settings;
        let line = known_hosts::line(host, *port, key)?;
        record::append_line(file, &line, |text| {
            // Another run may have been faster since the file was read.
            match KnownHosts::parse(text, file)?.verdict(host, *port, key) {
                Verdict::Unknown => Ok(true),
                Verdict::Known => Ok(false),
                verdict => Err(self.refusal(key, Judgement::Listed(verdict))),
            }
        })?;
        Ok(format!(
            "{} was not known. Its key {} was taken on trust and recorded in `{}`; compare the fingerprint with the \
             one that the state gives you by telephone or letter",
            self.settings.address(),
            shown(key),
            file.display()
        ))
    }

    /// Why a key was not accepted, and what to do.
    pub(super) fn refusal(&self, key: &PublicKey, judgement: Judgement) -> Error {
        let address = self.settings.address();
        let file = self.settings.known_hosts.display();
        let shown = shown(key);
        match judgement {
            Judgement::Pinned | Judgement::NotPinned => self.not_pinned(std::slice::from_ref(key)),
            Judgement::Listed(Verdict::Revoked) => Error::credentials(format!(
                "{address} shows a key that `{file}` marks as REVOKED: {shown}. Nothing was sent to it."
            ))
            .hint("do not connect. Call the state's help desk: whoever holds this key may not be the state"),
            Judgement::Listed(Verdict::Changed) => Error::credentials(format!(
                "THE SERVER IS NOT THE ONE THAT WAS RECORDED. {address} shows the key {shown}, and `{file}` records \
                 another. Either the state has a new key, or somebody stands between you and the state. Nothing was \
                 sent to it."
            ))
            .hint(format!(
                "call the state's help desk by a telephone number that you had before, and compare the fingerprint. \
                 Only if it is the same:\n  ssh-keygen -R '{}' -f '{file}'\n{}",
                self.settings.listed_name(),
                self.how_to_record(key)
            )),
            Judgement::Listed(Verdict::Unknown | Verdict::Known) => Error::credentials(format!(
                "{address} is not in `{file}`, so nothing shows that it is the state's server. Its key: {shown}. \
                 Nothing was sent to it."
            ))
            .hint(format!(
                "compare the fingerprint with the one that the state gives you by telephone or letter. Only if it is \
                 the same, record it:\n{}\nor write into the settings: host_key = \"{}\"\nThe last resort, when nobody \
                 can tell you the fingerprint: `--accept-new-host-key` takes the key on trust, this once, and records \
                 it",
                self.how_to_record(key),
                key.fingerprint(HashAlg::Sha256)
            )),
        }
    }

    fn how_to_record(&self, key: &PublicKey) -> String {
        let SftpSettings { host, port, known_hosts: file, .. } = &self.settings;
        let (name, file) = (self.settings.listed_name(), file.display());
        let short = match key.algorithm() {
            Algorithm::Ed25519 => "ed25519",
            Algorithm::Ecdsa { .. } => "ecdsa",
            _ => "rsa",
        };
        format!(
            "  ssh-keyscan -p {port} -t {short} '{host}' >> '{file}'\nlook at what was recorded:\n  ssh-keygen -l -F \
             '{name}' -f '{file}'"
        )
    }

    /// The server showed these keys, and none of them is the pinned one.
    pub(super) fn not_pinned(&self, keys: &[PublicKey]) -> Error {
        let keys = keys.iter().map(shown).collect::<Vec<_>>().join(", ");
        Error::credentials(format!(
            "THE SERVER IS NOT THE ONE THAT WAS PINNED. {} shows {keys}, and the settings accept only {}. Either the \
             state has a new key, or somebody stands between you and the state. Nothing was sent to it.",
            self.settings.address(),
            clean(self.settings.host_key.as_deref().unwrap_or_default())
        ))
        .hint(
            "call the state's help desk by a telephone number that you had before, and compare the fingerprint; \
             change `host_key` only if it is the same",
        )
    }
}

/// Type and fingerprint.
pub(super) fn shown(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// Reads `SHA256:…`, the fingerprint of a key.
pub(super) fn read_print(text: &str) -> Result<Fingerprint> {
    let text = text.trim().trim_end_matches('=');
    match text.parse() {
        Ok(print @ Fingerprint::Sha256(_)) => Ok(print),
        _ => Err(Error::usage(format!("`{}` is not the fingerprint of a key", clean(text)))
            .hint("it looks like `SHA256:` and 43 letters and digits, as `ssh-keygen -lf` prints it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn prints() {
        let print = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(read_print(print).unwrap().to_string(), print);
        assert_eq!(read_print(&format!(" {print}=\n")).unwrap().to_string(), print);
        for text in ["", "47DEQpj8HBSa", "MD5:00:11", "SHA256:", "SHA256:AAAA", &print[..49]] {
            assert_eq!(read_print(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
