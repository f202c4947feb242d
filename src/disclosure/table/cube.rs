//! The shape of a table with all its margins: dimensions with their labels, and one place for each cell.

use crate::error::{Error, Result};

/// More cells than this, margins among them, are refused: no pattern for them ends in time.
pub const MOST_CELLS: usize = 200_000;
/// More dimensions than this are refused: each doubles the margins of a cell.
pub const MOST_DIMENSIONS: usize = 6;

/// What stands between the levels in the name and in the labels of a nested dimension.
pub const LEVEL: char = '\u{1f}';

/// A dimension of a table, its total apart.
///
/// One with nested levels has the names of its levels in its name, the coarsest first, with U+001F between them. Its
/// labels are paths in the same form: `Travis`, and `78701` below it. A level above a label is there by itself.
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
    /// Dimension → how its places hang together.
    trees: Vec<Tree>,
    strides: Vec<usize>,
    len: usize,
}

/// The places of a dimension, by number: the labels, then the total.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tree {
    /// Label → the place that it is a part of.
    above: Vec<usize>,
    /// Place → its parts.
    below: Vec<Vec<usize>>,
    /// Places without parts, the total apart.
    leaves: Vec<usize>,
}

impl Tree {
    fn of(labels: &[String]) -> Self {
        let total = labels.len();
        let above = |label: &String| {
            let parent = label
                .rsplit_once(LEVEL)
                .and_then(|(parent, _)| labels.binary_search_by(|other| other.as_str().cmp(parent)).ok());
            parent.unwrap_or(total)
        };
        let above: Vec<usize> = labels.iter().map(above).collect();
        let mut below = vec![Vec::new(); total + 1];
        for (label, parent) in above.iter().enumerate() {
            below[*parent].push(label);
        }
        let leaves = (0..total).filter(|label| below[*label].is_empty()).collect();
        Self { above, below, leaves }
    }
}

impl Cube {
    /// A table of these dimensions; refused where it is too large to be worked on.
    pub fn new(mut dimensions: Vec<Dimension>) -> Result<Self> {
        dimensions.sort_by(|one, other| one.name.cmp(&other.name));
        for dimension in &mut dimensions {
            let above = |label: &String| -> Vec<String> {
                label.match_indices(LEVEL).map(|(at, _)| label[..at].to_owned()).collect()
            };
            let levels: Vec<String> = dimension.labels.iter().flat_map(above).collect();
            dimension.labels.extend(levels);
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
        let trees = dimensions.iter().map(|dimension| Tree::of(&dimension.labels)).collect();
        Ok(Self { dimensions, trees, strides, len })
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
        let place = self.number(cell, dimension);
        (place < labels).then_some(place)
    }

    /// The label of a cell in a dimension, or `None` for the total.
    pub fn label(&self, cell: usize, dimension: usize) -> Option<&str> {
        self.place(cell, dimension).map(|place| self.dimensions[dimension].labels[place].as_str())
    }

    /// The number of a cell's place in a dimension; that of the total comes after the labels.
    pub(super) fn number(&self, cell: usize, dimension: usize) -> usize {
        cell / self.strides[dimension] % (self.dimensions[dimension].labels.len() + 1)
    }

    /// Whether a cell is a sum along a dimension: the total in it, or a label with others below it.
    pub fn is_sum(&self, cell: usize, dimension: usize) -> bool {
        let number = self.number(cell, dimension);
        number == self.dimensions[dimension].labels.len() || !self.trees[dimension].below[number].is_empty()
    }

    /// Whether a cell is a sum in no dimension.
    pub fn is_inner(&self, cell: usize) -> bool {
        (0..self.dimensions.len()).all(|at| !self.is_sum(cell, at))
    }

    /// Whether a dimension has nested levels.
    pub(super) fn is_nested(&self, dimension: usize) -> bool {
        self.trees[dimension].leaves.len() < self.dimensions[dimension].labels.len()
    }

    /// How many levels a cell's place is below the total of a dimension.
    pub(super) fn level(&self, cell: usize, dimension: usize) -> usize {
        self.upward(dimension, self.number(cell, dimension)).count() - 1
    }

    /// The same cell at another place of a dimension.
    pub(super) fn moved(&self, cell: usize, dimension: usize, number: usize) -> usize {
        cell - self.number(cell, dimension) * self.strides[dimension] + number * self.strides[dimension]
    }

    /// The number of the total of a dimension.
    pub(super) fn total(&self, dimension: usize) -> usize {
        self.dimensions[dimension].labels.len()
    }

    /// The place that another one counts in along a dimension; nothing above the total.
    pub(super) fn above(&self, dimension: usize, number: usize) -> Option<usize> {
        self.trees[dimension].above.get(number).copied()
    }

    /// A place and those above it, up to the total.
    pub(super) fn upward(&self, dimension: usize, number: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(number), move |number| self.above(dimension, *number))
    }

    /// The places of a dimension that have no parts, the total apart.
    pub(super) fn leaves(&self, dimension: usize) -> &[usize] {
        &self.trees[dimension].leaves
    }

    /// Whether a place of a dimension is another one or counts in it.
    pub(super) fn is_within(&self, dimension: usize, number: usize, whole: usize) -> bool {
        let is_above = || self.is_nested(dimension) && self.upward(dimension, number).any(|number| number == whole);
        number == whole || whole == self.total(dimension) || is_above()
    }

    /// The parts whose sum a cell is along a dimension; empty where it is none.
    pub fn parts(&self, cell: usize, dimension: usize) -> impl Iterator<Item = usize> + '_ {
        let parts = &self.trees[dimension].below[self.number(cell, dimension)];
        parts.iter().map(move |number| self.moved(cell, dimension, *number))
    }

    /// A cell and everything above it: the totals that it counts in.
    pub(super) fn with_totals(&self, cell: usize) -> Vec<usize> {
        let mut cells = vec![cell];
        for at in 0..self.dimensions.len() {
            let count = cells.len();
            for number in self.upward(at, self.number(cell, at)).skip(1) {
                for below in 0..count {
                    cells.push(self.moved(cells[below], at, number));
                }
            }
        }
        cells
    }

    /// Every line: a sum and the dimension along which it is summed.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.len).flat_map(move |cell| {
            (0..self.dimensions.len()).filter(move |at| self.is_sum(cell, *at)).map(move |at| (cell, at))
        })
    }

    /// The margins of a table of which only the inner counts are set.
    pub fn fill_margins(&self, counts: &mut [u64]) {
        for at in 0..self.dimensions.len() {
            // What is below comes after in the order of labels, and everything before the total.
            let (total, stride) = (self.total(at), self.strides[at]);
            for number in (0..total).rev().chain([total]).filter(|number| !self.trees[at].below[*number].is_empty()) {
                for block in (0..self.len).step_by(stride * (total + 1)) {
                    for cell in (0..stride).map(|cell| block + number * stride + cell) {
                        counts[cell] = self.parts(cell, at).map(|part| counts[part]).sum();
                    }
                }
            }
        }
    }

    /// Names and labels of a cell, level by level: nothing for a total.
    pub fn key(&self, cell: usize) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.dimensions.iter().enumerate().flat_map(move |(at, dimension)| {
            let mut labels = self.label(cell, at).into_iter().flat_map(|label| label.split(LEVEL));
            dimension.name.split(LEVEL).map(move |name| (name, labels.next()))
        })
    }

    /// The key of a cell for people: `county = Travis, sex = Total`.
    pub fn name(&self, cell: usize, total: &str) -> String {
        let part = |(name, label): (&str, Option<&str>)| format!("{name} = {}", label.unwrap_or(total));
        self.key(cell).map(part).collect::<Vec<_>>().join(", ")
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
    fn labels_may_be_nested() {
        let labels = ["b\u{1f}3", "a\u{1f}1", "a\u{1f}2", "c"].map(str::to_owned).to_vec();
        let cube = Cube::new(vec![Dimension { name: "county\u{1f}zip".to_owned(), labels }]).unwrap();
        // a, a 1, a 2, b, b 3, c, total
        let mut counts = vec![0, 1, 2, 0, 3, 4, 0];
        cube.fill_margins(&mut counts);
        assert_eq!(counts, [3, 1, 2, 3, 3, 4, 10]);
        assert_eq!(cube.with_totals(2), [2, 0, 6]);
        assert_eq!(cube.lines().collect::<Vec<_>>(), [(0, 0), (3, 0), (6, 0)]);
        assert_eq!(cube.name(2, "Total"), "county = a, zip = 2");
        assert_eq!(cube.name(0, "Total"), "county = a, zip = Total");
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
