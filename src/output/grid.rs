//! Rows and columns for a screen: labels to the left, numbers to the right, and bars.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, Width, presets};

/// What a screen can show. The default is a file: of any width, UTF-8, and without colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Columns of the screen; none for lines of any length.
    pub width: Option<u16>,
    /// Whether nothing but ASCII is drawn.
    pub ascii: bool,
    /// Whether lines may be bold or faint. They say nothing that the words do not.
    pub color: bool,
}

impl Look {
    /// A text in bold.
    pub fn bold(self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A text that steps back.
    pub fn faint(self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The signs that this program draws, in ASCII where there is nothing else. Letters of names stay as they are.
    pub fn drawn(self, text: &str) -> String {
        if self.ascii { text.replace('─', "-").replace('·', ".").replace('…', "...") } else { text.to_owned() }
    }

    /// A text in lines that fit, the second and further ones with an indent.
    pub fn wrapped(self, text: &str, indent: &str) -> String {
        let Some(width) = self.width.map(|width| usize::from(width.clamp(MIN_LINE, MAX_LINE))) else {
            return text.to_owned();
        };
        let mut lines = String::new();
        let mut length = 0;
        for word in text.split(' ') {
            let word_length = word.chars().count();
            if length > 0 && length + 1 + word_length > width {
                lines += "\n";
                lines += indent;
                length = indent.len();
            } else if length > 0 {
                lines += " ";
                length += 1;
            }
            lines += word;
            length += word_length;
        }
        lines
    }
}

/// Lines are no longer than this on the widest screen, and no shorter than that on the narrowest.
const MAX_LINE: u16 = 100;
const MIN_LINE: u16 = 30;

/// How many columns a bar of 100 % takes.
const BAR: usize = 10;

/// A column of labels whose words are longer than this may be cut within a word.
const LONG_WORD: usize = 16;

/// A table for a screen.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Titles of the columns.
    pub header: Vec<String>,
    /// How many columns are labels: they come first, and are wrapped where there is little room. Numbers never are.
    pub labels: usize,
    /// The rows, as many cells as there are titles.
    pub rows: Vec<Vec<String>>,
    /// The rate of each row, 0 to 1, drawn as a bar behind it; empty for a table without bars.
    pub rates: Vec<Option<f64>>,
}

impl Grid {
    /// The table as lines. Where it does not fit, titles and labels are wrapped first; then the bars go.
    pub fn draw(&self, look: Look) -> String {
        let fits = |text: &str| {
            look.width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= usize::from(width)))
        };
        let has_bars = self.rates.iter().any(Option::is_some);
        let whole = self.lines(look, has_bars, None);
        let text = match look.width {
            Some(_) if !fits(&whole) => {
                let narrow = self.lines(look, has_bars, look.width);
                if has_bars && !fits(&narrow) { self.lines(look, false, look.width) } else { narrow }
            }
            _ => whole,
        };
        look.drawn(&text)
    }

    fn lines(&self, look: Look, bars: bool, width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.header.iter().cloned().chain(bars.then(String::new)));
        for (at, row) in self.rows.iter().enumerate() {
            let rate = self.rates.get(at).copied().flatten();
            table.add_row(row.iter().cloned().chain(bars.then(|| bar(rate, look.ascii))));
        }
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            let is_number = (self.labels..self.header.len()).contains(&at);
            if is_number {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if width.is_some() {
                column.set_padding((0, 1));
                let narrowest = Width::Fixed(self.narrowest(at));
                column.set_constraint(if at < self.labels {
                    ColumnConstraint::LowerBoundary(narrowest)
                } else {
                    ColumnConstraint::Absolute(narrowest)
                });
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    /// The least width of a column, with the blank behind it: titles and labels are wrapped between words, numbers are not.
    fn narrowest(&self, at: usize) -> u16 {
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        let words = |text: &String| text.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
        let title = self.header.get(at).map(words).unwrap_or_default();
        let widest = if at < self.labels {
            cells.map(words).chain([title]).max().unwrap_or_default().min(LONG_WORD)
        } else if at < self.header.len() {
            cells.map(|cell| cell.chars().count()).chain([title]).max().unwrap_or_default()
        } else {
            BAR
        };
        u16::try_from(widest + 1).unwrap_or(u16::MAX)
    }
}

/// A rate as a bar of up to ten signs, in eighths where the screen has such blocks.
fn bar(rate: Option<f64>, ascii: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let Some(rate) = rate else { return String::new() };
    let steps = if ascii { BAR } else { BAR * 8 };
    // At most 80.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0 to 80")]
    let length = (rate.clamp(0.0, 1.0) * steps as f64).round() as usize;
    if ascii { "#".repeat(length) } else { "█".repeat(length / 8) + EIGHTHS[length % 8] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let row = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
        Grid {
            header: row(["Organization", "Denominator", "Rate", "95 % interval"]),
            labels: 1,
            rows: vec![
                row(["A rather long name of a clinic", "1,234,567", "50.0 %", "49.9 to 50.1"]),
                row(["B", "·", "·", "·"]),
            ],
            rates: vec![Some(0.5), None],
        }
    }

    #[test]
    fn numbers_stay_whole_in_a_table_of_any_width() {
        for width in [None, Some(200), Some(80), Some(64), Some(56), Some(52), Some(20)] {
            let text = grid().draw(Look { width, ..Look::default() });
            for number in ["1,234,567", "50.0 %", "49.9 to 50.1"] {
                assert!(text.lines().any(|line| line.contains(number)), "{width:?}\n{text}");
            }
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(width.is_none_or(|width| width < 50 || widest <= usize::from(width)), "{width:?}\n{text}");
            assert_eq!(text.contains('█'), width.is_none_or(|width| width > 60), "{width:?}\n{text}");
        }
    }

    #[test]
    fn a_bar_has_the_length_of_its_rate() {
        for (rate, drawn, ascii) in [
            (Some(0.0), "", ""),
            (Some(0.004), "", ""),
            (Some(0.0125), "▏", ""),
            (Some(0.05), "▌", "#"),
            (Some(0.661), "██████▋", "#######"),
            (Some(1.0), "██████████", "##########"),
            (Some(1.2), "██████████", "##########"),
            (None, "", ""),
        ] {
            assert_eq!((bar(rate, false).as_str(), bar(rate, true).as_str()), (drawn, ascii), "{rate:?}");
        }
    }

    #[test]
    fn ascii_is_ascii_and_colour_only_when_asked_for() {
        let ascii = grid().draw(Look { ascii: true, ..Look::default() });
        assert!(ascii.is_ascii() && ascii.contains("#####"), "{ascii}");
        assert_eq!(Look::default().bold("x"), "x");
        assert_eq!(Look { color: true, ..Look::default() }.faint("x"), "\x1b[2mx\x1b[0m");
    }

    #[test]
    fn words_are_wrapped_and_nothing_is_lost() {
        let look = Look { width: Some(30), ..Look::default() };
        assert_eq!(look.wrapped("- one two three four five six seven", "  "), "- one two three four five six\n  seven");
        assert_eq!(Look::default().wrapped("a b", "  "), "a b");
    }
}
