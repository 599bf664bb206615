//! The memory that a lane writes preprocessed images to, and that its session reads.
//!
//! On a CPU it is plain memory that the session reads in place. On a GPU it is [bound](super::bound): the driver copies it
//! without the processor, while another lane's images are run.

use parking_lot::Mutex;

use super::{
    bound::{Bound, Memory},
    session::{Session, SessionError},
};

/// Room for a number of images, `[images]` of the network's shape.
#[derive(Debug)]
pub struct Buffer(Kind);

#[derive(Debug)]
enum Kind {
    Plain(Vec<f32>),
    Bound(Box<Bound>),
}

impl Buffer {
    /// Plain memory for `numbers` numbers.
    pub fn plain(numbers: usize) -> Buffer {
        Buffer(Kind::Plain(vec![0.0; numbers]))
    }

    /// Room for `images` images of `session`, which is the only one that can run them.
    pub fn of(session: &Session, images: usize) -> Result<Buffer, SessionError> {
        match session.gpu() {
            None => Ok(Buffer::plain(images * session.image_len())),
            Some(device) => Ok(Buffer(Kind::Bound(Box::new(Bound::new(session, images, Memory::Pinned(device))?)))),
        }
    }

    /// All of it.
    pub fn numbers(&self) -> &[f32] {
        match &self.0 {
            Kind::Plain(numbers) => numbers,
            Kind::Bound(bound) => bound.numbers(),
        }
    }

    /// All of it, to be written.
    pub fn numbers_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Kind::Plain(numbers) => numbers,
            Kind::Bound(bound) => bound.numbers_mut(),
        }
    }

    /// Run its first `images` images, and put their features into `features`, which becomes `[images, dimension]`.
    pub fn run(
        &mut self,
        session: &Mutex<Session>,
        images: usize,
        features: &mut Vec<f32>,
    ) -> Result<(), SessionError> {
        match &mut self.0 {
            Kind::Plain(numbers) => {
                let mut session = session.lock();
                let filled = images * session.image_len();
                session.run(&numbers[..filled], images, features)
            }
            Kind::Bound(bound) => bound.run(session, images, features),
        }
    }

    /// How many images are run where there are `images`: a GPU is given a few sizes only.
    pub fn sizes(&self) -> Vec<usize> {
        match &self.0 {
            Kind::Plain(_) => vec![1],
            Kind::Bound(bound) => bound.sizes(),
        }
    }
}
