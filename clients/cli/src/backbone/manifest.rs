//! The manifest beside a model. What its keys mean is the extractor's to judge; here it gets a name and its provenance.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

/// The keys that say how images are prepared, one way or another.
const PREPROCESSING: &str = "preprocessing";

/// A manifest to be written.
#[derive(Debug)]
pub struct Manifest(Table);

impl Manifest {
    /// The manifest in a file; an empty one if there is none.
    pub fn read(path: Option<&Path>) -> Result<Manifest> {
        let Some(path) = path else { return Ok(Manifest(Table::new())) };
        let text = fs::read_to_string(path).with_context(|| format!("--manifest: {}", path.display()))?;
        let table = text.parse().with_context(|| format!("--manifest: {} is not TOML", path.display()))?;
        Ok(Manifest(table))
    }

    /// Whether it says itself how images are prepared.
    pub fn has_preprocessing(&self) -> bool {
        self.0.contains_key(PREPROCESSING)
    }

    /// The file that says how images are prepared, where the manifest, which was read from `path`, names one beside it.
    pub fn companion(&self, path: Option<&Path>) -> Result<Option<(String, Vec<u8>)>> {
        let (Some(Value::String(file)), Some(path)) = (self.0.get(PREPROCESSING), path) else { return Ok(None) };
        if file.contains(['/', '\\', '\0']) || file.starts_with('.') {
            bail!("--manifest: preprocessing: `{file}`; the name of a file beside the manifest is expected");
        }
        let place = path.parent().unwrap_or(Path::new("")).join(file);
        let content = fs::read(&place).with_context(|| format!("--manifest: preprocessing: {}", place.display()))?;
        Ok(Some((file.clone(), content)))
    }

    /// The text of the manifest of the backbone `name`, whose model is in the file `model`, with `origin` as its provenance.
    /// What the given manifest says about it is kept.
    pub fn text(mut self, name: &str, model: &str, origin: &str) -> Result<String> {
        let mut provenance = match self.0.get("provenance") {
            Some(Value::String(given)) => format!("{given}; "),
            Some(other) => bail!("--manifest: provenance: {other}; a text is accepted"),
            None => String::new(),
        };
        provenance += origin;
        for (key, value) in [("name", name), ("model", model), ("provenance", &provenance)] {
            self.0.insert(key.to_owned(), Value::String(value.to_owned()));
        }
        Ok(format!("# Written by graft backbone add.\n{}", toml::to_string(&self.0)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_kept_and_the_rest_is_filled_in() {
        let given = "name = 'other'\nmodel = 'x.onnx'\nprovenance = 'Apache-2.0'\n[preprocessing]\nresize = 256\n";
        let manifest = Manifest(given.parse().unwrap());
        assert!(manifest.has_preprocessing());
        let text = manifest.text("net", "model.onnx", "s3://b/x.onnx, sha256 abc").unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(table["name"].as_str(), Some("net"));
        assert_eq!(table["model"].as_str(), Some("model.onnx"));
        assert_eq!(table["provenance"].as_str(), Some("Apache-2.0; s3://b/x.onnx, sha256 abc"));
        assert_eq!(table["preprocessing"]["resize"].as_integer(), Some(256));
    }

    #[test]
    fn a_file_that_the_manifest_names_comes_along_from_its_folder_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("images.json"), "{}").unwrap();
        let path = folder.path().join("net.toml");
        let companion = |text: &str| Manifest(text.parse().unwrap()).companion(Some(&path));
        let found = companion("preprocessing = 'images.json'").unwrap();
        assert_eq!(found, Some(("images.json".to_owned(), b"{}".to_vec())));
        assert_eq!(companion("[preprocessing]\nresize = 256").unwrap(), None);
        assert!(companion("preprocessing = '../images.json'").is_err());
        assert!(companion("preprocessing = 'none.json'").unwrap_err().to_string().contains("none.json"));
    }

    #[test]
    fn a_file_that_is_not_toml_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "name =").unwrap();
        let error = format!("{:#}", Manifest::read(Some(file.path())).unwrap_err());
        assert!(error.contains("not TOML") && error.contains("--manifest"), "{error}");
        assert!(Manifest::read(Some(Path::new("/nowhere.toml"))).unwrap_err().to_string().contains("/nowhere.toml"));
    }
}
