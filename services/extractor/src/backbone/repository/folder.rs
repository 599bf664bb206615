//! One folder's files become backbones.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use tokio::task::spawn_blocking;

use super::listing::{File, Folder, Repository, RepositoryError};
use crate::backbone::{
    catalogue::{Fault, Found, Model},
    listed::{Listed, Origin},
    manifest::Manifest,
    session::Provider,
};

/// The largest manifest, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What folders are read with.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What will run the networks.
    pub provider: Provider,
    /// The largest model file, in bytes.
    pub max_model_bytes: u64,
    /// What decides that, for messages; begins with a blank or is empty.
    pub limit_from: &'static str,
}

/// Read a folder. Each manifest is a backbone or a fault; a model that has no manifest is a fault. One model at a time is
/// in memory.
pub async fn read(repository: &Repository, folder: &Folder, terms: Terms) -> Vec<Found> {
    let manifests: Vec<&File> = folder.files.iter().filter(|file| file.name.ends_with(".toml")).collect();
    if manifests.is_empty() {
        return without_manifest(repository, folder).into_iter().collect();
    }
    // One file may have several manifests, and is read and cut once.
    let mut models: HashMap<String, Model> = HashMap::new();
    let mut found = Vec::new();
    for manifest in manifests {
        let mut reader = Reader { repository, folder, terms, models: &mut models, name: folder.name.clone() };
        let outcome = reader.read(manifest).await;
        let (listed, fault) = match outcome {
            Ok(listed) => (Some(Arc::new(listed)), None),
            Err(fault) => (None, Some(fault)),
        };
        let name = reader.name;
        found.push(Found { place: repository.name_of(&folder.name, &manifest.name), name, listed, fault });
    }
    found
}

/// A folder of other things is nobody's concern; one with a model is meant to be a backbone.
fn without_manifest(repository: &Repository, folder: &Folder) -> Option<Found> {
    let model = folder.files.iter().find(|file| file.name.ends_with(".onnx"))?;
    let place = repository.name_of(&folder.name, &model.name);
    let message = format!("{place}: there is no manifest (a .toml file) beside it");
    let fault = Some(Fault { message, passing: false });
    Some(Found { place, name: folder.name.clone(), listed: None, fault })
}

struct Reader<'a> {
    repository: &'a Repository,
    folder: &'a Folder,
    terms: Terms,
    models: &'a mut HashMap<String, Model>,
    /// The backbone's name, as far as it is known.
    name: String,
}

impl Reader<'_> {
    async fn read(&mut self, file: &File) -> Result<Listed, Fault> {
        let bytes = self.repository.read(file, MAX_MANIFEST_BYTES, "").await.map_err(unread)?;
        let place = self.repository.name_of(&self.folder.name, &file.name);
        let lasting = |message: String| Fault { message: format!("{place}: {message}"), passing: false };
        let text = std::str::from_utf8(&bytes).map_err(|error| lasting(error.to_string()))?;
        let manifest = Manifest::parse(text).map_err(|error| lasting(error.to_string()))?;
        self.name.clone_from(&manifest.name);
        let file = self.folder.files.iter().find(|file| file.name == manifest.model);
        let file = file.ok_or_else(|| {
            let names: Vec<&str> = self.folder.files.iter().map(|file| file.name.as_str()).collect();
            lasting(format!(
                "model: there is no file `{}` in the folder; there are: {}",
                manifest.model,
                names.join(", ")
            ))
        })?;
        let model = self.model(file).await?;
        let entry = model.entry(manifest.clone(), self.terms.provider);
        let origin = Origin::Stored { store: self.repository.store().clone(), path: file.path.clone() };
        Ok(Listed::new(&entry, manifest, origin))
    }

    async fn model(&mut self, file: &File) -> Result<Model, Fault> {
        if let Some(model) = self.models.get(&file.name) {
            return Ok(model.clone());
        }
        let Terms { max_model_bytes, limit_from, .. } = self.terms;
        let bytes = self.repository.read(file, max_model_bytes, limit_from).await.map_err(unread)?;
        let path = PathBuf::from(self.repository.name_of(&self.folder.name, &file.name));
        let cut = spawn_blocking(move || Model::new(bytes, &path)).await;
        let model = match cut {
            Ok(Ok(model)) => model,
            Ok(Err(error)) => return Err(Fault { message: error.to_string(), passing: false }),
            Err(error) => return Err(Fault { message: error.to_string(), passing: true }),
        };
        self.models.clear();
        self.models.insert(file.name.clone(), model.clone());
        Ok(model)
    }
}

fn unread(error: RepositoryError) -> Fault {
    Fault { passing: matches!(error, RepositoryError::Store { .. }), message: error.to_string() }
}
