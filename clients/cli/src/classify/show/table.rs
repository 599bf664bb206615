//! What heads answered, as a table: a row an input; of many heads, a row an input and head.

use anyhow::Result;
use graft_client::proto::{HeadClassification, Prediction};

use super::Out;
use crate::{classify::line::Line, output::Columns};

/// Rows whose widths are made to fit each other, and that wait for it. Memory does not grow with the number of inputs.
const BLOCK: usize = 1000;

/// A table.
pub struct Table {
    /// Whether the right labels are known.
    labelled: bool,
    /// Whether many heads answer.
    many: bool,
    columns: Columns,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its headings.
    pub fn new(labelled: bool, many: bool) -> Table {
        let headings = [("input", true), ("is", labelled), ("head", many), ("predicted", true)];
        let headings = headings.iter().filter(|(_, shown)| *shown).map(|(heading, _)| (*heading).to_owned()).collect();
        Table { labelled, many, columns: Columns::default(), rows: vec![headings] }
    }

    /// A line, and those before it if there are enough.
    pub fn line(&mut self, line: &Line, out: &mut Out) -> Result<()> {
        for (head, answer) in answers(line) {
            let cells = [
                (line.input.clone(), true),
                (line.label.clone().unwrap_or_default(), self.labelled),
                (head, self.many),
                (answer, true),
            ];
            self.rows.push(cells.into_iter().filter(|(_, shown)| *shown).map(|(cell, _)| cell).collect());
        }
        if self.rows.len() < BLOCK { Ok(()) } else { self.end(out) }
    }

    /// All that was not written yet.
    pub fn end(&mut self, out: &mut Out) -> Result<()> {
        out.write(&self.columns.lines(&std::mem::take(&mut self.rows)))
    }
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
        let found = graft_client::proto::ClassifyResponse { classifications, ..Default::default() };
        let line = Line { input: "a.jpg".into(), label: None, result: Ok(found) };
        assert!(!line.is_whole());
        let mut out = Out::default();
        let mut table = Table::new(false, true);
        table.line(&line, &mut out).unwrap();
        table.end(&mut out).unwrap();
        let shown = out.written();
        let rows: Vec<Vec<&str>> = shown.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["input", "head", "predicted"]);
        assert_eq!(rows[1], ["a.jpg", "pets@1", "cat", "0.900"]);
        assert_eq!(rows[2], ["a.jpg", "toys", "rejected:", "it", "is", "gone"]);
    }
}
