//! Pieces of HTML.

use quick_xml::escape::escape;

/// Text that is nothing but text, in an element or an attribute.
pub fn escaped(text: &str) -> String {
    escape(text).into_owned()
}

/// A list, without entries nothing.
pub fn list<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let entries: String = entries.into_iter().map(|entry| format!("<li>{}\n", escaped(entry))).collect();
    if entries.is_empty() { entries } else { format!("<ul>\n{entries}</ul>\n") }
}

/// Each text once, in the order in which it comes first.
pub fn once<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::new();
    for text in texts {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}
