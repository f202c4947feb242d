//! Which numbers of a table may be seen, and what follows from those.

use std::collections::{BTreeMap, BTreeSet};

use super::Policy;
use super::release::{Cell, Number, Status};
use crate::query::ask::{Attribution, Denominator};
use crate::query::{RawDoses, RawShare};
use crate::statistics;
use crate::words::UNKNOWN;

/// Whether a number of clients may be seen: none, or k and more.
pub(super) fn may_be_seen(clients: u64, policy: &Policy) -> bool {
    !(1..policy.k()).contains(&clients)
}

/// Whether numerator, complement and denominator may be seen.
pub(super) fn share_may_be_seen(share: RawShare, policy: &Policy) -> bool {
    let RawShare { numerator, denominator, clients } = share;
    let counts = [numerator, denominator.saturating_sub(numerator), denominator, clients];
    counts.iter().all(|count| may_be_seen(*count, policy))
}

/// Whether what one share has and another, which is a part of it, has not may be seen.
fn difference_may_be_seen(a: RawShare, b: RawShare, policy: &Policy) -> bool {
    let other = |share: RawShare| share.denominator.saturating_sub(share.numerator);
    [a.numerator.abs_diff(b.numerator), other(a).abs_diff(other(b)), a.denominator.abs_diff(b.denominator)]
        .iter()
        .all(|count| may_be_seen(*count, policy))
}

/// What rows are told apart by that are otherwise of one group: the last of their labels.
pub(super) enum Beside {
    /// By nothing.
    Nothing,
    /// By denominators, of which one may be a part of another; the first is shown before the others.
    Denominators(Vec<Denominator>),
    /// By rules of attribution, in their order: the last has the clients of each of the others, and more. By each of the
    /// others, every client is in one organization; in which column of labels that is, or nowhere when it is a filter.
    Attributions(Option<usize>),
}

impl Beside {
    /// The place of a row among those of its group.
    fn place(&self, labels: &[String]) -> usize {
        let last = labels.last();
        let found = match self {
            Self::Nothing => None,
            Self::Denominators(sources) => {
                sources.iter().position(|source| last.is_some_and(|name| *name == source.name()))
            }
            Self::Attributions(_) => {
                Attribution::ALL.iter().position(|rule| last.is_some_and(|name| name == rule.name()))
            }
        };
        found.unwrap_or_default()
    }

    /// Whether what a row has more than an earlier one is a number of clients.
    fn compares(&self, later: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Denominators(_) => true,
            Self::Attributions(_) => later + 1 == Attribution::ALL.len(),
        }
    }

    /// Whether the denominator of a row is known to everybody.
    fn is_public(&self, place: usize) -> bool {
        matches!(self, Self::Denominators(sources) if matches!(sources.get(place), Some(Denominator::Population(_))))
    }
}

/// Shares of clients. A row is suppressed, too, when it differs from a shown one of its group by 1 to k - 1 clients.
pub(super) fn shares(shares: BTreeMap<Vec<String>, RawShare>, beside: &Beside, policy: &Policy) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::with_capacity(shares.len());
    let group = |labels: &[String]| match beside {
        Beside::Nothing => labels.len(),
        Beside::Denominators(_) | Beside::Attributions(_) => labels.len() - 1,
    };
    let rows: Vec<_> = shares.into_iter().collect();
    let mut raw: Vec<RawShare> = Vec::with_capacity(rows.len());
    for rows in rows.chunk_by(|(a, _), (b, _)| a[..group(a)] == b[..group(b)]) {
        let mut rows: Vec<_> = rows.iter().map(|(labels, share)| (beside.place(labels), labels, *share)).collect();
        rows.sort_by_key(|(place, ..)| *place);
        let mut seen: Vec<(usize, RawShare)> = Vec::new();
        for (place, labels, share) in rows {
            raw.push(share);
            let differ = |(other, shown): &(usize, RawShare)| {
                if beside.is_public(place) || beside.is_public(*other) {
                    may_be_seen(share.numerator.abs_diff(shown.numerator), policy)
                } else {
                    difference_may_be_seen(share, *shown, policy)
                }
            };
            cells.push(if share_may_be_seen(share, policy) && (!beside.compares(place) || seen.iter().all(differ)) {
                seen.push((place, share));
                shown(labels.clone(), share, policy)
            } else {
                Cell::withheld(labels.clone(), Status::Suppressed)
            });
        }
    }
    if let Beside::Attributions(Some(column)) = beside {
        complete(&mut cells, &raw, *column, policy);
    }
    cells
}

/// Rules by which every client is in one organization have the same sums, so what one rule withholds follows from what
/// another shows. Of each rule, and of each group of the other labels, further rows are withheld, the smallest first, until
/// what is withheld together is nobody or k and more.
fn complete(cells: &mut [Cell], raw: &[RawShare], organization: usize, policy: &Policy) {
    let any = Attribution::Any.name();
    let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.labels.last().is_some_and(|rule| rule != any)) {
        let mut labels = cell.labels.clone();
        labels.remove(organization);
        groups.entry(labels).or_default().push(at);
    }
    for members in groups.into_values() {
        let is_shown = |cell: &Cell| cell.values().is_some();
        let mut withheld = RawShare::default();
        let add = |sum: &mut RawShare, share: RawShare| {
            sum.numerator += share.numerator;
            sum.denominator += share.denominator;
            sum.clients += share.clients;
        };
        members.iter().filter(|at| !is_shown(&cells[**at])).for_each(|at| add(&mut withheld, raw[*at]));
        let mut shown: Vec<usize> = members.into_iter().filter(|at| is_shown(&cells[*at])).collect();
        shown.sort_by_key(|at| std::cmp::Reverse((raw[*at].denominator, *at)));
        while !share_may_be_seen(withheld, policy) {
            let Some(smallest) = shown.pop() else { break };
            add(&mut withheld, raw[smallest]);
            cells[smallest].withhold();
        }
    }
}

/// The label of those that are not named.
const OTHERS: &str = "(others)";

/// Leaves those labels of a column without their name of which no row is told: what a sender has typed is told when k clients
/// share it. Rows that are the same then are one, which is suppressed.
pub(super) fn leave_unnamed(cells: &mut Vec<Cell>, column: usize) {
    let is_told = |cell: &&Cell| !matches!(cell.status, Status::Suppressed | Status::NotApplicable);
    let told = cells.iter().filter(is_told).map(|cell| cell.labels[column].clone());
    let named: BTreeSet<String> = told.chain([UNKNOWN.to_owned()]).collect();
    let mut unnamed = BTreeSet::new();
    cells.retain_mut(|cell| {
        if named.contains(&cell.labels[column]) {
            return true;
        }
        OTHERS.clone_into(&mut cell.labels[column]);
        cell.withhold();
        unnamed.insert(cell.labels.clone())
    });
}

/// Whether a row is of those that are not named: it comes behind the others.
pub(super) fn is_of_unnamed(cell: &Cell) -> bool {
    cell.labels.iter().any(|label| label == OTHERS)
}

/// What a share tells whose counts may be seen, by its interval.
pub(super) fn told(numerator: u64, denominator: u64, interval: (f64, f64)) -> Status {
    if numerator == 0 {
        Status::Zero
    } else if statistics::unreliable(numerator, denominator, interval) {
        Status::Unreliable
    } else {
        Status::Shown
    }
}

/// A share whose counts may be seen.
pub(super) fn shown(labels: Vec<String>, share: RawShare, policy: &Policy) -> Cell {
    let RawShare { numerator, denominator, .. } = share;
    if denominator == 0 {
        return Cell::withheld(labels, Status::NotApplicable);
    }
    let interval = statistics::share_interval(numerator, denominator, policy.confidence());
    let status = told(numerator, denominator, (interval.low, interval.high));
    // Of a population there may be more clients than people: the rate says so, and has no interval.
    let ends = (numerator <= denominator).then_some([interval.low, interval.high]);
    let rate = statistics::real(numerator) / statistics::real(denominator);
    let numbers = [
        Some(Number::Count(numerator)),
        Some(Number::Count(denominator)),
        Some(Number::Share(rate)),
        ends.map(|[low, _]| Number::Share(low)),
        ends.map(|[_, high]| Number::Share(high)),
    ];
    Cell::shown(labels, status, numbers.to_vec())
}

/// Adds to each shown share its rank among those of the same last label, the highest first. Equal ones share a rank.
pub(super) fn rank(cells: &mut [Cell]) {
    let rates: Vec<_> = cells.iter().map(|cell| (cell.labels.last().cloned(), cell.rate())).collect();
    for cell in cells {
        let Some(rate) = cell.rate() else { continue };
        let above = rates
            .iter()
            .filter(|(rule, other)| rule.as_ref() == cell.labels.last() && other.is_some_and(|other| other > rate));
        let rank = above.count() as u64 + 1;
        cell.add(Some(Number::Count(rank)));
    }
}

/// Doses are shown where enough persons had them, and where it does not follow that few had more than one.
pub(super) fn doses(doses: BTreeMap<Vec<String>, RawDoses>, policy: &Policy) -> Vec<Cell> {
    let cells = doses.into_iter().map(|(labels, RawDoses { persons, doses })| {
        if may_be_seen(persons, policy) && may_be_seen(doses - persons, policy) {
            let status = if persons == 0 { Status::Zero } else { Status::Shown };
            Cell::shown(labels, status, [persons, doses].map(Number::Count).map(Some).to_vec())
        } else {
            Cell::withheld(labels, Status::Suppressed)
        }
    });
    cells.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::built_in().unwrap()
    }

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn share(numerator: u64, denominator: u64) -> RawShare {
        RawShare { numerator, denominator, clients: denominator }
    }

    #[test]
    fn what_a_sender_has_typed_is_named_when_clients_share_it() {
        let share = |labels_of: &[&str], numerator, denominator| (labels(labels_of), share(numerator, denominator));
        let table = BTreeMap::from([
            share(&["A1", "2021"], 30, 60),
            share(&["A1", "2022"], 3, 60),
            share(&["B2", "2021"], 5, 10),
            share(&["B2", "2022"], 2, 60),
            share(&["Mary Smith", "2021"], 1, 1),
            share(&["Unknown", "2021"], 1, 2),
        ]);
        let mut cells = shares(table, &Beside::Nothing, &policy());
        leave_unnamed(&mut cells, 0);
        let left: Vec<_> = cells.iter().map(|cell| (cell.labels.join(" "), cell.status)).collect();
        let suppressed = |labels: &str| (labels.to_owned(), Status::Suppressed);
        assert_eq!(
            left,
            [
                ("A1 2021".to_owned(), Status::Shown),
                suppressed("A1 2022"),
                suppressed("(others) 2021"),
                suppressed("(others) 2022"),
                suppressed("Unknown 2021"),
            ]
        );
    }

    #[test]
    fn a_cell_is_shown_from_eleven_on() {
        for (numerator, denominator, expected) in [
            (10, 100, Status::Suppressed),
            (11, 100, Status::Shown),
            (11, 200, Status::Unreliable),
            (1, 100, Status::Suppressed),
            (89, 100, Status::Shown),
            (90, 100, Status::Suppressed),
            (99, 100, Status::Suppressed),
            (100, 100, Status::Shown),
            (0, 100, Status::Zero),
            (0, 10, Status::Suppressed),
            (10, 10, Status::Suppressed),
            (0, 11, Status::Zero),
            (11, 11, Status::Unreliable),
            (11, 21, Status::Suppressed),
            (11, 22, Status::Unreliable),
            (0, 0, Status::NotApplicable),
        ] {
            let cells = shares([(Vec::new(), share(numerator, denominator))].into(), &Beside::Nothing, &policy());
            assert_eq!(cells[0].status, expected, "{numerator} of {denominator}");
            let withheld = matches!(expected, Status::Suppressed | Status::NotApplicable);
            assert_eq!(cells[0].values().is_none(), withheld);
        }
    }

    #[test]
    fn what_two_denominators_differ_by_is_a_number_of_clients_too() {
        let beside =
            Beside::Denominators(["clients", "active_5"].map(|name| Denominator::parse(name).unwrap()).to_vec());
        for (wide, narrow, expected) in [
            ((50, 100), (50, 100), Status::Shown),
            ((50, 100), (39, 78), Status::Shown),
            // Ten clients fewer in the denominator, in the numerator, outside of it.
            ((50, 100), (30, 90), Status::Suppressed),
            ((50, 100), (40, 70), Status::Suppressed),
            ((50, 100), (30, 70), Status::Suppressed),
        ] {
            let rows = |county| {
                [
                    (labels(&[county, "active_5"]), share(narrow.0, narrow.1)),
                    (labels(&["Travis", "clients"]), share(wide.0, wide.1)),
                ]
            };
            let cells = shares(rows("Travis").into(), &beside, &policy());
            assert_eq!([cells[0].status, cells[1].status], [Status::Shown, expected], "{wide:?} {narrow:?}");
            // Another county is another group.
            let cells = shares(rows("Hays").into(), &beside, &policy());
            assert_eq!([cells[0].status, cells[1].status], [Status::Shown; 2]);
        }
    }

    #[test]
    fn of_a_population_only_the_numerator_is_a_secret() {
        let sources = ["clients", "population:census"].map(|name| Denominator::parse(name).unwrap());
        for (clients, people, expected) in [
            ((50, 100), (50, 105), Status::Shown),
            ((50, 100), (45, 300), Status::Suppressed),
            // Hardly anybody of the population is left, and that is told by its complement.
            ((150, 300), (150, 155), Status::Suppressed),
            // More clients than people.
            ((150, 300), (150, 140), Status::Shown),
        ] {
            let rows = [
                (labels(&["Travis", "clients"]), share(clients.0, clients.1)),
                (labels(&["Travis", "population:census"]), share(people.0, people.1)),
            ];
            let cells = shares(rows.into(), &Beside::Denominators(sources.to_vec()), &policy());
            assert_eq!(cells[1].status, expected, "{people:?}");
        }
    }

    #[test]
    fn of_rules_of_attribution_the_widest_is_compared_with_each() {
        let rows = [("any", 60, 120), ("first", 55, 115), ("last", 50, 110), ("most", 30, 70)];
        let rows = rows.map(|(rule, n, d)| (labels(&["A", rule]), share(n, d)));
        let cells = shares(rows.into(), &Beside::Attributions(Some(0)), &policy());
        let statuses: Vec<_> = cells.iter().map(|cell| (cell.labels[1].as_str(), cell.status)).collect();
        let shown = Status::Shown;
        assert_eq!(statuses, [("last", shown), ("most", shown), ("first", shown), ("any", Status::Suppressed)]);
    }

    #[test]
    fn what_a_rule_of_attribution_withholds_is_nobody_or_many() {
        // Five of five at B would be what `first` has more than `last` shows: the smallest other row goes, too.
        let rows = [("A", "last", 75, 135), ("B", "last", 5, 5), ("C", "last", 100, 200), ("A", "first", 180, 340)];
        let rows = rows.map(|(organization, rule, n, d)| (labels(&[organization, rule]), share(n, d)));
        let cells = shares(rows.into(), &Beside::Attributions(Some(0)), &policy());
        let shown = cells.iter().filter(|cell| cell.values().is_some()).map(|cell| cell.labels.join(" "));
        assert_eq!(shown.collect::<Vec<_>>(), ["A first", "C last"]);
    }

    #[test]
    fn ranks_are_of_shown_rates_by_rule() {
        let rows = [
            (labels(&["A", "last"]), share(90, 300)),
            (labels(&["B", "last"]), share(150, 300)),
            (labels(&["C", "last"]), share(90, 300)),
            (labels(&["D", "last"]), share(295, 300)),
            (labels(&["D", "most"]), share(150, 300)),
        ];
        let mut cells = shares(rows.into(), &Beside::Attributions(None), &policy());
        rank(&mut cells);
        let ranks: Vec<_> =
            cells.iter().map(|cell| cell.values().and_then(|values| values.get(5).copied().flatten())).collect();
        let rank = |rank| Some(Number::Count(rank));
        assert_eq!(ranks, [rank(2), rank(1), rank(2), None, rank(1)]);
    }

    #[test]
    fn doses_are_shown_where_neither_few_had_them_nor_few_had_more() {
        for (persons, doses_given, expected) in [
            (10, 40, Status::Suppressed),
            (11, 11, Status::Shown),
            (40, 41, Status::Suppressed),
            (40, 50, Status::Suppressed),
            (40, 51, Status::Shown),
        ] {
            let row = [(Vec::new(), RawDoses { persons, doses: doses_given })];
            assert_eq!(doses(row.into(), &policy())[0].status, expected, "{persons} {doses_given}");
        }
    }
}
