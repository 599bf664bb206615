//! To the extractor and back.

use graft_chassis::status;
use graft_proto::v1::{ExtractItem, Priority};
use metrics::counter;
use tonic::Status;

use super::{BYTES_OUT, IMAGES_OUT, Import, Waiting, outcome::rejected};
use crate::{
    embed::{Answer, Embedded},
    store::{datasets::DatasetRow, segments::NewExample},
};

impl Import {
    /// Send as much of the backlog as may be out at once.
    pub(super) async fn send_backlog(&mut self) -> Result<(), Status> {
        let mut images = Vec::new();
        let extractors = self.extractor.count();
        let (most, most_bytes) = (IMAGES_OUT * extractors, BYTES_OUT * extractors);
        while self.out.len() < most && (self.bytes_out < most_bytes || self.out.is_empty()) {
            let Some((waiting, image)) = self.backlog.pop_front() else { break };
            self.sent += 1;
            let id = self.sent.to_string();
            self.bytes_out += waiting.bytes;
            let without_views = waiting.came.len() == 1;
            self.out.insert(id.clone(), waiting);
            images.push(ExtractItem { id, image: Some(image), without_views });
        }
        if images.is_empty() {
            return Ok(());
        }
        counter!("graft_trainer_images_requested_total").increment(images.len() as u64);
        if self.embedding.is_none() {
            let DatasetRow { backbone, space, augmentation, .. } = &self.dataset;
            let begun = self.extractor.begin(backbone, space, augmentation.clone(), Priority::Bulk, None);
            self.embedding = Some(begun.await?);
        }
        if let Some(embedding) = &self.embedding {
            embedding.send_items(images);
        }
        Ok(())
    }

    pub(super) async fn take(&mut self, answer: Option<Answer>) -> Result<(), Status> {
        match answer {
            None => return Err(self.extractor.ended_early()),
            Some(Answer::Embedded(rows)) => {
                counter!("graft_trainer_embeddings_received_total").increment(rows.len() as u64);
                for row in rows {
                    self.keep(row)?;
                }
            }
            Some(Answer::Refused(id, status)) => {
                let Some(waiting) = self.out.remove(&id) else { return Ok(()) };
                self.bytes_out -= waiting.bytes;
                let mut outcomes = vec![rejected(waiting.row.id, &status)];
                let later = self.settle(&waiting.row.hash);
                outcomes.extend(later.into_iter().map(|later| rejected(later.id, &status)));
                self.tell(outcomes).await?;
            }
        }
        Ok(())
    }

    /// Keep an embedding until those of all views of its image are there; they are stored together, or not at all.
    fn keep(&mut self, Embedded { id, view, numbers }: Embedded) -> Result<(), Status> {
        let Some(waiting) = self.out.get_mut(&id) else { return Ok(()) };
        if numbers.len() != self.dataset.dimension as usize {
            return Err(status::internal("the extractor gave an embedding of another dimension"));
        }
        let Some(slot) = waiting.came.get_mut(view as usize) else {
            return Err(status::internal("the extractor gave a view that it was not asked for"));
        };
        *slot = Some(numbers);
        if waiting.came.iter().any(Option::is_none) {
            return Ok(());
        }
        let Some(Waiting { row, bytes, came }) = self.out.remove(&id) else { return Ok(()) };
        self.bytes_out -= bytes;
        let mut came = came.into_iter().flatten();
        let embedding = came.next();
        self.gather(NewExample { row, embedding, views: came.collect() });
        Ok(())
    }
}
