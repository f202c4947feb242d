//! What is known of each client of a month, column by column: each is read once in a run, however many tables are audited.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::engine::Membership;
use super::plan::{AggregatePlan, Count};
use super::sql::Term;
use crate::error::{Error, Result};

/// In no group.
const NONE: u32 = u32::MAX;

/// Columns of clients, in one order for all of them.
#[derive(Default)]
pub(super) struct Listing {
    /// The key of each client.
    keys: Vec<i64>,
    places: HashMap<i64, usize>,
    values: BTreeMap<Term, Values>,
    conditions: BTreeMap<Term, Vec<bool>>,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listing")
    }
}

/// The value of each client, as a position among the different ones.
struct Values {
    of: Vec<u32>,
    all: Vec<Option<String>>,
}

/// The columns of a plan.
struct Terms {
    groups: Vec<Term>,
    conditions: Vec<Term>,
    counts: Vec<Vec<Term>>,
}

impl Terms {
    fn of(plan: &AggregatePlan) -> Result<Self> {
        let counts = plan.counts.iter().map(|count| match count {
            Count::Rows(conditions) => conditions.iter().map(Term::condition).collect(),
            Count::Clients => Err(Error::internal("only counts of rows have members")),
        });
        Ok(Self {
            groups: plan.group_by.iter().map(Term::value).collect::<Result<_>>()?,
            conditions: plan.conditions.iter().map(Term::condition).collect::<Result<_>>()?,
            counts: counts.collect::<Result<_>>()?,
        })
    }
}

fn wrong() -> Error {
    Error::internal("the embedded query engine answers in another form")
}

impl Listing {
    /// What of these plans, which are over `clients`, has not been read yet: values, and conditions.
    pub(super) fn lacks(&self, plans: &[&AggregatePlan]) -> Result<[Vec<Term>; 2]> {
        let (mut values, mut conditions) = (BTreeSet::new(), BTreeSet::new());
        for plan in plans {
            let terms = Terms::of(plan)?;
            values.extend(terms.groups.into_iter().filter(|term| !self.values.contains_key(term)));
            let all = terms.conditions.into_iter().chain(terms.counts.into_iter().flatten());
            conditions.extend(all.filter(|term| !self.conditions.contains_key(term)));
        }
        Ok([values, conditions].map(|terms| terms.into_iter().collect()))
    }

    /// Takes in what was lacking, as the engine answers `sql::render_listing`.
    pub(super) fn take(
        &mut self,
        [values, conditions]: [Vec<Term>; 2],
        batches: impl Iterator<Item = RecordBatch>,
    ) -> Result<()> {
        let is_first = self.keys.is_empty();
        let unread = || Values { of: vec![NONE; self.keys.len()], all: Vec::new() };
        let mut read: Vec<Values> = values.iter().map(|_| unread()).collect();
        let mut held = vec![vec![false; self.keys.len()]; conditions.len()];
        let mut known: Vec<HashMap<Option<String>, u32>> = vec![HashMap::new(); values.len()];
        let (mut clients, mut next) = (0, 0);
        for batch in batches {
            let column = |at: usize| batch.columns().get(at).ok_or_else(wrong);
            let keys = column(0)?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?.values();
            let mut places = Vec::with_capacity(keys.len());
            for key in keys {
                if is_first {
                    self.places.insert(*key, self.keys.len());
                    self.keys.push(*key);
                }
                // Mostly the engine lists in one order.
                let place =
                    if self.keys.get(next) == Some(key) { next } else { *self.places.get(key).ok_or_else(wrong)? };
                places.push(place);
                next = place + 1;
            }
            clients += keys.len();
            for (at, (values, known)) in read.iter_mut().zip(&mut known).enumerate() {
                let texts = column(1 + at)?.as_string_opt::<i32>().ok_or_else(wrong)?;
                values.of.resize(self.keys.len(), NONE);
                let mut last: Option<(Option<&str>, u32)> = None;
                for (row, place) in places.iter().enumerate() {
                    let text = texts.is_valid(row).then(|| texts.value(row));
                    // Neighbours are often alike.
                    let value = if let Some((_, value)) = last.filter(|(known, _)| *known == text) {
                        value
                    } else {
                        let next = u32::try_from(values.all.len()).map_err(|_| wrong())?;
                        *known.entry(text.map(str::to_owned)).or_insert_with_key(|text| {
                            values.all.push(text.clone());
                            next
                        })
                    };
                    last = Some((text, value));
                    values.of[*place] = value;
                }
            }
            for (at, held) in held.iter_mut().enumerate() {
                let flags: &BooleanArray = column(1 + values.len() + at)?.as_boolean_opt().ok_or_else(wrong)?;
                held.resize(self.keys.len(), false);
                places.iter().enumerate().for_each(|(row, place)| held[*place] = flags.value(row));
            }
        }
        if clients != self.keys.len() {
            return Err(wrong());
        }
        self.values.extend(values.into_iter().zip(read));
        self.conditions.extend(conditions.into_iter().zip(held));
        Ok(())
    }

    /// The clients that a plan counts. Everything has been read.
    pub(super) fn members(&self, plan: &AggregatePlan) -> Result<Membership> {
        let terms = Terms::of(plan)?;
        let holds = |terms: &[Term]| {
            let mut all = vec![true; self.keys.len()];
            for term in terms {
                let column = self.conditions.get(term).ok_or_else(wrong)?;
                all.iter_mut().zip(column).for_each(|(all, one)| *all &= one);
            }
            Ok::<_, Error>(all)
        };
        let listed = holds(&terms.conditions)?;
        let listed: Vec<usize> = (0..self.keys.len()).filter(|at| listed[*at]).collect();
        let mut groups = vec![0; listed.len()];
        let mut keys = vec![Vec::new()];
        for term in &terms.groups {
            let values = self.values.get(term).ok_or_else(wrong)?;
            let mut known: HashMap<(u32, u32), u32> = HashMap::new();
            let mut further = Vec::new();
            let mut last = None;
            for (group, at) in groups.iter_mut().zip(&listed) {
                let pair = (*group, values.of[*at]);
                let value = values.all.get(pair.1 as usize).ok_or_else(wrong)?;
                *group = match last.filter(|(known, _)| *known == pair) {
                    Some((_, group)) => group,
                    None => *known.entry(pair).or_insert_with(|| {
                        let key: &Vec<Option<String>> = &keys[pair.0 as usize];
                        further.push(key.iter().chain([value]).cloned().collect());
                        u32::try_from(further.len() - 1).unwrap_or(NONE)
                    }),
                };
                last = Some((pair, *group));
            }
            keys = further;
        }
        let counted = terms.counts.iter().map(|terms| {
            let held = holds(terms)?;
            Ok::<_, Error>(listed.iter().map(|at| held[*at]).collect())
        });
        let counted = counted.collect::<Result<_>>()?;
        Ok(Membership { clients: listed.iter().map(|at| self.keys[*at]).collect(), groups, keys, counted })
    }
}
