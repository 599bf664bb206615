//! The calls of `DatasetService` about the examples of a dataset.

use graft_chassis::status;
use graft_proto::v1::{
    Appearance, EditOutcome, ExampleKey, GetDatasetStatsRequest, GetDatasetStatsResponse, ListExamplesRequest,
    ListExamplesResponse, RelabelExamplesRequest, RelabelExamplesResponse, RemoveExamplesRequest,
    RemoveExamplesResponse, Split, StoredExample, example_key,
};
use tonic::Status;

use super::datasets::existing;
use crate::{
    content::ContentHash,
    import::balance::Balance,
    names::{MOST_LABELS, Name, Tenant, check_id, check_label, check_labels},
    paging::Page,
    store::{
        Store,
        appearances::Filter,
        edits::{Key, Undone},
        examples::ExampleRow,
    },
};

/// Entries of one call, at the most.
const MOST_ENTRIES: usize = 1000;
/// Conflicts and duplicates that the statistics show, at the most.
const SHOWN: u32 = 20;
/// Images that are looked up together.
const CHUNK: usize = 500;

/// List examples.
pub async fn list(
    store: &Store,
    tenant: &Tenant,
    request: ListExamplesRequest,
) -> Result<ListExamplesResponse, Status> {
    let dataset = existing(store, tenant, &Name::parse("dataset", &request.dataset)?).await?;
    let page = Page::parse(request.page_size, &request.page_token)?;
    if !request.label.is_empty() {
        check_label("label", &request.label)?;
    }
    let split = request.split();
    if split as i32 != request.split {
        return Err(status::invalid("split", format!("{} is unknown", request.split)));
    }
    let filter = Filter {
        label: Some(request.label).filter(|label| !label.is_empty()),
        split: Some(split).filter(|split| *split != Split::Unspecified),
        duplicates: request.duplicates,
        conflicts: request.conflicts,
    };
    let after =
        match page.after.as_str() {
            "" => None,
            token => Some(ContentHash::from_hex(token).ok_or_else(|| {
                status::invalid("page_token", "not one of ours; give back next_page_token as it came")
            })?),
        };
    let rows = store.filtered(dataset.id, &filter, after, page.read()).await?;
    let mut examples = describe(store, dataset.id, rows).await?;
    let next_page_token = page.cut(&mut examples, |example| &example.hash);
    let next_page_token = Page::cut_by_bytes(&mut examples, next_page_token, |example| &example.hash);
    Ok(ListExamplesResponse { examples, next_page_token })
}

/// Give examples other labels.
pub async fn relabel(
    store: &Store,
    tenant: &Tenant,
    request: RelabelExamplesRequest,
) -> Result<RelabelExamplesResponse, Status> {
    let dataset = existing(store, tenant, &Name::parse("dataset", &request.dataset)?).await?;
    check_count("relabellings", request.relabellings.len())?;
    let entries = request.relabellings.into_iter().map(|entry| {
        let labels = check_labels("relabellings.labels", entry.labels, dataset.multi_label)?;
        Ok((key("relabellings.example", entry.example)?, labels))
    });
    let entries: Vec<Result<(Key, Vec<String>), Status>> = entries.collect();
    let good: Vec<(Key, Vec<String>)> = entries.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
    // Those that have waited for a label are placed as an import places them.
    let mut balance = Balance::default();
    let mut place = |hash: &ContentHash, labels: &[String]| balance.place(hash.as_bytes(), labels);
    let done = store.relabel(tenant, &dataset, &good, &mut place).await?;
    Ok(RelabelExamplesResponse { outcomes: outcomes("relabellings", entries, |(key, _)| key, done) })
}

/// Take examples out.
pub async fn remove(
    store: &Store,
    tenant: &Tenant,
    request: RemoveExamplesRequest,
) -> Result<RemoveExamplesResponse, Status> {
    let dataset = existing(store, tenant, &Name::parse("dataset", &request.dataset)?).await?;
    check_count("examples", request.examples.len())?;
    let entries: Vec<Result<Key, Status>> =
        request.examples.into_iter().map(|example| key("examples", Some(example))).collect();
    let good: Vec<Key> = entries.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
    let done = store.remove(tenant, &dataset, &good).await?;
    Ok(RemoveExamplesResponse { outcomes: outcomes("examples", entries, |key| key, done) })
}

/// Tell what a dataset holds and what is odd about it.
pub async fn stats(
    store: &Store,
    tenant: &Tenant,
    request: GetDatasetStatsRequest,
) -> Result<GetDatasetStatsResponse, Status> {
    let row = existing(store, tenant, &Name::parse("name", &request.name)?).await?;
    let id = row.id;
    let [duplicate_count, conflict_count, unlabelled_count] = store.oddities(id).await?;
    let shown = async |filter: Filter| describe(store, id, store.filtered(id, &filter, None, SHOWN).await?).await;
    Ok(GetDatasetStatsResponse {
        splits: Some(store.count_splits(id).await?),
        dataset: Some(store.describe(row).await?),
        unlabelled_count,
        duplicate_count,
        conflict_count,
        conflicts: shown(Filter { conflicts: true, ..Filter::default() }).await?,
        duplicates: shown(Filter { duplicates: true, ..Filter::default() }).await?,
    })
}

fn check_count(field: &str, count: usize) -> Result<(), Status> {
    match count {
        1..=MOST_ENTRIES => Ok(()),
        _ => Err(status::invalid(field, format!("{count} entries; 1 to {MOST_ENTRIES} are accepted"))),
    }
}

fn key(field: &str, example: Option<ExampleKey>) -> Result<Key, Status> {
    match example.and_then(|example| example.key) {
        Some(example_key::Key::Id(id)) => check_id(field, &id).map(|()| Key::Id(id)),
        Some(example_key::Key::Hash(hash)) => {
            let wrong = || {
                status::invalid(
                    field,
                    format!("`{}` is no hash; 64 hexadecimal digits are accepted", status::quoted(&hash)),
                )
            };
            ContentHash::from_hex(&hash).map(Key::Hash).ok_or_else(wrong)
        }
        None => Err(status::invalid(field, "missing; an id or a hash is accepted")),
    }
}

/// The outcomes of entries, each about the example `key`, of which the good ones were `done`.
fn outcomes<T>(
    field: &str,
    entries: Vec<Result<T, Status>>,
    key: impl Fn(&T) -> &Key,
    done: Vec<Result<u32, Undone>>,
) -> Vec<EditOutcome> {
    let mut done = done.into_iter();
    let outcomes = entries.iter().map(|entry| {
        let undone = match entry {
            Err(status) => status.clone(),
            Ok(entry) => match done.next().unwrap_or(Err(Undone::Unknown)) {
                Ok(examples) => return EditOutcome { examples, error: None },
                Err(Undone::Unknown) => {
                    let name = match key(entry) {
                        Key::Id(id) => id.clone(),
                        Key::Hash(hash) => hash.to_hex(),
                    };
                    status::not_found("example", &name, "ListExamples tells those there are, with ids and hashes")
                }
                Err(Undone::TooManyLabels(label)) => status::precondition(
                    field,
                    format!("`{}` is one label too many; a dataset has at most {MOST_LABELS}", status::quoted(&label)),
                ),
            },
        };
        EditOutcome { examples: 0, error: Some(status::to_item_error(&undone)) }
    });
    outcomes.collect()
}

/// Examples as the API tells them.
pub async fn describe(store: &Store, dataset: i64, rows: Vec<ExampleRow>) -> Result<Vec<StoredExample>, Status> {
    let mut examples = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(CHUNK) {
        let hashes: Vec<ContentHash> = chunk.iter().map(|row| row.hash).collect();
        let mut again = store.appearances(dataset, &hashes).await?;
        examples.extend(chunk.iter().map(|row| {
            let appearances = again.remove(&row.hash).unwrap_or_default().into_iter().map(|appearance| Appearance {
                id: appearance.id,
                conflict: appearance.labels.is_some(),
                labels: appearance.labels.unwrap_or_default(),
            });
            StoredExample {
                id: row.id.clone(),
                hash: row.hash.to_hex(),
                labels: row.labels.clone(),
                split: row.split as i32,
                appearances: appearances.collect(),
            }
        }));
    }
    Ok(examples)
}
