//! Elements of a drawing, and their text. The writer of quick-xml escapes what is written.

use std::fmt::Write as _;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::error::{Error, Result};

/// An element with its attributes and what is in it.
#[derive(Clone, Debug)]
pub struct Node {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
enum Child {
    Node(Node),
    Text(String),
}

impl Node {
    /// An empty element.
    pub fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new() }
    }

    /// With an attribute.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, printable(&value.into())));
        self
    }

    /// With attributes that are numbers, in units of the drawing.
    #[must_use]
    pub fn at<const N: usize>(mut self, numbers: [(&'static str, f64); N]) -> Self {
        self.attributes.extend(numbers.map(|(name, value)| (name, number(value))));
        self
    }

    /// With a class of the style sheet.
    #[must_use]
    pub fn class(self, class: &str) -> Self {
        self.set("class", class)
    }

    /// With words in it.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.children.push(Child::Text(printable(text)));
        self
    }

    /// With another element in it.
    #[must_use]
    pub fn with(mut self, child: Node) -> Self {
        self.add(child);
        self
    }

    /// With words that appear when somebody points at it.
    #[must_use]
    pub fn told(self, text: &str) -> Self {
        self.with(Node::new("title").text(text))
    }

    /// Adds another element.
    pub fn add(&mut self, child: Node) {
        self.children.push(Child::Node(child));
    }

    /// The element as text.
    pub fn render(&self) -> Result<String> {
        let failed = || Error::internal("a figure has no XML form");
        let mut writer = Writer::new(Vec::new());
        self.write(&mut writer).map_err(|_| failed())?;
        String::from_utf8(writer.into_inner()).map_err(|_| failed())
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let attributes = self.attributes.iter().map(|(name, value)| (*name, value.as_str()));
        let element = writer.create_element(self.name).with_attributes(attributes);
        if self.children.is_empty() {
            element.write_empty()?;
            return Ok(());
        }
        element.write_inner_content(|writer| {
            for child in &self.children {
                match child {
                    Child::Node(node) => node.write(writer)?,
                    Child::Text(text) => {
                        writer.write_event(quick_xml::events::Event::Text(BytesText::new(text)))?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// A group.
pub fn group() -> Node {
    Node::new("g")
}

/// A group that is moved.
pub fn moved(x: f64, y: f64) -> Node {
    group().set("transform", format!("translate({} {})", number(x), number(y)))
}

/// A rectangle. What has no width is not drawn.
pub fn rect(x: f64, y: f64, width: f64, height: f64) -> Node {
    Node::new("rect").at([("x", x), ("y", y), ("width", width.max(0.0)), ("height", height.max(0.0))])
}

/// A straight line.
pub fn line(from: (f64, f64), to: (f64, f64)) -> Node {
    Node::new("line").at([("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1)])
}

/// A circle.
pub fn circle(at: (f64, f64), radius: f64) -> Node {
    Node::new("circle").at([("cx", at.0), ("cy", at.1), ("r", radius)])
}

/// A line through points, closed or not.
pub fn path(points: impl IntoIterator<Item = (f64, f64)>, closed: bool) -> String {
    let mut text = String::new();
    for (at, (x, y)) in points.into_iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{}{} {}", if at == 0 { 'M' } else { 'L' }, number(x), number(y));
    }
    if closed {
        text.push('Z');
    }
    text
}

/// A number with one digit after the point, and none where it would be 0.
pub fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text without what XML 1.0 cannot hold (control characters but tab and line ends, U+FFFE, U+FFFF).
fn printable(text: &str) -> String {
    let fits = |c: char| matches!(c, '\t' | '\n') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_label_holds_is_text() {
        let node = Node::new("text").set("class", "\"a\" & <b>").text("</text><script>\u{1}'");
        assert_eq!(
            node.render().unwrap(),
            "<text class=\"&quot;a&quot; &amp; &lt;b&gt;\">&lt;/text&gt;&lt;script&gt;\u{fffd}&apos;</text>"
        );
    }

    #[test]
    fn numbers_are_short_and_the_same_everywhere() {
        let texts = [0.0, -0.01, 1.0, 2.25, 99.96, -3.24].map(number);
        assert_eq!(texts, ["0", "0", "1", "2.2", "100", "-3.2"]);
        assert_eq!(path([(0.0, 1.0), (2.5, 3.0)], true), "M0 1L2.5 3Z");
    }
}
