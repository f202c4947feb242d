//! What the steward of the data does: severities of the department's own, and the rejected rows themselves.

use serde_json::Value;

use crate::support::{Month, TestContext, csv_rows};

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
    assert!(
        said.contains("PHDS-R05  rejects") && said.contains("your settings make it reject: agreed in our county"),
        "{said}"
    );
    let report = ours.json("out/report.json");
    assert_eq!(report["totals"]["rejected"], 3);
    assert_eq!(rule(&report, "PHDS-R05")["policy"], "your settings make it reject: agreed in our county");
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

/// The example of CONTRIBUTING.md, and what else a department may write.
#[test]
fn a_department_has_rules_of_its_own_and_changes_the_built_in_ones() {
    let contributing = include_str!("../../CONTRIBUTING.md");
    let start = contributing.find("version = \"2026.5 Hill County 1\"").unwrap();
    let example = &contributing[start..start + contributing[start..].find("```").unwrap()];
    let ours = context("rules = 'rules.toml'\n[check.severity.PHDS-R05]\nseverity = 'reject'\nreason = 'agreed'\n");
    ours.put("rules.toml", example);
    let month = "\
CLIENT ID | BIRTH DATE | VACCINATION DATE
1         | 1899-12-31 | 2022-07-01
2         | 1900-01-01 | 2022-07-01
3         | 1900-01-02 | 2022-07-01
4         | 2015-06-15 | 2017-12-31
";
    ours.put("month.csv", Month::of(month).bytes());
    ours.phds("check month.csv --period 2024-12 --report out").done();
    let report = ours.json("out/report.json");
    assert_eq!(report["totals"]["rejected"], 3);
    assert_eq!(rule(&report, "HILL-01")["failed"], 2);
    assert_eq!(rule(&report, "HILL-01")["first_lines"], serde_json::json!([2, 3]));
    assert_eq!(report["rules_edition"]["version"], "2026.5 Hill County 1");
    let changed = rule(&report, "PHDS-H01")["policy"].as_str().unwrap().to_owned();
    assert_eq!(changed, "your rules change it: our file changes by less than a twentieth");
    assert!(ours.phds("explain hill-01").done().text().contains("Birth date is our clinics' placeholder"));
    // A tenth is the limit now: of 20 rows, 18 are as many, and 17 are not.
    for (rows, is_told) in [(18, false), (17, true)] {
        let ours = context("rules = 'rules.toml'\n");
        ours.put("rules.toml", example);
        for (period, rows) in [("2024-11", 20), ("2024-12", rows)] {
            let clients: Vec<_> = (0..rows).map(|row| format!("c{row} | 2015-06-15 | 2022-07-01")).collect();
            let month = format!("CLIENT ID | BIRTH DATE | VACCINATION DATE\n{}\n", clients.join("\n"));
            ours.put("month.csv", Month::of(&month).bytes());
            ours.phds(&format!("load month.csv --period {period}")).done();
        }
        assert_eq!(
            rule(&ours.json("store/reports/2024-12/report.json"), "PHDS-H01")["failed"] == 1,
            is_told,
            "{rows} rows"
        );
    }
}

#[test]
fn what_is_wrong_with_a_department_s_rule_is_said() {
    let own = |lines: &str| {
        format!(
            "[[rule]]\ncode = 'HILL-01'\nseverity = 'review'\ntitle = 't'\nwhat = 'w'\nwhy = 'w'\nexample = 'e'\n\
             remedy = 'r'\n{lines}\n"
        )
    };
    let fits = own("kind = 'code_is'\ncolumn = 'cvx_code'\ncodes = ['998']");
    let ours = context("rules = 'rules.toml'");
    ours.put("rules.toml", &fits);
    ours.phds("explain HILL-01").done();
    for (rules, message) in [
        ("[[rule]]\nseverity = 'review'".to_owned(), "`rules.toml`: a rule has no `code`"),
        ("[[rule]]\ncode = 'PHDS-H01'\nby = 0.1".to_owned(), "rule PHDS-H01: say in `reason` why"),
        ("[[rule]]\ncode = 'PHDS-H01'\nby = 0.1\nreason = ' '".to_owned(), "rule PHDS-H01: say in `reason` why"),
        ("[[rule]]\ncode = 'PHDS-H01'\nbuy = 0.1\nreason = 'r'".to_owned(), "rule PHDS-H01: its kind has no `buy`"),
        ("[[rule]]\ncode = 'PHDS-H01'\nby = 'x'\nreason = 'r'".to_owned(), "`rules.toml`, rule `PHDS-H01`"),
        ("[[rule]]\ncode = 'PHDS-H01'\nkind = 'row_again'\nreason = 'r'".to_owned(), "keeps its `kind`"),
        ("[[rule]]\ncode = 'PHDS-R07'\nyears = 200000000\nreason = 'r'".to_owned(), "`rules.toml`, rule `PHDS-R07`"),
        ("[[rule]]\ncode = 'PHDS-R17'\ngrace_days = -1\nreason = 'r'".to_owned(), "`rules.toml`, rule `PHDS-R17`"),
        ("[[rule]]\ncode = 'PHDS-F03'\nseverity = 'review'\nreason = 'r'".to_owned(), "but of `reject` only"),
        (fits.replace("HILL-01", "PHDS-R99"), "a new rule has a code of your own"),
        (fits.replace("HILL-01", "hill 1"), "a new rule has a code of your own"),
        (fits.clone() + &fits, "rule HILL-01: the code is there twice"),
        (fits.replace("codes", "cods"), "rule HILL-01: its kind has no `cods`"),
        (fits.replace("'cvx_code'", "'birth_date'"), "it names a field that is not a code"),
        (fits.replace("'code_is'", "'code_was'"), "`rules.toml`, rule `HILL-01`"),
        (own("kind = 'row_again'"), "rule HILL-01: there is one rule of this kind"),
        (fits.replace("title = 't'\n", ""), "missing field `title`"),
        ("schema_version = 1\nrule = []".to_owned(), "`rules.toml`, line 1: unknown field `schema_version`"),
        ("[disaster]\nfrom = '2020-03-13'".to_owned(), "unknown field `disaster`"),
    ] {
        let ours = context("rules = 'rules.toml'");
        ours.put("rules.toml", &rules);
        let said = ours.phds("explain").ended(2).stderr;
        assert!(said.contains(message), "{rules}\n{said}");
    }
    let said = context("rules = 'rules.toml'").phds("explain").ended(2).stderr;
    assert!(said.contains("rules.toml"), "{said}");
}

#[test]
fn a_department_raises_k_and_cannot_lower_it() {
    let month = "\
clients | BIRTH DATE | VACCINATION DATE | CVX CODE
60 a    | 2020-06-15 | 2021-07-01       | 03
24 b    | 2021-06-15 | 2022-07-01       | 03
25 c    | 2022-06-15 | 2023-07-01       | 03
";
    for (settings, shown) in [
        ("", "60 24 25"),
        ("[disclosure]\nk = 24\nreason = 'our board'\n", "60 24 25"),
        ("[disclosure]\nk = 25\nreason = 'our board'\n", "60  25"),
    ] {
        let context = TestContext::new();
        context.put("phds.toml", format!("store = 'store'\n{settings}"));
        context.put("month.csv", Month::of(month).bytes());
        context.phds("load month.csv --period 2024-12").done();
        context.phds("query coverage --measure nis.mmr1 --by birth_year --out t.csv").done();
        let rows = csv_rows(&context.read("t.csv"));
        let numerators: Vec<_> = rows[1..].iter().map(|row| row[2].as_str()).collect();
        assert_eq!(numerators.join(" "), shown, "{settings}");
        let policy = &context.json("release.json")["disclosure"];
        assert_eq!(policy["reason"] == "our board", !settings.is_empty(), "{policy}");
    }
    for (settings, message) in [
        ("k = 10\nreason = 'small'", "k is 11 or more"),
        ("k = 20\nreason = ' '", "say in `reason` why"),
        ("k = 20", "missing field `reason`"),
    ] {
        let context = TestContext::new();
        context.put("phds.toml", format!("[disclosure]\n{settings}\n"));
        let said = context.phds("measures").ended(2).stderr;
        assert!(said.contains(message), "{said}");
    }
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
