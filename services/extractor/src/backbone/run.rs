//! The `[run]` table of a manifest: what runs this backbone, and how it is laid out.

use serde::Deserialize;

use super::{
    manifest::ManifestError,
    provider::{Execution, Provider},
};

/// The most images, lanes and threads that may be asked for, as of the flags.
const MOST: u16 = 1024;

/// How this backbone is run. What is left out is as the extractor's flags say. Nothing here changes what an embedding
/// means, but for TensorRT, whose precision is another.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What runs the network.
    pub provider: Option<Provider>,
    /// The number of the GPU, as CUDA counts them; 0 unless told.
    pub device_id: Option<u16>,
    /// Images that are taken and answered together, at the most.
    pub max_batch: Option<u16>,
    /// Images in one run of a bulk lane, at the most.
    pub batch: Option<u16>,
    /// Bulk lanes: on a CPU each has a session, on a GPU they share one.
    pub lanes: Option<u16>,
    /// Threads of each bulk session.
    pub threads: Option<u16>,
    /// For TensorRT alone.
    pub tensorrt: Option<TensorRt>,
}

/// What TensorRT is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct TensorRt {
    /// Whether it may compute in float16: faster, and another embedding space.
    pub fp16: bool,
}

impl Run {
    /// Check the values.
    pub fn check(&self) -> Result<(), ManifestError> {
        let counts = [
            ("run.max_batch", self.max_batch),
            ("run.batch", self.batch),
            ("run.lanes", self.lanes),
            ("run.threads", self.threads),
        ];
        for (key, value) in counts {
            if let Some(value) = value.filter(|value| !(1..=MOST).contains(value)) {
                return Err(bad(key, value, "1 to 1024 are accepted"));
            }
        }
        let threads = u32::from(self.lanes.unwrap_or(1)) * u32::from(self.threads.unwrap_or(1));
        if threads > MOST.into() {
            return Err(bad("run.threads", threads, "at most 1024 threads in all lanes together are accepted"));
        }
        match (self.provider, self.tensorrt, self.device_id) {
            (Some(provider @ (Provider::Cpu | Provider::Cuda)), Some(_), _) => {
                Err(bad("run.tensorrt", provider.name(), "it is for `provider = \"tensorrt\"`"))
            }
            (Some(Provider::Cpu), _, Some(device)) => Err(bad("run.device_id", device, "a CPU has none")),
            _ => Ok(()),
        }
    }

    /// How the network is run where the extractor's own provider is `default`.
    pub fn execution(&self, default: Provider) -> Execution {
        let provider = self.provider.unwrap_or(default);
        let fp16 = provider == Provider::TensorRt && self.tensorrt.is_some_and(|tensorrt| tensorrt.fp16);
        Execution { device_id: self.device_id.unwrap_or(0), fp16, ..Execution::from(provider) }
    }
}

fn bad(key: &'static str, found: impl std::fmt::Display, accepted: &'static str) -> ManifestError {
    ManifestError::Value { key, found: found.to_string(), accepted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Run, ManifestError> {
        let run: Run = toml::from_str(text)?;
        run.check().map(|()| run)
    }

    #[test]
    fn a_bad_value_names_its_key() {
        for (text, words) in [
            ("provider = 'rocm'", ["rocm", "tensorrt"]),
            ("batches = 4", ["batches", "max_batch"]),
            ("batch = 0", ["run.batch", "1 to 1024"]),
            ("max_batch = 1025", ["run.max_batch", "1025"]),
            ("lanes = 64\nthreads = 64", ["run.threads", "4096"]),
            ("provider = 'cpu'\ndevice_id = 1", ["run.device_id", "CPU"]),
            ("provider = 'cuda'\n[tensorrt]\nfp16 = true", ["run.tensorrt", "cuda"]),
            ("provider = 'tensorrt'\n[tensorrt]\nint8 = true", ["int8", "fp16"]),
            ("threads = -1", ["-1", "threads"]),
        ] {
            let said = run(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_left_out_is_the_flags() {
        assert_eq!(run("").unwrap().execution(Provider::Cuda), Execution::from(Provider::Cuda));
        let fast = run("provider = 'tensorrt'\ndevice_id = 2\n[tensorrt]\nfp16 = true").unwrap();
        let execution = fast.execution(Provider::Cpu);
        assert_eq!((execution.provider, execution.device_id, execution.fp16), (Provider::TensorRt, 2, true));
        let unsaid = run("[tensorrt]\nfp16 = true").unwrap();
        assert!(unsaid.execution(Provider::TensorRt).fp16 && !unsaid.execution(Provider::Cpu).fp16);
    }
}
