//! ONNX Runtime, loaded from a file at start, and networks opened in it.

use std::path::{Path, PathBuf};

use ort::{
    environment::Environment,
    ep::{CPU, CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT},
    session::builder::GraphOptimizationLevel,
    value::TensorRef,
};

/// What runs a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Provider {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An NVIDIA GPU, through TensorRT.
    #[value(name = "tensorrt")]
    TensorRt,
}

impl Provider {
    /// Its name in flags and descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
        }
    }

    fn dispatch(self) -> ExecutionProviderDispatch {
        // Asked for and missing is an error, never a silent fall back to the processor.
        match self {
            Provider::Cpu => CPU::default().build(),
            Provider::Cuda => CUDA::default().build().error_on_failure(),
            Provider::TensorRt => TensorRT::default().build().error_on_failure(),
        }
    }
}

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
        "{name}: this ONNX Runtime ({path}) has no such execution provider, or cannot load it: {reason}; use a build that has it, or --provider cpu"
    )]
    Provider {
        /// The provider asked for.
        name: &'static str,
        /// The library.
        path: PathBuf,
        /// What ONNX Runtime said.
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
        let there = match provider {
            Provider::Cpu => CPU::is_available(),
            Provider::Cuda => CUDA::is_available(),
            Provider::TensorRt => TensorRT::is_available(),
        };
        match there {
            Ok(true) => Ok(()),
            Ok(false) => Err(missing("it is not among those that it was built with".into())),
            Err(error) => Err(missing(error.to_string())),
        }
    }

    /// The build of the library, for the log.
    pub fn version(&self) -> &'static str {
        ort::info()
    }
}

/// A network that can be run, by one thread at a time.
#[derive(Debug)]
pub struct Session {
    session: ort::session::Session,
    shape: [usize; 3],
    dimension: usize,
}

impl Session {
    /// Open the ONNX file `model`, which takes `[batch, 3, side, side]` and gives `[batch, dimension]`, with `threads`
    /// threads. They do not spin while they wait: others need the cores.
    pub fn open(
        runtime: &Runtime,
        model: &Network<'_>,
        threads: usize,
        provider: Provider,
    ) -> Result<Session, SessionError> {
        let session = ort::session::Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_execution_providers([provider.dispatch()])?
            .commit_from_memory(model.bytes)?;
        Ok(Session { session, shape: [3, model.side, model.side], dimension: model.dimension })
    }

    /// Run `images` preprocessed images, `pixels` being `[images, 3, side, side]`, and put their features into `features`,
    /// which becomes `[images, dimension]`.
    pub fn run(&mut self, pixels: &[f32], images: usize, features: &mut Vec<f32>) -> Result<(), SessionError> {
        let [channels, height, width] = self.shape;
        let input = TensorRef::from_array_view(([images, channels, height, width], pixels))?;
        let outputs = self.session.run(ort::inputs![input])?;
        let (_, numbers) = outputs[0].try_extract_tensor::<f32>()?;
        if numbers.len() != images * self.dimension {
            return Err(SessionError::Output { found: numbers.len(), images, dimension: self.dimension });
        }
        features.clear();
        features.extend_from_slice(numbers);
        Ok(())
    }
}

/// A network as a session needs it.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// The ONNX file.
    pub bytes: &'a [u8],
    /// Height and width of its input.
    pub side: usize,
    /// Numbers in its feature.
    pub dimension: usize,
}
