//! A registry drawn by lot from stated chances: each indicator finds again, within four standard errors, what was planted.
//!
//! `support/registry.rs` has the chances and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

use crate::support::TestContext;
use crate::support::registry::{Client, County, DTAP3, Habit, Part, SEVEN, month};

/// The last day of the month that is loaded.
const AS_OF: NaiveDate = NaiveDate::from_ymd_opt(2024, 12, 31).unwrap();

const fn habit(start: f64, go_on: f64, miss: f64) -> Habit {
    Habit { start, go_on, miss }
}

/// Two counties that differ in everything. All clients are past the age at which they come again.
fn two_counties() -> [County; 2] {
    [
        County {
            name: "Travis",
            clients: 4_000,
            born: 2019..2022,
            stay: 0.97,
            moves: 0.25,
            organizations: ["7000000001", "7000000002"],
            habits: [
                habit(0.97, 0.98, 0.10),
                habit(0.98, 0.99, 0.08),
                habit(0.95, 1.00, 0.15),
                habit(0.96, 0.98, 0.12),
                habit(0.97, 0.97, 0.05),
                habit(0.93, 1.00, 0.20),
                habit(0.97, 0.99, 0.10),
            ],
        },
        County {
            name: "Hays",
            clients: 3_000,
            born: 2019..2022,
            stay: 0.92,
            moves: 0.40,
            organizations: ["7000000003", "7000000004"],
            habits: [
                habit(0.90, 0.93, 0.25),
                habit(0.92, 0.95, 0.20),
                habit(0.85, 1.00, 0.35),
                habit(0.88, 0.94, 0.25),
                habit(0.80, 0.90, 0.15),
                habit(0.80, 1.00, 0.40),
                habit(0.90, 0.96, 0.20),
            ],
        },
    ]
}

/// A county of clients of whom many are not yet two: all ages up to 35 months.
fn young_county() -> County {
    let [travis, hays] = two_counties();
    County { name: "Bexar", clients: 9_000, born: 2022..2025, habits: hays.habits, ..travis }
}

/// A store with a registry, and its clients.
fn load(counties: &[County]) -> (TestContext, Vec<Client>) {
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    let clients: Vec<Client> = counties.iter().flat_map(|county| county.draw(&mut chance, AS_OF)).collect();
    let context = TestContext::new();
    context.load(&month(&clients));
    (context, clients)
}

/// The rows of an answer.
#[track_caller]
fn ask(context: &TestContext, words: &str) -> Vec<Value> {
    let outcome = context.phds(&format!("query {words} --store store --format json")).done();
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// The row of each value of a column.
#[track_caller]
fn by_label(rows: Vec<Value>, column: &str) -> BTreeMap<String, Value> {
    rows.into_iter().map(|row| (row[column].as_str().expect(column).to_owned(), row)).collect()
}

/// That a rate is the planted one, within four standard errors of the planted one.
#[track_caller]
fn is_planted(what: &str, row: &Value, planted: f64) {
    assert_eq!(row["status"], "shown", "{what}: {row}");
    let (numerator, denominator) = (row["numerator"].as_f64().unwrap(), row["denominator"].as_f64().unwrap());
    is_near(what, numerator / denominator, planted, denominator);
}

#[track_caller]
fn is_near(what: &str, found: f64, planted: f64, clients: f64) {
    let error = (planted * (1.0 - planted) / clients).sqrt();
    assert!((found - planted).abs() <= 4.0 * error, "{what}: {found:.4} is not {planted:.4} ± 4 × {error:.4}");
}

/// Measures with their parts: each part, and all seven together.
fn measures() -> Vec<(&'static str, Vec<Part>)> {
    let single = [DTAP3].into_iter().chain(SEVEN).map(|part| (part.measure, vec![part]));
    single.chain([("nis.4313314", SEVEN.to_vec())]).collect()
}

/// Asks an indicator of each measure by county, and compares.
fn each_measure(context: &TestContext, indicator: &str, planted: impl Fn(&County, &[Part]) -> f64) {
    for (measure, parts) in measures() {
        let rows = by_label(ask(context, &format!("{indicator} --measure {measure} --by county")), "county");
        assert_eq!(rows.len(), 2, "{rows:?}");
        for county in two_counties() {
            let what = format!("{indicator} of {measure} in {}", county.name);
            is_planted(&what, &rows[county.name], planted(&county, &parts));
        }
    }
}

#[test]
fn coverage_by_24_months() {
    let (context, _) = load(&two_counties());
    each_measure(&context, "coverage", County::coverage);
    let rows = by_label(ask(&context, "coverage --measure nis.mmr1 --by county"), "county");
    for county in two_counties() {
        assert_eq!(rows[county.name]["denominator"], county.clients);
    }
}

#[test]
fn late_on_time_missed_and_one_visit() {
    let (context, _) = load(&two_counties());
    each_measure(&context, "late", County::late);
    each_measure(&context, "on-time", County::on_time);
    each_measure(&context, "potential", County::potential);
    each_measure(&context, "missed", |county, parts| county.potential(parts) - county.coverage(parts));
    let rows = by_label(ask(&context, "one-visit --measure nis.4313314 --by county"), "county");
    for county in two_counties() {
        let (what, row) = (format!("one-visit in {}", county.name), &rows[county.name]);
        is_planted(&what, row, county.one_visit(&SEVEN));
        let clients = f64::from(county.clients);
        let denominator = row["denominator"].as_f64().unwrap();
        is_near(&what, denominator / clients, 1.0 - county.up_to_date(&SEVEN), clients);
    }
}

#[test]
fn dropout() {
    let (context, _) = load(&two_counties());
    for (from, to) in [(DTAP3, SEVEN[0]), (DTAP3, SEVEN[2]), (SEVEN[1], SEVEN[2]), (SEVEN[2], SEVEN[5])] {
        let words = format!("dropout --measure {} --to {} --by county", from.measure, to.measure);
        let rows = by_label(ask(&context, &words), "county");
        for county in two_counties() {
            let (what, row) = (format!("{words}: {}", county.name), &rows[county.name]);
            is_planted(&what, row, 1.0 - county.goes_on(&from, &to));
            let clients = f64::from(county.clients);
            is_near(&what, row["denominator"].as_f64().unwrap() / clients, county.coverage(&[from]), clients);
        }
    }
}

#[test]
fn missing_parts_of_a_combination() {
    let (context, _) = load(&two_counties());
    let rows = ask(&context, "missing --measure nis.4313314 --by county");
    for county in two_counties() {
        let of_county = rows.iter().filter(|row| row["county"] == county.name && row["status"] == "shown");
        let mut seen = BTreeSet::new();
        // Small sets are one row, of which nothing was planted.
        for row in of_county.filter(|row| row["missing"] != "other sets") {
            let named = row["missing"].as_str().unwrap();
            let lacking: Vec<&str> =
                SEVEN.iter().map(|part| part.measure).filter(|part| named.contains(part)).collect();
            is_planted(&format!("{named} in {}", county.name), row, county.lacks(&SEVEN, &lacking));
            assert!(seen.insert(lacking), "{named} is there twice");
        }
        for part in SEVEN {
            assert!(seen.contains(&vec![part.measure]), "many lack {} alone", part.measure);
        }
    }
}

#[test]
fn curve_of_clients_of_whom_many_are_young() {
    let county = young_county();
    let (context, _) = load(std::slice::from_ref(&county));
    for (measure, parts) in measures() {
        let mut seen = 0;
        for row in ask(&context, &format!("curve --measure {measure} --by county")) {
            let age = u32::try_from(row["age_months"].as_u64().unwrap()).unwrap();
            if age > 23 || !["shown", "zero"].contains(&row["status"].as_str().unwrap()) {
                continue;
            }
            // Who is at risk now has been followed at least as long as all events until now.
            let followed = row["at_risk"].as_f64().unwrap().max(1.0);
            let what = format!("{measure} by {age} months");
            is_near(&what, row["rate"].as_f64().unwrap(), county.by_age(&parts, age), followed);
            seen += 1;
        }
        assert!(seen >= 12, "{measure}: {seen} months are shown");
    }
}

#[test]
fn doses_are_counted_exactly() {
    let (context, clients) = load(&two_counties());
    for (column, words) in [("vaccine_group", "doses --by vaccine_group"), ("county", "doses --by county")] {
        let mut drawn: BTreeMap<&str, (u64, BTreeSet<usize>)> = BTreeMap::new();
        for (number, client) in clients.iter().enumerate() {
            for dose in &client.doses {
                let label = if column == "county" { client.county } else { dose.group };
                let (doses, persons) = drawn.entry(label).or_default();
                *doses += 1;
                persons.insert(number);
            }
        }
        let rows = by_label(ask(&context, words), column);
        let found: BTreeMap<&str, [&Value; 2]> =
            rows.iter().map(|(label, row)| (label.as_str(), [&row["doses"], &row["persons"]])).collect();
        assert_eq!(found.len(), drawn.len(), "{found:?}");
        for (label, (doses, persons)) in drawn {
            assert_eq!(found[label], [&Value::from(doses), &Value::from(persons.len())], "{label}");
        }
    }
}

#[test]
fn denominators() {
    let (context, clients) = load(&two_counties());
    context.put("phds.toml", "[query]\ncounties = [\"Travis\"]\n");
    let years = [("clients", None), ("active_1", Some(1)), ("active_2", Some(2)), ("active_5", Some(5))];
    let names = years.map(|(name, _)| name).join(",");
    let rows = ask(&context, &format!("coverage --measure nis.dtap4 --by county --denominator {names},resident"));
    for county in two_counties() {
        let row = |name: &str| {
            let is_it = |row: &&Value| row["county"] == county.name && row["denominator_source"] == name;
            rows.iter().find(is_it).unwrap_or_else(|| panic!("{name} in {}", county.name))
        };
        for (name, years) in years {
            let since = years.map_or(NaiveDate::MIN, |years| NaiveDate::from_ymd_opt(2025 - years, 1, 1).unwrap());
            let of_county = clients.iter().filter(|client| client.county == county.name);
            let active = of_county.filter(|client| client.doses.last().unwrap().day >= since).count();
            assert_eq!(row(name)["denominator"], active, "{name} in {}", county.name);
            is_planted(name, row(name), county.coverage(&SEVEN[..1]));
        }
        if county.name == "Travis" {
            assert_eq!(row("resident")["denominator"], county.clients);
        }
    }
}

#[test]
fn organizations_by_each_rule() {
    let (context, _) = load(&two_counties());
    for (rule, second) in [
        ("first", None),
        ("last", Some((|county: &County| county.moves) as fn(&County) -> f64)),
        ("most", Some(County::second_has_most)),
        ("any", Some(|county: &County| county.moves)),
    ] {
        let rows = ask(&context, &format!("coverage --measure nis.mmr1 --by organization --attribution {rule}"));
        assert_eq!(rows.len(), if second.is_some() { 4 } else { 2 }, "{rule}: {rows:?}");
        let clients_of = |id: &str| {
            let row = rows.iter().find(|row| row["organization"].as_str().unwrap().contains(id));
            let row = row.unwrap_or_else(|| panic!("{rule}: no row of {id}: {rows:?}"));
            row["denominator"].as_f64().unwrap()
        };
        for county in two_counties() {
            let [one, other] = county.organizations;
            let clients = f64::from(county.clients);
            let moved = second.map_or(0.0, |_| clients_of(other) / clients);
            is_near(rule, moved, second.map_or(0.0, |second| second(&county)), clients);
            let stayed = if rule == "any" { 1.0 } else { 1.0 - moved };
            assert!((clients_of(one) / clients - stayed).abs() < 1e-9, "{rule}: everyone is somewhere");
        }
    }
}
