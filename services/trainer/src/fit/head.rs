//! A fitted head: what serving needs, and nothing else.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};

/// A linear classifier of embeddings: logits = x·W + b.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// `[dimension, classes]`, row by row.
    pub weights: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
    /// Numbers in an embedding.
    pub dimension: usize,
    /// How many classes there are.
    pub classes: usize,
}

/// Why bytes are no head.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// Not safetensors, or a tensor is missing.
    #[error("safetensors: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// Tensors of other shapes or types than a head's.
    #[error("`weight` is {weight:?} and `bias` is {bias:?}; [dimension, classes] and [classes] of F32 are expected")]
    Shape {
        /// The shape of the weights.
        weight: Vec<usize>,
        /// The shape of the biases.
        bias: Vec<usize>,
    },
}

impl LinearHead {
    /// The logits of `rows` embeddings, `[rows, classes]`.
    pub fn logits(&self, embeddings: Vec<f32>, rows: usize) -> Result<Vec<f32>, candle_core::Error> {
        let x = Tensor::from_vec(embeddings, (rows, self.dimension), &Device::Cpu)?;
        let w = Tensor::from_slice(&self.weights, (self.dimension, self.classes), &Device::Cpu)?;
        let mut logits = x.matmul(&w)?.flatten_all()?.to_vec1::<f32>()?;
        for row in logits.chunks_exact_mut(self.classes) {
            row.iter_mut().zip(&self.bias).for_each(|(logit, bias)| *logit += bias);
        }
        Ok(logits)
    }

    /// Divides every logit by `temperature`: above 1 the probabilities become less certain, and none changes its rank.
    pub fn scale(&mut self, temperature: f64) {
        for number in self.weights.iter_mut().chain(&mut self.bias) {
            *number = (f64::from(*number) / temperature) as f32;
        }
    }

    /// As a safetensors file with the tensors `weight` and `bias`, and `metadata` beside them. The same head and metadata
    /// give the same bytes (the crate's own writer puts metadata in the order of a hash map, which is not the same twice).
    pub fn to_safetensors(&self, metadata: HashMap<String, String>) -> Result<Vec<u8>, HeadError> {
        let (bias, weight) = (bytes(&self.bias), bytes(&self.weights));
        let (middle, end) = (bias.len(), bias.len() + weight.len());
        // serde_json sorts the keys.
        let header = serde_json::json!({
            "__metadata__": metadata.into_iter().collect::<BTreeMap<_, _>>(),
            "bias": { "dtype": "F32", "shape": [self.classes], "data_offsets": [0, middle] },
            "weight": { "dtype": "F32", "shape": [self.dimension, self.classes], "data_offsets": [middle, end] },
        });
        let mut header = header.to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bias, &weight].concat();
        // Lengths that do not fit the shapes are found before the file is kept.
        SafeTensors::deserialize(&file)?;
        Ok(file)
    }

    /// Read what [`to_safetensors`](Self::to_safetensors) wrote.
    pub fn from_safetensors(file: &[u8]) -> Result<LinearHead, HeadError> {
        let file = SafeTensors::deserialize(file)?;
        let (weight, bias) = (file.tensor("weight")?, file.tensor("bias")?);
        match (weight.shape(), bias.shape(), weight.dtype(), bias.dtype()) {
            (&[dimension, classes], &[biases], Dtype::F32, Dtype::F32) if classes == biases => {
                Ok(LinearHead { weights: floats(weight.data()), bias: floats(bias.data()), dimension, classes })
            }
            (weight, bias, ..) => Err(HeadError::Shape { weight: weight.to_vec(), bias: bias.to_vec() }),
        }
    }
}

/// Turn one row of logits into probabilities that add up to one.
pub fn softmax(logits: &mut [f32]) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - most).exp();
        sum += *logit;
    }
    logits.iter_mut().for_each(|p| *p /= sum);
}

/// The indices of the `k` largest, the largest first; of equals the first first.
pub fn top_k(probabilities: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b)));
    order.truncate(k);
    order
}

/// Numbers as packed little-endian bytes.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Packed little-endian bytes as numbers; a rest of fewer than four bytes is left out.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_the_same_after_a_file() {
        let head =
            LinearHead { weights: vec![1.0, -2.0, 0.5, 3.0, 0.0, 1.0], bias: vec![0.1, 0.2], dimension: 3, classes: 2 };
        let file = head.to_safetensors(HashMap::from([("space".into(), "net@0".into())])).unwrap();
        assert_eq!(LinearHead::from_safetensors(&file).unwrap(), head);
        assert_eq!(head.logits(vec![1.0, 1.0, 1.0], 1).unwrap(), [1.6, 2.2]);
        assert!(LinearHead::from_safetensors(&file[..file.len() - 4]).is_err());
        let mut cooler = head.clone();
        cooler.scale(2.0);
        assert_eq!(cooler.logits(vec![1.0, 1.0, 1.0], 1).unwrap(), [0.8, 1.1]);
        let cut = LinearHead { bias: vec![0.1], ..head };
        assert!(cut.to_safetensors(HashMap::new()).is_err());
    }

    #[test]
    fn the_same_head_gives_the_same_bytes() {
        let head = LinearHead { weights: vec![1.0, 2.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 };
        let file = || head.to_safetensors((0..20).map(|i| (format!("key {i}"), format!("{i}\"\n"))).collect()).unwrap();
        assert_eq!(file(), file());
        let (_, metadata) = SafeTensors::read_metadata(&file()).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["key 7"], "7\"\n");
    }

    #[test]
    fn probabilities_add_up_and_ties_keep_their_order() {
        let mut row = [1000.0, 1000.0, -1000.0, 999.0];
        softmax(&mut row);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(top_k(&row, 3), [0, 1, 3]);
        assert_eq!(top_k(&row, 99).len(), 4);
    }
}
