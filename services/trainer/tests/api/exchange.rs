//! Heads that come from elsewhere and go elsewhere, over the wire, with a scripted extractor.

#[allow(dead_code, reason = "no image is imported here")]
use std::collections::HashMap;

use crate::peer::{DIMENSION, Peer, SPACE, serve};
use crate::place::{Place, in_both};
use graft_proto::v1::{
    DeleteHeadRequest, ExportHeadRequest, GetHeadRequest, Head, ImportHeadOptions, ImportHeadRequest, WarningKind,
    extractor_service_server::ExtractorServiceServer, head_service_client::HeadServiceClient,
    head_service_server::HeadServiceServer,
};
use graft_trainer::{
    classify::{HeadCache, traffic::Traffic},
    compare::Comparer,
    embed::Extractor,
    fit::head::{self, LinearHead, NeighboursHead, cosine::Space},
    service::heads::Heads,
    store::Store,
};
use tonic::{Code, Status, service::Routes, transport::Channel};

in_both!(
    a_head_that_goes_out_comes_back_as_it_was,
    what_is_wrong_registers_nothing,
    without_the_extractor_nothing_is_imported,
);

/// Bytes of one message in.
const PART: usize = 1 << 20;

async fn heads(store: Store, extractor: &str) -> HeadServiceClient<Channel> {
    let ready = HeadCache::new(store.clone(), 1 << 20, Traffic::default());
    let comparer = Comparer::new(store.clone(), 1 << 20);
    let extractor = Extractor::new(&[extractor.parse().unwrap()]).unwrap();
    let service = HeadServiceServer::new(Heads::new(store, ready, comparer, extractor, Traffic::default()));
    let address = serve(Routes::new(service.max_decoding_message_size(16 << 20))).await;
    HeadServiceClient::connect(format!("http://{address}")).await.unwrap()
}

async fn start(place: &Place) -> HeadServiceClient<Channel> {
    let extractor = serve(Routes::new(ExtractorServiceServer::new(Peer::default()))).await;
    heads(place.open().await, &format!("http://{extractor}")).await
}

fn options(name: &str, labels: &[&str]) -> ImportHeadOptions {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    ImportHeadOptions { name: name.into(), backbone: "net".into(), labels, ..Default::default() }
}

async fn import(
    client: &mut HeadServiceClient<Channel>,
    options: ImportHeadOptions,
    file: &[u8],
) -> Result<Head, Status> {
    let mut messages = vec![ImportHeadRequest { options: Some(options), data: Vec::new().into() }];
    messages.extend(file.chunks(PART).map(|part| ImportHeadRequest { options: None, data: part.to_vec().into() }));
    Ok(client.import_head(tokio_stream::iter(messages)).await?.into_inner().head.unwrap())
}

/// The head as told, and its file.
async fn export(client: &mut HeadServiceClient<Channel>, name: &str) -> (Head, Vec<u8>) {
    let request = ExportHeadRequest { name: name.into() };
    let mut parts = client.export_head(request).await.unwrap().into_inner();
    let (mut head, mut size, mut file) = (None, 0, Vec::new());
    while let Some(part) = parts.message().await.unwrap() {
        assert!(part.data.len() <= PART);
        head = head.or(part.head);
        size += part.size;
        file.extend_from_slice(&part.data);
    }
    assert_eq!(size, file.len() as u64);
    (head.unwrap(), file)
}

fn linear(classes: usize) -> LinearHead {
    let weights = (0..DIMENSION * classes).map(|n| (n as f32).sin()).collect();
    LinearHead { weights, bias: (0..classes).map(|n| n as f32 / 8.0).collect(), dimension: DIMENSION, classes }
}

/// Large enough for several messages.
fn neighbours() -> NeighboursHead {
    let count = 200_000;
    NeighboursHead {
        space: Space { mean: vec![0.5; DIMENSION], scale: vec![2.0; DIMENSION] },
        examples: (0..count * DIMENSION).map(|n| (n as f32).cos()).collect(),
        owners: (0..count as u32).map(|n| n % 2).collect(),
        classes: 2,
        nearest: 5,
        factor: 0.75,
    }
}

async fn a_head_that_goes_out_comes_back_as_it_was(place: Place) {
    let mut client = start(&place).await;
    for weights in [
        head::Head::Linear(linear(2)),
        head::Head::Sigmoid { linear: linear(2), thresholds: vec![0.25, 0.5] },
        head::Head::Neighbours(neighbours()),
    ] {
        let notes = HashMap::from([("graft_version".to_owned(), "0.1.0".to_owned())]);
        let file = weights.to_safetensors(notes).unwrap();
        let note = ImportHeadOptions { note: "by hand".into(), ..options("first", &["yes", "no"]) };
        let first = import(&mut client, note, &file).await.unwrap();
        let origin = first.origin.clone().unwrap();
        assert_eq!((origin.note.as_str(), origin.exported_as.as_str()), ("by hand", ""));
        assert_eq!(origin.file_hash, blake3::hash(&file).to_hex().as_str());
        assert_eq!((first.space.as_str(), first.backbone.as_str(), first.training_run.as_str()), (SPACE, "net", ""));

        let (told, exported) = export(&mut client, "first").await;
        assert_eq!(told, Head { report: None, ..first.clone() });
        assert_eq!(head::Head::from_safetensors(&exported).unwrap(), weights, "every bit of the weights");
        let alone = ImportHeadOptions { name: "second".into(), ..Default::default() };
        let second = import(&mut client, alone, &exported).await.unwrap();
        assert_eq!((&second.labels, second.version), (&first.labels, first.version));
        assert_eq!(second.origin.unwrap().exported_as, format!("first@{}", first.version));
        let (_, again) = export(&mut client, "second").await;
        assert_eq!(head::Head::from_safetensors(&again).unwrap(), weights);

        let got = client.get_head(GetHeadRequest { name: "second".into() }).await.unwrap().into_inner().head.unwrap();
        assert_eq!(got.report.unwrap().warnings[0].kind(), WarningKind::NoTest);
    }
    client.delete_head(DeleteHeadRequest { name: "first".into() }).await.unwrap();
    let gone = client.export_head(ExportHeadRequest { name: "first".into() }).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

async fn what_is_wrong_registers_nothing(place: Place) {
    let mut client = start(&place).await;
    let notes = HashMap::from([("graft_version".to_owned(), "0.1.0".to_owned())]);
    let file = head::Head::Linear(linear(3)).to_safetensors(notes).unwrap();
    let three = || options("h", &["a", "b", "c"]);
    let elsewhere = ImportHeadOptions { space: "net@f".into(), ..three() };
    let nowhere = ImportHeadOptions { backbone: String::new(), ..three() };
    for (options, file, code, word) in [
        (three(), &file[..20], Code::InvalidArgument, "data"),
        (three(), &[][..], Code::InvalidArgument, "data"),
        (options("h", &["a", "b"]), &file, Code::InvalidArgument, "3 logits"),
        (options("h", &["a", "b", "b"]), &file, Code::InvalidArgument, "twice"),
        (options("H", &["a", "b", "c"]), &file, Code::InvalidArgument, "options.name"),
        (elsewhere, &file, Code::FailedPrecondition, "net@f"),
        (nowhere, &file, Code::InvalidArgument, "options.backbone"),
    ] {
        let status = import(&mut client, options, file).await.unwrap_err();
        assert!(status.code() == code && status.message().contains(word), "{status}");
    }
    let none = client.import_head(tokio_stream::iter([ImportHeadRequest::default()])).await.unwrap_err();
    assert!(none.message().contains("options"), "{none}");
    let twice = ImportHeadRequest { options: Some(three()), data: Vec::new().into() };
    let twice = client.import_head(tokio_stream::iter([twice.clone(), twice])).await.unwrap_err();
    assert!(twice.message().contains("twice"), "{twice}");
    let missing = client.get_head(GetHeadRequest { name: "h".into() }).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(import(&mut client, three(), &file).await.unwrap().version, 1);
}

async fn without_the_extractor_nothing_is_imported(place: Place) {
    // Port 1 is the TCP port multiplexer's: nobody listens there.
    let mut client = heads(place.open().await, "http://127.0.0.1:1").await;
    let notes = HashMap::from([("graft_version".to_owned(), "0.1.0".to_owned())]);
    let file = head::Head::Linear(linear(2)).to_safetensors(notes).unwrap();
    let exact = ImportHeadOptions { space: SPACE.into(), ..options("h", &["a", "b"]) };
    let status = import(&mut client, exact, &file).await.unwrap_err();
    assert!(status.code() == Code::Unavailable && status.message().contains("127.0.0.1:1"), "{status}");
    assert!(client.get_head(GetHeadRequest { name: "h".into() }).await.is_err());
}
