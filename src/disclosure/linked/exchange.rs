//! What a withheld number could be: clients whom no shown row tells apart could have each other's answers, or places.
//!
//! For one indicator, clients are alike who are in the same shown rows of its tables, in withheld rows of the same tables, and
//! have the same answers to indicators that are tied to it. Two of them who exchange their answers change nothing that is
//! shown, in whatever combination. So of the `yes` of `size` clients alike, a row with `own` of these clients could have any
//! number from `yes - (size - own)` to `own`, but no less than 0 and no more than `yes`; its bounds are the sums over all
//! sorts of clients.
//!
//! For places, clients are alike who are in the same rows of known size. A row of unknown size could have from none to all
//! of each sort of clients, when clients of that sort are in other such rows of its table.
//!
//! These are inner bounds: every value within is that of a possible registry. What is known beyond them only makes the
//! truth wider: that all clients of a sort, and their `yes`, are known, is granted.

use std::collections::{BTreeMap, BTreeSet};

use super::grouping::{Answers, Grouping, NONE, Numbers, in_order};
use super::moves::Routes;
use super::{Follows, Linked, Reason, Table};

/// Sorts of clients: no shown row tells those of one sort apart.
pub(super) struct Sorts {
    /// The clients that were asked for, in their order, and the sort of each.
    pub of: Vec<(u32, u32)>,
    /// What is known of each sort.
    known: Vec<Known>,
}

impl Sorts {
    fn get(&self, client: u32) -> Option<u32> {
        self.of.binary_search_by_key(&client, |(client, _)| *client).ok().map(|at| self.of[at].1)
    }
}

/// What is known of clients who are alike.
#[derive(Clone, Copy, Default)]
struct Known {
    /// They are in something that is shown.
    is_seen: bool,
    /// Their answer follows in part from answers to other indicators that are shown.
    is_tied: bool,
}

/// Adds what tells clients apart, step by step.
struct Sorting<'a> {
    clients: &'a [u32],
    of: Vec<u32>,
    known: Vec<Known>,
}

impl<'a> Sorting<'a> {
    /// All alike.
    fn new(clients: &'a [u32]) -> Self {
        Self { clients, of: vec![0; clients.len()], known: vec![Known::default()] }
    }

    /// Tells clients apart by a mark; what is known belongs to the mark.
    fn by(&mut self, mark: impl Fn(u32) -> (u32, Known)) {
        let marks: Vec<(u32, Known)> = self.clients.iter().map(|client| mark(*client)).collect();
        let (sorts, number) = in_order(self.of.iter().copied().zip(marks.iter().map(|(mark, _)| *mark)));
        let mut all = vec![Known::default(); number];
        for ((sort, before), (_, known)) in sorts.iter().zip(&self.of).zip(marks) {
            let before = self.known[*before as usize];
            all[*sort as usize] =
                Known { is_seen: known.is_seen || before.is_seen, is_tied: known.is_tied || before.is_tied };
        }
        (self.of, self.known) = (sorts, all);
    }

    /// Tells clients apart by the row of a table in which they are, as far as it is shown.
    fn by_row(&mut self, grouping: &Grouping, shown: &[bool], totals_are_known: bool) {
        let known = |is_seen| Known { is_seen, is_tied: false };
        self.by(|client| match grouping.row(client) {
            // Who is in the table at all is told by its total alone.
            NONE if totals_are_known => (NONE, known(true)),
            NONE => (WITHHELD, known(false)),
            row if shown[row as usize] => (row, known(true)),
            _ => (WITHHELD, known(totals_are_known)),
        });
    }

    /// The sorts.
    fn end(self) -> Sorts {
        Sorts { of: self.clients.iter().copied().zip(self.of).collect(), known: self.known }
    }
}

/// Clients of one sort, those in the numerator, and those who are not. Of some, it is not known.
#[derive(Clone, Copy, Default)]
struct Size {
    clients: u64,
    yes: u64,
    no: u64,
}

impl Size {
    fn add(&mut self, yes: Option<bool>) {
        self.clients += 1;
        self.yes += u64::from(yes == Some(true));
        self.no += u64::from(yes == Some(false));
    }
}

fn sorted(mut clients: Vec<u32>) -> Vec<u32> {
    clients.sort_unstable();
    clients.dedup();
    clients
}

/// From the least to the most that a number could be; no most where nothing bounds it.
#[derive(Clone, Copy)]
pub(super) struct Span(u64, Option<u64>);

impl Span {
    fn or(self, other: Self) -> Self {
        Self(self.0.min(other.0), self.1.zip(other.1).map(|(a, b)| a.max(b)))
    }

    /// Whether it has all values of another.
    fn has(self, other: Self) -> bool {
        self.0 <= other.0 && self.1.is_none_or(|most| other.1.is_some_and(|other| other <= most))
    }

    /// How many values these are.
    pub(super) fn values(self) -> u64 {
        self.1.map_or(u64::MAX, |most| most.saturating_sub(self.0) + 1)
    }
}

/// By table and row, what numbers could be that are known too well from tables known from elsewhere.
pub(super) type Helpless = BTreeMap<(usize, usize), Spans>;

/// What the numbers of a withheld row could be.
#[derive(Clone, Copy)]
pub(super) struct Spans {
    size: u64,
    yes: u64,
    /// The clients in it, where their number is not known.
    clients: Option<Span>,
    /// Those who are counted.
    pub numerator: Span,
    complement: Span,
    /// How many values of the numerator go with the rows that are withheld.
    alike: u64,
}

impl Spans {
    /// Whether nothing is known better than it was, as far as a policy of `w` values asks.
    fn has(&self, then: &Self, w: u64) -> bool {
        // A size that is known now was known then.
        let sizes = match (self.clients, then.clients) {
            (Some(now), Some(then)) => now.has(then),
            (None, None) => self.alike >= then.alike.min(w),
            _ => false,
        };
        sizes && self.numerator.has(then.numerator) && self.complement.has(then.complement)
    }
}

/// Clients by their sort, and by the row of a table in which they are.
struct Crowd {
    all: Numbers<u32, Size>,
    rows: BTreeMap<(usize, u32), Size>,
    sorts: BTreeMap<(u32, usize), Size>,
    /// Of each sort, the rows in which its clients are.
    places: Numbers<u32, Places>,
}

/// Rows in which clients of a sort are.
#[derive(Clone, Copy, Default)]
struct Places {
    rows: u64,
    /// Those in which all of them are counted, and in which none is.
    all_yes: u64,
    all_no: u64,
    /// Whether some are in no row.
    outside: bool,
}

impl Crowd {
    /// The clients of a table; of rows, those that are `wanted`.
    fn of(sorts: &Sorts, grouping: &Grouping, counted: &Answers, wanted: impl Fn(u32) -> bool) -> Self {
        let mut crowd =
            Self { all: Numbers::default(), rows: BTreeMap::new(), sorts: BTreeMap::new(), places: Numbers::default() };
        for (client, sort) in &sorts.of {
            let (row, yes) = (grouping.row(*client), counted.get(*client));
            crowd.all.entry(*sort).or_default().add(yes);
            crowd.places.entry(*sort).or_default().outside |= row == NONE;
            if wanted(row) {
                crowd.rows.entry((row as usize, *sort)).or_default().add(yes);
                crowd.sorts.entry((*sort, row as usize)).or_default().add(yes);
            }
        }
        for ((sort, _), size) in &crowd.sorts {
            let places = crowd.places.entry(*sort).or_default();
            places.rows += 1;
            places.all_yes += u64::from(size.no == 0);
            places.all_no += u64::from(size.yes == 0);
        }
        crowd
    }

    fn of_row(&self, row: usize) -> impl Iterator<Item = (u32, Size)> {
        self.rows.range((row, 0)..=(row, u32::MAX)).map(|((_, sort), size)| (*sort, *size))
    }

    fn of_sort(&self, sort: u32) -> impl Iterator<Item = (usize, Size)> {
        self.sorts.range((sort, 0)..=(sort, usize::MAX)).map(|((_, row), size)| (*row, *size))
    }

    /// Numerator and complement of a row, when clients who are alike exchange their answers.
    fn exchanged_answers(&self, row: usize, size: u64, answers: &Sorts) -> (Span, Span) {
        let (mut least, mut most) = (0, 0);
        for (sort, own) in self.of_row(row) {
            let all = self.all.get(&sort).copied().unwrap_or_default();
            let known = answers.known[sort as usize];
            if known.is_seen {
                least += all.yes.saturating_sub(all.clients - own.clients);
                most += own.clients.min(all.yes);
            } else {
                // Nobody knows how many of them are counted; but an answer that nobody of a tied sort has may be impossible.
                least += if known.is_tied && all.no == 0 { own.clients } else { 0 };
                most += if known.is_tied && all.yes == 0 { 0 } else { own.clients };
            }
        }
        (Span(least, Some(most)), Span(size - most, Some(size - least)))
    }

    /// Clients, numerator and complement of a row of unknown size, when clients who are alike exchange their places.
    fn exchanged_places(&self, row: usize, places: &Sorts) -> Option<[Span; 3]> {
        let mut bounds: Option<[Span; 3]> = None;
        for (sort, own) in self.of_row(row) {
            let all = self.all.get(&sort).copied().unwrap_or_default();
            let places_of = self.places.get(&sort).copied().unwrap_or_default();
            let can_move = places_of.rows > 1 || places_of.outside;
            // Other rows do not lose their last client either.
            let most = |own: u64, all: u64, last: u64, is_own: bool| own.max(all - (last - u64::from(is_own)).min(all));
            let numbers = [
                (own.clients, most(own.clients, all.clients, places_of.rows, true)),
                (own.yes, most(own.yes, all.yes, places_of.all_yes, own.no == 0)),
                (own.no, most(own.no, all.no, places_of.all_no, own.yes == 0)),
            ];
            for (bound, (own, all)) in bounds.get_or_insert([Span(0, Some(0)); 3]).iter_mut().zip(numbers) {
                if !places.known[sort as usize].is_seen {
                    bound.1 = None;
                } else if can_move {
                    bound.1 = bound.1.map(|most| most + all);
                } else {
                    *bound = Span(bound.0 + own, bound.1.map(|most| most + own));
                }
            }
        }
        // A row is there because somebody is in it.
        bounds.map(|[clients, counted, others]| [Span(clients.0.max(1), clients.1), counted, others])
    }
}

/// So many clients are looked at before more are, for a row to withhold.
const AT_ONCE: u64 = 50_000;

/// So many times as few rows of a table are withheld as may do; then twice as many from one time to the next. A table that
/// needs more is mostly one of which nothing will be left, and each time all withheld rows are proved anew.
const PATIENCE: u32 = 8;

/// How many rows are withheld at least, when some were so many times before.
fn at_least(rounds: u32) -> usize {
    1_usize.checked_shl(rounds.saturating_sub(PATIENCE)).unwrap_or(usize::MAX)
}

/// The mark of a row that is withheld.
const WITHHELD: u32 = NONE - 1;

impl Linked {
    /// Rows of the newest table to withhold, so that withheld numbers are wide enough.
    pub(super) fn narrow(&mut self) -> Vec<(usize, Reason)> {
        self.look_up_helpless();
        let mut routes = std::mem::take(&mut self.routes);
        let mut hide = self.too_narrow(&mut routes);
        self.routes = routes;
        if let Some((_, reason)) = hide.first().cloned() {
            self.rounds += 1;
            let more = at_least(self.rounds).saturating_sub(hide.len());
            let others = self.shown_by_size().into_iter().filter(|row| !hide.iter().any(|(hidden, _)| hidden == row));
            let others: Vec<_> = others.take(more).collect();
            hide.extend(others.into_iter().map(|row| (row, reason.clone())));
        }
        hide
    }

    /// The shown rows of the newest table, the smallest first.
    fn shown_by_size(&self) -> Vec<usize> {
        let Some(new) = self.tables.last() else { return Vec::new() };
        let sizes = &self.groupings[new.grouping].sizes;
        let mut shown: Vec<usize> = (0..new.shown.len()).filter(|row| new.shown[*row]).collect();
        shown.sort_by_key(|row| (sizes[*row], *row));
        shown
    }

    fn too_narrow(&self, routes: &mut BTreeMap<usize, Routes>) -> Vec<(usize, Reason)> {
        let mut hide: BTreeMap<usize, Reason> = BTreeMap::new();
        let Some(newest) = self.tables.len().checked_sub(1) else { return Vec::new() };
        let told_anew = self.is_told(self.tables[newest].grouping, newest + 1)
            != self.is_told(self.tables[newest].grouping, newest);
        let new = self.tables[newest].answers;
        let touched = |outcome: usize| told_anew || outcome == new || self.are_tied(outcome, new);
        self.each_with_withheld_rows(touched, |at, answers, places| {
            let routes = routes.entry(self.tables[at].grouping).or_default();
            let mut rows = self.rows_too_narrow(at, answers, places, routes);
            rows.retain(|(row, spans)| {
                self.helpless.1.get(&(at, *row)).is_none_or(|then| !spans.has(then, self.rule.w))
            });
            for row in self.to_withhold(at, rows.into_iter().map(|(row, _)| row).collect()) {
                let release = self.tables[at].release.clone();
                hide.entry(row).or_insert(Reason { release, rule: Follows::Withheld });
            }
        });
        hide.into_iter().collect()
    }

    /// How many withheld rows are known too well from elsewhere alone.
    pub(in super::super) fn known_too_well(&mut self) -> usize {
        self.look_up_helpless();
        self.helpless.1.keys().filter(|(table, row)| !self.tables[*table].shown[*row]).count()
    }

    /// Finds what is known too well when releases show nothing, and only tables known from elsewhere do.
    fn look_up_helpless(&mut self) {
        if self.helpless.0 == self.tables.len() || self.tables.iter().all(|table| !table.is_known) {
            return;
        }
        let released = |table: &&mut Table| !table.is_known;
        let nothing = |table: &mut Table| {
            let rows = table.shown.len();
            std::mem::replace(&mut table.shown, vec![false; rows])
        };
        let shown: Vec<Vec<bool>> = self.tables.iter_mut().filter(released).map(nothing).collect();
        let mut helpless = Helpless::new();
        let mut routes: BTreeMap<usize, Routes> = BTreeMap::new();
        self.each_with_withheld_rows(
            |_| true,
            |at, answers, places| {
                let routes = routes.entry(self.tables[at].grouping).or_default();
                let rows = self.rows_too_narrow(at, answers, places, routes);
                helpless.extend(rows.into_iter().map(|(row, spans)| ((at, row), spans)));
            },
        );
        for (table, shown) in self.tables.iter_mut().filter(released).zip(shown) {
            table.shown = shown;
        }
        self.helpless = (self.tables.len(), helpless);
    }

    /// How many values the numerators of all withheld rows could have, at least.
    pub(in super::super) fn widths(&self) -> Vec<u64> {
        let mut widths = Vec::new();
        let mut routes = BTreeMap::new();
        self.each_with_withheld_rows(
            |_| true,
            |at, answers, places| {
                widths.extend(self.spans(at, answers, places).iter().map(
                    |(row, spans)| match spans.numerator.values() {
                        few if few < self.rule.w && spans.clients.is_some() => {
                            let routes = routes.entry(self.tables[at].grouping).or_default();
                            self.with_moves(at, *row, spans, routes).numerator.values()
                        }
                        values => values,
                    },
                ));
            },
        );
        widths
    }

    /// Goes through the tables with withheld rows of those indicators that are wanted, with the sorts of clients who could
    /// exchange answers and places.
    fn each_with_withheld_rows(&self, wanted: impl Fn(usize) -> bool, mut look: impl FnMut(usize, &Sorts, &Sorts)) {
        let mut places: Numbers<usize, Sorts> = Numbers::default();
        let outcomes: BTreeSet<usize> = self.tables.iter().map(|table| table.answers).collect();
        for outcome in outcomes.into_iter().filter(|outcome| wanted(*outcome)) {
            let of_outcome = || (0..self.tables.len()).filter(move |at| self.tables[*at].answers == outcome);
            let mut clients = sorted(of_outcome().flat_map(|at| self.withheld_in(at)).collect());
            if clients.is_empty() {
                continue;
            }
            let shown = of_outcome().map(|at| (self.tables[at].grouping, self.tables[at].shown.clone())).collect();
            clients.extend(self.companions(&clients, shown));
            let clients = sorted(clients);
            let answers = self.sorts_of_answers(outcome, &clients, self.tables.len());
            for at in of_outcome().filter(|at| self.tables[*at].shown.contains(&false)) {
                let grouping = self.tables[at].grouping;
                let places = places.entry(grouping).or_insert_with(|| {
                    let known = self.is_told(grouping, self.tables.len());
                    let hidden: Vec<bool> = known.iter().map(|known| !known).collect();
                    let mut clients = self.groupings[grouping].clients_in(&hidden);
                    let told = (0..self.groupings.len()).map(|at| (at, self.is_told(at, self.tables.len()))).collect();
                    clients.extend(self.companions(&clients, told));
                    self.sorts_of_places(&sorted(clients), self.tables.len())
                });
                look(at, &answers, places);
            }
        }
    }

    /// The clients in withheld rows of a table.
    fn withheld_in(&self, table: usize) -> Vec<u32> {
        let table = &self.tables[table];
        let hidden: Vec<bool> = table.shown.iter().map(|shown| !shown).collect();
        if hidden.contains(&true) { self.groupings[table.grouping].clients_in(&hidden) } else { Vec::new() }
    }

    /// All clients of the shown rows in which some of these are, where nobody knows how many are in a table at all: who is in
    /// the same shown row, and in no row of another table, could be in a withheld row of that.
    fn companions(&self, clients: &[u32], shown: BTreeMap<usize, Vec<bool>>) -> Vec<u32> {
        let mut found = Vec::new();
        if self.totals_are_known {
            return found;
        }
        for (grouping, shown) in shown {
            let grouping = &self.groupings[grouping];
            let mut met = vec![false; shown.len()];
            for row in clients.iter().map(|client| grouping.row(*client)).filter(|row| *row != NONE) {
                met[row as usize] = shown[row as usize];
            }
            found.extend(grouping.clients_in(&met));
        }
        found
    }

    /// Clients told apart by what the first `until` tables show of one indicator.
    fn sorts_of_answers(&self, outcome: usize, clients: &[u32], until: usize) -> Sorts {
        let mut sorting = Sorting::new(clients);
        let tables = &self.tables[..until];
        for table in tables.iter().filter(|table| table.answers == outcome) {
            let grouping = &self.groupings[table.grouping];
            sorting.by_row(grouping, &table.shown, self.totals_are_known);
        }
        let others: BTreeSet<usize> = tables.iter().map(|table| table.answers).filter(|at| *at != outcome).collect();
        for other in others.into_iter().filter(|other| self.are_tied(*other, outcome)) {
            let of_other: Vec<_> = tables.iter().filter(|table| table.answers == other).collect();
            sorting.by(|client| {
                let is_shown = of_other.iter().any(|table| {
                    let row = self.groupings[table.grouping].row(client);
                    row != NONE && table.shown[row as usize]
                });
                match self.answers[other].get(client).filter(|_| is_shown) {
                    Some(answer) => (u32::from(answer), Known { is_seen: false, is_tied: true }),
                    None => (NONE, Known::default()),
                }
            });
        }
        sorting.end()
    }

    /// Clients told apart by the rows whose size the first `until` tables show.
    fn sorts_of_places(&self, clients: &[u32], until: usize) -> Sorts {
        let mut sorting = Sorting::new(clients);
        for (at, grouping) in self.groupings.iter().enumerate() {
            if self.tables[..until].iter().all(|table| table.grouping != at) {
                continue;
            }
            sorting.by_row(grouping, &self.is_told(at, until), self.totals_are_known);
        }
        sorting.end()
    }

    /// What the numbers of each withheld row of a table could be.
    fn spans(&self, at: usize, answers: &Sorts, places: &Sorts) -> Vec<(usize, Spans)> {
        let table = &self.tables[at];
        let grouping = &self.groupings[table.grouping];
        let counted = &self.answers[table.answers];
        let is_withheld = |row: u32| row != NONE && !table.shown[row as usize];
        let by_answers = Crowd::of(answers, grouping, counted, is_withheld);
        let by_places = Crowd::of(places, grouping, counted, |row| row != NONE);
        let hidden = (0..table.shown.len()).filter(|row| !table.shown[*row] && grouping.sizes[*row] > 0);
        let spans = hidden.map(|row| {
            let (size, yes) = (grouping.sizes[row], table.numerators[row]);
            let (mut numerator, mut complement) = by_answers.exchanged_answers(row, size, answers);
            let clients = by_places.exchanged_places(row, places);
            if let Some([_, counted, others]) = clients {
                numerator = numerator.or(counted);
                complement = complement.or(others);
            }
            let clients = clients.map(|[clients, ..]| clients);
            let alike = self.values_of_the_same_pattern(table, grouping, row, &by_answers, answers);
            (row, Spans { size, yes, clients, numerator, complement, alike })
        });
        spans.collect()
    }

    /// Withheld rows of a table whose numbers are too well known, and what these could be.
    fn rows_too_narrow(&self, at: usize, answers: &Sorts, places: &Sorts, routes: &mut Routes) -> Vec<(usize, Spans)> {
        let of_people = self.tables[at].of_people;
        let is_small = |number: u64| self.rule.is_small(number);
        let is_wide = |span: Span, number: u64| {
            let could_be_large = span.1.is_none_or(|most| most >= self.rule.k);
            span.values() >= self.rule.w && (could_be_large || !is_small(number))
        };
        let is_enough = |spans: &Spans| {
            let size_is_wide = of_people || spans.clients.is_none_or(|span| is_wide(span, spans.size));
            let complement_is_wide = of_people || is_wide(spans.complement, spans.size - spans.yes);
            size_is_wide && complement_is_wide && is_wide(spans.numerator, spans.yes)
        };
        let narrow = self.spans(at, answers, places).into_iter().filter_map(|(row, mut spans)| {
            if spans.clients.is_some() {
                if !is_enough(&spans) {
                    spans = self.with_moves(at, row, &spans, routes);
                }
                return (!is_enough(&spans)).then_some((row, spans));
            }
            // Whoever knows the rule knows that a withheld row of known size is small in its numerator or its complement, or
            // is withheld for the sake of one that is.
            let is_small = is_small(spans.yes) || (!of_people && is_small(spans.size - spans.yes));
            (!is_enough(&spans) || (is_small && spans.alike < self.rule.w)).then_some((row, spans))
        });
        narrow.collect()
    }

    /// What the numbers of a row of unknown size could be when single traits of clients may be others.
    fn with_moves(&self, at: usize, row: usize, spans: &Spans, routes: &mut Routes) -> Spans {
        let [left, came] = self.moves(self.tables[at].grouping, row, self.tables[at].answers, routes);
        let span = |now: u64, left: u64, came: u64| Span(now - left, Some(now + came));
        let no = spans.size - spans.yes;
        Spans {
            clients: spans.clients.map(|known| known.or(span(spans.size, left.clients, came.clients))),
            numerator: spans.numerator.or(span(spans.yes, left.yes, came.yes)),
            complement: spans.complement.or(span(no, left.clients - left.yes, came.clients - came.yes)),
            ..*spans
        }
    }

    /// How far the numerator of a row can fall and rise, so that the row stays as small as it is.
    fn slack(&self, size: u64, yes: u64) -> (u64, u64) {
        let zone = |number: u64| match number {
            0 => (0, 0),
            number if number < self.rule.k => (1, self.rule.k - 1),
            _ => (self.rule.k, u64::MAX),
        };
        let no = size - yes;
        if size < self.rule.k {
            return (yes, no);
        }
        let ((least, most), (least_no, most_no)) = (zone(yes), zone(no));
        ((yes - least).min(most_no - no), (most - yes).min(no - least_no))
    }

    /// How many values the numerator of a row could have so that the same rows are withheld: none of them changes from small
    /// to large, and what is withheld beside them depends on who is where alone.
    fn values_of_the_same_pattern(
        &self,
        table: &Table,
        grouping: &Grouping,
        row: usize,
        crowd: &Crowd,
        answers: &Sorts,
    ) -> u64 {
        let slack = |row: usize| self.slack(grouping.sizes[row], table.numerators[row]);
        let (falls, rises) = slack(row);
        let reach = |limit: u64, mine: fn(Size) -> u64, theirs: fn(Size) -> u64, theirs_may: fn((u64, u64)) -> u64| {
            let mut left: Numbers<usize, u64> = Numbers::default();
            let mut moved = 0;
            for (sort, own) in crowd.of_row(row) {
                let mut mine = mine(own).min(limit - moved);
                if !answers.known[sort as usize].is_seen {
                    moved += mine;
                    continue;
                }
                for (other, size) in crowd.of_sort(sort).filter(|(other, _)| *other != row) {
                    let left = left.entry(other).or_insert_with(|| theirs_may(slack(other)));
                    let exchanged = mine.min(theirs(size)).min(*left);
                    *left -= exchanged;
                    mine -= exchanged;
                    moved += exchanged;
                }
            }
            moved
        };
        let up = reach(rises, |size| size.no, |size| size.yes, |slack| slack.0);
        let down = reach(falls, |size| size.yes, |size| size.no, |slack| slack.1);
        1 + up + down
    }

    /// For withheld rows of some table, shown rows of the newest table that make them wider when they are withheld, too: for
    /// each the smallest that has clients of its sorts. Which one depends on who is where, and not on who is counted.
    fn to_withhold(&self, at: usize, narrow: Vec<usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let Some((new, newest)) = self.tables.last().map(|table| (table, self.tables.len() - 1)) else { return found };
        let rows = &self.groupings[new.grouping];
        let grouping = &self.groupings[self.tables[at].grouping];
        let shown = self.shown_by_size();
        let order: Numbers<u32, usize> = shown.iter().filter_map(|row| u32::try_from(*row).ok()).zip(0..).collect();
        let mut waiting: Vec<Vec<u32>> = Vec::new();
        for row in narrow {
            let mut chosen = vec![false; grouping.sizes.len()];
            chosen[row] = true;
            let members = grouping.clients_in(&chosen);
            let own = members.iter().filter_map(|client| order.get(&rows.row(*client))).min();
            match own.filter(|_| at != newest) {
                Some(first) => {
                    found.insert(shown[*first]);
                }
                None => waiting.push(members),
            }
        }
        let mut from = 0;
        while from < shown.len() && !waiting.is_empty() {
            let mut chosen = vec![false; rows.sizes.len()];
            let mut clients = 0;
            while from < shown.len() && clients < AT_ONCE {
                chosen[shown[from]] = true;
                clients += rows.sizes[shown[from]];
                from += 1;
            }
            let both = sorted(rows.clients_in(&chosen).into_iter().chain(waiting.iter().flatten().copied()).collect());
            let sorts =
                [self.sorts_of_answers(self.tables[at].answers, &both, newest), self.sorts_of_places(&both, newest)];
            let mut smallest: Numbers<(usize, u32), usize> = Numbers::default();
            for (which, sorts) in sorts.iter().enumerate() {
                for (client, sort) in &sorts.of {
                    let row = rows.row(*client);
                    if let Some(place) = order.get(&row).filter(|_| chosen[row as usize]) {
                        let known = smallest.entry((which, *sort)).or_insert(*place);
                        *known = (*known).min(*place);
                    }
                }
            }
            waiting.retain(|members| {
                let of = |which: usize, client: &u32| smallest.get(&(which, sorts[which].get(*client)?)).copied();
                let first = members.iter().flat_map(|client| [of(0, client), of(1, client)]).flatten().min();
                found.extend(first.map(|place| shown[place]));
                first.is_none()
            });
        }
        if !waiting.is_empty() {
            found.extend(shown.first());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{PATIENCE, at_least};

    #[test]
    fn a_table_that_needs_many_rounds_gives_way_faster() {
        assert!((1..=PATIENCE).all(|rounds| at_least(rounds) == 1));
        assert_eq!([9, 10, 11].map(at_least), [2, 4, 8]);
        // A thousand rows have gone after 18 rounds.
        assert!((1..=18).map(at_least).sum::<usize>() > 1000);
        assert_eq!(at_least(u32::MAX), usize::MAX);
    }
}
