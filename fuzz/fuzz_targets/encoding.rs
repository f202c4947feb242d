//! In which encoding a file is written, and its text in UTF-8.
//!
//! The first byte says how many bytes the disk gives at once; the others are the file.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use phds_fuzz::encoding::{Detector, Encoding};

/// The bytes that stand for nothing in Windows-1252 (Microsoft's table).
const UNDEFINED: &[u8] = b"\x81\x8d\x8f\x90\x9d";

fuzz_target!(|bytes: &[u8]| {
    let Some((&step, text)) = bytes.split_first() else { return };
    detects_the_same_at_any_speed(text, usize::from(step));
    gives_utf_8(text);
});

fn detects_the_same_at_any_speed(text: &[u8], step: usize) {
    // One character of UTF-8 that is not ASCII, or one byte that Windows-1252 lacks outside of such characters.
    let is_utf8 = text
        .utf8_chunks()
        .any(|part| !part.valid().is_ascii() || part.invalid().iter().any(|byte| UNDEFINED.contains(byte)));
    let expected = if text.is_ascii() || is_utf8 { Encoding::Utf8 } else { Encoding::Windows1252 };
    for step in [1, step.max(2), text.len() + 1] {
        let mut detector = Detector::new(None);
        let encoding = detector.of(text, || Ok(Slow { text, step })).expect("a slice can be read");
        assert_eq!((encoding, detector.told()), (expected, (expected, true)), "{step} bytes at once");
    }
}

fn gives_utf_8(text: &[u8]) {
    let utf8 = Encoding::Utf8.to_utf8(text);
    assert_eq!(Encoding::Utf8.is_text(text), std::str::from_utf8(&utf8).is_ok());
    assert_eq!(utf8, text);
    let is_text = !text.iter().any(|byte| UNDEFINED.contains(byte));
    assert_eq!(Encoding::Windows1252.is_text(text), is_text);
    let utf8 = Encoding::Windows1252.to_utf8(text);
    let utf8 = std::str::from_utf8(&utf8).expect("valid UTF-8, whatever the bytes");
    if is_text {
        assert_eq!(utf8, encoding_rs::WINDOWS_1252.decode_without_bom_handling(text).0);
    }
}

/// A disk that gives so many bytes at once.
struct Slow<'a> {
    text: &'a [u8],
    step: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let (given, rest) = self.text.split_at(self.step.min(self.text.len()).min(into.len()));
        into[..given.len()].copy_from_slice(given);
        self.text = rest;
        Ok(given.len())
    }
}
