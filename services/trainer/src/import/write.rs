//! Writes what is ready, and says so once it is on disk.

use graft_chassis::status;
use graft_proto::v1::{ExampleOutcome, Outcome, Split};
use tokio::task::JoinError;
use tonic::Status;

use super::{
    Import, appearance,
    outcome::{outcome, rejected, same_image, too_many_labels},
    writes::Done,
};
use crate::{
    content::ContentHash,
    store::{
        add::{Added, Filed},
        examples::ExampleRow,
        retry::{PATIENCE, patiently},
        segments::NewExample,
    },
};

impl Import {
    pub(super) fn gather(&mut self, example: NewExample) {
        self.writes.gather(example);
    }

    /// Begin to write what is due; all, if it must be so `now`. More is read in the meantime, as long as there is room.
    pub(super) async fn begin_writes(&mut self, now: bool) -> Result<(), Status> {
        let now = now || self.writes.is_due();
        if self.writes.fills_a_segment() || (now && self.writes.has_ready()) {
            while self.writes.is_full() {
                self.writes.count(now, &self.store, &self.tenant, &self.dataset);
                let done = self.writes.next().await;
                self.written(done).await?;
            }
            self.writes.file(&self.store, &self.dataset);
        }
        self.writes.count(now, &self.store, &self.tenant, &self.dataset);
        Ok(())
    }

    /// Write all that came, and say so.
    pub(super) async fn finish_writes(&mut self) -> Result<(), Status> {
        loop {
            self.begin_writes(true).await?;
            if self.writes.is_idle() {
                return Ok(());
            }
            let done = self.writes.next().await;
            self.written(done).await?;
        }
    }

    /// Go on with what was written, and say what was counted.
    pub(super) async fn written(&mut self, done: Result<Done, JoinError>) -> Result<(), Status> {
        match done.map_err(|error| status::internal(format!("a write broke down: {error}")))? {
            Done::Filed(filed) => {
                self.writes.filed(filed?);
                Ok(())
            }
            Done::Counted((filed, added)) => {
                let added = self.there(added?)?;
                self.conclude(filed.into_iter().flat_map(Filed::into_rows).zip(added).collect()).await
            }
        }
    }

    /// Write examples. What became of each is not told yet.
    pub(super) async fn add(&self, examples: &[NewExample]) -> Result<Vec<Added>, Status> {
        self.there(self.store.add(&self.tenant, &self.dataset, examples).await?)
    }

    /// What became of examples, if their dataset is there.
    fn there(&self, added: Option<Vec<Added>>) -> Result<Vec<Added>, Status> {
        added.ok_or_else(|| {
            let message = format!("`{}` was deleted during the import, or given views by another", self.dataset.name);
            status::precondition("dataset", message)
        })
    }

    /// Tell what became of examples, and of the same images that came meanwhile.
    pub(super) async fn conclude(&mut self, rows: Vec<(ExampleRow, Added)>) -> Result<(), Status> {
        let (mut outcomes, mut again) = (Vec::with_capacity(rows.len()), Vec::new());
        for (row, added) in rows {
            let mut came = self.settle(&row.hash);
            let is_new = added == Added::New;
            let mut stored = if is_new {
                outcomes.push(outcome(row.id.clone(), Outcome::Stored));
                row
            } else {
                // Another import was faster; what it said is what counts.
                let known = patiently!(PATIENCE, self.store.known(self.dataset.id, &[row.hash]))?.remove(&row.hash);
                let stored = known.map_or_else(|| row.clone(), |known| known.row(row.hash));
                came.insert(0, row);
                stored
            };
            for later in came {
                if stored.waits_for(&later) {
                    let (labelled, told) = self.label(later).await?;
                    outcomes.push(told);
                    again.extend(labelled.iter().map(|labelled| appearance(labelled, labelled)));
                    stored = labelled.unwrap_or(stored);
                    continue;
                }
                outcomes.push(same_image(&later, &stored));
                if !is_new || later.id != stored.id || later.contradicts(&stored) {
                    again.push(appearance(&later, &stored));
                }
            }
        }
        patiently!(PATIENCE, self.store.note(&self.tenant, self.dataset.id, &again))?;
        self.tell(outcomes).await
    }

    /// Give an image that waits for a label, and came with one later in this import, that label. Gives back the example as it
    /// is then, and the outcome.
    async fn label(&mut self, mut row: ExampleRow) -> Result<(Option<ExampleRow>, ExampleOutcome), Status> {
        let id = row.id.clone();
        if let Some(label) = self.one_too_many(&row.labels) {
            return Ok((None, too_many_labels(id, &label)));
        }
        if row.split == Split::Unspecified {
            let former = patiently!(PATIENCE, self.store.former_splits(self.dataset.id, &[row.hash]))?;
            let chosen = self.balance.place(row.hash.as_bytes(), &row.labels);
            row.split = former.get(&row.hash).copied().unwrap_or(chosen);
        }
        // It is embedded, with its views: it may go into any split.
        let example = NewExample { row, embedding: None, views: Vec::new() };
        match self.add(std::slice::from_ref(&example)).await?[..] {
            [Added::New] => Ok((Some(example.row), outcome(id, Outcome::Stored))),
            _ => {
                let status =
                    status::unavailable("it was removed or labelled by another at this moment; import it again");
                Ok((None, rejected(id, &status)))
            }
        }
    }

    /// The image is not under way any more: how it came meanwhile.
    pub(super) fn settle(&mut self, hash: &ContentHash) -> Vec<ExampleRow> {
        let later = self.under_way.remove(hash).unwrap_or_default();
        self.later -= later.len();
        later
    }
}
