//! IDX, the format of MNIST: two zeros, a type, a number of dimensions, their sizes as big-endian u32, and the numbers.

use std::io::Read;

use anyhow::{Context, Result, bail};

use super::Labels;
use crate::import::text::Bytes;

/// The type of unsigned bytes, which images and MNIST's labels have.
const UNSIGNED: u8 = 0x08;

/// Whether a file begins as IDX does.
pub fn begins(head: &[u8]) -> bool {
    matches!(head, [0, 0, 0x08..=0x0e, 1..=4, ..])
}

/// The sizes of the dimensions, and the numbers.
fn open(mut from: Bytes) -> Result<(u8, Vec<u64>, Bytes)> {
    let mut head = [0; 4];
    from.read_exact(&mut head).context("too short for IDX")?;
    if !begins(&head) {
        bail!("no IDX file: it begins with {head:02x?}");
    }
    let mut sizes = Vec::new();
    for _ in 0..head[3] {
        let mut size = [0; 4];
        from.read_exact(&mut size).context("it ends in its heading")?;
        sizes.push(u64::from(u32::from_be_bytes(size)));
    }
    Ok((head[2], sizes, from))
}

/// The sizes of an array of images, and their pixels.
pub fn images(from: Bytes) -> Result<(Vec<u64>, Bytes)> {
    match open(from)? {
        (UNSIGNED, sizes, pixels) => Ok((sizes, pixels)),
        (kind, ..) => bail!("numbers of type 0x{kind:02x}; pixels are unsigned bytes (0x08)"),
    }
}

/// How many labels there are, and each as text.
pub fn labels(from: Bytes) -> Result<(u64, Labels)> {
    let (kind, sizes, numbers) = open(from)?;
    let [count] = sizes[..] else { bail!("an array of shape {sizes:?}; labels have one dimension") };
    let number: fn([u8; 4]) -> i64 = match kind {
        UNSIGNED => |bytes| i64::from(bytes[3]),
        0x09 => |bytes| i64::from(bytes[3] as i8),
        0x0b => |bytes| i64::from(i16::from_be_bytes([bytes[2], bytes[3]])),
        0x0c => |bytes| i64::from(i32::from_be_bytes(bytes)),
        _ => bail!("numbers of type 0x{kind:02x}; labels are whole numbers"),
    };
    let width = match kind {
        0x0b => 2,
        0x0c => 4,
        _ => 1,
    };
    let mut numbers = numbers;
    let labels = (0..count).map(move |_| {
        let mut bytes = [0; 4];
        let read = numbers.read_exact(&mut bytes[4 - width..]);
        read.map(|()| number(bytes).to_string()).map_err(|error| format!("the labels end too early: {error}"))
    });
    Ok((count, Box::new(labels)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: &[u8]) -> Bytes {
        Box::new(std::io::Cursor::new(bytes.to_vec()))
    }

    fn all(from: &[u8]) -> Vec<Result<String, String>> {
        labels(bytes(from)).unwrap().1.collect()
    }

    #[test]
    fn labels_of_every_width_are_numbers() {
        assert_eq!(all(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 255]), [Ok("7".into()), Ok("255".into())]);
        assert_eq!(all(&[0, 0, 9, 1, 0, 0, 0, 1, 255]), [Ok("-1".into())]);
        assert_eq!(all(&[0, 0, 0x0b, 1, 0, 0, 0, 1, 1, 2]), [Ok("258".into())]);
        assert_eq!(all(&[0, 0, 0x0c, 1, 0, 0, 0, 1, 0, 1, 0, 0]), [Ok("65536".into())]);
        assert!(all(&[0, 0, 8, 1, 0, 0, 0, 2, 7])[1].as_ref().unwrap_err().contains("too early"));
    }

    #[test]
    fn what_is_no_idx_says_so() {
        assert!(labels(bytes(b"PK\x03\x04")).is_err());
        assert!(labels(bytes(&[0, 0, 8])).is_err());
        assert!(labels(bytes(&[0, 0, 0x0d, 1, 0, 0, 0, 0])).is_err(), "floats are no labels");
        assert!(images(bytes(&[0, 0, 0x0d, 3, 0, 0, 0, 0])).is_err());
        assert!(labels(bytes(&[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 1])).is_err());
    }
}
