//! A release as a table for people, on a screen or in a text file.

use super::grid::{Grid, Look};
use super::page::{NO_ROW, Page};
use crate::disclosure::Release;

/// The marking and the title, the table, then what a reader must know.
pub fn render(release: &Release, look: Look) -> String {
    let page = Page::of(release);
    let wrapped = |text: &str| look.wrapped(text, "") + "\n";
    let mut text = look.bold(&look.wrapped(&page.marking, "")) + "\n\n";
    text += &(look.bold(&look.wrapped(&page.title, "")) + "\n");
    text += &page.about.iter().map(|line| wrapped(line)).collect::<String>();
    let is_empty = page.rows.is_empty();
    let grid = Grid { header: page.header, labels: page.labels, rows: page.rows, rates: page.rates };
    text += &format!("\n{}\n", grid.draw(look));
    if is_empty {
        text += &format!("{NO_ROW}\n");
    }
    text += &page.legend.iter().map(|line| wrapped(&look.drawn(line))).collect::<String>();
    text += "\n";
    text += &page.notes.iter().map(|line| wrapped(line)).collect::<String>();
    for caveat in &page.caveats {
        text += &(look.wrapped(&format!("- {caveat}"), "  ") + "\n");
    }
    text + "\n" + &look.faint(&look.wrapped(&look.drawn(&page.provenance), "")) + "\n"
}
