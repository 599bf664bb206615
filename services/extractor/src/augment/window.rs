//! The part of an image that a view keeps: torchvision's `RandomResizedCrop.get_params`.

use super::chance::Chance;
use crate::decode::Decoded;

/// The sides of the part, width over height, lie between these (torchvision's default, from Szegedy et al. 2015, Going
/// deeper with convolutions).
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Parts that are drawn before the centre is taken, where none fits.
const ATTEMPTS: usize = 10;

/// A part of an image, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Columns before it.
    pub left: u32,
    /// Rows before it.
    pub top: u32,
    /// Its columns, at least 1.
    pub width: u32,
    /// Its rows, at least 1.
    pub height: u32,
}

impl Window {
    /// Draw a part of an image that has an area within `scale` of the whole's: the area evenly, the logarithm of the ratio
    /// evenly, the place evenly.
    pub fn draw(width: u32, height: u32, scale: (f64, f64), chance: &mut Chance) -> Window {
        let area = f64::from(width) * f64::from(height);
        for _ in 0..ATTEMPTS {
            let target = area * chance.between(scale.0, scale.1);
            let ratio = chance.between(RATIO.0.ln(), RATIO.1.ln()).exp();
            let columns = (target * ratio).sqrt().round_ties_even();
            let rows = (target / ratio).sqrt().round_ties_even();
            if (1.0..=f64::from(width)).contains(&columns) && (1.0..=f64::from(height)).contains(&rows) {
                let (columns, rows) = (columns as u32, rows as u32);
                let (left, top) = (chance.up_to(width - columns), chance.up_to(height - rows));
                return Window { left, top, width: columns, height: rows };
            }
        }
        Window::centre(width, height)
    }

    /// The largest part around the centre whose ratio is allowed.
    fn centre(width: u32, height: u32) -> Window {
        let ratio = f64::from(width) / f64::from(height);
        let side = |length: f64| length.round_ties_even().max(1.0) as u32;
        let (columns, rows) = if ratio < RATIO.0 {
            (width, side(f64::from(width) / RATIO.0).min(height))
        } else if ratio > RATIO.1 {
            (side(f64::from(height) * RATIO.1).min(width), height)
        } else {
            (width, height)
        };
        Window { left: (width - columns) / 2, top: (height - rows) / 2, width: columns, height: rows }
    }

    /// Copy its pixels, `[height, width, channels]`, to `pixels`. It must lie within the image.
    pub fn cut(&self, image: &Decoded<'_>, pixels: &mut Vec<u8>) {
        let channels = image.channels as usize;
        let (left, columns) = (self.left as usize * channels, self.width as usize * channels);
        pixels.clear();
        let rows = image.data.chunks_exact(image.width as usize * channels);
        for row in rows.skip(self.top as usize).take(self.height as usize) {
            pixels.extend_from_slice(&row[left..left + columns]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_lies_within_the_image_and_is_as_large_as_it_may_be(
            width in 1u32..3000, height in 1u32..3000, least in 0.01f64..1.0, seed in any::<u64>(),
        ) {
            let window = Window::draw(width, height, (least, 1.0), &mut Chance::new(&[0; 32], seed, 1, "crop"));
            prop_assert!(window.width >= 1 && window.left + window.width <= width, "{window:?}");
            prop_assert!(window.height >= 1 && window.top + window.height <= height, "{window:?}");
            let ratio = f64::from(width) / f64::from(height);
            if width.min(height) > 100 && (0.8..1.25).contains(&ratio) {
                let part = f64::from(window.width) * f64::from(window.height) / (f64::from(width) * f64::from(height));
                prop_assert!(part > least - 0.02, "{window:?} is {part}");
            }
        }
    }

    #[test]
    fn a_narrow_image_gives_its_centre() {
        let centre = |width, height| {
            let Window { left, top, width, height } = Window::centre(width, height);
            [left, top, width, height]
        };
        assert_eq!(centre(30, 400), [0, 180, 30, 40]);
        assert_eq!(centre(401, 30), [180, 0, 40, 30]);
        assert_eq!(centre(1, 1), [0, 0, 1, 1]);
        assert_eq!(centre(1, 1000), [0, 499, 1, 1]);
        assert_eq!(centre(100, 90), [0, 0, 100, 90]);
    }
}
