//! A map: places shaded in at most five steps of one colour, with their numbers where there is room.

use super::Unit;
use super::face::Face;
use super::frame::{Drawing, Entry, Frame, INNER, Mark};
use super::release::{Status, Value};
use super::scale::{class_of, classes};
use super::shapes::{Albers, Shape, bounds, centre, reach};
use super::svg::{self, Node};
use crate::words::{grouped, percent};

const NAME: Face = Face::plain(10.5);
const NUMBER: Face = Face::bold(10.5);
const SMALL: Face = Face::plain(8.5);

/// How high a map may be, and how little of the globe it shows at least, in degrees.
const HEIGHT: f64 = 620.0;
const LEAST: f64 = 1.2;

/// Of so many places, each has its name on the map where it has room. Of more, few would, and those by chance.
const NAMED: usize = 60;

/// The steps of the colour, and what is written over each: at 0, 1/4, 1/3, 1/2, 2/3, 3/4 and 1 of the way from light to dark,
/// so that classes of any number are equally far apart.
pub(super) const STEPS: [(&str, &str); 7] =
    [("c1", "on1"), ("c2", "on2"), ("c3", "on3"), ("c4", "on4"), ("c5", "on5"), ("c6", "on6"), ("c7", "on7")];
pub(super) const CHOICES: [&[usize]; 6] = [&[], &[3], &[1, 5], &[0, 3, 6], &[0, 2, 4, 6], &[0, 1, 3, 5, 6]];
/// The step where there are no classes.
const MIDDLE: (&str, &str) = STEPS[3];

/// A place of the map with its numbers.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Its borders.
    pub shape: &'a Shape,
    /// Its numbers; none when the table has no row for it.
    pub value: Option<Value>,
}

/// A shape on paper.
struct Drawn<'a> {
    place: &'a Place<'a>,
    rings: Vec<Vec<(f64, f64)>>,
}

/// The shapes on paper of the places that have a value, with their neighbours around them, and the height of all.
fn on_paper<'a>(places: &'a [Place<'a>]) -> (Vec<Drawn<'a>>, f64) {
    let points = || places.iter().flat_map(|place| place.shape.rings.iter().flatten().copied());
    let asked = places.iter().filter(|place| place.value.is_some());
    let asked = asked.flat_map(|place| place.shape.rings.iter().flatten().copied());
    let (mut low, mut high) = bounds(asked);
    let (all_low, all_high) = bounds(points());
    // A single place is not blown up to the size of a state, and neighbours show where it lies. Where little is left around
    // what is asked, all is shown.
    let area = |low: (f64, f64), high: (f64, f64)| (high.0 - low.0) * (high.1 - low.1);
    let is_part = area(low, high) < area(all_low, all_high) * 0.7;
    if !is_part {
        (low, high) = (all_low, all_high);
    }
    for (low, high) in [(&mut low.0, &mut high.0), (&mut low.1, &mut high.1)] {
        let width = *high - *low;
        let margin = if is_part { (width * 0.06).max((LEAST - width) / 2.0) } else { 0.0 };
        (*low, *high) = (*low - margin, *high + margin);
    }
    let albers = Albers::over(low, high);
    // The box of degrees is bent on paper: its edges at the middle of each side count, too.
    let middle = (f64::midpoint(low.0, high.0), f64::midpoint(low.1, high.1));
    let corners = [
        low,
        high,
        (low.0, high.1),
        (high.0, low.1),
        (middle.0, low.1),
        (middle.0, high.1),
        (low.0, middle.1),
        (high.0, middle.1),
    ];
    let (from, to) = if is_part {
        bounds(corners.into_iter().map(|corner| albers.place(corner)))
    } else {
        bounds(points().map(|point| albers.place(point)))
    };
    let scale = (INNER / (to.0 - from.0)).min(HEIGHT / (to.1 - from.1));
    let height = (to.1 - from.1) * scale;
    let shift = (INNER - (to.0 - from.0) * scale) / 2.0;
    let place = |point: &(f64, f64)| {
        let (x, y) = albers.place(*point);
        ((x - from.0) * scale + shift, (y - from.1) * scale)
    };
    let is_near = |rings: &[Vec<(f64, f64)>]| {
        let (low, high) = bounds(rings.iter().flatten().copied());
        high.0 >= 0.0 && low.0 <= INNER && high.1 >= 0.0 && low.1 <= height
    };
    let drawn = places.iter().map(|one| Drawn {
        place: one,
        rings: one.shape.rings.iter().map(|ring| ring.iter().map(place).collect()).collect(),
    });
    (drawn.filter(|drawn| is_near(&drawn.rings)).collect(), height)
}

fn is_reliable(value: &Value) -> bool {
    value.status != Status::Unreliable
}

/// Draws a map of the places that have a value, whatever it tells, with their neighbours around them.
pub fn draw(frame: &Frame, places: &[Place<'_>]) -> Drawing {
    let (drawn, height) = on_paper(places);
    let values: Vec<Value> = places.iter().filter_map(|place| place.value).collect();
    let told = values.iter().filter(|value| is_reliable(value)).filter_map(|value| Unit::Share.amount(*value));
    let limits = classes(told);
    let steps = CHOICES.get(limits.len().saturating_sub(1)).copied().unwrap_or_default();
    let step = |share: f64| steps.get(class_of(share, &limits)).map_or(MIDDLE, |at| STEPS[*at]);

    let clip = format!("{}-map", frame.id);
    let edge = Node::new("clipPath").set("id", &clip).with(svg::rect(0.0, -1.0, INNER, height + 2.0));
    // The borders of what is withheld or unreliable lie over those of its neighbours, or they would be cut.
    let [mut around, mut told_areas, mut withheld, mut hollow] =
        [svg::group(), svg::group(), svg::group(), svg::group()];
    let (mut names, mut has_bare) = (svg::group(), false);
    for one in &drawn {
        let way: String = one.rings.iter().map(|ring| svg::path(ring.iter().copied(), true)).collect();
        let area = Node::new("path").set("d", way).set("fill-rule", "evenodd");
        let label = one.place.shape.label.as_str();
        let Some(value) = one.place.value else {
            around.add(area.class("tint edge"));
            continue;
        };
        let amount = Unit::Share.amount(value);
        let area = area.told(&told_words(label, value));
        match amount {
            Some(_) if !is_reliable(&value) => {
                told_areas.add(area.clone().class("paper"));
                hollow.add(area.class("line hollow"));
            }
            Some(share) => told_areas.add(area.class(&format!("{} edge", step(share).0))),
            None if value.status == Status::NotApplicable => around.add(area.class("tint edge")),
            None => withheld.add(frame.hatched(area).class("hatch thin")),
        }
        let class = amount.filter(|_| is_reliable(&value)).map_or("ink edge halo", |share| step(share).1);
        let words = written(one, class, amount, values.len() <= NAMED);
        has_bare |= amount.is_some() && words.len() == 1;
        for node in words {
            names.add(node);
        }
    }

    let mut legend: Vec<Entry> = limits
        .windows(2)
        .zip(steps)
        .map(|(bounds, step)| Entry { mark: Mark::Field(STEPS[*step].0), text: class_words(bounds[0], bounds[1]) })
        .collect();
    legend.extend(super::withheld_legend(&values, Unit::Share));
    legend.extend(grey(&drawn, &values));
    let mut remarks = Vec::new();
    if limits.len() > 2 {
        remarks.push(
            "A class begins at its lower bound and ends below its upper one; the last one includes it.".to_owned(),
        );
    }
    if has_bare {
        remarks.push("Numbers without a name are percent.".to_owned());
    }
    let land = svg::group()
        .set("clip-path", format!("url(#{clip})"))
        .with(around)
        .with(told_areas)
        .with(withheld)
        .with(hollow);
    let nodes = vec![Node::new("defs").with(edge), land, names];
    Drawing { nodes, height, legend, remarks, ..Drawing::default() }
}

/// What is grey.
fn grey(drawn: &[Drawn<'_>], values: &[Value]) -> Option<Entry> {
    let is_around = drawn.iter().any(|one| one.place.value.is_none());
    let is_empty = values.iter().any(|value| value.status == Status::NotApplicable);
    let text = match (is_around, is_empty) {
        (true, true) => "no clients, or not in the table",
        (true, false) => "not in the table",
        (false, true) => "no clients",
        (false, false) => return None,
    };
    Some(Entry { mark: Mark::Field("tint"), text: text.to_owned() })
}

fn class_words(from: u32, to: u32) -> String {
    format!("{from} to {to}%")
}

/// What appears when somebody points at a place.
fn told_words(label: &str, value: Value) -> String {
    match (Unit::Share.words(value), value.denominator) {
        (Some(rate), denominator) => {
            let of = denominator.map(|denominator| format!(" of {}", grouped(denominator))).unwrap_or_default();
            let unreliable = if value.status == Status::Unreliable { ", unreliable" } else { "" };
            format!("{label}: {rate}{of}{unreliable}")
        }
        _ => format!("{label}: {}", super::withheld_words(value.status)),
    }
}

/// Name and rate, or the rate alone, if they have room in the largest part of the place.
fn written(drawn: &Drawn<'_>, class: &str, amount: Option<f64>, named: bool) -> Vec<Node> {
    let largest = drawn.rings.iter().max_by(|a, b| centre(a).1.total_cmp(&centre(b).1));
    let Some(ring) = largest else { return Vec::new() };
    let (x, y) = centre(ring).0;
    // Room for words whose top and bottom lie so far from the centre.
    let room = |top: f64, bottom: f64| {
        let (upper, lower) = (reach(ring, (x, y + top)), reach(ring, (x, y + bottom)));
        2.0 * upper.0.min(upper.1).min(lower.0).min(lower.1) - 3.0
    };
    let name = drawn.place.shape.label.as_str();
    let inside = |x: f64| (0.0..=INNER).contains(&x);
    if !inside(x) {
        return Vec::new();
    }
    match amount.map(percent) {
        Some(rate) if named && room(-12.0, 14.0) >= NAME.width(name).max(NUMBER.width(&rate)) => {
            vec![NAME.centred(x, y - 1.5, class, name), NUMBER.centred(x, y + 10.5, class, &rate)]
        }
        None if named && room(-6.0, 6.0) >= NAME.width(name) => vec![NAME.centred(x, y + 3.5, class, name)],
        Some(rate) => {
            let bare = rate.trim_end_matches('%');
            let fits = room(-4.0, 4.0) >= SMALL.width(bare);
            if fits { vec![SMALL.centred(x, y + 3.0, class, bare)] } else { Vec::new() }
        }
        None => Vec::new(),
    }
}
