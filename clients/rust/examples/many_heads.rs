//! One photo, classified by every head of the default backbone: it is embedded once.
//!
//! `cargo run --example many_heads -- FILE`; services are found as the `graft` command finds them.

use std::{error::Error, fs};

use graft_client::{
    Graft,
    proto::{ClassifyInput, ClassifyRequest, EveryHead, Image, classify_input::Input, image::Source},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("FILE is expected")?;
    let image = Image { source: Some(Source::Encoded(fs::read(file)?.into())) };
    let request = ClassifyRequest {
        input: Some(ClassifyInput { input: Some(Input::Image(image)) }),
        every_head: Some(EveryHead::default()),
        top_k: 1,
        ..ClassifyRequest::default()
    };

    let graft = Graft::connect()?;
    // Made again if the trainer is unavailable for a moment, and given up after a minute.
    let answer = graft.trainer.classifier().classify(request).await.map_err(|status| graft.trainer.error(status))?;
    for head in answer.into_inner().classifications {
        match (head.predictions.first(), &head.error) {
            (Some(best), _) => println!("{}: {} ({:.2})", head.head, best.label, best.probability),
            (None, Some(error)) => println!("{}: {}", head.head, error.message),
            (None, None) => println!("{}: no label applies", head.head),
        }
    }
    Ok(())
}
