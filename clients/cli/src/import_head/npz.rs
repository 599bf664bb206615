//! The arrays of a linear model of scikit-learn, as `numpy.savez` keeps them.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use safetensors::{Dtype, tensor::TensorView};
use zip::ZipArchive;

use super::{
    MOST_BYTES,
    array::{Numbers, names, numbers},
};

/// Arrays that are known, and what is done with each.
const KNOWN: [&str; 5] = ["coef_", "intercept_", "classes_", "mean_", "scale_"];

/// A linear model.
#[derive(Debug)]
pub struct Arrays {
    /// The names of the classes; none if the file does not tell them.
    pub labels: Vec<String>,
    /// `[labels, dimension]`.
    weight: Vec<f32>,
    /// `[labels]`.
    bias: Vec<f32>,
}

/// Whether a file begins as a zip does.
pub fn begins(head: &[u8]) -> bool {
    head.starts_with(b"PK")
}

/// Read a file; of `sigmoid` models a lone row stays one label.
pub fn read(bytes: &[u8], sigmoid: bool) -> Result<Arrays> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut found: [Option<Vec<u8>>; KNOWN.len()] = Default::default();
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let Some(at) = KNOWN.iter().position(|known| name.strip_suffix(".npy") == Some(known)) else {
            bail!("the array `{}` is not known; {} are accepted", name.escape_debug(), KNOWN.join(", "));
        };
        ensure!(entry.size() <= MOST_BYTES, "`{name}`: {} bytes; at most {MOST_BYTES} are accepted", entry.size());
        let mut content = Vec::new();
        entry.take(MOST_BYTES).read_to_end(&mut content)?;
        ensure!(found[at].is_none(), "`{name}` is there twice");
        found[at] = Some(content);
    }
    let [coef, intercept, classes, mean, scale] = found;
    let array = |name: &str, content: Option<Vec<u8>>| {
        content.map(|content| numbers(&content).with_context(|| format!("`{name}`"))).transpose()
    };
    let coef =
        array("coef_", coef)?.context("there is no array `coef_`; it holds the weights, [classes, dimension]")?;
    let &[rows, dimension] = &coef.shape[..] else {
        bail!("`coef_` is {:?}; [classes, dimension] is accepted", coef.shape);
    };
    ensure!(rows > 0 && dimension > 0, "`coef_` is {:?}: it holds nothing", coef.shape);
    let intercept = match array("intercept_", intercept)? {
        None => vec![0.0; rows],
        Some(Numbers { values, .. }) if values.len() == rows => values,
        // scikit-learn's models without an intercept have a lone 0.
        Some(Numbers { values, .. }) if values == [0.0] => vec![0.0; rows],
        Some(other) => bail!("`intercept_` is {:?}; [{rows}] is accepted", other.shape),
    };
    let labels = classes.map(|classes| names(&classes).context("`classes_`")).transpose()?.unwrap_or_default();
    let mut linear = (coef.values, intercept);
    fold(&mut linear, dimension, array("mean_", mean)?, array("scale_", scale)?)?;
    if rows == 1 && !sigmoid {
        linear = two_classes(linear);
    }
    let (weight, bias) = linear;
    let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect::<Vec<f32>>();
    let (weight, bias) = (single(weight), single(bias));
    ensure!(weight.iter().chain(&bias).all(|number| number.is_finite()), "a number is not finite");
    ensure!(
        labels.is_empty() || labels.len() == bias.len(),
        "`classes_` has {} names, `coef_` {} rows",
        labels.len(),
        rows
    );
    Ok(Arrays { labels, weight, bias })
}

/// Weights of standardised embeddings, `(x - mean) / scale`, as weights of plain ones.
fn fold(
    (weight, bias): &mut (Vec<f64>, Vec<f64>),
    dimension: usize,
    mean: Option<Numbers>,
    scale: Option<Numbers>,
) -> Result<()> {
    for (name, numbers) in [("mean_", &mean), ("scale_", &scale)] {
        if let Some(Numbers { shape, .. }) = numbers.as_ref().filter(|numbers| numbers.shape != [dimension]) {
            bail!("`{name}` is {shape:?}; [{dimension}], a number for each of an embedding, is accepted");
        }
    }
    for (row, bias) in weight.chunks_exact_mut(dimension).zip(bias) {
        if let Some(scale) = &scale {
            row.iter_mut().zip(&scale.values).for_each(|(weight, scale)| *weight /= scale);
        }
        if let Some(mean) = &mean {
            *bias -= row.iter().zip(&mean.values).map(|(weight, mean)| weight * mean).sum::<f64>();
        }
    }
    Ok(())
}

/// One row that tells the second of two classes from the first, as a row for each: the softmax of 0 and z is the sigmoid of z.
fn two_classes((weight, bias): (Vec<f64>, Vec<f64>)) -> (Vec<f64>, Vec<f64>) {
    ([vec![0.0; weight.len()], weight].concat(), [vec![0.0], bias].concat())
}

impl Arrays {
    /// As a file of plain weights.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let (weight, bias) = (bytes(&self.weight), bytes(&self.bias));
        let labels = self.bias.len();
        let tensors = [
            ("weight", TensorView::new(Dtype::F32, vec![labels, self.weight.len() / labels], &weight)?),
            ("bias", TensorView::new(Dtype::F32, vec![labels], &bias)?),
        ];
        Ok(safetensors::serialize(tensors, None)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use npyz::{AutoSerialize, Order, Serialize, TypeStr, WriteOptions, WriterBuilder};
    use safetensors::SafeTensors;

    use super::*;

    fn array<T: AutoSerialize>(values: &[T], shape: &[u64]) -> Vec<u8> {
        typed(values, T::default_dtype(), shape)
    }

    fn typed<T: Serialize>(values: &[T], dtype: npyz::DType, shape: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = WriteOptions::new().dtype(dtype).shape(shape).writer(&mut bytes).begin_nd().unwrap();
        values.iter().for_each(|value| writer.push(value).unwrap());
        writer.finish().unwrap();
        bytes
    }

    fn text(values: &[&str]) -> Vec<u8> {
        let dtype = npyz::DType::Plain("<U5".parse::<TypeStr>().unwrap());
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        typed(&values, dtype, &[values.len() as u64])
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in arrays {
            writer.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn refused(arrays: &[(&str, Vec<u8>)], word: &str) {
        let error = format!("{:#}", read(&npz(arrays), false).unwrap_err());
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn weights_of_standardised_embeddings_become_those_of_plain_ones() {
        let file = npz(&[
            ("coef_", array(&[2.0f64, 4.0, 6.0, 8.0, -1.0, 1.0], &[3, 2])),
            ("intercept_", array(&[1.0f64, 2.0, 3.0], &[3])),
            ("classes_", text(&["ant", "bee", "grün"])),
            ("mean_", array(&[10.0f64, 20.0], &[2])),
            ("scale_", array(&[2.0f64, 4.0], &[2])),
        ]);
        assert!(begins(&file));
        let arrays = read(&file, false).unwrap();
        assert_eq!(arrays.labels, ["ant", "bee", "grün"]);
        assert_eq!(arrays.weight, [1.0, 1.0, 3.0, 2.0, -0.5, 0.25]);
        assert_eq!(arrays.bias, [-29.0, -68.0, 3.0]);
        let tensors = arrays.to_safetensors().unwrap();
        let tensors = SafeTensors::deserialize(&tensors).unwrap();
        assert_eq!(
            (tensors.tensor("weight").unwrap().shape(), tensors.tensor("bias").unwrap().shape()),
            (&[3, 2][..], &[3][..])
        );
    }

    #[test]
    fn an_array_in_fortran_order_is_read_row_by_row() {
        let mut bytes = Vec::new();
        let options = WriteOptions::new().default_dtype().shape(&[2, 3]).order(Order::Fortran).writer(&mut bytes);
        let mut writer = options.begin_nd().unwrap();
        writer.extend([1.0f64, 4.0, 2.0, 5.0, 3.0, 6.0]).unwrap();
        writer.finish().unwrap();
        assert_eq!(read(&npz(&[("coef_", bytes)]), false).unwrap().weight, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn one_row_is_two_classes_unless_it_is_a_label_on_its_own() {
        let file = npz(&[("coef_", array(&[2.0f32, 4.0], &[1, 2])), ("classes_", array(&[-3i64, 9], &[2]))]);
        let two = read(&file, false).unwrap();
        assert_eq!(
            (two.labels.join(" "), two.weight, two.bias),
            ("-3 9".into(), vec![0.0, 0.0, 2.0, 4.0], vec![0.0; 2])
        );
        let file = npz(&[("coef_", array(&[2.0f32, 4.0], &[1, 2])), ("intercept_", array(&[0.5f32], &[1]))]);
        assert_eq!(read(&file, true).unwrap().bias, [0.5]);
    }

    #[test]
    fn what_cannot_be_read_says_what_can() {
        let coef = || ("coef_", array(&[1.0f64, 2.0], &[2, 1]));
        refused(&[], "coef_");
        refused(&[("other", vec![])], "`other.npy` is not known");
        refused(&[("coef_", array(&[1.0f64], &[1]))], "[1]");
        refused(&[("coef_", array(&[1i64, 2], &[2, 1]))], "i8");
        refused(&[("coef_", vec![1, 2, 3])], "no array");
        refused(&[("coef_", array(&[f64::NAN, 2.0], &[2, 1]))], "finite");
        refused(&[coef(), ("intercept_", array(&[1.0f64, 2.0, 3.0], &[3]))], "[2]");
        refused(&[coef(), ("classes_", text(&["a"]))], "1 names");
        refused(&[coef(), ("mean_", array(&[1.0f64, 2.0], &[2]))], "`mean_`");
        let mut objects = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (2,), }".to_vec();
        objects.resize(80, b' ');
        refused(&[coef(), ("classes_", objects)], "astype(str)");
        let heading = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
        refused(&[("coef_", heading)], "heading");
        assert!(read(b"PK\x03\x04", false).is_err());
    }
}
