//! The examples that two versions are measured on: the test split of a snapshot, with the embeddings that the store has of it.

use std::collections::HashSet;

use graft_proto::v1::{Head, Snapshot as Description};

use super::{error::CompareError, name};
use crate::{
    content::ContentHash,
    error::StoreError,
    fit::Labels,
    names::{Name, Tenant},
    store::{Store, datasets::DatasetRow},
    train::snapshot::Snapshot,
};

/// The key of a dataset that is not there any more: keys begin at 1.
const GONE: i64 = 0;

/// Which snapshot's test split.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The id of the snapshot.
    pub id: &'a str,
    /// The datasets that it may be of.
    pub datasets: [&'a str; 2],
}

/// A test split.
#[derive(Debug)]
pub struct TestSplit {
    /// The snapshot that it is of.
    pub snapshot: Snapshot,
    /// The dataset that the snapshot is of.
    pub dataset: String,
    /// Whether examples have sets of labels.
    pub multi_label: bool,
    /// `[examples, dimension]`, in the order of the snapshot's plan.
    pub embeddings: Vec<f32>,
    /// What is right for each, by the snapshot's numbers of labels.
    pub truth: Labels,
}

impl TestSplit {
    /// Read the test split that is wanted, if `heads` can be measured on it in `most_bytes` of memory.
    pub async fn read(
        store: &Store,
        tenant: &Tenant,
        heads: [&Head; 2],
        wanted: Wanted<'_>,
        most_bytes: usize,
    ) -> Result<TestSplit, CompareError> {
        let [first, second] = heads;
        if first.space != second.space {
            return Err(CompareError::Spaces {
                first: name(first),
                first_space: first.space.clone(),
                second: name(second),
                second_space: second.space.clone(),
            });
        }
        let described = find(store, tenant, wanted).await?;
        heads.into_iter().try_for_each(|head| check(head, &described))?;
        let row = dataset_of(store, tenant, first, &described).await?;
        let examples = store.snapshot_examples(tenant, &row, &described.id).await?;
        let snapshot = Snapshot::new(&examples.ok_or_else(|| no_snapshot(wanted))?);
        let test = &snapshot.plan.test;
        if test.is_empty() || snapshot.labels.is_empty() {
            return Err(CompareError::NoTest { id: described.id });
        }
        let numbers = row.dimension as usize + heads.map(|head| 3 * head.labels.len()).iter().sum::<usize>();
        let bytes = test.len().saturating_mul(numbers + 3 * snapshot.labels.len()).saturating_mul(size_of::<f32>());
        if bytes > most_bytes {
            return Err(CompareError::TooLarge { examples: test.len(), mib: bytes >> 20, most: most_bytes >> 20 });
        }
        let embeddings = store.embeddings(tenant, &row, &snapshot.hashes_of(test)).await?;
        let truth = snapshot.labelled(test, described.multi_label);
        let (dataset, multi_label) = (described.dataset, described.multi_label);
        Ok(TestSplit { snapshot, dataset, multi_label, embeddings, truth })
    }
}

/// How many of the test examples `head` was fitted on. `None` if its own snapshot is not there any more.
pub async fn fitted_on(
    store: &Store,
    tenant: &Tenant,
    head: &Head,
    split: &TestSplit,
) -> Result<Option<u64>, StoreError> {
    let id = head.report.as_ref().map(|report| report.snapshot.as_str()).unwrap_or_default();
    if id == split.snapshot.id {
        return Ok(Some(0));
    }
    let Some(described) = store.snapshot(tenant, &head.dataset, id).await? else { return Ok(None) };
    let row = dataset_of(store, tenant, head, &described).await?;
    let Some(examples) = store.snapshot_examples(tenant, &row, id).await? else { return Ok(None) };
    let own = Snapshot::new(&examples);
    let fitted = own.hashes_of(&[&own.plan.train[..], &own.plan.validation].concat());
    let fitted: HashSet<ContentHash> = fitted.into_iter().collect();
    let tested = split.snapshot.hashes_of(&split.snapshot.plan.test);
    Ok(Some(tested.iter().filter(|hash| fitted.contains(hash)).count() as u64))
}

async fn find(store: &Store, tenant: &Tenant, wanted: Wanted<'_>) -> Result<Description, CompareError> {
    for dataset in wanted.datasets {
        if let Some(found) = store.snapshot(tenant, dataset, wanted.id).await? {
            return Ok(found);
        }
    }
    Err(no_snapshot(wanted))
}

fn no_snapshot(Wanted { id, datasets: [one, other] }: Wanted<'_>) -> CompareError {
    let datasets = if one == other { format!("`{one}`") } else { format!("`{one}` or `{other}`") };
    CompareError::NoSnapshot { id: id.to_owned(), datasets }
}

/// Whether a head can be measured on the examples of a snapshot.
fn check(head: &Head, snapshot: &Description) -> Result<(), CompareError> {
    let id = snapshot.id.clone();
    if snapshot.space != head.space {
        let (space, heads) = (snapshot.space.clone(), head.space.clone());
        return Err(CompareError::SnapshotSpace { id, space, heads });
    }
    let sets = head.report.as_ref().is_some_and(|report| report.multi_label.is_some());
    match (sets, snapshot.multi_label) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => {
            Err(CompareError::Labels { head: name(head), answers: "sets of labels", id, labels: "one label each" })
        }
        (false, true) => {
            Err(CompareError::Labels { head: name(head), answers: "one label", id, labels: "sets of labels" })
        }
    }
}

/// The dataset of a snapshot as it was: the snapshot outlives it, and so do the embeddings.
async fn dataset_of(
    store: &Store,
    tenant: &Tenant,
    head: &Head,
    snapshot: &Description,
) -> Result<DatasetRow, StoreError> {
    let name = Name::parse("dataset", &snapshot.dataset).ok();
    let there = match name {
        Some(name) => store.dataset(tenant, &name).await?,
        None => None,
    };
    Ok(DatasetRow {
        // Knows the ids of the examples.
        id: there.map_or(GONE, |dataset| dataset.id),
        name: snapshot.dataset.clone(),
        backbone: head.backbone.clone(),
        space: snapshot.space.clone(),
        dimension: head.dimension,
        create_time: 0,
        multi_label: snapshot.multi_label,
        augmentation: None,
    })
}
