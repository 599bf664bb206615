//! Which way up an image is: the orientation that cameras note beside the pixels, applied as Pillow's
//! `ImageOps.exif_transpose` applies it.

use std::borrow::Cow;

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};

use super::Decoded;

/// The orientation that the metadata of a file asks for. EXIF counts; XMP does where EXIF has none.
pub fn noted(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let of_exif = exif.and_then(|exif| Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)));
    of_exif.or_else(|| xmp.and_then(of_xmp)).unwrap_or(Orientation::NoTransforms)
}

/// The digit after `tiff:Orientation="` or `<tiff:Orientation>`.
fn of_xmp(xmp: &[u8]) -> Option<Orientation> {
    const KEY: &[u8] = b"tiff:Orientation";
    xmp.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY).find_map(|(at, _)| {
        let digit = match &xmp[at + KEY.len()..] {
            [b'=', b'"', digit, ..] | [b'>', digit, ..] => digit,
            _ => return None,
        };
        digit.is_ascii_digit().then(|| Orientation::from_exif(digit - b'0')).flatten()
    })
}

/// Turn `image` the way up that `orientation` says.
pub fn upright(image: Decoded<'static>, orientation: Orientation) -> Decoded<'static> {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let Decoded { height, width, channels, data } = image;
    let data = data.into_owned();
    let turned = match channels {
        1 => GrayImage::from_raw(width, height, data).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8),
    };
    // `data` has `height * width * channels` bytes, which is all that `from_raw` asks for.
    let mut turned = turned.unwrap_or_default();
    turned.apply_orientation(orientation);
    Decoded { height: turned.height(), width: turned.width(), channels, data: Cow::Owned(turned.into_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xmp_counts_where_exif_says_nothing() {
        let six = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let prefixed = [b"Exif\0\0".as_slice(), six].concat();
        for exif in [six.as_slice(), &prefixed] {
            assert_eq!(noted(Some(exif), Some(b"tiff:Orientation=\"3\"")), Orientation::Rotate90);
        }
        assert_eq!(noted(Some(b"nonsense"), Some(b"a tiff:Orientation=\"3\" b")), Orientation::Rotate180);
        assert_eq!(noted(None, Some(b"<tiff:Orientation>8</tiff:Orientation>")), Orientation::Rotate270);
        for nothing in [b"<tiff:Orientation>0<".as_slice(), b"tiff:Orientation=", b"tiff:Orientation", b""] {
            assert_eq!(noted(None, Some(nothing)), Orientation::NoTransforms);
        }
    }

    #[test]
    fn a_quarter_turn_swaps_the_sides() {
        let image = Decoded { height: 2, width: 3, channels: 1, data: Cow::Owned(vec![1, 2, 3, 4, 5, 6]) };
        let turned = upright(image, Orientation::Rotate90);
        assert_eq!((turned.height, turned.width, &*turned.data), (3, 2, [4, 1, 5, 2, 6, 3].as_slice()));
    }
}
