//! Memory that is bound to a session: images and features that a GPU reads and writes without the processor.
//!
//! The memory is pinned: it cannot be swapped out, so that the driver copies from and to it by itself. Images are copied to
//! the GPU before the session's turn is waited for, so the copy overlaps the run of another lane.
//!
//! A GPU's libraries choose their algorithms for each number of images anew, which takes seconds. So there are a few numbers
//! only, the powers of two and the most; what is run besides the images is what was there before, and is not read. A batch
//! that is not full is copied into a tensor of its size first, a tenth of a millisecond an image. (A view of the large tensor
//! would do without, but `ort` 2.0.0-rc.15 never returns from binding a borrowed tensor to an input on the processor.)

use ort::{
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::IoBinding,
    value::Tensor,
};
use parking_lot::Mutex;

use super::{
    detach::BatchSize,
    session::{Session, SessionError},
};

/// Where the memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Host memory that this GPU can read by itself.
    Pinned(u16),
    /// Plain host memory: the same path where there is no GPU.
    #[cfg(test)]
    Host,
}

/// Images in memory that is bound to a session, and room for their features.
#[derive(Debug)]
pub(super) struct Bound {
    /// Where images are written: `[capacity]` of the network's shape.
    pixels: Tensor<f32>,
    /// By the number of images, ascending.
    runs: Vec<BoundRun>,
    input: String,
    shape: [usize; 3],
    dimension: usize,
}

#[derive(Debug)]
struct BoundRun {
    images: usize,
    /// `[images]` of the network's shape, unless that is all of them.
    part: Option<Tensor<f32>>,
    /// Its output is bound to memory of its own, `[images, dimension]`.
    binding: IoBinding,
}

impl Memory {
    fn allocator(self, session: &Session, kind: MemoryType) -> Result<Allocator, SessionError> {
        let info = match self {
            Memory::Pinned(device) => {
                MemoryInfo::new(AllocationDevice::CUDA_PINNED, device.into(), AllocatorType::Device, kind)?
            }
            #[cfg(test)]
            Memory::Host => MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, kind)?,
        };
        Ok(Allocator::new(&session.session, info)?)
    }
}

impl Bound {
    /// Room for `capacity` images of `session`.
    pub(super) fn new(session: &Session, capacity: usize, memory: Memory) -> Result<Bound, SessionError> {
        let (Session { shape, dimension, .. }, [a, b, c]) = (session, session.shape);
        let host = memory.allocator(session, MemoryType::CPUInput)?;
        let pixels = Tensor::new(&host, [capacity, a, b, c])?;
        let features = memory.allocator(session, MemoryType::CPUOutput)?;
        let [Some(input), Some(output)] = [session.session.inputs().first(), session.session.outputs().first()] else {
            return Err(SessionError::Runtime("the network has no input or no output".into()));
        };
        let mut runs = Vec::new();
        for images in sizes(if session.batch() == BatchSize::Any { capacity } else { 1 }) {
            let mut binding = session.session.create_binding()?;
            binding.bind_output(output.name(), Tensor::<f32>::new(&features, [images, *dimension])?)?;
            let part = if images < capacity { Some(Tensor::new(&host, [images, a, b, c])?) } else { None };
            runs.push(BoundRun { images, part, binding });
        }
        Ok(Bound { pixels, runs, input: input.name().to_owned(), shape: *shape, dimension: *dimension })
    }

    /// The images' memory.
    pub(super) fn numbers(&self) -> &[f32] {
        self.pixels.extract_tensor().1
    }

    /// The images' memory, to be written.
    pub(super) fn numbers_mut(&mut self) -> &mut [f32] {
        self.pixels.extract_tensor_mut().1
    }

    /// The numbers of images that are run.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.runs.iter().map(|run| run.images).collect()
    }

    /// Run the first `images` images.
    pub(super) fn run(
        &mut self,
        session: &Mutex<Session>,
        images: usize,
        features: &mut Vec<f32>,
    ) -> Result<(), SessionError> {
        features.clear();
        let largest = self.runs.last().map_or(1, |run| run.images);
        for first in (0..images).step_by(largest) {
            self.run_some(session, first, largest.min(images - first), features)?;
        }
        Ok(())
    }

    fn run_some(
        &mut self,
        session: &Mutex<Session>,
        first: usize,
        images: usize,
        features: &mut Vec<f32>,
    ) -> Result<(), SessionError> {
        let (image, dimension) = (self.shape.iter().product::<usize>(), self.dimension);
        let found = self.runs.iter_mut().find(|run| run.images >= images);
        let filled = self.pixels.extract_tensor().1.get(first * image..(first + images) * image);
        let (Some(BoundRun { images: size, part, binding }), Some(filled)) = (found, filled) else {
            return Err(SessionError::Output { found: 0, images, dimension });
        };
        let pixels = match part {
            Some(part) => {
                part.extract_tensor_mut().1[..filled.len()].copy_from_slice(filled);
                &*part
            }
            None => &self.pixels,
        };
        // Binding an input is what copies it to the GPU.
        binding.bind_input(self.input.as_str(), pixels)?;
        binding.synchronize_inputs()?;
        let mut session = session.lock();
        let outputs = session.session.run_binding(binding)?;
        binding.synchronize_outputs()?;
        let (_, numbers) = outputs[0].try_extract_tensor::<f32>()?;
        if numbers.len() != *size * dimension {
            return Err(SessionError::Output { found: numbers.len(), images: *size, dimension });
        }
        features.extend_from_slice(&numbers[..images * dimension]);
        Ok(())
    }
}

/// The numbers of images that are run, for at most `capacity`.
fn sizes(capacity: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> =
        std::iter::successors(Some(1), |size| Some(size * 2)).take_while(|size| *size < capacity).collect();
    sizes.push(capacity.max(1));
    sizes
}

#[cfg(test)]
mod tests {
    use std::{
        path::{Path, PathBuf},
        sync::OnceLock,
    };

    use super::*;
    use crate::backbone::{
        built_in,
        provider::{Execution, Provider},
        session::{Network, Runtime},
    };

    fn runtime() -> &'static Runtime {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| {
            let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/onnxruntime/libonnxruntime.so");
            let library = std::env::var_os("ORT_DYLIB_PATH").map_or(installed, PathBuf::from);
            Runtime::load(&library).expect("ONNX Runtime; run scripts/setup.sh first")
        })
    }

    #[test]
    fn a_gpu_is_given_few_numbers_of_images() {
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(8), [1, 2, 4, 8]);
        assert_eq!(sizes(12), [1, 2, 4, 8, 12]);
    }

    /// What a GPU does, with plain memory in place of pinned: the features are those of a plain run.
    #[test]
    fn bound_memory_gives_the_features_of_a_plain_run() {
        let entry = built_in::entry("efficientnet-lite0", Provider::Cpu).unwrap();
        let open = |batch| {
            let network = Network { batch, ..entry.network() };
            Session::open(runtime(), &network, 1, &Execution::from(Provider::Cpu)).unwrap()
        };
        for batch in [BatchSize::Any, BatchSize::One] {
            let mut session = open(batch);
            let image = session.image_len();
            let mut bound = Bound::new(&session, 5, Memory::Host).unwrap();
            let mut plain = vec![0.0; 5 * image];
            for (at, number) in plain.iter_mut().enumerate() {
                *number = ((at as f32) * 0.37).sin();
            }
            let (mut expected, mut features) = (Vec::new(), Vec::new());
            session.run(&plain, 5, &mut expected).unwrap();
            bound.numbers_mut().copy_from_slice(&plain);
            let session = Mutex::new(session);
            // 3 run as 4; afterwards other images are in the same memory.
            for images in [5, 3, 1] {
                bound.run(&session, images, &mut features).unwrap();
                alike(&features, &expected[..images * entry.description.dimension as usize]);
            }
            bound.numbers_mut().copy_within(image..2 * image, 0);
            bound.run(&session, 1, &mut features).unwrap();
            let dimension = features.len();
            alike(&features, &expected[dimension..2 * dimension]);
            assert!(bound.run(&session, 6, &mut features).is_err(), "more than there is room for");
        }
    }

    fn alike(features: &[f32], expected: &[f32]) {
        assert_eq!(features.len(), expected.len());
        let most = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let apart = features.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most > 0.0 && apart <= 1e-4 * most, "{apart} of {most}");
    }
}
