//! `phds plot`: a figure of a release.

use std::path::Path;

use crate::cli;
use crate::error::{Error, Result};
use crate::figure::release::Release;
use crate::figure::shapes::{self, Shape};
use crate::figure::{self, Kind, Options, png};
use crate::fs;
use crate::terminal;

/// How a figure is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Svg,
    Png,
}

/// `phds plot`
pub fn run(typed: &cli::Plot) -> Result<()> {
    let form = typed.out.as_deref().map_or(Ok(Form::Svg), form)?;
    if let Some(path) = &typed.out {
        fs::may_replace(path, "figure", |path| figure::is_figure(&fs::beginning(path)))?;
    }
    if typed.out.is_none() && terminal::data_goes_to_a_screen() {
        return Err(
            Error::usage("a figure is not for a screen of text").hint("add `--out FILE.svg` or `--out FILE.png`")
        );
    }
    let release = Release::open(&typed.release)?;
    let shapes = own_shapes(typed.shapes.as_deref(), typed.shape_key.as_deref())?;
    let options = Options { title: typed.title.clone(), shapes, ..Options::default() };
    let svg = figure::draw(typed.kind, &release, &options)?;
    let bytes = match form {
        Form::Svg => svg.into_bytes(),
        Form::Png => png::from_svg(&svg)?,
    };
    match &typed.out {
        Some(path) => {
            fs::write_output(path, &bytes)?;
            terminal::say(&path.display().to_string());
            if typed.kind == Kind::Bar
                && release.table.len() > figure::STRIPED
                && figure::fits(Kind::Map, &release, &options)
            {
                let mut map = path.file_stem().unwrap_or_default().to_owned();
                map.push(match form {
                    Form::Svg => "_map.svg",
                    Form::Png => "_map.png",
                });
                let map = path.with_file_name(map);
                let words = [&typed.release, &map].map(|path| path.to_string_lossy());
                terminal::next(["plot", &words[0], "--kind", "map", "--out", &words[1]]);
            }
            Ok(())
        }
        None => terminal::print_data(&bytes),
    }
}

/// The shapes of a GeoJSON file, called by one of its properties; none where no file is named.
pub fn own_shapes(file: Option<&Path>, property: Option<&str>) -> Result<Option<Vec<Shape>>> {
    let Some((file, property)) = file.zip(property) else { return Ok(None) };
    let text = std::fs::read(file).map_err(|error| Error::named_file("read", file, &error))?;
    let read = shapes::from_geojson(&text, property);
    read.map(Some).map_err(|error| error.also(&format!(" (`{}`)", file.display())))
}

fn form(path: &Path) -> Result<Form> {
    let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    match ending.as_deref().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(Form::Svg),
        Some("png") => Ok(Form::Png),
        _ => Err(Error::usage(format!("`{}` ends neither in .svg nor in .png", path.display()))
            .hint("SVG stays sharp at any size and suits pages; PNG suits programs that take no SVG")),
    }
}
