//! Linear weights that no Graft wrote, such as those of PyTorch's `Linear`.

use graft_chassis::status;
use graft_proto::v1::WeightOrder;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tonic::Status;

use crate::fit::head::{LinearHead, floats};

/// The tensors of a file: `weight`, and `bias` if there is one.
#[derive(Clone, Debug)]
pub struct Plain {
    /// Rows and columns of `weight`.
    shape: [usize; 2],
    /// Row by row.
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Plain {
    /// Read the tensors of a file.
    pub fn read(file: &SafeTensors<'_>) -> Result<Plain, Status> {
        let accepted = "the tensors `weight` and, if there is one, `bias` are accepted, or a file of ExportHead";
        let mut plain = Plain { shape: [0; 2], weight: Vec::new(), bias: None };
        for (name, tensor) in file.iter() {
            match (name, tensor.shape()) {
                ("weight", &[rows, columns]) if rows > 0 && columns > 0 => {
                    plain.shape = [rows, columns];
                    plain.weight = numbers(name, &tensor)?;
                }
                ("bias", &[_]) => plain.bias = Some(numbers(name, &tensor)?),
                ("weight", shape) => {
                    return Err(status::invalid(
                        "data",
                        format!("`weight` is {shape:?}; [labels, dimension] is accepted"),
                    ));
                }
                ("bias", shape) => {
                    return Err(status::invalid("data", format!("`bias` is {shape:?}; [labels] is accepted")));
                }
                (other, _) => {
                    return Err(status::invalid(
                        "data",
                        format!("the tensor `{}` is not known; {accepted}", status::quoted(other)),
                    ));
                }
            }
        }
        if plain.weight.is_empty() {
            return Err(status::invalid("data", format!("there is no `weight`; {accepted}")));
        }
        Ok(plain)
    }

    /// The head of so many labels for embeddings of so many numbers.
    pub fn linear(self, labels: usize, dimension: usize, order: WeightOrder) -> Result<LinearHead, Status> {
        let labels_first = self.labels_first(labels, dimension, order)?;
        let bias = self.bias.unwrap_or_else(|| vec![0.0; labels]);
        if bias.len() != labels {
            let found = bias.len();
            return Err(status::invalid(
                "data",
                format!("`bias` has {found} numbers; one for each of {labels} labels is accepted"),
            ));
        }
        let weights = if labels_first { transposed(&self.weight, labels, dimension) } else { self.weight };
        Ok(LinearHead { weights, bias, dimension, classes: labels })
    }

    fn labels_first(&self, labels: usize, dimension: usize, order: WeightOrder) -> Result<bool, Status> {
        let first = self.shape == [labels, dimension];
        let last = self.shape == [dimension, labels];
        match order {
            WeightOrder::LabelsFirst if first => Ok(true),
            WeightOrder::DimensionFirst if last => Ok(false),
            WeightOrder::Unspecified if first && last => Err(status::invalid(
                "options.weight_order",
                format!(
                    "`weight` is {:?}, so its shape does not tell whether labels or the dimension come first; \
                     WEIGHT_ORDER_LABELS_FIRST (as of PyTorch and scikit-learn) and WEIGHT_ORDER_DIMENSION_FIRST are accepted",
                    self.shape
                ),
            )),
            WeightOrder::Unspecified if first || last => Ok(first),
            _ => Err(status::invalid(
                "data",
                format!(
                    "`weight` is {:?}; for {labels} labels and embeddings of {dimension} numbers [{labels}, {dimension}] or \
                     [{dimension}, {labels}], as options.weight_order says, is accepted",
                    self.shape
                ),
            )),
        }
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| numbers[row * columns + column])).collect()
}

fn numbers(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, Status> {
    let data = tensor.data();
    let pairs = || data.as_chunks::<2>().0.iter();
    match tensor.dtype() {
        Dtype::F32 => Ok(floats(data)),
        Dtype::F64 => Ok(data.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32).collect()),
        Dtype::F16 => Ok(pairs().map(|two| f16::from_le_bytes(*two).to_f32()).collect()),
        Dtype::BF16 => Ok(pairs().map(|two| bf16::from_le_bytes(*two).to_f32()).collect()),
        other => Err(status::invalid("data", format!("`{name}` is of {other:?}; F64, F32, F16 and BF16 are accepted"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two labels, three numbers in an embedding.
    const LABELS_FIRST: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    fn read(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Result<Plain, Status> {
        Plain::read(&SafeTensors::deserialize(&file(tensors)).unwrap())
    }

    fn packed<const N: usize>(to_bytes: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
        LABELS_FIRST.into_iter().flat_map(to_bytes).collect()
    }

    #[test]
    fn every_type_and_either_order_gives_the_same_head() {
        let bias = ("bias", Dtype::F32, &[2][..], [0.5f32, -0.5].iter().flat_map(|b| b.to_le_bytes()).collect());
        let weights = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].to_vec();
        let expected = LinearHead { weights, bias: vec![0.5, -0.5], dimension: 3, classes: 2 };
        for (dtype, data) in [
            (Dtype::F32, packed(f32::to_le_bytes)),
            (Dtype::F64, packed(|n| f64::from(n).to_le_bytes())),
            (Dtype::F16, packed(|n| f16::from_f32(n).to_le_bytes())),
            (Dtype::BF16, packed(|n| bf16::from_f32(n).to_le_bytes())),
        ] {
            let plain = read(&[("weight", dtype, &[2, 3], data), bias.clone()]).unwrap();
            assert_eq!(plain.linear(2, 3, WeightOrder::Unspecified).unwrap(), expected, "{dtype:?}");
        }
        let turned = expected.weights.iter().flat_map(|n| n.to_le_bytes()).collect();
        let plain = read(&[("weight", Dtype::F32, &[3, 2], turned)]).unwrap();
        let without = LinearHead { bias: vec![0.0; 2], ..expected };
        assert_eq!(plain.linear(2, 3, WeightOrder::Unspecified).unwrap(), without);
    }

    #[test]
    fn a_square_is_ambiguous_until_its_order_is_said() {
        let square = || {
            let data = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|n| n.to_le_bytes()).collect();
            read(&[("weight", Dtype::F32, &[2, 2], data)]).unwrap()
        };
        let refused = square().linear(2, 2, WeightOrder::Unspecified).unwrap_err();
        assert!(refused.message().contains("options.weight_order"), "{refused}");
        assert_eq!(square().linear(2, 2, WeightOrder::LabelsFirst).unwrap().weights, [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(square().linear(2, 2, WeightOrder::DimensionFirst).unwrap().weights, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        let weight = || ("weight", Dtype::F32, &[2, 3][..], packed(f32::to_le_bytes));
        let words = |result: Result<Plain, Status>, words: &[&str]| {
            let message = result.unwrap_err().message().to_owned();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        };
        words(read(&[("fc.weight", Dtype::F32, &[2, 3], packed(f32::to_le_bytes))]), &["fc.weight", "`weight`"]);
        words(read(&[("bias", Dtype::F32, &[1], vec![0; 4])]), &["no `weight`"]);
        words(read(&[("weight", Dtype::F32, &[6], packed(f32::to_le_bytes))]), &["[6]", "[labels, dimension]"]);
        words(read(&[("weight", Dtype::F32, &[0, 3], vec![])]), &["[0, 3]"]);
        words(read(&[("weight", Dtype::I32, &[2, 3], packed(f32::to_le_bytes))]), &["I32", "BF16"]);
        let plain = read(&[weight()]).unwrap();
        let refused = plain.clone().linear(4, 3, WeightOrder::Unspecified).unwrap_err();
        assert!(refused.message().contains("[2, 3]") && refused.message().contains("[4, 3]"), "{refused}");
        assert!(plain.linear(2, 3, WeightOrder::DimensionFirst).is_err());
        let long = read(&[weight(), ("bias", Dtype::F32, &[3], vec![0; 12])]).unwrap();
        assert!(long.linear(2, 3, WeightOrder::Unspecified).unwrap_err().message().contains("`bias` has 3"));
    }
}
