//! Rules that look at several fields of a row: dates, ages, places, vaccines, the disaster period, consent.
//!
//! A rule is a function over the columns of a chunk. It shares nothing that changes with another rule or another chunk.

use super::fields::{NO_CODE, NO_DATE, NO_INTEGER, Values};
use super::findings::{Findings, RuleId};
use super::ruleset::{Covers, DisasterItem, Kind, Ruleset, zip_counties};
use crate::calendar::{self, CivilDay, whole_months};
use crate::dictionary::{Codelist, Dictionary, names};
use crate::error::Result;
use crate::period::ReportingPeriod;

/// What AGE IN MONTHS may mean, as the report says it. Which of them the file follows is told by its rows.
pub const AGES: [&str; 5] = [
    "completed months at vaccination",
    "calendar months at vaccination, the day not counted",
    "days at vaccination by 30.4375, rounded down",
    "days at vaccination by 30.4375, rounded",
    "completed months at the end of the reporting period",
];

/// A rule bound to the fields it reads, by their position in the dictionary.
#[derive(Debug)]
enum Bound {
    DateOrder { earlier: usize, later: usize },
    DateRange { column: usize, first: i32, last: i32 },
    AgeOver { months: i32, born_from: i32 },
    AgeInMonths { age: usize, period_end: CivilDay },
    ZipCounty { zip: usize, county: usize, counties: ZipCounties },
    StateCounty { state: usize, county: usize, home: u16 },
    VaccineGroup { cvx: usize, group: usize, groups: Vec<Vec<u16>> },
    CodeIs { column: usize, bad: Vec<bool>, unless: Option<DisasterItem> },
    RoundedClientId { client: usize },
    CodeDate { column: usize, in_use: Vec<(i32, i32)> },
    CodeAge { column: usize, ages: Vec<(i32, i32)>, grace: i32, up_to: i32 },
    DisasterWindow { item: DisasterItem },
    DisasterItemDate { item: DisasterItem, first: i32, last: i32 },
    DisasterItemTooNew { cvx: usize, too_new: Vec<bool> },
    DisasterRetention { item: DisasterItem },
    ConsentClass { consent: usize, disaster_consent: usize },
    ConsentActive { date: usize, first: i32, last: i32 },
    ConsentRecorded { consent: usize },
    ConsentAge { consent: usize, types: Vec<bool>, months: i32, period_end: i32 },
}

/// The row rules of a ruleset, ready for one dictionary and one reporting period.
#[derive(Debug)]
pub struct RowRules {
    bound: Vec<(RuleId, Bound)>,
    birth: usize,
    vaccination: usize,
    items: Items,
    /// For each code of the consent type: standard items, disaster items.
    covers: Vec<[Covers; 2]>,
    /// For each code of disaster consent, whether it is a yes.
    disaster_consent: Vec<bool>,
}

/// What is needed to tell a disaster item.
#[derive(Debug)]
struct Items {
    first: i32,
    last: i32,
    /// Fields that tell a product, each with the kind of item of every code.
    by_code: Vec<(usize, Vec<Option<DisasterItem>>)>,
}

impl Items {
    /// The item of each row: that of the first field which tells one. None at all where no row has one.
    fn of(&self, columns: &[Values]) -> ItemsOfRows {
        let mut of_rows = Vec::new();
        for (field, items) in self.by_code.iter().rev() {
            for (row, code) in columns[*field].codes().iter().enumerate().filter(|(_, code)| **code != NO_CODE) {
                if let Some(item) = items[usize::from(*code)] {
                    of_rows.resize(of_rows.len().max(columns[*field].codes().len()), None);
                    of_rows[row] = Some(item);
                }
            }
        }
        ItemsOfRows(of_rows)
    }

    fn in_window(&self, day: i32) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// The counties in which a ZIP code lies, as positions in the county codelist.
#[derive(Debug)]
struct ZipCounties {
    /// By ZIP code: where its counties begin; those of ZIP code `z` end where those of `z + 1` begin.
    starts: Vec<u16>,
    counties: Vec<u16>,
}

impl ZipCounties {
    const ZIPS: usize = 100_000;

    fn new(table: &str, codelist: &Codelist) -> Result<Self> {
        let mut pairs: Vec<(u32, u16)> = zip_counties(table)?
            .into_iter()
            .filter_map(|(zip, county)| Some((zip, codelist.find(county.as_bytes(), false)?)))
            .collect();
        pairs.sort_unstable();
        let mut starts = vec![0; Self::ZIPS + 1];
        let mut at = 0;
        for (zip, start) in (0..).zip(&mut starts) {
            while pairs.get(at).is_some_and(|(other, _)| *other < zip) {
                at += 1;
            }
            *start = u16::try_from(at).unwrap_or(u16::MAX);
        }
        Ok(Self { starts, counties: pairs.into_iter().map(|(_, county)| county).collect() })
    }

    /// The counties of a ZIP code; none when it is not in the table.
    fn of(&self, zip: &str) -> &[u16] {
        let Some(zip) = zip.get(..5).and_then(|digits| digits.parse::<usize>().ok()) else { return &[] };
        match self.starts.get(zip).zip(self.starts.get(zip + 1)) {
            Some((start, end)) => &self.counties[usize::from(*start)..usize::from(*end)],
            None => &[],
        }
    }
}

/// A limit in a column of a codelist, as a day count.
fn listed_day(codelist: &Codelist, at: u16, column: Option<&String>) -> Option<i32> {
    calendar::parse(codelist.value(at, column?).as_bytes(), calendar::DateFormat::Iso)
}

fn bind(kind: &Kind, rules: &Ruleset, dictionary: &Dictionary, period: ReportingPeriod) -> Result<Option<Bound>> {
    // Only rules whose columns are all there come here.
    let at = |name: &str| dictionary.position(name).unwrap_or_default();
    let codelist = |name: &str| dictionary.field(name).and_then(|field| dictionary.codelist(field));
    let period_end = calendar::day(period.last_day());
    Ok(Some(match kind {
        Kind::DateOrder { earlier, later } => Bound::DateOrder { earlier: at(earlier), later: at(later) },
        Kind::DateRange { column, range } => {
            let (first, last) = range.days(period, dictionary);
            Bound::DateRange { column: at(column), first, last }
        }
        Kind::AgeOver { years, born_from } => {
            Bound::AgeOver { months: i32::from(*years) * 12 + 11, born_from: calendar::day(*born_from) }
        }
        Kind::AgeInMonths { .. } => {
            Bound::AgeInMonths { age: at(names::AGE_IN_MONTHS), period_end: CivilDay::of(period_end) }
        }
        Kind::ZipCounty { table } => {
            let Some(codelist) = codelist(names::COUNTY) else { return Ok(None) };
            let counties = ZipCounties::new(table, codelist)?;
            Bound::ZipCounty { zip: at(names::ZIP), county: at(names::COUNTY), counties }
        }
        Kind::StateCounty { state } => {
            let home = codelist(names::STATE).and_then(|codelist| codelist.find(state.as_bytes(), false));
            Bound::StateCounty { state: at(names::STATE), county: at(names::COUNTY), home: home.unwrap_or(NO_CODE) }
        }
        Kind::VaccineGroup { groups } => {
            let Some((cvx, group)) = codelist(names::CVX).zip(codelist(names::VACCINE_GROUP)) else {
                return Ok(None);
            };
            let of = |position| {
                let named = cvx.value(position, groups).split('|');
                named.filter_map(|name| group.find(name.as_bytes(), true)).collect()
            };
            let groups = (0..).zip(cvx.codes()).map(|(position, _)| of(position)).collect();
            Bound::VaccineGroup { cvx: at(names::CVX), group: at(names::VACCINE_GROUP), groups }
        }
        Kind::CodeIs { column, set, unless_item } => {
            let bad = codelist(column).map(|codelist| set.of(codelist)).unwrap_or_default();
            Bound::CodeIs { column: at(column), bad, unless: *unless_item }
        }
        Kind::RoundedClientId => Bound::RoundedClientId { client: at(names::CLIENT) },
        Kind::CodeDate { column, in_use_from, in_use_to, set } => {
            let Some(codelist) = codelist(column) else { return Ok(None) };
            let in_use = (0..).zip(set.of(codelist)).map(|(position, is_in)| {
                let from = listed_day(codelist, position, in_use_from.as_ref()).filter(|_| is_in);
                let to = listed_day(codelist, position, in_use_to.as_ref()).filter(|_| is_in);
                (from.unwrap_or(i32::MIN), to.unwrap_or(i32::MAX))
            });
            Bound::CodeDate { column: at(column), in_use: in_use.collect() }
        }
        Kind::CodeAge { column, min_months, max_months, grace_days, up_to_years, set } => {
            let Some(codelist) = codelist(column) else { return Ok(None) };
            let months = |position, name: &str| codelist.value(position, name).parse().ok();
            let ages = (0..).zip(set.of(codelist)).map(|(position, is_in)| {
                let min = months(position, min_months).filter(|_| is_in);
                let max = months(position, max_months).filter(|_| is_in);
                (min.unwrap_or(0), max.unwrap_or(i32::MAX))
            });
            let ages = ages.collect();
            Bound::CodeAge {
                column: at(column),
                ages,
                grace: i32::from(*grace_days),
                up_to: i32::from(*up_to_years) * 12 + 11,
            }
        }
        Kind::DisasterWindow { item } => Bound::DisasterWindow { item: *item },
        Kind::DisasterItemDate { item, range } => {
            let (first, last) = range.days(period, dictionary);
            Bound::DisasterItemDate { item: *item, first, last }
        }
        Kind::DisasterItemTooNew { market } => {
            Bound::DisasterItemTooNew { cvx: at(names::CVX), too_new: rules.too_new(dictionary, names::CVX, market) }
        }
        Kind::DisasterRetention { item, .. } => Bound::DisasterRetention { item: *item },
        Kind::ConsentClass => {
            Bound::ConsentClass { consent: at(names::CONSENT_TYPE), disaster_consent: at(names::DISASTER_CONSENT) }
        }
        Kind::ConsentActive { years } => {
            // The first day whose anniversary is not before the end of the period: 29 February has one in leap years alone.
            let months = u32::from(*years) * 12;
            let first = calendar::day(period.last_day() - chrono::Months::new(months));
            let first = first + i32::from(calendar::add_months(first, months) < period_end);
            Bound::ConsentActive { date: at(names::CONSENT_DATE), first, last: period_end }
        }
        Kind::ConsentRecorded => Bound::ConsentRecorded { consent: at(names::CONSENT_TYPE) },
        Kind::ConsentAge { types, years } => {
            let codes = codelist(names::CONSENT_TYPE).map_or(&[][..], Codelist::codes);
            Bound::ConsentAge {
                consent: at(names::CONSENT_TYPE),
                types: codes.iter().map(|code| types.contains(&code.code)).collect(),
                months: i32::from(*years) * 12,
                period_end,
            }
        }
        _ => return Ok(None),
    }))
}

impl RowRules {
    /// Binds every row rule that can be checked with this dictionary.
    pub fn new(rules: &Ruleset, dictionary: &Dictionary, period: ReportingPeriod) -> Result<Self> {
        let mut bound = Vec::new();
        for (id, rule) in rules.rules().iter().enumerate() {
            if Ruleset::not_checkable(rule, dictionary, period).is_none() {
                bound.extend(bind(&rule.kind, rules, dictionary, period)?.map(|bound| (id, bound)));
            }
        }
        let at = |name: &str| dictionary.field(name).and_then(|field| dictionary.position(&field.name));
        let codes = |name: &str| {
            let codelist = dictionary.field(name).and_then(|field| dictionary.codelist(field));
            codelist.map_or(&[][..], |codelist| codelist.codes())
        };
        let covers = codes(names::CONSENT_TYPE).iter().map(|code| {
            let line = rules.consents().iter().find(|line| line.consent_type == code.code);
            line.map_or([Covers::Never; 2], |line| [line.standard, line.disaster])
        });
        Ok(Self {
            bound,
            // The dictionary has proved that both are there.
            birth: at(names::BIRTH_DATE).unwrap_or_default(),
            vaccination: at(names::VACCINATION_DATE).unwrap_or_default(),
            items: Items {
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
        })
    }

    /// Checks all rows of a chunk; `columns` are by the field's position in the dictionary.
    pub fn check(&self, columns: &[Values], findings: &mut Findings) {
        let chunk = Chunk {
            columns,
            births: columns[self.birth].dates(),
            vaccinations: columns[self.vaccination].dates(),
            ages: self.ages(columns),
            items: self.items.of(columns),
        };
        for (rule, bound) in &self.bound {
            self.check_rule(*rule, bound, &chunk, findings);
        }
    }

    /// Where birth and vaccination of every row that has both in order lie in the calendar.
    fn ages(&self, columns: &[Values]) -> Vec<Option<Age>> {
        let (Values::Dates(births), Values::Dates(days)) = (&columns[self.birth], &columns[self.vaccination]) else {
            return Vec::new();
        };
        // Rows of one client follow one another, and so do those of one visit.
        let (mut last_birth, mut last_day) = ((0, CivilDay::of(0)), (0, CivilDay::of(0)));
        let civil = |day: i32, last: &mut (i32, CivilDay)| {
            if last.0 != day {
                *last = (day, CivilDay::of(day));
            }
            last.1
        };
        let ages = births.iter().zip(days).map(|(birth, day)| {
            (*birth != NO_DATE && birth <= day)
                .then(|| Age { birth: civil(*birth, &mut last_birth), day: civil(*day, &mut last_day) })
        });
        ages.collect()
    }

    /// Holds every row to one rule. A verdict is whether the row passes, or `None` when the rule does not apply to it or
    /// its values could not be read.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of rule")]
    fn check_rule(&self, rule: RuleId, bound: &Bound, chunk: &Chunk<'_>, findings: &mut Findings) {
        let Chunk { columns, births, vaccinations, ages, items } = chunk;
        let birth = |row: usize| day(births, row);
        let vaccination = |row: usize| day(vaccinations, row);
        match bound {
            Bound::DateOrder { earlier, later } => {
                let (earlier, later) = (columns[*earlier].dates(), columns[*later].dates());
                findings.check_rows(rule, |row| Some(day(earlier, row)? <= day(later, row)?));
            }
            Bound::DateRange { column, first, last } => {
                let days = columns[*column].dates();
                findings.check_rows(rule, |row| day(days, row).map(|day| !(*first..=*last).contains(&day)));
            }
            Bound::AgeOver { months, born_from } => findings.check_rows(rule, |row| {
                birth(row).filter(|birth| birth >= born_from)?;
                vaccination(row)?;
                Some(ages[row].is_none_or(|age| age.months() <= *months))
            }),
            Bound::AgeInMonths { age, period_end } => {
                let said = columns[*age].integers();
                findings.sort_rows(rule, None, |row| {
                    let said = said.get(row).copied().filter(|number| *number != NO_INTEGER)?;
                    Some(ages_that_fit(said, ages[row]?, vaccination(row)? - birth(row)?, *period_end))
                });
            }
            Bound::ZipCounty { zip, county, counties } => {
                let Values::Texts(zips) = &columns[*zip] else { return };
                // A chunk has few different ZIP codes.
                let of: Vec<&[u16]> = zips.different.iter().map(|zip| counties.of(zip.unwrap_or_default())).collect();
                let county = columns[*county].codes();
                findings.check_rows(rule, |row| {
                    let county = code(county, row)?;
                    let counties = of.get(zips.ids[row] as usize)?;
                    (!counties.is_empty()).then(|| counties.contains(&county))
                });
            }
            Bound::StateCounty { state, county, home } => {
                let (state, county) = (columns[*state].codes(), columns[*county].codes());
                findings.check_rows(rule, |row| {
                    code(county, row)?;
                    Some(code(state, row)? == *home)
                });
            }
            Bound::VaccineGroup { cvx, group, groups } => {
                let (cvx, group) = (columns[*cvx].codes(), columns[*group].codes());
                findings.check_rows(rule, |row| {
                    let groups = &groups[usize::from(code(cvx, row)?)];
                    let group = code(group, row)?;
                    (!groups.is_empty()).then(|| groups.contains(&group))
                });
            }
            Bound::CodeIs { column, bad, unless } => {
                let codes = columns[*column].codes();
                findings.check_rows(rule, |row| {
                    let is_bad = bad[usize::from(code(codes, row)?)];
                    Some(!is_bad || (unless.is_some() && items.get(row) == *unless))
                });
            }
            Bound::RoundedClientId { client } => {
                let Values::Texts(clients) = &columns[*client] else { return };
                let rounded: Vec<bool> =
                    clients.different.iter().map(|id| is_rounded(id.unwrap_or_default().as_bytes())).collect();
                findings.check_rows(rule, |row| rounded.get(clients.ids[row] as usize).map(|rounded| !rounded));
            }
            Bound::CodeDate { column, in_use } => {
                let codes = columns[*column].codes();
                findings.check_rows(rule, |row| {
                    let (from, to) = in_use[usize::from(code(codes, row)?)];
                    Some((from..=to).contains(&vaccination(row)?))
                });
            }
            Bound::CodeAge { column, ages: limits, grace, up_to } => {
                let codes = columns[*column].codes();
                findings.check_rows(rule, |row| {
                    let (min, max) = limits[usize::from(code(codes, row)?)];
                    // Without an age, or with one that another rule objects to, there is nothing to compare.
                    let months = ages[row]?.months();
                    if months > *up_to {
                        return None;
                    }
                    let in_grace = |birth: i32, day: i32| whole_months(birth, day + grace) >= min;
                    Some(months <= max && (months >= min || in_grace(birth(row)?, vaccination(row)?)))
                });
            }
            Bound::DisasterWindow { item } => {
                items.check_rows(*item, rule, findings, |row| Some(self.items.in_window(vaccination(row)?)));
            }
            Bound::DisasterItemDate { item, first, last } => {
                items.check_rows(*item, rule, findings, |row| Some(!(*first..=*last).contains(&vaccination(row)?)));
            }
            Bound::DisasterItemTooNew { cvx, too_new } => {
                let cvx = columns[*cvx].codes();
                findings.check_rows(rule, |row| {
                    let is_new = too_new[usize::from(code(cvx, row)?)];
                    let day = vaccination(row)?;
                    is_new.then(|| !self.items.in_window(day))
                });
            }
            Bound::DisasterRetention { item } => items.check_rows(*item, rule, findings, |_| Some(false)),
            Bound::ConsentClass { consent, disaster_consent } => {
                let (consent, disaster_consent) = (columns[*consent].codes(), columns[*disaster_consent].codes());
                findings.check_rows(rule, |row| {
                    let covers = self.covers.get(usize::from(code(consent, row)?))?;
                    let day = vaccination(row)?;
                    let disaster_item = self.items.in_window(day) && items.get(row).is_some();
                    Some(match covers[usize::from(disaster_item)] {
                        Covers::Always => true,
                        Covers::WithDisasterConsent => code(disaster_consent, row)
                            .is_some_and(|code| self.disaster_consent.get(usize::from(code)) == Some(&true)),
                        Covers::Never => false,
                    })
                });
            }
            // A consent without a date cannot be shown to be active.
            Bound::ConsentActive { date, first, last } => {
                let days = columns[*date].dates();
                findings
                    .check_rows(rule, |row| Some(day(days, row).is_some_and(|day| (*first..=*last).contains(&day))));
            }
            Bound::ConsentRecorded { consent } => {
                let consent = columns[*consent].codes();
                findings.check_rows(rule, |row| Some(code(consent, row).is_some()));
            }
            Bound::ConsentAge { consent, types, months, period_end } => {
                let consent = columns[*consent].codes();
                findings.check_rows(rule, |row| {
                    let is_of_child = types[usize::from(code(consent, row)?)];
                    let birth = birth(row)?;
                    is_of_child.then(|| whole_months(birth, *period_end) < *months)
                });
            }
        }
    }
}

/// The rows of a chunk, and what several rules need of them.
struct Chunk<'a> {
    columns: &'a [Values],
    births: &'a [i32],
    vaccinations: &'a [i32],
    ages: Vec<Option<Age>>,
    items: ItemsOfRows,
}

/// The disaster items among the rows of a chunk.
struct ItemsOfRows(Vec<Option<DisasterItem>>);

impl ItemsOfRows {
    /// The item of a row.
    fn get(&self, row: usize) -> Option<DisasterItem> {
        self.0.get(row).copied().flatten()
    }

    /// Holds the rows with an item to a rule.
    fn check_rows(
        &self,
        item: DisasterItem,
        rule: RuleId,
        findings: &mut Findings,
        verdict: impl Fn(usize) -> Option<bool>,
    ) {
        // In most chunks there is none.
        if self.0.contains(&Some(item)) {
            findings.check_rows(rule, |row| if self.get(row) == Some(item) { verdict(row) } else { None });
        }
    }
}

/// A client's birth and a day that is not before it.
#[derive(Clone, Copy, Debug)]
struct Age {
    birth: CivilDay,
    day: CivilDay,
}

impl Age {
    /// Completed months.
    fn months(self) -> i32 {
        self.birth.whole_months_to(self.day)
    }
}

/// The meanings of [`AGES`] that fit what a row says, one bit each; `days` is the age in days.
fn ages_that_fit(said: i32, age: Age, days: i32, period_end: CivilDay) -> u8 {
    // 30.4375 days are a twelfth of 365.25: 10,000 times as many, to stay with whole numbers.
    let (days, month_of_days) = (i64::from(days) * 10_000, 304_375);
    let said_of_days = i64::from(said);
    let fits = [
        age.months() == said,
        age.birth.calendar_months_to(age.day) == said,
        days / month_of_days == said_of_days,
        (days + month_of_days / 2) / month_of_days == said_of_days,
        age.birth.whole_months_to(period_end) == said,
    ];
    (0..).zip(fits).map(|(bit, fits)| u8::from(fits) << bit).sum()
}

/// Whether a number stands in scientific notation as spreadsheets write it: 7.17364E+11.
fn is_rounded(id: &[u8]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let Some(plus) = memchr::memchr(b'+', id) else { return false };
    let (mantissa, exponent) = (&id[..plus], &id[plus + 1..]);
    let Some((b'E' | b'e', mantissa)) = mantissa.split_last() else { return false };
    let (whole, digits) = match mantissa.iter().position(|byte| matches!(byte, b'.' | b',')) {
        Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
        None => (mantissa, &b"0"[..]),
    };
    is_number(whole) && is_number(digits) && is_number(exponent)
}

/// The day of a row that has one.
#[inline]
fn day(days: &[i32], row: usize) -> Option<i32> {
    days.get(row).copied().filter(|day| *day != NO_DATE)
}

/// The code of a row that has one.
#[inline]
fn code(codes: &[u16], row: usize) -> Option<u16> {
    codes.get(row).copied().filter(|code| *code != NO_CODE)
}
