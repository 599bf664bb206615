//! The way in: an image whose embedding is known is answered, any other is queued.

use std::{sync::Arc, time::Instant};

use metrics::counter;

use crate::{
    answers::Ticket,
    augment::Recipe,
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
    /// How views of each image are made, if it has any.
    pub recipe: Option<Arc<Recipe>>,
}

impl Admission {
    /// Answer an image that is alone, or queue it.
    pub async fn admit(&self, ticket: Ticket, input: Input) {
        match self.recall(ticket, &input).await {
            Ok(known) => {
                let mut rows = Rows::default();
                known.into_iter().for_each(|(ticket, embedding)| rows.push(ticket, &embedding));
                rows.send(&self.engine.description.space);
            }
            Err(ticket) => {
                self.enqueue(ticket, input).await;
            }
        }
    }

    /// The embeddings of `input` and its views, if they were made before, each with its ticket. If not, the ticket comes back,
    /// and those that will be made for it are kept.
    pub async fn recall(&self, mut ticket: Ticket, input: &Input) -> Result<Vec<(Ticket, Arc<[f32]>)>, Ticket> {
        let Some(cache) = &self.cache else { return Err(ticket) };
        let recipe = self.recipe.as_deref();
        match EmbeddingCache::look_up(cache, &self.engine.description.space, input, recipe).await {
            Some(Found::Embeddings(embeddings)) => {
                counter!("graft_extractor_images_total", "outcome" => "cached").increment(1);
                Ok(ticket.part(recipe).into_iter().zip(embeddings).collect())
            }
            Some(Found::Nothing(keep)) => {
                ticket.keep_in(keep);
                Err(ticket)
            }
            None => Err(ticket),
        }
    }

    /// Queue an image, once there is room for it. `false` if the backbone was stopped.
    pub async fn enqueue(&self, ticket: Ticket, input: Input) -> bool {
        let queue = self.engine.queue(self.priority);
        let Some(permit) = queue.room(input.len()).await else { return false };
        let (deadline, recipe) = (self.deadline, self.recipe.clone());
        queue.push(Job { input, ticket, deadline, pushed: Instant::now(), permit, recipe });
        true
    }
}
