//! A month against the report of the last one, what the report tells of columns and organizations, and the page.

use serde_json::{Value, json};

use crate::support::{Month, PERIOD, TestContext};

/// Loads a table as November and another as December, and gives what December's report says of the past.
fn against(before: &str, now: &str) -> String {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n[check]\nmax_rejected_share = 1.0\n");
    for (period, table) in [("2024-11", before), ("2024-12", now)] {
        context.put("month.csv", Month::of(table).bytes());
        context.phds(&format!("load month.csv --period {period}")).done();
    }
    of_the_past(&context.json("store/reports/2024-12/report.json"))
}

/// The rules about the past that failed, with their notes. H05 is about the month itself.
fn of_the_past(report: &Value) -> String {
    let rules = report["rules"].as_array().unwrap().iter();
    let failed = rules
        .filter(|rule| rule["code"].as_str().unwrap().starts_with("PHDS-H") && rule["failed"] != 0)
        .filter(|rule| rule["code"] != "PHDS-H05");
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
        against("times\n100", "clients | VACCINATION DATE\n50 a | 2022-07-01\n50 a | 2022-08-02"),
        "PHDS-H02 50 clients, 100 in 2024-11"
    );
    assert_eq!(against("times\n100", "times | SEX CODE\n94 | F\n6 | Q"), "");
    assert_eq!(
        against("times\n100", "times | SEX CODE | STATE CODE | PROVIDER STATE\n50 | F | TX | TX\n50 | Q | ZZ | ZZ"),
        "PHDS-H04 PHDS-F06 21.4 % after 0.0 %"
    );
}

/// Loads a table as November, and tries to load another as December: the rules that refuse it.
fn refused_after(before: &str, now: &str) -> String {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n");
    for (period, table) in [("2024-11", before), ("2024-12", now)] {
        context.put("month.csv", Month::of(table).bytes());
        context.phds(&format!("load month.csv --period {period}"));
    }
    let report = context.json("store/reports/2024-12/report.json");
    let refusing = |rule: &&Value| rule["severity"] == "refuse" && rule["outcome"] == "failed";
    let rules = report["rules"].as_array().unwrap().iter().filter(refusing);
    let told: Vec<_> = rules.map(|rule| format!("{} {}", rule["code"], rule["note"]).replace('"', "")).collect();
    assert_eq!(report["verdict"], if told.is_empty() { "accepted" } else { "refused" });
    assert_eq!(context.path("store/partitions/2024-12/manifest.json").exists(), told.is_empty());
    told.join("\n")
}

#[test]
fn a_file_that_has_lost_most_of_what_it_had_is_refused() {
    let rows = |times| format!("times | VACCINATION DATE\n{times} | 2022-07-02");
    assert_eq!(refused_after("times\n300", &rows(150)), "", "half is not less than half");
    assert_eq!(
        refused_after("times\n300", &rows(149)),
        "PHDS-H12 149 rows, 300 in 2024-11\nPHDS-H13 149 clients, 300 in 2024-11"
    );
    assert_eq!(refused_after("times\n299", &rows(10)), "", "few rows tell nothing");
    assert_eq!(refused_after("times\n300", &rows(700)), "", "more is not less");
    let twice = "clients | VACCINATION DATE\n149 a | 2022-07-01\n149 a | 2022-08-02";
    assert_eq!(refused_after("times\n300", twice), "PHDS-H13 149 clients, 300 in 2024-11");

    let counties = |some, none| format!("times | CLIENT COUNTY\n{some} | Travis\n{none} |");
    assert_eq!(refused_after(&counties(300, 0), &counties(30, 270)), "", "a tenth is not less than a tenth");
    assert_eq!(
        refused_after(&counties(300, 0), &counties(29, 271)),
        "PHDS-H14 CLIENT COUNTY with values in 9.7 % of rows after 100.0 %"
    );
    assert_eq!(refused_after(&counties(299, 0), &counties(0, 300)), "", "few values tell nothing");
    assert_eq!(refused_after(&counties(300, 2700), &counties(31, 2969)), "", "a column that had few");
}

#[test]
fn what_a_whole_file_is_found_to_be_may_refuse_it_or_not_as_the_settings_say() {
    let context = TestContext::new();
    let settings = |rules: &[(&str, &str)]| {
        let rules = rules.iter().map(|(code, severity)| {
            format!("[check.severity.{code}]\nseverity = '{severity}'\nreason = 'told by the registry'\n")
        });
        context.put("phds.toml", format!("store = 'store'\n{}", rules.collect::<String>()));
    };
    settings(&[]);
    for (name, times) in [("last", 900), ("fewer", 630), ("few", 360)] {
        context.put(&format!("{name}.csv"), Month::of(&format!("times\n{times}")).bytes());
    }
    context.phds("load last.csv --period 2024-11").done();
    assert_eq!(context.json("store/partitions/2024-11/manifest.json").get("alarms"), None, "nothing was wrong with it");

    // A fifth is told, and refused where the settings say so.
    settings(&[("PHDS-H01", "refuse")]);
    let refused = context.phds("--quiet load fewer.csv --period 2024-12").ended(1);
    insta::assert_snapshot!(context.filtered(&refused.stderr), @r#"
    error: the file is refused: PHDS-H01 rows have changed by more than a fifth: 630 rows, 900 in 2024-11

    hint: `phds explain PHDS-H01` says what to do; if the file is right as it is, say so in the settings: under `[check.severity.PHDS-H01]`, `severity = "review"` and the reason
    "#);
    assert!(!context.path("store/partitions/2024-12/manifest.json").exists());
    let status = context.phds("status --check").ended(1);
    assert!(status.text().contains("the file of 2024-12 was refused"), "{}", status.text());

    // A half is refused, and told where the settings say so.
    settings(&[]);
    context.phds("load few.csv --period 2024-12").ended(1);
    settings(&[("PHDS-H12", "review"), ("PHDS-H13", "review")]);
    context.phds("load few.csv --period 2024-12").done();
    let alarm = |rule, title| json!({ "rule": rule, "title": title });
    let expected = json!([
        alarm("PHDS-H01", "Rows have changed by more than a fifth"),
        alarm("PHDS-H02", "Clients have changed by more than a fifth"),
        alarm("PHDS-H12", "Rows have fallen by more than half"),
        alarm("PHDS-H13", "Clients have fallen by more than half"),
    ]);
    assert_eq!(context.json("store/partitions/2024-12/manifest.json")["alarms"], expected);
    let status = context.phds("status").done();
    assert!(status.text().contains("\n         PHDS-H12 rows have fallen by more than half\n"), "{}", status.text());
    let caveat = "The check of the month's file found what may make its numbers wrong: PHDS-H01 rows have changed by more \
                  than a fifth; PHDS-H02 clients have changed by more than a fifth; PHDS-H12 rows have fallen by more \
                  than half; PHDS-H13 clients have fallen by more than half. See `reports/2024-12/report.html` of the store.";
    for (period, is_told) in [("2024-11", false), ("2024-12", true)] {
        context.put(&format!("{period}/.keep"), "");
        context
            .phds(&format!(
                "query coverage --measure nis.mmr1 --period {period} --format json --out {period}/rates.json"
            ))
            .done();
        let release = context.json(&format!("{period}/release.json"));
        let told = release["caveats"].as_array().unwrap().iter().any(|told| told == caveat);
        assert_eq!(told, is_told, "{period}: {}", release["caveats"]);
    }
}

#[test]
fn a_file_is_of_one_month() {
    let context = TestContext::new();
    context.put("phds.toml", "store = \"store\"");
    context.put("2024-11.csv", Month::of("times\n100").bytes());
    let outcome = context.phds("load 2024-11.csv --period 2024-11").done();
    assert!(!outcome.stderr.contains("by its name"), "{}", outcome.stderr);
    let outcome = context.phds("check 2024-11.csv --period 2024-12 --report out").done();
    assert!(outcome.stderr.contains("`2024-11.csv` is the file of 2024-11, and not of 2024-12"), "{}", outcome.stderr);
    assert_eq!(of_the_past(&context.json("out/report.json")), "PHDS-H03 it is the file of 2024-11");
    // An earlier month and a later one.
    for period in ["2024-10", "2024-12"] {
        let outcome = context.phds(&format!("load 2024-11.csv --period {period}")).ended(1);
        for said in [
            format!("`2024-11.csv` is the file of 2024-11, and not of {period}"),
            "the same file, byte for byte, is loaded as the month 2024-11".to_owned(),
            "`phds remove --period 2024-11`".to_owned(),
        ] {
            assert!(outcome.stderr.contains(&said), "{said}: {}", outcome.stderr);
        }
        assert!(!context.path(&format!("store/partitions/{period}/manifest.json")).exists());
        assert!(!context.path(&format!("store/deliveries/{period}")).exists(), "nobody has to take the copy out");
    }
    // Loaded by mistake, and taken out again.
    context.phds("remove --period 2024-11").done();
    context.phds("load 2024-11.csv --period 2024-12").done();
    // What the month had before stays, and nothing beside it.
    context.put("january.csv", Month::of("times\n101").bytes());
    context.phds("load january.csv --period 2025-01").done();
    context.phds("load 2024-11.csv --period 2025-01").ended(1);
    // A file that somebody put there is nobody's to remove, whatever it is.
    std::fs::copy(context.path("2024-11.csv"), context.path("store/deliveries/2025-01/kept.csv")).unwrap();
    context.phds("load store/deliveries/2025-01/kept.csv --period 2025-01").ended(1);
    context.phds("load 2024-11.csv --period 2025-01").ended(1);
    assert!(context.path("store/deliveries/2025-01/kept.csv").exists());
    std::fs::remove_file(context.path("store/deliveries/2025-01/kept.csv")).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(context.path("store/deliveries/2025-01"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["january.csv", "receipt.json"]);
    // A name may have a day, or two months, and then says nothing of the kind.
    for name in ["PHDS_20250113", "2025-01-13", "2024-11_to_2024-12", "202411", "12024-11"] {
        context.put(&format!("{name}.csv"), Month::of("times\n100").bytes());
        let outcome = context.phds(&format!("load {name}.csv --period 2024-12")).done();
        assert!(!outcome.stderr.contains("by its name"), "{name}: {}", outcome.stderr);
    }
}

#[test]
fn codes_and_organizations_are_compared_with_the_last_report() {
    let sexes = |f, m| format!("times | SEX CODE\n{f} | F\n{m} | M");
    assert_eq!(against(&sexes(1200, 1200), &sexes(1800, 600)), "", "half is not less than half");
    assert_eq!(against(&sexes(1200, 1200), &sexes(2000, 400)), "PHDS-H06 SEX CODE M (Male) 16.67 % after 50.00 %");
    assert_eq!(against(&sexes(499, 499), &sexes(898, 100)), "", "few rows move by chance");

    let vaccines = |mmr, dtap| format!("times | CVX CODE\n{mmr} | 03\n{dtap} | 20");
    assert_eq!(
        against("times\n200", &vaccines(185, 15)),
        "PHDS-H07 CVX CODE 20 (DTaP) with 15 rows, VACCINE GROUP DTAP with 15 rows"
    );
    assert_eq!(against("times\n200", &vaccines(195, 5)), "PHDS-H07 CVX CODE 20 (DTaP), VACCINE GROUP DTAP");
    assert_eq!(
        against(&vaccines(100, 100), "times\n200"),
        "PHDS-H08 CVX CODE 20 (DTaP) with 100 rows, VACCINE GROUP DTAP with 100 rows"
    );
    assert_eq!(against(&vaccines(101, 99), "times\n200"), "");

    let clinics = |a, b| format!("times | GIVEN BY ORG ID\n{a} | a1\n{b} | b2");
    assert_eq!(against(&clinics(1100, 1100), &clinics(1650, 550)), "");
    assert_eq!(against(&clinics(1100, 1100), &clinics(1700, 500)), "PHDS-H09 b2 500 rows after 1,100");
    assert_eq!(against(&clinics(1100, 1100), "times | GIVEN BY ORG ID\n2200 | a1"), "PHDS-H09 b2 no rows after 1,100");
    // Fewer than k rows, and a1 goes with them, so that no sum tells how few.
    assert_eq!(
        against(&clinics(1100, 1100), "times | GIVEN BY ORG ID\n2100 | a1\n5 | b2\n100 | c3"),
        "PHDS-H09 b2 at most 105 rows after 1,100"
    );
}

#[test]
fn a_column_that_is_renamed_is_told() {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n");
    let month = String::from_utf8(Month::of("times\n100").bytes().to_vec()).unwrap();
    for (period, text) in [("2024-11", month.clone()), ("2024-12", month.replacen("BIRTH DATE", "DOB", 1))] {
        context.put("month.csv", text);
        context.phds(&format!("load month.csv --period {period}")).done();
    }
    assert_eq!(of_the_past(&context.json("store/reports/2024-12/report.json")), "PHDS-H10 BIRTH DATE is now DOB");
}

#[test]
fn the_file_of_another_jurisdiction_is_told_when_the_settings_name_ours() {
    let check = |settings: &str, table: &str| {
        let context = TestContext::new();
        context.put("month.csv", Month::of(table).bytes());
        context.put("phds.toml", format!("[check]\n{settings}\n"));
        context.phds("check month.csv --period 2024-12 --report out").done();
        let report = context.json("out/report.json");
        let rule = report["rules"].as_array().unwrap().iter().find(|rule| rule["code"] == "PHDS-H11").unwrap().clone();
        format!("{} {}", rule["outcome"], rule["note"]).replace('"', "")
    };
    let rows = "times | RESPONSIBLE ENTITY\n50 | Our Office\n49 | Other Office\n1 | Third Office\n10 |";
    let ours = "jurisdiction = ['our  office']";
    assert_eq!(check("", rows), "not_checkable null");
    assert_eq!(check(ours, rows), "passed null", "half is not more than half, and a missing name tells nothing");
    assert_eq!(check("jurisdiction = ['Other Office', 'Third Office']", rows), "passed null");
    assert_eq!(
        check("jurisdiction = ['Other Office']", rows),
        "failed 51.0 % of the rows are of responsible entities that the settings do not name"
    );
    assert_eq!(check(ours, "times | RESPONSIBLE ENTITY\n10 |"), "passed null");
}

#[test]
fn a_report_of_an_earlier_version_is_compared_as_far_as_it_goes() {
    let context = TestContext::new();
    context.put("phds.toml", "store = 'store'\n");
    context.put("month.csv", Month::of("times\n100").bytes());
    context.phds("load month.csv --period 2024-11").done();
    let of_november = "store/reports/2024-11/report.json";
    let mut report = context.json(of_november);
    for added in ["columns", "organizations", "k", "run"] {
        report.as_object_mut().unwrap().remove(added);
    }
    report["schema_version"] = json!(1);
    context.put(of_november, report.to_string());
    context.put("month.csv", Month::of("times\n200").bytes());
    let outcomes = |context: &TestContext| {
        let report = context.json("out/report.json");
        let of = |rule: &Value| format!("{} {}", rule["outcome"], rule["reason"]).replace('"', "");
        let rule = |code: &str| report["rules"].as_array().unwrap().iter().find(|rule| rule["code"] == code).map(of);
        ["PHDS-H01", "PHDS-H06"].map(|code| rule(code).unwrap())
    };
    context.phds("check month.csv --period 2024-12 --report out").done();
    let reason = "the report of 2024-11 holds no columns: an earlier version wrote it";
    assert_eq!(outcomes(&context), ["failed null".to_owned(), format!("not_checkable {reason}")]);

    report["schema_version"] = json!(3);
    context.put(of_november, report.to_string());
    let said = context.phds("check month.csv --period 2024-12 --report out").done().stderr;
    assert!(said.contains("warning: the report of 2024-11 cannot be read by this version"), "{said}");
    assert_eq!(outcomes(&context), ["not_checkable there is no report of an earlier month"; 2]);
}

#[test]
fn a_column_is_told_by_counts_and_shapes() {
    let context = TestContext::new();
    context.put(
        "month.csv",
        Month::of(
            "times | SEX CODE | VACCINATION DATE | ZIP CODE   | ORDINAL POSITION\n\
             60    | F        | 2022-07-01       | 78701      | 1\n\
             20    | Male     | 2022-07-15       | 78701-1234 | 1\n\
             12    | Q        | 07/02/2022       | 78702      | 12\n\
             5     | U        | 2021-02-30       | 7870       | 1\n\
             3     |          | 2022-08-01       |            | 1",
        )
        .bytes(),
    );
    context.put("phds.toml", "[check]\nmax_rejected_share = 1.0\n");
    context.phds("check month.csv --period 2024-12 --report out").done();
    let report = context.json("out/report.json");
    let column = |header: &str| {
        let columns = report["columns"].as_array().unwrap().iter();
        let mut column = columns.clone().find(|column| column["header"] == header).unwrap().clone();
        for key in ["name", "header", "identifier"] {
            column.as_object_mut().unwrap().remove(key);
        }
        column
    };
    assert_eq!(column("FIRST NAME"), json!({ "present": null, "missing": null, "unfit": null }));
    assert_eq!(column("CLIENT ID"), json!({ "present": 100, "missing": 0, "unfit": null }));
    // U has 5 rows, and M goes with it.
    assert_eq!(
        column("SEX CODE"),
        json!({ "present": 97, "missing": 3, "unfit": 12, "distinct": { "count": 3 }, "codes": [
            { "code": "F", "label": "Female", "rows": 60 },
            { "code": "M", "label": "Male", "rows": null },
            { "code": "U", "label": "Unknown", "rows": null },
        ]})
    );
    assert_eq!(
        column("VACCINATION DATE"),
        json!({ "present": 100, "missing": 0, "unfit": 5, "distinct": { "count": 4 },
            "shapes": [{ "shape": "9999-99-99", "rows": 83 }, { "shape": "99/99/9999", "rows": 12 }],
            "first_year": 2022, "last_year": 2022,
            "months": [{ "month": "2022-07", "rows": null }, { "month": "2022-08", "rows": null }],
        })
    );
    // As they are kept: five digits.
    assert_eq!(
        column("ZIP CODE"),
        json!({ "present": 97, "missing": 3, "unfit": 5, "distinct": { "count": 2 },
            "shapes": [{ "shape": "99999", "rows": 92 }] })
    );
    assert_eq!(column("ORDINAL POSITION")["shapes"][1], json!({ "shape": "99", "rows": 12 }));

    // Of 700 values, 3 sexes and 3 ZIP codes are missing, and 12 and 5 do not fit. 83 of 95 days are the 1st or 15th.
    let clinic = json!({ "id": "1009000001", "organizations": 1, "rows": 100, "rejected": 5, "usable": 677,
                         "dated": 95, "heaped": 83 });
    let organizations = &report["organizations"];
    assert_eq!(organizations["listed"], json!([clinic]));
    assert_eq!([&organizations["organizations"], &organizations["without"]], [1, 0]);
    assert_eq!(report["k"], 11);
    assert!(report["run"]["bytes_per_second"].as_u64().unwrap() > 0);
}

#[test]
fn a_report_stays_small_whatever_the_file_is() {
    let context = TestContext::new();
    let month =
        String::from_utf8(Month::of("CLIENT ID | GIVEN BY ORG ID | PROVIDER NAME\nCC | OO | PP").bytes().to_vec());
    let month = month.unwrap();
    let (header, row) = month.split_once('\n').unwrap();
    // 50,000 organizations with long ids, of which 200 have a thousand rows; texts of many shapes.
    let rows = (0..600_000_u32).map(|at| {
        let id = format!("{:0>60}", if at % 3 == 0 { at % 600 } else { at % 50_000 });
        let name = format!("{:b}", at % 60_000).replace('1', "Aa-").replace('0', "7");
        row.replacen("CC", &format!("client-{at}"), 1).replacen("OO", &id, 1).replacen("PP", &name, 1)
    });
    context.put("month.csv", format!("{header}\n{}", rows.collect::<String>()));
    context.phds("check month.csv --period 2024-12 --report out").done();
    let report = context.json("out/report.json");
    assert_eq!(report["organizations"]["organizations"], 50_000);
    assert_eq!(report["organizations"]["listed"].as_array().unwrap().len(), 200);
    for file in ["report.json", "report.html"] {
        let bytes = context.read(&format!("out/{file}")).len();
        assert!(bytes < 500_000, "{file}: {bytes} bytes");
    }
}

#[test]
fn the_summary_fits_a_screen() {
    let context = TestContext::new();
    context.phds(&format!("synth --clients 3000 --period {PERIOD} --seed 5 --faults 0.02 --out month.csv")).done();
    let outcome = context.phds(&format!("check month.csv --period {PERIOD} --report out")).done();
    let said = format!("{}{}", outcome.text(), outcome.stderr);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() < 24, "{said}");
    assert!(!lines.iter().any(|line| line.ends_with('…')), "a pipe takes lines of any length: {said}");
    assert!(said.contains(" more rules: see out/report.html"), "{said}");
    assert!(said.contains("rules cannot be checked: see out/report.html"), "{said}");
    let first = lines.iter().position(|line| line.starts_with("  PHDS-")).unwrap();
    assert!(lines[first].contains("  rejects "), "what does most damage comes first: {said}");
}

#[test]
#[cfg_attr(windows, ignore = "a name that no file has there")]
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
    for chart in [
        "<title id=\"rows-title\">",
        "<desc id=\"rows-text\">99 kept, 1 rejected</desc>",
        "<title id=\"months-title\">",
    ] {
        assert!(page.contains(chart), "{chart}");
    }
    for outside in ["http", "<script", "src=", "url(", "@import", "a<b>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    context.put("empty.csv", "");
    context.phds("check empty.csv --period 2024-12 --report out").ended(1);
    assert!(String::from_utf8(context.read("out/report.html")).unwrap().contains("Refused"));
}
