//! The one room that draws: bars on a terminal, plain lines elsewhere, all of it on stderr; data goes to stdout.
#![expect(clippy::exit, reason = "a panic or a signal ends the run here, each with its own exit code")]

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result};
use crate::parallel::lock;
use crate::progress::Reporter;

/// The reporter for this run: warnings alone when asked for, bars on a terminal, plain lines elsewhere.
pub fn reporter(quiet: bool) -> Box<dyn Reporter> {
    if quiet {
        Box::new(Warnings)
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::default())
    }
}

/// Prints data. A reader that has gone away (`| head`) is no error.
pub fn print_data(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::environment(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whether data would go to a person's screen.
pub fn data_goes_to_a_screen() -> bool {
    std::io::stdout().is_terminal()
}

/// A word as a shell takes it, and nothing that steers a terminal.
pub fn shell_word(text: &str) -> String {
    let text = printable(text).replace('\n', "\u{fffd}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Cells in columns, those of the last one wrapped to the width of the screen, where there is one.
pub fn columns<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if data_goes_to_a_screen()
        && let Some((width, _)) = terminal_size::terminal_size()
    {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.0);
    }
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for at in 0..N.saturating_sub(1) {
        if let Some(column) = table.column_mut(at) {
            column.set_constraint(ColumnConstraint::ContentWidth).set_padding((0, 2));
        }
    }
    if let Some(column) = table.column_mut(N.saturating_sub(1)) {
        column.set_padding((0, 0));
    }
    format!("{}\n", table.trim_fmt())
}

/// A number of things: `1 file`, `2 files`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A line on stderr, for people. When nobody can read it any more, the work goes on.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether somebody is there to answer.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a person, and gives the answer without blanks around it.
pub fn ask(question: &str) -> Result<String> {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{} ", printable(question)).and_then(|()| out.flush());
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(0) => Err(Error::usage("the question was not answered, and nothing is written")),
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(error) => Err(Error::environment(format!("cannot read an answer: {error}"))),
    }
}

/// Prints an error with its hint.
pub fn print_error(error: &Error) {
    say(&format!("error: {}", printable(&error.to_string())));
}

/// A panic's message may hold a value of a row, so only its place is told.
pub fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        say(&format!(
            "error: a fault of this program{place}\n\nhint: please report this line; it holds nothing of your data"
        ));
        std::process::exit(i32::from(crate::error::ErrorKind::Internal.exit_code()));
    }));
}

/// The exit code of a run that was stopped by Ctrl-C or another signal, as shells give it for Ctrl-C.
const STOPPED: i32 = 130;

/// On Ctrl-C, and when the system or a terminal that closes asks to end: nothing half-done stays but the part of a file
/// on its way, which the next fetch continues.
pub fn tidy_up_when_stopped() {
    // Without a handler the run ends all the same, and the next one removes what it leaves.
    #[cfg(unix)]
    let before = rustix::termios::tcgetattr(std::io::stdin()).ok();
    let _ = ctrlc::set_handler(move || {
        // A prompt for a password switches the echo of the terminal off.
        #[cfg(unix)]
        if let Some(before) = &before {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
        let _nothing_new = crate::fs::discard_drafts();
        say("\nstopped: what was loaded before is as it was; a fetch goes on next time where it stopped");
        std::process::exit(STOPPED);
    });
}

/// Text from outside (names of files on a server) without anything that steers a terminal or turns its letters around.
pub fn printable(text: &str) -> String {
    let steers = |c: char| (c.is_control() && c != '\n') || crate::fetch::pick::is_misleading(c);
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn bar_style(stage: &str) -> ProgressStyle {
    let template = format!("{stage:<8} {{wide_bar}} {{bytes}}/{{total_bytes}} {{bytes_per_sec}} {{eta}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar for the running stage.
#[derive(Debug, Default)]
struct Bars {
    running: Mutex<Option<(String, ProgressBar)>>,
}

impl Bars {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<(String, ProgressBar)>> {
        lock(&self.running)
    }
}

/// Nothing but what must be heard.
#[derive(Debug)]
struct Warnings;

impl Reporter for Warnings {
    fn started(&self, _stage: &str, _total: Option<u64>) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self, _summary: &str) {}
    fn noted(&self, _message: &str) {}

    fn warned(&self, message: &str) {
        say(&format!("warning: {}", printable(message)));
    }
}

impl Bars {
    fn tell(&self, text: &str) {
        match &*self.running() {
            Some((_, bar)) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Reporter for Bars {
    fn started(&self, stage: &str, total: Option<u64>) {
        let bar = match total {
            Some(total) => {
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(bar_style(stage))
            }
            None => ProgressBar::new_spinner().with_message(stage.to_owned()),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.running() = Some((stage.to_owned(), bar));
    }

    fn advanced(&self, bytes: u64) {
        if let Some((_, bar)) = &*self.running() {
            bar.inc(bytes);
        }
    }

    fn finished(&self, summary: &str) {
        if let Some((stage, bar)) = self.running().take() {
            bar.finish_and_clear();
            say(&format!("{stage:<8} {}", printable(summary)));
        }
    }

    fn noted(&self, message: &str) {
        self.tell(&format!("note: {}", printable(message)));
    }

    fn warned(&self, message: &str) {
        self.tell(&format!("warning: {}", printable(message)));
    }
}

/// A line at the end of a stage, and one every ten seconds on the way.
#[derive(Debug, Default)]
struct Lines {
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stage: String,
    total: Option<u64>,
    done: u64,
    said: Instant,
}

const EVERY: Duration = Duration::from_secs(10);

impl Lines {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        lock(&self.running)
    }
}

impl Reporter for Lines {
    fn started(&self, stage: &str, total: Option<u64>) {
        *self.running() = Some(Running { stage: stage.to_owned(), total, done: 0, said: Instant::now() });
    }

    fn advanced(&self, bytes: u64) {
        if let Some(running) = &mut *self.running() {
            running.done += bytes;
            if running.said.elapsed() >= EVERY {
                running.said = Instant::now();
                let of = running.total.map(|total| format!(" of {} MB", total / 1_000_000)).unwrap_or_default();
                say(&format!("{:<8} {} MB{of}", running.stage, running.done / 1_000_000));
            }
        }
    }

    fn finished(&self, summary: &str) {
        if let Some(running) = self.running().take() {
            say(&format!("{:<8} {}", running.stage, printable(summary)));
        }
    }

    fn noted(&self, message: &str) {
        say(&format!("note: {}", printable(message)));
    }

    fn warned(&self, message: &str) {
        say(&format!("warning: {}", printable(message)));
    }
}
