//! One stream over several extractors.

use super::*;

fn numbered(count: usize) -> Vec<ExtractItem> {
    items((0..count).map(|n| n.to_string()))
}

#[tokio::test]
async fn a_fast_one_does_more_and_a_slow_one_does_not_hoard() {
    let fast = Scripted::start(Part { takes: Duration::from_millis(1), ..Part::default() }).await;
    let slow = Scripted::start(Part { takes: Duration::from_millis(20), ..Part::default() }).await;
    let extractor = extractor(&[slow.url(), fast.url()]);
    reached(&extractor, 2).await;
    let embedding = begin(&extractor, 0).await.unwrap();
    embedding.send_items(numbered(1000));
    let answers = answers(embedding).await;
    assert!(answers.len() == 1000 && answers.values().all(Result::is_ok));
    let (fast, slow) = (fast.embedded(), slow.embedded());
    // Timers are no finer than a millisecond, so the fast one takes about two.
    assert!(fast + slow == 1000 && fast > 4 * slow && slow > 32, "{fast} and {slow}");
    assert_eq!(extractor.pool.ready().iter().map(|member| member.outstanding()).sum::<usize>(), 0);
}

#[tokio::test]
async fn what_a_lost_one_had_is_answered_once_by_another() {
    let loser = Scripted::start(Part { lose: |_| true, ..Part::default() }).await;
    let good = Scripted::start(Part { takes: Duration::from_millis(1), ..Part::default() }).await;
    let extractor = extractor(&[loser.url(), good.url()]);
    reached(&extractor, 2).await;
    // The plain image of the one that loses the stream is answered before, and not again.
    let embedding = begin(&extractor, 2).await.unwrap();
    embedding.send_items(numbered(300));
    let answers = answers(embedding).await;
    assert!(answers.len() == 300 && good.embedded() == 300 && loser.lost() > 0);
    for (id, views) in answers {
        let mut views = views.unwrap();
        views.sort_unstable();
        assert_eq!(views, [0, 1, 2], "{id}");
    }
}

#[tokio::test]
async fn an_image_that_stops_extractors_is_given_up_and_all_others_are_answered() {
    let part = Part { lose: |id| id == "13", ..Part::default() };
    let (first, second) = (Scripted::start(part).await, Scripted::start(part).await);
    let extractor = extractor(&[first.url(), second.url()]);
    reached(&extractor, 2).await;
    let embedding = begin(&extractor, 0).await.unwrap();
    embedding.send_items(numbered(200));
    let answers = answers(embedding).await;
    assert_eq!(answers.len(), 200);
    for (id, answer) in answers {
        match answer {
            Ok(_) => assert_ne!(id, "13"),
            Err(status) => assert!(id == "13" && status.message().contains("3 extractors"), "{id}: {status:?}"),
        }
    }
}

#[tokio::test]
async fn one_that_is_there_later_is_used_later() {
    let good = Scripted::start(Part { takes: Duration::from_millis(5), ..Part::default() }).await;
    let later = Scripted::start(Part::default()).await;
    let extractor = extractor(&[good.url(), later.url()]);
    let address = later.stop().await.to_string();
    let embedding = begin(&extractor, 0).await.unwrap();
    embedding.send_items(numbered(1000));
    while good.embedded() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let later = Scripted::start_at(&address, Part::default()).await;
    assert_eq!(answers(embedding).await.len(), 1000);
    assert!(later.embedded() > 0 && good.embedded() + later.embedded() == 1000);
}

#[tokio::test]
async fn a_stream_that_nobody_can_answer_any_more_ends_with_why() {
    let loser = Scripted::start(Part { lose: |_| true, ..Part::default() }).await;
    let url = loser.url();
    let extractor = extractor(&[loser.url()]);
    let mut embedding = begin(&extractor, 0).await.unwrap();
    loser.stop().await;
    embedding.send_items(numbered(1));
    let status = tokio::time::timeout(SOON, embedding.next()).await.unwrap().unwrap_err();
    assert!(status.code() == Code::Unavailable && status.message().contains(&url), "{status:?}");
}

#[tokio::test]
async fn no_image_is_blamed_for_an_extractor_that_is_lost_with_any() {
    let loser = Scripted::start(Part { lose: |_| true, ..Part::default() }).await;
    let extractor = extractor(&[loser.url()]);
    let mut embedding = begin(&extractor, 0).await.unwrap();
    embedding.send_items(numbered(100));
    let status = tokio::time::timeout(SOON, embedding.next()).await.unwrap().unwrap_err();
    let message = status.message();
    assert!(status.code() == Code::Unavailable && message.contains(&loser.url()), "{message}");
    assert!(message.contains("it was lost"), "{message}");
}
