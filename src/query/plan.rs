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
    /// One day is before another of the same row; never so when either is missing.
    Before {
        /// Column of days.
        column: String,
        /// Column of days.
        other: String,
    },
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

/// Rows that hold all conditions, counted by group; and among them, those that hold the condition of the numerator.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatePlan {
    /// Columns of the groups.
    pub group_by: Vec<String>,
    /// Who is in the cohort.
    pub conditions: Vec<Condition>,
    /// Who is in the numerator.
    pub numerator: Condition,
}
