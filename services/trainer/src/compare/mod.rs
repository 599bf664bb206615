//! Versions of heads beside each other, measured on the same test split.
//!
//! # Layout
//! - [`split`]: the examples that both are measured on. [`answers`]: what a version says of them.
//! - [`figures`]: how good the answers are. [`disagreements`]: where two differ.
//! - [`gate`]: whether a version may take another one's place.
//! - [`error`]: why two versions cannot be compared.

use std::sync::Arc;

use graft_proto::v1::{CompareHeadsResponse, Head};
use tokio::{sync::Semaphore, task::spawn_blocking};

use self::{
    answers::{Answers, Columns, given},
    error::CompareError,
    figures::{classes, compared, tally},
    split::{TestSplit, Wanted, fitted_on},
};
use crate::{
    evaluate::mcnemar::p_value,
    fit::{self, FitError},
    names::Tenant,
    store::Store,
    train::evidence,
};

pub mod answers;
pub mod disagreements;
pub mod error;
pub mod figures;
pub mod gate;
pub mod split;

/// Comparisons that wait for their turn or have it, at the most.
const MOST_WAITING: usize = 16;

/// Compares versions, one pair after the other: each may take much memory.
#[derive(Clone, Debug)]
pub struct Comparer {
    store: Store,
    /// What one comparison may hold in memory.
    most_bytes: usize,
    waiting: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

impl Comparer {
    /// Compare versions of `store`, holding at most `most_bytes` of embeddings and answers.
    pub fn new(store: Store, most_bytes: usize) -> Comparer {
        let (waiting, turn) = (Arc::new(Semaphore::new(MOST_WAITING)), Arc::new(Semaphore::new(1)));
        Comparer { store, most_bytes, waiting, turn }
    }

    /// Measure two versions on the test split of the snapshot that is `wanted`, and name at most `most` examples that they answer
    /// differently.
    pub async fn compare(
        &self,
        tenant: &Tenant,
        [first, second]: [&Head; 2],
        wanted: Wanted<'_>,
        most: usize,
    ) -> Result<CompareHeadsResponse, CompareError> {
        let waiting = self.waiting.clone().try_acquire_owned().map_err(|_| CompareError::Busy(MOST_WAITING))?;
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| CompareError::Busy(MOST_WAITING))?;
        let split = TestSplit::read(&self.store, tenant, [first, second], wanted, self.most_bytes).await?;
        let seen = async |head| fitted_on(&self.store, tenant, head, &split).await;
        let seen = [seen(first).await?, seen(second).await?];
        let weights = [self.weights(tenant, first).await?, self.weights(tenant, second).await?];
        let heads = [first.clone(), second.clone()];
        spawn_blocking(move || {
            // Held for as long as the work goes on, though the caller may have gone.
            let _turn = (waiting, turn);
            measure(&split, &heads, &weights, seen, most)
        })
        .await
        .map_err(|error| CompareError::Broken(error.to_string()))?
    }

    async fn weights(&self, tenant: &Tenant, head: &Head) -> Result<fit::Head, CompareError> {
        let weights = self.store.weights(tenant, &head.name, head.version).await?;
        let weights = weights.ok_or_else(|| CompareError::Deleted { head: name(head) })?;
        if weights.classes() != head.labels.len() || weights.dimension() != head.dimension as usize {
            return Err(CompareError::Broken(format!("the weights of {} do not fit its labels", name(head))));
        }
        Ok(weights)
    }
}

fn measure(
    split: &TestSplit,
    heads: &[Head; 2],
    weights: &[fit::Head; 2],
    seen: [Option<u64>; 2],
    most: usize,
) -> Result<CompareHeadsResponse, CompareError> {
    let broken = |error: FitError| CompareError::Broken(error.to_string());
    let own = |weights: &fit::Head| {
        let logits = evidence::logits(weights, &split.embeddings).map_err(broken)?;
        Ok::<_, CompareError>(evidence::probabilities(&logits, weights.classes(), 1.0, weights.link()))
    };
    let own = [own(&weights[0])?, own(&weights[1])?];
    let given = [0, 1].map(|at| given(&own[at], &weights[at], split.multi_label));
    let columns = Columns::new(&split.snapshot.labels, [0, 1].map(|at| (&heads[at].labels[..], &given[at])));
    let [first, second] = [0, 1].map(|at| Answers::new(&own[at], &given[at], &heads[at].labels, &columns));
    drop(own);

    let truth = split.truth.truth();
    let [right_first, right_second] = [first.right(truth), second.right(truth)];
    let [both_right, only_first_right, only_second_right, both_wrong] = tally(&right_first, &right_second);
    let differ = disagreements::find(split, &columns, [(&first, &right_first), (&second, &right_second)], most);
    Ok(CompareHeadsResponse {
        first: Some(compared(&heads[0], &first, &columns, split, seen[0])),
        second: Some(compared(&heads[1], &second, &columns, split, seen[1])),
        snapshot: split.snapshot.id.clone(),
        dataset: split.dataset.clone(),
        test_count: truth.len() as u64,
        multi_label: split.multi_label,
        both_right,
        only_first_right,
        only_second_right,
        both_wrong,
        p_value: p_value(only_first_right, only_second_right),
        classes: classes(heads, [&first, &second], &columns, split),
        disagreement_count: differ.count,
        disagreements: differ.named,
    })
}

/// `NAME@VERSION`.
fn name(head: &Head) -> String {
    format!("{}@{}", head.name, head.version)
}
