//! `phds query`: questions to a loaded month, through disclosure control, into tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::convert::Partition;
use crate::disclosure::ledger::{Entry, Ledger};
use crate::disclosure::release::FinerNote;
use crate::disclosure::{Audience, Control, Release, Status};
use crate::error::{Error, ErrorKind, Result};
use crate::figure::{self, Kind};
use crate::output::{self, Form, Format, package};
use crate::parallel::Resources;
use crate::period::ReportingPeriod;
use crate::query::ask::{Ask, Asks, Indicator, by_in_words};
use crate::query::engine::DuckDb;
use crate::query::{Context, Question};
use crate::settings::Settings;
use crate::store::Store;
use crate::terminal;
use crate::words;

/// A file of questions to begin with; the notebooks show its answers.
pub(super) const MONTHLY: &str = include_str!("../../notebooks/monthly.toml");

/// `phds query`
pub fn run(typed: &cli::Query, settings: &Settings) -> Result<()> {
    if typed.example {
        return terminal::print_data(MONTHLY.as_bytes());
    }
    match &typed.question {
        Some(question) => one(question, settings),
        None => many(typed, settings),
    }
}

/// One question, printed or written.
fn one(question: &cli::Question, settings: &Settings) -> Result<()> {
    let (ask, table) = question.ask();
    let purpose = &table.purpose;
    let format = match &table.out {
        Some(path) => Format::of_file(path, table.format)?,
        None => table.format.unwrap_or_default(),
    };
    let form = Form::new(format, table.bom)?;
    if table.out.is_none() && !purpose.dry_run {
        super::may_be_printed(format)?;
    }
    let audience: Audience = purpose.audience.into();
    if !purpose.dry_run {
        match &table.out {
            Some(path) => {
                settings.may_write(path)?;
                output::place(path)?;
            }
            None if audience == Audience::Public => {
                return Err(Error::usage(
                    "a table for the public needs a file: it is published for good, and noted as such",
                )
                .hint(
                    "`--dry-run` says how much would be shown; `--out FILE` publishes, with its description beside",
                ));
            }
            None => {}
        }
    }
    let (store, partition) = month(&table.month, settings)?;
    let (answered, keeping) = answered(&[ask], &store, &partition, settings, purpose, Refused::EndsRun)?;
    let Some(keeping) = keeping else { return Ok(()) };
    for release in &answered.release(&store, &keeping)? {
        say_how_little(release);
        match &table.out {
            Some(path) => {
                let written = output::write(release, form, path)?;
                say_what_was_coarsened(release, None);
                say_what_stands(release, None, &store);
                terminal::say(&format!("{} and {}", path.display(), written.description.display()));
                suggest_figure(path, written.document.indicator, &path.with_extension("svg"));
            }
            None => terminal::print_data(&output::render(release, form.on(terminal::look()))?)?,
        }
    }
    Ok(())
}

/// A file of questions, each release in a folder of its own. Nothing is written before all have been answered.
fn many(typed: &cli::Query, settings: &Settings) -> Result<()> {
    let Some(file) = &typed.file else { return Err(Error::usage("there is no question")) };
    let form = Form::new(typed.format, typed.bom)?;
    if !file.exists() {
        return Err(cli::no_question(&file.display().to_string()));
    }
    if typed.keep_going && Audience::from(typed.purpose.audience) == Audience::Internal {
        return Err(Error::usage("`--keep-going` is for tables for the public")
            .hint("add `--audience public`, or leave it away: of the staff, no question is refused"));
    }
    typed.out.as_deref().map_or(Ok(()), |out| settings.may_write(out))?;
    let mut asks = Asks::read(file)?;
    let (store, partition) = month(&typed.month, settings)?;
    let refused = if typed.keep_going { Refused::LeftOut } else { Refused::EndsRun };
    let (answered, keeping) = answered(&asks.releases, &store, &partition, settings, &typed.purpose, refused)?;
    let verdict = verdict(answered.refusals.len(), asks.releases.len());
    let Some(keeping) = keeping else { return verdict };
    asks.releases.retain(|ask| !answered.refusals.iter().any(|(name, _)| *name == ask.name));
    if asks.releases.is_empty() {
        return verdict;
    }
    let Some(out) = &typed.out else {
        return Err(Error::usage("a file of questions needs a folder for the releases").hint("add `--out DIR`"));
    };
    // What is published is published for good: it must have a place to go to.
    let period = partition.manifest().reporting_period;
    let own = out.join(period.to_string());
    let hint = format!("name a folder for each month, such as `--out {}`", own.display());
    package::of_one_month(out, period, &[], &hint)?;
    prepare(&asks, form, out)?;
    let releases = answered.release(&store, &keeping)?;
    write_all(&asks, &releases, form, out)?;
    for (ask, release) in asks.releases.iter().zip(&releases) {
        say_what_was_coarsened(release, ask.name.as_deref());
        say_what_stands(release, ask.name.as_deref(), &store);
    }
    terminal::say(&format!("{} in {}", words::count(releases.len(), "release"), out.display()));
    if let [ask, ..] = asks.releases.as_slice() {
        let name = ask.name.as_deref().unwrap_or_default();
        suggest_figure(&out.join(name), ask.indicator, Path::new(&format!("{name}.svg")));
    }
    verdict
}

/// How a run ends in which so many questions were left out.
fn verdict(refused: usize, asked: usize) -> Result<()> {
    if refused == 0 {
        return Ok(());
    }
    let were = if refused == 1 { "was" } else { "were" };
    Err(Error::refused(format!("{} of {asked} {were} refused and left out", words::count(refused, "question")))
        .hint("the lines above say why: ask otherwise, or take it out of the file"))
}

/// The answers to what was typed, and where to keep them: nowhere when nothing shall be released. Says what was refused, and
/// then how much would be shown.
fn answered(
    asks: &[Ask],
    store: &Store,
    partition: &Partition,
    settings: &Settings,
    purpose: &cli::Purpose,
    refused: Refused,
) -> Result<(Answered, Option<Keeping>)> {
    let audience: Audience = purpose.audience.into();
    if audience == Audience::Public {
        settings.may_publish()?;
    }
    let keeping = if purpose.dry_run {
        None
    } else {
        Some(Keeping::of(store, settings.releases(purpose.keep_in.as_deref())?, audience)?)
    };
    let ledger = match (audience, &keeping) {
        (Audience::Internal, _) => None,
        (Audience::Public, Some(_)) => Some(Ledger::open(store)?),
        (Audience::Public, None) => Some(Ledger::open_to_read(store)?),
    };
    let answered = terminal::busy("counting", || answer(asks, store, partition, settings, ledger, refused))?;
    for (_, refusal) in &answered.refusals {
        terminal::print_refusal(refusal);
    }
    if keeping.is_none() {
        terminal::print_data(answered.outlook().as_bytes())?;
    }
    Ok((answered, keeping))
}

/// Of so many rows, a reader cannot see at once how many are withheld.
const MANY_ROWS: usize = 20;

/// Tells that most rows of a table are withheld, and what would show more.
fn say_how_little(release: &Release) {
    let rows = release.cells().len();
    let shown = release.cells().iter().filter(|cell| cell.status != Status::Suppressed).count();
    if rows >= MANY_ROWS && 2 * shown < rows {
        terminal::say(&format!("{shown} of {rows} rows are shown: groups of more clients, such as regions, show more"));
    }
}

/// Tells that a table is not the one that was asked for.
fn say_what_was_coarsened(release: &Release, name: Option<&str>) {
    let document = release.document();
    if document.coarsened_from.is_empty() {
        return;
    }
    let name = name.map(|name| format!("`{name}` is ")).unwrap_or_default();
    let ids: Vec<_> = document.dimensions.iter().map(|dimension| dimension.id.clone()).collect();
    let finer: Vec<_> = document.coarsened_from.iter().map(FinerNote::sentence).collect();
    terminal::say(&format!("{name}coarsened: {} ({})", by_in_words(&ids), finer.join("; ")));
}

/// The files of which tables were published.
fn files(entries: &[Entry]) -> BTreeSet<(ReportingPeriod, &str)> {
    let published = entries.iter().filter(|entry| entry.is_published());
    published.map(|entry| (entry.reporting_period, entry.delivery_sha256.as_str())).collect()
}

/// Tells that rows are withheld because they have changed by few clients since they were published, and what stands for them.
fn say_what_stands(release: &Release, name: Option<&str>, store: &Store) {
    let disclosure = &release.document().disclosure;
    for id in disclosure.standing() {
        let of = name.map(|name| format!(" of `{name}`")).unwrap_or_default();
        terminal::say(&format!(
            "rows{of} have changed by few clients since they were published, and are withheld: the numbers of that time stand \
             (`{}`). Keep them beside the new table. A row is renewed when it has changed by {} clients or more; wider rows \
             (region, birth_year) change by more",
            store.releases().join(id).display(),
            disclosure.k
        ));
    }
}

/// Says how to draw what was written, where it can be drawn: of one row there are no bars, and of a binary table nothing.
fn suggest_figure(release: &Path, indicator: Indicator, file: &Path) {
    let kind = match indicator {
        Indicator::Curve => Kind::Curve,
        Indicator::Missing => Kind::Upset,
        _ => Kind::Bar,
    };
    let can_be_drawn = figure::release::Release::open(release).is_ok_and(|written| {
        let has_rows = kind != Kind::Bar || !written.description.labels.is_empty();
        has_rows && figure::fits(kind, &written, &figure::Options::default())
    });
    if can_be_drawn {
        let words = [release, file].map(|path| path.to_string_lossy());
        terminal::next(["plot", &words[0], "--kind", kind.word(), "--out", &words[1]]);
    }
}

/// Makes the folder of each release of a file of questions, and gives the paths of their tables.
///
/// # Errors
///
/// When one of them cannot be there, or something else is.
pub fn prepare(asks: &Asks, form: impl Into<Form>, out: &Path) -> Result<Vec<PathBuf>> {
    let format = form.into().format;
    let tables = asks.releases.iter().map(|ask| {
        let folder = out.join(ask.name.as_deref().unwrap_or_default());
        crate::fs::make_output_folder(&folder)?;
        let table = output::table_in(&folder, format);
        output::place(&table).map(|_| table)
    });
    let tables = tables.collect::<Result<_>>()?;
    package::may_be_in(out)?;
    Ok(tables)
}

/// Writes each release of a file of questions into a folder of its own, and describes the set of them.
pub fn write_all(asks: &Asks, releases: &[Release], form: impl Into<Form>, out: &Path) -> Result<()> {
    let form = form.into();
    let mut written = Vec::new();
    for ((ask, release), table) in asks.releases.iter().zip(releases).zip(prepare(asks, form, out)?) {
        let name = ask.name.as_deref().unwrap_or_default();
        written.push((name, output::write(release, form, &table)?.document));
    }
    package::write(out, &written)
}

/// The month that is asked, and its store.
pub fn month(typed: &cli::Month, settings: &Settings) -> Result<(Store, Partition)> {
    let store = Store::open(&settings.store(typed.store.as_deref())?)?;
    let period = match typed.period {
        Some(period) => period,
        None => store.loaded().pop().ok_or_else(|| {
            Error::usage(format!("no month is loaded in `{}`", store.root().display())).hint("`phds load` loads one")
        })?,
    };
    let partition = Partition::open(&store, period)?;
    Ok((store, partition))
}

/// What a refused question is to the others of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It ends the run.
    EndsRun,
    /// The others are answered as if it had not been asked.
    LeftOut,
}

/// Where releases are kept, and whether the ledger of the store notes them.
pub struct Keeping {
    folder: PathBuf,
    is_in_store: bool,
    is_noted: bool,
}

impl Keeping {
    /// What is published is noted, and kept in the store. What is for the staff may be kept elsewhere, and is noted where the
    /// store can be written.
    ///
    /// # Errors
    ///
    /// When the store may only be read, and no other folder is named.
    pub fn of(store: &Store, elsewhere: Option<PathBuf>, audience: Audience) -> Result<Self> {
        let in_store = Self { folder: store.releases(), is_in_store: true, is_noted: true };
        if audience == Audience::Public {
            return Ok(in_store);
        }
        let is_read_only = store.is_read_only();
        match elsewhere {
            Some(folder) => {
                crate::fs::make_output_folder(&folder)?;
                Ok(Self { folder, is_in_store: false, is_noted: !is_read_only })
            }
            None if is_read_only => Err(Error::environment(format!(
                "`{}` may only be read, and releases are kept in it",
                store.root().display()
            ))
            .hint("name a folder for them: `--keep-in DIR`, or `releases` under `[query]` of the settings")),
            None => Ok(in_store),
        }
    }

    /// The folder: each release has one of its own in it, called by its id.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Questions that were answered and audited, and that nobody has seen the answers of.
pub struct Answered {
    questions: Vec<Ask>,
    releases: Vec<Release>,
    /// The names of the questions that were left out, and why.
    refusals: Vec<(Option<String>, Error)>,
    /// Held from before the audit until the releases are in it, where they are for the public.
    ledger: Option<Ledger>,
}

impl Answered {
    /// Lets the releases out: notes them in the ledger, keeps each (`<id>/table.csv` and `release.json`), and gives them.
    pub fn release(self, store: &Store, keeping: &Keeping) -> Result<Vec<Release>> {
        // Held until all are kept.
        let mut ledger = match self.ledger {
            None if keeping.is_noted => Some(Ledger::open(store)?),
            ledger => ledger,
        };
        match &mut ledger {
            Some(ledger) => {
                let before = files(ledger.entries()).len();
                ledger.append(&self.releases.iter().zip(self.questions).collect::<Vec<_>>())?;
                if let (1, files @ 2) = (before, files(ledger.entries()).len()) {
                    terminal::say(&format!(
                        "tables of {files} files are published now: from here on, a table can be published that was published of \
                         all other months, and no new one"
                    ));
                }
            }
            None => terminal::say(&format!(
                "`{}` may only be read: kept in `{}`, and not noted in the ledger",
                store.root().display(),
                keeping.folder.display()
            )),
        }
        for release in &self.releases {
            let folder = keeping.folder.join(&release.document().release_id);
            if keeping.is_in_store {
                crate::fs::make_folder(&folder)?;
                output::keep(release, &folder)?;
            } else {
                crate::fs::make_output_folder(&folder)?;
                output::write(release, Format::Csv, &output::table_in(&folder, Format::Csv))?;
            }
        }
        Ok(self.releases)
    }

    /// What the releases would show, without a number of a client.
    fn outlook(&self) -> String {
        let mut text = String::new();
        for (release, question) in self.releases.iter().zip(&self.questions) {
            let document = release.document();
            let measure = document.measure_label().map(|label| format!(" of {label}")).unwrap_or_default();
            let by = by_in_words(&question.by);
            let withheld = release.cells().iter().filter(|cell| cell.status == Status::Suppressed).count();
            text += &format!(
                "{}{measure} {by}, {}: {} of {} rows would be shown\n",
                question.indicator.name(),
                document.audience.word(),
                release.cells().len() - withheld,
                release.cells().len(),
            );
            for note in &document.coarsened_from {
                text += &format!("  coarsened; {}\n", note.sentence());
            }
            for note in &document.disclosure.beside {
                let of = if note.release_id == document.release_id { "this table" } else { &note.release_id };
                text += &format!("  rows are withheld because {} ({of})\n", note.otherwise);
            }
            if !document.disclosure.standing().is_empty() {
                text += "  what was published of them stands until they have changed by more\n";
            }
        }
        text
    }
}

/// Binds all questions, counts, and audits the tables together; for the public, with everything that was published, which the
/// ledger tells. Without it, the answers are for the staff.
pub fn answer(
    asks: &[Ask],
    store: &Store,
    partition: &Partition,
    settings: &Settings,
    ledger: Option<Ledger>,
    refused: Refused,
) -> Result<Answered> {
    let audience = if ledger.is_some() { Audience::Public } else { Audience::Internal };
    let context = context(store, partition, settings)?;
    let named = |ask: &Ask, error: Error| match &ask.name {
        Some(name) => error.within(&format!("release `{name}`")),
        None => error,
    };
    // One file of questions serves both audiences; the flag is typed for one.
    if audience == Audience::Internal && asks.iter().any(|ask| ask.coarsen && ask.name.is_none()) {
        return Err(Error::usage("`--coarsen` is for tables for the public")
            .hint("add `--audience public`, or leave it away: the staff see what is small in a table"));
    }
    let is_coarsened = |ask: &Ask| ask.coarsen && audience == Audience::Public;
    // Each with the coarser ones that may be published in its place.
    let questions = asks.iter().map(|ask| {
        let bound = if is_coarsened(ask) {
            Question::with_coarser(ask, context)
        } else {
            Question::bind(ask, context).map(|question| vec![question])
        };
        bound.map_err(|error| named(ask, error))
    });
    let questions = questions.collect::<Result<Vec<_>>>()?;
    let asked: Vec<Question<'_>> = questions.iter().filter_map(|levels| levels.first().cloned()).collect();
    let mut engine = engine(partition);
    let mut control = match &ledger {
        None => Control::internal(&settings.policy, &asked)?,
        Some(ledger) => published(ledger, context, &mut engine, settings)?,
    };
    if questions.len() > 1 || audience == Audience::Public {
        Question::read_ahead(&asked, &mut engine)?;
    }
    let mut answered = Answered { questions: Vec::new(), releases: Vec::new(), refusals: Vec::new(), ledger };
    for ((ask, levels), question) in asks.iter().zip(&questions).zip(&asked) {
        let release = if is_coarsened(ask) {
            control.protect_coarsened(levels, &mut engine)
        } else {
            let raw = question.count(&mut engine)?;
            control.protect(raw, question, &mut engine).map(|release| (release, 0))
        };
        match release.map_err(|error| named(ask, error)) {
            Ok((release, at)) => {
                answered.releases.push(release);
                answered.questions.push(levels[at].normalized());
            }
            Err(error) if refused == Refused::LeftOut && error.kind() == ErrorKind::Refused => {
                answered.refusals.push((ask.name.clone(), error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answered)
}

/// What counts in a month, by all processors.
pub fn engine(partition: &Partition) -> DuckDb<'_> {
    DuckDb::new(partition, Resources::default().threads)
}

/// What questions to a month are bound to.
///
/// # Errors
///
/// [`ErrorKind::Refused`] when the settings would show smaller counts than those by which the month was loaded.
pub fn context<'a>(store: &'a Store, partition: &'a Partition, settings: &'a Settings) -> Result<Context<'a>> {
    let (own, loaded) = (settings.policy.k(), partition.manifest().k);
    if own < loaded {
        return Err(Error::refused(format!(
            "the month {} was loaded with k = {loaded}, and these settings have k = {own}",
            partition.manifest().reporting_period
        ))
        .hint(
            "name the settings of the load (`--config`), or set the same k under `[disclosure]`; who may load sets another \
             k for the month by `phds load --again`",
        ));
    }
    let knowledge = settings.knowledge()?;
    Ok(Context {
        dictionary: &knowledge.dictionary,
        measures: &knowledge.measures,
        partition,
        store,
        counties: &settings.counties,
    })
}

/// Disclosure control that knows everything that was published.
pub fn published<'a>(
    ledger: &Ledger,
    context: Context<'_>,
    engine: &mut DuckDb<'_>,
    settings: &'a Settings,
) -> Result<Control<'a>> {
    let manifest = context.partition.manifest();
    let month = (manifest.reporting_period, &manifest.delivery.sha256);
    let published = ledger.entries().iter().filter(|entry| entry.audience == Audience::Public).cloned();
    let (same, other): (Vec<_>, Vec<_>) =
        published.partition(|entry| (entry.reporting_period, &entry.delivery_sha256) == month);
    let mut control = Control::public(&settings.policy, other)?;
    let questions = same.iter().map(|entry| {
        Question::bind(&entry.question, context)
            .map_err(|error| error.within(&format!("the table {} of the ledger", entry.release_id)))
    });
    let questions = questions.collect::<Result<Vec<_>>>()?;
    Question::read_ahead(&questions, engine)?;
    for (entry, question) in same.iter().zip(&questions) {
        control.published(entry, question, engine)?;
    }
    Ok(control)
}
