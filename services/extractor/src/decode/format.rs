//! What kind of file the bytes are, told by how they begin.

use image::ImageFormat;

/// The formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Baseline or progressive; grey, YCbCr, RGB, CMYK or YCCK.
    Jpeg,
    /// Any of its colour types and depths.
    Png,
    /// Lossy or lossless; the first frame of an animation.
    WebP,
    /// The first frame.
    Gif,
    /// Any of its depths, run-length encoded or not.
    Bmp,
    /// The first image of the file.
    Tiff,
}

impl Format {
    /// The format of `bytes`; what they look like instead if it is none of these.
    pub fn of(bytes: &[u8]) -> Result<Format, &'static str> {
        match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
            Ok(ImageFormat::Png) => Ok(Format::Png),
            Ok(ImageFormat::WebP) => Ok(Format::WebP),
            Ok(ImageFormat::Gif) => Ok(Format::Gif),
            Ok(ImageFormat::Bmp) => Ok(Format::Bmp),
            Ok(ImageFormat::Tiff) => Ok(Format::Tiff),
            _ => Err(nature(bytes)),
        }
    }
}

/// What bytes that are no image look like, for the message.
fn nature(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(256)];
    match head {
        [b'<', ..] => "markup such as HTML or SVG",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "an AVIF, a HEIC or a film",
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', b' ', ..] => "a JPEG XL",
        [0, 0, 0, 0x0c, b'j', b'P', b' ', b' ', ..] => "a JPEG 2000",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive",
        _ if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) => "text",
        _ => "bytes of an unknown kind",
    }
}
