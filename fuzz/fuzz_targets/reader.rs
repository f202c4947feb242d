//! From bytes to records: nothing panics, nothing is lost, and the result depends neither on chunks nor on the splitter.
//!
//! The first byte is the size of a chunk. Of the second, from the lowest bit: two for the delimiter, three for the number
//! of fields less one, one for the encoding, two for the lines to skip. The others are the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memchr::memchr_iter;
use phds_fuzz::check::place::Place;
use phds_fuzz::check::reader::{Broken, Chunker, Form, RawField, Records, Structure, Word, split_header};
use phds_fuzz::encoding::Encoding;

fuzz_target!(|bytes: &[u8]| {
    let [size, choices, text @ ..] = bytes else { return };
    let dialect = Dialect {
        delimiter: b",;\t|"[usize::from(choices & 3)],
        width: usize::from(choices >> 2 & 7) + 1,
        encoding: [Encoding::Utf8, Encoding::Windows1252][usize::from(choices >> 5 & 1)],
        skip_lines: u64::from(choices >> 6),
    };
    let header = dialect.header(text);
    let whole = dialect.read(text, text.len() + 1, &header);
    for size in [usize::from(*size), 3, 64] {
        assert_eq!(dialect.read(text, size, &header), whole, "chunks of {size}");
    }
    dialect.rows_are_those_of_a_peer(&whole, text);
    whole.holds_all_of(text);
});

struct Dialect {
    delimiter: u8,
    width: usize,
    encoding: Encoding,
    skip_lines: u64,
}

/// The values of a row.
type Row = Vec<Vec<u8>>;

/// All that is read of a file.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    /// Where the records begin.
    start: u64,
    line_end: u8,
    byte_order_mark: bool,
    cut_off: Option<Place>,
    /// Rows with their values, and broken records, in the order of the file.
    records: Vec<(Place, Result<Row, Broken>)>,
    structure: Structure,
}

impl Dialect {
    /// The header of the file as it stands there; nothing when it has none.
    fn header(&self, text: &[u8]) -> Vec<u8> {
        let mut chunker = Chunker::new(text, self.delimiter, text.len() + 1, self.skip_lines);
        let first = chunker.next_chunk().expect("a slice can be read");
        let Some((header, rest)) = first.and_then(|chunk| split_header(chunk, self.delimiter)) else {
            return Vec::new();
        };
        assert_eq!(rest.bytes, text[offset(rest.first_offset)..]);
        header.raw
    }

    fn read(&self, text: &[u8], size: usize, header: &[u8]) -> Reading {
        let mut chunker = Chunker::new(text, self.delimiter, size, self.skip_lines);
        let mut start = None;
        let mut records = Vec::new();
        let mut structure = Structure::default();
        // What is hashed.
        let mut gone_by = Vec::new();
        while let Some(mut chunk) = chunker.next_chunk().expect("a slice can be read") {
            chunk.encoding = self.encoding;
            if gone_by.is_empty() {
                gone_by.extend_from_slice(chunker.passed_over());
            }
            gone_by.extend_from_slice(&chunk.bytes);
            start.get_or_insert(chunk.first_offset);
            let form = Form { delimiter: self.delimiter, width: self.width, header };
            let both = Records::split(&chunk, form);
            let strict = Records::split_by(&chunk, form, true);
            assert_eq!(self.fields(&both), self.fields(&strict));
            assert_eq!((&both.broken, both.structure), (&strict.broken, strict.structure));
            structure.merge(both.structure);
            let rows = both.places().iter().enumerate().map(|(row, place)| {
                let raw = &text[offset(place.offset)..][..place.length as usize];
                assert_eq!(both.raw(row), without_line_end(raw, chunk.line_end));
                (*place, Ok(self.values(&both, row)))
            });
            records.extend(rows.chain(both.broken.iter().map(|(place, broken)| (*place, Err(*broken)))));
        }
        if start.is_some() {
            assert_eq!(gone_by, text);
        }
        records.sort_by_key(|(place, _)| *place);
        Reading {
            start: start.unwrap_or(text.len() as u64),
            line_end: chunker.line_end(),
            byte_order_mark: chunker.has_byte_order_mark(),
            cut_off: chunker.cut_off(),
            records,
            structure,
        }
    }

    fn values(&self, records: &Records<'_>, row: usize) -> Row {
        (0..self.width).map(|column| records.value(row, column).into_owned()).collect()
    }

    /// Where each row lies, and its fields as they stand there.
    fn fields(&self, records: &Records<'_>) -> (Vec<Place>, Vec<Vec<Vec<u8>>>) {
        let column = |number| {
            let column = records.column(number);
            let field = |(row, field): (usize, RawField<'_>)| {
                let bytes = field.bytes();
                let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
                let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|next| byte(at + next)));
                assert_eq!(field.word(), (bytes.len() <= 16).then(|| Word([half(0), half(8)])));
                assert_ne!(field.word(), Some(Word::NONE));
                assert_eq!(column.value(field), records.value(row, number));
                bytes.to_vec()
            };
            column.fields().enumerate().map(field).collect()
        };
        (records.places().to_vec(), (0..self.width).map(column).collect())
    }

    /// A row by itself is text, and has the same values for the csv crate.
    fn rows_are_those_of_a_peer(&self, reading: &Reading, text: &[u8]) {
        let mut peer = csv::ReaderBuilder::new();
        peer.has_headers(false).delimiter(self.delimiter).terminator(csv::Terminator::Any(reading.line_end));
        for (place, row) in &reading.records {
            let Ok(values) = row else { continue };
            let start = offset(place.offset);
            let raw = without_line_end(&text[start..start + place.length as usize], reading.line_end);
            assert!(self.encoding.is_text(raw));
            // At the beginning of a file it takes a byte order mark away, and passes over an empty line.
            let file = [&[reading.line_end], raw].concat();
            let mut rows = peer.buffer_capacity(file.len()).from_reader(file.as_slice()).into_byte_records();
            let expected = rows.next().expect("one row").expect("of one shape");
            assert!(rows.next().is_none(), "one row alone");
            let expected: Row =
                expected.iter().map(|field| self.encoding.to_utf8(field.trim_ascii()).into_owned()).collect();
            assert_eq!(*values, expected, "{}", raw.escape_ascii());
        }
    }
}

impl Reading {
    /// The records lie one behind the other, each where and on the line that it says. Between them are blank lines alone.
    fn holds_all_of(&self, text: &[u8]) {
        let line_end = self.line_end;
        let lines_in = |from: usize, to: usize| memchr_iter(line_end, &text[from..to]).count() as u64;
        let blank_lines = |from: usize, to: usize| {
            let mut lines = text[from..to].split_inclusive(|byte| *byte == line_end);
            let count = lines.clone().count() as u64;
            assert!(lines.all(|line| matches!(line, b"\n" | b"\r\n" | b"\r" | b"\r\r")), "{from} to {to}");
            count
        };
        let (mut at, mut blank) = (offset(self.start), 0);
        for (place, _) in &self.records {
            let start = offset(place.offset);
            blank += blank_lines(at, start);
            assert_eq!(place.line, 1 + lines_in(0, start), "{place:?}");
            at = start + place.length as usize;
            assert!(at == text.len() || text[at - 1] == line_end, "{place:?}");
        }
        if let Some(cut_off) = self.cut_off {
            assert_eq!(cut_off.line, 1 + lines_in(0, offset(cut_off.offset)), "{cut_off:?}");
        }
        blank += blank_lines(at, text.len());
        assert_eq!(self.structure.blank_lines, blank);
    }
}

fn without_line_end(raw: &[u8], line_end: u8) -> &[u8] {
    let text = raw.strip_suffix(&[line_end]).unwrap_or(raw);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn offset(place: u64) -> usize {
    usize::try_from(place).expect("a place in memory")
}
