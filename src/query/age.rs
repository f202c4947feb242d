//! Age on the as-of date.
//!
//! On the last day of a year, everybody of one age was born in one year. So a table by age is then one by year of birth, under
//! other names, and the same clients keep their year in all months. As such it is held to other tables and other months,
//! and has its people of a population. On other days, and in other classes, an age in one month is none in another.

use chrono::Datelike;

use super::Question;
use super::ask::Ask;
use super::axis::Axis;
use super::bind::BIRTH_YEAR;
use crate::calendar;
use crate::dictionary::{Dimension, Level};
use crate::words::UNKNOWN;

/// A question by age as the same one by year of birth.
pub(crate) struct ByYearOfBirth<'a> {
    /// The same question.
    pub question: Question<'a>,
    /// The place of the age among the labels of the table, if it is there.
    at: Option<usize>,
    /// Each age of one year, and the year of birth of those who are of it.
    years: Vec<[String; 2]>,
}

impl ByYearOfBirth<'_> {
    /// Labels with the age as labels with the year of birth.
    pub fn with_year(&self, labels: &[String]) -> Vec<String> {
        self.renamed(labels, 0, 1)
    }

    /// Labels with the year of birth as labels with the age.
    pub fn with_age(&self, labels: &[String]) -> Vec<String> {
        self.renamed(labels, 1, 0)
    }

    fn renamed(&self, labels: &[String], from: usize, to: usize) -> Vec<String> {
        let mut labels = labels.to_vec();
        if let Some(label) = self.at.and_then(|at| labels.get_mut(at))
            && let Some(pair) = self.years.iter().find(|pair| pair[from] == *label)
        {
            label.clone_from(&pair[to]);
        }
        labels
    }
}

impl<'a> Question<'a> {
    /// Whether clients are told apart, or chosen, by their age on the as-of date.
    pub fn tells_age(&self) -> bool {
        self.axes().any(is_age)
    }

    /// The question as the ledger has it, where it is published: by year of birth in place of the age.
    pub(crate) fn for_the_ledger(&self) -> Ask {
        self.by_year_of_birth().map_or_else(|| self.normalized(), |births| births.question.normalized())
    }

    /// The ages on the as-of date of the youngest and the oldest of the cohort, in completed months.
    pub(super) fn ages(&self) -> (i32, i32) {
        let (first, last) = self.born();
        let age = |birth| calendar::whole_months(calendar::day(birth), calendar::day(self.as_of));
        (age(last), age(first))
    }

    /// Those of some classes of age of which nobody of the cohort is.
    pub(super) fn ages_of_nobody<'b>(&self, dimension: &Dimension, labels: &'b [String]) -> Vec<&'b str> {
        let Some(axis) = self.axes().find(|axis| axis.dimension.id == dimension.id) else { return Vec::new() };
        let (youngest, oldest) = self.ages();
        let classes = axis.class_of(youngest)..=axis.class_of(oldest);
        let there: Vec<String> = classes.map(|class| axis.label(Some(&class.to_string()))).collect();
        let is_there = |label: &str| label == UNKNOWN || there.iter().any(|known| known == label);
        labels.iter().map(String::as_str).filter(|label| !is_there(label)).collect()
    }

    /// The classes of age in the table of which the cohort has a part alone.
    pub(crate) fn ages_cut_off(&self) -> Vec<String> {
        let (youngest, oldest) = self.ages();
        let (first, last) = self.born();
        // The last day on which somebody was born who has reached an age.
        let born_by = |months: i32| calendar::born_by(calendar::day(self.as_of), months.unsigned_abs());
        let mut labels = Vec::new();
        for axis in self.by.iter().filter(|axis| is_age(axis)) {
            for class in [axis.class_of(youngest), axis.class_of(oldest)] {
                let (from, until) = axis.months_of(class);
                let is_cut = born_by(from) > calendar::day(last)
                    || until.is_some_and(|until| born_by(until) + 1 < calendar::day(first));
                let label = axis.label(Some(&class.to_string()));
                if is_cut && !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
        labels
    }

    /// The same question by year of birth; none where it is not the same: an as-of date that is not the last day of a year, a
    /// class of another length, or a year of birth beside the age.
    pub(crate) fn by_year_of_birth(&self) -> Option<ByYearOfBirth<'a>> {
        if !self.tells_age() || (self.as_of.month(), self.as_of.day()) != (12, 31) {
            return None;
        }
        let birth_year = Axis::find(self.context.dictionary, BIRTH_YEAR).ok()?;
        let year_of = |axis: &Axis<'_>, class: i32| match axis.months_of(class) {
            (from, Some(until)) if from % 12 == 0 && until == from + 12 => Some(self.as_of.year() - from / 12),
            _ => None,
        };
        let mut same = ByYearOfBirth { question: self.clone(), at: None, years: Vec::new() };
        let (youngest, oldest) = self.ages();
        for (at, axis) in self.by.iter().enumerate().filter(|(_, axis)| is_age(axis)) {
            for class in axis.class_of(youngest)..=axis.class_of(oldest) {
                same.years.push([axis.label(Some(&class.to_string())), year_of(axis, class)?.to_string()]);
            }
            same.at = Some(at);
            same.question.by[at] = birth_year;
        }
        for (at, filter) in self.filters.iter().enumerate().filter(|(_, filter)| is_age(&filter.axis)) {
            let years = filter.labels.iter().map(|label| match label.as_str() {
                UNKNOWN => Some(UNKNOWN.to_owned()),
                label => year_of(&filter.axis, filter.axis.number(label)?).map(|year| year.to_string()),
            });
            same.question.filters[at] = birth_year.filter(&years.collect::<Option<Vec<_>>>()?).ok()?;
        }
        same.question.filters.sort_by(|a, b| a.axis.dimension.id.cmp(&b.axis.dimension.id));
        let is_year = |axis: &&Axis<'_>| axis.dimension.id == BIRTH_YEAR;
        let by = same.question.by.iter().filter(is_year).count();
        let filters = same.question.filters.iter().map(|filter| &filter.axis).filter(is_year).count();
        (by < 2 && filters < 2).then_some(same)
    }
}

/// Whether a dimension is the age on the as-of date.
fn is_age(axis: &Axis<'_>) -> bool {
    axis.dimension.level == Level::AgeAsOf
}
