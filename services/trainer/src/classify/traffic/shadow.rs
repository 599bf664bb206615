//! Asks shadows, once the answer is given: nobody waits for them, and nobody gets what they say.

use std::sync::Arc;

use graft_proto::v1::{ClassifyResponse, Prediction};
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{SplitTraffic, sides::Sides};
use crate::classify::{HeadCache, Pool, Wanted, head::Answer, resolve::Resolved};

/// Calls to shadows under way, at the most. What comes meanwhile is not asked.
pub const MOST_AT_ONCE: usize = 64;
/// What is compared: the most probable class, and all labels that apply.
const WANTED: Wanted = Wanted { top_k: 1, detect_unknown: false };

/// Who asks shadows.
#[derive(Clone, Debug)]
pub struct Shadows {
    heads: HeadCache,
    pool: Pool,
    under_way: Arc<Semaphore>,
}

/// A question to a shadow, before the answer is given.
#[derive(Debug)]
pub struct Asked {
    shadow: Resolved,
    traffic: Arc<SplitTraffic>,
    /// One embedding after the other.
    embeddings: Vec<f32>,
    permit: OwnedSemaphorePermit,
}

impl Shadows {
    /// Ask heads of `heads` on the threads of `pool`.
    pub fn new(heads: HeadCache, pool: Pool) -> Shadows {
        Shadows { heads, pool, under_way: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// A question of `rows` embeddings to the shadow of `sides`, if it has one and is not too busy.
    /// None if it is the shadow that gives the answer, as the canary.
    pub fn prepare(&self, sides: &Sides, by_canary: bool, embeddings: &[f32], rows: usize) -> Option<Asked> {
        let shadow = sides.shadow.clone()?;
        if by_canary && sides.canary.as_ref().is_some_and(|(canary, _)| canary.version == shadow.version) {
            return None;
        }
        let Ok(permit) = self.under_way.clone().try_acquire_owned() else {
            sides.traffic.dropped(rows);
            count("dropped", rows);
            return None;
        };
        Some(Asked { shadow, traffic: sides.traffic.clone(), embeddings: embeddings.to_vec(), permit })
    }

    /// Ask it, and compare what it says with the answers that were given.
    pub fn ask(&self, asked: Asked, given: &[ClassifyResponse]) {
        let given: Vec<Vec<Prediction>> = given.iter().map(|response| essence(&response.predictions)).collect();
        let (heads, pool) = (self.heads.clone(), self.pool.clone());
        tokio::spawn(async move {
            let Asked { shadow, traffic, embeddings, permit } = asked;
            let rows = given.len();
            match answers(&heads, &pool, &shadow, embeddings, rows).await {
                Ok(answers) => {
                    for (given, answer) in given.iter().zip(answers) {
                        let agreed = traffic.compared(given, &answer.predictions);
                        count(if agreed { "agreed" } else { "differed" }, 1);
                    }
                }
                Err(error) => {
                    if traffic.failed(rows) {
                        tracing::warn!(shadow = %shadow.version, error = error.message(), "a shadow failed");
                    }
                    count("failed", rows);
                }
            }
            drop(permit);
        });
    }
}

async fn answers(
    heads: &HeadCache,
    pool: &Pool,
    shadow: &Resolved,
    embeddings: Vec<f32>,
    rows: usize,
) -> Result<Vec<Answer>, Status> {
    let head = heads.load(shadow).await?.ok_or_else(|| Status::not_found("it was deleted just now"))?;
    pool.run(move || head.classify_uncounted(&embeddings, rows, WANTED)).await?
}

/// What is compared of an answer.
fn essence(predictions: &[Prediction]) -> Vec<Prediction> {
    let compared = predictions.iter().enumerate().filter(|(at, one)| *at == 0 || one.applies);
    compared.map(|(_, one)| one.clone()).collect()
}

fn count(outcome: &'static str, answers: usize) {
    counter!("graft_trainer_shadow_answers_total", "outcome" => outcome).increment(answers as u64);
}
