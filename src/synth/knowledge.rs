//! The shape of `dictionaries/phds/synth.toml`, where every field is explained.

use serde::Deserialize;

use super::calendar::{Day, optional_toml_day, toml_day};
use crate::error::{Error, Result};

const TEXT: &str = include_str!("../../dictionaries/phds/synth.toml");

/// Everything that the generator knows beyond the codelists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Knowledge {
    version: u32,
    #[serde(deserialize_with = "toml_day")]
    pub(super) first_day: Day,
    pub(super) disaster: Disaster,
    pub(super) people: People,
    pub(super) names: Names,
    #[serde(rename = "attitude")]
    pub(super) attitudes: Vec<Attitude>,
    pub(super) effects: Effects,
    pub(super) visiting: Visiting,
    #[serde(rename = "visit")]
    pub(super) visits: Vec<Visit>,
    pub(super) series: Vec<Series>,
    #[serde(rename = "combination")]
    pub(super) combinations: Vec<Combination>,
    #[serde(rename = "product")]
    pub(super) products: Vec<Product>,
    #[serde(rename = "offer")]
    pub(super) offers: Vec<Offer>,
    pub(super) providers: Providers,
    #[serde(rename = "provider_kind")]
    pub(super) provider_kinds: Vec<ProviderKind>,
}

impl Knowledge {
    /// The knowledge that is part of the program.
    pub(super) fn built_in() -> Result<Self> {
        let knowledge: Self = toml::from_str(TEXT).map_err(|_| broken("synth.toml"))?;
        let empty = knowledge.attitudes.is_empty() || knowledge.provider_kinds.is_empty();
        if knowledge.version != 1 || empty { Err(broken("synth.toml")) } else { Ok(knowledge) }
    }
}

/// The error for built-in data that does not fit together. It is a fault of the program: users cannot change the data.
pub(super) fn broken(what: &str) -> Error {
    Error::internal(format!("the built-in data of the synthetic month do not fit together: {what}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disaster {
    #[serde(deserialize_with = "toml_day")]
    pub(super) first_day: Day,
    #[serde(deserialize_with = "toml_day")]
    pub(super) last_day: Day,
    pub(super) therapeutic_group: String,
    pub(super) therapeutic_cvx: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    pub(super) child_ages: Vec<AgeBand>,
    pub(super) parent_ages: Vec<AgeBand>,
    pub(super) adult_ages: Vec<AgeBand>,
    pub(super) with_children: f64,
    pub(super) children: Vec<f64>,
    pub(super) sibling_gap_days: Vec<f64>,
    pub(super) parent_in_registry: f64,
    pub(super) couple: f64,
    pub(super) no_middle_name: f64,
    pub(super) moves: f64,
    pub(super) elsewhere: f64,
    pub(super) sexes: Vec<Code>,
    pub(super) races: Vec<Code>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgeBand {
    pub(super) years: [i32; 2],
    pub(super) weight: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    pub(super) code: String,
    pub(super) weight: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) starts: Vec<String>,
    pub(super) marks: Vec<String>,
    pub(super) first_ends: Vec<String>,
    pub(super) last_ends: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attitude {
    #[serde(rename = "name")]
    _name: String,
    pub(super) share: f64,
    pub(super) attends: f64,
    pub(super) lateness: f64,
    pub(super) defers: f64,
    pub(super) refuses: f64,
    pub(super) takes: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Effects {
    pub(super) county: f64,
    pub(super) provider: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visiting {
    pub(super) lateness_days: Vec<f64>,
    pub(super) too_early: f64,
    pub(super) too_early_days: Vec<f64>,
    pub(super) apart_days: i32,
    pub(super) no_saturday: f64,
    pub(super) pandemic: Pandemic,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pandemic {
    #[serde(deserialize_with = "toml_day")]
    pub(super) first_day: Day,
    #[serde(deserialize_with = "toml_day")]
    pub(super) last_day: Day,
    pub(super) missed: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visit {
    pub(super) age_days: i32,
    pub(super) kept: f64,
    pub(super) lateness: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    pub(super) group: String,
    pub(super) until_days: i32,
    pub(super) start_until_days: Option<i32>,
    pub(super) refused: f64,
    pub(super) deferred: f64,
    pub(super) enough_from: Option<i32>,
    pub(super) variants: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub(super) share: f64,
    pub(super) cvx: Option<String>,
    pub(super) doses: Vec<Dose>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dose {
    pub(super) from: i32,
    #[serde(default)]
    pub(super) after: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Combination {
    pub(super) cvx: String,
    pub(super) habit: String,
    pub(super) share: f64,
    pub(super) leads: Vec<String>,
    pub(super) doses: [u8; 2],
    pub(super) ages_days: [i32; 2],
    #[serde(deserialize_with = "toml_day")]
    pub(super) from: Day,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Product {
    pub(super) group: String,
    pub(super) cvx: String,
    pub(super) weight: f64,
    pub(super) ages_months: [i32; 2],
    #[serde(default, deserialize_with = "optional_toml_day")]
    pub(super) from: Option<Day>,
    #[serde(default, deserialize_with = "optional_toml_day")]
    pub(super) to: Option<Day>,
    #[serde(default)]
    pub(super) single: bool,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "it tells people, and the test of the products, why"))]
    pub(super) historical: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offer {
    #[serde(rename = "name")]
    _name: String,
    pub(super) group: String,
    #[serde(deserialize_with = "toml_day")]
    pub(super) from: Day,
    #[serde(default)]
    pub(super) yearly: bool,
    pub(super) open_days: i32,
    pub(super) ages_months: [i32; 2],
    pub(super) chance: f64,
    pub(super) doses: u8,
    #[serde(default)]
    pub(super) more: f64,
    #[serde(default)]
    pub(super) gap_days: Vec<f64>,
    pub(super) delay_days: Vec<f64>,
    pub(super) rest_days: i32,
    #[serde(default = "any_number")]
    pub(super) earlier: [u8; 2],
    pub(super) place: Kind,
}

fn any_number() -> [u8; 2] {
    [0, u8::MAX]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Providers {
    pub(super) own_county: f64,
    pub(super) least: u64,
    pub(super) per_root: f64,
    pub(super) streets: Vec<String>,
    pub(super) entities: Vec<Entity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entity {
    pub(super) region: String,
    pub(super) name: String,
}

/// What an organization is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Clinic,
    Public,
    Hospital,
    Pharmacy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderKind {
    #[serde(rename = "name")]
    pub(super) kind: Kind,
    pub(super) weight: f64,
    pub(super) fronts: Vec<String>,
    pub(super) trades: Vec<String>,
    pub(super) tails: Vec<String>,
}
