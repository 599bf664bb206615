//! Which unlabelled examples to label first.
//!
//! All are shown to the head a segment at a time, so that memory does not grow with the dataset. The least sure are kept
//! ([`uncertain`](super::uncertain)), and of those some are chosen that differ ([`spread`](super::spread)).

use std::pin::pin;

use futures::TryStreamExt;
use graft_chassis::status;
use graft_proto::v1::{Head as Description, Prediction, Suggestion};
use tokio::{sync::mpsc, task::spawn_blocking};
use tonic::Status;

use super::{spread::spread, uncertain::Uncertain};
use crate::{
    content::ContentHash,
    fit::head::Head,
    names::Tenant,
    store::{Store, datasets::DatasetRow, segments::SegmentRows, views::ViewKey},
};

/// Unlabelled examples that are looked at, at the most: those with the lowest hashes, as good as drawn by lot.
const MOST_EXAMINED: u32 = 1_000_000;
/// Uncertain examples that are kept for one that is wanted, and in all: many may be nearly the same.
const KEPT_EACH: usize = 20;
const KEPT: std::ops::RangeInclusive<usize> = 2_000..=10_000;
/// Segments that were read and not yet looked at.
const AHEAD: usize = 2;

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The examples, the least sure first.
    pub suggestions: Vec<Suggestion>,
    /// How many were looked at.
    pub examined: u64,
}

/// A head, and what is known of it.
#[derive(Debug)]
pub struct Learner {
    /// What is known of it.
    pub description: Description,
    /// Its weights.
    pub head: Head,
}

/// Choose `count` unlabelled examples of `dataset` for a head of its space. At most `most_bytes` of embeddings are kept.
pub async fn suggest(
    store: &Store,
    tenant: &Tenant,
    dataset: &DatasetRow,
    learner: Learner,
    count: usize,
    most_bytes: usize,
) -> Result<Found, Status> {
    let hashes = store.unlabelled(dataset.id, MOST_EXAMINED).await?;
    // Those kept are cut back when they are twice as many, and have their directions beside them at the end.
    let each = 2 * size_of::<f32>() * dataset.dimension.max(1) as usize;
    let kept = (count * KEPT_EACH).clamp(*KEPT.start(), *KEPT.end()).min(most_bytes / each);
    let (blocks, mut receiver) = mpsc::channel::<SegmentRows>(AHEAD);
    let Learner { description, head } = learner;
    let choosing = spawn_blocking(move || {
        let mut uncertain = Uncertain::new(&head, kept);
        while let Some(SegmentRows { at, numbers }) = receiver.blocking_recv() {
            uncertain.look(&at, numbers)?;
        }
        let thresholds = head.thresholds();
        let chosen = spread(uncertain.finish(), count).into_iter();
        let said = chosen.map(|one| (one.at, one.margin, one.predictions(&description.labels, thresholds)));
        Ok::<_, candle_core::Error>(said.collect::<Vec<_>>())
    });
    let keys: Vec<ViewKey> = hashes.iter().map(|hash| ViewKey { hash: *hash, view: 0 }).collect();
    let mut segments = pin!(store.by_segment(tenant, dataset, &keys).await?);
    let mut examined = 0;
    while let Some(rows) = segments.try_next().await? {
        examined += rows.at.len() as u64;
        if blocks.send(rows).await.is_err() {
            break;
        }
    }
    drop(blocks);
    let broken =
        |error: &dyn std::fmt::Display| status::internal(format!("looking at the examples broke down: {error}"));
    let chosen = choosing.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
    let wanted: Vec<ContentHash> = chosen.iter().map(|(at, ..)| hashes[*at]).collect();
    let rows = store.some_examples(dataset.id, &wanted).await?;
    let suggestions = chosen.into_iter().filter_map(|(at, margin, predictions)| {
        // What was labelled or removed meanwhile is not suggested.
        let row = rows.iter().find(|row| row.hash == hashes[at] && row.is_unlabelled())?;
        let (margin, reason) = (f64::from(margin), reason(&predictions));
        Some(Suggestion { id: row.id.clone(), hash: row.hash.to_hex(), predictions, margin, reason })
    });
    Ok(Found { suggestions: suggestions.collect(), examined })
}

/// Why an example is suggested of which a head says this.
fn reason(predictions: &[Prediction]) -> String {
    match predictions {
        [Prediction { label, probability, threshold: Some(threshold), .. }] => {
            format!("`{label}` at {probability:.2} is near its threshold, {threshold:.2}")
        }
        [first, second] => {
            format!("`{}` at {:.2} or `{}` at {:.2}", first.label, first.probability, second.label, second.probability)
        }
        _ => "unlike the others".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_why() {
        let said = |label: &str, probability, threshold| Prediction {
            label: label.into(),
            probability,
            threshold,
            applies: false,
        };
        assert_eq!(reason(&[said("cat", 0.5, None), said("dog", 0.25, None)]), "`cat` at 0.50 or `dog` at 0.25");
        assert_eq!(reason(&[said("cat", 0.5, Some(0.625))]), "`cat` at 0.50 is near its threshold, 0.62");
    }
}
