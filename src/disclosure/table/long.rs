//! Tables in long form: a row for each cell, with its labels and its count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::attack::{LARGEST_COUNT, Mark};
use super::audit::Seen;
use super::cube::{Cube, Dimension, LEVEL, MOST_CELLS};
use crate::encoding;
use crate::error::{Error, Result};

/// Which columns of a file make the table.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The dimensions.
    pub by: Vec<String>,
    /// The counts, persons.
    pub count: String,
    /// The label of totals.
    pub total: String,
    /// Whether somebody has said so: then no other label is taken for a total.
    pub is_said: bool,
    /// Dimensions that are levels of one: each from the coarsest to the finest.
    pub nested: Vec<Vec<String>>,
}

impl Columns {
    /// The columns of each dimension, by their places in `by`.
    fn dimensions(&self) -> Result<Vec<Vec<usize>>> {
        let place = |name: &String| {
            self.by.iter().position(|by| by == name).ok_or_else(|| {
                Error::usage(format!("`{name}` of `--within` is not in `--by`")).hint("name all levels in `--by`")
            })
        };
        let mut dimensions: Vec<Vec<usize>> =
            self.nested.iter().map(|levels| levels.iter().map(place).collect()).collect::<Result<_>>()?;
        let nested: Vec<usize> = dimensions.iter().flatten().copied().collect();
        if nested.iter().collect::<BTreeSet<_>>().len() < nested.len() {
            return Err(Error::usage("a column is named twice in `--within`")
                .hint("write all levels of a dimension at once, for example `zip:county:region`"));
        }
        dimensions.extend((0..self.by.len()).filter(|at| !nested.contains(at)).map(|at| vec![at]));
        Ok(dimensions)
    }
}

/// The column that is added to a protected table.
const STATUS: &str = "status";
/// What it says of every cell of a rounded table.
const ROUNDED: &str = "rounded";

/// What stands for a suppressed count in tables made elsewhere.
const SUPPRESSED: [&str; 4] = ["", "*", "NA", "suppressed"];

/// Labels that stand for a total, whatever is said, and those that do where nothing is.
const TOTALS: [&str; 2] = ["total", "totals"];
const PERHAPS_TOTALS: [&str; 3] = ["all", "overall", "sum"];

/// A row of a file.
#[derive(Debug)]
struct Row {
    line: u64,
    /// For each dimension the label, or nothing for the total.
    labels: Vec<Option<String>>,
    count: String,
}

/// A file as it came.
#[derive(Debug)]
struct Sheet {
    path: PathBuf,
    header: Vec<String>,
    /// For each dimension the number of its column; nothing where the file has none and so is a total in it.
    by: Vec<Option<usize>>,
    rows: Vec<Row>,
    /// Whether its numbers are multiples of a base and no counts.
    is_rounded: bool,
}

impl Sheet {
    fn read(path: &Path, columns: &Columns) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::named_file("read", path, &error))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if bytes.trim_ascii().is_empty() {
            return Err(Error::usage(format!("`{}` is empty", path.display()))
                .hint("a table has a header and a row for each cell"));
        }
        let mut reader = csv::ReaderBuilder::new().delimiter(encoding::delimiter(bytes)).from_reader(bytes);
        let header = reader.headers().map_err(|error| unreadable(path, bytes, &error))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let column = |name: &String| {
            let mut found = (0..header.len()).filter(|at| header[*at] == *name);
            match (found.next(), found.next()) {
                (found, None) => Ok(found),
                _ => Err(Error::usage(format!("`{}` has the column `{name}` twice", path.display()))
                    .hint("rename one of them")),
            }
        };
        let by: Vec<Option<usize>> = columns.by.iter().map(&column).collect::<Result<_>>()?;
        let count = column(&columns.count)?;
        let has = format!("it has: {}", header.join(", "));
        let count = count.ok_or_else(|| no_column(path, &columns.count).hint(has.clone()))?;
        if by.iter().all(Option::is_none) {
            return Err(no_column(path, &columns.by[0]).hint(has));
        }
        let dimensions = columns.dimensions()?;
        let status = header.iter().position(|name| name == STATUS);
        let mut is_rounded = false;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(path, bytes, &error))?;
            let line = encoding::line_of(bytes, record.position());
            let mut labels = Vec::with_capacity(by.len());
            for (at, name) in by.iter().zip(&columns.by) {
                let label = at.map(|at| record[at].trim().to_owned()).filter(|label| label != columns.total.trim());
                if label.as_ref().is_some_and(String::is_empty) {
                    return Err(wrong(path, line, &format!("there is no label in `{name}`"))
                        .hint(format!("write the label, or `{}` for a total", columns.total)));
                }
                // Taken for a label, it would be counted with what it is the sum of.
                let is_total = |label: &&String| {
                    let perhaps = PERHAPS_TOTALS.into_iter().filter(|_| !columns.is_said);
                    let mut totals = std::iter::once(columns.total.trim()).chain(TOTALS).chain(perhaps);
                    totals.any(|total| label.eq_ignore_ascii_case(total))
                };
                if let Some(total) = label.as_ref().filter(is_total) {
                    let what =
                        format!("`{total}` in `{name}` reads as a total, and totals are labelled `{}`", columns.total);
                    let is_one_surely = TOTALS.iter().any(|word| total.eq_ignore_ascii_case(word));
                    return Err(wrong(path, line, &what).hint(if is_one_surely || columns.is_said {
                        format!("give all totals one label, and name it: `--total {}`", columns.total)
                    } else {
                        said_or_not(total, columns)
                    }));
                }
                if label.as_ref().is_some_and(|label| label.contains(LEVEL)) {
                    return Err(wrong(path, line, &format!("the label in `{name}` has a control character"))
                        .hint("write labels as text"));
                }
                labels.push(label);
            }
            for levels in &dimensions {
                let mut pairs = levels.windows(2).map(|pair| (pair[0], pair[1]));
                if let Some((coarse, fine)) = pairs.find(|pair| labels[pair.0].is_none() && labels[pair.1].is_some()) {
                    let (coarse, fine) = (&columns.by[coarse], &columns.by[fine]);
                    return Err(wrong(
                        path,
                        line,
                        &format!("there is a label in `{fine}` and none in `{coarse}` above it"),
                    )
                    .hint("a nested label stands below its own; one that lies in two of them is a row for each"));
                }
            }
            is_rounded |= status.is_some_and(|at| record[at] == *ROUNDED);
            rows.push(Row { line, labels, count: record[count].trim().to_owned() });
            if rows.len() > MOST_CELLS {
                return Err(Error::refused(format!("`{}` has more than {MOST_CELLS} rows", path.display()))
                    .hint("use fewer dimensions, or coarser labels"));
            }
        }
        if rows.is_empty() {
            return Err(Error::refused(format!("`{}` has no row below its header", path.display()))
                .hint("a table has a row for each cell"));
        }
        Ok(Self { path: path.to_owned(), header, by, rows, is_rounded })
    }

    fn wrong(&self, row: &Row, what: &str) -> Error {
        wrong(&self.path, row.line, what)
    }

    /// Refuses a label whose counts are the sum of all others, wherever anybody is: it is a total under another name, which
    /// would be counted with what it is the sum of. One line could be so by chance, two are not taken for that.
    fn has_no_hidden_total(
        &self,
        cube: &Cube,
        columns: &Columns,
        rows: &BTreeMap<usize, usize>,
        counts: &[u64],
    ) -> Result<()> {
        for (at, name) in columns.by.iter().enumerate().filter(|_| !columns.is_said) {
            let mut lines: BTreeMap<Vec<&Option<String>>, BTreeMap<&str, u64>> = BTreeMap::new();
            for (cell, row) in rows.iter().filter(|(cell, _)| cube.is_inner(**cell)) {
                let labels = &self.rows[*row].labels;
                let others = labels.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, label)| label);
                let line = lines.entry(others.collect()).or_default();
                line.insert(labels[at].as_deref().unwrap_or_default(), counts[*cell]);
            }
            lines.retain(|_, line| line.values().any(|count| *count > 0));
            let labels: BTreeSet<&str> = lines.values().flat_map(|line| line.keys().copied()).collect();
            // What is as many as one other label alone is no sum.
            let has_parts = lines.values().any(|line| line.values().filter(|count| **count > 0).count() > 2);
            let is_sum = |label: &&&str| {
                lines.values().all(|line| 2 * line.get(**label).copied().unwrap_or(0) == line.values().sum::<u64>())
            };
            if let Some(label) = labels.iter().find(is_sum).filter(|_| lines.len() > 1 && has_parts) {
                return Err(Error::refused(format!(
                    "`{label}` in `{name}` of `{}` has as many as all other labels together, in every line",
                    self.path.display()
                ))
                .hint(said_or_not(label, columns)));
            }
        }
        Ok(())
    }

    /// Cell → the number of its row. A cell that comes twice is refused.
    fn cells(&self, cube: &Cube, columns: &Columns) -> Result<BTreeMap<usize, usize>> {
        let mut cells: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            let cell = find(cube, columns, &row.labels)?;
            if let Some(first) = cells.insert(cell, at) {
                let what = format!("the same cell is in line {} already", self.rows[first].line);
                return Err(self
                    .wrong(row, &what)
                    .hint("leave one row for each cell, or name all dimensions in `--by`"));
            }
        }
        Ok(cells)
    }
}

/// What to do about a label that may be a total.
fn said_or_not(label: &str, columns: &Columns) -> String {
    let total = &columns.total;
    format!("if it is their total: `--total {label}`; if not, say what totals are called: `--total {total}`")
}

fn wrong(path: &Path, line: u64, what: &str) -> Error {
    Error::refused(format!("`{}`, line {line}: {what}", path.display()))
}

fn no_column(path: &Path, name: &str) -> Error {
    Error::usage(format!("`{}` has no column `{name}`", path.display()))
}

fn unreadable(path: &Path, table: &[u8], error: &csv::Error) -> Error {
    let line = encoding::line_of(table, error.position());
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            wrong(path, line, &format!("there are {len} columns where the header has {expected_len}"))
                .hint("a label with a comma stands in quotes")
        }
        csv::ErrorKind::Utf8 { .. } => wrong(path, line, "the text is not UTF-8").hint("save the table as CSV UTF-8"),
        _ => wrong(path, line, "this is not CSV").hint("save the table as CSV UTF-8"),
    }
}

/// A shape that holds all rows.
fn shape(sheets: &[Sheet], columns: &Columns) -> Result<Cube> {
    if columns.by.iter().collect::<BTreeSet<_>>().len() < columns.by.len() || columns.by.contains(&columns.count) {
        return Err(Error::usage("a column is named twice in `--by` and `--count`").hint("name each column once"));
    }
    let dimension = |levels: &Vec<usize>| {
        let labels: BTreeSet<String> =
            sheets.iter().flat_map(|sheet| &sheet.rows).filter_map(|row| path(levels, &row.labels)).collect();
        Dimension { name: name(levels, columns), labels: labels.into_iter().collect() }
    };
    Cube::new(columns.dimensions()?.iter().map(dimension).collect())
}

/// The name of a dimension in the shape.
fn name(levels: &[usize], columns: &Columns) -> String {
    levels.iter().map(|at| columns.by[*at].as_str()).collect::<Vec<_>>().join(&LEVEL.to_string())
}

/// The label of a row in a dimension, or nothing for the total.
fn path(levels: &[usize], labels: &[Option<String>]) -> Option<String> {
    let labels: Vec<&str> = levels.iter().map_while(|at| labels[*at].as_deref()).collect();
    (!labels.is_empty()).then(|| labels.join(&LEVEL.to_string()))
}

/// The cell of a row. The dimensions of a cube are sorted, those of a row are as they were named.
fn find(cube: &Cube, columns: &Columns, labels: &[Option<String>]) -> Result<usize> {
    let mut places = vec![None; cube.dimensions().len()];
    for levels in columns.dimensions()? {
        let unknown = || Error::internal("a label was not in its table");
        let name = name(&levels, columns);
        let at = cube.dimensions().iter().position(|dimension| dimension.name == name).ok_or_else(unknown)?;
        if let Some(label) = path(&levels, labels) {
            places[at] = Some(cube.dimensions()[at].labels.binary_search(&label).map_err(|_| unknown())?);
        }
    }
    Ok(cube.cell(&places))
}

fn whole_number(text: &str) -> std::result::Result<u64, String> {
    if text.is_empty() {
        return Err("there is no count".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = match text.parse::<f64>() {
            Ok(number) if number < 0.0 => "is negative",
            Ok(_) => "is not a whole number",
            Err(_) => "is no number",
        };
        return Err(format!("the count {what}"));
    }
    text.parse().ok().filter(|count| *count <= LARGEST_COUNT).ok_or_else(|| "the count is too large".to_owned())
}

/// A whole table of counts, from which what must not be seen is still to be taken.
#[derive(Debug)]
pub struct Counts {
    /// Its shape.
    pub cube: Cube,
    /// Persons, cell by cell; no row is 0.
    pub counts: Vec<u64>,
    /// Whether the totals were in the file.
    pub has_totals: bool,
    /// Columns that are neither a dimension nor the count.
    pub others: Vec<String>,
    columns: Columns,
    /// The dimensions and the count, in the order of the file's columns.
    header: Vec<String>,
    /// The cells in the order of the rows to be written.
    order: Vec<usize>,
}

impl Counts {
    /// Reads a table and holds its totals to its counts; without any total, all are computed.
    pub fn read(path: &Path, columns: &Columns) -> Result<Self> {
        let sheet = Sheet::read(path, columns)?;
        if sheet.is_rounded {
            return Err(Error::refused(format!("the numbers of `{}` are rounded", path.display()))
                .hint("protect the table with its true counts"));
        }
        if let Some(at) = sheet.by.iter().position(Option::is_none) {
            let has = format!("it has: {}", sheet.header.join(", "));
            return Err(no_column(path, &columns.by[at]).hint(has));
        }
        let cube = shape(std::slice::from_ref(&sheet), columns)?;
        let rows = sheet.cells(&cube, columns)?;
        let mut counts = vec![0; cube.len()];
        let mut given = counts.clone();
        for (cell, at) in &rows {
            let row = &sheet.rows[*at];
            let count = whole_number(&row.count)
                .map_err(|what| sheet.wrong(row, &what).hint("a count is a whole number of persons, 0 or more"))?;
            given[*cell] = count;
            if cube.is_inner(*cell) {
                counts[*cell] = count;
            }
        }
        sheet.has_no_hidden_total(&cube, columns, &rows, &counts)?;
        cube.fill_margins(&mut counts);
        if counts.iter().any(|count| *count > LARGEST_COUNT) {
            return Err(Error::refused(format!("the counts of `{}` are too large together", path.display()))
                .hint("a table counts persons; is this the right column?"));
        }
        let has_totals = rows.keys().any(|cell| !cube.is_inner(*cell));
        if has_totals {
            let mut totals: Vec<usize> = (0..cube.len()).filter(|cell| !cube.is_inner(*cell)).collect();
            let level = |cell: usize| (0..cube.dimensions().len()).map(|at| cube.level(cell, at)).sum::<usize>();
            totals.sort_by_key(|cell| (std::cmp::Reverse(level(*cell)), *cell));
            for cell in totals {
                let name = cube.name(cell, &columns.total);
                match rows.get(&cell) {
                    Some(at) if given[cell] != counts[cell] => {
                        return Err(sheet
                            .wrong(
                                &sheet.rows[*at],
                                &format!("{name} does not add up: its parts sum to another number"),
                            )
                            .hint("compare the line with its source; a row that is not there counts as 0"));
                    }
                    None if counts[cell] > 0 => {
                        return Err(Error::refused(format!("`{}` has no row for the total {name}", path.display()))
                            .hint("add it, or take all totals out: then they are computed"));
                    }
                    _ => {}
                }
            }
        }
        // A row that was not there must not be told by its place: then all rows are in the order of their labels.
        let is_complete = (0..cube.len()).all(|cell| rows.contains_key(&cell) || !cube.is_inner(cell));
        let mut by_row: Vec<(usize, usize)> = rows.iter().map(|(cell, at)| (*at, *cell)).collect();
        by_row.sort_unstable();
        let mut order: Vec<usize> =
            if is_complete { by_row.into_iter().map(|(_, cell)| cell).collect() } else { Vec::new() };
        let mut added: Vec<usize> = (0..cube.len()).filter(|cell| !is_complete || !rows.contains_key(cell)).collect();
        added.sort_by_cached_key(|cell| {
            // Totals come last.
            let key: BTreeMap<&str, Option<&str>> = cube.key(*cell).collect();
            let label = |name: &String| key.get(name.as_str()).map(|label| (label.is_none(), label.map(str::to_owned)));
            sheet.header.iter().filter_map(label).collect::<Vec<_>>()
        });
        order.extend(added);
        let is_kept = |name: &&String| **name == columns.count || columns.by.contains(name);
        let (header, others) = sheet.header.iter().cloned().partition(|name| is_kept(&name));
        Ok(Self { cube, counts, has_totals, others, columns: columns.clone(), header, order })
    }

    /// The protected table as CSV: the dimensions, the count (empty where suppressed) and the status. All suppressed
    /// cells look alike.
    pub fn render(&self, marks: &[Mark]) -> Result<Vec<u8>> {
        self.write(|cell| match (marks[cell], self.counts[cell]) {
            (Mark::Shown, 0) => ("0".to_owned(), "zero"),
            (Mark::Shown, count) => (count.to_string(), "shown"),
            _ => (String::new(), "suppressed"),
        })
    }

    /// The rounded table as CSV. All cells look alike: a multiple that stayed what it was cannot be told from the others,
    /// nor a 0 that was one.
    pub fn render_rounded(&self, rounded: &[u64]) -> Result<Vec<u8>> {
        self.write(|cell| (rounded[cell].to_string(), ROUNDED))
    }

    /// `cell` gives the number and the status of each.
    fn write(&self, cell: impl Fn(usize) -> (String, &'static str)) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("a protected table has no CSV form");
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.header.iter().map(String::as_str).chain([STATUS])).map_err(failed)?;
        for at in self.order.iter().copied() {
            let (count, status) = cell(at);
            let key: BTreeMap<&str, Option<&str>> = self.cube.key(at).collect();
            let value = |name: &String| match key.get(name.as_str()) {
                Some(label) => label.unwrap_or(&self.columns.total).to_owned(),
                None => count.clone(),
            };
            writer.write_record(self.header.iter().map(value).chain([status.to_owned()])).map_err(failed)?;
        }
        writer.into_inner().map_err(|_| Error::internal("a protected table has no CSV form"))
    }
}

/// One or several published tables as one.
#[derive(Debug)]
pub struct Published {
    /// The shape that holds them all.
    pub cube: Cube,
    /// What they say together, cell by cell.
    pub seen: Vec<Seen>,
    /// The cells that one of them suppresses.
    pub suppressed: Vec<usize>,
    /// Whether one of them has a total.
    pub has_totals: bool,
}

impl Published {
    /// Reads tables in which the same labels mean the same cells. A table without the column of a dimension is a total
    /// in it. A row that is missing among others of its kind, that is with the same dimensions in total, is unknown too.
    pub fn read(paths: &[PathBuf], columns: &Columns) -> Result<Self> {
        let sheets: Vec<Sheet> = paths.iter().map(|path| Sheet::read(path, columns)).collect::<Result<_>>()?;
        if let Some(at) = (0..columns.by.len()).find(|at| sheets.iter().all(|sheet| sheet.by[*at].is_none())) {
            let has = format!("it has: {}", sheets[0].header.join(", "));
            return Err(no_column(&sheets[0].path, &columns.by[at]).hint(has));
        }
        if let Some(sheet) = sheets.iter().find(|sheet| sheet.is_rounded) {
            let path = sheet.path.display();
            return Err(Error::usage(format!("`{path}` is rounded: no count in it is suppressed, so there is none to audit"))
                .hint("`phds protect --round` has proved what can be told of its numbers; audit tables with suppressed counts"));
        }
        let cube = shape(&sheets, columns)?;
        let mut seen: Vec<Option<(Seen, usize, u64)>> = vec![None; cube.len()];
        let mut suppressed = BTreeSet::new();
        let kind =
            |cell: usize| -> Vec<usize> { (0..cube.dimensions().len()).map(|at| cube.level(cell, at)).collect() };
        let mut kinds = BTreeSet::new();
        for (number, sheet) in sheets.iter().enumerate() {
            for (cell, at) in sheet.cells(&cube, columns)? {
                let row = &sheet.rows[at];
                let new = Self::value(&row.count).map_err(|what| {
                    sheet
                        .wrong(row, &what)
                        .hint("a count is a whole number, 0 or more; a suppressed one is empty, `*` or `<11`")
                })?;
                if !matches!(new, Seen::Count(_)) {
                    suppressed.insert(cell);
                }
                kinds.insert(kind(cell));
                match (seen[cell], new) {
                    (Some((Seen::Count(count), other, line)), Seen::Count(again)) if count != again => {
                        let name = cube.name(cell, &columns.total);
                        let what =
                            format!("{name} has another count in `{}`, line {line}", sheets[other].path.display());
                        return Err(sheet.wrong(row, &what).hint("tables of the same persons have the same counts"));
                    }
                    // A count tells more than a mark, and a mark more than nothing.
                    (Some((Seen::Count(_), ..)), _) | (Some((Seen::Below(_), ..)), Seen::Suppressed) => {}
                    _ => seen[cell] = Some((new, number, row.line)),
                }
            }
        }
        let is_missing = |cell: &usize| seen[*cell].is_none() && kinds.contains(&kind(*cell));
        suppressed.extend((0..cube.len()).filter(is_missing));
        let seen = (0..cube.len()).map(|cell| match seen[cell] {
            Some((seen, ..)) => seen,
            None if suppressed.contains(&cell) => Seen::Missing,
            None => Seen::Unpublished,
        });
        let has_totals = (0..cube.len()).any(|cell| !cube.is_inner(cell) && kinds.contains(&kind(cell)));
        Ok(Self { seen: seen.collect(), suppressed: suppressed.into_iter().collect(), has_totals, cube })
    }

    fn value(text: &str) -> std::result::Result<Seen, String> {
        if SUPPRESSED.contains(&text) {
            return Ok(Seen::Suppressed);
        }
        match text.strip_prefix('<') {
            Some(limit) => match whole_number(limit.trim())? {
                0 | 1 => Err("no count of 1 or more is below the mark".to_owned()),
                limit => Ok(Seen::Below(limit)),
            },
            None => whole_number(text).map(Seen::Count),
        }
    }
}
