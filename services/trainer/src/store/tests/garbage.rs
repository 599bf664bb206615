//! Garbage against a model of what is referred to: that is always there, and in the end nothing else is.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use graft_proto::v1::{Head, Report, Split, TrainingRun, TrainingState};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Handle, task::block_in_place};
use uuid::Uuid;

use crate::{
    content::ContentHash,
    fit::head,
    names::{HeadRef, Name, Tenant},
    store::{
        Store,
        add::Added,
        datasets::DatasetRow,
        edits::Key,
        examples::ExampleRow,
        garbage::{Collected, GRACE, files::Orphans},
        place::{Place, in_both},
        segments::NewExample,
        views::ViewKey,
    },
    train::snapshot::identify,
};

in_both!(
    what_is_referred_to_stays_and_the_rest_goes,
    imports_and_collections_at_once_lose_nothing,
    a_dry_run_tells_and_removes_nothing,
    a_file_is_removed_after_its_grace,
);

const SPACE: &str = "net@0";

fn hash(image: u8) -> ContentHash {
    ContentHash::from_slice(blake3::hash(&[image]).as_bytes()).unwrap()
}

/// The embedding of a view of an image; 0 for the image. One number is none: its bits must stay as they are all the same.
fn embedding(image: u8, view: u32) -> Vec<f32> {
    vec![f32::from(image), view as f32, f32::from_bits(0x7fc0_0000 | u32::from(image))]
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn name(dataset: u8) -> Name {
    Name::parse("name", &format!("d{dataset}")).unwrap()
}

fn weights() -> head::Head {
    head::Head::Linear(head::LinearHead { weights: vec![1.0, 2.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 })
}

#[derive(Clone, Debug)]
enum Operation {
    Import {
        dataset: u8,
        images: Vec<u8>,
    },
    Remove {
        dataset: u8,
        image: u8,
    },
    Delete {
        dataset: u8,
    },
    Snapshot {
        dataset: u8,
    },
    /// Queue a run on a dataset as it is.
    Queue {
        dataset: u8,
    },
    /// Fit the oldest run, with a collection meanwhile, and let it fail or not.
    Fit {
        succeeds: bool,
    },
    DeleteHead {
        version: u32,
    },
    Collect,
}

/// A dataset's name and a snapshot's id.
type Named = (u8, String);

/// What is referred to.
#[derive(Debug, Default)]
struct Model {
    datasets: BTreeMap<u8, BTreeSet<u8>>,
    /// The images of each snapshot that was ever made.
    snapshots: BTreeMap<Named, BTreeSet<u8>>,
    /// Those that may have been removed.
    removable: BTreeSet<Named>,
    queued: Vec<Named>,
    heads: BTreeMap<u32, Named>,
}

impl Model {
    fn is_live(&self, named: &Named) -> bool {
        self.datasets.contains_key(&named.0)
            || self.queued.iter().any(|(dataset, _)| *dataset == named.0)
            || self.heads.values().any(|(_, id)| *id == named.1)
    }

    /// A collection may have removed what is not referred to.
    fn collected(&mut self) {
        let dead = self.snapshots.keys().filter(|named| !self.is_live(named));
        self.removable.extend(dead.cloned().collect::<Vec<_>>());
    }

    fn live_snapshots(&self) -> impl Iterator<Item = (&Named, &BTreeSet<u8>)> {
        self.snapshots.iter().filter(|(named, _)| self.is_live(named) && !self.removable.contains(*named))
    }

    fn live_images(&self) -> BTreeSet<u8> {
        let of_snapshots = self.live_snapshots().flat_map(|(_, images)| images);
        self.datasets.values().flatten().chain(of_snapshots).copied().collect()
    }
}

/// The state and a model of it.
struct World<'a> {
    store: &'a Store,
    tenant: Tenant,
    model: Model,
    orphans: Orphans,
    /// Whether images have views.
    views: bool,
}

async fn dataset(store: &Store, tenant: &Tenant, number: u8, views: bool) -> DatasetRow {
    let name = name(number);
    if store.create_dataset(tenant, &name, "net", SPACE, 3, false).await.unwrap() && views {
        let augmentation = graft_proto::v1::Augmentation { views: 2, ..Default::default() };
        let row = store.dataset(tenant, &name).await.unwrap().unwrap();
        assert!(store.set_augmentation(row.id, &augmentation).await.unwrap());
    }
    store.dataset(tenant, &name).await.unwrap().unwrap()
}

/// An example as an import brings it: with its embeddings if the store has them not.
fn example(image: u8, reuse: bool, views: bool) -> NewExample {
    let row = ExampleRow { hash: hash(image), id: format!("{image}"), labels: vec!["x".into()], split: Split::Train };
    let views = if views && !reuse { vec![embedding(image, 1), embedding(image, 2)] } else { Vec::new() };
    NewExample { row, embedding: (!reuse).then(|| embedding(image, 0)), views }
}

async fn import(store: &Store, tenant: &Tenant, dataset: &DatasetRow, images: &BTreeSet<u8>, views: bool) {
    let hashes: Vec<ContentHash> = images.iter().map(|image| hash(*image)).collect();
    let embedded = store.embedded(tenant, SPACE, &hashes).await.unwrap();
    let viewed = store.viewed(tenant, dataset, &hashes).await.unwrap();
    let known = |image: u8| embedded.contains(&hash(image)) && viewed.contains(&hash(image));
    let (reused, new): (Vec<u8>, Vec<u8>) = images.iter().partition(|image| known(**image));
    let mut new: Vec<NewExample> = new.into_iter().map(|image| example(image, false, views)).collect();
    let reused: Vec<NewExample> = reused.into_iter().map(|image| example(image, true, views)).collect();
    let added = store.add(tenant, dataset, &reused).await.unwrap();
    for (reused, added) in reused.iter().zip(added.unwrap()) {
        if added == Added::Lost {
            new.push(example(reused.row.id.parse().unwrap(), false, views));
        }
    }
    let added = store.add(tenant, dataset, &new).await.unwrap().unwrap();
    assert!(!added.contains(&Added::Lost), "what brings its embedding is stored");
}

/// Read the embeddings of images, with their views, and compare their bits.
async fn check_images(store: &Store, tenant: &Tenant, dataset: &DatasetRow, images: &BTreeSet<u8>) {
    let views = dataset.views();
    let keys: Vec<(u8, u32)> = images.iter().flat_map(|image| (0..=views).map(|view| (*image, view))).collect();
    let asked: Vec<ViewKey> = keys.iter().map(|(image, view)| ViewKey { hash: hash(*image), view: *view }).collect();
    let read = store.view_embeddings(tenant, dataset, &asked).await.unwrap();
    let expected: Vec<f32> = keys.iter().flat_map(|(image, view)| embedding(*image, *view)).collect();
    assert_eq!(bits(&read), bits(&expected));
}

impl World<'_> {
    async fn dataset(&self, number: u8) -> DatasetRow {
        dataset(self.store, &self.tenant, number, self.views).await
    }

    async fn snapshot(&mut self, number: u8) -> Option<Named> {
        let images = self.model.datasets.get(&number).filter(|images| !images.is_empty())?.clone();
        let row = self.dataset(number).await;
        let examples = self.store.examples(row.id).await.unwrap();
        let id = identify(&examples);
        assert!(self.store.put_snapshot(&self.tenant, &row, &id, &examples).await.unwrap());
        self.model.removable.remove(&(number, id.clone()));
        self.model.snapshots.insert((number, id.clone()), images);
        Some((number, id))
    }

    async fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Import { dataset, images } => {
                let row = self.dataset(*dataset).await;
                let images: BTreeSet<u8> = images.iter().copied().collect();
                import(self.store, &self.tenant, &row, &images, self.views).await;
                self.model.datasets.entry(*dataset).or_default().extend(images);
            }
            Operation::Remove { dataset, image } => {
                let Some(images) = self.model.datasets.get_mut(dataset) else { return };
                images.remove(image);
                let row = self.dataset(*dataset).await;
                self.store.remove(&self.tenant, &row, &[Key::Hash(hash(*image))]).await.unwrap();
            }
            Operation::Delete { dataset } => {
                let there = self.model.datasets.remove(dataset).is_some();
                assert_eq!(self.store.delete_dataset(&self.tenant, &name(*dataset)).await.unwrap(), there);
            }
            Operation::Snapshot { dataset } => drop(self.snapshot(*dataset).await),
            Operation::Queue { dataset } => {
                let Some(named) = self.snapshot(*dataset).await else { return };
                let run = TrainingRun {
                    id: Uuid::now_v7().to_string(),
                    dataset: name(named.0).as_str().into(),
                    head: "h".into(),
                    snapshot: named.1.clone(),
                    state: TrainingState::Queued as i32,
                    ..Default::default()
                };
                self.store.put_run(&self.tenant, &run).await.unwrap();
                self.model.queued.push(named);
            }
            Operation::Fit { succeeds } => self.fit(*succeeds).await,
            Operation::DeleteHead { version } => {
                self.model.heads.remove(version);
                let wanted = HeadRef::parse("head", &format!("h@{version}")).unwrap();
                self.store.delete_head(&self.tenant, &wanted).await.unwrap();
            }
            Operation::Collect => {
                self.store.collect(&mut self.orphans, Duration::ZERO, false).await.unwrap();
                self.model.collected();
            }
        }
    }

    async fn fit(&mut self, succeeds: bool) {
        let Some(taken) = self.store.take_run("me").await.unwrap() else { return };
        self.store.collect(&mut self.orphans, Duration::ZERO, false).await.unwrap();
        self.model.collected();
        let named = self.model.queued.remove(0);
        if succeeds {
            let report = Some(Report { snapshot: taken.run.snapshot.clone(), ..Default::default() });
            let head = Head { name: "h".into(), report, ..Default::default() };
            let run = self.store.register(&self.tenant, head, &weights(), taken.run, &taken.lease).await;
            self.model.heads.insert(run.unwrap().unwrap().head_version, named);
        } else {
            let mut run = taken.run;
            run.set_state(TrainingState::Failed);
            assert!(self.store.end_run(&taken.lease, &run).await.unwrap());
        }
    }

    /// All that is referred to is there.
    async fn check(&self) {
        for (number, images) in &self.model.datasets {
            let row = self.dataset(*number).await;
            assert_eq!(self.store.examples(row.id).await.unwrap().len(), images.len());
            check_images(self.store, &self.tenant, &row, images).await;
        }
        for ((number, id), images) in self.model.live_snapshots() {
            let row = DatasetRow {
                id: 0,
                name: name(*number).as_str().into(),
                backbone: "net".into(),
                space: SPACE.into(),
                dimension: 3,
                create_time: 0,
                multi_label: false,
                augmentation: None,
            };
            let examples =
                self.store.snapshot_examples(&self.tenant, &row, id).await.unwrap().expect("a live snapshot");
            let hashes: BTreeSet<ContentHash> = examples.iter().map(|example| example.hash).collect();
            assert_eq!(hashes, images.iter().map(|image| hash(*image)).collect());
            check_images(self.store, &self.tenant, &row, images).await;
        }
        for version in self.model.heads.keys() {
            assert!(self.store.weights(&self.tenant, "h", *version).await.unwrap().is_some());
        }
    }

    /// Nothing else is there.
    async fn check_gone(&mut self) {
        for _ in 0..3 {
            self.apply(&Operation::Collect).await;
        }
        self.check().await;
        let all: Vec<ContentHash> = (0..IMAGES).map(hash).collect();
        let there = self.store.embedded(&self.tenant, SPACE, &all).await.unwrap();
        let live: HashSet<ContentHash> = self.model.live_images().into_iter().map(hash).collect();
        assert_eq!(there, live);
        for (number, id) in self.model.snapshots.keys().filter(|named| !self.model.is_live(named)) {
            let found = self.store.snapshot(&self.tenant, name(*number).as_str(), id).await.unwrap();
            assert!(found.is_none(), "{number} {id}");
        }
        let mut idle = Orphans::default();
        let again = self.store.collect(&mut idle, GRACE, true).await.unwrap();
        assert_eq!(again, Collected::default(), "no file, and no segment of less than half");
    }
}

const IMAGES: u8 = 12;

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let images = prop::collection::vec(0..IMAGES, 1..8);
    let operation = prop_oneof![
        4 => (0u8..3, images).prop_map(|(dataset, images)| Operation::Import { dataset, images }),
        3 => (0u8..3, 0..IMAGES).prop_map(|(dataset, image)| Operation::Remove { dataset, image }),
        2 => (0u8..3).prop_map(|dataset| Operation::Delete { dataset }),
        2 => (0u8..3).prop_map(|dataset| Operation::Snapshot { dataset }),
        2 => (0u8..3).prop_map(|dataset| Operation::Queue { dataset }),
        2 => any::<bool>().prop_map(|succeeds| Operation::Fit { succeeds }),
        1 => (1u32..4).prop_map(|version| Operation::DeleteHead { version }),
        4 => Just(Operation::Collect),
    ];
    prop::collection::vec(operation, 1..30)
}

async fn what_is_referred_to_stays_and_the_rest_goes(place: Place) {
    let store = place.open().await;
    let mut runner = TestRunner::new(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() });
    let case = |(operations, views): (Vec<Operation>, bool)| {
        block_in_place(|| {
            Handle::current().block_on(async {
                let tenant = Tenant::stored(Uuid::now_v7().to_string());
                let (model, orphans) = (Model::default(), Orphans::default());
                let mut world = World { store: &store, tenant, model, orphans, views };
                for operation in &operations {
                    world.apply(operation).await;
                    world.check().await;
                }
                // Another case must not find its runs.
                while !world.model.queued.is_empty() {
                    world.fit(false).await;
                }
                world.check_gone().await;
            });
        });
        Ok(())
    };
    runner.run(&(operations(), any::<bool>()), case).unwrap();
}

/// Two trainers bring the same images into datasets and take them out again, while both collect.
async fn imports_and_collections_at_once_lose_nothing(place: Place) {
    let first = place.open().await;
    let second = if first.is_shared() { place.open().await } else { first.clone() };
    let tenant = Tenant::default();
    let importing = |store: Store, number: u8| {
        let tenant = tenant.clone();
        tokio::spawn(async move {
            for round in 0..40u8 {
                let row = dataset(&store, &tenant, number, true).await;
                let images: BTreeSet<u8> = (0..6).map(|image| (image * 2 + round + number) % IMAGES).collect();
                import(&store, &tenant, &row, &images, true).await;
                check_images(&store, &tenant, &row, &images).await;
                if round % 3 == 0 {
                    let examples = store.examples(row.id).await.unwrap();
                    assert!(store.put_snapshot(&tenant, &row, &identify(&examples), &examples).await.unwrap());
                }
                if round % 5 == 4 {
                    assert!(store.delete_dataset(&tenant, &name(number)).await.unwrap());
                } else {
                    let keys: Vec<Key> = images.iter().map(|image| Key::Hash(hash(*image))).collect();
                    store.remove(&tenant, &row, &keys).await.unwrap();
                }
            }
        })
    };
    let imports = [importing(first.clone(), 0), importing(second.clone(), 1), importing(first.clone(), 2)];
    let collecting = |store: Store| {
        tokio::spawn(async move {
            let (mut orphans, mut removed) = (Orphans::default(), 0);
            loop {
                // What another does at this moment may be in its way.
                match store.collect(&mut orphans, GRACE, false).await {
                    Ok(collected) => removed += collected.embeddings,
                    Err(error) => assert!(error.is_passing(), "{error}"),
                }
                if removed > 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let collections = [collecting(first.clone()), collecting(second)];
    for import in imports {
        import.await.unwrap();
    }
    for collection in &collections {
        collection.abort();
    }
    for collection in collections {
        assert!(collection.await.unwrap_err().is_cancelled(), "no collection failed");
    }
}

async fn a_dry_run_tells_and_removes_nothing(place: Place) {
    let (store, tenant) = (place.open().await, Tenant::default());
    let (mut orphans, images) = (Orphans::default(), (0..10).collect());
    let row = dataset(&store, &tenant, 0, true).await;
    import(&store, &tenant, &row, &images, true).await;
    let nothing = store.collect(&mut orphans, GRACE, true).await.unwrap();
    assert_eq!(nothing, Collected::default());
    let most: Vec<Key> = (0..8).map(|image| Key::Hash(hash(image))).collect();
    store.remove(&tenant, &row, &most).await.unwrap();
    let told = store.collect(&mut orphans, GRACE, true).await.unwrap();
    assert_eq!((told.embeddings, told.segments, told.rewritten), (24, 0, 1), "{told:?}");
    assert!(told.embedding_bytes >= 24 * 12, "{told:?}");
    assert_eq!(store.collect(&mut orphans, GRACE, true).await.unwrap(), told, "nothing was removed");
    let done = store.collect(&mut orphans, GRACE, false).await.unwrap();
    assert_eq!(done, told);
    check_images(&store, &tenant, &row, &(8..10).collect()).await;
    let waiting = store.collect(&mut orphans, GRACE, true).await.unwrap();
    assert_eq!((waiting.waiting_files, waiting.embeddings, waiting.rewritten), (1, 0, 0), "{waiting:?}");
}

async fn a_file_is_removed_after_its_grace(place: Place) {
    let (store, tenant) = (place.open().await, Tenant::default());
    let (mut orphans, grace) = (Orphans::default(), Duration::from_millis(300));
    let row = dataset(&store, &tenant, 0, false).await;
    import(&store, &tenant, &row, &(0..4).collect(), false).await;
    let files = || std::fs::read_dir(place.path("segments")).map_or(0, Iterator::count);
    assert_eq!(files(), 1);
    assert!(store.delete_dataset(&tenant, &name(0)).await.unwrap());
    let done = store.collect(&mut orphans, grace, false).await.unwrap();
    assert_eq!((done.embeddings, done.segments, done.files), (4, 1, 0));
    let waits = store.collect(&mut orphans, grace, false).await.unwrap();
    assert_eq!((waits.files, waits.waiting_files, files()), (0, 1, 1), "who reads it comes to an end");
    tokio::time::sleep(2 * grace).await;
    let gone = store.collect(&mut orphans, grace, false).await.unwrap();
    assert_eq!((gone.files, gone.waiting_files, files()), (1, 0, 0));
    assert!(gone.file_bytes > 0);
}
