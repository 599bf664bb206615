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
//! - [`serve`]: the head that answers for a name. [`traffic`]: which version of an alias it is, and what versions are asked.
//! - [`scores`]: all that a head gives, as numbers. [`many`]: the answers of many heads. [`pool`]: the threads that they are made on.

use std::sync::Arc;

use graft_proto::v1::ClassifyResponse;
use metrics::counter;
use tonic::Status;

use self::traffic::shadow::Shadows;
use crate::names::{HeadRef, Tenant};

pub mod cache;
pub mod head;
pub mod kept;
pub mod labels;
pub mod many;
pub mod pool;
pub mod resolve;
pub mod rows;
pub mod scores;
pub mod serve;
pub mod target;
pub mod together;
pub mod traffic;
pub mod turns;

pub use cache::HeadCache;
pub use head::ServedHead;
pub use pool::Pool;
pub use scores::Scores;
pub use serve::Served;
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
    pub head: Option<Served>,
}

/// Who answers questions.
#[derive(Clone, Debug)]
pub struct Answerer {
    heads: HeadCache,
    pool: Pool,
    shadows: Shadows,
}

impl Answerer {
    /// With the answers of `heads`, made on the threads of `pool`.
    pub fn new(heads: HeadCache, pool: Pool) -> Answerer {
        let shadows = Shadows::new(heads.clone(), pool.clone());
        Answerer { heads, pool, shadows }
    }

    /// The space of the heads that are asked, with the key of the caller, if any; refused before anything is embedded if the
    /// answer is bound to be a refusal.
    pub async fn prepare(&self, question: &Question, key: &str) -> Result<Prepared, Status> {
        let Question { tenant, target, wanted } = question;
        match target {
            Target::One(head) => {
                let to_canary = self.heads.to_canary(tenant, head, &[key]).await?.contains(&true);
                let served = self.heads.serve(tenant, head, to_canary, *wanted).await?;
                served.head.check_unknown(*wanted)?;
                Ok(Prepared { space: served.head.space.clone(), head: Some(served) })
            }
            many => Ok(Prepared { space: self.heads.space(tenant, many).await?, head: None }),
        }
    }

    /// The answer for each of the embeddings of `space`, which lie one after the other and have these keys, or empty ones.
    pub async fn classify(
        &self,
        question: &Question,
        space: &str,
        embeddings: Vec<f32>,
        keys: &[&str],
    ) -> Result<Vec<Result<ClassifyResponse, Status>>, Status> {
        let Question { tenant, target, wanted } = question;
        if let Target::One(head) = target {
            return self.by_keys(question, head, space, embeddings, keys).await;
        }
        let rows = keys.len();
        let candidates = self.heads.many(tenant, target, space, *wanted).await?;
        let wanted = *wanted;
        self.pool.run(move || many::classify(&candidates, &embeddings, rows, wanted)).await
    }

    /// The same of one head, or of it and its canary.
    async fn by_keys(
        &self,
        Question { tenant, wanted, .. }: &Question,
        head: &HeadRef,
        space: &str,
        embeddings: Vec<f32>,
        keys: &[&str],
    ) -> Result<Vec<Result<ClassifyResponse, Status>>, Status> {
        let to_canary = self.heads.to_canary(tenant, head, keys).await?;
        let (rows, side) = (keys.len(), to_canary.contains(&true));
        if !side || !to_canary.contains(&false) {
            let served = self.heads.serve(tenant, head, side, *wanted).await?;
            return self.of_one(served, space, embeddings, rows, *wanted).await;
        }
        let dimension = embeddings.len() / rows;
        let mut found = vec![None; rows];
        for side in [false, true] {
            let of_side: Vec<usize> = (0..rows).filter(|row| to_canary[*row] == side).collect();
            let numbers = of_side.iter().flat_map(|row| &embeddings[row * dimension..][..dimension]).copied().collect();
            let served = self.heads.serve(tenant, head, side, *wanted).await?;
            let answers = self.of_one(served, space, numbers, of_side.len(), *wanted).await?;
            of_side.into_iter().zip(answers).for_each(|(row, answer)| found[row] = Some(answer));
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The same of a head that is at hand.
    pub async fn of_one(
        &self,
        served: Served,
        space: &str,
        embeddings: Vec<f32>,
        rows: usize,
        wanted: Wanted,
    ) -> Result<Vec<Result<ClassifyResponse, Status>>, Status> {
        let Served { head, sides, by_canary } = served;
        head.check_space(space)?;
        let asked = sides.as_ref().and_then(|sides| self.shadows.prepare(sides, by_canary, &embeddings, rows));
        let large = head.bytes() > AT_ONCE;
        let answer = move || -> Result<Vec<ClassifyResponse>, Status> {
            let answers = head.classify(&embeddings, rows, wanted)?.into_iter();
            let response = |head::Answer { predictions, unknown }| ClassifyResponse {
                predictions,
                unknown,
                head: head.name.clone(),
                classifications: Vec::new(),
            };
            Ok(answers.map(response).collect())
        };
        let found = if large { self.pool.run(answer).await?? } else { answer()? };
        if let Some(sides) = sides {
            sides.traffic.answered(by_canary, rows);
        }
        if by_canary {
            counter!("graft_trainer_canary_answers_total").increment(rows as u64);
        }
        if let Some(asked) = asked {
            self.shadows.ask(asked, &found);
        }
        Ok(found.into_iter().map(Ok).collect())
    }
}
