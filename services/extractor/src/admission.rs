//! The way in: an image whose embedding is known is answered, any other is queued.

use std::{sync::Arc, time::Instant};

use metrics::counter;

use crate::{
    answers::Ticket,
    cache::{EmbeddingCache, Found},
    engine::Engine,
    input::Input,
    queue::{Job, Priority},
    rows::Rows,
};

/// How one caller's images are let in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What embeds them.
    pub engine: Arc<Engine>,
    /// The class of work that they are.
    pub priority: Priority,
    /// When their answers are of no more use.
    pub deadline: Option<Instant>,
    /// Where embeddings are kept, if they are.
    pub cache: Option<Arc<EmbeddingCache>>,
}

impl Admission {
    /// Answer an image that is alone, or queue it.
    pub async fn admit(&self, mut ticket: Ticket, input: Input) {
        match self.recall(&mut ticket, &input).await {
            Some(embedding) => {
                let mut rows = Rows::default();
                rows.push(ticket, &embedding);
                rows.send(&self.engine.description.space);
            }
            None => {
                self.enqueue(ticket, input).await;
            }
        }
    }

    /// The embedding of `input`, if it was made before. If not, the one that will be made for `ticket` is kept.
    pub async fn recall(&self, ticket: &mut Ticket, input: &Input) -> Option<Arc<[f32]>> {
        let cache = self.cache.as_ref()?;
        match EmbeddingCache::look_up(cache, &self.engine.description.space, input).await? {
            Found::Embedding(embedding) => {
                counter!("graft_extractor_images_total", "outcome" => "cached").increment(1);
                Some(embedding)
            }
            Found::Nothing(keep) => {
                ticket.keep_in(keep);
                None
            }
        }
    }

    /// Queue an image, once there is room for it. `false` if the backbone was stopped.
    pub async fn enqueue(&self, ticket: Ticket, input: Input) -> bool {
        let queue = self.engine.queue(self.priority);
        let Some(permit) = queue.room(input.len()).await else { return false };
        queue.push(Job { input, ticket, deadline: self.deadline, pushed: Instant::now(), permit });
        true
    }
}
