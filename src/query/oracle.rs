//! Raw counts against independent oracles: `tests/oracle/{coverage,indicators}.py`, written from the definitions alone, which
//! read nothing but the CSV. Raw counts may be seen here and nowhere else, so these tests live inside the crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ask::{Ask, AttributionChoice, Indicator, Where};
use super::engine::DuckDb;
use super::{Context, Question, RawCounts};
use crate::check::Checker;
use crate::convert::{Partition, Staging};
use crate::fetch::Delivery;
use crate::parallel::Resources;
use crate::progress::Silent;
use crate::settings::{Knowledge, Settings};
use crate::store::Store;
use crate::synth::{self, Options};

/// Labels of each row → its counts. Rows of nothing but zeros are left out: one side may have them.
type Counts = BTreeMap<Vec<String>, Vec<u64>>;

/// A month that is loaded, beside the CSV that it was made from.
struct Loaded {
    folder: tempfile::TempDir,
    month: PathBuf,
    settings: Settings,
    store: Store,
    partition: Partition,
}

impl Loaded {
    /// Writes a month and loads it. The lines that the check rejects are kept for the oracle.
    fn of(write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let month = folder.path().join("month.csv");
        write(&month);
        let mut settings = Settings::resolve(Some(&root("src/commands/phds.toml"))).unwrap();
        settings.counties = vec!["Travis".to_owned()];
        let store = Store::open_or_create(&folder.path().join("store")).unwrap();
        let delivery = Delivery::in_place(&month, "2024-12".parse().unwrap()).unwrap();
        let checker = Checker {
            dictionary: &settings.knowledge().unwrap().dictionary,
            rules: &settings.knowledge().unwrap().rules,
            max_rejected_share: settings.max_rejected_share,
            jurisdiction: &settings.jurisdiction,
            k: settings.policy.k(),
            previous: None,
            scratch: folder.path(),
            resources: Resources::default(),
        };
        let Knowledge { dictionary, measures, .. } = settings.knowledge().unwrap();
        let staging = Staging::begin(&store, &delivery, dictionary, measures, Resources::default()).unwrap();
        let mut rejected = Vec::new();
        let report = checker.check(&delivery, &staging, &mut rejected, &Silent).unwrap();
        std::fs::write(folder.path().join("rejected.csv"), rejected).unwrap();
        let partition = staging.commit(&report.accept().unwrap(), &Silent).unwrap();
        Self { folder, month, settings, store, partition }
    }

    /// A month of histories around the days on which something turns, client by client: each has a ZIP code of its own.
    fn of_edges(options: &[&str]) -> Self {
        Self::of(|month| {
            let edges = Command::new("python3")
                .arg(root("tests/oracle/edges.py"))
                .args(["--period", "2024-12"])
                .args(options)
                .output()
                .expect("python3 is needed for the oracle");
            assert!(edges.status.success(), "{}", String::from_utf8_lossy(&edges.stderr));
            std::fs::write(month, edges.stdout).unwrap();
        })
    }

    /// What the program counts.
    fn ours(&self, ask: &Ask) -> Counts {
        let Self { settings, partition, .. } = self;
        let context = Context {
            dictionary: &settings.knowledge().unwrap().dictionary,
            measures: &settings.knowledge().unwrap().measures,
            partition,
            store: &self.store,
            counties: &settings.counties,
        };
        let raw = Question::bind(ask, context).unwrap().count(&mut DuckDb::new(partition, 2)).unwrap();
        let rows: Counts = match raw.counts {
            RawCounts::Shares(rows) => {
                rows.into_iter().map(|(labels, share)| (labels, vec![share.numerator, share.denominator])).collect()
            }
            RawCounts::Doses(rows) => {
                rows.into_iter().map(|(labels, count)| (labels, vec![count.persons, count.doses])).collect()
            }
            RawCounts::Sets(groups) => {
                let rows = groups.into_iter().flat_map(|(labels, sets)| {
                    let all = sets.values().sum();
                    sets.into_iter().map(move |(set, count)| ([labels.clone(), vec![set]].concat(), vec![count, all]))
                });
                rows.collect()
            }
            RawCounts::Curves(curves) => {
                let rows = curves.into_iter().flat_map(|(labels, steps)| {
                    // Who leaves at the end of a step is censored at the beginning of the next.
                    let left: Vec<_> = steps.iter().skip(1).map(|step| step.censored).chain([0]).collect();
                    (1..).zip(steps.into_iter().zip(left)).map(move |(age, (step, left)): (u32, _)| {
                        ([labels.clone(), vec![age.to_string()]].concat(), vec![step.at_risk, step.events, left])
                    })
                });
                rows.collect()
            }
        };
        rows.into_iter().filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect()
    }

    /// What an oracle counts, from the columns that are named.
    fn theirs(&self, script: &str, arguments: &[&str], columns: &[&str]) -> Counts {
        let output = Command::new("python3")
            .arg(root("tests/oracle").join(script))
            .arg(&self.month)
            .args(["--period", "2024-12", "--skip-lines"])
            .arg(self.folder.path().join("rejected.csv"))
            .args(arguments)
            .output()
            .expect("python3 is needed for the oracle");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
        let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let numbers = ["numerator", "denominator", "persons", "doses", "at_risk", "events", "censored", "rate"];
        let rows = reader.records().map(|row| {
            let row = row.unwrap();
            let cell = |name: &str| &row[header.iter().position(|column| column == name).unwrap()];
            let labels = header.iter().zip(&row).filter(|(column, _)| !numbers.contains(&column.as_str()));
            let counts = columns.iter().map(|column| cell(column).parse().unwrap()).collect::<Vec<u64>>();
            (labels.map(|(_, label)| label.to_owned()).collect(), counts)
        });
        rows.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect()
    }

    /// Holds a question to the second author of all indicators.
    #[track_caller]
    fn compare(&self, asked: &Ask, columns: &[&str], at_least: usize) {
        let codelists = root("dictionaries/phds/codelists");
        let mut arguments = vec!["--indicator", asked.indicator.name(), "--codelists", codelists.to_str().unwrap()];
        let by = asked.by.join(",");
        arguments.extend(["--by", &by]);
        let denominators = asked.denominators.join(",");
        let filters: Vec<_> =
            asked.filters.iter().map(|filter| format!("{}={}", filter.dimension, filter.values.join(","))).collect();
        let as_of = asked.as_of.map(|day| day.to_string());
        arguments.extend(asked.measure.iter().flat_map(|measure| ["--measure", measure]));
        arguments.extend(asked.to.iter().flat_map(|measure| ["--to", measure]));
        arguments.extend(filters.iter().flat_map(|filter| ["--where", filter]));
        arguments.extend(as_of.iter().flat_map(|day| ["--as-of", day]));
        if !asked.denominators.is_empty() {
            arguments.extend(["--denominator", &denominators, "--resident", "Travis"]);
        }
        let attribution = match asked.attribution {
            Some(AttributionChoice::All) => Some("all"),
            Some(choice) => Some(choice.rules()[0].name()),
            None => None,
        };
        arguments.extend(attribution.iter().flat_map(|rule| ["--attribution", rule]));
        let theirs = self.theirs("indicators.py", &arguments, columns);
        same(&arguments.join(" "), &self.ours(asked), &theirs, at_least);
    }
}

#[track_caller]
fn same(what: &str, ours: &Counts, theirs: &Counts, at_least: usize) {
    assert!(theirs.len() >= at_least, "{what}: {} rows are too few to tell anything", theirs.len());
    let differing: Vec<_> = ours
        .iter()
        .filter(|(labels, counts)| theirs.get(*labels) != Some(counts))
        .map(|(labels, counts)| format!("{labels:?}: ours {counts:?}, theirs {:?}", theirs.get(labels)))
        .chain(
            theirs.iter().filter(|(labels, _)| !ours.contains_key(*labels)).map(|row| format!("theirs only: {row:?}")),
        )
        .collect();
    let first = differing.iter().take(8).cloned().collect::<Vec<_>>().join("\n");
    assert!(differing.is_empty(), "{what}: {} rows differ\n{first}", differing.len());
}

fn ask(indicator: Indicator, measure: Option<&str>, by: &str) -> Ask {
    let mut ask = Ask::of(indicator);
    ask.measure = measure.map(str::to_owned);
    ask.by = by.split(',').map(str::to_owned).collect();
    ask
}

#[test]
fn the_oracle_agrees_cell_for_cell() {
    let loaded = Loaded::of(|month| {
        let period = "2024-12".parse().unwrap();
        synth::write_month(&Options { clients: 20_000, period, seed: 11, faults: 0.02 }, month, &Silent).unwrap();
    });
    let counties = root("dictionaries/phds/codelists/county.csv");
    // Those that its author was told of.
    let known = ["dtap4", "polio3", "mmr1", "hib_full", "hepb3", "var1", "pcv4", "4313314"];
    for measure in known.map(|name| format!("nis.{name}")) {
        let by = "county,birth_year";
        let arguments = ["--measure", &measure, "--by", by, "--counties", counties.to_str().unwrap()];
        let theirs = loaded.theirs("coverage.py", &arguments, &["numerator", "denominator"]);
        same(&measure, &loaded.ours(&ask(Indicator::Coverage, Some(&measure), by)), &theirs, 300);
    }
}

#[test]
fn a_third_author_agrees_on_every_season() {
    let loaded = Loaded::of_edges(&["--season", "--clients", "3000", "--seed", "1"]);
    let measures =
        [("dose1", 900), ("dose1_6_23m", 90), ("dose1_2_4y", 90), ("full", 400), ("full_6_23m", 90), ("full_2_4y", 90)];
    for (measure, at_least) in measures {
        let measure = format!("flu.{measure}");
        for as_of in ["2024-12-31", "2024-10-31", "2024-07-31", "2024-06-30", "2023-12-31"] {
            let mut asked = ask(Indicator::Coverage, Some(&measure), "zip");
            asked.as_of = as_of.parse().ok();
            loaded.compare(&asked, &["numerator", "denominator"], at_least);
        }
        let mut several = ask(Indicator::Coverage, Some(&measure), "sex,months_of_age");
        several.denominators = ["clients", "active_1"].map(str::to_owned).to_vec();
        loaded.compare(&several, &["numerator", "denominator"], 4);
    }
    // The first season of the file.
    let mut first = ask(Indicator::Coverage, Some("flu.dose1"), "zip");
    first.as_of = "2019-06-30".parse().ok();
    loaded.compare(&first, &["numerator", "denominator"], 400);
}

/// In the groups of every kind of dimension, too.
#[test]
fn the_second_author_agrees_on_every_indicator() {
    let loaded = Loaded::of_edges(&["--clients", "1500", "--seed", "5"]);
    let compare = |asked: &Ask, columns: &[&str], at_least: usize| loaded.compare(asked, columns, at_least);

    let measures = ["dtap3", "dtap4", "polio3", "mmr1", "hib_full", "hepb3", "var1", "pcv4", "4313314"];
    let shares = ["numerator", "denominator"];
    let combined = Some("nis.4313314");
    for measure in measures.map(|name| format!("nis.{name}")) {
        use Indicator::{Coverage, Late, Missed, OnTime, Potential};
        for indicator in [Coverage, Late, OnTime, Potential, Missed] {
            compare(&ask(indicator, Some(&measure), "zip"), &shares, 300);
        }
    }
    // Of these, from when on a dose is late is not asked.
    for measure in ["nis.hepa1", "nis.rotavirus"] {
        for indicator in [Indicator::Coverage, Indicator::Potential] {
            compare(&ask(indicator, Some(measure), "zip"), &shares, 300);
        }
    }
    let mut dropout = ask(Indicator::Dropout, Some("nis.dtap3"), "zip");
    dropout.to = Some("nis.dtap4".to_owned());
    compare(&dropout, &shares, 100);
    compare(&ask(Indicator::OneVisit, combined, "zip"), &shares, 300);
    compare(&ask(Indicator::Missing, combined, "birth_quarter"), &shares, 30);
    for measure in ["nis.mmr1", "nis.4313314"] {
        compare(&ask(Indicator::Curve, Some(measure), "sex"), &["at_risk", "events", "censored"], 36);
    }
    for measure in ["nis.mmr1", "nis.4313314"] {
        use Indicator::{Coverage, Late, Missed, OnTime, Potential};
        for indicator in [Coverage, Late, OnTime, Potential, Missed] {
            compare(&ask(indicator, Some(measure), "age,sex"), &shares, 10);
            let mut earlier = ask(indicator, Some(measure), "months_of_age,county");
            earlier.as_of = "2024-02-29".parse().ok();
            compare(&earlier, &shares, 6);
        }
        compare(&ask(Indicator::Curve, Some(measure), "months_of_age"), &["at_risk", "events", "censored"], 36);
    }
    compare(&ask(Indicator::Missing, combined, "age"), &shares, 30);
    let mut of_two_years = ask(Indicator::Coverage, combined, "zip");
    of_two_years.filters = vec![Where { dimension: "age".to_owned(), values: vec!["2 years".to_owned()] }];
    compare(&of_two_years, &shares, 50);
    let doses = ["persons", "doses"];
    for by in [
        "age",
        "vaccine_group,months_of_age",
        "vaccine_group",
        "vaccination_month",
        "season,county",
        "provider_zip",
        "given_by",
        "vaccination_year,sex",
    ] {
        compare(&ask(Indicator::Doses, None, by), &doses, 4);
    }
    let mut filtered = ask(Indicator::Doses, None, "season");
    filtered.filters = vec![Where { dimension: "vaccine_group".to_owned(), values: vec!["DTAP".to_owned()] }];
    filtered.as_of = "2024-06-30".parse().ok();
    compare(&filtered, &doses, 4);
    let mut several = ask(Indicator::Coverage, combined, "birth_year");
    several.denominators = ["clients", "resident", "active_1", "active_2"].map(str::to_owned).to_vec();
    several.as_of = "2024-06-30".parse().ok();
    compare(&several, &shares, 8);
    for rule in [AttributionChoice::Last, AttributionChoice::Most, AttributionChoice::First, AttributionChoice::Any] {
        let mut attributed = ask(Indicator::Coverage, Some("nis.mmr1"), "organization,zip");
        attributed.attribution = Some(rule);
        compare(&attributed, &shares, 300);
    }
}

fn root(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
