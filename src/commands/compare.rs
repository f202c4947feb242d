//! `phds compare`: what changed between the releases of two months.

use crate::cli::{self, ComparisonFormat};
use crate::comparison::Comparison;
use crate::error::Result;
use crate::figure::release::Release;
use crate::terminal;

/// `phds compare`
pub fn run(typed: &cli::Compare) -> Result<()> {
    let (earlier, later) = (Release::open(&typed.earlier)?, Release::open(&typed.later)?);
    let comparison = Comparison::of(&earlier, &later)?;
    terminal::print_data(&match typed.format {
        ComparisonFormat::Table => comparison.to_text(&later.description.marking, terminal::look()).into_bytes(),
        ComparisonFormat::Csv => comparison.to_csv()?,
        ComparisonFormat::Json => comparison.to_json()?,
    })
}
