//! `phds dictionary import`: a table of somebody else → a dictionary file, with questions on a terminal.

use std::path::Path;

use crate::check::Ruleset;
use crate::cli;
use crate::dictionary::import::{self, Answers, Import, NEW, Overlay, Question};
use crate::dictionary::{self, Dictionary};
use crate::error::{Error, Result};
use crate::measure::Measures;
use crate::{fs, terminal};

/// `phds dictionary import`
pub fn run(typed: &cli::Import) -> Result<()> {
    fs::must_lie_outside_stores(&typed.out)?;
    if std::fs::read_dir(&typed.out).is_ok_and(|mut entries| entries.next().is_some()) || typed.out.is_file() {
        return Err(Error::usage(format!("`{}` is there and is left as it is", typed.out.display()))
            .hint("name a folder that is missing or empty"));
    }
    let mut answers = Answers {
        sheet: typed.sheet.clone(),
        columns: typed.columns.iter().cloned().collect(),
        fields: typed.fields.clone(),
        id: typed.id.clone(),
        version: typed.version.clone(),
        source: typed.source.clone(),
    };
    let built_in = Dictionary::built_in()?;
    let overlay = loop {
        match import::import(&typed.file, &answers, &built_in)? {
            Import::Done(overlay) => break overlay,
            Import::Open(questions) if terminal::can_ask() => {
                questions.iter().try_for_each(|question| ask(question, &mut answers))?;
            }
            Import::Open(questions) => return Err(import::unanswered(&typed.file, &questions)),
        }
    };
    let edition = put_in_place(&overlay, &typed.out)?.edition();
    for line in &overlay.told {
        terminal::insist(&terminal::printable(line));
    }
    let flags = flags(typed, &answers);
    if !flags.is_empty() {
        terminal::say(&format!("Without questions, next time: {flags}"));
    }
    let file = typed.out.join(dictionary::FILE);
    terminal::say(&format!(
        "\n`{}` is written: {} {}, fingerprint {}. Read it, then name it in {}:\n\n[dictionary]\nfile = {}\n\n\
         and see what is in force with `phds dictionary`, and how a month fits with `phds check FILE --period YYYY-MM`.",
        file.display(),
        edition.id,
        edition.version,
        edition.fingerprint,
        crate::settings::FILE,
        toml::Value::from(file.display().to_string()),
    ));
    Ok(())
}

/// The folder, once all that is made of a dictionary loads with this one.
fn put_in_place(overlay: &Overlay, out: &Path) -> Result<Dictionary> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::make_folder(parent)?;
    let draft = fs::draft_folder(parent)?;
    let file = draft.path().join(dictionary::FILE);
    fs::write_whole(&file, overlay.text.as_bytes())?;
    for (path, text) in &overlay.codelists {
        let path = draft.path().join(path);
        fs::make_folder(path.parent().unwrap_or(draft.path()))?;
        fs::write_whole(&path, text.as_bytes())?;
    }
    let dictionary = Dictionary::with_overrides(&file)
        .and_then(|dictionary| {
            Ruleset::built_in(&dictionary)?;
            Measures::built_in(&dictionary)?;
            Ok(dictionary)
        })
        .map_err(|error| error.also("; so this table gives no dictionary, and nothing is written"))?;
    // An empty folder may be there, and not every system lets another take its place.
    let _ = std::fs::remove_dir(out);
    fs::move_into_place(draft.path(), out)?;
    fs::sync_folder(parent)?;
    Ok(dictionary)
}

/// Asks one question; the answer is proved when the import is done again.
fn ask(question: &Question, answers: &mut Answers) -> Result<()> {
    match question {
        Question::Column { key, columns } => {
            let columns: Vec<_> = columns.iter().map(|(number, title)| format!("{number} ({title})")).collect();
            let columns = columns.join(" or ");
            let answer = terminal::ask(&format!("Which column is the {}: {columns}? (empty: none)", key.word()))?;
            answers.columns.insert(*key, answer);
        }
        Question::Field { header, field, ours } => {
            let answer = terminal::ask(&format!("Is `{header}` our {field} ({ours})? yes, no, or another field"))?;
            let name = match answer.to_lowercase().as_str() {
                "y" | "yes" => field.clone(),
                "" | "n" | "no" => NEW.to_owned(),
                _ => answer,
            };
            answers.fields.push((header.clone(), name));
        }
        Question::Needed { field, ours } => {
            let answer = terminal::ask(&format!("Which column of the file is our {field} ({ours})? Its header"))?;
            if answer.is_empty() {
                return Err(Error::usage(format!("without {field} ({ours}), nothing can be loaded")));
            }
            answers.fields.retain(|(header, _)| *header != answer);
            answers.fields.push((answer, field.clone()));
        }
    }
    Ok(())
}

/// What was answered and not typed, as flags.
fn flags(typed: &cli::Import, answers: &Answers) -> String {
    let columns = answers.columns.iter().filter(|(key, _)| !typed.columns.iter().any(|(typed, _)| typed == *key));
    let columns =
        columns.map(|(key, title)| format!("--map {}", terminal::shell_word(&format!("{}={title}", key.word()))));
    let fields = answers.fields.iter().filter(|answer| !typed.fields.contains(answer));
    let fields = fields.map(|(header, name)| format!("--field {}", terminal::shell_word(&format!("{header}={name}"))));
    columns.chain(fields).collect::<Vec<_>>().join(" ")
}
