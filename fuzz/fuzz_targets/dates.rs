//! Dates in each format, and months between days, against chrono.
//!
//! The bytes are a date. Their first twelve are two days and a number of months as well.

#![no_main]

use chrono::{Datelike, Months, NaiveDate};
use libfuzzer_sys::fuzz_target;
use phds_fuzz::calendar::{CivilDay, DateFormat, add_months, civil, date, day, parse, whole_months};

fuzz_target!(|bytes: &[u8]| {
    reads_what_chrono_writes(bytes);
    let number = |at: usize| i32::from_le_bytes(std::array::from_fn(|byte| bytes.get(at + byte).copied().unwrap_or(0)));
    // Years of four digits, the days that can be read, and some on either side.
    let [one, other] = [0, 4].map(|at| number(at) % 4_000_000);
    counts_months_as_chrono_does(one.min(other), one.max(other));
    // Days of one lifetime, which two arbitrary ones hardly ever are.
    counts_months_as_chrono_does(one, one + number(4).rem_euclid(40_000));
    // Two hundred years are the most that are added.
    adds_months_as_chrono_does(one, number(8).cast_unsigned() % 2_401);
});

/// A text is a date exactly when chrono reads a day from it, of a year of four digits, and writes the same text for that day.
fn reads_what_chrono_writes(bytes: &[u8]) {
    for (format, pattern) in
        [(DateFormat::Iso, "%Y-%m-%d"), (DateFormat::Us, "%m/%d/%Y"), (DateFormat::Compact, "%Y%m%d")]
    {
        let expected = std::str::from_utf8(bytes).ok().and_then(|text| {
            let read = NaiveDate::parse_from_str(text, pattern).ok()?;
            ((0..=9999).contains(&read.year()) && read.format(pattern).to_string() == text).then_some(read)
        });
        let read = parse(bytes, format);
        assert_eq!(read, expected.map(day), "{format:?}");
        assert_eq!(read.map(date), expected, "{format:?}");
    }
}

fn counts_months_as_chrono_does(from: i32, to: i32) {
    let dates = [from, to].map(date);
    for (day, date) in [from, to].into_iter().zip(dates) {
        assert_eq!(civil(day), (date.year(), date.month().cast_signed(), date.day().cast_signed()));
    }
    let [first, last] = dates.map(|date| date.year() * 12 + date.month0().cast_signed());
    assert_eq!(CivilDay::of(from).calendar_months_to(CivilDay::of(to)), last - first);
    let months = whole_months(from, to);
    let reached = |months| after(dates[0], months).is_some_and(|reached| reached <= dates[1]);
    assert!(reached(months.cast_unsigned()), "{dates:?} {months}");
    assert!(!reached(months.cast_unsigned() + 1), "{dates:?} {months}");
}

fn adds_months_as_chrono_does(from: i32, months: u32) {
    let expected = after(date(from), months).map_or(i32::MAX, day);
    assert_eq!(add_months(from, months), expected, "{from} + {months}");
}

/// Chrono goes back to the last day of a month that is too short. `CDSi` goes on to the next day.
fn after(date: NaiveDate, months: u32) -> Option<NaiveDate> {
    let reached = date.checked_add_months(Months::new(months))?;
    if reached.day() == date.day() { Some(reached) } else { reached.succ_opt() }
}
