//! The same for heads that give each example a set of labels, which may be empty. The definitions are scikit-learn's of
//! multi-label data; a ratio of nothing is 0.
//!
//! Everything is a function of plain slices, `[rows, classes]` row by row: `probabilities`, each label's on its own; `given`,
//! whether the head gives the label; and `truth`, whether the example has it.
//!
//! # Layout
//! - [`counts`]: what counts of right and wrong say: exact matches, Hamming loss, precision, recall, F1.
//! - [`loss`]: what probabilities say. [`calibration`]: whether they can be believed, and the temperature that makes them so.
//! - [`bootstrap`]: how sure the figures are.
//! - [`mistakes`]: the surest wrong answers. [`label_errors`]: labels that are likely missing, or should not be there.

use super::{
    mean,
    ranking::{RankingFigures, ranking},
};

pub mod bootstrap;
pub mod calibration;
pub mod counts;
pub mod label_errors;
pub mod loss;
pub mod mistakes;

/// The labels that are given: those whose probability reaches their threshold, one a class.
pub fn given(probabilities: &[f32], thresholds: &[f32]) -> Vec<bool> {
    probabilities.iter().zip(thresholds.iter().cycle()).map(|(probability, least)| probability >= least).collect()
}

/// How well each label ranks the rows that have it above the others; `None` for one that all rows have, or none.
pub fn rankings(probabilities: &[f32], truth: &[bool], classes: usize) -> Vec<Option<RankingFigures>> {
    super::ranking::multi_label(probabilities, truth, classes)
}

/// The means over the labels that have figures. `None` where none has any.
pub fn macro_average(labels: &[Option<RankingFigures>]) -> Option<RankingFigures> {
    let known: Vec<RankingFigures> = labels.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| RankingFigures {
        roc_auc: mean(known.iter().map(|figures| figures.roc_auc)),
        average_precision: mean(known.iter().map(|figures| figures.average_precision)),
    })
}

/// The orders by each label's probability.
fn orders(probabilities: &[f32], classes: usize) -> Vec<super::ranking::Ranking> {
    (0..classes).map(|class| ranking(probabilities, classes, class)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_given_from_its_own_threshold_on() {
        assert_eq!(given(&[0.5, 0.5, 0.2, 0.9], &[0.5, 0.8]), [true, false, false, true]);
    }

    #[test]
    fn two_labels_are_not_each_others_mirror() {
        let truth = [true, true, false, true, false, false];
        let found = rankings(&[0.9, 0.9, 0.1, 0.1, 0.2, 0.3], &truth, 2);
        let whole = macro_average(&found).unwrap();
        assert_eq!((found[0].unwrap().roc_auc, found[1].unwrap().roc_auc, whole.roc_auc), (1.0, 0.5, 0.75));
        assert_eq!(macro_average(&[None, None]), None);
    }
}
