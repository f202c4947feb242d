//! What the program says about itself: help texts, completions, the manual page, and the JSON Schemas.

use serde_json::Value;

use crate::support::{Month, TestContext};
use phds::fetch::local::LocalSource;
use phds::fetch::{Link, Retry, mirror};
use phds::progress::Silent;

const VERBS: [&str; 27] = [
    "demo",
    "init",
    "doctor",
    "fetch",
    "mirror",
    "status",
    "check",
    "load",
    "rejects",
    "remove",
    "population",
    "query",
    "plot",
    "report",
    "compare",
    "protect",
    "audit",
    "ledger",
    "evidence",
    "measures",
    "dimensions",
    "dictionary",
    "explain",
    "synth",
    "completions",
    "man",
    "schema",
];

/// Name of each schema, and a file of that form that [`everything`] makes.
const SCHEMAS: [(&str, &str); 22] = [
    ("receipt", "store/deliveries/2024-12/receipt.json"),
    ("report", "store/reports/2024-12/report.json"),
    ("report-list", "report-list.json"),
    ("manifest", "store/partitions/2024-12/manifest.json"),
    ("release", "release.json"),
    ("planted", "month.planted.json"),
    ("population", "store/populations/births.json"),
    ("listing", "copies/.listing.json"),
    ("audit", "audit.json"),
    ("ledger", "store/ledger/000001.json"),
    ("status", "status.json"),
    ("doctor", "doctor.json"),
    ("measures", "measures.json"),
    ("opportunities", "opportunities.json"),
    ("questions", "questions.json"),
    ("ledger-list", "ledger-list.json"),
    ("population-list", "population-list.json"),
    ("measure-list", "measure-list.json"),
    ("dimension-list", "dimension-list.json"),
    ("dictionary", "dictionary.json"),
    ("rule", "rule.json"),
    ("rule-list", "rule-list.json"),
];

#[test]
fn help_texts() {
    let context = TestContext::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("help", context.phds("--help").done().text());
        let actions = ["query coverage", "dictionary import", "population import", "population list", "ledger know"];
        for verb in VERBS.iter().chain(&actions) {
            let help = context.phds(&format!("{verb} --help")).done().text();
            insta::assert_snapshot!(format!("help_{}", verb.replace(' ', "_")), help);
        }
    });
}

#[test]
fn every_verb_is_in_the_help_and_the_manual_page() {
    let context = TestContext::new();
    for command in ["--help", "man"] {
        let text = context.phds(command).done().text();
        for verb in VERBS {
            let word = regex::Regex::new(&format!(r"\b{verb}\b")).unwrap();
            assert!(word.is_match(&text), "`phds {command}` does not name {verb}");
        }
    }
    let listed = context.phds("--help").done().text();
    let commands = listed.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    assert_eq!(names.filter(|name| *name != "help").collect::<Vec<_>>(), VERBS, "a verb without a snapshot");
}

#[test]
fn a_version_and_a_nearest_verb() {
    let context = TestContext::new();
    assert_eq!(context.phds("--version").done().text(), format!("phds {}\n", env!("CARGO_PKG_VERSION")));
    let outcome = context.phds("lod").ended(2);
    assert!(outcome.stderr.contains("'load'"), "{}", outcome.stderr);
    context.phds("").ended(2);
}

#[test]
fn what_is_known_is_found_by_a_word_of_it() {
    let context = TestContext::new();
    let text = |command: &str| context.phds(command).done().text();
    // One measure is explained, in any case; several are listed, each below its family.
    assert_eq!(text("measures NIS.MMR1"), text("measures nis.mmr1"));
    let found = text("measures measles 24");
    assert!(found.contains("\nnis.mmr1 ") && !found.contains("nis.polio3") && !found.contains("nis.hepb3"), "{found}");
    let said = context.phds("measures mmr9").ended(2).stderr;
    assert!(said.contains("did you mean `cms117.mmr1` or `iqip.mmr1` or `nis.mmr1`?"), "{said}");
    let regions = text("dimensions region");
    let values: Vec<_> = regions.lines().skip(2).map(str::trim).collect();
    assert_eq!(values, ["1", "2/3", "4/5N", "6/5S", "7", "8", "9/10", "11"]);
    assert!(text("dimensions birth_quarter").contains("write a quarter, for example 2021-Q3"));
    assert!(text("dimensions county").contains("\n  Travis\n"));
    for code in ["f03", "F03", "phds-f03"] {
        assert_eq!(text(&format!("explain {code}")), text("explain PHDS-F03"));
    }
}

#[test]
fn the_listings_name_what_there_is() {
    let context = TestContext::new();
    let lines = |command: &str| context.phds(command).done().text().lines().map(str::to_owned).collect::<Vec<_>>();
    for measure in ["nis.mmr1", "nis.dtap4", "nis.polio3", "nis.hepb3", "nis.var1", "nis.4313314"] {
        assert!(lines("measures").iter().any(|line| line.starts_with(measure)), "{measure}");
        assert!(lines(&format!("measures {measure}"))[0].starts_with(measure));
    }
    for dimension in ["county", "birth_year", "sex", "race_ethnicity", "zip", "region"] {
        assert!(lines("dimensions").iter().any(|line| line.trim_start().starts_with(dimension)), "{dimension}");
    }
    let dictionary = lines("dictionary");
    for column in crate::support::HEADER {
        assert!(dictionary.iter().any(|line| line == column), "{column}");
    }
    let json: Value = serde_json::from_slice(&context.phds("dictionary --json").done().stdout).unwrap();
    assert_eq!(json["field"].as_array().unwrap().len(), 26);
    for command in ["measures --json", "dimensions --json"] {
        let json: Value = serde_json::from_slice(&context.phds(command).done().stdout).unwrap();
        assert!(json.as_array().is_some_and(|list| list.len() > 5), "{command}");
    }
    for rule in lines("explain") {
        let code = rule.split(' ').next().unwrap();
        let text = context.phds(&format!("explain {}", code.to_lowercase())).done().text();
        for part in [code, "What:", "Why:", "Example:", "To do:"] {
            assert!(text.contains(part), "{code}: {part}");
        }
    }
}

#[test]
fn the_settings_file_that_init_writes_is_read() {
    let context = TestContext::new();
    context.phds("init").done();
    let text = String::from_utf8(context.read("phds.toml")).unwrap();
    context.phds("measures").done();
    // With the leading # removed from every setting but the alternatives, too.
    let alternatives = [
        "#password_command",
        "#password_keyring",
        "#key_file",
        "#key_passphrase_file",
        "#key_agent",
        "#agent_key",
        "#host_key",
        "#tls",
        "#ca_file",
        "#cert_sha256",
        "#file",
    ];
    let filled = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') && !alternatives.iter().any(|name| line.starts_with(name)) => {
            setting
        }
        _ => line,
    });
    context.put("phds.toml", filled.collect::<Vec<_>>().join("\n"));
    context.put("rules.toml", "rule = []\n");
    context.put("opportunities.toml", "vaccine = []\n");
    context.phds("measures").done();
}

/// A month with faults that is loaded and asked, so that there is a file of every form.
fn everything() -> TestContext {
    let context = TestContext::new();
    context.phds("synth --clients 300 --period 2024-12 --faults 0.01 --out month.csv").done();
    context.phds("load month.csv --period 2024-12 --store store").done();
    context.phds("query coverage --store store --measure nis.mmr1 --by region --format csv --out table.csv").done();
    let folder = context.path("store/deliveries/2024-12");
    let mut link = Link::new(|| Ok(Box::new(LocalSource::new(&folder))), Retry::default(), &Silent);
    let copies = context.path("copies");
    mirror::mirror(&mut link, ".", std::time::Duration::ZERO, &copies, chrono::Utc::now(), &Silent).unwrap();
    context.put("population.csv", include_str!("../fixtures/population.csv"));
    context.phds("population import population.csv --name births --source invented --store store").done();
    context.put("status.json", context.phds("status --store store --json").done().stdout);
    context.put("public.csv", "sex,count\nF,\nM,\nTotal,30\n");
    context.put("audit.json", context.phds("audit public.csv --by sex --count count --json").done().stdout);
    for (name, text) in [
        ("measures.json", include_str!("../../dictionaries/phds/measures/cms117.toml")),
        ("opportunities.json", include_str!("../../dictionaries/phds/opportunities.toml")),
        ("questions.json", include_str!("../../notebooks/monthly.toml")),
    ] {
        context.put(name, serde_json::to_vec(&text.parse::<toml::Table>().unwrap()).unwrap());
    }
    for (file, command) in [
        ("report-list.json", "load --again --store store"),
        ("ledger-list.json", "ledger --store store"),
        ("population-list.json", "population list --store store"),
        ("measure-list.json", "measures"),
        ("dimension-list.json", "dimensions"),
        ("dictionary.json", "dictionary"),
        ("rule.json", "explain PHDS-R02"),
        ("rule-list.json", "explain"),
    ] {
        context.put(file, context.phds(&format!("{command} --json")).done().stdout);
    }
    context
        .put("phds.toml", "[accounts.phds]\nprotocol = \"sftp\"\nhost = \"127.0.0.1\"\nport = 1\nuser = \"clinic\"\n");
    context.put("doctor.json", context.phds("doctor --store store --json").ended(1).stdout);
    context
}

#[test]
fn the_page_of_the_rules_is_what_the_program_prints() {
    let printed = TestContext::new().phds("explain --markdown").done().text();
    assert!(printed == include_str!("../../docs/rules.md"), "write it anew: phds explain --markdown > docs/rules.md");
}

#[test]
fn the_page_of_the_measures_is_what_the_program_prints() {
    let printed = TestContext::new().phds("measures --markdown").done().text();
    let kept = include_str!("../../docs/measures.md");
    assert!(printed == kept, "write it anew: phds measures --markdown > docs/measures.md");
}

#[test]
fn every_measure_is_explained_and_every_file_keeps_to_the_schema() {
    let context = TestContext::new();
    let schema: Value = serde_json::from_slice(&context.phds("schema measures").done().stdout).unwrap();
    for (path, text) in crate::support::sources("dictionaries/phds/measures", "toml") {
        let file = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        assert_eq!(valid(&path.display().to_string(), &file, &schema, &schema), Ok(()));
        for measure in file["measure"].as_array().unwrap() {
            let id = measure["id"].as_str().unwrap();
            let text = context.phds(&format!("measures {id}")).done().text();
            let parts = [id, "Counted is who has", "Of whom:", "Vaccines that count", "What to know:", "Source:"];
            for part in parts.into_iter().chain([measure["definition"].as_str().unwrap()]) {
                assert!(text.contains(part), "{id}: {part}");
            }
        }
    }
    let printed: Value = serde_json::from_slice(&context.phds("measures --json").done().stdout).unwrap();
    assert!(printed.as_array().unwrap().iter().all(|measure| measure["cvx_codes"][0].is_string()));
}

#[test]
fn schemas_are_what_the_program_prints() {
    let context = TestContext::new();
    for (name, _) in SCHEMAS {
        let kept = std::fs::read_to_string(format!("{}/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let printed = context.phds(&format!("schema {name}")).done().text();
        assert!(kept == printed, "write it anew: phds schema {name} > schemas/{name}.json");
    }
    let said = context.phds("schema measure").ended(2).stderr;
    assert!(said.contains("did you mean `measures`?"), "{said}");
}

#[test]
fn every_answer_as_json_has_a_schema_and_a_line_in_the_documents() {
    let context = TestContext::new();
    let listed = context.phds("schema").done().text();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut known: Vec<_> = SCHEMAS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, known);
    let documents = include_str!("../../docs/outputs.md");
    for name in names {
        assert!(documents.contains(&format!("schemas/{name}.json")), "docs/outputs.md does not name {name}");
    }
    for verb in VERBS.iter().chain(&["population list"]) {
        let help = context.phds(&format!("{verb} --help")).done().text();
        if help.contains("--json") {
            let answer = format!("`phds {verb} --json`");
            assert!(listed.contains(&answer) && documents.contains(&answer), "{answer} has no schema");
        }
    }
}

#[test]
fn real_files_keep_to_their_schemas() {
    let context = everything();
    for (name, file) in SCHEMAS {
        let schema: Value = serde_json::from_slice(&context.phds(&format!("schema {name}")).done().stdout).unwrap();
        assert_eq!(valid(name, &context.json(file), &schema, &schema), Ok(()));
    }
    // A check that accepts everything would prove nothing.
    let schema: Value = serde_json::from_slice(&context.phds("schema receipt").done().stdout).unwrap();
    for (key, value) in [("tool", Value::Null), ("origin", Value::from("sftp")), ("extra", Value::Null)] {
        let mut receipt = context.json(SCHEMAS[0].1);
        receipt[key] = value;
        assert!(valid("receipt", &receipt, &schema, &schema).is_err(), "{key}");
    }
}

#[test]
fn a_refused_report_keeps_to_its_schema() {
    let context = TestContext::new();
    context.put("month.csv", Month::of("CLIENT ID").bytes());
    context.phds("check month.csv --period 2024-12 --report out").ended(1);
    let schema: Value = serde_json::from_slice(&context.phds("schema report").done().stdout).unwrap();
    assert_eq!(valid("report", &context.json("out/report.json"), &schema, &schema), Ok(()));
}

/// Holds a value to the part of JSON Schema that our schemas use: `$ref`, `type`, `const`, `enum`, `oneOf`, `anyOf`,
/// `properties`, `additionalProperties`, `required`, `items`. A key that the schema does not know is wrong, too.
fn valid(place: &str, value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{place}: {what}"));
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
        return valid(place, value, target, root);
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = choices.iter().any(|choice| valid(place, value, choice, root).is_ok());
        return if fits { Ok(()) } else { wrong("none of the choices") };
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return wrong("another constant");
    }
    if schema["enum"].as_array().is_some_and(|list| !list.contains(value)) {
        return wrong("none of the list");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let fits = types.iter().any(|name| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    });
    if !types.is_empty() && !fits {
        return wrong(&format!("no {types:?}"));
    }
    if let Some(object) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for key in required {
            if !object.contains_key(key) {
                return wrong(&format!("{key} is missing"));
            }
        }
        for (key, value) in object {
            match schema["properties"].get(key) {
                Some(known) => valid(&format!("{place}.{key}"), value, known, root)?,
                None if schema["additionalProperties"].is_object() => {
                    valid(&format!("{place}.{key}"), value, &schema["additionalProperties"], root)?;
                }
                None => return wrong(&format!("{key} is not in the schema")),
            }
        }
    }
    for value in value.as_array().into_iter().flatten() {
        valid(&format!("{place}[]"), value, &schema["items"], root)?;
    }
    Ok(())
}

/// What the README shows of the program is what the program says.
#[test]
fn the_readme_shows_what_the_program_says() {
    let readme = include_str!("../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let context = TestContext::new();
    context.put("month.csv", Month::of("CVX CODE\n03").bytes());
    let said = context.phds("check month.csv --period 2024-12").done().text();
    let editions = said.lines().find(|line| line.starts_with("dictionary")).unwrap();
    assert!(readme.contains(editions), "the README should have: {editions}");
    context.load(&Month::of("CVX CODE\n03"));
    let said = context.phds("query coverage --store store --measure nis.mmr1 --by sex").done().text();
    let caveat = said.lines().find(|line| line.starts_with("- ")).unwrap();
    assert!(readme.contains(caveat), "the README should have: {caveat}");
}

#[test]
fn every_verb_has_a_manual_page() {
    let context = TestContext::new();
    context.phds("man --dir man").done();
    let pages = context.tree();
    for verb in VERBS {
        let page = format!("man/phds-{verb}.1");
        assert!(pages.contains(&page), "{page}");
    }
    assert!(context.read("man/phds-query-coverage.1").len() > 1000 && pages.contains(&"man/phds.1".to_owned()));
}
