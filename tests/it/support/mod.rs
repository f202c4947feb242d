//! A folder with the program in it, small months made of tiny tables, and readers of what the program writes.

#[cfg(target_os = "linux")]
pub mod disk;
mod month;
pub mod proxy;
pub mod registry;
pub mod servers;
mod table;
pub mod transfer;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use regex::Regex;
use serde_json::Value;

pub use month::{HEADER, Month, Shape};
pub use table::Table;

/// The month of all small files, unless a case says otherwise. Due on Monday 2025-01-13.
pub const PERIOD: &str = "2024-12";

/// A folder of its own for one test, in which the real program runs.
pub struct TestContext {
    root: tempfile::TempDir,
}

impl TestContext {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// The path of a file or folder in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file, and the folders that lead to it.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The same of a file that nobody else may read.
    pub fn put_private(&self, name: &str, content: impl AsRef<[u8]>) {
        self.put(name, content);
        #[cfg(unix)]
        std::fs::set_permissions(self.path(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Runs the program with the words of a command, in the folder and with nothing of this environment.
    pub fn phds(&self, words: &str) -> Outcome {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// The same with arguments that hold blanks.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(&[], arguments)
    }

    /// The same with variables of the environment.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        self.ends(Command::new(env!("CARGO_BIN_EXE_phds")).args(arguments), variables, arguments)
    }

    /// The same as somebody for whom the modes of files hold: root's powers are laid down first.
    #[cfg(unix)]
    pub fn phds_without_powers(&self, words: &str) -> Outcome {
        let arguments: Vec<_> = words.split_whitespace().collect();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_phds")]).args(&arguments);
        if self.modes_hold() {
            command = Command::new(env!("CARGO_BIN_EXE_phds"));
            command.args(&arguments);
        }
        self.ends(&mut command, &[("PATH", "/usr/bin:/bin")], &arguments)
    }

    /// Whether a folder that may only be read cannot be written to: not for root.
    #[cfg(unix)]
    fn modes_hold(&self) -> bool {
        let probe = self.path(".probe");
        std::fs::create_dir(&probe).unwrap();
        self.set_writable(".probe", false);
        let holds = std::fs::write(probe.join("file"), "").is_err();
        std::fs::remove_dir_all(&probe).unwrap();
        holds
    }

    /// Whether a folder and all that is in it may be written to.
    #[cfg(unix)]
    pub fn set_writable(&self, name: &str, is_writable: bool) {
        let set = |path: &Path| {
            let mode = match (path.is_dir(), is_writable) {
                (true, true) => 0o700,
                (true, false) => 0o500,
                (false, true) => 0o600,
                (false, false) => 0o400,
            };
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        set(&self.path(name));
        walk(&self.path(name), &mut |path| set(path));
    }

    fn ends(&self, command: &mut Command, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let output = command
            .current_dir(self.root.path())
            .env_clear()
            .env("HOME", self.root.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Outcome {
            command: format!("phds {}", arguments.join(" ")),
            code: output.status.code(),
            stdout: output.stdout,
            stderr: slashes(&String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// Asks for the public: the outcome has the table that was written as its output, and the folder is as before.
    pub fn publish(&self, words: &str) -> Outcome {
        const FOLDER: &str = "published";
        std::fs::create_dir(self.path(FOLDER)).unwrap();
        let file = if words.contains("--format") { "table" } else { "table.txt" };
        let mut outcome = self.phds(&format!("{words} --audience public --out {FOLDER}/{file}"));
        outcome.stdout.extend(std::fs::read(self.path(FOLDER).join(file)).unwrap_or_default());
        std::fs::remove_dir_all(self.path(FOLDER)).unwrap();
        outcome
    }

    /// Loads a small month into the folder `store`.
    pub fn load(&self, month: &Month) {
        self.put("month.csv", month.bytes());
        self.phds(&format!("load month.csv --period {PERIOD} --store store")).done();
    }

    /// Every file and folder in it, sorted, folders with a slash at the end.
    pub fn tree(&self) -> Vec<String> {
        let mut names = Vec::new();
        walk(self.root.path(), &mut |path| {
            let name = slashes(path.strip_prefix(self.root.path()).unwrap().to_str().unwrap());
            names.push(format!("{name}{}", if path.is_dir() { "/" } else { "" }));
        });
        names.sort();
        names
    }

    /// Text without what differs from run to run and from version to version.
    pub fn filtered(&self, text: &str) -> String {
        let filters = [
            (r"[0-9a-f]{64}", "[SHA-256]"),
            (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[KEY]"),
            (r"\b[0-9a-f]{16}\b", "[HASH]"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?", "[TIME]"),
            (r"(127\.0\.0\.1\]?:|-p )\d+", "$1[PORT]"),
            (r"(phds \(?)\d+\.\d+\.\d+", "$1[VERSION]"),
            (r"(?m) +$", ""),
        ];
        let text = text.replace(&slashes(self.root.path().to_str().unwrap()), "[DIR]");
        filters
            .iter()
            .fold(text, |text, (pattern, mark)| Regex::new(pattern).unwrap().replace_all(&text, *mark).into_owned())
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Outcome {
    pub command: String,
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Outcome {
    /// Exit code 0, or the test ends here.
    #[track_caller]
    pub fn done(self) -> Self {
        self.ended(0)
    }

    /// This exit code, or the test ends here.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.command, self.text(), self.stderr);
        self
    }

    /// What was printed as data.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        // In JSON, a backslash is no part of a path.
        if text.starts_with(['{', '[']) { text.into_owned() } else { slashes(&text) }
    }
}

/// Calls `each` with everything below a folder.
pub fn walk(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        each(&path);
        if path.is_dir() {
            walk(&path, each);
        }
    }
}

/// A text with its paths as they are written on most systems.
pub fn slashes(text: &str) -> String {
    if !cfg!(windows) {
        return text.to_owned();
    }
    let inside = Regex::new(r"([\w.:\]-])\\([A-Za-z0-9.])").unwrap();
    // A folder with a name of one character stands between two.
    let once = inside.replace_all(text, "$1/$2");
    inside.replace_all(&once, "$1/$2").into_owned()
}

/// The files of a folder of this repository that end in `.ending`, sorted, with their texts.
pub fn sources(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |path| {
        if path.extension().is_some_and(|found| found == ending) {
            files.push((path.to_owned(), std::fs::read_to_string(path).unwrap()));
        }
    });
    files.sort();
    files
}

/// The records of a CSV text, the header among them.
pub fn csv_rows(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// One table of a store's month as the manifest names its files.
pub fn parquet_table(store: &Path, period: &str, table: &str) -> Vec<RecordBatch> {
    let folder = store.join("partitions").join(period);
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let files = manifest[table]["files"].as_array().unwrap();
    files.iter().flat_map(|file| parquet_file(&folder.join(file["path"].as_str().unwrap()))).collect()
}

/// The rows of one Parquet file.
pub fn parquet_file(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// The values of some columns as text, row by row.
pub fn texts(batches: &[RecordBatch], is_wanted: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let wanted: Vec<_> = (0..batch.num_columns()).filter(|at| is_wanted(schema.field(*at).name())).collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            wanted.iter().map(|at| array_value_to_string(batch.column(*at), row).unwrap()).collect::<Vec<_>>()
        }));
    }
    rows
}
