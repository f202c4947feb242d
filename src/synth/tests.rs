//! The file against a second, simple reading of it: every finding is planted, and everything planted is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use chrono::{Datelike, Months, NaiveDate};
use serde::Deserialize;
use tempfile::TempDir;

use super::Column as C;
use super::*;
use crate::error::ErrorKind;
use crate::progress::Silent;

const DECEMBER: &str = "2024-12";

fn options(clients: u64, period: &str, seed: u64, faults: f64) -> Options {
    Options { clients, period: period.parse().unwrap(), seed, faults }
}

/// A month in memory, with its list of faults.
fn month(options: &Options) -> (Vec<u8>, Option<Planted>) {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("month.csv");
    let written = write_month(options, &out, &Silent).unwrap();
    let bytes = fs::read(&out).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(written.rows + 1, memchr::memchr_iter(b'\n', &bytes).count() as u64);
    let list = written.planted.map(|path| {
        assert_eq!(path, folder.path().join("month.planted.json"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    });
    (bytes, list)
}

/// The rows of a month without faults, read by another CSV reader.
fn records(bytes: &[u8]) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_reader(bytes);
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), Column::NAMES);
    // The reader refuses a record of another length.
    reader.records().map(Result::unwrap).collect()
}

fn at(record: &csv::StringRecord, column: Column) -> &str {
    &record[column as usize]
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let one = options(300, DECEMBER, 1, 0.05);
    assert_eq!(month(&one), month(&one));
    assert_ne!(month(&one).0, month(&options(300, DECEMBER, 2, 0.05)).0);
    assert_ne!(month(&one).0, month(&options(300, "2024-11", 1, 0.05)).0);
}

#[test]
fn faults_leave_the_other_rows_as_they_were() {
    let (clean, none) = month(&options(300, DECEMBER, 1, 0.0));
    let (broken, list) = month(&options(300, DECEMBER, 1, 0.10));
    assert_eq!(none, None);
    let planted: BTreeSet<u64> =
        list.unwrap().planted.iter().filter(|fault| !fault.natural).map(|fault| fault.line).collect();
    let pairs = clean.split(|byte| *byte == b'\n').zip(broken.split(|byte| *byte == b'\n'));
    let changed: BTreeSet<u64> = (1..).zip(pairs).filter(|(_, (old, new))| old != new).map(|(line, _)| line).collect();
    assert_eq!(changed, planted);
}

#[test]
fn a_month_without_faults_is_clean() {
    let (bytes, _) = month(&options(2_000, DECEMBER, 3, 0.0));
    let mut births = BTreeMap::new();
    let mut shots = BTreeMap::new();
    let mut doses = BTreeSet::new();
    let mut facts = BTreeSet::new();
    let mut providers = BTreeMap::new();
    let places = Places::new().unwrap();
    for record in &records(&bytes) {
        let (birth, day) = (date(at(record, Column::BirthDate)), date(at(record, Column::VaccinationDate)));
        assert!(birth <= day && (date("2018-01-01")..=date("2024-12-31")).contains(&day));
        let months = (0..2_000).find(|months| birth + Months::new(months + 1) > day).unwrap();
        // Where the month has no such day, chrono takes the last day of it and the generator the next day.
        let age: u32 = at(record, Column::AgeInMonths).parse().unwrap();
        assert!(age == months || age + 1 == months, "{birth} {day}");
        let empty = (0..26).filter(|&index| record[index].is_empty()).collect::<Vec<_>>();
        assert!(empty.is_empty() || empty == [Column::MiddleName as usize]);
        let client = at(record, Column::ClientId).to_owned();
        assert_eq!(*births.entry(client.clone()).or_insert(birth), birth);
        let shot = (client.clone(), day, at(record, Column::CvxCode).to_owned());
        assert_eq!(*shots.entry(at(record, Column::ImmunizationId).to_owned()).or_insert_with(|| shot.clone()), shot);
        assert!(facts.insert(at(record, Column::ImmunfactId).to_owned()));
        assert!(doses.insert((client, day, at(record, Column::VaccineGroup).to_owned())), "one dose a day");
        let provider: Vec<String> = (19..26).map(|index| record[index].to_owned()).collect();
        assert_eq!(
            *providers.entry(at(record, Column::GivenByOrgId).to_owned()).or_insert_with(|| provider.clone()),
            provider
        );
        let county = places.counties.iter().find(|county| county.label == at(record, Column::ClientCounty)).unwrap();
        assert!(county.zips.things().iter().any(|zip| zip.code == at(record, Column::ZipCode)));
        for (column, first) in [(Column::ClientId, "71"), (Column::ImmunizationId, "82"), (Column::ImmunfactId, "93")] {
            assert!(at(record, column).len() == 12 && at(record, column).starts_with(first));
        }
        assert_eq!(at(record, Column::GivenByOrgId).len(), 10);
    }
    assert_eq!(births.len(), 2_000, "each client has a row");
    assert!(doses.len() > shots.len(), "combinations make several rows");
    let names: BTreeSet<&String> = providers.values().map(|provider| &provider[0]).collect();
    assert_eq!(names.len(), providers.len());
    assert!(names.iter().any(|name| name.contains(',')) && names.iter().any(|name| name.contains('"')));
}

#[test]
fn rows_of_a_client_are_apart_and_in_one_block() {
    let (bytes, _) = month(&options(500, DECEMBER, 4, 0.0));
    let records = records(&bytes);
    let changes = records.windows(2).filter(|pair| pair[0][0] != pair[1][0]).count();
    assert!(changes > 1_000 && changes < records.len() * 9 / 10, "{changes} of {}", records.len());
}

#[test]
fn names_of_people_occur_nowhere_else() {
    let world = World::new(&options(1_000_000, DECEMBER, 5, 0.0)).unwrap();
    let names = &world.knowledge.names;
    // A name holds its mark whole: where no mark is, no name is.
    for start in &names.starts {
        for mark in &names.marks {
            for end in names.first_ends.iter().chain(&names.last_ends) {
                assert!(format!("{start}{mark}{end}").len() >= 7);
            }
        }
    }
    let mut texts =
        vec![places::COUNTY_CSV, places::ZIP_CSV, products::CVX_CSV, products::GROUP_CSV, products::DISASTER_CSV];
    texts.push(include_str!("../../dictionaries/phds/codelists/race_ethnicity.csv"));
    texts.push(include_str!("../../dictionaries/phds/codelists/state.csv"));
    let header = Column::NAMES.join(",");
    texts.push(&header);
    let providers: String = world.providers.list.iter().map(|one| std::str::from_utf8(&one.text).unwrap()).collect();
    texts.push(&providers);
    for text in texts {
        let longest = text.split(|letter: char| !letter.is_ascii_digit()).map(str::len).max();
        assert!(longest <= Some(10), "an id of twelve digits is not a part of anything");
        let text = text.to_uppercase();
        for mark in &names.marks {
            assert!(!text.contains(mark.as_str()), "{mark}");
        }
    }
}

/// The findings of a second, plain implementation of the rules.
fn findings(bytes: &[u8], period: ReportingPeriod) -> Vec<(u64, String, Option<String>)> {
    let checker = Checker::new(period);
    let mut found = Vec::new();
    for (line, row) in (2..).zip(bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').skip(1)) {
        checker.row(row, &mut |rule: &str, column: Option<Column>| {
            let column = column.map(|column| Column::NAMES[column as usize].to_owned());
            found.push((line, format!("PHDS-{rule}"), column));
        });
    }
    found
}

#[derive(Deserialize)]
struct Listed {
    code: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    item: String,
    #[serde(default)]
    vaccine_groups: String,
    #[serde(default)]
    nonvaccine: bool,
    in_use_from: Option<NaiveDate>,
    in_use_to: Option<NaiveDate>,
    min_age_months: Option<i32>,
    max_age_months: Option<i32>,
    market: Option<String>,
    introduced: Option<NaiveDate>,
}

struct Checker {
    period: ReportingPeriod,
    cvx: BTreeMap<String, Listed>,
    covid: BTreeSet<String>,
    too_new: BTreeSet<String>,
    zip_counties: BTreeMap<String, BTreeSet<String>>,
    open: Vec<(Column, BTreeSet<String>)>,
}

impl Checker {
    fn new(period: ReportingPeriod) -> Self {
        let list = |text: &str| places::rows::<Listed>(text, "codelist").unwrap();
        let codes = |text: &str| list(text).into_iter().map(|row| row.code).collect::<BTreeSet<_>>();
        let states = codes(include_str!("../../dictionaries/phds/codelists/state.csv"));
        let covid = list(products::DISASTER_CSV).into_iter().filter(|row| row.item == "vaccine");
        let (too_new, covid): (Vec<_>, Vec<_>) = covid.partition(|row| {
            row.market.as_deref() == Some("US") && row.introduced.is_some_and(|day| day > date("2023-06-15"))
        });
        let too_new: BTreeSet<String> = too_new.into_iter().map(|row| row.code).collect();
        let covid = covid.into_iter().map(|row| row.code).chain(too_new.clone()).collect();
        let names: BTreeMap<_, _> = list(places::COUNTY_CSV).into_iter().map(|row| (row.code, row.label)).collect();
        let mut zip_counties: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in csv::Reader::from_reader(places::ZIP_CSV.as_bytes()).records().map(Result::unwrap) {
            zip_counties.entry(line[0].to_owned()).or_default().insert(names[&line[1]].clone());
        }
        let open = vec![
            (Column::SexCode, codes(include_str!("../../dictionaries/phds/codelists/sex.csv"))),
            (Column::RaceAndEthnicity, codes(include_str!("../../dictionaries/phds/codelists/race_ethnicity.csv"))),
            (Column::StateCode, states.clone()),
            (Column::ClientCounty, list(places::COUNTY_CSV).into_iter().map(|row| row.label).collect()),
            (Column::VaccineGroup, codes(products::GROUP_CSV)),
            (Column::ProviderState, states),
        ];
        let cvx = list(products::CVX_CSV).into_iter().map(|row| (row.code.clone(), row)).collect();
        Self { period, cvx, covid, too_new, zip_counties, open }
    }

    fn row(&self, row: &[u8], find: &mut dyn FnMut(&str, Option<Column>)) {
        let Ok(text) = std::str::from_utf8(row) else { return find("S07", None) };
        if text.contains(|letter: char| letter.is_ascii_control()) {
            return find("S10", None);
        }
        let Some(fields) = split(text) else { return find("S08", None) };
        if fields.len() != 26 {
            return find("S06", None);
        }
        if fields == Column::NAMES {
            return find("S12", None);
        }
        let get = |column: Column| fields[column as usize].as_str();
        for column in [C::ClientId, C::BirthDate, C::VaccinationDate] {
            if get(column).is_empty() {
                find("F01", Some(column));
            }
        }
        let expected = [
            C::SexCode,
            C::RaceAndEthnicity,
            C::ClientCounty,
            C::ZipCode,
            C::CvxCode,
            C::VaccineGroup,
            C::GivenByOrgId,
        ];
        for column in expected {
            if get(column).is_empty() {
                find("F02", Some(column));
            }
        }
        let mut read = |column| {
            let american = NaiveDate::parse_from_str(get(column), "%m/%d/%Y");
            if american.is_ok() {
                find("F09", Some(column));
            }
            let day = get(column).parse::<NaiveDate>().or(american);
            if day.is_err() && !get(column).is_empty() {
                find("F03", Some(column));
            }
            day.ok()
        };
        let (birth, day) = (read(C::BirthDate), read(C::VaccinationDate));
        for (column, range) in [(C::OrdinalPosition, 1..=99), (C::AgeInMonths, 0..=1800)] {
            if !get(column).is_empty() && !get(column).parse::<u32>().is_ok_and(|number| range.contains(&number)) {
                find("F04", Some(column));
            }
        }
        if !get(C::CvxCode).is_empty() && !self.cvx.contains_key(get(C::CvxCode)) {
            find("F06", Some(C::CvxCode));
        }
        for (column, codes) in &self.open {
            if !get(*column).is_empty() && !codes.contains(get(*column)) {
                find("F06", Some(*column));
            }
        }
        for column in [C::ZipCode, C::ProviderZipCode] {
            let zip = get(column).split_once('-').unwrap_or((get(column), "0000"));
            let good = zip.0.len() == 5
                && zip.1.len() == 4
                && [zip.0, zip.1].concat().bytes().all(|byte| byte.is_ascii_digit());
            if !get(column).is_empty() && !good {
                find("F07", Some(column));
            }
        }
        for (column, most) in [(C::ShortName, 100), (C::ProviderCity, 100), (C::ProviderName, 200)] {
            if get(column).chars().count() > most {
                find("F08", Some(column));
            }
        }
        let months = self.dates(&fields, birth, day, find);
        let county = get(C::ClientCounty);
        let is_county = self.open.iter().any(|(column, codes)| *column == C::ClientCounty && codes.contains(county));
        let counties = self.zip_counties.get(get(C::ZipCode).get(..5).unwrap_or_default());
        let is_zip = [5, 10].contains(&get(C::ZipCode).len());
        if is_county && is_zip && counties.is_some_and(|counties| !counties.contains(county)) {
            find("R09", Some(C::ClientCounty));
        }
        if is_county && ["LA", "OK"].contains(&get(C::StateCode)) {
            find("R10", Some(C::StateCode));
        }
        self.vaccine(&fields, birth, day, months, find);
    }

    /// The rules about days and ages; gives the completed months at vaccination.
    fn dates(
        &self,
        fields: &[String],
        birth: Option<NaiveDate>,
        day: Option<NaiveDate>,
        find: &mut dyn FnMut(&str, Option<Column>),
    ) -> Option<i32> {
        let get = |column: Column| fields[column as usize].as_str();
        if birth.zip(day).is_some_and(|(birth, day)| day < birth) {
            find("R01", Some(C::VaccinationDate));
        }
        if day.is_some_and(|day| day > self.period.due_date()) {
            find("R02", Some(C::VaccinationDate));
        } else if day.is_some_and(|day| day > self.period.last_day()) {
            find("R03", Some(C::VaccinationDate));
        }
        if birth.is_some_and(|birth| birth < date("1890-01-01")) {
            find("R04", Some(C::BirthDate));
        }
        if day.is_some_and(|day| day < date("2018-01-01")) {
            find("R05", Some(C::VaccinationDate));
        }
        let months = birth.zip(day).filter(|(birth, day)| birth <= day).map(|(birth, day)| {
            let months = (day.year() - birth.year()) * 12 + day.month().cast_signed() - birth.month().cast_signed();
            months - i32::from(day.day() < birth.day())
        });
        if birth >= Some(date("1890-01-01")) && months.is_some_and(|months| months >= 121 * 12) {
            find("R07", Some(C::BirthDate));
        }
        if let (Some(months), Ok(said)) = (months, get(C::AgeInMonths).parse::<i32>())
            && (0..=1800).contains(&said)
            && months != said
        {
            find("R08", Some(C::AgeInMonths));
        }
        months
    }

    /// The rules about vaccines; those about the disaster among them.
    fn vaccine(
        &self,
        fields: &[String],
        birth: Option<NaiveDate>,
        day: Option<NaiveDate>,
        months: Option<i32>,
        find: &mut dyn FnMut(&str, Option<Column>),
    ) {
        let get = |column: Column| fields[column as usize].as_str();
        let code = get(C::CvxCode);
        let is_therapeutic = get(C::VaccineGroup) == "COVID-19 THERAPEUTIC";
        if let Some(cvx) = self.cvx.get(code) {
            let groups: Vec<&str> = cvx.vaccine_groups.split('|').filter(|group| !group.is_empty()).collect();
            let is_group = !["", "NOGROUP"].contains(&get(C::VaccineGroup));
            if is_group && !groups.is_empty() && !groups.contains(&get(C::VaccineGroup)) {
                find("R11", Some(C::VaccineGroup));
            }
            if cvx.nonvaccine && !["306", "307", "315", "332", "93", "71", "145", "998", "999"].contains(&code) {
                find("R12", Some(C::CvxCode));
            }
            if code == "998" {
                find("R13", Some(C::CvxCode));
            }
            if code == "999" && !is_therapeutic {
                find("R14", Some(C::CvxCode));
            }
            if cvx.in_use_from.zip(day).is_some_and(|(from, day)| day < from) {
                find("R15", Some(C::CvxCode));
            }
            let is_dated = !["998", "999"].contains(&code);
            if is_dated
                && !cvx.label.contains("unspecified")
                && cvx.in_use_to.zip(day).is_some_and(|(to, day)| day > to)
            {
                find("R16", Some(C::CvxCode));
            }
            if let Some((birth, day)) = birth.zip(day).filter(|(birth, day)| birth <= day)
                && let Some(months) = months.filter(|months| is_dated && *months < 121 * 12)
            {
                let is_old = cvx.max_age_months.is_some_and(|max| months > max);
                let reached = |min: i32| {
                    let months = Months::new(min.unsigned_abs());
                    // A day that the month lacks is reached on the first of the next.
                    let reached = birth + months;
                    if reached.day() == birth.day() { reached } else { reached + chrono::Days::new(1) }
                };
                let is_young = cvx.min_age_months.is_some_and(|min| day + chrono::Days::new(4) < reached(min));
                if is_old || is_young {
                    find("R17", Some(C::CvxCode));
                }
            }
        }
        if day.is_some_and(|day| !(date("2020-03-01")..=date("2023-06-15")).contains(&day)) {
            if is_therapeutic {
                find("D01", Some(C::VaccinationDate));
            }
            if self.covid.contains(code) {
                find("D02", Some(C::VaccinationDate));
            }
        } else if let Some(day) = day {
            if self.covid.contains(code) && day < date("2020-12-11") {
                find("D03", Some(C::VaccinationDate));
            }
            if self.too_new.contains(code) {
                find("D04", Some(C::CvxCode));
            }
        }
    }
}

/// The fields of a line; `None` with a stray quote.
fn split(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let (part, after) = rest.split_once('"')?;
                field.push_str(part);
                rest = after;
                match rest.strip_prefix('"') {
                    Some(more) => rest = more,
                    None => break,
                }
                field.push('"');
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
            if field.contains('"') {
                return None;
            }
        }
        fields.push(field);
        if rest.is_empty() {
            return Some(fields);
        }
        rest = rest.strip_prefix(',')?;
    }
}

#[test]
fn a_second_check_finds_what_is_planted_and_nothing_else() {
    for (clients, period, seed, faults) in
        [(3_000, DECEMBER, 1, 0.05), (1_500, "2026-11", 2, 0.5), (400, "2020-01", 3, 0.2), (400, "2023-06", 4, 0.2)]
    {
        let (bytes, list) = month(&options(clients, period, seed, faults));
        let list = list.unwrap();
        let planted: Vec<_> = list
            .planted
            .iter()
            .map(|fault| {
                let rule = serde_json::to_value(fault.rule).unwrap().as_str().unwrap().to_owned();
                (fault.line, rule, fault.column.map(|column| Column::NAMES[column as usize].to_owned()))
            })
            .collect();
        let mut found = findings(&bytes, period.parse().unwrap());
        found.sort();
        let difference = found.iter().zip(&planted).find(|(found, planted)| found != planted);
        assert!(difference.is_none() && found.len() == planted.len(), "{period}: {difference:?}");
        let mut sorted = planted.clone();
        sorted.sort();
        assert_eq!(planted, sorted);
        let count = list.planted.iter().filter(|fault| !fault.natural).count() as f64;
        let wanted = list.rows as f64 * faults;
        assert!((count - wanted).abs() <= wanted * 0.1, "{count} of {wanted} faults in {period}");
        assert!(list.planted.iter().all(|fault| fault.natural == (fault.rule == Rule::D02)));
        assert!(list.planted.iter().any(|fault| fault.natural) == (period > "2023-06"));
        let rejected = list.planted.iter().filter(|fault| fault.severity == Severity::Reject).count() as u64;
        assert_eq!(list.rejected, rejected);
        // Without faults, the natural findings are the only ones.
        let (clean, _) = month(&options(clients, period, seed, 0.0));
        assert!(findings(&clean, period.parse().unwrap()).iter().all(|(_, rule, _)| rule == "PHDS-D02"));
    }
}

#[test]
fn every_kind_of_fault_occurs() {
    for seed in 0..12 {
        for faults in [0.02, 0.5] {
            let (_, list) = month(&options(320, DECEMBER, seed, faults));
            let list = list.unwrap();
            assert!(list.rows as f64 > 50.0 / faults && list.rows > 3_000, "{} rows", list.rows);
            let rules: BTreeSet<Rule> = list.planted.iter().map(|fault| fault.rule).collect();
            let missing: Vec<&Rule> = Rule::PLANTED.iter().filter(|rule| !rules.contains(rule)).collect();
            assert!(missing.is_empty(), "seed {seed}: {missing:?}");
        }
    }
    let (_, list) = month(&options(3_000, DECEMBER, 1, 0.2));
    let columns = |rule| -> BTreeSet<_> {
        list.as_ref().unwrap().planted.iter().filter(|fault| fault.rule == rule).map(|fault| fault.column).collect()
    };
    assert_eq!(columns(Rule::F01).len(), 3);
    assert_eq!(columns(Rule::F02).len(), 7);
    assert_eq!(columns(Rule::F06).len(), 7);
}

#[test]
fn any_period_since_2018_can_be_written() {
    for period in ["2018-01", "2018-02", "2021-02", "2199-12"] {
        let (bytes, _) = month(&options(200, period, 1, 0.05));
        assert!(!bytes.is_empty());
    }
    assert_eq!(month(&options(0, DECEMBER, 1, 0.0)).0, [Column::NAMES.join(",").as_bytes(), b"\n"].concat());
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("month.csv");
    for bad in [options(1, "2017-12", 1, 0.0), options(1, DECEMBER, 1, 0.6), options(1, DECEMBER, 1, f64::NAN)] {
        assert_eq!(write_month(&bad, &out, &Silent).unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_list_of_faults_belongs_to_the_file() {
    assert_eq!(planted_path(Path::new("a/b.csv")), Path::new("a/b.planted.json"));
    assert_eq!(planted_path(Path::new("PHDS.2024")), Path::new("PHDS.2024.planted.json"));
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("month.csv");
    let list = write_month(&options(20, DECEMBER, 1, 0.5), &out, &Silent).unwrap().planted.unwrap();
    assert!(list.exists());
    write_month(&options(20, DECEMBER, 1, 0.0), &out, &Silent).unwrap();
    assert!(!list.exists());
}

/// Day, vaccine group and CVX code.
type Dose = (NaiveDate, String, String);

#[test]
fn coverage_looks_like_texas() {
    let (bytes, _) = month(&options(20_000, DECEMBER, 6, 0.0));
    let mut clients: BTreeMap<String, (NaiveDate, Vec<Dose>)> = BTreeMap::new();
    for record in &records(&bytes) {
        let (birth, day) = (date(at(record, Column::BirthDate)), date(at(record, Column::VaccinationDate)));
        let (cvx, group) = (at(record, Column::CvxCode).to_owned(), at(record, Column::VaccineGroup).to_owned());
        let client = clients.entry(at(record, Column::ClientId).to_owned()).or_insert_with(|| (birth, Vec::new()));
        client.1.push((day, group, cvx));
    }
    // Children whose first two years lie in the window of the file.
    let second_birthday = |birth: NaiveDate| birth + Months::new(24);
    let cohort: Vec<_> = clients
        .into_values()
        .filter(|(birth, _)| *birth >= date("2018-01-01") && second_birthday(*birth) <= date("2024-12-31"))
        .map(|(birth, mut doses)| {
            doses.retain(|(day, _, _)| *day < second_birthday(birth));
            doses.sort();
            doses
        })
        .collect();
    assert!(cohort.len() > 3_000, "{} children", cohort.len());
    let has = |doses: &[Dose], group: &str, least: usize| doses.iter().filter(|dose| dose.1 == group).count() >= least;
    let full_hib = |doses: &[Dose]| {
        let hib: Vec<&str> = doses.iter().filter(|dose| dose.1 == "HIB").map(|dose| dose.2.as_str()).collect();
        hib.len() >= 4 || (hib.len() == 3 && hib[..2] == ["49", "49"])
    };
    let seven = |doses: &[Dose]| {
        let counts = [("DTAP", 4), ("POLIO", 3), ("MMR", 1), ("HepB", 3), ("VARICELLA", 1), ("PneumoPCV", 4)];
        counts.iter().all(|(group, least)| has(doses, group, *least)) && full_hib(doses)
    };
    let share = |test: &dyn Fn(&[Dose]) -> bool| {
        100.0 * cohort.iter().filter(|doses| test(doses)).count() as f64 / cohort.len() as f64
    };
    for (group, least, band) in [
        ("POLIO", 3, 91.0..95.0),
        ("HepB", 3, 90.0..95.0),
        ("MMR", 1, 89.0..93.5),
        ("VARICELLA", 1, 89.0..93.5),
        ("DTAP", 4, 76.0..83.0),
        ("PneumoPCV", 4, 78.0..87.0),
        ("HepA", 1, 83.0..92.0),
        ("HepA", 2, 38.0..55.0),
        ("ROTAVIRUS", 2, 68.0..85.0),
        ("FLU", 2, 25.0..50.0),
    ] {
        let found = share(&|doses| has(doses, group, least));
        assert!(band.contains(&found), "{group} {least}: {found:.1} %");
    }
    let found = [share(&full_hib), share(&seven)];
    assert!((78.0..88.0).contains(&found[0]) && (64.0..71.5).contains(&found[1]), "{found:.1?}");
    // Doses are tied together in a client: all seven are far more common than if each were drawn by itself.
    assert!(found[1] > 100.0 * 0.8 * 0.93 * 0.91 * 0.91 * 0.92 * 0.83 * 0.82);
}
