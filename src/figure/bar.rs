//! Horizontal bars, one for each group, with intervals and the numbers beside them.

use super::face::{Face, label};
use super::frame::{Drawing, Entry, Frame, INNER, Mark, rows};
use super::release::{Status, Value};
use super::scale::{self, Scale};
use super::svg;
use super::{Unit, withheld_words};
use crate::words::grouped;

const LABEL: Face = Face::plain(11.5);
/// The height of a row whose label has two lines.
const TALL: f64 = 28.0;
const TWO_LINES: Face = Face::plain(9.5);
const HEADING: Face = Face::bold(11.5);
const NUMBER: Face = Face::bold(11.5);
const SIDE: Face = Face::plain(10.5);
const TICK: Face = Face::plain(10.5);

/// A row of the figure.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What group it is.
    pub label: String,
    /// Its numbers.
    pub value: Value,
}

/// Bars under a heading, which may be empty.
#[derive(Clone, Debug)]
pub struct Group {
    /// What its bars have in common.
    pub heading: String,
    /// The bars, in the order in which they are drawn.
    pub bars: Vec<Bar>,
}

/// Draws bars. `unit` says what they are as long as.
pub fn draw(frame: &Frame, groups: &[Group], unit: Unit) -> Drawing {
    let bars = || groups.iter().flat_map(|group| &group.bars);
    let count = bars().count();
    // Columns: labels, bars with their numbers behind them, denominators.
    let widest = bars().map(|bar| LABEL.width(&bar.label)).fold(40.0, f64::max);
    let labels = widest.min(210.0);
    // Many rows are close together; a label of two lines needs more room.
    let apart = match count {
        61.. => 17.0,
        _ if widest > labels => TALL,
        _ => 23.0,
    };
    let thick = apart.min(23.0) - 8.0;
    let down = (apart - thick) / 2.0;
    let side = if unit == Unit::Share { 78.0 } else { 70.0 };
    let number = bars().filter_map(|bar| unit.words(bar.value)).map(|text| NUMBER.width(&text)).fold(30.0, f64::max);
    let (left, right) = (labels + 10.0, INNER - side - number - 8.0);
    let ends = bars().filter_map(|bar| unit.highest(bar.value)).chain([0.0]).collect::<Vec<_>>();
    let scale::Axis { top, ticks, .. } = scale::axis(ends.into_iter(), unit.span(), unit.most());
    let place = Scale::linear((0.0, top), (left, right));

    let mut nodes = Vec::new();
    let headings = groups.iter().filter(|group| !group.heading.is_empty()).count();
    let height = 20.0 + rows(count, apart) + rows(headings, apart + 4.0) + 4.0;
    for tick in ticks {
        let x = place.place(tick);
        nodes.push(svg::line((x, 20.0), (x, height)).class(if tick == 0.0 { "axis" } else { "grid" }));
        nodes.push(TICK.centred(x, 12.0, "soft scale", &unit.tick(tick)));
    }
    if unit == Unit::Share {
        nodes.push(TICK.ending(INNER, 12.0, "soft", "denominator"));
    }
    let mut y = 20.0;
    for group in groups {
        if !group.heading.is_empty() {
            y += apart + 4.0;
            nodes.push(label(&group.heading, HEADING, INNER, |text| HEADING.at(0.0, y - 6.0, "ink", text)));
        }
        for bar in &group.bars {
            let baseline = y + apart / 2.0 + 4.0;
            nodes.push(name(&bar.label, labels, baseline, apart >= TALL));
            let rect = |to: f64| svg::rect(left, y + down, to - left, thick);
            let value = bar.value;
            let told = unit.amount(value);
            let side_words = match (told, value.denominator) {
                (None, _) => withheld_words(value.status).to_owned(),
                (Some(_), Some(denominator)) if unit == Unit::Share => grouped(denominator),
                _ => String::new(),
            };
            nodes.push(SIDE.ending(INNER, baseline, "soft", &side_words));
            match told {
                Some(amount) => {
                    let class = if value.status == Status::Unreliable { "line hollow" } else { "mark" };
                    nodes.push(rect(place.place(amount)).class(class));
                    let mut end = place.place(amount);
                    if let Some((low, high)) = value.interval.filter(|_| unit == Unit::Share) {
                        let middle = y + apart / 2.0;
                        end = end.max(place.place(high));
                        nodes.push(interval(place.place(low), place.place(high), middle));
                    }
                    nodes.push(NUMBER.at(end + 6.0, baseline, "ink edge halo", &unit.words(value).unwrap_or_default()));
                }
                None if value.status == Status::NotApplicable => {}
                None => nodes.push(frame.hatched(rect(right))),
            }
            y += apart;
        }
    }
    Drawing {
        nodes,
        height,
        legend: legend(&bars().map(|bar| bar.value).collect::<Vec<_>>(), unit),
        ..Drawing::default()
    }
}

/// The name of a bar, ending at `room`: in two lines where one is too short, if they have room.
fn name(text: &str, room: f64, baseline: f64, is_tall: bool) -> svg::Node {
    let (head, tail) = TWO_LINES.broken(text, room);
    if LABEL.width(text) <= room || !is_tall || tail.is_empty() {
        return label(text, LABEL, room, |text| LABEL.ending(room, baseline, "ink", text));
    }
    let end = TWO_LINES.shortened(&tail, room);
    let start = TWO_LINES.shortened(&head, room);
    let lines = svg::group().with(TWO_LINES.ending(room, baseline - 5.5, "ink", &start)).with(TWO_LINES.ending(
        room,
        baseline + 5.5,
        "ink",
        &end,
    ));
    if end == tail && start == head { lines } else { lines.told(text) }
}

/// An interval, dark where it is over paper and over a bar.
fn interval(low: f64, high: f64, y: f64) -> svg::Node {
    svg::group()
        .with(svg::line((low, y), (high, y)).class("edge halo"))
        .with(svg::line((low, y), (high, y)).class("firm"))
}

fn legend(values: &[Value], unit: Unit) -> Vec<Entry> {
    let has_interval = unit == Unit::Share && values.iter().any(|value| value.interval.is_some());
    let interval = has_interval.then(|| Entry { mark: Mark::Interval, text: "confidence interval".to_owned() });
    interval.into_iter().chain(super::withheld_legend(values, unit)).collect()
}
