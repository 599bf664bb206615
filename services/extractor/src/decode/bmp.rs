//! BMP: palettes of 1 to 8 bits, 16 to 32 bits a pixel, run-length encoded or not.

use std::io::Cursor;

use image::{ImageDecoder, codecs::bmp::BmpDecoder, metadata::Orientation};

use super::{Stored, error::DecodeError, limits::Limits, read};

/// Decode a BMP.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let invalid = |error: image::ImageError| DecodeError::Invalid { format: "BMP", reason: error.to_string() };
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(invalid)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let (color, data) = read(decoder).map_err(invalid)?;
    Stored::new("BMP", width, height, color, data, Orientation::NoTransforms)
}
