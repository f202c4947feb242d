//! Households and their clients, block by block.

use super::World;
use super::calendar::{Day, MonthDay, text_of};
use super::history::{History, Person, Schedule};
use super::knowledge::{AgeBand, Attitude, Code, Kind, Knowledge, broken};
use super::places::Zip;
use super::products::GROUPS;
use super::random::{Dice, Purpose, Weighted};
use super::writer::{push_digits, push_field};
use crate::error::Result;

/// How often a member of a household is invented anew before the household does without: a newborn of the last day of
/// the period, or an adult who never took an offer, has no dose and is therefore not in the registry.
const ATTEMPTS: u32 = 12;

/// Share of the rows that change places with another row of their block: a reader cannot count on finding the rows of a
/// client next to each other.
const DISPLACED: f64 = 0.25;

/// Numbers below ten thousand million, each once, in an order that looks random.
pub(super) struct Ids {
    /// What every number of this kind begins with; together with ten digits it makes twelve.
    prefix: u64,
    offset: u64,
}

impl Ids {
    const RANGE: u64 = 10_000_000_000;

    /// 3^18 has no common factor with 10^10, so that `serial * STEP` takes each remainder once.
    const STEP: u64 = 387_420_489;

    /// Twelve digits are longer than any organization id, ZIP code or telephone number, so an id of a client or a shot
    /// cannot be a part of one; the prefixes keep the three kinds apart.
    pub(super) fn new(prefix: u64, dice: &mut Dice) -> Self {
        Self { prefix, offset: dice.below(Self::RANGE) }
    }

    /// Writes the id of a serial number.
    pub(super) fn push(&self, out: &mut Vec<u8>, serial: u64) {
        push_digits(
            out,
            self.prefix * Self::RANGE + (serial % Self::RANGE * Self::STEP + self.offset) % Self::RANGE,
            12,
        );
    }
}

/// Some thousand clients and their rows.
pub(super) struct Block {
    /// The first ten fields of each client, one after the other.
    pub(super) text: Vec<u8>,
    pub(super) clients: Vec<Client>,
    pub(super) rows: Vec<Row>,
}

/// One client of a block.
pub(super) struct Client {
    /// Where the text begins and ends; it ends with a comma.
    pub(super) text: (usize, usize),
    pub(super) birth: Day,
}

/// One row of the file: a shot and one of its vaccine groups.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) shot: u64,
    pub(super) fact: u64,
    /// Index in the block.
    pub(super) client: u32,
    pub(super) day: Day,
    pub(super) provider: u32,
    pub(super) item: u16,
    pub(super) ordinal: u16,
    pub(super) age_in_months: u16,
}

/// Invents households until there are enough clients.
pub(super) struct Population<'a> {
    world: &'a World,
    schedule: Schedule<'a>,
    child_ages: Weighted<AgeBand>,
    parent_ages: Weighted<AgeBand>,
    adult_ages: Weighted<AgeBand>,
    children: Weighted<i32>,
    sexes: Weighted<&'a str>,
    races: Weighted<&'a str>,
    county_effects: Vec<f64>,
    client_ids: Ids,
    dice: Dice,
    order: Dice,
    history: History,
    clients: u64,
    shots: u64,
    facts: u64,
}

/// What the members of a household have in common.
struct Household<'a> {
    last_name: String,
    attitude: &'a Attitude,
    county: usize,
    zip: Zip,
    clinic: u32,
    race: &'a str,
}

impl<'a> Population<'a> {
    /// A population in which nobody has been invented yet.
    pub(super) fn new(world: &'a World, seed: u64) -> Result<Self> {
        let people = &world.knowledge.people;
        let bands = |bands: &[AgeBand]| bands.iter().map(|band| (*band, band.weight)).collect();
        let mut dice = Dice::new(seed, Purpose::People);
        let county_effects = world.places.counties.iter().map(|_| dice.unit() * 2.0 - 1.0).collect();
        Ok(Self {
            world,
            schedule: Schedule::new(world)?,
            child_ages: bands(&people.child_ages),
            parent_ages: bands(&people.parent_ages),
            adult_ages: bands(&people.adult_ages),
            children: (1..).zip(people.children.iter().copied()).collect(),
            sexes: codes(&people.sexes),
            races: codes(&people.races),
            county_effects,
            client_ids: Ids::new(71, &mut dice),
            dice,
            order: Dice::new(seed, Purpose::Order),
            history: History::new(),
            clients: 0,
            shots: 0,
            facts: 0,
        })
    }

    /// Refills a block with whole households: at least `least` clients, or those that are missing in `total`.
    ///
    /// False: everybody has been written, the block is empty.
    pub(super) fn fill(&mut self, block: &mut Block, least: usize, total: u64) -> Result<bool> {
        block.text.clear();
        block.clients.clear();
        block.rows.clear();
        while block.clients.len() < least && self.clients < total {
            self.household(block, total)?;
        }
        for index in 0..block.rows.len() {
            if self.order.chance(DISPLACED) {
                let other = self.order.index(block.rows.len());
                block.rows.swap(index, other);
            }
        }
        Ok(!block.clients.is_empty())
    }

    fn household(&mut self, block: &mut Block, total: u64) -> Result<()> {
        let household = self.found_household()?;
        let people = &self.world.knowledge.people;
        if self.dice.chance(people.with_children) {
            let children = self.children.draw(&mut self.dice).copied().unwrap_or(1);
            let mut birth = self.birth(Age::Child);
            for _ in 0..children {
                if self.join(&household, birth, Age::Child, block, total) {
                    birth = block.clients.last().map_or(birth, |client| client.birth);
                }
                birth -= self.dice.days(&people.sibling_gap_days);
            }
            if self.dice.chance(people.parent_in_registry) {
                let birth = self.birth(Age::Parent);
                self.join(&household, birth, Age::Parent, block, total);
            }
        } else {
            let members = 1 + i32::from(self.dice.chance(people.couple));
            for _ in 0..members {
                let birth = self.birth(Age::Adult);
                self.join(&household, birth, Age::Adult, block, total);
            }
        }
        Ok(())
    }

    fn found_household(&mut self) -> Result<Household<'a>> {
        let (world, dice) = (self.world, &mut self.dice);
        let knowledge = &world.knowledge;
        let county = *self.world.places.by_population.draw(dice).ok_or_else(|| broken("counties"))?;
        let place = &self.world.places.counties[county];
        let zip = place.zips.draw(dice).ok_or_else(|| broken("zip_county.csv"))?.clone();
        let clinic = self.world.providers.pick(Kind::Clinic, county, place.region, dice);
        let effects = &knowledge.effects;
        let care = effects.county * self.county_effects[county]
            + effects.provider * self.world.providers.list[clinic as usize].effect;
        let attitudes: Weighted<&Attitude> = knowledge
            .attitudes
            .iter()
            .enumerate()
            .map(|(index, attitude)| (attitude, attitude.share * if index == 0 { 1.0 } else { 1.0 + care }))
            .collect();
        Ok(Household {
            last_name: name(&knowledge.names.last_ends, knowledge, dice),
            attitude: attitudes.draw(dice).ok_or_else(|| broken("attitudes"))?,
            county,
            zip,
            clinic,
            race: self.races.draw(dice).ok_or_else(|| broken("races"))?,
        })
    }

    fn birth(&mut self, age: Age) -> Day {
        let bands = match age {
            Age::Child => &self.child_ages,
            Age::Parent => &self.parent_ages,
            Age::Adult => &self.adult_ages,
        };
        let [youngest, oldest] = bands.draw(&mut self.dice).map_or([30, 30], |band| band.years);
        self.world.last_day - self.dice.between(days(youngest), days(oldest + 1) - 1)
    }

    /// Adds a member with at least one dose to a household. False: there is no room, or no dose came about.
    fn join(&mut self, household: &Household, birth: Day, age: Age, block: &mut Block, total: u64) -> bool {
        if self.clients >= total {
            return false;
        }
        let mut birth = birth;
        let mut person = Person {
            birth,
            attitude: household.attitude,
            county: household.county,
            region: self.world.places.counties[household.county].region,
            clinic: household.clinic,
        };
        for _ in 0..ATTEMPTS {
            person.birth = birth;
            if self.schedule.live(&person, &mut self.history, &mut self.dice) {
                self.enter(household, birth, block);
                return true;
            }
            birth = self.birth(age);
        }
        false
    }

    /// Writes the client whose life has just been lived.
    fn enter(&mut self, household: &Household, birth: Day, block: &mut Block) {
        let (world, dice) = (self.world, &mut self.dice);
        let knowledge = &world.knowledge;
        let start = block.text.len();
        let text = &mut block.text;
        self.client_ids.push(text, self.clients);
        let first_name = name(&knowledge.names.first_ends, knowledge, dice);
        let nameless = dice.chance(knowledge.people.no_middle_name);
        let middle_name = if nameless { String::new() } else { name(&knowledge.names.first_ends, knowledge, dice) };
        let sex = self.sexes.draw(dice).copied().unwrap_or("U");
        let county = &self.world.places.counties[household.county].label;
        let fields =
            [&first_name, &household.last_name, &middle_name, &text_of(birth), sex, household.race, "TX", county];
        for field in fields.into_iter().chain([household.zip.code.as_str()]) {
            text.push(b',');
            push_field(text, field.as_bytes());
        }
        text.push(b',');
        let client = u32::try_from(block.clients.len()).unwrap_or(u32::MAX);
        block.clients.push(Client { text: (start, text.len()), birth });
        self.clients += 1;

        let born = MonthDay::of(birth);
        let mut ordinals: [u16; GROUPS] = self.history.before;
        for shot in &self.history.shots {
            let months = born.whole_months_to(self.world.calendar.get(shot.day).1);
            let age_in_months = u16::try_from(months).unwrap_or(0);
            for &item in &self.world.catalogue.products[shot.product].items {
                let ordinal = &mut ordinals[self.world.catalogue.items[usize::from(item)].group];
                *ordinal += 1;
                let (day, provider, ordinal) = (shot.day, shot.provider, *ordinal);
                let row =
                    Row { shot: self.shots, fact: self.facts, client, day, provider, item, ordinal, age_in_months };
                block.rows.push(row);
                self.facts += 1;
            }
            self.shots += 1;
        }
    }
}

#[derive(Clone, Copy)]
enum Age {
    Child,
    Parent,
    Adult,
}

fn codes(codes: &[Code]) -> Weighted<&str> {
    codes.iter().map(|code| (code.code.as_str(), code.weight)).collect()
}

/// The days of so many years.
fn days(years: i32) -> i32 {
    years * 1461 / 4
}

/// An invented name.
fn name(ends: &[String], knowledge: &Knowledge, dice: &mut Dice) -> String {
    let names = &knowledge.names;
    [&names.starts, &names.marks, ends].into_iter().filter_map(|parts| dice.one_of(parts)).map(String::as_str).collect()
}
