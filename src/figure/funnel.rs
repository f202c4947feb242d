//! Funnel plot: the rate of each organization over its size, between limits that chance seldom leaves.
//!
//! Spiegelhalter DJ (2005), Funnel plots for comparing institutional performance, Statistics in Medicine 24:1185-1202.

use super::face::{Face, whole};
use super::frame::{Drawing, Entry, Frame, INNER, Mark};
use super::scale::{self, Scale};
use super::svg::{self, Node};
use crate::statistics::Limits;
use crate::words::{grouped, percent};

const TICK: Face = Face::plain(10.5);
const NAME: Face = Face::plain(10.5);

/// An organization whose numbers are told.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Its name.
    pub name: String,
    /// Clients in the denominator, at least 1.
    pub denominator: u64,
    /// 0 to 1.
    pub rate: f64,
    /// Where it lies.
    pub side: Side,
}

/// Where an organization lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above the outer limits.
    Above,
    /// Within them.
    Within,
    /// Below them.
    Below,
}

/// The limits of a funnel at the sizes at which they are drawn, which rise.
#[derive(Clone, Debug)]
pub struct Funnel {
    /// The rate around which it lies, 0 to 1.
    pub target: f64,
    /// Denominator and limits there.
    pub limits: Vec<(u64, Limits)>,
    /// Whether they are widened, because organizations differ by more than chance explains.
    pub widened: bool,
}

/// The sizes at which limits are drawn: enough of them for a smooth line.
pub fn sizes(least: u64, most: u64) -> Vec<u64> {
    const COUNT: u32 = 80;
    let (least, most) = (least.max(1), most.max(least.max(1) + 1));
    let ratio = to_f64(most) / to_f64(least);
    let mut sizes: Vec<u64> =
        (0..=COUNT).map(|at| whole(to_f64(least) * ratio.powf(f64::from(at) / f64::from(COUNT)))).collect();
    sizes.dedup();
    sizes
}

/// Draws organizations in their funnel. `withheld`: whether there are others whose numbers are not told.
pub fn draw(frame: &Frame, organizations: &[Organization], funnel: &Funnel, withheld: bool) -> Drawing {
    let (height, rail) = (330.0, if withheld { 22.0 } else { 0.0 });
    let sizes = || organizations.iter().map(|organization| organization.denominator);
    let (least, most) = (sizes().min().unwrap_or(1).max(1), sizes().max().unwrap_or(1).max(2));
    let inside = |share: &f64| (0.0..=1.0).contains(share);
    let shares = organizations.iter().map(|organization| organization.rate).chain([funnel.target]).filter(inside);
    let spread: Vec<f64> = shares.collect();
    let scale::Axis { low, top, ticks } = scale::axis(spread.iter().copied(), 0.3, 1.0);
    let left = ticks.iter().map(|tick| TICK.width(&tick_words(*tick))).fold(0.0, f64::max) + 8.0;
    let right = INNER - 92.0;
    let from = left + rail + if withheld { 8.0 } else { 0.0 };
    let is_wide = most / least >= 20;
    let x = size_scale(least, most, (from, right), is_wide);
    let y = Scale::linear((low, top), (height, 0.0));

    let mut nodes = Vec::new();
    for tick in &ticks {
        let at = y.place(*tick);
        nodes.push(svg::line((left, at), (right, at)).class(if *tick <= low + 1e-9 { "axis" } else { "grid" }));
        nodes.push(TICK.ending(left - 6.0, at + 3.5, "soft scale", &tick_words(*tick)));
    }
    let sizes = if is_wide {
        scale::magnitudes(to_f64(least), to_f64(most))
    } else {
        scale::ticks(to_f64(least), to_f64(most), scale::step(to_f64(most - least), 6.0))
    };
    let mut free = from - 30.0;
    for size in sizes {
        let (at, text) = (x.place(size), grouped(whole(size)));
        let half = TICK.width(&text) / 2.0;
        nodes.push(svg::line((at, height), (at, height + 4.0)).class("axis"));
        if at - half > free {
            nodes.push(TICK.centred(at, height + 16.0, "soft scale", &text));
            free = at + half + 8.0;
        }
    }
    let middle = f64::midpoint(from, right);
    nodes.push(TICK.centred(middle, height + 32.0, "soft", "clients in the denominator"));
    if withheld {
        nodes.push(frame.hatched(svg::rect(left, 0.0, rail, height)));
    }
    nodes.extend(limits(funnel, &x, &y, (low, top)));
    nodes.extend(ends(funnel, (low, top), &y, right));
    let points: Vec<(f64, f64)> =
        organizations.iter().map(|one| (x.place(to_f64(one.denominator)), y.place(one.rate))).collect();
    nodes.extend(organizations.iter().zip(&points).map(|(organization, place)| mark(organization, *place)));
    nodes.extend(names(organizations, &points, (from, right), height));

    let mut legend = vec![
        Entry { mark: Mark::Line("firm outer"), text: "99.8% limits".to_owned() },
        Entry { mark: Mark::Line("firm inner"), text: "95% limits".to_owned() },
    ];
    if withheld {
        let text = "suppressed: not in the plot";
        legend.push(Entry { mark: Mark::Hatched, text: text.to_owned() });
    }
    let widened =
        if funnel.widened { ", widened because the organizations differ by more than chance explains" } else { "" };
    let remarks = vec![format!(
        "The limits are exact binomial ones around the common rate of the organizations shown{widened}. ▲ and ▼ lie \
         outside the 99.8% limits. It may be the organization, its clients, or its records; it is no ranking."
    )];
    Drawing { nodes, height: height + 38.0, legend, remarks, ..Drawing::default() }
}

/// The horizontal scale from the smallest to the largest organization, by orders of magnitude where they differ much.
fn size_scale(least: u64, most: u64, places: (f64, f64), is_wide: bool) -> Scale {
    let (least, most) = (to_f64(least), to_f64(most));
    if is_wide {
        Scale::logarithmic((least * 0.92, most * 1.08), places)
    } else {
        let margin = (most - least) * 0.04;
        Scale::linear(((least - margin).max(0.0), most + margin), places)
    }
}

/// The middle and both pairs of limits, as far as they are within the figure.
fn limits(funnel: &Funnel, x: &Scale, y: &Scale, (low, top): (f64, f64)) -> Vec<Node> {
    let inside = |share: f64| (low..=top).contains(&share);
    let curve = |class: &str, share: fn(&Limits) -> f64| {
        let told = |a: &&(u64, Limits), b: &&(u64, Limits)| inside(share(&a.1)) == inside(share(&b.1));
        let all: Vec<&(u64, Limits)> = funnel.limits.iter().collect();
        let runs = all.chunk_by(told).filter(|run| run.first().is_some_and(|first| inside(share(&first.1))));
        let place = |(size, limits): &&(u64, Limits)| (x.place(to_f64(*size)), y.place(share(limits)));
        let way: String = runs.map(|run| svg::path(run.iter().map(place), false)).collect();
        Node::new("path").class(class).set("fill", "none").set("d", way)
    };
    let mut nodes = vec![
        curve("firm outer", |limits| limits.outer.0),
        curve("firm outer", |limits| limits.outer.1),
        curve("firm inner", |limits| limits.inner.0),
        curve("firm inner", |limits| limits.inner.1),
    ];
    if let Some(((first, _), (last, _))) = funnel.limits.first().zip(funnel.limits.last()) {
        let at = y.place(funnel.target);
        nodes.push(svg::line((x.place(to_f64(*first)), at), (x.place(to_f64(*last)), at)).class("firm"));
    }
    nodes
}

/// The names of the lines at their right ends, one below another.
fn ends(funnel: &Funnel, (low, top): (f64, f64), y: &Scale, right: f64) -> Vec<Node> {
    let Some((_, last)) = funnel.limits.last() else { return Vec::new() };
    let named = [(last.outer.1, "99.8% limit"), (funnel.target, "all shown"), (last.outer.0, "99.8% limit")];
    let mut free = f64::NEG_INFINITY;
    let mut nodes = Vec::new();
    for (share, name) in named.into_iter().filter(|(share, _)| (low..=top).contains(share)) {
        let at = (y.place(share) + 3.5).max(free);
        free = at + 12.0;
        nodes.push(TICK.at(right + 6.0, at, "soft scale", name));
    }
    nodes
}

fn mark(organization: &Organization, (x, y): (f64, f64)) -> Node {
    let told =
        format!("{}: {} of {}", organization.name, percent(organization.rate), grouped(organization.denominator));
    let corner =
        |sign: f64| svg::path([(x - 4.5, y + 3.5 * sign), (x + 4.5, y + 3.5 * sign), (x, y - 4.5 * sign)], true);
    let node = match organization.side {
        Side::Within => svg::circle((x, y), 3.2).set("fill-opacity", "0.65"),
        Side::Above => Node::new("path").set("d", corner(1.0)),
        Side::Below => Node::new("path").set("d", corner(-1.0)),
    };
    node.class("mark").told(&told)
}

/// The names of the organizations outside the limits, where nothing else is; the others are named when pointed at.
fn names(organizations: &[Organization], points: &[(f64, f64)], (from, to): (f64, f64), height: f64) -> Vec<Node> {
    const TALL: f64 = 12.0;
    // So far from another mark, nobody takes the name for its.
    const CLEAR: f64 = 10.0;
    let mut taken: Vec<(f64, f64, f64, f64)> = Vec::new();
    let mut nodes = Vec::new();
    for (at, (organization, (x, y))) in organizations.iter().zip(points).enumerate() {
        if organization.side == Side::Within {
            continue;
        }
        let text = NAME.fitted(&organization.name, 150.0);
        let wide = NAME.width(&text);
        let below = if organization.side == Side::Above { -1.0 } else { 1.0 };
        let choices = [
            (x + 7.0, y - TALL / 2.0),
            (x - 7.0 - wide, y - TALL / 2.0),
            (x - wide / 2.0, y - TALL / 2.0 + below * 12.0),
            (x - wide / 2.0, y - TALL / 2.0 - below * 12.0),
        ];
        let fits = |(left, top): &(f64, f64)| {
            let (right, bottom) = (left + wide, top + TALL);
            let apart =
                |other: &(f64, f64, f64, f64)| *left > other.2 || right < other.0 || *top > other.3 || bottom < other.1;
            let others = points.iter().enumerate().filter(|(other, _)| *other != at);
            let mut marks = others.map(|(_, (x, y))| (x - CLEAR, y - 4.0, x + CLEAR, y + 4.0));
            let inside = *left >= from && right <= to && *top >= 0.0 && bottom <= height;
            inside && marks.all(|mark| apart(&mark)) && taken.iter().all(apart)
        };
        let Some((left, top)) = choices.into_iter().find(fits) else { continue };
        taken.push((left, top, left + wide, top + TALL));
        let node = NAME.at(left, top + TALL - 2.5, "ink edge halo", &text);
        nodes.push(if text == organization.name { node } else { node.told(&organization.name) });
    }
    nodes
}

fn tick_words(share: f64) -> String {
    super::Unit::Share.tick(share)
}

#[expect(clippy::cast_precision_loss, reason = "for a drawing")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
