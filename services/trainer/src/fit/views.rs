//! Rows that are further views of an example: fitted on beside it, all together counting as one, and never measured on.
//!
//! The views of an example go where it goes: into the train rows, the validation rows, a fold.

use std::ops::Range;

use super::FitError;
use super::folds::stratified;

/// Which rows are views of which example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// For each row the example's own row, which is its own for an example; nothing where there are no views.
    own: Option<Vec<u32>>,
}

impl Views {
    /// Takes the example's own row of each row, for rows of the classes `labels`, of which the first `train` are train rows.
    ///
    /// # Errors
    /// [`FitError::View`] names a row that is no view: its example is elsewhere, has another class or is a view itself, or is a
    /// validation row behind a view of one.
    pub fn new(own: Vec<u32>, labels: &[u32], train: usize) -> Result<Self, FitError> {
        if own.len() != labels.len() {
            return Err(FitError::View { row: own.len().min(labels.len()) });
        }
        let fine = |(row, of): (usize, &u32)| {
            let of = *of as usize;
            let example = own.get(of).is_some_and(|of_it| *of_it as usize == of);
            let in_order = row <= train || of != row || own[row - 1] as usize == row - 1;
            example && labels[of] == labels[row] && (of < train) == (row < train) && in_order
        };
        match own.iter().enumerate().find(|entry| !fine(*entry)) {
            Some((row, _)) => Err(FitError::View { row }),
            None => Ok(Self { own: Some(own) }),
        }
    }

    /// Whether a row is an example's own.
    pub fn is_own(&self, row: usize) -> bool {
        self.own.as_ref().is_none_or(|own| own[row] as usize == row)
    }

    /// Those of `rows` that are examples' own.
    pub fn own(&self, rows: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        rows.filter(|row| self.is_own(*row))
    }

    /// The weights of the rows, so that an example and its views count together what the example did: each its part.
    pub fn weigh(&self, weights: Option<Vec<f32>>) -> Option<Vec<f32>> {
        let Some(own) = &self.own else { return weights };
        let mut counts = vec![0u32; own.len()];
        own.iter().for_each(|of| counts[*of as usize] += 1);
        let whole = |of: usize| weights.as_ref().map_or(1.0, |weights| weights[of]);
        Some(own.iter().map(|of| whole(*of as usize) / counts[*of as usize] as f32).collect())
    }

    /// The fold of each row: the examples are dealt as [`stratified`] deals them, and their views follow them.
    pub fn deal(&self, labels: &[u32], classes: usize, folds: usize, seed: u64) -> Vec<usize> {
        let Some(own) = &self.own else { return stratified(labels, classes, folds, seed) };
        let examples: Vec<usize> = self.own(0..labels.len()).collect();
        let of_examples: Vec<u32> = examples.iter().map(|row| labels[*row]).collect();
        let mut fold = vec![0; labels.len()];
        for (row, dealt) in examples.iter().zip(stratified(&of_examples, classes, folds, seed)) {
            fold[*row] = dealt;
        }
        own.iter().map(|of| fold[*of as usize]).collect()
    }

    /// Of `numbers`, `[rows, columns]`, those of the examples' own rows.
    pub fn only_own(&self, numbers: Vec<f32>, columns: usize) -> Vec<f32> {
        if self.own.is_none() {
            return numbers;
        }
        let rows = numbers.chunks_exact(columns.max(1)).enumerate();
        rows.filter(|(row, _)| self.is_own(*row)).flat_map(|(_, row)| row.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Examples of three classes, each with a number of views of its own somewhere behind it.
    fn examples() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        prop::collection::vec((0u32..3, 0usize..5), 8..60).prop_map(|examples| {
            let mut labels: Vec<u32> = examples.iter().map(|(class, _)| *class).collect();
            let mut own: Vec<u32> = (0..examples.len() as u32).collect();
            for (example, (class, views)) in examples.iter().enumerate() {
                labels.extend(std::iter::repeat_n(*class, *views));
                own.extend(std::iter::repeat_n(example as u32, *views));
            }
            (labels, own)
        })
    }

    proptest! {
        #[test]
        fn views_never_cross_folds_and_count_as_one((labels, own) in examples(), folds in 2usize..8, seed in any::<u64>()) {
            let views = Views::new(own.clone(), &labels, labels.len()).unwrap();
            let fold = views.deal(&labels, 3, folds, seed);
            prop_assert!(own.iter().enumerate().all(|(row, of)| fold[row] == fold[*of as usize]));
            let weights = views.weigh(None).unwrap();
            let count = views.own(0..labels.len()).count();
            for example in views.own(0..labels.len()) {
                let of_it = own.iter().zip(&weights).filter(|(of, _)| **of as usize == example);
                let sum: f32 = of_it.map(|(_, weight)| weight).sum();
                prop_assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            }
            let dealt: Vec<usize> = views.own(0..labels.len()).map(|row| fold[row]).collect();
            prop_assert_eq!(dealt, stratified(&labels[..count], 3, folds, seed), "as without views");
        }
    }

    #[test]
    fn what_is_no_view_is_named() {
        let refused = |own: &[u32], labels: &[u32], train| match Views::new(own.to_vec(), labels, train) {
            Err(FitError::View { row }) => Some(row),
            _ => None,
        };
        assert_eq!(refused(&[0, 1, 0, 1], &[0, 1, 0, 1], 4), None);
        assert_eq!(refused(&[0, 1, 0, 1], &[0, 1, 1, 1], 4), Some(2), "another class");
        assert_eq!(refused(&[0, 1, 0, 1], &[0, 1, 0, 1], 3), Some(3), "on the other side");
        assert_eq!(refused(&[0, 0, 1], &[0, 0, 0], 3), Some(2), "a view of a view");
        assert_eq!(refused(&[0, 9], &[0, 0], 2), Some(1), "of nothing");
        assert_eq!(refused(&[0], &[0, 0], 2), Some(1));
        assert_eq!(refused(&[0, 1, 1, 3], &[0, 0, 0, 0], 1), Some(3), "a validation row behind a view");
    }

    #[test]
    fn without_views_nothing_changes() {
        let none = Views::default();
        assert_eq!(none.weigh(Some(vec![2.0])), Some(vec![2.0]));
        assert_eq!(none.deal(&[0, 1, 0], 2, 2, 5), stratified(&[0, 1, 0], 2, 2, 5));
        assert_eq!(none.only_own(vec![1.0, 2.0], 1), [1.0, 2.0]);
        let views = Views::new(vec![0, 0, 2], &[1, 1, 0], 3).unwrap();
        assert_eq!(views.weigh(Some(vec![3.0, 9.0, 1.0])), Some(vec![1.5, 1.5, 1.0]));
        assert_eq!(views.only_own(vec![1.0, 2.0, 3.0], 1), [1.0, 3.0]);
    }
}
