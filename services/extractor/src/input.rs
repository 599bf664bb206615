//! What a job brings to a batch: an image that is still to be decoded, or a tensor that is ready to be run.

use bytes::Bytes;

use crate::decode::Source;

/// What is to be embedded.
#[derive(Clone, Debug)]
pub enum Input {
    /// An image: to be decoded and preprocessed.
    Image(Source),
    /// An encoded image that its caller named by a URI.
    Fetched(Bytes),
    /// The network's input as its caller preprocessed it: `[3, height, width]`, f32, little-endian.
    Tensor(Bytes),
}

/// Why a tensor cannot be run.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TensorError {
    /// Not as many bytes as the network's input has.
    #[error("{found} bytes; {expected} are expected")]
    Length {
        /// The bytes found.
        found: usize,
        /// The bytes of one input.
        expected: usize,
    },
    /// A number that no image becomes. Where a network computes its scales from the whole batch, it would spoil others.
    #[error("number {index} is {value}; finite numbers are accepted")]
    NotFinite {
        /// Where it stands, counted from 0.
        index: usize,
        /// The number.
        value: f32,
    },
}

impl Input {
    /// Its size as it came, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Input::Image(source) => source.len(),
            Input::Fetched(bytes) | Input::Tensor(bytes) => bytes.len(),
        }
    }

    /// Add it to a hash. Each kind of input has a tag of its own, and raw pixels have their shape before them, so that no two
    /// inputs read the same; an image is the same wherever it came from.
    pub fn add_to(&self, hasher: &mut blake3::Hasher) {
        match self {
            Input::Image(Source::Encoded(bytes)) | Input::Fetched(bytes) => hasher.update(b"encoded\0").update(bytes),
            Input::Image(Source::Pixels(pixels)) => {
                hasher.update(b"pixels\0\0");
                for number in [pixels.height, pixels.width, pixels.channels] {
                    hasher.update(&number.to_le_bytes());
                }
                hasher.update(&pixels.data)
            }
            Input::Tensor(bytes) => hasher.update(b"tensor\0\0").update(bytes),
        };
    }

    /// What its views are drawn by.
    pub fn content(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        self.add_to(&mut hasher);
        *hasher.finalize().as_bytes()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Copy a tensor's bytes into the slot of a batch.
pub fn copy_tensor(bytes: &[u8], slot: &mut [f32]) -> Result<(), TensorError> {
    let expected = size_of_val(slot);
    if bytes.len() != expected {
        return Err(TensorError::Length { found: bytes.len(), expected });
    }
    for (value, four) in slot.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*four);
    }
    match slot.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(TensorError::NotFinite { index, value: slot[index] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn a_tensor_is_copied_as_it_is() {
        let mut slot = [0.0; 3];
        copy_tensor(&packed(&[1.5, -2.0, f32::MIN_POSITIVE]), &mut slot).unwrap();
        assert_eq!(slot, [1.5, -2.0, f32::MIN_POSITIVE]);
    }

    #[test]
    fn a_tensor_that_does_not_fit_or_is_not_finite_is_refused() {
        let mut slot = [0.0; 3];
        let short = copy_tensor(&packed(&[1.0, 2.0])[..7], &mut slot);
        assert_eq!(short, Err(TensorError::Length { found: 7, expected: 12 }));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let message = copy_tensor(&packed(&[0.0, 1.0, value]), &mut slot).unwrap_err().to_string();
            assert!(message.contains("number 2") && message.contains("finite"), "{message}");
        }
    }
}
