//! One import: labelled images in, an outcome for each out.
//!
//! What the dataset holds already is known by its content and not embedded; what another dataset holds is not embedded
//! again either. The rest goes to the extractor. Embeddings are gathered into segments, and an example is said to be
//! stored only once its segment and its row are on disk.
//!
//! # Layout
//! - [`intake`] checks one example. [`balance`] chooses the splits that were not given.
//! - `admit` takes examples in, `traffic` is to the extractor and back, `write` stores what came, by way of `writes`.
//! - [`outcome`](mod@outcome) says what became of it.

use std::collections::{HashMap, HashSet, VecDeque};

use graft_proto::v1::{ExampleOutcome, Image, ImportExamplesRequest, ImportExamplesResponse};
use tokio::{sync::mpsc, time::Instant};
use tonic::{Status, Streaming};

use self::{balance::Balance, outcome::count, writes::Writes};
use crate::{
    content::ContentHash,
    embed::{self, Embedding, Extractor},
    names::Tenant,
    store::{Store, appearances::Appearance, datasets::DatasetRow, examples::ExampleRow},
};

mod admit;
pub mod balance;
pub mod intake;
pub mod outcome;
mod traffic;
mod write;
mod writes;

/// Images at the extractors, at the most, for each of them that there is, and their bytes.
const IMAGES_OUT: usize = 256;
const BYTES_OUT: usize = 64 << 20;
/// Examples that are looked up together, and outcomes in one message, at the most.
const CHUNK: usize = 256;
/// Further appearances of images that are on their way, at the most, before no more is read.
const LATER: usize = 4096;
/// Messages of outcomes that the caller has not read, at the most.
pub const OUTCOMES_OUT: usize = 16;

/// Where outcomes go.
pub type Outcomes = mpsc::Sender<Result<ImportExamplesResponse, Status>>;

/// An import under way.
pub struct Import {
    store: Store,
    extractor: Extractor,
    tenant: Tenant,
    dataset: DatasetRow,
    outcomes: Outcomes,
    embedding: Option<Embedding>,
    /// What is at the extractor, by the id it has there.
    out: HashMap<String, Waiting>,
    bytes_out: usize,
    sent: u64,
    /// Read and checked, but not sent to the extractor yet.
    backlog: VecDeque<(Waiting, Image)>,
    writes: Writes,
    /// Images on their way, so that the same one is not embedded twice, and how each came once more meanwhile.
    under_way: HashMap<ContentHash, Vec<ExampleRow>>,
    /// How many later appearances there are in all.
    later: usize,
    /// The labels of the dataset, those of what is on its way included.
    labels: HashSet<String>,
    /// Which splits were chosen so far.
    balance: Balance,
}

/// An example whose embedding is waited for.
struct Waiting {
    row: ExampleRow,
    bytes: usize,
    /// The embeddings that have come, of the image and of each view: all are stored together.
    came: Vec<Option<Vec<f32>>>,
}

impl Import {
    /// An import into `dataset`, which has `labels` already.
    pub fn new(
        store: Store,
        extractor: Extractor,
        tenant: Tenant,
        dataset: DatasetRow,
        labels: HashSet<String>,
        outcomes: Outcomes,
    ) -> Import {
        Import {
            store,
            extractor,
            tenant,
            dataset,
            outcomes,
            embedding: None,
            out: HashMap::new(),
            bytes_out: 0,
            sent: 0,
            backlog: VecDeque::new(),
            writes: Writes::default(),
            under_way: HashMap::new(),
            later: 0,
            labels,
            balance: Balance::default(),
        }
    }

    /// Import everything that `requests` brings. What has arrived from the extractor is stored even if the rest fails.
    pub async fn run(mut self, requests: Streaming<ImportExamplesRequest>) {
        let ended = self.pump(requests).await;
        let flushed = self.finish_writes().await;
        if let Err(status) = ended.and(flushed) {
            // Nobody reads any more: then there is nobody to tell.
            let _ = self.outcomes.send(Err(status)).await;
        }
    }

    async fn pump(&mut self, mut requests: Streaming<ImportExamplesRequest>) -> Result<(), Status> {
        let mut more = true;
        loop {
            self.send_backlog().await?;
            if !more && self.backlog.is_empty() && self.out.is_empty() {
                return Ok(());
            }
            let due = self.writes.due();
            tokio::select! {
                request = requests.message(), if more && self.backlog.is_empty() && self.later < LATER => match request? {
                    Some(request) => self.read(request).await?,
                    None => more = false,
                },
                answer = embed::next(&mut self.embedding), if !self.out.is_empty() => self.take(answer?).await?,
                done = self.writes.next() => self.written(done).await?,
                () = sleep_until(due) => {}
            }
            self.begin_writes(false).await?;
        }
    }

    async fn tell(&self, mut outcomes: Vec<ExampleOutcome>) -> Result<(), Status> {
        count(&outcomes);
        while !outcomes.is_empty() {
            let rest = outcomes.split_off(outcomes.len().min(CHUNK));
            let sent = self.outcomes.send(Ok(ImportExamplesResponse { outcomes })).await;
            sent.map_err(|_| Status::cancelled("the caller went away"))?;
            outcomes = rest;
        }
        Ok(())
    }
}

/// That an image, which the dataset holds as `stored`, came once more.
fn appearance(again: &ExampleRow, stored: &ExampleRow) -> Appearance {
    let labels = again.contradicts(stored).then(|| again.labels.clone());
    Appearance { hash: again.hash, id: again.id.clone(), labels }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
