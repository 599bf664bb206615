//! Classification: the answers of heads for embeddings.
//!
//! One embedding is answered by one head, by several, or by every head of its space. What many heads take is one pass over their
//! weights, on all cores: the memory's speed is the floor.
//!
//! # Layout
//! - [`target`]: which heads a request asks.
//! - [`resolve`]: which versions the names stand for. [`turns`]: one look for all who ask at once.
//! - [`cache`]: the heads, read when needed; [`kept`]: those that are kept ready. [`together`]: several at once.
//! - [`head`]: one that is ready, and its answer. [`rows`]: the product of a linear one.
//! - [`many`]: the answers of many heads. [`pool`]: the threads that they are made on.

use std::sync::Arc;

use graft_proto::v1::ClassifyResponse;
use tonic::Status;

use crate::names::Tenant;

pub mod cache;
pub mod head;
pub mod kept;
pub mod many;
pub mod pool;
pub mod resolve;
pub mod rows;
pub mod target;
pub mod together;
pub mod turns;

pub use cache::HeadCache;
pub use head::ServedHead;
pub use pool::Pool;
pub use target::{EverySpec, Target, Wanted};

/// Weights that are multiplied where the call is served, in bytes: that takes less than handing it over and back.
const AT_ONCE: u64 = rows::PIECE_BYTES as u64;

/// A question to heads, checked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose heads.
    pub tenant: Tenant,
    /// Which of them.
    pub target: Target,
    /// What the caller wants to be told.
    pub wanted: Wanted,
}

/// Where an image is embedded for a question.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The space.
    pub space: Arc<str>,
    /// The head, if it is one alone.
    pub head: Option<Arc<ServedHead>>,
}

/// Who answers questions.
#[derive(Clone, Debug)]
pub struct Answerer {
    heads: HeadCache,
    pool: Pool,
}

impl Answerer {
    /// With the answers of `heads`, made on the threads of `pool`.
    pub fn new(heads: HeadCache, pool: Pool) -> Answerer {
        Answerer { heads, pool }
    }

    /// The space of the heads that are asked; refused before anything is embedded if the answer is bound to be a refusal.
    pub async fn prepare(&self, question: &Question) -> Result<Prepared, Status> {
        let Question { tenant, target, wanted } = question;
        match target {
            Target::One(head) => {
                let head = self.heads.get(tenant, head).await?;
                head.check_unknown(*wanted)?;
                Ok(Prepared { space: head.space.clone(), head: Some(head) })
            }
            many => Ok(Prepared { space: self.heads.space(tenant, many).await?, head: None }),
        }
    }

    /// The answer for each of `rows` embeddings of `space`, which lie one after the other.
    pub async fn classify(
        &self,
        question: &Question,
        space: &str,
        embeddings: Vec<f32>,
        rows: usize,
    ) -> Result<Vec<Result<ClassifyResponse, Status>>, Status> {
        let Question { tenant, target, wanted } = question;
        if let Target::One(head) = target {
            let head = self.heads.get(tenant, head).await?;
            return self.of_one(head, space, embeddings, rows, *wanted).await;
        }
        let candidates = self.heads.many(tenant, target, space, *wanted).await?;
        let wanted = *wanted;
        self.pool.run(move || many::classify(&candidates, &embeddings, rows, wanted)).await
    }

    /// The same of a head that is at hand.
    pub async fn of_one(
        &self,
        head: Arc<ServedHead>,
        space: &str,
        embeddings: Vec<f32>,
        rows: usize,
        wanted: Wanted,
    ) -> Result<Vec<Result<ClassifyResponse, Status>>, Status> {
        head.check_space(space)?;
        let large = head.bytes() > AT_ONCE;
        let answer = move || -> Result<_, Status> {
            let answers = head.classify(&embeddings, rows, wanted)?.into_iter();
            let response = |head::Answer { predictions, unknown }| {
                Ok(ClassifyResponse { predictions, unknown, head: head.name.clone(), classifications: Vec::new() })
            };
            Ok(answers.map(response).collect())
        };
        if large { self.pool.run(answer).await? } else { answer() }
    }
}
