//! What long work says about itself. The library speaks in these events; only `terminal` draws them.

/// Receives the progress of one stage after another. Implementations must not fail and must not block for long.
pub trait Reporter: Sync {
    /// A stage begins; `total` is its size in bytes when that is known.
    fn started(&self, stage: &str, total: Option<u64>);
    /// `bytes` more of the running stage are done.
    fn advanced(&self, bytes: u64);
    /// So many rows were in what has been done since the last time, for a stage that knows rows.
    fn counted(&self, rows: u64);
    /// The running stage is done; `summary` is one line for people.
    fn finished(&self, summary: &str);
    /// Something that a person may like to know and that is not an error.
    fn noted(&self, message: &str);
    /// Something that a person must hear, also one who wants no progress, and that is not an error.
    fn warned(&self, message: &str);
}

/// A reporter that says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn started(&self, _stage: &str, _total: Option<u64>) {}
    fn advanced(&self, _bytes: u64) {}
    fn counted(&self, _rows: u64) {}
    fn finished(&self, _summary: &str) {}
    fn noted(&self, _message: &str) {}
    fn warned(&self, _message: &str) {}
}
