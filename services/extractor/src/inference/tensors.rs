//! The input tensor of a request becomes images: encoded ones, pixels, or what its caller preprocessed.

use bytes::Bytes;
use graft_chassis::status;
use graft_proto::inference::model_infer_request::InferInputTensor;
use tonic::Status;

use super::{contents::Contents, metadata::INPUT, outputs::no_shared_memory};
use crate::{
    decode::{RawPixels, Source},
    input::Input,
};

/// The most images of one request.
const MOST_IMAGES: usize = 256;
/// Dimensions of a shape that a message repeats.
const SHOWN_DIMENSIONS: usize = 6;
/// The field of most that can be wrong.
const SHAPE: &str = "inputs.shape";

/// What the network's input measures, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// The images of a request to a network whose input is `[3, size.height, size.width]`. Encoded images and pixels are
/// slices of the message that they came in.
pub fn read(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>, size: ImageSize) -> Result<Vec<Input>, Status> {
    let InferInputTensor { datatype, shape, contents, .. } = only(inputs)?;
    let contents = Contents::of(contents, raw)?;
    match datatype.as_str() {
        "BYTES" => encoded(&shape, contents),
        "UINT8" => pixels(&shape, contents),
        "FP32" => preprocessed(&shape, contents, size),
        other => {
            let accepted = "BYTES (JPEG or PNG), UINT8 (pixels) and FP32 (preprocessed) are accepted";
            Err(status::invalid("inputs.datatype", format!("`{}`; {accepted}", status::quoted(other))))
        }
    }
}

fn only(inputs: Vec<InferInputTensor>) -> Result<InferInputTensor, Status> {
    let [input] = <[InferInputTensor; 1]>::try_from(inputs)
        .map_err(|inputs| status::invalid("inputs", format!("{} tensors; one is expected, `{INPUT}`", inputs.len())))?;
    if input.name != INPUT {
        let message = format!("`{}` is no input of this model; `{INPUT}` is its only one", status::quoted(&input.name));
        return Err(status::invalid("inputs.name", message));
    }
    no_shared_memory("inputs.parameters", &input.parameters)?;
    Ok(input)
}

fn encoded(shape: &[i64], contents: Contents) -> Result<Vec<Input>, Status> {
    let ([images] | [images, 1]) = *shape else {
        return Err(wrong(shape, "[n] or [n, 1] is accepted for BYTES"));
    };
    let elements = contents.elements(count(images, shape)?)?;
    Ok(elements.into_iter().map(|bytes| Input::Image(Source::Encoded(bytes))).collect())
}

fn pixels(shape: &[i64], contents: Contents) -> Result<Vec<Input>, Status> {
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
    let images = count(images, shape)?;
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
    let image = |data| Input::Image(Source::Pixels(RawPixels { height, width, channels, data }));
    Ok(parts.map(image).collect())
}

fn preprocessed(shape: &[i64], contents: Contents, size: ImageSize) -> Result<Vec<Input>, Status> {
    let ImageSize { height, width } = size;
    let images = match *shape {
        [images, 3, h, w] if h == i64::from(height) && w == i64::from(width) => count(images, shape)?,
        _ => return Err(wrong(shape, &format!("[n, 3, {height}, {width}] is accepted for FP32 by this model"))),
    };
    let expected = images as u128 * 3 * u128::from(height) * u128::from(width) * size_of::<f32>() as u128;
    Ok(parts(contents.fp32(), images, expected, shape)?.map(Input::Tensor).collect())
}

fn count(images: i64, shape: &[i64]) -> Result<usize, Status> {
    let count = usize::try_from(images).ok().filter(|count| (1..=MOST_IMAGES).contains(count));
    count.ok_or_else(|| wrong(shape, &format!("{images} images; 1 to {MOST_IMAGES} are accepted")))
}

/// `data` in `images` equal parts, once it is known to have the bytes that the shape says.
fn parts(data: Bytes, images: usize, expected: u128, shape: &[i64]) -> Result<impl Iterator<Item = Bytes>, Status> {
    if data.len() as u128 != expected {
        return Err(wrong(shape, &format!("the contents have {} bytes; {expected} are expected", data.len())));
    }
    let bytes = data.len() / images;
    Ok((0..images).map(move |index| data.slice(index * bytes..(index + 1) * bytes)))
}

fn wrong(shape: &[i64], message: &str) -> Status {
    let mut dimensions: Vec<String> = shape.iter().take(SHOWN_DIMENSIONS).map(i64::to_string).collect();
    if shape.len() > SHOWN_DIMENSIONS {
        dimensions.push("…".to_owned());
    }
    status::invalid(SHAPE, format!("[{}]: {message}", dimensions.join(", ")))
}

#[cfg(test)]
mod tests {
    use graft_proto::inference::{InferParameter, InferTensorContents};
    use tonic::Code;

    use super::*;

    const SIZE: ImageSize = ImageSize { height: 2, width: 3 };

    fn tensor(datatype: &str, shape: &[i64]) -> InferInputTensor {
        InferInputTensor { name: INPUT.into(), datatype: datatype.into(), shape: shape.to_vec(), ..Default::default() }
    }

    fn images(datatype: &str, shape: &[i64], raw: Vec<u8>) -> Result<Vec<Input>, Status> {
        read(vec![tensor(datatype, shape)], vec![raw.into()], SIZE)
    }

    fn refused(outcome: Result<Vec<Input>, Status>, words: &[&str]) {
        let status = outcome.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        for word in words {
            assert!(status.message().contains(word), "`{word}` is missing in: {}", status.message());
        }
    }

    #[test]
    fn bytes_are_encoded_images() {
        for shape in [&[2][..], &[2, 1]] {
            let read = images("BYTES", shape, b"\x01\0\0\0a\x02\0\0\0bc".to_vec()).unwrap();
            let [Input::Image(Source::Encoded(a)), Input::Image(Source::Encoded(b))] = &read[..] else {
                panic!("{read:?}")
            };
            assert_eq!((&a[..], &b[..]), (&b"a"[..], &b"bc"[..]));
        }
        let mut typed = tensor("BYTES", &[1]);
        typed.contents = Some(Box::new(InferTensorContents { bytes_contents: vec!["a".into()], ..Default::default() }));
        assert_eq!(read(vec![typed], vec![], SIZE).unwrap().len(), 1);
    }

    #[test]
    fn uint8_is_pixels_of_one_image_or_many() {
        for (shape, count, channels) in [(&[2, 2, 3][..], 1, 3), (&[3, 2, 2, 1], 3, 1)] {
            let read = images("UINT8", shape, (0..12).collect()).unwrap();
            assert_eq!(read.len(), count);
            let Some(Input::Image(Source::Pixels(last))) = read.last() else { panic!("{read:?}") };
            assert_eq!((last.height, last.width, last.channels), (2, 2, channels));
            assert_eq!(last.data.last(), Some(&11));
        }
    }

    #[test]
    fn fp32_is_a_tensor_of_the_networks_size() {
        let read = images("FP32", &[2, 3, 2, 3], vec![0; 2 * 18 * 4]).unwrap();
        assert!(read.iter().all(|input| matches!(input, Input::Tensor(bytes) if bytes.len() == 18 * 4)));
        assert_eq!(read.len(), 2);
        refused(images("FP32", &[2, 3, 3, 2], vec![0; 144]), &["[2, 3, 3, 2]", "[n, 3, 2, 3]"]);
        refused(images("FP32", &[1, 3, 2, 3], vec![0; 71]), &["71", "72"]);
    }

    #[test]
    fn a_shape_says_no_more_than_the_contents_have() {
        refused(images("UINT8", &[2, 2, 1], vec![0; 5]), &["5 bytes", "4 are"]);
        refused(images("UINT8", &[256, i64::from(u32::MAX), i64::from(u32::MAX), 3], vec![0; 5]), &["5 bytes"]);
        for shape in [&[0, 2, 1][..], &[2, -1, 1], &[i64::MAX, 2, 1]] {
            refused(images("UINT8", shape, vec![0; 4]), &["at least 1"]);
        }
        refused(images("UINT8", &[1, 3, 2, 2], vec![0; 12]), &["channel", "last"]);
        refused(images("UINT8", &[4], vec![0; 4]), &["[4]", "[height, width, channels]"]);
        refused(images("BYTES", &[2, 2], vec![]), &["[2, 2]", "[n, 1]"]);
        refused(images("BYTES", &[], vec![]), &["[n]"]);
        refused(images("BYTES", &[1; 1000], vec![]), &["[1, 1, 1, 1, 1, 1, …]"]);
        for count in [0, -1, 257, i64::MAX] {
            refused(images("BYTES", &[count], vec![]), &["1 to 256"]);
        }
    }

    #[test]
    fn there_is_one_input_of_three_datatypes() {
        refused(images("INT64", &[1], vec![]), &["inputs.datatype", "INT64", "BYTES", "UINT8", "FP32"]);
        refused(read(vec![], vec![], SIZE), &["0 tensors", "`image`"]);
        refused(read(vec![tensor("BYTES", &[1]), tensor("BYTES", &[1])], vec![], SIZE), &["2 tensors"]);
        let other = InferInputTensor { name: "pixels".into(), ..tensor("BYTES", &[1]) };
        refused(read(vec![other], vec![Bytes::new()], SIZE), &["inputs.name", "`pixels`", "`image`"]);
        let mut shared = tensor("UINT8", &[1, 1, 1]);
        shared.parameters.insert("shared_memory_region".into(), InferParameter::default());
        refused(read(vec![shared], vec![], SIZE), &["shared_memory_region", "not supported"]);
    }
}
