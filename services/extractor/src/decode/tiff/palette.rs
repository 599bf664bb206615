//! Palettes of TIFF files.

/// The tag `PhotometricInterpretation`.
const INTERPRETATION: u16 = 262;
/// Its value for levels of grey, 0 being black.
const BLACK_IS_ZERO: u16 = 1;

/// The file with its palette indices declared to be levels of grey; `None` if its first directory cannot be read.
pub fn as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let big = match bytes.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let number = |at: usize| -> Option<u16> {
        let two = [*bytes.get(at)?, *bytes.get(at.checked_add(1)?)?];
        Some(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    };
    let offset = <[u8; 4]>::try_from(bytes.get(4..8)?).ok()?;
    let directory = if big { u32::from_be_bytes(offset) } else { u32::from_le_bytes(offset) } as usize;
    // Entries of 12 bytes: tag, type, count, value.
    let entry = (0..usize::from(number(directory)?))
        .map(|index| directory + 2 + 12 * index)
        .find(|entry| number(*entry) == Some(INTERPRETATION))?;
    let mut relabelled = bytes.to_vec();
    let value = if big { BLACK_IS_ZERO.to_be_bytes() } else { BLACK_IS_ZERO.to_le_bytes() };
    relabelled.get_mut(entry + 8..entry + 10)?.copy_from_slice(&value);
    Some(relabelled)
}

/// The RGB of each index. `map` has all reds, then all greens, then all blues, 16 bits each, of which the upper 8 count.
pub fn look_up(indices: &[u8], map: &[u16]) -> Option<Vec<u8>> {
    let colours = map.len() / 3;
    let mut pixels = Vec::with_capacity(indices.len() * 3);
    for index in indices.iter().map(|index| usize::from(*index)) {
        if index >= colours {
            return None;
        }
        pixels.extend([0, 1, 2].map(|plane| (map[plane * colours + index] >> 8) as u8));
    }
    Some(pixels)
}
