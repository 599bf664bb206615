//! The engines of all backbones: the default one is started before the extractor is ready, the others on first use.

use std::{collections::BTreeMap, sync::Arc};

use graft_chassis::status;
use graft_proto::v1::Backbone;
use tokio::{sync::OnceCell, task::spawn_blocking};
use tonic::Status;

use crate::{
    backbone::{
        catalogue::{Catalogue, Entry},
        session::{Runtime, SessionError},
    },
    engine::{Engine, Layout},
    error::unknown_backbone,
};

/// Every backbone of the catalogue, and the engines that were started.
#[derive(Debug)]
pub struct Engines {
    catalogue: Arc<Catalogue>,
    runtime: Arc<Runtime>,
    layout: Layout,
    started: BTreeMap<String, OnceCell<Arc<Engine>>>,
}

impl Engines {
    /// No engine yet.
    pub fn new(catalogue: Catalogue, runtime: Runtime, layout: Layout) -> Engines {
        let started = catalogue.list().map(|entry| (entry.description.name.clone(), OnceCell::new())).collect();
        Engines { catalogue: Arc::new(catalogue), runtime: Arc::new(runtime), layout, started }
    }

    /// The backbones, sorted by name.
    pub fn descriptions(&self) -> Vec<Backbone> {
        self.catalogue.list().map(|entry| self.current(entry)).collect()
    }

    /// The description of the backbone `name`, the default one if that is empty.
    pub fn describe(&self, name: &str) -> Result<Backbone, Status> {
        self.catalogue.get(name).map(|entry| self.current(entry)).ok_or_else(|| self.unknown(name))
    }

    /// The description of a backbone: that of its engine, which knows more, if there is one.
    fn current(&self, entry: &Entry) -> Backbone {
        let started = self.started.get(&entry.description.name).and_then(OnceCell::get);
        started.map_or(&entry.description, |engine| &engine.description).clone()
    }

    /// The engine of the backbone `name`, the default one if that is empty; started if it is not.
    pub async fn engine(&self, name: &str) -> Result<Arc<Engine>, Status> {
        let name = self.describe(name)?.name;
        let cell = self.started.get(&name).ok_or_else(|| self.unknown(&name))?;
        let engine = cell
            .get_or_try_init(|| self.start(name))
            .await
            .map_err(|error| status::internal(format!("the backbone could not be started: {error}")))?;
        Ok(engine.clone())
    }

    /// Start the default backbone's engine.
    pub async fn start_default(&self) -> Result<(), Status> {
        self.engine("").await.map(drop)
    }

    async fn start(&self, name: String) -> Result<Arc<Engine>, SessionError> {
        let (catalogue, runtime, layout) = (self.catalogue.clone(), self.runtime.clone(), self.layout.clone());
        let started = spawn_blocking(move || {
            let entry = catalogue.get(&name).ok_or_else(|| SessionError::Thread(format!("{name} is gone")))?;
            Engine::start(&runtime, entry, &layout)
        });
        started.await.map_err(|error| SessionError::Thread(error.to_string()))?.map(Arc::new)
    }

    fn unknown(&self, name: &str) -> Status {
        let known: Vec<&str> = self.catalogue.list().map(|entry| entry.description.name.as_str()).collect();
        unknown_backbone(name, &known)
    }
}
