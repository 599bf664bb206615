//! What heads answered, as CSV: a row an input, and of several heads, a row an input and head.
//!
//! `id, [is,] head, label, probability, [label_2, probability_2, …] unknown, error`. A head that gives several labels has those that
//! apply in `label`, with `;` between them, and theirs in `probability`.

use anyhow::Result;
use graft_client::proto::{ClassifyResponse, Prediction};

use super::Out;
use crate::classify::line::Line;

/// What separates several labels, as in tables that are imported.
const SEPARATOR: &str = ";";

/// The rows of a file.
pub struct Csv {
    /// Whether the right labels are known.
    labelled: bool,
    /// Labels in a row.
    top_k: usize,
    writer: csv::Writer<Vec<u8>>,
}

/// What one head, or none, said of an input.
#[derive(Default)]
struct Answer<'a> {
    head: &'a str,
    predictions: &'a [Prediction],
    unknown: bool,
    error: &'a str,
}

impl Csv {
    /// Rows with `top_k` labels each, below their headings.
    pub fn new(labelled: bool, top_k: usize) -> Result<Csv> {
        let mut headings: Vec<String> = vec!["id".into()];
        headings.extend(labelled.then(|| "is".into()));
        headings.extend(["head", "label", "probability"].map(String::from));
        headings.extend((2..=top_k).flat_map(|rank| [format!("label_{rank}"), format!("probability_{rank}")]));
        headings.extend(["unknown", "error"].map(String::from));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(headings)?;
        Ok(Csv { labelled, top_k, writer })
    }

    /// The rows of an input.
    pub fn line(&mut self, line: &Line) -> Result<()> {
        match &line.result {
            Err(reason) => self.row(line, &Answer { error: reason, ..Answer::default() }),
            Ok(ClassifyResponse { classifications, head, predictions, unknown }) if classifications.is_empty() => {
                self.row(line, &Answer { head, predictions, unknown: *unknown, error: "" })
            }
            Ok(found) => found.classifications.iter().try_for_each(|one| {
                let error = one.error.as_ref().map_or("", |error| &error.message);
                self.row(line, &Answer { head: &one.head, predictions: &one.predictions, unknown: one.unknown, error })
            }),
        }
    }

    fn row(&mut self, line: &Line, answer: &Answer<'_>) -> Result<()> {
        let mut row = vec![line.input.clone()];
        row.extend(self.labelled.then(|| line.label.clone().unwrap_or_default()));
        row.push(answer.head.to_owned());
        row.extend(self.labels(answer.predictions));
        row.push(if answer.error.is_empty() { answer.unknown.to_string() } else { String::new() });
        row.push(answer.error.to_owned());
        Ok(self.writer.write_record(row)?)
    }

    /// Labels and probabilities by turns.
    fn labels(&self, predictions: &[Prediction]) -> Vec<String> {
        let mut cells: Vec<String> = match predictions.iter().any(|one| one.threshold.is_some()) {
            true => {
                let join = |cell: fn(&Prediction) -> String| {
                    let apply = predictions.iter().filter(|one| one.applies);
                    apply.map(cell).collect::<Vec<_>>().join(SEPARATOR)
                };
                vec![join(|one| one.label.clone()), join(|one| one.probability.to_string())]
            }
            false => {
                let each = predictions.iter().take(self.top_k);
                each.flat_map(|one| [one.label.clone(), one.probability.to_string()]).collect()
            }
        };
        cells.resize(2 * self.top_k.max(1), String::new());
        cells
    }

    /// All rows that were not written yet.
    pub fn flush(&mut self, out: &mut Out) -> Result<()> {
        self.writer.flush()?;
        let rows = std::mem::replace(&mut self.writer, csv::Writer::from_writer(Vec::new()));
        out.bytes(&rows.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use graft_client::proto::{HeadClassification, ItemError};

    use super::*;

    fn prediction(label: &str, probability: f32, threshold: Option<f32>, applies: bool) -> Prediction {
        Prediction { label: label.into(), probability, threshold, applies }
    }

    fn written(csv: &mut Csv, results: Vec<Result<ClassifyResponse, String>>) -> String {
        let mut out = Out::default();
        for result in results {
            csv.line(&Line { input: "a,b.jpg".into(), label: Some("cat".into()), result }).unwrap();
            csv.flush(&mut out).unwrap();
        }
        out.written()
    }

    #[test]
    fn a_row_an_input_whatever_came_of_it() {
        let predictions = vec![prediction("cat", 0.75, None, false), prediction("dog", 0.25, None, false)];
        let found = ClassifyResponse { head: "pets@1".into(), predictions, ..Default::default() };
        let text = written(&mut Csv::new(true, 2).unwrap(), vec![Ok(found), Err("not a file".into())]);
        assert_eq!(
            text,
            "id,is,head,label,probability,label_2,probability_2,unknown,error\n\
             \"a,b.jpg\",cat,pets@1,cat,0.75,dog,0.25,false,\n\
             \"a,b.jpg\",cat,,,,,,,not a file\n"
        );
    }

    #[test]
    fn a_row_a_head_and_the_labels_that_apply_together() {
        let sets = vec![prediction("cat", 0.5, Some(0.25), true), prediction("dog", 0.75, Some(0.5), true)];
        let error = Some(ItemError { message: "it is gone".into(), ..Default::default() });
        let classifications = vec![
            HeadClassification { head: "pets@1".into(), predictions: sets, ..Default::default() },
            HeadClassification { head: "toys".into(), error, ..Default::default() },
        ];
        let found = ClassifyResponse { classifications, ..Default::default() };
        let text = written(&mut Csv::new(false, 1).unwrap(), vec![Ok(found)]);
        assert_eq!(
            text,
            "id,head,label,probability,unknown,error\n\
             \"a,b.jpg\",pets@1,cat;dog,0.5;0.75,false,\n\
             \"a,b.jpg\",toys,,,,it is gone\n"
        );
    }
}
