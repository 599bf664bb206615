//! The input tensor of a request: images, or embeddings that the caller has already.

use std::collections::BTreeMap;

use bytes::Bytes;
use graft_chassis::status;
use graft_inference::{
    Contents, Picture, inputs,
    pictures::{self, IMAGE},
    shape::{self, count, wrong},
};
use graft_proto::{
    inference::{InferParameter, infer_parameter::ParameterChoice, model_infer_request::InferInputTensor},
    v1::{Image, image::Source},
};
use half::f16;
use tonic::Status;

use crate::fit::head::floats;

/// The input that takes embeddings.
pub const EMBEDDING: &str = "embedding";

/// The parameter of a request that tells the space of its embeddings.
const SPACE: &str = "embedding_space";

/// What a request brings.
#[derive(Debug, PartialEq)]
pub enum Input {
    /// Images; at least one.
    Images(Vec<Image>),
    /// Embeddings; at least one.
    Embeddings(Embeddings),
}

/// Embeddings that lie one after the other.
#[derive(Debug, PartialEq)]
pub struct Embeddings {
    /// `[rows, dimension]`, each finite.
    pub numbers: Vec<f32>,
    /// How many there are.
    pub rows: usize,
}

/// What a request to a head of this dimension brings.
pub fn read(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>, dimension: usize) -> Result<Input, Status> {
    let InferInputTensor { name, datatype, shape, contents, .. } = inputs::only(inputs, &[IMAGE, EMBEDDING])?;
    let contents = Contents::of(contents, raw)?;
    if name == EMBEDDING {
        return embeddings(&datatype, &shape, contents, dimension).map(Input::Embeddings);
    }
    let pictures = match datatype.as_str() {
        "BYTES" => pictures::encoded(&shape, contents)?,
        "UINT8" => pictures::pixels(&shape, contents)?,
        other => {
            return Err(inputs::wrong_datatype(
                other,
                "BYTES (image files) and UINT8 (pixels) are accepted for `image`",
            ));
        }
    };
    Ok(Input::Images(pictures.into_iter().map(image).collect()))
}

/// The embedding space that a request tells; no tensor does.
pub fn space(parameters: &BTreeMap<String, InferParameter>) -> Result<Option<&str>, Status> {
    match parameters.get(SPACE).map(|parameter| &parameter.parameter_choice) {
        None => Ok(None),
        Some(Some(ParameterChoice::StringParam(space))) => Ok(Some(space)),
        Some(_) => {
            let message = "an embedding space is a text; NAME@HASH is accepted, as in the model's metadata";
            Err(status::invalid(&format!("parameters.{SPACE}"), message))
        }
    }
}

fn image(picture: Picture) -> Image {
    let source = match picture {
        Picture::Encoded(bytes) => Source::Encoded(bytes),
        Picture::Pixels(pixels) => Source::Pixels(pixels),
    };
    Image { source: Some(source) }
}

fn embeddings(datatype: &str, shape: &[i64], contents: Contents, dimension: usize) -> Result<Embeddings, Status> {
    let rows = match *shape {
        [rows, columns] if usize::try_from(columns) == Ok(dimension) => count(rows, shape, "embeddings")?,
        _ => return Err(wrong(shape, &format!("[n, {dimension}] is accepted for `{EMBEDDING}` by this model"))),
    };
    let numbers = rows as u128 * dimension as u128;
    let numbers = match datatype {
        "FP32" => {
            let bytes = contents.fp32();
            shape::check(&bytes, numbers * size_of::<f32>() as u128, shape)?;
            floats(&bytes)
        }
        "FP16" => {
            let bytes = contents.fp16()?;
            shape::check(&bytes, numbers * size_of::<f16>() as u128, shape)?;
            bytes.as_chunks::<2>().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect()
        }
        other => return Err(inputs::wrong_datatype(other, "FP32 and FP16 are accepted for `embedding`")),
    };
    match numbers.iter().position(|number| !number.is_finite()) {
        None => Ok(Embeddings { numbers, rows }),
        Some(index) => {
            let (row, column) = (index / dimension, index % dimension);
            let message = format!("number {column} is {}; finite numbers are accepted", numbers[index]);
            Err(status::invalid(&format!("inputs.{EMBEDDING}[{row}]"), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::{inference::InferTensorContents, v1::Pixels};
    use tonic::Code;

    use super::*;

    fn tensor(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
        InferInputTensor { name: name.into(), datatype: datatype.into(), shape: shape.to_vec(), ..Default::default() }
    }

    fn given(name: &str, datatype: &str, shape: &[i64], raw: &[u8]) -> Result<Input, Status> {
        read(vec![tensor(name, datatype, shape)], vec![Bytes::copy_from_slice(raw)], 2)
    }

    fn packed(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn images_are_encoded_or_pixels() {
        let image = |source| Image { source: Some(source) };
        let read = given("image", "BYTES", &[2], b"\x01\0\0\0a\0\0\0\0").unwrap();
        let encoded = |bytes: &'static str| image(Source::Encoded(bytes.into()));
        assert_eq!(read, Input::Images(vec![encoded("a"), encoded("")]));
        let read = given("image", "UINT8", &[1, 2, 1, 1], b"ab").unwrap();
        let pixels = Pixels { height: 2, width: 1, channels: 1, data: "ab".into() };
        assert_eq!(read, Input::Images(vec![image(Source::Pixels(pixels))]));
    }

    #[test]
    fn embeddings_are_of_either_precision_raw_or_typed() {
        let numbers = vec![1.0, -2.0, 0.5, 65504.0];
        let wanted = || Input::Embeddings(Embeddings { numbers: numbers.clone(), rows: 2 });
        assert_eq!(given("embedding", "FP32", &[2, 2], &packed(&numbers)).unwrap(), wanted());
        let halves: Vec<u8> = numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect();
        assert_eq!(given("embedding", "FP16", &[2, 2], &halves).unwrap(), wanted());
        let contents = InferTensorContents { fp32_contents: numbers.clone(), ..Default::default() };
        let typed = InferInputTensor { contents: Some(Box::new(contents)), ..tensor("embedding", "FP32", &[2, 2]) };
        assert_eq!(read(vec![typed.clone()], vec![], 2).unwrap(), wanted());
        let halves = InferInputTensor { datatype: "FP16".into(), ..typed };
        assert!(read(vec![halves], vec![], 2).unwrap_err().message().contains("raw_input_contents"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (row, infinite) = (packed(&[1.0, 2.0]), packed(&[1.0, 2.0, 3.0, f32::INFINITY]));
        for (name, datatype, shape, raw, words) in [
            ("embedding", "FP32", &[1, 3][..], &row, "inputs.shape: [1, 3]: [n, 2]"),
            ("embedding", "FP32", &[2], &row, "inputs.shape: [2]: [n, 2]"),
            ("embedding", "FP32", &[1, -2], &row, "[n, 2]"),
            ("embedding", "FP32", &[i64::MAX, 2], &row, "1 to 256"),
            ("embedding", "FP32", &[0, 2], &row, "1 to 256"),
            ("embedding", "FP32", &[2, 2], &row, "8 bytes; 16"),
            ("embedding", "FP16", &[1, 2], &row, "8 bytes; 4"),
            ("embedding", "FP64", &[1, 2], &row, "inputs.datatype: `FP64`"),
            ("embedding", "FP32", &[2, 2], &infinite, "inputs.embedding[1]: number 1 is inf"),
            ("image", "FP32", &[1, 2], &row, "inputs.datatype: `FP32`"),
            ("logits", "FP32", &[1, 2], &row, "`image` and `embedding`"),
        ] {
            let status = given(name, datatype, shape, raw).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(words), "`{words}` is missing in: {}", status.message());
        }
    }

    #[test]
    fn a_space_is_told_as_a_text_or_not_at_all() {
        let told = |choice| BTreeMap::from([(SPACE.to_owned(), InferParameter { parameter_choice: choice })]);
        assert_eq!(space(&BTreeMap::new()).unwrap(), None);
        assert_eq!(space(&told(Some(ParameterChoice::StringParam("net@0".into())))).unwrap(), Some("net@0"));
        for choice in [None, Some(ParameterChoice::Int64Param(1))] {
            assert!(space(&told(choice)).unwrap_err().message().starts_with("parameters.embedding_space: "));
        }
    }
}
