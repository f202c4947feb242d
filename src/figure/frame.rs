//! What stands around every figure: marking, title, what the numbers are, the legend, and what a reader must know.

use super::face::Face;
use super::svg::{self, Node};
use crate::error::Result;

/// What every figure of this program is known by.
pub const CLASS: &str = "phds-figure";

/// The width of a figure: 7.5 inches, which is Letter paper without its margins.
pub const WIDTH: f64 = 720.0;
/// Room at both sides.
const MARGIN: f64 = 16.0;
/// The width of what is drawn between the margins.
pub const INNER: f64 = WIDTH - 2.0 * MARGIN;

const MARKING: Face = Face::bold(10.5);
const TITLE: Face = Face::bold(19.0);
const SUBTITLE: Face = Face::plain(12.5);
const LEGEND: Face = Face::plain(11.5);
const NOTE: Face = Face::plain(10.0);

/// The words around a figure.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The id of the drawing, and the beginning of all ids in it. A page has each once.
    pub id: String,
    /// For whom it is; empty for everybody.
    pub marking: String,
    /// What, of whom, when.
    pub title: String,
    /// What the numbers are shares of, and of which day.
    pub subtitle: String,
    /// Source and caveats.
    pub notes: Vec<String>,
}

/// What is drawn, in units of the drawing from (0, 0) to (`INNER`, `height`).
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    /// The elements.
    pub nodes: Vec<Node>,
    /// How high they are together.
    pub height: f64,
    /// What the marks stand for.
    pub legend: Vec<Entry>,
    /// What the drawing says, in words.
    pub reading: String,
    /// What must be said of this drawing alone.
    pub remarks: Vec<String>,
    /// Rows without a number that are left to the table.
    pub left_out: usize,
}

/// A mark and what it stands for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The mark.
    pub mark: Mark,
    /// What it stands for.
    pub text: String,
}

/// The marks of a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A field in a class of the style sheet.
    Field(&'static str),
    /// A withheld value.
    Hatched,
    /// A value that is told, and is unreliable.
    Unreliable,
    /// An interval around a value.
    Interval,
    /// A shaded interval around a line.
    Band,
    /// A line in a class of the style sheet.
    Line(&'static str),
    /// A point of a period that is not whole.
    Ring,
}

/// A class, what it colours, and its colour on white paper and on a dark screen.
///
/// A class stands for itself and not for a custom property, because Office, LibreOffice, librsvg and resvg know no
/// `var()` and would draw such a figure in black.
const COLOURS: [(&str, &str, &str, &str); 27] = [
    ("ink", "fill", "#1a1a1a", "#ececec"),
    ("soft", "fill", "#595959", "#a8a8a8"),
    ("paper", "fill", "#ffffff", "#16181b"),
    ("tint", "fill", "#f1f1f1", "#24282d"),
    ("mark", "fill", "#2166ac", "#7fb2e5"),
    ("band", "fill", "#2166ac", "#7fb2e5"),
    ("c1", "fill", "#d0e1f2", "#1b3a5f"),
    ("c2", "fill", "#86bcdb", "#2c629a"),
    ("c3", "fill", "#6faed6", "#3671aa"),
    ("c4", "fill", "#4c92c8", "#4a8fcb"),
    ("c5", "fill", "#2876b8", "#74addd"),
    ("c6", "fill", "#1f69aa", "#87bce7"),
    ("c7", "fill", "#08427e", "#d3e8fa"),
    ("on1", "fill", "#1a1a1a", "#ffffff"),
    ("on2", "fill", "#1a1a1a", "#ffffff"),
    ("on3", "fill", "#1a1a1a", "#ffffff"),
    ("on4", "fill", "#1a1a1a", "#101214"),
    ("on5", "fill", "#ffffff", "#101214"),
    ("on6", "fill", "#ffffff", "#101214"),
    ("on7", "fill", "#ffffff", "#101214"),
    ("grid", "stroke", "#dcdcdc", "#33383e"),
    ("axis", "stroke", "#8c8c8c", "#7a8087"),
    ("line", "stroke", "#2166ac", "#7fb2e5"),
    ("faint", "stroke", "#c4c4c4", "#4b5158"),
    ("firm", "stroke", "#1a1a1a", "#ececec"),
    ("edge", "stroke", "#ffffff", "#16181b"),
    ("hatch", "stroke", "#7d7d7d", "#9b9b9b"),
];

/// What the classes are besides their colours.
const FORMS: &str = "\
#ID .band{fill-opacity:.2}\
#ID .line{fill:none;stroke-width:2.2;stroke-linejoin:round}\
#ID .faint{fill:none;stroke-width:1.1}\
#ID .firm{stroke-width:1.3}\
#ID .inner{stroke-dasharray:2 3}\
#ID .outer{stroke-dasharray:7 3}\
#ID .edge{stroke-width:.7;stroke-linejoin:round}\
#ID .halo{paint-order:stroke;stroke-width:3;stroke-linejoin:round}\
#ID .hollow{fill:none;stroke-width:1.5;stroke-dasharray:3 2}\
#ID .hatch{stroke-width:1.6}\
#ID .thin{stroke-width:.7}";

impl Frame {
    /// The figure as SVG, for a file of its own or inside a page.
    pub fn draw(&self, drawing: &Drawing) -> Result<String> {
        let mut body = Vec::new();
        let mut y = MARGIN;
        if !self.marking.is_empty() {
            let lines = MARKING.wrapped(&self.marking, INNER - 16.0, 3);
            let height = rows(lines.len(), 14.0) + 8.0;
            body.push(svg::rect(0.0, y, INNER, height).class("tint"));
            body.extend(paragraph(&lines, MARKING, 8.0, y + 14.5, 14.0, "ink"));
            y += height + 10.0;
        }
        let title = TITLE.wrapped(&self.title, INNER, 3);
        y += 17.0;
        body.extend(paragraph(&title, TITLE, 0.0, y, 24.0, "ink"));
        y += rows(title.len(), 24.0) - 24.0;
        let subtitle = SUBTITLE.wrapped(&self.subtitle, INNER, 9);
        body.extend(paragraph(&subtitle, SUBTITLE, 0.0, y + 24.0, 17.0, "soft"));
        y += rows(subtitle.len(), 17.0) + 17.0;
        if !drawing.legend.is_empty() {
            let (legend, height) = self.legend(&drawing.legend);
            body.push(svg::moved(0.0, y + 4.0).with(legend));
            y += height + 8.0;
        }
        y += 6.0;
        let mut drawn = svg::moved(0.0, y);
        for node in &drawing.nodes {
            drawn.add(node.clone());
        }
        body.push(drawn);
        y += drawing.height + 12.0;
        if !(drawing.remarks.is_empty() && self.notes.is_empty()) {
            body.push(svg::line((0.0, y), (INNER, y)).class("grid"));
            y += 4.0;
        }
        // One paragraph each: a line for each sentence would take a third of a slide.
        for (notes, class) in [(&drawing.remarks, "soft scale"), (&self.notes, "soft")] {
            let lines = NOTE.wrapped(&notes.join(" "), INNER, 30);
            body.extend(paragraph(&lines, NOTE, 0.0, y + 12.0, 12.5, class));
            y += rows(lines.len(), 12.5) + if lines.is_empty() { 0.0 } else { 3.0 };
        }
        self.page(body, y + MARGIN, &drawing.reading).render()
    }

    /// The outermost element. Its id holds the style sheet to this drawing.
    fn page(&self, body: Vec<Node>, height: f64, reading: &str) -> Node {
        let id = self.id.as_str();
        let height = height.ceil();
        let mut inner = svg::moved(MARGIN, 0.0);
        for node in body {
            inner.add(node);
        }
        Node::new("svg")
            .set("xmlns", "http://www.w3.org/2000/svg")
            .set("id", id)
            .set("class", CLASS)
            .at([("width", WIDTH), ("height", height)])
            .set("viewBox", format!("0 0 {} {}", svg::number(WIDTH), svg::number(height)))
            .set("role", "img")
            .set("aria-labelledby", format!("{id}-title {id}-desc"))
            .set("font-family", FONTS)
            .with(Node::new("title").set("id", format!("{id}-title")).text(&self.title))
            .with(Node::new("desc").set("id", format!("{id}-desc")).text(reading))
            .with(Node::new("style").text(&style(id)))
            .with(Node::new("defs").with(self.hatching()))
            .with(svg::rect(0.0, 0.0, WIDTH, height).class("paper"))
            .with(inner)
    }

    /// The pattern of what is withheld.
    fn hatching(&self) -> Node {
        Node::new("pattern")
            .set("id", format!("{}-hatch", self.id))
            .set("patternUnits", "userSpaceOnUse")
            .at([("width", 6.0), ("height", 6.0)])
            .set("patternTransform", "rotate(45)")
            .with(svg::rect(0.0, 0.0, 6.0, 6.0).class("paper"))
            .with(svg::line((3.0, 0.0), (3.0, 6.0)).class("hatch"))
    }

    /// Marks an element as withheld.
    pub fn hatched(&self, node: Node) -> Node {
        node.set("fill", format!("url(#{}-hatch)", self.id))
    }

    /// The entries side by side, in as many lines as they need, and the height of all.
    fn legend(&self, entries: &[Entry]) -> (Node, f64) {
        const FIELD: f64 = 22.0;
        const LINE: f64 = 19.0;
        let mut legend = svg::group();
        let (mut x, mut y) = (0.0, 0.0);
        for entry in entries {
            let text = LEGEND.fitted(&entry.text, INNER - FIELD - 6.0);
            let width = FIELD + 6.0 + LEGEND.width(&text);
            if x > 0.0 && x + width > INNER {
                (x, y) = (0.0, y + LINE);
            }
            let field = || svg::rect(x, y + 1.0, FIELD, 12.0);
            let middle = ((x, y + 7.0), (x + FIELD, y + 7.0));
            let mark = match entry.mark {
                Mark::Field(class) => field().class(class),
                Mark::Hatched => self.hatched(field()),
                Mark::Unreliable => field().class("line hollow"),
                Mark::Band => field().class("band"),
                Mark::Interval => svg::line(middle.0, middle.1).class("firm"),
                Mark::Line(class) => svg::line(middle.0, middle.1).class(class),
                Mark::Ring => svg::group()
                    .with(svg::line(middle.0, middle.1).class("line outer"))
                    .with(svg::circle((x + FIELD / 2.0, y + 7.0), 4.0).class("mark"))
                    .with(svg::circle((x + FIELD / 2.0, y + 7.0), 2.2).class("paper")),
            };
            legend.add(mark);
            legend.add(LEGEND.at(x + FIELD + 6.0, y + 11.0, "ink scale", &text));
            x += width + 18.0;
        }
        (legend, y + LINE)
    }
}

const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', \
                     'DejaVu Sans', sans-serif";

fn style(id: &str) -> String {
    let colours = |colour: fn(&(&str, &str, &'static str, &'static str)) -> &'static str| {
        let rule =
            |row: &(&str, &str, &'static str, &'static str)| format!("#{id} .{}{{{}:{}}}", row.0, row.1, colour(row));
        COLOURS.iter().map(rule).collect::<String>()
    };
    format!(
        "{}{}@media print{{#{id}{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}}}\
         @media screen and (prefers-color-scheme:dark){{{}}}",
        colours(|row| row.2),
        FORMS.replace("ID", id),
        colours(|row| row.3)
    )
}

fn paragraph(lines: &[String], face: Face, x: f64, y: f64, apart: f64, class: &str) -> Vec<Node> {
    lines.iter().enumerate().map(|(at, line)| face.at(x, y + rows(at, apart), class, line)).collect()
}

/// The height of so many rows.
#[expect(clippy::cast_precision_loss, reason = "rows of a figure")]
pub fn rows(count: usize, height: f64) -> f64 {
    count as f64 * height
}

#[cfg(test)]
mod tests {
    use super::super::map::{CHOICES, STEPS};
    use super::*;

    /// Red, green and blue of a class on paper, or on a dark screen; 0 to 1, linear (IEC 61966-2-1).
    fn colour(class: &str, is_dark: bool) -> [f64; 3] {
        let row = COLOURS.iter().find(|row| row.0 == class).unwrap();
        let text = if is_dark { row.3 } else { row.2 };
        [1, 3, 5].map(|at| {
            let share = f64::from(u8::from_str_radix(&text[at..at + 2], 16).unwrap()) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance([red, green, blue]: [f64; 3]) -> f64 {
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn classes_of_any_number_are_equally_far_apart_in_lightness() {
        for is_dark in [false, true] {
            // L* of CIE 1976; every colour here is lighter than its straight part.
            let lightness = |step: &usize| 116.0 * luminance(colour(STEPS[*step].0, is_dark)).cbrt() - 16.0;
            for classes in CHOICES.iter().filter(|classes| classes.len() > 2) {
                let steps: Vec<f64> = classes.windows(2).map(|two| lightness(&two[1]) - lightness(&two[0])).collect();
                let mean = steps.iter().sum::<f64>() / f64::from(u32::try_from(steps.len()).unwrap());
                assert!(mean.abs() > 12.0, "{classes:?}: {steps:?}");
                assert!(steps.iter().all(|step| (step - mean).abs() < 1.0), "{classes:?}: {steps:?}");
            }
        }
    }

    #[test]
    fn words_on_a_class_can_be_read() {
        for is_dark in [false, true] {
            for (field, words) in STEPS {
                let [one, other] = [field, words].map(|class| luminance(colour(class, is_dark)) + 0.05);
                // WCAG 2.2, 1.4.3.
                assert!(one.max(other) / one.min(other) >= 4.5, "{field}");
            }
        }
    }
}
