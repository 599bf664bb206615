//! GIF: the first frame, on the canvas that Pillow lays under it.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::{ColorType, metadata::Orientation};

use super::{Stored, error::DecodeError, limits::Limits};

/// Decode the first frame of a GIF. Where the frame does not cover the canvas, the canvas has the transparent colour,
/// else the first one of the palette. A transparent pixel has the colour that the palette gives it.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let invalid = |error: DecodingError| DecodeError::Invalid { format: "GIF", reason: error.to_string() };
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let most = u64::try_from(limits.memory()).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MAX);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    let mut decoder = options.read_info(bytes).map_err(invalid)?;
    let canvas = (u32::from(decoder.width()), u32::from(decoder.height()));
    let frame = decoder
        .next_frame_info()
        .map_err(invalid)?
        .ok_or_else(|| DecodeError::Invalid { format: "GIF", reason: "it holds no frame".to_owned() })?;
    let [left, top, columns, rows] = [frame.left, frame.top, frame.width, frame.height].map(u32::from);
    let ground = frame.transparent.unwrap_or(0);
    // A frame that goes past the canvas makes it larger.
    let (width, height) = (canvas.0.max(left + columns), canvas.1.max(top + rows));
    limits.check(width, height)?;
    let mut indices = vec![0; columns as usize * rows as usize];
    decoder.read_into_buffer(&mut indices).map_err(invalid)?;
    let colours = colours(decoder.palette().unwrap_or_default());
    let mut data = colours[usize::from(ground)].repeat(width as usize * height as usize);
    let below = data.chunks_exact_mut(width.max(1) as usize * 3).skip(top as usize);
    for (target, source) in below.zip(indices.chunks_exact(columns.max(1) as usize)) {
        let target = &mut target[left as usize * 3..];
        for (pixel, index) in target.as_chunks_mut::<3>().0.iter_mut().zip(source) {
            *pixel = colours[usize::from(*index)];
        }
    }
    Stored::new("GIF", width, height, ColorType::Rgb8, data, Orientation::NoTransforms)
}

/// The colour of each index; those that the palette leaves out are greys.
fn colours(palette: &[u8]) -> [[u8; 3]; 256] {
    let mut colours = std::array::from_fn(|index| [index as u8; 3]);
    for (colour, given) in colours.iter_mut().zip(palette.as_chunks::<3>().0) {
        *colour = *given;
    }
    colours
}
