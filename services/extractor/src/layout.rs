//! How an engine is laid out: its sessions, lanes and batches.

use std::path::PathBuf;

use crate::{
    backbone::{
        provider::{Execution, Provider},
        run::Run,
    },
    decode::Limits,
    queue::Priority,
};

/// How engines are laid out, but for what a backbone's manifest says in `[run]`.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Cores to use: bulk lanes, and threads of the interactive session.
    pub cores: usize,
    /// Images that a lane takes and answers together, at the most.
    pub max_batch: usize,
    /// Bytes of images that may wait, for each class.
    pub queue_bytes: usize,
    /// What an image may measure.
    pub limits: Limits,
    /// What runs the networks.
    pub provider: Provider,
    /// Where TensorRT keeps engines and timings.
    pub tensorrt_cache: Option<PathBuf>,
}

/// How one engine is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    /// How the network is run.
    pub execution: Execution,
    /// Lanes for bulk work.
    pub bulk_lanes: usize,
    /// Threads of each bulk session.
    pub bulk_threads: usize,
    /// Threads of the interactive session.
    pub interactive_threads: usize,
    /// Images in one run of a bulk lane, at the most.
    pub bulk_batch: usize,
    /// Images that a lane takes and answers together, at the most.
    pub max_batch: usize,
    /// Bytes of images that may wait, for each class.
    pub queue_bytes: usize,
    /// What an image may measure.
    pub limits: Limits,
}

impl Defaults {
    /// The layout of a backbone whose manifest says `run`.
    pub fn layout(&self, run: &Run) -> Layout {
        let told = |value: Option<u16>| value.map(usize::from);
        let mut execution = run.execution(self.provider);
        let gpu = execution.provider.is_gpu();
        // On a CPU there is a lane a core, each with a session of one thread; on a GPU a lane decodes, and the session of all
        // lanes has little to do on the processor.
        let (lanes, threads) = match (told(run.lanes), told(run.threads)) {
            (Some(lanes), Some(threads)) => (lanes, threads),
            (Some(lanes), None) => (lanes, if gpu { self.cores } else { (self.cores / lanes).max(1) }),
            (None, Some(threads)) => (if gpu { self.cores } else { (self.cores / threads).max(1) }, threads),
            (None, None) => (self.cores, if gpu { self.cores } else { 1 }),
        };
        let max_batch = told(run.max_batch).unwrap_or(self.max_batch);
        // A single thread is fastest with one image at a time: what flows between the network's layers then stays in the
        // core's cache (243 images/s on two cores, 222 with runs of eight). Several threads share the work better, and a GPU
        // is filled better, the more there is.
        let alone = !gpu && threads == 1;
        let bulk_batch = told(run.batch).unwrap_or(if alone { 1 } else { max_batch });
        let max_batch = max_batch.max(bulk_batch);
        execution.images = max_batch;
        execution.tensorrt_cache.clone_from(&self.tensorrt_cache);
        Layout {
            execution,
            bulk_lanes: lanes,
            bulk_threads: threads,
            interactive_threads: self.cores,
            bulk_batch,
            max_batch,
            queue_bytes: self.queue_bytes,
            limits: self.limits,
        }
    }
}

impl Layout {
    /// Sessions of the bulk lanes: one each on a CPU, one for all on a GPU.
    pub fn bulk_sessions(&self) -> usize {
        if self.execution.provider.is_gpu() { 1 } else { self.bulk_lanes }
    }

    /// Sessions of one engine, each with the weights to itself.
    pub fn sessions(&self) -> usize {
        self.bulk_sessions() + 1
    }

    /// Images in one run of a lane, at the most.
    pub fn images_a_run(&self, priority: Priority) -> usize {
        match priority {
            Priority::Bulk => self.bulk_batch,
            Priority::Interactive => self.max_batch,
        }
    }

    /// Images that all lanes of one engine may hold, the interactive one's among them.
    pub fn images(&self) -> usize {
        (self.bulk_lanes + 1) * self.max_batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(provider: Provider, run: &str) -> Layout {
        let defaults = Defaults {
            cores: 8,
            max_batch: 16,
            queue_bytes: 1 << 20,
            limits: Limits::default(),
            provider,
            tensorrt_cache: Some("/cache".into()),
        };
        defaults.layout(&toml::from_str(run).unwrap())
    }

    /// Lanes, threads of each session, images in a run, images taken together, sessions.
    fn numbers(layout: &Layout) -> [usize; 5] {
        let Layout { bulk_lanes, bulk_threads, bulk_batch, max_batch, .. } = *layout;
        [bulk_lanes, bulk_threads, bulk_batch, max_batch, layout.sessions()]
    }

    #[test]
    fn the_manifest_comes_before_the_flags() {
        let cpu = |run| numbers(&layout(Provider::Cpu, run));
        assert_eq!(cpu(""), [8, 1, 1, 16, 9]);
        assert_eq!(cpu("threads = 4"), [2, 4, 16, 16, 3]);
        assert_eq!(cpu("lanes = 4"), [4, 2, 16, 16, 5]);
        assert_eq!(cpu("lanes = 3\nthreads = 3\nbatch = 2\nmax_batch = 4"), [3, 3, 2, 4, 4]);
        assert_eq!(cpu("batch = 32"), [8, 1, 32, 32, 9], "what is run together is taken together");
        assert_eq!(cpu("provider = 'cuda'"), [8, 8, 16, 16, 2], "the lanes of a GPU share a session");
        assert_eq!(numbers(&layout(Provider::Cuda, "provider = 'cpu'\nthreads = 2")), [4, 2, 16, 16, 5]);
        assert_eq!(numbers(&layout(Provider::Cuda, "lanes = 3\nbatch = 64")), [3, 8, 64, 64, 2]);
    }

    #[test]
    fn memory_is_counted_as_it_is_laid_out() {
        let images = |run| layout(Provider::Cpu, run).images();
        assert_eq!(images(""), 9 * 16);
        assert_eq!(images("lanes = 2\nmax_batch = 4"), 3 * 4);
        let execution = layout(Provider::TensorRt, "batch = 64").execution;
        assert_eq!((execution.images, execution.tensorrt_cache), (64, Some("/cache".into())));
    }
}
