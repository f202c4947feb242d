//! `report.html`: the report as one page for people. It needs no network and no script, and holds what `report.json` holds.

use super::report::{Document, Outcome, RuleOutcome, Verdict};
use super::ruleset::Severity;
use crate::figures::grouped;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;\
background:#fff}h1{margin-bottom:0}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;\
border-bottom:1px solid #ccc;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.verdict{font-size:1.3rem;padding:.6rem 1rem;border-left:.5rem solid}.accepted{border-color:#1b7837;background:#eef7f0}\
.refused{border-color:#b2182b;background:#fbeeee}.bar{display:block;height:.5rem;background:#555;min-width:1px}\
.small{color:#555;font-size:.9rem}";

/// The page of a report, beside that of the last month when there is one.
pub fn html(document: &Document, previous: Option<&Document>) -> String {
    let totals = document.totals;
    let (class, verdict) = match document.verdict {
        Verdict::Accepted => ("accepted", "Accepted: the month may be loaded."),
        Verdict::Refused => ("refused", "Refused: the month is not loaded."),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Check of {period}</title><style>{STYLE}</style>\n<h1>Check of {period}</h1>\n\
         <p class=\"small\">{file}, {bytes} bytes, SHA-256 {sha}…</p>\n\
         <p class=\"verdict {class}\">{verdict}</p>\n\
         <p>{read} rows in = <strong>{accepted} kept</strong> + {rejected} rejected ({share}), of {clients} clients.</p>\n",
        period = document.reporting_period,
        file = escaped(&document.delivery.file_name),
        bytes = grouped(document.delivery.bytes),
        sha = document.delivery.sha256.get(..12).unwrap_or_default(),
        read = grouped(totals.read),
        accepted = grouped(totals.accepted),
        rejected = grouped(totals.rejected),
        share = percent(totals.rejected, totals.read),
        clients = grouped(document.clients),
    );
    if let Some(previous) = previous {
        page += &format!(
            "<p>In {}: {} rows, {} rejected ({}), {} clients.</p>\n",
            previous.reporting_period,
            grouped(previous.totals.read),
            grouped(previous.totals.rejected),
            percent(previous.totals.rejected, previous.totals.read),
            grouped(previous.clients),
        );
    }
    page += &findings(document, previous);
    page += "<h2>What this file cannot tell</h2>\n<ul>\n";
    for rule in document.rules.iter().filter(|rule| rule.outcome == Outcome::NotCheckable) {
        let reason = escaped(rule.reason.as_deref().unwrap_or_default());
        page += &format!("<li>{}: {} <span class=\"small\">({reason})</span></li>\n", rule.code, escaped(&rule.title));
    }
    let passed = document.rules.iter().filter(|rule| rule.outcome == Outcome::Passed).count();
    page += &format!("</ul>\n<p>{passed} further rules passed.</p>\n");
    page += &columns(document);
    page += &format!(
        "<p class=\"small\">phds {}, dictionary {} {} ({}), rules {} ({}). For the staff of this health department: \
         counts are exact, also small ones. Lines lead whoever holds the delivery to a row.</p>\n</html>\n",
        document.tool.version,
        escaped(&document.dictionary.id),
        escaped(&document.dictionary.version),
        document.dictionary.fingerprint,
        escaped(&document.rules_edition.version),
        document.rules_edition.fingerprint,
    );
    page
}

/// The rules that failed, those that do most damage first.
fn findings(document: &Document, previous: Option<&Document>) -> String {
    let mut failed: Vec<&RuleOutcome> = document.rules.iter().filter(|rule| rule.outcome == Outcome::Failed).collect();
    let damage = |severity: Severity| match severity {
        Severity::Refuse => 0,
        Severity::Reject => 1,
        Severity::Review => 2,
    };
    failed.sort_by_key(|rule| (damage(rule.severity), std::cmp::Reverse(rule.failed)));
    if failed.is_empty() {
        return "<h2>Findings</h2>\n<p>None.</p>\n".to_owned();
    }
    let most = failed.iter().map(|rule| rule.failed).max().unwrap_or(1);
    let mut text = "<h2>Findings</h2>\n<table><tr><th>Rule<th>Does<th class=\"n\">Found<th class=\"n\">Share\
                    <th class=\"n\">Last month<th>Where\n"
        .to_owned();
    for rule in failed {
        let before = previous.and_then(|previous| previous.rules.iter().find(|before| before.code == rule.code));
        let lines = rule.first_lines.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ");
        let remarks: Vec<String> =
            rule.note.iter().chain(&rule.policy).chain(&rule.reason).map(|remark| escaped(remark)).collect();
        text += &format!(
            "<tr><td><strong>{}</strong> {}<span class=\"bar\" style=\"width:{}%\"></span>\
             <span class=\"small\">{}</span><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}\n",
            rule.code,
            escaped(&rule.title),
            rule.failed * 100 / most.max(1),
            remarks.join("; "),
            rule.severity.word(),
            grouped(rule.failed),
            percent(rule.failed, rule.checked),
            before.map_or_else(|| "-".to_owned(), |before| percent(before.failed, before.checked)),
            if lines.is_empty() {
                String::new()
            } else {
                format!("line {lines}{}", if rule.failed > 5 { ", …" } else { "" })
            },
        );
    }
    text + "</table>\n<p class=\"small\">`phds explain CODE` says what a rule means and what to do.</p>\n"
}

/// How many values of each column broke a rule.
fn columns(document: &Document) -> String {
    let mut failed: std::collections::BTreeMap<&str, (u64, u64)> = std::collections::BTreeMap::new();
    for by_column in document.rules.iter().flat_map(|rule| &rule.by_column) {
        let (sum, most) = failed.entry(&by_column.column).or_default();
        *sum += by_column.failed;
        *most = by_column.checked.max(*most);
    }
    if failed.is_empty() {
        return String::new();
    }
    let mut text =
        "<h2>Columns</h2>\n<table><tr><th>Column<th class=\"n\">Values<th class=\"n\">Findings<th class=\"n\">Share\n"
            .to_owned();
    for (column, (sum, most)) in failed {
        text += &format!(
            "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}\n",
            escaped(column),
            grouped(most),
            grouped(sum),
            percent(sum, most)
        );
    }
    text + "</table>\n"
}

/// A share with two digits that tells 0 from nearly 0.
fn percent(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    if part > 0 && share < 0.01 { "< 0.01 %".to_owned() } else { format!("{share:.2} %") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
