//! Which outputs are wanted, and the answer with them.

use std::collections::BTreeMap;

use bytes::Bytes;
use graft_chassis::{serve::MESSAGE_BYTES, status};
use graft_proto::inference::{
    InferParameter, ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice,
    model_infer_request::InferRequestedOutputTensor, model_infer_response::InferOutputTensor,
};
use tonic::Status;

use crate::inputs::check_name;

/// A parameter of Triton's by which a tensor stays out of the message.
const SHARED_MEMORY: &str = "shared_memory_region";
/// A parameter of Triton's that asks for so many labels instead of numbers.
pub const CLASSIFICATION: &str = "classification";
/// Bytes of the outputs of one answer, at the most.
const MOST_BYTES: usize = MESSAGE_BYTES - (64 << 10);

/// Check that an output is one of `known`, and wanted in the message.
///
/// # Errors
/// A name that is unknown, shared memory.
pub fn check(wanted: &InferRequestedOutputTensor, known: &[&str]) -> Result<(), Status> {
    check_name("output", &wanted.name, known)?;
    no_shared_memory("outputs.parameters", &wanted.parameters)
}

/// Check that a tensor's parameters do not put it into shared memory: ignored, that would be answered with nonsense.
///
/// # Errors
/// Shared memory.
pub fn no_shared_memory(field: &str, parameters: &BTreeMap<String, InferParameter>) -> Result<(), Status> {
    if parameters.contains_key(SHARED_MEMORY) {
        let message = format!("`{SHARED_MEMORY}` is not supported; tensors travel in the messages");
        return Err(status::invalid(field, message));
    }
    Ok(())
}

/// How many classes an output is wanted as, if it is wanted as classes.
///
/// # Errors
/// A count that is no whole number from 1 on.
pub fn classes(wanted: &InferRequestedOutputTensor) -> Result<Option<usize>, Status> {
    let Some(parameter) = wanted.parameters.get(CLASSIFICATION) else { return Ok(None) };
    let count = match parameter.parameter_choice {
        Some(ParameterChoice::Int64Param(count)) => usize::try_from(count).ok(),
        Some(ParameterChoice::Uint64Param(count)) => usize::try_from(count).ok(),
        _ => None,
    };
    let count = count.filter(|count| *count > 0).ok_or_else(|| {
        let message = format!("`{CLASSIFICATION}` is the count of classes; a whole number from 1 on is accepted");
        status::invalid("outputs.parameters", message)
    })?;
    Ok(Some(count))
}

/// An output tensor of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: &'static str,
    /// The type of its elements.
    pub datatype: &'static str,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its elements in row-major order, little-endian; each element of BYTES after its length in four bytes.
    pub data: Bytes,
}

/// The elements of a tensor of FP32.
pub fn fp32(numbers: &[f32]) -> Bytes {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The elements of a tensor of BYTES.
///
/// # Errors
/// More than a message holds.
pub fn bytes<T: AsRef<[u8]>>(elements: impl IntoIterator<Item = T>) -> Result<Bytes, Status> {
    let mut data = Vec::new();
    for element in elements {
        let element = element.as_ref();
        let length = u32::try_from(element.len()).map_err(|_| too_large())?;
        data.extend_from_slice(&length.to_le_bytes());
        data.extend_from_slice(element);
        if data.len() > MOST_BYTES {
            return Err(too_large());
        }
    }
    Ok(data.into())
}

/// The answer of a model to the request `id`.
///
/// # Errors
/// More than a message holds.
pub fn answer(
    model_name: String,
    model_version: String,
    id: String,
    outputs: Vec<Output>,
) -> Result<ModelInferResponse, Status> {
    if outputs.iter().map(|output| output.data.len()).sum::<usize>() > MOST_BYTES {
        return Err(too_large());
    }
    let mut response = ModelInferResponse { model_name, model_version, id, ..Default::default() };
    for Output { name, datatype, shape, data } in outputs {
        let (name, datatype) = (name.to_owned(), datatype.to_owned());
        response.outputs.push(InferOutputTensor { name, datatype, shape, ..Default::default() });
        response.raw_output_contents.push(data);
    }
    Ok(response)
}

/// The answer to the request `id` of a stream, which goes on whatever became of it.
pub fn streamed(model: String, id: String, outcome: Result<ModelInferResponse, Status>) -> ModelStreamInferResponse {
    match outcome {
        Ok(response) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) },
        Err(status) => ModelStreamInferResponse {
            // The code has no field of its own here.
            error_message: format!("{:?}: {}", status.code(), status.message()),
            infer_response: Some(ModelInferResponse { model_name: model, id, ..Default::default() }),
        },
    }
}

fn too_large() -> Status {
    let mib = MOST_BYTES >> 20;
    status::invalid("outputs", format!("the answer has more than {mib} MiB; ask for fewer outputs, or send fewer rows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, key: &str, choice: Option<ParameterChoice>) -> InferRequestedOutputTensor {
        let parameter = InferParameter { parameter_choice: choice };
        InferRequestedOutputTensor { name: name.to_owned(), parameters: BTreeMap::from([(key.to_owned(), parameter)]) }
    }

    #[test]
    fn what_cannot_be_given_is_refused_and_the_rest_ignored() {
        assert!(check(&wanted("a", "binary_data", None), &["a", "b"]).is_ok());
        for (wanted, word) in [(wanted("c", "x", None), "`c`"), (wanted("a", SHARED_MEMORY, None), SHARED_MEMORY)] {
            let status = check(&wanted, &["a", "b"]).unwrap_err();
            assert!(status.message().starts_with("outputs.") && status.message().contains(word), "{status:?}");
        }
    }

    #[test]
    fn classes_are_counted_from_one() {
        let read = |choice| classes(&wanted("a", CLASSIFICATION, choice));
        assert_eq!(classes(&wanted("a", "other", None)).unwrap(), None);
        assert_eq!(read(Some(ParameterChoice::Int64Param(3))).unwrap(), Some(3));
        assert_eq!(read(Some(ParameterChoice::Uint64Param(1))).unwrap(), Some(1));
        for bad in [
            None,
            Some(ParameterChoice::Int64Param(0)),
            Some(ParameterChoice::Int64Param(-1)),
            Some(ParameterChoice::StringParam("3".into())),
            Some(ParameterChoice::BoolParam(true)),
        ] {
            assert!(read(bad.clone()).unwrap_err().message().contains("from 1 on"), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_fits_a_message() {
        assert_eq!(bytes(["ab", "", "c"]).unwrap(), &b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c"[..]);
        assert_eq!(fp32(&[1.0]), &1f32.to_le_bytes()[..]);
        let half = vec![0u8; MOST_BYTES / 2];
        assert!(bytes([&half]).is_ok());
        assert!(bytes([&half, &half]).unwrap_err().message().contains("16 MiB"));
        let output = || Output { name: "a", datatype: "UINT8", shape: vec![], data: half.clone().into() };
        let whole = answer("m".into(), "1".into(), "7".into(), vec![output(), output()]).unwrap();
        assert_eq!((whole.outputs.len(), whole.raw_output_contents.len(), whole.id.as_str()), (2, 2, "7"));
        assert!(answer("m".into(), "1".into(), "7".into(), vec![output(), output(), output()]).is_err());
    }

    #[test]
    fn a_failed_request_of_a_stream_is_an_answer_with_its_id() {
        let failed = streamed("net".into(), "7".into(), Err(status::invalid("inputs", "none")));
        assert_eq!(failed.error_message, "InvalidArgument: inputs: none");
        assert_eq!(failed.infer_response.unwrap().id, "7");
        let done = streamed("net".into(), "8".into(), Ok(ModelInferResponse::default()));
        assert!(done.error_message.is_empty());
    }
}
