//! What a server offers before anything is agreed on: its identification line and its first packet, which is not
//! encrypted (RFC 4253, sections 4.2, 6 and 7.1). The SSH library does not show them.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::super::outside::{clean, remark};
use super::algorithms::{Kind, needs_no_mac};
use crate::error::{Error, Result};

/// All that the server learns of us here.
const IDENTIFICATION: &[u8] = b"SSH-2.0-phds\r\n";

/// Bytes of a line, and lines, that a server may send before its packets. The standard has 255 bytes for the last one.
const MOST_LINE: u64 = 1024;
const MOST_LINES: usize = 20;

/// Bytes of a packet that everybody must accept; a list of algorithms needs about 2000.
const MOST_PACKET: u32 = 35_000;

const KEXINIT: u8 = 20;
const COOKIE: usize = 16;

/// What a server offers.
#[derive(Debug)]
pub(super) struct Offer {
    /// The identification line as it came, without its end.
    pub(super) software: String,
    key_exchanges: Vec<String>,
    host_keys: Vec<String>,
    ciphers: Vec<String>,
    macs: Vec<String>,
}

enum Fault {
    Broken(io::Error),
    NoSsh(String),
    Malformed,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Offer {
    /// Reads the offer from a connection on which nothing was said yet. `address` is for the error.
    pub(super) async fn read(stream: impl AsyncRead + AsyncWrite + Unpin, address: &str) -> Result<Self> {
        read(stream).await.map_err(|fault| match fault {
            Fault::Broken(error) => {
                Error::network(format!("the connection to {address} broke before the server told its offer: {error}"))
                    .hint("try again; if it stays so, check that the port is that of the SFTP service")
            }
            Fault::NoSsh(line) => Error::environment(format!("{address} does not speak SSH{}", remark(&line)))
                .hint("check that the port is that of an SFTP (SSH) service; FTPS is something else"),
            Fault::Malformed => {
                Error::environment(format!("{address} tells its offer in a form that SSH does not have"))
                    .hint("check that the port is that of an SFTP (SSH) service")
            }
        })
    }

    /// What can be had in both directions, in the order of the server.
    pub(super) fn of(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::KeyExchange => &self.key_exchanges,
            Kind::HostKey => &self.host_keys,
            Kind::Cipher => &self.ciphers,
            Kind::Mac => &self.macs,
        }
    }

    /// Whether one of `ours` is offered.
    pub(super) fn shares(&self, kind: Kind, ours: &[String]) -> bool {
        self.of(kind).iter().any(|name| ours.contains(name))
    }

    /// Whether a cipher is shared, and will be chosen, that makes message authentication needless.
    pub(super) fn needs_no_mac(&self) -> bool {
        let ours = Kind::Cipher.modern();
        self.ciphers.iter().any(|name| needs_no_mac(name) && ours.contains(name))
    }

    /// Whether everything can be agreed on when the legacy algorithms are added to ours.
    pub(super) fn meets_legacy(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| {
            kind == Kind::Mac && self.needs_no_mac() || self.shares(kind, &[kind.modern(), kind.legacy()].concat())
        })
    }
}

/// Whether an algorithm is broken, or near it.
pub(super) fn is_weak(name: &str) -> bool {
    ["sha1", "cbc", "md5", "arcfour", "ripemd"].iter().any(|part| name.contains(part))
        || matches!(name, "ssh-rsa" | "ssh-dss" | "none")
}

/// Names for one line of text.
pub(super) fn listed(names: &[String]) -> String {
    const MOST: usize = 40;
    let mut shown: Vec<String> = names.iter().take(MOST).map(|name| clean(name)).collect();
    if names.len() > MOST {
        shown.push(format!("and {} more", names.len() - MOST));
    }
    if shown.is_empty() { "nothing".into() } else { shown.join(", ") }
}

async fn read(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Offer, Fault> {
    let mut stream = BufReader::new(stream);
    let software = identification(&mut stream).await?;
    // Nobody who is not an SSH server gets a word. Some wait for this line before they go on.
    stream.get_mut().write_all(IDENTIFICATION).await?;
    stream.get_mut().flush().await?;
    let length = stream.read_u32().await?;
    let padding = u32::from(stream.read_u8().await?);
    if length > MOST_PACKET || padding + 1 > length {
        return Err(Fault::Malformed);
    }
    // Both fit: the largest packet is 35 000 bytes long.
    let mut payload = vec![0; (length - padding - 1) as usize];
    stream.read_exact(&mut payload).await?;
    parse(&payload, software).ok_or(Fault::Malformed)
}

/// The line that begins with `SSH-`. A server may say other things before.
async fn identification(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String, Fault> {
    let mut first = None;
    for _ in 0..MOST_LINES {
        let mut line = Vec::new();
        (&mut *stream).take(MOST_LINE).read_until(b'\n', &mut line).await?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !line.ends_with(b"\n") {
            let is_over = (line.len() as u64) < MOST_LINE;
            return Err(match first.or((!text.is_empty()).then_some(text)) {
                Some(line) => Fault::NoSsh(line),
                None if is_over => Fault::Broken(io::ErrorKind::UnexpectedEof.into()),
                None => Fault::NoSsh(String::new()),
            });
        }
        if text.starts_with("SSH-2.0-") || text.starts_with("SSH-1.99-") {
            return Ok(text);
        }
        first.get_or_insert(text);
    }
    Err(Fault::NoSsh(first.unwrap_or_default()))
}

fn parse(payload: &[u8], software: String) -> Option<Offer> {
    let (&kind, rest) = payload.split_first()?;
    let mut rest = rest.get(COOKIE..)?;
    if kind != KEXINIT {
        return None;
    }
    let mut list = || {
        let (length, after) = rest.split_first_chunk()?;
        let (names, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = after;
        let names = std::str::from_utf8(names).ok()?;
        Some(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>())
    };
    let key_exchanges = list()?;
    let host_keys = list()?;
    let ciphers = in_both(list()?, &list()?);
    let macs = in_both(list()?, &list()?);
    Some(Offer { software, key_exchanges, host_keys, ciphers, macs })
}

fn in_both(mut to_server: Vec<String>, from_server: &[String]) -> Vec<String> {
    to_server.retain(|name| from_server.contains(name));
    to_server
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn name_list(names: &str) -> Vec<u8> {
        [&u32::try_from(names.len()).unwrap().to_be_bytes()[..], names.as_bytes()].concat()
    }

    fn kexinit(lists: [&str; 6]) -> Vec<u8> {
        let mut payload = [&[KEXINIT][..], &[7; COOKIE]].concat();
        for names in lists.into_iter().chain(["none", "none", "", ""]) {
            payload.extend(name_list(names));
        }
        payload.extend([0; 5]);
        payload
    }

    fn packet(payload: &[u8]) -> Vec<u8> {
        let padding = 4;
        let length = u32::try_from(payload.len()).unwrap() + u32::from(padding) + 1;
        [&length.to_be_bytes()[..], &[padding], payload, &[0; 4]].concat()
    }

    /// What is made of these bytes of a server that then hangs up, and what it is told.
    fn hear(bytes: &[u8]) -> (Result<Offer>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let (mut reader, mut writer) = tokio::io::split(theirs);
            writer.write_all(bytes).await.unwrap();
            writer.shutdown().await.unwrap();
            let offer = Offer::read(ours, "h:22").await;
            let mut told = Vec::new();
            reader.read_to_end(&mut told).await.unwrap();
            (offer, told)
        })
    }

    const MODERN: [&str; 6] =
        ["curve25519-sha256", "ssh-ed25519", "aes256-ctr", "aes256-ctr", "hmac-sha1", "hmac-sha1"];

    #[test]
    fn reads_an_offer() {
        let lists = ["a,b", "ssh-ed25519,ssh-rsa", "aes128-ctr,aes256-ctr,x", "x,aes128-ctr", "", "hmac-sha1"];
        let bytes = [b"Welcome\r\nto us\nSSH-2.0-Some_Server 1.0\r\n", &packet(&kexinit(lists))[..], b"more"].concat();
        let (offer, told) = hear(&bytes);
        let offer = offer.unwrap();
        assert_eq!(told, IDENTIFICATION);
        assert_eq!(offer.software, "SSH-2.0-Some_Server 1.0");
        assert_eq!(offer.of(Kind::KeyExchange), ["a", "b"]);
        assert_eq!(offer.of(Kind::HostKey), ["ssh-ed25519", "ssh-rsa"]);
        assert_eq!(offer.of(Kind::Cipher), ["aes128-ctr", "x"]);
        assert!(offer.of(Kind::Mac).is_empty());
        assert!(hear(&[b"SSH-1.99-x\n", &packet(&kexinit(MODERN))[..]].concat()).0.is_ok());
    }

    #[test]
    fn legacy_helps_only_if_everything_can_be_agreed_on_then() {
        let gcm = "aes256-gcm@openssh.com";
        for (lists, helps) in [
            (MODERN, true),
            (["diffie-hellman-group1-sha1", "ssh-rsa", "aes128-cbc", "aes128-cbc", "hmac-sha1", "hmac-sha1"], true),
            (["diffie-hellman-group1-sha1", "ssh-rsa", "3des-cbc", "3des-cbc", "hmac-sha1", "hmac-sha1"], false),
            (["diffie-hellman-group1-sha1", "ssh-dss", "aes128-cbc", "aes128-cbc", "hmac-sha1", "hmac-sha1"], false),
            (["diffie-hellman-group1-sha1", "ssh-rsa", "aes128-cbc", "aes128-cbc", "hmac-md5", "hmac-md5"], false),
            (["diffie-hellman-group1-sha1", "ssh-rsa", gcm, gcm, "", ""], true),
        ] {
            let offer = parse(&kexinit(lists), String::new()).unwrap();
            assert_eq!(offer.meets_legacy(), helps, "{lists:?}");
        }
    }

    #[test]
    fn hostile_servers() {
        let with = |bytes: &[u8]| [b"SSH-2.0-x\r\n", bytes].concat();
        let good = kexinit(MODERN);
        let mut other_message = good.clone();
        other_message[0] = 1;
        let mut long_name = good.clone();
        long_name[17] = 0xff;
        let mut not_text = good.clone();
        not_text[22] = 0xff;
        // What it sends, whether trying again may help, a part of the message.
        let table: &[(Vec<u8>, bool, &str)] = &[
            (vec![], true, "broke"),
            (b"220 FTP ready\r\n".to_vec(), false, "does not speak SSH (220 FTP ready)"),
            (b"\x16\x03\x01\x1b[31m".to_vec(), false, "\\u{1b}[31m"),
            (b"SSH-1.5-old\r\n".to_vec(), false, "does not speak SSH"),
            (b"x\n".repeat(100), false, "does not speak SSH"),
            (vec![b'x'; 1 << 19], false, "does not speak SSH"),
            (vec![b'\n'; 1 << 19], false, "does not speak SSH"),
            (with(b""), true, "broke"),
            (with(&[0, 0]), true, "broke"),
            (with(&packet(&good)[..60]), true, "broke"),
            (with(&[0, 0, 0, 0, 0]), false, "does not have"),
            (with(&[0, 0, 0, 5, 5]), false, "does not have"),
            (with(&[0xff, 0xff, 0xff, 0xff, 0xff]), false, "does not have"),
            (with(&[0, 0, 0, 5, 4]), false, "does not have"),
            (with(&packet(&other_message)), false, "does not have"),
            (with(&packet(&good[..10])), false, "does not have"),
            (with(&packet(&good[..30])), false, "does not have"),
            (with(&packet(&long_name)), false, "does not have"),
            (with(&packet(&not_text)), false, "does not have"),
        ];
        for (bytes, may_pass, part) in table {
            let error = hear(bytes).0.unwrap_err();
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Environment, *may_pass), "{shown:?}: {error}");
            assert!(error.message().contains(part) && error.message().len() < 1000, "{shown:?}: {error}");
        }
        // Whatever is cut off or changed, nothing else happens than an answer.
        for at in 0..good.len() {
            let _ = parse(&good[..at], String::new());
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = good.clone();
                changed[at] = byte;
                let _ = parse(&changed, String::new());
            }
        }
    }

    #[test]
    fn weak_ones() {
        for name in Kind::ALL.iter().flat_map(|kind| kind.modern()) {
            assert!(!is_weak(&name), "{name}");
        }
        for name in
            ["diffie-hellman-group14-sha1", "3des-cbc", "hmac-md5-96", "arcfour256", "ssh-dss", "ssh-rsa", "none"]
        {
            assert!(is_weak(name), "{name}");
        }
    }

    #[test]
    fn a_long_list_is_one_tame_line() {
        assert_eq!(listed(&[]), "nothing");
        assert_eq!(listed(&["a".into(), "b\u{1b}\n".into()]), "a, b\\u{1b}\\n");
        let many = vec!["x".repeat(1000); 1000];
        assert!(listed(&many).len() < 40 * 210 && listed(&many).ends_with("and 960 more"));
    }
}
