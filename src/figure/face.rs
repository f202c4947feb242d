//! Words in a drawing: how wide they are, where they break, and what is left of a long label.
//!
//! Nobody knows which font a reader has. Widths are those of DejaVu Sans, the widest of the usual ones, so that words
//! that fit here fit in Segoe UI, San Francisco, Roboto, Arial and Liberation Sans, too.

use super::svg::Node;

/// Widths of the characters from blank to `~` in DejaVu Sans 2.37, in hundredths of the size.
const WIDTHS: [u8; 95] = [
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84,
    84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69,
    61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63,
    59, 82, 59, 59, 52, 64, 34, 64, 84,
];

/// How much wider bold words are, at most of ordinary ones.
const BOLD: f64 = 1.15;

/// Size and weight of words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// In units of the drawing.
    pub size: f64,
    /// Whether they are bold.
    pub bold: bool,
}

impl Face {
    /// Of ordinary weight.
    pub const fn plain(size: f64) -> Self {
        Self { size, bold: false }
    }

    /// Bold.
    pub const fn bold(size: f64) -> Self {
        Self { size, bold: true }
    }

    /// How wide a text is, at most, in units of the drawing.
    pub fn width(self, text: &str) -> f64 {
        let hundredths: u32 = text.chars().map(|c| u32::from(hundredths(c))).sum();
        f64::from(hundredths) / 100.0 * self.size * if self.bold { BOLD } else { 1.0 }
    }

    /// The text, or its beginning and an ellipsis where there is no room for it.
    pub fn fitted(self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let mut kept = String::new();
        for c in text.chars() {
            kept.push(c);
            if self.width(&kept) + self.width("…") > room {
                kept.pop();
                break;
            }
        }
        format!("{}…", kept.trim_end())
    }

    /// The text, or its beginning and its end around an ellipsis where there is no room for it.
    pub fn shortened(self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let letters: Vec<char> = text.chars().collect();
        let cut = |kept: usize| {
            let head: String = letters[..kept.div_ceil(2)].iter().collect();
            let tail: String = letters[letters.len() - kept / 2..].iter().collect();
            format!("{}…{}", head.trim_end(), tail.trim_start())
        };
        let fits = (1..letters.len()).rev().map(cut).find(|cut| self.width(cut) <= room);
        fits.unwrap_or_else(|| "…".to_owned())
    }

    /// The words of a text that fit into one line, and those that are left. A first word that is too long is a line.
    pub fn broken(self, text: &str, room: f64) -> (String, String) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let fits = (1..=words.len()).rev().find(|count| self.width(&words[..*count].join(" ")) <= room);
        let (head, tail) = words.split_at(fits.unwrap_or(1).min(words.len()));
        (head.join(" "), tail.join(" "))
    }

    /// The text in at most so many lines that break at blanks. The last one, and a word that is too long, are cut. No word is
    /// left alone in the last line where another can stand beside it.
    pub fn wrapped(self, text: &str, room: f64, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let mut line = word.to_owned();
            while let Some(next) = words.next_if(|next| self.width(&format!("{line} {next}")) <= room) {
                line = format!("{line} {next}");
            }
            if wrapped.len() + 1 == lines {
                for rest in words.by_ref() {
                    line = format!("{line} {rest}");
                }
            }
            wrapped.push(self.fitted(&line, room));
        }
        if let [.., before, last] = wrapped.as_mut_slice()
            && !last.contains(' ')
            && let Some((rest, word)) = before.rsplit_once(' ')
            && rest.contains(' ')
            && self.width(&format!("{word} {last}")) <= room
        {
            *last = format!("{word} {last}");
            *before = rest.to_owned();
        }
        wrapped
    }

    /// A text element that begins at `x`, with its baseline at `y`.
    pub fn at(self, x: f64, y: f64, class: &str, text: &str) -> Node {
        let node = Node::new("text").class(class).at([("x", x), ("y", y), ("font-size", self.size)]);
        let node = if self.bold { node.set("font-weight", "600") } else { node };
        node.text(text)
    }

    /// The same, ending at `x`.
    pub fn ending(self, x: f64, y: f64, class: &str, text: &str) -> Node {
        self.at(x, y, class, text).set("text-anchor", "end")
    }

    /// The same, with its middle at `x`.
    pub fn centred(self, x: f64, y: f64, class: &str, text: &str) -> Node {
        self.at(x, y, class, text).set("text-anchor", "middle")
    }
}

/// A label that is cut in its middle where there is no room, because names differ at both ends; its whole text appears when somebody points at it.
pub fn label(text: &str, face: Face, room: f64, place: impl FnOnce(&str) -> Node) -> Node {
    let fitted = face.shortened(text, room);
    let node = place(&fitted);
    if fitted == text { node } else { node.told(text) }
}

fn hundredths(c: char) -> u8 {
    match c {
        ' '..='~' => WIDTHS[c as usize - 32],
        '·' => 32,
        '–' => 50,
        'à'..='ÿ' => 63,
        'À'..='ß' => 79,
        _ => 100,
    }
}

/// A number that was drawn, and is not negative, without what is behind its point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place on an axis of counts")]
pub fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_never_wider_than_its_room() {
        let face = Face::plain(10.0);
        assert!((face.width("mmm") - 29.1).abs() < 1e-9);
        for (text, room, fitted) in
            [("mmm", 29.1, "mmm"), ("mmm", 29.0, "m…"), ("mmm", 5.0, "…"), ("m mm", 24.0, "m…"), ("", 0.0, "")]
        {
            assert_eq!(face.fitted(text, room), fitted, "{text} in {room}");
        }
        for (text, room, shortened) in [("m1 m2", 36.0, "m1 m2"), ("m1mm m2", 50.0, "m1…m2"), ("mm", 5.0, "…")] {
            assert_eq!(face.shortened(text, room), shortened, "{text} in {room}");
        }
        let long = "W".repeat(500);
        assert!(face.width(&face.fitted(&long, 100.0)) <= 100.0);
    }

    #[test]
    fn words_break_at_blanks_into_so_many_lines() {
        let face = Face::plain(10.0);
        assert_eq!(face.wrapped("mm mm mm", 45.0, 9), ["mm mm", "mm"].map(str::to_owned));
        assert_eq!(face.wrapped("mm mm mm mm", 25.0, 2), ["mm", "m…"].map(str::to_owned));
        assert_eq!(face.wrapped("mmmmm mm", 25.0, 9), ["m…", "mm"].map(str::to_owned));
        assert_eq!(face.wrapped("", 25.0, 9), Vec::<String>::new());
        // The last word is not alone: in a title, the month stays with its year.
        assert_eq!(face.wrapped("1 2 May 2024", 65.0, 9), ["1 2", "May 2024"].map(str::to_owned));
    }
}
