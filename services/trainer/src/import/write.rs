//! Writes what is ready, and says so once it is on disk.

use graft_chassis::status;
use graft_proto::v1::Outcome;
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};
use tonic::Status;

use super::{
    Import, Later, appearance,
    outcome::{outcome, same_image},
};
use crate::{
    content::ContentHash,
    error::StoreError,
    store::{
        examples::ExampleRow,
        retry::{PATIENCE, patiently},
        segments::NewExample,
    },
};

/// What was to be written, and whether each is new: see [`Store::add`](crate::store::Store::add).
pub(super) type Written = (Vec<NewExample>, Result<Option<Vec<bool>>, StoreError>);

/// What is being written, once it is.
pub(super) async fn next(writing: &mut Option<JoinHandle<Written>>) -> Result<Written, JoinError> {
    match writing {
        Some(handle) => {
            let written = handle.await;
            *writing = None;
            written
        }
        None => std::future::pending().await,
    }
}

impl Import {
    pub(super) fn gather(&mut self, example: NewExample) {
        self.ready_bytes += example.bytes();
        self.ready.push(example);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Begin to write what is ready, once what was begun before is written. More is read in the meantime.
    pub(super) async fn flush(&mut self) -> Result<(), Status> {
        self.finish_writing().await?;
        self.since = None;
        self.ready_bytes = 0;
        let examples = std::mem::take(&mut self.ready);
        if !examples.is_empty() {
            let (store, tenant, dataset) = (self.store.clone(), self.tenant.clone(), self.dataset.clone());
            self.writing = Some(tokio::spawn(async move {
                let added = store.add(&tenant, &dataset, &examples).await;
                (examples, added)
            }));
        }
        Ok(())
    }

    /// Wait until what was begun to be written is, then say so.
    pub(super) async fn finish_writing(&mut self) -> Result<(), Status> {
        if self.writing.is_none() {
            return Ok(());
        }
        let written = next(&mut self.writing).await;
        self.written(written).await
    }

    /// Say what was written.
    pub(super) async fn written(&mut self, written: Result<Written, JoinError>) -> Result<(), Status> {
        let (examples, added) = written.map_err(|error| status::internal(format!("a write broke down: {error}")))?;
        let new = added?.ok_or_else(|| {
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
