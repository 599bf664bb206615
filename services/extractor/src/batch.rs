//! A batch on its way: decoded and preprocessed image by image, straight into the tensor that will be run.
//!
//! One thread owns the batch that it fills, so that no slot needs a lock and no image is copied. Several threads fill
//! batches at once, while others run theirs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use graft_chassis::status;
use metrics::histogram;
use parking_lot::Mutex;
use tonic::Status;

use crate::{
    answers::Ticket,
    backbone::{
        buffer::Buffer,
        session::{Session, SessionError},
    },
    decode::{Limits, Source, decode},
    error::{decode_status, tensor_status},
    input::{Input, copy_tensor},
    preprocess::Preprocessor,
    queue::{Job, Obsolete},
};

/// The tensor of one thread: `capacity` slots of `[3, height, width]`, RGB, normalised.
#[derive(Debug)]
pub struct Batch {
    pixels: Buffer,
    capacity: usize,
    slot: usize,
    /// Who waits for each filled slot, in their order.
    tickets: Vec<Ticket>,
}

/// An image that will not be run, and why.
#[derive(Debug)]
pub struct Refused {
    /// Who waits for it.
    pub ticket: Ticket,
    /// Why.
    pub status: Status,
}

impl Batch {
    /// A batch of images of `slot` numbers each, as many as `pixels` has room for.
    pub fn new(pixels: Buffer, slot: usize) -> Batch {
        let capacity = pixels.numbers().len() / slot.max(1);
        Batch { pixels, capacity, slot, tickets: Vec::with_capacity(capacity) }
    }

    /// How many images it holds.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether no other image fits.
    pub fn is_full(&self) -> bool {
        self.tickets.len() >= self.capacity
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// The filled part of the tensor: `[len, 3, height, width]`.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels.numbers()[..self.tickets.len() * self.slot]
    }

    /// Run the filled part: the features become `[len, dimension]`.
    pub fn run(&mut self, session: &Mutex<Session>, features: &mut Vec<f32>) -> Result<(), SessionError> {
        self.pixels.run(session, self.tickets.len(), features)
    }

    /// Run every number of images once, whatever is in the tensor: the first run is the slow one.
    pub fn warm_up(&mut self, session: &Mutex<Session>, features: &mut Vec<f32>) -> Result<(), SessionError> {
        self.pixels.sizes().into_iter().try_for_each(|images| self.pixels.run(session, images, features))
    }

    /// Empty it, giving out who waits for each slot.
    pub fn take_tickets(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.tickets)
    }

    /// Decode and preprocess the image of `job` into the next slot. A job whose caller went away leaves no trace.
    pub fn add(&mut self, job: Job, preprocessor: &mut Preprocessor, limits: &Limits) -> Result<(), Refused> {
        match job.obsolete(Instant::now()) {
            None => {}
            Some(Obsolete::Abandoned) => return Ok(()),
            Some(Obsolete::Late(by)) => {
                let status = status::too_late(format!("the deadline passed {by:.1?} before the image's turn came"));
                return Err(Refused { ticket: job.ticket, status });
            }
        }
        histogram!("graft_extractor_queue_seconds").record(job.pushed.elapsed().as_secs_f64());
        let begun = Instant::now();
        let start = self.tickets.len() * self.slot;
        let slot = &mut self.pixels.numbers_mut()[start..start + self.slot];
        // Decoders read hostile bytes; should one of them panic, its image is refused and nothing else is lost.
        let filled = catch_unwind(AssertUnwindSafe(|| fill(&job.input, preprocessor, limits, slot)))
            .unwrap_or_else(|_| Err(status::internal("the decoder broke down on this image")));
        histogram!("graft_extractor_preprocess_seconds").record(begun.elapsed().as_secs_f64());
        match filled {
            Ok(()) => self.tickets.push(job.ticket),
            Err(status) => return Err(Refused { ticket: job.ticket, status }),
        }
        Ok(())
    }
}

/// Make the network's input of what came.
fn fill(input: &Input, preprocessor: &mut Preprocessor, limits: &Limits, slot: &mut [f32]) -> Result<(), Status> {
    match input {
        Input::Image(source) => {
            let image = decode(source, limits).map_err(|error| decode_status(&error))?;
            preprocessor.run(&image, slot);
            Ok(())
        }
        Input::Fetched(bytes) => {
            let source = Source::Encoded(bytes.clone());
            let image = decode(&source, limits).map_err(|error| status::invalid("image.uri", error.to_string()))?;
            preprocessor.run(&image, slot);
            Ok(())
        }
        Input::Tensor(bytes) => copy_tensor(bytes, slot).map_err(|error| tensor_status(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use graft_proto::v1::DType;
    use tonic::Code;

    use super::*;
    use crate::{
        answers::Answers,
        decode::RawPixels,
        preprocessing::{Channels, Layout, Preprocessing, Resize, Scale, Size},
        queue::{Priority, Queue},
        resize::Interpolation,
    };

    #[tokio::test]
    async fn what_is_too_late_or_abandoned_is_dropped_before_it_is_run() {
        let preprocessing = Preprocessing {
            resize: Resize::Shorter(4),
            interpolation: Interpolation::Nearest,
            crop: Size { height: 4, width: 4 },
            scale: Scale::Unit,
            mean: [0.5; 3],
            std: [0.5; 3],
            channels: Channels::Rgb,
            layout: Layout::Nchw,
        };
        let mut preprocessor = Preprocessor::new(&preprocessing);
        let slot = preprocessor.output_len();
        let mut batch = Batch::new(Buffer::plain(2 * slot), slot);
        let queue = Queue::new("net", Priority::Bulk, 1 << 20);
        let (answers, stream) = Answers::new(8, DType::F32);
        let job = async |id: &str, deadline| Job {
            input: Input::Image(Source::Pixels(RawPixels {
                height: 2,
                width: 2,
                channels: 1,
                data: vec![7; 4].into(),
            })),
            ticket: answers.ticket(id.into()).await.unwrap(),
            deadline,
            pushed: Instant::now(),
            permit: queue.room(1).await.unwrap(),
        };
        let late = job("late", Some(Instant::now())).await;
        let refused = batch.add(late, &mut preprocessor, &Limits::default()).unwrap_err();
        assert_eq!((refused.ticket.id.as_str(), refused.status.code()), ("late", Code::DeadlineExceeded));
        assert!(batch.is_empty());
        let in_time = job("in time", Some(Instant::now() + Duration::from_secs(60))).await;
        batch.add(in_time, &mut preprocessor, &Limits::default()).unwrap();
        assert_eq!((batch.len(), batch.pixels().len()), (1, 48));
        let abandoned = job("abandoned", None).await;
        drop(stream);
        batch.add(abandoned, &mut preprocessor, &Limits::default()).unwrap();
        assert_eq!(batch.len(), 1, "nobody waits for it");
    }
}
