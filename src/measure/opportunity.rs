//! When each dose could have been given at the earliest: `opportunities.toml`, proved against codes and measures.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Age, Basis, Deadline, Requirement, Rule};
use crate::dictionary::Codelist;
use crate::error::{Error, Result};
use crate::knowledge::{self, Fingerprint};
use crate::provenance::Edition;

/// The knowledge file.
const FILE: &str = "opportunities.toml";
const SCHEMA_VERSION: u32 = 1;

/// When a dose may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// From the day of this age on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Age>,
    /// Before the day of this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Age>,
    /// So long after the dose before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Age>,
    /// So long after the first dose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_first: Option<Age>,
}

/// The doses of one vaccine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vaccine {
    /// A few words.
    pub name: String,
    /// The measures, with a series of their own, that are asked of it.
    pub measures: Vec<String>,
    /// The doses in their order.
    pub doses: Vec<Due>,
    /// The last dose of a series, in place of the one of its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Due>,
}

impl Vaccine {
    /// The doses of a series of so many.
    fn series(&self, doses: usize) -> Option<Vec<Due>> {
        let before = self.doses.get(..doses.checked_sub(1)?)?;
        let last = self.last.as_ref().or_else(|| self.doses.get(doses - 1))?;
        Some(before.iter().chain([last]).copied().collect())
    }
}

/// `opportunities.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// 1.
    pub schema_version: u32,
    /// Changes with every change of the content.
    pub version: String,
    /// A few words.
    pub title: String,
    /// Where ages and intervals come from.
    pub source: String,
    /// The date of the source.
    pub source_date: String,
    /// How far they are to be trusted.
    pub basis: Basis,
    /// CVX codes of rows that tell of no dose.
    pub no_dose: Vec<String>,
    /// The vaccines.
    #[serde(rename = "vaccine")]
    pub vaccines: Vec<Vaccine>,
}

impl Document {
    /// The built-in file, with a department's own over it: vaccines are matched by `name`.
    pub(super) fn with(own: Option<&Path>) -> Result<Self> {
        knowledge::with_own(FILE, own, "name")
    }
}

/// The earliest days of doses, and what is a dose at all.
#[derive(Clone, Debug)]
pub struct Opportunities {
    document: Document,
    edition: Edition,
    /// For every CVX code, whether a row with it tells of a dose.
    doses: Vec<bool>,
    /// For every measure, the position of its vaccine.
    vaccine_of: Vec<Option<usize>>,
}

impl Opportunities {
    /// Of no measures yet.
    pub(super) fn of(document: Document, cvx: &Codelist) -> Result<Self> {
        if document.schema_version != SCHEMA_VERSION {
            return Err(wrong(&format!("its schema_version is not {SCHEMA_VERSION}, which is the one that is known")));
        }
        let mut doses = vec![true; cvx.codes().len()];
        for code in &document.no_dose {
            let at = cvx.find(code.as_bytes(), false);
            doses[usize::from(at.ok_or_else(|| wrong(&format!("no_dose: {code} is no CVX code")))?)] = false;
        }
        let text = serde_json::to_vec(&document).map_err(|_| Error::internal("the opportunities have no JSON form"))?;
        let fingerprint = Fingerprint::of([(FILE, text.as_slice())]);
        let edition = Edition { id: "opportunities".to_owned(), version: document.version.clone(), fingerprint };
        Ok(Self { document, edition, doses, vaccine_of: Vec::new() })
    }

    /// Looks up the measures, by their ids, what they need, and until when.
    pub(super) fn bind(&mut self, ids: &[&str], needs: &[Requirement], deadlines: &[Deadline]) -> Result<()> {
        self.vaccine_of = vec![None; ids.len()];
        for (at, vaccine) in self.document.vaccines.iter().enumerate() {
            let wrong = |what: &str| Err(wrong(&format!("{}: {what}", vaccine.name)));
            if vaccine.doses.iter().skip(1).chain(&vaccine.last).any(|due| due.after.is_none()) {
                return wrong("a dose that follows another needs `after`");
            }
            for id in &vaccine.measures {
                let Some(measure) = ids.iter().position(|known| known == id) else {
                    return wrong(&format!("there is no measure `{id}`"));
                };
                let Requirement::Series(ways) = &needs[measure] else {
                    return wrong(&format!("`{id}` has no series of its own"));
                };
                if matches!(deadlines[measure], Deadline::Season(_)) {
                    return wrong(&format!("`{id}` is of a season, and asks for no age"));
                }
                if ways.iter().any(|way| vaccine.series(way.doses).is_none()) {
                    return wrong(&format!("`{id}` needs more doses"));
                }
                if self.vaccine_of[measure].replace(at).is_some() {
                    return wrong(&format!("`{id}` is there twice"));
                }
            }
        }
        Ok(())
    }

    /// Name, version and fingerprint of the file.
    pub fn edition(&self) -> &Edition {
        &self.edition
    }

    /// What the file says.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// For every position of the CVX codelist, whether a row with the code tells of a dose.
    pub fn doses(&self) -> &[bool] {
        &self.doses
    }

    /// The vaccine whose doses a measure asks for, where the file has it.
    pub fn vaccine(&self, measure: usize) -> Option<&Vaccine> {
        self.vaccine_of[measure].map(|at| &self.document.vaccines[at])
    }

    /// When the doses of a way of a measure may be given, as many as the way needs; where the file has the measure.
    pub fn dues(&self, measure: usize, way: &Rule) -> Option<Vec<Due>> {
        self.vaccine(measure)?.series(way.doses)
    }

    /// What a measure's fingerprint must change with.
    pub(super) fn part_of(&self, measure: usize) -> Result<Option<Vec<u8>>> {
        let part = self.vaccine(measure).map(|vaccine| (&vaccine.doses, &vaccine.last, &self.document.no_dose));
        let part = part.map(|part| serde_json::to_vec(&part)).transpose();
        part.map_err(|_| Error::internal("the doses of a vaccine have no JSON form"))
    }
}

fn wrong(what: &str) -> Error {
    Error::usage(format!("`{FILE}`: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{Dictionary, names};
    use crate::measure::{Cutoff, Given};

    fn loaded(no_dose: &str, vaccine: &str) -> Result<Opportunities> {
        let dictionary = Dictionary::built_in().unwrap();
        let cvx = dictionary.field(names::CVX).and_then(|field| dictionary.codelist(field)).unwrap();
        let way = |doses| Rule {
            doses,
            given: Given { set: 0, from: None, through: None },
            also: None,
            without: None,
            first_from: None,
            first_before: None,
            last_from: None,
            apart: None,
            before_season: 0,
        };
        let needs = [Requirement::Series(vec![way(3), way(2)]), Requirement::AllOf(vec![0])];
        let text = format!(
            "schema_version = 1\nversion = '1'\ntitle = ''\nsource = ''\nsource_date = ''\nbasis = 'read'\n\
             no_dose = ['{no_dose}']\n{vaccine}"
        );
        let mut all = Opportunities::of(knowledge::parse(FILE, &text)?, cvx)?;
        let deadlines = [Deadline::Age(24, Cutoff::BeforeBirthday); 2];
        all.bind(&["f.a", "f.b"], &needs, &deadlines).map(|()| all)
    }

    fn vaccine(measures: &str, doses: &str) -> String {
        format!("[[vaccine]]\nname = 'v'\nmeasures = [{measures}]\n{doses}\n")
    }

    const TWO: &str = "doses = [{ from = '6 weeks' }, { after = '4 weeks' }]";

    #[test]
    fn the_last_dose_may_have_a_rule_of_its_own() {
        let last = "last = { from = '12 months', after = '8 weeks' }";
        let all = loaded("998", &vaccine("'f.a'", &format!("{TWO}\n{last}"))).unwrap();
        assert_eq!(all.doses().iter().filter(|is_dose| !**is_dose).count(), 1);
        let vaccine = all.vaccine(0).unwrap();
        let age = |text: &str| Some(Age::try_from(text.to_owned()).unwrap());
        let froms = |doses: usize| vaccine.series(doses).unwrap().iter().map(|due| due.from).collect::<Vec<_>>();
        assert_eq!(froms(3), [age("6 weeks"), None, age("12 months")]);
        assert_eq!(froms(2), [age("6 weeks"), age("12 months")]);
        assert_eq!(froms(1), [age("12 months")]);
        assert!(all.vaccine(1).is_none());
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        let three = TWO.replace("}]", "}, { after = '4 weeks' }]");
        assert!(loaded("998", &vaccine("'f.a'", &three)).is_ok());
        for (no_dose, vaccines, said) in [
            ("997", vaccine("'f.a'", &three), "no_dose: 997 is no CVX code"),
            ("998", vaccine("'f.c'", &three), "v: there is no measure `f.c`"),
            ("998", vaccine("'f.b'", &three), "v: `f.b` has no series of its own"),
            ("998", vaccine("'f.a'", TWO), "v: `f.a` needs more doses"),
            ("998", vaccine("'f.a'", &three.replace("after", "from")), "needs `after`"),
            ("998", vaccine("'f.a', 'f.a'", &three), "v: `f.a` is there twice"),
            ("998", vaccine("'f.a'", &three.replace("weeks", "moons")), "line "),
        ] {
            let error = loaded(no_dose, &vaccines).unwrap_err();
            assert!(error.message().contains(said), "{vaccines}\n{}", error.message());
        }
    }
}
