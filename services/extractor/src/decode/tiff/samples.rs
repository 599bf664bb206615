//! Samples as a TIFF stores them become those of a [`ColorType`], channels beside each other.

use image::ColorType;
use tiff::{ColorType as TiffColor, decoder::DecodingResult};

use crate::decode::samples::{cmyk_to_rgb, pick};

/// How the samples lie.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// What they are.
    pub color: TiffColor,
    /// Pixels of a row. Below 8 bits, rows are filled up to whole bytes.
    pub width: u32,
    /// 1 if the channels of a pixel are beside each other, else a plane for each channel.
    pub planes: usize,
}

/// Samples in this machine's byte order, and what they are; `None` for what is not accepted.
pub fn convert(layout: Layout, samples: DecodingResult) -> Option<(ColorType, Vec<u8>)> {
    let Layout { color, width, planes } = layout;
    let data = match samples {
        DecodingResult::U8(data) => interleave::<1>(data, planes),
        DecodingResult::U16(words) => interleave::<2>(words.into_iter().flat_map(u16::to_ne_bytes).collect(), planes),
        _ => return None,
    };
    Some(match color {
        TiffColor::Gray(bits @ (1 | 2 | 4)) => (ColorType::L8, levels(&unpack(&data, width, bits), bits)),
        TiffColor::Gray(8) => (ColorType::L8, data),
        TiffColor::Gray(16) => (ColorType::L16, data),
        TiffColor::GrayA(8) | TiffColor::Multiband { bit_depth: 8, num_samples: 2 } => (ColorType::La8, data),
        TiffColor::GrayA(16) | TiffColor::Multiband { bit_depth: 16, num_samples: 2 } => (ColorType::La16, data),
        TiffColor::RGB(8) => (ColorType::Rgb8, data),
        TiffColor::RGB(16) => (ColorType::Rgb16, data),
        TiffColor::RGBA(8) => (ColorType::Rgba8, data),
        TiffColor::RGBA(16) => (ColorType::Rgba16, data),
        TiffColor::CMYK(8) => (ColorType::Rgb8, from_cmyk(data)),
        TiffColor::CMYKA(8) => (ColorType::Rgb8, from_cmyk(kept::<5, 4>(data, [0, 1, 2, 3]))),
        TiffColor::YCbCr(8) => (ColorType::Rgb8, from_ycbcr(data)),
        _ => return None,
    })
}

/// Palette indices, a byte each, from what claims to be `color`.
pub fn indices(color: TiffColor, samples: DecodingResult, width: u32) -> Option<Vec<u8>> {
    match (color, samples) {
        (TiffColor::Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(data)) => Some(unpack(&data, width, bits)),
        (TiffColor::Gray(8), DecodingResult::U8(data)) => Some(data),
        _ => None,
    }
}

/// Samples of `BYTES` bytes in `planes` planes, put beside each other.
fn interleave<const BYTES: usize>(data: Vec<u8>, planes: usize) -> Vec<u8> {
    if planes <= 1 {
        return data;
    }
    let samples = data.as_chunks::<BYTES>().0;
    let pixels = samples.len() / planes;
    let of_pixel = |pixel: usize| (0..planes).flat_map(move |plane| samples[plane * pixels + pixel]);
    (0..pixels).flat_map(of_pixel).collect()
}

/// Samples of `bits` bits, the highest first, a byte each.
fn unpack(data: &[u8], width: u32, bits: u8) -> Vec<u8> {
    let (width, each) = (width as usize, usize::from(bits));
    let mask = ((1u16 << bits) - 1) as u8;
    let row_bytes = (width * each).div_ceil(8).max(1);
    let sample = |row: &[u8], x: usize| (row[x * each / 8] >> (8 - each - x * each % 8)) & mask;
    data.chunks_exact(row_bytes).flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}

/// Levels of `bits` bits, spread over 0 to 255.
fn levels(samples: &[u8], bits: u8) -> Vec<u8> {
    let step = 255 / ((1u16 << bits) - 1) as u8;
    samples.iter().map(|sample| sample * step).collect()
}

fn kept<const STRIDE: usize, const KEPT: usize>(mut data: Vec<u8>, offsets: [usize; KEPT]) -> Vec<u8> {
    pick::<STRIDE, KEPT>(&mut data, offsets);
    data
}

fn from_cmyk(mut data: Vec<u8>) -> Vec<u8> {
    cmyk_to_rgb(&mut data);
    data
}

/// JFIF's YCbCr (ITU-R BT.601, full range) to RGB.
fn from_ycbcr(mut data: Vec<u8>) -> Vec<u8> {
    for pixel in data.as_chunks_mut::<3>().0 {
        let [y, blue, red] = pixel.map(f32::from);
        let (blue, red) = (blue - 128.0, red - 128.0);
        let rgb = [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue];
        *pixel = rgb.map(|level| level.round() as u8);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_put_beside_each_other_and_bits_apart() {
        assert_eq!(interleave::<1>(vec![1, 2, 11, 12, 21, 22], 3), [1, 11, 21, 2, 12, 22]);
        assert_eq!(interleave::<2>(vec![0, 1, 0, 2], 2), [0, 1, 0, 2]);
        assert_eq!(unpack(&[0b1010_0000, 0b0100_0000], 3, 1), [1, 0, 1, 0, 1, 0]);
        assert_eq!(unpack(&[0x12, 0x30], 3, 4), [1, 2, 3]);
        assert_eq!(levels(&[0, 1, 2, 3], 2), [0, 85, 170, 255]);
    }
}
