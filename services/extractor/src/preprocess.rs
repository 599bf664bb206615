//! Pixels become the network's input, exactly as Pillow and torchvision make it.
//!
//! `Resize(n)`: the shorter side becomes `n`, the longer one `int(n * long / short)`; see [`resize`](crate::resize).
//! `CenterCrop`: the offset is `round((size - crop) / 2)`, half to even, as Python rounds.
//! `ToTensor` and `Normalize`: `(p / 255 - mean) / std`, planes of red, green and blue.

use serde::Deserialize;

use crate::{
    decode::Decoded,
    resize::{Interpolation, Key, Resizer},
};

/// What is done to an image before the network sees it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The shorter side is resized to this many pixels.
    pub resize: u32,
    /// The filter of the resize.
    pub interpolation: Interpolation,
    /// The side of the square centre crop, in pixels; at most `resize`.
    pub crop: u32,
    /// Mean of red, green and blue on [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue on [0, 1].
    pub std: [f32; 3],
}

/// Preprocesses one image after the other, keeping its buffers. One a thread.
#[derive(Debug)]
pub struct Preprocessor {
    preprocessing: Preprocessing,
    resizer: Resizer,
    /// The normalised value of each level, for red, green and blue.
    levels: [[f32; 256]; 3],
}

impl Preprocessor {
    /// A preprocessor for images of any size.
    pub fn new(preprocessing: &Preprocessing) -> Preprocessor {
        let level = |channel: usize| {
            let (mean, std) = (preprocessing.mean[channel], preprocessing.std[channel]);
            std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std)
        };
        let levels = [level(0), level(1), level(2)];
        Preprocessor { preprocessing: preprocessing.clone(), resizer: Resizer::new(), levels }
    }

    /// Numbers that one image becomes: `3 * crop * crop`.
    pub fn output_len(&self) -> usize {
        3 * (self.preprocessing.crop as usize).pow(2)
    }

    /// Write `image` to `slot` as `[3, crop, crop]`: RGB, normalised. `slot` has [`output_len`](Self::output_len) numbers.
    pub fn run(&mut self, image: &Decoded<'_>, slot: &mut [f32]) {
        let Preprocessing { resize, crop, interpolation, .. } = self.preprocessing;
        let (width, height) = resized(image.width, image.height, resize);
        let key = |source, resized| {
            let offset = crop_offset(resized, crop);
            Key { source, resized, offset, crop, interpolation }
        };
        let channels = image.channels as usize;
        let pixels = self.resizer.resize(&image.data, channels, key(image.width, width), key(image.height, height));
        normalise(pixels, channels, &self.levels, slot);
    }
}

/// The size after torchvision's `Resize(shorter)`.
fn resized(width: u32, height: u32, shorter: u32) -> (u64, u64) {
    let (short, long) = (u64::from(width.min(height)), u64::from(width.max(height)));
    let longer = u64::from(shorter) * long / short.max(1);
    if width <= height { (u64::from(shorter), longer) } else { (longer, u64::from(shorter)) }
}

/// Where torchvision's `CenterCrop` begins: `int(round((size - crop) / 2))`, half to even.
fn crop_offset(size: u64, crop: u32) -> u64 {
    let spare = size.saturating_sub(u64::from(crop));
    let half = spare / 2;
    if spare % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

fn normalise(pixels: &[u8], channels: usize, levels: &[[f32; 256]; 3], slot: &mut [f32]) {
    let plane = pixels.len() / channels.max(1);
    for (channel, (plane, levels)) in slot.chunks_exact_mut(plane).zip(levels).enumerate() {
        // A grey image is the same in red, green and blue.
        let first = if channels == 1 { 0 } else { channel };
        for (value, pixel) in plane.iter_mut().zip(pixels[first..].iter().step_by(channels)) {
            *value = levels[usize::from(*pixel)];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn preprocessing(interpolation: Interpolation) -> Preprocessing {
        Preprocessing { resize: 256, interpolation, crop: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }

    /// Python's `int(round(spare / 2))`, said with floating point.
    fn python_offset(size: u64, crop: u32) -> u64 {
        ((size as f64 - f64::from(crop)) / 2.0).round_ties_even() as u64
    }

    proptest! {
        #[test]
        fn offsets_are_rounded_as_python_rounds(size in 224u64..5_000_000) {
            prop_assert_eq!(crop_offset(size, 224), python_offset(size, 224));
        }
    }

    #[test]
    fn the_longer_side_is_truncated() {
        assert_eq!(resized(451, 300, 256), (384, 256));
        assert_eq!(resized(28, 28, 256), (256, 256));
        assert_eq!(resized(1, 16_384, 256), (256, 4_194_304));
    }

    #[test]
    fn grey_is_the_same_in_all_planes_but_for_the_normalisation() {
        let data: Vec<u8> = (0..784).map(|i| (i % 256) as u8).collect();
        let image = Decoded { height: 28, width: 28, channels: 1, data: Cow::Borrowed(&data) };
        let rgb: Vec<u8> = data.iter().flat_map(|p| [*p; 3]).collect();
        let colour = Decoded { height: 28, width: 28, channels: 3, data: Cow::Borrowed(&rgb) };
        let mut preprocessor = Preprocessor::new(&preprocessing(Interpolation::Bicubic));
        let (mut a, mut b) = (vec![0.0; preprocessor.output_len()], vec![0.0; preprocessor.output_len()]);
        preprocessor.run(&image, &mut a);
        preprocessor.run(&colour, &mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn the_thinnest_images_are_no_trouble() {
        for (width, height) in [(1, 1), (1, 16_384), (16_384, 1)] {
            let data = vec![255; (width * height) as usize];
            let image = Decoded { height, width, channels: 1, data: Cow::Borrowed(&data) };
            let mut preprocessor = Preprocessor::new(&preprocessing(Interpolation::Lanczos));
            let mut slot = vec![0.0; preprocessor.output_len()];
            preprocessor.run(&image, &mut slot);
            assert!(slot.iter().all(|value| *value > 2.0), "white stays white");
        }
    }
}
