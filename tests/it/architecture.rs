//! The walls between the rooms, read from the sources, and the types that show nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use phds::convert::Partition;
use phds::query::ask::{Ask, Indicator};
use phds::query::engine::DuckDb;
use phds::query::{Context, Question, RawTable};
use phds::settings::{Knowledge, Settings};
use phds::store::Store;
use regex::Regex;

use crate::support::{Month, TestContext, slashes, sources};

/// Modules in the order of a table of ARCHITECTURE.md, each with what the last column of its row names.
type Modules = Vec<(String, BTreeSet<String>)>;

/// The tables of ARCHITECTURE.md: the rooms and what each imports, what all share, the program.
fn tables() -> [Modules; 3] {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("The rooms")).unwrap();
    let name = Regex::new(r"`(\w+)(/|\.rs)?`").unwrap();
    let names = |cell: &str| name.captures_iter(cell).map(|found| found[1].to_owned()).collect::<BTreeSet<_>>();
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let imports = names(cells.last().unwrap());
        names(cells[0]).into_iter().map(move |module| (module, imports.clone())).collect::<Modules>()
    };
    let rows = |table: &str| table.lines().filter(|line| line.starts_with("| `")).flat_map(row).collect();
    section.split("\n| ---").skip(1).map(rows).collect::<Vec<_>>().try_into().unwrap()
}

/// Room → the code of its files, without comments and without tests.
fn rooms() -> BTreeMap<String, Vec<(String, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = sources("src", "rs");
    // Files that are tests as a whole: `#[cfg(test)] mod name;`.
    let whole = Regex::new(r"#\[cfg\(test\)\]\s*mod (\w+);").unwrap();
    let mut tests = Vec::new();
    for (path, text) in &all {
        for found in whole.captures_iter(text) {
            let folder = path.parent().unwrap();
            tests.extend([folder.join(format!("{}.rs", &found[1])), folder.join(&found[1]).join("mod.rs")]);
        }
    }
    let mut rooms: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (path, text) in all.into_iter().filter(|(path, _)| !tests.contains(path)) {
        let name = slashes(path.strip_prefix(&src).unwrap().to_str().unwrap());
        let room = name.split(['/', '.']).next().unwrap().to_owned();
        rooms.entry(room).or_default().push((name, code(&text)));
    }
    rooms
}

/// A source without line comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let comment = Regex::new(r"(?m)(^|\s)//.*$").unwrap();
    comment.replace_all(text, "").into_owned()
}

/// The rooms that a file names: `crate::room`, `crate::{room, room}`, and `super::` where that is the crate.
fn named(name: &str, code: &str) -> Vec<String> {
    let is_top = !name.contains('/') || name.ends_with("/mod.rs");
    let to_crate = if is_top { r"(?:crate|\bsuper)::" } else { r"(?:crate|super::super)::" };
    let one = Regex::new(&format!(r"{to_crate}(\w+)")).unwrap();
    let group = Regex::new(&format!(r"{to_crate}\{{([^;]*?)\}};")).unwrap();
    let mut rooms: Vec<String> = one.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for found in group.captures_iter(code) {
        rooms.extend(
            found[1]
                .split(',')
                .filter_map(|part| part.trim().split("::").next().filter(|room| !room.is_empty()).map(str::to_owned)),
        );
    }
    rooms
}

/// The other modules that one uses.
fn used(module: &str) -> BTreeSet<String> {
    let sources = rooms();
    let files = sources.get(module).unwrap_or_else(|| panic!("there is no module {module}"));
    let named = files.iter().flat_map(|(file, code)| named(file, code));
    named.filter(|used| used != module && sources.contains_key(used)).collect()
}

#[test]
fn every_module_is_in_one_of_the_tables() {
    let mut listed: Vec<_> = tables().into_iter().flatten().map(|(module, _)| module).collect();
    listed.sort();
    let modules: Vec<_> = rooms().into_keys().filter(|module| !["lib", "main"].contains(&module.as_str())).collect();
    assert_eq!(listed, modules);
}

#[test]
fn a_room_uses_the_rooms_that_its_row_names_and_what_all_share() {
    let [rooms, shared, _] = tables();
    let shared: BTreeSet<_> = shared.into_iter().map(|(module, _)| module).collect();
    let mut above = BTreeSet::new();
    for (room, imports) in rooms {
        let found: BTreeSet<_> = used(&room).difference(&shared).cloned().collect();
        assert_eq!(found, imports, "what {room} imports, and what ARCHITECTURE.md says");
        assert!(imports.is_subset(&above), "{room} imports a room that stands below it");
        above.insert(room);
    }
}

#[test]
fn what_all_share_uses_no_room_and_neither_do_invented_months() {
    let [_, shared, _] = tables();
    let shared: BTreeSet<_> = shared.into_iter().map(|(module, _)| module).collect();
    // The demo's server and the synthetic months are made for the program, and do not know of it.
    for module in shared.iter().map(String::as_str).chain(["demo", "synth"]) {
        let found = used(module);
        assert!(found.is_subset(&shared), "{module} uses {found:?}");
    }
}

#[test]
fn nothing_but_the_program_reads_what_was_typed() {
    let clap = Regex::new(r"clap(_\w+)?::\w+").unwrap();
    let (sources, [rooms, shared, _]) = (rooms(), tables());
    for (room, _) in rooms.iter().chain(&shared) {
        for (file, code) in &sources[room] {
            let allowed =
                |used: &str| ["figure", "output", "query"].contains(&room.as_str()) && used == "clap::ValueEnum";
            assert!(clap.find_iter(code).all(|found| allowed(found.as_str())), "{file} uses clap");
        }
    }
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let text = "//! crate::cli\nuse crate::{check, convert::manifest};\nuse super::fetch;\nfn f() { crate::query::x() } // crate::demo\n\n#[cfg(test)]\nmod tests {\n use crate::synth;\n}\n";
    let seen = |name: &str| {
        let mut rooms = named(name, &code(text));
        rooms.sort();
        rooms.join(" ")
    };
    assert_eq!(seen("x/mod.rs"), "check convert fetch query");
    assert_eq!(seen("x/y.rs"), "check convert query");
}

#[test]
fn one_file_knows_the_engine() {
    let word = Regex::new(r"\bduckdb\b").unwrap();
    let files = rooms().into_values().flatten();
    let found: Vec<_> = files.filter(|(_, code)| word.is_match(code)).map(|(file, _)| file).collect();
    assert_eq!(found, ["query/engine.rs"]);
}

#[test]
fn one_file_writes_sql() {
    let word = Regex::new(r#""[^"]*\b(SELECT|GROUP BY)\b"#).unwrap();
    let files = rooms().into_values().flatten();
    let found: Vec<_> = files.filter(|(_, code)| word.is_match(code)).map(|(file, _)| file).collect();
    assert_eq!(found, ["query/sql.rs"]);
}

#[test]
fn the_code_that_talks_to_the_server_cannot_change_it() {
    // Everything of russh-sftp's client that is more than looking and reading, and the ways around it.
    let writing = Regex::new(
        r"(?x)\.(create|create_dir|remove_dir|remove_file|rename|symlink|hardlink|set_metadata|open_with_flags\w*)\(
        |\.(write|write_all|write_all_buf|write_buf|write_u\w+|flush|shutdown|sync_all|set_len)\(
        |\b(OpenFlags|RawSftpSession|AsyncWriteExt|AsyncWrite)\b
        |\.(setstat|fsetstat|mkdir|rmdir|remove|extended|fsync)\(
        |\.(exec|request_shell|request_pty|data|tcpip_forward)\(",
    )
    .unwrap();
    let rooms = rooms();
    let talks = Regex::new(r"\brussh(_sftp)?\b").unwrap();
    let talkers: Vec<_> = rooms["fetch"].iter().filter(|(_, code)| talks.is_match(code)).collect();
    assert!(talkers.iter().any(|(file, _)| file == "fetch/sftp/mod.rs"));
    for (file, code) in talkers {
        let found: Vec<_> = writing.find_iter(code).map(|found| found.as_str()).collect();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    assert!(writing.is_match("self.sftp.remove_file(path)") && writing.is_match("OpenFlags::WRITE"), "the control");
    // The same of suppaftp's client, and of the commands that can be sent as text.
    let writing_ftp = Regex::new(
        r"(?x)\.(put_file\w*|put_with_stream|append_\w+|finalize_put_stream|rename|rm|rmdir|mkdir|site)\(
        |\b(STOR|STOU|APPE|DELE|RNFR|RNTO|MKD|XMKD|RMD|XRMD|SITE|ALLO|MFMT|MFCT|SMNT)\b",
    )
    .unwrap();
    let talks_ftp = Regex::new(r"\bsuppaftp\b").unwrap();
    let talkers: Vec<_> = rooms["fetch"].iter().filter(|(file, _)| file.starts_with("fetch/ftps/")).collect();
    assert!(talkers.iter().any(|(_, code)| talks_ftp.is_match(code)));
    for (file, code) in talkers {
        let found: Vec<_> = writing_ftp.find_iter(code).map(|found| found.as_str()).collect();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    assert!(writing_ftp.is_match("control.rm(name)") && writing_ftp.is_match("\"DELE {name}\""), "the control");
    // And nobody else talks to servers, but the demo's own server.
    let talks = Regex::new(r"\b(russh(_sftp)?|suppaftp)\b").unwrap();
    for (room, files) in &rooms {
        for (file, code) in files.iter().filter(|_| room != "fetch" && room != "demo") {
            assert!(!talks.is_match(code), "{file}");
        }
    }
}

/// Compiles only while `RawTable` cannot be serialised: with it, `of` would have two meanings.
const _: () = {
    trait Ambiguous<Marker> {
        fn of() {}
    }
    struct Serializable;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + serde::Serialize> Ambiguous<Serializable> for T {}
    let _ = <RawTable as Ambiguous<_>>::of;
};

#[test]
fn raw_counts_show_nothing_of_themselves() {
    let context = TestContext::new();
    context.load(&Month::of("clients | CLIENT COUNTY\n7331 a | Travis"));
    let settings = Settings::resolve(Some(&context.put("phds.toml", ""))).unwrap();
    let store = Store::open(&context.path("store")).unwrap();
    let partition = Partition::open(&store, "2024-12".parse().unwrap()).unwrap();
    let Knowledge { dictionary, measures, .. } = settings.knowledge().unwrap();
    let context = Context { dictionary, measures, partition: &partition, store: &store, counties: &[] };
    let mut ask = Ask::of(Indicator::Coverage);
    (ask.measure, ask.by) = (Some("nis.mmr1".to_owned()), vec!["county".to_owned()]);
    let question = Question::bind(&ask, context).unwrap();
    let raw: RawTable = question.count(&mut DuckDb::new(&partition, 1)).unwrap();
    for shown in [format!("{raw:?}"), format!("{raw:#?}")] {
        assert_eq!(shown, "RawTable");
    }
}
