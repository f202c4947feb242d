//! What this program can agree on with a server, and what only when it was told that the server is an old one.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Names, Preferred, cipher, compression, kex, mac};

// Written out, and not taken from the library's defaults, so that an update cannot bring SHA-1 or CBC in.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
];
/// No key exchanges: they tell the server what else we understand.
const EXTENSIONS: &[kex::Name] = &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

const LEGACY_KEY_EXCHANGES: &[kex::Name] = &[kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];
/// An RSA key that signs with SHA-1: `ssh-rsa`.
const LEGACY_HOST_KEYS: &[Algorithm] = &[Algorithm::Rsa { hash: None }];
const LEGACY_CIPHERS: &[cipher::Name] = &[cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC];
const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// One of the things that both sides have to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    KeyExchange,
    HostKey,
    Cipher,
    Mac,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::KeyExchange, Self::HostKey, Self::Cipher, Self::Mac];

    /// What we offer to every server, as SSH names it.
    pub(super) fn modern(self) -> Vec<String> {
        match self {
            Self::KeyExchange => names(KEY_EXCHANGES),
            Self::HostKey => HOST_KEYS.iter().map(ToString::to_string).collect(),
            Self::Cipher => names(CIPHERS),
            Self::Mac => names(MACS),
        }
    }

    /// What we offer, after the modern ones, when `legacy_ssh` is on.
    pub(super) fn legacy(self) -> Vec<String> {
        match self {
            Self::KeyExchange => names(LEGACY_KEY_EXCHANGES),
            Self::HostKey => LEGACY_HOST_KEYS.iter().map(ToString::to_string).collect(),
            Self::Cipher => names(LEGACY_CIPHERS),
            Self::Mac => names(LEGACY_MACS),
        }
    }
}

fn names(list: &[impl AsRef<str>]) -> Vec<String> {
    list.iter().map(|name| name.as_ref().to_owned()).collect()
}

/// Whether a cipher proves by itself that nothing was changed, so that no message authentication is agreed on.
pub(super) fn needs_no_mac(cipher: &str) -> bool {
    cipher.contains("-gcm") || cipher.contains("poly1305")
}

/// The types of host keys to ask for, best first: those whose type is `listed` for the server come before others, and
/// legacy ones come last.
pub(super) fn host_keys(listed: &[Algorithm], legacy: bool) -> Vec<Algorithm> {
    let mut types = HOST_KEYS.to_vec();
    types.sort_by_key(|algorithm| {
        listed.iter().position(|listed| is_same_type(listed, algorithm)).unwrap_or(listed.len())
    });
    if legacy {
        types.extend_from_slice(LEGACY_HOST_KEYS);
    }
    types
}

pub(super) fn is_same_type(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

pub(super) fn preferred(host_keys: Vec<Algorithm>, legacy: bool) -> Preferred {
    Preferred {
        kex: Cow::Owned([KEY_EXCHANGES, if legacy { LEGACY_KEY_EXCHANGES } else { &[] }, EXTENSIONS].concat()),
        key: Cow::Owned(host_keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Owned([CIPHERS, if legacy { LEGACY_CIPHERS } else { &[] }].concat()),
        mac: Cow::Owned([MACS, if legacy { LEGACY_MACS } else { &[] }].concat()),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// What both sides agreed on.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    key_exchange: String,
    host_key: String,
    cipher: String,
    /// To the server and from it; empty when the cipher needs none.
    macs: Vec<String>,
}

impl Agreed {
    pub(super) fn of(names: &Names) -> Self {
        let cipher = names.cipher.as_ref().to_owned();
        let mut macs: Vec<String> = Vec::new();
        if !needs_no_mac(&cipher) {
            macs.extend([names.client_mac, names.server_mac].map(|mac| mac.as_ref().to_owned()));
            macs.dedup();
        }
        Self { key_exchange: names.kex.as_ref().to_owned(), host_key: names.key.to_string(), cipher, macs }
    }

    /// The names of those that only old servers need.
    pub(super) fn legacy(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (kind, names) in [
            (Kind::KeyExchange, std::slice::from_ref(&self.key_exchange)),
            (Kind::HostKey, std::slice::from_ref(&self.host_key)),
            (Kind::Cipher, std::slice::from_ref(&self.cipher)),
            (Kind::Mac, &self.macs),
        ] {
            let legacy = kind.legacy();
            found.extend(names.iter().filter(|name| legacy.contains(name)).cloned());
        }
        found
    }

    /// All of them in one line.
    pub(super) fn summary(&self) -> String {
        let macs = if self.macs.is_empty() { "part of the cipher".to_owned() } else { self.macs.join(" and ") };
        format!(
            "key exchange {}, host key {}, cipher {}, message authentication {macs}",
            self.key_exchange, self.host_key, self.cipher
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(legacy: bool) -> Vec<String> {
        let preferred = preferred(host_keys(&[], legacy), legacy);
        [
            names(&preferred.kex),
            preferred.key.iter().map(ToString::to_string).collect(),
            names(&preferred.cipher),
            names(&preferred.mac),
        ]
        .concat()
    }

    fn is_weak(name: &str) -> bool {
        name.contains("sha1") || name.contains("cbc") || name == "ssh-rsa" || name == "none"
    }

    #[test]
    fn nothing_weak_is_offered_unless_asked_for() {
        assert_eq!(offered(false).iter().find(|name| is_weak(name)), None);
        let weak: Vec<_> = offered(true).into_iter().filter(|name| is_weak(name)).collect();
        assert_eq!(
            weak,
            [
                "diffie-hellman-group14-sha1",
                "diffie-hellman-group-exchange-sha1",
                "diffie-hellman-group1-sha1",
                "ssh-rsa",
                "aes256-cbc",
                "aes192-cbc",
                "aes128-cbc",
                "hmac-sha1-etm@openssh.com",
                "hmac-sha1"
            ]
        );
        assert!(Kind::ALL.iter().flat_map(|kind| kind.modern()).all(|name| !is_weak(&name)));
        assert!(Kind::ALL.iter().flat_map(|kind| kind.legacy()).all(|name| is_weak(&name)));
    }

    #[test]
    fn legacy_comes_last() {
        let preferred = preferred(host_keys(&[], true), true);
        let is_sorted = |names: Vec<String>| names.is_sorted_by_key(|name| is_weak(name));
        let exchanges: Vec<_> = preferred.kex.iter().filter(|name| !EXTENSIONS.contains(name)).collect();
        assert!(is_sorted(names(&exchanges)));
        assert!(is_sorted(names(&preferred.cipher)) && is_sorted(names(&preferred.mac)));
        // Also when an RSA key is what is listed for the server.
        let listed = [Algorithm::Rsa { hash: None }];
        let types: Vec<_> = host_keys(&listed, true).iter().map(ToString::to_string).collect();
        assert_eq!((&*types[0], &*types[1], &*types[6]), ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"));
    }
}
