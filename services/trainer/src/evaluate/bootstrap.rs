//! How sure a figure is: the bootstrap (Efron 1979). The test split is drawn anew from itself many times, and the middle
//! 95% of a figure's values is its interval.

use super::{
    counts::Counts,
    mean,
    ranking::{RankingFigures, macro_average, ranking},
};

/// Resamples: with 1000, 25 lie beyond each bound.
pub const RESAMPLES: usize = 1000;
/// The most rows times classes times resamples over which the two ranking figures are resampled: about a second.
pub(super) const RANKING_WORK: usize = 1 << 28;
/// The part of the values that lies below an interval, and the part that lies above it.
const TAIL: f64 = 0.025;

/// The bounds of a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

/// 95% intervals of the headline figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: Interval,
    /// Of the balanced accuracy.
    pub balanced_accuracy: Interval,
    /// Of the macro F1.
    pub macro_f1: Interval,
    /// Of the log loss.
    pub log_loss: Interval,
    /// Of the ROC AUC; `None` where there is no such figure, or it would take too long.
    pub roc_auc: Option<Interval>,
    /// Of the average precision; `None` as above.
    pub average_precision: Option<Interval>,
}

/// The rows that figures are of.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// `[rows, classes]`.
    pub probabilities: &'a [f32],
    /// The most probable class of each row.
    pub predicted: &'a [u32],
    /// The log loss of each row, in nats.
    pub log_losses: &'a [f64],
    /// The right class of each row.
    pub truth: &'a [u32],
    /// How many classes there are.
    pub classes: usize,
}

/// The intervals over `resamples`, drawn from `seed`: the same rows and seed give the same. `None` without rows.
pub fn intervals(rows: &Rows<'_>, resamples: usize, seed: u64) -> Option<Intervals> {
    let count = rows.truth.len();
    if count == 0 || resamples == 0 {
        return None;
    }
    let ranked = count.saturating_mul(rows.classes).saturating_mul(resamples) <= RANKING_WORK;
    let rankings: Vec<_> = if ranked { 0..rows.classes } else { 0..0 }
        .map(|class| ranking(rows.probabilities, rows.classes, class))
        .collect();
    let mut random = SplitMix64(seed);
    let mut columns: [Vec<f64>; 6] = Default::default();
    let mut weights = vec![0u64; count];
    for _ in 0..resamples {
        weights.fill(0);
        (0..count).for_each(|_| weights[random.below(count)] += 1);
        let counts = Counts::weighted(rows.predicted, rows.truth, rows.classes, |row| weights[row]);
        let loss = rows.log_losses.iter().zip(&weights).map(|(loss, weight)| loss * *weight as f64);
        columns[0].push(counts.accuracy());
        columns[1].push(counts.balanced_accuracy());
        columns[2].push(counts.macro_f1());
        columns[3].push(mean(loss));
        let figures: Vec<Option<RankingFigures>> = rankings
            .iter()
            .enumerate()
            .map(|(class, ranking)| ranking.figures(|row| rows.truth[row] == class as u32, |row| weights[row]))
            .collect();
        if let Some(figures) = macro_average(&figures) {
            columns[4].push(figures.roc_auc);
            columns[5].push(figures.average_precision);
        }
    }
    let [accuracy, balanced_accuracy, macro_f1, log_loss, roc_auc, average_precision] = columns.map(interval);
    Some(Intervals {
        accuracy: accuracy?,
        balanced_accuracy: balanced_accuracy?,
        macro_f1: macro_f1?,
        log_loss: log_loss?,
        roc_auc,
        average_precision,
    })
}

/// The middle 95% of `values`.
pub(super) fn interval(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    Some(Interval { low: quantile(&values, TAIL)?, high: quantile(&values, 1.0 - TAIL)? })
}

/// The value that the part `at` of the `sorted` lies below, interpolated between neighbours as numpy does.
fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let place = at * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(place.floor() as usize)?;
    let above = sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

/// Wilson's 95% interval of a part, `hits` of `count` (1927). Unlike the bootstrap's, it is not empty where every row was
/// right: it tells how much a small test can say at all.
pub fn wilson(hits: f64, count: f64) -> Interval {
    /// The normal distribution's 97.5% quantile.
    const Z: f64 = 1.959_963_984_540_054;
    if count <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let part = hits / count;
    let (scale, middle) = (1.0 + Z * Z / count, part + Z * Z / (2.0 * count));
    let spread = Z * (part * (1.0 - part) / count + Z * Z / (4.0 * count * count)).sqrt();
    Interval { low: ((middle - spread) / scale).max(0.0), high: ((middle + spread) / scale).min(1.0) }
}

/// A small generator of even 64-bit numbers (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`, which is not 0. That low ones are favoured by 2^-64 times `most` is not seen.
    pub fn below(&mut self, most: usize) -> usize {
        ((u128::from(self.next()) * most as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_figure_and_narrows_with_the_rows() {
        let width = |count: usize| {
            let predicted: Vec<u32> = (0..count).map(|row| (row % 2) as u32).collect();
            let truth: Vec<u32> = predicted.iter().enumerate().map(|(row, p)| p ^ u32::from(row % 5 == 0)).collect();
            let probabilities: Vec<f32> =
                predicted.iter().flat_map(|p| [0.9 - 0.8 * *p as f32, 0.1 + 0.8 * *p as f32]).collect();
            let log_losses = vec![0.5; count];
            let rows = Rows {
                probabilities: &probabilities,
                predicted: &predicted,
                log_losses: &log_losses,
                truth: &truth,
                classes: 2,
            };
            let found = intervals(&rows, 200, 7).unwrap();
            assert_eq!(found, intervals(&rows, 200, 7).unwrap(), "the same seed gives the same");
            assert!(found.accuracy.low < 0.8 && found.accuracy.high > 0.8, "{found:?}");
            found.accuracy.high - found.accuracy.low
        };
        assert!(width(1000) < width(100) / 2.0);
    }

    /// scipy.stats.binomtest(20, 20).proportion_ci(method="wilson") and (8, 10).
    #[test]
    fn a_small_test_is_unsure_even_when_all_is_right() {
        let all = wilson(20.0, 20.0);
        assert!((all.low - 0.838_875_4).abs() < 1e-6 && all.high == 1.0, "{all:?}");
        let some = wilson(8.0, 10.0);
        assert!((some.low - 0.490_162_5).abs() < 1e-6 && (some.high - 0.943_317_8).abs() < 1e-6, "{some:?}");
    }

    #[test]
    fn nothing_has_no_interval() {
        let rows = Rows { probabilities: &[], predicted: &[], log_losses: &[], truth: &[], classes: 2 };
        assert_eq!(intervals(&rows, 10, 0), None);
    }
}
