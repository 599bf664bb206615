//! Pillow's resize, bit for bit, of the part of an image that a crop keeps.
//!
//! Two passes over 8-bit pixels, mostly columns first, each a weighted sum with 22-bit fixed-point weights that is rounded to
//! 8 bits (Pillow's `Resample.c`; the filters are those of its documentation). Shrinking widens the filter in proportion,
//! which is the antialiasing. An output pixel's weights depend on the scale and its position alone, so that the pixels
//! outside the crop need not be computed.
//!
//! Crates that resize use weights of 16 bits or less: a sixth of the pixels differ by a level, and a cosine of 0.9996
//! between the embeddings is what comes of it.
//!
//! # Layout
//! - [`filter`]: nearest, box, bilinear, Hamming, bicubic, Lanczos.
//! - [`axis`]: which source pixels a pixel is made of.
//! - `passes`: the two passes in their order; `portable`, `avx2`: how they are computed.

pub mod axis;
pub mod filter;

#[cfg(target_arch = "x86_64")]
mod avx2;
mod passes;
mod portable;

pub use axis::{Axis, Key};
pub use filter::Interpolation;

use passes::{Buffers, Passes};
use portable::Portable;

/// Resizes one image after the other, keeping its buffers and, while the size stays the same, its weights.
#[derive(Debug)]
pub struct Resizer {
    instructions: Instructions,
    columns: Option<Axis>,
    rows: Option<Axis>,
    buffers: Buffers,
}

/// What this processor can do.
#[derive(Clone, Copy, Debug)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    Others(pulp::Arch),
}

impl Resizer {
    /// A resizer that uses the best instructions of this processor.
    pub fn new() -> Resizer {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Resizer::with(Instructions::Avx2(simd));
        }
        Resizer::portable()
    }

    /// A resizer that needs nothing special of a processor.
    pub fn portable() -> Resizer {
        Resizer::with(Instructions::Others(pulp::Arch::new()))
    }

    fn with(instructions: Instructions) -> Resizer {
        Resizer { instructions, columns: None, rows: None, buffers: Buffers::default() }
    }

    /// Resize `pixels`, `[source rows, source columns, channels]` with 1 or 3 channels, and give the crop, of the same form.
    pub fn resize(&mut self, pixels: &[u8], channels: usize, columns: Key, rows: Key) -> &[u8] {
        let columns = cached(&mut self.columns, columns);
        let rows = cached(&mut self.rows, rows);
        let passes = Passes { pixels, channels, columns, rows, buffers: &mut self.buffers };
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(simd) => simd.vectorize(avx2::Avx2 { simd, passes }),
            Instructions::Others(arch) => arch.dispatch(Portable(passes)),
        }
        &self.buffers.output
    }
}

impl Default for Resizer {
    fn default() -> Self {
        Resizer::new()
    }
}

fn cached(slot: &mut Option<Axis>, key: Key) -> &Axis {
    if slot.as_ref().is_none_or(|axis| axis.key != key) {
        *slot = None;
    }
    slot.get_or_insert_with(|| Axis::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: u32, resized: u64, offset: u64, crop: u32, interpolation: Interpolation) -> Key {
        Key { source, resized, offset, crop, interpolation }
    }

    #[test]
    fn the_crop_is_a_part_of_the_whole() {
        for interpolation in Interpolation::ALL {
            for (source, resized) in [(28, 256), (451, 384), (999, 256), (256, 256)] {
                let pixels: Vec<u8> = (0..source * source * 3).map(|i| (i * i % 251 + i / 7 % 5) as u8).collect();
                let whole = key(source, resized, 0, resized as u32, interpolation);
                let part = key(source, resized, 16, 224, interpolation);
                let mut resizer = Resizer::new();
                let whole = resizer.resize(&pixels, 3, whole, whole).to_vec();
                let cropped = resizer.resize(&pixels, 3, part, part);
                for (y, row) in cropped.chunks_exact(224 * 3).enumerate() {
                    let start = ((y + 16) * resized as usize + 16) * 3;
                    assert_eq!(row, &whole[start..start + 224 * 3], "{interpolation:?} {source} row {y}");
                }
            }
        }
    }

    #[test]
    fn a_plain_colour_stays_and_the_same_size_changes_nothing() {
        for interpolation in Interpolation::ALL {
            let plain = key(37, 91, 3, 80, interpolation);
            assert!(Resizer::new().resize(&[201; 37 * 37], 1, plain, plain).iter().all(|pixel| *pixel == 201));
            let pixels: Vec<u8> = (0..64 * 64).map(|i| (i * 7 % 256) as u8).collect();
            let same = key(64, 64, 0, 64, interpolation);
            assert_eq!(Resizer::new().resize(&pixels, 1, same, same), pixels, "{interpolation:?}");
        }
    }

    #[test]
    fn all_instructions_give_the_same_pixels() {
        let sizes = [(1, 5, 5), (3, 7, 4), (97, 64, 33), (301, 50, 50), (64, 200, 199), (513, 17, 1)];
        for interpolation in Interpolation::ALL {
            for ((width, to_width, crop_width), (height, to_height, crop_height)) in
                sizes.iter().flat_map(|columns| sizes.iter().map(move |rows| (*columns, *rows)))
            {
                for channels in [1, 3] {
                    let pixels: Vec<u8> = (0..width as usize * height as usize * channels)
                        .map(|i| (i * i % 253 + i / 9 % 3) as u8)
                        .collect();
                    let columns =
                        key(width, to_width, (to_width - u64::from(crop_width)) / 2, crop_width, interpolation);
                    let rows = key(height, to_height, 0, crop_height, interpolation);
                    let mut portable = Resizer::portable();
                    let expected = portable.resize(&pixels, channels, columns, rows);
                    assert_eq!(expected.len(), crop_width as usize * crop_height as usize * channels);
                    assert_eq!(
                        Resizer::new().resize(&pixels, channels, columns, rows),
                        expected,
                        "{columns:?} {rows:?}"
                    );
                }
            }
        }
    }
}
