//! Every measure at its boundaries: `tests/cases/series/*.toml`, counted by hand; then invented histories, against a second
//! evaluator that is slow, obvious, and shares no code with `src/history`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

use chrono::{Datelike, Days, NaiveDate};
use serde::Deserialize;

use crate::support::{Month, PERIOD, Table, TestContext, csv_rows, parquet_table, sources, texts};

/// A client as a case writes it: day of birth, and days with codes.
type Doses = Vec<(NaiveDate, String)>;

/// The first year of the built-in dictionary's file.
const FIRST_YEAR: i32 = 2018;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no date"))
}

// ------------------------------------------------------------------ the second evaluator

/// The measure files and the file of opportunities as they stand, read as plain TOML.
struct Definitions {
    sets: BTreeMap<String, HashSet<String>>,
    measures: BTreeMap<String, toml::Table>,
    opportunities: toml::Table,
}

impl Definitions {
    fn read() -> Self {
        let opportunities = include_str!("../../dictionaries/phds/opportunities.toml").parse().unwrap();
        let mut all = Self { sets: BTreeMap::new(), measures: BTreeMap::new(), opportunities };
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

    fn is_of_season(&self, id: &str) -> bool {
        self.measures[id].contains_key("season")
    }

    /// Whether a client is old enough, young enough, and born late enough.
    fn is_in_cohort(&self, id: &str, birth: NaiveDate, as_of: NaiveDate) -> bool {
        let (mut on, mut from) = (as_of, self.months(id, "by_age_months"));
        if let Some(season) = self.measures[id].get("season") {
            let day = season["aged_on"].as_str().unwrap();
            // The one of these days that is in the season of the as-of date.
            let mut days = [-1, 0, 1].map(|more| date(&format!("{}-{day}", as_of.year() + more))).into_iter();
            on = days.find(|day| season_of(*day) == season_of(as_of)).unwrap().min(as_of);
            from = Some(format!("{} months", season["from_age_months"]));
        }
        let is_young = self.months(id, "under_age_months").is_none_or(|age| on < after(birth, &age));
        let since = self.months(id, "history_from_months").map(|age| after(birth, &age));
        let since = since.or_else(|| (!self.is_of_season(id)).then_some(birth));
        after(birth, &from.unwrap()) <= on && is_young && since.is_none_or(|since| since.year() >= FIRST_YEAR)
    }

    /// Whether a client meets a measure: the doses that came in time are looked at, all others are not.
    fn is_met(&self, id: &str, birth: NaiveDate, doses: &Doses, as_of: NaiveDate) -> bool {
        if self.is_of_season(id) {
            let doses: Doses = doses.iter().filter(|(day, _)| *day <= as_of).cloned().collect();
            return self.is_complete(id, birth, &doses, Some(season_of(as_of)));
        }
        let reached = after(birth, &self.months(id, "by_age_months").unwrap());
        let in_time = |day: NaiveDate| match self.measures[id]["cutoff"].as_str().unwrap() {
            "before_birthday" => day < reached,
            "through_birthday" => day <= reached,
            other => panic!("{other}"),
        };
        let doses: Doses = doses.iter().filter(|(day, _)| in_time(*day)).cloned().collect();
        self.is_complete(id, birth, &doses, None)
    }

    /// Whether these doses are what a measure asks for, whenever they came, or in a season.
    fn is_complete(&self, id: &str, birth: NaiveDate, doses: &Doses, season: Option<i32>) -> bool {
        let measure = &self.measures[id];
        let parts =
            |key: &str| measure.get(key).map(|ids| ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap()));
        if let Some(mut parts) = parts("all_of") {
            return parts.all(|part| self.is_complete(part, birth, doses, season));
        }
        if let Some(mut parts) = parts("none_of") {
            return !parts.any(|part| self.is_complete(part, birth, doses, season));
        }
        let family = id.split('.').next().unwrap();
        measure["series"].as_array().unwrap().iter().any(|way| self.is_done(family, way, birth, doses, season))
    }

    /// Whether a code is one of those that a way, or a part of it, names.
    fn in_sets(&self, family: &str, of: &toml::Value, code: &str) -> bool {
        of["codes"].as_array().unwrap().iter().any(|set| {
            let set = set.as_str().unwrap();
            let name = if set.contains(':') { set.to_owned() } else { format!("{family}:{set}") };
            self.sets[&name].contains(code)
        })
    }

    /// The doses that count for a way.
    fn counted(&self, family: &str, way: &toml::Value, birth: NaiveDate, doses: &Doses) -> Doses {
        let counts = |of: &toml::Value, day: NaiveDate, code: &str| {
            self.in_sets(family, of, code)
                && age(birth, of, "from").is_none_or(|from| day >= from)
                && age(birth, of, "through").is_none_or(|through| day <= through)
        };
        let counted = doses.iter().filter(|(day, code)| {
            counts(way, *day, code) || way.get("also").is_some_and(|also| counts(also, *day, code))
        });
        counted.cloned().collect()
    }

    fn is_done(&self, family: &str, way: &toml::Value, birth: NaiveDate, doses: &Doses, season: Option<i32>) -> bool {
        let age = |of: &toml::Value, key: &str| age(birth, of, key);
        let in_sets = |of: &toml::Value, code: &str| self.in_sets(family, of, code);
        let mut counted = self.counted(family, way, birth, doses);
        let apart = way.get("apart").map(|apart| apart.as_str().unwrap());
        if let Some(season) = season {
            let before: Doses = counted.iter().filter(|(day, _)| season_of(*day) < season).cloned().collect();
            let needed = way.get("before_season").map_or(0, |days| days.as_integer().unwrap());
            if spaced(&before, apart).len() < usize::try_from(needed).unwrap() {
                return false;
            }
            counted.retain(|(day, _)| season_of(*day) == season);
        }
        let days = spaced(&counted, apart);
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
    fn day(&self, id: &str, birth: NaiveDate, doses: &Doses, season: Option<i32>) -> Option<NaiveDate> {
        let days: BTreeSet<NaiveDate> = doses.iter().map(|(day, _)| *day).collect();
        days.into_iter().find(|day| {
            let until: Doses = doses.iter().filter(|(given, _)| given <= day).cloned().collect();
            self.is_complete(id, birth, &until, season)
        })
    }

    /// The days on which anything was given.
    fn visits(&self, doses: &Doses) -> BTreeSet<NaiveDate> {
        doses.iter().filter(|(_, code)| self.is_dose(code)).map(|(day, _)| *day).collect()
    }

    fn is_dose(&self, code: &str) -> bool {
        !self.opportunities["no_dose"].as_array().unwrap().iter().any(|none| none.as_str() == Some(code))
    }

    /// The table of the vaccine of a measure.
    fn vaccine(&self, id: &str) -> Option<&toml::Value> {
        let mut vaccines = self.opportunities["vaccine"].as_array().unwrap().iter();
        vaccines.find(|vaccine| vaccine["measures"].as_array().unwrap().iter().any(|named| named.as_str() == Some(id)))
    }

    /// The measures with series that a measure is made of.
    fn parts<'a>(&'a self, id: &'a str) -> BTreeSet<&'a str> {
        let measure = &self.measures[id];
        let Some(parts) = measure.get("all_of").or(measure.get("none_of")) else { return BTreeSet::from([id]) };
        parts.as_array().unwrap().iter().flat_map(|part| self.parts(part.as_str().unwrap())).collect()
    }

    /// The day by which a series would have been complete, had no visit been a missed opportunity.
    fn could(&self, id: &str, birth: NaiveDate, doses: &Doses) -> Option<NaiveDate> {
        let vaccine = self.vaccine(id).unwrap();
        let asking = self.measures.keys().filter(|other| self.parts(other).contains(id));
        let oldest = asking.map(|other| after(birth, &self.months(other, "by_age_months").unwrap())).max().unwrap();
        let ways = self.measures[id]["series"].as_array().unwrap().iter();
        let could = ways.filter_map(|way| self.could_by(id, vaccine, way, birth, doses)).filter(|day| *day <= oldest);
        could.chain(self.day(id, birth, doses, None)).min()
    }

    fn could_by(
        &self,
        id: &str,
        vaccine: &toml::Value,
        way: &toml::Value,
        birth: NaiveDate,
        doses: &Doses,
    ) -> Option<NaiveDate> {
        let family = id.split('.').next().unwrap();
        let needed = usize::try_from(way["doses"].as_integer().unwrap()).unwrap();
        let mut dues = vaccine["doses"].as_array().unwrap().clone();
        if let Some(last) = vaccine.get("last") {
            dues.truncate(needed - 1);
            dues.push(last.clone());
        }
        let given = self.counted(family, way, birth, doses);
        let of_product = |code: &str| way.get("only").is_none_or(|only| self.in_sets(family, only, code));
        if way.get("only").is_some() {
            let first = given.iter().map(|(day, _)| *day).min()?;
            if !given.iter().filter(|(day, _)| *day == first).all(|(_, code)| of_product(code)) {
                return None;
            }
        }
        let mut counted: Vec<NaiveDate> = Vec::new();
        for day in self.visits(doses) {
            let waited = |since: Option<&NaiveDate>, of: &toml::Value, key: &str| {
                let wait = of.get(key).map(|wait| wait.as_str().unwrap());
                since.zip(wait).is_none_or(|(since, wait)| day >= after(*since, wait))
            };
            let due = &dues[counted.len().min(needed - 1)];
            let far_enough = waited(counted.last(), way, "apart");
            let would_be_last = counted.len() + 1 >= needed;
            let may_be_given = age(birth, due, "from").is_none_or(|from| day >= from)
                && age(birth, due, "before").is_none_or(|before| day < before)
                && waited(counted.last(), due, "after")
                && waited(counted.first(), due, "after_first")
                && age(birth, way, "from").is_none_or(|from| day >= from)
                && age(birth, way, "through").is_none_or(|through| day <= through)
                && (!would_be_last || age(birth, way, "last_from").is_none_or(|from| day >= from));
            if far_enough && (may_be_given || given.iter().any(|(given, _)| *given == day)) {
                counted.push(day);
            }
            let begins = counted.first().is_none_or(|first| {
                age(birth, way, "first_from").is_none_or(|from| *first >= from)
                    && age(birth, way, "first_before").is_none_or(|before| *first < before)
            });
            let firsts =
                way.get("only").map_or(0, |only| usize::try_from(only["first"].as_integer().unwrap()).unwrap());
            let firsts = &counted[..firsts.min(counted.len())];
            let pure = given.iter().all(|(given, code)| !firsts.contains(given) || of_product(code));
            let late_enough = age(birth, way, "last_from").is_none_or(|from| counted.iter().any(|day| *day >= from));
            if begins && pure && late_enough && counted.len() >= needed {
                return Some(day);
            }
        }
        None
    }

    /// The day from which on no part of a combination lacks more than one dose.
    fn near(&self, id: &str, birth: NaiveDate, doses: &Doses) -> Option<NaiveDate> {
        let parts = self.parts(id).into_iter().map(|part| {
            let family = part.split('.').next().unwrap();
            let ways = self.measures[part]["series"].as_array().unwrap().iter();
            ways.filter_map(|way| self.near_by(family, way, birth, doses)).min()
        });
        parts.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn near_by(&self, family: &str, way: &toml::Value, birth: NaiveDate, doses: &Doses) -> Option<NaiveDate> {
        let needed = way["doses"].as_integer().unwrap();
        if needed == 1 {
            let open = age(birth, way, "first_from").unwrap_or(birth);
            let too_early = self.counted(family, way, birth, doses).into_iter().any(|(day, _)| day < open);
            return (!too_early || way.get("first_from").is_none()).then_some(open);
        }
        let mut less = way.as_table().unwrap().clone();
        less.insert("doses".to_owned(), (needed - 1).into());
        less.remove("last_from");
        if let Some(only) = less.get_mut("only") {
            let first = only["first"].as_integer().unwrap().min(needed - 1);
            only.as_table_mut().unwrap().insert("first".to_owned(), first.into());
        }
        let less = toml::Value::Table(less);
        let days: BTreeSet<NaiveDate> = doses.iter().map(|(day, _)| *day).collect();
        days.into_iter().find(|day| {
            let until: Doses = doses.iter().filter(|(given, _)| given <= day).cloned().collect();
            self.is_done(family, &less, birth, &until, None)
        })
    }

    /// The measures that have a column of a kind, each with the seasons of a file until a day; `None` where it has no seasons.
    fn with(&self, kind: &str, last: NaiveDate) -> Vec<(&str, Option<i32>)> {
        let has = |id: &str| match kind {
            "met" => self.measures[id].contains_key("series"),
            "could" => self.vaccine(id).is_some(),
            "near" => self.measures[id].contains_key("one_visit"),
            other => panic!("{other}"),
        };
        let measures = self.measures.keys().map(String::as_str).filter(|id| has(id));
        let seasons = |id: &str| {
            if self.is_of_season(id) { (FIRST_YEAR..=season_of(last)).map(Some).collect() } else { vec![None] }
        };
        measures.flat_map(|id| seasons(id).into_iter().map(move |season| (id, season))).collect()
    }

    /// What a column of a kind holds for a measure, or for a season of it.
    fn answer(
        &self,
        kind: &str,
        (id, season): (&str, Option<i32>),
        birth: NaiveDate,
        doses: &Doses,
    ) -> Option<NaiveDate> {
        match kind {
            "met" => self.day(id, birth, doses, season),
            "could" => self.could(id, birth, doses),
            "near" => self.near(id, birth, doses),
            other => panic!("{other}"),
        }
    }
}

/// The year in which the season of a day begins.
fn season_of(day: NaiveDate) -> i32 {
    let last_of_june = NaiveDate::from_ymd_opt(day.year(), 6, 30).unwrap();
    day.year() - i32::from(day <= last_of_june)
}

/// The distinct days of doses that count, when so much time must lie between two.
fn spaced(doses: &Doses, apart: Option<&str>) -> Vec<NaiveDate> {
    let mut days: Vec<NaiveDate> = Vec::new();
    for day in doses.iter().map(|(day, _)| *day).collect::<BTreeSet<_>>() {
        if days.last().is_none_or(|last| apart.is_none_or(|apart| day >= after(*last, apart))) {
            days.push(day);
        }
    }
    days
}

/// The day of an age that a table may name.
fn age(birth: NaiveDate, of: &toml::Value, key: &str) -> Option<NaiveDate> {
    of.get(key).map(|age| after(birth, age.as_str().unwrap()))
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
        let columns = ["VACCINATION DATE", "CVX CODE", "VACCINE GROUP", "GIVEN BY ORG ID"].join(" | ");
        let mut month = format!("clients | ZIP CODE | BIRTH DATE | {columns}\n");
        for (at, (birth, doses)) in clients.iter().enumerate() {
            for (dose, (day, code)) in doses.iter().enumerate() {
                let (group, organization) = (group(at, dose), organization(at, dose));
                let of_client = format!("{times} c{at} | {} | {birth}", 10_001 + at);
                writeln!(month, "{of_client} | {day} | {code} | {group} | {organization}").unwrap();
            }
        }
        let context = TestContext::new();
        let month = Month::of(&month);
        context.put("month.csv", month.bytes());
        let said = context.phds(&format!("load month.csv --period {period} --store store")).done().text();
        assert!(said.contains("+ 0 rejected"), "{said}");
        Self { context, period: period.to_owned() }
    }

    /// Some columns of `clients` for each client of each ZIP code.
    fn clients(&self, columns: &[String]) -> BTreeMap<String, Vec<String>> {
        let batches = parquet_table(&self.context.path("store"), &self.period, "clients");
        let zips = texts(&batches, |name| name == "zip");
        let columns: Vec<_> = columns
            .iter()
            .map(|column| {
                let values = texts(&batches, |name| name == column);
                assert!(values.iter().all(|row| row.len() == 1), "there is no column {column}");
                values
            })
            .collect();
        let mut of_zip = BTreeMap::new();
        for (row, zip) in zips.iter().enumerate() {
            let values: Vec<_> = columns.iter().map(|values| values[row][0].clone()).collect();
            if let Some(other) = of_zip.insert(zip[0].clone(), values.clone()) {
                assert_eq!(other, values, "clients who are alike differ");
            }
        }
        of_zip
    }

    /// The day of a kind of column of each measure or season, for each client of each ZIP code.
    fn days(&self, kind: &str, of: &[(&str, Option<i32>)]) -> BTreeMap<String, Vec<Option<NaiveDate>>> {
        let of_season = |season: &Option<i32>| season.map(|year| format!("_{year}")).unwrap_or_default();
        let columns = of.iter().map(|(id, season)| format!("{kind}_{}{}", id.replace('.', "_"), of_season(season)));
        let columns: Vec<_> = columns.collect();
        let days = |values: Vec<String>| values.iter().map(|day| day.parse().ok()).collect();
        self.clients(&columns).into_iter().map(|(zip, values)| (zip, days(values))).collect()
    }

    /// Day, code, whether it is a dose, and whether it is one of its group: of the rows of each ZIP code's client, in the
    /// order in which they are stored.
    fn rows(&self) -> BTreeMap<String, Vec<Vec<String>>> {
        let store = self.context.path("store");
        let clients = parquet_table(&store, &self.period, "clients");
        let zip_of: BTreeMap<_, _> = texts(&clients, |name| ["client_key", "zip"].contains(&name))
            .into_iter()
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect();
        let wanted = ["client_key", "vaccination_date", "cvx_code", "dose", "group_dose"];
        let immunizations = parquet_table(&store, &self.period, "immunizations");
        let mut of_zip: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in texts(&immunizations, |name| wanted.contains(&name)) {
            of_zip.entry(zip_of[&row[0]].clone()).or_default().push(row[1..].to_vec());
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

/// The vaccine group of a row, whatever its vaccine is; sometimes missing.
fn group(client: usize, dose: usize) -> &'static str {
    ["MMR", "DTAP", "", "MMR"][(client + dose / 2) % 4]
}

/// The organization of a row; sometimes missing.
fn organization(client: usize, dose: usize) -> &'static str {
    ["alpha", "beta", "alpha", "", "gamma"][(client * 7 + dose * dose) % 5]
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
    /// `birth`; `doses`, such as `2021-03-01 20+48, 2021-05-01 20`; and what is expected, any of: `complete`, the day, for
    /// a measure with a series of its own; `could`, the day without missed opportunities; `near`, the day from which on
    /// no part lacks more than one dose; `counted`: yes, no, or out, for who is not in the cohort.
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
            let [births, doses] = ["birth", "doses"].map(|name| column(name).unwrap());
            let days = [("complete", "met"), ("could", "could"), ("near", "near")];
            let days = days.map(|(name, kind)| (kind, column(name)));
            let counted = column("counted");
            assert!(counted.is_some() || days.iter().any(|(_, days)| days.is_some()), "{name}: nothing is expected");
            for at in 0..births.len() {
                let visits = doses[at].split(',').map(|visit| visit.trim().split_once(' ').unwrap());
                let doses: Doses =
                    visits.flat_map(|(day, codes)| codes.split('+').map(|code| (date(day), code.to_owned()))).collect();
                clients.push((date(&births[at]), doses));
                let of_row = |cells: &Option<Vec<String>>| cells.as_ref().map(|cells| cells[at].clone());
                let days = days.each_ref().map(|(kind, days)| (*kind, of_row(days)));
                expected.push((measure.as_str(), days, of_row(&counted)));
            }
        }
        let registry = Registry::load(&file.period, &clients, 11);
        let as_of = after(date(&format!("{}-01", file.period)), "1 month").pred_opt().unwrap();
        let stored = ["met", "could", "near"].map(|kind| {
            let columns = definitions.with(kind, as_of);
            let days = registry.days(kind, &columns);
            (kind, (columns, days))
        });
        let stored = BTreeMap::from(stored);
        let mut coverage = BTreeMap::new();
        for (at, (measure, days, counted)) in expected.into_iter().enumerate() {
            let zip = (10_001 + at).to_string();
            let (birth, doses) = &clients[at];
            let place = format!("{name}: {measure}: born {birth}, {doses:?}");
            for (kind, day) in days.into_iter().filter_map(|(kind, day)| Some((kind, day?))) {
                let (columns, stored) = &stored[kind];
                let asked = (measure, definitions.is_of_season(measure).then(|| season_of(as_of)));
                let column = columns.iter().position(|of| *of == asked).unwrap_or_else(|| panic!("{place}: no {kind}"));
                let day = (!day.is_empty()).then(|| date(&day));
                assert_eq!(stored[&zip][column], day, "{kind}: {place}");
                assert_eq!(
                    definitions.answer(kind, asked, *birth, doses),
                    day,
                    "the second evaluator: {kind}: {place}"
                );
            }
            let Some(counted) = counted else { continue };
            let rows = coverage.entry(measure).or_insert_with(|| registry.coverage(measure, "zip"));
            let answer = match rows.get(&zip) {
                None => "out",
                Some((11, 11)) => "yes",
                Some((0, 11)) => "no",
                other => panic!("{place}: {other:?}"),
            };
            assert_eq!(answer, counted, "{place}");
            let second = match definitions.is_in_cohort(measure, *birth, as_of) {
                true if definitions.is_met(measure, *birth, doses, as_of) => "yes",
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

#[test]
fn the_program_itself_goes_through_the_same_cases() {
    let files = sources("tests/cases/series", "toml");
    let context = TestContext::new();
    let mut arguments = vec!["measures".to_owned(), "--cases".to_owned()];
    let mut expected = Vec::new();
    for (path, text) in &files {
        let file: File = toml::from_str(text).unwrap();
        let rows: usize = file.cases.iter().map(|case| Table::parse(&case.table).rows.len()).sum();
        expected.push(format!("{}: {rows} rows as expected, of ", path.display()));
        arguments.push(path.display().to_string());
    }
    let said = context.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).done().text();
    let told: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(
        told.len() == expected.len() && told.iter().zip(&expected).all(|(told, start)| told.starts_with(start)),
        "{said}"
    );
}

/// A family of a department, with one measure.
const HILL: &str = "\
schema_version = 2
family = 'hill'
version = '1'
title = 'Ours'
about = 'Every dose counts.'
source = 'An advisory'
source_date = '2024'
caveats = []
[[measure]]
id = 'hill.early'
title = 'MMR at 6 to 11 months'
definition = 'One dose of MMR from 6 months and before the first birthday.'
source = 'An advisory'
basis = 'read'
by_age_months = 12
cutoff = 'before_birthday'
series = [{ doses = 1, codes = ['nis:MMR'], from = '6 months' }]
";

#[test]
fn a_department_asks_by_a_measure_of_its_own() {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n");
    let month = "\
clients | BIRTH DATE | VACCINATION DATE | CVX CODE
20 a    | 2022-06-15 | 2022-12-15       | 03
30 b    | 2022-06-15 | 2022-12-14       | 03
";
    context.put("month.csv", Month::of(month).bytes());
    context.phds(&format!("load month.csv --period {PERIOD}")).done();
    context.put("phds.toml", "store = 'store'\n[measures]\nfiles = ['own/hill.toml']\n");
    context.put("own/hill.toml", HILL);
    let ask = "query coverage --measure hill.early --format csv --out early.csv";
    let said = context.phds(ask).ended(2).stderr;
    assert!(
        said.contains("was loaded with another definition of `hill.early`") && said.contains("load --again"),
        "{said}"
    );
    context.phds("load --again").done();
    context.phds(ask).done();
    let rows = csv_rows(&context.read("early.csv"));
    assert_eq!(rows[1][1..3], ["20", "50"], "{rows:?}");
    let caveats = context.json("release.json")["caveats"].to_string();
    assert!(caveats.contains("A definition of the department's own"), "{caveats}");
    // What was loaded with it is another month without it, and the built-in measures are as they were.
    context.put("phds.toml", "store = 'store'\n");
    context.phds("query coverage --measure nis.mmr1 --by birth_year --format csv").done();
    let said = context.phds("query coverage --measure hill.early").ended(2).stderr;
    assert!(said.contains("there is no measure `hill.early`"), "{said}");
}

#[test]
fn what_is_wrong_with_a_family_or_a_case_is_said() {
    let context = TestContext::new();
    let settings = |files: &str| format!("[measures]\nfiles = [{files}]\n");
    context.put("twice.toml", HILL);
    for (family, files, message) in [
        (HILL.to_owned(), "'none.toml'", "none.toml"),
        (
            HILL.to_owned(),
            "'hill.toml', 'twice.toml'",
            "`twice.toml`: the family `hill` is there already, in `hill.toml`",
        ),
        (
            HILL.replace("'hill'", "'nis'"),
            "'hill.toml'",
            "`hill.toml`: the family `nis` is there already, in `nis.toml`",
        ),
        (HILL.replace("hill.early", "nis.early"), "'hill.toml'", "the id must be the family"),
        (HILL.replace("nis:MMR", "MMR"), "'hill.toml'", "there is no code set `MMR`"),
        (HILL.replace("'read'", "'heard'"), "'hill.toml'", "`hill.toml`, line 14"),
        (HILL.replace("'MMR at 6 to 11 months'", "''"), "'hill.toml'", "it needs a title"),
    ] {
        context.put("hill.toml", family);
        context.put("phds.toml", settings(files));
        let said = context.phds("measures").ended(2).stderr;
        assert!(said.contains(message), "{said}");
    }
    context.put("hill.toml", HILL);
    context.put("phds.toml", settings("'hill.toml'"));
    let row = "2022-06-15 | 2022-12-15 03 | 2022-12-15 | yes";
    let cases = |columns: &str, row: &str| {
        let table = format!("table = \"\"\"\n{columns}\n{row}\n\"\"\"");
        format!("what = ''\nperiod = '2024-12'\n[[case]]\nmeasure = 'hill.early'\n{table}\n")
    };
    for (row, code, message) in [
        (row, 0, "cases.toml: 1 row as expected, of hill.early\n  no case is counted, or none is not, of hill.early"),
        (
            "2022-06-15 | 2022-12-14 03 | 2022-12-15 | yes",
            1,
            "hill.early, row 1: `complete` is no day, and 2022-12-15 was expected",
        ),
        ("2022-06-15 | 2022-12-15 03 | 2022-12-15 | no", 1, "hill.early, row 1: `counted` is yes, and no was expected"),
        ("2022-06-15 | 2022-12-15 03 |            | yes", 1, "`complete` is 2022-12-15, and no day was expected"),
        ("2022-06-15 | 2022-12-15 03 | 2022-12-15 | ja", 2, "row 1: `counted` is yes, no or out"),
        ("2022-06-15 | 2022-12-15 03 | soon       | yes", 2, "row 1: `complete` is a day"),
        ("2022-02-30 | 2022-12-15 03 | 2022-12-15 | yes", 2, "row 1: `birth` is a day"),
        ("2022-06-15 | 2022-12-15    | 2022-12-15 | yes", 2, "row 1: `doses` are days with CVX codes"),
        ("2022-06-15 | 2022-12-15 3x | 2022-12-15 | yes", 2, "row 1: a code of `doses` is no CVX code"),
        ("2022-06-15 | 2022-12-15 03 | 2022-12-15", 2, "row 1: it has 3 cells for 4 columns"),
    ] {
        context.put("cases.toml", cases("birth | doses | complete | counted", row));
        let outcome = context.phds("measures --cases cases.toml").ended(code);
        let said = outcome.text() + &outcome.stderr;
        assert!(said.contains(message), "{said}");
    }
    for (columns, message) in [
        ("birth | doses | could | counted", "a load stores no `could` of this measure"),
        ("birth | doses", "a table has the columns"),
        ("birth | doses | done", "a table has the columns"),
        ("birth | doses | birth | counted", "a table has the columns"),
    ] {
        context.put("cases.toml", cases(columns, row));
        let said = context.phds("measures --cases cases.toml").ended(2).stderr;
        assert!(said.contains(message), "{said}");
    }
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
        // Some have what every child should have, so that combinations come about, too.
        let has_all = chance.below(6) == 0;
        for _ in 0..=chance.below(if has_all { 28 } else { 14 }) {
            day = match chance.below(4) {
                0 => day,
                1 => after(birth, chance.of::<&str>(turns)),
                2 => eve(after(day, chance.of::<&str>(&GAPS)), chance.below(3)),
                _ => eve(after(birth, chance.of::<&str>(turns)), chance.below(3)),
            };
            let favourite = *chance.of(&favourites);
            let of_favourite = chance.of(&sets[favourite]).as_str();
            let code = if has_all { *chance.of(&["146", "133", "48", "49", "94", "83", "165"]) } else { of_favourite };
            if (birth..=last).contains(&day) {
                let code = if chance.below(20) == 0 { "998" } else { code };
                doses.push((day, code.to_owned()));
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
    let as_of = date("2026-12-31");
    for kind in ["met", "could", "near"] {
        let columns = definitions.with(kind, as_of);
        let days = registry.days(kind, &columns);
        for (at, (birth, doses)) in clients.iter().enumerate() {
            let ours = &days[&(10_001 + at).to_string()];
            for (of, day) in columns.iter().zip(ours) {
                let second = definitions.answer(kind, *of, *birth, doses);
                assert_eq!(second, *day, "{kind} of {of:?}: born {birth}, {doses:?}");
            }
        }
        // Histories that complete nothing would agree on everything. Few of them have a dose in one season.
        for (at, (id, season)) in columns.iter().enumerate() {
            let there = days.values().filter(|days| days[at].is_some()).count();
            let least = if season.is_some() { 5 } else { 20 };
            assert!((least..2_980).contains(&there), "{kind} of {id} {season:?}: {there} of 3,000");
        }
    }
    for id in definitions.measures.keys() {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (birth, doses) in clients.iter().filter(|(birth, _)| definitions.is_in_cohort(id, *birth, as_of)) {
            let count = counts.entry(birth.year().to_string()).or_default();
            count.0 += usize::from(definitions.is_met(id, *birth, doses, as_of));
            count.1 += 1;
        }
        let shown = registry.coverage(id, "birth_year");
        assert!(shown.iter().all(|(year, count)| counts.get(year) == Some(count)), "{id}: {shown:?} {counts:?}");
        let could_be =
            |(met, all): &(usize, usize)| [*met, all - met, *all].iter().all(|number| !(1..11).contains(number));
        assert_eq!(shown.len(), counts.values().filter(|count| could_be(count)).count(), "{id}");
    }
}

#[test]
fn a_second_author_agrees_on_visits_organizations_and_doses() {
    let definitions = Definitions::read();
    let clients = invented(1_000, date("2026-12-31"), &definitions);
    let registry = Registry::load("2026-12", &clients, 1);
    let columns = ["first_vaccination", "last_vaccination", "organization_first", "organization_last"];
    let columns: Vec<_> = columns.into_iter().chain(["organization_most"]).map(str::to_owned).collect();
    let stored = registry.clients(&columns);
    let rows = registry.rows();
    for (at, (_, doses)) in clients.iter().enumerate() {
        let zip = (10_001 + at).to_string();
        // Day, place in the file, organization.
        let mut given: Vec<(NaiveDate, usize, &str)> = Vec::new();
        for (dose, (day, code)) in doses.iter().enumerate().filter(|(_, (_, code))| definitions.is_dose(code)) {
            assert!(!code.is_empty());
            given.push((*day, dose, organization(at, dose)));
        }
        given.sort_unstable();
        let days: Vec<NaiveDate> = definitions.visits(doses).into_iter().collect();
        let last_on = |day: &NaiveDate| given.iter().rfind(|(given, ..)| given == day).map_or("", |(.., of)| of);
        let days_of =
            |name: &str| given.iter().filter(|(.., of)| *of == name).map(|(day, ..)| day).collect::<BTreeSet<_>>();
        let latest_of = |name: &str| given.iter().rposition(|(.., of)| *of == name);
        let most = ["alpha", "beta", "gamma"].into_iter().filter(|name| !days_of(name).is_empty());
        let most = most.max_by_key(|name| (days_of(name).len(), latest_of(name))).unwrap_or_default();
        let [first, last] = [days.first(), days.last()];
        let expected = [
            first.map(ToString::to_string).unwrap_or_default(),
            last.map(ToString::to_string).unwrap_or_default(),
            first.map(last_on).unwrap_or_default().to_owned(),
            last.map(last_on).unwrap_or_default().to_owned(),
            most.to_owned(),
        ];
        assert_eq!(stored[&zip], expected, "{doses:?}");

        let mut in_order: Vec<(usize, &(NaiveDate, String))> = doses.iter().enumerate().collect();
        in_order.sort_by_key(|(dose, (day, _))| (*day, *dose));
        let (mut doses_seen, mut of_groups_seen) = (HashSet::new(), HashSet::new());
        for ((dose, (day, code)), stored) in in_order.into_iter().zip(&rows[&zip]) {
            let is_dose = definitions.is_dose(code);
            let flags = [
                is_dose && doses_seen.insert((day, code)),
                is_dose && of_groups_seen.insert((day, code, group(at, dose))),
            ];
            let expected = [day.to_string(), code.clone(), flags[0].to_string(), flags[1].to_string()];
            assert_eq!(stored.as_slice(), expected, "{doses:?}");
        }
    }
}

#[test]
fn which_rows_are_doses_counted_by_hand() {
    let context = TestContext::new();
    context.load(&Month::of(
        "clients | VACCINATION DATE | CVX CODE | VACCINE GROUP | PROVIDER NAME\n\
         1 a     | 2022-07-01       | 03       | MMR           | First\n\
         1 a     | 2022-07-01       | 03       | MMR           | Second\n\
         1 a     | 2022-07-01       | 03       | VARICELLA     | Third\n\
         1 a     | 2022-07-01       | 120      | DTAP          | Third\n\
         1 a     | 2022-07-01       | 120      |               | Third\n\
         1 a     | 2022-07-01       | 998      | MMR           | Third\n\
         1 a     | 2022-07-01       |          | MMR           | Third\n\
         1 a     | 2022-07-02       | 03       | MMR           | Third\n\
         1 b     | 2022-07-02       | 03       | MMR           | Third\n\
         1 c     | 2022-07-02       | 999      | MMR           | Third\n",
    ));
    let table = |name: &str| parquet_table(&context.path("store"), PERIOD, name);
    let rows = texts(&table("immunizations"), |name| ["provider_name", "dose", "group_dose"].contains(&name));
    let mut rows: Vec<_> = rows.into_iter().map(|row| row.join(" ")).collect();
    rows.sort();
    let expected = [
        "First true true",
        "Second false false",
        "Third false false",
        "Third false false",
        "Third false false",
        "Third false true",
        "Third false true",
        "Third true true",
        "Third true true",
        "Third true true",
    ];
    assert_eq!(rows, expected);
    let visits = texts(&table("clients"), |name| ["first_vaccination", "last_vaccination"].contains(&name));
    let mut visits: Vec<_> = visits.into_iter().map(|row| row.join(" ")).collect();
    visits.sort();
    assert_eq!(visits, [" ", "2022-07-01 2022-07-02", "2022-07-02 2022-07-02"]);
    let kinds = context.json(&format!("store/partitions/{PERIOD}/manifest.json"));
    let column = |table: &str, name: &str| {
        let mut columns = kinds[table]["columns"].as_array().unwrap().iter();
        columns.find(|column| column["name"] == name).unwrap()["type"].as_str().unwrap().to_owned()
    };
    assert_eq!(column("immunizations", "dose"), "boolean");
    assert_eq!(column("clients", "organization_most"), "string");
}
