//! What is measured: measure files → [`Measures`], proved against the CVX codelist.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::dictionary::{Codelist, Dictionary, names, nearest};
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};

/// When a dose is too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cutoff {
    /// A dose counts when it is given before the day on which the age is reached.
    BeforeBirthday,
}

/// A series that fewer doses complete, for some products.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shorter {
    /// Distinct dates that are enough.
    pub doses: u8,
    /// The number of first dates on which only these products may have been given.
    pub first: u8,
    /// Code sets of these products.
    pub codes: Vec<String>,
}

/// One coverage measure, as its file states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The age in months by which the doses must have been given.
    pub by_age_months: u32,
    /// When a dose is too late.
    pub cutoff: Cutoff,
    /// Distinct vaccination dates that are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doses: Option<u8>,
    /// Code sets of the vaccines that count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// Only doses from this age in months on count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age_months: Option<u32>,
    /// A series that fewer doses complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shorter: Option<Shorter>,
    /// Measures that must all be met, in place of doses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<String>,
}

impl Measure {
    /// Name of the column of `clients` that holds the date on which the client met the measure.
    pub fn column(&self) -> String {
        format!("met_{}", self.id.replace('.', "_"))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: u32,
    family: String,
    version: String,
    title: String,
    code_sets: BTreeMap<String, Vec<String>>,
    #[serde(rename = "measure")]
    measures: Vec<Measure>,
}

/// What a measure needs of a client's doses; codes are positions in the CVX codelist.
#[derive(Clone, Debug)]
pub enum Requirement {
    /// Distinct dates with one of the codes.
    Doses {
        /// How many.
        doses: u8,
        /// For every CVX code, whether it counts.
        counts: Vec<bool>,
        /// Only doses from this age in months on.
        min_age_months: Option<u32>,
        /// Fewer dates, how many first ones, and for every CVX code whether those may have it.
        shorter: Option<(u8, u8, Vec<bool>)>,
    },
    /// All of these measures, by position; each comes earlier in the list.
    AllOf(Vec<usize>),
}

/// All measures. Each requirement refers only to measures before it.
#[derive(Clone, Debug)]
pub struct Measures {
    /// The codes of the CVX codelist, by position.
    cvx: Vec<String>,
    list: Vec<Measure>,
    requirements: Vec<Requirement>,
    fingerprints: Vec<Fingerprint>,
    versions: Vec<String>,
}

impl Measures {
    /// The built-in measures.
    pub fn built_in(dictionary: &Dictionary) -> Result<Self> {
        let cvx = dictionary.field(names::CVX).and_then(|field| dictionary.codelist(field));
        let cvx = cvx.ok_or_else(|| Error::usage("the dictionary has no codelist of CVX codes"))?;
        let mut all = Self {
            cvx: cvx.codes().iter().map(|code| code.code.clone()).collect(),
            list: Vec::new(),
            requirements: Vec::new(),
            fingerprints: Vec::new(),
            versions: Vec::new(),
        };
        for (name, text) in knowledge::folder("measures") {
            all.add(name, &knowledge::parse(name, text)?, cvx)?;
        }
        Ok(all)
    }

    fn add(&mut self, file: &str, document: &Document, cvx: &Codelist) -> Result<()> {
        if document.schema_version != 1 {
            return Err(Error::usage(format!(
                "`{file}` has a schema_version that this program does not know; it knows 1"
            )));
        }
        let mut sets: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for (name, codes) in &document.code_sets {
            let mut member = vec![false; cvx.codes().len()];
            for code in codes {
                let at = cvx.find(code.as_bytes(), false);
                let at = at.ok_or_else(|| Error::usage(format!("`{file}`: code set {name}: {code} is no CVX code")))?;
                member[usize::from(at)] = true;
            }
            sets.insert(name, member);
        }
        let mut ids: HashSet<_> = self.list.iter().map(|measure| measure.id.clone()).collect();
        for measure in &document.measures {
            let wrong = |what: &str| Error::usage(format!("`{file}`: measure {}: {what}", measure.id));
            let well_formed = measure.id.strip_prefix(&document.family).is_some_and(|rest| {
                rest.len() > 1
                    && rest.starts_with('.')
                    && rest[1..].chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            });
            if !well_formed {
                return Err(wrong("the id must be the family, a dot, and lower-case letters, digits and underscores"));
            }
            if !ids.insert(measure.id.clone()) {
                return Err(wrong("the id is there twice"));
            }
            let union = |names: &[String]| {
                let mut union = vec![false; cvx.codes().len()];
                for name in names {
                    let set =
                        sets.get(name.as_str()).ok_or_else(|| wrong(&format!("there is no code set `{name}`")))?;
                    union.iter_mut().zip(set).for_each(|(all, one)| *all |= one);
                }
                Ok(union)
            };
            let requirement = match (measure.doses, measure.all_of.as_slice()) {
                (Some(doses @ 1..), []) if !measure.codes.is_empty() => Requirement::Doses {
                    doses,
                    counts: union(&measure.codes)?,
                    min_age_months: measure.min_age_months,
                    shorter: match &measure.shorter {
                        Some(shorter) if shorter.doses >= shorter.first && shorter.doses < doses => {
                            Some((shorter.doses, shorter.first, union(&shorter.codes)?))
                        }
                        Some(_) => {
                            return Err(wrong("`shorter` must have fewer doses, and no more first ones than doses"));
                        }
                        None => None,
                    },
                },
                (None, parts @ [_, ..]) if measure.codes.is_empty() && measure.shorter.is_none() => {
                    let positions = parts.iter().map(|part| {
                        let at = self.list.iter().position(|other| other.id == *part);
                        at.filter(|at| self.list[*at].by_age_months == measure.by_age_months).ok_or_else(|| {
                            wrong(&format!("`{part}` is no measure by the same age that stands before it"))
                        })
                    });
                    Requirement::AllOf(positions.collect::<Result<_>>()?)
                }
                _ => return Err(wrong("it needs either doses and codes, or all_of")),
            };
            self.fingerprints.push(self.fingerprint(measure, document, &requirement)?);
            self.versions.push(document.version.clone());
            self.list.push(measure.clone());
            self.requirements.push(requirement);
        }
        Ok(())
    }

    /// Changes with the definition, the codes of its sets, and the measures that it is made of.
    fn fingerprint(&self, measure: &Measure, document: &Document, requirement: &Requirement) -> Result<Fingerprint> {
        let no_json = |_| Error::internal("a measure has no JSON form");
        let mut parts = vec![serde_json::to_vec(measure).map_err(no_json)?];
        for name in measure.codes.iter().chain(measure.shorter.iter().flat_map(|shorter| &shorter.codes)) {
            parts.push(serde_json::to_vec(&document.code_sets.get(name)).map_err(no_json)?);
        }
        if let Requirement::AllOf(positions) = requirement {
            parts.extend(positions.iter().map(|at| self.fingerprints[*at].to_string().into_bytes()));
        }
        Ok(Fingerprint::of(parts.iter().map(|part| ("", part.as_slice()))))
    }

    /// The measures, in the order of their files.
    pub fn measures(&self) -> &[Measure] {
        &self.list
    }

    /// What each measure needs.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The CVX codes that count for a measure, or for any part of a combined one, in the order of the codelist.
    pub fn cvx_codes(&self, at: usize) -> Vec<&str> {
        let mut counted = vec![false; self.cvx.len()];
        self.mark(at, &mut counted);
        self.cvx.iter().zip(counted).filter(|(_, counted)| *counted).map(|(code, _)| code.as_str()).collect()
    }

    fn mark(&self, at: usize, counted: &mut [bool]) {
        match &self.requirements[at] {
            Requirement::Doses { counts, .. } => counted.iter_mut().zip(counts).for_each(|(all, one)| *all |= one),
            Requirement::AllOf(parts) => parts.iter().for_each(|part| self.mark(*part, counted)),
        }
    }

    /// The fingerprint of each measure.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// The version of each measure's file.
    pub fn versions(&self) -> &[String] {
        &self.versions
    }

    /// The position of a measure; the error names the nearest one.
    pub fn position(&self, id: &str) -> Result<usize> {
        self.list.iter().position(|measure| measure.id == id).ok_or_else(|| {
            let ids = self.list.iter().map(|measure| measure.id.as_str());
            Error::usage(format!("there is no measure `{id}`")).hint(nearest(id, ids, "phds measures"))
        })
    }

    /// The ages in months that any measure asks about, each once, ascending.
    pub fn ages(&self) -> Vec<u32> {
        let mut ages: Vec<_> = self.list.iter().map(|measure| measure.by_age_months).collect();
        ages.sort_unstable();
        ages.dedup();
        ages
    }
}

/// Name of the column of `clients` that holds the day on which the client reaches an age.
pub fn age_column(months: u32) -> String {
    format!("reaches_{months}_months")
}
