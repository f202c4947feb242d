//! Planted faults: each breaks one rule of the check on one row, and is written down with its line.

use std::collections::VecDeque;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::{Day, MonthDay, text_of};
use super::random::{Dice, Purpose};
use super::{Options, World};

macro_rules! columns {
    ($($column:ident = $name:literal,)*) => {
        /// A column of the file, in the order of the file.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Column {
            $(#[doc = $name] #[serde(rename = $name)] $column,)*
        }

        impl Column {
            /// The names of all columns: the header.
            pub const NAMES: [&'static str; 26] = [$($name,)*];

            /// All columns.
            const ALL: [Self; 26] = [$(Self::$column,)*];
        }
    };
}

columns! {
    ClientId = "CLIENT ID",
    FirstName = "FIRST NAME",
    LastName = "LAST NAME",
    MiddleName = "MIDDLE NAME",
    BirthDate = "BIRTH DATE",
    SexCode = "SEX CODE",
    RaceAndEthnicity = "RACE AND ETHNICITY",
    StateCode = "STATE CODE",
    ClientCounty = "CLIENT COUNTY",
    ZipCode = "ZIP CODE",
    ImmunizationId = "IMMUNIZATION ID",
    ImmunfactId = "IMMUNFACT ID",
    VaccineId = "VACCINE ID",
    VaccinationDate = "VACCINATION DATE",
    CvxCode = "CVX CODE",
    VaccineGroup = "VACCINE GROUP",
    OrdinalPosition = "ORDINAL POSITION",
    AgeInMonths = "AGE IN MONTHS",
    GivenByOrgId = "GIVEN BY ORG ID",
    ProviderName = "PROVIDER NAME",
    ShortName = "SHORT NAME",
    ResponsibleEntity = "RESPONSIBLE ENTITY",
    ProviderStreetAddress = "PROVIDER STREET ADDRESS",
    ProviderCity = "PROVIDER CITY",
    ProviderState = "PROVIDER STATE",
    ProviderZipCode = "PROVIDER ZIP CODE",
}

/// A rule of the check that a synthetic row can break.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Rule {
    /// The number of fields differs from the header.
    #[serde(rename = "PHDS-S06")]
    S06,
    /// The row is not text in the encoding of the file.
    #[serde(rename = "PHDS-S07")]
    S07,
    /// A stray quote.
    #[serde(rename = "PHDS-S08")]
    S08,
    /// A control character.
    #[serde(rename = "PHDS-S10")]
    S10,
    /// The header again.
    #[serde(rename = "PHDS-S12")]
    S12,
    /// A required value is missing.
    #[serde(rename = "PHDS-F01")]
    F01,
    /// An expected value is missing.
    #[serde(rename = "PHDS-F02")]
    F02,
    /// A date is unreadable or not in the calendar.
    #[serde(rename = "PHDS-F03")]
    F03,
    /// Not a whole number in its range.
    #[serde(rename = "PHDS-F04")]
    F04,
    /// A code is not in its codelist.
    #[serde(rename = "PHDS-F06")]
    F06,
    /// A value does not have its pattern.
    #[serde(rename = "PHDS-F07")]
    F07,
    /// A text is too long.
    #[serde(rename = "PHDS-F08")]
    F08,
    /// A date has another format than the column.
    #[serde(rename = "PHDS-F09")]
    F09,
    /// Vaccination before birth.
    #[serde(rename = "PHDS-R01")]
    R01,
    /// Vaccination after the day on which the file was due.
    #[serde(rename = "PHDS-R02")]
    R02,
    /// Vaccination after the period, but not after the day on which the file was due.
    #[serde(rename = "PHDS-R03")]
    R03,
    /// Birth before 1890-01-01.
    #[serde(rename = "PHDS-R04")]
    R04,
    /// Vaccination before the first inclusion year.
    #[serde(rename = "PHDS-R05")]
    R05,
    /// Vaccination at an age over 120 years.
    #[serde(rename = "PHDS-R07")]
    R07,
    /// The age in months disagrees with the dates.
    #[serde(rename = "PHDS-R08")]
    R08,
    /// The ZIP code is not in the county.
    #[serde(rename = "PHDS-R09")]
    R09,
    /// A county of Texas in another state.
    #[serde(rename = "PHDS-R10")]
    R10,
    /// The vaccine group is not one of the CVX code.
    #[serde(rename = "PHDS-R11")]
    R11,
    /// The CVX code is not a vaccine.
    #[serde(rename = "PHDS-R12")]
    R12,
    /// No vaccine was administered.
    #[serde(rename = "PHDS-R13")]
    R13,
    /// The vaccine is unknown.
    #[serde(rename = "PHDS-R14")]
    R14,
    /// The CVX code was not yet in use.
    #[serde(rename = "PHDS-R15")]
    R15,
    /// The CVX code was no longer in use.
    #[serde(rename = "PHDS-R16")]
    R16,
    /// The client is too young or too old for the CVX code.
    #[serde(rename = "PHDS-R17")]
    R17,
    /// A COVID-19 therapeutic outside the window of the disaster.
    #[serde(rename = "PHDS-D01")]
    D01,
    /// A COVID-19 vaccine before there was one.
    #[serde(rename = "PHDS-D03")]
    D03,
    /// A COVID-19 vaccine dated before it existed. Always together with R15.
    #[serde(rename = "PHDS-D04")]
    D04,
    /// A COVID-19 vaccine outside the window of the disaster. Never planted, always natural.
    #[serde(rename = "PHDS-D02")]
    D02,
}

impl Rule {
    /// The rules that are planted, in the order of the first round.
    pub const PLANTED: [Self; 32] = [
        Self::S06,
        Self::S07,
        Self::S08,
        Self::S10,
        Self::S12,
        Self::F01,
        Self::F02,
        Self::F03,
        Self::F04,
        Self::F06,
        Self::F07,
        Self::F08,
        Self::F09,
        Self::R01,
        Self::R02,
        Self::R03,
        Self::R04,
        Self::R05,
        Self::R07,
        Self::R08,
        Self::R09,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
        Self::R16,
        Self::R17,
        Self::D01,
        Self::D03,
        Self::D04,
    ];

    /// What the check does with a row that breaks the rule.
    pub fn severity(self) -> Severity {
        match self {
            Self::S06
            | Self::S07
            | Self::S08
            | Self::S10
            | Self::S12
            | Self::F01
            | Self::F03
            | Self::F04
            | Self::R01
            | Self::R02
            | Self::R04
            | Self::D01
            | Self::D04 => Severity::Reject,
            _ => Severity::Review,
        }
    }
}

/// What the check does with a row.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The row is out.
    Reject,
    /// The row stays and is counted.
    Review,
}

/// One row that the check must find.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedFault {
    /// The line of the file on which the row starts; the header is line 1.
    pub line: u64,
    /// The one rule that the row breaks.
    pub rule: Rule,
    /// The column at fault; none when the whole row is.
    pub column: Option<Column>,
    /// What the check does with the row.
    pub severity: Severity,
    /// Not planted: lawful in real life, and worth a look.
    pub natural: bool,
}

/// The list beside a synthetic month with faults: every finding that the check must have, and no other.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The seed of the month.
    pub seed: u64,
    /// The reporting period, `YYYY-MM`.
    pub period: String,
    /// Rows of data in the file.
    pub rows: u64,
    /// Rows with a fault of severity `reject`.
    pub rejected: u64,
    /// All faults, by line.
    pub planted: Vec<PlantedFault>,
}

/// What a fault must know about the row that it breaks.
pub(super) struct Facts {
    pub(super) birth: Day,
    pub(super) day: Day,
    /// The shot has no other row, so that a new date does not contradict one.
    pub(super) alone: bool,
    pub(super) disaster_vaccine: bool,
    pub(super) therapeutic: bool,
    /// Days on which the CVX code is in use, and ages in months at which it is given.
    pub(super) in_use: (Day, Day),
    pub(super) ages: (i32, i32),
}

impl Facts {
    /// Whether the row would have no finding with these dates, but for one that compares the day with a limit.
    fn fits(&self, birth: Day, day: Day) -> bool {
        let months = months(birth, day);
        (self.in_use.0..=self.in_use.1).contains(&day)
            && (self.ages.0..=self.ages.1.min(OLDEST_MONTHS)).contains(&months)
    }
}

/// The last month of an age of 120 years.
const OLDEST_MONTHS: i32 = 120 * 12 + 11;

/// Completed months.
fn months(birth: Day, day: Day) -> i32 {
    MonthDay::of(birth).whole_months_to(MonthDay::of(day))
}

/// New raw text of some fields.
type Changes = Vec<(Column, Vec<u8>)>;

/// Chooses rows, breaks them and keeps the list: sixteen bytes a fault.
pub(super) struct Planter<'a> {
    world: &'a World,
    due_date: Day,
    share: f64,
    dice: Dice,
    /// The rules, the one whose turn it is first.
    queue: VecDeque<Rule>,
    /// How often each of [`Rule::PLANTED`] has been planted: decides column and value of the next time.
    turns: [usize; Rule::PLANTED.len()],
    /// Rows passed, and the row from which the next fault may stand.
    passed: u64,
    target: u64,
    /// Targets drawn, and faults that are due but have found no fitting row yet.
    drawn: u64,
    waiting: u64,
    spare: Vec<u8>,
    pub(super) planted: Vec<PlantedFault>,
}

impl<'a> Planter<'a> {
    /// A planter for a share above 0.
    pub(super) fn new(world: &'a World, options: &Options) -> Self {
        let mut planter = Self {
            world,
            due_date: super::calendar::day_of(options.period.due_date()),
            share: options.faults,
            dice: Dice::new(options.seed, Purpose::Faults),
            queue: Rule::PLANTED.into(),
            turns: [0; Rule::PLANTED.len()],
            passed: 0,
            target: 0,
            drawn: 0,
            waiting: 0,
            spare: Vec::new(),
            planted: Vec::new(),
        };
        planter.draw_target();
        planter
    }

    /// One target in each stretch of 1/share rows: the share is met to the row, the places are open.
    fn draw_target(&mut self) {
        self.target = ((self.drawn as f64 + self.dice.unit()) / self.share) as u64;
        self.drawn += 1;
    }

    /// Takes note of the row that begins at `start` of `out`, and breaks it when its turn has come.
    pub(super) fn pass(&mut self, out: &mut Vec<u8>, start: usize, line: u64, facts: &Facts) {
        while self.target == self.passed {
            self.waiting += 1;
            self.draw_target();
        }
        self.passed += 1;
        let window = &self.world.knowledge.disaster;
        if facts.disaster_vaccine && !(window.first_day..=window.last_day).contains(&facts.day) {
            // Already a finding: a second one on the same row would leave nothing to be told apart.
            self.note(line, Rule::D02, Some(Column::VaccinationDate));
        } else if self.waiting > 0 {
            let fitting = (0..self.queue.len()).find_map(|place| {
                let rule = self.queue[place];
                self.breaks(rule, facts, &out[start..]).map(|broken| (place, rule, broken))
            });
            if let Some((place, rule, (column, changes, shape))) = fitting {
                self.rewrite(out, start, &changes, shape);
                self.queue.remove(place);
                self.queue.push_back(rule);
                self.turns[rule as usize] += 1;
                self.waiting -= 1;
                self.note(line, rule, column);
                if rule == Rule::D04 {
                    self.note(line, Rule::R15, Some(Column::CvxCode));
                }
            }
        }
    }

    fn note(&mut self, line: u64, rule: Rule, column: Option<Column>) {
        let natural = rule == Rule::D02;
        self.planted.push(PlantedFault { line, rule, column, severity: rule.severity(), natural });
    }

    /// How a rule is to be broken on a row; `None` when this row does not serve.
    fn breaks(&mut self, rule: Rule, facts: &Facts, row: &[u8]) -> Option<(Option<Column>, Changes, Shape)> {
        let turn = self.turns[rule as usize];
        let whole_row = |changes, shape| Some((None, changes, shape));
        match rule {
            Rule::S06 if turn.is_multiple_of(2) => whole_row(Vec::new(), Shape::OneMore),
            Rule::S06 => whole_row(Vec::new(), Shape::OneFewer),
            Rule::S07 => {
                let mut name = raw(row, Column::ProviderName).to_vec();
                // In a row of UTF-8, a lone Latin-1 é; behind the first byte it is inside the quotes, if there are any.
                name.insert(1.min(name.len()), 0xE9);
                whole_row(vec![(Column::ProviderName, name)], Shape::Same)
            }
            Rule::S10 => {
                let mut name = raw(row, Column::ProviderName).to_vec();
                name.insert(1.min(name.len()), [0, 0x1b, 0x7f][turn % 3]);
                whole_row(vec![(Column::ProviderName, name)], Shape::Same)
            }
            Rule::S12 => {
                let header = Column::ALL.iter().zip(Column::NAMES);
                whole_row(header.map(|(column, name)| (*column, name.as_bytes().to_vec())).collect(), Shape::Same)
            }
            Rule::S08 => {
                let city = raw(row, Column::ProviderCity);
                let stray = if turn.is_multiple_of(2) {
                    let (left, right) = city.split_at(city.len() / 2);
                    [left, b"\"", right].concat()
                } else {
                    [b"\"", city, b"\"X"].concat()
                };
                whole_row(vec![(Column::ProviderCity, stray)], Shape::Same)
            }
            Rule::R01 | Rule::R02 | Rule::R03 | Rule::R05 => {
                let day = self.wrong_day(rule, turn, facts)?;
                // Without an age there is none before birth.
                let age = if rule == Rule::R01 { facts.birth } else { day };
                let changes = vec![(Column::VaccinationDate, text_of(day).into_bytes()), age_at(facts.birth, age)];
                Some((Some(Column::VaccinationDate), changes, Shape::Same))
            }
            Rule::R04 | Rule::R07 => {
                let birth = wrong_birth(rule, turn, facts)?;
                let changes = vec![(Column::BirthDate, text_of(birth).into_bytes()), age_at(birth, facts.day)];
                Some((Some(Column::BirthDate), changes, Shape::Same))
            }
            Rule::R08 => {
                let wrong = months(facts.birth, facts.day) + if turn.is_multiple_of(2) { 1 } else { 12 };
                let changes = vec![(Column::AgeInMonths, wrong.to_string().into_bytes())];
                Some((Some(Column::AgeInMonths), changes, Shape::Same))
            }
            Rule::R09 => {
                let zip = raw(row, Column::ZipCode);
                let is_far_west = [b"79", b"88"].iter().any(|start| zip.starts_with(*start));
                let county = if is_far_west { "Harris" } else { "El Paso" };
                Some((Some(Column::ClientCounty), vec![(Column::ClientCounty, county.into())], Shape::Same))
            }
            Rule::F09 => {
                let column = [Column::BirthDate, Column::VaccinationDate][turn % 2];
                let day = super::calendar::date_of([facts.birth, facts.day][turn % 2]);
                Some((Some(column), vec![(column, day.format("%m/%d/%Y").to_string().into_bytes())], Shape::Same))
            }
            Rule::R11 | Rule::R12 | Rule::R13 | Rule::R14 | Rule::R15 | Rule::R16 | Rule::R17 => {
                let (column, changes) = wrong_vaccine(rule, facts)?;
                Some((Some(column), changes, Shape::Same))
            }
            Rule::D03 | Rule::D04 => {
                let changes = self.untimely_vaccine(rule, turn, facts)?;
                Some((
                    Some(if rule == Rule::D03 { Column::VaccinationDate } else { Column::CvxCode }),
                    changes,
                    Shape::Same,
                ))
            }
            Rule::D01 => {
                let day = self.therapeutic_day(turn, facts)?;
                Some((Some(Column::VaccinationDate), self.as_therapeutic(facts, day), Shape::Same))
            }
            _ => {
                let texts = wrong_texts(rule);
                let (column, text) = texts.get(turn % texts.len().max(1))?;
                // Without its group, a therapeutic would be an unknown vaccine as well.
                if facts.therapeutic && *column == Column::VaccineGroup {
                    return None;
                }
                Some((Some(*column), vec![(*column, text.as_bytes().to_vec())], Shape::Same))
            }
        }
    }

    /// A vaccination day that breaks a rule about days and no other.
    fn wrong_day(&mut self, rule: Rule, turn: usize, facts: &Facts) -> Option<Day> {
        // On a row about COVID-19 a new date could break a rule about the disaster as well.
        if !facts.alone || facts.disaster_vaccine || facts.therapeutic {
            return None;
        }
        let (first_day, last_day) = (self.world.knowledge.first_day, self.world.last_day);
        let day = match rule {
            // Not before the first day of the file, which could be another finding.
            Rule::R01 if facts.birth <= first_day => None,
            Rule::R01 if turn.is_multiple_of(2) => Some(facts.birth - 1),
            Rule::R01 => Some(facts.birth - self.dice.between(1, (facts.birth - first_day).min(700))),
            Rule::R05 if turn.is_multiple_of(2) => Some(first_day - 1),
            Rule::R05 => Some(first_day - self.dice.between(2, 700)),
            Rule::R02 => Some(match turn % 3 {
                0 => self.due_date + 1,
                1 => self.far_future(),
                _ => self.due_date + self.dice.between(2, 500),
            }),
            _ => Some(match turn % 3 {
                0 => last_day + 1,
                1 => self.due_date,
                _ => self.dice.between(last_day + 1, self.due_date),
            }),
        };
        day.filter(|day| match rule {
            Rule::R01 => (facts.in_use.0..=facts.in_use.1).contains(day),
            _ => *day >= facts.birth && facts.fits(facts.birth, *day),
        })
    }

    /// A row about a COVID-19 vaccine on a day on which it cannot have been given.
    fn untimely_vaccine(&mut self, rule: Rule, turn: usize, facts: &Facts) -> Option<Changes> {
        if !facts.alone || facts.disaster_vaccine || facts.therapeutic {
            return None;
        }
        let day = |year, month, day| chrono::NaiveDate::from_ymd_opt(year, month, day).map(super::calendar::day_of);
        let (from, to) = match rule {
            Rule::D03 => (day(2020, 11, 2)?, day(2020, 12, 10)?),
            _ => (day(2020, 12, 11)?, self.world.knowledge.disaster.last_day),
        };
        let to = to.min(self.world.last_day);
        let from = from.max(facts.birth);
        if from > to {
            return None;
        }
        // The last day first: there the mistakes are made.
        let day = if turn.is_multiple_of(2) { to } else { self.dice.between(from, to) };
        let cvx = match (rule, months(facts.birth, day)) {
            (Rule::D03, 132..=1440) => "207",
            (Rule::D04, 5..=59) => "308",
            (Rule::D04, 60..=143) => "310",
            (Rule::D04, 144..=1440) => "309",
            _ => return None,
        };
        Some(vec![
            (Column::VaccinationDate, text_of(day).into_bytes()),
            (Column::CvxCode, cvx.into()),
            (Column::VaccineGroup, "COVID-19".into()),
            (Column::OrdinalPosition, b"1".to_vec()),
            age_at(facts.birth, day),
        ])
    }

    fn far_future(&self) -> Day {
        let century = chrono::NaiveDate::from_ymd_opt(2099, 1, 1).map_or(0, super::calendar::day_of);
        century.max(self.due_date + 10_000)
    }

    /// A day outside the window of the disaster on which this client was alive and the file is open.
    fn therapeutic_day(&mut self, turn: usize, facts: &Facts) -> Option<Day> {
        if !facts.alone || facts.disaster_vaccine || facts.therapeutic {
            return None;
        }
        let window = &self.world.knowledge.disaster;
        let born = facts.birth.max(self.world.knowledge.first_day);
        let before = (born, self.world.last_day.min(window.first_day - 1));
        let after = (born.max(window.last_day + 1), self.world.last_day);
        let spans: Vec<(Day, Day)> = [after, before].into_iter().filter(|(from, to)| from <= to).collect();
        let (from, to) = *spans.get(turn / 2 % spans.len().max(1))?;
        // The days next to the window first: there the mistakes are made.
        Some(match turn % 2 {
            0 if from > window.last_day => from,
            0 => to,
            _ => self.dice.between(from, to),
        })
    }

    fn as_therapeutic(&self, facts: &Facts, day: Day) -> Changes {
        let known = &self.world.knowledge.disaster;
        let catalogue = &self.world.catalogue;
        let item =
            catalogue.products[catalogue.therapeutic].items.first().map(|&item| &catalogue.items[usize::from(item)]);
        let vaccine_id = item.map_or_else(Vec::new, |item| item.vaccine_id.clone());
        vec![
            (Column::VaccineId, vaccine_id),
            (Column::VaccinationDate, text_of(day).into_bytes()),
            (Column::CvxCode, known.therapeutic_cvx.clone().into_bytes()),
            (Column::VaccineGroup, known.therapeutic_group.clone().into_bytes()),
            (Column::OrdinalPosition, b"1".to_vec()),
            age_at(facts.birth, day),
        ]
    }

    /// Writes the row anew.
    fn rewrite(&mut self, out: &mut Vec<u8>, start: usize, changes: &Changes, shape: Shape) {
        self.spare.clear();
        self.spare.extend_from_slice(&out[start..]);
        out.truncate(start);
        let kept = if shape == Shape::OneFewer { Column::NAMES.len() - 1 } else { Column::NAMES.len() };
        for (index, field) in fields(&self.spare).into_iter().enumerate().take(kept) {
            if index > 0 {
                out.push(b',');
            }
            match changes.iter().find(|(column, _)| *column as usize == index) {
                Some((_, text)) => out.extend_from_slice(text),
                None => out.extend_from_slice(&self.spare[field]),
            }
        }
        if shape == Shape::OneMore {
            out.push(b',');
        }
        out.push(b'\n');
    }
}

/// How many fields a row is to have.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Shape {
    Same,
    OneMore,
    OneFewer,
}

/// A hundred letters and one.
const LONG: &str =
    "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJX";

/// The field for an age, empty when no age can be that high.
fn age_at(birth: Day, day: Day) -> (Column, Vec<u8>) {
    let months = months(birth, day);
    (Column::AgeInMonths, if months <= 1800 { months.to_string().into_bytes() } else { Vec::new() })
}

/// A birth date that breaks a rule about days and no other.
fn wrong_birth(rule: Rule, turn: usize, facts: &Facts) -> Option<Day> {
    let day = |year, month, day| chrono::NaiveDate::from_ymd_opt(year, month, day).map(super::calendar::day_of);
    match rule {
        Rule::R04 if turn.is_multiple_of(2) => day(1889, 12, 31),
        Rule::R04 => day(1872, 2, 29),
        _ if turn.is_multiple_of(2) => day(1890, 1, 1).filter(|birth| months(*birth, facts.day) > OLDEST_MONTHS),
        // The 121st birthday is the day of vaccination.
        _ => super::calendar::date_of(facts.day)
            .checked_sub_months(chrono::Months::new(121 * 12))
            .map(super::calendar::day_of),
    }
}

/// A vaccine or its group that breaks one rule and no other, and the column that the check points at.
fn wrong_vaccine(rule: Rule, facts: &Facts) -> Option<(Column, Changes)> {
    if facts.therapeutic || facts.disaster_vaccine {
        return None;
    }
    let day = |year, month, day| chrono::NaiveDate::from_ymd_opt(year, month, day).map(super::calendar::day_of);
    let months = months(facts.birth, facts.day);
    let (cvx, group) = match rule {
        Rule::R11 => return Some((Column::VaccineGroup, vec![(Column::VaccineGroup, "ANTHRAX".into())])),
        Rule::R12 => ("181", None),
        Rule::R13 => ("998", None),
        Rule::R14 => ("999", None),
        Rule::R15 if facts.day < day(2025, 4, 30)? => ("331", Some("FLU")),
        Rule::R16 if months >= 1 => ("38", Some("MMR")),
        Rule::R17 if months < 23 => ("165", Some("HPV")),
        Rule::R17 if months > 71 => ("48", Some("HIB")),
        _ => return None,
    };
    let mut changes = vec![(Column::CvxCode, cvx.into())];
    changes.extend(group.map(|group: &str| (Column::VaccineGroup, group.into())));
    Some((Column::CvxCode, changes))
}

/// Values that break a rule about single fields.
fn wrong_texts(rule: Rule) -> &'static [(Column, &'static str)] {
    match rule {
        Rule::F01 => &[(Column::ClientId, ""), (Column::BirthDate, ""), (Column::VaccinationDate, "")],
        Rule::F02 => &[
            (Column::SexCode, ""),
            (Column::RaceAndEthnicity, ""),
            (Column::ClientCounty, ""),
            (Column::ZipCode, ""),
            (Column::CvxCode, ""),
            (Column::VaccineGroup, ""),
            (Column::GivenByOrgId, ""),
        ],
        Rule::F03 => &[
            (Column::VaccinationDate, "2021-02-30"),
            (Column::BirthDate, "1987-13-01"),
            (Column::VaccinationDate, "not recorded"),
            (Column::BirthDate, "not recorded"),
            (Column::VaccinationDate, "2019-04-31"),
            (Column::BirthDate, "2019-02-29"),
        ],
        Rule::F04 => &[
            (Column::OrdinalPosition, "x7"),
            (Column::AgeInMonths, "-3"),
            (Column::OrdinalPosition, "2.5"),
            (Column::AgeInMonths, "six"),
        ],
        Rule::F06 => &[
            (Column::SexCode, "Q"),
            (Column::RaceAndEthnicity, "Martian"),
            (Column::ClientCounty, "Nowhere"),
            (Column::StateCode, "ZZ"),
            (Column::VaccineGroup, "NOGROUP"),
            (Column::ProviderState, "ZZ"),
            (Column::CvxCode, "997"),
            (Column::CvxCode, "777"),
            (Column::CvxCode, "MMR2"),
        ],
        Rule::F07 => &[
            (Column::ZipCode, "7870"),
            (Column::ProviderZipCode, "ABCDE"),
            (Column::ZipCode, "78701-12"),
            (Column::ProviderZipCode, "787011"),
        ],
        Rule::F08 => &[(Column::ShortName, LONG), (Column::ProviderCity, LONG)],
        Rule::R10 => &[(Column::StateCode, "LA"), (Column::StateCode, "OK")],
        _ => &[],
    }
}

/// Where the fields of a clean row lie, quotes included.
fn fields(row: &[u8]) -> Vec<Range<usize>> {
    let mut fields = Vec::with_capacity(Column::NAMES.len());
    let (mut start, mut quoted) = (0, false);
    for (index, byte) in row.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' | b'\n' if !quoted => {
                fields.push(start..index);
                start = index + 1;
            }
            _ => {}
        }
    }
    fields
}

/// One field of a clean row, quotes included.
fn raw(row: &[u8], column: Column) -> &[u8] {
    fields(row).into_iter().nth(column as usize).map_or(&[], |field| &row[field])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_row_with_quotes() {
        let row = b"a,\"b, \"\"c\"\"\",,d\n";
        let texts: Vec<&[u8]> = fields(row).into_iter().map(|field| &row[field]).collect();
        assert_eq!(texts, [b"a".as_slice(), b"\"b, \"\"c\"\"\"", b"", b"d"]);
    }

    #[test]
    fn names_of_columns_are_what_is_written() {
        assert_eq!(serde_json::to_value(Column::GivenByOrgId).unwrap(), "GIVEN BY ORG ID");
        assert_eq!(Column::NAMES[Column::ProviderZipCode as usize], "PROVIDER ZIP CODE");
        assert_eq!(serde_json::to_value(Rule::D01).unwrap(), "PHDS-D01");
        assert!(Rule::PLANTED.iter().enumerate().all(|(index, rule)| *rule as usize == index));
        assert_eq!(size_of::<PlantedFault>(), 16);
    }
}
