//! Samples of other depths and channels become 8-bit grey or RGB, as Pillow's `convert("RGB")` makes them: transparency is
//! dropped, of 16 bits a channel the upper 8 are kept, and 16-bit grey without transparency is cut off at 255.
//!
//! The last is odd, and on purpose: Pillow opens such files in a mode of its own (`I;16`) whose levels it does not scale.
//! Whoever fitted a head on Pillow's pixels needs the same ones here.

use image::ColorType;

/// Where the upper byte of a 16-bit sample in this machine's order is.
const HIGH: usize = if cfg!(target_endian = "little") { 1 } else { 0 };

/// Turn `data`, samples of `color` in this machine's byte order, into 8 bits and 1 or 3 channels, in place. Says how many
/// channels there are; `None` for colours that no decoder here gives.
pub fn to_eight_bits(color: ColorType, data: &mut Vec<u8>) -> Option<u32> {
    match color {
        ColorType::L8 => return Some(1),
        ColorType::Rgb8 => return Some(3),
        ColorType::La8 => pick::<2, 1>(data, [0]),
        ColorType::Rgba8 => pick::<4, 3>(data, [0, 1, 2]),
        ColorType::L16 => cut_off(data),
        ColorType::La16 => pick::<4, 1>(data, [HIGH]),
        ColorType::Rgb16 => pick::<6, 3>(data, [HIGH, HIGH + 2, HIGH + 4]),
        ColorType::Rgba16 => pick::<8, 3>(data, [HIGH, HIGH + 2, HIGH + 4]),
        _ => return None,
    }
    Some(if color.has_color() { 3 } else { 1 })
}

/// Keep the bytes at `offsets`, ascending, of each `STRIDE` bytes.
pub fn pick<const STRIDE: usize, const KEPT: usize>(data: &mut Vec<u8>, offsets: [usize; KEPT]) {
    let groups = data.len() / STRIDE;
    for group in 0..groups {
        for (index, offset) in offsets.iter().enumerate() {
            // What is written lies at or before what is read.
            data[group * KEPT + index] = data[group * STRIDE + offset];
        }
    }
    data.truncate(groups * KEPT);
}

/// 16-bit levels become 8-bit ones: those above 255 become 255.
fn cut_off(data: &mut Vec<u8>) {
    let pixels = data.len() / 2;
    for pixel in 0..pixels {
        let level = u16::from_ne_bytes([data[2 * pixel], data[2 * pixel + 1]]);
        data[pixel] = level.min(255) as u8;
    }
    data.truncate(pixels);
}

/// Cyan, magenta, yellow and black, 0 for no ink, to red, green and blue: `white - ink * white`, where white is what the
/// black leaves (Pillow's `cmyk2rgb`).
pub fn cmyk_to_rgb(data: &mut Vec<u8>) {
    let pixels = data.len() / 4;
    for pixel in 0..pixels {
        let white = 255 - data[4 * pixel + 3];
        for channel in 0..3 {
            data[3 * pixel + channel] = white - times(data[4 * pixel + channel], white);
        }
    }
    data.truncate(pixels * 3);
}

/// `a * b / 255`, rounded; never more than `b`.
fn times(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_become_light() {
        let mut data = vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 128, 64, 0, 100];
        cmyk_to_rgb(&mut data);
        // The last one: white is 155, and 155 - 155 * 128 / 255 = 77.2.
        assert_eq!(data, [255, 255, 255, 0, 255, 255, 0, 0, 0, 0, 0, 0, 77, 116, 155]);
    }

    #[test]
    fn sixteen_bits_lose_the_lower_half_but_grey_is_cut_off() {
        let levels = |samples: &[u16]| samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect::<Vec<u8>>();
        let mut grey = levels(&[3, 255, 256, 65_535]);
        assert_eq!(to_eight_bits(ColorType::L16, &mut grey), Some(1));
        assert_eq!(grey, [3, 255, 255, 255]);
        let mut colour = levels(&[0x1234, 0x00ff, 0xff00, 0x8000]);
        assert_eq!(to_eight_bits(ColorType::Rgba16, &mut colour), Some(3));
        assert_eq!(colour, [0x12, 0, 0xff]);
    }
}
