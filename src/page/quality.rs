//! How good the file of the month is, from the check's report: shares and outcomes, and nothing of few rows.

use super::html::escaped;
use crate::check::report::{Document, Outcome, RuleOutcome, Verdict};
use crate::check::ruleset::Severity;
use crate::statistics::real;
use crate::words::{list, percent};

/// What stands in place of a share that few rows are behind.
const FEW: &str = "<td class=\"n striped\"><span>few rows</span>";

/// Verdict, rejected rows, rules that failed, rules that cannot be checked, and what is missing.
pub fn html(document: &Document) -> String {
    let verdict = match document.verdict {
        Verdict::Accepted => "The file was accepted.",
        Verdict::Refused => "The file was refused.",
    };
    let totals = document.totals;
    let rejected = share(totals.rejected, totals.read, document.k);
    let mut text = format!(
        "<p>{verdict} {} Shares that few rows are behind are not told.</p>\n",
        match rejected {
            Some(_) if totals.rejected == 0 => "No row was rejected.".to_owned(),
            Some(share) => format!("{} of its rows were rejected and are in no number of this page.", percent(share)),
            None => "Few of its rows were rejected.".to_owned(),
        }
    );
    text += &findings(document);
    text += &completeness(document);
    let not_checkable: Vec<&RuleOutcome> =
        document.rules.iter().filter(|rule| rule.outcome == Outcome::NotCheckable).collect();
    if !not_checkable.is_empty() {
        text += "<h3>What this file cannot tell</h3>\n<details class=\"caveats\"><summary>Rules that could not be checked\
                 </summary>\n<ul>\n";
        for rule in not_checkable {
            let reason = escaped(rule.reason.as_deref().unwrap_or_default());
            text += &format!("<li>{}: {} ({reason})\n", escaped(&rule.code), escaped(&rule.title));
        }
        text += "</ul>\n</details>\n";
    }
    text
}

/// The rules that rows broke, those that do most damage first.
fn findings(document: &Document) -> String {
    let failed = document.by_damage();
    if failed.is_empty() {
        return "<h3>Rules that rows broke</h3>\n<p>None.</p>\n".to_owned();
    }
    let mut text = "<h3>Rules that rows broke</h3>\n<p>A share is of what a rule looks at: all rows, all values \
                    of some columns, or the rows with one vaccine.</p>\n<div class=\"wide\" role=\"group\" tabindex=\"0\" \
                    aria-label=\"Table: rules that rows broke\">\n<table>\n<thead><tr><th scope=\"col\">Rule\
                    <th scope=\"col\">What is wrong<th scope=\"col\">What happens<th scope=\"col\" class=\"n\">Share</thead>\n<tbody>\n"
        .to_owned();
    for rule in failed {
        let does = match rule.severity {
            Severity::Refuse => "the file is refused",
            Severity::Reject => "the row is rejected",
            // A rule about the whole file has looked at one thing.
            Severity::Review if rule.checked < 2 => "the file is loaded",
            Severity::Review => "the row is kept",
        };
        let (code, title) = (escaped(&rule.code), escaped(&rule.title));
        text += &format!("<tr><th scope=\"row\">{code}<td>{title}<td>{does}");
        text += &match share(rule.failed, rule.checked, document.k) {
            // A rule about the whole file has no share.
            _ if rule.checked < 2 => "<td class=\"n\">the file".to_owned(),
            Some(share) => format!("<td class=\"n\">{}", percent(share)),
            None => FEW.to_owned(),
        };
        text += "\n";
    }
    text + "</tbody></table></div>\n"
}

/// What share of rows has no value, for each column that is read, the largest first.
fn completeness(document: &Document) -> String {
    let columns = document.columns.iter().filter(|column| !column.identifier);
    let mut counted: Vec<_> = columns.filter_map(|column| Some((column, column.missing?, column.present?))).collect();
    counted.sort_by_key(|(_, missing, _)| std::cmp::Reverse(*missing));
    let (some, whole): (Vec<_>, Vec<_>) = counted.into_iter().partition(|(_, missing, _)| *missing > 0);
    let whole: Vec<String> = whole.iter().map(|(column, ..)| column.header.clone()).collect();
    let nothing = if whole.is_empty() {
        String::new()
    } else {
        format!("<p>Nothing is missing in {}.</p>\n", escaped(&list(&whole)))
    };
    let mut rows = String::new();
    for (column, missing, present) in some {
        rows += &format!("<tr><th scope=\"row\">{}", escaped(&column.header));
        rows += &match share(missing, missing + present, document.k) {
            Some(share) => format!(
                "<td class=\"n\">{}<td class=\"amount\" aria-hidden=\"true\"><span style=\"width:{:.1}%\"></span>",
                percent(share),
                share * 100.0
            ),
            None => format!("{FEW}<td>"),
        };
        rows += "\n";
    }
    let heading = "<h3>What is missing in each column</h3>\n";
    if rows.is_empty() {
        return if nothing.is_empty() { nothing } else { format!("{heading}{nothing}") };
    }
    format!(
        "{heading}<div class=\"wide\" role=\"group\" tabindex=\"0\" \
         aria-label=\"Table: what is missing in each column\">\n<table>\n<thead><tr><th scope=\"col\">Column\
         <th scope=\"col\" class=\"n\">Share of rows without a value<td></thead>\n<tbody>\n{rows}</tbody></table></div>\n{nothing}"
    )
}

/// A part of rows, 0 to 1; none where the part or the rest are 1 to k - 1 rows, or there is nothing.
fn share(part: u64, whole: u64, k: u64) -> Option<f64> {
    let is_small = |count: u64| (1..k).contains(&count);
    (whole > 0 && !is_small(part) && !is_small(whole.saturating_sub(part))).then(|| real(part) / real(whole))
}
