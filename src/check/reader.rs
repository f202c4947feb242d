//! Bytes → chunks that end at true record ends → records of fields, with exact physical line numbers and byte offsets.
//!
//! The dialect is RFC 4180 with LF or CRLF; a file whose first line ends in a lone CR has CR throughout. A quote opens a
//! field only as its first byte; inside, two quotes are one. A quote anywhere else is an ordinary byte that marks its
//! record as broken and harms nothing beyond it. A quote that is opened and not closed takes one line with it, and not
//! the rows after it.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memchr3, memrchr};
use wide::u8x16;

use super::place::Place;
use super::plain::{PlainSplitter, unquoted};
use crate::encoding::Encoding;

/// Bytes after which a record is taken as one that does not end: a quote is opened and never closed.
const LONGEST_RECORD: usize = 64 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of whole records.
#[derive(Debug)]
pub struct Chunk {
    /// Physical line, from 1, on which the chunk begins.
    pub first_line: u64,
    /// Place of its first byte in the file, from 0.
    pub first_offset: u64,
    /// The records, each with its line end; the last of a file may lack it.
    pub bytes: Vec<u8>,
    /// The byte that ends a line in this file: LF (also after CR) or CR.
    pub line_end: u8,
    /// How its text is written.
    pub encoding: Encoding,
}

/// Cuts a stream into chunks that end at record ends.
#[derive(Debug)]
pub struct Chunker<R> {
    input: R,
    delimiter: u8,
    size: usize,
    rest: Vec<u8>,
    /// A buffer that is not needed any more.
    spare: Vec<u8>,
    line: u64,
    offset: u64,
    line_end: u8,
    skip_lines: u64,
    started: bool,
    ended: bool,
    /// The byte order mark and the lines that are no records.
    passed_over: Vec<u8>,
    byte_order_mark: bool,
    cut_off: Option<Place>,
}

impl<R: Read> Chunker<R> {
    /// A chunker that reads `size` bytes at a time; a record longer than that makes a longer chunk. So many physical
    /// lines at the beginning are no records.
    pub fn new(input: R, delimiter: u8, size: usize, skip_lines: u64) -> Self {
        Self {
            input,
            delimiter,
            size: size.max(BYTE_ORDER_MARK.len()),
            rest: Vec::new(),
            spare: Vec::new(),
            line: 1,
            offset: 0,
            line_end: b'\n',
            skip_lines,
            started: false,
            ended: false,
            passed_over: Vec::new(),
            byte_order_mark: false,
            cut_off: None,
        }
    }

    /// What stands before the first chunk.
    pub fn passed_over(&self) -> &[u8] {
        &self.passed_over
    }

    /// The record in which the stream ended inside a quoted field, or that did not end. Known once
    /// [`Chunker::next_chunk`] has given `None`.
    pub fn cut_off(&self) -> Option<Place> {
        self.cut_off
    }

    /// Whether the file begins with a byte order mark.
    pub fn has_byte_order_mark(&self) -> bool {
        self.byte_order_mark
    }

    /// The byte that ends a line.
    pub fn line_end(&self) -> u8 {
        self.line_end
    }

    /// Takes the bytes of a chunk back when they are done with, to read the next ones into.
    pub fn reuse(&mut self, mut bytes: Vec<u8>) {
        // One that a very long record has made is not kept.
        if bytes.capacity() <= 4 * self.size {
            bytes.clear();
            self.spare = bytes;
        }
    }

    /// The next records, or `None` at the end.
    pub fn next_chunk(&mut self) -> std::io::Result<Option<Chunk>> {
        if !self.started {
            self.start()?;
        }
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.append(&mut self.rest);
        let mut scan = Scan::new(self.delimiter, self.line_end);
        scan.advance(&bytes);
        while scan.end == 0 && !self.ended {
            if bytes.len() > LONGEST_RECORD {
                self.cut_off = Some(Place { line: self.line, offset: self.offset, length: 0 });
                self.ended = true;
                return Ok(None);
            }
            self.read_more(&mut bytes)?;
            scan.advance(&bytes);
        }
        if self.ended {
            if scan.quoted {
                let line = self.line + self.lines(&bytes[..scan.end]);
                self.cut_off = Some(Place { line, offset: self.offset + scan.end as u64, length: 0 });
            }
            scan.end = bytes.len();
        }
        self.rest.extend_from_slice(&bytes[scan.end..]);
        bytes.truncate(scan.end);
        let (first_line, first_offset) = (self.line, self.offset);
        self.line += self.lines(&bytes);
        self.offset += bytes.len() as u64;
        let chunk = Chunk { first_line, first_offset, bytes, line_end: self.line_end, encoding: Encoding::Utf8 };
        Ok((!chunk.bytes.is_empty()).then_some(chunk))
    }

    fn lines(&self, bytes: &[u8]) -> u64 {
        let ends = u8x16::splat(self.line_end);
        let (parts, rest) = bytes.as_chunks::<16>();
        let mut lines = memchr_iter(self.line_end, rest).count() as u64;
        // So many steps that a byte can count them; a byte of those that are equal is -1.
        for parts in parts.chunks(255) {
            let counts = parts.iter().fold(u8x16::ZERO, |counts, part| counts - u8x16::from(*part).simd_eq(ends));
            lines += counts.to_array().map(u64::from).iter().sum::<u64>();
        }
        lines
    }

    fn read_more(&mut self, bytes: &mut Vec<u8>) -> std::io::Result<()> {
        // With room for the whole piece and for the last look, nothing is moved while it is read.
        bytes.reserve(self.size + 64);
        self.ended = (&mut self.input).take(self.size as u64).read_to_end(bytes)? < self.size;
        Ok(())
    }

    /// Reads to the first line end, which tells that of the file, and passes over what is no record.
    fn start(&mut self) -> std::io::Result<()> {
        self.started = true;
        let mut bytes = Vec::new();
        let ends_line = |bytes: &[u8]| memchr2(b'\r', b'\n', bytes).filter(|at| at + 1 < bytes.len());
        while ends_line(&bytes).is_none() && !self.ended && bytes.len() <= LONGEST_RECORD {
            self.read_more(&mut bytes)?;
        }
        if bytes.starts_with(BYTE_ORDER_MARK) {
            self.byte_order_mark = true;
            self.offset += BYTE_ORDER_MARK.len() as u64;
            self.passed_over.extend(bytes.drain(..BYTE_ORDER_MARK.len()));
        }
        if let Some(at) = memchr2(b'\r', b'\n', &bytes)
            && bytes[at] == b'\r'
            && bytes.get(at + 1) != Some(&b'\n')
        {
            self.line_end = b'\r';
        }
        for _ in 0..self.skip_lines {
            let mut end = memchr(self.line_end, &bytes);
            while end.is_none() && !self.ended && bytes.len() <= LONGEST_RECORD {
                self.read_more(&mut bytes)?;
                end = memchr(self.line_end, &bytes);
            }
            let end = end.map_or(bytes.len(), |at| at + 1);
            self.passed_over.extend(bytes.drain(..end));
            self.offset += end as u64;
            self.line += 1;
        }
        self.rest = bytes;
        Ok(())
    }
}

/// Finds the last record end in a buffer that begins at a record and grows.
#[derive(Debug)]
struct Scan {
    delimiter: u8,
    line_end: u8,
    /// What has been looked at.
    at: usize,
    quoted: bool,
    closed_at: Option<usize>,
    end: usize,
}

impl Scan {
    fn new(delimiter: u8, line_end: u8) -> Self {
        Self { delimiter, line_end, at: 0, quoted: false, closed_at: None, end: 0 }
    }

    fn advance(&mut self, bytes: &[u8]) {
        // Only the last line end of a stretch outside quotes can be the one.
        let (begin, mut outside) = (self.at, self.at);
        for place in memchr_iter(b'"', &bytes[begin..]).map(|found| begin + found) {
            if self.quoted {
                self.quoted = false;
                self.closed_at = Some(place);
                outside = place + 1;
            } else {
                // A quote right after a closing one is the second of a doubled pair: the field goes on.
                let doubled = self.closed_at.is_some_and(|closed| closed + 1 == place);
                let before = place.checked_sub(1).map(|before| bytes[before]);
                self.quoted =
                    doubled || before.is_none_or(|before| before == self.delimiter || before == self.line_end);
                if self.quoted {
                    self.look_outside(bytes, outside, place);
                }
            }
        }
        if !self.quoted {
            self.look_outside(bytes, outside, bytes.len());
        }
        self.at = bytes.len();
    }

    fn look_outside(&mut self, bytes: &[u8], from: usize, to: usize) {
        if let Some(found) = memrchr(self.line_end, &bytes[from..to]) {
            self.end = from + found + 1;
        }
    }
}

/// What is wrong with the shape of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Another number of fields than the header.
    FieldCount,
    /// Bytes that are not text in the file's encoding.
    NotText,
    /// A quote inside an unquoted field, or text after a closing quote.
    StrayQuote,
    /// A NUL or another control character.
    ControlCharacter,
    /// A quote that is opened and not closed.
    UnclosedQuote,
    /// The header again.
    RepeatedHeader,
}

impl Broken {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::FieldCount,
        Self::NotText,
        Self::StrayQuote,
        Self::ControlCharacter,
        Self::UnclosedQuote,
        Self::RepeatedHeader,
    ];
}

/// What the records of a chunk are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// Lines without anything, which are passed over.
    pub blank_lines: u64,
    /// Rows with a line end inside quotes.
    pub rows_over_several_lines: u64,
    /// Records that end in CRLF.
    pub crlf: u64,
    /// Records that end in LF or CR alone.
    pub bare: u64,
    /// Whether the last record has no line end.
    pub open_end: bool,
    /// Whether that record has too few fields.
    pub short_end: bool,
}

impl Structure {
    /// Adds that of a later chunk.
    pub fn merge(&mut self, later: Self) {
        self.blank_lines += later.blank_lines;
        self.rows_over_several_lines += later.rows_over_several_lines;
        self.crlf += later.crlf;
        self.bare += later.bare;
        self.open_end = later.open_end;
        self.short_end = later.short_end;
    }
}

/// The records of one chunk: a matrix of fields for the well-formed ones, and a list of the broken ones.
#[derive(Debug)]
pub struct Records<'a> {
    chunk: &'a Chunk,
    width: usize,
    /// For each well-formed record, where it begins in the chunk and where each of its fields ends, its quotes among it. A
    /// field begins behind the delimiter that ends the one before.
    bounds: Vec<u32>,
    places: Vec<Place>,
    /// Place and fault of each broken record, in the order of the file.
    pub broken: Vec<(Place, Broken)>,
    /// What they are made of.
    pub structure: Structure,
}

/// How the records of a file are told from one another.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The byte between fields.
    pub delimiter: u8,
    /// How many fields a row has.
    pub width: usize,
    /// The header as it stands in the file, without its line end.
    pub header: &'a [u8],
}

impl<'a> Records<'a> {
    /// Splits a chunk (far shorter than 4 GiB: see `LONGEST_RECORD`) into records.
    pub fn split(chunk: &'a Chunk, form: Form<'_>) -> Self {
        Self::split_by(chunk, form, false)
    }

    /// The same by the strict splitter alone, or by both.
    pub fn split_by(chunk: &'a Chunk, form: Form<'_>, strictly: bool) -> Self {
        let estimate = chunk.bytes.len() / (form.width * 8).max(1);
        let mut records = Self {
            chunk,
            width: form.width,
            bounds: Vec::with_capacity(estimate * (form.width + 1)),
            places: Vec::with_capacity(estimate),
            broken: Vec::new(),
            structure: Structure::default(),
        };
        let mut split = Split { form, all_text: chunk.encoding.is_text(&chunk.bytes), line: chunk.first_line };
        let (bytes, delimiter, line_end) = (chunk.bytes.as_slice(), form.delimiter, chunk.line_end);
        let (plain, strict) =
            (PlainSplitter { bytes, delimiter, line_end }, StrictSplitter { bytes, delimiter, line_end });
        let mut bounds = std::mem::take(&mut records.bounds);
        let mut at = 0;
        // Where a record ends whose lines are read again because it has swallowed rows. It is a true record end, so that
        // the result does not depend on where chunks end.
        let mut again_to = 0;
        while at < bytes.len() {
            if at >= again_to && !strictly {
                at = plain.split(at, &mut bounds, |bounds, at, end| records.take_plain(&mut split, bounds, at, end));
                if at == bytes.len() {
                    break;
                }
            }
            let first = bounds.len();
            bounds.push(short(at));
            let is_split_again = at < again_to;
            let limit = if is_split_again { again_to } else { bytes.len() };
            let mut record = strict.split(at, limit, &mut bounds);
            let is_broken = record.fault.is_some() || bounds.len() - first != form.width + 1;
            // Two half-open quotes can make one record of good shape out of several rows: then its first line is a row too.
            let swallows_rows = || {
                (is_broken || strict.is_like_a_row(at, form.width)) && strict.swallows_rows(at, record.end, form.width)
            };
            if record.spans_lines() && ((is_broken && is_split_again) || swallows_rows()) {
                again_to = if is_split_again { again_to } else { record.end };
                record =
                    RecordEnd { end: strict.line_from(at), lines: 1, fault: Some(Broken::UnclosedQuote), ..record };
            }
            records.take(&mut split, &mut bounds, at, &record);
            at = record.end;
        }
        records.bounds = bounds;
        records
    }

    /// Takes a record that begins at `at` and whose bounds are the last ones: a row, a broken one, or a blank line.
    fn take(&mut self, split: &mut Split<'_>, bounds: &mut Vec<u32>, at: usize, record: &RecordEnd) {
        let chunk = self.chunk;
        let raw = &chunk.bytes[at..record.end];
        let before = self.places.len() * (self.width + 1);
        let count = bounds.len() - before - 1;
        let text = without_line_end(raw, chunk.line_end);
        let is_open = raw.last() != Some(&chunk.line_end);
        let is_crlf = raw.ends_with(b"\r\n");
        let structure = &mut self.structure;
        structure.open_end = is_open;
        structure.short_end = is_open && count < self.width;
        structure.crlf += u64::from(is_crlf);
        structure.bare += u64::from(!is_open && !is_crlf);
        let broken = if !split.all_text && !chunk.encoding.is_text(raw) {
            Some(Broken::NotText)
        } else if !record.is_plain && has_control(text, chunk.line_end) {
            Some(Broken::ControlCharacter)
        } else if record.fault.is_some() {
            record.fault
        } else if count != self.width {
            Some(Broken::FieldCount)
        } else {
            (text == split.form.header).then_some(Broken::RepeatedHeader)
        };
        let place = Place { line: split.line, offset: chunk.first_offset + at as u64, length: short(raw.len()) };
        if text.is_empty() {
            bounds.truncate(before);
            structure.blank_lines += 1;
        } else if let Some(broken) = broken {
            bounds.truncate(before);
            self.broken.push((place, broken));
        } else {
            structure.rows_over_several_lines += u64::from(record.spans_lines());
            self.places.push(place);
        }
        split.line += record.lines;
    }

    /// The same of a record that the plain splitter has taken. Most are rows in which nothing is wrong.
    #[inline]
    fn take_plain(&mut self, split: &mut Split<'_>, bounds: &mut Vec<u32>, at: usize, end: usize) {
        let bounds_before = self.places.len() * (self.width + 1);
        let length = bounds.last().map_or(0, |end| *end as usize - at);
        let has_shape = bounds.len() - bounds_before == self.width + 1;
        if !has_shape || !split.all_text || length == 0 || length == split.form.header.len() {
            self.take(split, bounds, at, &RecordEnd::plain(end));
            return;
        }
        let is_crlf = self.chunk.bytes[at..end].ends_with(b"\r\n");
        self.structure.crlf += u64::from(is_crlf);
        self.structure.bare += u64::from(!is_crlf);
        (self.structure.open_end, self.structure.short_end) = (false, false);
        let place = Place { line: split.line, offset: self.chunk.first_offset + at as u64, length: short(end - at) };
        self.places.push(place);
        split.line += 1;
    }

    /// Number of well-formed records.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Where each well-formed record lies.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The bytes of a well-formed record, without its line end.
    pub fn raw(&self, row: usize) -> &'a [u8] {
        let place = self.places[row];
        let start = usize::try_from(place.offset - self.chunk.first_offset).unwrap_or(0);
        without_line_end(&self.chunk.bytes[start..start + place.length as usize], self.chunk.line_end)
    }

    /// Fields of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A column of all rows.
    pub fn column(&self, number: usize) -> Column<'_> {
        self.columns(number..number + 1)
    }

    /// Adjacent columns of all rows as one, with their delimiters.
    pub fn columns(&self, run: Range<usize>) -> Column<'_> {
        Column { records: self, first: run.start, end: run.end }
    }

    #[inline]
    fn field(&self, row: usize, column: usize) -> &'a [u8] {
        let bounds = &self.bounds[row * (self.width + 1) + column..][..2];
        &self.chunk.bytes[bounds[0] as usize + usize::from(column > 0)..bounds[1] as usize]
    }

    /// The value of a field in UTF-8, without surrounding blanks and with doubled quotes made single.
    #[inline]
    pub fn value(&self, row: usize, column: usize) -> Cow<'a, [u8]> {
        value_of(self.field(row, column), self.chunk.encoding)
    }
}

/// A column of the records of a chunk, or several that are looked at as one.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    records: &'a Records<'a>,
    first: usize,
    end: usize,
}

impl<'a> Column<'a> {
    /// Number of rows.
    pub fn len(self) -> usize {
        self.records.len()
    }

    /// The fields as they stand in the file, their quotes among them.
    #[inline]
    pub fn fields(self) -> impl Iterator<Item = RawField<'a>> {
        self.records.bounds.chunks_exact(self.records.width + 1).map(move |bounds| self.between(bounds))
    }

    /// The field of one row.
    #[inline]
    pub fn field(self, row: usize) -> RawField<'a> {
        let width = self.records.width + 1;
        self.between(&self.records.bounds[row * width..][..width])
    }

    #[inline]
    fn between(self, bounds: &[u32]) -> RawField<'a> {
        let start = bounds[self.first].wrapping_add(u32::from(self.first > 0));
        RawField { from: &self.bytes()[start as usize..], start, length: bounds[self.end].wrapping_sub(start) as usize }
    }

    /// The bytes in which a field has its range.
    pub fn bytes(self) -> &'a [u8] {
        &self.records.chunk.bytes
    }

    /// The value of a field: see [`Records::value`].
    #[inline]
    pub fn value(self, field: RawField<'a>) -> Cow<'a, [u8]> {
        value_of(field.bytes(), self.records.chunk.encoding)
    }
}

/// A field as it stands in the file, and what follows it.
#[derive(Clone, Copy, Debug)]
pub struct RawField<'a> {
    from: &'a [u8],
    start: u32,
    length: usize,
}

impl<'a> RawField<'a> {
    /// Its bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        &self.from[..self.length]
    }

    /// Where it lies in its chunk.
    #[inline]
    pub fn range(self) -> Range<u32> {
        self.start..self.start + short(self.length)
    }

    /// Number of its bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.length
    }

    /// Whether it has a [`Word`].
    #[inline]
    pub fn is_short(self) -> bool {
        self.length <= Word::BYTES
    }

    /// The field as a number, when it has at most sixteen bytes.
    #[inline]
    pub fn word(self) -> Option<Word> {
        let mask = Word::MASKS.get(self.length)?;
        if let Some(bytes) = self.from.first_chunk() {
            return Some(Word::of(bytes).and(*mask));
        }
        let mut bytes = [0; Word::BYTES];
        bytes[..self.length].copy_from_slice(self.bytes());
        Some(Word::of(&bytes).and(*mask))
    }

    /// The field when it has at most sixteen bytes; else its first eight and its last eight.
    #[inline]
    pub fn ends(self) -> Word {
        self.word().unwrap_or_else(|| {
            let bytes = self.bytes();
            let end = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
            Word([end(bytes.first_chunk()), end(bytes.last_chunk())])
        })
    }
}

/// A short field as a number: its bytes, the first one lowest, then zeros. Two fields are the same when these are, because
/// no row that is read has a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub [u64; 2]);

impl Word {
    /// Bytes of a word.
    pub const BYTES: usize = 16;
    /// No field is this: it begins with a NUL.
    pub const NONE: Self = Self([0, 1]);
    /// By length, the bytes that a field has.
    const MASKS: [Self; Self::BYTES + 1] = {
        let mut masks = [Self([0; 2]); Self::BYTES + 1];
        let mut length = 1;
        while length <= Self::BYTES {
            masks[length] = masks[length - 1];
            let at = length - 1;
            masks[length].0[at / 8] |= 0xff << (at % 8 * 8);
            length += 1;
        }
        masks
    };

    /// Of so many bytes.
    #[inline]
    pub fn of(bytes: &[u8; Self::BYTES]) -> Self {
        let half = |at: usize| u64::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default());
        Self([half(0), half(8)])
    }

    /// The bits that both have.
    #[inline]
    pub fn and(self, Self(mask): Self) -> Self {
        Self([self.0[0] & mask[0], self.0[1] & mask[1]])
    }
}

#[inline]
fn value_of(field: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    // Most values have neither quotes nor blanks around them.
    if let [first, .., last] = field
        && *first > b'"'
        && *last > b' '
        && encoding == Encoding::Utf8
    {
        return Cow::Borrowed(field);
    }
    unwrapped(field, encoding)
}

fn unwrapped(field: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    let (text, is_doubled) = unquoted(field);
    let text = match text {
        // Most values need no look at their blanks.
        [first, .., last] if *first > b' ' && *last > b' ' => text,
        _ => text.trim_ascii(),
    };
    if is_doubled {
        Cow::Owned(encoding.to_utf8(&undouble(text)).into_owned())
    } else if encoding == Encoding::Utf8 {
        Cow::Borrowed(text)
    } else {
        encoding.to_utf8(text)
    }
}

/// What the records of a chunk are held to while it is split.
struct Split<'a> {
    form: Form<'a>,
    /// Whether the whole chunk is text.
    all_text: bool,
    /// The physical line on which the next record begins.
    line: u64,
}

/// The header of a file: the first record that is not blank.
#[derive(Debug, Default)]
pub struct Header {
    /// Its fields, in UTF-8.
    pub fields: Vec<Vec<u8>>,
    /// Its bytes, without the line end.
    pub raw: Vec<u8>,
    /// Lines before it that are blank.
    pub blank_lines: u64,
}

/// The header, and the chunk's remainder; `None` when every line is blank.
pub fn split_header(mut chunk: Chunk, delimiter: u8) -> Option<(Header, Chunk)> {
    let (mut at, mut line, mut blank_lines) = (0, chunk.first_line, 0);
    let splitter = StrictSplitter { bytes: &chunk.bytes, delimiter, line_end: chunk.line_end };
    while at < chunk.bytes.len() {
        let mut ends = Vec::new();
        let record = splitter.split(at, chunk.bytes.len(), &mut ends);
        line += record.lines;
        let raw = without_line_end(&chunk.bytes[at..record.end], chunk.line_end).to_vec();
        if !raw.trim_ascii().is_empty() {
            let starts = std::iter::once(at).chain(ends.iter().map(|end| *end as usize + 1));
            let fields = starts
                .zip(&ends)
                .map(|(start, end)| value_of(&chunk.bytes[start..*end as usize], chunk.encoding).into_owned());
            let header = Header { fields: fields.collect(), raw, blank_lines };
            chunk.bytes.drain(..record.end);
            chunk.first_offset += record.end as u64;
            chunk.first_line = line;
            return Some((header, chunk));
        }
        blank_lines += 1;
        at = record.end;
    }
    None
}

struct RecordEnd {
    /// Position after the record's line end.
    end: usize,
    /// Line ends in the record.
    lines: u64,
    has_line_end: bool,
    /// What is wrong with its quotes.
    fault: Option<Broken>,
    /// Whether the plain splitter has taken it.
    is_plain: bool,
}

impl RecordEnd {
    /// Of a record of one line in which nothing is wrong with the quotes.
    fn plain(end: usize) -> Self {
        Self { end, lines: 1, has_line_end: true, fault: None, is_plain: true }
    }

    fn spans_lines(&self) -> bool {
        self.lines > 1 || (self.lines == 1 && !self.has_line_end)
    }
}

/// Takes any bytes as RFC 4180 would have them, and says what is wrong with them. The plain splitter must agree with it.
#[derive(Clone, Copy)]
struct StrictSplitter<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    line_end: u8,
}

impl StrictSplitter<'_> {
    /// Splits the record that begins at `start` and ends at `limit` at the latest; the ends of its fields, with their
    /// quotes and without the line end, are appended to `ends`.
    fn split(&self, start: usize, limit: usize, ends: &mut Vec<u32>) -> RecordEnd {
        let (bytes, delimiter, line_end) = (&self.bytes[..limit], self.delimiter, self.line_end);
        let mut at = start;
        let mut record = RecordEnd { end: start, lines: 0, has_line_end: false, fault: None, is_plain: false };
        loop {
            let quoted = bytes.get(at) == Some(&b'"');
            if quoted {
                let first = at + 1;
                let mut from = first;
                loop {
                    match memchr(b'"', &bytes[from..]).map(|found| from + found) {
                        Some(quote) if bytes.get(quote + 1) == Some(&b'"') => from = quote + 2,
                        Some(quote) => {
                            at = quote + 1;
                            break;
                        }
                        None => {
                            record.fault = Some(Broken::UnclosedQuote);
                            at = bytes.len();
                            break;
                        }
                    }
                }
                record.lines += memchr_iter(line_end, &bytes[first..at]).count() as u64;
            }
            // The rest of the field up to its delimiter or line end; after a closing quote it should be empty.
            let rest = at;
            let mut stop = memchr3(delimiter, line_end, b'"', &bytes[at..]).map(|found| at + found);
            if stop.is_some_and(|stop| bytes[stop] == b'"') {
                record.fault.get_or_insert(Broken::StrayQuote);
                stop = memchr2(delimiter, line_end, &bytes[at..]).map(|found| at + found);
            }
            let stop = stop.unwrap_or(bytes.len());
            let ends_record = bytes.get(stop) != Some(&delimiter);
            let mut text_end = stop;
            if ends_record && text_end > rest && bytes[text_end - 1] == b'\r' {
                text_end -= 1;
            }
            if quoted && text_end > rest {
                record.fault.get_or_insert(Broken::StrayQuote);
            }
            ends.push(short(text_end));
            at = (stop + 1).min(bytes.len());
            if ends_record {
                record.has_line_end = stop < bytes.len();
                record.lines += u64::from(record.has_line_end);
                record.end = at;
                return record;
            }
        }
    }

    /// Where the physical line that begins at `at` ends.
    fn line_from(&self, at: usize) -> usize {
        memchr(self.line_end, &self.bytes[at..]).map_or(self.bytes.len(), |found| at + found + 1)
    }

    /// Whether the physical line that begins at `at` could be a row: it has the delimiters of one.
    fn is_like_a_row(&self, at: usize, width: usize) -> bool {
        memchr_iter(self.delimiter, &self.bytes[at..self.line_from(at)]).count() + 1 >= width
    }

    /// Whether a line of a record after its first could be a row.
    fn swallows_rows(&self, start: usize, end: usize, width: usize) -> bool {
        let mut at = self.line_from(start);
        while at < end {
            if self.is_like_a_row(at, width) {
                return true;
            }
            at = self.line_from(at);
        }
        false
    }
}

/// Whether a record, without its line end, holds a control character that is neither a tab nor a part of a line end.
fn has_control(text: &[u8], line_end: u8) -> bool {
    text.iter().enumerate().any(|(at, byte)| match byte {
        b'\t' => false,
        b'\r' => line_end != b'\r' && text.get(at + 1) != Some(&b'\n'),
        byte => *byte != line_end && byte.is_ascii_control(),
    })
}

fn without_line_end(raw: &[u8], line_end: u8) -> &[u8] {
    let text = raw.strip_suffix(&[line_end]).unwrap_or(raw);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
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
        let mut chunker = Chunker::new(text, b',', size, 0);
        let mut rows = Vec::new();
        while let Some(chunk) = chunker.next_chunk().unwrap() {
            let records = Records::split(&chunk, Form { delimiter: b',', width, header: b"H,1" });
            for place in records.places().iter().chain(records.broken.iter().map(|(place, _)| place)) {
                let start = usize::try_from(place.offset).unwrap();
                let end = start + place.length as usize;
                let is_record_end = |at: usize| at == text.len() || matches!(text[at - 1], b'\n' | b'\r' | 0xbf);
                assert!((start == 0 || is_record_end(start)) && is_record_end(end), "{text:?} {place:?}");
            }
            for row in 0..records.len() {
                let fields =
                    (0..width).map(|column| String::from_utf8(records.value(row, column).into_owned()).unwrap());
                rows.push((records.places()[row].line, Some(fields.collect())));
            }
            rows.extend(records.broken.iter().map(|(place, _)| (place.line, None)));
        }
        rows.sort();
        (rows, chunker.cut_off().is_some())
    }

    #[test]
    fn records_and_their_lines_do_not_depend_on_the_chunk_size() {
        let good = |line, fields: [&str; 2]| (line, Some(fields.map(str::to_owned).to_vec()));
        let cases: [(&[u8], Vec<Row>); 21] = [
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
            // A quote that is not closed takes its own line alone, also when the rows after it have quotes.
            (
                b"a,\"x\nc,d\ne,\"y\"\ng,h\n",
                vec![(1, None), good(2, ["c", "d"]), good(3, ["e", "y"]), good(4, ["g", "h"])],
            ),
            (b"\"a,b\n\"c,d\ne,f\n", vec![(1, None), (2, None), good(3, ["e", "f"])]),
            // A line end inside quotes is none of that.
            (b"a,\"x\ny\"z\nc,d\n", vec![(1, None), good(3, ["c", "d"])]),
            // A file of another age ends its lines in CR.
            (b"a,b\rc,\"d\re\"\rf,g", vec![good(1, ["a", "b"]), good(2, ["c", "d\re"]), good(4, ["f", "g"])]),
            // In a file of LF, it is a control character.
            (b"a,b\nc\rd,e\nf,g\r\n", vec![good(1, ["a", "b"]), (2, None), good(3, ["f", "g"])]),
            (b"a,b\nc,\0\nd,\x7f\ne,\t\n", vec![good(1, ["a", "b"]), (2, None), (3, None), good(4, ["e", ""])]),
            (b"a,b\nH,1\nc,d\n", vec![good(1, ["a", "b"]), (2, None), good(3, ["c", "d"])]),
        ];
        for (text, expected) in cases {
            for size in 1..=text.len() + 1 {
                let (rows, cut_off) = read(text, 2, size);
                assert_eq!(rows, expected, "{text:?} in chunks of {size}");
                assert!(!cut_off);
            }
        }
    }

    /// Arbitrary bytes out of those that matter: nothing panics, every record lies where it says, and the result does not
    /// depend on the chunks.
    #[test]
    fn arbitrary_bytes_are_read_the_same_in_any_chunks() {
        const PIECES: [&[u8]; 16] = [
            b"a",
            b",",
            b",",
            b"\n",
            b"\n",
            b"\"",
            b"\"",
            b"\"\"",
            b"\r\n",
            b"\r",
            b"\0",
            b"\xe9",
            b"\xc3\xa9",
            b"H,1\n",
            b"x,y\n",
            b",\"",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            // xorshift64: the same bytes in every run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..next() % 24).flat_map(|_| PIECES[next() % PIECES.len()].to_vec()).collect();
            let whole = read(&text, 2, text.len() + 1);
            for size in [3, 4, 7, 16] {
                assert_eq!(read(&text, 2, size), whole, "{text:?} in chunks of {size}");
            }
        }
    }

    /// The plain splitter against the strict one, over several blocks: bytes that hold everything which may be odd, mostly
    /// in rows that are not.
    #[test]
    fn the_plain_splitter_agrees_with_the_strict_one() {
        const PIECES: [&[u8]; 24] = [
            b"a,b,c\n",
            b"a,b,c\r\n",
            b"\"a\",\"b\",\"c\"\n",
            b"\"a\",\"b\",\"c\"\r\n",
            b"long enough for half a block,x,\"and, quoted\"\n",
            b"\"\",,\"\"\n",
            b"a,\"b\"\"b\",c\n",
            b"a,\"b\nb\",c\n",
            b"a,\"b\r\nb\",c\r\n",
            b"\"a\"\r,b,c\n",
            b"a,b\n",
            b"a,b,c,d\n",
            b"H,1,2\n",
            b"\n",
            b"\r\n",
            b"\r",
            b",",
            b"\"",
            b"\"\"",
            b"\"\"\"",
            b"x",
            b"\0",
            b"\xe9",
            b"\xc3\xa9,\"\xc3\xa9\",y\n",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below
        };
        for round in 0..20_000 {
            // In a third of the rounds nothing is odd, in the others little or much.
            let odd = [4, 10, PIECES.len()][round % 3];
            let mut text = Vec::new();
            for _ in 0..next(30) {
                let among = if next(4) == 0 { PIECES.len() } else { odd };
                text.extend_from_slice(PIECES[next(among)]);
            }
            for (line_end, encoding) in
                [(b'\n', Encoding::Utf8), (b'\r', Encoding::Utf8), (b'\n', Encoding::Windows1252)]
            {
                let chunk = Chunk { first_line: 7, first_offset: 100, bytes: text.clone(), line_end, encoding };
                let form = Form { delimiter: b',', width: 3, header: b"H,1,2" };
                let [plain, strict] = [false, true].map(|strictly| {
                    let records = Records::split_by(&chunk, form, strictly);
                    (records.bounds, records.places, records.broken, records.structure)
                });
                assert_eq!(plain, strict, "{:?}", text.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn an_end_inside_quotes_is_noticed() {
        for (text, expected) in [
            (&b"a,b\nc,\"d\n"[..], true),
            (b"a,\"b\n", true),
            (b"a,\"b\"\"", true),
            (b"a,\"b\"", false),
            (b"a,b\"", false),
            (b"", false),
        ] {
            for size in 1..8 {
                assert_eq!(read(text, 2, size).1, expected, "{text:?}");
            }
        }
    }
}
