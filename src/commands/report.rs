//! `phds report`: one page of a month, made of releases.

use std::path::{Path, PathBuf};

use super::query;
use crate::check::report::Document;
use crate::cli;
use crate::error::{Error, Result};
use crate::figure::release::Release;
use crate::figure::shapes::Shape;
use crate::fs;
use crate::knowledge;
use crate::output::Format;
use crate::page::{self, Contents, Named};
use crate::period::ReportingPeriod;
use crate::query::ask::Asks;
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;

/// The built-in questions.
const QUESTIONS: &str = "report.toml";

/// `phds report`
pub fn run(typed: &cli::Report, settings: &Settings) -> Result<()> {
    let shapes = super::plot::own_shapes(typed.shapes.as_deref(), typed.shape_key.as_deref())?;
    let earlier = typed.earlier.as_deref();
    let folder = if let Some(folder) = &typed.releases {
        let contents = Contents { releases: named(folder, None, &typed.out)?, shapes, ..Contents::default() };
        write(contents, earlier.map(kept).transpose()?.unwrap_or_default(), &typed.out)?;
        folder.clone()
    } else {
        let asks = typed.questions.as_deref().map_or_else(built_in, Asks::read)?;
        let (store, partition) = query::month(&typed.month, settings)?;
        let releases = query::answer(&asks.releases, &store, &partition, settings)?;
        of_month(&asks, &releases, &store, shapes, earlier, &typed.out)?
    };
    terminal::say(&format!("{}, with its releases in {}", typed.out.display(), folder.display()));
    Ok(())
}

/// The questions of a page, where nobody has asked others.
pub fn built_in() -> Result<Asks> {
    Asks::parse(QUESTIONS, knowledge::text(QUESTIONS)?)
}

/// Writes the page of answered questions, and their releases into a folder beside it, which it gives.
pub fn of_month(
    asks: &Asks,
    releases: &[crate::disclosure::Release],
    store: &Store,
    shapes: Option<Vec<Shape>>,
    earlier: Option<&Path>,
    out: &Path,
) -> Result<PathBuf> {
    let folder = out.with_extension("");
    if folder == out {
        return Err(Error::usage(format!("`{}` has no ending", out.display()))
            .hint("call the page FILE.html; its releases go into the folder FILE"));
    }
    query::write_all(asks, releases, store, Format::Csv, &folder)?;
    let names: Vec<String> = asks.releases.iter().filter_map(|ask| ask.name.clone()).collect();
    let period = releases.first().map(|release| release.document().reporting_period);
    let quality = period.and_then(|period| quality(store, period));
    let contents = Contents { releases: named(&folder, Some(&names), out)?, quality, shapes, ..Contents::default() };
    write(contents, kept(earlier.unwrap_or(&store.releases()))?, out)?;
    Ok(folder)
}

/// Writes a page. Of the releases that were kept, those of the month before are compared with.
fn write(mut contents: Contents, kept: Vec<Release>, out: &Path) -> Result<()> {
    let period = contents.releases.first().map(|named| named.release.description.reporting_period.clone());
    let before = period.and_then(|period| period.parse::<ReportingPeriod>().ok()).map(|period| period.previous().to_string());
    let is_before = |release: &Release| before.as_ref() == Some(&release.description.reporting_period);
    contents.earlier = kept.into_iter().filter(is_before).collect();
    fs::write_whole(out, page::html(&contents)?.as_bytes())
}

/// The releases of a folder, as a page links to them.
fn named(folder: &Path, names: Option<&[String]>, out: &Path) -> Result<Vec<Named>> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Error::named_file("find", path, &error));
    let beside = absolute(out)?.parent().map(Path::to_owned).unwrap_or_default();
    let read = Contents::read(folder, names)?.into_iter().map(|(name, table, release)| {
        let link = absolute(&table)?.strip_prefix(&beside).ok().map(linked);
        Ok(Named { name, release, link })
    });
    read.collect()
}

/// A relative path as a link.
fn linked(path: &Path) -> String {
    let part = |part: std::path::Component<'_>| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let text = part.as_os_str().to_string_lossy().into_owned();
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
    };
    path.components().map(part).collect::<Vec<String>>().join("/")
}

/// The releases that were kept, the newest last. What cannot be read is passed over: it is compared with nothing.
fn kept(folder: &Path) -> Result<Vec<Release>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.path().join("release.json").metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    Ok(found.into_iter().filter_map(|(_, path)| Release::open(&path).ok()).collect())
}

/// What the check found in the month.
fn quality(store: &Store, period: ReportingPeriod) -> Option<Document> {
    let text = std::fs::read(store.reports(period).join("report.json")).ok()?;
    serde_json::from_slice(&text).ok()
}
