//! This month's report against the last one. Reports alone are compared: no record of another month is looked at.

use super::report::{Document, Outcome, RuleOutcome};
use super::ruleset::{Kind, Ruleset, Total};

/// Fills in the rules that compare with the report of the last month that was loaded.
pub fn compare(document: &mut Document, rules: &Ruleset, previous: Option<&Document>) {
    for (at, rule) in rules.rules().iter().enumerate() {
        let findings = match (&rule.kind, previous) {
            (Kind::Changed { .. } | Kind::DeliveredAgain | Kind::ShareChanged { .. }, None) => {
                let outcome = &mut document.rules[at];
                outcome.outcome = Outcome::NotCheckable;
                outcome.reason.get_or_insert_with(|| "no earlier month is loaded".to_owned());
                continue;
            }
            (Kind::Changed { of, by }, Some(previous)) => changed(document, previous, *of, *by),
            (Kind::DeliveredAgain, Some(previous)) => (document.delivery.sha256 == previous.delivery.sha256)
                .then(|| format!("it is the file of {}", previous.reporting_period))
                .into_iter()
                .collect(),
            (Kind::ShareChanged { by }, Some(previous)) => shares_changed(&document.rules, previous, *by),
            _ => continue,
        };
        let outcome = &mut document.rules[at];
        outcome.checked = 1;
        outcome.failed = u64::from(!findings.is_empty());
        outcome.note = (!findings.is_empty()).then(|| findings.join(", "));
        outcome.outcome = match outcome {
            RuleOutcome { reason: Some(_), .. } => Outcome::NotCheckable,
            RuleOutcome { failed: 0, .. } => Outcome::Passed,
            _ => Outcome::Failed,
        };
    }
}

fn changed(document: &Document, previous: &Document, of: Total, by: f64) -> Vec<String> {
    let (what, before, now) = match of {
        Total::Rows => ("rows", previous.totals.read, document.totals.read),
        Total::Clients => ("clients", previous.clients, document.clients),
    };
    let is_far = share(before.abs_diff(now), before) > by;
    is_far.then(|| format!("{now} {what}, {before} in {}", previous.reporting_period)).into_iter().collect()
}

/// The rules of rows whose share of failures has moved by more than so much.
fn shares_changed(rules: &[RuleOutcome], previous: &Document, by: f64) -> Vec<String> {
    let of = |rule: &RuleOutcome| share(rule.failed, rule.checked);
    rules
        .iter()
        .filter(|rule| rule.checked > 1)
        .filter_map(|rule| {
            let before = previous.rules.iter().find(|before| before.code == rule.code && before.checked > 1)?;
            ((of(rule) - of(before)).abs() > by)
                .then(|| format!("{} {:.1} % after {:.1} %", rule.code, of(rule) * 100.0, of(before) * 100.0))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share, compared with a policy of two digits")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
