//! One import: labelled images in, an outcome for each out.
//!
//! What the dataset holds already is known by its content and not embedded; what another dataset holds is not embedded
//! again either. The rest goes to the extractor. Embeddings are gathered into segments, and an example is said to be
//! stored only once its segment and its row are on disk.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use graft_chassis::status;
use graft_proto::v1::{
    Example, ExampleOutcome, Image, ImportExamplesRequest, ImportExamplesResponse, Outcome, Priority, Split,
    import_examples_request,
};
use metrics::counter;
use tokio::{sync::mpsc, time::Instant};
use tonic::{Status, Streaming};

use crate::{
    content::ContentHash,
    embed::{Answer, Embedding, Extractor},
    fit::split::by_content,
    names::{Tenant, check_id, check_label},
    store::{
        Store,
        datasets::{DatasetRow, ExampleRow},
        segments::NewExample,
    },
};

/// Examples in one segment, at the most.
const SEGMENT: usize = 512;
/// How long an embedding may wait for its segment to fill: what a crash loses must be embedded again.
const WAIT: Duration = Duration::from_millis(500);
/// Images at the extractor, at the most, and their bytes.
const IMAGES_OUT: usize = 256;
const BYTES_OUT: usize = 64 << 20;
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
    /// Images on their way, so that the same one is not embedded twice, with those that came after.
    under_way: HashMap<ContentHash, Twin>,
}

/// An example whose embedding is waited for.
struct Waiting {
    id: String,
    row: ExampleRow,
    bytes: usize,
}

/// The label of an image on its way, and the same image's later appearances in the stream.
struct Twin {
    label: String,
    later: Vec<(String, String)>,
}

impl Import {
    /// An import into `dataset`.
    pub fn new(store: Store, extractor: Extractor, tenant: Tenant, dataset: DatasetRow, outcomes: Outcomes) -> Import {
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
                request = requests.message(), if more && self.backlog.is_empty() => match request? {
                    Some(request) => self.read(request).await?,
                    None => more = false,
                },
                answer = next(&mut self.embedding), if !self.out.is_empty() => self.take(answer?).await?,
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
        let mut outcomes = Vec::new();
        for example in examples {
            let id = example.id.clone();
            match self.admit(example).await {
                Ok(Some(outcome)) => outcomes.push(outcome),
                Ok(None) => {}
                // A fault of the store ends the import; a fault of the example only rejects it.
                Err(status) if status.code() == tonic::Code::Internal => return Err(status),
                Err(status) => outcomes.push(rejected(id, &status)),
            }
        }
        self.tell(outcomes).await
    }

    /// Take an example in. Its outcome, if that is known already.
    async fn admit(&mut self, example: Example) -> Result<Option<ExampleOutcome>, Status> {
        let Example { id, label, split, image } = example;
        check_id("examples.id", &id)?;
        check_label("examples.label", &label)?;
        let split = Split::try_from(split).map_err(|_| {
            status::invalid(
                "examples.split",
                format!("{split} is unknown; SPLIT_TRAIN, SPLIT_VALIDATION and SPLIT_TEST are accepted"),
            )
        })?;
        let missing = || status::invalid("examples.image", "missing; encoded bytes or raw pixels are accepted");
        let image = image.ok_or_else(missing)?;
        let hash = ContentHash::of(&image).ok_or_else(missing)?;
        if let Some(twin) = self.under_way.get_mut(&hash) {
            twin.later.push((id, label));
            return Ok(None);
        }
        if let Some(stored) = self.store.label(self.dataset.id, &hash).await? {
            return Ok(Some(same_image(id, &label, &stored)));
        }
        let split = if split == Split::Unspecified { by_content(hash.as_bytes()) } else { split };
        self.under_way.insert(hash, Twin { label: label.clone(), later: Vec::new() });
        let row = ExampleRow { hash, label, split };
        if self.store.has_embedding(&self.tenant, &self.dataset.space, &hash).await? {
            counter!("graft_trainer_embeddings_reused_total").increment(1);
            self.gather(NewExample { row, embedding: None }, id);
        } else {
            let bytes = size(&image);
            self.backlog.push_back((Waiting { id, row, bytes }, image));
        }
        Ok(None)
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
            None => {
                return Err(status::unavailable("the extractor ended the stream before it had answered everything"));
            }
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
                let later = self.under_way.remove(&waiting.row.hash).map_or(vec![], |twin| twin.later);
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
                // Another import was faster.
                false => self.store.label(self.dataset.id, &hash).await?.unwrap_or_else(|| label.clone()),
            };
            outcomes.push(if new { outcome(id, Outcome::Stored) } else { same_image(id, &label, &stored) });
            let later = self.under_way.remove(&hash).map_or(vec![], |twin| twin.later);
            outcomes.extend(later.into_iter().map(|(id, label)| same_image(id, &label, &stored)));
        }
        self.tell(outcomes).await
    }

    async fn tell(&self, outcomes: Vec<ExampleOutcome>) -> Result<(), Status> {
        if outcomes.is_empty() {
            return Ok(());
        }
        count(&outcomes);
        let sent = self.outcomes.send(Ok(ImportExamplesResponse { outcomes })).await;
        sent.map_err(|_| Status::cancelled("the caller went away"))
    }
}

async fn next(embedding: &mut Option<Embedding>) -> Result<Option<Answer>, Status> {
    match embedding {
        Some(embedding) => embedding.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn size(image: &Image) -> usize {
    use graft_proto::v1::image::Source;
    match &image.source {
        Some(Source::Encoded(bytes)) => bytes.len(),
        Some(Source::Pixels(pixels)) => pixels.data.len(),
        None => 0,
    }
}

fn count(outcomes: &[ExampleOutcome]) {
    for outcome in outcomes {
        let name = match outcome.outcome() {
            Outcome::Stored => "stored",
            Outcome::AlreadyKnown => "already_known",
            _ => "rejected",
        };
        counter!("graft_trainer_examples_total", "outcome" => name).increment(1);
    }
}

fn outcome(id: String, outcome: Outcome) -> ExampleOutcome {
    ExampleOutcome { id, outcome: outcome as i32, error: None }
}

fn rejected(id: String, status: &Status) -> ExampleOutcome {
    ExampleOutcome { id, outcome: Outcome::Rejected as i32, error: Some(status::to_item_error(status)) }
}

/// The outcome of an image that the dataset has already, with the label `stored`.
fn same_image(id: String, label: &str, stored: &str) -> ExampleOutcome {
    if label == stored {
        return outcome(id, Outcome::AlreadyKnown);
    }
    let message =
        format!("`{label}` was given, but the dataset holds this very image as `{stored}`; one image has one label");
    rejected(id, &status::precondition("examples.label", message))
}
