//! Bytes → chunks that end at true record ends → records of fields, with exact physical line numbers.
//!
//! The dialect is RFC 4180 with LF or CRLF. A quote opens a field only as its first byte; inside, two quotes are one. A
//! quote anywhere else is an ordinary byte that marks its record as broken and harms nothing beyond it.

use std::borrow::Cow;
use std::io::Read;

use memchr::{memchr, memchr_iter, memchr2, memchr3};

/// Bytes after which a record is taken as one that does not end: a quote is opened and never closed.
const LONGEST_RECORD: usize = 64 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of whole records.
#[derive(Debug)]
pub struct Chunk {
    /// Physical line, from 1, on which the chunk begins.
    pub first_line: u64,
    /// The records, each with its line end; the last of a file may lack it.
    pub bytes: Vec<u8>,
}

/// Cuts a stream into chunks that end at record ends.
#[derive(Debug)]
pub struct Chunker<R> {
    input: R,
    delimiter: u8,
    size: usize,
    rest: Vec<u8>,
    line: u64,
    started: bool,
    ended: bool,
    cut_off: bool,
}

impl<R: Read> Chunker<R> {
    /// A chunker that reads `size` bytes at a time; a record longer than that makes a longer chunk.
    pub fn new(input: R, delimiter: u8, size: usize) -> Self {
        let size = size.max(BYTE_ORDER_MARK.len());
        Self { input, delimiter, size, rest: Vec::new(), line: 1, started: false, ended: false, cut_off: false }
    }

    /// Whether the stream ended inside a quoted field, or a record did not end. Known once [`Chunker::next_chunk`] has
    /// given `None`.
    pub fn cut_off(&self) -> bool {
        self.cut_off
    }

    /// The next records, or `None` at the end.
    pub fn next_chunk(&mut self) -> std::io::Result<Option<Chunk>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let mut scan = Scan::new(self.delimiter);
        while scan.end == 0 && !self.ended {
            if bytes.len() > LONGEST_RECORD {
                self.cut_off = true;
                self.ended = true;
                return Ok(None);
            }
            self.ended = (&mut self.input).take(self.size as u64).read_to_end(&mut bytes)? < self.size;
            if !self.started {
                self.started = true;
                if bytes.starts_with(BYTE_ORDER_MARK) {
                    bytes.drain(..BYTE_ORDER_MARK.len());
                }
            }
            scan.advance(&bytes);
        }
        if self.ended {
            scan.end = bytes.len();
            scan.lines_before_end = scan.lines;
            self.cut_off |= scan.quoted;
        }
        self.rest = bytes.split_off(scan.end);
        let first_line = self.line;
        self.line += scan.lines_before_end;
        Ok((!bytes.is_empty()).then_some(Chunk { first_line, bytes }))
    }
}

/// Finds the last record end in a buffer that begins at a record and grows.
#[derive(Debug)]
struct Scan {
    delimiter: u8,
    at: usize,
    lines: u64,
    quoted: bool,
    closed_at: Option<usize>,
    end: usize,
    lines_before_end: u64,
}

impl Scan {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, at: 0, lines: 0, quoted: false, closed_at: None, end: 0, lines_before_end: 0 }
    }

    fn advance(&mut self, bytes: &[u8]) {
        while let Some(found) = memchr2(b'"', b'\n', &bytes[self.at..]) {
            let place = self.at + found;
            self.at = place + 1;
            if bytes[place] == b'\n' {
                self.lines += 1;
                if !self.quoted {
                    self.end = self.at;
                    self.lines_before_end = self.lines;
                }
            } else if self.quoted {
                self.quoted = false;
                self.closed_at = Some(place);
            } else {
                // A quote right after a closing one is the second of a doubled pair: the field goes on.
                let doubled = self.closed_at.is_some_and(|closed| closed + 1 == place);
                self.quoted = doubled || place == 0 || bytes[place - 1] == self.delimiter || bytes[place - 1] == b'\n';
            }
        }
        self.at = bytes.len();
    }
}

/// What is wrong with the shape of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Another number of fields than the header.
    FieldCount,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A quote inside an unquoted field, or text after a closing quote.
    StrayQuote,
}

/// Where a field lies in its chunk, without its quotes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
    /// Whether it holds doubled quotes.
    doubled: bool,
}

/// The records of one chunk: a matrix of fields for the well-formed ones, and a list of the broken ones.
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    width: usize,
    spans: Vec<Span>,
    lines: Vec<u64>,
    /// Line and fault of each broken record, in the order of the file.
    pub broken: Vec<(u64, Broken)>,
}

impl<'a> Records<'a> {
    /// Splits a chunk (far shorter than 4 GiB: see `LONGEST_RECORD`) into records of `width` fields.
    pub fn split(chunk: &'a Chunk, delimiter: u8, width: usize) -> Self {
        let bytes = chunk.bytes.as_slice();
        let estimate = bytes.len() / (width * 8).max(1);
        let mut records = Self {
            bytes,
            width,
            spans: Vec::with_capacity(estimate * width),
            lines: Vec::with_capacity(estimate),
            broken: Vec::new(),
        };
        let all_utf8 = simdutf8::basic::from_utf8(bytes).is_ok();
        let mut line = chunk.first_line;
        let mut at = 0;
        while at < bytes.len() {
            let first_span = records.spans.len();
            let record = split_record(bytes, at, delimiter, &mut records.spans);
            let count = records.spans.len() - first_span;
            let blank = count == 1 && matches!(&bytes[at..record.end], b"\n" | b"\r\n" | b"\r");
            let broken = if !all_utf8 && simdutf8::basic::from_utf8(&bytes[at..record.end]).is_err() {
                Some(Broken::NotUtf8)
            } else if record.stray_quote {
                Some(Broken::StrayQuote)
            } else {
                (count != width).then_some(Broken::FieldCount)
            };
            if blank || broken.is_some() {
                records.spans.truncate(first_span);
                records.broken.extend(broken.filter(|_| !blank).map(|broken| (line, broken)));
            } else {
                records.lines.push(line);
            }
            line += record.lines;
            at = record.end;
        }
        records
    }

    /// Number of well-formed records.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The physical line on which each well-formed record begins.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// The value of a field without surrounding blanks and with doubled quotes made single.
    pub fn value(&self, row: usize, column: usize) -> Cow<'a, [u8]> {
        let span = self.spans[row * self.width + column];
        let raw = self.bytes[span.start as usize..span.end as usize].trim_ascii();
        if span.doubled { Cow::Owned(undouble(raw)) } else { Cow::Borrowed(raw) }
    }
}

/// The fields of the first record of a chunk that is not blank, and the chunk's remainder; `None` when there is none.
pub fn split_header(chunk: Chunk, delimiter: u8) -> Option<(Vec<Vec<u8>>, Chunk)> {
    let mut at = 0;
    let mut line = chunk.first_line;
    while at < chunk.bytes.len() {
        let mut spans = Vec::new();
        let record = split_record(&chunk.bytes, at, delimiter, &mut spans);
        line += record.lines;
        if !chunk.bytes[at..record.end].trim_ascii().is_empty() {
            let fields = spans.iter().map(|span| {
                let raw = chunk.bytes[span.start as usize..span.end as usize].trim_ascii();
                if span.doubled { undouble(raw) } else { raw.to_vec() }
            });
            let fields = fields.collect();
            let mut bytes = chunk.bytes;
            bytes.drain(..record.end);
            return Some((fields, Chunk { first_line: line, bytes }));
        }
        at = record.end;
    }
    None
}

struct RecordEnd {
    /// Position after the record's line end.
    end: usize,
    /// Line ends in the record.
    lines: u64,
    stray_quote: bool,
}

fn split_record(bytes: &[u8], start: usize, delimiter: u8, spans: &mut Vec<Span>) -> RecordEnd {
    let mut at = start;
    let mut lines = 0;
    let mut stray_quote = false;
    loop {
        let quoted = bytes.get(at) == Some(&b'"');
        let mut span = Span { start: place(at), end: place(at), doubled: false };
        let mut closed = None;
        if quoted {
            span.start = place(at + 1);
            let mut from = at + 1;
            loop {
                match memchr(b'"', &bytes[from..]).map(|found| from + found) {
                    Some(quote) if bytes.get(quote + 1) == Some(&b'"') => {
                        span.doubled = true;
                        from = quote + 2;
                    }
                    Some(quote) => {
                        closed = Some(quote);
                        at = quote + 1;
                        break;
                    }
                    None => {
                        at = bytes.len();
                        break;
                    }
                }
            }
            span.end = place(closed.unwrap_or(bytes.len()));
            lines += memchr_iter(b'\n', &bytes[span.start as usize..span.end as usize]).count() as u64;
        }
        // The rest of the field up to its delimiter or line end; after a closing quote it should be empty.
        let rest = at;
        let mut stop = memchr3(delimiter, b'\n', b'"', &bytes[at..]).map(|found| at + found);
        if stop.is_some_and(|stop| bytes[stop] == b'"') {
            stray_quote = true;
            stop = memchr2(delimiter, b'\n', &bytes[at..]).map(|found| at + found);
        }
        let stop = stop.unwrap_or(bytes.len());
        let ends_record = bytes.get(stop) != Some(&delimiter);
        let mut text_end = stop;
        if ends_record && text_end > rest && bytes[text_end - 1] == b'\r' {
            text_end -= 1;
        }
        if quoted {
            stray_quote |= text_end > rest;
        } else {
            span.end = place(text_end);
        }
        spans.push(span);
        at = (stop + 1).min(bytes.len());
        if ends_record {
            lines += u64::from(stop < bytes.len());
            return RecordEnd { end: at, lines, stray_quote };
        }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn undouble(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        text.push(*byte);
        if *byte == b'"' {
            bytes.next();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a record and its fields, or none for a broken one.
    type Row = (u64, Option<Vec<String>>);

    /// Every record, read in chunks of `size` bytes, and whether the end was cut off.
    fn read(text: &[u8], width: usize, size: usize) -> (Vec<Row>, bool) {
        let mut chunker = Chunker::new(text, b',', size);
        let mut rows = Vec::new();
        while let Some(chunk) = chunker.next_chunk().unwrap() {
            let records = Records::split(&chunk, b',', width);
            for row in 0..records.len() {
                let fields =
                    (0..width).map(|column| String::from_utf8(records.value(row, column).into_owned()).unwrap());
                rows.push((records.lines()[row], Some(fields.collect())));
            }
            rows.extend(records.broken.iter().map(|(line, _)| (*line, None)));
        }
        rows.sort();
        (rows, chunker.cut_off())
    }

    #[test]
    fn records_and_their_lines_do_not_depend_on_the_chunk_size() {
        let good = |line, fields: [&str; 2]| (line, Some(fields.map(str::to_owned).to_vec()));
        let cases: [(&[u8], Vec<Row>); 14] = [
            (b"a,b\nc,d\n", vec![good(1, ["a", "b"]), good(2, ["c", "d"])]),
            (b"a,b\r\nc,d", vec![good(1, ["a", "b"]), good(2, ["c", "d"])]),
            (b"\xef\xbb\xbf\"a\",b\n", vec![good(1, ["a", "b"])]),
            (b"a,\"x\ny\"\nc,d\n", vec![good(1, ["a", "x\ny"]), good(3, ["c", "d"])]),
            (b"\"a,\"\"q\"\"\",b\nc,\"\"\n", vec![good(1, ["a,\"q\"", "b"]), good(2, ["c", ""])]),
            (b"a\na,b,c\nc,d\n", vec![(1, None), (2, None), good(3, ["c", "d"])]),
            (b"\n\na,b\n\nc,d\n", vec![good(3, ["a", "b"]), good(5, ["c", "d"])]),
            (b"a,b\"b\nc,d\n", vec![(1, None), good(2, ["c", "d"])]),
            (b"\"a\"x,b\nc,d\n", vec![(1, None), good(2, ["c", "d"])]),
            (b"\"a\"x\"y\",b\nc,d\n", vec![(1, None), good(2, ["c", "d"])]),
            (b"a,\xe9\nc,d\n", vec![(1, None), good(2, ["c", "d"])]),
            (b" a ,\" b \"\n", vec![good(1, ["a", "b"])]),
            (b"a,\n,\n", vec![good(1, ["a", ""]), good(2, ["", ""])]),
            (b"a\"\"\"b,x\nc,d\n", vec![(1, None), good(2, ["c", "d"])]),
        ];
        for (text, expected) in cases {
            for size in 1..=text.len() + 1 {
                let (rows, cut_off) = read(text, 2, size);
                assert_eq!(rows, expected, "{text:?} in chunks of {size}");
                assert!(!cut_off);
            }
        }
    }

    #[test]
    fn an_end_inside_quotes_is_noticed() {
        for (text, expected) in
            [(&b"a,\"b\n"[..], true), (b"a,\"b\"\"", true), (b"a,\"b\"", false), (b"a,b\"", false), (b"", false)]
        {
            for size in 1..8 {
                assert_eq!(read(text, 2, size).1, expected, "{text:?}");
            }
        }
    }
}
