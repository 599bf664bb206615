//! Opening the state: who may, what is refused, and what is cleaned up.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use futures::future::join_all;

use crate::store::{
    Location, OpenError, Store,
    place::{Place, in_both},
};

in_both!(a_flipped_bit_is_named);

async fn a_flipped_bit_is_named(place: Place) {
    let store = place.open().await;
    store.put("heads/a", vec![1, 2, 3]).await.unwrap();
    let checksum = blake3::hash(&[1, 2, 3]);
    assert_eq!(store.get("heads/a", checksum.as_bytes()).await.unwrap(), vec![1, 2, 3]);
    fs::write(place.path("heads/a"), [1, 2, 2]).unwrap();
    let error = store.get("heads/a", checksum.as_bytes()).await.unwrap_err().to_string();
    assert!(error.contains("heads/a") && error.contains("checksum"), "{error}");
    assert!(store.get("heads/b", checksum.as_bytes()).await.unwrap_err().to_string().contains("missing"));
}

#[tokio::test]
async fn one_trainer_a_directory_and_orphans_are_removed() {
    let place = Place::directory().await;
    let store = place.open().await;
    let again = Store::open(place.folder.path()).await;
    assert!(matches!(again, Err(OpenError::Locked { .. })));
    store.put("segments/orphan.safetensors", vec![1]).await.unwrap();
    fs::write(place.path("segments/half.safetensors#1"), [1]).unwrap();
    drop(store);
    place.open().await;
    assert_eq!(fs::read_dir(place.path("segments")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_trainers_start_at_once_on_an_empty_cluster() {
    let place = Place::cluster().await;
    let locations: Vec<Location> = (0..8).map(|_| place.location()).collect();
    let stores = join_all(locations.iter().map(Store::open_at)).await;
    assert!(stores.iter().all(|store| store.as_ref().is_ok_and(Store::is_shared)), "{stores:?}");
}

#[tokio::test]
async fn only_old_orphans_of_a_bucket_are_removed() {
    let place = Place::cluster().await;
    let store = place.open().await;
    let [orphan, young] = ["segments/orphan.safetensors", "heads/young.safetensors"];
    for file in [orphan, young] {
        store.put(file, vec![1]).await.unwrap();
    }
    let date = |file: &str, age: u64| {
        let then = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(place.path(file)).unwrap().set_modified(then).unwrap();
    };
    date(orphan, 25 * 3600);
    date(young, 23 * 3600);
    place.open().await;
    assert!(!place.path(orphan).exists());
    assert!(place.path(young).exists(), "another replica may be about to count it");
    store.clean(&["heads"], Duration::from_secs(22 * 3600)).await.unwrap();
    assert!(!place.path(young).exists());
}

#[tokio::test]
async fn a_bucket_belongs_to_one_database() {
    let (place, other) = (Place::cluster().await, Place::cluster().await);
    place.open().await;
    place.open().await;
    let foreign = Location { bucket: place.location().bucket, ..other.location() };
    let refused = Store::open_at(&foreign).await.unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }) && refused.is_bad_configuration(), "{refused}");
    let local = Location { database: None, ..foreign };
    let refused = Store::open_at(&local).await.unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "also where the database is a file: {refused}");
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let place = Place::cluster().await;
    let apart = Location { bucket: None, ..place.location() };
    let error = Store::open_at(&apart).await.unwrap_err();
    assert!(error.to_string().contains("s3://") && error.is_bad_configuration(), "{error}");

    let mut nowhere = place.location();
    let database = place.cluster.as_ref().unwrap().database.replace("/d", "/nothing");
    nowhere.database = Some(database.parse().unwrap());
    let error = Store::open_at(&nowhere).await.unwrap_err();
    assert!(error.to_string().contains("database-url: postgres://127.0.0.1"), "{error}");
    assert!(error.to_string().contains("does not exist") && error.is_bad_configuration(), "{error}");

    let mut strange = place.location();
    let secrets = strange.bucket.as_mut().unwrap().environment.iter_mut();
    secrets.filter(|(key, _)| key == "AWS_SECRET_ACCESS_KEY").for_each(|(_, value)| "wrong".clone_into(value));
    let error = Store::open_at(&strange).await.unwrap_err();
    assert!(error.to_string().contains("artifacts: s3://") && error.is_bad_configuration(), "{error}");
}
