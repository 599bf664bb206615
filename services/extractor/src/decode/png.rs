//! PNG: every colour type and depth, interlaced or not; the still image of an animation.

use std::io::Cursor;

use image::{ColorType, ExtendedColorType, ImageDecoder, Limits as DecoderLimits, codecs::png::PngDecoder};

use super::{Stored, error::DecodeError, limits::Limits, orientation, read, samples};

/// Decode a PNG.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let invalid = |error: image::ImageError| DecodeError::Invalid { format: "PNG", reason: error.to_string() };
    let (width, height) = claimed(bytes);
    limits.check(width, height)?;
    let mut memory = DecoderLimits::no_limits();
    // Before a decoder tells the size it unpacks the colour profile, which may be a bomb in a picture of one pixel.
    memory.max_alloc = Some(limits.memory_for(width, height) as u64);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), memory).map_err(invalid)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let exif = decoder.exif_metadata().map_err(invalid)?;
    // Text that cannot be read says nothing about the pixels.
    let xmp = decoder.xmp_metadata().unwrap_or_default();
    let orientation = orientation::noted(exif.as_deref(), xmp.as_deref());
    // A transparent level makes 16-bit grey come with a second channel that its file does not have.
    let keyed = decoder.original_color_type() == ExtendedColorType::L16 && decoder.color_type() == ColorType::La16;
    let (color, mut data) = read(decoder).map_err(invalid)?;
    let color = if keyed {
        samples::pick::<4, 2>(&mut data, [0, 1]);
        ColorType::L16
    } else {
        color
    };
    Stored::new("PNG", width, height, color, data, orientation)
}

/// Width and height as the header has them: it is the first chunk of every PNG, at a fixed place. Nothing where the file is too
/// short for one, or has another chunk there: the decoder says so.
fn claimed(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes);
    (number(16), number(20))
}
