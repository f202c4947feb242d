//! The organizations that a client is attributed to.

use super::Dose;

/// The columns of `clients` with an organization, in the order of [`Attribution::of`].
pub const COLUMNS: [&str; 3] = ["organization_first", "organization_last", "organization_most"];

/// Finds the organizations of one client after another.
#[derive(Debug, Default)]
pub struct Attribution {
    /// Organization and place of each dose.
    places: Vec<(u32, usize)>,
}

impl Attribution {
    /// The places in `doses` of those whose organization is the client's by the first visit, by the latest, and by the
    /// most visits. Of several doses on a day, the last decides.
    ///
    /// With the most: on the most distinct days; of several, the one of the latest visit among them. A dose without an
    /// organization is no visit to one. `doses` must be sorted by day, and by their place in the file on a day.
    pub fn of(&mut self, doses: &[Dose]) -> [Option<usize>; 3] {
        let first = doses.first().map(|first| doses.partition_point(|dose| dose.day == first.day) - 1);
        [first, doses.len().checked_sub(1), self.most(doses)]
    }

    fn most(&mut self, doses: &[Dose]) -> Option<usize> {
        let known = || doses.iter().enumerate().filter_map(|(place, dose)| Some((dose.organization?, place)));
        let (organization, last) = known().next_back()?;
        // Most clients have one.
        if known().all(|(other, _)| other == organization) {
            return Some(last);
        }
        self.places.clear();
        self.places.extend(known());
        self.places.sort_unstable();
        let visits = self.places.chunk_by(|(one, _), (other, _)| one == other).filter_map(|places| {
            let days = places.windows(2).filter(|pair| doses[pair[0].1].day != doses[pair[1].1].day).count();
            // The later the visit, the later its place.
            places.last().map(|(_, last)| (days, *last))
        });
        visits.max().map(|(_, last)| last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_first_visit_the_latest_and_the_most() {
        // Day and organization of each dose, `-` for none; then the organizations.
        for (doses, expected) in [
            ("", "- - -"),
            ("1a", "a a a"),
            ("1-", "- - -"),
            ("1a 2b 3b", "a b b"),
            // On one day the last in the file decides, and a day counts once.
            ("1a 1b 5c", "b c c"),
            ("1a 1a 1a 2b 3b", "a b b"),
            // Ties: the latest visit, and on one day the last in the file.
            ("1a 2b", "a b b"),
            ("1b 2a", "b a a"),
            ("1a 2b 3b 4a 5c", "a c a"),
            ("1a 1b", "b b b"),
            ("1b 1a", "a a a"),
            ("1a 2b 3a 3b", "a b b"),
            ("1a 2b 3b 3a", "a a a"),
            // Doses without an organization decide about first and last, and are nobody's visits.
            ("1- 2- 3a 4-", "- - a"),
            ("1a 2- 3- 4b", "a b b"),
        ] {
            let doses: Vec<Dose> = doses
                .split_whitespace()
                .map(str::as_bytes)
                .map(|dose| Dose {
                    day: i32::from(dose[0]),
                    cvx: 0,
                    organization: (dose[1] != b'-').then_some(u32::from(dose[1])),
                })
                .collect();
            let name = |place: Option<usize>| {
                let organization = place.and_then(|place| doses[place].organization);
                organization.map_or('-', |organization| u8::try_from(organization).unwrap().into()).to_string()
            };
            assert_eq!(Attribution::default().of(&doses).map(name).join(" "), expected, "{doses:?}");
        }
    }
}
