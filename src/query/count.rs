//! A question → plans, and what the engine counts → a table.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::ask::{ATTRIBUTION, Attribution, DENOMINATOR_SOURCE, Denominator, Indicator};
use super::axis::Axis;
use super::engine::{Engine, Group};
use super::plan::{AggregatePlan, Column, Condition, Count, Expression, Rows, Value};
use super::{COMPLETE, Members, People, Question, RawCounts, RawStep, RawTable, Slice, Slices, Trait};
use crate::calendar;
use crate::dictionary::{Level, names};
use crate::error::{Error, Result};
use crate::measure::{Cutoff, Deadline, Requirement, age_column};

impl Question<'_> {
    /// Counts distinct clients, or doses, by group.
    pub fn count(&self, engine: &mut dyn Engine) -> Result<RawTable> {
        let mut columns: Vec<String> = self.by().map(|dimension| dimension.id.clone()).collect();
        let several = (self.attributions.len() > 1, self.denominators.len() > 1);
        columns.extend(several.0.then(|| ATTRIBUTION.to_owned()));
        columns.extend(several.1.then(|| DENOMINATOR_SOURCE.to_owned()));
        let mut counts = match self.indicator {
            Indicator::Doses => RawCounts::Doses(BTreeMap::new()),
            Indicator::Curve => RawCounts::Curves(BTreeMap::new()),
            Indicator::Missing => RawCounts::Sets(BTreeMap::new()),
            _ => RawCounts::Shares(BTreeMap::new()),
        };
        for attribution in &self.attributions {
            for group in engine.aggregate(&self.plan(*attribution)?)? {
                let values = self.by.iter().zip(&group.key);
                let mut labels: Vec<_> = values.map(|(axis, value)| axis.label(value.as_deref())).collect();
                labels.extend(several.0.then(|| attribution.name().to_owned()));
                self.add(&mut counts, labels, &group)?;
            }
        }
        if let RawCounts::Shares(shares) = &mut counts {
            for people in &self.populations {
                for (mut labels, count) in self.people(people)? {
                    labels.extend(several.1.then(|| format!("population:{}", people.population.note().name)));
                    shares.entry(labels).or_default().denominator = count;
                }
            }
        }
        if let RawCounts::Curves(curves) = &mut counts {
            for steps in curves.values_mut() {
                follow(steps);
            }
        }
        Ok(RawTable { columns, counts })
    }

    /// The clients of a table of shares, one part of the table for each rule of attribution and each denominator, in the order
    /// in which their rows are labelled. Other tables, and attribution by `any`, have [`Question::slices`].
    pub(crate) fn members(&self, engine: &mut dyn Engine) -> Result<Vec<Members>> {
        let several = (self.attributions.len() > 1, self.denominators.len() > 1);
        let mut parts = Vec::new();
        let mut order: Vec<usize> = (0..self.by.len()).collect();
        order.sort_by_key(|at| &self.by[*at].dimension.id);
        if !self.indicator.is_of_shares() {
            return Ok(parts);
        }
        for attribution in self.attributions.iter().filter(|rule| **rule != Attribution::Any) {
            let found = engine.members(&self.plan(*attribution)?)?;
            let labels = found.keys.iter().map(|key| {
                let values = self.by.iter().zip(key);
                values.map(|(axis, value)| axis.label(value.as_deref())).collect::<Vec<_>>()
            });
            let labels: Vec<_> = labels.collect();
            for (denominator, pair) in self.denominators.iter().zip(found.counted.chunks_exact(2)) {
                let mut rows: BTreeMap<&Vec<String>, Vec<(i64, bool)>> = BTreeMap::new();
                let mut by_group = vec![Vec::new(); labels.len()];
                for (at, client) in found.clients.iter().enumerate().filter(|(at, _)| pair[0][*at]) {
                    by_group[found.groups[at] as usize].push((*client, pair[1][at]));
                }
                for (labels, clients) in labels.iter().zip(by_group) {
                    rows.entry(labels).or_default().extend(clients);
                }
                // The engine lists in no order, and the audit shall go the same way each time.
                for clients in rows.values_mut() {
                    clients.sort_unstable();
                }
                let mut rows: Vec<_> = rows.into_iter().collect();
                rows.sort_by_cached_key(|(labels, _)| order.iter().map(|at| labels[*at].clone()).collect::<Vec<_>>());
                let rows = rows.into_iter().map(|(labels, clients)| {
                    let attribution = several.0.then(|| attribution.name().to_owned());
                    let denominator = several.1.then(|| denominator.name());
                    (labels.iter().cloned().chain(attribution).chain(denominator).collect(), clients)
                });
                let rows = rows.collect();
                let by = self.by.iter().map(|axis| self.told_of_client(axis, *attribution));
                let places = Trait { name: names::COUNTY.to_owned(), family: Some(PLACE.to_owned()) };
                let visits = Trait { name: names::VACCINATION_DATE.to_owned(), family: None };
                let chosen_by = self.filters.iter().map(|filter| self.told_of_client(&filter.axis, *attribution));
                let chosen_by = chosen_by.chain(match denominator {
                    Denominator::Clients => None,
                    Denominator::Resident | Denominator::Population(_) => Some(places),
                    Denominator::Active(_) => Some(visits),
                });
                parts.push(Members {
                    of_people: matches!(denominator, Denominator::Population(_)),
                    by: by.collect(),
                    chosen_by: chosen_by.collect(),
                    rows,
                });
            }
        }
        Ok(parts)
    }

    /// The clients of everything else in a table, one part of it for each rule of attribution and each denominator.
    pub(crate) fn slices(&self, engine: &mut dyn Engine) -> Result<Vec<Slices>> {
        let several = (self.attributions.len() > 1, self.denominators.len() > 1);
        let mut parts = Vec::new();
        for rule in self.attributions.iter().filter(|rule| !self.indicator.is_of_shares() || **rule == Attribution::Any)
        {
            let mut plan = self.plan(*rule)?;
            if self.indicator == Indicator::Doses {
                plan.counts = vec![Count::Rows(Vec::new())];
            }
            let found = engine.members(&plan)?;
            let has_several = |axis: &Axis<'_>| {
                axis.is_of_doses() || (*rule == Attribution::Any && axis.dimension.level == Level::Attributed)
            };
            let positions: Vec<usize> = (0..self.by.len()).filter(|at| has_several(&self.by[*at])).collect();
            // Other tables than those of shares have one denominator, whose numerator is everybody.
            for (denominator, counted) in self.denominators.iter().zip(found.counted.chunks(2)) {
                let mut by_key = vec![[Vec::new(), Vec::new()]; found.keys.len()];
                for (at, client) in found.clients.iter().enumerate().filter(|(at, _)| counted[0][*at]) {
                    let is_counted = counted.get(1).is_none_or(|counted| counted[at]);
                    by_key[found.groups[at] as usize][usize::from(is_counted)].push(*client);
                }
                let mut groups: BTreeMap<Vec<String>, BTreeMap<Slice, Vec<i64>>> = BTreeMap::new();
                for (key, [others, counted]) in found.keys.iter().zip(by_key) {
                    let values = self.by.iter().zip(key).map(|(axis, value)| axis.label(value.as_deref()));
                    let rule = several.0.then(|| rule.name().to_owned());
                    let source = several.1.then(|| denominator.name());
                    let labels = values.chain(rule).chain(source).collect();
                    let slices = groups.entry(labels).or_default();
                    let slice = self.slice(key.get(self.by.len()..).unwrap_or_default())?;
                    slices.entry(slice).or_default().extend(counted);
                    if self.indicator.is_of_shares() && !matches!(denominator, Denominator::Population(_)) {
                        slices.entry(Slice::Other).or_default().extend(others);
                    }
                }
                for clients in groups.values_mut().flat_map(BTreeMap::values_mut) {
                    clients.sort_unstable();
                    clients.dedup();
                }
                parts.push(Slices { groups, several: positions.clone() });
            }
        }
        Ok(parts)
    }

    /// Reads what the listings of these questions need, at once.
    pub fn read_ahead(questions: &[Self], engine: &mut dyn Engine) -> Result<()> {
        let rules =
            questions.iter().flat_map(|question| question.attributions.iter().map(move |rule| (question, rule)));
        let plans = rules.filter(|(question, _)| question.indicator != Indicator::Doses);
        engine.read_ahead(&plans.map(|(question, rule)| question.plan(*rule)).collect::<Result<Vec<_>>>()?)
    }

    /// Adds a group to the table.
    fn add(&self, counts: &mut RawCounts, labels: Vec<String>, group: &Group) -> Result<()> {
        let wrong = || Error::internal("the embedded query engine answers in another form");
        let further = group.key.get(self.by.len()..).ok_or_else(wrong)?;
        match counts {
            RawCounts::Shares(shares) => {
                for (denominator, pair) in self.denominators.iter().zip(group.counts.chunks_exact(2)) {
                    let &[all, some] = pair else { return Err(wrong()) };
                    if some > all {
                        return Err(Error::internal("the embedded query engine counts wrongly"));
                    }
                    let mut labels = labels.clone();
                    labels.extend((self.denominators.len() > 1).then(|| denominator.name()));
                    let share = shares.entry(labels).or_default();
                    share.numerator += some;
                    share.clients += all;
                    // People of a population file are not among the clients that are counted.
                    share.denominator += if matches!(denominator, Denominator::Population(_)) { 0 } else { all };
                }
            }
            RawCounts::Sets(groups) => {
                let count = group.counts.first().ok_or_else(wrong)?;
                if let Slice::Set(set) = self.slice(further)? {
                    *groups.entry(labels).or_default().entry(set).or_default() += count;
                }
            }
            RawCounts::Doses(doses) => {
                let &[number, persons] = group.counts.as_slice() else { return Err(wrong()) };
                let count = doses.entry(labels).or_default();
                count.doses += number;
                count.persons += persons;
            }
            RawCounts::Curves(curves) => {
                let months = usize::try_from(self.curve_months()).map_err(|_| wrong())?;
                let steps = curves.entry(labels).or_insert_with(|| vec![RawStep::default(); months]);
                let count = group.counts.first().ok_or_else(wrong)?;
                match self.slice(further)? {
                    Slice::Event(at) => steps[at].events += count,
                    Slice::Left(at) => steps[at].censored += count,
                    // At risk in all steps.
                    _ => steps.last_mut().ok_or_else(wrong)?.at_risk += count,
                }
            }
        }
        Ok(())
    }

    /// Of which slice of its group a client is, by what the plan tells groups apart by beyond their labels.
    fn slice(&self, further: &[Option<String>]) -> Result<Slice> {
        let wrong = || Error::internal("the embedded query engine answers in another form");
        // A dose before birth, were there one, would be of a negative age.
        let number = |value: &Option<String>| {
            let number = value.as_deref().map(str::parse::<i64>).transpose().map_err(|_| wrong())?;
            Ok::<_, Error>(number.map(|number| usize::try_from(number).unwrap_or(0)))
        };
        Ok(match (self.indicator, further) {
            (Indicator::Missing, _) => {
                let parts = self.measure.map(|at| self.context.measures.deciding(at)).unwrap_or_default();
                let mut missing = Vec::new();
                for (part, value) in parts.into_iter().zip(further) {
                    if number(value)? == Some(0) {
                        missing.push(self.measure_at(part).id.as_str());
                    }
                }
                Slice::Set(if missing.is_empty() { COMPLETE.to_owned() } else { missing.join(" + ") })
            }
            (Indicator::Curve, [followed, event]) => {
                let months = usize::try_from(self.curve_months()).map_err(|_| wrong())?;
                let followed = number(followed)?.ok_or_else(wrong)?.min(months);
                // An event in a month of age that the client has not ended is not yet seen.
                match number(event)?.filter(|event| *event < followed) {
                    Some(event) => Slice::Event(event),
                    None if followed < months => Slice::Left(followed),
                    None => Slice::Remaining,
                }
            }
            _ => Slice::Counted,
        })
    }

    /// The people of a population file by the labels of the table.
    pub(super) fn people(&self, people: &People<'_>) -> Result<BTreeMap<Vec<String>, u64>> {
        let births = self.by_year_of_birth();
        let same = births.as_ref().map_or(self, |births| &births.question);
        let by: Vec<_> = same.by().map(|dimension| dimension.id.clone()).collect();
        let counts = people.population.counts(&by, &self.labels_by_dimension(), |year| people.years.contains(&year))?;
        Ok(match births {
            Some(births) => counts.into_iter().map(|(labels, count)| (births.with_age(&labels), count)).collect(),
            None => counts,
        })
    }

    /// The filters as labels that a population file has.
    pub(super) fn labels_by_dimension(&self) -> Vec<(String, Vec<String>)> {
        let births = self.by_year_of_birth();
        let same = births.as_ref().map_or(self, |births| &births.question);
        same.filters().map(|(dimension, labels)| (dimension.id.clone(), labels.to_vec())).collect()
    }

    fn plan(&self, attribution: Attribution) -> Result<AggregatePlan> {
        let mut group_by: Vec<_> = self.by.iter().map(|axis| axis.expression(attribution, self.as_of)).collect();
        let mut conditions: Vec<_> =
            self.filters.iter().map(|filter| filter.condition(attribution, self.as_of)).collect();
        let (rows, counts) = match self.measure {
            None => {
                let by_group = self.axes().any(Axis::is_vaccine_group);
                conditions.push(Condition::NotAfter(Column::Dose(names::VACCINATION_DATE.to_owned()), self.as_of));
                let counted = if by_group { names::GROUP_DOSE } else { names::DOSE };
                conditions.push(Condition::True(Column::Dose(counted.to_owned())));
                let rows = if self.axes().all(Axis::is_of_doses_alone) { Rows::Doses } else { Rows::DosesOfClients };
                (rows, vec![Count::Rows(Vec::new()), Count::Clients])
            }
            Some(measure) => {
                let (from, to) = self.born();
                conditions.push(Condition::NotBefore(birth(), from));
                conditions.push(Condition::NotAfter(birth(), to));
                let organization = self.axes().filter(|_| attribution == Attribution::Any).find_map(Axis::of_visit);
                let rows = organization.map_or(Rows::Clients, Rows::ClientsByOrganization);
                match self.indicator {
                    Indicator::Curve => {
                        group_by.extend(self.times(measure));
                        (rows, vec![Count::Rows(Vec::new())])
                    }
                    Indicator::Missing => {
                        let parts = self.context.measures.deciding(measure);
                        group_by.extend(
                            parts.iter().map(|part| Expression::Holds(Box::new(self.in_time(&[*part], measure)))),
                        );
                        (rows, vec![Count::Rows(Vec::new())])
                    }
                    _ => (rows, self.shares(measure)?),
                }
            }
        };
        Ok(AggregatePlan { rows, group_by, conditions, counts })
    }

    /// Denominator and numerator for each denominator that is asked for.
    fn shares(&self, measure: usize) -> Result<Vec<Count>> {
        let (of_whom, who) = self.share(measure)?;
        let counts = self.denominators.iter().flat_map(|denominator| {
            let among = match denominator {
                Denominator::Clients => None,
                Denominator::Population(name) => {
                    let mut files = self.populations.iter().filter(|people| people.population.note().name == *name);
                    files.next().map(|people| {
                        let years = Condition::In {
                            of: Expression::Year(birth()),
                            values: people.years.iter().map(|year| Value::Integer(*year)).collect(),
                            or_null: false,
                        };
                        let places = people.places.iter().map(|places| places.condition(Attribution::Last, self.as_of));
                        Condition::All(std::iter::once(years).chain(places).collect())
                    })
                }
                Denominator::Resident => {
                    self.resident.as_ref().map(|filter| filter.condition(Attribution::Last, self.as_of))
                }
                Denominator::Active(Reverse(years)) => {
                    let since = calendar::born_by(calendar::day(self.as_of), years * 12);
                    let last = Column::Client(names::LAST_VACCINATION.to_owned());
                    Some(Condition::NotBefore(last, calendar::date(since + 1)))
                }
            };
            let all: Vec<_> = of_whom.iter().cloned().chain(among).collect();
            let some = all.iter().cloned().chain([who.clone()]).collect();
            [Count::Rows(all), Count::Rows(some)]
        });
        Ok(counts.collect())
    }

    /// Beyond the cohort, whom the indicator is about; and of these, those whom it counts.
    fn share(&self, measure: usize) -> Result<(Vec<Condition>, Condition)> {
        let measures = self.context.measures;
        let parts = measures.deciding(measure);
        let missing = || Error::internal("a measure lacks what its indicator needs");
        let in_time = self.in_time(&parts, measure);
        let by_now = || {
            let met = parts.iter().map(|part| Condition::NotAfter(self.met(*part), self.as_of));
            Condition::All(met.collect())
        };
        Ok(match self.indicator {
            Indicator::Late => (Vec::new(), Condition::All(vec![by_now(), in_time.not()])),
            Indicator::OnTime => {
                let each = parts.iter().map(|part| {
                    let age = self.measure_at(*part).late_after.ok_or_else(missing)?;
                    let months = i32::try_from(age.months()).map_err(|_| missing())?;
                    let age_then = Expression::Months { birth: birth(), day: self.met(*part), less: age.days() };
                    Ok(Condition::Less(age_then, months))
                });
                (Vec::new(), Condition::All(each.collect::<Result<_>>()?))
            }
            Indicator::Dropout => {
                let from = measures.deciding(self.from.ok_or_else(missing)?);
                (vec![self.in_time(&from, measure)], in_time.not())
            }
            Indicator::Potential | Indicator::Missed => {
                let could = parts.iter().map(|part| {
                    let column = measures.potential(*part).ok_or_else(missing)?;
                    Ok(self.reached(Column::Client(column), measure))
                });
                let could = Condition::All(could.collect::<Result<_>>()?);
                let missed = self.indicator == Indicator::Missed;
                (Vec::new(), if missed { Condition::All(vec![could, in_time.not()]) } else { could })
            }
            Indicator::OneVisit => {
                let near = Column::Client(measures.near(measure).ok_or_else(missing)?);
                (vec![by_now().not()], Condition::NotAfter(near, self.as_of))
            }
            _ => match &measures.requirements()[measure] {
                Requirement::Series(_) | Requirement::AllOf(_) => (Vec::new(), in_time),
                Requirement::NoneOf(_) => {
                    let each = parts.iter().map(|part| self.in_time(&[*part], measure).not());
                    (Vec::new(), Condition::All(each.collect()))
                }
            },
        })
    }

    /// What a dimension tells of a client.
    fn told_of_client(&self, axis: &Axis<'_>, attribution: Attribution) -> Trait {
        let dimension = axis.dimension;
        let (name, family) = match dimension.level {
            Level::Attributed => {
                let name = format!("{} {}", dimension.id, attribution.name());
                (name.clone(), Some(name))
            }
            // On another day, a client is of another age.
            Level::AgeAsOf => (format!("{} {}", dimension.id, self.as_of), None),
            _ => (
                dimension.id.clone(),
                match dimension.field.as_str() {
                    names::BIRTH_DATE => None,
                    names::COUNTY | names::ZIP => Some(PLACE.to_owned()),
                    field => Some(field.to_owned()),
                },
            ),
        };
        Trait { name, family }
    }

    /// The column with the day on which a series was complete.
    fn met(&self, part: usize) -> Column {
        Column::Client(self.context.measures.column(part, self.as_of))
    }

    /// All of these series are complete by the age and the cutoff of a measure, or in its season.
    fn in_time(&self, parts: &[usize], measure: usize) -> Condition {
        Condition::All(parts.iter().map(|part| self.reached(self.met(*part), measure)).collect())
    }

    /// A day is in time by the age and the cutoff of a measure. A day of the season of the as-of date is, unless it is later.
    fn reached(&self, day: Column, measure: usize) -> Condition {
        let age = |months| Column::Client(age_column(months));
        match self.context.measures.deadline(measure) {
            Deadline::Age(months, Cutoff::BeforeBirthday) => Condition::Before(day, age(months)),
            Deadline::Age(months, Cutoff::ThroughBirthday) => Condition::Through(day, age(months)),
            Deadline::Season(_) => Condition::NotAfter(day, self.as_of),
        }
    }

    /// For a curve: the month of age to which a client is followed, and the one in which all parts were complete.
    fn times(&self, measure: usize) -> [Expression; 2] {
        let parts = self.context.measures.deciding(measure);
        let complete = parts.iter().map(|part| Condition::NotAfter(self.met(*part), self.as_of)).collect();
        let months = parts.iter().map(|part| Expression::Months { birth: birth(), day: self.met(*part), less: 0 });
        [
            Expression::MonthsBy { birth: birth(), day: self.as_of },
            Expression::Where(Box::new(Condition::All(complete)), Box::new(Expression::Largest(months.collect()))),
        ]
    }
}

/// The family of what tells where a client lives.
const PLACE: &str = "place";

fn birth() -> Column {
    Column::Client(names::BIRTH_DATE.to_owned())
}

/// Who is at risk in each step, from the events and the censored of all steps. The last step holds those who were
/// followed to the end without an event.
fn follow(steps: &mut [RawStep]) {
    let mut later = steps.last_mut().map_or(0, |last| std::mem::take(&mut last.at_risk));
    for step in steps.iter_mut().rev() {
        step.at_risk = later + step.events;
        later = step.at_risk + step.censored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_at_risk_are_all_who_are_seen_in_a_step_and_not_complete_before() {
        let step = |events, censored, at_risk| RawStep { at_risk, events, censored };
        // Ten clients: 2 + 1 complete, 3 not followed to the end of a step, 4 to the end of the curve.
        let mut steps = [step(0, 1, 0), step(2, 2, 0), step(1, 0, 4)];
        follow(&mut steps);
        assert!(steps == [step(0, 1, 9), step(2, 2, 7), step(1, 0, 5)]);
    }
}
