//! Vaccine products: what can be given on a day at an age, and which rows a shot makes.

use serde::Deserialize;

use super::calendar::{Day, day_of};
use super::knowledge::{Knowledge, broken};
use super::places::rows;
use super::random::Dice;
use crate::error::Result;

pub(super) const CVX_CSV: &str = include_str!("../../dictionaries/phds/codelists/cvx.csv");
pub(super) const GROUP_CSV: &str = include_str!("../../dictionaries/phds/codelists/vaccine_group.csv");
pub(super) const DISASTER_CSV: &str = include_str!("../../dictionaries/phds/codelists/disaster_items.csv");

/// The index of a vaccine group, below [`GROUPS`].
pub(super) type Group = usize;

/// More vaccine groups than there are: the length of the tables that count doses by group.
pub(super) const GROUPS: usize = 64;

/// Every product and every kind of row.
pub(super) struct Catalogue {
    pub(super) products: Vec<Product>,
    pub(super) items: Vec<Item>,
    /// The products of one group, by group.
    singles: Vec<Vec<usize>>,
    groups: Vec<String>,
    pub(super) combinations: Vec<Combination>,
    /// The product that stands for a COVID-19 therapeutic.
    pub(super) therapeutic: usize,
}

/// Something that is given as one shot. All limits belong to the range.
pub(super) struct Product {
    pub(super) cvx: String,
    /// One row each: indexes into [`Catalogue::items`].
    pub(super) items: Vec<u16>,
    pub(super) groups: Vec<Group>,
    weight: f64,
    from: Day,
    to: Day,
    ages_days: [i32; 2],
    pub(super) single: bool,
}

/// The part of a row that product and group decide.
pub(super) struct Item {
    pub(super) group: Group,
    pub(super) vaccine_id: Vec<u8>,
    /// `,<CVX CODE>,<VACCINE GROUP>,`
    pub(super) after_date: Vec<u8>,
    /// The shot makes this row only.
    pub(super) alone: bool,
    /// A COVID-19 vaccine.
    pub(super) disaster_vaccine: bool,
    /// A COVID-19 therapeutic.
    pub(super) therapeutic: bool,
    /// The first and the last day on which the CVX code is in use.
    pub(super) in_use: (Day, Day),
    /// The youngest and the oldest age, in completed months.
    pub(super) ages: (i32, i32),
}

/// When a product for several groups is given.
pub(super) struct Combination {
    pub(super) product: usize,
    pub(super) leads: Vec<Group>,
    pub(super) doses: [u8; 2],
}

#[derive(Deserialize)]
struct CvxRow {
    code: String,
    label: String,
    vaccine_groups: String,
    in_use_from: Option<chrono::NaiveDate>,
    in_use_to: Option<chrono::NaiveDate>,
    min_age_months: Option<i32>,
    max_age_months: Option<i32>,
}

#[derive(Deserialize)]
struct GroupRow {
    code: String,
}

#[derive(Deserialize)]
struct DisasterRow {
    item: String,
    column: String,
    code: String,
}

impl Catalogue {
    /// Joins the products of `synth.toml` with the codelists.
    pub(super) fn new(knowledge: &Knowledge) -> Result<Self> {
        let cvx: Vec<CvxRow> = rows(CVX_CSV, "cvx.csv")?;
        let groups: Vec<String> =
            rows::<GroupRow>(GROUP_CSV, "vaccine_group.csv")?.into_iter().map(|row| row.code).collect();
        if groups.len() > GROUPS {
            return Err(broken("vaccine_group.csv"));
        }
        let vaccines: Vec<String> = rows::<DisasterRow>(DISASTER_CSV, "disaster_items.csv")?
            .into_iter()
            .filter(|row| row.item == "vaccine" && row.column == "cvx_code")
            .map(|row| row.code)
            .collect();
        let mut catalogue = Self {
            products: Vec::new(),
            items: Vec::new(),
            singles: vec![Vec::new(); groups.len()],
            groups,
            combinations: Vec::new(),
            therapeutic: 0,
        };
        for known in &knowledge.products {
            let group = catalogue.group(&known.group)?;
            let ages_days = [days_of_months(known.ages_months[0]), days_of_months(known.ages_months[1] + 1) - 2];
            let row = cvx.iter().find(|row| row.code == known.cvx).ok_or_else(|| broken("product"))?;
            let product = catalogue.add(row, &[group], ages_days, &vaccines, knowledge)?;
            let added = &mut catalogue.products[product];
            added.weight = known.weight;
            added.from = known.from.unwrap_or(Day::MIN);
            added.to = known.to.unwrap_or(Day::MAX);
            added.single = known.single;
            catalogue.singles[group].push(product);
            if known.group == knowledge.disaster.therapeutic_group {
                catalogue.therapeutic = product;
            }
        }
        for known in &knowledge.combinations {
            let row = cvx.iter().find(|row| row.code == known.cvx).ok_or_else(|| broken("combination"))?;
            let groups: Vec<Group> =
                row.vaccine_groups.split('|').map(|group| catalogue.group(group)).collect::<Result<_>>()?;
            let product = catalogue.add(row, &groups, known.ages_days, &vaccines, knowledge)?;
            catalogue.products[product].from = known.from;
            let leads = known.leads.iter().map(|group| catalogue.group(group)).collect::<Result<_>>()?;
            catalogue.combinations.push(Combination { product, leads, doses: known.doses });
        }
        Ok(catalogue)
    }

    fn add(
        &mut self,
        row: &CvxRow,
        groups: &[Group],
        ages_days: [i32; 2],
        vaccines: &[String],
        knowledge: &Knowledge,
    ) -> Result<usize> {
        let cvx = row.code.as_str();
        // "Unknown" and what was given in an unspecified form may be of any time.
        let is_unknown = cvx == "999";
        let has_end = !is_unknown && !row.label.contains("unspecified");
        // The registry's own key of a vaccine is not public; any stable number serves.
        let key = 4000 + cvx.parse::<u32>().map_err(|_| broken("cvx"))?;
        let mut items = Vec::new();
        for &group in groups {
            let name = &self.groups[group];
            items.push(u16::try_from(self.items.len()).map_err(|_| broken("product"))?);
            self.items.push(Item {
                group,
                vaccine_id: key.to_string().into_bytes(),
                after_date: format!(",{cvx},{name},").into_bytes(),
                alone: groups.len() == 1,
                disaster_vaccine: vaccines.iter().any(|code| code == cvx),
                therapeutic: *name == knowledge.disaster.therapeutic_group,
                in_use: (
                    row.in_use_from.map_or(Day::MIN, day_of),
                    row.in_use_to.filter(|_| has_end).map_or(Day::MAX, day_of),
                ),
                ages: (
                    row.min_age_months.filter(|_| !is_unknown).unwrap_or(0),
                    row.max_age_months.filter(|_| !is_unknown).unwrap_or(i32::MAX),
                ),
            });
        }
        let product = Product {
            cvx: cvx.to_owned(),
            items,
            groups: groups.to_vec(),
            weight: 0.0,
            from: Day::MIN,
            to: Day::MAX,
            ages_days,
            single: false,
        };
        self.products.push(product);
        Ok(self.products.len() - 1)
    }

    /// The index of a vaccine group by its code.
    pub(super) fn group(&self, code: &str) -> Result<Group> {
        self.groups.iter().position(|group| group == code).ok_or_else(|| broken("vaccine group"))
    }

    /// The product of one group with this CVX code, for the choice that a provider made once and for all.
    pub(super) fn single(&self, group: Group, cvx: &str) -> Result<usize> {
        let found = self.singles[group].iter().find(|&&product| self.products[product].cvx == cvx);
        found.copied().ok_or_else(|| broken("variant"))
    }

    /// A product for one group on a day, for an age in days; `None` when there is none.
    pub(super) fn pick(&self, group: Group, day: Day, age: i32, dice: &mut Dice) -> Option<usize> {
        let fitting = || self.singles[group].iter().copied().filter(|&product| self.products[product].fits(day, age));
        let total: f64 = fitting().map(|product| self.products[product].weight).sum();
        let mut place = dice.unit() * total;
        let mut last = None;
        for product in fitting() {
            last = Some(product);
            place -= self.products[product].weight;
            if place < 0.0 {
                break;
            }
        }
        last
    }
}

impl Product {
    /// Whether it can be given on a day at an age in days.
    pub(super) fn fits(&self, day: Day, age: i32) -> bool {
        (self.from..=self.to).contains(&day) && self.fits_age(age)
    }

    /// Whether it can be given at an age in days.
    pub(super) fn fits_age(&self, age: i32) -> bool {
        (self.ages_days[0]..=self.ages_days[1]).contains(&age)
    }
}

/// The days after which so many months are over for any birthday, but for a day or two that the limits of the products
/// leave room for.
pub(super) fn days_of_months(months: i32) -> i32 {
    (f64::from(months) * 30.4375) as i32 + i32::from(months > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::calendar::day_of;

    #[derive(Deserialize)]
    struct Use {
        code: String,
        vaccine_groups: String,
        in_use_from: Option<String>,
        in_use_to: Option<String>,
        min_age_months: Option<i32>,
        max_age_months: Option<i32>,
    }

    #[test]
    fn products_are_in_use_for_their_groups_days_and_ages() {
        let knowledge = Knowledge::built_in().unwrap();
        let uses: Vec<Use> = rows(CVX_CSV, "cvx.csv").unwrap();
        let day = |text: &Option<String>| text.as_ref().map(|text| day_of(text.parse().unwrap()));
        let find = |cvx: &str| uses.iter().find(|row| row.code == cvx).unwrap_or_else(|| panic!("CVX {cvx}"));
        for product in &knowledge.products {
            let (cvx, row) = (&product.cvx, find(&product.cvx));
            if *cvx == knowledge.disaster.therapeutic_cvx {
                continue;
            }
            assert_eq!(row.vaccine_groups, product.group, "group of CVX {cvx}");
            // What was given before the first day of the file makes no row.
            let from = product.from.unwrap_or(knowledge.first_day).max(knowledge.first_day);
            assert!(day(&row.in_use_from).is_none_or(|day| day <= from), "CVX {cvx} is too early");
            if let Some(day) = day(&row.in_use_to).filter(|_| !product.historical) {
                assert!(product.to.is_some_and(|to| to <= day), "CVX {cvx} is too late");
            }
            assert!(row.min_age_months.is_none_or(|age| age <= product.ages_months[0]), "CVX {cvx} is too young");
            assert!(row.max_age_months.is_none_or(|age| product.ages_months[1] <= age), "CVX {cvx} is too old");
        }
        for combination in &knowledge.combinations {
            let (cvx, row) = (&combination.cvx, find(&combination.cvx));
            assert!(day(&row.in_use_from).is_none_or(|day| day <= combination.from), "CVX {cvx} is too early");
            assert!(row.in_use_to.is_none(), "CVX {cvx} is out of use");
            let ages = combination.ages_days.map(|days| days * 10 / 304);
            assert!(row.min_age_months.is_none_or(|age| age <= ages[0]), "CVX {cvx} is too young");
            assert!(row.max_age_months.is_none_or(|age| ages[1] <= age), "CVX {cvx} is too old");
        }
        Catalogue::new(&knowledge).unwrap();
    }
}
