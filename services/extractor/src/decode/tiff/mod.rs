//! TIFF: the first image of a file; grey, RGB, palettes, CMYK and JPEG's YCbCr, in strips, tiles or planes.

use std::{borrow::Cow, io::Cursor};

use image::{ColorType, metadata::Orientation};
use tiff::{
    TiffError,
    decoder::{Decoder, DecodingResult, Limits as DecoderLimits},
    tags::Tag,
};

use self::samples::Layout;
use super::{Stored, error::DecodeError, limits::Limits, orientation};

pub mod palette;
pub mod samples;

/// `PhotometricInterpretation` of a palette.
const PALETTE: u16 = 3;
/// The largest value of a tag that is read, in bytes: room for the strips of the tallest image.
const TAG_BYTES: usize = 1 << 20;
/// TIFF's tag of XMP metadata.
const XMP: Tag = Tag::Unknown(700);

/// Decode the first image of a TIFF.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let mut decoder = open(bytes, limits)?;
    let (width, height) = decoder.dimensions().map_err(invalid)?;
    limits.check(width, height)?;
    let orientation = noted(&mut decoder);
    let kind = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(invalid)?;
    let (color, data) = if kind == Some(PALETTE) {
        let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(invalid)?;
        // The decoder knows no palettes: it is shown the indices as levels of grey.
        let relabelled = palette::as_grey(bytes).ok_or_else(|| refused("a palette that cannot be read".to_owned()))?;
        let mut decoder = open(&relabelled, limits)?;
        let color = decoder.colortype().map_err(invalid)?;
        let (indices, _) = read(&mut decoder)?;
        let indices = samples::indices(color, indices, width);
        (ColorType::Rgb8, indices.and_then(|indices| palette::look_up(&indices, &map)))
    } else {
        let color = decoder.colortype().map_err(invalid)?;
        let (data, planes) = read(&mut decoder)?;
        let layout = Layout { color, width, planes };
        samples::convert(layout, data).map_or((ColorType::L8, None), |(color, data)| (color, Some(data)))
    };
    let data = data.ok_or_else(|| refused("samples of a kind that is not accepted".to_owned()))?;
    Stored::new("TIFF", width, height, color, data, orientation)
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Decoder<Cursor<Cow<'a, [u8]>>>, DecodeError> {
    let mut memory = DecoderLimits::default();
    memory.decoding_buffer_size = limits.memory();
    memory.intermediate_buffer_size = limits.memory();
    memory.ifd_value_size = TAG_BYTES;
    Ok(Decoder::new(Cursor::new(Cow::Borrowed(bytes))).map_err(invalid)?.with_limits(memory))
}

/// All samples, and in how many planes they are.
fn read(decoder: &mut Decoder<Cursor<Cow<'_, [u8]>>>) -> Result<(DecodingResult, usize), DecodeError> {
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(invalid)?;
    Ok((samples, layout.planes))
}

fn noted(decoder: &mut Decoder<Cursor<Cow<'_, [u8]>>>) -> Orientation {
    let tag = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let xmp = decoder.get_tag_u8_vec(XMP).ok();
    tag.and_then(Orientation::from_exif).unwrap_or_else(|| orientation::noted(None, xmp.as_deref()))
}

fn invalid(error: TiffError) -> DecodeError {
    refused(error.to_string())
}

fn refused(reason: String) -> DecodeError {
    DecodeError::Invalid { format: "TIFF", reason }
}
