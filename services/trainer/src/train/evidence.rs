//! What is found out about a head beside its figures on the test split: pictures that are in two splits, what more examples
//! would give, which labels are likely wrong.

use super::effort::{Effort, Step};
use super::told::Told;
use crate::{
    evaluate::{
        duplicates::{self, NearDuplicates},
        forecast::Point,
        label_errors::{self, LabelError},
        predictions, sets,
    },
    fit::{
        FitError, FitOptions, Head, Labels, TrainingData, Truth, cross_validate, fit_head, head::Link, options::MAX_L2,
    },
};

/// Parts of the examples that are fitted on for the learning curve: an eighth, a quarter, a half.
const PARTS: [usize; 3] = [8, 4, 2];
/// Folds of the cross-validation: each head is fitted on four fifths.
const FOLDS: usize = 5;
/// Where chance begins, for the deal into folds: the same for every run, so that the same data gives the same evidence.
const SEED: u64 = 1;
/// Rows whose logits are computed together.
const BLOCK: usize = 1024;

/// Embeddings with what is right for each.
#[derive(Debug)]
pub struct Labelled {
    /// `[labels.len(), dimension]`, row by row.
    pub embeddings: Vec<f32>,
    /// The class of each row, or its set of labels.
    pub labels: Labels,
}

/// How the head was fitted whose evidence is gathered.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// With these options.
    pub options: FitOptions,
    /// With this penalty; 0 where its kind has none.
    pub l2: f64,
    /// What makes its logits probabilities.
    pub link: Link,
    /// Its probabilities are those of its logits divided by this.
    pub temperature: f64,
    /// From which probability on it gives each label, without the temperature; empty where it gives one class.
    pub thresholds: Vec<f32>,
    /// How many classes it has.
    pub classes: usize,
    /// Numbers in an embedding.
    pub dimension: usize,
}

impl Fitted {
    /// The options of a fit like it, of a part of the rows: the penalty of a part is stronger by as much as it is smaller, so
    /// that it weighs against each example as it did in the whole.
    fn of_a_part(&self, part: f64) -> FitOptions {
        let l2 = if self.l2 > 0.0 { vec![(self.l2 / part).min(MAX_L2)] } else { Vec::new() };
        FitOptions { l2, ..self.options.clone() }
    }
}

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Test rows that are nearly in the rows that were fitted on.
    pub near_duplicates: NearDuplicates,
    /// Classes of several rows that all have the same embedding.
    pub identical: Vec<u32>,
    /// Heads fitted on parts of the rows; empty where that was not measured.
    pub curve: Vec<Point>,
    /// Labels that are likely wrong; `None` where that was not looked for.
    pub label_errors: Option<Suspects>,
}

/// Labels that are likely wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Suspects {
    /// Of rows that have one class.
    Classes(Vec<LabelError>),
    /// Of rows that have sets.
    Sets(Vec<sets::label_errors::LabelError>),
}

/// Gather what `effort` says, on the rows that the head was fitted on and those that it is measured on.
///
/// # Errors
/// [`FitError::Cancelled`], and those of the fits.
pub fn gather(
    fitted: &Fitted,
    fit_on: Labelled,
    test: &Labelled,
    effort: Effort,
    told: &mut Told,
) -> Result<Evidence, FitError> {
    let near_duplicates = duplicates::search(&fit_on.embeddings, &test.embeddings, fitted.dimension, &mut || {
        told.at(Step::Measure, 0.5).is_ok()
    })?;
    told.at(Step::Measure, 1.0)?;
    let identical = identical(&fit_on, fitted);
    let curve = match effort.learning_curve && !test.labels.is_empty() {
        true => learning_curve(fitted, &fit_on, test, told)?,
        false => Vec::new(),
    };
    let label_errors = if effort.label_errors { Some(find_label_errors(fitted, fit_on, told)?) } else { None };
    Ok(Evidence { near_duplicates, identical, curve, label_errors })
}

/// The logits of `embeddings`, `[rows, classes]`, a block of rows at a time.
///
/// # Errors
/// Those of the tensor operations.
pub fn logits(head: &Head, embeddings: &[f32]) -> Result<Vec<f32>, FitError> {
    let dimension = head.dimension().max(1);
    let mut logits = Vec::with_capacity(embeddings.len() / dimension * head.classes());
    for block in embeddings.chunks(BLOCK * dimension) {
        logits.extend(head.logits(block.to_vec(), block.len() / dimension)?);
    }
    Ok(logits)
}

/// The probabilities of `logits / temperature`, `[rows, classes]`.
pub fn probabilities(logits: &[f32], classes: usize, temperature: f64, link: Link) -> Vec<f32> {
    let mut probabilities: Vec<f32> = logits.iter().map(|logit| (f64::from(*logit) / temperature) as f32).collect();
    probabilities.chunks_exact_mut(classes).for_each(|row| link.probabilities(row));
    probabilities
}

/// The classes of more than one row that all have the same embedding.
fn identical(rows: &Labelled, fitted: &Fitted) -> Vec<u32> {
    let row = |at: usize| &rows.embeddings[at * fitted.dimension..(at + 1) * fitted.dimension];
    // The first row of each class, and whether another differs from it.
    let mut seen: Vec<Option<(usize, usize, bool)>> = vec![None; fitted.classes];
    let truth = rows.labels.truth();
    for at in 0..truth.len() {
        for class in truth.of(at) {
            let (first, count, differs) = seen[*class as usize].get_or_insert((at, 0, false));
            *count += 1;
            *differs = *differs || row(*first) != row(at);
        }
    }
    let same = |class: &usize| matches!(seen[*class], Some((_, count, false)) if count > 1);
    (0..fitted.classes).filter(same).map(|class| class as u32).collect()
}

/// How well heads do that are fitted on parts of the rows.
fn learning_curve(
    fitted: &Fitted,
    fit_on: &Labelled,
    test: &Labelled,
    told: &mut Told,
) -> Result<Vec<Point>, FitError> {
    let all = fit_on.labels.len();
    let mut points = Vec::new();
    for (index, part) in PARTS.into_iter().enumerate().filter(|(_, part)| all / part >= 2 * fitted.classes) {
        let begun = index as f64 / PARTS.len() as f64;
        let subset = take(fit_on, fitted, part);
        let rows = subset.labels.len();
        let options = fitted.of_a_part(rows as f64 / all as f64);
        let data = TrainingData::of(subset.embeddings, fitted.dimension, subset.labels, fitted.classes, rows)?;
        let found = fit_head(data, &options, &mut |now| {
            told.within(Step::LearningCurve, begun + now.fraction / PARTS.len() as f64)
        });
        let found = match found {
            // Few rows may all have the same labels, though all rows do not.
            Err(FitError::NothingToTellApart) => continue,
            found => found?,
        };
        let right = right(fitted, &logits(&found.head, &test.embeddings)?, test.labels.truth());
        points.push(Point { rows: rows as u64, accuracy: right as f64 / test.labels.len() as f64 });
    }
    Ok(points)
}

/// Rows of these `logits` that are classified rightly. Sets of labels are those from the head's own thresholds on, so that a part
/// is measured as the whole is.
fn right(fitted: &Fitted, logits: &[f32], truth: Truth<'_>) -> usize {
    match truth {
        Truth::One(classes) => {
            let predicted = predictions(logits, fitted.classes);
            predicted.iter().zip(classes).filter(|(predicted, truth)| predicted == truth).count()
        }
        Truth::Sets(_) => {
            let probabilities = probabilities(logits, fitted.classes, 1.0, fitted.link);
            let (given, has) = (sets::given(&probabilities, &fitted.thresholds), truth.dense(fitted.classes));
            let rows = given.chunks_exact(fitted.classes).zip(has.chunks_exact(fitted.classes));
            rows.filter(|(given, has)| given == has).count()
        }
    }
}

/// One `part`th of the rows of each class, its first ones: they come in the order of their hashes, which is chance, and a
/// smaller part is within each larger one. At least two of each class. A row with a set is of the class of its rarest label.
fn take(rows: &Labelled, fitted: &Fitted, part: usize) -> Labelled {
    let strata = rows.labels.strata(fitted.classes);
    let mut counts = vec![0usize; fitted.classes + 1];
    strata.iter().for_each(|class| counts[*class as usize] += 1);
    let mut left: Vec<usize> = counts.iter().map(|count| count.div_ceil(part).max(2)).collect();
    let mut taken = Vec::new();
    for (row, class) in strata.iter().enumerate() {
        let left = &mut left[*class as usize];
        if *left > 0 {
            *left -= 1;
            taken.push(row);
        }
    }
    let mut embeddings = Vec::with_capacity(taken.len() * fitted.dimension);
    for row in &taken {
        embeddings.extend_from_slice(&rows.embeddings[row * fitted.dimension..(row + 1) * fitted.dimension]);
    }
    Labelled { embeddings, labels: rows.labels.take(&taken) }
}

fn find_label_errors(fitted: &Fitted, rows: Labelled, told: &mut Told) -> Result<Suspects, FitError> {
    let count = rows.labels.len();
    if count < FOLDS {
        return Ok(Suspects::Classes(Vec::new()));
    }
    let options = fitted.of_a_part(1.0);
    let Labelled { embeddings, labels } = rows;
    let data = TrainingData::of(embeddings, fitted.dimension, labels.clone(), fitted.classes, count)?;
    let logits = cross_validate(&data, &options, FOLDS, SEED, &mut |now| told.within(Step::LabelErrors, now.fraction))?;
    let unseen = probabilities(&logits, fitted.classes, fitted.temperature, fitted.link);
    Ok(match labels.truth() {
        Truth::One(classes) => Suspects::Classes(label_errors::find(&unseen, classes, fitted.classes)),
        truth => Suspects::Sets(sets::label_errors::find(&unseen, &truth.dense(fitted.classes), fitted.classes)),
    })
}
