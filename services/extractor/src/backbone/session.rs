//! ONNX Runtime, loaded from a file at start, and networks opened in it.

use std::path::{Path, PathBuf};

use ort::{environment::Environment, session::builder::GraphOptimizationLevel, value::TensorRef};

pub use super::provider::Provider;
use super::{
    apart,
    detach::BatchSize,
    provider::{Execution, Providers},
};

/// Why a network cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The library cannot be loaded, or is too old.
    #[error(
        "onnxruntime: {path} cannot be used: {reason}. Run scripts/setup.sh, or name another by --onnxruntime or ORT_DYLIB_PATH"
    )]
    Library {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The execution provider is not there.
    #[error(
        "{name}: this ONNX Runtime ({path}) has no such execution provider, or cannot load it: {reason}; use a build that has it, or another by --provider or by `provider` in the manifest's [run]"
    )]
    Provider {
        /// The provider asked for.
        name: &'static str,
        /// The library.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The network cannot be opened: an operator that this ONNX Runtime lacks, for one.
    #[error("{file}: {reason}")]
    Open {
        /// The model's file.
        file: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// There is no place for TensorRT's engines.
    #[error("{path}: TensorRT's engines cannot be kept there: {reason}; --tensorrt-cache names another directory")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// ONNX Runtime refused.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// The network gave something else than a feature an image.
    #[error("the network gave {found} numbers for {images} images of {dimension}")]
    Output {
        /// Numbers given.
        found: usize,
        /// Images run.
        images: usize,
        /// Numbers expected for each.
        dimension: usize,
    },
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
}

impl<T> From<ort::Error<T>> for SessionError {
    fn from(error: ort::Error<T>) -> Self {
        SessionError::Runtime(error.to_string())
    }
}

/// ONNX Runtime. There is one a process.
#[derive(Debug)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
}

impl Runtime {
    /// Load the library at `path`.
    pub fn load(path: &Path) -> Result<Runtime, SessionError> {
        let unusable = |reason: String| SessionError::Library { path: path.to_owned(), reason };
        let builder = ort::init_from(path).map_err(|error| unusable(error.to_string()))?;
        let environment = builder.with_name("graft").build().map_err(|error| unusable(error.to_string()))?;
        Ok(Runtime { environment, path: path.to_owned() })
    }

    /// Check that `provider` can be used.
    pub fn require(&self, provider: Provider) -> Result<(), SessionError> {
        let missing =
            |reason: String| SessionError::Provider { name: provider.name(), path: self.path.clone(), reason };
        match provider.is_there() {
            Ok(true) => Ok(()),
            Ok(false) => Err(missing("it is not among those that it was built with".into())),
            Err(error) => Err(missing(error.to_string())),
        }
    }

    /// Check that `provider` is there and begins to work, which loads what it needs: CUDA's libraries, for one.
    pub fn try_out(&self, provider: Provider) -> Result<(), SessionError> {
        self.require(provider)?;
        let unusable = |error: SessionError| SessionError::Provider {
            name: provider.name(),
            path: self.path.clone(),
            reason: error.to_string(),
        };
        self.begin(provider).map_err(unusable)
    }

    fn begin(&self, provider: Provider) -> Result<(), SessionError> {
        let dispatch = Execution::from(provider).bare();
        ort::session::Session::builder(&self.environment)?.with_execution_providers([dispatch])?;
        Ok(())
    }

    /// The providers that can be asked for.
    pub fn providers(&self) -> Providers {
        let there = |provider| self.require(provider).is_ok();
        Providers { cuda: there(Provider::Cuda), tensorrt: there(Provider::TensorRt) }
    }

    /// The build of the library, for the log.
    pub fn version(&self) -> &'static str {
        ort::info()
    }
}

/// A network that can be run, by one thread at a time.
#[derive(Debug)]
pub struct Session {
    pub(super) session: ort::session::Session,
    pub(super) shape: [usize; 3],
    pub(super) dimension: usize,
    batch: BatchSize,
    /// The number of the GPU that it runs on, if it does.
    gpu: Option<u16>,
}

impl Session {
    /// Open `network` with `threads` threads. They do not spin while they wait: others need the cores. Where it is not
    /// known whether the network keeps the images of a batch apart, it is tried.
    pub fn open(
        runtime: &Runtime,
        network: &Network<'_>,
        threads: usize,
        execution: &Execution,
    ) -> Result<Session, SessionError> {
        runtime.require(execution.provider)?;
        let refused =
            |error: SessionError| SessionError::Open { file: network.file.to_owned(), reason: error.to_string() };
        let session = Session::commit(runtime, network, threads, execution).map_err(refused)?;
        let gpu = execution.provider.is_gpu().then_some(execution.device_id);
        let Network { shape, dimension, .. } = *network;
        let mut session = Session { session, shape, dimension, batch: BatchSize::Any, gpu };
        session.batch = match network.batch {
            BatchSize::Unproven => apart::probe(&mut session).map_err(refused)?,
            known => known,
        };
        Ok(session)
    }

    fn commit(
        runtime: &Runtime,
        network: &Network<'_>,
        threads: usize,
        execution: &Execution,
    ) -> Result<ort::session::Session, SessionError> {
        let session = ort::session::Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_execution_providers(execution.dispatch(network)?)?
            .commit_from_memory(network.bytes)?;
        Ok(session)
    }

    /// Numbers in one preprocessed image.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many images go through the network at once: any number, or one.
    pub fn batch(&self) -> BatchSize {
        self.batch
    }

    /// The number of the GPU that it runs on, if it does.
    pub fn gpu(&self) -> Option<u16> {
        self.gpu
    }

    /// Run `images` preprocessed images, `pixels` being `[images]` of the network's shape, and put their features into
    /// `features`, which becomes `[images, dimension]`.
    pub fn run(&mut self, pixels: &[f32], images: usize, features: &mut Vec<f32>) -> Result<(), SessionError> {
        features.clear();
        if self.batch == BatchSize::Any {
            return self.run_together(pixels, images, features);
        }
        let each = pixels.len() / images.max(1);
        pixels.chunks_exact(each.max(1)).try_for_each(|image| self.run_together(image, 1, features))
    }

    fn run_together(&mut self, pixels: &[f32], images: usize, features: &mut Vec<f32>) -> Result<(), SessionError> {
        let [a, b, c] = self.shape;
        let input = TensorRef::from_array_view(([images, a, b, c], pixels))?;
        let outputs = self.session.run(ort::inputs![input])?;
        let (_, numbers) = outputs[0].try_extract_tensor::<f32>()?;
        if numbers.len() != images * self.dimension {
            return Err(SessionError::Output { found: numbers.len(), images, dimension: self.dimension });
        }
        features.extend_from_slice(numbers);
        Ok(())
    }
}

/// A network as a session needs it: from `[images]` of `shape` to `[images, dimension]`, both of float32.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// The ONNX file.
    pub bytes: &'a [u8],
    /// Where it comes from, for messages.
    pub file: &'a str,
    /// The name of its input.
    pub input: &'a str,
    /// The shape of one image: `[3, height, width]` or `[height, width, 3]`.
    pub shape: [usize; 3],
    /// Numbers in its feature.
    pub dimension: usize,
    /// How many images it takes at once.
    pub batch: BatchSize,
}
