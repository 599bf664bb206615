//! Brightness, contrast and saturation, in this order, as torchvision's `ColorJitter` has Pillow's `ImageEnhance` do it, bit for
//! bit.
//!
//! Each blends the image with one that has none of the property (Pillow's `Blend.c`): `none + factor * (image - none)` in
//! single precision, cut off to whole levels and at 0 and 255. Without brightness an image is black, without contrast it is
//! all of the mean of its luma, without saturation each pixel is its own luma.

use super::chance::Chance;

/// Factors; 1 leaves an image as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    /// Of the brightness.
    pub brightness: f32,
    /// Of the contrast.
    pub contrast: f32,
    /// Of the saturation.
    pub saturation: f32,
}

impl Colour {
    /// Draw each factor evenly between 1 less its strength and 1 more.
    pub fn draw(strengths: [f64; 3], chance: &mut Chance) -> Colour {
        let [brightness, contrast, saturation] =
            strengths.map(|strength| chance.between((1.0 - strength).max(0.0), 1.0 + strength) as f32);
        Colour { brightness, contrast, saturation }
    }

    /// Do it to `pixels` of 1 channel (grey) or 3 (RGB).
    pub fn apply(&self, pixels: &mut [u8], channels: usize) {
        pixels.iter_mut().for_each(|level| *level = blend(0, *level, self.brightness));
        let mean = mean_luma(pixels, channels);
        pixels.iter_mut().for_each(|level| *level = blend(mean, *level, self.contrast));
        // A grey image has no saturation to change.
        if channels == 3 {
            for pixel in pixels.as_chunks_mut::<3>().0 {
                let luma = luma(*pixel);
                pixel.iter_mut().for_each(|level| *level = blend(luma, *level, self.saturation));
            }
        }
    }
}

/// `none + factor * (level - none)`, cut off.
fn blend(none: u8, level: u8, factor: f32) -> u8 {
    // A cast of a float saturates, and cuts off what is behind the point.
    (f32::from(none) + factor * (f32::from(level) - f32::from(none))) as u8
}

/// ITU-R 601 luma as Pillow's `convert("L")` rounds it, in 16-bit fixed point.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

/// The mean luma, rounded half up.
fn mean_luma(pixels: &[u8], channels: usize) -> u8 {
    let (sum, count): (u64, usize) = match channels {
        3 => {
            let pixels = pixels.as_chunks::<3>().0;
            (pixels.iter().map(|pixel| u64::from(luma(*pixel))).sum(), pixels.len())
        }
        _ => (pixels.iter().map(|level| u64::from(*level)).sum(), pixels.len()),
    };
    (sum as f64 / count.max(1) as f64 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_one_change_nothing_and_of_nought_leave_nothing() {
        let plain: Vec<u8> = (0..=255).flat_map(|level: u8| [level, level.wrapping_mul(7), 255 - level]).collect();
        let done = |brightness, contrast, saturation| {
            let mut pixels = plain.clone();
            Colour { brightness, contrast, saturation }.apply(&mut pixels, 3);
            pixels
        };
        assert_eq!(done(1.0, 1.0, 1.0), plain);
        assert!(done(0.0, 1.0, 1.0).iter().all(|level| *level == 0));
        let flat = done(1.0, 0.0, 1.0);
        assert!(flat.iter().all(|level| *level == flat[0]) && flat[0] > 100);
        assert!(done(1.0, 1.0, 0.0).as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
    }

    #[test]
    fn a_grey_image_is_the_same_in_one_channel_and_in_three() {
        let mut grey: Vec<u8> = (0..200).map(|index| (index * index % 251) as u8).collect();
        let mut three: Vec<u8> = grey.iter().flat_map(|level| [*level; 3]).collect();
        let colour = Colour { brightness: 1.17, contrast: 0.83, saturation: 1.2 };
        colour.apply(&mut grey, 1);
        colour.apply(&mut three, 3);
        assert!(three.chunks(3).zip(&grey).all(|(pixel, level)| pixel == [*level; 3]));
    }

    #[test]
    fn factors_lie_within_their_strengths() {
        let mut chance = Chance::new(&[0; 32], 0, 1, "colour");
        for _ in 0..200 {
            let Colour { brightness, contrast, saturation } = Colour::draw([1.0, 0.3, 0.0], &mut chance);
            assert!((0.0..=2.0).contains(&brightness) && (0.7..=1.3).contains(&contrast) && saturation == 1.0);
        }
    }
}
