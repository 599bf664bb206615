//! The engines of all backbones: each is started when it is first asked for, and unloaded when others need its memory.
//!
//! The default backbone's is started before the extractor is ready. A stream keeps its engine to its end, also when the
//! backbone was replaced or unloaded meanwhile.
//!
//! # Layout
//! - [`budget`]: the memory that engines may take. [`memory`]: what this machine has.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use graft_chassis::status;
use graft_proto::v1::Backbone;
use metrics::counter;
use parking_lot::{Mutex, RwLock};
use tokio::{sync::OnceCell, task::spawn_blocking};
use tonic::{Code, Status};

use crate::{
    backbone::{
        catalogue::{Catalogue, Entry},
        listed::Listed,
        run::Run,
        session::Runtime,
    },
    engine::Engine,
    error::{absent_backbone, load_status},
    layout::{Defaults, Layout},
};
use budget::{Budget, Reservation};

pub mod budget;
pub mod memory;

/// After a start that failed, the next is tried no sooner: each one reads the model.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Every backbone of the catalogue, and the engines that were started.
#[derive(Debug)]
pub struct Engines {
    catalogue: RwLock<Arc<Catalogue>>,
    runtime: Arc<Runtime>,
    defaults: Defaults,
    budget: Arc<Budget>,
    /// By embedding space, so that a new version of a backbone is another engine.
    slots: Mutex<BTreeMap<String, Slot>>,
}

/// The place of one engine.
#[derive(Clone, Debug)]
struct Slot {
    engine: Arc<OnceCell<Arc<Engine>>>,
    /// What its manifest says of how it is run: another layout is another engine of the same space.
    run: Run,
    /// When it was last asked for.
    used: Instant,
    /// When it could last not be started, and why.
    failed: Option<(Instant, Status)>,
}

impl Slot {
    fn new(run: &Run) -> Slot {
        Slot { engine: Arc::default(), run: run.clone(), used: Instant::now(), failed: None }
    }

    /// Whether nobody has the engine, nobody waits for it, and it has nothing to do.
    fn is_idle(&self) -> bool {
        // A stream has a reference of its own; one that waits for the start has one of the cell.
        Arc::strong_count(&self.engine) == 1
            && self.engine.get().is_some_and(|engine| Arc::strong_count(engine) == 1 && engine.is_idle())
    }
}

impl Engines {
    /// No engine yet; `memory` bytes for all of them.
    pub fn new(catalogue: Catalogue, runtime: Runtime, defaults: Defaults, memory: u64) -> Engines {
        Engines {
            catalogue: RwLock::new(Arc::new(catalogue)),
            runtime: Arc::new(runtime),
            defaults,
            budget: Arc::new(Budget::new(memory)),
            slots: Mutex::default(),
        }
    }

    /// The backbones, sorted by name, with those that cannot be used and why.
    pub fn descriptions(&self) -> Vec<Backbone> {
        self.catalogue().descriptions().into_iter().map(|description| self.current(description)).collect()
    }

    /// The description of the backbone `name` (or `NAME@HASH`), the default one if that is empty.
    pub fn describe(&self, name: &str) -> Result<Backbone, Status> {
        let catalogue = self.catalogue();
        let listed = catalogue.get(name).map_err(absent_backbone)?;
        Ok(self.current(catalogue.describe(listed)))
    }

    /// A description with what its engine knows of batches, if there is one.
    fn current(&self, mut description: Backbone) -> Backbone {
        let engine = self.slots.lock().get(&description.space).and_then(|slot| slot.engine.get().cloned());
        if let Some(engine) = engine {
            description.detachment = engine.description.detachment.clone();
        }
        description
    }

    /// The engine of the backbone `name` (or `NAME@HASH`), the default one if that is empty; started if it is not.
    pub async fn engine(&self, name: &str) -> Result<Arc<Engine>, Status> {
        let catalogue = self.catalogue();
        let listed = catalogue.get(name).map_err(absent_backbone)?;
        let space = &listed.description.space;
        let slot = self.slot(space, listed.run());
        if slot.engine.get().is_none()
            && let Some((when, status)) = slot.failed
            && when.elapsed() < TRY_AGAIN
        {
            return Err(status);
        }
        let start = async || {
            let layout = self.defaults.layout(listed.run());
            let memory = self.reserve(listed, &layout)?;
            self.start(&catalogue, listed, layout, memory).await
        };
        let started = slot.engine.get_or_try_init(start).await;
        started.cloned().inspect_err(|status| self.remember(space, status))
    }

    /// The network of the backbone `name` (or `NAME@HASH`), the default one if that is empty, with what its engine, which is
    /// started if it is not, knows of it.
    pub async fn model(&self, name: &str) -> Result<Entry, Status> {
        let engine = self.engine(name).await?;
        let listed = self.catalogue().get(&engine.description.space).map_err(absent_backbone)?.clone();
        let mut entry = listed.load(self.defaults.provider).await.map_err(load_status)?;
        entry.description = engine.description.clone();
        Ok(entry)
    }

    /// Start the default backbone's engine.
    pub async fn start_default(&self) -> Result<(), Status> {
        self.engine("").await.map(drop)
    }

    /// Serve another catalogue from now on. A loaded backbone that is replaced is loaded anew first, so that nobody waits for
    /// it; until then the earlier one serves. Engines of backbones that are no longer in the catalogue, or that are to be run
    /// otherwise, end with their last stream.
    pub async fn replace(&self, catalogue: Catalogue) {
        let catalogue = Arc::new(catalogue);
        let successors = self.successors(&catalogue).await;
        let mut slots = self.slots.lock();
        *self.catalogue.write() = catalogue.clone();
        let gone = slots.extract_if(.., |space, slot| !catalogue.has(space, &slot.run)).collect::<Vec<_>>();
        for (space, slot) in successors {
            slots.entry(space).or_insert(slot);
        }
        drop(slots);
        for (space, slot) in gone {
            if slot.engine.initialized() {
                unloaded(&space, "replaced");
            }
        }
    }

    /// The engines that take the place of loaded ones in `catalogue`, started. One that there is no room for beside the
    /// earlier one, or that cannot be started, is left to the first request.
    async fn successors(&self, catalogue: &Catalogue) -> Vec<(String, Slot)> {
        let loaded: Vec<String> = {
            let slots = self.slots.lock();
            let loaded = slots.iter().filter(|(_, slot)| slot.engine.initialized());
            loaded.filter(|(space, slot)| !catalogue.has(space, &slot.run)).map(|(space, _)| space.clone()).collect()
        };
        let mut successors = Vec::new();
        for space in loaded {
            let name = space.split('@').next().unwrap_or_default();
            let Ok(listed) = catalogue.get(name) else { continue };
            let layout = self.defaults.layout(listed.run());
            let Some(memory) = Budget::reserve(&self.budget, budget::need(listed, &layout)) else { continue };
            match self.start(catalogue, listed, layout, memory).await {
                Ok(engine) => {
                    let slot = Slot { engine: Arc::new(OnceCell::new_with(Some(engine))), ..Slot::new(listed.run()) };
                    successors.push((listed.description.space.clone(), slot));
                }
                Err(status) => tracing::warn!(space, error = status.message(), "its successor could not be started"),
            }
        }
        successors
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().clone()
    }

    fn slot(&self, space: &str, run: &Run) -> Slot {
        let mut slots = self.slots.lock();
        let slot = slots.entry(space.to_owned()).or_insert_with(|| Slot::new(run));
        if slot.run != *run {
            // Somebody who had the earlier catalogue came back with it just after it was replaced.
            *slot = Slot::new(run);
        }
        slot.used = Instant::now();
        slot.clone()
    }

    /// What is wrong with the backbone itself will be wrong again; what is scarce or away may be there the next time.
    fn remember(&self, space: &str, status: &Status) {
        if status.code() == Code::FailedPrecondition
            && let Some(slot) = self.slots.lock().get_mut(space)
        {
            slot.failed = Some((Instant::now(), status.clone()));
        }
    }

    async fn start(
        &self,
        catalogue: &Catalogue,
        listed: &Listed,
        layout: Layout,
        memory: Reservation,
    ) -> Result<Arc<Engine>, Status> {
        let mut entry = listed.load(self.defaults.provider).await.map_err(load_status)?;
        entry.description = catalogue.describe(listed);
        let runtime = self.runtime.clone();
        let started = spawn_blocking(move || Engine::start(&runtime, &entry, &layout, memory));
        let started = started.await.map_err(|error| status::internal(format!("the start was broken off: {error}")))?;
        counter!("graft_extractor_backbone_loads_total").increment(1);
        started
            .map(Arc::new)
            .map_err(|error| status::precondition("backbone", format!("it could not be started: {error}")))
    }

    /// Memory for an engine, which those that were not used for the longest time give up if need be.
    fn reserve(&self, listed: &Listed, layout: &Layout) -> Result<Reservation, Status> {
        let need = budget::need(listed, layout);
        if need > self.budget.limit() {
            let said = budget::too_large(&listed.description.name, need, self.budget.limit());
            return Err(status::precondition("backbone", said));
        }
        loop {
            if let Some(reservation) = Budget::reserve(&self.budget, need) {
                return Ok(reservation);
            }
            if !self.unload_one() {
                let message = "the memory for backbones (--backbone-memory-mib) is taken by others that are in use";
                return Err(status::exhausted("backbone", message));
            }
        }
    }

    /// Unload the idle engine that was not used for the longest time. `false` if there is none.
    fn unload_one(&self) -> bool {
        let mut slots = self.slots.lock();
        let idle = slots.iter().filter(|(_, slot)| slot.is_idle());
        let Some(space) = idle.min_by_key(|(_, slot)| slot.used).map(|(space, _)| space.clone()) else {
            return false;
        };
        let slot = slots.remove(&space);
        drop(slots);
        unloaded(&space, "memory");
        drop(slot);
        true
    }
}

fn unloaded(space: &str, reason: &'static str) {
    counter!("graft_extractor_backbone_unloads_total", "reason" => reason).increment(1);
    tracing::info!(space, reason, "backbone unloaded");
}
