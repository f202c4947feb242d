//! The vaccinations of one life: well-child visits at which everything due is given, and offers besides.

use super::World;
use super::calendar::{Day, workday};
use super::knowledge::{Attitude, Dose, Kind, Offer, Series};
use super::products::{GROUPS, Group, days_of_months};
use super::providers::Provider;
use super::random::Dice;
use crate::error::Result;

/// The days between any two doses of a group that come in combinations.
const SHORTEST_INTERVAL: i32 = 24;

/// The vaccinations that can happen to anyone until the last day of the period.
pub(super) struct Schedule<'a> {
    world: &'a World,
    series: Vec<Line<'a>>,
    offers: Vec<Campaign<'a>>,
}

/// A series with its references resolved.
struct Line<'a> {
    known: &'a Series,
    group: Group,
    /// Of each variant: its product, when it has one of its own.
    products: Vec<Option<usize>>,
}

/// An offer with its references resolved.
struct Campaign<'a> {
    known: &'a Offer,
    group: Group,
    /// First and last day on which it is open, once or each year.
    spans: Vec<(Day, Day)>,
    /// Ages at which it is open, in days.
    ages: [i32; 2],
}

/// Who is vaccinated.
pub(super) struct Person<'a> {
    pub(super) birth: Day,
    pub(super) attitude: &'a Attitude,
    pub(super) county: usize,
    pub(super) region: usize,
    pub(super) clinic: u32,
}

/// One shot in the window of the file.
#[derive(Clone, Copy)]
pub(super) struct Shot {
    pub(super) day: Day,
    pub(super) product: usize,
    pub(super) provider: u32,
}

/// The doses of one person; reused from person to person.
pub(super) struct History {
    /// In the order of their days.
    pub(super) shots: Vec<Shot>,
    /// Doses by group before the first day of the file.
    pub(super) before: [u16; GROUPS],
    count: [u8; GROUPS],
    first: [Day; GROUPS],
    last: [Day; GROUPS],
    /// Bits of the groups that this person never takes.
    refused: u64,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            shots: Vec::new(),
            before: [0; GROUPS],
            count: [0; GROUPS],
            first: [0; GROUPS],
            last: [0; GROUPS],
            refused: 0,
        }
    }

    fn clear(&mut self) {
        self.shots.clear();
        self.before = [0; GROUPS];
        self.count = [0; GROUPS];
        self.last = [Day::MIN / 2; GROUPS];
        self.refused = 0;
    }

    fn count_dose(&mut self, group: Group, day: Day, first_day: Day) {
        if self.count[group] == 0 {
            self.first[group] = day;
        }
        self.count[group] = self.count[group].saturating_add(1);
        self.last[group] = self.last[group].max(day);
        self.before[group] += u16::from(day < first_day);
    }
}

impl<'a> Schedule<'a> {
    /// Everything until the last day of the period.
    pub(super) fn new(world: &'a World) -> Result<Self> {
        let World { knowledge, catalogue, last_day, .. } = world;
        let mut series = Vec::new();
        for known in &knowledge.series {
            let group = catalogue.group(&known.group)?;
            let own = |cvx: &Option<String>| cvx.as_ref().map(|cvx| catalogue.single(group, cvx)).transpose();
            let products = known.variants.iter().map(|variant| own(&variant.cvx)).collect::<Result<_>>()?;
            series.push(Line { known, group, products });
        }
        let mut offers = Vec::new();
        for known in &knowledge.offers {
            let mut spans = vec![(known.from, known.from + known.open_days)];
            while let Some(&(from, _)) = spans.last()
                && known.yearly
                && from <= *last_day
            {
                // Four years hold one leap day up to 2099: each fourth season starts a day later in the count.
                let next = from + 365 + i32::from(spans.len() % 4 == 0);
                spans.push((next, next + known.open_days));
            }
            let ages = [days_of_months(known.ages_months[0]), days_of_months(known.ages_months[1] + 1) - 2];
            offers.push(Campaign { known, group: catalogue.group(&known.group)?, spans, ages });
        }
        Ok(Self { world, series, offers })
    }

    /// Lives one life. False: no shot in the window of the file.
    pub(super) fn live(&self, person: &Person, history: &mut History, dice: &mut Dice) -> bool {
        history.clear();
        for line in &self.series {
            let refuses = dice.chance(line.known.refused * person.attitude.refuses);
            history.refused |= u64::from(refuses) << line.group;
        }
        // A life whose last visit lies before the window needs no visits: nothing of them would be seen.
        let grown_up = self.world.knowledge.visits.last().map_or(0, |visit| visit.age_days) + 400;
        if person.birth + grown_up >= self.world.knowledge.first_day {
            self.visits(person, history, dice);
        }
        self.take_offers(person, history, dice);
        history.shots.sort_by_key(|shot| shot.day);
        !history.shots.is_empty()
    }

    fn visits(&self, person: &Person, history: &mut History, dice: &mut Dice) {
        let known = &self.world.knowledge.visiting;
        let people = &self.world.knowledge.people;
        let pandemic = known.pandemic.first_day..=known.pandemic.last_day;
        let moved = if dice.chance(people.moves) {
            Some((dice.between(100, 2500), self.clinic_near(person, dice)))
        } else {
            None
        };
        let mut previous = Day::MIN / 2;
        for visit in &self.world.knowledge.visits {
            let planned = person.birth + visit.age_days;
            if planned > self.world.last_day {
                break;
            }
            if !dice.chance(person.attitude.attends * visit.kept) {
                continue;
            }
            if visit.age_days == 0 {
                let hospital = self.world.providers.pick(Kind::Hospital, person.county, person.region, dice);
                let day = planned + dice.between(0, 2);
                if day <= self.world.last_day {
                    self.visit(person, hospital, day, 0, history, dice);
                }
                continue;
            }
            let drawn = dice.quantile(&known.lateness_days);
            let late = if drawn > 0.0 { drawn * visit.lateness * person.attitude.lateness } else { drawn };
            let early = if dice.chance(known.too_early) { dice.days(&known.too_early_days) } else { 0 };
            let no_saturday = dice.chance(known.no_saturday);
            let day = workday(planned + if early > 0 { -early } else { late as i32 }, no_saturday);
            let missed = pandemic.contains(&day) && dice.chance(known.pandemic.missed);
            if missed || day > self.world.last_day || day < previous + known.apart_days {
                continue;
            }
            previous = day;
            let mut provider = match moved {
                Some((age, elsewhere)) if day >= person.birth + age => elsewhere,
                _ => person.clinic,
            };
            if dice.chance(people.elsewhere) {
                provider = self.clinic_near(person, dice);
            }
            self.visit(person, provider, day, early, history, dice);
        }
    }

    fn clinic_near(&self, person: &Person, dice: &mut Dice) -> u32 {
        self.world.providers.pick(Kind::Clinic, person.county, person.region, dice)
    }

    /// Gives what is due. `early` loosens every minimum age and interval by so many days: these doses are invalid.
    fn visit(&self, person: &Person, provider: u32, day: Day, early: i32, history: &mut History, dice: &mut Dice) {
        let age = day - person.birth;
        let habits = &self.world.providers.list[provider as usize];
        let mut due = 0_u64;
        for (index, line) in self.series.iter().enumerate() {
            let variant = &line.known.variants[habits.variants[index]];
            if is_due(line, &variant.doses, day, age, early, history)
                && !dice.chance(person.attitude.defers * line.known.deferred)
            {
                due |= 1 << line.group;
            }
        }
        if due != 0 {
            self.give_combinations(habits, provider, day, age, &mut due, history);
        }
        for (index, line) in self.series.iter().enumerate() {
            if due & (1 << line.group) == 0 {
                continue;
            }
            let own = line.products[habits.variants[index]];
            let own = own.filter(|&product| self.world.catalogue.products[product].fits(day, age));
            if let Some(product) = own.or_else(|| self.world.catalogue.pick(line.group, day, age, dice)) {
                self.give(product, day, provider, history);
            } else if day < self.world.knowledge.first_day {
                // Which product it was will not be seen, only that there was a dose.
                history.count_dose(line.group, day, self.world.knowledge.first_day);
            }
        }
    }

    fn give_combinations(
        &self,
        habits: &Provider,
        provider: u32,
        day: Day,
        age: i32,
        due: &mut u64,
        history: &mut History,
    ) {
        for &index in &habits.combinations {
            let combination = &self.world.catalogue.combinations[index];
            let product = &self.world.catalogue.products[combination.product];
            let all_due = combination.leads.iter().all(|lead| *due & (1 << lead) != 0);
            if !all_due || !product.fits(day, age) {
                continue;
            }
            let dose = combination.leads.first().map_or(0, |&lead| history.count[lead] + 1);
            let right_dose = (combination.doses[0]..=combination.doses[1]).contains(&dose);
            let harmless = product
                .groups
                .iter()
                .all(|&group| history.refused & (1 << group) == 0 && day >= history.last[group] + SHORTEST_INTERVAL);
            if right_dose && harmless {
                self.give(combination.product, day, provider, history);
                product.groups.iter().for_each(|group| *due &= !(1 << group));
            }
        }
    }

    fn take_offers(&self, person: &Person, history: &mut History, dice: &mut Dice) {
        // Some are keen on every offer, some on none.
        let keen = 0.3 + 1.4 * dice.unit();
        for offer in &self.offers {
            let chance = offer.known.chance * person.attitude.takes * keen;
            let (youngest, oldest) = (person.birth + offer.ages[0], person.birth + offer.ages[1]);
            for &(from, to) in &offer.spans {
                let (open, close) = (from.max(youngest), to.min(oldest).min(self.world.last_day));
                if open <= close && dice.chance(chance) {
                    let day = open + dice.days(&offer.known.delay_days);
                    if day <= close {
                        self.take(offer, person, day, history, dice);
                    }
                }
            }
        }
    }

    /// Gives the first dose of an offer on a day, and the further ones of its course.
    fn take(&self, offer: &Campaign, person: &Person, day: Day, history: &mut History, dice: &mut Dice) {
        let [least, most] = offer.known.earlier;
        let so_far = history.count[offer.group];
        let rested = day >= history.last[offer.group] + offer.known.rest_days.max(1);
        let wanted = history.refused & (1 << offer.group) == 0;
        if !wanted || !rested || !(least..=most).contains(&so_far) {
            return;
        }
        let Some(product) = self.world.catalogue.pick(offer.group, day, day - person.birth, dice) else { return };
        let kind = offer.known.place;
        let provider = match kind {
            Kind::Clinic => person.clinic,
            _ => self.world.providers.pick(kind, person.county, person.region, dice),
        };
        self.give(product, day, provider, history);
        if self.world.catalogue.products[product].single {
            return;
        }
        let mut day = day;
        for _ in 1..offer.known.doses {
            day += dice.days(&offer.known.gap_days);
            let can =
                day <= self.world.last_day && self.world.catalogue.products[product].fits(day, day - person.birth);
            if !can || !dice.chance(offer.known.more) {
                return;
            }
            self.give(product, day, provider, history);
        }
    }

    fn give(&self, product: usize, day: Day, provider: u32, history: &mut History) {
        for &group in &self.world.catalogue.products[product].groups {
            history.count_dose(group, day, self.world.knowledge.first_day);
        }
        if day >= self.world.knowledge.first_day {
            history.shots.push(Shot { day, product, provider });
        }
    }
}

/// Whether the next dose of a series is due.
fn is_due(line: &Line, doses: &[Dose], day: Day, age: i32, early: i32, history: &History) -> bool {
    let given = history.count[line.group];
    let refused = history.refused & (1 << line.group) != 0;
    let too_old_to_start = given == 0 && line.known.start_until_days.is_some_and(|until| age > until);
    let started_at = history.first[line.group] - (day - age);
    let has_enough = given > 0 && line.known.enough_from.is_some_and(|enough| started_at >= enough);
    if refused || too_old_to_start || has_enough || age > line.known.until_days {
        return false;
    }
    doses.get(usize::from(given)).is_some_and(|dose| {
        age + early >= dose.from && (given == 0 || day + early >= history.last[line.group] + dose.after)
    })
}
