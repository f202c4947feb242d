//! `phds synth`: an invented month.

use crate::cli;
use crate::error::Result;
use crate::progress::Reporter;
use crate::synth::{self, Options};
use crate::terminal;

/// `phds synth`
pub fn run(typed: &cli::Synth, reporter: &dyn Reporter) -> Result<()> {
    let options = Options { clients: typed.clients, period: typed.period, seed: typed.seed, faults: typed.faults };
    let written = synth::write_month(&options, &typed.out, reporter)?;
    let planted =
        written.planted.map(|path| format!("; what was planted is in {}", path.display())).unwrap_or_default();
    terminal::say(&format!("{}: {} rows, {} bytes{planted}", typed.out.display(), written.rows, written.bytes));
    terminal::next(["check", &typed.out.to_string_lossy(), "--period", &typed.period.to_string()]);
    Ok(())
}
