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
    /// The row is not valid UTF-8.
    #[serde(rename = "PHDS-S07")]
    S07,
    /// A stray quote.
    #[serde(rename = "PHDS-S08")]
    S08,
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
    /// The CVX code is not in the codelist.
    #[serde(rename = "PHDS-F05")]
    F05,
    /// A code is not in an open codelist.
    #[serde(rename = "PHDS-F06")]
    F06,
    /// A value does not have its pattern.
    #[serde(rename = "PHDS-F07")]
    F07,
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
    /// A COVID-19 therapeutic outside the window of the disaster.
    #[serde(rename = "PHDS-D01")]
    D01,
    /// A COVID-19 vaccine outside the window of the disaster. Never planted, always natural.
    #[serde(rename = "PHDS-D02")]
    D02,
}

impl Rule {
    /// The rules that are planted, in the order of the first round.
    pub const PLANTED: [Self; 15] = [
        Self::S06,
        Self::S07,
        Self::S08,
        Self::F01,
        Self::F02,
        Self::F03,
        Self::F04,
        Self::F05,
        Self::F06,
        Self::F07,
        Self::R01,
        Self::R02,
        Self::R03,
        Self::R04,
        Self::D01,
    ];

    /// What the check does with a row that breaks the rule.
    pub fn severity(self) -> Severity {
        match self {
            Self::F02 | Self::F06 | Self::F07 | Self::R03 | Self::D02 => Severity::Review,
            _ => Severity::Reject,
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
            Rule::R01 | Rule::R02 | Rule::R03 => {
                let day = self.wrong_day(rule, turn, facts)?;
                let changes = vec![(Column::VaccinationDate, text_of(day).into_bytes())];
                Some((Some(Column::VaccinationDate), changes, Shape::Same))
            }
            Rule::D01 => {
                let day = self.therapeutic_day(turn, facts)?;
                Some((Some(Column::VaccinationDate), self.as_therapeutic(facts, day), Shape::Same))
            }
            _ => {
                let texts = wrong_texts(rule);
                let (column, text) = texts.get(turn % texts.len().max(1))?;
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
        match rule {
            // Not before the first day of the file, which could be another finding.
            Rule::R01 if facts.birth <= first_day => None,
            Rule::R01 if turn.is_multiple_of(2) => Some(facts.birth - 1),
            Rule::R01 => Some(facts.birth - self.dice.between(1, (facts.birth - first_day).min(700))),
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
        }
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
        let months = MonthDay::of(facts.birth).whole_months_to(MonthDay::of(day));
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
            (Column::AgeInMonths, months.to_string().into_bytes()),
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
        Rule::F05 => &[(Column::CvxCode, "997"), (Column::CvxCode, "777"), (Column::CvxCode, "MMR2")],
        Rule::F06 => &[
            (Column::SexCode, "Q"),
            (Column::RaceAndEthnicity, "Martian"),
            (Column::ClientCounty, "Nowhere"),
            (Column::StateCode, "ZZ"),
            (Column::VaccineGroup, "NOGROUP"),
            (Column::ProviderState, "ZZ"),
        ],
        Rule::F07 => &[
            (Column::ZipCode, "7870"),
            (Column::ProviderZipCode, "ABCDE"),
            (Column::ZipCode, "78701-12"),
            (Column::ProviderZipCode, "787011"),
        ],
        Rule::R04 => &[(Column::BirthDate, "1889-12-31"), (Column::BirthDate, "1872-02-29")],
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
