//! The bytes of a head: a safetensors file of F32 tensors. The crate's own writer puts metadata in the order of a hash map, which
//! is not the same twice, so the header is written here.

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensors};

/// Why bytes are no head.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// Not safetensors, or a tensor is missing.
    #[error("safetensors: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor of another shape or type than a head's.
    #[error("`{name}` is {dtype:?} {shape:?}; F32 {expected} is expected")]
    Shape {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// What is expected.
        expected: String,
    },
    /// A number that is none of those that it can be.
    #[error("`{name}` is `{value}`; {expected} is expected")]
    Value {
        /// What it is the value of.
        name: &'static str,
        /// The value.
        value: String,
        /// What is expected.
        expected: String,
    },
    /// A kind of head that this version does not know.
    #[error("the head is of the kind `{0}`, which this version does not know")]
    Kind(String),
}

/// Tensors by name, and what is noted beside them.
#[derive(Debug, Default)]
pub struct Contents {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// The metadata.
    pub notes: BTreeMap<String, String>,
}

impl Contents {
    /// No tensors yet.
    pub fn new(metadata: HashMap<String, String>) -> Contents {
        Contents { tensors: BTreeMap::new(), notes: metadata.into_iter().collect() }
    }

    /// Note a value.
    pub fn note(&mut self, name: &str, value: &str) {
        self.notes.insert(name.to_owned(), value.to_owned());
    }

    /// Add a tensor.
    pub fn tensor(&mut self, name: &str, shape: Vec<usize>, numbers: &[f32]) {
        self.tensors.insert(name.to_owned(), (shape, numbers.to_vec()));
    }

    /// The file.
    ///
    /// # Errors
    /// Numbers that do not fit their shape.
    pub fn to_bytes(&self) -> Result<Vec<u8>, HeadError> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        header.insert("__metadata__".to_owned(), serde_json::json!(self.notes));
        for (name, (shape, numbers)) in &self.tensors {
            let start = data.len();
            data.extend(bytes(numbers));
            let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
            header.insert(name.clone(), entry);
        }
        // serde_json sorts the keys.
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        // Numbers that do not fit the shapes are found before the file is kept.
        SafeTensors::deserialize(&file)?;
        Ok(file)
    }

    /// Read a file.
    ///
    /// # Errors
    /// Bytes that are no safetensors, or tensors of another type.
    pub fn read(file: &[u8]) -> Result<Contents, HeadError> {
        let (_, metadata) = SafeTensors::read_metadata(file)?;
        let mut contents = Contents::new(metadata.metadata().clone().unwrap_or_default());
        let read = SafeTensors::deserialize(file)?;
        for name in read.names() {
            let tensor = read.tensor(name)?;
            if tensor.dtype() != Dtype::F32 {
                let (shape, expected) = (tensor.shape().to_vec(), "of any shape".to_owned());
                return Err(HeadError::Shape { name: name.to_owned(), dtype: tensor.dtype(), shape, expected });
            }
            contents.tensor(name, tensor.shape().to_vec(), &floats(tensor.data()));
        }
        Ok(contents)
    }

    /// The shape of a tensor of two dimensions.
    ///
    /// # Errors
    /// There is none of that name and shape.
    pub fn matrix(&self, name: &str) -> Result<(usize, usize), HeadError> {
        match self.find(name)?.0[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
            ref shape => Err(shape_error(name, shape, "[rows, columns], none of them 0,".to_owned())),
        }
    }

    /// The numbers of a tensor of this shape.
    ///
    /// # Errors
    /// There is none of that name and shape.
    pub fn numbers(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, HeadError> {
        let (shape, numbers) = self.find(name)?;
        if shape != expected {
            return Err(shape_error(name, shape, format!("{expected:?}")));
        }
        Ok(numbers.clone())
    }

    /// A number that was noted.
    ///
    /// # Errors
    /// It was not, or is no number.
    pub fn noted<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, HeadError> {
        let value = self.notes.get(name).cloned().unwrap_or_default();
        value.parse().map_err(|_| HeadError::Value { name, value, expected: "a number".to_owned() })
    }

    fn find(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>), HeadError> {
        let missing = || safetensors::SafeTensorError::TensorNotFound(name.to_owned());
        Ok(self.tensors.get(name).ok_or_else(missing)?)
    }
}

fn shape_error(name: &str, shape: &[usize], expected: String) -> HeadError {
    HeadError::Shape { name: name.to_owned(), dtype: Dtype::F32, shape: shape.to_vec(), expected }
}

/// Numbers as packed little-endian bytes.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    let mut packed = vec![0; values.len() * 4];
    packed.as_chunks_mut::<4>().0.iter_mut().zip(values).for_each(|(four, value)| *four = value.to_le_bytes());
    packed
}

/// Packed little-endian bytes as numbers; a rest of fewer than four bytes is left out.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}
