//! The registry of heads against a model of it: the same operations on both give the same answers.

use graft_proto::v1::{Head, Promotion, TrainingRun, TrainingState};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Handle, task::block_in_place};
use uuid::Uuid;

use self::model::{Answer, Model, Operation, alias, name, wanted};
use crate::{
    fit::head,
    names::{HeadRef, Name, Tenant},
    store::{
        Store,
        aliases::{Action, Canary, Change, Changed, Split, WHOLE},
        place::{Place, in_both},
    },
};

mod model;

in_both!(the_registry_does_what_its_model_does);

async fn apply(store: &Store, tenant: &Tenant, operation: &Operation) -> Answer {
    match operation {
        Operation::Put { name: number, weight } => {
            let id = Uuid::now_v7().to_string();
            let run = TrainingRun { id, state: TrainingState::Queued as i32, ..Default::default() };
            store.put_run(tenant, &run).await.unwrap();
            let lease = store.take_run("me").await.unwrap().unwrap().lease;
            let weights = vec![f32::from(*weight)];
            let weights = head::LinearHead { weights, bias: vec![0.0], dimension: 1, classes: 1 };
            let head = Head { name: name(*number), ..Default::default() };
            let run = store.register(tenant, head, &head::Head::Linear(weights), run, &lease).await.unwrap().unwrap();
            Answer::Version(run.head_version)
        }
        Operation::Get { name: number, version } => answer_of(store, tenant, &wanted(*number, *version)).await,
        Operation::List { after, most } => {
            let heads = store.heads(tenant, &name(*after), *most).await.unwrap();
            Answer::Heads(heads.into_iter().map(|head| (head.name, head.version)).collect())
        }
        Operation::Delete { name: number, version } => {
            Answer::Deleted(store.delete_head(tenant, &wanted(*number, *version)).await.unwrap())
        }
        Operation::Change { name: number, alias: named, action, seen } => {
            let (head, alias) = (Name::parse("head", &name(*number)).unwrap(), alias(*named));
            let change = Change { head: &head, alias: &alias, action: *action, seen: *seen, by: "me" };
            Answer::Changed(match store.change_alias(tenant, &change).await.unwrap() {
                Changed::Done { promotion, skipped } => Ok((promotion.from_version, promotion.to_version, skipped)),
                refused => Err(refused),
            })
        }
        Operation::GetByAlias { name: number, alias: named } => {
            let wanted = HeadRef::parse("head", &format!("{}@{}", name(*number), alias(*named))).unwrap();
            answer_of(store, tenant, &wanted).await
        }
    }
}

/// A version as it is found, with its weight.
async fn answer_of(store: &Store, tenant: &Tenant, wanted: &HeadRef) -> Answer {
    let Some(found) = store.head(tenant, wanted).await.unwrap() else {
        assert_eq!(store.version(tenant, wanted).await.unwrap(), None);
        return Answer::Found(None);
    };
    assert_eq!(store.version(tenant, wanted).await.unwrap(), Some(found.version));
    let weights = store.weights(tenant, &found.name, found.version).await.unwrap();
    let Some(head::Head::Linear(weights)) = weights else { panic!("{weights:?}") };
    Answer::Found(Some((found.version, weights.weights[0] as u8)))
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let version = || prop::option::of(1u32..5);
    let action = prop_oneof![
        4 => (1u32..5, any::<bool>()).prop_map(|(version, forced)| Action::Promote { version, forced }),
        2 => Just(Action::RollBack),
        1 => Just(Action::Delete),
        4 => (version(), 0..=WHOLE, version()).prop_map(|(canary, share, shadow)| {
            Action::Split(Split { canary: canary.map(|version| Canary { version, share }), shadow })
        }),
    ];
    // Most callers do not say what they saw, or are mostly wrong: there are few who would change nothing otherwise.
    let seen = prop_oneof![4 => Just(None), 1 => version().prop_map(Some)];
    let operation = prop_oneof![
        3 => (0u8..4, any::<u8>()).prop_map(|(name, weight)| Operation::Put { name, weight }),
        2 => (0u8..4, version()).prop_map(|(name, version)| Operation::Get { name, version }),
        1 => (0u8..4, 1u32..4).prop_map(|(after, most)| Operation::List { after, most }),
        3 => (0u8..4, version()).prop_map(|(name, version)| Operation::Delete { name, version }),
        6 => (0u8..2, 0u8..2, action, seen)
            .prop_map(|(name, alias, action, seen)| Operation::Change { name, alias, action, seen }),
        2 => (0u8..2, 0u8..2).prop_map(|(name, alias)| Operation::GetByAlias { name, alias }),
    ];
    prop::collection::vec(operation, 1..60)
}

/// Everything that is there at the end: the aliases of all heads, and the history of each.
async fn compare(store: &Store, tenant: &Tenant, model: &Model) {
    let found = store.aliases(tenant, None, ("", ""), 100).await.unwrap();
    for alias in &found {
        let split = model.split(&alias.head, &alias.name);
        assert_eq!((alias.canary, alias.shadow_version), (split.described(), split.shadow.unwrap_or_default()));
    }
    let found: Vec<_> = found.into_iter().map(|alias| (alias.head, alias.name, alias.version)).collect();
    assert_eq!(found, model.all_aliases());
    for number in 0..4 {
        let head = Name::parse("head", &name(number)).unwrap();
        let mut found = store.promotions(tenant, &head, None, None, 100).await.unwrap();
        found.reverse();
        assert!(found.iter().zip(1..).all(|(entry, number)| entry.number == number && entry.by == "me"), "{found:?}");
        let told = |entry: &Promotion| (entry.alias.clone(), entry.action(), entry.from_version, entry.to_version);
        let told: Vec<_> = found.iter().map(told).collect();
        assert_eq!(Some(&told).filter(|told| !told.is_empty()), model.history.get(&name(number)));
    }
    let mut heads = store.heads(tenant, "", 100).await.unwrap();
    store.name_aliases(tenant, &mut heads).await.unwrap();
    for head in heads {
        let on = model.all_aliases().into_iter().filter(|(name, _, on)| *name == head.name && *on == head.version);
        assert_eq!(head.aliases, on.map(|(_, alias, _)| alias).collect::<Vec<_>>());
    }
}

async fn the_registry_does_what_its_model_does(place: Place) {
    let store = place.open().await;
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() });
    let case = |operations: Vec<Operation>| {
        // A tenant of its own has a registry of its own: nothing of the cases before is seen.
        let (tenant, mut model) = (Tenant::stored(Uuid::now_v7().to_string()), Model::default());
        for operation in &operations {
            let answer = block_in_place(|| Handle::current().block_on(apply(&store, &tenant, operation)));
            prop_assert_eq!(answer, model.apply(operation), "{:?}", operation);
        }
        block_in_place(|| Handle::current().block_on(compare(&store, &tenant, &model)));
        Ok(())
    };
    runner.run(&operations(), case).unwrap();
}
