//! NumPy's `.npy`: images as unsigned bytes, labels as whole numbers or text.

use std::io::{self, Read};

use anyhow::{Result, bail, ensure};
use npyz::{Deserialize, NpyFile, Order};

use super::Labels;
use crate::import::text::Bytes;

/// The first bytes of the format.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest heading that is read, in bytes; NumPy's own have a hundred.
const MOST_HEADING: u32 = 1 << 16;

fn open(mut from: Bytes) -> Result<NpyFile<Bytes>> {
    // Magic, version, and the length of the heading in two bytes or four: looked at before as much is allocated.
    let mut start = [0; 12];
    from.read_exact(&mut start)?;
    let length = match start[6] {
        1 => u32::from(u16::from_le_bytes([start[8], start[9]])),
        _ => u32::from_le_bytes([start[8], start[9], start[10], start[11]]),
    };
    ensure!(start.starts_with(MAGIC), "no .npy file");
    ensure!(length <= MOST_HEADING, "a heading of {length} bytes; at most {MOST_HEADING} are accepted");
    let whole: Bytes = Box::new(io::Cursor::new(start).chain(from));
    let file = NpyFile::new(whole)?;
    ensure!(file.order() == Order::C || file.shape().len() < 2, "an array in Fortran order; save it in C order");
    Ok(file)
}

/// The sizes of an array of images, and their pixels.
pub fn images(from: Bytes) -> Result<(Vec<u64>, Bytes)> {
    let file = open(from)?;
    let kind = file.dtype().descr();
    ensure!(kind.contains("|u1"), "numbers of type {kind}; pixels are unsigned bytes ('|u1')");
    Ok((file.shape().to_vec(), file.into_inner()))
}

/// How many labels there are, and each as text.
pub fn labels(from: Bytes) -> Result<(u64, Labels)> {
    let file = open(from)?;
    let &[count] = file.shape() else { bail!("an array of shape {:?}; labels have one dimension", file.shape()) };
    let kind = file.dtype().descr();
    let labels = read::<u8>(file)
        .or_else(read::<i64>)
        .or_else(read::<i32>)
        .or_else(read::<u64>)
        .or_else(read::<u32>)
        .or_else(read::<i16>)
        .or_else(read::<u16>)
        .or_else(read::<i8>)
        .or_else(read::<bool>)
        .or_else(read::<String>);
    match labels {
        Ok(labels) => Ok((count, labels)),
        Err(_) => bail!("labels of type {kind}; whole numbers and text ('<U') are accepted"),
    }
}

/// The labels as texts, if they are of this type.
fn read<T: Deserialize + ToString + 'static>(file: NpyFile<Bytes>) -> Result<Labels, NpyFile<Bytes>>
where
    T::TypeReader: Send,
{
    let numbers = file.try_data::<T>()?;
    let text = |label: io::Result<T>| match label {
        Ok(label) => Ok(label.to_string()),
        Err(error) => Err(format!("the labels end too early: {error}")),
    };
    Ok(Box::new(numbers.map(text)))
}

#[cfg(test)]
mod tests {
    use npyz::WriterBuilder;

    use super::*;

    fn written<T: npyz::AutoSerialize>(numbers: &[T], shape: &[u64]) -> Bytes {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
        numbers.iter().for_each(|number| writer.push(number).unwrap());
        writer.finish().unwrap();
        Box::new(io::Cursor::new(bytes))
    }

    #[test]
    fn labels_of_usual_types_are_texts() {
        let all = |from| labels(from).unwrap().1.collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(all(written(&[3u8, 255], &[2])), ["3", "255"]);
        assert_eq!(all(written(&[-3i64, 9], &[2])), ["-3", "9"]);
        assert_eq!(all(written(&[7i32], &[1])), ["7"]);
        assert!(labels(written(&[1.5f64], &[1])).err().unwrap().to_string().contains("f8"));
        assert!(labels(written(&[1u8, 2], &[1, 2])).err().unwrap().to_string().contains("one dimension"));
    }

    #[test]
    fn what_is_no_npy_says_so_before_it_is_allocated() {
        let mut huge = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
        huge.extend([b' '; 64]);
        assert!(open(Box::new(io::Cursor::new(huge))).err().unwrap().to_string().contains("heading"));
        assert!(open(Box::new(io::Cursor::new(b"words, and more words".to_vec()))).is_err());
        assert!(images(written(&[1.5f32], &[1, 1, 1])).err().unwrap().to_string().contains("f4"));
        assert_eq!(images(written(&[1u8, 2], &[1, 1, 2])).unwrap().0, [1, 1, 2]);
    }
}
