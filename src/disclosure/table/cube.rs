//! The shape of a table with all its margins: dimensions with their labels, and one place for each cell.

use crate::error::{Error, Result};

/// More cells than this, margins among them, are refused: no pattern for them ends in time.
pub const MOST_CELLS: usize = 200_000;
/// More dimensions than this are refused: each doubles the margins of a cell.
pub const MOST_DIMENSIONS: usize = 6;

/// A dimension of a table, its total apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The name of its column.
    pub name: String,
    /// Its labels, sorted, without that of the total.
    pub labels: Vec<String>,
}

/// A table with all its margins. A cell is a label or the total in each dimension; cells are numbered from 0, the last
/// dimension runs fastest, and the total comes after the labels.
///
/// Dimensions are in the order of their names and labels in theirs, so that the same table has the same numbers
/// however its rows or dimensions came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cube {
    dimensions: Vec<Dimension>,
    strides: Vec<usize>,
    len: usize,
}

impl Cube {
    /// A table of these dimensions; refused where it is too large to be worked on.
    pub fn new(mut dimensions: Vec<Dimension>) -> Result<Self> {
        dimensions.sort_by(|one, other| one.name.cmp(&other.name));
        for dimension in &mut dimensions {
            dimension.labels.sort();
            dimension.labels.dedup();
        }
        if dimensions.is_empty() || dimensions.len() > MOST_DIMENSIONS {
            return Err(Error::usage(format!(
                "a table has 1 to {MOST_DIMENSIONS} dimensions, not {}",
                dimensions.len()
            ))
            .hint("name fewer columns in `--by`"));
        }
        let mut strides = vec![0; dimensions.len()];
        let mut len = 1_usize;
        for (stride, dimension) in strides.iter_mut().zip(&dimensions).rev() {
            *stride = len;
            len = len.saturating_mul(dimension.labels.len() + 1);
        }
        if len > MOST_CELLS {
            return Err(Error::refused(format!(
                "the table has {len} cells with its margins; more than {MOST_CELLS} are not worked on"
            ))
            .hint("use fewer dimensions, or coarser labels"));
        }
        Ok(Self { dimensions, strides, len })
    }

    /// The dimensions, sorted by name.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// Number of cells, margins among them.
    #[expect(clippy::len_without_is_empty, reason = "a table has its grand total at least")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The cell with these places: for each dimension the number of the label, or `None` for the total.
    pub fn cell(&self, places: &[Option<usize>]) -> usize {
        let place = |at: usize| places[at].unwrap_or(self.dimensions[at].labels.len());
        (0..self.dimensions.len()).map(|at| place(at) * self.strides[at]).sum()
    }

    /// The place of a cell in a dimension: the number of its label, or `None` for the total.
    pub fn place(&self, cell: usize, dimension: usize) -> Option<usize> {
        let labels = self.dimensions[dimension].labels.len();
        let place = cell / self.strides[dimension] % (labels + 1);
        (place < labels).then_some(place)
    }

    /// The label of a cell in a dimension, or `None` for the total.
    pub fn label(&self, cell: usize, dimension: usize) -> Option<&str> {
        self.place(cell, dimension).map(|place| self.dimensions[dimension].labels[place].as_str())
    }

    /// Whether a cell is a total in no dimension.
    pub fn is_inner(&self, cell: usize) -> bool {
        (0..self.dimensions.len()).all(|at| self.place(cell, at).is_some())
    }

    /// The same cell at another place of a dimension.
    pub(super) fn moved(&self, cell: usize, dimension: usize, place: Option<usize>) -> usize {
        let labels = self.dimensions[dimension].labels.len();
        let here = self.place(cell, dimension).unwrap_or(labels);
        cell - here * self.strides[dimension] + place.unwrap_or(labels) * self.strides[dimension]
    }

    /// The parts whose sum a cell is along a dimension in which it is the total; empty in another.
    pub fn parts(&self, cell: usize, dimension: usize) -> impl Iterator<Item = usize> + '_ {
        let labels = if self.place(cell, dimension).is_some() { 0 } else { self.dimensions[dimension].labels.len() };
        (0..labels).map(move |place| self.moved(cell, dimension, Some(place)))
    }

    /// A cell and everything above it: the totals that it counts in.
    pub(super) fn with_totals(&self, cell: usize) -> Vec<usize> {
        let mut cells = vec![cell];
        for at in 0..self.dimensions.len() {
            if self.place(cell, at).is_some() {
                cells.extend(cells.clone().into_iter().map(|below| self.moved(below, at, None)));
            }
        }
        cells
    }

    /// Every line: a total and the dimension along which it is summed.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.len).flat_map(move |cell| {
            (0..self.dimensions.len()).filter(move |at| self.place(cell, *at).is_none()).map(move |at| (cell, at))
        })
    }

    /// The margins of a table of which only the inner counts are set.
    pub fn fill_margins(&self, counts: &mut [u64]) {
        for at in 0..self.dimensions.len() {
            for cell in 0..self.len {
                if self.place(cell, at).is_none() {
                    counts[cell] = self.parts(cell, at).map(|part| counts[part]).sum();
                }
            }
        }
    }

    /// The key of a cell for people: `county = Travis, sex = Total`.
    pub fn name(&self, cell: usize, total: &str) -> String {
        let part = |at: usize| format!("{} = {}", self.dimensions[at].name, self.label(cell, at).unwrap_or(total));
        (0..self.dimensions.len()).map(part).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cube(sizes: &[usize]) -> Cube {
        let dimension = |(at, size): (usize, &usize)| Dimension {
            name: format!("d{at}"),
            labels: (0..*size).map(|label| format!("{label}")).collect(),
        };
        Cube::new(sizes.iter().enumerate().map(dimension).collect()).unwrap()
    }

    #[test]
    fn cells_have_places_and_margins_sums() {
        let cube = cube(&[2, 3]);
        assert_eq!(cube.len(), 12);
        assert_eq!((cube.place(0, 0), cube.place(3, 1), cube.place(11, 0)), (Some(0), None, None));
        let mut counts = vec![0; 12];
        for (label, count) in [(0, 1), (1, 2), (2, 3), (4, 10), (5, 20), (6, 30)] {
            counts[label] = count;
        }
        cube.fill_margins(&mut counts);
        assert_eq!(counts, [1, 2, 3, 6, 10, 20, 30, 60, 11, 22, 33, 66]);
        assert_eq!(cube.with_totals(1), [1, 9, 3, 11]);
        assert_eq!(cube.lines().count(), 2 + 3 + 2);
        assert_eq!(cube.name(3, "Total"), "d0 = 0, d1 = Total");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let label = |count: usize| (0..count).map(|label| label.to_string()).collect::<Vec<_>>();
        let dimension = |name: &str, count| Dimension { name: name.to_owned(), labels: label(count) };
        assert!(Cube::new(vec![dimension("a", 400), dimension("b", 400)]).is_ok());
        assert!(Cube::new(vec![dimension("a", 500), dimension("b", 500)]).is_err());
        assert!(Cube::new(Vec::new()).is_err());
    }
}
