//! What a person may choose of a fit, and the limits of each choice.

use super::FitError;
use super::class_weights::ClassWeights;
use super::kind::HeadKind;
use super::loss::Loss;

/// The most L2 values that one fit chooses among.
pub const MAX_L2_VALUES: usize = 64;
/// The strongest L2. Far beyond it every weight is zero.
pub const MAX_L2: f64 = 1e6;
/// The most iterations for one L2.
pub const MAX_ITERATIONS: u32 = 10_000;
/// Iterations for each L2 unless told.
pub const DEFAULT_ITERATIONS: u32 = 200;
/// The gradient's norm, over its norm at zero weights, at which a fit has reached its optimum. Ten times smaller changes
/// no prediction; the noise of the f32 products is some hundred times smaller.
pub const DEFAULT_TOLERANCE: f64 = 1e-4;

/// The most that labels are smoothed.
pub const MAX_SMOOTHING: f64 = 0.5;

/// Choices of a fit. `FitOptions::default()` is good.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// L2 penalties to choose among, in units of the mean log loss over standardised features: the objective is
    /// `mean log loss + l2/2·‖W‖²`. Empty for 9 values from 1 down to 1e-4, evenly on a logarithmic scale.
    pub l2: Vec<f64>,
    /// The most L-BFGS iterations for each L2, 1 to [`MAX_ITERATIONS`].
    pub max_iterations: u32,
    /// The gradient's norm, relative to that at zero weights, to stop at; between 0 and 1.
    pub tolerance: f64,
    /// How much the examples of each class count.
    pub class_weights: ClassWeights,
    /// The kind of head.
    pub head: HeadKind,
    /// The part of each example's truth that is spread evenly over all answers, 0 to [`MAX_SMOOTHING`]; for kinds that are fitted
    /// by log loss.
    pub label_smoothing: f64,
    /// What chance is drawn from: the folds of cross-validation, and the weights and minibatches of a hidden layer.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            l2: Vec::new(),
            max_iterations: DEFAULT_ITERATIONS,
            tolerance: DEFAULT_TOLERANCE,
            class_weights: ClassWeights::Equal,
            head: HeadKind::Softmax,
            label_smoothing: 0.0,
            seed: 0,
        }
    }
}

impl FitOptions {
    /// Refuses what is out of range.
    ///
    /// # Errors
    /// The first option that is.
    pub fn check(&self) -> Result<(), FitError> {
        if !(0.0..=MAX_SMOOTHING).contains(&self.label_smoothing) {
            return Err(FitError::SmoothingOutOfRange { given: self.label_smoothing });
        }
        self.checked_path().map(|_| ())
    }

    /// What is minimised.
    pub(super) fn loss(&self) -> Loss {
        let smoothing = self.label_smoothing;
        if self.head == HeadKind::Sigmoid { Loss::Sigmoid { smoothing } } else { Loss::Softmax { smoothing } }
    }

    /// The L2 values to try, strongest first, each once.
    ///
    /// # Errors
    /// The first option that is out of range.
    pub fn checked_path(&self) -> Result<Vec<f64>, FitError> {
        if self.l2.len() > MAX_L2_VALUES {
            return Err(FitError::TooManyL2 { given: self.l2.len() });
        }
        if let Some((index, &value)) = self.l2.iter().enumerate().find(|(_, l2)| !(**l2 > 0.0 && **l2 <= MAX_L2)) {
            return Err(FitError::L2OutOfRange { index, value });
        }
        if self.max_iterations == 0 || self.max_iterations > MAX_ITERATIONS {
            return Err(FitError::IterationsOutOfRange { given: self.max_iterations });
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            return Err(FitError::ToleranceOutOfRange { given: self.tolerance });
        }
        let mut path = if self.l2.is_empty() { default_path() } else { self.l2.clone() };
        path.sort_by(|a, b| b.total_cmp(a));
        path.dedup();
        Ok(path)
    }
}

/// 9 values from 1 down to 1e-4: half a decade a step.
fn default_path() -> Vec<f64> {
    (0..9).map(|step| 10f64.powf(-f64::from(step) / 2.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_path_is_nine_values_from_strong_to_weak() {
        let path = FitOptions::default().checked_path().unwrap();
        assert_eq!(path.len(), 9);
        assert_eq!(path[0], 1.0);
        assert!((path[8] - 1e-4).abs() < 1e-18);
        assert!(path.windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn a_given_path_is_sorted_and_each_value_tried_once() {
        let options = FitOptions { l2: vec![0.01, 1.0, 0.01, 1e6], ..FitOptions::default() };
        assert_eq!(options.checked_path().unwrap(), [1e6, 1.0, 0.01]);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let defaults = FitOptions::default;
        for l2 in [0.0, -1.0, 1.1e6, f64::NAN, f64::INFINITY] {
            let refused = FitOptions { l2: vec![0.1, l2], ..defaults() }.checked_path();
            assert!(matches!(refused, Err(FitError::L2OutOfRange { index: 1, .. })), "{l2}");
        }
        let refused = FitOptions { l2: vec![0.1; 65], ..defaults() }.checked_path();
        assert!(matches!(refused, Err(FitError::TooManyL2 { given: 65 })));
        for max_iterations in [0, 10_001] {
            let refused = FitOptions { max_iterations, ..defaults() }.checked_path();
            assert!(matches!(refused, Err(FitError::IterationsOutOfRange { .. })));
        }
        for label_smoothing in [-0.1, 0.51, f64::NAN] {
            let refused = FitOptions { label_smoothing, ..defaults() }.check();
            assert!(matches!(refused, Err(FitError::SmoothingOutOfRange { .. })));
        }
        for tolerance in [0.0, 1.0, f64::NAN] {
            let refused = FitOptions { tolerance, ..defaults() }.checked_path();
            assert!(matches!(refused, Err(FitError::ToleranceOutOfRange { .. })));
        }
    }
}
