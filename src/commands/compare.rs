//! `phds compare`: what changed between the releases of two months.

use crate::cli;
use crate::comparison::{self, Comparison};
use crate::error::{Error, Result};
use crate::figure::release::Release;
use crate::fs;
use crate::output::Format;
use crate::output::grid::Look;
use crate::terminal;

/// `phds compare`
pub fn run(typed: &cli::Compare) -> Result<()> {
    let format = typed.format.map(Format::from);
    let format = match &typed.out {
        Some(path) => Format::of_file(path, format)?,
        None => format.unwrap_or_default(),
    };
    let Some(path) = &typed.out else {
        super::may_be_printed(format)?;
        return terminal::print_data(&compared(typed, format, terminal::look())?);
    };
    fs::may_replace(path, "comparison", |path| comparison::is_one(&std::fs::read(path).unwrap_or_default(), format))?;
    fs::write_output(path, &compared(typed, format, Look::default())?)?;
    terminal::say(&path.display().to_string());
    Ok(())
}

fn compared(typed: &cli::Compare, format: Format, look: Look) -> Result<Vec<u8>> {
    let (earlier, later) = (Release::open(&typed.earlier)?, Release::open(&typed.later)?);
    let comparison = Comparison::of(&earlier, &later)?;
    match format {
        Format::Table => Ok(comparison.to_text(&later.description.marking, look).into_bytes()),
        Format::Csv => comparison.to_csv(),
        Format::Xlsx => comparison.to_workbook(&earlier.description, &later.description).bytes(),
        Format::Json => comparison.to_json(),
        Format::Parquet | Format::Arrow | Format::Markdown | Format::Latex => {
            Err(Error::usage(format!("a comparison is not written as .{}", format.name()))
                .hint("end the file in .csv, .xlsx, .json or .txt"))
        }
    }
}
