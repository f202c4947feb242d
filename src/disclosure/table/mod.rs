//! Tables of counts in which nobody can be singled out.

mod attack;
mod audit;
mod cube;
mod moves;
mod network;
mod pattern;
mod rational;
mod simplex;
mod walk;

pub use attack::{Attacker, Bounds, LARGEST_COUNT, Mark, Rule, UNBOUNDED};
pub use audit::{Finding, Interval, Seen, Verdict, audit};
pub use cube::{Cube, Dimension};
pub use pattern::{Pattern, price, protect};
