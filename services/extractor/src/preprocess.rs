//! Pixels become the network's input, exactly as Pillow and torchvision make it.
//!
//! `Resize(n)`: the shorter side becomes `n`, the longer one `int(n * long / short)`; see [`resize`](crate::resize).
//! `CenterCrop`: the offset is `round((size - crop) / 2)`, half to even, as Python rounds.
//! `ToTensor` and `Normalize`: `(p / 255 - mean) / std`, or what else the [`Preprocessing`] says.

pub use crate::preprocessing::Preprocessing;
use crate::{
    augment::{View, mirror},
    decode::Decoded,
    preprocessing::{Layout, Resize},
    resize::{Key, Resizer},
};

/// Preprocesses one image after the other, keeping its buffers. One a thread.
#[derive(Debug)]
pub struct Preprocessor {
    preprocessing: Preprocessing,
    resizer: Resizer,
    /// For each channel of the tensor, the channel of RGB that it is.
    order: [usize; 3],
    /// For each channel of the tensor, what each level becomes.
    levels: [[f32; 256]; 3],
    /// The pixels of the window of a view.
    window: Vec<u8>,
    /// The pixels of a view, as large as the network takes them.
    view: Vec<u8>,
}

impl Preprocessor {
    /// A preprocessor for images of any size.
    pub fn new(preprocessing: &Preprocessing) -> Preprocessor {
        let order = preprocessing.channels.order();
        let levels = order.map(|channel| std::array::from_fn(|level| preprocessing.value(level as u8, channel)));
        let (window, view) = (Vec::new(), Vec::new());
        Preprocessor { preprocessing: preprocessing.clone(), resizer: Resizer::new(), order, levels, window, view }
    }

    /// Numbers that one image becomes: `3 * height * width`.
    pub fn output_len(&self) -> usize {
        3 * self.preprocessing.height() as usize * self.preprocessing.width() as usize
    }

    /// Write `image` to `slot`, `[3, height, width]` or `[height, width, 3]` as the layout says. `slot` has
    /// [`output_len`](Self::output_len) numbers.
    pub fn run(&mut self, image: &Decoded<'_>, slot: &mut [f32]) {
        let (columns, rows) = whole(&self.preprocessing, image);
        let pixels = self.resizer.resize(&image.data, image.channels as usize, columns, rows);
        write(pixels, image.channels, self.preprocessing.layout, self.order, &self.levels, slot);
    }

    /// The same for a view of it: its window is resized to all that the network takes; then it is mirrored, then its colours
    /// are changed.
    pub fn run_view(&mut self, image: &Decoded<'_>, view: &View, slot: &mut [f32]) {
        let Preprocessing { crop, interpolation, layout, .. } = self.preprocessing;
        let channels = image.channels as usize;
        let resized = match view.window {
            None => {
                let (columns, rows) = whole(&self.preprocessing, image);
                self.resizer.resize(&image.data, channels, columns, rows)
            }
            Some(window) => {
                window.cut(image, &mut self.window);
                let key = |source, crop: u32| Key { source, resized: crop.into(), offset: 0, crop, interpolation };
                let (columns, rows) = (key(window.width, crop.width), key(window.height, crop.height));
                self.resizer.resize(&self.window, channels, columns, rows)
            }
        };
        self.view.clear();
        self.view.extend_from_slice(resized);
        if view.mirrored {
            mirror(&mut self.view, crop.width as usize, channels);
        }
        if let Some(colour) = view.colour {
            colour.apply(&mut self.view, channels);
        }
        write(&self.view, image.channels, layout, self.order, &self.levels, slot);
    }
}

/// How columns and rows become those of the centre crop of the whole image.
fn whole(preprocessing: &Preprocessing, image: &Decoded<'_>) -> (Key, Key) {
    let Preprocessing { resize, crop, interpolation, .. } = *preprocessing;
    let (width, height) = resized(image.width, image.height, resize);
    let key = |source, resized, crop| {
        let offset = crop_offset(resized, crop);
        Key { source, resized, offset, crop, interpolation }
    };
    (key(image.width, width, crop.width), key(image.height, height, crop.height))
}

/// Write pixels, grey or RGB, as the network takes them.
fn write(pixels: &[u8], channels: u32, layout: Layout, order: [usize; 3], levels: &[[f32; 256]; 3], slot: &mut [f32]) {
    // A grey image is the same in red, green and blue.
    let order = if channels == 1 { [0; 3] } else { order };
    match (layout, channels) {
        (Layout::Nchw, 1) => planes::<1>(pixels, order, levels, slot),
        (Layout::Nchw, _) => planes::<3>(pixels, order, levels, slot),
        (Layout::Nhwc, 1) => beside::<1>(pixels, order, levels, slot),
        (Layout::Nhwc, _) => beside::<3>(pixels, order, levels, slot),
    }
}

/// The width and height after the resize: torchvision's `Resize(shorter)` or `Resize((height, width))`.
fn resized(width: u32, height: u32, resize: Resize) -> (u64, u64) {
    let shorter = match resize {
        Resize::Exact(size) => return (size.width.into(), size.height.into()),
        Resize::Shorter(side) => u64::from(side),
    };
    let (short, long) = (u64::from(width.min(height)), u64::from(width.max(height)));
    let longer = shorter * long / short.max(1);
    if width <= height { (shorter, longer) } else { (longer, shorter) }
}

/// Where torchvision's `CenterCrop` begins: `int(round((size - crop) / 2))`, half to even.
fn crop_offset(size: u64, crop: u32) -> u64 {
    let spare = size.saturating_sub(u64::from(crop));
    let half = spare / 2;
    if spare % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// Write pixels of `N` channels as three planes.
fn planes<const N: usize>(pixels: &[u8], order: [usize; 3], levels: &[[f32; 256]; 3], slot: &mut [f32]) {
    let pixels = pixels.as_chunks::<N>().0;
    for ((plane, levels), channel) in slot.chunks_exact_mut(pixels.len()).zip(levels).zip(order) {
        for (value, pixel) in plane.iter_mut().zip(pixels) {
            *value = levels[usize::from(pixel[channel])];
        }
    }
}

/// Write pixels of `N` channels as three numbers beside each other.
fn beside<const N: usize>(pixels: &[u8], order: [usize; 3], levels: &[[f32; 256]; 3], slot: &mut [f32]) {
    for (values, pixel) in slot.as_chunks_mut::<3>().0.iter_mut().zip(pixels.as_chunks::<N>().0) {
        for ((value, levels), channel) in values.iter_mut().zip(levels).zip(order) {
            *value = levels[usize::from(pixel[channel])];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        preprocessing::{Channels, Scale, Size},
        resize::Interpolation,
    };

    fn preprocessing(interpolation: Interpolation) -> Preprocessing {
        Preprocessing {
            resize: Resize::Shorter(256),
            interpolation,
            crop: Size::square(224),
            scale: Scale::Unit,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            channels: Channels::Rgb,
            layout: Layout::Nchw,
        }
    }

    fn run(preprocessing: &Preprocessing, image: &Decoded<'_>) -> Vec<f32> {
        let mut preprocessor = Preprocessor::new(preprocessing);
        let mut slot = vec![f32::NAN; preprocessor.output_len()];
        preprocessor.run(image, &mut slot);
        slot
    }

    /// Python's `int(round(spare / 2))`, said with floating point.
    fn python_offset(size: u64, crop: u32) -> u64 {
        ((size as f64 - f64::from(crop)) / 2.0).round_ties_even() as u64
    }

    proptest! {
        #[test]
        fn offsets_are_rounded_as_python_rounds(size in 224u64..5_000_000) {
            prop_assert_eq!(crop_offset(size, 224), python_offset(size, 224));
        }
    }

    #[test]
    fn the_longer_side_is_truncated() {
        let shorter = Resize::Shorter(256);
        assert_eq!(resized(451, 300, shorter), (384, 256));
        assert_eq!(resized(28, 28, shorter), (256, 256));
        assert_eq!(resized(1, 16_384, shorter), (256, 4_194_304));
        assert_eq!(resized(451, 300, Resize::Exact(Size { height: 10, width: 20 })), (20, 10));
    }

    #[test]
    fn grey_is_the_same_in_all_planes_but_for_the_normalisation() {
        let data: Vec<u8> = (0..784).map(|i| (i % 256) as u8).collect();
        let image = Decoded { height: 28, width: 28, channels: 1, data: Cow::Borrowed(&data) };
        let rgb: Vec<u8> = data.iter().flat_map(|p| [*p; 3]).collect();
        let colour = Decoded { height: 28, width: 28, channels: 3, data: Cow::Borrowed(&rgb) };
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let options = Preprocessing { layout, ..preprocessing(Interpolation::Bicubic) };
            assert_eq!(run(&options, &image), run(&options, &colour));
        }
    }

    #[test]
    fn every_option_puts_the_numbers_where_it_says() {
        let data: Vec<u8> = (0..4 * 6 * 3).map(|i| (i * 3) as u8).collect();
        let image = Decoded { height: 4, width: 6, channels: 3, data: Cow::Borrowed(&data) };
        let raw = Preprocessing {
            resize: Resize::Exact(Size { height: 4, width: 6 }),
            crop: Size { height: 2, width: 4 },
            scale: Scale::Raw,
            mean: [0.0; 3],
            std: [1.0; 3],
            ..preprocessing(Interpolation::Nearest)
        };
        // The pixel at row y, column x of the crop, which begins at row 1, column 1.
        let level = |y: usize, x: usize, channel: usize| f32::from(data[((y + 1) * 6 + x + 1) * 3 + channel]);
        let planes = run(&raw, &image);
        let beside = run(&Preprocessing { layout: Layout::Nhwc, ..raw.clone() }, &image);
        let blue_first = run(&Preprocessing { channels: Channels::Bgr, mean: [1.0, 2.0, 3.0], ..raw.clone() }, &image);
        let symmetric = run(&Preprocessing { scale: Scale::Symmetric, ..raw.clone() }, &image);
        for (y, x, channel) in (0..2).flat_map(|y| (0..4).flat_map(move |x| (0..3).map(move |c| (y, x, c)))) {
            let expected = level(y, x, channel);
            assert_eq!(planes[channel * 8 + y * 4 + x], expected);
            assert_eq!(beside[(y * 4 + x) * 3 + channel], expected);
            assert_eq!(blue_first[(2 - channel) * 8 + y * 4 + x], expected - (channel as f32 + 1.0));
            assert_eq!(symmetric[channel * 8 + y * 4 + x], expected / 127.5 - 1.0);
        }
    }

    #[test]
    fn the_thinnest_images_are_no_trouble() {
        let exact = Resize::Exact(Size { height: 224, width: 224 });
        for resize in [Resize::Shorter(256), exact] {
            for (width, height) in [(1, 1), (1, 16_384), (16_384, 1)] {
                let data = vec![255; (width * height) as usize];
                let image = Decoded { height, width, channels: 1, data: Cow::Borrowed(&data) };
                for interpolation in Interpolation::ALL {
                    let slot = run(&Preprocessing { resize, ..preprocessing(interpolation) }, &image);
                    assert!(slot.iter().all(|value| *value > 2.0), "white stays white: {interpolation:?}");
                }
            }
        }
    }
}
