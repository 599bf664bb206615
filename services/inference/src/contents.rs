//! What a tensor holds: raw bytes beside the tensors of the request, or elements in the field of their type.

use bytes::{Buf, Bytes};
use graft_chassis::status;
use graft_proto::inference::InferTensorContents;
use tonic::Status;

/// The field of raw contents.
const RAW: &str = "raw_input_contents";
/// The field of typed contents.
const TYPED: &str = "inputs.contents";
/// Bytes of the length before each raw element of BYTES.
const LENGTH_BYTES: usize = 4;

/// The elements of one tensor, in row-major order.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Little-endian bytes; elements of BYTES each after their length in four bytes.
    Raw(Bytes),
    /// Elements in the field of their type.
    Typed(Box<InferTensorContents>),
}

impl Contents {
    /// The contents of a request's only tensor.
    ///
    /// # Errors
    /// None, or several.
    pub fn of(typed: Option<Box<InferTensorContents>>, raw: Vec<Bytes>) -> Result<Contents, Status> {
        match (typed, <[Bytes; 1]>::try_from(raw)) {
            (None, Ok([raw])) => Ok(Contents::Raw(raw)),
            (Some(typed), Err(raw)) if raw.is_empty() => Ok(Contents::Typed(typed)),
            (None, Err(raw)) if raw.is_empty() => {
                Err(status::invalid(RAW, "missing, and the input has no contents either; one of the two is expected"))
            }
            (None, Err(raw)) => Err(status::invalid(RAW, format!("{} entries; one for the one input", raw.len()))),
            (Some(_), _) => Err(status::invalid(RAW, "given beside the input's contents; one of the two is accepted")),
        }
    }

    /// The `count` elements of a tensor of BYTES. Nothing is copied.
    ///
    /// # Errors
    /// Another count, or lengths that do not fit the bytes.
    pub fn elements(self, count: usize) -> Result<Vec<Bytes>, Status> {
        match self {
            Contents::Raw(raw) => split(raw, count),
            Contents::Typed(typed) if typed.bytes_contents.len() == count => Ok(typed.bytes_contents),
            Contents::Typed(typed) => {
                let found = typed.bytes_contents.len();
                Err(status::invalid(TYPED, format!("{found} entries of bytes_contents; the shape says {count}")))
            }
        }
    }

    /// The bytes of a tensor of UINT8.
    ///
    /// # Errors
    /// A typed element above 255.
    pub fn uint8(self) -> Result<Bytes, Status> {
        let typed = match self {
            Contents::Raw(raw) => return Ok(raw),
            Contents::Typed(typed) => typed,
        };
        let byte = |value: u32| {
            u8::try_from(value)
                .map_err(|_| status::invalid(TYPED, format!("{value} in uint_contents; UINT8 ends at 255")))
        };
        Ok(typed.uint_contents.into_iter().map(byte).collect::<Result<Vec<u8>, _>>()?.into())
    }

    /// The numbers of a tensor of FP32, packed, little-endian.
    pub fn fp32(self) -> Bytes {
        match self {
            Contents::Raw(raw) => raw,
            Contents::Typed(typed) => typed.fp32_contents.into_iter().flat_map(f32::to_le_bytes).collect(),
        }
    }

    /// The numbers of a tensor of FP16, packed, little-endian.
    ///
    /// # Errors
    /// Typed contents, which have no field for them.
    pub fn fp16(self) -> Result<Bytes, Status> {
        match self {
            Contents::Raw(raw) => Ok(raw),
            Contents::Typed(_) => Err(status::invalid(TYPED, format!("FP16 has no field there; {RAW} is accepted"))),
        }
    }
}

/// Split the raw contents of a tensor of `count` elements of BYTES.
fn split(mut raw: Bytes, count: usize) -> Result<Vec<Bytes>, Status> {
    let mut elements = Vec::with_capacity(count);
    while elements.len() < count {
        let index = elements.len();
        let Some(length) = raw.first_chunk::<LENGTH_BYTES>().map(|four| u32::from_le_bytes(*four)) else {
            let message = format!(
                "{} bytes for element {index} of {count}; a length of {LENGTH_BYTES} bytes, little-endian, and as many bytes \
                 are expected for each",
                raw.len()
            );
            return Err(status::invalid(RAW, message));
        };
        raw.advance(LENGTH_BYTES);
        if length as usize > raw.len() {
            let message = format!("element {index} is said to have {length} bytes, but {} are left", raw.len());
            return Err(status::invalid(RAW, message));
        }
        elements.push(raw.split_to(length as usize));
    }
    if !raw.is_empty() {
        let message =
            format!("{} bytes after the last of {count} elements; the shape says how many there are", raw.len());
        return Err(status::invalid(RAW, message));
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(bytes: &[u8]) -> Contents {
        Contents::of(None, vec![Bytes::copy_from_slice(bytes)]).unwrap()
    }

    fn typed(contents: InferTensorContents) -> Contents {
        Contents::of(Some(Box::new(contents)), vec![]).unwrap()
    }

    #[test]
    fn contents_are_given_once() {
        let contents = || Some(Box::new(InferTensorContents::default()));
        for (typed, raw, word) in [
            (None, vec![], "missing"),
            (None, vec![Bytes::new(); 2], "2 entries"),
            (contents(), vec![Bytes::new()], "beside"),
        ] {
            let status = Contents::of(typed, raw).unwrap_err();
            assert!(status.message().starts_with(RAW) && status.message().contains(word), "{status:?}");
        }
    }

    #[test]
    fn elements_are_split_by_their_lengths() {
        let whole = raw(b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c");
        assert_eq!(whole.clone().elements(3).unwrap(), ["ab", "", "c"]);
        assert!(whole.clone().elements(2).unwrap_err().message().contains("5 bytes after"));
        assert!(whole.elements(4).unwrap_err().message().contains("element 3 of 4"));
        for (bytes, words) in [
            (&b"\x02\0\0"[..], "3 bytes for element 0"),
            (b"\x03\0\0\0ab", "3 bytes, but 2"),
            (b"\xff\xff\xff\xffab", "4294967295"),
        ] {
            let status = raw(bytes).elements(1).unwrap_err();
            assert!(status.message().contains(words), "{status:?}");
        }
    }

    #[test]
    fn typed_contents_are_those_of_their_type() {
        let contents = InferTensorContents {
            bytes_contents: vec!["ab".into()],
            uint_contents: vec![0, 255],
            fp32_contents: vec![1.0],
            ..Default::default()
        };
        assert_eq!(typed(contents.clone()).elements(1).unwrap(), ["ab"]);
        assert!(typed(contents.clone()).elements(2).unwrap_err().message().contains("1 entries of bytes_contents"));
        assert_eq!(typed(contents.clone()).uint8().unwrap(), &[0, 255][..]);
        assert_eq!(typed(contents.clone()).fp32(), &1f32.to_le_bytes()[..]);
        assert!(typed(contents).fp16().unwrap_err().message().contains("raw_input_contents"));
        assert_eq!(raw(b"abcd").fp16().unwrap(), "abcd");
        let large = InferTensorContents { uint_contents: vec![256], ..Default::default() };
        assert!(typed(large).uint8().unwrap_err().message().contains("256"));
    }
}
