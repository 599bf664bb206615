//! Encoded or raw bytes become 8-bit pixels, within limits that are checked before anything is allocated.
//!
//! The pixels are those of Pillow's `ImageOps.exif_transpose(image).convert("RGB")`: the same ones where a format has one
//! right answer, within a level or so where a lossy format leaves its decoder some freedom.
//!
//! # Layout
//! - [`source`]: an image as it came; raw pixels.
//! - [`format`]: what kind of file it is.
//! - [`limits`]: what it may measure; [`error`]: why it has no pixels.
//! - [`jpeg`], [`png`], [`webp`], [`gif`], [`bmp`], [`tiff`]: a decoder each.
//! - [`samples`]: other depths and channels become 8-bit grey or RGB.
//! - [`orientation`]: turns the image the right way up.

use std::borrow::Cow;

use image::{ColorType, ImageDecoder, ImageResult, metadata::Orientation};

pub mod bmp;
pub mod error;
pub mod format;
pub mod gif;
pub mod jpeg;
pub mod limits;
pub mod orientation;
pub mod png;
pub mod samples;
pub mod source;
pub mod tiff;
pub mod webp;

pub use error::DecodeError;
pub use limits::Limits;
pub use source::{RawPixels, Source};

use format::Format;

/// Pixels: `[height, width, channels]`, 8 bits each, grey or RGB.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// Rows, at least 1.
    pub height: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// 1 or 3.
    pub channels: u32,
    /// `height * width * channels` bytes.
    pub data: Cow<'a, [u8]>,
}

impl Decoded<'_> {
    /// The same, on its own.
    pub fn into_owned(self) -> Decoded<'static> {
        let Decoded { height, width, channels, data } = self;
        Decoded { height, width, channels, data: Cow::Owned(data.into_owned()) }
    }
}

/// Pixels as a file stores them.
#[derive(Debug)]
pub struct Stored {
    /// The pixels.
    pub image: Decoded<'static>,
    /// What is to be done to them so that up is up.
    pub orientation: Orientation,
}

/// Decode `source`. Grey stays one channel; transparency is dropped, as Pillow's `convert("RGB")` drops it.
pub fn decode<'a>(source: &'a Source, limits: &Limits) -> Result<Decoded<'a>, DecodeError> {
    match source {
        Source::Pixels(pixels) => source::raw(pixels, limits),
        Source::Encoded(bytes) => encoded(bytes, limits),
    }
}

fn encoded(bytes: &[u8], limits: &Limits) -> Result<Decoded<'static>, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.len() > limits.bytes {
        return Err(DecodeError::TooManyBytes { found: bytes.len(), most: limits.bytes });
    }
    let Stored { image, orientation } = match Format::of(bytes).map_err(DecodeError::UnknownFormat)? {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Png => png::decode(bytes, limits),
        Format::WebP => webp::decode(bytes, limits),
        Format::Gif => gif::decode(bytes, limits),
        Format::Bmp => bmp::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
    }?;
    Ok(orientation::upright(image, orientation))
}

/// All samples of `decoder`, whose size was checked before.
fn read(decoder: impl ImageDecoder) -> ImageResult<(ColorType, Vec<u8>)> {
    let color = decoder.color_type();
    let bytes = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    let mut data = vec![0; bytes];
    decoder.read_image(&mut data)?;
    Ok((color, data))
}

impl Stored {
    /// Pixels from `data`, samples of `color`; an error if there are none, or not as many as the size says.
    fn new(
        format: &'static str,
        width: u32,
        height: u32,
        color: ColorType,
        mut data: Vec<u8>,
        orientation: Orientation,
    ) -> Result<Stored, DecodeError> {
        let invalid = |reason: String| DecodeError::Invalid { format, reason };
        let channels = samples::to_eight_bits(color, &mut data)
            .ok_or_else(|| invalid(format!("samples of {color:?} are not accepted")))?;
        if data.is_empty() || data.len() as u64 != u64::from(width) * u64::from(height) * u64::from(channels) {
            return Err(invalid(format!("{width} x {height} pixels and {} bytes of them", data.len())));
        }
        Ok(Stored { image: Decoded { height, width, channels, data: Cow::Owned(data) }, orientation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/reference/images/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    fn refused(bytes: Vec<u8>) -> DecodeError {
        decode(&Source::Encoded(bytes.into()), &Limits::default()).unwrap_err()
    }

    #[test]
    fn photos_have_their_size() {
        for (name, size) in [("coffee.jpg", (600, 400)), ("chelsea.png", (451, 300))] {
            let source = Source::Encoded(photo(name).into());
            let image = decode(&source, &Limits::default()).unwrap();
            assert_eq!((image.width, image.height, image.channels), (size.0, size.1, 3));
            assert_eq!(image.data.len(), (size.0 * size.1 * 3) as usize);
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        for name in ["coffee.jpg", "chelsea.png"] {
            let whole = photo(name);
            for part in [10, whole.len() / 3, whole.len() / 2, whole.len() * 9 / 10] {
                assert!(matches!(refused(whole[..part].to_vec()), DecodeError::Invalid { .. }), "{name} {part}");
            }
        }
    }

    #[test]
    fn what_is_no_image_is_named() {
        assert!(matches!(refused(vec![]), DecodeError::Empty));
        assert!(matches!(refused(b"label,pixel1".to_vec()), DecodeError::UnknownFormat("text")));
        assert!(matches!(refused(vec![0; 9]), DecodeError::UnknownFormat("bytes of an unknown kind")));
        let film = refused(b"\0\0\0\x1cftypavif\0\0\0\0".to_vec()).to_string();
        assert!(film.contains("AVIF") && film.contains("WebP, GIF, BMP and TIFF are accepted"), "{film}");
        let limits = Limits { pixels: 599 * 400, ..Limits::default() };
        let large = decode(&Source::Encoded(photo("coffee.jpg").into()), &limits).unwrap_err();
        assert_eq!(
            large.to_string(),
            "600 x 400 = 240000 pixels; at most 239600 are accepted, on sides of at most 16384"
        );
        let limits = Limits { bytes: 100, ..Limits::default() };
        assert!(decode(&Source::Encoded(photo("coffee.jpg").into()), &limits).is_err());
    }
}
