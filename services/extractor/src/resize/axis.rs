//! One axis of a resize: which pixels of the source each pixel of the crop is made of, and how much of each.

use super::filter::Interpolation;

/// Bits after the point of a weight: what 32 bits leave over an 8-bit pixel and two bits for the negative lobes.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

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

/// The weights of one axis, in fixed point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    pub(super) key: Key,
    /// The first source pixel that the crop is made of.
    pub(super) from: usize,
    /// The end of the source pixels that it is made of.
    pub(super) to: usize,
    /// The first source pixel of each pixel of the crop.
    pub(super) firsts: Vec<u32>,
    /// Weights, `taps` for each pixel of the crop, the unused ones 0.
    pub(super) weights: Vec<i32>,
    /// How many source pixels the widest pixel of the crop is made of.
    pub(super) taps: usize,
    /// The same weights for [`avx2`](super::avx2), `taps / 4` groups, rounded up, for each pixel of the crop.
    pub(super) groups: Vec<Group>,
}

/// Four weights in halves of 16 bits, so that one instruction multiplies and adds two of them: the upper parts of the
/// first two weights, their lower parts, then those of the other two. A weight is `upper << LOWER | lower`.
pub(super) type Group = [i32; 4];

/// Bits of the lower part of a weight: it stays positive in 16 bits, and so does the upper part of 22 and a sign.
pub(super) const LOWER: u32 = 11;

impl Axis {
    /// Compute the weights.
    pub fn new(key: Key) -> Axis {
        let spans = if key.interpolation == Interpolation::Nearest { nearest(key) } else { filtered(key) };
        let taps = spans.iter().map(|span| span.weights.len()).max().unwrap_or(0);
        let firsts: Vec<u32> = spans.iter().map(|span| span.first).collect();
        let from = firsts.iter().min().copied().unwrap_or(0) as usize;
        let last = firsts.iter().max().copied().unwrap_or(0) as usize;
        let to = (last + taps).min(key.source as usize);
        let padded = |span: &Span| {
            let unused = taps - span.weights.len();
            span.weights.iter().copied().chain(std::iter::repeat_n(0, unused)).collect::<Vec<i32>>()
        };
        let weights: Vec<i32> = spans.iter().flat_map(padded).collect();
        let groups = weights.chunks_exact(taps.max(1)).flat_map(|weights| weights.chunks(4).map(group)).collect();
        Axis { key, from, to, firsts, weights, taps, groups }
    }

    /// The first source pixel of the pixel at `position`, and the weights from there on.
    #[inline(always)]
    pub(super) fn of(&self, position: usize) -> (usize, &[i32]) {
        let start = position * self.taps;
        (self.firsts[position] as usize, &self.weights[start..start + self.taps])
    }
}

/// Up to four weights as a group, the missing ones 0.
fn group(weights: &[i32]) -> Group {
    let weight = |index: usize| weights.get(index).copied().unwrap_or(0);
    let two = |a: i32, b: i32| (a & 0xffff) | (b << 16);
    let upper = |index| two(weight(index) >> LOWER, weight(index + 1) >> LOWER);
    let lower = |index| two(weight(index) & ((1 << LOWER) - 1), weight(index + 1) & ((1 << LOWER) - 1));
    [upper(0), lower(0), upper(2), lower(2)]
}

/// What one pixel of the crop is made of.
struct Span {
    first: u32,
    weights: Vec<i32>,
}

/// Pillow adds the scale up pixel by pixel, and so is where its sum is a hair off a whole number.
fn nearest(key: Key) -> Vec<Span> {
    let scale = f64::from(key.source) / key.resized as f64;
    let mut centre = scale * 0.5;
    for _ in 0..key.offset {
        centre += scale;
    }
    let mut next = || {
        let first = (centre as u32).min(key.source - 1);
        centre += scale;
        Span { first, weights: vec![1 << PRECISION] }
    };
    (0..key.crop).map(|_| next()).collect()
}

fn filtered(key: Key) -> Vec<Span> {
    let scale = f64::from(key.source) / key.resized as f64;
    // Shrinking widens the filter, which is the antialiasing.
    let stretch = scale.max(1.0);
    let support = key.interpolation.support() * stretch;
    let span = |position: u32| {
        let centre = ((key.offset + u64::from(position)) as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as u32;
        let end = ((centre + support + 0.5) as u32).min(key.source);
        let weight = |pixel| key.interpolation.weight((f64::from(pixel) - centre + 0.5) / stretch);
        let exact: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = exact.iter().sum();
        let fixed = |weight: &f64| {
            let normal = if sum == 0.0 { *weight } else { weight / sum };
            // Rounded half away from zero, as C's cast of x ± 0.5 does.
            (normal * f64::from(1 << PRECISION)).round() as i32
        };
        trimmed(first, exact.iter().map(fixed).collect())
    };
    (0..key.crop).map(span).collect()
}

/// Without the zeros at both ends, which need no multiplication.
fn trimmed(first: u32, mut weights: Vec<i32>) -> Span {
    while weights.len() > 1 && weights.last() == Some(&0) {
        weights.pop();
    }
    let zeros = weights.iter().take_while(|weight| **weight == 0).count().min(weights.len().saturating_sub(1));
    weights.drain(..zeros);
    Span { first: first + zeros as u32, weights }
}
