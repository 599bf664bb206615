//! To the extractor and back.

use graft_chassis::status;
use graft_proto::v1::Priority;
use metrics::counter;
use tonic::Status;

use super::{BYTES_OUT, IMAGES_OUT, Import, outcome::rejected};
use crate::{
    embed::{Answer, size},
    store::{datasets::DatasetRow, segments::NewExample},
};

impl Import {
    /// Send as much of the backlog as may be out at once.
    pub(super) async fn send_backlog(&mut self) -> Result<(), Status> {
        let mut images = Vec::new();
        while self.out.len() < IMAGES_OUT && (self.bytes_out < BYTES_OUT || self.out.is_empty()) {
            let Some((waiting, image)) = self.backlog.pop_front() else { break };
            self.sent += 1;
            let id = self.sent.to_string();
            self.bytes_out += waiting.bytes;
            self.out.insert(id.clone(), waiting);
            images.push((id, image));
        }
        if images.is_empty() {
            return Ok(());
        }
        counter!("graft_trainer_images_requested_total").increment(images.len() as u64);
        if self.embedding.is_none() {
            let DatasetRow { backbone, space, .. } = &self.dataset;
            self.embedding = Some(self.extractor.begin(backbone, space, Priority::Bulk, None).await?);
        }
        if let Some(embedding) = &self.embedding {
            // One message for each large image, many small ones in one.
            let mut message = Vec::new();
            let mut bytes = 0;
            for (id, image) in images {
                bytes += size(&image);
                message.push((id, image));
                if bytes > 1 << 20 {
                    embedding.send(std::mem::take(&mut message));
                    bytes = 0;
                }
            }
            if !message.is_empty() {
                embedding.send(message);
            }
        }
        Ok(())
    }

    pub(super) async fn take(&mut self, answer: Option<Answer>) -> Result<(), Status> {
        match answer {
            None => return Err(self.extractor.ended_early()),
            Some(Answer::Embedded(rows)) => {
                counter!("graft_trainer_embeddings_received_total").increment(rows.len() as u64);
                for (id, embedding) in rows {
                    let Some(waiting) = self.out.remove(&id) else { continue };
                    self.bytes_out -= waiting.bytes;
                    if embedding.len() != self.dataset.dimension as usize {
                        return Err(status::internal("the extractor gave an embedding of another dimension"));
                    }
                    self.gather(NewExample { row: waiting.row, embedding: Some(embedding) });
                }
            }
            Some(Answer::Refused(id, status)) => {
                let Some(waiting) = self.out.remove(&id) else { return Ok(()) };
                self.bytes_out -= waiting.bytes;
                let mut outcomes = vec![rejected(waiting.row.id, &status)];
                let later = self.settle(&waiting.row.hash);
                outcomes.extend(later.into_iter().map(|(id, _)| rejected(id, &status)));
                self.tell(outcomes).await?;
            }
        }
        Ok(())
    }
}
