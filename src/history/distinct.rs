//! Doses that several rows tell of.

/// Tells the first of the rows of a client and day that tell of one thing from the others.
#[derive(Debug)]
pub struct Distinct {
    /// For every thing, one more than the row that told of it last.
    told: Vec<usize>,
}

impl Distinct {
    /// For things with the numbers below `things`; rows are numbered from 0, and those of a client and day lie together.
    pub fn new(things: usize) -> Self {
        Self { told: vec![0; things] }
    }

    /// Whether a row is the first since the row `begin`, with which its client and day begin, to tell of a thing.
    pub fn is_first(&mut self, thing: usize, row: usize, begin: usize) -> bool {
        std::mem::replace(&mut self.told[thing], row + 1) <= begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_new_on_every_day() {
        let mut distinct = Distinct::new(3);
        // The thing of each row, and the row with which its day begins.
        let rows = [(2, 0), (2, 0), (0, 0), (2, 0), (2, 4), (0, 4), (0, 4), (0, 7)];
        let firsts = rows.iter().enumerate().map(|(row, (thing, begin))| distinct.is_first(*thing, row, *begin));
        assert_eq!(firsts.collect::<Vec<_>>(), [true, false, true, false, true, true, false, true]);
    }
}
