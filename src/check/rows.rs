//! Rules that look at several fields of a row: the order of dates, the disaster period, consent.

use super::fields::{NO_CODE, NO_DATE, Values};
use super::findings::{Findings, RuleId};
use super::ruleset::{Covers, DisasterItem, Kind, Ruleset};
use crate::calendar;
use crate::dictionary::{Dictionary, names};
use crate::period::ReportingPeriod;

/// A rule bound to the fields it reads, by their position in the dictionary.
#[derive(Debug)]
enum Bound {
    DateOrder { earlier: usize, later: usize },
    DateRange { column: usize, after: i32, up_to: i32, before: i32 },
    DisasterWindow { item: DisasterItem },
    ConsentClass { consent: usize, disaster_consent: usize },
    ConsentActive { date: usize, first: i32, last: i32 },
    ConsentRecorded { consent: usize },
}

/// The row rules of a ruleset, ready for one dictionary and one reporting period.
#[derive(Debug)]
pub struct RowRules {
    bound: Vec<(RuleId, Bound)>,
    items: Items,
    /// For each code of the consent type: standard items, disaster items.
    covers: Vec<[Covers; 2]>,
    /// For each code of disaster consent, whether it is a yes.
    disaster_consent: Vec<bool>,
}

/// What is needed to tell a disaster item.
#[derive(Debug)]
struct Items {
    date: Option<usize>,
    first: i32,
    last: i32,
    /// Fields that tell a product, each with the kind of item of every code.
    by_code: Vec<(usize, Vec<Option<DisasterItem>>)>,
}

impl Items {
    fn product(&self, columns: &[Values], row: usize) -> Option<DisasterItem> {
        self.by_code.iter().find_map(|(field, items)| match code(&columns[*field], row) {
            NO_CODE => None,
            code => items[usize::from(code)],
        })
    }

    fn in_window(&self, day: i32) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

impl RowRules {
    /// Binds every row rule that can be checked with this dictionary.
    pub fn new(rules: &Ruleset, dictionary: &Dictionary, period: ReportingPeriod) -> Self {
        let at = |name: &str| dictionary.field(name).and_then(|field| dictionary.position(&field.name));
        let bound = rules.rules().iter().enumerate().filter_map(|(id, rule)| {
            if Ruleset::not_checkable(rule, dictionary).is_some() {
                return None;
            }
            let bound = match &rule.kind {
                Kind::DateOrder { earlier, later } => Bound::DateOrder { earlier: at(earlier)?, later: at(later)? },
                Kind::DateRange { column, after, up_to, before } => {
                    let day = |limit: &super::ruleset::Limit| calendar::day(limit.day(period));
                    Bound::DateRange {
                        column: at(column)?,
                        after: after.as_ref().map_or(i32::MIN, day),
                        up_to: up_to.as_ref().map_or(i32::MAX, day),
                        before: before.as_ref().map_or(i32::MAX, day),
                    }
                }
                Kind::DisasterWindow { item } => Bound::DisasterWindow { item: *item },
                Kind::ConsentClass => Bound::ConsentClass {
                    consent: at(names::CONSENT_TYPE)?,
                    disaster_consent: at(names::DISASTER_CONSENT)?,
                },
                Kind::ConsentActive { years } => {
                    let last = period.last_day();
                    let first = last - chrono::Months::new(years * 12);
                    Bound::ConsentActive {
                        date: at(names::CONSENT_DATE)?,
                        first: calendar::day(first),
                        last: calendar::day(last),
                    }
                }
                Kind::ConsentRecorded => Bound::ConsentRecorded { consent: at(names::CONSENT_TYPE)? },
                _ => return None,
            };
            Some((id, bound))
        });
        let bound = bound.collect();
        let codes = |name: &str| {
            let codelist = dictionary.field(name).and_then(|field| dictionary.codelist(field));
            codelist.map_or(&[][..], |codelist| codelist.codes())
        };
        let covers = codes(names::CONSENT_TYPE).iter().map(|code| {
            let line = rules.consents().iter().find(|line| line.consent_type == code.code);
            line.map_or([Covers::Never; 2], |line| [line.standard, line.disaster])
        });
        Self {
            bound,
            items: Items {
                date: at(names::VACCINATION_DATE),
                first: calendar::day(rules.disaster().from),
                last: calendar::day(rules.disaster().to),
                by_code: [names::VACCINE_GROUP, names::CVX]
                    .into_iter()
                    .filter_map(|name| Some((at(name)?, rules.items_of(dictionary, name))))
                    .collect(),
            },
            covers: covers.collect(),
            disaster_consent: codes(names::DISASTER_CONSENT)
                .iter()
                .map(|code| code.label.eq_ignore_ascii_case("yes"))
                .collect(),
        }
    }

    /// Checks all rows of a chunk; `columns` are by the field's position in the dictionary.
    pub fn check(&self, columns: &[Values], rows: usize, findings: &mut Findings) {
        for (rule, bound) in &self.bound {
            for row in 0..rows {
                if let Some(passed) = self.verdict(bound, columns, row) {
                    findings.checked_row(row, *rule, passed);
                }
            }
        }
    }

    /// Whether a row passes, or `None` when the rule does not apply to it or its values could not be read.
    fn verdict(&self, bound: &Bound, columns: &[Values], row: usize) -> Option<bool> {
        match *bound {
            Bound::DateOrder { earlier, later } => Some(date(&columns[earlier], row)? <= date(&columns[later], row)?),
            Bound::DateRange { column, after, up_to, before } => {
                let day = date(&columns[column], row)?;
                Some(!(day > after && day <= up_to && day < before))
            }
            Bound::DisasterWindow { item } => {
                let day = date(&columns[self.items.date?], row)?;
                (self.items.product(columns, row)? == item).then(|| self.items.in_window(day))
            }
            Bound::ConsentClass { consent, disaster_consent } => {
                let covers = self.covers.get(usize::from(code(&columns[consent], row)))?;
                let day = date(&columns[self.items.date?], row)?;
                let disaster_item = self.items.in_window(day) && self.items.product(columns, row).is_some();
                let consented = self.disaster_consent.get(usize::from(code(&columns[disaster_consent], row)));
                Some(match covers[usize::from(disaster_item)] {
                    Covers::Always => true,
                    Covers::WithDisasterConsent => consented == Some(&true),
                    Covers::Never => false,
                })
            }
            Bound::ConsentActive { date: field, first, last } => {
                // A consent without a date cannot be shown to be active.
                Some(date(&columns[field], row).is_some_and(|day| (first..=last).contains(&day)))
            }
            Bound::ConsentRecorded { consent } => Some(code(&columns[consent], row) != NO_CODE),
        }
    }
}

fn date(values: &Values, row: usize) -> Option<i32> {
    match values {
        Values::Dates(days) => Some(days[row]).filter(|day| *day != NO_DATE),
        _ => None,
    }
}

fn code(values: &Values, row: usize) -> u16 {
    match values {
        Values::Codes(codes) => codes[row],
        _ => NO_CODE,
    }
}
