//! Pieces of HTML.

use quick_xml::escape::escape;

/// Text that is nothing but text, in an element or an attribute.
pub fn escaped(text: &str) -> String {
    escape(text).into_owned()
}

/// A list, without entries nothing.
pub fn list<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for entry in entries {
        text += &format!("<li>{}\n", escaped(entry));
    }
    if text.is_empty() { text } else { format!("<ul>\n{text}</ul>\n") }
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
