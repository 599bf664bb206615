//! Embeddings that a caller gives instead of an image.

use graft_chassis::status;
use graft_proto::v1::{DType, Embedding};
use tonic::Status;

use crate::fit::head::floats;

/// What an embedding is given to: something of one embedding space.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    /// What a person calls it.
    pub name: &'a str,
    /// Its embedding space.
    pub space: &'a str,
    /// Numbers in an embedding of that space.
    pub dimension: usize,
}

/// The numbers of an embedding that is given to `taker`, `[dimension]`; `field` is the request's field that holds it.
pub fn read(field: &str, embedding: &Embedding, taker: Taker<'_>) -> Result<Vec<f32>, Status> {
    let Taker { name, space, dimension } = taker;
    if embedding.space != space {
        let found = status::quoted(&embedding.space);
        let message = format!("the embedding is of `{found}`, but {name} is of `{space}`; they must not be mixed");
        return Err(status::precondition(&format!("{field}.space"), message));
    }
    let numbers = numbers(field, embedding)?;
    if numbers.len() != dimension {
        let message = format!("{} numbers; {dimension} are expected", numbers.len());
        return Err(status::invalid(&format!("{field}.data"), message));
    }
    Ok(numbers)
}

/// The numbers of an embedding, of any space; each is finite.
pub fn numbers(field: &str, embedding: &Embedding) -> Result<Vec<f32>, Status> {
    let data = &embedding.data;
    let numbers = match DType::try_from(embedding.dtype) {
        Ok(DType::Unspecified | DType::F32) if data.len().is_multiple_of(4) => floats(data),
        Ok(DType::F16) if data.len().is_multiple_of(2) => halves(data),
        Ok(_) => return Err(status::invalid(&format!("{field}.data"), "the bytes are no whole count of numbers")),
        Err(_) => {
            let message = format!("{} is unknown; D_TYPE_F32 and D_TYPE_F16 are accepted", embedding.dtype);
            return Err(status::invalid(&format!("{field}.dtype"), message));
        }
    };
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(status::invalid(&format!("{field}.data"), "a number is not finite"));
    }
    Ok(numbers)
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|two| half::f16::from_le_bytes(*two).to_f32()).collect()
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn an_embedding_must_be_of_the_takers_space_and_dimension() {
        let taker = Taker { name: "h@2", space: "net@0", dimension: 2 };
        let read = |space: &str, dtype: i32, data: &[u8]| {
            read("input.embedding", &Embedding { space: space.into(), dtype, data: data.to_vec().into() }, taker)
        };
        let singles: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let halves: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|n| half::f16::from_f32(*n).to_le_bytes()).collect();
        assert_eq!(read("net@0", DType::Unspecified as i32, &singles).unwrap(), [1.0, -2.0]);
        assert_eq!(read("net@0", DType::F16 as i32, &halves).unwrap(), [1.0, -2.0]);
        let foreign = read("other@1", 0, &singles).unwrap_err();
        assert_eq!(foreign.code(), Code::FailedPrecondition);
        assert!(foreign.message().contains("`other@1`") && foreign.message().contains("`net@0`"));
        let infinite: Vec<u8> = [f32::INFINITY; 2].iter().flat_map(|n| n.to_le_bytes()).collect();
        for (dtype, data) in
            [(0, &singles[..4]), (0, &singles[..7]), (0, &halves[..]), (9, &singles[..]), (0, &infinite)]
        {
            assert_eq!(read("net@0", dtype, data).unwrap_err().code(), Code::InvalidArgument, "{dtype} {data:?}");
        }
    }
}
