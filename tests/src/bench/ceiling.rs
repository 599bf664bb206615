//! The most that this machine can do: a plain loop over decode, preprocessing and session, a thread a core, each with a
//! single-threaded session of its own, nothing sent anywhere.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use graft_extractor::{
    backbone::{
        built_in,
        session::{Provider, Runtime, Session},
    },
    decode::{Limits, Source, decode},
    preprocess::{Preprocessing, Preprocessor},
};
use parking_lot::Mutex;

use crate::services::onnxruntime;

/// Images in one run: what the extractor takes unless told otherwise.
const BATCH: usize = 8;

/// The sessions and what feeds them.
#[derive(Debug)]
pub struct Ceiling {
    sessions: Vec<Mutex<Session>>,
    preprocessing: Preprocessing,
    _runtime: Runtime,
}

impl Ceiling {
    /// Open a session a core for the default backbone.
    pub fn new() -> Result<Ceiling> {
        let runtime = Runtime::load(&onnxruntime())?;
        let backbone = built_in::entry("efficientnet-lite0", Provider::Cpu)?;
        let cores = thread::available_parallelism()?.get();
        let open = |_| Session::open(&runtime, &backbone.network(), 1, Provider::Cpu).map(Mutex::new);
        let sessions = (0..cores).map(open).collect::<Result<_, _>>()?;
        Ok(Ceiling { sessions, preprocessing: backbone.preprocessing.clone(), _runtime: runtime })
    }

    /// Embed `images` with all cores, and say how long it took.
    pub fn run(&self, images: &[Source]) -> Result<Duration> {
        let batches: Vec<&[Source]> = images.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> =
                self.sessions.iter().map(|session| scope.spawn(|| self.work(session, &batches, &next))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread broke down"))?)
        })?;
        Ok(begun.elapsed())
    }

    fn work(&self, session: &Mutex<Session>, batches: &[&[Source]], next: &AtomicUsize) -> Result<()> {
        let mut session = session.lock();
        let mut preprocessor = Preprocessor::new(&self.preprocessing);
        let slot = preprocessor.output_len();
        let mut pixels = vec![0.0; BATCH * slot];
        let mut features = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for (source, slot) in batch.iter().zip(pixels.chunks_exact_mut(slot)) {
                let image = decode(source, &Limits::default())?;
                preprocessor.run(&image, slot);
            }
            session.run(&pixels[..batch.len() * slot], batch.len(), &mut features)?;
        }
        Ok(())
    }
}
