//! What a person needs to know about a certificate: whose, by whom, from when to when, and its SHA-256.
//!
//! The TLS library judges certificates and does not show them, so the few fields are read here. Nothing here decides
//! anything but the dates of a pinned certificate.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use sha2::{Digest, Sha256};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The tag of the version, the one optional field before the serial number.
const VERSION: u8 = 0xa0;
/// 2.5.4.3, the common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// A certificate as a server showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// SHA-256 of the whole certificate.
    pub(super) sha256: [u8; 32],
    /// The fields, when they can be read.
    pub(super) fields: Option<Fields>,
}

/// The fields of a [`Certificate`] that people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) issued_by_itself: bool,
    pub(super) not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
}

impl Certificate {
    pub(super) fn read(der: &[u8]) -> Self {
        Self { sha256: Sha256::digest(der).into(), fields: fields(der) }
    }

    /// `SHA256:` and 64 hexadecimal digits.
    pub(super) fn print(&self) -> String {
        fingerprint(&self.sha256)
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fields {
            Some(Fields { subject, issuer, issued_by_itself, not_before, not_after }) => {
                let issuer = if *issued_by_itself { "itself".to_owned() } else { format!("`{issuer}`") };
                let (from, to) = (day(not_before), day(not_after));
                write!(f, "a certificate for `{subject}`, issued by {issuer}, valid from {from} to {to}, ")?;
            }
            None => f.write_str("a certificate that cannot be read, ")?,
        }
        f.write_str(&self.print())
    }
}

/// `SHA256:` and the digits, as receipts and settings write it.
pub(super) fn fingerprint(sha256: &[u8; 32]) -> String {
    format!("SHA256:{}", crate::fs::hex(sha256))
}

/// A moment as people compare it: the day is enough, and the zone is said.
pub(super) fn day(time: &DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn fields(der: &[u8]) -> Option<Fields> {
    let mut outside = Der(der);
    let mut body = Der(Der(outside.expect(SEQUENCE)?).expect(SEQUENCE)?);
    let first = body.next()?;
    if first.0 == VERSION {
        // The serial number.
        body.next()?;
    }
    // The algorithm of the signature.
    body.expect(SEQUENCE)?;
    let issuer = body.expect(SEQUENCE)?;
    let mut validity = Der(body.expect(SEQUENCE)?);
    let subject = body.expect(SEQUENCE)?;
    Some(Fields {
        subject: common_name(subject),
        issuer: common_name(issuer),
        issued_by_itself: issuer == subject,
        not_before: time(validity.next()?)?,
        not_after: time(validity.next()?)?,
    })
}

fn common_name(name: &[u8]) -> String {
    let mut parts = Der(name);
    let mut found = None;
    while let Some(part) = parts.expect(SET) {
        let mut set = Der(part);
        while let Some(pair) = set.expect(SEQUENCE) {
            let mut pair = Der(pair);
            if let (Some((_, COMMON_NAME)), Some((_, value))) = (pair.next(), pair.next()) {
                found = Some(crate::fetch::outside::clean(&String::from_utf8_lossy(value)));
            }
        }
    }
    found.unwrap_or_else(|| "(no name)".to_owned())
}

fn time((tag, value): (u8, &[u8])) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(value).ok()?;
    let text = match tag {
        // Two digits of the year; RFC 5280 puts 50 and above into the last century.
        UTC_TIME => format!("{}{text}", if text.get(..2)?.parse::<u8>().ok()? < 50 { 20 } else { 19 }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok().map(|time| time.and_utc())
}

/// Reads one element of DER after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            // More than four would be a certificate of gigabytes.
            if digits.len() > 4 {
                return None;
            }
            length = digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|found| found.0 == tag).map(|found| found.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        match u8::try_from(content.len()) {
            Ok(length @ 0..=127) => bytes.push(length),
            _ => bytes.extend([&[0x82][..], &u16::try_from(content.len()).unwrap().to_be_bytes()].concat()),
        }
        bytes.extend(content);
        bytes
    }

    fn name(text: &str) -> Vec<u8> {
        let pair = [element(0x06, COMMON_NAME), element(0x0c, text.as_bytes())].concat();
        element(SEQUENCE, &element(SET, &element(SEQUENCE, &pair)))
    }

    fn certificate(issuer: &str, version: bool) -> Vec<u8> {
        let dates = [element(UTC_TIME, b"991231235959Z"), element(GENERALIZED_TIME, b"20500101000000Z")].concat();
        let mut body = if version { element(VERSION, &element(2, &[2])) } else { Vec::new() };
        for part in [
            element(2, &[7; 200]),
            element(SEQUENCE, &[]),
            name(issuer),
            element(SEQUENCE, &dates),
            name("ftp.example.org"),
        ] {
            body.extend(part);
        }
        element(SEQUENCE, &element(SEQUENCE, &body))
    }

    #[test]
    fn the_fields_that_people_compare() {
        for version in [true, false] {
            let shown = Certificate::read(&certificate("An\u{1b} Authority", version)).to_string();
            let start = "a certificate for `ftp.example.org`, issued by `An\\u{1b} Authority`, valid from 1999-12-31 \
                         23:59 UTC to 2050-01-01 00:00 UTC, SHA256:";
            assert!(shown.starts_with(start), "{shown}");
            assert_eq!(shown.len(), start.len() + 64);
        }
        assert!(Certificate::read(&certificate("ftp.example.org", true)).to_string().contains("issued by itself"));
    }

    #[test]
    fn odd_bytes_are_no_certificate() {
        let whole = certificate("a", true);
        for end in 0..whole.len() {
            assert_eq!(fields(&whole[..end]), None, "{end}");
        }
        for odd in [&[0x30, 0x85, 1, 1, 1, 1, 1][..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0xff; 9]]
        {
            assert_eq!(fields(odd), None);
        }
        assert!(Certificate::read(b"x").to_string().starts_with("a certificate that cannot be read, SHA256:"));
    }
}
