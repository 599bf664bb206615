//! Writes what is ready, and says so once it is on disk.

use graft_chassis::status;
use graft_proto::v1::Outcome;
use tokio::time::Instant;
use tonic::Status;

use super::{
    Import, Later, appearance,
    outcome::{outcome, same_image},
};
use crate::{
    content::ContentHash,
    store::{
        examples::ExampleRow,
        retry::{PATIENCE, patiently},
        segments::NewExample,
    },
};

impl Import {
    pub(super) fn gather(&mut self, example: NewExample) {
        self.ready_bytes += example.bytes();
        self.ready.push(example);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Write what is ready, then say so.
    pub(super) async fn flush(&mut self) -> Result<(), Status> {
        self.since = None;
        self.ready_bytes = 0;
        let examples = std::mem::take(&mut self.ready);
        if examples.is_empty() {
            return Ok(());
        }
        let new = self.store.add(&self.tenant, &self.dataset, &examples).await?.ok_or_else(|| {
            let message = format!("`{}` was deleted during the import, or given views by another", self.dataset.name);
            status::precondition("dataset", message)
        })?;
        let (mut outcomes, mut again) = (Vec::with_capacity(examples.len()), Vec::new());
        for (NewExample { row, .. }, new) in examples.into_iter().zip(new) {
            let ExampleRow { hash, id, labels, .. } = row;
            let mut came = self.settle(&hash);
            let stored = match new {
                true => {
                    outcomes.push(outcome(id.clone(), Outcome::Stored));
                    came.retain(|(later, given)| {
                        let same = *later == id && *given == labels;
                        if same {
                            outcomes.push(outcome(id.clone(), Outcome::AlreadyKnown));
                        }
                        !same
                    });
                    labels
                }
                // Another import was faster; what it said is what counts.
                false => {
                    came.insert(0, (id, labels.clone()));
                    let known = patiently!(PATIENCE, self.store.known(self.dataset.id, &[hash]))?.remove(&hash);
                    known.map_or(labels, |known| known.labels)
                }
            };
            for (id, labels) in came {
                again.push(appearance(hash, &id, &labels, &stored));
                outcomes.push(same_image(id, &labels, &stored));
            }
        }
        patiently!(PATIENCE, self.store.note(&self.tenant, self.dataset.id, &again))?;
        self.tell(outcomes).await
    }

    /// The image is not under way any more: its later appearances.
    pub(super) fn settle(&mut self, hash: &ContentHash) -> Vec<Later> {
        let later = self.under_way.remove(hash).unwrap_or_default();
        self.later -= later.len();
        later
    }
}
