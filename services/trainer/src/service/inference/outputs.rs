//! The outputs of a head: which there are, which are wanted, and what is in them.

use bytes::Bytes;
use graft_chassis::status;
use graft_inference::outputs::{self, CLASSIFICATION, bytes, fp32};
use graft_proto::inference::model_infer_request::InferRequestedOutputTensor;
use serde_json::json;
use tonic::Status;

use crate::{
    classify::{Scores, labels},
    fit::head::top_k,
};

/// An output of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// FP32 `[n, classes]`.
    Probabilities,
    /// FP32 `[n, classes]`: what the probabilities are made of.
    Logits,
    /// BYTES `[n]`: the most probable class. Not of a head that gives several labels.
    Label,
    /// BYTES `[n]`: the labels that apply as a JSON array, the most probable first. Of a head that gives several labels alone.
    Labels,
    /// BOOL `[n, classes]`: whether each label applies. Of a head that gives several labels alone.
    Applies,
}

use Output::{Applies, Label, Labels, Logits, Probabilities};

/// The outputs of a head, in the order of its metadata.
pub fn of(gives_several: bool) -> &'static [Output] {
    if gives_several { &[Probabilities, Labels, Applies, Logits] } else { &[Probabilities, Label, Logits] }
}

impl Output {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Probabilities => "probabilities",
            Logits => "logits",
            Label => "label",
            Labels => "labels",
            Applies => "applies",
        }
    }

    /// The type of its elements.
    pub fn datatype(self) -> &'static str {
        match self {
            Probabilities | Logits => "FP32",
            Label | Labels => "BYTES",
            Applies => "BOOL",
        }
    }

    /// Its dimensions for so many rows.
    pub fn shape(self, rows: i64, classes: usize) -> Vec<i64> {
        match self {
            Probabilities | Logits | Applies => vec![rows, classes as i64],
            Label | Labels => vec![rows],
        }
    }
}

/// An output that is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    output: Output,
    /// So many classes of each row in words, instead of all numbers.
    classes: Option<usize>,
}

/// The outputs that are wanted of a head: those that are named, or all.
pub fn wanted(named: &[InferRequestedOutputTensor], gives_several: bool) -> Result<Vec<Wanted>, Status> {
    let known = of(gives_several);
    if named.is_empty() {
        return Ok(known.iter().map(|output| Wanted { output: *output, classes: None }).collect());
    }
    let names: Vec<&str> = known.iter().map(|output| output.name()).collect();
    let mut found: Vec<Wanted> = Vec::new();
    for one in named {
        outputs::check(one, &names)?;
        let Some(output) = known.iter().copied().find(|output| output.name() == one.name) else { continue };
        if found.iter().any(|earlier| earlier.output == output) {
            return Err(status::invalid("outputs.name", format!("`{}` is given twice", output.name())));
        }
        let classes = outputs::classes(one)?;
        if classes.is_some() && output.datatype() != "FP32" {
            let message = format!(
                "`{CLASSIFICATION}` does not go with `{}`; `probabilities` and `logits` are given as classes",
                output.name()
            );
            return Err(status::invalid("outputs.parameters", message));
        }
        found.push(Wanted { output, classes });
    }
    Ok(found)
}

/// The tensors that are wanted of the scores of `rows` embeddings.
pub fn tensors(
    wanted: &[Wanted],
    labels: &labels::Labels,
    rows: usize,
    scores: &Scores,
) -> Result<Vec<outputs::Output>, Status> {
    wanted.iter().map(|wanted| tensor(*wanted, labels, rows, scores)).collect()
}

fn tensor(wanted: Wanted, labels: &labels::Labels, rows: usize, scores: &Scores) -> Result<outputs::Output, Status> {
    let Wanted { output, classes } = wanted;
    let (mut datatype, mut shape) = (output.datatype(), output.shape(rows as i64, labels.len()));
    let numbers = if output == Logits { &scores.logits } else { &scores.probabilities };
    let applies = scores.applies.as_deref().unwrap_or_default();
    let data = match (output, classes) {
        (Probabilities | Logits, None) => fp32(numbers),
        (Probabilities | Logits, Some(classes)) => {
            let classes = classes.min(labels.len());
            (datatype, shape) = ("BYTES", vec![rows as i64, classes as i64]);
            in_words(numbers, labels, classes)?
        }
        (Label, _) => bytes(numbers.chunks_exact(labels.len().max(1)).map(|row| first(row, labels)))?,
        (Labels, _) => that_apply(numbers, applies, labels)?,
        (Applies, _) => applies.iter().map(|applies| u8::from(*applies)).collect(),
    };
    Ok(outputs::Output { name: output.name(), datatype, shape, data })
}

/// The `classes` largest numbers of each row, the largest first, as Triton writes them: `0.981250:3:boot`.
fn in_words(numbers: &[f32], labels: &labels::Labels, classes: usize) -> Result<Bytes, Status> {
    let rows = numbers.chunks_exact(labels.len().max(1));
    let words = rows.flat_map(|row| {
        let order = top_k(row, classes).into_iter();
        order.map(move |class| format!("{:.6}:{class}:{}", row[class], &labels[class]))
    });
    bytes(words)
}

/// The label of the largest number of a row.
fn first<'a>(row: &[f32], labels: &'a labels::Labels) -> &'a str {
    top_k(row, 1).first().map_or("", |class| &labels[*class])
}

/// The labels that apply to each row, as a JSON array, the most probable first.
fn that_apply(probabilities: &[f32], applies: &[bool], labels: &labels::Labels) -> Result<Bytes, Status> {
    let classes = labels.len().max(1);
    let rows = probabilities.chunks_exact(classes).zip(applies.chunks_exact(classes));
    bytes(rows.map(|(row, applies)| {
        let order = top_k(row, row.len()).into_iter().filter(|class| applies[*class]);
        json!(order.map(|class| &labels[class]).collect::<Vec<_>>()).to_string()
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use graft_proto::inference::{InferParameter, infer_parameter::ParameterChoice};

    use super::*;

    fn named(name: &str, classes: Option<i64>) -> InferRequestedOutputTensor {
        let parameter = |count| InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(count)) };
        let parameters = classes.map(|count| (CLASSIFICATION.to_owned(), parameter(count)));
        InferRequestedOutputTensor { name: name.to_owned(), parameters: BTreeMap::from_iter(parameters) }
    }

    fn labels() -> labels::Labels {
        ["a", "b:c", "\"d\""].map(str::to_owned).into_iter().collect()
    }

    /// Two rows.
    fn scores() -> Scores {
        let probabilities = vec![0.25, 0.5, 0.25, 0.125, 0.0, 0.875];
        let applies = Some(vec![true, true, false, false, false, false]);
        Scores { logits: vec![1.0, 2.0, 1.0, 0.0, -9.5, 3.0], probabilities, applies }
    }

    fn given(name: &str, classes: Option<i64>, gives_several: bool) -> outputs::Output {
        let wanted = wanted(&[named(name, classes)], gives_several).unwrap();
        tensors(&wanted, &labels(), 2, &scores()).unwrap().remove(0)
    }

    fn packed(elements: &[&str]) -> Bytes {
        bytes(elements).unwrap()
    }

    #[test]
    fn all_outputs_are_given_unless_some_are_named() {
        for gives_several in [false, true] {
            let all = wanted(&[], gives_several).unwrap();
            let found = tensors(&all, &labels(), 2, &scores()).unwrap();
            assert_eq!(found.len(), of(gives_several).len());
            for (tensor, output) in found.iter().zip(of(gives_several)) {
                assert_eq!((tensor.name, tensor.datatype), (output.name(), output.datatype()));
                assert_eq!(tensor.shape, output.shape(2, 3));
            }
        }
        let some = wanted(&[named("logits", None), named("label", None)], false).unwrap();
        let found = tensors(&some, &labels(), 2, &scores()).unwrap();
        assert_eq!(found.iter().map(|tensor| tensor.name).collect::<Vec<_>>(), ["logits", "label"]);
        assert_eq!(found[0].data, fp32(&scores().logits));
    }

    #[test]
    fn labels_are_the_most_probable_or_those_that_apply() {
        assert_eq!(given("label", None, false).data, packed(&["b:c", "\"d\""]));
        assert_eq!(given("labels", None, true).data, packed(&[r#"["b:c","a"]"#, "[]"]));
        assert_eq!(given("applies", None, true).data, &[1, 1, 0, 0, 0, 0][..]);
    }

    #[test]
    fn classes_are_written_as_triton_writes_them() {
        let found = given("probabilities", Some(2), false);
        assert_eq!((found.datatype, found.shape), ("BYTES", vec![2, 2]));
        assert_eq!(found.data, packed(&["0.500000:1:b:c", "0.250000:0:a", "0.875000:2:\"d\"", "0.125000:0:a"]));
        let found = given("logits", Some(i64::MAX), false);
        assert_eq!(found.shape, [2, 3]);
        assert!(found.data.ends_with(b"-9.500000:1:b:c"));
    }

    #[test]
    fn what_cannot_be_given_is_refused() {
        for (names, gives_several, words) in [
            (&[("labels", None)][..], false, "`probabilities`, `label` and `logits`"),
            (&[("label", None)], true, "`probabilities`, `labels`, `applies` and `logits`"),
            (&[("logits", None), ("logits", Some(1))], true, "`logits` is given twice"),
            (&[("label", Some(2))], false, "`classification` does not go with `label`"),
            (&[("probabilities", Some(0))], false, "from 1 on"),
        ] {
            let names: Vec<_> = names.iter().map(|(name, classes)| named(name, *classes)).collect();
            let status = wanted(&names, gives_several).unwrap_err();
            assert!(status.message().starts_with("outputs.") && status.message().contains(words), "{status:?}");
        }
    }
}
