//! The objective written as plainly as it can be, in f64, for the tests to compare with.

use candle_core::{Device, Tensor};

use super::HeadShape;
use super::data::Rows;
use super::labels::LabelSets;
use super::loss::Loss;

/// Random features and classes.
#[derive(Clone)]
pub struct Case {
    pub features: Vec<f32>,
    pub labels: Vec<u32>,
    /// Sets of labels instead, where there are any.
    pub sets: Option<LabelSets>,
    pub shape: HeadShape,
    pub seed: u64,
    pub weights: Option<Vec<f32>>,
    pub loss: Loss,
}

/// A small generator (splitmix64), so that a case is its seed and nothing else.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from -1 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

impl Case {
    /// Features evenly from -2 to 2, moved a little by the class; classes in turn.
    pub fn random(rows: usize, dim: usize, classes: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut features = Vec::with_capacity(rows * dim);
        for row in 0..rows {
            for column in 0..dim {
                let moved = if column % classes == row % classes { 0.5 } else { 0.0 };
                features.push((random.unit() * 2.0 + moved) as f32);
            }
        }
        let labels = (0..rows).map(|row| (row % classes) as u32).collect();
        Self {
            features,
            labels,
            sets: None,
            shape: HeadShape { dim, classes },
            seed,
            weights: None,
            loss: Loss::Softmax { smoothing: 0.0 },
        }
    }

    /// The same features with sets of labels: the first row has none, the second all, the last label is the third row's alone, and
    /// the others are drawn.
    pub fn random_sets(rows: usize, dim: usize, classes: usize, smoothing: f64, seed: u64) -> Self {
        let mut case = Self::random(rows, dim, classes, seed);
        let mut random = Random(seed ^ 0x5e75);
        let mut sets: Vec<Vec<u32>> = (0..rows)
            .map(|_| (0..classes as u32).filter(|class| *class as usize + 1 < classes && random.unit() > 0.2).collect())
            .collect();
        let all: Vec<u32> = (0..classes as u32).collect();
        sets.iter_mut().take(1).for_each(Vec::clear);
        sets.iter_mut().skip(1).take(1).for_each(|set| set.clone_from(&all));
        sets.iter_mut().skip(2).take(1).for_each(|set| set.push(classes as u32 - 1));
        let sets = LabelSets::new(sets.iter().map(Vec::as_slice));
        case.labels = sets.strata(classes);
        (case.sets, case.loss) = (Some(sets), Loss::Sigmoid { smoothing });
        case
    }

    /// The labels of a row.
    fn of(&self, row: usize) -> &[u32] {
        match &self.sets {
            Some(sets) => sets.rows().of(row),
            None => &self.labels[row..=row],
        }
    }

    pub fn parameters(&self) -> Vec<f64> {
        let mut random = Random(self.seed ^ 0xabcd);
        // Such as f32 holds exactly: the comparison is of the arithmetic, not of the rounding of its input.
        (0..self.shape.parameters()).map(|_| f64::from(random.unit() as f32)).collect()
    }

    pub fn rows(&self) -> Rows<'_> {
        let size = (self.labels.len(), self.shape.dim);
        let features = Tensor::from_slice(&self.features, size, &Device::Cpu).unwrap();
        Rows {
            features,
            labels: &self.labels,
            sets: self.sets.as_ref().map(LabelSets::rows),
            weights: self.weights.as_deref().map(Into::into),
            loss: self.loss,
            shape: self.shape,
        }
    }

    /// Value and gradient of the objective.
    pub fn evaluate(&self, parameters: &[f64], l2: f64) -> (f64, Vec<f64>) {
        let HeadShape { dim, classes } = self.shape;
        let weight = |row: usize| self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
        let n: f64 = (0..self.labels.len()).map(weight).sum();
        let weights = dim * classes;
        let mut value = l2 / 2.0 * parameters[..weights].iter().map(|w| w * w).sum::<f64>();
        let mut gradient: Vec<f64> =
            parameters.iter().enumerate().map(|(at, p)| if at < weights { l2 * p } else { 0.0 }).collect();
        for (row, x) in self.features.chunks(dim).enumerate() {
            let logit = |class: usize| {
                let dot: f64 = (0..dim).map(|j| f64::from(x[j]) * parameters[j * classes + class]).sum();
                dot + parameters[weights + class]
            };
            let logits: Vec<f64> = (0..classes).map(logit).collect();
            let (losses, residuals) = self.row(&logits, self.of(row));
            value += weight(row) * losses / n;
            for (class, residual) in residuals.into_iter().enumerate() {
                let residual = weight(row) * residual / n;
                (0..dim).for_each(|j| gradient[j * classes + class] += residual * f64::from(x[j]));
                gradient[weights + class] += residual;
            }
        }
        (value, gradient)
    }
}

impl Case {
    /// The loss of one row, and its derivatives by the logits.
    fn row(&self, logits: &[f64], labels: &[u32]) -> (f64, Vec<f64>) {
        let classes = logits.len();
        let one = |class: usize| f64::from(u8::from(labels.contains(&(class as u32))));
        match self.loss {
            Loss::Softmax { smoothing } => {
                let target = |class: usize| (1.0 - smoothing) * one(class) + smoothing / classes as f64;
                let total: f64 = logits.iter().map(|z| z.exp()).sum();
                let p = |class: usize| logits[class].exp() / total;
                let loss = (0..classes).map(|class| -target(class) * p(class).ln()).sum();
                (loss, (0..classes).map(|class| p(class) - target(class)).collect())
            }
            Loss::Sigmoid { smoothing } => {
                let target = |class: usize| (1.0 - smoothing) * one(class) + smoothing / 2.0;
                let p = |class: usize| 1.0 / (1.0 + (-logits[class]).exp());
                let part =
                    |class: usize| -target(class) * p(class).ln() - (1.0 - target(class)) * (1.0 - p(class)).ln();
                ((0..classes).map(part).sum(), (0..classes).map(|class| p(class) - target(class)).collect())
            }
        }
    }
}

pub fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

pub fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
