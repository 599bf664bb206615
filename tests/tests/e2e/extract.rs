//! The extractor alone: the reference's embeddings, every answer once, formats, backbones, bad images.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    DType, ExtractOptions, GetBackboneRequest, Image, ListBackbonesRequest, Priority, extract_response,
};
use graft_tests::{
    calls::{cosine, extract, extract_messages, floats, mentions, refused},
    fashion,
    pictures::{encoded, photo, png_of_size, png_with_profile, stripes},
    services::{Service, root},
};
use image::ImageFormat;
use safetensors::SafeTensors;
use tonic::Code;

const IMAGENET: &str = "efficientnet-lite0-imagenet";

#[tokio::test]
async fn embeddings_are_those_of_the_reference() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let mut items: Vec<(String, Image)> = Vec::new();
    for name in ["astronaut.png", "chelsea.png", "coffee.jpg", "rocket.jpg"] {
        items.push((name.split('.').next().context("a stem")?.to_owned(), encoded(photo(name)?)));
    }
    for (index, row) in fashion::reference()?.iter().enumerate() {
        items.push((format!("fashion{index}"), row.image()));
    }
    let options = ExtractOptions { backbone: IMAGENET.into(), ..Default::default() };
    let embedded = extract(&extractor, options, items).await?;
    ensure!(embedded.len() == 12, "every image is answered");

    let file = std::fs::read(root().join("tests/data/reference/parity.safetensors"))?;
    let reference = SafeTensors::deserialize(&file)?;
    for (name, embedding) in embedded {
        let embedding = embedding.map_err(|error| anyhow::anyhow!("{name}: {error:?}"))?;
        let expected = floats(reference.tensor(&format!("{name}.embedding"))?.data());
        let likeness = cosine(&embedding, &expected);
        let least = if matches!(name.as_str(), "coffee" | "rocket") { 0.999 } else { 0.9999 };
        ensure!(likeness >= least, "{name}: cosine {likeness}");
    }
    Ok(())
}

#[tokio::test]
async fn both_backbones_are_described_and_have_spaces_of_their_own() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let mut client = extractor.extractor_client().await?;
    let backbones = client.list_backbones(ListBackbonesRequest {}).await?.into_inner().backbones;
    let names: Vec<&str> = backbones.iter().map(|backbone| backbone.name.as_str()).collect();
    ensure!(names == ["efficientnet-lite0", IMAGENET], "{names:?}");
    ensure!(backbones[0].space != backbones[1].space && backbones[0].model_hash == backbones[1].model_hash);
    for backbone in &backbones {
        let (name, hash) = backbone.space.split_once('@').context("NAME@HASH")?;
        ensure!(name == backbone.name && hash.len() == 16, "{}", backbone.space);
        ensure!(backbone.dimension == 1280 && backbone.provider == "cpu" && !backbone.provenance.is_empty());
        let cut = backbone.detachment.as_ref().context("what was taken off is said")?;
        ensure!(cut.classifier_op == "Gemm" && !cut.feature_tensor.is_empty() && !cut.reason.is_empty(), "{cut:?}");
    }
    let default = client.get_backbone(GetBackboneRequest::default()).await?.into_inner().backbone;
    ensure!(default.is_some_and(|backbone| backbone.name == "efficientnet-lite0" && backbone.default));
    let unknown = client.get_backbone(GetBackboneRequest { name: "resnet-9000".into() }).await;
    refused(unknown, Code::NotFound, &["resnet-9000", "efficientnet-lite0"])?;
    Ok(())
}

#[tokio::test]
async fn half_precision_and_interactive_work_give_the_same_numbers() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let items = vec![("a".to_owned(), fashion::reference()?[0].image())];
    let full = extract(&extractor, ExtractOptions::default(), items.clone()).await?;
    let full = full["a"].as_ref().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let options = ExtractOptions { priority: Priority::Interactive as i32, ..Default::default() };
    let now = extract(&extractor, options, items.clone()).await?;
    ensure!(cosine(full, now["a"].as_ref().map_err(|error| anyhow::anyhow!("{error:?}"))?) > 0.999_999);

    let options = ExtractOptions { dtype: DType::F16 as i32, ..Default::default() };
    let messages = tokio_stream::iter(extract_messages(options, items));
    let mut answers = extractor.extractor_client().await?.extract(messages).await?.into_inner();
    let mut seen = false;
    while let Some(answer) = answers.message().await? {
        if let Some(extract_response::Message::Embeddings(batch)) = answer.message {
            ensure!(batch.dtype() == DType::F16 && batch.data.len() == 2 * 1280, "two bytes a number");
            let largest = (0..full.len()).max_by(|a, b| full[*a].total_cmp(&full[*b])).context("a feature")?;
            let bits = u16::from_le_bytes([batch.data[2 * largest], batch.data[2 * largest + 1]]);
            // IEEE 754: a positive normal number's five exponent bits are biased by 15, its fraction has ten.
            let value = f32::from(1024 + (bits & 1023)) * 2f32.powi(i32::from(bits >> 10) - 25);
            let expected = full[largest];
            ensure!(expected > 0.1 && (value - expected).abs() <= expected * 1e-3, "{value} and {expected}");
            seen = true;
        }
    }
    ensure!(seen, "an embedding came");
    Ok(())
}

#[tokio::test]
async fn bad_images_are_answered_and_the_others_embedded() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let whole = photo("coffee.jpg")?;
    let png = stripes(40, 30, 1, ImageFormat::Png)?;
    let half = |format| stripes(40, 30, 1, format).map(|file| encoded(file.slice(..file.len() / 2)));
    let bad: Vec<(&str, Image, &[&str])> = vec![
        ("truncated-jpeg", encoded(whole.slice(..whole.len() / 2)), &["image.encoded", "JPEG"]),
        ("truncated-png", encoded(png.slice(..png.len() / 2)), &["image.encoded", "PNG"]),
        ("truncated-webp", half(ImageFormat::WebP)?, &["image.encoded", "WebP"]),
        ("truncated-gif", half(ImageFormat::Gif)?, &["image.encoded", "GIF"]),
        ("truncated-bmp", half(ImageFormat::Bmp)?, &["image.encoded", "BMP"]),
        ("truncated-tiff", half(ImageFormat::Tiff)?, &["image.encoded", "TIFF"]),
        ("empty", encoded(""), &["image.encoded", "empty"]),
        ("text", encoded("label,pixel1\n9,0\n"), &["image.encoded", "JPEG", "PNG"]),
        ("bomb", encoded(png_of_size(10_000, 10_000)), &["image", "100000000", "50000000"]),
        ("short-row", fashion::pixels(28, 28, 1, vec![0; 783]), &["image.pixels.data", "783", "784"]),
        ("no-rows", fashion::pixels(0, 28, 1, vec![]), &["image.pixels.height"]),
        ("four-channels", fashion::pixels(2, 2, 4, vec![0; 16]), &["image.pixels.channels", "4"]),
        ("huge-shape", fashion::pixels(u32::MAX, u32::MAX, 3, vec![0; 9]), &["image", "50000000"]),
        ("nothing", Image { source: None }, &["image", "missing"]),
    ];
    let mut items: Vec<(String, Image)> = bad.iter().map(|(id, image, _)| ((*id).to_owned(), image.clone())).collect();
    for (index, row) in fashion::reference()?.iter().enumerate() {
        items.insert(index * 2, (format!("good-{index}"), row.image()));
    }
    items.push(("good-1xN".into(), encoded(stripes(1, 900, 3, ImageFormat::Png)?)));
    items.push(("good-Nx1".into(), encoded(stripes(900, 1, 3, ImageFormat::Png)?)));
    for format in [ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff] {
        items.push((format!("good-{format:?}"), encoded(stripes(40, 30, 1, format)?)));
    }
    let embedded = extract(&extractor, ExtractOptions::default(), items).await?;
    ensure!(embedded.len() == bad.len() + 14, "every image is answered");
    for (id, _, words) in bad {
        let Err(error) = &embedded[id] else { anyhow::bail!("{id} was embedded") };
        ensure!(error.code == Code::InvalidArgument as i32, "{id}: {error:?}");
        mentions(&format!("{} {}", error.field, error.message), words).context(id)?;
    }
    let good = embedded.iter().filter(|(id, _)| id.starts_with("good"));
    ensure!(good.clone().count() == 14 && good.clone().all(|(_, answer)| answer.is_ok()), "the others are embedded");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_breaks_the_contract_is_told_how() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let image = fashion::reference()?[0].image();
    let one = |id: &str| vec![(id.to_owned(), image.clone())];
    let run = async |messages| -> Result<(), tonic::Status> {
        let client = extractor.extractor_client().await;
        let mut client = client.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut answers = client.extract(tokio_stream::iter::<Vec<_>>(messages)).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    };
    let good = extract_messages(ExtractOptions::default(), one("a"));
    refused(run(good[1..].to_vec()).await, Code::InvalidArgument, &["options", "first"])?;
    refused(run(vec![]).await, Code::InvalidArgument, &["options", "first"])?;
    let twice = vec![good[0].clone(), good[0].clone()];
    refused(run(twice).await, Code::InvalidArgument, &["options", "twice"])?;
    let long = extract_messages(ExtractOptions::default(), one(&"x".repeat(257)));
    refused(run(long).await, Code::InvalidArgument, &["items.id", "257", "256"])?;
    let same: Vec<_> = (0..8).map(|_| ("same".to_owned(), image.clone())).collect();
    refused(run(extract_messages(ExtractOptions::default(), same)).await, Code::InvalidArgument, &["same", "unique"])?;
    let unknown = ExtractOptions { backbone: "resnet-9000".into(), ..Default::default() };
    refused(run(extract_messages(unknown, one("a"))).await, Code::NotFound, &["resnet-9000", IMAGENET])?;
    let space = ExtractOptions { space: "efficientnet-lite0@0000000000000000".into(), ..Default::default() };
    let refusal = run(extract_messages(space, one("a"))).await;
    refused(refusal, Code::FailedPrecondition, &["efficientnet-lite0@0000000000000000"])?;
    let dtype = ExtractOptions { dtype: 77, ..Default::default() };
    refused(run(extract_messages(dtype, one("a"))).await, Code::InvalidArgument, &["dtype", "77"])?;
    run(good).await.context("and the extractor is well")?;
    Ok(())
}

#[tokio::test]
async fn interactive_work_overtakes_a_stream() -> Result<()> {
    let extractor = Service::extractor(&["--stream-window", "2048"]).await?;
    let row = fashion::reference()?[0].image();
    let many: Vec<(String, Image)> = (0..1_500).map(|index| (index.to_string(), row.clone())).collect();
    let bulk = extract(&extractor, ExtractOptions::default(), many);
    let overtaking = async {
        while extractor.metric("graft_extractor_queue_depth_images", "bulk").await? < 1_000.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let options = ExtractOptions { priority: Priority::Interactive as i32, ..Default::default() };
        let one = extract(&extractor, options, vec![("now".into(), row.clone())]).await?;
        ensure!(one["now"].is_ok());
        extractor.metric("graft_extractor_queue_depth_images", "bulk").await
    };
    let (bulk, waiting) = tokio::join!(bulk, overtaking);
    let waiting = waiting?;
    ensure!(waiting > 500.0, "hundreds of images were there before it: {waiting}");
    ensure!(bulk?.values().filter(|answer| answer.is_ok()).count() == 1_500, "and they are embedded all the same");
    Ok(())
}

#[tokio::test]
async fn a_small_file_that_unpacks_to_very_much_costs_little() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let row = ("row".to_owned(), fashion::reference()?[0].image());
    extract(&extractor, ExtractOptions::default(), vec![row.clone()]).await?;
    let before = extractor.peak_memory()?;
    let bomb = png_with_profile(512 << 20)?;
    ensure!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let items = vec![("bomb".to_owned(), encoded(bomb)), row];
    let embedded = extract(&extractor, ExtractOptions::default(), items).await?;
    ensure!(embedded["row"].is_ok(), "{:?}", embedded["row"]);
    let grown = extractor.peak_memory()?.saturating_sub(before);
    ensure!(grown < 100 << 20, "{} MiB for one small file", grown >> 20);
    Ok(())
}

#[tokio::test]
async fn a_client_that_never_reads_holds_up_nobody_else() -> Result<()> {
    const WINDOW: f64 = 16.0;
    let extractor = Service::extractor(&["--stream-window", "16"]).await?;
    let row = fashion::reference()?[0].image();
    let many: Vec<(String, Image)> = (0..5_000).map(|index| (format!("{index}"), row.clone())).collect();
    let messages = tokio_stream::iter(extract_messages(ExtractOptions::default(), many));
    let deaf = extractor.extractor_client().await?.extract(messages).await?.into_inner();
    // Embedded, until nothing more is: what fits the way to the caller, and the window.
    let mut done = 0.0;
    loop {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let now = extractor.metric("graft_extractor_images_total", "embedded").await?;
        if now == done && now > 0.0 {
            break;
        }
        done = now;
    }
    // 5,120 bytes an embedding: the windows of HTTP/2 and the sockets' buffers take some hundreds of them.
    ensure!((WINDOW..2_500.0).contains(&done), "what nobody reads is not made: {done}");
    let others = extract(&extractor, ExtractOptions::default(), vec![("a".into(), row)]).await?;
    ensure!(others["a"].is_ok());
    drop(deaf);
    Ok(())
}
