//! Images good and bad, made on the spot.

use std::io::{Cursor, Read, Write};

use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use anyhow::Result;
use bytes::Bytes;
use flate2::{Compression, write::ZlibEncoder};
use graft_proto::v1::{Image, image};

use crate::services::root;

/// An encoded image of the wire, whatever the bytes are.
pub fn encoded(bytes: impl Into<Bytes>) -> Image {
    Image { source: Some(image::Source::Encoded(bytes.into())) }
}

/// An image of the wire that is somewhere else.
pub fn at(uri: impl Into<String>) -> Image {
    Image { source: Some(image::Source::Uri(uri.into())) }
}

/// A photo of the reference, as its file has it.
pub fn photo(name: &str) -> Result<Bytes> {
    Ok(std::fs::read(root().join("tests/data/reference/images").join(name))?.into())
}

/// A picture of `width` × `height` whose colours depend on `seed`: stripes whose period and phase differ.
pub fn stripes(width: u32, height: u32, seed: u32, format: ImageFormat) -> Result<Bytes> {
    let period = 3 + seed % 17;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let on = (x + y * (seed % 5) + seed) / period % 2;
        Rgb([(on * 200) as u8, (seed * 37 % 256) as u8, ((x * 255) / width.max(1)) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format)?;
    Ok(bytes.into_inner().into())
}

/// A PNG that says that it has `width` × `height` pixels, and holds none of them: what a decompression bomb looks like
/// to those who read headers first.
pub fn png_of_size(width: u32, height: u32) -> Bytes {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // 8 bits, RGB, no interlacing.
    header.extend([8, 2, 0, 0, 0]);
    // The pixels begin with zlib's own header and go no further.
    png(&[(b"IHDR", &header), (b"IDAT", &[0x78, 0x9c]), (b"IEND", &[])])
}

/// A PNG of one pixel whose colour profile unpacks to `bytes` zeros.
pub fn png_with_profile(bytes: usize) -> Result<Bytes> {
    let mut packed = ZlibEncoder::new(b"profile\0\0".to_vec(), Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(bytes as u64), &mut packed)?;
    let mut pixel = ZlibEncoder::new(Vec::new(), Compression::fast());
    pixel.write_all(&[0, 255, 0, 0])?;
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0];
    Ok(png(&[(b"IHDR", &header), (b"iCCP", &packed.finish()?), (b"IDAT", &pixel.finish()?), (b"IEND", &[])]))
}

/// The chunks of a PNG as a file.
fn png(chunks: &[(&[u8; 4], &[u8])]) -> Bytes {
    let mut png = Vec::from(*b"\x89PNG\r\n\x1a\n");
    for (kind, data) in chunks {
        let mut checksum = flate2::Crc::new();
        checksum.update(*kind);
        checksum.update(data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(*kind);
        png.extend(*data);
        png.extend(checksum.sum().to_be_bytes());
    }
    png.into()
}
