//! A plan → SQL text and its parameters. The one author of SQL in this program.
//!
//! The text keeps to what DuckDB, Spark and Sail read alike: identifiers are lower case, qualified and never quoted (a
//! quoted name is a *string* in Spark), `AS` is always written, groups are named by their place, counts are cast to
//! BIGINT, values are bound.

use super::plan::{AggregatePlan, Condition, Series, Value};
use crate::calendar;
use crate::error::{Error, Result};

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i32),
    /// A day as a count from 1970-01-01.
    Day(i32),
}

/// The statement: one row a group with its key columns, then `denominator` and `numerator`.
///
/// `table` is the engine's own expression for the rows of `clients`.
pub fn render(plan: &AggregatePlan, table: &str) -> Result<(String, Vec<Parameter>)> {
    let mut parameters = Vec::new();
    let keys = plan.group_by.iter().map(|name| column(name)).collect::<Result<Vec<_>>>()?;
    let select: String =
        keys.iter().enumerate().fold(String::new(), |text, (at, key)| text + &format!("{key} AS g{at}, "));
    let places = (1..=keys.len()).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
    let mut all = |conditions: &[Condition]| {
        let each = conditions.iter().map(|one| condition(one, &mut parameters)).collect::<Result<Vec<_>>>();
        Ok::<_, Error>(each?.join(" AND "))
    };
    let numerator = all(&plan.numerator)?;
    let conditions = all(&plan.conditions)?;
    let text = format!(
        "SELECT {select}CAST(count(*) AS BIGINT) AS denominator, \
         CAST(count(*) FILTER (WHERE {numerator}) AS BIGINT) AS numerator \
         FROM {table} AS c WHERE {conditions} GROUP BY {places}"
    );
    Ok((text, parameters))
}

fn condition(condition: &Condition, parameters: &mut Vec<Parameter>) -> Result<String> {
    Ok(match condition {
        Condition::NotBefore { column: name, day } => {
            parameters.push(Parameter::Day(calendar::day(*day)));
            format!("{} >= ?", column(name)?)
        }
        Condition::NotAfter { column: name, day } => {
            parameters.push(Parameter::Day(calendar::day(*day)));
            format!("{} <= ?", column(name)?)
        }
        Condition::Met(Series { met, reached, through }) => {
            format!("{} {} {}", column(met)?, if *through { "<=" } else { "<" }, column(reached)?)
        }
        Condition::NotMet(Series { met, reached, through }) => {
            let met = column(met)?;
            format!("({met} IS NULL OR {met} {} {})", if *through { ">" } else { ">=" }, column(reached)?)
        }
        Condition::In { column: name, values, or_null } => {
            let name = column(name)?;
            let mut parts = Vec::new();
            if !values.is_empty() {
                parts.push(format!("{name} IN ({})", vec!["?"; values.len()].join(", ")));
            }
            if *or_null {
                parts.push(format!("{name} IS NULL"));
            }
            parameters.extend(values.iter().map(|value| match value {
                Value::Text(text) => Parameter::Text(text.clone()),
                Value::Integer(number) => Parameter::Integer(*number),
            }));
            format!("({})", parts.join(" OR "))
        }
    })
}

/// A qualified column; the loaders have proved these names, and a last look costs nothing.
fn column(name: &str) -> Result<String> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { Ok(format!("c.{name}")) } else { Err(Error::internal("a column name is not plain")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn series(met: &str, through: bool) -> Series {
        Series { met: met.into(), reached: "reaches_24_months".into(), through }
    }

    #[test]
    fn a_coverage_plan_as_sql() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let mut plan = AggregatePlan {
            group_by: vec!["county".into(), "birth_year".into()],
            conditions: vec![
                Condition::NotBefore { column: "birth_date".into(), day: day("1970-01-11") },
                Condition::NotAfter { column: "birth_date".into(), day: day("1970-02-01") },
                Condition::In { column: "sex".into(), values: vec![Value::Text("F'; --".into())], or_null: true },
            ],
            numerator: vec![Condition::Met(series("met_nis_mmr1", false))],
        };
        let (text, parameters) = render(&plan, "clients").unwrap();
        insta::assert_snapshot!(text, @"SELECT c.county AS g0, c.birth_year AS g1, CAST(count(*) AS BIGINT) AS denominator, CAST(count(*) FILTER (WHERE c.met_nis_mmr1 < c.reaches_24_months) AS BIGINT) AS numerator FROM clients AS c WHERE c.birth_date >= ? AND c.birth_date <= ? AND (c.sex IN (?) OR c.sex IS NULL) GROUP BY 1, 2");
        assert_eq!(parameters, [Parameter::Day(10), Parameter::Day(31), Parameter::Text("F'; --".into())]);

        plan.group_by.truncate(1);
        plan.conditions.truncate(1);
        plan.numerator = vec![Condition::Met(series("met_a", true)), Condition::NotMet(series("met_b", false))];
        let (text, _) = render(&plan, "clients").unwrap();
        insta::assert_snapshot!(text, @"SELECT c.county AS g0, CAST(count(*) AS BIGINT) AS denominator, CAST(count(*) FILTER (WHERE c.met_a <= c.reaches_24_months AND (c.met_b IS NULL OR c.met_b >= c.reaches_24_months)) AS BIGINT) AS numerator FROM clients AS c WHERE c.birth_date >= ? GROUP BY 1");
    }

    #[test]
    fn no_other_name_becomes_sql() {
        for name in ["", "1a", "a b", "a;", "A", "a\"", "a.b", "count(*)"] {
            for (group, met) in [(name, "met_a"), ("county", name)] {
                let plan = AggregatePlan {
                    group_by: vec![group.into()],
                    conditions: Vec::new(),
                    numerator: vec![Condition::Met(series(met, false))],
                };
                assert!(render(&plan, "clients").is_err(), "{name}");
            }
        }
    }
}
