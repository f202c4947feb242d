//! Organizations that vaccinate: who they are, where, how large, and what they habitually give.

use std::collections::BTreeSet;

use super::knowledge::{Kind, Knowledge, ProviderKind, broken};
use super::places::Places;
use super::products::Catalogue;
use super::random::{Dice, Weighted};
use super::writer::{push_digits, push_field};
use crate::error::Result;

/// All organizations, and how a client finds one.
pub(super) struct Providers {
    pub(super) list: Vec<Provider>,
    clinics: Pool,
    hospitals: Pool,
    pharmacies: Pool,
    own_county: f64,
}

/// One organization.
pub(super) struct Provider {
    /// The last eight fields of its rows, with the comma before them and the line end.
    pub(super) text: Vec<u8>,
    /// How its reminders work, from -1 (well) to 1 (badly).
    pub(super) effect: f64,
    /// Indexes of [`Catalogue::combinations`] that it keeps in stock.
    pub(super) combinations: Vec<usize>,
    /// The variant of each series that it keeps to.
    pub(super) variants: Vec<usize>,
}

/// Organizations of one kind by county, by region and in the whole state. Within a county the n-th has 1/n of the weight
/// of the first.
struct Pool {
    counties: Vec<Weighted<u32>>,
    regions: Vec<Weighted<u32>>,
    state: Weighted<u32>,
}

impl Pool {
    fn new(places: &Places) -> Self {
        Self {
            counties: places.counties.iter().map(|_| Weighted::new()).collect(),
            regions: places.regions.iter().map(|_| Weighted::new()).collect(),
            state: Weighted::new(),
        }
    }

    fn add(&mut self, provider: u32, county: usize, region: usize) {
        let weight = 1.0 / (self.counties[county].things().len() + 1) as f64;
        self.counties[county].push(provider, weight);
        self.regions[region].push(provider, weight);
        self.state.push(provider, weight);
    }
}

impl Providers {
    /// Invents the organizations for so many clients.
    pub(super) fn new(
        clients: u64,
        knowledge: &Knowledge,
        places: &Places,
        catalogue: &Catalogue,
        dice: &mut Dice,
    ) -> Result<Self> {
        let known = &knowledge.providers;
        let number = known.least + (known.per_root * clients.isqrt() as f64) as u64;
        let kinds: Weighted<&ProviderKind> = knowledge.provider_kinds.iter().map(|kind| (kind, kind.weight)).collect();
        let mut providers = Self {
            list: Vec::new(),
            clinics: Pool::new(places),
            hospitals: Pool::new(places),
            pharmacies: Pool::new(places),
            own_county: known.own_county,
        };
        let mut names = BTreeSet::new();
        for serial in 0..u32::try_from(number).map_err(|_| broken("number of providers"))? {
            // One of each kind comes first, so that even a tiny month has a hospital.
            let kind = match knowledge.provider_kinds.get(serial as usize) {
                Some(kind) => kind,
                None => kinds.draw(dice).ok_or_else(|| broken("provider kinds"))?,
            };
            let county = *places.by_population.draw(dice).ok_or_else(|| broken("counties"))?;
            let text = identity(serial, kind, county, knowledge, places, &mut names, dice)?;
            let combinations = habits(knowledge, dice);
            let variants = variants(knowledge, catalogue, &combinations, dice)?;
            let effect = dice.unit() * 2.0 - 1.0;
            providers.list.push(Provider { text, effect, combinations, variants });
            providers.pool_mut(kind.kind).add(serial, county, places.counties[county].region);
        }
        Ok(providers)
    }

    fn pool_mut(&mut self, kind: Kind) -> &mut Pool {
        match kind {
            Kind::Clinic | Kind::Public => &mut self.clinics,
            Kind::Hospital => &mut self.hospitals,
            Kind::Pharmacy => &mut self.pharmacies,
        }
    }

    /// An organization of a kind for a client of a county: mostly of that county, else of its region, else any.
    pub(super) fn pick(&self, kind: Kind, county: usize, region: usize, dice: &mut Dice) -> u32 {
        let pool = match kind {
            Kind::Clinic | Kind::Public => &self.clinics,
            Kind::Hospital => &self.hospitals,
            Kind::Pharmacy => &self.pharmacies,
        };
        let near = if dice.chance(self.own_county) { pool.counties[county].draw(dice) } else { None };
        near.or_else(|| pool.regions[region].draw(dice)).or_else(|| pool.state.draw(dice)).copied().unwrap_or(0)
    }
}

/// The fields that identify an organization.
fn identity(
    serial: u32,
    kind: &ProviderKind,
    county: usize,
    knowledge: &Knowledge,
    places: &Places,
    names: &mut BTreeSet<String>,
    dice: &mut Dice,
) -> Result<Vec<u8>> {
    let missing = || broken("providers");
    let place = &places.counties[county];
    let zip = place.zips.draw(dice).ok_or_else(missing)?;
    let front = if kind.fronts.is_empty() { &place.label } else { dice.one_of(&kind.fronts).ok_or_else(missing)? };
    let trade = dice.one_of(&kind.trades).ok_or_else(missing)?;
    let tail = dice.one_of(&kind.tails).ok_or_else(missing)?;
    let mut name = format!("{front} {trade}{tail}");
    if !names.insert(name.clone()) {
        // The serial number makes the second name one of a kind.
        name = format!("{front} {trade} No. {serial}{tail}");
        names.insert(name.clone());
    }
    let letters =
        front.chars().chain(trade.chars()).filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_uppercase());
    let short = format!("{}-{serial:03}", letters.take(8).collect::<String>());
    let region = &places.regions[place.region];
    let entity = knowledge.providers.entities.iter().find(|entity| entity.region == *region).ok_or_else(missing)?;
    let street = dice.one_of(&knowledge.providers.streets).ok_or_else(missing)?;
    let number = dice.between(100, 9899);

    let mut text = vec![b','];
    // Ten digits that begin with 10 and look unordered; 7^7 has no common factor with 10^8, so no two are alike.
    push_digits(&mut text, 1_000_000_000 + u64::from(serial) * 823_543 % 100_000_000, 10);
    for field in [&name, &short, &entity.name, &format!("{number} {street}"), &zip.city, "TX", &zip.code] {
        text.push(b',');
        push_field(&mut text, field.as_bytes());
    }
    text.push(b'\n');
    Ok(text)
}

/// One combination of each habit, or none.
fn habits(knowledge: &Knowledge, dice: &mut Dice) -> Vec<usize> {
    let mut chosen = Vec::new();
    let mut habit = "";
    let (mut place, mut sum, mut taken) = (0.0, 0.0, true);
    for (index, combination) in knowledge.combinations.iter().enumerate() {
        if combination.habit != habit {
            habit = &combination.habit;
            (place, sum, taken) = (dice.unit(), 0.0, false);
        }
        sum += combination.share;
        if !taken && place < sum {
            chosen.push(index);
            taken = true;
        }
    }
    chosen
}

/// One variant of each series.
fn variants(
    knowledge: &Knowledge,
    catalogue: &Catalogue,
    combinations: &[usize],
    dice: &mut Dice,
) -> Result<Vec<usize>> {
    let variant = |series: &super::knowledge::Series| {
        let group = catalogue.group(&series.group)?;
        let shares: Weighted<usize> =
            series.variants.iter().enumerate().map(|(index, variant)| (index, variant.share)).collect();
        let drawn = shares.draw(dice).copied().unwrap_or(0);
        // Who has the group in a combination follows the long schedule, which is the first variant.
        let combined = combinations.iter().any(|&index| {
            let combination = &catalogue.combinations[index];
            catalogue.products[combination.product].groups.contains(&group)
        });
        Ok(if combined { 0 } else { drawn })
    };
    knowledge.series.iter().map(variant).collect()
}
