//! A file's `Profile` as it is reported: columns and organizations, with small counts hidden so that no sum tells them.

use serde::{Deserialize, Serialize};

use super::findings::Count;
use super::profile::{Counts, Distinct as Sketch, Line, Organization, Plan, Profile, shape};
use crate::calendar;
use crate::dictionary::{Codelist, Dictionary, names};
use crate::period::ReportingPeriod;

/// Shapes that are shown of a column.
const SHAPES: usize = 20;
/// Codes that are shown of a column: more than any codelist of the registry has.
const CODES: usize = 300;
/// Months that are shown of the vaccinations, up to the reporting period.
const MONTHS: i32 = 240;
/// Organizations that are shown.
const ORGANIZATIONS: usize = 200;

/// How many different values a column has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Distinct {
    /// Different values.
    pub count: u64,
    /// Relative standard error; absent when the count is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_error: Option<f64>,
}

/// Rows of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShapeRows {
    /// `9` is a digit, `A` a run of capitals, `a` a run of other letters; what follows 40 characters is `…`.
    pub shape: String,
    /// Rows with it; null when that would tell how few the rows of other shapes are.
    pub rows: Option<u64>,
}

/// Rows of one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CodeRows {
    /// The code in the codelist.
    pub code: String,
    /// Its label, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Rows with it; null when hidden: the code is there, and the count is small or would tell one that is.
    pub rows: Option<u64>,
}

/// Rows of one month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MonthRows {
    /// `YYYY-MM`.
    pub month: String,
    /// Rows; null when hidden.
    pub rows: Option<u64>,
}

/// One column of the file, over all rows that have the right shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Column {
    /// Name in the dictionary.
    pub name: String,
    /// Header as the file writes it.
    pub header: String,
    /// Whether a value of it singles out a person or a record: nothing is told of its values.
    pub identifier: bool,
    /// Rows with a value; null when the column is not read.
    pub present: Option<u64>,
    /// Rows without one.
    pub missing: Option<u64>,
    /// Rows with a value that does not fit: no date, no code of the list, another form.
    pub unfit: Option<u64>,
    /// Different values that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Distinct>,
    /// The most frequent shapes of dates, numbers and texts that fit, each of k rows or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<ShapeRows>,
    /// The codes that are there, the most frequent first, at most 300.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<CodeRows>,
    /// Of a date: the first year by whose end there are k rows or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_year: Option<i32>,
    /// Of a date: the last year from whose beginning on there are k rows or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_year: Option<i32>,
    /// Of the vaccination date: the months with rows, of the 20 years up to the reporting period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<MonthRows>,
}

impl Column {
    /// Whether there may be more codes than are told.
    pub fn codes_are_cut(&self) -> bool {
        self.codes.len() >= CODES
    }
}

/// The rows of one organization, or of several together. What is wrong with them is told exactly, as it is of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OrganizationRows {
    /// Its id; absent for several together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many organizations these are.
    pub organizations: u64,
    /// Well-formed rows.
    pub rows: u64,
    /// Of the rows: rejected.
    pub rejected: u64,
    /// Of the rows times `expected_columns`: values that are there and fit.
    pub usable: u64,
    /// Of the rows: with a day of vaccination.
    pub dated: u64,
    /// Of these: on the 1st or the 15th of a month; null when these are, or leave, 1 to k - 1. By chance, it would be 2 of
    /// 30.4 days.
    pub heaped: Option<u64>,
}

/// Quality by organization: the largest 200 of those with k rows and k clients, and all others together. Names are not
/// told: an organization may be one person's practice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Organizations {
    /// Why nothing is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Different organizations.
    pub organizations: u64,
    /// How many expected columns count towards `usable`.
    pub expected_columns: u64,
    /// The largest first.
    pub listed: Vec<OrganizationRows>,
    /// The small ones, and those after the 200th.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<OrganizationRows>,
    /// Well-formed rows without an organization.
    pub without: u64,
}

/// Which cells of a sum must not be shown, when the sum itself is known: those that are `forced`, those of 1 to k - 1,
/// and then the smallest others, until what is hidden is at least two cells of k together and no sum tells each of them.
fn hidden(counts: &[u64], k: u64, forced: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut hidden: Vec<bool> = (0..).zip(counts).map(|(at, count)| forced(at) || is_small(*count, k)).collect();
    let mut shown: Vec<usize> = (0..counts.len()).filter(|at| !hidden[*at] && counts[*at] > 0).collect();
    // The smallest last; of equals, the one that is named last.
    shown.sort_by_key(|at| (std::cmp::Reverse(counts[*at]), *at));
    let (mut cells, mut sum) = (0, 0);
    for count in counts.iter().zip(&hidden).filter(|(count, hidden)| **hidden && **count > 0).map(|(count, _)| *count) {
        cells += 1;
        sum += count;
    }
    // All of them 1, or all of them k - 1, are the only ways to some sums.
    while cells > 0 && (cells < 2 || sum < k || sum == cells || sum == cells * (k - 1)) {
        let Some(at) = shown.pop() else { break };
        hidden[at] = true;
        cells += 1;
        sum += counts[at];
    }
    hidden
}

fn is_small(count: u64, k: u64) -> bool {
    (1..k).contains(&count)
}

/// What the rules counted of one field.
#[derive(Clone, Debug, Default)]
pub struct FieldCounts {
    /// Whether a value must be there, when that was checked.
    pub presence: Option<Count>,
    /// Values whose form was checked.
    pub formed: Option<u64>,
    /// Rows of each format of a date, when there are several.
    pub formats: Vec<u64>,
}

/// The columns as they stand in the file: header and position of the field.
pub fn columns(
    profile: &Profile,
    dictionary: &Dictionary,
    file: &[(String, usize)],
    counted: impl Fn(usize) -> FieldCounts,
    (period, k): (ReportingPeriod, u64),
) -> Vec<Column> {
    let column = |(header, at): &(String, usize)| {
        let field = &dictionary.fields()[*at];
        let rules = counted(*at);
        let counts = &profile.columns[*at];
        let fit = fitting(counts);
        let present = rules.presence.map(|count| count.checked - count.failed).or(rules.formed).or(fit);
        let mut column = Column {
            name: field.name.clone(),
            header: header.clone(),
            identifier: matches!(counts, Counts::Identifier),
            present,
            missing: present.map(|present| profile.rows.saturating_sub(present)),
            unfit: present.zip(fit).map(|(present, fit)| present.saturating_sub(fit)),
            distinct: None,
            shapes: Vec::new(),
            codes: Vec::new(),
            first_year: None,
            last_year: None,
            months: Vec::new(),
        };
        match counts {
            Counts::Identifier => {}
            Counts::Codes(rows) => {
                let there = rows[..rows.len() - 1].iter().filter(|rows| **rows > 0).count() as u64;
                column.distinct = Some(Distinct { count: there, relative_error: None });
                column.codes = dictionary.codelist(field).map_or_else(Vec::new, |list| codes(rows, list, k));
            }
            Counts::Days(line) => {
                column.distinct = Some(of_line(line));
                let formats = if rules.formats.is_empty() { vec![fit.unwrap_or(0)] } else { rules.formats };
                let formats = field.formats.iter().zip(formats);
                column.shapes = shapes(formats.map(|(format, rows)| (shape(format.example()), rows)).collect(), k);
                let years: Vec<(i32, u64)> = line.each().map(|(day, rows)| (calendar::civil(day).0, rows)).collect();
                column.first_year = reached(years.iter(), k);
                column.last_year = reached(years.iter().rev(), k);
                if field.name == names::VACCINATION_DATE {
                    column.months = months(line, period, k);
                }
            }
            Counts::Numbers(line) => {
                column.distinct = Some(of_line(line));
                let mut by_shape = std::collections::BTreeMap::new();
                for (number, rows) in line.each() {
                    *by_shape.entry(shape(&number.to_string())).or_default() += rows;
                }
                column.shapes = shapes(by_shape.into_iter().collect(), k);
            }
            Counts::Texts { distinct, shapes: by_shape, .. } => {
                let (count, is_exact) = distinct.count();
                column.distinct = Some(Distinct { count, relative_error: (!is_exact).then_some(Sketch::ERROR) });
                let by_shape = by_shape.each().into_iter().flatten().map(|(shape, rows)| (shape.to_owned(), rows));
                column.shapes = shapes(by_shape.collect(), k);
            }
        }
        column
    };
    file.iter().map(column).collect()
}

/// Rows with a value that fits; `None` for an identifier.
fn fitting(counts: &Counts) -> Option<u64> {
    match counts {
        Counts::Identifier => None,
        Counts::Codes(rows) => Some(rows[..rows.len() - 1].iter().sum()),
        Counts::Days(line) | Counts::Numbers(line) => {
            Some(line.each().map(|(_, rows)| rows).sum::<u64>() + line.outside().iter().sum::<u64>())
        }
        Counts::Texts { present, .. } => Some(*present),
    }
}

/// Days before 1890 or after 2099, and numbers far beyond the usual, count as one value on either side.
fn of_line(line: &Line) -> Distinct {
    let outside = line.outside().iter().filter(|rows| **rows > 0).count();
    Distinct { count: (line.each().count() + outside) as u64, relative_error: None }
}

fn shapes(mut shapes: Vec<(String, u64)>, k: u64) -> Vec<ShapeRows> {
    shapes.retain(|(_, rows)| *rows > 0);
    shapes.sort_by(|(one, rows), (other, others)| others.cmp(rows).then_with(|| one.cmp(other)));
    let counts: Vec<u64> = shapes.iter().map(|(_, rows)| *rows).collect();
    let hidden = hidden(&counts, k, |at| at >= SHAPES);
    let told = shapes.into_iter().zip(hidden).take(SHAPES).filter(|((_, rows), _)| !is_small(*rows, k));
    told.map(|((shape, rows), hidden)| ShapeRows { shape, rows: (!hidden).then_some(rows) }).collect()
}

fn codes(rows: &[u64], list: &Codelist, k: u64) -> Vec<CodeRows> {
    let mut there: Vec<(usize, u64)> = rows[..rows.len() - 1].iter().copied().enumerate().collect();
    there.retain(|(_, rows)| *rows > 0);
    there.sort_by_key(|(at, rows)| (std::cmp::Reverse(*rows), *at));
    let counts: Vec<u64> = there.iter().map(|(_, rows)| *rows).collect();
    let hidden = hidden(&counts, k, |at| at >= CODES);
    let shown = there.into_iter().zip(hidden).take(CODES);
    shown
        .filter_map(|((at, rows), hidden)| {
            let code = list.codes().get(at)?;
            Some(CodeRows {
                code: code.code.clone(),
                label: (code.label != code.code).then(|| code.label.clone()),
                rows: (!hidden).then_some(rows),
            })
        })
        .collect()
}

/// The first of some years by which there are k rows.
fn reached<'a>(years: impl Iterator<Item = &'a (i32, u64)>, k: u64) -> Option<i32> {
    let mut sum = 0;
    years
        .map(|(year, rows)| {
            sum += rows;
            (*year, sum)
        })
        .find(|(_, sum)| *sum >= k)
        .map(|(year, _)| year)
}

fn months(line: &Line, period: ReportingPeriod, k: u64) -> Vec<MonthRows> {
    let number = |day| {
        let (year, month, _) = calendar::civil(day);
        year * 12 + month - 1
    };
    let last = number(calendar::day(period.first_day()));
    // The first cell is all rows of other months: it is part of the sum, and not shown.
    let mut cells = vec![(i32::MIN, line.outside().iter().sum::<u64>())];
    for (day, rows) in line.each() {
        let month = number(day);
        if !(last - MONTHS + 1..=last).contains(&month) {
            cells[0].1 += rows;
        } else if let Some(cell) = cells.last_mut().filter(|cell| cell.0 == month) {
            cell.1 += rows;
        } else {
            cells.push((month, rows));
        }
    }
    let counts: Vec<u64> = cells.iter().map(|(_, rows)| *rows).collect();
    let hidden = hidden(&counts, k, |_| false);
    let shown = cells.into_iter().zip(hidden).skip(1);
    shown
        .map(|((month, rows), hidden)| MonthRows {
            month: format!("{}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1),
            rows: (!hidden).then_some(rows),
        })
        .collect()
}

/// Quality by organization.
pub fn organizations(profile: &Profile, plan: &Plan, k: u64) -> Organizations {
    let all = &profile.organizations;
    let expected_columns = plan.expected() as u64;
    if all.too_many {
        return Organizations {
            reason: Some("there are more than 100,000 ids: the column holds something else".to_owned()),
            expected_columns,
            ..Organizations::default()
        };
    }
    let mut by_rows: Vec<(&str, &Organization)> = all.by_id.iter().map(|(id, one)| (id.as_ref(), one)).collect();
    by_rows.sort_by(|(one, rows), (other, others)| others.rows.cmp(&rows.rows).then_with(|| one.cmp(other)));
    let counts: Vec<u64> = by_rows.iter().map(|(_, one)| one.rows).collect();
    let mut shown = 0;
    let may_be_shown: Vec<bool> = by_rows
        .iter()
        .map(|(_, one)| {
            let may = one.rows >= k && one.clients() >= k && shown < ORGANIZATIONS;
            shown += usize::from(may);
            may
        })
        .collect();
    let hidden = hidden(&counts, k, |at| !may_be_shown[at]);
    let told = |id: Option<&str>, organizations: u64, one: &Organization| OrganizationRows {
        id: id.map(str::to_owned),
        organizations,
        rows: one.rows,
        rejected: one.rejected,
        usable: one.usable,
        dated: one.dated,
        heaped: Some(one.heaped).filter(|heaped| !is_small(*heaped, k) && !is_small(one.dated - heaped, k)),
    };
    let (mut listed, mut others, mut pooled) = (Vec::new(), Organization::default(), 0);
    for ((id, one), hidden) in by_rows.into_iter().zip(hidden) {
        if hidden {
            others.merge(one, 0);
            pooled += 1;
        } else {
            listed.push(told(Some(id), 1, one));
        }
    }
    let too_few = is_small(others.rows, k);
    Organizations {
        reason: too_few.then(|| format!("fewer than {k} rows name an organization")),
        organizations: all.by_id.len() as u64,
        expected_columns,
        listed,
        others: (pooled > 0 && !too_few).then(|| told(None, pooled, &others)),
        without: all.without,
    }
}

#[cfg(test)]
mod tests {

    use super::super::fields::{NO_CODE, NO_DATE, Values};
    use super::*;

    #[test]
    fn no_sum_tells_a_count_of_one_to_ten() {
        for (counts, expected) in [
            (&[100, 50, 0][..], "100 50 0"),
            (&[], ""),
            // One small count would be what is missing from the sum: the next one goes, too.
            (&[100, 50, 5], "100 – –"),
            (&[5], "–"),
            // Two are enough together.
            (&[100, 6, 5], "100 – –"),
            (&[100, 4, 5], "– – –"),
            (&[100, 50, 4, 5], "100 – – –"),
            // Twice 10 is the only way to 20, and eleven times 1 that to 11.
            (&[100, 10, 10], "– – –"),
            (&[100, 9, 10], "100 – –"),
            (&[100, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "– – – – – – – – – – – –"),
            (&[11, 10, 11], "11 – –"),
        ] {
            let hidden = hidden(counts, 11, |_| false);
            let told =
                counts.iter().zip(hidden).map(|(count, hidden)| if hidden { "–".into() } else { count.to_string() });
            assert_eq!(told.collect::<Vec<_>>().join(" "), expected, "{counts:?}");
        }
    }

    const ROWS: i32 = 60_000;

    /// Rows of 50,000 organizations: one with a tenth of the rows, some hundred of a hundred rows, and many of one row.
    fn rows(dictionary: &Dictionary, range: std::ops::Range<i32>) -> (Vec<Values>, Vec<i64>, Vec<bool>) {
        let organization = |row: i32| match row % 10 {
            0 => "largest".to_owned(),
            1 => format!("middle {}", row / 10 % 300),
            _ => format!("small {row} {}", "x".repeat(60)),
        };
        let first = calendar::day("2024-01-01".parse().unwrap());
        let columns = dictionary.fields().iter().map(|field| {
            let values = range.clone();
            match (field.name.as_str(), field.field_type) {
                (names::ORGANIZATION, _) => Values::Texts(values.map(|row| Some(organization(row))).collect()),
                (_, crate::dictionary::FieldType::Text) => {
                    Values::Texts(values.map(|row| (row % 7 > 0).then(|| format!("{row} Text"))).collect())
                }
                (_, crate::dictionary::FieldType::Date) => {
                    Values::Dates(values.map(|row| if row % 5 == 0 { NO_DATE } else { first + row % 366 }).collect())
                }
                (_, crate::dictionary::FieldType::Integer) => Values::Integers(values.map(|row| row % 900).collect()),
                (_, crate::dictionary::FieldType::Code) => {
                    let code = |row| u16::try_from(row % 260).ok().filter(|code| *code < 250).unwrap_or(NO_CODE);
                    Values::Codes(values.map(code).collect())
                }
            }
        });
        let columns = columns.collect();
        (
            columns,
            range.clone().map(|row| i64::from(row % 20_000) + 1).collect(),
            range.map(|row| row % 4 == 0).collect(),
        )
    }

    /// What is reported of the rows in so many parts, added one after the other or merged.
    fn reported(parts: i32, merge: bool) -> String {
        let dictionary = Dictionary::built_in().unwrap();
        let order: Vec<usize> = (0..dictionary.fields().len()).collect();
        let plan = Plan::new(&dictionary, &order, &["8  TEXT".to_owned()], 11);
        let mut profile = Profile::new(&plan);
        let step = ROWS / parts;
        // Merged from the last to the first: the order must not matter.
        for part in (0..parts).rev() {
            let (columns, clients, rejected) = rows(&dictionary, part * step..(part + 1) * step);
            if merge {
                let mut one = Profile::new(&plan);
                one.add(&plan, &columns, &clients, &rejected);
                profile.merge(one);
            } else {
                profile.add(&plan, &columns, &clients, &rejected);
            }
        }
        assert_eq!(profile.entities, [1, u64::try_from(ROWS - ROWS.div_euclid(7) - 2).unwrap()]);
        let file: Vec<(String, usize)> = order.iter().map(|at| (format!("column {at}"), *at)).collect();
        let period = "2024-12".parse().unwrap();
        let columns = columns(&profile, &dictionary, &file, |_| FieldCounts::default(), (period, 11));
        serde_json::to_string_pretty(&(columns, organizations(&profile, &plan, 11))).unwrap()
    }

    #[test]
    fn the_report_is_the_same_for_any_cut_and_stays_small() {
        let whole = reported(1, false);
        for parts in [2, 8, 60] {
            assert!(reported(parts, false) == whole && reported(parts, true) == whole, "{parts} parts");
        }
        assert!(whole.len() < 400_000, "{} bytes", whole.len());
        let told: serde_json::Value = serde_json::from_str(&whole).unwrap();
        let organizations = &told[1];
        assert_eq!(organizations["organizations"], 1 + 300 + 48_000);
        assert_eq!(organizations["listed"].as_array().unwrap().len(), 200);
        assert_eq!(organizations["listed"][0]["id"], "largest");
        assert_eq!(organizations["listed"][0]["rows"], 6_000);
        assert_eq!(organizations["others"]["organizations"], 48_101);
        assert!(!whole.contains("xxx") && !whole.contains("Text"), "a text of a row is in the report");
    }

    #[test]
    fn an_organization_of_few_clients_is_not_told() {
        let dictionary = Dictionary::built_in().unwrap();
        let at = dictionary.position(names::ORGANIZATION).unwrap();
        let plan = Plan::new(&dictionary, &[at], &[], 11);
        let of = |organizations: &[(&str, usize, i64)]| {
            let mut profile = Profile::new(&plan);
            let (mut ids, mut clients) = (Vec::new(), Vec::new());
            for (id, rows, different) in organizations {
                ids.extend(std::iter::repeat_n(*id, *rows));
                clients.extend((0..*rows).map(|row| 1 + i64::try_from(row).unwrap() % different));
            }
            let mut columns: Vec<Values> = dictionary.fields().iter().map(|_| Values::Unread).collect();
            columns[at] = Values::Texts(ids.into_iter().map(Some).collect());
            profile.add(&plan, &columns, &clients, &vec![false; clients.len()]);
            let told = super::organizations(&profile, &plan, 11);
            let mut text: Vec<String> = told
                .listed
                .iter()
                .chain(&told.others)
                .map(|one| format!("{} {}", one.id.as_deref().unwrap_or("others"), one.rows))
                .collect();
            text.push(told.others.map_or(0, |others| others.organizations).to_string());
            text.join(", ")
        };
        assert_eq!(of(&[("a", 30, 20), ("b", 11, 11)]), "a 30, b 11, 0");
        assert_eq!(of(&[("a", 30, 20), ("b", 20, 10), ("c", 5, 5)]), "a 30, others 25, 2");
        // A small one alone would be what is missing from the sum.
        assert_eq!(of(&[("a", 30, 20), ("b", 25, 20), ("c", 5, 5)]), "a 30, others 30, 2");
    }
}
