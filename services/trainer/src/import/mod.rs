//! One import: labelled images in, an outcome for each out.
//!
//! What the dataset holds already is known by its content and not embedded; what another dataset holds is not embedded
//! again either. The rest goes to the extractor. Embeddings are gathered into segments, and an example is said to be
//! stored only once its segment and its row are on disk.
//!
//! # Layout
//! - [`intake`] checks one example.
//! - [`outcome`](mod@outcome) says what became of it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use graft_chassis::status;
use graft_proto::v1::{
    Example, ExampleOutcome, Image, ImportExamplesRequest, ImportExamplesResponse, Outcome, Priority,
    import_examples_request,
};
use metrics::counter;
use tokio::{sync::mpsc, time::Instant};
use tonic::{Status, Streaming};

use self::{
    intake::Checked,
    outcome::{count, outcome, rejected, same_image, too_many_labels},
};
use crate::{
    content::ContentHash,
    embed::{self, Answer, Embedding, Extractor, size},
    names::{MOST_LABELS, Tenant},
    store::{
        Store,
        datasets::{DatasetRow, ExampleRow},
        segments::NewExample,
    },
};

pub mod intake;
pub mod outcome;

/// Examples in one segment, at the most.
const SEGMENT: usize = 512;
/// How long an embedding may wait for its segment to fill: what a crash loses must be embedded again.
const WAIT: Duration = Duration::from_millis(500);
/// Images at the extractor, at the most, and their bytes.
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
    /// What waits to be written, and since when.
    ready: Vec<(NewExample, String)>,
    since: Option<Instant>,
    /// Images on their way, so that the same one is not embedded twice: the ids and labels of its later appearances.
    under_way: HashMap<ContentHash, Vec<(String, String)>>,
    /// How many later appearances there are in all.
    later: usize,
    /// The labels of the dataset, those of what is on its way included.
    labels: HashSet<String>,
}

/// An example whose embedding is waited for.
struct Waiting {
    id: String,
    row: ExampleRow,
    bytes: usize,
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
            ready: Vec::new(),
            since: None,
            under_way: HashMap::new(),
            later: 0,
            labels,
        }
    }

    /// Import everything that `requests` brings. What has arrived from the extractor is stored even if the rest fails.
    pub async fn run(mut self, requests: Streaming<ImportExamplesRequest>) {
        let ended = self.pump(requests).await;
        let flushed = self.flush().await;
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
            let due = self.since.map(|since| since + WAIT);
            tokio::select! {
                request = requests.message(), if more && self.backlog.is_empty() && self.later < LATER => match request? {
                    Some(request) => self.read(request).await?,
                    None => more = false,
                },
                answer = embed::next(&mut self.embedding), if !self.out.is_empty() => self.take(answer?).await?,
                () = sleep_until(due) => {}
            }
            if self.ready.len() >= SEGMENT || due.is_some_and(|due| due <= Instant::now()) {
                self.flush().await?;
            }
        }
    }

    async fn read(&mut self, request: ImportExamplesRequest) -> Result<(), Status> {
        let examples = match request.message {
            Some(import_examples_request::Message::Examples(examples)) => examples.examples,
            Some(import_examples_request::Message::Options(_)) => {
                return Err(status::invalid("options", "given twice; only the first message holds the options"));
            }
            None => return Err(status::invalid("examples", "a message without examples")),
        };
        let mut examples = examples.into_iter();
        loop {
            let chunk: Vec<Example> = examples.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            self.admit(chunk).await?;
            // A message may hold far more small images than a segment does.
            if self.ready.len() >= SEGMENT {
                self.flush().await?;
            }
        }
    }

    /// Take a few examples in: tell the outcomes that are known already, and keep the rest.
    async fn admit(&mut self, examples: Vec<Example>) -> Result<(), Status> {
        let mut outcomes = Vec::new();
        let mut checked = Vec::with_capacity(examples.len());
        for example in examples {
            match intake::check(example) {
                Ok(example) => checked.push(example),
                Err(rejected) => outcomes.push(*rejected),
            }
        }
        let hashes: Vec<ContentHash> = checked.iter().map(|example| example.row.hash).collect();
        let known = self.store.labels(self.dataset.id, &hashes).await?;
        let embedded = self.store.embedded(&self.tenant, &self.dataset.space, &hashes).await?;
        for Checked { id, row, image } in checked {
            let hash = row.hash;
            if let Some(later) = self.under_way.get_mut(&hash) {
                later.push((id, row.label));
                self.later += 1;
            } else if let Some(stored) = known.get(&hash) {
                outcomes.push(same_image(id, &row.label, stored));
            } else if !self.has_room_for(&row.label) {
                outcomes.push(too_many_labels(id, &row.label));
            } else if embedded.contains(&hash) {
                counter!("graft_trainer_embeddings_reused_total").increment(1);
                self.under_way.insert(hash, Vec::new());
                self.gather(NewExample { row, embedding: None }, id);
            } else {
                self.under_way.insert(hash, Vec::new());
                let bytes = size(&image);
                self.backlog.push_back((Waiting { id, row, bytes }, image));
            }
        }
        self.tell(outcomes).await
    }

    /// Whether the dataset may have this label: it has it already, or has not too many.
    fn has_room_for(&mut self, label: &str) -> bool {
        self.labels.contains(label) || (self.labels.len() < MOST_LABELS && self.labels.insert(label.to_owned()))
    }

    /// The image is not under way any more: its later appearances.
    fn settle(&mut self, hash: &ContentHash) -> Vec<(String, String)> {
        let later = self.under_way.remove(hash).unwrap_or_default();
        self.later -= later.len();
        later
    }

    /// Send as much of the backlog as may be out at once.
    async fn send_backlog(&mut self) -> Result<(), Status> {
        let mut images = Vec::new();
        while self.out.len() < IMAGES_OUT && (self.bytes_out < BYTES_OUT || self.out.is_empty()) {
            let Some((waiting, image)) = self.backlog.pop_front() else { break };
            self.sent += 1;
            let id = self.sent.to_string();
            self.bytes_out += waiting.bytes;
            self.out.insert(id.clone(), waiting);
            images.push((id, image));
        }
        if images.is_empty() {
            return Ok(());
        }
        counter!("graft_trainer_images_requested_total").increment(images.len() as u64);
        if self.embedding.is_none() {
            let DatasetRow { backbone, space, .. } = &self.dataset;
            self.embedding = Some(self.extractor.begin(backbone, space, Priority::Bulk, None).await?);
        }
        if let Some(embedding) = &self.embedding {
            // One message for each large image, many small ones in one.
            let mut message = Vec::new();
            let mut bytes = 0;
            for (id, image) in images {
                bytes += size(&image);
                message.push((id, image));
                if bytes > 1 << 20 {
                    embedding.send(std::mem::take(&mut message));
                    bytes = 0;
                }
            }
            if !message.is_empty() {
                embedding.send(message);
            }
        }
        Ok(())
    }

    async fn take(&mut self, answer: Option<Answer>) -> Result<(), Status> {
        match answer {
            None => return Err(self.extractor.ended_early()),
            Some(Answer::Embedded(rows)) => {
                counter!("graft_trainer_embeddings_received_total").increment(rows.len() as u64);
                for (id, embedding) in rows {
                    let Some(waiting) = self.out.remove(&id) else { continue };
                    self.bytes_out -= waiting.bytes;
                    if embedding.len() != self.dataset.dimension as usize {
                        return Err(status::internal("the extractor gave an embedding of another dimension"));
                    }
                    self.gather(NewExample { row: waiting.row, embedding: Some(embedding) }, waiting.id);
                }
            }
            Some(Answer::Refused(id, status)) => {
                let Some(waiting) = self.out.remove(&id) else { return Ok(()) };
                self.bytes_out -= waiting.bytes;
                let mut outcomes = vec![rejected(waiting.id, &status)];
                let later = self.settle(&waiting.row.hash);
                outcomes.extend(later.into_iter().map(|(id, _)| rejected(id, &status)));
                self.tell(outcomes).await?;
            }
        }
        Ok(())
    }

    fn gather(&mut self, example: NewExample, id: String) {
        self.ready.push((example, id));
        self.since.get_or_insert_with(Instant::now);
    }

    /// Write what is ready, then say so.
    async fn flush(&mut self) -> Result<(), Status> {
        self.since = None;
        let (examples, ids): (Vec<NewExample>, Vec<String>) = std::mem::take(&mut self.ready).into_iter().unzip();
        if examples.is_empty() {
            return Ok(());
        }
        let new = self.store.add(&self.tenant, &self.dataset, &examples).await?.ok_or_else(|| {
            status::precondition("dataset", format!("`{}` was deleted during the import", self.dataset.name))
        })?;
        let mut outcomes = Vec::with_capacity(ids.len());
        for ((example, id), new) in examples.into_iter().zip(ids).zip(new) {
            let ExampleRow { hash, label, .. } = example.row;
            let stored = match new {
                true => label.clone(),
                // Another import was faster; what it said is what counts.
                false => self.store.labels(self.dataset.id, &[hash]).await?.remove(&hash).unwrap_or(label.clone()),
            };
            outcomes.push(if new { outcome(id, Outcome::Stored) } else { same_image(id, &label, &stored) });
            let later = self.settle(&hash);
            outcomes.extend(later.into_iter().map(|(id, label)| same_image(id, &label, &stored)));
        }
        self.tell(outcomes).await
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

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
