//! The backbones that can be asked for at one moment: those that are built in, and those of a repository.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use graft_proto::v1::{Backbone, Detachment};

use super::{
    detach::{BatchSize, Cut, DetachError, Detached, Input, detach},
    listed::Listed,
    manifest::Manifest,
    provider::Provider,
    run::Run,
    session::Network,
    space::SpaceId,
};
use crate::preprocessing::Preprocessing;

/// A backbone that was read and cut, ready to be opened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is, for its callers.
    pub description: Backbone,
    /// The ONNX file without its classifier.
    pub model: Bytes,
    /// Where the model was read from.
    pub file: String,
    /// The images that it takes.
    pub input: Input,
    /// How many it takes at once.
    pub batch: BatchSize,
    /// What is done to an image first.
    pub preprocessing: Preprocessing,
    /// How it is run.
    pub run: Run,
}

impl Entry {
    /// The network as a session needs it.
    pub fn network(&self) -> Network<'_> {
        Network {
            bytes: &self.model,
            file: &self.file,
            input: &self.input.name,
            shape: self.input.image_shape(self.preprocessing.height(), self.preprocessing.width()),
            dimension: self.description.dimension as usize,
            batch: self.batch,
        }
    }
}

/// What was found at one place: a manifest's backbone, why there is none, or both if an earlier version still serves.
#[derive(Clone, Debug)]
pub struct Found {
    /// The manifest, or the folder that should have one.
    pub place: String,
    /// The backbone's name; the folder's where the manifest does not tell.
    pub name: String,
    /// The backbone.
    pub listed: Option<Arc<Listed>>,
    /// What is wrong at the place now.
    pub fault: Option<Fault>,
}

/// What is wrong with a backbone's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For people: which file, what, and what is accepted.
    pub message: String,
    /// Whether the files could not be read, so that trying again without a change may help.
    pub passing: bool,
}

/// Every backbone, by name. It never changes; a repository that does gets a new one.
#[derive(Debug)]
pub struct Catalogue {
    entries: BTreeMap<String, Found>,
    /// What cannot be used at all.
    broken: Vec<(String, String)>,
    default: String,
}

/// Why a backbone cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Absent {
    /// There is none of that name.
    #[error("there is no backbone `{name}`; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// There is a folder of that name, and something is wrong with it.
    #[error("the backbone `{name}` cannot be used: {error}")]
    Broken {
        /// The name asked for.
        name: String,
        /// What is wrong.
        error: String,
    },
    /// There is one of that name, but another version of it.
    #[error("`{wanted}` was asked for, but this extractor has `{space}`")]
    Version {
        /// The space asked for.
        wanted: String,
        /// The space that there is.
        space: String,
    },
}

/// A model cannot be a backbone.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct Undetachable {
    /// The model.
    pub path: PathBuf,
    /// Why.
    pub source: DetachError,
}

impl Catalogue {
    /// What was found, where `default` is what requests that name no backbone get. Of two places with one name the
    /// first has it.
    pub fn new(found: impl IntoIterator<Item = Found>, default: &str) -> Catalogue {
        let mut catalogue = Catalogue { entries: BTreeMap::new(), broken: Vec::new(), default: default.to_owned() };
        for found in found {
            match (&found.listed, &found.fault) {
                (Some(_), _) => catalogue.enter(found),
                (None, Some(fault)) => catalogue.broken.push((found.name, fault.message.clone())),
                (None, None) => {}
            }
        }
        catalogue
    }

    fn enter(&mut self, found: Found) {
        match self.entries.get(&found.name) {
            Some(first) => {
                let message = format!(
                    "{}: the name `{}` is taken by {}; names must differ",
                    found.place, found.name, first.place
                );
                self.broken.push((found.name, message));
            }
            None => drop(self.entries.insert(found.name.clone(), found)),
        }
    }

    /// The backbone `wanted`: a name, a name with the hash of its space (`NAME@HASH`), or the default one if empty.
    pub fn get(&self, wanted: &str) -> Result<&Arc<Listed>, Absent> {
        let wanted = if wanted.is_empty() { self.default.as_str() } else { wanted };
        let name = wanted.split_once('@').map_or(wanted, |(name, _)| name);
        let Some(listed) = self.entries.get(name).and_then(|found| found.listed.as_ref()) else {
            return Err(self.absent(name));
        };
        let space = &listed.description.space;
        if wanted != name && wanted != space {
            return Err(Absent::Version { wanted: wanted.to_owned(), space: space.clone() });
        }
        Ok(listed)
    }

    fn absent(&self, name: &str) -> Absent {
        let name = name.to_owned();
        match self.broken.iter().find(|(broken, _)| *broken == name) {
            Some((_, error)) => Absent::Broken { name, error: error.clone() },
            None => {
                let known = self.entries.keys().cloned().collect::<Vec<_>>().join(", ");
                Absent::Unknown { name, known }
            }
        }
    }

    /// The description of a backbone of this catalogue, for its callers.
    pub fn describe(&self, listed: &Listed) -> Backbone {
        let mut description = listed.description.clone();
        description.default = description.name == self.default;
        let fault = self.entries.get(&description.name).and_then(|found| found.fault.as_ref());
        description.error = fault.map(|fault| fault.message.clone()).unwrap_or_default();
        description
    }

    /// Everything that was found, sorted by name, with what cannot be used and why.
    pub fn descriptions(&self) -> Vec<Backbone> {
        let usable = self.entries.values().filter_map(|found| found.listed.as_ref());
        let mut all: Vec<Backbone> = usable.map(|listed| self.describe(listed)).collect();
        all.extend(self.broken.iter().map(|(name, error)| Backbone {
            name: name.clone(),
            error: error.clone(),
            ..Backbone::default()
        }));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whether a backbone of this catalogue has this space, and is run in this way.
    pub fn has(&self, space: &str, run: &Run) -> bool {
        self.get(space).is_ok_and(|listed| listed.run() == run)
    }

    /// How many places have something wrong.
    pub fn faults(&self) -> usize {
        self.broken.len() + self.entries.values().filter(|found| found.fault.is_some()).count()
    }
}

/// A model file that was read and cut.
#[derive(Clone, Debug)]
pub struct Model {
    path: PathBuf,
    detached: Detached,
}

impl Model {
    /// Cut the ONNX file `bytes`, which came from `path`. Weights that it keeps in other files are read from `folder`.
    pub fn new(bytes: Bytes, path: &Path, cut: &Cut, folder: Option<&Path>) -> Result<Model, Undetachable> {
        let path = path.to_owned();
        match detach(bytes, cut, folder) {
            Ok(detached) => Ok(Model { path, detached }),
            Err(source) => Err(Undetachable { path, source }),
        }
    }

    /// BLAKE3 of the file, and of those with its weights.
    pub fn hash(&self) -> &blake3::Hash {
        &self.detached.hash
    }

    /// The backbone that it is with this manifest, which asks for `preprocessing`. `provider` runs it unless the manifest
    /// names another.
    pub fn entry(
        self,
        manifest: Manifest,
        mut preprocessing: Preprocessing,
        provider: Provider,
    ) -> Result<Entry, Undetachable> {
        let Model { path, detached } = self;
        let Manifest { name, provenance, run, .. } = manifest;
        let file = path.display().to_string();
        let input = &detached.input;
        let fits = input.accept(preprocessing.height(), preprocessing.width());
        fits.and_then(|()| input.accept_layout(preprocessing.layout))
            .map_err(|source| Undetachable { path, source })?;
        // The graph says how its numbers are ordered; files of Hugging Face and timm do not.
        preprocessing.layout = detached.input.layout;
        let execution = run.execution(provider);
        let precision = execution.precision(detached.precision);
        let space = SpaceId::new(&name, &detached.hash, &detached.feature_tensor, &preprocessing, precision);
        let description = Backbone {
            name,
            space: space.to_string(),
            dimension: detached.dimension as u32,
            preprocessing: Some(preprocessing.on_the_wire()),
            detachment: Some(Detachment {
                feature_tensor: detached.feature_tensor,
                classifier_node: detached.classifier_node,
                classifier_op: detached.classifier_op,
                reason: detached.reason,
                max_batch: u32::from(detached.batch.size == BatchSize::One),
                batch_reason: detached.batch.reason.clone(),
            }),
            provider: execution.provider.name().to_owned(),
            precision: precision.to_owned(),
            model_hash: detached.hash.to_hex().to_string(),
            default: false,
            provenance,
            error: String::new(),
        };
        let Detached { model, input, batch, .. } = detached;
        Ok(Entry { description, model, file, input, batch: batch.size, preprocessing, run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::built_in;

    fn found() -> Vec<Found> {
        built_in::found(Provider::Cpu).unwrap()
    }

    fn fault(message: &str) -> Option<Fault> {
        Some(Fault { message: message.to_owned(), passing: false })
    }

    #[test]
    fn a_backbone_is_had_by_name_by_version_and_by_default() {
        let catalogue = Catalogue::new(found(), "efficientnet-lite0");
        let space = catalogue.get("").unwrap().description.space.clone();
        assert_eq!(catalogue.get(&space).unwrap().description.name, "efficientnet-lite0");
        let other = catalogue.get("efficientnet-lite0@0123456789abcdef").unwrap_err();
        assert!(matches!(&other, Absent::Version { space: has, .. } if *has == space), "{other}");
        let unknown = catalogue.get("resnet").unwrap_err().to_string();
        assert!(unknown.contains("efficientnet-lite0, efficientnet-lite0-imagenet"), "{unknown}");
        assert!(catalogue.describe(catalogue.get("").unwrap()).default);
    }

    #[test]
    fn what_is_wrong_at_one_place_leaves_the_others_alone() {
        let mut all = found();
        let mut taken = all[0].clone();
        taken.place = "second/net.toml".into();
        let mut stale = all[1].clone();
        stale.fault = fault("stale/model.onnx: truncated");
        all[1] = stale;
        let broken = Found { place: "bad".into(), name: "bad".into(), listed: None, fault: fault("bad: no manifest") };
        all.extend([taken, broken]);
        let catalogue = Catalogue::new(all, "efficientnet-lite0");
        let errors: Vec<(String, String)> =
            catalogue.descriptions().into_iter().map(|backbone| (backbone.name, backbone.error)).collect();
        assert_eq!(errors[0], ("bad".into(), "bad: no manifest".into()));
        assert!(errors[2].1.contains("second/net.toml") && errors[2].1.contains("is taken"), "{errors:?}");
        assert_eq!(errors[3], ("efficientnet-lite0-imagenet".into(), "stale/model.onnx: truncated".into()));
        assert!(catalogue.get("efficientnet-lite0-imagenet").is_ok(), "an earlier version still serves");
        assert!(matches!(catalogue.get("bad"), Err(Absent::Broken { .. })));
        assert_eq!(catalogue.faults(), 3);
    }
}
