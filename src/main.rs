//! The program: parse, run, exit.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use phds::cli::{Cli, Color};
use phds::{commands, terminal};

fn main() -> ExitCode {
    terminal::hide_panics();
    if let Some(code) = commands::complete::answered() {
        return code;
    }
    terminal::tidy_up_when_stopped();
    let color = match terminal::color_typed(std::env::args_os()) {
        Color::Auto => clap::ColorChoice::Auto,
        Color::Always => clap::ColorChoice::Always,
        Color::Never => clap::ColorChoice::Never,
    };
    let matches = Cli::command().color(color).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}
