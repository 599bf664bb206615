//! Embed image files, and tell which two are most alike.
//!
//! `cargo run --example embed -- FILE…`; services are found as the `graft` command finds them.

use std::{error::Error, fs, path::PathBuf};

use futures::TryStreamExt;
use graft_client::{
    Graft, extract,
    proto::{ExtractItem, ExtractOptions, Image, image::Source},
};

/// The image of a file, known by its place among the files.
fn item((index, path): (usize, PathBuf)) -> std::io::Result<ExtractItem> {
    let image = Image { source: Some(Source::Encoded(fs::read(path)?.into())) };
    Ok(ExtractItem { id: index.to_string(), image: Some(image), ..ExtractItem::default() })
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let items = paths.iter().cloned().enumerate().map(item).collect::<Result<Vec<_>, _>>()?;

    let graft = Graft::connect()?;
    let extraction = extract(&graft.extractor, ExtractOptions::default(), futures::stream::iter(items)).await?;
    println!("{}, {} numbers each", extraction.backbone.space, extraction.backbone.dimension);

    let mut embeddings: Vec<(usize, Vec<f32>)> = Vec::new();
    let mut replies = extraction.embeddings;
    while let Some(reply) = replies.try_next().await? {
        let index: usize = reply.id.parse()?;
        match reply.result {
            Ok(embedding) => embeddings.push((index, embedding)),
            // A bad image is an answer, and the stream goes on.
            Err(error) => eprintln!("{}: {}", paths[index].display(), error.message),
        }
    }
    let pairs = embeddings.iter().enumerate().flat_map(|(place, a)| embeddings[..place].iter().map(move |b| (a, b)));
    let alike = pairs.map(|(a, b)| (cosine(&a.1, &b.1), a.0, b.0)).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((cosine, a, b)) = alike {
        println!("most alike, with a cosine of {cosine:.3}: {}, {}", paths[a].display(), paths[b].display());
    }
    Ok(())
}
