//! The choice of a setting by rows that were not fitted on: those of the validation split, or each fold in turn.

use candle_core::{Device, Tensor};

use super::calibrate::{Calibrated, calibrate};
use super::data::{Problem, Rows};
use super::family::Family;
use super::kind::HeadKind;
use super::{FitError, FitOptions};

/// A setting of a perceptron is an epoch: after this many without a better one, no more are tried.
const PATIENCE: usize = 5;
/// Rows whose logits are taken at a time.
const CHUNK: usize = 4096;

/// The setting that was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The setting.
    pub setting: f64,
    /// How it did on the rows that were not fitted on.
    pub calibrated: Calibrated,
    /// Its logits on them at that temperature, `[rows, classes]`, in the order of the rows that were held out.
    pub logits: Vec<f32>,
    /// Every setting that was tried.
    pub trials: Vec<(f64, Calibrated)>,
}

/// Some rows to fit on and others to measure on, by their indices.
pub struct Parting {
    fit: Vec<u32>,
    measure: Vec<u32>,
}

/// The train rows to fit on, and the validation rows to measure on; or, where there are none or `folds` are asked for, each fold
/// of all rows in turn. Views are fitted on beside their examples, and never measured on.
pub fn partings(problem: &Problem, folds: Option<usize>, seed: u64) -> Vec<Parting> {
    let (train, all) = (problem.train_count() as u32, problem.labels().len() as u32);
    let folds = match folds {
        None if train < all => {
            let measure = problem.validation_rows().map(|row| row as u32).collect();
            return vec![Parting { fit: (0..train).collect(), measure }];
        }
        None => USUAL_FOLDS.min(problem.examples()),
        Some(folds) => folds,
    };
    let fold_of = problem.deal(folds, seed);
    let within = |row: &u32, fold: usize| fold_of[*row as usize] == fold;
    let own = |row: &u32| problem.views().is_own(*row as usize);
    let parting = |fold: usize| Parting {
        fit: (0..all).filter(|row| !within(row, fold)).collect(),
        measure: (0..all).filter(|row| within(row, fold) && own(row)).collect(),
    };
    (0..folds).map(parting).collect()
}

/// Folds unless told.
pub const USUAL_FOLDS: usize = 5;

/// Tries every setting of `kind` and chooses the one with the least log loss at its best temperature. `report` is told the part
/// that is done and the best so far, and answers whether to go on.
///
/// # Errors
/// Those of the kind, and [`FitError::Cancelled`].
pub fn choose(
    kind: HeadKind,
    problem: &Problem,
    partings: &[Parting],
    options: &FitOptions,
    report: &mut dyn FnMut(f64, Option<Calibrated>) -> bool,
) -> Result<Chosen, FitError> {
    let subsets = partings.iter().map(|parting| Subset::new(problem, &parting.fit)).collect::<Result<Vec<_>, _>>()?;
    let mut families = Vec::new();
    for (at, subset) in subsets.iter().enumerate() {
        if !report(0.3 * at as f64 / subsets.len() as f64, None) {
            return Err(FitError::Cancelled);
        }
        families.push(Family::measure(kind, subset.rows(problem), options)?);
    }
    let held_out =
        partings.iter().map(|parting| Subset::new(problem, &parting.measure)).collect::<Result<Vec<_>, _>>()?;
    let (labels, weights) = truth(&held_out);
    let settings = kind.settings(options, subsets.iter().map(|subset| subset.labels.len()).min().unwrap_or(0));
    let (mut best, mut trials, mut since): (Option<(f64, Calibrated, Vec<f32>)>, _, _) = (None, Vec::new(), 0);
    for (at, setting) in settings.iter().enumerate() {
        let done = 0.3 + 0.7 * at as f64 / settings.len() as f64;
        let so_far = best.as_ref().map(|best| best.1);
        let mut logits = Vec::with_capacity(labels.len() * problem.shape().classes);
        for (family, rows) in families.iter_mut().zip(&held_out) {
            let head = family.head(*setting, &mut || report(done, so_far))?;
            rows.append_logits(&head, &mut logits)?;
        }
        let calibrated = calibrate(&logits, &labels, weights.as_deref(), problem.shape().classes);
        trials.push((*setting, calibrated));
        since += 1;
        if best.as_ref().is_none_or(|best| calibrated.log_loss < best.1.log_loss) {
            (best, since) = (Some((*setting, calibrated, logits)), 0);
        }
        if kind == HeadKind::Perceptron && since >= PATIENCE {
            break;
        }
    }
    let (setting, calibrated, mut logits) = best.ok_or(FitError::NoSetting)?;
    logits.iter_mut().for_each(|logit| *logit = (f64::from(*logit) / calibrated.temperature) as f32);
    Ok(Chosen { setting, calibrated, logits: in_order(partings, logits, problem.shape().classes), trials })
}

/// Logits that come parting by parting, in the order of their rows.
fn in_order(partings: &[Parting], logits: Vec<f32>, classes: usize) -> Vec<f32> {
    let order: Vec<u32> = partings.iter().flat_map(|parting| &parting.measure).copied().collect();
    let mut positions: Vec<usize> = (0..order.len()).collect();
    positions.sort_unstable_by_key(|position| order[*position]);
    positions.into_iter().flat_map(|position| logits[position * classes..(position + 1) * classes].to_vec()).collect()
}

/// The classes of all rows that are held out, and their weights.
fn truth(held_out: &[Subset]) -> (Vec<u32>, Option<Vec<f32>>) {
    let labels = held_out.iter().flat_map(|subset| &subset.labels).copied().collect();
    let weights: Option<Vec<&Vec<f32>>> = held_out.iter().map(|subset| subset.weights.as_ref()).collect();
    // Rows that all have no weight are all counted: something must be chosen.
    let weights = weights.map(|weights| weights.into_iter().flatten().copied().collect::<Vec<f32>>());
    (labels, weights.filter(|weights| weights.iter().any(|weight| *weight > 0.0)))
}

/// A copy of some rows.
struct Subset {
    features: Tensor,
    labels: Vec<u32>,
    weights: Option<Vec<f32>>,
}

impl Subset {
    fn new(problem: &Problem, indices: &[u32]) -> Result<Self, FitError> {
        let all = problem.everything();
        let chosen = Tensor::from_slice(indices, indices.len(), &Device::Cpu)?;
        let labels = indices.iter().map(|row| all.labels[*row as usize]).collect();
        let weights = all.weights.map(|weights| indices.iter().map(|row| weights[*row as usize]).collect());
        Ok(Self { features: all.features.index_select(&chosen, 0)?, labels, weights })
    }

    fn rows(&self, problem: &Problem) -> Rows<'_> {
        Rows {
            features: self.features.clone(),
            labels: &self.labels,
            sets: None,
            weights: self.weights.as_deref().map(Into::into),
            loss: problem.loss(),
            shape: problem.shape(),
        }
    }

    fn append_logits(&self, head: &super::head::Head, into: &mut Vec<f32>) -> Result<(), FitError> {
        for start in (0..self.labels.len()).step_by(CHUNK) {
            let count = CHUNK.min(self.labels.len() - start);
            let x = self.features.narrow(0, start, count)?.flatten_all()?.to_vec1::<f32>()?;
            into.append(&mut head.logits(x, count)?);
        }
        Ok(())
    }
}
