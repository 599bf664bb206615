//! A backbone as the catalogue has it: everything but the model, which is read again when an engine is started.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use graft_proto::v1::Backbone;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as ObjectPath};
use tokio::task::spawn_blocking;

use super::{
    built_in,
    catalogue::{Entry, Model, Undetachable},
    manifest::Manifest,
    provider::Provider,
    run::Run,
};
use crate::preprocessing::Preprocessing;

/// A backbone that can be loaded.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is, for its callers.
    pub description: Backbone,
    /// Bytes of the ONNX file without its classifier.
    pub model_bytes: u64,
    manifest: Manifest,
    preprocessing: Preprocessing,
    origin: Origin,
}

/// Where the model is.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In this program.
    BuiltIn,
    /// In a repository.
    Stored {
        /// The repository's store.
        store: Arc<dyn ObjectStore>,
        /// The model file.
        path: ObjectPath,
        /// The folder, if it is on this machine.
        folder: Option<PathBuf>,
    },
}

/// Why a backbone that is listed cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The model file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The model file.
        path: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// The model file is another one than that which was listed.
    #[error("{0} is being replaced: it is no longer the file that was listed")]
    Changed(String),
    /// The model cannot be cut, though it could be before.
    #[error(transparent)]
    Undetachable(#[from] Undetachable),
    /// The thread that cuts it was lost.
    #[error("reading the model was broken off: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

impl Listed {
    /// List `entry`, which has this manifest and comes from `origin`.
    pub fn new(entry: &Entry, manifest: Manifest, origin: Origin) -> Listed {
        Listed {
            description: entry.description.clone(),
            model_bytes: entry.model.len() as u64,
            manifest,
            preprocessing: entry.preprocessing.clone(),
            origin,
        }
    }

    /// How it is run.
    pub fn run(&self) -> &Run {
        &self.manifest.run
    }

    /// Read the model and cut it again. `provider` runs it unless its manifest names another.
    pub async fn load(&self, provider: Provider) -> Result<Entry, LoadError> {
        let (manifest, preprocessing) = (self.manifest.clone(), self.preprocessing.clone());
        let Origin::Stored { store, path, folder } = &self.origin else {
            let cut = spawn_blocking(move || built_in::model()?.entry(manifest, preprocessing, provider));
            return Ok(cut.await??);
        };
        let bytes = read(store, path).await?;
        let (file, expected) = (path.to_string(), self.description.model_hash.clone());
        let folder = folder.clone();
        let cut = spawn_blocking(move || {
            let model = Model::new(bytes, &PathBuf::from(&file), &manifest.detach, folder.as_deref())?;
            if model.hash().to_hex().as_str() != expected {
                return Err(LoadError::Changed(file));
            }
            Ok(model.entry(manifest, preprocessing, provider)?)
        });
        cut.await?
    }
}

async fn read(store: &Arc<dyn ObjectStore>, path: &ObjectPath) -> Result<Bytes, LoadError> {
    let failed = |source| match source {
        object_store::Error::NotFound { .. } => LoadError::Changed(path.to_string()),
        source => LoadError::Unreadable { path: path.to_string(), source },
    };
    store.get(path).await.map_err(failed)?.bytes().await.map_err(failed)
}
