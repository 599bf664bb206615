//! The mean loss of a linear head over some rows, and its gradient, by hand.
//!
//! `f(W, b) = 1/n Σ_i w_i·loss(x_i·W + b, y_i) + l2/2·‖W‖²` with `n = Σ_i w_i`. Softmax and sigmoid have the same residuals,
//! `R_i = w_i·(P_i - Y_i)`, and `∂f/∂W = 1/n Xᵀ·R + l2·W`, `∂f/∂b = 1/n Σ_i R_i`. The bias is not penalised.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Storage, Tensor};

use super::data::Rows;
use super::fused::{self, MAX_CLASSES, Matrix, Passed, Workspace};
use super::lbfgs::Objective;
use super::softmax_rows::RowSums;
use super::{FitError, HeadShape};

/// Rows in a block: enough to keep the cores busy with one product, few enough that the block and its residuals need no
/// memory to speak of. Measured at 1280x10 on two cores: 2,048 takes within a tenth of the time of all rows at once,
/// 256 takes twice as long.
const BLOCK_ROWS: usize = 2048;
/// The most logits in a block.
const BLOCK_LOGITS: usize = 1 << 22;

/// The objective over some rows with one L2.
pub struct MeanLoss<'a> {
    rows: Rows<'a>,
    l2: f64,
    /// Mean of `p·(1-p)` over rows and classes where it was last evaluated.
    curvature: f64,
    workspace: Workspace,
}

impl<'a> MeanLoss<'a> {
    /// Over `rows`, with the penalty `l2`.
    pub fn new(rows: Rows<'a>, l2: f64) -> Self {
        Self { rows, l2, curvature: 0.0, workspace: Workspace::default() }
    }

    /// Changes the penalty.
    pub fn set_l2(&mut self, l2: f64) {
        self.l2 = l2;
    }

    /// Mean of `p·(1-p)` over rows and classes at the parameters that were evaluated last: how curved the loss is.
    pub fn curvature(&self) -> f64 {
        self.curvature
    }

    /// Changes the weights of the rows.
    pub fn set_weights(&mut self, weights: Arc<[f32]>) {
        self.rows.weights = Some(weights);
    }

    /// The rows it is over.
    pub fn rows(&self) -> &Rows<'a> {
        &self.rows
    }
}

impl Objective for MeanLoss<'_> {
    fn evaluate(&mut self, parameters: &[f64], gradient: &mut [f64]) -> Result<f64, FitError> {
        let shape = self.rows.shape;
        let (weights, _) = parameters.split_at(shape.weights());
        let (weights_gradient, bias_gradient) = gradient.split_at_mut(shape.weights());
        weights_gradient.iter_mut().zip(weights).for_each(|(g, w)| *g = self.l2 * w);
        bias_gradient.fill(0.0);

        let per_row = 1.0 / self.rows.weight();
        if shape.classes <= MAX_CLASSES {
            let passed = one_pass(&self.rows, parameters, &mut self.workspace)?;
            for (class, products) in passed.weights.chunks_exact(shape.dim).enumerate() {
                let column = weights_gradient.iter_mut().skip(class).step_by(shape.classes);
                column.zip(products).for_each(|(g, p)| *g += per_row * p);
            }
            bias_gradient.iter_mut().zip(&passed.bias).for_each(|(g, sum)| *g = per_row * sum);
            return Ok(self.value(passed.sums, weights));
        }
        let sums = each_block(&self.rows, parameters, |block, residuals| {
            for row in residuals.chunks_exact(shape.classes) {
                bias_gradient.iter_mut().zip(row).for_each(|(g, r)| *g += per_row * f64::from(*r));
            }
            let count = residuals.len() / shape.classes;
            let residuals = Tensor::from_vec(residuals, (count, shape.classes), &Device::Cpu)?;
            let products = block.t()?.matmul(&residuals)?.flatten_all()?.to_vec1::<f32>()?;
            weights_gradient.iter_mut().zip(products).for_each(|(g, p)| *g += per_row * f64::from(p));
            Ok(())
        })?;
        Ok(self.value(sums, weights))
    }
}

impl MeanLoss<'_> {
    /// The value, from the sums over the rows.
    fn value(&mut self, sums: RowSums, weights: &[f64]) -> f64 {
        let per_row = 1.0 / self.rows.weight();
        self.curvature = sums.curvature * per_row / self.rows.shape.classes as f64;
        sums.log_loss * per_row + self.l2 / 2.0 * weights.iter().map(|w| w * w).sum::<f64>()
    }
}

/// Products and sums over all rows, without packing them for a general matrix product.
fn one_pass(rows: &Rows<'_>, parameters: &[f64], workspace: &mut Workspace) -> Result<Passed, FitError> {
    let HeadShape { dim, classes } = rows.shape;
    let (weights, bias) = parameters.split_at(rows.shape.weights());
    let bias: Vec<f32> = bias.iter().map(|&b| b as f32).collect();
    let transposed: Vec<f32> =
        (0..classes).flat_map(|class| weights.iter().skip(class).step_by(classes).map(|&w| w as f32)).collect();
    let take = |logits: &mut [f32], range: Range<usize>| {
        let weights = rows.weights.as_ref().map(|weights| &weights[range.clone()]);
        rows.residuals(logits, range, weights, &bias)
    };
    let (storage, layout) = rows.features.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        return Err(FitError::Layout);
    };
    let features = &storage.as_slice::<f32>()?[start..end];
    Ok(fused::pass(Matrix { features, dim, classes }, &transposed, &take, workspace))
}

/// Mean log loss in nats, without smoothing, and accuracy, of `parameters` on `rows`, each row counting by its weight. Where rows
/// have sets of labels, the log loss of a row is the sum over all labels, and a row is right if all its labels are.
pub fn measure(rows: &Rows<'_>, parameters: &[f64]) -> Result<(f64, f64), FitError> {
    let rows = &Rows { loss: rows.loss.plain(), ..rows.clone() };
    let sums = each_block(rows, parameters, |_, _| Ok(()))?;
    let weight = rows.weight();
    Ok((sums.log_loss / weight, sums.correct / weight))
}

/// The logits of `parameters` on `rows`, `[rows, classes]`.
pub fn logits(rows: &Rows<'_>, parameters: &[f64]) -> Result<Vec<f32>, FitError> {
    let mut all = Vec::with_capacity(rows.labels.len() * rows.shape.classes);
    let bias: Vec<f32> = parameters[rows.shape.weights()..].iter().map(|&b| b as f32).collect();
    each_product(rows, parameters, |_, _, mut logits| {
        for row in logits.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(&bias).for_each(|(logit, bias)| *logit += bias);
        }
        all.append(&mut logits);
        Ok(())
    })?;
    Ok(all)
}

/// Gives every block of features, with its residuals, to `take`; the sums over all rows. Blocks come in order, so that
/// sums are the same each time.
fn each_block(
    rows: &Rows<'_>,
    parameters: &[f64],
    mut take: impl FnMut(&Tensor, Vec<f32>) -> Result<(), FitError>,
) -> Result<RowSums, FitError> {
    let bias: Vec<f32> = parameters[rows.shape.weights()..].iter().map(|&b| b as f32).collect();
    let mut sums = RowSums::default();
    each_product(rows, parameters, |first, block, mut logits| {
        let range = first..first + logits.len() / bias.len();
        let weights = rows.weights.as_ref().map(|weights| &weights[range.clone()]);
        sums.add(rows.residuals(&mut logits, range, weights, &bias));
        take(block, logits)
    })?;
    Ok(sums)
}

/// Gives every block, the index of its first row, its features and its logits without their bias, to `take`.
fn each_product(
    rows: &Rows<'_>,
    parameters: &[f64],
    mut take: impl FnMut(usize, &Tensor, Vec<f32>) -> Result<(), FitError>,
) -> Result<(), FitError> {
    let shape = rows.shape;
    let weights: Vec<f32> = parameters[..shape.weights()].iter().map(|&p| p as f32).collect();
    let weights = Tensor::from_vec(weights, (shape.dim, shape.classes), &Device::Cpu)?;
    let block_rows = (BLOCK_LOGITS / shape.classes).clamp(1, BLOCK_ROWS);
    for (index, labels) in rows.labels.chunks(block_rows).enumerate() {
        let first = index * block_rows;
        let block = rows.features.narrow(0, first, labels.len())?;
        let logits = block.matmul(&weights)?.flatten_all()?.to_vec1::<f32>()?;
        take(first, &block, logits)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::loss::Loss;
    use super::super::naive;
    use super::*;

    const SOFTMAX: Loss = Loss::Softmax { smoothing: 0.0 };

    /// Every loss, with smoothing and without.
    fn losses() -> impl Strategy<Value = Loss> {
        let smoothing = prop_oneof![Just(0.0), 0.0..0.5f64];
        (any::<bool>(), smoothing).prop_map(|(softmax, smoothing)| {
            if softmax { Loss::Softmax { smoothing } } else { Loss::Sigmoid { smoothing } }
        })
    }

    /// A problem of this size and parameters for it, from a seed; every other one with weights.
    fn compare(rows: usize, dim: usize, classes: usize, loss: Loss, seed: u64) -> Result<(), TestCaseError> {
        let mut case = naive::Case::random(rows, dim, classes, seed);
        case.loss = loss;
        compare_case(case, seed)
    }

    fn compare_case(mut case: naive::Case, seed: u64) -> Result<(), TestCaseError> {
        let (l2, loss) = (10f64.powi((seed % 7) as i32 - 6), case.loss);
        let rows = case.labels.len();
        if seed % 2 == 1 {
            case.weights = Some((0..rows).map(|row| (row % 4) as f32 / 2.0).collect());
            prop_assume!(rows > 1);
        }
        let parameters = case.parameters();
        let (expected, expected_gradient) = case.evaluate(&parameters, l2);
        let mut gradient = vec![f64::NAN; parameters.len()];
        let mut objective = MeanLoss::new(case.rows(), l2);
        let value = objective.evaluate(&parameters, &mut gradient).unwrap();
        prop_assert!((value - expected).abs() <= 1e-5 * expected.abs(), "{value} {expected}");
        let distance = naive::norm(&naive::difference(&gradient, &expected_gradient));
        prop_assert!(distance <= 1e-5 * naive::norm(&expected_gradient), "{distance}");
        let (log_loss, accuracy) = measure(&case.rows(), &parameters).unwrap();
        case.loss = loss.plain();
        prop_assert!((log_loss - case.evaluate(&parameters, 0.0).0).abs() <= 1e-5 * log_loss);
        prop_assert!((0.0..=1.0).contains(&accuracy));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn objective_and_gradient_agree_with_f64(
            rows in 1usize..60, dim in 1usize..40, classes in 2usize..9, loss in losses(), seed in any::<u64>(),
        ) {
            compare(rows, dim, classes, loss, seed)?;
        }

        /// Sets of labels among which are empty ones, full ones, and a label that one row alone has.
        #[test]
        fn of_sets_of_labels_too(
            rows in 1usize..60, dim in 1usize..40, classes in 1usize..9, smoothing in 0.0..0.5f64, seed in any::<u64>(),
        ) {
            let smoothing = if seed % 3 == 0 { 0.0 } else { smoothing };
            compare_case(naive::Case::random_sets(rows, dim, classes, smoothing, seed), seed)?;
        }
    }

    #[test]
    fn more_blocks_and_classes_of_sets_agree_with_f64() {
        compare_case(naive::Case::random_sets(2 * BLOCK_ROWS + 77, 7, 3, 0.1, 5), 5).unwrap();
        compare_case(naive::Case::random_sets(2 * BLOCK_ROWS + 77, 3, MAX_CLASSES + 1, 0.0, 4), 4).unwrap();
    }

    #[test]
    fn more_than_one_block_agrees_with_f64() {
        compare(2 * BLOCK_ROWS + 77, 7, 3, SOFTMAX, 5).unwrap();
        compare(2 * BLOCK_ROWS + 77, 3, MAX_CLASSES + 1, SOFTMAX, 4).unwrap();
    }

    #[test]
    fn both_ways_to_pass_over_the_rows_agree() {
        let case = naive::Case::random(500, 33, 5, 7);
        let parameters = case.parameters();
        let passed = one_pass(&case.rows(), &parameters, &mut Workspace::default()).unwrap();
        let sums = each_block(&case.rows(), &parameters, |_, _| Ok(())).unwrap();
        assert!((passed.sums.log_loss - sums.log_loss).abs() < 1e-5 * sums.log_loss);
        assert_eq!(passed.sums.correct, sums.correct);
    }

    #[test]
    fn gradient_is_the_slope_of_the_objective() {
        for loss in [Loss::Softmax { smoothing: 0.1 }, Loss::Sigmoid { smoothing: 0.1 }] {
            let mut case = naive::Case::random(40, 6, 3, 11);
            case.loss = loss;
            gradient_is_the_slope(&case);
        }
        gradient_is_the_slope(&naive::Case::random_sets(40, 6, 3, 0.1, 11));
        gradient_is_the_slope(&naive::Case::random_sets(40, 6, 1, 0.0, 12));
    }

    fn gradient_is_the_slope(case: &naive::Case) {
        let parameters = case.parameters();
        let mut objective = MeanLoss::new(case.rows(), 0.3);
        let mut gradient = vec![0.0; parameters.len()];
        objective.evaluate(&parameters, &mut gradient).unwrap();
        let mut ignored = gradient.clone();
        for at in 0..parameters.len() {
            let mut slope = |step: f64| {
                let mut moved = parameters.clone();
                moved[at] += step;
                objective.evaluate(&moved, &mut ignored).unwrap()
            };
            // f32 products: a step that is large enough to be seen over their rounding.
            let finite = (slope(1e-2) - slope(-1e-2)) / 2e-2;
            assert!((finite - gradient[at]).abs() < 1e-4, "{at}: {finite} {}", gradient[at]);
        }
    }
}
