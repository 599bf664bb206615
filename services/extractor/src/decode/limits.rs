//! What an image may measure. Headers are held against it before anything is allocated for the pixels.

use super::error::DecodeError;

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

impl Limits {
    /// Refuse an image of more pixels or longer sides than these.
    pub fn check(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels || width > self.side || height > self.side {
            return Err(DecodeError::TooManyPixels { width, height, most: self.pixels, side: self.side });
        }
        Ok(())
    }

    /// What a decoder may allocate beside the file, in bytes, for the largest image that is taken.
    pub fn memory(&self) -> usize {
        memory(self.pixels)
    }

    /// The same, for an image of this size.
    pub fn memory_for(&self, width: u32, height: u32) -> usize {
        memory(self.pixels.min(u64::from(width) * u64::from(height)))
    }
}

/// Pixels at 16 bits and four channels, and room for tables and metadata, in bytes.
fn memory(pixels: u64) -> usize {
    const TABLES: u64 = 16 << 20;
    usize::try_from(pixels.saturating_mul(8).saturating_add(TABLES)).unwrap_or(usize::MAX)
}
