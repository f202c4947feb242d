//! Every measure at its boundaries: `tests/cases/series/*.toml`, counted by hand; then invented histories, against a second
//! evaluator that is slow, obvious, and shares no code with `src/history`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

use chrono::{Datelike, Days, NaiveDate};
use serde::Deserialize;

use crate::support::{Month, Table, TestContext, csv_rows, parquet_table, sources, texts};

/// A client as a case writes it: day of birth, and days with codes.
type Doses = Vec<(NaiveDate, String)>;

/// The first year of the built-in dictionary's file.
const FIRST_YEAR: i32 = 2018;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no date"))
}

// ------------------------------------------------------------------ the second evaluator

/// The measure files as they stand, read as plain TOML.
struct Definitions {
    sets: BTreeMap<String, HashSet<String>>,
    measures: BTreeMap<String, toml::Table>,
}

impl Definitions {
    fn read() -> Self {
        let mut all = Self { sets: BTreeMap::new(), measures: BTreeMap::new() };
        for (_, text) in sources("dictionaries/phds/measures", "toml") {
            let file: toml::Table = text.parse().unwrap();
            let family = file["family"].as_str().unwrap();
            for (name, codes) in file.get("code_sets").and_then(toml::Value::as_table).into_iter().flatten() {
                let codes = codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
                all.sets.insert(format!("{family}:{name}"), codes.collect());
            }
            for measure in file["measure"].as_array().unwrap() {
                let measure = measure.as_table().unwrap().clone();
                all.measures.insert(measure["id"].as_str().unwrap().to_owned(), measure);
            }
        }
        all
    }

    fn months(&self, id: &str, key: &str) -> Option<String> {
        self.measures[id].get(key).map(|months| format!("{} months", months.as_integer().unwrap()))
    }

    /// Whether a client is old enough, young enough, and born late enough.
    fn is_in_cohort(&self, id: &str, birth: NaiveDate, as_of: NaiveDate) -> bool {
        let since = self.months(id, "history_from_months").map_or(birth, |age| after(birth, &age));
        let is_young = self.months(id, "under_age_months").is_none_or(|age| as_of < after(birth, &age));
        after(birth, &self.months(id, "by_age_months").unwrap()) <= as_of && is_young && since.year() >= FIRST_YEAR
    }

    /// Whether a client meets a measure: the doses that came in time are looked at, all others are not.
    fn is_met(&self, id: &str, birth: NaiveDate, doses: &Doses) -> bool {
        let reached = after(birth, &self.months(id, "by_age_months").unwrap());
        let in_time = |day: NaiveDate| match self.measures[id]["cutoff"].as_str().unwrap() {
            "before_birthday" => day < reached,
            "through_birthday" => day <= reached,
            other => panic!("{other}"),
        };
        let doses: Doses = doses.iter().filter(|(day, _)| in_time(*day)).cloned().collect();
        self.is_complete(id, birth, &doses)
    }

    /// Whether these doses are what a measure asks for, whenever they came.
    fn is_complete(&self, id: &str, birth: NaiveDate, doses: &Doses) -> bool {
        let measure = &self.measures[id];
        let parts =
            |key: &str| measure.get(key).map(|ids| ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap()));
        if let Some(mut parts) = parts("all_of") {
            return parts.all(|part| self.is_complete(part, birth, doses));
        }
        if let Some(mut parts) = parts("none_of") {
            return !parts.any(|part| self.is_complete(part, birth, doses));
        }
        let family = id.split('.').next().unwrap();
        measure["series"].as_array().unwrap().iter().any(|way| self.is_done(family, way, birth, doses))
    }

    fn is_done(&self, family: &str, way: &toml::Value, birth: NaiveDate, doses: &Doses) -> bool {
        let age = |of: &toml::Value, key: &str| of.get(key).map(|age| after(birth, age.as_str().unwrap()));
        let in_sets = |of: &toml::Value, code: &str| {
            of["codes"].as_array().unwrap().iter().any(|set| {
                let set = set.as_str().unwrap();
                let name = if set.contains(':') { set.to_owned() } else { format!("{family}:{set}") };
                self.sets[&name].contains(code)
            })
        };
        let counts = |of: &toml::Value, day: NaiveDate, code: &str| {
            in_sets(of, code)
                && age(of, "from").is_none_or(|from| day >= from)
                && age(of, "through").is_none_or(|through| day <= through)
        };
        let counted: Vec<&(NaiveDate, String)> = doses
            .iter()
            .filter(|(day, code)| {
                counts(way, *day, code) || way.get("also").is_some_and(|also| counts(also, *day, code))
            })
            .collect();
        let mut days: Vec<NaiveDate> = Vec::new();
        for day in counted.iter().map(|(day, _)| *day).collect::<BTreeSet<_>>() {
            let apart = way.get("apart").map(|apart| apart.as_str().unwrap());
            if days.last().is_none_or(|last| apart.is_none_or(|apart| day >= after(*last, apart))) {
                days.push(day);
            }
        }
        if days.len() < usize::try_from(way["doses"].as_integer().unwrap()).unwrap() {
            return false;
        }
        let only_these = way.get("only").is_none_or(|only| {
            let first = usize::try_from(only["first"].as_integer().unwrap()).unwrap();
            counted.iter().filter(|(day, _)| days[..first].contains(day)).all(|(_, code)| in_sets(only, code))
        });
        only_these
            && age(way, "first_from").is_none_or(|from| days[0] >= from)
            && age(way, "first_before").is_none_or(|before| days[0] < before)
            && age(way, "last_from").is_none_or(|from| days.iter().any(|day| *day >= from))
    }

    /// The first day by which the doses are what a measure asks for.
    fn day(&self, id: &str, birth: NaiveDate, doses: &Doses) -> Option<NaiveDate> {
        let days: BTreeSet<NaiveDate> = doses.iter().map(|(day, _)| *day).collect();
        days.into_iter().find(|day| {
            let until: Doses = doses.iter().filter(|(given, _)| given <= day).cloned().collect();
            self.is_complete(id, birth, &until)
        })
    }

    /// The measures that have a column of days.
    fn with_series(&self) -> impl Iterator<Item = &str> {
        self.measures.iter().filter(|(_, measure)| measure.contains_key("series")).map(|(id, _)| id.as_str())
    }
}

/// `CDSi`'s arithmetic, word by word: `4 years - 4 days`. A day that does not exist is the first of the next month.
fn after(from: NaiveDate, age: &str) -> NaiveDate {
    let mut day = from;
    let words: Vec<&str> = age.split(' ').collect();
    for (at, unit) in words.iter().enumerate().skip(1) {
        let Ok(number) = words[at - 1].parse::<u32>() else { continue };
        let months = match unit.trim_end_matches('s') {
            "year" => 12 * number,
            "month" => number,
            unit => {
                let days = Days::new(u64::from(number) * if unit == "week" { 7 } else { 1 });
                day = if at > 1 && words[at - 2] == "-" { day - days } else { day + days };
                continue;
            }
        };
        let (year, month) = (day.year() + months.cast_signed() / 12, day.month() + months % 12);
        let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
        day = NaiveDate::from_ymd_opt(year, month, day.day())
            .unwrap_or_else(|| NaiveDate::from_ymd_opt(year + i32::from(month == 12), month % 12 + 1, 1).unwrap());
    }
    day
}

#[test]
fn the_second_evaluator_knows_the_calendar() {
    for (from, age, reached) in [
        ("2000-03-31", "6 months", "2000-10-01"),
        ("2000-01-31", "6 months - 4 days", "2000-07-27"),
        ("2020-02-29", "2 years", "2022-03-01"),
        ("2020-02-29", "4 years - 4 days", "2024-02-25"),
        ("2021-12-31", "2 months", "2022-03-01"),
        ("2021-01-01", "8 weeks - 4 days", "2021-02-22"),
        ("2021-12-30", "3 days", "2022-01-02"),
        ("2021-12-15", "12 months", "2022-12-15"),
        ("2021-12-15", "0 days", "2021-12-15"),
    ] {
        assert_eq!(after(date(from), age), date(reached), "{from} + {age}");
    }
}

// ------------------------------------------------------------------ months

/// Clients with days of vaccination, each in a ZIP code of its own, as a month that the program loads.
struct Registry {
    context: TestContext,
    period: String,
}

impl Registry {
    /// `times` clients like each one, in the ZIP code 10001 and so on.
    fn load(period: &str, clients: &[(NaiveDate, Doses)], times: usize) -> Self {
        let mut month = String::from("clients | ZIP CODE | BIRTH DATE | VACCINATION DATE | CVX CODE | VACCINE GROUP\n");
        for (at, (birth, doses)) in clients.iter().enumerate() {
            for (day, code) in doses {
                writeln!(month, "{times} c{at} | {} | {birth} | {day} | {code} | MMR", 10_001 + at).unwrap();
            }
        }
        let context = TestContext::new();
        let month = Month::of(&month);
        context.put("month.csv", month.bytes());
        let said = context.phds(&format!("load month.csv --period {period} --store store")).done().text();
        assert!(said.contains("+ 0 rejected"), "{said}");
        Self { context, period: period.to_owned() }
    }

    /// The day of a measure's column for each client of each ZIP code.
    fn days(&self, ids: &[&str]) -> BTreeMap<String, Vec<Option<NaiveDate>>> {
        let batches = parquet_table(&self.context.path("store"), &self.period, "clients");
        let zips = texts(&batches, |name| name == "zip");
        let columns: Vec<_> = ids
            .iter()
            .map(|id| {
                let column = format!("met_{}", id.replace('.', "_"));
                let days = texts(&batches, |name| name == column);
                assert_eq!(days.len(), zips.len(), "there is no column {column}");
                days
            })
            .collect();
        let mut of_zip = BTreeMap::new();
        for (row, zip) in zips.iter().enumerate() {
            let days: Vec<_> = columns.iter().map(|days| days[row][0].parse().ok()).collect();
            if let Some(other) = of_zip.insert(zip[0].clone(), days.clone()) {
                assert_eq!(other, days, "clients who are alike differ");
            }
        }
        of_zip
    }

    /// Label, numerator and denominator of every row that is shown.
    fn coverage(&self, id: &str, by: &str) -> BTreeMap<String, (usize, usize)> {
        let ask = format!("query coverage --store store --measure {id} --by {by} --format csv");
        let rows = csv_rows(&self.context.phds(&ask).done().stdout);
        let shown = rows.into_iter().skip(1).filter(|row| ["shown", "zero", "unreliable"].contains(&row[7].as_str()));
        shown.map(|row| (row[0].clone(), (row[2].parse().unwrap(), row[3].parse().unwrap()))).collect()
    }
}

// ------------------------------------------------------------------ by hand

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What it shows.
    #[serde(rename = "what")]
    _what: String,
    /// The month; its last day is the as-of date.
    period: String,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    measure: String,
    /// `birth`; `doses`, such as `2021-03-01 20+48, 2021-05-01 20`; `complete`, the day, for a measure with a series of
    /// its own; `counted`: yes, no, or out, for who is not in the cohort.
    table: String,
}

#[test]
fn every_measure_at_its_boundaries_counted_by_hand() {
    let definitions = Definitions::read();
    let mut met = BTreeSet::new();
    let mut missed = BTreeSet::new();
    for (path, text) in sources("tests/cases/series", "toml") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut clients = Vec::new();
        let mut expected = Vec::new();
        for Case { measure, table } in &file.cases {
            let table = Table::parse(table);
            let column =
                |name: &str| table.column(name).map(|cells| cells.into_iter().map(str::to_owned).collect::<Vec<_>>());
            let [births, doses, counted] = ["birth", "doses", "counted"].map(|name| column(name).unwrap());
            let complete = column("complete");
            for at in 0..births.len() {
                let visits = doses[at].split(',').map(|visit| visit.trim().split_once(' ').unwrap());
                let doses: Doses =
                    visits.flat_map(|(day, codes)| codes.split('+').map(|code| (date(day), code.to_owned()))).collect();
                clients.push((date(&births[at]), doses));
                expected.push((measure.as_str(), complete.as_ref().map(|days| days[at].clone()), counted[at].clone()));
            }
        }
        let registry = Registry::load(&file.period, &clients, 11);
        let ids: Vec<_> = definitions.with_series().collect();
        let days = registry.days(&ids);
        let as_of = after(date(&format!("{}-01", file.period)), "1 month").pred_opt().unwrap();
        let mut coverage = BTreeMap::new();
        for (at, (measure, complete, counted)) in expected.into_iter().enumerate() {
            let zip = (10_001 + at).to_string();
            let (birth, doses) = &clients[at];
            let place = format!("{name}: {measure}: born {birth}, {doses:?}");
            if let Some(complete) = complete {
                let column = ids.iter().position(|id| *id == measure).unwrap_or_else(|| panic!("{place}: no series"));
                let complete = complete.parse().ok();
                assert_eq!(days[&zip][column], complete, "{place}");
                assert_eq!(definitions.day(measure, *birth, doses), complete, "the second evaluator: {place}");
            }
            let rows = coverage.entry(measure).or_insert_with(|| registry.coverage(measure, "zip"));
            let answer = match rows.get(&zip) {
                None => "out",
                Some((11, 11)) => "yes",
                Some((0, 11)) => "no",
                other => panic!("{place}: {other:?}"),
            };
            assert_eq!(answer, counted, "{place}");
            let second = match definitions.is_in_cohort(measure, *birth, as_of) {
                true if definitions.is_met(measure, *birth, doses) => "yes",
                true => "no",
                false => "out",
            };
            assert_eq!(second, counted, "the second evaluator: {place}");
            match answer {
                "yes" => met.insert(measure.to_owned()),
                "no" => missed.insert(measure.to_owned()),
                _ => false,
            };
        }
    }
    let all: BTreeSet<_> = definitions.measures.into_keys().collect();
    assert_eq!(all.difference(&met).collect::<Vec<_>>(), Vec::<&String>::new(), "no case meets these");
    assert_eq!(all.difference(&missed).collect::<Vec<_>>(), Vec::<&String>::new(), "no case misses these");
}

// ------------------------------------------------------------------ by chance

/// Small numbers that are the same in every run (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Days on which something may turn, written as ages: of children, and of adolescents.
const TURNS: [&[&str]; 2] = [
    &[
        "0 days",
        "3 days",
        "42 days",
        "180 days",
        "2 months",
        "4 months",
        "7 months",
        "8 months",
        "12 months - 4 days",
        "12 months",
        "15 months",
        "24 months",
        "35 months",
        "4 years - 4 days",
        "6 years",
    ],
    &["9 years", "10 years", "11 years", "13 years", "15 years", "17 years"],
];
/// Intervals at which something may turn.
const GAPS: [&str; 5] = ["24 days", "8 weeks - 4 days", "5 months - 4 days", "1 month", "0 days"];

/// Histories whose doses lie around the days on which something turns: the day before, the day, the day after.
fn invented(count: usize, last: NaiveDate, definitions: &Definitions) -> Vec<(NaiveDate, Doses)> {
    let mut chance = Chance(7);
    let sets: Vec<Vec<&String>> = definitions
        .sets
        .values()
        .map(|set| {
            let mut codes: Vec<_> = set.iter().collect();
            codes.sort();
            codes
        })
        .collect();
    let eve = |day: NaiveDate, shift: usize| day.pred_opt().unwrap() + Days::new(shift as u64);
    let mut clients = Vec::new();
    while clients.len() < count {
        let mut birth = NaiveDate::from_ymd_opt(2008, 1, 1).unwrap() + Days::new(chance.below(16 * 365) as u64);
        if chance.below(3) == 0 {
            // The days that months differ by.
            birth = *chance.of(&["2018-01-31", "2020-02-29", "2019-08-31", "2021-12-31", "2010-03-31"].map(date));
        }
        let turns = TURNS[usize::from(birth.year() < 2014)];
        let mut doses = Doses::new();
        let mut day = birth;
        // A few code sets, so that series come about.
        let favourites: Vec<_> = (0..=chance.below(5)).map(|_| chance.below(sets.len())).collect();
        for _ in 0..=chance.below(14) {
            day = match chance.below(4) {
                0 => day,
                1 => after(birth, chance.of::<&str>(turns)),
                2 => eve(after(day, chance.of::<&str>(&GAPS)), chance.below(3)),
                _ => eve(after(birth, chance.of::<&str>(turns)), chance.below(3)),
            };
            let codes = &sets[*chance.of(&favourites)];
            if (birth..=last).contains(&day) {
                doses.push((day, (*chance.of(codes)).clone()));
            }
        }
        if !doses.is_empty() {
            clients.push((birth, doses));
        }
    }
    clients
}

#[test]
fn a_second_evaluator_agrees_on_invented_histories() {
    let definitions = Definitions::read();
    let clients = invented(3_000, date("2026-12-31"), &definitions);
    let registry = Registry::load("2026-12", &clients, 1);
    let ids: Vec<_> = definitions.with_series().collect();
    let days = registry.days(&ids);
    for (at, (birth, doses)) in clients.iter().enumerate() {
        let ours = &days[&(10_001 + at).to_string()];
        for (id, day) in ids.iter().zip(ours) {
            assert_eq!(definitions.day(id, *birth, doses), *day, "{id}: born {birth}, {doses:?}");
        }
    }
    let as_of = date("2026-12-31");
    for id in definitions.measures.keys() {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (birth, doses) in clients.iter().filter(|(birth, _)| definitions.is_in_cohort(id, *birth, as_of)) {
            let count = counts.entry(birth.year().to_string()).or_default();
            count.0 += usize::from(definitions.is_met(id, *birth, doses));
            count.1 += 1;
        }
        let shown = registry.coverage(id, "birth_year");
        assert!(shown.iter().all(|(year, count)| counts.get(year) == Some(count)), "{id}: {shown:?} {counts:?}");
        let could_be =
            |(met, all): &(usize, usize)| [*met, all - met, *all].iter().all(|number| !(1..11).contains(number));
        assert_eq!(shown.len(), counts.values().filter(|count| could_be(count)).count(), "{id}");
    }
    // Histories that complete nothing would agree on everything.
    for (at, id) in ids.iter().enumerate() {
        let complete = days.values().filter(|days| days[at].is_some()).count();
        assert!((20..2_980).contains(&complete), "{id} is complete in {complete} of 3,000");
    }
}
