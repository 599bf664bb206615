//! An image as it came, and raw pixels held against the shape that was declared for them.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Decoded, error::DecodeError, limits::Limits};

/// An image as it came.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of one of the [formats](super::format::Format).
    Encoded(Bytes),
    /// Raw pixels with a declared shape.
    Pixels(RawPixels),
}

/// Raw 8-bit pixels as they came: row by row, the channels of a pixel beside each other. Nothing is checked yet.
#[derive(Clone, Debug)]
pub struct RawPixels {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// 1 for grey, 3 for RGB.
    pub channels: u32,
    /// `height * width * channels` bytes.
    pub data: Bytes,
}

impl Source {
    /// Its size as it came, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Source::Encoded(bytes) => bytes.len(),
            Source::Pixels(pixels) => pixels.data.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Take raw pixels as they are, once they are what they claim to be.
pub(super) fn raw<'a>(pixels: &'a RawPixels, limits: &Limits) -> Result<Decoded<'a>, DecodeError> {
    let RawPixels { height, width, channels, ref data } = *pixels;
    for (side, field) in [(height, "image.pixels.height"), (width, "image.pixels.width")] {
        if side == 0 {
            return Err(DecodeError::NoPixels(field));
        }
    }
    if !matches!(channels, 1 | 3) {
        return Err(DecodeError::Channels(channels));
    }
    limits.check(width, height)?;
    let expected = u64::from(height) * u64::from(width) * u64::from(channels);
    if data.len() as u64 != expected {
        return Err(DecodeError::Length { found: data.len(), expected, height, width, channels });
    }
    Ok(Decoded { height, width, channels, data: Cow::Borrowed(data) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;

    #[test]
    fn raw_pixels_are_checked_against_their_shape() {
        let check = |height, width, channels, length: usize| {
            let source = Source::Pixels(RawPixels { height, width, channels, data: vec![0; length].into() });
            decode(&source, &Limits::default()).map(|_| ()).map_err(|error| error.field())
        };
        assert_eq!(check(28, 28, 1, 784), Ok(()));
        assert_eq!(check(28, 28, 3, 2352), Ok(()));
        assert_eq!(check(28, 28, 1, 783), Err("image.pixels.data"));
        assert_eq!(check(0, 28, 1, 0), Err("image.pixels.height"));
        assert_eq!(check(28, 0, 1, 0), Err("image.pixels.width"));
        assert_eq!(check(28, 28, 4, 3136), Err("image.pixels.channels"));
        assert_eq!(check(u32::MAX, u32::MAX, 3, 0), Err("image"));
    }
}
