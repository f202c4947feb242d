//! The one room that draws: bars on a terminal, plain lines elsewhere, all of it on stderr; data goes to stdout.
#![expect(clippy::exit, reason = "a panic or a signal ends the run here, each with its own exit code")]

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Color;
use crate::error::{Error, Result};
use crate::fs;
use crate::output::grid::Look;
use crate::parallel::lock;
use crate::progress::Reporter;
use crate::words::grouped;

/// Whether nothing but warnings and errors is wanted.
static QUIET: AtomicBool = AtomicBool::new(false);

/// What was typed for `--color`.
static COLOR: AtomicU8 = AtomicU8::new(Color::Auto as u8);

/// Takes over what was typed for the whole run.
pub fn begin(quiet: bool, color: Color) {
    QUIET.store(quiet, Ordering::Relaxed);
    COLOR.store(color as u8, Ordering::Relaxed);
}

/// The words of the command line say `--color` too late for help and errors of the command line itself: this looks for it
/// before anything else is read.
pub fn color_typed(words: impl IntoIterator<Item = std::ffi::OsString>) -> Color {
    let words: Vec<_> = words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let value = |at: usize, word: &str| match word.strip_prefix("--color") {
        Some("") => words.get(at + 1).cloned(),
        Some(rest) => rest.strip_prefix('=').map(str::to_owned),
        None => None,
    };
    let typed = words.iter().enumerate().find_map(|(at, word)| value(at, word));
    typed.and_then(|word| clap::ValueEnum::from_str(&word, false).ok()).unwrap_or_default()
}

/// Whether to colour what goes to a stream: as typed, or on a terminal that can, unless `NO_COLOR` is set.
fn has_color(stream: &impl IsTerminal) -> bool {
    let typed = COLOR.load(Ordering::Relaxed);
    if typed != Color::Auto as u8 {
        return typed == Color::Always as u8;
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the locale says that the screen shows UTF-8: the first of the three variables that is set decides.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// What standard output can show: a screen has a width and perhaps no UTF-8, a file or a pipe takes everything.
pub fn look() -> Look {
    let color = has_color(&std::io::stdout());
    if !data_goes_to_a_screen() {
        return Look { color, ..Look::default() };
    }
    let ascii = cfg!(unix) && !is_utf8(|name| std::env::var(name).ok());
    Look { width: terminal_size::terminal_size().map(|(width, _)| width.0), ascii, color }
}

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

/// Prints a value as JSON, as [`fs::json`] has it.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print_data(&fs::json(value)?)
}

/// Whether data would go to a person's screen.
pub fn data_goes_to_a_screen() -> bool {
    std::io::stdout().is_terminal()
}

/// Prints a text for people: on a screen, a line that is too long goes on below where its text begins.
pub fn print_text(text: &str) -> Result<()> {
    let look = look();
    print_data(text.lines().map(|line| within(line, look) + "\n").collect::<String>().as_bytes())
}

/// A line within the width of a screen: behind a bullet, a word of a list and the blanks that follow it, or the blanks at its
/// beginning.
fn within(line: &str, look: Look) -> String {
    /// A column that begins further to the right leaves no room.
    const FURTHEST: usize = 28;
    let Some(width) = look.width.filter(|width| line.chars().count() > usize::from(*width)) else {
        return line.to_owned();
    };
    let is_blank = |c: char| c == ' ';
    let lead = line.len() - line.trim_start_matches(is_blank).len();
    let text = &line[lead..];
    let column = text.find("  ").map(|at| text.len() - text[at..].trim_start_matches(is_blank).len());
    let begins = match column {
        _ if text.starts_with("- ") => lead + 2,
        Some(column) if lead + column <= FURTHEST => lead + column,
        _ => lead,
    };
    let width = width.saturating_sub(u16::try_from(begins).unwrap_or_default());
    let rest = Look { width: Some(width), ..look }.wrapped(&line[begins..], "");
    format!("{}{}", &line[..begins], rest.replace('\n', &format!("\n{}", " ".repeat(begins))))
}

/// A word as the shell of this system takes it, and nothing that steers a terminal.
pub fn shell_word(text: &str) -> String {
    word_of(text, cfg!(windows))
}

fn word_of(text: &str, is_windows: bool) -> String {
    let text = printable(text).replace('\n', "\u{fffd}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ',' | ':');
    match is_windows {
        _ if !text.is_empty() && text.chars().all(|c| plain(c) || (is_windows && c == '\\')) => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
        // Both of its shells go on reading between double quotes, for what begins a variable or a command.
        true => format!("\"{}\"", text.replace(['"', '%', '$', '`', '!'], "\u{fffd}")),
    }
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

/// A line on stderr, for people who have not asked for quiet.
pub fn say(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        insist(text);
    }
}

/// A line on stderr that everybody must see. When nobody can read it any more, the work goes on.
pub fn insist(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What may be done next, as the last line of a run: the words of a command.
pub fn next<'a>(words: impl IntoIterator<Item = &'a str>) {
    let words: Vec<_> = words.into_iter().map(shell_word).collect();
    say(&format!("\nnext: phds {}", words.join(" ")));
}

/// Works with a sign of life on the screen, for as long as it takes.
pub fn busy<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if QUIET.load(Ordering::Relaxed) || !std::io::stderr().is_terminal() {
        return work();
    }
    let sign = ProgressBar::new_spinner().with_message(what.to_owned());
    sign.enable_steady_tick(Duration::from_millis(200));
    let done = work();
    sign.finish_and_clear();
    done
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
    insist(&format!("{} {}", marked("error:", RED), with_hint(error, "\n\n")));
}

/// Prints why something was left out of a run that goes on.
pub fn print_refusal(error: &Error) {
    insist(&format!("{} {}", marked("left out:", YELLOW), with_hint(error, "\n")));
}

/// What an error says, and its hint behind a gap.
fn with_hint(error: &Error, gap: &str) -> String {
    let hint = error.what_to_do().map(|hint| format!("{gap}{} {}", marked("hint:", CYAN), printable(hint)));
    printable(error.message()) + &hint.unwrap_or_default()
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";

/// The word that begins a line on stderr, in a colour where there is any.
fn marked(word: &str, color: &str) -> String {
    if has_color(&std::io::stderr()) { format!("{color}{word}\x1b[0m") } else { word.to_owned() }
}

fn warning(message: &str) -> String {
    format!("{} {}", marked("warning:", YELLOW), printable(message))
}

/// A panic's message may hold a value of a row, so only its place is told.
pub fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        insist(&format!(
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
        insist("\nstopped: what was loaded before is as it was; a fetch goes on next time where it stopped");
        std::process::exit(STOPPED);
    });
}

/// Text from outside (names of files on a server) without anything that steers a terminal or turns its letters around.
pub fn printable(text: &str) -> String {
    let steers = |c: char| (c.is_control() && c != '\n') || crate::fetch::pick::is_misleading(c);
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn bar_style(stage: &str) -> ProgressStyle {
    let template = format!("{stage:<8} {{wide_bar}} {{bytes}}/{{total_bytes}} {{bytes_per_sec}} {{msg}}{{eta}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar for the running stage.
#[derive(Debug, Default)]
struct Bars {
    running: Mutex<Option<Stage>>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    bar: ProgressBar,
    rows: u64,
}

impl Bars {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<Stage>> {
        lock(&self.running)
    }
}

/// Rows a second, as people read them.
fn pace(rows: u64, since: Duration) -> String {
    let per_second = u128::from(rows) * 1_000 / since.as_millis().max(1);
    format!("{} rows/s", grouped(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// Nothing but what must be heard.
#[derive(Debug)]
struct Warnings;

impl Reporter for Warnings {
    fn started(&self, _stage: &str, _total: Option<u64>) {}
    fn advanced(&self, _bytes: u64) {}
    fn counted(&self, _rows: u64) {}
    fn finished(&self, _summary: &str) {}
    fn noted(&self, _message: &str) {}

    fn warned(&self, message: &str) {
        insist(&warning(message));
    }
}

impl Bars {
    fn tell(&self, text: &str) {
        match &*self.running() {
            Some(Stage { bar, .. }) => bar.suspend(|| say(text)),
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
        *self.running() = Some(Stage { name: stage.to_owned(), bar, rows: 0 });
    }

    fn advanced(&self, bytes: u64) {
        if let Some(Stage { bar, .. }) = &*self.running() {
            bar.inc(bytes);
        }
    }

    fn counted(&self, rows: u64) {
        if let Some(Stage { bar, rows: all, .. }) = &mut *self.running() {
            *all += rows;
            bar.set_message(pace(*all, bar.elapsed()) + " ");
        }
    }

    fn finished(&self, summary: &str) {
        if let Some(Stage { name, bar, .. }) = self.running().take() {
            bar.finish_and_clear();
            say(&format!("{name:<8} {}", printable(summary)));
        }
    }

    fn noted(&self, message: &str) {
        self.tell(&format!("note: {}", printable(message)));
    }

    fn warned(&self, message: &str) {
        self.tell(&warning(message));
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
    rows: u64,
    began: Instant,
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
        let now = Instant::now();
        *self.running() = Some(Running { stage: stage.to_owned(), total, done: 0, rows: 0, began: now, said: now });
    }

    fn advanced(&self, bytes: u64) {
        if let Some(running) = &mut *self.running() {
            running.done += bytes;
            if running.said.elapsed() >= EVERY {
                running.said = Instant::now();
                let of = running.total.map(|total| format!(" of {} MB", total / 1_000_000)).unwrap_or_default();
                let pace = match running.rows {
                    0 => String::new(),
                    rows => format!(", {}", pace(rows, running.began.elapsed())),
                };
                say(&format!("{:<8} {} MB{of}{pace}", running.stage, running.done / 1_000_000));
            }
        }
    }

    fn counted(&self, rows: u64) {
        if let Some(running) = &mut *self.running() {
            running.rows += rows;
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
        insist(&warning(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_each_shell() {
        for (text, elsewhere, on_windows) in [
            ("store", "store", "store"),
            ("", "''", "\"\""),
            ("a b", "'a b'", "\"a b\""),
            (r"demo\store", r"'demo\store'", r"demo\store"),
            (r"C:\my data\m.csv", r"'C:\my data\m.csv'", r#""C:\my data\m.csv""#),
            ("it's", r"'it'\''s'", "\"it's\""),
            ("a\nb", "'a\u{fffd}b'", "\"a\u{fffd}b\""),
            (
                "%PATH% $(x) `x`\"",
                "'%PATH% $(x) `x`\"'",
                "\"\u{fffd}PATH\u{fffd} \u{fffd}(x) \u{fffd}x\u{fffd}\u{fffd}\"",
            ),
        ] {
            assert_eq!(
                (word_of(text, false).as_str(), word_of(text, true).as_str()),
                (elsewhere, on_windows),
                "{text}"
            );
        }
    }

    #[test]
    fn a_pace_is_rows_by_seconds() {
        for (rows, milliseconds, told) in [
            (0, 0, "0 rows/s"),
            (5, 0, "5,000 rows/s"),
            (1_500, 1_000, "1,500 rows/s"),
            (3_000_000, 2_000, "1,500,000 rows/s"),
        ] {
            assert_eq!(pace(rows, Duration::from_millis(milliseconds)), told);
        }
    }

    #[test]
    fn a_line_goes_on_below_where_its_text_begins() {
        let look = Look { width: Some(40), ..Look::default() };
        let words = "one two three four five six seven eight nine ten";
        for (line, expected) in [
            ("short", "short".to_owned()),
            (words, "one two three four five six seven eight\nnine ten".to_owned()),
            (&format!("- {words}"), "- one two three four five six seven\n  eight nine ten".to_owned()),
            (&format!("What:  {words}"), "What:  one two three four five six seven\n       eight nine ten".to_owned()),
            (&format!("  {words}"), "  one two three four five six seven\n  eight nine ten".to_owned()),
        ] {
            assert_eq!(within(line, look), expected);
        }
        assert_eq!(within(words, Look::default()), words);
    }

    #[test]
    fn color_is_found_before_the_command_line_is_read() {
        for (words, color) in [
            ("phds status", Color::Auto),
            ("phds --color never status", Color::Never),
            ("phds status --color=always", Color::Always),
            ("phds status --color", Color::Auto),
            ("phds --color=no", Color::Auto),
            ("phds --colors never", Color::Auto),
        ] {
            assert_eq!(color_typed(words.split(' ').map(Into::into)), color, "{words}");
        }
    }

    #[test]
    fn the_first_variable_that_is_set_says_whether_the_screen_shows_utf8() {
        for (all, ctype, lang, utf8) in [
            ("", "", "", false),
            ("", "", "en_US.UTF-8", true),
            ("", "", "C.utf8", true),
            ("", "", "de_DE.ISO-8859-1", false),
            ("C", "", "en_US.UTF-8", false),
            ("", "POSIX", "en_US.UTF-8", false),
            ("C.UTF-8", "C", "C", true),
        ] {
            let set = |name: &str| {
                Some(
                    match name {
                        "LC_ALL" => all,
                        "LC_CTYPE" => ctype,
                        _ => lang,
                    }
                    .to_owned(),
                )
            };
            assert_eq!(is_utf8(set), utf8, "{all}/{ctype}/{lang}");
        }
    }
}
