//! From a source to a file on this machine, and from there to its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use object_store::ObjectStoreExt;
use url::Url;

use crate::{
    MAX_MODEL_BYTES, Progress,
    checksum::{Copied, copy},
    download::download,
    error::PullError,
    hub::Hub,
    onnx,
    place::{self, Environment},
    source::{HubFile, Source},
};

/// Files beside a model that say how its images are prepared: those of Hugging Face's transformers and of timm.
pub const COMPANIONS: [&str; 2] = ["preprocessor_config.json", "config.json"];
/// The largest of them, in bytes; real ones have a few kilobytes.
const COMPANION_BYTES: u64 = 1 << 20;

/// Gets files from where they are published.
#[derive(Clone, Debug)]
pub struct Puller {
    /// Where downloads are kept until they are whole.
    pub cache: PathBuf,
    /// The hub.
    pub hub: Hub,
    /// The process's variables: credentials and endpoints of object stores.
    pub environment: Environment,
    /// The largest model, in bytes.
    pub limit: u64,
}

/// A file that is on this machine now.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Where it is.
    path: PathBuf,
    /// Where it came from, as exactly as can be said.
    pub origin: String,
    /// The checksum that the source itself gives.
    promised: Option<String>,
    /// Whose the file at `path` is.
    owner: Owner,
    /// The files beside it that there were, of [`COMPANIONS`]: name and content.
    pub beside: Vec<(String, Vec<u8>)>,
}

/// Whose a file is, and so when it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The user's: never.
    User,
    /// The hub's cache: if it is wrong, so that the next try does not find it there.
    HubCache,
    /// A download of ours: as soon as it is in its place, or wrong.
    Download,
}

impl Puller {
    /// A puller as the process's environment asks for it: `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `XDG_CACHE_HOME`, `HOME`,
    /// and what the object stores' clients know.
    pub fn new(environment: Environment) -> Puller {
        let get = |name: &str| {
            environment.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone())
        };
        let caches = get("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| get("HOME").map(|home| Path::new(&home).join(".cache")))
            .unwrap_or_else(std::env::temp_dir);
        let hub = Hub {
            endpoint: get("HF_ENDPOINT"),
            home: get("HF_HOME").map_or_else(|| caches.join("huggingface"), PathBuf::from),
            token: get("HF_TOKEN"),
        };
        Puller { cache: caches.join("graft"), hub, environment, limit: MAX_MODEL_BYTES }
    }

    /// Bring the file at `source` to this machine, with what is beside it.
    pub async fn pull(&self, source: &Source, progress: Progress<'_>) -> Result<Pulled, PullError> {
        match source {
            Source::File(path) => self.local(path),
            Source::Object(url) => self.object(url, progress).await,
            Source::Hub(wanted) => self.hub(wanted, progress).await,
        }
    }

    fn local(&self, path: &Path) -> Result<Pulled, PullError> {
        let found = fs::metadata(path).map_err(PullError::file(path))?;
        let uri = path.display().to_string();
        if !found.is_file() {
            return Err(PullError::NotFound { uri, hint: " (a folder is none)" });
        }
        if found.len() > self.limit {
            return Err(PullError::TooLarge { uri, bytes: found.len(), limit: self.limit });
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = COMPANIONS.iter().map(|name| (*name, folder.join(name))).filter(|(_, path)| path.is_file());
        let beside = beside.map(|(name, path)| small(name, &path)).collect::<Result<_, _>>()?;
        let origin = path.canonicalize().map_err(PullError::file(path))?.display().to_string();
        Ok(Pulled { path: path.to_owned(), origin, promised: None, owner: Owner::User, beside })
    }

    async fn object(&self, url: &Url, progress: Progress<'_>) -> Result<Pulled, PullError> {
        let place = place::open(url, &self.environment)?;
        let path = download(&place, &self.cache, self.limit, progress).await?;
        let mut beside = Vec::new();
        for name in COMPANIONS {
            let Ok(url) = url.join(name) else { continue };
            // Most servers have none; one that answers oddly about it is no reason to fail.
            let Ok(place) = place::open(&url, &self.environment) else { continue };
            let Ok(found) = place.store.head(&place.path).await else { continue };
            if found.size <= COMPANION_BYTES {
                let answer = place.store.get(&place.path).await.map_err(|e| PullError::from_store(&place.uri, e))?;
                let bytes = answer.bytes().await.map_err(|e| PullError::from_store(&place.uri, e))?;
                beside.push((name.to_owned(), bytes.to_vec()));
            }
        }
        Ok(Pulled { path, origin: url.to_string(), promised: None, owner: Owner::Download, beside })
    }

    async fn hub(&self, wanted: &HubFile, progress: Progress<'_>) -> Result<Pulled, PullError> {
        let found = self.hub.fetch(wanted, &COMPANIONS, self.limit, progress).await?;
        let origin = format!("hf://{}/{}@{}", wanted.repository, found.file, found.commit);
        let beside = found.beside.iter().map(|(name, path)| small(name, path)).collect::<Result<_, _>>()?;
        Ok(Pulled { path: found.path, origin, promised: found.sha256, owner: Owner::HubCache, beside })
    }
}

fn small(name: &str, path: &Path) -> Result<(String, Vec<u8>), PullError> {
    let bytes = fs::metadata(path).map_err(PullError::file(path))?.len();
    if bytes > COMPANION_BYTES {
        return Err(PullError::TooLarge { uri: path.display().to_string(), bytes, limit: COMPANION_BYTES });
    }
    Ok((name.to_owned(), fs::read(path).map_err(PullError::file(path))?))
}

impl Pulled {
    /// Copy it to `target`, and check there that it is an ONNX file and has the checksum `expected`, if one is given, and
    /// the one that its source gives. Nothing is left at `target` if not. Reads and writes the whole file.
    pub fn install(&self, target: &Path, expected: Option<&str>) -> Result<Copied, PullError> {
        let copied = copy(&self.path, target)?;
        let checked = self.check(target, &copied, expected);
        if checked.is_err() {
            // What is wrong with it is worth more to the caller than that it could not be removed.
            let _ = fs::remove_file(target);
        }
        match self.owner {
            Owner::Download => {
                // Whole, or wrong: in both cases there is nothing to go on with.
                let _ = fs::remove_file(&self.path);
                let _ = fs::remove_file(self.path.with_extension("of"));
            }
            Owner::HubCache if checked.is_err() => {
                let _ = self.path.canonicalize().and_then(fs::remove_file);
                let _ = fs::remove_file(&self.path);
            }
            Owner::HubCache | Owner::User => {}
        }
        checked.map(|()| copied)
    }

    fn check(&self, target: &Path, copied: &Copied, expected: Option<&str>) -> Result<(), PullError> {
        for wanted in [expected, self.promised.as_deref()].into_iter().flatten() {
            if !wanted.eq_ignore_ascii_case(&copied.sha256) {
                let (expected, found) = (wanted.to_lowercase(), copied.sha256.clone());
                return Err(PullError::Checksum { uri: self.origin.clone(), expected, found });
            }
        }
        onnx::check(target, &self.origin)
    }
}
