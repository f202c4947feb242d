//! `phds report`: one page of a month, made of releases.

use std::path::{Path, PathBuf};

use super::query::{self, Keeping};
use crate::check::REPORT;
use crate::check::report::Document;
use crate::cli;
use crate::disclosure::Audience;
use crate::disclosure::release::DESCRIPTION;
use crate::error::{Error, Result};
use crate::figure::release::Release;
use crate::figure::shapes::Shape;
use crate::fs;
use crate::knowledge;
use crate::output::{self, Format, package};
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
    if typed.example {
        return terminal::print_data(knowledge::text(QUESTIONS)?.as_bytes());
    }
    let shapes = super::plot::own_shapes(typed.shapes.as_deref(), typed.shape_key.as_deref())?;
    let earlier = typed.earlier.as_deref();
    settings.may_write(&typed.out)?;
    place(&typed.out)?;
    let (folder, contents) = if let Some(folder) = &typed.releases {
        let paths = folders(folder)?.into_iter().map(|name| (folder.join(&name), name));
        let contents = Contents { releases: named(paths, &typed.out)?, shapes, ..Contents::default() };
        (folder.clone(), write(contents, earlier, &typed.out)?)
    } else {
        // Before anything is counted.
        beside(&typed.out)?;
        let asks = typed.questions.as_deref().map_or_else(built_in, Asks::read)?;
        let (store, partition) = query::month(&typed.month, settings)?;
        let keeping = Keeping::of(&store, settings.releases(typed.keep_in.as_deref())?, Audience::Internal)?;
        let refused = query::Refused::EndsRun;
        let answered = query::answer(&asks.releases, &store, &partition, settings, None, refused)?;
        prepare(&asks, partition.manifest().reporting_period, &beside(&typed.out)?)?;
        let releases = answered.release(&store, &keeping)?;
        of_month(&asks, &releases, &store, shapes, earlier.unwrap_or(keeping.folder()), &typed.out)?
    };
    terminal::say(&format!("{}, with its releases in {}", typed.out.display(), folder.display()));
    if let Some(lacks) = lacks(&contents, typed) {
        terminal::say(&lacks);
    }
    Ok(())
}

/// What the top of the page could tell and does not, and what to do about it.
fn lacks(contents: &Contents, typed: &cli::Report) -> Option<String> {
    let Some(headline) = contents.releases.iter().find(|named| named.name == page::HEADLINE) else {
        return Some(format!(
            "The page has no number at the top: call a release `{}`, as `phds report --example` does.",
            page::HEADLINE
        ));
    };
    let before = headline.release.description.reporting_period.previous();
    let remedy = match (&typed.releases, &typed.earlier) {
        _ if !contents.earlier.is_empty() => return None,
        (_, Some(folder)) => format!("`{}` has no release of {before}", folder.display()),
        (Some(_), None) => format!("name the folder of the releases of {before}: --earlier DIR"),
        (None, None) => {
            format!(
                "when {before} is loaded, `phds report --period {before} --out {before}.html` first, then this page again"
            )
        }
    };
    Some(format!("The page tells no change since the month before: {remedy}."))
}

/// The questions of a page, where nobody has asked others.
pub fn built_in() -> Result<Asks> {
    Asks::parse(QUESTIONS, knowledge::text(QUESTIONS)?)
}

/// Writes the page of answered questions, compared with the releases in the folder `earlier`, and their releases into a folder
/// beside it. Gives that folder, and what the page is made of.
pub fn of_month(
    asks: &Asks,
    releases: &[crate::disclosure::Release],
    store: &Store,
    shapes: Option<Vec<Shape>>,
    earlier: &Path,
    out: &Path,
) -> Result<(PathBuf, Contents)> {
    let folder = beside(out)?;
    query::write_all(asks, releases, Format::Csv, &folder)?;
    let names = asks.releases.iter().filter_map(|ask| ask.name.clone());
    let paths = names.map(|name| (output::table_in(&folder.join(&name), Format::Csv), name));
    let period = releases.first().map(|release| release.document().reporting_period);
    let quality = period.and_then(|period| quality(store, period));
    let contents = Contents { releases: named(paths, out)?, quality, shapes, ..Contents::default() };
    let contents = write(contents, Some(earlier), out)?;
    Ok((folder, contents))
}

/// Refuses a page that would not be known as one by its name, and one that would replace something else.
fn place(page: &Path) -> Result<()> {
    fs::must_end_in(page, "html", "a page is HTML, and a browser prints it to PDF")?;
    fs::may_replace(page, "page of a month", |path| page::is_page(&fs::beginning(path)))
}

/// Makes the folders of a page's releases. Those of an earlier page may be there when this one replaces them all: the page
/// and the folder are handed on together, and are of one month.
fn prepare(asks: &Asks, period: ReportingPeriod, folder: &Path) -> Result<()> {
    let asked: Vec<&str> = asks.releases.iter().filter_map(|ask| ask.name.as_deref()).collect();
    package::of_one_month(folder, period, &asked, "name another page in `--out`, or remove that folder first")?;
    query::prepare(asks, Format::Csv, folder).map(drop)
}

/// The folder of a page's releases, beside it. It may be there, with releases of an earlier page and nothing else: whoever
/// hands it on hands on all of it.
fn beside(page: &Path) -> Result<PathBuf> {
    let folder = page.with_extension("");
    let other = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut other = other.filter(|entry| !entry.path().is_dir() && entry.file_name() != package::FILE);
    if let Some(other) = other.next() {
        let what = format!("`{}` is in the way: it is no release", other.path().display());
        return Err(
            Error::usage(what).hint("the releases of FILE.html go into the folder FILE: name another page in `--out`")
        );
    }
    Ok(folder)
}

/// Writes a page, compared with the releases of the month before in a folder. Gives what it is made of.
fn write(mut contents: Contents, earlier: Option<&Path>, out: &Path) -> Result<Contents> {
    let period = contents.releases.first().map(|named| named.release.description.reporting_period);
    if let Some((folder, period)) = earlier.zip(period) {
        contents.earlier = kept(folder, period.previous());
    }
    // Questions may have been read from a pipe, for as long as somebody liked.
    place(out)?;
    fs::write_output(out, page::html(&contents)?.as_bytes())?;
    Ok(contents)
}

/// Names of the folders with a description in a folder, sorted.
fn folders(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::named_file("read", folder, &error))?;
    let described = entries.flatten().filter(|entry| entry.path().join(DESCRIPTION).is_file());
    let mut names: Vec<String> = described.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    if names.is_empty() {
        return Err(Error::usage(format!("there is no release in `{}`", folder.display()))
            .hint("`phds query FILE --out DIR` writes a folder for each release; name that DIR"));
    }
    Ok(names)
}

/// Releases by the path of their table or folder and by name, as a page links to them.
fn named(paths: impl Iterator<Item = (PathBuf, String)>, out: &Path) -> Result<Vec<Named>> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Error::named_file("find", path, &error));
    let beside = absolute(out)?.parent().map(Path::to_owned).unwrap_or_default();
    let read = paths.map(|(path, name)| {
        let release = Release::open(&path)?;
        let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
        let table = release.description.table.as_ref().map(|table| folder.join(&table.file)).unwrap_or_default();
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
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    path.components().map(part).collect::<Vec<String>>().join("/")
}

/// The releases of a month among those in a folder, the newest last. What cannot be read is passed over: it is compared
/// with nothing.
fn kept(folder: &Path, period: ReportingPeriod) -> Vec<Release> {
    let of_month = package::months(folder).unwrap_or_default().into_iter().filter(|(_, month)| *month == period);
    let paths = of_month.map(|(name, _)| folder.join(name));
    let dated = paths.filter_map(|path| Some((path.join(DESCRIPTION).metadata().ok()?.modified().ok()?, path)));
    let mut found: Vec<_> = dated.collect();
    found.sort();
    found.into_iter().filter_map(|(_, path)| Release::open(&path).ok()).collect()
}

/// What the check found in the month.
fn quality(store: &Store, period: ReportingPeriod) -> Option<Document> {
    let text = std::fs::read(store.reports(period).join(REPORT)).ok()?;
    serde_json::from_slice(&text).ok()
}
