//! The file `known_hosts` of OpenSSH: which key a server is known by.
//!
//! Stricter than the reader inside the SSH library: a file that cannot be read is an error and not an empty file, a
//! known host that shows a key of another type is a changed host and not a new one, and `@revoked` lines count.
//! Format: <https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT>.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use crate::error::{Error, Result};
use crate::fs;

/// The port whose hosts are listed without a port.
const STANDARD_PORT: u16 = 22;

/// What the file says about a key that a server has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is listed for this host.
    Known,
    /// The host is listed, but only with other keys.
    Changed,
    /// The host is not listed.
    Unknown,
    /// The key is marked `@revoked`: never to be trusted, whatever else is listed.
    Revoked,
}

/// The entries of one `known_hosts` file.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    revoked: bool,
    hosts: HostPatterns,
    key: KeyData,
}

impl KnownHosts {
    /// Reads the file. One that does not exist is empty; one that cannot be read is
    /// [`crate::error::ErrorKind::Environment`]; a `@revoked` line that cannot be understood is
    /// [`crate::error::ErrorKind::Credentials`], because leaving it out would trust a revoked key. Other lines that
    /// cannot be understood (old formats, unknown key types) are left out, as `ssh` does.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read_if_there(path)? {
            // Lossy: a comment in another encoding does no harm, and no host that is asked for holds a U+FFFD.
            Some(bytes) => Self::parse(&String::from_utf8_lossy(&bytes), path),
            None => Ok(Self::default()),
        }
    }

    /// The same for the text of the file; `path` is for the error.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            match Line::of(line) {
                Line::Entry(entry) => entries.push(entry),
                Line::Nothing => {}
                Line::BrokenRevocation => {
                    return Err(Error::credentials(format!(
                        "line {} of `{}` revokes a key that cannot be understood",
                        index + 1,
                        path.display()
                    ))
                    .hint("repair that line: leaving it out could trust the key that it revokes"));
                }
            }
        }
        Ok(Self { entries })
    }

    /// What the file says about `key`, shown by `host` (a name or an address, as it was asked for) on `port`.
    ///
    /// On another port than 22 the entries are those of `[host]:port`. When there are none, the key is still `Known` if
    /// it is listed for the host without a port, as `ssh` has it.
    pub fn verdict(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let key = key.key_data();
        let [own, plain] = names(host, port);
        if self.entries.iter().any(|entry| entry.revoked && entry.key == *key && (entry.is(&own) || entry.is(&plain))) {
            return Verdict::Revoked;
        }
        let mut listed = self.of(&own).peekable();
        if listed.peek().is_none() {
            return if self.of(&plain).any(|entry| entry.key == *key) { Verdict::Known } else { Verdict::Unknown };
        }
        if listed.any(|entry| entry.key == *key) { Verdict::Known } else { Verdict::Changed }
    }

    /// The types of the keys listed for a host, each once, in the order of the file. A client asks the server for these
    /// first, so that a server with several keys shows the one that is listed.
    pub fn key_types(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let [own, plain] = names(host, port);
        let name = if self.of(&own).next().is_some() { own } else { plain };
        let mut types = Vec::new();
        for entry in self.of(&name) {
            let algorithm = entry.key.algorithm();
            if !types.contains(&algorithm) {
                types.push(algorithm);
            }
        }
        types
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| !entry.revoked && entry.is(name))
    }
}

/// How the file names a host on a port, and how it names the host alone; both in lower case.
fn names(host: &str, port: u16) -> [String; 2] {
    let plain = host.to_ascii_lowercase();
    let own = if port == STANDARD_PORT { plain.clone() } else { format!("[{plain}]:{port}") };
    [own, plain]
}

/// The line that lists a key for a host, without its end.
pub fn line(host: &str, port: u16, key: &PublicKey) -> Result<String> {
    let [name, _] = names(host, port);
    let key = PublicKey::from(key.key_data().clone());
    let key = key.to_openssh().map_err(|_| Error::internal("the key of the server cannot be written as text"))?;
    Ok(format!("{name} {key}"))
}

enum Line {
    Entry(Entry),
    Nothing,
    BrokenRevocation,
}

impl Line {
    fn of(line: &str) -> Self {
        let mut fields = line.split_ascii_whitespace().peekable();
        let revoked = match fields.peek() {
            Some(first) if first.starts_with('#') => return Self::Nothing,
            Some(&"@revoked") => {
                fields.next();
                true
            }
            // An authority vouches for certificates. This program asks for plain keys only, so its key must not pass
            // as the key of a host.
            Some(first) if first.starts_with('@') => return Self::Nothing,
            Some(_) => false,
            None => return Self::Nothing,
        };
        let entry = match (fields.next(), fields.next(), fields.next()) {
            (Some(hosts), Some(kind), Some(key)) => Entry::of(revoked, hosts, kind, key),
            _ => None,
        };
        match entry {
            Some(entry) => Self::Entry(entry),
            None if revoked => Self::BrokenRevocation,
            None => Self::Nothing,
        }
    }
}

impl Entry {
    fn of(revoked: bool, hosts: &str, kind: &str, key: &str) -> Option<Self> {
        let key = PublicKey::from_openssh(&format!("{kind} {key}")).ok()?;
        Some(Self { revoked, hosts: hosts.parse().ok()?, key: key.key_data().clone() })
    }

    fn is(&self, name: &str) -> bool {
        match &self.hosts {
            HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|code| code.chain_update(name.as_bytes()).verify_slice(hash).is_ok()),
            HostPatterns::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(excluded) if matches(excluded, name) => return false,
                        Some(_) => {}
                        None => found |= matches(pattern, name),
                    }
                }
                found
            }
        }
    }
}

/// Whether the whole of `name` (lower case) fits `pattern`: `*` is any run of bytes, `?` is any one, case is ignored.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where the last `*` stands, and how far it has been stretched: going back there alone keeps this linear in memory
    // and quadratic in time at worst.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte.to_ascii_lowercase() == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((star_at, stretched)) => {
                    star = Some((star_at, stretched + 1));
                    at = star_at + 1;
                    read = stretched + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    // Public halves of throwaway keys.
    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGjWA5NPNe0GG/GAbjZYy+w9JkXJUb6JLfNkTuLtWEIS";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICH4aNH+OVMvyPIb+NH2hwz36QoqdbTkcDi80pTbb0JI";
    const E: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBK0IPS2iQGJMmYXpcAQ9t+\
        wsv35gmQ4i98buzBO+CEWTjbwipvdSbslD/g1+NDApN2qByTsQ28NAlAPFsk8UqbE=";
    // Written by `ssh-keygen -H` for `h.example.org` and `[h.example.org]:2222`.
    const HASHED: &str = "|1|MlJQbYHRw3VogaKVtyHoxX6lC4U=|YR++dXy53OrpyGzi/KnahwqCeOM=";
    const HASHED_2222: &str = "|1|nUnf46m475BjwhQkEcC+eYfk1gI=|iNTl2czyqQtAsBS5k/+mc32W5/A=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn file(text: &str) -> KnownHosts {
        let text = text.replace("$A", A).replace("$B", B).replace("$E", E);
        let text = text.replace("$H", HASHED).replace("$P", HASHED_2222);
        KnownHosts::parse(&text, Path::new("known_hosts")).unwrap()
    }

    #[test]
    fn judges_keys() {
        use Verdict::{Changed, Known, Revoked, Unknown};
        // File, host, port, key, verdict.
        let table: &[(&str, &str, u16, &str, Verdict)] = &[
            ("", "h", 22, A, Unknown),
            ("h $A", "h", 22, A, Known),
            ("H.Example.ORG $A", "h.example.org", 22, A, Known),
            ("h.example.org $A", "H.Example.Org", 22, A, Known),
            ("h $A", "h", 22, B, Changed),
            ("h $A", "g", 22, A, Unknown),
            ("h $A", "hh", 22, A, Unknown),
            // Another type of key for a known host is a change, unless that key is listed as well.
            ("h $E", "h", 22, A, Changed),
            ("h $E\nh $A", "h", 22, A, Known),
            ("h $A\nh $B", "h", 22, B, Known),
            // Ports.
            ("[h]:2222 $A", "h", 2222, A, Known),
            ("[h]:2222 $A", "h", 2222, B, Changed),
            ("[h]:2222 $A", "h", 22, A, Unknown),
            ("[h]:22 $A", "h", 22, A, Unknown),
            ("h $A", "h", 2222, A, Known),
            ("h $A", "h", 2222, B, Unknown),
            ("h $A\n[h]:2222 $B", "h", 2222, A, Changed),
            ("[127.0.0.1]:2222,[::1]:2222 $A", "::1", 2222, A, Known),
            ("::1 $A", "::1", 22, A, Known),
            // Lists, wildcards, negation.
            ("g,h,10.0.0.1 $A", "10.0.0.1", 22, A, Known),
            ("*.example.org $A", "sftp.example.org", 22, A, Known),
            ("*.example.org $A", "example.org", 22, A, Unknown),
            ("*.EXAMPLE.org $A", "sftp.example.org", 22, B, Changed),
            ("10.0.0.? $A", "10.0.0.7", 22, A, Known),
            ("10.0.0.? $A", "10.0.0.77", 22, A, Unknown),
            ("*.example.org,!bad.example.org $A", "bad.example.org", 22, A, Unknown),
            ("!bad.example.org,*.example.org $A", "good.example.org", 22, A, Known),
            ("!h $A", "g", 22, A, Unknown),
            ("* $A", "h", 2222, A, Known),
            ("[*.example.org]:2222 $A", "a.example.org", 2222, A, Known),
            // Hashed names.
            ("$H $A", "h.example.org", 22, A, Known),
            ("$H $A", "h.example.org", 22, B, Changed),
            ("$H $A", "g.example.org", 22, A, Unknown),
            ("$P $A", "h.example.org", 2222, A, Known),
            ("$P $A", "h.example.org", 22, A, Unknown),
            ("|1|broken $A", "h", 22, A, Unknown),
            // Markers.
            ("@revoked h $A", "h", 22, A, Revoked),
            ("@revoked * $A\nh $A", "h", 22, A, Revoked),
            ("h $A\n@revoked h $A", "h", 22, A, Revoked),
            ("@revoked h $A", "h", 2222, A, Revoked),
            ("@revoked h $A", "h", 22, B, Unknown),
            ("@revoked g $A\nh $A", "h", 22, A, Known),
            ("@revoked h $A\nh $B", "h", 22, B, Known),
            ("@cert-authority h $A", "h", 22, A, Unknown),
            ("@cert-authority * $A\nh $B", "h", 22, B, Known),
            ("@cert-authority * $A\nh $B", "h", 22, A, Changed),
            ("@something h $A", "h", 22, A, Unknown),
            // Blanks and comments.
            ("\n  \t\n# h $A\n", "h", 22, A, Unknown),
            ("  # h $A", "h", 22, A, Unknown),
            ("\t h \t  $A   a comment # here\r\n", "h", 22, A, Known),
            ("@revoked\t h  $A", "h", 22, A, Revoked),
            // Lines that cannot be understood.
            ("h", "h", 22, A, Unknown),
            ("h 1024 35 1234567", "h", 22, A, Unknown),
            ("h ssh-ed25519 AAAA\nh $A", "h", 22, A, Known),
            ("h ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGjWA5NPNe0GG/GAbjZYy+w9JkXJUb6JLfNkTuLtWEIS", "h", 22, A, Unknown),
        ];
        for (text, host, port, shown, verdict) in table {
            assert_eq!(file(text).verdict(host, *port, &key(shown)), *verdict, "{text:?} {host} {port} {shown}");
        }
    }

    #[test]
    fn lists_the_types_of_a_host() {
        let known = file("h $E\nh $A\nh $B\n@revoked h $A\n[g]:2222 $A\n* $E");
        let types = |host, port| known.key_types(host, port).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(types("h", 22), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        assert_eq!(types("g", 2222), ["ssh-ed25519", "ecdsa-sha2-nistp256"]);
        assert_eq!(file("h $A").key_types("h", 2222), [Algorithm::Ed25519]);
        assert!(file("h $A").key_types("g", 22).is_empty());
    }

    #[test]
    fn writes_the_line_that_it_reads() {
        // Host, port, and how the line begins.
        for (host, port, name) in [
            ("h.example.org", 22, "h.example.org"),
            ("H.Example.ORG", 2222, "[h.example.org]:2222"),
            ("::1", 22, "::1"),
            ("::1", 2222, "[::1]:2222"),
        ] {
            // A comment of the server does not get into the file.
            let line = line(host, port, &key(&format!("{A} from the server"))).unwrap();
            assert_eq!(line, format!("{name} {A}"));
            assert_eq!(file(&line).verdict(host, port, &key(A)), Verdict::Known);
            assert_eq!(file(&line).verdict(host, port, &key(B)), Verdict::Changed);
        }
    }

    #[test]
    fn a_revocation_is_never_left_out() {
        for text in ["@revoked", "@revoked h", "@revoked h ssh-ed25519 AAAA", "@revoked |1|x $A"] {
            let text = format!("# first line\n{}\n", text.replace("$A", A));
            let error = KnownHosts::parse(&text, Path::new("the-file")).unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::Credentials);
            assert!(error.message().contains("line 2 of `the-file`"), "{error}");
        }
    }

    #[test]
    fn reads_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        assert_eq!(KnownHosts::read(&path).unwrap().verdict("h", 22, &key(A)), Verdict::Unknown);
        std::fs::write(&path, [format!("h {A} ").as_bytes(), b"caf\xe9\n"].concat()).unwrap();
        assert_eq!(KnownHosts::read(&path).unwrap().verdict("h", 22, &key(A)), Verdict::Known);
        let error = KnownHosts::read(folder.path()).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Environment);
    }

    #[test]
    fn wildcards_need_no_long_search() {
        let name = "a".repeat(10_000);
        assert!(!matches(&format!("{}b", "*a".repeat(50)), &name));
        assert!(matches(&"*a".repeat(50), &name));
    }
}
