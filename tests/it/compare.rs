//! Two months of which everything can be counted by hand, compared by their releases.

use crate::support::{Month, TestContext, csv_rows};

/// A store with two months, and a release of each: `2024-11.csv` and `2024-12.csv`, in folders of their own.
fn two_months() -> TestContext {
    let context = TestContext::new();
    for (period, month) in [
        (
            "2024-11",
            "clients | CLIENT COUNTY | CVX CODE | BIRTH DATE | VACCINATION DATE
             50 a    | Travis        | 03       | 2021-06-15 | 2022-07-01
             50 b    | Travis        | 08       | 2021-06-15 | 2022-07-01
             20 c    | Hays          | 03       | 2021-06-15 | 2022-07-01
             20 d    | Hays          | 08       | 2021-06-15 | 2022-07-01
             40 e    | Bexar         | 03       | 2021-06-15 | 2022-07-01",
        ),
        (
            "2024-12",
            "clients | CLIENT COUNTY | CVX CODE | BIRTH DATE | VACCINATION DATE
             60 a    | Travis        | 03       | 2021-06-15 | 2022-07-01
             40 b    | Travis        | 08       | 2021-06-15 | 2022-07-01
             35 c    | Hays          | 03       | 2021-06-15 | 2022-07-01
             5 d     | Hays          | 08       | 2021-06-15 | 2022-07-01
             30 f    | Comal         | 03       | 2021-06-15 | 2022-07-01
             44 e    | Bexar         | 03       | 2021-06-15 | 2022-07-01",
        ),
    ] {
        context.put(&format!("{period}.csv"), Month::of(month).bytes());
        context.phds(&format!("load {period}.csv --period {period} --store store")).done();
        for (name, ask) in [("coverage", "coverage --measure nis.mmr1 --by county"), ("doses", "doses --by county")] {
            let out = format!("{period}/{name}/t.csv");
            context.put(&format!("{period}/{name}/.keep"), "");
            context.phds(&format!("query {ask} --period {period} --store store --format csv --out {out}")).ended(0);
        }
    }
    context
}

#[test]
fn what_both_months_show_is_compared_and_nothing_else() {
    let context = two_months();
    let rows = |name: &str| {
        csv_rows(&context.phds(&format!("compare 2024-11/{name} 2024-12/{name} --format csv")).done().stdout)
    };
    assert_eq!(
        rows("coverage"),
        [
            ["county", "earlier", "later", "change", "status", "audience"],
            ["Bexar", "1.000000", "1.000000", "0.000000", "shown", "internal"],
            // Not there, and thirty of thirty.
            ["Comal", "", "1.000000", "", "absent", "internal"],
            // 20 of 40, and of the later month five are too few to be told.
            ["Hays", "0.500000", "", "", "suppressed", "internal"],
            ["Travis", "0.500000", "0.600000", "0.100000", "shown", "internal"],
        ]
    );
    // Forty and forty-four doses: four more would tell of four.
    assert_eq!(rows("doses")[1], ["Bexar", "", "", "", "small_change", "internal"]);
    assert_eq!(rows("doses")[4], ["Travis", "100", "100", "0", "shown", "internal"]);
    let text = context.phds("compare 2024-11/coverage 2024-12/coverage").done().text();
    assert!(text.starts_with("INTERNAL") && text.contains("+10.0 points"), "{text}");
}

#[test]
fn ages_of_two_months_are_of_other_clients() {
    let context = two_months();
    for period in ["2024-11", "2024-12"] {
        let out = format!("{period}/age/t.csv");
        context.put(&format!("{period}/age/.keep"), "");
        let ask = "coverage --measure nis.mmr1 --by age";
        context.phds(&format!("query {ask} --period {period} --store store --format csv --out {out}")).done();
    }
    let text = context.phds("compare 2024-11/age 2024-12/age").done().text();
    assert!(text.contains("3 years") && text.contains("other clients in each month"), "{text}");
}

#[test]
fn a_season_is_compared_with_itself_and_with_another_up_to_the_same_day() {
    let context = TestContext::new();
    let month = "\
clients | BIRTH DATE | VACCINATION DATE | CVX CODE
40 a    | 2020-05-05 | 2023-10-10       | 150
60 b    | 2020-05-05 | 2024-10-10       | 150
100 c   | 2020-05-05 | 2024-12-10       | 150
";
    context.put("month.csv", Month::of(month).bytes());
    context.phds("load month.csv --period 2024-12 --store store").done();
    for as_of in ["2023-12-31", "2024-06-30", "2024-10-31", "2024-12-31"] {
        context.put(&format!("{as_of}/.keep"), "");
        let ask = format!("query coverage --measure flu.dose1 --as-of {as_of} --store store");
        context.phds(&format!("{ask} --format csv --out {as_of}/t.csv")).done();
    }
    let compared = |days: &str| context.phds(&format!("compare {days}")).done().text();
    let text = compared("2023-12-31 2024-12-31");
    for said in ["2023-24 to 2023-12-31", "2024-25 to 2024-12-31", "+60.0 points", "some clients are in both seasons"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let text = compared("2024-10-31 2024-12-31");
    assert!(text.contains("+50.0 points") && text.contains("most clients are in both months"), "{text}");
    for (days, said) in [
        ("2024-06-30 2024-12-31", "differ in the day of the year up to which they count a season"),
        ("2024-12-31 2023-12-31", "not to an earlier day"),
        ("2024-12-31 2024-12-31", "not to an earlier day"),
    ] {
        let error = context.phds(&format!("compare {days}")).ended(2).stderr;
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn only_one_question_of_two_months_is_compared() {
    let context = two_months();
    for (arguments, why) in [
        ("2024-12/coverage 2024-11/coverage", "of an earlier month"),
        ("2024-11/coverage 2024-11/coverage", "of an earlier month"),
        ("2024-11/coverage 2024-12/doses", "differ in what they tell"),
        ("2024-11/coverage 2024-12/nothing", "there is no file"),
    ] {
        let outcome = context.phds(&format!("compare {arguments}")).ended(2);
        assert!(outcome.stderr.contains(why), "{arguments}: {}", outcome.stderr);
    }
}

#[test]
fn residents_of_other_counties_are_not_compared() {
    let context = two_months();
    for (period, counties) in [("2024-11", "'Travis'"), ("2024-12", "'Travis', 'Hays'")] {
        context.put("phds.toml", format!("[query]\ncounties = [{counties}]\n"));
        context.put(&format!("{period}/resident/.keep"), "");
        let ask = "query coverage --measure nis.mmr1 --denominator resident --store store --format csv";
        context.phds(&format!("{ask} --period {period} --out {period}/resident/t.csv")).done();
    }
    let said = context.phds("compare 2024-11/resident 2024-12/resident").ended(2).stderr;
    assert!(said.contains("the counties of residents"), "{said}");
}
