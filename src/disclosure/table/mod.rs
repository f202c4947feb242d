//! Tables of counts in which nobody can be singled out: which cells are suppressed, and what can be learned of those
//! that are.
//!
//! A [`Cube`] is the shape of a table with all its margins. [`protect`] chooses a pattern for its counts and proves it;
//! [`round()`] gives multiples of a base that still add up, for tables in which every cell must have a number. [`audit()`]
//! takes what is published, of one table or of several with common cells, and finds the values that every suppressed cell
//! may still have.

mod attack;
mod audit;
mod choice;
mod cube;
mod findings;
mod long;
mod moves;
mod network;
mod pattern;
mod rational;
mod rounding;
mod simplex;
mod system;
mod walk;

pub use attack::{Attacker, Bounds, LARGEST_COUNT, Mark, Rule, UNBOUNDED};
pub use audit::{Ends, Finding, Interval, Seen, Verdict, audit};
pub use choice::{Pattern, protect};
pub use cube::{Cube, Dimension};
pub use findings::{Cell, Findings, Tally};
pub use long::{Columns, Counts, Published};
pub use pattern::price;
pub use rounding::{least_base, round};
