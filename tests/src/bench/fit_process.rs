//! What a process of `graft-fit` is told and answers, and the same for scikit-learn in `fit_peer.py`.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use graft_proto::v1::Split;
use graft_trainer::fit::{FitOptions, TrainingData, fit_head, split};
use serde_json::{Value, json};

use super::{
    fashion_embedded::{Embedded, Part},
    images,
};
use crate::services;

/// One fit.
#[derive(Clone, Debug, Parser)]
pub struct Task {
    /// The folder of the embeddings.
    #[arg(long)]
    pub folder: PathBuf,
    /// Numbers in an embedding.
    #[arg(long)]
    pub dimension: usize,
    /// The rows to fit on, the first of the train part.
    #[arg(long)]
    pub rows: usize,
    /// Choose the L2 on a part of them, as a training run does.
    #[arg(long)]
    pub choose: bool,
    /// The penalties to choose among.
    #[arg(long, value_delimiter = ',')]
    pub l2: Vec<f64>,
    /// The rows to measure the accuracy on, the first of the test part.
    #[arg(long, default_value_t = 0)]
    pub test: usize,
    /// Where to write the head: weights `[dimension, classes]`, then biases, as little-endian f32.
    #[arg(long)]
    pub head: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Time of the fit, from plain embeddings to a head that is ready to serve.
    pub seconds: f64,
    /// The most memory that the process ever had, in bytes.
    pub peak: f64,
    /// The L2 that was chosen.
    pub l2: f64,
    /// L-BFGS iterations of the last fit, and of all.
    pub iterations: f64,
    /// See `iterations`.
    pub total_iterations: f64,
    /// Accuracy on the test rows; NaN where there are none.
    pub accuracy: f64,
    /// After each iteration, the seconds since the beginning and the training loss.
    pub trace: Vec<(f64, f64)>,
}

/// Classes of Fashion-MNIST.
pub const CLASSES: usize = 10;

/// Do it in this process, and say in JSON what came of it.
pub fn run(task: &Task) -> Result<Value> {
    let read = |part, rows| Embedded::open(&task.folder, part, rows, task.dimension)?.read();
    let (mut embeddings, mut labels) = read(Part::Train, task.rows)?;
    let mut train = task.rows;
    if task.choose {
        (embeddings, labels, train) = with_validation(embeddings, &labels, task.dimension);
    }
    let begun = Instant::now();
    let data = TrainingData::new(embeddings, task.dimension, labels, CLASSES, train)?;
    let options = FitOptions { l2: task.l2.clone(), ..FitOptions::default() };
    let mut trace = Vec::new();
    let fitted = fit_head(data, &options, &mut |now| {
        trace.push((begun.elapsed().as_secs_f64(), now.loss));
        ControlFlow::Continue(())
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let peak = peak_memory()?;
    ensure!(fitted.converged, "the fit did not converge");
    if let Some(path) = &task.head {
        let linear = fitted.head.linear().context("a linear head")?;
        let numbers = linear.weights.iter().chain(&linear.bias);
        fs::write(path, numbers.flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    let mut accuracy = Value::Null;
    if task.test > 0 {
        let (embeddings, labels) = read(Part::Test, task.test)?;
        let logits = fitted.head.logits(embeddings, task.test)?;
        accuracy = json!(correct(&logits, &labels) as f64 / task.test as f64);
    }
    let (l2, iterations, total_iterations) = (fitted.l2, fitted.iterations, fitted.total_iterations);
    Ok(json!({
        "seconds": seconds, "peak": peak, "l2": l2, "iterations": iterations, "total_iterations": total_iterations,
        "accuracy": accuracy, "trace": trace,
    }))
}

/// Rows of logits whose largest is that of the label.
pub fn correct(logits: &[f32], labels: &[u32]) -> usize {
    let most = |row: &[f32]| (0..CLASSES).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u32;
    logits.chunks_exact(CLASSES).zip(labels).filter(|(row, label)| most(row) == **label).count()
}

/// The rows as a training run orders them: those to fit on, then those to choose with. In place, row by row.
fn with_validation(mut embeddings: Vec<f32>, labels: &[u32], dimension: usize) -> (Vec<f32>, Vec<u32>, usize) {
    // Every row is to fit on; a last one stands for the test split, which is not held out of these.
    let (mut classes, mut splits) = (labels.to_vec(), vec![Split::Train; labels.len()]);
    classes.push(0);
    splits.push(Split::Test);
    let plan = split::plan(&classes, &splits);
    let order = [&plan.train[..], &plan.validation].concat();
    let ordered = order.iter().map(|row| labels[*row]).collect();
    permute(&mut embeddings, &order, dimension);
    (embeddings, ordered, plan.train.len())
}

/// Puts row `order[i]` at `i`.
fn permute(rows: &mut [f32], order: &[usize], dimension: usize) {
    let mut done = vec![false; order.len()];
    for start in 0..order.len() {
        let first = rows[start * dimension..(start + 1) * dimension].to_vec();
        let mut at = start;
        while !std::mem::replace(&mut done[at], true) {
            let from = order[at];
            if done[from] {
                rows[at * dimension..(at + 1) * dimension].copy_from_slice(&first);
            } else {
                rows.copy_within(from * dimension..(from + 1) * dimension, at * dimension);
            }
            at = from;
        }
    }
}

fn peak_memory() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a line of /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

impl Task {
    /// Do it in a process of its own.
    pub fn start(&self) -> Result<Outcome> {
        let mut command = Command::new(services::binaries().join("graft-fit"));
        command.arg("one").arg("--folder").arg(&self.folder);
        command.args(["--dimension", &self.dimension.to_string(), "--rows", &self.rows.to_string()]);
        command.args(["--test", &self.test.to_string()]);
        if self.choose {
            command.arg("--choose");
        }
        if !self.l2.is_empty() {
            let values: Vec<String> = self.l2.iter().map(f64::to_string).collect();
            command.args(["--l2", &values.join(",")]);
        }
        if let Some(head) = &self.head {
            command.arg("--head").arg(head);
        }
        let answer = answer(command)?;
        let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
        Ok(Outcome {
            seconds: number("seconds"),
            peak: number("peak"),
            l2: number("l2"),
            iterations: number("iterations"),
            total_iterations: number("total_iterations"),
            accuracy: number("accuracy"),
            trace: serde_json::from_value(answer["trace"].clone())?,
        })
    }
}

/// What scikit-learn made of the same rows with the same L2.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Time of `fit`, on features that were standardised before.
    pub seconds: f64,
    /// Where it stopped: mean log loss plus penalty, in f64.
    pub objective: f64,
    /// The same of our head.
    pub ours: f64,
}

/// Fit scikit-learn's `LogisticRegression` with this many BLAS threads, and judge our head with the same arithmetic.
pub fn peer(task: &Task, threads: usize) -> Result<Peer> {
    let head = task.head.as_deref().context("a head to judge")?;
    let threads = threads.to_string();
    let mut command = images::command("fit_peer.py")?;
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
        command.env(name, &threads);
    }
    let l2 = task.l2.first().context("an L2")?.to_string();
    let numbers = [task.dimension.to_string(), task.rows.to_string(), l2];
    command.arg(&task.folder).args(numbers).arg(head as &Path);
    let answer = answer(command)?;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("a number `{name}`"));
    Ok(Peer { seconds: number("seconds")?, objective: number("objective")?, ours: number("ours")? })
}

/// The JSON that a command prints.
pub fn answer(mut command: Command) -> Result<Value> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_in_order_in_place() {
        for order in [vec![0, 1, 2], vec![2, 0, 1], vec![1, 0, 2], vec![3, 1, 0, 2, 4]] {
            let mut rows: Vec<f32> = (0..order.len()).flat_map(|row| [row as f32, 10.0 + row as f32]).collect();
            permute(&mut rows, &order, 2);
            let expected: Vec<f32> = order.iter().flat_map(|row| [*row as f32, 10.0 + *row as f32]).collect();
            assert_eq!(rows, expected);
        }
    }
}
