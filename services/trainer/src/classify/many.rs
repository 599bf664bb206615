//! The answers of many heads for the same embeddings.

use std::sync::atomic::{AtomicUsize, Ordering};

use graft_chassis::{serve::MESSAGE_BYTES, status};
use graft_proto::v1::{ClassifyResponse, HeadClassification};
use prost::Message;
use rayon::prelude::*;
use tonic::Status;

use super::{head::Answer, target::Wanted, together::Candidate};

/// Bytes of the answers of one response, at the most.
const MOST_BYTES: usize = MESSAGE_BYTES - (64 << 10);
/// Bytes around an answer in its response, at the most.
const FRAME_BYTES: usize = 8;

/// The responses for `rows` embeddings that lie one after the other: the answers of all `candidates`, in their order. It runs on
/// all threads of the pool that it is called in.
pub fn classify(
    candidates: &[Candidate],
    embeddings: &[f32],
    rows: usize,
    wanted: Wanted,
) -> Vec<Result<ClassifyResponse, Status>> {
    let sizes: Vec<AtomicUsize> = (0..rows).map(|_| AtomicUsize::new(0)).collect();
    // Head by head, each with all of its rows.
    let mut answers = vec![HeadClassification::default(); candidates.len() * rows];
    let heads = answers.par_chunks_mut(rows.max(1)).zip(candidates);
    heads.for_each(|(answers, candidate)| candidate.classify(embeddings, wanted, answers, &sizes));
    let responses = by_row(answers, rows).into_iter().zip(sizes);
    let respond = |(classifications, size): (_, AtomicUsize)| {
        if size.into_inner() > MOST_BYTES { Err(too_large()) } else { respond(classifications) }
    };
    responses.map(respond).collect()
}

/// What lies head by head, row by row.
fn by_row(answers: Vec<HeadClassification>, rows: usize) -> Vec<Vec<HeadClassification>> {
    if rows == 1 {
        return vec![answers];
    }
    let mut all: Vec<Vec<HeadClassification>> = vec![Vec::with_capacity(answers.len() / rows.max(1)); rows];
    answers.into_iter().enumerate().for_each(|(at, answer)| all[at % rows].push(answer));
    all
}

/// What none of the heads can answer is refused as a whole.
fn respond(classifications: Vec<HeadClassification>) -> Result<ClassifyResponse, Status> {
    match classifications.first().and_then(|first| first.error.as_ref()) {
        Some(error) if classifications.iter().all(|one| one.error.is_some()) => Err(status::from_item_error(error)),
        _ => Ok(ClassifyResponse { classifications, ..Default::default() }),
    }
}

fn too_large() -> Status {
    let mib = MOST_BYTES >> 20;
    let message = format!("the labels that apply take more than a message of {mib} MiB holds; ask fewer heads at once");
    status::invalid("top_k", message)
}

impl Candidate {
    /// Its answer for each row. Where the answers of a row are too many already, nothing is said.
    fn classify(&self, embeddings: &[f32], wanted: Wanted, answers: &mut [HeadClassification], sizes: &[AtomicUsize]) {
        let rows = answers.len();
        let mut places = answers.iter_mut();
        let answered = self.head.as_ref().map_err(Clone::clone).and_then(|head| {
            head.classify_each(embeddings, rows, wanted, |Answer { predictions, unknown }| {
                if let Some(place) = places.next() {
                    *place = HeadClassification { head: head.name.clone(), predictions, unknown, error: None };
                }
            })
        });
        if let Err(status) = answered {
            let (head, error) = (self.name.to_string(), Some(status::to_item_error(&status)));
            answers.fill(HeadClassification { head, error, ..Default::default() });
        }
        for (answer, size) in answers.iter_mut().zip(sizes) {
            let bytes = answer.encoded_len() + FRAME_BYTES;
            let before = size.fetch_add(bytes, Ordering::Relaxed);
            if before + bytes > MOST_BYTES {
                *answer = HeadClassification::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::Code;

    use super::super::head::tests::{line, served};
    use super::*;
    use crate::fit::head;

    fn candidate(name: &str, weights: head::Head) -> Candidate {
        Candidate { name: name.into(), head: Ok(Arc::new(served(name, weights, None))) }
    }

    fn labels(response: &ClassifyResponse) -> Vec<(&str, &str)> {
        let all = response.classifications.iter();
        all.map(|one| (one.head.as_str(), one.predictions.first().map_or("-", |p| p.label.as_str()))).collect()
    }

    #[test]
    fn each_row_has_the_answer_of_each_head_in_order() {
        let linear = |weights: &[f32]| head::Head::Linear(line(weights));
        let missing = Candidate { name: "gone@7".into(), head: Err(status::not_found("head", "gone@7", "it is gone")) };
        let wide = head::LinearHead { weights: vec![1.0; 4], bias: vec![0.0; 2], dimension: 2, classes: 2 };
        let candidates = [
            candidate("up", linear(&[1.0, -1.0])),
            missing.clone(),
            candidate("down", linear(&[-1.0, 1.0])),
            candidate("wide", head::Head::Linear(wide)),
        ];
        let wanted = Wanted { top_k: 1, detect_unknown: false };
        let found = classify(&candidates, &[2.0, -3.0], 2, wanted);
        let found: Vec<ClassifyResponse> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(labels(&found[0]), [("up@1", "a"), ("gone@7", "-"), ("down@1", "b"), ("wide", "-")]);
        assert_eq!(labels(&found[1]), [("up@1", "b"), ("gone@7", "-"), ("down@1", "a"), ("wide", "-")]);
        let codes = found[0].classifications.iter().map(|one| one.error.as_ref().map(|error| Code::from(error.code)));
        let expected = [None, Some(Code::NotFound), None, Some(Code::InvalidArgument)];
        assert_eq!(codes.collect::<Vec<_>>(), expected);
        assert!(found[0].head.is_empty() && found[0].predictions.is_empty());

        let refused = classify(&[missing], &[2.0], 1, wanted).remove(0).unwrap_err();
        assert!(refused.code() == Code::NotFound && refused.message().contains("gone@7"), "{refused:?}");
    }

    #[test]
    fn what_is_more_than_a_message_is_refused_where_it_is() {
        // For 1 all labels apply, and for -1 none.
        let many = head::Head::Sigmoid { linear: line(&[9.0; 26]), thresholds: vec![0.5; 26] };
        let candidates: Vec<Candidate> = vec![candidate("s", many); 50_000];
        let wanted = Wanted { top_k: 1, detect_unknown: false };
        let found = classify(&candidates, &[1.0, -1.0], 2, wanted);
        let refused = found[0].as_ref().unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains("top_k"), "{refused:?}");
        let fine = found[1].as_ref().unwrap();
        assert!(fine.classifications.len() == 50_000 && fine.encoded_len() <= MOST_BYTES);
    }
}
