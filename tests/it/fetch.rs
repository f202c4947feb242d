//! `phds fetch` and `phds load` with settings, a password file and a server of their own.

use phds::demo::server::LoopbackServer;
use phds::secret::Secret;
use serde_json::json;

use crate::support::{Month, TestContext};

const PASSWORD: &str = "p: @/#%w2!";

/// A store to be, and a server of the folder `served`.
struct Place {
    context: TestContext,
    server: LoopbackServer,
}

impl Place {
    fn new() -> Self {
        let context = TestContext::new();
        for name in ["PHDS_2024_10.csv", "PHDS_2024_11.csv", "phds_2024_12.CSV", "PHDS_2025_01.csv.part", "readme.txt"]
        {
            // Another content for each name, and the same time: only the name tells the newest.
            let path = context.put(&format!("served/{name}"), Month::of(&format!("PROVIDER NAME\n{name}")).bytes());
            std::fs::File::open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let secret = Secret::new(PASSWORD.to_owned()).unwrap();
        let server = LoopbackServer::start(&context.path("served"), "clinic", &secret).unwrap();
        context.put("known_hosts", server.host_key_line());
        let password = context.put("password", format!("{PASSWORD}\n"));
        #[cfg(unix)]
        std::fs::set_permissions(password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        context.put(
            "phds.toml",
            format!(
                "store = \"store\"\n[source]\nprotocol = \"sftp\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"clinic\"\n\
                 pattern = \"PHDS_{{YYYY}}_{{MM}}*.csv\"\npassword_file = \"password\"\nknown_hosts = \"known_hosts\"\n",
                server.port()
            ),
        );
        Self { context, server }
    }

    /// Names of the files of a month's delivery.
    fn delivered(&self, period: &str) -> Vec<String> {
        let folder = format!("store/deliveries/{period}/");
        let names = self.context.tree().into_iter();
        names.filter_map(|name| name.strip_prefix(&folder).map(str::to_owned)).filter(|name| !name.is_empty()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let reads = ["init", "opendir", "readdir", "stat", "lstat", "fstat", "realpath", "open-read", "read", "close"];
        for request in self.server.requests() {
            assert!(reads.contains(&request.as_str()) || request.starts_with("extended limits"), "{request}");
        }
    }
}

#[test]
fn the_newest_by_its_name_comes_whole_with_a_receipt() {
    let place = Place::new();
    let outcome = place.context.phds("fetch").done();
    assert_eq!(outcome.text(), "store/deliveries/2024-12/phds_2024_12.CSV\n");
    assert_eq!(place.delivered("2024-12"), ["phds_2024_12.CSV", "receipt.json"]);
    let bytes = place.context.read("served/phds_2024_12.CSV");
    assert_eq!(place.context.read("store/deliveries/2024-12/phds_2024_12.CSV"), bytes);

    let receipt = place.context.json("store/deliveries/2024-12/receipt.json");
    assert_eq!(receipt["schema_version"], 1);
    assert_eq!(receipt["reporting_period"], "2024-12");
    assert_eq!(
        receipt["origin"],
        json!({
            "protocol": "sftp",
            "server": format!("127.0.0.1:{}", place.server.port()),
            "server_identity": place.server.host_key_fingerprint(),
        })
    );
    let sha256 = phds::fs::sha256_hex(&bytes);
    assert_eq!(receipt["delivery"], json!({ "file_name": "phds_2024_12.CSV", "bytes": bytes.len(), "sha256": sha256 }));
    assert!(!receipt.to_string().contains(PASSWORD) && !outcome.stderr.contains(PASSWORD));
}

#[test]
fn one_month_on_request() {
    let place = Place::new();
    place.context.phds("fetch --period 2024-10").done();
    assert_eq!(place.delivered("2024-10"), ["PHDS_2024_10.csv", "receipt.json"]);
    let outcome = place.context.phds("fetch --period 2024-09").ended(1);
    insta::assert_snapshot!(place.context.filtered(&outcome.stderr), @r"
    error: none of the 5 files of the folder is a delivery of 2024-09 by the pattern `PHDS_{YYYY}_{MM}*.csv`

    hint: `phds fetch --list` shows what is there; set `source.pattern` in phds.toml
    ");
    assert!(place.delivered("2024-09").is_empty());
}

#[test]
fn a_listing_fetches_nothing() {
    let place = Place::new();
    let outcome = place.context.phds("fetch --list").done();
    insta::assert_snapshot!(place.context.filtered(&outcome.text()), @r"
    579  [TIME]  phds_2024_12.CSV  (2024-12, would be taken)
    579  [TIME]  PHDS_2024_11.csv  (2024-11)
    579  [TIME]  PHDS_2024_10.csv  (2024-10)
    573  [TIME]  readme.txt  (no delivery by the pattern)
    584  [TIME]  PHDS_2025_01.csv.part  (no delivery by the pattern)
    ");
    assert!(!place.server.requests().iter().any(|request| request == "open-read"));
    assert!(!place.context.path("store").exists());
}

#[test]
fn a_second_run_finds_the_same_content() {
    let place = Place::new();
    place.context.phds("fetch").done();
    let outcome = place.context.phds("fetch").done();
    assert_eq!(outcome.text(), "store/deliveries/2024-12/phds_2024_12.CSV\n");
    assert!(outcome.stderr.contains("already here with the same content"), "{}", outcome.stderr);
    assert_eq!(place.delivered("2024-12"), ["phds_2024_12.CSV", "receipt.json"]);
}

#[test]
fn other_content_under_the_same_name_keeps_both() {
    let place = Place::new();
    place.context.phds("fetch").done();
    let first = place.context.read("served/phds_2024_12.CSV");
    let corrected = Month::of("PROVIDER NAME\ncorrected").bytes().to_vec();
    place.context.put("served/phds_2024_12.CSV", &corrected);
    let sha256 = phds::fs::sha256_hex(&corrected);
    let name = format!("phds_2024_12.{}.CSV", &sha256[..8]);
    for _ in 0..2 {
        let outcome = place.context.phds("fetch").done();
        assert_eq!(outcome.text(), format!("store/deliveries/2024-12/{name}\n"));
        let receipt = format!("{name}.receipt.json");
        assert_eq!(place.delivered("2024-12"), [name.as_str(), &receipt, "phds_2024_12.CSV", "receipt.json"]);
        assert_eq!(place.context.read(&format!("store/deliveries/2024-12/{name}")), corrected);
        assert_eq!(place.context.read("store/deliveries/2024-12/phds_2024_12.CSV"), first);
        let hash = |receipt: &str| {
            place.context.json(&format!("store/deliveries/2024-12/{receipt}"))["delivery"]["sha256"].clone()
        };
        assert_eq!([hash(&receipt), hash("receipt.json")], [json!(sha256), json!(phds::fs::sha256_hex(&first))]);
    }
}

#[test]
fn a_load_without_a_file_fetches_the_month_first() {
    let place = Place::new();
    let outcome = place.context.phds("load --period 2024-11").done();
    assert!(
        outcome.text().starts_with("2024-11 PHDS_2024_11.csv is accepted\n1 rows read = 1 accepted + 0 rejected\n")
    );
    assert_eq!(place.delivered("2024-11"), ["PHDS_2024_11.csv", "receipt.json"]);
    let manifest = place.context.json("store/partitions/2024-11/manifest.json");
    let receipt = place.context.json("store/deliveries/2024-11/receipt.json");
    assert_eq!(manifest["delivery"], receipt["delivery"]);
    assert_eq!(receipt["origin"]["protocol"], "sftp");
    place.context.phds("query coverage --measure nis.mmr1 --by county").done();
}

#[test]
fn a_file_of_this_machine_has_a_receipt_too() {
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    let receipt = context.json("store/deliveries/2024-12/receipt.json");
    assert_eq!(receipt["origin"], json!({ "protocol": "local", "server": "", "server_identity": "" }));
    assert_eq!(receipt["delivery"]["file_name"], "month.csv");
    assert_eq!(receipt["delivery"]["sha256"], phds::fs::sha256_hex(&context.read("month.csv")));
}

#[cfg(unix)]
#[test]
fn everything_in_the_store_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let context = TestContext::new();
    context.load(&Month::of("CLIENT ID\n1"));
    context.phds("query coverage --store store --measure nis.mmr1 --by county").done();
    for name in context.tree().into_iter().filter(|name| name.starts_with("store")) {
        let mode = std::fs::metadata(context.path(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
}
