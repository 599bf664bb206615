//! Which input tensor a request fills.

use graft_chassis::status;
use graft_proto::inference::model_infer_request::InferInputTensor;
use tonic::Status;

use crate::outputs::no_shared_memory;

/// The only tensor of a request to a model that takes one of the inputs `known`.
///
/// # Errors
/// None or several, a name that is unknown, shared memory.
pub fn only(inputs: Vec<InferInputTensor>, known: &[&str]) -> Result<InferInputTensor, Status> {
    let [input] = <[InferInputTensor; 1]>::try_from(inputs).map_err(|inputs| {
        let message = format!("{} tensors; one is expected, {}", inputs.len(), listed(known, "or"));
        status::invalid("inputs", message)
    })?;
    check_name("input", &input.name, known)?;
    no_shared_memory("inputs.parameters", &input.parameters)?;
    Ok(input)
}

/// Check that `name` is among the names `known` of inputs or outputs; `kind` is which of the two.
///
/// # Errors
/// Another name.
pub fn check_name(kind: &str, name: &str, known: &[&str]) -> Result<(), Status> {
    if known.contains(&name) {
        return Ok(());
    }
    let names = match known {
        [only] => format!("`{only}` is its only one"),
        _ => format!("it has {}", listed(known, "and")),
    };
    let message = format!("`{}` is no {kind} of this model; {names}", status::quoted(name));
    Err(status::invalid(&format!("{kind}s.name"), message))
}

/// A datatype that is not among those that are accepted.
pub fn wrong_datatype(found: &str, accepted: &str) -> Status {
    status::invalid("inputs.datatype", format!("`{}`; {accepted}", status::quoted(found)))
}

/// Names as a sentence has them: "`a`, `b` or `c`".
fn listed(names: &[&str], last: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((end, start)) if !start.is_empty() => format!("{} {last} {end}", start.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::inference::InferParameter;

    use super::*;

    fn tensor(name: &str) -> InferInputTensor {
        InferInputTensor { name: name.into(), ..Default::default() }
    }

    #[test]
    fn one_tensor_of_a_known_name_is_taken() {
        let known = ["image", "embedding"];
        assert_eq!(only(vec![tensor("embedding")], &known).unwrap().name, "embedding");
        let mut shared = tensor("image");
        shared.parameters.insert("shared_memory_region".into(), InferParameter::default());
        for (inputs, words) in [
            (vec![], "inputs: 0 tensors; one is expected, `image` or `embedding`"),
            (vec![tensor("image"), tensor("embedding")], "inputs: 2 tensors"),
            (vec![tensor("pixels")], "inputs.name: `pixels` is no input of this model; it has `image` and `embedding`"),
            (vec![shared], "inputs.parameters: `shared_memory_region`"),
        ] {
            let status = only(inputs, &known).unwrap_err();
            assert!(status.message().starts_with(words), "{status:?}");
        }
        let status = check_name("output", &"x".repeat(1000), &["a"]).unwrap_err();
        assert!(status.message().starts_with("outputs.name") && status.message().len() < 200);
        assert!(status.message().ends_with("`a` is its only one"));
    }

    #[test]
    fn names_are_listed_as_a_sentence_has_them() {
        assert_eq!(listed(&["a"], "or"), "`a`");
        assert_eq!(listed(&["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
