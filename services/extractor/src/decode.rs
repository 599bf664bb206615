//! Encoded or raw bytes become 8-bit pixels, within limits that are checked before anything is allocated.

use std::{borrow::Cow, io::Cursor};

use bytes::Bytes;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, codecs::png::PngDecoder};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// What a PNG file's metadata may take once unpacked, in bytes.
const METADATA_BYTES: u64 = 16 << 20;

/// An image as it came.
#[derive(Clone, Debug)]
pub enum Source {
    /// A JPEG or PNG file.
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

/// What an image may measure.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of an encoded file.
    pub bytes: usize,
    /// Pixels, known from the header.
    pub pixels: u64,
    /// Rows or columns.
    pub side: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 16 << 20, pixels: 50_000_000, side: 16_384 }
    }
}

/// Why there are no pixels.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("empty; a JPEG or PNG file is accepted")]
    Empty,
    /// More bytes than are taken.
    #[error("{found} bytes; at most {most} are accepted")]
    TooManyBytes {
        /// The bytes found.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// Neither JPEG nor PNG.
    #[error("neither JPEG nor PNG, but {0}; these two are accepted")]
    UnknownFormat(&'static str),
    /// The decoder gave up.
    #[error("not a whole, valid {format}: {reason}; send the whole file as it was made")]
    Invalid {
        /// What it claims to be.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// More pixels than are taken.
    #[error("{width} x {height} = {} pixels; at most {most} are accepted, on sides of at most {side}", u64::from(*width) * u64::from(*height))]
    TooManyPixels {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit on pixels.
        most: u64,
        /// The limit on each side.
        side: u32,
    },
    /// A side of zero pixels.
    #[error("0; at least 1 is accepted")]
    NoPixels(&'static str),
    /// Other channels than grey or RGB.
    #[error("{0}; 1 (grey) or 3 (RGB) is accepted")]
    Channels(u32),
    /// Not as many bytes as the shape says.
    #[error("{found} bytes; {height} * {width} * {channels} = {expected} are expected")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes that the shape asks for.
        expected: u64,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// Channels.
        channels: u32,
    },
}

impl DecodeError {
    /// The field of the request that is to blame.
    pub fn field(&self) -> &'static str {
        match self {
            DecodeError::NoPixels(field) => field,
            DecodeError::Channels(_) => "image.pixels.channels",
            DecodeError::Length { .. } => "image.pixels.data",
            DecodeError::TooManyPixels { .. } => "image",
            _ => "image.encoded",
        }
    }
}

/// Decode `source`. Grey stays one channel; transparency is dropped, as Pillow's `convert("RGB")` drops it.
pub fn decode<'a>(source: &'a Source, limits: &Limits) -> Result<Decoded<'a>, DecodeError> {
    match source {
        Source::Pixels(pixels) => raw(pixels, limits),
        Source::Encoded(bytes) => encoded(bytes, limits),
    }
}

fn raw<'a>(pixels: &'a RawPixels, limits: &Limits) -> Result<Decoded<'a>, DecodeError> {
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

fn encoded(bytes: &[u8], limits: &Limits) -> Result<Decoded<'static>, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.len() > limits.bytes {
        return Err(DecodeError::TooManyBytes { found: bytes.len(), most: limits.bytes });
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes, limits),
        Ok(ImageFormat::Png) => png(bytes, limits),
        _ => Err(DecodeError::UnknownFormat(nature(bytes))),
    }
}

fn jpeg(bytes: &[u8], limits: &Limits) -> Result<Decoded<'static>, DecodeError> {
    let invalid =
        |error: zune_jpeg::errors::DecodeErrors| DecodeError::Invalid { format: "JPEG", reason: error.to_string() };
    // Strict: a file that ends early is an error, not a picture with a grey rest.
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(invalid)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = (width as u32, height as u32);
    limits.check(width, height)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (space, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let data = decoder.decode().map_err(invalid)?;
    Ok(Decoded { height, width, channels, data: Cow::Owned(data) })
}

fn png(bytes: &[u8], limits: &Limits) -> Result<Decoded<'static>, DecodeError> {
    let invalid = |error: image::ImageError| DecodeError::Invalid { format: "PNG", reason: error.to_string() };
    // A compressed colour profile is unpacked before the size is known; this bounds what it may become.
    let mut memory = image::Limits::default();
    memory.max_alloc = Some(METADATA_BYTES);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), memory).map_err(invalid)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let grey = matches!(decoder.color_type(), ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16);
    let image = DynamicImage::from_decoder(decoder).map_err(invalid)?;
    let (channels, data) = if grey { (1, image.into_luma8().into_raw()) } else { (3, image.into_rgb8().into_raw()) };
    Ok(Decoded { height, width, channels, data: Cow::Owned(data) })
}

impl Limits {
    fn check(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels || width > self.side || height > self.side {
            return Err(DecodeError::TooManyPixels { width, height, most: self.pixels, side: self.side });
        }
        Ok(())
    }
}

/// What bytes that are no image look like, for the message.
fn nature(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(256)];
    match head {
        [b'<', ..] => "markup such as HTML or SVG",
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "a WebP",
        [b'B', b'M', ..] => "a BMP",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        _ if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) => "text",
        _ => "bytes of an unknown kind",
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
        let limits = Limits { pixels: 599 * 400, ..Limits::default() };
        let large = decode(&Source::Encoded(photo("coffee.jpg").into()), &limits).unwrap_err();
        assert_eq!(
            large.to_string(),
            "600 x 400 = 240000 pixels; at most 239600 are accepted, on sides of at most 16384"
        );
        let limits = Limits { bytes: 100, ..Limits::default() };
        assert!(decode(&Source::Encoded(photo("coffee.jpg").into()), &limits).is_err());
    }

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
