//! The backbone that is compiled in, with two manifests.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    catalogue::{Entry, Found, Model, Undetachable},
    configs::{self, ConfigError, Told},
    detach::Cut,
    listed::{Listed, Origin},
    manifest::{Manifest, ManifestError},
    session::Provider,
};
use crate::preprocessing::Preprocessing;

const MODEL: &[u8] = include_bytes!("../../backbones/efficientnet-lite0/model.onnx");
const MANIFESTS: [&str; 2] = [
    include_str!("../../backbones/efficientnet-lite0/efficientnet-lite0.toml"),
    include_str!("../../backbones/efficientnet-lite0/efficientnet-lite0-imagenet.toml"),
];
/// Where it is, for messages.
const PLACE: &str = "built-in efficientnet-lite0";

/// Why a built-in backbone cannot be used: a fault of this build.
#[derive(Debug, thiserror::Error)]
pub enum BuiltInError {
    /// The model.
    #[error(transparent)]
    Model(#[from] Undetachable),
    /// A manifest.
    #[error("{PLACE}: {0}")]
    Manifest(#[from] ManifestError),
    /// What it says of images.
    #[error("{PLACE}: {0}")]
    Preprocessing(#[from] ConfigError),
    /// There is no such one.
    #[error("{PLACE}: there is no backbone `{0}`")]
    Unknown(String),
}

/// The model, cut.
pub fn model() -> Result<Model, Undetachable> {
    Model::new(Bytes::from_static(MODEL), Path::new(PLACE), &Cut::default(), None)
}

/// A built-in manifest says everything itself.
fn preprocessing(manifest: &Manifest) -> Result<Preprocessing, ConfigError> {
    match configs::told(manifest.preprocessing.as_ref(), |_| false)? {
        Told::Here(preprocessing) => Ok(preprocessing),
        Told::Beside(_) => Err(ConfigError::Missing),
    }
}

/// The built-in backbones, for the catalogue.
pub fn found(provider: Provider) -> Result<Vec<Found>, BuiltInError> {
    let model = model()?;
    let mut all = Vec::new();
    for text in MANIFESTS {
        let manifest = Manifest::parse(text)?;
        let entry = model.clone().entry(manifest.clone(), preprocessing(&manifest)?, provider)?;
        let name = manifest.name.clone();
        let listed = Arc::new(Listed::new(&entry, manifest, Origin::BuiltIn));
        all.push(Found { place: PLACE.to_owned(), name, listed: Some(listed), fault: None });
    }
    Ok(all)
}

/// The built-in backbone `name`, ready to be opened.
pub fn entry(name: &str, provider: Provider) -> Result<Entry, BuiltInError> {
    for text in MANIFESTS {
        let manifest = Manifest::parse(text)?;
        if manifest.name == name {
            let preprocessing = preprocessing(&manifest)?;
            return Ok(model()?.entry(manifest, preprocessing, provider)?);
        }
    }
    Err(BuiltInError::Unknown(name.to_owned()))
}
