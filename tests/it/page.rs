//! `phds report`: the page is made of releases, and of nothing else. `tests/page` opens it in a browser.

use std::collections::BTreeSet;

use phds::words::grouped;
use phds::words::percent;
use regex::Regex;
use serde_json::Value;

use crate::support::{TestContext, csv_rows, walk};

/// Two months of invented people, and the page of each.
fn two_months() -> TestContext {
    pages_of(["2024-11", "2024-12"])
}

fn pages_of(periods: [&str; 2]) -> TestContext {
    let context = TestContext::new();
    for (period, seed) in periods.into_iter().zip([7, 8]) {
        context.phds(&format!("synth --clients 6000 --period {period} --seed {seed} --faults 0.01 --out m.csv")).done();
        context.phds(&format!("load m.csv --period {period} --store store")).done();
        context.phds(&format!("report --store store --period {period} --out {period}.html")).done();
    }
    context
}

fn numbers(text: &str) -> impl Iterator<Item = String> {
    let number = Regex::new(r"\d[\d,]*(\.\d+)?").unwrap();
    let found: Vec<String> =
        number.find_iter(text).map(|found| found.as_str().trim_end_matches(',').to_owned()).collect();
    found.into_iter()
}

/// A share as pages write it.
fn share(share: f64) -> String {
    percent(share).trim_end_matches('%').to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a small month")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Every number of the releases in a folder: as their files have it, and as people read it.
fn known(context: &TestContext, folder: &str) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    walk(&context.path(folder), &mut |path| {
        let Ok(text) = std::fs::read(path) else { return };
        known.extend(numbers(&String::from_utf8(text.clone()).unwrap()));
        if path.extension().is_some_and(|ending| ending == "csv") {
            for cell in csv_rows(&text).iter().skip(1).flatten() {
                match (cell.parse::<u64>(), cell.parse::<f64>()) {
                    (Ok(count), _) => known.insert(grouped(count)),
                    (_, Ok(number)) if (0.0..=1.0).contains(&number) => known.insert(share(number)),
                    _ => false,
                };
            }
        }
    });
    known
}

/// The headline of a month: the row of the newest year of birth that is whole.
fn headline(context: &TestContext, period: &str, year: &str) -> f64 {
    let rows = csv_rows(&context.read(&format!("{period}/headline/table.csv")));
    let at = rows[0].iter().position(|column| column == "rate").unwrap();
    rows.iter().find(|row| row[0] == year).unwrap()[at].parse().unwrap()
}

/// What is read of a page: its text, and the names of its parts. Left out are style sheets, and numbers at axes and in
/// legends, which the figures mark as such.
fn words(page: &str) -> String {
    let style = Regex::new(r"(?s)<style>.*?</style>").unwrap();
    let scale = Regex::new(r#"(?s)<text class="[^"]*\bscale\b[^"]*"[^>]*>.*?</text>"#).unwrap();
    let named = Regex::new(r#"(?:aria-label|alt|title|content)="([^"]*)""#).unwrap();
    let tag = Regex::new(r"(?s)<[^>]*>").unwrap();
    let text = scale.replace_all(&style.replace_all(page, ""), "").into_owned();
    let names: Vec<&str> = named.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()).collect();
    let names = names.join(" ").replace("width=device-width,initial-scale=1", "");
    // A character by its number is a character.
    let entity = Regex::new(r"&#\d+;").unwrap();
    entity.replace_all(&format!("{} {names}", tag.replace_all(&text, " ")), " ").into_owned()
}

#[test]
fn every_number_of_the_page_is_in_a_release() {
    // The newest year of birth that is whole is the same in both.
    let context = pages_of(["2024-10", "2024-11"]);
    let page = String::from_utf8(context.read("2024-11.html")).unwrap();
    let mut known = known(&context, "2024-11");
    // What a page computes: the change since the last month, and shares of the check's report.
    let (before, now) = (headline(&context, "2024-10", "2021"), headline(&context, "2024-11", "2021"));
    // Of how many ZIP codes a number is told, in place of a figure.
    let zips = csv_rows(&context.read("2024-11/by_zip/table.csv"));
    let told = zips.iter().skip(1).filter(|row| !row[2].is_empty()).count();
    let not_drawn = format!("only {told} of {} rows have a number", grouped(zips.len() as u64 - 1));
    assert!(page.contains(&not_drawn) && !page.contains("figure-by_zip-picture"), "{not_drawn}");
    known.extend(numbers(&not_drawn));
    // The name of the month before, its rate, and the change.
    known.extend([share(before), format!("{:.1}", (now - before).abs() * 100.0), "2024".to_owned()]);
    let report = context.json("store/reports/2024-11/report.json");
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let k = count(&report["k"]);
    let mut shares = |part: u64, whole: u64| {
        let told = [part, whole - part].iter().all(|count| !(1..k).contains(count));
        if told && whole > 0 {
            known.insert(share(real(part) / real(whole)));
        }
    };
    shares(count(&report["totals"]["rejected"]), count(&report["totals"]["read"]));
    for rule in report["rules"].as_array().unwrap() {
        shares(count(&rule["failed"]), count(&rule["checked"]));
    }
    for column in report["columns"].as_array().unwrap() {
        shares(count(&column["missing"]), count(&column["missing"]) + count(&column["present"]));
    }
    for rule in report["rules"].as_array().unwrap() {
        for text in ["code", "title", "reason"] {
            known.extend(numbers(rule[text].as_str().unwrap_or_default()));
        }
    }
    let words = words(&page);
    assert!(words.len() > 20_000 && known.len() > 1_000, "the control: {} {}", words.len(), known.len());
    let unknown: BTreeSet<String> = numbers(&words).filter(|number| !known.contains(number)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(page.contains("percentage point") || page.contains("As in the release of"), "the change since October");
    assert!(page.contains("October 2024"));
}

#[test]
fn a_year_that_was_not_whole_is_not_compared() {
    let context = two_months();
    let page = String::from_utf8(context.read("2024-12.html")).unwrap();
    assert!(page.contains("The release of November 2024 has only a part of this year of birth"), "born in 2022");
    assert!(!page.contains("percentage point") && !page.contains("As in the release of"));
    // Where two releases are compared, the parts are named.
    let coverage = "query coverage --store store --measure nis.mmr1 --by birth_year --format csv";
    for period in ["2024-11", "2024-12"] {
        context.put(&format!("of/{period}/.keep"), "");
        context.phds(&format!("{coverage} --period {period} --out of/{period}/table.csv")).done();
    }
    let compared = context.phds("compare of/2024-11/table.csv of/2024-12/table.csv").done().text();
    let note = "Not of the same days in both: 2022 (to 2022-11-30 in 2024-11, whole in 2024-12).";
    assert!(compared.split_whitespace().collect::<Vec<_>>().join(" ").contains(note), "{compared}");
}

#[test]
fn what_the_page_cannot_tell_has_a_remedy() {
    let context = two_months();
    let first = String::from_utf8(context.read("2024-11.html")).unwrap();
    assert!(first.contains("No release of October 2024 to compare with"));
    for (command, remedy) in [
        ("--store store --period 2024-11", "`phds report --period 2024-10 --out 2024-10.html` first"),
        ("--releases 2024-12", "name the folder of the releases of 2024-11: --earlier DIR"),
        ("--releases 2024-12 --earlier 2024-12", "`2024-12` has no release of 2024-11"),
        ("--releases public", "call a release `headline`, as `phds report --example` does"),
    ] {
        for file in ["table.csv", "release.json"] {
            context.put(&format!("public/by_county/{file}"), context.read(&format!("2024-12/by_county/{file}")));
        }
        let outcome = context.phds(&format!("report {command} --out again.html")).done();
        assert!(outcome.stderr.contains(remedy), "{command}: {}", outcome.stderr);
    }
    let outcome = context.phds("report --releases 2024-12 --earlier 2024-11 --out again.html").done();
    assert!(!outcome.stderr.contains("The page"), "{}", outcome.stderr);
}

#[test]
fn the_built_in_questions_can_be_printed_and_asked() {
    let context = TestContext::new();
    let printed = context.phds("report --example").done().text();
    assert_eq!(printed, include_str!("../../dictionaries/phds/report.toml"));
    assert!(printed.contains("name = \"headline\""));
    context.phds("report --example --out page.html").ended(2);
}

#[test]
fn what_is_withheld_is_striped_and_has_no_number() {
    let context = two_months();
    let page = String::from_utf8(context.read("2024-12.html")).unwrap();
    let table = String::from_utf8(context.read("2024-12/by_county/table.csv")).unwrap();
    let hidden: Vec<&str> = table.lines().filter(|line| line.contains(",suppressed,")).collect();
    assert!(hidden.len() > 10, "the control");
    for line in hidden {
        let county = line.split(',').next().unwrap();
        let row = format!(
            "<tr><th scope=\"row\">{county}<td class=\"striped\" colspan=\"5\"><span>suppressed</span><td>suppressed\n"
        );
        assert!(page.contains(&row), "{county}");
        assert!(page.contains(&format!("<title>{county}: suppressed</title>")), "{county}");
    }
    // No figure has a class of the page, so neither colours the other.
    let figures = Regex::new(r"(?s)<svg .*?</svg>").unwrap();
    let class = Regex::new(r#"class="([^"]*)""#).unwrap();
    let classes = |text: &str| -> BTreeSet<String> {
        class.captures_iter(text).flat_map(|found| found[1].split(' ').map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let drawn: BTreeSet<String> = figures.find_iter(&page).flat_map(|figure| classes(figure.as_str())).collect();
    let around = classes(&figures.replace_all(&page, ""));
    assert!(drawn.len() > 10 && around.len() > 10, "the control");
    assert_eq!(drawn.intersection(&around).collect::<Vec<_>>(), Vec::<&String>::new());
    let style = include_str!("../../src/page/page.css");
    for class in &drawn {
        assert!(!Regex::new(&format!(r"\.{class}\b")).unwrap().is_match(style), "{class}");
    }
}

#[test]
fn the_same_page_without_a_store() {
    let context = two_months();
    context.phds("report --releases 2024-12 --earlier 2024-11 --out again.html").done();
    let [page, again] = ["2024-12.html", "again.html"].map(|name| String::from_utf8(context.read(name)).unwrap());
    assert!(again.contains("href=\"2024-12/by_county/table.csv\""));
    // The report of the check is in the store alone.
    assert!(page.contains("id=\"quality\"") && !again.contains("id=\"quality\""));
    let at_a_glance = Regex::new(r#"(?s)<section id="headline".*?</section>"#).unwrap();
    assert_eq!(at_a_glance.find(&page).unwrap().as_str(), at_a_glance.find(&again).unwrap().as_str());
    // A season is of no age by which all are seen: it stands apart from the vaccines by year of birth.
    let season = Regex::new(r#"(?s)<section id="season".*?</section>"#).unwrap();
    let vaccines = Regex::new(r#"(?s)<section id="vaccines".*?</section>"#).unwrap();
    let holds = |section: &Regex| section.find(&page).unwrap().as_str().contains("influenza in the season");
    assert!(holds(&season) && !holds(&vaccines));
    // And the same bytes for the same month.
    context.phds("report --store store --period 2024-12 --out 2024-12.html").done();
    assert_eq!(page.as_bytes(), context.read("2024-12.html"));
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
}

#[test]
fn what_cannot_be_a_page_is_refused() {
    let context = two_months();
    context.put("empty/x", "");
    context.put("busy/rejected.csv", "");
    let folder = context.path("both");
    for (name, from) in [("a", "2024-11/headline"), ("b", "2024-12/headline")] {
        for file in ["table.csv", "release.json"] {
            context.put(&format!("both/{name}/{file}"), context.read(&format!("{from}/{file}")));
        }
    }
    assert!(folder.is_dir());
    let changed = String::from_utf8(context.read("2024-12/by_county/table.csv")).unwrap().replace("Travis", "Hays");
    context.put("changed/by_county/table.csv", changed);
    context.put("changed/by_county/release.json", context.read("2024-12/by_county/release.json"));
    for (code, command, message) in [
        (2, "--releases empty", "there is no release in `empty`"),
        (2, "--releases none", "none"),
        (2, "--releases both", "the releases are of 2024-11 and of 2024-12"),
        (1, "--releases changed", "SHA-256 differs"),
        (2, "--store store --out page", "`page` does not end in .html"),
        (2, "--store store --out busy.html", "busy/rejected.csv` is in the way: it is no release"),
        (2, "--store store --period 2024-10", "2024-10"),
        (2, "--releases 2024-12 --store store", "--store"),
        (2, "--store store --shapes zips.geojson", "--shape-key"),
    ] {
        let out = if command.contains("--out") { "" } else { "--out page.html" };
        let outcome = context.phds(&format!("report {command} {out}")).ended(code);
        assert!(outcome.stderr.contains(message), "{command}: {}", outcome.stderr);
        assert!(!context.path("page.html").exists(), "{command}: nothing is written");
    }
}

#[test]
fn zip_codes_as_a_map_of_the_departments_own_shapes() {
    let context = two_months();
    let table = csv_rows(&context.read("2024-12/by_zip/table.csv"));
    let zips: Vec<&String> = table[1..].iter().map(|row| &row[0]).filter(|zip| *zip != "Unknown").take(2).collect();
    let shape = |zip: &str, west: i32| {
        serde_json::json!({ "type": "Feature", "properties": { "ZIP": zip }, "geometry": { "type": "Polygon",
            "coordinates": [[[west, 30], [west + 1, 30], [west + 1, 31], [west, 31], [west, 30]]] } })
    };
    let shapes =
        serde_json::json!({ "type": "FeatureCollection", "features": [shape(zips[0], -98), shape(zips[1], -97)] });
    context.put("zips.geojson", shapes.to_string());
    context.phds("report --store store --shapes zips.geojson --shape-key ZIP --out mapped.html").done();
    let page = String::from_utf8(context.read("mapped.html")).unwrap();
    assert!(page.contains("figure-by_zip-picture-map"), "a map and no bars");
}
