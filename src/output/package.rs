//! `datapackage.json`: a folder of releases as a Frictionless Data Package (version 1 of the specifications, which every
//! tool reads).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Format, label, page};
use crate::disclosure::Status;
use crate::disclosure::release::{DESCRIPTION, Document, TableNote, Unit};
use crate::error::{Error, Result};
use crate::fs;
use crate::period::ReportingPeriod;
use crate::words::{list, lower_first};

/// The name of the description of a set of releases.
pub const FILE: &str = "datapackage.json";

/// The beginning of the name that a set of releases has in it.
const NAME: &str = "phds-";

/// Whether the description of a set of releases may be put into a folder: another one, or none, is there.
pub fn may_be_in(folder: &Path) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
    }
    fs::may_replace(&folder.join(FILE), "description of releases", |path| {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice::<Package>(&text).is_ok_and(|package| package.name.starts_with(NAME))
    })
}

/// The releases in a folder, each in a folder of its own: their names and months. What is no release is passed over.
pub fn months(folder: &Path) -> Result<Vec<(String, ReportingPeriod)>> {
    #[derive(serde::Deserialize)]
    struct Month {
        reporting_period: ReportingPeriod,
    }
    let release = |folder: &PathBuf| {
        let text = std::fs::read(folder.join(DESCRIPTION)).ok()?;
        let month: Month = serde_json::from_slice(&text).ok()?;
        Some((folder.file_name()?.to_str()?.to_owned(), month.reporting_period))
    };
    Ok(fs::folders_in(folder)?.iter().filter_map(release).collect())
}

/// Refuses a folder with releases of another month than those that will be in it, other than the ones in folders that will be
/// written again: what is in a folder is handed on together.
pub fn of_one_month(folder: &Path, month: ReportingPeriod, again: &[&str], hint: &str) -> Result<()> {
    let mut releases = months(folder)?.into_iter();
    match releases.find(|(name, other)| *other != month && !again.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, other)) => Err(Error::usage(format!(
            "`{}` is of {other}, and the new releases are of {month}",
            folder.join(name).display()
        ))
        .hint(hint)),
    }
}

/// Writes the description of releases in a folder: of each, the name of its own folder, and its description. Those that
/// are no table of a kind that has types are named as files.
pub fn write(folder: &Path, releases: &[(&str, Document)]) -> Result<()> {
    let resources =
        releases.iter().filter_map(|(name, document)| Some(resource(name, document, document.table.as_ref()?)));
    let month = releases.first().map(|(_, document)| document.reporting_period.to_string()).unwrap_or_default();
    let marking = releases.first().map(|(_, document)| document.marking.clone()).unwrap_or_default();
    let package = json!({
        "profile": "data-package",
        "name": format!("{NAME}{month}"),
        "title": format!("Immunization measures of {month}"),
        "description": marking,
        "resources": resources.collect::<Vec<_>>(),
    });
    fs::write_output(&folder.join(FILE), &fs::json(&package)?)
}

fn resource(name: &str, document: &Document, table: &TableNote) -> Value {
    let title = document.measure.as_ref().map_or("All vaccines", |measure| &measure.title);
    let dimensions: Vec<_> = document.dimensions.iter().map(|dimension| lower_first(&dimension.title)).collect();
    let by = if dimensions.is_empty() { String::new() } else { format!(", by {}", list(&dimensions)) };
    let mut resource = json!({
        "profile": "data-resource",
        "name": name.to_lowercase(),
        "path": format!("{name}/{}", table.file),
        "title": format!("{title}{by}"),
        "description": format!(
            "{} {}. {} {}",
            document.indicator_definition, document.cohort.description, document.marking, document.caveats.join(" ")
        ),
        "format": table.format,
        "hash": format!("sha256:{}", table.sha256),
        "release": format!("{name}/{DESCRIPTION}"),
        "release_id": document.release_id,
    });
    let Some(format) = Format::named(&table.format) else { return resource };
    resource["mediatype"] = json!(format.media_type());
    if !format.is_binary() {
        resource["encoding"] = json!("utf-8");
    }
    match format {
        Format::Csv | Format::Json => resource["profile"] = json!("tabular-data-resource"),
        Format::Xlsx | Format::Parquet | Format::Arrow => {}
        Format::Table | Format::Markdown | Format::Latex => return resource,
    }
    resource["schema"] = schema(document);
    if format == Format::Xlsx {
        resource["schema"]["missingValues"] = json!(["", page::WITHHELD, page::NOBODY]);
    }
    resource
}

/// The columns of a release as a Table Schema.
fn schema(document: &Document) -> Value {
    let text = |name: &str, title: &str| json!({"name": name, "title": title, "type": "string"});
    let mut fields: Vec<Value> =
        document.labels.iter().map(|label| text(label, &label::title(label, &document.dimensions))).collect();
    if let Some(measure) = &document.measure {
        let mut field = text("measure", "Measure");
        field["description"] = json!(measure.definition);
        fields.push(field);
    }
    fields.extend(document.numbers.iter().map(|number| {
        // The rate of a population may be above 1.
        let (kind, about) = match number.unit {
            Unit::Count => ("integer", "A whole number; empty where it is withheld"),
            Unit::Share => ("number", "A share, 1 for all; empty where it is withheld"),
        };
        json!({
            "name": number.name, "title": number.title, "type": kind, "description": about,
            "constraints": {"minimum": 0},
        })
    }));
    let mut status = text("status", "Status");
    let meanings = document.statuses.iter().map(|note| format!("{}: {}", note.status.word(), note.meaning));
    status["description"] = json!(meanings.collect::<Vec<_>>().join("; "));
    status["constraints"] = json!({"required": true, "enum": Status::ALL.map(Status::word)});
    let mut audience = text("audience", "Audience");
    audience["constraints"] = json!({"required": true, "enum": [document.audience.word()]});
    fields.extend([status, audience]);
    json!({"fields": fields, "missingValues": [""]})
}
