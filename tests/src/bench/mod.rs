//! The benchmarks behind `make bench`. Each prints ratios measured in one run: these hold on a noisy machine, where
//! absolute times mean little.
//!
//! # Layout
//! - [`extract_rows`], [`extract_jpeg`]: streams through `Extract` against the same work without a wire.
//! - [`extract_latency`], [`extract_mixed`]: what one image takes, on an idle extractor and beside a bulk stream.
//! - [`extract_memory`]: what a long stream leaves behind.
//! - [`extract_peer`]: the same images through another server, [`litserve`].
//! - [`scale_out`]: what a second extractor adds to an import.
//! - [`preprocess`]: JPEGs to tensors on one core against Pillow and numpy.
//! - [`extract_gpu`]: what reaches a GPU of what it can do.
//! - [`fit_speed`], [`fit_path`], [`fit_accuracy`], [`fit_memory`], [`few_shot`]: fits of heads, each in a process of its own
//!   ([`fit_process`]), against scikit-learn; on embeddings that are made once ([`fashion_embedded`]).
//! - [`store_import`]: embeddings into the store, against a plain append ([`plain_append`]) of the same.
//! - [`classify_latency`], [`classify_embedding`]: what an answer takes. [`many_heads`]: 5,000 heads on one backbone. [`fitted`]: the
//!   heads of these.
//! - [`cli`]: what the command adds to a stream of classifications, and how soon it is there.
//! - [`suggest`](mod@suggest): what to label, of very many.
//! - [`ceiling`], [`bare`]: the work without a wire, with all cores and with one thread.
//! - [`stream`]: an open stream that times its answers. [`images`]: what is embedded.

use std::{fmt, pin::Pin};

use anyhow::Result;

pub mod bare;
pub mod ceiling;
pub mod classify_embedding;
pub mod classify_latency;
pub mod cli;
pub mod extract_gpu;
pub mod extract_jpeg;
pub mod extract_latency;
pub mod extract_memory;
pub mod extract_mixed;
pub mod extract_peer;
pub mod extract_rows;
pub mod fashion_embedded;
pub mod few_shot;
pub mod fit_accuracy;
pub mod fit_memory;
pub mod fit_path;
pub mod fit_process;
pub mod fit_speed;
pub mod fitted;
pub mod images;
pub mod litserve;
pub mod many_heads;
pub mod plain_append;
pub mod preprocess;
pub mod scale_out;
pub mod store_import;
pub mod stream;
pub mod suggest;

/// A benchmark that is running.
pub type Run = Pin<Box<dyn Future<Output = Result<Vec<Figure>>>>>;

/// A benchmark by name.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// What it is called.
    pub name: &'static str,
    /// Runs it.
    pub run: fn() -> Run,
}

/// All benchmarks.
pub const ALL: &[Bench] = &[
    Bench { name: "extract-rows", run: || Box::pin(extract_rows::run()) },
    Bench { name: "extract-jpeg", run: || Box::pin(extract_jpeg::run()) },
    Bench { name: "extract-latency", run: || Box::pin(extract_latency::run()) },
    Bench { name: "extract-mixed", run: || Box::pin(extract_mixed::run()) },
    Bench { name: "extract-memory", run: || Box::pin(extract_memory::run()) },
    Bench { name: "extract-peer", run: || Box::pin(extract_peer::run()) },
    Bench { name: "scale-out", run: || Box::pin(scale_out::run()) },
    Bench { name: "extract-gpu", run: || Box::pin(extract_gpu::run()) },
    Bench { name: "fit-12k", run: || Box::pin(fit_speed::run_12k()) },
    Bench { name: "fit-60k", run: || Box::pin(fit_speed::run_60k()) },
    Bench { name: "fit-path", run: || Box::pin(fit_path::run()) },
    Bench { name: "fit-accuracy", run: || Box::pin(fit_accuracy::run()) },
    Bench { name: "fit-memory", run: || Box::pin(fit_memory::run()) },
    Bench { name: "few-shot", run: || Box::pin(few_shot::run()) },
    Bench { name: "store-import", run: || Box::pin(store_import::run()) },
    Bench { name: "classify-latency", run: || Box::pin(classify_latency::run()) },
    Bench { name: "classify-embedding", run: || Box::pin(classify_embedding::run()) },
    Bench { name: "cli-overhead", run: || Box::pin(cli::overhead()) },
    Bench { name: "cli-start", run: || Box::pin(cli::start()) },
    Bench { name: "heads", run: || Box::pin(many_heads::run()) },
    Bench { name: "suggest", run: || Box::pin(suggest::run()) },
    Bench { name: "preprocess", run: || Box::pin(preprocess::run()) },
];

/// One figure, and what it should be.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The benchmark's name, or a part of it.
    pub name: &'static str,
    /// What it measures: `ratio`, or a unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
    /// What it should be.
    pub target: Target,
    /// What else a reader wants to know.
    pub note: String,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Figure {
    /// Whether the figure is what it should be, give or take the part `slack`. What is no number is not.
    pub fn met(&self, slack: f64) -> bool {
        match self.target {
            Target::AtLeast(least) => self.value >= least * (1.0 - slack),
            Target::AtMost(most) => self.value <= most * (1.0 + slack),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, unit, value, target, note } = self;
        let target = match target {
            Target::AtLeast(least) => format!(">={least}"),
            Target::AtMost(most) => format!("<={most}"),
        };
        let verdict = if self.met(0.0) { "PASS" } else { "FAIL" };
        write!(f, "{name} {unit}={value:.3} target{target} {verdict} ({note})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_its_target() {
        let figure = |value, target| Figure { name: "x", unit: "ratio", value, target, note: "n".into() };
        assert!(figure(0.95, Target::AtLeast(0.95)).met(0.0) && !figure(0.94, Target::AtLeast(0.95)).met(0.0));
        assert!(figure(0.94, Target::AtLeast(0.95)).met(0.1) && !figure(0.8, Target::AtLeast(0.95)).met(0.1));
        assert!(figure(1.09, Target::AtMost(1.0)).met(0.1) && !figure(1.09, Target::AtMost(1.0)).met(0.0));
        assert!(!figure(f64::NAN, Target::AtMost(1.0)).met(0.1));
        assert_eq!(figure(0.9, Target::AtLeast(0.95)).to_string(), "x ratio=0.900 target>=0.95 FAIL (n)");
    }
}
