//! `phds measures`, `dimensions`, `dictionary`, `explain`: what the program knows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::check::Ruleset;
use crate::cli::{self, DictionaryFormat};
use crate::dictionary::{Dictionary, Dimension, Field, Presence};
use crate::error::{Error, Result};
use crate::history::cases;
use crate::knowledge::Fingerprint;
use crate::measure::{Measure, Measures, opportunity};
use crate::query::Values;
use crate::settings::{Knowledge, Settings};
use crate::terminal;
use crate::words::{UNKNOWN, abridged, count};

/// A measure as `phds measures --json` lists it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedMeasure<'a> {
    #[serde(flatten)]
    measure: &'a Measure,
    /// The CVX codes that count for it.
    cvx_codes: Vec<&'a str>,
    /// Version of its file.
    version: &'a str,
    /// Changes with the definition and its codes.
    fingerprint: &'a Fingerprint,
}

impl<'a> ListedMeasure<'a> {
    fn of(measures: &'a Measures, at: usize) -> Self {
        Self {
            measure: &measures.measures()[at],
            cvx_codes: measures.cvx_codes(at),
            version: &measures.versions()[at],
            fingerprint: &measures.fingerprints()[at],
        }
    }
}

/// A dimension as `phds dimensions --json` lists it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedDimension<'a> {
    #[serde(flatten)]
    dimension: &'a Dimension,
    /// `clients`, for every question; or `doses`, for questions about doses.
    of: &'static str,
    /// Its values, where they are known without a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
}

/// `phds measures`
pub fn measures(typed: &cli::Measures, settings: &Settings) -> Result<()> {
    let measures = &settings.knowledge()?.measures;
    if typed.markdown {
        return terminal::print_data(measures_as_markdown(measures).as_bytes());
    }
    if !typed.cases.is_empty() {
        return prove(&typed.cases, settings.knowledge()?);
    }
    let chosen = match typed.words.as_slice() {
        [] => (0..measures.measures().len()).collect(),
        [id] if let Ok(at) = measures.position(&id.to_lowercase()) => vec![at],
        words => measures.search(words),
    };
    if chosen.is_empty() {
        // Only something typed finds nothing.
        return measures.position(&typed.words.join(" ")).map(drop);
    }
    if typed.json {
        let listed = chosen.into_iter().map(|at| ListedMeasure::of(measures, at));
        return terminal::print_json(&listed.collect::<Vec<_>>());
    }
    let text = match chosen.as_slice() {
        [at] => measure_in_words(measures, *at),
        chosen => measures_by_family(measures, chosen),
    };
    terminal::print_text(&text)
}

/// Goes through files of cases. Where one is not as expected, the exit code says so.
fn prove(files: &[PathBuf], knowledge: &Knowledge) -> Result<()> {
    let Knowledge { dictionary, measures, .. } = knowledge;
    let (mut text, mut wrong) = (String::new(), 0);
    for file in files {
        let found = cases::prove(file, dictionary, measures)?;
        let ids = |of: &BTreeSet<usize>| {
            let ids: Vec<_> = of.iter().map(|at| measures.measures()[*at].id.clone()).collect();
            abridged(&ids, 5)
        };
        text += &format!("{}: {} as expected, of {}\n", file.display(), count(found.right, "row"), ids(&found.asked));
        text.extend(found.wrong.iter().map(|line| format!("  {line}\n")));
        if !found.unproved.is_empty() {
            text += &format!("  no case is counted, or none is not, of {}\n", ids(&found.unproved));
        }
        wrong += found.wrong.len();
    }
    terminal::print_text(&text)?;
    if wrong == 0 {
        return Ok(());
    }
    Err(Error::refused(format!("{} not as expected", count(wrong, "answer")))
        .hint("count it by hand once more; `phds measures ID` says how the measure is read"))
}

/// Measures below the titles of their families, one line each.
fn measures_by_family(measures: &Measures, chosen: &[usize]) -> String {
    let width = chosen.iter().map(|at| measures.measures()[*at].id.len()).max().unwrap_or_default();
    let families = chosen.chunk_by(|a, b| measures.family(*a).family == measures.family(*b).family).map(|of_family| {
        let lines = of_family.iter().map(|at| &measures.measures()[*at]);
        let lines = lines.map(|measure| format!("{:<width$}  {}\n", measure.id, measure.title));
        format!("{}\n{}\n", measures.family(of_family[0]).title, lines.collect::<String>())
    });
    families.collect::<String>() + "`phds measures ID` says what counts, by when, and what the measure is not\n"
}

/// What a measure counts, for a reader who has to stand up for the number.
fn measure_in_words(measures: &Measures, at: usize) -> String {
    let measure = &measures.measures()[at];
    let family = measures.family(at);
    let (what, parts) = measures.what_counts(at);
    let mut text = format!(
        "{}: {}\n\n{}\n\n{what}\n{}\n",
        measure.id,
        measure.title,
        measure.definition,
        bullets(parts.iter().map(String::as_str))
    );
    text += &format!("Of whom: {}\n", measures.cohort(at));
    if let Some(schedule) = measures.edition_of_schedule(at) {
        text += &format!("Schedule: {schedule}\n");
    }
    if let Some(on_time) = measures.on_time(at) {
        text += &format!("On time: {on_time}\n");
    }
    let earliest = measures.earliest_doses(at);
    if !earliest.is_empty() {
        text += "\nMissed opportunity: a visit at which the next dose was not given, and could have been:\n";
        text += &bullets(earliest.iter().map(String::as_str));
    }
    let vaccines = measures.vaccines(at).into_iter().map(|(code, name)| format!("{code:<3}  {name}\n"));
    text += &format!("\nVaccines that count (CVX):\n{}\n", vaccines.collect::<String>());
    text += &format!("What to know:\n{}\n", bullets(measures.caveats(at)));
    text += &format!(
        "Family: {}. {}\nSource: {}. {}\n        {} ({})\nVersion {}, fingerprint {}\n",
        family.title,
        family.about,
        measure.source,
        measures.trust(at),
        family.source,
        family.source_date,
        measures.versions()[at],
        measures.fingerprints()[at]
    );
    text
}

fn bullets<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.fold(String::new(), |text, line| text + "- " + line + "\n")
}

/// All measures as one page; docs/measures.md is this page.
fn measures_as_markdown(measures: &Measures) -> String {
    let mut text = "# The measures\n\n\
         Made by `phds measures --markdown` from `dictionaries/phds/measures`. Do not change it here.\n\n\
         A measure says what must have been given by which age. It does not say who should have been vaccinated, and it \
         judges doses no further than its words say. The denominator is always clients in the file, of an opt-in \
         registry: see [SHORTCOMINGS.md](../SHORTCOMINGS.md). `phds measures ID` names the vaccines.\n"
        .to_owned();
    let mut at = 0;
    for family in measures.families() {
        text += &format!(
            "\n## {}\n\nFamily `{}`, version {}. {}\n\nSource: {} ({}).\n\n{}\n\
             | measure | definition | source | what it is not |\n| --- | --- | --- | --- |\n",
            family.title,
            family.family,
            family.version,
            family.about,
            family.source,
            family.source_date,
            bullets(family.caveats.iter().map(String::as_str))
        );
        for measure in &family.measures {
            let caveats = match measure.caveats.as_slice() {
                [] => "As all of the family: see above.".to_owned(),
                caveats => caveats.join(" "),
            };
            let more = [measures.edition_of_schedule(at).map(str::to_owned), measures.on_time(at)];
            let definition =
                more.into_iter().flatten().fold(measure.definition.clone(), |text, more| text + " " + &more);
            text += &format!(
                "| `{}`: {} | {definition} | {}. {} | {} |\n",
                measure.id,
                measure.title,
                measure.source,
                measures.trust(at),
                caveats
            );
            at += 1;
        }
    }
    text + &opportunities_as_markdown(measures.opportunities().document())
}

fn opportunities_as_markdown(document: &opportunity::Document) -> String {
    let mut text = format!(
        "\n## {}\n\nFor `potential` and `missed` (see [indicators.md](indicators.md)): a visit on such a day, at which the dose was \
         not given, is a missed opportunity. From `dictionaries/phds/opportunities.toml`, version {}.\n\n\
         Source: {} ({}).\n\n| vaccine | measures | doses |\n| --- | --- | --- |\n",
        document.title, document.version, document.source, document.source_date
    );
    for vaccine in &document.vaccines {
        let measures: Vec<_> = vaccine.measures.iter().map(|id| format!("`{id}`")).collect();
        text +=
            &format!("| {} | {} | {} |\n", vaccine.name, measures.join(", "), vaccine.in_words(usize::MAX).join("; "));
    }
    text
}

/// `phds dimensions`
pub fn dimensions(typed: &cli::Dimensions, settings: &Settings) -> Result<()> {
    let dictionary = &settings.knowledge()?.dictionary;
    let dimensions = match &typed.name {
        Some(id) => std::slice::from_ref(dictionary.dimension(id)?),
        None => dictionary.dimensions(),
    };
    let of = |dimension: &Dimension| if dictionary.is_of_doses(dimension) { "doses" } else { "clients" };
    if typed.json {
        let listed = dimensions.iter().map(|dimension| ListedDimension {
            dimension,
            of: of(dimension),
            values: match Values::of(dictionary, &dimension.id) {
                Ok(Values::All(labels)) => Some(labels),
                _ => None,
            },
        });
        return terminal::print_json(&listed.collect::<Vec<_>>());
    }
    if let (Some(_), [dimension]) = (&typed.name, dimensions) {
        let values = match Values::of(dictionary, &dimension.id)? {
            Values::All(labels) => labels.iter().fold(String::new(), |text, label| text + "  " + label + "\n"),
            Values::Like(like) => format!("  {like}\n"),
        };
        let text = format!(
            "{}: {}. Of {}\nFor `--where {}=VALUE,VALUE`; `{UNKNOWN}` stands for no value:\n{values}",
            dimension.id,
            dimension.title,
            of(dimension),
            dimension.id
        );
        return terminal::print_text(&text);
    }
    let mut text = String::new();
    for (what, about) in [("clients", "Of clients: for every question"), ("doses", "Of doses: for `phds query doses`")]
    {
        text += &format!("{about}\n");
        for dimension in dimensions.iter().filter(|dimension| of(dimension) == what) {
            let coarser = match (&dimension.within, &dimension.coarser) {
                (Some(within), _) => format!(" (within {within})"),
                (None, Some(coarser)) => format!(" (coarser: {coarser})"),
                (None, None) => String::new(),
            };
            text += &format!("  {:<17}  {}{coarser}\n", dimension.id, dimension.title);
        }
    }
    text += "`phds dimensions NAME` lists the values of one\n";
    terminal::print_text(&text)
}

/// `phds dictionary`
pub fn dictionary(typed: &cli::Dictionary, settings: &Settings) -> Result<()> {
    let dictionary = &settings.knowledge()?.dictionary;
    match typed.format {
        DictionaryFormat::Table if !typed.json => terminal::print_text(&as_text(dictionary)),
        DictionaryFormat::Table | DictionaryFormat::Json => terminal::print_json(&dictionary.to_json()),
        DictionaryFormat::Csv => terminal::print_data(dictionary.to_csv()?.as_bytes()),
        DictionaryFormat::TableSchema => terminal::print_json(&dictionary.to_table_schema()),
        DictionaryFormat::JsonSchema => terminal::print_json(&dictionary.to_json_schema()),
    }
}

fn as_text(dictionary: &Dictionary) -> String {
    let edition = dictionary.edition();
    let mut text =
        format!("{}\n{} {}, fingerprint {}\n", dictionary.title(), edition.id, edition.version, edition.fingerprint);
    let missing = std::iter::once("empty").chain(dictionary.missing_values().iter().map(String::as_str));
    text += &format!(
        "vaccinations from {} on; missing values: {}\n",
        dictionary.first_inclusion_year(),
        missing.collect::<Vec<_>>().join(", ")
    );
    for field in dictionary.fields().iter().filter(|field| field.in_file) {
        text += &describe(field);
    }
    text += "\nassumed: the state's own value is not public; override it in your own dictionary file\n";
    text
}

fn describe(field: &Field) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut facts = vec![word(json!(field.field_type)), word(json!(field.role))];
    if field.presence != Presence::Optional {
        facts.push(word(json!(field.presence)));
    }
    if let Some(codelist) = &field.codelist {
        facts.push(format!("codelist {codelist}"));
    }
    if !field.formats.is_empty() {
        let formats: Vec<_> = field.formats.iter().map(|format| word(json!(format))).collect();
        facts.push(format!("format {}", formats.join(" or ")));
    }
    if let Some(pattern) = &field.pattern {
        facts.push(format!("form {pattern}"));
    }
    if !field.aliases.is_empty() {
        facts.push(format!("also {}", field.aliases.join(", ")));
    }
    facts
        .push(field.table.map_or_else(|| "not stored".to_owned(), |table| format!("stored in {}", word(json!(table)))));
    if field.assumed {
        facts.push("assumed".to_owned());
    }
    format!("\n{}\n  {}\n  {}\n", field.header, field.description, facts.join(" · "))
}

/// `phds explain`
pub fn explain(typed: &cli::Explain, settings: &Settings) -> Result<()> {
    let rules = &settings.knowledge()?.rules;
    if typed.markdown {
        return terminal::print_data(as_markdown(rules).as_bytes());
    }
    let Some(code) = &typed.code else {
        if typed.json {
            return terminal::print_json(&rules.rules());
        }
        let lines = rules.rules().iter();
        let lines = lines.map(|rule| format!("{}  {:<7}  {}\n", rule.code, rule.severity.word(), rule.title));
        return terminal::print_text(&lines.collect::<String>());
    };
    let rule = rules.rule(code)?;
    if typed.json {
        return terminal::print_json(&rule);
    }
    let text = format!(
        "{}: {} ({})\n\nWhat:    {}\nWhy:     {}\nExample: {}\nTo do:   {}\n",
        rule.code,
        rule.title,
        rule.severity.word(),
        rule.what,
        rule.why,
        rule.example,
        rule.remedy
    );
    let text = match rules.policy(&rule.code) {
        Some(changed) => format!("{text}Policy:  {changed}\n"),
        None => text,
    };
    terminal::print_text(&text)
}

/// All rules as one page; docs/rules.md is this page of the built-in rules.
fn as_markdown(rules: &Ruleset) -> String {
    let edition = rules.edition();
    let mut text = format!(
        "# The rules of the check\n\n\
         Made by `phds explain --markdown` from `dictionaries/phds/rules.toml`, version {} ({}). Do not change it here.\n\n\
         `reject`: the row is out. `review`: the row is kept and counted, or the file is loaded and its releases say so. `refuse`: the file is out.\n\n\
         | code | severity | pattern |\n| --- | --- | --- |\n",
        edition.version, edition.fingerprint
    );
    for rule in rules.rules() {
        let link = rule.code.to_lowercase();
        text += &format!("| [{}](#{link}) | {} | {} |\n", rule.code, rule.severity.word(), rule.title);
    }
    for rule in rules.rules() {
        text += &format!(
            "\n## {}\n\n**{}** ({})\n\n- What: {}\n- Why: {}\n- Example: {}\n- To do: {}\n",
            rule.code,
            rule.title,
            rule.severity.word(),
            rule.what,
            rule.why,
            rule.example,
            rule.remedy
        );
    }
    text
}
