//! Which parts are missing together (an UpSet plot, lying on its side): a row for each set, a column for each part.
//!
//! Lex A et al. (2014), UpSet: visualization of intersecting sets, IEEE TVCG 20(12):1983-1992.

use super::face::{Face, label};
use super::frame::{Drawing, Frame, INNER, rows};
use super::release::{Status, Value};
use super::scale::{self, Scale};
use super::svg;
use super::{Unit, withheld_words};

const PART: Face = Face::plain(11.5);
const NUMBER: Face = Face::bold(11.5);
const TICK: Face = Face::plain(10.5);

/// Sets that are drawn; the table has the others.
pub const MOST: usize = 30;

/// A set of parts, and how many miss exactly these.
#[derive(Clone, Debug)]
pub struct Set {
    /// The parts; none for those who miss nothing, and where sets are pooled.
    pub parts: Vec<String>,
    /// What stands in place of the parts where there are none.
    pub name: String,
    /// The numbers.
    pub value: Value,
}

/// Draws sets in the order given.
pub fn draw(frame: &Frame, sets: &[Set]) -> Drawing {
    const ROW: f64 = 24.0;
    let mut parts: Vec<&str> = Vec::new();
    for part in sets.iter().flat_map(|set| &set.parts) {
        if !parts.contains(&part.as_str()) {
            parts.push(part);
        }
    }
    let column = (330.0 / rows(parts.len().max(1), 1.0)).clamp(12.0, 34.0);
    let matrix = rows(parts.len(), column);
    // The names stand upright where they would meet, which is nearly always.
    let longest = parts.iter().map(|part| PART.width(part)).fold(0.0, f64::max);
    let lying = longest <= column - 6.0;
    let head = if lying { 22.0 } else { longest.min(150.0) + 12.0 };
    let mut nodes = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let x = rows(at, column) + column / 2.0;
        let text = PART.fitted(part, head - 8.0);
        let name = if lying {
            PART.centred(x, head - 8.0, "ink", part)
        } else {
            let turned = format!("rotate(-90 {} {})", svg::number(x + 4.0), svg::number(head - 8.0));
            PART.at(x + 4.0, head - 8.0, "ink", &text).set("transform", turned)
        };
        nodes.push(if lying || text == *part { name } else { name.told(part) });
    }
    let number = |set: &Set| {
        let counted = Unit::Count.words(set.value)?;
        Some(match Unit::Share.words(set.value) {
            Some(share) => format!("{counted} ({share})"),
            None => counted,
        })
    };
    let widest = sets.iter().filter_map(number).map(|text| NUMBER.width(&text)).fold(70.0, f64::max);
    let (left, right) = (matrix + 16.0, INNER - widest - 8.0);
    let most = sets.iter().filter_map(|set| Unit::Count.amount(set.value)).fold(1.0, f64::max);
    let axis = scale::axis([0.0, most].into_iter(), 5.0, f64::INFINITY);
    let x = Scale::linear((0.0, axis.top), (left, right));
    let height = head + rows(sets.len(), ROW);
    for tick in axis.ticks {
        let at = x.place(tick);
        nodes.push(svg::line((at, head), (at, height)).class(if tick == 0.0 { "axis" } else { "grid" }));
        nodes.push(TICK.centred(at, head - 8.0, "soft scale", &Unit::Count.tick(tick)));
    }
    nodes.push(TICK.at(left - 6.0, head - 24.0, "soft", "clients"));
    for (at, set) in sets.iter().enumerate() {
        let y = head + rows(at, ROW);
        let middle = y + ROW / 2.0;
        if at % 2 == 0 {
            nodes.push(svg::rect(0.0, y, matrix, ROW).class("tint"));
        }
        let has = |part: &&str| set.parts.iter().any(|own| own == part);
        let places = |at: usize| (rows(at, column) + column / 2.0, middle);
        let of_set: Vec<usize> = (0..parts.len()).filter(|at| has(&parts[*at])).collect();
        if let (Some(first), Some(last)) = (of_set.first(), of_set.last()) {
            nodes.push(svg::line(places(*first), places(*last)).class("firm"));
        }
        if of_set.is_empty() {
            nodes.push(label(&set.name, TICK, matrix, |text| TICK.centred(matrix / 2.0, middle + 4.0, "ink", text)));
        }
        for part in (0..parts.len()).filter(|_| !of_set.is_empty()) {
            let is_in = of_set.contains(&part);
            let radius: f64 = if is_in { 5.0 } else { 2.0 };
            nodes.push(svg::circle(places(part), radius.min(column / 2.6)).class(if is_in { "ink" } else { "soft" }));
        }
        if let Some((amount, text)) = Unit::Count.amount(set.value).zip(number(set)) {
            let end = x.place(amount);
            let class = if set.value.status == Status::Unreliable { "line hollow" } else { "mark" };
            nodes.push(svg::rect(left, y + 4.0, end - left, ROW - 8.0).class(class));
            nodes.push(NUMBER.at(end + 6.0, middle + 4.0, "ink", &text));
            continue;
        }
        if super::is_hatched(set.value, Unit::Count) {
            nodes.push(frame.hatched(svg::rect(left, y + 4.0, right - left, ROW - 8.0)));
        }
        nodes.push(TICK.at(right + 6.0, middle + 4.0, "soft", withheld_words(set.value.status)));
    }
    let values: Vec<Value> = sets.iter().map(|set| set.value).collect();
    let legend = super::withheld_legend(&values, Unit::Count).collect();
    Drawing { nodes, height, legend, ..Drawing::default() }
}
