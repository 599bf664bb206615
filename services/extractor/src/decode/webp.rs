//! WebP: lossy and lossless, with transparency or without; the first frame of an animation.

use std::io::Cursor;

use image::{ImageDecoder, codecs::webp::WebPDecoder};

use super::{Stored, error::DecodeError, limits::Limits, orientation, read};

/// Decode a WebP.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let invalid = |error: image::ImageError| DecodeError::Invalid { format: "WebP", reason: error.to_string() };
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(invalid)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let exif = decoder.exif_metadata().map_err(invalid)?;
    let xmp = decoder.xmp_metadata().map_err(invalid)?;
    let orientation = orientation::noted(exif.as_deref(), xmp.as_deref());
    let (color, data) = read(decoder).map_err(invalid)?;
    Stored::new("WebP", width, height, color, data, orientation)
}
