//! One thread's share of the work without a wire: decode, preprocess and run, nothing sent anywhere.

use anyhow::Result;
use graft_extractor::{
    backbone::{
        catalogue::Entry,
        session::{Provider, Runtime, Session},
    },
    decode::{Limits, Source, decode},
    preprocess::Preprocessor,
};

/// A session with what feeds it.
#[derive(Debug)]
pub struct Bare {
    session: Session,
    preprocessor: Preprocessor,
    /// `[batch, 3, height, width]`.
    pixels: Vec<f32>,
    features: Vec<f32>,
}

impl Bare {
    /// A session of `threads` threads for batches of `batch` images.
    pub fn open(runtime: &Runtime, backbone: &Entry, threads: usize, batch: usize) -> Result<Bare> {
        let session = Session::open(runtime, &backbone.network(), threads, &Provider::Cpu.into())?;
        let preprocessor = Preprocessor::new(&backbone.preprocessing);
        let pixels = vec![0.0; batch * preprocessor.output_len()];
        Ok(Bare { session, preprocessor, pixels, features: Vec::new() })
    }

    /// Embed at most a batch of images.
    pub fn embed(&mut self, images: &[Source]) -> Result<()> {
        let slot = self.preprocessor.output_len();
        for (source, slot) in images.iter().zip(self.pixels.chunks_exact_mut(slot)) {
            let image = decode(source, &Limits::default())?;
            self.preprocessor.run(&image, slot);
        }
        self.session.run(&self.pixels[..images.len() * slot], images.len(), &mut self.features)?;
        Ok(())
    }
}
