//! Lines over time or age, one small panel for each group, the others faint behind it: so every group has its name at
//! its own line, and nothing is told by colour.

use super::Unit;
use super::face::{Face, label};
use super::frame::{Drawing, Entry, Frame, INNER, Mark, rows};
use super::release::{Status, Value};
use super::scale::{self, Scale};
use super::svg::{self, Node};
use crate::words::grouped;

const HEADING: Face = Face::bold(11.5);
const HEADING_LINE: f64 = 14.0;
const NUMBER: Face = Face::bold(11.0);
const TICK: Face = Face::plain(10.0);
const SMALL: Face = Face::plain(9.0);
/// Points that are closer together are no marks, but one line.
const LEAST_APART: f64 = 9.0;

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
    /// Whether it is of a period that the cohort cuts off.
    pub is_cut: bool,
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
    /// Whether it is a curve by age: it rises from 0, and a value holds until the next one.
    pub stepped: bool,
    /// What is said of the periods that the cohort cuts off.
    pub cut: Vec<String>,
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
    let (from, to) = if axis.stepped { ends } else { (ends.0 - margin, ends.1 + margin) };
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
            drawn.add(Node::new("path").class("faint").set("d", panel.way(&panel.runs(other.1))));
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
    legend.extend(axis.cut.iter().map(|text| Entry { mark: Mark::Ring, text: text.clone() }));
    legend.extend(super::withheld_legend(&values().collect::<Vec<_>>(), unit));
    let is_hatched = |point: &Point| super::is_hatched(point.value, unit);
    let is_pooled =
        |pair: &[Point]| !is_hatched(&pair[0]) && !is_hatched(&pair[1]) && !panel.is_joined(&pair[0], &pair[1]);
    if axis.stepped && series.iter().any(|one| one.points.windows(2).any(is_pooled)) {
        let text = "months of age taken together: the curve runs somewhere within the stripes".to_owned();
        legend.push(Entry { mark: Mark::Hatched, text });
    }
    let remarks = if low > 0.0 { vec!["The vertical axis does not begin at zero.".to_owned()] } else { Vec::new() };
    Drawing { nodes, height: rows(lines, above + height + below + 6.0), legend, remarks, ..Drawing::default() }
}

/// The name of a panel in at most two lines, each cut in its middle where there is no room.
fn heading(name: &str, room: f64) -> Vec<String> {
    let (head, tail) = HEADING.broken(name, room);
    let lines = [head, tail].into_iter().filter(|line| !line.is_empty());
    lines.map(|line| HEADING.shortened(&line, room)).collect()
}

/// A point: a disc, a ring where its period is cut off, dashed where it is unreliable.
fn mark(point: &Point, place: (f64, f64)) -> Vec<Node> {
    if point.value.status == Status::Unreliable {
        return vec![svg::circle(place, 4.0).class("paper"), svg::circle(place, 4.0).class("line hollow")];
    }
    let disc = svg::circle(place, if point.is_cut { 4.0 } else { 2.8 }).class("mark");
    let hole = point.is_cut.then(|| svg::circle(place, 2.2).class("paper"));
    [disc].into_iter().chain(hole).collect()
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
        for (x, name) in self.ticks() {
            nodes.push(svg::line((self.x.place(*x), self.height), (self.x.place(*x), self.height + 4.0)).class("axis"));
            nodes.push(TICK.centred(self.middle(*x, name), self.height + 15.0, "soft scale", name));
        }
        let middle = f64::midpoint(self.left, self.width);
        let room = self.width - self.left;
        // Of a title that is too long, what follows a comma explains.
        let whole = self.axis.title.as_str();
        let title = if TICK.width(whole) > room { whole.split(',').next().unwrap_or(whole) } else { whole };
        nodes.push(label(title, TICK, room, |text| TICK.centred(middle, self.height + 28.0, "soft", text)));
        nodes
    }

    /// The middle of the name of a tick, which stays within the panel.
    fn middle(&self, x: f64, name: &str) -> f64 {
        let half = TICK.width(name) / 2.0;
        self.x.place(x).min(self.width - half).max(self.left + half - 10.0)
    }

    /// The ticks whose names have room: all, or else those at which a year begins, or every second of them, and so on.
    fn ticks(&self) -> Vec<&(f64, String)> {
        let all: Vec<&(f64, String)> = self.axis.ticks.iter().collect();
        let is_begin = |name: &str| name.ends_with("-01") || name.ends_with("-Q1");
        let begins: Vec<&(f64, String)> = all.iter().copied().filter(|(_, name)| is_begin(name)).collect();
        let has_room = |ticks: &[&(f64, String)]| {
            let end = |(x, name): &(f64, String), sign: f64| self.middle(*x, name) + sign * TICK.width(name) / 2.0;
            ticks.windows(2).all(|pair| end(pair[0], 1.0) + 8.0 <= end(pair[1], -1.0))
        };
        if has_room(&all) {
            return all;
        }
        let some = if begins.len() > 1 { begins } else { all };
        let every = |nth: usize| some.iter().copied().step_by(nth).collect::<Vec<_>>();
        (1..=some.len()).map(every).find(|ticks| has_room(ticks)).unwrap_or_default()
    }

    /// Stripes over the room in which a value lies that is not told. Of a line over time that is the whole height; a curve by
    /// age only rises, so it runs between what is told before and after.
    fn gaps(&self, series: &Series) -> Vec<Node> {
        let field = |from: f64, to: f64, low: f64, high: f64| {
            let (from, to) = (self.x.place(from), self.x.place(to));
            self.frame.hatched(svg::rect(from, high, to - from, low - high))
        };
        if !self.axis.stepped {
            let withheld = series.points.iter().filter(|point| super::is_hatched(point.value, self.unit));
            let half = self.axis.apart * 0.4;
            return withheld.map(|point| field(point.x - half, point.x + half, self.height, 0.0)).collect();
        }
        let told = self.told(series);
        let between = told.windows(2).filter(|pair| !self.is_joined(&pair[0], &pair[1]));
        let mut fields: Vec<Node> =
            between.map(|pair| field(pair[0].x, pair[1].x, self.level(&pair[0]), self.level(&pair[1]))).collect();
        let last = series.points.last().filter(|point| super::is_hatched(point.value, self.unit));
        if let Some(last) = last {
            let (from, low) = told.last().map_or((f64::MIN, self.height), |point| (point.x, self.level(point)));
            fields.push(field(from, last.x, low, 0.0));
        }
        fields
    }

    /// The points that have a number.
    fn told(&self, series: &Series) -> Vec<Point> {
        series.points.iter().copied().filter(|point| self.unit.amount(point.value).is_some()).collect()
    }

    /// How high a point lies.
    fn level(&self, point: &Point) -> f64 {
        self.y.place(self.unit.amount(point.value).unwrap_or(self.low).clamp(self.low, self.top))
    }

    /// Whether a line goes from a point to the next one that is told: where nothing is between them, and where a curve rises by
    /// so little that it is hidden by its own line.
    fn is_joined(&self, a: &Point, b: &Point) -> bool {
        const LINE: f64 = 2.5;
        b.x - a.x <= self.axis.apart * 1.01 || (self.axis.stepped && self.level(a) - self.level(b) <= LINE)
    }

    /// Runs of points without a gap.
    fn runs(&self, series: &Series) -> Vec<Vec<Point>> {
        self.told(series).chunk_by(|a, b| self.is_joined(a, b)).map(<[Point]>::to_vec).collect()
    }

    /// The places of a run, of one number of its values. A curve holds its value until the next age.
    fn places(&self, run: &[Point], number: impl Fn(Value) -> Option<f64>) -> Vec<(f64, f64)> {
        let mut places = Vec::new();
        for (at, point) in run.iter().enumerate() {
            let Some(amount) = number(point.value) else { continue };
            let y = self.y.place(amount.clamp(self.low, self.top));
            places.push((self.x.place(point.x), y));
            if let Some(next) = run.get(at + 1).filter(|_| self.axis.stepped) {
                places.push((self.x.place(next.x), y));
            }
        }
        places
    }

    fn way(&self, runs: &[Vec<Point>]) -> String {
        runs.iter().map(|run| svg::path(self.places(run, |value| self.unit.amount(value)), false)).collect()
    }

    /// Band, line, points, and the numbers of the first and the last point, or of all where they have room.
    fn line(&self, series: &Series, is_wide: bool) -> Vec<Node> {
        let mut nodes = Vec::new();
        let runs = self.runs(series);
        for run in &runs {
            let mut around = self.places(run, |value| self.unit.lowest(value));
            let mut upper = self.places(run, |value| self.unit.highest(value));
            upper.reverse();
            around.extend(upper);
            if self.unit == Unit::Share && around.len() > 2 {
                nodes.push(Node::new("path").class("band").set("d", svg::path(around, true)));
            }
        }
        // The way to a period that is not whole is dashed.
        let steps: Vec<Vec<Point>> = runs
            .iter()
            .flat_map(|run| run.windows(2).filter(|step| step.iter().any(|point| point.is_cut)))
            .map(<[Point]>::to_vec)
            .collect();
        let whole: Vec<Vec<Point>> =
            runs.iter().flat_map(|run| run.chunk_by(|a, b| !a.is_cut && !b.is_cut)).map(<[Point]>::to_vec).collect();
        nodes.push(Node::new("path").class("line").set("d", self.way(&whole)));
        if !steps.is_empty() {
            nodes.push(Node::new("path").class("line outer").set("d", self.way(&steps)));
        }
        let told = self.told(series);
        let is_dense = rows(told.len(), LEAST_APART) > self.width - self.left;
        let show_all = is_wide && !self.axis.stepped && told.len() <= 12;
        let is_alone = |point: &Point| runs.iter().any(|run| run.len() == 1 && (run[0].x - point.x).abs() < 1e-9);
        let mut free = f64::NEG_INFINITY;
        for (at, point) in told.iter().enumerate() {
            let Some(amount) = self.unit.amount(point.value) else { continue };
            let (is_first, is_last) = (at == 0, at + 1 == told.len());
            let place = (self.x.place(point.x), self.y.place(amount));
            let is_named = is_last || show_all || (is_first && !self.axis.stepped);
            let is_plain = point.value.status != Status::Unreliable && !point.is_cut;
            if !self.axis.stepped && (!is_dense || is_named || !is_plain) || is_alone(point) {
                nodes.extend(mark(point, place));
            }
            if !is_named {
                continue;
            }
            let text = self.unit.words(point.value).unwrap_or_default();
            let half = NUMBER.width(&text) / 2.0;
            // Behind the end of a curve, where there is room.
            if self.axis.stepped && place.0 + 2.0 * half + 6.0 <= self.width {
                nodes.push(NUMBER.at(place.0 + 6.0, place.1.max(9.0) + 4.0, "ink edge halo", &text));
                continue;
            }
            let x = place.0.clamp(self.left + half, self.width - half);
            if x - half < free {
                continue;
            }
            free = x + half + 6.0;
            // Above the interval, or below it where there is no room above, or the line comes from there. A point alone has no
            // band.
            let end = |end: Option<f64>| end.filter(|_| !is_alone(point)).map_or(place.1, |end| self.y.place(end));
            let (low, high) = (end(self.unit.lowest(point.value)), end(self.unit.highest(point.value)));
            let from_above = is_last && at > 0 && self.level(&told[at - 1]) < high - 8.0;
            let below = if low + 15.0 < self.height { low + 15.0 } else { place.1 + 17.0 };
            let y = if high > 14.0 && !from_above { high - 6.0 } else { below };
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
