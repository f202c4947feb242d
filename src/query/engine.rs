//! Carries out plans. DuckDB is embedded and opened locked down; no other file knows its crate.

use std::path::{Path, PathBuf};

use duckdb::types::{ToSql, ToSqlOutput, Value as SqlValue, ValueRef};
use duckdb::{AccessMode, Config, Connection, params_from_iter};

use super::plan::AggregatePlan;
use super::sql::{self, Parameter};
use crate::error::{Error, Result};

/// The counts of one group. Not for any other room than `query`: it is made into a `RawTable` there.
pub struct Group {
    pub(super) key: Vec<Option<String>>,
    pub(super) numerator: u64,
    pub(super) denominator: u64,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group")
    }
}

/// An aggregate plan in, integer counts out.
pub trait Engine {
    /// Counts the rows of the `clients` files of one month. Groups come in no particular order.
    fn aggregate(&mut self, plan: &AggregatePlan, files: &[PathBuf]) -> Result<Vec<Group>>;
}

/// DuckDB inside this process.
#[derive(Debug)]
pub struct DuckDb {
    threads: usize,
}

impl DuckDb {
    /// An engine with so many threads.
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1) }
    }

    /// A connection that can read exactly `files` and nothing else: no other file, no network, no extension, no change
    /// of settings. It keeps everything in memory.
    fn open(&self, files: &[PathBuf]) -> Result<Connection> {
        let failed = |_| Error::internal("the embedded query engine does not start");
        let config = Config::default()
            .access_mode(AccessMode::Automatic)
            .and_then(|config| config.with("autoinstall_known_extensions", "false"))
            .and_then(|config| config.with("autoload_known_extensions", "false"))
            .and_then(|config| config.with("allow_community_extensions", "false"))
            .and_then(|config| config.with("allow_unsigned_extensions", "false"))
            .and_then(|config| config.with("allow_persistent_secrets", "false"))
            .and_then(|config| config.with("threads", self.threads.to_string()))
            .and_then(|config| config.with("max_temp_directory_size", "0KB"))
            .map_err(failed)?;
        let connection = Connection::open_in_memory_with_flags(config).map_err(failed)?;
        // The order matters: what may be read, then nothing beside it, then no way back.
        connection
            .execute_batch(&format!(
                "SET preserve_insertion_order = false; SET enable_logging = false; SET allowed_paths = [{}]; \
                 SET enable_external_access = false; SET lock_configuration = true;",
                literals(files)?
            ))
            .map_err(failed)?;
        Ok(connection)
    }
}

impl Engine for DuckDb {
    fn aggregate(&mut self, plan: &AggregatePlan, files: &[PathBuf]) -> Result<Vec<Group>> {
        // DuckDB's own words may repeat a value, so they are not passed on.
        let failed = |_| Error::internal("the embedded query engine refuses a planned query");
        let table = format!("read_parquet([{}], hive_partitioning = false)", literals(files)?);
        let (text, parameters) = sql::render(plan, &table)?;
        let connection = self.open(files)?;
        let mut statement = connection.prepare(&text).map_err(failed)?;
        let keys = plan.group_by.len();
        let rows = statement
            .query_map(params_from_iter(&parameters), |row| {
                let key = (0..keys).map(|at| row.get_ref(at).map(as_text)).collect::<Result<Vec<_>, _>>()?;
                Ok((key, row.get::<_, i64>(keys)?, row.get::<_, i64>(keys + 1)?))
            })
            .map_err(failed)?;
        rows.map(|row| {
            let (key, denominator, numerator) = row.map_err(failed)?;
            match (u64::try_from(numerator), u64::try_from(denominator)) {
                (Ok(numerator), Ok(denominator)) if numerator <= denominator => {
                    Ok(Group { key, numerator, denominator })
                }
                _ => Err(Error::internal("the embedded query engine counts wrongly")),
            }
        })
        .collect()
    }
}

impl ToSql for Parameter {
    fn to_sql(&self) -> duckdb::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(match self {
            Self::Text(text) => SqlValue::Text(text.clone()),
            Self::Integer(number) => SqlValue::Int(*number),
            Self::Day(day) => SqlValue::Date32(*day),
        }))
    }
}

fn as_text(value: ValueRef<'_>) -> Option<String> {
    match value.to_owned() {
        SqlValue::Text(text) => Some(text),
        SqlValue::Int(number) => Some(number.to_string()),
        SqlValue::BigInt(number) => Some(number.to_string()),
        _ => None,
    }
}

fn literals(files: &[PathBuf]) -> Result<String> {
    let literal = |path: &Path| {
        let text = path.to_str().ok_or_else(|| Error::usage("the path of the store is not UTF-8"))?;
        // A pattern would be expanded beyond the files that the manifest names.
        if text.contains(['*', '?', '[', ']']) {
            return Err(
                Error::usage("the path of the store holds one of * ? [ ]").hint("move the store to a plainer path")
            );
        }
        Ok(format!("'{}'", text.replace('\'', "''")))
    };
    Ok(files.iter().map(|path| literal(path)).collect::<Result<Vec<_>>>()?.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_named_files_can_be_reached() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("named.csv");
        let other = folder.path().join("other.csv");
        std::fs::write(&named, "a\n1\n").unwrap();
        std::fs::write(&other, "a\n2\n").unwrap();
        let connection = DuckDb::new(1).open(std::slice::from_ref(&named)).unwrap();
        let (named, other) = (named.display(), other.display());
        let count: i64 =
            connection.query_row(&format!("SELECT count(*) FROM read_text('{named}')"), [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
        for denied in [
            format!("SELECT * FROM read_text('{other}')"),
            format!("SELECT * FROM read_text('{}/*')", folder.path().display()),
            format!("SELECT * FROM glob('{}/*')", folder.path().display()),
            "SELECT * FROM read_text('/etc/passwd')".to_owned(),
            format!("COPY (SELECT 1) TO '{other}'"),
            format!("COPY (SELECT 1) TO '{}/new.csv'", folder.path().display()),
            format!("ATTACH '{}/new.db' AS new", folder.path().display()),
            "INSTALL httpfs".to_owned(),
            "LOAD httpfs".to_owned(),
            "SET threads = 4".to_owned(),
            "SET enable_external_access = true".to_owned(),
            "RESET lock_configuration".to_owned(),
            "SET lock_configuration = false".to_owned(),
            "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')".to_owned(),
        ] {
            let outcome = connection.prepare(&denied).and_then(|mut statement| statement.query([]).map(drop));
            assert!(outcome.is_err(), "{denied}");
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("other.csv")).unwrap(), "a\n2\n");
    }

    #[test]
    fn paths_that_would_match_other_files_are_refused() {
        for path in ["a*.parquet", "a?.parquet", "[ab].parquet"] {
            assert!(literals(&[PathBuf::from(path)]).is_err(), "{path}");
        }
        assert_eq!(literals(&[PathBuf::from("/o'brien/a.parquet")]).unwrap(), "'/o''brien/a.parquet'");
    }
}
