//! What is asked, as it is typed or written in a file, before anything of it is looked up.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::knowledge;

/// What a table tells of people. docs/indicators.md defines each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Indicator {
    /// The share that was up to date in time.
    Coverage,
    /// The share that was up to date by the as-of date, and not in time.
    Late,
    /// The share whose last dose was not yet late by the schedule.
    OnTime,
    /// The share of those with one series who did not complete another.
    Dropout,
    /// The share that would have been up to date in time, had no opportunity been missed.
    Potential,
    /// The share that was not up to date in time, and would have been.
    Missed,
    /// The share of those not up to date who lack no more than one dose of each vaccine.
    OneVisit,
    /// For each set of parts of a combination, the share that lacked exactly these.
    Missing,
    /// The share that was up to date by each month of age.
    Curve,
    /// Doses administered, and the people vaccinated.
    Doses,
}

impl Indicator {
    /// Whether its tables are shares of clients: each client in one row, counted or not.
    pub fn is_of_shares(self) -> bool {
        match self {
            Self::Coverage
            | Self::Late
            | Self::OnTime
            | Self::Dropout
            | Self::Potential
            | Self::Missed
            | Self::OneVisit => true,
            Self::Missing | Self::Curve | Self::Doses => false,
        }
    }

    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Coverage,
        Self::Late,
        Self::OnTime,
        Self::Dropout,
        Self::Potential,
        Self::Missed,
        Self::OneVisit,
        Self::Missing,
        Self::Curve,
        Self::Doses,
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coverage => "coverage",
            Self::Late => "late",
            Self::OnTime => "on-time",
            Self::Dropout => "dropout",
            Self::Potential => "potential",
            Self::Missed => "missed",
            Self::OneVisit => "one-visit",
            Self::Missing => "missing",
            Self::Curve => "curve",
            Self::Doses => "doses",
        }
    }
}

/// By which rule a client belongs to an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// The organization of the latest visit.
    Last,
    /// The organization with the most visits.
    Most,
    /// The organization of the first visit in the file.
    First,
    /// Every organization with a visit.
    Any,
}

impl Attribution {
    /// All rules, the default first.
    pub const ALL: [Self; 4] = [Self::Last, Self::Most, Self::First, Self::Any];

    /// The name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Most => "most",
            Self::First => "first",
            Self::Any => "any",
        }
    }

    /// In a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Last => "A client belongs to the organization of the latest visit.",
            Self::Most => "A client belongs to the organization with the most visits.",
            Self::First => "A client belongs to the organization of the first visit in the file.",
            Self::Any => "A client belongs to every organization with a visit, and counts once in each.",
        }
    }
}

/// The column that tells rules of attribution apart, where there are several.
pub const ATTRIBUTION: &str = "attribution";

/// The column that tells denominators apart, where there are several.
pub const DENOMINATOR_SOURCE: &str = "denominator_source";

/// Whose rule is asked for: one, or all side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AttributionChoice {
    /// The organization of the latest visit
    Last,
    /// The organization with the most visits
    Most,
    /// The organization of the first visit in the file
    First,
    /// Every organization with a visit
    Any,
    /// The four side by side
    All,
}

impl AttributionChoice {
    /// The choice that means these rules, when there are any.
    pub fn of(rules: &[Attribution]) -> Option<Self> {
        [Self::Last, Self::Most, Self::First, Self::Any, Self::All].into_iter().find(|choice| choice.rules() == rules)
    }

    /// The rules that are meant.
    pub fn rules(self) -> &'static [Attribution] {
        match self {
            Self::Last => &Attribution::ALL[..1],
            Self::Most => &Attribution::ALL[1..2],
            Self::First => &Attribution::ALL[2..3],
            Self::Any => &Attribution::ALL[3..],
            Self::All => &Attribution::ALL,
        }
    }
}

/// Which table has these dimensions, in words.
pub fn by_in_words(by: &[String]) -> String {
    if by.is_empty() { "of all together".to_owned() } else { format!("by {}", by.join(", ")) }
}

/// What the rates are shares of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denominator {
    /// Clients of the cohort in the file.
    Clients,
    /// Those of the department's counties.
    Resident,
    /// Those with a visit in the last so many years.
    Active(Reverse<u32>),
    /// A population file.
    Population(String),
}

impl Denominator {
    /// Years without a visit after which a client may be left out.
    const YEARS: [u32; 4] = [1, 2, 5, 10];

    /// What the name of a population's people begins with.
    const PEOPLE: &str = "population:";

    /// Whether a name is that of a population's people.
    pub fn is_of_people(name: &str) -> bool {
        name.starts_with(Self::PEOPLE)
    }

    /// Reads a name such as `active_5`.
    pub fn parse(name: &str) -> Result<Self> {
        let known = || {
            let years = Self::YEARS.iter().map(|years| format!("active_{years}"));
            ["clients".to_owned(), "resident".to_owned()].into_iter().chain(years)
        };
        match name.trim() {
            "clients" => Ok(Self::Clients),
            "resident" => Ok(Self::Resident),
            name => {
                if let Some(population) = name.strip_prefix(Self::PEOPLE) {
                    return Ok(Self::Population(population.to_owned()));
                }
                let years = name.strip_prefix("active_").and_then(|years| years.parse().ok());
                match years.filter(|years| Self::YEARS.contains(years)) {
                    Some(years) => Ok(Self::Active(Reverse(years))),
                    None => Err(Error::usage(format!("there is no denominator `{name}`"))
                        .hint(format!("one of {}, or population:NAME", known().collect::<Vec<_>>().join(", ")))),
                }
            }
        }
    }

    /// The name on the command line and in tables.
    pub fn name(&self) -> String {
        match self {
            Self::Clients => "clients".to_owned(),
            Self::Resident => "resident".to_owned(),
            Self::Active(Reverse(years)) => format!("active_{years}"),
            Self::Population(name) => format!("{}{name}", Self::PEOPLE),
        }
    }
}

/// A filter as it was typed: a dimension and one or more of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    /// Id of the dimension.
    pub dimension: String,
    /// Codes or labels.
    pub values: Vec<String>,
}

/// A file of questions: `phds query FILE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// 1.
    pub schema_version: u32,
    /// The questions, each with a name.
    #[serde(rename = "release")]
    pub releases: Vec<Ask>,
}

impl Asks {
    /// Reads a file; every question has a name of its own that can be the name of a folder.
    pub fn read(path: &std::path::Path) -> Result<Self> {
        Self::parse(&path.display().to_string(), &knowledge::read(path)?)
    }

    /// The same of a text; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let asks: Self = knowledge::parse(name, text)?;
        let wrong = |what: String| Err(Error::usage(format!("`{name}`: {what}")));
        if asks.schema_version != 1 {
            return wrong("this program knows schema_version 1".to_owned());
        }
        if asks.releases.is_empty() {
            return wrong("it has no [[release]]".to_owned());
        }
        for (at, ask) in asks.releases.iter().enumerate() {
            let named = ask.name.as_deref().unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if named.is_empty() || !named.chars().all(plain) {
                return wrong(format!("release {} needs a `name` of letters, digits, _ and -", at + 1));
            }
            // A release is a folder, and some systems do not tell `A` from `a`.
            let earlier = asks.releases[..at].iter().filter_map(|earlier| earlier.name.as_deref());
            match earlier.into_iter().find(|name| name.eq_ignore_ascii_case(named)) {
                None => {}
                Some(name) if name == named => return wrong(format!("the name `{named}` is there twice")),
                Some(name) => {
                    return wrong(format!("the names `{name}` and `{named}` differ by capital letters alone"));
                }
            }
        }
        Ok(asks)
    }
}

/// A question. Each member is as on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// In a file of questions: the name of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the table tells.
    pub indicator: Indicator,
    /// The measure; doses have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// For dropout: the later measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Dimensions of the table; none for all together in one row.
    #[serde(default, deserialize_with = "lists::dimensions")]
    pub by: Vec<String>,
    /// Only clients with one of these values of a dimension.
    #[serde(default, rename = "where", with = "filters", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub filters: Vec<Where>,
    /// The last day that counts, the last of some month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub as_of: Option<NaiveDate>,
    /// What the rates are shares of.
    #[serde(
        default,
        rename = "denominator",
        deserialize_with = "lists::denominators",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub denominators: Vec<String>,
    /// The counties that the denominator `resident` means: those of the settings, unless it is said here.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lists::counties")]
    pub counties: Vec<String>,
    /// Whose client is whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<AttributionChoice>,
    /// A dimension of the table whose make-up is to be made alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standardize: Option<String>,
    /// Limits for organizations that differ by chance alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub funnel: bool,
    /// For the public: a coarser table in place of one of which too little could be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coarsen: bool,
}

impl Ask {
    /// An indicator, and nothing else chosen.
    pub fn of(indicator: Indicator) -> Self {
        Self {
            name: None,
            indicator,
            measure: None,
            to: None,
            by: Vec::new(),
            filters: Vec::new(),
            as_of: None,
            denominators: Vec::new(),
            counties: Vec::new(),
            attribution: None,
            standardize: None,
            funnel: false,
            coarsen: false,
        }
    }
}

/// Lists of words in a file, with errors that show how they are written.
mod lists {
    use std::fmt;

    use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};

    /// A list of words; the text shows one.
    pub(super) struct Like(pub(super) &'static str);

    impl<'de> Visitor<'de> for Like {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let wrong = |_| A::Error::invalid_type(Unexpected::Other("another value"), &self);
            let mut words = Vec::new();
            while let Some(word) = list.next_element().map_err(wrong)? {
                words.push(word);
            }
            Ok(words)
        }
    }

    pub(super) fn dimensions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_seq(Like(r#"a list of dimensions, such as ["county"]"#))
    }

    pub(super) fn counties<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_seq(Like(r#"a list of counties, such as ["Travis"]"#))
    }

    pub(super) fn denominators<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_seq(Like(r#"a list of denominators, such as ["clients"]"#))
    }
}

/// Filters in a file: a table of dimensions with lists of values.
mod filters {
    use std::collections::BTreeMap;
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde::{Serialize, Serializer};

    use super::{Where, lists};

    const LIKE: &str =
        r#"a table of dimensions with lists of values in quotation marks, such as { county = ["Travis"] }"#;

    /// The values of a dimension.
    struct Values(Vec<String>);

    impl<'de> Deserialize<'de> for Values {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_seq(lists::Like(LIKE)).map(Self)
        }
    }

    /// All filters.
    struct Filters;

    impl<'de> Visitor<'de> for Filters {
        type Value = Vec<Where>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(LIKE)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
            let mut filters = BTreeMap::new();
            while let Some((dimension, Values(values))) = table.next_entry()? {
                filters.insert(dimension, values);
            }
            Ok(filters.into_iter().map(|(dimension, values)| Where { dimension, values }).collect())
        }
    }

    pub(super) fn serialize<S: Serializer>(filters: &[Where], serializer: S) -> Result<S::Ok, S::Error> {
        let map: BTreeMap<_, _> = filters.iter().map(|filter| (&filter.dimension, &filter.values)).collect();
        map.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Where>, D::Error> {
        from.deserialize_map(Filters)
    }
}
