//! What is counted, free of any engine: columns of a closed list, typed values, integer counts.

use chrono::NaiveDate;

/// A column of one of a month's tables. Names come from the dictionary and the measures, never from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// Of `clients`.
    Client(String),
    /// Of `immunizations`, or of what stands in its place in [`Rows`].
    Dose(String),
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i32),
}

/// A value that a row has: a column, or a number that follows from its days.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// The column itself.
    Of(Column),
    /// The column of texts, without a value where it has this text, in capital or small letters.
    Unless(Column, String),
    /// The calendar year of a day.
    Year(Column),
    /// Four times the calendar year of a day, and its quarter, 0 to 3.
    Quarter(Column),
    /// Twelve times the calendar year of a day, and its month, 0 to 11.
    Month(Column),
    /// The calendar year in which the season of a day begins.
    Season(Column),
    /// Completed months of age on a day; an age is reached as `CDSi` counts, where an impossible day rolls forward. Not
    /// known when the day is not.
    Months {
        /// Day of birth.
        birth: Column,
        /// The day, so many days earlier.
        day: Column,
        /// Days to take off.
        less: i32,
    },
    /// Completed months of age on one day for all.
    MonthsBy {
        /// Day of birth.
        birth: Column,
        /// The day.
        day: NaiveDate,
    },
    /// The position of the class of a number: how many of the rising bounds it has reached.
    Class(Box<Expression>, Vec<i32>),
    /// The largest of several numbers that are all known.
    Largest(Vec<Expression>),
    /// 1 where a condition holds, 0 where not.
    Holds(Box<Condition>),
    /// The first number where a condition holds, nothing elsewhere.
    Where(Box<Condition>, Box<Expression>),
}

/// A condition on a row. What cannot be told, because a value is missing, does not hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The day is on or after a day.
    NotBefore(Column, NaiveDate),
    /// The day is on or before a day.
    NotAfter(Column, NaiveDate),
    /// One day is before another.
    Before(Column, Column),
    /// One day is before another, or the same.
    Through(Column, Column),
    /// A number is less than another.
    Less(Expression, i32),
    /// The value is one of these.
    In {
        /// The value.
        of: Expression,
        /// Those that are wanted.
        values: Vec<Value>,
        /// Whether a missing value is one of them.
        or_null: bool,
    },
    /// The column, of true and false, is true.
    True(Column),
    /// All of these hold.
    All(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// The opposite.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a condition is data and has no truth of its own")]
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// The rows that are counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// One for each client.
    Clients,
    /// One for each client and organization with a visit: `clients`, and beside it the column of the organization, which is
    /// this of a dose.
    ClientsByOrganization(Expression),
    /// One for each row of `immunizations`.
    Doses,
    /// One for each row of `immunizations`, with the client's row beside it.
    DosesOfClients,
}

/// What is counted of the rows of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// Rows that hold these conditions.
    Rows(Vec<Condition>),
    /// Distinct clients among the rows.
    Clients,
}

/// Rows that hold all conditions, counted by group.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatePlan {
    /// Which rows.
    pub rows: Rows,
    /// What tells the groups apart.
    pub group_by: Vec<Expression>,
    /// Which rows are in any group.
    pub conditions: Vec<Condition>,
    /// What is counted of each group.
    pub counts: Vec<Count>,
}
