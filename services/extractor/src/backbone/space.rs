//! The id of an embedding space. An embedding means something only inside its space.

use std::fmt;

use crate::preprocessing::{Preprocessing, Resize, Scale};

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
    let Preprocessing { resize, interpolation, crop, scale, mean, std, channels, layout } = preprocessing;
    let resize = match resize {
        Resize::Shorter(side) => side.to_string(),
        Resize::Exact(size) => format!("{}x{}", size.height, size.width),
    };
    // The usual scale is not written, so that spaces are what they were before there was another.
    let scale = if *scale == Scale::Unit { String::new() } else { format!("scale={} ", scale.name()) };
    let bits = |values: &[f32; 3]| values.map(|value| format!("{:08x}", value.to_bits())).join(",");
    format!(
        "resize={resize} {} crop={crop} mean={} std={} {scale}{} {}",
        interpolation.name(),
        bits(mean),
        bits(std),
        channels.name(),
        layout.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        preprocessing::{Channels, Layout, Size},
        resize::Interpolation,
    };

    fn plain() -> Preprocessing {
        Preprocessing {
            resize: Resize::Shorter(256),
            interpolation: Interpolation::Bicubic,
            crop: Size::square(224),
            scale: Scale::Unit,
            mean: [0.5; 3],
            std: [0.5; 3],
            channels: Channels::Rgb,
            layout: Layout::Nchw,
        }
    }

    fn space(model: &str, tensor: &str, preprocessing: &Preprocessing, precision: &str) -> String {
        SpaceId::new("net", &blake3::hash(model.as_bytes()), tensor, preprocessing, precision).to_string()
    }

    #[test]
    fn everything_that_matters_changes_the_space() {
        let base = space("model", "pool", &plain(), "fp32");
        assert_eq!(base, space("model", "pool", &plain(), "fp32"));
        assert!(base.starts_with("net@") && base.len() == 4 + HASH_DIGITS, "{base}");
        let mut spaces = vec![
            base,
            space("other model", "pool", &plain(), "fp32"),
            space("model", "pool2", &plain(), "fp32"),
            space("model", "pool", &plain(), "int8"),
        ];
        let square = Size::square(256);
        let changes = [
            Preprocessing { resize: Resize::Shorter(255), ..plain() },
            Preprocessing { resize: Resize::Exact(square), ..plain() },
            Preprocessing { resize: Resize::Exact(Size { width: 255, ..square }), ..plain() },
            Preprocessing { resize: Resize::Exact(Size { height: 255, ..square }), ..plain() },
            Preprocessing { crop: Size::square(223), ..plain() },
            Preprocessing { crop: Size { height: 224, width: 223 }, ..plain() },
            Preprocessing { crop: Size { height: 223, width: 224 }, ..plain() },
            Preprocessing { scale: Scale::Symmetric, ..plain() },
            Preprocessing { scale: Scale::Raw, ..plain() },
            Preprocessing { mean: [0.5, 0.5, 0.25], ..plain() },
            Preprocessing { std: [0.5, 0.5, 0.25], ..plain() },
            Preprocessing { channels: Channels::Bgr, ..plain() },
            Preprocessing { layout: Layout::Nhwc, ..plain() },
        ];
        spaces.extend(changes.iter().map(|changed| space("model", "pool", changed, "fp32")));
        let others = Interpolation::ALL.into_iter().filter(|filter| *filter != Interpolation::Bicubic);
        spaces.extend(
            others.map(|interpolation| space("model", "pool", &Preprocessing { interpolation, ..plain() }, "fp32")),
        );
        let count = spaces.len();
        spaces.sort();
        spaces.dedup();
        assert_eq!(spaces.len(), count, "no two are alike");
    }

    #[test]
    fn the_usual_preprocessing_is_written_as_it_always_was() {
        let expected =
            "resize=256 bicubic crop=224 mean=3f000000,3f000000,3f000000 std=3f000000,3f000000,3f000000 rgb nchw";
        assert_eq!(canonical(&plain()), expected);
    }
}
