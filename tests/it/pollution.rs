//! The pollutions of Pollock (Vitagliano et al., PVLDB 16, 2023), each laid on the same small month: all its rows are read
//! right, or the file is refused or rows are rejected with the right code, and no other row is lost.

use serde_json::Value;

use crate::support::{Month, TestContext};

/// The month: six rows, one of them with a comma, a line end and quotes in its values.
fn month() -> Vec<u8> {
    Month::of("times | PROVIDER CITY\n2 | AUSTIN\n1 | Austin, \\\"TX\\\"\\n78701\n3 | AUSTIN").bytes().to_vec()
}

/// What the check makes of a file: rows read, accepted and rejected, and the codes of rules that failed.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    totals: [u64; 3],
    codes: String,
    hint: String,
}

fn check(bytes: &[u8]) -> Seen {
    let context = TestContext::new();
    context.put("month.csv", bytes);
    context.put("phds.toml", "[check]\nmax_rejected_share = 1.0\n");
    let said = context.phds("--quiet check month.csv --period 2024-12 --report out");
    let report = context.json("out/report.json");
    assert_eq!(report["delivery"]["sha256"], phds::fs::sha256_hex(bytes), "whatever is passed over");
    let totals = ["read", "accepted", "rejected"].map(|name| report["totals"][name].as_u64().unwrap());
    let failed = report["rules"].as_array().unwrap().iter().filter(|rule| rule["failed"] != 0);
    let codes: Vec<_> = failed.map(|rule| rule["code"].as_str().unwrap().trim_start_matches("PHDS-")).collect();
    let hint = said.stderr.split("hint: ").nth(1).unwrap_or_default().split("; `phds").next().unwrap_or_default();
    let hint = if hint.starts_with("`phds explain") { "" } else { hint };
    Seen { totals, codes: codes.join(" "), hint: hint.to_owned() }
}

/// Name, file, rows read, accepted and rejected, codes, hint.
type Case = (&'static str, Vec<u8>, [u64; 3], &'static str, &'static str);

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(bytes.to_vec()).unwrap().replace(from, to).into_bytes()
}

/// The fields of the first row changed by hand; line 2 of the file.
fn first_row(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut lines = lines(bytes);
    lines[1] = replaced(&lines[1], from, to);
    lines.concat()
}

/// Another delimiter throughout, with the one value that needs quotes left in them.
fn with_delimiter(bytes: &[u8], delimiter: &str) -> Vec<u8> {
    replaced(&replaced(&replaced(bytes, "Austin, ", "Austin\0 "), ",", delimiter), "\0", ",")
}

#[test]
fn every_pollution_is_read_right_or_named() {
    let clean = month();
    let all = lines(&clean);
    let header = all[0].clone();
    let concat = |parts: &[&[u8]]| parts.concat();
    let all_right = [6, 6, 0];
    let cases: Vec<Case> = vec![
        ("nothing", clean.clone(), all_right, "", ""),
        ("no payload", Vec::new(), [0; 3], "S01", ""),
        ("header only", header.clone(), [0; 3], "S05", ""),
        ("one row", concat(&[&all[0], &all[1]]), [1, 1, 0], "", ""),
        ("no final line end", clean[..clean.len() - 1].to_vec(), all_right, "", ""),
        ("two final line ends", concat(&[&clean, b"\n"]), all_right, "", ""),
        ("blank lines among the rows", replaced(&clean, "78701\n1", "78701\n\n1"), all_right, "", ""),
        ("CRLF", replaced(&clean, "\n", "\r\n"), all_right, "", ""),
        ("CR", replaced(&clean, "\n", "\r"), all_right, "", ""),
        (
            "LF here, CRLF there",
            concat(&[&all[0], &replaced(&all[1], "\n", "\r\n"), &all[2..].concat()]),
            all_right,
            "",
            "",
        ),
        ("byte order mark", concat(&[b"\xef\xbb\xbf", &clean]), all_right, "", ""),
        (
            "no header",
            all[1..].concat(),
            [0; 3],
            "S02 S03",
            "the first line looks like a row: the file has no header; ask for one with it",
        ),
        ("two header rows", concat(&[&header, &clean]), [7, 6, 1], "S12", ""),
        ("three header rows", concat(&[&header, &header, &clean]), [8, 6, 2], "S12", ""),
        (
            "preamble",
            concat(&[b"Immunizations\nDecember 2024, all rows\n", &clean]),
            [0; 3],
            "S02 S03",
            "the header seems to be on line 3: set `dialect.skip_lines = 2` in your dictionary file",
        ),
        ("a second table with the same columns", concat(&[&clean, &clean]), [13, 12, 1], "S12 X01 X02", ""),
        ("a second table with fewer columns", concat(&[&clean, b"a,b\n1,2\n"]), [8, 6, 2], "S06", ""),
        (
            "delimiter ;",
            with_delimiter(&clean, ";"),
            [0; 3],
            "S02 S03",
            "it looks semicolon-separated: set `dialect.delimiter = \";\"` in your dictionary file",
        ),
        (
            "delimiter tab",
            with_delimiter(&clean, "\t"),
            [0; 3],
            "S02 S03",
            "it looks tab-separated: set `dialect.delimiter = \"\\t\"` in your dictionary file",
        ),
        ("delimiter comma and blank", with_delimiter(&clean, ", "), [7, 5, 2], "S08", ""),
        ("a row with a delimiter more", first_row(&clean, "\n", ",\n"), [6, 5, 1], "S06", ""),
        ("a row with a delimiter fewer", first_row(&clean, ",TX,78701\n", ",TX\n"), [6, 5, 1], "S06", ""),
        ("a row with another delimiter", first_row(&clean, ",", ";"), [6, 5, 1], "S06", ""),
        ("a quote more in a value", first_row(&clean, "AUSTIN", "AUS\"TIN"), [6, 5, 1], "S08", ""),
        // It swallows the first half of the value over two lines: that row is out as well, and named.
        ("a quote more before a value", first_row(&clean, "AUSTIN", "\"AUSTIN"), [7, 4, 3], "S08 S11", ""),
        ("quote '", replaced(&clean, "\"Austin, \"\"TX\"\"\n78701\"", "'Austin, TX'"), [6, 5, 1], "S06", ""),
        ("escape \\", replaced(&clean, "\"\"TX\"\"", "\\\"TX\\\""), [7, 5, 2], "S08", ""),
        ("cut off", clean[..clean.len() - 20].to_vec(), [6, 5, 1], "S06 S09", ""),
    ];
    let mut wrong = Vec::new();
    for (name, bytes, totals, codes, hint) in cases {
        let seen = check(&bytes);
        let expected = Seen { totals, codes: codes.to_owned(), hint: hint.to_owned() };
        if seen != expected {
            wrong.push(format!("{name}\n  {seen:?}\n  {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_hint_says_is_what_reads_the_file() {
    let clean = month();
    let cases = [
        (with_delimiter(&clean, ";"), "[dialect]\ndelimiter = ';'\n"),
        (with_delimiter(&clean, "\t"), "[dialect]\ndelimiter = \"\\t\"\n"),
        ([b"Immunizations\nDecember 2024, all rows\n", clean.as_slice()].concat(), "[dialect]\nskip_lines = 2\n"),
        (replaced(&clean, "AUSTIN", "AUST\u{cd}N"), "[dialect]\nencoding = 'utf-8'\n"),
        ([clean.as_slice(), b""].concat(), "[dialect]\nencoding = 'windows-1252'\n"),
    ];
    for (bytes, dictionary) in cases {
        let context = TestContext::new();
        context.put("month.csv", &bytes);
        context.put("ours.toml", dictionary);
        context.put("phds.toml", "[dictionary]\nfile = 'ours.toml'\n");
        context.phds("check month.csv --period 2024-12 --report out").done();
        let report = context.json("out/report.json");
        assert_eq!(report["totals"], serde_json::json!({ "read": 6, "accepted": 6, "rejected": 0 }), "{dictionary}");
        assert_eq!(report["delivery"]["sha256"], phds::fs::sha256_hex(&bytes), "{dictionary}");
    }
}

#[test]
fn the_report_says_how_the_file_is_written() {
    let clean = month();
    let of = |bytes: &[u8]| -> Value {
        let context = TestContext::new();
        context.put("month.csv", bytes);
        context.phds("check month.csv --period 2024-12 --report out").done();
        context.json("out/report.json")["structure"].clone()
    };
    let plain = of(&clean);
    insta::assert_snapshot!(plain, @r#"{"encoding":"utf-8","encoding_detected":true,"byte_order_mark":false,"line_end":"lf","final_line_end":true,"blank_lines":0,"rows_over_several_lines":1}"#);
    let marked = of(&[&b"\xef\xbb\xbf\n"[..], &replaced(&clean, "\n", "\r\n"), b"\r\n"].concat());
    insta::assert_snapshot!(marked, @r#"{"encoding":"utf-8","encoding_detected":true,"byte_order_mark":true,"line_end":"crlf","final_line_end":true,"blank_lines":2,"rows_over_several_lines":1}"#);
    let mut bytes = clean.clone();
    let at = bytes.windows(6).position(|window| window == b"AUSTIN").unwrap();
    bytes[at] = 0xc1;
    assert_eq!(of(&bytes[..bytes.len() - 1])["encoding"], "windows-1252");
    assert_eq!(of(&bytes[..bytes.len() - 1])["final_line_end"], false);
    assert_eq!(of(&replaced(&clean, "\n", "\r"))["line_end"], "cr");
}
