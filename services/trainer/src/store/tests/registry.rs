//! The registry of heads against a model of it: the same operations on both give the same answers.

use std::collections::BTreeMap;

use graft_proto::v1::{Head, TrainingRun, TrainingState};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Handle, task::block_in_place};
use uuid::Uuid;

use crate::{
    fit::head,
    names::{HeadRef, Tenant},
    store::{
        Store,
        place::{Place, in_both},
    },
};

in_both!(the_registry_does_what_its_model_does);

/// What may be done with heads. Names are few, so that operations meet.
#[derive(Clone, Debug)]
enum Operation {
    Put { name: u8, weight: u8 },
    Get { name: u8, version: Option<u32> },
    List { after: u8, most: u32 },
    Delete { name: u8, version: Option<u32> },
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Version(u32),
    /// Version and weight.
    Found(Option<(u32, u8)>),
    /// Names and newest versions.
    Heads(Vec<(String, u32)>),
    Deleted(bool),
}

/// A registry in memory.
#[derive(Debug, Default)]
struct Model {
    /// The weight of each version of each head.
    heads: BTreeMap<String, BTreeMap<u32, u8>>,
    /// The highest version that each head ever had.
    latest: BTreeMap<String, u32>,
}

fn name(number: u8) -> String {
    // In the order of bytes; that of a dictionary passes over the punctuation.
    ["a-z", "a.b", "aa", "b"][usize::from(number)].to_owned()
}

fn wanted(number: u8, version: Option<u32>) -> HeadRef {
    let version = version.map_or(String::new(), |version| format!("@{version}"));
    HeadRef::parse("head", &format!("{}{version}", name(number))).unwrap()
}

impl Model {
    fn apply(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Put { name: number, weight } => {
                let latest = self.latest.entry(name(*number)).or_default();
                *latest += 1;
                self.heads.entry(name(*number)).or_default().insert(*latest, *weight);
                Answer::Version(*latest)
            }
            Operation::Get { name: number, version } => {
                let versions = self.heads.get(&name(*number));
                let found = versions.and_then(|versions| match version {
                    Some(version) => versions.get_key_value(version),
                    None => versions.last_key_value(),
                });
                Answer::Found(found.map(|(version, weight)| (*version, *weight)))
            }
            Operation::List { after, most } => {
                let heads = self.heads.iter().filter(|(head, versions)| **head > name(*after) && !versions.is_empty());
                let newest = heads.filter_map(|(head, versions)| Some((head.clone(), *versions.last_key_value()?.0)));
                Answer::Heads(newest.take(*most as usize).collect())
            }
            Operation::Delete { name: number, version } => {
                let versions = self.heads.entry(name(*number)).or_default();
                let before = versions.len();
                versions.retain(|there, _| version.is_some_and(|version| version != *there));
                Answer::Deleted(versions.len() < before)
            }
        }
    }
}

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
        Operation::Get { name: number, version } => {
            let wanted = wanted(*number, *version);
            let Some(found) = store.head(tenant, &wanted).await.unwrap() else {
                assert_eq!(store.version(tenant, &wanted).await.unwrap(), None);
                return Answer::Found(None);
            };
            assert_eq!(store.version(tenant, &wanted).await.unwrap(), Some(found.version));
            let weights = store.weights(tenant, &found.name, found.version).await.unwrap();
            let Some(head::Head::Linear(weights)) = weights else { panic!("{weights:?}") };
            Answer::Found(Some((found.version, weights.weights[0] as u8)))
        }
        Operation::List { after, most } => {
            let heads = store.heads(tenant, &name(*after), *most).await.unwrap();
            Answer::Heads(heads.into_iter().map(|head| (head.name, head.version)).collect())
        }
        Operation::Delete { name: number, version } => {
            Answer::Deleted(store.delete_head(tenant, &wanted(*number, *version)).await.unwrap())
        }
    }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let version = || prop::option::of(1u32..5);
    let operation = prop_oneof![
        3 => (0u8..4, any::<u8>()).prop_map(|(name, weight)| Operation::Put { name, weight }),
        3 => (0u8..4, version()).prop_map(|(name, version)| Operation::Get { name, version }),
        2 => (0u8..4, 1u32..4).prop_map(|(after, most)| Operation::List { after, most }),
        2 => (0u8..4, version()).prop_map(|(name, version)| Operation::Delete { name, version }),
    ];
    prop::collection::vec(operation, 1..40)
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
        Ok(())
    };
    runner.run(&operations(), case).unwrap();
}
