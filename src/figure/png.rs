//! A figure as a picture of dots, for programs that take no SVG.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::error::{Error, Result};

/// Dots for each unit of the drawing: 300 to an inch, where a unit is 1/96 of it.
const SCALE: f32 = 300.0 / 96.0;

/// By what a PNG was made: a keyword of the PNG specification, and its text.
const MADE: (&str, &str) = ("Software", "phds");

/// Families that are taken for words, the first that is there.
const FAMILIES: [&str; 10] = [
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "Liberation Sans",
    "Noto Sans",
    "Open Sans",
    "DejaVu Sans",
    "FreeSans",
    "Nimbus Sans",
];

/// Draws an SVG of this program with the fonts of this machine.
pub fn from_svg(svg: &str) -> Result<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    from_svg_with(svg, fonts)
}

fn from_svg_with(svg: &str, mut fonts: fontdb::Database) -> Result<Vec<u8>> {
    let has = |family: &str| fonts.faces().any(|face| face.families.iter().any(|(name, _)| name == family));
    let family = FAMILIES.into_iter().find(|family| has(family)).map(str::to_owned);
    let any = || fonts.faces().find_map(|face| Some(face.families.first()?.0.clone()));
    let family = family.or_else(any).ok_or_else(|| {
        Error::environment("this machine has no font, so a PNG would have no words")
            .hint("install one (on Debian: apt-get install fonts-dejavu-core), or write an SVG: --out FILE.svg")
    })?;
    fonts.set_sans_serif_family(&family);
    let options = Options { font_family: family, fontdb: Arc::new(fonts), ..Options::default() };
    let failed = || Error::internal("the figure cannot be turned into dots");
    let tree = Tree::from_str(svg, &options).map_err(|_| failed())?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(failed)?;
    let mut dots = Pixmap::new(size.width(), size.height()).ok_or_else(failed)?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut dots.as_mut());
    encode(dots).map_err(|_| failed())
}

/// The dots as a PNG that says by what it was made.
fn encode(dots: Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, dots.width(), dots.height());
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.add_text_chunk(MADE.0.to_owned(), MADE.1.to_owned())?;
    encoder.write_header()?.write_image_data(&dots.take_demultiplied())?;
    Ok(bytes)
}

/// Whether a file that begins so is a PNG of this program.
pub fn is_ours(beginning: &[u8]) -> bool {
    let made = format!("tEXt{}\0{}", MADE.0, MADE.1);
    beginning.starts_with(b"\x89PNG") && memchr::memmem::find(beginning, made.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_font_it_says_so() {
        let error = from_svg_with("<svg/>", fontdb::Database::new()).unwrap_err();
        assert!(error.to_string().contains("no font") && error.to_string().contains("--out FILE.svg"), "{error}");
    }
}
