//! `phds demo`, small: the whole road, from a server to tables.

use crate::support::{TestContext, csv_rows};

#[test]
fn the_whole_road_in_one_folder() {
    let context = TestContext::new();
    let outcome = context.phds("demo --dir tour --clients 2000").done();
    assert!(outcome.text().starts_with("INTERNAL"), "{}", outcome.text());
    assert!(outcome.stderr.contains("Everything is in tour/"), "{}", outcome.stderr);
    let tree = context.tree();
    let has = |name: &str| assert!(tree.iter().any(|path| path == name), "{name} is not in {tree:#?}");
    for file in [
        "server/PHDS_2024_12.csv",
        "server/PHDS_2024_12.planted.json",
        "store/deliveries/2024-12/PHDS_2024_12.csv",
        "store/deliveries/2024-12/receipt.json",
        "store/reports/2024-12/report.json",
        "store/reports/2024-12/rejected.csv",
        "store/partitions/2024-12/manifest.json",
        "releases/by_county/table.csv",
        "releases/by_county/release.json",
        "releases/by_birth_year/table.csv",
        "releases/by_birth_year/release.json",
        "report.html",
        "report/headline/table.csv",
    ] {
        has(&format!("tour/{file}"));
    }
    assert!(!tree.iter().any(|path| path.ends_with("/password")), "the password of the demo is left behind");
    assert_eq!(context.json("tour/store/deliveries/2024-12/receipt.json")["origin"]["protocol"], "sftp");
    let years: Vec<_> = csv_rows(&context.read("tour/releases/by_birth_year/table.csv"))[1..]
        .iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(years, ["2018", "2019", "2020", "2021", "2022"]);
    // What it says to do next works.
    let next = outcome.stderr.lines().find_map(|line| line.strip_prefix("Next: phds ")).expect("a next step");
    context.phds(next).done();
    // And again, in the same folder; not where somebody has put something of theirs.
    context.phds("demo --dir tour --clients 2000").done();
    context.put("tour/notes.txt", "");
    let said = context.phds("demo --dir tour --clients 2000").ended(2).stderr;
    assert!(said.contains("`tour/notes.txt` is not of the demo"), "{said}");
    assert!(context.path("tour/notes.txt").exists() && context.path("tour/report.html").exists());
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let context = TestContext::new();
    context.put("photos/cat.jpg", "");
    let outcome = context.phds("demo --dir photos").ended(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: `photos` is not empty and not from an earlier demo

    hint: name another folder with `--dir`
    ");
    assert_eq!(context.tree(), ["photos/", "photos/cat.jpg"]);
}
