//! Where a record lies.

/// Where a record lies in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its first byte, from 0.
    pub offset: u64,
    /// Physical line on which it begins; the first line is 1.
    pub line: u64,
    /// Its bytes, the line end among them.
    pub length: u32,
}
