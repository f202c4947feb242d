//! Dimensions: what a table is grouped and filtered by, from what is typed to what is stored, and back to labels.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use chrono::NaiveDate;

use super::ask::Attribution;
use super::plan::{Column, Condition, Expression, Value};
use crate::dictionary::{Codelist, Dictionary, Dimension, Field, FieldType, Level, names, nearest};
use crate::error::{Error, Result};
use crate::measure::season;
use crate::words::{UNKNOWN, is_unknown};

/// A dimension and the field that it is made from.
#[derive(Clone, Copy, Debug)]
pub struct Axis<'a> {
    pub dimension: &'a Dimension,
    field: &'a Field,
    codelist: Option<&'a Codelist>,
    is_of_doses: bool,
}

/// The values of a dimension that a filter takes, beside [`UNKNOWN`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// These.
    All(Vec<String>),
    /// So many that one stands for them, or what the field holds.
    Like(String),
}

impl Values {
    /// Those of a dimension.
    pub fn of(dictionary: &Dictionary, id: &str) -> Result<Self> {
        Axis::find(dictionary, id).map(|axis| axis.values())
    }
}

/// A filter whose values are known to be possible.
#[derive(Clone, Debug)]
pub struct Filter<'a> {
    pub axis: Axis<'a>,
    values: Vec<Value>,
    unknown: bool,
    /// As the values read in a table, in their order.
    pub labels: Vec<String>,
}

impl<'a> Axis<'a> {
    /// Finds a dimension; the error names the nearest one.
    pub fn find(dictionary: &'a Dictionary, id: &str) -> Result<Self> {
        let dimension = dictionary.dimension(id)?;
        let field = dictionary.field(&dimension.field).ok_or_else(|| Error::internal("a dimension without a field"))?;
        let codelist = (field.field_type == FieldType::Code).then(|| dictionary.codelist(field)).flatten();
        Ok(Self { dimension, field, codelist, is_of_doses: dictionary.is_of_doses(dimension) })
    }

    /// Whether it tells of doses, and not of clients.
    pub fn is_of_doses(&self) -> bool {
        self.is_of_doses
    }

    /// Whether nothing of the client is needed for it, not even the birth date.
    pub fn is_of_doses_alone(&self) -> bool {
        self.is_of_doses && self.dimension.level != Level::Age
    }

    /// Whether it takes the parts of a combination vaccine apart.
    pub fn is_vaccine_group(&self) -> bool {
        self.field.name == names::VACCINE_GROUP
    }

    /// Whether its labels are what a sender has typed: anything can stand there by mistake, the name of a person, too. What is
    /// cut to its first characters, as a ZIP code is, names nobody.
    pub fn is_typed(&self) -> bool {
        self.field.field_type == FieldType::Text && self.field.keep_first.is_none()
    }

    /// How many labels there can be, as far as the dictionary and the years of birth tell, and not the clients.
    pub fn labels_at_most(&self, years_of_birth: usize) -> usize {
        match (self.dimension.level, self.codelist) {
            (Level::Value, Some(codelist)) => codelist.codes().len(),
            (Level::Parent, Some(codelist)) => {
                let column = self.dimension.parent.as_deref().unwrap_or_default();
                codelist.values(column).collect::<BTreeSet<_>>().len()
            }
            (Level::Year, _) => years_of_birth,
            (Level::Quarter, _) => 4 * years_of_birth,
            (Level::Age | Level::AgeAsOf, _) => self.dimension.from_months.len() + 1,
            // No list has them.
            _ => usize::MAX,
        }
    }

    /// What a row has of it, for clients who belong to organizations by a rule and are of their age on a day.
    pub fn expression(&self, attribution: Attribution, as_of: NaiveDate) -> Expression {
        let column = |name: &str| {
            if self.is_of_doses() { Column::Dose(name.to_owned()) } else { Column::Client(name.to_owned()) }
        };
        let field = column(&self.field.name);
        match self.dimension.level {
            Level::Value => self.known(field),
            Level::Year if self.is_of_doses() => Expression::Year(field),
            Level::Year => Expression::Of(column(&self.dimension.id)),
            Level::Parent => self.known(column(&self.dimension.id)),
            Level::Quarter => Expression::Quarter(field),
            Level::Month => Expression::Month(field),
            Level::Season => Expression::Season(field),
            Level::Age => {
                let birth = Column::Client(names::BIRTH_DATE.to_owned());
                let age = Expression::Months { birth, day: field, less: 0 };
                Expression::Class(Box::new(age), self.dimension.from_months.clone())
            }
            Level::AgeAsOf => {
                let age = Expression::MonthsBy { birth: field, day: as_of };
                Expression::Class(Box::new(age), self.dimension.from_months.clone())
            }
            Level::Attributed => match attribution {
                Attribution::Any => Expression::Of(Column::Dose(names::ORGANIZATION.to_owned())),
                rule => self.known(Column::Client(format!("organization_{}", rule.name()))),
            },
        }
    }

    /// The organization of a dose, of a dimension to which clients belong by their visits: what [`Axis::expression`] calls by
    /// its column in the rows of `Rows::ClientsByOrganization`.
    pub fn of_visit(&self) -> Option<Expression> {
        let of_visit = self.dimension.level == Level::Attributed;
        of_visit.then(|| self.known(Column::Dose(names::ORGANIZATION.to_owned())))
    }

    /// A column of texts, where they say something.
    fn known(&self, of: Column) -> Expression {
        match self.recorded_unknown() {
            Some(unknown) => Expression::Unless(of, unknown.to_owned()),
            None => Expression::Of(of),
        }
    }

    /// The text that is stored where somebody has recorded that a value is not known. It reads as a missing value does, and
    /// is counted as one: else a client with both would be counted twice.
    fn recorded_unknown(&self) -> Option<&'a str> {
        match (self.dimension.level, self.codelist) {
            (Level::Value, Some(codelist)) => {
                let code = codelist.codes().iter().find(|code| is_unknown(&code.label));
                code.filter(|_| self.field.name != names::CVX).map(|code| code.code.as_str())
            }
            (Level::Parent, Some(codelist)) => {
                let column = self.dimension.parent.as_deref().unwrap_or_default();
                codelist.values(column).find(|value| is_unknown(value))
            }
            (Level::Value | Level::Attributed, None) if self.field.field_type == FieldType::Text => {
                let spellings = [UNKNOWN, "UNKNOWN", "unknown"];
                spellings.iter().any(|spelling| self.field.has_form(spelling.as_bytes())).then_some(UNKNOWN)
            }
            _ => None,
        }
    }

    /// The label of a value as it is stored.
    pub fn label(&self, value: Option<&str>) -> String {
        let Some(value) = value else { return UNKNOWN.to_owned() };
        let label = match self.dimension.level {
            Level::Value => self.code_label(value),
            Level::Parent | Level::Year | Level::Attributed => None,
            Level::Quarter | Level::Month | Level::Season | Level::Age | Level::AgeAsOf => {
                value.parse().ok().map(|number| self.number_label(number))
            }
        };
        label.unwrap_or_else(|| value.to_owned())
    }

    fn code_label(&self, value: &str) -> Option<String> {
        let codelist = self.codelist?;
        let code = &codelist.codes()[usize::from(codelist.find(value.as_bytes(), false)?)];
        // Among vaccines the code is what people look for.
        Some(if self.field.name == names::CVX { format!("{} {}", code.code, code.label) } else { code.label.clone() })
    }

    /// The classes of an age, from the youngest on.
    fn classes(&self) -> RangeInclusive<i32> {
        0..=i32::try_from(self.dimension.from_months.len()).unwrap_or(i32::MAX)
    }

    /// The class of an age in completed months.
    pub fn class_of(&self, months: i32) -> i32 {
        let class = self.dimension.from_months.partition_point(|from| *from <= months);
        i32::try_from(class).unwrap_or(i32::MAX)
    }

    /// The first month of age of a class, and the first of the next one; none of the last class.
    pub fn months_of(&self, class: i32) -> (i32, Option<i32>) {
        let bound = |at: i32| usize::try_from(at).ok().and_then(|at| self.dimension.from_months.get(at)).copied();
        (bound(class - 1).unwrap_or(0), bound(class))
    }

    fn number_label(&self, number: i32) -> String {
        match self.dimension.level {
            Level::Quarter => format!("{}-Q{}", number.div_euclid(4), number.rem_euclid(4) + 1),
            Level::Month => format!("{}-{:02}", number.div_euclid(12), number.rem_euclid(12) + 1),
            Level::Season => season::name_of(number),
            Level::Age | Level::AgeAsOf => class_label(self.dimension, number),
            _ => number.to_string(),
        }
    }

    /// The number that a label stands for.
    pub fn number(&self, label: &str) -> Option<i32> {
        let year = |text: &str| text.parse::<i32>().ok().filter(|year| (1_000..10_000).contains(year));
        let pair = |separator: &str| {
            let (of, rest) = label.split_once(separator)?;
            Some((year(of)?, rest.parse::<i32>().ok().filter(|rest| (0..100).contains(rest))?))
        };
        let number = match self.dimension.level {
            Level::Year => year(label),
            Level::Quarter => pair("-Q").map(|(year, quarter)| year * 4 + quarter - 1),
            Level::Month => pair("-").map(|(year, month)| year * 12 + month - 1),
            Level::Season => pair("-").map(|(year, _)| year),
            Level::Age | Level::AgeAsOf => self.classes().find(|class| self.number_label(*class) == label),
            _ => None,
        };
        // A label that does not read back is a slip: 2024-13, 2024-26.
        number.filter(|number| self.number_label(*number) == label)
    }

    /// Typed values → what is stored. Every error names the nearest thing that exists.
    pub fn filter(self, typed: &[String]) -> Result<Filter<'a>> {
        let id = &self.dimension.id;
        let wrong = |value: &str, hint: String| Error::usage(format!("`{value}` is no value of `{id}`")).hint(hint);
        let mut filter = Filter { axis: self, values: Vec::new(), unknown: false, labels: Vec::new() };
        for value in typed.iter().map(|value| value.trim()) {
            let (stored, label) = match (self.dimension.level, self.codelist) {
                _ if is_unknown(value) => (None, UNKNOWN.to_owned()),
                (Level::Value, Some(codelist)) => {
                    let at = codelist.find(value.as_bytes(), true).ok_or_else(|| wrong(value, self.nearest(value)))?;
                    let code = &codelist.codes()[usize::from(at)].code;
                    let label = self.label(Some(code));
                    if is_unknown(&label) {
                        (None, UNKNOWN.to_owned())
                    } else {
                        (Some(Value::Text(code.clone())), label)
                    }
                }
                (Level::Parent, Some(codelist)) => {
                    let column = self.dimension.parent.as_deref().unwrap_or_default();
                    if !codelist.values(column).any(|known| known == value) {
                        return Err(wrong(value, self.nearest(value)));
                    }
                    (Some(Value::Text(value.to_owned())), value.to_owned())
                }
                (Level::Value | Level::Parent | Level::Attributed, _) => {
                    if !self.field.has_form(value.as_bytes()) {
                        return Err(wrong(value, self.values_in_words()));
                    }
                    let kept = self.field.kept(value);
                    (Some(Value::Text(kept.to_owned())), kept.to_owned())
                }
                _ => {
                    let number = self.number(value).ok_or_else(|| wrong(value, self.values_in_words()))?;
                    (Some(Value::Integer(number)), value.to_owned())
                }
            };
            filter.unknown |= stored.is_none();
            filter.values.extend(stored);
            filter.labels.push(label);
        }
        filter.labels.sort();
        filter.labels.dedup();
        if filter.labels.is_empty() {
            return Err(Error::usage(format!("the filter on `{id}` names no value"))
                .hint(format!("write `--where {id}=VALUE`, or leave the filter away")));
        }
        Ok(filter)
    }

    fn nearest(&self, value: &str) -> String {
        let Values::All(labels) = self.values() else { return self.values_in_words() };
        nearest(value, labels.iter().map(String::as_str), &format!("phds dimensions {}", self.dimension.id))
    }

    fn values_in_words(&self) -> String {
        match self.values() {
            Values::All(labels) => format!("one of: {}", labels.join("; ")),
            Values::Like(like) => like,
        }
    }

    fn values(&self) -> Values {
        let like = |text: &str| Values::Like(text.to_owned());
        let mut labels: Vec<String> = match (self.dimension.level, self.codelist) {
            (Level::Value, Some(codelist)) => codelist.codes().iter().map(|code| code.label.clone()).collect(),
            (Level::Parent, Some(codelist)) => {
                let column = self.dimension.parent.as_deref().unwrap_or_default();
                codelist.values(column).map(str::to_owned).collect()
            }
            (Level::Age | Level::AgeAsOf, _) => self.classes().map(|class| self.number_label(class)).collect(),
            (Level::Value | Level::Parent | Level::Attributed, _) => {
                return Values::Like(format!("what the field holds: {}", self.field.description));
            }
            (Level::Year, _) => return like("write a year, for example 2021"),
            (Level::Quarter, _) => return like("write a quarter, for example 2021-Q3"),
            (Level::Month, _) => return like("write a month, for example 2021-07"),
            (Level::Season, _) => return like("write a season, for example 2023-24"),
        };
        labels.retain(|label| !label.is_empty());
        labels.sort_by_cached_key(|label| self.place(label));
        labels.dedup();
        Values::All(labels)
    }
}

impl Filter<'_> {
    /// The rows that are meant; one with [`UNKNOWN`] has no value, or one that says so.
    pub fn condition(&self, attribution: Attribution, as_of: NaiveDate) -> Condition {
        let of = self.axis.expression(attribution, as_of);
        Condition::In { of, values: self.values.clone(), or_null: self.unknown }
    }
}

/// A part of a label, by which labels are put in order: numbers as numbers, before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Number(u64),
    Text(String),
}

impl Axis<'_> {
    /// By what a label comes before or behind another one: classes of age as they are declared, and otherwise as people
    /// count: region 9/10 before region 11.
    pub fn place(&self, label: &str) -> Vec<Part> {
        if matches!(self.dimension.level, Level::Age | Level::AgeAsOf)
            && let Some(class) = self.number(label).and_then(|class| u64::try_from(class).ok())
        {
            return vec![Part::Number(class)];
        }
        let mut parts = Vec::new();
        let mut rest = label;
        while let Some(first) = rest.chars().next() {
            let is_number = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            let number = is_number.then(|| part.parse().ok()).flatten();
            parts.push(number.map_or_else(|| Part::Text(part.to_owned()), Part::Number));
            rest = behind;
        }
        parts
    }
}

/// A class of ages in words: `under 6 months`, `12 to 23 months`, `5 to 10 years`, `65 years and older`. Ages at a dose are told in
/// months below two years. Of ages on the as-of date, all are told in years, where all classes are whole years, or in months.
fn class_label(dimension: &Dimension, class: i32) -> String {
    let bounds = &dimension.from_months;
    let in_years_from = match dimension.level {
        Level::AgeAsOf if bounds.iter().all(|bound| bound % 12 == 0) => 12,
        Level::AgeAsOf => i32::MAX,
        _ => 24,
    };
    let bound = |at: i32| usize::try_from(at).ok().and_then(|at| bounds.get(at)).copied();
    let in_years = |months: i32| months >= in_years_from && months % 12 == 0;
    let years = |years: i32| if years == 1 { "1 year".to_owned() } else { format!("{years} years") };
    match (bound(class - 1), bound(class)) {
        (None, Some(end)) if in_years(end) => format!("under {}", years(end / 12)),
        (None, Some(end)) => format!("under {end} months"),
        (Some(begin), Some(end)) if in_years(begin) && in_years(end) => match (begin / 12, end / 12 - 1) {
            (first, last) if first == last => years(first),
            (first, last) => format!("{first} to {last} years"),
        },
        (Some(begin), Some(end)) => format!("{begin} to {} months", end - 1),
        (Some(begin), None) if in_years(begin) => format!("{} and older", years(begin / 12)),
        (Some(begin), None) => format!("{begin} months and older"),
        (None, None) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(id: &str) -> Axis<'static> {
        let dictionary = Box::leak(Box::new(Dictionary::built_in().unwrap()));
        Axis::find(dictionary, id).unwrap()
    }

    #[test]
    fn labels_read_back_as_the_numbers_that_they_stand_for() {
        for (id, stored, label) in [
            ("birth_quarter", 2021 * 4 + 2, "2021-Q3"),
            ("vaccination_month", 2024 * 12, "2024-01"),
            ("vaccination_month", 2023 * 12 + 11, "2023-12"),
            ("season", 2023, "2023-24"),
            ("season", 1999, "1999-00"),
            ("age_at_dose", 0, "under 6 months"),
            ("age_at_dose", 2, "12 to 23 months"),
            ("age_at_dose", 3, "2 years"),
            ("age_at_dose", 4, "3 to 4 years"),
            ("age_at_dose", 8, "65 years and older"),
            ("age", 0, "under 1 year"),
            ("age", 1, "1 year"),
            ("age", 17, "17 years"),
            ("age", 18, "18 years and older"),
            ("months_of_age", 1, "7 to 12 months"),
            ("months_of_age", 3, "19 to 23 months"),
            ("months_of_age", 4, "24 to 35 months"),
            ("months_of_age", 6, "48 months and older"),
        ] {
            let axis = axis(id);
            assert_eq!(axis.label(Some(&stored.to_string())), label);
            let filter = axis.filter(&[label.to_owned()]).unwrap();
            assert_eq!(filter.values, [Value::Integer(stored)], "{label}");
        }
    }

    #[test]
    fn labels_come_in_the_order_in_which_people_count() {
        for (id, labels) in [
            ("region", vec!["1", "2/3", "4/5N", "6/5S", "9/10", "11", "Unknown"]),
            (
                "age_at_dose",
                vec!["under 6 months", "12 to 23 months", "2 years", "3 to 4 years", "65 years and older", "Unknown"],
            ),
            ("age", vec!["under 1 year", "1 year", "2 years", "10 years", "18 years and older"]),
            ("birth_year", vec!["2018", "2021"]),
            ("county", vec!["Bell", "De Witt", "Hays", "Unknown"]),
            ("cvx_code", vec!["03 MMR", "20 DTaP", "110 DTaP-Hep B-IPV", "110 x"]),
        ] {
            let axis = axis(id);
            assert!(labels.iter().map(|label| axis.place(label)).is_sorted(), "{id}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_an_example() {
        for (id, typed) in [
            ("birth_quarter", "2021-Q5"),
            ("birth_quarter", "2021"),
            ("vaccination_month", "2024-13"),
            ("season", "2023-25"),
            ("age_at_dose", "2 to 3 years"),
            ("organization", "St. Mary's"),
            ("county", "Traviss"),
        ] {
            assert!(axis(id).filter(&[typed.to_owned()]).is_err(), "{id}={typed}");
        }
    }
}
