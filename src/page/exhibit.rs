//! A figure with what belongs to it: of what its numbers are, of whom, when, what a reader must know, and its table.

use super::html::{escaped, list, once};
use super::{Contents, Named, table};
use crate::error::{Error, Result};
use crate::figure::release::{Release, Status};
use crate::figure::{self, Kind, Options};
use crate::words::{grouped, lower_first};

/// More bars are no picture any more.
const BARS: usize = 60;
/// So many are drawn then: those of the groups with the most clients.
const LARGEST: usize = 25;

/// What is shown.
#[derive(Clone, Debug)]
pub struct Exhibit<'a> {
    /// Begins all ids of it.
    pub id: String,
    /// The releases whose rows these are.
    pub sources: Vec<&'a Named>,
    /// The rows that are drawn.
    pub drawn: Release,
    /// The rows of the table; none where another exhibit has the table, whose id it is.
    pub table: std::result::Result<Release, String>,
    /// The kinds of figure that tell it, the best first.
    pub kinds: &'static [Kind],
    /// In place of the title that is made of the release.
    pub title: Option<String>,
    /// What else stands below the drawing, as HTML.
    pub note: String,
}

impl<'a> Exhibit<'a> {
    /// A release as it is.
    pub fn of(named: &'a Named, kinds: &'static [Kind]) -> Self {
        Self {
            id: format!("figure-{}", named.name),
            sources: vec![named],
            drawn: named.release.clone(),
            table: Ok(named.release.clone()),
            kinds,
            title: None,
            note: String::new(),
        }
    }

    /// Figure, caption and table.
    pub fn html(&self, contents: &Contents) -> Result<String> {
        let (kind, picture, remark) = self.picture(contents)?;
        let title = figure::title(kind, &self.drawn, &Options { title: self.title.clone(), ..Options::default() });
        let mut text = format!("<figure id=\"{}\">\n{picture}<figcaption>\n{remark}{}", self.id, self.note);
        text += &self.facts();
        text += "</figcaption>\n";
        if let Ok(release) = &self.table {
            let file = self.sources.first().and_then(|named| named.link.as_deref());
            text += &table::unfolding(&format!("{}-table", self.id), release, &title, file)?;
        }
        Ok(text + "</figure>\n")
    }

    /// The first kind that the release can be drawn as, the drawing, and what must be said of it.
    fn picture(&self, contents: &Contents) -> Result<(Kind, String, String)> {
        let is_zip = self.drawn.description.labels.iter().any(|label| label == "zip");
        let shapes = contents.shapes.clone().filter(|_| is_zip);
        let has_own_shapes = shapes.is_some();
        let options =
            Options { title: self.title.clone(), id: Some(self.id.clone() + "-picture"), shapes, captioned: true };
        let mut failed = Error::internal("a figure has no kind");
        for kind in self.kinds {
            let largest = if *kind == Kind::Bar { self.largest() } else { Ok(None) };
            let largest = match largest {
                Ok(largest) => largest,
                Err(error) => {
                    failed = error;
                    continue;
                }
            };
            match figure::draw(*kind, largest.as_ref().unwrap_or(&self.drawn), &options) {
                Ok(svg) => {
                    let title = figure::title(*kind, &self.drawn, &options);
                    let picture = format!(
                        "<div class=\"picture\" role=\"group\" tabindex=\"0\" aria-label=\"Figure: {}\">{svg}</div>\n",
                        escaped(&title)
                    );
                    let remark = largest.map_or_else(String::new, |_| {
                        let survivors = figure::survivors(&self.drawn).map(|text| format!(" {}", escaped(&text)));
                        format!(
                            "<p>Drawn are the groups with the most clients. The others, and those that are withheld, are in \
                             the table.{}</p>\n",
                            survivors.unwrap_or_default()
                        )
                    });
                    return Ok((*kind, picture, remark));
                }
                // Shapes that somebody named are meant to be drawn.
                Err(error) if *kind == Kind::Map && has_own_shapes => return Err(error),
                Err(error) => failed = error,
            }
        }
        let kind = self.kinds.first().copied().unwrap_or(Kind::Bar);
        let text = format!("<p>There is no figure, because {}.</p>\n", escaped(&lower_first(failed.message())));
        Ok((kind, String::new(), text))
    }

    /// The groups with the most clients of those that are told, where there are too many for bars. Refused where those would
    /// be the exceptions: most rows are withheld, or no number is reliable.
    fn largest(&self) -> Result<Option<Release>> {
        let release = &self.drawn;
        let all = release.table.len();
        if all <= BARS {
            return Ok(None);
        }
        let mut is_reliable = false;
        let mut sizes: Vec<(u64, usize)> = Vec::new();
        for row in 0..all {
            let value = release.value(row)?;
            let Some(size) = value.denominator.or(value.numerator) else { continue };
            is_reliable |= value.status != Status::Unreliable;
            sizes.push((size, row));
        }
        let told = sizes.len();
        if told * 2 < all || !is_reliable {
            let unreliable = if is_reliable { "" } else { ", and none of these is reliable" };
            let (told, all) = (grouped(told as u64), grouped(all as u64));
            return Err(Error::refused(format!("only {told} of {all} rows have a number{unreliable}")));
        }
        sizes.sort_by_key(|(size, row)| (std::cmp::Reverse(*size), *row));
        sizes.truncate(LARGEST);
        Ok(Some(release.only(&sizes.into_iter().map(|(_, row)| row).collect::<Vec<_>>())))
    }

    /// Measure, cohort, denominator, date, audience, table and caveats.
    pub fn facts(&self) -> String {
        let descriptions = || self.sources.iter().map(|named| &named.release.description);
        let measures: Vec<String> = descriptions()
            .flat_map(|description| description.from_measure.iter().chain(&description.measure))
            .map(|measure| {
                let source = measure.source.trim_end_matches('.');
                format!("{} ({}, version {}). {source}.", measure.title, measure.id, measure.version)
            })
            .collect();
        let mut text = "<dl>\n".to_owned();
        let mut fact = |name: &str, told: &[&str]| {
            if !told.is_empty() {
                let told: Vec<String> = told.iter().map(|told| format!("<dd>{}</dd>", escaped(told))).collect();
                text += &format!("<div><dt>{name}:</dt> {}</div>\n", told.join(" "));
            }
        };
        let measures = once(measures.iter().map(String::as_str));
        match measures.as_slice() {
            [] => fact("Measure", &["doses of vaccines"]),
            [_] | [_, _] => fact("Measure", &measures),
            _ => fact("Measure", &["one for each vaccine, listed with the caveats"]),
        }
        fact("Who is counted", &once(descriptions().map(|description| description.cohort.description.as_str())));
        let denominators = descriptions().flat_map(|description| &description.denominators);
        let mut denominators = once(denominators.map(|denominator| denominator.description.as_str()));
        if denominators.is_empty() {
            denominators.push(match self.drawn.description.indicator.as_str() {
                "curve" => "at each age, the clients who were still followed (Kaplan-Meier)",
                _ => "none: these are counts",
            });
        }
        fact("Denominator", &denominators);
        let dates: Vec<String> = descriptions()
            .map(|description| {
                let month = figure::month(description.reporting_period);
                format!("reporting period {month}, doses up to {}", description.cohort.as_of)
            })
            .collect();
        fact("Date", &once(dates.iter().map(String::as_str)));
        fact(
            "For whom",
            &once(descriptions().map(|description| description.marking.as_str()).filter(|marking| !marking.is_empty())),
        );
        let files = self.files();
        let is_one = files.len() == 1;
        let beside = if is_one { format!(", {}", files.concat()) } else { String::new() };
        text += &format!("<div><dt>Table:</dt> <dd>{}{beside}</dd></div>\n</dl>\n", self.numbers());
        let caveats = once(descriptions().flat_map(|description| description.caveats.iter().map(String::as_str)));
        let mut apart = if measures.len() > 2 { format!("<p>Measures</p>\n{}", list(measures)) } else { String::new() };
        if !is_one {
            apart += &format!("<p>Tables: {}</p>\n", files.join(", "));
        }
        text + &format!("<details class=\"caveats\"><summary>Caveats</summary>\n{}{apart}</details>\n", list(caveats))
    }

    /// A link to the table in the page.
    fn numbers(&self) -> String {
        let own = format!("{}-table", self.id);
        format!("<a href=\"#{}\">the numbers</a>", self.table.as_ref().map_or_else(|other| other, |_| &own))
    }

    /// The file of each release, with a link where there is one.
    fn files(&self) -> Vec<String> {
        let file = |named: &&Named| {
            let id = escaped(&named.release.description.release_id);
            match named.link.as_deref().map(escaped) {
                Some(link) => format!("<a href=\"{link}\">{link}</a> (release {id})"),
                None => format!("release {id}"),
            }
        };
        self.sources.iter().map(file).collect()
    }
}
