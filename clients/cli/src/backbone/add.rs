//! `graft backbone add`: pull a model into a directory that an extractor watches, and wait for its judgement.

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, bail};
use clap::Args;
use graft_client::{Graft, proto::Backbone as Description};
use graft_pull::{Pulled, Puller, Source, checksum::is_sha256, place};
use prost_types::Timestamp;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Directory, Name, all, folder::Prepared, json as described, manifest::Manifest, text};
use crate::{Done, output::Output, progress::Progress, say};

/// The name that every model file gets.
const MODEL: &str = "model.onnx";
/// How often the extractor is asked whether it has noticed.
const LOOK: Duration = Duration::from_millis(200);

/// Pull a model, and put it where the extractor finds it.
#[derive(Args)]
pub struct Add {
    /// The ONNX file: a path, file://, https://, s3://, gs://, az:// or hf://OWNER/REPO[/FILE][@REVISION]. Object stores take
    /// their credentials from AWS_…, GOOGLE_… and AZURE_… variables, the hub from HF_TOKEN.
    #[arg(value_name = "PATH|URI")]
    source: Source,
    /// The backbone's name.
    #[arg(long)]
    name: Name,
    /// How to use the model: a manifest with a [preprocessing] table. Not needed where a preprocessor_config.json or a
    /// config.json that says so lies beside the model.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// What the file must be, in hexadecimal.
    #[arg(long, value_parser = sha256)]
    sha256: Option<String>,
    /// Seconds to wait for the extractor to take it up; 0 not to wait.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
    /// Replace the backbone of this name. Streams in flight finish on the earlier one, and if the extractor refuses the new
    /// one, the earlier one stays.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    directory: Directory,
}

fn sha256(text: &str) -> Result<String, String> {
    if is_sha256(text) { Ok(text.to_lowercase()) } else { Err("64 hexadecimal digits are expected".into()) }
}

impl Add {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let Name(name) = &self.name;
        let directory = &self.directory.backbones;
        let manifest = Manifest::read(self.manifest.as_deref())?;
        let companion = manifest.companion(self.manifest.as_deref())?;
        let prepared = Prepared::new(directory, name, self.replace)?;
        let pulled = self.pull().await?;
        if !manifest.has_preprocessing() && pulled.beside.is_empty() {
            bail!(
                "{}: how its images are prepared is not known: no preprocessor_config.json or config.json lies beside it; --manifest FILE says it",
                pulled.origin
            );
        }
        let (target, expected, copied_from) = (prepared.file(MODEL), self.sha256.clone(), pulled.clone());
        let copied = spawn_blocking(move || copied_from.install(&target, expected.as_deref())).await??;
        let beside = if manifest.has_preprocessing() { &[] } else { &pulled.beside[..] };
        for (name, content) in companion.iter().chain(beside) {
            prepared.write(name, content)?;
        }
        // The moment tells this folder from an earlier one with the same model in it.
        let origin =
            format!("{}, sha256 {}, added {}", pulled.origin, copied.sha256, Timestamp::from(SystemTime::now()));
        let text = manifest.text(name, MODEL, &origin)?;
        prepared.write("backbone.toml", text.as_bytes())?;
        // What the extractor still says about an earlier folder of this name is no judgement of this one.
        // (One that is to be replaced may be broken, and stays so until then.)
        if !self.replace {
            self.wait_for(graft, |named| named.iter().all(|found| found.error.is_empty()).then_some(())).await;
        }
        let before = self.errors(graft).await;
        prepared.put()?;
        self.judge(graft, output, &prepared, &before, &origin).await
    }

    async fn pull(&self) -> Result<Pulled> {
        let puller = Puller::new(place::environment());
        let mut bar = Progress::of_bytes("pulling");
        Ok(puller.pull(&self.source, &mut |done, total| bar.bytes(done, total)).await?)
    }

    /// What the extractor says is wrong with the backbones of this name.
    async fn errors(&self, graft: &Graft) -> Vec<String> {
        let Name(name) = &self.name;
        let named = all(graft).await.unwrap_or_default().into_iter().filter(|found| found.name == *name);
        named.map(|found| found.error).filter(|error| !error.is_empty()).collect()
    }

    /// Show what the extractor makes of it. What it refuses is taken back. `before` is what it said was wrong before.
    async fn judge(
        &self,
        graft: &Graft,
        output: Output,
        prepared: &Prepared,
        before: &[String],
        origin: &str,
    ) -> Result<Done> {
        let (Name(name), directory) = (&self.name, &self.directory.backbones);
        // A built-in backbone may have the name already, so it is known by its provenance.
        let wrong = |found: &Description| !found.error.is_empty() && !before.contains(&found.error);
        let ours = |found: &Description| wrong(found) || found.error.is_empty() && found.provenance.ends_with(origin);
        let verdict = self.wait_for(graft, |named| named.into_iter().find(ours)).await;
        match verdict {
            Some(found) if found.error.is_empty() => {
                output.show(|| format!("added {}", text(&found)), || described(&found))?;
            }
            Some(found) => {
                prepared.take_back()?;
                bail!("the extractor cannot use it: {}", found.error);
            }
            None => {
                let (url, directory) = (graft.extractor.url(), directory.display());
                say::note(format_args!(
                    "note: the extractor at {url} has not taken it up; one with --backbones {directory} will"
                ));
                output.show(|| format!("added {name} to {directory}"), || json!({ "added": name }))?;
            }
        }
        Ok(Done::All)
    }

    /// Ask the extractor for the backbones of this name until `look` finds what it looks for. Nothing if it does not in
    /// time, or if the extractor cannot be asked.
    async fn wait_for<T>(&self, graft: &Graft, look: impl Fn(Vec<Description>) -> Option<T>) -> Option<T> {
        let (Name(name), begun) = (&self.name, Instant::now());
        while begun.elapsed() < Duration::from_secs(self.wait) {
            let mut backbones = all(graft).await.ok()?;
            backbones.retain(|backbone| backbone.name == *name);
            if let Some(found) = look(backbones) {
                return Some(found);
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }
}
