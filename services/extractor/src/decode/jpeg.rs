//! JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK and YCCK.

use std::borrow::Cow;

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{Decoded, Stored, error::DecodeError, limits::Limits, orientation};

/// Decode a JPEG. Grey stays one channel; four inks are taken to be inverted, as Adobe writes and Pillow reads them.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    // Strict: a file that ends early is an error, not a picture with a grey rest.
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| invalid(&error))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = (width as u32, height as u32);
    limits.check(width, height)?;
    let (space, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        Some(ColorSpace::YCbCr | ColorSpace::RGB | ColorSpace::CMYK | ColorSpace::YCCK) => (ColorSpace::RGB, 3),
        other => {
            let reason = format!("components that make up no known colours ({other:?})");
            return Err(DecodeError::Invalid { format: "JPEG", reason });
        }
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let data = decoder.decode().map_err(|error| invalid(&error))?;
    let orientation = orientation::noted(decoder.exif().map(Vec::as_slice), decoder.xmp().map(Vec::as_slice));
    Ok(Stored { image: Decoded { height, width, channels, data: Cow::Owned(data) }, orientation })
}

fn invalid(error: &DecodeErrors) -> DecodeError {
    DecodeError::Invalid { format: "JPEG", reason: error.to_string() }
}
