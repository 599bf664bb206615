//! The numbers of a caller's embedding.

use graft_chassis::status;
use graft_proto::v1::{DType, Embedding};
use tonic::Status;

use crate::fit::head::floats;

/// The numbers of an embedding; each is finite.
pub fn numbers(embedding: &Embedding) -> Result<Vec<f32>, Status> {
    let data = &embedding.data;
    let numbers = match DType::try_from(embedding.dtype) {
        Ok(DType::Unspecified | DType::F32) if data.len().is_multiple_of(4) => floats(data),
        Ok(DType::F16) if data.len().is_multiple_of(2) => halves(data),
        Ok(_) => return Err(status::invalid("input.embedding.data", "the bytes are no whole count of numbers")),
        Err(_) => {
            let accepted = "D_TYPE_F32 and D_TYPE_F16 are accepted";
            let message = format!("{} is unknown; {accepted}", embedding.dtype);
            return Err(status::invalid("input.embedding.dtype", message));
        }
    };
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(status::invalid("input.embedding.data", "a number is not finite"));
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
    fn numbers_are_packed_and_finite() {
        let read =
            |dtype: i32, data: &[u8]| numbers(&Embedding { space: "net@0".into(), dtype, data: data.to_vec().into() });
        let singles: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let halves: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|n| half::f16::from_f32(*n).to_le_bytes()).collect();
        assert_eq!(read(DType::Unspecified as i32, &singles).unwrap(), [1.0, -2.0]);
        assert_eq!(read(DType::F16 as i32, &halves).unwrap(), [1.0, -2.0]);
        let infinite: Vec<u8> = [f32::INFINITY; 2].iter().flat_map(|n| n.to_le_bytes()).collect();
        for (dtype, data) in [(0, &singles[..7]), (DType::F16 as i32, &halves[..3]), (9, &singles[..]), (0, &infinite)]
        {
            assert_eq!(read(dtype, data).unwrap_err().code(), Code::InvalidArgument, "{dtype} {data:?}");
        }
    }
}
