//! Leases of runs: each run has one owner, and who has lost it changes nothing any more.

use std::collections::BTreeSet;

use futures::future::join_all;
use graft_proto::v1::{Head, TrainingProgress, TrainingRun, TrainingState};

use crate::{
    fit::head,
    names::{HeadRef, Tenant},
    store::{
        Store,
        leases::Beat,
        place::{Place, in_both},
    },
};

in_both!(
    a_run_that_was_taken_over_is_its_new_owners_alone,
    each_run_is_taken_once,
    a_run_that_waits_is_cancelled_at_once_and_one_that_is_fitted_by_its_owner,
    a_run_that_is_let_go_waits_again,
    what_was_written_before_the_answer_was_lost_is_not_written_again,
);

async fn queue(store: &Store, id: &str) -> TrainingRun {
    let state = TrainingState::Queued as i32;
    let run = TrainingRun { id: id.into(), head: "h".into(), state, ..Default::default() };
    store.put_run(&Tenant::default(), &run).await.unwrap();
    run
}

fn weights() -> head::Head {
    head::Head::Linear(head::LinearHead { weights: vec![1.0, 2.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 })
}

fn of(run: &TrainingRun) -> Head {
    Head { name: "h".into(), training_run: run.id.clone(), ..Default::default() }
}

async fn a_run_that_was_taken_over_is_its_new_owners_alone(place: Place) {
    let (store, tenant) = (place.open().await, Tenant::default());
    let run = queue(&store, "r").await;
    let first = store.take_run("one").await.unwrap().unwrap();
    assert_eq!((first.run.state(), first.losses, first.cancelled), (TrainingState::Running, 0, false));
    let seen = store.beats().await.unwrap();
    let told = TrainingRun { progress: Some(TrainingProgress { fraction: 0.5, ..Default::default() }), ..run.clone() };
    assert_eq!(store.beat(&first.lease, &told).await.unwrap(), Some(false));
    let stored = store.run(&tenant, "r").await.unwrap().unwrap();
    assert_eq!((stored.state(), stored.progress.unwrap().fraction), (TrainingState::Running, 0.5));
    assert!(store.take_over("two", &seen[0]).await.unwrap().is_none(), "its owner has beaten since");

    let [seen] = &store.beats().await.unwrap()[..] else { panic!() };
    assert_eq!(*seen, Beat { run: "r".into(), lease: 1, beat: 1 });
    let second = store.take_over("two", seen).await.unwrap().unwrap();
    assert_eq!((second.losses, second.lease.number), (1, 2));
    assert!(store.take_over("three", seen).await.unwrap().is_none(), "it is another's already");

    assert_eq!(store.beat(&first.lease, &told).await.unwrap(), None);
    let late = store.register(&tenant, of(&run), &weights(), run.clone(), &first.lease).await.unwrap();
    assert!(late.is_none() && store.heads(&tenant, "", 10).await.unwrap().is_empty());
    assert!(!store.end_run(&first.lease, &run).await.unwrap());
    store.release_run(&first.lease, false).await.unwrap();
    assert_eq!(store.run(&tenant, "r").await.unwrap().unwrap().state(), TrainingState::Running);

    let done = store.register(&tenant, of(&run), &weights(), run.clone(), &second.lease).await.unwrap().unwrap();
    assert_eq!((done.state(), done.head_version), (TrainingState::Succeeded, 1));
    assert!(store.beats().await.unwrap().is_empty());
    assert_eq!(store.beat(&second.lease, &told).await.unwrap(), None, "what has ended stays as it ended");
    assert_eq!(store.run(&tenant, "r").await.unwrap().unwrap(), done);
}

async fn each_run_is_taken_once(place: Place) {
    let store = place.open().await;
    for number in 10..40 {
        queue(&store, &number.to_string()).await;
    }
    let takers = (0..6).map(|taker| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while store.waiting_runs().await.unwrap() > 0 {
                taken.extend(store.take_run(&taker.to_string()).await.unwrap().map(|taken| taken.run.id));
            }
            taken
        })
    });
    let taken: Vec<String> = join_all(takers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 30);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 30);
}

async fn a_run_that_waits_is_cancelled_at_once_and_one_that_is_fitted_by_its_owner(place: Place) {
    let (store, tenant) = (place.open().await, Tenant::default());
    let run = queue(&store, "1").await;
    queue(&store, "2").await;
    let taken = store.take_run("me").await.unwrap().unwrap();
    assert_eq!(taken.run.id, "1");
    assert!(store.cancel_run(&tenant, "2").await.unwrap());
    let waited = store.run(&tenant, "2").await.unwrap().unwrap();
    assert!(waited.state() == TrainingState::Cancelled && waited.end_time.is_some());
    assert!(!store.cancel_run(&Tenant::stored("other".into()), "1").await.unwrap());
    assert_eq!(store.beat(&taken.lease, &run).await.unwrap(), Some(false));
    assert!(!store.cancel_run(&tenant, "1").await.unwrap());
    assert_eq!(store.beat(&taken.lease, &run).await.unwrap(), Some(true));
    store.release_run(&taken.lease, false).await.unwrap();
    assert!(store.cancel_run(&tenant, "1").await.unwrap(), "it waits again");
    assert!(store.take_run("me").await.unwrap().is_none());
    assert!(!store.cancel_run(&tenant, "1").await.unwrap() && !store.cancel_run(&tenant, "3").await.unwrap());
}

async fn a_run_that_is_let_go_waits_again(place: Place) {
    let store = place.open().await;
    queue(&store, "r").await;
    let first = store.take_run("me").await.unwrap().unwrap();
    store.release_run(&first.lease, true).await.unwrap();
    let second = store.take_run("me").await.unwrap().unwrap();
    assert_eq!((second.losses, second.lease.number), (1, 2));
    store.release_all_runs().await.unwrap();
    let third = store.take_run("me").await.unwrap().unwrap();
    assert_eq!((third.losses, third.lease.number), (2, 3));
    assert!(!store.end_run(&second.lease, &second.run).await.unwrap(), "the same owner, but an earlier lease");
}

async fn what_was_written_before_the_answer_was_lost_is_not_written_again(place: Place) {
    let (store, tenant) = (place.open().await, Tenant::default());
    let run = queue(&store, "r").await;
    let lease = store.take_run("me").await.unwrap().unwrap().lease;
    let register = async || store.register(&tenant, of(&run), &weights(), run.clone(), &lease).await.unwrap();
    let (done, again) = (register().await.unwrap(), register().await.unwrap());
    assert_eq!((done.head_version, &again), (1, &done));
    assert_eq!(store.version(&tenant, &HeadRef::parse("head", "h").unwrap()).await.unwrap(), Some(1));
    assert!(store.end_run(&lease, &run).await.unwrap(), "it has ended, though not by this");
    assert_eq!(store.run(&tenant, "r").await.unwrap().unwrap(), done);
}
