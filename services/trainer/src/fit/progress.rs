//! How far a fit is.

/// What a fit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Fitting for each L2 and measuring on the validation rows.
    Select,
    /// Fitting with each part of the rows left out in turn.
    CrossValidate,
    /// Fitting once more with the chosen L2, on all rows.
    Refit,
}

/// Where a fit stands after an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// The part of the whole that is done, 0 to 1; never falls.
    pub fraction: f64,
    /// L-BFGS iterations so far, over all L2 values.
    pub iterations: u32,
    /// The training loss now: mean log loss plus penalty, in nats.
    pub loss: f64,
    /// Log loss on the validation rows of the best L2 so far, in nats.
    pub validation_loss: Option<f64>,
    /// Accuracy on the validation rows of the best L2 so far, 0 to 1.
    pub validation_accuracy: Option<f64>,
}
