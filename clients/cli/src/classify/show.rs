//! What heads answered, as a table and as JSON.

use graft_client::proto::{ClassifyResponse, HeadClassification, Prediction};
use serde_json::{Value, json};

use super::Line;
use crate::output::table;

/// A row an input; of many heads, a row an input and head.
pub fn text(lines: &[Line]) -> String {
    let labelled = lines.iter().any(|line| line.label.is_some());
    let of_many = |line: &Line| line.result.as_ref().is_ok_and(|found| !found.classifications.is_empty());
    let many = lines.iter().any(of_many);
    let headings = [("input", true), ("is", labelled), ("head", many), ("predicted", true)];
    let headings: Vec<&str> = headings.iter().filter(|(_, shown)| *shown).map(|(heading, _)| *heading).collect();
    let rows = lines.iter().flat_map(|line| {
        answers(line).into_iter().map(move |(head, answer)| {
            let cells = [
                (line.input.clone(), true),
                (line.label.clone().unwrap_or_default(), labelled),
                (head, many),
                (answer, true),
            ];
            cells.into_iter().filter(|(_, shown)| *shown).map(|(cell, _)| cell).collect()
        })
    });
    table(&headings, &rows.collect::<Vec<Vec<String>>>())
}

/// The heads that were asked about an input, and what each has to say.
fn answers(line: &Line) -> Vec<(String, String)> {
    let rejected = |reason: &str| format!("rejected: {reason}");
    match &line.result {
        Err(reason) => vec![(String::new(), rejected(reason))],
        Ok(found) if found.classifications.is_empty() => {
            vec![(found.head.clone(), answer(&found.predictions, found.unknown))]
        }
        Ok(found) => {
            let one = |one: &HeadClassification| {
                let answer = match &one.error {
                    Some(error) => rejected(&error.message),
                    None => answer(&one.predictions, one.unknown),
                };
                (one.head.clone(), answer)
            };
            found.classifications.iter().map(one).collect()
        }
    }
}

/// The labels with their probabilities: those that apply before the others, where a head gives several, and else the most
/// probable first.
fn answer(predictions: &[Prediction], unknown: bool) -> String {
    let named = |wanted: &dyn Fn(&Prediction) -> bool| {
        let named = predictions.iter().filter(|p| wanted(p)).map(|p| format!("{} {:.3}", p.label, p.probability));
        named.collect::<Vec<_>>().join("   ")
    };
    if predictions.iter().all(|p| p.threshold.is_none()) {
        return if unknown { "unknown; perhaps " } else { "" }.to_owned() + &named(&|_| true);
    }
    let (applies, others) = (named(&|p| p.applies), named(&|p| !p.applies));
    let applies = if applies.is_empty() { "none".to_owned() } else { applies };
    if others.is_empty() { applies } else { format!("{applies}   (not {others})") }
}

/// The same for programs.
pub fn json(line: &Line) -> Value {
    let (input, label) = (&line.input, &line.label);
    match &line.result {
        Err(reason) => json!({ "input": input, "label": label, "error": reason }),
        Ok(ClassifyResponse { predictions, unknown, classifications, .. }) if classifications.is_empty() => {
            json!({ "input": input, "label": label, "predictions": named(predictions), "unknown": unknown })
        }
        Ok(found) => {
            let one = |one: &HeadClassification| match &one.error {
                Some(error) => json!({ "head": one.head, "error": error.message }),
                None => json!({ "head": one.head, "predictions": named(&one.predictions), "unknown": one.unknown }),
            };
            let all: Vec<Value> = found.classifications.iter().map(one).collect();
            json!({ "input": input, "label": label, "classifications": all })
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

    fn prediction(label: &str, probability: f32, threshold: Option<f32>, applies: bool) -> Prediction {
        Prediction { label: label.into(), probability, threshold, applies }
    }

    #[test]
    fn labels_that_apply_are_told_from_those_that_do_not() {
        let one = [prediction("cat", 0.9, None, false), prediction("dog", 0.1, None, false)];
        assert_eq!(answer(&one, false), "cat 0.900   dog 0.100");
        assert_eq!(answer(&one, true), "unknown; perhaps cat 0.900   dog 0.100");
        let sets = [prediction("cat", 0.9, Some(0.95), false), prediction("dog", 0.5, Some(0.3), true)];
        assert_eq!(answer(&sets, false), "dog 0.500   (not cat 0.900)");
        assert_eq!(answer(&sets[..1], false), "none   (not cat 0.900)");
        assert_eq!(answer(&sets[1..], false), "dog 0.500");
    }

    #[test]
    fn each_head_has_a_row_and_one_that_cannot_answer_says_why() {
        let error = Some(ItemError { message: "it is gone".into(), ..Default::default() });
        let predictions = vec![prediction("cat", 0.9, None, false)];
        let classifications = vec![
            HeadClassification { head: "pets@1".into(), predictions, ..Default::default() },
            HeadClassification { head: "toys".into(), error, ..Default::default() },
        ];
        let found = ClassifyResponse { classifications, ..Default::default() };
        let line = Line { input: "a.jpg".into(), label: None, image: None, result: Ok(found) };
        assert!(!line.is_whole());
        assert_eq!(json(&line)["classifications"][1], json!({ "head": "toys", "error": "it is gone" }));
        let shown = text(&[line]);
        let rows: Vec<Vec<&str>> = shown.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["input", "head", "predicted"]);
        assert_eq!(rows[1], ["a.jpg", "pets@1", "cat", "0.900"]);
        assert_eq!(rows[2], ["a.jpg", "toys", "rejected:", "it", "is", "gone"]);
    }
}
