//! Which thread layout and batch run the most images a second on this machine: `graft-extractor bench-backbone`.
//!
//! Real sessions run preprocessed images that follow no pattern, all lanes at once, as a bulk stream has them run. Nothing is
//! decoded: that takes the same time whatever the layout.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;

use crate::{
    backbone::{
        apart::noise,
        buffer::Buffer,
        catalogue::Entry,
        detach::BatchSize,
        listed::Listed,
        run::Run,
        session::{Runtime, Session, SessionError},
    },
    engines::budget,
    layout::{Defaults, Layout},
};

/// Images in a run that are tried: on a CPU, where more than some only fill its caches, and on a GPU.
const BATCHES: [&[u16]; 2] = [&[1, 2, 4, 8, 16, 32], &[1, 4, 8, 16, 32, 64, 128, 256]];
/// The longest time for one measurement: more does not make it better.
const LONGEST: Duration = Duration::from_secs(2);
/// What is faster by no more than this part is not faster: machines are not that steady.
const STEADY: f64 = 0.02;

/// What is measured, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// ONNX Runtime.
    pub runtime: &'a Runtime,
    /// The backbone, as it is listed and as it is loaded.
    pub listed: &'a Listed,
    /// Its model.
    pub entry: &'a Entry,
    /// How it is laid out but for what is tried.
    pub defaults: &'a Defaults,
    /// Bytes that it may take.
    pub memory: u64,
    /// What all measurements may take together, about; opening sessions is not counted.
    pub time: Duration,
}

/// One layout, and what it did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Bulk lanes.
    pub lanes: u16,
    /// Threads of each bulk session.
    pub threads: u16,
    /// Images in one run.
    pub batch: u16,
    /// What all lanes ran together.
    pub images_per_second: f64,
}

/// What a manifest's `[run]` should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// Bulk lanes; on a GPU, where they decode and share a session, nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u16>,
    /// Threads of each bulk session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// Images in one run.
    pub batch: u16,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The network cannot be run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No layout has room.
    #[error("{0}")]
    Memory(String),
}

impl Bench<'_> {
    /// Measure one layout after the other, tell `each`, and choose the best.
    pub fn run(&self, mut each: impl FnMut(&Measured)) -> Result<Chosen, BenchError> {
        let gpu = self.entry.run.execution(self.defaults.provider).provider.is_gpu();
        let batches = BATCHES[usize::from(gpu)];
        let layouts = layouts(self.defaults.cores, gpu);
        let slice = (self.time / (layouts.len() * batches.len()) as u32).min(LONGEST);
        let (mut all, mut spent) = (Vec::new(), Duration::ZERO);
        for (lanes, threads) in layouts {
            let layout = |batch: u16| self.layout(lanes, threads, batch);
            let largest = layout(batches.last().copied().unwrap_or(1));
            let need = budget::need(self.listed, &layout(1));
            if need > self.memory {
                tracing::warn!(lanes, threads, need, memory = self.memory, "left out: there is no memory for it");
                continue;
            }
            let sessions = self.open(&largest)?;
            let alone = sessions.first().is_some_and(|session| session.lock().batch() == BatchSize::One);
            for batch in batches.iter().copied().filter(|batch| *batch == 1 || !alone) {
                // The first of all is measured whatever it takes; of the others, what cannot be measured in time is left out.
                let rate = all.iter().map(|measured: &Measured| measured.images_per_second).fold(0.0, f64::max);
                let expected = Duration::try_from_secs_f64(f64::from(batch) * lanes as f64 / rate).unwrap_or_default();
                if !all.is_empty() && (spent + slice > self.time || expected > 2 * slice) {
                    break;
                }
                let begun = Instant::now();
                let images_per_second = measure(&sessions, &layout(batch), slice)?;
                spent += begun.elapsed();
                let measured = Measured { lanes: lanes as u16, threads: threads as u16, batch, images_per_second };
                each(&measured);
                all.push(measured);
            }
        }
        let best = best(&all).ok_or_else(|| {
            let need = budget::need(self.listed, &self.layout(1, self.defaults.cores, 1));
            BenchError::Memory(budget::too_large(&self.entry.description.name, need, self.memory))
        })?;
        let told = |value| (!gpu).then_some(value);
        Ok(Chosen { lanes: told(best.lanes), threads: told(best.threads), batch: best.batch })
    }

    fn layout(&self, lanes: usize, threads: usize, batch: u16) -> Layout {
        let (lanes, threads) = (Some(lanes as u16), Some(threads as u16));
        self.defaults.layout(&Run { lanes, threads, batch: Some(batch), max_batch: None, ..self.entry.run.clone() })
    }

    fn open(&self, layout: &Layout) -> Result<Vec<Mutex<Session>>, SessionError> {
        let open = |_| Session::open(self.runtime, &self.entry.network(), layout.bulk_threads, &layout.execution);
        (0..layout.bulk_sessions()).map(open).map(|session| session.map(Mutex::new)).collect()
    }
}

/// Lanes, and threads of each session: the usual layout first.
fn layouts(cores: usize, gpu: bool) -> Vec<(usize, usize)> {
    if gpu {
        return vec![(cores, cores)];
    }
    let halves = std::iter::successors(Some(1), |threads| Some(threads * 2)).take_while(|threads| *threads < cores);
    halves.chain([cores]).map(|threads| (cores / threads, threads)).collect()
}

/// The fastest; of those that are as fast, the first.
fn best(all: &[Measured]) -> Option<Measured> {
    let most = all.iter().map(|measured| measured.images_per_second).fold(0.0, f64::max);
    all.iter().find(|measured| measured.images_per_second >= most * (1.0 - STEADY)).copied()
}

/// Images a second of all lanes together.
fn measure(sessions: &[Mutex<Session>], layout: &Layout, slice: Duration) -> Result<f64, SessionError> {
    let ready = Barrier::new(layout.bulk_lanes);
    thread::scope(|scope| {
        let lanes: Vec<_> = sessions
            .iter()
            .cycle()
            .take(layout.bulk_lanes)
            .map(|session| scope.spawn(|| lane(session, layout.bulk_batch, slice, &ready)))
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Err(broken()))).sum()
    })
}

fn broken() -> SessionError {
    SessionError::Thread("it broke down".into())
}

/// Images a second of one lane.
fn lane(session: &Mutex<Session>, batch: usize, slice: Duration, ready: &Barrier) -> Result<f64, SessionError> {
    let mut features = Vec::new();
    let warmed_up = warm_buffer(session, batch, &mut features);
    // Whoever failed is waited for too, or the others would wait for ever.
    ready.wait();
    let mut buffer = warmed_up?;
    let (begun, mut images) = (Instant::now(), 0);
    while begun.elapsed() < slice {
        buffer.run(session, batch, &mut features)?;
        images += batch;
    }
    Ok(images as f64 / begun.elapsed().as_secs_f64())
}

/// A batch of noise that was run once.
fn warm_buffer(session: &Mutex<Session>, batch: usize, features: &mut Vec<f32>) -> Result<Buffer, SessionError> {
    let mut buffer = Buffer::of(&session.lock(), batch)?;
    let numbers = buffer.numbers_mut();
    numbers.copy_from_slice(&noise(numbers.len(), 1.0));
    buffer.run(session, batch, features)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_use_all_cores_and_the_usual_one_comes_first() {
        assert_eq!(layouts(1, false), [(1, 1)]);
        assert_eq!(layouts(2, false), [(2, 1), (1, 2)]);
        assert_eq!(layouts(6, false), [(6, 1), (3, 2), (1, 4), (1, 6)]);
        assert_eq!(layouts(8, true), [(8, 8)]);
    }

    #[test]
    fn what_is_no_faster_does_not_replace_what_is_usual() {
        let measured = |batch, images_per_second| Measured { lanes: 2, threads: 1, batch, images_per_second };
        assert_eq!(best(&[measured(1, 100.0), measured(2, 101.0)]).map(|best| best.batch), Some(1));
        assert_eq!(best(&[measured(1, 100.0), measured(2, 110.0), measured(4, 109.0)]).map(|best| best.batch), Some(2));
        assert_eq!(best(&[]), None);
    }
}
