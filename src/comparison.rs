//! Two releases of one question, of two months → what changed. Only what both releases show is compared, so nothing is told
//! that they do not tell.

use std::collections::BTreeMap;

use chrono::Datelike as _;
use serde::Serialize;

use crate::calendar::{self, CivilDay};
use crate::error::{Error, Result};
use crate::figure::release::{Description, Release, Status};
use crate::fs;
use crate::output::grid::{Grid, Look};
use crate::output::workbook::{self, About, Entry, Workbook};
use crate::output::{Format, label, page, rounded};
use crate::period::ReportingPeriod;
use crate::statistics;
use crate::words::{grouped, hundredths, list};

/// One group in both months.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The labels of the group.
    #[serde(skip)]
    pub labels: Vec<String>,
    /// Rate (0.9 is 90 %) or count of the earlier month; none where it is withheld or not there.
    pub earlier: Option<f64>,
    /// The same of the later month.
    pub later: Option<f64>,
    /// The later less the earlier, where both are told.
    pub change: Option<f64>,
    /// `shown` when both are told; `small_change` where two counts differ by 1 to k - 1; otherwise what the release says that
    /// tells none, or `absent` where it has no such row.
    pub status: &'static str,
}

/// The columns behind the labels.
const COLUMNS: [&str; 5] = ["earlier", "later", "change", "status", "audience"];

/// The word by which a workbook of this room is known.
const KIND: &str = "comparison";

/// What stands for a number of either month that is withheld.
const NOT_TOLD: &str = "· not told; suppressed is not zero";

/// What every table for people says of a change.
const NO_INTERVAL: &str = "A change has no interval";

/// Whether what a file holds is a comparison in a format, so that another may take its place.
pub fn is_one(bytes: &[u8], format: Format) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match format {
        Format::Table => text.contains(NO_INTERVAL),
        Format::Csv => text.lines().next().is_some_and(|header| header.ends_with(&COLUMNS.join(","))),
        Format::Json => text.starts_with('[') && text.contains("\"earlier\": ") && text.contains("\"change\": "),
        Format::Xlsx => workbook::is_of(KIND, bytes),
        Format::Parquet | Format::Arrow | Format::Markdown | Format::Latex => false,
    }
}

/// Two releases side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    title: String,
    months: [ReportingPeriod; 2],
    /// What is compared, in a word each: the months, or of a measure of a season, how much of which.
    names: [String; 2],
    /// Whether they are of two seasons.
    is_of_seasons: bool,
    columns: Vec<String>,
    /// The columns in words.
    titles: Vec<String>,
    audience: String,
    /// Whether rates are compared, and not counts of doses.
    is_share: bool,
    /// Whether groups are told apart by age on the as-of date.
    is_by_age: bool,
    /// Labels of periods of which the two months cover different parts, with what is cut off in each.
    cut: BTreeMap<String, [Option<String>; 2]>,
    /// The groups, in the order of the later release; then those of the earlier one alone.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Compares two releases. Refused are those of different questions, and two of one month, or of a season up to one day.
    pub fn of(earlier: &Release, later: &Release) -> Result<Self> {
        let (a, b) = (&earlier.description, &later.description);
        if let Some(what) = difference(a, b) {
            return Err(Error::usage(format!("the two releases differ in {what}"))
                .hint("ask both months the same question, by one version of the program"));
        }
        if a.cohort.season.is_some() && a.cohort.as_of >= b.cohort.as_of {
            return Err(Error::usage(format!(
                "the first release is up to {}, the second up to {}: not to an earlier day",
                a.cohort.as_of, b.cohort.as_of
            ))
            .hint("name the earlier as-of date first: `phds compare EARLIER LATER`"));
        }
        if a.cohort.season.is_none() && a.reporting_period >= b.reporting_period {
            return Err(Error::usage(format!(
                "the first release is of {}, the second of {}: not of an earlier month",
                a.reporting_period, b.reporting_period
            ))
            .hint(if a.reporting_period == b.reporting_period {
                "name the release of another month"
            } else {
                "name the earlier month first: `phds compare EARLIER LATER`"
            }));
        }
        let is_share = later.table.column("rate").is_some();
        if later.table.column("age_months").is_some() || (!is_share && later.table.column("doses").is_none()) {
            return Err(Error::usage("rates and doses are compared, and these releases have neither for a group")
                .hint("draw curves with `phds plot --kind curve`"));
        }
        let column = if is_share { "rate" } else { "doses" };
        let (before, after) = (rows(earlier, column)?, rows(later, column)?);
        // Counts that differ by few would tell of few.
        let k = if is_share { 0 } else { b.disclosure.k };
        let mut changes: Vec<Change> = Vec::new();
        for (labels, now) in &after {
            let then = before.iter().find(|(other, _)| other == labels).map(|(_, then)| *then);
            changes.push(change(labels, then, Some(*now), k));
        }
        for (labels, then) in &before {
            if !after.iter().any(|(other, _)| other == labels) {
                changes.push(change(labels, Some(*then), None, k));
            }
        }
        let measure = b.measure.as_ref().map_or("All vaccines", |measure| measure.title.as_str());
        let names = [a, b].map(|one| match &one.cohort.season {
            Some(season) => format!("{season} to {}", one.cohort.as_of),
            None => one.reporting_period.to_string(),
        });
        Ok(Self {
            title: format!("{measure}: {}", names.join(" and ")),
            names,
            is_of_seasons: a.cohort.season != b.cohort.season,
            months: [a.reporting_period, b.reporting_period],
            columns: b.labels.clone(),
            titles: b.labels.iter().map(|column| label::title(column, &b.dimensions)).collect(),
            audience: b.audience.clone(),
            is_share,
            is_by_age: b.dimensions.iter().any(|dimension| dimension.is_age),
            cut: cut(earlier, later),
            changes,
        })
    }

    /// The earlier and the later month.
    pub fn months(&self) -> [ReportingPeriod; 2] {
        self.months
    }

    /// CSV: the labels, then `earlier`, `later`, `change`, `status` and `audience`.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("a comparison has no CSV form");
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = self.columns.iter().map(String::as_str).chain(COLUMNS);
        writer.write_record(header).map_err(failed)?;
        for change in &self.changes {
            let numbers = [change.earlier, change.later, change.change];
            let numbers = numbers.map(|number| match number {
                Some(number) if self.is_share => format!("{number:.6}"),
                Some(number) => format!("{number:.0}"),
                None => String::new(),
            });
            let labels = change.labels.iter().map(|label| label::guarded(label));
            let row = labels.chain(numbers).chain([change.status.to_owned(), self.audience.clone()]);
            writer.write_record(row.collect::<Vec<_>>()).map_err(failed)?;
        }
        writer.into_inner().map_err(|_| Error::internal("a comparison has no CSV form"))
    }

    /// An array of objects with the columns of the CSV.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("a comparison has no JSON form");
        let rows = self.changes.iter().map(|change| {
            let labels = self.columns.iter().cloned().zip(change.labels.iter().map(|label| label.as_str().into()));
            let mut row: serde_json::Map<String, serde_json::Value> = labels.collect();
            if let serde_json::Value::Object(numbers) = serde_json::to_value(change)? {
                row.extend(numbers);
            }
            row.insert("audience".to_owned(), self.audience.as_str().into());
            Ok::<_, serde_json::Error>(row)
        });
        fs::json(&rows.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?)
    }

    /// A table for people.
    pub fn to_text(&self, marking: &str, look: Look) -> String {
        let [earlier, later] = self.names.clone();
        let told = |number: Option<f64>| match number {
            Some(number) if self.is_share => hundredths(number) + " %",
            Some(number) => whole(number),
            None => "·".to_owned(),
        };
        let rows = self.changes.iter().map(|change| {
            let moved = change.change.map_or_else(
                || change.status.replace('_', " "),
                |number| if self.is_share { format!("{:+.1} points", number * 100.0) } else { format!("{number:+.0}") },
            );
            let numbers = [told(change.earlier), told(change.later), moved];
            change.labels.iter().cloned().chain(numbers).collect()
        });
        let grid = Grid {
            header: self.titles.iter().cloned().chain([earlier, later, "Change".to_owned()]).collect(),
            labels: self.titles.len(),
            rows: rows.collect(),
            rates: Vec::new(),
        };
        let wrapped = |text: &str| look.wrapped(&look.drawn(text), "");
        format!(
            "{}\n\n{}\n\n{}\n\n{}\n{}\n",
            look.bold(&wrapped(marking)),
            look.bold(&wrapped(&self.title)),
            grid.draw(look),
            wrapped(NOT_TOLD),
            wrapped(&self.note())
        )
    }

    /// What a change does not tell.
    fn note(&self) -> String {
        let note = if self.is_by_age {
            format!(
                "A class of age has other clients in each month: who has grown older is in the next. {NO_INTERVAL}."
            )
        } else if self.is_of_seasons {
            format!("{NO_INTERVAL}: some clients are in both seasons, so the two are not independent.")
        } else {
            format!("{NO_INTERVAL}: most clients are in both months, so the two are not independent.")
        };
        if self.cut.is_empty() {
            return note;
        }
        let parts = self.cut.iter().map(|(label, cut)| {
            let of = |at: usize| format!("{} in {}", cut[at].as_deref().unwrap_or("whole"), self.names[at]);
            format!("{label} ({}, {})", of(0), of(1))
        });
        format!("Not of the same days in both: {}. {note}", list(&parts.collect::<Vec<_>>()))
    }

    /// Whether the two months cover different parts of the period that a label names.
    pub fn is_cut(&self, label: &str) -> bool {
        self.cut.contains_key(label)
    }

    /// An Excel workbook with the rows of the CSV, by the descriptions of the two releases.
    pub fn to_workbook(&self, earlier: &Description, later: &Description) -> Workbook {
        let number = |number: Option<f64>| match number {
            Some(number) if self.is_share => Entry::Share(rounded(number)),
            Some(number) => Entry::Whole(number),
            None => Entry::Instead(page::WITHHELD),
        };
        let rows = self.changes.iter().map(|change| {
            let labels = change.labels.iter().cloned().map(Entry::Text);
            let numbers = [change.earlier, change.later, change.change].map(number);
            let end = [change.status, &self.audience].map(|word| Entry::Text(word.to_owned()));
            labels.chain(numbers).chain(end).collect()
        });
        Workbook {
            kind: KIND,
            title: self.title.clone(),
            marking: later.marking.clone(),
            columns: self.columns.iter().map(String::as_str).chain(COLUMNS).map(str::to_owned).collect(),
            rows: rows.collect(),
            about: self.about(earlier, later),
            day: later.cohort.as_of,
        }
    }

    fn about(&self, earlier: &Description, later: &Description) -> About {
        let both = [earlier, later];
        let mut about = About::default();
        about.add("For whom", [&later.marking]);
        about.add("Title", [&self.title]);
        about.add("Of whom", both.map(|one| format!("{}: {}", one.reporting_period, one.cohort.description)));
        about.add("As-of date", both.map(|one| format!("{}: {}", one.reporting_period, one.cohort.as_of)));
        for measure in later.measure.iter().chain(&later.from_measure) {
            about.add(&measure.id, [&measure.definition]);
            about.add(&format!("Source of {}", measure.id), [&measure.source]);
        }
        about.add("Signs", [NOT_TOLD]);
        let titles = self.columns.iter().zip(&self.titles).map(|(column, title)| format!("{column}: {title}"));
        let [what, points] = if self.is_share {
            ["the rate, to six digits after the point: 0.9 is 90 %", ", in points of a percentage"]
        } else {
            ["doses", ""]
        };
        let [before, after] = self.months;
        let numbers = [
            format!("earlier: {what}; of {before}"),
            format!("later: the same of {after}"),
            format!("change: the later less the earlier{points}"),
            format!(
                "status: `shown` where both are told, `small_change` where the two differ by 1 to {} doses, `absent` where one release has no such row; otherwise as the releases say",
                later.disclosure.k - 1
            ),
        ];
        about.add("Columns", titles.chain(numbers));
        about.add("Notes", [self.note()]);
        let new = earlier.caveats.iter().filter(|caveat| !later.caveats.contains(caveat));
        about.add("Caveats", later.caveats.iter().chain(new));
        about.add("Made from", both.map(|one| format!("Release {} of {}", one.release_id, one.reporting_period)));
        about
    }
}

/// In what two releases are of different questions; none where they are of one.
fn difference(a: &Description, b: &Description) -> Option<&'static str> {
    let measures = |one: &Description| {
        let both = [&one.measure, &one.from_measure];
        both.map(|measure| measure.as_ref().map(|measure| (measure.id.clone(), measure.version.clone())))
    };
    let denominators = |one: &Description| {
        let all = one.denominators.iter();
        // Of residents, the counties are in their sentence.
        let all = all.map(|one| {
            let counties = (one.source == "resident").then(|| one.description.clone());
            (one.source.clone(), one.population.clone(), counties)
        });
        all.collect::<Vec<_>>()
    };
    let same = [
        ("what they tell", a.indicator == b.indicator),
        ("their measure or its version", measures(a) == measures(b)),
        ("their dimensions or filters", a.labels == b.labels && a.filters == b.filters),
        ("their denominators, the counties of residents or population files", denominators(a) == denominators(b)),
        (
            "their attribution or standardization",
            a.attributions == b.attributions && a.standardized_by == b.standardized_by,
        ),
        ("the day of the year up to which they count a season", is_as_much_of_a_season(a, b)),
        (
            "how long before the end of the month their as-of date is",
            a.cohort.season.is_some() || months_open(a) == months_open(b),
        ),
    ];
    same.into_iter().find_map(|(what, is_same)| (!is_same).then_some(what))
}

/// Whether two seasons are counted up to the same day of the year; one season may be, up to two days.
fn is_as_much_of_a_season(a: &Description, b: &Description) -> bool {
    let [one, two] = [a, b].map(|of| of.cohort.as_of.month());
    a.cohort.season == b.cohort.season || (a.cohort.season.is_some() && b.cohort.season.is_some() && one == two)
}

/// The months from the as-of date of a release to the end of its reporting period.
fn months_open(description: &Description) -> i32 {
    let [as_of, end] = [description.cohort.as_of, description.reporting_period.last_day()];
    let [as_of, end] = [as_of, end].map(|date| CivilDay::of(calendar::day(date)));
    as_of.calendar_months_to(end)
}

/// A count of doses.
fn whole(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that was read as one")]
    let count = number.max(0.0) as u64;
    grouped(count)
}

/// The labels of each row, and what it tells in a column: a number, or the status without one.
type Row = (Vec<String>, std::result::Result<f64, Status>);

fn rows(release: &Release, column: &str) -> Result<Vec<Row>> {
    // The pool of small sets is of other sets in each month.
    (0..release.table.len())
        .filter(|row| !release.is_pool(*row))
        .map(|row| {
            let labels = release.description.labels.iter();
            let labels = labels.map(|label| release.table.cell(row, label).unwrap_or_default().to_owned());
            let status = release.value(row)?.status;
            Ok((labels.collect(), release.number::<f64>(row, column)?.ok_or(status)))
        })
        .collect()
}

/// What each release cuts off the periods that its labels name, where the two differ.
fn cut(earlier: &Release, later: &Release) -> BTreeMap<String, [Option<String>; 2]> {
    let [before, after] = [earlier, later].map(|release| {
        let rows = (0..release.table.len()).flat_map(|row| {
            let columns = release.description.labels.iter();
            columns
                .filter_map(move |column| Some((release.table.cell(row, column)?.to_owned(), release.cut(row, column))))
        });
        rows.collect::<BTreeMap<String, Option<String>>>()
    });
    let both = before.into_iter().filter_map(|(label, cut)| Some(([cut, after.get(&label)?.clone()], label)));
    both.filter(|([earlier, later], _)| earlier != later).map(|(cut, label)| (label, cut)).collect()
}

fn change(
    labels: &[String],
    earlier: Option<std::result::Result<f64, Status>>,
    later: Option<std::result::Result<f64, Status>>,
    k: u64,
) -> Change {
    let told = |side: Option<std::result::Result<f64, Status>>| side.and_then(std::result::Result::ok);
    let status = [later, earlier].into_iter().find_map(|side| match side {
        None => Some("absent"),
        Some(Err(status)) => Some(status.word()),
        Some(Ok(_)) => None,
    });
    let (earlier, later) = (told(earlier), told(later));
    let moved = earlier.zip(later).map(|(earlier, later)| later - earlier);
    let small = moved.is_some_and(|moved| moved != 0.0 && moved.abs() < statistics::real(k));
    // The two counts would tell the change.
    let (earlier, later) = if small { (None, None) } else { (earlier, later) };
    let status = if small { "small_change" } else { status.unwrap_or("shown") };
    Change { labels: labels.to_vec(), earlier, later, change: moved.filter(|_| !small), status }
}
