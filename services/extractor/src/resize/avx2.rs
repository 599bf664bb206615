//! Both passes with AVX2, the same numbers as [`portable`](super::portable) bit by bit.
//!
//! A product of an 8-bit pixel and a weight of 23 bits does not fit the fast instruction, which multiplies 16 bits by 16 and
//! adds pairs. So each weight is cut into an upper and a lower part ([`Group`](super::axis::Group)), the parts are summed
//! apart, and the two sums joined at the end. What overflows on the way does so modulo 2^32 and comes back.
//!
//! There are no closures here: one that is not inlined would not be compiled for AVX2, and cost more than it computes.

use std::arch::x86_64::{__m128i, __m256i};

use pulp::{NullaryFnOnce, cast, x86::V3};

use super::{
    axis::{Axis, Group, LOWER, PRECISION},
    passes::{BLOCK, Lines, Pass, Passes, SPARE},
    portable::{HALF, Loops},
};

/// Bytes of a line that are summed together in the pass over rows.
const LANES: usize = SPARE;
/// Bytes that are read from a line for four pixels of three channels.
const WINDOW: usize = 16;

/// What a byte of the selection is that gives 0.
const NONE: i8 = -1;
/// From the 12 bytes of four pixels: red of the first two, green of the first two, blue of the first two, each with 16 bits;
/// in the upper half the same of the other two pixels.
#[rustfmt::skip]
const PAIRS: [i8; 32] = [
    0, NONE, 3, NONE, 1, NONE, 4, NONE, 2, NONE, 5, NONE, NONE, NONE, NONE, NONE,
    6, NONE, 9, NONE, 7, NONE, 10, NONE, 8, NONE, 11, NONE, NONE, NONE, NONE, NONE,
];
/// The upper parts of a group: those of the first two weights in the lower half, of the other two in the upper half.
const UPPER_PARTS: [i32; 8] = [0, 0, 0, 0, 2, 2, 2, 2];
/// The lower parts.
const LOWER_PARTS: [i32; 8] = [1, 1, 1, 1, 3, 3, 3, 3];

/// The passes, for a processor that has been seen to have AVX2.
pub(super) struct Avx2<'a> {
    pub simd: V3,
    pub passes: Passes<'a>,
}

impl NullaryFnOnce for Avx2<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.passes.run(&self.simd);
    }
}

impl Pass for V3 {
    #[inline(always)]
    fn columns(&self, source: Lines<'_>, columns: &Axis, channels: usize, target: &mut [u8], stride: usize) {
        if channels != 3 {
            return Loops.columns(source, columns, channels, target, stride);
        }
        let groups = columns.taps.div_ceil(4);
        // Room for the weights that are 0 and reach past the end.
        let padded = source.length + groups * 12 + WINDOW;
        let mut window = vec![0; padded * BLOCK];
        for (block, targets) in target.chunks_exact_mut(stride * BLOCK).enumerate() {
            for row in 0..BLOCK.min(source.count.saturating_sub(block * BLOCK)) {
                let line = &source.data[(block * BLOCK + row) * source.stride..][..source.length];
                window[row * padded..][..source.length].copy_from_slice(line);
            }
            for (position, groups) in columns.groups.chunks_exact(groups).enumerate() {
                let start = (columns.firsts[position] as usize - columns.from) * 3;
                let pixels: [u32; BLOCK] = cast(resize_pixel(*self, &window, padded, start, groups));
                for (row, pixel) in pixels.iter().enumerate() {
                    // The fourth byte is written over by the next pixel.
                    targets[row * stride + position * 3..][..4].copy_from_slice(&pixel.to_le_bytes());
                }
            }
        }
    }

    #[inline(always)]
    fn rows(&self, source: Lines<'_>, rows: &Axis, target: &mut [u8]) {
        let groups = rows.taps.div_ceil(4);
        for (position, groups) in rows.groups.chunks_exact(groups).enumerate() {
            let first = rows.firsts[position] as usize - rows.from;
            let target = &mut target[position * source.length..];
            for start in (0..source.length).step_by(LANES) {
                let bytes = resize_block(*self, source, first, start, groups);
                // What goes past the end of a line is written over by the next one.
                target[start..][..LANES].copy_from_slice(&cast::<__m128i, [u8; LANES]>(bytes));
            }
        }
    }
}

/// One pixel of each of [`BLOCK`] lines: red, green, blue and a byte of no meaning each.
#[inline(always)]
fn resize_pixel(simd: V3, window: &[u8], padded: usize, start: usize, groups: &[Group]) -> __m128i {
    let zero = simd.avx._mm256_setzero_si256();
    let (mut upper, mut lower) = ([zero; BLOCK], [zero; BLOCK]);
    for (index, group) in groups.iter().enumerate() {
        let group = simd.avx2._mm256_broadcastsi128_si256(cast(*group));
        let upper_parts = simd.avx2._mm256_permutevar8x32_epi32(group, cast(UPPER_PARTS));
        let lower_parts = simd.avx2._mm256_permutevar8x32_epi32(group, cast(LOWER_PARTS));
        let at = start + index * 12;
        for row in 0..BLOCK {
            let bytes = simd.avx2._mm256_broadcastsi128_si256(load(window, row * padded + at));
            let pairs = simd.avx2._mm256_shuffle_epi8(bytes, cast(PAIRS));
            upper[row] = simd.avx2._mm256_add_epi32(upper[row], simd.avx2._mm256_madd_epi16(pairs, upper_parts));
            lower[row] = simd.avx2._mm256_add_epi32(lower[row], simd.avx2._mm256_madd_epi16(pairs, lower_parts));
        }
    }
    let first = halves(simd, join(simd, upper[0], lower[0]), join(simd, upper[2], lower[2]));
    let second = halves(simd, join(simd, upper[1], lower[1]), join(simd, upper[3], lower[3]));
    to_bytes(simd, simd.avx2._mm256_packus_epi32(round(simd, first), round(simd, second)))
}

/// The lower half plus the upper half of `a`, and the same of `b` above it.
#[inline(always)]
fn halves(simd: V3, a: __m256i, b: __m256i) -> __m256i {
    let low = simd.avx2._mm256_permute2x128_si256::<0x20>(a, b);
    let high = simd.avx2._mm256_permute2x128_si256::<0x31>(a, b);
    simd.avx2._mm256_add_epi32(low, high)
}

/// [`LANES`] bytes of a line: weighted sums of the lines from `first` on.
#[inline(always)]
fn resize_block(simd: V3, source: Lines<'_>, first: usize, start: usize, groups: &[Group]) -> __m128i {
    let zero = simd.avx._mm256_setzero_si256();
    let (mut upper, mut lower) = ([zero; 2], [zero; 2]);
    for (index, [upper_part, lower_part]) in groups.as_flattened().as_chunks::<2>().0.iter().enumerate() {
        if *upper_part | *lower_part == 0 {
            continue;
        }
        // Where there is no second line, its weight is 0.
        let (one, two) = (first + 2 * index, (first + 2 * index + 1).min(source.count - 1));
        let one = simd.avx2._mm256_cvtepu8_epi16(load(source.data, one * source.stride + start));
        let two = simd.avx2._mm256_cvtepu8_epi16(load(source.data, two * source.stride + start));
        let pairs = [simd.avx2._mm256_unpacklo_epi16(one, two), simd.avx2._mm256_unpackhi_epi16(one, two)];
        let upper_parts = simd.avx._mm256_set1_epi32(*upper_part);
        let lower_parts = simd.avx._mm256_set1_epi32(*lower_part);
        for half in 0..2 {
            let products = simd.avx2._mm256_madd_epi16(pairs[half], upper_parts);
            upper[half] = simd.avx2._mm256_add_epi32(upper[half], products);
            let products = simd.avx2._mm256_madd_epi16(pairs[half], lower_parts);
            lower[half] = simd.avx2._mm256_add_epi32(lower[half], products);
        }
    }
    let low = round(simd, join(simd, upper[0], lower[0]));
    let high = round(simd, join(simd, upper[1], lower[1]));
    to_bytes(simd, simd.avx2._mm256_packus_epi32(low, high))
}

/// The 16 bytes from `at` on; zeros where there are no more.
#[inline(always)]
fn load(bytes: &[u8], at: usize) -> __m128i {
    match bytes[at..].first_chunk::<16>() {
        Some(chunk) => cast(*chunk),
        None => cast(last(&bytes[at..])),
    }
}

/// Fewer than 16 bytes, followed by zeros.
#[cold]
fn last(bytes: &[u8]) -> [u8; 16] {
    let mut chunk = [0; 16];
    chunk[..bytes.len()].copy_from_slice(bytes);
    chunk
}

/// The sums of products with upper and lower parts of weights, joined.
#[inline(always)]
fn join(simd: V3, upper: __m256i, lower: __m256i) -> __m256i {
    simd.avx2._mm256_add_epi32(simd.avx2._mm256_slli_epi32::<{ LOWER as i32 }>(upper), lower)
}

/// From fixed point to whole numbers.
#[inline(always)]
fn round(simd: V3, sums: __m256i) -> __m256i {
    let sums = simd.avx2._mm256_add_epi32(sums, simd.avx._mm256_set1_epi32(HALF));
    simd.avx2._mm256_srai_epi32::<{ PRECISION as i32 }>(sums)
}

/// Words of 16 bits to bytes from 0 to 255.
#[inline(always)]
fn to_bytes(simd: V3, words: __m256i) -> __m128i {
    let bytes = simd.avx2._mm256_packus_epi16(words, words);
    simd.avx._mm256_castsi256_si128(simd.avx2._mm256_permute4x64_epi64::<0b_1000>(bytes))
}
