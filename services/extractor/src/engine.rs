//! One backbone at work: a few lanes, each a thread with a session and a batch of its own.
//!
//! A lane takes waiting images, decodes and preprocesses them into its batch, runs the batch and answers. While one lane
//! runs, another decodes, so no core waits for another. On a CPU there is a bulk lane a core with a single-threaded session,
//! which runs its images one by one: nothing is handed over, nothing is waited for and little leaves the core's cache.
//! Interactive work has one lane to itself, whose session uses all the cores for the shortest answer; the operating
//! system shares the cores between it and the bulk lanes. On a GPU the lanes share one session, and take turns.
//! [`layout`](crate::layout) says how many of each there are.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use graft_chassis::status;
use graft_proto::v1::{Backbone, ExtractFailure, ExtractResponse, extract_response::Message};
use metrics::{Gauge, counter, gauge, histogram};
use parking_lot::Mutex;

use crate::{
    answers::Ticket,
    backbone::{
        buffer::Buffer,
        catalogue::Entry,
        detach::BatchSize,
        session::{Runtime, Session, SessionError},
    },
    batch::{Batch, Refused, open, wanted},
    decode::Limits,
    engines::budget::Reservation,
    layout::Layout,
    preprocess::Preprocessor,
    queue::{Job, Priority, Queue},
    rows::Rows,
};

/// A backbone with its queues and lanes. Dropping it ends the lanes once their queues are empty.
#[derive(Debug)]
pub struct Engine {
    /// What it serves, for its callers.
    pub description: Backbone,
    bulk: Arc<Queue>,
    interactive: Arc<Queue>,
    /// Its share of the memory for backbones.
    _memory: Reservation,
}

/// One lane's view of its engine.
struct Lane {
    name: String,
    dimension: usize,
    space: String,
    queue: Arc<Queue>,
    lanes: usize,
    max_batch: usize,
    limits: Limits,
    session: Arc<Mutex<Session>>,
    preprocessor: Preprocessor,
    batch: Batch,
    /// The features of the last run.
    features: Vec<f32>,
    /// Who waits for what is embedded and not answered yet, and the embeddings, `[done, dimension]`.
    done: Vec<Ticket>,
    embeddings: Vec<f32>,
}

impl Engine {
    /// Open the sessions, run each once (the first run is the slow one) and start the lanes. `memory` is held as long as
    /// the engine is there.
    pub fn start(
        runtime: &Runtime,
        entry: &Entry,
        layout: &Layout,
        memory: Reservation,
    ) -> Result<Engine, SessionError> {
        let begun = Instant::now();
        let name = &entry.description.name;
        let bulk = Arc::new(Queue::new(name, Priority::Bulk, layout.queue_bytes));
        let interactive = Arc::new(Queue::new(name, Priority::Interactive, layout.queue_bytes));

        let mut lanes = Vec::new();
        let open = |threads| {
            Session::open(runtime, &entry.network(), threads, &layout.execution).map(|s| Arc::new(Mutex::new(s)))
        };
        let sessions = (0..layout.bulk_sessions()).map(|_| open(layout.bulk_threads)).collect::<Result<Vec<_>, _>>()?;
        let description = tried(entry, sessions.first());
        for index in 0..layout.bulk_lanes {
            let session = sessions[index % sessions.len()].clone();
            lanes.push(Lane::new(format!("bulk-{index}"), &bulk, layout.bulk_lanes, session, entry, layout)?);
        }
        let session = open(layout.interactive_threads)?;
        lanes.push(Lane::new("interactive".into(), &interactive, 1, session, entry, layout)?);
        for lane in &mut lanes {
            lane.warm_up()?;
        }
        for lane in lanes {
            thread::Builder::new()
                .name(lane.name.clone())
                .spawn(move || lane.work())
                .map_err(|error| SessionError::Thread(error.to_string()))?;
        }
        tracing::info!(
            backbone = entry.description.name,
            space = entry.description.space,
            provider = entry.description.provider,
            lanes = layout.bulk_lanes,
            threads = layout.bulk_threads,
            batch = layout.bulk_batch,
            seconds = begun.elapsed().as_secs_f64(),
            "backbone ready"
        );
        loaded(&description).increment(1.0);
        Ok(Engine { description, bulk, interactive, _memory: memory })
    }

    /// Whether no image waits or is worked on.
    pub fn is_idle(&self) -> bool {
        self.bulk.is_idle() && self.interactive.is_idle()
    }

    /// Where work of this class waits.
    pub fn queue(&self, priority: Priority) -> &Arc<Queue> {
        match priority {
            Priority::Bulk => &self.bulk,
            Priority::Interactive => &self.interactive,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.bulk.close();
        self.interactive.close();
        loaded(&self.description).decrement(1.0);
    }
}

impl Lane {
    fn new(
        name: String,
        queue: &Arc<Queue>,
        lanes: usize,
        session: Arc<Mutex<Session>>,
        entry: &Entry,
        layout: &Layout,
    ) -> Result<Lane, SessionError> {
        let preprocessor = Preprocessor::new(&entry.preprocessing);
        let pixels = Buffer::of(&session.lock(), layout.images_a_run(queue.priority()))?;
        let batch = Batch::new(pixels, preprocessor.output_len());
        Ok(Lane {
            name,
            dimension: entry.description.dimension as usize,
            space: entry.description.space.clone(),
            queue: queue.clone(),
            lanes,
            max_batch: layout.max_batch,
            limits: layout.limits,
            session,
            preprocessor,
            batch,
            features: Vec::new(),
            done: Vec::new(),
            embeddings: Vec::new(),
        })
    }

    fn warm_up(&mut self) -> Result<(), SessionError> {
        self.batch.warm_up(&self.session, &mut self.features)
    }

    fn work(mut self) {
        while let Some(jobs) = self.queue.take(self.max_batch, self.lanes) {
            for job in jobs {
                if let Err(refused) = self.take(job) {
                    refuse(refused);
                }
            }
            if !self.batch.is_empty() {
                self.run();
            }
            self.answer();
        }
    }

    /// Decode the image of a job once, and put it and its views into the batch, running that whenever it is full.
    fn take(&mut self, job: Job) -> Result<(), Refused> {
        let Some(Job { input, ticket, recipe, permit: _permit, .. }) = wanted(job)? else { return Ok(()) };
        let begun = Instant::now();
        let image = match open(&input, recipe.as_deref(), &self.limits) {
            Ok(image) => image,
            Err(status) => return Err(Refused { ticket, status }),
        };
        let mut took = begun.elapsed();
        for ticket in ticket.part(recipe.as_deref()) {
            let begun = Instant::now();
            let added = self.batch.add(&image, ticket, &mut self.preprocessor);
            took += begun.elapsed();
            added?;
            if self.batch.is_full() {
                self.run();
            }
            // An image with many views is not to make a message that is too large.
            if self.done.len() >= self.max_batch {
                self.answer();
            }
        }
        histogram!("graft_extractor_preprocess_seconds").record(took.as_secs_f64());
        Ok(())
    }

    fn run(&mut self) {
        let images = self.batch.len();
        let begun = Instant::now();
        let outcome = self.batch.run(&self.session, &mut self.features);
        self.record(images, begun.elapsed());
        let tickets = self.batch.take_tickets();
        match outcome {
            Ok(()) => {
                self.embeddings.extend_from_slice(&self.features);
                self.done.extend(tickets);
            }
            Err(error) => {
                let status = status::internal(format!("the backbone could not be run: {error}"));
                for ticket in tickets {
                    refuse(Refused { ticket, status: status.clone() });
                }
            }
        }
    }

    fn record(&self, images: usize, took: Duration) {
        let priority = self.queue.priority().name();
        histogram!("graft_extractor_run_seconds", "priority" => priority).record(took.as_secs_f64());
        histogram!("graft_extractor_batch_images", "priority" => priority).record(images as f64);
    }

    /// Answer each stream that has images among those that are done with one message. Images of one stream stand beside each
    /// other in the queue, so neighbours of the same stream are what there is to find.
    fn answer(&mut self) {
        let images = self.done.iter().filter(|ticket| ticket.view == 0).count();
        counter!("graft_extractor_images_total", "outcome" => "embedded").increment(images as u64);
        counter!("graft_extractor_views_total").increment((self.done.len() - images) as u64);
        let mut rows = Rows::default();
        let embeddings = self.embeddings.chunks_exact(self.dimension.max(1));
        for (mut ticket, embedding) in self.done.drain(..).zip(embeddings) {
            if !rows.takes(&ticket) {
                rows.send(&self.space);
            }
            ticket.keep(embedding);
            rows.push(ticket, embedding);
        }
        rows.send(&self.space);
        self.embeddings.clear();
    }
}

/// The metric that shows what runs a backbone: how many engines of it are loaded, more than one only while it is replaced.
fn loaded(description: &Backbone) -> Gauge {
    let Backbone { name, provider, precision, .. } = description.clone();
    gauge!("graft_extractor_backbone_info", "backbone" => name, "provider" => provider, "precision" => precision)
}

/// The description, with what opening the sessions showed of batches.
fn tried(entry: &Entry, session: Option<&Arc<Mutex<Session>>>) -> Backbone {
    let mut description = entry.description.clone();
    let batch = session.map_or(entry.batch, |session| session.lock().batch());
    if let Some(detachment) = description.detachment.as_mut().filter(|_| batch != entry.batch) {
        detachment.max_batch = u32::from(batch == BatchSize::One);
        detachment.batch_reason = match batch {
            BatchSize::One => "two images together do not give what each gives alone".into(),
            _ => "two images together give what each gives alone".into(),
        };
    }
    description
}

/// Answer for an image that is not embedded, once for all its views.
pub fn refuse(refused: Refused) {
    let Refused { ticket, status } = refused;
    if !ticket.refuse() {
        return;
    }
    counter!("graft_extractor_images_total", "outcome" => "refused").increment(1);
    let failure = ExtractFailure { id: ticket.id().to_owned(), error: Some(status::to_item_error(&status)) };
    let answers = ticket.answers().clone();
    answers.settle(ExtractResponse { message: Some(Message::Failure(failure)) }, vec![ticket]);
}
