//! The probability from which on a label is given: for each label the one with the highest F1 on rows that were not fitted on.

use super::labels::Truth;

/// Where there is nothing to choose with.
pub const USUAL: f32 = 0.5;

/// The thresholds of a sigmoid head's `logits`, `[rows, classes]`, for rows of which `truth` is right: `[classes]`. Half way
/// between the last probability that is above it and the first that is below.
pub fn choose(logits: &[f32], truth: Truth<'_>, classes: usize) -> Vec<f32> {
    let has = truth.dense(classes);
    (0..classes).map(|class| choose_one(logits, &has, classes, class)).collect()
}

fn choose_one(logits: &[f32], has: &[bool], classes: usize, class: usize) -> f32 {
    let mut rows: Vec<(f32, bool)> = logits
        .chunks_exact(classes)
        .zip(has.chunks_exact(classes))
        .map(|(row, has)| (super::head::sigmoid(row[class]), has[class]))
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = rows.iter().filter(|row| row.1).count();
    let (mut found, mut best, mut threshold) = (0, 0.0, USUAL);
    for (index, (probability, is_it)) in rows.iter().enumerate() {
        found += usize::from(*is_it);
        let next = rows.get(index + 1).map_or(0.0, |next| next.0);
        if next == *probability {
            continue;
        }
        // Of index + 1 rows given the label, `found` have it: F1 = 2·found / (given + positives).
        let f1 = 2.0 * found as f64 / (index + 1 + positives) as f64;
        if f1 > best {
            (best, threshold) = (f1, (probability + next) / 2.0);
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::super::labels::LabelSets;
    use super::*;

    #[test]
    fn the_threshold_parts_the_rows_of_a_label_from_the_others() {
        let logits = [3.0, -3.0, 1.0, -1.0, -2.0, 0.5, -3.0, -0.5];
        let thresholds = choose(&logits, Truth::One(&[0, 0, 1, 1]), 2);
        let between =
            |low: f32, high: f32| (super::super::head::sigmoid(low) + super::super::head::sigmoid(high)) / 2.0;
        assert_eq!(thresholds, [between(1.0, -2.0), between(-0.5, -1.0)]);
    }

    #[test]
    fn labels_of_sets_each_have_their_own() {
        let sets = LabelSets::new([&[0, 1][..], &[0], &[], &[1]]);
        let thresholds = choose(&[-1.0, 3.0, -2.0, 1.0, -4.0, 0.0, -5.0, 2.0], Truth::Sets(sets.rows()), 2);
        let between =
            |low: f32, high: f32| (super::super::head::sigmoid(low) + super::super::head::sigmoid(high)) / 2.0;
        assert_eq!(thresholds, [between(-2.0, -4.0), between(2.0, 1.0)], "also below a half, if that is best");
    }

    #[test]
    fn a_label_that_no_row_has_keeps_the_usual_one() {
        assert_eq!(choose(&[0.3, 0.1], Truth::One(&[0]), 2)[1], USUAL);
    }
}
