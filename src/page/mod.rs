//! One page of a month for people who decide: headline, coverage by vaccine, place and organization, ages, doses, and how
//! good the data are. It needs no network and no script, and is read on a screen, on paper and by a screen reader.
//!
//! Everything in it is of releases, whose tables and descriptions are read as files, and of the check's report, of which
//! no count of few rows is told. What a page computes is the change between two releases, and shares of the report.

mod exhibit;
mod html;
mod quality;
mod sections;
mod table;

use crate::check::report::Document;
use crate::comparison::Comparison;
use crate::error::{Error, Result};
use crate::figure;
use crate::figure::release::Release;
use crate::figure::shapes::Shape;
use crate::period::ReportingPeriod;
use html::escaped;
use sections::Section;

/// Light by default, dark where the reader's system is, black on white on paper.
const STYLE: &str = include_str!("page.css");

/// A release of a page.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name of its folder: letters, digits, `_` and `-`.
    pub name: String,
    /// Its table and description.
    pub release: Release,
    /// Where the file of its table lies, as the page links to it; none where the page cannot.
    pub link: Option<String>,
}

/// What a page is made of.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The releases, all of one month.
    pub releases: Vec<Named>,
    /// Releases of the month before; those of other questions are passed over.
    pub earlier: Vec<Release>,
    /// What the check found in the file of the month.
    pub quality: Option<Document>,
    /// Borders of ZIP codes.
    pub shapes: Option<Vec<Shape>>,
}

/// The name of the release at the top of the page.
pub const HEADLINE: &str = "headline";

impl Contents {
    /// The month of all releases.
    fn period(&self) -> Result<ReportingPeriod> {
        let mut periods = self.releases.iter().map(|named| named.release.description.reporting_period);
        let first = periods.next().ok_or_else(|| Error::usage("a page needs at least one release"))?;
        match periods.find(|period| *period != first) {
            None => Ok(first),
            Some(other) => Err(Error::usage(format!("the releases are of {first} and of {other}"))
                .hint("a page is of one month: name the folder of one")),
        }
    }

    /// The sentences that say for whom the releases are.
    fn markings(&self) -> Vec<&str> {
        let mut markings: Vec<&str> = Vec::new();
        for named in &self.releases {
            let marking = named.release.description.marking.as_str();
            if !marking.is_empty() && !markings.contains(&marking) {
                markings.push(marking);
            }
        }
        markings
    }

    /// What changed since the release of the same question of the month before.
    fn change(&self, release: &Release) -> Option<Comparison> {
        self.earlier.iter().rev().find_map(|earlier| Comparison::of(earlier, release).ok())
    }
}

/// By what the page was made.
const GENERATOR: &str = "<meta name=\"generator\" content=\"phds\">";

/// Whether a file that begins so is a page of this program.
pub fn is_page(beginning: &[u8]) -> bool {
    memchr::memmem::find(beginning, GENERATOR.as_bytes()).is_some()
}

/// The page.
pub fn html(contents: &Contents) -> Result<String> {
    let month = figure::month(contents.period()?);
    let sections = sections::all(contents)?;
    let tool = contents.releases.first().map(|named| &named.release.description.tool);
    let made = tool.map(|tool| format!("{} {}", tool.name, tool.version)).unwrap_or_default();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n{GENERATOR}\n<title>Immunization coverage, {month}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the content</a>\n<header>\n",
        month = escaped(&month),
    );
    for marking in contents.markings() {
        page += &format!("<p class=\"marking\">{}</p>\n", escaped(marking));
    }
    page += &format!(
        "<h1>Immunization coverage, {}</h1>\n<p class=\"lead\">From the monthly file of the state’s registry (PHDS). Each \
         figure stands with what it measures, of whom, and its table; <span class=\"swatch\" aria-hidden=\"true\"></span> \
         stripes stand for numbers that are withheld so that no small count can be told, and never for zero.</p>\n</header>\n\
         <nav aria-label=\"Contents\">\n<ul>\n",
        escaped(&month),
    );
    for section in &sections {
        page += &format!("<li><a href=\"#{}\">{}</a>\n", section.id, escaped(section.title));
    }
    page += "</ul>\n</nav>\n<main id=\"content\">\n";
    for Section { id, title, body } in &sections {
        let title = escaped(title);
        page += &format!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-heading\">\n<h2 id=\"{id}-heading\">{title}</h2>\n{body}</section>\n"
        );
    }
    page += &format!(
        "</main>\n<footer>\n<p>Made by {} from the releases that are named at the figures, and from nothing else{}.</p>\n\
         </footer>\n</body>\n</html>\n",
        escaped(&made),
        if contents.quality.is_some() { " but the report of the check" } else { "" },
    );
    Ok(page)
}
