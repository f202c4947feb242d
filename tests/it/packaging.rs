//! What surrounds the program: the unit and timer of systemd, the rules of sudo, the image, and calls that one kind of system has.

use std::process::Command;

use regex::Regex;

use crate::support::{TestContext, sources};

const SERVICE: &str = include_str!("../../packaging/systemd/phds.service");
const TIMER: &str = include_str!("../../packaging/systemd/phds.timer");
const SUDOERS: &str = include_str!("../../packaging/sudoers/phds-analysts");
const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// Runs systemd-analyze. Nothing where it is not installed.
fn analyze(context: &TestContext, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("systemd-analyze").args(arguments).current_dir(context.path("")).output().ok()?;
    let told = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&told).into_owned()))
}

#[test]
fn the_unit_is_understood_and_shut_in() {
    let context = TestContext::new();
    // `verify` looks for the program.
    context.put("phds.service", SERVICE.replace("/usr/local/bin/phds", env!("CARGO_BIN_EXE_phds")));
    context.put("phds.timer", TIMER);
    let Some((is_sound, told)) = analyze(&context, &["verify", "--man=no", "./phds.timer", "./phds.service"]) else {
        return;
    };
    assert!(is_sound && !told.contains("phds."), "{told}");
    // Exposure from 0 to 100; 11 is that of the network, which a download needs.
    let (is_shut, told) = analyze(&context, &["security", "--offline=true", "--threshold=15", "phds.service"]).unwrap();
    assert!(is_shut, "{told}");
    let (_, told) =
        analyze(&context, &["calendar", "--base-time=2025-01-01", "--iterations=25", "*-*-08..31 06:17:00"]).unwrap();
    assert!(TIMER.contains("OnCalendar=*-*-08..31 06:17:00"));
    let days: Vec<_> = Regex::new(r"20\d\d-\d\d-\d\d").unwrap().find_iter(&told).map(|day| day.as_str()).collect();
    assert!(days.contains(&"2025-01-08") && days.contains(&"2025-01-31") && !days.contains(&"2025-02-01"), "{told}");
}

#[test]
fn the_unit_has_no_secret_and_writes_to_the_store_alone() {
    let value = |key: &str| {
        let lines = SERVICE.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(value("ReadWritePaths"), "/var/lib/phds");
    assert_eq!(value("LoadCredential"), "phds-password:/etc/phds/password");
    assert_eq!(value("RestrictAddressFamilies"), "AF_INET AF_INET6 AF_UNIX");
    for never in ["Environment", "SetCredential", "PassEnvironment", "StateDirectory"] {
        assert_eq!(value(never), "", "{never}");
    }
    for on in ["PrivateTmp", "PrivateDevices", "NoNewPrivileges", "MemoryDenyWriteExecute", "ProtectHome"] {
        assert_eq!(value(on), "yes", "{on}");
    }
}

#[test]
fn analysts_may_run_verbs_that_show_no_record_and_no_others() {
    let context = TestContext::new();
    let called = Regex::new(r"/usr/local/bin/phds (.*?)(?: \*)?(?:, \\)?\n").unwrap();
    let rules = SUDOERS.split_once("Cmnd_Alias").unwrap().1;
    let called: Vec<_> = called.captures_iter(rules).map(|found| found[1].to_owned()).collect();
    assert_eq!(
        called,
        ["query", "report", "dimensions", "dimensions", "status"]
            .map(|verb| format!("--config /etc/phds/analysts.toml {verb}"))
    );
    context.put("analysts.toml", "");
    for verb in called {
        context.phds(&format!("{} --help", verb.replace("/etc/phds/", ""))).done();
    }
    // Installed with sudo.
    let rules = context.put("phds-analysts", SUDOERS);
    let Ok(output) = Command::new("visudo").args(["--check", "--strict", "--file"]).arg(rules).output() else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_image_is_built_from_named_versions_and_runs_as_nobody_special() {
    let lines: Vec<_> = DOCKERFILE.lines().filter(|line| !line.starts_with('#')).collect();
    let bases: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let pinned = Regex::new(r"^[a-z]+:\d[\w.]*-[\w.-]+( AS \w+)?$").unwrap();
    assert_eq!(bases.len(), 2);
    assert!(bases.iter().all(|base| pinned.is_match(base)), "{bases:?}");
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let user = lines[last..].iter().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert!(user.starts_with("10001"), "{user}");
    for word in ["ADD ", "PASSWORD", "curl", "sudo", ":latest"] {
        assert!(!lines.iter().any(|line| line.contains(word)), "{word}");
    }
    // What is not in the context cannot get into a layer.
    let ignored = include_str!("../../.dockerignore");
    for name in ["target", ".git", "store", "demo", "phds.toml", "*.csv"] {
        assert!(
            ignored.lines().any(|line| line.trim_end_matches('/') == name || line == format!("**/{name}")),
            "{name}"
        );
    }
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(bases[0].starts_with(&format!("rust:{version}")), "{bases:?} does not have Rust {version}");
}

#[test]
fn what_only_one_kind_of_system_has_stands_behind_a_gate() {
    let special = Regex::new(r"std::os::(unix|linux|windows|macos|fd)|\brustix::").unwrap();
    let gate = Regex::new(r"cfg\((all\()?(unix|windows|target_os)").unwrap();
    let mut seen = 0;
    for (path, text) in sources("src", "rs").into_iter().chain(sources("benches", "rs")) {
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| special.is_match(line)) {
            seen += 1;
            // A gate stands before the statement, or before the item or the module that it is in: further up, and less
            // far to the right, or equally far in the lines directly above.
            let indent = |line: &str| line.len() - line.trim_start().len();
            let mut depth = indent(line);
            let mut is_gated = false;
            for above in lines[..at].iter().rev().filter(|line| !line.trim().is_empty()) {
                if indent(above) <= depth && gate.is_match(above) {
                    is_gated = true;
                    break;
                }
                depth = depth.min(indent(above));
            }
            assert!(is_gated, "{}:{} has no gate", path.display(), at + 1);
        }
    }
    assert!(seen > 10, "the control: {seen}");
}
