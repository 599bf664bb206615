//! Aliases: what keeps versions from being deleted, and how many there may be.

use graft_proto::v1::{Head, TrainingRun, TrainingState};
use uuid::Uuid;

use crate::{
    fit::head,
    names::{Alias, HeadRef, Name, Tenant},
    store::{
        Store,
        aliases::{Action, Change, Changed, Hold, Role},
        heads::Deleted,
        place::{Place, in_both},
    },
};

in_both!(a_version_is_not_deleted_while_an_alias_is_put_on_it, a_head_has_so_many_aliases_and_each_tenant_its_own,);

/// Register the next version of the head `h`.
async fn register(store: &Store, tenant: &Tenant) -> u32 {
    let id = Uuid::now_v7().to_string();
    let run = TrainingRun { id, state: TrainingState::Queued as i32, ..Default::default() };
    store.put_run(tenant, &run).await.unwrap();
    let lease = store.take_run("me").await.unwrap().unwrap().lease;
    let weights = head::LinearHead { weights: vec![1.0], bias: vec![0.0], dimension: 1, classes: 1 };
    let head = Head { name: "h".into(), ..Default::default() };
    let run = store.register(tenant, head, &head::Head::Linear(weights), run, &lease).await.unwrap().unwrap();
    run.head_version
}

async fn a_version_is_not_deleted_while_an_alias_is_put_on_it(place: Place) {
    let (store, tenant) = (place.open().await, Tenant::default());
    let (head, alias) = (Name::parse("head", "h").unwrap(), Alias::parse("alias", "production").unwrap());
    for round in 1..=20 {
        assert_eq!(register(&store, &tenant).await, round);
        let promote = async {
            let action = Action::Promote { version: round, forced: false };
            let change = Change { head: &head, alias: &alias, action, seen: None, by: "" };
            store.change_alias(&tenant, &change).await.unwrap()
        };
        let wanted = HeadRef::version_of(&head, round);
        let (promoted, deleted) = tokio::join!(promote, store.delete_head(&tenant, &wanted));
        match (promoted, deleted.unwrap()) {
            (Changed::Done { .. }, Deleted::Held(held)) => {
                assert_eq!(held, [Hold { alias: "production".into(), version: round, role: Role::Own }]);
            }
            (Changed::NoVersion, Deleted::Done) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn a_head_has_so_many_aliases_and_each_tenant_its_own(place: Place) {
    let (store, tenant, other) = (place.open().await, Tenant::default(), Tenant::stored("other".into()));
    let head = Name::parse("head", "h").unwrap();
    register(&store, &tenant).await;
    let promote = async |number: u32| {
        let alias = Alias::parse("alias", &format!("a{number:03}")).unwrap();
        let action = Action::Promote { version: 1, forced: false };
        let change = Change { head: &head, alias: &alias, action, seen: None, by: "" };
        store.change_alias(&tenant, &change).await.unwrap()
    };
    for number in 0..100 {
        assert!(matches!(promote(number).await, Changed::Done { .. }));
    }
    assert_eq!(promote(100).await, Changed::TooMany);
    assert_eq!(promote(99).await, Changed::Unchanged);
    let page = store.aliases(&tenant, Some(&head), (head.as_str(), "a089"), 100).await.unwrap();
    assert_eq!((page.len(), page[0].name.as_str()), (10, "a090"));
    assert!(store.aliases(&other, None, ("", ""), 100).await.unwrap().is_empty());
    assert!(store.promotions(&other, &head, None, None, 100).await.unwrap().is_empty());
    let entries = store.promotions(&tenant, &head, None, Some(4), 2).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [3, 2]);
    let one = Alias::parse("alias", "a007").unwrap();
    let entries = store.promotions(&tenant, &head, Some(&one), None, 10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [8]);
}
