//! What an image is known by: a hash of its content.

use graft_proto::v1::{Image, image::Source};

use crate::fit::head::bytes;

/// BLAKE3 of an image as it came: of the file's bytes, or of the shape and the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of an image; `None` if it holds nothing, or only says where its content is.
    pub fn of(image: &Image) -> Option<ContentHash> {
        let mut hasher = blake3::Hasher::new();
        match image.source.as_ref()? {
            Source::Encoded(bytes) => hasher.update(b"encoded\0").update(bytes),
            Source::Uri(_) => return None,
            Source::Pixels(pixels) => {
                hasher.update(b"pixels\0\0");
                for number in [pixels.height, pixels.width, pixels.channels] {
                    hasher.update(&number.to_le_bytes());
                }
                hasher.update(&pixels.data)
            }
        };
        Some(ContentHash(*hasher.finalize().as_bytes()))
    }

    /// The hash of an embedding that came without its image.
    pub fn of_embedding(numbers: &[f32]) -> ContentHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"embedding\0").update(&bytes(numbers));
        ContentHash(*hasher.finalize().as_bytes())
    }

    /// The hash as the store has it; `None` if it is not one.
    pub fn from_slice(bytes: &[u8]) -> Option<ContentHash> {
        bytes.try_into().ok().map(ContentHash)
    }

    /// The hash as the API tells it, 64 hexadecimal digits; `None` if it is not one.
    pub fn from_hex(text: &str) -> Option<ContentHash> {
        blake3::Hash::from_hex(text).ok().map(|hash| ContentHash(*hash.as_bytes()))
    }

    /// As the API tells it.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Pixels;

    use super::*;

    #[test]
    fn the_shape_is_part_of_the_content() {
        let pixels = |height, width| {
            let pixels = Pixels { height, width, channels: 1, data: vec![7; 6].into() };
            ContentHash::of(&Image { source: Some(Source::Pixels(pixels)) })
        };
        let encoded = ContentHash::of(&Image { source: Some(Source::Encoded(vec![7; 6].into())) });
        assert_eq!(pixels(2, 3), pixels(2, 3));
        assert!(pixels(2, 3) != pixels(3, 2) && pixels(2, 3) != encoded);
        assert_eq!(ContentHash::of(&Image { source: None }), None);
        assert_eq!(ContentHash::of(&Image { source: Some(Source::Uri("file:///a".into())) }), None);
    }
}
