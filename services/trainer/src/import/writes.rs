//! What is on its way to the disk: embeddings in files, a segment each, then the rows of several segments in one transaction.
//!
//! Rows lie where their hashes are, all over the database's pages, and a transaction writes each page that it changes: the more
//! rows come together, the fewer pages are written again and again. Files are written meanwhile, so that few embeddings are in
//! memory.

use std::{collections::VecDeque, future::pending, time::Duration};

use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};

use crate::{
    error::StoreError,
    names::Tenant,
    store::{
        Store,
        add::{Added, Filed},
        datasets::DatasetRow,
        segments::NewExample,
    },
};

/// Examples, and bytes of embeddings, in a segment, at about the most.
const SEGMENT: usize = 4096;
const SEGMENT_BYTES: usize = 10 << 20;
/// Segments whose files are written at once.
const FILES: usize = 2;
/// Examples that are counted in one transaction, at about the most; and those that wait for one, before no more is read.
const TOGETHER: usize = 16_384;
const MOST_FILED: usize = 2 * TOGETHER;
/// How long an embedding may wait for others: what a crash loses must be embedded again.
const WAIT: Duration = Duration::from_millis(500);

/// What was counted in one transaction, and what became of it: see [`Store::count`].
pub(super) type Counted = (Vec<Filed>, Result<Option<Vec<Added>>, StoreError>);

/// What was done.
pub(super) enum Done {
    /// A file was written, or could not be.
    Filed(Result<Filed, StoreError>),
    /// A transaction has ended.
    Counted(Counted),
}

/// What is on its way to the disk.
#[derive(Default)]
pub(super) struct Writes {
    /// Embeddings that wait for their segment to fill, and what they take.
    ready: Vec<NewExample>,
    ready_bytes: usize,
    /// Since when something waits.
    since: Option<Instant>,
    /// Files that are being written, in the order in which their examples came.
    filing: VecDeque<JoinHandle<Result<Filed, StoreError>>>,
    /// What waits for a transaction.
    filed: Vec<Filed>,
    counting: Option<JoinHandle<Counted>>,
}

impl Writes {
    /// Take an example that is to be stored.
    pub(super) fn gather(&mut self, example: NewExample) {
        self.ready_bytes += example.bytes();
        self.ready.push(example);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether what is ready makes a segment.
    pub(super) fn fills_a_segment(&self) -> bool {
        self.ready.len() >= SEGMENT || self.ready_bytes >= SEGMENT_BYTES
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.filing.is_empty() && self.filed.is_empty() && self.counting.is_none()
    }

    /// Whether something has waited for long enough.
    pub(super) fn is_due(&self) -> bool {
        self.since.is_some_and(|since| since + WAIT <= Instant::now())
    }

    /// When something has that can be begun then.
    pub(super) fn due(&self) -> Option<Instant> {
        let waits = !self.ready.is_empty() || (!self.filed.is_empty() && self.counting.is_none());
        self.since.filter(|_| waits).map(|since| since + WAIT)
    }

    /// Whether what is ready must wait for its file, until something else is done.
    pub(super) fn is_full(&self) -> bool {
        self.filing.len() >= FILES || self.filed_rows() >= MOST_FILED
    }

    /// Begin to write what is ready to a file.
    pub(super) fn file(&mut self, store: &Store, dataset: &DatasetRow) {
        self.ready_bytes = 0;
        let (store, dataset, examples) = (store.clone(), dataset.clone(), std::mem::take(&mut self.ready));
        self.filing.push_back(tokio::spawn(async move { store.file(&dataset, &examples).await }));
    }

    /// Whether there is something ready for a file.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begin to count what is filed, unless something is being counted; if it is much, or `now`.
    pub(super) fn count(&mut self, now: bool, store: &Store, tenant: &Tenant, dataset: &DatasetRow) {
        if self.counting.is_some() || self.filed.is_empty() || !(now || self.filed_rows() >= TOGETHER) {
            return;
        }
        let (store, tenant, dataset) = (store.clone(), tenant.clone(), dataset.clone());
        let filed = std::mem::take(&mut self.filed);
        let waits = !self.ready.is_empty() || !self.filing.is_empty();
        self.since = waits.then(Instant::now);
        self.counting = Some(tokio::spawn(async move {
            let counted = store.count(&tenant, &dataset, &filed).await;
            (filed, counted)
        }));
    }

    /// What is done next, of what was begun.
    pub(super) async fn next(&mut self) -> Result<Done, JoinError> {
        tokio::select! {
            filed = first(&mut self.filing) => {
                self.filing.pop_front();
                Ok(Done::Filed(filed?))
            }
            counted = ended(&mut self.counting) => {
                self.counting = None;
                Ok(Done::Counted(counted?))
            }
        }
    }

    /// A file that was written waits to be counted.
    pub(super) fn filed(&mut self, filed: Filed) {
        self.filed.push(filed);
    }

    fn filed_rows(&self) -> usize {
        self.filed.iter().map(Filed::count).sum()
    }
}

async fn first<T>(handles: &mut VecDeque<JoinHandle<T>>) -> Result<T, JoinError> {
    match handles.front_mut() {
        Some(handle) => handle.await,
        None => pending().await,
    }
}

async fn ended<T>(handle: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match handle {
        Some(handle) => handle.await,
        None => pending().await,
    }
}
