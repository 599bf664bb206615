//! The surest wrong answers: what a person should look at first.

/// A label that was given and should not have been, or should have been and was not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// The row.
    pub row: usize,
    /// The label.
    pub label: u32,
    /// Whether it was given.
    pub given: bool,
    /// How sure the wrong answer was: the probability that the row has the label, or that it has it not.
    pub confidence: f32,
}

/// The wrong answers with the most confidence, at most `most`, the surest first; of equals the first row and label.
pub fn most_confident(
    probabilities: &[f32],
    given: &[bool],
    truth: &[bool],
    classes: usize,
    most: usize,
) -> Vec<Mistake> {
    let answers = probabilities.iter().zip(given).zip(truth).enumerate();
    let mut mistakes: Vec<Mistake> = answers
        .filter(|(_, ((_, given), has))| given != has)
        .map(|(at, ((probability, given), _))| Mistake {
            row: at / classes,
            label: (at % classes) as u32,
            given: *given,
            confidence: if *given { *probability } else { 1.0 - probability },
        })
        .collect();
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then((a.row, a.label).cmp(&(b.row, b.label))));
    mistakes.truncate(most);
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_come_first_and_right_answers_never() {
        let (given, truth) = ([true, false, true, false], [false, false, true, true]);
        let found = most_confident(&[0.7, 0.3, 0.9, 0.1], &given, &truth, 2, 5);
        assert_eq!(found.iter().map(|m| (m.row, m.label, m.given)).collect::<Vec<_>>(), [(1, 1, false), (0, 0, true)]);
        assert_eq!(found[0].confidence, 0.9);
        assert_eq!(most_confident(&[0.7, 0.3, 0.9, 0.1], &given, &truth, 2, 1).len(), 1);
    }
}
