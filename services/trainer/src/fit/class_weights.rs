//! How much the examples of each class count.

use super::FitError;
use super::data::{MAX_WEIGHT, count_classes};

/// How much the examples of each class count in a fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// Every example the same.
    #[default]
    Equal,
    /// Every class the same: an example of a class counts `examples / (classes * examples of the class)`.
    Balanced,
    /// A factor for the examples of each class, above 0.
    Given(Vec<f64>),
}

impl ClassWeights {
    /// The weights of rows of the classes `labels`, those of the examples times those of their classes; `None` where every row
    /// counts the same.
    pub(super) fn weigh(
        &self,
        labels: &[u32],
        examples: Option<Vec<f32>>,
        classes: usize,
    ) -> Result<Option<Vec<f32>>, FitError> {
        let factors = match self {
            ClassWeights::Equal => return Ok(examples),
            ClassWeights::Balanced => balanced(labels, classes),
            ClassWeights::Given(factors) => checked(factors, classes)?,
        };
        let mut weights = examples.unwrap_or_else(|| vec![1.0; labels.len()]);
        weights.iter_mut().zip(labels).for_each(|(weight, class)| *weight *= factors[*class as usize]);
        Ok(Some(weights))
    }
}

fn balanced(labels: &[u32], classes: usize) -> Vec<f32> {
    let counts = count_classes(labels, classes);
    let even = labels.len() as f64 / classes as f64;
    counts.into_iter().map(|count| (even / count.max(1) as f64) as f32).collect()
}

fn checked(factors: &[f64], classes: usize) -> Result<Vec<f32>, FitError> {
    if factors.len() != classes {
        return Err(FitError::ClassWeightCount { weights: factors.len(), classes });
    }
    let usable = |factor: f64| factor > 0.0 && factor <= f64::from(MAX_WEIGHT);
    match factors.iter().enumerate().find(|(_, factor)| !usable(**factor)) {
        Some((class, &value)) => Err(FitError::ClassWeightOutOfRange { class, value }),
        None => Ok(factors.iter().map(|factor| *factor as f32).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_classes_count_the_same_together() {
        let weights = ClassWeights::Balanced.weigh(&[0, 0, 0, 1, 2, 2], None, 3).unwrap().unwrap();
        let of = |class: u32| {
            weights.iter().zip([0, 0, 0, 1, 2, 2]).filter(|(_, of)| *of == class).map(|(weight, _)| weight).sum::<f32>()
        };
        assert!([0, 1, 2].iter().all(|class| (of(*class) - 2.0).abs() < 1e-6), "{weights:?}");
    }

    #[test]
    fn class_weights_multiply_those_of_examples() {
        let given = ClassWeights::Given(vec![2.0, 0.5]);
        assert_eq!(given.weigh(&[0, 1], Some(vec![3.0, 4.0]), 2).unwrap(), Some(vec![6.0, 2.0]));
        assert_eq!(ClassWeights::Equal.weigh(&[0, 1], None, 2).unwrap(), None);
        let refused = ClassWeights::Given(vec![1.0]).weigh(&[0, 1], None, 2);
        assert!(matches!(refused, Err(FitError::ClassWeightCount { weights: 1, classes: 2 })));
        for bad in [0.0, -1.0, f64::NAN, 1e7] {
            let refused = ClassWeights::Given(vec![1.0, bad]).weigh(&[0, 1], None, 2);
            assert!(matches!(refused, Err(FitError::ClassWeightOutOfRange { class: 1, .. })), "{bad}");
        }
    }
}
