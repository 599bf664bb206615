//! Names that have many addresses, and other ones later.

use std::{io, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;

use super::{
    super::{Extractor, pool::Pool},
    *,
};

/// Addresses of the only name that there is.
type Known = Arc<Mutex<Option<Vec<SocketAddr>>>>;

fn named(known: &Known) -> Extractor {
    let known = known.clone();
    let look_up = move |host: String, port: u16| {
        assert_eq!((host.as_str(), port), ("extractors", 7401));
        let found = known.lock().clone().ok_or_else(|| io::Error::other("no such name"));
        async move { found }
    };
    let endpoint = "http://extractors:7401".parse().unwrap();
    Extractor { pool: Pool::start(&[endpoint], Duration::from_millis(50), look_up).unwrap() }
}

#[tokio::test]
async fn a_new_address_is_used_and_one_that_vanished_is_not() {
    // So long that neither has done all before the other is reached.
    let part = Part { takes: Duration::from_millis(5), ..Part::default() };
    let [first, second, third] =
        [Scripted::start(part).await, Scripted::start(part).await, Scripted::start(part).await];
    let known = Known::new(Mutex::new(Some(vec![first.address(), second.address(), first.address()])));
    let extractor = named(&known);
    reached(&extractor, 2).await;
    let mut embedding = begin(&extractor, 0).await.unwrap();
    embedding.send_items(items((0..100).map(|n| n.to_string())));
    let mut came = 0;
    while came < 100 {
        let Some(Answer::Embedded(rows)) = embedding.next().await.unwrap() else { panic!("it goes on") };
        came += rows.len();
    }
    assert!(first.embedded() > 0 && second.embedded() > 0, "one name, two extractors");

    *known.lock() = Some(vec![second.address(), third.address()]);
    let up = |address| extractor.pool.ready().iter().any(|member| member.address == address);
    while up(first.address()) || !up(third.address()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = first.embedded();
    embedding.send_items(items((100..400).map(|n| n.to_string())));
    assert_eq!(answers(embedding).await.len(), 300);
    assert_eq!(first.embedded(), before, "it vanished");
    assert!(third.embedded() > 0, "it is new");
}

#[tokio::test]
async fn a_name_that_is_not_found_for_a_while_keeps_its_addresses() {
    let known = Known::new(Mutex::new(None));
    let extractor = named(&known);
    let status = begin(&extractor, 0).await.unwrap_err();
    let message = status.message();
    assert!(message.contains("http://extractors:7401") && message.contains("no such name"), "{message}");

    let only = Scripted::start(Part::default()).await;
    *known.lock() = Some(vec![only.address()]);
    reached(&extractor, 1).await;
    for nothing in [None, Some(Vec::new())] {
        *known.lock() = nothing;
        tokio::time::sleep(Duration::from_millis(200)).await;
        extractor.embed("", "space", image("x"), None).await.unwrap();
    }
    only.stop().await;
    let status = extractor.embed("", "space", image("x"), None).await.unwrap_err();
    let message = status.message();
    assert!(message.contains("http://extractors:7401 cannot be reached (127.0.0.1:"), "{message}");
}

#[tokio::test]
async fn nobody_is_looked_for_once_nobody_asks() {
    let looked = Arc::new(Mutex::new(0));
    let count = looked.clone();
    let look_up = move |_, _| {
        *count.lock() += 1;
        async { Ok(vec!["127.0.0.1:1".parse().unwrap()]) }
    };
    let endpoint = "http://extractors:7401".parse().unwrap();
    let pool = Pool::start(&[endpoint], Duration::from_millis(10), look_up).unwrap();
    while *looked.lock() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(pool);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let after = *looked.lock();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*looked.lock(), after);
}
