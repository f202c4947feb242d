//! Carries out plans. DuckDB is embedded and opened locked down; no other file knows its crate.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::Int64Type;
use duckdb::types::{ToSql, ToSqlOutput, Value as SqlValue, ValueRef};
use duckdb::{AccessMode, Config, Connection, params_from_iter};

use super::listing::Listing;
use super::plan::{AggregatePlan, Rows};
use super::sql::{self, Parameter, Tables};
use crate::convert::Partition;
use crate::convert::manifest::Table;
use crate::error::{Error, Result};

/// The counts of one group. Not for any other room than `query`: it is made into a `RawTable` there.
pub struct Group {
    pub(super) key: Vec<Option<String>>,
    pub(super) counts: Vec<u64>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group")
    }
}

/// Who is in which group, client by client, for the audit of tables that are released together. It stays inside the
/// program: there is no serialisation, and `Debug` shows nothing.
pub struct Membership {
    /// The key of each client, in no particular order; of one with several rows, for each of them.
    pub(crate) clients: Vec<i64>,
    /// The group of each client, a position in `keys`.
    pub(crate) groups: Vec<u32>,
    /// The key columns of each group.
    pub(crate) keys: Vec<Vec<Option<String>>>,
    /// For each count of the plan, and each client, whether the client is counted.
    pub(crate) counted: Vec<Vec<bool>>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Membership")
    }
}

/// Carries out plans over the files of one month: integer counts out, and for the audit, which clients they are of.
pub trait Engine {
    /// Counts rows of one month. Groups come in no particular order.
    fn aggregate(&mut self, plan: &AggregatePlan) -> Result<Vec<Group>>;

    /// Lists the clients of the rows that a plan counts, by their keys.
    fn members(&mut self, plan: &AggregatePlan) -> Result<Membership>;

    /// Reads what the listings of all these plans need, at once.
    fn read_ahead(&mut self, plans: &[AggregatePlan]) -> Result<()>;
}

/// DuckDB inside this process, over the files of one month.
#[derive(Debug)]
pub struct DuckDb<'a> {
    partition: &'a Partition,
    threads: usize,
    /// The files of `clients`, once they are proved.
    client_files: Option<Vec<PathBuf>>,
    /// Opened when first needed: one that reads `clients` alone, and one for both tables.
    clients: Option<Month>,
    both: Option<Month>,
    /// What was read of each client.
    listing: Listing,
}

/// A connection, and the tables as it names them.
#[derive(Debug)]
struct Month {
    connection: Connection,
    clients: String,
    immunizations: String,
}

impl<'a> DuckDb<'a> {
    /// An engine with so many threads for a month.
    pub fn new(partition: &'a Partition, threads: usize) -> Self {
        let threads = threads.max(1);
        Self { partition, threads, client_files: None, clients: None, both: None, listing: Listing::default() }
    }

    /// The month as a plan needs it. The files of a table are compared with their SHA-256 once.
    fn month(&mut self, rows: &Rows) -> Result<&Month> {
        let alone = *rows == Rows::Clients;
        let kept = if alone { &mut self.clients } else { &mut self.both };
        if let Some(month) = kept {
            return Ok(month);
        }
        let clients = match &self.client_files {
            Some(files) => files.clone(),
            None => self.client_files.insert(self.partition.files(Table::Clients)?).clone(),
        };
        let immunizations = if alone { Vec::new() } else { self.partition.files(Table::Immunizations)? };
        let table = |files: &[PathBuf]| {
            Ok::<_, Error>(format!("read_parquet([{}], hive_partitioning = false)", literals(files)?))
        };
        let month = Month {
            clients: table(&clients)?,
            immunizations: table(&immunizations)?,
            connection: open(&[clients, immunizations].concat(), self.threads)?,
        };
        Ok(kept.insert(month))
    }
}

/// A connection that can read exactly `files` and nothing else: no other file, no network, no extension, no change of
/// settings. It keeps everything in memory.
fn open(files: &[PathBuf], threads: usize) -> Result<Connection> {
    let failed = |_| Error::internal("the embedded query engine does not start");
    let config = Config::default()
        .access_mode(AccessMode::Automatic)
        .and_then(|config| config.with("autoinstall_known_extensions", "false"))
        .and_then(|config| config.with("autoload_known_extensions", "false"))
        .and_then(|config| config.with("allow_community_extensions", "false"))
        .and_then(|config| config.with("allow_unsigned_extensions", "false"))
        .and_then(|config| config.with("allow_persistent_secrets", "false"))
        .and_then(|config| config.with("threads", threads.to_string()))
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

impl Engine for DuckDb<'_> {
    fn aggregate(&mut self, plan: &AggregatePlan) -> Result<Vec<Group>> {
        // DuckDB's own words may repeat a value, so they are not passed on.
        let failed = |_| Error::internal("the embedded query engine refuses a planned query");
        let month = self.month(&plan.rows)?;
        let tables = Tables { clients: &month.clients, immunizations: &month.immunizations };
        let (text, parameters) = sql::render(plan, tables)?;
        let mut statement = month.connection.prepare(&text).map_err(failed)?;
        let (keys, counts) = (plan.group_by.len(), plan.counts.len());
        let rows = statement
            .query_map(params_from_iter(&parameters), |row| {
                let key = (0..keys).map(|at| row.get_ref(at).map(as_text)).collect::<Result<Result<Vec<_>>, _>>()?;
                let counts = (keys..keys + counts).map(|at| row.get::<_, i64>(at)).collect::<Result<Vec<_>, _>>()?;
                Ok((key, counts))
            })
            .map_err(failed)?;
        rows.map(|row| {
            let (key, counts) = row.map_err(failed)?;
            let counts = counts.into_iter().map(u64::try_from).collect::<Result<_, _>>();
            let counts = counts.map_err(|_| Error::internal("the embedded query engine counts wrongly"))?;
            Ok(Group { key: key?, counts })
        })
        .collect()
    }

    fn members(&mut self, plan: &AggregatePlan) -> Result<Membership> {
        if plan.rows == Rows::Clients {
            self.read_ahead(std::slice::from_ref(plan))?;
            return self.listing.members(plan);
        }
        let failed = |_| Error::internal("the embedded query engine refuses a planned query");
        let wrong = || Error::internal("the embedded query engine answers in another form");
        let month = self.month(&plan.rows)?;
        let tables = Tables { clients: &month.clients, immunizations: &month.immunizations };
        let (text, parameters) = sql::render_members(plan, tables)?;
        let mut statement = month.connection.prepare(&text).map_err(failed)?;
        let keys = plan.group_by.len();
        let counted = vec![Vec::new(); plan.counts.len()];
        let mut found = Membership { clients: Vec::new(), groups: Vec::new(), keys: Vec::new(), counted };
        // Texts are told by numbers, so that a group is found without copying any.
        let mut words: Vec<HashMap<String, u32>> = vec![HashMap::new(); keys];
        let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut key: Vec<u32> = vec![0; keys];
        for batch in statement.query_arrow(params_from_iter(&parameters)).map_err(failed)? {
            let column = |at: usize| batch.columns().get(at).ok_or_else(wrong);
            let clients = column(0)?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
            found.clients.extend_from_slice(clients.values());
            let texts = (0..keys).map(|at| column(1 + at)?.as_string_opt::<i32>().ok_or_else(wrong));
            let texts = texts.collect::<Result<Vec<_>>>()?;
            for row in 0..batch.num_rows() {
                for ((text, words), word) in texts.iter().zip(&mut words).zip(&mut key) {
                    let text = text.is_valid(row).then(|| text.value(row));
                    // 0 is for a value that is missing.
                    let next = u32::try_from(words.len() + 1).map_err(|_| wrong())?;
                    *word = text.map_or(0, |text| words.get(text).copied().unwrap_or(next));
                    if let Some(text) = text.filter(|_| *word == next) {
                        words.insert(text.to_owned(), next);
                    }
                }
                let next = u32::try_from(found.keys.len()).map_err(|_| wrong())?;
                let group = known.get(&key).copied().unwrap_or(next);
                if group == next {
                    known.insert(key.clone(), next);
                    let value = |text: &&StringArray| text.is_valid(row).then(|| text.value(row).to_owned());
                    found.keys.push(texts.iter().map(value).collect());
                }
                found.groups.push(group);
            }
            for (at, counted) in found.counted.iter_mut().enumerate() {
                let flags = column(1 + keys + at)?.as_boolean_opt().ok_or_else(wrong)?;
                counted.extend((0..batch.num_rows()).map(|row| flags.value(row)));
            }
        }
        Ok(found)
    }

    fn read_ahead(&mut self, plans: &[AggregatePlan]) -> Result<()> {
        let failed = |_| Error::internal("the embedded query engine refuses a planned query");
        let plans: Vec<_> = plans.iter().filter(|plan| plan.rows == Rows::Clients).collect();
        let lacking = self.listing.lacks(&plans)?;
        if lacking.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let month = self.month(&Rows::Clients)?;
        let tables = Tables { clients: &month.clients, immunizations: &month.immunizations };
        let (text, parameters) = sql::render_listing(&lacking.concat(), tables);
        let mut statement = month.connection.prepare(&text).map_err(failed)?;
        let batches: Vec<_> = statement.query_arrow(params_from_iter(&parameters)).map_err(failed)?.collect();
        drop(statement);
        self.listing.take(lacking, batches.into_iter())
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

/// A value of a key. One of a type that no plan asks for must not pass for a missing one.
fn as_text(value: ValueRef<'_>) -> Result<Option<String>> {
    match value.to_owned() {
        SqlValue::Null => Ok(None),
        SqlValue::Text(text) => Ok(Some(text)),
        SqlValue::Int(number) => Ok(Some(number.to_string())),
        SqlValue::BigInt(number) => Ok(Some(number.to_string())),
        _ => Err(Error::internal("the embedded query engine answers in another form")),
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
        let connection = open(std::slice::from_ref(&named), 1).unwrap();
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
