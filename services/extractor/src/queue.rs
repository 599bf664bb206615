//! The images that wait to be embedded, in two classes.
//!
//! The queue itself has no limit: whoever pushes holds a [`Permit`] for the bytes of the image, and those are limited.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::{Gauge, gauge};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{answers::Ticket, augment::Recipe, input::Input};

/// Bytes behind one permit of a queue: a semaphore counts in 32 bits.
const PERMIT_BYTES: usize = 1024;

/// The two classes of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Throughput matters: may wait behind other work.
    Bulk,
    /// Somebody is waiting: has a session of its own, which bulk work never holds.
    Interactive,
}

impl Priority {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Priority::Bulk => "bulk",
            Priority::Interactive => "interactive",
        }
    }
}

/// The right to have an image of some size in the queue. Dropping it gives the right back.
pub type Permit = OwnedSemaphorePermit;

/// One image that waits.
#[derive(Debug)]
pub struct Job {
    /// The image.
    pub input: Input,
    /// Where its answer goes.
    pub ticket: Ticket,
    /// When its answer is of no more use.
    pub deadline: Option<Instant>,
    /// When it was pushed, for the metric of waiting.
    pub pushed: Instant,
    /// Its share of the queue, given back when the job is done.
    pub permit: Permit,
    /// How views of it are made, if it has any.
    pub recipe: Option<Arc<Recipe>>,
}

/// The images of one class that wait for one backbone. Lanes take from it; each blocks while it is empty.
#[derive(Debug)]
pub struct Queue {
    priority: Priority,
    /// How many wait, for the metric.
    depth: Gauge,
    bytes: Arc<Semaphore>,
    capacity: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// An empty queue of one class of work for `backbone`, for images of at most `bytes` in all.
    pub fn new(backbone: &str, priority: Priority, bytes: usize) -> Queue {
        let backbone = backbone.to_owned();
        let depth = gauge!("graft_extractor_queue_depth_images", "backbone" => backbone, "priority" => priority.name());
        let capacity = (bytes / PERMIT_BYTES).clamp(1, u32::MAX as usize);
        Queue {
            priority,
            depth,
            bytes: Arc::new(Semaphore::new(capacity)),
            capacity,
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The class of work that waits here.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Wait until there is room for an image of `bytes`. `None` once the queue is closed.
    pub async fn room(&self, bytes: usize) -> Option<Permit> {
        // An image larger than the whole queue passes alone.
        let permits = bytes.div_ceil(PERMIT_BYTES).clamp(1, self.capacity);
        self.bytes.clone().acquire_many_owned(permits as u32).await.ok()
    }

    /// Whether no image waits or is worked on: each has a permit until it is answered.
    pub fn is_idle(&self) -> bool {
        self.bytes.available_permits() == self.capacity
    }

    /// Put a job at the end.
    pub fn push(&self, job: Job) {
        let mut waiting = self.waiting.lock();
        waiting.jobs.push_back(job);
        self.depth.set(waiting.jobs.len() as f64);
        self.changed.notify_one();
    }

    /// Take the oldest jobs, at most `most`, and no more than an equal share for each of `lanes`, so that a short
    /// queue is worked on by all of them at once. Waits for the first; `None` once the queue is closed and empty.
    pub fn take(&self, most: usize, lanes: usize) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            self.changed.wait(&mut waiting);
        }
        let share = waiting.jobs.len().div_ceil(lanes.max(1)).min(most.max(1));
        let taken = waiting.jobs.drain(..share).collect();
        self.depth.set(waiting.jobs.len() as f64);
        if !waiting.jobs.is_empty() {
            self.changed.notify_one();
        }
        Some(taken)
    }

    /// Let nobody push any more; who waits for jobs gets `None` once the last is taken.
    pub fn close(&self) {
        self.bytes.close();
        self.waiting.lock().closed = true;
        self.changed.notify_all();
    }
}

impl Job {
    /// Why the job need not be done any more, if so.
    pub fn obsolete(&self, now: Instant) -> Option<Obsolete> {
        if self.ticket.abandoned() {
            return Some(Obsolete::Abandoned);
        }
        self.deadline.filter(|deadline| *deadline <= now).map(|deadline| Obsolete::Late(now - deadline))
    }
}

/// Why a job need not be done any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obsolete {
    /// Its caller went away.
    Abandoned,
    /// Its deadline passed, this long ago.
    Late(Duration),
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{answers::Answers, decode::Source};

    async fn job(queue: &Queue, answers: &Answers, id: &str) -> Job {
        Job {
            input: Input::Image(Source::Encoded(Bytes::new())),
            ticket: answers.ticket(id.to_owned()).await.unwrap(),
            deadline: None,
            pushed: Instant::now(),
            permit: queue.room(1).await.unwrap(),
            recipe: None,
        }
    }

    #[tokio::test]
    async fn a_short_queue_is_shared_and_a_long_one_is_taken_in_batches() {
        let queue = Queue::new("net", Priority::Bulk, 1 << 20);
        let (answers, _stream) = Answers::new(64, graft_proto::v1::DType::F32);
        for id in 0..10 {
            queue.push(job(&queue, &answers, &id.to_string()).await);
        }
        assert_eq!(queue.take(8, 2).unwrap().len(), 5);
        assert_eq!(queue.take(2, 1).unwrap().len(), 2);
        assert_eq!(queue.take(8, 1).unwrap().len(), 3);
        queue.close();
        assert!(queue.take(8, 1).is_none());
        assert!(queue.room(1).await.is_none());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_told_apart() {
        let queue = Queue::new("net", Priority::Interactive, 1 << 20);
        let (answers, stream) = Answers::new(64, graft_proto::v1::DType::F32);
        let mut job = job(&queue, &answers, "a").await;
        let now = Instant::now();
        assert_eq!(job.obsolete(now), None);
        job.deadline = Some(now + Duration::from_secs(1));
        assert_eq!(job.obsolete(now), None);
        job.deadline = Some(now);
        assert_eq!(job.obsolete(now + Duration::from_millis(5)), Some(Obsolete::Late(Duration::from_millis(5))));
        drop(stream);
        assert_eq!(job.obsolete(now), Some(Obsolete::Abandoned), "whoever went away is told nothing");
    }

    #[tokio::test]
    async fn room_is_bounded_and_comes_back() {
        let queue = Queue::new("net", Priority::Bulk, 4 * PERMIT_BYTES);
        assert!(queue.is_idle());
        let whole = queue.room(100 * PERMIT_BYTES).await.unwrap();
        assert!(!queue.is_idle());
        assert!(tokio::time::timeout(Duration::from_millis(20), queue.room(1)).await.is_err());
        drop(whole);
        assert!(queue.room(1).await.is_some());
    }
}
