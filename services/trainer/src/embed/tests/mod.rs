//! What is promised of several extractors, with real connections to extractors that play a part.

mod names;
mod scripted;
mod spread;

use std::{collections::HashMap, time::Duration};

use graft_proto::v1::{Augmentation, ExtractItem, Image, Priority, image::Source};
use tonic::{Code, Status};

use self::scripted::{Part, Scripted};
use super::{Answer, Embedding, Extractor, endpoints::Endpoint};

/// A test that takes longer is taken to hang.
const SOON: Duration = Duration::from_secs(20);

fn extractor(urls: &[String]) -> Extractor {
    let endpoints: Vec<Endpoint> = urls.iter().map(|url| url.parse().unwrap()).collect();
    Extractor::new(&endpoints).unwrap()
}

/// Wait until so many of them can be reached.
async fn reached(extractor: &Extractor, count: usize) {
    tokio::time::timeout(SOON, async {
        while extractor.pool.count() != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{count} extractors are expected: {:?}", extractor.pool.ready()));
}

async fn begin(extractor: &Extractor, views: u32) -> Result<Embedding, Status> {
    let augmentation = (views > 0).then(|| Augmentation { views, ..Default::default() });
    extractor.begin("", "space", augmentation, Priority::Bulk, None).await
}

fn image(id: &str) -> Image {
    Image { source: Some(Source::Encoded(id.as_bytes().to_vec().into())) }
}

fn items(ids: impl IntoIterator<Item = String>) -> Vec<ExtractItem> {
    let item = |id: String| ExtractItem { image: Some(image(&id)), id, without_views: false };
    ids.into_iter().map(item).collect()
}

/// All answers of a stream whose images were sent: the views of each image, or its refusal. None comes twice.
async fn answers(mut embedding: Embedding) -> HashMap<String, Result<Vec<u32>, Status>> {
    embedding.end();
    let mut answers: HashMap<String, Result<Vec<u32>, Status>> = HashMap::new();
    let all = async {
        while let Some(answer) = embedding.next().await.unwrap() {
            match answer {
                Answer::Embedded(rows) => {
                    for row in rows {
                        assert_eq!(row.numbers, [row.id.len() as f32, row.view as f32], "its own numbers");
                        let views = answers.entry(row.id.clone()).or_insert_with(|| Ok(Vec::new())).as_mut().unwrap();
                        assert!(!views.contains(&row.view), "{} {} twice", row.id, row.view);
                        views.push(row.view);
                    }
                }
                Answer::Refused(id, status) => {
                    assert!(answers.insert(id.clone(), Err(status)).is_none_or(|former| former.is_ok()), "{id} twice");
                }
            }
        }
    };
    tokio::time::timeout(SOON, all).await.expect("the stream comes to its end");
    answers
}

#[tokio::test]
async fn an_extractor_that_is_not_there_is_named() {
    // Port 1 is the TCP port multiplexer's: nobody listens there.
    let nowhere = ["http://127.0.0.1:1".to_owned(), "http://127.0.0.2:1".to_owned()];
    for urls in [&nowhere[..1], &nowhere] {
        let extractor = extractor(urls);
        let soon = std::time::Instant::now() + Duration::from_secs(1);
        let embedded = extractor.embed("", "space", image("x"), Some(soon)).await.map(drop);
        let found = [embedded, extractor.backbone("").await.map(drop), begin(&extractor, 0).await.map(drop)];
        for status in found.map(Result::unwrap_err) {
            assert_eq!(status.code(), Code::Unavailable);
            let message = status.message();
            assert!(urls.iter().all(|url| message.contains(url)) && message.contains("refused"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_single_image_goes_to_another_when_its_extractor_is_lost() {
    let loser = Scripted::start(Part { lose: |id| id == "1", ..Part::default() }).await;
    let good = Scripted::start(Part::default()).await;
    let extractor = extractor(&[loser.url(), good.url()]);
    reached(&extractor, 2).await;
    for _ in 0..4 {
        let numbers = extractor.embed("", "space", image("x"), None).await.unwrap();
        assert_eq!(numbers, [1.0, 0.0]);
    }
    assert!(good.embedded() == 4 && loser.lost() == 1);
}

#[tokio::test]
async fn who_has_another_space_is_passed_over() {
    let other = Scripted::start(Part { space: "another", ..Part::default() }).await;
    let good = Scripted::start(Part::default()).await;
    let both = extractor(&[other.url(), good.url()]);
    reached(&both, 2).await;
    let embedding = begin(&both, 0).await.unwrap();
    embedding.send_items(items((0..100).map(|n| n.to_string())));
    assert!(answers(embedding).await.len() == 100 && other.embedded() == 0);
    both.embed("", "space", image("x"), None).await.unwrap();

    let alone = extractor(&[other.url()]);
    for status in [begin(&alone, 0).await.map(drop), alone.embed("", "space", image("x"), None).await.map(drop)] {
        let status = status.unwrap_err();
        assert!(status.code() == Code::FailedPrecondition && status.message().contains("another"), "{status:?}");
    }
}

#[tokio::test]
async fn a_caller_without_time_costs_no_extractor() {
    let slow = Scripted::start(Part { takes: Duration::from_secs(60), ..Part::default() }).await;
    let extractor = extractor(&[slow.url()]);
    reached(&extractor, 1).await;
    let soon = std::time::Instant::now() + Duration::from_millis(100);
    let status = extractor.embed("", "space", image("x"), Some(soon)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(extractor.pool.count(), 1);
}
