//! The kinds of heads, and what each of them has to choose.

use super::perceptron::MAX_EPOCHS;
use super::{FitOptions, HeadShape};

/// A kind of head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HeadKind {
    /// The best by cross-validation of those that suit the size of the data.
    Auto,
    /// Linear, fitted by log loss over classes that exclude each other.
    #[default]
    Softmax,
    /// Linear, fitted by log loss of each label on its own.
    Sigmoid,
    /// Linear, fitted by least squares.
    Ridge,
    /// Linear, from the class means and a covariance that is shrunk.
    Lda,
    /// The nearest class mean, by the angle.
    Prototype,
    /// The nearest examples, by the angle.
    Neighbours,
    /// One hidden layer.
    Perceptron,
}

/// Of the covariance in LDA.
const SHRINKAGES: [f64; 9] = [0.9, 0.75, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01];
/// Examples that vote.
const NEAREST: [f64; 7] = [1.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];
/// L2 penalties of ridge: the squared error is flatter than the log loss, so they reach farther up.
const RIDGE_L2: [f64; 9] = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003];
/// More rows than this and what only a few examples call for is left out of the comparison.
const FEW_ROWS: usize = 5000;
/// With fewer rows, or fewer of each class, a hidden layer learns them by heart; with more, fitting it several times takes minutes.
const PERCEPTRON_ROWS: std::ops::RangeInclusive<usize> = 1000..=20_000;
const PERCEPTRON_ROWS_A_CLASS: usize = 50;
/// LDA and ridge solve equations of as many unknowns as the smaller of rows and features.
const MOST_EQUATIONS: usize = 2048;

impl HeadKind {
    /// What is chosen on rows that were not fitted on: penalties, shrinkages, neighbours or epochs, in the order that they are
    /// tried in.
    pub fn settings(self, options: &FitOptions, rows: usize) -> Vec<f64> {
        match self {
            HeadKind::Ridge if options.l2.is_empty() => RIDGE_L2.to_vec(),
            HeadKind::Auto | HeadKind::Softmax | HeadKind::Sigmoid | HeadKind::Ridge => options.l2.clone(),
            HeadKind::Lda => SHRINKAGES.to_vec(),
            HeadKind::Prototype => vec![0.0],
            HeadKind::Neighbours => {
                NEAREST.into_iter().filter(|nearest| *nearest == 1.0 || *nearest <= rows as f64 / 2.0).collect()
            }
            HeadKind::Perceptron => (1..=MAX_EPOCHS).map(|epoch| epoch as f64).collect(),
        }
    }

    /// The kinds that suit this many rows.
    pub fn suitable(shape: HeadShape, rows: usize) -> Vec<HeadKind> {
        let mut kinds = vec![HeadKind::Softmax];
        if shape.dim.min(rows) <= MOST_EQUATIONS {
            kinds.push(HeadKind::Lda);
        }
        if rows <= FEW_ROWS {
            kinds.extend([HeadKind::Ridge, HeadKind::Prototype, HeadKind::Neighbours]);
        }
        if PERCEPTRON_ROWS.contains(&rows) && rows >= PERCEPTRON_ROWS_A_CLASS * shape.classes {
            kinds.push(HeadKind::Perceptron);
        }
        kinds
    }

    /// Its name for a person.
    pub fn name(self) -> &'static str {
        match self {
            HeadKind::Auto => "auto",
            HeadKind::Softmax => "softmax",
            HeadKind::Sigmoid => "sigmoid",
            HeadKind::Ridge => "ridge",
            HeadKind::Lda => "lda",
            HeadKind::Prototype => "prototype",
            HeadKind::Neighbours => "knn",
            HeadKind::Perceptron => "mlp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_suits_the_size() {
        let shape = HeadShape { dim: 1280, classes: 10 };
        let few = HeadKind::suitable(shape, 50);
        assert!(few.contains(&HeadKind::Prototype) && !few.contains(&HeadKind::Perceptron));
        let many = HeadKind::suitable(shape, 12_000);
        assert!(many.contains(&HeadKind::Perceptron) && !many.contains(&HeadKind::Neighbours));
        let wide = HeadKind::suitable(HeadShape { dim: 4000, classes: 2 }, 3000);
        assert!(!wide.contains(&HeadKind::Lda));
        let options = FitOptions::default();
        assert_eq!(HeadKind::Neighbours.settings(&options, 10), [1.0, 3.0, 5.0]);
        assert_eq!(HeadKind::Neighbours.settings(&options, 1), [1.0]);
    }
}
