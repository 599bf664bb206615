//! The backbones that can be asked for: those that are built in, and those of a directory.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use graft_proto::v1::{Backbone, Detachment};

use super::{
    configs::{self, ConfigError},
    detach::{BatchSize, Cut, DetachError, Detached, Input, detach},
    manifest::{Manifest, ManifestError},
    session::{Network, Provider},
    space::SpaceId,
};
use crate::preprocessing::Preprocessing;

/// The largest model file, in bytes: protobuf's own limit.
const MAX_MODEL_BYTES: u64 = i32::MAX as u64;

const BUILT_IN_MODEL: &[u8] = include_bytes!("../../backbones/efficientnet-lite0/model.onnx");
const BUILT_IN_MANIFESTS: [&str; 2] = [
    include_str!("../../backbones/efficientnet-lite0/efficientnet-lite0.toml"),
    include_str!("../../backbones/efficientnet-lite0/efficientnet-lite0-imagenet.toml"),
];

/// A backbone, ready to be opened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is, for its callers.
    pub description: Backbone,
    /// The ONNX file without its classifier, shared by all entries of one file.
    pub model: Bytes,
    /// Where the model was read from.
    pub file: String,
    /// The images that it takes.
    pub input: Input,
    /// How many it takes at once.
    pub batch: BatchSize,
    /// What is done to an image first.
    pub preprocessing: Preprocessing,
}

impl Entry {
    /// The network as a session needs it.
    pub fn network(&self) -> Network<'_> {
        Network {
            bytes: &self.model,
            file: &self.file,
            shape: self.input.image_shape(self.preprocessing.height(), self.preprocessing.width()),
            dimension: self.description.dimension as usize,
            batch: self.batch,
        }
    }
}

/// Every backbone, by name.
#[derive(Debug)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
    default: String,
}

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A file or folder cannot be read.
    #[error("backbones: cannot read {path}: {source}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A model file is too large.
    #[error("backbones: {path} has {bytes} bytes; at most {MAX_MODEL_BYTES} are accepted")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A manifest cannot be used.
    #[error("backbones: {path}: {source}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A file that says how images are preprocessed cannot be used.
    #[error("backbones: {path}: {source}")]
    Config {
        /// The file, or the folder that has none.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// A model cannot be a backbone.
    #[error("backbones: {path}: {source}")]
    Detach {
        /// The model.
        path: PathBuf,
        /// Why.
        source: DetachError,
    },
    /// Two manifests have one name.
    #[error("backbones: {path}: there is another backbone `{name}`; names must differ")]
    Duplicate {
        /// The second manifest.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The default backbone is not there.
    #[error("default-backbone: there is no backbone `{name}`; there are: {known}")]
    NoDefault {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
}

impl Catalogue {
    /// The built-in backbones and those of `folder`, one sub-folder a model, each with one or more manifests.
    pub fn load(folder: Option<&Path>, default: &str, provider: Provider) -> Result<Catalogue, CatalogueError> {
        let mut catalogue = Catalogue { entries: BTreeMap::new(), default: default.to_owned() };
        catalogue.add_built_in(provider)?;
        if let Some(folder) = folder {
            for sub_folder in list(folder)?.into_iter().filter(|path| path.is_dir()) {
                catalogue.add_folder(&sub_folder, provider)?;
            }
        }
        match catalogue.entries.get_mut(default) {
            Some(entry) => entry.description.default = true,
            None => {
                let known = catalogue.entries.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(CatalogueError::NoDefault { name: default.to_owned(), known });
            }
        }
        Ok(catalogue)
    }

    /// The backbone `name`; the default one if that is empty.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(if name.is_empty() { self.default.as_str() } else { name })
    }

    /// Every backbone, sorted by name.
    pub fn list(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    fn add_built_in(&mut self, provider: Provider) -> Result<(), CatalogueError> {
        let path = Path::new("built-in efficientnet-lite0");
        let model = Model::new(Bytes::from_static(BUILT_IN_MODEL), path, &Cut::default())?;
        for text in BUILT_IN_MANIFESTS {
            self.add(path, text, provider, |_| Ok(model.clone()))?;
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path, provider: Provider) -> Result<(), CatalogueError> {
        // One file may have several manifests, and is read and cut once in each place.
        let mut models: HashMap<(PathBuf, Cut), Model> = HashMap::new();
        for path in list(folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            let text = fs::read_to_string(&path)
                .map_err(|source| CatalogueError::Unreadable { path: path.clone(), source })?;
            self.add(&path, &text, provider, |manifest| {
                let path = folder.join(&manifest.model);
                let key = (path, manifest.detach.clone());
                if let Some(model) = models.get(&key) {
                    return Ok(model.clone());
                }
                let model = Model::new(read_model(&key.0)?, &key.0, &key.1)?;
                models.insert(key, model.clone());
                Ok(model)
            })?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &Path,
        manifest: &str,
        provider: Provider,
        model: impl FnOnce(&Manifest) -> Result<Model, CatalogueError>,
    ) -> Result<(), CatalogueError> {
        let manifest =
            Manifest::parse(manifest).map_err(|source| CatalogueError::Manifest { path: path.to_owned(), source })?;
        if self.entries.contains_key(&manifest.name) {
            return Err(CatalogueError::Duplicate { path: path.to_owned(), name: manifest.name });
        }
        let preprocessing = configs::preprocessing(path, manifest.preprocessing.as_ref())
            .map_err(|(path, source)| CatalogueError::Config { path, source })?;
        let entry = model(&manifest)?.entry(manifest, preprocessing, provider)?;
        self.entries.insert(entry.description.name.clone(), entry);
        Ok(())
    }
}

/// A model file that was read and cut.
#[derive(Clone, Debug)]
struct Model {
    path: PathBuf,
    detached: Detached,
}

impl Model {
    fn new(bytes: Bytes, path: &Path, cut: &Cut) -> Result<Model, CatalogueError> {
        let path = path.to_owned();
        match detach(bytes, cut, path.parent()) {
            Ok(detached) => Ok(Model { path, detached }),
            Err(source) => Err(CatalogueError::Detach { path, source }),
        }
    }

    fn entry(
        self,
        manifest: Manifest,
        mut preprocessing: Preprocessing,
        provider: Provider,
    ) -> Result<Entry, CatalogueError> {
        let Model { path, detached } = self;
        let Manifest { name, provenance, .. } = manifest;
        let file = path.display().to_string();
        let input = &detached.input;
        let fits = input.accept(preprocessing.height(), preprocessing.width());
        fits.and_then(|()| input.accept_layout(preprocessing.layout))
            .map_err(|source| CatalogueError::Detach { path, source })?;
        // The graph says how its numbers are ordered; files of Hugging Face and timm do not.
        preprocessing.layout = detached.input.layout;
        let precision = detached.precision.name();
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
            provider: provider.name().to_owned(),
            precision: precision.to_owned(),
            model_hash: detached.hash.to_hex().to_string(),
            default: false,
            provenance,
        };
        let Detached { model, input, batch, .. } = detached;
        Ok(Entry { description, model, file, input, batch: batch.size, preprocessing })
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let unreadable = |source| CatalogueError::Unreadable { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn read_model(path: &Path) -> Result<Bytes, CatalogueError> {
    let unreadable = |source| CatalogueError::Unreadable { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_MODEL_BYTES {
        return Err(CatalogueError::TooLarge { path: path.to_owned(), bytes });
    }
    fs::read(path).map(Bytes::from).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(manifest: &str, model: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        fs::create_dir(folder.path().join("mine")).unwrap();
        fs::write(folder.path().join("mine/manifest.toml"), manifest).unwrap();
        fs::write(folder.path().join("mine/model.onnx"), model).unwrap();
        folder
    }

    fn load(folder: &tempfile::TempDir) -> Result<Catalogue, CatalogueError> {
        Catalogue::load(Some(folder.path()), "efficientnet-lite0", Provider::Cpu)
    }

    #[test]
    fn a_folder_adds_to_what_is_built_in() {
        let renamed = BUILT_IN_MANIFESTS[0].replacen("efficientnet-lite0", "mine", 1);
        let catalogue = load(&folder_with(&renamed, BUILT_IN_MODEL)).unwrap();
        let names: Vec<&str> = catalogue.list().map(|entry| entry.description.name.as_str()).collect();
        assert_eq!(names, ["efficientnet-lite0", "efficientnet-lite0-imagenet", "mine"]);
        let space = |name| catalogue.get(name).unwrap().description.space.split_once('@').unwrap().1.to_owned();
        assert_eq!(space("mine"), space(""), "the same model and preprocessing mean the same numbers");
        assert_ne!(space("mine"), space("efficientnet-lite0-imagenet"));
    }

    #[test]
    fn a_manifest_may_say_where_the_network_is_cut() {
        let renamed = BUILT_IN_MANIFESTS[0].replacen("efficientnet-lite0", "mine", 1);
        let cut = format!("{renamed}\n[detach]\nfeatures = [\"/_swish/Clip_output_0\", \"/Reshape_output_0\"]\n");
        let catalogue = load(&folder_with(&cut, BUILT_IN_MODEL)).unwrap();
        let entry = catalogue.get("mine").unwrap();
        let detachment = entry.description.detachment.as_ref().unwrap();
        assert_eq!(detachment.feature_tensor, "/_swish/Clip_output_0 + /Reshape_output_0");
        assert!(entry.description.dimension == 32 + 1280 && detachment.classifier_node.is_empty());
        let space = |name| catalogue.get(name).unwrap().description.space.split_once('@').unwrap().1.to_owned();
        assert_ne!(space("mine"), space(""));
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said_with_its_file() {
        let same_name = load(&folder_with(BUILT_IN_MANIFESTS[0], BUILT_IN_MODEL)).unwrap_err().to_string();
        assert!(same_name.contains("mine/manifest.toml") && same_name.contains("efficientnet-lite0"), "{same_name}");
        let renamed = BUILT_IN_MANIFESTS[0].replacen("efficientnet-lite0", "mine", 1);
        let no_model = load(&folder_with(&renamed, b"not a model")).unwrap_err().to_string();
        assert!(no_model.contains("mine/model.onnx") && no_model.contains("ONNX"), "{no_model}");
        let small =
            load(&folder_with(&renamed.replace("crop = 224", "crop = 192"), BUILT_IN_MODEL)).unwrap_err().to_string();
        assert!(small.contains("224 × 224") && small.contains("192 × 192"), "{small}");
        let no_file = load(&folder_with(&renamed.replace("model.onnx", "other.onnx"), b"")).unwrap_err().to_string();
        assert!(no_file.contains("mine/other.onnx"), "{no_file}");
    }
}
