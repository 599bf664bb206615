//! What the order of scores says: how well those that are of a class are told from those that are not, whatever the
//! threshold.

use super::mean;

/// Rows by falling score. Made once, it serves every resampling.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Rows, those of the highest score first.
    order: Vec<u32>,
    /// Where in `order` each group of equal scores ends.
    ends: Vec<u32>,
}

/// Both figures of one ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankingFigures {
    /// Area under the ROC curve: how probable it is that a row of the class has a higher score than one that is not.
    pub roc_auc: f64,
    /// The mean precision over the rows of the class, each at its own threshold.
    pub average_precision: f64,
}

impl Ranking {
    /// Rank rows by `scores`, one a row.
    pub fn new(scores: impl ExactSizeIterator<Item = f32>) -> Ranking {
        let scores: Vec<f32> = scores.collect();
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_unstable_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b)));
        let differs = |at: &usize| *at == order.len() || scores[order[*at] as usize] != scores[order[*at - 1] as usize];
        let ends = (1..=order.len()).filter(differs).map(|end| end as u32).collect();
        Ranking { order, ends }
    }

    /// How well the rows where `positive` are ranked above the others, row `i` counting `weight(i)` times. `None` where
    /// there are not both kinds.
    pub fn figures(&self, positive: impl Fn(usize) -> bool, weight: impl Fn(usize) -> u64) -> Option<RankingFigures> {
        let (mut hits, mut misses, mut below, mut precision) = (0u64, 0u64, 0.0f64, 0.0f64);
        let mut start = 0;
        for end in &self.ends {
            let (mut group_hits, mut group_misses) = (0u64, 0u64);
            for row in &self.order[start..*end as usize] {
                let weight = weight(*row as usize);
                *if positive(*row as usize) { &mut group_hits } else { &mut group_misses } += weight;
            }
            // A pair with equal scores is half right.
            below += group_misses as f64 * (hits as f64 + group_hits as f64 / 2.0);
            (hits, misses, start) = (hits + group_hits, misses + group_misses, *end as usize);
            if group_hits > 0 {
                precision += group_hits as f64 * hits as f64 / (hits + misses) as f64;
            }
        }
        (hits > 0 && misses > 0).then(|| RankingFigures {
            roc_auc: below / (hits as f64 * misses as f64),
            average_precision: precision / hits as f64,
        })
    }
}

/// Each class against the rest, by its own probability; `None` for a class of which there is no row, or no other.
pub fn one_vs_rest(probabilities: &[f32], truth: &[u32], classes: usize) -> Vec<Option<RankingFigures>> {
    (0..classes)
        .map(|class| ranking(probabilities, classes, class).figures(|row| truth[row] == class as u32, |_| 1))
        .collect()
}

/// The rows ranked by their probability of `class`.
pub fn ranking(probabilities: &[f32], classes: usize, class: usize) -> Ranking {
    Ranking::new(probabilities.chunks_exact(classes).map(move |row| row[class]))
}

/// Where an example may have several labels: `truth`, `[rows, classes]`, says which it has.
pub fn multi_label(scores: &[f32], truth: &[bool], classes: usize) -> Vec<Option<RankingFigures>> {
    (0..classes)
        .map(|class| ranking(scores, classes, class).figures(|row| truth[row * classes + class], |_| 1))
        .collect()
}

/// The means over the classes that have figures; of two classes, which mirror each other, the second's alone. `None` where
/// no class has any.
pub fn macro_average(classes: &[Option<RankingFigures>]) -> Option<RankingFigures> {
    let counted = if classes.len() == 2 { &classes[1..] } else { classes };
    let known: Vec<RankingFigures> = counted.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| RankingFigures {
        roc_auc: mean(known.iter().map(|figures| figures.roc_auc)),
        average_precision: mean(known.iter().map(|figures| figures.average_precision)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// roc_auc_score and average_precision_score of y = 0 0 1 1, scores .1 .4 .35 .8: the example of their documentation.
    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let ranking = Ranking::new([0.1, 0.4, 0.35, 0.8].into_iter());
        let found = ranking.figures(|row| row > 1, |_| 1).unwrap();
        assert!((found.roc_auc - 0.75).abs() < 1e-12);
        assert!((found.average_precision - 0.833_333_333_333_333_3).abs() < 1e-12);
    }

    #[test]
    fn equal_scores_are_one_step_and_one_kind_has_no_figures() {
        let ranking = Ranking::new([0.5; 4].into_iter());
        let found = ranking.figures(|row| row > 1, |_| 1).unwrap();
        assert_eq!((found.roc_auc, found.average_precision), (0.5, 0.5));
        assert!(ranking.figures(|_| true, |_| 1).is_none());
        assert!(ranking.figures(|_| false, |_| 1).is_none());
        assert!(ranking.figures(|row| row == 0, |row| u64::from(row > 0)).is_none(), "a row that does not count");
        assert!(Ranking::new([].into_iter()).figures(|_| true, |_| 1).is_none());
    }
}
