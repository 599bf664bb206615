//! The id of an embedding space. An embedding means something only inside its space.

use std::fmt;

use crate::preprocess::Preprocessing;

/// Hexadecimal digits of the hash in an id: 64 bits, plenty for the spaces that one installation ever sees.
const HASH_DIGITS: usize = 16;

/// `NAME@HASH`: the backbone's name, and a hash over all that decides what its numbers mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpaceId(String);

impl SpaceId {
    /// The space of a model with this BLAKE3 hash, cut at `feature_tensor`, fed by `preprocessing`, run in `precision`.
    pub fn new(
        name: &str,
        model: &blake3::Hash,
        feature_tensor: &str,
        preprocessing: &Preprocessing,
        precision: &str,
    ) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"graft embedding space 1\n");
        hasher.update(model.as_bytes());
        for part in [feature_tensor, &canonical(preprocessing), precision] {
            // The length first, so that no two lists of parts read the same.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        SpaceId(format!("{name}@{}", &hasher.finalize().to_hex()[..HASH_DIGITS]))
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One text for one preprocessing, whatever order or spelling its manifest has. Floats are written by their bits.
fn canonical(preprocessing: &Preprocessing) -> String {
    let Preprocessing { resize, interpolation, crop, mean, std } = preprocessing;
    let bits = |values: &[f32; 3]| values.map(|value| format!("{:08x}", value.to_bits())).join(",");
    format!("resize={resize} {} crop={crop} mean={} std={} rgb nchw", interpolation.name(), bits(mean), bits(std))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize::Interpolation;

    #[test]
    fn everything_that_matters_changes_the_space() {
        let plain = Preprocessing {
            resize: 256,
            interpolation: Interpolation::Bicubic,
            crop: 224,
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        let (model, other) = (blake3::hash(b"model"), blake3::hash(b"other model"));
        let space = |model, tensor, preprocessing: &Preprocessing, precision| {
            SpaceId::new("net", model, tensor, preprocessing, precision).to_string()
        };
        let base = space(&model, "pool", &plain, "fp32");
        assert_eq!(base, space(&model, "pool", &plain, "fp32"));
        assert!(base.starts_with("net@") && base.len() == 4 + HASH_DIGITS, "{base}");
        let nearest = Preprocessing { interpolation: Interpolation::Nearest, ..plain.clone() };
        for changed in [
            space(&other, "pool", &plain, "fp32"),
            space(&model, "pool2", &plain, "fp32"),
            space(&model, "pool", &nearest, "fp32"),
            space(&model, "pool", &plain, "int8"),
        ] {
            assert_ne!(base, changed);
        }
    }
}
