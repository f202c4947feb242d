//! What is counted, free of any engine: columns of a closed list, typed values, integer counts.

use chrono::NaiveDate;

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i32),
}

/// A condition on a row of `clients`. Columns come from the dictionary and the measures, never from the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The day is on or after a day.
    NotBefore {
        /// Column of days.
        column: String,
        /// The day.
        day: NaiveDate,
    },
    /// The day is on or before a day.
    NotAfter {
        /// Column of days.
        column: String,
        /// The day.
        day: NaiveDate,
    },
    /// A series is complete before the day on which an age is reached; never so when it is not complete.
    Met(Series),
    /// The opposite.
    NotMet(Series),
    /// The value is one of these.
    In {
        /// Column.
        column: String,
        /// Values.
        values: Vec<Value>,
        /// Whether a missing value is one of them.
        or_null: bool,
    },
}

/// A series, and the age by which it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Column of the day on which the series is complete.
    pub met: String,
    /// Column of the day on which the age is reached.
    pub reached: String,
    /// Whether that day counts, too.
    pub through: bool,
}

/// Rows that hold all conditions, counted by group; and among them, those that hold all conditions of the numerator.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatePlan {
    /// Columns of the groups.
    pub group_by: Vec<String>,
    /// Who is in the cohort.
    pub conditions: Vec<Condition>,
    /// Who is in the numerator.
    pub numerator: Vec<Condition>,
}
