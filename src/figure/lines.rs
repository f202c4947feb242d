//! Lines over time or age, one small panel for each group, the others faint behind it: so every group has its name at
//! its own line, and nothing is told by colour.

use super::Unit;
use super::frame::{Drawing, Entry, Frame, INNER, Mark, rows};
use super::release::Value;
use super::scale::{self, Scale};
use super::svg::{self, Node};
use super::words::{Face, label};
use crate::figures::grouped;

const HEADING: Face = Face::bold(11.5);
const HEADING_LINE: f64 = 14.0;
const NUMBER: Face = Face::bold(11.0);
const TICK: Face = Face::plain(10.0);
const SMALL: Face = Face::plain(9.0);

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its group; empty when there is one line.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Where it stands, in the unit of the ticks.
    pub x: f64,
    /// Its numbers. A withheld one is a gap in the line, and hatched.
    pub value: Value,
    /// Those who were still followed.
    pub at_risk: Option<u64>,
}

/// How lines are drawn.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Places with names, from left to right.
    pub ticks: Vec<(f64, String)>,
    /// The name of the axis.
    pub title: String,
    /// How far apart two neighbouring points are.
    pub apart: f64,
    /// Whether a value holds until the next one, as in a curve by age, and the axis begins at 0.
    pub stepped: bool,
}

/// The place of a panel and its scales.
struct Panel<'a> {
    frame: &'a Frame,
    axis: &'a Axis,
    unit: Unit,
    x: Scale,
    y: Scale,
    low: f64,
    top: f64,
    width: f64,
    height: f64,
    /// Room for the numbers of the vertical axis.
    left: f64,
}

/// Draws lines.
pub fn draw(frame: &Frame, series: &[Series], axis: &Axis, unit: Unit) -> Drawing {
    let (columns, height): (usize, f64) = match series.len() {
        0 | 1 => (1, 250.0),
        2..=4 => (2, 160.0),
        _ => (3, 120.0),
    };
    let gap = 22.0;
    let width = (INNER - rows(columns - 1, gap)) / rows(columns, 1.0);
    let values = || series.iter().flat_map(|series| series.points.iter().map(|point| point.value));
    let all = values().flat_map(|value| unit.lowest(value).into_iter().chain(unit.highest(value)));
    // What grows from nothing, and what is a number of things, is drawn from 0.
    let zero = (axis.stepped || unit == Unit::Count).then_some(0.0);
    let all: Vec<f64> = all.chain(zero).collect();
    let scale::Axis { low, top, ticks } = scale::axis(all.into_iter(), unit.span(), unit.most());
    let left = ticks.iter().map(|tick| TICK.width(&unit.tick(*tick))).fold(0.0, f64::max) + 8.0;
    let xs = || series.iter().flat_map(|series| series.points.iter().map(|point| point.x));
    let ends = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    let margin = axis.apart / 2.0;
    let (from, to) = if axis.stepped { (ends.0, ends.1 + axis.apart) } else { (ends.0 - margin, ends.1 + margin) };
    let panel = Panel {
        frame,
        axis,
        unit,
        x: Scale::linear((from, to), (left, width - 4.0)),
        y: Scale::linear((low, top), (height, 0.0)),
        low,
        top,
        width,
        height,
        left,
    };
    let has_heading = series.iter().any(|series| !series.name.is_empty());
    let has_risk =
        columns == 1 && series.iter().any(|series| series.points.iter().any(|point| point.at_risk.is_some()));
    let headings: Vec<Vec<String>> = series.iter().map(|one| heading(&one.name, width)).collect();
    let above = match headings.iter().map(Vec::len).max() {
        Some(lines) if has_heading => 22.0 + rows(lines.saturating_sub(1), HEADING_LINE),
        _ => 10.0,
    };
    let below = 34.0 + if has_risk { 16.0 } else { 0.0 };
    let mut nodes = Vec::new();
    for (at, one) in series.iter().enumerate() {
        let (column, row) = (at % columns, at / columns);
        let place = (rows(column, width + gap), rows(row, above + height + below + 6.0) + above);
        let mut drawn = svg::moved(place.0, place.1);
        if has_heading {
            let lines = &headings[at];
            let mut name = svg::group();
            for (line, text) in lines.iter().enumerate() {
                let below = rows(lines.len() - 1 - line, HEADING_LINE);
                name.add(HEADING.at(0.0, -9.0 - below, "ink", text));
            }
            drawn.add(if lines.join(" ") == one.name { name } else { name.told(&one.name) });
        }
        for node in panel.around(&ticks).into_iter().chain(panel.gaps(one)) {
            drawn.add(node);
        }
        for other in series.iter().enumerate().filter(|(other, _)| *other != at) {
            drawn.add(Node::new("path").class("faint").set("d", panel.way(other.1)));
        }
        for node in panel.line(one, columns == 1) {
            drawn.add(node);
        }
        if has_risk {
            for node in panel.at_risk(one) {
                drawn.add(node);
            }
        }
        nodes.push(drawn);
    }
    let lines = series.len().div_ceil(columns);
    let mut legend = Vec::new();
    if values().any(|value| value.interval.is_some()) && unit == Unit::Share {
        legend.push(Entry { mark: Mark::Band, text: "confidence interval".to_owned() });
    }
    if series.len() > 1 {
        legend.push(Entry { mark: Mark::Line("faint"), text: "the other groups".to_owned() });
    }
    legend.extend(super::withheld_legend(&values().collect::<Vec<_>>(), unit));
    let remarks = if low > 0.0 { vec!["The vertical axis does not begin at zero.".to_owned()] } else { Vec::new() };
    Drawing { nodes, height: rows(lines, above + height + below + 6.0), legend, remarks, ..Drawing::default() }
}

/// The name of a panel in at most two lines, each cut in its middle where there is no room.
fn heading(name: &str, room: f64) -> Vec<String> {
    let (head, tail) = HEADING.broken(name, room);
    let lines = [head, tail].into_iter().filter(|line| !line.is_empty());
    lines.map(|line| HEADING.shortened(&line, room)).collect()
}

impl Panel<'_> {
    /// Grid, numbers at the axes and the name of the horizontal one.
    fn around(&self, ticks: &[f64]) -> Vec<Node> {
        let mut nodes = Vec::new();
        for tick in ticks {
            let y = self.y.place(*tick);
            let class = if (*tick - self.low).abs() < 1e-9 { "axis" } else { "grid" };
            nodes.push(svg::line((self.left, y), (self.width, y)).class(class));
            nodes.push(TICK.ending(self.left - 6.0, y + 3.5, "soft scale", &self.unit.tick(*tick)));
        }
        let mut free = f64::NEG_INFINITY;
        for (x, name) in &self.axis.ticks {
            let (at, half) = (self.x.place(*x), TICK.width(name) / 2.0);
            let at = at.min(self.width - half).max(self.left + half - 10.0);
            if at - half < free {
                continue;
            }
            free = at + half + 8.0;
            let x = self.x.place(*x);
            nodes.push(svg::line((x, self.height), (x, self.height + 4.0)).class("axis"));
            nodes.push(TICK.centred(at, self.height + 15.0, "soft scale", name));
        }
        let middle = f64::midpoint(self.left, self.width);
        let room = self.width - self.left;
        nodes.push(label(&self.axis.title, TICK, room, |text| TICK.centred(middle, self.height + 28.0, "soft", text)));
        nodes
    }

    /// A field over the whole height where a value is withheld: it may be anywhere.
    fn gaps(&self, series: &Series) -> Vec<Node> {
        let withheld = series.points.iter().filter(|point| super::is_hatched(point.value, self.unit));
        let field = |point: &Point| {
            let (from, to) = if self.axis.stepped {
                (point.x, point.x + self.axis.apart)
            } else {
                (point.x - self.axis.apart * 0.4, point.x + self.axis.apart * 0.4)
            };
            let (from, to) = (self.x.place(from), self.x.place(to));
            self.frame.hatched(svg::rect(from, 0.0, to - from, self.height))
        };
        withheld.map(field).collect()
    }

    /// Runs of points without a gap.
    fn runs<'s>(&self, series: &'s Series) -> Vec<&'s [Point]> {
        let told = |point: &Point| self.unit.amount(point.value).is_some();
        // Of a curve, a row is about all ages since the row before.
        let near = |a: &Point, b: &Point| self.axis.stepped || b.x - a.x <= self.axis.apart * 1.01;
        let next = |a: &Point, b: &Point| told(a) == told(b) && near(a, b);
        series.points.chunk_by(next).filter(|run| run.first().is_some_and(told)).collect()
    }

    /// The places of a run, of one number of its values.
    fn places(&self, run: &[Point], number: impl Fn(Value) -> Option<f64>) -> Vec<(f64, f64)> {
        let mut places = Vec::new();
        for point in run {
            let Some(amount) = number(point.value) else { continue };
            let y = self.y.place(amount.clamp(self.low, self.top));
            places.push((self.x.place(point.x), y));
            if self.axis.stepped {
                places.push((self.x.place(point.x + self.axis.apart), y));
            }
        }
        places
    }

    fn way(&self, series: &Series) -> String {
        let runs = self.runs(series);
        runs.iter().map(|run| svg::path(self.places(run, |value| self.unit.amount(value)), false)).collect()
    }

    /// Band, line, points, and the numbers of the first and the last point, or of all where they have room.
    fn line(&self, series: &Series, is_wide: bool) -> Vec<Node> {
        let mut nodes = Vec::new();
        for run in self.runs(series) {
            let mut around = self.places(run, |value| self.unit.lowest(value));
            let mut upper = self.places(run, |value| self.unit.highest(value));
            upper.reverse();
            around.extend(upper);
            if self.unit == Unit::Share && around.len() > 2 {
                nodes.push(Node::new("path").class("band").set("d", svg::path(around, true)));
            }
        }
        nodes.push(Node::new("path").class("line").set("d", self.way(series)));
        let told: Vec<&Point> = series.points.iter().filter(|point| self.unit.amount(point.value).is_some()).collect();
        let show_all = is_wide && !self.axis.stepped && told.len() <= 12;
        let mut free = f64::NEG_INFINITY;
        for (at, point) in told.iter().enumerate() {
            let Some(amount) = self.unit.amount(point.value) else { continue };
            let is_last = at + 1 == told.len();
            let end = if self.axis.stepped { point.x + self.axis.apart } else { point.x };
            let place = (self.x.place(end), self.y.place(amount));
            if !self.axis.stepped {
                nodes.push(svg::circle(place, 2.8).class("mark"));
            }
            if !(is_last || show_all || (at == 0 && !self.axis.stepped)) {
                continue;
            }
            let text = self.unit.words(point.value).unwrap_or_default();
            let half = NUMBER.width(&text) / 2.0;
            let x = place.0.clamp(self.left + half, self.width - half);
            if x - half < free {
                continue;
            }
            free = x + half + 6.0;
            // Above the interval, or below it where there is no room above.
            let high = self.y.place(self.unit.highest(point.value).unwrap_or(amount));
            let low = self.y.place(self.unit.lowest(point.value).unwrap_or(amount));
            let y = if high > 14.0 { high - 6.0 } else { (low + 15.0).min(self.height - 4.0) };
            nodes.push(NUMBER.centred(x, y, "ink edge halo", &text));
        }
        nodes
    }

    /// How many were still followed, under the ticks.
    fn at_risk(&self, series: &Series) -> Vec<Node> {
        let y = self.height + 46.0;
        let mut nodes = vec![SMALL.at(0.0, y - 11.0, "soft", "followed")];
        let mut free = SMALL.width("followed") + 6.0;
        for (x, _) in &self.axis.ticks {
            let point = series.points.iter().find(|point| (point.x - x).abs() < 1e-9);
            let Some(at_risk) = point.and_then(|point| point.at_risk) else { continue };
            let text = grouped(at_risk);
            let half = SMALL.width(&text) / 2.0;
            let at = self.x.place(*x).min(self.width - half).max(half);
            if at - half >= free || nodes.len() == 1 {
                nodes.push(SMALL.centred(at, y, "soft", &text));
                free = at + half + 6.0;
            }
        }
        nodes
    }
}
