//! In which encoding a file is written: UTF-8, or Windows-1252 when the whole file says so.

use std::borrow::Cow;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// An encoding of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Windows-1252, which Western programs wrote before; ISO 8859-1 is a part of it.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// The bytes that stand for nothing in Windows-1252.
const UNDEFINED: [u8; 5] = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

/// What the bytes 0x80 to 0x9f stand for; the undefined ones never get here.
const HIGH_CONTROLS: [char; 32] = [
    '\u{20ac}', '\u{fffd}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}',
    '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{fffd}', '\u{17d}', '\u{fffd}', '\u{fffd}', '\u{2018}',
    '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}',
    '\u{203a}', '\u{153}', '\u{fffd}', '\u{17e}', '\u{178}',
];

impl Encoding {
    /// Whether bytes are text in this encoding.
    pub fn is_text(self, bytes: &[u8]) -> bool {
        match self {
            Self::Utf8 => simdutf8::basic::from_utf8(bytes).is_ok(),
            Self::Windows1252 => !bytes.iter().any(|byte| UNDEFINED.contains(byte)),
        }
    }

    /// The UTF-8 of a text of this encoding.
    pub fn to_utf8(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self == Self::Utf8 || bytes.is_ascii() {
            return Cow::Borrowed(bytes);
        }
        let text: String = bytes
            .iter()
            .map(|byte| match byte {
                0x80..=0x9f => HIGH_CONTROLS[usize::from(byte - 0x80)],
                _ => char::from(*byte),
            })
            .collect();
        Cow::Owned(text.into_bytes())
    }
}

/// Tells the encoding of a file that does not declare one, while it is read.
///
/// As long as everything is ASCII, both encodings are the same. The first piece with other bytes decides for the whole
/// file: a character that is right in UTF-8 makes it UTF-8, for such pairs of bytes do not occur in Windows-1252 text by
/// chance; so does a byte that Windows-1252 lacks. Without either, down to the end of the file, it is Windows-1252.
#[derive(Debug)]
pub struct Detector {
    known: Option<Encoding>,
    detected: bool,
}

impl Detector {
    /// With the encoding that the dictionary declares.
    pub fn new(declared: Option<Encoding>) -> Self {
        Self { known: declared, detected: false }
    }

    /// The encoding of the next piece, whole lines; `rest` opens the file where the piece begins.
    pub fn of<R: Read>(
        &mut self,
        piece: &[u8],
        rest: impl FnOnce() -> std::io::Result<R>,
    ) -> std::io::Result<Encoding> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        if piece.is_ascii() {
            return Ok(Encoding::Utf8);
        }
        let encoding = if Encoding::Utf8.is_text(piece) { Encoding::Utf8 } else { decide(rest()?)? };
        self.known = Some(encoding);
        self.detected = true;
        Ok(encoding)
    }

    /// The encoding of the file, and whether it was found out and not declared. ASCII is UTF-8.
    pub fn told(&self) -> (Encoding, bool) {
        (self.known.unwrap_or(Encoding::Utf8), self.detected || self.known.is_none())
    }
}

fn decide(mut rest: impl Read) -> std::io::Result<Encoding> {
    let mut bytes = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let read = rest.read(&mut bytes[kept..])?;
        let all = kept + read;
        // A character may be cut where the buffer ends: its beginning, three bytes at most, waits for the rest.
        let cut = (1..=all.min(3)).find(|length| {
            std::str::from_utf8(&bytes[all - length..all])
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        });
        let end = if read == 0 { all } else { all - cut.unwrap_or(0) };
        for chunk in bytes[..end].utf8_chunks() {
            if !chunk.valid().is_ascii() || chunk.invalid().iter().any(|byte| UNDEFINED.contains(byte)) {
                return Ok(Encoding::Utf8);
            }
        }
        if read == 0 {
            return Ok(Encoding::Windows1252);
        }
        bytes.copy_within(end..all, 0);
        kept = all - end;
    }
}

/// The separator that is most frequent in the first line of a table: a comma, unless a semicolon or a tab is.
pub fn delimiter(table: &[u8]) -> u8 {
    let header = table.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let often = |delimiter: u8| header.split(|byte| *byte == delimiter).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| often(*delimiter)).unwrap_or(b',')
}

/// The physical line on which a record of a table begins. The reader of CSV counts the LF behind a CR to the record after it.
pub fn line_of(table: &[u8], record: Option<&csv::Position>) -> u64 {
    let Some(record) = record else { return 1 };
    let before = table.get(usize::try_from(record.byte()).unwrap_or(usize::MAX)..).unwrap_or_default();
    let ends = before.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
    record.line() + ends.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_line_that_people_see() {
        for table in ["a,b\n1,2\n\n3,4\n", "a,b\r\n1,2\r\n\r\n3,4\r\n", "a,b\n1,2\n\n3,4"] {
            let mut reader = csv::Reader::from_reader(table.as_bytes());
            let lines = reader.records().map(|record| line_of(table.as_bytes(), record.unwrap().position()));
            assert_eq!(lines.collect::<Vec<_>>(), [2, 4], "{table:?}");
        }
    }

    #[test]
    fn the_whole_file_decides() {
        for (text, encoding) in [
            (&b"plain"[..], Encoding::Utf8),
            (b"Caf\xc3\xa9", Encoding::Utf8),
            (b"Caf\xe9", Encoding::Windows1252),
            (b"\x93quoted\x94 \x80 5", Encoding::Windows1252),
            (b"Caf\xe9 and Caf\xc3\xa9", Encoding::Utf8),
            (b"Caf\xe9 and \x81", Encoding::Utf8),
        ] {
            let mut detector = Detector::new(None);
            assert_eq!(detector.of(text, || Ok(text)).unwrap(), encoding, "{text:?}");
            assert_eq!(detector.told(), (encoding, true));
        }
        assert_eq!(
            Detector::new(Some(Encoding::Windows1252)).of(b"Caf\xc3\xa9", || Ok(&b""[..])).unwrap(),
            Encoding::Windows1252
        );
    }

    #[test]
    fn characters_of_windows_1252_become_utf_8() {
        let text = Encoding::Windows1252.to_utf8(b"\x80 Caf\xe9 \x93\xfc\x94");
        assert_eq!(std::str::from_utf8(&text).unwrap(), "\u{20ac} Caf\u{e9} \u{201c}\u{fc}\u{201d}");
        assert!(!Encoding::Windows1252.is_text(b"\x81"));
    }

    #[test]
    fn a_character_at_the_end_of_the_buffer_is_not_cut() {
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                into[0] = *first;
                self.0 = rest;
                Ok(1)
            }
        }
        assert_eq!(decide(Slowly(b"a\xe9b\xc3\xa9")).unwrap(), Encoding::Utf8);
        assert_eq!(decide(Slowly(b"\xd5\x99\xf5\x99\x99")).unwrap(), Encoding::Utf8);
        assert_eq!(decide(Slowly(b"a\xe9b\xe8\n")).unwrap(), Encoding::Windows1252);
    }
}
