//! What is measured: measure files → [`Measures`], proved against the CVX codelist.
//!
//! A measure asks whether something was done by an age, or in a season. What was done is a *series*: doses on distinct days,
//! in one of several ways. The day on which a client completes a series does not depend on the age that is asked about, so it
//! is found once, when a month is loaded, and stored; of a season, one for each season of the file. Measures that are made of
//! others (`all_of`, `none_of`) store nothing.

mod age;
pub mod opportunity;
pub mod season;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use age::Age;
pub use opportunity::Opportunities;
pub use season::Season;

use age::LONGEST;

use crate::calendar::{self, born_by};
use crate::dictionary::{Codelist, Dictionary, names, nearest};
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};

const SCHEMA_VERSION: u32 = 2;

/// When a dose is too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cutoff {
    /// A dose counts when it is given before the day on which the age is reached.
    BeforeBirthday,
    /// A dose counts on that day, too.
    ThroughBirthday,
}

/// How far a definition is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Read in the source that is named.
    Read,
    /// Put together from what the source says; how, the caveats tell.
    Derived,
    /// From memory: the source could not be read. Compare before you rely on it.
    Memory,
}

/// The edition of CDC's childhood schedule that a measure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// As recommended until 2026-01-04.
    #[serde(rename = "until_2026_01_04")]
    Before2026,
    /// As recommended from 2026-01-05 on.
    #[serde(rename = "from_2026_01_05")]
    From2026,
}

/// Further products of a way, with a window of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// Code sets of the vaccines that count.
    pub codes: Vec<String>,
    /// Only doses on or after the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Age>,
    /// Only doses on or before the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Age>,
}

/// What the first days of a way may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// The number of first days.
    pub first: u8,
    /// Code sets: of the vaccines that count, only these may have been given on those days.
    pub codes: Vec<String>,
}

/// One way to complete a series: so many distinct days with a vaccine that counts, and what else must hold of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// Distinct days that are needed.
    pub doses: u8,
    /// Code sets of the vaccines that count.
    pub codes: Vec<String>,
    /// Only doses on or after the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Age>,
    /// Only doses on or before the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Age>,
    /// Further products with another window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<Also>,
    /// What the first days may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// The first day that counts must be on or after the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_from: Option<Age>,
    /// The first day that counts must be before the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_before: Option<Age>,
    /// One of the days must be on or after the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_from: Option<Age>,
    /// A day counts only when so much time has gone by since the day that counted before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Age>,
    /// In a measure of a season: distinct days that are needed before the season, `apart` from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_season: Option<u8>,
}

/// One coverage measure, as its file states it. It has exactly one of `series`, `all_of` and `none_of`; and either
/// `by_age_months` with `cutoff`, or `season`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Family and name, such as `nis.mmr1`.
    pub id: String,
    /// A few words.
    pub title: String,
    /// What counts, in a sentence.
    pub definition: String,
    /// Where the definition comes from.
    pub source: String,
    /// How far the definition is to be trusted.
    pub basis: Basis,
    /// The age in months by which the doses must have been given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_age_months: Option<u32>,
    /// When a dose is too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<Cutoff>,
    /// In place of an age: the doses are those of the season of the as-of date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<Season>,
    /// Only clients younger than so many months are in the cohort: on the as-of date, or on the day that `season` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_age_months: Option<u32>,
    /// The age in months before which no dose is given: earlier years need not be in the file. Without it, those from birth on must
    /// be; of a season, they do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_from_months: Option<u32>,
    /// The age after which the schedule calls the last dose late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_after: Option<Age>,
    /// The edition of the schedule, where the measure belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What the measure is not, and what a reader must know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
    /// Ways to complete the series; the one that is completed first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Way>,
    /// Measures whose series must all be complete by the age and the cutoff of this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<String>,
    /// Whether the day is stored from which on no part of `all_of` lacks more than one dose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_visit: bool,
    /// Measures of whose series none may be complete by the age and the cutoff of this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub none_of: Vec<String>,
}

impl Measure {
    /// Name of the column of `clients` that holds the day on which the client completed the series of the measure.
    pub fn column(&self) -> String {
        self.named("met")
    }

    /// The same of a measure of a season, for the season that begins in a year.
    pub fn column_of_season(&self, year: i32) -> String {
        format!("{}_{year}", self.column())
    }

    fn named(&self, what: &str) -> String {
        format!("{what}_{}", self.id.replace('.', "_"))
    }
}

/// A measure file: a family of measures that follow one definition of coverage.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// 2.
    pub schema_version: u32,
    /// The first part of the ids.
    pub family: String,
    /// Changes with every change of a definition.
    pub version: String,
    /// A few words.
    pub title: String,
    /// How this family counts, in a sentence or two.
    pub about: String,
    /// Where the definitions come from.
    pub source: String,
    /// The date of the source, `YYYY-MM-DD` or as much of it as is known.
    pub source_date: String,
    /// What the measures of the family are not.
    pub caveats: Vec<String>,
    /// CVX codes that count alike. Another family's set is named `family:set`.
    #[serde(default)]
    pub code_sets: BTreeMap<String, Vec<String>>,
    /// The measures.
    #[serde(rename = "measure")]
    pub measures: Vec<Measure>,
}

/// Which doses count for a way: the position of a set of codes, and the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Position in [`Measures::code_sets`].
    pub set: usize,
    /// Only doses on or after the day of this age.
    pub from: Option<Age>,
    /// Only doses on or before the day of this age.
    pub through: Option<Age>,
}

/// A [`Way`] whose code sets have been looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Distinct days that are needed, at least 1.
    pub doses: usize,
    /// Which doses count.
    pub given: Given,
    /// Which doses count besides.
    pub also: Option<Given>,
    /// The number of first days on which no code of a set may have been given, and the set.
    pub without: Option<(usize, Given)>,
    /// The first day must be on or after the day of this age.
    pub first_from: Option<Age>,
    /// The first day must be before the day of this age.
    pub first_before: Option<Age>,
    /// One of the days must be on or after the day of this age.
    pub last_from: Option<Age>,
    /// The time between two days that count.
    pub apart: Option<Age>,
    /// Distinct days that are needed before the season.
    pub before_season: usize,
}

/// Until when what a measure asks for must have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// By an age in months.
    Age(u32, Cutoff),
    /// In the season of the as-of date.
    Season(Season),
}

/// What a measure needs of a client.
#[derive(Clone, Debug)]
pub enum Requirement {
    /// A series, complete in one of these ways. Its day is stored.
    Series(Vec<Rule>),
    /// The series of all of these measures, by position.
    AllOf(Vec<usize>),
    /// The series of none of these measures, by position.
    NoneOf(Vec<usize>),
}

/// A department's own files.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Families of measures beside the built-in ones.
    pub families: Vec<PathBuf>,
    /// Laid over `opportunities.toml`.
    pub opportunities: Option<PathBuf>,
}

/// All measures, and the families that they belong to.
#[derive(Clone, Debug)]
pub struct Measures {
    /// Code and label of the CVX codelist, by position.
    cvx: Vec<(String, String)>,
    families: Vec<Family>,
    /// How many of the families are built in; the others are the department's own.
    built_in: usize,
    list: Vec<Measure>,
    /// For each measure, the position of its family.
    family_of: Vec<usize>,
    requirements: Vec<Requirement>,
    deadlines: Vec<Deadline>,
    fingerprints: Vec<Fingerprint>,
    versions: Vec<String>,
    /// Sets of CVX codes: for every code, whether it is in.
    code_sets: Vec<Vec<bool>>,
    opportunities: Opportunities,
}

impl Measures {
    /// The built-in measures.
    pub fn built_in(dictionary: &Dictionary) -> Result<Self> {
        Self::with(dictionary, &Own::default())
    }

    /// The built-in measures, and a department's own behind them.
    pub fn with(dictionary: &Dictionary, own: &Own) -> Result<Self> {
        let cvx = cvx_codes(dictionary)?;
        let built_in = knowledge::folder("measures")
            .map(|(name, text)| Ok((name.to_owned(), knowledge::parse(name, text)?)))
            .collect::<Result<Vec<_>>>()?;
        let own_families = own.families.iter();
        let own_families = own_families.map(|path| Ok((path.display().to_string(), knowledge::parse_file(path)?)));
        let own_families = own_families.collect::<Result<Vec<_>>>()?;
        let opportunities = opportunity::Document::with(own.opportunities.as_deref())?;
        Self::of(built_in, own_families, opportunities, cvx)
    }

    fn of(
        built_in: Vec<(String, Family)>,
        own: Vec<(String, Family)>,
        opportunities: opportunity::Document,
        cvx: &Codelist,
    ) -> Result<Self> {
        let number_built_in = built_in.len();
        let files: Vec<_> = built_in.into_iter().chain(own).collect();
        let mut names = BTreeMap::new();
        for (at, (file, document)) in files.iter().enumerate() {
            if let Some((other, _)) = files[..at].iter().find(|(_, other)| other.family == document.family) {
                return Err(Error::usage(format!(
                    "`{file}`: the family `{}` is there already, in `{other}`",
                    document.family
                ))
                .hint("give the family of your own measures another name"));
            }
            if document.schema_version != SCHEMA_VERSION {
                return Err(Error::usage(format!(
                    "`{file}` has a schema_version that this program does not know; it knows {SCHEMA_VERSION}"
                )));
            }
            for (name, codes) in &document.code_sets {
                let mut member = vec![false; cvx.codes().len()];
                for code in codes {
                    let at = cvx.find(code.as_bytes(), false);
                    let at =
                        at.ok_or_else(|| Error::usage(format!("`{file}`: code set {name}: {code} is no CVX code")))?;
                    member[usize::from(at)] = true;
                }
                names.insert(format!("{}:{name}", document.family), member);
            }
        }
        let mut all = Self {
            cvx: cvx.codes().iter().map(|code| (code.code.clone(), code.label.clone())).collect(),
            list: files.iter().flat_map(|(_, document)| document.measures.clone()).collect(),
            family_of: Vec::new(),
            families: Vec::new(),
            built_in: number_built_in,
            requirements: Vec::new(),
            deadlines: Vec::new(),
            fingerprints: Vec::new(),
            versions: Vec::new(),
            code_sets: Vec::new(),
            opportunities: Opportunities::of(opportunities, cvx)?,
        };
        for (at, (file, document)) in files.into_iter().enumerate() {
            for measure in &document.measures {
                let wrong = |what: String| Error::usage(format!("`{file}`: measure {}: {what}", measure.id));
                all.deadlines.push(deadline(measure).map_err(|what| wrong(what.to_owned()))?);
                let requirement = all.requirement(measure, &document.family, &names).map_err(wrong)?;
                all.requirements.push(requirement);
                all.versions.push(document.version.clone());
                all.family_of.push(at);
            }
            all.families.push(document);
        }
        let ids: Vec<_> = all.list.iter().map(|measure| measure.id.as_str()).collect();
        all.opportunities.bind(&ids, &all.requirements, &all.deadlines)?;
        all.fingerprints = (0..all.list.len()).map(|at| all.fingerprint(at)).collect::<Result<_>>()?;
        Ok(all)
    }

    /// What a measure needs; or what is wrong with it.
    fn requirement(
        &mut self,
        measure: &Measure,
        family: &str,
        names: &BTreeMap<String, Vec<bool>>,
    ) -> std::result::Result<Requirement, String> {
        let well_formed = measure.id.strip_prefix(family).is_some_and(|rest| {
            rest.len() > 1
                && rest.starts_with('.')
                && rest[1..].chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        });
        if !well_formed {
            return Err("the id must be the family, a dot, and lower-case letters, digits and underscores".to_owned());
        }
        if [&measure.title, &measure.definition, &measure.source].iter().any(|text| text.trim().is_empty()) {
            return Err("it needs a title, a definition and a source".to_owned());
        }
        if self.list.iter().filter(|other| other.id == measure.id).count() > 1 {
            return Err("the id is there twice".to_owned());
        }
        if measure.one_visit && measure.all_of.is_empty() {
            return Err("`one_visit` goes with `all_of`".to_owned());
        }
        match (measure.series.as_slice(), measure.all_of.as_slice(), measure.none_of.as_slice()) {
            (ways @ [_, ..], [], []) => {
                if ways.iter().any(|way| way.before_season == Some(0)) {
                    return Err("`before_season` needs a number of days".to_owned());
                }
                looks_back(measure, ways)?;
                let rules = ways.iter().map(|way| self.rule(way, family, names));
                Ok(Requirement::Series(rules.collect::<std::result::Result<_, _>>()?))
            }
            ([], parts @ [_, ..], []) => {
                let positions = self.parts(parts, measure, 0)?;
                if measure.late_after.is_some() && positions.len() > 1 {
                    return Err("`late_after` speaks of one series: its parts have their own".to_owned());
                }
                Ok(Requirement::AllOf(positions))
            }
            ([], [], parts @ [_, ..]) => {
                // None of a combined measure would be none of its parts, which is more than not all of them.
                let positions = self.parts(parts, measure, 0)?;
                if positions.iter().all(|at| parts.contains(&self.list[*at].id)) {
                    Ok(Requirement::NoneOf(positions))
                } else {
                    Err("`none_of` takes measures with a series of their own".to_owned())
                }
            }
            _ => Err("it needs one of series, all_of and none_of".to_owned()),
        }
    }

    fn rule(
        &mut self,
        way: &Way,
        family: &str,
        names: &BTreeMap<String, Vec<bool>>,
    ) -> std::result::Result<Rule, String> {
        let union = |sets: &[String]| {
            let mut union = vec![false; self.cvx.len()];
            for name in sets {
                let full = if name.contains(':') { name.clone() } else { format!("{family}:{name}") };
                let set = names.get(&full).ok_or_else(|| format!("there is no code set `{name}`"))?;
                union.iter_mut().zip(set).for_each(|(all, one)| *all |= one);
            }
            if union.contains(&true) { Ok(union) } else { Err("a way needs codes".to_owned()) }
        };
        let counts = union(&way.codes)?;
        let also = way.also.as_ref().map(|also| union(&also.codes)).transpose()?;
        let only = way.only.as_ref().map(|only| union(&only.codes)).transpose()?;
        if way.doses == 0 {
            return Err("a way needs doses".to_owned());
        }
        if way.only.as_ref().is_some_and(|only| only.first == 0 || only.first > way.doses) {
            return Err("`only` speaks of one first day at least, and of no more than the way needs".to_owned());
        }
        if way.only.is_some() && (way.also.is_some() || way.apart.is_some()) {
            return Err("`only` goes with neither `also` nor `apart`".to_owned());
        }
        let window = |set| Given { set, from: way.from, through: way.through };
        let without = way.only.as_ref().zip(only).map(|(only, products)| {
            let others = counts.iter().zip(products).map(|(counts, is_product)| *counts && !is_product).collect();
            (usize::from(only.first), window(self.set(others)))
        });
        Ok(Rule {
            doses: usize::from(way.doses),
            without,
            also: way.also.as_ref().zip(also).map(|(also, codes)| Given {
                set: self.set(codes),
                from: also.from,
                through: also.through,
            }),
            given: window(self.set(counts)),
            first_from: way.first_from,
            first_before: way.first_before,
            last_from: way.last_from,
            apart: way.apart,
            before_season: way.before_season.map_or(0, usize::from),
        })
    }

    /// The position of a set of codes; equal sets have one.
    fn set(&mut self, codes: Vec<bool>) -> usize {
        self.code_sets.iter().position(|set| *set == codes).unwrap_or_else(|| {
            self.code_sets.push(codes);
            self.code_sets.len() - 1
        })
    }

    /// The measures with a series that named measures are made of, for a combination of them.
    fn parts(&self, ids: &[String], of: &Measure, depth: usize) -> std::result::Result<Vec<usize>, String> {
        let mut parts = Vec::new();
        for id in ids {
            let at = self.list.iter().position(|measure| measure.id == *id);
            let at = at.ok_or_else(|| format!("there is no measure `{id}`"))?;
            let measure = &self.list[at];
            if !measure.none_of.is_empty() || depth == self.list.len() {
                return Err(format!("`{id}` cannot be a part"));
            }
            if measure.season.is_some() != of.season.is_some() {
                return Err(format!("`{id}` cannot be a part: one of both is of a season, and the other is not"));
            }
            looks_back(of, &measure.series)?;
            let of_part = match measure.all_of.as_slice() {
                [] => vec![at],
                all_of => self.parts(all_of, of, depth + 1)?,
            };
            for part in of_part {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
        }
        Ok(parts)
    }

    /// Changes with the definition, the codes of its sets, the earliest days of its doses, and the measures that it is
    /// made of.
    fn fingerprint(&self, at: usize) -> Result<Fingerprint> {
        let no_json = |_| Error::internal("a measure has no JSON form");
        let mut parts = vec![serde_json::to_vec(&self.list[at]).map_err(no_json)?];
        if let Requirement::AllOf(positions) | Requirement::NoneOf(positions) = &self.requirements[at] {
            for part in positions {
                parts.push(self.fingerprint(*part)?.to_string().into_bytes());
            }
        }
        for rule in self.rules(at) {
            let sets = [Some(rule.given), rule.also, rule.without.map(|(_, others)| others)];
            for given in sets.into_iter().flatten() {
                parts.push(self.codes_of(given.set).join(" ").into_bytes());
            }
        }
        parts.extend(self.opportunities.part_of(at)?);
        Ok(Fingerprint::of(parts.iter().map(|part| ("", part.as_slice()))))
    }

    /// The measures, in the order of their files.
    pub fn measures(&self) -> &[Measure] {
        &self.list
    }

    /// The families, in the order of their files.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The family of a measure.
    pub fn family(&self, at: usize) -> &Family {
        &self.families[self.family_of[at]]
    }

    /// Whether a measure is the department's own.
    pub fn is_own(&self, at: usize) -> bool {
        self.family_of[at] >= self.built_in
    }

    /// What each measure needs.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The column of `clients` with the day on which the series of a measure was complete; of a season, in that of the
    /// as-of date.
    pub fn column(&self, at: usize, as_of: NaiveDate) -> String {
        let measure = &self.list[at];
        self.season(at, as_of).map_or_else(|| measure.column(), |year| measure.column_of_season(year))
    }

    /// The year in which the season begins that a measure asks about as of a day; none of a measure by an age.
    pub fn season(&self, at: usize, as_of: NaiveDate) -> Option<i32> {
        matches!(self.deadlines[at], Deadline::Season(_)).then(|| season::year_of(as_of))
    }

    /// Until when what a measure asks for must have been done.
    pub fn deadline(&self, at: usize) -> Deadline {
        self.deadlines[at]
    }

    /// Sets of CVX codes: for every position of the codelist, whether the code is in.
    pub fn code_sets(&self) -> &[Vec<bool>] {
        &self.code_sets
    }

    /// Position and ways of every measure with a series of its own, whose day is stored.
    pub fn series(&self) -> impl Iterator<Item = (usize, &[Rule])> {
        self.requirements.iter().enumerate().filter_map(|(at, requirement)| match requirement {
            Requirement::Series(rules) => Some((at, rules.as_slice())),
            Requirement::AllOf(_) | Requirement::NoneOf(_) => None,
        })
    }

    /// The column of `clients` with the day on which the series of a measure would have been complete, had no visit been
    /// a missed opportunity; for measures with a series of their own that `opportunities.toml` names. Never later than the
    /// day on which it was complete; where it was not, no day after [`Measures::oldest_age`] is looked for.
    pub fn potential(&self, at: usize) -> Option<String> {
        self.opportunities.vaccine(at).map(|_| self.list[at].named("could"))
    }

    /// The oldest age in months by which the series of a measure is asked for, by itself or as a part of another measure.
    pub fn oldest_age(&self, at: usize) -> u32 {
        let asking = (0..self.list.len()).filter(|other| self.deciding(*other).contains(&at));
        asking.filter_map(|other| self.list[other].by_age_months).max().unwrap_or_default()
    }

    /// The column of `clients` with the day from which on no part of a measure lacks more than one dose; for measures
    /// with `one_visit`.
    pub fn near(&self, at: usize) -> Option<String> {
        self.list[at].one_visit.then(|| self.list[at].named("near"))
    }

    /// When doses could have been given, and what is a dose at all.
    pub fn opportunities(&self) -> &Opportunities {
        &self.opportunities
    }

    fn rules(&self, at: usize) -> &[Rule] {
        match &self.requirements[at] {
            Requirement::Series(rules) => rules,
            Requirement::AllOf(_) | Requirement::NoneOf(_) => &[],
        }
    }

    /// The positions of the measures whose series decide about a measure: its own, or those of its parts.
    pub fn deciding(&self, at: usize) -> Vec<usize> {
        match &self.requirements[at] {
            Requirement::Series(_) => vec![at],
            Requirement::AllOf(parts) | Requirement::NoneOf(parts) => parts.clone(),
        }
    }

    /// Whether everybody with one measure has another one, too: each series of the other is one of the first, or asks fewer
    /// doses of the same kind.
    pub fn implies(&self, first: usize, other: usize) -> bool {
        let asks_no_more =
            |other: &Rule, of: &Rule| other.doses <= of.doses && Rule { doses: of.doses, ..other.clone() } == *of;
        let follows = |other: usize, from: usize| {
            let (others, of) = (self.rules(other), self.rules(from));
            !of.is_empty() && of.iter().all(|of| others.iter().any(|other| asks_no_more(other, of)))
        };
        let has = self.deciding(first);
        self.deciding(other).into_iter().all(|part| has.iter().any(|own| *own == part || follows(part, *own)))
    }

    /// The first day of birth whose doses for a measure are all in a file that begins with a year: those of earlier births are
    /// cut off. None where doses of earlier years do not matter.
    pub fn complete_from(&self, at: usize, first_year: i32) -> Option<NaiveDate> {
        let first = NaiveDate::from_ymd_opt(first_year, 1, 1).unwrap_or(NaiveDate::MIN);
        let measure = &self.list[at];
        match measure.history_from_months {
            Some(months) => Some(calendar::date(born_by(calendar::day(first) - 1, months) + 1)),
            None => measure.season.is_none().then_some(first),
        }
    }

    /// Who is of the age of a measure as of a day: the first day of birth of those who are young enough, where it has such a
    /// limit, and the last one of those who are old enough.
    pub fn born(&self, at: usize, as_of: NaiveDate) -> (Option<NaiveDate>, NaiveDate) {
        let (months, day) = match self.deadlines[at] {
            Deadline::Age(months, _) => (months, as_of),
            Deadline::Season(season) => (season.from_age_months, season.aged_on(as_of)),
        };
        let of_age = |months| calendar::date(born_by(calendar::day(day), months));
        let young = self.list[at].under_age_months.map(|months| of_age(months) + chrono::Days::new(1));
        (young, of_age(months))
    }

    /// The CVX codes that count for a measure, or for any part of a combined one, in the order of the codelist.
    pub fn cvx_codes(&self, at: usize) -> Vec<&str> {
        self.vaccines(at).into_iter().map(|(code, _)| code).collect()
    }

    /// Code and name of the vaccines that count for a measure, or for any part of a combined one.
    pub fn vaccines(&self, at: usize) -> Vec<(&str, &str)> {
        let deciding = self.deciding(at);
        let sets: Vec<_> = deciding
            .iter()
            .flat_map(|part| self.rules(*part))
            .flat_map(|rule| std::iter::once(rule.given).chain(rule.also))
            .map(|given| &self.code_sets[given.set])
            .collect();
        let counts = |at: usize| sets.iter().any(|set| set[at]);
        let vaccines = self.cvx.iter().enumerate().filter(|(at, _)| counts(*at));
        vaccines.map(|(_, (code, label))| (code.as_str(), label.as_str())).collect()
    }

    fn codes_of(&self, set: usize) -> Vec<&str> {
        let codes = self.cvx.iter().zip(&self.code_sets[set]).filter(|(_, is_in)| **is_in);
        codes.map(|((code, _), _)| code.as_str()).collect()
    }

    /// The fingerprint of each measure.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// The version of each measure: that of its file.
    pub fn versions(&self) -> &[String] {
        &self.versions
    }

    /// The position of a measure; the error names the nearest one.
    pub fn position(&self, id: &str) -> Result<usize> {
        self.list.iter().position(|measure| measure.id == id).ok_or_else(|| {
            let ids = self.list.iter().map(|measure| measure.id.as_str());
            let hint = match nearest(id, ids, "phds measures") {
                near if near.starts_with("did you mean") || self.search(&[id]).is_empty() => near,
                listing => format!("{listing}, and `phds measures {id}` those that have the word"),
            };
            Error::usage(format!("there is no measure `{id}`")).hint(hint)
        })
    }

    /// The positions of the measures that have all of some words, or parts of words, in id, title or definition.
    pub fn search(&self, words: &[impl AsRef<str>]) -> Vec<usize> {
        let has = |at: &usize| {
            let measure = &self.list[*at];
            let text = format!("{} {} {}", measure.id, measure.title, measure.definition).to_lowercase();
            words.iter().all(|word| text.contains(&word.as_ref().to_lowercase()))
        };
        (0..self.list.len()).filter(has).collect()
    }

    /// The ages in months that any measure asks about, each once, ascending.
    pub fn ages(&self) -> Vec<u32> {
        let mut ages: Vec<_> = self.list.iter().filter_map(|measure| measure.by_age_months).collect();
        ages.sort_unstable();
        ages.dedup();
        ages
    }
}

/// Whether a measure may ask for doses before a season, where these ways do.
fn looks_back(measure: &Measure, ways: &[Way]) -> std::result::Result<(), String> {
    match ways.iter().any(|way| way.before_season.is_some()) {
        true if measure.season.is_none() => Err("`before_season` goes with `season`".to_owned()),
        true if measure.history_from_months.is_none() => {
            Err("`before_season` needs `history_from_months`: earlier doses must be in the file".to_owned())
        }
        _ => Ok(()),
    }
}

/// Until when what a measure asks for must have been done; or what is wrong with it.
fn deadline(measure: &Measure) -> std::result::Result<Deadline, &'static str> {
    let deadline = match (measure.by_age_months, measure.cutoff, measure.season) {
        (Some(months), Some(cutoff), None) => Deadline::Age(months, cutoff),
        (None, None, Some(season)) => Deadline::Season(season),
        _ => return Err("it needs either `by_age_months` with `cutoff`, or `season`"),
    };
    let under = measure.under_age_months;
    let of_season = measure.season.map(|season| season.from_age_months);
    let ages = [measure.by_age_months, under, measure.history_from_months, of_season];
    if ages.into_iter().flatten().any(|months| months > LONGEST) {
        return Err("an age has more months than anybody reaches");
    }
    match deadline {
        Deadline::Age(months, _) => {
            if under.is_some_and(|under| under <= months) {
                return Err("`under_age_months` must be more than `by_age_months`");
            }
            // Which of two ages comes first may depend on the birth: all days of a cycle of leap years are tried.
            let by = Age::of_months(months);
            let is_late = |late: Age| (0..1461).any(|birth| late.after(birth) > by.after(birth));
            if measure.late_after.is_some_and(is_late) {
                return Err("`late_after` must not be after `by_age_months`");
            }
        }
        Deadline::Season(season) => {
            if under.is_none_or(|under| under <= season.from_age_months) {
                return Err("a measure of a season needs `under_age_months`, more than its `from_age_months`");
            }
            if measure.late_after.is_some() || measure.one_visit {
                return Err("`late_after` and `one_visit` go with `by_age_months`");
            }
            if measure.series.iter().any(|way| way.only.is_some()) {
                return Err("`only` goes with `by_age_months`");
            }
        }
    }
    Ok(deadline)
}

/// The codelist that measures name vaccines by.
pub fn cvx_codes(dictionary: &Dictionary) -> Result<&Codelist> {
    let cvx = dictionary.field(names::CVX).and_then(|field| dictionary.codelist(field));
    cvx.ok_or_else(|| Error::usage("the dictionary has no codelist of CVX codes"))
}

/// Name of the column of `clients` that holds the day on which the client reaches an age.
pub fn age_column(months: u32) -> String {
    format!("reaches_{months}_months")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(measures: &str) -> Result<Measures> {
        let dictionary = Dictionary::built_in().unwrap();
        let cvx = dictionary.field(names::CVX).and_then(|field| dictionary.codelist(field)).unwrap();
        let text = format!(
            "schema_version = 2\nfamily = 'f'\nversion = '1'\ntitle = ''\nabout = ''\nsource = ''\nsource_date = ''\n\
             caveats = []\n[code_sets]\nmmr = ['03', '94']\nmmrv = ['94']\nnone = []\n{measures}"
        );
        let opportunities = "schema_version = 1\nversion = ''\ntitle = ''\nsource = ''\nsource_date = ''\nbasis = 'read'\n\
             no_dose = []\nvaccine = []";
        let opportunities = knowledge::parse("opportunities.toml", opportunities)?;
        Measures::of(vec![("f.toml".to_owned(), knowledge::parse("f.toml", &text)?)], Vec::new(), opportunities, cvx)
    }

    fn measure(id: &str, needs: &str) -> String {
        format!(
            "[[measure]]\nid = '{id}'\ntitle = 't'\ndefinition = 'd'\nsource = 's'\nbasis = 'read'\nby_age_months = 24\n\
             cutoff = 'before_birthday'\n{needs}\n"
        )
    }

    const SEASON: &str = "season = { from_age_months = 6, aged_on = '12-31' }";

    #[test]
    fn what_is_wrong_with_a_measure_is_said() {
        let series = "series = [{ doses = 1, codes = ['mmr'] }]";
        let one = measure("f.a", series);
        let by_age = "by_age_months = 24\ncutoff = 'before_birthday'";
        let in_season = |aged_on: &str| {
            let season = SEASON.replace("aged_on = '12-31'", aged_on);
            one.replace(by_age, &format!("under_age_months = 24\n{season}"))
        };
        let looking_back = |days: u8, history: &str| {
            let before = format!(", before_season = {days} }}]");
            in_season("aged_on = '12-31'").replace("}]", &before) + history + "\n"
        };
        assert_eq!(loaded(&in_season("aged_on = '12-31'")).unwrap().ages(), Vec::<u32>::new());
        assert!(loaded(&looking_back(1, "history_from_months = 6")).is_ok());
        assert_eq!(loaded(&one).unwrap().cvx_codes(0), ["03", "94"]);
        for (measures, said) in [
            (measure("f.", series), "the id must be"),
            (measure("g.a", series), "the id must be"),
            (measure("f.a-b", series), "the id must be"),
            (one.clone() + &one, "the id is there twice"),
            (one.replace("'d'", "' '"), "it needs a title, a definition and a source"),
            (measure("f.a", ""), "it needs one of"),
            (measure("f.a", &format!("{series}\nall_of = ['f.a']")), "it needs one of"),
            (measure("f.a", "series = [{ doses = 0, codes = ['mmr'] }]"), "a way needs doses"),
            (measure("f.a", "series = [{ doses = 1, codes = ['none'] }]"), "a way needs codes"),
            (measure("f.a", "series = [{ doses = 1, codes = ['mm'] }]"), "there is no code set `mm`"),
            (measure("f.a", "series = [{ doses = 1, codes = ['g:mmr'] }]"), "there is no code set `g:mmr`"),
            (measure("f.a", "series = [{ doses = 1, codes = ['mmr'], from = '1 moon' }]"), "line "),
            (
                measure("f.a", "series = [{ doses = 1, codes = ['mmr'], only = { first = 2, codes = ['mmrv'] } }]"),
                "`only` speaks of",
            ),
            (
                measure(
                    "f.a",
                    "series = [{ doses = 2, codes = ['mmr'], apart = '1 day', only = { first = 1, codes = ['mmrv'] } }]",
                ),
                "`only` goes with",
            ),
            (one.clone() + &measure("f.b", "all_of = ['f.c']"), "there is no measure `f.c`"),
            (measure("f.a", "all_of = ['f.a']"), "cannot be a part"),
            (measure("f.a", "all_of = ['f.b']") + &measure("f.b", "all_of = ['f.a']"), "cannot be a part"),
            (
                one.clone() + &measure("f.b", "none_of = ['f.a']") + &measure("f.c", "all_of = ['f.b']"),
                "`f.b` cannot be a part",
            ),
            (
                one.clone() + &measure("f.b", "all_of = ['f.a', 'f.a']") + &measure("f.c", "none_of = ['f.b']"),
                "a series of their own",
            ),
            (one.replace("by_age", "under_age_months = 24\nby_age"), "`under_age_months` must be more"),
            (one.clone() + "late_after = '24 months + 1 day'", "`late_after` must not be after"),
            // From February 1, two years are 731 days in some years and 730 in others.
            (one.clone() + "late_after = '731 days'", "`late_after` must not be after"),
            (one.replace("= 24", "= 2001"), "more months than anybody"),
            (
                one.clone()
                    + &measure("f.b", series)
                    + &measure("f.c", "all_of = ['f.a', 'f.b']\nlate_after = '19 months + 4 weeks'"),
                "`late_after` speaks of one series",
            ),
            (one.clone() + "one_visit = true", "`one_visit` goes with `all_of`"),
            (one.replace("by_age_months = 24", ""), "it needs either"),
            (one.clone() + SEASON, "it needs either"),
            (in_season("aged_at = '12-31'"), "line "),
            (in_season("aged_on = '02-29'"), "line "),
            (in_season("aged_on = '12-31'").replace("under_age_months = 24", ""), "needs `under_age_months`"),
            (in_season("aged_on = '12-31'").replace("= 24", "= 6"), "needs `under_age_months`, more than"),
            (in_season("aged_on = '12-31'") + "late_after = '12 months'", "go with `by_age_months`"),
            (
                in_season("aged_on = '12-31'").replace("}]", ", only = { first = 1, codes = ['mmr'] } }]"),
                "`only` goes with",
            ),
            (one.replace("}]", ", before_season = 1 }]"), "`before_season` goes with `season`"),
            (looking_back(0, ""), "`before_season` needs a number of days"),
            (looking_back(1, ""), "`before_season` needs `history_from_months`"),
            (
                looking_back(1, "history_from_months = 6")
                    + &in_season("aged_on = '12-31'").replace("f.a", "f.b").replace(series, "all_of = ['f.a']"),
                "measure f.b: `before_season` needs `history_from_months`",
            ),
            (in_season("aged_on = ' 7- 1'"), "line "),
            (
                in_season("aged_on = '12-31'") + &measure("f.b", "all_of = ['f.a']"),
                "`f.a` cannot be a part: one of both",
            ),
            (
                one.clone() + &in_season("aged_on = '12-31'").replace("f.a", "f.b").replace(series, "all_of = ['f.a']"),
                "`f.a` cannot be a part: one of both",
            ),
        ] {
            let error = loaded(&measures).unwrap_err();
            assert!(error.message().contains(said), "{measures}\n{}", error.message());
        }
    }

    #[test]
    fn a_combined_measure_stores_nothing_and_changes_with_its_parts() {
        let combined = |doses: u8| {
            let parts = measure("f.b", "all_of = ['f.c', 'f.a']") + &measure("f.c", "all_of = ['f.a']");
            let series = format!("series = [{{ doses = {doses}, codes = ['mmr'] }}]");
            loaded(&(parts + &measure("f.a", &series))).unwrap()
        };
        let measures = combined(1);
        assert_eq!(measures.series().map(|(at, _)| measures.measures()[at].column()).collect::<Vec<_>>(), ["met_f_a"]);
        assert_eq!(measures.deciding(0), [2]);
        assert_eq!(measures.ages(), [24]);
        let other = combined(2);
        assert!((0..3).all(|at| measures.fingerprints()[at] != other.fingerprints()[at]));
    }
}
