//! Measures a head on the examples held out for it. The definitions are scikit-learn's; a ratio of nothing is 0.

/// The least probability that the log loss counts, so that one sure mistake is not infinitely bad: f32's epsilon, which
/// is what scikit-learn takes for f32 probabilities.
const LEAST: f64 = f32::EPSILON as f64;

/// How a head did.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The part that was classified rightly.
    pub accuracy: f64,
    /// The mean of the classes' F1.
    pub macro_f1: f64,
    /// The mean negative logarithm of the probability of the right class, in nats.
    pub log_loss: f64,
    /// Each class on its own.
    pub classes: Vec<ClassEvaluation>,
    /// Counts by right class and predicted class: row r, column p is at r * classes + p.
    pub confusion: Vec<u64>,
}

/// How a head did on one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassEvaluation {
    /// Of what was predicted to be this class, the part that was.
    pub precision: f64,
    /// Of what was this class, the part that was predicted so.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Examples of this class.
    pub support: u64,
}

/// Measure `probabilities`, `[rows, classes]`, against `labels`.
pub fn evaluate(probabilities: &[f32], labels: &[u32], classes: usize) -> Evaluation {
    let mut confusion = vec![0u64; classes * classes];
    let mut loss = 0.0;
    for (row, label) in probabilities.chunks_exact(classes).zip(labels) {
        let right = *label as usize;
        confusion[right * classes + most_probable(row)] += 1;
        loss -= f64::from(row[right]).clamp(LEAST, 1.0 - LEAST).ln();
    }
    let count = |cells: &mut dyn Iterator<Item = usize>| cells.map(|cell| confusion[cell]).sum::<u64>();
    let per_class: Vec<ClassEvaluation> = (0..classes)
        .map(|class| {
            let hits = confusion[class * classes + class];
            let support = count(&mut (0..classes).map(|p| class * classes + p));
            let predicted = count(&mut (0..classes).map(|r| r * classes + class));
            let f1 = ratio(2 * hits, support + predicted);
            ClassEvaluation { precision: ratio(hits, predicted), recall: ratio(hits, support), f1, support }
        })
        .collect();
    // A class that neither occurs nor is predicted has no part in the mean, as in scikit-learn.
    let seen: Vec<f64> = (0..classes)
        .filter(|c| per_class[*c].support > 0 || (0..classes).any(|r| confusion[r * classes + c] > 0))
        .map(|c| per_class[c].f1)
        .collect();
    let right: u64 = (0..classes).map(|class| confusion[class * classes + class]).sum();
    Evaluation {
        accuracy: ratio(right, labels.len() as u64),
        macro_f1: if seen.is_empty() { 0.0 } else { seen.iter().sum::<f64>() / seen.len() as f64 },
        log_loss: if labels.is_empty() { 0.0 } else { loss / labels.len() as f64 },
        classes: per_class,
        confusion,
    }
}

fn most_probable(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures are scikit-learn's for y = 0 0 1 1 2, predicted 0 1 1 1 0: accuracy_score, f1_score(average="macro"),
    /// precision_recall_fscore_support(zero_division=0).
    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let row = |class: usize| std::array::from_fn::<f32, 3, _>(|i| if i == class { 0.8 } else { 0.1 });
        let probabilities: Vec<f32> = [0, 1, 1, 1, 0].into_iter().flat_map(row).collect();
        let found = evaluate(&probabilities, &[0, 0, 1, 1, 2], 3);
        assert!((found.accuracy - 0.6).abs() < 1e-9);
        assert!((found.macro_f1 - 0.433_333_333_3).abs() < 1e-9, "{}", found.macro_f1);
        assert_eq!(found.confusion, [1, 1, 0, 0, 2, 0, 1, 0, 0]);
        assert!((found.classes[1].precision - 2.0 / 3.0).abs() < 1e-9 && found.classes[1].recall == 1.0);
        assert_eq!((found.classes[2].precision, found.classes[2].f1, found.classes[2].support), (0.0, 0.0, 1));
        // -(3 ln 0.8 + 2 ln 0.1) / 5, with the probabilities as f32 has them.
        assert!((found.log_loss - 1.054_920_168_3).abs() < 1e-6, "{}", found.log_loss);
    }
}
