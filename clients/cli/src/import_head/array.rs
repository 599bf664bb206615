//! One array of NumPy: numbers, or names.

use anyhow::{Context, Result, bail, ensure};
use npyz::{Deserialize, NpyFile, Order};

/// The longest heading of an array, in bytes; NumPy's own have a hundred.
const MOST_HEADING: usize = 1 << 16;

/// An array: its shape, and its numbers row by row.
pub struct Numbers {
    /// Of one dimension or two.
    pub shape: Vec<usize>,
    /// All of them.
    pub values: Vec<f64>,
}

/// The file of an array, its heading looked at before as much is allocated.
fn open(content: &[u8]) -> Result<NpyFile<&[u8]>> {
    let length = match content.get(..12) {
        Some(&[0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, _, _]) => usize::from(u16::from_le_bytes([a, b])),
        Some(&[0x93, b'N', b'U', b'M', b'P', b'Y', _, _, a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => bail!("no array of NumPy"),
    };
    ensure!(length <= MOST_HEADING, "a heading of {length} bytes; at most {MOST_HEADING} are accepted");
    let file = NpyFile::new(content)?;
    ensure!(
        !file.dtype().uses_pickled_array(),
        "an array of Python objects, which are not unpickled; save text as it is: classes_.astype(str)"
    );
    Ok(file)
}

/// The numbers of an array of one dimension or two.
pub fn numbers(content: &[u8]) -> Result<Numbers> {
    let file = open(content)?;
    let kind = file.dtype().descr();
    let shape: Vec<usize> = file.shape().iter().map(|size| *size as usize).collect();
    let turned = file.order() == Order::Fortran && shape.len() == 2;
    ensure!(shape.len() <= 2, "an array of shape {shape:?}; one dimension or two are accepted");
    let most = content.len() as u64;
    ensure!(
        file.shape().iter().try_fold(1u64, |all, size| all.checked_mul(*size)).is_some_and(|all| all <= most),
        "more numbers than bytes"
    );
    let found = values::<f64, _>(file, f64::from as fn(f64) -> f64).or_else(|file| values::<f32, _>(file, f64::from));
    match found {
        // As scikit-learn leaves the weights of several classes: column by column.
        Ok(values) if turned => Ok(Numbers { values: by_rows(&values?, &shape), shape }),
        Ok(values) => Ok(Numbers { shape, values: values? }),
        Err(_) => bail!("numbers of type {kind}; '<f8' and '<f4' are accepted"),
    }
}

/// Numbers that are column by column, row by row.
fn by_rows(values: &[f64], shape: &[usize]) -> Vec<f64> {
    let (rows, columns) = (shape[0], shape[1]);
    let row = |row: usize| (0..columns).filter_map(move |column| values.get(column * rows + row));
    (0..rows).flat_map(row).copied().collect()
}

/// The names of classes: text as it is, whole numbers as they are written.
pub fn names(content: &[u8]) -> Result<Vec<String>> {
    let file = open(content)?;
    let kind = file.dtype().descr();
    let &[count] = file.shape() else { bail!("an array of shape {:?}; one dimension is accepted", file.shape()) };
    ensure!(count <= content.len() as u64, "more names than bytes");
    let names = values::<String, _>(file, |name| name)
        .or_else(|file| values::<i64, _>(file, |number| number.to_string()))
        .or_else(|file| values::<i32, _>(file, |number| number.to_string()))
        .or_else(|file| values::<u8, _>(file, |number| number.to_string()))
        .or_else(|file| values::<bool, _>(file, |yes| yes.to_string()))
        .or_else(|file| values::<f64, _>(file, |number| number.to_string()));
    match names {
        Ok(names) => names,
        Err(_) => bail!("names of type {kind}; text ('<U') and whole numbers are accepted"),
    }
}

/// The values of an array, if they are of the type `T`.
fn values<T: Deserialize, V>(file: NpyFile<&[u8]>, value: fn(T) -> V) -> Result<Result<Vec<V>>, NpyFile<&[u8]>> {
    let found = file.try_data::<T>()?;
    Ok(found.map(|read| read.map(value).context("it ends too early")).collect())
}
