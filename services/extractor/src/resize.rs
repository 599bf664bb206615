//! Pillow's resize, bit for bit, of the part of an image that a crop keeps.
//!
//! Two passes over 8-bit pixels, columns first, each a weighted sum with 22-bit fixed-point weights that is rounded to
//! 8 bits (Pillow's `Resample.c`; the filters are those of its documentation). Shrinking widens the filter in proportion,
//! which is the antialiasing. An output pixel's weights depend on the scale and its position alone, so that the pixels
//! outside the crop need not be computed.
//!
//! Crates that resize use weights of 16 bits or less: a sixth of the pixels differ by a level, and a cosine of 0.9996
//! between the embeddings is what comes of it.

use std::f64::consts::PI;

use pulp::{Arch, NullaryFnOnce};
use serde::Deserialize;

/// Bits after the point of a weight: what 32 bits leave over an 8-bit pixel and two bits for the negative lobes.
const PRECISION: u32 = 32 - 8 - 2;
/// A half, in fixed point: rounds what is shifted right afterwards.
const HALF: i32 = 1 << (PRECISION - 1);

/// The filter of a resize.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// A triangle.
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Lanczos' windowed sinc of three lobes.
    Lanczos,
}

impl Interpolation {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Lanczos => "lanczos",
        }
    }

    /// How far the filter reaches, in pixels of the smaller image.
    fn support(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Interpolation::Bilinear if x < 1.0 => 1.0 - x,
            Interpolation::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Interpolation::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// One axis of a resize: which pixels of the source each pixel of the crop is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    key: Key,
    /// The first source pixel of each, and how many there are.
    spans: Vec<(u32, u32)>,
    /// Weights, [`taps`](Self::taps) for each pixel of the crop; the unused ones are 0.
    weights: Vec<i32>,
    taps: usize,
}

/// All that an axis depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Pixels of the source.
    pub source: u32,
    /// Pixels that the whole source is resized to.
    pub resized: u64,
    /// Where the crop begins, in resized pixels.
    pub offset: u64,
    /// Pixels of the crop.
    pub crop: u32,
    /// The filter.
    pub interpolation: Interpolation,
}

impl Axis {
    /// Compute the weights.
    pub fn new(key: Key) -> Axis {
        let scale = f64::from(key.source) / key.resized as f64;
        let stretch = scale.max(1.0);
        let support = key.interpolation.support() * stretch;
        let taps = support.ceil() as usize * 2 + 1;
        let mut axis = Axis {
            key,
            spans: Vec::with_capacity(key.crop as usize),
            weights: vec![0; taps * key.crop as usize],
            taps,
        };
        for (position, weights) in axis.weights.chunks_exact_mut(taps).enumerate() {
            let centre = ((key.offset + position as u64) as f64 + 0.5) * scale;
            if key.interpolation == Interpolation::Nearest {
                weights[0] = 1 << PRECISION;
                axis.spans.push(((centre as u32).min(key.source - 1), 1));
                continue;
            }
            let first = (centre - support + 0.5).max(0.0) as u32;
            let end = ((centre + support + 0.5) as u32).min(key.source);
            let exact: Vec<f64> = (first..end)
                .map(|pixel| key.interpolation.weight((f64::from(pixel) - centre + 0.5) / stretch))
                .collect();
            let sum: f64 = exact.iter().sum();
            for (slot, weight) in weights.iter_mut().zip(&exact) {
                let normal = if sum == 0.0 { *weight } else { weight / sum };
                // Rounded half away from zero, as C's cast of x ± 0.5 does.
                *slot = (normal * f64::from(1 << PRECISION)).round() as i32;
            }
            axis.spans.push((first, exact.len() as u32));
        }
        axis
    }

    /// The source pixels that the crop is made of: from, to.
    fn reach(&self) -> (u32, u32) {
        let from = self.spans.iter().map(|(first, _)| *first).min().unwrap_or(0);
        (from, self.spans.iter().map(|(first, count)| first + count).max().unwrap_or(0))
    }

    fn of(&self, position: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[position];
        let start = position * self.taps;
        (first as usize, &self.weights[start..start + count as usize])
    }
}

/// Resizes one image after the other, keeping its buffers and, while the size stays the same, its weights.
#[derive(Debug)]
pub struct Resizer {
    arch: Arch,
    columns: Option<Axis>,
    rows: Option<Axis>,
    /// The source rows that the crop needs, their columns resized already.
    between: Vec<u8>,
    sums: Vec<i32>,
    output: Vec<u8>,
}

impl Resizer {
    /// A resizer that uses the best instructions of this processor.
    pub fn new() -> Resizer {
        let arch = Arch::new();
        Resizer { arch, columns: None, rows: None, between: vec![], sums: vec![], output: vec![] }
    }

    /// Resize `pixels`, `[source rows, source columns, channels]`, and give the crop, of the same form.
    pub fn resize(&mut self, pixels: &[u8], channels: usize, columns: Key, rows: Key) -> &[u8] {
        let columns = cached(&mut self.columns, columns);
        let rows = cached(&mut self.rows, rows);
        self.arch.dispatch(Passes {
            pixels,
            channels,
            columns,
            rows,
            between: &mut self.between,
            sums: &mut self.sums,
            output: &mut self.output,
        });
        &self.output
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

/// Both passes, compiled once for each family of instructions.
struct Passes<'a> {
    pixels: &'a [u8],
    channels: usize,
    columns: &'a Axis,
    rows: &'a Axis,
    between: &'a mut Vec<u8>,
    sums: &'a mut Vec<i32>,
    output: &'a mut Vec<u8>,
}

impl NullaryFnOnce for Passes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Passes { pixels, channels, columns, rows, between, sums, output } = self;
        let (from, to) = rows.reach();
        let line = columns.spans.len() * channels;
        let source_line = columns.key.source as usize * channels;
        between.resize((to - from) as usize * line, 0);
        let sources = pixels[from as usize * source_line..].chunks_exact(source_line);
        for (source, target) in sources.zip(between.chunks_exact_mut(line)) {
            if channels == 1 {
                resize_line::<1>(source, columns, target);
            } else {
                resize_line::<3>(source, columns, target);
            }
        }
        output.resize(rows.spans.len() * line, 0);
        sums.resize(line, 0);
        for (position, target) in output.chunks_exact_mut(line).enumerate() {
            let (first, weights) = rows.of(position);
            let start = (first - from as usize) * line;
            sums.fill(HALF);
            for (weight, row) in weights.iter().zip(between[start..].chunks_exact(line)) {
                for (sum, pixel) in sums.iter_mut().zip(row) {
                    *sum += weight * i32::from(*pixel);
                }
            }
            for (pixel, sum) in target.iter_mut().zip(sums.iter()) {
                *pixel = round(*sum);
            }
        }
    }
}

/// Resize the columns of one row of pixels with `N` channels.
#[inline(always)]
fn resize_line<const N: usize>(source: &[u8], columns: &Axis, target: &mut [u8]) {
    let pixels = source.as_chunks::<N>().0;
    for (position, target) in target.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        let (first, weights) = columns.of(position);
        let mut sums = [HALF; N];
        for (weight, pixel) in weights.iter().zip(&pixels[first..]) {
            for channel in 0..N {
                sums[channel] += weight * i32::from(pixel[channel]);
            }
        }
        *target = sums.map(round);
    }
}

#[inline(always)]
fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Interpolation; 4] =
        [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos];

    fn key(source: u32, resized: u64, offset: u64, crop: u32, interpolation: Interpolation) -> Key {
        Key { source, resized, offset, crop, interpolation }
    }

    #[test]
    fn the_crop_is_a_part_of_the_whole() {
        for interpolation in ALL {
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
        for interpolation in ALL {
            let plain = key(37, 91, 3, 80, interpolation);
            assert!(Resizer::new().resize(&[201; 37 * 37], 1, plain, plain).iter().all(|pixel| *pixel == 201));
            let pixels: Vec<u8> = (0..64 * 64).map(|i| (i * 7 % 256) as u8).collect();
            let same = key(64, 64, 0, 64, interpolation);
            assert_eq!(Resizer::new().resize(&pixels, 1, same, same), pixels, "{interpolation:?}");
        }
    }
}
