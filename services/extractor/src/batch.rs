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
    augment::Recipe,
    backbone::{
        buffer::Buffer,
        session::{Session, SessionError},
    },
    decode::{Decoded, Limits, Source, decode},
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

    /// Preprocess an image, or the view of it that `ticket` is for, into the next slot.
    pub fn add(&mut self, image: &Opened<'_>, ticket: Ticket, preprocessor: &mut Preprocessor) -> Result<(), Refused> {
        let start = self.tickets.len() * self.slot;
        let slot = &mut self.pixels.numbers_mut()[start..start + self.slot];
        match guarded(|| image.fill(ticket.view, preprocessor, slot)) {
            Ok(()) => self.tickets.push(ticket),
            Err(status) => return Err(Refused { ticket, status }),
        }
        Ok(())
    }
}

/// What came, ready to be preprocessed any number of times.
#[derive(Debug)]
pub enum Opened<'a> {
    /// Pixels, and how views of them are made, by the content that they are drawn by.
    Image(Decoded<'a>, Option<(&'a Recipe, [u8; 32])>),
    /// The network's input.
    Tensor(&'a [u8]),
}

/// The job, if its answer is still of use. One whose caller went away leaves no trace.
pub fn wanted(job: Job) -> Result<Option<Job>, Refused> {
    match job.obsolete(Instant::now()) {
        None => {}
        Some(Obsolete::Abandoned) => return Ok(None),
        Some(Obsolete::Late(by)) => {
            let status = status::too_late(format!("the deadline passed {by:.1?} before the image's turn came"));
            return Err(Refused { ticket: job.ticket, status });
        }
    }
    histogram!("graft_extractor_queue_seconds").record(job.pushed.elapsed().as_secs_f64());
    Ok(Some(job))
}

/// Decode what came, once for all its views.
pub fn open<'a>(input: &'a Input, recipe: Option<&'a Recipe>, limits: &Limits) -> Result<Opened<'a>, Status> {
    let views = || recipe.map(|recipe| (recipe, input.content()));
    guarded(|| match input {
        Input::Image(source) => {
            let image = decode(source, limits).map_err(|error| decode_status(&error))?;
            Ok(Opened::Image(image, views()))
        }
        Input::Fetched(bytes) => {
            let source = Source::Encoded(bytes.clone());
            let image = decode(&source, limits).map_err(|error| status::invalid("image.uri", error.to_string()))?;
            Ok(Opened::Image(image.into_owned(), views()))
        }
        Input::Tensor(bytes) => Ok(Opened::Tensor(bytes)),
    })
}

/// Decoders read hostile bytes; should one of them panic, its image is refused and nothing else is lost.
fn guarded<T>(work: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(status::internal("the decoder broke down on this image")))
}

impl Opened<'_> {
    /// Make the network's input of a view.
    fn fill(&self, view: u32, preprocessor: &mut Preprocessor, slot: &mut [f32]) -> Result<(), Status> {
        match self {
            Opened::Image(image, Some((recipe, content))) if view > 0 => {
                let view = recipe.view(content, view, image.width, image.height);
                preprocessor.run_view(image, &view, slot);
            }
            Opened::Image(image, _) => preprocessor.run(image, slot),
            Opened::Tensor(bytes) => copy_tensor(bytes, slot).map_err(|error| tensor_status(&error))?,
        }
        Ok(())
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
            recipe: None,
        };
        let late = job("late", Some(Instant::now())).await;
        let refused = wanted(late).unwrap_err();
        assert_eq!((refused.ticket.id(), refused.status.code()), ("late", Code::DeadlineExceeded));
        let in_time = job("in time", Some(Instant::now() + Duration::from_secs(60))).await;
        let in_time = wanted(in_time).unwrap().unwrap();
        let image = open(&in_time.input, None, &Limits::default()).unwrap();
        batch.add(&image, in_time.ticket, &mut preprocessor).unwrap();
        assert_eq!((batch.len(), batch.pixels().len()), (1, 48));
        let abandoned = job("abandoned", None).await;
        drop(stream);
        assert!(wanted(abandoned).unwrap().is_none(), "nobody waits for it");
    }
}
