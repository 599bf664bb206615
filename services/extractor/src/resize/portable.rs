//! Both passes for any processor, compiled once for each family of instructions.

use pulp::NullaryFnOnce;

use super::{
    axis::{Axis, PRECISION},
    passes::{Lines, Pass, Passes},
};

/// A half, in fixed point: rounds what is shifted right afterwards.
pub(super) const HALF: i32 = 1 << (PRECISION - 1);
/// Bytes of a line that are summed together.
const WIDTH: usize = 64;

/// The passes, as `pulp` dispatches them.
pub(super) struct Portable<'a>(pub Passes<'a>);

impl NullaryFnOnce for Portable<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run(&Loops);
    }
}

/// Plain loops.
pub(super) struct Loops;

impl Pass for Loops {
    #[inline(always)]
    fn columns(&self, source: Lines<'_>, columns: &Axis, channels: usize, target: &mut [u8], stride: usize) {
        for (line, target) in source.data.chunks(source.stride).zip(target.chunks_exact_mut(stride)).take(source.count)
        {
            if channels == 1 {
                resize_line::<1>(&line[..source.length], columns, target);
            } else {
                resize_line::<3>(&line[..source.length], columns, target);
            }
        }
    }

    #[inline(always)]
    fn rows(&self, source: Lines<'_>, rows: &Axis, target: &mut [u8]) {
        for (position, target) in target.chunks_exact_mut(source.length).take(rows.firsts.len()).enumerate() {
            let (first, weights) = rows.of(position);
            let lines = &source.data[(first - rows.from) * source.stride..];
            for (index, target) in target.chunks_mut(WIDTH).enumerate() {
                let mut sums = [HALF; WIDTH];
                for (weight, line) in weights.iter().zip(lines.chunks(source.stride)) {
                    for (sum, pixel) in sums.iter_mut().zip(&line[index * WIDTH..][..target.len()]) {
                        *sum += weight * i32::from(*pixel);
                    }
                }
                for (pixel, sum) in target.iter_mut().zip(sums) {
                    *pixel = round(sum);
                }
            }
        }
    }
}

/// Resize the columns of one line of pixels with `N` channels.
#[inline(always)]
fn resize_line<const N: usize>(source: &[u8], columns: &Axis, target: &mut [u8]) {
    let pixels = source.as_chunks::<N>().0;
    let targets = target.as_chunks_mut::<N>().0.iter_mut().take(columns.firsts.len());
    for (position, target) in targets.enumerate() {
        let (first, weights) = columns.of(position);
        let mut sums = [HALF; N];
        for (weight, pixel) in weights.iter().zip(&pixels[first - columns.from..]) {
            for channel in 0..N {
                sums[channel] += weight * i32::from(pixel[channel]);
            }
        }
        for channel in 0..N {
            target[channel] = round(sums[channel]);
        }
    }
}

#[inline(always)]
fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}
