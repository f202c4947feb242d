//! Figures: a release in, an SVG text out. Nothing here reads a month, and nothing is drawn that is not in a release.
//!
//! [`release::Release`] has the numbers, [`draw`] chooses from them what a kind of figure needs, and the modules of the
//! kinds draw plain data: labels, values, intervals, statuses. [`frame::Frame`] puts marking, title, legend and caveats
//! around a drawing. The same release gives the same bytes.
//!
//! Numbers in the words of a figure are those of the release, as its table has them. Others (ticks of an axis, bounds of
//! classes, names of limits, how many rows are not drawn) stand in elements of the class `scale`.

pub mod bar;
pub mod face;
pub mod frame;
pub mod funnel;
pub mod lines;
pub mod map;
pub mod png;
pub mod release;
pub mod scale;
pub mod shapes;
pub mod svg;
pub mod upset;

use std::collections::{BTreeMap, BTreeSet};

use crate::disclosure::{COMPLETE, POOL};
use crate::error::{Error, Result};
use crate::output::label;
use crate::period::ReportingPeriod;
use crate::statistics;
use crate::words::{UNKNOWN, grouped, list, lower_first, percent};
use frame::{Drawing, Entry, Frame, Mark};
use release::{MISSING, Release, Status, Value};
use shapes::Shape;

/// The kinds of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Places shaded by their rates
    Map,
    /// A bar for each group, with its interval
    Bar,
    /// A line over years or months for each group
    Trend,
    /// Organizations by size and rate, between limits of chance
    Funnel,
    /// The share up to date by each age
    Curve,
    /// Which parts are missing together
    Upset,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Map, Self::Bar, Self::Trend, Self::Funnel, Self::Curve, Self::Upset];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Bar => "bar",
            Self::Trend => "trend",
            Self::Funnel => "funnel",
            Self::Curve => "curve",
            Self::Upset => "upset",
        }
    }
}

/// What may be said about a figure beside its kind.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// In place of the title that is made of the release.
    pub title: Option<String>,
    /// In place of the id that is made of the release. A page that shows a figure twice needs it.
    pub id: Option<String>,
    /// In place of the built-in shapes.
    pub shapes: Option<Vec<Shape>>,
    /// Whether what the numbers are of, source and caveats stand as text around the drawing, and not in it.
    pub captioned: bool,
}

/// What is drawn as a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The rate.
    Share,
    /// The numerator.
    Count,
}

#[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
impl Unit {
    /// What is drawn of a value, if it is told.
    pub fn amount(self, value: Value) -> Option<f64> {
        match self {
            Self::Share => value.rate,
            Self::Count => value.numerator.map(|count| count as f64),
        }
    }

    /// The upper end of its interval, or the amount.
    pub fn highest(self, value: Value) -> Option<f64> {
        let end = value.interval.filter(|_| self == Self::Share).map(|interval| interval.1);
        self.amount(value).map(|amount| end.unwrap_or(amount))
    }

    /// The lower end of its interval, or the amount.
    pub fn lowest(self, value: Value) -> Option<f64> {
        let end = value.interval.filter(|_| self == Self::Share).map(|interval| interval.0);
        self.amount(value).map(|amount| end.unwrap_or(amount))
    }

    /// The amount as people read it.
    pub fn words(self, value: Value) -> Option<String> {
        match self {
            Self::Share => value.rate.map(percent),
            Self::Count => value.numerator.map(grouped),
        }
    }

    /// A number at an axis.
    pub fn tick(self, tick: f64) -> String {
        match self {
            Self::Share => format!("{}%", svg::number(tick * 100.0)),
            Self::Count => grouped(face::whole(tick)),
        }
    }

    /// How much an axis shows at least, so that a small change does not look like a large one.
    fn span(self) -> f64 {
        match self {
            Self::Share => 0.2,
            Self::Count => 5.0,
        }
    }

    /// What an axis holds at most.
    fn most(self) -> f64 {
        match self {
            Self::Share => 1.0,
            Self::Count => f64::INFINITY,
        }
    }
}

/// Draws a release as a figure of a kind. Refused is a kind that the columns have nothing for; the hint names the kinds
/// that fit.
pub fn draw(kind: Kind, release: &Release, options: &Options) -> Result<String> {
    if release.table.is_empty() {
        return Err(Error::refused("the table has no row, so there is nothing to draw"));
    }
    let groups = Groups::of(release);
    let frame = match frame(kind, release, &groups, options) {
        whole if options.captioned => Frame { subtitle: String::new(), notes: Vec::new(), ..whole },
        whole => whole,
    };
    let drawing = drawing(kind, release, &groups, &frame, options).map_err(|error| {
        let others = Kind::ALL.iter().filter(|other| **other != kind && fits(**other, release, options));
        let others: Vec<&str> = others.map(|kind| kind.word()).collect();
        match (error.what_to_do(), others.is_empty()) {
            (None, false) => error.hint(format!("this table can be drawn with --kind {}", others.join(" or "))),
            _ => error,
        }
    })?;
    let reading = reading(release, &groups, &drawing);
    let mut drawing = Drawing { reading, ..drawing };
    let intervals = drawing.legend.iter_mut().filter(|entry| matches!(entry.mark, Mark::Interval | Mark::Band));
    let level = release.description.interval.as_ref().map(|interval| svg::number(interval.level * 100.0));
    for (entry, level) in intervals.zip(level.iter().cycle()) {
        entry.text = format!("{level}% confidence interval");
    }
    frame.draw(&drawing)
}

/// Whether a release can be drawn as a figure of a kind.
pub fn fits(kind: Kind, release: &Release, options: &Options) -> bool {
    let groups = Groups::of(release);
    drawing(kind, release, &groups, &frame(kind, release, &groups, options), options).is_ok()
}

/// Whether a file that begins so is a figure of this program.
pub fn is_figure(beginning: &[u8]) -> bool {
    let is_svg = beginning.starts_with(b"<svg ") && memchr::memmem::find(beginning, frame::CLASS.as_bytes()).is_some();
    is_svg || png::is_ours(beginning)
}

/// The title of a figure of a kind.
pub fn title(kind: Kind, release: &Release, options: &Options) -> String {
    frame(kind, release, &Groups::of(release), options).title
}

fn drawing(kind: Kind, release: &Release, groups: &Groups, frame: &Frame, options: &Options) -> Result<Drawing> {
    match kind {
        Kind::Bar => bars(release, groups, frame),
        Kind::Trend => trend(release, groups, frame),
        Kind::Map => map(release, groups, frame, options),
        Kind::Funnel => funnel(release, groups, frame),
        Kind::Curve => curve(release, groups, frame),
        Kind::Upset => upset(release, groups, frame),
    }
}

/// A column that tells groups apart.
#[derive(Clone, Debug)]
struct Column {
    id: String,
    title: String,
}

/// The columns of groups: those with several labels, and those that hold for the whole table, with their label.
#[derive(Clone, Debug)]
struct Groups {
    varying: Vec<Column>,
    constant: Vec<(Column, String)>,
}

/// Columns that have a meaning of their own for a kind.
const AGE: &str = "age_months";
const SEASON: &str = "season";
const AGE_AT_DOSE: &str = "age_at_dose";
const ORGANIZATION: &str = "organization";

impl Groups {
    fn of(release: &Release) -> Self {
        let own =
            release.description.dimensions.iter().map(|dimension| (dimension.id.as_str(), dimension.title.as_str()));
        let further = label::FURTHER.into_iter().filter(|(id, _)| release.table.column(id).is_some());
        let mut columns: Vec<Column> = Vec::new();
        for (id, title) in own.chain(further).filter(|(id, _)| ![AGE, MISSING].contains(id)) {
            if columns.iter().all(|column| column.id != id) {
                columns.push(Column { id: id.to_owned(), title: title.split(" (").next().unwrap_or(title).to_owned() });
            }
        }
        let label = |row: usize, column: &Column| release.table.cell(row, &column.id).unwrap_or_default().to_owned();
        let (mut varying, mut constant) = (Vec::new(), Vec::new());
        for column in columns {
            let first = label(0, &column);
            if (1..release.table.len()).any(|row| label(row, &column) != first) {
                varying.push(column);
            } else {
                constant.push((column, first));
            }
        }
        Self { varying, constant }
    }

    /// The labels of a row in columns, as one.
    fn label(release: &Release, row: usize, columns: &[Column]) -> String {
        let labels: Vec<String> = columns.iter().map(|column| release.label(row, &column.id)).collect();
        labels.join(", ")
    }

    /// The one column by which a kind draws, and those before it. A table of one group is drawn by its first column.
    fn last(&self) -> Option<(&Column, &[Column])> {
        match self.varying.split_last() {
            Some(split) => Some(split),
            None => self.constant.first().map(|(column, _)| (column, &[] as &[Column])),
        }
    }
}

fn frame(kind: Kind, release: &Release, groups: &Groups, options: &Options) -> Frame {
    let description = &release.description;
    let month = month(description.reporting_period);
    let by: Vec<String> = groups.varying.iter().map(|column| lower_first(&column.title)).collect();
    let by = if by.is_empty() { String::new() } else { format!(", by {}", list(&by)) };
    let measures = || description.from_measure.iter().chain(&description.measure);
    let measured = measures().map(|measure| measure.title.as_str()).collect::<Vec<_>>().join(", then ");
    let standardized = description.standardized_by.as_ref();
    let standardized =
        standardized.map(|by| format!(", standardized by {}", lower_first(&by.title))).unwrap_or_default();
    let season = description.cohort.season.as_ref().map(|season| format!(", season {season}")).unwrap_or_default();
    let title = format!("{}{measured}{by}{standardized}{season}, {month}", asked(&description.indicator));
    let constant = groups.constant.iter().map(|(column, label)| format!("{}: {label}.", column.title));
    let cohort = format!("{}.", description.cohort.description.trim_end_matches('.'));
    let mut subtitle = constant.chain([cohort]).collect::<Vec<_>>().join(" ");
    let values: Vec<(usize, Value)> = values(release).unwrap_or_default();
    if unit(&values) == Unit::Share {
        for denominator in &description.denominators {
            let name =
                if description.denominators.len() > 1 { format!(" {}", denominator.source) } else { String::new() };
            subtitle += &format!(" Denominator{name}: {}.", lower_first(denominator.description.trim_end_matches('.')));
        }
    }
    let measured = measures().map(|measure| {
        format!("Measure {}, version {}: {}. ", measure.id, measure.version, measure.source.trim_end_matches('.'))
    });
    let mut notes = vec![format!(
        "{}Reporting period {}. k = {}. Release {}, {} {}.",
        measured.collect::<String>(),
        description.reporting_period,
        description.disclosure.k,
        description.release_id,
        description.tool.name,
        description.tool.version,
    )];
    notes.extend(description.caveats.iter().cloned());
    Frame {
        id: options.id.clone().unwrap_or_else(|| format!("phds-{}-{}", id_part(&description.release_id), kind.word())),
        marking: description.marking.clone(),
        title: options.title.clone().unwrap_or(title),
        subtitle,
        notes,
    }
}

/// A reporting period as people write it: `December 2024`.
pub fn month(period: ReportingPeriod) -> String {
    period.first_day().format("%B %Y").to_string()
}

/// What an id may hold.
fn id_part(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// What is asked, before the title of the measure; nothing for coverage, which the title tells.
fn asked(indicator: &str) -> &'static str {
    match indicator {
        "late" => "Up to date, but late: ",
        "on-time" => "On time: ",
        "dropout" => "Dropout: ",
        "potential" => "Coverage without missed opportunities: ",
        "missed" => "Missed opportunities: ",
        "one-visit" => "One visit from up to date: ",
        "missing" => "What is missing: ",
        "curve" => "Up to date by age: ",
        "doses" => "Doses administered",
        _ => "",
    }
}

/// What a row without numbers says in their place.
pub fn withheld_words(status: Status) -> &'static str {
    match status {
        Status::Suppressed => "suppressed",
        Status::Unreliable => "unreliable",
        _ => "no clients",
    }
}

/// Whether a value is withheld although there is one.
fn is_hatched(value: Value, unit: Unit) -> bool {
    unit.amount(value).is_none() && value.status != Status::NotApplicable
}

/// The entries for values that are not simply told.
fn withheld_legend(values: &[Value], unit: Unit) -> impl Iterator<Item = Entry> {
    let has = |status: Status, hatched: bool| {
        values.iter().any(|value| value.status == status && is_hatched(*value, unit) == hatched)
    };
    let suppressed = has(Status::Suppressed, true);
    let withheld = has(Status::Unreliable, true);
    let hollow = has(Status::Unreliable, false);
    let hatched = match (suppressed, withheld) {
        (true, true) => Some("suppressed, or unreliable and not told; not zero"),
        (true, false) => Some("suppressed, not zero"),
        (false, true) => Some("unreliable and not told; not zero"),
        (false, false) => None,
    };
    let hatched = hatched.map(|text| Entry { mark: Mark::Hatched, text: text.to_owned() });
    let hollow = hollow.then(|| Entry { mark: Mark::Unreliable, text: "unreliable".to_owned() });
    hatched.into_iter().chain(hollow)
}

/// What the figure says, for who cannot see it: between which groups the told values lie, and that others are withheld.
fn reading(release: &Release, groups: &Groups, drawing: &Drawing) -> String {
    let values = values(release).unwrap_or_default();
    let unit = unit(&values);
    let extra = [AGE, MISSING].into_iter().filter(|id| release.table.column(id).is_some());
    let name = |row: usize| {
        let label = Groups::label(release, row, &groups.varying);
        let further = extra.clone().filter_map(|id| release.table.cell(row, id).map(|cell| (id, cell)));
        let further = further.map(|(id, cell)| match id {
            AGE => format!("at {cell} months"),
            _ => format!("missing {cell}"),
        });
        let parts: Vec<String> = Some(label).filter(|label| !label.is_empty()).into_iter().chain(further).collect();
        if parts.is_empty() { "the whole cohort".to_owned() } else { parts.join(", ") }
    };
    let mut told: Vec<(usize, Value, f64)> =
        values.iter().filter_map(|(row, value)| Some((*row, *value, unit.amount(*value)?))).collect();
    told.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
    let words =
        |(row, value, _): &(usize, Value, f64)| format!("{} ({})", unit.words(*value).unwrap_or_default(), name(*row));
    let what = if unit == Unit::Share { "Rates" } else { "Counts" };
    let mut sentences = match (told.first(), told.last()) {
        (Some(low), Some(high)) if told.len() > 1 => {
            vec![format!("{what} go from {} to {}.", words(low), words(high))]
        }
        (Some(only), _) => vec![format!("One value is told: {}.", words(only))],
        _ => vec!["No value is told.".to_owned()],
    };
    let withheld = values.iter().filter(|(_, value)| is_hatched(*value, unit)).count();
    if withheld > 0 {
        let who = if withheld == values.len() { "All" } else { "Other" };
        let how = if drawing.left_out > 0 { "not drawn" } else { "hatched, without a number" };
        let hidden: Vec<Value> =
            values.iter().map(|(_, value)| *value).filter(|value| is_hatched(*value, unit)).collect();
        sentences.push(format!("{who} values are {}: {how}, and not zero.", without_number(&hidden, unit)));
    }
    sentences.extend(drawing.remarks.iter().filter(|remark| remark.starts_with("Not on the map")).cloned());
    sentences.push("The table of the release has every number.".to_owned());
    sentences.join(" ")
}

/// Rates are drawn where there are any, and counts otherwise.
fn unit(values: &[(usize, Value)]) -> Unit {
    let has_counts_alone = |(_, value): &(usize, Value)| value.rate.is_none() && value.numerator.is_some();
    if values.iter().any(has_counts_alone) && values.iter().all(|(_, value)| value.rate.is_none()) {
        Unit::Count
    } else {
        Unit::Share
    }
}

fn values(release: &Release) -> Result<Vec<(usize, Value)>> {
    (0..release.table.len()).map(|row| Ok((row, release.value(row)?))).collect()
}

/// A kind finds no column that it needs.
fn unfit(what: &str) -> Error {
    Error::usage(what.to_owned())
}

/// Refuses tables of ages and of missing parts, which have kinds of their own.
fn plain_rows(release: &Release) -> Result<()> {
    for (column, own) in [(AGE, "curve"), (MISSING, "upset")] {
        if release.table.column(column).is_some() {
            return Err(unfit(&format!("a table with the column `{column}` is for --kind {own}")));
        }
    }
    Ok(())
}

/// Of more bars than these, those without a number are left to the table: pages of stripes hide the rest.
pub const STRIPED: usize = 60;

fn bars(release: &Release, groups: &Groups, frame: &Frame) -> Result<Drawing> {
    plain_rows(release)?;
    let values = values(release)?;
    let unit = unit(&values);
    let (last, before) = groups.last().ok_or_else(|| unfit("bars need a column of groups, and the table has none"))?;
    let mut drawn: Vec<bar::Group> = Vec::new();
    for (row, value) in values {
        let heading = Groups::label(release, row, before);
        let bar = bar::Bar { label: release.label(row, &last.id), value };
        match drawn.iter_mut().find(|group| group.heading == heading) {
            Some(group) => group.bars.push(bar),
            None => drawn.push(bar::Group { heading, bars: vec![bar] }),
        }
    }
    let mut labels = (0..release.table.len()).filter_map(|row| release.table.cell(row, &last.id));
    let is_age = release.description.dimensions.iter().any(|dimension| dimension.id == last.id && dimension.is_age);
    let has_order =
        is_age || last.id == AGE_AT_DOSE || labels.all(|label| is_unknown(label) || time(&last.id, label).is_some());
    if let ([only], false) = (drawn.as_mut_slice(), has_order) {
        // By rate, because one looks for the ends; unreliable, without a rate, and without a name, at the end. Names as people
        // sort them.
        let amount = |bar: &bar::Bar| unit.amount(bar.value).unwrap_or(-1.0);
        only.bars.sort_by_cached_key(|bar| bar.label.to_lowercase());
        only.bars.sort_by(|a, b| amount(b).total_cmp(&amount(a)));
        let is_unreliable = |bar: &bar::Bar| bar.value.status == Status::Unreliable;
        only.bars.sort_by_key(|bar| (is_unknown(&bar.label), amount(bar) < 0.0, is_unreliable(bar)));
    }
    let all: usize = drawn.iter().map(|group| group.bars.len()).sum();
    let has_number = |bar: &bar::Bar| unit.amount(bar.value).is_some();
    let told = drawn.iter().flat_map(|group| &group.bars).filter(|bar| has_number(bar)).count();
    let mut drawing = if all <= STRIPED || told == all || told == 0 {
        bar::draw(frame, &drawn, unit)
    } else {
        let values: Vec<Value> = drawn.iter().flat_map(|group| &group.bars).map(|bar| bar.value).collect();
        for group in &mut drawn {
            group.bars.retain(has_number);
        }
        drawn.retain(|group| !group.bars.is_empty());
        let mut drawing = bar::draw(frame, &drawn, unit);
        drawing.left_out = all - told;
        let (left_out, all) = (grouped(drawing.left_out as u64), grouped(all as u64));
        let why = without_number(&values, unit);
        let text = format!("not drawn, and not zero: {left_out} of {all} rows, {why}");
        drawing.legend.push(Entry { mark: Mark::Hatched, text });
        drawing
    };
    drawing.remarks.extend(survivors(release));
    Ok(drawing)
}

/// The statuses of rows without a number, in words.
fn without_number(values: &[Value], unit: Unit) -> String {
    const WORDS: [(Status, &str); 3] = [
        (Status::Suppressed, "suppressed"),
        (Status::Unreliable, "unreliable and not told"),
        (Status::NotApplicable, "without clients"),
    ];
    let is_there = |status: Status| values.iter().any(|value| value.status == status && unit.amount(*value).is_none());
    let words: Vec<&str> = WORDS.iter().filter(|(status, _)| is_there(*status)).map(|(_, words)| *words).collect();
    words.join(" or ")
}

/// What must be said where small groups are suppressed and others are told, in whom nobody or everybody is counted: a group of
/// fewer than twice k can be told only so. The description of a table with funnel limits says it already.
pub fn survivors(release: &Release) -> Option<String> {
    let values = values(release).unwrap_or_default();
    let has = |test: fn(&Value) -> bool| values.iter().any(|(_, value)| test(value));
    let is_end = |value: &Value| value.rate.is_some_and(|rate| rate <= 0.0 || rate >= 1.0);
    let is_said = release.description.funnel.is_some();
    (!is_said && has(|value| value.status == Status::Suppressed) && has(is_end)).then(|| {
        "Of small groups, mostly those in which nobody or everybody is counted can be shown: they do not stand for the others."
            .to_owned()
    })
}

fn is_unknown(label: &str) -> bool {
    label == UNKNOWN
}

/// A year, quarter, month or season of a column as a number of these. A season is told by its column: 2011-12 could be
/// a month.
fn time(column: &str, label: &str) -> Option<f64> {
    let label = if column == SEASON { label.split('-').next().unwrap_or_default() } else { label };
    let parts: Vec<&str> = label.split('-').collect();
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<f64>().ok())
            .flatten()
    };
    match parts.as_slice() {
        [year] => number(year, 4).filter(|year| (1900.0..2200.0).contains(year)),
        [year, quarter] if quarter.starts_with('Q') => Some(number(year, 4)? * 4.0 + number(&quarter[1..], 1)?),
        [year, month] => Some(number(year, 4)? * 12.0 + number(month, 2)?),
        _ => None,
    }
}

/// The largest number of panels that a figure has.
const PANELS: usize = 30;

fn trend(release: &Release, groups: &Groups, frame: &Frame) -> Result<Drawing> {
    plain_rows(release)?;
    let values = values(release)?;
    let unit = unit(&values);
    let label = |row: usize, column: &Column| release.table.cell(row, &column.id).unwrap_or_default().to_owned();
    let is_time = |column: &&Column| {
        let mut labels =
            (0..release.table.len()).map(|row| label(row, column)).filter(|label| !is_unknown(label)).peekable();
        labels.peek().is_some() && labels.all(|label| time(&column.id, &label).is_some())
    };
    let over = groups.varying.iter().rfind(is_time);
    let over =
        over.ok_or_else(|| unfit("a trend needs a column of several years, quarters or months, such as birth_year"))?;
    let others: Vec<Column> = groups.varying.iter().filter(|column| column.id != over.id).cloned().collect();
    let mut series: Vec<lines::Series> = Vec::new();
    let mut ticks: Vec<(f64, String)> = Vec::new();
    let mut cuts: BTreeSet<String> = BTreeSet::new();
    for (row, value) in values {
        let Some(x) = time(&over.id, &label(row, over)) else { continue };
        let name = label(row, over);
        let cut = release.cut(row, &over.id);
        push(
            &mut series,
            &Groups::label(release, row, &others),
            lines::Point { x, value, at_risk: None, is_cut: cut.is_some() },
        );
        cuts.extend(cut.map(|cut| format!("{name} only {cut}")));
        if ticks.iter().all(|(tick, _)| (tick - x).abs() > 1e-9) {
            ticks.push((x, name));
        }
    }
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let axis =
        lines::Axis { ticks, title: over.title.clone(), apart: 1.0, stepped: false, cut: cuts.into_iter().collect() };
    panels(frame, series, &axis, unit)
}

fn curve(release: &Release, groups: &Groups, frame: &Frame) -> Result<Drawing> {
    if release.table.column(AGE).is_none() {
        return Err(unfit(&format!("a curve needs the column `{AGE}`, which `phds query curve` makes")));
    }
    let mut series: Vec<lines::Series> = Vec::new();
    for (row, value) in values(release)? {
        let Some(x) = release.number::<f64>(row, AGE)? else { continue };
        let at_risk = release.number::<u64>(row, "at_risk")?.filter(|_| !is_hatched(value, Unit::Share));
        let point = lines::Point { x, value, at_risk, is_cut: false };
        push(&mut series, &Groups::label(release, row, &groups.varying), point);
    }
    // At birth, nobody is up to date.
    let birth = Value { status: Status::Zero, numerator: None, denominator: None, rate: Some(0.0), interval: None };
    for one in series.iter_mut().filter(|one| one.points.iter().all(|point| point.x > 0.0)) {
        one.points.push(lines::Point { x: 0.0, value: birth, at_risk: None, is_cut: false });
    }
    let to = series.iter().flat_map(|series| &series.points).map(|point| point.x).fold(0.0, f64::max);
    let every = if to > 60.0 { 12.0 } else { 6.0 };
    let ticks = (0..200).map(|at| f64::from(at) * every).filter(|tick| *tick <= to);
    let axis = lines::Axis {
        ticks: ticks.map(|tick| (tick, svg::number(tick))).collect(),
        title: "age in months".to_owned(),
        apart: 1.0,
        stepped: true,
        cut: Vec::new(),
    };
    panels(frame, series, &axis, Unit::Share)
}

fn push(series: &mut Vec<lines::Series>, name: &str, point: lines::Point) {
    match series.iter_mut().find(|series| series.name == name) {
        Some(series) => series.points.push(point),
        None => series.push(lines::Series { name: name.to_owned(), points: vec![point] }),
    }
}

fn panels(frame: &Frame, mut series: Vec<lines::Series>, axis: &lines::Axis, unit: Unit) -> Result<Drawing> {
    if series.len() > PANELS {
        return Err(Error::usage(format!("{} lines are too many for a figure of at most {PANELS}", series.len()))
            .hint("ask for fewer groups: `phds query … --where DIM=VALUE,VALUE`, or leave a dimension out of `--by`"));
    }
    for one in &mut series {
        one.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        if one.points.windows(2).any(|pair| pair[1].x <= pair[0].x) {
            return Err(Error::refused("the table has two rows for one place of a line"));
        }
    }
    Ok(lines::draw(frame, &series, axis, unit))
}

fn map(release: &Release, groups: &Groups, frame: &Frame, options: &Options) -> Result<Drawing> {
    plain_rows(release)?;
    let [over] = groups.varying.as_slice() else {
        let only = groups.constant.first().filter(|_| groups.varying.is_empty());
        return match only {
            Some((column, _)) => map_over(release, column, frame, options),
            None => Err(unfit("a map needs a table by places alone, and this one is by several dimensions or by none")
                .hint("ask for one place dimension in `--by`, and hold the others with `--where DIM=VALUE`")),
        };
    };
    map_over(release, over, frame, options)
}

fn map_over(release: &Release, over: &Column, frame: &Frame, options: &Options) -> Result<Drawing> {
    let built_in = if options.shapes.is_some() { None } else { shapes::built_in(&over.id)? };
    let Some(shapes) = options.shapes.as_ref().or(built_in.as_ref()) else {
        return Err(unfit(&format!("there are no built-in shapes for `{}`", over.id))
            .hint("county and region have some; for others give a GeoJSON file: --shapes FILE --shape-key PROPERTY"));
    };
    let mut places: Vec<map::Place<'_>> = shapes.iter().map(|shape| map::Place { shape, value: None }).collect();
    let mut elsewhere = Vec::new();
    for (row, value) in values(release)? {
        if unit(&[(row, value)]) == Unit::Count {
            return Err(unfit("a map needs rates: counts follow the number of people who live there"));
        }
        let label = release.table.cell(row, &over.id).unwrap_or_default();
        let mut found = false;
        for place in places.iter_mut().filter(|place| place.shape.label.eq_ignore_ascii_case(label)) {
            found = true;
            place.value = Some(value);
        }
        if !found {
            let words = Unit::Share.words(value).unwrap_or_else(|| withheld_words(value.status).to_owned());
            elsewhere.push(format!("{label} ({words})"));
        }
    }
    if places.iter().all(|place| place.value.is_none()) {
        return Err(Error::usage(format!("no shape has a name that is in the column `{}`", over.id))
            .hint("another property may hold the names: --shape-key PROPERTY"));
    }
    let mut drawing = map::draw(frame, &places);
    drawing.remarks.extend(survivors(release));
    if !elsewhere.is_empty() {
        drawing.remarks.insert(0, format!("Not on the map: {}.", list(&elsewhere)));
    }
    Ok(drawing)
}

fn funnel(release: &Release, groups: &Groups, frame: &Frame) -> Result<Drawing> {
    plain_rows(release)?;
    if release.table.column("crude_rate").is_some() {
        return Err(unfit("a funnel is of plain rates, and these are standardized"));
    }
    let (over, before) = groups.last().ok_or_else(|| unfit("a funnel needs a column of organizations"))?;
    if !before.is_empty() {
        return Err(unfit(&format!(
            "a funnel needs one row for each group, and this table has several by {}",
            over.id
        ))
        .hint("ask with one dimension, one attribution and one denominator"));
    }
    if over.id != ORGANIZATION {
        return Err(unfit(&format!("a funnel is of organizations, and this table is by {}", over.id)));
    }
    let values = values(release)?;
    let told: Vec<(usize, u64, u64, f64)> = values
        .iter()
        .filter_map(|(row, value)| Some((*row, value.numerator?, value.denominator.filter(|n| *n > 0)?, value.rate?)))
        .collect();
    let (Some(least), Some(most)) = (told.iter().map(|one| one.2).min(), told.iter().map(|one| one.2).max()) else {
        return Err(unfit("a funnel needs rows with numerator, denominator and rate, and none is told"));
    };
    let (target, factor) = if let Some(note) = &release.description.funnel {
        (note.target, note.factor_applied)
    } else {
        let target = common_rate(&told);
        let counts: Vec<_> = told.iter().map(|(_, numerator, denominator, _)| (*numerator, *denominator)).collect();
        let dispersion = statistics::overdispersion(&counts, target);
        (target, dispersion.map_or(1.0, |dispersion| dispersion.applied()))
    };
    let organizations: Vec<funnel::Organization> = told
        .iter()
        .map(|(row, _, denominator, rate)| {
            let outer = statistics::funnel_limits(target, *denominator, factor).outer;
            let side = if *rate > outer.1 {
                funnel::Side::Above
            } else if *rate < outer.0 {
                funnel::Side::Below
            } else {
                funnel::Side::Within
            };
            let name = release.table.cell(*row, &over.id).unwrap_or_default().to_owned();
            funnel::Organization { name, denominator: *denominator, rate: *rate, side }
        })
        .collect();
    let sizes = funnel::sizes(least, most);
    let limits = sizes.into_iter().map(|size| (size, statistics::funnel_limits(target, size, factor))).collect();
    let withheld = values.iter().any(|(_, value)| is_hatched(*value, Unit::Share));
    Ok(funnel::draw(frame, &organizations, &funnel::Funnel { target, limits, widened: factor > 1.0 }, withheld))
}

/// Numerators over denominators of all that is told.
#[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
fn common_rate(told: &[(usize, u64, u64, f64)]) -> f64 {
    let (numerator, denominator) = told.iter().fold((0, 0), |sum, one| (sum.0 + one.1, sum.1 + one.2));
    numerator as f64 / denominator.max(1) as f64
}

fn upset(release: &Release, groups: &Groups, frame: &Frame) -> Result<Drawing> {
    if release.table.column(MISSING).is_none() {
        return Err(unfit(&format!("an upset plot needs the column `{MISSING}`, which `phds query missing` makes")));
    }
    if let Some(column) = groups.varying.first() {
        return Err(unfit(&format!("an upset plot shows one group, and this table is by {}", column.id))
            .hint("leave `--by` away, or ask again for one of them: `phds query missing … --where DIM=VALUE`"));
    }
    let titles = titles(release);
    let set = |(row, value): (usize, Value)| {
        let cell = release.table.cell(row, MISSING).unwrap_or_default();
        if cell.starts_with(POOL) {
            return upset::Set { parts: Vec::new(), name: cell.to_owned(), value };
        }
        let parts = cell.split(" + ").map(str::trim).filter(|part| !part.is_empty() && *part != COMPLETE);
        let title = |part: &str| titles.get(part).cloned().unwrap_or_else(|| part.to_owned());
        upset::Set { parts: parts.map(title).collect(), name: "nothing missing".to_owned(), value }
    };
    let mut sets: Vec<upset::Set> = values(release)?.into_iter().map(set).collect();
    // What is told comes first, by size; what is withheld keeps the order of its labels, which says nothing. The pool is no
    // set, and is last of those that are told.
    let is_pool = |set: &upset::Set| set.name.starts_with(POOL);
    sets.sort_by_key(|set| (set.value.numerator.is_none(), is_pool(set), std::cmp::Reverse(set.value.numerator)));
    let left_out = sets.len() > upset::MOST;
    sets.truncate(upset::MOST);
    let mut drawing = upset::draw(frame, &sets);
    if left_out {
        drawing.remarks.push("Further sets are in the table alone.".to_owned());
    }
    Ok(drawing)
}

/// The titles of the parts of a combination by their ids, without the words in which all of them end.
fn titles(release: &Release) -> BTreeMap<&str, String> {
    let parts = &release.description.parts;
    let words: Vec<Vec<&str>> = parts.iter().map(|part| part.title.split_whitespace().collect()).collect();
    let nth_last = |at: usize| words.iter().map(move |words: &Vec<&str>| words.iter().rev().nth(at).copied());
    let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
    let is_common = |at: &usize| nth_last(*at).all(|word| word == nth_last(*at).next().flatten());
    let common = if words.len() < 2 { 0 } else { (0..shortest.saturating_sub(1)).take_while(is_common).count() };
    let short = words.iter().map(|words| words[..words.len() - common].join(" "));
    parts.iter().map(|part| part.id.as_str()).zip(short).collect()
}
