//! What the data is: fields, codelists and dimensions, loaded from files and proved to fit together.

mod codelist;
pub mod export;
pub mod import;
mod load;

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

pub use codelist::{Code, Codelist};
pub use load::FILE;

use crate::calendar::DateFormat;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::knowledge::Fingerprint;
use crate::provenance::Edition;

/// The fields that the program itself works with. Their headers may be anything; their names are these.
pub mod names {
    /// Whose row it is.
    pub const CLIENT: &str = "client_id";
    /// The client's date of birth.
    pub const BIRTH_DATE: &str = "birth_date";
    /// The day of the dose.
    pub const VACCINATION_DATE: &str = "vaccination_date";
    /// CDC's code of the vaccine given.
    pub const CVX: &str = "cvx_code";
    /// The registry's name for the vaccine's group.
    pub const VACCINE_GROUP: &str = "vaccine_group";
    /// The county of the client's address.
    pub const COUNTY: &str = "county";
    /// The state of the client's address.
    pub const STATE: &str = "state";
    /// The ZIP code of the client's address.
    pub const ZIP: &str = "zip";
    /// The client's sex.
    pub const SEX: &str = "sex";
    /// The order of the dose within its group, as the file says it.
    pub const ORDINAL: &str = "ordinal_position";
    /// The client's age in months, as the file says it.
    pub const AGE_IN_MONTHS: &str = "age_in_months";
    /// The registry's number for the organization that gave the dose.
    pub const ORGANIZATION: &str = "org_id";
    /// The health department or region that is responsible for the provider.
    pub const RESPONSIBLE_ENTITY: &str = "responsible_entity";
    /// Consent type, when the file has it: IA, IC, DC, PA.
    pub const CONSENT_TYPE: &str = "consent_type";
    /// Disaster consent, when the file has it: a code whose label is Yes or No.
    pub const DISASTER_CONSENT: &str = "disaster_consent";
    /// The day on which consent was given or last confirmed, when the file has it.
    pub const CONSENT_DATE: &str = "consent_date";

    /// The client's key, in both tables.
    pub const CLIENT_KEY: &str = "client_key";
    /// Of `immunizations`: whether the row is the first of its client, day and CVX code that tells of a dose.
    pub const DOSE: &str = "dose";
    /// Of `immunizations`: whether the row is the first of its client, day, CVX code and vaccine group that tells of a dose.
    pub const GROUP_DOSE: &str = "group_dose";
    /// Of `clients`: the day of the first visit.
    pub const FIRST_VACCINATION: &str = "first_vaccination";
    /// Of `clients`: the day of the latest visit.
    pub const LAST_VACCINATION: &str = "last_vaccination";

    /// Whether the program makes a column of this name itself, in the Parquet or in a release: no field and no dimension
    /// may have it, or a question would read the one for the other.
    pub fn is_made(name: &str) -> bool {
        const COLUMNS: [&str; 27] = [
            CLIENT_KEY,
            DOSE,
            GROUP_DOSE,
            FIRST_VACCINATION,
            LAST_VACCINATION,
            "line",
            "measure",
            "missing",
            "attribution",
            "numerator",
            "denominator",
            "persons",
            "doses",
            "age_months",
            "at_risk",
            "events",
            "censored",
            "rate",
            "ci_low",
            "ci_high",
            "crude_rate",
            "rank",
            "earlier",
            "later",
            "change",
            "status",
            "audience",
        ];
        /// Of the days of histories, of the organizations of clients, and of the limits of funnels.
        const PREFIXES: [&str; 6] = ["reaches_", "met_", "could_", "near_", "organization_", "limit_"];
        COLUMNS.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text as it stands.
    Text,
    /// A day of the calendar.
    Date,
    /// A whole number.
    Integer,
    /// A code of a codelist.
    Code,
}

/// What part a field plays. After SDMX's component roles, with identifiers set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Names, numbers or street addresses that single out a person or a record. Never stored.
    Identifier,
    /// What tables are grouped by.
    Dimension,
    /// A day.
    Date,
    /// Everything else that describes the dose.
    Attribute,
}

/// What a missing value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// The row is rejected.
    Required,
    /// The row is kept and counted.
    Expected,
    /// Nothing.
    Optional,
}

/// What happens to a code that is not in the codelist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    /// The codelist is complete: the row is rejected.
    Reject,
    /// The codelist is assumed or open: the row is kept, the value is stored as none.
    #[default]
    Review,
}

/// Where the value of a field is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoredIn {
    /// One row a client.
    Clients,
    /// One row for each accepted row of the delivery; several may tell of one dose.
    Immunizations,
}

/// One column of the delivery.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The name inside this program: lower case, digits and underscores.
    pub name: String,
    /// The header in the file.
    pub header: String,
    /// Further spellings of the header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// A few words.
    pub title: String,
    /// A sentence or two.
    pub description: String,
    /// How a value is read.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// What part the field plays.
    pub role: Role,
    /// What a missing value means.
    pub presence: Presence,
    /// Date formats that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<DateFormat>,
    /// Name of the codelist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codelist: Option<String>,
    /// Whether the file may hold the label in place of the code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub labels: bool,
    /// What happens to a code that is not in the codelist.
    #[serde(default)]
    pub unlisted: Unlisted,
    /// Regular expression for the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Number of leading characters that are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_first: Option<usize>,
    /// The most characters that a text may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Smallest whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i32>,
    /// Largest whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i32>,
    /// Where the value is stored; without it, it is checked and dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<StoredIn>,
    /// Whether the meaning or the values had to be assumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// Whether the file has this column at all; a department can switch a dropped column off.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub in_file: bool,
    #[serde(skip)]
    matcher: Option<Regex>,
}

impl Field {
    /// Whether a value has the form of the field; true when the field has no pattern.
    pub fn has_form(&self, value: &[u8]) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.is_match(value))
    }

    /// Whether a value is no longer than the field allows.
    pub fn has_length(&self, value: &[u8]) -> bool {
        self.max_length.is_none_or(|most| {
            // Characters are fewer than bytes, so the count is needed for few values.
            value.len() <= most || String::from_utf8_lossy(value).chars().count() <= most
        })
    }

    /// The part of a text that is stored.
    pub fn kept<'a>(&self, text: &'a str) -> &'a str {
        let end = self.keep_first.and_then(|count| text.char_indices().nth(count));
        end.map_or(text, |(end, _)| &text[..end])
    }
}

fn yes() -> bool {
    true
}

/// How a dimension is made from its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The field's own values.
    Value,
    /// A column of the field's codelist, coarser than its codes.
    Parent,
    /// The calendar year of a date.
    Year,
    /// The quarter of a date, such as 2024-Q3.
    Quarter,
    /// The month of a date, such as 2024-07.
    Month,
    /// The season of a date, July to June, such as 2024-25.
    Season,
    /// The age on a date, in classes.
    Age,
    /// The age on the as-of date of a question, in classes.
    AgeAsOf,
    /// The organization that a client is attributed to, by one of several rules.
    Attributed,
}

/// What an analyst may group and filter by.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// The name on the command line and in tables.
    pub id: String,
    /// The field it is made from.
    pub field: String,
    /// How it is made.
    pub level: Level,
    /// For `level = "parent"`: the column of the codelist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// For `level = "age"` and `"age_as_of"`: the first month of age of each class after the first, which begins at birth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_months: Vec<i32>,
    /// The coarser dimension that this one nests in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The coarser dimension to ask in its place, where it nests in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarser: Option<String>,
    /// A few words.
    pub title: String,
}

impl Dimension {
    /// The next coarser dimension.
    pub fn coarser(&self) -> Option<&str> {
        self.within.as_deref().or(self.coarser.as_deref())
    }
}

/// How the file is written.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    /// One character between fields.
    pub delimiter: String,
    /// How the text is written; without it, the file tells: UTF-8, or Windows-1252.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Physical lines before the header.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip_lines: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The dictionary as it stands in its file, before the codelists are read.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Document {
    /// 1.
    schema_version: u32,
    /// Name.
    id: String,
    /// Changes with every change of meaning.
    version: String,
    /// A few words.
    title: String,
    /// Where it comes from.
    source: String,
    /// The first calendar year whose vaccinations are in the file.
    first_inclusion_year: i32,
    /// The last one, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_inclusion_year: Option<i32>,
    /// What stands for no value, beside an empty field.
    missing_values: Vec<String>,
    /// How the file is written.
    dialect: Dialect,
    /// The columns.
    #[serde(rename = "field")]
    fields: Vec<Field>,
    /// What tables may be grouped and filtered by.
    #[serde(rename = "dimension")]
    dimensions: Vec<Dimension>,
    /// The department's own codelists: name → path, relative to the dictionary file.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    codelists: std::collections::BTreeMap<String, String>,
}

/// A dictionary whose fields are unique, whose codelists are found and whose dimensions name fields of the right type.
#[derive(Clone, Debug)]
pub struct Dictionary {
    document: Document,
    codelists: Vec<Codelist>,
    fingerprint: Fingerprint,
}

impl Dictionary {
    /// Name, version and fingerprint, as printed on every output.
    pub fn edition(&self) -> Edition {
        Edition {
            id: self.document.id.clone(),
            version: self.document.version.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.document.title
    }

    /// The first calendar year whose vaccinations are in the file.
    pub fn first_inclusion_year(&self) -> i32 {
        self.document.first_inclusion_year
    }

    /// The last calendar year whose vaccinations may be in the file, when the edition says one.
    pub fn last_inclusion_year(&self) -> Option<i32> {
        self.document.last_inclusion_year
    }

    /// How the file is written.
    pub fn dialect(&self) -> &Dialect {
        &self.document.dialect
    }

    /// The byte between fields.
    pub fn delimiter(&self) -> u8 {
        self.document.dialect.delimiter.as_bytes()[0]
    }

    /// The fields, in the order of the dictionary.
    pub fn fields(&self) -> &[Field] {
        &self.document.fields
    }

    /// The position of a field.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.document.fields.iter().position(|field| field.name == name)
    }

    /// A field that the file has.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.document.fields.iter().find(|field| field.name == name && field.in_file)
    }

    /// The dimensions, in the order of the dictionary.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.document.dimensions
    }

    /// A dimension by its id; the error names the nearest one.
    pub fn dimension(&self, id: &str) -> Result<&Dimension> {
        let id = id.trim();
        if id.is_empty() {
            return Err(Error::usage("a dimension has an empty name").hint("`phds dimensions` lists all"));
        }
        self.document.dimensions.iter().find(|dimension| dimension.id == id).ok_or_else(|| {
            let ids = self.document.dimensions.iter().map(|dimension| dimension.id.as_str());
            Error::usage(format!("there is no dimension `{id}`")).hint(nearest(id, ids, "phds dimensions"))
        })
    }

    /// Whether a dimension tells of doses, and not of clients.
    pub fn is_of_doses(&self, dimension: &Dimension) -> bool {
        let field = self.field(&dimension.field);
        dimension.level != Level::Attributed && field.is_some_and(|field| field.table == Some(StoredIn::Immunizations))
    }

    /// The codelist of a field of type code.
    pub fn codelist(&self, field: &Field) -> Option<&Codelist> {
        self.named_codelist(field.codelist.as_deref()?)
    }

    /// A codelist by its name.
    pub fn named_codelist(&self, name: &str) -> Option<&Codelist> {
        self.codelists.iter().find(|codelist| codelist.name() == name)
    }

    /// What stands for "no value", beside an empty field.
    pub fn missing_values(&self) -> &[String] {
        &self.document.missing_values
    }

    /// Whether a trimmed value stands for "no value".
    pub fn is_missing(&self, value: &[u8]) -> bool {
        value.is_empty()
            || self.document.missing_values.iter().any(|missing| missing.as_bytes().eq_ignore_ascii_case(value))
    }

    /// The position of the field that a header names. Case, blanks, `_`, `-` and `/` do not count.
    pub fn match_header(&self, header: &str) -> Option<usize> {
        let wanted = header_key(header);
        self.document.fields.iter().position(|field| {
            field.in_file
                && std::iter::once(&field.header).chain(&field.aliases).any(|known| header_key(known) == wanted)
        })
    }

    /// The whole dictionary as JSON: fields, dimensions, codelists with their codes, fingerprint.
    pub fn to_json(&self) -> serde_json::Value {
        let mut value = serde_json::json!(self.document);
        value["fingerprint"] = serde_json::json!(self.fingerprint);
        value["codelists"] = self.codelists.iter().map(|list| (list.name().to_owned(), list.to_json())).collect();
        value
    }

    /// The JSON Schema of [`Dictionary::to_json`].
    pub fn json_schema_of_itself() -> schemars::Schema {
        let mut schema = schemars::schema_for!(Document);
        if let Some(properties) = schema.pointer_mut("/properties").and_then(serde_json::Value::as_object_mut) {
            properties.insert(
                "fingerprint".to_owned(),
                serde_json::json!({"description": "Changes with its content.", "type": "string"}),
            );
            properties.insert(
                "codelists".to_owned(),
                serde_json::json!({
                    "description": "The codelists by their names: of each code itself, its label, and the further columns.",
                    "type": "object",
                    "additionalProperties": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["code", "label"],
                            "additionalProperties": { "type": "string" },
                        },
                    },
                }),
            );
        }
        schema.insert("title".to_owned(), "Dictionary".into());
        schema.insert(
            "description".to_owned(),
            "A dictionary as `phds dictionary --json` prints it: the file with everything that a department has laid over it.".into(),
        );
        schema
    }
}

/// What is left of a header when case, spaces, underscores, hyphens and slashes do not count.
fn header_key(header: &str) -> String {
    header
        .chars()
        .filter(|character| !character.is_whitespace() && !matches!(character, '_' | '-' | '/'))
        .flat_map(char::to_uppercase)
        .collect()
}

/// "did you mean …" when one is near, and the command that lists what there is. Of several families, each is named.
pub fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>, listing: &str) -> String {
    let wanted = wanted.to_lowercase();
    let near = known.filter_map(|name| Some((unlikeness(&wanted, &name.to_lowercase())?, name))).collect::<Vec<_>>();
    let Some((least, _)) = near.iter().min_by_key(|(unlikeness, _)| *unlikeness) else {
        return format!("`{listing}` lists all");
    };
    let nearest = near.iter().filter(|(unlikeness, _)| unlikeness == least).map(|(_, name)| *name);
    let named: Vec<_> = nearest.take(if least.0 == OF_A_FAMILY { 3 } else { 1 }).collect();
    format!("did you mean `{}`? `{listing}` lists all", named.join("` or `"))
}

/// How [`unlikeness`] begins for a name whose family was left away.
const OF_A_FAMILY: u8 = 1;

/// How far a word is from a name that may be meant, the nearest first: a slip of the keyboard, in the whole name or behind
/// the point of a family; a beginning of one of its words; the same beginning. None where nobody would mean it.
fn unlikeness(wanted: &str, name: &str) -> Option<(u8, usize)> {
    /// Fewer letters are the beginning of too much.
    const BEGINNING: usize = 3;
    let slip = |name: &str| {
        let distance = strsim::damerau_levenshtein(wanted, name);
        (distance * 3 <= wanted.len().max(name.len())).then_some(distance)
    };
    let words = || name.split(['.', '_', ' ']);
    let distance = || strsim::damerau_levenshtein(wanted, name);
    let alike = wanted.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
    if let Some(slip) = slip(name) {
        Some((0, slip))
    } else if let Some(slip) = name.split_once('.').and_then(|(_, rest)| slip(rest)) {
        Some((OF_A_FAMILY, slip))
    } else if wanted.len() >= BEGINNING && words().any(|word| word.starts_with(wanted)) {
        Some((2, distance()))
    } else if alike > BEGINNING && alike * 3 >= wanted.len().min(name.len()) * 2 {
        Some((3, distance()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_found_by_its_beginning_and_without_its_family() {
        let names = ["nis.mmr1", "iqip.mmr1", "county", "birth_year", "birth_quarter", "race_ethnicity", "Travis"];
        for (wanted, near) in [
            ("MMR1", Some("nis.mmr1` or `iqip.mmr1")),
            ("nis.mrm1", Some("nis.mmr1")),
            ("mmr", Some("nis.mmr1` or `iqip.mmr1")),
            ("counties", Some("county")),
            ("race", Some("race_ethnicity")),
            ("year", Some("birth_year")),
            ("TRAV", Some("Travis")),
            ("mm", None),
            ("county_of_birth", Some("county")),
            ("sex", None),
        ] {
            let told = nearest(wanted, names.into_iter(), "phds x");
            let expected = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            assert_eq!(told, format!("{expected}`phds x` lists all"), "{wanted}");
        }
    }
}
