//! A plan → SQL text and its parameters. The one author of SQL in this program.
//!
//! The text keeps to what DuckDB, Spark and Sail read alike: identifiers are lower case, qualified and never quoted (a
//! quoted name is a *string* in Spark), `AS` is always written, groups are named by their place, counts are cast to
//! BIGINT, values are bound. Numbers that the program itself knows (an age, a bound) are written out: an expression may be
//! repeated in the text, and a bound value could not.

use chrono::Datelike as _;

use super::plan::{AggregatePlan, Column, Condition, Count, Expression, Rows, Value};
use crate::calendar;
use crate::dictionary::names;
use crate::error::{Error, Result};

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i32),
    /// A day as a count from 1970-01-01.
    Day(i32),
}

/// The engine's own expressions for the rows of a month's tables.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Rows of `clients`.
    pub clients: &'a str,
    /// Rows of `immunizations`.
    pub immunizations: &'a str,
}

/// The statement: one row a group with its key columns, then its counts in their order.
pub fn render(plan: &AggregatePlan, tables: Tables<'_>) -> Result<(String, Vec<Parameter>)> {
    let mut writer = Writer { parameters: Vec::new() };
    // A client has a row for each organization; a group that is not of one organization may have several of them.
    let of_organization = Expression::Of(Column::Dose(names::ORGANIZATION.to_owned()));
    let has_several_rows =
        matches!(plan.rows, Rows::ClientsByOrganization(_)) && !plan.group_by.contains(&of_organization);
    let mut select = Vec::new();
    for (at, key) in plan.group_by.iter().enumerate() {
        select.push(format!("{} AS g{at}", writer.expression(key)?));
    }
    for (at, count) in plan.counts.iter().enumerate() {
        let counted = match count {
            Count::Rows(conditions) => {
                let rows = if has_several_rows { "DISTINCT c.client_key" } else { "*" };
                let filter = match conditions.as_slice() {
                    [] => String::new(),
                    conditions => format!(" FILTER (WHERE {})", writer.all(conditions)?),
                };
                format!("count({rows}){filter}")
            }
            Count::Clients => match plan.rows {
                Rows::Clients | Rows::ClientsByOrganization(_) => "count(DISTINCT c.client_key)".to_owned(),
                Rows::Doses | Rows::DosesOfClients => "count(DISTINCT i.client_key)".to_owned(),
            },
        };
        select.push(format!("CAST({counted} AS BIGINT) AS n{at}"));
    }
    let from = writer.rows(&plan.rows, tables)?;
    let conditions = writer.all(&plan.conditions)?;
    let groups = (1..=plan.group_by.len()).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
    // Without groups SQL answers with a row even where there is nobody, and groups of nobody have none.
    let grouped = if groups.is_empty() { "HAVING count(*) > 0".to_owned() } else { format!("GROUP BY {groups}") };
    let text = format!("SELECT {} FROM {from} WHERE {conditions} {grouped}", select.join(", "));
    Ok((text, writer.parameters))
}

/// The statement that lists the clients of a plan: each one's key, the key columns of its group as text, and whether it is
/// counted in each count. A client with several rows is listed for each of them.
pub fn render_members(plan: &AggregatePlan, tables: Tables<'_>) -> Result<(String, Vec<Parameter>)> {
    let mut writer = Writer { parameters: Vec::new() };
    let table = match plan.rows {
        Rows::Clients | Rows::ClientsByOrganization(_) => 'c',
        Rows::Doses | Rows::DosesOfClients => 'i',
    };
    let mut select = vec![format!("{table}.client_key AS k")];
    for (at, key) in plan.group_by.iter().enumerate() {
        select.push(format!("CAST({} AS VARCHAR) AS g{at}", writer.expression(key)?));
    }
    for (at, count) in plan.counts.iter().enumerate() {
        let Count::Rows(conditions) = count else {
            return Err(Error::internal("only counts of rows have members"));
        };
        select.push(format!("coalesce({}, FALSE) AS n{at}", writer.all(conditions)?));
    }
    let from = writer.rows(&plan.rows, tables)?;
    let conditions = writer.all(&plan.conditions)?;
    Ok((format!("SELECT {} FROM {from} WHERE {conditions}", select.join(", ")), writer.parameters))
}

/// A column of a listing of clients. Equal ones have equal values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    text: String,
    parameters: Vec<Parameter>,
}

impl Term {
    /// A value of a client, as text.
    pub fn value(expression: &Expression) -> Result<Self> {
        let mut writer = Writer { parameters: Vec::new() };
        let text = format!("CAST({} AS VARCHAR)", writer.expression(expression)?);
        Ok(Self { text, parameters: writer.parameters })
    }

    /// Whether a condition holds for a client.
    pub fn condition(condition: &Condition) -> Result<Self> {
        let mut writer = Writer { parameters: Vec::new() };
        let text = format!("coalesce({}, FALSE)", writer.condition(condition)?);
        Ok(Self { text, parameters: writer.parameters })
    }
}

/// The statement that lists all clients: each one's key, and columns.
pub fn render_listing(columns: &[Term], tables: Tables<'_>) -> (String, Vec<Parameter>) {
    let mut select = vec!["c.client_key AS k".to_owned()];
    select.extend(columns.iter().enumerate().map(|(at, term)| format!("{} AS n{at}", term.text)));
    let parameters = columns.iter().flat_map(|term| term.parameters.clone());
    (format!("SELECT {} FROM {} AS c", select.join(", "), tables.clients), parameters.collect())
}

struct Writer {
    parameters: Vec<Parameter>,
}

impl Writer {
    /// A placeholder for a value. Call it in the order in which the text is read.
    fn bind(&mut self, parameter: Parameter) -> &'static str {
        self.parameters.push(parameter);
        "?"
    }

    /// The rows of a plan, as they are written behind FROM.
    fn rows(&mut self, rows: &Rows, tables: Tables<'_>) -> Result<String> {
        let Tables { clients, immunizations } = tables;
        Ok(match rows {
            Rows::Clients => format!("{clients} AS c"),
            Rows::ClientsByOrganization(organization) => format!(
                "{clients} AS c INNER JOIN (SELECT DISTINCT i.client_key, {of_dose} AS {name} \
                 FROM {immunizations} AS i WHERE i.dose) AS i ON i.client_key = c.client_key",
                of_dose = self.expression(organization)?,
                name = names::ORGANIZATION
            ),
            Rows::Doses => format!("{immunizations} AS i"),
            Rows::DosesOfClients => {
                format!("{immunizations} AS i INNER JOIN {clients} AS c ON c.client_key = i.client_key")
            }
        })
    }

    fn all(&mut self, conditions: &[Condition]) -> Result<String> {
        let each = conditions.iter().map(|one| self.condition(one)).collect::<Result<Vec<_>>>()?;
        Ok(if each.is_empty() { "TRUE".to_owned() } else { each.join(" AND ") })
    }

    fn expression(&mut self, expression: &Expression) -> Result<String> {
        Ok(match expression {
            Expression::Of(of) => column(of)?,
            Expression::Unless(of, text) => {
                // Few values are as long, and only these are put into capitals.
                let (length, unknown) = (text.chars().count(), self.bind(Parameter::Text(text.clone())));
                let of = column(of)?;
                format!("CASE WHEN length({of}) = {length} AND upper({of}) = upper({unknown}) THEN NULL ELSE {of} END")
            }
            Expression::Year(day) => format!("year({})", column(day)?),
            Expression::Quarter(day) => format!("(year({day}) * 4 + quarter({day}) - 1)", day = column(day)?),
            Expression::Month(day) => format!("(year({day}) * 12 + month({day}) - 1)", day = column(day)?),
            Expression::Season(day) => {
                let (day, begins) = (column(day)?, calendar::SEASON_BEGINS);
                format!("(year({day}) - CASE WHEN month({day}) < {begins} THEN 1 ELSE 0 END)")
            }
            Expression::Months { birth, day, less } => {
                let day = match less {
                    0 => column(day)?,
                    less => format!("({} - {less})", column(day)?),
                };
                let birth = column(birth)?;
                format!(
                    "(year({day}) * 12 + month({day}) - year({birth}) * 12 - month({birth}) \
                     - CASE WHEN day({day}) < day({birth}) THEN 1 ELSE 0 END)"
                )
            }
            Expression::MonthsBy { birth, day } => format!(
                "({} - year({birth}) * 12 - month({birth}) - CASE WHEN {} < day({birth}) THEN 1 ELSE 0 END)",
                i64::from(day.year()) * 12 + i64::from(day.month()),
                day.day(),
                birth = column(birth)?
            ),
            Expression::Class(number, bounds) => {
                let number = self.expression(number)?;
                let mut text = "CASE".to_owned();
                for (at, bound) in bounds.iter().enumerate() {
                    text += &format!(" WHEN {number} < {bound} THEN {at}");
                }
                text + &format!(" WHEN {number} IS NOT NULL THEN {} END", bounds.len())
            }
            Expression::Largest(numbers) => {
                let each = numbers.iter().map(|number| self.expression(number)).collect::<Result<Vec<_>>>()?;
                if each.len() == 1 { each.concat() } else { format!("greatest({})", each.join(", ")) }
            }
            Expression::Holds(condition) => format!("CASE WHEN {} THEN 1 ELSE 0 END", self.condition(condition)?),
            Expression::Where(condition, then) => {
                let condition = self.condition(condition)?;
                format!("CASE WHEN {condition} THEN {} END", self.expression(then)?)
            }
        })
    }

    fn condition(&mut self, condition: &Condition) -> Result<String> {
        Ok(match condition {
            Condition::NotBefore(day, other) => {
                format!("{} >= {}", column(day)?, self.bind(Parameter::Day(calendar::day(*other))))
            }
            Condition::NotAfter(day, other) => {
                format!("{} <= {}", column(day)?, self.bind(Parameter::Day(calendar::day(*other))))
            }
            Condition::Before(day, other) => format!("{} < {}", column(day)?, column(other)?),
            Condition::Through(day, other) => format!("{} <= {}", column(day)?, column(other)?),
            Condition::Less(number, bound) => {
                format!("{} < {bound}", self.expression(number)?)
            }
            Condition::In { of, values, or_null } => {
                // Once, because values are bound in it.
                let of = self.expression(of)?;
                let places = values.iter().map(|value| {
                    self.bind(match value {
                        Value::Text(text) => Parameter::Text(text.clone()),
                        Value::Integer(number) => Parameter::Integer(*number),
                    })
                });
                let places = places.collect::<Vec<_>>().join(", ");
                match (values.is_empty(), or_null) {
                    (false, false) => format!("{of} IN ({places})"),
                    (false, true) => format!("coalesce({of} IN ({places}), TRUE)"),
                    (true, false) => "FALSE".to_owned(),
                    (true, true) => format!("{of} IS NULL"),
                }
            }
            Condition::True(of) => column(of)?,
            Condition::All(conditions) => format!("({})", self.all(conditions)?),
            Condition::Not(condition) => format!("({}) IS NOT TRUE", self.condition(condition)?),
        })
    }
}

/// A qualified column; the loaders have proved these names, and a last look costs nothing.
fn column(column: &Column) -> Result<String> {
    let (table, name) = match column {
        Column::Client(name) => ('c', name),
        Column::Dose(name) => ('i', name),
    };
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { Ok(format!("{table}.{name}")) } else { Err(Error::internal("a column name is not plain")) }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    const TABLES: Tables<'_> = Tables { clients: "clients", immunizations: "immunizations" };

    fn client(name: &str) -> Column {
        Column::Client(name.into())
    }

    fn plan(rows: Rows, group_by: Vec<Expression>, conditions: Vec<Condition>, counts: Vec<Count>) -> AggregatePlan {
        AggregatePlan { rows, group_by, conditions, counts }
    }

    #[test]
    fn a_coverage_plan_as_sql() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let met = Condition::Before(client("met_nis_mmr1"), client("reaches_24_months"));
        let (text, parameters) = render(
            &plan(
                Rows::Clients,
                vec![Expression::Of(client("county")), Expression::Quarter(client("birth_date"))],
                vec![
                    Condition::NotBefore(client("birth_date"), day("1970-01-11")),
                    Condition::NotAfter(client("birth_date"), day("1970-02-01")),
                    Condition::In {
                        of: Expression::Of(client("sex")),
                        values: vec![Value::Text("F'; --".into())],
                        or_null: true,
                    },
                ],
                vec![Count::Rows(Vec::new()), Count::Rows(vec![met.clone()]), Count::Rows(vec![met.not()])],
            ),
            TABLES,
        )
        .unwrap();
        insta::assert_snapshot!(text, @"SELECT c.county AS g0, (year(c.birth_date) * 4 + quarter(c.birth_date) - 1) AS g1, CAST(count(*) AS BIGINT) AS n0, CAST(count(*) FILTER (WHERE c.met_nis_mmr1 < c.reaches_24_months) AS BIGINT) AS n1, CAST(count(*) FILTER (WHERE (c.met_nis_mmr1 < c.reaches_24_months) IS NOT TRUE) AS BIGINT) AS n2 FROM clients AS c WHERE c.birth_date >= ? AND c.birth_date <= ? AND coalesce(c.sex IN (?), TRUE) GROUP BY 1, 2");
        assert_eq!(parameters, [Parameter::Day(10), Parameter::Day(31), Parameter::Text("F'; --".into())]);
    }

    #[test]
    fn ages_and_seasons_follow_from_days() {
        let day = || Column::Dose("vaccination_date".into());
        let age = Expression::Months { birth: client("birth_date"), day: day(), less: 3 };
        let (text, parameters) = render(
            &plan(
                Rows::DosesOfClients,
                vec![Expression::Season(day()), Expression::Class(Box::new(age), vec![12])],
                vec![Condition::True(Column::Dose("dose".into()))],
                vec![Count::Rows(Vec::new()), Count::Clients],
            ),
            TABLES,
        )
        .unwrap();
        insta::assert_snapshot!(text, @"SELECT (year(i.vaccination_date) - CASE WHEN month(i.vaccination_date) < 7 THEN 1 ELSE 0 END) AS g0, CASE WHEN (year((i.vaccination_date - 3)) * 12 + month((i.vaccination_date - 3)) - year(c.birth_date) * 12 - month(c.birth_date) - CASE WHEN day((i.vaccination_date - 3)) < day(c.birth_date) THEN 1 ELSE 0 END) < 12 THEN 0 WHEN (year((i.vaccination_date - 3)) * 12 + month((i.vaccination_date - 3)) - year(c.birth_date) * 12 - month(c.birth_date) - CASE WHEN day((i.vaccination_date - 3)) < day(c.birth_date) THEN 1 ELSE 0 END) IS NOT NULL THEN 1 END AS g1, CAST(count(*) AS BIGINT) AS n0, CAST(count(DISTINCT i.client_key) AS BIGINT) AS n1 FROM immunizations AS i INNER JOIN clients AS c ON c.client_key = i.client_key WHERE i.dose GROUP BY 1, 2");
        assert!(parameters.is_empty());
    }

    #[test]
    fn clients_of_organizations_are_counted_once_in_each_group() {
        let organization = || Column::Dose(names::ORGANIZATION.to_owned());
        let of_visit = || Expression::Unless(organization(), "Unknown".to_owned());
        let one = Condition::In {
            of: Expression::Of(organization()),
            values: vec![Value::Text("one".into()), Value::Text("other".into())],
            or_null: false,
        };
        let counted = |group_by, conditions| {
            let rows = Rows::ClientsByOrganization(of_visit());
            render(&plan(rows, group_by, conditions, vec![Count::Rows(Vec::new())]), TABLES).unwrap()
        };
        let (by_organization, unknown) = counted(vec![Expression::Of(organization())], Vec::new());
        insta::assert_snapshot!(by_organization, @"SELECT i.org_id AS g0, CAST(count(*) AS BIGINT) AS n0 FROM clients AS c INNER JOIN (SELECT DISTINCT i.client_key, CASE WHEN length(i.org_id) = 7 AND upper(i.org_id) = upper(?) THEN NULL ELSE i.org_id END AS org_id FROM immunizations AS i WHERE i.dose) AS i ON i.client_key = c.client_key WHERE TRUE GROUP BY 1");
        assert_eq!(unknown, [Parameter::Text("Unknown".into())]);
        let (by_sex, parameters) = counted(vec![Expression::Of(client("sex"))], vec![one]);
        insta::assert_snapshot!(by_sex, @"SELECT c.sex AS g0, CAST(count(DISTINCT c.client_key) AS BIGINT) AS n0 FROM clients AS c INNER JOIN (SELECT DISTINCT i.client_key, CASE WHEN length(i.org_id) = 7 AND upper(i.org_id) = upper(?) THEN NULL ELSE i.org_id END AS org_id FROM immunizations AS i WHERE i.dose) AS i ON i.client_key = c.client_key WHERE i.org_id IN (?, ?) GROUP BY 1");
        assert_eq!(parameters, ["Unknown", "one", "other"].map(|text| Parameter::Text(text.into())));
    }

    #[test]
    fn no_other_name_becomes_sql() {
        for name in ["", "1a", "a b", "a;", "A", "a\"", "a.b", "count(*)"] {
            for (group, met) in [(name, "met_a"), ("county", name)] {
                let plan = plan(
                    Rows::Clients,
                    vec![Expression::Of(client(group))],
                    Vec::new(),
                    vec![Count::Rows(vec![Condition::Before(client(met), client("reaches_1_month"))])],
                );
                assert!(render(&plan, TABLES).is_err(), "{name}");
            }
        }
    }
}
