//! The program: parse, run, exit.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use phds::cli::{self, Cli, Color};
use phds::error::Error;
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
    let words: Vec<_> = std::env::args_os().collect();
    if let Err(error) = cli::settings_are_named_once(&words) {
        return ended(&error);
    }
    let mut command = Cli::command().color(color);
    let matches = match command.try_get_matches_from_mut(&words) {
        Err(error) if error.use_stderr() => match cli::mended(&words) {
            Some(Ok(words)) => command.get_matches_from(words),
            Some(Err(error)) => return ended(&error),
            None => error.exit(),
        },
        matches => matches.unwrap_or_else(|error| error.exit()),
    };
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ended(&error),
    }
}

/// Says what went wrong, and gives the exit code that says it too.
fn ended(error: &Error) -> ExitCode {
    terminal::print_error(error);
    ExitCode::from(error.kind().exit_code())
}
