//! A stream that is lost is gone on with.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use graft_client::{
    Graft, Retry, Settings, extract,
    proto::{ExtractItem, ExtractOptions, Image, image::Source},
};
use tonic::Status;

use crate::{
    scripted::embedding,
    server::{Server, free},
};

const COUNT: usize = 1000;

fn items() -> Vec<ExtractItem> {
    let item = |index: usize| {
        let bytes: Vec<u8> = (0..index % 50).map(|byte| (index + byte) as u8).collect();
        let image = Some(Image { source: Some(Source::Encoded(bytes.into())) });
        ExtractItem { id: index.to_string(), image, without_views: false }
    };
    (0..COUNT).map(item).collect()
}

#[tokio::test]
async fn every_image_has_one_embedding_however_often_the_stream_is_lost() {
    let server = Server::plain(free()).await;
    server.scripted.script(|script| script.breaks.extend([1, 0, 300, 64, 500]));
    let graft = Graft::new(&server.url("http"), &server.url("http")).unwrap();
    let stream = futures::stream::iter(items());
    let extraction = extract(&graft.extractor, ExtractOptions::default(), stream).await.unwrap();
    let replies: Vec<_> = extraction.embeddings.try_collect().await.unwrap();
    assert_eq!(replies.len(), COUNT, "none is lost or doubled");
    let found: BTreeMap<_, _> = replies.into_iter().map(|reply| (reply.id, reply.result.unwrap())).collect();
    for item in items() {
        assert_eq!(found[&item.id], embedding(&item), "{}", item.id);
    }
    let spaces: Vec<String> =
        server.scripted.script(|script| script.streams.iter().map(|options| options.space.clone()).collect());
    assert_eq!(spaces, ["", "net@1", "net@1", "net@1", "net@1", "net@1"], "no other space is accepted later");
}

#[tokio::test]
async fn a_stream_that_brings_nothing_any_more_is_given_up() {
    let server = Server::plain(free()).await;
    let url = server.url("http");
    let resume = Retry { attempts: 3, first_pause: std::time::Duration::from_millis(10), ..Retry::STREAM };
    let settings = Settings { trainer: url.clone(), extractor: url, resume, ..Settings::default() };
    server.scripted.script(|script| script.breaks.extend([5, 0, 0, 0, 0]));
    let graft = Graft::with(&settings).unwrap();
    let extraction = extract(&graft.extractor, ExtractOptions::default(), futures::stream::iter(items())).await;
    let mut embeddings = extraction.unwrap().embeddings;
    let (mut count, mut error) = (0, None);
    while let Some(reply) = embeddings.next().await {
        match reply {
            Ok(_) => count += 1,
            Err(failed) => error = Some(failed),
        }
    }
    assert_eq!((count, error.unwrap().is_unreachable()), (5, true));
    assert_eq!(server.scripted.calls(), 3);
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again() {
    let server = Server::plain(free()).await;
    server.scripted.script(|script| script.failures.push_back(Status::invalid_argument("no such backbone")));
    let graft = Graft::new(&server.url("http"), &server.url("http")).unwrap();
    let refused = extract(&graft.extractor, ExtractOptions::default(), futures::stream::iter(items())).await;
    assert!(refused.err().unwrap().to_string().contains("no such backbone"));
    assert_eq!(server.scripted.calls(), 1);
}
