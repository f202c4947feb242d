//! Every command of the guide and of the README, run in their order by the real program.
//!
//! A block of `console` has commands after `$ ` and, below each, lines that its output has, in this order; `…` stands for
//! anything. A block of `sh` has commands alone. A command that ends with another code than 0 says so: `# ends with 1`.
//! What is not for a test to run stands in a block of `bash`, and here.

use std::path::{Path, PathBuf};
use std::process::Command;

use phds::demo::server::LoopbackServer;
use phds::secret::Secret;
use regex::Regex;

use crate::support::TestContext;

/// The chapters, in their order: each goes on in the folder as the one before has left it.
const CHAPTERS: [&str; 10] = [
    "README",
    "first-month",
    "automate",
    "check-report",
    "coverage",
    "publish",
    "dictionary",
    "measure",
    "troubleshooting",
    "faq",
];

/// Where nobody sits at a terminal, these words stand for what a person does, and the address and key of a server of our own
/// for that of the state.
const IN_PLACE_OF: [(&str, &str); 4] = [
    (
        "phds init  ",
        "phds init --yes --host sftp.example.org --user clinic --password-file password --host-key SHA256:… ",
    ),
    ("--host sftp.example.org", "--host 127.0.0.1 --port PORT"),
    ("--host-key SHA256:…", "--host-key PRINT"),
    ("PHDS Data Dictionary.xlsx", "PHDS Data Dictionary.csv"),
];

/// The lines of `bash` blocks: they need root, an engine, a compiler or a department.
const NOT_RUN: [(&str, &[&str]); 5] = [
    ("README.md", &["cargo run", "cargo build", "cargo install", "scripts/test"]),
    ("docs/guide/first-month.md", &["cargo install", "phds init"]),
    (
        "docs/guide/automate.md",
        &[
            "sudo ",
            "visudo ",
            "alias ask=",
            "ask ",
            "phds plot /srv/",
            "crontab ",
            "docker ",
            "  --volume ",
            "  --env ",
            "systemd-analyze ",
        ],
    ),
    ("docs/guide/measure.md", &["cargo test", "cargo install", "phds measures --markdown >"]),
    ("docs/guide/dictionary.md", &[]),
];

/// A folder, and the registry's server for it.
struct Place {
    context: TestContext,
    server: LoopbackServer,
    /// Where `phds` is found.
    path: String,
}

/// A command of a text, where it stands, how it ends, and lines that it prints.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    command: String,
    code: i32,
    output: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of a text: their word, the number of their first line, and their lines.
fn blocks(text: &str) -> Vec<(String, usize, Vec<&str>)> {
    let mut found: Vec<(String, usize, Vec<&str>)> = Vec::new();
    let mut is_within = false;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), is_within) {
            (Some(word), false) => {
                found.push((word.trim().to_owned(), at + 2, Vec::new()));
                is_within = true;
            }
            (Some(_), true) => is_within = false,
            (None, true) => found.last_mut().unwrap().2.push(line),
            (None, false) => {}
        }
    }
    assert!(!is_within, "a block has no end");
    found
}

/// The commands of a block.
fn steps(word: &str, first: usize, lines: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    let mut is_here = false;
    for (at, line) in lines.iter().enumerate() {
        // The text that a shell is given up to `END`.
        if is_here {
            steps.last_mut().unwrap().command += &format!("\n{line}");
            is_here = *line != "END";
            continue;
        }
        let command = match word {
            _ if goes_on => Some(*line),
            "console" => line.strip_prefix("$ "),
            _ => (!line.trim().is_empty() && !line.starts_with('#')).then_some(*line),
        };
        let Some(command) = command else {
            if let Some(step) = steps.last_mut().filter(|_| word == "console" && !line.is_empty()) {
                step.output.push((*line).to_owned());
            }
            continue;
        };
        if !goes_on {
            steps.push(Step { line: first + at, ..Step::default() });
        }
        let (command, comment) = command.split_once(" # ").unwrap_or((command, ""));
        let step = steps.last_mut().unwrap();
        if let Some(code) = comment.trim().strip_prefix("ends with ") {
            step.code = code.split_whitespace().next().unwrap().parse().unwrap();
        }
        is_here = command.contains("<<'END'");
        goes_on = command.trim_end().ends_with('\\');
        step.command += command.trim_end().trim_end_matches('\\');
        // Blanks more than it needs, so that a bare verb can be told.
        step.command += "  ";
    }
    steps
}

impl Place {
    /// A server with two invented months, as the guide has them, and the file of the password.
    fn new() -> Self {
        let context = TestContext::new();
        for (period, seed) in [("2024-11", 7), ("2024-12", 8)] {
            let name = format!("PHDS_{}.csv", period.replace('-', "_"));
            let command =
                format!("synth --clients 3000 --period {period} --seed {seed} --faults 0.002 --out served/{name} -q");
            std::fs::create_dir_all(context.path("served")).unwrap();
            context.phds(&command).done();
            let file = std::fs::File::options().write(true).open(context.path(&format!("served/{name}"))).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        for entry in std::fs::read_dir(context.path("served")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                std::fs::remove_file(path).unwrap();
            }
        }
        context.put_private("work/password", "correct horse\n");
        let secret = Secret::new("correct horse".to_owned()).unwrap();
        let server = LoopbackServer::start(&context.path("served"), "clinic", &secret).unwrap();
        let folder = Path::new(env!("CARGO_BIN_EXE_phds")).parent().unwrap();
        Self { context, server, path: format!("{}:/usr/bin:/bin", folder.display()) }
    }

    /// Runs a command in the working folder. Its exit code, and all that it printed.
    fn run(&self, command: &str) -> (Option<i32>, String) {
        let mut command = command.to_owned();
        for (said, meant) in IN_PLACE_OF {
            command = command.replace(said, meant);
        }
        command = command.replace("PORT", &self.server.port().to_string());
        command = command.replace("PRINT", &self.server.host_key_fingerprint());
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(self.context.path("work"))
            .env_clear()
            .env("HOME", self.context.path("work"))
            .env("PATH", &self.path)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the commands of a text, and gives what went wrong.
    fn follow(&self, name: &str, text: &str) -> (usize, Vec<String>) {
        let (mut count, mut wrong) = (0, Vec::new());
        for (word, first, lines) in blocks(text) {
            if word == "bash" {
                let listed = NOT_RUN.iter().find(|(file, _)| *file == name).map_or(&[][..], |(_, lines)| *lines);
                for line in lines.iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                    let is_listed = listed.iter().any(|start| line.starts_with(start));
                    assert!(is_listed, "{name}: `{line}` is not run, and not in NOT_RUN");
                }
            }
            if word != "sh" && word != "console" {
                continue;
            }
            for step in steps(&word, first, &lines) {
                count += 1;
                let place = format!("{name}:{} {}", step.line, step.command.trim());
                let (code, output) = self.run(&step.command);
                if code != Some(step.code) {
                    wrong.push(format!("{place}\nended with {code:?} instead of {}\n{output}", step.code));
                } else if let Some(missing) = missing(&step.output, &output) {
                    wrong.push(format!("{place}\ndid not print: {missing}\nbut:\n{output}"));
                }
            }
        }
        (count, wrong)
    }
}

/// The first of these lines that an output does not have after the ones before it.
fn missing<'a>(wanted: &'a [String], output: &str) -> Option<&'a str> {
    let mut lines = output.lines();
    wanted.iter().map(String::as_str).find(|wanted| {
        let parts: Vec<_> = wanted.trim().split('…').map(regex::escape).collect();
        let pattern = Regex::new(&format!("^{}$", parts.join(".*"))).unwrap();
        wanted.trim() != "…" && !lines.any(|line| pattern.is_match(line.trim()))
    })
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let place = Place::new();
    let (mut count, mut wrong) = (0, Vec::new());
    for chapter in CHAPTERS {
        let name = format!("docs/guide/{chapter}.md");
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        let (steps, errors) = place.follow(&name, &text);
        count += steps;
        wrong.extend(errors);
    }
    assert!(wrong.is_empty(), "{} of {count} went wrong\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(count > 40, "the control: {count} commands");
}

#[test]
fn every_command_of_the_readme_ends_well() {
    let place = Place::new();
    // What a reader of the README has by then: a month that was downloaded, releases of two months, tables of others.
    let prepared = [
        "cp ../served/PHDS_2024_12.csv month.csv",
        "phds load ../served/PHDS_2024_11.csv --period 2024-11 --store before -q",
        "mkdir -p releases/2024-11",
        "phds query --example > monthly.toml",
        "phds query monthly.toml --store before --out releases/2024-11",
    ];
    for command in prepared {
        assert_eq!(place.run(command).0, Some(0), "{command}");
    }
    place.context.put("work/births.csv", include_str!("../fixtures/population.csv"));
    place.context.put("work/counts.csv", "county,age,persons\nTravis,0,30\nTravis,1,5\nHays,0,40\nHays,1,50\n");
    let (code, said) = place.run("phds dictionary --format csv > 'PHDS Data Dictionary.csv'");
    assert_eq!(code, Some(0), "{said}");
    let (count, wrong) = place.follow("README.md", include_str!("../../README.md"));
    assert!(wrong.is_empty(), "{} of {count} went wrong\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(count > 20, "the control: {count} commands");
}

#[test]
fn the_guide_has_no_chapter_that_is_not_run_and_no_link_that_leads_nowhere() {
    let link = Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    let folder = root().join("docs/guide");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let mut chapters = CHAPTERS.map(str::to_owned).to_vec();
    chapters.sort();
    assert_eq!(names, chapters);
    let files = CHAPTERS.iter().map(|name| folder.join(format!("{name}.md"))).chain([root().join("README.md")]);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for found in link.captures_iter(&text) {
            let target = file.parent().unwrap().join(&found[1]);
            assert!(target.exists(), "{}: {} leads nowhere", file.display(), &found[1]);
        }
    }
}

#[test]
fn the_reader_of_blocks_sees_what_it_should() {
    let text = "a\n```console\n$ phds x \\\n    --y  # ends with 3\nout … 1\n\n$ phds z\n```\n```sh\n# not this\nphds w   # what it is\ncat <<'END'\na\nEND\nphds v\n```\n";
    let seen: Vec<_> = blocks(text)
        .iter()
        .flat_map(|(word, first, lines)| steps(word, *first, lines))
        .map(|step| (step.line, step.command.split_whitespace().collect::<Vec<_>>().join(" "), step.code, step.output))
        .collect();
    let step = |line, command: &str, code, output: &[&str]| {
        (line, command.to_owned(), code, output.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(
        seen,
        [
            step(3, "phds x --y", 3, &["out … 1"]),
            step(7, "phds z", 0, &[]),
            step(11, "phds w", 0, &[]),
            step(12, "cat <<'END' a END", 0, &[]),
            step(15, "phds v", 0, &[]),
        ]
    );
    let wanted = ["a … c".to_owned(), "…".to_owned(), "d".to_owned()];
    assert_eq!(missing(&wanted, "x\na b c\ny\n d \n"), None);
    assert_eq!(missing(&wanted, "d\na b c\n"), Some("d"));
}
