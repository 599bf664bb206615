//! Heads that go by the angle between embeddings: to the mean of each class, or to the nearest examples. Adding a class to either
//! is adding its rows.
//!
//! The angle is taken between standardised embeddings, so that no feature counts more for having larger numbers.

use candle_core::{Device, Tensor};

use super::file::{Contents, HeadError};

/// Votes that every class has beforehand, over those of all neighbours: no class is ever impossible.
const PRIOR: f32 = 0.02;

/// Where angles are measured: `(x - mean) * scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// `[dimension]`.
    pub mean: Vec<f32>,
    /// `[dimension]`.
    pub scale: Vec<f32>,
}

/// The nearest class mean: `logit = sharpness * cosine`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrototypeHead {
    /// Where angles are measured.
    pub space: Space,
    /// `[classes, dimension]`, each of length 1.
    pub means: Vec<f32>,
    /// What a cosine is worth as a logit.
    pub sharpness: f32,
}

/// The nearest examples: each votes for its class by its cosine, and `logit = factor * ln(part of the votes)`.
#[derive(Clone, Debug, PartialEq)]
pub struct NeighboursHead {
    /// Where angles are measured.
    pub space: Space,
    /// `[examples, dimension]`, each of length 1.
    pub examples: Vec<f32>,
    /// The class of each example.
    pub owners: Vec<u32>,
    /// How many classes there are.
    pub classes: usize,
    /// How many examples vote.
    pub nearest: usize,
    /// What a logarithm is worth as a logit.
    pub factor: f32,
}

impl Space {
    /// Numbers in an embedding.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Rows standardised and of length 1, in place; a row without direction becomes 0.
    pub fn directions(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.dimension()) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (*x - mean) * scale;
            }
            to_unit(row);
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.mean.iter().chain(&self.scale).all(|number| number.is_finite())
    }

    /// The cosines of `rows` embeddings to `others`, `[others, dimension]` of length 1: `[rows, others]`.
    fn cosines(&self, mut embeddings: Vec<f32>, rows: usize, others: &[f32]) -> Result<Vec<f32>, candle_core::Error> {
        self.directions(&mut embeddings);
        let dimension = self.dimension();
        let x = Tensor::from_vec(embeddings, (rows, dimension), &Device::Cpu)?;
        let others = Tensor::from_slice(others, (others.len() / dimension, dimension), &Device::Cpu)?;
        x.matmul(&others.t()?)?.flatten_all()?.to_vec1::<f32>()
    }

    fn write(&self, contents: &mut Contents) {
        contents.tensor("mean", vec![self.dimension()], &self.mean);
        contents.tensor("scale", vec![self.dimension()], &self.scale);
    }

    fn read(contents: &Contents, dimension: usize) -> Result<Space, HeadError> {
        Ok(Space { mean: contents.numbers("mean", &[dimension])?, scale: contents.numbers("scale", &[dimension])? })
    }
}

/// Makes a row as long as 1; one without direction becomes 0.
pub fn to_unit(row: &mut [f32]) {
    let length = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let factor = if length > 0.0 && length.is_finite() { 1.0 / length } else { 0.0 };
    row.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
}

impl PrototypeHead {
    /// The logits of `rows` embeddings, `[rows, classes]`.
    ///
    /// # Errors
    /// Embeddings that are not `rows` times the dimension.
    pub fn logits(&self, embeddings: Vec<f32>, rows: usize) -> Result<Vec<f32>, candle_core::Error> {
        let mut logits = self.space.cosines(embeddings, rows, &self.means)?;
        logits.iter_mut().for_each(|logit| *logit *= self.sharpness);
        Ok(logits)
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.means.len() / self.space.dimension()
    }

    pub(super) fn size(&self) -> usize {
        self.means.len() + 2 * self.space.dimension()
    }

    pub(super) fn write(&self, contents: &mut Contents) {
        self.space.write(contents);
        contents.tensor("means", vec![self.classes(), self.space.dimension()], &self.means);
        contents.tensor("sharpness", vec![1], &[self.sharpness]);
    }

    pub(super) fn read(contents: &Contents) -> Result<PrototypeHead, HeadError> {
        let (classes, dimension) = contents.matrix("means")?;
        let sharpness = contents.numbers("sharpness", &[1])?[0];
        let means = contents.numbers("means", &[classes, dimension])?;
        Ok(PrototypeHead { space: Space::read(contents, dimension)?, means, sharpness })
    }
}

impl NeighboursHead {
    /// The logits of `rows` embeddings, `[rows, classes]`.
    ///
    /// # Errors
    /// Embeddings that are not `rows` times the dimension.
    pub fn logits(&self, embeddings: Vec<f32>, rows: usize) -> Result<Vec<f32>, candle_core::Error> {
        let cosines = self.space.cosines(embeddings, rows, &self.examples)?;
        Ok(cosines.chunks_exact(self.owners.len()).flat_map(|row| self.vote(row)).collect())
    }

    /// The logits of one row of cosines to all examples.
    fn vote(&self, cosines: &[f32]) -> Vec<f32> {
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        let nearest = self.nearest.min(order.len());
        let by_cosine = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        if nearest < order.len() {
            order.select_nth_unstable_by(nearest, by_cosine);
            order.truncate(nearest);
        }
        // In a fixed order: sums of f32 depend on it.
        order.sort_unstable_by(by_cosine);
        let mut votes = vec![0.0; self.classes];
        for example in &order {
            votes[self.owners[*example] as usize] += (1.0 + cosines[*example]).max(0.0);
        }
        let total = votes.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let part = |votes: f32| (votes / total + PRIOR / self.classes as f32) / (1.0 + PRIOR);
        votes.into_iter().map(|votes| self.factor * part(votes).ln()).collect()
    }

    pub(super) fn size(&self) -> usize {
        self.examples.len() + self.owners.len() + 2 * self.space.dimension()
    }

    pub(super) fn write(&self, contents: &mut Contents) {
        self.space.write(contents);
        contents.tensor("examples", vec![self.owners.len(), self.space.dimension()], &self.examples);
        // Classes are far fewer than f32 counts exactly.
        let owners: Vec<f32> = self.owners.iter().map(|owner| *owner as f32).collect();
        contents.tensor("owners", vec![owners.len()], &owners);
        contents.tensor("factor", vec![1], &[self.factor]);
        contents.note("classes", &self.classes.to_string());
        contents.note("nearest", &self.nearest.to_string());
    }

    pub(super) fn read(contents: &Contents) -> Result<NeighboursHead, HeadError> {
        let (count, dimension) = contents.matrix("examples")?;
        let (classes, nearest): (usize, usize) = (contents.noted("classes")?, contents.noted("nearest")?);
        if nearest == 0 {
            let expected = "a number above 0".to_owned();
            return Err(HeadError::Value { name: "nearest", value: nearest.to_string(), expected });
        }
        let owners = contents.numbers("owners", &[count])?;
        let known = |owner: f32| owner >= 0.0 && owner.fract() == 0.0 && (owner as usize) < classes;
        if let Some(value) = owners.iter().find(|owner| !known(**owner)) {
            let expected = format!("a class below {classes}");
            return Err(HeadError::Value { name: "owners", value: value.to_string(), expected });
        }
        let examples = contents.numbers("examples", &[count, dimension])?;
        let owners = owners.into_iter().map(|owner| owner as u32).collect();
        let factor = contents.numbers("factor", &[1])?[0];
        Ok(NeighboursHead { space: Space::read(contents, dimension)?, examples, owners, classes, nearest, factor })
    }
}
