//! The program: parse, run, exit.

use std::process::ExitCode;

use clap::Parser as _;
use phds::cli::Cli;
use phds::{commands, terminal};

fn main() -> ExitCode {
    terminal::hide_panics();
    terminal::tidy_up_when_stopped();
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}
