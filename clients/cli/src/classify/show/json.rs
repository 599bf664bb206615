//! What heads answered, for programs.

use graft_client::proto::{ClassifyResponse, HeadClassification, Prediction};
use serde_json::{Value, json};

use crate::classify::line::Line;

/// An input and what came of it: `label` is what the head says, and `is` what the input's file says, if it says anything.
pub fn json(line: &Line) -> Value {
    let mut found = answer(line);
    if let (Some(is), Some(found)) = (&line.label, found.as_object_mut()) {
        found.insert("is".to_owned(), json!(is));
    }
    found
}

fn answer(line: &Line) -> Value {
    let input = &line.input;
    match &line.result {
        Err(reason) => json!({ "input": input, "error": reason }),
        Ok(ClassifyResponse { predictions, unknown, head, classifications }) if classifications.is_empty() => {
            let label = predictions.first().filter(|_| !unknown).map(|first| &first.label);
            json!({
                "input": input, "head": head, "label": label, "predictions": named(predictions), "unknown": unknown
            })
        }
        Ok(found) => {
            let one = |one: &HeadClassification| match &one.error {
                Some(error) => json!({ "head": one.head, "error": error.message }),
                None => json!({ "head": one.head, "predictions": named(&one.predictions), "unknown": one.unknown }),
            };
            let all: Vec<Value> = found.classifications.iter().map(one).collect();
            json!({ "input": input, "classifications": all })
        }
    }
}

fn named(predictions: &[Prediction]) -> Vec<Value> {
    let named = predictions.iter().map(|p| match p.threshold {
        None => json!({ "label": p.label, "probability": p.probability }),
        Some(threshold) => json!({
            "label": p.label, "probability": p.probability, "threshold": threshold, "applies": p.applies
        }),
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use graft_client::proto::ItemError;

    use super::*;

    #[test]
    fn a_head_that_cannot_answer_says_why() {
        let error = Some(ItemError { message: "it is gone".into(), ..Default::default() });
        let classifications = vec![HeadClassification { head: "toys".into(), error, ..Default::default() }];
        let found = ClassifyResponse { classifications, ..Default::default() };
        let line = Line { input: "a.jpg".into(), label: None, result: Ok(found) };
        assert_eq!(json(&line)["classifications"][0], json!({ "head": "toys", "error": "it is gone" }));
        let line = Line { input: "b.jpg".into(), label: None, result: Err("not a file".into()) };
        assert_eq!(json(&line), json!({ "input": "b.jpg", "error": "not a file" }));
    }
}
