//! Views of an image: the same image as it might also have been taken, so that a classifier sees each example more than
//! once. As torchvision's `RandomResizedCrop`, `RandomHorizontalFlip` and `ColorJitter` do it, in this order, on 8-bit pixels.
//!
//! Chance depends on the image's content, the seed and the view's number alone: the same view is made whenever and
//! wherever it is asked for.
//!
//! # Layout
//! - [`chance`]: where random numbers come from.
//! - [`window`]: which part of the image is kept.
//! - [`colour`]: brightness, contrast, saturation.
//! - Here: what a recipe makes of a view; mirroring.

pub mod chance;
pub mod colour;
pub mod window;

use graft_proto::{
    augmentation,
    v1::{Augmentation, AugmentationKind},
};

use self::{chance::Chance, colour::Colour, window::Window};

/// How the views of a stream's images are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Views beside the plain image.
    views: u32,
    flip: bool,
    /// The least and the largest part of the image's area that is kept.
    crop: Option<(f64, f64)>,
    /// How far brightness, contrast and saturation may go.
    colour: Option<[f64; 3]>,
    seed: u64,
    /// All of it but the number of views, in one line.
    text: String,
}

/// What is done to an image for one view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The part that is kept and resized to what the network takes; without one, the image is prepared as it always is.
    pub window: Option<Window>,
    /// Whether left becomes right.
    pub mirrored: bool,
    /// What is done to its colours.
    pub colour: Option<Colour>,
}

impl Recipe {
    /// The recipe of an augmentation whose defaults are filled in.
    pub fn new(resolved: &Augmentation) -> Recipe {
        let has = |kind| resolved.kinds().any(|of| of == kind);
        let number = |value: Option<f64>| value.unwrap_or_default();
        Recipe {
            views: resolved.views,
            flip: has(AugmentationKind::Flip),
            crop: has(AugmentationKind::Crop)
                .then(|| (number(resolved.crop_scale_min), number(resolved.crop_scale_max))),
            colour: has(AugmentationKind::Colour)
                .then(|| [resolved.brightness, resolved.contrast, resolved.saturation].map(number)),
            seed: resolved.seed,
            text: augmentation::recipe(resolved),
        }
    }

    /// Views beside the plain image.
    pub fn views(&self) -> u32 {
        self.views
    }

    /// What makes a view, in one line: two recipes with the same text make the same view of the same number.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// View `view`, from 1 on, of an image of this content and size. Each kind draws from a chance of its own, so that none
    /// changes what the others do.
    pub fn view(&self, content: &[u8; 32], view: u32, width: u32, height: u32) -> View {
        let chance = |kind| Chance::new(content, self.seed, view, kind);
        View {
            window: self.crop.map(|scale| Window::draw(width, height, scale, &mut chance("crop"))),
            // Half of the views, as a coin would have it, but evenly: a single view is never the plain image again.
            mirrored: self.flip && view % 2 == 1,
            colour: self.colour.map(|strengths| Colour::draw(strengths, &mut chance("colour"))),
        }
    }
}

/// Turn `pixels`, rows of `width` pixels of `channels` bytes each, left for right.
pub fn mirror(pixels: &mut [u8], width: usize, channels: usize) {
    for row in pixels.chunks_exact_mut((width * channels).max(1)) {
        row.reverse();
        // Each pixel has been turned as well.
        row.chunks_exact_mut(channels.max(1)).for_each(<[u8]>::reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(kinds: &[AugmentationKind], views: u32, seed: u64) -> Recipe {
        let kinds = kinds.iter().map(|kind| *kind as i32).collect();
        let asked = Augmentation { views, kinds, seed, ..Default::default() };
        Recipe::new(&augmentation::resolve(&asked).unwrap().unwrap())
    }

    #[test]
    fn a_view_depends_on_content_seed_and_number_alone() {
        let all = [AugmentationKind::Flip, AugmentationKind::Crop, AugmentationKind::Colour];
        let view = |recipe: &Recipe, content: u8, view| recipe.view(&[content; 32], view, 300, 200);
        let few = recipe(&all, 3, 5);
        assert_eq!(view(&few, 1, 2), view(&recipe(&all, 16, 5), 1, 2), "not on how many there are");
        assert_ne!(view(&few, 1, 2), view(&few, 2, 2));
        assert_ne!(view(&few, 1, 2), view(&few, 1, 3));
        assert_ne!(view(&few, 1, 2), view(&recipe(&all, 3, 6), 1, 2));
        let crop = recipe(&[AugmentationKind::Crop], 3, 5);
        assert_eq!(view(&few, 1, 2).window, view(&crop, 1, 2).window, "one kind does not change another");
        assert!(view(&crop, 1, 1).colour.is_none() && !view(&crop, 1, 1).mirrored);
    }

    #[test]
    fn every_other_view_is_mirrored() {
        let flip = recipe(&[AugmentationKind::Flip], 4, 0);
        let mirrored: Vec<bool> = (1..=4).map(|view| flip.view(&[0; 32], view, 8, 8).mirrored).collect();
        assert_eq!(mirrored, [true, false, true, false]);
    }

    #[test]
    fn mirroring_keeps_the_channels_of_a_pixel() {
        let mut colour = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        mirror(&mut colour, 2, 3);
        assert_eq!(colour, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        let mut grey = [1, 2, 3, 4, 5, 6];
        mirror(&mut grey, 3, 1);
        assert_eq!(grey, [3, 2, 1, 6, 5, 4]);
    }
}
