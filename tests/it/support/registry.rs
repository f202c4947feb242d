//! A registry that is drawn by lot from stated chances, and the rates that follow from them.
//!
//! Clients are born on the days 1 to 28 of a month, and come on the very day of an age in months, so that no day has to be
//! rounded. On each visit they get a vaccine that no measure asks for: it shows that they came. A visit at which another
//! dose is offered misses it by a chance of its own, or the client refuses it and all that follow. All choices are
//! independent, so a rate is a sum over the few ways of staying away, and no simulation is needed to know it.

use std::ops::Range;

use chrono::{Datelike, NaiveDate};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Month, Shape, Table};

/// Ages in months at which a client comes, until the client stays away. At the first two, everyone comes.
const VISITS: [u32; 8] = [0, 2, 4, 6, 12, 15, 18, 22];
/// The age in months at which everyone comes again.
const RETURN: u32 = 30;
/// The age of all measures here; a visit on its day would be too late, and there is none.
const AGE: u32 = 24;

/// A vaccine as it is offered.
struct Vaccine {
    cvx: &'static str,
    group: &'static str,
    /// The age in months from which each dose is offered. It is offered at these ages, and from the last of them on always.
    from: &'static [u32],
}

const VACCINES: [Vaccine; 7] = [
    Vaccine { cvx: "20", group: "DTAP", from: &[2, 4, 6, 15] },
    Vaccine { cvx: "10", group: "POLIO", from: &[2, 4, 6] },
    Vaccine { cvx: "03", group: "MMR", from: &[12] },
    Vaccine { cvx: "48", group: "HIB", from: &[2, 4, 6, 12] },
    Vaccine { cvx: "08", group: "HepB", from: &[0, 2, 6] },
    Vaccine { cvx: "21", group: "VARICELLA", from: &[12] },
    Vaccine { cvx: "133", group: "PneumoPCV", from: &[2, 4, 6, 12] },
];

/// The vaccine that shows a visit.
const AT_EVERY_VISIT: (&str, &str) = ("150", "FLU");

/// So many doses of one vaccine: a measure, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub measure: &'static str,
    vaccine: usize,
    doses: usize,
    /// The last age of a visit at which the last dose is not late: CDC's latest recommended age comes after it.
    on_time: u32,
    /// The age of the visit at which the last dose could be given at the earliest, by CDC's minimum ages and intervals.
    soonest: u32,
}

pub const DTAP3: Part = Part { measure: "nis.dtap3", vaccine: 0, doses: 3, on_time: 6, soonest: 6 };
/// The parts of `nis.4313314`, in its order.
pub const SEVEN: [Part; 7] = [
    Part { measure: "nis.dtap4", vaccine: 0, doses: 4, on_time: 18, soonest: 12 },
    Part { measure: "nis.polio3", vaccine: 1, doses: 3, on_time: 18, soonest: 6 },
    Part { measure: "nis.mmr1", vaccine: 2, doses: 1, on_time: 15, soonest: 12 },
    Part { measure: "nis.hib_full", vaccine: 3, doses: 4, on_time: 15, soonest: 12 },
    Part { measure: "nis.hepb3", vaccine: 4, doses: 3, on_time: 18, soonest: 6 },
    Part { measure: "nis.var1", vaccine: 5, doses: 1, on_time: 15, soonest: 12 },
    Part { measure: "nis.pcv4", vaccine: 6, doses: 4, on_time: 15, soonest: 12 },
];

/// The chances of one vaccine.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// Of the first dose: that it is not refused.
    pub start: f64,
    /// Of each further dose: that it is not refused.
    pub go_on: f64,
    /// Of a visit at which a dose is offered: that it is missed.
    pub miss: f64,
}

/// The clients of one county, and their chances.
#[derive(Clone, Debug)]
pub struct County {
    pub name: &'static str,
    pub clients: u32,
    /// Years of birth.
    pub born: Range<i32>,
    /// That a client comes to the next visit, from the third on.
    pub stay: f64,
    /// That a client goes to the second organization from the age of 12 months on.
    pub moves: f64,
    pub organizations: [&'static str; 2],
    /// In the order of [`SEVEN`].
    pub habits: [Habit; 7],
}

/// A dose as it is drawn.
#[derive(Clone, Debug)]
pub struct Dose {
    pub day: NaiveDate,
    pub cvx: &'static str,
    pub group: &'static str,
    organization: &'static str,
}

/// A client as it is drawn.
#[derive(Clone, Debug)]
pub struct Client {
    pub county: &'static str,
    birth: NaiveDate,
    /// In the order of days.
    pub doses: Vec<Dose>,
}

impl Vaccine {
    fn is_offered(&self, age: u32) -> bool {
        self.from.contains(&age) || self.from.last().is_some_and(|last| age >= *last)
    }
}

impl County {
    /// The clients, with their doses up to a day.
    pub fn draw(&self, chance: &mut ChaCha8Rng, as_of: NaiveDate) -> Vec<Client> {
        (0..self.clients).map(|_| self.client(chance, as_of)).collect()
    }

    fn client(&self, chance: &mut ChaCha8Rng, as_of: NaiveDate) -> Client {
        let birth = NaiveDate::from_ymd_opt(
            chance.random_range(self.born.clone()),
            chance.random_range(1..=12),
            chance.random_range(1..=28),
        )
        .unwrap();
        let visits = 2 + (2..VISITS.len()).take_while(|_| chance.random_bool(self.stay)).count();
        let second = usize::from(chance.random_bool(self.moves));
        let mut have = [0; 7];
        let mut refused = [false; 7];
        let mut doses = Vec::new();
        for age in VISITS[..visits].iter().copied().chain([RETURN]) {
            let day = day_of_age(birth, age);
            if day > as_of {
                break;
            }
            let organization = self.organizations[if age < 12 { 0 } else { second }];
            doses.push(Dose { day, cvx: AT_EVERY_VISIT.0, group: AT_EVERY_VISIT.1, organization });
            for (at, (vaccine, habit)) in VACCINES.iter().zip(&self.habits).enumerate() {
                let next = have[at];
                if refused[at] || !vaccine.is_offered(age) || vaccine.from.get(next).is_none_or(|from| age < *from) {
                    continue;
                }
                if chance.random_bool(habit.miss) {
                    continue;
                }
                refused[at] = !chance.random_bool(if next == 0 { habit.start } else { habit.go_on });
                if !refused[at] {
                    have[at] += 1;
                    doses.push(Dose { day, cvx: vaccine.cvx, group: vaccine.group, organization });
                }
            }
        }
        Client { county: self.name, birth, doses }
    }

    /// The chance to be up to date in time.
    pub fn coverage(&self, parts: &[Part]) -> f64 {
        self.share(|ages| self.has(parts, &before(ages, AGE)))
    }

    /// The chance to be up to date with one measure in time, among those who are with another.
    pub fn goes_on(&self, from: &Part, to: &Part) -> f64 {
        self.coverage(&[*from, *to]) / self.coverage(&[*from])
    }

    /// The chance to be up to date after the age only.
    pub fn late(&self, parts: &[Part]) -> f64 {
        self.up_to_date(parts) - self.coverage(parts)
    }

    /// The chance to be up to date at all.
    pub fn up_to_date(&self, parts: &[Part]) -> f64 {
        self.share(|ages| self.has(parts, ages))
    }

    /// The chance that each part is up to date before the schedule calls it late.
    pub fn on_time(&self, parts: &[Part]) -> f64 {
        self.share(|ages| parts.iter().map(|part| self.has(&[*part], &before(ages, part.on_time + 1))).product())
    }

    /// The chance to come as long as it takes to be up to date in time.
    pub fn potential(&self, parts: &[Part]) -> f64 {
        self.share(|ages| f64::from(u8::from(parts.iter().all(|part| ages.contains(&part.soonest)))))
    }

    /// The chance to lack no more than one dose of each part at the end, among those who are not up to date then.
    pub fn one_visit(&self, parts: &[Part]) -> f64 {
        let nearly: Vec<Part> = parts.iter().map(|part| Part { doses: part.doses - 1, ..*part }).collect();
        (self.up_to_date(&nearly) - self.up_to_date(parts)) / (1.0 - self.up_to_date(parts))
    }

    /// The chance to lack, in time, exactly these of the parts.
    pub fn lacks(&self, parts: &[Part], lacking: &[&str]) -> f64 {
        self.share(|ages| {
            let each = parts.iter().map(|part| {
                let has = self.has(&[*part], &before(ages, AGE));
                if lacking.contains(&part.measure) { 1.0 - has } else { has }
            });
            each.product()
        })
    }

    /// The chance to be up to date before an age in months is reached.
    pub fn by_age(&self, parts: &[Part], age: u32) -> f64 {
        self.share(|ages| self.has(parts, &before(ages, age)))
    }

    /// The chance that the second organization has the most visits, the latest one deciding between two.
    pub fn second_has_most(&self) -> f64 {
        let at_second = |ages: &[u32]| 2 * ages.iter().filter(|age| **age >= 12).count() >= ages.len();
        self.moves * self.share(|ages| f64::from(u8::from(at_second(ages))))
    }

    /// The mean of something over the ways of staying away.
    fn share(&self, of: impl Fn(&[u32]) -> f64) -> f64 {
        let ways = (2..=VISITS.len()).map(|visits| {
            let leaves = if visits == VISITS.len() { 1.0 } else { 1.0 - self.stay };
            let further = i32::try_from(visits).unwrap() - 2;
            let ages: Vec<u32> = VISITS[..visits].iter().copied().chain([RETURN]).collect();
            self.stay.powi(further) * leaves * of(&ages)
        });
        ways.sum()
    }

    /// The chance to have the doses of all parts after visits at these ages.
    fn has(&self, parts: &[Part], ages: &[u32]) -> f64 {
        let each = (0..VACCINES.len()).map(|vaccine| {
            let asked = parts.iter().filter(|part| part.vaccine == vaccine).map(|part| part.doses).max();
            self.doses(vaccine, ages)[asked.unwrap_or(0)..].iter().sum::<f64>()
        });
        each.product()
    }

    /// The chance to have 0, 1, 2, … doses of a vaccine after visits at these ages.
    fn doses(&self, vaccine: usize, ages: &[u32]) -> Vec<f64> {
        let (Vaccine { from, .. }, Habit { start, go_on, miss }) = (&VACCINES[vaccine], self.habits[vaccine]);
        let mut willing = vec![0.0; from.len() + 1];
        let mut refused = willing.clone();
        willing[0] = 1.0;
        for age in ages.iter().filter(|age| VACCINES[vaccine].is_offered(**age)) {
            for have in (0..from.len()).rev().filter(|have| age >= &from[*have]) {
                let offered = willing[have] * (1.0 - miss);
                let taken = offered * if have == 0 { start } else { go_on };
                willing[have] -= offered;
                willing[have + 1] += taken;
                refused[have] += offered - taken;
            }
        }
        willing.into_iter().zip(refused).map(|(one, other)| one + other).collect()
    }
}

/// The ages below a limit.
fn before(ages: &[u32], limit: u32) -> Vec<u32> {
    ages.iter().copied().filter(|age| *age < limit).collect()
}

fn day_of_age(birth: NaiveDate, age: u32) -> NaiveDate {
    let months = birth.month0() + age;
    let year = birth.year() + i32::try_from(months / 12).unwrap();
    NaiveDate::from_ymd_opt(year, months % 12 + 1, birth.day()).expect("no client is born after the 28th")
}

/// The delivery of a registry.
pub fn month(clients: &[Client]) -> Month {
    let columns = [
        "CLIENT ID",
        "BIRTH DATE",
        "CLIENT COUNTY",
        "VACCINATION DATE",
        "CVX CODE",
        "VACCINE GROUP",
        "GIVEN BY ORG ID",
        "PROVIDER NAME",
    ];
    let rows = clients.iter().enumerate().flat_map(|(number, client)| {
        client.doses.iter().map(move |dose| {
            vec![
                format!("R{number}"),
                client.birth.to_string(),
                client.county.to_owned(),
                dose.day.to_string(),
                dose.cvx.to_owned(),
                dose.group.to_owned(),
                dose.organization.to_owned(),
                format!("Clinic {}", dose.organization),
            ]
        })
    });
    let table = Table { columns: columns.map(str::to_owned).to_vec(), rows: rows.collect() };
    Month::shaped(&table, Shape::default())
}
