//! What the documents say of the repository: paths, links, names, and the order of the glossary.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::support::sources;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files of this repository, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let at_top = std::fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    let at_top = at_top.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut all: Vec<_> = at_top.map(|path| (path.clone(), read(&path))).collect();
    for folder in ["dictionaries", "docs", "notebooks", "tests"] {
        all.extend(sources(folder, "md"));
    }
    all.retain(|(path, _)| !path.iter().any(|part| part == "node_modules"));
    all
}

/// A text without its blocks of code.
fn prose(text: &str) -> String {
    Regex::new(r"(?ms)^ *```.*?^ *```").unwrap().replace_all(text, "").into_owned()
}

/// What stands in backticks.
fn code(text: &str) -> Vec<String> {
    let span = Regex::new("`([^`]+)`").unwrap();
    span.captures_iter(&prose(text)).map(|found| found[1].to_owned()).collect()
}

/// The sources of the program and of the tests.
fn rust() -> Vec<(PathBuf, String)> {
    [sources("src", "rs"), sources("tests", "rs")].concat()
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let of_the_repository =
        Regex::new(r"^(benches|dictionaries|docs|fuzz|notebooks|packaging|schemas|scripts|src|tests)/[\w./-]*$")
            .unwrap();
    let (of_a_source, of_a_room) = (Regex::new(r"^[\w/]+\.rs$").unwrap(), Regex::new(r"^\w+/[\w/]*$").unwrap());
    let root = Path::new(ROOT);
    let rust = rust();
    let is_there = |path: &str| {
        root.join(path).exists()
            || root.join("src").join(path).exists()
            || rust.iter().any(|(source, _)| source.ends_with(path))
    };
    let mut missing = Vec::new();
    for (document, text) in documents() {
        let speaks_of_rooms = document.ends_with("ARCHITECTURE.md");
        let is_path = |span: &String| {
            of_the_repository.is_match(span)
                || of_a_source.is_match(span)
                || (speaks_of_rooms && of_a_room.is_match(span))
        };
        let lost = code(&text).into_iter().filter(is_path).filter(|path| !is_there(path));
        missing.extend(lost.map(|path| format!("{}: {path}", document.display())));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let (link, heading) = (Regex::new(r"\]\(([^)\s]+)\)").unwrap(), Regex::new(r"(?m)^#+ (.*)$").unwrap());
    // As GitHub names the place of a heading.
    let anchor = |title: &str| {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let mut broken = Vec::new();
    for (document, text) in documents() {
        let text = prose(&text);
        for target in link.captures_iter(&text).map(|found| found[1].to_owned()).filter(|to| !to.contains("://")) {
            let (path, place) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let leads = file.exists()
                && (place.is_empty() || heading.captures_iter(&read(&file)).any(|found| anchor(&found[1]) == place));
            if !leads {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_name_of_code_in_the_architecture_is_in_the_sources() {
    let (name, word) = (Regex::new(r"^\w+(::\w+)*$").unwrap(), Regex::new(r"\w+").unwrap());
    let rust = rust();
    let words: BTreeSet<&str> =
        rust.iter().flat_map(|(_, text)| word.find_iter(text)).map(|found| found.as_str()).collect();
    let text = read(&Path::new(ROOT).join("ARCHITECTURE.md"));
    let mut missing = code(&text);
    // A word without `_`, `::` or capitals may be one of a file or of another program.
    missing.retain(|span| {
        let is_mixed = span.contains(char::is_uppercase) && span.contains(char::is_lowercase);
        name.is_match(span)
            && (is_mixed || span.contains(['_', ':']))
            && !span.split("::").all(|part| words.contains(part))
    });
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_glossary_is_in_order_with_a_blank_line_between_two_entries() {
    let text = read(&Path::new(ROOT).join("GLOSSARY.md"));
    let term = Regex::new(r"(?m)^\*\*(.+?)\*\* — ").unwrap();
    let mut terms = Vec::new();
    for entry in text.split("\n\n").skip_while(|part| !part.starts_with("**")) {
        let found: Vec<_> = term.captures_iter(entry).map(|found| found[1].to_lowercase()).collect();
        assert!(entry.starts_with("**") && found.len() == 1, "this is not one entry:\n{entry}");
        terms.extend(found);
    }
    let out_of_order: Vec<_> = terms.windows(2).filter(|pair| pair[0] >= pair[1]).collect();
    assert!(terms.len() > 100 && out_of_order.is_empty(), "{out_of_order:#?}");
}

#[test]
fn the_picture_of_the_store_has_all_that_lies_at_its_top() {
    let text = read(&Path::new(ROOT).join("ARCHITECTURE.md"));
    let place = Regex::new(r#"root\.join\("([\w.-]+)"\)"#).unwrap();
    let store = read(&Path::new(ROOT).join("src/store.rs"));
    let places: Vec<_> = place.captures_iter(&store).map(|found| found[1].to_owned()).collect();
    assert!(places.contains(&"mirror".to_owned()), "the control");
    for place in places {
        assert!(text.contains(&format!("\n  {place}")), "ARCHITECTURE.md draws a store without {place}");
    }
}
