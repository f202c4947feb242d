//! Numbers, lists and labels as people read and write them.

/// How a missing value reads in a table.
pub const UNKNOWN: &str = "Unknown";

/// Whether a text says so, in capital or small letters.
pub fn is_unknown(text: &str) -> bool {
    text.eq_ignore_ascii_case(UNKNOWN)
}

/// A count with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

/// A number of things: `1 file`, `2 files`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A share where there is little room: `66.0%`, as [`hundredths`].
pub fn percent(share: f64) -> String {
    hundredths(share) + "%"
}

/// A share in hundredths as people read it: with one digit after the point, or as many as it takes that some are not none, and
/// that most are not all.
pub fn hundredths(share: f64) -> String {
    // As precise as the files are, so that what is left over of a sum is nothing.
    let share = (share * 1e6).round() / 1e6;
    let text = |digits: usize| format!("{:.digits$}", share * 100.0);
    let ends = |text: &str| matches!(text.trim_end_matches('0').trim_end_matches('.'), "0" | "100");
    let is_end = share <= 0.0 || share >= 1.0;
    let digits = (1..4).find(|digits| is_end || !ends(&text(*digits))).unwrap_or(4);
    text(digits)
}

/// A few things as an English list.
pub fn list(things: &[String]) -> String {
    match things {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A text that begins with a small letter, unless its first word is an abbreviation or a name such as `ZIP`.
pub fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// The first of some names, and how many more there are.
pub fn abridged(names: &[String], most: usize) -> String {
    let named = names.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Bytes, as people write them: a whole number and a unit, `512MiB`, `2GB`. Units of 1,000 and of 1,024, the `B` may be left out.
pub fn bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 9] = [
        ("", 1),
        ("K", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("KI", 1 << 10),
        ("MI", 1 << 20),
        ("GI", 1 << 30),
        ("TI", 1 << 40),
    ];
    let text = text.trim().to_ascii_uppercase();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let unit = unit.strip_suffix('B').unwrap_or(unit);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let bytes = factor.zip(digits.parse::<usize>().ok()).and_then(|(factor, number)| number.checked_mul(factor));
    bytes.ok_or_else(|| "write a whole number and a unit, for example 512MiB or 2GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512MiB", Some(512 << 20)),
            ("1 gib", Some(1 << 30)),
            ("2GB", Some(2_000_000_000)),
            ("1TB", Some(1_000_000_000_000)),
            ("3k", Some(3_000)),
            ("", None),
            ("GiB", None),
            ("1.5GB", None),
            ("-1", None),
            ("1XB", None),
            ("99999999999999999999", None),
            ("9999999999TiB", None),
        ] {
            assert_eq!(bytes(text).ok(), size, "{text}");
        }
    }

    #[test]
    fn few_are_not_none_and_most_are_not_all() {
        let texts = [0.0, 1e-12, 0.1, 0.0004, 0.5, 0.999, 0.9996, 1.0 - 1e-12, 1.0].map(hundredths);
        assert_eq!(texts, ["0.0", "0.0", "10.0", "0.04", "50.0", "99.9", "99.96", "100.0", "100.0"]);
        assert_eq!(percent(0.9996), "99.96%");
    }

    #[test]
    fn lists_and_sentences() {
        let list = |things: &[&str]| list(&things.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!([list(&[]), list(&["a"]), list(&["a", "b", "c"])], ["", "a", "a, b and c"].map(str::to_owned));
        assert_eq!(["Year of birth", "ZIP code", "x", ""].map(lower_first), ["year of birth", "ZIP code", "x", ""]);
    }
}
