//! One folder's files become backbones.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use tokio::task::spawn_blocking;

use super::listing::{File, Folder, Repository, RepositoryError};
use crate::{
    backbone::{
        catalogue::{Fault, Found, Model},
        configs::{self, Told},
        detach::Cut,
        listed::{Listed, Origin},
        manifest::Manifest,
        provider::{Provider, Providers},
    },
    preprocessing::Preprocessing,
};

/// The largest manifest, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What folders are read with.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What runs the networks, unless a manifest names another.
    pub provider: Provider,
    /// What a manifest may name.
    pub providers: Providers,
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
    // One file may have several manifests, and is read and cut once in each place.
    let mut models = Models::new();
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

/// Models that were read, by their files and where they were cut.
type Models = HashMap<(String, Cut), Model>;

struct Reader<'a> {
    repository: &'a Repository,
    folder: &'a Folder,
    terms: Terms,
    models: &'a mut Models,
    /// The backbone's name, as far as it is known.
    name: String,
}

impl<'a> Reader<'a> {
    async fn read(&mut self, file: &File) -> Result<Listed, Fault> {
        let bytes = self.repository.read(file, MAX_MANIFEST_BYTES, "").await.map_err(unread)?;
        let place = self.repository.name_of(&self.folder.name, &file.name);
        let lasting = |message: String| Fault { message: format!("{place}: {message}"), passing: false };
        let text = std::str::from_utf8(&bytes).map_err(|error| lasting(error.to_string()))?;
        let manifest = Manifest::parse(text).map_err(|error| lasting(error.to_string()))?;
        self.name.clone_from(&manifest.name);
        if let Some(provider) = manifest.run.provider.filter(|provider| !self.terms.providers.has(*provider)) {
            let (name, names) = (provider.name(), self.terms.providers.names());
            return Err(lasting(format!("run.provider: `{name}` is not in this ONNX Runtime, which has: {names}")));
        }
        let told = configs::told(manifest.preprocessing.as_ref(), |name| self.file(name).is_some());
        let preprocessing = match told.map_err(|error| lasting(error.to_string()))? {
            Told::Here(preprocessing) => preprocessing,
            Told::Beside(name) => {
                let file = self.file(name).ok_or_else(|| lasting(self.no_file("preprocessing", name)))?;
                self.config(file).await?
            }
        };
        let file = self.file(&manifest.model).ok_or_else(|| lasting(self.no_file("model", &manifest.model)))?;
        let model = self.model(file, &manifest.detach).await?;
        let entry = model.entry(manifest.clone(), preprocessing, self.terms.provider);
        let entry = entry.map_err(|error| Fault { message: error.to_string(), passing: false })?;
        let (store, path) = (self.repository.store().clone(), file.path.clone());
        let origin = Origin::Stored { store, path, folder: self.repository.directory(&self.folder.name) };
        Ok(Listed::new(&entry, manifest, origin))
    }

    fn file(&self, name: &str) -> Option<&'a File> {
        self.folder.files.iter().find(|file| file.name == name)
    }

    fn no_file(&self, key: &str, name: &str) -> String {
        let names: Vec<&str> = self.folder.files.iter().map(|file| file.name.as_str()).collect();
        format!("{key}: there is no file `{name}` in the folder; there are: {}", names.join(", "))
    }

    /// What a file of another project says of images.
    async fn config(&self, file: &File) -> Result<Preprocessing, Fault> {
        let bytes = self.repository.read(file, configs::MAX_BYTES, "").await.map_err(unread)?;
        let place = self.repository.name_of(&self.folder.name, &file.name);
        let lasting = |message: String| Fault { message: format!("{place}: {message}"), passing: false };
        let text = std::str::from_utf8(&bytes).map_err(|error| lasting(error.to_string()))?;
        configs::read(text).map_err(|error| lasting(error.to_string()))
    }

    async fn model(&mut self, file: &File, cut: &Cut) -> Result<Model, Fault> {
        let key = (file.name.clone(), cut.clone());
        if let Some(model) = self.models.get(&key) {
            return Ok(model.clone());
        }
        let Terms { max_model_bytes, limit_from, .. } = self.terms;
        let bytes = self.repository.read(file, max_model_bytes, limit_from).await.map_err(unread)?;
        let path = PathBuf::from(self.repository.name_of(&self.folder.name, &file.name));
        let (cut, folder) = (cut.clone(), self.repository.directory(&self.folder.name));
        let detached = spawn_blocking(move || Model::new(bytes, &path, &cut, folder.as_deref())).await;
        let model = match detached {
            Ok(Ok(model)) => model,
            Ok(Err(error)) => return Err(Fault { message: error.to_string(), passing: false }),
            Err(error) => return Err(Fault { message: error.to_string(), passing: true }),
        };
        self.models.clear();
        self.models.insert(key, model.clone());
        Ok(model)
    }
}

fn unread(error: RepositoryError) -> Fault {
    Fault { passing: matches!(error, RepositoryError::Store { .. }), message: error.to_string() }
}
