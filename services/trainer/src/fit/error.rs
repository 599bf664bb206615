//! Every way in which a fit can fail. Classes are named by index: the caller knows their labels.

use super::cross_validate::MAX_FOLDS;
use super::data::{MAX_PARAMETERS, MAX_WEIGHT};
use super::nearest::MAX_EXAMPLE_NUMBERS;
use super::normal::MAX_SIDE;
use super::options::{MAX_ITERATIONS, MAX_L2, MAX_L2_VALUES, MAX_SMOOTHING};

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The embeddings are not `rows * dim` numbers, with one class for each row.
    #[error("{numbers} numbers and {labels} classes do not make rows of {dim} numbers")]
    Shape {
        /// Numbers in the embeddings.
        numbers: usize,
        /// Classes given.
        labels: usize,
        /// Numbers in one embedding.
        dim: usize,
    },
    /// More train rows were announced than there are rows, or none.
    #[error("{train} train rows of {rows} rows: there must be at least one, and no more than there are rows")]
    TrainRows {
        /// Train rows announced.
        train: usize,
        /// All rows.
        rows: usize,
    },
    /// A row's class is not below the number of classes.
    #[error("row {row} is of class {class}, and there are {classes} classes")]
    UnknownClass {
        /// The row.
        row: usize,
        /// Its class.
        class: u32,
        /// The number of classes.
        classes: usize,
    },
    /// There is nothing to tell apart.
    #[error("there must be at least 2 classes, and there are {classes}")]
    TooFewClasses {
        /// The number of classes.
        classes: usize,
    },
    /// A kind of head that gives each row one class, for rows that have sets of labels.
    #[error("a {kind} head gives each example one label, and these have several or none: a sigmoid head is accepted")]
    OneLabelEach {
        /// The kind.
        kind: &'static str,
    },
    /// Class weights for rows that have sets of labels.
    #[error(
        "class weights have no meaning for examples with several labels or none: each label is fitted on its own, and its \
         threshold is chosen for its own F1"
    )]
    ClassWeightsOfSets,
    /// Every label is one that all rows have, or none.
    #[error("every label is one that all examples have, or none: there is nothing to tell apart")]
    NothingToTellApart,
    /// A class cannot be both fitted and checked.
    #[error("class {class} has {examples} examples to fit on, and needs at least 2")]
    TooFewExamples {
        /// The class.
        class: usize,
        /// Its train and validation rows together.
        examples: usize,
    },
    /// The head would not fit the memory bound.
    #[error("{classes} classes of {dim} numbers need more than the {MAX_PARAMETERS} parameters that a head may have")]
    TooLarge {
        /// Numbers in an embedding.
        dim: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A row that is given as a view of an example and cannot be.
    #[error("row {row} is no view: a view has its example on the same side, with the same class, and before it")]
    View {
        /// The row.
        row: usize,
    },
    /// Weights that are not one for each row.
    #[error("{weights} example weights for {rows} rows: there must be one for each")]
    WeightCount {
        /// Weights given.
        weights: usize,
        /// Rows.
        rows: usize,
    },
    /// An example weight that is not usable.
    #[error("the weight of row {row} is {value}: must be 0 to {MAX_WEIGHT}")]
    WeightOutOfRange {
        /// The row.
        row: usize,
        /// Its weight.
        value: f32,
    },
    /// Nothing counts.
    #[error("no train row has a weight above 0")]
    NoWeight,
    /// Class weights that are not one for each class.
    #[error("{weights} class weights for {classes} classes: there must be one for each")]
    ClassWeightCount {
        /// Weights given.
        weights: usize,
        /// Classes.
        classes: usize,
    },
    /// A class weight that is not usable.
    #[error("the weight of class {class} is {value}: must be above 0 and at most {MAX_WEIGHT}")]
    ClassWeightOutOfRange {
        /// The class.
        class: usize,
        /// Its weight.
        value: f64,
    },
    /// Another number of parts than cross-validation takes.
    #[error("{folds} folds of {rows} rows: must be 2 to {MAX_FOLDS}, and no more than there are rows")]
    FoldsOutOfRange {
        /// Folds asked for.
        folds: usize,
        /// Rows.
        rows: usize,
    },
    /// An embedding holds NaN or an infinity.
    #[error("row {row} holds {value} at {column}: embeddings must be finite")]
    NonFinite {
        /// The row.
        row: usize,
        /// The place in it.
        column: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// More L2 values than one fit chooses among.
    #[error("{given} L2 values: at most {MAX_L2_VALUES} can be tried")]
    TooManyL2 {
        /// How many were given.
        given: usize,
    },
    /// An L2 value that is not usable.
    #[error("l2 {value} (number {index}) must be greater than 0 and at most {MAX_L2}")]
    L2OutOfRange {
        /// Its place among those given.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Iterations that are not usable.
    #[error("{given} iterations: must be 1 to {MAX_ITERATIONS}")]
    IterationsOutOfRange {
        /// How many were given.
        given: u32,
    },
    /// A gradient tolerance that is not usable.
    #[error("tolerance {given}: must lie between 0 and 1")]
    ToleranceOutOfRange {
        /// The value.
        given: f64,
    },
    /// A label smoothing that is not usable.
    #[error("label smoothing {given}: must be 0 to {MAX_SMOOTHING}")]
    SmoothingOutOfRange {
        /// The value.
        given: f64,
    },
    /// Equations of too many unknowns.
    #[error("{rows} rows of {dim} numbers: ridge and lda heads take at most {MAX_SIDE} of one of the two")]
    TooManyToSolve {
        /// Rows.
        rows: usize,
        /// Numbers in a row.
        dim: usize,
    },
    /// Equations without one solution.
    #[error("the examples vary by too little for a head of this kind")]
    Singular,
    /// More examples than a head keeps.
    #[error("{rows} examples of {dim} numbers: a knn head keeps at most {MAX_EXAMPLE_NUMBERS} numbers")]
    TooManyExamples {
        /// Examples.
        rows: usize,
        /// Numbers in each.
        dim: usize,
    },
    /// A kind that is fitted in another way.
    #[error("a head of the kind `{kind}` has no settings to try one by one")]
    NotHere {
        /// The kind.
        kind: &'static str,
    },
    /// No setting could be tried.
    #[error("there is no setting to choose")]
    NoSetting,
    /// There are several L2 values and no rows to choose with.
    #[error("{l2_values} L2 values cannot be chosen among without validation rows")]
    NoValidation {
        /// How many L2 values there are.
        l2_values: usize,
    },
    /// The caller stopped it.
    #[error("the fit was cancelled")]
    Cancelled,
    /// Features of such a small scale that the weights do not fit f32.
    #[error("the weights do not fit 32 bits: the embeddings vary by too little")]
    Overflow,
    /// Features that do not lie in memory row by row.
    #[error("the features do not lie in memory row by row")]
    Layout,
    /// A tensor operation failed.
    #[error("a tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
