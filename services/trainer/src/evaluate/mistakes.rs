//! The surest wrong answers: what a person should look at first.

use super::most_probable;

/// A row that was classified wrongly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// The row.
    pub row: usize,
    /// What it was said to be.
    pub predicted: u32,
    /// How sure that was: the probability of the predicted class.
    pub confidence: f32,
    /// The probability of the right class.
    pub right: f32,
}

/// The wrong answers with the most confidence, at most `most`, the surest first; of equals the first row.
pub fn most_confident(probabilities: &[f32], truth: &[u32], classes: usize, most: usize) -> Vec<Mistake> {
    let rows = probabilities.chunks_exact(classes).zip(truth).enumerate();
    let mut mistakes: Vec<Mistake> = rows
        .filter_map(|(row, (probabilities, class))| {
            let predicted = most_probable(probabilities);
            let (confidence, right) = (probabilities[predicted], probabilities[*class as usize]);
            (predicted != *class as usize).then_some(Mistake { row, predicted: predicted as u32, confidence, right })
        })
        .collect();
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.row.cmp(&b.row)));
    mistakes.truncate(most);
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_come_first_and_right_answers_never() {
        let probabilities = [0.6, 0.4, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7];
        let found = most_confident(&probabilities, &[1, 0, 1, 0], 2, 2);
        assert_eq!(found.iter().map(|mistake| mistake.row).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(found[0], Mistake { row: 1, predicted: 1, confidence: 0.9, right: 0.1 });
    }
}
