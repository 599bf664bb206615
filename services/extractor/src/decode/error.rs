//! Why an image has no pixels, in words for its owner.

/// The formats that are accepted, for messages.
pub const ACCEPTED: &str = "JPEG, PNG, WebP, GIF, BMP and TIFF are accepted";

/// Why there are no pixels.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("empty; {ACCEPTED}")]
    Empty,
    /// More bytes than are taken.
    #[error("{found} bytes; at most {most} are accepted")]
    TooManyBytes {
        /// The bytes found.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// None of the formats.
    #[error("not an image of a known format, but {0}; {ACCEPTED}")]
    UnknownFormat(&'static str),
    /// The decoder gave up.
    #[error("not a whole, valid {format}: {}; send the whole file as it was made", reason.trim())]
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
