//! What the steward of the data does: severities of the department's own, and the rejected rows themselves.

use serde_json::Value;

use crate::support::{Month, TestContext};

const MONTH: &str = "\
CLIENT ID | BIRTH DATE | VACCINATION DATE | PROVIDER CITY
1         | 2015-06-15 | 2022-07-01       | AUSTIN
2         | 2015-06-15 | 2021-02-30       | Austin, Texas
3         | 2015-06-15 | 2017-12-31       | AUSTIN
4         | 2015-06-15 | 2022-07-01       | raw:AUS\"TIN
";

fn context(settings: &str) -> TestContext {
    let context = TestContext::new();
    context.put("month.csv", Month::of(MONTH).bytes());
    context.put("phds.toml", format!("store = 'store'\n[check]\nmax_rejected_share = 1.0\n{settings}"));
    context
}

fn rule(report: &Value, code: &str) -> Value {
    report["rules"].as_array().unwrap().iter().find(|rule| rule["code"] == code).unwrap().clone()
}

#[test]
fn a_department_gives_a_rule_another_severity_and_says_why() {
    let usual = context("");
    usual.phds("check month.csv --period 2024-12 --report out").done();
    assert_eq!(usual.json("out/report.json")["totals"]["rejected"], 2);
    let ours = context("[check.severity.PHDS-R05]\nseverity = 'reject'\nreason = 'agreed in our county'\n");
    let said = ours.phds("check month.csv --period 2024-12 --report out").done().text();
    assert!(said.contains("PHDS-R05  rejects") && said.contains("by your settings: agreed in our county"), "{said}");
    let report = ours.json("out/report.json");
    assert_eq!(report["totals"]["rejected"], 3);
    assert_eq!(rule(&report, "PHDS-R05")["policy"], "agreed in our county");
    assert_ne!(report["rules_edition"], usual.json("out/report.json")["rules_edition"]);
    assert!(ours.phds("explain PHDS-R05").done().text().contains("Policy:  your settings make it reject"));
}

#[test]
fn a_severity_needs_a_rule_that_can_have_it_and_a_reason() {
    for (settings, message) in [
        ("[check.severity.PHDS-Z99]\nseverity = 'reject'\nreason = 'x'", "there is no such rule"),
        (
            "[check.severity.PHDS-F03]\nseverity = 'review'\nreason = 'x'",
            "`check.severity.PHDS-F03`: this rule cannot be of severity `review`, but of `reject` only",
        ),
        ("[check.severity.PHDS-F09]\nseverity = 'reject'\nreason = 'x'", "but of `review` only"),
        ("[check.severity.PHDS-X01]\nseverity = 'reject'\nreason = 'x'", "but of `review` only"),
        ("[check.severity.PHDS-S02]\nseverity = 'review'\nreason = 'x'", "but of `refuse` only"),
        ("[check.severity.PHDS-R05]\nseverity = 'refuse'\nreason = 'x'", "but of `review` or `reject` only"),
        ("[check.severity.PHDS-H01]\nseverity = 'reject'\nreason = 'x'", "but of `review` or `refuse` only"),
        ("[check.severity.PHDS-H01]\nseverity = 'fail'\nreason = 'x'", "`reject`, `review`, `refuse`"),
        ("[check.severity.PHDS-R05]\nseverity = 'reject'\nreason = ' '", "say in `reason` why"),
        ("[check.severity.PHDS-R05]\nseverity = 'reject'", "missing field `reason`"),
    ] {
        let said = context(settings).phds("measures").ended(2).stderr;
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn rejected_rows_come_byte_for_byte_into_a_private_file() {
    let context = context("");
    context.phds("load month.csv --period 2024-12").done();
    let said = context.phds("rejects --period 2024-12 --out rejected-rows.csv").done();
    assert!(said.stdout.is_empty() && said.stderr.contains("They name people"), "{}", said.stderr);
    let month = context.read("month.csv");
    let rows: Vec<&[u8]> = month.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(context.read("rejected-rows.csv"), [rows[2], rows[4]].concat());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(context.path("rejected-rows.csv")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    context.phds("rejects --period 2024-12 --out rejected-rows.csv").ended(2);
    let said = context.phds("rejects --period 2024-12 --refused --out other.csv").ended(2).stderr;
    assert!(said.contains("no file of 2024-12 was refused in this store"), "{said}");
    context.phds("rejects --period 2024-11 --out other.csv").ended(2);
    // Another file in the place of the one that was checked gives no rows.
    let delivery = "store/deliveries/2024-12/month.csv";
    context.put(delivery, [&month[..], b"x"].concat());
    context.phds("rejects --period 2024-12 --out other.csv").ended(3);
    assert!(!context.path("other.csv").exists());
}

#[test]
fn the_rejected_rows_of_a_refused_correction_can_be_had_too() {
    let context = context("");
    context.phds("load month.csv --period 2024-12").done();
    let correction = Month::of("CLIENT ID | VACCINATION DATE\n1 | 2021-02-29\n2 | 2022-07-01\n3 | 1999-13-01\n");
    context.put("correction.csv", correction.bytes());
    context.put("strict.toml", "store = 'store'\n");
    let rows = |month: &[u8], wanted: [usize; 2]| {
        let rows: Vec<_> = month.split_inclusive(|byte| *byte == b'\n').collect();
        wanted.map(|row| rows[row]).concat()
    };
    let refused = rows(correction.bytes(), [1, 3]);
    context.phds("--config strict.toml load correction.csv --period 2024-12").ended(1);
    let said = context.phds("rejects --period 2024-12 --refused --out refused.csv").done().stderr;
    assert!(
        said.contains("2 rejected rows of the refused file `correction.csv` of 2024-12 are in `refused.csv`"),
        "{said}"
    );
    assert_eq!(context.read("refused.csv"), refused);
    context.phds("rejects --period 2024-12 --out loaded.csv").done();
    assert_eq!(context.read("loaded.csv"), rows(&context.read("month.csv"), [2, 4]));
    // Of a month that is not loaded, they are the only ones.
    context.phds("--config strict.toml load correction.csv --period 2024-11").ended(1);
    for (flag, name) in [("", "a.csv"), ("--refused", "b.csv")] {
        context.phds(&format!("rejects --period 2024-11 {flag} --out {name}")).done();
        assert_eq!(context.read(name), refused);
    }
}
