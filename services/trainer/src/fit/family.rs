//! Heads other than softmax and sigmoid, each ready for one setting after another. On standardised features.

use super::data::Rows;
use super::head::{Head, NeighboursHead, PrototypeHead};
use super::kind::HeadKind;
use super::lda::Discriminant;
use super::nearest::{neighbours, prototypes};
use super::perceptron::Perceptron;
use super::ridge::Ridge;
use super::{FitError, FitOptions};

/// What was measured of some rows.
pub enum Family<'a> {
    /// For any L2.
    Ridge(Ridge),
    /// For any shrinkage.
    Lda(Discriminant),
    /// As it is.
    Prototype(PrototypeHead),
    /// For any number of neighbours.
    Neighbours(NeighboursHead),
    /// For a growing number of epochs.
    Perceptron(Box<Perceptron<'a>>, usize),
}

impl<'a> Family<'a> {
    /// Measures `rows` for heads of `kind`.
    ///
    /// # Errors
    /// Those of the kind, and [`FitError::NotHere`] for one that is fitted elsewhere.
    pub fn measure(kind: HeadKind, rows: Rows<'a>, options: &FitOptions) -> Result<Self, FitError> {
        match kind {
            HeadKind::Ridge => Ok(Family::Ridge(Ridge::measure(&rows)?)),
            HeadKind::Lda => Ok(Family::Lda(Discriminant::measure(&rows)?)),
            HeadKind::Prototype => Ok(Family::Prototype(prototypes(&rows)?)),
            HeadKind::Neighbours => Ok(Family::Neighbours(neighbours(&rows)?)),
            HeadKind::Perceptron => {
                let fit = Perceptron::new(rows, options.label_smoothing, options.seed);
                Ok(Family::Perceptron(Box::new(fit), 0))
            }
            HeadKind::Auto | HeadKind::Softmax | HeadKind::Sigmoid => Err(FitError::NotHere { kind: kind.name() }),
        }
    }

    /// The head for one setting. Epochs must not become fewer. `go_on` is asked now and then.
    ///
    /// # Errors
    /// Those of the kind, and [`FitError::Cancelled`].
    pub fn head(&mut self, setting: f64, go_on: &mut dyn FnMut() -> bool) -> Result<Head, FitError> {
        if !go_on() {
            return Err(FitError::Cancelled);
        }
        Ok(match self {
            Family::Ridge(ridge) => Head::Linear(ridge.head(setting)?),
            Family::Lda(discriminant) => Head::Linear(discriminant.head(setting)?),
            Family::Prototype(prototype) => Head::Prototype(prototype.clone()),
            Family::Neighbours(neighbours) => {
                neighbours.nearest = setting as usize;
                Head::Neighbours(neighbours.clone())
            }
            Family::Perceptron(fit, epochs) => {
                while *epochs < setting as usize {
                    fit.epoch(go_on)?;
                    *epochs += 1;
                }
                Head::Perceptron(fit.head())
            }
        })
    }
}
