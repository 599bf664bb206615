//! Arrays of images with an array of labels beside them: IDX and NumPy's `.npy`.
//!
//! # Layout
//! - [`idx`] and [`npy`] read one file each: its shape, then what is in it.
//! - Here images and labels go in step.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use graft_client::proto::{Example, Split};

use super::{
    piece::{MOST_BYTES, Read, Rejected, pixels},
    text,
};

pub mod idx;
pub mod npy;

/// The longest side of an image, in pixels.
const MOST_SIDE: u64 = 16_384;

/// The shape of an array of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub images: u64,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    /// `[n, height, width]`, `[n, height, width, 1 or 3]`, or `[n, side * side]`.
    fn of(sizes: &[u64]) -> Result<Shape> {
        let shape = match *sizes {
            [images, height, width] => (images, height, width, 1),
            [images, height, width, channels @ (1 | 3)] => (images, height, width, channels),
            [images, pixels] if pixels.isqrt().pow(2) == pixels => (images, pixels.isqrt(), pixels.isqrt(), 1),
            _ => bail!(
                "an array of shape {sizes:?}; [images, height, width], [images, height, width, 1 or 3] and \
                 [images, side * side] are accepted"
            ),
        };
        let (images, height, width, channels) = shape;
        let sides = 1..=MOST_SIDE;
        ensure!(
            sides.contains(&height) && sides.contains(&width) && height * width * channels <= MOST_BYTES,
            "images of {height} x {width} x {channels}; sides of 1 to {MOST_SIDE} and {MOST_BYTES} bytes are accepted"
        );
        Ok(Shape { images, height: height as usize, width: width as usize, channels: channels as usize })
    }

    fn bytes(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// Labels, one after the other.
pub type Labels = Box<dyn Iterator<Item = Result<String, String>> + Send>;

/// Images and labels in step.
pub struct Arrays {
    name: String,
    shape: Shape,
    data: text::Bytes,
    labels: Labels,
    at: u64,
    split: Split,
}

/// A format of arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Idx,
    Npy,
}

impl Arrays {
    /// Open the images at `path` and their labels, unless they have none: at `labels`, or beside the images where they usually
    /// are.
    pub fn open(kind: Kind, path: &Path, labels: Option<&Path>, split: Split) -> Result<Arrays> {
        let in_images = || format!("{}", path.display());
        let (sizes, data) = match kind {
            Kind::Idx => idx::images(text::open(path)?).with_context(in_images)?,
            Kind::Npy => npy::images(text::open(path)?).with_context(in_images)?,
        };
        let shape = Shape::of(&sizes).with_context(in_images)?;
        let name = text::name(path);
        if split == Split::Unlabelled {
            let labels = Box::new(std::iter::repeat_with(|| Ok(String::new())));
            return Ok(Arrays { name, shape, data, labels, at: 0, split });
        }
        let beside = match labels {
            Some(told) => told.to_owned(),
            None => usual_labels(path).with_context(|| {
                format!("{} holds images; name the file of their labels by --labels", path.display())
            })?,
        };
        let in_labels = || format!("{}", beside.display());
        let (count, labels) = match kind {
            Kind::Idx => idx::labels(text::open(&beside)?).with_context(in_labels)?,
            Kind::Npy => npy::labels(text::open(&beside)?).with_context(in_labels)?,
        };
        ensure!(
            count == shape.images,
            "{} holds {} images, but {} holds {count} labels",
            path.display(),
            shape.images,
            beside.display()
        );
        Ok(Arrays { name, shape, data, labels, at: 0, split })
    }

    /// How many images the file says that it holds.
    pub fn total(&self) -> u64 {
        self.shape.images
    }

    fn read(&mut self) -> Result<Example, String> {
        let mut data = vec![0; self.shape.bytes()];
        self.data.read_exact(&mut data).map_err(|error| format!("the images end too early: {error}"))?;
        let label = self.labels.next().unwrap_or_else(|| Err("the labels end too early".into()))?;
        let Shape { height, width, channels, .. } = self.shape;
        let image = Some(pixels(height, width, channels, data));
        Ok(Example { id: self.place(), label, split: self.split as i32, image, ..Default::default() })
    }

    /// The image that was read last, counted from 0 as NumPy does.
    fn place(&self) -> String {
        format!("{}[{}]", self.name, self.at - 1)
    }
}

/// Where the labels of a file of images usually are: `…images-idx3…` and `…labels-idx1…`, `x_train` and `y_train`.
fn usual_labels(images: &Path) -> Option<PathBuf> {
    let name = text::name(images);
    let candidates = [
        name.replace("images-idx3", "labels-idx1"),
        name.replace("images.idx3", "labels.idx1"),
        name.replace("images", "labels"),
        name.replacen("x_", "y_", 1),
        name.replacen("X_", "y_", 1),
    ];
    candidates
        .into_iter()
        .filter(|other| *other != name)
        .map(|other| images.with_file_name(other))
        .find(|path| path.is_file())
}

impl Iterator for Arrays {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        if self.at >= self.shape.images {
            return None;
        }
        self.at += 1;
        let read = self.read();
        Some(read.map_err(|reason| {
            let place = self.place();
            // What is cut short holds nothing more.
            self.at = self.shape.images;
            Rejected::new(place, reason)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked_before_anything_is_allocated() {
        assert_eq!(Shape::of(&[5, 2, 3]).unwrap(), Shape { images: 5, height: 2, width: 3, channels: 1 });
        assert_eq!(Shape::of(&[5, 784]).unwrap(), Shape { images: 5, height: 28, width: 28, channels: 1 });
        for bad in
            [&[5][..], &[5, 783], &[5, 2, 3, 4], &[5, 0, 3], &[5, 1 << 40, 1], &[1, 16_384, 16_384], &[1, u64::MAX]]
        {
            assert!(Shape::of(bad).is_err(), "{bad:?}");
        }
    }
}
