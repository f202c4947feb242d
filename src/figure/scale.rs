//! From numbers to places: axes with round ticks, and the classes of a map.

/// The steps that people count by.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// A straight or logarithmic way from numbers to places.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: (f64, f64),
    to: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    /// The numbers `from` lie at the places `to`. Without a width, all numbers lie in the middle.
    pub fn linear(from: (f64, f64), to: (f64, f64)) -> Self {
        Self { from, to, logarithmic: false }
    }

    /// The same by orders of magnitude; numbers are above 0.
    pub fn logarithmic(from: (f64, f64), to: (f64, f64)) -> Self {
        Self { from: (from.0.ln(), from.1.ln()), to, logarithmic: true }
    }

    /// The place of a number; a number that is outside lies at the end.
    pub fn place(&self, number: f64) -> f64 {
        let number = if self.logarithmic { number.ln() } else { number };
        let width = self.from.1 - self.from.0;
        let share = if width > 0.0 { ((number - self.from.0) / width).clamp(0.0, 1.0) } else { 0.5 };
        self.to.0 + share * (self.to.1 - self.to.0)
    }
}

/// A step of 1, 2 or 5 and zeros, so that about `count` of them make `width`, and never more than twice as many.
pub fn step(width: f64, count: f64) -> f64 {
    let rough = (width / count).max(f64::MIN_POSITIVE);
    // By whole powers, which are the same on every system to the last bit; logarithms are not.
    let powers = (-30..=30).rev().map(|power| 10_f64.powi(power));
    let power = powers.into_iter().find(|power| *power <= rough).unwrap_or(f64::MIN_POSITIVE);
    let found = STEPS.iter().map(|step| step * power).find(|step| *step >= rough * 0.999);
    found.unwrap_or(power * 10.0)
}

/// The multiples of a step from `low` to `high`.
pub fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    let ticks = (0..100).map(|at| (first + f64::from(at)) * step);
    ticks.take_while(|tick| *tick <= high + step * 1e-9).collect()
}

/// Numbers of 1, 2 or 5 and zeros between `low` and `high`, both above 0.
pub fn magnitudes(low: f64, high: f64) -> Vec<f64> {
    let powers = (-2..12).map(|power| 10_f64.powi(power));
    let all = powers.flat_map(|power| STEPS.map(|step| step * power));
    all.filter(|tick| (low..=high).contains(tick)).collect()
}

/// An axis: where it begins and ends, and its ticks from the one to the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The first tick.
    pub low: f64,
    /// The last tick.
    pub top: f64,
    /// All ticks.
    pub ticks: Vec<f64>,
}

/// The shortest axis of whole steps that holds all numbers, at least `least` wide, within 0 to `most`. Without numbers, it
/// is as wide as it must be, from 0.
pub fn axis(numbers: impl Iterator<Item = f64> + Clone, least: f64, most: f64) -> Axis {
    let low = numbers.clone().fold(f64::INFINITY, f64::min);
    let high = numbers.fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low > high { (0.0, least) } else { (low, high) };
    let short = (least - (high - low)).max(0.0) / 2.0;
    let step = step((high - low).max(least), 5.0);
    let low = ((low - short) / step + 1e-9).floor().max(0.0) * step;
    let top = (((high + short) / step - 1e-9).ceil() * step).min(most);
    Axis { low, top, ticks: ticks(low, top, step) }
}

/// The bounds of at most five classes of one width for shares, in whole percent: `[60, 65, 70]` are two classes. Bounds
/// are round, so that nobody takes a group of few people for a class of its own.
pub fn classes(shares: impl Iterator<Item = f64> + Clone) -> Vec<u32> {
    const WIDTHS: [u32; 5] = [1, 2, 5, 10, 20];
    let whole = |share: f64| (0..=100).rev().find(|percent| f64::from(*percent) <= share * 100.0 + 1e-9).unwrap_or(0);
    let Some(low) = shares.clone().map(whole).min() else { return Vec::new() };
    let high = shares.map(whole).max().unwrap_or(low);
    let bounds = |width: u32| {
        let first = (low / width * width).min(100 - width);
        let last = (high / width * width + width).min(100);
        (first..=last).step_by(width as usize).collect::<Vec<_>>()
    };
    WIDTHS.iter().map(|width| bounds(*width)).find(|bounds| bounds.len() <= 6).unwrap_or_default()
}

/// The class of a share, counted from 0. 100 % is in the last one.
pub fn class_of(share: f64, bounds: &[u32]) -> usize {
    let above = bounds.iter().skip(1).take_while(|bound| share * 100.0 + 1e-9 >= f64::from(**bound)).count();
    above.min(bounds.len().saturating_sub(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::svg::number;

    #[test]
    fn axes_are_round_and_stay_within_what_a_share_can_be() {
        for (numbers, least, ticks) in [
            (vec![0.66, 0.67], 0.2, vec![0.55, 0.6, 0.65, 0.7, 0.75, 0.8]),
            (vec![0.99], 0.2, vec![0.85, 0.9, 0.95, 1.0]),
            (vec![0.01], 0.2, vec![0.0, 0.05, 0.1, 0.15]),
            (vec![0.0, 0.98], 0.2, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (vec![], 1.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            let found = axis(numbers.iter().copied(), least, 1.0);
            let same = found.ticks.iter().zip(&ticks).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(same && found.ticks.len() == ticks.len(), "{numbers:?}: {found:?}");
            assert_eq!(found.ticks.first().zip(found.ticks.last()), Some((&found.low, &found.top)));
        }
        assert_eq!(ticks(3.0, 26.0, 5.0), [5.0, 10.0, 15.0, 20.0, 25.0]);
        assert_eq!(magnitudes(11.0, 600.0), [20.0, 50.0, 100.0, 200.0, 500.0]);
    }

    #[test]
    fn a_map_has_at_most_five_classes_with_whole_bounds() {
        for (shares, bounds) in [
            (vec![0.61, 0.72], vec![60, 65, 70, 75]),
            (vec![0.70, 0.75], vec![70, 72, 74, 76]),
            (vec![0.0, 1.0], vec![0, 20, 40, 60, 80, 100]),
            (vec![0.5], vec![50, 51]),
            (vec![1.0], vec![99, 100]),
            (vec![], vec![]),
        ] {
            assert_eq!(classes(shares.iter().copied()), bounds, "{shares:?}");
        }
        let bounds = [60, 65, 70];
        assert_eq!([0.60, 0.649, 0.65, 0.70].map(|share| class_of(share, &bounds)), [0, 0, 1, 1]);
    }

    #[test]
    fn a_number_has_its_place() {
        let scale = Scale::linear((0.0, 1.0), (100.0, 200.0));
        assert_eq!([-1.0, 0.0, 0.5, 2.0].map(|n| number(scale.place(n))), ["100", "100", "150", "200"]);
        assert_eq!(number(Scale::linear((1.0, 1.0), (0.0, 10.0)).place(1.0)), "5");
        let scale = Scale::logarithmic((10.0, 1000.0), (0.0, 2.0));
        assert!((scale.place(100.0) - 1.0).abs() < 1e-9);
    }
}
