//! A folder of photos, one sub-folder a class, becomes a classifier, which then classifies its own photos.
//!
//! `cargo run --example train -- NAME FOLDER`; services are found as the `graft` command finds them.

use std::{error::Error, fs, path::PathBuf};

use futures::{StreamExt, TryStreamExt};
use graft_client::{
    Graft, classify_many, import,
    proto::{
        ClassifyInput, ClassifyItem, ClassifyOptions, CreateDatasetRequest, CreateTrainingRunRequest, Example, Image,
        ImportOptions, Outcome, TrainingState, classify_input::Input, image::Source,
    },
    wait_for, watch,
};

/// The files of a folder with their labels.
fn photos(folder: &str) -> std::io::Result<Vec<(PathBuf, String)>> {
    let mut photos = Vec::new();
    for class in fs::read_dir(folder)? {
        let class = class?;
        for file in fs::read_dir(class.path())? {
            photos.push((file?.path(), class.file_name().to_string_lossy().into_owned()));
        }
    }
    photos.sort();
    Ok(photos)
}

fn image(path: &PathBuf) -> std::io::Result<Image> {
    Ok(Image { source: Some(Source::Encoded(fs::read(path)?.into())) })
}

async fn import_all(graft: &Graft, name: &str, photos: Vec<(PathBuf, String)>) -> Result<(), Box<dyn Error>> {
    let request = CreateDatasetRequest { name: name.into(), ..CreateDatasetRequest::default() };
    let created = graft.trainer.datasets().create_dataset(request).await;
    created.map_err(|status| graft.trainer.error(status))?;
    // Files are read when the service wants them, so a folder of any size takes little memory.
    let examples = futures::stream::iter(photos).filter_map(|(path, label)| async move {
        let id = path.display().to_string();
        let image = image(&path).inspect_err(|error| eprintln!("{id}: {error}")).ok()?;
        Some(Example { id, label, image: Some(image), ..Example::default() })
    });
    let options = ImportOptions { dataset: name.into(), augmentation: None };
    let mut outcomes = import(&graft.trainer, options, examples).await?;
    let mut stored = 0;
    while let Some(outcome) = outcomes.try_next().await? {
        match outcome.outcome() {
            Outcome::Rejected => eprintln!("{}: {}", outcome.id, outcome.error.unwrap_or_default().message),
            _ => stored += 1,
        }
    }
    println!("{stored} examples in {name}");
    Ok(())
}

async fn train(graft: &Graft, name: &str) -> Result<String, Box<dyn Error>> {
    let request = CreateTrainingRunRequest { dataset: name.into(), ..CreateTrainingRunRequest::default() };
    let created = graft.trainer.training().create_training_run(request).await;
    let run = created.map_err(|status| graft.trainer.error(status))?.into_inner().training_run.unwrap_or_default();
    let mut states = watch(&graft.trainer, &run.id).await?;
    while let Some(state) = states.try_next().await? {
        let progress = state.progress.unwrap_or_default();
        println!("{:3.0}% {:?}", 100.0 * progress.fraction, progress.phase());
    }
    // A run that has ended is told at once.
    let run = wait_for(&graft.trainer, &run.id).await?;
    match run.state() {
        TrainingState::Succeeded => Ok(format!("{}@{}", run.head, run.head_version)),
        state => Err(format!("{state:?}: {}", run.error).into()),
    }
}

async fn classify(graft: &Graft, head: &str, photos: &[(PathBuf, String)]) -> Result<(), Box<dyn Error>> {
    let item = |(path, _): &(PathBuf, String)| -> std::io::Result<ClassifyItem> {
        let input = Some(ClassifyInput { input: Some(Input::Image(image(path)?)) });
        Ok(ClassifyItem { id: path.display().to_string(), input, ..ClassifyItem::default() })
    };
    let items: Vec<ClassifyItem> = photos.iter().filter_map(|photo| item(photo).ok()).collect();
    let options = ClassifyOptions { head: head.into(), top_k: 1, ..ClassifyOptions::default() };
    let mut answers = classify_many(&graft.trainer, options, futures::stream::iter(items)).await?;
    while let Some(answer) = answers.try_next().await? {
        match answer.result {
            Ok(found) => {
                let best = found.predictions.into_iter().next().unwrap_or_default();
                println!("{}: {} ({:.2})", answer.id, best.label, best.probability);
            }
            Err(error) => eprintln!("{}: {}", answer.id, error.message),
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("NAME FOLDER are expected".into());
    };
    let graft = Graft::connect()?;
    let photos = photos(&folder)?;
    import_all(&graft, &name, photos.clone()).await?;
    let head = train(&graft, &name).await?;
    println!("fitted {head}");
    classify(&graft, &head, &photos).await
}
