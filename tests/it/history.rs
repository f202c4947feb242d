//! A month against the report of the last one, and the report as a page.

use crate::support::{Month, TestContext};

/// Loads a table as November and another as December, and gives what December's report says of the past.
fn against(before: &str, now: &str) -> String {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n[check]\nmax_rejected_share = 1.0\n");
    for (period, table) in [("2024-11", before), ("2024-12", now)] {
        context.put("month.csv", Month::of(table).bytes());
        context.phds(&format!("load month.csv --period {period}")).done();
    }
    let report = context.json("store/reports/2024-12/report.json");
    let rules = report["rules"].as_array().unwrap().iter();
    let failed = rules.filter(|rule| rule["code"].as_str().unwrap().starts_with("PHDS-H") && rule["failed"] != 0);
    failed.map(|rule| format!("{} {}", rule["code"], rule["note"]).replace('"', "")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_month_is_compared_with_the_report_of_the_last() {
    let day = "2022-07-02";
    assert_eq!(against("times\n100", &format!("times | VACCINATION DATE\n120 | {day}")), "");
    assert_eq!(against("times\n100", &format!("times | VACCINATION DATE\n80 | {day}")), "");
    assert_eq!(
        against("times\n100", &format!("times | VACCINATION DATE\n121 | {day}")),
        "PHDS-H01 121 rows, 100 in 2024-11\nPHDS-H02 121 clients, 100 in 2024-11"
    );
    assert_eq!(
        against("times\n100", "clients | VACCINATION DATE\n50 a | 2022-07-01\n50 a | 2022-07-02"),
        "PHDS-H02 50 clients, 100 in 2024-11"
    );
    assert_eq!(against("times\n100", "times\n100"), "PHDS-H03 it is the file of 2024-11");
    assert_eq!(against("times\n100", "times | SEX CODE\n94 | F\n6 | Q"), "");
    assert_eq!(
        against("times\n100", "times | SEX CODE | STATE CODE | PROVIDER STATE\n50 | F | TX | TX\n50 | Q | ZZ | ZZ"),
        "PHDS-H04 PHDS-F06 25.0 % after 0.0 %"
    );
}

#[test]
fn the_page_stands_alone_and_tells_the_verdict() {
    let context = TestContext::new();
    context.put("a<b>.csv", Month::of("times | VACCINATION DATE\n99 | 2022-07-01\n1 | 2021-02-30").bytes());
    context.run(&["check", "a<b>.csv", "--period", "2024-12", "--report", "out"]).done();
    let page = String::from_utf8(context.read("out/report.html")).unwrap();
    for shown in
        ["Accepted", "100 rows in = <strong>99 kept</strong> + 1 rejected (1.00 %)", "PHDS-F03", "a&lt;b&gt;.csv"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    for outside in ["http", "<script", "src=", "url(", "a<b>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    context.put("empty.csv", "");
    context.phds("check empty.csv --period 2024-12 --report out").ended(1);
    assert!(String::from_utf8(context.read("out/report.html")).unwrap().contains("Refused"));
}
