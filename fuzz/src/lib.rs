//! The modules of phds that read what others wrote, for the targets in `fuzz_targets`.
//!
//! They are included as files, at the paths by which they know one another. A dependency on phds would bring DuckDB, which
//! takes a quarter of an hour to compile, and again for the flags of a fuzzer.

#![allow(clippy::all, reason = "the files are linted where they belong")]

#[path = "../../src/calendar.rs"]
pub mod calendar;
#[path = "../../src/encoding.rs"]
pub mod encoding;

/// The reading of a delivery, without the rules.
#[path = "../../src/check"]
pub mod check {
    pub mod place;
    pub mod plain;
    pub mod reader;
}
