//! `report.html`: the report as one page for people. It needs no network and no script, and holds what `report.json` holds.

use quick_xml::escape::escape;

use super::chart;
use super::quality::{Column, OrganizationRows};
use super::report::{Document, Outcome, RuleOutcome, Verdict};
use crate::dictionary::names;
use crate::statistics::part_of;
use crate::words::grouped;

/// Light by default, dark where the reader's system is, black on white on paper.
const STYLE: &str = include_str!("page.css");
/// Organizations that are seen at once; the others unfold.
const ORGANIZATIONS: usize = 20;
/// Codes that are drawn of a column.
const CODES: usize = 15;
/// How much of the doses the 1st and the 15th would have by chance.
const HEAPED_BY_CHANCE: f64 = 2.0 / 30.4375;

/// The page of a report, beside that of the last month when there is one.
pub fn html(document: &Document, previous: Option<&Document>) -> String {
    let (class, verdict) = match document.verdict {
        Verdict::Accepted => ("accepted", "✓ Accepted: the month may be loaded."),
        Verdict::Refused => ("refused", "✗ Refused: the month is not loaded."),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Check of {period}</title>\n<style>\n{STYLE}</style></head>\n<body>\n<h1>Check of {period}</h1>\n\
         <p class=\"small\">{file}, {bytes} bytes, SHA-256 {sha}…</p>\n\
         <p class=\"verdict {class}\">{verdict}</p>\n",
        period = document.reporting_period,
        file = escape(&document.delivery.file_name),
        bytes = grouped(document.delivery.bytes),
        sha = document.delivery.sha256.get(..12).unwrap_or_default(),
    );
    page += &totals(document, previous);
    page += &findings(document, previous);
    if !document.columns.is_empty() {
        page += &months(document, previous);
        page += &columns(document);
        page += &codes(document, previous);
        page += &organizations(document);
    }
    page += &not_told(document);
    page += &format!(
        "<footer class=\"small\"><p>phds {}, dictionary {} {} ({}), rules {} ({}){}</p>\n\
         <p>For the staff of this health department. Counts of rules and rows are exact, also small ones; lines lead \
         whoever holds the delivery to a row. Of columns and organizations no count of 1 to {} is told, nor one that \
         would tell it: there is a – instead.</p></footer>\n</body>\n</html>\n",
        document.tool.version,
        escape(&document.dictionary.id),
        escape(&document.dictionary.version),
        document.dictionary.fingerprint,
        escape(&document.rules_edition.version),
        document.rules_edition.fingerprint,
        document.run.map_or_else(String::new, |run| {
            let memory = run.peak_memory_bytes.map_or_else(String::new, |bytes| {
                format!(", at most {} MB of memory", grouped(bytes.div_ceil(1_000_000)))
            });
            format!("; {:.1} s, {} MB/s{memory}", run.seconds, grouped(run.bytes_per_second / 1_000_000))
        }),
        document.k.saturating_sub(1),
    );
    page
}

/// Rows in = kept + rejected, drawn; and the same of the last month.
fn totals(document: &Document, previous: Option<&Document>) -> String {
    let totals = document.totals;
    let mut text = format!(
        "<p class=\"sum\">{} rows in = <strong>{} kept</strong> + {} rejected ({})</p>\n",
        grouped(totals.read),
        grouped(totals.accepted),
        grouped(totals.rejected),
        percent(totals.rejected, totals.read),
    );
    text += &chart::parts("rows", "Rows in this file", &[("kept", totals.accepted), ("rejected", totals.rejected)]);
    let was = previous.map(|previous| (previous.reporting_period.to_string(), previous));
    text += "<table class=\"totals\"><tr><th><th class=\"n\">This file";
    if let Some((period, _)) = &was {
        text += &format!("<th class=\"n\">{period}<th class=\"n\">Change");
    }
    let organizations = |document: &Document| document.organizations.organizations;
    for (name, of) in [
        ("Rows", &(|document: &Document| document.totals.read) as &dyn Fn(&Document) -> u64),
        ("Kept", &|document| document.totals.accepted),
        ("Rejected", &|document| document.totals.rejected),
        ("Clients", &|document| document.clients),
        ("Organizations", &organizations),
    ] {
        let now = of(document);
        text += &format!("\n<tr><th scope=\"row\">{name}<td class=\"n\">{}", grouped(now));
        if let Some((_, before)) = &was {
            let before = of(before);
            text += &format!("<td class=\"n\">{}<td class=\"n\">{}", grouped(before), difference(now, before));
        }
    }
    text + "</table>\n"
}

/// The rules that failed, those that do most damage first.
fn findings(document: &Document, previous: Option<&Document>) -> String {
    let failed = document.by_damage();
    if failed.is_empty() {
        return "<h2>Findings</h2>\n<p>None.</p>\n".to_owned();
    }
    let before = |rule: &RuleOutcome| {
        let of_rows = |before: &&RuleOutcome| before.code == rule.code && before.checked > 1;
        previous.and_then(|previous| previous.rules.iter().find(of_rows))
    };
    let found = failed.iter().flat_map(|rule| [Some(rule.failed), before(rule).map(|before| before.failed)]);
    let most = found.flatten().max().unwrap_or(1);
    let mut text = "<h2>Findings</h2>\n<table><tr><th>Does<th>Rule<th>Where<th class=\"n\">Share".to_owned();
    if let Some(previous) = previous {
        text += &format!("<th class=\"n\">{}", previous.reporting_period);
    }
    text += "<th>Found\n";
    for rule in failed {
        let lines = rule.first_lines.iter().take(2).map(u64::to_string).collect::<Vec<_>>().join(", ");
        let remarks: Vec<String> = rule
            .note
            .iter()
            .chain(&rule.policy)
            .chain(&rule.reason)
            .map(|remark| escape(remark).into_owned())
            .collect();
        let word = rule.severity.word();
        text += &format!(
            "<tr><td><span class=\"does {word}\">{word}</span><td><strong>{}</strong> {}",
            rule.code,
            escape(&rule.title),
        );
        if !remarks.is_empty() {
            text += &format!("<br><span class=\"small\">{}</span>", remarks.join("; "));
        }
        text += "<td class=\"small line\">";
        if !lines.is_empty() {
            text += &format!("line {lines}{}", if rule.failed > 2 { ", …" } else { "" });
        }
        // A rule about the whole file has no share.
        let share = |rule: &RuleOutcome| match rule.checked {
            0 | 1 => String::new(),
            checked => percent(rule.failed, checked),
        };
        let then = before(rule);
        text += &format!("<td class=\"n\">{}", share(rule));
        if previous.is_some() {
            text += &format!("<td class=\"n\">{}", then.map(share).unwrap_or_default());
        }
        text += &format!("<td class=\"share\">{}{}", grouped(rule.failed), bar(word, part_of(rule.failed, most)));
        if let Some(then) = then {
            text += &bar("before", part_of(then.failed, most));
        }
        text += "\n";
    }
    text + "</table>\n<p class=\"small\">A share is of what the rule looks at: all rows, all values of some columns, \
            or the rows with one vaccine. `phds explain CODE` says what a rule means and what to do.</p>\n"
}

/// Rows by month of vaccination, of this file and of the last one.
fn months(document: &Document, previous: Option<&Document>) -> String {
    let of = |document: &Document| -> Vec<(i32, Option<u64>)> {
        let column = document.columns.iter().find(|column| column.name == names::VACCINATION_DATE);
        let months = column.map_or(&[][..], |column| &column.months);
        let told = months.iter().skip_while(|month| month.rows.is_none());
        told.filter_map(|month| Some((counted(&month.month)?, month.rows))).collect()
    };
    let (now, before) = (of(document), previous.map(of).unwrap_or_default());
    if now.is_empty() {
        return String::new();
    }
    let mut text = "<h2>Doses by month</h2>\n".to_owned();
    text += &chart::months("months", "Rows by month of vaccination", &now, &before);
    let key = match previous {
        Some(previous) if !before.is_empty() => {
            format!(
                "<span class=\"now\">— this file</span>, <span class=\"before\">- - {}</span>. ",
                previous.reporting_period
            )
        }
        _ => String::new(),
    };
    text += &format!(
        "<p class=\"small\">{key}The last months grow for some time, because doses are reported late.</p>\n\
         <details><summary>The numbers</summary><table><tr><th>Month<th class=\"n\">Rows{}\n",
        if before.is_empty() { "" } else { "<th class=\"n\">Last month's file<th class=\"n\">Change" }
    );
    for (month, rows) in now.iter().rev() {
        text += &format!("<tr><td>{}<td class=\"n\">{}", chart::named(*month), or_dash(*rows));
        if !before.is_empty() {
            let then = before.iter().find(|(other, _)| other == month).map_or(Some(0), |(_, rows)| *rows);
            let change = rows.zip(then).map(|(now, then)| difference(now, then));
            text += &format!("<td class=\"n\">{}<td class=\"n\">{}", or_dash(then), change.unwrap_or_default());
        }
        text += "\n";
    }
    text + "</table></details>\n"
}

/// Months from year 0 of `YYYY-MM`.
fn counted(month: &str) -> Option<i32> {
    let (year, month) = month.split_once('-')?;
    Some(year.parse::<i32>().ok()? * 12 + month.parse::<i32>().ok()? - 1)
}

/// What each column holds, and what of it is missing.
fn columns(document: &Document) -> String {
    let mut text = "<h2>Columns</h2>\n<table><tr><th>Column<th>Missing<th>Does not fit<th class=\"n\">Different values\
                    <th>Most frequent forms\n"
        .to_owned();
    for column in &document.columns {
        let rows = column.present.unwrap_or(0) + column.missing.unwrap_or(0);
        let share = |part: Option<u64>, class: &str| {
            part.map_or_else(
                || "–".to_owned(),
                |part| format!("{}{}", percent(part, rows), bar(class, part_of(part, rows))),
            )
        };
        text += &format!("<tr><th scope=\"row\">{}", escape(&column.header));
        if column.present.is_none() {
            text += "<td colspan=\"4\" class=\"small\">identifies a person or a record: not read\n";
            continue;
        }
        text += &format!("<td class=\"share\">{}", share(column.missing, "missing"));
        if column.identifier {
            text +=
                "<td colspan=\"3\" class=\"small\">identifies a person or a record: nothing is told of its values\n";
            continue;
        }
        let distinct = column.distinct.as_ref().map_or_else(String::new, |distinct| {
            let about = if distinct.relative_error.is_some() { "about " } else { "" };
            format!("{about}{}", grouped(distinct.count))
        });
        let shapes = column.shapes.iter().take(3).map(|shape| format!("<code>{}</code>", escape(&shape.shape)));
        let years = column.first_year.zip(column.last_year).map(|(first, last)| format!("from {first} to {last}"));
        let forms: Vec<String> = shapes.chain(years).collect();
        let unfit = share(column.unfit, "unfit");
        text += &format!("<td class=\"share\">{unfit}<td class=\"n\">{distinct}<td>{}\n", forms.join(" "));
    }
    text + "</table>\n"
}

/// The codes of each column that has some, beside the last month.
fn codes(document: &Document, previous: Option<&Document>) -> String {
    let mut text = String::new();
    for column in document.columns.iter().filter(|column| !column.codes.is_empty()) {
        let before = previous.and_then(|previous| previous.columns.iter().find(|other| other.name == column.name));
        let fit = |column: &Column| column.present.unwrap_or(0).saturating_sub(column.unfit.unwrap_or(0));
        let most = column.codes.iter().filter_map(|code| code.rows).max().unwrap_or(0);
        text += &format!("<details><summary>{}: ", escape(&column.header));
        let first = column.codes.iter().take(3).map(|code| escape(code.label.as_ref().unwrap_or(&code.code)));
        text += &first.collect::<Vec<_>>().join(", ");
        text += if column.codes.len() > 3 { ", …" } else { "" };
        text += "</summary><table><tr><th>Code<th class=\"n\">Rows<th>Share";
        text += if before.is_some() { "<th class=\"n\">Last month\n" } else { "\n" };
        for code in column.codes.iter().take(CODES) {
            let label = code.label.as_ref().map(|label| format!(" {}", escape(label))).unwrap_or_default();
            text += &format!(
                "<tr><td>{}{label}<td class=\"n\">{}<td class=\"share\">",
                escape(&code.code),
                or_dash(code.rows)
            );
            if let Some(rows) = code.rows {
                text += &format!("{}{}", percent(rows, fit(column)), bar("now", part_of(rows, most)));
            }
            if let Some(before) = before {
                let then = before.codes.iter().find(|other| other.code == code.code).and_then(|code| code.rows);
                text += "<td class=\"n\">";
                text += &then.map_or_else(|| "–".to_owned(), |rows| percent(rows, fit(before)));
            }
            text += "\n";
        }
        text += "</table>";
        if column.codes.len() > CODES {
            let more = column.codes.len() - CODES;
            text += &format!("<p class=\"small\">{more} more codes are in report.json.</p>");
        }
        text += "</details>\n";
    }
    if text.is_empty() { text } else { format!("<h3>Codes</h3>\n{text}") }
}

/// Quality by organization.
fn organizations(document: &Document) -> String {
    let quality = &document.organizations;
    let mut text = "<h2>Quality by organization</h2>\n".to_owned();
    if let Some(reason) = &quality.reason {
        return format!("{text}<p>Not told: {}.</p>\n", escape(reason));
    }
    if quality.organizations == 0 {
        return format!("{text}<p>No row names an organization.</p>\n");
    }
    text += &format!(
        "<p>{} organizations. <em>Complete</em> is the share of the values that are expected, there and fit. By chance, \
         {:.1} % of doses would be on the 1st or 15th of a month; many more mean that days were made up. ▲ marks what is \
         worth a question. {} rows name no organization.</p>\n",
        grouped(quality.organizations),
        HEAPED_BY_CHANCE * 100.0,
        grouped(quality.without),
    );
    let head = "<table><tr><th>Organization<th class=\"n\">Rows<th>Rejected<th>Complete<th>On the 1st or 15th\n";
    let row = |one: &OrganizationRows| {
        let name = match &one.id {
            Some(id) => escape(id).into_owned(),
            None => format!("{} others", grouped(one.organizations)),
        };
        let share = |part: u64, whole: u64, class: &str, full: f64, is_bad: &dyn Fn(f64) -> bool| {
            let share = part_of(part, whole);
            let mark = if is_bad(share) { " ▲" } else { "" };
            format!("{}{mark}{}", percent(part, whole), bar(class, share / full))
        };
        let all_rejected = part_of(document.totals.rejected, document.totals.read);
        let heaped = one.heaped.map_or_else(
            || "–".to_owned(),
            |heaped| share(heaped, one.dated, "heaped", 0.5, &|share| share > HEAPED_BY_CHANCE * 2.0),
        );
        format!(
            "<tr><th scope=\"row\">{name}<td class=\"n\">{}<td class=\"share\">{}<td class=\"share\">{}\
             <td class=\"share\">{heaped}\n",
            grouped(one.rows),
            share(one.rejected, one.rows, "reject", 1.0, &|share| share > 0.01 && share > all_rejected * 3.0),
            share(one.usable, one.rows * quality.expected_columns, "now", 1.0, &|share| share < 0.9),
        )
    };
    let (first, more) = quality.listed.split_at(quality.listed.len().min(ORGANIZATIONS));
    text += head;
    text.extend(first.iter().chain(&quality.others).map(row));
    text += "</table>\n";
    if !more.is_empty() {
        text += &format!("<details><summary>{} more organizations</summary>{head}", more.len());
        text.extend(more.iter().map(row));
        text += "</table></details>\n";
    }
    text + &format!(
        "<p class=\"small\">Organizations with fewer than {k} rows or {k} clients are among the others, and names are not \
         told: an organization may be one person's practice.</p>\n",
        k = document.k
    )
}

/// The rules that could not be checked, each with its reason, and how many passed.
fn not_told(document: &Document) -> String {
    let passed = document.rules.iter().filter(|rule| rule.outcome == Outcome::Passed).count();
    let mut text = format!("<h2>What this file cannot tell</h2>\n<p>{passed} rules passed.");
    let not_checkable: Vec<_> = document.rules.iter().filter(|rule| rule.outcome == Outcome::NotCheckable).collect();
    text += &format!(" {} could not be checked.</p>\n<ul>\n", not_checkable.len());
    for rule in not_checkable {
        let reason = escape(rule.reason.as_deref().unwrap_or_default());
        text += &format!("<li>{}: {} <span class=\"small\">({reason})</span></li>\n", rule.code, escape(&rule.title));
    }
    text + "</ul>\n"
}

/// A bar under a number, which says the same.
fn bar(class: &str, share: f64) -> String {
    let drawn = if share > 0.0 {
        format!("<span class=\"{class}\" style=\"width:{:.1}%\"></span>", share.min(1.0) * 100.0)
    } else {
        String::new()
    };
    format!("<span class=\"bar\" aria-hidden=\"true\">{drawn}</span>")
}

/// A count, or a dash where it is hidden.
fn or_dash(count: Option<u64>) -> String {
    count.map_or_else(|| "–".to_owned(), grouped)
}

/// How far a count is from another, with its sign.
fn difference(now: u64, before: u64) -> String {
    let (sign, by) = if now >= before { ("+", now - before) } else { ("−", before - now) };
    match by {
        0 => "0".to_owned(),
        _ if before == 0 => format!("{sign}{}", grouped(by)),
        _ => format!("{sign}{} ({sign}{})", grouped(by), percent(by, before)),
    }
}

/// A share with two digits that tells 0 from nearly 0.
fn percent(part: u64, whole: u64) -> String {
    let share = part_of(part, whole) * 100.0;
    if part > 0 && share < 0.01 { "< 0.01 %".to_owned() } else { format!("{share:.2} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(
            [(0, 10), (1, 1_000_000), (1, 8)].map(|(part, whole)| percent(part, whole)),
            ["0.00 %", "< 0.01 %", "12.50 %"]
        );
        assert_eq!(
            [(5, 5), (110, 100), (90, 100), (3, 0)].map(|(now, before)| difference(now, before)),
            ["0", "+10 (+10.00 %)", "−10 (−10.00 %)", "+3"]
        );
        assert_eq!(counted("2024-12").map(chart::named).as_deref(), Some("2024-12"));
    }
}
