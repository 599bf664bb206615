//! Logits that are linear in the embedding: one representation for every objective that gives such a head, so that many heads can
//! be one matrix product.

use candle_core::{Device, Tensor};

use super::file::{Contents, HeadError};

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

impl LinearHead {
    /// The logits of `rows` embeddings, `[rows, classes]`.
    ///
    /// # Errors
    /// Embeddings that are not `rows` times the dimension.
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

    /// Numbers that it holds.
    pub fn size(&self) -> usize {
        self.weights.len() + self.bias.len()
    }

    pub(super) fn write(&self, contents: &mut Contents) {
        contents.tensor("weight", vec![self.dimension, self.classes], &self.weights);
        contents.tensor("bias", vec![self.classes], &self.bias);
    }

    pub(super) fn read(contents: &Contents) -> Result<LinearHead, HeadError> {
        let (dimension, classes) = contents.matrix("weight")?;
        let weights = contents.numbers("weight", &[dimension, classes])?;
        Ok(LinearHead { weights, bias: contents.numbers("bias", &[classes])?, dimension, classes })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Head;
    use super::*;

    #[test]
    fn logits_are_products_and_biases() {
        let mut head =
            LinearHead { weights: vec![1.0, -2.0, 0.5, 3.0, 0.0, 1.0], bias: vec![0.1, 0.2], dimension: 3, classes: 2 };
        assert_eq!(head.logits(vec![1.0, 1.0, 1.0], 1).unwrap(), [1.6, 2.2]);
        head.scale(2.0);
        assert_eq!(head.logits(vec![1.0, 1.0, 1.0], 1).unwrap(), [0.8, 1.1]);
    }

    #[test]
    fn a_file_of_the_first_version_still_opens() {
        // Byte by byte as version 0.1.0 wrote it: no kind beside the tensors.
        let header = br#"{"__metadata__":{"space":"net@0"},"bias":{"data_offsets":[0,8],"dtype":"F32","shape":[2]},"weight":{"data_offsets":[8,16],"dtype":"F32","shape":[1,2]}}  "#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        file.extend([0.0f32, 0.5, 1.0, 2.0].iter().flat_map(|number| number.to_le_bytes()));
        let expected = LinearHead { weights: vec![1.0, 2.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 };
        let read = Head::from_safetensors(&file).unwrap();
        assert_eq!(read, Head::Linear(expected));
        let metadata = [("space".to_owned(), "net@0".to_owned())].into();
        let written = read.to_safetensors(metadata).unwrap();
        assert_eq!(Head::from_safetensors(&written).unwrap(), read);
    }
}
