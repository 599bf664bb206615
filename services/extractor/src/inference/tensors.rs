//! The input tensor of a request becomes images: encoded ones, pixels, or what its caller preprocessed.

use bytes::Bytes;
use graft_inference::{
    Contents, Picture, inputs, pictures,
    shape::{count, parts, wrong},
};
use graft_proto::{inference::model_infer_request::InferInputTensor, v1::Pixels};
use tonic::Status;

use super::metadata::INPUT;
use crate::{
    decode::{RawPixels, Source},
    input::Input,
};

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
    let InferInputTensor { datatype, shape, contents, .. } = inputs::only(inputs, &[INPUT])?;
    let contents = Contents::of(contents, raw)?;
    let images = |pictures: Vec<Picture>| pictures.into_iter().map(image).collect();
    match datatype.as_str() {
        "BYTES" => pictures::encoded(&shape, contents).map(images),
        "UINT8" => pictures::pixels(&shape, contents).map(images),
        "FP32" => preprocessed(&shape, contents, size),
        other => {
            let accepted = "BYTES (JPEG or PNG), UINT8 (pixels) and FP32 (preprocessed) are accepted";
            Err(inputs::wrong_datatype(other, accepted))
        }
    }
}

fn image(picture: Picture) -> Input {
    Input::Image(match picture {
        Picture::Encoded(bytes) => Source::Encoded(bytes),
        Picture::Pixels(Pixels { height, width, channels, data }) => {
            Source::Pixels(RawPixels { height, width, channels, data })
        }
    })
}

fn preprocessed(shape: &[i64], contents: Contents, size: ImageSize) -> Result<Vec<Input>, Status> {
    let ImageSize { height, width } = size;
    let images = match *shape {
        [images, 3, h, w] if h == i64::from(height) && w == i64::from(width) => count(images, shape, "images")?,
        _ => return Err(wrong(shape, &format!("[n, 3, {height}, {width}] is accepted for FP32 by this model"))),
    };
    let expected = images as u128 * 3 * u128::from(height) * u128::from(width) * size_of::<f32>() as u128;
    Ok(parts(contents.fp32(), images, expected, shape)?.map(Input::Tensor).collect())
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
