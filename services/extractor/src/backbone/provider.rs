//! What runs a network, and how ONNX Runtime is told.

use std::{fs, path::PathBuf};

use ort::ep::{CPU, CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use serde::Deserialize;

use super::{
    detach::{BatchSize, Precision},
    session::{Network, SessionError},
};

/// Hexadecimal digits of a network's hash in the name of its folder of TensorRT engines.
const FOLDER_DIGITS: usize = 32;

/// What runs a network.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
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
    /// Its name in flags, manifests and descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
        }
    }

    /// Whether networks run on a GPU.
    pub fn is_gpu(self) -> bool {
        self != Provider::Cpu
    }

    /// Whether the ONNX Runtime that was loaded was built with it.
    pub(super) fn is_there(self) -> ort::Result<bool> {
        match self {
            Provider::Cpu => CPU::is_available(),
            Provider::Cuda => CUDA::is_available(),
            Provider::TensorRt => TensorRT::is_available(),
        }
    }
}

/// The providers that an ONNX Runtime was built with, besides the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Providers {
    /// [`Provider::Cuda`].
    pub cuda: bool,
    /// [`Provider::TensorRt`].
    pub tensorrt: bool,
}

impl Providers {
    /// Whether `provider` is among them.
    pub fn has(self, provider: Provider) -> bool {
        match provider {
            Provider::Cpu => true,
            Provider::Cuda => self.cuda,
            Provider::TensorRt => self.tensorrt,
        }
    }

    /// Their names, for messages.
    pub fn names(self) -> String {
        let all = [Provider::Cpu, Provider::Cuda, Provider::TensorRt];
        all.into_iter().filter(|provider| self.has(*provider)).map(Provider::name).collect::<Vec<_>>().join(", ")
    }
}

/// How a network is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// What runs it.
    pub provider: Provider,
    /// The number of the GPU, as CUDA counts them.
    pub device_id: u16,
    /// Whether TensorRT may compute in float16.
    pub fp16: bool,
    /// The most images in one run.
    pub images: usize,
    /// Where TensorRT keeps engines and timings; they are made anew at each start if nowhere.
    pub tensorrt_cache: Option<PathBuf>,
}

impl From<Provider> for Execution {
    /// On the first device, in the graph's own precision, with nothing kept.
    fn from(provider: Provider) -> Execution {
        Execution { provider, device_id: 0, fp16: false, images: 1, tensorrt_cache: None }
    }
}

impl Execution {
    /// The precision that a graph of precision `graph` is computed in. It is part of the embedding space.
    ///
    /// CUDA is told not to round float32 to TensorFloat-32 (10 bits of mantissa for 23). ONNX Runtime has no such option for
    /// TensorRT, which rounds on GPUs that can (Ampere and newer), and so its float32 has another name.
    pub fn precision(&self, graph: Precision) -> &'static str {
        match (self.provider, self.fp16, graph) {
            (Provider::Cpu | Provider::Cuda, _, graph) => graph.name(),
            (Provider::TensorRt, false, Precision::Fp32) => "tf32",
            (Provider::TensorRt, false, Precision::Fp16) => "fp16+tf32",
            (Provider::TensorRt, false, Precision::Int8) => "int8+tf32",
            (Provider::TensorRt, true, Precision::Fp32 | Precision::Fp16) => "fp16",
            (Provider::TensorRt, true, Precision::Int8) => "int8+fp16",
        }
    }

    /// What ONNX Runtime is told. Asked for and missing is an error, never a silent fall back to the processor.
    pub(super) fn dispatch(&self, network: &Network<'_>) -> Result<Vec<ExecutionProviderDispatch>, SessionError> {
        Ok(match self.provider {
            Provider::Cpu => vec![CPU::default().build()],
            Provider::Cuda => vec![self.cuda().build().error_on_failure()],
            // What TensorRT cannot run, CUDA does.
            Provider::TensorRt => {
                vec![self.tensorrt(network)?.build().error_on_failure(), self.cuda().build().error_on_failure()]
            }
        })
    }

    /// The provider alone, for no network in particular.
    pub(super) fn bare(&self) -> ExecutionProviderDispatch {
        match self.provider {
            Provider::Cpu => CPU::default().build(),
            Provider::Cuda => self.cuda().build(),
            Provider::TensorRt => TensorRT::default().with_device_id(self.device_id.into()).build(),
        }
        .error_on_failure()
    }

    fn cuda(&self) -> CUDA {
        CUDA::default().with_device_id(self.device_id.into()).with_tf32(false)
    }

    fn tensorrt(&self, network: &Network<'_>) -> Result<TensorRT, SessionError> {
        let mut tensorrt = TensorRT::default().with_device_id(self.device_id.into()).with_fp16(self.fp16);
        if network.batch != BatchSize::One {
            // One engine for every number of images, tuned for full batches. Left to itself, TensorRT makes another each time
            // that there are more images than before. (Whether images are kept apart is tried with two.)
            let images = self.images.max(2);
            tensorrt = tensorrt
                .with_profile_min_shapes(shape(network, 1))
                .with_profile_opt_shapes(shape(network, images))
                .with_profile_max_shapes(shape(network, images));
        }
        let Some(cache) = &self.tensorrt_cache else { return Ok(tensorrt) };
        // ONNX Runtime names engines by the graph's nodes without regard to the weights, so each network has a folder.
        let folder = cache.join(&blake3::hash(network.bytes).to_hex()[..FOLDER_DIGITS]);
        fs::create_dir_all(&folder)
            .map_err(|error| SessionError::Cache { path: folder.clone(), reason: error.to_string() })?;
        Ok(tensorrt
            .with_engine_cache(true)
            .with_engine_cache_path(folder.display())
            .with_timing_cache(true)
            // Timings are of kernels, not of networks: all share them.
            .with_timing_cache_path(cache.display()))
    }
}

/// A shape as TensorRT's options have it: `input:8x3x224x224`.
fn shape(network: &Network<'_>, images: usize) -> String {
    let [a, b, c] = network.shape;
    format!("{}:{images}x{a}x{b}x{c}", network.input)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network<'_> =
        Network { bytes: b"net", file: "net", input: "data", shape: [3, 8, 9], dimension: 4, batch: BatchSize::Any };

    #[test]
    fn what_computes_otherwise_has_another_precision() {
        let precision = |provider, fp16, graph| Execution { fp16, ..Execution::from(provider) }.precision(graph);
        for graph in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
            assert_eq!(precision(Provider::Cpu, false, graph), graph.name());
            assert_eq!(precision(Provider::Cuda, false, graph), graph.name(), "float32 is float32 there too");
            assert_ne!(precision(Provider::TensorRt, false, graph), graph.name());
            assert_ne!(precision(Provider::TensorRt, false, graph), precision(Provider::TensorRt, true, graph));
        }
        assert_eq!(precision(Provider::TensorRt, true, Precision::Fp32), "fp16");
    }

    #[test]
    fn tensorrt_makes_one_engine_for_all_batches_and_keeps_it_by_the_weights() {
        let cache = tempfile::TempDir::new().unwrap();
        let execution = Execution {
            images: 32,
            fp16: true,
            tensorrt_cache: Some(cache.path().join("a/b")),
            ..Execution::from(Provider::TensorRt)
        };
        let told = |network: &Network<'_>| format!("{:?}", execution.tensorrt(network).unwrap());
        let options = told(&NETWORK);
        for option in ["data:1x3x8x9", "data:32x3x8x9", "trt_fp16_enable", "trt_timing_cache_path"] {
            assert!(options.contains(option), "{option}: {options}");
        }
        let fixed = told(&Network { batch: BatchSize::One, ..NETWORK });
        assert!(!fixed.contains("3x8x9"), "a fixed shape needs no profile: {fixed}");
        told(&Network { bytes: b"other weights", ..NETWORK });
        assert_eq!(fs::read_dir(cache.path().join("a/b")).unwrap().count(), 2, "one folder a network");
        let file = tempfile::NamedTempFile::new().unwrap();
        let blocked = Execution { tensorrt_cache: Some(file.path().to_owned()), ..execution };
        let error = blocked.tensorrt(&NETWORK).err().unwrap().to_string();
        assert!(error.contains("--tensorrt-cache") && error.contains(&*file.path().to_string_lossy()), "{error}");
    }
}
