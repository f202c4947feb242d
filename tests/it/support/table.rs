//! Tables that people write: a line a row, `|` between cells, the first line names the columns.

/// A table of texts. Blanks around cells do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let columns = cells(lines.next().expect("a table has a line that names its columns"));
        let rows: Vec<_> = lines.map(cells).collect();
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "{row:?} does not fit {columns:?}");
        }
        Self { columns, rows }
    }

    /// The cells of a column, when it is there.
    pub fn column(&self, name: &str) -> Option<Vec<&str>> {
        let at = self.columns.iter().position(|column| column == name)?;
        Some(self.rows.iter().map(|row| row[at].as_str()).collect())
    }
}
