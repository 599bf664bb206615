//! The small TOML file beside a model that says how to use it.

use serde::Deserialize;

use super::{
    detach::{Cut, MAX_FEATURES},
    options::Options,
    run::Run,
};
use crate::preprocessing::BadOption;

/// How to use a model. Unknown keys are refused, so that a misspelt one is noticed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The backbone's name: 1 to 63 characters of a-z, 0-9, `-`, `_` and `.`, the first a letter or a digit.
    pub name: String,
    /// The model's file, in the manifest's folder.
    pub model: String,
    /// Where the weights come from, and their licence.
    pub provenance: String,
    /// What is done to an image first. Unless told, what a `preprocessor_config.json` or `config.json` beside the model says.
    pub preprocessing: Option<Options>,
    /// Where the network is cut, unless at its classifier.
    #[serde(default)]
    pub detach: Cut,
    /// What runs it, and how it is laid out, unless as the extractor's flags say.
    #[serde(default)]
    pub run: Run,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, or a key that is missing, unknown or of the wrong type.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// An option of the preprocessing that cannot be.
    #[error("preprocessing.{0}")]
    Preprocessing(#[from] BadOption),
    /// A value that cannot be.
    #[error("{key}: {found}; {accepted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value found.
        found: String,
        /// What is accepted.
        accepted: &'static str,
    },
}

impl Manifest {
    /// Read a manifest and check its values.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let require = |fine: bool, key, found: &dyn std::fmt::Debug, accepted| {
            if fine { Ok(()) } else { Err(ManifestError::Value { key, found: format!("{found:?}"), accepted }) }
        };
        require(
            is_name(&self.name),
            "name",
            &self.name,
            "1 to 63 characters of a-z, 0-9, -, _ and . are accepted, the first a letter or a digit",
        )?;
        require(is_file(&self.model), "model", &self.model, "the name of a file in the manifest's folder is expected")?;
        let Cut { features, token } = &self.detach;
        let named = features.len() <= MAX_FEATURES && features.iter().all(|tensor| !tensor.is_empty());
        require(named, "detach.features", features, "the names of at most 16 tensors are expected")?;
        let used = token.is_none() || !features.is_empty();
        require(used, "detach.token", token, "it is for tensors that `detach.features` names")?;
        self.run.check()?;
        match &self.preprocessing {
            Some(Options::Table(table)) => Ok(table.preprocessing().map(|_| ())?),
            Some(Options::File(file)) => {
                let accepted = "a table, or the name of a JSON file in the manifest's folder, is expected";
                require(is_file(file), "preprocessing", file, accepted)
            }
            None => Ok(()),
        }
    }
}

/// Whether it names a file in the folder, and none outside.
fn is_file(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.')
}

fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63 && name.starts_with(fine) && name.chars().all(|c| fine(c) || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../backbones/efficientnet-lite0/efficientnet-lite0.toml");

    fn refused(from: &str, to: &str) -> String {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD);
        Manifest::parse(&text).unwrap_err().to_string()
    }

    #[test]
    fn a_bad_manifest_names_the_key() {
        assert_eq!(Manifest::parse(GOOD).unwrap().name, "efficientnet-lite0");
        assert!(refused("\"bicubic\"", "\"quadratic\"").contains("quadratic"));
        assert!(refused("crop = 224", "crops = 224").contains("crops"));
        assert!(refused("crop = 224", "crop = 300").contains("preprocessing.crop"));
        assert!(refused("resize = 256", "resize = 0").contains("preprocessing.resize"));
        assert!(refused("crop = 224", "crop = { height = 1, width = 257 }").contains("preprocessing.crop"));
        let file = GOOD.split("[preprocessing]").next().unwrap();
        assert_eq!(Manifest::parse(file).unwrap().preprocessing, None);
        let elsewhere = Manifest::parse(&format!("{file}preprocessing = \"../config.json\"")).unwrap_err().to_string();
        assert!(elsewhere.contains("preprocessing") && elsewhere.contains("../config.json"), "{elsewhere}");
        assert!(refused("\"model.onnx\"", "\"../model.onnx\"").contains("model"));
        assert!(refused("\"efficientnet-lite0\"", "\"Efficient/Net\"").contains("name"));
        let cut = |part: &str| refused("[preprocessing]", &format!("[detach]\n{part}\n[preprocessing]"));
        assert!(cut("features = [\"\"]").contains("detach.features"));
        assert!(cut("token = \"class\"").contains("detach.token"));
        assert!(cut("token = \"last\"").contains("last"));
        assert!(cut("tensors = []").contains("tensors"));
        let run = |part: &str| refused("[preprocessing]", &format!("[run]\n{part}\n[preprocessing]"));
        assert!(run("batch = 0").contains("run.batch"));
        assert!(run("provider = \"gpu\"").contains("gpu"));
        assert!(run("lane = 1").contains("lane"));
    }
}
