//! What is right for each row: one class, or a set of labels, which may be empty.

use std::ops::Range;

/// The labels of rows that may have several, or none: those of row `i` are `indices[starts[i]..starts[i + 1]]`, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSets {
    starts: Vec<usize>,
    indices: Vec<u32>,
}

impl LabelSets {
    /// Takes the labels of each row. Each label of a row counts once.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let (mut starts, mut indices) = (vec![0], Vec::new());
        for row in rows {
            let first = indices.len();
            indices.extend_from_slice(row);
            indices[first..].sort_unstable();
            // A set is short, so that looking for what is there twice takes no time.
            let mut kept = first;
            for at in first..indices.len() {
                if kept == first || indices[kept - 1] != indices[at] {
                    indices[kept] = indices[at];
                    kept += 1;
                }
            }
            indices.truncate(kept);
            starts.push(kept);
        }
        Self { starts, indices }
    }

    /// All rows.
    pub fn rows(&self) -> SetRows<'_> {
        SetRows { starts: &self.starts, indices: &self.indices }
    }

    /// The class that each row is dealt by where something is to be balanced: the rarest of its labels, and `classes` for rows
    /// without one.
    pub fn strata(&self, classes: usize) -> Vec<u32> {
        let mut counts = vec![0usize; classes];
        self.indices.iter().for_each(|class| counts[*class as usize] += 1);
        let rows = self.rows();
        let rarest = |row: usize| rows.of(row).iter().copied().min_by_key(|class| (counts[*class as usize], *class));
        (0..rows.len()).map(|row| rarest(row).unwrap_or(classes as u32)).collect()
    }
}

/// The labels of some rows; a view.
#[derive(Clone, Copy, Debug)]
pub struct SetRows<'a> {
    /// One more than there are rows.
    starts: &'a [usize],
    /// Those of all rows, also of those that are not in the view.
    indices: &'a [u32],
}

impl<'a> SetRows<'a> {
    /// How many rows there are.
    pub fn len(self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The labels of a row, sorted.
    pub fn of(self, row: usize) -> &'a [u32] {
        &self.indices[self.starts[row]..self.starts[row + 1]]
    }

    /// Some of the rows.
    pub fn slice(self, rows: Range<usize>) -> Self {
        Self { starts: &self.starts[rows.start..=rows.end], indices: self.indices }
    }
}

/// What is right for rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// One class each.
    One(Vec<u32>),
    /// A set each.
    Sets(LabelSets),
}

impl Labels {
    /// A view of all rows.
    pub fn truth(&self) -> Truth<'_> {
        match self {
            Labels::One(classes) => Truth::One(classes),
            Labels::Sets(sets) => Truth::Sets(sets.rows()),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.truth().len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class that each row is dealt by: its own, or of a set as [`LabelSets::strata`] says.
    pub fn strata(&self, classes: usize) -> Vec<u32> {
        match self {
            Labels::One(of) => of.clone(),
            Labels::Sets(sets) => sets.strata(classes),
        }
    }

    /// The same for some rows, in their order.
    pub fn take(&self, rows: &[usize]) -> Labels {
        match self {
            Labels::One(classes) => Labels::One(rows.iter().map(|row| classes[*row]).collect()),
            Labels::Sets(sets) => Labels::Sets(LabelSets::new(rows.iter().map(|row| sets.rows().of(*row)))),
        }
    }
}

/// What is right for some rows; a view.
#[derive(Clone, Copy, Debug)]
pub enum Truth<'a> {
    /// One class each.
    One(&'a [u32]),
    /// A set each.
    Sets(SetRows<'a>),
}

impl<'a> Truth<'a> {
    /// How many rows there are.
    pub fn len(self) -> usize {
        match self {
            Truth::One(classes) => classes.len(),
            Truth::Sets(sets) => sets.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The labels of a row, sorted; exactly one unless it has a set.
    pub fn of(self, row: usize) -> &'a [u32] {
        match self {
            Truth::One(classes) => &classes[row..=row],
            Truth::Sets(sets) => sets.of(row),
        }
    }

    /// Some of the rows.
    pub fn slice(self, rows: Range<usize>) -> Self {
        match self {
            Truth::One(classes) => Truth::One(&classes[rows]),
            Truth::Sets(sets) => Truth::Sets(sets.slice(rows)),
        }
    }

    /// Rows of each class.
    pub fn counts(self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        (0..self.len()).flat_map(|row| self.of(row)).for_each(|class| counts[*class as usize] += 1);
        counts
    }

    /// Whether each row has each label: `[rows, classes]`.
    pub fn dense(self, classes: usize) -> Vec<bool> {
        let mut dense = vec![false; self.len() * classes];
        for (row, has) in dense.chunks_exact_mut(classes.max(1)).enumerate() {
            self.of(row).iter().for_each(|class| has[*class as usize] = true);
        }
        dense
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_views_that_can_be_cut() {
        let sets = LabelSets::new([&[2, 0, 2][..], &[], &[1], &[0, 1, 2]]);
        let rows = sets.rows();
        assert_eq!([rows.of(0), rows.of(1), rows.of(2), rows.of(3)], [&[0, 2][..], &[], &[1], &[0, 1, 2]]);
        let cut = rows.slice(1..3);
        assert_eq!((cut.len(), cut.of(0), cut.of(1)), (2, &[][..], &[1][..]));
        assert_eq!(Truth::Sets(rows).counts(3), [2, 2, 2]);
        assert_eq!(Truth::Sets(cut).dense(3), [false, false, false, false, true, false]);
        assert_eq!(Labels::Sets(sets).take(&[3, 1]), Labels::Sets(LabelSets::new([&[0, 1, 2][..], &[]])));
    }

    #[test]
    fn a_row_is_dealt_by_its_rarest_label() {
        let sets = LabelSets::new([&[0, 1][..], &[0], &[0, 2], &[1], &[]]);
        assert_eq!(sets.strata(3), [1, 0, 2, 1, 3]);
        assert_eq!(Labels::One(vec![1, 0]).strata(2), [1, 0]);
    }

    #[test]
    fn one_class_is_a_set_of_one() {
        let classes = [4, 7];
        let truth = Truth::One(&classes);
        assert_eq!((truth.of(1), truth.slice(1..2).of(0), truth.len()), (&[7][..], &[7][..], 2));
    }
}
