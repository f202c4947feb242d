//! Figures of hand-made releases and of a synthetic month.

use std::collections::BTreeSet;

use phds::figure::face::Face;
use phds::figure::release::Release;
use phds::figure::{self, Kind, Options};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use regex::Regex;
use serde_json::json;

use crate::support::{Table, TestContext, csv_rows};

/// A hand-made release: the bytes of its table and of its description. The columns before `numerator` are dimensions.
fn release(indicator: &str, table: &str) -> (Vec<u8>, Vec<u8>) {
    let table = Table::parse(table);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&table.columns).unwrap();
    for row in &table.rows {
        writer.write_record(row).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    let known =
        ["missing", "age_months", "at_risk", "measure", "numerator", "denominator", "rate", "ci_low", "ci_high"];
    let labels: Vec<_> = table.columns.iter().take_while(|name| !known.contains(&name.as_str())).collect();
    let dimensions: Vec<_> =
        labels.iter().map(|name| json!({ "id": name, "title": title(name), "is_age": *name == "age" })).collect();
    let description = json!({
        "schema_version": 2, "release_id": "0123456789abcdef", "audience": "internal",
        "marking": "INTERNAL: for the staff of this health department.",
        "tool": { "name": "phds", "version": "0.1.0" }, "indicator": indicator,
        "measure": { "id": "nis.mmr1", "title": "1 or more MMR by 24 months", "definition": "…", "source": "NIS-Child",
                     "cvx_codes": [], "version": "2026.2", "fingerprint": "0" },
        "cohort": { "description": "Clients born on or after 2018-01-01", "born_from": "2018-01-01",
                    "born_to": "2022-12-31", "as_of": "2024-12-31" },
        "denominators": [{ "source": "clients", "description": "Clients of the cohort" }],
        "dimensions": dimensions, "labels": labels, "where": [], "interval": { "method": "wilson", "level": 0.95 },
        "reporting_period": "2024-12", "disclosure": { "k": 11, "reason": "…" },
        "caveats": ["The Texas registry is opt-in.", "Counts of 1 to 10 are suppressed; suppressed is not zero."],
        "table": { "format": "csv", "file": "t.csv", "sha256": phds::fs::sha256_hex(&bytes) },
    });
    (bytes, serde_json::to_vec_pretty(&description).unwrap())
}

fn title(name: &str) -> String {
    match name {
        "county" => "County of residence (within region)".to_owned(),
        "birth_year" => "Year of birth".to_owned(),
        other => other.to_owned(),
    }
}

fn drawn(kind: Kind, files: &(Vec<u8>, Vec<u8>)) -> String {
    figure::draw(kind, &Release::read(&files.0, &files.1).unwrap(), &Options::default()).unwrap()
}

const COUNTIES: &str = "
county  | numerator | denominator | rate     | ci_low   | ci_high  | status
Travis  | 660       | 1000        | 0.660000 | 0.630069 | 0.688667 | shown
Hays    | 411       | 571         | 0.719790 | 0.681554 | 0.755107 | shown
Comal   |           |             |          |          |          | suppressed
Blanco  | 0         | 40          | 0.000000 | 0.000000 | 0.087622 | zero
Bell    |           |             |          |          |          | unreliable
Unknown | 33        | 77          | 0.428571 | 0.324038 | 0.540025 | shown
";

const YEARS: &str = "
sex    | birth_year | numerator | denominator | rate     | ci_low   | ci_high  | status
Female | 2018       | 325       | 492         | 0.660569 | 0.617608 | 0.701009 | shown
Female | 2019       |           |             |          |          |          | suppressed
Female | 2020       | 313       | 476         | 0.657563 | 0.613811 | 0.698790 | shown
Male   | 2018       | 309       | 475         | 0.650526 | 0.606549 | 0.692105 | shown
Male   | 2019       | 330       | 501         | 0.658683 | 0.616058 | 0.698877 | shown
Male   | 2020       | 350       | 503         | 0.695825 | 0.654271 | 0.734418 | shown
";

const CLINICS: &str = "
organization      | numerator | denominator | rate     | ci_low   | ci_high  | status
Lakeside Clinic   | 1200      | 2000        | 0.600000 | 0.578351 | 0.621265 | shown
Pecan Pediatrics  | 1700      | 2000        | 0.850000 | 0.833694 | 0.864965 | shown
Rio Health Center | 43        | 60          | 0.716667 | 0.592260 | 0.814840 | shown
Small Clinic      |           |             |          |          |          | suppressed
";

const AGES: &str = "
age_months | at_risk | events | censored | rate     | ci_low   | ci_high  | status
0          | 1000    | 0      | 0        | 0.000000 | 0.000000 | 0.003700 | zero
1          | 1000    | 250    | 50       | 0.250000 | 0.224000 | 0.277500 | shown
2          |         |        |          |          |          |          | suppressed
3          | 500     | 100    | 20       | 0.550000 | 0.518000 | 0.581000 | shown
";

const PARTS: &str = "
missing     | numerator | denominator | rate     | ci_low   | ci_high  | status
DTaP        | 120       | 1000        | 0.120000 | 0.101000 | 0.142000 | shown
DTaP + PCV  | 15        | 1000        | 0.015000 | 0.009100 | 0.024600 | shown
Polio + MMR |           |             |          |          |          | suppressed
";

/// Kind, indicator, table, and how many elements are hatched, with the entry in the legend.
const KINDS: [(Kind, &str, &str, usize); 6] = [
    (Kind::Bar, "coverage", COUNTIES, 3),
    (Kind::Map, "coverage", COUNTIES, 3),
    (Kind::Trend, "coverage", YEARS, 2),
    (Kind::Funnel, "coverage", CLINICS, 2),
    (Kind::Curve, "curve", AGES, 2),
    (Kind::Upset, "missing", PARTS, 2),
];

/// An element of a figure: its name, its attributes, its own words, and where it stands.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    words: String,
    shift: (f64, f64),
}

impl Element {
    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str) -> f64 {
        self.get(name).parse().unwrap_or_default()
    }
}

/// All elements, in the order in which they end. Fails where a tag is open or an attribute is there twice.
fn elements(svg: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(svg);
    let (mut open, mut done): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => open.push(element(&tag, open.last())),
            Event::Empty(tag) => done.push(element(&tag, open.last())),
            Event::End(_) => done.push(open.pop().unwrap()),
            Event::Text(text) => open.last_mut().unwrap().words += &text.xml10_content(),
            Event::GeneralRef(name) => open.last_mut().unwrap().words.push_str(match &*name.xml10_content() {
                "amp" => "&",
                "lt" => "<",
                "gt" => ">",
                "quot" => "\"",
                "apos" => "'",
                other => panic!("&{other};"),
            }),
            Event::Eof => break,
            other => panic!("{other:?} has no place in a figure"),
        }
    }
    assert!(open.is_empty());
    done
}

fn element(tag: &BytesStart<'_>, parent: Option<&Element>) -> Element {
    let attributes: Vec<(String, String)> = tag
        .attributes()
        .map(|attribute| attribute.unwrap())
        .map(|attribute| {
            (
                attribute.key.as_ref().to_owned(),
                attribute.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned(),
            )
        })
        .collect();
    let name = tag.name().as_ref().to_owned();
    let mut element = Element { name, attributes, ..Element::default() };
    let before = parent.map_or((0.0, 0.0), |parent| parent.shift);
    let moved = Regex::new(r"^translate\((\S+) (\S+)\)$").unwrap();
    let by = moved
        .captures(element.get("transform"))
        .map_or((0.0, 0.0), |by| (by[1].parse().unwrap(), by[2].parse().unwrap()));
    element.shift = (before.0 + by.0, before.1 + by.1);
    element
}

/// Holds a figure to what every figure promises.
fn holds(what: &str, svg: &str, table: &[u8], description: &[u8], hatched: usize) {
    let elements = elements(svg);
    let root = elements.last().unwrap();
    assert_eq!((root.name.as_str(), root.get("role"), root.get("width")), ("svg", "img", "720"), "{what}");
    let id = root.get("id");
    assert_eq!(root.get("aria-labelledby"), format!("{id}-title {id}-desc"));
    for name in ["title", "desc"] {
        let told = elements.iter().find(|element| element.get("id") == format!("{id}-{name}")).unwrap();
        assert!(told.words.len() > 20, "{what}: {name}");
    }
    // Nothing runs, nothing is fetched, and nothing reaches out of the figure.
    let mut ids = BTreeSet::new();
    let selectors = Regex::new(r"([^{}]+)\{").unwrap();
    for element in &elements {
        assert!(!["script", "foreignObject", "image", "use", "a"].contains(&element.name.as_str()), "{what}");
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on") && !name.contains("href"), "{what}: {name}");
            assert!(!value.contains("url(") || value.contains(&format!("url(#{id}-")), "{what}: {value}");
            assert!(name == "xmlns" || !value.contains("//"), "{what}: {value}");
        }
        let own = element.get("id");
        assert!(own.is_empty() || (own.starts_with(id) && ids.insert(own.to_owned())), "{what}: {own}");
        if element.name == "style" {
            assert!(!element.words.contains("url(") && !element.words.contains("@import"), "{what}");
            for found in selectors.captures_iter(&element.words) {
                assert!(
                    found[1].starts_with(&format!("#{id}")) || found[1].starts_with("@media"),
                    "{what}: {}",
                    &found[1]
                );
            }
        }
    }
    let fills = elements.iter().filter(|element| element.get("fill") == format!("url(#{id}-hatch)")).count();
    assert_eq!(fills, hatched, "{what}: hatched");
    // Every number that is read is in the release.
    let known = numbers_of(table, description);
    let number = Regex::new(r"\d[\d,]*(\.\d+)?").unwrap();
    for element in elements.iter().filter(|element| ["text", "title", "desc"].contains(&element.name.as_str())) {
        if !element.get("class").contains("scale") {
            for found in number.find_iter(&element.words) {
                let found = found.as_str().trim_end_matches(',');
                assert!(known.contains(found) || LIMITS.contains(&found), "{what}: {found} in `{}`", element.words);
            }
        }
    }
    apart(what, &elements, root);
}

/// The limits of a funnel are named in its footnote.
const LIMITS: [&str; 1] = ["99.8"];

/// All numbers of a release, as its files and as its figures write them.
fn numbers_of(table: &[u8], description: &[u8]) -> BTreeSet<String> {
    let number = Regex::new(r"\d[\d,]*(\.\d+)?").unwrap();
    let rows = csv_rows(table);
    let description = String::from_utf8(description.to_vec()).unwrap();
    let texts = rows.iter().flatten().chain([&description]);
    let mut known: BTreeSet<String> = texts
        .flat_map(|text| number.find_iter(text))
        .map(|found| found.as_str().trim_end_matches(',').to_owned())
        .collect();
    for row in &rows[1..] {
        for (column, cell) in rows[0].iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            if column == "rate" {
                known.insert(phds::words::percent(cell.parse().unwrap()).trim_end_matches('%').to_owned());
            } else if let Ok(count) = cell.parse() {
                known.insert(phds::words::grouped(count));
            }
        }
    }
    known
}

/// No two texts overlap, and none leaves the figure, in the widest of the usual fonts.
fn apart(what: &str, elements: &[Element], root: &Element) {
    let texts =
        elements.iter().filter(|element| element.name == "text" && !element.get("transform").starts_with("rotate"));
    let boxes: Vec<_> = texts
        .map(|text| {
            let size = text.number("font-size");
            let face = if text.get("font-weight").is_empty() { Face::plain(size) } else { Face::bold(size) };
            let width = face.width(&text.words);
            let (x, y) = (text.number("x") + text.shift.0, text.number("y") + text.shift.1);
            let left = match text.get("text-anchor") {
                "end" => x - width,
                "middle" => x - width / 2.0,
                _ => x,
            };
            (left, y - size * 0.74, left + width, y + size * 0.2, &text.words)
        })
        .collect();
    for (at, one) in boxes.iter().enumerate() {
        let (right, bottom) = (root.number("width"), root.number("height"));
        assert!(one.0 >= 0.0 && one.1 >= 0.0 && one.2 <= right && one.3 <= bottom, "{what}: {one:?} is outside");
        for other in &boxes[at + 1..] {
            let clear = one.2 <= other.0 + 0.1 || other.2 <= one.0 + 0.1 || one.3 <= other.1 || other.3 <= one.1;
            assert!(clear, "{what}: {one:?} and {other:?} overlap");
        }
    }
}

#[test]
fn every_kind_is_whole_and_says_nothing_that_is_not_in_the_release() {
    for (kind, indicator, table, hatched) in KINDS {
        let (table, description) = release(indicator, table);
        let svg = drawn(kind, &(table.clone(), description.clone()));
        holds(kind.word(), &svg, &table, &description, hatched);
        assert!(svg.contains("INTERNAL") && svg.contains("k = 11") && svg.contains("nis.mmr1"), "{}", kind.word());
        assert!(words(&svg).join(" ").contains("The Texas registry is opt-in."), "{}", kind.word());
        assert_eq!(svg, drawn(kind, &(table, description)), "the same bytes");
    }
}

#[test]
fn labels_of_any_length_and_kind_stay_apart() {
    let long = "A Health Care Organization & Its <Affiliates> of Central Texas, Incorporated in ".repeat(3);
    let word = "W".repeat(300);
    for (kind, indicator, table, hatched) in KINDS {
        for name in [long.as_str(), &word, "…", "ñandú 漢字"] {
            let other = table
                .replace("Travis ", &format!("{name} T"))
                .replace("Female", &format!("{name} F"))
                .replace("Lakeside Clinic", &format!("{name} L"))
                .replace("Pecan Pediatrics", &format!("{name} P"))
                .replace("DTaP", &format!("{name} D"));
            let (table, description) = release(indicator, &other);
            holds(kind.word(), &drawn(kind, &(table.clone(), description.clone())), &table, &description, hatched);
        }
    }
}

#[test]
fn withheld_is_hatched_whatever_else_is_there() {
    let head = "county | numerator | denominator | rate | ci_low | ci_high | status";
    let hidden = ["Travis", "Hays", "Unknown"].map(|county| format!("{county} | | | | | | suppressed"));
    let all = format!("{head}\n{}", hidden.join("\n"));
    let one = format!("{head}\n{}", hidden[0]);
    let told = format!("{head}\nTravis | 660 | 1000 | 0.660000 | 0.630069 | 0.688667 | shown");
    for (kind, table, hatched) in [
        (Kind::Bar, &all, 4),
        (Kind::Map, &all, 3),
        (Kind::Bar, &one, 2),
        (Kind::Map, &one, 2),
        (Kind::Bar, &told, 0),
        (Kind::Map, &told, 0),
    ] {
        let (table, description) = release("coverage", table);
        holds(kind.word(), &drawn(kind, &(table.clone(), description.clone())), &table, &description, hatched);
    }
    let svg = drawn(Kind::Bar, &release("coverage", &all));
    assert!(svg.contains("No value is told. All values are suppressed:"), "{svg}");
}

/// The words of all texts of a figure.
fn words(svg: &str) -> Vec<String> {
    elements(svg).into_iter().filter(|element| element.name == "text").map(|element| element.words).collect()
}

#[test]
fn of_many_bars_those_without_a_number_are_left_to_the_table() {
    let mut rows = vec!["county | numerator | denominator | rate | ci_low | ci_high | status".to_owned()];
    rows.extend((0..56).map(|at| format!("c{at} | 50 | 100 | 0.500000 | 0.403832 | 0.596168 | shown")));
    let told = rows.join("\n");
    rows.push("c56 | 12 | 12 | 1.000000 | 0.757500 | 1.000000 | unreliable".to_owned());
    rows.extend((57..61).map(|at| format!("c{at} | | | | | | suppressed")));
    rows.push("c61 | | 0 | | | | not_applicable".to_owned());
    let (table, description) = release("coverage", &rows.join("\n"));
    let svg = drawn(Kind::Bar, &(table.clone(), description.clone()));
    holds("62 bars", &svg, &table, &description, 1);
    let said = words(&svg);
    let not_drawn = "not drawn, and not zero: 5 of 62 rows, suppressed or without clients";
    assert!(said.contains(&not_drawn.to_owned()), "{said:?}");
    assert!(svg.contains("Other values are suppressed: not drawn, and not zero."));
    // The unreliable one is drawn, below all others although its rate is the highest.
    let place = |label: &str| said.iter().position(|words| words == label);
    assert!(place("c55") < place("c56") && place("c56").is_some() && place("c57").is_none(), "{said:?}");
    assert!(said.join(" ").contains("mostly those in which nobody or everybody is counted"), "{said:?}");
    // Of fewer, each is drawn.
    let few = words(&drawn(Kind::Bar, &release("coverage", &format!("{told}\nc56 | | | | | | suppressed"))));
    assert!(few.contains(&"c56".to_owned()) && !few.join(" ").contains("nobody or everybody"), "{few:?}");
}

#[test]
fn an_unreliable_place_is_hollow_and_in_no_class() {
    let table = "
        county   | numerator | denominator | rate     | ci_low   | ci_high  | status
        Travis   | 660       | 1000        | 0.660000 | 0.630069 | 0.688667 | shown
        Hays     | 400       | 571         | 0.700525 | 0.661700 | 0.736600 | shown
        Caldwell | 12        | 12          | 1.000000 | 0.757500 | 1.000000 | unreliable";
    let (table, description) = release("coverage", table);
    let svg = drawn(Kind::Map, &(table.clone(), description.clone()));
    holds("hollow", &svg, &table, &description, 0);
    let class = Regex::new(r#"class="([^"]*)"><title>Caldwell: 100.0% of 12, unreliable</title>"#).unwrap();
    let classes: Vec<&str> = class.captures_iter(&svg).map(|found| found.get(1).unwrap().as_str()).collect();
    assert_eq!(classes, ["paper", "line hollow"]);
    let said = words(&svg);
    assert!(said.contains(&"unreliable".to_owned()) && said.contains(&"70 to 71%".to_owned()), "{said:?}");
    assert!(!said.iter().any(|words| words.ends_with("to 100%")), "no class reaches so far: {said:?}");
}

#[test]
fn months_taken_together_are_stripes_and_no_line() {
    let table = "
        race  | age_months | at_risk | events | censored | rate     | ci_low   | ci_high  | status
        Asian | 12         | 1000    | 0      | 0        | 0.000000 |          |          | shown
        Asian | 13         | 1000    | 600    | 0        | 0.600000 | 0.569300 | 0.629800 | shown
        Asian | 18         | 400     | 300    | 0        | 0.900000 | 0.879900 | 0.917000 | shown
        Asian | 19         | 100     | 20     | 0        | 0.920000 | 0.901500 | 0.935200 | shown
        White | 12         | 1000    | 0      | 0        | 0.000000 |          |          | shown";
    let (table, description) = release("curve", table);
    let svg = drawn(Kind::Curve, &(table.clone(), description.clone()));
    holds("together", &svg, &table, &description, 2);
    let said = words(&svg);
    let legend = "months of age taken together: the curve runs somewhere within the stripes";
    assert!(said.contains(&legend.to_owned()), "{said:?}");
    let elements = elements(&svg);
    let ways = |class: &str| {
        let paths = elements.iter().filter(|element| element.name == "path" && element.get("class") == class);
        paths.map(|path| path.get("d").to_owned()).collect::<Vec<_>>()
    };
    // Nobody is up to date at birth, so the line begins there, and has two parts; in the panel of the other group, too.
    let way = &ways("line")[0];
    assert_eq!((way.matches('M').count(), &ways("faint")[1]), (2, way));
    let number = Regex::new(r"[\d.]+").unwrap();
    let places: Vec<f64> = number.find_iter(way).map(|found| found.as_str().parse().unwrap()).collect();
    let second = way[1..].find('M').unwrap() + 1;
    let before = number.find_iter(&way[..second]).count();
    let stripes =
        elements.iter().rfind(|element| element.get("fill").starts_with("url(#") && element.number("height") > 12.0);
    let stripes = stripes.unwrap();
    let corners = [
        stripes.number("x"),
        stripes.number("y") + stripes.number("height"),
        stripes.number("x") + stripes.number("width"),
        stripes.number("y"),
    ];
    // From where the line ends, at 13 months, to where it begins again, at 18.
    for (corner, place) in corners.iter().zip(&places[before - 2..before + 2]) {
        assert!((corner - place).abs() < 0.11, "{corners:?} {way}");
    }
}

#[test]
fn a_period_that_the_cohort_cuts_off_says_so() {
    // Born from 2018-01-01 to 2020-06-30, doses to 2024-12-31.
    let cut = |indicator: &str, table: &str| {
        let (table, description) = release(indicator, table);
        let description = String::from_utf8(description).unwrap().replace("2022-12-31", "2020-06-30");
        (table, description.into_bytes())
    };
    for (indicator, column, label, label_is) in [
        ("coverage", "birth_year", "2019", "2019"),
        ("coverage", "birth_year", "2020", "2020 (to 06-30)"),
        ("coverage", "birth_quarter", "2020-Q2", "2020-Q2"),
        ("coverage", "birth_quarter", "2020-Q3", "2020-Q3 (to 06-30)"),
        // Doses are of clients of all ages.
        ("doses", "birth_year", "1950", "1950"),
        ("doses", "vaccination_year", "2024", "2024"),
        ("doses", "season", "2023-24", "2023-24"),
        ("doses", "season", "2024-25", "2024-25 (to 12-31)"),
    ] {
        let table = format!("{column} | numerator | denominator | rate | status\n{label} | 20 | 40 | 0.5 | shown");
        let (table, description) = cut(indicator, &table);
        assert_eq!(Release::read(&table, &description).unwrap().label(0, column), label_is, "{column}");
    }
    let years = cut("coverage", YEARS);
    let trend = drawn(Kind::Trend, &years);
    holds("a half year", &trend, &years.0, &years.1, 2);
    assert!(words(&trend).contains(&"2020 only to 2020-06-30".to_owned()));
    // Of women, 2019 is suppressed and 2020 alone; of men, the way from 2019 to 2020 is dashed.
    assert_eq!(trend.matches("<path class=\"line outer\"").count(), 1);
    assert!(words(&drawn(Kind::Bar, &years)).contains(&"2020 (to 06-30)".to_owned()));
    let whole = drawn(Kind::Trend, &release("coverage", YEARS));
    assert!(!whole.contains("only to") && !whole.contains("line outer"));
}

#[test]
fn months_are_named_where_a_year_begins() {
    let months = |count: i32| {
        let month = |at: i32| format!("{}-{:02} | 300 | 300 | shown", 2022 + (at + 6) / 12, (at + 6) % 12 + 1);
        let rows: Vec<String> = (0..count).map(month).collect();
        let table = format!("vaccination_month | numerator | doses | status\n{}", rows.join("\n"));
        let said = words(&drawn(Kind::Trend, &release("doses", &table)));
        let is_month = Regex::new(r"^20\d\d-\d\d$").unwrap();
        said.into_iter().filter(|words| is_month.is_match(words)).collect::<Vec<_>>()
    };
    assert_eq!(months(3), ["2022-07", "2022-08", "2022-09"]);
    assert_eq!(months(30), ["2023-01", "2024-01"]);
}

#[test]
fn sets_of_missing_parts_have_names_and_their_pool_is_no_part() {
    let table = "
        missing             | numerator | denominator | rate     | ci_low   | ci_high  | status
        other sets          | 90        | 1000        | 0.090000 | 0.073787 | 0.109353 | shown
        nis.dtap4           | 80        | 1000        | 0.080000 | 0.064733 | 0.098487 | shown
        nis.dtap4 + nis.x   | 20        | 1000        | 0.020000 | 0.012975 | 0.030709 | shown
        none                | 800       | 1000        | 0.800000 | 0.774140 | 0.823571 | shown
        nis.pcv4            |           |             |          |          |          | suppressed";
    let (table, description) = release("missing", table);
    let mut description: serde_json::Value = serde_json::from_slice(&description).unwrap();
    description["parts"] = json!([
        { "id": "nis.dtap4", "title": "4 or more DTaP by 24 months" },
        { "id": "nis.pcv4", "title": "4 or more PCV by 24 months" },
    ]);
    let description = serde_json::to_vec(&description).unwrap();
    let svg = drawn(Kind::Upset, &(table.clone(), description.clone()));
    holds("named sets", &svg, &table, &description, 2);
    let said = words(&svg);
    let at = |text: &str| said.iter().position(|words| words == text).unwrap_or_else(|| panic!("{text}: {said:?}"));
    // Heads are without the words in which all end; what has no title keeps its id. The pool is last of what is told.
    assert!(at("4 or more DTaP") < at("nis.x") && at("nis.x") < at("4 or more PCV"));
    assert!(at("nothing missing") < at("80 (8.0%)") && at("20 (2.0%)") < at("other sets"));
    assert!(at("other sets") < at("90 (9.0%)"));
    // Three parts, and a mark for each in each of three sets.
    assert_eq!(elements(&svg).iter().filter(|element| element.name == "circle").count(), 9);
}

#[test]
fn a_long_name_of_a_panel_has_two_lines() {
    let names = ["3 or more hepatitis B by 24 months", "2 or more influenza by 24 months", "a", "b", "c"];
    let mut rows = vec!["vaccine | birth_year | numerator | denominator | rate | ci_low | ci_high | status".to_owned()];
    for name in names {
        let row = |year| format!("{name} | {year} | 50 | 100 | 0.500000 | 0.403832 | 0.596168 | shown");
        rows.extend([2020, 2021].map(row));
    }
    let (table, description) = release("coverage", &rows.join("\n"));
    let svg = drawn(Kind::Trend, &(table.clone(), description.clone()));
    holds("panels", &svg, &table, &description, 0);
    let said = words(&svg).join(" ");
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
}

#[test]
fn what_has_an_order_keeps_it() {
    let doses = |column: &str, labels: [&str; 3]| {
        let rows =
            labels.iter().zip([20, 300, 40]).map(|(label, doses)| format!("{label} | {doses} | {doses} | shown"));
        let table = format!("{column} | numerator | doses | status\n{}", rows.collect::<Vec<_>>().join("\n"));
        release("doses", &table)
    };
    let place = |said: &[String], label: &str| said.iter().position(|words| words == label).unwrap();
    for (column, labels) in [
        ("age_at_dose", ["under 6 months", "12 to 23 months", "65 years and older"]),
        ("season", ["2021-22", "2022-23", "2023-24"]),
        ("age", ["2 years", "3 years", "10 years"]),
    ] {
        let said = words(&drawn(Kind::Bar, &doses(column, labels)));
        assert!(labels.map(|label| place(&said, label)).is_sorted(), "{column}: {said:?}");
    }
    // One season comes after the other, so the line has no gap.
    let trend = drawn(Kind::Trend, &doses("season", ["2021-22", "2022-23", "2023-24"]));
    assert_eq!(elements(&trend).iter().filter(|element| element.name == "path").count(), 1, "{trend}");
}

#[test]
fn a_small_figure_in_full() {
    let table = "
        sex    | numerator | denominator | rate     | ci_low   | ci_high  | status
        Female | 30        | 60          | 0.500000 | 0.377266 | 0.622734 | shown
        Male   |           |             |          |          |          | suppressed";
    let svg = drawn(Kind::Bar, &release("coverage", table));
    let style = Regex::new("<style>.*</style>").unwrap();
    let svg = style.replace(&svg, "<style>[STYLE]</style>");
    insta::assert_snapshot!(svg.replace("><", ">\n<"), @r##"
        <svg xmlns="http://www.w3.org/2000/svg" id="phds-0123456789abcdef-bar" class="phds-figure" width="720" height="262" viewBox="0 0 720 262" role="img" aria-labelledby="phds-0123456789abcdef-bar-title phds-0123456789abcdef-bar-desc" font-family="system-ui, -apple-system, &apos;Segoe UI&apos;, Roboto, &apos;Helvetica Neue&apos;, Arial, &apos;Liberation Sans&apos;, &apos;DejaVu Sans&apos;, sans-serif">
        <title id="phds-0123456789abcdef-bar-title">1 or more MMR by 24 months, by sex, December 2024</title>
        <desc id="phds-0123456789abcdef-bar-desc">One value is told: 50.0% (Female). Other values are suppressed: hatched, without a number, and not zero. The table of the release has every number.</desc>
        <style>[STYLE]</style>
        <defs>
        <pattern id="phds-0123456789abcdef-bar-hatch" patternUnits="userSpaceOnUse" width="6" height="6" patternTransform="rotate(45)">
        <rect x="0" y="0" width="6" height="6" class="paper"/>
        <line x1="3" y1="0" x2="3" y2="6" class="hatch"/>
        </pattern>
        </defs>
        <rect x="0" y="0" width="720" height="262" class="paper"/>
        <g transform="translate(16 0)">
        <rect x="0" y="16" width="688" height="22" class="tint"/>
        <text class="ink" x="8" y="30.5" font-size="10.5" font-weight="600">INTERNAL: for the staff of this health department.</text>
        <text class="ink" x="0" y="65" font-size="19" font-weight="600">1 or more MMR by 24 months, by sex, December 2024</text>
        <text class="soft" x="0" y="89" font-size="12.5">Clients born on or after 2018-01-01. Denominator: clients of the cohort.</text>
        <g transform="translate(0 103)">
        <g>
        <line x1="0" y1="7" x2="22" y2="7" class="firm"/>
        <text class="ink scale" x="28" y="11" font-size="11.5">95% confidence interval</text>
        <rect x="185.7" y="1" width="22" height="12" fill="url(#phds-0123456789abcdef-bar-hatch)"/>
        <text class="ink scale" x="213.7" y="11" font-size="11.5">suppressed, not zero</text>
        </g>
        </g>
        <g transform="translate(0 132)">
        <line x1="52.3" y1="20" x2="52.3" y2="70" class="axis"/>
        <text class="soft scale" x="52.3" y="12" font-size="10.5" text-anchor="middle">0%</text>
        <line x1="179.2" y1="20" x2="179.2" y2="70" class="grid"/>
        <text class="soft scale" x="179.2" y="12" font-size="10.5" text-anchor="middle">20%</text>
        <line x1="306.1" y1="20" x2="306.1" y2="70" class="grid"/>
        <text class="soft scale" x="306.1" y="12" font-size="10.5" text-anchor="middle">40%</text>
        <line x1="432.9" y1="20" x2="432.9" y2="70" class="grid"/>
        <text class="soft scale" x="432.9" y="12" font-size="10.5" text-anchor="middle">60%</text>
        <line x1="559.8" y1="20" x2="559.8" y2="70" class="grid"/>
        <text class="soft scale" x="559.8" y="12" font-size="10.5" text-anchor="middle">80%</text>
        <text class="soft" x="688" y="12" font-size="10.5" text-anchor="end">denominator</text>
        <text class="ink" x="42.3" y="35.5" font-size="11.5" text-anchor="end">Female</text>
        <text class="soft" x="688" y="35.5" font-size="10.5" text-anchor="end">60</text>
        <rect x="52.3" y="24" width="317.2" height="15" class="mark"/>
        <g>
        <line x1="291.6" y1="31.5" x2="447.4" y2="31.5" class="edge halo"/>
        <line x1="291.6" y1="31.5" x2="447.4" y2="31.5" class="firm"/>
        </g>
        <text class="ink edge halo" x="453.4" y="35.5" font-size="11.5" font-weight="600">50.0%</text>
        <text class="ink" x="42.3" y="58.5" font-size="11.5" text-anchor="end">Male</text>
        <text class="soft" x="688" y="58.5" font-size="10.5" text-anchor="end">suppressed</text>
        <rect x="52.3" y="47" width="507.5" height="15" fill="url(#phds-0123456789abcdef-bar-hatch)"/>
        </g>
        <line x1="0" y1="214" x2="688" y2="214" class="grid"/>
        <text class="soft" x="0" y="230" font-size="10">Measure nis.mmr1, version 2026.2: NIS-Child. Reporting period 2024-12. k = 11. Release 0123456789abcdef, phds 0.1.0. The Texas</text>
        <text class="soft" x="0" y="242.5" font-size="10">registry is opt-in. Counts of 1 to 10 are suppressed; suppressed is not zero.</text>
        </g>
        </svg>
        "##);
}

#[test]
fn figures_of_a_month() {
    let context = TestContext::new();
    context.phds("synth --clients 4000 --period 2024-12 --out month.csv").done();
    context.phds("load month.csv --period 2024-12 --store store").done();
    for (dimension, kinds) in
        [("region", vec!["map", "bar"]), ("birth_year", vec!["trend", "bar"]), ("county", vec!["map", "bar"])]
    {
        let ask = format!("query coverage --store store --measure nis.mmr1 --by {dimension}");
        context.phds(&format!("{ask} --format csv --out {dimension}.csv")).done();
        context.phds(&format!("{ask} --format json --out {dimension}.json")).done();
        let description = context.path(&format!("{dimension}.csv.release.json"));
        let description =
            if description.is_file() { format!("{dimension}.csv.release.json") } else { "release.json".to_owned() };
        for kind in kinds {
            let printed = context.phds(&format!("plot {dimension}.csv --kind {kind}")).done();
            context.phds(&format!("plot {dimension}.csv --kind {kind} --out f.svg")).done();
            assert_eq!(context.read("f.svg"), printed.stdout);
            let svg = printed.text();
            let withheld = svg.matches("-hatch)\"").count();
            let table = context.read(&format!("{dimension}.csv"));
            holds(&format!("{kind} of {dimension}"), &svg, &table, &context.read(&description), withheld);
            let json = context.phds(&format!("plot {dimension}.json --kind {kind}")).done().text();
            assert_eq!(json, svg, "the same figure of the same release as JSON");
        }
    }
}

#[test]
fn a_picture_has_the_width_of_letter_paper() {
    let context = TestContext::new();
    let (table, description) = release("coverage", COUNTIES);
    context.put("t.csv", table);
    context.put("release.json", description);
    let outcome = context.phds("plot t.csv --kind bar --out f.png");
    if outcome.code == Some(3) {
        assert!(outcome.stderr.contains("no font"), "{}", outcome.stderr);
        return;
    }
    outcome.done();
    let png = context.read("f.png");
    assert!(png.starts_with(b"\x89PNG"));
    // 7.5 inches at 300 dots.
    assert_eq!(u32::from_be_bytes(png[16..20].try_into().unwrap()), 2250);
}

#[test]
fn shapes_of_a_department() {
    let context = TestContext::new();
    let (table, description) = release("coverage", &COUNTIES.replace("county ", "zip ").replace("Travis", "78701 "));
    context.put("t.csv", &table);
    context.put("release.json", &description);
    let shape = |zip: &str, west: i32| {
        json!({ "type": "Feature", "properties": { "ZIP": zip }, "geometry": { "type": "Polygon",
            "coordinates": [[[west, 30], [west + 1, 30], [west + 1, 31], [west, 31], [west, 30]]] } })
    };
    let shapes =
        json!({ "type": "FeatureCollection", "features": [shape("78701", -98), shape("Comal", -97), shape("x", -96)] });
    context.put("zips.geojson", shapes.to_string());
    let svg = context
        .phds("plot t.csv --kind map --shapes zips.geojson --shape-key ZIP --title Coverage-of-our-ZIP-codes")
        .done()
        .text();
    holds("zip", &svg, &table, &description, 2);
    assert!(
        svg.contains(">Coverage-of-our-ZIP-codes</title>")
            && svg.contains("78701")
            && svg.contains("Not on the map: Hays (72.0%)"),
        "{svg}"
    );
    for (command, message) in [
        ("--shapes zips.geojson --shape-key NAME", "the properties of the first shape are: ZIP"),
        ("--shapes t.csv --shape-key ZIP", "no GeoJSON"),
        ("--shapes none --shape-key ZIP", "there is no file"),
        ("--shapes zips.geojson", "--shape-key"),
        ("", "no built-in shapes for `zip`"),
    ] {
        let outcome = context.phds(&format!("plot t.csv --kind map {command}")).ended(2);
        assert!(outcome.stderr.contains(message), "{command}: {}", outcome.stderr);
    }
}

#[test]
fn what_is_no_release_or_does_not_fit_is_refused_by_name() {
    let context = TestContext::new();
    for (folder, indicator, table) in [
        ("county", "coverage", COUNTIES),
        ("year", "coverage", YEARS),
        ("age", "curve", AGES),
        ("parts", "missing", PARTS),
    ] {
        let (table, description) = release(indicator, table);
        context.put(&format!("{folder}/t.csv"), table);
        context.put(&format!("{folder}/release.json"), description);
    }
    context.put("alone/t.csv", context.read("county/t.csv"));
    context.put("other/u.csv", context.read("county/t.csv"));
    context.put("other/release.json", context.read("county/release.json"));
    let changed = String::from_utf8(context.read("county/t.csv")).unwrap().replace("660,", "661,");
    context.put("changed/t.csv", changed);
    context.put("changed/release.json", context.read("county/release.json"));
    for (name, table) in [
        ("leaky", COUNTIES.replace("Comal   |           |", "Comal   | 7         |")),
        ("bare", COUNTIES.replace("660       | 1000        | 0.660000", "          |             |         ")),
        ("words", COUNTIES.replace("411 ", "many")),
        ("beyond", COUNTIES.replace("0.719790", "1.719790")),
        ("odd", COUNTIES.replace("| zero", "| maybe")),
        ("empty", COUNTIES.lines().take(2).collect::<Vec<_>>().join("\n")),
    ] {
        let (table, description) = release("coverage", &table);
        context.put(&format!("{name}/t.csv"), table);
        context.put(&format!("{name}/release.json"), description);
    }
    let before = context.tree();
    for (code, command, messages) in [
        (2, "none.csv --kind bar", ["there is no file", ""]),
        (1, "alone/t.csv --kind bar", ["no description", "keep the two together"]),
        (1, "other/u.csv --kind bar", ["no description", ""]),
        (1, "changed/t.csv --kind bar", ["its SHA-256 differs", "changed/t.csv"]),
        (1, "leaky --kind bar", ["row 4 of the table", "suppressed, and has numbers"]),
        (1, "bare --kind bar", ["row 2 of the table", "no numbers"]),
        (1, "words --kind bar", ["row 3 of the table", "`numerator`"]),
        (1, "beyond --kind bar", ["row 3 of the table", "`rate`"]),
        (1, "odd --kind bar", ["row 5 of the table", "status"]),
        (1, "empty --kind bar", ["no row", ""]),
        (2, "county/t.csv --kind trend", ["quarters or months", "--kind map or bar"]),
        (2, "county/t.csv --kind curve", ["age_months", "--kind map or bar"]),
        (2, "county/t.csv --kind upset", ["missing", "--kind map or bar"]),
        (2, "county/t.csv --kind funnel", ["a funnel is of organizations", "--kind map or bar"]),
        (2, "year/t.csv --kind map", ["several dimensions", "--where"]),
        (2, "year/t.csv --kind funnel", ["one row for each group", ""]),
        (2, "age/t.csv --kind bar", ["`age_months` is for --kind curve", ""]),
        (2, "parts/t.csv --kind funnel", ["`missing` is for --kind upset", ""]),
        (2, "county/t.csv --kind bar --out f.pdf", [".svg", ".png"]),
        (2, "county/t.csv --kind bar --out no/f.svg", ["there is no folder", ""]),
    ] {
        let outcome = context.phds(&format!("plot {command}")).ended(code);
        assert!(outcome.stdout.is_empty(), "{command}");
        for message in messages {
            assert!(outcome.stderr.contains(message), "{command}: {message}: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("many") && !outcome.stderr.contains("1.719790"), "{}", outcome.stderr);
    }
    assert_eq!(context.tree(), before, "nothing is written");
    context.phds("plot county --kind bar").done();
    context.phds("plot county/release.json --kind bar").done();
}

#[test]
fn a_trend_of_more_lines_than_anybody_reads_is_refused() {
    let mut rows = vec!["zip | birth_year | numerator | denominator | rate | ci_low | ci_high | status".to_owned()];
    for zip in 0..31 {
        for year in [2018, 2019] {
            rows.push(format!("{} | {year} | 50 | 100 | 0.500000 | 0.403832 | 0.596168 | shown", 78701 + zip));
        }
    }
    let files = release("coverage", &rows.join("\n"));
    let release = Release::read(&files.0, &files.1).unwrap();
    let error = figure::draw(Kind::Trend, &release, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("31 lines are too many") && error.contains("--where"), "{error}");
}
