//! `preprocess`: how many times faster than Pillow and numpy one core turns JPEGs of 500 × 375 into tensors: decode, the
//! shorter side to 256, bicubic, centre crop of 224, normalise, planes of red, green and blue.
//!
//! `preprocess.py` makes the JPEGs from the committed photos and measures the Python side. Both sides take turns, so that what
//! else the machine does hits both.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_extractor::{
    backbone::{built_in, session::Provider},
    decode::{Limits, Source, decode},
    preprocess::Preprocessor,
};

use super::{
    Figure, Target,
    images::{command, files},
};

/// JPEGs in one turn, and turns.
const IMAGES: usize = 48;
const TURNS: usize = 30;
/// What the script says before it can be asked for a turn.
const READY: &str = "ready";

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let folder = tempfile::TempDir::new()?;
    let mut pillow = Pillow::start(folder.path())?;
    let files: Vec<Source> = files(folder.path())?.into_iter().map(Source::Encoded).collect();
    ensure!(files.len() == IMAGES, "{} JPEGs instead of {IMAGES}", files.len());
    let backbone = built_in::entry("efficientnet-lite0", Provider::Cpu)?;
    let mut preprocessor = Preprocessor::new(&backbone.preprocessing);
    let mut slot = vec![0.0; preprocessor.output_len()];
    // The first turn of each warms up and does not count.
    pillow.turn()?;
    turn(&files, &mut preprocessor, &mut slot)?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        theirs.push(pillow.turn()?);
        ours.push(turn(&files, &mut preprocessor, &mut slot)?);
    }
    let each = |turns: &[Duration]| turns.iter().sum::<Duration>().as_secs_f64() * 1e3 / (IMAGES * TURNS) as f64;
    let (theirs, ours) = (each(&theirs), each(&ours));
    let note = format!("{ours:.3} ms an image, {theirs:.3} ms with Pillow and numpy");
    Ok(vec![Figure { name: "preprocess", unit: "ratio", value: theirs / ours, target: Target::AtLeast(3.0), note }])
}

/// Preprocess every file once.
fn turn(files: &[Source], preprocessor: &mut Preprocessor, slot: &mut [f32]) -> Result<Duration> {
    let begun = Instant::now();
    for file in files {
        let image = decode(file, &Limits::default())?;
        preprocessor.run(&image, slot);
        std::hint::black_box(&*slot);
    }
    Ok(begun.elapsed())
}

/// The Python side, in a process of its own.
struct Pillow {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Pillow {
    /// Start it, and wait until it has put the JPEGs into `folder`.
    fn start(folder: &Path) -> Result<Pillow> {
        let mut process = command("preprocess.py")?
            .arg(folder)
            .arg(IMAGES.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = process.stdin.take().context("a pipe")?;
        let answers = BufReader::new(process.stdout.take().context("a pipe")?);
        let mut pillow = Pillow { process, requests, answers };
        ensure!(pillow.line()? == READY, "the script is ready");
        Ok(pillow)
    }

    /// Let it preprocess every file once.
    fn turn(&mut self) -> Result<Duration> {
        self.requests.write_all(b"turn\n")?;
        Ok(Duration::from_secs_f64(self.line()?.parse()?))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "preprocess.py ended early; its error is above");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Pillow {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
