//! Charts of `report.html`: SVG by hand, drawn in the colours of the page, each with a title and a description for who
//! cannot see it.

use crate::statistics::part_of;
use crate::words::grouped;

/// A chart's own width and height, in its own units; the page scales it.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 190.0;
/// Room for the labels of the axes.
const LEFT: f64 = 74.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;

/// One bar of several parts, each with a class of the style sheet. A part that is there is at least a hair wide.
pub fn parts(id: &str, title: &str, parts: &[(&str, u64)]) -> String {
    const HAIR: f64 = 1.5;
    let whole = parts.iter().map(|(_, rows)| *rows).sum::<u64>().max(1);
    let mut left: f64 = 0.0;
    let mut drawn = String::new();
    for (class, rows) in parts.iter().filter(|(_, rows)| *rows > 0) {
        let width = (part_of(*rows, whole) * WIDTH).max(HAIR);
        let from = left.min(WIDTH - width);
        drawn += &format!("<rect class=\"{class}\" x=\"{from:.1}\" y=\"0\" width=\"{width:.1}\" height=\"22\"/>");
        left = from + width;
    }
    let told: Vec<String> = parts.iter().map(|(class, rows)| format!("{} {class}", grouped(*rows))).collect();
    framed(id, title, &told.join(", "), 22.0, &drawn)
}

/// Rows by month, this file's over the last one's. A month that is hidden, or not there, is a gap.
pub fn months(id: &str, title: &str, now: &[(i32, Option<u64>)], before: &[(i32, Option<u64>)]) -> String {
    let all = || now.iter().chain(before);
    let range = all().map(|(month, _)| *month).min().zip(all().map(|(month, _)| *month).max());
    let Some((first, last)) = range else { return String::new() };
    let most = nice(all().filter_map(|(_, rows)| *rows).max().unwrap_or(1));
    let x = |month: i32| LEFT + (WIDTH - LEFT) * f64::from(month - first) / f64::from((last - first).max(1));
    let y = |rows: u64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - part_of(rows, most));
    let mut drawn = String::new();
    for rows in [0, most / 2, most] {
        drawn += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"axis end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 6.0,
            y(rows) + 4.0,
            grouped(rows),
            y = y(rows),
        );
    }
    let years = (last - first) / 12 + 1;
    let every = (years / 10 + 1) * 12;
    for month in (first..=last).filter(|month| month.rem_euclid(every) == 0) {
        drawn += &format!(
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(month),
            HEIGHT - 4.0,
            month.div_euclid(12)
        );
    }
    for (class, months) in [("before", before), ("now", now)] {
        let mut path = String::new();
        let mut last_drawn = None;
        for (month, rows) in months {
            let Some(rows) = rows else { continue };
            let verb = if last_drawn == Some(month - 1) { 'L' } else { 'M' };
            path += &format!("{verb}{:.1} {:.1}", x(*month), y(*rows));
            last_drawn = Some(*month);
        }
        if !path.is_empty() {
            drawn += &format!("<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
    let description = format!(
        "From {} to {}, at most {} rows a month. The numbers are in the table below.",
        named(first),
        named(last),
        grouped(most)
    );
    framed(id, title, &description, HEIGHT, &drawn)
}

/// A month counted from year 0, as people write it.
pub fn named(month: i32) -> String {
    format!("{}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

fn framed(id: &str, title: &str, description: &str, height: f64, drawn: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\
         <title id=\"{id}-title\">{title}</title><desc id=\"{id}-text\">{description}</desc>{drawn}</svg>\n"
    )
}

/// The next number of one digit and zeros that is even, for the top of an axis.
fn nice(most: u64) -> u64 {
    let power = 10_u64.pow(most.max(1).ilog10());
    let digit = most.max(1).div_ceil(power);
    (digit + digit % 2).saturating_mul(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_number_that_people_can_halve() {
        let tops = [0, 1, 2, 7, 10, 11, 99, 100, 28_515].map(nice);
        assert_eq!(tops, [2, 2, 2, 8, 20, 20, 100, 200, 40_000]);
    }

    #[test]
    fn a_small_part_is_seen_and_a_missing_month_is_a_gap() {
        let bar = parts("rows", "Rows", &[("kept", 999_999), ("rejected", 1)]);
        assert!(bar.contains("class=\"rejected\" x=\"718.5\" y=\"0\" width=\"1.5\""), "{bar}");
        assert!(bar.contains("<desc id=\"rows-text\">999,999 kept, 1 rejected</desc>"), "{bar}");
        let chart = months("months", "Months", &[(24_000, Some(2)), (24_001, None), (24_002, Some(1))], &[]);
        assert_eq!(chart.matches("<path").count(), 1);
        assert!(chart.contains("d=\"M74.0 8.0M720.0 88.0\""), "{chart}");
        assert!(chart.contains("From 2000-01 to 2000-03"), "{chart}");
    }
}
