//! A tensor of images: encoded ones, or pixels.

use bytes::Bytes;
use graft_chassis::status;
use graft_proto::v1::{ItemError, Pixels};
use tonic::{Code, Status};

use crate::{
    contents::Contents,
    shape::{count, parts, wrong},
};

/// The input that takes images.
pub const IMAGE: &str = "image";

/// One image of a tensor; a slice of the message that it came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// A file.
    Encoded(Bytes),
    /// Rows of pixels.
    Pixels(Pixels),
}

/// The images of a tensor of BYTES.
///
/// # Errors
/// A shape that is none of images, or that does not fit the contents.
pub fn encoded(shape: &[i64], contents: Contents) -> Result<Vec<Picture>, Status> {
    let ([images] | [images, 1]) = *shape else {
        return Err(wrong(shape, "[n] or [n, 1] is accepted for BYTES"));
    };
    let elements = contents.elements(count(images, shape, "images")?)?;
    Ok(elements.into_iter().map(Picture::Encoded).collect())
}

/// The images of a tensor of UINT8.
///
/// # Errors
/// A shape that is none of images, or that does not fit the contents.
pub fn pixels(shape: &[i64], contents: Contents) -> Result<Vec<Picture>, Status> {
    let (images, [height, width, channels]) = match *shape {
        [height, width, channels] => (1, [height, width, channels]),
        [images, height, width, channels] => (images, [height, width, channels]),
        _ => {
            return Err(wrong(
                shape,
                "[n, height, width, channels] or [height, width, channels] is accepted for UINT8",
            ));
        }
    };
    let images = count(images, shape, "images")?;
    let side = |side| u32::try_from(side).ok().filter(|side| *side > 0);
    let (Some(height), Some(width)) = (side(height), side(width)) else {
        return Err(wrong(shape, "height and width are at least 1"));
    };
    let channels = match channels {
        1 => 1,
        3 => 3,
        _ => return Err(wrong(shape, "1 channel (grey) or 3 (RGB) are accepted, as the last dimension")),
    };
    let expected = images as u128 * u128::from(height) * u128::from(width) * u128::from(channels);
    let parts = parts(contents.uint8()?, images, expected, shape)?;
    Ok(parts.map(|data| Picture::Pixels(Pixels { height, width, channels, data })).collect())
}

/// Why the image at `index` fails the whole request, in the protocol's own names.
pub fn refused(index: &str, error: &ItemError) -> Status {
    let code = Code::from_i32(error.code);
    if code != Code::InvalidArgument {
        return Status::new(code, format!("image {index}: {}", error.message));
    }
    // The field of another contract means nothing to this caller.
    let said = error.message.strip_prefix(&format!("{}: ", error.field)).unwrap_or(&error.message);
    status::invalid(&format!("inputs.{IMAGE}[{index}]"), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(bytes: &'static [u8]) -> Contents {
        Contents::Raw(Bytes::from_static(bytes))
    }

    #[test]
    fn images_are_split_as_their_shape_says() {
        for shape in [&[2][..], &[2, 1]] {
            let read = encoded(shape, raw(b"\x01\0\0\0a\x02\0\0\0bc")).unwrap();
            assert_eq!(read, [Picture::Encoded("a".into()), Picture::Encoded("bc".into())]);
        }
        let read = pixels(&[2, 1, 1, 3], raw(b"abcdef")).unwrap();
        let picture =
            |data: &'static str| Picture::Pixels(Pixels { height: 1, width: 1, channels: 3, data: data.into() });
        assert_eq!(read, [picture("abc"), picture("def")]);
        assert_eq!(pixels(&[1, 1, 3], raw(b"abc")).unwrap(), [picture("abc")]);
    }

    #[test]
    fn a_shape_that_is_none_of_images_is_refused() {
        for shape in [&[][..], &[4], &[2, 2], &[1, 2, 2, 1, 1], &[4, 1, 2], &[0, 2, 1], &[-1, -4, 1], &[i64::MAX; 4]] {
            let status = pixels(shape, raw(b"abcd")).unwrap_err();
            assert!(status.message().starts_with("inputs.shape: ["), "{status:?}");
        }
        for shape in [&[][..], &[2, 2], &[0], &[257], &[1, 1, 1]] {
            assert!(encoded(shape, raw(b"")).unwrap_err().message().starts_with("inputs.shape: ["), "{shape:?}");
        }
    }

    #[test]
    fn a_refused_image_is_named() {
        let error = status::to_item_error(&status::invalid("image.encoded", "no image"));
        assert_eq!(refused("7", &error).message(), "inputs.image[7]: no image");
        let late = status::to_item_error(&status::too_late("it is late"));
        assert_eq!(refused("7", &late).code(), Code::DeadlineExceeded);
        assert_eq!(refused("7", &late).message(), "image 7: it is late");
    }
}
