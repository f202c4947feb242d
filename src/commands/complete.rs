//! What a shell offers after the Tab key. The shell asks the program itself, which knows measures, dimensions, months and
//! rules as they are in force. Nothing is said when something cannot be read, and no server is asked.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Command, CommandFactory};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, Shell};

use crate::cli::{self, Cli};
use crate::error::{Error, Result};
use crate::population;
use crate::query::Values;
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;

/// The variable by which the script of a shell asks. Not `COMPLETE`, which may be somebody else's.
const VARIABLE: &str = "PHDS_COMPLETE";

/// `phds completions`: the script that asks `phds` on the path.
pub fn completions(typed: &cli::Completions) -> Result<()> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&typed.shell.to_string());
    let written = shell.map(|shell| shell.write_registration(VARIABLE, "phds", "phds", "phds", &mut script));
    match written {
        Some(Ok(())) if typed.shell == Shell::Bash => terminal::print_data(whole_words(&script)?.as_bytes()),
        Some(Ok(())) => terminal::print_data(&script),
        _ => Err(Error::internal(format!("there is no script for {}", typed.shell))),
    }
}

/// The script of bash with words that are whole. Bash takes `--where county=Tr` apart at `=` (`COMP_WORDBREAKS`), and
/// wants back what stands behind it.
fn whole_words(script: &[u8]) -> Result<String> {
    const TAKEN: &str = r#"    local words=("${COMP_WORDS[@]}")
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        words[COMP_CWORD]="$2"
    fi
"#;
    const WHOLE: &str = r#"    local words=() at part joins=false
    for at in "${!COMP_WORDS[@]}"; do
        part="${COMP_WORDS[at]}"
        if (( at == COMP_CWORD )) && [[ "${BASH_VERSINFO[0]}" -ge 4 && "$part" != "=" ]]; then
            part="$2"
        fi
        if (( ${#words[@]} )) && { [[ "$part" == "=" ]] || $joins; }; then
            words[${#words[@]}-1]+="$part"
        else
            words+=("$part")
        fi
        joins=false
        [[ "$part" == "=" ]] && joins=true
        (( at == COMP_CWORD )) && _CLAP_COMPLETE_INDEX=$(( ${#words[@]} - 1 ))
    done
    local whole="${words[_CLAP_COMPLETE_INDEX]}"
"#;
    const END: &str = "        compopt -o nospace
    fi
}
";
    const BEHIND: &str = r#"        compopt -o nospace
    fi
    if [[ "$COMP_WORDBREAKS" == *=* && "$whole" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${whole%=*}="}")
    fi
}
"#;
    let other = || Error::internal("the script for bash has another form");
    let script = std::str::from_utf8(script).map_err(|_| other())?;
    if !script.contains(TAKEN) || !script.contains(END) {
        return Err(other());
    }
    Ok(script.replace(TAKEN, WHOLE).replace(END, BEHIND))
}

/// Answers a shell, if this run is one of its questions.
pub fn answered() -> Option<ExitCode> {
    let answer = CompleteEnv::with_factory(command).var(VARIABLE).try_complete(std::env::args_os(), None);
    match answer {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// The command line, in which each value that the program knows is offered.
fn command() -> Command {
    offering(Cli::command())
}

fn offering(command: Command) -> Command {
    command.mut_args(offered).mut_subcommands(offering)
}

fn offered(arg: Arg) -> Arg {
    let candidates = match arg.get_id().as_str() {
        "measure" | "to" | "measures" => measures,
        "by" | "standardize" | "dimension" => dimensions,
        "period" => periods,
        "denominators" => || Some(denominators()),
        "account" => accounts,
        "code" => rules,
        "filters" => {
            return arg.add(ArgValueCompleter::new(|typed: &std::ffi::OsStr| filters(&typed.to_string_lossy())));
        }
        _ => return arg,
    };
    arg.add(ArgValueCandidates::new(move || candidates().unwrap_or_default()))
}

type Candidates = Vec<CompletionCandidate>;

fn candidate(value: &str, about: &str) -> CompletionCandidate {
    CompletionCandidate::new(value).help((!about.is_empty()).then(|| about.to_owned().into()))
}

/// The value of a flag among the words that the shell has so far.
fn typed(flag: &str) -> Option<PathBuf> {
    let words: Vec<_> = std::env::args().collect();
    let value = |at: usize, word: &str| match word.strip_prefix(flag)? {
        "" => words.get(at + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    };
    words.iter().enumerate().find_map(|(at, word)| value(at, word)).map(PathBuf::from)
}

fn settings() -> Option<Settings> {
    Settings::resolve(typed("--config").as_deref()).ok()
}

fn store() -> Option<Store> {
    let root = match typed("--store") {
        Some(root) => root,
        None => settings()?.store(None).ok()?,
    };
    Store::open(&root).ok()
}

fn measures() -> Option<Candidates> {
    let settings = settings()?;
    let measures = settings.knowledge().ok()?.measures.measures().iter();
    Some(measures.map(|measure| candidate(&measure.id, &measure.title)).collect())
}

/// The dimensions that the question on the command line may be asked by.
fn dimensions() -> Option<Candidates> {
    let settings = settings()?;
    let dictionary = &settings.knowledge().ok()?.dictionary;
    let of_doses = std::env::args().any(|word| word == "doses" || word == "dimensions");
    let suits = dictionary.dimensions().iter().filter(|dimension| of_doses || !dictionary.is_of_doses(dimension));
    Some(suits.map(|dimension| candidate(&dimension.id, &dimension.title)).collect())
}

/// The months that are here, the newest first.
fn periods() -> Option<Candidates> {
    let store = store()?;
    let mut periods = store.loaded();
    periods.extend(store.delivered());
    periods.sort();
    periods.dedup();
    Some(periods.iter().rev().map(|period| candidate(&period.to_string(), "")).collect())
}

fn denominators() -> Candidates {
    let notes = store().and_then(|store| population::list(&store).ok()).unwrap_or_default();
    let people = notes.iter().map(|note| candidate(&format!("population:{}", note.name), &note.source));
    let plain = ["clients", "resident", "active_1", "active_2", "active_5", "active_10"];
    plain.into_iter().map(|name| candidate(name, "")).chain(people).collect()
}

fn accounts() -> Option<Candidates> {
    Some(settings()?.account_names().map(|name| candidate(name, "")).collect())
}

fn rules() -> Option<Candidates> {
    let settings = settings()?;
    Some(settings.knowledge().ok()?.rules.rules().iter().map(|rule| candidate(&rule.code, &rule.title)).collect())
}

/// `DIM=`, and behind it the labels of the dimension's codelist. After a comma the next one.
fn filters(typed: &str) -> Candidates {
    let labels = || {
        let settings = settings()?;
        let dictionary = &settings.knowledge().ok()?.dictionary;
        let Some((id, values)) = typed.split_once('=') else {
            return Some(dictionary.dimensions().iter().map(|dimension| format!("{}=", dimension.id)).collect());
        };
        let before = &typed[..typed.len() - values.rsplit(',').next().unwrap_or_default().len()];
        let Values::All(labels) = Values::of(dictionary, id).ok()? else { return None };
        Some::<Vec<String>>(labels.iter().map(|label| format!("{before}{label}")).collect())
    };
    let labels = labels().unwrap_or_default();
    labels.iter().filter(|label| label.starts_with(typed)).map(|label| candidate(label, "")).collect()
}
