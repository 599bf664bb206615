//! How sure a figure is, as [`crate::evaluate::bootstrap`] says.

use super::super::{
    bootstrap::{Interval, RANKING_WORK, SplitMix64, interval},
    mean,
    ranking::RankingFigures,
};
use super::{counts::Answers, macro_average, orders};

/// 95% intervals of the headline figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Of the part of the rows that were given exactly their labels.
    pub exact: Interval,
    /// Of the macro F1.
    pub macro_f1: Interval,
    /// Of the micro F1.
    pub micro_f1: Interval,
    /// Of the Hamming loss.
    pub hamming_loss: Interval,
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
    /// `[rows, classes]`.
    pub truth: &'a [bool],
    /// What was given.
    pub answers: &'a Answers,
    /// The log loss of each row, in nats.
    pub log_losses: &'a [f64],
    /// How many labels there are.
    pub classes: usize,
}

/// The intervals over `resamples`, drawn from `seed`: the same rows and seed give the same. `None` without rows.
pub fn intervals(rows: &Rows<'_>, resamples: usize, seed: u64) -> Option<Intervals> {
    let count = rows.answers.rows();
    if count == 0 || resamples == 0 {
        return None;
    }
    let ranked = rows.truth.len().saturating_mul(resamples) <= RANKING_WORK;
    let orders = if ranked { orders(rows.probabilities, rows.classes) } else { Vec::new() };
    let mut random = SplitMix64(seed);
    let mut columns: [Vec<f64>; 7] = Default::default();
    let mut weights = vec![0u64; count];
    for _ in 0..resamples {
        weights.fill(0);
        (0..count).for_each(|_| weights[random.below(count)] += 1);
        let counts = rows.answers.count(|row| weights[row]);
        let loss = rows.log_losses.iter().zip(&weights).map(|(loss, weight)| loss * *weight as f64);
        columns[0].push(counts.exact());
        columns[1].push(counts.macro_f1());
        columns[2].push(counts.micro_f1());
        columns[3].push(counts.hamming_loss());
        columns[4].push(mean(loss));
        let has = |row: usize, label: usize| rows.truth[row * rows.classes + label];
        let figures: Vec<Option<RankingFigures>> = orders
            .iter()
            .enumerate()
            .map(|(label, order)| order.figures(|row| has(row, label), |row| weights[row]))
            .collect();
        if let Some(figures) = macro_average(&figures) {
            columns[5].push(figures.roc_auc);
            columns[6].push(figures.average_precision);
        }
    }
    let [exact, macro_f1, micro_f1, hamming_loss, log_loss, roc_auc, average_precision] = columns.map(interval);
    Some(Intervals {
        exact: exact?,
        macro_f1: macro_f1?,
        micro_f1: micro_f1?,
        hamming_loss: hamming_loss?,
        log_loss: log_loss?,
        roc_auc,
        average_precision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_figure_and_is_the_same_each_time() {
        let truth: Vec<bool> = (0..400).map(|at| at % 3 == 0).collect();
        let given: Vec<bool> = truth.iter().enumerate().map(|(at, has)| *has != (at % 10 == 0)).collect();
        let probabilities: Vec<f32> = given.iter().map(|given| if *given { 0.8 } else { 0.1 }).collect();
        let answers = Answers::new(&given, &truth, 2);
        let log_losses = vec![0.3; 200];
        let rows = Rows {
            probabilities: &probabilities,
            truth: &truth,
            answers: &answers,
            log_losses: &log_losses,
            classes: 2,
        };
        let found = intervals(&rows, 200, 7).unwrap();
        assert_eq!(found, intervals(&rows, 200, 7).unwrap());
        assert!(found.exact.low < 0.8 && found.exact.high > 0.8, "{found:?}");
        assert!(found.hamming_loss.low < 0.1 && found.hamming_loss.high > 0.1, "{found:?}");
        let none =
            Rows { probabilities: &[], truth: &[], answers: &Answers::new(&[], &[], 2), log_losses: &[], classes: 2 };
        assert_eq!(intervals(&none, 200, 7), None);
    }
}
