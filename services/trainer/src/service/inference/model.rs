//! A head as a model of the protocol: the one place here that knows how heads are found and asked.

use std::sync::Arc;

use graft_chassis::status;
use tonic::Status;

use crate::{
    classify::{HeadCache, Scores, ServedHead, Wanted, labels::Labels},
    names::{HeadRef, Tenant},
    service::classifier::backbone,
};

/// A version of a head that is ready to answer.
#[derive(Clone, Debug)]
pub struct Model(Arc<ServedHead>);

impl Model {
    /// The head `name` in this version, the newest if it is empty; `field` is the request's field that holds the name.
    pub async fn find(
        heads: &HeadCache,
        tenant: &Tenant,
        field: &str,
        name: &str,
        version: &str,
    ) -> Result<Model, Status> {
        let wanted = match version {
            "" => HeadRef::parse(field, name)?,
            _ => HeadRef::parse(field, &format!("{name}@{version}"))?,
        };
        let to_canary = heads.to_canary(tenant, &wanted, &[""]).await?.contains(&true);
        let asked = Wanted { top_k: 1, detect_unknown: false };
        Ok(Model(heads.serve(tenant, &wanted, to_canary, asked).await?.head))
    }

    /// Its name and its version.
    fn parts(&self) -> (&str, &str) {
        self.0.name.split_once('@').unwrap_or((&self.0.name, ""))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.parts().0
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.parts().1
    }

    /// Its classes, in the order of its numbers.
    pub fn labels(&self) -> &Labels {
        self.0.labels()
    }

    /// The embedding space that it classifies.
    pub fn space(&self) -> &str {
        &self.0.space
    }

    /// The backbone of that space.
    pub fn backbone(&self) -> &str {
        backbone(&self.0.space)
    }

    /// Numbers in an embedding.
    pub fn dimension(&self) -> usize {
        self.0.dimension()
    }

    /// Whether it gives an input any number of labels, each on its own.
    pub fn gives_several(&self) -> bool {
        self.0.gives_several()
    }

    /// Check that it classifies the space that a caller says its embeddings are of.
    pub fn check_space(&self, told: &str) -> Result<(), Status> {
        if told == self.space() {
            return Ok(());
        }
        let (told, own) = (status::quoted(told), self.space());
        let message = format!(
            "the embeddings are of `{told}`, but {}@{} classifies `{own}`; they must not be mixed",
            self.name(),
            self.version()
        );
        Err(status::precondition("parameters.embedding_space", message))
    }

    /// The scores of `rows` embeddings, which lie one after the other. They are made on a thread of their own: many rows take long
    /// enough to hold up the calls that share a thread.
    pub async fn scores(&self, embeddings: Vec<f32>, rows: usize) -> Result<Scores, Status> {
        let head = self.0.clone();
        tokio::task::spawn_blocking(move || head.scores(&embeddings, rows))
            .await
            .map_err(|error| status::internal(format!("the scores of a head: {error}")))?
    }
}
