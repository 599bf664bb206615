//! A bucket that is away for longer than anybody waits: nothing is half there, and afterwards all is as before.

use graft_proto::v1::Split;
use tonic::{Code, Status};

use crate::{
    content::ContentHash,
    names::{Name, Tenant},
    store::{add::Added, examples::ExampleRow, place::Place, segments::NewExample},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_to_the_bucket_is_not_counted() {
    let place = Place::cluster().await;
    let (store, tenant, name) = (place.open().await, Tenant::default(), Name::parse("name", "d").unwrap());
    store.create_dataset(&tenant, &name, "net", "net@0", 1, false).await.unwrap();
    let dataset = store.dataset(&tenant, &name).await.unwrap().unwrap();
    let hash = ContentHash::from_slice(&[7; 32]).unwrap();
    let row = ExampleRow { hash, id: "a".into(), labels: vec!["x".into()], split: Split::Train };
    let examples = [NewExample { row, embedding: Some(vec![1.0]), views: Vec::new() }];

    let bucket = &place.cluster.as_ref().unwrap().bucket;
    bucket.refuse_writes(true);
    let error = store.add(&tenant, &dataset, &examples).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    let status = Status::from(error);
    assert!(status.code() == Code::Unavailable && status.message().contains("try it again"), "{status:?}");
    assert!(store.known(dataset.id, &[hash]).await.unwrap().is_empty());
    assert!(store.embedded(&tenant, "net@0", &[hash]).await.unwrap().is_empty());

    bucket.refuse_writes(false);
    assert_eq!(store.add(&tenant, &dataset, &examples).await.unwrap(), Some(vec![Added::New]));
    assert_eq!(store.embeddings(&tenant, &dataset, &[hash]).await.unwrap(), [1.0]);
}
